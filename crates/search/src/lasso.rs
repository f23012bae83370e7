//! Runs that go on for ever without ever getting where they should.

use std::collections::{BTreeMap, VecDeque};

use crate::components::components;
use crate::graph::{Graph, Identity, explore};
use crate::model::Model;
use crate::outcome::{Budget, End, Stop};

/// A run that has no end: first the stem, then the cycle again and again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lasso<A> {
    /// Which of [`Model::initial`] it begins at.
    pub initial: usize,
    /// What happens first.
    pub stem: Vec<A>,
    /// What happens again and again; empty if nothing can happen any more.
    pub cycle: Vec<A>,
}

/// What a search for a lasso found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Liveness<A> {
    /// Why the exploration ended. Unless it is [`End::Exhausted`], that there
    /// is no lasso is not known.
    pub end: End,
    /// States that were looked at.
    pub states: u64,
    /// A run that does not get where it should, with a shortest stem among
    /// those to the same component.
    pub lasso: Option<Lasso<A>>,
}

/// Looks for a run on which from some moment on no state is a goal
/// ([`Model::is_goal`]), although every fair action ([`Model::is_fair`]) that
/// stays possible happens at last (weak fairness), or that ends in a state that
/// is no goal.
///
/// Goals that have to be reached once are those that stay: let the state
/// remember. Representatives are not used, because what is fair to each is not
/// what is fair to any.
///
/// A strongly connected part of what is no goal holds such a run if and only
/// if each fair action is impossible somewhere in it or happens in it: then a
/// cycle through all that is fair; otherwise no part of it either.
pub fn find_lasso<M: Model>(model: &M, budget: &Budget, stop: Stop<'_>) -> Liveness<M::Action> {
    let graph = explore(model, Identity::Exact, budget, stop);
    let is_goal: Vec<bool> = graph.states.iter().map(|one| model.is_goal(one)).collect();
    let is_in = |node: u32| !is_goal[node as usize];
    let successors = |node: u32| graph.edges[node as usize].iter().map(|edge| edge.to);
    let mut first: Option<(u32, Vec<M::Action>)> = None;
    for component in components(graph.states.len(), &is_in, &successors) {
        let nearest = component[0];
        if first.as_ref().is_none_or(|(known, _)| nearest < *known)
            && let Some(cycle) = fair_cycle(model, &graph, &component)
        {
            first = Some((nearest, cycle));
        }
    }
    let lasso = first.map(|(at, cycle)| {
        let stem = way(&graph, &graph.initial, at, &|_| true);
        Lasso {
            initial: stem.from,
            stem: stem.actions,
            cycle,
        }
    });
    Liveness {
        end: graph.end,
        states: graph.states.len() as u64,
        lasso,
    }
}

/// Finds a fair cycle through the first state of a component, if there is one.
/// An end is one, too: an empty cycle.
fn fair_cycle<M: Model>(
    model: &M,
    graph: &Graph<M::State, M::Action>,
    component: &[u32],
) -> Option<Vec<M::Action>> {
    let is_in = |node: u32| component.binary_search(&node).is_ok();
    let first = component[0];
    let edges = &graph.edges[first as usize];
    if component.len() == 1 && !edges.iter().any(|edge| edge.to == first) {
        // Where its turn did not come, nothing is known of what follows.
        let is_end = edges.is_empty() && (first as usize) < graph.expanded;
        return is_end.then(Vec::new);
    }
    // Only what is possible in the first state can be possible in all.
    let mut through = Vec::new();
    for edge in edges.iter().filter(|edge| model.is_fair(&edge.action)) {
        through.push(served(graph, component, &is_in, &edge.action)?);
    }
    let mut cycle = Vec::new();
    let mut at = first;
    for (node, action) in through {
        cycle.extend(way(graph, &[at], node, &is_in).actions);
        at = node;
        if let Some((action, to)) = action {
            cycle.push(action);
            at = to;
        }
    }
    if at == first && cycle.is_empty() {
        let edge = edges.iter().find(|edge| is_in(edge.to))?;
        cycle.push(edge.action.clone());
        at = edge.to;
    }
    cycle.extend(way(graph, &[at], first, &is_in).actions);
    Some(cycle)
}

/// Where a cycle is fair to an action: a state in which it is impossible, or one
/// in which it happens, with where it leads.
type Served<A> = (u32, Option<(A, u32)>);

fn served<S, A: Clone + Eq>(
    graph: &Graph<S, A>,
    component: &[u32],
    is_in: &dyn Fn(u32) -> bool,
    action: &A,
) -> Option<Served<A>> {
    component.iter().find_map(|node| {
        let mut edges = graph.edges[*node as usize].iter();
        match edges.find(|edge| edge.action == *action) {
            None => Some((*node, None)),
            Some(edge) if is_in(edge.to) => Some((*node, Some((edge.action.clone(), edge.to)))),
            Some(_) => None,
        }
    })
}

/// A way through a graph.
struct Way<A> {
    from: usize,
    actions: Vec<A>,
}

/// Finds a shortest way from one of several states to another one, which there
/// is, through states that `is_in` counts.
fn way<S, A: Clone>(
    graph: &Graph<S, A>,
    from: &[u32],
    to: u32,
    is_in: &dyn Fn(u32) -> bool,
) -> Way<A> {
    let mut origins: BTreeMap<u32, Option<(u32, &A)>> = BTreeMap::new();
    let mut waiting: VecDeque<u32> = from.iter().copied().collect();
    origins.extend(from.iter().map(|node| (*node, None)));
    while let Some(node) = waiting.pop_front() {
        if node == to {
            break;
        }
        for edge in &graph.edges[node as usize] {
            if is_in(edge.to) && !origins.contains_key(&edge.to) {
                origins.insert(edge.to, Some((node, &edge.action)));
                waiting.push_back(edge.to);
            }
        }
    }
    let (mut actions, mut at) = (Vec::new(), to);
    while let Some((before, action)) = origins.get(&at).copied().flatten() {
        actions.push(action.clone());
        at = before;
    }
    actions.reverse();
    let from = from.iter().position(|node| *node == at).unwrap_or(0);
    Way { from, actions }
}
