//! One run of an infrastructure, held at its breakpoints. A pure state machine:
//! reports and the time come in, answers and events go out.
//!
//! The run is in a *consistent global state* when no process moves, and all
//! that are held have reported their variables anew since the last one arrived.
//! From there exactly one process is let go, to its next breakpoint: a macrostep.

use std::collections::{BTreeMap, VecDeque};

use crate::limits::{BREAKPOINTS_MAX, EVENTS_MAX, NOTIFICATIONS_MAX, PROCESSES_MAX};
use crate::process::{CollectiveBreakpoint, ProcessName};
use crate::submission::Submission;
use crate::watch::Watch;

mod mode;
mod one;
mod orchestrator;
mod outcome;

pub use mode::{Mode, Settings, Stops, Then};
pub use one::{Breakpoint, Stage};
pub use outcome::{Event, GlobalState, Notification, Outcome, ProcessData, StepError, StopReason};

use one::Process;

/// What a process is told when it asks whether it may go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It may.
    Go,
    /// Not yet.
    Wait,
    /// Not yet; its variables are to be reported anew.
    Refresh,
}

impl Answer {
    /// Returns the word that stands for it.
    pub const fn as_word(self) -> &'static str {
        match self {
            Self::Go => "go",
            Self::Wait => "wait",
            Self::Refresh => "refresh",
        }
    }
}

/// Why a session does not take something.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The instance is not known.
    #[error("no process has the id `{0}`")]
    UnknownProcess(String),
    /// All processes of the node have reported already, or it has none.
    #[error("no further instance of `{0}` is expected")]
    NotExpected(String),
    /// There are more breakpoints than a script can have.
    #[error("`{0}` has had more than {BREAKPOINTS_MAX} breakpoints")]
    TooManyBreakpoints(ProcessName),
    /// More notifications are held than there can be.
    #[error("more than {NOTIFICATIONS_MAX} notifications are held")]
    TooManyNotifications,
    /// A session has no more processes than this.
    #[error("a session has at most {PROCESSES_MAX} processes, and at least one")]
    WrongProcessCount,
}

/// A run that is held at its breakpoints.
#[derive(Clone, Debug)]
pub struct Session {
    settings: Settings,
    processes: BTreeMap<ProcessName, Process>,
    /// Which process an id belongs to.
    ids: BTreeMap<String, ProcessName>,
    /// The steps that are left of a schedule.
    schedule: VecDeque<ProcessName>,
    /// The step that led to where the run is, and when it began.
    stepped: Option<(ProcessName, u64)>,
    /// The last consistent global state, while the run is in it.
    state: Option<GlobalState>,
    outcome: Option<Outcome>,
    events: VecDeque<Event>,
    /// What came since the last boundary, by process and order.
    postponed: Vec<Notification>,
    /// What may be delivered.
    released: VecDeque<Notification>,
    macrosteps: u64,
    /// Counts what the orchestrator may have to react to.
    round: u64,
    /// The round in which it had nothing more to do.
    settled: Option<u64>,
    /// What is checked in each state, to stop there.
    watch: Watch,
}

impl Session {
    /// Begins a run at `now_ms`; nothing has reported yet.
    pub fn new(settings: Settings, now_ms: u64) -> Result<Self, Refusal> {
        let is_expected = !settings.is_orchestrated;
        let deadline_ms = is_expected.then(|| now_ms.saturating_add(settings.arrival_ms));
        let processes: BTreeMap<ProcessName, Process> = settings
            .processes
            .iter()
            .map(|name| (name.clone(), Process::new(deadline_ms)))
            .collect();
        if processes.is_empty() || processes.len() > PROCESSES_MAX {
            return Err(Refusal::WrongProcessCount);
        }
        let schedule = match &settings.mode {
            Mode::Scheduled(schedule, _) => schedule.iter().cloned().collect(),
            Mode::FreeRun | Mode::Manual => VecDeque::new(),
        };
        Ok(Self {
            watch: Watch::new(&settings.stops.properties),
            settings,
            processes,
            ids: BTreeMap::new(),
            schedule,
            stepped: None,
            state: None,
            outcome: None,
            events: VecDeque::new(),
            postponed: Vec::new(),
            released: VecDeque::new(),
            macrosteps: 0,
            round: 0,
            settled: None,
        })
    }

    /// Says which process an instance is. Without it, instances of a node take
    /// the free numbers in the order in which they first report.
    pub fn assign(&mut self, id: &str, name: &ProcessName) -> Result<(), Refusal> {
        let is_free = self
            .processes
            .get(name)
            .is_some_and(|process| process.id.as_deref().is_none_or(|known| known == id));
        if !is_free || self.ids.get(id).is_some_and(|known| known != name) {
            return Err(Refusal::NotExpected(name.to_string()));
        }
        self.ids.insert(id.to_owned(), name.clone());
        if let Some(process) = self.processes.get_mut(name) {
            process.id = Some(id.to_owned());
        }
        Ok(())
    }

