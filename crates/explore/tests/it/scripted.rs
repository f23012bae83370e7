//! Worlds that the simulated cloud does not play: every answer is the test's own.

use zenekar_base::{
    Capabilities, ErrorClass, Fingerprint, InstanceTag, Millis, ProbeResult, ProviderError,
    ResourceState, Timestamp,
};
use zenekar_engine::{Input, Operation, Phase, Response, Scope, Verdict};

use crate::build::{multi, node, topology};
use crate::script::{Obedient, Script, error, view};

#[test]
fn a_node_moved_to_another_provider_is_created_there() {
    let mut script = Script::new(Capabilities {
        calls_in_flight_max: 1,
        ..Capabilities::default()
    });
    script.tell(Input::Intent(multi(vec![node("w", 4, 4)], &["a"])));
    let first = script.calls.pop().expect("one call at a time");
    let mut moved = node("w", 4, 4);
    moved.fingerprints[0].resource = Fingerprint::of_text("second");
    script.tell(Input::Intent(multi(vec![moved], &["b"])));
    script.answer(&first, error(ErrorClass::Retryable, "unavailable"));
    let state = script.engine.state();
    let mut creations = 0;
    for call in &script.calls {
        if let Operation::Create { instance, .. } = call.operation {
            let believed = state.instances[&instance].provider.expect("it was asked");
            assert_eq!(call.provider, state.providers[believed.index()]);
            assert_eq!(call.provider, "b");
            creations += 1;
        }
    }
    assert_eq!(creations, 1);
}

#[test]
fn a_late_error_does_not_undo_what_was_seen() {
    let mut script = Script::new(Capabilities::default());
    script.tell(Input::Intent(topology(vec![node("w", 2, 2)])));
    let calls = std::mem::take(&mut script.calls);
    let tags: Vec<InstanceTag> = calls
        .iter()
        .filter_map(|call| match &call.operation {
            Operation::Create { tag, .. } => Some(tag.clone()),
            _ => None,
        })
        .collect();
    let seen = [
        view(&tags[0], "one", ResourceState::Pending),
        view(&tags[1], "two", ResourceState::Pending),
    ];
    script.answer(&calls[1], Ok(Response::Created(seen[1].clone())));
    script.play(Timestamp(60_000), |_, operation| match operation {
        Operation::Observe { scope: Scope::All } => Ok(Response::Observed(seen.to_vec())),
        _ => Ok(Response::Observed(vec![seen[1].clone()])),
    });
    let phase = |script: &Script| {
        script
            .engine
            .state()
            .instances
            .values()
            .next()
            .map(|first| first.phase)
    };
    assert_eq!(
        phase(&script),
        Some(Phase::Booting),
        "an observation has shown it"
    );
    script.answer(&calls[0], error(ErrorClass::Retryable, "bad gateway"));
    assert_eq!(phase(&script), Some(Phase::Booting));
}

#[test]
fn instances_that_get_well_again_are_kept() {
    let mut script = Script::new(Capabilities::default());
    let mut cloud = Obedient::default();
    script.tell(Input::Intent(topology(vec![node("w", 8, 8)])));
    let partition = Timestamp(600_000)..Timestamp(1_300_000);
    script.play(Timestamp(3 * 3_600_000), |now, operation| match operation {
        Operation::Probe { .. } if partition.contains(&now) => {
            let finding = ProbeResult::Unhealthy("no route".to_owned());
            Ok(Response::Probed(finding))
        }
        operation => Ok(cloud.answer(operation)),
    });
    assert!(cloud.deletions <= 3, "{} were replaced", cloud.deletions);
    assert!(script.engine.is_converged());
}

#[test]
fn a_deletion_that_did_not_happen_is_asked_for_again() {
    let mut script = Script::new(Capabilities::default());
    let mut cloud = Obedient::default();
    script.tell(Input::Intent(topology(vec![node("w", 1, 1)])));
    script.play(Timestamp(600_000), |_, operation| {
        Ok(cloud.answer(operation))
    });
    script.tell(Input::Teardown);
    let mut asked = 0;
    script.play(Timestamp(4 * 3_600_000), |_, operation| match operation {
        // The first deletion is accepted and fails inside the cloud.
        Operation::Delete { .. } if asked == 0 => {
            asked += 1;
            Ok(Response::Deleted { gone: false })
        }
        Operation::Observe { .. } => Ok(Response::Observed(cloud.shown(ResourceState::Failed))),
        operation => Ok(cloud.answer(operation)),
    });
    assert!(cloud.machines.is_empty());
    assert!(script.engine.state().torn_down);
}

