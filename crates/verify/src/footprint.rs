//! What an action touches, and what therefore can wait.
//!
//! Actions that touch nothing in common lead to the same state in either order.
//! Where all else can wait, one order is as good as all of them.

use zenekar_base::ResourceState;
use zenekar_simcloud::Change;

use crate::action::Action;
use crate::moment::Moment;
use crate::world::World;

/// What an action reads and writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Footprint {
    /// The state of a machine, which those may read that need its node.
    Machine(usize),
    /// How far an instance is, which those may read that need its node.
    Agent(usize),
    /// The engine, and through it anything.
    All,
}

impl World {
    /// Returns what an action reads and writes.
    pub(crate) fn footprint(&self, moment: &Moment, action: Action) -> Footprint {
        match action {
            Action::Machine {
                machine,
                change: Change::Boots | Change::IsDeleted,
            } => Footprint::Machine(usize::from(machine)),
            Action::Run { machine } if self.runs_alone(moment, usize::from(machine)) => {
                Footprint::Agent(usize::from(machine))
            }
            _ => Footprint::All,
        }
    }

    /// Says whether the next step of an instance takes nothing from others and
    /// can only be of use to them: it touches no shared object, and what it
    /// needs is there.
    fn runs_alone(&self, moment: &Moment, at: usize) -> bool {
        let cloud = self.cloud(moment);
        let node = usize::from(cloud.machines()[at].node);
        let segments = &self.roles[node].segments;
        let segment = segments.get(usize::from(moment.agents[at].done));
        segment.is_some_and(|segment| {
            segment.reads | segment.writes | segment.holds == 0
                && segment.needs.iter().all(|need| !self.is_counted(need.node))
                && Self::needs_met(moment, cloud, at, segment)
        })
    }

    /// Says whether another machine of a node can make a need of it unfulfilled.
    fn is_counted(&self, node: u16) -> bool {
        let mut segments = (0_u16..)
            .zip(&self.roles)
            .flat_map(|(own, role)| role.segments.iter().map(move |segment| (own, segment)));
        segments.any(|(own, segment)| {
            let mut needs = segment.needs.iter();
            needs.any(|need| need.node == node && (need.all || need.node == own))
        })
    }

    /// Says whether somebody needs a node at once and fails without it, so that
    /// it makes a difference when an instance of it has what is needed.
    fn is_raced_for(&self, node: u16) -> bool {
        let mut segments = self.roles.iter().flat_map(|role| &role.segments);
        segments
            .any(|segment| !segment.retries && segment.needs.iter().any(|need| need.node == node))
    }

    /// Says whether two actions lead to the same state in either order, and
    /// neither makes the other impossible.
    pub(crate) fn commute(&self, moment: &Moment, one: Action, other: Action) -> bool {
        let places = [one, other].map(|action| self.footprint(moment, action));
        let [Some(one), Some(other)] = places.map(|footprint| match footprint {
            Footprint::Machine(at) | Footprint::Agent(at) => Some(at),
            Footprint::All => None,
        }) else {
            return false;
        };
        let machines = self.cloud(moment).machines();
        one != other
            && self.watched.is_empty()
            && !self.is_raced_for(machines[one].node)
            && !self.is_raced_for(machines[other].node)
            && !places.iter().any(|footprint| {
                matches!(footprint, Footprint::Machine(at) if self.is_counted(machines[*at].node))
            })
    }

    /// Says whether nothing that happens before all is quiet can touch what
    /// machines and instances do by themselves: nothing goes wrong any more, no
    /// time passes and nobody asks for anything before, and the engine has nothing
    /// to act upon. Who watches properties of their own may see all of it.
    fn is_left_alone(&self, moment: &Moment) -> bool {
        let setting = &self.parts.setting;
        let next = setting.script.get(usize::from(moment.script));
        let facts = self.facts(moment);
        moment.faults >= setting.allowance.faults
            && moment.delays >= setting.allowance.delays
            && next.is_none_or(|step| step.waits)
            && facts.abandoned.is_empty()
            && (facts.calls.is_empty() || self.only_builds(moment))
            && self.watched.is_empty()
    }

    /// Says whether the only answers that are on their way are to creations of
    /// what does not exist, after which there is more to boot and nothing else.
    fn only_builds(&self, moment: &Moment) -> bool {
        let machines = self.cloud(moment).machines();
        let calls = &self.control(moment).calls;
        self.facts(moment).is_building
            && self.parts.setting.quota.is_none()
            && calls.iter().all(|call| {
                let mut machines = machines.iter();
                machines.all(|machine| Some(machine.instance) != call.instance())
            })
    }

    /// Returns the place of an action for which all others can wait.
    pub(crate) fn first_alone(&self, moment: &Moment, actions: &[Action]) -> Option<usize> {
        if actions.len() < 2 || !self.is_left_alone(moment) {
            return None;
        }
        let machines = self.cloud(moment).machines();
        actions
            .iter()
            .position(|action| match self.footprint(moment, *action) {
                Footprint::Machine(at) => {
                    let node = machines[at].node;
                    !self.is_counted(node) && !self.is_raced_for(node)
                }
                Footprint::Agent(at) => !self.is_raced_for(machines[at].node),
                Footprint::All => false,
            })
    }

    /// Checks that an action has changed nothing besides what its footprint says.
    pub(crate) fn keeps_to_footprint(
        &self,
        before: &Moment,
        action: Action,
        after: &Moment,
    ) -> bool {
        let (changed, is_machine) = match self.footprint(before, action) {
            Footprint::All => return true,
            Footprint::Machine(at) => (at, true),
            Footprint::Agent(at) => (at, false),
        };
        let machines = [before, after].map(|moment| self.cloud(moment).machines());
        let pairs = machines[0].iter().zip(machines[1]).enumerate();
        let is_same_cloud = machines[0].len() == machines[1].len()
            && pairs.filter(|(_, (one, other))| one != other).count() <= usize::from(is_machine)
            && (machines[0][changed] != machines[1][changed]) == is_machine;
        let agents = before.agents.iter().zip(&after.agents).enumerate();
        let is_same_rest = agents
            .filter(|(at, _)| *at != changed)
            .all(|(_, (one, other))| one == other);
        let runs = machines[1][changed].state == ResourceState::Running;
        before.control == after.control && is_same_cloud && is_same_rest && (is_machine || runs)
    }
}
