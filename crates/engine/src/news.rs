//! Whether an engine has learned anything: what tells looks apart of which
//! nobody learns anything.

use crate::engine::Engine;
use crate::progress::{About, InFlight, NodeProgress, Progress, ProviderProgress};
use crate::shared::SharedMap;
use crate::state::{Instance, Phase, State};

impl Engine {
    /// Says whether more than time lies between an engine of before and this
    /// one: a fact, a failure, or a call that is no look. Looks and checks that
    /// are in flight, what they found when they found the same again, and what
    /// people are shown of it do not count.
    pub fn has_news_since(&self, before: &Self) -> bool {
        let is_same = self.state.is_but_for_time(&before.state)
            && self.recovering == before.recovering
            && is_same_map(&self.progress, &before.progress, |key, one, other| {
                let instance = self.state.instances.get(key);
                one.is_but_for_time(other, instance.is_none_or(|one| one.phase == Phase::Ready))
            })
            && is_same_list(
                self.nodes.iter(),
                before.nodes.iter(),
                NodeProgress::is_but_for_looks,
            )
            && is_same_list(
                self.providers.iter(),
                before.providers.iter(),
                ProviderProgress::is_but_for_time,
            )
            && self.changing().eq(before.changing());
        !is_same
    }

    /// Returns the calls that are no looks, in order.
    fn changing(&self) -> impl Iterator<Item = &InFlight> {
        let calls = self.calls.values();
        calls.filter(|flight| {
            !matches!(
                flight.about,
                About::Observe(_) | About::ObserveAll | About::Probe(_)
            )
        })
    }
}

fn is_same_list<'a, T: 'a>(
    one: impl ExactSizeIterator<Item = &'a T>,
    other: impl ExactSizeIterator<Item = &'a T>,
    is_same: impl Fn(&T, &T) -> bool,
) -> bool {
    one.len() == other.len() && one.zip(other).all(|(one, other)| is_same(one, other))
}

fn is_same_map<K: Ord, T>(
    one: &SharedMap<K, T>,
    other: &SharedMap<K, T>,
    is_same: impl Fn(&K, &T, &T) -> bool,
) -> bool {
    one.len() == other.len()
        && one
            .iter()
            .zip(other.iter())
            .all(|((key, one), (known, other))| key == known && is_same(key, one, other))
}

impl State {
    fn is_but_for_time(&self, other: &Self) -> bool {
        let Self {
            infrastructure: _,
            intent,
            nodes,
            names: _,
            node_keys,
            instances,
            tags,
            adopted,
            taken_over,
            providers,
            given,
            next_given,
            next_instance,
            orphans,
            held,
            release_errors,
            requests,
            // What lies in the past fades; what is added to it comes with a fact.
            replacements: _,
            torn_down,
            last_at: _,
        } = self;
        *next_instance == other.next_instance
            && *next_given == other.next_given
            && *torn_down == other.torn_down
            && *taken_over == other.taken_over
            && providers.len() == other.providers.len()
            && requests.len() == other.requests.len()
            && orphans.keys().eq(other.orphans.keys())
            && release_errors.keys().eq(other.release_errors.keys())
            && is_same_map(instances, &other.instances, |_, one, other| {
                one.is_but_for_time(other)
            })
            && *nodes == other.nodes
            && *node_keys == other.node_keys
            && *tags == other.tags
            && *adopted == other.adopted
            && *held == other.held
            && given.keys().eq(other.given.keys())
            && intent
                .as_ref()
                .map(|intent| (intent.generation, intent.teardown))
                == other
                    .intent
                    .as_ref()
                    .map(|intent| (intent.generation, intent.teardown))
    }
}

impl Instance {
    fn is_but_for_time(&self, other: &Self) -> bool {
        let Self {
            key,
            tag: _,
            adopted: _,
            node: _,
            ordinal: _,
            replaces: _,
            phase,
            phase_since: _,
            doom,
            breakage,
            attempt,
            uncertain_since,
            candidate,
            provider,
            resource,
            created_at,
            addresses,
            fingerprint,
            given,
            revision,
            ready_at,
            last_error: _,
        } = self;
        *key == other.key
            && *phase == other.phase
            && *attempt == other.attempt
            && *candidate == other.candidate
            && *provider == other.provider
            && *given == other.given
            && *revision == other.revision
            && uncertain_since.is_some() == other.uncertain_since.is_some()
            && created_at.is_some() == other.created_at.is_some()
            && ready_at.is_some() == other.ready_at.is_some()
            && *doom == other.doom
            && *breakage == other.breakage
            && *resource == other.resource
            && *addresses == other.addresses
            && *fingerprint == other.fingerprint
    }
}

impl Progress {
    /// `is_ready` says whether failed checks in a row make a difference.
    fn is_but_for_time(&self, other: &Self, is_ready: bool) -> bool {
        let Self {
            call,
            probe: _,
            failures,
            not_before: _,
            uncertain_until: _,
            maybe_created,
            wake: _,
            probe_at: _,
            probe_failures,
            finding: _,
            absent_since,
            broke_at,
            delete_accepted,
            stuck,
            last_error: _,
        } = self;
        call.is_some() == other.call.is_some()
            && *failures == other.failures
            && *maybe_created == other.maybe_created
            && (!is_ready || *probe_failures == other.probe_failures)
            && absent_since.is_some() == other.absent_since.is_some()
            && broke_at.is_some() == other.broke_at.is_some()
            && delete_accepted.is_some() == other.delete_accepted.is_some()
            && *stuck == other.stuck
    }
}

impl NodeProgress {
    /// A set of addresses may have been worked out meanwhile.
    fn is_but_for_looks(&self, other: &Self) -> bool {
        let Self {
            outdated,
            stale,
            broken,
            given: _,
            dependents: _,
            readers: _,
            idle,
            doubted,
            dependable,
            unreachable_told: _,
            deferred,
        } = self;
        *dependable == other.dependable
            && *outdated == other.outdated
            && *stale == other.stale
            && *broken == other.broken
            && *idle == other.idle
            && *doubted == other.doubted
            && deferred.len() == other.deferred.len()
    }
}

impl ProviderProgress {
    fn is_but_for_time(&self, other: &Self) -> bool {
        let Self {
            capabilities: _,
            calls_in_flight_max: _,
            in_flight,
            waiting,
            throttled_until: _,
            throttled_failures,
            synchronised,
            observing: _,
            observe_due: _,
            observe_failures,
            observe_error,
            observed_all_at: _,
            watched,
            orphans_busy,
            needed,
            left,
            release,
        } = self;
        let orphans = orphans_busy.iter().zip(&other.orphans_busy);
        *in_flight == other.in_flight
            && *throttled_failures == other.throttled_failures
            && *synchronised == other.synchronised
            && *observe_failures == other.observe_failures
            && observe_error.is_some() == other.observe_error.is_some()
            && *needed == other.needed
            && *left == other.left
            && release.call.is_some() == other.release.call.is_some()
            && release.failures == other.release.failures
            && *waiting == other.waiting
            && *watched == other.watched
            && orphans_busy.len() == other.orphans_busy.len()
            && orphans.into_iter().all(|((id, one), (known, other))| {
                id == known && one.calling == other.calling && one.failures == other.failures
            })
    }
}
