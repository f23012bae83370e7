//! Engines without who is who: what tells them apart that differ in nothing else.

use std::hash::{Hash, Hasher};

use zenekar_base::{Addresses, InstanceKey, InstanceTag, ResourceId, Timestamp};

use crate::engine::Engine;
use crate::progress::{About, InFlight, NodeProgress, ProviderProgress, Timer};
use crate::state::{Instance, ProviderIndex, State};

/// Says what is left of a resource id or an address of an instance without
/// the instance.
pub type Nameless<'a> = &'a dyn Fn(InstanceKey, &str) -> String;

impl Engine {
    /// Gives to a hasher all that is not about a single instance.
    ///
    /// Together with what [`Engine::hash_instance`] gives of each instance, and
    /// [`Engine::lately_gone`] of former ones, it is all that there is: engines
    /// of which it is the same, instances in any order, differ only in which
    /// instance is which. It is not if instances
    /// were adopted or there are orphans: those are known by name.
    ///
    /// Of engines of the same settings only.
    pub fn hash_rest<H: Hasher>(&self, hasher: &mut H) {
        self.state.hash_rest(hasher);
        (self.now, self.recovering, self.inherited).hash(hasher);
        (self.probes_in_flight, self.next_call).hash(hasher);
        let mut gone: Vec<Timestamp> = self.lately_gone.values().copied().collect();
        gone.sort_unstable();
        gone.hash(hasher);
        (self.nodes.len(), self.providers.len()).hash(hasher);
        for node in self.nodes.iter() {
            node.hash_rest(hasher);
        }
        for provider in &self.providers {
            provider.hash_rest(hasher);
        }
        let calls = self.calls.values();
        hash_all(calls.filter_map(InFlight::without_instances), hasher);
        let timers = self.timers.iter();
        let is_shared =
            |(_, timer): &&(_, Timer)| !matches!(timer, Timer::Call(_) | Timer::Instance(_));
        hash_all(timers.filter(is_shared), hasher);
        let marked = (
            &self.dirty_nodes,
            &self.dirty_providers,
            &self.dirty_readers,
        );
        (marked, &self.dirty_instances, &self.unsettled).hash(hasher);
    }

    /// Returns the instances that a lagging list may still show, and since when
    /// they are gone.
    pub fn lately_gone(&self) -> impl Iterator<Item = (&InstanceTag, Timestamp)> {
        self.lately_gone.iter().map(|(tag, at)| (tag, *at))
    }

    /// Gives to a hasher all that is about one instance, without which it is.
    pub fn hash_instance<H: Hasher>(
        &self,
        key: InstanceKey,
        nameless: Nameless<'_>,
        hasher: &mut H,
    ) {
        let Some(instance) = self.instance(key) else {
            return;
        };
        instance.without_name(nameless).hash(hasher);
        if let Some(progress) = self.progress.get(&key) {
            let mut progress = progress.clone();
            let calls = [progress.call.take(), progress.probe.take()];
            let flights = calls.map(|call| call.and_then(|call| self.calls.get(&call)));
            for flight in flights {
                flight
                    .map(|flight| (flight.provider, flight.deadline, flight.asked_at))
                    .hash(hasher);
            }
            progress.hash(hasher);
        }
        self.hash_lists(key, instance, hasher);
        self.hash_told(key, instance, nameless, hasher);
    }

    /// Gives to a hasher which lists an instance is in.
    fn hash_lists<H: Hasher>(&self, key: InstanceKey, instance: &Instance, hasher: &mut H) {
        let lists = &self.nodes[instance.node.index()];
        let sets = [&lists.outdated, &lists.broken, &lists.idle, &lists.doubted];
        sets.map(|set| set.contains(&key)).hash(hasher);
        lists.stale.get(&key).hash(hasher);
        let steps = lists.deferred.iter();
        for step in steps.filter(|step| step.instance == Some(key)) {
            (&step.action, &step.cause, &step.when).hash(hasher);
        }
        for provider in &self.providers {
            provider.watched.contains(&key).hash(hasher);
            let waiting = provider.waiting.iter();
            let ranks = waiting.filter(|(_, other)| *other == key);
            ranks
                .map(|(rank, _)| *rank)
                .collect::<Vec<_>>()
                .hash(hasher);
        }
        let timers = self.timers.iter();
        let timers = timers.filter(|(_, timer)| *timer == Timer::Instance(key));
        timers.map(|(at, _)| *at).collect::<Vec<_>>().hash(hasher);
        for flight in self.calls.values() {
            if let About::Observe(keys) = &flight.about
                && keys.contains(&key)
            {
                (flight.provider, flight.asked_at, flight.deadline).hash(hasher);
            }
        }
    }

