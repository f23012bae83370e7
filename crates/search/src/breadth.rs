//! Breadth first: the shortest way to everything, on several threads with the
//! same outcome as on one.
//!
//! A level is cut into batches whose size does not depend on the number of
//! threads. Of each batch, every thread takes a part and sorts what follows by
//! the shard that remembers it; then every thread takes shards, and goes
//! through what was found for them in the order of the batch. So the states of
//! the next level, their order and the way to each are always the same.

use crate::expand::{GoesOn, Successor, begin, successors};
use crate::model::{Model, STUCK};
use crate::outcome::{Budget, End, Outcome, Stop};
use crate::seen::{Origin, Origins, SHARDS, Seen, Shard};
use crate::threads::joined;

/// States in a batch. What follows one batch is in memory before repetitions
/// are dropped, so it is bounded; large enough that starting threads does not
/// count.
const BATCH: usize = 8_192;

/// Batches smaller than this are not worth a second thread: starting one costs
/// as much as some dozen states of a large model.
const PARALLEL_MIN: usize = 128;

/// States between two questions of a thread whether to stop. A state of a large
/// model may take a millisecond.
const ASK_EVERY: usize = 128;

/// A state that waits for its turn.
struct Waiting<S> {
    number: u32,
    state: S,
}

/// A state that was reached, and from where.
struct Found<S> {
    successor: Successor<S>,
    parent: u32,
}

/// A state that was not there before.
struct New<S> {
    state: S,
    origin: Origin,
    violation: Option<u32>,
    bytes: u64,
}

/// What one thread found in its part of a batch, by shard.
struct Part<S> {
    found: Vec<Vec<Found<S>>>,
    generated: u64,
    ends: u64,
    stuck_ends: u64,
    first_stuck: Option<u32>,
    is_stopped: bool,
}

impl<S> Part<S> {
    fn new() -> Self {
        Self {
            found: (0..SHARDS).map(|_| Vec::new()).collect(),
            generated: 0,
            ends: 0,
            stuck_ends: 0,
            first_stuck: None,
            is_stopped: false,
        }
    }
}

/// What is left of the level that has its turn; its memory counts to the end.
#[derive(Default)]
struct Left {
    states: u64,
    bytes: u64,
}

/// The states of a level, in batches, so that each can be dropped after its turn.
struct Level<S> {
    depth: u32,
    batches: Vec<Vec<Waiting<S>>>,
    states: u64,
    bytes: u64,
}

impl<S> Level<S> {
    fn new(depth: u32) -> Self {
        Self {
            depth,
            batches: Vec::new(),
            states: 0,
            bytes: 0,
        }
    }

    fn push(&mut self, waiting: Waiting<S>, bytes: u64) {
        self.states += 1;
        self.bytes += bytes;
        match self.batches.last_mut() {
            Some(batch) if batch.len() < BATCH => batch.push(waiting),
            _ => self.batches.push(vec![waiting]),
        }
    }
}

/// A search under way.
struct Search<'a, M: Model> {
    model: &'a M,
    budget: &'a Budget,
    stop: Stop<'a>,
    threads: usize,
    seen: Seen,
    origins: Origins,
    outcome: Outcome<M::Action>,
}

/// Explores a model, nearest first.
pub(crate) fn search<M: Model>(model: &M, budget: &Budget, stop: Stop<'_>) -> Outcome<M::Action> {
    let mut search = Search {
        model,
        budget,
        stop,
        threads: budget.threads.clamp(1, SHARDS),
        seen: Seen::new(),
        origins: Origins::new(),
        outcome: Outcome::new(),
    };
    search.outcome.end = search.run();
    search.outcome
}

