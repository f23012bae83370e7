//! Runs that go round in circles: what people ask for is never there, although
//! everything happens that stays possible, and nothing goes wrong any more.
//!
//! How long it has been calm is no part of what comes back: otherwise no state
//! would. Faults, delays and demands are counted, so that none is in a circle.

use zenekar_base::InstanceKey;
use zenekar_search::{
    Budget, End, Fingerprint128, Model, Outcome as Explored, Stop, Violation, find_lasso,
};
use zenekar_simcloud::Change;

use crate::action::{Action, Outcome};
use crate::breach::Breach;
use crate::moment::Moment;
use crate::network::Link;
use crate::world::World;

/// Who does what: what stays the same while places in tables change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deed {
    /// A call that is waited for, by what it asks for, comes to its end.
    Served(u32),
    /// Its answer arrives.
    Arrives(u32),
    /// A call that nobody waits for takes effect, or never will.
    Forgotten(u32),
    /// A machine changes by itself.
    Changes(InstanceKey, u8, Change),
    /// An instance goes on.
    Runs(InstanceKey, u8),
    /// An instance is in reach again.
    Heals(InstanceKey, u8),
    /// Time passes.
    Tick,
    /// What may stay away for ever: faults, delays, and what people ask for.
    Unfair(Action),
}

/// Something that happens, known by its deed.
#[derive(Clone, Copy, Debug)]
struct Act {
    action: Action,
    deed: Deed,
}

impl PartialEq for Act {
    fn eq(&self, other: &Self) -> bool {
        self.deed == other.deed
    }
}

impl Eq for Act {}

/// A way into a circle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Circle {
    /// What happens first.
    pub stem: Vec<Action>,
    /// What happens again and again; never empty.
    pub cycle: Vec<Action>,
}

/// What a search for a circle found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Circles {
    /// Why the search ended. Unless it is [`End::Exhausted`], that there is no
    /// circle is not known.
    pub end: End,
    /// States that were looked at.
    pub states: u64,
    /// The nearest circle.
    pub found: Option<Circle>,
}

/// Looks for a run within the bounds of a world that goes round for ever
/// without ever being done, although everything that stays possible happens.
pub fn circle(world: &World, budget: &Budget, stop: Stop<'_>) -> Circles {
    let liveness = find_lasso(&Endless { world }, budget, stop);
    let actions = |acts: &[Act]| acts.iter().map(|act| act.action).collect::<Vec<_>>();
    let lasso = liveness.lasso.filter(|lasso| !lasso.cycle.is_empty());
    Circles {
        end: liveness.end,
        states: liveness.states,
        found: lasso.map(|lasso| Circle {
            stem: actions(&lasso.stem),
            cycle: actions(&lasso.cycle),
        }),
    }
}

/// States of a world at most in which circles are looked for: they are kept
/// all at once, and what goes round does so in small worlds, too.
const STATES_MAX: u64 = 50_000;

/// Adds to what an exploration has found a run that goes round for ever, if all
/// was visited, nobody was slow and it is not known yet that something never
/// gets there. Delays multiply states and cannot be part of a circle.
pub fn add_circle(world: &World, explored: &mut Explored<Action>, stop: Stop<'_>) {
    let property = Breach::NotConverged.number();
    let mut known = explored.violations.iter();
    let is_asked = explored.end == End::Exhausted
        && explored.unique <= STATES_MAX
        && world.setting().allowance.delays == 0
        && known.all(|violation| violation.property != property);
    if !is_asked {
        return;
    }
    let budget = Budget {
        states_max: STATES_MAX,
        ..Budget::default()
    };
    if let Some(found) = circle(world, &budget, stop).found {
        explored.violations.push(found.violation());
    }
}

impl Circle {
    /// Returns what happens up to the end of the first round, as a violation.
    pub(crate) fn violation(self) -> Violation<Action> {
        let mut actions = self.stem;
        actions.extend(self.cycle);
        Violation {
            property: Breach::NotConverged.number(),
            actions,
            initial: 0,
            is_run: true,
        }
    }
}

/// A world in which nobody counts how long it takes.
struct Endless<'w> {
    world: &'w World,
}

