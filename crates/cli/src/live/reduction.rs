//! Which steps of real nodes have nothing to do with each other, so that one of
//! their orders is enough.
//!
//! The model knows who contacts whom, and not what a command makes of what it
//! finds there. So a step that concerns another node counts as dependent on
//! whatever that node does, and on all that concern it, too.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use zenekar_live::{Independence, Prerequisites, ProcessName, Step};
use zenekar_model::Topology;

use super::gap::Model;

/// What a step has to do with others.
#[derive(Clone, Debug, Default)]
struct Concern {
    /// The nodes that it concerns.
    nodes: BTreeSet<String>,
    /// The shared objects that it touches.
    objects: BTreeSet<String>,
}

/// Which orders of steps are worth running.
pub(crate) struct Reduction {
    pub(crate) independence: Independence,
    pub(crate) prerequisites: Prerequisites,
}

impl Reduction {
    /// Finds out what concerns whom; none where it is not known of all processes.
    pub(crate) fn new(
        model: &Model,
        topology: &Topology,
        processes: &[ProcessName],
    ) -> Option<Self> {
        let nodes: BTreeSet<&str> = processes.iter().map(|one| one.node.as_str()).collect();
        let mut concerns = BTreeMap::new();
        for node in nodes {
            concerns.insert(node.to_owned(), concerns_of(model, node)?);
        }
        let prerequisites = processes.iter().map(|process| {
            Some((
                process.clone(),
                needed_for(model, topology, process, processes)?,
            ))
        });
        let prerequisites = prerequisites.collect::<Option<_>>()?;
        let independence = move |one: &Step, two: &Step| {
            let of = |step: &Step| concerns.get(&step.process.node)?.get(&step.from);
            let (Some(first), Some(second)) = (of(one), of(two)) else {
                return false;
            };
            let meets = |concern: &Concern, node: &str| concern.nodes.contains(node);
            !meets(first, &two.process.node)
                && !meets(second, &one.process.node)
                && first.nodes.is_disjoint(&second.nodes)
                && first.objects.is_disjoint(&second.objects)
        };
        Some(Self {
            independence: Arc::new(independence),
            prerequisites,
        })
    }
}

/// Returns what the steps of a node concern, by the breakpoint that they leave.
fn concerns_of(model: &Model, node: &str) -> Option<BTreeMap<u32, Concern>> {
    let last = model.breakpoints_of(node)?;
    let steps = (1..last).map(|from| {
        let mut concern = Concern::default();
        for segment in model.run_behind(node, from)? {
            let needed = segment.needs.iter().map(|need| need.node.clone());
            concern.nodes.extend(needed);
            let touched = [&segment.reads, &segment.writes, &segment.holds];
            concern
                .objects
                .extend(touched.into_iter().flatten().cloned());
        }
        Some((from, concern))
    });
    steps.collect()
}

/// Returns the steps behind which a process is there: those until what its node
/// depends on is ready.
fn needed_for(
    model: &Model,
    topology: &Topology,
    process: &ProcessName,
    processes: &[ProcessName],
) -> Option<Vec<(ProcessName, u32)>> {
    let mut needed = Vec::new();
    let mut seen = BTreeSet::new();
    let mut open = vec![topology.find(&process.node)?];
    while let Some(node) = open.pop() {
        for dependency in &topology.node(node).dependencies {
            if !seen.insert(dependency.on) {
                continue;
            }
            open.push(dependency.on);
            let name = &topology.node(dependency.on).name;
            let steps = model.steps_until_ready(name)?;
            let instances = processes.iter().filter(|one| one.node == *name);
            needed.extend(instances.map(|one| (one.clone(), steps)));
        }
    }
    Some(needed)
}

#[cfg(test)]
mod tests {
    use zenekar_model::behaviour::{Behaviour, Behaviours, Contact, Need, Quantifier, Segment};

    use super::*;

    /// A server and a client that does something, contacts it, and does more.
    fn model() -> Model {
        let plain = |commands| Segment {
            commands: Some(commands),
            ..Segment::default()
        };
        let contact = Segment {
            needs: vec![Need {
                node: "srv".to_owned(),
                what: Contact::Port(80),
                quantifier: Quantifier::One,
            }],
            ..plain(2)
        };
        let shares = Segment {
            writes: vec!["share".to_owned()],
            ..plain(3)
        };
        let node = |segments| Behaviour {
            segments,
            ..Behaviour::default()
        };
        let nodes = [
            ("srv".to_owned(), node(vec![plain(1), plain(2)])),
            ("cl".to_owned(), node(vec![plain(1), contact, shares])),
        ];
        let points = [
            ("srv".to_owned(), vec![0, 1, 2]),
            ("cl".to_owned(), vec![0, 1, 2, 3]),
        ];
        let nodes = nodes.into_iter().collect();
        Model::new(Behaviours { nodes }, points.into_iter().collect())
    }

    #[test]
    fn who_has_to_do_with_another_one_is_dependent() {
        let model = model();
        let concerns = ["srv", "cl"].map(|node| concerns_of(&model, node).expect("it is known"));
        let [srv, cl] = &concerns;
        assert!(srv.values().all(|concern| concern.nodes.is_empty()));
        assert!(cl[&1].nodes.is_empty() && cl[&1].objects.is_empty());
        assert!(cl[&2].nodes.contains("srv") && cl[&3].objects.contains("share"));
        assert!(concerns_of(&model, "nobody").is_none());
    }
}
