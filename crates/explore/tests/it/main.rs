//! Simulated lives of infrastructures.

mod behaviour;
mod build;
mod lives;
mod regressions;
mod scripted;
