//! Taking over what another orchestrator has made.
//!
//! What is adopted carries no tag of ours. So listings do not show it: it is
//! looked at, and deleted, by what its provider calls it. In everything else
//! it is an instance like all others.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use zenekar_base::{
    Addresses, GivenAddress, GivenNode, InstanceKey, InstanceTag, NodeKey, ResourceId, Timestamp,
};
use zenekar_model::{NodeIndex, Topology};

use crate::effect::{Notice, Refusal};
use crate::engine::Engine;
use crate::given::read_by;
use crate::record::{AdoptedInstance, Record, SharedTopology};
use crate::settings::INSTANCES_PER_NODE_MAX;
use crate::state::{Instance, Phase, ProviderIndex, State};

/// A running infrastructure of another orchestrator.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Adoption {
    /// What is wanted from now on.
    pub topology: Arc<Topology>,
    /// The wanted counts by node; as many as there are or were where none is
    /// named, so that nothing is deleted only because it was taken over.
    pub targets: Vec<(String, u32)>,
    /// What is there, oldest first.
    pub instances: Vec<ForeignInstance>,
    /// What others still know and is gone.
    pub lost: Vec<LostInstance>,
}

/// One instance that another orchestrator has made and that is there.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ForeignInstance {
    /// The name of its node.
    pub node: String,
    /// What the other orchestrator calls it.
    pub tag: InstanceTag,
    /// The candidate of its node that it was made from.
    pub candidate: u32,
    /// What the provider calls it.
    pub resource: ResourceId,
    /// Its addresses.
    pub addresses: Addresses,
    /// Whether it is known to be healthy.
    pub ready: bool,
}

/// One instance that is gone, and whose address others were given.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LostInstance {
    /// The name of its node.
    pub node: String,
    /// What the other orchestrator calls it.
    pub tag: InstanceTag,
    /// The addresses that it had.
    pub addresses: Addresses,
}

impl Engine {
    pub(crate) fn handle_adopt(&mut self, adoption: Adoption) {
        let record = if self.state.intent.is_some() {
            Err(Refusal::NotNew)
        } else {
            self.adopted_record(adoption)
        };
        let record = match record {
            Ok(record) => record,
            Err(reason) => return self.notify(Notice::Refused { reason }),
        };
        self.record(record);
        self.sync_after_intent();
        let adopted: Vec<(InstanceKey, Option<ProviderIndex>)> = self
            .state
            .instances
            .values()
            .map(|instance| (instance.key, instance.provider))
            .collect();
        for (key, provider) in adopted {
            self.progress_of(key);
            self.note_idle(key, None);
            if let Some(provider) = provider {
                self.schedule_observe(provider, self.now);
            }
        }
    }

    /// Checks what is to be taken over, and writes it as one fact.
    fn adopted_record(&self, adoption: Adoption) -> Result<Record, Refusal> {
        let Adoption {
            topology,
            targets,
            instances,
            lost,
        } = adoption;
        let draft = Draft::new(&topology, instances)?;
        let targets = chosen_targets(&topology, &targets, &draft, &lost)?;
        let (given, sets) = draft.given(&topology, &lost);
        let first = self.state.next_instance;
        let mut ordinals: BTreeMap<NodeIndex, u32> = BTreeMap::new();
        let mut adopted = Vec::with_capacity(draft.instances.len());
        for (key, (index, foreign)) in (first..).map(InstanceKey).zip(draft.instances) {
            let ordinal = ordinals.entry(index).or_insert(0);
            *ordinal += 1;
            let candidate = foreign.candidate;
            let implementation = topology
                .candidate(index, candidate as usize)
                .ok_or_else(|| unknown_candidate(&foreign))?;
            let fingerprints = &topology.node(index).fingerprints;
            adopted.push(AdoptedInstance {
                instance: key,
                node: key_of(index),
                ordinal: *ordinal,
                provider: implementation.provider.clone(),
                candidate,
                fingerprint: fingerprints[candidate as usize],
                given: sets.get(&index).copied(),
                tag: foreign.tag,
                resource: foreign.resource,
                addresses: foreign.addresses,
                ready: foreign.ready,
            });
        }
        Ok(Record::Adopted {
            generation: self.state.generation() + 1,
            topology: SharedTopology(topology),
            targets,
            given,
            instances: adopted,
        })
    }

