//! Where `./habitus setup` put what it fetched.

use std::env;
use std::path::PathBuf;

/// File name of the language model that comes with setup.
pub const DEFAULT_MODEL: &str = "smollm2/SmolLM2-135M-Instruct.Q4_1.gguf";

/// The cache folder: `$HABITUS_CACHE`, else `$XDG_CACHE_HOME/habitus`, else `~/.cache/habitus`.
///
/// `None` when none of the three can be formed (no home folder is set). The folder need not exist.
pub fn folder() -> Option<PathBuf> {
    let set = |name: &str| {
        env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    set("HABITUS_CACHE")
        .or_else(|| set("XDG_CACHE_HOME").map(|base| base.join("habitus")))
        .or_else(|| set("HOME").map(|home| home.join(".cache").join("habitus")))
}

/// Path of the GGUF file of SmolLM2-135M-Instruct in the cache, whether or not it is there.
pub fn default_model() -> PathBuf {
    folder().unwrap_or_default().join(DEFAULT_MODEL)
}
