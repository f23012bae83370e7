//! One run: by a schedule, by hand, or both.

use std::io::BufRead;
use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use zenekar_live::{
    Controller, Deployment, Ending, Event, GlobalState, Mode, Next, Plan, ProcessName, Progress,
    RunId, Session, Then, Traversal, TraverseError,
};

use super::account::Account;
use crate::output::Output;

/// Lines of a person that wait to be read.
const LINES_WAITING_MAX: usize = 64;

/// How the run goes on.
#[derive(Clone, Debug)]
pub(crate) struct Course {
    pub(crate) schedule: Vec<ProcessName>,
    /// Whether a person goes on from there.
    pub(crate) is_manual: bool,
}

/// What a person wants.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Wish {
    Step(ProcessName),
    /// The first that can go.
    Next,
    /// The first that can go, to the end.
    Continue,
    State,
    Quit,
    Unknown(String),
}

impl Wish {
    fn read(line: &str) -> Self {
        match line.trim() {
            "" | "next" | "n" => Self::Next,
            "continue" | "c" => Self::Continue,
            "state" | "s" => Self::State,
            "quit" | "q" => Self::Quit,
            other => other
                .parse()
                .map_or_else(|_| Self::Unknown(other.to_owned()), Self::Step),
        }
    }
}

/// Reads what a person types, line by line, on a thread that ends with the
/// process: nothing can take it out of its waiting.
fn lines() -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel(LINES_WAITING_MAX);
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines() {
            let Ok(line) = line else { return };
            if sender.blocking_send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

/// A run that is under way.
pub(crate) struct Single<'a> {
    pub(crate) controller: Controller,
    pub(crate) deployment: Arc<dyn Deployment>,
    pub(crate) plan: &'a Plan,
    pub(crate) course: Course,
    pub(crate) output: Output,
}

