//! What people and tools are told: how far everything is, and what it waits for.

use std::fmt;

use serde::Serialize;
use zenekar_base::{
    Addresses, ErrorClass, InstanceKey, NodeKey, ProviderError, ResourceId, Timestamp,
};

use crate::engine::Engine;
use crate::plan::{Cause, Step};
use crate::record::Breakage;
use crate::state::{Instance, Phase};

/// Why a step is not taken, or what an instance waits for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Waiting {
    /// A node that it depends on is not ready.
    Dependency {
        /// The node.
        node: String,
        /// How many of its instances are ready.
        serving: u32,
        /// How many are needed.
        required: u32,
    },
    /// Its node was given up.
    Blocked {
        /// The class of the error.
        class: ErrorClass,
        /// What the provider said.
        message: String,
    },
    /// A pause after a failure.
    Backoff {
        /// The end of the pause.
        until: Timestamp,
        /// Failures in a row.
        failures: u32,
        /// The last error.
        error: Option<ProviderError>,
    },
    /// The provider asked for a pause.
    Throttled {
        /// The provider.
        provider: String,
        /// The end of the pause.
        until: Timestamp,
    },
    /// As many calls as allowed are in flight.
    Slot {
        /// The provider.
        provider: String,
        /// The bound.
        calls_in_flight_max: u32,
    },
    /// After a restart, what is there has to be seen first.
    Recovery {
        /// The provider.
        provider: String,
    },
    /// The answer to a call.
    Answer {
        /// The operation.
        operation: &'static str,
        /// Since when.
        since: Timestamp,
    },
    /// The provider is starting it.
    Boot {
        /// When it is given up.
        deadline: Timestamp,
    },
    /// Its health checks.
    Health {
        /// The last finding.
        finding: Option<String>,
        /// When it is given up.
        deadline: Option<Timestamp>,
    },
    /// Those that depend on it go first.
    DependentsFirst {
        /// The dependent node.
        node: String,
        /// How many of its instances are left.
        instances: u32,
    },
    /// The circuit breaker is open.
    Breaker {
        /// When it lets the next one pass.
        until: Timestamp,
        /// Replacements within the window.
        replaced: u32,
        /// Replacements allowed within the window.
        limit: u32,
    },
    /// Others are being replaced.
    Rolling {
        /// How many may be missing at once.
        unavailable_max: u32,
    },
    /// A node that it depends on is being updated.
    DependeeUpdates {
        /// The node.
        node: String,
    },
    /// It has to get further by itself first.
    Unfinished,
    /// Nobody knows yet whether it exists.
    Certainty,
    /// The provider has accepted its deletion.
    Disappearance,
    /// Its deletion fails.
    Stuck {
        /// The last error.
        error: Option<ProviderError>,
        /// When it is tried again.
        until: Timestamp,
    },
}

