//! Crashes: what was confirmed is there afterwards, and nothing half-done.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::Stdio;

use zenekar_base::Random;
use zenekar_store::StoredEntry;

use crate::child;
use crate::support::{
    append_numbered, copy_files, entry, id, lease, open, payload, read_all, scratch,
    store_with_demo,
};

const KILLS: u64 = 12;
const TORN_LOGS: u64 = 60;

/// The journal is exactly the numbered entries up to its end, which is returned.
fn assert_whole(directory: &Path) -> u64 {
    let store = open(directory);
    let entries = read_all(&store, &id("demo")).unwrap();
    for (place, entry) in (1..).zip(&entries) {
        assert!(
            entry.sequence == place && entry.payload == payload(place),
            "entry {place} is another one"
        );
    }
    assert!(store.check().unwrap().is_intact());
    assert_eq!(
        store.load(&id("demo")).unwrap().last_sequence,
        entries.len() as u64
    );
    entries.len() as u64
}

#[test]
fn a_copy_at_any_moment_holds_all_that_was_confirmed() {
    let (directory, mut store) = store_with_demo();
    let demo = lease(&mut store, "demo");
    let mut random = Random::from_seed(21);
    let mut confirmed = 0;
    while confirmed < 400 {
        let step = random.between(1, 20);
        append_numbered(&mut store, &demo, confirmed + 1, confirmed + step);
        confirmed += step;
        let crashed = copy_files(directory.path());
        assert_eq!(assert_whole(crashed.path()), confirmed);
    }
}

#[test]
fn a_log_that_was_torn_within_a_write_ends_before_it() {
    let (directory, mut store) = store_with_demo();
    let demo = lease(&mut store, "demo");
    append_numbered(&mut store, &demo, 1, 30);
    let log = |directory: &Path| directory.join("state.db-wal");
    let confirmed_length = fs::metadata(log(directory.path())).unwrap().len();
    // One more transaction of several pages, which the crash tears.
    let payloads: Vec<_> = (31..=90).map(payload).collect();
    let entries: Vec<_> = (31..)
        .zip(&payloads)
        .map(|(number, payload)| entry(number, payload))
        .collect();
    store.append(&demo, &entries).unwrap();
    let full_length = fs::metadata(log(directory.path())).unwrap().len();
    let mut random = Random::from_seed(22);
    for case in 0..TORN_LOGS {
        let crashed = copy_files(directory.path());
        let length = random.between(confirmed_length, full_length - 1);
        let bytes = fs::read(log(crashed.path())).unwrap();
        let kept = usize::try_from(length).unwrap();
        match case % 3 {
            0 => File::options()
                .write(true)
                .open(log(crashed.path()))
                .unwrap()
                .set_len(length)
                .unwrap(),
            // The file grew, but its last blocks were never written.
            1 => fs::write(
                log(crashed.path()),
                [&bytes[..kept], &vec![0; bytes.len() - kept]].concat(),
            )
            .unwrap(),
            // A block in the middle was never written, those behind it were.
            _ => {
                let mut torn = bytes;
                let end = (kept + 512).min(torn.len());
                torn[kept..end].fill(0);
                fs::write(log(crashed.path()), torn).unwrap();
            }
        }
        let end = assert_whole(crashed.path());
        assert!(
            end == 30 || end == 90,
            "case {case} at {length}: half a transaction: {end}"
        );
    }
}

#[test]
fn a_killed_process_leaves_all_that_it_confirmed() {
    let (directory, store) = store_with_demo();
    drop(store);
    let mut random = Random::from_seed(23);
    let mut end = 0;
    for round in 0..KILLS {
        let mut child = child::command("append", directory.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut patience = random.between(1, 90);
        let mut confirmed = 0;
        for line in lines.map_while(Result::ok) {
            if let Some(number) = line.strip_prefix("confirmed ") {
                confirmed = number.parse().unwrap();
                patience -= 1;
                if patience == 0 {
                    child.kill().unwrap();
                    break;
                }
            }
        }
        child.wait().unwrap();
        assert!(
            confirmed > end,
            "round {round}: the child could not go on where its predecessor was killed"
        );
        end = assert_whole(directory.path());
        assert!(
            end >= confirmed,
            "round {round}: {confirmed} was confirmed, but the journal ends with {end}"
        );
    }
}

#[test]
fn a_store_that_was_never_finished_is_not_mistaken_for_one() {
    let directory = scratch();
    // What a process leaves that is killed while it creates the store.
    fs::write(directory.path().join("state.db.new-1"), b"half").unwrap();
    let mut store = open(directory.path());
    store
        .create_infrastructure(&id("demo"), "Demo", crate::support::NOW)
        .unwrap();
    assert_eq!(
        read_all(&store, &id("demo")).unwrap(),
        Vec::<StoredEntry>::new()
    );
}

#[test]
fn many_processes_may_create_the_same_store() {
    let directory = scratch();
    std::thread::scope(|scope| {
        for number in 0..6 {
            let path = directory.path();
            scope.spawn(move || {
                open(path)
                    .create_infrastructure(&id(&format!("i{number}")), "x", crate::support::NOW)
                    .unwrap();
            });
        }
    });
    assert_eq!(
        open(directory.path()).list_infrastructures().unwrap().len(),
        6
    );
}
