//! What can go wrong, one at a time.

use zenekar_base::{CallId, ErrorClass, Millis, ProbeResult, ResourceState, Timestamp};
use zenekar_simcloud::{
    Benign, ChoiceKind, Footprint, Intervention, Object, Outcome, Rates, Response, Settings,
    SimCloud,
};

use crate::support::{
    Caller, Wilful, create, create_with, delete, fixed, infrastructure, list, probe,
    recontextualise, tag, view, views,
};

/// Everything may go wrong; the chooser decides what does.
fn breakable() -> Settings {
    let Settings {
        rates,
        late_effect_max,
        ..
    } = Settings::hostile();
    Settings {
        rates: Rates {
            stale_list: 0,
            ..rates
        },
        late_effect_max,
        ..fixed()
    }
}

#[test]
fn failed_calls_have_the_effect_that_they_admit() {
    for (outcome, class, alive) in [
        (Outcome::Throttled, ErrorClass::Throttled, 0),
        (Outcome::ServerError, ErrorClass::Retryable, 0),
        (Outcome::Capacity, ErrorClass::Capacity, 0),
        (Outcome::Outage, ErrorClass::Retryable, 0),
        (Outcome::TimeoutWithoutEffect, ErrorClass::Unknown, 0),
        (Outcome::TimeoutAfterEffect, ErrorClass::Unknown, 1),
        (Outcome::TimeoutLateEffect, ErrorClass::Unknown, 1),
    ] {
        let mut caller = Caller::new(breakable());
        let error = caller
            .call_with(create(1), &mut Wilful::outcome(outcome))
            .expect_err("it fails");
        assert_eq!(error.class, class, "{outcome:?}");
        assert_eq!(
            error.retry_after.is_some(),
            class == ErrorClass::Throttled,
            "{outcome:?}"
        );
        caller.wait(20_000);
        assert_eq!(caller.cloud.ledger().alive_count(), alive, "{outcome:?}");
    }
}

#[test]
fn a_late_effect_comes_after_the_time_out_and_within_the_bound() {
    let mut caller = Caller::new(breakable());
    let settle = caller.cloud.settings().settle();
    let mut chooser = Wilful {
        outcome: Outcome::TimeoutLateEffect,
        spoil: |kind| matches!(kind, ChoiceKind::Span(_)),
    };
    caller
        .call_with(create(1), &mut chooser)
        .expect_err("it times out");
    assert_eq!(
        (caller.cloud.now(), caller.cloud.ledger().alive_count()),
        (Timestamp(2_000), 0)
    );
    caller.wait(19_999);
    assert_eq!(caller.cloud.ledger().alive_count(), 0);
    caller.wait(1);
    assert_eq!(caller.cloud.ledger().alive_count(), 1);
    assert!(caller.cloud.now().since(Timestamp::ZERO) <= settle);
}

#[test]
fn a_repeated_create_call_never_makes_a_second_machine() {
    let mut caller = Caller::new(breakable());
    for outcome in [
        Outcome::TimeoutLateEffect,
        Outcome::TimeoutAfterEffect,
        Outcome::ServerError,
        Outcome::TimeoutLateEffect,
    ] {
        caller
            .call_with(create(1), &mut Wilful::outcome(outcome))
            .expect_err("it fails");
    }
    let resource = caller.created(1).resource;
    caller.wait(60_000);
    let truth: Vec<_> = caller
        .cloud
        .ledger()
        .entries()
        .map(|entry| entry.resource)
        .collect();
    assert_eq!(truth, [resource]);
    assert_eq!(caller.cloud.ledger().duplicates(), []);
}

#[test]
fn without_the_token_a_second_machine_shows_in_the_ledger() {
    let mut caller = Caller::new(fixed());
    let first = caller.created(1).resource;
    view(caller.call(create_with(1, 2, |_| {})));
    assert_eq!(caller.cloud.ledger().duplicates(), [tag(1)]);
    caller.call(delete(&first)).expect("served");
    caller.wait(1_000);
    assert_eq!(caller.cloud.ledger().duplicates(), []);
    assert_eq!(caller.cloud.ledger().duplicates_ever(), [tag(1)]);
}

