//! The execution tree: which global states the runs came to, by which steps.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::limits::{STATES_WITH_DATA_MAX, TREE_STATES_MAX};
use crate::process::{CollectiveBreakpoint, ProcessName};
use crate::session::{GlobalState, Outcome, ProcessData};

/// A place in the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TreeId(pub u32);

impl TreeId {
    const fn index(self) -> usize {
        self.0 as usize
    }
}

/// What kind of global state it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// All processes are at their first breakpoints.
    Root,
    /// Several processes can go on: there is a choice.
    Alternative,
    /// One process can go on.
    Deterministic,
    /// All processes have finished.
    Final,
    /// A process did not come.
    Stuck,
}

/// A global state, at the end of the steps that lead to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TreeState {
    /// Where the processes are.
    pub breakpoints: CollectiveBreakpoint,
    /// What kind of state it is.
    pub kind: Kind,
    /// The state before; none for the root.
    pub parent: Option<TreeId>,
    /// The process that was let go there.
    pub stepped: Option<ProcessName>,
    /// The processes that can go on.
    pub unfinished: Vec<ProcessName>,
    /// What comes after, by the process that is let go.
    pub children: BTreeMap<ProcessName, TreeId>,
    /// Whether every way on from here was run.
    pub exhausted: bool,
    /// How many runs came here.
    pub visits: u64,
    /// The names of the properties that were violated here.
    pub violated: BTreeSet<String>,
    /// What the processes reported in the last run that came here, by node; empty
    /// in trees with very many states.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub data: BTreeMap<String, Vec<ProcessData>>,
}

/// Why a state cannot be added.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TreeError {
    /// The same steps led to another state before.
    #[error("the same steps led to {before} before, and to {now} now")]
    NotReproducible {
        /// The state of the earlier run.
        before: CollectiveBreakpoint,
        /// The state of this run.
        now: CollectiveBreakpoint,
    },
    /// The tree has as many states as it can have.
    #[error("the execution tree has more than {TREE_STATES_MAX} states")]
    TooLarge,
}

/// All runs of an infrastructure so far. It is stored as the list of its states.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Vec<TreeState>", try_from = "Vec<TreeState>")]
pub struct ExecutionTree {
    states: Vec<TreeState>,
}

impl From<ExecutionTree> for Vec<TreeState> {
    fn from(tree: ExecutionTree) -> Self {
        tree.states
    }
}

/// A list of states that is no tree.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the states are no execution tree: that with the number {0} does not fit its neighbours")]
pub struct NotATree(pub usize);

impl TryFrom<Vec<TreeState>> for ExecutionTree {
    type Error = NotATree;

    fn try_from(states: Vec<TreeState>) -> Result<Self, NotATree> {
        if states.len() > TREE_STATES_MAX {
            return Err(NotATree(TREE_STATES_MAX));
        }
        for (index, state) in states.iter().enumerate() {
            let is_known_above = match (state.parent, &state.stepped) {
                (None, None) => index == 0,
                (Some(parent), Some(stepped)) if parent.index() < index => {
                    let child = states[parent.index()].children.get(stepped);
                    child.is_some_and(|child| child.index() == index)
                }
                _ => false,
            };
            let is_known_below = state.children.values().all(|child| {
                let child = states.get(child.index());
                let parent = child.and_then(|child| child.parent);
                parent.is_some_and(|parent| parent.index() == index)
            });
            if !is_known_above || !is_known_below {
                return Err(NotATree(index));
            }
        }
        Ok(Self { states })
    }
}

impl ExecutionTree {
    /// Returns the root; none before the first run came to it.
    pub fn root(&self) -> Option<TreeId> {
        (!self.states.is_empty()).then_some(TreeId(0))
    }

    /// Returns a state.
    pub fn get(&self, id: TreeId) -> Option<&TreeState> {
        self.states.get(id.index())
    }

    /// Returns all states, the root first, each after its parent.
    pub fn states(&self) -> &[TreeState] {
        &self.states
    }

    /// Returns how many different collective breakpoints there are.
    pub fn distinct(&self) -> usize {
        let breakpoints: BTreeSet<_> = self.states.iter().map(|one| &one.breakpoints).collect();
        breakpoints.len()
    }

    /// Returns how many complete runs differ.
    pub fn leaves(&self) -> usize {
        let ends = [Kind::Final, Kind::Stuck];
        self.states
            .iter()
            .filter(|state| ends.contains(&state.kind))
            .count()
    }

    /// Goes from a state (none: from the beginning) to the one that a step led to.
    pub fn enter(
        &mut self,
        before: Option<TreeId>,
        stepped: Option<&ProcessName>,
        state: &GlobalState,
    ) -> Result<TreeId, TreeError> {
        let known = match (before, stepped) {
            (None, _) | (_, None) => self.root(),
            (Some(before), Some(stepped)) => self
                .get(before)
                .and_then(|before| before.children.get(stepped).copied()),
        };
        let kind = kind_of(state, before.is_none());
        if let Some(known) = known {
            let Some(found) = self.states.get_mut(known.index()) else {
                return Ok(known);
            };
            if found.breakpoints != state.breakpoints {
                return Err(TreeError::NotReproducible {
                    before: found.breakpoints.clone(),
                    now: state.breakpoints.clone(),
                });
            }
            // A process that was stuck in one run may come in the next.
            found.kind = kind;
            found.unfinished.clone_from(&state.unfinished);
            found.visits += 1;
            if known.index() < STATES_WITH_DATA_MAX {
                found.data.clone_from(&state.data);
            }
            return Ok(known);
        }
        if self.states.len() == TREE_STATES_MAX {
            return Err(TreeError::TooLarge);
        }
        let id = TreeId(u32::try_from(self.states.len()).unwrap_or(u32::MAX));
        self.states.push(TreeState {
            breakpoints: state.breakpoints.clone(),
            kind,
            parent: before,
            stepped: stepped.cloned(),
            unfinished: state.unfinished.clone(),
            children: BTreeMap::new(),
            exhausted: false,
            visits: 1,
            violated: BTreeSet::new(),
            data: if self.states.len() < STATES_WITH_DATA_MAX {
                state.data.clone()
            } else {
                BTreeMap::new()
            },
        });
        if let (Some(before), Some(stepped)) = (before, stepped)
            && let Some(before) = self.states.get_mut(before.index())
        {
            before.children.insert(stepped.clone(), id);
        }
        Ok(id)
    }

