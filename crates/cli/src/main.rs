//! The custodia command.
fn main() {}
