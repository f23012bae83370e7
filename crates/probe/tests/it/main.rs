//! Checks against real peers: listeners of the tests, the system's own echoes
//! and a real database.

#![expect(
    clippy::print_stdout,
    reason = "a test that cannot run says so where the results are read"
)]

mod basic;
mod elsewhere;
mod mariadb;
mod mysql_peers;
mod support;
mod urls;
