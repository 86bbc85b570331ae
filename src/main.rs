//! The `hermitcrab` command.

fn main() {}
