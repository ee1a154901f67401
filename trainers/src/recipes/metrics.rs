//! The file of figures that a training run writes as it goes.

use std::fs::File;
use std::io::{BufRead as _, BufReader, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::RecipeError;

/// metrics.jsonl: one line a step, flushed as written.
pub(super) struct Metrics {
    path: PathBuf,
    file: BufWriter<File>,
}

impl Metrics {
    /// Opens the file to go on after `step`: lines of later steps, which a resumed run does again, are dropped.
    pub(super) fn open(path: &Path, step: u64) -> Result<Self, RecipeError> {
        let failed =
            |error: std::io::Error| RecipeError::Failed(format!("{}: {error}", path.display()));
        let mut kept = Vec::new();
        if let Ok(file) = File::open(path) {
            for line in BufReader::new(file).lines() {
                let line = line.map_err(failed)?;
                let of = serde_json::from_str::<Value>(&line)
                    .ok()
                    .and_then(|value| value["step"].as_u64());
                if of.is_some_and(|of| of <= step) {
                    kept.push(line);
                }
            }
        }
        let mut file = BufWriter::new(File::create(path).map_err(failed)?);
        for line in kept {
            writeln!(file, "{line}").map_err(failed)?;
        }
        Ok(Self {
            path: path.to_path_buf(),
            file,
        })
    }

    pub(super) fn write(&mut self, line: &Value) -> Result<(), RecipeError> {
        writeln!(self.file, "{line}")
            .and_then(|()| self.file.flush())
            .map_err(|error| RecipeError::Failed(format!("{}: {error}", self.path.display())))
    }
}
