//! What goes into the engine and what comes out of it.

use std::sync::Arc;

use zenekar_base::{
    CallId, GivenNode, InstanceKey, InstanceTag, Millis, NodeKey, ProbeResult, ProviderError,
    RequestId, ResourceId, ResourceView, Timestamp, Token,
};
use zenekar_model::{NodeIndex, Topology};

use crate::adopt::Adoption;
use crate::crossing::Unreachable;
use crate::record::Entry;

/// A user's wish to change counts. Applied exactly once per id.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ScalingRequest {
    /// The id; a repeated request is recognised by it.
    pub request: RequestId,
    /// What to change.
    pub changes: Vec<ScalingChange>,
}

/// One change of a count.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ScalingChange {
    /// The node is to have this many instances.
    To {
        /// The node's name.
        node: String,
        /// The count.
        count: u32,
    },
    /// The node is to have this many instances more, or fewer if negative.
    By {
        /// The node's name.
        node: String,
        /// The difference.
        difference: i64,
    },
    /// This instance is to go, and its node is to have one fewer.
    Remove {
        /// The instance.
        instance: InstanceKey,
    },
}

/// Something that happened, as told to the engine. Inputs may be late, lost,
/// repeated or contradict each other.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Input {
    /// The user wants the infrastructure to be like this.
    Intent(Arc<Topology>),
    /// The user wants to go on with what another orchestrator has made.
    Adopt(Adoption),
    /// The user wants other counts.
    Scale(ScalingRequest),
    /// The user wants the infrastructure to go down.
    Teardown,
    /// The user asks to try again what was given up.
    Resume,
    /// A call was answered.
    Completion {
        /// The call.
        call: CallId,
        /// The answer.
        result: Result<Response, ProviderError>,
    },
    /// Time has passed.
    Tick,
}

/// The answer to a call.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Response {
    /// To [`Operation::Create`]: the resource.
    Created(ResourceView),
    /// To [`Operation::Observe`]: the resources that exist within the scope.
    Observed(Vec<ResourceView>),
    /// To [`Operation::Delete`]: whether it is gone for certain; else it disappears later.
    Deleted {
        /// The provider says that there is no such resource.
        gone: bool,
    },
    /// To [`Operation::Recontextualise`]: accepted.
    Recontextualised,
    /// To [`Operation::Probe`]: the finding.
    Probed(ProbeResult),
    /// To [`Operation::Release`]: nothing is left.
    Released,
}

/// Which resources an observation covers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Everything with the infrastructure's tag.
    All,
    /// These instances.
    Instances(Vec<(InstanceKey, ResourceId)>),
}

/// What to ask of the world.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// Create an instance.
    Create {
        /// The instance.
        instance: InstanceKey,
        /// Its tag.
        tag: InstanceTag,
        /// The idempotency token.
        token: Token,
        /// Its node in the topology of the call.
        node: NodeIndex,
        /// The chosen candidate.
        candidate: u32,
        /// The addresses that it is given.
        given: Arc<Vec<GivenNode>>,
    },
    /// Look at resources.
    Observe {
        /// Which.
        scope: Scope,
    },
    /// Delete a resource.
    Delete {
        /// The instance; `None` for an orphan.
        instance: Option<InstanceKey>,
        /// The resource.
        resource: ResourceId,
    },
    /// Contextualise a running instance again.
    Recontextualise {
        /// The instance.
        instance: InstanceKey,
        /// Its tag.
        tag: InstanceTag,
        /// The resource.
        resource: ResourceId,
        /// The number of this contextualisation.
        revision: u32,
        /// Its node in the topology of the call.
        node: NodeIndex,
        /// The candidate that it was created from.
        candidate: u32,
        /// The addresses that it is given now.
        given: Arc<Vec<GivenNode>>,
    },
    /// Check an instance's health.
    Probe {
        /// The instance.
        instance: InstanceKey,
        /// Its tag.
        tag: InstanceTag,
        /// The resource.
        resource: ResourceId,
        /// Its node in the topology of the call.
        node: NodeIndex,
        /// The candidate that it was created from.
        candidate: u32,
    },
    /// Remove what was made for the infrastructure besides instances.
    Release,
}

impl Operation {
    /// Returns the stable name of the kind of operation.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Create { .. } => "create",
            Self::Observe { .. } => "observe",
            Self::Delete { .. } => "delete",
            Self::Recontextualise { .. } => "recontextualise",
            Self::Probe { .. } => "probe",
            Self::Release => "release",
        }
    }
}

/// One call to a provider.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Call {
    /// Identifies the call while this engine lives.
    pub id: CallId,
    /// The provider's type name.
    pub provider: String,
    /// When the engine stops waiting; the outcome is then unknown.
    pub deadline: Timestamp,
    /// What to do.
    pub operation: Operation,
}

/// What the engine asks of the world, in the order in which it has to happen:
/// a call may start only when everything persisted before it is durable.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// Make this fact durable.
    Persist(Entry),
    /// Call a provider.
    Call(Call),
    /// Tell whoever watches; nothing depends on it.
    Notify(Notice),
}

/// Something worth telling that is not a durable fact.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Notice {
    /// A call failed.
    CallFailed {
        /// The instance, if the call was about one.
        instance: Option<InstanceKey>,
        /// What was tried.
        operation: &'static str,
        /// The error.
        error: ProviderError,
        /// When it is tried again; `None` if it is not.
        retry_after: Option<Millis>,
    },
    /// A request was not applied.
    Refused {
        /// Why.
        reason: Refusal,
    },
    /// A scaling request had been applied before.
    AlreadyApplied {
        /// The request.
        request: RequestId,
    },
    /// Instances are told addresses that they cannot reach.
    Unreachable(Unreachable),
    /// A count was cut to the node's range.
    CountLimited {
        /// The node.
        node: NodeKey,
        /// What was asked for.
        asked: i64,
        /// What it became.
        count: u32,
    },
}

/// Why the engine refuses a request. Nothing has changed then.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// The infrastructure is going down.
    TeardownInProgress,
    /// Only an infrastructure that was never brought up can be taken over.
    NotNew,
    /// What is to be taken over contradicts itself.
    NotAdoptable(String),
    /// There is no intent to change yet.
    NoIntent,
    /// The descriptor is for an infrastructure of another name.
    OtherName {
        /// The name of the running one.
        running: String,
        /// The name in the descriptor.
        descriptor: String,
    },
    /// The change would replace instances of a node that refuses it.
    ReplacementRefused {
        /// The node.
        node: String,
        /// How many instances.
        instances: u32,
    },
    /// No node of the name.
    UnknownNode(String),
    /// No such instance, or it is already on its way out.
    UnknownInstance(InstanceKey),
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::TeardownInProgress => formatter.write_str("the infrastructure is going down"),
            Self::NotNew => formatter.write_str(
                "the infrastructure was brought up here before, so none can be taken over as it",
            ),
            Self::NotAdoptable(reason) => formatter.write_str(reason),
            Self::NoIntent => formatter.write_str("the infrastructure has not been brought up"),
            Self::OtherName {
                running,
                descriptor,
            } => {
                write!(
                    formatter,
                    "the running infrastructure is named `{running}`, the descriptor's is named `{descriptor}`"
                )
            }
            Self::ReplacementRefused { node, instances } => {
                write!(
                    formatter,
                    "the change would replace {instances} instance(s) of node `{node}`, which has `refuse_replacement: true`"
                )
            }
            Self::UnknownNode(name) => write!(formatter, "no node is named `{name}`"),
            Self::UnknownInstance(instance) => write!(
                formatter,
                "no instance {instance}, or it is already being deleted"
            ),
        }
    }
}
