//! Processes that end at a boundary between two steps, by the test hook.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use zenekar_engine::Input;
use zenekar_runtime::Outcome;
use zenekar_simcloud::Settings;

use crate::world::{World, block_on, scale, three_tiers};

/// The environment of a child says in which world it lives, and what it does.
const DIRECTORY: &str = "ZENEKAR_TEST_WORLD";
const COMMAND: &str = "ZENEKAR_TEST_COMMAND";

/// Every so manieth boundary is tried; the test of the command line tries all.
const STRIDE: usize = 7;

/// The body of the child processes; does nothing as a test of its own.
#[test]
fn child() {
    let Some(directory) = std::env::var_os(DIRECTORY) else {
        return;
    };
    let world = World::of_another(PathBuf::from(directory));
    let input = match std::env::var(COMMAND).as_deref() {
        Ok("up") => Input::Intent(three_tiers()),
        Ok("scale") => scale("r1", "application", 5),
        _ => Input::Teardown,
    };
    assert_eq!(
        block_on(world.run(vec![input])).unwrap(),
        Outcome::Converged
    );
}

/// Runs a command in a process of its own; says whether it came to its end.
fn run_child(world: &World, command: &str, crash_at: usize) -> bool {
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "crashes::child"])
        .env(DIRECTORY, world.path())
        .env(COMMAND, command)
        .env("ZENEKAR_TEST_CRASH_AT", crash_at.to_string())
        .env("ZENEKAR_TEST_CRASH_LOG", world.path().join("boundaries"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    status.success()
}

/// Crashes a command at every boundary within the stride, and each time
/// finishes it by the same command.
fn sweep(prepare: &[&str], command: &str, machines: usize) -> usize {
    let mut crashes = 0;
    for crash_at in (1..).step_by(STRIDE) {
        let world = World::with_settings(Settings {
            seed: crash_at as u64,
            ..Settings::typical()
        });
        for earlier in prepare {
            assert!(run_child(&world, earlier, usize::MAX));
        }
        if run_child(&world, command, crash_at) {
            let passed: usize = fs::read_to_string(world.path().join("boundaries"))
                .unwrap()
                .parse()
                .unwrap();
            assert!(passed < crash_at, "{passed} boundaries, none at {crash_at}");
            return crashes;
        }
        crashes += 1;
        assert!(
            run_child(&world, command, usize::MAX),
            "{command} after {crash_at}"
        );
        let found = world.machines();
        assert_eq!(
            found.len(),
            machines,
            "{command}, crash at {crash_at}: {found:?}"
        );
        let mut tags: Vec<_> = world
            .ledger()
            .into_iter()
            .map(|entry| entry.instance)
            .collect();
        tags.sort();
        tags.dedup();
        assert_eq!(tags.len(), machines, "no instance has two machines");
    }
    crashes
}

#[test]
fn nothing_is_leaked_or_duplicated_when_up_crashes() {
    assert!(sweep(&[], "up", 4) >= 5);
}

#[test]
fn nothing_is_leaked_or_duplicated_when_scale_crashes() {
    assert!(sweep(&["up"], "scale", 7) >= 3);
}

#[test]
fn nothing_is_left_when_down_crashes() {
    assert!(sweep(&["up"], "down", 0) >= 3);
}
