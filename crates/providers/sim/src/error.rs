//! What can go wrong with the files of a simulated cloud.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// An operation on the files of a simulated cloud failed.
#[derive(Debug, Error)]
pub enum SimError {
    /// A file or directory could not be read, written or locked.
    #[error("cannot {operation} `{}`", path.display())]
    Io {
        /// What was tried.
        operation: &'static str,
        /// With which file.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// A file does not hold what it should.
    #[error("`{}` is damaged: {problem}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The settings cannot be used.
    #[error("the settings in `{}` cannot be used: {problem}", path.display())]
    Settings {
        /// The file.
        path: PathBuf,
        /// What is wrong with them.
        problem: String,
    },
}
