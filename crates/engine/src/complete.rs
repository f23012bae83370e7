//! Answers to calls: what each means for its subject.

use zenekar_base::{
    CallId, ErrorClass, InstanceKey, Millis, ProbeResult, ProviderError, ResourceId, ResourceState,
    ResourceView, Timestamp,
};

use crate::backoff;
use crate::defect::Defect;
use crate::effect::{Notice, Response};
use crate::engine::Engine;
use crate::progress::{About, InFlight, Timer};
use crate::record::{Breakage, Doom, Record};
use crate::settings::{
    BLOCK_RETRY_INTERVAL, DELETE_PATIENCE, OBSERVE_STEADY_INTERVAL, PROBE_FAILURES_TOLERATED,
    PROBE_READY_INTERVAL, PROBE_READY_INTERVAL_BUSY, PROBE_STARTING_INTERVAL, RETRY_AFTER_MAX,
};
use crate::state::{Phase, ProviderIndex};

impl Engine {
    /// Takes an answer. One that nobody waits for any more is dropped: what it
    /// could tell is found out by a repeated call or an observation.
    pub(crate) fn handle_completion(
        &mut self,
        id: CallId,
        result: Result<Response, ProviderError>,
    ) {
        let Some(flight) = self.calls.remove(&id) else {
            return;
        };
        self.timers.remove(&(flight.deadline, Timer::Call(id)));
        self.complete(flight, result);
    }

    /// Gives up waiting for an answer: the outcome is unknown.
    pub(crate) fn call_overdue(&mut self, id: CallId) {
        if let Some(flight) = self.calls.remove(&id) {
            let error = ProviderError::new(ErrorClass::Unknown, "no answer in time");
            self.complete(flight, Err(error));
        }
    }

    fn complete(&mut self, flight: InFlight, result: Result<Response, ProviderError>) {
        let provider = flight.provider;
        match &flight.about {
            About::Probe(_) => self.probes_in_flight -= 1,
            About::Observe(_) | About::ObserveAll => {
                self.providers[provider.index()].observing -= 1;
            }
            _ => {
                self.providers[provider.index()].in_flight -= 1;
                self.dirty_providers.insert(provider);
            }
        }
        self.note_throttling(provider, result.as_ref().err());
        match flight.about {
            About::Create(key) => self.created(provider, key, result),
            About::Delete(key) => self.deleted(provider, key, result),
            About::DeleteOrphan(resource) => self.orphan_deleted(provider, resource, result),
            About::Recontextualise(key) => self.recontextualised(key, result),
            About::Probe(key) => self.probed(key, flight.asked_at, result),
            About::ObserveAll => self.observed(provider, None, flight.asked_at, result),
            About::Release => self.released(provider, result),
            About::Observe(keys) => self.observed(provider, Some(keys), flight.asked_at, result),
        }
    }

    /// Pauses a provider that asks for it, and ends the pause when it answers again.
    fn note_throttling(&mut self, index: ProviderIndex, error: Option<&ProviderError>) {
        let now = self.now;
        let failures = self.providers[index.index()].throttled_failures + 1;
        match error {
            Some(error) if error.class == ErrorClass::Throttled => {
                let pause = error.retry_after.unwrap_or_else(|| {
                    self.jitter(
                        backoff::pause(ErrorClass::Throttled, failures),
                        u64::from(index.0),
                        failures,
                    )
                });
                let pause = pause.min(RETRY_AFTER_MAX);
                let provider = &mut self.providers[index.index()];
                // Many calls are throttled at once: they count as one failure.
                if provider.throttled_until <= now {
                    provider.throttled_failures = failures;
                }
                provider.throttled_until = provider.throttled_until.max(now + pause);
                let until = provider.throttled_until;
                self.timers.insert((until, Timer::Throttle(index)));
            }
            Some(_) => {}
            None => self.providers[index.index()].throttled_failures = 0,
        }
    }

