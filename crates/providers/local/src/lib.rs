//! Provider `local`: isolated instances on this very machine.
//!
//! Every instance has an address, a host name, a process tree and a root of
//! its own. It runs beside this process, not below it: it outlives a crash of
//! `zenekar`, and is found again by its directory and by the lock that its
//! shim holds. Which isolation the machine grants is measured, not assumed.

mod control;
mod create;
mod delete;
mod error;
mod inside;
mod instances;
mod isolation;
mod launch;
mod layout;
mod limits;
mod lock;
mod network;
mod processes;
mod provider;
mod shim;
mod skeleton;
mod state;
mod survey;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use nix::sys::stat::{Mode, umask};

pub use error::LocalError;
pub use isolation::Isolation;
pub use provider::{LocalProvider, capabilities};
pub use survey::{Fact, Standing, Survey, survey};

/// Where instances live and what they need at least.
#[derive(Clone, Debug)]
pub struct LocalSettings {
    /// The directory that holds all infrastructures of this user.
    pub directory: PathBuf,
    /// The program that [`process_main`] is part of; instances run it.
    pub executable: PathBuf,
    /// The isolation that instances need at least; none takes the best there is.
    pub isolation: Option<Isolation>,
    /// The isolation that instances get at most; none takes the best there is.
    pub isolation_max: Option<Isolation>,
}

/// Says whether this machine can enforce the limits of instances with [`Isolation::Namespaces`].
pub fn enforces_limits() -> bool {
    limits::are_writable().is_ok()
}

/// Runs one of the hidden roles that instances consist of, if the arguments
/// (without the program's name) ask for one.
///
/// It has to be called before anything else: roles enter namespaces, which only
/// a process with a single thread can.
pub fn process_main(arguments: impl Iterator<Item = OsString>) -> Option<ExitCode> {
    let mut arguments = arguments;
    if arguments.next()? != "__local" {
        return None;
    }
    let role = arguments.next()?;
    let role = role.to_str()?;
    prepare_role(role);
    match role {
        "agent" => Some(inside::service::agent_main()),
        "enter" => Some(inside::enter::main(arguments)),
        "init" => Some(inside::init::main(arguments)),
        "launch" => Some(launch::main(arguments)),
        "run" => Some(inside::service::run_main(arguments)),
        "shim" => Some(shim::main(arguments)),
        "try" => Some(inside::trial::main(arguments)),
        "try-mounts" => Some(inside::trial::mounts_main(arguments)),
        "switch" => Some(network::switch_main(arguments)),
        "gateway" => Some(network::gateway_main(arguments)),
        "network" => Some(network::tool::main(arguments)),
        _ => None,
    }
}

/// Sets the mask for new files, whatever mask the caller happens to have.
fn prepare_role(role: &str) {
    let mask = match role {
        // Files inside are for all who are inside.
        "agent" | "enter" | "init" | "run" => Mode::from_bits_truncate(0o022),
        // Files beside instances are for their owner only.
        _ => Mode::from_bits_truncate(0o077),
    };
    umask(mask);
}
