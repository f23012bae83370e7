//! Tests of the front-end from the outside.

mod corpus;