#[test]
fn what_nobody_can_see_any_more_is_reported() {
    let mut script = Script::new(Capabilities::default());
    script.tell(Input::Intent(topology(vec![node("w", 1, 1)])));
    // The creating call is never answered, the user gives up, the credentials expire.
    script.calls.clear();
    script.tell(Input::Teardown);
    script.play(Timestamp(24 * 3_600_000), |_, _| {
        error(ErrorClass::Auth, "token expired")
    });
    assert!(matches!(script.engine.verdict(), Verdict::Blocked(_)));
}

#[test]
fn a_teardown_after_a_crash_waits_for_late_effects() {
    let settle = Millis::from_secs(20);
    let mut script = Script::new(Capabilities {
        settle,
        ..Capabilities::default()
    });
    script.tell(Input::Intent(topology(vec![node("w", 1, 1)])));
    script.play(Timestamp(60_000), |_, _| {
        error(ErrorClass::Unknown, "time-out")
    });
    // Just now, a repeated call may have been sent; the engine is killed.
    let effect_at = script.now + Millis::from_secs(15);
    script.crash();
    script.now += Millis(500);
    script.tell(Input::Teardown);
    let end = Timestamp(3_600_000);
    while !script.engine.state().torn_down && script.now < end {
        let step = script.now + Millis::from_secs(1);
        script.play(step, |_, operation| match operation {
            Operation::Release => Ok(Response::Released),
            _ => Ok(Response::Observed(Vec::new())),
        });
    }
    assert!(script.engine.state().torn_down);
    assert!(script.now >= effect_at, "gone at {:?}", script.now);
}

#[test]
fn a_pause_of_a_year_is_not_kept() {
    let mut script = Script::new(Capabilities::default());
    script.tell(Input::Intent(topology(vec![node("w", 1, 1)])));
    let first = script.calls.pop().expect("it is created");
    let pause = Some(Millis::from_secs(365 * 86_400));
    let throttled = ProviderError {
        retry_after: pause,
        ..ProviderError::new(ErrorClass::Throttled, "slow down")
    };
    script.answer(&first, Err(throttled));
    let mut cloud = Obedient::default();
    script.play(Timestamp(3_600_000), |_, operation| {
        Ok(cloud.answer(operation))
    });
    assert_eq!(cloud.machines.len(), 1);
}

#[test]
fn what_cannot_be_deleted_is_reported_and_never_forgotten() {
    let mut script = Script::new(Capabilities::default());
    let mut cloud = Obedient::default();
    script.tell(Input::Intent(topology(vec![node("w", 1, 1)])));
    script.play(Timestamp(600_000), |_, operation| {
        Ok(cloud.answer(operation))
    });
    script.tell(Input::Teardown);
    script.play(Timestamp(2 * 3_600_000), |_, operation| match operation {
        Operation::Delete { .. } => error(ErrorClass::Retryable, "try again"),
        operation => Ok(cloud.answer(operation)),
    });
    let Verdict::Blocked(causes) = script.engine.verdict() else {
        panic!("{:?}", script.engine.verdict());
    };
    assert_eq!(causes[0].0, "w/1");
    assert_eq!(script.engine.state().instances.len(), 1, "it is kept");
    script.crash();
    assert_eq!(script.engine.state().instances.len(), 1, "also on disk");
    script.tell(Input::Teardown);
    script.play(Timestamp(3 * 3_600_000), |_, operation| {
        Ok(cloud.answer(operation))
    });
    assert!(script.engine.state().torn_down && cloud.machines.is_empty());
}

#[test]
fn a_failed_check_makes_the_engine_look_at_once() {
    for error_class in [None, Some(ErrorClass::NotFound)] {
        let mut script = Script::new(Capabilities::default());
        let mut cloud = Obedient::default();
        script.tell(Input::Intent(topology(vec![node("w", 1, 1)])));
        script.play(Timestamp(600_000), |_, operation| {
            Ok(cloud.answer(operation))
        });
        // It breaks just after a look, so that the next regular one is far away.
        let (mut broken_at, mut failed_at, mut looked_at) = (None, None, None);
        let end = Timestamp(700_000);
        script.play(end, |now, operation| {
            let answer = Ok(cloud.answer(operation));
            match operation {
                Operation::Observe { .. } if broken_at.is_none() => broken_at = Some(now),
                Operation::Observe { .. } if failed_at.is_some() => {
                    looked_at.get_or_insert(now);
                }
                Operation::Probe { .. } if broken_at.is_some() => {
                    failed_at.get_or_insert(now);
                    return match error_class {
                        Some(class) => error(class, "it is gone"),
                        None => Ok(Response::Probed(ProbeResult::Unhealthy("ill".to_owned()))),
                    };
                }
                _ => {}
            }
            answer
        });
        let failed_at = failed_at.expect("a check fails");
        let looked_at = looked_at.expect("the engine looks");
        let waited = looked_at.since(failed_at);
        assert!(waited <= Millis::from_secs(2), "after {waited}");
    }
}
