//! Planning: which steps lead from what is to what is wanted.
//!
//! A pure function of the engine's state. The preview that people see and the
//! steps that the engine takes come from the same code.

use std::collections::BTreeSet;

use zenekar_base::{InstanceKey, NodeKey, Timestamp};
use zenekar_model::AddressChange;

use crate::defect::Defect;
use crate::draft::{Draft, doom_of, step};
use crate::effect::{Input, Notice, Refusal};
use crate::engine::Engine;
use crate::progress::Timer;
use crate::record::{Doom, Record};
use crate::settings::{BREAKER_FREE, BREAKER_SHARE_PERCENT, BREAKER_WINDOW};
use crate::state::{Instance, Phase};
use crate::step::{Action, Cause, Plan, Step, When};
use crate::waiting::Waiting;

/// How many broken instances may still be replaced, and until when no more.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Allowance {
    left: u32,
    replaced: u32,
    limit: u32,
    until: Timestamp,
}

/// How much of what has to wait is listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Detail {
    /// All of it, for people.
    All,
    /// Only what comes next, to act on.
    Next,
}

impl Engine {
    /// Returns what remains to be done; empty if what is wanted is there.
    pub fn plan(&self) -> Plan {
        let mut allowance = self.allowance();
        let mut steps = Vec::new();
        for key in self.plan_order() {
            let planned = self.plan_node(key, &mut allowance, Detail::All);
            self.add_unfinished(key, &planned, &mut steps);
            steps.extend(planned);
        }
        self.add_address_changes(&mut steps);
        let unreachable = self.unreachable().into_iter().map(Notice::Unreachable);
        Plan {
            parent: self.state.generation(),
            generation: self.state.generation(),
            steps,
            notices: unreachable.collect(),
        }
    }

    /// Returns what a request would lead to, without changing anything.
    pub fn preview(&self, input: &Input) -> Result<(Self, Plan), Refusal> {
        let mut changed = self.clone();
        match input {
            Input::Intent(topology) => changed.handle_intent(topology),
            Input::Adopt(adoption) => changed.handle_adopt(adoption.clone()),
            Input::Scale(request) => changed.handle_scale(request.clone()),
            Input::Teardown => changed.handle_teardown(),
            Input::Resume | Input::Completion { .. } | Input::Tick => {}
        }
        let mut notices = Vec::new();
        for effect in std::mem::take(&mut changed.outbox) {
            match effect {
                crate::effect::Effect::Notify(Notice::Refused { reason }) => return Err(reason),
                crate::effect::Effect::Notify(notice) => notices.push(notice),
                _ => {}
            }
        }
        let mut plan = changed.plan();
        notices.append(&mut plan.notices);
        let plan = Plan {
            parent: self.state.generation(),
            notices,
            ..plan
        };
        Ok((changed, plan))
    }

    /// Returns lost nodes first, then those of the topology in its order.
    fn plan_order(&self) -> Vec<NodeKey> {
        let lost = self.node_keys().filter(|key| {
            self.state.node(*key).index.is_none() && !self.state.node(*key).instances.is_empty()
        });
        lost.chain(self.state.node_keys.iter().copied()).collect()
    }

    /// Adds what is on its way already.
    fn add_unfinished(&self, key: NodeKey, planned: &[Step], steps: &mut Vec<Step>) {
        let node = self.state.node(key);
        if node.serving as usize == node.instances.len() {
            return;
        }
        let touched: BTreeSet<InstanceKey> =
            planned.iter().filter_map(|step| step.instance).collect();
        for instance in node.instances.iter().filter_map(|key| self.instance(*key)) {
            let step = |action, cause| Step {
                node: key,
                instance: Some(instance.key),
                action,
                cause,
                when: When::Now,
            };
            if let Some(doom) = &instance.doom {
                steps.push(step(Action::Delete, Cause::Doomed(doom.clone())));
            } else if !instance.serves() && !touched.contains(&instance.key) {
                let action = if instance.phase == Phase::Planned {
                    Action::Create
                } else {
                    Action::Continue
                };
                steps.push(step(action, Cause::Unfinished));
            }
        }
    }

    /// Adds what replaced instances will mean to those that know their addresses.
    fn add_address_changes(&self, steps: &mut Vec<Step>) {
        let touched: BTreeSet<InstanceKey> =
            steps.iter().filter_map(|step| step.instance).collect();
        let replaced: BTreeSet<NodeKey> = steps
            .iter()
            .filter(|step| step.action == Action::Replace)
            .map(|step| step.node)
            .collect();
        let mut told = BTreeSet::new();
        for owner in replaced {
            for reader in self.nodes[owner.index()].readers.clone() {
                if self.ignores_addresses(reader, owner) || self.state.wanted(reader) == 0 {
                    continue;
                }
                for key in &self.state.node(reader).instances {
                    let counts = self.instance(*key).is_some_and(|instance| {
                        instance.doom.is_none() && instance.given.is_some()
                    });
                    if counts && !touched.contains(key) && told.insert(*key) {
                        let node = self.state.node(owner).name.clone();
                        let when = When::Later(Waiting::DependeeUpdates { node: node.clone() });
                        let action = if self.address_change(reader, owner)
                            == Some(AddressChange::Recreate)
                        {
                            Action::Replace
                        } else {
                            Action::Restart
                        };
                        steps.push(Step {
                            node: reader,
                            instance: Some(*key),
                            action,
                            cause: Cause::AddressWillChange { node },
                            when,
                        });
                    }
                }
            }
        }
    }

