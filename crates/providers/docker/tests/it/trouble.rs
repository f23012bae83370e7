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

/// What is told of which nodes, without warnings.
fn told(problems: &[zenekar_provider::Problem]) -> Vec<(&str, Vec<&str>)> {
    let errors = problems.iter().filter(|problem| !problem.is_warning);
    let mut told: Vec<_> = errors
        .map(|problem| {
            let nodes = problem.nodes.iter().map(String::as_str).collect();
            (problem.key.as_deref().unwrap_or_default(), nodes)
        })
        .collect();
    told.sort_unstable();
    told
}

#[test]
fn one_mistake_does_not_hide_another() {
    let Some(bench) = Bench::new() else { return };
    let missing = |name: &str, keys: Vec<(&str, Value)>| {
        let mut request = bench.shell(name, 1, "true", keys);
        let Value::Map(keys) = &mut request.rendered.resource else {
            unreachable!("a section")
        };
        keys[0].1 = "zenekar-test/no-such-image:1".into();
        request
    };
    let local = || ("origin", Value::from("local"));
    let both = missing("both", vec![local(), ("ports", "x".into())]);
    let tarball = ("origin", Value::from("http://127.0.0.1:1/none.tar"));
    // One that comes from elsewhere is no reason to keep silent of the other.
    let other = missing("other", vec![tarball]);
    let mut capital = bench.shell("capital", 1, "true", Vec::new());
    if let Value::Map(keys) = &mut capital.rendered.resource {
        keys[0].1 = "Nginx".into();
    }
    let problems = check(&bench, &[(&both, 1), (&other, 1), (&capital, 1)]);
    assert_eq!(
        told(&problems),
        [
            ("image", vec!["both/1"]),
            ("image", vec!["capital/1"]),
            ("ports", vec!["both/1"]),
        ],
        "{problems:?}"
    );
    assert_eq!(problems.len(), 3, "{problems:?}");
}

#[test]
fn ports_clash_at_the_same_address_only() {
    let Some(bench) = Bench::new() else { return };
    let ports = |name: &str, text: &str| bench.shell(name, 1, "true", vec![("ports", text.into())]);
    let here = ports("here", "127.0.0.1:48190:80");
    let there = ports("there", "127.0.0.2:48190:80");
    assert_eq!(check(&bench, &[(&here, 1), (&there, 1)]), []);
    let all = ports("all", "48190:80");
    assert_eq!(
        told(&check(&bench, &[(&here, 1), (&there, 1), (&all, 1)])),
        [("ports", vec!["here/1", "there/1", "all/1"])]
    );
    assert_eq!(
        told(&check(&bench, &[(&here, 2), (&there, 1)])),
        [("ports", vec!["here/1"])]
    );
    // The same of what others have published.
    let other = Bench::new().expect("there is an engine");
    other.create(&other.shell(
        "a",
        1,
        "exec sleep 600",
        vec![("ports", "127.0.0.1:48190:80".into())],
    ));
    assert_eq!(
        told(&check(&bench, &[(&here, 1), (&there, 1)])),
        [("ports", vec!["here/1"])]
    );
}

#[test]
fn folders_that_are_missing_are_told_before() {
    let Some(bench) = Bench::new() else { return };
    let volumes = Value::List(vec!["/etc:/a:ro".into(), "/no/such/folder:/b".into()]);
    let request = bench.shell("a", 1, "true", vec![("volumes", volumes)]);
    let problems = check(&bench, &[(&request, 1)]);
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(problems[0].is_warning);
    assert_eq!(
        problems[0].message,
        "there is no folder `/no/such/folder` on this machine"
    );
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

#[test]
fn who_else_uses_what_is_ours_is_named() {
    let Some(bench) = Bench::new() else { return };
    let volumes = || vec![("volumes", "data:/data".into())];
    let view = bench.create(&bench.shell("a", 1, "exec sleep 600", volumes()));
    let network = format!("zenekar-{}", bench.infrastructure);
    let volume = format!("zenekar-{}_data", bench.infrastructure);
    let release = || {
        let released = bench.provider.release(bench.infrastructure.clone());
        bench.block_on(released)
    };
    let own = text_of(&docker(&[
        "inspect",
        "--format",
        "{{slice .Name 1}}",
        view.resource.as_str(),
    ]));
    let error = release().unwrap_err();
    assert_eq!(error.class, ErrorClass::Retryable);
    assert_eq!(
        error.message,
        format!("container `{own}` still uses volume `{volume}`")
    );
    bench.delete(&view);

    let stranger = |name: &str, keys: &[&str]| {
        let name = format!("stranger-{name}-{}", std::process::id());
        let mut arguments = vec!["run", "-d", "--name", &name];
        arguments.extend(keys);
        arguments.extend([bench.image.as_str(), "sleep", "600"]);
        let output = docker(&arguments);
        assert!(output.status.success(), "{output:?}");
        name
    };
    let mounted = format!("{volume}:/data");
    let (one, other) = (
        stranger("one", &["--network", &network]),
        stranger("other", &["--volume", &mounted]),
    );
    let said = release().unwrap_err();
    docker(&["rm", "-f", &other]);
    let then = release().unwrap_err();
    docker(&["rm", "-f", &one]);
    assert_eq!(
        said.message,
        format!("container `{other}`, which is not ours, still uses volume `{volume}`: remove it")
    );
    assert_eq!(then.class, ErrorClass::Retryable);
    assert_eq!(
        then.message,
        format!(
            "container `{one}`, which is not ours, still uses network `{network}`: disconnect or remove it"
        )
    );
    release().unwrap();
}
