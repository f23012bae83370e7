//! Entering new and old namespaces, which only a process with a single thread can.

use std::fs::{self, File};
use std::io;

use nix::sched::{CloneFlags, setns, unshare};
use nix::unistd::{Pid, getegid, geteuid};

use crate::{Isolation, LocalError};

/// Enters a new network namespace, in a new user namespace where the caller is an ordinary user.
pub(crate) fn create(isolation: Isolation) -> Result<(), LocalError> {
    if isolation == Isolation::UserNamespaces {
        let (user, group) = (geteuid(), getegid());
        unshare(CloneFlags::CLONE_NEWUSER).map_err(LocalError::system("make a user namespace"))?;
        write("/proc/self/setgroups", "deny")?;
        write("/proc/self/uid_map", &format!("0 {user} 1\n"))?;
        write("/proc/self/gid_map", &format!("0 {group} 1\n"))?;
    }
    unshare(CloneFlags::CLONE_NEWNET).map_err(LocalError::system("make a network namespace"))
}

/// Enters the network namespace of a process, and its user namespace where the caller is an ordinary user.
pub(crate) fn enter(process: Pid, isolation: Isolation) -> Result<(), LocalError> {
    let network = open(process, "net")?;
    if isolation == Isolation::UserNamespaces {
        let user = open(process, "user")?;
        setns(&user, CloneFlags::CLONE_NEWUSER).map_err(LocalError::system(format!(
            "enter the user namespace of process {process}"
        )))?;
    }
    setns(&network, CloneFlags::CLONE_NEWNET).map_err(LocalError::system(format!(
        "enter the network namespace of process {process}"
    )))
}

/// Enters the network namespace that a descriptor stands for.
pub(crate) fn enter_network(namespace: &File) -> Result<(), LocalError> {
    setns(namespace, CloneFlags::CLONE_NEWNET)
        .map_err(LocalError::system("change the network namespace"))
}

/// Returns a descriptor of the caller's network namespace.
pub(crate) fn own_network() -> Result<File, LocalError> {
    File::open("/proc/self/ns/net").map_err(LocalError::system("open the own network namespace"))
}

fn open(process: Pid, kind: &str) -> Result<File, LocalError> {
    File::open(format!("/proc/{process}/ns/{kind}")).map_err(LocalError::system(format!(
        "open the {kind} namespace of process {process}"
    )))
}

fn write(path: &str, text: &str) -> Result<(), LocalError> {
    match fs::write(path, text) {
        // Kernels before 3.19 have no such file, and need none.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other.map_err(LocalError::system(format!("write `{path}`"))),
    }
}
