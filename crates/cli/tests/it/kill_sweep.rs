//! Kills the command wherever it can die, and looks at what is left.
//!
//! The simulated cloud's own books are the truth: after the command was run
//! again to its end, they hold exactly what is wanted. `ZENEKAR_TEST_BUDGET=full`
//! or `=deep` tries every boundary and 200 random moments; otherwise fewer.

use std::fmt::Write as _;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::sandbox::{Run, Sandbox, run};

/// Every so many boundaries are tried on the quick budget.
const QUICK_STRIDE: u64 = 7;
/// Kills at random moments on the quick budget.
const QUICK_KILLS: u32 = 20;
/// Kills at random moments on the full budget.
const FULL_KILLS: u32 = 200;
/// More boundaries than any of the commands has.
const BOUNDARIES_MAX: u64 = 5_000;

const JUMP: [&str; 2] = ["--pace", "jump"];

/// Says whether everything is to be tried.
pub(crate) fn is_full() -> bool {
    std::env::var_os("ZENEKAR_TEST_BUDGET")
        .is_some_and(|budget| budget == "full" || budget == "deep")
}

/// Says whether there is time for everything, again and again.
pub(crate) fn is_deep() -> bool {
    std::env::var_os("ZENEKAR_TEST_BUDGET").is_some_and(|budget| budget == "deep")
}

/// Six instances in four levels that read each other's addresses.
fn describe(sandbox: &Sandbox) {
    let mut text = "infra_name: swept\nuser_id: somebody\nnodes:\n".to_owned();
    for (name, scaling) in [
        ("db", "{min: 1, max: 1}"),
        ("cache", "{min: 1, max: 1}"),
        ("app", "{min: 2, max: 6}"),
        ("lb", "{min: 1, max: 1}"),
        ("job", "{min: 1, max: 3}"),
    ] {
        let _ = writeln!(
            text,
            "  - &{name} {{name: {name}, type: {name}, scaling: {scaling}}}"
        );
    }
    text.push_str("dependencies:\n");
    for (from, to) in [
        ("app", "db"),
        ("app", "cache"),
        ("lb", "app"),
        ("job", "db"),
    ] {
        let _ = writeln!(text, "  - connection: [*{from}, *{to}]");
    }
    for (name, reads) in [
        ("db", ""),
        ("cache", ""),
        ("app", "db"),
        ("lb", "app"),
        ("job", "db"),
    ] {
        let command = if reads.is_empty() {
            "echo ready".to_owned()
        } else {
            format!("connect {{{{getip('{reads}')}}}}")
        };
        let _ = writeln!(
            text,
            "'node_def:{name}':\n  - resource: {{type: sim, create_ms: [20, 60], boot_ms: [500, 1500], contextualise_ms: [200, 900]}}\n    contextualisation:\n      type: cloudinit\n      context_template: |\n        #cloud-config\n        runcmd: [\"{command}\"]"
        );
    }
    sandbox.write("swept.yaml", &text);
}

const UP: [&str; 3] = ["up", "swept.yaml", "--yes"];
const DOWN: [&str; 3] = ["down", "swept", "--yes"];

fn run_jumping(sandbox: &Sandbox, arguments: &[&str]) -> Run {
    sandbox.run(&[arguments, &JUMP].concat())
}

/// Runs a command that dies at a boundary; false if it ended before.
pub(crate) fn has_died(mut command: Command, boundary: u64) -> bool {
    command.env("ZENEKAR_TEST_CRASH_AT", boundary.to_string());
    let told = run(command);
    match told.code {
        None => true,
        Some(0) => false,
        Some(code) => panic!("exit code {code} at boundary {boundary}:\n{}", told.stderr),
    }
}

fn dies_at(sandbox: &Sandbox, arguments: &[&str], boundary: u64) -> bool {
    has_died(sandbox.command(&[arguments, &JUMP].concat()), boundary)
}

/// Compares what the cloud has with what is wanted.
#[track_caller]
fn verify(sandbox: &Sandbox, wanted: &[(&str, usize)], what: &str) {
    let cloud = sandbox.cloud();
    let machines = cloud["machines"].as_array().expect("a list of machines");
    assert_eq!(
        cloud["duplicates"].as_array().map(Vec::len),
        Some(0),
        "{what}: duplicates {}",
        cloud["duplicates"]
    );
    let tags: BTreeSet<&str> = machines
        .iter()
        .filter_map(|machine| machine["instance"].as_str())
        .collect();
    assert_eq!(
        tags.len(),
        machines.len(),
        "{what}: one instance has two machines"
    );
    for (node, count) in wanted {
        let prefix = format!("{node}/");
        let found = machines
            .iter()
            .filter(|machine| {
                machine["name"]
                    .as_str()
                    .is_some_and(|name| name.starts_with(&prefix))
            })
            .count();
        assert_eq!(
            found,
            *count,
            "{what}: machines of `{node}` in {}",
            sandbox.machines().join(" ")
        );
    }
    let total: usize = wanted.iter().map(|(_, count)| count).sum();
    assert_eq!(
        machines.len(),
        total,
        "{what}: {}",
        sandbox.machines().join(" ")
    );
}

const BASE: [(&str, usize); 5] = [("db", 1), ("cache", 1), ("app", 2), ("lb", 1), ("job", 1)];
const SCALED: [(&str, usize); 5] = [("db", 1), ("cache", 1), ("app", 4), ("lb", 1), ("job", 1)];

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("the sandbox can be written");
    for entry in std::fs::read_dir(from).expect("it exists") {
        let entry = entry.expect("it can be read");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).expect("the sandbox can be written");
        }
    }
}

