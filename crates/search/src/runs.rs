//! How many runs there are, without walking them: a run is a way through the
//! graph of states, and ways are added up from the ends.

use crate::graph::{Graph, Identity, explore};
use crate::model::Model;
use crate::natural::Natural;
use crate::outcome::{Budget, End, Stop};

/// How large the tree of runs is that a graph stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunCount {
    /// Ways from a beginning to an end: the leaves of the tree.
    pub runs: Natural,
    /// Nodes of the tree, leaves and roots included.
    pub tree_nodes: Natural,
    /// States of the graph.
    pub states: u64,
    /// Edges of the graph.
    pub edges: u64,
}

/// Why runs were not counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Uncounted {
    /// Something can happen again and again, so there are runs without end.
    Cyclic,
    /// The graph was not explored to its end.
    Unexplored(End),
}

/// Counts the runs of a model without cycles, exactly. With states that are one
/// up to symmetry it counts the same, in less time.
pub fn count_runs<M: Model>(
    model: &M,
    identity: Identity,
    budget: &Budget,
    stop: Stop<'_>,
) -> Result<RunCount, Uncounted> {
    let graph = explore(model, identity, budget, stop);
    if graph.end != End::Exhausted {
        return Err(Uncounted::Unexplored(graph.end));
    }
    let order = order(&graph).ok_or(Uncounted::Cyclic)?;
    let empty = (Natural::default(), Natural::default());
    let mut below = vec![empty; graph.states.len()];
    for node in order.into_iter().rev() {
        let edges = &graph.edges[node as usize];
        let mut runs = Natural::from(u64::from(edges.is_empty()));
        let mut nodes = Natural::from(1);
        for edge in edges {
            let (more_runs, more_nodes) = &below[edge.to as usize];
            runs.add(more_runs);
            nodes.add(more_nodes);
        }
        below[node as usize] = (runs, nodes);
    }
    let mut count = RunCount {
        runs: Natural::default(),
        tree_nodes: Natural::default(),
        states: graph.states.len() as u64,
        edges: graph.edges.iter().map(|of| of.len() as u64).sum(),
    };
    for node in &graph.initial {
        let (runs, nodes) = &below[*node as usize];
        count.runs.add(runs);
        count.tree_nodes.add(nodes);
    }
    Ok(count)
}

/// Puts each state before all that can be reached from it (Kahn 1962); `None`
/// if there is no such order.
fn order<S, A>(graph: &Graph<S, A>) -> Option<Vec<u32>> {
    let mut before = vec![0u64; graph.states.len()];
    for edge in graph.edges.iter().flatten() {
        before[edge.to as usize] += 1;
    }
    let all = 0..u32::try_from(graph.states.len()).unwrap_or(u32::MAX);
    let mut order: Vec<u32> = all.filter(|node| before[*node as usize] == 0).collect();
    let mut at = 0;
    while at < order.len() {
        for edge in &graph.edges[order[at] as usize] {
            before[edge.to as usize] -= 1;
            if before[edge.to as usize] == 0 {
                order.push(edge.to);
            }
        }
        at += 1;
    }
    (order.len() == graph.states.len()).then_some(order)
}