    /// Takes the report of a breakpoint; returns its number. The same report
    /// again, before the process was let go, is the same breakpoint.
    pub fn submit(
        &mut self,
        now_ms: u64,
        id: &str,
        submission: Submission,
    ) -> Result<u32, Refusal> {
        let name = self.process_of(id, &submission)?;
        let is_free = self.is_free();
        let is_asleep =
            self.settings.is_asleep(&name.node, &submission.tag) && !submission.is_last();
        let step_ms = self.settings.step_ms;
        let Some(process) = self.processes.get_mut(&name) else {
            return Err(Refusal::UnknownProcess(id.to_owned()));
        };
        if process.number >= BREAKPOINTS_MAX {
            return Err(Refusal::TooManyBreakpoints(name));
        }
        let is_repeated = process.is_repetition(&submission);
        if is_repeated {
            process.replace(submission);
            process.is_refreshed = true;
        } else if is_asleep {
            process.sleep(submission, now_ms, now_ms.saturating_add(step_ms));
        } else {
            let stage = process.stage;
            process.arrive(submission, now_ms);
            if is_free && process.stage == Stage::Held {
                process.let_go(now_ms.saturating_add(step_ms));
            }
            if stage == Stage::Held && !is_free {
                self.tell(Event::RanAhead(name.clone()));
            } else if stage == Stage::Stuck {
                self.tell(Event::Late(name.clone()));
            }
        }
        if !is_repeated && !is_asleep {
            self.state = None;
            self.round += 1;
            self.ask_for_refresh(&name, now_ms);
        }
        let number = self
            .processes
            .get(&name)
            .map_or(0, |process| process.number);
        self.settle(now_ms);
        Ok(number)
    }

    /// Answers a process that asks whether it may go on.
    pub fn next(&mut self, id: &str) -> Result<Answer, Refusal> {
        let is_free = self.is_free();
        let process = self.known(id)?;
        Ok(process.answer(is_free))
    }

    /// Takes the variables of a process anew.
    pub fn refresh(
        &mut self,
        now_ms: u64,
        id: &str,
        submission: Submission,
    ) -> Result<(), Refusal> {
        let process = self.known(id)?;
        process.replace(submission);
        process.is_refreshed = true;
        if process.stage == Stage::Held {
            process.deadline_ms = None;
        }
        self.settle(now_ms);
        Ok(())
    }

    /// Lets a process go to its next breakpoint.
    pub fn step(&mut self, now_ms: u64, name: &ProcessName) -> Result<(), StepError> {
        if self.outcome.is_some() {
            return Err(StepError::Over);
        }
        if self.state.is_none() {
            return Err(StepError::NotConsistent);
        }
        let deadline_ms = now_ms.saturating_add(self.settings.step_ms);
        let process = self
            .processes
            .get_mut(name)
            .ok_or_else(|| StepError::Unknown(name.clone()))?;
        if process.stage != Stage::Held {
            return Err(StepError::NotHeld(name.clone()));
        }
        process.let_go(deadline_ms);
        self.stepped = Some((name.clone(), now_ms));
        self.state = None;
        self.macrosteps += 1;
        self.round += 1;
        Ok(())
    }

    /// Changes how the run goes on, from the next consistent global state.
    pub fn set_mode(&mut self, now_ms: u64, mode: Mode) {
        self.schedule = match &mode {
            Mode::Scheduled(schedule, _) => schedule.iter().cloned().collect(),
            Mode::FreeRun | Mode::Manual => VecDeque::new(),
        };
        self.settings.mode = mode;
        if matches!(self.settings.mode, Mode::FreeRun) {
            self.release_all(now_ms);
        } else if self.state.is_some() {
            self.drive(now_ms);
        }
    }

    /// Ends the run early; everybody may go on.
    pub fn abort(&mut self) {
        self.end(Outcome::Aborted);
    }

    /// Lets time pass: who did not arrive by now is stuck.
    pub fn tick(&mut self, now_ms: u64) {
        if self.outcome.is_some() {
            return;
        }
        let mut stuck = Vec::new();
        for (name, process) in &mut self.processes {
            if process.deadline_ms.is_some_and(|at| at <= now_ms) {
                process.stage = Stage::Stuck;
                process.deadline_ms = None;
                stuck.push(name.clone());
            }
        }
        if stuck.is_empty() {
            return;
        }
        self.round += 1;
        for name in &stuck {
            self.tell(Event::Stuck(name.clone()));
        }
        // A person may go on with the others; a traversal begins the next run.
        if matches!(self.settings.mode, Mode::Scheduled(..)) {
            self.end_in_state(now_ms);
        } else {
            self.settle(now_ms);
        }
    }