impl Single<'_> {
    /// Runs once.
    pub(crate) async fn run(
        self,
        traversal: &mut Traversal,
        stop: watch::Receiver<bool>,
        account: &mut Account,
    ) -> Result<Ending, TraverseError> {
        let Next::Run(id, _) = traversal.begin() else {
            return Ok(Ending::Complete);
        };
        account.take(Progress::Began(id, self.course.schedule.clone()));
        let infrastructure = format!("{}-{}", self.plan.prefix, id.0);
        let mut settings = self.plan.settings.clone();
        let Course {
            schedule,
            is_manual,
        } = self.course.clone();
        settings.mode = match (is_manual, schedule.is_empty()) {
            (true, true) => Mode::Manual,
            (true, false) => Mode::Scheduled(schedule, Then::Manual),
            (false, _) => Mode::Scheduled(schedule, Then::First),
        };
        let opened = self.controller.open(&infrastructure, settings);
        let result = if let Err(error) = opened {
            Err(error.to_string())
        } else {
            let started = self.deployment.start(&infrastructure).await;
            if started.is_ok() {
                self.follow(id, &infrastructure, traversal, stop.clone(), account)
                    .await;
            }
            let stopped = self.deployment.stop(&infrastructure).await;
            started.and(stopped)
        };
        self.controller.close(&infrastructure);
        traversal.abandon(id);
        if let Err(reason) = &result {
            account.take(Progress::Failed(id, reason.clone()));
        }
        account.take(Progress::Ended(id));
        match result {
            _ if *stop.borrow() => Ok(Ending::Stopped),
            Ok(()) => Ok(Ending::Budget),
            Err(reason) => Err(TraverseError { reason }),
        }
    }

    async fn follow(
        &self,
        id: RunId,
        infrastructure: &str,
        traversal: &mut Traversal,
        mut stop: watch::Receiver<bool>,
        account: &mut Account,
    ) {
        let mut lines = self.course.is_manual.then(lines);
        let mut left = self.course.schedule.len();
        let mut state: Option<GlobalState> = None;
        let mut is_stopped = false;
        loop {
            let is_asked = lines.is_some() && left == 0 && state.is_some();
            tokio::select! {
                event = self.controller.next_event(infrastructure) => {
                    let Some(event) = event else { return };
                    if let Event::Entered { state: entered, stepped, .. } = &event {
                        left = left.saturating_sub(usize::from(stepped.is_some()));
                        state = Some(entered.clone());
                    }
                    let is_end = matches!(event, Event::Ended(_));
                    self.observe(id, infrastructure, event, traversal, account);
                    if is_end {
                        return;
                    }
                    if lines.is_some() && left == 0 && let Some(state) = &state {
                        self.ask(state);
                    }
                }
                line = next_line(&mut lines), if is_asked => {
                    let wish = line.map_or(Wish::Quit, |line| Wish::read(&line));
                    if wish == Wish::Continue {
                        lines = None;
                    }
                    if self.fulfil(wish, infrastructure, state.as_ref()) {
                        state = None;
                    }
                }
                _ = stop.wait_for(|stop| *stop), if !is_stopped => {
                    is_stopped = true;
                    self.controller.with(infrastructure, |session, _| session.abort());
                }
            }
        }
    }

    fn observe(
        &self,
        id: RunId,
        infrastructure: &str,
        event: Event,
        traversal: &mut Traversal,
        account: &mut Account,
    ) {
        match traversal.observe(id, &event) {
            Ok(finding) => account.take(Progress::Happened(id, event, finding)),
            Err(error) => {
                account.take(Progress::Failed(id, error.to_string()));
                self.controller
                    .with(infrastructure, |session, _| session.abort());
            }
        }
    }

    fn ask(&self, state: &GlobalState) {
        if state.unfinished.is_empty() {
            return;
        }
        let names: Vec<String> = state.unfinished.iter().map(ToString::to_string).collect();
        self.output.line(&format!(
            "{} — who goes next: {}? (next, continue, state, quit)",
            state.breakpoints,
            names.join(", ")
        ));
    }

    /// Does what a person wants; says whether the run has left the state.
    fn fulfil(&self, wish: Wish, infrastructure: &str, state: Option<&GlobalState>) -> bool {
        let first = state.and_then(|state| state.unfinished.first());
        let name = match wish {
            Wish::Step(name) => name,
            Wish::Next => match first {
                Some(name) => name.clone(),
                None => return false,
            },
            Wish::Continue => {
                let rest = Mode::Scheduled(Vec::new(), Then::First);
                self.with(infrastructure, |session, now_ms| {
                    session.set_mode(now_ms, rest);
                });
                return true;
            }
            Wish::Quit => {
                self.with(infrastructure, |session, _| session.abort());
                return true;
            }
            Wish::State => {
                if let Some(state) = state {
                    self.tell(state);
                }
                return false;
            }
            Wish::Unknown(text) => {
                self.output.line(&format!(
                    "`{text}` is neither a process nor `next`, `continue`, `state` or `quit`"
                ));
                return false;
            }
        };
        let stepped = self.controller.with(infrastructure, |session, now_ms| {
            session.step(now_ms, &name)
        });
        match stepped {
            Some(Err(error)) => {
                self.output
                    .line(&format!("cannot let `{name}` go: {error}"));
                false
            }
            Some(Ok(())) | None => true,
        }
    }

    fn with(&self, infrastructure: &str, act: impl FnOnce(&mut Session, u64)) {
        self.controller.with(infrastructure, act);
    }

    /// Tells what all processes have reported.
    fn tell(&self, state: &GlobalState) {
        self.output.line(&state.breakpoints.to_string());
        for (node, data) in &state.data {
            let numbers = state.breakpoints.0.get(node).map_or(&[][..], Vec::as_slice);
            for ((one, number), breakpoint) in data.iter().zip(1_u32..).zip(numbers) {
                let word = match (one.finished, breakpoint) {
                    (true, _) => "finished",
                    (false, 0) => "is not made yet",
                    (false, _) => "waits",
                };
                let values: Vec<String> = one
                    .user
                    .iter()
                    .map(|(name, value)| format!("{name}={value}"))
                    .collect();
                self.output
                    .line(&format!("  {node}[{number}] {word}: {}", values.join(" ")));
            }
        }
    }
}

async fn next_line(lines: &mut Option<mpsc::Receiver<String>>) -> Option<String> {
    match lines {
        Some(lines) => lines.recv().await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wishes_are_read() {
        assert_eq!(Wish::read(" next\n"), Wish::Next);
        assert_eq!(Wish::read(""), Wish::Next);
        assert_eq!(Wish::read("c"), Wish::Continue);
        assert_eq!(Wish::read("quit"), Wish::Quit);
        assert_eq!(Wish::read("state"), Wish::State);
        assert_eq!(Wish::read("srv"), Wish::Step(ProcessName::new("srv", 1)));
        assert_eq!(Wish::read("cl[2]"), Wish::Step(ProcessName::new("cl", 2)));
        assert_eq!(Wish::read("cl[0]"), Wish::Unknown("cl[0]".to_owned()));
    }
}