    /// Gives to a hasher what others were told of an instance.
    fn hash_told<H: Hasher>(
        &self,
        key: InstanceKey,
        instance: &Instance,
        nameless: Nameless<'_>,
        hasher: &mut H,
    ) {
        for (set, (nodes, _)) in &self.state.given {
            for node in nodes.iter() {
                let told = node.instances.iter();
                for given in told.filter(|given| given.instance == instance.tag) {
                    let addresses = given.addresses.without_name(key, nameless);
                    (set, node.node, addresses).hash(hasher);
                }
            }
        }
    }
}

/// Leaves out of addresses whose they are.
trait WithoutName {
    fn without_name(&self, key: InstanceKey, nameless: Nameless<'_>) -> Self;
}

impl WithoutName for Addresses {
    fn without_name(&self, key: InstanceKey, nameless: Nameless<'_>) -> Self {
        Self {
            all: self.all.iter().map(|text| nameless(key, text)).collect(),
            private: self.private.as_ref().map(|text| nameless(key, text)),
        }
    }
}

impl Instance {
    fn without_name(&self, nameless: Nameless<'_>) -> Self {
        let resource = self.resource.as_ref();
        Self {
            key: InstanceKey(0),
            tag: InstanceTag::new(""),
            ordinal: 0,
            // Only people are told.
            replaces: None,
            resource: resource.map(|id| ResourceId::new(nameless(self.key, id.as_str()))),
            addresses: self.addresses.without_name(self.key, nameless),
            ..self.clone()
        }
    }
}

/// Gives values to a hasher, and where they end.
fn hash_all<T: Hash, H: Hasher>(all: impl Iterator<Item = T>, hasher: &mut H) {
    for one in all {
        (true, one).hash(hasher);
    }
    false.hash(hasher);
}

impl State {
    fn hash_rest<H: Hasher>(&self, hasher: &mut H) {
        let Self {
            infrastructure: _,
            intent,
            nodes,
            names: _,
            node_keys,
            instances: _,
            tags,
            adopted: _,
            taken_over,
            providers,
            given,
            next_given,
            next_instance,
            orphans: _,
            held,
            release_errors,
            requests,
            replacements,
            torn_down,
            last_at,
        } = self;
        (intent, node_keys, taken_over, providers, torn_down, last_at).hash(hasher);
        (next_given, next_instance, held, release_errors).hash(hasher);
        (requests, replacements).hash(hasher);
        nodes.len().hash(hasher);
        for node in nodes.iter() {
            let counts = (node.target, node.next_ordinal, node.counting);
            (counts, node.serving, node.broken, node.scaled).hash(hasher);
            (&node.name, node.index, &node.dependencies, &node.block).hash(hasher);
        }
        given.len().hash(hasher);
        for (set, (told, holders)) in given {
            (set, holders).hash(hasher);
            let others = told.iter().flat_map(|node| {
                let others = node.instances.iter();
                let others = others.filter(|given| !tags.contains_key(&given.instance));
                others.map(|given| (node.node, given))
            });
            hash_all(others, hasher);
        }
    }
}

impl NodeProgress {
    fn hash_rest<H: Hasher>(&self, hasher: &mut H) {
        let Self {
            outdated: _,
            stale: _,
            broken: _,
            given,
            dependents,
            readers,
            idle: _,
            doubted: _,
            dependable,
            unreachable_told,
            deferred,
        } = self;
        (given, dependents, readers, dependable, unreachable_told).hash(hasher);
        let steps = deferred.iter();
        hash_all(steps.filter(|step| step.instance.is_none()), hasher);
    }
}

impl ProviderProgress {
    fn hash_rest<H: Hasher>(&self, hasher: &mut H) {
        let Self {
            capabilities: _,
            calls_in_flight_max: _,
            in_flight,
            waiting: _,
            throttled_until,
            throttled_failures,
            synchronised,
            observing,
            observe_due,
            observe_failures,
            observe_error,
            observed_all_at,
            watched: _,
            orphans_busy,
            needed,
            left,
            release,
        } = self;
        (in_flight, throttled_until, throttled_failures, synchronised).hash(hasher);
        (observing, observe_due, observe_failures, observe_error).hash(hasher);
        (observed_all_at, orphans_busy, needed, left).hash(hasher);
        let release_calls = release.call.is_some();
        (
            release_calls,
            release.failures,
            release.not_before,
            &release.last_error,
        )
            .hash(hasher);
    }
}

impl InFlight {
    /// Returns what is left of a call without the instances that it is about;
    /// nothing if it is about one.
    fn without_instances(&self) -> Option<(ProviderIndex, [Timestamp; 2], Option<&About>)> {
        let about = match &self.about {
            About::Observe(_) => None,
            about @ (About::ObserveAll | About::DeleteOrphan(_) | About::Release) => Some(about),
            _ => return None,
        };
        Some((self.provider, [self.deadline, self.asked_at], about))
    }
}
