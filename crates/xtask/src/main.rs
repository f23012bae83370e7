//! Everything that CI does, as one command.
fn main() {}