    fn created(
        &mut self,
        provider: ProviderIndex,
        key: InstanceKey,
        result: Result<Response, ProviderError>,
    ) {
        let now = self.now;
        let Some(progress) = self.progress.get_mut(&key) else {
            return;
        };
        progress.call = None;
        progress.uncertain_until = now;
        self.dirty_instances.insert(key);
        match result {
            Ok(Response::Created(view)) => {
                let progress = self.progress_of(key);
                progress.failures = 0;
                progress.last_error = None;
                self.adopt(provider, key, view);
            }
            Ok(_) => self.create_failed(key, unexpected()),
            Err(error) => self.create_failed(key, error),
        }
    }

    /// Takes note of a resource that is the instance.
    pub(crate) fn adopt(&mut self, provider: ProviderIndex, key: InstanceKey, view: ResourceView) {
        let Some(instance) = self.instance(key) else {
            return;
        };
        match &instance.resource {
            None => self.record(Record::Created {
                instance: key,
                resource: view.resource.clone(),
            }),
            Some(resource) if *resource == view.resource => {}
            Some(_) => return self.orphan_seen(provider, view),
        }
        self.resource_seen(provider, key, view, self.now);
        self.schedule_observe(
            provider,
            self.now + crate::settings::OBSERVE_STARTING_INTERVAL,
        );
    }

    fn create_failed(&mut self, key: InstanceKey, error: ProviderError) {
        let Some(instance) = self.instance(key) else {
            return;
        };
        if instance.resource.is_some() {
            // An observation has shown it meanwhile: it was created after all.
            return;
        }
        let (node, doomed, candidate) =
            (instance.node, instance.doom.is_some(), instance.candidate);
        let provider = instance.provider;
        // One call without an answer makes the whole attempt uncertain: its
        // effect may still come after a later call of the same token was refused.
        let unanswered = matches!(error.class, ErrorClass::Unknown | ErrorClass::Conflict);
        let progress = self.progress_of(key);
        progress.maybe_created |= unanswered;
        let uncertain = progress.maybe_created && !self.has_defect(Defect::TimeoutIsFailure);
        if self.has_defect(Defect::ParallelRollback) {
            self.forget_siblings(node, key);
        }
        let (given_up, pause) = self.note_failure(key, &error);
        if !doomed {
            let retry_after = (!given_up).then_some(pause);
            self.notify(Notice::CallFailed {
                instance: Some(key),
                operation: "create",
                error: error.clone(),
                retry_after,
            });
        }
        if !uncertain {
            // Without effect: the next attempt starts afresh, with the addresses of then.
            let candidate = if doomed {
                candidate
            } else {
                self.next_candidate(key, error.class)
            };
            let message = error.message.clone();
            self.record(Record::CreateFailed {
                instance: key,
                class: error.class,
                message,
                candidate,
            });
            // It is not made of anything now; the next attempt follows the descriptor.
            self.nodes[node.index()].outdated.remove(&key);
            // The provider may have made it all the same, and have nothing else of ours to look at.
            if let Some(provider) = provider {
                self.schedule_observe(provider, self.now + OBSERVE_STEADY_INTERVAL);
            }
        }
        if given_up && !doomed {
            self.record(Record::Blocked {
                node,
                class: error.class,
                message: error.message,
            });
            self.schedule_unblock(node);
            if uncertain {
                self.doom(key, Doom::CreateFailed);
            }
            self.dirty_instances
                .extend(self.state.node(node).instances.iter().copied());
        }
    }

    /// Counts a failed call about an instance, and says whether it is one too
    /// many, and how long to pause before the next.
    fn note_failure(&mut self, key: InstanceKey, error: &ProviderError) -> (bool, Millis) {
        // A pause that the provider asks for is not the instance's failure.
        let counts = u32::from(error.class != ErrorClass::Throttled);
        let failures = self.progress_of(key).failures + counts;
        let pause = backoff::pause(error.class, failures);
        let pause = self.jitter(pause, u64::from(key.0), failures);
        let now = self.now;
        let progress = self.progress_of(key);
        progress.failures = failures;
        progress.not_before = now + pause;
        progress.last_error = Some(error.clone());
        let is_final = self.has_defect(Defect::FirstErrorIsFinal);
        (is_final || backoff::exhausted(error.class, failures), pause)
    }

