//! JSON Lines: one value a line.

use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Why a JSON Lines file cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum JsonlError {
    /// The file cannot be opened, read or written.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A line is not what is kept in this file.
    #[error("{path}:{line}: expected one {expected} as JSON: {source}", path = path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// Line number, from 1.
        line: usize,
        /// The type that is kept in it.
        expected: &'static str,
        /// What is wrong with it, with the column.
        source: serde_json::Error,
    },
}

/// Reads all lines; empty ones are skipped.
///
/// # Errors
/// When the file cannot be read or a line is not a `T`; the message has the line's number.
pub fn read_jsonl<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>, JsonlError> {
    let text = fs::read_to_string(path).map_err(|source| JsonlError::Io {
        path: path.to_owned(),
        source,
    })?;
    let lines = text
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(i, line)| {
            serde_json::from_str(line).map_err(|source| JsonlError::Line {
                path: path.to_owned(),
                line: i + 1,
                expected: std::any::type_name::<T>()
                    .rsplit("::")
                    .next()
                    .unwrap_or_default(),
                source,
            })
        })
        .collect()
}

/// Writes one line per item, to a temporary name first, so that the file is whole or absent.
///
/// # Errors
/// When the file cannot be written.
pub fn write_jsonl<T: Serialize>(path: &Path, items: &[T]) -> Result<(), JsonlError> {
    let fresh = path.with_extension("jsonl.new");
    let write = || -> std::io::Result<()> {
        let mut file = BufWriter::new(File::create(&fresh)?);
        for item in items {
            serde_json::to_writer(&mut file, item)?;
            file.write_all(b"\n")?;
        }
        file.into_inner()?.sync_all()?;
        fs::rename(&fresh, path)
    };
    write().map_err(|source| JsonlError::Io {
        path: path.to_owned(),
        source,
    })
}

/// blake3 of the lines that [`write_jsonl`] writes, in hexadecimal: what a checkpoint names its data by.
pub fn digest<T: Serialize>(items: &[T]) -> String {
    let mut hasher = blake3::Hasher::new();
    for item in items {
        serde_json::to_writer(&mut hasher, item)
            .expect("writing to a hasher cannot fail, and items have text keys");
        hasher.update(b"\n");
    }
    hasher.finalize().to_hex().to_string()
}
