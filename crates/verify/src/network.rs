//! What the network does: instances that are cut off, that hear nothing, and
//! names that are not found.
//!
//! A network that is broken between two instances does to a contact what a name
//! does that is not found: it fails, or waits. What lasts is what happens to an
//! instance as a whole, because checks fail then, too.

use zenekar_base::ResourceState;
use zenekar_simcloud::UntimedCloud;

use crate::action::Action;
use crate::agent::Agent;
use crate::moment::Moment;
use crate::setting::Fault;
use crate::world::World;

/// What the network does for an instance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Link {
    /// Everything arrives.
    #[default]
    Sound,
    /// Nothing arrives that others begin: contacts with it and its checks fail,
    /// its own contacts do not.
    Deaf,
    /// Nothing comes or goes.
    Cut,
}

impl Link {
    /// Returns the fault that makes it so.
    pub(crate) const fn fault(self) -> Option<Fault> {
        match self {
            Self::Sound => None,
            Self::Deaf => Some(Fault::OneWayLoss),
            Self::Cut => Some(Fault::Partition),
        }
    }
}

impl Agent {
    /// Says whether a contact with another instance gets there and back.
    pub(crate) fn reaches(self, other: Self) -> bool {
        self.link != Link::Cut && other.link == Link::Sound
    }
}

impl World {
    /// Adds what the network can do to a machine.
    pub(crate) fn network_actions(&self, moment: &Moment, at: usize, actions: &mut Vec<Action>) {
        let cloud = self.cloud(moment);
        let (machine, agent) = (&cloud.machines()[at], moment.agents[at]);
        let Ok(number) = u8::try_from(at) else { return };
        if machine.state != ResourceState::Running {
            return;
        }
        let to = |link| Action::Link {
            machine: number,
            link,
        };
        if agent.link != Link::Sound {
            actions.push(to(Link::Sound));
            return;
        }
        let may_fail = |fault| self.may_fail(moment, machine.place, fault);
        let role = &self.roles[usize::from(machine.node)];
        let rest = role.segments.iter().skip(usize::from(agent.done));
        let has_contacts =
            !agent.has_failed && rest.into_iter().any(|segment| !segment.needs.is_empty());
        let is_looked_for = role.is_checked || self.is_needed(machine.node);
        let may_be_cut = may_fail(Fault::Partition) && (has_contacts || is_looked_for);
        if may_be_cut {
            actions.push(to(Link::Cut));
        }
        // One that has no contacts of its own might as well be cut off.
        if may_fail(Fault::OneWayLoss) && is_looked_for && (has_contacts || !may_be_cut) {
            actions.push(to(Link::Deaf));
        }
        if may_fail(Fault::LateDns) && self.looks_once(moment, cloud, at) {
            actions.push(Action::NameMissing { machine: number });
        }
    }

    /// Says whether the next thing an instance does is a contact that it makes
    /// once, and that would succeed. For those that try again a name that is
    /// late is nothing but a delay.
    fn looks_once(&self, moment: &Moment, cloud: &UntimedCloud, at: usize) -> bool {
        let (machine, agent) = (&cloud.machines()[at], moment.agents[at]);
        let segments = &self.roles[usize::from(machine.node)].segments;
        let segment = segments.get(usize::from(agent.done));
        segment.is_some_and(|segment| {
            let is_next = !agent.is_within && !segment.retries && !segment.needs.is_empty();
            is_next
                && self.can_run(moment, cloud, at)
                && Self::needs_met(moment, cloud, at, segment)
        })
    }

    /// Says whether anybody needs anything of a node.
    fn is_needed(&self, node: u16) -> bool {
        let mut segments = self.roles.iter().flat_map(|role| &role.segments);
        segments.any(|segment| segment.needs.iter().any(|need| need.node == node))
    }

    /// Says whether a machine that runs is out of somebody's reach, which ends by itself.
    pub(crate) fn is_out_of_reach(&self, moment: &Moment, at: usize) -> bool {
        let machine = &self.cloud(moment).machines()[at];
        machine.state == ResourceState::Running && moment.agents[at].link != Link::Sound
    }

    /// Says whether the checks of a machine get there.
    pub(crate) fn is_checkable(&self, moment: &Moment, at: usize) -> bool {
        let node = self.cloud(moment).machines()[at].node;
        !self.roles[usize::from(node)].is_checked || moment.agents[at].link == Link::Sound
    }
}
