//! Drives engine, store and providers: tasks, timers, journal, recovery.
//!
//! One [`Session`] owns one engine and is the only one that changes it. It
//! makes the engine's facts durable in the store, starts the calls that came
//! after them as tasks, and hands the answers back.
//!
//! What holds, whatever happens to the process:
//! - A call starts only when every fact that the engine gave before it is
//!   durable. If a fact cannot be made durable, no call starts any more.
//! - Only the holder of the store's lease leads; who loses it stops at once.
//! - A request in the inbox is marked as applied in the same durable step as
//!   the facts that apply it.
//!
//! Architecture invariant: this is the only crate with a clock, and it knows
//! neither terminals nor HTTP.

mod bindings;
mod calls;
mod cancel;
mod clock;
mod crash;
mod error;
mod host;
mod inbox;
pub mod limits;
mod observer;
mod recovery;
mod session;
mod turn;
mod writer;

pub use bindings::StoreBindings;
pub use cancel::{Cancel, CancelHandle};
pub use clock::{Clock, Pace, Participant, Sleep};
pub use error::RuntimeError;
pub use host::{Host, SharedStore};
pub use inbox::{InboxRequest, submit, wait_applied};
pub use observer::{Observer, Silent};
pub use recovery::read_entries;
pub use session::{Outcome, Session, Until};
