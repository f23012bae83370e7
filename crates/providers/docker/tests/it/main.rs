//! The provider against a real engine.

mod bench;
mod conformance;
mod containers;
mod crashes;
mod machines;
mod remote;
mod trouble;
