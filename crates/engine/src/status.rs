//! What people and tools are told: how far everything is, and what it waits for.

use zenekar_base::{
    Addresses, ErrorClass, InstanceKey, NodeKey, ProviderError, ResourceId, Timestamp,
};

use crate::engine::Engine;
use crate::state::{Instance, Phase};
use crate::step::Step;
use crate::waiting::Waiting;

/// One instance, for people and tools.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstanceStatus {
    /// Its key.
    pub key: InstanceKey,
    /// What people call it.
    pub name: String,
    /// Its tag at the provider.
    pub tag: String,
    /// `planned` … `ready`, or `deleting`, `broken`.
    pub phase: &'static str,
    /// Since when.
    pub since: Timestamp,
    /// When it was first healthy.
    pub ready_at: Option<Timestamp>,
    /// The provider.
    pub provider: Option<String>,
    /// What the provider calls it.
    pub resource: Option<ResourceId>,
    /// Its addresses.
    pub addresses: Addresses,
    /// What it waits for.
    pub waiting: Option<Waiting>,
    /// Why it is to be deleted, or how it broke down.
    pub reason: Option<String>,
    /// Which instance it replaces.
    pub replaces: Option<InstanceKey>,
    /// Whether another orchestrator has made it.
    pub adopted: bool,
}

/// One node, for people and tools.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeStatus {
    /// Its key.
    pub key: NodeKey,
    /// Its name.
    pub name: String,
    /// How many instances it is to have.
    pub wanted: u32,
    /// Its range.
    pub range: Option<(u32, u32)>,
    /// How many serve.
    pub serving: u32,
    /// Its instances.
    pub instances: Vec<InstanceStatus>,
    /// Steps that are to be taken later, and why not now.
    pub deferred: Vec<Step>,
    /// The nodes that it depends on.
    pub dependencies: Vec<String>,
}

/// Everything at a glance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// The generation of the intent.
    pub generation: u64,
    /// Whether everything is to go down.
    pub teardown: bool,
    /// Whether nothing is left.
    pub torn_down: bool,
    /// The nodes: in the order of the descriptor, then lost ones.
    pub nodes: Vec<NodeStatus>,
    /// Resources with our tag that nothing wants: provider and resource.
    pub orphans: Vec<(String, ResourceId)>,
    /// Providers that are to remove what they made besides instances.
    pub releases: Vec<ReleaseStatus>,
}

/// A provider that the infrastructure has no use for, and what it may still have of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReleaseStatus {
    /// The provider.
    pub provider: String,
    /// What the removal waits for.
    pub waiting: Option<Waiting>,
}

/// Where the engine stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// What is wanted is there.
    Converged,
    /// Work is going on.
    Working,
    /// Nothing more happens until someone removes a cause: subject, class and message of each.
    Blocked(Vec<(String, ErrorClass, String)>),
}

impl Engine {
    /// Says where the engine stands.
    pub fn verdict(&self) -> Verdict {
        if self.is_converged() {
            return Verdict::Converged;
        }
        let mut causes: Vec<(String, ErrorClass, String)> = Vec::new();
        // Who is given up or stuck is unsettled too.
        let unsettled = self.unsettled.iter().map(|key| self.state.node(*key));
        for node in unsettled.clone().filter(|node| node.index.is_some()) {
            if let Some(block) = &node.block {
                causes.push((node.name.clone(), block.class, block.message.clone()));
            }
        }
        for (provider, name) in self.providers.iter().zip(&self.state.providers) {
            if let Some(error) = provider
                .observe_error
                .as_ref()
                .filter(|error| backoff_exhausted(error, provider.observe_failures))
            {
                causes.push((name.clone(), error.class, error.message.clone()));
            }
        }
        for key in self.state.orphans.keys() {
            if let Some(error) = self.given_up_orphan(key) {
                causes.push((key.1.to_string(), error.class, error.message.clone()));
            }
        }
        for provider in self.unreleased() {
            if let Some(error) = self.given_up_release(provider) {
                let name = self.state.providers[provider.index()].clone();
                causes.push((name, error.class, error.message.clone()));
            }
        }
        let members = unsettled.flat_map(|node| &node.instances);
        let stuck = members
            .filter_map(|key| self.instance(*key))
            .filter(|instance| {
                self.progress
                    .get(&instance.key)
                    .is_some_and(|progress| progress.stuck)
            });
        causes.extend(stuck.map(|instance| {
            let error = self
                .progress
                .get(&instance.key)
                .and_then(|progress| progress.last_error.clone());
            let error = error
                .unwrap_or_else(|| ProviderError::new(ErrorClass::Unknown, "its deletion fails"));
            (
                self.state.instance_name(instance),
                error.class,
                error.message,
            )
        }));
        if causes.is_empty() || self.is_moving() {
            Verdict::Working
        } else {
            Verdict::Blocked(causes)
        }
    }

