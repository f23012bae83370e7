//! The one place where failures become words, hints and an exit code.

use std::fmt::Write as _;

use std::error::Error;
use std::io;

use serde_json::json;
use zenekar_base::ErrorClass;
use zenekar_engine::Refusal;
use zenekar_provider_sim::SimError;
use zenekar_runtime::RuntimeError;
use zenekar_store::StoreError;

use crate::exit::Exit;
use crate::output::{Output, SCHEMA_VERSION};

/// Why a command did not do what it was asked for.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The exit code.
    pub(crate) exit: Exit,
    /// What failed; none if nobody needs to be told (any more).
    message: Option<String>,
    /// Why, from near to far.
    causes: Vec<String>,
    /// What can be done about it.
    hints: Vec<String>,
}

impl Failure {
    /// Makes a failure.
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self {
            exit,
            message: Some(message.into()),
            causes: Vec::new(),
            hints: Vec::new(),
        }
    }

    /// Makes a failure of which the user knows already.
    pub(crate) const fn told(exit: Exit) -> Self {
        Self {
            exit,
            message: None,
            causes: Vec::new(),
            hints: Vec::new(),
        }
    }

    /// Makes a failure for a wrong command line.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// Makes a failure for a mistake of this program.
    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self::new(Exit::Internal, message)
    }

    /// Makes a failure from another error and its causes.
    pub(crate) fn caused(exit: Exit, error: &dyn Error) -> Self {
        Self::new(exit, error.to_string()).because_of(error.source())
    }

    /// Adds the causes of the failure.
    pub(crate) fn because_of(mut self, error: Option<&(dyn Error + 'static)>) -> Self {
        let mut next = error;
        while let Some(error) = next {
            self.causes.push(error.to_string());
            next = error.source();
        }
        self
    }

    /// Adds one cause.
    pub(crate) fn cause(mut self, cause: impl Into<String>) -> Self {
        self.causes.push(cause.into());
        self
    }

    /// Adds what can be done about it.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Makes a failure from one to write stdout. A reader that has gone away
    /// (`zenekar events | head`) has had what it wanted.
    pub(crate) fn from_stdout(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::told(Exit::Success),
            io::ErrorKind::StorageFull => {
                Self::new(Exit::State, "cannot write to stdout: no space is left")
            }
            _ => Self::new(Exit::Internal, "cannot write to stdout").because_of(Some(&error)),
        }
    }

    /// Makes a failure from one to read or write a file that the user named.
    pub(crate) fn from_file(operation: &str, path: &std::path::Path, error: &io::Error) -> Self {
        let exit = if error.kind() == io::ErrorKind::StorageFull {
            Exit::State
        } else {
            Exit::Usage
        };
        Self::new(exit, format!("cannot {operation} `{}`", path.display())).cause(error.to_string())
    }

    /// Returns what failed; nothing if nobody needs to be told.
    pub(crate) fn message(&self) -> &str {
        self.message.as_deref().unwrap_or_default()
    }

    /// Returns the failure and its causes in one line.
    pub(crate) fn summary(&self) -> String {
        let message = self.message.as_deref().unwrap_or("failed");
        let parts = std::iter::once(message).chain(self.causes.iter().map(String::as_str));
        parts.collect::<Vec<_>>().join(": ")
    }

    /// Tells the failure on stderr.
    pub(crate) fn tell(&self, output: Output) {
        let Some(message) = &self.message else { return };
        if output.is_json() {
            let value = json!({
                "schema_version": SCHEMA_VERSION,
                "kind": "error",
                "error": self.exit.name(),
                "exit_code": self.exit.number(),
                "message": message,
                "causes": self.causes,
                "hints": self.hints,
            });
            output.line(&value.to_string());
            return;
        }
        let paint = output.talk_paint;
        let mut text = format!("{} {message}\n", paint.alarm("error:"));
        for cause in &self.causes {
            let _ = writeln!(text, "  {} {cause}", paint.faint("caused by:"));
        }
        for hint in &self.hints {
            let _ = writeln!(text, "\n{} {hint}", paint.advice("hint:"));
        }
        output.talk(&text);
    }
}

