//! The zenekar command.
fn main() {}
