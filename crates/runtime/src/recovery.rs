//! From the journal to a state.

use zenekar_base::{InfrastructureId, Timestamp};
use zenekar_engine::{Entry, RECORD_VERSION, SNAPSHOT_VERSION, Snapshot, State};
use zenekar_store::{Loaded, Store, StoredEntry};

use crate::error::RuntimeError;
use crate::host::SharedStore;
use crate::limits::READ_ENTRIES_MAX;

/// A state and where in the journal it stands.
#[derive(Debug)]
pub(crate) struct Recovered {
    pub(crate) state: State,
    pub(crate) last_sequence: u64,
    pub(crate) entries_since_snapshot: u64,
    /// What is damaged and was not needed.
    pub(crate) problems: Vec<String>,
}

/// Loads the newest snapshot and applies the entries after it.
pub(crate) fn recover(
    store: &Store,
    infrastructure: &InfrastructureId,
) -> Result<Recovered, RuntimeError> {
    let Loaded {
        snapshot,
        entries,
        last_sequence,
        problems,
    } = store.load(infrastructure)?;
    let mut state = match snapshot {
        None => State::new(infrastructure.clone()),
        Some(snapshot) => {
            check_version(
                infrastructure,
                snapshot.sequence,
                snapshot.version,
                SNAPSHOT_VERSION,
            )?;
            let decoded: Snapshot =
                serde_json::from_slice(&snapshot.payload).map_err(|source| {
                    RuntimeError::Malformed {
                        infrastructure: infrastructure.clone(),
                        sequence: snapshot.sequence,
                        source,
                    }
                })?;
            decoded.restore(infrastructure.clone())
        }
    };
    for stored in &entries {
        state.apply(&decode(infrastructure, stored)?);
    }
    Ok(Recovered {
        state,
        last_sequence,
        entries_since_snapshot: entries.len() as u64,
        problems,
    })
}

fn decode(infrastructure: &InfrastructureId, stored: &StoredEntry) -> Result<Entry, RuntimeError> {
    check_version(
        infrastructure,
        stored.sequence,
        stored.version,
        RECORD_VERSION,
    )?;
    serde_json::from_slice(&stored.payload).map_err(|source| RuntimeError::Malformed {
        infrastructure: infrastructure.clone(),
        sequence: stored.sequence,
        source,
    })
}

fn check_version(
    infrastructure: &InfrastructureId,
    sequence: u64,
    found: u32,
    supported: u32,
) -> Result<(), RuntimeError> {
    if found > supported {
        return Err(RuntimeError::NewerFormat {
            infrastructure: infrastructure.clone(),
            sequence,
            found,
            supported,
        });
    }
    Ok(())
}

/// Reads facts with at least the number `from_sequence`, oldest first, and
/// their numbers; at most a bounded number of them, none at the end.
pub fn read_entries(
    store: &SharedStore,
    infrastructure: &InfrastructureId,
    from_sequence: u64,
) -> Result<Vec<(u64, Entry)>, RuntimeError> {
    let stored = store.with(|store| store.read(infrastructure, from_sequence, READ_ENTRIES_MAX))?;
    stored
        .iter()
        .map(|stored| Ok((stored.sequence, decode(infrastructure, stored)?)))
        .collect()
}

/// An entry in its stored form.
#[derive(Debug)]
pub(crate) struct EncodedEntry {
    pub(crate) at: Timestamp,
    pub(crate) kind: &'static str,
    pub(crate) payload: std::ops::Range<usize>,
}

/// Writes an entry behind the others.
pub(crate) fn encode(entry: &Entry, bytes: &mut Vec<u8>) -> Result<EncodedEntry, RuntimeError> {
    let from = bytes.len();
    serde_json::to_writer(&mut *bytes, entry).map_err(|source| RuntimeError::Encode {
        what: "a fact",
        source,
    })?;
    Ok(EncodedEntry {
        at: entry.at,
        kind: entry.record.kind(),
        payload: from..bytes.len(),
    })
}
