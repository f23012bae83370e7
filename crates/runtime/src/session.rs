//! The session: the one task that owns an engine.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::MissedTickBehavior;
use zenekar_base::{ErrorClass, InfrastructureId, Millis, Timestamp};
use zenekar_engine::{Engine, Input, Refusal, SNAPSHOT_VERSION, Snapshot, Verdict};
use zenekar_store::{HolderInfo, Lease, Store, StoreError};

use crate::calls::{Completion, Flights};
use crate::cancel::{Cancel, Urgency};
use crate::clock::{Pace, wall_now};
use crate::crash;
use crate::error::RuntimeError;
use crate::host::Host;
use crate::inbox;
use crate::limits::{
    BEAT_INTERVAL, CANCEL_PATIENCE, COMPLETIONS_PER_TURN_MAX, INBOX_INTERVAL, LEASE_RENEW_INTERVAL,
    LEASE_STALE, LEASE_TTL, SNAPSHOT_AT_CLOSE_ENTRIES, SNAPSHOT_ENTRIES_PER_SUBJECT,
    VERDICT_INTERVAL_MIN, VERDICT_SUBJECTS_PER_MS,
};
use crate::observer::Observer;
use crate::recovery::{self, Recovered};
use crate::turn::{Told, Turn};
use crate::writer::Writer;

/// When a session has done its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// When what is wanted is there, or nothing can be done without help.
    Settled,
    /// As `Settled`, but no later than after this span of the clock's time.
    SettledWithin(Millis),
    /// Only when it is cancelled, or the infrastructure is gone.
    Forever,
}

/// How a session ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// What is wanted is there.
    Converged,
    /// Nothing more happens until someone removes a cause: subject, class and message of each.
    Blocked(Vec<(String, ErrorClass, String)>),
    /// One of the inputs was refused; nothing was changed by it.
    Refused(Refusal),
    /// It was asked to stop; see [`Session::calls_unanswered`].
    Cancelled,
    /// The time was up.
    TimedOut,
}

/// The process that leads one infrastructure: its engine, journal and calls.
pub struct Session {
    host: Arc<Host>,
    engine: Engine,
    writer: Writer,
    lease: Lease,
    flights: Flights,
    turn: Turn,
    last_sequence: u64,
    entries_since_snapshot: u64,
    renewed_at: (Instant, Timestamp),
    inbox_seen: Option<(u64, u64)>,
    inbox_polled_at: Option<Instant>,
    inputs_since_verdict: usize,
    verdict_at: Option<Timestamp>,
    problems: Vec<String>,
    is_over: bool,
    is_released: bool,
}

/// Why the session woke up.
enum Woken {
    Answers,
    Beat,
    Cancel,
    Time,
}

impl Session {
    /// Takes the lead of an infrastructure, creating it if it does not exist.
    ///
    /// Fails with [`StoreError::LeaseHeld`] while another living process leads.
    pub fn lead(
        host: Arc<Host>,
        id: &InfrastructureId,
        name: &str,
        command: &str,
    ) -> Result<Self, RuntimeError> {
        crash::arm();
        let holder = HolderInfo::this_process(command);
        let renewed_at = (Instant::now(), wall_now());
        let (lease, recovered) = host.store.with(|store| {
            store.create_infrastructure(id, name, renewed_at.1)?;
            let lease = store.acquire(
                id,
                &holder,
                renewed_at.1,
                LEASE_TTL,
                &HolderInfo::is_alive_here,
            )?;
            match recovery::recover(store, id) {
                Ok(recovered) => Ok::<_, RuntimeError>((lease, recovered)),
                Err(error) => {
                    // The first error counts, not what comes of it.
                    let _ = store.release(lease);
                    Err(error)
                }
            }
        })?;
        let Recovered {
            state,
            last_sequence,
            entries_since_snapshot,
            problems,
        } = recovered;
        let engine = Engine::recover(state, host.engine_settings());
        host.clock.advance_to(engine.now());
        Ok(Self {
            writer: Writer::start(host.store.clone(), id.clone())?,
            flights: Flights::new(host.clock.clone()),
            host,
            engine,
            lease,
            turn: Turn::default(),
            last_sequence,
            entries_since_snapshot,
            renewed_at,
            inbox_seen: None,
            inbox_polled_at: None,
            inputs_since_verdict: 0,
            verdict_at: None,
            problems,
            is_over: false,
            is_released: false,
        })
    }

