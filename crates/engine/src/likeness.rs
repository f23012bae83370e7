//! Engines without who is who: what tells them apart that differ in nothing else.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use zenekar_base::{Addresses, CallId, InstanceKey, InstanceTag, ResourceId, Timestamp};

use crate::engine::Engine;
use crate::progress::{About, InFlight, Timer};
use crate::state::Instance;

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
    pub fn hash_rest<H: Hasher>(&self, hasher: &mut H) {
        let mut rest = self.clone();
        let tags = std::mem::take(&mut rest.state.tags);
        for (nodes, _) in rest.state.given.values_mut() {
            for node in Arc::make_mut(nodes) {
                node.instances
                    .retain(|given| !tags.contains_key(&given.instance));
            }
        }
        rest.state.instances.clear();
        for node in &mut rest.state.nodes {
            node.instances.clear();
        }
        let mut gone: Vec<_> = std::mem::take(&mut rest.lately_gone)
            .into_values()
            .collect();
        gone.sort_unstable();
        gone.hash(hasher);
        rest.progress.clear();
        for node in &mut rest.nodes {
            node.outdated.clear();
            node.stale.clear();
            node.broken.clear();
            node.idle.clear();
            node.doubted.clear();
            node.deferred.retain(|step| step.instance.is_none());
        }
        for provider in &mut rest.providers {
            provider.waiting.clear();
            provider.watched.clear();
            provider.release.call = provider.release.call.map(|_| CallId(0));
        }
        let calls = std::mem::take(&mut rest.calls).into_values();
        let shared = calls.filter_map(InFlight::without_instances);
        rest.calls = (1..).map(CallId).zip(shared).collect();
        rest.timers
            .retain(|(_, timer)| !matches!(timer, Timer::Call(_) | Timer::Instance(_)));
        rest.hash(hasher);
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

impl InFlight {
    /// Returns what is left of a call without the instances that it is about;
    /// nothing if it is about one.
    fn without_instances(self) -> Option<Self> {
        let about = match self.about {
            About::Observe(_) => About::Observe(Vec::new()),
            about @ (About::ObserveAll | About::DeleteOrphan(_) | About::Release) => about,
            _ => return None,
        };
        Some(Self { about, ..self })
    }
}
