//! Control groups: bounds on what an instance uses, where they are writable.
//!
//! Both versions of the kernel's interface are served: one tree for each
//! controller (version 1), or one tree for all (version 2).

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use nix::sys::signal::Signal;

use crate::processes;
use crate::state::Limits;

/// Where the kernel shows control groups.
const ROOT: &str = "/sys/fs/cgroup";

/// The folder of all groups of ours.
const PARENT: &str = "zenekar";

/// Processes that an instance may have: more than any service of one node
/// needs, and too few to stop the machine.
const PROCESSES_MAX: u32 = 8192;

/// The controllers of version 1 that are used: each has a tree of its own.
const CONTROLLERS: [&str; 4] = ["memory", "cpu", "pids", "freezer"];

/// How processor time is divided, in microseconds (the kernel's own default).
const PERIOD_US: u64 = 100_000;

/// Which version of the interface this machine has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    One,
    Two,
}

fn version() -> Option<Version> {
    let root = Path::new(ROOT);
    if root.join("cgroup.controllers").exists() {
        Some(Version::Two)
    } else if CONTROLLERS
        .iter()
        .any(|controller| root.join(controller).is_dir())
    {
        Some(Version::One)
    } else {
        None
    }
}

/// Returns the groups that an instance has or would have.
fn groups(mark: &str) -> Vec<(&'static str, PathBuf)> {
    let root = Path::new(ROOT);
    let group = Path::new(PARENT).join(mark);
    match version() {
        None => Vec::new(),
        Some(Version::Two) => vec![("", root.join(group))],
        Some(Version::One) => CONTROLLERS
            .iter()
            .map(|controller| (*controller, root.join(controller)))
            .filter(|(_, tree)| tree.is_dir())
            .map(|(controller, tree)| (controller, tree.join(&group)))
            .collect(),
    }
}

/// Puts a process, and what it starts from now on, under limits. Returns which
/// of the wanted limits the machine does not enforce.
pub(crate) fn apply(mark: &str, limits: Limits, pid: u32) -> Vec<&'static str> {
    let mut enforced = Vec::new();
    for (controller, group) in groups(mark) {
        if make(&group).is_err() {
            continue;
        }
        let settings = settings(controller, limits);
        let kept: Vec<&'static str> = settings
            .into_iter()
            .filter(|(file, value, _)| fs::write(group.join(file), value).is_ok())
            .map(|(_, _, what)| what)
            .collect();
        if fs::write(group.join("cgroup.procs"), pid.to_string()).is_ok() {
            enforced.extend(kept);
        }
    }
    let wanted = [
        limits.memory_mb.map(|_| "memory"),
        limits.cores.map(|_| "cores"),
    ];
    wanted
        .into_iter()
        .flatten()
        .filter(|what| !enforced.contains(what))
        .collect()
}

fn make(group: &Path) -> io::Result<()> {
    fs::create_dir_all(group)?;
    if version() == Some(Version::Two) {
        // Each level has to hand its controllers down; the ones that it lacks are missed later.
        for above in [Path::new(ROOT), group.parent().unwrap_or(group)] {
            for controller in ["+memory", "+cpu", "+pids"] {
                let _ = fs::write(above.join("cgroup.subtree_control"), controller);
            }
        }
    }
    Ok(())
}

/// Returns files, what is written to them, and which limit that is.
fn settings(controller: &str, limits: Limits) -> Vec<(&'static str, String, &'static str)> {
    let bytes = limits.memory_mb.map(|mb| (mb << 20).to_string());
    let quota_us = limits.cores.map(|cores| cores * PERIOD_US);
    let mut found = Vec::new();
    if let (Some(bytes), "memory" | "") = (&bytes, controller) {
        let file = if controller.is_empty() {
            "memory.max"
        } else {
            "memory.limit_in_bytes"
        };
        found.push((file, bytes.clone(), "memory"));
    }
    match (quota_us, controller) {
        (Some(quota), "cpu") => found.push(("cpu.cfs_quota_us", quota.to_string(), "cores")),
        (Some(quota), "") => found.push(("cpu.max", format!("{quota} {PERIOD_US}"), "cores")),
        _ => {}
    }
    if matches!(controller, "pids" | "") {
        found.push(("pids.max", PROCESSES_MAX.to_string(), "processes"));
    }
    found
}

/// Puts this process into the groups of an instance, as far as there are any.
pub(crate) fn join(mark: &str) {
    for (_, group) in groups(mark) {
        let _ = fs::write(group.join("cgroup.procs"), std::process::id().to_string());
    }
}

/// Says whether somebody has frozen the instance.
pub(crate) fn is_frozen(mark: &str) -> bool {
    groups(mark).iter().any(|(controller, group)| {
        let (file, word) = match *controller {
            "freezer" => ("freezer.state", "FROZEN"),
            "" => ("cgroup.freeze", "1"),
            _ => return false,
        };
        fs::read_to_string(group.join(file)).is_ok_and(|text| text.trim() == word)
    })
}

/// Lets a frozen instance go on, so that it can end.
pub(crate) fn thaw(mark: &str) {
    for (controller, group) in groups(mark) {
        let _ = match controller {
            "freezer" => fs::write(group.join("freezer.state"), "THAWED"),
            "" => fs::write(group.join("cgroup.freeze"), "0"),
            _ => Ok(()),
        };
    }
}

/// Ends what is left in the groups of an instance that is deleted.
pub(crate) fn end_all(mark: &str) {
    for (_, group) in groups(mark) {
        let text = fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
        for pid in text.lines().filter_map(|line| line.parse().ok()) {
            let _ = processes::signal(pid, Signal::SIGKILL);
        }
    }
}

/// Removes the groups of an instance that has ended. Returns whether none is left.
pub(crate) fn remove(mark: &str) -> bool {
    let groups = groups(mark);
    for (_, group) in &groups {
        let _ = fs::remove_dir(group);
        // The folder of all groups goes with the last one; a full one stays.
        if let Some(parent) = group.parent() {
            let _ = fs::remove_dir(parent);
        }
    }
    groups.iter().all(|(_, group)| !group.exists())
}

/// Says whether limits can be enforced here.
pub(crate) fn are_writable() -> Result<&'static str, String> {
    let (tree, name) = match version() {
        None => return Err("no control groups are mounted".to_owned()),
        Some(Version::One) => (Path::new(ROOT).join("memory"), "version 1"),
        Some(Version::Two) => (PathBuf::from(ROOT), "version 2"),
    };
    rustix::fs::access(&tree, rustix::fs::Access::WRITE_OK)
        .map(|()| name)
        .map_err(|error| format!("control groups ({name}) are not writable: {error}"))
}
