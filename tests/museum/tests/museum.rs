//! Every mistake of the museum is found, and nothing is found at its twin.

use std::io::Write as _;
use std::time::Instant;

use zenekar_museum::{Exhibit, exhibits, explore, replayed};
use zenekar_search::{End, Strategy};
use zenekar_verify::{Breach, World, record};

/// States of one exploration: what is in the museum needs far fewer.
const STATES_MAX: u64 = 1_000_000;

/// Writes a line that is shown even where a test succeeds.
fn tell(line: &str) {
    let _closed = writeln!(std::io::stdout().lock(), "{line}");
}

fn first_breach(exhibit: &Exhibit, world: &World, strategy: &Strategy) -> (String, bool) {
    let before = Instant::now();
    let outcome = explore(world, strategy, STATES_MAX);
    let elapsed_ms = before.elapsed().as_millis();
    let Some(violation) = outcome.violations.first() else {
        let cell = format!("nothing ({:?}, {} states)", outcome.end, outcome.unique);
        return (cell, false);
    };
    let found = Breach::numbered(violation.property);
    let name = found.map_or("stuck", Breach::name);
    let steps = violation.actions.len();
    let expected = match exhibit.expected {
        // People give their properties names of their own.
        Breach::Stated => found == Some(Breach::Stated),
        expected => {
            replayed(world.setting(), &violation.actions).as_deref() == Some(expected.name())
        }
    };
    let ran = replayed(world.setting(), &violation.actions).is_some();
    let cell = format!("{name} | {} | {elapsed_ms} ms | {steps}", outcome.unique);
    (cell, found == Some(exhibit.expected) && expected && ran)
}

#[test]
fn every_mistake_is_found_and_no_twin_has_one() {
    let mut wrong = Vec::new();
    tell("\n| exhibit | expected | found | states | time | steps | twin: states, time |");
    for exhibit in exhibits() {
        let world = World::new(exhibit.setting(false));
        let (found, is_right) = first_breach(&exhibit, &world, &Strategy::Breadth);
        let before = Instant::now();
        let twin = World::new(exhibit.setting(true));
        let outcome = explore(&twin, &Strategy::Breadth, STATES_MAX);
        let elapsed_ms = before.elapsed().as_millis();
        let (name, expected) = (exhibit.name, exhibit.expected.name());
        let is_calm = outcome.end == End::Exhausted && outcome.violations.is_empty();
        tell(&format!(
            "| {name} | {expected} | {found} | {} {:?}, {elapsed_ms} ms |",
            outcome.unique, outcome.end
        ));
        if let Some(violation) = outcome.violations.first() {
            let run = record(&twin, &violation.actions).expect("it was found");
            let told: Vec<_> = run.choices.iter().map(|choice| &choice.label).collect();
            tell(&format!("  twin of {name}: {told:#?}"));
        }
        if !is_right || !is_calm {
            wrong.push(name);
        }
    }
    assert_eq!(wrong, Vec::<&str>::new());
}
