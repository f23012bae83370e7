//! The real `OpenStack` of `tests/env/openstack/up`: real services, servers that
//! are records. Its own lists, read by its administrator, are the ledger.

#![expect(clippy::print_stderr, reason = "tests say why they are left out")]

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::json;
use tokio::sync::{Mutex, MutexGuard, Semaphore};
use tokio::task::JoinSet;
use zenekar_base::{
    CloudKey, ErrorClass, InfrastructureId, Millis, ProbeSpec, ProviderError, ResourceState,
    ResourceView, Value,
};
use zenekar_http::Method;
use zenekar_provider::conformance::{self, Pause, Setup};
use zenekar_provider::{
    CheckNode, CheckRequest, CreateRequest, ImageQuery, LogRequest, LogSource, ObserveScope,
    OwnedKind, ProblemKind, Provider,
};
use zenekar_provider_openstack::{OpenStackProvider, Place, Surroundings, resolve};

use crate::ledger::Administrator;
use crate::world::{rendered, request};

/// How long a server of the fake hypervisor may take on a loaded machine.
const PATIENCE: Duration = Duration::from_mins(3);

/// One test at a time: the cloud is one small machine, and its services are slow
/// when they are asked for many things at once.
static TURN: Mutex<()> = Mutex::const_new(());

/// Creations that one test begins at once, for the same reason.
const CREATIONS_AT_ONCE: usize = 4;

/// The cloud of the tests, or a reason to leave them out.
pub(crate) struct World {
    _turn: MutexGuard<'static, ()>,
    clouds: String,
    pub(crate) image: String,
    pub(crate) flavor: String,
    pub(crate) network: String,
    pub(crate) pool: String,
}

impl World {
    /// Finds the cloud; prints why a test is left out if there is none.
    pub(crate) async fn find(test: &str) -> Option<Self> {
        let Ok(clouds) = std::env::var("ZENEKAR_TEST_OPENSTACK_CLOUDS") else {
            eprintln!("{test} is left out: `ZENEKAR_TEST_OPENSTACK_CLOUDS` is not set");
            return None;
        };
        let told = |name: &str| {
            let name = format!("ZENEKAR_TEST_OPENSTACK_{name}");
            std::env::var(&name).unwrap_or_else(|_| panic!("`{name}` is not set"))
        };
        Some(Self {
            _turn: TURN.lock().await,
            clouds,
            image: told("IMAGE"),
            flavor: told("FLAVOR"),
            network: told("NETWORK"),
            pool: told("POOL"),
        })
    }

    /// Opens a provider with a cloud of the file.
    pub(crate) fn open(&self, cloud: &str) -> OpenStackProvider {
        let variable = ("OS_CLIENT_CONFIG_FILE".to_owned(), self.clouds.clone());
        let surroundings = Surroundings::new([variable], Vec::<PathBuf>::new());
        let key: CloudKey = format!("nova@cloud={cloud}").parse().expect("a key");
        let place = Place {
            key: &key,
            user_domain: None,
        };
        let mut settings = resolve(&place, None, &surroundings).expect("the file is complete");
        // Lists of this cloud do not lag; half a minute for each check would.
        settings.settle = Millis::from_secs(1);
        OpenStackProvider::open(settings).expect("no call is made")
    }

