//! The journal: a verified chain of entries per infrastructure.

use rusqlite::params;
use zenekar_base::{InfrastructureId, Timestamp};

use crate::checksum::{Checksum, Summer};
use crate::error::{StoreError, damage};
use crate::inbox::{self, Applied};
use crate::infrastructure::{Record, check_text};
use crate::lease::{Lease, check_fence};
use crate::limits::{BATCH_ENTRIES_MAX, PAYLOAD_BYTES_MAX};
use crate::session::{Session, count, number};
use crate::snapshot::{self, Snapshot};
use crate::store::Store;

/// An entry to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// When it happened.
    pub at: Timestamp,
    /// What it is, in the writer's words.
    pub kind: &'a str,
    /// The format of the payload.
    pub version: u32,
    /// What it says.
    pub payload: &'a [u8],
}

/// An entry as it was read, verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredEntry {
    /// Its place in the journal, counted from one.
    pub sequence: u64,
    /// When it happened.
    pub at: Timestamp,
    /// What it is.
    pub kind: String,
    /// The format of the payload.
    pub version: u32,
    /// What it says.
    pub payload: Vec<u8>,
}

/// All that is needed to continue an infrastructure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loaded {
    /// The newest intact snapshot.
    pub snapshot: Option<Snapshot>,
    /// The entries after it.
    pub entries: Vec<StoredEntry>,
    /// The sequence number of the newest entry; zero if there is none.
    pub last_sequence: u64,
    /// Newer snapshots that were passed over because they are damaged. What
    /// was loaded is complete without them.
    pub problems: Vec<String>,
}

/// Where a journal stops being what was written, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The first entry that is not intact.
    pub sequence: u64,
    /// What is wrong with it.
    pub why: String,
}

/// A place in the chain: what comes next, and what it has to follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) next: i64,
    pub(crate) previous: Checksum,
}

/// Entries that a repair moved into quarantine though later ones are intact.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gap {
    pub(crate) from: i64,
    pub(crate) to: i64,
    pub(crate) checksum_after: Checksum,
}

impl Gap {
    fn checksum(&self, record: &Record) -> Checksum {
        Summer::new("gap")
            .text(&record.id)
            .number(self.from)
            .number(self.to)
            .bytes(&self.checksum_after.0)
            .finish()
    }

    pub(crate) fn write(&self, session: Session<'_>, record: &Record) -> Result<(), StoreError> {
        session.execute(
            "INSERT OR REPLACE INTO gaps (infrastructure, from_sequence, to_sequence, checksum_after, checksum) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![record.number, self.from, self.to, self.checksum_after, self.checksum(record)],
        )?;
        Ok(())
    }

    /// Returns the intact gaps; one that is not intact leaves entries missing,
    /// which the reader of the chain then reports.
    pub(crate) fn all(session: Session<'_>, record: &Record) -> Result<Vec<Self>, StoreError> {
        let failed = |source| session.failed(source);
        let mut statement = session.prepare(
            "SELECT from_sequence, to_sequence, checksum_after, checksum FROM gaps WHERE infrastructure = ?1 ORDER BY from_sequence",
        )?;
        let rows = statement
            .query_map([record.number], |row| {
                let gap = Self {
                    from: row.get(0)?,
                    to: row.get(1)?,
                    checksum_after: row.get(2)?,
                };
                let intact = gap.checksum(record) == row.get(3)? && gap.from <= gap.to;
                Ok(intact.then_some(gap))
            })
            .map_err(failed)?;
        let gaps: Vec<Option<Self>> = rows.collect::<Result<_, _>>().map_err(failed)?;
        Ok(gaps.into_iter().flatten().collect())
    }
}

/// Computes the chain at an entry from the chain before it.
fn link(
    previous: Checksum,
    sequence: i64,
    at_ms: i64,
    kind: &str,
    version: u32,
    payload: &[u8],
) -> Checksum {
    Summer::new("entry")
        .bytes(&previous.0)
        .number(sequence)
        .number(at_ms)
        .text(kind)
        .number(i64::from(version))
        .bytes(payload)
        .finish()
}

/// What a walk along the chain found.
#[derive(Debug)]
pub(crate) struct Walked {
    /// Where it ended: after the last intact entry that was visited.
    pub(crate) position: Position,
    /// Why it could not go on, if it could not.
    pub(crate) damage: Option<Damage>,
}

impl Walked {
    fn stopped(position: Position, why: Option<String>) -> Self {
        let sequence = count(position.next);
        Self {
            position,
            damage: why.map(|why| Damage { sequence, why }),
        }
    }
}

