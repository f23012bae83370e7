//! The engine itself: inputs in, effects out.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use zenekar_base::{
    CallId, InfrastructureId, InstanceKey, InstanceTag, Millis, NodeKey, Random, Timestamp,
};
use zenekar_model::Topology;

use crate::defect::Defect;
use crate::effect::{Effect, Input, Notice};
use crate::progress::{
    GivenCache, InFlight, NodeProgress, Progress, ProviderProgress, ReleaseProgress, Timer,
};
use crate::record::{Entry, Record};
use crate::settings::{BLOCK_RETRY_INTERVAL, Settings};
use crate::shared::{SharedList, SharedMap};
use crate::state::{Instance, ProviderIndex, State};

/// The deterministic heart of Zenekar: one per infrastructure.
///
/// It does no I/O, reads no clock and draws no randomness: `handle` tells it
/// what happened and when, `poll` says what to do next. After each `handle`
/// all effects have to be polled before the next input.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Engine {
    pub(crate) settings: Arc<Settings>,
    pub(crate) state: State,
    pub(crate) now: Timestamp,
    pub(crate) recovering: bool,
    /// Nothing was handled yet since the recovery.
    pub(crate) inherited: bool,
    pub(crate) progress: SharedMap<InstanceKey, Progress>,
    pub(crate) nodes: SharedList<NodeProgress>,
    pub(crate) providers: Vec<ProviderProgress>,
    pub(crate) calls: SharedMap<CallId, InFlight>,
    pub(crate) next_call: u64,
    pub(crate) probes_in_flight: usize,
    pub(crate) timers: BTreeSet<(Timestamp, Timer)>,
    pub(crate) dirty_nodes: BTreeSet<NodeKey>,
    pub(crate) dirty_instances: BTreeSet<InstanceKey>,
    pub(crate) dirty_providers: BTreeSet<ProviderIndex>,
    /// Nodes whose instances may have been given addresses that are no longer true.
    pub(crate) dirty_readers: BTreeSet<NodeKey>,
    pub(crate) unsettled: BTreeSet<NodeKey>,
    /// Instances lately gone: a lagging list may still show them.
    pub(crate) lately_gone: BTreeMap<InstanceTag, Timestamp>,
    pub(crate) outbox: VecDeque<Effect>,
}

impl Engine {
    /// Starts an engine for an infrastructure of which nothing exists.
    pub fn new(infrastructure: InfrastructureId, settings: impl Into<Arc<Settings>>) -> Self {
        Self::recover(State::new(infrastructure), settings)
    }