impl<M: Model> Search<'_, M> {
    fn run(&mut self) -> End {
        let mut level = Level::new(0);
        let first = self.merge(vec![first(self.model)]);
        let nothing = Left::default();
        if let Some(end) = self.take(first, &mut level, &nothing) {
            return end;
        }
        while level.states > 0 {
            let mut next = Level::new(level.depth.saturating_add(1));
            let is_last = level.depth == self.budget.depth_max;
            let mut left = Left {
                states: level.states,
                bytes: level.bytes,
            };
            for batch in level.batches {
                let progress = self.outcome.progress(left.states + next.states);
                left.states -= batch.len() as u64;
                let parts = self.expand(&batch, &|| (self.stop)(&progress));
                if let Some(end) = self.count(&parts) {
                    return end;
                }
                if is_last {
                    let mut found = parts.iter().flat_map(|part| &part.found);
                    if found.any(|of_shard| !of_shard.is_empty()) {
                        return End::Depth;
                    }
                    continue;
                }
                let new = self.merge(parts);
                if let Some(end) = self.take(new, &mut next, &left) {
                    return end;
                }
            }
            level = next;
        }
        End::Exhausted
    }

    /// Adds up what the threads counted.
    fn count(&mut self, parts: &[Part<M::State>]) -> Option<End> {
        for part in parts {
            self.outcome.generated += part.generated;
            self.outcome.ends += part.ends;
            self.outcome.stuck_ends += part.stuck_ends;
            if let Some(number) = part.first_stuck {
                self.report(number, STUCK);
            }
        }
        if parts.iter().any(|part| part.is_stopped) {
            return Some(End::Stopped);
        }
        self.outcome.limit(self.budget)
    }

    fn report(&mut self, number: u32, property: u32) {
        if self.outcome.wants(property) {
            let violation = self.origins.way(self.model, number, property);
            self.outcome.violations.push(violation);
        }
    }

    /// Numbers new states and puts them into the next level.
    fn take(
        &mut self,
        new: Vec<New<M::State>>,
        next: &mut Level<M::State>,
        left: &Left,
    ) -> Option<End> {
        if !new.is_empty() {
            self.outcome.depth = next.depth;
        }
        for one in new {
            let number = self.origins.push(one.origin);
            self.outcome.unique += 1;
            if let Some(property) = one.violation {
                self.report(number, property);
                if let Some(End::Violation) = self.outcome.limit(self.budget) {
                    return Some(End::Violation);
                }
            }
            let state = one.state;
            next.push(Waiting { number, state }, one.bytes);
        }
        let outcome = &mut self.outcome;
        outcome.frontier_max = outcome.frontier_max.max(left.states + next.states);
        let bytes = self.seen.bytes() + self.origins.bytes() + left.bytes + next.bytes;
        outcome.bytes = outcome.bytes.max(bytes);
        outcome.limit(self.budget)
    }

    /// Finds what follows the states of a batch.
    fn expand(
        &self,
        batch: &[Waiting<M::State>],
        stop: &(dyn Fn() -> bool + Sync),
    ) -> Vec<Part<M::State>> {
        let (model, seen) = (self.model, &self.seen);
        if self.threads < 2 || batch.len() < PARALLEL_MIN {
            return vec![expand_part(model, seen, batch, stop)];
        }
        let size = batch.len().div_ceil(self.threads);
        std::thread::scope(|scope| {
            let workers: Vec<_> = batch
                .chunks(size)
                .map(|part| scope.spawn(move || expand_part(model, seen, part, stop)))
                .collect();
            workers.into_iter().map(joined).collect()
        })
    }

    /// Remembers what is new, and returns it.
    fn merge(&mut self, parts: Vec<Part<M::State>>) -> Vec<New<M::State>> {
        let mut of_shards: Vec<Vec<Vec<Found<M::State>>>> =
            (0..SHARDS).map(|_| Vec::new()).collect();
        let mut total = 0;
        for part in parts {
            for (shard, found) in of_shards.iter_mut().zip(part.found) {
                total += found.len();
                shard.push(found);
            }
        }
        let model = self.model;
        if self.threads < 2 || total < PARALLEL_MIN {
            return remember(model, &mut self.seen.shards, of_shards);
        }
        let size = SHARDS.div_ceil(self.threads);
        std::thread::scope(|scope| {
            let mut workers = Vec::new();
            let mut rest = of_shards.into_iter();
            for part in self.seen.shards.chunks_mut(size) {
                let found: Vec<_> = rest.by_ref().take(part.len()).collect();
                workers.push(scope.spawn(move || remember(model, part, found)));
            }
            workers.into_iter().flat_map(joined).collect()
        })
    }
}

/// The beginning as if it had been found.
fn first<M: Model>(model: &M) -> Part<M::State> {
    let mut part = Part::new();
    for successor in begin(model, GoesOn::FromRepresentative) {
        part.found[Seen::shard_of(successor.fingerprint)].push(Found {
            successor,
            parent: Origin::NOBODY,
        });
    }
    part
}

fn expand_part<M: Model>(
    model: &M,
    seen: &Seen,
    batch: &[Waiting<M::State>],
    stop: &(dyn Fn() -> bool + Sync),
) -> Part<M::State> {
    let mut part = Part::new();
    let (mut actions, mut found) = (Vec::new(), Vec::new());
    let is_old = |fingerprint| seen.contains(fingerprint);
    for (place, Waiting { number, state }) in batch.iter().enumerate() {
        if place.is_multiple_of(ASK_EVERY) && stop() {
            part.is_stopped = true;
            return part;
        }
        let from = GoesOn::FromRepresentative;
        successors(model, from, state, &mut actions, &is_old, &mut found);
        part.generated += found.len() as u64;
        if found.is_empty() {
            part.ends += 1;
            if !model.is_accepting(state) {
                part.stuck_ends += 1;
                part.first_stuck.get_or_insert(*number);
            }
        }
        for successor in found.drain(..) {
            if !is_old(successor.fingerprint) {
                part.found[Seen::shard_of(successor.fingerprint)].push(Found {
                    successor,
                    parent: *number,
                });
            }
        }
    }
    part
}

fn remember<M: Model>(
    model: &M,
    shards: &mut [Shard],
    found: Vec<Vec<Vec<Found<M::State>>>>,
) -> Vec<New<M::State>> {
    let mut new = Vec::new();
    for (shard, found) in shards.iter_mut().zip(found) {
        for Found { successor, parent } in found.into_iter().flatten() {
            if shard.insert(successor.fingerprint) {
                let state = successor.state;
                new.push(New {
                    violation: model.violation(&state),
                    bytes: model.size_bytes(&state) as u64,
                    origin: Origin {
                        parent,
                        action: successor.action,
                    },
                    state,
                });
            }
        }
    }
    new
}
