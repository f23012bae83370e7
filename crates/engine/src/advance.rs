//! The life cycle of one instance: what it does next, and when.

use zenekar_base::{InstanceKey, Millis, NodeKey, Timestamp};

use crate::defect::Defect;
use crate::engine::Engine;
use crate::record::{Breakage, Record};
use crate::settings::{BOOT_TIMEOUT, PROBE_STARTING_INTERVAL, PROBE_STARTING_INTERVAL_MAX};
use crate::state::{Instance, Phase, ProviderIndex};
use crate::waiting::Waiting;

/// The rank of deletions among instances that wait for a call: they come
/// first, because they free quota.
const RANK_DELETE: u32 = 0;
/// The rank of a creation with nothing above it; longer chains of dependants rank before it.
const RANK_CREATE: u32 = u32::MAX / 2;

impl Engine {
    /// Lets an instance do what it can do now.
    pub(crate) fn advance(&mut self, key: InstanceKey) {
        let Some(instance) = self.instance(key) else {
            return;
        };
        let doomed = instance.doom.is_some();
        let wake = if doomed {
            self.advance_doomed(key)
        } else {
            match instance.phase {
                Phase::Planned | Phase::Creating => self.advance_creating(key),
                Phase::Booting => self.advance_booting(key),
                Phase::Checking | Phase::Ready | Phase::Unready => self.advance_running(key),
                Phase::Restarting => self.advance_restarting(key),
            }
        };
        if self.state.instances.contains_key(&key) {
            self.update_watch(key);
            self.wake_at(key, wake);
        }
    }

    fn advance_creating(&mut self, key: InstanceKey) -> Option<Timestamp> {
        let progress = self.progress_of(key);
        if progress.call.is_some() {
            return None;
        }
        let not_before = progress.not_before;
        match self.gate_create(key) {
            Ok(()) => {
                self.enqueue(key);
                None
            }
            Err(Waiting::Backoff { .. }) => Some(not_before),
            Err(_) => None,
        }
    }

    /// Says what an instance waits for before the provider can be asked to create it.
    pub(crate) fn gate_create(&self, key: InstanceKey) -> Result<(), Waiting> {
        let Some(instance) = self.instance(key) else {
            return Err(Waiting::Unfinished);
        };
        let node = self.state.node(instance.node);
        if let Some(block) = &node.block {
            return Err(Waiting::Blocked {
                class: block.class,
                message: block.message.clone(),
            });
        }
        if instance.phase == Phase::Planned && !self.has_defect(Defect::CreationIgnoresOrder) {
            self.gate_dependencies(instance.node)?;
        }
        if let Some(provider) = self.provider_for(instance)
            && !self.providers[provider.index()].synchronised
        {
            return Err(Waiting::Recovery {
                provider: self.state.providers[provider.index()].clone(),
            });
        }
        if let Some(progress) = self.progress.get(&key)
            && progress.not_before > self.now
        {
            let error = progress.last_error.clone();
            return Err(Waiting::Backoff {
                until: progress.not_before,
                failures: progress.failures,
                error,
            });
        }
        Ok(())
    }

    fn gate_dependencies(&self, key: NodeKey) -> Result<(), Waiting> {
        let waits_for = self
            .state
            .node(key)
            .dependencies
            .iter()
            .find(|dependee| !self.dependable(**dependee));
        waits_for.map_or(Ok(()), |dependee| {
            let state = self.state.node(*dependee);
            Err(Waiting::Dependency {
                node: state.name.clone(),
                serving: self.surely_serving(*dependee),
                required: self.required(*dependee),
            })
        })
    }

    /// Returns the provider of an instance: the one that was asked, or the one that will be.
    pub(crate) fn provider_for(&self, instance: &Instance) -> Option<ProviderIndex> {
        if instance.phase != Phase::Planned
            && let Some(provider) = instance.provider
        {
            return Some(provider);
        }
        let topology = &self.state.intent.as_ref()?.topology;
        let candidate = topology.candidate(
            self.state.node(instance.node).index?,
            instance.candidate as usize,
        )?;
        self.state.find_provider(&candidate.provider)
    }

