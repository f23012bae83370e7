//! Contextualisation of nodes that are directories.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on fails where it stands"
)]

mod node;
mod plain;
