//! The seam through which everything enters that could go differently.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use zenekar_base::{InfrastructureId, InstanceTag, Random};

use crate::settings::{Rates, Settings};

/// The kind of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CallKind {
    /// Create an instance.
    Create,
    /// Describe or list resources.
    Observe,
    /// Delete a resource.
    Delete,
    /// Contextualise in place.
    Recontextualise,
    /// Check health.
    Probe,
    /// Remove what is left besides machines.
    Release,
}

/// What comes of a call, decided when it is submitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It is carried out and answered.
    Served,
    /// It is refused with a pause to keep; no effect.
    Throttled,
    /// The server fails; no effect.
    ServerError,
    /// The effect takes place, the answer never arrives.
    TimeoutAfterEffect,
    /// The caller gives up, and the effect takes place after that.
    TimeoutLateEffect,
    /// The caller gives up, and there is never an effect.
    TimeoutWithoutEffect,
    /// This call and all that follow for a while fail like [`Outcome::ServerError`].
    Outage,
    /// No such machine is free; no effect. Create calls only.
    Capacity,
    /// A healthy instance is reported as unhealthy. Probes only.
    FalseAlarm,
}

impl Outcome {
    /// All outcomes, the benign one first.
    pub const ALL: [Self; 9] = [
        Self::Served,
        Self::Throttled,
        Self::ServerError,
        Self::TimeoutAfterEffect,
        Self::TimeoutLateEffect,
        Self::TimeoutWithoutEffect,
        Self::Outage,
        Self::Capacity,
        Self::FalseAlarm,
    ];

    /// Returns the stable name for traces and counterexamples.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Served => "served",
            Self::Throttled => "throttled",
            Self::ServerError => "server-error",
            Self::TimeoutAfterEffect => "timeout-after-effect",
            Self::TimeoutLateEffect => "timeout-late-effect",
            Self::TimeoutWithoutEffect => "timeout-without-effect",
            Self::Outage => "outage",
            Self::Capacity => "capacity",
            Self::FalseAlarm => "false-alarm",
        }
    }

    const fn rate(self, rates: &Rates) -> u32 {
        match self {
            Self::Served => 0,
            Self::Throttled => rates.throttled,
            Self::ServerError => rates.server_error,
            Self::TimeoutAfterEffect => rates.timeout_after_effect,
            Self::TimeoutLateEffect => rates.timeout_late_effect,
            Self::TimeoutWithoutEffect => rates.timeout_without_effect,
            Self::Outage => rates.outage,
            Self::Capacity => rates.capacity,
            Self::FalseAlarm => rates.false_alarm,
        }
    }

    const fn applies_to(self, call: CallKind) -> bool {
        match self {
            Self::TimeoutLateEffect => matches!(
                call,
                CallKind::Create | CallKind::Delete | CallKind::Recontextualise | CallKind::Release
            ),
            // For a read, an effect nobody hears of is the same as none.
            Self::TimeoutAfterEffect => !matches!(call, CallKind::Observe | CallKind::Probe),
            Self::Capacity => matches!(call, CallKind::Create),
            Self::FalseAlarm => matches!(call, CallKind::Probe),
            _ => true,
        }
    }
}

/// A set of outcomes that always holds [`Outcome::Served`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Outcomes(u16);

impl Outcomes {
    /// Returns the outcomes that a call of this kind can have: those with a rate above zero.
    pub fn enabled(call: CallKind, rates: &Rates) -> Self {
        let bits = Outcome::ALL
            .iter()
            .filter(|outcome| outcome.applies_to(call) && outcome.rate(rates) > 0)
            .map(|&outcome| 1 << outcome as u16);
        Self(bits.fold(1, |all, bit| all | bit))
    }

    /// Returns how many there are.
    pub const fn count(self) -> u32 {
        self.0.count_ones()
    }

    /// Returns the outcomes in the order of their indices as alternatives.
    pub fn iter(self) -> impl Iterator<Item = Outcome> {
        Outcome::ALL
            .into_iter()
            .filter(move |&outcome| self.0 & (1 << outcome as u16) != 0)
    }

    /// Returns the outcome behind an alternative; the benign one where there is none.
    pub fn get(self, index: u32) -> Outcome {
        self.iter().nth(index as usize).unwrap_or(Outcome::Served)
    }
}

/// What a span of time is the length of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SpanKind {
    /// A call.
    Call(CallKind),
    /// From the time-out of a call to its effect.
    LateEffect,
    /// A boot.
    Boot,
    /// A contextualisation.
    Contextualise,
    /// From the delete call to the end.
    Deletion,
    /// From running to a spontaneous failure.
    LifeFault,
}

