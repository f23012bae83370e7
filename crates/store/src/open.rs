//! Creating and opening the file of a store.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};
use zenekar_base::Millis;

use crate::checksum::push_hex;
use crate::error::StoreError;
use crate::limits::{FILE_NAME, LOG_BYTES_KEPT, STATEMENTS_CACHED};
use crate::schema;
use crate::session::Session;
use crate::store::{Access, StoreOptions};
use crate::wal;

const OPERATION: &str = "open the state";

/// Drafts of one process id: as many as threads create a store at once, and
/// what killed processes with the same id left behind.
const DRAFTS_MAX: u32 = 100;

/// Opens the store in `directory`; creates it when it may be written.
pub(crate) fn open(
    directory: &Path,
    options: &StoreOptions,
) -> Result<(Connection, PathBuf), StoreError> {
    let path = directory.join(FILE_NAME);
    let exists = path
        .try_exists()
        .map_err(|source| StoreError::from_io(OPERATION, &path, source))?;
    match options.access {
        Access::ReadOnly if !exists => return Err(StoreError::NoState { path }),
        Access::ReadWrite if !exists => create(directory, &path)?,
        Access::ReadOnly | Access::ReadWrite => {}
    }
    refuse_empty(&path)?;
    if let Some(what) = wal::damage_of(&path)? {
        match (options.is_damaged_log_accepted, options.access) {
            (false, _) => {
                return Err(StoreError::Corrupt {
                    operation: OPERATION,
                    path: wal::log_path(&path),
                    what,
                });
            }
            (true, Access::ReadWrite) => wal::set_aside(&path)?,
            (true, Access::ReadOnly) => {}
        }
    }
    let connection = match options.access {
        Access::ReadWrite => open_writable(&path, options)?,
        Access::ReadOnly => open_readable(&path, options)?,
    };
    Ok((connection, path))
}

/// Makes a complete empty store beside its final place and links it there, so
/// that a store is either absent or whole, and an empty file is always damage.
fn create(directory: &Path, path: &Path) -> Result<(), StoreError> {
    let failed = |source| StoreError::from_io("create the state", path, source);
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .map_err(failed)?;
    let draft = new_draft(directory).map_err(failed)?;
    let filled = fill(&draft).map_err(|error| rename_path(error, path));
    let linked = filled.and_then(|()| link(&draft, path).map_err(failed));
    let removed = remove_if_present(&draft).map_err(failed);
    linked?;
    removed?;
    let flush = |place: &Path| File::open(place).and_then(|file| file.sync_all());
    flush(directory).map_err(failed)?;
    directory
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .map_or(Ok(()), flush)
        .map_err(failed)
}

/// Makes an empty file that no other process or thread fills.
fn new_draft(directory: &Path) -> io::Result<PathBuf> {
    let process = std::process::id();
    for attempt in 0..DRAFTS_MAX {
        let draft = directory.join(format!("{FILE_NAME}.new-{process}-{attempt}"));
        match File::options()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&draft)
        {
            Ok(_) => return Ok(draft),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::other("there are too many unfinished new states"))
}

/// Reports a failure at the final place, which the user knows.
fn rename_path(error: StoreError, path: &Path) -> StoreError {
    match error {
        StoreError::DiskFull { .. } => StoreError::DiskFull {
            operation: "create the state",
            path: path.to_owned(),
        },
        StoreError::ReadOnly { .. } => StoreError::ReadOnly {
            operation: "create the state",
            path: path.to_owned(),
        },
        other => other,
    }
}

fn fill(draft: &Path) -> Result<(), StoreError> {
    let session_failed = |source| StoreError::from_sqlite("create the state", draft, source);
    let connection =
        Connection::open_with_flags(draft, flags(Access::ReadWrite)).map_err(session_failed)?;
    configure(&connection, Access::ReadWrite, Millis::ZERO).map_err(session_failed)?;
    migrate_if_older(&connection, draft)?;
    connection
        .close()
        .map_err(|(_, source)| session_failed(source))?;
    File::open(draft)
        .and_then(|file| file.sync_all())
        .map_err(|source| StoreError::from_io("create the state", draft, source))
}

