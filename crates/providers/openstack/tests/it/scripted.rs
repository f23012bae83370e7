//! What is asked of a cloud, told by a peer that writes it down.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value as Json, json};
use tokio::task::JoinSet;
use zenekar_base::{InfrastructureId, ResourceId, ResourceState, Value};
use zenekar_provider::{Deleted, ObserveScope, Provider};

use crate::peer::{Asked, Peer, ok, status};
use crate::world::request;

fn infrastructure() -> InfrastructureId {
    InfrastructureId::new("shop.0123456789ab")
}

fn tiny() -> Vec<(&'static str, Value)> {
    vec![
        ("image_id", "tiny".into()),
        ("flavor_name", "t1.micro".into()),
    ]
}

fn with(more: &[(&'static str, Value)]) -> Vec<(&'static str, Value)> {
    let mut entries = tiny();
    entries.extend_from_slice(more);
    entries
}

/// Returns the body of the only creation of a server.
fn created(peer: &Peer) -> Json {
    let asked = peer.asked();
    let bodies: Vec<&Json> = asked
        .iter()
        .filter(|one| one.is("POST", "/compute/v2.1/servers"))
        .map(|one| &one.body)
        .collect();
    assert_eq!(bodies.len(), 1, "one server is created");
    bodies[0].clone()
}

#[tokio::test]
async fn a_server_is_described_in_full() {
    let peer = Peer::start(|_| None);
    let wanted = request(
        &infrastructure(),
        3,
        &with(&[
            ("key_name", "me".into()),
            ("availability_zone", "nova".into()),
            ("config_drive", true.into()),
            ("network_id", "inner".into()),
            ("anti_affinity", true.into()),
        ]),
    );
    let view = peer
        .provider()
        .create(wanted.clone())
        .await
        .expect("created");
    assert_eq!(
        (view.resource.as_str(), view.state),
        ("new", ResourceState::Pending)
    );
    let body = created(&peer);
    let server = &body["server"];
    assert_eq!(server["imageRef"], "i1");
    assert_eq!(server["flavorRef"], "1");
    assert_eq!(server["networks"], json!([{"uuid": "n1"}]));
    assert_eq!(server["key_name"], "me");
    assert_eq!(server["availability_zone"], "nova");
    assert_eq!(server["config_drive"], true);
    assert_eq!(server["tags"], json!(["zenekar"]));
    assert_eq!(
        server["user_data"],
        "I2Nsb3VkLWNvbmZpZwpob3N0bmFtZTogZGVtbwo="
    );
    assert_eq!(
        server["metadata"],
        json!({
            "zenekar_infrastructure": "shop.0123456789ab",
            "zenekar_instance": wanted.instance.as_str(),
            "zenekar_token": wanted.token.as_str(),
            "zenekar_name": "web/3",
        })
    );
    let name = server["name"].as_str().expect("a name");
    assert!(name.starts_with("web-3-"), "{name}");
    assert_eq!(body["os:scheduler_hints"], json!({"group": "sg1"}));
    let asked = peer.asked();
    let group = asked
        .iter()
        .find(|one| one.is("POST", "/compute/v2.1/os-server-groups"));
    assert_eq!(
        group.expect("a group").body["server_group"]["policy"],
        "anti-affinity"
    );
}

#[tokio::test]
async fn volumes_are_made_and_deleted_by_nova() {
    for (size, persists, wanted) in [(0, false, 5), (0, true, 5), (20, false, 20)] {
        let peer = Peer::start(|_| None);
        let section = with(&[
            ("volume_size", size.into()),
            ("volume_persist", persists.into()),
        ]);
        let view = peer
            .provider()
            .create(request(&infrastructure(), 1, &section))
            .await;
        view.expect("created");
        let server = created(&peer)["server"].clone();
        assert_eq!(server["imageRef"], "");
        assert_eq!(
            server["block_device_mapping_v2"],
            json!([{
                "boot_index": 0, "uuid": "i1", "source_type": "image", "destination_type": "volume",
                "volume_size": wanted, "delete_on_termination": !persists,
            }])
        );
    }
}

#[tokio::test]
async fn old_installations_are_asked_in_their_words() {
    let peer = Peer::start(|asked| {
        asked
            .is("GET", "/compute/v2.1/")
            .then(|| ok(json!({"version": {"id": "v2.0", "version": ""}})))
    });
    let provider = peer.provider();
    let section = with(&[("anti_affinity", true.into())]);
    provider
        .create(request(&infrastructure(), 1, &section))
        .await
        .expect("created");
    provider
        .observe(infrastructure(), ObserveScope::All)
        .await
        .expect("listed");
    let identity = provider.identity().await.expect("told");
    assert_eq!(identity.product, "OpenStack, Nova without microversions");
    assert_eq!(created(&peer)["server"]["tags"], Json::Null);
    for asked in peer.asked() {
        assert!(
            !asked.headers.contains_key("openstack-api-version"),
            "{}",
            asked.target
        );
        if asked.is("POST", "/compute/v2.1/os-server-groups") {
            assert_eq!(
                asked.body["server_group"]["policies"],
                json!(["anti-affinity"])
            );
        }
    }
}

fn server_json(number: usize, infrastructure: &str) -> Json {
    json!({"id": format!("id-{number:04}"), "name": "n", "status": "ACTIVE",
        "metadata": {"zenekar_infrastructure": infrastructure, "zenekar_instance": format!("t{number}")},
        "addresses": {"inner": [{"addr": "10.0.0.9", "OS-EXT-IPS:type": "fixed"}]}})
}

#[tokio::test]
async fn lists_are_read_to_their_last_page() {
    let peer = Peer::start(|asked| {
        asked.is("GET", "/compute/v2.1/servers/detail").then(|| {
            let marker = asked.target.split("marker=id-").nth(1);
            let first = marker.map_or(0, |text| text.parse::<usize>().expect("a number") + 1);
            let last = (first + 100).min(250);
            let servers: Vec<Json> = (first..last)
                .map(|number| server_json(number, if number % 2 == 0 { "shop" } else { "other" }))
                .collect();
            let next = json!([{"rel": "next", "href": "http://not.the.address.of.this/peer"}]);
            ok(json!({"servers": servers, "servers_links": if last < 250 { next } else { json!([]) }}))
        })
    });
    let provider = peer.provider();
    let views = provider
        .observe(InfrastructureId::new("shop"), ObserveScope::All)
        .await;
    let views = views.expect("listed");
    assert_eq!(views.len(), 125);
    assert_eq!(peer.count("GET", "/compute/v2.1/servers/detail"), 3);
    assert_eq!(views[124].instance.as_str(), "t248");
    assert_eq!(views[0].addresses.primary(), Some("10.0.0.9"));
    // Batches of many cost a list too, and not a call for each.
    let some = views
        .iter()
        .take(50)
        .map(|view| view.resource.clone())
        .collect();
    let scope = ObserveScope::Resources(some);
    let some = provider
        .observe(InfrastructureId::new("shop"), scope)
        .await
        .expect("looked");
    assert_eq!(some.len(), 50);
    assert_eq!(peer.count("GET", "/compute/v2.1/servers/detail"), 6);
    // Where a server is, is known: a check of its health costs no call.
    let before = peer.asked().len();
    let spec = zenekar_base::ProbeSpec::default();
    provider
        .probe(
            InfrastructureId::new("shop"),
            ResourceId::new("id-0000"),
            spec,
        )
        .await
        .expect("checked");
    assert_eq!(peer.asked().len(), before);
}

#[tokio::test]
async fn a_wave_of_creations_costs_a_few_lists() {
    const COUNT: u32 = 50;
    let peer = Peer::start(|asked| {
        if asked.is("GET", "/compute/v2.1/servers/detail") {
            // So long that the others come meanwhile.
            std::thread::sleep(Duration::from_millis(50));
        }
        None
    });
    let provider = Arc::new(peer.provider());
    let mut wave = JoinSet::new();
    for number in 0..COUNT {
        let (provider, infrastructure) = (provider.clone(), infrastructure());
        wave.spawn(async move {
            provider
                .create(request(&infrastructure, number, &tiny()))
                .await
        });
    }
    while let Some(done) = wave.join_next().await {
        done.expect("no panic").expect("created");
    }
    assert_eq!(peer.count("POST", "/compute/v2.1/servers"), COUNT as usize);
    assert_eq!(peer.count("GET", "/compute/v2.1/flavors/detail"), 1);
    assert_eq!(peer.count("POST", "/v3/auth/tokens"), 1);
    assert_eq!(peer.count("GET", "/network/v2.0/networks"), 1);
    let lists = peer.count("GET", "/compute/v2.1/servers/detail");
    assert!(lists <= 5, "{lists} lists");
    println!(
        "{COUNT} creations: {} calls, of them {lists} lists",
        peer.asked().len()
    );
}

#[tokio::test]
async fn the_oldest_of_two_servers_is_the_instance_and_both_are_shown() {
    let wanted = request(&infrastructure(), 1, &tiny());
    let metadata = json!({"zenekar_infrastructure": "shop.0123456789ab",
        "zenekar_instance": wanted.instance.as_str(), "zenekar_token": wanted.token.as_str()});
    let peer = Peer::start(move |asked| {
        let server = |id: &str, created: &str| json!({"id": id, "status": "BUILD", "created": created, "metadata": metadata});
        asked.is("GET", "/compute/v2.1/servers/detail").then(|| {
            ok(json!({"servers": [server("young", "2026-01-01T00:00:02Z"), server("old", "2026-01-01T00:00:01Z")]}))
        })
    });
    let provider = peer.provider();
    let view = provider.create(wanted).await.expect("found");
    assert_eq!(view.resource.as_str(), "old");
    assert_eq!(peer.count("POST", "/compute/v2.1/servers"), 0);
    let views = provider
        .observe(infrastructure(), ObserveScope::All)
        .await
        .expect("listed");
    assert_eq!(views.len(), 2);
}

#[tokio::test]
async fn a_floating_address_comes_before_the_server_and_goes_before_it() {
    let wanted = request(
        &infrastructure(),
        1,
        &with(&[("floating_ip", "yes".into())]),
    );
    let mark = format!("zenekar shop.0123456789ab instance={}", wanted.instance);
    let instance = wanted.instance.clone();
    let (own, name) = (mark.clone(), mark.clone());
    let peer = Peer::start(move |asked| match (asked.method.as_str(), asked.path()) {
        ("GET", "/compute/v2.1/servers/new") => Some(ok(json!({"server": {
            "id": "new", "status": "ACTIVE", "addresses": {},
            "metadata": {"zenekar_infrastructure": "shop.0123456789ab",
                "zenekar_instance": instance.as_str(), "zenekar_port": "port1"}}}))),
        ("GET", "/network/v2.0/floatingips") if asked.target.contains("port_id=port1") => {
            Some(ok(json!({"floatingips": [
                {"id": "f1", "floating_ip_address": "192.0.2.7", "floating_network_id": "n2", "port_id": "port1", "description": own},
                {"id": "theirs", "floating_ip_address": "192.0.2.8", "floating_network_id": "n2", "port_id": "port1", "description": ""},
            ]})))
        }
        ("GET", "/network/v2.0/ports") if asked.target.contains("id=port1") => {
            Some(ok(json!({"ports": [{"id": "port1", "name": name}]})))
        }
        ("DELETE", _) => Some(status(204, Json::Null)),
        _ => None,
    });
    let provider = peer.provider();
    provider.create(wanted).await.expect("created");
    let server = created(&peer)["server"].clone();
    assert_eq!(server["networks"], json!([{"port": "port1"}]));
    assert_eq!(server["metadata"]["zenekar_port"], "port1");
    assert_eq!(server["metadata"]["zenekar_address"], "192.0.2.7");
    let asked = peer.asked();
    let allocated = asked
        .iter()
        .find(|one| one.is("POST", "/network/v2.0/floatingips"));
    assert_eq!(
        allocated.expect("allocated").body,
        json!({"floatingip": {
        "floating_network_id": "n2", "port_id": "port1", "description": mark}})
    );
    let deleted = provider
        .delete(infrastructure(), ResourceId::new("new"))
        .await;
    assert_eq!(deleted, Ok(Deleted::Accepted));
    let asked = peer.asked();
    let deletions: Vec<&str> = asked
        .iter()
        .filter(|one| one.method == "DELETE")
        .map(Asked::path)
        .collect();
    assert_eq!(
        deletions,
        [
            "/network/v2.0/floatingips/f1",
            "/network/v2.0/ports/port1",
            "/compute/v2.1/servers/new",
        ]
    );
}

#[tokio::test]
async fn a_free_floating_address_is_taken_unless_somebody_is_faster() {
    let peer = Peer::start(|asked| {
        let address = |id: &str, port: Json, description: &str| {
            json!({"id": id, "floating_ip_address": format!("192.0.2.{id}"), "floating_network_id": "n2",
                "port_id": port, "description": description, "revision_number": 4})
        };
        match (asked.method.as_str(), asked.path()) {
            ("GET", "/network/v2.0/floatingips") => Some(ok(json!({"floatingips": [
                address("1", "used".into(), ""),
                address("2", Json::Null, "zenekar other instance=x"),
                address("3", Json::Null, "faster"),
                address("4", Json::Null, ""),
            ]}))),
            ("PUT", "/network/v2.0/floatingips/3") => Some(status(
                412,
                json!({"NeutronError": {
                "type": "RevisionNumberConstraintFailed", "message": "Constrained to 4, but current revision is 5"}}),
            )),
            ("PUT", "/network/v2.0/floatingips/4") => {
                Some(ok(json!({"floatingip": address("4", "port1".into(), "")})))
            }
            _ => None,
        }
    });
    let section = with(&[("floating_ip_pool", "external".into())]);
    let peer_pool = Peer::start(|_| None);
    let missing = peer_pool
        .provider()
        .create(request(&infrastructure(), 1, &section))
        .await;
    assert!(
        missing
            .expect_err("no such pool")
            .message
            .contains("there is no network `external`")
    );
    let section = with(&[("floating_ip", "yes".into())]);
    peer.provider()
        .create(request(&infrastructure(), 1, &section))
        .await
        .expect("created");
    assert_eq!(
        created(&peer)["server"]["metadata"]["zenekar_address"],
        "192.0.2.4"
    );
    let asked = peer.asked();
    let tried: Vec<&str> = asked
        .iter()
        .filter(|one| one.method == "PUT")
        .map(Asked::path)
        .collect();
    assert_eq!(
        tried,
        ["/network/v2.0/floatingips/3", "/network/v2.0/floatingips/4"]
    );
    let condition = asked.iter().find_map(|one| one.headers.get("if-match"));
    assert_eq!(condition.map(String::as_str), Some("revision_number=4"));
    assert_eq!(peer.count("POST", "/network/v2.0/floatingips"), 0);
}

#[tokio::test]
async fn a_creation_that_nobody_waits_for_begins_no_other_change() {
    let (arrived, arrival) = std::sync::mpsc::channel();
    let (leave, left) = std::sync::mpsc::channel::<()>();
    let (arrived, left) = (Mutex::new(arrived), Mutex::new(left));
    let peer = Peer::start(move |asked| {
        if asked.is("POST", "/network/v2.0/ports") {
            let _ = arrived.lock().expect("whole").send(());
            // Answered when the caller is gone.
            let _ = left.lock().expect("whole").recv();
        }
        None
    });
    let provider = Arc::new(peer.provider());
    let wanted = request(
        &infrastructure(),
        1,
        &with(&[("floating_ip", "yes".into())]),
    );
    let task = tokio::spawn({
        let (provider, wanted) = (provider.clone(), wanted.clone());
        async move { provider.create(wanted).await }
    });
    tokio::task::spawn_blocking(move || arrival.recv())
        .await
        .expect("runs")
        .expect("arrives");
    task.abort();
    assert!(task.await.is_err_and(|error| error.is_cancelled()));
    leave.send(()).expect("heard");
    // The lock of the instance is free again only when the first one has ended.
    drop(leave);
    let view = provider.create(wanted).await.expect("created");
    assert_eq!(view.resource.as_str(), "new");
    let asked = peer.asked();
    let changes: Vec<&str> = asked
        .iter()
        .filter(|one| one.method == "POST")
        .map(Asked::path)
        .collect();
    assert_eq!(
        changes,
        [
            "/v3/auth/tokens",
            "/network/v2.0/ports",
            // The second creation; this peer does not remember ports.
            "/network/v2.0/ports",
            "/network/v2.0/floatingips",
            "/compute/v2.1/servers",
        ]
    );
}

#[tokio::test]
async fn what_was_told_to_go_and_is_not_there_is_gone() {
    let looks = AtomicUsize::new(0);
    let peer = Peer::start(move |asked| match (asked.method.as_str(), asked.path()) {
        ("GET", "/compute/v2.1/servers/id-0001") if looks.fetch_add(1, Ordering::SeqCst) < 2 => {
            Some(ok(json!({"server": server_json(1, "shop")})))
        }
        ("DELETE", "/compute/v2.1/servers/id-0001") => Some(status(204, Json::Null)),
        _ => None,
    });
    let provider = peer.provider();
    let (shop, resource) = (InfrastructureId::new("shop"), ResourceId::new("id-0001"));
    let deleted = provider.delete(shop.clone(), resource.clone()).await;
    assert_eq!(deleted, Ok(Deleted::Accepted));
    let look = async |of: &str| {
        let scope = ObserveScope::Resources(vec![resource.clone()]);
        provider
            .observe(InfrastructureId::new(of), scope)
            .await
            .expect("looked")
    };
    assert_eq!(look("shop").await[0].state, ResourceState::Running);
    assert_eq!(look("other").await, []);
    let gone = look("shop").await;
    assert_eq!(
        (gone[0].state, gone[0].instance.as_str()),
        (ResourceState::Gone, "t1")
    );
    assert_eq!(look("shop").await, []);
}
