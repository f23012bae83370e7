//! The hidden roles of the provider alone: what its tests start as processes.

use std::process::ExitCode;

fn main() -> ExitCode {
    zenekar_provider_local::process_main(std::env::args_os().skip(1)).unwrap_or(ExitCode::FAILURE)
}
