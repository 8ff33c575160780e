//! Xingka.
fn main() {}
