//! Every mistake of the museum is made small, told, and shown again.

use zenekar_diagnostics::FileId;
use zenekar_museum::{Exhibit, exhibits, explore};
use zenekar_search::{Strategy, never};
use zenekar_verify::{
    Action, Comparison, Detail, Header, Limits, Provenance, ReplayFile, World, difference, goal_of,
    minimise, record, replay, tell,
};

/// States of one exploration: runs that are not found within them are long.
const STATES_MAX: u64 = 3_000;

/// Steps of the runs that are looked at: longer ones take their time, and most
/// of them is waiting.
const STEPS_MAX: usize = 20;

fn check(exhibit: &Exhibit, found: &[Action]) {
    let name = exhibit.name;
    let setting = exhibit.setting(false);
    let run = record(&World::new(setting.clone()), found).expect("it was found");
    let property = run.verdict.property().expect("it is a mistake").to_owned();
    let goal = goal_of(&property);
    let minimal = minimise(&setting, found, &*goal, &Limits::default(), &never);
    let minimal = minimal.unwrap_or_else(|error| panic!("{name}: {error:?}"));
    // That no way round is shorter is not known.
    let is_short = minimal.is_shortest || property == "converges";
    assert!(minimal.is_one_minimal && is_short, "{name}");
    assert!(minimal.run.choices.len() <= found.len(), "{name}");

    let header = Header::of(&minimal.setting, &setting.topology, Provenance::default());
    let text = ReplayFile::new(header, &minimal.run, minimal.is_one_minimal).to_text();
    let (file, mistakes) = ReplayFile::parse(&text, FileId(0));
    assert_eq!(mistakes, [], "{name}");
    let world = World::new(minimal.setting.clone());
    let replayed = replay(&world, &file.expect("it was written so"));
    assert_eq!(replayed.comparison, Comparison::Same, "{name}");
    assert_eq!(replayed.run, minimal.run, "{name}");

    let story = tell(&world, &minimal.run, Detail::Folded);
    let promise = format!("`{property}`");
    assert!(story.ending.contains(&promise), "{name}: {}", story.ending);
    // What a fault or an order of events has done could have been otherwise.
    let is_avoidable = minimal.setting.allowance.faults + minimal.setting.allowance.delays > 0;
    let difference = difference(&world, &minimal.run, &*goal, 10_000, &never);
    assert!(difference.is_some() || !is_avoidable, "{name}");
    if let Some(difference) = difference {
        assert!(!difference.contrasts.is_empty(), "{name}");
    }
}

#[test]
fn every_mistake_is_made_small_and_shown_again() {
    let mut checked = 0;
    for exhibit in exhibits() {
        let world = World::new(exhibit.setting(false));
        let outcome = explore(&world, &Strategy::Breadth, STATES_MAX);
        let found = outcome.violations.first().map(|found| &found.actions);
        if let Some(found) = found.filter(|found| found.len() <= STEPS_MAX) {
            check(&exhibit, found);
            checked += 1;
        }
    }
    assert!(checked > 20, "{checked}");
}
