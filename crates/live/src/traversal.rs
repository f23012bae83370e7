//! All runs of an infrastructure: which schedule is run next.

use std::collections::{BTreeMap, VecDeque};

use zenekar_property::PropertySet;

use crate::process::ProcessName;
use crate::schedule::{Independence, Prerequisites, Schedules};
use crate::session::{Event, GlobalState, Outcome};
use crate::tree::{ExecutionTree, TreeError, TreeId};
use crate::watch::Watch;

/// How often one schedule is tried: runs that do not follow it, because nodes
/// behave differently each time, would be tried for ever.
const ATTEMPTS_MAX: u32 = 3;

/// Identifies a run of a traversal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunId(pub u64);

/// What a traversal does next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Run this schedule, to be gone on with by the first process that is not finished.
    Run(RunId, Vec<ProcessName>),
    /// Wait for the runs that are under way: what they find decides.
    Wait,
    /// Nothing: everything was run, or given up.
    Done,
}

/// A systematic traversal: run after run, several at the same time if wanted,
/// until every class of schedules was run.
///
/// Without an independence relation it goes through the execution tree depth
/// first, from the left, as the original does. With one, the first run tells how
/// many steps the processes take, and from then on one schedule of each class
/// is run.
#[derive(Debug, Default)]
pub struct Traversal {
    tree: ExecutionTree,
    reduction: Option<Reduction>,
    properties: PropertySet,
    runs: BTreeMap<RunId, Run>,
    begun: u64,
    /// Schedules that no run followed to its end, and how often it was tried.
    failed: BTreeMap<Vec<ProcessName>, u32>,
}

/// An independence relation, and the schedules once the numbers of steps are known.
struct Reduction {
    independence: Independence,
    prerequisites: Prerequisites,
    schedules: Option<Schedules>,
    /// What is tried once more.
    again: VecDeque<Vec<ProcessName>>,
}

impl std::fmt::Debug for Reduction {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.schedules.fmt(formatter)
    }
}

/// A run that is under way.
#[derive(Debug)]
struct Run {
    schedule: Vec<ProcessName>,
    /// How many steps of the schedule were taken.
    taken: usize,
    at: Option<TreeId>,
    /// The place where nobody was before, to which it goes next.
    reserved: Option<(TreeId, ProcessName)>,
    watch: Watch,
}

/// What one event of a session meant for the traversal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Finding {
    /// The state of the tree that the run is in.
    pub at: Option<TreeId>,
    /// The properties that were violated by coming here.
    pub violated: Vec<String>,
}

impl Traversal {
    /// Begins a traversal. `independence` reduces it to one run of each class.
    pub fn new(properties: PropertySet, independence: Option<Independence>) -> Self {
        Self::resume(ExecutionTree::default(), properties, independence)
    }

    /// Goes on with a traversal whose tree was kept.
    pub fn resume(
        tree: ExecutionTree,
        properties: PropertySet,
        independence: Option<Independence>,
    ) -> Self {
        let reduction = independence.map(|independence| Reduction {
            independence,
            prerequisites: Prerequisites::new(),
            schedules: None,
            again: VecDeque::new(),
        });
        let mut traversal = Self {
            tree,
            reduction,
            properties,
            ..Self::default()
        };
        if let Some(leaf) = traversal.tree.first_final() {
            traversal.learn(leaf);
        }
        traversal
    }

    /// Says which processes are there only after steps of others: no schedule
    /// lets them go before. Without an independence the runs show that.
    #[must_use]
    pub fn with_prerequisites(mut self, prerequisites: Prerequisites) -> Self {
        if let Some(reduction) = &mut self.reduction {
            reduction.prerequisites = prerequisites;
        }
        self
    }

    /// Says whether one run of each class is enough.
    pub const fn is_reduced(&self) -> bool {
        self.reduction.is_some()
    }

    /// Begins the next run.
    pub fn begin(&mut self) -> Next {
        let is_alone = self.runs.is_empty();
        // Before the first run nothing is known that another one could use.
        let is_first = self.tree.root().is_none();
        let needs_lengths = self
            .reduction
            .as_ref()
            .is_some_and(|reduction| reduction.schedules.is_none());
        if (is_first || needs_lengths) && !is_alone {
            return Next::Wait;
        }
        let chosen = if is_first {
            let is_hopeless = self.failures(&[]) >= ATTEMPTS_MAX;
            (!is_hopeless).then(|| (Vec::new(), None))
        } else if needs_lengths {
            self.open_place()
        } else {
            self.representative()
        };
        let Some((schedule, reserved)) = chosen else {
            return if is_alone { Next::Done } else { Next::Wait };
        };
        let id = RunId(self.begun);
        self.begun += 1;
        let run = Run {
            schedule: schedule.clone(),
            taken: 0,
            at: None,
            reserved,
            watch: Watch::new(&self.properties),
        };
        self.runs.insert(id, run);
        Next::Run(id, schedule)
    }

    fn failures(&self, schedule: &[ProcessName]) -> u32 {
        self.failed.get(schedule).copied().unwrap_or(0)
    }

    /// Chooses one schedule of a class that was not run yet.
    fn representative(&mut self) -> Option<Chosen> {
        let Some(reduction) = &mut self.reduction else {
            return self.open_place();
        };
        if let Some(schedule) = reduction.again.pop_front() {
            return Some((schedule, None));
        }
        let tree = &self.tree;
        let schedules = reduction.schedules.as_mut()?;
        let schedule = schedules.find(|schedule| !tree.has_run(schedule))?;
        Some((schedule, None))
    }

