//! The facts that the engine makes durable.
//!
//! Every change of the persisted state is one [`Record`], applied by
//! [`crate::state::State::apply`]: live and in recovery by the same code. The
//! journal therefore is the state's whole history.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use zenekar_base::{
    Addresses, ErrorClass, Fingerprint, GivenNode, InstanceKey, InstanceTag, NodeKey, RequestId,
    ResourceId, Timestamp,
};
use zenekar_model::{NodeFingerprint, Topology};

/// The version of the record format; stored with every entry.
pub const RECORD_VERSION: u32 = 1;

/// A record and when it was made.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Entry {
    /// The engine's time.
    pub at: Timestamp,
    /// The fact.
    pub record: Record,
}

/// The topology of a generation, compared and hashed by its fingerprint only,
/// since topologies are large and states are hashed very often.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SharedTopology(pub Arc<Topology>);

impl SharedTopology {
    fn fingerprint(&self) -> Fingerprint {
        self.0.fingerprint()
    }
}
impl PartialEq for SharedTopology {
    fn eq(&self, other: &Self) -> bool {
        self.fingerprint() == other.fingerprint()
    }
}
impl Eq for SharedTopology {}
impl std::hash::Hash for SharedTopology {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.fingerprint().hash(state);
    }
}
impl std::ops::Deref for SharedTopology {
    type Target = Topology;
    fn deref(&self) -> &Topology {
        &self.0
    }
}

/// Why an instance is to be deleted.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Doom {
    /// The whole infrastructure goes down.
    Teardown,
    /// The descriptor no longer has its node.
    NodeRemoved,
    /// The node has more instances than wanted.
    ScaledIn,
    /// Its descriptor has changed.
    Outdated,
    /// It was given an address that is no longer true.
    AddressChanged,
    /// It could not be created.
    CreateFailed,
    /// It broke down.
    Broken(Breakage),
}

impl fmt::Display for Doom {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Teardown => formatter.write_str("the infrastructure goes down"),
            Self::NodeRemoved => formatter.write_str("its node is no longer in the descriptor"),
            Self::ScaledIn => formatter.write_str("scaled in"),
            Self::Outdated => formatter.write_str("its descriptor has changed"),
            Self::AddressChanged => formatter.write_str("an address that it was given has changed"),
            Self::CreateFailed => formatter.write_str("it could not be created"),
            Self::Broken(breakage) => breakage.fmt(formatter),
        }
    }
}

/// How an instance broke down.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Breakage {
    /// The provider reports it failed.
    Failed(String),
    /// The provider reports it stopped.
    Stopped,
    /// The provider no longer has it.
    Lost,
    /// It did not run in time.
    BootTimeout,
    /// It did not become healthy in time; the last finding.
    Unhealthy(String),
}

impl fmt::Display for Breakage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(detail) if detail.is_empty() => {
                formatter.write_str("the provider reports it failed")
            }
            Self::Failed(detail) => write!(formatter, "the provider reports it failed: {detail}"),
            Self::Stopped => formatter.write_str("it was stopped from outside"),
            Self::Lost => formatter.write_str("the provider no longer has it"),
            Self::BootTimeout => formatter.write_str("it did not start in time"),
            Self::Unhealthy(detail) => write!(formatter, "it is unhealthy: {detail}"),
        }
    }
}

/// One instance that was there before: made by others, and without our tag.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct AdoptedInstance {
    /// The instance.
    pub instance: InstanceKey,
    /// Its node.
    pub node: NodeKey,
    /// Its number within the node.
    pub ordinal: u32,
    /// What those who made it call it: templates see it as the id of the node.
    pub tag: InstanceTag,
    /// The provider that has it.
    pub provider: String,
    /// What the provider calls it.
    pub resource: ResourceId,
    /// The candidate of its node that it counts as made from.
    pub candidate: u32,
    /// What it counts as made of.
    pub fingerprint: NodeFingerprint,
    /// Its addresses.
    pub addresses: Addresses,
    /// Whether it was healthy; else it is checked first.
    pub ready: bool,
    /// The set of addresses that it was given, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub given: Option<u32>,
}

