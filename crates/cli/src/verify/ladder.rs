//! Small topologies first: what is wrong with many instances is mostly wrong
//! with few ones already.

use std::collections::BTreeMap;
use std::sync::Arc;

use zenekar_model::{CountRange, Topology};
use zenekar_verify::{Counts, Demand, Setting, Step, with_counts};

/// Instances of a node in the small topology, if the descriptor has more: two
/// are the fewest that can be in each other's way.
const SMALL: u32 = 2;

/// Instances that can be explored: states have one byte for the place of each
/// machine, and while everything is replaced there are two for each instance.
const INSTANCES_MAX: u64 = 100;

/// Makes the script of a topology.
pub(crate) type ScriptOf<'a> = &'a dyn Fn(&Topology) -> Vec<Step>;

/// Something to explore.
pub(crate) struct Rung {
    /// What is special about its counts.
    pub(crate) note: Option<&'static str>,
    pub(crate) setting: Setting,
}

/// What is explored, one after the other.
pub(crate) struct Ladder {
    pub(crate) rungs: Vec<Rung>,
    /// How many instances there would be, if they are too many.
    pub(crate) too_many: Option<u64>,
}

/// Makes the ladder of a setting. `script_of` makes the script of another
/// topology; none if users gave one, which fits the descriptor's counts only.
pub(crate) fn ladder(setting: Setting, script_of: Option<ScriptOf<'_>>) -> Ladder {
    let instances = instances(&setting);
    let small = small(&setting.topology);
    let mut ladder = Ladder {
        rungs: Vec::new(),
        too_many: (instances > INSTANCES_MAX).then_some(instances),
    };
    if let (Some(small), Some(script_of)) = (small, script_of) {
        let mut setting = setting.clone();
        setting.script = script_of(&small);
        setting.topology = Arc::new(small);
        ladder.rungs.push(Rung {
            note: Some("at most 2 each"),
            setting,
        });
    }
    if ladder.too_many.is_none() {
        ladder.rungs.push(Rung {
            note: None,
            setting,
        });
    }
    ladder
}

/// Returns how many instances there are at once at most: nodes have their
/// lowest count until people ask for another one.
fn instances(setting: &Setting) -> u64 {
    let mut most: BTreeMap<&str, u32> = BTreeMap::new();
    let mut see = |node, count: u32| {
        let known = most.entry(node).or_default();
        *known = count.max(*known);
    };
    let counts = |topology: &Topology| -> Vec<_> {
        let nodes = topology.nodes().iter();
        nodes.map(|node| (node.name.clone(), node.count)).collect()
    };
    let mut all = counts(&setting.topology);
    for step in &setting.script {
        if let Demand::Update(topology) = &step.demand {
            all.extend(counts(topology));
        }
    }
    for (node, count) in &all {
        see(node.as_str(), count.min);
    }
    for step in &setting.script {
        if let Demand::Scale { node, count } = &step.demand {
            // What is more than a node may have is refused.
            let max = all.iter().filter(|(name, _)| name == node);
            let max = max.map(|(_, count)| count.max).max();
            see(node.as_str(), max.map_or(*count, |max| max.min(*count)));
        }
    }
    most.values().map(|count| u64::from(*count)).sum()
}

/// Returns the topology with fewer instances; none if it has few.
fn small(topology: &Topology) -> Option<Topology> {
    let mut counts = Counts::new();
    for node in topology.nodes() {
        let min = node.count.min.min(SMALL);
        let max = node.count.max.min(min + 1);
        if node.count.min > SMALL {
            counts.insert(node.name.clone(), CountRange { min, max });
        }
    }
    if counts.is_empty() {
        return None;
    }
    with_counts(topology, &counts).ok()
}
