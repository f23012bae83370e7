//! The state of the cloud and the passing of time.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use zenekar_base::{
    CallId, ErrorClass, InfrastructureId, Millis, ProviderError, ResourceId, Timestamp, Token,
};

use crate::choice::{
    CallKind, ChoiceKind, Chooser, Footprint, LifeFate, Object, Outcome, Outcomes, SpanKind,
};
use crate::request::{Reply, Request, Response};
use crate::resource::Resource;
use crate::settings::{Settings, SpanRange};

/// The most events that may be scheduled; a call beyond it is throttled. Far
/// above what 10,000 instances and their calls need, and a bound on memory.
const EVENTS_MAX: usize = 1_000_000;

/// What has happened so far, as counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct Counters {
    /// Calls submitted, by kind, in the order of [`CallKind`] up to probes.
    pub calls: [u64; 5],
    /// Calls submitted that remove what is left besides machines.
    pub releases: u64,
    /// Calls that ended in an error of any kind.
    pub calls_failed: u64,
    /// Instances that were ever created.
    pub created: u64,
    /// Instances that booted.
    pub booted: u64,
    /// Instances that ceased to exist because a caller asked for it.
    pub deleted: u64,
    /// Instances that broke down, were stopped or vanished by themselves or by intervention.
    pub broken: u64,
}

/// Something that will happen.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) enum Event {
    /// A call takes effect; its reply follows, if somebody waits for it.
    Effect(Arc<Request>, Option<(CallId, Timestamp)>, Outcome),
    /// A reply arrives.
    Reply(Arc<Reply>),
    /// A machine has booted, or failed to.
    Booted {
        number: u32,
        fate: crate::choice::BootFate,
    },
    /// A running machine breaks down.
    LifeFault { number: u32, fate: LifeFate },
    /// A machine that is being deleted is gone.
    Deleted { number: u32 },
    /// A gone machine is not shown any more.
    Forgotten { number: u32 },
}

/// A simulated cloud: see the crate's documentation.
///
/// Cloning copies a few small tables; machines and their indices are shared
/// until one of the clones changes them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SimCloud {
    pub(crate) settings: Arc<Settings>,
    pub(crate) now: Timestamp,
    sequence: u64,
    /// All machines ever, by number.
    pub(crate) resources: Vec<Arc<Resource>>,
    pub(crate) tokens: Arc<BTreeMap<Token, u32>>,
    /// The machines that lists may still show.
    pub(crate) listed: Arc<BTreeMap<InfrastructureId, BTreeSet<u32>>>,
    /// The machines that somebody else has made, by their ids.
    #[serde(default, skip_serializing_if = "no_foreign")]
    pub(crate) foreign: Arc<BTreeMap<ResourceId, u32>>,
    /// The infrastructures that have a network.
    #[serde(default, skip_serializing_if = "no_networks")]
    pub(crate) networks: Arc<BTreeSet<InfrastructureId>>,
    pub(crate) instances_used: u32,
    pub(crate) cores_used: u32,
    pub(crate) outage_until: Timestamp,
    #[serde(with = "event_table")]
    events: BTreeMap<(Timestamp, u64), Event>,
    ready: Vec<Arc<Reply>>,
    pub(crate) counters: Counters,
}

impl Hash for SimCloud {
    /// Leaves out what the machines already say: tokens and use of the quota.
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Self {
            settings,
            now,
            sequence,
            resources,
            listed,
            networks,
            outage_until,
            events,
            ready,
            counters,
            ..
        } = self;
        (settings, now, sequence, resources).hash(state);
        (listed, networks, outage_until, events, ready, counters).hash(state);
    }
}

impl SimCloud {
    /// Makes an empty cloud at time zero. The settings must be valid: see [`Settings::validate`].
    pub fn new(settings: Settings) -> Self {
        assert_eq!(settings.validate(), Ok(()), "callers validate settings");
        Self {
            settings: Arc::new(settings),
            now: Timestamp::ZERO,
            sequence: 0,
            resources: Vec::new(),
            tokens: Arc::default(),
            listed: Arc::default(),
            foreign: Arc::default(),
            networks: Arc::default(),
            instances_used: 0,
            cores_used: 0,
            outage_until: Timestamp(i64::MIN),
            events: BTreeMap::new(),
            ready: Vec::new(),
            counters: Counters::default(),
        }
    }

    /// Returns how the cloud behaves.
    pub fn settings(&self) -> &Arc<Settings> {
        &self.settings
    }