    /// Puts an instance in the line for a call to its provider.
    pub(crate) fn enqueue(&mut self, key: InstanceKey) {
        let Some(instance) = self.instance(key) else {
            return;
        };
        let rank = self.rank(instance);
        let provider = match self.provider_for(instance) {
            Some(provider) => provider,
            None => match self.new_provider(key) {
                Some(provider) => provider,
                None => return,
            },
        };
        self.providers[provider.index()].waiting.insert((rank, key));
        self.dirty_providers.insert(provider);
    }

    /// Gives the provider of an instance's candidate its place at first use.
    fn new_provider(&mut self, key: InstanceKey) -> Option<ProviderIndex> {
        let instance = self.instance(key)?;
        let index = self.state.node(instance.node).index?;
        let name = self
            .state
            .intent
            .as_ref()?
            .topology
            .candidate(index, instance.candidate as usize)?
            .provider
            .clone();
        let provider = self.state.provider(&name);
        self.sync_tables();
        Some(provider)
    }

    /// Ranks instances that wait for a call: the start of the longest chain of dependants first.
    pub(crate) fn rank(&self, instance: &Instance) -> u32 {
        if instance.doom.is_some() {
            return RANK_DELETE;
        }
        let height = match (self.state.node(instance.node).index, &self.state.intent) {
            (Some(index), Some(intent)) => intent.topology.height(index),
            _ => 0,
        };
        RANK_CREATE - height.min(RANK_CREATE - 1)
    }

    fn advance_booting(&mut self, key: InstanceKey) -> Option<Timestamp> {
        let instance = self.instance(key)?;
        let deadline = instance.phase_since + BOOT_TIMEOUT;
        if instance.breakage.is_some() {
            return None;
        }
        if self.now >= deadline {
            self.break_down(key, Breakage::BootTimeout);
            return None;
        }
        Some(deadline)
    }

    /// Probes a running instance, and gives it up when it has been unhealthy for too long.
    fn advance_running(&mut self, key: InstanceKey) -> Option<Timestamp> {
        let instance = self.instance(key)?;
        // One that was only unhealthy may get well before it is replaced.
        let unhealthy = matches!(instance.breakage, Some(Breakage::Unhealthy(_)));
        if instance.breakage.is_some() && !unhealthy {
            return None;
        }
        let deadline = self.health_deadline(instance).filter(|_| !unhealthy);
        if let Some(deadline) = deadline
            && self.now >= deadline
        {
            let finding = self
                .progress_of(key)
                .finding
                .clone()
                .unwrap_or_else(|| "no check has passed".to_owned());
            self.break_down(key, Breakage::Unhealthy(finding));
            return None;
        }
        let now = self.now;
        let progress = self.progress_of(key);
        if progress.probe.is_some() {
            return deadline;
        }
        let due = *progress.probe_at.get_or_insert(now);
        if due <= now && !self.start_probe(key) {
            // Too many probes in flight: a moment later.
            let later = now + PROBE_STARTING_INTERVAL;
            self.progress_of(key).probe_at = Some(later);
            return Some(later);
        }
        let next = self.progress_of(key).probe_at;
        earliest(deadline, next.filter(|_| due > now))
    }

    /// Returns until when an unhealthy instance is waited for. The time runs
    /// from the moment that the resource is up, or that it became unhealthy.
    pub(crate) fn health_deadline(&self, instance: &Instance) -> Option<Timestamp> {
        if instance.phase == Phase::Ready || self.has_defect(Defect::DeadSetupIsKept) {
            return None;
        }
        let index = self.state.node(instance.node).index?;
        let topology = &self.state.intent.as_ref()?.topology;
        let timeout = topology
            .candidate(index, instance.candidate as usize)?
            .health
            .timeout;
        Some(instance.phase_since + timeout)
    }

