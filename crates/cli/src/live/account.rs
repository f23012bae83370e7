//! What happened in the runs, as it is told while they go on and at their end.

use std::collections::{BTreeMap, BTreeSet};

use zenekar_live::{Controller, Event, GlobalState, Outcome, ProcessName, Progress, RunId};

use super::gap::Model;
use crate::output::Output;

/// Differences from the model that are kept: more tell nothing new.
const GAPS_MAX: usize = 100;

/// A process came to a breakpoint.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Arrival {
    pub(crate) at_ms: u64,
    pub(crate) process: ProcessName,
    pub(crate) number: u32,
    pub(crate) tag: String,
    /// The exit status of the command before it, if it was reported.
    pub(crate) status: Option<String>,
}

/// One run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Story {
    /// The processes that were let go, in their order.
    pub(crate) steps: Vec<ProcessName>,
    pub(crate) arrivals: Vec<Arrival>,
    /// When each consistent state was entered.
    pub(crate) boundaries: Vec<(u64, String)>,
    /// Who did not come, and when that was known.
    pub(crate) stuck: Vec<(u64, ProcessName)>,
    pub(crate) violated: Vec<String>,
    pub(crate) outcome: Option<Outcome>,
    /// The number of the run.
    pub(crate) run: u64,
    /// When it began, on the clock of the controller.
    pub(crate) began_ms: u64,
    last: Option<GlobalState>,
}

impl Story {
    /// Says whether something is wrong in it.
    pub(crate) fn is_bad(&self) -> bool {
        !self.violated.is_empty() || !self.stuck.is_empty()
    }

    /// Returns the steps as `--schedule` takes them.
    pub(crate) fn schedule(&self) -> String {
        schedule_text(&self.steps)
    }

    fn enter(
        &mut self,
        now_ms: u64,
        before: Option<&GlobalState>,
        state: &GlobalState,
        stepped: Option<&ProcessName>,
    ) {
        let at_ms = now_ms.saturating_sub(self.began_ms);
        let known_before = self.arrivals.len();
        for (node, numbers) in &state.breakpoints.0 {
            let before = before.and_then(|before| before.breakpoints.0.get(node));
            for (index, number) in numbers.iter().enumerate() {
                let known = before.and_then(|numbers| numbers.get(index));
                if *number == 0 || known == Some(number) {
                    continue;
                }
                let data = state.data.get(node).and_then(|data| data.get(index));
                let tag = data.and_then(|data| data.process.get("bpTag"));
                let tag = tag.and_then(serde_json::Value::as_str).unwrap_or_default();
                let status = data.and_then(|data| data.user.get("status"));
                let status = status.and_then(serde_json::Value::as_str);
                self.arrivals.push(Arrival {
                    at_ms,
                    process: ProcessName::new(node.clone(), u32::try_from(index).unwrap_or(0) + 1),
                    number: *number,
                    tag: tag.to_owned(),
                    status: status.map(str::to_owned),
                });
            }
        }
        // Whoever comes has been made after what the others did.
        self.arrivals[known_before..].sort_by_key(|one| one.number == 1);
        self.steps.extend(stepped.cloned());
        self.boundaries.push((at_ms, state.breakpoints.to_string()));
        self.last = Some(state.clone());
    }
}

/// A command whose end depends on the order of steps.
pub(crate) struct Race<'a> {
    pub(crate) process: &'a ProcessName,
    pub(crate) tag: &'a str,
    /// By exit status, the shortest steps that lead to it.
    pub(crate) endings: &'a BTreeMap<String, Vec<ProcessName>>,
}

/// Writes processes as `--schedule` takes them.
pub(crate) fn schedule_text(steps: &[ProcessName]) -> String {
    let names: Vec<String> = steps.iter().map(ToString::to_string).collect();
    names.join(",")
}

/// All runs.
pub(crate) struct Account {
    output: Output,
    controller: Controller,
    pub(crate) model: Model,
    /// Tells each state, and not only each run.
    is_detailed: bool,
    running: BTreeMap<RunId, Story>,
    /// By property, the shortest steps that lead to where it is violated.
    pub(crate) violations: BTreeMap<String, Vec<ProcessName>>,
    /// By who did not come, the shortest steps that lead there.
    pub(crate) stuck: BTreeMap<ProcessName, Vec<ProcessName>>,
    /// By process and tag, how the command before that breakpoint ended, and the
    /// shortest steps that lead to each ending.
    pub(crate) endings: BTreeMap<(ProcessName, String), BTreeMap<String, Vec<ProcessName>>>,
    pub(crate) ran_ahead: BTreeSet<ProcessName>,
    pub(crate) gaps: BTreeSet<String>,
    pub(crate) failures: Vec<String>,
    /// A schedule that the run did not follow: the process that could not go.
    pub(crate) diverged: BTreeSet<ProcessName>,
    pub(crate) macrosteps: u64,
    /// How long each took, until the next consistent state, in ms.
    pub(crate) took_ms: Vec<u64>,
    /// The run that is drawn: the first in which something is wrong, else the last.
    pub(crate) shown: Option<Story>,
}

impl Account {
    pub(crate) fn new(
        output: Output,
        controller: Controller,
        model: Model,
        is_detailed: bool,
    ) -> Self {
        Self {
            output,
            controller,
            model,
            is_detailed,
            running: BTreeMap::new(),
            violations: BTreeMap::new(),
            stuck: BTreeMap::new(),
            endings: BTreeMap::new(),
            ran_ahead: BTreeSet::new(),
            gaps: BTreeSet::new(),
            failures: Vec::new(),
            diverged: BTreeSet::new(),
            macrosteps: 0,
            took_ms: Vec::new(),
            shown: None,
        }
    }

