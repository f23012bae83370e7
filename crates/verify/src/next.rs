//! What follows when something happens.

use zenekar_base::{ResourceState, Timestamp};
use zenekar_engine::{Operation, Response, Scope};
use zenekar_simcloud::Change;

use crate::action::{Action, Outcome};
use crate::agent::Agent;
use crate::breach::Breach;
use crate::control::{Death, Kind, Outstanding};
use crate::moment::Moment;
use crate::parts::{CallFacts, CloudInput, Stimulus};
use crate::setting::Fault;
use crate::world::World;

impl World {
    /// Returns the state that follows when something that is possible happens.
    pub(crate) fn next(&self, moment: &Moment, action: Action) -> Moment {
        let mut next = moment.clone();
        next.pause = None;
        next.is_uneventful = match action {
            Action::Tick => moment.pause.is_none() && self.is_quiet(moment),
            Action::Call {
                outcome: Outcome::Served,
                ..
            } => moment.is_uneventful,
            _ => false,
        };
        if action.fault().is_some() {
            next.faults += 1;
        }
        match action {
            Action::Demand => {
                next.script += 1;
                self.tell(&mut next, Stimulus::Demand(moment.script));
            }
            Action::Call { call, outcome } => self.call(&mut next, call, outcome),
            Action::Arrive { call } => self.tell(&mut next, Stimulus::Arrive { call }),
            Action::LateEffect { call } => {
                let facts = self.facts(moment).abandoned[usize::from(call)];
                self.effect(&mut next, facts, false);
                self.tell(&mut next, Stimulus::Forget { call });
            }
            Action::EffectAgain { call } => self.effect_again(&mut next, call),
            Action::NoEffect { call } => self.tell(&mut next, Stimulus::Forget { call }),
            Action::Machine { machine, change } => self.change(&mut next, machine, change),
            Action::Run { machine } => self.run(&mut next, usize::from(machine)),
            Action::AgentDies { machine } | Action::NameMissing { machine } => {
                next.agents[usize::from(machine)].has_failed = true;
            }
            Action::Link { machine, link } => next.agents[usize::from(machine)].link = link,
            Action::Crash => self.tell(&mut next, Stimulus::Crash),
            Action::Tick => match moment.pause {
                Some((control, elapsed_ms)) => {
                    next.control = control;
                    next.calm_ms = next.calm_ms.saturating_add(u64::from(elapsed_ms));
                }
                None => self.tick(&mut next),
            },
        }
        let heals = matches!(action, Action::Link { .. });
        let is_special = action.fault().is_some() || action == Action::Demand || heals;
        if is_special || next.delays > moment.delays {
            next.calm_ms = 0;
        }
        self.forget(&mut next);
        debug_assert!(
            self.keeps_to_footprint(moment, action, &next),
            "{action:?} touches more than it says"
        );
        self.judge(&mut next);
        self.settle(&mut next);
        if !self.watched.is_empty() {
            self.watch(&mut next, self.elapsed_ms(moment, action));
        }
        next
    }

    /// Forgets what makes no difference any more, so that more states are equal.
    fn forget(&self, next: &mut Moment) {
        let machines = self.cloud(next).machines();
        for (machine, agent) in machines.iter().zip(&mut next.agents) {
            let runs = machine.state == ResourceState::Running;
            self.roles[usize::from(machine.node)].forget(agent, runs);
        }
        let lags = machines.iter().any(|machine| machine.lag.is_some());
        let setting = &self.parts.setting;
        let shown =
            setting.faults.contains(Fault::StaleList) && next.faults < setting.allowance.faults;
        if lags && !shown {
            let now = self.facts(next).now;
            next.cloud = self
                .parts
                .cloud_step(next.cloud, now, CloudInput::CatchUp)
                .next;
        }
    }

    /// Tells the engine something.
    fn tell(&self, next: &mut Moment, stimulus: Stimulus) {
        let before = self.facts(next).now;
        let step = self.parts.control_step(next.control, stimulus);
        next.control = step.next;
        if step.elapsed_ms > 0 {
            self.pass(next, before, step.elapsed_ms);
        }
        next.is_uneventful &= !step.is_news;
        if let Some(breach) = step.breach {
            next.breach.get_or_insert(breach);
        }
        if step.broke && next.faults == 0 {
            next.breach.get_or_insert(Breach::NeverReady);
        }
    }

