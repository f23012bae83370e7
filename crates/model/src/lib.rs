//! The checked topology of an infrastructure and its graph.
