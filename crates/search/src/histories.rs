//! Counting classes of runs by what each actor has lived through, also up to
//! who is who, without walking one run of each class.
//!
//! Two runs are of one class if and only if each actor did the same things and
//! each shared object saw the same writes in the same order, with the same
//! reads between them. So a class is known by the histories of its actors: what
//! each did, and how many writes and reads each object it touched had seen by
//! then. A history names no other actor. So classes that differ only in which
//! of several equal actors has which history have the same *collection* of
//! histories, and that is what is counted.

use std::collections::{BTreeMap, HashSet};
use std::hash::BuildHasherDefault;

use crate::fingerprint::{AsItIs, Fingerprint128};
use crate::model::Model;
use crate::outcome::{Budget, End, Progress, Stop};

/// That an action touches an object which several actors share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Access {
    /// The object. Objects that belong to one of several equal actors may be
    /// touched by that one only, and then need not be named.
    pub object: u64,
    /// Whether it is changed. Reads of one object are independent of each other.
    pub is_write: bool,
}

/// A model in which it is known which objects an action touches.
///
/// Actions of one actor depend on each other; those of different actors do if
/// and only if both touch one object and one of them writes it.
pub trait Shared: Model {
    /// Returns what kind of actor one is ([`Model::actor`]). Actors of one kind
    /// may be exchanged for each other: the model does not tell them apart.
    fn kind(&self, actor: u32) -> u64;

    /// Returns what an action does, whichever actor of a kind does it.
    fn label(&self, state: &Self::State, action: &Self::Action) -> u64;

    /// Appends the objects that an action touches, each once.
    fn accesses(&self, state: &Self::State, action: &Self::Action, accesses: &mut Vec<Access>);
}

/// Which classes are one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exchange {
    /// Actors keep their names.
    Nobody,
    /// Classes are one that differ in which of several actors of one kind is
    /// which.
    EqualActors,
}

/// What was counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HistoryCount {
    /// Why the count ended. Unless it is [`End::Exhausted`], there may be more.
    pub end: End,
    /// Classes of whole runs.
    pub classes: u64,
    /// Classes of beginnings that were gone through.
    pub beginnings: u64,
}

/// Only asked, never iterated.
type Known = HashSet<Fingerprint128, BuildHasherDefault<AsItIs>>;

/// What an object has seen.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    writes: u64,
    /// Since the last write.
    reads: u64,
}

/// A class of beginnings of runs, by one of them.
#[derive(Clone)]
struct Beginning<S> {
    state: S,
    /// Those of actors that did something.
    histories: BTreeMap<u32, Fingerprint128>,
    objects: BTreeMap<u64, Seen>,
    /// The sum of what stands for each named history: it does not depend on
    /// their order, and changes with one of them without looking at the others.
    class: u128,
}

/// What an action adds to a beginning.
struct Addition {
    actor: u32,
    history: Fingerprint128,
    class: u128,
}

/// Counts the classes of the runs of a model without cycles.
///
/// What [`Model::ample`] lets wait does wait: no class is lost by it, and there
/// are far fewer beginnings. Of the budget, states (here: beginnings) and depth
/// count. With [`Exchange::EqualActors`], time and memory do not grow with the
/// number of ways in which equal actors can be exchanged.
pub fn count_histories<M: Shared>(
    model: &M,
    exchange: Exchange,
    budget: &Budget,
    stop: Stop<'_>,
) -> HistoryCount {
    let mut count = HistoryCount {
        end: End::Exhausted,
        classes: 0,
        beginnings: 0,
    };
    let mut counting = Count {
        model,
        exchange,
        known: Known::default(),
        actions: Vec::new(),
        accesses: Vec::new(),
    };
    for (initial, state) in model.initial().into_iter().enumerate() {
        let mut level = vec![Beginning {
            state,
            histories: BTreeMap::new(),
            objects: BTreeMap::new(),
            class: Fingerprint128::of(&initial).0,
        }];
        let mut depth = 0;
        while !level.is_empty() {
            count.beginnings += level.len() as u64;
            let progress = Progress {
                unique: count.beginnings,
                generated: 0,
                depth,
                frontier: level.len() as u64,
            };
            if let Some(end) = limit(budget, &progress, stop) {
                count.end = end;
                return count;
            }
            let mut next = Vec::new();
            for beginning in level {
                count.classes += u64::from(!counting.lengthen(&beginning, &mut next));
            }
            level = next;
            depth = depth.saturating_add(1);
        }
    }
    count
}

