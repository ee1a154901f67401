//! Writes libtorch's folder into this package's binaries and tests as their run path, so that they start from anywhere
//! without environment variables.

use std::env;
use std::fs;
use std::path::Path;

fn main() {
    println!("cargo::rerun-if-env-changed=LIBTORCH");
    println!("cargo::rerun-if-changed=build.rs");
    let Some(root) = env::var_os("LIBTORCH") else {
        return;
    };
    // Canonical: the link may be replaced or the checkout moved while built binaries live on in a shared target folder.
    if let Ok(lib) = fs::canonicalize(Path::new(&root).join("lib")) {
        println!("cargo::rustc-link-arg=-Wl,-rpath,{}", lib.display());
    }
}
