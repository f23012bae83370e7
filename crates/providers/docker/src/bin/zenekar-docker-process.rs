//! The hidden roles of the provider alone: what its tests put into instances.

use std::process::ExitCode;

fn main() -> ExitCode {
    zenekar_provider_docker::run_hidden(std::env::args_os().skip(1)).unwrap_or(ExitCode::FAILURE)
}
