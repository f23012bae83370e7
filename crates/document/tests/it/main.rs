//! Tests of the document reader through its public interface.

mod includes;
mod mistakes;
mod robustness;
mod values;
