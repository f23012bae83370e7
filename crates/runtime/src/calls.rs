//! Calls to providers as tasks.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use zenekar_base::{
    Addresses, CallId, Capabilities, ErrorClass, GivenNode, InfrastructureId, InstanceKey,
    InstanceTag, ProviderError, ResourceId, Timestamp, Token,
};
use zenekar_engine::{Call, Engine, Operation, Response, Scope, SharedTopology};
use zenekar_model::{NodeIndex, RenderError, RenderInput, Rendered, Renderer};
use zenekar_provider::{CreateRequest, Deleted, ObserveScope, Provider, RecontextualiseRequest};

use crate::clock::{Clock, Participant};
use crate::host::Host;
use crate::limits::COMPLETIONS_QUEUED_MAX;

/// What a call comes to.
pub(crate) type Answer = Result<Response, ProviderError>;

type Work = Pin<Box<dyn Future<Output = Answer> + Send>>;

/// A call with all that it needs, not started yet.
pub(crate) struct PreparedCall {
    id: CallId,
    deadline: Timestamp,
    /// Whether it changes something at the provider.
    changes: bool,
    work: Work,
}

/// An answered call. The clock stands still until it has been handled.
pub(crate) struct Completion {
    pub(crate) call: CallId,
    pub(crate) answer: Answer,
    _participant: Participant,
}

/// What rendering for one instance needs.
struct Subject {
    renderer: Arc<dyn Renderer>,
    topology: SharedTopology,
    infrastructure: InfrastructureId,
    node: NodeIndex,
    candidate: u32,
    tag: InstanceTag,
    given: Arc<Vec<GivenNode>>,
}

/// A node of the topology of a call, and how it is realised.
struct Role {
    node: NodeIndex,
    candidate: u32,
}

impl Subject {
    fn new(
        host: &Host,
        engine: &Engine,
        role: Role,
        tag: InstanceTag,
        given: Arc<Vec<GivenNode>>,
    ) -> Result<Self, ProviderError> {
        let intent = engine.state().intent.as_ref();
        let topology = intent
            .map(|intent| intent.topology.clone())
            .ok_or_else(|| {
                ProviderError::new(ErrorClass::Invalid, "the infrastructure has no descriptor")
            })?;
        let Role { node, candidate } = role;
        let (renderer, infrastructure) = (
            Arc::clone(&host.renderer),
            engine.state().infrastructure.clone(),
        );
        Ok(Self {
            renderer,
            topology,
            infrastructure,
            node,
            candidate,
            tag,
            given,
        })
    }

    fn input(&self) -> RenderInput<'_> {
        RenderInput {
            infrastructure: &self.infrastructure,
            node: self.node,
            candidate: self.candidate as usize,
            instance: &self.tag,
            given: &self.given,
        }
    }

    fn render(&self, capabilities: &Capabilities) -> Result<Rendered, ProviderError> {
        let rendered = self
            .renderer
            .render(&self.topology, &self.input())
            .map_err(|error| invalid(&error))?;
        let size = rendered.user_data.as_ref().map_or(0, String::len) as u64;
        match capabilities.user_data_bytes_max {
            Some(limit) if size > limit => {
                let provider = self
                    .topology
                    .candidate(self.node, self.candidate as usize)
                    .map_or("", |candidate| &candidate.provider);
                let message = format!(
                    "the user-data has {size} bytes, but provider `{provider}` accepts at most {limit}"
                );
                Err(ProviderError::new(ErrorClass::Invalid, message))
            }
            _ => Ok(rendered),
        }
    }
}

fn invalid(error: &RenderError) -> ProviderError {
    ProviderError::new(ErrorClass::Invalid, error.to_string())
}