    /// Returns the candidate to try next: another one if this one's provider has no room.
    fn next_candidate(&self, key: InstanceKey, class: ErrorClass) -> u32 {
        let Some(instance) = self.instance(key) else {
            return 0;
        };
        let described = self.state.node(instance.node).index.and_then(|index| {
            self.state
                .intent
                .as_ref()
                .map(|intent| intent.topology.node(index))
        });
        let count = described.map_or(1, |described| described.candidates.len());
        if matches!(class, ErrorClass::Capacity | ErrorClass::Quota) {
            (instance.candidate + 1) % u32::try_from(count).unwrap_or(1).max(1)
        } else {
            instance.candidate
        }
    }

    fn deleted(
        &mut self,
        provider: ProviderIndex,
        key: InstanceKey,
        result: Result<Response, ProviderError>,
    ) {
        let settle = self.providers[provider.index()].capabilities.settle;
        let now = self.now;
        let Some(progress) = self.progress.get_mut(&key) else {
            return;
        };
        progress.call = None;
        self.dirty_instances.insert(key);
        let gone = deletion(result);
        match gone {
            Ok(gone) => {
                progress.failures = 0;
                progress.stuck = false;
                progress.last_error = None;
                let created_at = self
                    .instance(key)
                    .and_then(|instance| instance.created_at)
                    .unwrap_or(Timestamp::ZERO);
                if gone && now >= created_at + settle {
                    self.record(Record::Gone { instance: key });
                } else if gone {
                    // A provider that has only just made it may not know it everywhere yet: ask again then.
                    let is_hasty = self.has_defect(Defect::DeletesWithoutPause);
                    let then = if is_hasty { now } else { created_at + settle };
                    self.progress_of(key).not_before = then;
                } else {
                    self.progress_of(key).delete_accepted = Some(now);
                    self.schedule_observe(
                        provider,
                        now + crate::settings::OBSERVE_STARTING_INTERVAL,
                    );
                }
            }
            Err(error) => self.delete_failed(key, error),
        }
    }

    fn delete_failed(&mut self, key: InstanceKey, error: ProviderError) {
        if self.has_defect(Defect::RefusedDeletionIsDone) {
            return self.record(Record::Gone { instance: key });
        }
        let (stuck, mut pause) = self.note_failure(key, &error);
        if stuck {
            pause = BLOCK_RETRY_INTERVAL;
        }
        let now = self.now;
        let progress = self.progress_of(key);
        progress.stuck = stuck;
        progress.not_before = now + pause;
        self.notify(Notice::CallFailed {
            instance: Some(key),
            operation: "delete",
            error,
            retry_after: Some(pause),
        });
    }

    fn orphan_deleted(
        &mut self,
        index: ProviderIndex,
        resource: ResourceId,
        result: Result<Response, ProviderError>,
    ) {
        let gone = deletion(result);
        if gone == Ok(true) {
            self.providers[index.index()].orphans_busy.remove(&resource);
            let provider = self.state.providers[index.index()].clone();
            self.record(Record::OrphanGone { provider, resource });
            return;
        }
        let error = gone.err();
        let now = self.now;
        let orphan = self.providers[index.index()]
            .orphans_busy
            .entry(resource)
            .or_default();
        orphan.calling = false;
        orphan.failures = error.as_ref().map_or(0, |_| orphan.failures + 1);
        let pause = match &error {
            Some(error) => backoff::pause(error.class, orphan.failures),
            None => crate::settings::OBSERVE_STARTING_INTERVAL,
        };
        orphan.not_before = now + pause;
        orphan.last_error.clone_from(&error);
        self.timers.insert((now + pause, Timer::Throttle(index)));
        if let Some(error) = error {
            self.notify(Notice::CallFailed {
                instance: None,
                operation: "delete",
                error,
                retry_after: Some(pause),
            });
        }
    }

