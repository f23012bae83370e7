//! Tests of the simulated cloud through its public interface.

mod calls;
mod determinism;
mod failures;
mod foreign;
mod lists;
mod model;
mod support;
