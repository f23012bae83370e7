//! What can go wrong in a store, and what to do about it.

use std::io;
use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;
use zenekar_base::{InfrastructureId, RequestId, Timestamp};

use crate::lease::HolderInfo;

/// Why an operation on the store failed. Nothing of it was stored.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// An import would overwrite an infrastructure.
    #[error("cannot import `{infrastructure}`: it exists in `{}`", path.display())]
    AlreadyExists {
        /// What would be overwritten.
        infrastructure: InfrastructureId,
        /// The store that has it.
        path: PathBuf,
    },
    /// Another process kept the database locked for too long.
    #[error("cannot {operation}: another process keeps `{}` locked", path.display())]
    Busy {
        /// What was tried.
        operation: &'static str,
        /// The locked database.
        path: PathBuf,
    },
    /// The store does not hold what was written into it.
    #[error("cannot {operation}: `{}` is damaged: {what}", path.display())]
    Corrupt {
        /// What was tried.
        operation: &'static str,
        /// The damaged file.
        path: PathBuf,
        /// Where and how it is damaged.
        what: String,
    },
    /// The disk, or the quota of the store, is full.
    #[error("cannot {operation}: no space is left for `{}`", path.display())]
    DiskFull {
        /// What was tried.
        operation: &'static str,
        /// The file that could not grow.
        path: PathBuf,
    },
    /// Another process took the lease over; this one must stop writing.
    #[error(
        "cannot write to `{infrastructure}`: another process took it over (lease {current}, ours was {ours})"
    )]
    Fenced {
        /// Whose lease was lost.
        infrastructure: InfrastructureId,
        /// The fence of the lease that was used.
        ours: u64,
        /// The fence that is valid now.
        current: u64,
    },
    /// An imported file is not what an export wrote.
    #[error("cannot import: line {line}: {what}")]
    ImportMalformed {
        /// The line, counted from one.
        line: u64,
        /// What is wrong with it.
        what: String,
    },
    /// Too many requests wait already.
    #[error("cannot accept a request for `{infrastructure}`: {pending} requests wait already")]
    InboxFull {
        /// Whose inbox is full.
        infrastructure: InfrastructureId,
        /// How many wait.
        pending: usize,
    },
    /// The operating system refused to read or write.
    #[error("cannot {operation}: `{}`", path.display())]
    Io {
        /// What was tried.
        operation: &'static str,
        /// With which file or directory.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// Another living process works on the infrastructure.
    #[error("`{infrastructure}` is in use by process {} on `{}` (`{}`)", holder.pid, holder.host, holder.command)]
    LeaseHeld {
        /// What is in use.
        infrastructure: InfrastructureId,
        /// Who uses it.
        holder: Box<HolderInfo>,
        /// When the lease runs out unless it is renewed.
        expires_at: Timestamp,
    },
    /// A newer version of this program wrote the store.
    #[error("`{}` has state format {found}, but this version reads formats up to {supported}", path.display())]
    NewerSchema {
        /// The database.
        path: PathBuf,
        /// The format that it has.
        found: i64,
        /// The newest format that this version knows.
        supported: i64,
    },
    /// No directory for the state can be derived from the environment.
    #[error(
        "cannot find a state directory: neither `ZENEKAR_STATE_DIR`, `XDG_STATE_HOME` nor `HOME` holds an absolute path"
    )]
    NoDirectory,
    /// There is no store in the directory.
    #[error("there is no state in `{}`", path.display())]
    NoState {
        /// The database that does not exist.
        path: PathBuf,
    },
    /// The file belongs to another program.
    #[error("`{}` is not a state file of Zenekar", path.display())]
    NotAStore {
        /// The foreign file.
        path: PathBuf,
    },
    /// Only an infrastructure that was taken down can be purged.
    #[error("cannot purge `{infrastructure}`: it was not taken down")]
    NotRemoved {
        /// What was to be purged.
        infrastructure: InfrastructureId,
    },
    /// The store can be read but not written.
    #[error("cannot {operation}: `{}` is read-only", path.display())]
    ReadOnly {
        /// What was tried.
        operation: &'static str,
        /// The database.
        path: PathBuf,
    },
    /// A request id was used for something else before.
    #[error("request `{request}` of `{infrastructure}` exists with another content")]
    RequestConflict {
        /// Whose request it is.
        infrastructure: InfrastructureId,
        /// The id that is taken.
        request: RequestId,
    },
    /// Any other answer of the database.
    #[error("cannot {operation}: `{}`", path.display())]
    Sqlite {
        /// What was tried.
        operation: &'static str,
        /// The database.
        path: PathBuf,
        /// What the database said.
        #[source]
        source: rusqlite::Error,
    },
    /// The other side of an export or import failed.
    #[error("cannot {operation}")]
    Stream {
        /// What was tried.
        operation: &'static str,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// Something is larger than the store accepts.
    #[error("cannot store {what}: {size} is more than the limit of {limit}")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// Its size.
        size: usize,
        /// The largest size.
        limit: usize,
    },
    /// The infrastructure is not in the store.
    #[error("there is no infrastructure `{infrastructure}` in `{}`", path.display())]
    UnknownInfrastructure {
        /// What was asked for.
        infrastructure: InfrastructureId,
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The request is not in the inbox.
    #[error("there is no request number {number} for `{infrastructure}`")]
    UnknownRequest {
        /// Whose inbox it is.
        infrastructure: InfrastructureId,
        /// The number that was asked for.
        number: u64,
    },
}

