//! Formulas over runs: a few fixed forms around predicates over states.

use crate::predicate::Predicate;
use crate::valuation::{NameRef, NodeRef};

/// What must be true of a run.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Shape {
    /// In every state.
    Always(Predicate),
    /// The second in some state, and the first in all states before it.
    Until(Predicate, Predicate),
    /// After each state with the first, or in it, there is one with the second.
    LeadsTo(Predicate, Predicate),
    /// No state with the second comes after one with the first.
    NeverThen(Predicate, Predicate),
}

/// A shape, its time bound, and what it has to remember.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Formula {
    pub(crate) shape: Shape,
    /// How much time there is, in milliseconds.
    pub(crate) within_ms: Option<u32>,
    /// What stands inside `once`, inner ones first.
    pub(crate) once: Vec<Predicate>,
}

impl Formula {
    /// Shows each reported value that is looked at.
    pub(crate) fn visit(&self, see: &mut dyn FnMut(NodeRef, NameRef)) {
        let (one, other) = match &self.shape {
            Shape::Always(one) => (one, None),
            Shape::Until(one, other)
            | Shape::LeadsTo(one, other)
            | Shape::NeverThen(one, other) => (one, Some(other)),
        };
        for predicate in self.once.iter().chain([one]).chain(other) {
            predicate.visit(see);
        }
    }
}
