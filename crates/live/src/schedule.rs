//! Schedules that are worth running: one of each class of equivalent ones.
//!
//! Two steps are independent if their order makes no difference. Schedules that
//! become the same by swapping independent neighbours form a class, of which one
//! is enough. They are found with sleep sets (Godefroid, "Partial-Order Methods
//! for the Verification of Concurrent Systems", 1996): after a step was
//! explored, it sleeps in what is explored beside it until a dependent one is
//! taken. The search is over the numbers of steps alone, so that a schedule that
//! sleep sets cut short costs no deployment.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::limits::PLAN_STEPS_MAX;
use crate::process::ProcessName;

/// A step: the run of a process from one breakpoint to the next.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Step {
    /// The process.
    pub process: ProcessName,
    /// The number of the breakpoint that it leaves, from 1.
    pub from: u32,
}

/// Says whether the order of two steps of different processes makes no difference.
pub type Independence = Arc<dyn Fn(&Step, &Step) -> bool + Send + Sync>;

/// By process, the steps of others that have to be taken before it is there: so
/// many of each.
pub type Prerequisites = BTreeMap<ProcessName, Vec<(ProcessName, u32)>>;

/// All schedules of processes with known numbers of steps, one of each class,
/// in the order of the processes.
pub struct Schedules {
    processes: Vec<ProcessName>,
    steps: Vec<u32>,
    independence: Option<Independence>,
    /// By process, what has to be taken before its first step.
    prerequisites: Vec<Vec<(usize, u32)>>,
    taken: Vec<u32>,
    path: Vec<usize>,
    frames: Vec<Frame>,
    budget: u64,
    conflicts: Conflicts,
}

/// A point of the search.
struct Frame {
    /// What need not be explored from here.
    asleep: Vec<usize>,
    /// What was explored from here.
    explored: Vec<usize>,
    /// The process that is tried next.
    next: usize,
}

impl Schedules {
    /// Begins with processes and how many steps each takes after its first
    /// breakpoint. Without an independence every order is a class of its own.
    pub fn new(processes: Vec<(ProcessName, u32)>, independence: Option<Independence>) -> Self {
        let (processes, steps): (Vec<_>, Vec<_>) = processes.into_iter().unzip();
        Self {
            conflicts: Conflicts::new(&processes, &steps, independence.as_ref()),
            prerequisites: vec![Vec::new(); steps.len()],
            taken: vec![0; steps.len()],
            processes,
            steps,
            independence,
            path: Vec::new(),
            frames: vec![Frame::new(Vec::new())],
            budget: PLAN_STEPS_MAX,
        }
    }

    /// Leaves out what cannot be run, because a process is not there yet. Steps
    /// of processes that it does not have are passed over.
    #[must_use]
    pub fn with_prerequisites(mut self, prerequisites: &Prerequisites) -> Self {
        let place = |name: &ProcessName| self.processes.iter().position(|one| one == name);
        let of = |name: &ProcessName| {
            let needed = prerequisites.get(name).into_iter().flatten();
            needed
                .filter_map(|(other, steps)| Some((place(other)?, *steps)))
                .collect()
        };
        self.prerequisites = self.processes.iter().map(of).collect();
        self
    }

    fn is_there(&self, process: usize) -> bool {
        let mut needed = self.prerequisites[process].iter();
        needed.all(|(other, steps)| self.taken[*other] >= *steps)
    }

    /// Says whether the search ended early because it took too many steps.
    pub const fn is_exhausted_early(&self) -> bool {
        self.budget == 0
    }

    fn step_of(&self, process: usize) -> Step {
        Step {
            process: self.processes[process].clone(),
            from: self.taken[process] + 1,
        }
    }

    fn is_independent(&self, one: usize, two: usize) -> bool {
        let Some(independence) = &self.independence else {
            return false;
        };
        one != two && independence(&self.step_of(one), &self.step_of(two))
    }

    fn is_complete(&self) -> bool {
        self.taken == self.steps
    }

    /// Takes the next step of the search; the path is a schedule afterwards, or not.
    fn advance(&mut self) {
        let Some(frame) = self.frames.last() else {
            return;
        };
        let candidate = (frame.next..self.processes.len()).find(|process| {
            self.taken[*process] < self.steps[*process]
                && self.is_there(*process)
                && !frame.asleep.contains(process)
        });
        let Some(process) = candidate else {
            self.frames.pop();
            if let Some(last) = self.path.pop() {
                self.taken[last] -= 1;
            }
            return;
        };
        let asleep: Vec<usize> = frame
            .asleep
            .iter()
            .chain(&frame.explored)
            .copied()
            .filter(|other| self.is_independent(*other, process))
            .collect();
        if let Some(frame) = self.frames.last_mut() {
            frame.next = process + 1;
            frame.explored.push(process);
        }
        self.taken[process] += 1;
        self.path.push(process);
        // What nothing can wake any more leads to no schedule.
        let is_dead = asleep
            .iter()
            .any(|other| !self.conflicts.can_wake(*other, &self.taken));
        let mut frame = Frame::new(asleep);
        if is_dead {
            frame.next = self.processes.len();
        }
        self.frames.push(frame);
    }
}

/// Which steps depend on which, looked up once.
struct Conflicts {
    /// By process, step and other process: the number of the other's last step
    /// that depends on the step, from 1; 0 if none does. Empty if there are too many.
    last: Vec<Vec<Vec<u32>>>,
}