    fn ignores_addresses(&self, reader: NodeKey, owner: NodeKey) -> bool {
        reader == owner || self.address_change(reader, owner) == Some(AddressChange::Ignore)
    }

    /// Returns how many broken instances may be replaced now.
    pub(crate) fn allowance(&self) -> Allowance {
        let since = self.now - BREAKER_WINDOW;
        let recent = self.state.replacements.iter().filter(|at| **at > since);
        let replaced = u32::try_from(recent.clone().count()).unwrap_or(u32::MAX);
        let total = u32::try_from(self.state.instances.len()).unwrap_or(u32::MAX);
        let share = u32::try_from(u64::from(total) * u64::from(BREAKER_SHARE_PERCENT) / 100)
            .unwrap_or(u32::MAX);
        let limit = share.max(BREAKER_FREE);
        let until = recent
            .min()
            .map_or(self.now, |oldest| *oldest + BREAKER_WINDOW);
        Allowance {
            left: limit.saturating_sub(replaced),
            replaced,
            limit,
            until,
        }
    }

    /// Returns the steps for one node.
    pub(crate) fn plan_node(
        &self,
        key: NodeKey,
        allowance: &mut Allowance,
        detail: Detail,
    ) -> Vec<Step> {
        let node = self.state.node(key);
        let wanted = self.state.wanted(key);
        let lists = &self.nodes[key.index()];
        let quiet = lists.broken.is_empty() && lists.outdated.is_empty() && lists.stale.is_empty();
        if quiet && node.counting == wanted {
            return Vec::new();
        }
        if wanted == 0 && (node.index.is_none() || self.state.teardown()) {
            let cause = if self.state.teardown() {
                Cause::Teardown
            } else {
                Cause::NodeRemoved
            };
            let leaving = node
                .instances
                .iter()
                .filter(|key| self.instance(**key).is_some_and(Instance::counts));
            return leaving
                .map(|instance| {
                    step(
                        key,
                        Some(*instance),
                        Action::Delete,
                        cause.clone(),
                        When::Now,
                    )
                })
                .collect();
        }
        let mut draft = Draft {
            node: key,
            wanted,
            serving: self.surely_serving(key),
            leaving: BTreeSet::new(),
            steps: Vec::new(),
        };
        self.plan_broken(&mut draft, allowance);
        self.plan_surplus(&mut draft);
        self.plan_rolling(&mut draft, detail);
        // Only for what is still to be replaced after this: the last one
        // that goes has its successor already.
        let goal = wanted + self.surge(key, &draft);
        self.plan_count(&mut draft, goal);
        draft.steps
    }

    fn plan_broken(&self, draft: &mut Draft, allowance: &mut Allowance) {
        for key in &self.nodes[draft.node.index()].broken {
            let Some(breakage) = self
                .instance(*key)
                .and_then(|instance| instance.breakage.clone())
            else {
                continue;
            };
            let when = if allowance.left > 0 {
                allowance.left -= 1;
                When::Now
            } else {
                When::Later(Waiting::Breaker {
                    until: allowance.until,
                    replaced: allowance.replaced,
                    limit: allowance.limit,
                })
            };
            draft.take_out(self, *key, Action::Replace, Cause::Broken(breakage), when);
        }
    }

    /// Picks victims if there are too many: those that do not serve first,
    /// then those that are to be replaced anyway, then the youngest.
    fn plan_surplus(&self, draft: &mut Draft) {
        let node = self.state.node(draft.node);
        let surge = self.surge(draft.node, draft);
        let staying = node
            .counting
            .saturating_sub(u32::try_from(draft.leaving.len()).unwrap_or(u32::MAX));
        let surplus = staying.saturating_sub(draft.wanted + surge) as usize;
        if surplus == 0 {
            return;
        }
        let lists = &self.nodes[draft.node.index()];
        let due = |key: &InstanceKey| lists.outdated.contains(key) || lists.stale.contains_key(key);
        let mut candidates: Vec<&Instance> = node
            .instances
            .iter()
            .filter_map(|key| self.instance(*key))
            .filter(|instance| instance.counts() && !draft.leaving.contains(&instance.key))
            .collect();
        candidates.sort_by_key(|instance| {
            (
                self.surely_serves(instance),
                !due(&instance.key),
                std::cmp::Reverse(instance.key),
            )
        });
        let victims: Vec<InstanceKey> = candidates
            .iter()
            .take(surplus)
            .map(|instance| instance.key)
            .collect();
        for victim in victims {
            draft.steps.retain(|step| step.instance != Some(victim));
            draft.take_out(self, victim, Action::Delete, Cause::AboveTarget, When::Now);
        }
    }

