//! The tables, and how older ones become newer ones.

use rusqlite::{Connection, OptionalExtension};

use crate::account::{self, ACCOUNTS};
use crate::error::StoreError;
use crate::infrastructure::Meta;
use crate::origin::{self, ORIGINS};
use crate::session::Session;

/// Marks a file as ours in its header: "ZNKR".
pub(crate) const APPLICATION_ID: i64 = 0x5a4e_4b52;

/// What brings a database from format `n` to `n + 1`, oldest first. A
/// published step is never changed: a new format is a new step.
const MIGRATIONS: [&str; 3] = [VERSION_1, VERSION_2, VERSION_3];

/// The newest format: the number of steps.
pub(crate) const SCHEMA_VERSION: i64 = 3;

/// The oldest format that is read without being brought to the newest.
pub(crate) const READABLE_VERSION_MIN: i64 = 1;

/// There is no secondary index but the one on ids: a damaged index hides rows
/// without an error. Lookups that miss are confirmed by a full scan.
const VERSION_1: &str = "
CREATE TABLE meta (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    infrastructure_count INTEGER NOT NULL,
    next_number INTEGER NOT NULL,
    checksum BLOB NOT NULL
) STRICT;
CREATE TABLE infrastructures (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    created_at_ms INTEGER NOT NULL,
    removed_at_ms INTEGER,
    first_sequence INTEGER NOT NULL,
    base_checksum BLOB NOT NULL,
    last_sequence INTEGER NOT NULL,
    head_checksum BLOB NOT NULL,
    request_count INTEGER NOT NULL,
    checksum BLOB NOT NULL
) STRICT;
CREATE TABLE journal (
    infrastructure INTEGER NOT NULL REFERENCES infrastructures (number),
    sequence INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    kind TEXT NOT NULL,
    version INTEGER NOT NULL,
    payload BLOB NOT NULL,
    checksum BLOB NOT NULL,
    PRIMARY KEY (infrastructure, sequence)
) STRICT, WITHOUT ROWID;
CREATE TABLE gaps (
    infrastructure INTEGER NOT NULL REFERENCES infrastructures (number),
    from_sequence INTEGER NOT NULL,
    to_sequence INTEGER NOT NULL,
    checksum_after BLOB NOT NULL,
    checksum BLOB NOT NULL,
    PRIMARY KEY (infrastructure, from_sequence)
) STRICT, WITHOUT ROWID;
CREATE TABLE snapshots (
    infrastructure INTEGER NOT NULL REFERENCES infrastructures (number),
    sequence INTEGER NOT NULL,
    version INTEGER NOT NULL,
    chain_checksum BLOB NOT NULL,
    checksum BLOB NOT NULL,
    payload BLOB NOT NULL,
    PRIMARY KEY (infrastructure, sequence)
) STRICT, WITHOUT ROWID;
CREATE TABLE leases (
    infrastructure INTEGER PRIMARY KEY REFERENCES infrastructures (number),
    fence INTEGER NOT NULL,
    pid INTEGER,
    boot_id TEXT NOT NULL,
    start_time INTEGER NOT NULL,
    host TEXT NOT NULL,
    command TEXT NOT NULL,
    renewed_at_ms INTEGER NOT NULL,
    ttl_ms INTEGER NOT NULL,
    checksum BLOB NOT NULL
) STRICT;
CREATE TABLE requests (
    infrastructure INTEGER NOT NULL REFERENCES infrastructures (number),
    number INTEGER NOT NULL,
    request_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    payload BLOB NOT NULL,
    submitted_at_ms INTEGER NOT NULL,
    applied_at_ms INTEGER,
    outcome TEXT NOT NULL,
    checksum BLOB NOT NULL,
    PRIMARY KEY (infrastructure, number)
) STRICT, WITHOUT ROWID;
CREATE TABLE quarantine (
    id INTEGER PRIMARY KEY,
    infrastructure INTEGER,
    origin TEXT NOT NULL,
    sequence INTEGER,
    moved_at_ms INTEGER NOT NULL,
    reason TEXT NOT NULL,
    row_json TEXT NOT NULL,
    payload BLOB
) STRICT;
";

/// Each infrastructure has an origin.
const VERSION_2: &str = "
CREATE TABLE origins (
    infrastructure INTEGER NOT NULL REFERENCES infrastructures (number),
    copy INTEGER NOT NULL,
    origin TEXT NOT NULL,
    checksum BLOB NOT NULL,
    PRIMARY KEY (infrastructure, copy)
) STRICT, WITHOUT ROWID;
";

/// Each infrastructure has a list of the accounts that it has things in.
const VERSION_3: &str = "
CREATE TABLE accounts (
    infrastructure INTEGER NOT NULL REFERENCES infrastructures (number),
    copy INTEGER NOT NULL,
    accounts TEXT NOT NULL,
    checksum BLOB NOT NULL,
    PRIMARY KEY (infrastructure, copy)
) STRICT, WITHOUT ROWID;
";

/// Reads the format of the database; zero for a new, empty one.
pub(crate) fn version(session: Session<'_>) -> Result<i64, StoreError> {
    let pragma = |name: &str| {
        session
            .connection
            .query_row(name, [], |row| row.get::<_, i64>(0))
            .map_err(|source| session.failed(source))
    };
    let application = pragma("PRAGMA application_id")?;
    let version = pragma("PRAGMA user_version")?;
    if application == APPLICATION_ID {
        return Ok(version);
    }
    let table: Option<String> = session
        .connection
        .query_row("SELECT name FROM sqlite_schema LIMIT 1", [], |row| {
            row.get(0)
        })
        .optional()
        .map_err(|source| session.failed(source))?;
    if application == 0 && version == 0 && table.is_none() {
        return Ok(0);
    }
    Err(StoreError::NotAStore {
        path: session.path.to_owned(),
    })
}

/// Refuses a database that a newer version of this program wrote.
pub(crate) fn refuse_newer(session: Session<'_>, found: i64) -> Result<(), StoreError> {
    if found > SCHEMA_VERSION {
        return Err(StoreError::NewerSchema {
            path: session.path.to_owned(),
            found,
            supported: SCHEMA_VERSION,
        });
    }
    Ok(())
}

/// Brings the database to the newest format, within the caller's transaction.
pub(crate) fn migrate(session: Session<'_>, found: i64) -> Result<(), StoreError> {
    let done = usize::try_from(found)
        .map_err(|_| session.corrupt(format!("it has state format {found}")))?;
    for step in MIGRATIONS.iter().skip(done) {
        session
            .connection
            .execute_batch(step)
            .map_err(|source| session.failed(source))?;
    }
    if done == 0 {
        Meta {
            infrastructure_count: 0,
            next_number: 1,
        }
        .write(session)?;
    }
    // A new store has no infrastructures that anything could be missing of.
    if found < ORIGINS.format_since {
        origin::fill(session)?;
    }
    if found < ACCOUNTS.format_since {
        account::fill(session)?;
    }
    set_version(session.connection).map_err(|source| session.failed(source))
}

fn set_version(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "application_id", APPLICATION_ID)?;
    connection.pragma_update(None, "user_version", SCHEMA_VERSION)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_format_has_the_step_that_leads_to_it() {
        assert_eq!(i64::try_from(MIGRATIONS.len()), Ok(SCHEMA_VERSION));
    }
}
