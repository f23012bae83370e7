//! Sessions and traversals, as values and over real sockets.

mod client;
mod contract;
mod drive;
mod instrument;
mod nodes;
mod orchestrated;
mod scripts;
mod session;
mod steered;
mod traversal;
