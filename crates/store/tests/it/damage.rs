//! Damaged files: detected, or the data equals the original; never silently different.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use zenekar_base::Random;
use zenekar_store::{Store, StoreError, StoreOptions, StoredEntry};

use crate::support::{Dump, NOW, copy_files, dump, holder, id, open, rich_store, scratch, tamper};

const FLIPS: u64 = 250;
const CUTS: u64 = 60;

/// What opening and reading everything gives.
fn examine(directory: &Path) -> Result<Dump, StoreError> {
    dump(&Store::open(directory, StoreOptions::read_write())?)
}

fn assert_detected(error: &StoreError, what: &str) {
    let is_detection = matches!(
        error,
        StoreError::Corrupt { .. } | StoreError::NotAStore { .. } | StoreError::NewerSchema { .. }
    );
    assert!(
        is_detection,
        "{what}: an error that does not speak of damage: {error:?}"
    );
}

/// The same data; an older snapshot with the entries after it is the same state.
fn assert_same(read: &Dump, original: &Dump, what: &str) {
    let mut read = read.clone();
    for (part, original) in read.parts.iter_mut().zip(&original.parts) {
        let from = part
            .loaded
            .snapshot
            .as_ref()
            .map_or(0, |snapshot| usize::try_from(snapshot.sequence).unwrap());
        assert!(
            [0, 60, 100].contains(&from),
            "{what}: a snapshot was made up"
        );
        assert!(
            part.loaded.entries == original.entries[from..],
            "{what}: silently different entries"
        );
        part.loaded = original.loaded.clone();
    }
    assert!(read == *original, "{what}: silently different");
}

/// Whatever a repair leaves is a part of the original; returns whether it worked.
fn assert_repair_is_honest(directory: &Path, original: &Dump, what: &str) -> bool {
    let Ok(mut store) = Store::open(directory, StoreOptions::read_write()) else {
        return false;
    };
    let report = store
        .check()
        .unwrap_or_else(|error| panic!("{what}: a check is always possible: {error}"));
    assert!(
        !report.is_intact(),
        "{what}: reading found damage, the check did not: {report:?}"
    );
    let Ok(repaired) = store.repair(&holder(9), NOW, &|_| false) else {
        assert_salvage_is_honest(&store, original, what);
        return false;
    };
    assert!(
        !repaired.losses.is_empty(),
        "{what}: something was damaged, so something was lost"
    );
    let after = dump(&store).unwrap_or_else(|error| panic!("{what}: repaired, yet {error}"));
    for (row, part) in after.list.iter().zip(&after.parts) {
        let place = original
            .list
            .iter()
            .position(|other| other.id == row.id)
            .unwrap();
        let known: BTreeMap<u64, &StoredEntry> = original.parts[place]
            .entries
            .iter()
            .map(|entry| (entry.sequence, entry))
            .collect();
        assert!(
            part.entries
                .iter()
                .all(|entry| known.get(&entry.sequence) == Some(&entry)),
            "{what}: an entry was made up"
        );
        let is_state_affected = repaired
            .losses
            .iter()
            .any(|loss| loss.infrastructure == row.id && loss.is_state_affected);
        let is_at_the_end = part.loaded.last_sequence == original.parts[place].loaded.last_sequence;
        assert!(
            is_at_the_end || is_state_affected,
            "{what}: the state went back without a word: {repaired:?}"
        );
    }
    true
}

/// Whatever a salvage brings over is a part of the original, and what it does not is named.
fn assert_salvage_is_honest(store: &Store, original: &Dump, what: &str) {
    let directory = scratch();
    let mut target = open(directory.path());
    match store.salvage_into(&mut target) {
        Err(error) => assert_detected(&error, what),
        Ok(salvaged) => {
            let after = dump(&target).unwrap();
            for (row, part) in after.list.iter().zip(&after.parts) {
                let place = original
                    .list
                    .iter()
                    .position(|other| other.id == row.id)
                    .unwrap();
                let known = &original.parts[place].entries;
                assert!(
                    part.entries.iter().all(|entry| known.contains(entry)),
                    "{what}: an entry was made up"
                );
            }
            let is_whole = after.parts.len() == original.parts.len()
                && after
                    .parts
                    .iter()
                    .zip(&original.parts)
                    .all(|(part, original)| {
                        part.entries == original.entries && part.pending == original.pending
                    });
            let is_loss_named = !salvaged.problems.is_empty()
                || salvaged
                    .imported
                    .iter()
                    .any(|imported| !imported.problems.is_empty());
            assert!(is_whole || is_loss_named, "{what}: a loss without a word");
        }
    }
}

