//! Carries a traversal out: brings infrastructures up, follows their sessions,
//! and takes them down again, several at a time.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::hub::Controller;
use crate::process::ProcessName;
use crate::session::{Event, Mode, Session, Settings, Then};
use crate::traversal::{Finding, Next, RunId, Traversal};

/// Runs that may fail to begin or end one after the other: whatever the reason
/// is, it will not go away by itself.
const FAILURES_MAX: u32 = 3;

/// Events that wait to be looked at; runs wait when there are more.
const EVENTS_WAITING_MAX: usize = 256;

/// Runs at the same time, whatever is asked for.
const WIDTH_MAX: usize = 32;

/// Something that takes its time, and may fail for a reason.
pub type Work<'a> = Pin<Box<dyn Future<Output = Result<(), String>> + Send + 'a>>;

/// How infrastructures are brought up and taken down.
pub trait Deployment: Send + Sync {
    /// Brings a fresh infrastructure up under an id. Its session is open; this may
    /// return as soon as its nodes are on their way.
    fn start<'a>(&'a self, infrastructure: &'a str) -> Work<'a>;

    /// Takes an infrastructure down, whether or not it came up.
    fn stop<'a>(&'a self, infrastructure: &'a str) -> Work<'a>;
}

/// What is to be done.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What the ids of the infrastructures begin with; the number of the run follows.
    pub prefix: String,
    /// The settings of each session; the mode comes from the traversal.
    pub settings: Settings,
    /// How many runs are under way at the same time, at least 1.
    pub width: usize,
    /// How many runs are begun at most.
    pub runs_max: u64,
}

/// What happens meanwhile.
#[derive(Clone, Debug, PartialEq)]
pub enum Progress {
    /// A run begins.
    Began(RunId, Vec<ProcessName>),
    /// Something happened in it.
    Happened(RunId, Event, Finding),
    /// It failed for a reason that is not in the infrastructure.
    Failed(RunId, String),
    /// It is over, and its infrastructure is gone.
    Ended(RunId),
}

/// How a traversal ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Everything was run, or given up.
    Complete,
    /// There were as many runs as there may be.
    Budget,
    /// Somebody stopped it.
    Stopped,
}

/// Why a traversal could not be gone on with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{FAILURES_MAX} runs failed one after the other, the last one because: {reason}")]
pub struct TraverseError {
    /// The reason of the last one.
    pub reason: String,
}

/// What a run tells the loop.
enum Message {
    Event(RunId, Event),
    /// The infrastructure is gone; an error if it could not be brought up or down.
    Over(RunId, Result<(), String>),
}

/// Runs schedule after schedule until all were run, the budget is used up, or
/// `stop` becomes true. All infrastructures are taken down before it returns,
/// unless the future is dropped.
pub async fn traverse(
    controller: &Controller,
    traversal: &mut Traversal,
    deployment: Arc<dyn Deployment>,
    plan: &Plan,
    stop: watch::Receiver<bool>,
    tell: &mut (dyn FnMut(Progress) + Send),
) -> Result<Ending, TraverseError> {
    let mut drive = Drive::new(controller.clone(), deployment, plan, stop);
    let mut failures = 0;
    let mut last_reason = String::new();
    loop {
        let ending = drive.fill(traversal, failures < FAILURES_MAX, tell);
        if drive.under_way == 0 {
            if failures >= FAILURES_MAX {
                return Err(TraverseError {
                    reason: last_reason,
                });
            }
            return Ok(ending.unwrap_or(Ending::Complete));
        }
        match drive.next().await {
            Some(Message::Event(id, event)) => drive.observe(traversal, id, event, tell),
            Some(Message::Over(id, result)) => {
                drive.under_way -= 1;
                // Without an end of its session it was none.
                traversal.abandon(id);
                match result {
                    Ok(()) => failures = 0,
                    Err(reason) => {
                        failures += 1;
                        tell(Progress::Failed(id, reason.clone()));
                        last_reason = reason;
                    }
                }
                tell(Progress::Ended(id));
            }
            None => return Ok(Ending::Stopped),
        }
    }
}

struct Drive<'p> {
    controller: Controller,
    deployment: Arc<dyn Deployment>,
    plan: &'p Plan,
    stop: watch::Receiver<bool>,
    tasks: JoinSet<()>,
    sender: mpsc::Sender<Message>,
    receiver: mpsc::Receiver<Message>,
    under_way: usize,
    begun: u64,
    is_stopped: bool,
}

