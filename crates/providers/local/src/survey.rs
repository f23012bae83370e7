//! What this machine can offer to instances, measured without side effects.

use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::Stdio;

use nix::unistd::geteuid;
use serde::Serialize;

use crate::inside::{confine, role, trial};
use crate::{Isolation, limits};

/// How well the machine serves in one respect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// All that instances can use.
    Good,
    /// Instances run, with less.
    Limited,
    /// Not there.
    Missing,
}

/// What the machine offers in one respect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fact {
    /// The respect: `control groups`, `user namespaces`.
    pub name: &'static str,
    /// How well it serves.
    pub standing: Standing,
    /// What was found, in one line.
    pub detail: String,
    /// The command that would give more, or what a person has to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

/// What the machine offers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Survey {
    /// The best isolation that instances get; none if they cannot run at all.
    pub isolation: Option<Isolation>,
    /// The facts behind it.
    pub facts: Vec<Fact>,
}

/// Free space below which installing packages is likely to fail, in bytes.
const SPACE_BYTES_MIN: u64 = 1024 * 1024 * 1024;

/// The longest answer of a trial that is read.
const ANSWER_BYTES_MAX: u64 = 4096;

/// Finds out what the machine can offer to instances whose files are below `directory`.
pub fn survey(directory: &Path) -> Survey {
    let (isolation, refusals) = best(Path::new(crate::inside::SELF), directory, None);
    let facts = vec![
        isolation_fact(isolation, &refusals),
        limits_fact(isolation),
        landlock_fact(isolation),
        packages_fact(isolation),
        space_fact(directory),
    ];
    Survey { isolation, facts }
}

/// Returns the best isolation that a trial got, and why each better one was refused.
pub(crate) fn best(
    executable: &Path,
    directory: &Path,
    most: Option<Isolation>,
) -> (Option<Isolation>, Vec<(Isolation, String)>) {
    let mut refusals = Vec::new();
    for isolation in Isolation::ALL.into_iter().rev() {
        if let Some(most) = most.filter(|most| isolation > *most) {
            refusals.push((isolation, format!("at most `{most}` is wanted")));
            continue;
        }
        match attempt(executable, directory, isolation) {
            Ok(()) => return (Some(isolation), refusals),
            Err(reason) => refusals.push((isolation, reason)),
        }
    }
    (None, refusals)
}

fn attempt(executable: &Path, directory: &Path, isolation: Isolation) -> Result<(), String> {
    match isolation {
        Isolation::Namespaces if !geteuid().is_root() => {
            return Err("only root gets it".to_owned());
        }
        Isolation::Plain => {
            return if confine::has_landlock() {
                Ok(())
            } else {
                Err(
                    "the kernel has no Landlock, which keeps processes to their directory"
                        .to_owned(),
                )
            };
        }
        _ => {}
    }
    // Namespaces are tried in a process of their own: this one has threads, and would stay in them.
    let child = role(executable, "try")
        .arg(isolation.name())
        .arg(directory)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let mut child = child.map_err(|error| format!("cannot try it: {error}"))?;
    let mut answer = String::new();
    if let Some(output) = child.stdout.take() {
        let _ = output.take(ANSWER_BYTES_MAX).read_to_string(&mut answer);
    }
    let _ = child.wait();
    if answer.trim() == trial::SUCCESS {
        Ok(())
    } else if answer.trim().is_empty() {
        Err("the trial ended without an answer".to_owned())
    } else {
        Err(answer.trim().to_owned())
    }
}

fn isolation_fact(isolation: Option<Isolation>, refusals: &[(Isolation, String)]) -> Fact {
    let why = refusals
        .iter()
        .map(|(isolation, reason)| format!("not `{isolation}`: {reason}"))
        .collect::<Vec<_>>()
        .join("; ");
    let with_why = |text: String| {
        if why.is_empty() {
            text
        } else {
            format!("{text} ({why})")
        }
    };
    match isolation {
        Some(Isolation::Namespaces) => Fact {
            name: "isolation",
            standing: Standing::Good,
            detail: "`namespaces`: instances have their own root, processes, network and names"
                .to_owned(),
            remedy: None,
        },
        Some(Isolation::UserNamespaces) => Fact {
            name: "isolation",
            standing: Standing::Good,
            detail: with_why("`user-namespaces`: own root, processes, network and names, as an ordinary user; some system packages cannot be changed inside".to_owned()),
            remedy: Some("sudo zenekar …".to_owned()),
        },
        Some(Isolation::Plain) => Fact {
            name: "isolation",
            standing: Standing::Limited,
            detail: with_why("`plain`: a directory and an address of 127.0.0.0/8 each; no packages, no accounts, no names".to_owned()),
            remedy: Some(namespace_remedy()),
        },
        None => Fact {
            name: "isolation",
            standing: Standing::Missing,
            detail: with_why("instances cannot be kept apart from the machine".to_owned()),
            remedy: Some(namespace_remedy()),
        },
    }
}