    /// Returns what was adopted at a provider, with what the provider calls it.
    pub(crate) fn adopted_at(&self, provider: ProviderIndex) -> Vec<(InstanceKey, ResourceId)> {
        let adopted = self.state.adopted.iter();
        adopted
            .filter(|((at, _), _)| *at == provider)
            .map(|((_, resource), key)| (*key, resource.clone()))
            .collect()
    }
}

/// The key that a node gets in a state in which there were none.
fn key_of(index: NodeIndex) -> NodeKey {
    NodeKey(index.0)
}

fn unknown_candidate(foreign: &ForeignInstance) -> Refusal {
    Refusal::NotAdoptable(format!(
        "instance `{}` was made from an implementation that node `{}` does not have",
        foreign.tag, foreign.node
    ))
}

/// Returns the counts that differ from the minimum, within the nodes' ranges.
fn chosen_targets(
    topology: &Topology,
    targets: &[(String, u32)],
    draft: &Draft,
    lost: &[LostInstance],
) -> Result<Vec<(String, u32)>, Refusal> {
    let mut counts: BTreeMap<NodeIndex, u32> = BTreeMap::new();
    let lost = lost.iter().filter_map(|one| topology.find(&one.node));
    for index in draft.instances.iter().map(|(index, _)| *index).chain(lost) {
        *counts.entry(index).or_default() += 1;
    }
    for (name, target) in targets {
        let index = topology
            .find(name)
            .ok_or_else(|| Refusal::UnknownNode(name.clone()))?;
        counts.insert(index, *target);
    }
    let chosen = counts.into_iter().filter_map(|(index, target)| {
        let node = topology.node(index);
        let target = node.count.clamp(target.min(INSTANCES_PER_NODE_MAX));
        (target != node.count.min).then(|| (node.name.clone(), target))
    });
    Ok(chosen.collect())
}

/// The instances of an adoption with their nodes.
struct Draft {
    instances: Vec<(NodeIndex, ForeignInstance)>,
}

impl Draft {
    fn new(topology: &Topology, foreign: Vec<ForeignInstance>) -> Result<Self, Refusal> {
        let refuse = |text: String| Err(Refusal::NotAdoptable(text));
        let (mut tags, mut resources) = (BTreeSet::new(), BTreeSet::new());
        let mut counts: BTreeMap<NodeIndex, u32> = BTreeMap::new();
        let mut instances = Vec::with_capacity(foreign.len());
        for one in foreign {
            let index = topology
                .find(&one.node)
                .ok_or_else(|| Refusal::UnknownNode(one.node.clone()))?;
            let Some(implementation) = topology.candidate(index, one.candidate as usize) else {
                return Err(unknown_candidate(&one));
            };
            if one.tag.as_str().is_empty() || one.resource.as_str().is_empty() {
                return refuse(format!("an instance of node `{}` has no id", one.node));
            }
            if !tags.insert(one.tag.clone()) {
                return refuse(format!("two instances are called `{}`", one.tag));
            }
            if !resources.insert((implementation.provider.clone(), one.resource.clone())) {
                return refuse(format!("two instances are resource `{}`", one.resource));
            }
            let count = counts.entry(index).or_default();
            *count += 1;
            if *count > INSTANCES_PER_NODE_MAX {
                return refuse(format!(
                    "node `{}` has more than {INSTANCES_PER_NODE_MAX} instances",
                    one.node
                ));
            }
            instances.push((index, one));
        }
        Ok(Self { instances })
    }

