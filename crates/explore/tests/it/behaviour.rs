//! One behaviour per test, each in a simulated world.

use zenekar_base::{ErrorClass, Millis, RequestId};
use zenekar_engine::{
    Action, Cause, Effect, Input, Notice, Phase, Refusal, ScalingChange, ScalingRequest, Verdict,
    Waiting, When,
};
use zenekar_explore::{Adversary, World};
use zenekar_model::{AddressChange, Node, UpdateLimits};
use zenekar_simcloud::{Intervention, Quota, Settings};

use crate::build::{changed, named, node, reading, topology};

pub(crate) fn world(settings: Settings) -> World {
    World::new(1, settings, Adversary::default())
}

pub(crate) fn up(nodes: Vec<Node>) -> World {
    let mut world = world(Settings::calm());
    world.tell(Input::Intent(topology(nodes)));
    converge(&mut world);
    world
}

/// Goes on until the engine is content, for an hour at most.
pub(crate) fn converge(world: &mut World) {
    let limit = world.now + Millis::from_secs(3600);
    while !world.engine.is_converged() {
        assert!(
            world.step() && world.now < limit,
            "left: {:?}",
            world.engine.plan().steps
        );
    }
}

/// Goes on for some time.
pub(crate) fn pass(world: &mut World, seconds: u64) {
    let until = world.now + Millis::from_secs(seconds);
    while world.now < until && world.step() {}
}

fn names(world: &World) -> Vec<String> {
    let state = world.engine.state();
    state
        .instances
        .values()
        .map(|instance| state.instance_name(instance))
        .collect()
}

pub(crate) fn scale(request: &str, change: ScalingChange) -> Input {
    Input::Scale(ScalingRequest {
        request: RequestId::new(request),
        changes: vec![change],
    })
}

fn by(node: &str, difference: i64) -> ScalingChange {
    ScalingChange::By {
        node: node.to_owned(),
        difference,
    }
}

pub(crate) fn kill(world: &mut World, name: &str) {
    let state = world.engine.state();
    let key = state.find_instance(name).expect("the instance exists");
    let resource = state.instances[&key]
        .resource
        .clone()
        .expect("the provider has it");
    assert!(world.intervene(&Intervention::Lose(resource)));
}

fn kinds(world: &World) -> Vec<&'static str> {
    world
        .journal
        .iter()
        .map(|entry| entry.record.kind())
        .collect()
}

#[test]
fn a_converged_infrastructure_has_an_empty_plan() {
    let world = up(vec![
        node("base", 2, 4),
        reading(node("top", 1, 1), 0, None),
    ]);
    assert_eq!(world.engine.plan().steps, []);
    assert_eq!(world.engine.verdict(), Verdict::Converged);
}

#[test]
fn an_instance_starts_as_soon_as_what_it_needs_is_ready() {
    let mut world = world(Settings::calm());
    // `quick` needs only `one`; `slow` is not waited for by anyone.
    world.tell(Input::Intent(topology(vec![
        node("one", 1, 1),
        node("slow", 40, 40),
        reading(node("quick", 1, 1), 0, None),
    ])));
    let waiting = world.engine.status().nodes[2].instances[0].waiting.clone();
    assert_eq!(
        waiting,
        Some(Waiting::Dependency {
            node: "one".to_owned(),
            serving: 0,
            required: 1
        })
    );
    while world.engine.state().nodes[0].serving == 0 {
        assert!(world.step());
    }
    let quick = world
        .engine
        .state()
        .instances
        .values()
        .find(|instance| instance.node.0 == 2)
        .expect("planned");
    assert_eq!(quick.phase, Phase::Creating, "it starts in the very moment");
    assert!(world.engine.state().nodes[1].serving < 40);
}

#[test]
fn a_repeated_scaling_request_is_applied_once_even_across_a_crash() {
    let mut world = up(vec![node("worker", 1, 9)]);
    world.tell(scale("a", by("worker", 2)));
    world.crash();
    world.tell(scale("a", by("worker", 2)));
    converge(&mut world);
    assert_eq!(world.cloud.ledger().alive_count(), 3);
    world.engine.handle(world.now, scale("a", by("worker", 2)));
    assert_eq!(
        world.engine.poll(),
        Some(Effect::Notify(Notice::AlreadyApplied {
            request: RequestId::new("a")
        }))
    );
}

