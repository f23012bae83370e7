//! What calls and time do to machines.

use std::sync::Arc;

use zenekar_base::{
    ErrorClass, InfrastructureId, Millis, ProbeResult, ProviderError, ResourceId, ResourceState,
    ResourceView, Timestamp,
};

use crate::choice::{
    BootFate, ChoiceKind, Chooser, Footprint, LifeFate, Object, Outcome, SpanKind,
};
use crate::cloud::{Event, SimCloud, ask};
use crate::request::{CreateInstance, Request, Response, Scope};
use crate::resource::{Change, Detail, Identity, RESOURCES_MAX, Resource, resource_number};

impl SimCloud {
    /// Carries a call out at the instant of its effect.
    pub(crate) fn apply(
        &mut self,
        at: Timestamp,
        request: &Request,
        outcome: Outcome,
        chooser: &mut dyn Chooser,
    ) -> Result<Response, ProviderError> {
        match request {
            Request::Create(create) => self.create(at, create, chooser).map(Response::Created),
            Request::Observe {
                infrastructure,
                scope,
            } => Ok(Response::Observed(self.observe(
                at,
                infrastructure,
                scope,
                chooser,
            ))),
            Request::Delete {
                infrastructure,
                resource,
            } => Ok(Response::Deleted {
                gone: self.delete(at, infrastructure, resource, chooser),
            }),
            Request::Recontextualise {
                infrastructure,
                resource,
                revision,
            } => {
                self.recontextualise(at, infrastructure, resource, *revision, chooser)?;
                Ok(Response::Recontextualised)
            }
            Request::Probe {
                infrastructure,
                resource,
                ..
            } => self
                .probe(at, infrastructure, resource, outcome)
                .map(Response::Probed),
            Request::Release { infrastructure } => self.release(infrastructure),
        }
    }

    /// Returns the number of a machine that is or was there.
    pub(crate) fn number_of(&self, resource: &ResourceId) -> Option<u32> {
        let foreign = self.foreign.get(resource).copied();
        foreign
            .or_else(|| resource_number(resource))
            .filter(|&number| {
                // A machine is only found by the one id that it has.
                let found = self.resources.get(number as usize);
                found.is_some_and(|found| found.identity.foreign.is_some() == foreign.is_some())
            })
    }

    /// Finds a machine of an infrastructure, or one without a tag; those of
    /// others do not exist for the caller.
    pub(crate) fn find(
        &self,
        infrastructure: &InfrastructureId,
        resource: &ResourceId,
    ) -> Option<&Resource> {
        let found = &self.resources[self.number_of(resource)? as usize];
        let visible =
            found.identity.foreign.is_some() || found.identity.infrastructure == *infrastructure;
        visible.then_some(&**found)
    }

    pub(crate) fn resource_mut(&mut self, number: u32) -> &mut Resource {
        Arc::make_mut(&mut self.resources[number as usize])
    }

    fn create(
        &mut self,
        at: Timestamp,
        create: &CreateInstance,
        chooser: &mut dyn Chooser,
    ) -> Result<ResourceView, ProviderError> {
        if let Some(&number) = self.tokens.get(&create.token) {
            let known = &self.resources[number as usize];
            let same = known.identity.fingerprint == create.fingerprint
                && known.identity.instance == create.instance
                && known.identity.infrastructure == create.infrastructure;
            return if same {
                Ok(known.view_now(at))
            } else {
                Err(ProviderError::new(
                    ErrorClass::Conflict,
                    "the token was used with other parameters",
                ))
            };
        }
        // Machines of an infrastructure share a network, made before the first of them.
        if !self.networks.contains(&create.infrastructure) {
            Arc::make_mut(&mut self.networks).insert(create.infrastructure.clone());
        }
        self.check_quota(create.cores)?;
        let number = u32::try_from(self.resources.len())
            .expect("the number of resources was checked against its limit");
        let resource = Resource::new(number, Arc::new(Identity::new(create)), at);
        let view = resource.view_now(at);
        self.resources.push(Arc::new(resource));
        let previous = Arc::make_mut(&mut self.tokens).insert(create.token.clone(), number);
        assert_eq!(previous, None, "a token creates one resource at most");
        Arc::make_mut(&mut self.listed)
            .entry(create.infrastructure.clone())
            .or_default()
            .insert(number);
        self.instances_used += 1;
        self.cores_used += create.cores;
        self.counters.created += 1;
        self.begin_boot(at, number, create, chooser);
        Ok(view)
    }

