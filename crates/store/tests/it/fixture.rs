//! Files that earlier versions wrote must keep loading. The fixtures are never
//! written again: a new format gets new ones, and these stay.

use std::fs;
use std::path::{Path, PathBuf};

use zenekar_base::{Account, RequestId, Timestamp};
use zenekar_store::{Applied, Entry, ExportMode, HolderInfo, Store, StoreOptions};

use crate::support::{TTL, id, open, scratch};

const START: Timestamp = Timestamp(1_760_000_000_000);

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/it/fixtures")
        .join(name)
}

/// What is in the fixtures of all formats.
fn fill(directory: &Path) -> Store {
    let mut store = open(directory);
    store
        .create_infrastructure(&id("wordpress-7f3a"), "wordpress", START)
        .unwrap();
    let holder = HolderInfo {
        pid: 4_711,
        boot_id: "0c6d1f9e-5a55-4a7e-9b63-0e0a3a9a4d11".into(),
        start_time: 8_812,
        host: "build-box".into(),
        command: "zenekar up wordpress.yaml".into(),
    };
    let lease = store
        .acquire(&id("wordpress-7f3a"), &holder, START, TTL, &|_| false)
        .unwrap();
    let entries = [
        Entry {
            at: START,
            kind: "intent",
            version: 1,
            payload: br#"{"generation":1,"nodes":{"database":1,"web":2}}"#,
        },
        Entry {
            at: Timestamp(START.0 + 40),
            kind: "call",
            version: 1,
            payload: br#"{"create":"database-1"}"#,
        },
        Entry {
            at: Timestamp(START.0 + 900),
            kind: "completion",
            version: 2,
            payload: &[0xff, 0x00, 0x7f],
        },
        Entry {
            at: Timestamp(START.0 + 901),
            kind: "call",
            version: 1,
            payload: b"",
        },
    ];
    store.append(&lease, &entries[..2]).unwrap();
    store
        .write_snapshot(&lease, 2, 3, br#"{"instances":["database-1"]}"#)
        .unwrap();
    store.append(&lease, &entries[2..]).unwrap();
    store
        .submit_request(
            &id("wordpress-7f3a"),
            &RequestId::new("scale-web-3"),
            "scale",
            b"web=3",
            START,
        )
        .unwrap();
    store
        .submit_request(
            &id("wordpress-7f3a"),
            &RequestId::new("scale-web-4"),
            "scale",
            b"web=4",
            START,
        )
        .unwrap();
    store
        .mark_applied(
            &lease,
            &[Applied {
                number: 1,
                outcome: "3 instances wanted",
            }],
            START,
        )
        .unwrap();
    store
}

fn export(store: &Store) -> String {
    let mut lines = Vec::new();
    store
        .export(&id("wordpress-7f3a"), ExportMode::Complete, &mut lines)
        .unwrap();
    String::from_utf8(lines).unwrap()
}

/// Returns an export without what differs from store to store: the origin, and the
/// sum that it is part of.
fn without_origin(lines: &str) -> String {
    let mut shown = String::new();
    for line in lines.lines() {
        let mut line: serde_json::Value = serde_json::from_str(line).unwrap();
        let fields = line.as_object_mut().unwrap();
        if fields["line"] == "header" {
            fields.remove("origin");
            fields.remove("version");
        } else if fields["line"] == "end" {
            fields.remove("checksum");
        }
        shown.push_str(&line.to_string());
        shown.push('\n');
    }
    shown
}

fn text(name: &str) -> String {
    fs::read_to_string(fixture(name)).unwrap()
}

/// What is in the fixtures since format 3 besides.
fn account() -> Account {
    Account {
        pin: "4a1f0c6d1f9e4e7e9b630e0a3a9a4d11".to_owned(),
        name: "demo".to_owned(),
    }
}

const PROVIDER: &str = "nova@RegionOne,https://cloud.example.org:5000/v3";

/// Writes the fixtures of the current format; run by hand when there is a new one.
#[test]
fn fixtures_can_be_written() {
    let directory = scratch();
    let mut store = fill(directory.path());
    assert_eq!(
        without_origin(&export(&store)),
        without_origin(&text("format-2.jsonl")),
        "exports are the same bytes everywhere, without accounts those of format 2"
    );
    store
        .bind_account(&id("wordpress-7f3a"), PROVIDER, &account())
        .unwrap();
    let lines = export(&store);
    if std::env::var_os("ZENEKAR_WRITE_FIXTURES").is_some() {
        drop(store);
        fs::copy(directory.path().join("state.db"), fixture("format-3.db")).unwrap();
        fs::write(fixture("format-3.jsonl"), &lines).unwrap();
    }
    assert_eq!(
        without_origin(&lines),
        without_origin(&text("format-3.jsonl")),
        "exports are the same bytes everywhere"
    );
}

#[test]
fn a_store_of_format_3_loads() {
    let directory = scratch();
    fs::copy(fixture("format-3.db"), directory.path().join("state.db")).unwrap();
    let reader = Store::open(directory.path(), StoreOptions::read_only()).unwrap();
    assert_eq!(export(&reader), text("format-3.jsonl"));
    drop(reader);
    let store = open(directory.path());
    assert!(store.check().unwrap().is_intact());
    let known = store.account(&id("wordpress-7f3a"), PROVIDER).unwrap();
    assert_eq!(known, Some(account()));
}

#[test]
fn an_export_of_format_3_imports() {
    let lines = text("format-3.jsonl");
    let directory = scratch();
    let mut store = open(directory.path());
    store.import(&mut lines.as_bytes()).unwrap();
    assert_eq!(export(&store), lines, "the accounts are kept");
}

#[test]
fn a_store_of_format_2_loads() {
    let directory = scratch();
    fs::copy(fixture("format-2.db"), directory.path().join("state.db")).unwrap();
    let reader = Store::open(directory.path(), StoreOptions::read_only()).unwrap();
    assert_eq!(export(&reader), text("format-2.jsonl"));
    let origin = reader.origin(&id("wordpress-7f3a")).unwrap().unwrap();
    let known = reader.account(&id("wordpress-7f3a"), PROVIDER).unwrap();
    assert_eq!(known, None);
    drop(reader);
    let mut store = open(directory.path());
    assert!(store.check().unwrap().is_intact());
    let bound = store.bind_account(&id("wordpress-7f3a"), PROVIDER, &account());
    assert_eq!(bound.unwrap(), account(), "it has room for accounts now");
    assert_eq!(store.origin(&id("wordpress-7f3a")).unwrap(), Some(origin));
}

#[test]
fn an_export_of_format_2_imports() {
    let lines = text("format-2.jsonl");
    let directory = scratch();
    let mut store = open(directory.path());
    store.import(&mut lines.as_bytes()).unwrap();
    assert_eq!(export(&store), lines, "the origin is kept");
}

#[test]
fn a_store_of_format_1_loads() {
    let directory = scratch();
    fs::copy(fixture("format-1.db"), directory.path().join("state.db")).unwrap();
    let reader = Store::open(directory.path(), StoreOptions::read_only()).unwrap();
    assert_eq!(
        export(&reader),
        fs::read_to_string(fixture("format-1.jsonl")).unwrap()
    );
    assert_eq!(reader.origin(&id("wordpress-7f3a")).unwrap(), None);
    assert_eq!(
        reader
            .holder(&id("wordpress-7f3a"), START)
            .unwrap()
            .unwrap()
            .command,
        "zenekar up wordpress.yaml"
    );
    drop(reader);
    let mut store = open(directory.path());
    let origin = store.origin(&id("wordpress-7f3a")).unwrap();
    assert!(origin.is_some(), "it is drawn when the format changes");
    drop(store);
    store = open(directory.path());
    assert_eq!(store.origin(&id("wordpress-7f3a")).unwrap(), origin);
    let loaded = store.load(&id("wordpress-7f3a")).unwrap();
    assert_eq!(
        (
            loaded.snapshot.unwrap().sequence,
            loaded.entries.len(),
            loaded.last_sequence
        ),
        (2, 2, 4)
    );
    assert!(store.check().unwrap().is_intact());
    let viewer = HolderInfo::this_process("test");
    let lease = store
        .acquire(&id("wordpress-7f3a"), &viewer, START + TTL, TTL, &|_| true)
        .unwrap();
    assert_eq!(lease.fence(), 2);
    assert_eq!(
        store
            .append(
                &lease,
                &[Entry {
                    at: START,
                    kind: "intent",
                    version: 1,
                    payload: b"{}"
                }]
            )
            .unwrap(),
        5
    );
}

#[test]
fn an_export_of_format_1_imports() {
    let lines = fs::read(fixture("format-1.jsonl")).unwrap();
    let directory = scratch();
    let mut store = open(directory.path());
    let imported = store.import(&mut lines.as_slice()).unwrap();
    assert_eq!(
        (imported.entries, imported.snapshots, imported.requests),
        (4, 1, 2)
    );
    let text = String::from_utf8(lines).unwrap();
    assert_eq!(without_origin(&export(&store)), without_origin(&text));
    assert!(store.origin(&id("wordpress-7f3a")).unwrap().is_some());
}
