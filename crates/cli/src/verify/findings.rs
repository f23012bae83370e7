//! Makes of what was found the smallest run that shows it, and words of that.

use std::time::{Duration, Instant};

use zenekar_verify::{
    Detail, Limits, Run, Setting, Story, Verdict, World, difference, goal_of, minimise, record,
    tell,
};

use super::explore::Found;
use crate::errors::Failure;

/// How long a run is made smaller, and compared with others, at most.
const TIME: Duration = Duration::from_secs(15);

/// States at most that are visited for a run that passes.
const DIFFERENCE_STATES_MAX: u64 = 200_000;

/// A property that does not hold, and the smallest run that shows it.
pub(crate) struct Finding {
    pub(crate) name: String,
    pub(crate) promise: String,
    /// What the run is made from.
    pub(crate) setting: Setting,
    pub(crate) run: Run,
    pub(crate) is_minimal: bool,
    /// Whether no run with fewer faults, delays or steps shows it.
    pub(crate) is_shortest: bool,
    pub(crate) story: Story,
    /// What would have to be otherwise.
    pub(crate) otherwise: Vec<String>,
}

impl Finding {
    /// Makes the smallest run that shows what was found.
    pub(crate) fn new(found: &Found, threads: usize, detail: Detail) -> Result<Self, Failure> {
        let started_at = Instant::now();
        let stop = |_: &zenekar_search::Progress| started_at.elapsed() > TIME;
        let run = record(&found.world, &found.actions).map_err(|error| {
            let text = format!("a run that breaks `{}` cannot be repeated", found.name());
            Failure::internal(text).cause(format!("step {} is not possible", error.step))
        })?;
        let name = match &run.verdict {
            Verdict::Violated { property, .. } => property.clone(),
            Verdict::Passed | Verdict::Open => found.name().to_owned(),
        };
        let goal = goal_of(&name);
        let setting = found.world.setting().clone();
        let properties = &setting.properties.properties;
        let promise = match properties.iter().find(|one| one.name == name) {
            Some(property) => property.text.clone(),
            None => found.promise().to_owned(),
        };
        let limits = Limits {
            threads,
            ..Limits::default()
        };
        let minimal = minimise(&setting, &found.actions, &*goal, &limits, &stop).ok();
        let (setting, run, is_minimal, is_shortest) = match minimal {
            Some(minimal) => (
                minimal.setting,
                minimal.run,
                minimal.is_one_minimal,
                minimal.is_shortest,
            ),
            None => (setting, run, false, false),
        };
        let world = World::new(setting.clone());
        let otherwise = difference(&world, &run, &*goal, DIFFERENCE_STATES_MAX, &stop);
        Ok(Self {
            story: tell(&world, &run, detail),
            otherwise: otherwise.map_or_else(Vec::new, |difference| difference.sentences()),
            name,
            promise,
            setting,
            run,
            is_minimal,
            is_shortest,
        })
    }

    /// Returns how many faults and delays the run may have.
    pub(crate) fn bounds(&self) -> (u8, u8) {
        let allowance = self.setting.allowance;
        (allowance.faults, allowance.delays)
    }
}
