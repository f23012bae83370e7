//! What providers make besides instances goes when nothing of an infrastructure is left there.

use zenekar_base::{Capabilities, ErrorClass, Timestamp};
use zenekar_engine::{Input, Operation, Record, Response, Snapshot, Verdict, Waiting};

use crate::build::{multi, node, topology};
use crate::script::{Obedient, Script, error};

const MINUTES_10: Timestamp = Timestamp(600_000);
const HOUR: Timestamp = Timestamp(3_600_000);

fn kinds(script: &Script) -> Vec<&'static str> {
    let records = script.journal.iter();
    records.map(|entry| entry.record.kind()).collect()
}

fn brought_up(cloud: &mut Obedient) -> Script {
    let mut script = Script::new(Capabilities::default());
    script.tell(Input::Intent(topology(vec![node("w", 2, 2)])));
    script.play(MINUTES_10, |_, operation| Ok(cloud.answer(operation)));
    script
}

#[test]
fn a_provider_is_released_once_after_its_last_instance() {
    let mut cloud = Obedient::default();
    let mut script = brought_up(&mut cloud);
    assert_eq!(cloud.releases, 0);
    script.tell(Input::Teardown);
    script.play(HOUR, |_, operation| {
        if *operation == Operation::Release {
            assert!(cloud.machines.is_empty(), "released too early");
        }
        Ok(cloud.answer(operation))
    });
    assert_eq!(cloud.releases, 1);
    assert_eq!(script.engine.verdict(), Verdict::Converged);
    let kinds = kinds(&script);
    assert_eq!(kinds[kinds.len() - 2..], ["released", "torn-down"]);
}

