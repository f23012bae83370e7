//! Whole sessions against the simulated cloud, in jumping time.

#![expect(clippy::unwrap_used, reason = "a test ends where something fails")]

mod clock;
mod crashes;
mod failures;
mod inbox;
mod lives;
mod origins;
mod recovery;
mod world;