    /// Returns an engine as the journal knows it, for looking only: takes no lease and starts nothing.
    pub fn read(host: &Host, id: &InfrastructureId) -> Result<Engine, RuntimeError> {
        let recovered = host.store.with(|store| recovery::recover(store, id))?;
        Ok(Engine::recover(recovered.state, host.engine_settings()))
    }

    /// Returns the engine, to look at.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Returns what was found damaged in the store and could be done without:
    /// worth telling, and no reason to stop.
    pub fn problems(&self) -> &[String] {
        &self.problems
    }

    /// Returns how many calls that change something were not answered yet.
    pub fn calls_unanswered(&self) -> usize {
        self.flights.changing()
    }

    /// Hands the inputs to the engine and does what it asks for, until the
    /// work is done.
    ///
    /// After an error or a cancellation the session can only be closed: what
    /// is missing is found again by the next one.
    pub async fn run(
        &mut self,
        inputs: Vec<Input>,
        until: Until,
        cancel: Cancel,
        observer: &mut dyn Observer,
    ) -> Result<Outcome, RuntimeError> {
        if self.is_over {
            return Err(RuntimeError::SessionOver {
                infrastructure: self.engine.state().infrastructure.clone(),
            });
        }
        let result = self.work(inputs, until, cancel, observer).await;
        if !matches!(
            result,
            Ok(Outcome::Converged | Outcome::Blocked(_) | Outcome::Refused(_) | Outcome::TimedOut)
        ) {
            self.is_over = true;
        }
        if result.is_err() {
            self.flights.drop_all();
        }
        result
    }

    /// Hands one input to the engine and makes durable what follows from it,
    /// without calling any provider. Returns why it was refused, if it was.
    ///
    /// The session can only be closed afterwards: the calls that the engine
    /// asked for are made by the next one.
    pub async fn record(
        &mut self,
        input: Input,
        observer: &mut dyn Observer,
    ) -> Result<Option<Refusal>, RuntimeError> {
        if self.is_over {
            return Err(RuntimeError::SessionOver {
                infrastructure: self.engine.state().infrastructure.clone(),
            });
        }
        self.is_over = true;
        let now = self.host.clock.now();
        let reaction = self.turn.handle(&self.host, &mut self.engine, now, input)?;
        self.commit(observer, false).await?;
        Ok(reaction.refusal)
    }

    async fn work(
        &mut self,
        inputs: Vec<Input>,
        until: Until,
        mut cancel: Cancel,
        observer: &mut dyn Observer,
    ) -> Result<Outcome, RuntimeError> {
        let clock = self.host.clock.clone();
        let _participant = clock.participate();
        let started_at = clock.now();
        let ends_at = match until {
            Until::SettledWithin(span) => started_at + span,
            Until::Settled | Until::Forever => Timestamp::MAX,
        };
        self.verdict_at = None;
        let mut refusal = None;
        for input in inputs {
            let reaction = self
                .turn
                .handle(&self.host, &mut self.engine, started_at, input)?;
            refusal = refusal.or(reaction.refusal);
        }
        let mut beat = tokio::time::interval(BEAT_INTERVAL);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut answers: Vec<Completion> = Vec::new();
        loop {
            // Always ready work must not keep other tasks, such as the one that
            // listens for Ctrl-C, from running.
            tokio::task::consume_budget().await;
            let may_start = refusal.is_none() && !cancel.is_requested();
            self.commit(observer, may_start).await?;
            if let Some(reason) = refusal.take() {
                return Ok(Outcome::Refused(reason));
            }
            if let Some(outcome) = self.outcome(until, ends_at) {
                return Ok(outcome);
            }
            let deadline = self.wake_at(until).min(ends_at);
            let woken = tokio::select! {
                biased;
                () = cancel.reached(Urgency::Soon) => Woken::Cancel,
                _ = beat.tick() => Woken::Beat,
                () = self.flights.answers(&mut answers, COMPLETIONS_PER_TURN_MAX) => Woken::Answers,
                () = clock.sleep_until(deadline) => Woken::Time,
            };
            match woken {
                Woken::Cancel => {
                    self.wind_down(&mut cancel, observer).await?;
                    return Ok(Outcome::Cancelled);
                }
                Woken::Beat => {
                    observer.tick(&self.engine);
                    self.keep_house().await?;
                }
                Woken::Answers | Woken::Time => self.gather(&mut answers).await,
            }
            self.handle_answers(&mut answers)?;
        }
    }

