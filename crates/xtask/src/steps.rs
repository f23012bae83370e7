//! The steps that commands are made of.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;
use std::time::Instant;

use anyhow::{Context, Result};

use crate::environments::{self, Environment, Environments, Start};
use crate::{Budget, Failure, Options, Summary, fuzz, python, say, system};

/// The package whose tests are the rules of the house.
const TIDY_PACKAGE: &str = "zenekar-xtask";

/// The tests that need `OpenStack`, by their names; the other ones have run before
/// it starts. Of the whole workspace, since crates that are built for themselves
/// have dependencies with other features, which are built anew.
const OPENSTACK_TESTS: &[&str] = &[
    "--workspace",
    "--exclude",
    TIDY_PACKAGE,
    "--test",
    "it",
    "--",
    "openstack",
];

/// A step by name, and whether it passed.
type Step = (&'static str, Result<bool>);

/// Runs all checks, also after one has failed, and ends with the number of tests.
pub(crate) fn test(options: &Options) -> Result<(), Failure> {
    system::prepare()?;
    let budget = options.budget;
    let mut steps: Vec<Step> = vec![("fmt", format(true)), ("lint", lint())];
    let python = match python::prepare(&root()) {
        Ok(folder) => Some(folder),
        Err(error) => {
            steps.push(("python", Err(error)));
            None
        }
    };
    let mut run = Run {
        budget,
        python,
        environments: Environments::new(root()),
        summary: Summary::default(),
        steps,
    };
    run.count("tidy", &["--package", TIDY_PACKAGE]);
    if budget == Budget::Quick {
        say(
            &"quick: the Docker engine, the simulated EC2 and the OpenStack are left out, and so are the long searches over seeds, kill points and odd inputs; `cargo xtask test` has them",
        );
    } else {
        // Where something could not be installed, the start says what that means.
        system::prepare_clouds();
        for environment in [environments::DOCKER, environments::EC2] {
            run.start(environment);
        }
    }
    run.count("test", &["--workspace", "--exclude", TIDY_PACKAGE]);
    if budget != Budget::Quick {
        if run.start(environments::OPENSTACK) {
            run.count(environments::OPENSTACK.name, OPENSTACK_TESTS);
        }
        run.steps.extend(run.environments.stop());
        let seconds = match budget {
            Budget::Deep => fuzz::SECONDS_DEEP,
            Budget::Full | Budget::Quick => fuzz::SECONDS_DEFAULT,
        };
        run.steps.push(("fuzz", fuzz::run(&root(), seconds)));
    }
    let result = report(&run.steps);
    say(&run.summary);
    result
}

/// A run of all checks, so far.
struct Run {
    budget: Budget,
    python: Option<PathBuf>,
    environments: Environments,
    summary: Summary,
    steps: Vec<Step>,
}

impl Run {
    /// Starts an environment; says whether tests can use it.
    fn start(&mut self, environment: Environment) -> bool {
        match self.environments.start(environment) {
            Ok(Start::Ready) => true,
            Ok(Start::Skipped) => false,
            Err(error) => {
                self.steps.push((environment.name, Err(error)));
                false
            }
        }
    }

    /// Runs tests and counts them.
    fn count(&mut self, name: &'static str, selection: &[&str]) {
        let counted = count_tests(name, selection, |command| {
            command.env("ZENEKAR_TEST_BUDGET", self.budget.text());
            if let Some(folder) = &self.python {
                command.env(python::PATH_VARIABLE, folder);
            }
            self.environments.tell(command);
        });
        let passed = counted.map(|counted| {
            self.summary.add(counted);
            counted.failed == 0 && counted.passed > 0
        });
        self.steps.push((name, passed));
    }
}

/// Runs the fuzz targets.
pub(crate) fn fuzz(seconds: u32) -> Result<(), Failure> {
    system::prepare()?;
    report(&[("fuzz", fuzz::run(&root(), seconds))])
}

/// Says with what it runs, and runs all checks.
pub(crate) fn ci() -> Result<(), Failure> {
    for words in [
        ["rustc", "--version"],
        ["cargo", "--version"],
        ["uname", "-srm"],
        // It takes some 10 GB, and what fills up a disk is seldom named by what fails.
        ["df", "-h"],
    ] {
        // Only for the reader of the log: a missing tool fails later, where it is needed.
        let _ = Command::new(words[0])
            .arg(words[1])
            .stdin(Stdio::null())
            .status();
    }
    test(&Options::default())
}

/// Checks the rules of the house.
pub(crate) fn tidy() -> Result<(), Failure> {
    let counted = count_tests("tidy", &["--package", TIDY_PACKAGE], |_| {});
    let summary = counted.as_ref().copied().unwrap_or_default();
    let result = report(&[(
        "tidy",
        counted.map(|counted| counted.failed == 0 && counted.passed > 0),
    )]);
    say(&summary);
    result
}

/// Prints the failed steps, if there are any.
pub(crate) fn report(steps: &[(&str, Result<bool>)]) -> Result<(), Failure> {
    let mut failed = Vec::new();
    for (name, outcome) in steps {
        match outcome {
            Ok(true) => {}
            Ok(false) => failed.push(*name),
            Err(error) => {
                eprintln!("error: {error:#}");
                failed.push(*name);
            }
        }
    }
    if failed.is_empty() {
        Ok(())
    } else {
        eprintln!("failed: {}", failed.join(", "));
        Err(Failure::Check)
    }
}

/// Formats the code, or checks that it is formatted.
pub(crate) fn format(check: bool) -> Result<bool> {
    let check: &[&str] = if check { &["--check"] } else { &[] };
    cargo("fmt", &[&["fmt", "--all"], check].concat())
}

/// Runs clippy on everything.
pub(crate) fn lint() -> Result<bool> {
    cargo(
        "lint",
        &[
            "clippy",
            "--workspace",
            "--all-targets",
            "--locked",
            "--",
            "-D",
            "warnings",
        ],
    )
}

/// Runs the benchmarks, each on its own, one after the other.
pub(crate) fn bench(filter: Option<&str>) -> Result<(), Failure> {
    let targets = match bench_targets() {
        Ok(targets) => targets,
        Err(error) => return report(&[("bench", Err(error))]),
    };
    let mut steps = Vec::new();
    for (package, target) in &targets {
        if filter.is_none_or(|filter| target.contains(filter) || package.contains(filter)) {
            steps.push((
                "bench",
                cargo(
                    "bench",
                    &["bench", "--locked", "--package", package, "--bench", target],
                ),
            ));
        }
    }
    if steps.is_empty() {
        let names: Vec<_> = targets
            .iter()
            .map(|(package, target)| format!("{package}/{target}"))
            .collect();
        eprintln!(
            "error: no benchmark has that name; there are: {}",
            names.join(", ")
        );
        return Err(Failure::Check);
    }
    report(&steps)
}

fn bench_targets() -> Result<Vec<(String, String)>> {
    let output = cargo_command()
        .args(["metadata", "--no-deps", "--format-version", "1", "--locked"])
        .stderr(Stdio::inherit())
        .output();
    let output = output.context("cannot run `cargo metadata`")?;
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout)
        .context("cannot read the output of `cargo metadata`")?;
    let mut found = Vec::new();
    for package in metadata["packages"].as_array().into_iter().flatten() {
        for target in package["targets"].as_array().into_iter().flatten() {
            let is_bench = target["kind"]
                .as_array()
                .is_some_and(|kinds| kinds.iter().any(|kind| kind == "bench"));
            if let (true, Some(package), Some(target)) =
                (is_bench, package["name"].as_str(), target["name"].as_str())
            {
                found.push((package.to_owned(), target.to_owned()));
            }
        }
    }
    Ok(found)
}

