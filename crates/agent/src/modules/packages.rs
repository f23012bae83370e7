//! `package_update`, `package_upgrade` and `packages`, through apt.

use std::fs::OpenOptions;
use std::process::Command;
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;
use zenekar_base::Value;

use crate::limits;
use crate::session::{Ending, Session};
use crate::values::{get, kind_of, option_bool, text_of};

const MODULE: &str = "package_update_upgrade_install";
/// The files that package managers lock, in the order in which apt does.
const LOCKS: [&str; 4] = [
    "/var/lib/dpkg/lock-frontend",
    "/var/lib/dpkg/lock",
    "/var/cache/apt/archives/lock",
    "/var/lib/apt/lists/lock",
];
/// How long to wait before looking at the locks again: long against looking, short for people.
const LOCK_PAUSE: Duration = Duration::from_millis(200);
/// So many users are mapped where switching to any of them works.
const USUAL_USERS: u64 = 65_000;

/// The package manager, which brings its lists up to date once.
#[derive(Debug, Default)]
pub(super) struct Packages {
    updated: bool,
}

impl Packages {
    /// Updates, upgrades and installs.
    pub(super) fn run(&mut self, session: &mut Session<'_>, config: &[(String, Value)]) {
        let any = |keys: &[&str]| keys.iter().any(|key| option_bool(config, key, false));
        let update = any(&["apt_update", "package_update"]);
        let upgrade = any(&["package_upgrade", "apt_upgrade"]);
        let wanted = match wanted(get(config, "packages")) {
            Ok(wanted) => wanted,
            Err(message) => {
                session.note(MODULE, "packages", Ending::failed(message));
                Vec::new()
            }
        };
        if update || upgrade || !wanted.is_empty() {
            self.update(session, MODULE);
        }
        if upgrade {
            act(session, MODULE, "upgrade", &["dist-upgrade"]);
        }
        if !wanted.is_empty() {
            let mut words = vec!["install"];
            words.extend(wanted.iter().map(String::as_str));
            act(session, MODULE, &words.join(" "), &words);
        }
        let restart = any(&["apt_reboot_if_required", "package_reboot_if_required"]);
        if restart
            && (upgrade || !wanted.is_empty())
            && session.place.is_file("/var/run/reboot-required")
        {
            let message = "packages ask for a restart; the node is not restarted";
            session.note(MODULE, "restart", Ending::impossible(message));
        }
    }

    /// Brings the lists of packages up to date, unless that was done already.
    pub(super) fn update(&mut self, session: &mut Session<'_>, module: &str) {
        if !std::mem::replace(&mut self.updated, true) {
            act(session, module, "update", &["update"]);
        }
    }
}

/// Reads the list of packages; one with a version is `[name, version]`.
fn wanted(value: Option<&Value>) -> Result<Vec<String>, String> {
    let items = match value {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::List(items)) => items.as_slice(),
        Some(other) => std::slice::from_ref(other),
    };
    let mut names = Vec::new();
    for item in items {
        let name = match item {
            Value::String(name) => name.clone(),
            Value::List(pair) => match pair.as_slice() {
                [name] | [name, Value::Null] => text_of(name),
                [name, version] => format!("{}={}", text_of(name), text_of(version)),
                _ => return Err("a package is not `[name, version]`".to_owned()),
            },
            other => return Err(format!("a package is {}", kind_of(other))),
        };
        names.push(name);
    }
    Ok(names)
}

fn act(session: &mut Session<'_>, module: &str, subject: &str, words: &[&str]) -> bool {
    if !session.target.can_administer {
        let message = "packages need an own file system and root";
        session.note(module, subject, Ending::impossible(message));
        return false;
    }
    session.step(module, subject, |session| apt_get(session, words))
}

/// Runs `apt-get` as cloud-init does: it asks nothing, and keeps configuration that is there.
fn apt_get(session: &Session<'_>, words: &[&str]) -> Ending {
    if let Err(message) = wait_for_locks(session) {
        return Ending::failed(message);
    }
    let wrapped = is_program(session, "eatmydata");
    let mut command = Command::new(if wrapped { "eatmydata" } else { "apt-get" });
    if wrapped {
        command.arg("apt-get");
    }
    command.args([
        "--option=Dpkg::Options::=--force-confold",
        "--option=Dpkg::options::=--force-unsafe-io",
        "--assume-yes",
        "--quiet",
    ]);
    // Somebody may come in between looking at the locks and taking them.
    command.arg(format!(
        "--option=DPkg::Lock::Timeout={}",
        limits::PACKAGE_LOCK_WAIT_S
    ));
    if few_users(session) {
        // Where only few users exist, apt cannot become the one it downloads as.
        command.arg("--option=APT::Sandbox::User=root");
    }
    command.args(words);
    command.env("DEBIAN_FRONTEND", "noninteractive");
    session.run(&mut command)
}

fn is_program(session: &Session<'_>, name: &str) -> bool {
    ["/usr/bin", "/bin", "/usr/local/bin"]
        .iter()
        .any(|folder| session.place.is_file(&format!("{folder}/{name}")))
}

/// Says whether this user namespace has only few users.
fn few_users(session: &Session<'_>) -> bool {
    let map = session.place.read("/proc/self/uid_map").unwrap_or_default();
    let users: u64 = map
        .lines()
        .filter_map(|line| line.split_whitespace().nth(2)?.parse::<u64>().ok())
        .sum();
    users < USUAL_USERS
}

fn wait_for_locks(session: &Session<'_>) -> Result<(), String> {
    let began = Instant::now();
    while let Some(lock) = LOCKS.iter().find(|lock| is_locked(session, lock)) {
        if began.elapsed() >= Duration::from_secs(limits::PACKAGE_LOCK_WAIT_S) {
            return Err(format!(
                "another package manager kept `{lock}` for {} s",
                limits::PACKAGE_LOCK_WAIT_S
            ));
        }
        std::thread::sleep(LOCK_PAUSE);
    }
    Ok(())
}

/// Says whether somebody else holds a lock, without taking it.
fn is_locked(session: &Session<'_>, path: &str) -> bool {
    let Ok(file) = OpenOptions::new().write(true).open(session.place.of(path)) else {
        return false;
    };
    let mut lock = libc::flock {
        l_type: i16::try_from(libc::F_WRLCK).unwrap_or_default(),
        l_whence: i16::try_from(libc::SEEK_SET).unwrap_or_default(),
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    };
    fcntl(&file, FcntlArg::F_GETLK(&mut lock)).is_ok() && i32::from(lock.l_type) != libc::F_UNLCK
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_names_or_names_with_versions() {
        let read = |text: &str| {
            let value = crate::config::read("test", text.as_bytes()).unwrap().value;
            wanted(Some(&value))
        };
        assert_eq!(
            read("[haproxy, [nginx, 1.2-3], [curl]]").unwrap(),
            ["haproxy", "nginx=1.2-3", "curl"]
        );
        assert_eq!(read("haproxy").unwrap(), ["haproxy"]);
        assert!(read("[{apt: [x]}]").is_err());
        assert_eq!(wanted(None).unwrap(), Vec::<String>::new());
    }
}
