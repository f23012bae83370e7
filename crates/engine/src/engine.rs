//! The engine itself: inputs in, effects out.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use zenekar_base::{
    CallId, Capabilities, InfrastructureId, InstanceKey, InstanceTag, Millis, NodeKey,
    ProviderError, Random, Timestamp,
};
use zenekar_model::Topology;

use crate::effect::{Effect, Input, Notice};
use crate::plan::Step;
use crate::record::{Entry, Record};
use crate::settings::{BLOCK_RETRY_INTERVAL, Settings};
use crate::state::{Instance, ProviderIndex, State};

/// What is in flight, and what its answer is for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct InFlight {
    pub(crate) provider: ProviderIndex,
    pub(crate) deadline: Timestamp,
    pub(crate) asked_at: Timestamp,
    pub(crate) about: About,
}

/// The subject of a call in flight.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum About {
    Create(InstanceKey),
    Delete(InstanceKey),
    DeleteOrphan(zenekar_base::ResourceId),
    Recontextualise(InstanceKey),
    Probe(InstanceKey),
    ObserveAll,
    Observe(Vec<InstanceKey>),
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
    /// The provider accepted its deletion.
    pub(crate) delete_accepted: bool,
    /// Its deletion was given up for now.
    pub(crate) stuck: bool,
    /// The last error of a call about it.
    pub(crate) last_error: Option<ProviderError>,
}

/// What is known of a node only while this engine lives.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct NodeProgress {
    /// Instances made of something else than the descriptor says now.
    pub(crate) outdated: BTreeSet<InstanceKey>,
    /// Instances that were given addresses that are no longer true.
    pub(crate) stale: BTreeSet<InstanceKey>,
    /// Instances that broke down.
    pub(crate) broken: BTreeSet<InstanceKey>,
    /// The set of addresses that its new instances are given, while it is current.
    pub(crate) given: Option<Option<u32>>,
    /// Nodes that depend on it, nodes that the descriptor has lost included.
    pub(crate) dependents: BTreeSet<NodeKey>,
    /// Nodes that read its addresses.
    pub(crate) readers: BTreeSet<NodeKey>,
    /// Steps that are to be taken later.
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
    pub(crate) orphans_busy: BTreeMap<zenekar_base::ResourceId, (u32, Timestamp)>,
}

/// The deterministic heart of Zenekar: one per infrastructure.
///
/// It does no I/O, reads no clock and draws no randomness: `handle` tells it
/// what happened and when, `poll` says what to do next. After each `handle`
/// all effects have to be polled before the next input.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Engine {
    pub(crate) settings: Settings,
    pub(crate) state: State,
    pub(crate) now: Timestamp,
    pub(crate) recovering: bool,
    pub(crate) progress: BTreeMap<InstanceKey, Progress>,
    pub(crate) nodes: Vec<NodeProgress>,
    pub(crate) providers: Vec<ProviderProgress>,
    pub(crate) calls: BTreeMap<CallId, InFlight>,
    pub(crate) next_call: u64,
    pub(crate) probes_in_flight: usize,
    pub(crate) timers: BTreeSet<(Timestamp, Timer)>,
    pub(crate) dirty_nodes: BTreeSet<NodeKey>,
    pub(crate) dirty_instances: BTreeSet<InstanceKey>,
    pub(crate) dirty_providers: BTreeSet<ProviderIndex>,
    pub(crate) unsettled: BTreeSet<NodeKey>,
    /// Instances lately gone: a lagging list may still show them.
    pub(crate) lately_gone: BTreeMap<InstanceTag, Timestamp>,
    pub(crate) outbox: VecDeque<Effect>,
}

impl Engine {
    /// Starts an engine for an infrastructure of which nothing exists.
    pub fn new(infrastructure: InfrastructureId, settings: Settings) -> Self {
        Self::recover(State::new(infrastructure), settings)
    }