    /// Returns when something is to be done even if nothing happens before.
    fn wake_at(&self, until: Until) -> Timestamp {
        let verdict = self.verdict_due_at().filter(|_| until != Until::Forever);
        let engine = self.engine.next_deadline();
        engine
            .into_iter()
            .chain(verdict)
            .min()
            .unwrap_or(Timestamp::MAX)
    }

    /// Lets all whose time came at the same jump get done, so that one durable
    /// step covers them. Real time gathers by itself while a step is written.
    async fn gather(&mut self, answers: &mut Vec<Completion>) {
        if self.host.clock.pace() != Pace::Jump {
            return;
        }
        for _ in 0..GATHER_YIELDS_MAX {
            self.flights.more_answers(answers, COMPLETIONS_PER_TURN_MAX);
            // This session and the answers at hand are what is left.
            if answers.len() >= COMPLETIONS_PER_TURN_MAX
                || self.host.clock.busy() <= answers.len() + 1
            {
                return;
            }
            tokio::task::yield_now().await;
        }
    }

    /// Hands the answers at hand to the engine, and tells it the time.
    fn handle_answers(&mut self, answers: &mut Vec<Completion>) -> Result<(), RuntimeError> {
        let now = self.host.clock.now();
        for Completion { call, answer, .. } in answers.drain(..) {
            crash::boundary();
            self.flights.landed(call);
            self.turn.handle(
                &self.host,
                &mut self.engine,
                now,
                Input::Completion {
                    call,
                    result: answer,
                },
            )?;
        }
        if self
            .engine
            .next_deadline()
            .is_some_and(|deadline| deadline <= now)
        {
            self.turn
                .handle(&self.host, &mut self.engine, now, Input::Tick)?;
        }
        Ok(())
    }

    /// Makes everything of the turn durable, then starts its calls.
    async fn commit(
        &mut self,
        observer: &mut dyn Observer,
        may_start: bool,
    ) -> Result<(), RuntimeError> {
        self.inputs_since_verdict += std::mem::take(&mut self.turn.inputs);
        if !self.turn.pages.is_empty() {
            self.append().await?;
        }
        for told in self.turn.told.drain(..) {
            match told {
                Told::Entry(entry) => observer.entry(&self.engine, &entry),
                Told::Notice(notice) => observer.notice(&self.engine, &notice),
            }
        }
        self.snapshot_if_due().await?;
        let calls = std::mem::take(&mut self.turn.calls);
        if may_start && !calls.is_empty() {
            self.renew_if_older_than(LEASE_STALE).await?;
            for call in calls {
                crash::boundary();
                self.flights.start(call);
            }
        }
        Ok(())
    }