    /// Says whether what is wanted is there; unlike [`Engine::verdict`] at no
    /// cost that grows with the infrastructure.
    pub fn is_converged(&self) -> bool {
        let clean =
            self.unsettled.is_empty() && self.state.orphans.is_empty() && self.is_synchronised();
        clean
            && self.unreleased().next().is_none()
            && (!self.state.teardown() || self.state.torn_down)
    }

    /// Says whether anything can still get further without help.
    fn is_moving(&self) -> bool {
        let unseen = self.providers.iter().any(|provider| {
            provider.needed && !provider.synchronised && provider.observe_error.is_none()
        });
        let orphans_moving = self
            .state
            .orphans
            .keys()
            .any(|key| self.given_up_orphan(key).is_none());
        let mut unreleased = self.unreleased();
        let releases_moving = unreleased.any(|provider| self.release_is_moving(provider));
        unseen
            || orphans_moving
            || releases_moving
            || self.unsettled.iter().any(|node| self.node_is_moving(*node))
    }

    /// Returns the error for which the deletion of an orphan was given up, if it was.
    fn given_up_orphan(
        &self,
        key: &(crate::state::ProviderIndex, ResourceId),
    ) -> Option<&ProviderError> {
        let orphan = self.providers[key.0.index()].orphans_busy.get(&key.1)?;
        orphan
            .last_error
            .as_ref()
            .filter(|error| backoff_exhausted(error, orphan.failures))
    }

    /// Says whether a provider cannot be looked at any more.
    fn is_blind(&self, provider: crate::state::ProviderIndex) -> bool {
        let progress = &self.providers[provider.index()];
        progress
            .observe_error
            .as_ref()
            .is_some_and(|error| backoff_exhausted(error, progress.observe_failures))
    }

    fn node_is_moving(&self, key: NodeKey) -> bool {
        self.state
            .node(key)
            .instances
            .iter()
            .filter_map(|key| self.instance(*key))
            .any(|instance| {
                !self.surely_serves(instance)
                    && match self.waiting(instance) {
                        Some(
                            Waiting::Blocked { .. }
                            | Waiting::Dependency { .. }
                            | Waiting::DependentsFirst { .. }
                            | Waiting::Stuck { .. }
                            | Waiting::Recovery { .. },
                        ) => false,
                        Some(
                            Waiting::Certainty
                            | Waiting::Absence
                            | Waiting::Disappearance
                            | Waiting::Boot { .. },
                        ) => instance
                            .provider
                            .is_none_or(|provider| !self.is_blind(provider)),
                        _ => true,
                    }
            })
    }

    /// Says what an instance waits for; `None` if it serves.
    pub fn waiting(&self, instance: &Instance) -> Option<Waiting> {
        let progress = self.progress.get(&instance.key);
        if let Some(flight) = progress
            .and_then(|progress| progress.call)
            .and_then(|call| self.calls.get(&call))
        {
            let operation = match flight.about {
                crate::progress::About::Create(_) => "create",
                crate::progress::About::Delete(_) => "delete",
                _ => "recontextualise",
            };
            return Some(Waiting::Answer {
                operation,
                since: flight.asked_at,
            });
        }
        if instance.doom.is_some() {
            return Some(self.waiting_doomed(instance));
        }
        if instance.breakage.is_some() {
            let deferred = &self.nodes[instance.node.index()].deferred;
            let step = deferred
                .iter()
                .find(|step| step.instance == Some(instance.key));
            return step.and_then(|step| match &step.when {
                crate::step::When::Later(waiting) => Some(waiting.clone()),
                crate::step::When::Now => None,
            });
        }
        match instance.phase {
            Phase::Planned | Phase::Creating => Some(
                self.gate_create(instance.key)
                    .err()
                    .unwrap_or_else(|| self.waiting_in_line(instance)),
            ),
            Phase::Booting => Some(Waiting::Boot {
                deadline: instance.phase_since + crate::settings::BOOT_TIMEOUT,
            }),
            Phase::Checking | Phase::Unready => {
                let finding = progress.and_then(|progress| progress.finding.clone());
                Some(Waiting::Health {
                    finding,
                    deadline: self.health_deadline(instance),
                })
            }
            Phase::Restarting => Some(self.waiting_in_line(instance)),
            Phase::Ready => self.is_doubted(instance).then_some(Waiting::Absence),
        }
    }