    /// Starts an engine from what a journal adds up to.
    ///
    /// The first thing that it does is to look at what is there: an earlier
    /// engine may have died between a call and its answer.
    pub fn recover(state: State, settings: Settings) -> Self {
        let recovering = state.intent.is_some();
        let mut engine = Self {
            settings,
            now: state.last_at,
            state,
            recovering,
            progress: BTreeMap::new(),
            nodes: Vec::new(),
            providers: Vec::new(),
            calls: BTreeMap::new(),
            next_call: 1,
            probes_in_flight: 0,
            timers: BTreeSet::new(),
            dirty_nodes: BTreeSet::new(),
            dirty_instances: BTreeSet::new(),
            dirty_providers: BTreeSet::new(),
            unsettled: BTreeSet::new(),
            lately_gone: BTreeMap::new(),
            outbox: VecDeque::new(),
        };
        engine.revive();
        engine
    }

    /// Rebuilds from the persisted state what lives only in memory.
    fn revive(&mut self) {
        self.sync_tables();
        self.rebuild_links();
        for (key, instance) in &self.state.instances {
            let mut progress = Progress::default();
            if instance.uncertain_since.is_some() {
                // The dead engine's call may have taken effect until just now.
                progress.uncertain_until = self.now;
                progress.maybe_created = true;
            }
            if instance.breakage.is_some() {
                progress.broke_at = Some(self.now);
                self.nodes[instance.node.index()].broken.insert(*key);
            }
            self.progress.insert(*key, progress);
        }
        for key in self.node_keys() {
            self.mark_outdated(key);
            self.nodes_changed(key);
            if self.state.node(key).block.is_some() {
                self.schedule_unblock(key);
            }
        }
        self.dirty_instances
            .extend(self.state.instances.keys().copied());
    }

    /// Returns the persisted state.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Returns the engine's time: that of the latest input.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// Returns when the engine wants a [`Input::Tick`], if nothing happens before.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// Returns the next thing to do.
    pub fn poll(&mut self) -> Option<Effect> {
        self.outbox.pop_front()
    }

    /// Tells the engine what happened. `now` may stand still; where it goes
    /// backwards, the engine's own time stands still.
    pub fn handle(&mut self, now: Timestamp, input: Input) {
        debug_assert!(
            self.outbox.is_empty(),
            "all effects are polled before the next input"
        );
        self.now = self.now.max(now);
        match input {
            Input::Intent(topology) => self.handle_intent(&topology),
            Input::Scale(request) => self.handle_scale(request),
            Input::Teardown => self.handle_teardown(),
            Input::Resume => self.handle_resume(),
            Input::Completion { call, result } => self.handle_completion(call, result),
            Input::Tick => {}
        }
        self.fire_timers();
        self.settle();
    }

    /// Works off everything that the input has touched. Each round only
    /// handles marked subjects, and every mark comes from a changed fact, so
    /// the rounds end.
    fn settle(&mut self) {
        loop {
            if let Some(node) = self.dirty_nodes.pop_first() {
                self.replan(node);
            } else if let Some(instance) = self.dirty_instances.pop_first() {
                self.advance(instance);
            } else if let Some(provider) = self.dirty_providers.pop_first() {
                self.pump(provider);
            } else {
                break;
            }
        }
        self.conclude_teardown();
    }

    fn conclude_teardown(&mut self) {
        if self.state.teardown()
            && !self.state.torn_down
            && self.state.instances.is_empty()
            && self.state.orphans.is_empty()
        {
            let unseen = self.providers.iter().any(|provider| !provider.synchronised);
            if !unseen {
                self.record(Record::TornDown);
            }
        }
    }

    fn fire_timers(&mut self) {
        while let Some(&(at, timer)) = self.timers.first() {
            if at > self.now {
                break;
            }
            self.timers.remove(&(at, timer));
            match timer {
                Timer::Call(call) => self.call_overdue(call),
                Timer::Instance(key) => {
                    if let Some(progress) = self.progress.get_mut(&key) {
                        progress.wake = None;
                    }
                    self.dirty_instances.insert(key);
                }
                Timer::Observe(provider) => {
                    self.providers[provider.index()].observe_due = None;
                    self.observe(provider);
                }
                Timer::Throttle(provider) => {
                    self.dirty_providers.insert(provider);
                }
                Timer::Unblock(node) => self.unblock(node),
                Timer::Breaker => self.mark_broken_nodes(),
            }
        }
    }