    /// Removes the network of an infrastructure, if nothing uses it.
    fn release(&mut self, infrastructure: &InfrastructureId) -> Result<Response, ProviderError> {
        let mut numbers = self.listed.get(infrastructure).into_iter().flatten();
        if numbers.any(|&number| self.resources[number as usize].is_alive()) {
            return Err(ProviderError::new(
                ErrorClass::Conflict,
                "the network is still in use",
            ));
        }
        if self.networks.contains(infrastructure) {
            Arc::make_mut(&mut self.networks).remove(infrastructure);
        }
        Ok(Response::Released)
    }

    fn check_quota(&self, cores: u32) -> Result<(), ProviderError> {
        let quota = self.settings.quota;
        let exceeded = |used: u32, more: u32, limit: Option<u32>| {
            let sum = used.checked_add(more);
            sum.is_none() || limit.is_some_and(|limit| sum > Some(limit))
        };
        let refuse = |what: &str, used: u32, limit: Option<u32>| {
            let limit = limit.map_or_else(|| "all".to_owned(), |limit| limit.to_string());
            Err(ProviderError::new(
                ErrorClass::Quota,
                format!("quota exceeded: {used} of {limit} {what} in use"),
            ))
        };
        if self.resources.len() >= RESOURCES_MAX as usize {
            return refuse("addresses", RESOURCES_MAX, Some(RESOURCES_MAX));
        }
        if exceeded(self.instances_used, 1, quota.instances) {
            return refuse("instances", self.instances_used, quota.instances);
        }
        if exceeded(self.cores_used, cores, quota.cores) {
            return refuse("cores", self.cores_used, quota.cores);
        }
        Ok(())
    }

    fn begin_boot(
        &mut self,
        at: Timestamp,
        number: u32,
        create: &CreateInstance,
        chooser: &mut dyn Chooser,
    ) {
        let footprint = self.change_footprint(number, chooser);
        let rates = &self.settings.rates;
        let kind = ChoiceKind::Boot {
            failure: create.boot_failure.unwrap_or(rates.boot_failure),
            never_healthy: rates.never_healthy,
            slow: rates.slow_boot,
        };
        let ChoiceKind::Boot {
            failure,
            never_healthy,
            slow,
        } = kind
        else {
            unreachable!("made one line above")
        };
        let alternatives = 1 + [failure, never_healthy, slow]
            .iter()
            .map(|&rate| u32::from(rate > 0))
            .sum::<u32>();
        let fate = kind.boot_fate(ask(chooser, kind, alternatives, &footprint));
        let mut span = self.span(
            SpanKind::Boot,
            create.boot.unwrap_or(self.settings.spans.boot),
            &footprint,
            chooser,
        );
        if fate == BootFate::Slow {
            span = span.saturating_mul(u64::from(self.settings.slow_boot_factor));
        }
        self.schedule(at + span, Event::Booted { number, fate });
    }

    /// A boot has ended; unless the machine was deleted or broken meanwhile.
    pub(crate) fn booted(
        &mut self,
        at: Timestamp,
        number: u32,
        fate: BootFate,
        chooser: &mut dyn Chooser,
    ) {
        if self.resources[number as usize].present().state != Some(ResourceState::Pending) {
            return;
        }
        if fate == BootFate::Fails {
            self.counters.broken += 1;
            self.change(at, number, |change| {
                change.state = Some(ResourceState::Failed);
                change.detail = Some(Detail::BootFailed);
            });
            return;
        }
        self.counters.booted += 1;
        self.change(at, number, |change| {
            change.state = Some(ResourceState::Running);
        });
        let footprint = self.change_footprint(number, chooser);
        let healthy_at = if fate == BootFate::NeverHealthy {
            Timestamp::MAX
        } else {
            at + self.contextualise_span(number, &footprint, chooser)
        };
        let resource = self.resource_mut(number);
        resource.addressed_at = Some(at);
        resource.healthy_at = healthy_at;
        self.begin_life(at, number, &footprint, chooser);
    }

    fn contextualise_span(
        &self,
        number: u32,
        footprint: &Footprint,
        chooser: &mut dyn Chooser,
    ) -> Millis {
        let range = self.resources[number as usize]
            .identity
            .contextualise
            .unwrap_or(self.settings.spans.contextualise);
        self.span(SpanKind::Contextualise, range, footprint, chooser)
    }

