//! How many states each strategy needs to find the mistakes of the museum.
//!
//! Only with `ZENEKAR_TEST_BUDGET=deep`, for the table in docs/museum.md; what
//! has to hold in every build is in `museum.rs`.

use std::fmt::Write as _;
use std::io::Write as _;
use std::time::Instant;

use zenekar_museum::{exhibits, explore, replayed};
use zenekar_search::Strategy;
use zenekar_verify::World;

/// States of one exploration.
const STATES_MAX: u64 = 200_000;

/// Walks of those strategies that walk.
const WALKS: u64 = 2_000;

const SEED: u64 = 1;

/// The strategies, with their names.
fn strategies() -> [(&'static str, Strategy); 5] {
    let walks = WALKS;
    let depth = 3;
    [
        ("breadth", Strategy::Breadth),
        ("depth", Strategy::Depth),
        ("random", Strategy::Random { seed: SEED, walks }),
        (
            "pct",
            Strategy::Pct {
                seed: SEED,
                depth,
                walks,
            },
        ),
        ("best", Strategy::Best),
    ]
}

#[test]
fn strategies_are_compared() {
    if std::env::var("ZENEKAR_TEST_BUDGET").as_deref() != Ok("deep") {
        return;
    }
    let mut lines = vec!["| exhibit | breadth | depth | random | pct | best |".to_owned()];
    lines.push("| --- | --- | --- | --- | --- | --- |".to_owned());
    let mut missed = Vec::new();
    for exhibit in exhibits() {
        let mut line = format!("| {} |", exhibit.name);
        for (name, strategy) in strategies() {
            // A world remembers what it was asked: each strategy has a new one.
            let world = World::new(exhibit.setting(false));
            let before = Instant::now();
            let outcome = explore(&world, &strategy, STATES_MAX);
            let elapsed_ms = before.elapsed().as_millis();
            let Some(violation) = outcome.violations.first() else {
                line += " - |";
                if matches!(strategy, Strategy::Breadth | Strategy::Best) {
                    missed.push(format!("{} by {name}", exhibit.name));
                }
                continue;
            };
            assert!(replayed(world.setting(), &violation.actions).is_some());
            let (unique, steps) = (outcome.unique, violation.actions.len());
            let _infallible = write!(line, " {unique} / {steps} / {elapsed_ms} ms |");
        }
        lines.push(line);
        let _closed = writeln!(std::io::stdout().lock(), "{}", lines[lines.len() - 1]);
    }
    let _closed = writeln!(std::io::stdout().lock(), "\n{}", lines.join("\n"));
    assert_eq!(missed, Vec::<String>::new());
}
