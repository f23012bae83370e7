//! What the rules find and what they leave alone.

mod case;
mod corpus;
mod hostile;
mod policy;
mod running;
mod safety;
mod support;
mod variants;
