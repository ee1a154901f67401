//! `train`.
fn main() {}
