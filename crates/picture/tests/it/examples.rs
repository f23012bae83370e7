//! Executions of clients and a server, small and large.

use std::collections::BTreeMap;

use zenekar_picture::{
    Boundary, Edge, ExecutionGraph, Message, Node, NodeKind, SpaceTime, Step, StepKind,
};

/// The states of clients that contact a server once each, and of the server
/// that opens its port; a client that comes too early is stuck. Equal clients
/// are not told apart if `is_folded`.
pub(crate) fn graph(clients: usize, is_folded: bool) -> ExecutionGraph {
    let mut graph = ExecutionGraph::default();
    let mut ids: BTreeMap<Vec<bool>, u32> = BTreeMap::new();
    let first = vec![false; clients + 1];
    ids.insert(first.clone(), 0);
    graph
        .nodes
        .push(node(0, NodeKind::Root, "nobody".to_owned(), 0));
    let mut level = vec![first];
    let mut layer = 0;
    while !level.is_empty() {
        layer += 1;
        let mut next = Vec::new();
        for state in level {
            let from = ids[&state];
            if matches!(
                graph.nodes[from as usize].kind,
                NodeKind::Violated | NodeKind::Stuck
            ) {
                continue;
            }
            for who in 0..=clients {
                if state[who] {
                    continue;
                }
                let mut after = state.clone();
                after[who] = true;
                if is_folded {
                    after[..clients].sort_unstable_by(|one, other| other.cmp(one));
                }
                let id = ids.get(&after).copied().unwrap_or_else(|| {
                    let id = u32::try_from(graph.nodes.len()).expect("few nodes");
                    let kind = kind(&after, clients);
                    graph
                        .nodes
                        .push(node(id, kind, label(&after, clients), layer));
                    ids.insert(after.clone(), id);
                    next.push(after.clone());
                    id
                });
                graph.nodes[id as usize].multiplicity += u64::from(is_folded);
                let is_server = who == clients;
                let label = if is_server {
                    "server[1]".to_owned()
                } else {
                    format!("client-{who}[1]")
                };
                let edge = Edge {
                    from,
                    to: id,
                    label,
                    is_fault: who == 1 && state[0] && !is_folded,
                };
                if !graph
                    .edges
                    .iter()
                    .any(|old| old.from == from && old.to == id)
                {
                    graph.edges.push(edge);
                }
            }
        }
        level = next;
    }
    graph
}

fn node(id: u32, kind: NodeKind, label: String, layer: u32) -> Node {
    let multiplicity = u64::from(id == 0);
    Node {
        id,
        kind,
        label,
        layer,
        multiplicity,
    }
}

fn kind(state: &[bool], clients: usize) -> NodeKind {
    let done = state.iter().filter(|done| **done).count();
    match (state[clients], done) {
        (false, 2) => NodeKind::Violated,
        (false, done) if done == clients => NodeKind::Stuck,
        (true, done) if done == clients + 1 => NodeKind::Final,
        (true, done) if done == clients => NodeKind::Deterministic,
        _ => NodeKind::Alternative,
    }
}

fn label(state: &[bool], clients: usize) -> String {
    let done = state[..clients].iter().filter(|done| **done).count();
    let server = if state[clients] { "server, " } else { "" };
    format!("{server}{done} clients")
}

/// One way with a long part in which nothing can be chosen.
pub(crate) fn chain(length: u32) -> ExecutionGraph {
    let kind = |id| match id {
        0 => NodeKind::Root,
        id if id == length => NodeKind::Final,
        _ => NodeKind::Deterministic,
    };
    ExecutionGraph {
        nodes: (0..=length)
            .map(|id| Node {
                multiplicity: 1,
                ..node(id, kind(id), format!("state {id}"), id)
            })
            .collect(),
        edges: (0..length)
            .map(|from| Edge {
                from,
                to: from + 1,
                label: format!("step {from}"),
                is_fault: false,
            })
            .collect(),
    }
}

/// A run in which clients wait for a server; every fifth one has a fault.
pub(crate) fn run(clients: usize) -> SpaceTime {
    let mut run = SpaceTime {
        lanes: vec![
            "engine".to_owned(),
            "cloud".to_owned(),
            "server-0".to_owned(),
        ],
        ..SpaceTime::default()
    };
    run.lanes
        .extend((0..clients).map(|client| format!("client-{client}")));
    run.boundaries.push(Boundary {
        at_ms: 0,
        label: "M1".to_owned(),
    });
    let step = |run: &mut SpaceTime, at_ms, lane, kind, label: &str| {
        run.steps.push(Step {
            at_ms,
            lane,
            kind,
            label: label.to_owned(),
        });
        run.steps.len() - 1
    };
    let message = |run: &mut SpaceTime, from, to, label: &str, held, lost| {
        run.messages.push(Message {
            from,
            to,
            label: label.to_owned(),
            is_postponed: held,
            is_lost: lost,
        });
    };
    let ask = step(&mut run, 0, 0, StepKind::Decision, "create all");
    let made = step(
        &mut run,
        800,
        1,
        StepKind::Segment { until_ms: 1_500 },
        "make machines",
    );
    message(&mut run, ask, made, "create", false, false);
    let boot = step(
        &mut run,
        2_000,
        2,
        StepKind::Segment { until_ms: 9_000 },
        "install",
    );
    message(&mut run, made, boot, "booted", false, false);
    let held = step(
        &mut run,
        9_500,
        2,
        StepKind::Breakpoint { is_active: true },
        "bp 1",
    );
    run.boundaries.push(Boundary {
        at_ms: 10_000,
        label: "M2".to_owned(),
    });
    let seen = step(&mut run, 12_000, 0, StepKind::Decision, "let server go");
    message(&mut run, held, seen, "bp 1 reached", true, false);
    let open = step(
        &mut run,
        13_000,
        2,
        StepKind::Segment { until_ms: 15_000 },
        "open port 3306",
    );
    message(&mut run, seen, open, "go on", false, false);
    for client in 0..clients {
        let (lane, at) = (client + 3, 3_000 + client as u64 * 350);
        let boot = step(
            &mut run,
            at,
            lane,
            StepKind::Segment {
                until_ms: at + 1_400,
            },
            "install",
        );
        message(&mut run, made, boot, "booted", false, false);
        step(
            &mut run,
            at + 2_000,
            lane,
            StepKind::Breakpoint { is_active: false },
            "bp 1",
        );
        let contact = 16_000 + client as u64 * 500;
        if client % 5 == 3 {
            let fault = step(&mut run, contact, lane, StepKind::Fault, "reboot");
            let told = step(&mut run, contact + 300, 0, StepKind::Decision, "replace");
            message(&mut run, fault, told, "gone", false, true);
        } else {
            let kind = StepKind::Segment {
                until_ms: contact + 400,
            };
            let contact = step(&mut run, contact, lane, kind, "contact server");
            message(&mut run, open, contact, "port 3306", false, false);
        }
    }
    run.boundaries.push(Boundary {
        at_ms: 60_000,
        label: "M3".to_owned(),
    });
    run
}