#[test]
fn boots_fail_hang_and_dawdle() {
    let fate = |index: fn(ChoiceKind) -> bool| {
        let mut caller = Caller::new(Settings {
            rates: Rates::default(),
            ..breakable()
        });
        let mut chooser = Wilful::spoil(index);
        view(caller.call_with(
            create_with(1, 1, |request| request.boot_failure = Some(500_000)),
            &mut chooser,
        ));
        caller.wait(10_000);
        let seen = caller.listed().remove(0);
        (seen.state, seen.detail)
    };
    assert_eq!(
        fate(|kind| matches!(kind, ChoiceKind::Boot { .. })),
        (
            ResourceState::Failed,
            Some("the machine did not boot".to_owned())
        )
    );
    assert_eq!(fate(|_| false), (ResourceState::Running, None));

    let rates = Rates {
        never_healthy: 1,
        ..Rates::default()
    };
    let mut caller = Caller::new(Settings { rates, ..fixed() });
    let resource = view(caller.call_with(
        create(1),
        &mut Wilful::spoil(|kind| matches!(kind, ChoiceKind::Boot { .. })),
    ))
    .resource;
    caller.wait(1_000_000);
    assert!(matches!(
        caller.call(probe(&resource)),
        Ok(Response::Probed(ProbeResult::Unhealthy(_)))
    ));
    caller
        .call(recontextualise(&resource, 1))
        .expect("a new contextualisation mends it");
    caller.wait(2_000);
    assert_eq!(
        caller.call(probe(&resource)),
        Ok(Response::Probed(ProbeResult::Healthy))
    );

    let rates = Rates {
        slow_boot: 1,
        ..Rates::default()
    };
    let mut caller = Caller::new(Settings { rates, ..fixed() });
    caller
        .call_with(
            create(1),
            &mut Wilful::spoil(|kind| matches!(kind, ChoiceKind::Boot { .. })),
        )
        .expect("served");
    caller.wait(4_850);
    assert_eq!(caller.listed()[0].state, ResourceState::Pending);
    assert_eq!(caller.listed()[0].state, ResourceState::Running);
}

#[test]
fn running_machines_break_down_by_themselves() {
    let fates: [(Rates, Option<ResourceState>, u32); 4] = [
        (
            Rates {
                lost: 1,
                ..Rates::default()
            },
            None,
            0,
        ),
        (
            Rates {
                stopped: 1,
                ..Rates::default()
            },
            Some(ResourceState::Stopped),
            1,
        ),
        (
            Rates {
                killed: 1,
                ..Rates::default()
            },
            Some(ResourceState::Gone),
            0,
        ),
        (
            Rates {
                hung: 1,
                ..Rates::default()
            },
            Some(ResourceState::Running),
            1,
        ),
    ];
    for (rates, state, alive) in fates {
        let mut caller = Caller::new(Settings { rates, ..fixed() });
        let mut chooser = Wilful::spoil(|kind| matches!(kind, ChoiceKind::Life { .. }));
        caller.call_with(create(1), &mut chooser).expect("served");
        assert_eq!(caller.cloud.advance(Timestamp(6_000), &mut chooser), []);
        assert!(
            caller
                .cloud
                .ledger()
                .entries()
                .all(|entry| entry.is_healthy(Timestamp(6_000))),
            "{state:?}"
        );
        caller.wait(1_000);
        assert_eq!(caller.listed().first().map(|view| view.state), state);
        assert_eq!(caller.cloud.ledger().alive_count(), alive, "{state:?}");
        assert!(
            !caller
                .cloud
                .ledger()
                .entries()
                .any(|entry| entry.is_healthy(caller.cloud.now())),
            "{state:?}"
        );
        assert_eq!(caller.cloud.counters().broken, 1);
    }
}

#[test]
fn interventions_hit_once() {
    type Strike = fn(zenekar_base::ResourceId) -> Intervention;
    let cases: [(Strike, Option<ResourceState>); 4] = [
        (Intervention::Kill, Some(ResourceState::Gone)),
        (Intervention::Stop, Some(ResourceState::Stopped)),
        (Intervention::Lose, None),
        (Intervention::Hang, Some(ResourceState::Running)),
    ];
    for (intervention, state) in cases {
        let mut caller = Caller::new(fixed());
        let resource = caller.created(1).resource;
        caller.wait(10_000);
        let now = caller.cloud.now();
        assert!(
            caller
                .cloud
                .intervene(now, &intervention(resource.clone()), &mut Benign)
        );
        assert_eq!(caller.listed().first().map(|view| view.state), state);
        assert!(!matches!(
            caller.call(probe(&resource)),
            Ok(Response::Probed(ProbeResult::Healthy))
        ));
        caller.call(delete(&resource)).expect("served");
        caller.wait(10_000);
        let now = caller.cloud.now();
        assert!(
            !caller
                .cloud
                .intervene(now, &intervention(resource), &mut Benign),
            "it is gone"
        );
        assert_eq!(caller.cloud.ledger().alive_count(), 0);
    }
    let mut cloud = SimCloud::new(fixed());
    assert!(!cloud.intervene(
        Timestamp(0),
        &Intervention::Kill(zenekar_base::ResourceId::new("nonsense")),
        &mut Benign
    ));
}

#[test]
fn a_machine_that_is_killed_while_it_boots_or_is_deleted_stays_dead() {
    let mut caller = Caller::new(fixed());
    let (booting, deleting) = (caller.created(1).resource, caller.created(2).resource);
    caller.call(delete(&deleting)).expect("served");
    for resource in [booting, deleting] {
        let now = caller.cloud.now();
        assert!(
            caller
                .cloud
                .intervene(now, &Intervention::Kill(resource), &mut Benign)
        );
    }
    caller.wait(10_000);
    assert!(
        caller
            .listed()
            .iter()
            .all(|view| view.state == ResourceState::Gone)
    );
    assert_eq!(caller.cloud.ledger().alive_count(), 0);
}

