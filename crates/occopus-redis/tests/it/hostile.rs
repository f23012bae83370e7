//! Values that nobody should believe.

use std::fmt::Write as _;

use zenekar_occopus_redis::{Infrastructure, ReadOptions, read};

use crate::server::Server;

const CLUSTER: &str = "11111111-2222-3333-4444-555555555555";

/// Reads the infrastructure in which something was replaced.
fn with(words: &[&str]) -> Option<Infrastructure> {
    let server = Server::of_occopus(&[])?;
    server.set("10", words);
    let found = read(&server.url(), &ReadOptions::default()).expect("the server can be read");
    let mut cluster = found.infrastructures.into_iter();
    Some(
        cluster
            .find(|one| one.owner.id == CLUSTER)
            .expect("it is still there"),
    )
}

fn key(rest: &str) -> String {
    format!("ada@{CLUSTER}:{rest}")
}

#[test]
fn nothing_of_what_is_stored_is_run() {
    let directory = tempfile::tempdir().expect("a folder for the test");
    let proof = directory.path().join("proof");
    let text = format!(
        "!!python/object/apply:os.system [\"touch {}\"]",
        proof.display()
    );
    let Some(found) = with(&["SET", &key("description"), &text]) else {
        return;
    };
    assert!(found.unreadable);
    assert_eq!(
        found.problems,
        ["its description cannot be read: it is not an object of Occopus's compiler"]
    );
    assert!(!proof.exists());
}

#[test]
fn a_value_that_is_far_too_large_is_not_fetched() {
    let offset = (40_u64 << 20).to_string();
    let Some(found) = with(&["SETRANGE", &key("description"), &offset, "x"]) else {
        return;
    };
    assert!(found.unreadable);
    assert!(
        found.problems[0].contains("more than 16777216"),
        "{:?}",
        found.problems
    );
}

#[test]
fn text_that_grows_while_it_is_read_is_given_up() {
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let alias = format!("*a{}", level - 1);
        let ten = vec![alias; 10].join(", ");
        let _ = writeln!(bomb, "a{level}: &a{level} [{ten}]");
    }
    let text = format!("!!python/object:occo.compiler.compiler.StaticDescription\n{bomb}");
    let Some(found) = with(&["SET", &key("description"), &text]) else {
        return;
    };
    assert!(found.unreadable);
}

#[test]
fn what_is_of_another_type_is_named() {
    let Some(found) = with(&["SET", &key("state:worker"), "text"]) else {
        return;
    };
    assert!(found.unreadable);
    assert_eq!(
        found.problems,
        ["the instances of node `worker` cannot be read: it is no hash"]
    );
}

#[test]
fn an_instance_without_what_matters_is_named() {
    for (text, problem) in [
        ("{node_id: x}", "it does not say what it was made from"),
        (
            "{resolved_node_definition: {resource: {type: ec2}}}",
            "it has no id at the provider",
        ),
        (
            "{resolved_node_definition: {resource: {}}, instance_id: i-1}",
            "it does not say which provider it is at",
        ),
        ("", "`new` is empty"),
        ("[", ""),
    ] {
        let Some(found) = with(&["HSET", &key("state:worker"), "new", text]) else {
            return;
        };
        assert!(found.unreadable, "{text}");
        let told = format!("instance `new` of node `worker` cannot be read: {problem}");
        assert!(found.problems[0].starts_with(&told), "{:?}", found.problems);
        assert_eq!(found.instances.len(), 4, "and the others are read");
    }
}

#[test]
fn a_count_that_is_no_number_is_told() {
    let Some(found) = with(&["HSET", &key("scaling"), "node-count-worker", "many\u{7}"]) else {
        return;
    };
    assert!(!found.unreadable, "there are as many as there are");
    assert_eq!(found.counts.get("worker"), None);
    assert_eq!(
        found.problems,
        ["the count of node `worker` is `many`, which is no number"]
    );
}
