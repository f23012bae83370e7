//! What sessions know of the orchestrator: which processes it has made, and
//! whether it has anything more to do before the next state.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use zenekar_base::{InstanceTag, ResourceId};
use zenekar_engine::{Engine, Instance, Phase, Verdict, Waiting};
use zenekar_live::{Controller, Notification, ProcessName, Stage};
use zenekar_runtime::Observer;

/// How often is looked whether a session asks, and whether there is an answer.
pub(crate) const LOOK_INTERVAL: Duration = Duration::from_millis(5);

/// How long the orchestrator may take at one boundary while processes can still
/// be let go: it looks at what starts every second, and checks with pauses of up
/// to ten.
const PATIENCE: Duration = Duration::from_mins(1);

/// How long an instance may take from its last breakpoint until its checks
/// pass: what follows the breakpoint is the end of its contextualisation.
const FINISH_PATIENCE: Duration = Duration::from_secs(10);

/// How long the orchestrator is asked again for a process that is to be let go
/// next and was not made yet: a service that was begun in the background may
/// take a while until it listens.
const AWAITED_PATIENCE: Duration = Duration::from_secs(10);

/// How many beats lie between two looks whether the orchestrator is blocked.
const BEATS_PER_VERDICT: u32 = 10;

/// What is known of one instance.
struct Seen {
    process: Option<ProcessName>,
    resource: Option<ResourceId>,
    phase: Phase,
    /// Whether the orchestrator does nothing about it until something else happens.
    rests: bool,
}

/// One run.
#[derive(Default)]
struct Run {
    seen: Vec<Seen>,
    /// In which round each resource was checked last, and whether it was well.
    looks: BTreeMap<ResourceId, (u64, bool)>,
    /// Those of whose readiness the orchestrator may know.
    delivered: BTreeSet<ProcessName>,
    notified: BTreeSet<ProcessName>,
    finished: BTreeMap<ProcessName, Instant>,
    /// Why it cannot get further.
    blocked: Option<String>,
}

/// Notifications that are remembered, for pictures: nobody sees more.
const TOLD_MAX: usize = 10_000;

/// A process told the orchestrator that it is ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    infrastructure: String,
    pub(crate) process: ProcessName,
    /// When, on the clock of the controller.
    pub(crate) sent_ms: u64,
    /// When the orchestrator was let know, if it was.
    pub(crate) known_ms: Option<u64>,
    /// Whether that had to wait for the end of a macrostep.
    pub(crate) is_postponed: bool,
}

#[cfg(test)]
impl Told {
    pub(super) fn new(
        process: &ProcessName,
        sent_ms: u64,
        known_ms: Option<u64>,
        is_postponed: bool,
    ) -> Self {
        Self {
            infrastructure: "live-1".to_owned(),
            process: process.clone(),
            sent_ms,
            known_ms,
            is_postponed,
        }
    }
}

/// All runs of this process.
pub(crate) struct Orchestra {
    pub(crate) controller: Controller,
    processes: BTreeSet<ProcessName>,
    runs: Mutex<BTreeMap<String, Run>>,
    told: Mutex<Vec<Told>>,
    postponed: AtomicU64,
    unsettled: AtomicU64,
    /// How long the orchestrator may take when nobody can be let go.
    patience: Duration,
}

impl Orchestra {
    pub(crate) fn new(
        controller: Controller,
        processes: &[ProcessName],
        patience: Duration,
    ) -> Arc<Self> {
        Arc::new(Self {
            controller,
            processes: processes.iter().cloned().collect(),
            runs: Mutex::default(),
            told: Mutex::default(),
            postponed: AtomicU64::new(0),
            unsettled: AtomicU64::new(0),
            patience,
        })
    }

    fn all_told(&self) -> MutexGuard<'_, Vec<Told>> {
        // Each change is one push or assignment.
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns what the orchestrator was told in a run, by the number of the run.
    pub(crate) fn told_in(&self, run: u64) -> Vec<Told> {
        let number = run.to_string();
        let is_in = |told: &&Told| {
            let name = told.infrastructure.rsplit_once('-');
            name.is_some_and(|(_, run)| run == number)
        };
        self.all_told().iter().filter(is_in).cloned().collect()
    }

    fn runs(&self) -> MutexGuard<'_, BTreeMap<String, Run>> {
        // Each change is one assignment, so nothing is half done if one panicked.
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn open(&self, infrastructure: &str) {
        self.runs()
            .insert(infrastructure.to_owned(), Run::default());
    }

    /// Forgets a run; returns why its orchestrator could not get further, if so.
    pub(crate) fn close(&self, infrastructure: &str) -> Option<String> {
        self.runs().remove(infrastructure)?.blocked
    }

