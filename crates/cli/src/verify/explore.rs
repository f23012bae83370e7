//! Explores with more and more faults and delays, as far as the limits allow.

use std::sync::Arc;
use std::time::Duration;

use zenekar_search::{Budget, End, Outcome, Progress, Strategy, search};
use zenekar_verify::{Action, Allowance, Breach, Setting, World, add_circle};

use super::ladder::Ladder;
use super::watchdog::{Reason, Watchdog};
use crate::arguments::{SearchArguments, StrategyChoice};
use crate::errors::Failure;
use crate::exit::Exit;
use crate::output::{Output, counted};

/// Actions in a random run if nobody says how many.
const WALK_ACTIONS: u32 = 2_000;

/// How many orderings a violation needs that priorities are drawn for.
const PCT_DEPTH: u32 = 3;

/// What was explored with so many faults and delays.
pub(crate) struct Round {
    /// What is special about the counts of nodes.
    pub(crate) note: Option<&'static str>,
    pub(crate) faults: u8,
    pub(crate) delays: u8,
    pub(crate) end: End,
    pub(crate) unique: u64,
    pub(crate) generated: u64,
    pub(crate) depth: u32,
    pub(crate) ends: u64,
    pub(crate) took: Duration,
}

impl Round {
    /// Says whether everything was visited.
    pub(crate) fn is_exhausted(&self) -> bool {
        self.end == End::Exhausted
    }

    /// Returns the bounds in words.
    pub(crate) fn label(&self) -> String {
        let label = label(self.faults, self.delays);
        match self.note {
            Some(note) => format!("{note}, {label}"),
            None => label,
        }
    }
}

/// A property that does not hold, with a run that shows it.
pub(crate) struct Found {
    /// Its number.
    pub(crate) property: u32,
    pub(crate) actions: Vec<Action>,
    /// The world in which it happens.
    pub(crate) world: Arc<World>,
}

impl Found {
    /// Returns the stable name of the property.
    pub(crate) fn name(&self) -> &'static str {
        Breach::numbered(self.property).map_or("can-go-on", Breach::name)
    }

    /// Returns the property in a sentence.
    pub(crate) fn promise(&self) -> &'static str {
        Breach::numbered(self.property)
            .map_or("something goes on until all is as wanted", Breach::promise)
    }
}

/// What came of it all.
pub(crate) struct Explored {
    pub(crate) rounds: Vec<Round>,
    pub(crate) found: Vec<Found>,
    /// Why it was ended from outside.
    pub(crate) reason: Option<Reason>,
    pub(crate) took: Duration,
    /// How many instances the descriptor may have, if they are too many to be explored.
    pub(crate) too_many: Option<u64>,
}

impl Explored {
    /// Says whether all that the bounds allow was visited.
    pub(crate) fn is_exhausted(&self) -> bool {
        let last = self.rounds.last();
        let is_all = self.too_many.is_none() && self.reason.is_none();
        is_all && last.is_some_and(Round::is_exhausted)
    }

    /// Returns the most faults and delays for which everything was visited.
    pub(crate) fn reached(&self) -> Option<&Round> {
        self.rounds.iter().rfind(|round| round.is_exhausted())
    }

    pub(crate) fn states(&self) -> u64 {
        self.rounds.iter().map(|round| round.unique).sum()
    }

    pub(crate) fn exit(&self, arguments: &SearchArguments) -> Exit {
        if !self.found.is_empty() {
            Exit::Violated
        } else if self.reason == Some(Reason::Interrupt) {
            Exit::Cancelled
        } else if arguments.exhaustive && !self.is_exhausted() {
            Exit::Timeout
        } else {
            Exit::Success
        }
    }
}

/// Explores a setting.
pub(crate) fn explore(
    ladder: &Ladder,
    arguments: &SearchArguments,
    output: Output,
) -> Result<Explored, Failure> {
    let watchdog = Watchdog::start(arguments.time, arguments.memory, output)?;
    let mut explored = Explored {
        rounds: Vec::new(),
        found: Vec::new(),
        reason: None,
        took: Duration::ZERO,
        too_many: ladder.too_many,
    };
    let rounds = ladder.rungs.iter().flat_map(|rung| {
        let bounds = bounds(&rung.setting, arguments.strategy).into_iter();
        bounds.map(move |bounds| (rung, bounds))
    });
    for (rung, (faults, delays)) in rounds {
        let mut setting = rung.setting.clone();
        setting.allowance.faults = faults;
        setting.allowance.delays = delays;
        let is_over = round(&mut explored, setting, rung.note, arguments, &watchdog);
        if is_over || (!arguments.all && !explored.found.is_empty()) {
            break;
        }
    }
    explored.took = watchdog.elapsed();
    Ok(explored)
}