/// Entries of the table of conflicts; without it, searches take longer.
const CONFLICTS_MAX: usize = 4_000_000;

impl Conflicts {
    fn new(processes: &[ProcessName], steps: &[u32], independence: Option<&Independence>) -> Self {
        let count: usize = steps.iter().map(|steps| *steps as usize).sum();
        let Some(independence) = independence.filter(|_| count * count <= CONFLICTS_MAX) else {
            return Self { last: Vec::new() };
        };
        let step = |process: usize, from: u32| Step {
            process: processes[process].clone(),
            from,
        };
        let last_of = |one: &Step, process: usize, other: usize| {
            let depends = |from: &u32| !independence(one, &step(other, *from));
            let last = (1..=steps[other]).rev().find(depends);
            last.filter(|_| other != process).unwrap_or(0)
        };
        let all = 0..steps.len();
        let last = all.clone().map(|process| {
            let own = (1..=steps[process]).map(|from| {
                let one = step(process, from);
                let others = all.clone().map(|other| last_of(&one, process, other));
                others.collect()
            });
            own.collect()
        });
        Self {
            last: last.collect(),
        }
    }

    /// Says whether a step is left that depends on the next one of a process.
    fn can_wake(&self, process: usize, taken: &[u32]) -> bool {
        let next = taken[process] as usize;
        let Some(last) = self.last.get(process).and_then(|steps| steps.get(next)) else {
            return true;
        };
        last.iter().zip(taken).any(|(last, taken)| taken < last)
    }
}

impl Frame {
    const fn new(asleep: Vec<usize>) -> Self {
        Self {
            asleep,
            explored: Vec::new(),
            next: 0,
        }
    }
}

impl Iterator for Schedules {
    type Item = Vec<ProcessName>;

    fn next(&mut self) -> Option<Vec<ProcessName>> {
        while !self.frames.is_empty() && self.budget > 0 {
            self.budget -= 1;
            let before = self.path.len();
            self.advance();
            let is_new = self.path.len() > before || (before == 0 && self.steps.is_empty());
            if is_new && self.is_complete() {
                let names = self
                    .path
                    .iter()
                    .map(|process| self.processes[*process].clone());
                return Some(names.collect());
            }
        }
        None
    }
}

impl std::fmt::Debug for Schedules {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Schedules")
            .field("processes", &self.processes)
            .field("steps", &self.steps)
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn processes(steps: &[u32]) -> Vec<(ProcessName, u32)> {
        steps
            .iter()
            .zip(1..)
            .map(|(steps, number)| (ProcessName::new("p", number), *steps))
            .collect()
    }

    fn count(steps: &[u32], independence: Option<Independence>) -> usize {
        Schedules::new(processes(steps), independence).count()
    }

    #[test]
    fn without_independence_all_orders_are_there() {
        // Multinomials: 6!/(2! 2! 2!), 7!/(2! 2! 3!), 9!/(3! 3! 3!).
        assert_eq!(count(&[2, 2, 2], None), 90);
        assert_eq!(count(&[2, 2, 3], None), 210);
        assert_eq!(count(&[3, 3, 3], None), 1_680);
        assert_eq!(count(&[0, 1], None), 1);
    }

    #[test]
    fn independent_steps_have_one_order() {
        let all: Independence = Arc::new(|_, _| true);
        assert_eq!(count(&[3, 3, 3], Some(Arc::clone(&all))), 1);
        // The search goes straight to it, and not through all counters.
        let mut schedules = Schedules::new(processes(&[5; 40]), Some(all));
        assert_eq!(schedules.by_ref().count(), 1);
        assert!(PLAN_STEPS_MAX - schedules.budget < 20_000);
    }

    #[test]
    fn who_is_not_there_yet_takes_no_step() {
        // Two clients that come with the server's second step of three: what is
        // left of it has 4!/(1! 1! 2!) orders with their one and two steps.
        let prerequisites = |steps| {
            let server = ProcessName::new("p", 1);
            let client = |number| (ProcessName::new("p", number), vec![(server.clone(), steps)]);
            Prerequisites::from([client(2), client(3)])
        };
        let count = |steps: &[u32], needed| {
            Schedules::new(processes(steps), None)
                .with_prerequisites(&prerequisites(needed))
                .count()
        };
        assert_eq!(count(&[3, 1, 2], 2), 12);
        assert_eq!(count(&[3, 1, 2], 0), 60);
        assert_eq!(count(&[3, 1, 2], 3), 3);
    }

    #[test]
    fn clients_and_a_server_have_the_known_number_of_classes() {
        // Each client: local, contact, local; the server: local, open, local.
        // Contacts conflict with the opening and with each other: (n + 1)! classes.
        let shared: Independence = Arc::new(|one, two| one.from != 2 || two.from != 2);
        for (clients, classes) in [(1, 2), (2, 6), (3, 24), (4, 120)] {
            assert_eq!(
                count(&vec![3; clients + 1], Some(Arc::clone(&shared))),
                classes
            );
        }
        // Contacts that commute with each other: 2^n classes.
        let server = ProcessName::new("p", 1);
        let commuting: Independence = Arc::new(move |one, two| {
            let has_server = one.process == server || two.process == server;
            !has_server || one.from != 2 || two.from != 2
        });
        for (clients, classes) in [(1, 2), (2, 4), (3, 8), (4, 16)] {
            assert_eq!(
                count(&vec![3; clients + 1], Some(Arc::clone(&commuting))),
                classes
            );
        }
    }
}
