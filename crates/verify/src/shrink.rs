//! Does something like a known run again, and says what it costs to follow it.

use std::collections::BTreeSet;

use zenekar_search::Progress;
use zenekar_search::Stop;
use zenekar_simcloud::Change;

use crate::action::{Action, Outcome};
use crate::goal::Goal;
use crate::moment::Moment;
use crate::network::Link;
use crate::trace::{Recorder, Run, labels};
use crate::world::World;

/// How hard a run is to follow: what counts more comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Cost {
    /// Faults that have to happen.
    pub(crate) faults: u8,
    /// Times that the world has to be slower than the engine, or to be about to.
    pub(crate) delays: u8,
    /// Steps.
    pub(crate) steps: usize,
    /// Steps that are about somebody else than the step before.
    pub(crate) switches: usize,
}

impl Cost {
    /// Returns what it takes, however hard it is to follow.
    pub(crate) const fn effort(self) -> (u8, u8, usize) {
        (self.faults, self.delays, self.steps)
    }
}

/// A run that shows the goal, up to the step that shows it.
#[derive(Clone, Debug)]
pub(crate) struct Shown {
    pub(crate) run: Run,
    pub(crate) cost: Cost,
    /// Whom each step is about.
    pub(crate) subjects: Vec<String>,
}

impl Shown {
    pub(crate) fn labels(&self) -> Vec<String> {
        let choices = self.run.choices.iter();
        choices.map(|choice| choice.label.clone()).collect()
    }
}

/// What is done where a step is not possible, and behind the last one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Gives up.
    Exactly,
    /// Leaves the step out.
    Skipping,
    /// Leaves the step out, and lets everything take its course behind the
    /// last one, for so many steps.
    GoingOn(usize),
}

/// What minimising may still cost.
pub(crate) struct Meter<'s> {
    pub(crate) states_left: u64,
    pub(crate) steps_left: u64,
    pub(crate) searches: u64,
    pub(crate) states: u64,
    pub(crate) executions: u64,
    pub(crate) stop: Stop<'s>,
}

impl Meter<'_> {
    /// Says whether steps are used up, or the caller wants no more.
    pub(crate) fn is_over(&self) -> bool {
        let progress = Progress {
            unique: self.states,
            generated: self.executions,
            ..Progress::default()
        };
        self.steps_left == 0 || (self.stop)(&progress)
    }
}

/// Follows labels from the beginning until the goal shows.
pub(crate) fn follow<'l>(
    world: &World,
    goal: &dyn Goal,
    wanted: impl IntoIterator<Item = &'l str>,
    manner: Manner,
    meter: &mut Meter<'_>,
) -> Option<Shown> {
    let mut eye = goal.eye();
    let mut follower = Follower {
        world,
        recorder: Recorder::new(world, &mut *eye),
        eye: &mut *eye,
        subjects: Vec::new(),
        delays: 0,
        delays_needed: 0,
    };
    meter.executions += 1;
    for wanted in wanted {
        if follower.recorder.is_violated() {
            break;
        }
        meter.steps_left = meter.steps_left.checked_sub(1)?;
        let possible = follower.recorder.possible();
        let known = labels(world, &follower.recorder.moment, &possible);
        match known
            .into_iter()
            .enumerate()
            .find(|(_, label)| label == wanted)
        {
            Some((pick, label)) => follower.take(&possible, pick, label),
            None if manner == Manner::Exactly => return None,
            None => {}
        }
    }
    if let Manner::GoingOn(steps) = manner {
        for _ in 0..steps {
            let possible = follower.recorder.possible();
            let moment = &follower.recorder.moment;
            let Some(pick) = world.calmest(moment, &possible) else {
                break;
            };
            meter.steps_left = meter.steps_left.checked_sub(1)?;
            let label = crate::trace::label(world, moment, &possible, pick);
            follower.take(&possible, pick, label);
        }
    }
    follower.finish(goal)
}