#[test]
fn a_provider_that_was_never_asked_is_not_released() {
    let mut script = Script::new(Capabilities::default());
    let mut cloud = Obedient::default();
    script.tell(Input::Intent(multi(vec![node("w", 1, 1)], &["a", "b"])));
    script.play(MINUTES_10, |_, operation| Ok(cloud.answer(operation)));
    script.tell(Input::Teardown);
    script.play(HOUR, |_, operation| Ok(cloud.answer(operation)));
    let released: Vec<_> = script
        .journal
        .iter()
        .filter_map(|entry| match &entry.record {
            Record::Released { provider } => Some(provider.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(released, ["a"]);
    assert!(script.engine.state().torn_down);
}

#[test]
fn what_was_brought_up_again_is_released_again() {
    let mut cloud = Obedient::default();
    let mut script = brought_up(&mut cloud);
    script.tell(Input::Teardown);
    script.play(HOUR, |_, operation| Ok(cloud.answer(operation)));
    script.tell(Input::Intent(topology(vec![node("w", 1, 1)])));
    script.play(Timestamp(2 * HOUR.0), |_, operation| {
        Ok(cloud.answer(operation))
    });
    assert_eq!(cloud.machines.len(), 1);
    script.tell(Input::Teardown);
    script.play(Timestamp(3 * HOUR.0), |_, operation| {
        Ok(cloud.answer(operation))
    });
    assert!(script.engine.state().torn_down);
    assert_eq!(cloud.releases, 2);
}

#[test]
fn a_provider_that_the_descriptor_has_left_is_released() {
    let mut script = Script::new(Capabilities::default());
    let mut cloud = Obedient::default();
    script.tell(Input::Intent(multi(vec![node("w", 1, 1)], &["a"])));
    script.play(MINUTES_10, |_, operation| Ok(cloud.answer(operation)));
    let mut moved = node("w", 1, 1);
    moved.fingerprints[0].resource = zenekar_base::Fingerprint::of_text("second");
    script.tell(Input::Intent(multi(vec![moved], &["b"])));
    let end = Timestamp(2 * MINUTES_10.0);
    script.play(end, |_, operation| match operation {
        // What is shown is at one provider only; that of the test knows one world.
        Operation::Observe { .. } => error(ErrorClass::Retryable, "later"),
        operation => Ok(cloud.answer(operation)),
    });
    assert_eq!(cloud.releases, 1);
    let state = script.engine.state();
    let held: Vec<_> = state
        .held
        .iter()
        .map(|place| state.providers[place.index()].as_str())
        .collect();
    assert_eq!(held, ["b"]);
}

#[test]
fn a_release_that_fails_is_tried_again_and_reported() {
    let mut cloud = Obedient::default();
    let mut script = brought_up(&mut cloud);
    script.tell(Input::Teardown);
    let mut tries = 0;
    script.play(HOUR, |_, operation| match operation {
        Operation::Release => {
            tries += 1;
            error(ErrorClass::Conflict, "the network is in use")
        }
        operation => Ok(cloud.answer(operation)),
    });
    assert!(tries > 10 && tries < 100, "{tries} tries");
    assert!(!script.engine.state().torn_down);
    let Verdict::Blocked(causes) = script.engine.verdict() else {
        panic!("{:?}", script.engine.verdict());
    };
    let (subject, class, message) = &causes[0];
    assert_eq!((subject.as_str(), *class), ("sim", ErrorClass::Conflict));
    assert_eq!(message, "the network is in use");
    let releases = script.engine.status().releases;
    assert_eq!(releases[0].provider, "sim");
    assert!(matches!(releases[0].waiting, Some(Waiting::Stuck { .. })));
    // It is written down once, so that processes that only look know it too.
    let kinds = kinds(&script);
    let written = kinds.iter().filter(|kind| **kind == "release-failed");
    assert_eq!(written.count(), 1);
    script.crash();
    let releases = script.engine.status().releases;
    let waiting = releases[0].waiting.as_ref().map(ToString::to_string);
    let waiting = waiting.expect("it is not removed");
    assert!(waiting.contains("the network is in use"), "{waiting}");
    let snapshot = serde_json::to_value(Snapshot::from(script.engine.state())).expect("JSON");
    let snapshot: Snapshot = serde_json::from_value(snapshot).expect("it was just written");
    let infrastructure = script.engine.state().infrastructure.clone();
    assert_eq!(&snapshot.restore(infrastructure), script.engine.state());
    // The user asks again, after the cause was removed.
    script.tell(Input::Teardown);
    script.play(Timestamp(HOUR.0 + 60_000), |_, operation| {
        Ok(cloud.answer(operation))
    });
    assert!(script.engine.state().torn_down);
    assert!(script.engine.state().release_errors.is_empty());
}

#[test]
fn a_release_without_an_answer_is_repeated_by_the_next_engine() {
    let mut cloud = Obedient::default();
    let mut script = brought_up(&mut cloud);
    script.tell(Input::Teardown);
    while !script
        .calls
        .iter()
        .any(|call| call.operation == Operation::Release)
    {
        let step = Timestamp(script.now.0 + 1_000);
        for call in std::mem::take(&mut script.calls) {
            let answer = cloud.answer(&call.operation);
            script.answer(&call, Ok(answer));
        }
        if script.calls.is_empty() {
            script.now = step;
            script.tell(Input::Tick);
        }
    }
    script.crash();
    script.tell(Input::Tick);
    script.play(HOUR, |_, operation| Ok(cloud.answer(operation)));
    assert_eq!(cloud.releases, 1);
    assert!(script.engine.state().torn_down);
}

#[test]
fn a_descriptor_that_comes_back_waits_for_the_release() {
    let mut script = Script::new(Capabilities::default());
    let mut cloud = Obedient::default();
    script.tell(Input::Intent(multi(vec![node("w", 1, 1)], &["a"])));
    script.play(MINUTES_10, |_, operation| Ok(cloud.answer(operation)));
    // The node goes and comes back while its provider is being released.
    script.tell(Input::Intent(multi(vec![node("v", 0, 1)], &["b"])));
    let mut release = None;
    while release.is_none() {
        for call in std::mem::take(&mut script.calls) {
            if call.operation == Operation::Release {
                release = Some(call);
            } else {
                let answer = match &call.operation {
                    Operation::Observe { .. } => Response::Observed(Vec::new()),
                    operation => cloud.answer(operation),
                };
                script.answer(&call, Ok(answer));
            }
        }
        if script.calls.is_empty() {
            script.now = Timestamp(script.now.0 + 1_000);
            script.tell(Input::Tick);
        }
    }
    script.tell(Input::Intent(multi(vec![node("w", 1, 1)], &["a"])));
    let creates = |script: &Script| {
        let mut calls = script.calls.iter();
        calls.any(|call| matches!(call.operation, Operation::Create { .. }))
    };
    assert!(!creates(&script), "created while the release is under way");
    script.answer(&release.expect("just taken"), Ok(Response::Released));
    assert!(creates(&script));
}

#[test]
fn snapshots_from_before_releases_count_every_provider_as_held() {
    let mut cloud = Obedient::default();
    let mut script = brought_up(&mut cloud);
    let infrastructure = script.engine.state().infrastructure.clone();
    let forget = |snapshot: Snapshot| {
        let mut stored = serde_json::to_value(snapshot).expect("it is stored as JSON");
        let fields = stored.as_object_mut().expect("it is an object");
        assert!(fields.remove("held").is_some());
        let old: Snapshot = serde_json::from_value(stored).expect("the field may be missing");
        old.restore(infrastructure.clone())
    };
    let old = forget(Snapshot::from(script.engine.state()));
    assert_eq!(&old, script.engine.state());
    script.tell(Input::Teardown);
    script.play(HOUR, |_, operation| Ok(cloud.answer(operation)));
    let old = forget(Snapshot::from(script.engine.state()));
    assert!(old.torn_down && old.held.is_empty());
}
