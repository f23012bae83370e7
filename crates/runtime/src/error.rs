//! Why a session could not go on.

use zenekar_base::InfrastructureId;
use zenekar_store::StoreError;

/// Why a session could not start or go on.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// The store failed; nothing that was confirmed is lost.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The store holds something that this version does not know.
    #[error(
        "cannot read entry {sequence} of infrastructure `{infrastructure}`: it has format {found}, but this version reads formats up to {supported}"
    )]
    NewerFormat {
        /// Whose journal it is.
        infrastructure: InfrastructureId,
        /// The entry, or the last entry that a snapshot covers.
        sequence: u64,
        /// The format that it has.
        found: u32,
        /// The newest format that this version knows.
        supported: u32,
    },
    /// The store holds something, intact, that makes no sense.
    #[error("cannot read entry {sequence} of infrastructure `{infrastructure}`")]
    Malformed {
        /// Whose journal it is.
        infrastructure: InfrastructureId,
        /// The entry, or the last entry that a snapshot covers.
        sequence: u64,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
    /// A fact or request could not be written as text.
    #[error("cannot encode {what}")]
    Encode {
        /// What was to be written.
        what: &'static str,
        /// Why not.
        #[source]
        source: serde_json::Error,
    },
    /// The operating system did not start a thread.
    #[error("cannot start the thread that writes the journal")]
    Thread {
        /// What the operating system said.
        #[source]
        source: std::io::Error,
    },
    /// The thread that writes the journal has ended.
    #[error("the journal of infrastructure `{infrastructure}` is not written any more")]
    WriterGone {
        /// Whose journal it is.
        infrastructure: InfrastructureId,
    },
    /// A session goes on after an error.
    #[error("the session of infrastructure `{infrastructure}` has ended with an error")]
    SessionOver {
        /// Whose session it was.
        infrastructure: InfrastructureId,
    },
}

impl RuntimeError {
    /// Returns what the user can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Store(error) => error.hint(),
            Self::NewerFormat { .. } => Some("use the newer version of `zenekar`".to_owned()),
            Self::Malformed { .. } => {
                Some("run `zenekar state check` to see whether the state is damaged".to_owned())
            }
            Self::Encode { .. } | Self::Thread { .. } | Self::WriterGone { .. } => None,
            Self::SessionOver { .. } => Some("repeat the command".to_owned()),
        }
    }
}
