//! The infrastructures of a store.

use rusqlite::{OptionalExtension, Row, params};
use zenekar_base::{InfrastructureId, Origin, Timestamp};

use crate::account::{self, Accounts};
use crate::checksum::{Checksum, Summer};
use crate::error::StoreError;
use crate::lease;
use crate::limits::TEXT_BYTES_MAX;
use crate::origin;
use crate::session::{Session, count, number};
use crate::store::Store;

/// One infrastructure as lists show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InfrastructureRow {
    /// Its id.
    pub id: InfrastructureId,
    /// Its name.
    pub name: String,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was taken down, if it was.
    pub removed_at: Option<Timestamp>,
    /// The sequence number of its oldest entry that is kept.
    pub first_sequence: u64,
    /// The sequence number of its newest entry; zero if it has none.
    pub last_sequence: u64,
}

/// One infrastructure as it is stored.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub(crate) number: i64,
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) created_at_ms: i64,
    pub(crate) removed_at_ms: Option<i64>,
    pub(crate) first_sequence: i64,
    /// What the chain was before the first entry that is kept.
    pub(crate) base: Checksum,
    pub(crate) last_sequence: i64,
    /// The chain at the last entry.
    pub(crate) head: Checksum,
    pub(crate) request_count: i64,
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT number, id, name, created_at_ms, removed_at_ms, first_sequence, base_checksum, ",
            "last_sequence, head_checksum, request_count, checksum FROM infrastructures ",
            $rest
        )
    };
}

impl Record {
    /// Makes the record of a new infrastructure without entries.
    pub(crate) fn new(
        number: i64,
        id: &InfrastructureId,
        name: &str,
        created_at: Timestamp,
    ) -> Self {
        let base = genesis(id.as_str());
        Self {
            number,
            id: id.as_str().to_owned(),
            name: name.to_owned(),
            created_at_ms: created_at.0,
            removed_at_ms: None,
            first_sequence: 1,
            base,
            last_sequence: 0,
            head: base,
            request_count: 0,
        }
    }

    /// Reads a row; the second value tells whether its checksum holds.
    pub(crate) fn from_row(row: &Row<'_>) -> rusqlite::Result<(Self, bool)> {
        let record = Self {
            number: row.get(0)?,
            id: row.get(1)?,
            name: row.get(2)?,
            created_at_ms: row.get(3)?,
            removed_at_ms: row.get(4)?,
            first_sequence: row.get(5)?,
            base: row.get(6)?,
            last_sequence: row.get(7)?,
            head: row.get(8)?,
            request_count: row.get(9)?,
        };
        let intact = record.checksum() == row.get(10)?;
        Ok((record, intact))
    }

    fn checksum(&self) -> Checksum {
        Summer::new("infrastructure")
            .number(self.number)
            .text(&self.id)
            .text(&self.name)
            .number(self.created_at_ms)
            .optional(self.removed_at_ms)
            .number(self.first_sequence)
            .bytes(&self.base.0)
            .number(self.last_sequence)
            .bytes(&self.head.0)
            .number(self.request_count)
            .finish()
    }