    async fn append(&mut self) -> Result<(), RuntimeError> {
        crash::boundary();
        let (mut pages, lease) = (std::mem::take(&mut self.turn.pages), self.lease.clone());
        let is_wanted = self.turn.is_wanted.take();
        let write = move |store: &mut Store| {
            // Whoever dies between the two steps must leave an infrastructure
            // that counts as wanted: one that counts as removed is not looked
            // after any more.
            let wanted = match is_wanted {
                Some(true) => store.mark_wanted(&lease).inspect(|()| crash::boundary()),
                Some(false) | None => Ok(()),
            };
            let result = wanted.and_then(|()| {
                let last = pages.append(store, &lease)?;
                if is_wanted == Some(false) {
                    crash::boundary();
                    store.mark_removed(&lease, wall_now())?;
                }
                Ok(last)
            });
            let count = pages.entry_count();
            pages.clear();
            (pages, count, result)
        };
        let (pages, count, result) = self.writer.call(write).await?;
        self.last_sequence = result?;
        self.turn.pages = pages;
        self.entries_since_snapshot += count;
        crash::boundary();
        Ok(())
    }

    async fn snapshot_if_due(&mut self) -> Result<(), RuntimeError> {
        let subjects = self.subjects() as u64;
        let is_due = Store::snapshot_due(self.entries_since_snapshot)
            && self.entries_since_snapshot >= subjects * SNAPSHOT_ENTRIES_PER_SUBJECT;
        if !is_due {
            return Ok(());
        }
        self.entries_since_snapshot = 0;
        let work = self.snapshot_work();
        check_snapshot(self.writer.call(work).await?)
    }