    /// Says that a property is violated in a state.
    pub fn mark_violated(&mut self, id: TreeId, property: &str) {
        if let Some(state) = self.states.get_mut(id.index()) {
            state.violated.insert(property.to_owned());
        }
    }

    /// Ends a run in a state. What was run to all its ends is exhausted.
    pub fn finish(&mut self, leaf: TreeId, outcome: &Outcome) {
        if !matches!(outcome, Outcome::Finished | Outcome::Stuck(_)) {
            return;
        }
        let mut at = Some(leaf);
        let mut is_leaf = true;
        while let Some(id) = at {
            let Some(state) = self.get(id) else { return };
            let is_exhausted = |child: Option<&TreeId>| {
                child
                    .and_then(|child| self.get(*child))
                    .is_some_and(|child| child.exhausted)
            };
            let is_done = is_leaf
                || state
                    .unfinished
                    .iter()
                    .all(|process| is_exhausted(state.children.get(process)));
            if !is_done {
                return;
            }
            at = state.parent;
            is_leaf = false;
            if let Some(state) = self.states.get_mut(id.index()) {
                state.exhausted = true;
            }
        }
    }

    /// Returns the steps that lead from the root to a state.
    pub fn schedule_to(&self, id: TreeId) -> Vec<ProcessName> {
        let mut steps = Vec::new();
        let mut at = self.get(id);
        while let Some(state) = at {
            steps.extend(state.stepped.clone());
            at = state.parent.and_then(|parent| self.get(parent));
        }
        steps.reverse();
        steps
    }

    /// Returns the replay pointer: the closest state above a leaf from which not
    /// every way was run.
    pub fn replay_pointer(&self, leaf: TreeId) -> Option<TreeId> {
        let mut at = Some(leaf);
        while let Some(id) = at {
            let state = self.get(id)?;
            if !state.exhausted {
                return Some(id);
            }
            at = state.parent;
        }
        None
    }

    /// Finds the first place, from the left, where nobody has been: a state and a
    /// process that was never let go there, unless `is_taken` says that somebody
    /// is about to.
    pub fn first_open(
        &self,
        is_taken: impl Fn(TreeId, &ProcessName) -> bool,
    ) -> Option<(TreeId, ProcessName)> {
        let mut stack: Vec<(TreeId, usize)> = self.root().map(|id| (id, 0)).into_iter().collect();
        while let Some((id, next)) = stack.pop() {
            let Some(state) = self.get(id) else { continue };
            let is_end = matches!(state.kind, Kind::Final | Kind::Stuck);
            let process = state.unfinished.get(next);
            let Some(process) = process.filter(|_| !state.exhausted && !is_end) else {
                continue;
            };
            stack.push((id, next + 1));
            match state.children.get(process) {
                Some(child) => stack.push((*child, 0)),
                None if !is_taken(id, process) => return Some((id, process.clone())),
                None => {}
            }
        }
        None
    }

    /// Returns the first state, by number, in which all processes have finished.
    pub fn first_final(&self) -> Option<TreeId> {
        let at = self
            .states
            .iter()
            .position(|state| state.kind == Kind::Final)?;
        u32::try_from(at).ok().map(TreeId)
    }

    /// Returns the states from the left to the right, each before what follows
    /// it: the same list whatever the order of the runs was.
    pub fn in_order(&self) -> Vec<TreeId> {
        let mut ids = Vec::with_capacity(self.states.len());
        let mut stack: Vec<TreeId> = self.root().into_iter().collect();
        while let Some(id) = stack.pop() {
            ids.push(id);
            let children = self.get(id).map(|state| &state.children);
            stack.extend(children.into_iter().flat_map(|all| all.values().rev()));
        }
        ids
    }

    /// Says whether a complete schedule was run to its end, which may be where a
    /// process was stuck.
    pub fn has_run(&self, schedule: &[ProcessName]) -> bool {
        let mut state = self.states.first();
        for process in schedule {
            if state.is_some_and(|state| state.kind == Kind::Stuck) {
                return true;
            }
            state = state
                .and_then(|state| state.children.get(process))
                .and_then(|child| self.get(*child));
        }
        state.is_some_and(|state| state.exhausted)
    }
}

fn kind_of(state: &GlobalState, is_first: bool) -> Kind {
    match (state.stuck.is_empty(), is_first, state.unfinished.len()) {
        (false, _, _) => Kind::Stuck,
        (true, _, 0) => Kind::Final,
        (true, true, _) => Kind::Root,
        (true, false, 1) => Kind::Deterministic,
        (true, false, _) => Kind::Alternative,
    }
}
