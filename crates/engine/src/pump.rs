//! Calls to providers: bounded, in order of urgency, never before their intent is durable.

use std::sync::Arc;

use zenekar_base::{CallId, InstanceKey, ResourceId, Timestamp, Token};

use crate::defect::Defect;
use crate::effect::{Call, Effect, Operation};
use crate::engine::Engine;
use crate::progress::{About, InFlight, Timer};
use crate::record::Record;
use crate::settings::{CALL_DEADLINE, CREATE_DEADLINE, PROBE_DEADLINE, PROBES_IN_FLIGHT_MAX};
use crate::state::{Phase, ProviderIndex};

impl Engine {
    /// Starts as many waiting calls of a provider as it takes.
    pub(crate) fn pump(&mut self, provider: ProviderIndex) {
        loop {
            let progress = &mut self.providers[provider.index()];
            if progress.throttled_until > self.now {
                self.timers
                    .insert((progress.throttled_until, Timer::Throttle(provider)));
                return;
            }
            if progress.in_flight >= progress.calls_in_flight_max {
                return;
            }
            if progress.release.call.is_some() {
                // What a creation needs must not vanish while it goes on.
                return;
            }
            if let Some((_, key)) = progress.waiting.pop_first() {
                self.start(provider, key);
            } else {
                self.delete_orphans(provider);
                return;
            }
        }
    }

    /// Starts the call that an instance waited for, if it still applies.
    fn start(&mut self, provider: ProviderIndex, key: InstanceKey) {
        let Some(instance) = self.instance(key) else {
            return;
        };
        let (doomed, phase) = (instance.doom.is_some(), instance.phase);
        if self.provider_for(instance) != Some(provider) {
            // An edited descriptor has moved it while it stood in line here.
            self.dirty_instances.insert(key);
            return;
        }
        if self.progress_of(key).call.is_some() {
            return;
        }
        if doomed {
            if self.gate_delete(key).is_ok() {
                self.start_delete(provider, key);
            }
        } else if matches!(phase, Phase::Planned | Phase::Creating) {
            if self.gate_create(key).is_ok() {
                self.start_create(provider, key);
            }
        } else if phase == Phase::Restarting {
            self.start_recontextualise(provider, key);
        }
    }

    fn start_create(&mut self, provider: ProviderIndex, key: InstanceKey) {
        let Some(instance) = self.instance(key) else {
            return;
        };
        let (node, candidate) = (instance.node, instance.candidate);
        let Some((index, topology)) = self.state.node(node).index.zip(self.topology()) else {
            return;
        };
        if instance.phase == Phase::Planned {
            let candidate = if topology.candidate(index, candidate as usize).is_some() {
                candidate
            } else {
                0
            };
            let attempt = instance.attempt + 1;
            let fingerprint = topology.node(index).fingerprints[candidate as usize];
            let given = self.current_given(node, provider);
            self.record(Record::CreateIntended {
                instance: key,
                attempt,
                candidate,
                fingerprint,
                given,
            });
            self.progress_of(key).maybe_created = false;
        }
        let Some(instance) = self.instance(key) else {
            return;
        };
        let other_token = self.has_defect(Defect::TokenIsNotReused);
        let failures = self.progress.get(&key).map_or(0, |known| known.failures);
        let attempt = instance.attempt + if other_token { failures } else { 0 };
        let operation = Operation::Create {
            instance: key,
            tag: instance.tag.clone(),
            token: Token::derive(&self.state.infrastructure, key, attempt),
            node: index,
            candidate: instance.candidate,
            given: self.held_addresses(instance.given),
        };
        let call = self.call(
            provider,
            About::Create(key),
            self.now + CREATE_DEADLINE,
            operation,
        );
        self.progress_of(key).call = Some(call);
        self.providers[provider.index()].in_flight += 1;
    }

    fn held_addresses(&self, set: Option<u32>) -> Arc<Vec<zenekar_base::GivenNode>> {
        set.and_then(|set| self.state.given.get(&set))
            .map(|(nodes, _)| Arc::clone(nodes))
            .unwrap_or_default()
    }