    fn recontextualised(&mut self, key: InstanceKey, result: Result<Response, ProviderError>) {
        let Some(progress) = self.progress.get_mut(&key) else {
            return;
        };
        progress.call = None;
        self.dirty_instances.insert(key);
        let restarting = self
            .instance(key)
            .is_some_and(|instance| instance.phase == Phase::Restarting);
        if !restarting {
            return;
        }
        match result {
            Ok(_) => {
                let now = self.now;
                let progress = self.progress_of(key);
                progress.failures = 0;
                progress.probe_at = Some(now);
                self.record(Record::Recontextualised { instance: key });
            }
            Err(error) => {
                let (exhausted, pause) = self.note_failure(key, &error);
                let given_up = exhausted || error.class == ErrorClass::NotFound;
                let retry_after = (!given_up).then_some(pause);
                self.notify(Notice::CallFailed {
                    instance: Some(key),
                    operation: "recontextualise",
                    error: error.clone(),
                    retry_after,
                });
                if given_up {
                    self.break_down(key, Breakage::Failed(error.message));
                }
            }
        }
    }

    fn probed(
        &mut self,
        key: InstanceKey,
        asked_at: Timestamp,
        result: Result<Response, ProviderError>,
    ) {
        let now = self.now;
        let Some(progress) = self.progress.get_mut(&key) else {
            return;
        };
        progress.probe = None;
        self.dirty_instances.insert(key);
        let Some(instance) = self
            .instance(key)
            .filter(|instance| instance.doom.is_none())
            .filter(|instance| matches!(instance.breakage, None | Some(Breakage::Unhealthy(_))))
        else {
            return;
        };
        if asked_at < instance.phase_since && instance.phase == Phase::Checking {
            // It is about the time before the instance was contextualised again.
            return;
        }
        let broken = instance.breakage.is_some();
        let (phase, provider) = (instance.phase, instance.provider);
        if !matches!(phase, Phase::Checking | Phase::Ready | Phase::Unready) {
            return;
        }
        let starting_pause = self.starting_probe_pause(instance);
        let ready_pause = if self.unsettled.is_empty() {
            PROBE_READY_INTERVAL
        } else {
            PROBE_READY_INTERVAL_BUSY
        };
        if let (Err(error), Some(provider)) = (&result, provider)
            && error.class == ErrorClass::NotFound
        {
            // Only the provider can tell what became of it.
            self.observe_after_failed_probe(provider);
        }
        let finding = match result {
            Ok(Response::Probed(_)) if self.has_defect(Defect::ChecksAreIgnored) => None,
            Ok(Response::Probed(ProbeResult::Healthy)) => None,
            Ok(Response::Probed(ProbeResult::Unhealthy(finding))) => Some(finding),
            Ok(_) => Some("the check gave no finding".to_owned()),
            // A check that could not be made says nothing about an instance that was well.
            Err(error)
                if phase == Phase::Ready
                    && !matches!(error.class, ErrorClass::Unknown | ErrorClass::NotFound) =>
            {
                self.progress_of(key).probe_at = Some(now + PROBE_READY_INTERVAL);
                return;
            }
            Err(error) => Some(error.message),
        };
        let progress = self.progress_of(key);
        progress.finding.clone_from(&finding);
        let Some(finding) = finding else {
            progress.probe_failures = 0;
            progress.probe_at = Some(now + ready_pause);
            if broken {
                self.recover_instance(key);
            }
            if phase != Phase::Ready {
                self.record(Record::Ready { instance: key });
            }
            return;
        };
        progress.probe_failures += 1;
        progress.probe_at = Some(
            now + if phase == Phase::Ready {
                PROBE_STARTING_INTERVAL
            } else {
                starting_pause
            },
        );
        let failures = progress.probe_failures;
        if let (Phase::Ready, 1, Some(provider)) = (phase, failures, provider) {
            self.observe_after_failed_probe(provider);
        }
        if phase == Phase::Ready && self.has_defect(Defect::OneFailedCheckReplaces) {
            return self.break_down(key, Breakage::Unhealthy(finding));
        }
        if phase == Phase::Ready && failures > PROBE_FAILURES_TOLERATED {
            self.record(Record::Unready {
                instance: key,
                detail: finding,
            });
        }
    }

