//! Whether what the engine keeps by hand agrees with what it follows from.
//!
//! Tallies and lists spare a pass over all instances at every event. Here
//! they are worked out anew; simulations compare after every step.

use std::collections::{BTreeMap, BTreeSet};

use zenekar_base::{InstanceKey, NodeKey};

use crate::engine::Engine;
use crate::state::Instance;

impl Engine {
    /// Names the first tally or list that does not agree with the instances;
    /// none if all is well. Costs a pass over everything.
    pub fn inconsistency(&self) -> Option<String> {
        let adopted = self.state.instances.values();
        let adopted: BTreeMap<_, _> = adopted.filter_map(Instance::adopted_as).collect();
        if adopted != self.state.adopted {
            return Some("the list of adopted instances".to_owned());
        }
        self.node_keys().find_map(|key| {
            let what = self.inconsistency_of(key)?;
            Some(format!("{what} of node `{}`", self.state.node(key).name))
        })
    }

    fn inconsistency_of(&self, key: NodeKey) -> Option<&'static str> {
        let (node, lists) = (self.state.node(key), &self.nodes[key.index()]);
        let members = || {
            let all = self.state.instances.values();
            all.filter(move |instance| instance.node == key)
        };
        let keys = |chosen: &dyn Fn(&Instance) -> bool| -> BTreeSet<InstanceKey> {
            let members = members().filter(|instance| chosen(instance));
            members.map(|instance| instance.key).collect()
        };
        let count = |chosen: &dyn Fn(&Instance) -> bool| keys(chosen).len();
        let broken = |instance: &Instance| instance.counts() && instance.breakage.is_some();
        let checks = [
            ("the members", keys(&|_| true) == node.instances),
            (
                "the number that count",
                count(&Instance::counts) == node.counting as usize,
            ),
            (
                "the number that serve",
                count(&Instance::serves) == node.serving as usize,
            ),
            (
                "the number of broken",
                count(&broken) == node.broken as usize,
            ),
            ("the list of broken", keys(&broken) == lists.broken),
            (
                "the list of idle",
                keys(&|instance| instance.counts() && !instance.serves()) == lists.idle,
            ),
            (
                "the list of outdated",
                self.outdated_of(key) == lists.outdated,
            ),
            (
                "the list of doubted",
                lists.doubted.is_subset(&keys(&|instance| {
                    instance.counts() && instance.breakage.is_none()
                })),
            ),
            (
                "the list of stale",
                lists.stale.keys().all(|stale| {
                    self.instance(*stale)
                        .is_some_and(|instance| instance.node == key && instance.counts())
                }),
            ),
        ];
        let wrong = checks.into_iter().find(|(_, agrees)| !agrees);
        wrong.map(|(what, _)| what)
    }
}
