//! One node and the tallies of its instances.

use std::collections::BTreeSet;

use zenekar_base::{ErrorClass, InstanceKey, NodeKey, Timestamp};
use zenekar_model::NodeIndex;

use crate::state::Instance;

/// Why a node gets no new instances.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Block {
    /// The class of the error.
    pub class: ErrorClass,
    /// What the provider said.
    pub message: String,
    /// Since when.
    pub since: Timestamp,
}

/// One node and the tallies of its instances.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NodeState {
    /// Its name.
    pub name: String,
    /// Its place in the current topology; `None` once the descriptor has lost it.
    pub index: Option<NodeIndex>,
    /// The wanted count.
    pub target: u32,
    /// Whether a user chose the count.
    pub scaled: bool,
    /// The number of the next instance.
    pub next_ordinal: u32,
    /// Its instances, doomed ones included.
    pub instances: BTreeSet<InstanceKey>,
    /// How many of them are not doomed.
    pub counting: u32,
    /// How many of them serve.
    pub serving: u32,
    /// How many of them broke down and are not doomed.
    pub broken: u32,
    /// Nodes that it waits for; kept after the descriptor has lost it, for the order of teardown.
    pub dependencies: Vec<NodeKey>,
    /// Why it gets no new instances, if so.
    pub block: Option<Block>,
}

impl NodeState {
    pub(crate) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            index: None,
            target: 0,
            scaled: false,
            next_ordinal: 1,
            instances: BTreeSet::new(),
            counting: 0,
            serving: 0,
            broken: 0,
            dependencies: Vec::new(),
            block: None,
        }
    }

    pub(crate) fn untally(&mut self, instance: &Instance) {
        self.counting -= u32::from(instance.counts());
        self.serving -= u32::from(instance.serves());
        self.broken -= u32::from(instance.counts() && instance.breakage.is_some());
    }

    pub(crate) fn tally(&mut self, instance: &Instance) {
        self.counting += u32::from(instance.counts());
        self.serving += u32::from(instance.serves());
        self.broken += u32::from(instance.counts() && instance.breakage.is_some());
    }
}
