//! Writing so that a crash leaves either the old file or the new one.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::StoreError;

/// Name of the lock file; the kernel gives the lock back when its holder dies, however it dies.
const LOCK: &str = ".lock";

/// Writes `bytes` under a temporary name, syncs, and renames over `path`. A failure leaves `path` as it was.
pub(super) fn write_durably(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let temporary = temporary(path);
    let written = File::create(&temporary).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    if let Err(error) = written {
        // The disk may be full: give the space back. That this fails too changes nothing about the error.
        fs::remove_file(&temporary).ok();
        return Err(StoreError::io(path)(error));
    }
    fs::rename(&temporary, path).map_err(StoreError::io(path))?;
    sync_folder(path.parent().unwrap_or(Path::new(".")))
}

/// Makes the folder's list of names durable.
pub(super) fn sync_folder(folder: &Path) -> Result<(), StoreError> {
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(StoreError::io(folder))
}

pub(super) fn create_folder(folder: &Path) -> Result<(), StoreError> {
    fs::create_dir_all(folder).map_err(StoreError::io(folder))
}

/// Whether the file is one that [`write_durably`] did not finish.
pub(super) fn is_temporary(path: &Path) -> bool {
    path.extension().is_some_and(|e| e == "tmp")
}

/// Files directly in `folder`, sorted; none when there is no such folder.
pub(super) fn files_in(folder: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(StoreError::io(folder)(error)),
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(StoreError::io(folder))?.path();
        if path.is_file() || path.is_symlink() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Keeps every other process from writing to the store for as long as the returned file lives.
pub(super) fn lock(dir: &Path) -> Result<File, StoreError> {
    let path = dir.join(LOCK);
    let file = File::create(&path).map_err(StoreError::io(&path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => Err(StoreError::Busy {
            path: dir.to_owned(),
        }),
        Err(fs::TryLockError::Error(error)) => Err(StoreError::io(&path)(error)),
    }
}

/// Whether nothing but a lock file lies in `dir`, or there is no `dir`.
pub(super) fn is_vacant(dir: &Path) -> Result<bool, StoreError> {
    match fs::read_dir(dir) {
        Ok(mut entries) => Ok(entries.all(|e| e.is_ok_and(|e| e.file_name() == LOCK))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(StoreError::io(dir)(error)),
    }
}

fn temporary(path: &Path) -> PathBuf {
    let mut name: OsString = path.file_name().unwrap_or_default().to_owned();
    name.push(".tmp");
    path.with_file_name(name)
}