    fn snapshot_work(
        &self,
    ) -> impl FnOnce(&mut Store) -> Result<(), RuntimeError> + Send + 'static {
        let (snapshot, lease, sequence) = (
            Snapshot::from(self.engine.state()),
            self.lease.clone(),
            self.last_sequence,
        );
        move |store| {
            let payload = serde_json::to_vec(&snapshot).map_err(|source| RuntimeError::Encode {
                what: "a snapshot",
                source,
            })?;
            Ok(store.write_snapshot(&lease, sequence, SNAPSHOT_VERSION, &payload)?)
        }
    }

    /// Says whether the work is done.
    fn outcome(&mut self, until: Until, ends_at: Timestamp) -> Option<Outcome> {
        let now = self.host.clock.now();
        if until == Until::Forever {
            return self.engine.state().torn_down.then_some(Outcome::Converged);
        }
        if self.engine.is_converged() {
            return Some(Outcome::Converged);
        }
        if now >= ends_at {
            return Some(Outcome::TimedOut);
        }
        let is_due = self.inputs_since_verdict >= self.subjects()
            || self.verdict_due_at().is_some_and(|at| at <= now);
        if !is_due {
            return None;
        }
        (self.inputs_since_verdict, self.verdict_at) = (0, Some(now));
        match self.engine.verdict() {
            Verdict::Blocked(causes) => Some(Outcome::Blocked(causes)),
            Verdict::Converged | Verdict::Working => None,
        }
    }

    fn subjects(&self) -> usize {
        let state = self.engine.state();
        state.instances.len() + state.nodes.len()
    }

    /// Returns when it is worth looking whether nothing can be done any more;
    /// `None` if nothing has happened since the last look.
    fn verdict_due_at(&self) -> Option<Timestamp> {
        if self.inputs_since_verdict == 0 {
            return None;
        }
        let more = Millis(self.subjects() as u64 / VERDICT_SUBJECTS_PER_MS);
        Some(
            self.verdict_at
                .map_or(Timestamp::ZERO, |at| at + VERDICT_INTERVAL_MIN + more),
        )
    }

    /// Does what is not urgent: calls that nobody waits for, the lease, the inbox.
    async fn keep_house(&mut self) -> Result<(), RuntimeError> {
        self.flights.drop_overdue(self.host.clock.now());
        self.renew_if_older_than(LEASE_RENEW_INTERVAL).await?;
        if self
            .inbox_polled_at
            .is_none_or(|at| at.elapsed() >= INBOX_INTERVAL)
        {
            self.inbox_polled_at = Some(Instant::now());
            self.poll_inbox().await?;
        }
        Ok(())
    }

    async fn renew_if_older_than(&mut self, age: Duration) -> Result<(), RuntimeError> {
        let (instant, wall) = self.renewed_at;
        // The wall clock also counts while the machine is suspended. Where it
        // was set back, others would take our lease for one from the future.
        let now = wall_now();
        let is_young = now >= wall && u128::from(now.since(wall).0) < age.as_millis();
        if is_young && instant.elapsed() < age {
            return Ok(());
        }
        let (lease, now) = (self.lease.clone(), (Instant::now(), wall_now()));
        match self
            .writer
            .call(move |store| store.renew(&lease, now.1))
            .await?
        {
            Ok(()) => {
                self.renewed_at = now;
                Ok(())
            }
            // Tried again soon; nothing is lost while the lease lasts.
            Err(error)
                if !matches!(error, StoreError::Fenced { .. })
                    && instant.elapsed() < LEASE_STALE =>
            {
                drop(error);
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Takes requests of other processes.
    async fn poll_inbox(&mut self) -> Result<(), RuntimeError> {
        let (seen, id) = (self.inbox_seen, self.engine.state().infrastructure.clone());
        let local = self.host.store.local_requests();
        let found = self.writer.call(move |store| {
            let current = (store.change_counter()?, local);
            if seen == Some(current) {
                return Ok(None);
            }
            Ok::<_, StoreError>(Some((current, store.pending_requests(&id, 0)?)))
        });
        let Some((current, requests)) = found.await?? else {
            return Ok(());
        };
        self.inbox_seen = Some(current);
        let now = self.host.clock.now();
        for row in requests {
            let outcome = match inbox::input_of(&row) {
                Err(nonsense) => nonsense,
                Ok(input) => {
                    let reaction = self.turn.handle(&self.host, &mut self.engine, now, input)?;
                    match reaction.refusal {
                        Some(reason) => format!("refused: {reason}"),
                        None => "applied".to_owned(),
                    }
                }
            };
            self.turn.pages.apply(row.number, outcome);
        }
        Ok(())
    }

    /// Starts nothing more and waits a little for answers, so that less is unknown.
    async fn wind_down(
        &mut self,
        cancel: &mut Cancel,
        observer: &mut dyn Observer,
    ) -> Result<(), RuntimeError> {
        let clock = self.host.clock.clone();
        self.flights.drop_looks();
        let patience = tokio::time::sleep(CANCEL_PATIENCE);
        tokio::pin!(patience);
        let mut answers = Vec::new();
        while self.flights.changing() > 0 {
            tokio::select! {
                biased;
                () = cancel.reached(Urgency::Now) => break,
                () = &mut patience => break,
                () = self.flights.answers(&mut answers, COMPLETIONS_PER_TURN_MAX) => {}
                () = clock.sleep_until(Timestamp::MAX) => {}
            }
            self.gather(&mut answers).await;
            self.handle_answers(&mut answers)?;
            self.commit(observer, false).await?;
        }
        Ok(())
    }

    /// Ends the session: writes a snapshot if it pays off and gives the lease back.
    pub fn close(mut self) -> Result<(), RuntimeError> {
        self.flights.drop_all();
        let snapshot = if !self.is_over && self.entries_since_snapshot >= SNAPSHOT_AT_CLOSE_ENTRIES
        {
            let work = self.snapshot_work();
            check_snapshot(self.writer.call_blocking(work)?)
        } else {
            Ok(())
        };
        self.is_released = true;
        let lease = self.lease.clone();
        let released = self
            .writer
            .call_blocking(move |store| store.release(lease))?;
        crash::write_log();
        snapshot?;
        Ok(released?)
    }
}

/// A snapshot only saves time, so a session goes on without: the journal is
/// complete. Only a lost lease ends it.
fn check_snapshot(result: Result<(), RuntimeError>) -> Result<(), RuntimeError> {
    match result {
        Err(error @ RuntimeError::Store(StoreError::Fenced { .. })) => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.flights.drop_all();
        if !self.is_released {
            let lease = self.lease.clone();
            // Whoever comes next sees that this process has ended, or waits a little.
            let _ = self.writer.call_blocking(move |store| store.release(lease));
        }
    }
}

/// Rounds of the scheduler that a jumping session waits for others to get
/// done. Those that are still busy then wait for something real.
const GATHER_YIELDS_MAX: usize = 16;
