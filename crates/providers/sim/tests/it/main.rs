//! Tests of provider `sim` through its public interface.

mod conformance;
mod files;
mod provider;
mod support;
