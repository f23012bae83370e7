//! Snapshots: what all entries up to one of them add up to.

use rusqlite::{Row, params};

use crate::checksum::{Checksum, Summer};
use crate::error::{StoreError, damage};
use crate::infrastructure::Record;
use crate::journal::chain_at;
use crate::lease::{Lease, check_fence};
use crate::limits::{SNAPSHOT_BYTES_MAX, SNAPSHOTS_KEPT};
use crate::session::{Session, count, number};
use crate::store::Store;

/// The state after all entries up to one of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The last entry that it covers.
    pub sequence: u64,
    /// The format of the payload.
    pub version: u32,
    /// The state.
    pub payload: Vec<u8>,
}

/// The sum binds the snapshot to its infrastructure and its place in the chain.
fn checksum(
    record: &Record,
    sequence: i64,
    version: u32,
    chain: Checksum,
    payload: &[u8],
) -> Checksum {
    Summer::new("snapshot")
        .text(&record.id)
        .number(sequence)
        .number(i64::from(version))
        .bytes(&chain.0)
        .bytes(payload)
        .finish()
}

/// A snapshot that was found, intact or not.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) sequence: i64,
    /// The snapshot with the chain at it; or what is wrong.
    pub(crate) content: Result<(Snapshot, Checksum), String>,
}

fn sequences(session: Session<'_>, record: &Record) -> Result<Vec<i64>, StoreError> {
    let failed = |source| session.failed(source);
    let mut statement = session.prepare(
        "SELECT sequence FROM snapshots WHERE infrastructure = ?1 ORDER BY sequence DESC",
    )?;
    statement
        .query_map([record.number], |row| row.get(0))
        .map_err(failed)?
        .collect::<Result<_, _>>()
        .map_err(failed)
}

fn read(session: Session<'_>, record: &Record, sequence: i64) -> Result<Found, StoreError> {
    let decode = |row: &Row<'_>| -> rusqlite::Result<(u32, Checksum, Checksum, Vec<u8>)> {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
    };
    let row = session
        .prepare("SELECT version, chain_checksum, checksum, payload FROM snapshots WHERE infrastructure = ?1 AND sequence = ?2")?
        .query_row([record.number, sequence], decode);
    let content = match row {
        Ok((version, chain, sum, payload))
            if checksum(record, sequence, version, chain, &payload) == sum =>
        {
            Ok((
                Snapshot {
                    sequence: count(sequence),
                    version,
                    payload,
                },
                chain,
            ))
        }
        Ok(_) => Err("its checksum does not fit its content".to_owned()),
        Err(error) => Err(damage(&error).ok_or_else(|| session.failed(error))?),
    };
    let content = if sequence > record.last_sequence {
        Err("it is newer than the journal".to_owned())
    } else {
        content
    };
    Ok(Found { sequence, content })
}

/// Returns all snapshots, newest first.
pub(crate) fn all(session: Session<'_>, record: &Record) -> Result<Vec<Found>, StoreError> {
    sequences(session, record)?
        .into_iter()
        .map(|sequence| read(session, record, sequence))
        .collect()
}

/// The newest intact snapshot.
#[derive(Debug, Default)]
pub(crate) struct Newest {
    /// The snapshot with the chain at it, if one is intact.
    pub(crate) content: Option<(Snapshot, Checksum)>,
    /// What is wrong with those that are newer.
    pub(crate) problems: Vec<String>,
}

/// Returns the newest intact snapshot.
pub(crate) fn newest_intact(session: Session<'_>, record: &Record) -> Result<Newest, StoreError> {
    let mut newest = Newest::default();
    for sequence in sequences(session, record)? {
        match read(session, record, sequence)?.content {
            Ok(content) => {
                newest.content = Some(content);
                break;
            }
            Err(why) => newest.problems.push(format!("snapshot {sequence}: {why}")),
        }
    }
    Ok(newest)
}

/// Writes a snapshot at an entry whose chain is known.
pub(crate) fn insert(
    session: Session<'_>,
    record: &Record,
    snapshot: &Snapshot,
    chain: Checksum,
) -> Result<(), StoreError> {
    let sequence = number(snapshot.sequence);
    session.execute(
        "INSERT OR REPLACE INTO snapshots (infrastructure, sequence, version, chain_checksum, checksum, payload) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![
            record.number,
            sequence,
            snapshot.version,
            chain,
            checksum(record, sequence, snapshot.version, chain, &snapshot.payload),
            snapshot.payload
        ],
    )?;
    Ok(())
}

pub(crate) fn check_size(payload: &[u8]) -> Result<(), StoreError> {
    if payload.len() > SNAPSHOT_BYTES_MAX {
        return Err(StoreError::TooLarge {
            what: "a snapshot",
            size: payload.len(),
            limit: SNAPSHOT_BYTES_MAX,
        });
    }
    Ok(())
}

impl Store {
    /// Writes the state after entry `sequence`, and drops all but the newest
    /// snapshots. The journal keeps its entries.
    pub fn write_snapshot(
        &mut self,
        lease: &Lease,
        sequence: u64,
        version: u32,
        payload: &[u8],
    ) -> Result<(), StoreError> {
        check_size(payload)?;
        self.write_with("write a snapshot", |session| {
            let record = check_fence(session, lease)?;
            let at = number(sequence);
            let chain = if at == record.last_sequence {
                Some(record.head)
            } else {
                chain_at(session, &record, at)?
            };
            let chain = chain.ok_or_else(|| {
                session.corrupt(format!(
                    "entry {sequence} of infrastructure `{}`: missing",
                    record.id
                ))
            })?;
            insert(
                session,
                &record,
                &Snapshot {
                    sequence,
                    version,
                    payload: payload.to_owned(),
                },
                chain,
            )?;
            for old in sequences(session, &record)?
                .into_iter()
                .skip(SNAPSHOTS_KEPT)
            {
                session.execute(
                    "DELETE FROM snapshots WHERE infrastructure = ?1 AND sequence = ?2",
                    [record.number, old],
                )?;
            }
            Ok(())
        })
    }

    /// Deletes entries that are neither needed by a snapshot that is kept nor
    /// among the newest `entries_kept`, and returns how many.
    pub fn compact(&mut self, lease: &Lease, entries_kept: u64) -> Result<u64, StoreError> {
        self.write_with("compact the journal", |session| {
            let mut record = check_fence(session, lease)?;
            let found = all(session, &record)?;
            if found.len() < SNAPSHOTS_KEPT
                || found.iter().any(|snapshot| snapshot.content.is_err())
            {
                return Ok(0);
            }
            let oldest = found
                .iter()
                .map(|snapshot| snapshot.sequence)
                .min()
                .unwrap_or(0);
            let through = oldest.min(record.last_sequence.saturating_sub(number(entries_kept)));
            if through < record.first_sequence {
                return Ok(0);
            }
            // Inside a gap there is no entry to continue from.
            let Some(base) = chain_at(session, &record, through)? else {
                return Ok(0);
            };
            let deleted = session.execute(
                "DELETE FROM journal WHERE infrastructure = ?1 AND sequence <= ?2",
                [record.number, through],
            )?;
            session.execute(
                "DELETE FROM gaps WHERE infrastructure = ?1 AND to_sequence <= ?2",
                [record.number, through],
            )?;
            record.first_sequence = through + 1;
            record.base = base;
            record.write(session)?;
            Ok(deleted as u64)
        })
    }
}