    /// Finds out whether looks that follow are of no use to anybody, where the
    /// last one was of none.
    fn settle(&self, next: &mut Moment) {
        if !next.is_uneventful || !self.is_quiet(next) {
            return;
        }
        let is_over = next.breach.is_some() || self.is_done(next);
        let ahead = (self.pauses && !is_over).then(|| self.pause_of(next));
        next.pause = ahead.flatten();
        next.is_uneventful = next.pause.is_some();
    }

    /// Returns the engine after all looks of which nobody learns anything, and
    /// how long they take.
    fn pause_of(&self, moment: &Moment) -> Option<(u32, u32)> {
        let cloud = self.cloud(moment);
        let machines = cloud.machines();
        if machines.iter().any(|machine| machine.lag.is_some()) {
            return None;
        }
        let patience = self.parts.setting.allowance.patience.0;
        let left_ms = patience.saturating_sub(moment.calm_ms);
        let look = |call: &Outstanding| match &call.operation {
            Operation::Observe { scope } => {
                let wanted: Option<Vec<_>> = match scope {
                    Scope::All => None,
                    Scope::Instances(list) => {
                        Some(list.iter().map(|(_, resource)| resource.clone()).collect())
                    }
                };
                let views = cloud.observe(call.place, wanted.as_deref(), false);
                Some(Ok(Response::Observed(views)))
            }
            Operation::Probe { resource, .. } => {
                let machine = cloud.find(call.place, resource);
                let runs = |at: &usize| machines[*at].state == ResourceState::Running;
                let number = match machine.filter(runs) {
                    Some(at) => self.health(moment, at),
                    None => self.parts.fixed.not_found,
                };
                Some(self.parts.answers.get(number).clone())
            }
            _ => None,
        };
        let (control, elapsed_ms) = self.parts.pause(moment.control, left_ms, &look)?;
        Some((control, u32::try_from(elapsed_ms).ok()?))
    }

    /// Returns the number of the answer to a check of a machine that runs.
    fn health(&self, moment: &Moment, machine: usize) -> u32 {
        let node = self.cloud(moment).machines()[machine].node;
        let needed = self.roles[usize::from(node)].healthy;
        let done = moment.agents[machine].done;
        let fixed = &self.parts.fixed;
        if needed.is_some_and(|needed| done >= needed) && self.is_checkable(moment, machine) {
            fixed.healthy
        } else {
            fixed.unhealthy
        }
    }

    /// Lets time pass for those that are not the engine.
    fn pass(&self, next: &mut Moment, before: Timestamp, elapsed_ms: u64) {
        next.calm_ms = next.calm_ms.saturating_add(elapsed_ms);
        let machines = self.cloud(next).machines();
        if machines.iter().any(|machine| machine.lag.is_some()) {
            let input = CloudInput::Pass { elapsed_ms };
            next.cloud = self.parts.cloud_step(next.cloud, before, input).next;
        }
    }

    /// Lets a call take effect, and returns the number of its answer.
    fn effect(&self, next: &mut Moment, facts: CallFacts, lags: bool) -> u32 {
        let now = self.facts(next).now;
        let input = CloudInput::Operation {
            operation: facts.operation,
            lags,
        };
        let step = self.parts.cloud_step(next.cloud, now, input);
        if facts.kind == Kind::Delete {
            self.check_deletion(next, facts, step.machine);
        }
        let before = self.cloud(next).machines().len();
        next.cloud = step.next;
        let Some(machine) = step.machine.map(usize::from) else {
            return step.answer;
        };
        match facts.kind {
            Kind::Create if self.cloud(next).machines().len() > before => {
                next.agents.insert(machine, Agent::default());
                self.check_duplicate(next, machine);
                self.check_secrets(next, machine);
            }
            Kind::Recontextualise => {
                next.agents[machine] = Agent {
                    link: next.agents[machine].link,
                    ..Agent::default()
                };
            }
            Kind::Probe => return self.health(next, machine),
            _ => {}
        }
        step.answer
    }

    /// Says whether something runs that a fault has left its marks on: the
    /// setup has failed, or it has restarted. The engine may not know of it.
    fn has_harm(&self, moment: &Moment) -> bool {
        let machines = self.cloud(moment).machines().iter().zip(&moment.agents);
        let mut running = machines.filter(|(machine, _)| machine.state == ResourceState::Running);
        running.any(|(machine, agent)| machine.is_harmed || agent.has_failed)
    }

