//! Why nothing could be read.

use redis::RedisError;

use crate::limits::{INFRASTRUCTURES_MAX, KEYS_MAX, QUOTED_CHARS_MAX, TOTAL_BYTES_MAX};

/// Why nothing could be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The address of the server is none.
    #[error("cannot read the address of the Redis server: {reason}")]
    Address {
        /// What is wrong with it.
        reason: String,
    },
    /// The server cannot be reached.
    #[error("cannot connect to the Redis server at `{server}`: {reason}")]
    Connect {
        /// Its address, without credentials.
        server: String,
        /// Why.
        reason: String,
    },
    /// The server does not let us in.
    #[error("the Redis server at `{server}` refuses the credentials: {reason}")]
    Authentication {
        /// Its address, without credentials.
        server: String,
        /// What it said.
        reason: String,
    },
    /// A command failed.
    #[error("the Redis server at `{server}` failed to {operation}: {reason}")]
    Command {
        /// Its address, without credentials.
        server: String,
        /// What was tried.
        operation: String,
        /// What it said.
        reason: String,
    },
    /// There is far more than Occopus keeps.
    #[error("database {database} has more than {KEYS_MAX} keys, which is not Occopus's alone")]
    TooManyKeys {
        /// The database.
        database: u32,
    },
    /// There are too many infrastructures.
    #[error("there are more than {INFRASTRUCTURES_MAX} infrastructures; name those that you want")]
    TooManyInfrastructures,
    /// The values are too large together.
    #[error("the stored values have more than {} MiB together; name fewer infrastructures", TOTAL_BYTES_MAX >> 20)]
    TooLarge,
}

/// Writes what a server or a library says in one line, cut to a bound.
pub(crate) fn one_line(text: &str) -> String {
    let line: String = text
        .chars()
        .map(|one| if one.is_control() { ' ' } else { one })
        .take(QUOTED_CHARS_MAX)
        .collect();
    line.trim().to_owned()
}

/// Writes what went wrong, without anything that may be a secret.
pub(crate) fn reason(error: &RedisError) -> String {
    if error.is_timeout() {
        return "no answer in time".to_owned();
    }
    one_line(&error.to_string())
}
