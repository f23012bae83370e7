//! What can fail on this machine, and which class of error it is for the engine.

use std::io;
use std::path::{Path, PathBuf};

use zenekar_base::{ErrorClass, ProviderError};

use crate::Isolation;

/// An operation on this machine failed.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    /// A file or directory could not be read or written.
    #[error("cannot {operation} `{path}`")]
    File {
        /// What was tried.
        operation: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// The machine refused something that is no file.
    #[error("cannot {operation}")]
    System {
        /// What was tried.
        operation: String,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// A process of the provider did not do what it was started for.
    #[error("{role} did not start: {reason}")]
    Start {
        /// Which process.
        role: &'static str,
        /// What it said.
        reason: String,
    },
    /// A process of the provider did not start for want of disk space or memory.
    #[error("{role} did not start: {reason}")]
    Space {
        /// Which process.
        role: &'static str,
        /// What it said.
        reason: String,
    },
    /// The machine cannot give the isolation that is required.
    #[error("isolation `{required}` is not available here{}: {reason}", .best.map(|best| format!(", at most `{best}`")).unwrap_or_default())]
    Isolation {
        /// What is required.
        required: Isolation,
        /// The best that there is.
        best: Option<Isolation>,
        /// Why there is no more.
        reason: String,
    },
    /// The request can never succeed as it is.
    #[error("{0}")]
    Invalid(String),
    /// The resource does not exist.
    #[error("{0}")]
    NotFound(String),
}

impl LocalError {
    /// Wraps a failed operation on a file.
    pub(crate) fn file(
        operation: &'static str,
        path: &Path,
    ) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::File {
            operation,
            path,
            source,
        }
    }

    /// Wraps a failed operation that is not about a file.
    pub(crate) fn system<E: Into<io::Error>>(
        operation: impl Into<String>,
    ) -> impl FnOnce(E) -> Self {
        let operation = operation.into();
        move |source| Self::System {
            operation,
            source: source.into(),
        }
    }

    /// Says what became of a process that did not start.
    pub(crate) fn start(role: &'static str, reason: String, lacks_space: bool) -> Self {
        if lacks_space {
            Self::Space { role, reason }
        } else {
            Self::Start { role, reason }
        }
    }

    /// Says whether the cause is a want of disk space or memory.
    pub(crate) fn lacks_space(&self) -> bool {
        self.class() == ErrorClass::Capacity
    }

    fn class(&self) -> ErrorClass {
        match self {
            Self::File { source, .. } | Self::System { source, .. } => match source.kind() {
                io::ErrorKind::StorageFull
                | io::ErrorKind::QuotaExceeded
                | io::ErrorKind::OutOfMemory => ErrorClass::Capacity,
                // No other credentials would help: there are none.
                io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                    ErrorClass::Invalid
                }
                _ => ErrorClass::Retryable,
            },
            Self::Space { .. } => ErrorClass::Capacity,
            Self::Start { .. } => ErrorClass::Retryable,
            Self::Isolation { .. } | Self::Invalid(_) => ErrorClass::Invalid,
            Self::NotFound(_) => ErrorClass::NotFound,
        }
    }

    /// Returns the whole chain of causes in one line.
    pub(crate) fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        text
    }
}

impl From<LocalError> for ProviderError {
    fn from(error: LocalError) -> Self {
        Self::new(error.class(), error.chain())
    }
}