    /// Returns how many notifications were held until a boundary.
    pub(crate) fn postponed(&self) -> u64 {
        self.postponed.load(Ordering::Relaxed)
    }

    /// Returns at how many boundaries the orchestrator was not waited for any longer.
    pub(crate) fn unsettled(&self) -> u64 {
        self.unsettled.load(Ordering::Relaxed)
    }

    /// Takes what the engine knows: tells the session which processes there are.
    fn see(&self, infrastructure: &str, engine: &Engine) {
        let instances = engine.state().instances.values();
        let mut seen = Vec::new();
        let mut made: Vec<(InstanceTag, ProcessName)> = Vec::new();
        for instance in instances {
            let node = &engine.state().node(instance.node).name;
            let process = ProcessName::new(node.clone(), instance.ordinal);
            let process = self.processes.contains(&process).then_some(process);
            if let Some(process) = &process
                && instance.phase != Phase::Planned
            {
                made.push((instance.tag.clone(), process.clone()));
            }
            seen.push(Seen {
                process,
                resource: instance.resource.clone(),
                phase: instance.phase,
                rests: rests(engine, instance),
            });
        }
        self.controller.with(infrastructure, |session, now_ms| {
            for (tag, process) in &made {
                // A replacement has another number, and nobody waits for it.
                if session.assign(tag.as_str(), process).is_ok() {
                    let _ = session.expect(now_ms, process);
                }
            }
        });
        if let Some(run) = self.runs().get_mut(infrastructure) {
            run.seen = seen;
        }
    }

    fn block(&self, infrastructure: &str, reason: String) {
        if let Some(run) = self.runs().get_mut(infrastructure) {
            run.blocked = Some(reason);
        }
        self.controller
            .with(infrastructure, |session, _| session.abort());
    }

    /// Returns the process that a resource is; none if it is not steered.
    pub(crate) fn process_of(
        &self,
        infrastructure: &str,
        resource: &ResourceId,
    ) -> Option<ProcessName> {
        let runs = self.runs();
        let seen = &runs.get(infrastructure)?.seen;
        let found = seen
            .iter()
            .find(|one| one.resource.as_ref() == Some(resource))?;
        found.process.clone()
    }

    /// Returns the round in which the session asks; none while it does not.
    pub(crate) fn round(&self, infrastructure: &str) -> Option<u64> {
        let asked = |session: &zenekar_live::Session| session.consultation();
        self.controller.look(infrastructure, asked).flatten()
    }

    /// Says whether the session holds nobody any more, or is gone.
    pub(crate) fn is_over(&self, infrastructure: &str) -> bool {
        let outcome = |session: &zenekar_live::Session| session.outcome().is_some();
        self.controller
            .look(infrastructure, outcome)
            .unwrap_or(true)
    }

    /// Notes what a check found in a round.
    pub(crate) fn looked(
        &self,
        infrastructure: &str,
        resource: &ResourceId,
        round: Option<u64>,
        is_well: bool,
    ) {
        if let (Some(run), Some(round)) = (self.runs().get_mut(infrastructure), round) {
            run.looks.insert(resource.clone(), (round, is_well));
        }
    }

    /// Notifies the session that a process is ready, once. What comes inside of a
    /// macrostep waits for its boundary.
    pub(crate) fn notify(&self, infrastructure: &str, process: &ProcessName) {
        let is_new = {
            let mut runs = self.runs();
            let run = runs.get_mut(infrastructure);
            run.is_some_and(|run| run.notified.insert(process.clone()))
        };
        if !is_new {
            return;
        }
        self.controller.with(infrastructure, |session, now_ms| {
            let before = session.postponed();
            let notification = Notification {
                from: process.clone(),
                text: "ready".to_owned(),
            };
            // A session that holds too many is ended by whoever steers.
            if session.notify(notification).is_err() {
                session.abort();
            }
            let is_postponed = session.postponed() > before;
            if is_postponed {
                self.postponed.fetch_add(1, Ordering::Relaxed);
            }
            let mut all = self.all_told();
            if all.len() < TOLD_MAX {
                all.push(Told {
                    infrastructure: infrastructure.to_owned(),
                    process: process.clone(),
                    sent_ms: now_ms,
                    known_ms: None,
                    is_postponed,
                });
            }
        });
    }

    /// Says whether the orchestrator may know that a process is ready.
    pub(crate) fn may_know(&self, infrastructure: &str, process: &ProcessName) -> bool {
        let runs = self.runs();
        let run = runs.get(infrastructure);
        run.is_none_or(|run| run.delivered.contains(process))
    }

