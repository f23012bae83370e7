//! Maintains one infrastructure: leads it as long as it is attached.

use std::time::Duration;

use tokio::sync::{oneshot, watch};
use tokio::task::{JoinHandle, spawn_blocking};
use zenekar_base::InfrastructureId;
use zenekar_engine::{Engine, Entry, Input, Notice, Record};
use zenekar_runtime::{Cancel, Observer, Outcome, SharedStore, Until};

use super::NAME;
use super::maintained::Maintained;
use crate::commands::status;
use crate::errors::Failure;
use crate::occopus::log;
use crate::occopus::operations::{self, Bench, Lead, Led};
use crate::occopus::turn::TurnPlace;
use crate::output::Output;

/// How often is looked whether a command wants the infrastructure.
const TURN_INTERVAL: Duration = Duration::from_millis(100);

/// How long is waited while another process leads.
const LEAD_INTERVAL: Duration = Duration::from_millis(500);

/// The first pause after a failure; doubled with each one…
const PAUSE_MIN: Duration = Duration::from_secs(1);

/// …up to this: what failed may be repaired at any time.
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// What a keeper works with.
#[derive(Clone, Debug)]
pub(super) struct Post {
    /// Where and how it works.
    pub(super) bench: Bench,
    /// For looking, and for handing requests over: it stays open, because
    /// opening it takes longer than that.
    pub(super) store: SharedStore,
    /// Where it is remembered.
    pub(super) maintained: Maintained,
    /// Where it tells what happens.
    pub(super) output: Output,
}

/// A task that maintains one infrastructure.
#[derive(Debug)]
pub(super) struct Keeper {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

/// Tells how the first inputs were taken.
pub(super) type Begun = oneshot::Sender<Result<(), String>>;

impl Keeper {
    /// Begins to maintain an infrastructure. With a topology to begin with,
    /// `begun` is told when that is durable, or why it will never be.
    pub(super) fn start(
        post: Post,
        id: InfrastructureId,
        name: String,
        first: Option<(Input, Begun)>,
    ) -> Self {
        let (stop, stopped) = watch::channel(false);
        let work = Work {
            post,
            id,
            name,
            stopped,
            first,
            pause: PAUSE_MIN,
        };
        Self {
            stop,
            task: tokio::spawn(work.keep_on()),
        }
    }

    /// Says whether it goes on.
    pub(super) fn is_alive(&self) -> bool {
        !self.task.is_finished()
    }

    /// Ends the maintenance. The infrastructure stays as it is.
    pub(super) async fn stop(self) {
        self.stop.send_replace(true);
        // A keeper that panicked has ended as well.
        let _ = self.task.await;
    }
}

/// Why a session ended.
enum Ended {
    /// Nothing is left to maintain, or it was asked to stop.
    Done,
    /// A command wants the infrastructure for a while.
    Yielded,
    /// Something failed.
    Failed(Failure),
}

struct Work {
    post: Post,
    id: InfrastructureId,
    name: String,
    stopped: watch::Receiver<bool>,
    first: Option<(Input, Begun)>,
    pause: Duration,
}

impl Work {
    /// Goes on after a mistake of this program too: one that concerns one
    /// infrastructure at one moment must not leave it alone for ever.
    async fn keep_on(mut self) {
        loop {
            let work = Self {
                post: self.post.clone(),
                id: self.id.clone(),
                name: self.name.clone(),
                stopped: self.stopped.clone(),
                first: self.first.take(),
                pause: self.pause,
            };
            match tokio::spawn(work.keep()).await {
                Ok(()) => return,
                Err(error) => {
                    let failure = Failure::internal(error.to_string());
                    self.fail(failure).await;
                }
            }
        }
    }

    async fn keep(mut self) {
        loop {
            if self.is_stopped() {
                return;
            }
            if self.first.is_none() && self.is_led().await {
                self.sleep(LEAD_INTERVAL).await;
                continue;
            }
            match self.lead().await {
                Ok(Lead::Ours(led)) => match self.session(*led).await {
                    Ended::Done => return,
                    Ended::Yielded => self.wait_for_turn().await,
                    Ended::Failed(failure) => {
                        if self.fail(failure).await {
                            return;
                        }
                    }
                },
                Ok(Lead::Theirs(_, _)) if self.first.is_some() => {
                    self.refuse("another process leads it");
                    return;
                }
                // Whoever leads maintains it too; when it ends, it is our turn.
                Ok(Lead::Theirs(_, _)) => self.sleep(LEAD_INTERVAL).await,
                Err(failure) => {
                    if self.fail(failure).await {
                        return;
                    }
                }
            }
        }
    }

    /// Says whether somebody leads. To try it costs more: providers are opened.
    async fn is_led(&self) -> bool {
        let (store, id) = (self.post.store.clone(), self.id.clone());
        let looked = spawn_blocking(move || status::holder(&store, &id)).await;
        // What cannot be looked up is found out by trying.
        matches!(looked, Ok(Ok(Some(_))))
    }

    async fn lead(&self) -> Result<Lead, Failure> {
        let (bench, id, name) = (self.post.bench.clone(), self.id.clone(), self.name.clone());
        let next = match &self.first {
            Some((Input::Intent(topology), _)) => Some(std::sync::Arc::clone(topology)),
            _ => None,
        };
        let led =
            spawn_blocking(move || operations::lead(&bench, &id, &name, next.as_deref(), NAME));
        led.await
            .unwrap_or_else(|error| Err(Failure::internal(error.to_string())))
    }

