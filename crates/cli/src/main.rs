//! The `zenekar` command: arguments in, words and an exit code out.

mod arguments;
mod commands;
mod descriptor;
mod errors;
mod exit;
mod output;
mod place;
mod providers;
mod render;
mod world;

use std::process::ExitCode;

fn main() -> ExitCode {
    commands::main().into()
}
