//! Looking at providers: when, at what, and what absence means.

use std::collections::BTreeSet;

use zenekar_base::{
    ErrorClass, InstanceKey, NodeKey, ProviderError, ResourceId, ResourceState, ResourceView,
    Timestamp,
};

use crate::backoff;
use crate::defect::Defect;
use crate::effect::{Notice, Operation, Response, Scope};
use crate::engine::Engine;
use crate::progress::{About, Timer};
use crate::record::{Breakage, Record};
use crate::settings::{
    CALL_DEADLINE, OBSERVE_CONFIRM_INTERVAL, OBSERVE_STARTING_INTERVAL, OBSERVE_STEADY_INTERVAL,
};
use crate::state::{Instance, Phase, ProviderIndex};

impl Engine {
    /// Notes whether an instance is about to change at its provider.
    pub(crate) fn update_watch(&mut self, key: InstanceKey) {
        let Some(instance) = self.instance(key) else {
            return;
        };
        let Some(provider) = instance.provider else {
            return;
        };
        let doomed = instance.doom.is_some();
        let (booting, unresolved) = (
            instance.phase == Phase::Booting && instance.breakage.is_none(),
            instance.resource.is_none() && instance.uncertain_since.is_some(),
        );
        let progress = self.progress.get(&key);
        let accepted = progress.is_some_and(|progress| progress.delete_accepted.is_some());
        let absent = progress.is_some_and(|progress| progress.absent_since.is_some())
            || self.is_doubted(instance);
        let calling = progress.is_some_and(|progress| progress.call.is_some());
        let watched = if doomed {
            accepted || (unresolved && !calling)
        } else {
            booting || absent
        };
        let set = &mut self.providers[provider.index()].watched;
        if watched {
            if set.insert(key) {
                let pause = if absent {
                    OBSERVE_CONFIRM_INTERVAL
                } else {
                    OBSERVE_STARTING_INTERVAL
                };
                self.schedule_observe(provider, self.now + pause);
            }
        } else {
            set.remove(&key);
        }
    }

    /// Sees to it that a provider is looked at no later than `at`.
    pub(crate) fn schedule_observe(&mut self, provider: ProviderIndex, at: Timestamp) {
        let progress = &mut self.providers[provider.index()];
        if progress.observe_due.is_none_or(|due| due > at) {
            if let Some(due) = progress.observe_due.replace(at) {
                self.timers.remove(&(due, Timer::Observe(provider)));
            }
            self.timers.insert((at, Timer::Observe(provider)));
        }
    }

    /// Looks at everything as soon as possible: a person asks to try again.
    pub(crate) fn observe_everything_soon(&mut self) {
        for index in 0..self.providers.len() {
            let provider = ProviderIndex(
                u16::try_from(index).expect("there are fewer provider types than 2^16"),
            );
            self.providers[index].observed_all_at = self.now - OBSERVE_STEADY_INTERVAL;
            self.schedule_observe(provider, self.now);
        }
    }

    /// Looks at everything of a provider because a check of one of its
    /// instances failed: if the resource broke down or is gone, the provider
    /// knows, and nobody has to wait for more checks to fail. Many failures at
    /// once, or a flapping instance, cost one look in each interval.
    pub(crate) fn observe_after_failed_probe(&mut self, provider: ProviderIndex) {
        let progress = &mut self.providers[provider.index()];
        let at = self
            .now
            .max(progress.observed_all_at + OBSERVE_CONFIRM_INTERVAL);
        progress.observed_all_at = progress.observed_all_at.min(at - OBSERVE_STEADY_INTERVAL);
        self.schedule_observe(provider, at);
    }

    /// Looks at a provider: at everything if something is unknown or it is
    /// time for it, else only at what is about to change.
    pub(crate) fn observe(&mut self, provider: ProviderIndex) {
        let progress = &self.providers[provider.index()];
        if progress.observing > 0 {
            return;
        }
        let all = !progress.synchronised
            || self.now.since(progress.observed_all_at) >= OBSERVE_STEADY_INTERVAL
            || progress.watched.iter().any(|key| {
                self.instance(*key)
                    .is_some_and(|instance| instance.resource.is_none())
            });
        let deadline = self.now + CALL_DEADLINE;
        if all {
            self.providers[provider.index()].observing = 1;
            self.call(
                provider,
                About::ObserveAll,
                deadline,
                Operation::Observe { scope: Scope::All },
            );
            // What was adopted has no tag of ours, so no listing shows it.
            let adopted = self.adopted_at(provider);
            self.observe_instances(provider, &adopted);
            return;
        }
        let watched: Vec<_> = progress
            .watched
            .iter()
            .filter_map(|key| self.instance(*key))
            .filter_map(|instance| Some((instance.key, instance.resource.clone()?)))
            .collect();
        self.observe_instances(provider, &watched);
        if watched.is_empty() {
            self.schedule_next_observation(provider);
        }
    }