    fn begin_life(
        &mut self,
        at: Timestamp,
        number: u32,
        footprint: &Footprint,
        chooser: &mut dyn Chooser,
    ) {
        let rates = &self.settings.rates;
        let (lost, stopped, killed, hung) = (rates.lost, rates.stopped, rates.killed, rates.hung);
        let kind = ChoiceKind::Life {
            lost,
            stopped,
            killed,
            hung,
        };
        let alternatives = 1 + [lost, stopped, killed, hung]
            .iter()
            .map(|&rate| u32::from(rate > 0))
            .sum::<u32>();
        let fate = kind.life_fate(ask(chooser, kind, alternatives, footprint));
        if fate != LifeFate::Lives {
            let span = self.span(
                SpanKind::LifeFault,
                self.settings.spans.life_fault,
                footprint,
                chooser,
            );
            self.schedule(at + span, Event::LifeFault { number, fate });
        }
    }

    /// A machine breaks down; unless it does not run any more.
    pub(crate) fn life_fault(&mut self, at: Timestamp, number: u32, fate: LifeFate) {
        if self.resources[number as usize].present().state != Some(ResourceState::Running) {
            return;
        }
        self.counters.broken += 1;
        match fate {
            LifeFate::Lives => {}
            LifeFate::Hung => self.resource_mut(number).healthy_at = Timestamp::MAX,
            LifeFate::Stopped => self.change(at, number, |change| {
                change.state = Some(ResourceState::Stopped);
                change.detail = Some(Detail::StoppedOutside);
            }),
            LifeFate::Killed => self.end(at, number, Some(Detail::DeletedOutside)),
            LifeFate::Lost => {
                self.end(at, number, None);
                self.forgotten(at, number);
            }
        }
    }

    fn observe(
        &self,
        at: Timestamp,
        infrastructure: &InfrastructureId,
        scope: &Scope,
        chooser: &mut dyn Chooser,
    ) -> Vec<ResourceView> {
        let seen_at = at - self.list_lag(infrastructure, scope, chooser);
        match scope {
            Scope::All => {
                let numbers = self.listed.get(infrastructure).into_iter().flatten();
                numbers
                    .filter_map(|&number| self.resources[number as usize].view(seen_at))
                    .collect()
            }
            Scope::Resources(ids) => ids
                .iter()
                .filter_map(|id| self.find(infrastructure, id)?.view(seen_at))
                .collect(),
        }
    }

    fn list_lag(
        &self,
        infrastructure: &InfrastructureId,
        scope: &Scope,
        chooser: &mut dyn Chooser,
    ) -> Millis {
        let bound = self.settings.list_staleness_max.0;
        if bound == 0 || self.settings.rates.stale_list == 0 {
            return Millis::ZERO;
        }
        let mut footprint = Footprint::default();
        if chooser.wants_footprints() {
            self.observe_footprint(infrastructure, scope, &mut footprint);
        }
        let steps = u32::try_from(bound)
            .unwrap_or(u32::MAX)
            .min(self.settings.span_steps);
        let step = ask(chooser, ChoiceKind::ListLag, steps + 1, &footprint);
        Millis(bound * u64::from(step) / u64::from(steps))
    }

    pub(crate) fn observe_footprint(
        &self,
        infrastructure: &InfrastructureId,
        scope: &Scope,
        footprint: &mut Footprint,
    ) {
        let tag = |resource: &Resource| Object::Instance(resource.identity.instance.clone());
        match scope {
            Scope::All => {
                footprint
                    .reads
                    .push(Object::Membership(infrastructure.clone()));
                let numbers = self.listed.get(infrastructure).into_iter().flatten();
                footprint
                    .reads
                    .extend(numbers.map(|&number| tag(&self.resources[number as usize])));
            }
            Scope::Resources(ids) => footprint.reads.extend(
                ids.iter()
                    .filter_map(|id| self.find(infrastructure, id))
                    .map(tag),
            ),
        }
    }

    /// Deletes a machine and says whether it was gone already.
    fn delete(
        &mut self,
        at: Timestamp,
        infrastructure: &InfrastructureId,
        resource: &ResourceId,
        chooser: &mut dyn Chooser,
    ) -> bool {
        let Some((number, Change { state, .. })) = self
            .find(infrastructure, resource)
            .map(|found| (found.number, found.present()))
        else {
            return true;
        };
        match state {
            None | Some(ResourceState::Gone) => true,
            Some(ResourceState::Deleting) => false,
            Some(
                ResourceState::Pending
                | ResourceState::Running
                | ResourceState::Stopped
                | ResourceState::Failed,
            ) => {
                self.change(at, number, |change| {
                    change.state = Some(ResourceState::Deleting);
                });
                let footprint = self.change_footprint(number, chooser);
                let span = self.span(
                    SpanKind::Deletion,
                    self.settings.spans.deletion,
                    &footprint,
                    chooser,
                );
                self.schedule(at + span, Event::Deleted { number });
                false
            }
        }
    }

