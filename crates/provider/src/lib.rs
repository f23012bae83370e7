//! The provider trait and its conformance suite.