    /// Looks at some instances by what the provider calls them.
    fn observe_instances(
        &mut self,
        provider: ProviderIndex,
        instances: &[(InstanceKey, ResourceId)],
    ) {
        let capabilities = &self.providers[provider.index()].capabilities;
        let batch_max = capabilities.describe_batch_max.max(1) as usize;
        for batch in instances.chunks(batch_max) {
            self.providers[provider.index()].observing += 1;
            let keys = batch.iter().map(|(key, _)| *key).collect();
            self.call(
                provider,
                About::Observe(keys),
                self.now + CALL_DEADLINE,
                Operation::Observe {
                    scope: Scope::Instances(batch.to_vec()),
                },
            );
        }
    }

    fn schedule_next_observation(&mut self, provider: ProviderIndex) {
        let progress = &self.providers[provider.index()];
        let at = if !progress.synchronised || progress.observe_failures > 0 {
            let failures = progress.observe_failures.max(1);
            let class = progress
                .observe_error
                .as_ref()
                .map_or(ErrorClass::Retryable, |error| error.class);
            Some(
                self.now
                    + self.jitter(
                        backoff::pause(class, failures),
                        u64::from(provider.0) | 1 << 40,
                        failures,
                    ),
            )
        } else if !progress.watched.is_empty() {
            Some(self.now + OBSERVE_STARTING_INTERVAL)
        } else if self.state.instances.is_empty() && self.state.orphans.is_empty() {
            None
        } else {
            Some(
                (progress.observed_all_at + OBSERVE_STEADY_INTERVAL)
                    .max(self.now + OBSERVE_STARTING_INTERVAL),
            )
        };
        if let Some(at) = at {
            self.schedule_observe(provider, at);
        }
    }

    /// Takes the answer to an observation of everything (`asked` is `None`) or of some instances.
    pub(crate) fn observed(
        &mut self,
        provider: ProviderIndex,
        asked: Option<Vec<InstanceKey>>,
        asked_at: Timestamp,
        result: Result<Response, ProviderError>,
    ) {
        match result {
            Ok(Response::Observed(views)) => {
                let progress = &mut self.providers[provider.index()];
                progress.observe_failures = 0;
                progress.observe_error = None;
                let seen = self.views_seen(provider, views, asked_at);
                let expected = asked.clone().unwrap_or_else(|| self.instances_at(provider));
                for key in expected.into_iter().filter(|key| !seen.contains(key)) {
                    self.absent(provider, key, asked_at);
                }
                if asked.is_none() {
                    self.synchronise(provider, asked_at);
                }
            }
            Ok(_) => self.observe_failed(provider, crate::complete::unexpected()),
            Err(error) => self.observe_failed(provider, error),
        }
        if self.providers[provider.index()].observing == 0 {
            self.schedule_next_observation(provider);
        }
    }

    fn observe_failed(&mut self, provider: ProviderIndex, error: ProviderError) {
        let progress = &mut self.providers[provider.index()];
        progress.observe_failures += 1;
        progress.observe_error = Some(error.clone());
        self.notify(Notice::CallFailed {
            instance: None,
            operation: "observe",
            error,
            retry_after: None,
        });
    }

    /// Notes that everything at a provider was seen.
    fn synchronise(&mut self, provider: ProviderIndex, asked_at: Timestamp) {
        let settle = self.providers[provider.index()].capabilities.settle;
        let progress = &mut self.providers[provider.index()];
        progress.observed_all_at = asked_at;
        let first = !std::mem::replace(&mut progress.synchronised, true);
        self.lately_gone.retain(|_, at| asked_at < *at + settle);
        if first {
            self.dirty_instances
                .extend(self.state.instances.keys().copied());
        }
    }

    /// Returns the instances that a listing of everything with our tag shows.
    fn instances_at(&self, provider: ProviderIndex) -> Vec<InstanceKey> {
        self.state
            .instances
            .values()
            .filter(|instance| instance.provider == Some(provider) && !instance.adopted)
            .map(|instance| instance.key)
            .collect()
    }

    /// Applies what is shown, and returns which instances were.
    fn views_seen(
        &mut self,
        provider: ProviderIndex,
        views: Vec<ResourceView>,
        asked_at: Timestamp,
    ) -> BTreeSet<InstanceKey> {
        let settle = self.providers[provider.index()].capabilities.settle;
        let mut seen = BTreeSet::new();
        for view in views {
            let gone = matches!(view.state, ResourceState::Gone | ResourceState::Deleting);
            let place = (provider, view.resource.clone());
            let adopted = self.state.adopted.get(&place);
            let key = adopted.or_else(|| self.state.tags.get(&view.instance));
            let key = key.copied();
            // What another provider shows under the same tag is not the instance.
            let owner = key.and_then(|key| self.instance(key)).map(|instance| {
                let here = instance.provider == Some(provider);
                (
                    instance.key,
                    instance.resource.clone().filter(|_| here),
                    here && instance.uncertain_since.is_some(),
                )
            });
            match owner {
                Some((key, Some(resource), _)) if resource == view.resource => {
                    seen.insert(key);
                    if !self.shows_nothing_new(key, &view) {
                        self.dirty_instances.insert(key);
                        self.resource_seen(provider, key, view, asked_at);
                    }
                }
                Some((key, None, true)) if !gone => {
                    seen.insert(key);
                    // A call in flight will say the same; its answer is not waited for.
                    self.adopt(provider, key, view);
                }
                Some((key, None, true)) => {
                    seen.insert(key);
                    self.resource_seen(provider, key, view, asked_at);
                }
                // Two resources for one instance, or one for none: what we do not want goes.
                Some(_) | None if gone => {}
                // Without our tag it is not ours to delete.
                None if view.instance.as_str().is_empty() => {}
                Some(_) if self.has_defect(Defect::TwinsAreKept) => {}
                Some(_) => self.orphan_seen(provider, view),
                None => {
                    let lately = self
                        .lately_gone
                        .get(&view.instance)
                        .is_some_and(|at| asked_at < *at + settle);
                    if !lately {
                        self.orphan_seen(provider, view);
                    }
                }
            }
        }
        seen
    }