    /// Chooses the steps to the first place where nobody was and nobody goes.
    fn open_place(&self) -> Option<Chosen> {
        let is_taken = |id: TreeId, process: &ProcessName| {
            let is_reserved = self.runs.values().any(|run| {
                let reserved = run.reserved.as_ref();
                reserved.is_some_and(|(at, next)| *at == id && next == process)
            });
            is_reserved || {
                let mut schedule = self.tree.schedule_to(id);
                schedule.push(process.clone());
                self.failures(&schedule) >= ATTEMPTS_MAX
            }
        };
        let (id, process) = self.tree.first_open(is_taken)?;
        let mut schedule = self.tree.schedule_to(id);
        schedule.push(process.clone());
        Some((schedule, Some((id, process))))
    }

    /// Takes an event of the session of a run. Events come in their order; what
    /// comes after an error, or after the end, has no effect.
    ///
    /// A run in which not even all first breakpoints were reached is none, and
    /// is tried again.
    pub fn observe(&mut self, id: RunId, event: &Event) -> Result<Finding, TreeError> {
        let mut finding = Finding::default();
        match event {
            Event::Entered { state, stepped, .. } => {
                if stepped.is_some() || state.stuck.is_empty() {
                    let entered = self.enter(id, stepped.as_ref(), state);
                    if entered.is_err() {
                        self.abandon(id);
                    }
                    finding = entered?;
                }
            }
            Event::Ended(outcome) => {
                if let Some(run) = self.runs.get(&id) {
                    let is_complete = *outcome == Outcome::Finished;
                    finding.at = run.at;
                    finding.violated = run.watch.check_end(is_complete, &self.properties);
                }
                self.end(id, Some(outcome));
            }
            Event::RanAhead(_) | Event::Stuck(_) | Event::Late(_) | Event::Stopped(_) => {
                finding.at = self.runs.get(&id).and_then(|run| run.at);
            }
        }
        if let Some(at) = finding.at {
            for name in &finding.violated {
                self.tree.mark_violated(at, name);
            }
        }
        Ok(finding)
    }

    fn enter(
        &mut self,
        id: RunId,
        stepped: Option<&ProcessName>,
        state: &GlobalState,
    ) -> Result<Finding, TreeError> {
        let Some(run) = self.runs.get_mut(&id) else {
            return Ok(Finding::default());
        };
        let at = self.tree.enter(run.at, stepped, state)?;
        run.at = Some(at);
        run.taken += usize::from(stepped.is_some());
        if run.taken >= run.schedule.len() {
            let next = state.unfinished.first();
            run.reserved = next.map(|process| (at, process.clone()));
        }
        Ok(Finding {
            at: Some(at),
            violated: run.watch.check(state, &self.properties),
        })
    }

    /// Gives a run up that ended without its session saying so.
    pub fn abandon(&mut self, id: RunId) {
        self.end(id, None);
    }

    /// Ends a run, with the outcome of its session if that told one.
    fn end(&mut self, id: RunId, outcome: Option<&Outcome>) {
        let Some(run) = self.runs.remove(&id) else {
            return;
        };
        if let (Some(leaf), Some(outcome @ (Outcome::Finished | Outcome::Stuck(_)))) =
            (run.at, outcome)
        {
            self.tree.finish(leaf, outcome);
            if *outcome == Outcome::Finished {
                self.learn(leaf);
            }
            return;
        }
        // Who ends a run early has reasons that are not those of the schedule.
        let is_failure = outcome != Some(&Outcome::Aborted);
        let failures = self.failed.entry(run.schedule.clone()).or_default();
        *failures += u32::from(is_failure);
        if *failures < ATTEMPTS_MAX
            && let Some(reduction) = &mut self.reduction
            && reduction.schedules.is_some()
        {
            reduction.again.push_back(run.schedule);
        }
    }

    /// Learns from a complete run how many steps the processes take.
    fn learn(&mut self, leaf: TreeId) {
        let Some(reduction) = &mut self.reduction else {
            return;
        };
        if reduction.schedules.is_some() {
            return;
        }
        let mut steps: BTreeMap<ProcessName, u32> = BTreeMap::new();
        for process in self.tree.schedule_to(leaf) {
            *steps.entry(process).or_default() += 1;
        }
        let independence = reduction.independence.clone();
        let steps = steps.into_iter().collect();
        let schedules = Schedules::new(steps, Some(independence));
        reduction.schedules = Some(schedules.with_prerequisites(&reduction.prerequisites));
    }

    /// Returns the schedules that were given up, because several runs did not
    /// follow them to an end.
    pub fn given_up(&self) -> Vec<&[ProcessName]> {
        let given_up = self
            .failed
            .iter()
            .filter(|(_, failures)| **failures >= ATTEMPTS_MAX);
        given_up.map(|(schedule, _)| schedule.as_slice()).collect()
    }

    /// Says whether representatives were cut off, because there are too many.
    pub fn is_cut_off(&self) -> bool {
        self.reduction
            .as_ref()
            .and_then(|reduction| reduction.schedules.as_ref())
            .is_some_and(Schedules::is_exhausted_early)
    }

    /// Returns what was run so far.
    pub const fn tree(&self) -> &ExecutionTree {
        &self.tree
    }

    /// Returns the properties that are checked.
    pub const fn properties(&self) -> &PropertySet {
        &self.properties
    }

    /// Returns how many runs were begun.
    pub const fn begun(&self) -> u64 {
        self.begun
    }
}

/// A schedule, and the place that its run is to be the first at.
type Chosen = (Vec<ProcessName>, Option<(TreeId, ProcessName)>);
