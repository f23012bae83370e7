//! The runs as pictures.

use std::path::Path;

use zenekar_live::{ExecutionTree, Kind, ProcessName};
use zenekar_picture::{
    Boundary, Edge, ExecutionGraph, Message, Node, NodeKind, SpaceTime, Step, StepKind,
};

use super::account::Story;
use super::orchestra::Told;
use crate::errors::Failure;
use crate::pictures;

/// Writes the execution tree.
pub(crate) fn write_graph(tree: &ExecutionTree, file: &Path) -> Result<(), Failure> {
    pictures::save_graph(&graph(tree), file)
}

/// Writes one run.
pub(crate) fn write_diagram(
    story: &Story,
    processes: &[ProcessName],
    told: &[Told],
    file: &Path,
) -> Result<(), Failure> {
    pictures::save_diagram(&space_time(story, processes, told), file)
}

fn graph(tree: &ExecutionTree) -> ExecutionGraph {
    let mut graph = ExecutionGraph::default();
    let mut layers: Vec<u32> = Vec::new();
    for (id, state) in (0..).zip(tree.states()) {
        // Each state stands after its parent.
        let layer = state
            .parent
            .and_then(|parent| layers.get(parent.0 as usize))
            .map_or(0, |layer| layer + 1);
        layers.push(layer);
        let kind = match state.kind {
            _ if !state.violated.is_empty() => NodeKind::Violated,
            Kind::Root => NodeKind::Root,
            Kind::Alternative => NodeKind::Alternative,
            Kind::Deterministic => NodeKind::Deterministic,
            Kind::Final => NodeKind::Final,
            Kind::Stuck => NodeKind::Stuck,
        };
        graph.nodes.push(Node {
            id,
            kind,
            label: state.breakpoints.to_string(),
            layer,
            multiplicity: 1,
        });
        if let (Some(parent), Some(stepped)) = (state.parent, &state.stepped) {
            graph.edges.push(Edge {
                from: parent.0,
                to: id,
                label: stepped.to_string(),
                is_fault: false,
            });
        }
    }
    graph
}

/// The lane of the orchestrator.
const ENGINE: &str = "the engine";

fn space_time(story: &Story, processes: &[ProcessName], told: &[Told]) -> SpaceTime {
    let lane = |process: &ProcessName| processes.iter().position(|one| one == process);
    let arrivals = story.arrivals.iter().filter_map(|arrival| {
        Some(Step {
            at_ms: arrival.at_ms,
            lane: lane(&arrival.process)?,
            kind: StepKind::Breakpoint { is_active: true },
            label: arrival.tag.clone(),
        })
    });
    let stuck = story.stuck.iter().filter_map(|(at_ms, process)| {
        Some(Step {
            at_ms: *at_ms,
            lane: lane(process)?,
            kind: StepKind::Fault,
            label: "did not come".to_owned(),
        })
    });
    let boundaries = story
        .boundaries
        .iter()
        .zip(1..)
        .map(|((at_ms, _), number)| Boundary {
            at_ms: *at_ms,
            label: format!("M{number}"),
        });
    let names = processes.iter().map(ToString::to_string);
    let mut picture = SpaceTime {
        lanes: names.chain([ENGINE.to_owned()]).collect(),
        steps: arrivals.chain(stuck).collect(),
        messages: Vec::new(),
        boundaries: boundaries.collect(),
    };
    for one in told {
        if let Some(lane) = lane(&one.process) {
            add_notification(&mut picture, one, lane, story.began_ms);
        }
    }
    picture
}

/// Adds that a process said it is ready, and that the orchestrator was let know.
fn add_notification(picture: &mut SpaceTime, told: &Told, lane: usize, began_ms: u64) {
    let from = picture.steps.len();
    let at_ms = told.sent_ms.saturating_sub(began_ms);
    let known_ms = told
        .known_ms
        .map_or(at_ms, |known| known.saturating_sub(began_ms));
    let engine = picture.lanes.len() - 1;
    let step = |at_ms, lane, label: &str| Step {
        at_ms,
        lane,
        kind: StepKind::Decision,
        label: label.to_owned(),
    };
    picture.steps.push(step(at_ms, lane, "ready"));
    let label = format!("{} is ready", told.process);
    picture.steps.push(step(known_ms, engine, &label));
    picture.messages.push(Message {
        from,
        to: from + 1,
        label: String::new(),
        is_postponed: told.is_postponed,
        is_lost: told.known_ms.is_none(),
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notifications_go_to_the_lane_of_the_engine() {
        let mut picture = SpaceTime {
            lanes: vec!["srv[1]".to_owned(), ENGINE.to_owned()],
            ..SpaceTime::default()
        };
        let told = Told::new(&ProcessName::new("srv", 1), 1_250, Some(1_400), true);
        add_notification(&mut picture, &told, 0, 1_000);
        let places: Vec<_> = picture
            .steps
            .iter()
            .map(|step| (step.at_ms, step.lane))
            .collect();
        assert_eq!(places, [(250, 0), (400, 1)]);
        let [message] = &picture.messages[..] else {
            panic!("{:?}", picture.messages);
        };
        assert_eq!((message.from, message.to), (0, 1));
        assert!(message.is_postponed && !message.is_lost);
    }
}
