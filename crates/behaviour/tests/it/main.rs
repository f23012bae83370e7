//! Behaviours that are derived from whole descriptors.

mod corpus;
mod examples;
mod fixtures;
mod hostile;
mod support;
