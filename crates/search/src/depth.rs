//! Deepest first: little memory for what is still to do, and ways that may be
//! long.
//!
//! It goes on from the states that it reached, not from their representatives,
//! so each way is one of the system itself.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::BuildHasherDefault;

use crate::expand::{GoesOn, Successor, begin, successors};
use crate::fingerprint::{AsItIs, Fingerprint128};
use crate::model::{Model, STUCK};
use crate::outcome::{ASK_EVERY, Budget, End, Outcome, Stop, Violation};

/// Bytes of an entry of the table of visits, which is at most seven eighths full.
const VISIT_BYTES: u64 = 38;

/// What is remembered of a state.
struct Visit {
    /// How deep it was reached, at least.
    depth: u32,
    /// Whether it is on the way that is being walked.
    is_open: bool,
}

/// Only asked, never iterated.
type Visits = HashMap<Fingerprint128, Visit, BuildHasherDefault<AsItIs>>;

/// A state on the way, with what is still to do in it.
struct Frame<M: Model> {
    fingerprint: Fingerprint128,
    actions: Vec<M::Action>,
    /// In reverse, so that the next one is the last.
    successors: Vec<Successor<M::State>>,
    bytes: u64,
}

struct Search<'a, M: Model> {
    model: &'a M,
    budget: &'a Budget,
    visits: Visits,
    frames: Vec<Frame<M>>,
    /// The actions between the frames.
    way: Vec<M::Action>,
    initial: usize,
    /// Successors in all frames.
    waiting: u64,
    frames_bytes: u64,
    is_cut: bool,
    outcome: Outcome<M::Action>,
}

/// Explores a model, deepest first.
pub(crate) fn search<M: Model>(model: &M, budget: &Budget, stop: Stop<'_>) -> Outcome<M::Action> {
    let mut search = Search {
        model,
        budget,
        visits: Visits::default(),
        frames: Vec::new(),
        way: Vec::new(),
        initial: 0,
        waiting: 0,
        frames_bytes: 0,
        is_cut: false,
        outcome: Outcome::new(),
    };
    search.outcome.end = search.run(stop);
    search.outcome
}

impl<M: Model> Search<'_, M> {
    fn run(&mut self, stop: Stop<'_>) -> End {
        let mut turn = 0u64;
        for (initial, first) in begin(self.model, GoesOn::FromItself)
            .into_iter()
            .enumerate()
        {
            self.initial = initial;
            self.enter(first);
            loop {
                if let Some(end) = self.outcome.limit(self.budget) {
                    return end;
                }
                if turn.is_multiple_of(ASK_EVERY) && stop(&self.outcome.progress(self.waiting)) {
                    return End::Stopped;
                }
                turn += 1;
                let Some(frame) = self.frames.last_mut() else {
                    break;
                };
                if let Some(successor) = frame.successors.pop() {
                    self.waiting -= 1;
                    let action = frame.actions[successor.action as usize].clone();
                    self.way.push(action);
                    if !self.enter(successor) {
                        self.way.pop();
                    }
                } else {
                    self.leave();
                }
            }
        }
        if self.is_cut {
            End::Depth
        } else {
            End::Exhausted
        }
    }

    /// Visits a state, if there is anything to do in it; says whether there is.
    fn enter(&mut self, reached: Successor<M::State>) -> bool {
        let depth = u32::try_from(self.way.len()).unwrap_or(u32::MAX);
        let is_first = match self.visits.entry(reached.fingerprint) {
            Entry::Vacant(place) => {
                place.insert(Visit {
                    depth,
                    is_open: false,
                });
                true
            }
            // What was out of reach from there may be within reach from here.
            Entry::Occupied(mut place)
                if self.is_cut && depth < place.get().depth && !place.get().is_open =>
            {
                place.get_mut().depth = depth;
                false
            }
            Entry::Occupied(_) => return false,
        };
        if is_first {
            self.outcome.unique += 1;
            self.outcome.depth = self.outcome.depth.max(depth);
            if let Some(property) = self.model.violation(&reached.state) {
                self.report(property);
            }
        }
        let (mut actions, mut found) = (Vec::new(), Vec::new());
        let visits = &self.visits;
        let fingerprint = reached.fingerprint;
        let is_old =
            |other| other == fingerprint || visits.get(&other).is_some_and(|visit| visit.is_open);
        let (model, from) = (self.model, GoesOn::FromItself);
        successors(
            model,
            from,
            &reached.state,
            &mut actions,
            &is_old,
            &mut found,
        );
        self.outcome.generated += found.len() as u64;
        if found.is_empty() {
            if is_first {
                self.end(&reached.state);
            }
            return false;
        }
        if depth == self.budget.depth_max {
            let is_new = |one: &Successor<_>| !self.visits.contains_key(&one.fingerprint);
            self.is_cut |= found.iter().any(is_new);
            return false;
        }
        found.reverse();
        self.push(fingerprint, actions, found);
        true
    }

    fn push(
        &mut self,
        fingerprint: Fingerprint128,
        actions: Vec<M::Action>,
        successors: Vec<Successor<M::State>>,
    ) {
        if let Some(visit) = self.visits.get_mut(&fingerprint) {
            visit.is_open = true;
        }
        let sizes = successors.iter();
        let bytes: usize = sizes.map(|one| self.model.size_bytes(&one.state)).sum();
        let bytes = (bytes + actions.len() * size_of::<M::Action>()) as u64;
        self.waiting += successors.len() as u64;
        self.frames_bytes += bytes;
        self.frames.push(Frame {
            fingerprint,
            actions,
            successors,
            bytes,
        });
        let outcome = &mut self.outcome;
        outcome.frontier_max = outcome.frontier_max.max(self.waiting);
        let table = self.visits.capacity() as u64 * VISIT_BYTES;
        outcome.bytes = outcome.bytes.max(table + self.frames_bytes);
    }

    fn leave(&mut self) {
        if let Some(frame) = self.frames.pop() {
            self.frames_bytes -= frame.bytes;
            if let Some(visit) = self.visits.get_mut(&frame.fingerprint) {
                visit.is_open = false;
            }
        }
        self.way.pop();
    }

    fn end(&mut self, state: &M::State) {
        self.outcome.ends += 1;
        if !self.model.is_accepting(state) {
            self.outcome.stuck_ends += 1;
            self.report(STUCK);
        }
    }

    fn report(&mut self, property: u32) {
        if self.outcome.wants(property) {
            self.outcome.violations.push(Violation {
                property,
                actions: self.way.clone(),
                initial: self.initial,
                is_run: true,
            });
        }
    }
}
