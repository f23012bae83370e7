//! Damage in the write-ahead log: confirmed transactions are not dropped without a word.

use std::fs;

use zenekar_base::Random;
use zenekar_store::{Store, StoreError, StoreOptions};

use crate::support::{append_numbered, copy_files, id, lease, store_with_demo};

const FLIPS: u64 = 150;

#[test]
fn a_spoiled_frame_before_confirmed_transactions_is_refused() {
    let (directory, mut store) = store_with_demo();
    let demo = lease(&mut store, "demo");
    append_numbered(&mut store, &demo, 1, 39);
    let log = directory.path().join("state.db-wal");
    let last_but_one = usize::try_from(fs::metadata(&log).unwrap().len()).unwrap();
    append_numbered(&mut store, &demo, 40, 40);
    let bytes = fs::read(&log).unwrap();
    let mut random = Random::from_seed(31);
    let mut undetected = 0;
    for _ in 0..FLIPS {
        let position = usize::try_from(random.below(bytes.len() as u64)).unwrap();
        let crashed = copy_files(directory.path());
        let mut damaged = bytes.clone();
        damaged[position] ^= 1 << random.below(8);
        let copy = crashed.path().join("state.db-wal");
        fs::write(&copy, &damaged).unwrap();
        match Store::open(crashed.path(), StoreOptions::read_write()) {
            Err(StoreError::Corrupt { path, what, .. }) => {
                assert!(
                    path == copy && what.ends_with("and confirmed transactions follow"),
                    "{what}"
                );
                assert_eq!(
                    fs::read(&copy).unwrap(),
                    damaged,
                    "and the log is left alone"
                );
            }
            Err(error) => panic!("byte {position}: {error:?}"),
            Ok(store) => {
                // Damage in the last transaction looks like a crash during it.
                let end = store.load(&id("demo")).unwrap().last_sequence;
                assert!(
                    end == 40 || (end == 39 && position >= last_but_one),
                    "byte {position}: {end}"
                );
                undetected += u32::from(end == 39);
            }
        }
    }
    assert!(undetected < 15, "{undetected}");
}

#[test]
fn a_damaged_log_is_set_aside_before_it_is_cut_off() {
    let (directory, mut store) = store_with_demo();
    let demo = lease(&mut store, "demo");
    append_numbered(&mut store, &demo, 1, 20);
    let crashed = copy_files(directory.path());
    let log = crashed.path().join("state.db-wal");
    let mut bytes = fs::read(&log).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&log, &bytes).unwrap();
    let reader = StoreOptions {
        is_damaged_log_accepted: true,
        ..StoreOptions::read_only()
    };
    let seen = Store::open(crashed.path(), reader)
        .unwrap()
        .load(&id("demo"))
        .unwrap()
        .last_sequence;
    assert!((1..20).contains(&seen), "{seen}");
    assert_eq!(fs::read(&log).unwrap(), bytes, "a reader changes nothing");
    let writer = StoreOptions {
        is_damaged_log_accepted: true,
        ..StoreOptions::read_write()
    };
    let store = Store::open(crashed.path(), writer).unwrap();
    assert_eq!(store.load(&id("demo")).unwrap().last_sequence, seen);
    assert!(store.check().unwrap().is_intact());
    assert_eq!(
        fs::read(crashed.path().join("state.db-wal.damaged-1")).unwrap(),
        bytes
    );
}

#[test]
fn logs_that_were_started_afresh_are_fine() {
    // Frames of earlier logs stay behind the current ones.
    let (directory, mut store) = store_with_demo();
    let demo = lease(&mut store, "demo");
    for round in 0..5 {
        append_numbered(&mut store, &demo, round * 30 + 1, round * 30 + 30 - round);
        for number in round * 30 + 31 - round..=round * 30 + 30 {
            append_numbered(&mut store, &demo, number, number);
            let crashed = copy_files(directory.path());
            let copy = Store::open(crashed.path(), StoreOptions::read_write()).unwrap();
            assert_eq!(copy.load(&id("demo")).unwrap().last_sequence, number);
        }
        let other = rusqlite::Connection::open(directory.path().join("state.db")).unwrap();
        other
            .query_row("PRAGMA wal_checkpoint(RESTART)", [], |_| Ok(()))
            .unwrap();
    }
}
