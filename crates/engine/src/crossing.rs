//! Addresses that cross from one provider to another.

use std::collections::{BTreeMap, BTreeSet};

use zenekar_base::{Addresses, GivenAddress, NodeKey, Passage};

use crate::effect::Notice;
use crate::engine::Engine;
use crate::given::read_by;
use crate::state::ProviderIndex;

/// Instances whose addresses others are told and cannot reach. Networks may be
/// joined in ways that nobody told us of, so nothing is held up for it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Unreachable {
    /// The node that is told.
    pub reader: String,
    /// Where the reader is.
    pub reader_provider: String,
    /// The first of the instances that cannot be reached: `node/number`.
    pub owner: String,
    /// Where they are.
    pub owner_provider: String,
    /// How many of its node there are.
    pub instances: u32,
}

impl std::fmt::Display for Unreachable {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            reader,
            reader_provider,
            owner,
            owner_provider,
            instances,
        } = self;
        let others = match instances {
            0 | 1 => String::new(),
            more => format!(" and {} more", more - 1),
        };
        let has = if *instances > 1 { "have" } else { "has" };
        write!(
            formatter,
            "`{owner}`{others} at `{owner_provider}` {has} no address that `{reader}` at `{reader_provider}` can reach"
        )
    }
}

/// Returns addresses as an instance at `from` is told them of one at `to`.
pub(crate) fn told(addresses: &Addresses, from: Option<&str>, to: Option<&str>) -> Addresses {
    match (from, to) {
        (Some(from), Some(to)) if Passage::between(from, to) == Passage::Public => {
            addresses.seen_from_outside()
        }
        _ => addresses.clone(),
    }
}

/// Says whether these are the same addresses in any order.
fn is_same_set(one: &Addresses, two: &Addresses) -> bool {
    let sorted = |addresses: &Addresses| {
        let all = addresses.all.iter().chain(&addresses.private);
        all.cloned().collect::<BTreeSet<String>>()
    };
    sorted(one) == sorted(two)
}

fn is_reached(addresses: &Addresses, from: &str, to: &str) -> bool {
    match Passage::between(from, to) {
        Passage::Open => true,
        Passage::Public => addresses.is_public(),
        Passage::Closed => false,
    }
}

impl Engine {
    /// Says whether a member of a node is as an instance at a provider was told.
    /// The order of addresses that cross over is ours to choose, so only what
    /// they are counts there.
    pub(crate) fn is_as_told(
        &self,
        now: &GivenAddress,
        then: &GivenAddress,
        at: Option<ProviderIndex>,
    ) -> bool {
        if now.instance != then.instance {
            return false;
        }
        let owner = self.state.tags.get(&now.instance);
        let owner = owner.and_then(|key| self.instance(*key));
        let crosses = owner.is_some_and(|owner| owner.provider != at);
        now == then || (crosses && is_same_set(&now.addresses, &then.addresses))
    }

    /// Returns the instances whose addresses others are told now and cannot reach.
    pub fn unreachable(&self) -> Vec<Unreachable> {
        if self.state.providers.len() < 2 {
            return Vec::new();
        }
        let Some(topology) = self.topology() else {
            return Vec::new();
        };
        let mut found = Vec::new();
        for index in topology.indices() {
            let reader = self.state.node_keys[index.index()];
            for from in self.providers_of(reader) {
                for read in read_by(&topology, index) {
                    self.add_unreachable(
                        reader,
                        from,
                        self.state.node_keys[read.index()],
                        &mut found,
                    );
                }
            }
        }
        found
    }

    /// Tells, once, of what a node is told now and cannot reach from a provider.
    pub(crate) fn notify_unreachable(&mut self, reader: NodeKey, from: ProviderIndex) {
        if self.state.providers.len() < 2 {
            return;
        }
        let (Some(topology), Some(index)) = (self.topology(), self.state.node(reader).index) else {
            return;
        };
        let mut found = Vec::new();
        if self.nodes[reader.index()].unreachable_told {
            return;
        }
        for read in read_by(&topology, index) {
            let owner = self.state.node_keys[read.index()];
            self.add_unreachable(reader, from, owner, &mut found);
        }
        self.nodes[reader.index()].unreachable_told = !found.is_empty();
        for unreachable in found {
            self.notify(Notice::Unreachable(unreachable));
        }
    }

    /// Returns where the instances of a node are or will be.
    fn providers_of(&self, node: NodeKey) -> BTreeSet<ProviderIndex> {
        let instances = self.state.node(node).instances.iter();
        let instances = instances.filter_map(|key| self.instance(*key));
        instances
            .filter(|instance| instance.doom.is_none())
            .filter_map(|instance| self.provider_for(instance))
            .collect()
    }

    fn add_unreachable(
        &self,
        reader: NodeKey,
        from: ProviderIndex,
        owner: NodeKey,
        found: &mut Vec<Unreachable>,
    ) {
        let name = |place: ProviderIndex| self.state.providers[place.index()].as_str();
        let mut firsts: BTreeMap<ProviderIndex, Unreachable> = BTreeMap::new();
        let owners = self.state.node(owner).instances.iter();
        for instance in owners.filter_map(|key| self.instance(*key)) {
            let Some(at) = instance.provider.filter(|at| *at != from) else {
                continue;
            };
            if !instance.serves() || is_reached(&instance.addresses, name(from), name(at)) {
                continue;
            }
            let first = firsts.entry(at).or_insert_with(|| Unreachable {
                reader: self.state.node(reader).name.clone(),
                reader_provider: name(from).to_owned(),
                owner: self.state.instance_name(instance),
                owner_provider: name(at).to_owned(),
                instances: 0,
            });
            first.instances += 1;
        }
        found.extend(firsts.into_values());
    }
}
