//! What has been seen, and where it was first reached from.

use std::collections::HashSet;
use std::hash::BuildHasherDefault;

use crate::fingerprint::{AsItIs, Fingerprint128};
use crate::model::Model;
use crate::outcome::Violation;

/// How many parts the memory has. More than there are threads, so that none
/// waits for long; a power of two, so that some bits of a fingerprint say which.
pub(crate) const SHARDS: usize = 64;

/// Bytes of one entry of a table: the fingerprint and a byte of its directory,
/// in tables that are at most seven eighths full.
const ENTRY_BYTES: u64 = 20;

/// Only asked whether something is in it, never iterated: its order would not
/// be the same in each run.
pub(crate) type Shard = HashSet<Fingerprint128, BuildHasherDefault<AsItIs>>;

/// The fingerprints of all states that were reached.
pub(crate) struct Seen {
    pub(crate) shards: Vec<Shard>,
}

impl Seen {
    pub(crate) fn new() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Shard::default()).collect(),
        }
    }

    /// Returns the part in which a fingerprint is kept.
    pub(crate) fn shard_of(fingerprint: Fingerprint128) -> usize {
        usize::try_from(fingerprint.high() >> 58).unwrap_or_default()
    }

    pub(crate) fn contains(&self, fingerprint: Fingerprint128) -> bool {
        self.shards[Self::shard_of(fingerprint)].contains(&fingerprint)
    }

    /// Remembers a state; says whether it is new.
    pub(crate) fn insert(&mut self, fingerprint: Fingerprint128) -> bool {
        self.shards[Self::shard_of(fingerprint)].insert(fingerprint)
    }

    /// Returns how much memory it takes, about.
    pub(crate) fn bytes(&self) -> u64 {
        let entries: usize = self.shards.iter().map(Shard::capacity).sum();
        entries as u64 * ENTRY_BYTES
    }
}

/// Where a state was first reached from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Origin {
    /// The number of the state, or [`Origin::NOBODY`].
    pub(crate) parent: u32,
    /// Which of its actions; for an initial state, which of them.
    pub(crate) action: u32,
}

impl Origin {
    /// The parent of initial states.
    pub(crate) const NOBODY: u32 = u32::MAX;
}

/// Where each state was first reached from, by number.
pub(crate) struct Origins(Vec<Origin>);

impl Origins {
    pub(crate) fn new() -> Self {
        Self(Vec::new())
    }

    /// Numbers a state.
    pub(crate) fn push(&mut self, origin: Origin) -> u32 {
        let number = u32::try_from(self.0.len()).expect("budgets end before numbers do");
        self.0.push(origin);
        number
    }

    pub(crate) fn bytes(&self) -> u64 {
        (self.0.len() * size_of::<Origin>()) as u64
    }

    /// Finds the way to a state: back by numbers, then forwards by actions.
    ///
    /// Numbers lead from representative to representative. The way that is
    /// returned is one of the system itself: from each state on it, the action
    /// is taken that leads to a state that is equal to the next representative.
    pub(crate) fn way<M: Model>(
        &self,
        model: &M,
        last: u32,
        property: u32,
    ) -> Violation<M::Action> {
        let mut choices = Vec::new();
        let mut at = self.0[last as usize];
        while at.parent != Origin::NOBODY {
            choices.push(at.action as usize);
            at = self.0[at.parent as usize];
        }
        choices.reverse();
        let initial = at.action as usize;
        let mut state = model.initial().swap_remove(initial);
        let mut known = model.representative(state.clone());
        let (mut way, mut is_run) = (Vec::new(), true);
        for choice in choices {
            let mut actions = Vec::new();
            model.actions(&known, &mut actions);
            let intended = actions.swap_remove(choice);
            let next = model
                .apply(&known, &intended)
                .expect("what was possible stays possible");
            known = model.representative(next);
            if let Some((action, next)) = step_towards(model, &state, &known, choice) {
                way.push(action);
                state = next;
            } else {
                is_run = false;
                way.push(intended);
                state = known.clone();
            }
        }
        Violation {
            property,
            actions: way,
            initial,
            is_run,
        }
    }
}

/// Finds an action that leads to a state that is known by `wanted`; looks at
/// the one at `first` first.
fn step_towards<M: Model>(
    model: &M,
    state: &M::State,
    wanted: &M::State,
    first: usize,
) -> Option<(M::Action, M::State)> {
    let mut actions = Vec::new();
    model.actions(state, &mut actions);
    let first = first.min(actions.len());
    let order = actions[first..].iter().chain(&actions[..first]);
    for action in order {
        if let Some(next) = model.apply(state, action)
            && model.representative(next.clone()) == *wanted
        {
            return Some((action.clone(), next));
        }
    }
    None
}