/// Returns the exit code for a class of provider errors.
pub(crate) const fn exit_of_class(class: ErrorClass) -> Exit {
    match class {
        ErrorClass::Auth => Exit::Auth,
        ErrorClass::Capacity | ErrorClass::Quota => Exit::Capacity,
        ErrorClass::Conflict
        | ErrorClass::Invalid
        | ErrorClass::NotFound
        | ErrorClass::Retryable
        | ErrorClass::Throttled
        | ErrorClass::Unknown => Exit::Provider,
    }
}

/// Returns what the user can do about a class of provider errors.
pub(crate) const fn hint_of_class(class: ErrorClass) -> &'static str {
    match class {
        ErrorClass::Auth => "check the credentials, then run the command again",
        ErrorClass::Capacity => {
            "wait, or choose another machine type or region in the descriptor, then run the command again"
        }
        ErrorClass::Quota => "free something or have the limit raised, then run the command again",
        ErrorClass::Invalid => "correct the descriptor, then run the command again",
        ErrorClass::Conflict
        | ErrorClass::NotFound
        | ErrorClass::Retryable
        | ErrorClass::Throttled
        | ErrorClass::Unknown => "run the command again to continue where it stopped",
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let exit = match &error {
            StoreError::UnknownInfrastructure { .. }
            | StoreError::NoDirectory
            | StoreError::NoState { .. }
            | StoreError::ImportMalformed { .. } => Exit::Usage,
            StoreError::AlreadyExists { .. }
            | StoreError::NotRemoved { .. }
            | StoreError::RequestConflict { .. } => Exit::Refused,
            _ => Exit::State,
        };
        let hint = error.hint();
        let failure = Self::caused(exit, &error);
        match hint {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }
}

impl From<RuntimeError> for Failure {
    fn from(error: RuntimeError) -> Self {
        let exit = match error {
            RuntimeError::Store(error) => return error.into(),
            RuntimeError::NewerFormat { .. } | RuntimeError::Malformed { .. } => Exit::State,
            _ => Exit::Internal,
        };
        let hint = error.hint();
        let failure = Self::caused(exit, &error);
        match hint {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }
}

impl From<SimError> for Failure {
    fn from(error: SimError) -> Self {
        let hint = match &error {
            SimError::Damaged { .. } => Some("`zenekar sim reset` begins with an empty cloud"),
            SimError::Settings { .. } => {
                Some("`zenekar sim profile calm` writes settings that can be used")
            }
            SimError::Io { .. } => None,
        };
        let failure = Self::caused(Exit::State, &error);
        match hint {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        let hint = match &refusal {
            Refusal::TeardownInProgress => {
                "run `zenekar down` to finish the teardown, then bring it up anew"
            }
            Refusal::NoIntent => "bring it up with `zenekar up FILE`",
            Refusal::OtherName { .. } => {
                "give the other descriptor's infrastructure a name of its own with `--name`"
            }
            Refusal::ReplacementRefused { .. } => {
                "undo the change of that node, or remove `refuse_replacement` from it"
            }
            Refusal::UnknownNode(_) | Refusal::UnknownInstance(_) => {
                "`zenekar status` shows nodes and instances"
            }
            Refusal::NotNew => "`zenekar list` shows which infrastructures there are",
            Refusal::NotAdoptable(_) => "nothing was changed; correct what is to be taken over",
        };
        let exit = match &refusal {
            Refusal::UnknownNode(_) | Refusal::UnknownInstance(_) => Exit::Usage,
            _ => Exit::Refused,
        };
        Self::new(exit, refusal.to_string()).hint(hint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_of_errors_have_their_codes() {
        for (class, code) in [
            (ErrorClass::Auth, 4),
            (ErrorClass::Capacity, 6),
            (ErrorClass::Conflict, 5),
            (ErrorClass::Invalid, 5),
            (ErrorClass::NotFound, 5),
            (ErrorClass::Quota, 6),
            (ErrorClass::Retryable, 5),
            (ErrorClass::Throttled, 5),
            (ErrorClass::Unknown, 5),
        ] {
            assert_eq!(exit_of_class(class).number(), code, "{class}");
        }
        assert_eq!(Failure::internal("a mistake").exit.number(), 1);
    }

    #[test]
    fn a_reader_that_went_away_is_no_error() {
        let gone = Failure::from_stdout(io::ErrorKind::BrokenPipe.into());
        assert_eq!((gone.exit, gone.message), (Exit::Success, None));
        let full = Failure::from_stdout(io::ErrorKind::StorageFull.into());
        assert_eq!(full.exit, Exit::State);
    }
}