    fn waiting_in_line(&self, instance: &Instance) -> Waiting {
        let Some(index) = self.provider_for(instance) else {
            return Waiting::Unfinished;
        };
        let (provider, progress) = (
            self.state.providers[index.index()].clone(),
            &self.providers[index.index()],
        );
        if progress.throttled_until > self.now {
            Waiting::Throttled {
                provider,
                until: progress.throttled_until,
            }
        } else {
            Waiting::Slot {
                provider,
                calls_in_flight_max: progress.calls_in_flight_max,
            }
        }
    }

    fn waiting_doomed(&self, instance: &Instance) -> Waiting {
        let progress = self.progress.get(&instance.key);
        if let Err(waiting) = self.gate_delete(instance.key) {
            return waiting;
        }
        let until = progress.map_or(self.now, |progress| progress.not_before);
        match progress {
            Some(progress) if progress.stuck => Waiting::Stuck {
                error: progress.last_error.clone(),
                until,
            },
            Some(progress) if progress.delete_accepted.is_some() => Waiting::Disappearance,
            _ if instance.resource.is_none() => Waiting::Certainty,
            Some(progress) if until > self.now => Waiting::Backoff {
                until,
                failures: progress.failures,
                error: progress.last_error.clone(),
            },
            _ => self.waiting_in_line(instance),
        }
    }

    /// Returns everything at a glance.
    pub fn status(&self) -> Status {
        let lost = self.node_keys().filter(|key| {
            self.state.node(*key).index.is_none() && !self.state.node(*key).instances.is_empty()
        });
        let nodes = self
            .state
            .node_keys
            .iter()
            .copied()
            .chain(lost)
            .map(|key| self.node_status(key))
            .collect();
        let orphans = self
            .state
            .orphans
            .keys()
            .map(|(provider, resource)| {
                (
                    self.state.providers[provider.index()].clone(),
                    resource.clone(),
                )
            })
            .collect();
        Status {
            generation: self.state.generation(),
            teardown: self.state.teardown(),
            torn_down: self.state.torn_down,
            nodes,
            orphans,
            releases: self.releases(),
        }
    }

    /// Returns one node with its instances.
    pub fn node_status(&self, key: NodeKey) -> NodeStatus {
        let node = self.state.node(key);
        let range = match (node.index, &self.state.intent) {
            (Some(index), Some(intent)) => {
                Some(intent.topology.node(index).count).map(|count| (count.min, count.max))
            }
            _ => None,
        };
        NodeStatus {
            key,
            name: node.name.clone(),
            wanted: self.state.wanted(key),
            range,
            serving: self.surely_serving(key),
            instances: node
                .instances
                .iter()
                .filter_map(|key| self.instance(*key))
                .map(|instance| self.instance_status(instance))
                .collect(),
            deferred: self.nodes[key.index()].deferred.clone(),
            dependencies: node
                .dependencies
                .iter()
                .map(|dependee| self.state.node(*dependee).name.clone())
                .collect(),
        }
    }

    /// Returns one instance.
    pub fn instance_status(&self, instance: &Instance) -> InstanceStatus {
        let phase = match (&instance.doom, &instance.breakage) {
            (Some(_), _) => "deleting",
            (None, Some(_)) => "broken",
            (None, None) => instance.phase.name(),
        };
        let reason = match (&instance.doom, &instance.breakage) {
            (Some(doom), _) => Some(doom.to_string()),
            (None, Some(breakage)) => Some(breakage.to_string()),
            (None, None) => None,
        };
        InstanceStatus {
            key: instance.key,
            name: self.state.instance_name(instance),
            tag: instance.tag.to_string(),
            phase,
            since: instance.phase_since,
            ready_at: instance.ready_at,
            provider: self
                .provider_for(instance)
                .map(|provider| self.state.providers[provider.index()].clone()),
            resource: instance.resource.clone(),
            addresses: instance.addresses.clone(),
            waiting: self.waiting(instance),
            reason,
            replaces: instance.replaces,
            adopted: instance.adopted,
        }
    }
}

fn backoff_exhausted(error: &ProviderError, failures: u32) -> bool {
    crate::backoff::exhausted(error.class, failures)
}
