//! Provider `sim`: a simulated cloud that is kept in files.
//!
//! The cloud itself is [`zenekar_simcloud::SimCloud`]. This crate gives it a
//! directory, so that a killed `zenekar` meets the same cloud again and several
//! processes can share one, and puts it behind the provider trait.
//!
//! Architecture invariant: no clock of its own. The runtime hands a
//! [`SimClock`] in; compressing and jumping time is done there.

mod descriptor;
mod error;
mod files;
mod provider;
mod storage;

pub use error::SimError;
pub use files::{Anchor, Overview, SimFiles};
pub use provider::{BoxFuture, SimClock, SimProvider};
