//! What runs inside an instance, or on its way into it.

pub(crate) mod confine;
pub(crate) mod enter;
pub(crate) mod init;
mod mounts;
pub(crate) mod root;
pub(crate) mod service;
pub(crate) mod trial;

use std::ffi::OsStr;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// The path of this very program, also where its file is not visible, or not
/// there any more.
pub(crate) const SELF: &str = "/proc/self/exe";

/// What lists of processes show as the name of the provider's processes.
const NAME: &str = "zenekar";

/// Begins a command that runs this program in one of its hidden roles.
pub(crate) fn role(program: impl AsRef<OsStr>, role: &str) -> Command {
    let mut command = Command::new(program);
    command.arg0(NAME).args(["__local", role]);
    command
}
