//! Floating addresses, security groups and server groups of a real Neutron and Nova.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Value as Json, json};
use tokio::task::JoinSet;
use zenekar_base::{ResourceState, Value};
use zenekar_http::Method;
use zenekar_provider::{Deleted, ObserveScope, OwnedKind, Provider};

use crate::openstack::{World, clear, create, eventually, fresh, observe};
use crate::world::{request, section};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_floating_address_lives_as_long_as_its_server() {
    let Some(world) = World::find("a_floating_address_lives_as_long_as_its_server").await else {
        return;
    };
    let provider = world.open("demo");
    let infrastructure = fresh("floating");
    let section = world.section(&[("floating_ip_pool", world.pool.as_str().into())]);
    let wanted = request(&infrastructure, 1, &section);
    let created = create(&provider, wanted.clone()).await;
    let again = create(&provider, wanted).await;
    assert_eq!(again.resource, created.resource);
    let running = eventually("the server runs", async || {
        let views = observe(&provider, &infrastructure, ObserveScope::All).await;
        assert_eq!(views.len(), 1, "{views:?}");
        views
            .into_iter()
            .find(|view| view.state == ResourceState::Running)
    })
    .await;
    let (public, private) = (running.addresses.primary(), running.addresses.private());
    assert!(
        public.is_some_and(|address| address.starts_with("10.60.0.")),
        "{running:?}"
    );
    assert!(
        private.is_some_and(|address| address.starts_with("10.70.")),
        "{running:?}"
    );
    let owned = provider.owned().await.expect("listed");
    let kinds: BTreeSet<OwnedKind> = owned
        .iter()
        .filter(|one| one.infrastructure == infrastructure)
        .map(|one| one.kind)
        .collect();
    let expected = [OwnedKind::Instance, OwnedKind::Address, OwnedKind::Port];
    assert_eq!(kinds, BTreeSet::from(expected));
    let deleted = provider
        .delete(infrastructure.clone(), created.resource.clone())
        .await;
    assert_eq!(deleted, Ok(Deleted::Accepted));
    let administrator = world.administrator().await;
    // No second call: the engine forgets what was accepted and is not shown any more.
    eventually("all of it is gone", async || {
        administrator
            .ledger(&infrastructure)
            .await
            .is_empty()
            .then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_of_the_user_is_taken_and_left() {
    let Some(world) = World::find("an_address_of_the_user_is_taken_and_left").await else {
        return;
    };
    // A project in which no other test takes free addresses meanwhile.
    let provider = world.open("narrow");
    let administrator = world.administrator().await;
    let (_, projects) = administrator
        .call(Method::GET, ":5000/v3/projects?name=narrow", None)
        .await;
    let project = projects["projects"][0]["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    let (_, networks) = administrator
        .call(Method::GET, ":9696/v2.0/networks?name=external", None)
        .await;
    let body = json!({"floatingip": {"tenant_id": project,
        "floating_network_id": networks["networks"][0]["id"], "description": "the user's"}});
    let set_limit = async |limit: u32| {
        let body = json!({"quota": {"floatingip": limit}});
        let path = format!(":9696/v2.0/quotas/{project}");
        administrator.call(Method::PUT, &path, Some(body)).await;
    };
    set_limit(1).await;
    let (_, made) = administrator
        .call(Method::POST, ":9696/v2.0/floatingips", Some(body))
        .await;
    set_limit(0).await;
    let address = made["floatingip"].clone();
    let path = format!(
        ":9696/v2.0/floatingips/{}",
        address["id"].as_str().expect("an id")
    );
    let infrastructure = fresh("taken");
    let section = world.section(&[("floating_ip", "yes".into())]);
    let created = create(&provider, request(&infrastructure, 1, &section)).await;
    let (_, taken) = administrator.call(Method::GET, &path, None).await;
    assert!(taken["floatingip"]["port_id"].is_string());
    // There is no second one, and no more may be allocated. The port that was
    // made for it is shown as what nothing wants.
    let wanted = request(&infrastructure, 2, &section);
    let error = provider
        .create(wanted.clone())
        .await
        .expect_err("none is left");
    assert_eq!(error.class, zenekar_base::ErrorClass::Quota, "{error}");
    let views = observe(&provider, &infrastructure, ObserveScope::All).await;
    let port = views
        .iter()
        .find(|view| view.resource != created.resource)
        .expect("a port");
    assert!(port.resource.as_str().starts_with("port:"), "{port:?}");
    assert_ne!(port.instance, wanted.instance);
    let gone = provider
        .delete(infrastructure.clone(), port.resource.clone())
        .await;
    assert_eq!(gone, Ok(Deleted::Gone));
    clear(&world, &provider, &infrastructure).await;
    let (_, left) = administrator.call(Method::GET, &path, None).await;
    assert_eq!(left["floatingip"]["port_id"], Json::Null);
    administrator.call(Method::DELETE, &path, None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_declared_port_makes_one_group_for_all() {
    let Some(world) = World::find("a_declared_port_makes_one_group_for_all").await else {
        return;
    };
    let provider = Arc::new(world.open("demo"));
    let infrastructure = fresh("group");
    let narrow = section(&[
        ("port", 22.into()),
        (
            "from",
            Value::List(vec!["192.0.2.0/24".into(), "2001:db8::/32".into()]),
        ),
    ]);
    let ports = Value::List(vec![
        80.into(),
        "8000-8100".into(),
        "53/udp".into(),
        "icmp".into(),
        narrow,
    ]);
    let with_ports = world.section(&[("ports", ports)]);
    let mut wave = JoinSet::new();
    for number in 1..=4 {
        let (provider, wanted) = (
            provider.clone(),
            request(&infrastructure, number, &with_ports),
        );
        wave.spawn(async move { create(&provider, wanted).await });
    }
    while let Some(done) = wave.join_next().await {
        done.expect("no panic");
    }
    let owned = provider.owned().await.expect("listed");
    let groups: Vec<_> = owned
        .iter()
        .filter(|one| one.kind == OwnedKind::SecurityGroup && one.infrastructure == infrastructure)
        .collect();
    assert_eq!(groups.len(), 1, "{groups:?}");
    let administrator = world.administrator().await;
    let path = format!(
        ":9696/v2.0/security-group-rules?security_group_id={}&direction=ingress",
        groups[0].id
    );
    let (_, rules) = administrator.call(Method::GET, &path, None).await;
    assert_eq!(
        rules["security_group_rules"].as_array().map(Vec::len),
        Some(6)
    );
    // As long as a server has it, it stays, and the engine is told to come again.
    eventually("the servers have their ports", async || {
        let path = format!(":9696/v2.0/ports?security_groups={}", groups[0].id);
        let (_, ports) = administrator.call(Method::GET, &path, None).await;
        (ports["ports"].as_array().map(Vec::len) == Some(4)).then_some(())
    })
    .await;
    let error = provider
        .release(infrastructure.clone())
        .await
        .expect_err("in use");
    assert_eq!(error.class, zenekar_base::ErrorClass::Retryable, "{error}");
    // Another process, which remembers nothing, finds it too.
    let other = world.open("demo");
    create(&other, request(&infrastructure, 5, &with_ports)).await;
    let owned = other.owned().await.expect("listed");
    let own = owned
        .iter()
        .filter(|one| one.infrastructure == infrastructure);
    assert_eq!(
        own.filter(|one| one.kind == OwnedKind::SecurityGroup)
            .count(),
        1
    );
    clear(&world, &provider, &infrastructure).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_that_are_kept_apart_are_on_different_hosts() {
    let Some(world) = World::find("servers_that_are_kept_apart_are_on_different_hosts").await
    else {
        return;
    };
    let provider = Arc::new(world.open("demo"));
    let infrastructure = fresh("apart");
    let section = world.section(&[("anti_affinity", true.into())]);
    let mut wave = JoinSet::new();
    // The test cloud has three hosts.
    for number in 1..=3 {
        let (provider, wanted) = (provider.clone(), request(&infrastructure, number, &section));
        wave.spawn(async move { create(&provider, wanted).await });
    }
    let mut created = Vec::new();
    while let Some(done) = wave.join_next().await {
        created.push(done.expect("no panic"));
    }
    let administrator = world.administrator().await;
    let hosts = eventually("three servers run", async || {
        let mut hosts = BTreeSet::new();
        for view in &created {
            let path = format!(":8774/v2.1/servers/{}", view.resource);
            let (_, answer) = administrator.call(Method::GET, &path, None).await;
            let server = &answer["server"];
            assert_ne!(server["status"], "ERROR", "{server}");
            if server["status"] == "ACTIVE" {
                hosts.insert(server["OS-EXT-SRV-ATTR:host"].to_string());
            }
        }
        (hosts.len() == 3).then_some(hosts)
    })
    .await;
    assert_eq!(hosts.len(), 3);
    // A fourth finds no host: accepted, and failed a while later, with the reason.
    let fourth = create(&provider, request(&infrastructure, 4, &section)).await;
    let failed = eventually("the fourth fails", async || {
        let scope = ObserveScope::Resources(vec![fourth.resource.clone()]);
        let views = observe(&provider, &infrastructure, scope).await;
        views
            .into_iter()
            .find(|view| view.state == ResourceState::Failed)
    })
    .await;
    assert!(
        failed
            .detail
            .as_deref()
            .is_some_and(|text| text.contains("No valid host")),
        "{failed:?}"
    );
    let ledger = administrator.ledger(&infrastructure).await;
    assert_eq!(
        ledger
            .iter()
            .filter(|one| one.starts_with("server_groups"))
            .count(),
        1,
        "{ledger:?}"
    );
    clear(&world, &provider, &infrastructure).await;
}