    /// Returns how many extra instances may exist while others are replaced.
    fn surge(&self, key: NodeKey, draft: &Draft) -> u32 {
        let lists = &self.nodes[key.index()];
        let limit = self.update_limits(key).1;
        let due = lists.outdated.iter().chain(lists.stale.keys());
        let due = due
            .filter(|instance| !draft.leaving.contains(instance))
            .take(limit as usize)
            .count();
        limit.min(u32::try_from(due).unwrap_or(u32::MAX))
    }

    /// Returns how many instances may be missing and how many may be extra while updating.
    fn update_limits(&self, key: NodeKey) -> (u32, u32) {
        let (Some(intent), Some(index)) = (&self.state.intent, self.state.node(key).index) else {
            return (1, 0);
        };
        let update = intent.topology.node(index).update;
        let unavailable = if update.surge_max == 0 {
            update.unavailable_max.max(1)
        } else {
            update.unavailable_max
        };
        (unavailable, update.surge_max)
    }

    /// Plans the replacement of outdated instances and of those with stale
    /// addresses, so that never more than the limit is missing at once. Those
    /// that do not serve come first; of the rest, where not all are asked for,
    /// only the next one that has to wait is named.
    fn plan_rolling(&self, draft: &mut Draft, detail: Detail) {
        let lists = &self.nodes[draft.node.index()];
        if lists.outdated.is_empty() && lists.stale.is_empty() {
            return;
        }
        let (unavailable_max, _) = self.update_limits(draft.node);
        let dependee = self.updating_dependee(draft.node);
        let is_due =
            |key: &&InstanceKey| lists.outdated.contains(key) || lists.stale.contains_key(key);
        let idle = lists.idle.iter().filter(is_due);
        let fresh_stale = lists
            .stale
            .keys()
            .filter(|key| !lists.outdated.contains(key));
        let due = lists.outdated.iter().chain(fresh_stale);
        let serving = due.filter(|key| !lists.idle.contains(key));
        for key in idle.chain(serving) {
            let Some(instance) = self.instance(*key).filter(|instance| {
                instance.counts() && instance.breakage.is_none() && !draft.leaving.contains(key)
            }) else {
                continue;
            };
            let (action, cause) = self.rolling_step(draft.node, instance);
            let can_restart = matches!(
                instance.phase,
                Phase::Checking | Phase::Ready | Phase::Unready
            );
            let when = if self.has_defect(Defect::UpdateDestroysAll) {
                When::Now
            } else if let Some(node) = &dependee {
                When::Later(Waiting::DependeeUpdates { node: node.clone() })
            } else if action == Action::Restart && !can_restart {
                When::Later(Waiting::Unfinished)
            } else if !instance.serves()
                || draft.serving > draft.wanted.saturating_sub(unavailable_max)
            {
                When::Now
            } else {
                When::Later(Waiting::Rolling { unavailable_max })
            };
            let waits = matches!(
                when,
                When::Later(Waiting::Rolling { .. } | Waiting::DependeeUpdates { .. })
            );
            draft.take_out(self, *key, action, cause, when);
            if waits && detail == Detail::Next {
                return;
            }
        }
    }

    fn rolling_step(&self, key: NodeKey, instance: &Instance) -> (Action, Cause) {
        let described = self.state.node(key).index.and_then(|index| {
            self.state
                .intent
                .as_ref()
                .map(|intent| intent.topology.node(index))
        });
        let now = described
            .and_then(|described| described.fingerprints.get(instance.candidate as usize))
            .copied();
        if self.nodes[key.index()].outdated.contains(&instance.key) {
            let resource = now.is_none_or(|now| now.resource != instance.fingerprint.resource);
            let context = now.is_none_or(|now| now.context != instance.fingerprint.context);
            return (Action::Replace, Cause::Outdated { resource, context });
        }
        let in_place = instance.provider.is_some_and(|provider| {
            self.providers[provider.index()]
                .capabilities
                .recontextualise
        });
        let recreate = self.nodes[key.index()].stale.get(&instance.key) == Some(&true);
        let action = if in_place && !recreate {
            Action::Restart
        } else {
            Action::Replace
        };
        (action, Cause::AddressChanged)
    }