/// How a boot ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BootFate {
    /// It runs and gets healthy.
    Boots,
    /// It ends in state failed.
    Fails,
    /// It runs and is never healthy.
    NeverHealthy,
    /// It takes several times as long.
    Slow,
}

/// What happens to a running instance by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LifeFate {
    /// It lives until it is deleted.
    Lives,
    /// It vanishes.
    Lost,
    /// It is stopped.
    Stopped,
    /// It is deleted.
    Killed,
    /// It is not healthy any more.
    Hung,
}

/// What is to be chosen. Alternative 0 is always the benign one, and only
/// alternatives with a rate above zero are offered; where only one is left,
/// the chooser is not asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChoiceKind {
    /// What comes of a call: alternative `i` is `enabled.get(i)`.
    Outcome {
        /// The kind of the call.
        call: CallKind,
        /// The outcomes on offer.
        enabled: Outcomes,
    },
    /// How long something takes: alternative 0 is the shortest, the last one
    /// the longest, the others lie at equal distances between.
    Span(SpanKind),
    /// How far a list lags behind the truth: 0 is not at all, the last one the bound.
    ListLag,
    /// How a boot ends; the alternatives are [`BootFate`]s with a rate above zero.
    Boot {
        /// How often it fails, in parts per million.
        failure: u32,
        /// How often it is never healthy.
        never_healthy: u32,
        /// How often it is slow.
        slow: u32,
    },
    /// Whether a contextualisation in place ends well (0) or leaves the instance unhealthy (1).
    Recontextualise,
    /// What happens to a running instance; the alternatives are [`LifeFate`]s with a rate above zero.
    Life {
        /// How often it vanishes, in parts per million.
        lost: u32,
        /// How often it is stopped.
        stopped: u32,
        /// How often it is deleted.
        killed: u32,
        /// How often it hangs.
        hung: u32,
    },
    /// Which of the events at the same instant comes first: 0 is the one scheduled first.
    Order,
}

impl ChoiceKind {
    /// Returns the fate behind an alternative of [`ChoiceKind::Boot`].
    pub fn boot_fate(self, index: u32) -> BootFate {
        let Self::Boot {
            failure,
            never_healthy,
            slow,
        } = self
        else {
            return BootFate::Boots;
        };
        let fates = [
            (BootFate::Fails, failure),
            (BootFate::NeverHealthy, never_healthy),
            (BootFate::Slow, slow),
        ];
        offered(&fates, index).unwrap_or(BootFate::Boots)
    }

    /// Returns the fate behind an alternative of [`ChoiceKind::Life`].
    pub fn life_fate(self, index: u32) -> LifeFate {
        let Self::Life {
            lost,
            stopped,
            killed,
            hung,
        } = self
        else {
            return LifeFate::Lives;
        };
        let fates = [
            (LifeFate::Lost, lost),
            (LifeFate::Stopped, stopped),
            (LifeFate::Killed, killed),
            (LifeFate::Hung, hung),
        ];
        offered(&fates, index).unwrap_or(LifeFate::Lives)
    }

    /// Says in words what an alternative means; for traces and counterexamples.
    pub fn describe(self, index: u32) -> String {
        match self {
            Self::Outcome { call, enabled } => {
                format!("{call:?} is {}", enabled.get(index).name()).to_lowercase()
            }
            Self::Span(kind) => format!("span {kind:?} takes step {index}").to_lowercase(),
            Self::ListLag => format!("list lags by step {index}"),
            Self::Boot { .. } => format!("boot: {:?}", self.boot_fate(index)).to_lowercase(),
            Self::Recontextualise => if index == 0 {
                "contextualisation ends well"
            } else {
                "contextualisation leaves it unhealthy"
            }
            .to_owned(),
            Self::Life { .. } => format!("life: {:?}", self.life_fate(index)).to_lowercase(),
            Self::Order => format!("event {index} of this instant comes first"),
        }
    }

    /// Returns the rates of the alternatives after the benign one, where the choice is between failures.
    fn rates(self, settings: &Rates) -> Vec<u32> {
        let present = |rates: &[u32]| rates.iter().copied().filter(|&rate| rate > 0).collect();
        match self {
            Self::Outcome { enabled, .. } => enabled
                .iter()
                .skip(1)
                .map(|outcome| outcome.rate(settings))
                .collect(),
            Self::Boot {
                failure,
                never_healthy,
                slow,
            } => present(&[failure, never_healthy, slow]),
            Self::Life {
                lost,
                stopped,
                killed,
                hung,
            } => present(&[lost, stopped, killed, hung]),
            Self::Recontextualise => vec![settings.never_healthy],
            Self::Span(_) | Self::ListLag | Self::Order => Vec::new(),
        }
    }
}

