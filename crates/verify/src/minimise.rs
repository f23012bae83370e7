//! Makes of a run that shows something the smallest one that shows the same:
//! fewer instances, faults, delays and steps, and fewer changes of subject.

use std::sync::Arc;

use zenekar_model::{CountRange, NodeIndex};
use zenekar_search::{Budget, End, Stop};

use crate::action::Action;
use crate::breach::Breach;
use crate::goal::Goal;
use crate::header::{Counts, with_counts};
use crate::setting::{Demand, Fault, Setting};
use crate::shrink::{Manner, Meter, Shown, calm_down, follow, leave_out, reorder};
use crate::trace::{NotPossible, Run, record_watched};
use crate::world::World;

/// How much minimising may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// States of all searches together at most.
    pub states_max: u64,
    /// Steps of all repetitions together at most.
    pub steps_max: u64,
    /// Threads of searches. The result is the same for every number of them.
    pub threads: usize,
}

impl Default for Limits {
    /// Returns what takes some seconds, on one thread.
    fn default() -> Self {
        Self {
            states_max: 400_000,
            steps_max: 200_000,
            threads: 1,
        }
    }
}

/// What was done to find it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tried {
    /// Searches.
    pub searches: u64,
    /// States that they visited.
    pub states: u64,
    /// Repetitions of something like the run.
    pub executions: u64,
}

/// A run that shows the same as the one that it was made of.
#[derive(Clone, Debug)]
pub struct Minimal {
    /// What it is made from: no more instances, faults and demands than it needs.
    pub setting: Setting,
    /// The run, up to the step that shows it.
    pub run: Run,
    /// Whether no single step can be left out, with the rest done as far as
    /// it is possible.
    pub is_one_minimal: bool,
    /// Whether searches have proven that it takes so many faults and delays,
    /// and with them so many steps.
    pub is_shortest: bool,
    /// What was done to find it.
    pub tried: Tried,
}

/// Why a run was not minimised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotShown {
    /// The run is not one of its setting.
    NotPossible(NotPossible),
    /// It shows something else, or nothing.
    Nothing,
}

/// Steps for which a world is left to itself after what is left of a run was
/// repeated, at least: longer than what one demand takes while nothing goes wrong.
const GOING_ON_STEPS: usize = 200;

/// States of one search for fewer instances at most, as part of what is left:
/// there are several to try, and the later search has to prove more.
const PART_OF_STATES: u64 = 8;

/// Makes the smallest run that shows what a run of a setting shows.
pub fn minimise(
    setting: &Setting,
    actions: &[Action],
    goal: &dyn Goal,
    limits: &Limits,
    stop: Stop<'_>,
) -> Result<Minimal, NotShown> {
    let meter = Meter {
        states_left: limits.states_max,
        steps_left: limits.steps_max,
        searches: 0,
        states: 0,
        executions: 0,
        stop,
    };
    let world = World::new(setting.clone());
    let run = record_watched(&world, actions, &mut *goal.eye()).map_err(NotShown::NotPossible)?;
    let labels = run.choices.iter().map(|choice| choice.label.as_str());
    let mut unbounded = Meter {
        steps_left: u64::MAX,
        ..meter
    };
    let best = follow(&world, goal, labels, Manner::Exactly, &mut unbounded);
    let mut search = Minimiser {
        goal,
        threads: limits.threads,
        best: best.ok_or(NotShown::Nothing)?,
        setting: setting.clone(),
        world,
        is_shortest: false,
        meter,
    };
    search.calm_down();
    search.restrict();
    search.use_fewer_instances();
    search.ask_for_less();
    search.find_shortest();
    Ok(search.finish())
}

/// Returns the name of an instance in a label: the prefix and the digits behind it.
fn name_in(label: &str, prefix: &str) -> Option<String> {
    let is_start = |at: usize| {
        let before = label[..at].chars().next_back();
        before.is_none_or(|before| before == ' ')
    };
    let mut starts = label.match_indices(prefix).map(|(at, _)| at);
    let start = starts.find(|at| is_start(*at))?;
    let digits = label[start + prefix.len()..].bytes();
    let digits = digits.take_while(u8::is_ascii_digit).count();
    let end = start + prefix.len() + digits;
    (digits > 0).then(|| label[start..end].to_owned())
}

struct Minimiser<'g, 's> {
    goal: &'g dyn Goal,
    threads: usize,
    setting: Setting,
    world: World,
    best: Shown,
    is_shortest: bool,
    meter: Meter<'s>,
}

impl Minimiser<'_, '_> {
    /// Does without faults and delays as far as that is easily found.
    fn calm_down(&mut self) {
        calm_down(&self.world, self.goal, &mut self.best, &mut self.meter);
    }

