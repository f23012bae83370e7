//! Tests of provider `ec2`: against a scripted peer, and against the simulator
//! of `tests/env/ec2` where its variables are set.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::format_push_string,
    reason = "a test ends where something fails, says what it leaves out, and is not fast"
)]

mod conformance;
mod credentials;
mod failures;
mod groups;
mod lists;
mod peer;
mod preflight;
mod simulator;
mod support;
