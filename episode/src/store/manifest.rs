//! The list of closed shards: one JSON object per line, appended to and never edited in place.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{StoreError, files};

/// Versions of the format. A new one makes every `match` on this a compile error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Schema {
    V1,
}

impl Schema {
    pub(super) const CURRENT: Self = Self::V1;

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::V1 => "habitus.episodes/1",
        }
    }

    pub(super) fn parse(path: &Path, name: &str) -> Result<Self, StoreError> {
        match name {
            "habitus.episodes/1" => Ok(Self::V1),
            _ => Err(StoreError::Schema {
                path: path.to_owned(),
                found: name.to_owned(),
            }),
        }
    }
}

/// What distinguishes one run from another: every setting that changes what its episodes hold, by name (seed,
/// scenarios, policy, fidelity, software, …).
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Identity(pub BTreeMap<String, String>);

impl Identity {
    /// Short name of the run: 16 hexadecimal digits of the blake3 of its settings.
    pub fn id(&self) -> String {
        let mut hasher = blake3::Hasher::new_derive_key("habitus run identity 1");
        for (name, value) in &self.0 {
            for text in [name, value] {
                hasher.update(&(text.len() as u64).to_le_bytes());
                hasher.update(text.as_bytes());
            }
        }
        hasher.finalize().to_hex()[..16].to_owned()
    }

    /// One sentence for each setting in which `other` differs.
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let names: std::collections::BTreeSet<&String> =
            self.0.keys().chain(other.0.keys()).collect();
        let shown = |identity: &Self, name: &String| {
            identity
                .0
                .get(name)
                .map_or("nothing".to_owned(), |v| format!("\"{v}\""))
        };
        names
            .into_iter()
            .filter(|name| self.0.get(*name) != other.0.get(*name))
            .map(|name| {
                format!(
                    "{name} is {} there, asked for {}",
                    shown(self, name),
                    shown(other, name)
                )
            })
            .collect()
    }
}

/// One closed shard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShardEntry {
    /// Path within the store: `shards/<name>.parquet`.
    pub file: String,
    /// [`Identity::id`] of the run.
    pub run: String,
    /// Index of its first episode.
    pub first: u64,
    /// Number of episodes; their indices follow one another.
    pub episodes: u64,
    /// Number of steps in them.
    pub steps: u64,
    /// Size of the file.
    pub bytes: u64,
    /// blake3 of the file, in hexadecimal.
    pub blake3: String,
}

impl ShardEntry {
    /// One past the index of its last episode.
    pub fn end(&self) -> u64 {
        self.first.saturating_add(self.episodes)
    }

    fn check(&self) -> Result<(), String> {
        let name = self
            .file
            .strip_prefix("shards/")
            .and_then(|f| f.strip_suffix(".parquet"))
            .unwrap_or_default();
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
            return Err(format!(
                "expected a file named shards/<letters, digits, ->.parquet, found {:?}",
                self.file
            ));
        }
        if self.episodes == 0 || self.first.checked_add(self.episodes).is_none() {
            return Err(format!(
                "expected at least one episode and indices below 2^64, found {} episodes from {}",
                self.episodes, self.first
            ));
        }
        Ok(())
    }
}

/// The first line.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Preamble {
    schema: String,
    runs: Vec<Identity>,
}

/// What the manifest says, in the order of episodes.
#[derive(Clone, Debug, Default)]
pub(super) struct Manifest {
    pub(super) runs: Vec<Identity>,
    pub(super) shards: Vec<ShardEntry>,
}

/// A manifest read as far as it can be.
#[derive(Debug, Default)]
pub(super) struct Lenient {
    pub(super) manifest: Manifest,
    /// Lines that say something impossible (number from 1, what is wrong).
    pub(super) bad_lines: Vec<(usize, String)>,
    /// Whether the last line was cut short, as a crash in the middle of appending does.
    pub(super) torn: bool,
    /// Length of the whole lines, in bytes.
    whole: u64,
}

pub(super) fn path(dir: &Path) -> PathBuf {
    dir.join("manifest.jsonl")
}

/// Reads a manifest that must be whole, save for a torn last line; says whether there was one.
pub(super) fn read(dir: &Path) -> Result<(Manifest, bool), StoreError> {
    let lenient = read_leniently(dir)?;
    match lenient.bad_lines.into_iter().next() {
        Some((line, message)) => Err(StoreError::Manifest {
            path: path(dir),
            line,
            message,
        }),
        None => Ok((lenient.manifest, lenient.torn)),
    }
}

