//! Spans, diagnostics with stable codes, and their renderers.
//!
//! A [`Diagnostic`] is plain data: a code from the registry in [`codes`], one
//! terse message, places in texts of a [`SourceMap`], and help. How it looks
//! is decided by one of the renderers, never by who reports it.
//!
//! Architecture invariant: nothing in this crate knows YAML, a descriptor
//! format or a terminal.

pub mod codes;
mod diagnostic;
mod page;
mod render;
mod source;
mod suggest;

pub use codes::Code;
pub use diagnostic::{Diagnostic, Fix, Label, Severity};
pub use page::documentation_page;
pub use render::{JSON_SCHEMA_VERSION, render_concise, render_human, render_json};
pub use source::{FileId, Position, SourceMap, Span};
pub use suggest::did_you_mean;