    /// Says whether an instance has two machines, as only a fault can make it:
    /// what they do to each other is nobody's mistake.
    fn has_twins(&self, moment: &Moment) -> bool {
        let machines = self.cloud(moment).machines();
        let alive = machines.iter().filter(|machine| machine.is_alive());
        let mut alive = alive.map(|machine| machine.instance);
        let mut before = alive.next();
        // Machines are in the order of their instances.
        alive.any(|instance| before.replace(instance) == Some(instance))
    }

    /// Lets a creation make a machine besides the one that its token has made.
    /// Nobody is blamed for that: what counts is what the engine does about it.
    fn effect_again(&self, next: &mut Moment, call: u8) {
        let facts = self.facts(next);
        let (operation, now) = (facts.abandoned[usize::from(call)].operation, facts.now);
        let input = CloudInput::CreateAgain { operation };
        let step = self.parts.cloud_step(next.cloud, now, input);
        next.cloud = step.next;
        if let Some(machine) = step.machine {
            next.agents.insert(usize::from(machine), Agent::default());
        }
        self.tell(next, Stimulus::Forget { call });
    }

    /// There is never more than one machine for an instance.
    fn check_duplicate(&self, next: &mut Moment, machine: usize) {
        let machines = self.cloud(next).machines();
        let instance = machines[machine].instance;
        let twins = machines.iter().filter(|other| {
            other.instance == instance
                && !matches!(other.state, ResourceState::Gone | ResourceState::Deleting)
        });
        if twins.count() > 1 {
            next.breach.get_or_insert(Breach::Duplicate);
        }
    }

    /// Nobody is given what is secret and others use.
    fn check_secrets(&self, next: &mut Moment, machine: usize) {
        let node = usize::from(self.cloud(next).machines()[machine].node);
        if self.roles[node].is_given_secrets {
            next.breach.get_or_insert(Breach::Secret);
        }
    }

    /// A machine that runs and was not harmed is not deleted because nobody saw it.
    fn check_deletion(&self, next: &mut Moment, facts: CallFacts, machine: Option<u8>) {
        let Some(machine) = machine.map(|at| &self.cloud(next).machines()[usize::from(at)]) else {
            return;
        };
        if machine.is_harmed || machine.state != ResourceState::Running {
            return;
        }
        let control = self.control(next);
        let calls = control.calls.iter().chain(&control.abandoned);
        let mut calls = calls.filter(|call| call.place == facts.place);
        let is_orphan = calls.any(|call| {
            matches!(&call.operation, Operation::Delete { instance: None, resource }
                if *resource == machine.resource())
        });
        let instance = control.state().instances.get(&machine.instance);
        let is_lost = instance.is_some_and(|instance| {
            let lost = |doom: &zenekar_engine::Doom| {
                matches!(
                    doom,
                    zenekar_engine::Doom::Broken(zenekar_engine::Breakage::Lost)
                )
            };
            instance.doom.as_ref().is_some_and(lost)
        });
        let is_known = instance.is_some_and(|instance| {
            instance.doom.is_none() && instance.resource.as_ref() == Some(&machine.resource())
        });
        if is_lost || (is_orphan && is_known) {
            next.breach.get_or_insert(Breach::Absence);
        }
    }

    fn call(&self, next: &mut Moment, call: u8, outcome: Outcome) {
        let facts = self.facts(next).calls[usize::from(call)];
        let fixed = &self.parts.fixed;
        let answered = |answer, death| Stimulus::Answer {
            call,
            answer,
            death,
        };
        let stimulus = match outcome {
            Outcome::Served => answered(self.effect(next, facts, false), Death::Never),
            Outcome::Postponed => {
                let answer = self.effect(next, facts, false);
                Stimulus::Postpone { call, answer }
            }
            Outcome::DiesBefore => {
                let answer = self.effect(next, facts, false);
                answered(answer, Death::BeforeItIsDurable)
            }
            Outcome::DiesAfter(sent) => {
                let answer = self.effect(next, facts, false);
                answered(answer, Death::AfterCalls(sent))
            }
            Outcome::Faulty(fault) => match fault {
                Fault::StaleList => answered(self.effect(next, facts, true), Death::Never),
                Fault::TimeoutAfterEffect => {
                    self.effect(next, facts, false);
                    answered(fixed.unknown, Death::Never)
                }
                Fault::TimeoutLateEffect => Stimulus::Abandon { call },
                Fault::Throttled => answered(fixed.throttled, Death::Never),
                Fault::Capacity => answered(fixed.capacity, Death::Never),
                Fault::FalseAlarm => answered(fixed.unhealthy, Death::Never),
                _ => answered(fixed.server_error, Death::Never),
            },
        };
        self.tell(next, stimulus);
    }

