//! What the engine knows, as text and JSON.

pub(crate) mod event;
pub(crate) mod graph;
pub(crate) mod plan;
pub(crate) mod progress;
pub(crate) mod status;
pub(crate) mod why;
