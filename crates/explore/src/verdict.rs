//! One simulated life of an infrastructure, and what is wrong with it.

use std::fmt;
use std::sync::Arc;

use zenekar_base::{Random, Timestamp};
use zenekar_engine::{Input, State, Verdict};
use zenekar_simcloud::{Intervention, Settings};

use crate::adoption;
use crate::scenario::{Action, Scenario};
use crate::world::{Adversary, World, replay};

/// Steps after which a run that does not end is a failure of liveness.
const STEPS_MAX: u32 = 200_000;

/// Simulated time in ms that the engine has for the rest once all failures have ended: the
/// longest pauses (blocks, circuit breaker) fit in several times.
const CALM_MAX_MS: u64 = 4 * 3_600_000;

/// Simulated time in ms after which every machine that was made in bad times
/// has met the fate that was sealed then.
const FATES_MAX_MS: u64 = 900_000;

/// Simulated time in ms within which the engine notices a broken machine.
const DETECTION_MAX_MS: u64 = 120_000;

/// What a simulation found. Crashes (panics) are told apart by the caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Something happened that never may.
    Safety(String),
    /// Something that must happen did not.
    Liveness(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Safety(text) => write!(formatter, "safety: {text}"),
            Self::Liveness(text) => write!(formatter, "liveness: {text}"),
        }
    }
}

/// What a simulation that found nothing has covered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Steps taken.
    pub steps: u32,
    /// Engines that died.
    pub crashes: u32,
    /// Machines that the cloud made.
    pub machines: u32,
    /// Fingerprint of the whole trace.
    pub trace: u64,
    /// Simulated time in ms.
    pub simulated_ms: u64,
}

/// Runs one life: `(seed, commit)` reproduces it.
pub fn run(seed: u64, settings: Settings, adversary: Adversary) -> Result<Report, Failure> {
    let scenario = Scenario::random(seed);
    let mut world = World::new(seed, settings, adversary);
    let mut steps = 0;
    let first = if adoption::is_drawn(seed) {
        adoption::begin(&mut world, &scenario.first)
    } else {
        let first = Input::Intent(Arc::clone(&scenario.first));
        world.tell(first.clone());
        first
    };
    let mut random = Random::from_seed(seed).child(3);
    for (pause_ms, action) in &scenario.actions {
        let until = world.now + zenekar_base::Millis(*pause_ms);
        advance_until(&mut world, until, &mut steps)?;
        act(&mut world, action, &mut random);
    }
    let pause = world.now + zenekar_base::Millis(random.between(0, 300_000));
    advance_until(&mut world, pause, &mut steps)?;
    if scenario.ends_down {
        world.tell(Input::Teardown);
    }
    world.make_calm(Settings::calm());
    // A person looks after it once the trouble is over.
    world.tell(if scenario.ends_down {
        Input::Teardown
    } else {
        Input::Resume
    });
    if world.engine.state().intent.is_none() {
        // The engine died before the very first fact was durable: the user sees that and asks again.
        world.tell(first);
    }
    for pause_ms in [FATES_MAX_MS, DETECTION_MAX_MS] {
        let until = world.now + zenekar_base::Millis(pause_ms);
        advance_until(&mut world, until, &mut steps)?;
        settle(&mut world, &mut steps)?;
    }
    check_end(&world)?;
    check_stays(&mut world, &mut steps)?;
    let machines = world
        .clouds()
        .map(|(_, cloud)| cloud.ledger().entries().count());
    let machines = u32::try_from(machines.sum::<usize>()).unwrap_or(u32::MAX);
    Ok(Report {
        steps,
        crashes: world.crashes,
        machines,
        trace: world.trace,
        simulated_ms: world.now.0.unsigned_abs(),
    })
}

fn act(world: &mut World, action: &Action, random: &mut Random) {
    let victim = |world: &World, draw: u64| {
        let clouds = world.clouds();
        let alive: Vec<_> = clouds
            .flat_map(|(name, cloud)| cloud.ledger().alive().map(move |entry| (name, entry)))
            .filter(|(_, entry)| !adoption::is_bystander(entry))
            .map(|(name, entry)| (name, entry.resource))
            .collect();
        let index = usize::try_from(draw % (alive.len().max(1) as u64)).unwrap_or(0);
        alive.get(index).cloned()
    };
    match action {
        Action::Tell(input) => world.tell(input.clone()),
        Action::TellTwice(input) => {
            world.tell(input.clone());
            if random.below(2) == 0 {
                world.crash();
            }
            world.tell(input.clone());
        }
        Action::Kill(draw) => {
            if let Some((cloud, resource)) = victim(world, *draw) {
                world.intervene_at(cloud, &Intervention::Kill(resource));
            }
        }
        Action::Lose(draw) => {
            if let Some((cloud, resource)) = victim(world, *draw) {
                world.intervene_at(cloud, &Intervention::Lose(resource));
            }
        }
        Action::Hang(draw) => {
            if let Some((cloud, resource)) = victim(world, *draw) {
                world.intervene_at(cloud, &Intervention::Hang(resource));
            }
        }
        Action::Crash => world.crash(),
        Action::Outage(span_ms) => {
            world.intervene(&Intervention::Outage(zenekar_base::Millis(*span_ms)));
        }
    }
}

fn advance_until(world: &mut World, until: Timestamp, steps: &mut u32) -> Result<(), Failure> {
    while world.now < until {
        if !world.step() {
            break;
        }
        *steps += 1;
        check_always(world)?;
        if *steps > STEPS_MAX {
            return Err(Failure::Liveness(format!(
                "{STEPS_MAX} steps and still at {} ms",
                world.now.0
            )));
        }
    }
    world.now = world.now.max(until);
    Ok(())
}

