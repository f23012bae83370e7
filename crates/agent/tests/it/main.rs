//! Contextualisation of nodes, through the public interface.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on fails where it stands"
)]

mod differential;
mod inside;
mod node;
mod plain;
mod rig;
mod robustness;