    /// Allows only what the run needs.
    fn restrict(&mut self) {
        let mut setting = self.setting.clone();
        let faults = self.best.run.actions.iter();
        let faults: Vec<Fault> = faults.filter_map(|action| action.fault()).collect();
        setting.faults = faults.into_iter().collect();
        setting.allowance.faults = self.best.cost.faults;
        setting.allowance.delays = self.best.cost.delays;
        self.accept(setting, Manner::Exactly);
        let demands = self.best.run.actions.iter();
        let demands = demands.filter(|action| **action == Action::Demand).count();
        let mut setting = self.setting.clone();
        setting.script.truncate(demands);
        self.accept(setting, Manner::Exactly);
    }

    /// Goes over to another setting, if something like the run shows the same
    /// there and costs no more.
    fn accept(&mut self, setting: Setting, manner: Manner) -> bool {
        let world = World::new(setting.clone());
        let labels = self.best.labels();
        let wanted = labels.iter().map(String::as_str);
        let found = follow(&world, self.goal, wanted, manner, &mut self.meter);
        self.take_over(setting, world, found)
    }

    fn take_over(&mut self, setting: Setting, world: World, found: Option<Shown>) -> bool {
        match found {
            Some(found) if found.cost.effort() <= self.best.cost.effort() => {
                (self.setting, self.world, self.best) = (setting, world, found);
                true
            }
            _ => false,
        }
    }

    /// Searches a setting for a shortest run.
    fn search(&mut self, setting: &Setting, states_max: u64) -> (World, Option<Shown>, End) {
        let world = World::new(setting.clone());
        let budget = Budget {
            states_max,
            threads: self.threads,
            ..Budget::default()
        };
        let outcome = self.goal.search(&world, &budget, self.meter.stop);
        self.meter.searches += 1;
        self.meter.states += outcome.unique;
        self.meter.states_left = self.meter.states_left.saturating_sub(outcome.unique);
        let found = outcome.violations.into_iter().next();
        let found = found.and_then(|found| self.shown(&world, &found.actions));
        (world, found, outcome.end)
    }

    fn shown(&mut self, world: &World, actions: &[Action]) -> Option<Shown> {
        let run = record_watched(world, actions, &mut *self.goal.eye()).ok()?;
        let labels = run.choices.iter().map(|choice| choice.label.as_str());
        follow(world, self.goal, labels, Manner::Exactly, &mut self.meter)
    }

    /// Goes over to another setting, if anything there shows the same and
    /// costs no more.
    fn accept_or_search(&mut self, setting: Setting) -> bool {
        if self.meter.is_over() {
            return false;
        }
        if self.accept(
            setting.clone(),
            Manner::GoingOn(self.best.cost.steps.max(GOING_ON_STEPS)),
        ) {
            return true;
        }
        let states_max = self.meter.states_left / PART_OF_STATES;
        if states_max == 0 {
            return false;
        }
        let (world, found, _) = self.search(&setting, states_max);
        self.take_over(setting, world, found)
    }

    /// Calls the instances of a node by numbers in the order in which they act,
    /// so that those with the highest numbers are not needed.
    fn renumber(&mut self, node: &str) {
        let labels = self.best.labels();
        let prefix = format!("{node}/");
        let mut order: Vec<String> = Vec::new();
        for name in labels.iter().filter_map(|label| name_in(label, &prefix)) {
            if !order.contains(&name) {
                order.push(name);
            }
        }
        let renamed = labels.iter().map(|label| {
            let name = name_in(label, &prefix);
            let name =
                name.and_then(|name| Some((order.iter().position(|one| *one == name)?, name)));
            name.map_or_else(
                || label.clone(),
                |(at, name)| label.replacen(&name, &format!("{prefix}{}", at + 1), 1),
            )
        });
        let renamed: Vec<String> = renamed.collect();
        let wanted = renamed.iter().map(String::as_str);
        let manner = Manner::Exactly;
        let found = follow(&self.world, self.goal, wanted, manner, &mut self.meter);
        if let Some(found) = found.filter(|found| found.cost <= self.best.cost) {
            self.best = found;
        }
    }

    /// Takes instances away, node by node.
    fn use_fewer_instances(&mut self) {
        // Counts of a descriptor that changes are not what is asked for.
        let script = &self.setting.script;
        if script
            .iter()
            .any(|step| matches!(step.demand, Demand::Update(_)))
        {
            return;
        }
        let topology = Arc::clone(&self.setting.topology);
        for index in topology.indices().rev() {
            if !self.may_be_fewer(&topology.node(index).name) {
                continue;
            }
            self.renumber(&topology.node(index).name);
            for count in self.smaller_counts(index) {
                if let Some(setting) = self.with_count(index, count)
                    && self.accept_or_search(setting)
                {
                    break;
                }
            }
        }
    }

