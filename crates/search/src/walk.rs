//! Random ways from the beginning to an end.
//!
//! Each way has a generator of its own, made from the seed and its number, and
//! ways are counted in the order of their numbers; so the outcome does not
//! depend on who walked which.

use std::collections::BTreeMap;

use zenekar_base::Random;

use crate::fingerprint::Fingerprint128;
use crate::model::{Model, STUCK};
use crate::outcome::{Budget, End, Outcome, Stop, Violation};
use crate::seen::{SHARDS, Seen};
use crate::threads::joined;

/// Ways that are walked before they are counted: enough for all threads, and
/// few enough that what they saw fits into memory.
const BATCH: u64 = 64;

/// Actions of one way at most: a model may go round in circles.
const STEPS_MAX: u32 = 10_000;

/// The stream that is split off for the first way, which finds out how long
/// ways are.
const PILOT: u64 = u64::MAX;

/// How actions are chosen.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Choice {
    /// All alike.
    Uniform,
    /// By priorities of actors, which change so many times.
    Priorities { changes: u32 },
}

/// What was seen on one way.
struct Walk<A> {
    fingerprints: Vec<Fingerprint128>,
    actions: Vec<A>,
    initial: usize,
    /// What did not hold, and after how many actions.
    broken: Vec<(u32, usize)>,
    /// The end, if the way has one.
    end: Option<Fingerprint128>,
    is_stuck: bool,
}

/// Who goes first.
struct Priorities {
    random: Random,
    of_actors: BTreeMap<u32, u64>,
    /// The steps at which whoever would act goes last instead.
    changes: Vec<u64>,
    step: u64,
}

/// Priorities from the beginning are above all that are given later.
const FIRST_PRIORITY: u64 = 1 << 63;

impl Priorities {
    fn new(mut random: Random, changes: u32, length: u64) -> Self {
        let changes = (0..changes).map(|_| random.below(length.max(1))).collect();
        Self {
            random,
            of_actors: BTreeMap::new(),
            changes,
            step: 0,
        }
    }

    fn of(&mut self, actor: u32) -> u64 {
        let random = self.random.child(u64::from(actor)).next_u64();
        let first = FIRST_PRIORITY | random;
        *self.of_actors.entry(actor).or_insert(first)
    }

    /// Returns the actor that acts next.
    fn first(&mut self, actors: &[u32]) -> Option<u32> {
        let highest = |this: &mut Self| actors.iter().copied().max_by_key(|one| this.of(*one));
        let mut first = highest(self)?;
        for number in 0..self.changes.len() {
            if self.changes[number] == self.step {
                self.of_actors.insert(first, number as u64);
                first = highest(self)?;
            }
        }
        self.step += 1;
        Some(first)
    }
}

/// Walks random ways through a model.
pub(crate) fn search<M: Model>(
    model: &M,
    choice: Choice,
    seed: u64,
    walks: u64,
    budget: &Budget,
    stop: Stop<'_>,
) -> Outcome<M::Action> {
    let mut outcome = Outcome::new();
    let mut seen = Seen::new();
    let mut ends = Seen::new();
    let random = Random::from_seed(seed);
    let pilot = walk(model, Choice::Uniform, random.child(PILOT), 1, budget);
    let mut length = pilot.map_or(1, |walk| walk.actions.len() as u64);
    let mut from = 0;
    outcome.end = loop {
        if from >= walks {
            break End::Walks;
        }
        if stop(&outcome.progress(walks - from)) {
            break End::Stopped;
        }
        let to = walks.min(from + BATCH);
        let batch = walk_batch(model, choice, &random, from..to, length, budget);
        for one in batch {
            length = length.max(one.actions.len() as u64);
            count(&mut outcome, &mut seen, &mut ends, one);
            if outcome.limit(budget).is_some() {
                break;
            }
        }
        outcome.bytes = seen.bytes() + ends.bytes();
        if let Some(end) = outcome.limit(budget) {
            break end;
        }
        from = to;
    };
    outcome
}

