//! What is left out makes no difference: every order, and none of the reductions.

use std::collections::BTreeSet;

use zenekar_base::Random;
use zenekar_model::behaviour::{Contact, Give, Need, Quantifier, Segment};
use zenekar_search::{Budget, End, Model, Outcome, STUCK, Strategy, never, search};
use zenekar_verify::{Action, Allowance, Fault, Setting, World};

use crate::setting::{Row, behaviours, port_of, segment, topology};

fn serves(port: u16) -> Segment {
    Segment {
        gives: vec![Give::Port(port)],
        ..segment("serve")
    }
}

fn joins(retries: bool, quantifier: Quantifier) -> Segment {
    Segment {
        needs: vec![Need {
            quantifier,
            ..port_of("server", 80)
        }],
        retries,
        ..segment("join")
    }
}

/// Servers, and clients that join them.
fn setting(counts: [u32; 2], join: Segment, is_checked: bool) -> Setting {
    let ready = if is_checked {
        vec![Give::Port(80)]
    } else {
        Vec::new()
    };
    let nodes = behaviours(vec![
        ("server", vec![serves(80)], ready),
        ("client", vec![join, serves(90)], vec![Give::Port(90)]),
    ]);
    let rows: [Row<'_>; 2] = [("server", counts[0], &[]), ("client", counts[1], &[0])];
    let mut setting = Setting::new(topology("openstack", &rows), nodes);
    setting.allowance = Allowance {
        faults: 0,
        delays: 1,
        ..Allowance::default()
    };
    setting
}

/// Settings with and without breaches, with faults and without.
fn settings() -> Vec<Setting> {
    let one = || joins(true, Quantifier::One);
    let mut lossy = setting([1, 1], one(), true);
    lossy.allowance.faults = 1;
    lossy.allowance.delays = 0;
    lossy.faults = [Fault::MachineLost, Fault::AgentDies].into_iter().collect();
    let edits = |is_locked: bool| {
        let object = vec!["volume:members".to_owned()];
        Segment {
            reads: object.clone(),
            writes: object.clone(),
            holds: if is_locked { object } else { Vec::new() },
            ..joins(true, Quantifier::One)
        }
    };
    let never = Segment {
        needs: vec![Need {
            what: Contact::Port(1),
            ..port_of("server", 80)
        }],
        ..one()
    };
    vec![
        setting([1, 2], one(), true),
        setting([2, 1], joins(true, Quantifier::All), true),
        setting([2, 2], joins(false, Quantifier::All), false),
        setting([1, 1], joins(false, Quantifier::One), false),
        setting([1, 2], edits(false), true),
        setting([1, 2], edits(true), true),
        setting([1, 1], never, false),
        lossy,
    ]
}

fn explore(world: &World) -> Outcome<Action> {
    let budget = Budget {
        violations_max: usize::MAX,
        threads: 2,
        ..Budget::default()
    };
    search(world, &Strategy::Breadth, &budget, &never)
}

#[test]
fn what_is_left_out_changes_no_verdict() {
    let mut smaller = 0;
    for (number, setting) in settings().into_iter().enumerate() {
        let less = explore(&World::new(setting.clone()));
        let all = explore(&World::telling_apart(setting));
        let breaches = |outcome: &Outcome<Action>| {
            let mut breaches: Vec<u32> = outcome
                .violations
                .iter()
                .map(|violation| violation.property)
                .collect();
            breaches.sort_unstable();
            breaches
        };
        assert_eq!((less.end, all.end), (End::Exhausted, End::Exhausted));
        assert_eq!(breaches(&less), breaches(&all), "setting {number}");
        smaller += usize::from(less.unique < all.unique);
        assert!(less.ends > 0);
    }
    assert!(smaller >= 5, "{smaller}");
}

#[test]
fn actions_that_are_independent_lead_to_the_same_state_in_either_order() {
    let mut pairs = 0;
    let mut random = Random::from_seed(11);
    for mut setting in settings() {
        setting.allowance.delays = 3;
        let world = World::in_every_order(setting);
        for _ in 0..6 {
            let mut moment = world.initial().remove(0);
            for _ in 0..120 {
                let mut actions = Vec::new();
                world.actions(&moment, &mut actions);
                for (at, one) in actions.iter().enumerate() {
                    let mut others = actions[at + 1..].iter();
                    while let Some(other) =
                        others.find(|other| world.are_independent(&moment, one, other))
                    {
                        let both = |first: &Action, second: &Action| {
                            let between = world.apply(&moment, first).expect("it is possible");
                            let mut then = Vec::new();
                            world.actions(&between, &mut then);
                            assert!(then.contains(second), "{second:?} after {first:?}");
                            let end = world.apply(&between, second).expect("it is possible");
                            (world.fingerprint(&end), world.violation(&end))
                        };
                        assert_eq!(both(one, other), both(other, one), "{one:?} {other:?}");
                        pairs += 1;
                    }
                }
                if actions.is_empty() {
                    break;
                }
                let at = random.below(actions.len() as u64);
                let action = &actions[usize::try_from(at).expect("it is a place in the list")];
                moment = world.apply(&moment, action).expect("it is possible");
            }
        }
    }
    assert!(pairs > 50, "{pairs}");
}

/// Returns the fingerprints of all states of a world, by another one's eyes.
fn reached(world: &World) -> (BTreeSet<u128>, BTreeSet<u128>, BTreeSet<Option<u32>>) {
    let (mut seen, mut known, mut breaches) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    let mut waiting = world.initial();
    while let Some(moment) = waiting.pop() {
        if !seen.insert(world.exact_fingerprint(&moment).0) {
            continue;
        }
        known.insert(world.fingerprint(&moment).0);
        breaches.insert(world.violation(&moment));
        let mut actions = Vec::new();
        world.actions(&moment, &mut actions);
        waiting.extend(
            actions
                .iter()
                .filter_map(|action| world.apply(&moment, action)),
        );
    }
    (seen, known, breaches)
}

#[test]
fn who_is_who_makes_no_difference() {
    for (number, setting) in settings().into_iter().enumerate() {
        let world = World::in_every_order(setting);
        let outcome = explore(&world);
        let (seen, known, breaches) = reached(&world);
        // Whatever is reached when all are told apart is like something that
        // is reached when they are not, and the other way round.
        assert_eq!(outcome.unique, known.len() as u64, "setting {number}");
        let found = outcome.violations.iter().map(|one| one.property);
        let found: BTreeSet<_> = found.filter(|one| *one != STUCK).collect();
        let breaches: BTreeSet<_> = breaches.into_iter().flatten().collect();
        assert_eq!(found, breaches, "setting {number}");
        assert!(seen.len() >= known.len());
    }
}

#[test]
fn equal_clients_are_counted_once() {
    // Of three that differ six orders count once, of two that are equal one.
    for (clients, tenths_saved) in [(2, 14), (3, 40)] {
        let setting = setting([1, clients], joins(true, Quantifier::One), true);
        let apart = explore(&World::telling_apart(setting.clone())).unique;
        let alike = explore(&World::in_every_order(setting)).unique;
        assert!(
            10 * apart > tenths_saved * alike,
            "{clients}: {apart} and {alike}"
        );
    }
}
