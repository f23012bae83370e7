//! The store as its users see it.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, Transaction, TransactionBehavior};
use zenekar_base::Millis;

use crate::error::StoreError;
use crate::limits::BUSY_TIMEOUT;
use crate::open;
use crate::session::Session;

/// Whether a store may be changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Reads only; works in a directory that cannot be written.
    ReadOnly,
    /// Reads and writes; creates the store when there is none.
    ReadWrite,
}

/// How to open a store.
#[derive(Clone, Copy, Debug)]
pub struct StoreOptions {
    /// Whether it may be changed.
    pub access: Access,
    /// How long a call waits for another process's transaction.
    pub busy_timeout: Millis,
    /// A quota for the database file; no limit by default.
    pub bytes_max: Option<u64>,
    /// Whether to open a store whose log is damaged, without the transactions
    /// behind the damage. A writer first sets a copy of the log aside.
    pub is_damaged_log_accepted: bool,
}

impl StoreOptions {
    /// Returns the options of a process that writes.
    pub const fn read_write() -> Self {
        Self {
            access: Access::ReadWrite,
            busy_timeout: BUSY_TIMEOUT,
            bytes_max: None,
            is_damaged_log_accepted: false,
        }
    }

    /// Returns the options of a process that only looks.
    pub const fn read_only() -> Self {
        Self {
            access: Access::ReadOnly,
            busy_timeout: BUSY_TIMEOUT,
            bytes_max: None,
            is_damaged_log_accepted: false,
        }
    }
}

/// An open store: one connection, to be used by one thread at a time.
#[derive(Debug)]
pub struct Store {
    connection: Connection,
    path: PathBuf,
    access: Access,
}

impl Store {
    /// Entries after which a new snapshot pays off; see [`crate::limits`].
    pub const SNAPSHOT_DUE_ENTRIES: u64 = crate::limits::SNAPSHOT_DUE_ENTRIES;

    /// Opens the store in `directory`; a writer creates it when there is none.
    pub fn open(directory: &Path, options: StoreOptions) -> Result<Self, StoreError> {
        let (connection, path) = open::open(directory, &options)?;
        Ok(Self {
            connection,
            path,
            access: options.access,
        })
    }

    /// Returns the path of the database.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns whether the store may be changed.
    pub fn access(&self) -> Access {
        self.access
    }

    /// Returns whether a snapshot is due after `entries` since the last one.
    pub const fn snapshot_due(entries: u64) -> bool {
        entries >= Self::SNAPSHOT_DUE_ENTRIES
    }

    /// Returns a number that changes when another connection changed the
    /// store. Cheap enough for polling many times a second.
    pub fn change_counter(&self) -> Result<u64, StoreError> {
        let session = self.session("look for changes of the state");
        let counter: i64 = session
            .prepare("PRAGMA data_version")?
            .query_row([], |row| row.get(0))
            .map_err(|source| session.failed(source))?;
        Ok(crate::session::count(counter))
    }

    pub(crate) fn session(&self, operation: &'static str) -> Session<'_> {
        Session {
            connection: &self.connection,
            path: &self.path,
            operation,
        }
    }

    /// Runs `work` on one consistent view.
    pub(crate) fn read_with<T>(
        &self,
        operation: &'static str,
        work: impl FnOnce(Session<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let session = self.session(operation);
        let failed = |source| session.failed(source);
        let transaction =
            Transaction::new_unchecked(&self.connection, TransactionBehavior::Deferred)
                .map_err(failed)?;
        let result = work(session);
        // There is nothing to commit, and a damaged page that was met on the
        // way must not spoil what was read around it.
        drop(transaction);
        result
    }

    /// Runs `work` as one durable change: all of it, or nothing.
    pub(crate) fn write_with<T>(
        &mut self,
        operation: &'static str,
        work: impl FnOnce(Session<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        if self.access == Access::ReadOnly {
            return Err(StoreError::ReadOnly {
                operation,
                path: self.path.clone(),
            });
        }
        let session = self.session(operation);
        let failed = |source| session.failed(source);
        // Taking the lock at once keeps two writers from reading the same
        // state and then failing to upgrade.
        let transaction =
            Transaction::new_unchecked(&self.connection, TransactionBehavior::Immediate)
                .map_err(failed)?;
        let result = work(session)?;
        transaction.commit().map_err(failed)?;
        Ok(result)
    }
}
