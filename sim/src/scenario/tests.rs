//! What a scenario file must be, and that every file of the project is.

use std::path::PathBuf;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng as _;

use super::*;

fn files() -> Vec<PathBuf> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../scenarios");
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "toml"))
        .collect();
    files.sort();
    files
}

#[test]
fn every_file_loads_and_draws() {
    for file in files() {
        let loaded = load(&file).unwrap_or_else(|e| panic!("{e}"));
        for seed in 0..20 {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let instance = loaded
                .instantiate(&mut rng)
                .unwrap_or_else(|e| panic!("{e}"));
            if seed == 0 {
                println!("{}: {} entities", file.display(), instance.house.len());
            }
        }
    }
}