/// A durable fact.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Record {
    /// A new generation of the intent.
    IntentSet {
        /// The generation; one more than its parent.
        generation: u64,
        /// The topology.
        topology: SharedTopology,
        /// The counts of nodes that differ from their minimum, by name.
        targets: Vec<(String, u32)>,
    },
    /// A running infrastructure was taken over from another orchestrator: what
    /// is wanted, and all that is there, as one fact, so that it happens in
    /// full or not at all.
    Adopted {
        /// The generation of the intent.
        generation: u64,
        /// The topology.
        topology: SharedTopology,
        /// The counts of nodes that differ from their minimum, by name.
        targets: Vec<(String, u32)>,
        /// The sets of addresses that instances were given before, by number.
        given: Vec<(u32, Arc<Vec<GivenNode>>)>,
        /// The instances.
        instances: Vec<AdoptedInstance>,
    },
    /// A scaling request was applied.
    Scaled {
        /// The request; a second one with the same id is not applied.
        request: RequestId,
        /// The generation that it makes.
        generation: u64,
        /// The new counts.
        targets: Vec<(NodeKey, u32)>,
        /// Instances named as victims.
        victims: Vec<InstanceKey>,
    },
    /// The infrastructure is to go down.
    TeardownRequested {
        /// The generation that it makes.
        generation: u64,
    },
    /// The user asked to try again: blocks and the breaker are reset.
    Resumed,
    /// An instance is wanted.
    Planned {
        /// The new instance.
        instance: InstanceKey,
        /// Its node.
        node: NodeKey,
        /// Its number within the node.
        ordinal: u32,
        /// Which instance it replaces.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        replaces: Option<InstanceKey>,
    },
    /// A set of addresses that instances are given.
    Given {
        /// Its number.
        set: u32,
        /// The addresses.
        nodes: Arc<Vec<GivenNode>>,
    },
    /// The instance may exist from now on: written before the call.
    CreateIntended {
        /// The instance.
        instance: InstanceKey,
        /// The attempt that its token is derived from.
        attempt: u32,
        /// The chosen candidate of its node.
        candidate: u32,
        /// What it is made of.
        fingerprint: NodeFingerprint,
        /// The set of addresses that it is given, if any.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        given: Option<u32>,
    },
    /// The attempt surely had no effect.
    CreateFailed {
        /// The instance.
        instance: InstanceKey,
        /// The class of the error.
        class: ErrorClass,
        /// What the provider said.
        message: String,
        /// The candidate to try next.
        candidate: u32,
    },
    /// The provider has the instance.
    Created {
        /// The instance.
        instance: InstanceKey,
        /// What the provider calls it.
        resource: ResourceId,
    },
    /// The instance runs, or its addresses changed.
    Running {
        /// The instance.
        instance: InstanceKey,
        /// Its addresses.
        addresses: Addresses,
    },
    /// The instance is healthy.
    Ready {
        /// The instance.
        instance: InstanceKey,
    },
    /// The instance was healthy and is not any more.
    Unready {
        /// The instance.
        instance: InstanceKey,
        /// The finding.
        detail: String,
    },
    /// The instance is to be contextualised again: written before the call.
    RecontextualiseIntended {
        /// The instance.
        instance: InstanceKey,
        /// The number of this contextualisation.
        revision: u32,
        /// The addresses that it is given now.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        given: Option<u32>,
    },
    /// The provider accepted the new contextualisation.
    Recontextualised {
        /// The instance.
        instance: InstanceKey,
    },
    /// The instance broke down.
    Broke {
        /// The instance.
        instance: InstanceKey,
        /// How.
        breakage: Breakage,
    },
    /// The instance that had broken down is well again.
    Recovered {
        /// The instance.
        instance: InstanceKey,
    },
    /// The instance is to be deleted: written before the call.
    Doomed {
        /// The instance.
        instance: InstanceKey,
        /// Why.
        reason: Doom,
    },
    /// The provider says that the instance does not exist.
    Gone {
        /// The instance.
        instance: InstanceKey,
    },
    /// No instances of the node are created until the cause is removed.
    Blocked {
        /// The node.
        node: NodeKey,
        /// The class of the last error.
        class: ErrorClass,
        /// What the provider said.
        message: String,
    },
    /// The node's block is lifted.
    Unblocked {
        /// The node.
        node: NodeKey,
    },
    /// A resource with our tag that nothing wants; it is deleted.
    OrphanFound {
        /// The provider.
        provider: String,
        /// The resource.
        resource: ResourceId,
    },
    /// An orphan does not exist any more.
    OrphanGone {
        /// The provider.
        provider: String,
        /// The resource.
        resource: ResourceId,
    },
    /// The provider has removed what it had made besides instances; what is
    /// made there later has to be released again.
    Released {
        /// The provider.
        provider: String,
    },
    /// What the provider has made besides instances cannot be removed; written
    /// once for each reason in a row.
    ReleaseFailed {
        /// The provider.
        provider: String,
        /// The class of the error.
        class: ErrorClass,
        /// What the provider said.
        message: String,
    },
    /// Nothing is left of an infrastructure that was to go down.
    TornDown,
}

impl Record {
    /// Returns the stable name of the kind of fact.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::IntentSet { .. } => "intent-set",
            Self::Adopted { .. } => "adopted",
            Self::Scaled { .. } => "scaled",
            Self::TeardownRequested { .. } => "teardown-requested",
            Self::Resumed => "resumed",
            Self::Planned { .. } => "planned",
            Self::Given { .. } => "given",
            Self::CreateIntended { .. } => "create-intended",
            Self::CreateFailed { .. } => "create-failed",
            Self::Created { .. } => "created",
            Self::Running { .. } => "running",
            Self::Ready { .. } => "ready",
            Self::Unready { .. } => "unready",
            Self::RecontextualiseIntended { .. } => "recontextualise-intended",
            Self::Recontextualised { .. } => "recontextualised",
            Self::Broke { .. } => "broke",
            Self::Recovered { .. } => "recovered",
            Self::Doomed { .. } => "doomed",
            Self::Gone { .. } => "gone",
            Self::Blocked { .. } => "blocked",
            Self::Unblocked { .. } => "unblocked",
            Self::OrphanFound { .. } => "orphan-found",
            Self::OrphanGone { .. } => "orphan-gone",
            Self::Released { .. } => "released",
            Self::ReleaseFailed { .. } => "release-failed",
            Self::TornDown => "torn-down",
        }
    }

    /// Returns the instance that the fact is about.
    pub const fn instance(&self) -> Option<InstanceKey> {
        match self {
            Self::Planned { instance, .. }
            | Self::CreateIntended { instance, .. }
            | Self::CreateFailed { instance, .. }
            | Self::Created { instance, .. }
            | Self::Running { instance, .. }
            | Self::Ready { instance }
            | Self::Unready { instance, .. }
            | Self::RecontextualiseIntended { instance, .. }
            | Self::Recontextualised { instance }
            | Self::Broke { instance, .. }
            | Self::Recovered { instance }
            | Self::Doomed { instance, .. }
            | Self::Gone { instance } => Some(*instance),
            _ => None,
        }
    }
}
