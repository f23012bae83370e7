//! States that differ only in when they are become equal, and nothing else changes.

use zenekar_base::Random;
use zenekar_model::behaviour::{Give, Segment};
use zenekar_search::Model;
use zenekar_verify::{Allowance, Demand, Setting, Step, World};

use crate::setting::{behaviours, port_of, segment, topology};

/// Two tiers that come up, are scaled and go down while anything may happen.
fn setting(provider: &str) -> Setting {
    let serves = |port| Segment {
        gives: vec![Give::Port(port)],
        ..segment("serve")
    };
    let joins = Segment {
        needs: vec![port_of("server", 80)],
        retries: true,
        ..segment("join")
    };
    let nodes = behaviours(vec![
        ("server", vec![serves(80)], vec![Give::Port(80)]),
        ("client", vec![joins, serves(90)], vec![Give::Port(90)]),
    ]);
    let rows = [("server", 1, &[][..]), ("client", 1, &[0][..])];
    let mut setting = Setting::new(topology(provider, &rows), nodes);
    setting.allowance = Allowance {
        faults: 4,
        delays: 6,
        ..Allowance::default()
    };
    let scale = Step {
        demand: Demand::Scale {
            node: "client".to_owned(),
            count: 2,
        },
        waits: false,
    };
    setting.script.insert(1, scale);
    setting
}

/// Returns what can happen, in numbers and in words.
fn choices(
    world: &World,
    moment: &zenekar_verify::Moment,
) -> Vec<(zenekar_verify::Action, String)> {
    let mut actions = Vec::new();
    world.actions(moment, &mut actions);
    let words = |action| (action, world.describe(moment, &action));
    actions.into_iter().map(words).collect()
}

#[test]
fn what_can_happen_does_not_depend_on_the_time() {
    for (provider, seed) in [("ec2", 1), ("local", 2), ("openstack", 3)] {
        let (moved, kept) = (
            World::new(setting(provider)),
            World::keeping_time(setting(provider)),
        );
        let mut random = Random::from_seed(seed);
        let mut steps = 0;
        for _ in 0..20 {
            let mut one = moved.initial().remove(0);
            let mut other = kept.initial().remove(0);
            for _ in 0..400 {
                let (can, could) = (choices(&moved, &one), choices(&kept, &other));
                assert_eq!(can, could);
                assert_eq!(moved.violation(&one), kept.violation(&other));
                assert_eq!(moved.is_accepting(&one), kept.is_accepting(&other));
                let Some(last) = can.len().checked_sub(1) else {
                    break;
                };
                // Now and then anything, and otherwise what gets further.
                let at = match random.below(4) {
                    0 => random.below(can.len() as u64),
                    1 => last as u64,
                    _ => 0,
                };
                let action = can[usize::try_from(at).expect("it is a place in the list")].0;
                one = moved.apply(&one, &action).expect("it is possible");
                other = kept.apply(&other, &action).expect("it is possible");
                steps += 1;
            }
        }
        assert!(steps > 1_000, "{steps} at {provider}");
    }
}

#[test]
fn no_time_lies_far_from_the_present() {
    let world = World::new(setting("ec2"));
    let mut random = Random::from_seed(7);
    for _ in 0..20 {
        let mut moment = world.initial().remove(0);
        for _ in 0..300 {
            let choices = choices(&world, &moment);
            if choices.is_empty() {
                break;
            }
            let at = random.below(choices.len().min(3) as u64);
            let action = choices[usize::try_from(at).expect("it is a place in the list")].0;
            moment = world.apply(&moment, &action).expect("it is possible");
            let engine = world.engine(&moment);
            let text = format!("{engine:?}");
            let times = text.split("Timestamp(").skip(1);
            for time in times {
                let time = time.split(')').next().and_then(|time| time.parse().ok());
                let time: i64 = time.expect("times are printed as numbers");
                let ahead = time - engine.now().0;
                assert!(time == 0 || ahead.abs() < 3_600_000, "{ahead} ms");
            }
        }
    }
}

#[test]
fn moving_times_makes_fewer_states_and_changes_no_verdict() {
    let mut calm = setting("ec2");
    calm.allowance = Allowance {
        faults: 0,
        delays: 1,
        ..Allowance::default()
    };
    calm.script.remove(1);
    let budget = zenekar_search::Budget::default();
    let outcome = |world: World| {
        zenekar_search::search(
            &world,
            &zenekar_search::Strategy::Breadth,
            &budget,
            &zenekar_search::never,
        )
    };
    let moved = outcome(World::new(calm.clone()));
    let kept = outcome(World::keeping_time(calm));
    assert_eq!(moved.violations, kept.violations);
    assert!(moved.unique < kept.unique, "{}", moved.unique);
}
