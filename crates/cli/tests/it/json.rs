//! What programs read: one committed example of each document.

use serde_json::Value;

use crate::sandbox::{Sandbox, example};

/// Members that differ from run to run.
const VARYING: [&str; 14] = [
    "at",
    "calls",
    "since",
    "ready_at",
    "created_at",
    "now_ms",
    "elapsed_ms",
    "healthy_at",
    "deleted_at",
    "led_by",
    "token",
    "files",
    "offset",
    "removed_at",
];

fn steady(value: &mut Value) {
    match value {
        Value::Object(members) => {
            for (name, member) in members.iter_mut() {
                if VARYING.contains(&name.as_str()) && !member.is_null() {
                    *member = Value::String(format!("[{name}]"));
                } else {
                    steady(member);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(steady),
        _ => {}
    }
}

#[track_caller]
fn check(name: &str, text: &str) {
    let mut value: Value =
        serde_json::from_str(text).unwrap_or_else(|error| panic!("{error} in:\n{text}"));
    assert_eq!(value["schema_version"], 1, "{name}");
    assert!(value["kind"].is_string(), "{name}");
    steady(&mut value);
    insta::assert_snapshot!(format!("json_{name}"), format!("{value:#}"));
}

#[test]
fn every_document_has_an_example() {
    let sandbox = Sandbox::new();
    let file = example("hello");
    let out = |arguments: &[&str]| {
        sandbox
            .ok(&[arguments, &["--output", "json"]].concat())
            .stdout
    };
    check("validation", &out(&["validate", &file]));
    check("plan", &out(&["plan", &file]));
    check(
        "result",
        &out(&["up", &file, "--yes", "--pace", "jump", "--seed", "1"]),
    );
    check("status", &out(&["status"]));
    check("list", &out(&["list"]));
    check("why", &out(&["why", "receiver/1"]));
    let events = out(&["events", "-n", "3"]);
    assert_eq!(events.lines().count(), 3);
    check("event", events.lines().next().expect("there are three"));
    check("sim", &out(&["sim", "show"]));
    check(
        "request",
        &out(&["scale", "sender=2", "--no-wait", "--request", "r"]),
    );
    check("check", &out(&["state", "check"]));
    check("explanation", &out(&["explain", "ZK0101"]));
}

#[test]
fn findings_are_told_as_json() {
    let sandbox = Sandbox::new();
    sandbox.write("wrong.yaml", "infra_name: wrong\nuser_id: me\nnodez: []\n");
    let told = sandbox
        .run(&["validate", "wrong.yaml", "--output", "json"])
        .expect(3);
    let findings = told.json();
    assert_eq!(findings["valid"], false);
    assert!(
        findings["diagnostics"]
            .as_array()
            .is_some_and(|list| !list.is_empty()),
        "{findings}"
    );
    assert!(told.stderr.is_empty(), "{}", told.stderr);
}

#[test]
fn an_export_is_imported_elsewhere() {
    let sandbox = Sandbox::new();
    sandbox.ok(&["up", &example("hello"), "--yes", "--pace", "jump"]);
    sandbox.ok(&["state", "export", "--file", "hello.jsonl"]);
    sandbox
        .run(&["state", "export", "--file", "hello.jsonl"])
        .expect(2);
    sandbox.run(&["state", "import", "hello.jsonl"]).expect(9);
    let other = sandbox.path("other").display().to_string();
    sandbox.ok(&["state", "import", "hello.jsonl", "--state-dir", &other]);
    let status = sandbox.ok(&["status", "--state-dir", &other]).stdout;
    assert!(status.contains("2 of 2 instances ready"), "{status}");
    let text = std::fs::read_to_string(sandbox.path("hello.jsonl")).expect("it was written");
    sandbox.write("cut.jsonl", &text[..text.len() / 2]);
    let cut = sandbox.path("cut").display().to_string();
    sandbox
        .run(&["state", "import", "cut.jsonl", "--state-dir", &cut])
        .expect(2);
}
