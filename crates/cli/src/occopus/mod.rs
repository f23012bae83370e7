//! Occopus's commands: `occopus-build` and its siblings, under links to this
//! program or as `zenekar occopus build`.
//!
//! They keep Occopus's flags, and what scripts read on stdout: the lines of its
//! log and the id as the last line. Mistakes are told on stderr besides, in
//! our own words. What each command does is in [`operations`], which the REST
//! service shares.

mod adopt;
pub(crate) mod arguments;
mod build;
mod definitions;
mod destroy;
mod drive;
mod files;
mod import;
mod judge;
mod links;
mod log;
mod maintain;
pub(crate) mod operations;
pub(crate) mod report;
mod scale;
mod service;
mod texts;
mod turn;

use std::ffi::{OsStr, OsString};
use std::path::Path;

use clap::Parser;
use clap::error::ErrorKind;
use zenekar_document::Entry;
use zenekar_occopus::yaml_text;

use crate::arguments::Global;
use crate::errors::Failure;
use crate::exit::Exit;
use crate::output::Output;
use crate::place::Place;
use arguments::{Files, OccopusCommand};
use operations::Bench;

/// The provider that all nodes run on instead of their own, as an environment variable.
pub(crate) const ON: &str = "ZENEKAR_ON";

/// One of Occopus's commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tool {
    /// `occopus-import`
    Import,
    /// `occopus-build`
    Build,
    /// `occopus-destroy`
    Destroy,
    /// `occopus-maintain`
    Maintain,
    /// `occopus-scale`
    Scale,
    /// `occopus-rest-service`
    RestService,
}

impl Tool {
    /// All of them.
    pub(crate) const ALL: [Self; 6] = [
        Self::Import,
        Self::Build,
        Self::Destroy,
        Self::Maintain,
        Self::Scale,
        Self::RestService,
    ];

    /// Returns the name of the command.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Import => "occopus-import",
            Self::Build => "occopus-build",
            Self::Destroy => "occopus-destroy",
            Self::Maintain => "occopus-maintain",
            Self::Scale => "occopus-scale",
            Self::RestService => "occopus-rest-service",
        }
    }

    /// Finds out by the name of the program whether one of the commands is meant.
    pub(crate) fn called(program: Option<&OsStr>) -> Option<Self> {
        let name = Path::new(program?).file_name()?;
        Self::ALL.into_iter().find(|tool| name == tool.name())
    }
}

/// What the environment says of the options that Occopus's commands lack.
#[derive(Debug, Parser)]
struct Environment {
    #[command(flatten)]
    global: Global,
}

/// Carries out a command that was called by its own name.
pub(crate) fn main(tool: Tool) -> Exit {
    let global = match Environment::try_parse_from([tool.name()]) {
        Ok(environment) => environment.global,
        Err(error) => {
            // Nobody can be told if stderr is gone.
            let _ = error.print();
            return Exit::Usage;
        }
    };
    let output = Output::new(&global);
    match carry_out(tool, std::env::args_os().skip(1), &global, output) {
        Ok(exit) => exit,
        Err(failure) => {
            failure.tell(output);
            match failure.exit {
                // A reader that has gone away, and the user who stopped it.
                Exit::Success | Exit::Cancelled => failure.exit,
                // Occopus has one code for everything that goes wrong.
                _ => Exit::Internal,
            }
        }
    }
}

/// Carries out `zenekar occopus …`.
pub(crate) fn run(
    command: &OccopusCommand,
    global: &Global,
    output: Output,
) -> Result<Exit, Failure> {
    match (command, command.tool()) {
        (_, Some((tool, words))) => carry_out(tool, words.iter().cloned(), global, output),
        (OccopusCommand::InstallLinks(own), None) => links::run(own, output),
        (OccopusCommand::Adopt(own), None) => adopt::run(own, global, output),
        (_, None) => Err(Failure::internal(
            "a command without anybody to carry it out",
        )),
    }
}

fn carry_out(
    tool: Tool,
    words: impl Iterator<Item = OsString>,
    global: &Global,
    output: Output,
) -> Result<Exit, Failure> {
    let words: Vec<OsString> = std::iter::once(OsString::from(tool.name()))
        .chain(words)
        .collect();
    match tool {
        Tool::Import => with(&words, |own| import::run(own, global, output)),
        Tool::Build => with(&words, |own| build::run(own, global, output)),
        Tool::Destroy => with(&words, |own| destroy::run(own, global, output)),
        Tool::Maintain => with(&words, |own| maintain::run(own, global, output)),
        Tool::Scale => with(&words, |own| scale::run(own, global, output)),
        Tool::RestService => with(&words, |own| service::run(own, global, output)),
    }
}

/// Reads a command line and carries it out.
fn with<A: Parser>(
    words: &[OsString],
    carry_out: impl FnOnce(&A) -> Result<Exit, Failure>,
) -> Result<Exit, Failure> {
    match A::try_parse_from(words) {
        Ok(arguments) => carry_out(&arguments),
        Err(error) => {
            // A reader that has gone away needs no help.
            let _ = error.print();
            Ok(match error.kind() {
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Exit::Success,
                _ => Exit::Usage,
            })
        }
    }
}

/// Prepares what all commands need, and tells which files of Occopus's are used.
pub(crate) fn bench(
    files: &Files,
    is_parallel: bool,
    global: &Global,
    output: Output,
) -> Result<Bench, Failure> {
    let configuration = files::configuration(files, output)?;
    let authentication = files::authentication(files, output)?;
    let on = std::env::var(ON).ok().filter(|name| !name.is_empty());
    // Occopus pretends in a dry run; the simulated cloud does that better.
    let dry = configuration
        .dry_run
        .then(|| crate::providers::SIM.to_owned());
    Ok(Bench {
        place: Place::find(global)?.with_authentication_file(authentication),
        on: on.or(dry),
        configuration,
        // Occopus creates one instance after the other unless it is told otherwise.
        parallel: if is_parallel { None } else { Some(1) },
    })
}

/// Writes a node definition as a file of its own, with the anchors that it has.
fn definition_text(entry: Entry<'_>) -> String {
    let key = serde_json::Value::from(entry.key.text());
    let text = yaml_text(entry.value);
    // A list in lines may stand at the margin below its key; nothing else may.
    let space = if text.starts_with("- ") { '\n' } else { ' ' };
    format!("{key}:{space}{text}")
}
