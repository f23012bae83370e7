//! Changes of what is wanted: descriptors, counts, teardown, another try.

use std::collections::BTreeSet;
use std::sync::Arc;

use zenekar_base::{InstanceKey, NodeKey};
use zenekar_model::Topology;

use crate::defect::Defect;
use crate::effect::{Notice, Refusal, ScalingChange, ScalingRequest};
use crate::engine::Engine;
use crate::node::NodeState;
use crate::record::{Doom, Record, SharedTopology};
use crate::settings::INSTANCES_PER_NODE_MAX;
use crate::state::ProviderIndex;

/// Absolute counts by node.
type Targets = Vec<(NodeKey, u32)>;

impl Engine {
    pub(crate) fn handle_intent(&mut self, topology: &Arc<Topology>) {
        if let Err(reason) = self.check_intent(topology) {
            self.notify(Notice::Refused { reason });
            return;
        }
        let unchanged = self.state.intent.as_ref().is_some_and(|intent| {
            !intent.teardown && intent.topology.fingerprint() == topology.fingerprint()
        });
        let again = unchanged && self.has_defect(Defect::SameAgainForgetsScaling);
        if unchanged && !again {
            self.handle_resume();
            return;
        }
        let mut targets = Vec::new();
        for index in topology.indices() {
            let described = topology.node(index);
            let kept = self
                .state
                .find_node(&described.name)
                .filter(|_| !self.state.torn_down && !again)
                .map(|key| self.state.node(key))
                .filter(|node| node.scaled);
            let target = kept.map_or(described.count.min, |node| {
                described.count.clamp(node.target)
            });
            if target != described.count.min {
                targets.push((described.name.clone(), target));
            }
        }
        let generation = self.state.generation() + 1;
        self.record(Record::IntentSet {
            generation,
            topology: SharedTopology(Arc::clone(topology)),
            targets,
        });
        self.sync_after_intent();
    }

    /// Brings what lives only in memory in line with a new topology.
    pub(crate) fn sync_after_intent(&mut self) {
        self.rebuild_links();
        self.mark_left_providers();
        for key in self.node_keys() {
            self.mark_outdated(key);
            self.nodes_changed(key);
        }
        self.dirty_instances
            .extend(self.state.instances.keys().copied());
    }

    /// Says why a topology cannot become the intent, if so.
    pub(crate) fn check_intent(&self, topology: &Topology) -> Result<(), Refusal> {
        let Some(intent) = &self.state.intent else {
            return Ok(());
        };
        if intent.teardown {
            return if self.state.torn_down {
                Ok(())
            } else {
                Err(Refusal::TeardownInProgress)
            };
        }
        if intent.topology.name() != topology.name() {
            return Err(Refusal::OtherName {
                running: intent.topology.name().to_owned(),
                descriptor: topology.name().to_owned(),
            });
        }
        for index in topology.indices() {
            let described = topology.node(index);
            let Some(key) = self
                .state
                .find_node(&described.name)
                .filter(|_| described.update.refuse_replacement)
            else {
                continue;
            };
            let replaced = self
                .state
                .node(key)
                .instances
                .iter()
                .filter_map(|key| self.instance(*key))
                .filter(|instance| instance.doom.is_none() && instance.attempt > 0)
                .filter(|instance| {
                    described.fingerprints.get(instance.candidate as usize)
                        != Some(&instance.fingerprint)
                })
                .count();
            if replaced > 0 {
                return Err(Refusal::ReplacementRefused {
                    node: described.name.clone(),
                    instances: u32::try_from(replaced).unwrap_or(u32::MAX),
                });
            }
        }
        Ok(())
    }

    /// Finds the instances of a node that are made of something else than the topology says now.
    pub(crate) fn outdated_of(&self, key: NodeKey) -> BTreeSet<InstanceKey> {
        let node = self.state.node(key);
        let described = node.index.and_then(|index| {
            self.state
                .intent
                .as_ref()
                .map(|intent| intent.topology.node(index))
        });
        match described {
            None => BTreeSet::new(),
            Some(described) => node
                .instances
                .iter()
                .filter_map(|key| self.instance(*key))
                .filter(|instance| {
                    instance.doom.is_none()
                        && instance.uncertain_since.is_some() | instance.resource.is_some()
                })
                .filter(|instance| {
                    described.fingerprints.get(instance.candidate as usize)
                        != Some(&instance.fingerprint)
                })
                .map(|instance| instance.key)
                .collect(),
        }
    }

    /// Notes the instances of a node that are made of something else than the topology says now.
    pub(crate) fn mark_outdated(&mut self, key: NodeKey) {
        self.nodes[key.index()].outdated = self.outdated_of(key);
    }

