//! Runs the engine against the simulated cloud: seeds, crashes, verdicts.
//!
//! [`World`] is the whole simulation: the production engine, its journal, a
//! simulated cloud and an adversary that crashes the engine and loses,
//! repeats and delays answers. Everything follows from a seed, so
//! `(seed, commit)` reproduces every run.
//!
//! Architecture invariant: no I/O, no clock, no randomness but the seed.

mod adoption;
pub mod order;
mod scenario;
mod verdict;
mod world;

pub use scenario::{Scenario, topology};
pub use verdict::{Failure, Report, run};
pub use world::{Adversary, World};
