//! Of what was found, only what matters is left.

use zenekar_base::Random;
use zenekar_model::behaviour::{Give, Segment};
use zenekar_search::{Model, never};
use zenekar_verify::{
    Action, Breach, Comparison, Fault, Header, Limits, Minimal, NotShown, Provenance, ReplayFile,
    Setting, World, goal_of, minimise, record, replay,
};

use crate::replay::{find, joining, joining_too_early};
use crate::setting::{behaviours, segment, topology};

/// Follows labels as far as they are possible, and returns what it did if that
/// breaks the promise.
fn follow(world: &World, labels: &[String], breach: Breach) -> Option<Vec<Action>> {
    let mut moment = world.initial().swap_remove(0);
    let mut done = Vec::new();
    for label in labels {
        let mut possible = Vec::new();
        world.actions(&moment, &mut possible);
        let wanted = |action: &&Action| world.describe(&moment, action) == *label;
        if let Some(action) = possible.iter().find(wanted) {
            done.push(*action);
            moment = world.apply(&moment, action)?;
        }
    }
    (world.violation(&moment) == Some(breach.number())).then_some(done)
}

/// Finds a way that breaks a promise, and puts into it what does not matter.
fn stray(setting: &Setting, breach: Breach) -> Vec<Action> {
    let mut calm = setting.clone();
    calm.allowance.faults = 0;
    calm.allowance.delays = 1;
    let world = World::new(setting.clone());
    let mut actions = find(&calm);
    let mut random = Random::from_seed(3);
    for _ in 0..200 {
        let run = record(&world, &actions).expect("these are possible");
        let mut labels: Vec<String> = run.choices.into_iter().map(|one| one.label).collect();
        let at = 1 + usize::try_from(random.below(labels.len() as u64 - 1)).expect("few");
        let moment = world.moments(&actions).swap_remove(at);
        let mut possible = Vec::new();
        world.actions(&moment, &mut possible);
        let pick = usize::try_from(random.below(possible.len() as u64)).expect("few");
        labels.insert(at, world.describe(&moment, &possible[pick]));
        if let Some(longer) = follow(&world, &labels, breach)
            && longer.len() > actions.len()
        {
            actions = longer;
        }
    }
    actions
}

fn is_replayed(minimal: &Minimal, described: &Setting) {
    let header = Header::of(&minimal.setting, &described.topology, Provenance::default());
    let file = ReplayFile::new(header, &minimal.run, minimal.is_one_minimal);
    let nowhere = zenekar_diagnostics::Span::empty(zenekar_diagnostics::FileId(0), 0);
    let behaviours = described.behaviours.clone();
    let setting = file
        .header
        .setting(&described.topology, behaviours, vec![], nowhere);
    let world = World::new(setting.expect("headers say what they were made of"));
    let replayed = replay(&world, &file);
    assert_eq!(
        (replayed.comparison, &replayed.run),
        (Comparison::Same, &minimal.run)
    );
}

#[test]
fn what_does_not_matter_is_left_out() {
    let rows: [crate::setting::Row<'_>; 3] = [
        ("database", 1, &[]),
        ("master", 1, &[]),
        ("worker", 2, &[1]),
    ];
    let mut setting = Setting::new(topology("openstack", &rows), joining(false));
    setting.faults = [Fault::Throttled, Fault::ServerError].into_iter().collect();
    setting.allowance.faults = 2;
    let actions = stray(&setting, Breach::Contact);
    let minimal = minimise(
        &setting,
        &actions,
        &Breach::Contact,
        &Limits::default(),
        &never,
    );
    let minimal = minimal.expect("the way breaks the promise");
    let counts: Vec<u32> = minimal
        .setting
        .topology
        .nodes()
        .iter()
        .map(|node| node.count.min)
        .collect();
    assert_eq!(counts, [0, 1, 1]);
    assert_eq!(minimal.setting.script.len(), 1);
    assert_eq!(
        (
            minimal.setting.allowance.faults,
            minimal.setting.allowance.delays
        ),
        (0, 1)
    );
    assert!(minimal.is_one_minimal && minimal.is_shortest);
    is_replayed(&minimal, &setting);
    // It is what a search of the smallest setting finds.
    let smallest = joining_too_early();
    assert_eq!(minimal.run.actions.len(), find(&smallest).len());
}