fn walk_batch<M: Model>(
    model: &M,
    choice: Choice,
    random: &Random,
    numbers: std::ops::Range<u64>,
    length: u64,
    budget: &Budget,
) -> Vec<Walk<M::Action>> {
    let numbers: Vec<u64> = numbers.collect();
    let threads = budget.threads.clamp(1, SHARDS);
    let walk_all = |numbers: &[u64]| -> Vec<_> {
        let children = numbers.iter().map(|number| random.child(*number));
        children
            .filter_map(|random| walk(model, choice, random, length, budget))
            .collect()
    };
    if threads < 2 {
        return walk_all(&numbers);
    }
    let size = numbers.len().div_ceil(threads).max(1);
    std::thread::scope(|scope| {
        let walk_all = &walk_all;
        let workers: Vec<_> = numbers
            .chunks(size)
            .map(|part| scope.spawn(move || walk_all(part)))
            .collect();
        workers.into_iter().flat_map(joined).collect()
    })
}

/// Walks one way, to an end or until it is long enough; to the first violation
/// if only one is wanted.
fn walk<M: Model>(
    model: &M,
    choice: Choice,
    mut random: Random,
    length: u64,
    budget: &Budget,
) -> Option<Walk<M::Action>> {
    let mut priorities = match choice {
        Choice::Uniform => None,
        Choice::Priorities { changes } => Some(Priorities::new(random.child(0), changes, length)),
    };
    let mut initial = model.initial();
    if initial.is_empty() {
        return None;
    }
    let first = place(random.below(initial.len() as u64));
    let mut state = initial.swap_remove(first);
    let mut walk = Walk {
        fingerprints: Vec::new(),
        actions: Vec::new(),
        initial: first,
        broken: Vec::new(),
        end: None,
        is_stuck: false,
    };
    let mut actions = Vec::new();
    loop {
        let fingerprint = model.fingerprint(&model.representative(state.clone()));
        walk.fingerprints.push(fingerprint);
        let length = walk.actions.len();
        if let Some(property) = model.violation(&state)
            && walk.broken.iter().all(|(known, _)| *known != property)
        {
            walk.broken.push((property, length));
        }
        let is_enough = walk.broken.len() >= budget.violations_max.max(1);
        if is_enough || length >= budget.depth_max.min(STEPS_MAX) as usize {
            return Some(walk);
        }
        actions.clear();
        model.actions(&state, &mut actions);
        let Some((action, next)) = step(
            model,
            &state,
            &mut actions,
            &mut random,
            priorities.as_mut(),
        ) else {
            walk.end = Some(fingerprint);
            walk.is_stuck = !model.is_accepting(&state);
            if walk.is_stuck {
                walk.broken.push((STUCK, length));
            }
            return Some(walk);
        };
        walk.actions.push(action);
        state = next;
    }
}

/// Chooses what happens next, and lets it happen.
fn step<M: Model>(
    model: &M,
    state: &M::State,
    actions: &mut Vec<M::Action>,
    random: &mut Random,
    mut priorities: Option<&mut Priorities>,
) -> Option<(M::Action, M::State)> {
    while !actions.is_empty() {
        let chosen = match priorities.as_deref_mut() {
            None => place(random.below(actions.len() as u64)),
            Some(priorities) => {
                let actors: Vec<u32> = actions.iter().map(|one| model.actor(one)).collect();
                let first = priorities.first(&actors)?;
                let its: Vec<usize> = (0..actors.len())
                    .filter(|one| actors[*one] == first)
                    .collect();
                its[place(random.below(its.len() as u64))]
            }
        };
        let action = actions.remove(chosen);
        if let Some(next) = model.apply(state, &action) {
            return Some((action, next));
        }
    }
    None
}

fn place(drawn: u64) -> usize {
    usize::try_from(drawn).unwrap_or_default()
}

/// Adds a way to the outcome.
fn count<A: Clone>(outcome: &mut Outcome<A>, seen: &mut Seen, ends: &mut Seen, walk: Walk<A>) {
    outcome.generated += walk.actions.len() as u64;
    let length = u32::try_from(walk.actions.len()).unwrap_or(u32::MAX);
    outcome.depth = outcome.depth.max(length);
    for fingerprint in walk.fingerprints {
        outcome.unique += u64::from(seen.insert(fingerprint));
    }
    if let Some(end) = walk.end
        && ends.insert(end)
    {
        outcome.ends += 1;
        outcome.stuck_ends += u64::from(walk.is_stuck);
    }
    for (property, length) in walk.broken {
        if outcome.wants(property) {
            outcome.violations.push(Violation {
                property,
                actions: walk.actions[..length].to_vec(),
                initial: walk.initial,
                is_run: true,
            });
        }
    }
}
