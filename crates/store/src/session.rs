//! One connection within one transaction, with the words for what fails in it.

use std::path::Path;

use rusqlite::types::{FromSql, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use rusqlite::{CachedStatement, Connection, Params};

use crate::checksum::Checksum;
use crate::error::StoreError;

/// A connection, the path of its database and the operation that runs on it.
#[derive(Clone, Copy)]
pub(crate) struct Session<'a> {
    pub(crate) connection: &'a Connection,
    pub(crate) path: &'a Path,
    pub(crate) operation: &'static str,
}

impl Session<'_> {
    /// Classifies an answer of the database.
    pub(crate) fn failed(&self, source: rusqlite::Error) -> StoreError {
        StoreError::from_sqlite(self.operation, self.path, source)
    }

    /// Reports that the database does not hold what was written into it.
    pub(crate) fn corrupt(&self, what: impl Into<String>) -> StoreError {
        StoreError::Corrupt {
            operation: self.operation,
            path: self.path.to_owned(),
            what: what.into(),
        }
    }

    pub(crate) fn prepare(&self, sql: &'static str) -> Result<CachedStatement<'_>, StoreError> {
        self.connection
            .prepare_cached(sql)
            .map_err(|source| self.failed(source))
    }

    pub(crate) fn execute(
        &self,
        sql: &'static str,
        parameters: impl Params,
    ) -> Result<usize, StoreError> {
        self.prepare(sql)?
            .execute(parameters)
            .map_err(|source| self.failed(source))
    }
}

impl ToSql for Checksum {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(ValueRef::Blob(&self.0)))
    }
}

impl FromSql for Checksum {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        <[u8; 16]>::column_result(value).map(Self)
    }
}

/// Turns a count of ours into a number of the database. Counts grow by one
/// per row, so they never come near the end of the range.
pub(crate) fn number(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Turns a number of the database into a count. A negative one is damage and
/// is caught by the checksum of its row.
pub(crate) fn count(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}
