//! What the network does to instances, and whom nobody blames for it.

use zenekar_model::behaviour::{Contact, Give, Need, Quantifier, Segment};
use zenekar_search::End;
use zenekar_verify::{Action, Fault, Link, Setting, World, record};

use crate::setting::{behaviours, breach, explore, segment, topology};

/// A server that answers at a port, and a client that calls it, once or again and again.
fn calling(retries: bool, fault: Fault) -> Setting {
    let serve = Segment {
        gives: vec![Give::Port(80)],
        ..segment("serve")
    };
    let call = Segment {
        needs: vec![Need {
            node: "server".to_owned(),
            what: Contact::Port(80),
            quantifier: Quantifier::One,
        }],
        gives: vec![Give::Port(81)],
        retries,
        ..segment("call")
    };
    let nodes = behaviours(vec![
        ("server", vec![serve], vec![Give::Port(80)]),
        ("client", vec![call], vec![Give::Port(81)]),
    ]);
    let topology = topology("ec2", &[("server", 1, &[]), ("client", 1, &[0])]);
    let mut setting = Setting::new(topology, nodes);
    setting.faults = [fault].into_iter().collect();
    setting.allowance.delays = 1;
    setting
}

const FAULTS: [Fault; 3] = [Fault::Partition, Fault::OneWayLoss, Fault::LateDns];

#[test]
fn nobody_is_blamed_for_what_the_network_broke() {
    for fault in FAULTS {
        for retries in [true, false] {
            let mut setting = calling(retries, fault);
            let outcome = explore(setting.clone(), 2);
            let found = (outcome.end, breach(&outcome));
            assert_eq!(found, (End::Exhausted, None), "{} {retries}", fault.name());
            setting.allowance.faults = 0;
            let calm = explore(setting, 2);
            // For one that calls again a name that is late is nothing but slow.
            let happens = fault != Fault::LateDns || !retries;
            assert_eq!(outcome.unique > calm.unique, happens, "{}", fault.name());
        }
    }
}

/// Follows what is calm up to the first moment in which something can happen
/// that `wanted` is about, and returns what happened until then and does then.
fn up_to(world: &World, wanted: impl Fn(&Action) -> bool) -> Vec<Action> {
    use zenekar_search::Model as _;
    let mut moments = vec![(world.initial().swap_remove(0), Vec::new())];
    let mut at = 0;
    while at < moments.len() {
        let (moment, so_far) = moments[at].clone();
        let mut actions = Vec::new();
        world.actions(&moment, &mut actions);
        for action in actions {
            let mut run: Vec<Action> = so_far.clone();
            run.push(action);
            if wanted(&action) {
                return run;
            }
            if action.fault().is_none()
                && let Some(next) = world.apply(&moment, &action)
            {
                moments.push((next, run));
            }
        }
        at += 1;
    }
    panic!("it never can happen");
}

#[test]
fn who_calls_once_fails_while_the_network_is_broken_and_who_calls_again_waits() {
    let looks = |action: &Action| matches!(action, Action::Run { machine: 1 });
    for fault in [Fault::Partition, Fault::OneWayLoss] {
        for retries in [false, true] {
            let world = World::new(calling(retries, fault));
            let mut run = up_to(&world, looks);
            let call = run.pop().expect("the call is its last step");
            let link = match fault {
                Fault::Partition => Link::Cut,
                _ => Link::Deaf,
            };
            run.push(Action::Link { machine: 0, link });
            let cut = [run.clone(), vec![call]].concat();
            let told = record(&world, &cut);
            assert_eq!(told.is_ok(), !retries, "{}", fault.name());
            if let Ok(told) = told {
                let last = world.moments(&told.actions).pop().expect("there are some");
                let said = world.sentences(&last).join("\n");
                assert!(said.contains("contextualisation has failed"), "{said}");
            }
            let link = Link::Sound;
            run.extend([Action::Link { machine: 0, link }, call]);
            let told = record(&world, &run).expect("it is in reach again");
            let last = world.moments(&told.actions).pop().expect("there are some");
            let said = world.sentences(&last).join("\n");
            assert!(!said.contains("contextualisation has failed"), "{said}");
        }
    }
}

#[test]
fn one_that_hears_nothing_calls_others_all_the_same() {
    for (fault, link, fails) in [
        (Fault::Partition, Link::Cut, true),
        (Fault::OneWayLoss, Link::Deaf, false),
    ] {
        let world = World::new(calling(false, fault));
        let mut run = up_to(&world, |action| {
            matches!(action, Action::Run { machine: 1 })
        });
        let call = run.pop().expect("the call is its last step");
        run.extend([Action::Link { machine: 1, link }, call]);
        let told = record(&world, &run).expect("it is possible");
        let last = world.moments(&told.actions).pop().expect("there are some");
        let said = world.sentences(&last).join("\n");
        assert_eq!(
            said.contains("contextualisation has failed"),
            fails,
            "{said}"
        );
    }
}