    /// Delivers notifications as the session releases them, until it is closed.
    pub(crate) async fn deliver(self: Arc<Self>, infrastructure: String) {
        while let Some(notification) = self.controller.next_notification(&infrastructure).await {
            let known_ms = self.controller.now_ms();
            let is_it = |told: &&mut Told| {
                told.infrastructure == infrastructure && told.process == notification.from
            };
            if let Some(told) = self.all_told().iter_mut().find(is_it) {
                told.known_ms.get_or_insert(known_ms);
            }
            if let Some(run) = self.runs().get_mut(&infrastructure) {
                run.delivered.insert(notification.from);
            }
        }
    }

    /// Answers the session whenever it asks, until it is closed.
    pub(crate) async fn consult(self: Arc<Self>, infrastructure: String) {
        let mut asked: Option<(u64, Instant)> = None;
        while !self.is_over(&infrastructure) {
            if let Some(round) = self.round(&infrastructure) {
                let since = match asked {
                    Some((known, since)) if known == round => since,
                    _ => {
                        let now = Instant::now();
                        asked = Some((round, now));
                        now
                    }
                };
                if self.has_settled(&infrastructure, round, since) {
                    self.controller.with(&infrastructure, |session, now_ms| {
                        session.settled(now_ms, round);
                    });
                }
            }
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
    }

    fn has_settled(&self, infrastructure: &str, round: u64, since: Instant) -> bool {
        let looked = self.controller.look(infrastructure, |session| {
            let (mut finished, mut is_planned) = (Vec::new(), false);
            for (name, _, stage, _) in session.stages() {
                is_planned |= stage == Stage::Planned;
                if stage == Stage::Finished {
                    finished.push(name.clone());
                }
            }
            let is_awaited = session.awaits_next();
            (finished, is_planned, session.has_unfinished(), is_awaited)
        });
        let Some((finished, is_planned, has_unfinished, is_awaited)) = looked else {
            return false;
        };
        let mut runs = self.runs();
        let Some(run) = runs.get_mut(infrastructure) else {
            return true;
        };
        for name in finished {
            run.finished.entry(name).or_insert_with(Instant::now);
        }
        // Where nobody can be let go, only the orchestrator brings it further.
        let is_last_hope = !has_unfinished && is_planned;
        let patience = if is_last_hope {
            self.patience
        } else {
            PATIENCE
        };
        if is_awaited && since.elapsed() < AWAITED_PATIENCE {
            return false;
        }
        let mut seen = run.seen.iter();
        if !run.seen.is_empty() && seen.all(|one| run.is_quiet(one, round, is_last_hope)) {
            return true;
        }
        let is_over = since.elapsed() >= patience;
        // Who is given up at the end is stuck, which is told anyway.
        if is_over && !is_last_hope {
            self.unsettled.fetch_add(1, Ordering::Relaxed);
        }
        is_over
    }
}

impl Run {
    /// Says whether nothing more happens to an instance in this round.
    fn is_quiet(&self, one: &Seen, round: u64, is_last_hope: bool) -> bool {
        if one.rests {
            return true;
        }
        let (Phase::Checking, Some(resource), Some(process)) =
            (one.phase, &one.resource, &one.process)
        else {
            return false;
        };
        let is_unwell = self.looks.get(resource) == Some(&(round, false));
        let is_finishing = self
            .finished
            .get(process)
            .is_some_and(|at| is_last_hope || at.elapsed() < FINISH_PATIENCE);
        is_unwell && !is_finishing
    }
}

/// Says whether the orchestrator does nothing about an instance by itself.
fn rests(engine: &Engine, instance: &Instance) -> bool {
    if instance.doom.is_some() || instance.breakage.is_some() {
        return true;
    }
    match instance.phase {
        Phase::Ready | Phase::Unready => true,
        Phase::Planned => matches!(
            engine.waiting(instance),
            Some(Waiting::Dependency { .. } | Waiting::Blocked { .. })
        ),
        _ => false,
    }
}

/// Watches the engine of a run.
pub(crate) struct Watcher {
    orchestra: Arc<Orchestra>,
    infrastructure: String,
    beats: u32,
}

impl Watcher {
    pub(crate) fn new(orchestra: Arc<Orchestra>, infrastructure: &str) -> Self {
        Self {
            orchestra,
            infrastructure: infrastructure.to_owned(),
            beats: 0,
        }
    }
}

impl Observer for Watcher {
    fn entry(&mut self, engine: &Engine, _entry: &zenekar_engine::Entry) {
        self.orchestra.see(&self.infrastructure, engine);
    }

    fn tick(&mut self, engine: &Engine) {
        self.orchestra.see(&self.infrastructure, engine);
        self.beats += 1;
        if self.beats.is_multiple_of(BEATS_PER_VERDICT)
            && let Verdict::Blocked(causes) = engine.verdict()
            && let Some((subject, class, message)) = causes.into_iter().next()
        {
            let reason = format!("`{subject}` cannot get further: {message} ({class})");
            self.orchestra.block(&self.infrastructure, reason);
        }
    }
}
