//! Reads from real Redis servers.

mod hostile;
mod server;
mod whole;
