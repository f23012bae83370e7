//! The exit codes: the one place where their numbers stand.
//!
//! They are documented in `docs/exit-codes.md` and never change their meaning.

use std::process::ExitCode;

/// How a command ended, as scripts see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done.
    Success,
    /// A mistake of this program.
    Internal,
    /// The command line is wrong, or asks for something that is not there.
    Usage,
    /// The descriptor has mistakes.
    InvalidDescriptor,
    /// A provider refuses the credentials.
    Auth,
    /// A provider failed, or is not available.
    Provider,
    /// A quota is reached, or the provider has no such machine free.
    Capacity,
    /// The time allowed is over.
    Timeout,
    /// The state is locked, damaged, read-only, or the disk is full.
    State,
    /// The change is refused.
    Refused,
    /// There are changes; only with `--detailed-exit-code`.
    ChangesPending,
    /// Something can go wrong: a property does not hold in every run.
    Violated,
    /// A run does not happen again as it was recorded.
    Diverged,
    /// Stopped by the user.
    Cancelled,
}

impl Exit {
    /// Returns the number that the operating system is told.
    pub(crate) const fn number(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Internal => 1,
            Self::Usage => 2,
            Self::InvalidDescriptor => 3,
            Self::Auth => 4,
            Self::Provider => 5,
            Self::Capacity => 6,
            Self::Timeout => 7,
            Self::State => 8,
            Self::Refused => 9,
            Self::ChangesPending => 10,
            Self::Violated => 11,
            Self::Diverged => 12,
            // 128 + SIGINT, as shells report an interrupted program.
            Self::Cancelled => 130,
        }
    }

    /// Returns the stable name used in JSON errors.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Internal => "internal",
            Self::Usage => "usage",
            Self::InvalidDescriptor => "invalid-descriptor",
            Self::Auth => "auth",
            Self::Provider => "provider",
            Self::Capacity => "capacity",
            Self::Timeout => "timeout",
            Self::State => "state",
            Self::Refused => "refused",
            Self::ChangesPending => "changes-pending",
            Self::Violated => "violated",
            Self::Diverged => "diverged",
            Self::Cancelled => "cancelled",
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.number())
    }
}