/// Reads a manifest and keeps what makes sense. Only a missing or unreadable file and a foreign schema are errors.
pub(super) fn read_leniently(dir: &Path) -> Result<Lenient, StoreError> {
    let path = path(dir);
    let bytes = fs::read(&path).map_err(|source| {
        if source.kind() == std::io::ErrorKind::NotFound {
            StoreError::NotAStore {
                path: dir.to_owned(),
            }
        } else {
            StoreError::io(&path)(source)
        }
    })?;
    let mut out = Lenient::default();
    let mut entries = Vec::new();
    for (i, line) in bytes.split_inclusive(|&b| b == b'\n').enumerate() {
        let Some(text) = line.strip_suffix(b"\n") else {
            out.torn = true;
            break;
        };
        out.whole += line.len() as u64;
        if i == 0 {
            match serde_json::from_slice::<Preamble>(text) {
                Ok(preamble) => {
                    Schema::parse(&path, &preamble.schema)?;
                    out.manifest.runs = preamble.runs;
                }
                Err(error) => out
                    .bad_lines
                    .push((1, format!("expected a header: {error}"))),
            }
            continue;
        }
        let entry = serde_json::from_slice::<ShardEntry>(text)
            .map_err(|error| format!("expected a shard's entry: {error}"))
            .and_then(|entry| entry.check().map(|()| entry));
        match entry {
            Ok(entry) => entries.push((i + 1, entry)),
            Err(message) => out.bad_lines.push((i + 1, message)),
        }
    }
    if out.whole == 0 {
        out.bad_lines
            .push((1, "expected a header, found none".into()));
    }
    out.manifest.list(entries, &mut out.bad_lines);
    Ok(out)
}

impl Manifest {
    /// Takes entries (with their line numbers) in the order of episodes, save those that contradict the header or an
    /// earlier episode's entry.
    fn list(&mut self, mut entries: Vec<(usize, ShardEntry)>, bad: &mut Vec<(usize, String)>) {
        let ids: Vec<String> = self.runs.iter().map(Identity::id).collect();
        entries
            .sort_by(|(_, a), (_, b)| (&a.run, a.first, a.end()).cmp(&(&b.run, b.first, b.end())));
        for (line, entry) in entries {
            if !ids.contains(&entry.run) {
                bad.push((line, format!("run {} is not in the header", entry.run)));
                continue;
            }
            match self.shards.last() {
                Some(last) if last.run == entry.run && last.end() > entry.first => bad.push((
                    line,
                    format!("{} and {} list the same episodes", last.file, entry.file),
                )),
                _ => self.shards.push(entry),
            }
        }
    }

    /// Writes the whole manifest anew.
    pub(super) fn write(&self, dir: &Path) -> Result<(), StoreError> {
        let mut text = line(&Preamble {
            schema: Schema::CURRENT.name().to_owned(),
            runs: self.runs.clone(),
        });
        for entry in &self.shards {
            text.push_str(&line(entry));
        }
        files::write_durably(&path(dir), text.as_bytes())
    }

    /// Adds a closed shard, durably.
    pub(super) fn append(&mut self, dir: &Path, entry: ShardEntry) -> Result<(), StoreError> {
        let path = path(dir);
        let appended = OpenOptions::new()
            .append(true)
            .open(&path)
            .and_then(|mut file| {
                let before = file.metadata()?.len();
                let written = file
                    .write_all(line(&entry).as_bytes())
                    .and_then(|()| file.sync_all());
                if written.is_err() {
                    // A half-written line would make the next one unreadable.
                    file.set_len(before).ok();
                }
                written
            });
        appended.map_err(StoreError::io(&path))?;
        let at = self
            .shards
            .partition_point(|s| (&s.run, s.first) < (&entry.run, entry.first));
        self.shards.insert(at, entry);
        Ok(())
    }

    /// Whether an episode of that run and index is in a closed shard.
    pub(super) fn contains(&self, run: &str, index: u64) -> bool {
        let after = self
            .shards
            .partition_point(|s| (s.run.as_str(), s.first) <= (run, index));
        after
            .checked_sub(1)
            .map(|i| &self.shards[i])
            .is_some_and(|s| s.run == run && index < s.end())
    }
}

/// Cuts a torn last line off, so that the next one starts on its own.
pub(super) fn cut_torn_line(dir: &Path) -> Result<(), StoreError> {
    let lenient = read_leniently(dir)?;
    if lenient.torn {
        let path = path(dir);
        OpenOptions::new()
            .write(true)
            .open(&path)
            .and_then(|file| {
                file.set_len(lenient.whole)?;
                file.sync_all()
            })
            .map_err(StoreError::io(&path))?;
    }
    Ok(())
}

fn line(value: &impl Serialize) -> String {
    let mut text = serde_json::to_string(value).expect("maps with text keys and numbers are JSON");
    text.push('\n');
    text
}
