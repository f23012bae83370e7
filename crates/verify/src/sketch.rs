//! Pictures of explored worlds: which states follow which, and what happened
//! where in one run.

use std::collections::BTreeMap;

use zenekar_picture::{
    Boundary, Edge, ExecutionGraph, Message, Node, NodeKind, SpaceTime, Step, StepKind,
};
use zenekar_search::graph::{Graph, Identity, explore};
use zenekar_search::{Budget, Model, never};

use crate::action::{Action, Outcome};
use crate::moment::Moment;
use crate::setting::Fault;
use crate::trace::{Run, Verdict};
use crate::world::World;

/// The first lanes.
const FIRST: [&str; 2] = ["people", "the engine"];

/// The lane of the engine.
const ENGINE: usize = 1;

/// Instances that are named in the label of a state; of more, only how many
/// segments each has done.
const NAMED_MAX: usize = 4;

impl World {
    /// Returns the states of the world and what leads from one to another,
    /// nearest first, `states_max` at most; those that were not gone into are
    /// marked as pruned.
    pub fn execution_graph(&self, states_max: u64) -> ExecutionGraph {
        let budget = Budget {
            states_max,
            ..Budget::default()
        };
        let graph = explore(self, Identity::UpToSymmetry, &budget, &never);
        let layers = layers(&graph);
        let mut picture = ExecutionGraph::default();
        for (id, moment) in (0..).zip(&graph.states) {
            let at = id as usize;
            picture.nodes.push(Node {
                id,
                kind: self.kind(&graph, at),
                label: self.caption(moment),
                layer: layers.get(at).copied().unwrap_or(0),
                multiplicity: 1,
            });
            for edge in graph.edges.get(at).into_iter().flatten() {
                picture.edges.push(Edge {
                    from: id,
                    to: edge.to,
                    label: self.describe(moment, &edge.action),
                    is_fault: edge.action.fault().is_some(),
                });
            }
        }
        picture
    }

    fn kind(&self, graph: &Graph<Moment, Action>, at: usize) -> NodeKind {
        let moment = &graph.states[at];
        if self.violation(moment).is_some() {
            return NodeKind::Violated;
        }
        if graph.initial.iter().any(|root| *root as usize == at) {
            return NodeKind::Root;
        }
        let Some(edges) = graph.edges.get(at) else {
            return NodeKind::Pruned;
        };
        match edges.len() {
            0 if self.is_accepting(moment) => NodeKind::Final,
            0 => NodeKind::Stuck,
            1 => NodeKind::Deterministic,
            _ => NodeKind::Alternative,
        }
    }

    /// Says how far instances are, as `server/1 2`: two of its segments are done.
    fn caption(&self, moment: &Moment) -> String {
        let machines = (0_u8..).zip(&moment.agents);
        if moment.agents.len() > NAMED_MAX {
            let done = machines.map(|(_, agent)| agent.done.to_string());
            return done.collect::<Vec<_>>().join(" ");
        }
        let named = machines.map(|(machine, agent)| {
            let failed = if agent.has_failed { "!" } else { "" };
            format!(
                "{} {}{failed}",
                self.machine_name(moment, machine),
                agent.done
            )
        });
        named.collect::<Vec<_>>().join("\n")
    }

    /// Returns what happened in a run, in lanes: the engine, people, and instances.
    pub fn space_time(&self, run: &Run) -> SpaceTime {
        let mut picture = SpaceTime {
            lanes: FIRST.map(str::to_owned).to_vec(),
            ..SpaceTime::default()
        };
        let lanes = FIRST.into_iter().map(str::to_owned).zip(0..);
        let mut lanes: BTreeMap<String, usize> = lanes.collect();
        let moments = self.moments(&run.actions);
        let steps = run.actions.iter().zip(&run.choices).zip(&moments);
        let breaking = match run.verdict {
            Verdict::Violated { step, .. } => step as usize,
            Verdict::Passed | Verdict::Open => 0,
        };
        let mut macrosteps = 0;
        // Steps of the same instant stand side by side: their order counts.
        for (number, ((action, choice), moment)) in (1_usize..).zip(steps) {
            let at_ms = number as u64;
            let subject = self.subject_of(moment, *action);
            let lane = *lanes.entry(subject.clone()).or_insert_with(|| {
                picture.lanes.push(subject.clone());
                picture.lanes.len() - 1
            });
            if *action == Action::Tick {
                macrosteps += 1;
                picture.boundaries.push(Boundary {
                    at_ms,
                    label: format!("M{macrosteps}"),
                });
                continue;
            }
            if self.is_routine(moment, *action) {
                continue;
            }
            let label = caption_of(&choice.label, &subject);
            let kind = match action {
                action if action.fault().is_some() || number == breaking => StepKind::Fault,
                Action::Run { .. } => StepKind::Segment {
                    until_ms: at_ms + 1,
                },
                _ => StepKind::Decision,
            };
            let step = |lane, kind, label| Step {
                at_ms,
                lane,
                kind,
                label,
            };
            if let (Action::Call { outcome, .. }, true) = (action, lane > ENGINE) {
                // The engine asks, the cloud does it, and answers.
                let from = picture.steps.len();
                picture
                    .steps
                    .push(step(ENGINE, StepKind::Decision, String::new()));
                picture.steps.push(step(lane, kind, String::new()));
                picture.messages.push(Message {
                    from,
                    to: from + 1,
                    label,
                    is_postponed: *outcome == Outcome::Postponed,
                    is_lost: is_lost(*outcome),
                });
            } else {
                picture.steps.push(step(lane, kind, label));
            }
        }
        picture
    }
}

/// Returns what happens to somebody, without saying to whom.
fn caption_of(label: &str, subject: &str) -> String {
    let label = label.replace(&format!(" of {subject}"), "");
    let label = label.replace(subject, "").replace(" is answered", "");
    label.trim_matches([' ', ':']).to_owned()
}

/// Says whether what was asked for did not take place, or nobody was told of it.
fn is_lost(outcome: Outcome) -> bool {
    !matches!(
        outcome,
        Outcome::Served | Outcome::Postponed | Outcome::Faulty(Fault::StaleList)
    )
}

/// Returns the distance of each state from the beginning.
fn layers(graph: &Graph<Moment, Action>) -> Vec<u32> {
    let mut layers = vec![u32::MAX; graph.states.len()];
    for root in &graph.initial {
        layers[*root as usize] = 0;
    }
    // States are numbered in the order of their distance.
    for (at, edges) in graph.edges.iter().enumerate() {
        let next = layers[at].saturating_add(1);
        for edge in edges {
            let layer = &mut layers[edge.to as usize];
            *layer = (*layer).min(next);
        }
    }
    layers
}
