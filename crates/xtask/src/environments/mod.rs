//! The clouds that tests run on: an engine, a simulator, an installation.
//!
//! What starts and removes each is in `tests/env/NAME/{up,down}`. `up` prints
//! the variables that tell the tests where the environment is; `down` removes
//! what `up` made, also when that was interrupted, and may be called again.

mod engine;
mod guardian;
mod variables;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::{python, say};
use guardian::Guardian;
use variables::Variable;

/// How `up` ends where the machine cannot have the environment: nothing is wrong then.
const CODE_SKIP: i32 = 77;

/// How often the end of a script is looked for.
const POLL: Duration = Duration::from_millis(100);

/// An environment, as this program knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Environment {
    /// The folder below `tests/env`, and the name of the step.
    pub(crate) name: &'static str,
    /// What may be waited for it. Images are built at the first time.
    up_seconds_max: u64,
}

/// An engine that runs containers.
pub(crate) const DOCKER: Environment = Environment {
    name: "docker",
    // Its base image takes half a minute of a processor and downloads 60 MB.
    up_seconds_max: 900,
};

/// Amazon's interface with containers as instances.
pub(crate) const EC2: Environment = Environment {
    name: "ec2",
    up_seconds_max: 300,
};

/// An installation of `OpenStack`.
pub(crate) const OPENSTACK: Environment = Environment {
    name: "openstack",
    // Its image takes 12 minutes on two busy processors.
    up_seconds_max: 2700,
};

/// How the start of an environment ended.
#[derive(Debug)]
pub(crate) enum Start {
    /// The tests can use it.
    Ready,
    /// This machine cannot have it, and its tests leave themselves out.
    Skipped,
}

/// The environments that were started, and what tests are told about them.
#[derive(Debug)]
pub(crate) struct Environments {
    root: PathBuf,
    /// The folder with a folder for each of them.
    kept: PathBuf,
    variables: Vec<Variable>,
    running: Vec<Guardian>,
    has_engine: bool,
}

impl Environments {
    /// Makes a set without any.
    pub(crate) fn new(root: PathBuf) -> Self {
        Self {
            kept: crate::steps::target(&root).join("environments"),
            root,
            variables: Vec::new(),
            running: Vec::new(),
            has_engine: false,
        }
    }

    /// Tells the tests that a command runs where the environments are.
    pub(crate) fn tell(&self, command: &mut Command) {
        for variable in &self.variables {
            command.env(&variable.name, &variable.value);
        }
    }

    /// Starts an environment, or finds that this machine cannot have it.
    pub(crate) fn start(&mut self, environment: Environment) -> Result<Start> {
        let name = environment.name;
        if environment == DOCKER {
            if let Some(reason) = engine::obstacle() {
                say(&format!(
                    "skipped: no Docker engine can run here: {reason}; the tests that need one leave themselves out"
                ));
                return Ok(Start::Skipped);
            }
        } else if environment == OPENSTACK && !self.has_engine {
            say(&format!("skipped: {name}: it needs a Docker engine"));
            return Ok(Start::Skipped);
        }
        let begin = Instant::now();
        let status = self.run(environment)?;
        let seconds = begin.elapsed().as_secs_f32();
        if status.code() == Some(CODE_SKIP) {
            say(&format!("skipped: {name}: the reason is above"));
            return Ok(Start::Skipped);
        }
        anyhow::ensure!(
            status.success(),
            "environment `{name}` did not start: `tests/env/{name}/up` ended with {status} after {seconds:.1} s"
        );
        let found = variables::read(&self.folder(name)?.join("variables"))
            .with_context(|| format!("`tests/env/{name}/up` printed what it should not"))?;
        say(&format!("--- {name}: ready after {seconds:.1} s"));
        for variable in found {
            say(&format!("{}={}", variable.name, variable.value));
            self.variables.push(variable);
        }
        self.has_engine |= environment == DOCKER;
        Ok(Start::Ready)
    }

    /// Removes what was started, the last one first; names those that did not go.
    pub(crate) fn stop(&mut self) -> Vec<(&'static str, Result<bool>)> {
        self.variables.clear();
        let mut failed = Vec::new();
        while let Some(guardian) = self.running.pop() {
            let (name, begin) = (guardian.name, Instant::now());
            match guardian.finish() {
                Ok(()) => say(&format!(
                    "--- {name}: removed after {:.1} s",
                    begin.elapsed().as_secs_f32()
                )),
                Err(error) => failed.push((name, Err(error))),
            }
        }
        failed
    }

    /// Runs the script that starts an environment, and waits for its end.
    fn run(&mut self, environment: Environment) -> Result<ExitStatus> {
        let name = environment.name;
        let scripts = self.root.join("tests").join("env").join(name);
        let folder = self.folder(name)?;
        let mut shared: Vec<(String, PathBuf)> =
            vec![("ZENEKAR_ENV_FOLDER".to_owned(), folder.clone())];
        if environment == EC2 {
            let packages = python::SIMULATOR.install(&self.root)?;
            shared.push(("PYTHONPATH".to_owned(), packages));
        }
        say(&format!("--- {name}: tests/env/{name}/up"));
        let output = folder.join("variables");
        let output = File::create(&output)
            .with_context(|| format!("cannot write `{}`", output.display()))?;
        // Before `up`: it may be interrupted too.
        self.running
            .push(Guardian::start(name, &scripts.join("down"), &shared)?);
        let mut command = Command::new(scripts.join("up"));
        command.envs(shared).stdin(Stdio::null()).stdout(output);
        self.tell(&mut command);
        let mut child = command
            .spawn()
            .with_context(|| format!("cannot run `tests/env/{name}/up`"))?;
        wait(&mut child, Duration::from_secs(environment.up_seconds_max))
            .with_context(|| format!("environment `{name}` did not start"))
    }

    /// Returns the folder in which an environment keeps what it has to remember.
    fn folder(&self, name: &str) -> Result<PathBuf> {
        let folder = self.kept.join(name);
        fs::create_dir_all(&folder)
            .with_context(|| format!("cannot make `{}`", folder.display()))?;
        let full = fs::canonicalize(&folder);
        full.with_context(|| format!("cannot find `{}`", folder.display()))
    }
}

impl Drop for Environments {
    fn drop(&mut self) {
        for (_, outcome) in self.stop() {
            if let Err(error) = outcome {
                eprintln!("error: {error:#}");
            }
        }
    }
}

/// Waits for the end of a process, and ends it when that takes too long.
fn wait(child: &mut Child, limit: Duration) -> Result<ExitStatus> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(status) = child.try_wait().context("cannot wait for it")? {
            return Ok(status);
        }
        if Instant::now() >= deadline {
            child.kill().context("cannot end it")?;
            child.wait().context("cannot wait for it")?;
            anyhow::bail!("it was not ready after {} s", limit.as_secs());
        }
        std::thread::sleep(POLL);
    }
}

/// Says whether a program is there and succeeds; shows nothing of it.
fn succeeds(words: &[&str]) -> bool {
    crate::system::succeeds(words)
}

/// Says whether one of the paths is there.
fn is_there(paths: &[&str]) -> bool {
    paths.iter().any(|path| Path::new(path).exists())
}

#[cfg(test)]
mod tests;
