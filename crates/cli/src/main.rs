//! The `zenekar` command: arguments in, words and an exit code out.

mod arguments;
mod clouds;
mod commands;
mod descriptor;
mod errors;
mod exit;
mod host_commands;
mod live;
mod occopus;
mod opening;
mod output;
mod pictures;
mod place;
mod preflight;
mod properties;
mod providers;
mod rehearsal;
mod render;
mod replay_file;
mod secrets;
mod verify;
mod world;

use std::process::ExitCode;

fn main() -> ExitCode {
    // Instances on this machine consist of processes of this program. They come
    // first: only a process with a single thread can enter namespaces.
    if let Some(code) = zenekar_provider_local::process_main(std::env::args_os().skip(1)) {
        return code;
    }
    // So do those in containers.
    if let Some(code) = zenekar_provider_docker::run_hidden(std::env::args_os().skip(1)) {
        return code;
    }
    let tool = occopus::Tool::called(std::env::args_os().next().as_deref());
    // A mistake of this program tells itself by the panic's own words.
    std::panic::catch_unwind(|| tool.map_or_else(commands::main, occopus::main))
        .unwrap_or(exit::Exit::Internal)
        .into()
}
