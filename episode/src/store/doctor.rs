//! Looking a store over, and putting it right.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::manifest::{self, Manifest, ShardEntry};
use super::reader::open_shard;
use super::shard::Shard;
use super::writer::{check_file, is_digest, is_kept_file, scenario_path};
use super::{Identity, StoreError, files};

/// What is the matter with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Trouble {
    /// The manifest lists it, but it is not there.
    Missing,
    /// It has another size than the manifest says.
    Truncated,
    /// It has the right size, but not the contents that the manifest says, or cannot be read.
    Damaged,
    /// A line of the manifest that makes no sense.
    BadLine,
    /// A scenario that episodes came from is gone or changed; they can be read, but not simulated again.
    Scenario,
    /// The manifest's last line was cut short by a crash. Harmless.
    TornLine,
    /// A file that was being written during a crash. Harmless.
    Unfinished,
    /// A whole shard that the manifest does not list, because of a crash just before. Harmless.
    Unlisted,
    /// Something in the folder of shards that is not a whole shard, or holds what another one holds too. Harmless.
    Foreign,
}

impl Trouble {
    /// Whether recorded experience is lost or in danger.
    pub fn is_loss(self) -> bool {
        match self {
            Self::Missing | Self::Truncated | Self::Damaged | Self::BadLine | Self::Scenario => {
                true
            }
            Self::TornLine | Self::Unfinished | Self::Unlisted | Self::Foreign => false,
        }
    }
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Problem {
    /// The file, within the store.
    pub file: String,
    /// What kind of problem.
    pub trouble: Trouble,
    /// Expected and found, in words.
    pub message: String,
    /// What was done about it; `None` without `repair`, and where nothing can be done.
    pub repair: Option<String>,
}

/// What [`doctor`] found.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Report {
    /// Number of episodes in whole, listed shards (after the repair, if there was one).
    pub episodes: u64,
    /// Number of those shards.
    pub shards: u64,
    /// What is wrong, in the order of checking.
    pub problems: Vec<Problem>,
}

impl Report {
    /// Whether all that the manifest lists is there and whole.
    pub fn is_healthy(&self) -> bool {
        !self.problems.iter().any(|p| p.trouble.is_loss())
    }
}

/// Reads every byte of a store and compares it with the manifest. With `repair`, damaged shards are moved to
/// `rejected/` and taken off the manifest, whole shards that it misses are put on it, and leftovers are removed;
/// nothing whole is ever deleted. Without, the store is only read.
pub fn doctor(dir: &Path, repair: bool) -> Result<Report, StoreError> {
    let lenient = match manifest::read_leniently(dir) {
        // Shards say themselves what they are, so a lost manifest can be rebuilt.
        Err(StoreError::NotAStore { .. }) if !files::files_in(&dir.join("shards"))?.is_empty() => {
            let mut none = manifest::Lenient::default();
            none.bad_lines.push((1, "the manifest is missing".into()));
            none
        }
        other => other?,
    };
    let _lock = if repair {
        Some(files::lock(dir)?)
    } else {
        None
    };
    let mut rounds = Rounds {
        dir,
        repair,
        report: Report::default(),
        kept: Manifest {
            runs: lenient.manifest.runs.clone(),
            shards: Vec::new(),
        },
        dismissed: BTreeSet::new(),
        digests: BTreeSet::new(),
    };
    for (line, message) in &lenient.bad_lines {
        rounds.found(
            "manifest.jsonl",
            Trouble::BadLine,
            format!("line {line}: {message}"),
            "dropped",
        );
    }
    if lenient.torn {
        rounds.found(
            "manifest.jsonl",
            Trouble::TornLine,
            "the last line was cut short".into(),
            "dropped",
        );
    }
    for entry in &lenient.manifest.shards {
        rounds.check_listed(entry)?;
    }
    for folder in ["shards", "scenarios"] {
        rounds.check_folder(&dir.join(folder))?;
    }
    rounds.check_scenarios()?;
    if repair {
        rounds.drop_empty_runs();
        rounds.kept.write(dir)?;
    }
    let Rounds {
        mut report, kept, ..
    } = rounds;
    report.shards = kept.shards.len() as u64;
    report.episodes = kept.shards.iter().map(|s| s.episodes).sum();
    Ok(report)
}

