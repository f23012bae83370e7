//! Lets a shim start without a parent that would have to bury it.

use std::ffi::OsString;
use std::process::{ExitCode, Stdio};

use crate::inside::{SELF, role};

/// Runs as the role `launch`: starts the shim with the same arguments, and
/// ends. The shim's first line goes to whoever reads the standard output.
pub(crate) fn main(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let started = role(SELF, "shim")
        .args(arguments)
        .stdin(Stdio::null())
        .spawn();
    match started {
        Ok(_) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