#[test]
fn flipped_bits_never_change_what_is_read() {
    let pristine = rich_store();
    let original = examine(pristine.path()).unwrap();
    let bytes = fs::read(pristine.path().join("state.db")).unwrap();
    let mut random = Random::from_seed(11);
    let (mut detected, mut harmless, mut repaired) = (0, 0, 0);
    for _ in 0..FLIPS {
        let position = usize::try_from(random.below(bytes.len() as u64)).unwrap();
        let bit = random.below(8);
        let what = format!("bit {bit} of byte {position}");
        let mut damaged = bytes.clone();
        damaged[position] ^= 1 << bit;
        let directory = scratch();
        fs::write(directory.path().join("state.db"), &damaged).unwrap();
        match examine(directory.path()) {
            Err(error) => {
                assert_detected(&error, &what);
                detected += 1;
                repaired += u32::from(assert_repair_is_honest(directory.path(), &original, &what));
            }
            Ok(read) => {
                assert_same(&read, &original, &what);
                harmless += 1;
            }
        }
    }
    eprintln!(
        "{FLIPS} flips in {} bytes: {detected} detected ({repaired} repaired in place), {harmless} without effect",
        bytes.len()
    );
    assert!(
        detected > 60,
        "the test would prove nothing: {detected} detected, {harmless} without effect"
    );
    assert!(
        repaired > 30,
        "repairs hardly ever work: {repaired} of {detected}"
    );
}

#[test]
fn a_database_that_was_cut_off_is_refused() {
    let pristine = rich_store();
    let original = examine(pristine.path()).unwrap();
    let bytes = fs::read(pristine.path().join("state.db")).unwrap();
    let mut random = Random::from_seed(12);
    for case in 0..CUTS {
        let length = if case == 0 {
            0
        } else {
            usize::try_from(random.below(bytes.len() as u64)).unwrap()
        };
        // Cuts at page borders are the likely and the subtle ones.
        let length = if case % 2 == 0 {
            length / 4096 * 4096
        } else {
            length
        };
        let directory = scratch();
        fs::write(directory.path().join("state.db"), &bytes[..length]).unwrap();
        match examine(directory.path()) {
            Err(error) => assert_detected(&error, &format!("cut to {length}")),
            Ok(read) => assert_same(&read, &original, &format!("cut to {length}")),
        }
    }
}

#[test]
fn overwritten_pages_are_noticed() {
    let pristine = rich_store();
    let original = examine(pristine.path()).unwrap();
    let bytes = fs::read(pristine.path().join("state.db")).unwrap();
    let pages = bytes.len() / 4096;
    for page in 0..pages {
        for other in [None, Some((page + 1) % pages)] {
            let mut damaged = bytes.clone();
            match other {
                None => damaged[page * 4096..][..4096].fill(0),
                Some(other) => damaged.copy_within(other * 4096..(other + 1) * 4096, page * 4096),
            }
            let directory = scratch();
            fs::write(directory.path().join("state.db"), &damaged).unwrap();
            let what = format!("page {page} replaced by {other:?}");
            match examine(directory.path()) {
                Err(error) => assert_detected(&error, &what),
                Ok(read) => assert_same(&read, &original, &what),
            }
        }
    }
}