    /// Returns the latest time that the cloud has heard of.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// Returns what has happened so far, as counts.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Takes a call in, and returns when its reply is due. Time never runs
    /// backwards: an earlier `now` counts as the present.
    pub fn submit(
        &mut self,
        now: Timestamp,
        call: CallId,
        request: Request,
        chooser: &mut dyn Chooser,
    ) -> Timestamp {
        let now = self.run_until(now, chooser);
        let sequence = self.next_sequence();
        chooser.begin(sequence);
        let kind = request.kind();
        match self.counters.calls.get_mut(kind as usize) {
            Some(calls) => *calls += 1,
            None => self.counters.releases += 1,
        }
        if self.events.len() >= EVENTS_MAX {
            return self.schedule_reply(
                now,
                call,
                now,
                Err(self.throttled("too many calls in flight")),
            );
        }
        let footprint = if chooser.wants_footprints() {
            self.footprint(&request)
        } else {
            Footprint::default()
        };
        let enabled = Outcomes::enabled(kind, &self.settings.rates);
        let choice = ChoiceKind::Outcome {
            call: kind,
            enabled,
        };
        let outcome = enabled.get(ask(chooser, choice, enabled.count(), &footprint));
        let range = match &request {
            Request::Create(create) => create.create.unwrap_or(self.settings.spans.create),
            _ => self.settings.span_of_call(kind),
        };
        let latency = self
            .span(SpanKind::Call(kind), range, &footprint, chooser)
            .min(self.settings.call_timeout);
        let effect_at = now + Millis(latency.0 / 2);
        let reply_at = now + latency;
        let given_up_at = now + self.settings.call_timeout;
        match outcome {
            Outcome::Served | Outcome::FalseAlarm => {
                self.schedule(
                    effect_at,
                    Event::Effect(Arc::new(request), Some((call, reply_at)), outcome),
                );
                return reply_at;
            }
            Outcome::TimeoutAfterEffect => {
                self.schedule(effect_at, Event::Effect(Arc::new(request), None, outcome));
            }
            Outcome::TimeoutLateEffect => {
                let range = SpanRange {
                    low: Millis(1),
                    high: self.settings.late_effect_max,
                };
                let late = self.span(SpanKind::LateEffect, range, &footprint, chooser);
                self.schedule(
                    given_up_at + late,
                    Event::Effect(Arc::new(request), None, outcome),
                );
            }
            Outcome::Outage => self.begin_outage(now, self.settings.outage),
            Outcome::Throttled
            | Outcome::ServerError
            | Outcome::Capacity
            | Outcome::TimeoutWithoutEffect => {}
        }
        let (at, error) = match outcome {
            Outcome::Throttled => (reply_at, self.throttled("request rate exceeded")),
            Outcome::Capacity => (
                reply_at,
                ProviderError::new(ErrorClass::Capacity, "no machine of this size is free now"),
            ),
            Outcome::TimeoutAfterEffect
            | Outcome::TimeoutLateEffect
            | Outcome::TimeoutWithoutEffect => (
                given_up_at,
                ProviderError::new(ErrorClass::Unknown, "the call timed out"),
            ),
            Outcome::Served | Outcome::FalseAlarm | Outcome::ServerError | Outcome::Outage => {
                (reply_at, server_error())
            }
        };
        self.schedule_reply(now, call, at, Err(error))
    }

    fn throttled(&self, message: &str) -> ProviderError {
        ProviderError {
            retry_after: Some(self.settings.retry_after),
            ..ProviderError::new(ErrorClass::Throttled, message)
        }
    }

    /// Returns when something happens next: an effect, a reply, a change of a machine.
    pub fn next_event(&self) -> Option<Timestamp> {
        if self.ready.is_empty() {
            self.events.keys().next().map(|&(at, _)| at)
        } else {
            Some(self.now)
        }
    }

    /// Lets time pass until `now` (included), and returns the replies that arrived.
    pub fn advance(&mut self, now: Timestamp, chooser: &mut dyn Chooser) -> Vec<Reply> {
        self.run_until(now, chooser);
        std::mem::take(&mut self.ready)
            .into_iter()
            .map(Arc::unwrap_or_clone)
            .collect()
    }

    /// The caller died: nobody waits for the replies of its calls, which still take effect.
    pub fn forget_caller(&mut self) {
        self.ready.clear();
        self.events
            .retain(|_, event| !matches!(event, Event::Reply(_)));
        for event in self.events.values_mut() {
            if let Event::Effect(_, reply, _) = event {
                *reply = None;
            }
        }
    }