    /// Returns the section of the smallest server, with more keys.
    pub(crate) fn section(&self, more: &[(&'static str, Value)]) -> Vec<(&'static str, Value)> {
        let mut section: Vec<(&'static str, Value)> = vec![
            ("image_id", self.image.as_str().into()),
            ("flavor_name", self.flavor.as_str().into()),
            ("network_id", self.network.as_str().into()),
        ];
        section.retain(|(key, _)| more.iter().all(|(other, _)| key != other));
        section.extend_from_slice(more);
        section
    }

    /// Returns how the administrator sees the cloud.
    pub(crate) async fn administrator(&self) -> Administrator {
        let text = std::fs::read_to_string(&self.clouds).expect("the file is there");
        let endpoint = text
            .split("auth_url: ")
            .nth(1)
            .and_then(|rest| rest.lines().next());
        Administrator::enter(endpoint.expect("an endpoint").trim()).await
    }
}

/// Makes an infrastructure that nothing has used before.
pub(crate) fn fresh(name: &str) -> InfrastructureId {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("after 1970");
    InfrastructureId::new(format!("{name}.{:012x}", now.as_nanos() & 0xffff_ffff_ffff))
}

/// Looks until something holds.
pub(crate) async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < until, "{what}: not within {PATIENCE:?}");
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

/// Says whether a failure is one that a repetition may not meet.
fn passes(error: &ProviderError) -> bool {
    matches!(error.class, ErrorClass::Retryable | ErrorClass::Unknown)
}

/// Creates as the engine does: what fails in passing is repeated with the same token.
pub(crate) async fn create(provider: &OpenStackProvider, wanted: CreateRequest) -> ResourceView {
    let until = Instant::now() + PATIENCE;
    loop {
        match provider.create(wanted.clone()).await {
            Ok(view) => return view,
            Err(error) => assert!(passes(&error) && Instant::now() < until, "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

/// Looks as the engine does: again if the answer did not come.
pub(crate) async fn observe(
    provider: &OpenStackProvider,
    infrastructure: &InfrastructureId,
    scope: ObserveScope,
) -> Vec<ResourceView> {
    eventually("the cloud is looked at", async || {
        match provider
            .observe(infrastructure.clone(), scope.clone())
            .await
        {
            Ok(views) => Some(views),
            Err(error) => {
                assert_eq!(error.class, ErrorClass::Retryable, "{error}");
                None
            }
        }
    })
    .await
}

/// Deletes all of an infrastructure, and shows by the ledger that nothing is left.
pub(crate) async fn clear(
    world: &World,
    provider: &OpenStackProvider,
    infrastructure: &InfrastructureId,
) {
    eventually("the servers are gone", async || {
        let views = observe(provider, infrastructure, ObserveScope::All).await;
        for view in views
            .iter()
            .filter(|view| view.state != ResourceState::Deleting)
        {
            let deleted = provider
                .delete(infrastructure.clone(), view.resource.clone())
                .await;
            if let Err(error) = deleted {
                assert!(passes(&error), "{error}");
            }
        }
        views.is_empty().then_some(())
    })
    .await;
    eventually("what is left is released", async || {
        match provider.release(infrastructure.clone()).await {
            Ok(()) => Some(()),
            Err(error) => {
                assert!(passes(&error), "{error}");
                None
            }
        }
    })
    .await;
    let left = world.administrator().await.ledger(infrastructure).await;
    assert!(left.is_empty(), "left behind: {left:?}");
}

struct RealTime;

impl Pause for RealTime {
    fn pause(&self, span: Millis) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(tokio::time::sleep(Duration::from_millis(span.0)))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_conformance_suite_passes() {
    let Some(world) = World::find("the_conformance_suite_passes").await else {
        return;
    };
    let provider = world.open("demo");
    let setup = Setup {
        provider: &provider,
        pause: &RealTime,
        infrastructure: fresh("conformance"),
        foreign: fresh("foreign"),
        rendered: rendered(&world.section(&[])),
        // Servers of the fake hypervisor answer nobody.
        probe: ProbeSpec::default(),
        poll: Millis(500),
        ready_max: Millis::from_secs(120),
    };
    let report = conformance::run(&setup).await.expect("conforms");
    assert!(report.passed.len() >= 8, "{report:?}");
    println!("passed: {:?}, skipped: {:?}", report.passed, report.skipped);
    clear(&world, &provider, &setup.infrastructure).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn creations_that_nobody_waits_for_make_one_server() {
    let Some(world) = World::find("creations_that_nobody_waits_for_make_one_server").await else {
        return;
    };
    let count = if std::env::var("ZENEKAR_TEST_BUDGET").as_deref() == Ok("quick") {
        6
    } else {
        30
    };
    let provider = Arc::new(world.open("demo"));
    let infrastructure = fresh("cancelled");
    let places = Arc::new(Semaphore::new(CREATIONS_AT_ONCE));
    let mut tries = JoinSet::new();
    for number in 1..=count {
        let (provider, infrastructure) = (provider.clone(), infrastructure.clone());
        let section = if number % 3 == 0 {
            world.section(&[("floating_ip", "yes".into())])
        } else {
            world.section(&[])
        };
        let places = places.clone();
        tries.spawn(async move {
            let _place = places.acquire().await;
            let wanted = request(&infrastructure, number, &section);
            // Between before the first call and after the last one.
            let patience = Duration::from_millis(u64::from(number) * 97 % 1500);
            let first = tokio::time::timeout(patience, provider.create(wanted.clone())).await;
            let second = create(&provider, wanted).await;
            if let Ok(first) = first {
                assert_eq!(first.expect("created").resource, second.resource);
            }
            second.resource
        });
    }
    let mut resources = Vec::new();
    while let Some(done) = tries.join_next().await {
        resources.push(done.expect("no panic"));
    }
    resources.sort();
    resources.dedup();
    assert_eq!(resources.len(), count as usize);
    let ledger = world.administrator().await.ledger(&infrastructure).await;
    let servers = ledger
        .iter()
        .filter(|one| one.starts_with("servers "))
        .count();
    assert_eq!(servers, count as usize, "{ledger:?}");
    let views = observe(&provider, &infrastructure, ObserveScope::All).await;
    assert_eq!(views.len(), count as usize, "nothing else is shown");
    clear(&world, &provider, &infrastructure).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_others_do_to_a_server_is_seen() {
    let Some(world) = World::find("what_others_do_to_a_server_is_seen").await else {
        return;
    };
    let provider = world.open("demo");
    let infrastructure = fresh("others");
    let wanted = request(&infrastructure, 1, &world.section(&[]));
    let created = create(&provider, wanted).await;
    let look = async || {
        let scope = ObserveScope::Resources(vec![created.resource.clone()]);
        let views = observe(&provider, &infrastructure, scope).await;
        views.into_iter().next()
    };
    let running = eventually("the server runs", async || {
        look()
            .await
            .filter(|view| view.state == ResourceState::Running)
    })
    .await;
    assert!(
        running
            .addresses
            .primary()
            .is_some_and(|address| address.starts_with("10.70.")),
        "{running:?}"
    );
    let log = LogRequest {
        resource: created.resource.clone(),
        source: LogSource::Console,
        from: 5,
        bytes_max: 7,
    };
    let chunk = provider
        .log(infrastructure.clone(), log)
        .await
        .expect("read");
    assert_eq!(
        (chunk.data.as_slice(), chunk.next),
        (b"CONSOLE".as_slice(), 12)
    );
    let administrator = world.administrator().await;
    let path = format!(":8774/v2.1/servers/{}", created.resource);
    let stop = json!({"os-stop": null});
    administrator
        .call(Method::POST, &format!("{path}/action"), Some(stop))
        .await;
    let stopped = eventually("the server is stopped", async || {
        look()
            .await
            .filter(|view| view.state == ResourceState::Stopped)
    })
    .await;
    assert_eq!(stopped.detail.as_deref(), Some("the status is SHUTOFF"));
    // A new name changes nothing: what it is stands in the metadata.
    let renamed = json!({"server": {"name": "renamed"}});
    administrator.call(Method::PUT, &path, Some(renamed)).await;
    let views = observe(&provider, &infrastructure, ObserveScope::All).await;
    assert_eq!(views.len(), 1);
    administrator.call(Method::DELETE, &path, None).await;
    eventually("the server is gone", async || {
        look().await.is_none().then_some(())
    })
    .await;
    clear(&world, &provider, &infrastructure).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_and_missing_things_are_told_before_and_after() {
    let Some(world) = World::find("limits_and_missing_things_are_told_before_and_after").await
    else {
        return;
    };
    let provider = world.open("narrow");
    let infrastructure = fresh("narrow");
    let node = |name: &str, count, section: &[(&'static str, Value)]| CheckNode {
        name: name.to_owned(),
        count,
        rendered: rendered(&world.section(section)),
    };
    let huge = "x".repeat(49_150);
    let mut large = node("large", 1, &[]);
    large.rendered.user_data = Some(huge);
    let nodes = vec![
        node("fine", 1, &[]),
        node("image", 1, &[("image_id", "none".into())]),
        node("twin", 1, &[("image_id", "twin".into())]),
        node("wide", 1, &[("image_id", "wide".into())]),
        node("flavor", 1, &[("flavor_name", "none".into())]),
        node("key", 1, &[("key_name", "none".into())]),
        node("network", 1, &[("network_id", "none".into())]),
        node("group", 1, &[("security_groups", "none".into())]),
        node("zone", 1, &[("availability_zone", "moon".into())]),
        node("volume", 1, &[("volume_size", 5.into())]),
        node("address", 1, &[("floating_ip", "yes".into())]),
        node("setting", 1, &[("ports", "http".into())]),
        large,
    ];
    let check = CheckRequest {
        infrastructure: infrastructure.clone(),
        nodes,
    };
    let problems = provider.check(check).await.expect("checked");
    let find = |node: &str| {
        problems
            .iter()
            .find(|problem| problem.nodes.iter().any(|one| one == node))
            .unwrap_or_else(|| panic!("nothing of `{node}` in {problems:#?}"))
    };
    for (name, kind, key) in [
        ("image", ProblemKind::Image, Some("image_id")),
        ("twin", ProblemKind::Image, Some("image_id")),
        ("wide", ProblemKind::InstanceType, Some("flavor_name")),
        ("flavor", ProblemKind::InstanceType, Some("flavor_name")),
        ("key", ProblemKind::KeyPair, Some("key_name")),
        ("network", ProblemKind::Network, Some("network_id")),
        ("group", ProblemKind::SecurityGroup, Some("security_groups")),
        ("zone", ProblemKind::Setting, Some("availability_zone")),
        ("volume", ProblemKind::Volume, Some("volume_size")),
        ("setting", ProblemKind::Setting, Some("ports")),
        ("large", ProblemKind::UserData, None),
    ] {
        let problem = find(name);
        assert_eq!(
            (problem.kind, problem.key.as_deref()),
            (kind, key),
            "{problem:?}"
        );
    }
    let quota: Vec<&str> = problems
        .iter()
        .filter(|problem| problem.kind == ProblemKind::Quota)
        .map(|problem| problem.message.as_str())
        .collect();
    assert!(
        quota.iter().any(
            |text| text.starts_with("the limit of `instances` is 2: 0 are in use, and 12 more")
        ),
        "{quota:?}"
    );
    assert!(
        quota
            .iter()
            .any(|text| text.starts_with("the limit of `floating_ips` is 0")),
        "{quota:?}"
    );
    assert!(
        problems
            .iter()
            .all(|problem| !problem.nodes.iter().any(|one| one == "fine"))
    );
    for number in 1..=2 {
        let wanted = request(&infrastructure, number, &world.section(&[]));
        create(&provider, wanted).await;
    }
    let error = provider
        .create(request(&infrastructure, 3, &world.section(&[])))
        .await;
    let error = error.expect_err("over the limit");
    assert_eq!(error.class, ErrorClass::Quota, "{error}");
    clear(&world, &provider, &infrastructure).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_application_credential_is_as_good_as_a_password() {
    let Some(world) = World::find("an_application_credential_is_as_good_as_a_password").await
    else {
        return;
    };
    let provider = world.open("robot");
    let identity = provider.identity().await.expect("known");
    assert_eq!(
        (identity.account.as_str(), identity.user.as_deref()),
        ("demo", Some("demo"))
    );
    assert!(
        identity.product.starts_with("OpenStack, Nova 2.1 to 2."),
        "{identity:?}"
    );
    let query = ImageQuery {
        text: Some("TIN".to_owned()),
        count_max: 10,
    };
    let images = provider.images(query).await.expect("listed");
    assert_eq!(
        images
            .iter()
            .map(|image| image.name.as_str())
            .collect::<Vec<_>>(),
        ["tiny"]
    );
    let offers = provider.offers().await.expect("listed");
    let micro = offers
        .iter()
        .find(|offer| offer.name == "t1.micro")
        .expect("is there");
    assert_eq!(
        (micro.cores, micro.memory_mib, micro.disk_gib),
        (Some(1), Some(64), Some(1))
    );
    let quota = provider.quota().await.expect("told");
    for name in [
        "instances",
        "cores",
        "memory_mib",
        "ports",
        "floating_ips",
        "security_groups",
    ] {
        let item = quota
            .iter()
            .find(|item| item.name == name)
            .unwrap_or_else(|| panic!("{name}"));
        assert!(item.limit.is_some() && item.used.is_some(), "{item:?}");
    }
    let infrastructure = fresh("robot");
    let wanted = request(&infrastructure, 1, &world.section(&[]));
    let created = create(&provider, wanted).await;
    let owned = provider.owned().await.expect("listed");
    let own = owned
        .iter()
        .find(|one| one.id == created.resource)
        .expect("is listed");
    assert_eq!(
        (own.kind, &own.infrastructure),
        (OwnedKind::Instance, &infrastructure)
    );
    assert_eq!(own.name, "web/1");
    provider.delete_owned(own.clone()).await.expect("deleted");
    clear(&world, &provider, &infrastructure).await;
}