#[test]
fn in_an_outage_every_call_fails_and_nothing_has_an_effect() {
    let mut caller = Caller::new(fixed());
    caller.created(1);
    caller.cloud.intervene(
        Timestamp(100),
        &Intervention::Outage(Millis(1_000)),
        &mut Benign,
    );
    assert_eq!(
        caller.call(create(2)).expect_err("outage").class,
        ErrorClass::Retryable
    );
    assert_eq!(
        caller.call(list()).expect_err("outage").class,
        ErrorClass::Retryable
    );
    assert_eq!(caller.cloud.ledger().alive_count(), 1);
    caller.wait(1_000);
    assert_eq!(caller.listed().len(), 1);
    let now = caller.cloud.now();
    caller
        .cloud
        .intervene(now, &Intervention::Outage(Millis(1_000)), &mut Benign);
    assert!(
        caller
            .cloud
            .intervene(now, &Intervention::Recover, &mut Benign)
    );
    assert_eq!(caller.listed().len(), 1);
}

#[test]
fn a_spontaneous_outage_hits_the_calls_after_it() {
    let mut caller = Caller::new(breakable());
    caller
        .call_with(list(), &mut Wilful::outcome(Outcome::Outage))
        .expect_err("outage");
    caller.call(create(1)).expect_err("still");
    caller.wait(20_000);
    caller.created(1);
}

#[test]
fn only_what_can_happen_is_offered() {
    struct Recorder(Vec<(ChoiceKind, u32)>);
    impl zenekar_simcloud::Chooser for Recorder {
        fn choose(&mut self, kind: ChoiceKind, alternatives: u32, footprint: &Footprint) -> u32 {
            assert!(
                footprint.writes.contains(&Object::Instance(tag(1))),
                "{kind:?}"
            );
            self.0.push((kind, alternatives));
            0
        }
    }
    let mut calm = Recorder(vec![]);
    Caller::new(fixed())
        .call_with(create(1), &mut calm)
        .expect("served");
    assert_eq!(calm.0, [], "fixed spans and no failures leave no choice");
    let rates = Rates {
        throttled: 1,
        boot_failure: 1,
        ..Rates::default()
    };
    let mut some = Recorder(vec![]);
    Caller::new(Settings { rates, ..fixed() })
        .call_with(create(1), &mut some)
        .expect("served");
    let words: Vec<_> = some
        .0
        .iter()
        .map(|&(kind, alternatives)| kind.describe(alternatives - 1))
        .collect();
    assert_eq!(words, ["create is throttled", "boot: fails"]);
}

#[test]
fn events_at_the_same_instant_can_be_reordered() {
    let settings = Settings {
        reorder_ties: true,
        quota: zenekar_simcloud::Quota {
            instances: Some(1),
            cores: None,
        },
        ..fixed()
    };
    let winner = |spoil: fn(ChoiceKind) -> bool| {
        let mut cloud = SimCloud::new(settings.clone());
        let mut chooser = Wilful::spoil(spoil);
        cloud.submit(Timestamp(0), CallId(1), create(1), &mut chooser);
        cloud.submit(Timestamp(0), CallId(2), create(2), &mut chooser);
        cloud.advance(Timestamp(100), &mut chooser);
        cloud.ledger().alive().next().expect("one fits").instance
    };
    assert_eq!(winner(|_| false), tag(1));
    assert_eq!(winner(|kind| kind == ChoiceKind::Order), tag(2));
}

#[test]
fn footprints_tell_the_dependent_from_the_independent() {
    let mut caller = Caller::new(fixed());
    let (one, two) = (caller.created(1).resource, caller.created(2).resource);
    let prints = |settings: &Settings| {
        let cloud = SimCloud::new(settings.clone());
        (cloud.footprint(&create(3)), cloud.footprint(&create(4)))
    };
    let (three, four) = prints(&fixed());
    assert!(!three.conflicts(&four), "different instances, no quota");
    let (three, four) = prints(&Settings {
        quota: zenekar_simcloud::Quota {
            instances: Some(9),
            cores: None,
        },
        ..fixed()
    });
    assert!(three.conflicts(&four), "they share the quota");
    let cloud = &caller.cloud;
    assert!(
        cloud
            .footprint(&list())
            .conflicts(&cloud.footprint(&create(3))),
        "a list sees what is created"
    );
    assert!(
        cloud
            .footprint(&list())
            .conflicts(&cloud.footprint(&delete(&one))),
        "a list sees what is deleted"
    );
    assert!(
        !cloud
            .footprint(&probe(&one))
            .conflicts(&cloud.footprint(&delete(&two)))
    );
    assert!(
        cloud
            .footprint(&probe(&one))
            .conflicts(&cloud.footprint(&delete(&one)))
    );
    assert!(
        !cloud
            .footprint(&probe(&one))
            .conflicts(&cloud.footprint(&probe(&one))),
        "reads never conflict"
    );
    assert_eq!(views(caller.call(list())).len(), 2);
    assert_eq!(infrastructure().as_str(), "demo");
}
