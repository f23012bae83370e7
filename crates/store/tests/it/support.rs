//! What the tests share.

use std::fs;
use std::path::Path;

use tempfile::TempDir;
use zenekar_base::{InfrastructureId, Millis, RequestId, Timestamp};
use zenekar_store::{
    Entry, HolderInfo, InfrastructureRow, Lease, Loaded, RequestRow, Store, StoreError,
    StoreOptions, StoredEntry,
};

pub(crate) const NOW: Timestamp = Timestamp(1_700_000_000_000);
pub(crate) const TTL: Millis = Millis::from_secs(30);

pub(crate) fn id(text: &str) -> InfrastructureId {
    InfrastructureId::new(text)
}

pub(crate) fn open(directory: &Path) -> Store {
    Store::open(directory, StoreOptions::read_write()).unwrap()
}

/// A directory that is gone after the test: in memory where possible, because
/// a disk that flushes thousands of small transactions would be all that the
/// tests wait for.
pub(crate) fn scratch() -> TempDir {
    tempfile::Builder::new()
        .tempdir_in("/dev/shm")
        .or_else(|_| TempDir::new())
        .unwrap()
}

/// An empty store with infrastructure `demo`.
pub(crate) fn store_with_demo() -> (TempDir, Store) {
    let directory = scratch();
    let mut store = open(directory.path());
    store
        .create_infrastructure(&id("demo"), "Demo", NOW)
        .unwrap();
    (directory, store)
}

pub(crate) fn holder(pid: u32) -> HolderInfo {
    HolderInfo {
        pid,
        boot_id: "boot-1".into(),
        start_time: 17,
        host: "here".into(),
        command: format!("zenekar up #{pid}"),
    }
}

pub(crate) fn lease(store: &mut Store, infrastructure: &str) -> Lease {
    store
        .acquire(&id(infrastructure), &holder(1), NOW, TTL, &|_| false)
        .unwrap()
}

pub(crate) fn entry(number: i64, payload: &[u8]) -> Entry<'_> {
    Entry {
        at: Timestamp(NOW.0 + number),
        kind: "step",
        version: 1,
        payload,
    }
}

/// Appends entries `from` to `to` one by one, with payloads that name them.
pub(crate) fn append_numbered(store: &mut Store, lease: &Lease, from: u64, to: u64) {
    for number in from..=to {
        let payload = payload(number);
        assert_eq!(
            store
                .append(lease, &[entry(i64::try_from(number).unwrap(), &payload)])
                .unwrap(),
            number
        );
    }
}

pub(crate) fn payload(number: u64) -> Vec<u8> {
    format!(
        "{{\"step\":{number},\"filler\":\"{}\"}}",
        "x".repeat(usize::try_from(number % 97).unwrap())
    )
    .into_bytes()
}

/// All that can be read of a store.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Dump {
    pub(crate) list: Vec<InfrastructureRow>,
    pub(crate) parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Part {
    pub(crate) loaded: Loaded,
    pub(crate) entries: Vec<StoredEntry>,
    pub(crate) pending: Vec<RequestRow>,
    pub(crate) request: Option<RequestRow>,
    pub(crate) holder: Option<HolderInfo>,
}

pub(crate) fn dump(store: &Store) -> Result<Dump, StoreError> {
    let list = store.list_infrastructures()?;
    let parts = list
        .iter()
        .map(|row| dump_part(store, &row.id))
        .collect::<Result<_, _>>()?;
    Ok(Dump { list, parts })
}

fn dump_part(store: &Store, infrastructure: &InfrastructureId) -> Result<Part, StoreError> {
    Ok(Part {
        loaded: store.load(infrastructure)?,
        entries: read_all(store, infrastructure)?,
        pending: store.pending_requests(infrastructure, 0)?,
        request: store.request(infrastructure, &RequestId::new("scale-1"))?,
        holder: store.holder(infrastructure, NOW)?,
    })
}

/// Reads a journal in batches.
pub(crate) fn read_all(
    store: &Store,
    infrastructure: &InfrastructureId,
) -> Result<Vec<StoredEntry>, StoreError> {
    let mut entries: Vec<StoredEntry> = Vec::new();
    loop {
        let next = entries.last().map_or(1, |entry| entry.sequence + 1);
        let batch = store.read(infrastructure, next, 7)?;
        if batch.is_empty() {
            return Ok(entries);
        }
        entries.extend(batch);
    }
}

/// A closed store with something in every table, in one file without a log.
pub(crate) fn rich_store() -> TempDir {
    let directory = scratch();
    let mut store = open(directory.path());
    for name in ["alpha", "beta"] {
        store
            .create_infrastructure(&id(name), &format!("The {name} cluster"), NOW)
            .unwrap();
        let lease = lease(&mut store, name);
        append_numbered(&mut store, &lease, 1, 120);
        store
            .write_snapshot(&lease, 60, 1, format!("state of {name} at 60").as_bytes())
            .unwrap();
        store
            .write_snapshot(&lease, 100, 1, "s".repeat(6_000).as_bytes())
            .unwrap();
        for number in 1..=3 {
            let request = RequestId::new(format!("scale-{number}"));
            store
                .submit_request(
                    &id(name),
                    &request,
                    "scale",
                    format!("worker={number}").as_bytes(),
                    NOW,
                )
                .unwrap();
        }
        let applied = zenekar_store::Applied {
            number: 1,
            outcome: "done",
        };
        store.mark_applied(&lease, &[applied], NOW).unwrap();
    }
    drop(store);
    assert!(
        !directory.path().join("state.db-wal").exists(),
        "a closed store has no log"
    );
    directory
}

/// Copies the files of a store as a crash would leave them.
pub(crate) fn copy_files(from: &Path) -> TempDir {
    let to = scratch();
    for name in ["state.db", "state.db-wal"] {
        if from.join(name).exists() {
            fs::copy(from.join(name), to.path().join(name)).unwrap();
        }
    }
    to
}

/// Runs SQL on a store behind its back.
pub(crate) fn tamper(directory: &Path, sql: &str) {
    let connection = rusqlite::Connection::open(directory.join("state.db")).unwrap();
    connection.execute_batch(sql).unwrap();
}
