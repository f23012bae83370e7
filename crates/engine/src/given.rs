//! The addresses that instances are told of each other.

use std::collections::BTreeMap;
use std::sync::Arc;

use zenekar_base::{GivenAddress, GivenNode, InstanceKey, NodeKey};
use zenekar_model::{AddressChange, NodeIndex, Topology};

use crate::crossing::told;
use crate::engine::Engine;
use crate::progress::GivenCache;
use crate::record::Record;
use crate::state::ProviderIndex;

impl Engine {
    /// Rebuilds who depends on whom and who reads whose addresses.
    pub(crate) fn rebuild_links(&mut self) {
        for node in self.nodes.iter_mut() {
            node.dependents.clear();
            node.readers.clear();
            node.given = GivenCache::Unknown;
        }
        for key in self.node_keys() {
            for dependee in self.state.node(key).dependencies.clone() {
                self.nodes[dependee.index()].dependents.insert(key);
            }
        }
        let Some(topology) = self.topology() else {
            return;
        };
        for index in topology.indices() {
            let reader = self.state.node_keys[index.index()];
            for read in read_by(&topology, index) {
                let read = self.state.node_keys[read.index()];
                self.nodes[read.index()].readers.insert(reader);
            }
        }
    }

    /// Returns the set of addresses that a new instance of a node is given at
    /// a provider now, making it durable if it is a new one; `None` if the node
    /// reads none.
    pub(crate) fn current_given(&mut self, key: NodeKey, at: ProviderIndex) -> Option<u32> {
        match self.nodes[key.index()].given {
            GivenCache::ReadsNone => return None,
            GivenCache::Set(place, set) if place == at && self.state.given.contains_key(&set) => {
                return Some(set);
            }
            GivenCache::Set(..) | GivenCache::Unknown => {}
        }
        let nodes = self.collect_given(key, at);
        let set = if nodes.is_empty() {
            None
        } else {
            let same = self
                .state
                .given
                .iter()
                .rev()
                .find(|(_, (held, _))| **held == nodes)
                .map(|(set, _)| *set);
            Some(same.unwrap_or_else(|| {
                self.notify_unreachable(key, at);
                let set = self.state.next_given;
                self.record(Record::Given {
                    set,
                    nodes: Arc::new(nodes),
                });
                set
            }))
        };
        self.nodes[key.index()].given =
            set.map_or(GivenCache::ReadsNone, |set| GivenCache::Set(at, set));
        set
    }

    /// Returns the addresses of all nodes that a node reads, as they are told at a provider.
    fn collect_given(&self, key: NodeKey, at: ProviderIndex) -> Vec<GivenNode> {
        let (Some(topology), Some(index)) = (self.topology(), self.state.node(key).index) else {
            return Vec::new();
        };
        let read = read_by(&topology, index);
        read.into_iter()
            .map(|index| self.given_node(self.state.node_keys[index.index()], Some(at)))
            .collect()
    }

    fn given_node(&self, key: NodeKey, at: Option<ProviderIndex>) -> GivenNode {
        let node = self.state.node(key);
        let name = |place: ProviderIndex| self.state.providers[place.index()].as_str();
        let from = at.map(name);
        let serving = node
            .instances
            .iter()
            .filter_map(|key| self.instance(*key))
            .filter(|instance| instance.serves());
        let instances = serving
            .map(|instance| GivenAddress {
                instance: instance.tag.clone(),
                addresses: told(&instance.addresses, from, instance.provider.map(name)),
            })
            .collect();
        GivenNode {
            node: key,
            name: node.name.clone(),
            instances,
        }
    }

    /// Finds the instances of a node that were given addresses that are no
    /// longer true, once the nodes that it reads are complete again.
    pub(crate) fn check_given(&mut self, reader: NodeKey) {
        let (Some(topology), Some(index)) = (self.topology(), self.state.node(reader).index) else {
            return;
        };
        let holders: Vec<(InstanceKey, u32, Option<ProviderIndex>)> = self
            .state
            .node(reader)
            .instances
            .iter()
            .filter_map(|key| self.instance(*key))
            .filter(|instance| instance.doom.is_none())
            .filter_map(|instance| Some((instance.key, instance.given?, instance.provider)))
            .collect();
        if holders.is_empty() {
            return;
        }
        let mut verdicts: BTreeMap<(u32, Option<ProviderIndex>), Option<bool>> = BTreeMap::new();
        let mut stale = BTreeMap::new();
        for (key, set, at) in holders {
            let verdict = verdicts.entry((set, at)).or_insert_with(|| {
                let held = self.state.given.get(&set).map(|(nodes, _)| nodes);
                held.into_iter()
                    .flat_map(|nodes| nodes.iter())
                    .filter_map(|given| self.stale(&topology, index, given, at))
                    .reduce(|one, two| one || two)
            });
            if let Some(recreate) = *verdict {
                stale.insert(key, recreate);
            }
        }
        if self.nodes[reader.index()].stale != stale {
            self.nodes[reader.index()].stale = stale;
            self.dirty_nodes.insert(reader);
        }
    }

    /// Says whether what an instance was told of one node calls for something,
    /// and if so, whether for another instance rather than a new contextualisation.
    fn stale(
        &self,
        topology: &Topology,
        reader: NodeIndex,
        given: &GivenNode,
        at: Option<ProviderIndex>,
    ) -> Option<bool> {
        let node = self.state.node(given.node);
        let read = node.index.filter(|read| *read != reader)?;
        let policy = address_policy(topology, reader, read);
        let wanted = self.state.wanted(given.node);
        if policy == Some(AddressChange::Ignore) || node.serving < wanted || wanted == 0 {
            // Not before the node is complete: its addresses are about to change once more.
            return None;
        }
        let now = self.given_node(given.node, at);
        if let Some(policy) = policy {
            let recreate = policy == AddressChange::Recreate;
            let mut pairs = now.instances.iter().zip(&given.instances);
            let same = now.instances.len() == given.instances.len()
                && pairs.all(|(now, then)| self.is_as_told(now, then, at));
            return (!same).then_some(recreate);
        }
        // Without a word in the descriptor only replaced members count, not added or removed ones.
        let kept = given
            .instances
            .iter()
            .filter(|member| {
                now.instances
                    .iter()
                    .any(|now| self.is_as_told(now, member, at))
            })
            .count();
        (kept < given.instances.len().min(wanted as usize)).then_some(false)
    }

    /// Returns what the descriptor says about a change of an owner's addresses for a reader.
    pub(crate) fn address_change(&self, reader: NodeKey, owner: NodeKey) -> Option<AddressChange> {
        let reader = self.state.node(reader).index?;
        let owner = self.state.node(owner).index?;
        address_policy(&self.state.intent.as_ref()?.topology, reader, owner)
    }
}

/// Returns the nodes whose addresses matter to a node: those that its
/// templates read, and those whose changes the descriptor says something about.
pub(crate) fn read_by(
    topology: &Topology,
    index: NodeIndex,
) -> std::collections::BTreeSet<NodeIndex> {
    let node = topology.node(index);
    let explicit = node.dependencies.iter().filter(|dependency| {
        dependency
            .on_address_change
            .is_some_and(|change| change != AddressChange::Ignore)
    });
    node.references
        .iter()
        .copied()
        .chain(explicit.map(|dependency| dependency.on))
        .collect()
}

fn address_policy(
    topology: &Topology,
    reader: NodeIndex,
    read: NodeIndex,
) -> Option<AddressChange> {
    topology
        .node(reader)
        .dependencies
        .iter()
        .find(|dependency| dependency.on == read)
        .and_then(|dependency| dependency.on_address_change)
}
