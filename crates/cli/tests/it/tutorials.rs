//! The tutorials of another orchestrator, on this very machine.
//!
//! They are not part of the repository; where they are absent, nothing is tried.

#![expect(clippy::print_stderr, reason = "tests say why they are skipped")]

use std::path::{Path, PathBuf};

use crate::local::Machine;
use crate::traces::Traces;

/// Returns the folder of a tutorial, if it is there.
fn tutorial(name: &str) -> Option<PathBuf> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus/occopus");
    let folder = corpus.join(name);
    if folder.is_dir() {
        return Some(folder);
    }
    eprintln!("skipped: the tutorial `{name}` is not here");
    None
}

/// A file that a node's instance has in the end, and what it holds.
struct Written {
    node: &'static str,
    path: &'static str,
    content: &'static str,
}

const GREETING: &str = "Hello World! I have been created by Occopus";

/// Brings a tutorial up, looks at the files, and takes it down.
fn comes_up(machine: &Machine, name: &str, written: &[Written]) {
    let Some(folder) = tutorial(name) else {
        return;
    };
    let file = folder.join(format!("infra-{name}.yaml"));
    let file = file.display().to_string();
    let infrastructure = up(machine, &file);
    let traces = Traces::of(machine, &infrastructure);
    for Written {
        node,
        path,
        content,
    } in written
    {
        let read = machine.ok(&["exec", &infrastructure, node, "--", "cat", path]);
        assert!(
            read.stdout.contains(content),
            "{name}: `{path}` of `{node}`:\n{}",
            read.stdout
        );
    }
    machine.ok(&["down", &infrastructure, "--yes", "--timeout", "60s"]);
    traces.expect_none(name);
}

/// Brings a descriptor up on this machine; returns the infrastructure's id.
#[track_caller]
fn up(machine: &Machine, file: &str) -> String {
    machine.ok(&["up", file, "--on", "local", "--yes", "--timeout", "120s"]);
    let status = machine.ok(&["status", file, "--output", "json"]).json();
    let id = status["infrastructure"].as_str();
    id.expect("an infrastructure has an id").to_owned()
}

#[test]
fn the_ping_tutorials_come_up() {
    let Some(machine) = Machine::new() else {
        return;
    };
    // Instances have the machine's programs.
    let has_ping = ["/bin/ping", "/usr/bin/ping"].map(Path::new);
    let has_ping = has_ping.iter().any(|path| path.exists());
    let result = if has_ping {
        "5 packets transmitted, 5 received, 0% packet loss"
    } else {
        eprintln!("skipped: what `ping` says, as this machine has none");
        "ping: not found"
    };
    for name in ["ec2-ping", "cloudsigma-ping"] {
        let written = [
            Written {
                node: "ping-receiver",
                path: "/tmp/message.txt",
                content: "Hello World! I am the receiver node created by Occopus.\n",
            },
            Written {
                node: "ping-sender",
                path: "/tmp/message.txt",
                content: "Hello World! I am the sender node created by Occopus.\n",
            },
            Written {
                node: "ping-sender",
                path: "/tmp/ping-result.txt",
                content: result,
            },
        ];
        comes_up(&machine, name, &written);
    }
}

#[test]
fn the_helloworld_tutorials_come_up() {
    let Some(machine) = Machine::new() else {
        return;
    };
    for name in [
        "ec2-helloworld",
        "nova-helloworld",
        "cloudsigma-helloworld",
        "cloudbroker-helloworld",
        "azure-helloworld",
    ] {
        let written = [Written {
            node: "helloworld",
            path: "/tmp/helloworld.txt",
            content: GREETING,
        }];
        comes_up(&machine, name, &written);
    }
}

/// A container's command runs on this machine's files.
#[test]
fn the_container_tutorial_comes_up() {
    let Some(machine) = Machine::new() else {
        return;
    };
    let written = [Written {
        node: "helloworld",
        path: "/tmp/message.txt",
        content: GREETING,
    }];
    comes_up(&machine, "azure-aci-helloworld", &written);
}

/// Without their images, the commands of these are not there; that is told.
#[test]
fn tutorials_with_images_of_their_own_say_what_is_missing() {
    let Some(machine) = Machine::new() else {
        return;
    };
    for (name, node) in [
        ("docker-helloworld", "helloworld"),
        ("docker-ping", "ping-sender"),
    ] {
        let Some(folder) = tutorial(name) else {
            continue;
        };
        let file = folder.join(format!("infra-{name}.yaml"));
        let infrastructure = up(&machine, &file.display().to_string());
        let traces = Traces::of(&machine, &infrastructure);
        let log = machine.ok(&["logs", &infrastructure, node]).stdout;
        for words in [
            "/root/start.sh",
            "ended with exit code 127",
            "have no image",
        ] {
            assert!(log.contains(words), "{name}: no `{words}` in:\n{log}");
        }
        machine.ok(&["down", &infrastructure, "--yes", "--timeout", "60s"]);
        traces.expect_none(name);
    }
}
