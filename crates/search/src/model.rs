//! What is explored.

use std::fmt::Debug;

use crate::fingerprint::Fingerprint128;

/// The property that is violated where nothing can happen any more although
/// the state is not one in which the system may rest.
pub const STUCK: u32 = u32::MAX;

/// A system whose behaviours are explored.
///
/// Everything is a pure function of its arguments: the same action leads from
/// the same state to the same one, on every thread and in every run.
pub trait Model: Sync {
    /// A moment of the system.
    type State: Clone + Eq + Send + Sync;
    /// Something that can happen.
    type Action: Clone + Eq + Send + Sync + Debug;

    /// Returns where the system may begin.
    fn initial(&self) -> Vec<Self::State>;

    /// Appends what can happen in a state, always in the same order. No action
    /// appears twice.
    fn actions(&self, state: &Self::State, actions: &mut Vec<Self::Action>);

    /// Lets something happen; `None` if it changes nothing that counts.
    fn apply(&self, state: &Self::State, action: &Self::Action) -> Option<Self::State>;

    /// Returns what a state is remembered by. Equal states have equal ones;
    /// different states have different ones but for a chance that does not
    /// count (see [`Fingerprint128::of`]).
    fn fingerprint(&self, state: &Self::State) -> Fingerprint128;

    /// Returns the one by which all states are known that differ only in who is
    /// who. It must be one of them. If it is the same one for all of them, each
    /// set of equal states is visited once; otherwise more often, which costs
    /// time and nothing else.
    fn representative(&self, state: Self::State) -> Self::State {
        state
    }

    /// Says whether two actions that are possible in a state lead to the same
    /// one in either order, and neither makes the other impossible.
    fn are_independent(
        &self,
        _state: &Self::State,
        _one: &Self::Action,
        _other: &Self::Action,
    ) -> bool {
        false
    }

    /// Chooses some of the actions of a state (their places in the list) so
    /// that the others can wait, or `None` if none can.
    ///
    /// The provisos (Peled 1993), which nothing here can check:
    ///
    /// * Whatever happens without one of the chosen actions, now and later, is
    ///   independent of all of them.
    /// * Unless all are chosen, no chosen one changes what [`Self::violation`]
    ///   looks at.
    ///
    /// The searches see to the third: no action waits for ever. If the chosen
    /// ones lead to nothing new, all are taken.
    fn ample(&self, _state: &Self::State, _actions: &[Self::Action]) -> Option<Vec<usize>> {
        None
    }

    /// Returns the number of a property that does not hold in a state. Numbers
    /// are the caller's, below [`STUCK`].
    fn violation(&self, _state: &Self::State) -> Option<u32> {
        None
    }

    /// Says whether the system may rest in a state in which nothing can happen.
    /// If not, [`STUCK`] is violated there.
    fn is_accepting(&self, _state: &Self::State) -> bool {
        true
    }

    /// Says whether a state is one that has to be reached again and again; see
    /// [`crate::find_lasso`].
    fn is_goal(&self, _state: &Self::State) -> bool {
        true
    }

    /// Says whether an action that stays possible happens at last. Faults do
    /// not.
    fn is_fair(&self, _action: &Self::Action) -> bool {
        true
    }

    /// Returns how promising a state is; [`crate::Strategy::Best`] takes the
    /// highest first.
    fn score(&self, _state: &Self::State) -> u64 {
        0
    }

    /// Returns who acts; [`crate::Strategy::Pct`] gives priorities to actors.
    fn actor(&self, _action: &Self::Action) -> u32 {
        0
    }

    /// Returns how many bytes of memory a state takes, about.
    fn size_bytes(&self, _state: &Self::State) -> usize {
        size_of::<Self::State>()
    }
}
