//! Recording into a store.

use std::fs::{self, File};
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::manifest::{self, Manifest, ShardEntry};
use super::{Identity, StoreError, files, shard};
use crate::Episode;

/// Episodes per shard. Fewer lose less to a crash, more compress and open faster; at a household episode's size of some
/// kilobytes per frame, 32 make a file of a few hundred kilobytes.
pub const EPISODES_PER_SHARD: u64 = 32;

/// Splits ascending indices into the shards they belong in: runs of consecutive indices that do not cross a multiple
/// of [`EPISODES_PER_SHARD`]. Whoever records or merges the same episodes so writes the same files.
pub fn blocks(indices: impl IntoIterator<Item = u64>) -> Vec<Range<u64>> {
    let mut blocks: Vec<Range<u64>> = Vec::new();
    for index in indices {
        match blocks.last_mut() {
            Some(block) if block.end == index && !index.is_multiple_of(EPISODES_PER_SHARD) => {
                block.end += 1
            }
            _ => blocks.push(index..index + 1),
        }
    }
    blocks
}

/// Adds episodes to a store, one closed shard at a time. Holds the store's lock.
pub struct Writer {
    dir: PathBuf,
    manifest: Manifest,
    _lock: File,
}

impl Writer {
    /// Creates a store for this run, or opens the one that this run began and leaves what is closed in it alone.
    /// Leftovers of a crash (a torn last line, temporary files) are cleared away.
    ///
    /// Fails with [`StoreError::DifferentRun`] on a store of another run, and with [`StoreError::NotEmpty`] on a folder
    /// that holds something else.
    pub fn open(dir: &Path, identity: &Identity) -> Result<Self, StoreError> {
        Self::open_for_runs(dir, std::slice::from_ref(identity))
    }

    pub(super) fn open_for_runs(dir: &Path, runs: &[Identity]) -> Result<Self, StoreError> {
        // Checked before anything is written, so that a wrong folder stays untouched, and again under the lock.
        let begun = |dir: &Path| -> Result<bool, StoreError> {
            let exists = manifest::path(dir).exists();
            if exists {
                same_runs(dir, &manifest::read(dir)?.0.runs, runs)?;
            }
            Ok(exists)
        };
        if !begun(dir)? && !files::is_vacant(dir)? && !is_unborn(dir)? {
            return Err(StoreError::NotEmpty {
                path: dir.to_owned(),
            });
        }
        files::create_folder(dir)?;
        let lock = files::lock(dir)?;
        for folder in ["shards", "scenarios"] {
            files::create_folder(&dir.join(folder))?;
            for file in files::files_in(&dir.join(folder))? {
                if files::is_temporary(&file) {
                    fs::remove_file(&file).map_err(StoreError::io(&file))?;
                }
            }
        }
        if !begun(dir)? {
            let manifest = Manifest {
                runs: runs.to_vec(),
                shards: Vec::new(),
            };
            manifest.write(dir)?;
        }
        manifest::cut_torn_line(dir)?;
        let (manifest, _) = manifest::read(dir)?;
        Ok(Self {
            dir: dir.to_owned(),
            manifest,
            _lock: lock,
        })
    }

    /// Keeps a copy of a scenario file, under its blake3. Must precede the episodes that come from it.
    pub fn add_scenario(&mut self, text: &str) -> Result<String, StoreError> {
        let digest = blake3::hash(text.as_bytes()).to_hex().to_string();
        self.add_file(&format!("{digest}.toml"), text.as_bytes())?;
        Ok(digest)
    }

    /// Keeps a copy of a file that a scenario names, beside the scenarios. Its name is its blake3 and an extension.
    pub fn add_file(&mut self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        let path = self.dir.join("scenarios").join(name);
        check_file(&path, bytes)?;
        if fs::read(&path).is_ok_and(|found| found == bytes) {
            return Ok(());
        }
        files::write_durably(&path, bytes)
    }

