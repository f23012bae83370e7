//! The states of a model and what leads from which to which, all in memory.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::BuildHasherDefault;

use crate::fingerprint::{AsItIs, Fingerprint128};
use crate::model::Model;
use crate::outcome::{ASK_EVERY, Budget, End, Progress, Stop};

/// What leads to a state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edge<A> {
    /// What happens.
    pub action: A,
    /// The state that it leads to.
    pub to: u32,
}

/// Which states are one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identity {
    /// Only equal ones.
    Exact,
    /// Those that differ in who is who, as far as
    /// [`Model::representative`] tells.
    UpToSymmetry,
}

/// States, numbered in the order of their distance from the beginning, and what
/// can happen in each. Nothing waits in it: [`Model::ample`] is not asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Graph<S, A> {
    /// The states.
    pub states: Vec<S>,
    /// What leads away from each. What changes nothing that counts is left out.
    pub edges: Vec<Vec<Edge<A>>>,
    /// Where it begins, in the order of [`Model::initial`].
    pub initial: Vec<u32>,
    /// How many of the states had their turn; what follows the others is not known.
    pub expanded: usize,
    /// Why it ends.
    pub end: End,
}

/// Numbers of states. Only asked, never iterated.
type Numbers = HashMap<Fingerprint128, u32, BuildHasherDefault<AsItIs>>;

/// Explores a model, nearest first, and keeps everything. Depth and memory of
/// the budget do not count, its number of states does.
pub fn explore<M: Model>(
    model: &M,
    identity: Identity,
    budget: &Budget,
    stop: Stop<'_>,
) -> Graph<M::State, M::Action> {
    let known = |state: M::State| match identity {
        Identity::Exact => state,
        Identity::UpToSymmetry => model.representative(state),
    };
    let mut graph = Graph {
        states: Vec::new(),
        edges: Vec::new(),
        initial: Vec::new(),
        expanded: 0,
        end: End::Exhausted,
    };
    let mut numbers = Numbers::default();
    for state in model.initial() {
        let number = graph.number(model, &mut numbers, known(state));
        graph.initial.push(number);
    }
    let (mut actions, mut generated) = (Vec::new(), 0u64);
    while graph.expanded < graph.states.len() {
        let at = graph.expanded;
        let unique = graph.states.len() as u64;
        if unique > budget.states_max.min(u64::from(u32::MAX) / 2) {
            graph.end = End::States;
            return graph;
        }
        let frontier = unique - at as u64;
        let progress = Progress {
            unique,
            generated,
            depth: 0,
            frontier,
        };
        if (at as u64).is_multiple_of(ASK_EVERY) && stop(&progress) {
            graph.end = End::Stopped;
            return graph;
        }
        actions.clear();
        model.actions(&graph.states[at], &mut actions);
        let mut edges = Vec::with_capacity(actions.len());
        for action in actions.drain(..) {
            if let Some(next) = model.apply(&graph.states[at], &action) {
                let to = graph.number(model, &mut numbers, known(next));
                edges.push(Edge { action, to });
            }
        }
        generated += edges.len() as u64;
        graph.edges[at] = edges;
        graph.expanded += 1;
    }
    graph
}

impl<S, A> Graph<S, A> {
    /// Finds the number of a state, or gives it one.
    fn number<M: Model<State = S, Action = A>>(
        &mut self,
        model: &M,
        numbers: &mut Numbers,
        state: S,
    ) -> u32 {
        match numbers.entry(model.fingerprint(&state)) {
            Entry::Occupied(place) => *place.get(),
            Entry::Vacant(place) => {
                let number = u32::try_from(self.states.len()).unwrap_or(u32::MAX);
                self.states.push(state);
                self.edges.push(Vec::new());
                *place.insert(number)
            }
        }
    }
}