/// Goes on until the engine is content.
fn settle(world: &mut World, steps: &mut u32) -> Result<(), Failure> {
    let limit = world.now + zenekar_base::Millis(CALM_MAX_MS);
    loop {
        match world.engine.verdict() {
            Verdict::Converged => return Ok(()),
            Verdict::Working | Verdict::Blocked(_) if world.now < limit => {}
            verdict => {
                let plan = world.engine.plan();
                return Err(Failure::Liveness(format!(
                    "after {CALM_MAX_MS} ms of calm: {verdict:?}, left: {:?}",
                    plan.steps
                )));
            }
        }
        if !world.step() {
            return Err(Failure::Liveness(format!(
                "nothing happens any more, left: {:?}",
                world.engine.plan().steps
            )));
        }
        *steps += 1;
        check_always(world)?;
        if *steps > STEPS_MAX {
            return Err(Failure::Liveness(format!(
                "{STEPS_MAX} steps, left: {:?}",
                world.engine.plan().steps
            )));
        }
    }
}

/// What holds at every moment.
fn check_always(world: &World) -> Result<(), Failure> {
    if let Some(disorder) = &world.disorder {
        return Err(Failure::Safety(disorder.clone()));
    }
    // Every sixteenth time or so: it costs a pass over everything.
    if world.trace.is_multiple_of(16) {
        check_tallies(world)?;
    }
    for (name, cloud) in world.clouds() {
        if let Some(tag) = cloud.ledger().duplicates().first() {
            return Err(Failure::Safety(format!(
                "two machines for instance {tag} at `{name}` at {} ms",
                world.now.0
            )));
        }
    }
    Ok(())
}

/// What the engine keeps by hand agrees with what it follows from.
fn check_tallies(world: &World) -> Result<(), Failure> {
    match world.engine.inconsistency() {
        None => Ok(()),
        Some(what) => Err(Failure::Safety(format!(
            "{what} is wrong at {} ms",
            world.now.0
        ))),
    }
}

/// What holds when the engine is content: the cloud has exactly what is wanted.
fn check_end(world: &World) -> Result<(), Failure> {
    let state = world.engine.state();
    let safety = |text: String| Err(Failure::Safety(text));
    let mut wanted = 0;
    for (key, node) in (0u32..).map(zenekar_base::NodeKey).zip(&state.nodes) {
        let expected = state.wanted(key);
        wanted += expected;
        if node.serving != expected || node.instances.len() != expected as usize {
            return safety(format!(
                "`{}` has {} instances and {} serving of {expected}",
                node.name,
                node.instances.len(),
                node.serving
            ));
        }
    }
    let (bystanders, alive): (Vec<_>, Vec<_>) = world
        .clouds()
        .flat_map(|(name, cloud)| cloud.ledger().alive().map(move |entry| (name, entry)))
        .partition(|(_, entry)| adoption::is_bystander(entry));
    let planted = world.cloud.ledger().entries();
    if planted.filter(adoption::is_bystander).count() != bystanders.len() {
        return safety("a machine of somebody else was deleted".to_owned());
    }
    if alive.len() != wanted as usize {
        return safety(format!(
            "the cloud has {} machines, wanted are {wanted}",
            alive.len()
        ));
    }
    for (name, entry) in &alive {
        let mut known = state.instances.values();
        let known = known.any(|instance| {
            let place = instance.provider;
            place.is_some_and(|place| state.providers[place.index()] == *name)
                && instance.resource.as_ref() == Some(&entry.resource)
                && (instance.adopted || instance.tag == entry.instance)
        });
        if !known {
            return safety(format!("machine {} is not in the state", entry.resource));
        }
    }
    for (name, cloud) in world.clouds() {
        let is_used = !state.teardown() && names_provider(state, name);
        if !is_used && cloud.ledger().networks().next().is_some() {
            return safety(format!("a network is left behind at `{name}`"));
        }
    }
    let intended = world
        .journal
        .iter()
        .filter(|entry| entry.record.kind() == "create-intended")
        .count();
    let made = world
        .clouds()
        .flat_map(|(_, cloud)| cloud.ledger().entries());
    let made = made.filter(|entry| !adoption::is_foreign(entry)).count();
    if made > intended {
        return safety(format!("{made} machines were made for {intended} intents"));
    }
    let plan = world.engine.plan();
    if !plan.steps.is_empty() {
        return safety(format!("converged, and yet planned: {:?}", plan.steps));
    }
    check_tallies(world)?;
    check_journal(world, state)
}

/// Says whether the descriptor names a provider.
fn names_provider(state: &State, provider: &str) -> bool {
    let Some(intent) = &state.intent else {
        return false;
    };
    let topology = &intent.topology;
    topology.indices().any(|index| {
        let candidates = 0..topology.node(index).candidates.len();
        let mut candidates = candidates.filter_map(|place| topology.candidate(index, place));
        candidates.any(|candidate| candidate.provider == provider)
    })
}

/// The journal adds up to the state.
fn check_journal(world: &World, state: &State) -> Result<(), Failure> {
    let replayed = replay(&state.infrastructure, &world.journal);
    if replayed == *state {
        Ok(())
    } else {
        Err(Failure::Safety(
            "the journal does not add up to the state".to_owned(),
        ))
    }
}

/// A converged infrastructure in a calm world is left alone.
fn check_stays(world: &mut World, steps: &mut u32) -> Result<(), Failure> {
    let creations = world.creations;
    let until = world.now + zenekar_base::Millis(120_000);
    advance_until(world, until, steps)?;
    if world.creations != creations {
        return Err(Failure::Safety(
            "a converged infrastructure was changed without a reason".to_owned(),
        ));
    }
    check_end(world)
}
