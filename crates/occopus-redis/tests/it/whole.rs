//! A whole installation.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use zenekar_base::Value;
use zenekar_diagnostics::SourceMap;
use zenekar_occopus::{LoadOptions, load_text};
use zenekar_occopus_redis::{Installation, ReadError, ReadOptions, RemovalRequest, read};

use crate::server::Server;

const CLUSTER: &str = "11111111-2222-3333-4444-555555555555";

fn all(server: &Server) -> Installation {
    read(&server.url(), &ReadOptions::default()).expect("the server can be read")
}

#[test]
fn everything_that_was_stored_is_read() {
    let Some(server) = Server::of_occopus(&[]) else {
        return;
    };
    let found = all(&server);
    let owners: Vec<(&str, &str)> = found
        .infrastructures
        .iter()
        .map(|one| (one.owner.user.as_str(), one.owner.id.as_str()))
        .collect();
    assert_eq!(owners, [("ada", CLUSTER), ("bob", "micado_worker_infra")]);
    let cluster = &found.infrastructures[0];
    assert_eq!(cluster.problems, Vec::<String>::new());
    assert_eq!(cluster.name, "cluster");
    assert_eq!(cluster.user_id, Value::from("ada@example.org"));
    assert!(cluster.has_description && cluster.was_complete && !cluster.suspended);
    assert_eq!(
        cluster.variables.get("note"),
        Some(&Value::from("first line\nsecond line"))
    );
    let nodes: Vec<(&str, &str)> = cluster
        .nodes
        .iter()
        .map(|node| (node.name.as_str(), node.type_name.as_str()))
        .collect();
    assert_eq!(
        nodes,
        [("master", "cluster_master"), ("worker", "cluster_worker")]
    );
    let ends = (
        cluster.dependencies[0].dependent.as_str(),
        cluster.dependencies[0].dependee.as_str(),
    );
    assert_eq!(
        (cluster.dependencies.len(), ends),
        (1, ("worker", "master"))
    );
    let instances: Vec<(&str, &str, &str, i64)> = cluster
        .instances
        .iter()
        .map(|one| {
            (
                one.node.as_str(),
                one.provider.as_str(),
                one.resource.as_str(),
                one.started_at_ms,
            )
        })
        .collect();
    assert_eq!(
        instances,
        [
            ("master", "ec2", "i-0a0001", 1_606_123_450_500),
            ("worker", "ec2", "i-0a0002", 1_606_123_460_250),
            ("worker", "ec2", "i-0a0003", 1_606_123_465_000),
            ("worker", "ec2", "i-0a0004", 1_606_123_470_100),
        ],
        "the oldest first"
    );
    let counts = BTreeMap::from([("master".to_owned(), 1), ("worker".to_owned(), 3)]);
    assert_eq!(cluster.counts, counts);
    assert_eq!(cluster.failed, BTreeMap::from([("worker".to_owned(), 1)]));
    let nobody = BTreeSet::new();
    assert_eq!(cluster.failing, nobody, "the one that failed is long gone");
    let types: Vec<(&str, &str)> = found
        .definitions
        .iter()
        .map(|one| (one.user.as_str(), one.name.as_str()))
        .collect();
    assert_eq!(
        types,
        [
            ("ada", "cluster_master"),
            ("ada", "cluster_worker"),
            ("bob", "micado-worker"),
        ]
    );
}

#[test]
fn requests_that_nobody_worked_off_are_read() {
    let Some(server) = Server::of_occopus(&[]) else {
        return;
    };
    let found = all(&server);
    let micado = &found.infrastructures[1];
    assert_eq!(
        micado.instances[0].resource, "f00dcafe",
        "as Docker calls it"
    );
    assert_eq!(
        micado.more,
        BTreeMap::from([("micado-worker".to_owned(), 1)])
    );
    assert_eq!(
        micado.fewer,
        [RemovalRequest {
            node: "micado-worker".to_owned(),
            instance: Some("10.0.0.99".to_owned()),
        }]
    );
    assert!(
        micado
            .failing
            .contains("bbbbbbbb-0000-4000-8000-000000000001")
    );
    assert!(micado.has_notification && !micado.was_complete);
}

