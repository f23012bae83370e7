//! What has to be true of every run: predicates over global states, temporal
//! formulas over runs, and monitors that follow runs.
//!
//! [`Reader`] takes SZTAKI's scenario files as they are, and formulas in a small
//! language of our own (`docs/properties.md` has its grammar and its meaning).
//! Each [`Property`] compiles to a [`Monitor`], whose state is eight bytes, so
//! that an explorer can keep it with each global state. What a formula asks of a
//! global state comes through [`Valuation`], which the caller implements.
//!
//! Architecture invariant: nothing in this crate knows clouds, engines or how
//! states are explored, and no text is ever evaluated that was not parsed.

mod datum;
mod expected;
mod formula;
mod lexer;
pub mod limits;
mod mistake;
mod monitor;
mod parser;
mod predicate;
mod reader;
mod set;
mod valuation;

pub use datum::Datum;
pub use monitor::{Monitor, MonitorState, Verdict};
pub use reader::Reader;
pub use set::{Origin, Property, PropertySet};
pub use valuation::{NameRef, NodeRef, Valuation};