    /// Asks again for a deletion that was accepted and has not happened.
    fn deletion_ineffective(&mut self, key: InstanceKey, asked_at: Timestamp, settle: Millis) {
        let progress = self.progress_of(key);
        let patience = settle + DELETE_PATIENCE;
        if progress
            .delete_accepted
            .is_some_and(|at| asked_at >= at + patience)
        {
            progress.delete_accepted = None;
            let message = "the deletion was accepted, and yet the resource is still there";
            self.delete_failed(key, ProviderError::new(ErrorClass::Unknown, message));
        }
    }

    /// Applies what a provider shows of a resource that is the instance.
    pub(crate) fn resource_seen(
        &mut self,
        provider: ProviderIndex,
        key: InstanceKey,
        view: ResourceView,
        asked_at: Timestamp,
    ) {
        let settle = self.providers[provider.index()].capabilities.settle;
        let Some(instance) = self.instance(key) else {
            return;
        };
        let node = instance.node;
        let (doomed, broken, phase) = (
            instance.doom.is_some(),
            instance.breakage.is_some(),
            instance.phase,
        );
        let readdressed = instance.addresses != view.addresses && !view.addresses.all.is_empty();
        let believable = self
            .progress
            .get(&key)
            .and_then(|progress| progress.broke_at)
            .is_none_or(|at| asked_at >= at + settle);
        self.progress_of(key).absent_since = None;
        self.end_doubt(node, key);
        match view.state {
            ResourceState::Running
            | ResourceState::Pending
            | ResourceState::Stopped
            | ResourceState::Failed
                if doomed =>
            {
                self.deletion_ineffective(key, asked_at, settle);
            }
            ResourceState::Running => {
                if broken
                    && believable
                    && matches!(
                        self.instance(key)
                            .and_then(|instance| instance.breakage.as_ref()),
                        Some(Breakage::Lost | Breakage::Stopped | Breakage::BootTimeout)
                    )
                {
                    self.recover_instance(key);
                }
                if phase == Phase::Booting || readdressed {
                    self.record(Record::Running {
                        instance: key,
                        addresses: view.addresses,
                    });
                    let now = self.now;
                    self.progress_of(key).probe_at.get_or_insert(now);
                    if let Some(node) = self.instance(key).map(|instance| instance.node) {
                        self.nodes_changed(node);
                    }
                }
            }
            ResourceState::Failed => {
                self.break_down(key, Breakage::Failed(view.detail.unwrap_or_default()));
            }
            ResourceState::Stopped => self.break_down(key, Breakage::Stopped),
            ResourceState::Gone if doomed => self.record(Record::Gone { instance: key }),
            ResourceState::Deleting if doomed => {
                let now = self.now;
                self.progress_of(key).delete_accepted.get_or_insert(now);
            }
            ResourceState::Gone | ResourceState::Deleting => self.break_down(key, Breakage::Lost),
            ResourceState::Pending => {}
        }
    }
}

/// Reads the answer to a deletion: what does not exist is gone.
fn deletion(result: Result<Response, ProviderError>) -> Result<bool, ProviderError> {
    match result {
        Ok(Response::Deleted { gone }) => Ok(gone),
        Ok(_) => Err(unexpected()),
        Err(error) if error.class == ErrorClass::NotFound => Ok(true),
        Err(error) => Err(error),
    }
}

/// Returns what an answer of the wrong kind counts as.
pub(crate) fn unexpected() -> ProviderError {
    ProviderError::new(ErrorClass::Unknown, "the provider answered something else")
}
