//! The engine's named bounds, each with its reason.

use std::collections::BTreeMap;

use zenekar_base::{Capabilities, Millis, kind_of_provider};

/// How often resources are looked at while one of them is starting or
/// disappearing. One batched call; small against boot times of tens of
/// seconds, and within every cloud's rate limit.
pub const OBSERVE_STARTING_INTERVAL: Millis = Millis::from_secs(1);

/// How often resources are looked at when nothing is going on. Bounds how long
/// a lost instance stays unnoticed when its probes cannot tell.
pub const OBSERVE_STEADY_INTERVAL: Millis = Millis::from_secs(30);

/// How soon an absence is looked at a second time before it is believed.
pub const OBSERVE_CONFIRM_INTERVAL: Millis = Millis::from_secs(2);

/// How often a starting instance is probed at first; grows to
/// [`PROBE_STARTING_INTERVAL_MAX`] with the time that it has been running.
pub const PROBE_STARTING_INTERVAL: Millis = Millis::from_secs(1);

/// The longest pause between probes of a starting instance: short enough that
/// a ten-minute installation is noticed within 2 % of its length.
pub const PROBE_STARTING_INTERVAL_MAX: Millis = Millis::from_secs(10);

/// How often a ready instance is probed: a broken one is noticed within it.
pub const PROBE_READY_INTERVAL: Millis = Millis::from_secs(10);

/// How often a ready instance is probed while others are still on their way:
/// then the observations that follow those show its state too.
pub const PROBE_READY_INTERVAL_BUSY: Millis = Millis::from_secs(60);

/// Failed probes in a row after which a ready instance is unready: one lost
/// packet is not an outage.
pub const PROBE_FAILURES_TOLERATED: u32 = 2;

/// How long a resource may take from being accepted to running. Slow images
/// with big disks need minutes; beyond a quarter of an hour clouds have given up.
pub const BOOT_TIMEOUT: Millis = Millis::from_secs(900);

/// How long the engine waits for the answer to a creating call.
pub const CREATE_DEADLINE: Millis = Millis::from_secs(180);

/// How long the engine waits for the answer to any other call.
pub const CALL_DEADLINE: Millis = Millis::from_secs(60);

/// How long the engine waits for the answer to a probe: a probe that hangs has failed.
pub const PROBE_DEADLINE: Millis = Millis::from_secs(20);

/// Probes in flight at once over all instances: bounds sockets and tasks.
pub const PROBES_IN_FLIGHT_MAX: usize = 1024;

/// Attempts to create or delete before the subject is given up until someone
/// asks again or [`BLOCK_RETRY_INTERVAL`] has passed: with the back-off below, some minutes.
pub const ATTEMPTS_MAX: u32 = 10;

/// Attempts while a provider has no capacity or quota: each waits long.
pub const ATTEMPTS_SCARCE_MAX: u32 = 5;

/// After which time a given-up subject is tried again while `watch` runs.
pub const BLOCK_RETRY_INTERVAL: Millis = Millis::from_secs(300);

/// The longest pause that a provider may ask for: a longer one is a mistake
/// of its clock or its units more often than a wish.
pub const RETRY_AFTER_MAX: Millis = Millis::from_secs(900);

/// How long, besides its settle span, an accepted deletion may take before it
/// is asked for again. Machines that shut down cleanly take up to two minutes.
pub const DELETE_PATIENCE: Millis = Millis::from_secs(180);

/// The window over which the circuit breaker counts replacements.
pub const BREAKER_WINDOW: Millis = Millis::from_secs(600);

/// Replacements of broken instances that are always allowed within the window:
/// small infrastructures must heal too.
pub const BREAKER_FREE: u32 = 3;

/// The share of all instances, in percent, that may be replaced within the
/// window. More at once is more often a mistake of the observer (wrong
/// region, expired credentials, a partition) than of the instances.
pub const BREAKER_SHARE_PERCENT: u32 = 25;

/// Applied requests that are remembered to recognise repeated ones. A client
/// gives up repeating long before 4,096 others were applied.
pub const REQUESTS_REMEMBERED_MAX: usize = 4096;

/// Replacements that are remembered; beyond it the breaker is open anyway for
/// all infrastructures of up to 400,000 instances.
pub const REPLACEMENTS_REMEMBERED_MAX: usize = 100_000;

/// Instances that one node may be scaled to, whatever its range says.
pub const INSTANCES_PER_NODE_MAX: u32 = 100_000;

/// What the engine is told about its world and its user's wishes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Settings {
    /// What each provider can do; for absent ones that of their kind counts, and
    /// then the careful defaults.
    pub capabilities: BTreeMap<String, Capabilities>,
    /// Creating and deleting calls in flight per provider, below the provider's own bound.
    pub calls_in_flight_max: Option<u32>,
    /// Seeds the jitter of pauses.
    pub seed: u64,
    /// The mistake that the engine makes on purpose, if any.
    #[cfg(feature = "defects")]
    pub defect: Option<crate::Defect>,
}

impl Settings {
    /// Returns the settings of an engine that makes no mistakes on purpose.
    pub fn new(
        capabilities: BTreeMap<String, Capabilities>,
        calls_in_flight_max: Option<u32>,
        seed: u64,
    ) -> Self {
        Self {
            capabilities,
            calls_in_flight_max,
            seed,
            #[cfg(feature = "defects")]
            defect: None,
        }
    }

    /// Returns what a provider can do.
    pub fn capabilities(&self, provider: &str) -> Capabilities {
        let own = self.capabilities.get(provider);
        let of_kind = || self.capabilities.get(kind_of_provider(provider));
        own.or_else(of_kind).cloned().unwrap_or_default()
    }

    /// Returns how many creating and deleting calls may be in flight.
    pub fn calls_in_flight_max(&self, provider: &str) -> u32 {
        let own = self.capabilities(provider).calls_in_flight_max;
        self.calls_in_flight_max
            .map_or(own, |wanted| wanted.min(own))
            .max(1)
    }
}
