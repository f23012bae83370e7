//! Repairs: exactly what is damaged is taken out, and every loss is named.

use zenekar_store::{ExportMode, Loss, Store, StoreError};

use crate::support::{
    NOW, append_numbered, dump, entry, holder, id, lease, open, payload, rich_store, scratch,
    tamper,
};

fn repair(store: &mut Store) -> Vec<Loss> {
    store.repair(&holder(9), NOW, &|_| false).unwrap().losses
}

fn quarantine(store: &Store, sql: &str) -> Vec<String> {
    let connection = rusqlite::Connection::open(store.path()).unwrap();
    let mut statement = connection.prepare(sql).unwrap();
    let rows = statement
        .query_map([], |row| row.get::<_, String>(0))
        .unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

#[test]
fn an_intact_store_is_not_touched() {
    let directory = rich_store();
    let mut store = open(directory.path());
    let before = dump(&store).unwrap();
    let lease_is_held = store
        .acquire(&id("alpha"), &holder(2), NOW, crate::support::TTL, &|_| {
            true
        })
        .is_err();
    assert!(lease_is_held);
    assert_eq!(repair(&mut store), [], "also while somebody works on it");
    assert_eq!(dump(&store).unwrap(), before);
}

#[test]
fn damage_that_a_snapshot_covers_costs_history_only() {
    let directory = rich_store();
    tamper(
        directory.path(),
        "UPDATE journal SET at_ms = 0 WHERE infrastructure = 1 AND sequence IN (40, 50)",
    );
    let mut store = open(directory.path());
    let intact = store.load(&id("alpha")).unwrap();
    let losses = repair(&mut store);
    assert_eq!(losses.len(), 1);
    assert_eq!(
        losses[0].what,
        "entries 40 to 60: its checksum does not fit its content or its predecessor; a snapshot covers them"
    );
    assert_eq!(
        (losses[0].quarantined, losses[0].is_state_affected),
        (21, false)
    );
    assert_eq!(
        store.load(&id("alpha")).unwrap(),
        intact,
        "the state is what it was"
    );
    let sequences = |store: &Store, from| {
        store
            .read(&id("alpha"), from, 200)
            .unwrap()
            .iter()
            .map(|entry| entry.sequence)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        sequences(&store, 1),
        (1..40).chain(61..=120).collect::<Vec<_>>()
    );
    assert_eq!(sequences(&store, 40), (61..=120).collect::<Vec<_>>());
    assert_eq!(sequences(&store, 55), (61..=120).collect::<Vec<_>>());
    let report = store.check().unwrap();
    assert!(report.is_intact(), "{report:?}");
    assert_eq!(
        (report.infrastructures[0].gaps.clone(), report.quarantined),
        (vec![(40, 60)], 21)
    );
    let kept = quarantine(
        &store,
        "SELECT CAST(payload AS TEXT) FROM quarantine WHERE sequence = 50",
    );
    assert_eq!(kept, [String::from_utf8(payload(50)).unwrap()]);
}

#[test]
fn damage_behind_the_last_snapshot_ends_the_journal() {
    let directory = rich_store();
    tamper(
        directory.path(),
        "DELETE FROM journal WHERE infrastructure = 2 AND sequence = 110",
    );
    let mut store = open(directory.path());
    let losses = repair(&mut store);
    assert_eq!(
        losses[0].what,
        "entries 110 to 120: missing: the next entry is 111; the state goes back to entry 109"
    );
    assert_eq!(
        (
            losses[0].infrastructure.as_str(),
            losses[0].quarantined,
            losses[0].is_state_affected
        ),
        ("beta", 10, true)
    );
    assert_eq!(store.load(&id("beta")).unwrap().last_sequence, 109);
    let lease = lease(&mut store, "beta");
    assert_eq!(store.append(&lease, &[entry(1, b"goes on")]).unwrap(), 110);
    assert!(store.check().unwrap().is_intact());
}

#[test]
fn a_repair_fences_off_whoever_was_writing() {
    let directory = rich_store();
    let mut store = open(directory.path());
    let before = lease(&mut store, "alpha");
    tamper(
        directory.path(),
        "DELETE FROM journal WHERE infrastructure = 1 AND sequence = 110",
    );
    let held = store.repair(&holder(9), NOW, &|_| true).unwrap_err();
    assert!(
        matches!(held, StoreError::LeaseHeld { .. }),
        "a living process is not repaired under: {held:?}"
    );
    assert!(
        !store.check().unwrap().is_intact(),
        "and nothing was changed"
    );
    repair(&mut store);
    assert!(matches!(
        store.append(&before, &[entry(1, b"late")]),
        Err(StoreError::Fenced { .. })
    ));
}

#[test]
fn every_kind_of_row_can_be_repaired() {
    let directory = rich_store();
    tamper(
        directory.path(),
        "UPDATE infrastructures SET head_checksum = zeroblob(16) WHERE number = 1;
         UPDATE leases SET host = 'x' WHERE infrastructure = 1;
         UPDATE snapshots SET version = 9 WHERE infrastructure = 1 AND sequence = 100;
         UPDATE requests SET payload = x'00' WHERE infrastructure = 1 AND number = 2;
         UPDATE meta SET next_number = 1",
    );
    let mut store = open(directory.path());
    assert!(matches!(
        store.list_infrastructures(),
        Err(StoreError::Corrupt { .. })
    ));
    let problems = store.check().unwrap();
    assert!(!problems.is_intact());
    let losses: Vec<String> = repair(&mut store)
        .into_iter()
        .map(|loss| loss.what)
        .collect();
    assert_eq!(
        losses,
        [
            "its record had changed: name and dates are unconfirmed, and entries after 120, if there were any, are lost",
            "its lease had changed: whoever held it is fenced off",
            "snapshot 100: its checksum does not fit its content",
            "request 2: its checksum does not fit its content; whether it was applied is unknown",
        ]
    );
    assert!(store.check().unwrap().is_intact());
    assert_eq!(store.load(&id("alpha")).unwrap().entries.len(), 60);
    assert_eq!(
        store
            .pending_requests(&id("alpha"), 0)
            .unwrap()
            .iter()
            .map(|one| one.number)
            .collect::<Vec<_>>(),
        [3]
    );
    let fence = lease(&mut store, "alpha").fence();
    assert!(fence > 1 << 31, "above every fence that was given: {fence}");
    store
        .create_infrastructure(&id("gamma"), "Gamma", NOW)
        .unwrap();
    assert_eq!(store.list_infrastructures().unwrap().len(), 3);
}

#[test]
fn the_record_of_a_compacted_journal_is_confirmed_by_its_snapshots() {
    let directory = rich_store();
    let mut store = open(directory.path());
    let before = lease(&mut store, "alpha");
    assert_eq!(store.compact(&before, 0).unwrap(), 60);
    let intact = store.load(&id("alpha")).unwrap();
    tamper(
        directory.path(),
        "UPDATE infrastructures SET created_at_ms = 0 WHERE number = 1",
    );
    assert_eq!(repair(&mut store).len(), 1);
    assert_eq!(store.load(&id("alpha")).unwrap(), intact);
    assert_eq!(store.read(&id("alpha"), 1, 1).unwrap()[0].sequence, 61);
    assert!(store.check().unwrap().is_intact());
}

#[test]
fn a_vanished_infrastructure_is_not_made_up() {
    let directory = rich_store();
    tamper(
        directory.path(),
        "PRAGMA foreign_keys = OFF; DELETE FROM infrastructures WHERE number = 2",
    );
    let mut store = open(directory.path());
    let error = store.repair(&holder(9), NOW, &|_| false).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("1 infrastructures are missing and cannot be made up"),
        "{error}"
    );
    let mut output = Vec::new();
    store
        .export(&id("alpha"), ExportMode::Complete, &mut output)
        .unwrap();
    let target = scratch();
    let mut fresh = open(target.path());
    assert_eq!(fresh.import(&mut output.as_slice()).unwrap().entries, 120);
}

#[test]
fn repaired_journals_can_be_exported_and_continued() {
    let directory = rich_store();
    tamper(
        directory.path(),
        "DELETE FROM journal WHERE infrastructure = 1 AND sequence = 20",
    );
    let mut store = open(directory.path());
    repair(&mut store);
    let continued = lease(&mut store, "alpha");
    append_numbered(&mut store, &continued, 121, 125);
    let mut output = Vec::new();
    let exported = store
        .export(&id("alpha"), ExportMode::Complete, &mut output)
        .unwrap();
    assert_eq!((exported.entries, exported.problems.len()), (84, 0));
    let target = scratch();
    let mut fresh = open(target.path());
    fresh.import(&mut output.as_slice()).unwrap();
    assert_eq!(
        fresh.load(&id("alpha")).unwrap(),
        store.load(&id("alpha")).unwrap()
    );
    assert_eq!(
        fresh.read(&id("alpha"), 1, 500).unwrap(),
        store.read(&id("alpha"), 1, 500).unwrap()
    );
    assert!(fresh.check().unwrap().is_intact());
}
