//! The state in one piece, so that recovery need not replay the whole history.
//!
//! This is a stored format of its own, apart from the state in memory: it
//! leaves out what can be derived, and its version counts up when it changes.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use zenekar_base::{
    Addresses, ErrorClass, GivenNode, InfrastructureId, InstanceKey, InstanceTag, NodeKey,
    RequestId, ResourceId, Timestamp,
};
use zenekar_model::{NodeFingerprint, NodeIndex};

use crate::node::{Block, NodeState};
use crate::record::{Breakage, Doom, SharedTopology};
use crate::shared::SharedMap;
use crate::state::{Instance, Intent, Phase, ProviderIndex, State};

/// The version of the snapshot format; stored with every snapshot.
pub const SNAPSHOT_VERSION: u32 = 1;

/// Everything that survives a crash, as it is stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Snapshot {
    intent: Option<StoredIntent>,
    nodes: Vec<StoredNode>,
    instances: Vec<StoredInstance>,
    providers: Vec<String>,
    given: Vec<(u32, Arc<Vec<GivenNode>>)>,
    next_given: u32,
    next_instance: u32,
    orphans: Vec<(u16, ResourceId, Timestamp)>,
    /// Missing in snapshots from before providers were released.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    held: Option<Vec<u16>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    release_errors: Vec<(u16, ErrorClass, String)>,
    requests: VecDeque<RequestId>,
    replacements: VecDeque<Timestamp>,
    torn_down: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    taken_over: bool,
    last_at: Timestamp,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct StoredIntent {
    generation: u64,
    topology: SharedTopology,
    teardown: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct StoredNode {
    name: String,
    index: Option<NodeIndex>,
    target: u32,
    scaled: bool,
    next_ordinal: u32,
    dependencies: Vec<NodeKey>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    block: Option<(ErrorClass, String, Timestamp)>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct StoredInstance {
    key: InstanceKey,
    /// The tag of an adopted instance; that of others follows from their keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    adopted: Option<InstanceTag>,
    node: NodeKey,
    ordinal: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    replaces: Option<InstanceKey>,
    phase: StoredPhase,
    phase_since: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    doom: Option<Doom>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    breakage: Option<Breakage>,
    attempt: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    uncertain_since: Option<Timestamp>,
    candidate: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    provider: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    resource: Option<ResourceId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    created_at: Option<Timestamp>,
    addresses: Addresses,
    fingerprint: NodeFingerprint,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    given: Option<u32>,
    revision: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ready_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last_error: Option<(ErrorClass, String)>,
}

/// The stored form of [`Phase`].
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum StoredPhase {
    Planned,
    Creating,
    Booting,
    Checking,
    Ready,
    Unready,
    Restarting,
}

impl From<Phase> for StoredPhase {
    fn from(phase: Phase) -> Self {
        match phase {
            Phase::Planned => Self::Planned,
            Phase::Creating => Self::Creating,
            Phase::Booting => Self::Booting,
            Phase::Checking => Self::Checking,
            Phase::Ready => Self::Ready,
            Phase::Unready => Self::Unready,
            Phase::Restarting => Self::Restarting,
        }
    }
}

impl From<StoredPhase> for Phase {
    fn from(phase: StoredPhase) -> Self {
        match phase {
            StoredPhase::Planned => Self::Planned,
            StoredPhase::Creating => Self::Creating,
            StoredPhase::Booting => Self::Booting,
            StoredPhase::Checking => Self::Checking,
            StoredPhase::Ready => Self::Ready,
            StoredPhase::Unready => Self::Unready,
            StoredPhase::Restarting => Self::Restarting,
        }
    }
}

impl From<&State> for Snapshot {
    fn from(state: &State) -> Self {
        Self {
            intent: state.intent.as_ref().map(|intent| StoredIntent {
                generation: intent.generation,
                topology: intent.topology.clone(),
                teardown: intent.teardown,
            }),
            nodes: state.nodes.iter().map(StoredNode::from).collect(),
            instances: state.instances.values().map(StoredInstance::from).collect(),
            providers: state.providers.clone(),
            given: state
                .given
                .iter()
                .map(|(set, (nodes, _))| (*set, Arc::clone(nodes)))
                .collect(),
            next_given: state.next_given,
            next_instance: state.next_instance,
            orphans: state
                .orphans
                .iter()
                .map(|((provider, resource), since)| (provider.0, resource.clone(), *since))
                .collect(),
            held: Some(state.held.iter().map(|provider| provider.0).collect()),
            release_errors: state
                .release_errors
                .iter()
                .map(|(provider, (class, message))| (provider.0, *class, message.clone()))
                .collect(),
            requests: state.requests.clone(),
            replacements: state.replacements.clone(),
            torn_down: state.torn_down,
            taken_over: state.taken_over,
            last_at: state.last_at,
        }
    }
}

impl Snapshot {
    /// Returns the state again. Links to nodes that the snapshot does not have
    /// are left out: one that was written by us never holds such a link.
    pub fn restore(self, infrastructure: InfrastructureId) -> State {
        let mut nodes: Vec<NodeState> = self.nodes.into_iter().map(NodeState::from).collect();
        let names = nodes
            .iter()
            .enumerate()
            .map(|(position, node)| (node.name.clone(), node_key(position)))
            .collect();
        let node_keys = places(&nodes);
        let held = self.held.unwrap_or_else(|| {
            // Any provider may have something, unless all is over.
            let places = (0u16..).take(self.providers.len());
            places.filter(|_| !self.torn_down).collect()
        });
        let mut held: BTreeSet<ProviderIndex> = held.into_iter().map(ProviderIndex).collect();
        let mut given: BTreeMap<u32, (Arc<Vec<GivenNode>>, u32)> = self
            .given
            .into_iter()
            .map(|(set, nodes)| (set, (nodes, 0)))
            .collect();
        let (mut instances, mut tags, mut adopted) =
            (SharedMap::new(), BTreeMap::new(), BTreeMap::new());
        for stored in self.instances {
            let instance = stored.restore(&infrastructure);
            let Some(node) = nodes.get_mut(instance.node.index()) else {
                continue;
            };
            node.instances.insert(instance.key);
            node.tally(&instance);
            if let Some((_, holders)) = instance.given.and_then(|set| given.get_mut(&set)) {
                *holders += 1;
            }
            tags.insert(instance.tag.clone(), instance.key);
            adopted.extend(instance.adopted_as());
            // Snapshots from before that counted do not say so.
            held.extend(instance.provider.filter(|_| instance.adopted));
            instances.insert(instance.key, instance);
        }
        State {
            infrastructure,
            intent: self.intent.map(|intent| Intent {
                generation: intent.generation,
                topology: intent.topology,
                teardown: intent.teardown,
            }),
            nodes: nodes.into_iter().collect(),
            names: Arc::new(names),
            node_keys,
            instances,
            tags,
            adopted,
            providers: self.providers,
            given,
            next_given: self.next_given,
            next_instance: self.next_instance,
            orphans: self
                .orphans
                .into_iter()
                .map(|(provider, resource, since)| ((ProviderIndex(provider), resource), since))
                .collect(),
            held,
            release_errors: self
                .release_errors
                .into_iter()
                .map(|(provider, class, message)| (ProviderIndex(provider), (class, message)))
                .collect(),
            requests: self.requests,
            replacements: self.replacements,
            torn_down: self.torn_down,
            taken_over: self.taken_over,
            last_at: self.last_at,
        }
    }
}

fn node_key(position: usize) -> NodeKey {
    NodeKey(u32::try_from(position).expect("front-ends limit the number of nodes far below 2^32"))
}

/// Returns the key of each node of the current topology, by place.
fn places(nodes: &[NodeState]) -> Vec<NodeKey> {
    let by_place: BTreeMap<NodeIndex, NodeKey> = nodes
        .iter()
        .enumerate()
        .filter_map(|(position, node)| Some((node.index?, node_key(position))))
        .collect();
    by_place.into_values().collect()
}

impl From<&NodeState> for StoredNode {
    fn from(node: &NodeState) -> Self {
        Self {
            name: node.name.clone(),
            index: node.index,
            target: node.target,
            scaled: node.scaled,
            next_ordinal: node.next_ordinal,
            dependencies: node.dependencies.clone(),
            block: node
                .block
                .as_ref()
                .map(|block| (block.class, block.message.clone(), block.since)),
        }
    }
}

impl From<StoredNode> for NodeState {
    fn from(stored: StoredNode) -> Self {
        Self {
            index: stored.index,
            target: stored.target,
            scaled: stored.scaled,
            next_ordinal: stored.next_ordinal,
            dependencies: stored.dependencies,
            block: stored.block.map(|(class, message, since)| Block {
                class,
                message,
                since,
            }),
            ..Self::new(&stored.name)
        }
    }
}

impl From<&Instance> for StoredInstance {
    fn from(instance: &Instance) -> Self {
        Self {
            key: instance.key,
            adopted: instance.adopted.then(|| instance.tag.clone()),
            node: instance.node,
            ordinal: instance.ordinal,
            replaces: instance.replaces,
            phase: instance.phase.into(),
            phase_since: instance.phase_since,
            doom: instance.doom.clone(),
            breakage: instance.breakage.clone(),
            attempt: instance.attempt,
            uncertain_since: instance.uncertain_since,
            candidate: instance.candidate,
            provider: instance.provider.map(|provider| provider.0),
            resource: instance.resource.clone(),
            created_at: instance.created_at,
            addresses: instance.addresses.clone(),
            fingerprint: instance.fingerprint,
            given: instance.given,
            revision: instance.revision,
            ready_at: instance.ready_at,
            last_error: instance.last_error.clone(),
        }
    }
}

impl StoredInstance {
    fn restore(self, infrastructure: &InfrastructureId) -> Instance {
        let adopted = self.adopted.is_some();
        let tag = self.adopted;
        Instance {
            key: self.key,
            tag: tag.unwrap_or_else(|| InstanceTag::derive(infrastructure, self.key)),
            adopted,
            node: self.node,
            ordinal: self.ordinal,
            replaces: self.replaces,
            phase: self.phase.into(),
            phase_since: self.phase_since,
            doom: self.doom,
            breakage: self.breakage,
            attempt: self.attempt,
            uncertain_since: self.uncertain_since,
            candidate: self.candidate,
            provider: self.provider.map(ProviderIndex),
            resource: self.resource,
            created_at: self.created_at,
            addresses: self.addresses,
            fingerprint: self.fingerprint,
            given: self.given,
            revision: self.revision,
            ready_at: self.ready_at,
            last_error: self.last_error,
        }
    }
}
