//! The service over real sockets, with operations that follow a script.

mod client;
mod contract;
mod limits;
mod script;
