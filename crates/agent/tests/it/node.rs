//! A directory that serves as a node.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use tempfile::TempDir;
use zenekar_agent::{Report, StepOutcome, Target, contextualise};

/// A node without a file system of its own, and its log.
pub(crate) struct Node {
    directory: TempDir,
    pub(crate) revision: u32,
}

impl Node {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("root")).unwrap();
        Self {
            directory,
            revision: 0,
        }
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.directory
            .path()
            .join("root")
            .join(path.trim_start_matches('/'))
    }

    pub(crate) fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap_or_else(|cause| panic!("{path}: {cause}"))
    }

    pub(crate) fn mode(&self, path: &str) -> u32 {
        fs::metadata(self.path(path)).unwrap().permissions().mode() & 0o7777
    }

    fn log_path(&self) -> PathBuf {
        self.directory.path().join("log")
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap()
    }

    fn open_log(&self) -> File {
        OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.log_path())
            .unwrap()
    }

    pub(crate) fn run(&self, user_data: &str) -> Report {
        self.run_bytes(user_data.as_bytes())
    }

    pub(crate) fn run_bytes(&self, user_data: &[u8]) -> Report {
        let target = Target {
            root: self.path(""),
            instance_id: "i-0001".to_owned(),
            host_name: "node-1".to_owned(),
            revision: self.revision,
            can_administer: false,
        };
        contextualise(user_data, &target, &self.open_log())
    }
}

/// Returns the steps as `stage module subject: outcome`.
pub(crate) fn lines(report: &Report) -> Vec<String> {
    report
        .steps
        .iter()
        .map(|step| {
            let outcome = match step.outcome {
                StepOutcome::Done => "done",
                StepOutcome::Failed => "failed",
                StepOutcome::Impossible => "impossible",
                StepOutcome::Unknown => "unknown",
            };
            let line = format!("{} {} {}: {outcome}", step.stage, step.module, step.subject);
            match step.message.as_str() {
                "" => line,
                message => format!("{line} ({message})"),
            }
        })
        .collect()
}