impl StoreError {
    /// Returns what the user can do about it.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::AlreadyExists { .. } => {
                "purge the existing one first, or import into another state directory".to_owned()
            }
            Self::Busy { .. } => {
                "wait until the other process is done, then repeat the command".to_owned()
            }
            Self::Corrupt { .. } => {
                "run `zenekar state check` to see what is damaged; nothing was changed".to_owned()
            }
            Self::DiskFull { path, .. } => {
                let directory = path.parent().unwrap_or(path);
                format!(
                    "free space in `{}`, then repeat the command; nothing that was confirmed is lost",
                    directory.display()
                )
            }
            Self::Fenced { .. } => {
                "this process must not go on; look at the process that holds the lease now"
                    .to_owned()
            }
            Self::ImportMalformed { .. } => {
                "the file is cut off or was changed after the export; export it again".to_owned()
            }
            Self::InboxFull { .. } => "start `zenekar watch` so that they are served".to_owned(),
            Self::LeaseHeld { holder, .. } => {
                format!(
                    "wait for process {} to end, or stop it; its lease is then taken over at once",
                    holder.pid
                )
            }
            Self::NewerSchema { .. } => {
                "use the newer version of `zenekar`, or another state directory".to_owned()
            }
            Self::NoDirectory => "set `ZENEKAR_STATE_DIR` to a directory of yours".to_owned(),
            Self::NoState { .. } => {
                "`zenekar up` creates it; or set `ZENEKAR_STATE_DIR` to where it is".to_owned()
            }
            Self::NotAStore { .. } => "set `ZENEKAR_STATE_DIR` to another directory".to_owned(),
            Self::NotRemoved { .. } => "run `zenekar down` first".to_owned(),
            Self::ReadOnly { .. } => {
                "make the directory writable for you, or set `ZENEKAR_STATE_DIR` to another one"
                    .to_owned()
            }
            Self::UnknownInfrastructure { .. } => "`zenekar list` shows what exists".to_owned(),
            Self::Io { .. }
            | Self::RequestConflict { .. }
            | Self::Sqlite { .. }
            | Self::Stream { .. }
            | Self::TooLarge { .. }
            | Self::UnknownRequest { .. } => return None,
        };
        Some(hint)
    }

    /// Classifies an answer of the database.
    pub(crate) fn from_sqlite(
        operation: &'static str,
        path: &Path,
        source: rusqlite::Error,
    ) -> Self {
        let path = path.to_owned();
        if let Some(what) = damage(&source) {
            return Self::Corrupt {
                operation,
                path,
                what,
            };
        }
        match source.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                Self::Busy { operation, path }
            }
            Some(ErrorCode::DiskFull) => Self::DiskFull { operation, path },
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
                Self::ReadOnly { operation, path }
            }
            _ => Self::Sqlite {
                operation,
                path,
                source,
            },
        }
    }

    /// Classifies an answer of the operating system.
    pub(crate) fn from_io(operation: &'static str, path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Self::DiskFull { operation, path }
            }
            io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => {
                Self::ReadOnly { operation, path }
            }
            _ => Self::Io {
                operation,
                path,
                source,
            },
        }
    }
}

/// Says how the file is damaged, if that is what the error means. All
/// statements are constants of this crate, so a table or column that does not
/// exist, or a value of another type, can only come from a damaged file.
pub(crate) fn damage(error: &rusqlite::Error) -> Option<String> {
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase | ErrorCode::TypeMismatch) => {
            return Some(error.to_string());
        }
        Some(ErrorCode::Unknown) => {
            let text = error.to_string();
            return SCHEMA_DAMAGE
                .iter()
                .any(|sign| text.contains(sign))
                .then_some(text);
        }
        Some(_) => return None,
        None => {}
    }
    match error {
        rusqlite::Error::FromSqlConversionFailure(..)
        | rusqlite::Error::IntegralValueOutOfRange(..)
        | rusqlite::Error::InvalidColumnType(..)
        | rusqlite::Error::Utf8Error(..)
        | rusqlite::Error::QueryReturnedNoRows => Some(format!("a value cannot be read ({error})")),
        _ => None,
    }
}

/// What the database says of constant statements that no longer fit its schema.
const SCHEMA_DAMAGE: [&str; 6] = [
    "no such ",
    "has no column",
    "unknown data",
    "malformed",
    "already exists",
    "foreign key mismatch",
];