    /// Returns the pause before the next probe of a starting instance: it
    /// grows with the time that has passed, so that it stays a small share of it.
    pub(crate) fn starting_probe_pause(&self, instance: &Instance) -> Millis {
        let elapsed = self.now.since(instance.phase_since);
        Millis((elapsed.0 / 32).clamp(PROBE_STARTING_INTERVAL.0, PROBE_STARTING_INTERVAL_MAX.0))
    }

    fn advance_restarting(&mut self, key: InstanceKey) -> Option<Timestamp> {
        let now = self.now;
        let progress = self.progress_of(key);
        if progress.call.is_some() {
            return None;
        }
        if progress.not_before > now {
            return Some(progress.not_before);
        }
        self.enqueue(key);
        None
    }

    fn advance_doomed(&mut self, key: InstanceKey) -> Option<Timestamp> {
        let forgets = self.has_defect(Defect::CancelledCreationIsForgotten);
        if self.progress_of(key).call.is_some() && !forgets {
            return None;
        }
        let instance = self.instance(key)?;
        if instance.resource.is_none() {
            if instance.uncertain_since.is_none() || forgets {
                self.record(Record::Gone { instance: key });
            }
            // Else only an observation can tell; see `update_watch`.
            return None;
        }
        if self.gate_delete(key).is_err() || self.progress_of(key).delete_accepted.is_some() {
            return None;
        }
        let not_before = self.progress_of(key).not_before;
        if not_before > self.now {
            return Some(not_before);
        }
        self.enqueue(key);
        None
    }

    /// Says what the deletion of an instance waits for: on the way down, those
    /// that depend on it go first.
    pub(crate) fn gate_delete(&self, key: InstanceKey) -> Result<(), Waiting> {
        let Some(instance) = self.instance(key) else {
            return Ok(());
        };
        if self.state.wanted(instance.node) > 0 || self.has_defect(Defect::DeletionIgnoresOrder) {
            return Ok(());
        }
        let first = self.nodes[instance.node.index()]
            .dependents
            .iter()
            .find(|dependent| {
                self.state.wanted(**dependent) == 0
                    && !self.state.node(**dependent).instances.is_empty()
            });
        first.map_or(Ok(()), |dependent| {
            let state = self.state.node(*dependent);
            Err(Waiting::DependentsFirst {
                node: state.name.clone(),
                instances: u32::try_from(state.instances.len()).unwrap_or(u32::MAX),
            })
        })
    }

    /// Notes that an instance broke down; what follows is the planner's decision.
    pub(crate) fn break_down(&mut self, key: InstanceKey, breakage: Breakage) {
        let Some(instance) = self
            .instance(key)
            .filter(|instance| instance.breakage.is_none() && instance.doom.is_none())
        else {
            return;
        };
        let node = instance.node;
        self.record(Record::Broke {
            instance: key,
            breakage,
        });
        self.nodes[node.index()].broken.insert(key);
        self.end_doubt(node, key);
        self.progress_of(key).broke_at = Some(self.now);
    }

    /// Notes that an instance that had broken down is well again.
    pub(crate) fn recover_instance(&mut self, key: InstanceKey) {
        let Some(node) = self.instance(key).map(|instance| instance.node) else {
            return;
        };
        self.record(Record::Recovered { instance: key });
        self.nodes[node.index()].broken.remove(&key);
        self.progress_of(key).broke_at = None;
    }
}

/// Returns the earlier of two times, either of which may be missing.
pub(crate) fn earliest(one: Option<Timestamp>, two: Option<Timestamp>) -> Option<Timestamp> {
    match (one, two) {
        (Some(one), Some(two)) => Some(one.min(two)),
        (one, two) => one.or(two),
    }
}
