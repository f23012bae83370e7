//! Exploring everything that a system can do.
//!
//! A [`Model`] says where a system begins and what can happen next; a search
//! goes through all of it, or as much as its [`Budget`] allows, and says which.
//! Nothing here knows of clouds.
//!
//! Architecture invariant: the outcome is the same for every number of threads
//! and in every run. Tables of hashes are asked and never iterated, and there
//! is no clock: who wants a budget of time passes a [`Stop`] that has one.

pub mod classes;
pub mod fingerprint;
pub mod graph;
pub mod histories;
pub mod lasso;
pub mod model;
pub mod natural;
pub mod outcome;
pub mod runs;

mod best;
mod breadth;
mod components;
mod depth;
mod expand;
mod seen;
mod threads;
mod walk;

pub use classes::{ClassCount, Estimate, Estimated, count_classes, estimate};
pub use fingerprint::Fingerprint128;
pub use graph::{Edge, Graph, Identity};
pub use histories::{Access, Exchange, HistoryCount, Shared, count_histories};
pub use lasso::{Lasso, Liveness, find_lasso};
pub use model::{Model, STUCK};
pub use natural::Natural;
pub use outcome::{Budget, End, Outcome, Progress, Stop, Strategy, Violation, never};
pub use runs::{RunCount, Uncounted, count_runs};

use walk::Choice;

/// Changes of priority at most: with more of them the order is as good as random.
const PCT_CHANGES_MAX: u32 = 1_000;

/// Explores a model in the order of a strategy until there is nothing else, the
/// budget is used up, or the caller says stop.
pub fn search<M: Model>(
    model: &M,
    strategy: &Strategy,
    budget: &Budget,
    stop: Stop<'_>,
) -> Outcome<M::Action> {
    match *strategy {
        Strategy::Breadth => breadth::search(model, budget, stop),
        Strategy::Depth => depth::search(model, budget, stop),
        Strategy::Random { seed, walks } => {
            walk::search(model, Choice::Uniform, seed, walks, budget, stop)
        }
        Strategy::Pct { seed, depth, walks } => {
            let changes = depth.saturating_sub(1).min(PCT_CHANGES_MAX);
            let choice = Choice::Priorities { changes };
            walk::search(model, choice, seed, walks, budget, stop)
        }
        Strategy::Best => best::search(model, budget, stop),
    }
}