impl fmt::Display for Waiting {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dependency {
                node,
                serving,
                required,
            } => write!(
                formatter,
                "waits for `{node}` to be ready ({serving} of {required})"
            ),
            Self::Blocked { class, message } => write!(formatter, "given up: {message} ({class})"),
            Self::Backoff {
                failures,
                error: Some(error),
                ..
            } => write!(formatter, "pauses after failure {failures}: {error}"),
            Self::Backoff {
                failures,
                error: None,
                ..
            } => write!(formatter, "pauses after failure {failures}"),
            Self::Throttled { provider, .. } => {
                write!(formatter, "provider `{provider}` asks for a pause")
            }
            Self::Slot {
                provider,
                calls_in_flight_max,
            } => {
                write!(
                    formatter,
                    "waits for one of {calls_in_flight_max} calls in flight to provider `{provider}`"
                )
            }
            Self::Recovery { provider } => {
                write!(formatter, "first has to see what provider `{provider}` has")
            }
            Self::Answer { operation, .. } => {
                write!(formatter, "waits for the answer to `{operation}`")
            }
            Self::Boot { .. } => formatter.write_str("the provider is starting it"),
            Self::Health {
                finding: Some(finding),
                ..
            } => write!(formatter, "waits to be healthy: {finding}"),
            Self::Health { finding: None, .. } => formatter.write_str("waits to be healthy"),
            Self::DependentsFirst { node, instances } => write!(
                formatter,
                "waits for {instances} instance(s) of `{node}` to go first"
            ),
            Self::Breaker {
                replaced, limit, ..
            } => {
                write!(
                    formatter,
                    "circuit breaker open: {replaced} of {limit} replacements allowed in 10 minutes were made"
                )
            }
            Self::Rolling { unavailable_max } => write!(
                formatter,
                "others of its node are replaced first, {unavailable_max} at a time"
            ),
            Self::DependeeUpdates { node } => write!(formatter, "waits for `{node}` to be updated"),
            Self::Unfinished => formatter.write_str("has to get further first"),
            Self::Certainty => {
                formatter.write_str("waits until the provider shows for certain whether it exists")
            }
            Self::Disappearance => formatter.write_str("the provider is deleting it"),
            Self::Stuck {
                error: Some(error), ..
            } => write!(formatter, "its deletion fails: {error}"),
            Self::Stuck { error: None, .. } => formatter.write_str("its deletion fails"),
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BelowTarget => formatter.write_str("fewer instances than wanted"),
            Self::Unfinished => formatter.write_str("not ready yet"),
            Self::Doomed(doom) => doom.fmt(formatter),
            Self::AboveTarget => formatter.write_str("more instances than wanted"),
            Self::NodeRemoved => formatter.write_str("its node is no longer in the descriptor"),
            Self::Teardown => formatter.write_str("the infrastructure goes down"),
            Self::Broken(breakage) => breakage.fmt(formatter),
            Self::Outdated {
                resource: true,
                context: false,
            } => formatter.write_str("its resource section has changed"),
            Self::Outdated {
                resource: false, ..
            } => formatter.write_str("its contextualisation has changed"),
            Self::Outdated { .. } => {
                formatter.write_str("its resource section and contextualisation have changed")
            }
            Self::AddressChanged => formatter.write_str("an address that it was given has changed"),
            Self::AddressWillChange { node } => write!(
                formatter,
                "it knows addresses of `{node}`, which is replaced"
            ),
        }
    }
}

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
        let synchronised = self.providers.iter().all(|provider| provider.synchronised);
        let clean = self.unsettled.is_empty() && self.state.orphans.is_empty() && synchronised;
        clean && (!self.state.teardown() || self.state.torn_down)
    }

    /// Says whether anything can still get further without help.
    fn is_moving(&self) -> bool {
        let unseen = self
            .providers
            .iter()
            .any(|provider| !provider.synchronised && provider.observe_error.is_none());
        unseen
            || !self.state.orphans.is_empty()
            || self.unsettled.iter().any(|node| self.node_is_moving(*node))
    }

    fn node_is_moving(&self, key: NodeKey) -> bool {
        self.state
            .node(key)
            .instances
            .iter()
            .filter_map(|key| self.instance(*key))
            .any(|instance| {
                !instance.serves()
                    && !matches!(
                        self.waiting(instance),
                        Some(
                            Waiting::Blocked { .. }
                                | Waiting::Dependency { .. }
                                | Waiting::DependentsFirst { .. }
                                | Waiting::Stuck { .. }
                                | Waiting::Recovery { .. }
                        )
                    )
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
                crate::engine::About::Create(_) => "create",
                crate::engine::About::Delete(_) => "delete",
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
                crate::plan::When::Later(waiting) => Some(waiting.clone()),
                crate::plan::When::Now => None,
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
            Phase::Ready => None,
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
            Some(progress) if progress.delete_accepted => Waiting::Disappearance,
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
            serving: node.serving,
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
        }
    }
}

fn backoff_exhausted(error: &ProviderError, failures: u32) -> bool {
    crate::backoff::exhausted(error.class, failures)
}

/// Breakage is named in outputs by the same words as in the journal.
impl Serialize for crate::effect::Refusal {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Breakage {
    /// Returns the stable name used in outputs.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Failed(_) => "failed",
            Self::Stopped => "stopped",
            Self::Lost => "lost",
            Self::BootTimeout => "boot-timeout",
            Self::Unhealthy(_) => "unhealthy",
        }
    }
}
