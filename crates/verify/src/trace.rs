//! A run in words and fingerprints: what happened, out of how much, and what came of it.

use zenekar_search::{Fingerprint128, Model, STUCK};

use crate::action::Action;
use crate::breach::Breach;
use crate::moment::Moment;
use crate::world::World;

/// One step of a run: what happened, although other things could have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// What happened, in words that nothing else has that could have happened.
    pub label: String,
    /// Its place among everything that could have happened, from 0.
    pub pick: u32,
    /// How much could have happened.
    pub of: u32,
    /// When, in ms since the run began. Time passes where the engine waits.
    pub at_ms: u64,
    /// What the state behind it is remembered by.
    pub state: Fingerprint128,
}

/// What there is to say about a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// A property does not hold.
    Violated {
        /// Its name.
        property: String,
        /// The step behind which it does not, from 1; 0 is the beginning.
        step: u32,
    },
    /// It came to an end at which all is well.
    Passed,
    /// It could have gone on.
    Open,
}

impl Verdict {
    /// Returns the stable name for files.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Violated { .. } => "violated",
            Self::Passed => "passed",
            Self::Open => "open",
        }
    }

    /// Returns the name of the property that does not hold.
    pub fn property(&self) -> Option<&str> {
        match self {
            Self::Violated { property, .. } => Some(property),
            Self::Passed | Self::Open => None,
        }
    }
}

/// A run from the beginning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// What the first state is remembered by.
    pub beginning: Fingerprint128,
    /// What happened.
    pub actions: Vec<Action>,
    /// The same in words, and what came of it; as many.
    pub choices: Vec<Choice>,
    /// What there is to say about it.
    pub verdict: Verdict,
}

/// An action that is not possible where a run wants it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotPossible {
    /// The step, from 1.
    pub step: u32,
    /// The action.
    pub action: Action,
}

/// Looks at the states of a run in their order, the first one included, and
/// returns the name of the first property that it sees fail.
pub type Watch<'a> = &'a mut dyn FnMut(&World, &Moment) -> Option<String>;

/// The [`Watch`] that looks at what holds of every infrastructure.
pub fn promises(world: &World, moment: &Moment) -> Option<String> {
    match world.broken(moment) {
        Some(name) => Some(name.to_owned()),
        None => world.violation(moment).map(property_name),
    }
}

/// Returns the stable name of a property by its number.
fn property_name(number: u32) -> String {
    match Breach::numbered(number) {
        Some(breach) => breach.name().to_owned(),
        None if number == STUCK => "can-go-on".to_owned(),
        None => format!("property-{number}"),
    }
}

/// Follows actions from the beginning, and says what there is to say about them.
pub fn record(world: &World, actions: &[Action]) -> Result<Run, NotPossible> {
    record_watched(world, actions, &mut promises)
}

/// Follows actions from the beginning under the eyes of others.
pub fn record_watched(
    world: &World,
    actions: &[Action],
    watch: Watch<'_>,
) -> Result<Run, NotPossible> {
    let mut recorder = Recorder::new(world, watch);
    for action in actions {
        let possible = recorder.possible();
        let Some(pick) = possible.iter().position(|one| one == action) else {
            return Err(NotPossible {
                step: recorder.steps() + 1,
                action: *action,
            });
        };
        let label = label(world, &recorder.moment, &possible, pick);
        recorder.take(&possible, pick, label, watch);
    }
    Ok(recorder.finish())
}

/// Returns everything that can happen in a state.
pub(crate) fn possible(world: &World, moment: &Moment) -> Vec<Action> {
    let mut actions = Vec::new();
    world.actions(moment, &mut actions);
    actions
}

/// Returns the labels of all actions. Of those that are described alike, the
/// second one has `#2` behind it, and so on in their order.
pub(crate) fn labels(world: &World, moment: &Moment, actions: &[Action]) -> Vec<String> {
    let mut labels: Vec<String> = Vec::with_capacity(actions.len());
    let described = actions
        .iter()
        .map(|action| described(world, moment, *action));
    let described: Vec<String> = described.collect();
    for (at, label) in described.iter().enumerate() {
        let before = described[..at].iter().filter(|other| *other == label);
        labels.push(numbered(label, before.count()));
    }
    labels
}

/// Returns the label of one of the actions.
pub(crate) fn label(world: &World, moment: &Moment, actions: &[Action], at: usize) -> String {
    let label = described(world, moment, actions[at]);
    let before = actions[..at].iter();
    let before = before.filter(|action| described(world, moment, **action) == label);
    numbered(&label, before.count())
}

/// Characters of a label at most, without its number: it names a command that
/// may be as long as its author likes, and files have limits.
const LABEL_CHARS_MAX: usize = 1_000;