/// Lets a command die at one boundary after the other, from the same start.
#[expect(
    clippy::print_stdout,
    reason = "whoever runs it wants to know how much was tried"
)]
fn sweep(name: &str, start: Option<&Sandbox>, arguments: &[&str], wanted: &[(&str, usize)]) {
    let stride = if is_full() { 1 } else { QUICK_STRIDE };
    let (mut boundary, mut crashes) = (1, 0);
    while boundary <= BOUNDARIES_MAX {
        let sandbox = Sandbox::new();
        describe(&sandbox);
        if let Some(start) = start {
            copy(&start.state(), &sandbox.state());
        }
        let what = format!("`{name}` killed at boundary {boundary}");
        if !dies_at(&sandbox, arguments, boundary) {
            verify(&sandbox, wanted, &what);
            break;
        }
        crashes += 1;
        let again = run_jumping(&sandbox, arguments);
        assert_eq!(
            again.code,
            Some(0),
            "{what}, then run again:\n{}",
            again.stderr
        );
        verify(&sandbox, wanted, &what);
        if !wanted.is_empty() {
            let down = run_jumping(&sandbox, &DOWN);
            assert_eq!(
                down.code,
                Some(0),
                "{what}, then taken down:\n{}",
                down.stderr
            );
            verify(&sandbox, &[], &format!("{what}, then taken down"));
        }
        boundary += stride;
    }
    println!(
        "{name}: {crashes} kills at boundaries 1 to {boundary}, every {stride}. one; nothing leaked, duplicated or lost"
    );
}

#[test]
fn up_survives_a_kill_at_every_boundary() {
    sweep("up", None, &UP, &BASE);
}

#[test]
fn scale_survives_a_kill_at_every_boundary() {
    let start = Sandbox::new();
    describe(&start);
    run_jumping(&start, &UP).expect(0);
    sweep(
        "scale",
        Some(&start),
        &["scale", "swept", "app=+2", "--request", "once"],
        &SCALED,
    );
}

#[test]
fn down_survives_a_kill_at_every_boundary() {
    let start = Sandbox::new();
    describe(&start);
    run_jumping(&start, &UP).expect(0);
    sweep("down", Some(&start), &DOWN, &[]);
}

/// What was taken down once is known to the store as removed; bringing it up
/// again has to undo that before anything exists.
#[test]
fn up_after_down_survives_a_kill_at_every_boundary() {
    let start = Sandbox::new();
    describe(&start);
    run_jumping(&start, &UP).expect(0);
    run_jumping(&start, &DOWN).expect(0);
    sweep("up after down", Some(&start), &UP, &BASE);
}

/// Kills with SIGKILL at moments that nobody chose.
#[expect(
    clippy::print_stdout,
    reason = "whoever runs it wants to know how much was tried"
)]
fn kill_at_random(profile: &str, kills_wanted: u32) {
    let sandbox = Sandbox::new();
    describe(&sandbox);
    sandbox.ok(&["sim", "profile", profile, "--seed", "5"]);
    let mut random: u64 = 20_231;
    let mut draw = |bound: u64| {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % bound
    };
    // The wanted number of `app` instances, if the infrastructure is to be up.
    let mut app: Option<usize> = None;
    let (mut kills, mut ended, mut rounds) = (0, 0, 0);
    while kills < kills_wanted {
        rounds += 1;
        assert!(rounds < kills_wanted * 20, "it ends too soon to be killed");
        let count = usize::try_from(2 + draw(5)).expect("it is below 7");
        let scale = format!("app={count}");
        let scale = ["scale", "swept", &scale];
        let (arguments, next): (&[&str], Option<usize>) = match (app, draw(10)) {
            (None, _) => (&UP, Some(2)),
            (Some(now), 0..=1) => (&UP, Some(now)),
            (Some(_), 2..=4) => (&DOWN, None),
            (Some(_), _) => (&scale, Some(count)),
        };
        let mut child = sandbox
            .command(&[arguments, &["--pace", "30"]].concat())
            .spawn()
            .expect("the binary was built");
        // This wait is the moment of the kill, not a wait for something.
        std::thread::sleep(Duration::from_millis(draw(220)));
        if child.try_wait().expect("it is our child").is_some() {
            ended += 1;
        } else {
            child.kill().expect("it is our child");
            kills += 1;
        }
        let told = child.wait_with_output().expect("it is our child");
        let what = format!("round {rounds}, kill {kills}, `{}`", arguments.join(" "));
        assert!(
            !String::from_utf8_lossy(&told.stderr).contains("panicked"),
            "{what}"
        );
        // Some kills hit a state that was not cleaned up after the last one.
        if draw(4) == 0 && next == app {
            continue;
        }
        let again = run_jumping(&sandbox, arguments);
        assert_eq!(
            again.code,
            Some(0),
            "{what}, then run again:\n{}",
            again.stderr
        );
        app = next;
        match app {
            Some(count) => verify(
                &sandbox,
                &[
                    ("db", 1),
                    ("cache", 1),
                    ("app", count),
                    ("lb", 1),
                    ("job", 1),
                ],
                &what,
            ),
            None => verify(&sandbox, &[], &what),
        }
    }
    println!(
        "{profile}: {kills} kills at random moments, {ended} runs that ended before; nothing leaked, duplicated or lost"
    );
}

#[test]
fn random_kills_leave_nothing_behind() {
    kill_at_random("calm", if is_full() { FULL_KILLS } else { QUICK_KILLS });
}

/// The same on a cloud that throttles, times out, lags and loses machines.
#[test]
fn random_kills_on_a_difficult_cloud_leave_nothing_behind() {
    kill_at_random(
        "typical",
        if is_full() {
            FULL_KILLS / 2
        } else {
            QUICK_KILLS / 2
        },
    );
}