/// Walks the chain from `start` for at most `entries_max` entries and hands
/// each intact entry to `visit`, with the chain at it.
pub(crate) fn walk(
    session: Session<'_>,
    record: &Record,
    start: Position,
    entries_max: usize,
    visit: &mut dyn FnMut(StoredEntry, Checksum) -> Result<(), StoreError>,
) -> Result<Walked, StoreError> {
    let gaps = Gap::all(session, record)?;
    let mut position = cross_gaps(&gaps, start);
    let mut statement = session.prepare(
        "SELECT sequence, at_ms, kind, version, payload, checksum FROM journal
         WHERE infrastructure = ?1 AND sequence >= ?2 ORDER BY sequence LIMIT ?3",
    )?;
    let limit = number(entries_max as u64);
    let mut rows = statement
        .query(params![record.number, position.next, limit])
        .map_err(|source| session.failed(source))?;
    let mut visited = 0;
    loop {
        let verified = match rows.next() {
            Ok(Some(row)) => verify(row, record, position),
            Ok(None) => break,
            Err(error) => Err(damage(&error).ok_or_else(|| session.failed(error))?),
        };
        match verified {
            Ok((entry, checksum)) => {
                let next = position.next + 1;
                let previous = checksum;
                position = cross_gaps(&gaps, Position { next, previous });
                visit(entry, checksum)?;
                visited += 1;
            }
            Err(why) => return Ok(Walked::stopped(position, Some(why))),
        }
    }
    let is_at_end = visited < entries_max || position.next > record.last_sequence;
    let why = is_at_end.then(|| end_damage(record, position)).flatten();
    Ok(Walked::stopped(position, why))
}

/// Reads the row that should be the entry at `position`, or says why it is not.
fn verify(
    row: &rusqlite::Row<'_>,
    record: &Record,
    position: Position,
) -> Result<(StoredEntry, Checksum), String> {
    let (entry, checksum) =
        read_row(row).map_err(|error| damage(&error).unwrap_or_else(|| error.to_string()))?;
    let sequence = number(entry.sequence);
    if sequence != position.next {
        return Err(format!("missing: the next entry is {sequence}"));
    }
    if sequence > record.last_sequence {
        let last = record.last_sequence;
        return Err(format!("unexpected: the journal ends with entry {last}"));
    }
    let (at_ms, kind) = (entry.at.0, &entry.kind);
    let expected = link(
        position.previous,
        sequence,
        at_ms,
        kind,
        entry.version,
        &entry.payload,
    );
    if expected != checksum {
        return Err("its checksum does not fit its content or its predecessor".to_owned());
    }
    Ok((entry, checksum))
}

/// Says how the end of the journal differs from the one that was recorded.
fn end_damage(record: &Record, position: Position) -> Option<String> {
    if position.next <= record.last_sequence {
        let last = record.last_sequence;
        return Some(format!("missing: the journal should end with entry {last}"));
    }
    (position.previous != record.head)
        .then(|| "the end of the journal is not the one that was written last".to_owned())
}

fn read_row(row: &rusqlite::Row<'_>) -> rusqlite::Result<(StoredEntry, Checksum)> {
    let entry = StoredEntry {
        sequence: count(row.get(0)?),
        at: Timestamp(row.get(1)?),
        kind: row.get(2)?,
        version: row.get(3)?,
        payload: row.get(4)?,
    };
    Ok((entry, row.get(5)?))
}

fn cross_gaps(gaps: &[Gap], mut position: Position) -> Position {
    for gap in gaps {
        if gap.from == position.next {
            position = Position {
                next: gap.to + 1,
                previous: gap.checksum_after,
            };
        }
    }
    position
}

/// Returns the place of the first entry with at least number `from`.
pub(crate) fn position_at(
    session: Session<'_>,
    record: &Record,
    from: i64,
) -> Result<Position, StoreError> {
    if from <= record.first_sequence {
        return Ok(Position {
            next: record.first_sequence,
            previous: record.base,
        });
    }
    for gap in Gap::all(session, record)? {
        if gap.from < from && from <= gap.to + 1 {
            return Ok(Position {
                next: gap.to + 1,
                previous: gap.checksum_after,
            });
        }
    }
    let previous = chain_at(session, record, from - 1)?;
    previous
        .map(|previous| Position {
            next: from,
            previous,
        })
        .ok_or_else(|| {
            session.corrupt(damage_text(
                record,
                &Damage {
                    sequence: count(from - 1),
                    why: "missing".to_owned(),
                },
            ))
        })
}

/// Returns the chain at one entry as its row says; not verified.
pub(crate) fn chain_at(
    session: Session<'_>,
    record: &Record,
    sequence: i64,
) -> Result<Option<Checksum>, StoreError> {
    use rusqlite::OptionalExtension as _;
    session
        .prepare("SELECT checksum FROM journal WHERE infrastructure = ?1 AND sequence = ?2")?
        .query_row([record.number, sequence], |row| row.get(0))
        .optional()
        .map_err(|source| session.failed(source))
}

/// Says in one line where a journal is damaged.
pub(crate) fn damage_text(record: &Record, damage: &Damage) -> String {
    format!(
        "entry {} of infrastructure `{}`: {}",
        damage.sequence, record.id, damage.why
    )
}