    /// Whether an episode of that run and index is already in a closed shard.
    pub fn contains(&self, identity: &Identity, index: u64) -> bool {
        self.manifest.contains(&identity.id(), index)
    }

    /// Number of episodes in closed shards.
    pub fn episodes(&self) -> u64 {
        self.manifest.shards.iter().map(|s| s.episodes).sum()
    }

    /// Writes one shard and closes it: when this returns, its episodes survive anything but the loss of the disk.
    /// Their indices must follow one another and be new to the store.
    pub fn append(&mut self, identity: &Identity, episodes: &[Episode]) -> Result<(), StoreError> {
        let Some(first) = episodes.first().map(|e| e.header.index) else {
            return Ok(());
        };
        let run = identity.id();
        for (index, episode) in (first..).zip(episodes) {
            let refused = |message: &str| StoreError::Episode {
                index: episode.header.index,
                message: message.to_owned(),
            };
            if episode.header.index != index {
                return Err(refused("it does not follow the one before it in the shard"));
            }
            if self.manifest.contains(&run, index) {
                return Err(refused("the store already has it"));
            }
            if !is_digest(&episode.header.scenario_digest)
                || !scenario_path(&self.dir, &episode.header.scenario_digest).exists()
            {
                return Err(refused("the store has no copy of its scenario"));
            }
        }
        let bytes = shard::encode(identity, episodes)?;
        let file = format!("shards/{}-{first:08}.parquet", &run[..8]);
        let entry = ShardEntry {
            file: file.clone(),
            run,
            first,
            episodes: episodes.len() as u64,
            steps: episodes.iter().map(|e| e.steps.len() as u64).sum(),
            bytes: bytes.len() as u64,
            blake3: blake3::hash(&bytes).to_hex().to_string(),
        };
        files::write_durably(&self.dir.join(file), &bytes)?;
        self.manifest.append(&self.dir, entry)
    }
}

fn same_runs(dir: &Path, there: &[Identity], asked: &[Identity]) -> Result<(), StoreError> {
    if there == asked {
        return Ok(());
    }
    let differences = match (there, asked) {
        ([there], [asked]) => there.differences(asked),
        _ => vec![format!(
            "it holds {} runs, asked for {}",
            there.len(),
            asked.len()
        )],
    };
    Err(StoreError::DifferentRun {
        path: dir.to_owned(),
        differences,
    })
}

/// Whether the folder is a store whose very first write was interrupted: folders, but no manifest and no shard.
fn is_unborn(dir: &Path) -> Result<bool, StoreError> {
    let known = ["shards", "scenarios", ".lock", "manifest.jsonl.tmp"];
    let entries = fs::read_dir(dir).map_err(StoreError::io(dir))?;
    for entry in entries {
        let name = entry.map_err(StoreError::io(dir))?.file_name();
        if !known.iter().any(|k| name == *k) {
            return Ok(false);
        }
    }
    Ok(files::files_in(&dir.join("shards"))?.is_empty()
        && files::files_in(&dir.join("scenarios"))?.is_empty())
}

pub(super) fn scenario_path(dir: &Path, digest: &str) -> PathBuf {
    dir.join("scenarios").join(format!("{digest}.toml"))
}

/// Whether a file beside the scenarios is one that they name: `<blake3>.<extension>`.
pub(super) fn is_kept_file(path: &Path) -> bool {
    let stem = path.file_stem().and_then(|stem| stem.to_str());
    stem.is_some_and(is_digest) && path.extension().is_some_and(|e| e != "toml" && e != "tmp")
}

/// Whether the file's name promises these bytes.
pub(super) fn check_file(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let found = blake3::hash(bytes).to_hex().to_string();
    if path.file_stem().is_some_and(|stem| *stem == *found) {
        return Ok(());
    }
    let path = path.to_owned();
    Err(StoreError::Scenario { path, found })
}

/// Whether this is a blake3 in lower-case hexadecimal: such a name stays within its folder.
pub(super) fn is_digest(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}
