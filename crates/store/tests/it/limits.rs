//! Full disks and stores that cannot be written.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use zenekar_base::{Millis, RequestId};
use zenekar_store::{Access, Store, StoreError, StoreOptions};

use crate::child;
use crate::support::{
    NOW, dump, entry, id, lease, open, rich_store, scratch, store_with_demo, tamper,
};

#[test]
fn a_full_disk_loses_nothing_that_was_confirmed() {
    let (directory, store) = store_with_demo();
    drop(store);
    // The quota makes the database itself report that no page can be added.
    let options = StoreOptions {
        bytes_max: Some(200 << 10),
        ..StoreOptions::read_write()
    };
    let mut store = Store::open(directory.path(), options).unwrap();
    let demo = lease(&mut store, "demo");
    let payload = [b'x'; 3_000];
    let mut confirmed = 0;
    let error = loop {
        match store.append(&demo, &[entry(1, &payload), entry(2, &payload)]) {
            Ok(last) => confirmed = last,
            Err(error) => break error,
        }
        assert!(confirmed < 1_000, "the quota has no effect");
    };
    assert!(matches!(error, StoreError::DiskFull { .. }), "{error:?}");
    let path = directory.path().join("state.db");
    assert_eq!(
        error.to_string(),
        format!(
            "cannot append to the journal: no space is left for `{}`",
            path.display()
        )
    );
    assert!(
        error.hint().unwrap().starts_with("free space in"),
        "{error:?}"
    );
    assert!(matches!(
        store.write_snapshot(&demo, confirmed, 1, &vec![0; 300_000]),
        Err(StoreError::DiskFull { .. })
    ));
    assert_eq!(
        store.load(&id("demo")).unwrap().entries.len() as u64,
        confirmed,
        "readable while full, without half a batch"
    );
    assert!(store.check().unwrap().is_intact());
    drop(store);
    let mut store = open(directory.path());
    assert_eq!(
        store.append(&demo, &[entry(3, &payload)]).unwrap(),
        confirmed + 1,
        "goes on once there is space"
    );
}

#[test]
fn a_device_without_space_is_reported_as_such() {
    if !fs::exists("/dev/full").unwrap() {
        eprintln!("skipped: there is no /dev/full");
        return;
    }
    // The log goes to a device on which every write fails with ENOSPC.
    let (directory, store) = store_with_demo();
    drop(store);
    symlink("/dev/full", directory.path().join("state.db-wal")).unwrap();
    let result = Store::open(directory.path(), StoreOptions::read_write())
        .and_then(|mut store| store.create_infrastructure(&id("other"), "Other", NOW));
    let error = result.expect_err("a write to a full device succeeded");
    assert!(!matches!(error, StoreError::Corrupt { .. }), "{error:?}");
    fs::remove_file(directory.path().join("state.db-wal")).unwrap();
    assert_eq!(
        open(directory.path()).list_infrastructures().unwrap().len(),
        1
    );
}

#[test]
fn a_reader_changes_nothing() {
    let directory = rich_store();
    let before = fs::read(directory.path().join("state.db")).unwrap();
    let mut reader = Store::open(directory.path(), StoreOptions::read_only()).unwrap();
    assert_eq!(reader.access(), Access::ReadOnly);
    assert_eq!(reader.list_infrastructures().unwrap().len(), 2);
    let refused = [
        reader
            .create_infrastructure(&id("x"), "x", NOW)
            .unwrap_err(),
        reader
            .submit_request(&id("alpha"), &RequestId::new("r"), "scale", b"", NOW)
            .unwrap_err(),
    ];
    for error in refused {
        assert!(matches!(error, StoreError::ReadOnly { .. }), "{error:?}");
        assert!(
            error
                .hint()
                .unwrap()
                .starts_with("make the directory writable")
        );
    }
    drop(reader);
    assert_eq!(fs::read(directory.path().join("state.db")).unwrap(), before);
}

#[test]
fn a_reader_sees_what_a_living_writer_confirmed() {
    let (directory, mut store) = store_with_demo();
    let demo = lease(&mut store, "demo");
    store.append(&demo, &[entry(1, b"first")]).unwrap();
    let reader = Store::open(directory.path(), StoreOptions::read_only()).unwrap();
    assert_eq!(reader.load(&id("demo")).unwrap().last_sequence, 1);
    store.append(&demo, &[entry(2, b"second")]).unwrap();
    assert_eq!(reader.load(&id("demo")).unwrap().last_sequence, 2);
}

#[test]
fn without_a_store_a_reader_says_so_and_creates_nothing() {
    let directory = scratch();
    let state = directory.path().join("state");
    let error = Store::open(&state, StoreOptions::read_only()).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "there is no state in `{}`",
            state.join("state.db").display()
        )
    );
    assert!(!state.exists());
}

#[test]
fn a_writer_that_waits_too_long_says_who_it_waits_for() {
    let (directory, mut store) = store_with_demo();
    let blocker = rusqlite::Connection::open(directory.path().join("state.db")).unwrap();
    blocker.execute_batch("BEGIN IMMEDIATE").unwrap();
    drop(store);
    store = Store::open(
        directory.path(),
        StoreOptions {
            busy_timeout: Millis(1),
            ..StoreOptions::read_write()
        },
    )
    .unwrap();
    let error = store.create_infrastructure(&id("x"), "x", NOW).unwrap_err();
    assert!(matches!(error, StoreError::Busy { .. }), "{error:?}");
    assert_eq!(
        store.list_infrastructures().unwrap().len(),
        1,
        "readers do not wait"
    );
    blocker.execute_batch("ROLLBACK").unwrap();
    store.create_infrastructure(&id("x"), "x", NOW).unwrap();
}

/// Runs in a child without privileges; see below.
pub(crate) fn use_read_only_directory(directory: &std::path::Path) {
    let denied = Store::open(directory, StoreOptions::read_write()).unwrap_err();
    assert!(matches!(denied, StoreError::ReadOnly { .. }), "{denied:?}");
    let nothing_there =
        Store::open(&directory.join("new"), StoreOptions::read_write()).unwrap_err();
    assert!(
        matches!(nothing_there, StoreError::ReadOnly { .. }),
        "{nothing_there:?}"
    );
    let reader = Store::open(directory, StoreOptions::read_only()).unwrap();
    assert_eq!(dump(&reader).unwrap().list.len(), 2);
    assert!(reader.check().unwrap().is_intact());
}

#[test]
fn a_directory_that_cannot_be_written_can_be_read() {
    let directory = rich_store();
    let set_mode = |path: &std::path::Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    set_mode(&directory.path().join("state.db"), 0o444);
    set_mode(directory.path(), 0o555);
    // Permissions do not bind root, so the child gives up being root.
    let outcome = child::run_unprivileged("read-only-directory", directory.path());
    set_mode(directory.path(), 0o755);
    match outcome {
        child::Outcome::Done(output) => assert!(output.contains("done"), "{output}"),
        child::Outcome::Skipped(why) => eprintln!("skipped: {why}"),
    }
}

#[test]
fn names_with_odd_characters_work_for_all_ways_of_opening() {
    let parent = scratch();
    let state = parent.path().join("a b?c#d%20é");
    drop(open(&state));
    tamper(&state, "SELECT 1");
    assert_eq!(
        Store::open(&state, StoreOptions::read_only())
            .unwrap()
            .list_infrastructures()
            .unwrap(),
        []
    );
}
