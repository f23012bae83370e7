//! What goes wrong, and what is said of it.

use zenekar_base::{ErrorClass, ResourceState, Value};
use zenekar_provider::{CheckNode, CheckRequest, CreateRequest, OwnedKind, ProblemKind, Provider};

use crate::bench::{Bench, docker, settings, text_of};

fn check(bench: &Bench, requests: &[(&CreateRequest, u32)]) -> Vec<zenekar_provider::Problem> {
    let nodes = requests
        .iter()
        .map(|(request, count)| CheckNode {
            name: request.name.clone(),
            count: *count,
            rendered: request.rendered.clone(),
        })
        .collect();
    let request = CheckRequest {
        infrastructure: bench.infrastructure.clone(),
        nodes,
    };
    bench
        .block_on(bench.provider.check(request))
        .unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn what_others_do_to_containers_is_seen() {
    let Some(bench) = Bench::new() else { return };
    let killed = bench.create(&bench.shell("a", 1, "exec sleep 600", Vec::new()));
    let removed = bench.create(&bench.shell("a", 2, "exec sleep 600", Vec::new()));
    let paused = bench.create(&bench.shell("a", 3, "exec sleep 600", Vec::new()));
    let ended = bench.create(&bench.shell("a", 4, "exit 0", Vec::new()));
    docker(&["kill", killed.resource.as_str()]);
    docker(&["rm", "-f", removed.resource.as_str()]);
    docker(&["pause", paused.resource.as_str()]);
    let seen = bench.wait_for_state(&killed, ResourceState::Failed);
    assert_eq!(seen.detail.as_deref(), Some("it ended with exit code 137"));
    bench.wait_for_state(&paused, ResourceState::Stopped);
    let seen = bench.wait_for_state(&ended, ResourceState::Stopped);
    assert_eq!(seen.detail.as_deref(), Some("it ended with exit code 0"));
    let all = bench.all();
    assert!(all.iter().all(|view| view.resource != removed.resource));
    assert_eq!(all.len(), 3);
}

#[test]
fn an_image_that_is_missing_is_told_before_and_after() {
    let Some(bench) = Bench::new() else { return };
    let mut request = bench.shell("a", 1, "true", vec![("origin", "local".into())]);
    let Value::Map(keys) = &mut request.rendered.resource else {
        unreachable!("a section")
    };
    keys[0].1 = "zenekar-test/no-such-image:1".into();
    let problems = check(&bench, &[(&request, 1)]);
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert_eq!(problems[0].kind, ProblemKind::Image);
    assert!(!problems[0].is_warning);
    let error = bench.block_on(bench.provider.create(request)).unwrap_err();
    assert_eq!(error.class, ErrorClass::Invalid);
    assert_eq!(
        error.message,
        "image `zenekar-test/no-such-image:1` is not at the engine, and with origin `local` it is not fetched"
    );
    assert_eq!(bench.all(), []);
}

#[test]
fn all_problems_are_found_at_once() {
    let Some(bench) = Bench::new() else { return };
    let host_port = || vec![("ports", Value::from("48199:80"))];
    let ports = bench.shell("ports", 1, "true", host_port());
    let large = bench.shell("large", 1, "true", vec![("memory_mb", Value::Int(1 << 40))]);
    let network = bench.shell(
        "network",
        1,
        "true",
        vec![("network", "zenekar-no-such".into())],
    );
    let privileged = bench.shell("rights", 1, "true", vec![("privileged", Value::Bool(true))]);
    let fine = bench.shell("fine", 1, "true", Vec::new());
    let problems = check(
        &bench,
        &[
            (&ports, 2),
            (&large, 1),
            (&network, 1),
            (&privileged, 1),
            (&fine, 1),
        ],
    );
    let mut keys: Vec<_> = problems
        .iter()
        .filter(|problem| !problem.is_warning)
        .filter_map(|problem| problem.key.as_deref())
        .collect();
    keys.sort_unstable();
    assert_eq!(
        keys,
        ["memory_mb", "network", "ports", "privileged"],
        "{problems:?}"
    );
    assert!(
        problems
            .iter()
            .all(|problem| !problem.nodes.contains(&fine.name))
    );
    assert_eq!(check(&bench, &[(&fine, 1)]), []);
    // Nothing was made.
    assert_eq!(bench.all(), []);
}

#[test]
fn a_container_that_cannot_start_leaves_nothing() {
    let Some(bench) = Bench::new() else { return };
    let mut request = bench.shell("a", 1, "true", Vec::new());
    request.rendered.command = Some(vec!["/no/such/program".to_owned()]);
    let error = bench.block_on(bench.provider.create(request)).unwrap_err();
    assert_eq!(error.class, ErrorClass::Invalid, "{error}");
    assert!(error.message.starts_with("cannot start `a/1`: "), "{error}");
    assert_eq!(bench.all(), []);

    let taken = bench.shell("a", 2, "exec sleep 600", vec![("ports", "48198:80".into())]);
    bench.create(&taken);
    let second = bench.shell("a", 3, "exec sleep 600", vec![("ports", "48198:80".into())]);
    let error = bench.block_on(bench.provider.create(second)).unwrap_err();
    assert_eq!(error.class, ErrorClass::Capacity, "{error}");
    assert_eq!(bench.all().len(), 1);
}

#[test]
fn an_engine_that_is_gone_is_told() {
    let mut settings = settings("none:1");
    settings.endpoint = Some("unix:///nonexistent/docker.sock".to_owned());
    let bench = zenekar_provider_docker::DockerProvider::open(settings).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let error = runtime.block_on(bench.identity()).unwrap_err();
    assert_eq!(error.class, ErrorClass::Retryable);
    assert_eq!(
        error.message,
        "cannot reach the engine at `unix:///nonexistent/docker.sock`: there is no socket `/nonexistent/docker.sock`"
    );
}

#[test]
fn the_engine_tells_about_itself_and_what_is_ours() {
    let Some(bench) = Bench::new() else { return };
    let provider = &bench.provider;
    let identity = bench.block_on(provider.identity()).unwrap();
    assert!(
        identity.product.starts_with("Docker Engine "),
        "{identity:?}"
    );
    let query = zenekar_provider::ImageQuery {
        text: Some(bench.image.to_uppercase()),
        count_max: 5,
    };
    let images = bench.block_on(provider.images(query)).unwrap();
    assert!(
        images.iter().any(|image| image.id == bench.image),
        "{images:?}"
    );
    assert!(bench.block_on(provider.offers()).unwrap()[0].cores >= Some(1));
    assert_eq!(bench.block_on(provider.quota()).unwrap().len(), 4);

    let view = bench.create(&bench.shell(
        "a",
        1,
        "exec sleep 600",
        vec![("volumes", "data:/data".into())],
    ));
    let owned = || {
        let mut own: Vec<_> = bench
            .block_on(provider.owned())
            .unwrap()
            .into_iter()
            .filter(|one| one.infrastructure == bench.infrastructure)
            .collect();
        own.sort();
        own
    };
    let own = owned();
    let kinds: Vec<_> = own.iter().map(|one| one.kind).collect();
    assert_eq!(
        kinds,
        [OwnedKind::Instance, OwnedKind::Network, OwnedKind::Volume]
    );
    assert_eq!(own[0].id, view.resource);
    assert_eq!(own[0].name, "a/1");
    for one in own {
        for _ in 0..2 {
            bench.block_on(provider.delete_owned(one.clone())).unwrap();
        }
    }
    assert_eq!(owned(), []);
    let left = docker(&["ps", "-aq", "--filter", &format!("id={}", view.resource)]);
    assert_eq!(text_of(&left), "");
}