    /// Leads until it is stopped, the infrastructure is gone, or something fails.
    async fn session(&mut self, led: Led) -> Ended {
        let Led {
            host: _host,
            mut session,
        } = led;
        for problem in session.problems() {
            self.tell(&format!("Infrastructure {}: {problem}", self.id));
        }
        let (inputs, begun) = match self.first.take() {
            Some((input, begun)) => (vec![input], Some(begun)),
            None => (vec![Input::Resume], None),
        };
        let mut told = Told {
            id: self.id.clone(),
            output: self.post.output,
            begun,
        };
        let turn = TurnPlace::of(&self.post.bench.place, &self.id);
        let (handle, cancel) = Cancel::new();
        let mut looks = tokio::time::interval(TURN_INTERVAL);
        let mut is_stopping = false;
        let outcome = {
            let run = session.run(inputs, Until::Forever, cancel, &mut told);
            tokio::pin!(run);
            loop {
                tokio::select! {
                    outcome = &mut run => break outcome,
                    _ = self.stopped.wait_for(|stop| *stop), if !is_stopping => {
                        is_stopping = true;
                        handle.cancel();
                    }
                    _ = looks.tick(), if !is_stopping => if turn.is_taken() {
                        is_stopping = true;
                        handle.cancel();
                    },
                }
            }
        };
        let begun = told.begun.take();
        let closed = spawn_blocking(move || session.close()).await;
        let failure = match (outcome, closed) {
            (Ok(Outcome::Cancelled), Ok(Ok(()))) if self.is_stopped() => return Ended::Done,
            (Ok(Outcome::Cancelled), Ok(Ok(()))) => return Ended::Yielded,
            (Ok(Outcome::Refused(reason)), _) => Failure::from(reason),
            (Ok(_), Ok(Ok(()))) => {
                self.forget();
                self.tell(&format!("Infrastructure {} is down", self.id));
                return Ended::Done;
            }
            (Err(error), _) | (Ok(_), Ok(Err(error))) => Failure::from(error),
            (Ok(_), Err(error)) => Failure::internal(error.to_string()),
        };
        match begun {
            Some(begun) => {
                self.forget();
                let _ = begun.send(Err(failure.summary()));
                Ended::Done
            }
            None => Ended::Failed(failure),
        }
    }

    /// Tells a failure and pauses; says whether the keeper is to end.
    async fn fail(&mut self, failure: Failure) -> bool {
        if self.first.is_some() {
            self.refuse(&failure.summary());
            return true;
        }
        self.tell(&format!(
            "Maintenance of infrastructure {} failed and is tried again: {}",
            self.id,
            failure.summary()
        ));
        self.sleep(self.pause).await;
        self.pause = (self.pause * 2).min(PAUSE_MAX);
        false
    }

    fn refuse(&mut self, why: &str) {
        self.forget();
        if let Some((_, begun)) = self.first.take() {
            // Who asked may have gone away.
            let _ = begun.send(Err(why.to_owned()));
        }
    }

    /// Waits until no command has the turn any more.
    async fn wait_for_turn(&mut self) {
        let turn = TurnPlace::of(&self.post.bench.place, &self.id);
        self.tell(&format!(
            "Infrastructure {} is changed by a command",
            self.id
        ));
        while turn.is_taken() && !self.is_stopped() {
            self.sleep(TURN_INTERVAL).await;
        }
    }

    /// Says whether it is to end: it was told to, or nobody knows it any more.
    fn is_stopped(&self) -> bool {
        *self.stopped.borrow() || self.stopped.has_changed().is_err()
    }

    async fn sleep(&mut self, span: Duration) {
        tokio::select! {
            () = tokio::time::sleep(span) => {}
            _ = self.stopped.wait_for(|stop| *stop) => {}
        }
    }

    fn forget(&self) {
        if let Err(error) = self.post.maintained.remove(&self.id) {
            self.tell(&format!(
                "Cannot forget infrastructure {}: {error}",
                self.id
            ));
        }
    }

    fn tell(&self, text: &str) {
        tell(self.post.output, text);
    }
}

/// Writes a line of the log. A service whose log cannot be written goes on.
pub(super) fn tell(output: Output, text: &str) {
    let _ = log::line(output, text);
}

/// Tells what a session does.
struct Told {
    id: InfrastructureId,
    output: Output,
    begun: Option<Begun>,
}

impl Observer for Told {
    fn entry(&mut self, _engine: &Engine, entry: &Entry) {
        if matches!(entry.record, Record::IntentSet { .. })
            && let Some(begun) = self.begun.take()
        {
            let _ = begun.send(Ok(()));
        }
    }

    fn notice(&mut self, engine: &Engine, notice: &Notice) {
        let Notice::CallFailed {
            instance,
            operation,
            error,
            ..
        } = notice
        else {
            return;
        };
        let subject = instance
            .and_then(|key| engine.state().instances.get(&key))
            .map_or_else(String::new, |instance| {
                format!(" of {}", engine.state().instance_name(instance))
            });
        tell(
            self.output,
            &format!(
                "Infrastructure {}: {operation}{subject} failed: {error}",
                self.id
            ),
        );
    }
}