    /// Says whether nobody speaks of how many instances a node has: neither
    /// people who scale it nor the property that they state.
    fn may_be_fewer(&self, name: &String) -> bool {
        let is_scaled = self
            .setting
            .script
            .iter()
            .any(|step| matches!(&step.demand, Demand::Scale { node, .. } if node == name));
        let is_stated = Breach::named(self.goal.name()).is_none();
        let is_named = self.setting.properties.nodes().contains(name);
        !(is_scaled || is_stated && is_named)
    }

    /// Returns the counts that are worth a try, smallest first. None is one of
    /// them where nobody could miss the node.
    fn smaller_counts(&self, index: NodeIndex) -> Vec<u32> {
        let (topology, behaviours) = (&self.setting.topology, &self.setting.behaviours);
        let node = topology.node(index);
        let others = topology.nodes().iter().filter(|other| other.count.max > 0);
        let is_needed = others.into_iter().any(|other| {
            let segments = behaviours.segments_of(&other.name).iter();
            let mut needs = segments.flat_map(|segment| &segment.needs);
            other.dependencies.iter().any(|one| one.on == index)
                || other.references.contains(&index)
                || needs.any(|need| need.node == node.name)
        });
        let mut counts = if is_needed { vec![1, 2] } else { vec![0, 1, 2] };
        counts.retain(|count| *count < node.count.min);
        counts
    }

    fn with_count(&self, index: NodeIndex, count: u32) -> Option<Setting> {
        let topology = &self.setting.topology;
        let node = topology.node(index);
        // What may come on top of the least count stays.
        let max = count + (node.count.max - node.count.min);
        let max = if count == 0 { 0 } else { max };
        let counts = Counts::from([(node.name.clone(), CountRange { min: count, max })]);
        let topology = with_counts(topology, &counts).ok()?;
        Some(Setting {
            topology: Arc::new(topology),
            ..self.setting.clone()
        })
    }

    /// Leaves out what people ask for after the first thing, one at a time.
    fn ask_for_less(&mut self) {
        for place in (1..self.setting.script.len()).rev() {
            let mut setting = self.setting.clone();
            setting.script.remove(place);
            self.accept_or_search(setting);
        }
    }

    /// Searches for the shortest run with the fewest faults and delays.
    fn find_shortest(&mut self) {
        let (faults_max, delays_max) = (self.best.cost.faults, self.best.cost.delays);
        let pairs = (0..=faults_max)
            .flat_map(|faults| (0..=delays_max).map(move |delays| (faults, delays)));
        let mut is_proven = true;
        for (faults, delays) in pairs {
            if self.meter.states_left == 0 || self.meter.is_over() {
                return;
            }
            let mut setting = self.setting.clone();
            setting.allowance.faults = faults;
            setting.allowance.delays = delays;
            let (world, found, end) = self.search(&setting, self.meter.states_left);
            let effort = self.best.cost.effort();
            let is_as_small = found
                .as_ref()
                .is_some_and(|found| found.cost.effort() == effort);
            // What is known already may be easier to follow.
            if is_as_small || self.take_over(setting, world, found) {
                // The way into a circle is a shortest one; with one round of it, it may not be.
                let actions = &self.best.run.actions;
                self.is_shortest = is_proven && self.world.circle_of(actions).is_none();
                return;
            }
            is_proven &= end == End::Exhausted;
        }
    }

    fn finish(mut self) -> Minimal {
        let steps = self.best.cost.steps;
        let (goal, world) = (self.goal, &self.world);
        let mut is_one_minimal = leave_out(world, goal, &mut self.best, &mut self.meter);
        let before = self.best.cost;
        reorder(world, goal, &mut self.best, &mut self.meter);
        if self.best.cost != before {
            // Another order may make another step needless.
            is_one_minimal = leave_out(world, goal, &mut self.best, &mut self.meter);
        }
        self.is_shortest &= self.best.cost.steps == steps;
        self.meter.steps_left = self
            .meter
            .steps_left
            .max(u64::try_from(2 * steps).unwrap_or(u64::MAX));
        self.restrict();
        Minimal {
            setting: self.setting,
            run: self.best.run,
            is_one_minimal,
            is_shortest: self.is_shortest,
            tried: Tried {
                searches: self.meter.searches,
                states: self.meter.states,
                executions: self.meter.executions,
            },
        }
    }
}