/// Runs tests, shows their output and counts them.
fn count_tests(name: &str, selection: &[&str], tell: impl FnOnce(&mut Command)) -> Result<Summary> {
    let arguments = [&["test", "--locked", "--no-fail-fast"], selection].concat();
    announce(name, &arguments);
    let mut command = cargo_command();
    command
        .args(&arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    tell(&mut command);
    let mut child = command.spawn().context("cannot run `cargo test`")?;
    let mut summary = Summary::default();
    if let Some(output) = child.stdout.take() {
        for line in BufReader::new(output).split(b'\n') {
            let line = line.context("cannot read the output of `cargo test`")?;
            let line = String::from_utf8_lossy(&line);
            say(&line);
            summary.read(&line);
        }
    }
    let status = child.wait().context("cannot wait for `cargo test`")?;
    summary.finish(status.success());
    Ok(summary)
}

fn cargo(name: &str, arguments: &[&str]) -> Result<bool> {
    announce(name, arguments);
    let status = cargo_command()
        .args(arguments)
        .stdin(Stdio::null())
        .status();
    let status = status.with_context(|| format!("cannot run `cargo {}`", arguments.join(" ")))?;
    Ok(status.success())
}

/// Says what comes next, and how much time has passed: the whole has an hour.
pub(crate) fn announce(name: &str, arguments: &[&str]) {
    static FIRST: LazyLock<Instant> = LazyLock::new(Instant::now);
    let seconds = FIRST.elapsed().as_secs();
    let arguments = arguments.join(" ");
    let (minutes, seconds) = (seconds / 60, seconds % 60);
    say(&format!(
        "--- {name} at {minutes}:{seconds:02}: cargo {arguments}"
    ));
}

/// Returns the cargo that runs this program, in the root of the workspace.
pub(crate) fn cargo_command() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}

/// Returns the folder for all that is built.
pub(crate) fn target(root: &Path) -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from)
}

/// Returns the root of the workspace.
fn root() -> PathBuf {
    let crate_folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    // This crate is two folders below the root.
    crate_folder
        .ancestors()
        .nth(2)
        .unwrap_or(crate_folder)
        .to_owned()
}
