//! What runs in containers, and on its way into them.

pub(crate) mod exec;
mod init;

use std::ffi::OsString;
use std::process::ExitCode;

use serde::{Deserialize, Serialize};

/// The first argument of hidden roles.
pub(crate) const WORD: &str = "__docker";

/// Where the agent finds what it is to do.
pub(crate) const TASK: &str = "/var/lib/zenekar/task.json";
/// Where it writes what came of it.
const REPORT: &str = "/var/lib/zenekar/report.json";
/// Where it writes what contextualisation prints.
pub(crate) const LOG: &str = "/var/lib/zenekar/contextualisation.log";

/// What an instance is told when it is created.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Task {
    pub(crate) instance_id: String,
    pub(crate) host_name: String,
    pub(crate) user_data: Option<String>,
    pub(crate) command: Option<Vec<String>>,
}

/// Runs the role that the arguments name.
pub(crate) fn main(mut arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let role = arguments.next();
    match role.as_deref().and_then(|role| role.to_str()) {
        Some("init") => init::main(),
        Some("agent") => init::agent_main(),
        Some("exec") => exec::main(arguments),
        // A program that its loader cannot be asked about is started with this.
        Some("nothing") => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}