    /// Returns when [`Session::tick`] has something to do.
    pub fn next_deadline_ms(&self) -> Option<u64> {
        if self.outcome.is_some() {
            return None;
        }
        self.processes
            .values()
            .filter_map(|process| process.deadline_ms)
            .min()
    }

    /// Takes a notification of a process for the orchestrator. What comes inside
    /// of a macrostep is held until its boundary, so that the orchestrator acts
    /// on consistent global states only.
    pub fn notify(&mut self, notification: Notification) -> Result<(), Refusal> {
        if self.is_free() {
            self.released.push_back(notification);
            return Ok(());
        }
        if self.postponed.len() + self.released.len() >= NOTIFICATIONS_MAX {
            return Err(Refusal::TooManyNotifications);
        }
        self.postponed.push(notification);
        if self.state.is_some() || self.consultation().is_some() {
            self.release_notifications();
        }
        Ok(())
    }

    /// Returns the next notification that may be delivered.
    pub fn next_notification(&mut self) -> Option<Notification> {
        self.released.pop_front()
    }

    /// Returns the next event.
    pub fn next_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Returns the consistent global state that the run is in; none inside of a macrostep.
    pub const fn state(&self) -> Option<&GlobalState> {
        self.state.as_ref()
    }

    /// Returns how the run ended; none while it goes on.
    pub const fn outcome(&self) -> Option<&Outcome> {
        self.outcome.as_ref()
    }

    /// Returns how many macrosteps were begun.
    pub const fn macrosteps(&self) -> u64 {
        self.macrosteps
    }

    /// Returns how many notifications are held until the next boundary.
    pub const fn postponed(&self) -> usize {
        self.postponed.len()
    }

    /// Returns the breakpoints of an instance that are still kept, in their order.
    pub fn breakpoints(&self, id: &str) -> Option<impl Iterator<Item = &Breakpoint>> {
        let process = self.processes.get(self.ids.get(id)?)?;
        Some(process.history.iter())
    }

    /// Returns where each process is, and the id of its instance.
    pub fn stages(&self) -> impl Iterator<Item = (&ProcessName, Option<&str>, Stage, u32)> {
        self.processes
            .iter()
            .map(|(name, one)| (name, one.id.as_deref(), one.stage, one.number))
    }

    fn is_free(&self) -> bool {
        self.outcome.is_some() || matches!(self.settings.mode, Mode::FreeRun)
    }

    fn known(&mut self, id: &str) -> Result<&mut Process, Refusal> {
        let name = self.ids.get(id);
        name.and_then(|name| self.processes.get_mut(name))
            .ok_or_else(|| Refusal::UnknownProcess(id.to_owned()))
    }

    fn process_of(&mut self, id: &str, submission: &Submission) -> Result<ProcessName, Refusal> {
        if let Some(name) = self.ids.get(id) {
            return Ok(name.clone());
        }
        let node = &submission.node_name;
        let free = self
            .processes
            .iter()
            .find(|(name, process)| name.node == *node && process.id.is_none());
        let Some((name, _)) = free else {
            return Err(Refusal::NotExpected(node.clone()));
        };
        let name = name.clone();
        self.assign(id, &name)?;
        Ok(name)
    }

    /// Asks all that are held for their variables, once nobody moves any more:
    /// what they reported earlier may have changed by what was done meanwhile.
    fn ask_for_refresh(&mut self, arrived: &ProcessName, now_ms: u64) {
        if self.is_free() || self.is_moving() {
            return;
        }
        let deadline_ms = now_ms.saturating_add(self.settings.refresh_ms);
        for (name, process) in &mut self.processes {
            if name != arrived && process.stage == Stage::Held && !process.is_steady() {
                process.is_refreshed = false;
                process.deadline_ms = Some(deadline_ms);
            }
        }
    }

    fn is_moving(&self) -> bool {
        self.processes
            .values()
            .any(|process| matches!(process.stage, Stage::Absent | Stage::Moving))
    }

