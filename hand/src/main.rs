//! `hand`: look into models of hands.

fn main() {}