    pub(crate) fn handle_scale(&mut self, request: ScalingRequest) {
        if self.state.requests.contains(&request.request) {
            self.notify(Notice::AlreadyApplied {
                request: request.request,
            });
            return;
        }
        match self.resolve_scaling(&request) {
            Err(reason) => self.notify(Notice::Refused { reason }),
            Ok((targets, victims)) => {
                let generation = self.state.generation() + 1;
                self.record(Record::Scaled {
                    request: request.request,
                    generation,
                    targets: targets.clone(),
                    victims: victims.clone(),
                });
                for victim in victims {
                    self.doom(victim, Doom::ScaledIn);
                }
                for (node, _) in targets {
                    self.dirty_nodes.insert(node);
                    self.nodes_changed(node);
                }
            }
        }
    }

    /// Turns a request into absolute counts within the nodes' ranges.
    fn resolve_scaling(
        &mut self,
        request: &ScalingRequest,
    ) -> Result<(Targets, Vec<InstanceKey>), Refusal> {
        let topology = self.topology().ok_or(Refusal::NoIntent)?;
        if self.state.teardown() {
            return Err(Refusal::TeardownInProgress);
        }
        let mut targets = Targets::new();
        let mut victims = Vec::new();
        for change in &request.changes {
            let (key, asked) = match change {
                ScalingChange::To { node, count } => (self.scalable(node)?, i64::from(*count)),
                ScalingChange::By { node, difference } => {
                    let key = self.scalable(node)?;
                    (
                        key,
                        i64::from(current(&targets, key, self.state.node(key).target))
                            .saturating_add(*difference),
                    )
                }
                ScalingChange::Remove { instance } => {
                    let found = self
                        .instance(*instance)
                        .filter(|found| found.doom.is_none() && !victims.contains(instance));
                    let key = found.ok_or(Refusal::UnknownInstance(*instance))?.node;
                    victims.push(*instance);
                    (
                        key,
                        i64::from(current(&targets, key, self.state.node(key).target)) - 1,
                    )
                }
            };
            let index = self
                .state
                .node(key)
                .index
                .ok_or_else(|| Refusal::UnknownNode(self.state.node(key).name.clone()))?;
            let bounded = asked.clamp(0, i64::from(INSTANCES_PER_NODE_MAX));
            let count = topology
                .node(index)
                .count
                .clamp(u32::try_from(bounded).unwrap_or(INSTANCES_PER_NODE_MAX));
            let count = if self.has_defect(Defect::ScalesBelowMinimum) {
                u32::try_from(bounded).unwrap_or(count)
            } else {
                count
            };
            if i64::from(count) != asked {
                self.notify(Notice::CountLimited {
                    node: key,
                    asked,
                    count,
                });
            }
            targets.retain(|(node, _)| *node != key);
            targets.push((key, count));
        }
        Ok((targets, victims))
    }

    fn scalable(&self, name: &str) -> Result<NodeKey, Refusal> {
        self.state
            .find_node(name)
            .filter(|key| self.state.node(*key).index.is_some())
            .ok_or_else(|| Refusal::UnknownNode(name.to_owned()))
    }

    pub(crate) fn handle_teardown(&mut self) {
        if self.state.intent.is_none() {
            self.notify(Notice::Refused {
                reason: Refusal::NoIntent,
            });
        } else if self.state.teardown() {
            self.handle_resume();
        } else {
            self.record(Record::TeardownRequested {
                generation: self.state.generation() + 1,
            });
            self.mark_left_providers();
            self.dirty_nodes.extend(self.node_keys());
            self.dirty_instances
                .extend(self.state.instances.keys().copied());
        }
    }

    /// Forgets failures: the user asks to try again, and perhaps has removed a cause.
    pub(crate) fn handle_resume(&mut self) {
        let now = self.now;
        let given_up = |node: &NodeState| node.block.is_some() || node.broken > 0;
        if self.state.nodes.iter().any(given_up) {
            self.record(Record::Resumed);
        }
        for progress in self.progress.values_mut() {
            progress.failures = 0;
            progress.not_before = progress.not_before.min(now);
            progress.stuck = false;
            progress.delete_accepted = None;
        }
        for index in 0..self.providers.len() {
            let provider = &mut self.providers[index];
            provider.observe_failures = 0;
            provider.throttled_until = provider.throttled_until.min(now);
            provider.release.failures = 0;
            provider.release.not_before = provider.release.not_before.min(now);
            for orphan in provider.orphans_busy.values_mut() {
                orphan.failures = 0;
                orphan.not_before = orphan.not_before.min(now);
            }
            let place = u16::try_from(index).expect("there are fewer provider types than 2^16");
            self.dirty_providers.insert(ProviderIndex(place));
        }
        self.dirty_nodes.extend(self.node_keys());
        self.dirty_instances
            .extend(self.state.instances.keys().copied());
        self.observe_everything_soon();
    }
}

fn current(targets: &[(NodeKey, u32)], key: NodeKey, otherwise: u32) -> u32 {
    targets
        .iter()
        .find(|(node, _)| *node == key)
        .map_or(otherwise, |(_, count)| *count)
}
