//! How a run goes on.

use std::collections::BTreeSet;

use zenekar_property::PropertySet;

use crate::process::{CollectiveBreakpoint, ProcessName};

/// Who decides which process is let go next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Nobody: the processes report and are never held.
    FreeRun,
    /// A person.
    Manual,
    /// A list, one process for each macrostep, and what comes after it.
    Scheduled(Vec<ProcessName>, Then),
}

/// What follows a schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// The first process that is not finished, to the end.
    First,
    /// A person decides.
    Manual,
    /// Nobody is held any more.
    FreeRun,
}

/// Where a run that goes by schedule stops, for a person to go on.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stops {
    /// In these global states.
    pub at: BTreeSet<CollectiveBreakpoint>,
    /// Where one of these is violated.
    pub properties: PropertySet,
}

/// What a session is to do.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// The processes that are expected.
    pub processes: Vec<ProcessName>,
    /// How the run goes on.
    pub mode: Mode,
    /// How long it may take until a process reports for the first time, in
    /// milliseconds from the beginning: machines have to boot.
    pub arrival_ms: u64,
    /// How long a process may take from one breakpoint to the next, in milliseconds.
    pub step_ms: u64,
    /// How long a held process may take to report its variables anew, in milliseconds.
    pub refresh_ms: u64,
    /// The tags of breakpoints that do not stop in this session.
    pub sleeping: BTreeSet<String>,
    /// The only breakpoints that stop in this session, by node and tag; none: all
    /// that do not sleep. The last one of a process always ends it.
    pub awake: Option<BTreeSet<(String, String)>>,
    /// Whether an orchestrator takes part: processes are waited for once it says
    /// that it made them ([`Session::expect`](super::Session::expect)), and a
    /// state is entered once it has nothing more to do there
    /// ([`Session::settled`](super::Session::settled)).
    pub is_orchestrated: bool,
    /// Where to stop.
    pub stops: Stops,
}

impl Settings {
    /// Says whether a breakpoint of a node does not stop in this session.
    pub(super) fn is_asleep(&self, node: &str, tag: &str) -> bool {
        let is_chosen = |awake: &BTreeSet<(String, String)>| {
            awake.iter().any(|one| one.0 == node && one.1 == tag)
        };
        self.sleeping.contains(tag) || self.awake.as_ref().is_some_and(|awake| !is_chosen(awake))
    }

    /// Makes settings with times that fit virtual machines.
    pub fn new(processes: Vec<ProcessName>, mode: Mode) -> Self {
        Self {
            processes,
            mode,
            // Large images take some minutes to boot and to install packages.
            arrival_ms: 15 * 60_000,
            step_ms: 10 * 60_000,
            // Scripts of the original poll every few seconds.
            refresh_ms: 60_000,
            sleeping: BTreeSet::new(),
            awake: None,
            is_orchestrated: false,
            stops: Stops::default(),
        }
    }
}
