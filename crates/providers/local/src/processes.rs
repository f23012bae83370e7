//! What `/proc` says of processes.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::Pid;

use crate::LocalError;

/// How often a process that is to end is looked at: it takes a few milliseconds.
const ENDING_INTERVAL: Duration = Duration::from_millis(3);

/// One process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) parent: i32,
    /// The letter of its state: `R`, `S`, `T`, `Z`.
    pub(crate) state: char,
    /// Whether it belongs to a terminal.
    pub(crate) has_terminal: bool,
}

/// Reads one process; none if there is none.
pub(crate) fn process(pid: i32) -> Option<Process> {
    let text = fs::read(format!("/proc/{pid}/stat")).ok()?;
    let text = String::from_utf8_lossy(&text);
    // The name is in parentheses and may hold any character, so that fields count from the last one.
    let fields: Vec<&str> = text[text.rfind(')')? + 1..].split_whitespace().collect();
    Some(Process {
        state: fields.first()?.chars().next()?,
        parent: fields.get(1)?.parse().ok()?,
        has_terminal: fields.get(4).is_some_and(|terminal| *terminal != "0"),
    })
}

/// Returns a process and all below it.
pub(crate) fn tree(root: i32) -> Vec<(i32, Process)> {
    let all = if has_children_files() {
        None
    } else {
        Some(children_of_all())
    };
    let mut found = Vec::new();
    let mut open = vec![root];
    while let Some(pid) = open.pop() {
        if let Some(process) = process(pid) {
            found.push((pid, process));
        }
        // A process cannot be below itself, so that this ends.
        match &all {
            None => open.extend(children(pid)),
            Some(all) => open.extend(all.get(&pid).into_iter().flatten()),
        }
    }
    found
}

/// Says whether the kernel lists the children of a process; looking through
/// all processes of the machine costs much more.
fn has_children_files() -> bool {
    own_children_file().exists()
}

fn own_children_file() -> PathBuf {
    let own = std::process::id();
    PathBuf::from(format!("/proc/{own}/task/{own}/children"))
}

/// Returns the children of all threads of a process.
fn children(pid: i32) -> Vec<i32> {
    let threads = fs::read_dir(format!("/proc/{pid}/task"));
    threads
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok())
        .flat_map(|text| {
            text.split_whitespace()
                .filter_map(|pid| pid.parse().ok())
                .collect::<Vec<i32>>()
        })
        .collect()
}

/// Returns the children of every process of the machine.
fn children_of_all() -> BTreeMap<i32, Vec<i32>> {
    let mut children: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
    for pid in pids() {
        if let Some(process) = process(pid) {
            children.entry(process.parent).or_default().push(pid);
        }
    }
    children
}

fn pids() -> impl Iterator<Item = i32> {
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// Returns the processes of this user that have a variable in their environment.
pub(crate) fn with_environment(variable: &str) -> Vec<i32> {
    let wanted = variable.as_bytes();
    pids()
        .filter(|pid| {
            fs::read(format!("/proc/{pid}/environ")).is_ok_and(|environment| {
                environment
                    .split(|byte| *byte == 0)
                    .any(|entry| entry == wanted)
            })
        })
        .collect()
}

/// Says whether a process exists and has not ended; one that nobody has waited for has.
pub(crate) fn is_alive(pid: i32) -> bool {
    process(pid).is_some_and(|process| !matches!(process.state, 'Z' | 'X'))
}

/// Sends a signal; a process that is not there is fine.
pub(crate) fn signal(pid: i32, signal: Signal) -> nix::Result<()> {
    match kill(Pid::from_raw(pid), signal) {
        Err(Errno::ESRCH) => Ok(()),
        other => other,
    }
}

/// Takes signals that would end this process, or that tell of children, from a
/// descriptor instead.
pub(crate) fn block_signals() -> Result<SignalFd, LocalError> {
    let mut mask = SigSet::empty();
    for signal in [
        Signal::SIGCHLD,
        Signal::SIGHUP,
        Signal::SIGINT,
        Signal::SIGQUIT,
        Signal::SIGTERM,
    ] {
        mask.add(signal);
    }
    mask.thread_block()
        .and_then(|()| SignalFd::with_flags(&mask, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC))
        .map_err(LocalError::system("listen for signals"))
}

/// Waits until something holds, but not for ever. Returns whether it does.
pub(crate) fn wait_until(patience: Duration, mut holds: impl FnMut() -> bool) -> bool {
    let started_at = Instant::now();
    loop {
        if holds() {
            return true;
        }
        if started_at.elapsed() >= patience {
            return false;
        }
        sleep(ENDING_INTERVAL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_found() {
        let own = i32::try_from(std::process::id()).expect("pids are small");
        let read = process(own).expect("it runs");
        assert!(matches!(read.state, 'R' | 'S'));
        assert!(is_alive(own));
        let tree = tree(read.parent);
        assert!(tree.iter().any(|(pid, _)| *pid == own), "{tree:?}");
        let all = children_of_all();
        let listed = all.get(&read.parent).expect("this process is a child");
        assert!(listed.contains(&own), "{listed:?}");
        assert!(process(i32::MAX).is_none());
    }
}
