//! The persisted state: what the journal's records add up to.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use zenekar_base::{
    Addresses, ErrorClass, GivenNode, InfrastructureId, InstanceKey, InstanceTag, NodeKey,
    RequestId, ResourceId, Timestamp, Token,
};
use zenekar_model::{NodeFingerprint, Topology};

use crate::node::{Block, NodeState};
use crate::record::{Breakage, Doom, Entry, Record, SharedTopology};
use crate::settings::{REPLACEMENTS_REMEMBERED_MAX, REQUESTS_REMEMBERED_MAX};
use crate::shared::{SharedList, SharedMap};

/// How far an instance is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// Wanted; nothing was asked of the provider, or surely without effect.
    Planned,
    /// The provider was asked; the outcome is not known.
    Creating,
    /// The provider has it; it does not run yet.
    Booting,
    /// It runs and is not healthy yet.
    Checking,
    /// It is healthy.
    Ready,
    /// It was healthy, and checks fail now.
    Unready,
    /// It is being contextualised again.
    Restarting,
}

impl Phase {
    /// Returns the stable name used in outputs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Creating => "creating",
            Self::Booting => "booting",
            Self::Checking => "checking",
            Self::Ready => "ready",
            Self::Unready => "unready",
            Self::Restarting => "restarting",
        }
    }
}

/// One instance that is not known to be gone.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Instance {
    /// Its key.
    pub key: InstanceKey,
    /// Its tag at the provider; of an adopted one, what those who made it call it.
    pub tag: InstanceTag,
    /// Whether others have made it: it does not carry our tag, so that only
    /// its resource id leads to it.
    pub adopted: bool,
    /// Its node.
    pub node: NodeKey,
    /// Its number within the node; with the node's name it is what people call it.
    pub ordinal: u32,
    /// Which instance it replaces.
    pub replaces: Option<InstanceKey>,
    /// How far it is.
    pub phase: Phase,
    /// Since when.
    pub phase_since: Timestamp,
    /// Why it is to be deleted, if it is.
    pub doom: Option<Doom>,
    /// How it broke down, if it did.
    pub breakage: Option<Breakage>,
    /// The attempt to create it; 0 before the first.
    pub attempt: u32,
    /// Whether an earlier engine or an unanswered call may have created it.
    pub uncertain_since: Option<Timestamp>,
    /// The candidate of its node that it is made from, or that is tried next.
    pub candidate: u32,
    /// The provider, once it was asked.
    pub provider: Option<ProviderIndex>,
    /// What the provider calls it.
    pub resource: Option<ResourceId>,
    /// When the provider said that it has it.
    pub created_at: Option<Timestamp>,
    /// Its addresses.
    pub addresses: Addresses,
    /// What it is made of.
    pub fingerprint: NodeFingerprint,
    /// The set of addresses that it was given.
    pub given: Option<u32>,
    /// How often it was contextualised again.
    pub revision: u32,
    /// When it was first healthy.
    pub ready_at: Option<Timestamp>,
    /// The last error of a durable kind, for people.
    pub last_error: Option<(ErrorClass, String)>,
}

impl Instance {
    /// Returns the idempotency token of the current attempt.
    pub fn token(&self, infrastructure: &InfrastructureId) -> Token {
        Token::derive(infrastructure, self.key, self.attempt)
    }

    /// Says whether it counts towards its node's target.
    pub fn counts(&self) -> bool {
        self.doom.is_none()
    }

    /// Says whether it does its work now.
    pub fn serves(&self) -> bool {
        self.phase == Phase::Ready && self.doom.is_none() && self.breakage.is_none()
    }
}

/// A provider's place in [`State::providers`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProviderIndex(pub u16);

impl ProviderIndex {
    /// Returns the place as an index into a table.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// What is wanted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Intent {
    /// Counts up with every change.
    pub generation: u64,
    /// The topology.
    pub topology: SharedTopology,
    /// Whether everything is to go down.
    pub teardown: bool,
}