#[test]
fn a_lost_instance_and_a_scale_in_at_once_leave_the_right_number() {
    let mut world = up(vec![node("worker", 1, 5)]);
    world.tell(scale(
        "five",
        ScalingChange::To {
            node: "worker".to_owned(),
            count: 5,
        },
    ));
    converge(&mut world);
    kill(&mut world, "worker/2");
    world.tell(scale("less", by("worker", -1)));
    pass(&mut world, 300);
    converge(&mut world);
    assert_eq!(world.engine.state().nodes[0].target, 4);
    assert_eq!(world.cloud.ledger().alive_count(), 4);
}

#[test]
fn a_named_victim_goes_and_no_other() {
    let mut world = up(vec![node("worker", 1, 5)]);
    world.tell(scale("out", by("worker", 2)));
    converge(&mut world);
    let victim = world
        .engine
        .state()
        .find_instance("worker/1")
        .expect("it exists");
    world.tell(scale("in", ScalingChange::Remove { instance: victim }));
    converge(&mut world);
    assert_eq!(names(&world), ["worker/2", "worker/3"]);
}

#[test]
fn counts_stay_within_the_range_and_the_user_is_told() {
    let mut world = up(vec![node("worker", 1, 3)]);
    world
        .engine
        .handle(world.now, scale("much", by("worker", 7)));
    let notices: Vec<_> = std::iter::from_fn(|| world.engine.poll()).collect();
    assert!(matches!(
        notices[0],
        Effect::Notify(Notice::CountLimited {
            asked: 8,
            count: 3,
            ..
        })
    ));
}

#[test]
fn unknown_names_and_wrong_moments_are_refused_without_effect() {
    let mut world = up(vec![node("worker", 1, 3)]);
    let before = world.engine.state().clone();
    let refused = [
        (
            scale("x", by("walker", 1)),
            Refusal::UnknownNode("walker".to_owned()),
        ),
        (
            Input::Intent(named("other", vec![node("worker", 1, 3)])),
            Refusal::OtherName {
                running: "simulated".to_owned(),
                descriptor: "other".to_owned(),
            },
        ),
    ];
    for (input, reason) in refused {
        world.engine.handle(world.now, input);
        assert_eq!(
            world.engine.poll(),
            Some(Effect::Notify(Notice::Refused { reason }))
        );
        assert_eq!(world.engine.state(), &before);
    }
    world.tell(Input::Teardown);
    world.engine.handle(world.now, scale("y", by("worker", 1)));
    assert_eq!(
        world.engine.poll(),
        Some(Effect::Notify(Notice::Refused {
            reason: Refusal::TeardownInProgress
        }))
    );
}

#[test]
fn a_lost_instance_is_replaced_and_its_dependant_contextualised_again() {
    for (change, expected) in [
        (None, "recontextualise-intended"),
        (Some(AddressChange::Restart), "recontextualise-intended"),
        (Some(AddressChange::Recreate), "doomed"),
    ] {
        let mut world = up(vec![
            node("base", 1, 1),
            reading(node("top", 1, 1), 0, change),
        ]);
        let before = world.journal.len();
        kill(&mut world, "base/1");
        pass(&mut world, 300);
        converge(&mut world);
        let records = &world.journal[before..];
        let top = records
            .iter()
            .filter(|entry| entry.record.kind() == expected);
        let about_top = top
            .filter(|entry| entry.record.instance().is_some_and(|key| key.0 == 1))
            .count();
        assert_eq!(about_top, 1, "{change:?}: {:?}", kinds(&world));
        let given = world
            .engine
            .state()
            .given
            .values()
            .map(|(nodes, _)| nodes[0].instances.clone())
            .collect::<Vec<_>>();
        let base = world
            .engine
            .state()
            .instances
            .values()
            .find(|instance| instance.node.0 == 0)
            .expect("replaced");
        assert_eq!(given.len(), 1);
        assert_eq!(
            given[0][0].addresses, base.addresses,
            "{change:?}: the dependant knows the new address"
        );
    }
}

