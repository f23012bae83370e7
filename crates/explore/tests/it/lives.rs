//! Many lives from seeds.

#![expect(clippy::print_stdout, reason = "a sweep says what it has covered")]
#![expect(
    clippy::disallowed_methods,
    reason = "tests take their budget from the environment"
)]

use std::panic::{AssertUnwindSafe, catch_unwind};

use zenekar_explore::{Adversary, run};
use zenekar_simcloud::Settings;

/// Runs seeds and counts verdicts apart: safety, liveness, crash.
fn sweep(name: &str, seeds: std::ops::Range<u64>, settings: &Settings, adversary: Adversary) {
    let (mut failures, mut steps, mut crashes, mut machines) = (Vec::new(), 0u64, 0u64, 0u64);
    let count = seeds.end - seeds.start;
    for seed in seeds {
        match catch_unwind(AssertUnwindSafe(|| run(seed, settings.clone(), adversary))) {
            Ok(Ok(report)) => {
                steps += u64::from(report.steps);
                crashes += u64::from(report.crashes);
                machines += u64::from(report.machines);
            }
            Ok(Err(failure)) => failures.push(format!("seed {seed}: {failure}")),
            Err(_) => failures.push(format!("seed {seed}: crash: panicked")),
        }
    }
    println!(
        "{name}: {count} lives, {steps} steps, {crashes} engine deaths, {machines} machines, {} failures",
        failures.len()
    );
    assert!(
        failures.is_empty(),
        "{} of {count} lives failed:\n{}",
        failures.len(),
        failures.join("\n")
    );
}

/// How many times the seeds of the full budget a night tries.
const DEEP: u64 = 10;

/// Seeds per sweep: a fixed budget, larger when the full budget is asked for.
fn budget(quick: u64, full: u64) -> std::ops::Range<u64> {
    let first = std::env::var("ZENEKAR_TEST_FIRST_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
        .unwrap_or(0);
    let count = match std::env::var("ZENEKAR_TEST_BUDGET").as_deref() {
        Ok("full") => full,
        Ok("deep") => full * DEEP,
        _ => quick,
    };
    first..first + count
}

#[test]
fn calm_lives_end_well() {
    sweep(
        "calm",
        budget(100, 1000),
        &Settings::calm(),
        Adversary::default(),
    );
}

#[test]
fn ordinary_lives_with_crashes_end_well() {
    sweep(
        "typical",
        budget(100, 2000),
        &Settings::typical(),
        Adversary {
            crash: 5_000,
            ..Adversary::default()
        },
    );
}

#[test]
fn hostile_lives_end_well() {
    sweep(
        "hostile",
        budget(100, 4000),
        &Settings::hostile(),
        Adversary::hostile(),
    );
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    for seed in 0..10 {
        let one = run(seed, Settings::hostile(), Adversary::hostile());
        let two = run(seed, Settings::hostile(), Adversary::hostile());
        assert_eq!(one, two, "seed {seed}");
        assert!(one.is_ok());
    }
}

/// Seeds that have found a mistake once; they are tried with every budget.
const FOUND_MISTAKES: [u64; 1] = [
    // An attempt without effect stayed on the list of outdated instances.
    853,
];

#[test]
fn lives_that_once_failed_end_well() {
    for seed in FOUND_MISTAKES {
        let life = run(seed, Settings::hostile(), Adversary::hostile());
        assert!(life.is_ok(), "seed {seed}: {life:?}");
    }
}
