//! The commands: one file each.

pub(crate) mod cloud;
mod completion;
mod doctor;
pub(crate) mod down;
mod events;
mod exec;
mod explain;
mod lint;
mod list;
mod logs;
mod man;
mod open;
mod plan;
mod rebuild;
mod render;
pub(crate) mod run;
pub(crate) mod scale;
mod sim;
mod state;
pub(crate) mod status;
mod target;
mod up;
mod validate;
mod watch;
mod why;

use std::ffi::OsString;

use clap::Parser;
use clap::error::ErrorKind;

use crate::arguments::{Arguments, Command};
use crate::errors::Failure;
use crate::exit::Exit;
use crate::output::Output;

/// Reads the command line and carries the command out.
pub(crate) fn main() -> Exit {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return tell_usage(&error),
    };
    let output = Output::new(&arguments.global);
    match carry_out(arguments, output) {
        Ok(exit) => exit,
        Err(failure) => {
            failure.tell(output);
            failure.exit
        }
    }
}

fn carry_out(mut arguments: Arguments, output: Output) -> Result<Exit, Failure> {
    arguments
        .command
        .allow_host_commands(arguments.global.allow_host_commands);
    let global = &arguments.global;
    match &arguments.command {
        Command::Validate(own) => validate::run(own, global, output),
        Command::Lint(own) => lint::run(own, output),
        Command::Render(own) => render::run(own, global, output),
        Command::Plan(own) => plan::run(own, global, output),
        Command::Verify(own) => crate::verify::run(own, global, output),
        Command::Replay(own) => crate::verify::replay(own, global, output),
        Command::Up(own) => up::run(own, global, output),
        Command::Status(own) => status::run(own, global, output),
        Command::Why(own) => why::run(own, global, output),
        Command::Scale(own) => scale::run(own, global, output),
        Command::Watch(own) => watch::run(own, global, output),
        Command::Events(own) => events::run(own, global, output),
        Command::Logs(own) => logs::run(own, global, output),
        Command::Exec(own) => exec::exec(own, global, output),
        Command::Shell(own) => exec::shell(own, global, output),
        Command::Open(own) => open::run(own, global, output),
        Command::Doctor => doctor::run(global, output),
        Command::List(own) => list::run(own, global, output),
        Command::Down(own) => down::run(own, global, output),
        Command::State(own) => state::run(own, global, output),
        Command::Cloud(own) => cloud::run(own, global, output),
        Command::Sim(own) => sim::run(own, global, output),
        Command::Occopus(own) => crate::occopus::run(own, global, output),
        Command::Explain(own) => explain::run(own, output),
        Command::Completion(own) => completion::run(own, output),
        Command::Man(own) => man::run(own, output),
    }
}

/// Answers requests for help, and tells what is wrong with a command line.
fn tell_usage(error: &clap::Error) -> Exit {
    let wants_json = asks_for_json(std::env::args_os());
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            // A reader that has gone away needs no help.
            let _ = error.print();
            Exit::Success
        }
        _ if wants_json => {
            let text = error.render().to_string();
            let mut paragraphs = text.trim().splitn(2, "\n\n");
            let message = paragraphs.next().unwrap_or_default();
            let message = message
                .strip_prefix("error: ")
                .unwrap_or(message)
                .split_whitespace()
                .collect::<Vec<_>>()
                .join(" ");
            let failure = match paragraphs.next() {
                Some(rest) => Failure::usage(message).hint(rest.trim()),
                None => Failure::usage(message),
            };
            failure.tell(Output::json_only());
            Exit::Usage
        }
        _ => {
            let _ = error.print();
            Exit::Usage
        }
    }
}

/// Says whether a command line that could not be read asks for JSON.
fn asks_for_json(arguments: impl Iterator<Item = OsString>) -> bool {
    let mut before = OsString::new();
    for argument in arguments {
        if argument == "--output=json" || (before == "--output" && argument == "json") {
            return true;
        }
        before = argument;
    }
    false
}