impl Model for Endless<'_> {
    type State = Moment;
    type Action = Act;

    fn initial(&self) -> Vec<Moment> {
        self.world.initial()
    }

    fn actions(&self, moment: &Moment, acts: &mut Vec<Act>) {
        acts.extend(self.world.acts(moment));
    }

    fn apply(&self, moment: &Moment, act: &Act) -> Option<Moment> {
        let mut next = self.world.next(moment, act.action);
        next.calm_ms = 0;
        Some(next)
    }

    fn fingerprint(&self, moment: &Moment) -> Fingerprint128 {
        self.world.exact_fingerprint(moment)
    }

    /// Ends are not looked for here: what is wrong with them is known.
    fn is_goal(&self, moment: &Moment) -> bool {
        moment.breach.is_some() || self.world.is_done(moment) || {
            let mut actions = Vec::new();
            self.world.actions(moment, &mut actions);
            actions.is_empty()
        }
    }

    fn is_fair(&self, act: &Act) -> bool {
        !matches!(act.deed, Deed::Unfair(_))
    }
}

impl World {
    /// Returns what can happen in a state, by who does what.
    fn acts(&self, moment: &Moment) -> Vec<Act> {
        let mut actions = Vec::new();
        self.actions(moment, &mut actions);
        let acts = actions.into_iter().map(|action| Act {
            action,
            deed: self.deed(moment, action),
        });
        acts.collect()
    }

    fn deed(&self, moment: &Moment, action: Action) -> Deed {
        let facts = self.facts(moment);
        let machines = self.cloud(moment).machines();
        let who = |machine: u8| {
            let machine = &machines[usize::from(machine)];
            (machine.instance, machine.number)
        };
        match action {
            Action::Call {
                call,
                outcome: Outcome::Served,
            } => Deed::Served(facts.calls[usize::from(call)].operation),
            Action::Arrive { call } => Deed::Arrives(facts.calls[usize::from(call)].operation),
            Action::LateEffect { call } | Action::NoEffect { call } => {
                Deed::Forgotten(facts.abandoned[usize::from(call)].operation)
            }
            Action::Machine { machine, change } if action.fault().is_none() => {
                let (instance, number) = who(machine);
                Deed::Changes(instance, number, change)
            }
            Action::Run { machine } => {
                let (instance, number) = who(machine);
                Deed::Runs(instance, number)
            }
            Action::Link {
                machine,
                link: Link::Sound,
            } => {
                let (instance, number) = who(machine);
                Deed::Heals(instance, number)
            }
            Action::Tick => Deed::Tick,
            other => Deed::Unfair(other),
        }
    }

    /// Returns what a state is remembered by where nobody counts how long it takes.
    pub(crate) fn timeless(&self, moment: &Moment) -> Fingerprint128 {
        self.exact_fingerprint(&Moment {
            calm_ms: 0,
            ..moment.clone()
        })
    }

    /// Returns the step behind which a run goes round in a circle that its last
    /// step closes: the earliest one, if it does.
    pub(crate) fn circle_of(&self, actions: &[Action]) -> Option<usize> {
        let mut moments = self.moments(actions);
        for moment in &mut moments {
            moment.calm_ms = 0;
        }
        let last = moments.last().map(|last| self.exact_fingerprint(last))?;
        let starts = (0..actions.len()).filter(|at| self.exact_fingerprint(&moments[*at]) == last);
        let mut starts = starts.collect::<Vec<_>>().into_iter();
        starts.find(|at| self.is_circle(&moments[*at..], &actions[*at..]))
    }

    /// Says whether a way round is fair, and never comes by a state in which all is done.
    fn is_circle(&self, moments: &[Moment], actions: &[Action]) -> bool {
        if moments
            .iter()
            .any(|moment| moment.breach.is_some() || self.is_done(moment))
        {
            return false;
        }
        let steps = moments.iter().zip(actions);
        let done: Vec<Deed> = steps
            .map(|(moment, action)| self.deed(moment, *action))
            .collect();
        let possible = |moment: &Moment| -> Vec<Deed> {
            self.acts(moment).iter().map(|act| act.deed).collect()
        };
        let mut always = possible(&moments[0]);
        always.retain(|deed| !matches!(deed, Deed::Unfair(_)) && !done.contains(deed));
        for moment in moments {
            if always.is_empty() {
                break;
            }
            let here = possible(moment);
            always.retain(|deed| here.contains(deed));
        }
        always.is_empty()
    }
}