    /// Says whether everything that refers to a machine refers to one that
    /// exists. A cloud read from a damaged file can fail this, and must not be used.
    pub fn is_sound(&self) -> bool {
        let exists = |number: u32| (number as usize) < self.resources.len();
        let events_exist = self.events.values().all(|event| match event {
            Event::Effect(..) | Event::Reply(_) => true,
            Event::Booted { number, .. }
            | Event::LifeFault { number, .. }
            | Event::Deleted { number }
            | Event::Forgotten { number } => exists(*number),
        });
        let alive = self.resources.iter().filter(|resource| resource.is_alive());
        events_exist
            && self.settings.validate().is_ok()
            && self.tokens.values().copied().all(exists)
            && self.listed.values().flatten().copied().all(exists)
            && self.foreign.values().copied().all(exists)
            && self
                .resources
                .iter()
                .zip(0..)
                .all(|(resource, number)| resource.is_sound(number))
            && alive.clone().count() == self.instances_used as usize
            && alive
                .map(|resource| u64::from(resource.identity.cores))
                .sum::<u64>()
                == u64::from(self.cores_used)
            && self
                .events
                .keys()
                .next()
                .is_none_or(|&(at, _)| at >= self.now)
    }

    /// Processes everything up to `now` and returns the present.
    pub(crate) fn run_until(&mut self, now: Timestamp, chooser: &mut dyn Chooser) -> Timestamp {
        while let Some(&key) = self.events.keys().next()
            && key.0 <= now
        {
            let key = self.first_of_ties(key, chooser);
            let event = self
                .events
                .remove(&key)
                .expect("the key was taken from the table");
            let (at, sequence) = key;
            assert!(
                at >= self.now,
                "events are scheduled for the present or later"
            );
            self.now = at;
            chooser.begin(sequence);
            self.happen(at, event, chooser);
        }
        self.now = self.now.max(now);
        self.now
    }

    fn first_of_ties(
        &self,
        first: (Timestamp, u64),
        chooser: &mut dyn Chooser,
    ) -> (Timestamp, u64) {
        if !self.settings.reorder_ties {
            return first;
        }
        let ties: Vec<_> = self.events.range(first..=(first.0, u64::MAX)).collect();
        let mut footprint = Footprint::default();
        for (_, event) in ties.iter().filter(|_| chooser.wants_footprints()) {
            footprint.extend(self.event_footprint(event));
        }
        let count = u32::try_from(ties.len()).expect("the table of events is bounded");
        *ties[ask(chooser, ChoiceKind::Order, count, &footprint) as usize].0
    }

    fn happen(&mut self, at: Timestamp, event: Event, chooser: &mut dyn Chooser) {
        match event {
            Event::Effect(request, reply, outcome) => {
                // What the interface accepted before the outage still happens late.
                let refused = at < self.outage_until && outcome != Outcome::TimeoutLateEffect;
                let result = if refused {
                    Err(server_error())
                } else {
                    self.apply(at, &request, outcome, chooser)
                };
                if let Some((call, reply_at)) = reply {
                    self.schedule_reply(at, call, reply_at, result);
                }
            }
            Event::Reply(reply) => {
                self.counters.calls_failed += u64::from(reply.result.is_err());
                self.ready.push(reply);
            }
            Event::Booted { number, fate } => self.booted(at, number, fate, chooser),
            Event::LifeFault { number, fate } => self.life_fault(at, number, fate),
            Event::Deleted { number } => self.deleted(at, number),
            Event::Forgotten { number } => self.forgotten(at, number),
        }
    }

    fn next_sequence(&mut self) -> u64 {
        self.sequence += 1;
        self.sequence
    }

    pub(crate) fn schedule(&mut self, at: Timestamp, event: Event) {
        let sequence = self.next_sequence();
        self.events.insert((at, sequence), event);
    }

    fn schedule_reply(
        &mut self,
        now: Timestamp,
        call: CallId,
        at: Timestamp,
        result: Result<Response, ProviderError>,
    ) -> Timestamp {
        assert!(now <= at, "a reply follows its effect");
        self.schedule(at, Event::Reply(Arc::new(Reply { call, at, result })));
        at
    }

    /// Draws a span of time.
    pub(crate) fn span(
        &self,
        kind: SpanKind,
        range: SpanRange,
        footprint: &Footprint,
        chooser: &mut dyn Chooser,
    ) -> Millis {
        let width = range.high.0.saturating_sub(range.low.0);
        let points = u32::try_from(width.saturating_add(1))
            .unwrap_or(u32::MAX)
            .min(self.settings.span_steps);
        match ask(chooser, ChoiceKind::Span(kind), points, footprint) {
            0 => range.low,
            step => Millis(range.low.0 + width * u64::from(step) / u64::from(points - 1)),
        }
    }