    /// Lifts a node's block after its pause: the cause may be gone.
    fn unblock(&mut self, key: NodeKey) {
        let due = self
            .state
            .node(key)
            .block
            .as_ref()
            .is_some_and(|block| self.now.since(block.since) >= BLOCK_RETRY_INTERVAL);
        if due {
            self.record(Record::Unblocked { node: key });
            for instance in self.state.node(key).instances.clone() {
                if let Some(progress) = self.progress.get_mut(&instance) {
                    progress.failures = 0;
                    progress.not_before = self.now;
                }
                self.dirty_instances.insert(instance);
            }
            self.dirty_nodes.insert(key);
        }
    }

    pub(crate) fn schedule_unblock(&mut self, key: NodeKey) {
        if let Some(block) = &self.state.node(key).block
            && block.class != zenekar_base::ErrorClass::Invalid
        {
            self.timers
                .insert((block.since + BLOCK_RETRY_INTERVAL, Timer::Unblock(key)));
        }
    }

    fn mark_broken_nodes(&mut self) {
        let broken: Vec<NodeKey> = self
            .node_keys()
            .filter(|key| self.state.node(*key).broken > 0)
            .collect();
        self.dirty_nodes.extend(broken);
    }

    /// Makes a fact durable and applies it.
    pub(crate) fn record(&mut self, record: Record) {
        let entry = Entry {
            at: self.now,
            record,
        };
        let instance = entry.record.instance();
        let node = instance
            .and_then(|key| self.state.instances.get(&key))
            .map(|instance| instance.node);
        let serving_before = node.map(|key| self.state.node(key).serving);
        let leaving = match &entry.record {
            Record::Gone { instance } => self
                .state
                .instances
                .get(instance)
                .map(|instance| instance.tag.clone()),
            _ => None,
        };
        self.state.apply(&entry);
        self.outbox.push_back(Effect::Persist(entry));
        self.sync_tables();
        let Some(key) = instance else { return };
        if let Some(tag) = leaving {
            self.forget(key, node, tag);
        }
        self.dirty_instances.insert(key);
        let node = node.or_else(|| self.state.instances.get(&key).map(|instance| instance.node));
        if let Some(node) = node {
            self.dirty_nodes.insert(node);
            if serving_before.is_some_and(|before| before != self.state.node(node).serving) {
                self.nodes_changed(node);
            }
            if self.state.node(node).instances.is_empty() {
                self.wake_dependees(node);
            }
        }
    }

    /// Drops what lives only in memory of an instance that is gone.
    fn forget(&mut self, key: InstanceKey, node: Option<NodeKey>, tag: InstanceTag) {
        if let Some(progress) = self.progress.remove(&key)
            && let Some(wake) = progress.wake
        {
            self.timers.remove(&(wake, Timer::Instance(key)));
        }
        if let Some(node) = node {
            self.unmark(node, key);
        }
        for provider in &mut self.providers {
            provider.watched.remove(&key);
        }
        self.lately_gone.insert(tag, self.now);
    }

    /// Takes an instance out of its node's lists of instances to be dealt with.
    pub(crate) fn unmark(&mut self, node: NodeKey, key: InstanceKey) {
        let lists = &mut self.nodes[node.index()];
        lists.outdated.remove(&key);
        lists.stale.remove(&key);
        lists.broken.remove(&key);
    }

    /// Grows the tables that run parallel to the persisted ones.
    pub(crate) fn sync_tables(&mut self) {
        while self.nodes.len() < self.state.nodes.len() {
            self.nodes.push(NodeProgress::default());
        }
        while self.providers.len() < self.state.providers.len() {
            let index = ProviderIndex(
                u16::try_from(self.providers.len())
                    .expect("there are fewer provider types than 2^16"),
            );
            let name = &self.state.providers[index.index()];
            let progress = ProviderProgress {
                capabilities: self.settings.capabilities(name),
                calls_in_flight_max: self.settings.calls_in_flight_max(name),
                in_flight: 0,
                waiting: BTreeSet::new(),
                throttled_until: Timestamp::ZERO,
                throttled_failures: 0,
                synchronised: !self.recovering,
                observing: 0,
                observe_due: None,
                observe_failures: 0,
                observe_error: None,
                observed_all_at: self.now,
                watched: BTreeSet::new(),
                orphans_busy: BTreeMap::new(),
            };
            let synchronised = progress.synchronised;
            self.providers.push(progress);
            if !synchronised {
                self.schedule_observe(index, self.now);
            }
        }
    }

