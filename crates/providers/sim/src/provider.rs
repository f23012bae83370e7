//! The provider: calls that wait for cloud time.

use std::collections::BTreeMap;
use std::future::{Future, ready};
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use zenekar_base::{
    CallId, Capabilities, ErrorClass, InfrastructureId, ProbeResult, ProbeSpec, ProviderError,
    ResourceId, ResourceView, Timestamp,
};
use zenekar_provider::{
    Call, CreateRequest, Deleted, Identity, ObserveScope, Owned, OwnedKind, Provider,
    RecontextualiseRequest,
};
use zenekar_simcloud::{Request, Response, Scope};

use crate::descriptor::create_instance;
use crate::error::SimError;
use crate::files::{Anchor, Input, Overview, SimFiles};

/// A future without a result that can be kept and sent.
pub type BoxFuture<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// Calls that the provider accepts at once; as many as an engine is told it may make.
const CALLS_IN_FLIGHT_MAX: u32 = 4_096;

/// Resources that one observe call may name.
const DESCRIBE_BATCH_MAX: u32 = 1_000;

/// Calls that may wait for their replies; above what the engine is told, for
/// callers whose cancelled calls are not counted yet. More are throttled.
const CALLS_WAITING_MAX: usize = 65_536;

/// Cloud time: real, compressed or jumping. Implemented by the runtime.
pub trait SimClock: Send + Sync {
    /// Returns the present.
    fn now(&self) -> Timestamp;

    /// Waits until `at`.
    fn sleep_until(&self, at: Timestamp) -> BoxFuture<'_>;
}

/// Provider `sim`.
///
/// Its file operations are short writes to the page cache; they are done where
/// they arise, not on a thread of their own.
pub struct SimProvider {
    clock: Arc<dyn SimClock>,
    session: u32,
    shared: Mutex<Shared>,
}

/// The state that calls share.
struct Shared {
    files: SimFiles,
    next_call: u32,
    /// Calls that have not been written yet: those that are made in the same
    /// turn of the scheduler are written together.
    queued: Vec<(CallId, Request)>,
    /// Calls that somebody waits for.
    waiting: BTreeMap<CallId, Waiting>,
}

enum Waiting {
    Queued,
    Until(Timestamp),
    Done(Result<Response, ProviderError>),
}

impl SimProvider {
    /// Opens the cloud in a directory: see [`SimFiles::open`].
    pub fn open(directory: &Path, clock: Arc<dyn SimClock>) -> Result<Self, SimError> {
        Self::new(SimFiles::open(directory)?, clock)
    }

    /// Takes an opened cloud; for callers that set their clock by its [`Anchor`] first.
    pub fn new(mut files: SimFiles, clock: Arc<dyn SimClock>) -> Result<Self, SimError> {
        let session = files.begin_session()?;
        let shared = Shared {
            files,
            next_call: 0,
            queued: Vec::new(),
            waiting: BTreeMap::new(),
        };
        Ok(Self {
            clock,
            session,
            shared: Mutex::new(shared),
        })
    }

    /// Returns where the time of the cloud stands.
    pub fn anchor(&self) -> Result<Anchor, SimError> {
        self.shared().files.anchor()
    }

    /// Does something with the files of the cloud: looks at it, intervenes.
    pub fn with_files<T>(&self, operate: impl FnOnce(&mut SimFiles) -> T) -> T {
        operate(&mut self.shared().files)
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        // Nothing in the state is half-done when a panic leaves a caller: the
        // files are caught up with before every use.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn call(&self, request: Request) -> Result<Response, ProviderError> {
        let ticket = self.enqueue(request)?;
        // Lets the other calls of this turn join the same write.
        tokio::task::yield_now().await;
        let due = self.flush(ticket.call);
        self.clock.sleep_until(due).await;
        self.collect(ticket.call, due)
    }

