//! Races between the instances of a descriptor, and their healthy twins.

use zenekar_model::behaviour::{Behaviours, Give, Segment};
use zenekar_search::End;
use zenekar_verify::{Action, Allowance, Breach, Setting};

use crate::setting::{behaviours, breach, explore, port_of, segment, topology};

fn setting(rows: &[crate::setting::Row<'_>], behaviours: Behaviours) -> Setting {
    let mut setting = Setting::new(topology("openstack", rows), behaviours);
    setting.allowance = Allowance {
        faults: 0,
        ..Allowance::default()
    };
    setting
}

fn opens(port: u16) -> Segment {
    Segment {
        gives: vec![Give::Port(port)],
        ..segment("start the service")
    }
}

fn joins(retries: bool) -> Segment {
    Segment {
        needs: vec![port_of("master", 7077)],
        retries,
        ..segment("join the master")
    }
}

const MASTER_AND_WORKER: [crate::setting::Row<'static>; 2] =
    [("master", 1, &[]), ("worker", 1, &[0])];

#[test]
fn a_worker_that_joins_before_the_master_listens_is_found() {
    let nodes = vec![
        ("master", vec![opens(7077)], vec![]),
        ("worker", vec![joins(false)], vec![]),
    ];
    let outcome = explore(setting(&MASTER_AND_WORKER, behaviours(nodes)), 1);
    assert_eq!(breach(&outcome), Some(Breach::Contact));
    let run = &outcome.violations[0].actions;
    assert!(matches!(run.last(), Some(Action::Run { .. })), "{run:?}");
    // The master is believed to be ready while it is not: it was slow.
    assert!(run.contains(&Action::Tick));
}

#[test]
fn a_worker_that_tries_again_or_whose_master_is_checked_is_healthy() {
    let checked = vec![Give::Port(7077)];
    for (retries, ready) in [(true, vec![]), (false, checked)] {
        let nodes = vec![
            ("master", vec![opens(7077)], ready),
            ("worker", vec![joins(retries)], vec![]),
        ];
        let outcome = explore(setting(&MASTER_AND_WORKER, behaviours(nodes)), 1);
        assert_eq!((outcome.end, breach(&outcome)), (End::Exhausted, None));
        assert!(outcome.ends > 0);
    }
}

#[test]
fn waiting_for_what_nobody_gives_is_found() {
    let waits = Segment {
        needs: vec![port_of("master", 1)],
        retries: true,
        ..segment("wait")
    };
    let elsewhere = Segment {
        gives: vec![Give::Name("token".to_owned())],
        needs: vec![port_of("worker", 9)],
        retries: true,
        ..segment("wait for the worker")
    };
    let nodes = vec![
        ("master", vec![elsewhere], vec![]),
        ("worker", vec![waits], vec![]),
    ];
    let outcome = explore(setting(&MASTER_AND_WORKER, behaviours(nodes)), 1);
    assert_eq!(breach(&outcome), Some(Breach::NeverReady));
}

#[test]
fn a_check_that_never_passes_is_found() {
    let never = vec![Give::Name("token".to_owned())];
    let nodes = vec![("master", vec![opens(7077)], never)];
    let mut setting = setting(&MASTER_AND_WORKER[..1], behaviours(nodes));
    // It takes many looks until the engine gives up, and a slow one changes nothing.
    setting.allowance.delays = 0;
    assert_eq!(breach(&explore(setting, 1)), Some(Breach::NeverReady));
}

#[test]
fn a_lost_update_is_found_and_a_lock_prevents_it() {
    let edits = |is_locked: bool| {
        let object = vec!["volume:members".to_owned()];
        Segment {
            reads: object.clone(),
            writes: object.clone(),
            holds: if is_locked { object } else { Vec::new() },
            ..segment("add itself to the list")
        }
    };
    for (is_locked, expected) in [(false, Some(Breach::LostUpdate)), (true, None)] {
        let nodes = vec![("member", vec![edits(is_locked)], vec![])];
        let outcome = explore(setting(&[("member", 2, &[])], behaviours(nodes)), 1);
        assert_eq!(breach(&outcome), expected);
    }
}

#[test]
fn outcomes_do_not_depend_on_threads() {
    let rows: [crate::setting::Row<'_>; 2] = [("master", 1, &[]), ("worker", 2, &[0])];
    let nodes = || {
        behaviours(vec![
            ("master", vec![opens(7077)], vec![Give::Port(7077)]),
            ("worker", vec![joins(true), opens(80)], vec![Give::Port(80)]),
        ])
    };
    let [one, two, three] = [1, 2, 3].map(|threads| explore(setting(&rows, nodes()), threads));
    assert!(one.unique > 1_000, "{}", one.unique);
    assert_eq!(one, two);
    assert_eq!(one, three);
}