    /// Writes the row, replacing the one with the same number.
    pub(crate) fn write(&self, session: Session<'_>) -> Result<(), StoreError> {
        session.execute(
            "INSERT INTO infrastructures (number, id, name, created_at_ms, removed_at_ms, first_sequence, base_checksum,
             last_sequence, head_checksum, request_count, checksum)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
             ON CONFLICT (number) DO UPDATE SET id = ?2, name = ?3, created_at_ms = ?4, removed_at_ms = ?5, first_sequence = ?6,
             base_checksum = ?7, last_sequence = ?8, head_checksum = ?9, request_count = ?10, checksum = ?11",
            params![
                self.number,
                self.id,
                self.name,
                self.created_at_ms,
                self.removed_at_ms,
                self.first_sequence,
                self.base,
                self.last_sequence,
                self.head,
                self.request_count,
                self.checksum()
            ],
        )?;
        Ok(())
    }

    pub(crate) fn id(&self) -> InfrastructureId {
        InfrastructureId::new(self.id.clone())
    }

    pub(crate) fn to_row(&self) -> InfrastructureRow {
        InfrastructureRow {
            id: self.id(),
            name: self.name.clone(),
            created_at: Timestamp(self.created_at_ms),
            removed_at: self.removed_at_ms.map(Timestamp),
            first_sequence: count(self.first_sequence),
            last_sequence: count(self.last_sequence),
        }
    }

    /// Finds an infrastructure; `None` only if it certainly does not exist.
    pub(crate) fn find(
        session: Session<'_>,
        id: &InfrastructureId,
    ) -> Result<Option<Self>, StoreError> {
        let found = session
            .prepare(select!("WHERE id = ?1"))?
            .query_row([id.as_str()], Self::from_row)
            .optional()
            .map_err(|source| session.failed(source))?;
        match found {
            Some((record, true)) => Ok(Some(record)),
            Some((_, false)) => {
                Err(session.corrupt(format!("the record of infrastructure `{id}` has changed")))
            }
            // The index may be what is damaged.
            None if Self::all(session)?
                .iter()
                .any(|record| record.id == id.as_str()) =>
            {
                Err(session.corrupt("the index of the infrastructures misses one"))
            }
            None => Ok(None),
        }
    }

    /// Finds an infrastructure that must exist.
    pub(crate) fn get(session: Session<'_>, id: &InfrastructureId) -> Result<Self, StoreError> {
        Self::find(session, id)?.ok_or_else(|| StoreError::UnknownInfrastructure {
            infrastructure: id.clone(),
            path: session.path.to_owned(),
        })
    }

    /// Returns all infrastructures by number, each verified, none missing.
    pub(crate) fn all(session: Session<'_>) -> Result<Vec<Self>, StoreError> {
        let (records, problems) = Self::all_readable(session)?;
        match problems.into_iter().next() {
            Some(problem) => Err(session.corrupt(problem)),
            None => Ok(records.into_iter().map(|(record, _)| record).collect()),
        }
    }

    /// Returns what can be read, and what is wrong with it.
    pub(crate) fn all_readable(
        session: Session<'_>,
    ) -> Result<(Vec<Readable>, Vec<String>), StoreError> {
        let failed = |source| session.failed(source);
        let mut statement = session.prepare(select!("NOT INDEXED ORDER BY number"))?;
        let records: Vec<_> = statement
            .query_map([], Self::from_row)
            .map_err(failed)?
            .collect::<Result<_, _>>()
            .map_err(failed)?;
        let mut problems: Vec<String> = records
            .iter()
            .filter(|(_, intact)| !intact)
            .map(|(record, _)| format!("the record of infrastructure `{}` has changed", record.id))
            .collect();
        match Meta::read(session)? {
            None => problems.push("the count of the infrastructures has changed".to_owned()),
            Some(meta) if meta.infrastructure_count != number(records.len() as u64) => {
                problems.push(format!(
                    "it should hold {} infrastructures but holds {}",
                    meta.infrastructure_count,
                    records.len()
                ));
            }
            Some(_) => {}
        }
        Ok((records, problems))
    }
}

/// A record that can be read, and whether its checksum holds.
pub(crate) type Readable = (Record, bool);

/// The state of the chain before the first entry of an infrastructure.
pub(crate) fn genesis(id: &str) -> Checksum {
    Summer::new("journal").text(id).finish()
}

/// What the store knows of itself: lets a vanished infrastructure be noticed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Meta {
    pub(crate) infrastructure_count: i64,
    pub(crate) next_number: i64,
}

impl Meta {
    fn checksum(self) -> Checksum {
        Summer::new("meta")
            .number(self.infrastructure_count)
            .number(self.next_number)
            .finish()
    }

    /// Reads the row; `None` if it is damaged.
    pub(crate) fn read(session: Session<'_>) -> Result<Option<Self>, StoreError> {
        let row = session
            .prepare("SELECT infrastructure_count, next_number, checksum FROM meta WHERE id = 1")?
            .query_row([], |row| {
                Ok((
                    Self {
                        infrastructure_count: row.get(0)?,
                        next_number: row.get(1)?,
                    },
                    row.get::<_, Checksum>(2)?,
                ))
            })
            .optional()
            .map_err(|source| session.failed(source))?;
        Ok(row
            .filter(|(meta, checksum)| meta.checksum() == *checksum)
            .map(|(meta, _)| meta))
    }

    pub(crate) fn write(self, session: Session<'_>) -> Result<(), StoreError> {
        session.execute(
            "INSERT INTO meta (id, infrastructure_count, next_number, checksum) VALUES (1, ?1, ?2, ?3)
             ON CONFLICT (id) DO UPDATE SET infrastructure_count = ?1, next_number = ?2, checksum = ?3",
            params![self.infrastructure_count, self.next_number, self.checksum()],
        )?;
        Ok(())
    }
}