    /// Starts an engine from what a journal adds up to.
    ///
    /// The first thing that it does is to look at what is there: an earlier
    /// engine may have died between a call and its answer.
    pub fn recover(state: State, settings: impl Into<Arc<Settings>>) -> Self {
        let recovering = state.intent.is_some();
        let mut engine = Self {
            settings: settings.into(),
            now: state.last_at,
            state,
            recovering,
            inherited: recovering,
            progress: SharedMap::new(),
            nodes: SharedList::new(),
            providers: Vec::new(),
            calls: SharedMap::new(),
            next_call: 1,
            probes_in_flight: 0,
            timers: BTreeSet::new(),
            dirty_nodes: BTreeSet::new(),
            dirty_instances: BTreeSet::new(),
            dirty_providers: BTreeSet::new(),
            dirty_readers: BTreeSet::new(),
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
        self.mark_left_providers();
        if self.has_defect(Defect::CrashLosesCreation) {
            let unknown = self.state.instances.values_mut();
            unknown
                .filter(|instance| instance.uncertain_since.is_some())
                .for_each(|instance| instance.attempt += 1);
        }
        for (key, instance) in self.state.instances.iter() {
            let mut progress = Progress::default();
            if instance.uncertain_since.is_some() {
                // The dead engine's call may have taken effect until just now.
                progress.uncertain_until = self.now;
                progress.maybe_created = true;
            }
            if instance.breakage.is_some() && instance.doom.is_none() {
                progress.broke_at = Some(self.now);
                self.nodes[instance.node.index()].broken.insert(*key);
            }
            self.progress.insert(*key, progress);
        }
        for key in self.state.instances.keys().copied().collect::<Vec<_>>() {
            self.note_idle(key, None);
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
        self.dirty_providers
            .extend(self.state.orphans.keys().map(|(provider, _)| *provider));
        self.mark_needed_providers();
    }

    /// Notes which providers have to be seen before anything can be said to be
    /// done: not those that nothing is at and nothing is for.
    fn mark_needed_providers(&mut self) {
        let held = self
            .state
            .instances
            .values()
            .filter_map(|instance| instance.provider);
        let orphaned = self.state.orphans.keys().map(|(provider, _)| *provider);
        let unreleased = self.unreleased();
        let mut needed: BTreeSet<ProviderIndex> = held.chain(orphaned).chain(unreleased).collect();
        if let Some(topology) = self.topology() {
            let candidates = topology
                .indices()
                .filter_map(|index| topology.candidate(index, 0));
            let names: BTreeSet<&str> = candidates
                .map(|candidate| candidate.provider.as_str())
                .collect();
            needed.extend(
                names
                    .into_iter()
                    .filter_map(|name| self.state.find_provider(name)),
            );
        }
        for (place, provider) in (0u16..).map(ProviderIndex).zip(&mut self.providers) {
            provider.needed = needed.contains(&place);
        }
    }

    /// Takes the time of the first input after a recovery: until just now the
    /// dead engine's calls may have been sent.
    fn take_over(&mut self) {
        let now = self.now;
        for progress in self.progress.values_mut() {
            if progress.maybe_created {
                progress.uncertain_until = now;
            }
            if progress.broke_at.is_some() {
                progress.broke_at = Some(now);
            }
        }
        for provider in &mut self.providers {
            provider.observed_all_at = now;
        }
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
        if std::mem::take(&mut self.inherited) {
            self.take_over();
        }
        match input {
            Input::Intent(topology) => self.handle_intent(&topology),
            Input::Adopt(adoption) => self.handle_adopt(adoption),
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
            if let Some(reader) = self.dirty_readers.pop_first() {
                self.check_given(reader);
            } else if let Some(node) = self.dirty_nodes.pop_first() {
                self.replan(node);
            } else if let Some(instance) = self.dirty_instances.pop_first() {
                self.advance(instance);
            } else if let Some(provider) = self.dirty_providers.pop_first() {
                self.pump(provider);
            } else {
                break;
            }
        }
        self.release_providers();
        self.conclude_teardown();
    }

    fn conclude_teardown(&mut self) {
        if self.state.teardown()
            && !self.state.torn_down
            && self.state.instances.is_empty()
            && self.state.orphans.is_empty()
            && self.state.held.is_empty()
            && self.is_synchronised()
        {
            self.record(Record::TornDown);
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
            && !self.has_defect(Defect::FirstErrorIsFinal)
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
        if let (Record::Gone { instance }, true) =
            (&record, self.has_defect(Defect::DoubleDecrement))
        {
            self.count_off_again(*instance);
        }
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
        self.note_idle(key, node);
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
            self.end_doubt(node, key);
        }
        for provider in &mut self.providers {
            provider.watched.remove(&key);
        }
        self.lately_gone.insert(tag, self.now);
    }

    /// Keeps the list of instances that count and do not serve.
    pub(crate) fn note_idle(&mut self, key: InstanceKey, node: Option<NodeKey>) {
        let idle = self
            .instance(key)
            .map(|instance| (instance.node, instance.counts() && !instance.serves()));
        match idle {
            Some((node, true)) => {
                self.nodes[node.index()].idle.insert(key);
            }
            Some((node, false)) => {
                self.nodes[node.index()].idle.remove(&key);
            }
            None => {
                if let Some(node) = node {
                    self.nodes[node.index()].idle.remove(&key);
                }
            }
        }
    }

    /// Says whether every provider that matters was seen.
    pub(crate) fn is_synchronised(&self) -> bool {
        self.providers
            .iter()
            .all(|provider| provider.synchronised || !provider.needed)
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
                needed: true,
                left: false,
                release: ReleaseProgress::default(),
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
        // Only a complete node can make what was said about it untrue for good.
        let complete = self.state.node(key).serving >= self.state.wanted(key);
        for reader in readers {
            self.nodes[reader.index()].given = GivenCache::Unknown;
            if complete {
                self.dirty_readers.insert(reader);
            }
        }
        let enough = self.dependable(key);
        let before = std::mem::replace(&mut self.nodes[key.index()].dependable, enough);
        let dependents: Vec<NodeKey> = self.nodes[key.index()].dependents.iter().copied().collect();
        for dependent in dependents.into_iter().filter(|_| enough) {
            if !before {
                self.dirty_instances
                    .extend(self.nodes[dependent.index()].idle.iter().copied());
            }
            if !self.nodes[dependent.index()].deferred.is_empty() {
                self.dirty_nodes.insert(dependent);
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

    /// Says whether enough instances of a node serve for its dependants to
    /// start. One that serves and may be gone is not built on: what is said of
    /// the node's addresses waits for the next look. One that did not serve yet
    /// holds nobody back, whether a list shows it or not.
    pub(crate) fn dependable(&self, key: NodeKey) -> bool {
        let serving = self.state.node(key).serving;
        serving >= self.required(key) && self.surely_serving(key) == serving
    }

    /// Returns how many instances of a node serve, without those that may be gone.
    pub(crate) fn surely_serving(&self, key: NodeKey) -> u32 {
        let doubted = self.nodes[key.index()].doubted.iter();
        let doubted = doubted
            .filter_map(|key| self.instance(*key))
            .filter(|instance| instance.serves());
        let doubted = u32::try_from(doubted.count()).unwrap_or(u32::MAX);
        self.state.node(key).serving.saturating_sub(doubted)
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
        self.progress.get_or_default(key)
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
        let progress = self.progress.get_or_default(key);
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
