//! Round trips of entries, snapshots and infrastructures.

use std::os::unix::fs::PermissionsExt as _;

use zenekar_base::Timestamp;
use zenekar_store::{Entry, Store, StoreError, StoreOptions, limits};

use crate::support::{
    NOW, append_numbered, entry, id, lease, open, payload, read_all, scratch, store_with_demo,
};

#[test]
fn entries_come_back_as_they_were_written() {
    let (directory, mut store) = store_with_demo();
    let lease = lease(&mut store, "demo");
    let written = [
        Entry {
            at: Timestamp(-5),
            kind: "intent",
            version: 3,
            payload: b"{}",
        },
        Entry {
            at: Timestamp::MAX,
            kind: "",
            version: u32::MAX,
            payload: b"",
        },
        Entry {
            at: NOW,
            kind: "bytes",
            version: 0,
            payload: &[0, 255, 128],
        },
    ];
    assert_eq!(store.append(&lease, &written).unwrap(), 3);
    drop(store);
    let entries = read_all(&open(directory.path()), &id("demo")).unwrap();
    let read: Vec<_> = entries
        .iter()
        .map(|entry| Entry {
            at: entry.at,
            kind: &entry.kind,
            version: entry.version,
            payload: &entry.payload,
        })
        .collect();
    assert_eq!(read, written);
    assert_eq!(
        entries
            .iter()
            .map(|entry| entry.sequence)
            .collect::<Vec<_>>(),
        [1, 2, 3]
    );
}

#[test]
fn files_belong_to_their_user_alone() {
    let directory = scratch();
    let state = directory.path().join("a/b");
    let _store = open(&state);
    let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&state), 0o700);
    assert_eq!(mode(&state.join("state.db")), 0o600);
    let names: Vec<_> = std::fs::read_dir(&state)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert!(
        names
            .iter()
            .all(|name| !name.to_string_lossy().contains("new-")),
        "the draft is gone: {names:?}"
    );
}

#[test]
fn loading_starts_at_the_newest_snapshot() {
    let (_directory, mut store) = store_with_demo();
    let lease = lease(&mut store, "demo");
    assert_eq!(store.load(&id("demo")).unwrap().last_sequence, 0);
    append_numbered(&mut store, &lease, 1, 10);
    for sequence in [2, 4, 7] {
        store
            .write_snapshot(&lease, sequence, 9, format!("state {sequence}").as_bytes())
            .unwrap();
    }
    let loaded = store.load(&id("demo")).unwrap();
    let snapshot = loaded.snapshot.unwrap();
    assert_eq!(
        (snapshot.sequence, snapshot.version, snapshot.payload),
        (7, 9, b"state 7".to_vec())
    );
    assert_eq!(
        loaded
            .entries
            .iter()
            .map(|entry| entry.sequence)
            .collect::<Vec<_>>(),
        [8, 9, 10]
    );
    assert_eq!(
        store.check().unwrap().infrastructures[0].snapshots,
        2,
        "the oldest snapshot is gone"
    );
    assert_eq!(
        store.read(&id("demo"), 1, 100).unwrap().len(),
        10,
        "history stays readable"
    );
    assert!(
        matches!(
            store.write_snapshot(&lease, 11, 1, b""),
            Err(StoreError::Corrupt { .. })
        ),
        "there is no entry 11"
    );
}

#[test]
fn compacting_keeps_what_snapshots_and_readers_need() {
    let (directory, mut store) = store_with_demo();
    let lease = lease(&mut store, "demo");
    append_numbered(&mut store, &lease, 1, 20);
    assert_eq!(
        store.compact(&lease, 0).unwrap(),
        0,
        "without snapshots every entry is needed"
    );
    store.write_snapshot(&lease, 8, 1, b"at 8").unwrap();
    store.write_snapshot(&lease, 15, 1, b"at 15").unwrap();
    assert_eq!(store.compact(&lease, 16).unwrap(), 4);
    assert_eq!(
        store.compact(&lease, 0).unwrap(),
        4,
        "up to the oldest snapshot, no further"
    );
    assert_eq!(store.compact(&lease, 0).unwrap(), 0);
    append_numbered(&mut store, &lease, 21, 22);
    drop(store);
    let store = open(directory.path());
    let entries = store.read(&id("demo"), 0, 100).unwrap();
    assert_eq!((entries[0].sequence, entries.len()), (9, 14));
    assert_eq!(entries[0].payload, payload(9));
    assert_eq!(store.load(&id("demo")).unwrap().entries.len(), 7);
    assert_eq!(store.list_infrastructures().unwrap()[0].first_sequence, 9);
    assert!(store.check().unwrap().is_intact());
}

