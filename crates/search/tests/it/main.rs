//! Explorations whose numbers are known from elsewhere.

mod breadth;
mod counting;
mod liveness;
mod random_models;
mod strategies;
mod two_phase;
mod waiting;
