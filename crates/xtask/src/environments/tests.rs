//! Tests with scripts of their own in place of the clouds'.

use std::os::unix::fs::PermissionsExt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::*;

/// One test at a time: a child that another test has just forked may still hold
/// a script open for writing, and then it cannot be run.
static ALONE: Mutex<()> = Mutex::new(());

/// A workspace with scripts, and nothing else in it.
struct Workspace(
    PathBuf,
    #[expect(dead_code, reason = "held, not read")] MutexGuard<'static, ()>,
);

impl Workspace {
    fn new(name: &str, up: &str, down: &str) -> Self {
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let root = std::env::temp_dir().join(format!(
            "zenekar-environments-{}-{name}",
            std::process::id()
        ));
        let scripts = root.join("tests/env/openstack");
        fs::create_dir_all(&scripts).unwrap();
        for (name, text) in [("up", up), ("down", down)] {
            let path = scripts.join(name);
            fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        Self(root, alone)
    }

    /// Returns environments that think they have an engine.
    fn environments(&self) -> Environments {
        let mut environments = Environments::new(self.0.clone());
        environments.has_engine = true;
        // Not where the real ones are.
        environments.kept = self.0.join("kept");
        environments
    }

    fn has(&self, file: &str) -> bool {
        self.0.join(file).exists()
    }
}

impl Drop for Workspace {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Writes a file into the workspace: scripts know where they are.
const MARK: &str = "touch \"$(dirname \"$0\")/../../../";

#[test]
fn tests_are_told_what_up_prints_and_down_runs_at_the_end() {
    let down = format!("test -d \"$ZENEKAR_ENV_FOLDER\" && {MARK}gone\"");
    let space = Workspace::new("told", "echo about to >&2; echo ZENEKAR_X=a=b", &down);
    let mut environments = space.environments();
    assert!(matches!(environments.start(OPENSTACK), Ok(Start::Ready)));
    let mut command = Command::new("true");
    environments.tell(&mut command);
    let told: Vec<_> = command.get_envs().collect();
    assert_eq!(told, [("ZENEKAR_X".as_ref(), Some("a=b".as_ref()))]);
    assert!(!space.has("gone"));
    assert!(environments.stop().is_empty());
    assert!(space.has("gone"));
}

#[test]
fn what_does_not_start_is_removed_too() {
    let space = Workspace::new("fails", "exit 3", &format!("{MARK}gone\""));
    let mut environments = space.environments();
    let error = environments.start(OPENSTACK).unwrap_err().to_string();
    assert!(
        error.starts_with(
            "environment `openstack` did not start: `tests/env/openstack/up` ended with exit status: 3"
        ),
        "{error}"
    );
    drop(environments);
    assert!(space.has("gone"));
}

#[test]
fn a_machine_that_cannot_have_it_fails_nothing() {
    let space = Workspace::new("skips", "exit 77", "true");
    let mut environments = space.environments();
    assert!(matches!(environments.start(OPENSTACK), Ok(Start::Skipped)));
    let mut without = Environments::new(space.0.clone());
    assert!(matches!(without.start(OPENSTACK), Ok(Start::Skipped)));
}

#[test]
fn what_does_not_go_is_named() {
    let space = Workspace::new("stays", "true", "exit 5");
    let mut environments = space.environments();
    environments.start(OPENSTACK).unwrap();
    let failed = environments.stop();
    let [("openstack", Err(error))] = failed.as_slice() else {
        panic!("{failed:?}");
    };
    assert!(error.to_string().contains("exit status: 5"), "{error}");
}

#[test]
fn scripts_of_the_repository_can_be_run() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2);
    let scripts = root.unwrap().join("tests/env");
    for environment in [DOCKER, EC2, OPENSTACK] {
        for name in ["up", "down"] {
            let path = scripts.join(environment.name).join(name);
            let Ok(metadata) = fs::metadata(&path) else {
                continue;
            };
            let mode = metadata.permissions().mode();
            assert!(mode & 0o111 != 0, "{} is not executable", path.display());
        }
    }
}

#[test]
fn only_variables_are_read() {
    let read = |text: &str| variables::parse(text).map_err(|error| error.to_string());
    assert_eq!(read("\n"), Ok(Vec::new()));
    assert_eq!(
        read("ready now\n"),
        Err("`ready now` has not the form `NAME=value`".to_owned())
    );
    assert!(read("path=x").is_err());
    assert!(read(&"A=b\n".repeat(20_000)).is_err());
}

#[test]
fn a_program_that_is_killed_leaves_no_environment() {
    let space = Workspace::new("killed", "true", &format!("{MARK}gone\""));
    let down = space.0.join("tests/env/openstack/down");
    let guardian = Guardian::start("openstack", &down, &[]).unwrap();
    // All that is left of a killed program: its files are closed.
    drop(guardian);
    let deadline = Instant::now() + Duration::from_secs(20);
    while !space.has("gone") {
        assert!(Instant::now() < deadline, "`down` did not run");
        std::thread::sleep(POLL);
    }
}
