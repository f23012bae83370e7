//! The provider's processes, started for real on this machine.

mod network;