    /// Returns a node that this one depends on and that is itself being updated:
    /// its addresses are about to change, so this node waits and changes only once.
    fn updating_dependee(&self, key: NodeKey) -> Option<String> {
        let updating = self.state.node(key).dependencies.iter().find(|dependee| {
            let state = self.state.node(**dependee);
            state.index.is_some()
                && (!self.nodes[dependee.index()].outdated.is_empty()
                    || !self.dependable(**dependee))
        });
        updating.map(|dependee| self.state.node(*dependee).name.clone())
    }

    /// Turns steps that take instances out into replacements, or adds new ones, to reach the goal.
    fn plan_count(&self, draft: &mut Draft, goal: u32) {
        let staying = self
            .state
            .node(draft.node)
            .counting
            .saturating_sub(u32::try_from(draft.leaving.len()).unwrap_or(u32::MAX));
        let mut needed = goal.saturating_sub(staying);
        for step in &mut draft.steps {
            if step.action == Action::Replace && step.when == When::Now {
                if needed == 0 {
                    step.action = Action::Delete;
                } else {
                    needed -= 1;
                }
            }
        }
        for _ in 0..needed {
            draft.steps.push(step(
                draft.node,
                None,
                Action::Create,
                Cause::BelowTarget,
                When::Now,
            ));
        }
    }

    /// Plans a node anew and takes the steps that can be taken now.
    pub(crate) fn replan(&mut self, key: NodeKey) {
        let mut allowance = self.allowance_if_broken(key);
        let steps = self.plan_node(key, &mut allowance, Detail::Next);
        self.nodes[key.index()].deferred.clear();
        for step in steps {
            match &step.when {
                When::Now => self.take(&step),
                When::Later(waiting) => {
                    if let Waiting::Breaker { until, .. } = waiting {
                        self.timers.insert((*until, Timer::Breaker));
                    }
                    self.nodes[key.index()].deferred.push(step);
                }
            }
        }
        self.judge(key);
    }

    /// Avoids counting replacements where nothing is broken: the usual case.
    fn allowance_if_broken(&self, key: NodeKey) -> Allowance {
        if self.nodes[key.index()].broken.is_empty() {
            Allowance {
                left: 0,
                replaced: 0,
                limit: 0,
                until: self.now,
            }
        } else {
            self.allowance()
        }
    }

    fn take(&mut self, step: &Step) {
        match (step.action, step.instance) {
            (Action::Create, _) => self.plan_instance(step.node, None),
            (Action::Replace, Some(instance)) => {
                self.doom(instance, doom_of(&step.cause));
                self.plan_instance(step.node, Some(instance));
            }
            (Action::Delete, Some(instance)) => self.doom(instance, doom_of(&step.cause)),
            (Action::Restart, Some(instance)) => self.restart(instance),
            (Action::Continue | Action::Replace | Action::Delete | Action::Restart, _) => {}
        }
    }

    fn plan_instance(&mut self, node: NodeKey, replaces: Option<InstanceKey>) {
        let instance = InstanceKey(self.state.next_instance);
        let ordinal = self.state.node(node).next_ordinal;
        self.record(Record::Planned {
            instance,
            node,
            ordinal,
            replaces,
        });
    }

    /// Marks an instance for deletion.
    pub(crate) fn doom(&mut self, key: InstanceKey, reason: Doom) {
        let Some(node) = self
            .instance(key)
            .filter(|instance| instance.doom.is_none())
            .map(|instance| instance.node)
        else {
            return;
        };
        let is_update = reason == Doom::Outdated;
        self.record(Record::Doomed {
            instance: key,
            reason,
        });
        self.unmark(node, key);
        self.end_doubt(node, key);
        let progress = self.progress_of(key);
        progress.failures = 0;
        progress.not_before = Timestamp::ZERO;
        if is_update && self.has_defect(Defect::UpdateForgetsInstances) {
            self.record(Record::Gone { instance: key });
        }
    }

    /// Contextualises an instance again with the addresses of now.
    fn restart(&mut self, key: InstanceKey) {
        let Some((node, revision, provider)) = self
            .instance(key)
            .map(|instance| (instance.node, instance.revision + 1, instance.provider))
        else {
            return;
        };
        let given = provider.and_then(|provider| self.current_given(node, provider));
        self.record(Record::RecontextualiseIntended {
            instance: key,
            revision,
            given,
        });
        self.unmark(node, key);
        self.progress_of(key).failures = 0;
    }

    /// Notes whether a node is as wanted.
    pub(crate) fn judge(&mut self, key: NodeKey) {
        let node = self.state.node(key);
        let settled = node.serving == self.state.wanted(key)
            && node.instances.len() == node.serving as usize
            && node.broken == 0
            && self.nodes[key.index()].doubted.is_empty()
            && self.nodes[key.index()].deferred.is_empty();
        if settled {
            self.unsettled.remove(&key);
        } else {
            self.unsettled.insert(key);
        }
    }
}
