//! The provider's processes, started for real on this machine.

mod bench;
mod conformance;
mod inside;
mod network;
