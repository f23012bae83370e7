//! Runs a command inside an instance for somebody outside.

use std::ffi::OsString;
use std::io::{self, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::ExitCode;

use nix::sched::{CloneFlags, setns};
use nix::sys::signal::{SigSet, Signal};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::service::{NOT_RUNNABLE, Place};
use super::{SELF, role};
use crate::layout::InstancePaths;
use crate::limits;
use crate::processes;
use crate::state::{self, Description, Status};
use crate::{Isolation, LocalError, lock};

/// Runs as the role `enter`: the arguments are the instance's directory and
/// the command; its exit code is the command's.
pub(crate) fn main(mut arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let Some(directory) = arguments.next().map(PathBuf::from) else {
        return ExitCode::from(NOT_RUNNABLE);
    };
    match run(&InstancePaths::new(directory), arguments) {
        Ok(code) => code,
        Err(error) => {
            let _ = writeln!(io::stderr(), "error: {}", error.chain());
            ExitCode::from(NOT_RUNNABLE)
        }
    }
}

fn run(
    paths: &InstancePaths,
    arguments: impl Iterator<Item = OsString>,
) -> Result<ExitCode, LocalError> {
    let path = paths.description();
    let description: Description = state::read(&path)
        .map_err(LocalError::file("read", &path))?
        .ok_or_else(|| LocalError::NotFound("the instance does not exist any more".to_owned()))?;
    let init = living_init(paths)?;
    limits::join(&description.mark);
    let root = if description.isolation == Isolation::Plain {
        paths.files()
    } else {
        join_namespaces(init, description.isolation)?;
        PathBuf::from("/")
    };
    let place = Place {
        isolation: description.isolation,
        root,
        host_name: description.host_name(),
        instance_id: description.instance.to_string(),
        mark: description.mark.clone(),
        address: description.address.to_string(),
    };
    // Interrupts are for the command, which has the terminal too; this process only waits for it.
    let mut mask = SigSet::empty();
    mask.add(Signal::SIGINT);
    mask.add(Signal::SIGQUIT);
    mask.thread_block()
        .map_err(LocalError::system("leave signals to the command"))?;
    let mut command = role(SELF, "run");
    command.env_clear();
    for name in ["TERM", "COLUMNS", "LINES"] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    let status = command
        .envs(place.environment())
        .current_dir(place.root.join("root"))
        .arg(place.isolation.name())
        .arg(&place.root)
        .args(arguments)
        .status()
        .map_err(LocalError::system("run the command"))?;
    Ok(ExitCode::from(exit_code(status)))
}

/// Returns the exit code as shells give it: 128 and the signal for a process that was ended.
fn exit_code(status: std::process::ExitStatus) -> u8 {
    let code = status
        .code()
        .or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok())
        .unwrap_or(u8::MAX)
}

/// Returns the init of an instance that runs.
fn living_init(paths: &InstancePaths) -> Result<i32, LocalError> {
    let path = paths.lock();
    let shim = lock::holder(&path).map_err(LocalError::file("read", &path))?;
    let status: Option<Status> =
        state::read(&paths.status()).map_err(LocalError::file("read", &paths.status()))?;
    match (shim, status) {
        // A pid alone might be another process's by now.
        (Some(shim), Some(status))
            if processes::process(status.init_pid)
                .is_some_and(|process| process.parent == shim.as_raw()) =>
        {
            Ok(status.init_pid)
        }
        _ => Err(LocalError::NotFound("the instance does not run".to_owned())),
    }
}

fn join_namespaces(init: i32, isolation: Isolation) -> Result<(), LocalError> {
    let failed = || LocalError::system("enter the instance");
    let pid = Pid::from_raw(init)
        .ok_or_else(|| LocalError::NotFound("the instance does not run".to_owned()))?;
    let process = pidfd_open(pid, PidfdFlags::empty()).map_err(failed())?;
    let mut spaces = CloneFlags::CLONE_NEWNS
        | CloneFlags::CLONE_NEWNET
        | CloneFlags::CLONE_NEWPID
        | CloneFlags::CLONE_NEWUTS
        | CloneFlags::CLONE_NEWIPC;
    if isolation == Isolation::UserNamespaces {
        spaces |= CloneFlags::CLONE_NEWUSER;
    }
    setns(&process, spaces).map_err(LocalError::system("enter the instance"))
}
