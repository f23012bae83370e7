//! What a run that fails does otherwise than the nearest one that does not.

use zenekar_search::{Budget, Fingerprint128, Model, Stop, Strategy, search};

use crate::action::Action;
use crate::goal::Goal;
use crate::moment::Moment;
use crate::portrait::Contrast;
use crate::trace::{Run, Verdict, label, possible, record_watched};
use crate::world::World;

/// Where two runs part, and what becomes of it at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Steps that both have in common.
    pub common: u32,
    /// What happens next in the run that fails.
    pub failing: String,
    /// What happens next in the other one.
    pub passing: String,
    /// Whether what happens next in the run that fails does no harm if it
    /// happens right behind what happens in the other one.
    pub is_order: bool,
    /// In what the states behind these two steps differ: first the state of
    /// the run that fails.
    pub contrasts: Vec<Contrast>,
    /// The run that does not fail, to its end.
    pub passing_run: Run,
}

/// Steps for which a run is left to itself until it has to have come to its
/// end: more than what any demand takes while nothing goes wrong.
const COURSE_STEPS_MAX: usize = 1_000;

/// States from which ends are searched for, at most, where leaving them to
/// themselves does not lead to a good one: the last ones.
const SEARCHED_MAX: usize = 40;

/// Finds the last state of a failing run from which all can still be well, and
/// the nearest run from there that is; `states_max` bounds searches for it.
pub fn difference(
    world: &World,
    run: &Run,
    goal: &dyn Goal,
    states_max: u64,
    stop: Stop<'_>,
) -> Option<Difference> {
    let Verdict::Violated { step, .. } = &run.verdict else {
        return None;
    };
    let actions = run.actions.get(..*step as usize)?;
    let moments = world.moments(actions);
    let seeker = Seeker {
        world,
        goal,
        actions,
    };
    for common in (0..actions.len()).rev() {
        if let Some((rest, is_order)) = seeker.by_itself(&moments[common], common) {
            return seeker.difference(&moments, common, rest, is_order);
        }
    }
    let budget = Budget {
        states_max: states_max / SEARCHED_MAX as u64,
        ..Budget::default()
    };
    for common in (0..actions.len()).rev().take(SEARCHED_MAX) {
        if let Some(rest) = seeker.searched(&moments[common], common, &budget, stop) {
            return seeker.difference(&moments, common, rest, false);
        }
    }
    None
}

struct Seeker<'a> {
    world: &'a World,
    goal: &'a dyn Goal,
    actions: &'a [Action],
}