    fn enqueue(&self, request: Request) -> Result<Ticket<'_>, ProviderError> {
        let mut shared = self.shared();
        if shared.waiting.len() >= CALLS_WAITING_MAX {
            return Err(ProviderError::new(
                ErrorClass::Throttled,
                "too many calls wait for their replies",
            ));
        }
        shared.next_call = shared.next_call.wrapping_add(1);
        let call = CallId((u64::from(self.session) << 32) | u64::from(shared.next_call));
        shared.queued.push((call, request));
        shared.waiting.insert(call, Waiting::Queued);
        Ok(Ticket {
            provider: self,
            call,
        })
    }

    /// Writes the queued calls, if this one is among them, and returns when its reply is due.
    fn flush(&self, call: CallId) -> Timestamp {
        let now = self.clock.now();
        let mut shared = self.shared();
        if matches!(shared.waiting.get(&call), Some(Waiting::Queued)) {
            shared.write_queued(now);
        }
        match shared.waiting.get(&call) {
            Some(Waiting::Until(due)) => *due,
            _ => now,
        }
    }

    fn collect(&self, call: CallId, due: Timestamp) -> Result<Response, ProviderError> {
        let now = self.clock.now().max(due);
        let mut shared = self.shared();
        if matches!(shared.waiting.get(&call), Some(Waiting::Until(_))) {
            shared.advance(now)?;
        }
        match shared.waiting.remove(&call) {
            Some(Waiting::Done(result)) => result,
            _ => Err(ProviderError::new(
                ErrorClass::Unknown,
                "the reply was lost: the simulated cloud was reset, or others left this process far behind",
            )),
        }
    }
}

/// A call that is waited for; dropping it gives up waiting.
struct Ticket<'a> {
    provider: &'a SimProvider,
    call: CallId,
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        self.provider.shared().waiting.remove(&self.call);
    }
}

impl Shared {
    fn write_queued(&mut self, now: Timestamp) {
        let (calls, inputs): (Vec<_>, Vec<_>) = std::mem::take(&mut self.queued)
            .into_iter()
            .map(|(call, request)| (call, Input::Call(call, request)))
            .unzip();
        match self.files.append(now, inputs) {
            Ok(appended) => {
                for (call, due) in calls.into_iter().zip(appended.dues) {
                    self.set(call, Waiting::Until(due));
                }
            }
            // What was written before the failure takes effect.
            Err(error) => calls
                .into_iter()
                .for_each(|call| self.set(call, Waiting::Done(Err(unknown(&error))))),
        }
        self.sort_replies();
    }

    fn advance(&mut self, now: Timestamp) -> Result<(), ProviderError> {
        self.files
            .append(now, Vec::new())
            .map_err(|error| unknown(&error))?;
        self.sort_replies();
        Ok(())
    }

    /// Hands the replies to those who wait; others' replies, and those nobody waits for, are dropped.
    fn sort_replies(&mut self) {
        for reply in self.files.take_replies() {
            self.set(reply.call, Waiting::Done(reply.result));
        }
    }

    fn set(&mut self, call: CallId, state: Waiting) {
        if let Some(waiting) = self.waiting.get_mut(&call) {
            *waiting = state;
        }
    }
}

fn unknown(error: &SimError) -> ProviderError {
    let mut message = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        message = format!("{message}: {error}");
        cause = error.source();
    }
    ProviderError::new(ErrorClass::Unknown, message)
}

/// Returns everything that carries a tag of ours.
fn all_owned(overview: &Overview) -> Vec<Owned> {
    let machines = overview
        .resources
        .iter()
        .filter(|machine| !machine.infrastructure.as_str().is_empty());
    let machines = machines.map(|machine| Owned {
        kind: OwnedKind::Instance,
        id: machine.resource.clone(),
        infrastructure: machine.infrastructure.clone(),
        instance: Some(machine.instance.clone()),
        name: machine.name.clone(),
        state: machine
            .state
            .map_or_else(String::new, |state| format!("{state:?}").to_lowercase()),
        created: Some(machine.created_at.0.to_string()),
    });
    let networks = overview.networks.iter().map(|infrastructure| Owned {
        kind: OwnedKind::Network,
        id: ResourceId::new(format!("net-{infrastructure}")),
        infrastructure: infrastructure.clone(),
        instance: None,
        name: infrastructure.to_string(),
        state: "there".to_owned(),
        created: None,
    });
    machines.chain(networks).collect()
}

/// The cloud answered a call with the reply to another kind of call.
fn wrong_reply(response: &Response) -> ProviderError {
    ProviderError::new(
        ErrorClass::Unknown,
        format!("the simulated cloud gave an answer of another kind: {response:?}"),
    )
}