#[test]
fn without_searches_runs_become_smaller_too() {
    let object = vec!["volume:members".to_owned()];
    let edits = Segment {
        reads: object.clone(),
        writes: object,
        gives: vec![Give::Name("membership".to_owned())],
        ..segment("add itself to the list")
    };
    let topology = topology("ec2", &[("member", 3, &[])]);
    let mut setting = Setting::new(topology, behaviours(vec![("member", vec![edits], vec![])]));
    setting.faults = [Fault::Throttled].into_iter().collect();
    let actions = stray(&setting, Breach::LostUpdate);
    let limits = Limits {
        states_max: 0,
        ..Limits::default()
    };
    let minimal = minimise(&setting, &actions, &Breach::LostUpdate, &limits, &never);
    let minimal = minimal.expect("the way breaks the promise");
    assert_eq!(minimal.tried.searches, 0);
    assert_eq!(minimal.setting.topology.nodes()[0].count.min, 2);
    assert!(minimal.is_one_minimal && !minimal.is_shortest);
    is_replayed(&minimal, &setting);
    let again = minimise(&setting, &actions, &Breach::LostUpdate, &limits, &never);
    assert_eq!(again.map(|again| again.run), Ok(minimal.run.clone()));
    let optimum = minimise(
        &setting,
        &actions,
        &Breach::LostUpdate,
        &Limits::default(),
        &never,
    );
    let optimum = optimum.expect("the way breaks the promise");
    let (found, least) = (minimal.run.actions.len(), optimum.run.actions.len());
    assert!(found * 10 <= least * 12, "{found} steps, {least} would do");
}

#[test]
fn what_users_state_is_minimised_and_keeps_its_instances() {
    let mut setting = crate::stated::setting(&["never any finished(worker)"]);
    setting.allowance.faults = 1;
    setting.faults = [Fault::Throttled].into_iter().collect();
    let actions = find(&setting);
    let goal = goal_of("property 1");
    let minimal = minimise(&setting, &actions, &*goal, &Limits::default(), &never);
    let minimal = minimal.expect("the way breaks the promise");
    assert_eq!(minimal.run.verdict.property(), Some("property 1"));
    assert!(minimal.is_one_minimal && minimal.is_shortest);
    assert_eq!(minimal.setting.allowance.faults, 0);
    assert_eq!(minimal.setting.script.len(), 1);
    // The property names the worker, so that there are as many as before.
    let counts = minimal
        .setting
        .topology
        .nodes()
        .iter()
        .map(|node| node.count.min);
    assert_eq!(counts.collect::<Vec<_>>(), [1, 2]);
    let world = World::new(minimal.setting.clone());
    assert_eq!(record(&world, &minimal.run.actions), Ok(minimal.run));
}

#[test]
fn what_shows_nothing_is_not_minimised() {
    let setting = joining_too_early();
    let mut actions = find(&setting);
    let minimal = |actions: &[Action]| {
        let limits = Limits::default();
        let minimal = minimise(&setting, actions, &Breach::Contact, &limits, &never);
        minimal.map(|minimal| minimal.run.actions.len())
    };
    assert_eq!(minimal(&actions), Ok(actions.len()));
    actions.pop();
    assert_eq!(minimal(&actions), Err(NotShown::Nothing));
    actions.insert(0, Action::Tick);
    assert!(matches!(minimal(&actions), Err(NotShown::NotPossible(_))));
    assert!(record(&World::new(setting.clone()), &actions).is_err());
}
