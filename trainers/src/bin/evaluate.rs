//! `evaluate`.
fn main() {}