    /// A machine that was being deleted is gone.
    pub(crate) fn deleted(&mut self, at: Timestamp, number: u32) {
        if self.resources[number as usize].is_alive() {
            self.counters.deleted += 1;
            self.end(at, number, None);
        }
    }

    /// A machine ceases to exist, and is shown as gone for a while.
    pub(crate) fn end(&mut self, at: Timestamp, number: u32, detail: Option<Detail>) {
        self.change(at, number, |change| {
            change.state = Some(ResourceState::Gone);
            change.detail = detail.or(change.detail);
        });
        let resource = self.resource_mut(number);
        assert_eq!(resource.deleted_at, None, "a machine ends once");
        resource.deleted_at = Some(at);
        let cores = resource.identity.cores;
        self.instances_used -= 1;
        self.cores_used -= cores;
        self.schedule(at + self.settings.gone_visible, Event::Forgotten { number });
    }

    /// A gone machine is not shown any more; stale lists may show it a little longer.
    pub(crate) fn forgotten(&mut self, at: Timestamp, number: u32) {
        let infrastructure = self.resources[number as usize]
            .identity
            .infrastructure
            .clone();
        if self.resources[number as usize].present().state.is_some() {
            self.change(at, number, |change| change.state = None);
            if self.settings.list_staleness_max > Millis::ZERO {
                self.schedule(
                    at + self.settings.list_staleness_max + Millis(1),
                    Event::Forgotten { number },
                );
                return;
            }
        }
        let listed = Arc::make_mut(&mut self.listed);
        if let Some(numbers) = listed.get_mut(&infrastructure) {
            numbers.remove(&number);
            if numbers.is_empty() {
                listed.remove(&infrastructure);
            }
        }
    }

    fn recontextualise(
        &mut self,
        at: Timestamp,
        infrastructure: &InfrastructureId,
        resource: &ResourceId,
        revision: u32,
        chooser: &mut dyn Chooser,
    ) -> Result<(), ProviderError> {
        let found = self
            .find(infrastructure, resource)
            .map(|found| (found.number, found.present()));
        let (number, present) = match found {
            None
            | Some((
                _,
                Change {
                    state: None | Some(ResourceState::Gone | ResourceState::Deleting),
                    ..
                },
            )) => return Err(not_found(resource)),
            Some((number, present)) => (number, present),
        };
        if present.state != Some(ResourceState::Running) {
            return Err(ProviderError::new(
                ErrorClass::Retryable,
                format!("resource `{resource}` does not run"),
            ));
        }
        if revision <= present.revision {
            return Ok(());
        }
        self.change(at, number, |change| change.revision = revision);
        let footprint = self.change_footprint(number, chooser);
        let alternatives = 1 + u32::from(self.settings.rates.never_healthy > 0);
        let healthy_at = match ask(
            chooser,
            ChoiceKind::Recontextualise,
            alternatives,
            &footprint,
        ) {
            0 => at + self.contextualise_span(number, &footprint, chooser),
            _ => Timestamp::MAX,
        };
        self.resource_mut(number).healthy_at = healthy_at;
        Ok(())
    }

    fn probe(
        &self,
        at: Timestamp,
        infrastructure: &InfrastructureId,
        resource: &ResourceId,
        outcome: Outcome,
    ) -> Result<ProbeResult, ProviderError> {
        let found = self
            .find(infrastructure, resource)
            .map(|found| (found, found.present().state));
        let Some((found, Some(state))) = found else {
            return Err(not_found(resource));
        };
        Ok(match state {
            ResourceState::Gone => return Err(not_found(resource)),
            ResourceState::Running if outcome == Outcome::FalseAlarm => {
                ProbeResult::Unhealthy("no answer in time".to_owned())
            }
            ResourceState::Running if found.healthy_at <= at => ProbeResult::Healthy,
            ResourceState::Running => ProbeResult::Unhealthy("connection refused".to_owned()),
            _ => ProbeResult::Unhealthy("the machine does not run".to_owned()),
        })
    }

    pub(crate) fn change(&mut self, at: Timestamp, number: u32, edit: impl FnOnce(&mut Change)) {
        let staleness_max = self.settings.list_staleness_max;
        self.resource_mut(number).change(at, staleness_max, edit);
    }
}

fn not_found(resource: &ResourceId) -> ProviderError {
    ProviderError::new(
        ErrorClass::NotFound,
        format!("resource `{resource}` does not exist"),
    )
}