impl Provider for SimProvider {
    fn name(&self) -> &'static str {
        "sim"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            calls_in_flight_max: CALLS_IN_FLIGHT_MAX,
            describe_batch_max: DESCRIBE_BATCH_MAX,
            settle: self.shared().files.cloud().settings().settle(),
            recontextualise: true,
            native_tokens: true,
            user_data_bytes_max: None,
            is_shared: false,
        }
    }

    fn create(&self, request: CreateRequest) -> Call<'_, ResourceView> {
        Box::pin(async move {
            let request = Request::Create(Box::new(create_instance(request)?));
            match self.call(request).await? {
                Response::Created(view) => Ok(view),
                other => Err(wrong_reply(&other)),
            }
        })
    }

    fn observe(
        &self,
        infrastructure: InfrastructureId,
        scope: ObserveScope,
    ) -> Call<'_, Vec<ResourceView>> {
        Box::pin(async move {
            let scope = match scope {
                ObserveScope::All => Scope::All,
                ObserveScope::Resources(resources)
                    if resources.len() > DESCRIBE_BATCH_MAX as usize =>
                {
                    let message = format!(
                        "a call may name {DESCRIBE_BATCH_MAX} resources, not {}",
                        resources.len()
                    );
                    return Err(ProviderError::new(ErrorClass::Invalid, message));
                }
                ObserveScope::Resources(resources) => Scope::Resources(resources),
            };
            match self
                .call(Request::Observe {
                    infrastructure,
                    scope,
                })
                .await?
            {
                Response::Observed(views) => Ok(views),
                other => Err(wrong_reply(&other)),
            }
        })
    }

    fn delete(&self, infrastructure: InfrastructureId, resource: ResourceId) -> Call<'_, Deleted> {
        Box::pin(async move {
            match self
                .call(Request::Delete {
                    infrastructure,
                    resource,
                })
                .await?
            {
                Response::Deleted { gone: true } => Ok(Deleted::Gone),
                Response::Deleted { gone: false } => Ok(Deleted::Accepted),
                other => Err(wrong_reply(&other)),
            }
        })
    }

    fn recontextualise(
        &self,
        infrastructure: InfrastructureId,
        request: RecontextualiseRequest,
    ) -> Call<'_, ()> {
        Box::pin(async move {
            let RecontextualiseRequest {
                resource, revision, ..
            } = request;
            match self
                .call(Request::Recontextualise {
                    infrastructure,
                    resource,
                    revision,
                })
                .await?
            {
                Response::Recontextualised => Ok(()),
                other => Err(wrong_reply(&other)),
            }
        })
    }

    fn probe(
        &self,
        infrastructure: InfrastructureId,
        resource: ResourceId,
        spec: ProbeSpec,
    ) -> Call<'_, ProbeResult> {
        Box::pin(async move {
            match self
                .call(Request::Probe {
                    infrastructure,
                    resource,
                    ports: spec.ports,
                })
                .await?
            {
                Response::Probed(result) => Ok(result),
                other => Err(wrong_reply(&other)),
            }
        })
    }

    fn identity(&self) -> Call<'_, Identity> {
        let version = env!("CARGO_PKG_VERSION");
        Box::pin(ready(Ok(Identity {
            account: "simulated".to_owned(),
            // The files of a cloud are what it is: there is no other one behind them.
            pin: None,
            user: None,
            product: format!("simcloud {version}"),
            credentials: None,
        })))
    }

    fn owned(&self) -> Call<'_, Vec<Owned>> {
        let now = self.clock.now();
        let overview = self.with_files(|files| files.overview(now));
        Box::pin(ready(
            overview
                .map(|overview| all_owned(&overview))
                .map_err(|error| unknown(&error)),
        ))
    }

    fn delete_owned(&self, owned: Owned) -> Call<'_, Deleted> {
        match owned.kind {
            OwnedKind::Instance => self.delete(owned.infrastructure, owned.id),
            OwnedKind::Network => Box::pin(async move {
                self.release(owned.infrastructure).await?;
                Ok(Deleted::Gone)
            }),
            _ => Box::pin(ready(Ok(Deleted::Gone))),
        }
    }

    fn release(&self, infrastructure: InfrastructureId) -> Call<'_, ()> {
        Box::pin(async move {
            match self.call(Request::Release { infrastructure }).await? {
                Response::Released => Ok(()),
                other => Err(wrong_reply(&other)),
            }
        })
    }
}