    /// Returns how many calls the engine sends when a call is served.
    pub(crate) fn sent_after(&self, moment: &Moment, call: u8, facts: CallFacts) -> u8 {
        let mut next = moment.clone();
        let answer = self.effect(&mut next, facts, false);
        let stimulus = Stimulus::Answer {
            call,
            answer,
            death: Death::Never,
        };
        self.parts.control_step(moment.control, stimulus).sent
    }

    fn change(&self, next: &mut Moment, machine: u8, change: Change) {
        let now = self.facts(next).now;
        let input = CloudInput::Change { machine, change };
        next.cloud = self.parts.cloud_step(next.cloud, now, input).next;
    }

    /// Lets an instance go on: into its next segment, or out of it.
    fn run(&self, next: &mut Moment, at: usize) {
        let cloud = self.cloud(next);
        let node = cloud.machines()[at].node;
        let agent = next.agents[at];
        let segments = &self.roles[usize::from(node)].segments;
        let Some(segment) = segments.get(usize::from(agent.done)) else {
            return;
        };
        if !agent.is_within {
            if !Self::needs_met(next, cloud, at, segment) {
                next.agents[at].has_failed = true;
                if next.faults == 0 {
                    next.breach.get_or_insert(Breach::Contact);
                }
                return;
            }
            let agent = &mut next.agents[at];
            agent.read |= segment.reads;
            agent.stale &= !segment.reads;
            if segment.has_inside() {
                agent.is_within = true;
                return;
            }
        }
        if next.agents[at].stale & segment.writes != 0 && !self.has_twins(next) {
            next.breach.get_or_insert(Breach::LostUpdate);
        }
        for (other, agent) in next.agents.iter_mut().enumerate() {
            if other == at {
                agent.read &= !segment.writes;
                agent.is_within = false;
                agent.done += 1;
            } else {
                agent.stale |= agent.read & segment.writes;
            }
        }
    }

    /// Lets time pass until the engine wants to look again.
    fn tick(&self, next: &mut Moment) {
        if !self.is_quiet(next) {
            next.delays += 1;
        }
        self.tell(next, Stimulus::Tick);
    }

    /// Says whether an instance has not come to the end of its contextualisation
    /// although nothing is on its way that it could wait for. After a fault it
    /// only counts if all that was harmed was made anew.
    fn waits_for_ever(&self, next: &Moment) -> bool {
        if next.faults > 0 && (self.has_harm(next) || self.has_twins(next)) {
            return false;
        }
        let machines = self.cloud(next).machines().iter().zip(&next.agents);
        let mut running = machines.filter(|(machine, _)| machine.state == ResourceState::Running);
        running.any(|(machine, agent)| {
            usize::from(agent.done) < self.roles[usize::from(machine.node)].segments.len()
        })
    }

    /// Says what is wrong with a state in which nothing happens by itself any more.
    fn judge(&self, next: &mut Moment) {
        if next.breach.is_some() || !self.is_quiet(next) {
            return;
        }
        let facts = self.facts(next);
        let script = &self.parts.setting.script;
        let is_waiting = usize::from(next.script) < script.len();
        if is_waiting && !script[usize::from(next.script)].waits {
            return;
        }
        let patience = self.parts.setting.allowance.patience.0;
        if self.is_done(next) && self.waits_for_ever(next) {
            next.breach = Some(Breach::NeverReady);
            return;
        }
        let calm_until = |deadline| self.calm_until(next, deadline);
        let deadline = facts.deadline;
        let is_over = deadline.is_none_or(|deadline| calm_until(deadline) > patience);
        if is_over && !self.is_done(next) {
            next.breach = Some(if facts.is_converged && self.is_as_asked(next) {
                Breach::Leftover
            } else {
                Breach::NotConverged
            });
        }
    }
}
