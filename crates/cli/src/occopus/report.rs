//! What is told of an infrastructure, in Occopus's words.

use zenekar_engine::{Engine, Instance, Phase};

/// The nodes of an infrastructure and their instances.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Report {
    /// The nodes in the order of the description.
    pub(crate) nodes: Vec<NodeReport>,
}

/// One node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NodeReport {
    /// Its name.
    pub(crate) name: String,
    /// How many instances it has at least.
    pub(crate) min: u32,
    /// How many instances it has at most.
    pub(crate) max: u32,
    /// How many instances it is to have.
    pub(crate) target: u32,
    /// The instances that exist.
    pub(crate) instances: Vec<InstanceReport>,
}

/// One instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct InstanceReport {
    /// Its id: a UUID, and its tag at the provider.
    pub(crate) id: String,
    /// Its addresses, best first.
    pub(crate) addresses: Vec<String>,
    /// Its address inside the provider's network.
    pub(crate) private_address: Option<String>,
    /// How it is: `ready`, `pending`, `failed` or `shutdown`.
    pub(crate) state: &'static str,
}

impl Report {
    /// Reports what an engine knows.
    pub(crate) fn of(engine: &Engine) -> Self {
        let state = engine.state();
        let topology = state.intent.as_ref().map(|intent| &intent.topology);
        let nodes = state.node_keys.iter().map(|key| {
            let node = state.node(*key);
            let count = topology
                .zip(node.index)
                .map(|(topology, index)| topology.node(index).count);
            let members = node.instances.iter();
            NodeReport {
                name: node.name.clone(),
                min: count.map_or(0, |count| count.min),
                max: count.map_or(0, |count| count.max),
                target: state.wanted(*key),
                instances: members
                    .filter_map(|key| instance_report(state.instances.get(key)?))
                    .collect(),
            }
        });
        Self {
            nodes: nodes.collect(),
        }
    }
}

/// Reports an instance; nothing of one that the provider was not asked for yet.
fn instance_report(instance: &Instance) -> Option<InstanceReport> {
    let state = match (&instance.doom, &instance.breakage, instance.phase) {
        (_, _, Phase::Planned) => return None,
        (Some(_), ..) => "shutdown",
        (None, Some(_), _) => "failed",
        (None, None, Phase::Ready) => "ready",
        (None, None, _) => "pending",
    };
    Some(InstanceReport {
        id: instance.tag.to_string(),
        addresses: instance.addresses.all.clone(),
        private_address: instance.addresses.private().map(str::to_owned),
        state,
    })
}
