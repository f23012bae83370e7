//! Tests of the document reader through its public interface.

mod corpus;
mod includes;
mod invariants;
mod mistakes;
mod robustness;
mod tags;
mod values;
