//! Contextualisation of nodes that are directories.

mod node;
mod plain;