struct Follower<'w, 'e> {
    world: &'w World,
    recorder: Recorder<'w>,
    eye: &'e mut dyn FnMut(&World, &Moment) -> Option<String>,
    subjects: Vec<String>,
    /// Delays so far.
    delays: u8,
    /// Delays that have to be allowed for what has happened so far.
    delays_needed: u8,
}

impl Follower<'_, '_> {
    fn take(&mut self, possible: &[Action], pick: usize, label: String) {
        let (world, moment) = (self.world, &self.recorder.moment);
        self.subjects.push(world.subject_of(moment, possible[pick]));
        let is_delay = world.is_delay(moment, possible[pick]);
        if is_delay || is_postponed(possible[pick]) {
            self.delays_needed = self.delays_needed.max(self.delays.saturating_add(1));
        }
        self.delays = self.delays.saturating_add(u8::from(is_delay));
        self.recorder.take(possible, pick, label, self.eye);
    }

    fn finish(self, goal: &dyn Goal) -> Option<Shown> {
        let run = self.recorder.finish();
        if run.verdict.property() != Some(goal.name()) {
            return None;
        }
        let faults = run.actions.iter().filter(|action| action.fault().is_some());
        let neighbours = self.subjects.iter().zip(self.subjects.iter().skip(1));
        let cost = Cost {
            faults: u8::try_from(faults.count()).unwrap_or(u8::MAX),
            delays: self.delays_needed,
            steps: run.actions.len(),
            switches: neighbours.filter(|(one, next)| one != next).count(),
        };
        Some(Shown {
            run,
            cost,
            subjects: self.subjects,
        })
    }
}

/// Says whether an answer is made to wait, which takes a delay that is left.
fn is_postponed(action: Action) -> bool {
    matches!(
        action,
        Action::Call {
            outcome: Outcome::Postponed,
            ..
        }
    )
}

/// Has calls answered as they should be, and leaves out everything else that
/// goes wrong or takes long, one at a time from the end.
pub(crate) fn calm_down(world: &World, goal: &dyn Goal, best: &mut Shown, meter: &mut Meter<'_>) {
    let mut at = best.cost.steps;
    while at > 0 {
        at = (at - 1).min(best.cost.steps - 1);
        let action = best.run.actions[at];
        let moment = world.moments(&best.run.actions[..at]).pop();
        let Some(moment) = moment else { return };
        let is_bad = action.fault().is_some() || is_postponed(action);
        if !is_bad && !world.is_delay(&moment, action) {
            continue;
        }
        if meter.is_over() {
            return;
        }
        let mut labels = best.labels();
        labels.remove(at);
        if let Action::Call { call, .. } = action {
            let outcome = Outcome::Served;
            let served = Action::Call { call, outcome };
            let possible = crate::trace::possible(world, &moment);
            let pick = possible.iter().position(|one| *one == served);
            let served = pick.map(|pick| crate::trace::label(world, &moment, &possible, pick));
            labels.splice(at..at, served);
        }
        let wanted = labels.iter().map(String::as_str);
        let found = follow(world, goal, wanted, Manner::Skipping, meter);
        if let Some(found) = found.filter(|found| found.cost < best.cost) {
            *best = found;
        }
    }
}

impl World {
    /// Says whether time passes while something is on its way.
    pub(crate) fn is_delay(&self, moment: &Moment, action: Action) -> bool {
        action == Action::Tick && !self.is_quiet(moment)
    }

    /// Returns whom an action is about.
    pub(crate) fn subject_of(&self, moment: &Moment, action: Action) -> String {
        let control = self.control(moment);
        let call = match action {
            Action::Demand => return "people".to_owned(),
            Action::Machine { machine, .. }
            | Action::Run { machine }
            | Action::AgentDies { machine }
            | Action::Link { machine, .. }
            | Action::NameMissing { machine } => return self.machine_name(moment, machine),
            Action::Call { call, .. } | Action::Arrive { call } => {
                control.calls.get(usize::from(call))
            }
            Action::LateEffect { call }
            | Action::EffectAgain { call }
            | Action::NoEffect { call } => control.abandoned.get(usize::from(call)),
            Action::Crash | Action::Tick => None,
        };
        let state = control.state();
        let instance = call.and_then(crate::control::Outstanding::instance);
        let instance = instance.and_then(|key| state.instances.get(&key));
        match instance {
            Some(instance) => state.instance_name(instance),
            None => "the engine".to_owned(),
        }
    }

