//! A folder of episodes that a crash cannot spoil.
//!
//! ```text
//! manifest.jsonl                       first line: format and the runs that were recorded; then one line per closed shard
//! shards/<run>-<first index>.parquet   consecutive episodes of one run, one row group per episode
//! scenarios/<blake3>.toml              a copy of every scenario file that an episode came from
//! scenarios/<blake3>.<extension>       a copy of every file that these name
//! rejected/                            damaged files that `doctor` set aside
//! ```
//!
//! **Closed shards only.** A shard is written under a temporary name, synced, renamed, and only then listed in the
//! manifest (synced too). Killing the process at any moment therefore loses at most episodes of unclosed shards, and
//! never one that the manifest lists.
//!
//! **A shard** has one row per frame: T + 1 rows for an episode of T steps. Row `t` holds what was seen, what was then
//! done, and what came of it; the action and its outcome are null in the last row. Columns carry LeRobot's names:
//!
//! | column | type | meaning |
//! |---|---|---|
//! | `episode_index` | int64 | [`Header::index`] |
//! | `frame_index` | int64 | 0 ..= T |
//! | `action` | text or list of float | [`Step::action`] |
//! | `observation.<name>` | text or list of float | what was seen before the action |
//! | `next.reward` | float | [`Step::reward`] |
//! | `next.reward_term_names`, `next.reward_term_values` | lists | [`Step::reward_terms`] |
//! | `next.terminated`, `next.truncated` | bool | of the step |
//! | `refusal` | text | [`Step::refusal`] |
//! | `info.<name>` | text or list of float | [`Step::info`] |
//! | `state_digest` | text | of the state in which the row's observation was made |
//!
//! The file's key-value metadata holds `habitus.schema`, `habitus.run` (the run's [`Identity`]) and `habitus.episodes`
//! (JSON: header, success and number of steps of each episode), so a lost manifest can be rebuilt from the shards.
//!
//! **Order.** Episodes are ordered by run, then by index: positions, iteration and [`Store::content_digest`] do not
//! depend on who wrote what when, nor on where one shard ends and the next begins.
//!
//! [`Header::index`]: crate::Header::index
//! [`Step::action`]: crate::Step::action
//! [`Step::reward`]: crate::Step::reward
//! [`Step::reward_terms`]: crate::Step::reward_terms
//! [`Step::refusal`]: crate::Step::refusal
//! [`Step::info`]: crate::Step::info

mod canonical;
mod doctor;
mod files;
mod manifest;
mod merge;
mod reader;
mod shard;
mod writer;

use std::path::{Path, PathBuf};

pub use canonical::episode_digest;
pub use doctor::{Problem, Report, Trouble, doctor};
pub use manifest::{Identity, ShardEntry};
pub use merge::merge;
pub use reader::Store;
pub use writer::{EPISODES_PER_SHARD, Writer, blocks};

/// Why a store could not be read or written. Every message names the file and what to do about it where that is known.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The operating system refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What it said.
        source: std::io::Error,
    },
    /// The folder holds no manifest.
    #[error("{}: not an episode store (it has no manifest.jsonl)", path.display())]
    NotAStore {
        /// The folder.
        path: PathBuf,
    },
    /// A line of the manifest says something impossible.
    #[error("{}: line {line}: {message}; `data doctor --repair` keeps what is whole", path.display())]
    Manifest {
        /// The manifest.
        path: PathBuf,
        /// Line, counted from 1.
        line: usize,
        /// Expected and found.
        message: String,
    },
    /// The store was written by another version of the format.
    #[error("{}: expected schema \"habitus.episodes/1\", found \"{found}\"", path.display())]
    Schema {
        /// The manifest or shard.
        path: PathBuf,
        /// What it says.
        found: String,
    },
    /// A shard is not what the manifest says it is, or no shard at all.
    #[error("{}: {message}", path.display())]
    Shard {
        /// The shard.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// A scenario's copy is not the one its name promises.
    #[error("{}: the contents have digest {found}: the file was changed", path.display())]
    Scenario {
        /// The copy.
        path: PathBuf,
        /// blake3 of what it holds.
        found: String,
    },
    /// An episode cannot be kept in this format.
    #[error("episode {index}: {message}")]
    Episode {
        /// Its index.
        index: u64,
        /// What the format does not hold.
        message: String,
    },
    /// There is no episode at that position.
    #[error("there is no episode {position}: the store holds {len}")]
    OutOfRange {
        /// Position asked for, from 0.
        position: usize,
        /// Number of episodes.
        len: usize,
    },
    /// The folder was recorded by a different run.
    #[error("{} was recorded by a different run: {}; choose another folder", path.display(), differences.join("; "))]
    DifferentRun {
        /// The folder.
        path: PathBuf,
        /// One sentence per setting: its name, what the folder has, what was asked for.
        differences: Vec<String>,
    },
    /// Another process writes to the folder.
    #[error("{}: another process is writing to this store", path.display())]
    Busy {
        /// The folder.
        path: PathBuf,
    },
    /// The target of a merge already holds something.
    #[error("{}: expected an empty or missing folder", path.display())]
    NotEmpty {
        /// The folder.
        path: PathBuf,
    },
    /// Two stores hold different episodes under one run and index.
    #[error("{} and {} hold different episodes {index} of one run", first.display(), second.display())]
    Conflict {
        /// One store.
        first: PathBuf,
        /// The other.
        second: PathBuf,
        /// The episode's index.
        index: u64,
    },
}

impl StoreError {
    fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Io { path, source }
    }

    fn shard(path: &Path, message: impl Into<String>) -> Self {
        Self::Shard {
            path: path.to_owned(),
            message: message.into(),
        }
    }
}

#[cfg(test)]
mod tests;