    /// Returns what a call reads and writes.
    pub fn footprint(&self, request: &Request) -> Footprint {
        let mut footprint = Footprint::default();
        let infrastructure = request.infrastructure();
        match request {
            Request::Create(create) => {
                footprint.writes.extend([
                    Object::Instance(create.instance.clone()),
                    Object::Membership(infrastructure.clone()),
                ]);
                self.quota_footprint(&mut footprint);
            }
            Request::Release { .. } => {
                let members = Object::Membership(infrastructure.clone());
                footprint.writes.push(members);
            }
            Request::Observe { scope, .. } => {
                self.observe_footprint(infrastructure, scope, &mut footprint);
            }
            Request::Delete { resource, .. } | Request::Recontextualise { resource, .. } => {
                footprint.writes.extend(
                    self.find(infrastructure, resource)
                        .map(|found| Object::Instance(found.identity.instance.clone())),
                );
            }
            Request::Probe {
                resource, ports, ..
            } => {
                if let Some(found) = self.find(infrastructure, resource) {
                    let tag = &found.identity.instance;
                    footprint.reads.push(Object::Instance(tag.clone()));
                    footprint.reads.extend(
                        ports
                            .iter()
                            .map(|&port| Object::Endpoint(tag.clone(), port)),
                    );
                }
            }
        }
        if self.settings.rates.outage > 0 {
            footprint.writes.push(Object::Service);
        }
        footprint
    }

    fn quota_footprint(&self, footprint: &mut Footprint) {
        footprint.writes.extend(
            self.settings
                .quota
                .instances
                .map(|_| Object::QuotaInstances),
        );
        footprint
            .writes
            .extend(self.settings.quota.cores.map(|_| Object::QuotaCores));
    }

    fn event_footprint(&self, event: &Event) -> Footprint {
        match event {
            Event::Effect(request, ..) => self.footprint(request),
            Event::Reply(_) => Footprint::default(),
            Event::Booted { number, .. }
            | Event::LifeFault { number, .. }
            | Event::Deleted { number }
            | Event::Forgotten { number } => self.resource_footprint(*number),
        }
    }

    /// Returns what a change of one machine writes, if the chooser looks at it.
    pub(crate) fn change_footprint(&self, number: u32, chooser: &dyn Chooser) -> Footprint {
        if chooser.wants_footprints() {
            self.resource_footprint(number)
        } else {
            Footprint::default()
        }
    }

    fn resource_footprint(&self, number: u32) -> Footprint {
        let mut footprint = Footprint::default();
        let identity = &self.resources[number as usize].identity;
        footprint.writes.extend([
            Object::Instance(identity.instance.clone()),
            Object::Membership(identity.infrastructure.clone()),
        ]);
        self.quota_footprint(&mut footprint);
        footprint
    }
}

impl Settings {
    fn span_of_call(&self, kind: CallKind) -> SpanRange {
        match kind {
            CallKind::Create => self.spans.create,
            CallKind::Observe => self.spans.observe,
            CallKind::Delete | CallKind::Release => self.spans.delete,
            CallKind::Recontextualise => self.spans.recontextualise,
            CallKind::Probe => self.spans.probe,
        }
    }
}

fn no_foreign(foreign: &Arc<BTreeMap<ResourceId, u32>>) -> bool {
    foreign.is_empty()
}

fn no_networks(networks: &Arc<BTreeSet<InfrastructureId>>) -> bool {
    networks.is_empty()
}

/// Asks the chooser, if there is something to choose.
pub(crate) fn ask(
    chooser: &mut dyn Chooser,
    kind: ChoiceKind,
    alternatives: u32,
    footprint: &Footprint,
) -> u32 {
    if alternatives < 2 {
        return 0;
    }
    let choice = chooser.choose(kind, alternatives, footprint);
    assert!(
        choice < alternatives,
        "a chooser picks one of the alternatives it was offered"
    );
    choice
}

fn server_error() -> ProviderError {
    ProviderError::new(ErrorClass::Retryable, "internal server error")
}

/// Writes the events as a list, because the keys of a map in JSON are text.
mod event_table {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serializer};
    use zenekar_base::Timestamp;

    use super::Event;

    pub(super) fn serialize<S: Serializer>(
        events: &BTreeMap<(Timestamp, u64), Event>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(events.iter())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeMap<(Timestamp, u64), Event>, D::Error> {
        Ok(Vec::<((Timestamp, u64), Event)>::deserialize(deserializer)?
            .into_iter()
            .collect())
    }
}