struct Rounds<'a> {
    dir: &'a Path,
    repair: bool,
    report: Report,
    /// What the manifest should say.
    kept: Manifest,
    /// Damaged shards, dealt with.
    dismissed: BTreeSet<String>,
    /// Scenarios that the kept episodes came from.
    digests: BTreeSet<String>,
}

impl Rounds<'_> {
    fn found(&mut self, file: &str, trouble: Trouble, message: String, repair: &str) {
        self.report.problems.push(Problem {
            file: file.to_owned(),
            trouble,
            message,
            repair: self.repair.then(|| repair.to_owned()),
        });
    }

    fn check_listed(&mut self, entry: &ShardEntry) -> Result<(), StoreError> {
        let path = self.dir.join(&entry.file);
        let size = match fs::metadata(&path) {
            Ok(metadata) => metadata.len(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let message = format!(
                    "episodes {} to {} are missing with it",
                    entry.first,
                    entry.end() - 1
                );
                self.found(
                    &entry.file,
                    Trouble::Missing,
                    message,
                    "taken off the manifest",
                );
                return Ok(());
            }
            Err(error) => return Err(StoreError::io(&path)(error)),
        };
        match open_shard(self.dir, entry).and_then(|shard| decode_all(&shard).map(|()| shard)) {
            Ok(shard) => {
                self.keep(entry.clone(), &shard);
                Ok(())
            }
            // The file is the one that was written: then it is the entry that errs, and the file is looked at again below.
            Err(error) if is_blake3(&path, &entry.blake3)? => {
                self.found(
                    &entry.file,
                    Trouble::BadLine,
                    without_path(&error),
                    "its entry is dropped",
                );
                Ok(())
            }
            Err(error) => {
                self.dismissed.insert(entry.file.clone());
                let trouble = if size < entry.bytes {
                    Trouble::Truncated
                } else {
                    Trouble::Damaged
                };
                self.found(
                    &entry.file,
                    trouble,
                    without_path(&error),
                    "moved to rejected/ and taken off the manifest",
                );
                self.reject(&path)
            }
        }
    }

    fn keep(&mut self, entry: ShardEntry, shard: &Shard) {
        self.digests.extend(
            shard
                .records
                .iter()
                .map(|r| r.header.scenario_digest.clone()),
        );
        self.kept.shards.push(entry);
    }

    /// Files that the manifest does not list.
    fn check_folder(&mut self, folder: &Path) -> Result<(), StoreError> {
        for path in files::files_in(folder)? {
            let file = self.relative(&path);
            if files::is_temporary(&path) {
                self.found(
                    &file,
                    Trouble::Unfinished,
                    "was being written".into(),
                    "removed",
                );
                if self.repair {
                    fs::remove_file(&path).map_err(StoreError::io(&path))?;
                }
            } else if file.starts_with("shards/")
                && !self.dismissed.contains(&file)
                && !self.kept.shards.iter().any(|s| s.file == file)
            {
                self.check_unlisted(&path, file)?;
            }
        }
        Ok(())
    }

    fn check_unlisted(&mut self, path: &Path, file: String) -> Result<(), StoreError> {
        let bytes = fs::read(path).map_err(StoreError::io(path))?;
        let (size, digest) = (bytes.len() as u64, blake3::hash(&bytes));
        let shard = Shard::parse(path, bytes).and_then(|shard| decode_all(&shard).map(|()| shard));
        let whole = shard.map_err(|e| without_path(&e)).and_then(|shard| {
            let run = shard.identity.id();
            let taken = shard
                .records
                .iter()
                .any(|r| self.kept.contains(&run, r.header.index));
            if taken {
                Err("holds episodes that a listed shard holds too".to_owned())
            } else {
                Ok((run, shard))
            }
        });
        match whole {
            Ok((run, shard)) => {
                let message = format!("holds {} whole episodes", shard.records.len());
                self.found(&file, Trouble::Unlisted, message, "put on the manifest");
                if self.repair {
                    self.adopt(&shard.identity);
                    let entry = ShardEntry {
                        file,
                        run,
                        first: shard.records[0].header.index,
                        episodes: shard.records.len() as u64,
                        steps: shard.records.iter().map(|r| r.steps).sum(),
                        bytes: size,
                        blake3: digest.to_hex().to_string(),
                    };
                    self.keep(entry, &shard);
                    self.kept
                        .shards
                        .sort_by(|a, b| (&a.run, a.first).cmp(&(&b.run, b.first)));
                }
                Ok(())
            }
            Err(message) => {
                self.found(&file, Trouble::Foreign, message, "moved to rejected/");
                self.reject(path)
            }
        }
    }

    fn adopt(&mut self, identity: &Identity) {
        if !self.kept.runs.contains(identity) {
            self.kept.runs.push(identity.clone());
            self.kept.runs.sort_by_key(Identity::id);
        }
    }

    /// A header that was damaged names a run that no shard belongs to.
    fn drop_empty_runs(&mut self) {
        let Manifest { runs, shards } = &mut self.kept;
        if !shards.is_empty() {
            runs.retain(|run| shards.iter().any(|s| s.run == run.id()));
        }
    }

    /// Those that the kept episodes came from, and the files that scenarios name.
    fn check_scenarios(&mut self) -> Result<(), StoreError> {
        let mut paths: Vec<PathBuf> = std::mem::take(&mut self.digests)
            .iter()
            .map(|digest| if is_digest(digest) { digest } else { "unknown" })
            .map(|name| scenario_path(self.dir, name))
            .collect();
        let mut files = files::files_in(&self.dir.join("scenarios"))?;
        files.retain(|path| is_kept_file(path));
        paths.extend(files);
        for path in paths {
            let message = match fs::read(&path) {
                Ok(bytes) => match check_file(&path, &bytes) {
                    Err(StoreError::Scenario { found, .. }) => {
                        Some(format!("the contents have digest {found}"))
                    }
                    _ => None,
                },
                Err(error) => Some(error.to_string()),
            };
            if let Some(message) = message {
                self.report.problems.push(Problem {
                    file: self.relative(&path),
                    trouble: Trouble::Scenario,
                    message,
                    repair: None,
                });
            }
        }
        Ok(())
    }

    /// Sets a file aside under a name that is still free.
    fn reject(&self, path: &Path) -> Result<(), StoreError> {
        if !self.repair {
            return Ok(());
        }
        let folder = self.dir.join("rejected");
        files::create_folder(&folder)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let free = (0_u32..)
            .map(|n| {
                if n == 0 {
                    name.to_string()
                } else {
                    format!("{name}.{n}")
                }
            })
            .map(|name| folder.join(name))
            .find(|target| !target.exists())
            .unwrap_or_else(|| folder.join(name.as_ref()));
        fs::rename(path, &free).map_err(StoreError::io(path))
    }

    fn relative(&self, path: &Path) -> String {
        let relative: PathBuf = path.strip_prefix(self.dir).unwrap_or(path).to_owned();
        relative.to_string_lossy().into_owned()
    }
}

fn is_blake3(path: &Path, expected: &str) -> Result<bool, StoreError> {
    let bytes = fs::read(path).map_err(StoreError::io(path))?;
    Ok(blake3::hash(&bytes).to_hex().as_str() == expected)
}

fn decode_all(shard: &Shard) -> Result<(), StoreError> {
    (0..shard.records.len()).try_for_each(|i| shard.episode(i).map(|_| ()))
}

/// The message alone: a [`Problem`] names the file already.
fn without_path(error: &StoreError) -> String {
    match error {
        StoreError::Io { source, .. } => source.to_string(),
        StoreError::Shard { message, .. } => message.clone(),
        other => other.to_string(),
    }
}
