//! Counts and processor time of the journal: `cargo bench -p zenekar-store`.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
#![expect(clippy::unwrap_used, reason = "a benchmark that fails says where")]

use std::path::Path;

use zenekar_base::{InfrastructureId, Millis, Timestamp};
use zenekar_store::{Entry, HolderInfo, Lease, Store, StoreOptions};

const ENTRIES: usize = 10_000;
const OPENINGS: usize = 200;
const SINGLES: usize = 500;
const PAYLOAD: &[u8] = br#"{"instance":1234,"phase":"starting","resource":"i-0123456789abcdef0","attempt":1,"token":"8f14e45f"}"#;

/// Processor time of this process so far, in nanoseconds; zero where the kernel does not say.
fn cpu_ns() -> u64 {
    let text = std::fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    text.split(' ')
        .next()
        .and_then(|first| first.parse().ok())
        .unwrap_or(0)
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn report(what: &str, count: usize, unit: &str, work: impl FnOnce()) {
    let before = cpu_ns();
    work();
    let spent = cpu_ns() - before;
    println!(
        "{what:<44} {count:>6} {unit:<10} {:>9.3} CPU-ms {:>9.3} CPU-us each",
        spent as f64 / 1e6,
        spent as f64 / 1e3 / count as f64
    );
}

fn prepare(directory: &Path, name: &str) -> (Store, Lease) {
    let mut store = Store::open(directory, StoreOptions::read_write()).unwrap();
    let id = InfrastructureId::new(name);
    store
        .create_infrastructure(&id, name, Timestamp(1))
        .unwrap();
    let holder = HolderInfo::this_process("bench");
    let lease = store
        .acquire(
            &id,
            &holder,
            Timestamp(1),
            Millis::from_secs(30),
            &HolderInfo::is_alive_here,
        )
        .unwrap();
    (store, lease)
}

fn main() {
    let directory = tempfile::TempDir::new().unwrap();
    let entry = Entry {
        at: Timestamp(1),
        kind: "completion",
        version: 1,
        payload: PAYLOAD,
    };
    for batch in [1_000, 100, 10] {
        let (mut store, lease) = prepare(directory.path(), &format!("batch-{batch}"));
        let entries = vec![entry; batch];
        report(
            &format!("append in batches of {batch}"),
            ENTRIES,
            "entries",
            || {
                for _ in 0..ENTRIES / batch {
                    store.append(&lease, &entries).unwrap();
                }
            },
        );
    }
    let (mut store, lease) = prepare(directory.path(), "single");
    report("append one by one", SINGLES, "entries", || {
        for _ in 0..SINGLES {
            store.append(&lease, &[entry]).unwrap();
        }
    });
    let id = InfrastructureId::new("batch-100");
    report("load and verify", ENTRIES, "entries", || {
        assert_eq!(store.load(&id).unwrap().entries.len(), ENTRIES);
    });
    report("poll for changes", ENTRIES, "polls", || {
        for _ in 0..ENTRIES {
            store.change_counter().unwrap();
        }
    });
    report("check everything", 1, "store", || {
        assert!(store.check().unwrap().is_intact());
    });
    drop(store);
    report("open to write, close", OPENINGS, "openings", || {
        for _ in 0..OPENINGS {
            Store::open(directory.path(), StoreOptions::read_write()).unwrap();
        }
    });
    report("open to read, list, close", OPENINGS, "openings", || {
        for _ in 0..OPENINGS {
            Store::open(directory.path(), StoreOptions::read_only())
                .unwrap()
                .list_infrastructures()
                .unwrap();
        }
    });
}