    /// Returns the breakpoints before which a command ends in several ways, as
    /// the order of steps has it.
    pub(crate) fn races(&self) -> impl Iterator<Item = Race<'_>> {
        let several = self.endings.iter().filter(|(_, endings)| endings.len() > 1);
        several.map(|((process, tag), endings)| Race {
            process,
            tag,
            endings,
        })
    }

    /// Returns how long half of the macrosteps took at most, in ms; none without any.
    pub(crate) fn median_ms(&self) -> Option<u64> {
        let mut all = self.took_ms.clone();
        all.sort_unstable();
        all.get(all.len() / 2).copied()
    }

    /// Takes what happened.
    pub(crate) fn take(&mut self, progress: Progress) {
        match progress {
            Progress::Began(id, _) => {
                let story = Story {
                    run: id.0,
                    began_ms: self.controller.now_ms(),
                    ..Story::default()
                };
                self.running.insert(id, story);
            }
            Progress::Happened(id, event, finding) => {
                if let Some(mut story) = self.running.remove(&id) {
                    self.happened(id, &mut story, &event);
                    for name in finding.violated {
                        self.violated(id, &mut story, name);
                    }
                    self.running.insert(id, story);
                }
            }
            Progress::Failed(id, reason) => {
                self.line(&format!("run {}: {reason}", id.0 + 1));
                self.failures.push(reason);
            }
            Progress::Ended(id) => {
                if let Some(story) = self.running.remove(&id) {
                    self.ended(id, story);
                }
            }
        }
    }

    fn line(&self, text: &str) {
        if !self.output.is_json() {
            self.output.line(text);
        }
    }

    fn happened(&mut self, id: RunId, story: &mut Story, event: &Event) {
        let now_ms = self.controller.now_ms();
        match event {
            Event::Entered {
                state,
                stepped,
                took_ms,
            } => {
                self.took_ms.extend(took_ms);
                self.macrosteps += u64::from(stepped.is_some());
                let before = story.last.take();
                let known = story.arrivals.len();
                story.enter(now_ms, before.as_ref(), state, stepped.as_ref());
                let arrivals = &story.arrivals[known..];
                if let (Some(before), Some(process)) = (&before, stepped)
                    && self.gaps.len() < GAPS_MAX
                {
                    let arrival = arrivals.iter().find(|one| one.process == *process);
                    self.gaps.extend(match arrival {
                        None => self.model.of_stuck(before, process),
                        Some(one) => self.model.of_step(before, process, one.status.as_deref()),
                    });
                }
                for one in arrivals {
                    let Some(status) = &one.status else { continue };
                    let at = (one.process.clone(), one.tag.clone());
                    let endings = self.endings.entry(at).or_default();
                    keep_shortest(endings, status, &story.steps);
                }
                let is_none_there = stepped.is_none() && !state.stuck.is_empty();
                if self.is_detailed && !is_none_there {
                    let by = stepped.as_ref().map_or_else(
                        || "all that were made wait".to_owned(),
                        |process| format!("{process} was let go"),
                    );
                    self.line(&format!("run {}: {by}: {}", id.0 + 1, state.breakpoints));
                }
                for name in &state.stuck {
                    keep_shortest(&mut self.stuck, name, &story.steps);
                }
            }
            Event::Stuck(name) => {
                let at_ms = now_ms.saturating_sub(story.began_ms);
                story.stuck.push((at_ms, name.clone()));
                self.line(&format!("run {}: `{name}` did not come in time", id.0 + 1));
            }
            Event::Late(name) => {
                self.line(&format!("run {}: `{name}` came late", id.0 + 1));
            }
            Event::RanAhead(name) => {
                self.ran_ahead.insert(name.clone());
            }
            Event::Stopped(_) => {}
            Event::Ended(outcome) => {
                if let Outcome::Diverged(name) = outcome {
                    self.diverged.insert(name.clone());
                }
                story.outcome = Some(outcome.clone());
            }
        }
    }

    fn violated(&mut self, id: RunId, story: &mut Story, name: String) {
        let paint = self.output.talk_paint;
        self.line(&format!(
            "run {}: {} `{name}` after {} steps",
            id.0 + 1,
            paint.bad("violated:"),
            story.steps.len()
        ));
        keep_shortest(&mut self.violations, &name, &story.steps);
        story.violated.push(name);
    }

    fn ended(&mut self, id: RunId, story: Story) {
        let outcome = match &story.outcome {
            Some(Outcome::Finished) => "finished".to_owned(),
            Some(Outcome::Stuck(_)) => "stuck".to_owned(),
            Some(Outcome::Diverged(name)) => format!("`{name}` could not be let go"),
            Some(Outcome::Aborted) => "ended early".to_owned(),
            None => "failed".to_owned(),
        };
        let schedule = story.schedule();
        let colon = if schedule.is_empty() { "" } else { ": " };
        self.line(&format!("run {}: {outcome}{colon}{schedule}", id.0 + 1));
        let is_better = self.shown.as_ref().is_none_or(|shown| !shown.is_bad());
        if is_better && !story.boundaries.is_empty() || self.shown.is_none() {
            self.shown = Some(story);
        }
    }
}

fn keep_shortest<K: Ord + Clone>(
    all: &mut BTreeMap<K, Vec<ProcessName>>,
    key: &K,
    steps: &[ProcessName],
) {
    let known = all.entry(key.clone()).or_insert_with(|| steps.to_vec());
    if steps.len() < known.len() {
        *known = steps.to_vec();
    }
}
