//! What searches are asked and what they answer.

/// In which order a model is explored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// Nearest first: the first violation has a shortest way. Several threads.
    Breadth,
    /// Deepest first, with little memory for what is still to do.
    Depth,
    /// Random ways from the beginning to an end, or so long as the budget's
    /// depth, and ten thousand actions at most.
    Random {
        /// Where the randomness comes from.
        seed: u64,
        /// How many.
        walks: u64,
    },
    /// Random priorities of actors, changed at a few random moments
    /// (Burckhardt and others 2010): finds each bug that needs `depth`
    /// orderings with a chance that is known.
    Pct {
        /// Where the randomness comes from.
        seed: u64,
        /// How many orderings a bug needs, at most; at least one.
        depth: u32,
        /// How many ways.
        walks: u64,
    },
    /// Highest score first; every sixteenth is the oldest one, so that
    /// everything has its turn.
    Best,
}

/// How far a search may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// States at most, looked at between batches.
    pub states_max: u64,
    /// Actions from the beginning at most.
    pub depth_max: u32,
    /// Bytes of memory at most, as estimated in [`Outcome::bytes`].
    pub memory_bytes_max: u64,
    /// Violations at most, one of each property; the search ends with the last
    /// one. One means: the first.
    pub violations_max: usize,
    /// Threads. The outcome is the same for every number of them.
    pub threads: usize,
}

impl Default for Budget {
    /// A million states and a gigabyte, on one thread, to the first violation.
    fn default() -> Self {
        Self {
            states_max: 1_000_000,
            depth_max: u32::MAX,
            memory_bytes_max: 1 << 30,
            violations_max: 1,
            threads: 1,
        }
    }
}

/// How far a search is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Different states so far.
    pub unique: u64,
    /// States that were reached, repetitions included.
    pub generated: u64,
    /// Actions from the beginning.
    pub depth: u32,
    /// States that wait for their turn.
    pub frontier: u64,
}

/// Asked now and then; `true` ends the search. Budgets of time are made of it.
pub type Stop<'a> = &'a (dyn Fn(&Progress) -> bool + Sync);

/// A [`Stop`] that never does.
pub fn never(_progress: &Progress) -> bool {
    false
}

/// Why a search ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// There is nothing else: all states were visited.
    Exhausted,
    /// There are more states than the budget allows.
    States,
    /// There are states that are further away than the budget allows.
    Depth,
    /// The memory of the budget was used up.
    Memory,
    /// The caller said so.
    Stopped,
    /// As many violations were found as were asked for.
    Violation,
    /// As many ways were walked as were asked for. Nothing is said of others.
    Walks,
}

/// A state in which a property does not hold, and a way to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation<A> {
    /// The property; [`crate::STUCK`] if it is that nothing can happen.
    pub property: u32,
    /// What happens, from the beginning.
    pub actions: Vec<A>,
    /// Which of [`crate::Model::initial`] the way begins at.
    pub initial: usize,
    /// Whether the actions can be applied one after another as they are. It is
    /// so unless representatives are not the same for all that are equal.
    pub is_run: bool,
}

/// What a search found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome<A> {
    /// Why it ended.
    pub end: End,
    /// Different states, up to who is who.
    pub unique: u64,
    /// States that were reached, repetitions included.
    pub generated: u64,
    /// Actions to the state that is furthest away, on the way on which it was
    /// found.
    pub depth: u32,
    /// States in which nothing can happen.
    pub ends: u64,
    /// Those among them in which the system may not rest.
    pub stuck_ends: u64,
    /// What does not hold, one of each property, in the order of the search.
    pub violations: Vec<Violation<A>>,
    /// States that waited for their turn, at most.
    pub frontier_max: u64,
    /// Bytes of memory that were used, at most, about.
    pub bytes: u64,
}

impl<A> Outcome<A> {
    /// An outcome in which nothing has happened yet.
    pub(crate) fn new() -> Self {
        Self {
            end: End::Exhausted,
            unique: 0,
            generated: 0,
            depth: 0,
            ends: 0,
            stuck_ends: 0,
            violations: Vec::new(),
            frontier_max: 0,
            bytes: 0,
        }
    }

    /// Says whether a violation of a property is still of interest.
    pub(crate) fn wants(&self, property: u32) -> bool {
        self.violations.iter().all(|one| one.property != property)
    }

    /// Says whether the budget has been used up, and for what.
    pub(crate) fn limit(&self, budget: &Budget) -> Option<End> {
        if self.violations.len() >= budget.violations_max.max(1) {
            Some(End::Violation)
        } else if self.unique > budget.states_max.min(STATES_LIMIT) {
            Some(End::States)
        } else if self.bytes > budget.memory_bytes_max {
            Some(End::Memory)
        } else {
            None
        }
    }

    pub(crate) fn progress(&self, frontier: u64) -> Progress {
        Progress {
            unique: self.unique,
            generated: self.generated,
            depth: self.depth,
            frontier,
        }
    }
}

/// States at most, whatever the budget says: they are numbered with 32 bits,
/// and a batch more may come before anybody looks.
const STATES_LIMIT: u64 = 4_000_000_000;

/// States between two questions whether to stop, where one state at a time has
/// its turn: a clock costs little then, and an answer does not wait long.
pub(crate) const ASK_EVERY: u64 = 1024;
