//! What is explored: the topology, what its nodes do, what people ask for, and
//! what may go wrong how often.

use std::collections::BTreeMap;
use std::sync::Arc;

use zenekar_base::{Capabilities, InfrastructureId, Millis, RequestId};
use zenekar_engine::{Input, ScalingChange, ScalingRequest, Settings};
use zenekar_model::Topology;
use zenekar_model::behaviour::Behaviours;
use zenekar_property::PropertySet;

use crate::control::Limits;

/// Something that can go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// A call is refused for a while because there were too many.
    Throttled,
    /// The provider's server fails; the call has no effect.
    ServerError,
    /// No machine is free; the creation has no effect.
    Capacity,
    /// The answer is lost after the effect.
    TimeoutAfterEffect,
    /// The effect takes place after the caller has given up, or never.
    TimeoutLateEffect,
    /// A list shows what was true some seconds ago.
    StaleList,
    /// A healthy instance is said not to be.
    FalseAlarm,
    /// A machine cannot be started.
    BootFails,
    /// A machine vanishes.
    MachineLost,
    /// A machine is stopped from outside.
    MachineStopped,
    /// A machine restarts under another address.
    AddressChanges,
    /// Contextualisation dies between two segments.
    AgentDies,
    /// The engine dies.
    EngineCrash,
    /// An instance is cut off from everybody for a while.
    Partition,
    /// What others send to an instance is lost for a while.
    OneWayLoss,
    /// The name of an instance is not found once.
    LateDns,
    /// A creation that was given up takes effect besides the one that repeated it.
    RepeatedCreation,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 17] = [
        Self::Throttled,
        Self::ServerError,
        Self::Capacity,
        Self::TimeoutAfterEffect,
        Self::TimeoutLateEffect,
        Self::StaleList,
        Self::FalseAlarm,
        Self::BootFails,
        Self::MachineLost,
        Self::MachineStopped,
        Self::AddressChanges,
        Self::AgentDies,
        Self::EngineCrash,
        Self::Partition,
        Self::OneWayLoss,
        Self::LateDns,
        Self::RepeatedCreation,
    ];

    /// Returns the stable name for options and reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Throttled => "throttled",
            Self::ServerError => "server-error",
            Self::Capacity => "capacity",
            Self::TimeoutAfterEffect => "timeout-after-effect",
            Self::TimeoutLateEffect => "timeout-late-effect",
            Self::StaleList => "stale-list",
            Self::FalseAlarm => "false-alarm",
            Self::BootFails => "boot-fails",
            Self::MachineLost => "machine-lost",
            Self::MachineStopped => "machine-stopped",
            Self::AddressChanges => "address-changes",
            Self::AgentDies => "agent-dies",
            Self::EngineCrash => "engine-crash",
            Self::Partition => "partition",
            Self::OneWayLoss => "one-way-loss",
            Self::LateDns => "late-dns",
            Self::RepeatedCreation => "repeated-creation",
        }
    }

    /// Returns the fault of a name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|fault| fault.name() == name)
    }
}

/// A set of faults.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Faults(u32);

impl Faults {
    /// All faults.
    pub fn all() -> Self {
        Fault::ALL.into_iter().collect()
    }

    /// Says whether a fault is one of them.
    pub const fn contains(self, fault: Fault) -> bool {
        self.0 & 1 << fault as u16 != 0
    }

    /// Returns them in order.
    pub fn iter(self) -> impl Iterator<Item = Fault> {
        Fault::ALL
            .into_iter()
            .filter(move |fault| self.contains(*fault))
    }
}

impl FromIterator<Fault> for Faults {
    fn from_iter<I: IntoIterator<Item = Fault>>(faults: I) -> Self {
        Self(
            faults
                .into_iter()
                .fold(0, |all, fault| all | 1 << fault as u16),
        )
    }
}

