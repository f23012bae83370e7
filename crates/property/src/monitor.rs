//! Formulas as machines that are stepped along a run.

use std::sync::Arc;

use crate::formula::{Formula, Shape};
use crate::valuation::Valuation;

/// What can be said about a run so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// Nothing is open: if the run ended here, the formula would be true of it.
    Holds,
    /// Something has still to happen: if the run ended here, the formula would be false of it.
    Pending,
    /// However the run goes on, the formula is false of it.
    Violated,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Phase {
    /// No state was seen yet.
    Fresh,
    /// Nothing is open.
    Idle,
    /// Something has to happen, or must not.
    Open,
    /// True of every continuation.
    Satisfied,
    /// False of every continuation.
    Violated,
}

/// What a monitor remembers of a run: eight bytes, without any absolute time, so
/// that runs that differ only in when they happened are one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MonitorState {
    /// The time that is left, in milliseconds; zero where there is no bound.
    remaining_ms: u32,
    /// One bit for each `once` that has held.
    once: u16,
    phase: Phase,
}

impl MonitorState {
    /// Returns the state as bytes for fingerprints.
    pub fn bytes(self) -> [u8; 7] {
        let [one, two, three, four] = self.remaining_ms.to_le_bytes();
        let [low, high] = self.once.to_le_bytes();
        [one, two, three, four, low, high, self.phase as u8]
    }
}

/// A formula that can be stepped along runs. It is cheap to clone, and any
/// number of runs can be followed at the same time, each by a state of its own.
#[derive(Clone, Debug)]
pub struct Monitor {
    formula: Arc<Formula>,
}

impl Monitor {
    pub(crate) const fn new(formula: Arc<Formula>) -> Self {
        Self { formula }
    }

    /// Returns the state before the first global state of a run.
    pub const fn initial(&self) -> MonitorState {
        MonitorState {
            remaining_ms: 0,
            once: 0,
            phase: Phase::Fresh,
        }
    }

    /// Goes on to the next global state of a run, `elapsed_ms` after the one
    /// before; of the first one it does not matter.
    ///
    /// What was seen counts at the instants that were seen only: time is not
    /// looked into between them.
    pub fn step(
        &self,
        before: MonitorState,
        valuation: &dyn Valuation,
        elapsed_ms: u64,
    ) -> (MonitorState, Verdict) {
        let mut state = before;
        if !matches!(state.phase, Phase::Satisfied | Phase::Violated) {
            for (number, predicate) in self.formula.once.iter().enumerate() {
                if predicate.holds(valuation, state.once) {
                    state.once |= 1 << number;
                }
            }
            self.advance(&mut state, valuation, elapsed_ms);
        }
        // What no longer matters is forgotten, so that more states are equal.
        if matches!(state.phase, Phase::Satisfied | Phase::Violated) {
            state.once = 0;
        }
        if state.phase != Phase::Open {
            state.remaining_ms = 0;
        }
        (state, self.verdict(state))
    }

    fn advance(&self, state: &mut MonitorState, valuation: &dyn Valuation, elapsed_ms: u64) {
        let once = state.once;
        let bound_ms = self.formula.within_ms;
        // Says whether the time of what is open is over, and lets it pass.
        let mut is_late = false;
        if let (Phase::Open, Some(_)) = (state.phase, bound_ms) {
            match u64::from(state.remaining_ms).checked_sub(elapsed_ms) {
                Some(left) => state.remaining_ms = u32::try_from(left).unwrap_or(u32::MAX),
                None => is_late = true,
            }
        }
        match &self.formula.shape {
            Shape::Always(always) => {
                state.phase = if always.holds(valuation, once) {
                    Phase::Idle
                } else {
                    Phase::Violated
                };
            }
            Shape::Until(meanwhile, goal) => {
                if is_late {
                    state.phase = Phase::Violated;
                } else if goal.holds(valuation, once) {
                    state.phase = Phase::Satisfied;
                } else if !meanwhile.holds(valuation, once) {
                    state.phase = Phase::Violated;
                } else if state.phase == Phase::Fresh {
                    state.phase = Phase::Open;
                    state.remaining_ms = bound_ms.unwrap_or(0);
                }
            }
            Shape::LeadsTo(cause, goal) => {
                if is_late {
                    state.phase = Phase::Violated;
                } else if goal.holds(valuation, once) {
                    state.phase = Phase::Idle;
                } else if state.phase != Phase::Open {
                    // The oldest of several is the first to be late.
                    state.phase = Phase::Idle;
                    if cause.holds(valuation, once) {
                        state.phase = Phase::Open;
                        state.remaining_ms = bound_ms.unwrap_or(0);
                    }
                }
            }
            Shape::NeverThen(first, second) => {
                if state.phase == Phase::Open && !is_late && second.holds(valuation, once) {
                    state.phase = Phase::Violated;
                } else if first.holds(valuation, once) {
                    // The newest of several is the last to be over.
                    state.phase = Phase::Open;
                    state.remaining_ms = bound_ms.unwrap_or(0);
                } else if state.phase != Phase::Open || is_late {
                    state.phase = Phase::Idle;
                }
            }
        }
    }

    /// Returns what can be said of a run that led to a state.
    pub fn verdict(&self, state: MonitorState) -> Verdict {
        match state.phase {
            Phase::Violated => Verdict::Violated,
            Phase::Idle | Phase::Satisfied => Verdict::Holds,
            Phase::Open if matches!(self.formula.shape, Shape::NeverThen(..)) => Verdict::Holds,
            Phase::Fresh if !matches!(self.formula.shape, Shape::Until(..)) => Verdict::Holds,
            Phase::Open | Phase::Fresh => Verdict::Pending,
        }
    }

    /// Returns the verdict on a run that ended.
    ///
    /// A run is complete if nothing can happen any more: what has still to happen
    /// never will, and the formula is violated. Of a run that was cut off it stays
    /// [`Verdict::Pending`]: not decided.
    pub fn at_end(&self, state: MonitorState, is_complete: bool) -> Verdict {
        match self.verdict(state) {
            Verdict::Pending if is_complete => Verdict::Violated,
            verdict => verdict,
        }
    }

    /// Says whether nothing that comes can change the verdict of a state.
    pub const fn is_decided(&self, state: MonitorState) -> bool {
        matches!(state.phase, Phase::Satisfied | Phase::Violated)
    }

    /// Returns how much time is left until the formula is violated, in
    /// milliseconds; none if no bound of time runs.
    pub fn deadline_ms(&self, state: MonitorState) -> Option<u64> {
        let is_bounded = self.formula.within_ms.is_some()
            && state.phase == Phase::Open
            && !matches!(self.formula.shape, Shape::NeverThen(..));
        is_bounded.then_some(u64::from(state.remaining_ms))
    }

    /// Says whether the formula asks for something to happen, so that a run can
    /// violate it by never ending.
    pub fn is_liveness(&self) -> bool {
        matches!(self.formula.shape, Shape::Until(..) | Shape::LeadsTo(..))
    }
}