/// Makes a call ready to start, with the state of the engine that asked for it.
pub(crate) fn prepare(host: &Host, engine: &Engine, call: Call) -> PreparedCall {
    let Call {
        id,
        provider: name,
        deadline,
        operation,
    } = call;
    let changes = !matches!(
        operation,
        Operation::Observe { .. } | Operation::Probe { .. }
    );
    let Some(provider) = host.providers.get(&name).map(Arc::clone) else {
        let message =
            format!("there is no provider `{name}` here; `--on` moves nodes to another provider");
        let error = ProviderError::new(ErrorClass::Invalid, message);
        return PreparedCall {
            id,
            deadline,
            changes,
            work: Box::pin(std::future::ready(Err(error))),
        };
    };
    PreparedCall {
        id,
        deadline,
        changes,
        work: work_of(host, engine, provider, operation),
    }
}

fn work_of(
    host: &Host,
    engine: &Engine,
    provider: Arc<dyn Provider>,
    operation: Operation,
) -> Work {
    let subject = |node, candidate, tag, given| {
        Subject::new(host, engine, Role { node, candidate }, tag, given)
    };
    let infrastructure = || engine.state().infrastructure.clone();
    match operation {
        Operation::Create {
            instance,
            tag,
            token,
            node,
            candidate,
            given,
        } => {
            let state = engine.state();
            let instance = state.instances.get(&instance);
            let name = instance
                .map(|instance| state.instance_name(instance))
                .unwrap_or_default();
            let subject = subject(node, candidate, tag, given);
            Box::pin(async move { create(&*provider, subject?, token, name).await })
        }
        Operation::Observe { scope } => {
            let infrastructure = infrastructure();
            Box::pin(async move {
                let observed = provider.observe(infrastructure, scope_of(scope)).await;
                observed.map(Response::Observed)
            })
        }
        Operation::Delete { resource, .. } => {
            let infrastructure = infrastructure();
            Box::pin(async move {
                let deleted = provider.delete(infrastructure, resource).await?;
                Ok(Response::Deleted {
                    gone: deleted == Deleted::Gone,
                })
            })
        }
        Operation::Release => {
            let infrastructure = infrastructure();
            Box::pin(async move {
                let released = provider.release(infrastructure).await;
                released.map(|()| Response::Released)
            })
        }
        Operation::Recontextualise {
            tag,
            resource,
            revision,
            node,
            candidate,
            given,
            ..
        } => {
            let subject = subject(node, candidate, tag, given);
            Box::pin(async move { recontextualise(&*provider, subject?, resource, revision).await })
        }
        Operation::Probe {
            instance,
            tag,
            resource,
            node,
            candidate,
        } => {
            let (given, addresses) = known_of(engine, instance);
            let subject = subject(node, candidate, tag, given);
            Box::pin(async move { probe(&*provider, subject?, resource, addresses).await })
        }
    }
}

fn scope_of(scope: Scope) -> ObserveScope {
    match scope {
        Scope::All => ObserveScope::All,
        Scope::Instances(instances) => {
            let resources = instances.into_iter().map(|(_, resource)| resource);
            ObserveScope::Resources(resources.collect())
        }
    }
}

/// Returns what an instance was given and where it can be reached.
fn known_of(engine: &Engine, key: InstanceKey) -> (Arc<Vec<GivenNode>>, Addresses) {
    let state = engine.state();
    let Some(instance) = state.instances.get(&key) else {
        return Default::default();
    };
    let given = instance
        .given
        .and_then(|set| state.given.get(&set))
        .map(|(nodes, _)| Arc::clone(nodes));
    (given.unwrap_or_default(), instance.addresses.clone())
}

async fn create(provider: &dyn Provider, subject: Subject, token: Token, name: String) -> Answer {
    let rendered = subject.render(&provider.capabilities())?;
    let request = CreateRequest {
        infrastructure: subject.infrastructure,
        instance: subject.tag,
        token,
        name,
        rendered,
    };
    provider.create(request).await.map(Response::Created)
}