#[test]
fn creating_twice_changes_nothing() {
    let (_directory, mut store) = store_with_demo();
    store
        .create_infrastructure(&id("demo"), "Another name", Timestamp(1))
        .unwrap();
    store
        .create_infrastructure(&id("second"), "Second", NOW)
        .unwrap();
    let rows = store.list_infrastructures().unwrap();
    assert_eq!(
        rows.iter()
            .map(|row| (row.id.as_str(), row.name.as_str()))
            .collect::<Vec<_>>(),
        [("demo", "Demo"), ("second", "Second")]
    );
    assert_eq!(rows[0].created_at, NOW);
    assert_eq!(
        store.infrastructure(&id("second")).unwrap().as_ref(),
        Some(&rows[1])
    );
    assert_eq!(store.infrastructure(&id("third")).unwrap(), None);
}

#[test]
fn only_what_is_down_can_be_purged() {
    let (_directory, mut store) = store_with_demo();
    store
        .create_infrastructure(&id("other"), "Other", NOW)
        .unwrap();
    let demo = lease(&mut store, "demo");
    append_numbered(&mut store, &demo, 1, 5);
    assert!(matches!(
        store.purge(demo.clone()),
        Err(StoreError::NotRemoved { .. })
    ));
    store.mark_removed(&demo, Timestamp(77)).unwrap();
    assert_eq!(
        store.list_infrastructures().unwrap()[0].removed_at,
        Some(Timestamp(77))
    );
    store.mark_wanted(&demo).unwrap();
    assert_eq!(store.list_infrastructures().unwrap()[0].removed_at, None);
    store.mark_removed(&demo, Timestamp(78)).unwrap();
    store.purge(demo.clone()).unwrap();
    assert_eq!(store.list_infrastructures().unwrap().len(), 1);
    assert!(matches!(
        store.load(&id("demo")),
        Err(StoreError::UnknownInfrastructure { .. })
    ));
    store
        .create_infrastructure(&id("demo"), "Demo again", NOW)
        .unwrap();
    let fresh = lease(&mut store, "demo");
    assert!(
        matches!(store.append(&demo, &[]), Err(StoreError::Fenced { .. })),
        "a lease does not survive its infrastructure"
    );
    assert_eq!(store.append(&fresh, &[entry(1, b"new")]).unwrap(), 1);
    assert!(store.check().unwrap().is_intact());
}

#[test]
fn too_large_is_refused_before_anything_is_written() {
    let (_directory, mut store) = store_with_demo();
    let lease = lease(&mut store, "demo");
    let large = vec![b' '; limits::PAYLOAD_BYTES_MAX + 1];
    assert!(matches!(
        store.append(&lease, &[entry(1, b"ok"), entry(2, &large)]),
        Err(StoreError::TooLarge { .. })
    ));
    assert_eq!(store.load(&id("demo")).unwrap().last_sequence, 0);
    let long = "k".repeat(limits::TEXT_BYTES_MAX + 1);
    assert!(matches!(
        store.create_infrastructure(&id(&long), "x", NOW),
        Err(StoreError::TooLarge { .. })
    ));
    let many = vec![entry(1, b""); limits::BATCH_ENTRIES_MAX + 1];
    assert!(matches!(
        store.append(&lease, &many),
        Err(StoreError::TooLarge { .. })
    ));
}

#[test]
fn the_change_counter_moves_when_somebody_else_writes() {
    let (directory, mut store) = store_with_demo();
    let watcher = Store::open(directory.path(), StoreOptions::read_only()).unwrap();
    let before = watcher.change_counter().unwrap();
    assert_eq!(watcher.change_counter().unwrap(), before);
    store
        .create_infrastructure(&id("second"), "Second", NOW)
        .unwrap();
    assert_ne!(watcher.change_counter().unwrap(), before);
}