fn limit(budget: &Budget, progress: &Progress, stop: Stop<'_>) -> Option<End> {
    if progress.unique > budget.states_max {
        Some(End::States)
    } else if progress.depth > budget.depth_max {
        Some(End::Depth)
    } else if stop(progress) {
        Some(End::Stopped)
    } else {
        None
    }
}

/// A count under way.
struct Count<'a, M: Model> {
    model: &'a M,
    exchange: Exchange,
    known: Known,
    actions: Vec<M::Action>,
    accesses: Vec<Access>,
}

impl<M: Shared> Count<'_, M> {
    /// Adds the beginnings that are longer by one action, and new; says whether
    /// there are any, new or not.
    fn lengthen(
        &mut self,
        beginning: &Beginning<M::State>,
        next: &mut Vec<Beginning<M::State>>,
    ) -> bool {
        let mut actions = std::mem::take(&mut self.actions);
        actions.clear();
        self.model.actions(&beginning.state, &mut actions);
        // Beginnings only grow longer, so nothing waits for ever.
        let chosen = self.model.ample(&beginning.state, &actions);
        let mut can = false;
        for place in chosen.unwrap_or_default() {
            can |= self.follow(beginning, &actions[place], next);
        }
        if !can {
            for action in &actions {
                can |= self.follow(beginning, action, next);
            }
        }
        self.actions = actions;
        can
    }

    /// Adds the beginning that is longer by an action, if it is new; says
    /// whether the action changes anything.
    fn follow(
        &mut self,
        beginning: &Beginning<M::State>,
        action: &M::Action,
        next: &mut Vec<Beginning<M::State>>,
    ) -> bool {
        let Some(state) = self.model.apply(&beginning.state, action) else {
            return false;
        };
        let addition = self.addition(beginning, action);
        if self.known.insert(Fingerprint128(addition.class)) {
            next.push(self.longer(beginning, state, addition));
        }
        true
    }

    /// Works out the history of whoever acts; the accesses stay for [`Self::longer`].
    fn addition(&mut self, beginning: &Beginning<M::State>, action: &M::Action) -> Addition {
        let state = &beginning.state;
        self.accesses.clear();
        self.model.accesses(state, action, &mut self.accesses);
        self.accesses.sort_unstable();
        let saw = self.accesses.iter().map(|access| {
            let seen = beginning.objects.get(&access.object);
            let seen = seen.copied().unwrap_or_default();
            // Other reads since the last write do not matter to a read.
            let reads = if access.is_write { seen.reads } else { 0 };
            (*access, seen.writes, reads)
        });
        let saw: Vec<_> = saw.collect();
        let actor = self.model.actor(action);
        let before = beginning.histories.get(&actor).copied();
        let label = self.model.label(state, action);
        let history = Fingerprint128::of(&(before.map(|one| one.0), label, saw));
        let old = before.map_or(0, |before| self.term(actor, before));
        let class = beginning.class.wrapping_sub(old);
        Addition {
            actor,
            history,
            class: class.wrapping_add(self.term(actor, history)),
        }
    }

    /// Returns what stands for a history and whose it is.
    fn term(&self, actor: u32, history: Fingerprint128) -> u128 {
        let name = match self.exchange {
            Exchange::Nobody => u64::from(actor),
            Exchange::EqualActors => self.model.kind(actor),
        };
        Fingerprint128::of(&(name, history.0)).0
    }

    fn longer(
        &self,
        beginning: &Beginning<M::State>,
        state: M::State,
        addition: Addition,
    ) -> Beginning<M::State> {
        let mut longer = Beginning {
            state,
            histories: beginning.histories.clone(),
            objects: beginning.objects.clone(),
            class: addition.class,
        };
        longer.histories.insert(addition.actor, addition.history);
        for access in &self.accesses {
            let seen = longer.objects.entry(access.object).or_default();
            if access.is_write {
                seen.writes += 1;
                seen.reads = 0;
            } else {
                seen.reads += 1;
            }
        }
        longer
    }
}
