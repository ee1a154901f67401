//! Opens the editor.

fn main() {}
