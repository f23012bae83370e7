//! What would have to be otherwise is told.

use zenekar_model::behaviour::Segment;
use zenekar_search::never;
use zenekar_verify::{Breach, Difference, Setting, Verdict, World, difference, record};

use crate::replay::{find, joining_too_early};
use crate::setting::{behaviours, segment, topology};

fn found(setting: &Setting, breach: Breach) -> Option<Difference> {
    let world = World::new(setting.clone());
    let run = record(&world, &find(setting)).expect("what was found is possible");
    difference(&world, &run, &breach, 100_000, &never)
}

#[test]
fn the_order_that_is_well_is_found() {
    let difference = found(&joining_too_early(), Breach::Contact).expect("there is one");
    assert_eq!(difference.failing, "worker/1: join the master");
    assert_eq!(difference.passing, "master/1: start the service");
    assert!(difference.is_order);
    assert_eq!(difference.passing_run.verdict, Verdict::Passed);
    let sentences = [
        "up to step 8 all can still be well, if \"master/1: start the service\" comes before \
            \"worker/1: join the master\"",
        "master/1: it has yet to do `start the service`; in the run that is well, its \
            contextualisation is finished",
        "worker/1: its contextualisation has failed at `join the master`; in the run that is \
            well, it has yet to do `join the master`",
    ];
    assert_eq!(difference.sentences(), sentences);
}

#[test]
fn the_last_moment_is_found_at_which_it_could_have_been_well() {
    let object = vec!["volume:members".to_owned()];
    let edits = Segment {
        reads: object.clone(),
        writes: object,
        ..segment("add itself to the list")
    };
    let topology = topology("ec2", &[("member", 2, &[])]);
    let mut setting = Setting::new(topology, behaviours(vec![("member", vec![edits], vec![])]));
    setting.allowance.faults = 0;
    let difference = found(&setting, Breach::LostUpdate).expect("there is one");
    // Once both have read, one of them will write what is no longer true.
    assert!(difference.is_order);
    let (failing, passing) = (&difference.failing, &difference.passing);
    assert!(
        failing.ends_with("begins: add itself to the list"),
        "{failing}"
    );
    assert!(
        passing.ends_with("ends: add itself to the list"),
        "{passing}"
    );
    assert_eq!(difference.contrasts.len(), 2);
}

#[test]
fn where_nothing_can_be_well_there_is_none() {
    let mut setting = joining_too_early();
    setting.behaviours = zenekar_model::behaviour::Behaviours::default();
    setting.quota = Some(1);
    setting.allowance.delays = 0;
    assert_eq!(found(&setting, Breach::NotConverged), None);
}