    fn start_delete(&mut self, provider: ProviderIndex, key: InstanceKey) {
        let Some(resource) = self
            .instance(key)
            .and_then(|instance| instance.resource.clone())
        else {
            return;
        };
        let operation = Operation::Delete {
            instance: Some(key),
            resource,
        };
        let call = self.call(
            provider,
            About::Delete(key),
            self.now + CALL_DEADLINE,
            operation,
        );
        self.progress_of(key).call = Some(call);
        self.providers[provider.index()].in_flight += 1;
    }

    fn start_recontextualise(&mut self, provider: ProviderIndex, key: InstanceKey) {
        let Some(instance) = self.instance(key) else {
            return;
        };
        let (Some(resource), Some(node)) = (
            instance.resource.clone(),
            self.state.node(instance.node).index,
        ) else {
            return;
        };
        let operation = Operation::Recontextualise {
            instance: key,
            tag: instance.tag.clone(),
            resource,
            revision: instance.revision,
            node,
            candidate: instance.candidate,
            given: self.held_addresses(instance.given),
        };
        let call = self.call(
            provider,
            About::Recontextualise(key),
            self.now + CALL_DEADLINE,
            operation,
        );
        self.progress_of(key).call = Some(call);
        self.providers[provider.index()].in_flight += 1;
    }

    /// Starts a probe; says false if too many are in flight.
    pub(crate) fn start_probe(&mut self, key: InstanceKey) -> bool {
        if self.probes_in_flight >= PROBES_IN_FLIGHT_MAX {
            return false;
        }
        let Some(instance) = self.instance(key) else {
            return true;
        };
        let (Some(resource), Some(provider), Some(node)) = (
            instance.resource.clone(),
            instance.provider,
            self.state.node(instance.node).index,
        ) else {
            return true;
        };
        let operation = Operation::Probe {
            instance: key,
            tag: instance.tag.clone(),
            resource,
            node,
            candidate: instance.candidate,
        };
        let call = self.call(
            provider,
            About::Probe(key),
            self.now + PROBE_DEADLINE,
            operation,
        );
        self.progress_of(key).probe = Some(call);
        self.probes_in_flight += 1;
        true
    }

    /// Starts the deletion of orphans that are due.
    fn delete_orphans(&mut self, provider: ProviderIndex) {
        let due: Vec<ResourceId> = self
            .state
            .orphans
            .keys()
            .filter(|(at, _)| *at == provider)
            .map(|(_, resource)| resource.clone())
            .filter(|resource| {
                self.providers[provider.index()]
                    .orphans_busy
                    .get(resource)
                    .is_none_or(|orphan| !orphan.calling && orphan.not_before <= self.now)
            })
            .collect();
        for resource in due {
            let progress = &mut self.providers[provider.index()];
            if progress.in_flight >= progress.calls_in_flight_max {
                return;
            }
            progress.in_flight += 1;
            progress
                .orphans_busy
                .entry(resource.clone())
                .or_default()
                .calling = true;
            let operation = Operation::Delete {
                instance: None,
                resource: resource.clone(),
            };
            self.call(
                provider,
                About::DeleteOrphan(resource),
                self.now + CALL_DEADLINE,
                operation,
            );
        }
    }

    /// Sends a call on its way and sets its deadline.
    pub(crate) fn call(
        &mut self,
        provider: ProviderIndex,
        about: About,
        deadline: Timestamp,
        operation: Operation,
    ) -> CallId {
        let id = CallId(self.next_call);
        self.next_call += 1;
        self.calls.insert(
            id,
            InFlight {
                provider,
                deadline,
                asked_at: self.now,
                about,
            },
        );
        self.timers.insert((deadline, Timer::Call(id)));
        let provider = self.state.providers[provider.index()].clone();
        self.outbox.push_back(Effect::Call(Call {
            id,
            provider,
            deadline,
            operation,
        }));
        id
    }
}