/// Returns what happens in words, cut off where they are too many.
fn described(world: &World, moment: &Moment, action: Action) -> String {
    let mut text = world.describe(moment, &action);
    if let Some((end, _)) = text.char_indices().nth(LABEL_CHARS_MAX) {
        text.truncate(end);
        text.push('…');
    }
    text
}

fn numbered(label: &str, before: usize) -> String {
    match before {
        0 => label.to_owned(),
        before => format!("{label} #{}", before + 1),
    }
}

/// Follows a run step by step and writes down what happens.
pub(crate) struct Recorder<'w> {
    world: &'w World,
    pub(crate) moment: Moment,
    at_ms: u64,
    run: Run,
    /// What the states so far are remembered by, however long they took.
    seen: Vec<Fingerprint128>,
}

impl<'w> Recorder<'w> {
    pub(crate) fn new(world: &'w World, watch: Watch<'_>) -> Self {
        let moment = world.beginning();
        let run = Run {
            beginning: world.fingerprint(&moment),
            actions: Vec::new(),
            choices: Vec::new(),
            verdict: Verdict::Open,
        };
        let mut recorder = Self {
            world,
            seen: vec![world.timeless(&moment)],
            moment,
            at_ms: 0,
            run,
        };
        recorder.judge(watch);
        recorder
    }

    /// Returns how many steps were taken.
    pub(crate) fn steps(&self) -> u32 {
        u32::try_from(self.run.choices.len()).unwrap_or(u32::MAX)
    }

    pub(crate) fn possible(&self) -> Vec<Action> {
        possible(self.world, &self.moment)
    }

    /// Says whether a property has failed.
    pub(crate) fn is_violated(&self) -> bool {
        self.run.verdict.property().is_some()
    }

    /// Lets one of the things happen that are possible, and returns what the
    /// state behind it is remembered by.
    pub(crate) fn take(
        &mut self,
        possible: &[Action],
        pick: usize,
        label: String,
        watch: Watch<'_>,
    ) -> Fingerprint128 {
        let action = possible[pick];
        let elapsed_ms = self.world.elapsed_ms(&self.moment, action);
        self.at_ms = self.at_ms.saturating_add(elapsed_ms);
        self.moment = self.world.next(&self.moment, action);
        let state = self.world.fingerprint(&self.moment);
        self.seen.push(self.world.timeless(&self.moment));
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        self.run.actions.push(action);
        self.run.choices.push(Choice {
            label,
            pick: count(pick),
            of: count(possible.len()),
            at_ms: self.at_ms,
            state,
        });
        self.judge(watch);
        state
    }

    /// Says when the last step has happened, where clocks were looked at.
    pub(crate) fn set_time(&mut self, at_ms: u64) {
        if let Some(choice) = self.run.choices.last_mut() {
            choice.at_ms = at_ms;
        }
    }

    fn judge(&mut self, watch: Watch<'_>) {
        if self.is_violated() {
            return;
        }
        if let Some(property) = watch(self.world, &self.moment) {
            let step = self.steps();
            self.run.verdict = Verdict::Violated { property, step };
        }
    }

    pub(crate) fn finish(mut self) -> Run {
        if !self.is_violated() && self.possible().is_empty() {
            self.run.verdict = if self.world.is_end(&self.moment) {
                Verdict::Passed
            } else {
                let (property, step) = (property_name(STUCK), self.steps());
                Verdict::Violated { property, step }
            };
        } else if !self.is_violated() && self.goes_round() {
            let property = Breach::NotConverged.name().to_owned();
            let step = self.steps();
            self.run.verdict = Verdict::Violated { property, step };
        }
        self.run
    }

    /// Says whether the last step closes a circle that can be gone round for ever.
    fn goes_round(&self) -> bool {
        let Some((last, before)) = self.seen.split_last() else {
            return false;
        };
        before.contains(last) && self.world.circle_of(&self.run.actions).is_some()
    }
}

impl World {
    /// Returns the state in which nothing has happened.
    pub(crate) fn beginning(&self) -> Moment {
        self.initial().swap_remove(0)
    }

    /// Returns how much time passes when something happens in a state, in ms:
    /// none but where the engine waits.
    pub(crate) fn elapsed_ms(&self, moment: &Moment, action: Action) -> u64 {
        let facts = self.facts(moment);
        if let (Action::Tick, Some((_, elapsed_ms))) = (action, moment.pause) {
            return u64::from(elapsed_ms);
        }
        match (action, facts.deadline) {
            (Action::Tick, Some(deadline)) => deadline.since(facts.now).0,
            _ => 0,
        }
    }

    /// Returns the states of a run, the first one included.
    pub fn moments(&self, actions: &[Action]) -> Vec<Moment> {
        let mut moments = vec![self.beginning()];
        for action in actions {
            let next = moments.last().map(|moment| self.next(moment, *action));
            moments.extend(next);
        }
        moments
    }
}