fn remove_if_present(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Links the draft to its final place; the first of several processes wins.
fn link(draft: &Path, path: &Path) -> io::Result<()> {
    match fs::hard_link(draft, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        // File systems without hard links.
        Err(error)
            if error.kind() == io::ErrorKind::Unsupported
                || error.kind() == io::ErrorKind::PermissionDenied =>
        {
            fs::rename(draft, path)
        }
        other => other,
    }
}

fn refuse_empty(path: &Path) -> Result<(), StoreError> {
    let length = fs::metadata(path)
        .map_err(|source| StoreError::from_io(OPERATION, path, source))?
        .len();
    if length == 0 {
        return Err(StoreError::Corrupt {
            operation: OPERATION,
            path: path.to_owned(),
            what: "the file is empty".to_owned(),
        });
    }
    Ok(())
}

fn flags(access: Access) -> OpenFlags {
    let mode = match access {
        Access::ReadWrite => OpenFlags::SQLITE_OPEN_READ_WRITE,
        Access::ReadOnly => OpenFlags::SQLITE_OPEN_READ_ONLY,
    };
    mode | OpenFlags::SQLITE_OPEN_NO_MUTEX
}

fn open_writable(path: &Path, options: &StoreOptions) -> Result<Connection, StoreError> {
    let failed = |source| StoreError::from_sqlite(OPERATION, path, source);
    // Without this, the database would quietly open a file read-only that it may not write.
    if let Err(source) = File::options().write(true).open(path) {
        return Err(StoreError::from_io(OPERATION, path, source));
    }
    let connection = Connection::open_with_flags(path, flags(Access::ReadWrite)).map_err(failed)?;
    connection
        .busy_timeout(std::time::Duration::from_millis(options.busy_timeout.0))
        .map_err(failed)?;
    let session = Session {
        connection: &connection,
        path,
        operation: OPERATION,
    };
    schema::refuse_newer(session, schema::version(session)?)?;
    configure(&connection, Access::ReadWrite, options.busy_timeout).map_err(failed)?;
    migrate_if_older(&connection, path)?;
    if let Some(bytes) = options.bytes_max {
        let page_bytes: i64 = connection
            .query_row("PRAGMA page_size", [], |row| row.get(0))
            .map_err(failed)?;
        let pages = i64::try_from(bytes).unwrap_or(i64::MAX) / page_bytes.max(1);
        connection
            .pragma_update(None, "max_page_count", pages)
            .map_err(failed)?;
    }
    Ok(connection)
}

fn open_readable(path: &Path, options: &StoreOptions) -> Result<Connection, StoreError> {
    let failed = |source| StoreError::from_sqlite(OPERATION, path, source);
    let connection = Connection::open_with_flags(path, flags(Access::ReadOnly)).map_err(failed)?;
    configure(&connection, Access::ReadOnly, options.busy_timeout).map_err(failed)?;
    let session = Session {
        connection: &connection,
        path,
        operation: OPERATION,
    };
    match schema::version(session) {
        Ok(version) => {
            check_readable_version(session, version)?;
            Ok(connection)
        }
        // A log needs an index file, which cannot be made in a directory that
        // cannot be written. Without a log, the database file alone is the state.
        Err(StoreError::Sqlite { .. } | StoreError::ReadOnly { .. }) if wal::is_empty(path) => {
            open_immutable(path, options)
        }
        Err(StoreError::Sqlite { .. }) => Err(StoreError::ReadOnly {
            operation: "read the unfinished log of the state",
            path: path.to_owned(),
        }),
        Err(error) => Err(error),
    }
}

fn open_immutable(path: &Path, options: &StoreOptions) -> Result<Connection, StoreError> {
    let failed = |source| StoreError::from_sqlite(OPERATION, path, source);
    let address = format!("{}?immutable=1", address_of(path));
    let connection = Connection::open_with_flags(
        address,
        flags(Access::ReadOnly) | OpenFlags::SQLITE_OPEN_URI,
    )
    .map_err(failed)?;
    configure(&connection, Access::ReadOnly, options.busy_timeout).map_err(failed)?;
    let session = Session {
        connection: &connection,
        path,
        operation: OPERATION,
    };
    check_readable_version(session, schema::version(session)?)?;
    Ok(connection)
}

/// A reader cannot migrate, so it takes only formats that it can read as they are.
fn check_readable_version(session: Session<'_>, version: i64) -> Result<(), StoreError> {
    schema::refuse_newer(session, version)?;
    if version < schema::READABLE_VERSION_MIN {
        return Err(StoreError::ReadOnly {
            operation: "bring the state to the current format",
            path: session.path.to_owned(),
        });
    }
    Ok(())
}

fn configure(
    connection: &Connection,
    access: Access,
    busy_timeout: Millis,
) -> rusqlite::Result<()> {
    connection.set_prepared_statement_cache_capacity(STATEMENTS_CACHED);
    connection.busy_timeout(std::time::Duration::from_millis(busy_timeout.0))?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    if access == Access::ReadWrite {
        connection.pragma_update(None, "journal_mode", "wal")?;
        connection.pragma_update(None, "synchronous", "full")?;
        connection.pragma_update(None, "journal_size_limit", LOG_BYTES_KEPT)?;
    }
    Ok(())
}

fn migrate_if_older(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let session = Session {
        connection,
        path,
        operation: "bring the state to the current format",
    };
    if schema::version(session)? == schema::SCHEMA_VERSION {
        return Ok(());
    }
    let failed = |source| session.failed(source);
    let transaction =
        Transaction::new_unchecked(connection, TransactionBehavior::Immediate).map_err(failed)?;
    // Another process may have done it between the look and the lock.
    let found = schema::version(session)?;
    schema::refuse_newer(session, found)?;
    if found < schema::SCHEMA_VERSION {
        schema::migrate(session, found)?;
    }
    transaction.commit().map_err(failed)
}

/// Writes a path as the address that the database takes options with.
fn address_of(path: &Path) -> String {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut address = String::from("file:");
    for byte in absolute.as_os_str().as_bytes() {
        if byte.is_ascii_alphanumeric() || b"/-._~".contains(byte) {
            address.push(char::from(*byte));
        } else {
            address.push('%');
            push_hex(&mut address, *byte);
        }
    }
    address
}
