//! The network of an infrastructure.
