//! Everything that CI does, as one command: `cargo xtask`.

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    zenekar_xtask::run(&arguments)
}