async fn recontextualise(
    provider: &dyn Provider,
    subject: Subject,
    resource: ResourceId,
    revision: u32,
) -> Answer {
    let rendered = subject.render(&provider.capabilities())?;
    let Subject {
        infrastructure,
        tag,
        ..
    } = subject;
    let request = RecontextualiseRequest {
        resource,
        instance: tag,
        revision,
        rendered,
    };
    let accepted = provider.recontextualise(infrastructure, request).await;
    accepted.map(|()| Response::Recontextualised)
}

async fn probe(
    provider: &dyn Provider,
    subject: Subject,
    resource: ResourceId,
    addresses: Addresses,
) -> Answer {
    let spec = subject
        .renderer
        .probes(&subject.topology, &subject.input(), &addresses)
        .map_err(|error| invalid(&error))?;
    provider
        .probe(subject.infrastructure, resource, spec)
        .await
        .map(Response::Probed)
}

/// The calls in flight of one session.
pub(crate) struct Flights {
    clock: Clock,
    calls: BTreeMap<CallId, Flight>,
    changing: usize,
    sender: mpsc::Sender<Completion>,
    receiver: mpsc::Receiver<Completion>,
}

struct Flight {
    task: AbortHandle,
    deadline: Timestamp,
    changes: bool,
}

impl Flights {
    pub(crate) fn new(clock: Clock) -> Self {
        let (sender, receiver) = mpsc::channel(COMPLETIONS_QUEUED_MAX);
        Self {
            clock,
            calls: BTreeMap::new(),
            changing: 0,
            sender,
            receiver,
        }
    }

    /// Returns how many calls in flight change something.
    pub(crate) fn changing(&self) -> usize {
        self.changing
    }

    /// Starts a call on a task of its own.
    pub(crate) fn start(&mut self, call: PreparedCall) {
        let PreparedCall {
            id,
            deadline,
            changes,
            work,
        } = call;
        let (sender, participant) = (self.sender.clone(), self.clock.participate());
        let task = tokio::spawn(async move {
            let answer = work.await;
            // Who does not listen any more does not need the answer.
            let _ = sender
                .send(Completion {
                    call: id,
                    answer,
                    _participant: participant,
                })
                .await;
        });
        self.changing += usize::from(changes);
        self.calls.insert(
            id,
            Flight {
                task: task.abort_handle(),
                deadline,
                changes,
            },
        );
    }

    /// Waits for answers, and takes what there is up to a bound.
    pub(crate) async fn answers(&mut self, buffer: &mut Vec<Completion>, count_max: usize) {
        self.receiver.recv_many(buffer, count_max).await;
    }

    /// Takes more answers that are there already.
    pub(crate) fn more_answers(&mut self, buffer: &mut Vec<Completion>, count_max: usize) {
        while buffer.len() < count_max
            && let Ok(completion) = self.receiver.try_recv()
        {
            buffer.push(completion);
        }
    }

    /// Notes that a call was answered.
    pub(crate) fn landed(&mut self, id: CallId) {
        if let Some(flight) = self.calls.remove(&id) {
            self.changing -= usize::from(flight.changes);
        }
    }

    /// Gives up calls that the engine does not wait for any more.
    pub(crate) fn drop_overdue(&mut self, now: Timestamp) {
        self.drop_if(|flight| flight.deadline <= now);
    }

    /// Gives up the calls that change nothing.
    pub(crate) fn drop_looks(&mut self) {
        self.drop_if(|flight| !flight.changes);
    }

    fn drop_if(&mut self, is_dropped: impl Fn(&Flight) -> bool) {
        let dropped = self.calls.extract_if(.., |_, flight| is_dropped(flight));
        for (_, flight) in dropped {
            flight.task.abort();
            self.changing -= usize::from(flight.changes);
        }
    }

    /// Gives up everything.
    pub(crate) fn drop_all(&mut self) {
        for flight in std::mem::take(&mut self.calls).into_values() {
            flight.task.abort();
        }
        self.changing = 0;
    }
}
