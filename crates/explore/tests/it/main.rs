//! Simulated lives of infrastructures.

mod adoption;
mod behaviour;
mod build;
mod lives;
mod regressions;
mod scripted;