impl Seeker<'_> {
    /// Looks for something else that can happen in a state, after which all
    /// becomes well by itself; says whether it does even if what has happened
    /// follows at once.
    fn by_itself(&self, moment: &Moment, common: usize) -> Option<(Vec<Action>, bool)> {
        let world = self.world;
        let happened = self.actions[common];
        let wanted = world.describe(moment, &happened);
        let mut others = possible(world, moment);
        others.retain(|other| {
            let is_bad = other.fault().is_some() || world.is_delay(moment, *other);
            *other != happened && !is_bad
        });
        // What nobody learns anything from explains nothing.
        others.sort_by_key(|other| world.is_routine(moment, *other));
        let after = others
            .iter()
            .map(|other| (*other, world.next(moment, *other)));
        let after: Vec<(Action, Moment)> = after.collect();
        for (other, next) in &after {
            let same = possible(world, next).into_iter();
            let mut same = same.filter(|action| world.describe(next, action) == wanted);
            let Some(same) = same.next().filter(|same| same.fault().is_none()) else {
                continue;
            };
            if let Some(mut rest) = self.course(&world.next(next, same)) {
                rest.splice(0..0, [*other, same]);
                if self.is_well(common, &rest) {
                    return Some((rest, true));
                }
            }
        }
        for (other, next) in &after {
            if let Some(mut rest) = self.course(next) {
                rest.insert(0, *other);
                if self.is_well(common, &rest) {
                    return Some((rest, false));
                }
            }
        }
        None
    }

    /// Returns what happens until all is well, if everything takes its course.
    fn course(&self, moment: &Moment) -> Option<Vec<Action>> {
        let mut moment = moment.clone();
        let mut course = Vec::new();
        while course.len() < COURSE_STEPS_MAX {
            if self.world.is_end(&moment) {
                return Some(course);
            }
            let possible = possible(self.world, &moment);
            let action = possible[self.world.calmest(&moment, &possible)?];
            moment = self.world.next(&moment, action);
            course.push(action);
        }
        None
    }

    /// Searches for a good end, whatever has to happen for it.
    fn searched(
        &self,
        moment: &Moment,
        common: usize,
        budget: &Budget,
        stop: Stop<'_>,
    ) -> Option<Vec<Action>> {
        let from = From {
            world: self.world,
            beginning: moment,
        };
        let outcome = search(&from, &Strategy::Depth, budget, stop);
        let rest = outcome.violations.into_iter().next()?.actions;
        let is_other = rest.first() != self.actions.get(common);
        (is_other && self.is_well(common, &rest)).then_some(rest)
    }

    /// Says whether a run with another end is well in every regard.
    fn is_well(&self, common: usize, rest: &[Action]) -> bool {
        self.passing(common, rest).is_some()
    }

    fn passing(&self, common: usize, rest: &[Action]) -> Option<Run> {
        let actions: Vec<Action> = self.actions[..common].iter().chain(rest).copied().collect();
        let run = record_watched(self.world, &actions, &mut *self.goal.eye()).ok()?;
        (run.verdict == Verdict::Passed).then_some(run)
    }

    fn difference(
        &self,
        moments: &[Moment],
        common: usize,
        rest: Vec<Action>,
        is_order: bool,
    ) -> Option<Difference> {
        let (world, moment) = (self.world, &moments[common]);
        let possible = possible(world, moment);
        let in_words = |action: &Action| {
            let pick = possible.iter().position(|one| one == action)?;
            Some(label(world, moment, &possible, pick))
        };
        let other = rest.first()?;
        Some(Difference {
            common: u32::try_from(common).unwrap_or(u32::MAX),
            failing: in_words(&self.actions[common])?,
            passing: in_words(other)?,
            is_order,
            contrasts: world.contrasts(&moments[common + 1], &world.next(moment, *other)),
            passing_run: self.passing(common, &rest)?,
        })
    }
}

impl Difference {
    /// Returns the difference in sentences.
    pub fn sentences(&self) -> Vec<String> {
        let (failing, passing) = (&self.failing, &self.passing);
        let until = match self.common {
            0 => "all is well from the beginning".to_owned(),
            common => format!("up to step {common} all can still be well"),
        };
        let first = if self.is_order {
            format!("{until}, if \"{passing}\" comes before \"{failing}\"")
        } else {
            format!("{until}, if \"{passing}\" happens instead of \"{failing}\"")
        };
        let contrasts = self.contrasts.iter().map(|contrast| {
            let subject = &contrast.subject;
            match (contrast.here.as_str(), contrast.there.as_str()) {
                ("", there) => format!("{subject}: in the run that is well, {there}"),
                (here, "") => format!("{subject}: {here}; not so in the run that is well"),
                (here, there) => format!("{subject}: {here}; in the run that is well, {there}"),
            }
        });
        std::iter::once(first).chain(contrasts).collect()
    }
}

/// A world that begins in another state, and in which good ends are looked for.
struct From<'w> {
    world: &'w World,
    beginning: &'w Moment,
}

impl Model for From<'_> {
    type State = Moment;
    type Action = Action;

    fn initial(&self) -> Vec<Moment> {
        vec![self.beginning.clone()]
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

    fn violation(&self, moment: &Moment) -> Option<u32> {
        self.world.is_end(moment).then_some(0)
    }
}
