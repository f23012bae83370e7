//! Counting the runs that differ in more than the order of what is independent
//! (Mazurkiewicz traces), by going through one of each.
//!
//! Sleep sets (Godefroid 1990): what was tried at a state is not tried again
//! below its other actions until something that depends on it has happened. Of
//! each class exactly one run goes to its end.

use zenekar_base::Random;

use crate::model::Model;
use crate::natural::Natural;
use crate::outcome::{ASK_EVERY, Progress, Stop};

/// What was counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClassCount {
    /// Runs that went to their end: one for each class.
    pub classes: u64,
    /// Runs that were given up because all that they could do had been seen.
    pub blocked: u64,
    /// Steps in all.
    pub steps: u64,
    /// Whether there may be more than were counted.
    pub is_cut: bool,
}

/// A state on the way, with what is still to do in it.
struct Frame<M: Model> {
    /// In reverse, so that the next one is the last.
    next: Vec<(M::Action, M::State)>,
    state: M::State,
    asleep: Vec<M::Action>,
}

/// Counts the classes of the runs of a model, with so many steps at most. A
/// model with cycles has runs without end, and uses up its steps.
///
/// What is independent is what [`Model::are_independent`] says. What
/// [`Model::ample`] lets wait does wait: fewer runs are given up then.
pub fn count_classes<M: Model>(model: &M, steps_max: u64, stop: Stop<'_>) -> ClassCount {
    let mut count = ClassCount::default();
    for state in model.initial() {
        let mut frames: Vec<Frame<M>> = Vec::new();
        frames.extend(enter(model, state, Vec::new(), &mut count));
        while let Some(frame) = frames.last_mut() {
            let Some((action, next)) = frame.next.pop() else {
                frames.pop();
                continue;
            };
            let progress = Progress {
                generated: count.steps,
                frontier: frames.len() as u64,
                ..Progress::default()
            };
            if count.steps == steps_max
                || (count.steps.is_multiple_of(ASK_EVERY) && stop(&progress))
            {
                count.is_cut = true;
                return count;
            }
            count.steps += 1;
            let Some(frame) = frames.last_mut() else {
                break;
            };
            let asleep = below(model, &frame.state, &frame.asleep, &action);
            frame.asleep.push(action);
            frames.extend(enter(model, next, asleep, &mut count));
        }
    }
    count
}

/// Looks at what can happen in a state; `None` if a run ends here.
fn enter<M: Model>(
    model: &M,
    state: M::State,
    asleep: Vec<M::Action>,
    count: &mut ClassCount,
) -> Option<Frame<M>> {
    let (mut next, can) = awake(model, &state, &asleep);
    if next.is_empty() {
        let counter = if can {
            &mut count.blocked
        } else {
            &mut count.classes
        };
        *counter += 1;
        return None;
    }
    next.reverse();
    Some(Frame {
        next,
        state,
        asleep,
    })
}

/// What can happen in a state and does not sleep, with where it leads.
type Awake<M> = Vec<(<M as Model>::Action, <M as Model>::State)>;

/// Returns what can happen in a state and does not sleep; and whether anything
/// can happen at all.
fn awake<M: Model>(model: &M, state: &M::State, asleep: &[M::Action]) -> (Awake<M>, bool) {
    let mut actions = Vec::new();
    model.actions(state, &mut actions);
    // What waits is possible later, too: in a model without cycles not for ever.
    if let Some(chosen) = model.ample(state, &actions) {
        let of_these = chosen.into_iter().map(|place| actions[place].clone());
        let (awake, can) = awake_of(model, state, of_these, asleep);
        if can {
            return (awake, can);
        }
    }
    awake_of(model, state, actions.into_iter(), asleep)
}

fn awake_of<M: Model>(
    model: &M,
    state: &M::State,
    actions: impl Iterator<Item = M::Action>,
    asleep: &[M::Action],
) -> (Awake<M>, bool) {
    let mut can = false;
    let mut awake = Vec::new();
    for action in actions {
        if asleep.contains(&action) {
            can = true;
        } else if let Some(next) = model.apply(state, &action) {
            can = true;
            awake.push((action, next));
        }
    }
    (awake, can)
}

/// Returns what still sleeps after an action.
fn below<M: Model>(
    model: &M,
    state: &M::State,
    asleep: &[M::Action],
    action: &M::Action,
) -> Vec<M::Action> {
    let stays = |other: &&M::Action| model.are_independent(state, other, action);
    asleep.iter().filter(stays).cloned().collect()
}

/// What is estimated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Estimated {
    /// All runs: every order of everything.
    Runs,
    /// Classes of runs that differ in more than the order of what is
    /// independent.
    Classes,
}

/// An estimate, and what it was made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Estimate {
    /// The mean of the probes, rounded down. Its expectation is exact.
    pub mean: Natural,
    /// Probes that were made.
    pub probes: u32,
    /// Probes that were given up because they were too long; the mean is too low then.
    pub cut: u32,
}

/// Estimates how many runs, or classes of them, a model has (Knuth 1975): each
/// probe goes one random way down the tree of runs, and multiplies the numbers
/// of branches that it could have taken. What is `steps_max` long is given up.
///
/// Estimates of classes are good where few runs are given up, which is what
/// [`Model::ample`] is for.
pub fn estimate<M: Model>(
    model: &M,
    what: Estimated,
    seed: u64,
    probes: u32,
    steps_max: u32,
) -> Estimate {
    let random = Random::from_seed(seed);
    let (mut sum, mut cut) = (Natural::default(), 0);
    for number in 0..probes {
        match probe(model, what, random.child(u64::from(number)), steps_max) {
            Some(product) => sum.add(&product),
            None => cut += 1,
        }
    }
    Estimate {
        mean: sum.over(probes),
        probes,
        cut,
    }
}

/// Goes down one way; zero if it ends where others have been.
fn probe<M: Model>(
    model: &M,
    what: Estimated,
    mut random: Random,
    steps_max: u32,
) -> Option<Natural> {
    let mut initial = model.initial();
    if initial.is_empty() {
        return Some(Natural::default());
    }
    let branches = initial.len();
    let mut state = initial.swap_remove(below_count(&mut random, branches));
    let mut product = Natural::from(branches as u64);
    let mut asleep = Vec::new();
    for _ in 0..steps_max {
        let (mut next, can) = awake(model, &state, &asleep);
        if next.is_empty() {
            return Some(if can { Natural::default() } else { product });
        }
        product = product.times(u32::try_from(next.len()).unwrap_or(u32::MAX));
        let chosen = below_count(&mut random, next.len());
        if what == Estimated::Classes {
            let tried = next[..chosen].iter().map(|(action, _)| action.clone());
            asleep.extend(tried);
            asleep = below(model, &state, &asleep, &next[chosen].0);
        }
        state = next.swap_remove(chosen).1;
    }
    None
}

fn below_count(random: &mut Random, count: usize) -> usize {
    usize::try_from(random.below(count as u64)).unwrap_or_default()
}
