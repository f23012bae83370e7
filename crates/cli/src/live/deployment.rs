//! Infrastructures of sessions: brought up by the same engine and providers as
//! any other, each under an id of its own, and taken down again.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::task::JoinHandle;
use zenekar_base::{InfrastructureId, Millis};
use zenekar_engine::Input;
use zenekar_live::{Deployment, Session as LiveSession, SteeredRenderer, Work};
use zenekar_model::Topology;
use zenekar_provider::Provider;
use zenekar_runtime::{Cancel, CancelHandle, Host, Outcome, Session, Silent, Until};

use super::orchestra::{Orchestra, Watcher};
use super::steered::SteeredProvider;
use crate::commands::down;
use crate::errors::Failure;

/// What leads the infrastructures, as other commands name it.
const COMMAND: &str = "zenekar verify --live";

/// How long one infrastructure may take to go.
const DOWN_PATIENCE: Millis = Millis::from_secs(600);

/// A session of the runtime that is under way, and what accompanies it.
struct Running {
    cancel: CancelHandle,
    session: JoinHandle<Result<(), String>>,
    companions: Vec<JoinHandle<()>>,
}

/// Brings infrastructures up by the runtime.
pub(crate) struct Production {
    host: Arc<Host>,
    orchestra: Arc<Orchestra>,
    topology: Arc<Topology>,
    running: Mutex<BTreeMap<String, Running>>,
    /// Stops also what takes infrastructures down: somebody is very impatient.
    give_up: Cancel,
}

impl Production {
    /// Puts breakpoints and held notifications around a world.
    pub(crate) fn new(
        world: &Host,
        renderer: Arc<SteeredRenderer>,
        orchestra: Arc<Orchestra>,
        topology: Arc<Topology>,
        give_up: Cancel,
    ) -> Self {
        let providers = world.providers.iter().map(|(name, provider)| {
            let steered = SteeredProvider::new(Arc::clone(provider), Arc::clone(&orchestra));
            (name.clone(), Arc::new(steered) as Arc<dyn Provider>)
        });
        let host = Host {
            store: world.store.clone(),
            providers: providers.collect(),
            renderer,
            clock: world.clock.clone(),
            parallel: world.parallel,
            seed: world.seed,
        };
        Self {
            host: Arc::new(host),
            orchestra,
            topology,
            running: Mutex::default(),
            give_up,
        }
    }

    fn running(&self) -> MutexGuard<'_, BTreeMap<String, Running>> {
        // Each change is one insertion or removal.
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn bring_up(&self, infrastructure: &str) -> Result<(), String> {
        let id = InfrastructureId::new(infrastructure);
        let session = Session::lead(Arc::clone(&self.host), &id, self.topology.name(), COMMAND);
        let session = session.map_err(|error| Failure::from(error).summary())?;
        self.orchestra.open(infrastructure);
        let (handle, cancel) = Cancel::new();
        let orchestra = Arc::clone(&self.orchestra);
        let input = Input::Intent(Arc::clone(&self.topology));
        let lead = lead(session, input, cancel, orchestra, infrastructure.to_owned());
        let consult = Arc::clone(&self.orchestra).consult(infrastructure.to_owned());
        let deliver = Arc::clone(&self.orchestra).deliver(infrastructure.to_owned());
        let running = Running {
            cancel: handle,
            session: tokio::spawn(lead),
            companions: vec![tokio::spawn(consult), tokio::spawn(deliver)],
        };
        self.running().insert(infrastructure.to_owned(), running);
        Ok(())
    }

    async fn take_down(&self, infrastructure: &str) -> Result<(), String> {
        let running = self.running().remove(infrastructure);
        let mut result = Ok(());
        if let Some(running) = running {
            running.cancel.cancel();
            result = match running.session.await {
                Ok(result) => result,
                Err(error) => Err(error.to_string()),
            };
            for companion in running.companions {
                companion.abort();
            }
        }
        let blocked = self.orchestra.close(infrastructure);
        let gone = self.remove(infrastructure).await.map_err(|failure| {
            let again = format!("`zenekar down {infrastructure}` takes it down");
            format!(
                "`{infrastructure}` is not down: {}; {again}",
                failure.summary()
            )
        });
        gone.and(result).and(blocked.map_or(Ok(()), Err))
    }

    /// Takes down whatever there is, and forgets it.
    async fn remove(&self, infrastructure: &str) -> Result<(), Failure> {
        let id = InfrastructureId::new(infrastructure);
        let store = &self.host.store;
        if store.with(|store| store.infrastructure(&id))?.is_none() {
            return Ok(());
        }
        let name = self.topology.name();
        let mut session = Session::lead(Arc::clone(&self.host), &id, name, COMMAND)?;
        if session.engine().state().intent.is_some() {
            let until = Until::SettledWithin(DOWN_PATIENCE);
            let cancel = self.give_up.clone();
            let inputs = vec![Input::Teardown];
            let outcome = session.run(inputs, until, cancel, &mut Silent).await?;
            if outcome != Outcome::Converged {
                session.close()?;
                return Err(not_gone(&outcome));
            }
        }
        let is_down = session.engine().state().torn_down;
        session.close()?;
        let row = store.with(|store| store.infrastructure(&id))?;
        if let Some(row) = row {
            store.with(|store| {
                if !is_down {
                    // Nothing was ever wanted there.
                    down::mark_removed(store, &row)?;
                }
                down::purge(store, &row)
            })?;
        }
        Ok(())
    }
}

fn not_gone(outcome: &Outcome) -> Failure {
    match outcome {
        Outcome::Blocked(causes) => crate::commands::run::blocked(causes),
        Outcome::Refused(reason) => reason.clone().into(),
        Outcome::Cancelled => Failure::new(crate::exit::Exit::Cancelled, "it was interrupted"),
        Outcome::Converged | Outcome::TimedOut => {
            Failure::new(crate::exit::Exit::Timeout, "the time is up")
        }
    }
}

/// Leads an infrastructure until it is told to end; ends the run if it cannot.
async fn lead(
    mut session: Session,
    input: Input,
    cancel: Cancel,
    orchestra: Arc<Orchestra>,
    infrastructure: String,
) -> Result<(), String> {
    let mut watcher = Watcher::new(Arc::clone(&orchestra), &infrastructure);
    let outcome = session
        .run(vec![input], Until::Forever, cancel, &mut watcher)
        .await;
    let closed = session.close();
    let result = match outcome {
        Ok(Outcome::Refused(reason)) => Err(reason.to_string()),
        Ok(_) => closed.map_err(|error| Failure::from(error).summary()),
        Err(error) => Err(Failure::from(error).summary()),
    };
    if result.is_err() {
        let end = |session: &mut LiveSession, _| session.abort();
        orchestra.controller.with(&infrastructure, end);
    }
    result
}

impl Deployment for Production {
    fn start<'a>(&'a self, infrastructure: &'a str) -> Work<'a> {
        Box::pin(async move { self.bring_up(infrastructure) })
    }

    fn stop<'a>(&'a self, infrastructure: &'a str) -> Work<'a> {
        Box::pin(self.take_down(infrastructure))
    }
}
