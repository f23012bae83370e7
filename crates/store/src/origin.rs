//! The origins of infrastructures: what tells them apart from others of the
//! same name at clouds that others use too.
//!
//! An origin that is lost makes everything at such clouds invisible, so it is
//! stored twice, each copy with a checksum of its own.

use zenekar_base::{InfrastructureId, Origin};

use crate::error::StoreError;
use crate::infrastructure::Record;
use crate::session::Session;
use crate::store::Store;
use crate::twice::{Damage, Twice, numbers};

/// Where origins are.
pub(crate) const ORIGINS: Twice<Origin> = Twice {
    domain: "origin",
    format_since: 2,
    insert: "INSERT INTO origins (infrastructure, copy, origin, checksum) VALUES (?1, ?2, ?3, ?4)
        ON CONFLICT (infrastructure, copy) DO UPDATE SET origin = ?3, checksum = ?4",
    select: "SELECT origin, checksum FROM origins WHERE infrastructure = ?1 AND copy = ?2",
    half: "one of the two copies of its origin has changed",
    full: "its origin has changed",
    lost: ("the origin", "has changed"),
    parse: |text| text.parse().ok(),
};

impl Store {
    /// Returns the origin of an infrastructure, which never changes; `None` if
    /// there is no such infrastructure, or if the state has an older format
    /// and was opened for reading only.
    pub fn origin(&self, infrastructure: &InfrastructureId) -> Result<Option<Origin>, StoreError> {
        self.read_with("look up an origin", |session| {
            let Some(record) = Record::find(session, infrastructure)? else {
                return Ok(None);
            };
            ORIGINS.read(session, &record)
        })
    }
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
    ORIGINS.write(session, number, origin.as_str())
}

/// Draws origins for the infrastructures of a store that had none.
pub(crate) fn fill(session: Session<'_>) -> Result<(), StoreError> {
    for number in numbers(session)? {
        write(session, number, None)?;
    }
    Ok(())
}

/// Makes both copies the same again: that of the intact one, or else a new one.
pub(crate) fn repair(session: Session<'_>, record: &Record) -> Result<Option<Damage>, StoreError> {
    let Some(damage) = ORIGINS.damage(session, record)? else {
        return Ok(None);
    };
    let kept = match damage {
        Damage::Half => ORIGINS.read(session, record)?,
        Damage::Full => None,
    };
    write(session, record.number, kept)?;
    Ok(Some(damage))
}
