//! Which states look like trouble, and who acts: what searches that take a
//! choice go by. It decides the order in which states have their turn, never
//! whether they have one.

use zenekar_base::ResourceState;

use crate::action::Action;
use crate::moment::Moment;
use crate::world::World;

/// An instance is about to fail at what is not there, or to write what has
/// changed since it read it: the next step may be the last one.
const ABOUT_TO_FAIL: u64 = 1_000;

/// A call that nobody waits for may still take effect.
const ABANDONED: u64 = 60;

/// A fault has happened: trouble comes from what follows.
const FAULT: u64 = 40;

/// Two instances have read the same thing and may both write it.
const SHARED: u64 = 30;

/// Something is slower than the next look at it.
const DELAY: u64 = 20;

/// Things happen at the same time.
const CALL: u64 = 2;

impl World {
    /// Returns how much a state looks like trouble.
    pub(crate) fn trouble(&self, moment: &Moment) -> u64 {
        let facts = self.facts(moment);
        let (calls, abandoned) = (facts.calls.len() as u64, facts.abandoned.len() as u64);
        let spent = FAULT * u64::from(moment.faults) + DELAY * u64::from(moment.delays);
        let cloud = self.cloud(moment);
        let machines = cloud.machines().iter().zip(&moment.agents).enumerate();
        let (mut urgent, mut read, mut shared) = (0, 0_u16, 0);
        for (at, (machine, agent)) in machines {
            if machine.state != ResourceState::Running || agent.has_failed {
                continue;
            }
            let segments = &self.roles[usize::from(machine.node)].segments;
            let Some(segment) = segments.get(usize::from(agent.done)) else {
                continue;
            };
            let fails = !segment.retries
                && !agent.is_within
                && !Self::needs_met(moment, cloud, at, segment);
            if fails || agent.stale != 0 {
                urgent += 1;
            }
            shared += u64::from((read & agent.read).count_ones());
            read |= agent.read;
        }
        urgent * ABOUT_TO_FAIL + shared * SHARED + spent + abandoned * ABANDONED + calls * CALL
    }

    /// Returns who does something: people, time, the engine's death, a call, or a machine.
    pub(crate) const fn actor_of(action: Action) -> u32 {
        /// Calls come after the three others, machines after all calls.
        const CALLS: u32 = 3;
        const ABANDONED_CALLS: u32 = CALLS + 256;
        const MACHINES: u32 = ABANDONED_CALLS + 256;
        match action {
            Action::Demand => 0,
            Action::Tick => 1,
            Action::Crash => 2,
            Action::Call { call, .. } | Action::Arrive { call } => CALLS + call as u32,
            Action::LateEffect { call }
            | Action::EffectAgain { call }
            | Action::NoEffect { call } => ABANDONED_CALLS + call as u32,
            Action::Machine { machine, .. }
            | Action::Run { machine }
            | Action::AgentDies { machine }
            | Action::Link { machine, .. }
            | Action::NameMissing { machine } => MACHINES + machine as u32,
        }
    }
}
