//! What is left at a provider besides instances, and when it has to go.

use std::collections::BTreeSet;

use zenekar_base::{ErrorClass, InstanceKey, ProviderError};

use crate::backoff;
use crate::defect::Defect;
use crate::effect::{Notice, Operation, Response};
use crate::engine::Engine;
use crate::progress::{About, ReleaseProgress, Timer};
use crate::record::Record;
use crate::settings::CALL_DEADLINE;
use crate::state::{Phase, ProviderIndex};
use crate::status::ReleaseStatus;
use crate::waiting::Waiting;

/// Failures in a row up to which reasons are written down: in some of them
/// there is a number that is another one each time.
const REASONS_RECORDED_MAX: u32 = 8;

impl Engine {
    /// Notes which providers the intent has no use for.
    pub(crate) fn mark_left_providers(&mut self) {
        let named = match &self.state.intent {
            Some(intent) if !intent.teardown => self.state.named(&intent.topology),
            _ => BTreeSet::new(),
        };
        for (place, provider) in (0u16..).map(ProviderIndex).zip(&mut self.providers) {
            provider.left = !named.contains(&place);
        }
    }

    /// Returns the providers that have to be released and are not.
    pub(crate) fn unreleased(&self) -> impl Iterator<Item = ProviderIndex> {
        let held = self.state.held.iter().copied();
        held.filter(|provider| self.providers[provider.index()].left)
    }

    /// Starts the calls that are due to release providers.
    pub(crate) fn release_providers(&mut self) {
        let providers: Vec<ProviderIndex> = self.unreleased().collect();
        for provider in providers {
            match self.gate_release(provider) {
                Ok(()) => self.start_release(provider),
                Err(Waiting::Backoff { until, .. } | Waiting::Throttled { until, .. }) => {
                    self.timers.insert((until, Timer::Throttle(provider)));
                }
                Err(_) => {}
            }
        }
    }

    /// Says what the release of a provider waits for: nothing of the
    /// infrastructure may be there, or on its way there.
    fn gate_release(&self, provider: ProviderIndex) -> Result<(), Waiting> {
        let progress = &self.providers[provider.index()];
        let name = || self.state.providers[provider.index()].clone();
        if let Some(flight) = progress.release.call.and_then(|call| self.calls.get(&call)) {
            return Err(Waiting::Answer {
                operation: "release",
                since: flight.asked_at,
            });
        }
        if progress.release.not_before > self.now {
            return Err(Waiting::Backoff {
                until: progress.release.not_before,
                failures: progress.release.failures,
                error: progress.release.last_error.clone(),
            });
        }
        if progress.throttled_until > self.now {
            return Err(Waiting::Throttled {
                provider: name(),
                until: progress.throttled_until,
            });
        }
        if !progress.synchronised {
            return Err(Waiting::Recovery { provider: name() });
        }
        let occupied = progress.in_flight > 0
            || self.state.orphans.keys().any(|(at, _)| *at == provider)
            || self.first_at(provider).is_some();
        if occupied && !self.has_defect(Defect::NetworkGoesFirst) {
            return Err(Waiting::Occupied { provider: name() });
        }
        Ok(())
    }

    /// Returns an instance that a provider has, or may have.
    fn first_at(&self, provider: ProviderIndex) -> Option<InstanceKey> {
        let mut instances = self.state.instances.values();
        let first = instances.find(|instance| {
            instance.provider == Some(provider) && instance.phase != Phase::Planned
        });
        first.map(|instance| instance.key)
    }

    fn start_release(&mut self, provider: ProviderIndex) {
        let deadline = self.now + CALL_DEADLINE;
        let call = self.call(provider, About::Release, deadline, Operation::Release);
        let progress = &mut self.providers[provider.index()];
        progress.release.call = Some(call);
        progress.in_flight += 1;
    }

    /// Takes the answer to a release.
    pub(crate) fn released(
        &mut self,
        index: ProviderIndex,
        result: Result<Response, ProviderError>,
    ) {
        let result = match result {
            Ok(Response::Released) => Ok(()),
            Ok(_) => Err(crate::complete::unexpected()),
            // What does not exist needs no release.
            Err(error) if error.class == ErrorClass::NotFound => Ok(()),
            Err(error) => Err(error),
        };
        let Err(error) = result else {
            self.providers[index.index()].release = ReleaseProgress::default();
            let provider = self.state.providers[index.index()].clone();
            self.record(Record::Released { provider });
            return;
        };
        let release = &mut self.providers[index.index()].release;
        release.call = None;
        // A pause that the provider asks for is not a failure.
        release.failures += u32::from(error.class != ErrorClass::Throttled);
        let failures = release.failures;
        let pause = backoff::pause(error.class, failures);
        let pause = self.jitter(pause, u64::from(index.0) | 1 << 41, failures);
        let until = self.now + pause;
        let release = &mut self.providers[index.index()].release;
        release.not_before = until;
        release.last_error = Some(error.clone());
        self.timers.insert((until, Timer::Throttle(index)));
        let reason = (error.class, error.message.clone());
        // Processes that only look have nothing but the journal.
        if error.class != ErrorClass::Throttled
            && failures <= REASONS_RECORDED_MAX
            && self.state.release_errors.get(&index) != Some(&reason)
        {
            self.record(Record::ReleaseFailed {
                provider: self.state.providers[index.index()].clone(),
                class: reason.0,
                message: reason.1,
            });
        }
        self.notify(Notice::CallFailed {
            instance: None,
            operation: "release",
            error,
            retry_after: Some(pause),
        });
    }

    /// Returns the error for which the release of a provider was given up, if it was.
    pub(crate) fn given_up_release(&self, provider: ProviderIndex) -> Option<&ProviderError> {
        let release = &self.providers[provider.index()].release;
        let error = release.last_error.as_ref();
        error.filter(|error| backoff::exhausted(error.class, release.failures))
    }

    /// Says whether the release of a provider gets further by itself.
    pub(crate) fn release_is_moving(&self, provider: ProviderIndex) -> bool {
        match self.gate_release(provider) {
            // Those who are there, and looks at it, are judged by themselves.
            Err(Waiting::Occupied { .. } | Waiting::Recovery { .. }) => false,
            _ => self.given_up_release(provider).is_none(),
        }
    }

    /// Returns what is left to be removed besides instances.
    pub fn releases(&self) -> Vec<ReleaseStatus> {
        let status = |provider: ProviderIndex| {
            let release = &self.providers[provider.index()].release;
            let failed = self.state.release_errors.get(&provider);
            let failed = failed.map(|(class, message)| ProviderError::new(*class, message.clone()));
            let waiting = match self.given_up_release(provider) {
                Some(error) => Some(Waiting::Stuck {
                    error: Some(error.clone()),
                    until: release.not_before,
                }),
                None => match self.gate_release(provider).err() {
                    // What it said last tells more than that it was not asked yet.
                    Some(Waiting::Recovery { .. }) if failed.is_some() => Some(Waiting::Stuck {
                        error: failed,
                        until: self.now,
                    }),
                    waiting => waiting,
                },
            };
            ReleaseStatus {
                provider: self.state.providers[provider.index()].clone(),
                waiting,
            }
        };
        self.unreleased().map(status).collect()
    }
}
