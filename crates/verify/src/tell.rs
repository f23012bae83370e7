//! A run as a story: what happens, when, and which promise is broken by it.

use std::collections::BTreeSet;
use std::fmt;

use zenekar_base::Millis;

use crate::action::{Action, Outcome};
use crate::breach::Breach;
use crate::control::Kind;
use crate::moment::Moment;
use crate::trace::{Run, Verdict};
use crate::world::World;

/// How much of a run is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// Several steps after another of which nobody learns anything are one sentence.
    Folded,
    /// Every step is a sentence.
    Everything,
}

/// A sentence of a story.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sentence {
    /// The first step that it tells of, from 1.
    pub first: u32,
    /// The last one.
    pub last: u32,
    /// How much time has passed behind it, in ms since the run began.
    pub at_ms: u64,
    /// What happens.
    pub text: String,
}

impl fmt::Display for Sentence {
    /// Writes the last step, the time, and what happens.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = Millis(self.at_ms).to_string();
        write!(formatter, "{:>4}. {at:>7}  {}", self.last, self.text)
    }
}

/// A run in sentences.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Story {
    /// What happens.
    pub sentences: Vec<Sentence>,
    /// What there is to say about it.
    pub ending: String,
}

/// Steps of which nobody learns anything.
#[derive(Clone, Copy, Debug, Default)]
struct Fold {
    steps: u32,
    answers: u32,
    repeated: u32,
    looks: u32,
    passed_ms: u64,
}

impl Fold {
    fn text(&self) -> String {
        let answers = match self.answers {
            0 => None,
            1 => Some("a question is answered".to_owned()),
            number => Some(format!("{number} questions are answered")),
        };
        let time = (self.looks > 0).then(|| format!("{} pass", Millis(self.passed_ms)));
        let repeated = match self.repeated {
            0 => None,
            1 => Some("a call is repeated in vain".to_owned()),
            number => Some(format!("{number} calls are repeated in vain")),
        };
        let parts: Vec<String> = answers.into_iter().chain(repeated).chain(time).collect();
        match parts.split_last() {
            Some((last, [])) => last.clone(),
            Some((last, others)) => format!("{}, and {last}", others.join(", ")),
            None => "nothing of interest happens".to_owned(),
        }
    }
}

/// Tells a run, and what there is to say about it.
pub fn tell(world: &World, run: &Run, detail: Detail) -> Story {
    let moments = world.moments(&run.actions);
    let round = world.round_of(run, &moments);
    let mut sentences: Vec<Sentence> = Vec::new();
    // What was tried since something else has happened.
    let (mut fold, mut tried) = (Fold::default(), BTreeSet::new());
    for (at, (action, choice)) in run.actions.iter().zip(&run.choices).enumerate() {
        let (moment, step) = (&moments[at], u32::try_from(at + 1).unwrap_or(u32::MAX));
        let elapsed_ms = world.elapsed_ms(moment, *action);
        if round == Some(at) {
            fold = Fold::default();
        }
        let refusal = world.refusal(moment, &moments[at + 1], *action);
        let label = match &refusal {
            Some(reason) => format!("{}: {reason}", choice.label.replace("answered", "refused")),
            None => choice.label.clone(),
        };
        let is_in_vain = refusal.is_some() || world.is_release(moment, *action);
        let is_repeated = is_in_vain && !tried.insert(label.clone());
        let is_routine = world.is_routine(moment, *action) || is_repeated;
        if !is_routine && !is_in_vain {
            tried.clear();
        }
        let is_folded = detail == Detail::Folded && is_routine;
        if !is_folded || fold.steps == 0 {
            sentences.push(Sentence {
                first: step,
                last: step,
                at_ms: choice.at_ms,
                text: world.step_in_words(moment, *action, label, elapsed_ms),
            });
            fold = Fold::default();
        }
        if !is_folded {
            continue;
        }
        fold.add(*action, is_repeated, elapsed_ms);
        if fold.steps > 1
            && let Some(last) = sentences.last_mut()
        {
            (last.last, last.at_ms, last.text) = (step, choice.at_ms, fold.text());
        }
    }
    let ending = match &run.verdict {
        Verdict::Passed => "all that was asked for is done".to_owned(),
        Verdict::Open => "it could go on".to_owned(),
        Verdict::Violated { .. } if let Some(first) = round => goes_round(world, &moments, first),
        Verdict::Violated { property, step } => broken(world, run, &moments, property, *step),
    };
    Story { sentences, ending }
}