/// Returns the command that lets ordinary users make namespaces.
fn namespace_remedy() -> String {
    let is_zero = |path: &str| fs::read_to_string(path).is_ok_and(|text| text.trim() == "0");
    let is_one = |path: &str| fs::read_to_string(path).is_ok_and(|text| text.trim() == "1");
    if is_zero("/proc/sys/user/max_user_namespaces") {
        "sudo sysctl user.max_user_namespaces=15000".to_owned()
    } else if is_zero("/proc/sys/kernel/unprivileged_userns_clone") {
        "sudo sysctl kernel.unprivileged_userns_clone=1".to_owned()
    } else if is_one("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") {
        "sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0".to_owned()
    } else if geteuid().is_root() {
        "run outside the container, or give it the capability SYS_ADMIN".to_owned()
    } else {
        "sudo zenekar …".to_owned()
    }
}

fn limits_fact(isolation: Option<Isolation>) -> Fact {
    let fact = |standing, detail, remedy: Option<&str>| Fact {
        name: "limits",
        standing,
        detail,
        remedy: remedy.map(str::to_owned),
    };
    match (limits::are_writable(), isolation) {
        (Ok(version), Some(Isolation::Namespaces)) => fact(
            Standing::Good,
            format!("memory and cores are bounded by control groups ({version})"),
            None,
        ),
        (Ok(version), _) => fact(
            Standing::Limited,
            format!("control groups ({version}) are for root's instances only"),
            Some("sudo zenekar …"),
        ),
        (Err(reason), _) => fact(
            Standing::Limited,
            format!("`cores` and `memory_mb` are not enforced: {reason}"),
            Some(if geteuid().is_root() {
                "mount -o remount,rw /sys/fs/cgroup"
            } else {
                "sudo zenekar …"
            }),
        ),
    }
}

fn landlock_fact(isolation: Option<Isolation>) -> Fact {
    let has = confine::has_landlock();
    Fact {
        name: "landlock",
        standing: match (has, isolation) {
            (true, _) => Standing::Good,
            (false, Some(Isolation::Namespaces | Isolation::UserNamespaces)) => Standing::Limited,
            (false, _) => Standing::Missing,
        },
        detail: if has {
            "isolation `plain` keeps processes to their directory".to_owned()
        } else {
            "isolation `plain` is not available: the kernel has no Landlock".to_owned()
        },
        remedy: (!has)
            .then(|| "a kernel from 5.13 on, with `landlock` in its boot option `lsm`".to_owned()),
    }
}

fn packages_fact(isolation: Option<Isolation>) -> Fact {
    let has_apt = Path::new("/usr/bin/apt-get").exists();
    let (standing, detail, remedy) = match isolation {
        Some(Isolation::Namespaces) if has_apt => (
            Standing::Good,
            "`packages` are installed with apt, inside only",
            None,
        ),
        Some(Isolation::UserNamespaces) if has_apt => (
            Standing::Limited,
            "`packages` are installed with apt where they need no other users and replace no file of the machine",
            Some("sudo zenekar …"),
        ),
        Some(Isolation::Plain) => (
            Standing::Missing,
            "`packages` cannot be installed with isolation `plain`",
            Some("sudo zenekar …"),
        ),
        _ => (
            Standing::Missing,
            "`packages` need apt, which this machine does not have",
            None,
        ),
    };
    Fact {
        name: "packages",
        standing,
        detail: detail.to_owned(),
        remedy: remedy.map(str::to_owned),
    }
}

fn space_fact(directory: &Path) -> Fact {
    let existing = directory.ancestors().find(|path| path.is_dir());
    let free = existing
        .and_then(|path| rustix::fs::statvfs(path).ok())
        .map(|space| space.f_bavail.saturating_mul(space.f_frsize));
    let shown = directory.display();
    match free {
        Some(bytes) if bytes >= SPACE_BYTES_MIN => Fact {
            name: "disk space",
            standing: Standing::Good,
            detail: format!("{} MB free for `{shown}`", bytes >> 20),
            remedy: None,
        },
        Some(bytes) => Fact {
            name: "disk space",
            standing: Standing::Limited,
            detail: format!("only {} MB free for `{shown}`", bytes >> 20),
            remedy: Some("zenekar --state-dir DIRECTORY …".to_owned()),
        },
        None => Fact {
            name: "disk space",
            standing: Standing::Limited,
            detail: format!("cannot tell how much is free for `{shown}`"),
            remedy: None,
        },
    }
}
