//! What is known only while one engine lives.

use std::collections::{BTreeMap, BTreeSet};

use zenekar_base::{
    CallId, Capabilities, InstanceKey, NodeKey, ProviderError, ResourceId, Timestamp,
};

use crate::state::ProviderIndex;
use crate::step::Step;

/// What is in flight, and what its answer is for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct InFlight {
    pub(crate) provider: ProviderIndex,
    pub(crate) deadline: Timestamp,
    pub(crate) asked_at: Timestamp,
    pub(crate) about: About,
}

/// The subject of a call in flight.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum About {
    Create(InstanceKey),
    Delete(InstanceKey),
    DeleteOrphan(ResourceId),
    Recontextualise(InstanceKey),
    Probe(InstanceKey),
    ObserveAll,
    Observe(Vec<InstanceKey>),
    Release,
}

/// A named timer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Timer {
    /// A call's answer is overdue.
    Call(CallId),
    /// An instance has something to do.
    Instance(InstanceKey),
    /// A provider is to be observed.
    Observe(ProviderIndex),
    /// A provider accepts calls again.
    Throttle(ProviderIndex),
    /// A node is tried again.
    Unblock(NodeKey),
    /// The circuit breaker may have closed.
    Breaker,
}

/// What is known of an instance only while this engine lives.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Progress {
    /// The creating, deleting or contextualising call in flight.
    pub(crate) call: Option<CallId>,
    /// The probe in flight.
    pub(crate) probe: Option<CallId>,
    /// Failed attempts in a row.
    pub(crate) failures: u32,
    /// No attempt before this time.
    pub(crate) not_before: Timestamp,
    /// When the last attempt ended without a certain outcome.
    pub(crate) uncertain_until: Timestamp,
    /// A call of the current attempt may have had an effect: only the same token is safe.
    pub(crate) maybe_created: bool,
    /// When its timer rings.
    pub(crate) wake: Option<Timestamp>,
    /// When the next probe is due.
    pub(crate) probe_at: Option<Timestamp>,
    /// Failed probes in a row.
    pub(crate) probe_failures: u32,
    /// The last finding of a failed probe.
    pub(crate) finding: Option<String>,
    /// Since when an observation has not shown it.
    pub(crate) absent_since: Option<Timestamp>,
    /// When it broke down.
    pub(crate) broke_at: Option<Timestamp>,
    /// When the provider accepted its deletion.
    pub(crate) delete_accepted: Option<Timestamp>,
    /// Its deletion was given up for now.
    pub(crate) stuck: bool,
    /// The last error of a call about it.
    pub(crate) last_error: Option<ProviderError>,
}

/// The set of addresses that new instances of a node are given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum GivenCache {
    /// It has to be worked out.
    #[default]
    Unknown,
    /// The node reads no addresses.
    ReadsNone,
    /// This set at this provider, if it is still held.
    Set(ProviderIndex, u32),
}

/// What is known of a node only while this engine lives.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct NodeProgress {
    /// Instances made of something else than the descriptor says now.
    pub(crate) outdated: BTreeSet<InstanceKey>,
    /// Instances that were given addresses that are no longer true.
    /// and whether that calls for another instance rather than a new contextualisation.
    pub(crate) stale: BTreeMap<InstanceKey, bool>,
    /// Instances that broke down.
    pub(crate) broken: BTreeSet<InstanceKey>,
    /// The set of addresses that its new instances are given, while it is current.
    pub(crate) given: GivenCache,
    /// Nodes that depend on it, nodes that the descriptor has lost included.
    pub(crate) dependents: BTreeSet<NodeKey>,
    /// Nodes that read its addresses.
    pub(crate) readers: BTreeSet<NodeKey>,
    /// Its instances that count and do not serve.
    pub(crate) idle: BTreeSet<InstanceKey>,
    /// Its instances that the last look at their provider did not show, and of
    /// which it is not known yet whether they are lost.
    pub(crate) doubted: BTreeSet<InstanceKey>,
    /// Whether its dependants could start when it was last looked at.
    pub(crate) dependable: bool,
    /// Whether it was said that it is told addresses that it cannot reach.
    pub(crate) unreachable_told: bool,
    /// Steps that are to be taken later; while rolling, only the next ones.
    pub(crate) deferred: Vec<Step>,
}

/// What is known of a provider only while this engine lives.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ProviderProgress {
    pub(crate) capabilities: Capabilities,
    pub(crate) calls_in_flight_max: u32,
    /// Creating, deleting and contextualising calls in flight.
    pub(crate) in_flight: u32,
    /// Instances that wait for a call, most urgent first.
    pub(crate) waiting: BTreeSet<(u32, InstanceKey)>,
    pub(crate) throttled_until: Timestamp,
    pub(crate) throttled_failures: u32,
    /// Whether everything that a dead engine may have left was seen.
    pub(crate) synchronised: bool,
    /// Observations in flight.
    pub(crate) observing: u32,
    pub(crate) observe_due: Option<Timestamp>,
    pub(crate) observe_failures: u32,
    pub(crate) observe_error: Option<ProviderError>,
    pub(crate) observed_all_at: Timestamp,
    /// Instances that are about to change at the provider.
    pub(crate) watched: BTreeSet<InstanceKey>,
    /// Orphans whose deletion is in flight or waits, with failures.
    pub(crate) orphans_busy: BTreeMap<ResourceId, OrphanProgress>,
    /// Whether it has to be seen before anything can be said to be done.
    pub(crate) needed: bool,
    /// Whether the intent has no use for it any more.
    pub(crate) left: bool,
    pub(crate) release: ReleaseProgress,
}

/// How the release of a provider goes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct ReleaseProgress {
    /// The call in flight.
    pub(crate) call: Option<CallId>,
    /// Failed attempts in a row.
    pub(crate) failures: u32,
    /// No attempt before this time.
    pub(crate) not_before: Timestamp,
    /// The last error.
    pub(crate) last_error: Option<ProviderError>,
}

/// How the deletion of an orphan goes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct OrphanProgress {
    /// A call is in flight.
    pub(crate) calling: bool,
    /// Failed attempts in a row.
    pub(crate) failures: u32,
    /// No attempt before this time.
    pub(crate) not_before: Timestamp,
    /// The last error.
    pub(crate) last_error: Option<ProviderError>,
}