impl Fold {
    fn add(&mut self, action: Action, is_repeated: bool, elapsed_ms: u64) {
        self.steps += 1;
        if is_repeated {
            self.repeated += 1;
        } else if action == Action::Tick {
            self.looks += 1;
            self.passed_ms = self.passed_ms.saturating_add(elapsed_ms);
        } else {
            self.answers += 1;
        }
    }
}

/// Says what comes again and again behind a step, and what is never there.
fn goes_round(world: &World, moments: &[Moment], first: usize) -> String {
    let (name, promise) = (Breach::NotConverged.name(), Breach::NotConverged.promise());
    let open = moments.last().map(|last| world.open_ends(last));
    let open = open.filter(|open| !open.is_empty());
    let open = open.map_or_else(String::new, |open| format!(", and {}", open.join(", ")));
    let (first, last) = (first + 1, moments.len().saturating_sub(1));
    let steps = if first == last {
        format!("step {first} comes")
    } else {
        format!("steps {first} to {last} come")
    };
    format!(
        "{steps} again and again, and nothing else has to happen any more{open}; this breaks `{name}`: {promise}"
    )
}

/// Says which promise is broken, and why.
fn broken(world: &World, run: &Run, moments: &[Moment], property: &str, step: u32) -> String {
    let Some(breach) = Breach::named(property) else {
        return format!("`{property}` does not hold");
    };
    let before = (step as usize).checked_sub(1);
    let reason = before.and_then(|before| {
        let action = run.actions.get(before)?;
        world.reason(moments.get(before)?, *action, breach)
    });
    let promise = breach.promise();
    match reason {
        Some(reason) => format!("{reason}; this breaks `{property}`: {promise}"),
        None => format!("this breaks `{property}`: {promise}"),
    }
}

impl World {
    /// Says whether nobody learns anything of a step: a question is answered
    /// as it should be, or time passes while everybody waits for it.
    pub(crate) fn is_routine(&self, moment: &Moment, action: Action) -> bool {
        match action {
            Action::Tick => self.is_quiet(moment),
            Action::Call { call, outcome } => {
                let calls = &self.control(moment).calls;
                let call = calls.get(usize::from(call));
                let asks = call.is_some_and(|call| !Kind::of(&call.operation).changes());
                asks && outcome == Outcome::Served
            }
            _ => false,
        }
    }

    /// Says whether a provider is asked to let go of what it made, without a fault.
    fn is_release(&self, moment: &Moment, action: Action) -> bool {
        let Action::Call { call, outcome } = action else {
            return false;
        };
        let call = self.control(moment).calls.get(usize::from(call));
        let kind = call.map(|call| Kind::of(&call.operation));
        outcome == Outcome::Served && kind == Some(Kind::Release)
    }

    /// Returns why a call was refused, if a cloud that is well has refused it.
    fn refusal(&self, before: &Moment, after: &Moment, action: Action) -> Option<String> {
        let Action::Call { call, outcome } = action else {
            return None;
        };
        let call = self.control(before).calls.get(usize::from(call))?;
        let is_creation = Kind::of(&call.operation) == Kind::Create;
        if outcome != Outcome::Served || !is_creation {
            return None;
        }
        let instance = self
            .control(after)
            .state()
            .instances
            .get(&call.instance()?)?;
        let (_, reason) = instance.last_error.as_ref()?;
        instance.resource.is_none().then(|| reason.clone())
    }

    /// Returns the step behind which a run goes round for ever, if that is what
    /// is wrong with it.
    fn round_of(&self, run: &Run, moments: &[Moment]) -> Option<usize> {
        let is_it = run.verdict.property() == Some(Breach::NotConverged.name())
            && moments.last().is_some_and(|last| last.breach.is_none());
        is_it.then(|| self.circle_of(&run.actions)).flatten()
    }

    fn step_in_words(
        &self,
        moment: &Moment,
        action: Action,
        label: String,
        elapsed_ms: u64,
    ) -> String {
        if action != Action::Tick {
            return label;
        }
        let span = Millis(elapsed_ms);
        if moment.pause.is_some() {
            format!("{span} pass in which the engine looks and learns nothing new")
        } else if self.is_quiet(moment) {
            format!("{span} pass until the engine looks again")
        } else {
            format!("{span} pass, and the engine looks again while things are still on their way")
        }
    }
}
