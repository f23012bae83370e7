//! The checked topology of an infrastructure and its graph.
//!
//! A front-end turns text into a [`Topology`]; everything later sees only
//! checked data. Architecture invariant: this crate knows no descriptor
//! syntax and no provider.

pub mod behaviour;
pub mod contextualise;
pub mod graph;
pub mod topology;

pub use behaviour::{
    Behaviour, Behaviours, Contact, ForeignSecret, Give, Need, Origin, Place, Quantifier, Segment,
};
pub use contextualise::{RenderError, RenderInput, Rendered, Renderer};
pub use topology::{
    AddressChange, Contextualisation, CountRange, Definition, Dependency, Health, Implementation,
    Mapping, MysqlCheck, Node, NodeFingerprint, NodeIndex, Topology, TopologyError, TopologyParts,
    UpdateLimits,
};
