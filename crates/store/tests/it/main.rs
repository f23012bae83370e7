//! The store against crashes, damage, full disks and other processes.

#![expect(clippy::unwrap_used, reason = "a test that panics says where")]
#![allow(
    clippy::print_stderr,
    reason = "a skipped case says that it was skipped"
)]

mod account;
mod child;
mod crash;
mod damage;
mod export;
mod fixture;
mod inbox;
mod journal;
mod lease;
mod limits;
mod log;
mod model;
mod origin;
mod repair;
mod support;
