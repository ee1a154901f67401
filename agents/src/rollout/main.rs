//! `rollout`.
fn main() {}
