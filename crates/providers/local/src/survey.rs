//! What this machine can offer to instances, measured without side effects.

use std::path::Path;

use serde::Serialize;

use crate::Isolation;

/// How well the machine serves in one respect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// All that instances can use.
    Good,
    /// Instances run, with less.
    Limited,
    /// Not there.
    Missing,
}

/// What the machine offers in one respect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fact {
    /// The respect: `control groups`, `user namespaces`.
    pub name: &'static str,
    /// How well it serves.
    pub standing: Standing,
    /// What was found, in one line.
    pub detail: String,
    /// The command that would give more, or what a person has to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

/// What the machine offers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Survey {
    /// The best isolation that instances get; none if they cannot run at all.
    pub isolation: Option<Isolation>,
    /// The facts behind it.
    pub facts: Vec<Fact>,
}

/// Finds out what the machine can offer to instances whose files are below `directory`.
pub fn survey(_directory: &Path) -> Survey {
    Survey {
        isolation: None,
        facts: Vec::new(),
    }
}
