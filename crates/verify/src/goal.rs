//! What a minimal run has to show.

use zenekar_search::{Budget, Fingerprint128, Model, Outcome, Stop, Strategy, search};

use crate::action::Action;
use crate::breach::Breach;
use crate::circle::{Circle, circle};
use crate::moment::Moment;
use crate::world::World;

/// Looks at one state after another; see [`crate::Watch`].
pub type Eye<'g> = Box<dyn FnMut(&World, &Moment) -> Option<String> + 'g>;

/// A property that was found not to hold, and how to find that again.
pub trait Goal: Sync {
    /// Returns its name.
    fn name(&self) -> &str;

    /// Searches a world for a shortest run in which it does not hold; nothing
    /// else is of interest.
    fn search(&self, world: &World, budget: &Budget, stop: Stop<'_>) -> Outcome<Action>;

    /// Returns somebody who looks at a run from its beginning.
    fn eye(&self) -> Eye<'_>;
}

/// States at most in which a run that goes round is looked for: there are
/// several worlds to try.
const CIRCLE_STATES_MAX: u64 = 2_000;

impl Goal for Breach {
    fn name(&self) -> &str {
        Self::name(*self)
    }

    fn search(&self, world: &World, budget: &Budget, stop: Stop<'_>) -> Outcome<Action> {
        let only = Only {
            world,
            name: self.name(),
        };
        if *self != Self::NotConverged {
            return search(&only, &Strategy::Breadth, budget, stop);
        }
        let mut budget = *budget;
        let states_max = budget.states_max.min(CIRCLE_STATES_MAX);
        let few = Budget {
            states_max,
            ..budget
        };
        let round = circle(world, &few, stop).found.map(Circle::violation);
        if let Some(round) = &round {
            // Only what is shorter is of interest.
            let shorter = round.actions.len().saturating_sub(1);
            budget.depth_max = u32::try_from(shorter).unwrap_or(u32::MAX);
        }
        let mut outcome = search(&only, &Strategy::Breadth, &budget, stop);
        if outcome.violations.is_empty() {
            outcome.violations.extend(round);
        }
        outcome
    }

    fn eye(&self) -> Eye<'_> {
        Box::new(crate::trace::promises)
    }
}

/// A property that users state, by its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stated(pub String);

impl Goal for Stated {
    fn name(&self) -> &str {
        &self.0
    }

    fn search(&self, world: &World, budget: &Budget, stop: Stop<'_>) -> Outcome<Action> {
        let only = Only {
            world,
            name: &self.0,
        };
        search(&only, &Strategy::Breadth, budget, stop)
    }

    fn eye(&self) -> Eye<'_> {
        Box::new(crate::trace::promises)
    }
}

/// Returns the goal of a verdict: one of the promises, or what users state.
pub fn goal_of(property: &str) -> Box<dyn Goal> {
    match Breach::named(property) {
        Some(breach) => Box::new(breach),
        None => Box::new(Stated(property.to_owned())),
    }
}

/// A world in which only one thing can be wrong.
struct Only<'w> {
    world: &'w World,
    name: &'w str,
}

impl Model for Only<'_> {
    type State = Moment;
    type Action = Action;

    fn initial(&self) -> Vec<Moment> {
        self.world.initial()
    }

    fn actions(&self, moment: &Moment, actions: &mut Vec<Action>) {
        self.world.actions(moment, actions);
    }

    fn apply(&self, moment: &Moment, action: &Action) -> Option<Moment> {
        self.world.apply(moment, action)
    }

    fn fingerprint(&self, moment: &Moment) -> Fingerprint128 {
        self.world.fingerprint(moment)
    }

    fn representative(&self, moment: Moment) -> Moment {
        self.world.representative(moment)
    }

    fn violation(&self, moment: &Moment) -> Option<u32> {
        let is_it = self.world.broken(moment) == Some(self.name);
        is_it.then(|| self.world.violation(moment)).flatten()
    }
}
