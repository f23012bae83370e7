//! Looks of which nobody learns anything are one step, and that changes no verdict.

use std::collections::BTreeSet;

use zenekar_model::behaviour::{Contact, Give, Need, Segment};
use zenekar_search::{Budget, End, Outcome, Strategy, never, search};
use zenekar_verify::{Action, Allowance, Fault, Setting, World};

use crate::setting::{Row, behaviours, port_of, segment, topology};

/// A server, which may never get ready, and a client of it.
fn setting(is_ready: bool, fault: Option<Fault>) -> Setting {
    let token = || Give::Name("token".to_owned());
    let serve = Segment {
        gives: vec![Give::Port(80), token()][..=usize::from(is_ready)].to_vec(),
        ..segment("serve")
    };
    let join = Segment {
        needs: vec![Need {
            what: Contact::Port(80),
            ..port_of("server", 80)
        }],
        retries: true,
        ..segment("join")
    };
    let nodes = behaviours(vec![
        ("server", vec![serve], vec![token()]),
        ("client", vec![join], Vec::new()),
    ]);
    let rows: [Row<'_>; 2] = [("server", 1, &[]), ("client", 1, &[0])];
    let mut setting = Setting::new(topology("ec2", &rows), nodes);
    setting.allowance = Allowance {
        faults: u8::from(fault.is_some()),
        // With delays the looks of pauses are far more.
        delays: 0,
        ..Allowance::default()
    };
    setting.faults = fault.into_iter().collect();
    setting
}

fn explore(world: &World) -> Outcome<Action> {
    let budget = Budget {
        violations_max: usize::MAX,
        threads: 2,
        ..Budget::default()
    };
    search(world, &Strategy::Breadth, &budget, &never)
}

fn breaches(outcome: &Outcome<Action>) -> BTreeSet<u32> {
    let violations = outcome.violations.iter();
    violations.map(|violation| violation.property).collect()
}

#[test]
fn pauses_change_no_verdict() {
    let mut settings = vec![setting(true, None), setting(false, None)];
    settings.extend(
        [
            Fault::AgentDies,
            Fault::FalseAlarm,
            Fault::MachineLost,
            Fault::EngineCrash,
            Fault::TimeoutLateEffect,
        ]
        .map(|fault| setting(true, Some(fault))),
    );
    let (mut with, mut without) = (0, 0);
    let mut broken = 0;
    for setting in settings {
        let faults = setting.faults;
        let less = explore(&World::new(setting.clone()));
        let all = explore(&World::looking_each_time(setting));
        assert_eq!((less.end, all.end), (End::Exhausted, End::Exhausted));
        assert_eq!(breaches(&less), breaches(&all), "{faults:?}");
        broken += usize::from(!breaches(&less).is_empty());
        (with, without) = (with + less.unique, without + all.unique);
    }
    assert!(broken > 0, "nothing was at stake");
    assert!(with * 3 < without, "{with} of {without} states");
}
