//! The provider's processes, started for real on this machine.

mod bench;
mod broken;
mod conformance;
mod crashes;
mod guards;
mod inside;
mod network;
mod place;
mod plain;
mod space;
