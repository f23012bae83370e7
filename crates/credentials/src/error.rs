//! What can go wrong with stored clouds.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// A stored cloud cannot be written, read or opened.
#[derive(Debug, Error)]
pub enum CredentialsError {
    /// A file cannot be used.
    #[error("cannot {operation} `{}`", path.display())]
    File {
        /// What was tried.
        operation: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Why not.
        #[source]
        error: io::Error,
    },
    /// Others may read a secret file.
    #[error("`{}` may be used by others than you: its mode is {mode:03o}", path.display())]
    Exposed {
        /// The file or folder.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// A file belongs to somebody else.
    #[error("`{}` belongs to another user", path.display())]
    ForeignOwner {
        /// The file or folder.
        path: PathBuf,
    },
    /// A file does not hold what it should.
    #[error("`{}` cannot be used: {reason}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong; never the file's text.
        reason: String,
    },
    /// A file was written by a later version.
    #[error("`{}` has format {version}, and this version reads up to {known}", path.display())]
    NewerFormat {
        /// The file.
        path: PathBuf,
        /// Its format.
        version: u32,
        /// The last one that we know.
        known: u32,
    },
    /// A key is not the one that secrets were sealed with.
    #[error("the secrets of cloud `{cloud}` cannot be opened: {reason}")]
    WrongKey {
        /// The cloud.
        cloud: String,
        /// Why not.
        reason: String,
    },
    /// What secrets are bound to has changed.
    #[error(
        "the secrets of cloud `{cloud}` were stored for {part} `{sealed}`, and not for `{found}`"
    )]
    Moved {
        /// The cloud.
        cloud: String,
        /// What differs.
        part: &'static str,
        /// What they were stored for.
        sealed: String,
        /// What is asked for now.
        found: String,
    },
    /// A passphrase is needed and nobody can be asked.
    #[error("the secrets of cloud `{cloud}` need a passphrase, and there is nobody to ask")]
    NoPassphrase {
        /// The cloud.
        cloud: String,
    },
    /// A cloud's description is not right.
    #[error("{0}")]
    Invalid(String),
    /// There is such a cloud already.
    #[error("there is a cloud `{0}` already")]
    Exists(String),
    /// There is no such cloud.
    #[error("there is no cloud `{0}`")]
    Unknown(String),
    /// Several stored clouds, or entries, fit.
    #[error("{0}")]
    Ambiguous(String),
    /// The system's source of random numbers failed.
    #[error("the system gives no random numbers")]
    NoRandomness,
    /// Neither home nor configuration folder is known.
    #[error(
        "there is no place for the key: neither `ZENEKAR_KEY_FILE`, `XDG_CONFIG_HOME` nor `HOME` is set"
    )]
    NoKeyPlace,
}

impl CredentialsError {
    /// Makes an error of a file operation.
    pub(crate) fn file(operation: &'static str, path: &Path, error: io::Error) -> Self {
        Self::File {
            operation,
            path: path.to_path_buf(),
            error,
        }
    }

    /// Says that a file does not hold what it should.
    pub(crate) fn malformed(path: &Path, reason: impl Into<String>) -> Self {
        Self::Malformed {
            path: path.to_path_buf(),
            reason: reason.into(),
        }
    }

    /// Says what can be done about it.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Exposed { path, .. } => format!(
                "if nobody else has read it, take the others' rights away: `chmod go= '{}'`; \
                 else replace the credentials",
                path.display()
            ),
            Self::ForeignOwner { .. } => {
                "only your own files and those of root are trusted with secrets".to_owned()
            }
            Self::WrongKey { cloud, .. } | Self::Moved { cloud, .. } => {
                format!("store them anew: `zenekar cloud add {cloud} --replace …`")
            }
            Self::NoPassphrase { .. } => {
                "set `ZENEKAR_PASSPHRASE_FILE` to a file that holds it, or run the command on a terminal"
                    .to_owned()
            }
            Self::Exists(name) => format!(
                "`zenekar cloud add {name} --replace …` stores it anew, `zenekar cloud remove {name}` forgets it"
            ),
            Self::Unknown(_) => "`zenekar cloud list` shows which clouds there are".to_owned(),
            Self::NewerFormat { .. } => "use the version of Zenekar that wrote it".to_owned(),
            Self::Malformed { .. } => {
                "put the file back from a backup, or store the cloud anew".to_owned()
            }
            Self::NoKeyPlace => "set `ZENEKAR_KEY_FILE`".to_owned(),
            _ => return None,
        })
    }
}