#[test]
fn an_ignored_address_change_leaves_the_dependant_alone() {
    let mut world = up(vec![
        node("base", 1, 1),
        reading(node("top", 1, 1), 0, Some(AddressChange::Ignore)),
    ]);
    kill(&mut world, "base/1");
    pass(&mut world, 300);
    converge(&mut world);
    assert!(!kinds(&world).contains(&"recontextualise-intended"));
    assert_eq!(names(&world), ["top/1", "base/2"]);
}

#[test]
fn scaling_out_touches_dependants_only_where_the_descriptor_says_so() {
    for (change, touched) in [(None, false), (Some(AddressChange::Restart), true)] {
        let mut world = up(vec![
            node("base", 1, 3),
            reading(node("top", 1, 1), 0, change),
        ]);
        world.tell(scale("out", by("base", 1)));
        converge(&mut world);
        assert_eq!(
            kinds(&world).contains(&"recontextualise-intended"),
            touched,
            "{change:?}"
        );
    }
}

#[test]
fn an_edited_descriptor_replaces_one_after_another() {
    let mut world = up(vec![node("worker", 3, 3)]);
    let edited = topology(vec![changed(node("worker", 3, 3))]);
    let (_, plan) = world
        .engine
        .preview(&Input::Intent(edited.clone()))
        .expect("accepted");
    let replaced = plan.steps.iter().filter(|step| {
        step.action == Action::Replace
            && step.cause
                == Cause::Outdated {
                    resource: false,
                    context: true,
                }
    });
    assert_eq!(replaced.count(), 3);
    assert_eq!(
        plan.steps
            .iter()
            .filter(|step| step.when == When::Now)
            .count(),
        1
    );
    world.tell(Input::Intent(edited));
    let mut least = 3;
    while !world.engine.is_converged() {
        least = least.min(world.engine.state().nodes[0].serving);
        assert!(world.step());
    }
    assert_eq!(least, 2, "never more than one is missing");
    assert_eq!(names(&world), ["worker/4", "worker/5", "worker/6"]);
}

#[test]
fn with_surge_nothing_is_missing_while_replacing() {
    let surging = |mut node: Node| {
        node.update = UpdateLimits {
            unavailable_max: 0,
            surge_max: 1,
            refuse_replacement: false,
        };
        node
    };
    let mut world = up(vec![surging(node("worker", 2, 2))]);
    world.tell(Input::Intent(topology(vec![surging(changed(node(
        "worker", 2, 2,
    )))])));
    while !world.engine.is_converged() {
        assert!(world.engine.state().nodes[0].serving >= 2);
        assert!(world.cloud.ledger().alive_count() <= 4);
        assert!(world.step());
    }
    assert_eq!(world.creations, 4, "each of the two has one successor");
}

#[test]
fn a_node_can_refuse_replacement() {
    let fixed = |mut node: Node| {
        node.update.refuse_replacement = true;
        node
    };
    let world = up(vec![fixed(node("database", 1, 1))]);
    let refusal = world
        .engine
        .preview(&Input::Intent(topology(vec![fixed(changed(node(
            "database", 1, 1,
        )))])))
        .map(|_| ());
    assert_eq!(
        refusal,
        Err(Refusal::ReplacementRefused {
            node: "database".to_owned(),
            instances: 1
        })
    );
}

#[test]
fn a_removed_node_goes_and_an_added_one_comes() {
    let mut world = up(vec![node("old", 1, 1), node("kept", 1, 1)]);
    world.tell(Input::Intent(topology(vec![
        node("kept", 1, 1),
        node("new", 2, 2),
    ])));
    converge(&mut world);
    assert_eq!(names(&world), ["kept/1", "new/1", "new/2"]);
}