impl<'p> Drive<'p> {
    fn new(
        controller: Controller,
        deployment: Arc<dyn Deployment>,
        plan: &'p Plan,
        stop: watch::Receiver<bool>,
    ) -> Self {
        let (sender, receiver) = mpsc::channel(EVENTS_WAITING_MAX);
        Self {
            controller,
            deployment,
            plan,
            stop,
            tasks: JoinSet::new(),
            sender,
            receiver,
            under_way: 0,
            begun: 0,
            is_stopped: false,
        }
    }

    /// Begins runs while there is room; returns why none was begun, if that is for good.
    fn fill(
        &mut self,
        traversal: &mut Traversal,
        is_hopeful: bool,
        tell: &mut (dyn FnMut(Progress) + Send),
    ) -> Option<Ending> {
        while self.under_way < self.plan.width.clamp(1, WIDTH_MAX) && is_hopeful {
            if self.is_stopped || *self.stop.borrow() {
                return Some(Ending::Stopped);
            }
            if self.begun >= self.plan.runs_max {
                return Some(Ending::Budget);
            }
            match traversal.begin() {
                Next::Run(id, schedule) => {
                    tell(Progress::Began(id, schedule.clone()));
                    self.begin(id, schedule);
                }
                Next::Wait => return None,
                Next::Done => return Some(Ending::Complete),
            }
        }
        None
    }

    fn begin(&mut self, id: RunId, schedule: Vec<ProcessName>) {
        self.begun += 1;
        self.under_way += 1;
        let mut settings = self.plan.settings.clone();
        settings.mode = Mode::Scheduled(schedule, Then::First);
        let run = Run {
            id,
            infrastructure: self.infrastructure(id),
            controller: self.controller.clone(),
            deployment: Arc::clone(&self.deployment),
            sender: self.sender.clone(),
        };
        self.tasks.spawn(run.carry_out(settings));
    }

    fn infrastructure(&self, id: RunId) -> String {
        format!("{}-{}", self.plan.prefix, id.0)
    }

    /// Waits for a message; when it is to stop, the runs are ended meanwhile.
    async fn next(&mut self) -> Option<Message> {
        loop {
            tokio::select! {
                message = self.receiver.recv() => return message,
                Some(_) = self.tasks.join_next() => {}
                changed = self.stop.wait_for(|stop| *stop), if !self.is_stopped => {
                    self.is_stopped = true;
                    // Whoever could have said so is gone, and will not.
                    if changed.is_ok() {
                        for name in self.controller.list() {
                            if name.starts_with(&format!("{}-", self.plan.prefix)) {
                                self.controller.with(&name, |session, _| session.abort());
                            }
                        }
                    }
                }
            }
        }
    }

    fn observe(
        &self,
        traversal: &mut Traversal,
        id: RunId,
        event: Event,
        tell: &mut (dyn FnMut(Progress) + Send),
    ) {
        match traversal.observe(id, &event) {
            Ok(finding) => tell(Progress::Happened(id, event, finding)),
            Err(error) => {
                tell(Progress::Failed(id, error.to_string()));
                self.controller
                    .with(&self.infrastructure(id), |session, _| session.abort());
            }
        }
    }
}

/// One run.
struct Run {
    id: RunId,
    infrastructure: String,
    controller: Controller,
    deployment: Arc<dyn Deployment>,
    sender: mpsc::Sender<Message>,
}

impl Run {
    async fn carry_out(self, settings: Settings) {
        let result = match self.controller.open(&self.infrastructure, settings) {
            Ok(()) => self.follow().await,
            Err(error) => Err(error.to_string()),
        };
        self.controller.close(&self.infrastructure);
        // Nobody listens any more if the whole traversal was dropped.
        let _ = self.sender.send(Message::Over(self.id, result)).await;
    }

    async fn follow(&self) -> Result<(), String> {
        let started = self.deployment.start(&self.infrastructure).await;
        if started.is_err() {
            self.controller
                .with(&self.infrastructure, |session, _| Session::abort(session));
        }
        while let Some(event) = self.controller.next_event(&self.infrastructure).await {
            let is_end = matches!(event, Event::Ended(_));
            let sent = self.sender.send(Message::Event(self.id, event)).await;
            if is_end || sent.is_err() {
                break;
            }
        }
        let stopped = self.deployment.stop(&self.infrastructure).await;
        started.and(stopped)
    }
}
