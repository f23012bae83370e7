//! Repeats a recorded run, and says where something else happens now.

use zenekar_diagnostics::codes::replay as codes;
use zenekar_diagnostics::{Diagnostic, FileId, did_you_mean};
use zenekar_search::{Fingerprint128, Model};

use crate::replay_file::{ReplayFile, beginning_of};
use crate::trace::{Recorder, Run, Verdict, Watch, label, labels, promises};
use crate::world::World;

/// How a replay ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// Everything happened as it was recorded, to the last bit of each state.
    Same,
    /// Everything that was recorded is possible, and leads to other states
    /// from this step on (0: the beginning), with the recorded verdict.
    Changed {
        /// The first step behind which the state is another one.
        step: u32,
    },
    /// What was recorded is not possible at this step.
    Diverged {
        /// The step, from 1.
        step: u32,
        /// What was recorded.
        expected: String,
        /// What can happen instead.
        possible: Vec<String>,
    },
    /// Everything that was recorded is possible, with another verdict.
    OtherVerdict {
        /// The first step behind which the state is another one, if one is.
        changed: Option<u32>,
    },
}

/// What a replay has shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replayed {
    /// How it compares with what was recorded.
    pub comparison: Comparison,
    /// What happened now, as far as it came.
    pub run: Run,
    /// Steps that stood at another place among what could happen, or among
    /// another number of things. It changes nothing about the run.
    pub moved: Vec<u32>,
}

/// Repeats a recorded run.
pub fn replay(world: &World, file: &ReplayFile) -> Replayed {
    replay_watched(world, file, &mut promises)
}

/// Repeats a recorded run under the eyes of others.
pub fn replay_watched(world: &World, file: &ReplayFile, watch: Watch<'_>) -> Replayed {
    let mut recorder = Recorder::new(world, watch);
    let beginning = world.fingerprint(&recorder.moment);
    let mut changed = (beginning_of(&file.header) != Some(beginning)).then_some(0);
    let mut moved = Vec::new();
    for (step, choice) in (1_u32..).zip(&file.choices) {
        let possible = recorder.possible();
        let recorded = choice.pick as usize;
        let Some(pick) = find(world, &recorder, &possible, &choice.label, recorded) else {
            let possible = labels(world, &recorder.moment, &possible);
            return Replayed {
                comparison: Comparison::Diverged {
                    step,
                    expected: choice.label.clone(),
                    possible,
                },
                run: recorder.finish(),
                moved,
            };
        };
        if pick != recorded || possible.len() != choice.of as usize {
            moved.push(step);
        }
        let state: Fingerprint128 = recorder.take(&possible, pick, choice.label.clone(), watch);
        if state != choice.state {
            changed.get_or_insert(step);
        }
    }
    let run = recorder.finish();
    let comparison = match changed {
        changed if run.verdict != file.verdict => Comparison::OtherVerdict { changed },
        Some(step) => Comparison::Changed { step },
        None => Comparison::Same,
    };
    Replayed {
        comparison,
        run,
        moved,
    }
}

/// Finds the action of a label; looks at the recorded place first.
fn find(
    world: &World,
    recorder: &Recorder<'_>,
    possible: &[crate::action::Action],
    wanted: &str,
    recorded: usize,
) -> Option<usize> {
    let is_wanted = |at: &usize| label(world, &recorder.moment, possible, *at) == wanted;
    let described = possible.get(recorded);
    let described = described.map(|action| world.describe(&recorder.moment, action));
    // A look at one label is enough where it cannot be one of several.
    if described.is_some_and(|described| wanted.starts_with(&described)) && is_wanted(&recorded) {
        return Some(recorded);
    }
    (0..possible.len()).find(is_wanted)
}

impl Replayed {
    /// Says whether the recorded verdict was reached, by the recorded steps.
    pub fn has_recorded_verdict(&self) -> bool {
        matches!(
            self.comparison,
            Comparison::Same | Comparison::Changed { .. }
        )
    }

    /// Returns what differs from what was recorded, with its place in the text
    /// that the file was read from; nothing where all is the same.
    pub fn diagnostic(&self, recorded: &Verdict, text: &str, file: FileId) -> Option<Diagnostic> {
        let (diagnostic, step) = match &self.comparison {
            Comparison::Same => return None,
            Comparison::Changed { step } => {
                let message = match step {
                    0 => "the first state is not the recorded one".to_owned(),
                    step => format!("the state behind step {step} is not the recorded one"),
                };
                let diagnostic = Diagnostic::warning(&codes::OTHER_STATE, message)
                    .help("all recorded steps are possible, and the verdict is the same");
                (diagnostic, *step as usize)
            }
            Comparison::Diverged {
                step,
                expected,
                possible,
            } => (diverged(*step, expected, possible), *step as usize),
            Comparison::OtherVerdict { changed } => {
                let (was, is) = (in_words(recorded), in_words(&self.run.verdict));
                let message = format!("the recorded verdict is {was}, and now it is {is}");
                let mut diagnostic = Diagnostic::error(&codes::OTHER_VERDICT, message);
                if let Some(step) = changed {
                    diagnostic =
                        diagnostic.help(format!("the first other state is the one behind {step}"));
                }
                (diagnostic, self.run.choices.len() + 1)
            }
        };
        Some(match ReplayFile::span_of(text, file, step) {
            Some(span) => diagnostic.at(span),
            None => diagnostic,
        })
    }
}

fn diverged(step: u32, expected: &str, possible: &[String]) -> Diagnostic {
    let message = format!("step {step} is not possible: {expected}");
    let diagnostic = Diagnostic::error(&codes::NOT_POSSIBLE, message);
    if possible.is_empty() {
        return diagnostic.help("nothing can happen here any more");
    }
    let known = possible.iter().map(String::as_str);
    let diagnostic = match did_you_mean(expected, known) {
        Some(like) => diagnostic.help(format!("this can: {like}")),
        None => diagnostic,
    };
    let shown = possible.iter().take(POSSIBLE_SHOWN_MAX);
    let diagnostic = shown.fold(diagnostic, |diagnostic, label| {
        diagnostic.help(format!("possible is: {label}"))
    });
    match possible.len().checked_sub(POSSIBLE_SHOWN_MAX) {
        None | Some(0) => diagnostic,
        Some(more) => diagnostic.help(format!("and {more} more")),
    }
}

/// What is possible instead, at most: nobody reads more.
const POSSIBLE_SHOWN_MAX: usize = 10;

fn in_words(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Violated { property, step } => {
            format!("that `{property}` does not hold behind step {step}")
        }
        Verdict::Passed => "that all is well at the end".to_owned(),
        Verdict::Open => "that nothing is wrong so far".to_owned(),
    }
}
