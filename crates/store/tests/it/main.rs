//! The store against crashes, damage, full disks and other processes.

#![expect(clippy::unwrap_used, reason = "a test that panics says where")]
#![expect(
    clippy::print_stderr,
    reason = "a skipped case says that it was skipped"
)]

mod inbox;
mod journal;
mod lease;
mod support;
