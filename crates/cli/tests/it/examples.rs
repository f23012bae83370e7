//! The examples of the repository: they are valid, and what their `smoke`
//! answers is what stands in their `expected.txt`.

#![expect(clippy::print_stderr, reason = "tests say why they are skipped")]

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::local::{Machine, NOBODY};
use crate::sandbox::{Run, Sandbox, run};

/// Where programs are on every machine; the examples look nowhere else.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// After this time a smoke test has failed. Each takes less than a minute on
/// two idle cores; packages are downloaded meanwhile.
const DEADLINE: &str = "10m";

/// The same for Spark, which downloads and unpacks several hundred megabytes.
const DEADLINE_SPARK: &str = "30m";

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples")
}

/// Returns the names of all examples, sorted.
fn names() -> Vec<String> {
    let entries = fs::read_dir(examples()).expect("the repository has examples");
    let mut names: Vec<String> = entries
        .flatten()
        .filter(|entry| entry.path().join("infrastructure.yaml").is_file())
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort();
    names
}

/// Copies an example to where the machine's user may read it.
fn copy(machine: &Machine, name: &str) -> PathBuf {
    let target = machine.sandbox.path("examples").join(name);
    copy_tree(&examples().join(name), &target);
    target
}

fn copy_tree(source: &Path, target: &Path) {
    fs::create_dir_all(target).expect("the sandbox can be written");
    fs::set_permissions(target, fs::Permissions::from_mode(0o755)).expect("it is ours");
    for entry in fs::read_dir(source).expect("it is in the repository") {
        let entry = entry.expect("it is in the repository");
        let path = target.join(entry.file_name());
        if entry.file_type().expect("it has a type").is_dir() {
            copy_tree(&entry.path(), &path);
        } else {
            fs::copy(entry.path(), &path).expect("the sandbox can be written");
        }
        // Only root can give files away; for everybody else they are right already.
        let _ = chown(&path, Some(NOBODY), Some(NOBODY));
    }
}

/// Runs an example's smoke test, and compares what it says with what is expected.
fn smoke(machine: &Machine, name: &str, deadline: &str) -> Run {
    smoke_within(machine, name, deadline, None)
}

/// The same with no more than some isolation.
fn smoke_within(machine: &Machine, name: &str, deadline: &str, most: Option<&str>) -> Run {
    let folder = copy(machine, name);
    let zenekar = machine.command(&[]);
    let script = folder.join("smoke").display().to_string();
    let mut command: Command =
        machine.as_user("timeout", &["--kill-after=30s", deadline, "sh", &script]);
    command
        .env("PATH", PATH)
        .env("ZENEKAR", zenekar.get_program());
    if let Some(most) = most {
        command.env("ZENEKAR_ISOLATION_MAX", most);
    }
    let answer = run(command).expect(0);
    let expected = fs::read_to_string(folder.join("expected.txt")).expect("it is committed");
    assert_eq!(answer.stdout, expected, "{}", answer.stderr);
    answer
}

/// Says whether Python is there, which the examples need where they cannot install it.
fn has_python() -> bool {
    let found = PATH
        .split(':')
        .any(|folder| Path::new(folder).join("python3").is_file());
    if !found {
        eprintln!("skipped: there is no `python3` on this machine");
    }
    found
}

fn is_full_budget() -> bool {
    crate::kill_sweep::is_full()
}

/// Says whether somebody learns from the answer who did the balancing.
fn tells_who_balanced(answer: &Run) {
    let is_real = answer.stderr.contains("balancer haproxy");
    let is_confessed = answer.stderr.contains("FALLBACK");
    assert!(is_real || is_confessed, "{}", answer.stderr);
    eprintln!(
        "web-tier ran with {}",
        if is_confessed {
            "stand-ins"
        } else {
            "HAProxy and Redis"
        }
    );
}

#[test]
fn every_example_comes_up_on_the_simulated_cloud() {
    let names = names();
    assert!(names.len() >= 4, "{names:?}");
    for name in names {
        let sandbox = Sandbox::new();
        let file = examples().join(&name).join("infrastructure.yaml");
        let file = file.display().to_string();
        sandbox.ok(&["validate", &file]);
        sandbox.ok(&["up", &file, "--on", "sim", "--yes", "--pace", "jump"]);
        sandbox.ok(&["down", &name, "--yes", "--pace", "jump"]);
    }
}

#[test]
fn hello_greets() {
    if let Some(machine) = Machine::new() {
        smoke(&machine, "hello", DEADLINE);
    }
}

#[test]
fn hello_greets_an_ordinary_user() {
    if let Some(machine) = Machine::of_ordinary_user() {
        smoke(&machine, "hello", DEADLINE);
    }
}

#[test]
fn the_web_tier_loses_no_request() {
    if let Some(machine) = Machine::new().filter(|_| has_python()) {
        tells_who_balanced(&smoke(&machine, "web-tier", DEADLINE));
    }
}

#[test]
fn the_web_tier_of_an_ordinary_user_loses_no_request() {
    if let Some(machine) = Machine::of_ordinary_user().filter(|_| has_python()) {
        tells_who_balanced(&smoke(&machine, "web-tier", DEADLINE));
    }
}

#[test]
fn stand_ins_do_where_nothing_can_be_installed() {
    let Some(machine) = Machine::of_ordinary_user().filter(|_| has_python()) else {
        return;
    };
    let most = Some("plain");
    smoke_within(&machine, "hello", DEADLINE, most);
    if is_full_budget() {
        tells_who_balanced(&smoke_within(&machine, "web-tier", DEADLINE, most));
    } else {
        eprintln!("skipped: the web tier of stand-ins; ZENEKAR_TEST_BUDGET=full includes it");
    }
}

#[test]
fn spark_computes_and_counts() {
    if !is_full_budget() {
        eprintln!("skipped: Spark is 400 MB to download; ZENEKAR_TEST_BUDGET=full includes it");
        return;
    }
    if let Some(machine) = Machine::new().filter(|_| has_python()) {
        smoke(&machine, "spark", DEADLINE_SPARK);
    }
}