/// Everything that survives a crash.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// The infrastructure.
    pub infrastructure: InfrastructureId,
    /// What is wanted; `None` before the first `up`.
    pub intent: Option<Intent>,
    /// All nodes that ever were, by key.
    pub nodes: SharedList<NodeState>,
    /// The key of each node that ever was, by name.
    pub names: Arc<BTreeMap<String, NodeKey>>,
    /// The key of each node of the current topology, by place.
    pub node_keys: Vec<NodeKey>,
    /// The instances that are not known to be gone.
    pub instances: SharedMap<InstanceKey, Instance>,
    /// Instances by tag.
    pub tags: BTreeMap<InstanceTag, InstanceKey>,
    /// Adopted instances by what their provider calls them.
    pub adopted: BTreeMap<(ProviderIndex, ResourceId), InstanceKey>,
    /// Whether it was taken over from another orchestrator.
    pub taken_over: bool,
    /// Providers by place.
    pub providers: Vec<String>,
    /// Sets of given addresses by number, as long as an instance holds them, with the number of holders.
    pub given: BTreeMap<u32, (Arc<Vec<GivenNode>>, u32)>,
    /// The number of the next set.
    pub next_given: u32,
    /// The next instance.
    pub next_instance: u32,
    /// Resources with our tag that nothing wants, and since when we know.
    pub orphans: BTreeMap<(ProviderIndex, ResourceId), Timestamp>,
    /// Providers that may have something of the infrastructure besides instances.
    pub held: BTreeSet<ProviderIndex>,
    /// Why providers could not be released so far, for people.
    pub release_errors: BTreeMap<ProviderIndex, (ErrorClass, String)>,
    /// Scaling requests that were applied, oldest first.
    pub requests: VecDeque<RequestId>,
    /// When instances that broke down were replaced, oldest first.
    pub replacements: VecDeque<Timestamp>,
    /// Whether nothing is left after a teardown.
    pub torn_down: bool,
    /// The time of the last record.
    pub last_at: Timestamp,
}

impl State {
    /// Starts an infrastructure of which nothing exists.
    pub fn new(infrastructure: InfrastructureId) -> Self {
        Self {
            infrastructure,
            intent: None,
            nodes: SharedList::new(),
            names: Arc::default(),
            node_keys: Vec::new(),
            instances: SharedMap::new(),
            tags: BTreeMap::new(),
            adopted: BTreeMap::new(),
            taken_over: false,
            providers: Vec::new(),
            given: BTreeMap::new(),
            next_given: 0,
            next_instance: 0,
            orphans: BTreeMap::new(),
            held: BTreeSet::new(),
            release_errors: BTreeMap::new(),
            requests: VecDeque::new(),
            replacements: VecDeque::new(),
            torn_down: false,
            last_at: Timestamp::ZERO,
        }
    }

    /// Returns a node.
    pub fn node(&self, key: NodeKey) -> &NodeState {
        &self.nodes[key.index()]
    }

    /// Finds a node by name.
    pub fn find_node(&self, name: &str) -> Option<NodeKey> {
        self.names.get(name).copied()
    }

    /// Finds an instance by what people call it: `node/number`.
    pub fn find_instance(&self, name: &str) -> Option<InstanceKey> {
        let (node, ordinal) = name.rsplit_once('/')?;
        let (node, ordinal) = (self.find_node(node)?, ordinal.parse::<u32>().ok()?);
        self.node(node).instances.iter().copied().find(|key| {
            self.instances
                .get(key)
                .is_some_and(|instance| instance.ordinal == ordinal)
        })
    }

    /// Returns what people call an instance: `node/number`.
    pub fn instance_name(&self, instance: &Instance) -> String {
        format!("{}/{}", self.node(instance.node).name, instance.ordinal)
    }

    /// Returns the place of a provider, if it was ever used.
    pub fn find_provider(&self, name: &str) -> Option<ProviderIndex> {
        let place = self
            .providers
            .iter()
            .position(|provider| provider == name)?;
        u16::try_from(place).ok().map(ProviderIndex)
    }

    /// Says whether everything is to go down.
    pub fn teardown(&self) -> bool {
        self.intent.as_ref().is_some_and(|intent| intent.teardown)
    }

    /// Returns the current generation; zero before the first `up`.
    pub fn generation(&self) -> u64 {
        self.intent.as_ref().map_or(0, |intent| intent.generation)
    }

    /// Returns the number of instances that a node is to have now.
    pub fn wanted(&self, key: NodeKey) -> u32 {
        let node = self.node(key);
        if node.index.is_none() || self.teardown() {
            0
        } else {
            node.target
        }
    }