/// How a provider behaves at its worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Personality {
    /// Its name.
    pub name: &'static str,
    /// What goes wrong there.
    pub faults: Faults,
    /// A call has its answer or has failed after this.
    pub call_timeout: Millis,
    /// A call whose caller has given up takes effect within this, or never.
    pub late_effect_max: Millis,
    /// Lists lag by this at most.
    pub list_lag_max: Millis,
    /// Whether a token creates one machine at most without help of ours.
    pub native_tokens: bool,
    /// Whether instances can be contextualised again in place.
    pub recontextualise: bool,
}

/// Names of the personalities, for options.
pub const PERSONALITIES: [&str; 6] = ["any", "ec2", "openstack", "azure", "cloudsigma", "local"];

impl Personality {
    /// Returns the personality of a name or of a kind of provider; one that
    /// has every fault for those that are not known.
    pub fn of(name: &str) -> Self {
        let any = Self {
            name: "any",
            faults: Faults::all(),
            call_timeout: Millis::from_secs(30),
            late_effect_max: Millis::from_secs(10),
            list_lag_max: Millis::from_secs(5),
            native_tokens: true,
            recontextualise: false,
        };
        let without = |faults: &[Fault]| {
            let kept = Fault::ALL
                .into_iter()
                .filter(|fault| !faults.contains(fault));
            kept.collect::<Faults>()
        };
        match name {
            // Tokens are honoured; describe calls lag behind what was created.
            "ec2" => Self {
                name: "ec2",
                faults: without(&[Fault::RepeatedCreation]),
                ..any
            },
            // One database behind the interface: what was accepted is listed.
            "openstack" | "nova" => Self {
                name: "openstack",
                faults: without(&[Fault::StaleList, Fault::AddressChanges]),
                list_lag_max: Millis::ZERO,
                native_tokens: false,
                ..any
            },
            "azure" => Self {
                name: "azure",
                faults: without(&[Fault::AddressChanges, Fault::RepeatedCreation]),
                ..any
            },
            "cloudsigma" => Self {
                name: "cloudsigma",
                faults: without(&[Fault::StaleList]),
                list_lag_max: Millis::ZERO,
                native_tokens: false,
                ..any
            },
            // Processes of this machine: calls do not get lost on a network, and
            // names are in a file.
            "local" | "docker" | "plain" => Self {
                name: "local",
                faults: without(&[
                    Fault::Throttled,
                    Fault::Capacity,
                    Fault::StaleList,
                    Fault::AddressChanges,
                    Fault::LateDns,
                    Fault::RepeatedCreation,
                ]),
                list_lag_max: Millis::ZERO,
                recontextualise: true,
                ..any
            },
            _ => any,
        }
    }
}

/// Something that people ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Demand {
    /// Bring it up.
    Up,
    /// Another descriptor of the same infrastructure.
    Update(Arc<Topology>),
    /// Another count of a node.
    Scale {
        /// The node.
        node: String,
        /// The count.
        count: u32,
    },
    /// Take it down.
    Down,
}

/// A demand, and when it comes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// What is asked for.
    pub demand: Demand,
    /// Whether people wait until what they asked for before is done; otherwise
    /// they ask at any time.
    pub waits: bool,
}

impl Step {
    /// Returns a few words for people.
    pub fn label(&self) -> String {
        match &self.demand {
            Demand::Up => "up".to_owned(),
            Demand::Update(_) => "update".to_owned(),
            Demand::Scale { node, count } => format!("scale {node}={count}"),
            Demand::Down => "down".to_owned(),
        }
    }
}

/// How much may happen in one run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// Faults.
    pub faults: u8,
    /// Times that something takes longer than until the engine looks again.
    pub delays: u8,
    /// How long after the last demand, fault or delay all has to be well.
    pub patience: Millis,
}

impl Default for Allowance {
    /// Returns one fault and two delays, and an hour for the engine to recover.
    fn default() -> Self {
        Self {
            faults: 1,
            delays: 2,
            patience: Millis::from_secs(3_600),
        }
    }
}

