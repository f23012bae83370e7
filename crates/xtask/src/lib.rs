//! The commands of `cargo xtask`.
//!
//! Architecture invariant: the checks that CI makes are in here and nowhere
//! else, so that a developer runs the same ones. What can be a test is one: the
//! rules of the house are in `tests/it` of this crate.

#![expect(clippy::print_stderr, reason = "a build tool talks to the terminal")]

mod command;
mod environments;
mod fuzz;
mod python;
mod steps;
mod summary;
mod system;

use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;

pub use command::{Budget, Command, Options, USAGE};
pub use summary::Summary;

/// How a command can end, beside success.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// A check failed.
    Check,
    /// The command line was not understood.
    Usage,
    /// The machine lacks something that could not be installed.
    System,
}

impl Failure {
    /// Returns the exit code, as the help text documents it.
    pub const fn code(self) -> u8 {
        match self {
            Self::Check => 1,
            Self::Usage => 2,
            Self::System => 3,
        }
    }
}

/// Prints one line, and does not mind a reader that has gone.
fn say(line: &dyn fmt::Display) {
    let _ = writeln!(io::stdout(), "{line}");
}

/// Runs one command and tells how it ended.
pub fn run(arguments: &[String]) -> ExitCode {
    let command = match Command::parse(arguments) {
        Ok(command) => command,
        Err(message) => {
            eprintln!("error: {message}\n\n{USAGE}");
            return ExitCode::from(Failure::Usage.code());
        }
    };
    let result = match command {
        Command::Help => {
            say(&USAGE);
            Ok(())
        }
        Command::Test(options) => steps::test(&options),
        Command::Ci => steps::ci(),
        Command::Format { check } => steps::report(&[("fmt", steps::format(check))]),
        Command::Lint => steps::report(&[("lint", steps::lint())]),
        Command::Tidy => steps::tidy(),
        Command::Bench { filter } => steps::bench(filter.as_deref()),
        Command::Fuzz { seconds } => steps::fuzz(seconds),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => ExitCode::from(failure.code()),
    }
}
