//! The runs as pictures.

use std::path::Path;

use zenekar_live::{ExecutionTree, Kind, ProcessName};
use zenekar_picture::{Boundary, Edge, ExecutionGraph, Node, NodeKind, SpaceTime, Step, StepKind};

use super::account::Story;
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
    file: &Path,
) -> Result<(), Failure> {
    pictures::save_diagram(&space_time(story, processes), file)
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

fn space_time(story: &Story, processes: &[ProcessName]) -> SpaceTime {
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
    SpaceTime {
        lanes: processes.iter().map(ToString::to_string).collect(),
        steps: arrivals.chain(stuck).collect(),
        messages: Vec::new(),
        boundaries: boundaries.collect(),
    }
}
