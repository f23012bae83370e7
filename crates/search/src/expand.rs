//! What follows a state.

use crate::fingerprint::Fingerprint128;
use crate::model::Model;

/// A state that was reached, and how.
pub(crate) struct Successor<S> {
    pub(crate) state: S,
    /// That of its representative.
    pub(crate) fingerprint: Fingerprint128,
    /// Which of the actions led here.
    pub(crate) action: u32,
}

/// Which of all equal states a search goes on from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GoesOn {
    /// The one by which they are known: no more states than needed.
    FromRepresentative,
    /// The one that was reached: every way is one of the system itself.
    FromItself,
}

/// Finds what follows a state, in the order of its actions. `is_old` says of a
/// state that the search has been there, so that what waits in
/// [`Model::ample`] would wait for ever.
pub(crate) fn successors<M: Model>(
    model: &M,
    goes_on: GoesOn,
    state: &M::State,
    actions: &mut Vec<M::Action>,
    is_old: &dyn Fn(Fingerprint128) -> bool,
    successors: &mut Vec<Successor<M::State>>,
) {
    actions.clear();
    successors.clear();
    model.actions(state, actions);
    let follow = |place: usize, successors: &mut Vec<_>| {
        if let Some(next) = model.apply(state, &actions[place]) {
            successors.push(known(model, goes_on, next, place));
        }
    };
    let Some(chosen) = model.ample(state, actions) else {
        for place in 0..actions.len() {
            follow(place, successors);
        }
        return;
    };
    let is_chosen = |place: &usize| chosen.contains(place);
    for place in (0..actions.len()).filter(is_chosen) {
        follow(place, successors);
    }
    if successors.iter().all(|one| is_old(one.fingerprint)) {
        for place in (0..actions.len()).filter(|place| !is_chosen(place)) {
            follow(place, successors);
        }
    }
}

/// Looks up by what a state is known.
pub(crate) fn known<M: Model>(
    model: &M,
    goes_on: GoesOn,
    state: M::State,
    place: usize,
) -> Successor<M::State> {
    let action = u32::try_from(place).unwrap_or(u32::MAX);
    match goes_on {
        GoesOn::FromRepresentative => {
            let state = model.representative(state);
            let fingerprint = model.fingerprint(&state);
            Successor {
                state,
                fingerprint,
                action,
            }
        }
        GoesOn::FromItself => Successor {
            fingerprint: model.fingerprint(&model.representative(state.clone())),
            state,
            action,
        },
    }
}

/// Returns the states in which a model begins.
pub(crate) fn begin<M: Model>(model: &M, goes_on: GoesOn) -> Vec<Successor<M::State>> {
    let initial = model.initial().into_iter().enumerate();
    initial
        .map(|(place, state)| known(model, goes_on, state, place))
        .collect()
}
