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
    // Instances on this machine consist of processes of this program. They come
    // first: only a process with a single thread can enter namespaces.
    if let Some(code) = zenekar_provider_local::process_main(std::env::args_os().skip(1)) {
        return code;
    }
    // A mistake of this program tells itself by the panic's own words.
    std::panic::catch_unwind(commands::main)
        .unwrap_or(exit::Exit::Internal)
        .into()
}
