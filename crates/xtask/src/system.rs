//! What a machine needs beside Rust, and how it gets it.

use std::process::{Command, Stdio};

use crate::Failure;

/// A system package: a command that succeeds where it is installed, and its name in Debian.
struct Requirement {
    probe: &'static [&'static str],
    package: &'static str,
    reason: &'static str,
}

const REQUIREMENTS: &[Requirement] = &[
    Requirement {
        probe: &["cc", "--version"],
        package: "gcc",
        reason: "compiles SQLite and links everything",
    },
    Requirement {
        probe: &["git", "--version"],
        package: "git",
        reason: "names the commit in reports",
    },
    Requirement {
        // On a machine that boots, it would act at the next start; there its
        // comparisons are skipped unless somebody installed it.
        probe: &[
            "sh",
            "-c",
            "test -d /run/systemd/system || cloud-init --version",
        ],
        package: "cloud-init",
        reason: "is what contextualisation is compared with",
    },
    Requirement {
        probe: &["c++", "--version"],
        package: "g++",
        reason: "compiles the fuzzer",
    },
    Requirement {
        probe: &["python3", "-m", "pip", "--version"],
        package: "python3-pip",
        reason: "gets the YAML and template libraries that ours are compared with",
    },
    // The package `redis-server` would start a server on the machine; its
    // program is in the other one, under another name.
    Requirement {
        probe: &[
            "sh",
            "-c",
            "test -x /usr/bin/redis-check-rdb && redis-cli --version",
        ],
        package: "redis-tools",
        reason: "the tests of adoption read from it",
    },
    // The package `mariadb-server` would start a server on the machine.
    Requirement {
        probe: &["/usr/sbin/mariadbd", "--no-defaults", "--version"],
        package: "mariadb-server-core",
        reason: "the tests of health checks log in to it",
    },
    Requirement {
        probe: &["my_print_defaults", "--version"],
        package: "mariadb-client-core",
        reason: "makes the files of a new database",
    },
];

/// What the environments of a full run need beside that.
const REQUIREMENTS_CLOUDS: &[Requirement] = &[
    Requirement {
        // A client alone starts no engine, and an engine that answers needs
        // no program of this machine.
        probe: &[
            "sh",
            "-c",
            "PATH=\"$PATH:/usr/sbin\"; docker version || { docker --version && dockerd --version && containerd --version && runc --version; }",
        ],
        package: "docker.io",
        reason: "runs the instances of the tests of providers",
    },
    Requirement {
        probe: &[
            "sh",
            "-c",
            "PATH=\"$PATH:/usr/sbin:/sbin\"; iptables --version",
        ],
        package: "iptables",
        reason: "leads instances to their network and their metadata",
    },
    Requirement {
        probe: &["mmdebstrap", "--version"],
        package: "mmdebstrap",
        reason: "makes the images of the tests without a registry",
    },
];

/// Installs what is missing, and nothing if nothing is.
pub(crate) fn prepare() -> Result<(), Failure> {
    install(REQUIREMENTS)
}

/// Installs what the environments need; says whether all of it is there.
pub(crate) fn prepare_clouds() -> bool {
    install(REQUIREMENTS_CLOUDS).is_ok()
}

fn install(requirements: &[Requirement]) -> Result<(), Failure> {
    let missing: Vec<&Requirement> = requirements
        .iter()
        .filter(|requirement| !succeeds(requirement.probe))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    for requirement in &missing {
        eprintln!("missing: {} ({})", requirement.package, requirement.reason);
    }
    let packages: Vec<&str> = missing
        .iter()
        .map(|requirement| requirement.package)
        .collect();
    let install = [
        &["apt-get", "install", "--yes", "--no-install-recommends"],
        packages.as_slice(),
    ]
    .concat();
    let steps: [&[&str]; 2] = [&["apt-get", "update"], &install];
    for step in steps {
        if !succeeds_as_root(step) {
            eprintln!(
                "error: `{}` failed; install {} and try again",
                step.join(" "),
                packages.join(", ")
            );
            return Err(Failure::System);
        }
    }
    Ok(())
}

/// Says whether a program is there and succeeds; shows nothing of it.
pub(crate) fn succeeds(words: &[&str]) -> bool {
    let Some((program, arguments)) = words.split_first() else {
        return false;
    };
    let status = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    status.is_ok_and(|status| status.success())
}

/// Runs a command as it is, or through `sudo` where that needs no password.
fn succeeds_as_root(words: &[&str]) -> bool {
    let sudo = [&["sudo", "--non-interactive"], words].concat();
    [words, sudo.as_slice()].into_iter().any(|words| {
        let Some((program, arguments)) = words.split_first() else {
            return false;
        };
        let status = Command::new(program)
            .args(arguments)
            .env("DEBIAN_FRONTEND", "noninteractive")
            .stdin(Stdio::null())
            .status();
        status.is_ok_and(|status| status.success())
    })
}
