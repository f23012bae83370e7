//! What can be said about one global state, and whether it holds.

use std::sync::Arc;

use crate::datum::{Comparison, Datum, Literal, Number};
use crate::valuation::{NameRef, NodeRef, Valuation};

/// How many instances of a node something must hold for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Quantifier {
    All,
    Any,
    None,
    Exactly(u32),
    AtLeast(u32),
}

impl Quantifier {
    const fn admits(self, matching: u32, all: u32) -> bool {
        match self {
            Self::All => matching >= all,
            Self::Any => matching > 0,
            Self::None => matching == 0,
            Self::Exactly(count) => matching == count,
            Self::AtLeast(count) => matching >= count,
        }
    }
}

/// What is counted over a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tally {
    Count,
    Ready,
    Serving,
    Finished,
}

impl Tally {
    pub(crate) fn of_word(word: &str) -> Option<Self> {
        Some(match word {
            "count" => Self::Count,
            "ready" => Self::Ready,
            "serving" => Self::Serving,
            "finished" => Self::Finished,
            _ => return None,
        })
    }

    fn of(self, node: NodeRef, valuation: &dyn Valuation) -> u32 {
        match self {
            Self::Count => valuation.count(node),
            Self::Ready => valuation.ready(node),
            Self::Serving => valuation.serving(node),
            Self::Finished => valuation.finished(node),
        }
    }
}

/// A sum of counts and numbers.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Sum {
    pub(crate) constant: i64,
    /// What is added, or subtracted where the second is true.
    pub(crate) tallies: Vec<(Tally, NodeRef, bool)>,
}

impl Sum {
    pub(crate) fn evaluate(&self, valuation: &dyn Valuation) -> i64 {
        self.tallies
            .iter()
            .fold(self.constant, |sum, (tally, node, is_subtracted)| {
                let number = i64::from(tally.of(*node, valuation));
                if *is_subtracted {
                    sum.saturating_sub(number)
                } else {
                    sum.saturating_add(number)
                }
            })
    }
}

/// The other side of a comparison with what an instance has.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Operand {
    Literal(Literal),
    Sum(Sum),
}

/// What is asked of what one instance has.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Test {
    Compare(Comparison, Operand),
    Contains(String),
    Between(Number, Number),
}

/// What is looked at in one instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    Tally(Tally),
    Breakpoint,
    Value(NameRef),
}

/// Something about a number of the instances of a node.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Quantified {
    pub(crate) quantifier: Quantifier,
    pub(crate) node: NodeRef,
    pub(crate) subject: Subject,
    pub(crate) test: Test,
}

impl Quantified {
    fn holds(&self, valuation: &dyn Valuation) -> bool {
        let all = valuation.count(self.node);
        let matching = match self.subject {
            Subject::Tally(tally) => tally.of(self.node, valuation),
            Subject::Breakpoint => self.matching(all, valuation, |instance| {
                let number = valuation.breakpoint(self.node, instance);
                Some(Datum::Integer(i64::from(number)))
            }),
            Subject::Value(name) => self.matching(all, valuation, |instance| {
                valuation.value(self.node, instance, name)
            }),
        };
        self.quantifier.admits(matching, all)
    }

    /// Counts the instances that pass the test; what was not reported passes none.
    fn matching<'v>(
        &self,
        all: u32,
        valuation: &'v dyn Valuation,
        datum_of: impl Fn(u32) -> Option<Datum<'v>>,
    ) -> u32 {
        let computed;
        let compared = match &self.test {
            Test::Compare(comparison, Operand::Literal(literal)) => Some((*comparison, literal)),
            Test::Compare(comparison, Operand::Sum(sum)) => {
                computed = Literal::Number(Number::Integer(sum.evaluate(valuation)));
                Some((*comparison, &computed))
            }
            Test::Contains(_) | Test::Between(..) => None,
        };
        let passes = |datum: Datum<'_>| match (&self.test, compared) {
            (Test::Contains(part), _) => datum.contains(part),
            (Test::Between(low, high), _) => datum.is_between(*low, *high),
            (Test::Compare(..), Some((comparison, literal))) => datum.compares(comparison, literal),
            (Test::Compare(..), None) => false,
        };
        let mut matching = 0;
        for instance in 0..all {
            if datum_of(instance).is_some_and(passes) {
                matching += 1;
            }
        }
        matching
    }
}

/// Something that holds in a global state, or does not.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Predicate {
    Constant(bool),
    Not(Box<Predicate>),
    All(Vec<Predicate>),
    Any(Vec<Predicate>),
    /// Both hold, or neither.
    Same(Box<Predicate>, Box<Predicate>),
    Compare(Sum, Comparison, Sum),
    Quantified(Arc<Quantified>),
    /// What has held before or holds now, by its number.
    Once(u8),
}

impl Predicate {
    /// Says whether it holds. `once` has a bit for each use of `once`, up to date.
    pub(crate) fn holds(&self, valuation: &dyn Valuation, once: u16) -> bool {
        match self {
            Self::Constant(truth) => *truth,
            Self::Not(inner) => !inner.holds(valuation, once),
            Self::All(parts) => parts.iter().all(|part| part.holds(valuation, once)),
            Self::Any(parts) => parts.iter().any(|part| part.holds(valuation, once)),
            Self::Same(left, right) => left.holds(valuation, once) == right.holds(valuation, once),
            Self::Compare(left, comparison, right) => {
                let order = left.evaluate(valuation).cmp(&right.evaluate(valuation));
                comparison.admits(order)
            }
            Self::Quantified(quantified) => quantified.holds(valuation),
            Self::Once(number) => once & (1 << number) != 0,
        }
    }

    /// Shows each reported value that is looked at.
    pub(crate) fn visit(&self, see: &mut dyn FnMut(NodeRef, NameRef)) {
        match self {
            Self::Constant(_) | Self::Compare(..) | Self::Once(_) => {}
            Self::Not(inner) => inner.visit(see),
            Self::All(parts) | Self::Any(parts) => {
                for part in parts {
                    part.visit(see);
                }
            }
            Self::Same(left, right) => {
                left.visit(see);
                right.visit(see);
            }
            Self::Quantified(quantified) => {
                if let Subject::Value(name) = quantified.subject {
                    see(quantified.node, name);
                }
            }
        }
    }
}
