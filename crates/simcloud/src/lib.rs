//! A cloud as a pure, deterministic state machine.
//!
//! The same engine runs against real providers and against this cloud. It is
//! driven from outside: [`SimCloud::submit`] hands a call in,
//! [`SimCloud::advance`] lets time pass and returns the replies that are due.
//! A call has its *effect* at an instant of its own, which lies before the
//! reply, after it (a time-out of unknown outcome), or nowhere (an error).
//!
//! What could go differently in the world is decided by a [`Chooser`]: by the
//! seeded dice of [`SeededChooser`], or by an explorer that tries everything.
//!
//! Architecture invariant: no input or output, no clock, no randomness of its
//! own, no threads, no hash maps. Two clouds that were given the same inputs
//! and the same choices are equal, and serialise to the same bytes.

pub mod admin;
pub mod choice;
pub mod cloud;
mod effects;
pub mod ledger;
pub mod request;
mod resource;
pub mod settings;
pub mod untimed;

pub use admin::{Intervention, Plant};
pub use choice::{
    Benign, BootFate, CallKind, ChoiceKind, Chooser, Footprint, LifeFate, Object, Outcome,
    Outcomes, SeededChooser, SpanKind,
};
pub use cloud::{Counters, SimCloud};
pub use ledger::{Ledger, LedgerEntry};
pub use request::{CreateInstance, Reply, Request, Response, Scope};
pub use settings::{PROFILES, Quota, Rates, Settings, SpanRange, Spans};
pub use untimed::{Change, Creation, Machine, UntimedCloud, nameless};
