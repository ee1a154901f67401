//! The file of figures that a training run writes as it goes.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{RecipeError, write_whole};

/// metrics.jsonl: one line a step, in the file as soon as it is written.
pub(super) struct Metrics {
    path: PathBuf,
    file: File,
}

impl Metrics {
    /// Opens the file to go on after `step`: lines of later steps, which a resumed run does again, are dropped; a run that begins
    /// keeps none. Whatever happens, the file that was there stays until the shorter one is whole.
    pub(super) fn open(path: &Path, step: u64) -> Result<Self, RecipeError> {
        let failed =
            |error: std::io::Error| RecipeError::Failed(format!("{}: {error}", path.display()));
        let mut kept = String::new();
        if let (1.., Ok(file)) = (step, File::open(path)) {
            for line in BufReader::new(file).lines() {
                let line = line.map_err(failed)?;
                let of = serde_json::from_str::<Value>(&line)
                    .ok()
                    .and_then(|value| value["step"].as_u64());
                if of.is_some_and(|of| of <= step) {
                    kept += &line;
                    kept.push('\n');
                }
            }
        }
        write_whole(path, &kept)?;
        let file = File::options().append(true).open(path).map_err(failed)?;
        Ok(Self {
            path: path.to_path_buf(),
            file,
        })
    }

    pub(super) fn write(&mut self, line: &Value) -> Result<(), RecipeError> {
        self.file
            .write_all(format!("{line}\n").as_bytes())
            .map_err(|error| RecipeError::Failed(format!("{}: {error}", self.path.display())))
    }
}
