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
    // A mistake of this program tells itself by the panic's own words.
    std::panic::catch_unwind(commands::main)
        .unwrap_or(exit::Exit::Internal)
        .into()
}