    /// Finds out whether the run is in a consistent global state now.
    fn settle(&mut self, now_ms: u64) {
        if self.outcome.is_some() || self.state.is_some() {
            return;
        }
        if matches!(self.settings.mode, Mode::FreeRun) {
            let is_over =
                |process: &Process| matches!(process.stage, Stage::Finished | Stage::Stuck);
            if self.processes.values().all(is_over) {
                self.end_in_state(now_ms);
            }
            return;
        }
        let is_waited_for =
            |process: &Process| process.stage == Stage::Held && !process.is_refreshed;
        if self.is_moving() || self.processes.values().any(is_waited_for) {
            return;
        }
        if self.consultation().is_some() {
            self.release_notifications();
            return;
        }
        if self.give_up_planned() {
            self.end_in_state(now_ms);
            return;
        }
        self.enter_state(now_ms);
        self.release_notifications();
        self.stop_if_wanted();
        if self
            .state
            .as_ref()
            .is_some_and(|state| state.unfinished.is_empty())
        {
            self.finish();
        } else {
            self.drive(now_ms);
        }
    }

    fn enter_state(&mut self, now_ms: u64) {
        let state = self.global_state();
        let stepped = self.stepped.take();
        let took_ms = stepped
            .as_ref()
            .map(|(_, began_ms)| now_ms.saturating_sub(*began_ms));
        self.tell(Event::Entered {
            state: state.clone(),
            stepped: stepped.map(|(name, _)| name),
            took_ms,
        });
        self.state = Some(state);
    }

    fn global_state(&self) -> GlobalState {
        let mut state = GlobalState::default();
        for (name, process) in &self.processes {
            state.add(name, process);
        }
        state
    }

    fn stop_if_wanted(&mut self) {
        let Some(state) = &self.state else { return };
        let stops = &self.settings.stops;
        let violated = self.watch.check(state, &stops.properties);
        let reason = if let Some(name) = violated.into_iter().next() {
            StopReason::Violated(name)
        } else if stops.at.contains(&state.breakpoints) {
            StopReason::Reached(state.breakpoints.clone())
        } else {
            return;
        };
        if matches!(self.settings.mode, Mode::Scheduled(..)) && !state.unfinished.is_empty() {
            self.settings.mode = Mode::Manual;
            self.schedule.clear();
            self.tell(Event::Stopped(reason));
        }
    }

    /// Goes on by schedule, if there is one.
    fn drive(&mut self, now_ms: u64) {
        let Mode::Scheduled(_, then) = self.settings.mode.clone() else {
            return;
        };
        let first = || {
            let state = self.state.as_ref()?;
            state.unfinished.first().cloned()
        };
        let name = match (self.schedule.front().cloned(), then) {
            (Some(name), _) => name,
            (None, Then::First) => match first() {
                Some(name) => name,
                None => return,
            },
            (None, Then::Manual) => {
                self.settings.mode = Mode::Manual;
                return;
            }
            (None, Then::FreeRun) => {
                self.set_mode(now_ms, Mode::FreeRun);
                return;
            }
        };
        self.schedule.pop_front();
        if self.step(now_ms, &name).is_err() {
            self.end(Outcome::Diverged(name));
        }
    }

    fn release_all(&mut self, now_ms: u64) {
        let deadline_ms = now_ms.saturating_add(self.settings.step_ms);
        for process in self.processes.values_mut() {
            if process.stage == Stage::Held {
                process.let_go(deadline_ms);
            }
        }
        self.state = None;
        self.release_notifications();
    }

    /// Delivers what was held, by process and order, whatever order it came in.
    fn release_notifications(&mut self) {
        let mut postponed = std::mem::take(&mut self.postponed);
        postponed.sort_by(|one, two| one.from.cmp(&two.from));
        self.released.extend(postponed);
    }

    fn finish(&mut self) {
        let stuck: Vec<ProcessName> = self
            .processes
            .iter()
            .filter(|(_, process)| process.stage == Stage::Stuck)
            .map(|(name, _)| name.clone())
            .collect();
        self.end(if stuck.is_empty() {
            Outcome::Finished
        } else {
            Outcome::Stuck(stuck)
        });
    }

    fn end_in_state(&mut self, now_ms: u64) {
        self.enter_state(now_ms);
        self.finish();
    }

    fn end(&mut self, outcome: Outcome) {
        if self.outcome.is_some() {
            return;
        }
        self.outcome = Some(outcome.clone());
        self.release_notifications();
        for process in self.processes.values_mut() {
            process.deadline_ms = None;
        }
        self.tell(Event::Ended(outcome));
    }

    fn tell(&mut self, event: Event) {
        // Whoever does not listen has no use for old events.
        if self.events.len() == EVENTS_MAX {
            self.events.pop_front();
        }
        self.events.push_back(event);
    }

    /// Returns where the processes are, whether or not they move.
    pub fn collective_breakpoint(&self) -> CollectiveBreakpoint {
        self.global_state().breakpoints
    }
}
