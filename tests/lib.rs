//! Tests that cross crates; the package holds nothing else.