    /// Marks what waits for a node whose number of serving instances changed.
    pub(crate) fn nodes_changed(&mut self, key: NodeKey) {
        self.dirty_nodes.insert(key);
        let readers: Vec<NodeKey> = self.nodes[key.index()].readers.iter().copied().collect();
        for reader in readers {
            self.nodes[reader.index()].given = None;
            self.check_given(reader);
        }
        let enough = self.dependable(key);
        let dependents: Vec<NodeKey> = self.nodes[key.index()].dependents.iter().copied().collect();
        for dependent in dependents {
            if enough {
                let state = self.state.node(dependent);
                if state.serving < state.counting {
                    self.dirty_instances.extend(state.instances.iter().copied());
                }
                if !self.nodes[dependent.index()].deferred.is_empty() {
                    self.dirty_nodes.insert(dependent);
                }
            }
        }
    }

    /// Marks the doomed instances of nodes that waited for a node to be empty.
    fn wake_dependees(&mut self, key: NodeKey) {
        for dependee in self.state.node(key).dependencies.clone() {
            let state = self.state.node(dependee);
            if self.state.wanted(dependee) < state.next_ordinal {
                self.dirty_instances.extend(state.instances.iter().copied());
            }
        }
    }

    /// Says whether enough instances of a node serve for its dependants to start.
    pub(crate) fn dependable(&self, key: NodeKey) -> bool {
        self.state.node(key).serving >= self.required(key)
    }

    /// Returns the number of instances that dependants wait for: what the
    /// descriptor asks for at least, or the target if that is lower.
    pub(crate) fn required(&self, key: NodeKey) -> u32 {
        let node = self.state.node(key);
        match (node.index, &self.state.intent) {
            (Some(index), Some(intent)) => intent.topology.node(index).count.min.min(node.target),
            _ => 0,
        }
    }

    pub(crate) fn notify(&mut self, notice: Notice) {
        self.outbox.push_back(Effect::Notify(notice));
    }

    pub(crate) fn node_keys(&self) -> impl Iterator<Item = NodeKey> + use<> {
        (0..u32::try_from(self.state.nodes.len())
            .expect("front-ends limit the number of nodes far below 2^32"))
            .map(NodeKey)
    }

    pub(crate) fn instance(&self, key: InstanceKey) -> Option<&Instance> {
        self.state.instances.get(&key)
    }

    pub(crate) fn progress_of(&mut self, key: InstanceKey) -> &mut Progress {
        self.progress.entry(key).or_default()
    }

    /// Returns the current topology.
    pub(crate) fn topology(&self) -> Option<Arc<Topology>> {
        self.state
            .intent
            .as_ref()
            .map(|intent| Arc::clone(&intent.topology.0))
    }

    /// Sets an instance's timer to the earliest of several times.
    pub(crate) fn wake_at(&mut self, key: InstanceKey, at: Option<Timestamp>) {
        let now = self.now;
        let progress = self.progress.entry(key).or_default();
        let before = progress.wake;
        // A time that has come rings at the next tick, not in this round: rounds must end.
        let at = at.map(|at| at.max(now));
        if before != at {
            progress.wake = at;
            if let Some(before) = before {
                self.timers.remove(&(before, Timer::Instance(key)));
            }
            if let Some(at) = at {
                self.timers.insert((at, Timer::Instance(key)));
            }
        }
    }

    /// Spreads a pause by up to a fifth, the same way in every run.
    pub(crate) fn jitter(&self, pause: Millis, key: u64, failures: u32) -> Millis {
        let mut random = Random::from_seed(self.settings.seed)
            .child(key)
            .child(u64::from(failures));
        let spread = pause.0 / 5;
        Millis(pause.0 - spread / 2 + random.below(spread + 1))
    }
}