    /// Applies one fact. Facts about subjects that are not there are ignored:
    /// a journal that was written by us never holds one.
    pub fn apply(&mut self, entry: &Entry) {
        let at = entry.at;
        self.last_at = self.last_at.max(at);
        match &entry.record {
            Record::IntentSet {
                generation,
                topology,
                targets,
            } => {
                self.apply_intent(*generation, topology, targets);
                // What is wanted anew has a use for what could not go.
                self.release_errors.clear();
            }
            Record::Adopted {
                generation,
                topology,
                targets,
                given,
                instances,
            } => {
                self.apply_intent(*generation, topology, targets);
                self.apply_adopted(targets, given, instances, at);
            }
            Record::Scaled {
                request,
                generation,
                targets,
                ..
            } => {
                self.apply_scaled(request, *generation, targets);
            }
            Record::TeardownRequested { generation } => {
                if let Some(intent) = &mut self.intent {
                    intent.generation = *generation;
                    intent.teardown = true;
                }
            }
            Record::Resumed => {
                self.replacements.clear();
                for node in self.nodes.iter_mut() {
                    node.block = None;
                }
            }
            Record::Planned {
                instance,
                node,
                ordinal,
                replaces,
            } => self.apply_planned(*instance, *node, *ordinal, *replaces, at),
            Record::Given { set, nodes } => {
                self.given.insert(*set, (Arc::clone(nodes), 0));
                self.next_given = self.next_given.max(set + 1);
            }
            Record::Blocked {
                node,
                class,
                message,
            } => {
                self.nodes[node.index()].block = Some(Block {
                    class: *class,
                    message: message.clone(),
                    since: at,
                });
            }
            Record::Unblocked { node } => self.nodes[node.index()].block = None,
            Record::OrphanFound { provider, resource } => {
                let provider = self.provider(provider);
                self.orphans.insert((provider, resource.clone()), at);
                self.held.insert(provider);
            }
            Record::OrphanGone { provider, resource } => {
                let provider = self.provider(provider);
                self.orphans.remove(&(provider, resource.clone()));
            }
            Record::Released { provider } => {
                let provider = self.provider(provider);
                self.held.remove(&provider);
                self.release_errors.remove(&provider);
            }
            Record::ReleaseFailed {
                provider,
                class,
                message,
            } => {
                let provider = self.provider(provider);
                let error = (*class, message.clone());
                self.release_errors.insert(provider, error);
            }
            Record::TornDown => {
                self.torn_down = true;
                // Journals from before providers were released do not say so.
                self.held.clear();
                self.release_errors.clear();
            }
            Record::Gone { instance } => self.apply_gone(*instance),
            about_instance => self.apply_to_instance(about_instance, at),
        }
    }

    fn apply_intent(
        &mut self,
        generation: u64,
        topology: &SharedTopology,
        targets: &[(String, u32)],
    ) {
        let known = Arc::make_mut(&mut self.names);
        for node in self.nodes.iter_mut() {
            node.index = None;
        }
        self.node_keys.clear();
        for index in topology.indices() {
            let described = topology.node(index);
            let key = *known.entry(described.name.clone()).or_insert_with(|| {
                self.nodes.push(NodeState::new(&described.name));
                NodeKey(
                    u32::try_from(self.nodes.len() - 1)
                        .expect("front-ends limit the number of nodes far below 2^32"),
                )
            });
            let node = &mut self.nodes[key.index()];
            node.index = Some(index);
            node.block = None;
            node.target = described.count.min;
            self.node_keys.push(key);
        }
        for index in topology.indices() {
            let keys = topology
                .node(index)
                .dependencies
                .iter()
                .map(|dependency| self.node_keys[dependency.on.index()])
                .collect();
            self.nodes[self.node_keys[index.index()].index()].dependencies = keys;
        }
        for (name, target) in targets {
            if let Some(key) = self.names.get(name) {
                self.nodes[key.index()].target = *target;
            }
        }
        self.register_providers(topology);
        for instance in self.instances.values_mut() {
            if instance.phase == Phase::Planned {
                // The alternatives may be others now.
                instance.candidate = 0;
            }
        }
        if self.teardown() {
            for node in self.nodes.iter_mut() {
                node.scaled = false;
            }
        }
        self.intent = Some(Intent {
            generation,
            topology: topology.clone(),
            teardown: false,
        });
        self.torn_down = false;
    }

    /// Gives every provider that the topology names its place, in order, so
    /// that places follow from the records alone.
    fn register_providers(&mut self, topology: &SharedTopology) {
        for name in provider_names(topology) {
            self.provider(name);
        }
    }

    /// Returns the places of the providers that a topology names.
    pub(crate) fn named(&self, topology: &Topology) -> BTreeSet<ProviderIndex> {
        let names = provider_names(topology).into_iter();
        names.filter_map(|name| self.find_provider(name)).collect()
    }

