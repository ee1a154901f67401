//! Reading a store.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::manifest::{self, Manifest, ShardEntry};
use super::shard::{Record, Shard};
use super::writer::{check_file, is_digest, is_kept_file, scenario_path};
use super::{Identity, StoreError, canonical};
use crate::{Episode, Header};

/// An open store, as its manifest lists it at the time of opening. A run may go on adding to it meanwhile.
pub struct Store {
    dir: PathBuf,
    manifest: Manifest,
    notes: Vec<String>,
    /// Position of the first episode of each shard, and the number of episodes at the end.
    starts: Vec<usize>,
    /// The shard read last: neighbors are mostly asked for together.
    last: Mutex<Option<(usize, Arc<Shard>)>>,
}

impl Store {
    /// Opens a store for reading. A torn last line of the manifest is left out with a note; anything else that is
    /// wrong with the manifest is an error. Shards are read, and checked against their blake3, when they are needed.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        let (manifest, torn) = manifest::read(dir)?;
        let mut notes = Vec::new();
        if torn {
            notes.push(format!(
                "{}: the last line was cut short and is left out",
                manifest::path(dir).display()
            ));
        }
        let mut starts = vec![0];
        let mut len = 0_usize;
        for entry in &manifest.shards {
            len = usize::try_from(entry.episodes)
                .ok()
                .and_then(|n| len.checked_add(n))
                .ok_or_else(|| StoreError::Manifest {
                    path: manifest::path(dir),
                    line: 1,
                    message: "the shards claim more episodes than can be counted".into(),
                })?;
            starts.push(len);
        }
        Ok(Self {
            dir: dir.to_owned(),
            manifest,
            notes,
            starts,
            last: Mutex::new(None),
        })
    }

    /// Where it lies.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// What was noticed on opening and does no harm.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The runs that were recorded.
    pub fn runs(&self) -> &[Identity] {
        &self.manifest.runs
    }

    /// The closed shards, in the order of their episodes.
    pub fn shards(&self) -> &[ShardEntry] {
        &self.manifest.shards
    }

    /// Number of episodes.
    pub fn len(&self) -> usize {
        self.starts.last().copied().unwrap_or(0)
    }

    /// Whether there are no episodes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The episode at `position`, from 0, in the order of runs and indices.
    pub fn episode(&self, position: usize) -> Result<Episode, StoreError> {
        let (shard, i) = self.locate(position)?;
        shard.episode(i)
    }

    /// The header of the episode at `position` and whether it reached its goal, without decoding its steps.
    pub fn header(&self, position: usize) -> Result<(Header, bool), StoreError> {
        let (shard, i) = self.locate(position)?;
        let Record {
            header, success, ..
        } = shard.records[i].clone();
        Ok((header, success))
    }

    /// Number of steps of the episode at `position`, without decoding them.
    pub fn steps(&self, position: usize) -> Result<u64, StoreError> {
        let (shard, i) = self.locate(position)?;
        Ok(shard.records[i].steps)
    }

    /// The run that the episode at `position` belongs to.
    pub fn run(&self, position: usize) -> Result<&Identity, StoreError> {
        let entry = &self.manifest.shards[self.shard_of(position)?];
        let run = self.manifest.runs.iter().find(|run| run.id() == entry.run);
        Ok(run.expect("entries of runs that the header lacks are not listed"))
    }

    /// All episodes in order. A damaged shard gives an error for each of its episodes; the others are read all the same.
    pub fn episodes(&self) -> impl Iterator<Item = Result<Episode, StoreError>> + '_ {
        (0..self.len()).map(|position| self.episode(position))
    }

    /// blake3 over the canonical bytes of all episodes in order, in hexadecimal: equal for equal experience, however
    /// many workers wrote it, in whatever order, into whatever shards.
    pub fn content_digest(&self) -> Result<String, StoreError> {
        let mut hasher = blake3::Hasher::new();
        for episode in self.episodes() {
            canonical::hash_episode(&episode?, &mut hasher);
        }
        Ok(hasher.finalize().to_hex().to_string())
    }

    /// Digests of the scenarios that are kept here.
    pub fn scenarios(&self) -> Result<BTreeSet<String>, StoreError> {
        Ok(super::files::files_in(&self.dir.join("scenarios"))?
            .iter()
            .filter(|path| path.extension().is_some_and(|e| e == "toml"))
            .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
            .filter(|stem| is_digest(stem))
            .collect())
    }

    /// The files kept here that scenarios name, each `<blake3>.<extension>`.
    pub fn files(&self) -> Result<Vec<PathBuf>, StoreError> {
        let mut all = super::files::files_in(&self.dir.join("scenarios"))?;
        all.retain(|path| is_kept_file(path));
        Ok(all)
    }

    /// The scenario file with that blake3, as it was when the episodes were recorded.
    pub fn scenario_text(&self, digest: &str) -> Result<String, StoreError> {
        let path = scenario_path(
            &self.dir,
            if is_digest(digest) { digest } else { "unknown" },
        );
        let text = fs::read_to_string(&path).map_err(StoreError::io(&path))?;
        check_file(&path, text.as_bytes())?;
        Ok(text)
    }

    /// Number of the shard that the episode at `position` is in.
    fn shard_of(&self, position: usize) -> Result<usize, StoreError> {
        if position < self.len() {
            Ok(self.starts.partition_point(|&start| start <= position) - 1)
        } else {
            Err(StoreError::OutOfRange {
                position,
                len: self.len(),
            })
        }
    }

    fn locate(&self, position: usize) -> Result<(Arc<Shard>, usize), StoreError> {
        let number = self.shard_of(position)?;
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let shard = match &*last {
            Some((n, shard)) if *n == number => Arc::clone(shard),
            _ => {
                let shard = Arc::new(open_shard(&self.dir, &self.manifest.shards[number])?);
                *last = Some((number, Arc::clone(&shard)));
                shard
            }
        };
        Ok((shard, position - self.starts[number]))
    }
}

/// Reads a shard and checks that it is the one its entry describes.
pub(super) fn open_shard(dir: &Path, entry: &ShardEntry) -> Result<Shard, StoreError> {
    let path = dir.join(&entry.file);
    let bytes = fs::read(&path).map_err(StoreError::io(&path))?;
    if bytes.len() as u64 != entry.bytes {
        return Err(StoreError::shard(
            &path,
            format!(
                "cut short or overwritten: expected {} bytes, found {}",
                entry.bytes,
                bytes.len()
            ),
        ));
    }
    let found = blake3::hash(&bytes).to_hex().to_string();
    if found != entry.blake3 {
        return Err(StoreError::shard(
            &path,
            format!("damaged: expected blake3 {}, found {found}", entry.blake3),
        ));
    }
    let shard = Shard::parse(&path, bytes)?;
    let steps: u128 = shard.records.iter().map(|r| u128::from(r.steps)).sum();
    if shard.identity.id() != entry.run
        || shard.records[0].header.index != entry.first
        || shard.records.len() as u64 != entry.episodes
        || steps != u128::from(entry.steps)
    {
        return Err(StoreError::shard(
            &path,
            format!(
                "holds {} episodes from {} with {steps} steps, but the manifest says {} from {} with {}",
                shard.records.len(),
                shard.records[0].header.index,
                entry.episodes,
                entry.first,
                entry.steps
            ),
        ));
    }
    Ok(shard)
}