#[test]
fn tampering_with_rows_is_noticed() {
    let cases = [
        ("DELETE FROM journal WHERE infrastructure = 1 AND sequence = 70", "entry 70 of infrastructure `alpha`: missing: the next entry is 71"),
        ("DELETE FROM journal WHERE infrastructure = 1 AND sequence = 120", "entry 120 of infrastructure `alpha`: missing: the journal should end with entry 120"),
        ("DELETE FROM journal WHERE infrastructure = 1", "entry 101 of infrastructure `alpha`: missing: the journal should end with entry 120"),
        ("UPDATE journal SET payload = x'00' WHERE infrastructure = 2 AND sequence = 3", "entry 3 of infrastructure `beta`: its checksum does not fit its content or its predecessor"),
        ("UPDATE journal SET kind = 'other' WHERE infrastructure = 2 AND sequence = 110", "entry 110 of infrastructure `beta`: its checksum does not fit its content or its predecessor"),
        (
            "UPDATE journal SET sequence = 1000 WHERE infrastructure = 1 AND sequence = 111;
             UPDATE journal SET sequence = 111 WHERE infrastructure = 1 AND sequence = 112;
             UPDATE journal SET sequence = 112 WHERE infrastructure = 1 AND sequence = 1000",
            "entry 111 of infrastructure `alpha`: its checksum does not fit its content or its predecessor",
        ),
        (
            "DELETE FROM journal WHERE infrastructure = 1 AND sequence = 5;
             INSERT INTO journal SELECT 1, sequence, at_ms, kind, version, payload, checksum FROM journal WHERE infrastructure = 2 AND sequence = 5",
            "entry 5 of infrastructure `alpha`: its checksum does not fit its content or its predecessor",
        ),
        (
            "INSERT INTO journal SELECT 1, 121, at_ms, kind, version, payload, checksum FROM journal WHERE infrastructure = 1 AND sequence = 120",
            "entry 121 of infrastructure `alpha`: unexpected: the journal ends with entry 120",
        ),
        ("UPDATE infrastructures SET last_sequence = 119 WHERE number = 1", "the record of infrastructure `alpha` has changed"),
        ("UPDATE infrastructures SET name = 'x' WHERE number = 2", "the record of infrastructure `beta` has changed"),
        ("DELETE FROM requests WHERE infrastructure = 1 AND number = 3", "request 3 of infrastructure `alpha`: missing"),
        ("UPDATE requests SET applied_at_ms = NULL WHERE infrastructure = 2 AND number = 1", "request 1 of infrastructure `beta`: its checksum does not fit its content"),
        ("UPDATE leases SET fence = 0 WHERE infrastructure = 1", "the lease of infrastructure `alpha` has changed"),
        ("DELETE FROM leases WHERE infrastructure = 2", "the lease of infrastructure `beta` has changed"),
        ("PRAGMA foreign_keys = OFF; DELETE FROM infrastructures WHERE number = 2", "it should hold 2 infrastructures but holds 1"),
        ("DROP TABLE gaps", "no such table: gaps"),
    ];
    let pristine = rich_store();
    let original = examine(pristine.path()).unwrap();
    for (sql, expected) in cases {
        let directory = copy_files(pristine.path());
        tamper(directory.path(), sql);
        match examine(directory.path()) {
            Err(StoreError::Corrupt { what, .. }) => {
                assert!(what.starts_with(expected), "{sql}: {what}");
            }
            other => panic!("{sql}: {:?}", other.map(|read| read == original)),
        }
    }
}

#[test]
fn a_damaged_snapshot_is_passed_over() {
    let pristine = rich_store();
    tamper(
        pristine.path(),
        "UPDATE snapshots SET payload = x'00' WHERE infrastructure = 1 AND sequence = 100",
    );
    let store = open(pristine.path());
    let loaded = store.load(&id("alpha")).unwrap();
    assert_eq!(
        loaded.problems,
        ["snapshot 100: its checksum does not fit its content"]
    );
    assert_eq!(loaded.snapshot.unwrap().sequence, 60);
    assert_eq!(loaded.entries.len(), 60);
    let report = store.check().unwrap();
    assert_eq!(
        report.infrastructures[0].problems,
        ["snapshot 100: its checksum does not fit its content"]
    );
    assert_eq!(report.infrastructures[0].snapshots, 1);
    assert!(report.infrastructures[1].problems.is_empty());
}

#[test]
fn files_of_others_and_of_the_future_are_left_alone() {
    let directory = scratch();
    tamper(directory.path(), "CREATE TABLE notes (text TEXT)");
    assert!(matches!(
        examine(directory.path()),
        Err(StoreError::NotAStore { .. })
    ));
    let newer = rich_store();
    tamper(newer.path(), "PRAGMA user_version = 7");
    let error = examine(newer.path()).unwrap_err();
    let path = newer.path().join("state.db");
    assert_eq!(
        error.to_string(),
        format!(
            "`{}` has state format 7, but this version reads formats up to 3",
            path.display()
        )
    );
    assert_eq!(
        error.hint().as_deref(),
        Some("use the newer version of `zenekar`, or another state directory")
    );
    fs::write(directory.path().join("state.db"), "hello, world\n").unwrap();
    assert_detected(&examine(directory.path()).unwrap_err(), "text");
}
