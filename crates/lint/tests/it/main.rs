//! What the rules find and what they leave alone.

mod corpus;
mod support;
