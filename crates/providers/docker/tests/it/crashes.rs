//! Calls that are cut off, repeated, or made at once.

use std::time::{Duration, Instant};

use zenekar_base::{ErrorClass, ResourceState};
use zenekar_provider::Provider;

use crate::bench::{Bench, docker, text_of};

/// How long an engine may be busy with a call that nobody waits for.
const BUSY_MAX: Duration = Duration::from_mins(1);

#[test]
fn a_container_that_was_only_created_is_finished() {
    let Some(bench) = Bench::new() else { return };
    let request = bench.shell("a", 1, "exec sleep 600", Vec::new());
    let name = format!("zenekar-{}", request.token);
    let labels = [
        format!("io.zenekar.infrastructure={}", request.infrastructure),
        format!("io.zenekar.instance={}", request.instance),
        format!("io.zenekar.token={}", request.token),
    ];
    // What a process leaves that is killed between two steps.
    let mut arguments = vec!["create", "--name", &name];
    for label in &labels {
        arguments.extend(["--label", label]);
    }
    arguments.extend(["--entrypoint", "sleep", &bench.image, "600"]);
    let left = text_of(&docker(&arguments));
    // Nobody here is about to start it.
    let unstarted = bench.all();
    assert_eq!(unstarted.len(), 1);
    assert_eq!(unstarted[0].state, ResourceState::Failed);
    let view = bench.create(&request);
    assert_eq!(view.resource.as_str(), left);
    assert_eq!(view.state, ResourceState::Running);
    assert_eq!(bench.all().len(), 1);
}

#[test]
fn a_container_of_somebody_else_under_that_name_is_left_alone() {
    let Some(bench) = Bench::new() else { return };
    let request = bench.shell("a", 1, "exec sleep 600", Vec::new());
    let name = format!("zenekar-{}", request.token);
    let made = docker(&[
        "create",
        "--name",
        &name,
        "--entrypoint",
        "true",
        &bench.image,
    ]);
    assert!(made.status.success(), "{made:?}");
    let error = bench.block_on(bench.provider.create(request)).unwrap_err();
    let removed = docker(&["rm", &name]);
    assert_eq!(error.class, ErrorClass::Conflict, "{error}");
    assert!(removed.status.success(), "it is still there");
}

#[test]
fn ten_at_once_have_one_network() {
    let Some(bench) = Bench::new() else { return };
    // Two adapters, as in two processes; and each call twice.
    let Some(other) = Bench::new() else { return };
    let requests: Vec<_> = (1..=10)
        .map(|number| bench.shell("a", number, "exec sleep 600", Vec::new()))
        .collect();
    let views: Vec<_> = bench.block_on(async {
        let calls = requests
            .iter()
            .flat_map(|request| [&bench, &other].map(|one| one.provider.create(request.clone())));
        futures_util::future::join_all(calls).await
    });
    for pair in views.chunks(2) {
        let ids: Vec<_> = pair.iter().flatten().map(|view| &view.resource).collect();
        assert!(!ids.is_empty(), "{pair:?}");
        assert!(ids.iter().all(|id| *id == ids[0]), "{pair:?}");
    }
    for request in &requests {
        bench.create(request);
    }
    let all = bench.all();
    assert_eq!(all.len(), 10, "{all:?}");
    assert!(all.iter().all(|view| view.state == ResourceState::Running));
    let label = format!("label=io.zenekar.infrastructure={}", bench.infrastructure);
    let networks = text_of(&docker(&["network", "ls", "-q", "--filter", &label]));
    assert_eq!(networks.lines().count(), 1, "{networks}");
}

#[test]
fn a_call_that_is_dropped_leaves_nothing_double() {
    let Some(bench) = Bench::new() else { return };
    let request = bench.shell("a", 1, "exec sleep 600", Vec::new());
    for patience_ms in [0, 5, 20, 60, 120] {
        let call = bench.provider.create(request.clone());
        let patience = Duration::from_millis(patience_ms);
        // Whether it ends in time is not the point.
        let _ = bench.block_on(async { tokio::time::timeout(patience, call).await });
    }
    // The engine may still be busy with what nobody waits for any more.
    let begin = Instant::now();
    let view = loop {
        match bench.block_on(bench.provider.create(request.clone())) {
            Ok(view) => break view,
            Err(error) => {
                assert_eq!(error.class, ErrorClass::Retryable, "{error}");
                assert!(begin.elapsed() < BUSY_MAX, "{error}");
            }
        }
    };
    assert_eq!(view.state, ResourceState::Running);
    assert_eq!(bench.all().len(), 1);
}
