//! Most promising first.
//!
//! What is promising only decides the order. Every sixteenth state is the one
//! that has waited longest, so no state waits for ever, and a search that ends
//! by itself has seen everything.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};

use crate::expand::{GoesOn, Successor, begin, successors};
use crate::model::{Model, STUCK};
use crate::outcome::{ASK_EVERY, Budget, End, Outcome, Stop};
use crate::seen::{Origin, Origins, Seen};

/// Of so many states one is the oldest: a sixteenth is what hopes that are all
/// wrong cost.
const AGED_EVERY: u64 = 16;

/// Bytes that a waiting state takes besides itself: its places in three tables.
const WAITING_BYTES: u64 = 48;

/// A state that waits for its turn.
struct Waiting<S> {
    state: S,
    depth: u32,
}

struct Search<'a, M: Model> {
    model: &'a M,
    budget: &'a Budget,
    seen: Seen,
    origins: Origins,
    outcome: Outcome<M::Action>,
    waiting: BTreeMap<u32, Waiting<M::State>>,
    waiting_bytes: u64,
    /// By score, then by age. What has had its turn by age stays until it is met.
    by_score: BinaryHeap<(u64, Reverse<u32>)>,
    /// By age. What has had its turn by score stays until it is met.
    by_age: VecDeque<u32>,
}

/// Explores a model, highest score first.
pub(crate) fn search<M: Model>(model: &M, budget: &Budget, stop: Stop<'_>) -> Outcome<M::Action> {
    let mut search = Search {
        model,
        budget,
        seen: Seen::new(),
        origins: Origins::new(),
        outcome: Outcome::new(),
        waiting: BTreeMap::new(),
        waiting_bytes: 0,
        by_score: BinaryHeap::new(),
        by_age: VecDeque::new(),
    };
    search.outcome.end = search.run(stop);
    search.outcome
}

impl<M: Model> Search<'_, M> {
    fn run(&mut self, stop: Stop<'_>) -> End {
        for successor in begin(self.model, GoesOn::FromRepresentative) {
            self.reach(Origin::NOBODY, 0, successor);
        }
        let (mut actions, mut found) = (Vec::new(), Vec::new());
        let (mut turn, mut is_cut) = (0u64, false);
        loop {
            if let Some(end) = self.outcome.limit(self.budget) {
                return end;
            }
            if turn.is_multiple_of(ASK_EVERY)
                && stop(&self.outcome.progress(self.waiting.len() as u64))
            {
                return End::Stopped;
            }
            let Some((number, Waiting { state, depth })) = self.next(turn) else {
                break;
            };
            turn += 1;
            self.waiting_bytes -= self.model.size_bytes(&state) as u64 + WAITING_BYTES;
            let seen = &self.seen;
            let is_old = |fingerprint| seen.contains(fingerprint);
            let from = GoesOn::FromRepresentative;
            successors(self.model, from, &state, &mut actions, &is_old, &mut found);
            self.outcome.generated += found.len() as u64;
            if found.is_empty() {
                self.outcome.ends += 1;
                if !self.model.is_accepting(&state) {
                    self.outcome.stuck_ends += 1;
                    self.report(number, STUCK);
                }
            }
            if depth == self.budget.depth_max {
                is_cut |= !found.iter().all(|one| self.seen.contains(one.fingerprint));
                continue;
            }
            for successor in found.drain(..) {
                self.reach(number, depth + 1, successor);
            }
        }
        if is_cut { End::Depth } else { End::Exhausted }
    }

    /// Takes the state whose turn it is.
    fn next(&mut self, turn: u64) -> Option<(u32, Waiting<M::State>)> {
        loop {
            let number = if turn % AGED_EVERY == AGED_EVERY - 1 {
                self.by_age.pop_front()?
            } else {
                self.by_score.pop()?.1.0
            };
            if let Some(waiting) = self.waiting.remove(&number) {
                return Some((number, waiting));
            }
        }
    }

    fn reach(&mut self, parent: u32, depth: u32, successor: Successor<M::State>) {
        if !self.seen.insert(successor.fingerprint) {
            return;
        }
        let state = successor.state;
        let number = self.origins.push(Origin {
            parent,
            action: successor.action,
        });
        let outcome = &mut self.outcome;
        outcome.unique += 1;
        outcome.depth = outcome.depth.max(depth);
        let violation = self.model.violation(&state);
        self.waiting_bytes += self.model.size_bytes(&state) as u64 + WAITING_BYTES;
        self.by_score
            .push((self.model.score(&state), Reverse(number)));
        self.by_age.push_back(number);
        self.waiting.insert(number, Waiting { state, depth });
        outcome.frontier_max = outcome.frontier_max.max(self.waiting.len() as u64);
        let bytes = self.seen.bytes() + self.origins.bytes() + self.waiting_bytes;
        outcome.bytes = outcome.bytes.max(bytes);
        if let Some(property) = violation {
            self.report(number, property);
        }
    }

    fn report(&mut self, number: u32, property: u32) {
        if self.outcome.wants(property) {
            let violation = self.origins.way(self.model, number, property);
            self.outcome.violations.push(violation);
        }
    }
}