    /// Works out which addresses the instances know of each other: those of
    /// all members, the lost ones included, since nobody has told them yet.
    fn given(&self, topology: &Topology, lost: &[LostInstance]) -> GivenSets {
        let mut members: BTreeMap<NodeIndex, Vec<GivenAddress>> = BTreeMap::new();
        for (index, one) in &self.instances {
            members.entry(*index).or_default().push(GivenAddress {
                instance: one.tag.clone(),
                addresses: one.addresses.clone(),
            });
        }
        for one in lost {
            if let Some(index) = topology.find(&one.node) {
                members.entry(index).or_default().push(GivenAddress {
                    instance: one.tag.clone(),
                    addresses: one.addresses.clone(),
                });
            }
        }
        let populated: BTreeSet<NodeIndex> =
            self.instances.iter().map(|(index, _)| *index).collect();
        let (mut sets, mut numbers) = (Vec::new(), BTreeMap::new());
        let mut known: BTreeMap<Vec<GivenNode>, u32> = BTreeMap::new();
        for reader in populated {
            let nodes: Vec<GivenNode> = read_by(topology, reader)
                .into_iter()
                .map(|read| GivenNode {
                    node: key_of(read),
                    name: topology.node(read).name.clone(),
                    instances: members.get(&read).cloned().unwrap_or_default(),
                })
                .collect();
            if nodes.is_empty() {
                continue;
            }
            let next = u32::try_from(known.len()).unwrap_or(u32::MAX);
            let number = *known.entry(nodes.clone()).or_insert_with(|| {
                sets.push((next, Arc::new(nodes)));
                next
            });
            numbers.insert(reader, number);
        }
        (sets, numbers)
    }
}

/// Sets of addresses by number, and which node's instances hold which.
type GivenSets = (Vec<(u32, Arc<Vec<GivenNode>>)>, BTreeMap<NodeIndex, u32>);

impl State {
    /// Adds what was taken over.
    pub(crate) fn apply_adopted(
        &mut self,
        targets: &[(String, u32)],
        given: &[(u32, Arc<Vec<GivenNode>>)],
        instances: &[AdoptedInstance],
        at: Timestamp,
    ) {
        self.taken_over = true;
        for (name, _) in targets {
            if let Some(key) = self.find_node(name) {
                // Somebody has asked for this count: it outlives the next descriptor.
                self.nodes[key.index()].scaled = true;
            }
        }
        for (set, nodes) in given {
            self.given.insert(*set, (Arc::clone(nodes), 0));
            self.next_given = self.next_given.max(set + 1);
        }
        for adopted in instances {
            if self.nodes.get(adopted.node.index()).is_none() {
                continue;
            }
            let provider = self.provider(&adopted.provider);
            // Where something is, all that ties us to it has to end with it.
            self.held.insert(provider);
            let phase = if adopted.ready {
                Phase::Ready
            } else {
                Phase::Checking
            };
            self.insert(Instance {
                adopted: true,
                phase,
                attempt: 1,
                candidate: adopted.candidate,
                provider: Some(provider),
                resource: Some(adopted.resource.clone()),
                created_at: Some(at),
                addresses: adopted.addresses.clone(),
                fingerprint: adopted.fingerprint,
                given: adopted.given,
                ready_at: adopted.ready.then_some(at),
                ..Instance::planned(
                    adopted.instance,
                    adopted.tag.clone(),
                    adopted.node,
                    adopted.ordinal,
                    at,
                )
            });
        }
        // A set that nobody holds is forgotten, as everywhere.
        self.given.retain(|_, (_, holders)| *holders > 0);
    }
}

impl Instance {
    /// Returns how an adopted instance is found: by its provider and resource.
    pub(crate) fn adopted_as(&self) -> Option<((ProviderIndex, ResourceId), InstanceKey)> {
        if !self.adopted {
            return None;
        }
        Some(((self.provider?, self.resource.clone()?), self.key))
    }
}
