//! Ports that earlier attempts have left, and ports of others.

use serde_json::{Value as Json, json};
use zenekar_base::{InfrastructureId, ResourceId, Value};
use zenekar_provider::{CreateRequest, Deleted, Provider};

use crate::peer::{Asked, Peer, ok, status};
use crate::world::request;

fn infrastructure() -> InfrastructureId {
    InfrastructureId::new("shop.0123456789ab")
}

fn wanted(groups: &[&str]) -> CreateRequest {
    let mut section: Vec<(&str, Value)> = vec![
        ("image_id", "tiny".into()),
        ("flavor_name", "t1.micro".into()),
        ("floating_ip", "yes".into()),
    ];
    if !groups.is_empty() {
        let groups = groups.iter().map(|group| (*group).into()).collect();
        section.push(("security_groups", Value::List(groups)));
    }
    request(&infrastructure(), 1, &section)
}

fn mark() -> String {
    let instance = wanted(&[]).instance;
    format!("zenekar shop.0123456789ab instance={instance}")
}

/// Starts a cloud in which an earlier attempt has left a port.
fn cloud_with(port: &Json) -> Peer {
    let mut port = port.clone();
    port["id"] = "left".into();
    port["name"] = mark().into();
    Peer::start(move |asked| match (asked.method.as_str(), asked.path()) {
        ("GET", "/network/v2.0/ports") => Some(ok(json!({"ports": [port]}))),
        ("GET", "/network/v2.0/security-groups") => {
            let all = ["default", "front", "back"];
            let shown = all.iter().filter(|name| {
                let is_by_name = asked.target.contains("name=");
                !is_by_name || asked.target.contains(&format!("name={name}"))
            });
            let shown = shown.map(|name| json!({"id": format!("id-{name}"), "name": name}));
            Some(ok(json!({"security_groups": shown.collect::<Vec<_>>()})))
        }
        ("DELETE", _) => Some(status(204, Json::Null)),
        _ => None,
    })
}

/// Creates there, and says which port the server got, and what was deleted.
async fn create_at(port: Json, groups: &[&str]) -> (String, Vec<String>) {
    let peer = cloud_with(&port);
    let provider = peer.provider();
    provider.create(wanted(groups)).await.expect("created");
    let asked = peer.asked();
    let server = asked
        .iter()
        .find(|one| one.is("POST", "/compute/v2.1/servers"));
    let server = &server.expect("it is made").body["server"];
    let got = server["networks"][0]["port"].as_str().expect("a port");
    (got.to_owned(), deletions(&peer))
}

fn deletions(peer: &Peer) -> Vec<String> {
    let asked = peer.asked();
    let deleted = asked.iter().filter(|one| one.method == "DELETE");
    deleted.map(Asked::path).map(str::to_owned).collect()
}

#[tokio::test]
async fn a_port_of_an_earlier_attempt_is_used_if_it_is_as_wanted() {
    let fitting: [(Json, &[&str]); 4] = [
        (
            json!({"network_id": "n1", "security_groups": ["id-default"]}),
            &[],
        ),
        (json!({"network_id": "n1", "security_groups": []}), &[]),
        (
            json!({"network_id": "n1", "security_groups": ["id-front", "id-back"]}),
            &["back", "front"],
        ),
        // An installation that does not tell.
        (json!({}), &["front"]),
    ];
    for (port, groups) in fitting {
        let told = port.to_string();
        let (got, deleted) = create_at(port, groups).await;
        assert_eq!((got.as_str(), deleted), ("left", Vec::new()), "{told}");
    }
}

#[tokio::test]
async fn a_port_that_is_not_as_wanted_any_more_is_made_anew() {
    let stale: [(Json, &[&str]); 5] = [
        (
            json!({"network_id": "n9", "security_groups": ["id-default"]}),
            &[],
        ),
        (
            json!({"network_id": "n1", "security_groups": ["id-front"]}),
            &[],
        ),
        (
            json!({"network_id": "n1", "security_groups": ["id-front"]}),
            &["back"],
        ),
        (
            json!({"network_id": "n1", "security_groups": ["id-front", "id-back"]}),
            &["back"],
        ),
        (
            json!({"network_id": "n1", "security_groups": []}),
            &["back"],
        ),
    ];
    for (port, groups) in stale {
        let told = port.to_string();
        let (got, deleted) = create_at(port, groups).await;
        assert_eq!(got, "port1", "{told}");
        assert_eq!(deleted, ["/network/v2.0/ports/left"], "{told}");
    }
    // A server of an earlier attempt has it: it goes with that server.
    let used = json!({"network_id": "n9", "security_groups": [], "device_id": "s1"});
    assert_eq!(create_at(used, &[]).await, ("port1".to_owned(), Vec::new()));
}

#[tokio::test]
async fn a_port_without_the_mark_of_the_server_is_not_deleted_with_it() {
    let instance = wanted(&[]).instance;
    let cases = [
        (mark(), true),
        ("the database's own".to_owned(), false),
        (String::new(), false),
        ("zenekar other instance=1".to_owned(), false),
        ("zenekar shop.0123456789ab instance=other".to_owned(), false),
    ];
    for (name, is_ours) in cases {
        let (instance, port) = (instance.clone(), json!({"id": "port1", "name": name}));
        let peer = Peer::start(move |asked| match (asked.method.as_str(), asked.path()) {
            ("GET", "/compute/v2.1/servers/new") => Some(ok(json!({"server": {
                "id": "new", "status": "ACTIVE", "addresses": {},
                "metadata": {"zenekar_infrastructure": "shop.0123456789ab",
                    "zenekar_instance": instance.as_str(), "zenekar_port": "port1"}}}))),
            ("GET", "/network/v2.0/ports") => Some(ok(json!({"ports": [port]}))),
            ("DELETE", _) => Some(status(204, Json::Null)),
            _ => None,
        });
        let resource = ResourceId::new("new");
        let deleted = peer.provider().delete(infrastructure(), resource).await;
        assert_eq!(deleted, Ok(Deleted::Accepted), "{name}");
        let mut expected = vec!["/compute/v2.1/servers/new"];
        if is_ours {
            expected.insert(0, "/network/v2.0/ports/port1");
        }
        assert_eq!(deletions(&peer), expected, "{name}");
    }
}