/// Adds a new infrastructure, its free lease, its origin and its accounts included.
pub(crate) fn insert(
    session: Session<'_>,
    id: &InfrastructureId,
    name: &str,
    created_at: Timestamp,
    origin: Option<Origin>,
    accounts: &Accounts,
) -> Result<Record, StoreError> {
    let mut meta = Meta::read(session)?
        .ok_or_else(|| session.corrupt("the count of the infrastructures has changed"))?;
    let record = Record::new(meta.next_number, id, name, created_at);
    record.write(session)?;
    lease::insert_free(session, record.number)?;
    origin::write(session, record.number, origin)?;
    account::write(session, record.number, accounts)?;
    meta.infrastructure_count += 1;
    meta.next_number += 1;
    meta.write(session)?;
    Ok(record)
}

/// Refuses a text that is too long for a line.
pub(crate) fn check_text(what: &'static str, text: &str) -> Result<(), StoreError> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(StoreError::TooLarge {
            what,
            size: text.len(),
            limit: TEXT_BYTES_MAX,
        });
    }
    Ok(())
}

impl Store {
    /// Creates an infrastructure; does nothing if there is one with this id.
    pub fn create_infrastructure(
        &mut self,
        id: &InfrastructureId,
        name: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        check_text("the id of an infrastructure", id.as_str())?;
        check_text("the name of an infrastructure", name)?;
        self.write_with("create an infrastructure", |session| {
            if Record::find(session, id)?.is_none() {
                insert(session, id, name, now, None, &Accounts::new())?;
            }
            Ok(())
        })
    }

    /// Returns all infrastructures, oldest first, those taken down included.
    pub fn list_infrastructures(&self) -> Result<Vec<InfrastructureRow>, StoreError> {
        self.read_with("list the infrastructures", |session| {
            Ok(Record::all(session)?.iter().map(Record::to_row).collect())
        })
    }

    /// Returns one infrastructure.
    pub fn infrastructure(
        &self,
        id: &InfrastructureId,
    ) -> Result<Option<InfrastructureRow>, StoreError> {
        self.read_with("look up an infrastructure", |session| {
            Ok(Record::find(session, id)?.map(|record| record.to_row()))
        })
    }

    /// Notes that an infrastructure was taken down. Its journal stays readable.
    pub fn mark_removed(&mut self, lease: &lease::Lease, now: Timestamp) -> Result<(), StoreError> {
        self.write_with("note that an infrastructure is down", |session| {
            let mut record = lease::check_fence(session, lease)?;
            record.removed_at_ms.get_or_insert(now.0);
            record.write(session)
        })
    }

    /// Notes that an infrastructure that was taken down is wanted again.
    pub fn mark_wanted(&mut self, lease: &lease::Lease) -> Result<(), StoreError> {
        self.write_with("note that an infrastructure is wanted", |session| {
            let mut record = lease::check_fence(session, lease)?;
            record.removed_at_ms = None;
            record.write(session)
        })
    }

    /// Deletes an infrastructure that was taken down, with its history.
    pub fn purge(&mut self, lease: lease::Lease) -> Result<(), StoreError> {
        self.write_with("purge an infrastructure", |session| {
            let record = lease::check_fence(session, &lease)?;
            if record.removed_at_ms.is_none() {
                return Err(StoreError::NotRemoved {
                    infrastructure: record.id(),
                });
            }
            let mut meta = Meta::read(session)?
                .ok_or_else(|| session.corrupt("the count of the infrastructures has changed"))?;
            for statement in PURGE {
                session.execute(statement, [record.number])?;
            }
            meta.infrastructure_count -= 1;
            meta.write(session)
        })
    }
}

const PURGE: [&str; 9] = [
    "DELETE FROM accounts WHERE infrastructure = ?1",
    "DELETE FROM origins WHERE infrastructure = ?1",
    "DELETE FROM journal WHERE infrastructure = ?1",
    "DELETE FROM gaps WHERE infrastructure = ?1",
    "DELETE FROM snapshots WHERE infrastructure = ?1",
    "DELETE FROM requests WHERE infrastructure = ?1",
    "DELETE FROM quarantine WHERE infrastructure = ?1",
    "DELETE FROM leases WHERE infrastructure = ?1",
    "DELETE FROM infrastructures WHERE number = ?1",
];