/// Explores everything within the bounds of a setting. Returns whether it was
/// ended from outside.
fn round(
    explored: &mut Explored,
    mut setting: Setting,
    note: Option<&'static str>,
    arguments: &SearchArguments,
    watchdog: &Watchdog,
) -> bool {
    let Allowance { faults, delays, .. } = setting.allowance;
    let known = Breach::Secret.number();
    let is_known = |explored: &Explored| explored.found.iter().any(|one| one.property == known);
    loop {
        let knew = is_known(explored);
        if knew {
            // It would end every run in which it happens: most of them.
            for behaviour in setting.behaviours.nodes.values_mut() {
                behaviour.foreign_secrets.clear();
            }
        }
        let world = World::new(setting.clone());
        let started_at = watchdog.elapsed();
        let outcome = search_within(&world, arguments, watchdog);
        watchdog.clear();
        let round = Round {
            note,
            faults,
            delays,
            end: outcome.end,
            unique: outcome.unique,
            generated: outcome.generated,
            depth: outcome.depth,
            ends: outcome.ends,
            took: watchdog.elapsed().saturating_sub(started_at),
        };
        let is_over = outcome.end == End::Stopped;
        take(explored, outcome, world);
        if is_over {
            explored.reason = watchdog.reason();
        }
        let hides_more = arguments.all && !is_over && !knew && is_known(explored);
        if !hides_more {
            explored.rounds.push(round);
            return is_over;
        }
    }
}

/// Keeps the violations of properties that were not found with fewer faults.
fn take(explored: &mut Explored, outcome: Outcome<Action>, world: World) {
    let world = Arc::new(world);
    for violation in outcome.violations {
        let known = |found: &Found| found.property == violation.property;
        if !explored.found.iter().any(known) {
            explored.found.push(Found {
                property: violation.property,
                actions: violation.actions,
                world: Arc::clone(&world),
            });
        }
    }
}

/// Returns the bounds of the rounds: few faults and delays come first, so that
/// what is found needs no more of them than it has to.
fn bounds(setting: &Setting, strategy: StrategyChoice) -> Vec<(u8, u8)> {
    let (faults, delays) = (setting.allowance.faults, setting.allowance.delays);
    if matches!(strategy, StrategyChoice::Random | StrategyChoice::Pct) {
        return vec![(faults, delays)];
    }
    let all = (0..=faults).flat_map(|faults| (0..=delays).map(move |delays| (faults, delays)));
    let mut all: Vec<(u8, u8)> = all.collect();
    all.sort_by_key(|(faults, delays)| (faults + delays, *faults));
    all
}

/// Writes bounds for people.
pub(crate) fn label(faults: u8, delays: u8) -> String {
    let (faults, delays) = (usize::from(faults), usize::from(delays));
    format!("{}, {}", counted(faults, "fault"), counted(delays, "delay"))
}

/// Returns how many threads explore.
pub(crate) fn threads(arguments: &SearchArguments) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    arguments.threads.map_or(cores, usize::from)
}

fn search_within(
    world: &World,
    arguments: &SearchArguments,
    watchdog: &Watchdog,
) -> Outcome<Action> {
    let is_walk = matches!(
        arguments.strategy,
        StrategyChoice::Random | StrategyChoice::Pct
    );
    let depth_max = if is_walk { WALK_ACTIONS } else { u32::MAX };
    let budget = Budget {
        states_max: arguments.states,
        depth_max: arguments.depth.unwrap_or(depth_max),
        memory_bytes_max: arguments.memory,
        violations_max: if arguments.all {
            Breach::ALL.len() + 1
        } else {
            1
        },
        threads: threads(arguments),
    };
    let (seed, walks) = (arguments.seed, arguments.walks);
    let strategy = match arguments.strategy {
        StrategyChoice::Breadth => Strategy::Breadth,
        StrategyChoice::Depth => Strategy::Depth,
        StrategyChoice::Best => Strategy::Best,
        StrategyChoice::Random => Strategy::Random { seed, walks },
        StrategyChoice::Pct => Strategy::Pct {
            seed,
            depth: PCT_DEPTH,
            walks,
        },
    };
    let allowance = world.setting().allowance;
    let label = label(allowance.faults, allowance.delays);
    let stop = |progress: &Progress| watchdog.stops(progress, &label);
    let mut outcome = search(world, &strategy, &budget, &stop);
    add_circle(world, &mut outcome, &stop);
    outcome
}