fn offered<T: Copy>(fates: &[(T, u32)], index: u32) -> Option<T> {
    let index = (index as usize).checked_sub(1)?;
    fates
        .iter()
        .filter(|(_, rate)| *rate > 0)
        .map(|(fate, _)| *fate)
        .nth(index)
}

/// Something that an event reads or writes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Object {
    /// The state of one instance.
    Instance(InstanceTag),
    /// A port of one instance.
    Endpoint(InstanceTag, u16),
    /// Which resources an infrastructure has.
    Membership(InfrastructureId),
    /// The instances that count against the quota.
    QuotaInstances,
    /// The cores that count against the quota.
    QuotaCores,
    /// The interface as a whole: outages.
    Service,
}

/// What an event reads and writes: the input of the independence relation.
///
/// Resource numbers and addresses come from one counter; they count as names,
/// so that two create calls are independent although their order shows in them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Footprint {
    /// Objects that are read.
    pub reads: Vec<Object>,
    /// Objects that are changed.
    pub writes: Vec<Object>,
}

impl Footprint {
    /// Says whether the order of two events can matter. Additions to and
    /// removals from a membership commute with each other.
    pub fn conflicts(&self, other: &Self) -> bool {
        let one_way =
            |one: &Self, two: &Self| one.writes.iter().any(|object| two.reads.contains(object));
        let both_write = |object: &&Object| {
            !matches!(object, Object::Membership(_)) && other.writes.contains(object)
        };
        one_way(self, other)
            || one_way(other, self)
            || self.writes.iter().any(|object| both_write(&object))
    }

    /// Adds the objects of another footprint.
    pub fn extend(&mut self, other: Self) {
        self.reads.extend(other.reads);
        self.writes.extend(other.writes);
    }
}

/// Decides everything that could go differently.
pub trait Chooser {
    /// Picks one of `alternatives` (at least two); the result must be below that.
    fn choose(&mut self, kind: ChoiceKind, alternatives: u32, footprint: &Footprint) -> u32;

    /// Hears the number of the event that the next choices belong to. Dice
    /// are seeded by it, so that the result does not depend on how often and
    /// how far the cloud is advanced.
    fn begin(&mut self, _event: u64) {}

    /// Says whether it looks at footprints. Who does not is handed empty ones,
    /// which saves the better part of the cost of a large observe call.
    fn wants_footprints(&self) -> bool {
        true
    }
}

/// Always takes the benign alternative.
#[derive(Clone, Copy, Debug, Default)]
pub struct Benign;

impl Chooser for Benign {
    fn choose(&mut self, _kind: ChoiceKind, _alternatives: u32, _footprint: &Footprint) -> u32 {
        0
    }

    fn wants_footprints(&self) -> bool {
        false
    }
}

/// Dice, loaded by the rates of the settings. They hold no state besides the
/// current event: two of them with equal settings decide alike.
#[derive(Clone, Debug)]
pub struct SeededChooser {
    settings: Arc<Settings>,
    random: Random,
}

impl SeededChooser {
    /// Makes dice from the settings of a cloud: see [`crate::SimCloud::settings`].
    pub fn new(settings: &Arc<Settings>) -> Self {
        Self {
            settings: Arc::clone(settings),
            random: Random::from_seed(settings.seed),
        }
    }
}

impl Chooser for SeededChooser {
    fn begin(&mut self, event: u64) {
        self.random = Random::from_seed(self.settings.seed).child(event);
    }

    fn wants_footprints(&self) -> bool {
        false
    }

    fn choose(&mut self, kind: ChoiceKind, alternatives: u32, _footprint: &Footprint) -> u32 {
        let uniform = |random: &mut Random, count: u32| {
            u32::try_from(random.below(u64::from(count))).unwrap_or(0)
        };
        match kind {
            ChoiceKind::Span(_) => uniform(&mut self.random, alternatives),
            ChoiceKind::ListLag if self.random.chance(self.settings.rates.stale_list) => {
                1 + uniform(&mut self.random, alternatives - 1)
            }
            ChoiceKind::ListLag | ChoiceKind::Order => 0,
            _ => {
                let mut roll = self.random.below(1_000_000);
                for (index, rate) in (1..alternatives).zip(kind.rates(&self.settings.rates)) {
                    match roll.checked_sub(u64::from(rate)) {
                        Some(rest) => roll = rest,
                        None => return index,
                    }
                }
                0
            }
        }
    }
}