    /// Chooses what happens where nothing goes wrong and nothing takes long:
    /// calls are answered, machines change, instances go on, people ask, and
    /// only then time passes. The first of equals; none if there is no such thing.
    pub(crate) fn calmest(&self, moment: &Moment, possible: &[Action]) -> Option<usize> {
        let rank = |action: &Action| match *action {
            Action::Arrive { .. } => Some(0),
            Action::Call {
                outcome: Outcome::Served,
                ..
            } => Some(1),
            Action::Machine {
                change: Change::Boots | Change::IsDeleted,
                ..
            } => Some(2),
            Action::Link {
                link: Link::Sound, ..
            }
            | Action::NoEffect { .. } => Some(3),
            Action::Run { .. } => Some(4),
            Action::Demand => Some(5),
            Action::Tick if self.is_quiet(moment) => Some(6),
            _ => None,
        };
        let ranked = possible.iter().enumerate();
        let ranked = ranked.filter_map(|(at, action)| Some((rank(action)?, at)));
        ranked.min().map(|(_, at)| at)
    }
}

/// Leaves out what can be left out: large pieces first, then smaller ones
/// (Zeller and Hildebrandt 2002, complements only). Single steps are tried
/// until none can be left out; says whether it came that far.
pub(crate) fn leave_out(
    world: &World,
    goal: &dyn Goal,
    best: &mut Shown,
    meter: &mut Meter<'_>,
) -> bool {
    let mut piece = (best.cost.steps / 2).max(1);
    loop {
        let (mut at, mut has_changed) = (0, false);
        while at < best.cost.steps {
            if meter.is_over() {
                return false;
            }
            let labels = best.labels();
            let end = labels.len().min(at + piece);
            let rest = labels[..at].iter().chain(&labels[end..]);
            let found = follow(
                world,
                goal,
                rest.map(String::as_str),
                Manner::Skipping,
                meter,
            );
            match found {
                Some(found) if found.cost < best.cost => {
                    *best = found;
                    has_changed = true;
                }
                _ => at += piece,
            }
        }
        match (piece, has_changed) {
            (1, false) => return true,
            (1, true) => {}
            _ => piece /= 2,
        }
    }
}

/// Steps of a run that are put into another order, at most: each of them costs
/// a run through all of it.
const REORDERED_STEPS_MAX: usize = 200;

/// Brings steps about the same subject together, where the run stays possible.
pub(crate) fn reorder(world: &World, goal: &dyn Goal, best: &mut Shown, meter: &mut Meter<'_>) {
    if best.cost.steps > REORDERED_STEPS_MAX {
        return;
    }
    let mut tried = BTreeSet::new();
    let mut at = 1;
    while at < best.cost.steps {
        let before = &best.subjects[at - 1];
        let later = (at + 1..best.cost.steps).find(|later| best.subjects[*later] == *before);
        let Some(later) = later.filter(|_| best.subjects[at] != *before) else {
            at += 1;
            continue;
        };
        if meter.is_over() {
            return;
        }
        let mut labels = best.labels();
        let moved = labels.remove(later);
        labels.insert(at, moved);
        let is_new = tried.insert(labels.clone());
        let wanted = labels.iter().map(String::as_str);
        let found = is_new.then(|| follow(world, goal, wanted, Manner::Exactly, meter));
        match found.flatten() {
            Some(found) if found.cost < best.cost => *best = found,
            _ => at += 1,
        }
    }
}
