//! The origins of infrastructures: what tells them apart from others of the
//! same name at clouds that others use too.
//!
//! An origin that is lost makes everything at such clouds invisible, so it is
//! stored twice, each copy with a checksum of its own.

use rusqlite::{OptionalExtension, params};
use zenekar_base::{InfrastructureId, Origin};

use crate::checksum::{Checksum, Summer};
use crate::error::StoreError;
use crate::infrastructure::Record;
use crate::schema;
use crate::session::Session;
use crate::store::Store;

/// The format in which stores have had origins since.
pub(crate) const FORMAT_WITH_ORIGINS: i64 = 2;

/// Which copies there are.
const COPIES: [i64; 2] = [1, 2];

impl Store {
    /// Returns the origin of an infrastructure, which never changes; `None` if
    /// there is no such infrastructure, or if the state has an older format
    /// and was opened for reading only.
    pub fn origin(&self, infrastructure: &InfrastructureId) -> Result<Option<Origin>, StoreError> {
        self.read_with("look up an origin", |session| {
            let Some(record) = Record::find(session, infrastructure)? else {
                return Ok(None);
            };
            read(session, &record)
        })
    }
}

fn checksum(number: i64, copy: i64, text: &str) -> Checksum {
    Summer::new("origin")
        .number(number)
        .number(copy)
        .text(text)
        .finish()
}

/// Draws an origin. The database takes its random bytes from the system's source.
fn draw(session: Session<'_>) -> Result<Origin, StoreError> {
    let bytes = session
        .prepare("SELECT randomblob(6)")?
        .query_row([], |row| row.get(0))
        .map_err(|source| session.failed(source))?;
    Ok(Origin::from_bytes(bytes))
}

/// Stores an origin, or one that is drawn now.
pub(crate) fn write(
    session: Session<'_>,
    number: i64,
    origin: Option<Origin>,
) -> Result<(), StoreError> {
    let origin = match origin {
        Some(origin) => origin,
        None => draw(session)?,
    };
    for copy in COPIES {
        session.execute(
            "INSERT INTO origins (infrastructure, copy, origin, checksum) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (infrastructure, copy) DO UPDATE SET origin = ?3, checksum = ?4",
            params![
                number,
                copy,
                origin.as_str(),
                checksum(number, copy, origin.as_str())
            ],
        )?;
    }
    Ok(())
}

/// Draws origins for the infrastructures of a store that had none.
pub(crate) fn fill(session: Session<'_>) -> Result<(), StoreError> {
    let numbers: Vec<i64> = {
        let mut statement = session.prepare("SELECT number FROM infrastructures NOT INDEXED")?;
        let rows = statement.query_map([], |row| row.get(0));
        rows.and_then(Iterator::collect)
            .map_err(|source| session.failed(source))?
    };
    for number in numbers {
        write(session, number, None)?;
    }
    Ok(())
}

/// Reads one copy; `None` if it is missing or damaged.
fn copy(session: Session<'_>, number: i64, copy: i64) -> Result<Option<Origin>, StoreError> {
    let row = session
        .prepare("SELECT origin, checksum FROM origins WHERE infrastructure = ?1 AND copy = ?2")?
        .query_row([number, copy], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, Checksum>(1)?))
        })
        .optional()
        .map_err(|source| session.failed(source))?;
    Ok(row
        .filter(|(text, sum)| checksum(number, copy, text) == *sum)
        .and_then(|(text, _)| text.parse().ok()))
}

/// Reads an origin from either copy; `None` only where stores had no origins yet.
pub(crate) fn read(session: Session<'_>, record: &Record) -> Result<Option<Origin>, StoreError> {
    if schema::version(session)? < FORMAT_WITH_ORIGINS {
        return Ok(None);
    }
    for place in COPIES {
        if let Some(origin) = copy(session, record.number, place)? {
            return Ok(Some(origin));
        }
    }
    Err(session.corrupt(lost_text(record)))
}

fn lost_text(record: &Record) -> String {
    format!("the origin of infrastructure `{}` has changed", record.id)
}

/// What is wrong with the copies of an origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Damage {
    /// One copy is intact.
    Half,
    /// None is, or they contradict each other.
    Full,
}

impl Damage {
    /// Says in one line what is wrong.
    pub(crate) const fn text(self) -> &'static str {
        match self {
            Self::Half => "one of the two copies of its origin has changed",
            Self::Full => "its origin has changed",
        }
    }
}

/// Compares the copies of an origin.
pub(crate) fn damage(session: Session<'_>, record: &Record) -> Result<Option<Damage>, StoreError> {
    if schema::version(session)? < FORMAT_WITH_ORIGINS {
        return Ok(None);
    }
    let [one, two] = COPIES.map(|place| copy(session, record.number, place));
    Ok(match (one?, two?) {
        (Some(one), Some(two)) if one == two => None,
        (Some(_), None) | (None, Some(_)) => Some(Damage::Half),
        _ => Some(Damage::Full),
    })
}

/// Makes both copies the same again: that of the intact one, or else a new one.
pub(crate) fn repair(session: Session<'_>, record: &Record) -> Result<Option<Damage>, StoreError> {
    let Some(damage) = damage(session, record)? else {
        return Ok(None);
    };
    let kept = match damage {
        Damage::Half => read(session, record)?,
        Damage::Full => None,
    };
    write(session, record.number, kept)?;
    Ok(Some(damage))
}