    fn apply_scaled(&mut self, request: &RequestId, generation: u64, targets: &[(NodeKey, u32)]) {
        self.requests.push_back(request.clone());
        if self.requests.len() > REQUESTS_REMEMBERED_MAX {
            self.requests.pop_front();
        }
        for (node, target) in targets {
            let node = &mut self.nodes[node.index()];
            node.target = *target;
            node.scaled = true;
        }
        if let Some(intent) = &mut self.intent {
            intent.generation = generation;
        }
    }

    fn apply_planned(
        &mut self,
        key: InstanceKey,
        node: NodeKey,
        ordinal: u32,
        replaces: Option<InstanceKey>,
        at: Timestamp,
    ) {
        let tag = InstanceTag::derive(&self.infrastructure, key);
        self.insert(Instance {
            replaces,
            ..Instance::planned(key, tag, node, ordinal, at)
        });
    }

    /// Adds an instance that was not there.
    pub(crate) fn insert(&mut self, instance: Instance) {
        let key = instance.key;
        self.tags.insert(instance.tag.clone(), key);
        self.next_instance = self.next_instance.max(key.0 + 1);
        let node = &mut self.nodes[instance.node.index()];
        node.next_ordinal = node.next_ordinal.max(instance.ordinal + 1);
        node.instances.insert(key);
        node.tally(&instance);
        self.hold(None, instance.given);
        self.adopted.extend(instance.adopted_as());
        self.instances.insert(key, instance);
    }

    fn apply_gone(&mut self, key: InstanceKey) {
        let Some(instance) = self.instances.remove(&key) else {
            return;
        };
        self.tags.remove(&instance.tag);
        if let Some((place, _)) = instance.adopted_as() {
            self.adopted.remove(&place);
        }
        self.hold(instance.given, None);
        let node = &mut self.nodes[instance.node.index()];
        node.instances.remove(&key);
        node.untally(&instance);
    }

    fn apply_to_instance(&mut self, record: &Record, at: Timestamp) {
        let Some(key) = record.instance() else { return };
        let provider = match record {
            Record::CreateIntended { candidate, .. } => self.provider_of(key, *candidate),
            _ => None,
        };
        // The call may make more than the instance.
        self.held.extend(provider);
        let Some(instance) = self.instances.get_mut(&key) else {
            return;
        };
        let node = &mut self.nodes[instance.node.index()];
        let given_before = instance.given;
        node.untally(instance);
        instance.apply(record, provider, at);
        node.tally(instance);
        let given_after = instance.given;
        self.hold(given_before, given_after);
        let replaced = matches!(
            record,
            Record::Doomed {
                reason: Doom::Broken(_),
                ..
            }
        );
        if replaced {
            self.replacements.push_back(at);
            if self.replacements.len() > REPLACEMENTS_REMEMBERED_MAX {
                self.replacements.pop_front();
            }
        }
    }

    /// Moves one hold on a set of given addresses; a set that nobody holds is forgotten.
    pub(crate) fn hold(&mut self, before: Option<u32>, after: Option<u32>) {
        if before == after {
            return;
        }
        if let Some((_, holders)) = after.and_then(|set| self.given.get_mut(&set)) {
            *holders += 1;
        }
        if let Some(set) = before
            && let Some((_, holders)) = self.given.get_mut(&set)
        {
            *holders -= 1;
            if *holders == 0 {
                self.given.remove(&set);
            }
        }
    }

    /// Returns the place of the provider of a candidate of an instance's node.
    fn provider_of(&mut self, key: InstanceKey, candidate: u32) -> Option<ProviderIndex> {
        let node = self.instances.get(&key)?.node;
        let index = self.node(node).index?;
        let name = self
            .intent
            .as_ref()?
            .topology
            .candidate(index, candidate as usize)?
            .provider
            .clone();
        Some(self.provider(&name))
    }

    /// Returns the place of a provider, giving it one at first use.
    pub(crate) fn provider(&mut self, name: &str) -> ProviderIndex {
        self.find_provider(name).unwrap_or_else(|| {
            self.providers.push(name.to_owned());
            ProviderIndex(
                u16::try_from(self.providers.len() - 1)
                    .expect("there are fewer provider types than 2^16"),
            )
        })
    }
}

/// Returns the providers that a topology names, in order and with repetitions.
fn provider_names(topology: &Topology) -> Vec<&str> {
    let mut seen = BTreeSet::new();
    let mut names = Vec::new();
    for index in topology.indices() {
        let node = topology.node(index);
        for (place, candidate) in node.candidates.iter().enumerate() {
            if seen.insert((node.definition, *candidate))
                && let Some(implementation) = topology.candidate(index, place)
            {
                names.push(implementation.provider.as_str());
            }
        }
    }
    names
}