#[test]
fn mass_loss_opens_the_circuit_breaker() {
    let mut world = up(vec![node("worker", 8, 8)]);
    for number in 1..=8 {
        kill(&mut world, &format!("worker/{number}"));
    }
    pass(&mut world, 120);
    let deferred = &world.engine.status().nodes[0].deferred;
    assert_eq!(deferred.len(), 5, "three are replaced at once, five wait");
    assert!(deferred.iter().all(|step| matches!(
        step.when,
        When::Later(Waiting::Breaker {
            replaced: 3,
            limit: 3,
            ..
        })
    )));
    world.tell(Input::Resume);
    converge(&mut world);
    assert_eq!(world.cloud.ledger().alive_count(), 8);
}

#[test]
fn a_full_quota_is_reported_and_heals_when_it_is_raised() {
    let settings = Settings {
        quota: Quota {
            instances: Some(2),
            cores: None,
        },
        ..Settings::calm()
    };
    let mut world = world(settings);
    world.tell(Input::Intent(topology(vec![node("worker", 3, 3)])));
    let limit = world.now + Millis::from_secs(3600);
    while !matches!(world.engine.verdict(), Verdict::Blocked(_)) {
        assert!(world.step() && world.now < limit);
    }
    let Verdict::Blocked(causes) = world.engine.verdict() else {
        unreachable!("checked above")
    };
    assert_eq!(
        (causes[0].0.as_str(), causes[0].1),
        ("worker", ErrorClass::Quota)
    );
    world.intervene(&Intervention::SetQuota(Quota::default()));
    world.tell(Input::Resume);
    converge(&mut world);
    assert_eq!(world.cloud.ledger().alive_count(), 3);
}

#[test]
fn teardown_goes_from_the_top_and_leaves_nothing() {
    let mut world = up(vec![
        node("base", 2, 2),
        reading(node("top", 2, 2), 0, None),
    ]);
    world.tell(Input::Teardown);
    let waiting = world.engine.status().nodes[0].instances[0].waiting.clone();
    assert_eq!(
        waiting,
        Some(Waiting::DependentsFirst {
            node: "top".to_owned(),
            instances: 2
        })
    );
    converge(&mut world);
    assert_eq!(world.cloud.ledger().alive_count(), 0);
    assert_eq!(kinds(&world).last(), Some(&"torn-down"));
    assert_eq!(world.disorder, None);
}

#[test]
fn an_unhealthy_instance_is_given_up_only_after_its_time() {
    let mut world = up(vec![node("worker", 1, 1)]);
    let resource = world
        .cloud
        .ledger()
        .alive()
        .next()
        .expect("one machine")
        .resource;
    world.intervene(&Intervention::Hang(resource));
    pass(&mut world, 300);
    assert_eq!(names(&world), ["worker/1"], "ten minutes are allowed");
    assert_eq!(world.engine.state().nodes[0].serving, 0);
    pass(&mut world, 600);
    converge(&mut world);
    assert_eq!(names(&world), ["worker/2"]);
}

#[test]
fn a_resource_of_ours_that_nothing_wants_is_reaped() {
    let mut world = up(vec![node("worker", 1, 3)]);
    let earlier = world.journal.len();
    world.tell(scale("out", by("worker", 2)));
    converge(&mut world);
    // The journal of an earlier time, as after a restore from a backup.
    world.journal.truncate(earlier);
    world.crash();
    pass(&mut world, 120);
    converge(&mut world);
    assert_eq!(world.cloud.ledger().alive_count(), 1);
    assert_eq!(names(&world), ["worker/1"]);
    let reaped = kinds(&world)
        .iter()
        .filter(|kind| **kind == "orphan-gone")
        .count();
    assert_eq!(reaped, 2);
}

#[test]
fn a_clock_that_runs_backwards_does_not_move_the_engine_back() {
    let mut world = up(vec![node("worker", 1, 3)]);
    let now = world.engine.now();
    world
        .engine
        .handle(now - Millis::from_secs(86_400), Input::Tick);
    assert_eq!(world.engine.now(), now);
}
