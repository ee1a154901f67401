//! Every test that crosses crates, in one binary.

mod architecture;
mod editor;
mod quickstart;
mod readme;

use std::path::PathBuf;

/// The checkout.
fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the package lies in the checkout")
        .to_path_buf()
}