    /// Says whether a look at an instance changes nothing: most looks at those
    /// that are starting, and at those that run.
    fn shows_nothing_new(&self, key: InstanceKey, view: &ResourceView) -> bool {
        let Some(instance) = self.instance(key) else {
            return true;
        };
        let expected = instance.doom.is_none() && instance.breakage.is_none();
        let as_known = match view.state {
            ResourceState::Pending => instance.phase == Phase::Booting,
            ResourceState::Running => {
                instance.phase > Phase::Booting && instance.addresses == view.addresses
            }
            _ => false,
        };
        let was_absent = self
            .progress
            .get(&key)
            .is_some_and(|progress| progress.absent_since.is_some());
        expected && as_known && !was_absent && !self.is_doubted(instance)
    }

    /// Says whether the last look at an instance's provider did not show it.
    pub(crate) fn is_doubted(&self, instance: &Instance) -> bool {
        self.nodes[instance.node.index()]
            .doubted
            .contains(&instance.key)
    }

    /// Says whether an instance does its work now, as far as anybody can tell:
    /// one that the last look did not show may be gone.
    pub(crate) fn surely_serves(&self, instance: &Instance) -> bool {
        instance.serves() && !self.is_doubted(instance)
    }

    /// Notes that a look did not show an instance: until another look tells,
    /// nobody may build on it, nor say that what is wanted is there.
    fn doubt(&mut self, key: InstanceKey) {
        let alive = self
            .instance(key)
            .filter(|instance| instance.doom.is_none() && instance.breakage.is_none());
        if let Some(node) = alive.map(|instance| instance.node)
            && self.nodes[node.index()].doubted.insert(key)
        {
            self.nodes_changed(node);
        }
    }

    /// Ends the doubt about an instance: it was seen, is lost, or is to go.
    pub(crate) fn end_doubt(&mut self, node: NodeKey, key: InstanceKey) {
        if self.nodes[node.index()].doubted.remove(&key) {
            self.nodes_changed(node);
        }
    }

    /// Takes note of a resource with our tag that nothing wants.
    pub(crate) fn orphan_seen(&mut self, index: ProviderIndex, view: ResourceView) {
        let key = (index, view.resource.clone());
        if !self.state.orphans.contains_key(&key) {
            let provider = self.state.providers[index.index()].clone();
            self.record(Record::OrphanFound {
                provider,
                resource: view.resource,
            });
        }
        self.dirty_providers.insert(index);
    }

    /// Decides what it means that an observation does not show an instance. A
    /// list may lag, so absence counts only once it cannot be a lag any more.
    fn absent(&mut self, provider: ProviderIndex, key: InstanceKey, asked_at: Timestamp) {
        let settle = self.providers[provider.index()].capabilities.settle;
        let now = self.now;
        self.dirty_instances.insert(key);
        let Some(instance) = self.instance(key) else {
            return;
        };
        let doomed = instance.doom.is_some();
        if instance.resource.is_none() {
            let Some(since) = instance.uncertain_since else {
                return;
            };
            if !doomed && self.has_defect(Defect::StaleListCreatesAgain) {
                return self.lose_creation(key);
            }
            let progress = self.progress_of(key);
            // A late effect needs one span to happen and another to show.
            let settled_at = progress.uncertain_until.max(since) + settle + settle;
            if doomed && progress.call.is_none() && asked_at >= settled_at {
                self.record(Record::Gone { instance: key });
            }
            return;
        }
        if !doomed && self.has_defect(Defect::OneAbsenceIsLoss) {
            return self.break_down(key, Breakage::Lost);
        }
        let created_at = instance.created_at.unwrap_or(Timestamp::ZERO);
        if asked_at < created_at + settle {
            // Perhaps a lag, and perhaps not. A look from before tells nothing.
            if asked_at >= created_at {
                self.doubt(key);
            }
            return;
        }
        if doomed {
            // Only what was told to go may be forgotten for not being shown.
            let progress = self.progress_of(key);
            if progress.delete_accepted.is_some() && progress.call.is_none() {
                self.record(Record::Gone { instance: key });
            }
            return;
        }
        let progress = self.progress_of(key);
        match progress.absent_since {
            None => {
                progress.absent_since = Some(now);
                self.doubt(key);
            }
            Some(since) if asked_at > since => self.break_down(key, Breakage::Lost),
            Some(_) => {}
        }
    }
}
