//! One stream of random numbers per episode.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng as _;

/// The stream of episode `index` of a run, derived from its seed and the scenario's digest (hexadecimal blake3), so
/// that workers, shards, scheduling and resuming never change what an episode draws. `purpose` separates streams of
/// one episode ("layout", "task", "policy").
pub fn episode_rng(seed: u64, scenario_digest: &str, index: u64, purpose: &str) -> ChaCha8Rng {
    let mut hasher = blake3::Hasher::new_derive_key("habitus episode stream 1");
    hasher.update(&seed.to_le_bytes());
    hasher.update(&index.to_le_bytes());
    hasher.update(scenario_digest.as_bytes());
    hasher.update(b"/");
    hasher.update(purpose.as_bytes());
    ChaCha8Rng::from_seed(*hasher.finalize().as_bytes())
}
