//! Simulated lives of infrastructures.

mod adoption;
mod behaviour;
mod build;
mod doubt;
mod hybrid;
mod lives;
mod regressions;
mod release;
mod script;
mod scripted;
