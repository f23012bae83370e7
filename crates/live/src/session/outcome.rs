//! What a session tells.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::one::{Process, Stage};
use crate::process::{CollectiveBreakpoint, ProcessName};

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// All processes passed their last breakpoints.
    Finished,
    /// These did not come in time.
    Stuck(Vec<ProcessName>),
    /// The schedule wanted a step of this process, which had none left.
    Diverged(ProcessName),
    /// Somebody ended it.
    Aborted,
}

/// Why a process cannot be let go.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StepError {
    /// The run is over.
    #[error("the run is over")]
    Over,
    /// A macrostep is under way.
    #[error("a macrostep is under way")]
    NotConsistent,
    /// There is no such process.
    #[error("there is no process `{0}`")]
    Unknown(ProcessName),
    /// The process has finished, or is stuck.
    #[error("`{0}` does not wait at a breakpoint")]
    NotHeld(ProcessName),
}

/// What a process reported last.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessData {
    /// Whether it passed its last breakpoint.
    pub finished: bool,
    /// About itself.
    pub process: Map<String, Value>,
    /// Its variables.
    pub user: Map<String, Value>,
}

/// A consistent global state.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct GlobalState {
    /// At which breakpoint each process is.
    pub breakpoints: CollectiveBreakpoint,
    /// The processes that wait, of which one can be let go.
    pub unfinished: Vec<ProcessName>,
    /// The processes that did not come in time.
    pub stuck: Vec<ProcessName>,
    /// What the processes reported, by node in the order of their numbers.
    pub data: BTreeMap<String, Vec<ProcessData>>,
}

impl GlobalState {
    pub(super) fn add(&mut self, name: &ProcessName, process: &Process) {
        let numbers = self.breakpoints.0.entry(name.node.clone()).or_default();
        numbers.push(process.number);
        match process.stage {
            Stage::Held => self.unfinished.push(name.clone()),
            Stage::Stuck => self.stuck.push(name.clone()),
            Stage::Planned | Stage::Absent | Stage::Moving | Stage::Finished => {}
        }
        let data = process
            .latest
            .as_ref()
            .map_or_else(ProcessData::default, |latest| ProcessData {
                finished: process.stage == Stage::Finished,
                process: latest.process_data.clone(),
                user: latest.user_data.clone(),
            });
        self.data.entry(name.node.clone()).or_default().push(data);
    }
}

/// Why a schedule was left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StopReason {
    /// The run came to a global state that was asked for.
    Reached(CollectiveBreakpoint),
    /// The property of this name is violated.
    Violated(String),
}

/// What happened in a session.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The run came to a consistent global state.
    Entered {
        /// The state.
        state: GlobalState,
        /// The process whose step led there; none for the first state.
        stepped: Option<ProcessName>,
        /// How long the macrostep took, in milliseconds.
        took_ms: Option<u64>,
    },
    /// The schedule was left, for a person to go on from here.
    Stopped(StopReason),
    /// A process went on without being let go: its script is not instrumented right.
    RanAhead(ProcessName),
    /// A process did not come in time.
    Stuck(ProcessName),
    /// A process came after it had been given up.
    Late(ProcessName),
    /// The run is over.
    Ended(Outcome),
}

/// A message of a process for the orchestrator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notification {
    /// Who sent it.
    pub from: ProcessName,
    /// What it says; the session does not look into it.
    pub text: String,
}