/// Everything that a run is made from. Equal settings have equal runs.
#[derive(Clone, Debug)]
pub struct Setting {
    /// What is brought up.
    pub topology: Arc<Topology>,
    /// What its nodes do.
    pub behaviours: Behaviours,
    /// What people ask for, in order.
    pub script: Vec<Step>,
    /// How much may happen.
    pub allowance: Allowance,
    /// Which faults may happen, where the provider has them.
    pub faults: Faults,
    /// Acts as if all providers were of this personality.
    pub personality: Option<Personality>,
    /// Machines that each provider has at most.
    pub quota: Option<u32>,
    /// What users state that has to hold as well.
    pub properties: Arc<PropertySet>,
    /// Tells the engine what it would be told in production.
    pub engine: Settings,
}

impl Setting {
    /// Returns the setting in which a topology comes up and goes down.
    pub fn new(topology: Arc<Topology>, behaviours: Behaviours) -> Self {
        Self {
            topology,
            behaviours,
            script: vec![
                Step {
                    demand: Demand::Up,
                    waits: false,
                },
                Step {
                    demand: Demand::Down,
                    waits: true,
                },
            ],
            allowance: Allowance::default(),
            faults: Faults::all(),
            personality: None,
            quota: None,
            properties: Arc::default(),
            engine: Settings::default(),
        }
    }

    /// Returns the personality of a provider.
    pub(crate) fn personality_of(&self, provider: &str) -> Personality {
        self.personality
            .unwrap_or_else(|| Personality::of(zenekar_base::kind_of_provider(provider)))
    }

    /// Returns the names of the providers of all candidates.
    pub(crate) fn providers(&self) -> Vec<String> {
        let topologies = self.script.iter().filter_map(|step| match &step.demand {
            Demand::Update(topology) => Some(topology),
            _ => None,
        });
        let mut names = Vec::new();
        for topology in std::iter::once(&self.topology).chain(topologies) {
            for index in topology.indices() {
                for place in 0..topology.node(index).candidates.len() {
                    if let Some(candidate) = topology.candidate(index, place)
                        && !names.contains(&candidate.provider)
                    {
                        names.push(candidate.provider.clone());
                    }
                }
            }
        }
        names
    }

    /// Returns the bounds of the slowest provider, and what the engine is told of all.
    pub(crate) fn limits(&self) -> Limits {
        let names = self.providers();
        let personalities = names.iter().map(|name| self.personality_of(name));
        let personalities: Vec<_> = personalities.collect();
        let longest = |span: fn(&Personality) -> Millis| {
            personalities.iter().map(span).max().unwrap_or(Millis::ZERO)
        };
        let call_timeout = longest(|one| one.call_timeout);
        let late_effect_max = longest(|one| one.late_effect_max);
        let list_lag_max = longest(|one| one.list_lag_max);
        let mut engine = self.engine.clone();
        engine.capabilities = names
            .iter()
            .zip(&personalities)
            .map(|(name, personality)| {
                let capabilities = Capabilities {
                    settle: call_timeout + late_effect_max + list_lag_max,
                    native_tokens: personality.native_tokens,
                    recontextualise: personality.recontextualise,
                    ..Capabilities::default()
                };
                (name.clone(), capabilities)
            })
            .collect::<BTreeMap<_, _>>();
        Limits {
            call_timeout,
            late_effect_max,
            list_lag_max,
            engine: Arc::new(engine),
        }
    }

    /// Returns what the engine is told at a step of the script.
    pub(crate) fn input(&self, step: usize) -> Option<Input> {
        Some(match &self.script.get(step)?.demand {
            Demand::Up => Input::Intent(Arc::clone(&self.topology)),
            Demand::Update(topology) => Input::Intent(Arc::clone(topology)),
            Demand::Scale { node, count } => Input::Scale(ScalingRequest {
                request: RequestId::new(format!("step-{step}")),
                changes: vec![ScalingChange::To {
                    node: node.clone(),
                    count: *count,
                }],
            }),
            Demand::Down => Input::Teardown,
        })
    }

    /// Returns the name under which the infrastructure is simulated.
    pub(crate) fn infrastructure() -> InfrastructureId {
        InfrastructureId::new("simulated")
    }
}
