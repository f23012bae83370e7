//! Whether an engine for containers can run on this machine.

use super::{is_there, succeeds};

/// What a machine needs to start an engine, in the order in which it is worth saying.
const NEEDS: [(&[&str], &str); 4] = [
    (
        &["sh", "-c", "test \"$(id -u)\" = 0"],
        "none answers, and to start one needs root",
    ),
    (
        &["sh", "-c", "PATH=\"$PATH:/usr/sbin\"; dockerd --version"],
        "the package docker.io is not installed",
    ),
    (
        &["unshare", "--mount", "--net", "--pid", "--fork", "true"],
        "namespaces are not allowed",
    ),
    (
        &[
            "sh",
            "-c",
            "PATH=\"$PATH:/usr/sbin:/sbin\"; iptables --table nat --list-rules",
        ],
        "the kernel translates no addresses (iptables, table nat)",
    ),
];

/// Where control groups of the two versions are.
const CONTROL_GROUPS: [&str; 2] = ["/sys/fs/cgroup/cgroup.controllers", "/sys/fs/cgroup/memory"];

/// Says whether an engine answers already.
pub(crate) fn answers() -> bool {
    succeeds(&["docker", "version", "--format", "{{.Server.Version}}"])
}

/// Returns why no engine can run here, if that is so.
pub(super) fn obstacle() -> Option<&'static str> {
    if answers() {
        return None;
    }
    let missing = NEEDS.iter().find(|(probe, _)| !succeeds(probe));
    missing.map(|(_, reason)| *reason).or_else(|| {
        (!is_there(&CONTROL_GROUPS)).then_some("no control groups are mounted on /sys/fs/cgroup")
    })
}