#[test]
fn what_was_read_is_a_descriptor_again() {
    let Some(server) = Server::of_occopus(&[]) else {
        return;
    };
    let found = all(&server);
    for infrastructure in &found.infrastructures {
        let (text, borrowed) = infrastructure.descriptor(&found);
        assert_eq!(borrowed, Vec::<String>::new());
        let loaded = load_text(
            "stored",
            &text,
            &LoadOptions::default(),
            &mut SourceMap::default(),
        );
        let topology = loaded
            .topology
            .unwrap_or_else(|| panic!("{text}\n{:?}", loaded.diagnostics));
        assert_eq!(topology.name(), infrastructure.name);
        assert_eq!(topology.nodes().len(), infrastructure.nodes.len());
    }
    let cluster = &found.infrastructures[0];
    let (text, _) = cluster.descriptor(&found);
    let loaded = load_text(
        "stored",
        &text,
        &LoadOptions::default(),
        &mut SourceMap::default(),
    );
    let topology = loaded.topology.expect("as above");
    let worker = &topology.nodes()[1];
    assert_eq!((worker.count.min, worker.count.max), (2, 5));
    assert_eq!(
        worker.references.len(),
        1,
        "its template asks for the master"
    );
    assert_eq!(worker.dependencies.len(), 1);
}

#[test]
fn a_definition_that_is_gone_is_taken_from_an_instance() {
    let Some(server) = Server::of_occopus(&[]) else {
        return;
    };
    server.set("1", &["DEL", "ada@cluster_worker"]);
    let found = all(&server);
    let (text, borrowed) = found.infrastructures[0].descriptor(&found);
    assert_eq!(borrowed, ["cluster_worker"]);
    let loaded = load_text(
        "stored",
        &text,
        &LoadOptions::default(),
        &mut SourceMap::default(),
    );
    assert!(
        loaded.topology.is_some(),
        "{text}\n{:?}",
        loaded.diagnostics
    );
}

#[test]
fn only_what_is_asked_for_is_read() {
    let Some(server) = Server::of_occopus(&[]) else {
        return;
    };
    let options = ReadOptions {
        ids: Some(BTreeSet::from([CLUSTER.to_owned(), "not-there".to_owned()])),
        ..ReadOptions::default()
    };
    let found = read(&server.url(), &options).expect("the server can be read");
    assert_eq!(found.infrastructures.len(), 1);
    let others: Vec<&str> = found.others.iter().map(|one| one.id.as_str()).collect();
    assert_eq!(others, ["micado_worker_infra"], "and the others are named");
}

#[test]
fn a_caller_that_may_only_read_is_enough() {
    let Some(server) = Server::of_occopus(&[]) else {
        return;
    };
    // Whatever else is sent, the server refuses.
    server.set(
        "0",
        &[
            "ACL", "SETUSER", "reader", "on", ">secret", "~*", "-@all", "+@read", "+select",
        ],
    );
    let url = server.url() + "?user=reader&pass=secret";
    let found = read(&url, &ReadOptions::default()).expect("reading is enough");
    assert_eq!(found.infrastructures.len(), 2);
}

#[test]
fn a_wrong_password_is_refused_and_not_repeated() {
    let Some(server) = Server::start(&["--requirepass", "right-one"]) else {
        return;
    };
    for url in [server.url() + "?pass=wrong-one", server.url()] {
        let error = read(&url, &ReadOptions::default()).expect_err("the password is wrong");
        assert!(
            matches!(error, ReadError::Authentication { .. }),
            "{error:?}"
        );
        assert!(!error.to_string().contains("wrong-one"), "{error}");
    }
    let url = server.url() + "?pass=right-one";
    let found = read(&url, &ReadOptions::default()).expect("the password is right");
    assert_eq!(found, Installation::default());
}

#[test]
fn a_server_that_is_not_there_is_told_at_once() {
    let started = Instant::now();
    let error = read("redis://:secret@127.0.0.1:1", &ReadOptions::default())
        .expect_err("nothing listens there");
    assert!(matches!(error, ReadError::Connect { .. }), "{error:?}");
    assert!(error.to_string().contains("127.0.0.1:1"), "{error}");
    assert!(!error.to_string().contains("secret"), "{error}");
    assert!(started.elapsed().as_secs() < 20);
    let error = read("http://example.org", &ReadOptions::default()).expect_err("no address");
    assert!(matches!(error, ReadError::Address { .. }), "{error:?}");
}