/// Reads up to `entries_max` entries from `start`; fails at the first that is not intact.
fn read_batch(
    session: Session<'_>,
    record: &Record,
    start: Position,
    entries_max: usize,
) -> Result<Vec<StoredEntry>, StoreError> {
    let mut entries = Vec::new();
    let walked = walk(session, record, start, entries_max, &mut |entry, _| {
        entries.push(entry);
        Ok(())
    })?;
    match walked.damage {
        Some(damage) => Err(session.corrupt(damage_text(record, &damage))),
        None => Ok(entries),
    }
}

/// Adds entries behind the last one and returns the new number of the last one.
/// Used with care by the import, which has no lease.
pub(crate) fn insert(
    session: Session<'_>,
    record: &mut Record,
    entries: &[Entry<'_>],
) -> Result<(), StoreError> {
    let mut statement = session.prepare(
        "INSERT INTO journal (infrastructure, sequence, at_ms, kind, version, payload, checksum) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    for entry in entries {
        let sequence = record.last_sequence + 1;
        let checksum = link(
            record.head,
            sequence,
            entry.at.0,
            entry.kind,
            entry.version,
            entry.payload,
        );
        statement
            .execute(params![
                record.number,
                sequence,
                entry.at.0,
                entry.kind,
                entry.version,
                entry.payload,
                checksum
            ])
            .map_err(|source| session.failed(source))?;
        record.last_sequence = sequence;
        record.head = checksum;
    }
    Ok(())
}

pub(crate) fn check_entries(entries: &[Entry<'_>]) -> Result<(), StoreError> {
    if entries.len() > BATCH_ENTRIES_MAX {
        return Err(StoreError::TooLarge {
            what: "a batch of entries",
            size: entries.len(),
            limit: BATCH_ENTRIES_MAX,
        });
    }
    for entry in entries {
        check_text("the kind of an entry", entry.kind)?;
        if entry.payload.len() > PAYLOAD_BYTES_MAX {
            return Err(StoreError::TooLarge {
                what: "the payload of an entry",
                size: entry.payload.len(),
                limit: PAYLOAD_BYTES_MAX,
            });
        }
    }
    Ok(())
}

impl Store {
    /// Appends entries in one durable step and returns the number of the last
    /// entry of the journal.
    pub fn append(&mut self, lease: &Lease, entries: &[Entry<'_>]) -> Result<u64, StoreError> {
        self.append_applying(lease, entries, &[], Timestamp::ZERO)
    }

    /// Appends entries and, in the same durable step, marks requests as applied.
    pub fn append_applying(
        &mut self,
        lease: &Lease,
        entries: &[Entry<'_>],
        applied: &[Applied<'_>],
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        check_entries(entries)?;
        self.write_with("append to the journal", |session| {
            let mut record = check_fence(session, lease)?;
            if !entries.is_empty() {
                insert(session, &mut record, entries)?;
                record.write(session)?;
            }
            inbox::apply(session, &record, applied, now)?;
            Ok(count(record.last_sequence))
        })
    }

    /// Reads up to `entries_max` entries with at least the number
    /// `from_sequence`, oldest first; none at the end of the journal.
    pub fn read(
        &self,
        infrastructure: &InfrastructureId,
        from_sequence: u64,
        entries_max: usize,
    ) -> Result<Vec<StoredEntry>, StoreError> {
        self.read_with("read the journal", |session| {
            let record = Record::get(session, infrastructure)?;
            let from = number(from_sequence);
            if from > record.last_sequence {
                return Ok(Vec::new());
            }
            let start = position_at(session, &record, from)?;
            read_batch(session, &record, start, entries_max)
        })
    }

    /// Reads all that is needed to continue an infrastructure: the newest
    /// intact snapshot and the entries after it.
    pub fn load(&self, infrastructure: &InfrastructureId) -> Result<Loaded, StoreError> {
        self.read_with("load the state", |session| {
            let record = Record::get(session, infrastructure)?;
            let last_sequence = count(record.last_sequence);
            let newest = snapshot::newest_intact(session, &record)?;
            let start = match &newest.content {
                Some((snapshot, chain)) => Position {
                    next: number(snapshot.sequence) + 1,
                    previous: *chain,
                },
                None if record.first_sequence > 1 => {
                    return Err(session.corrupt(format!(
                        "no snapshot of infrastructure `{}` is intact",
                        record.id
                    )));
                }
                None => Position {
                    next: 1,
                    previous: record.base,
                },
            };
            let entries = read_batch(session, &record, start, usize::MAX)?;
            let snapshot = newest.content.map(|(snapshot, _)| snapshot);
            Ok(Loaded {
                snapshot,
                entries,
                last_sequence,
                problems: newest.problems,
            })
        })
    }
}
