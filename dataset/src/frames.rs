//! Frames in a file, each once, read through a memory map: NumPy's format (NEP 1), uint8 `(frames, size, size, 3)`, so that
//! `numpy.load(path, mmap_mode="r")` reads it too. Beside it lies its digest, as `b3sum --check` reads it: a file that was
//! changed since is refused.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use memmap2::Mmap;

use crate::transitions::{FrameSource, Observations};

/// Why a file of frames cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum FramesError {
    /// The system refused.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file holds something else.
    #[error("{path}: {message}", path = path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// Expected and found.
        message: String,
    },
}

/// A file of square frames, mapped.
#[derive(Debug)]
pub struct FrameFile {
    map: Mmap,
    /// Where the first frame begins.
    start: usize,
    size: usize,
}

/// What a file of version 1.0 begins with; two bytes follow with the length of the rest.
const MAGIC: &[u8] = b"\x93NUMPY\x01\x00";

/// Bytes before the first frame in the files written here.
const HEADER: usize = 128;

impl FrameFile {
    /// Draws every frame once, into a file that appears when it is whole. A few frames are in memory at a time.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(path: &Path, source: &dyn FrameSource, size: usize) -> Result<(), FramesError> {
        let partial = path.with_extension("npy.partial");
        let failed = |source| io_error(&partial, source);
        let mut file = BufWriter::new(File::create(&partial).map_err(failed)?);
        let mut hasher = blake3::Hasher::new();
        let mut put = |bytes: &[u8]| {
            hasher.update(bytes);
            file.write_all(bytes).map_err(failed)
        };
        put(&header(source.frames(), size))?;
        let mut frame = vec![0; size * size * 3];
        for number in 0..source.frames() {
            source.draw(number, &mut frame);
            put(&frame)?;
        }
        let file = file
            .into_inner()
            .map_err(|error| failed(error.into_error()))?;
        file.sync_all().map_err(failed)?;
        let name = path.file_name().unwrap_or_default().display();
        let digest = digest_path(path);
        fs::write(&digest, format!("{}  {name}\n", hasher.finalize().to_hex()))
            .map_err(|source| io_error(&digest, source))?;
        fs::rename(&partial, path).map_err(|source| io_error(path, source))
    }

    /// Maps a file that [`FrameFile::write`] made of so many frames of that size. All of it is read once, for its digest.
    ///
    /// # Errors
    /// When it cannot be read, holds something else, or was changed.
    #[expect(unsafe_code, reason = "the only way to map a file")]
    pub fn open(path: &Path, frames: usize, size: usize) -> Result<Self, FramesError> {
        let wrong = |message: String| FramesError::Format {
            path: path.to_owned(),
            message,
        };
        let failed = |source| io_error(path, source);
        let file = File::open(path).map_err(failed)?;
        if file.metadata().map_err(failed)?.len() == 0 {
            return Err(wrong(format!("expected {frames} frames, found 0 bytes")));
        }
        // SAFETY: the bytes must not change while they are mapped. The file is of the run's own folder, was written whole under
        // another name, and nothing here writes to it again.
        let map = unsafe { Mmap::map(&file) }.map_err(failed)?;
        let start = start(&map, [frames, size, size, 3]).map_err(wrong)?;
        let expected = start + frames * size * size * 3;
        if map.len() != expected {
            return Err(wrong(format!(
                "expected {expected} bytes ({frames} frames of {size} x {size}), found {}",
                map.len()
            )));
        }
        let digest = digest_path(path);
        let known = fs::read_to_string(&digest).map_err(|source| io_error(&digest, source))?;
        let known = known.split_whitespace().next().unwrap_or_default();
        let found = blake3::hash(&map).to_hex();
        if known != found.as_str() {
            return Err(wrong(format!(
                "was changed since it was drawn: expected digest {known:.12}, found {:.12}; without the file, frames are drawn anew",
                found.as_str()
            )));
        }
        Ok(Self { map, start, size })
    }

    /// All frames, as they lie in the map.
    pub fn observations(&self) -> Observations<'_> {
        Observations::Images {
            pixels: self.map[self.start..].into(),
            height: self.size,
            width: self.size,
        }
    }
}

/// Where the digest of a file of frames is: `frames.npy.blake3` of `frames.npy`.
pub fn digest_path(path: &Path) -> PathBuf {
    path.with_extension("npy.blake3")
}

fn header(frames: usize, size: usize) -> Vec<u8> {
    let shape = shape_text([frames, size, size, 3]);
    let dictionary = format!("{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}");
    let text = HEADER - MAGIC.len() - 2;
    let mut header = MAGIC.to_vec();
    header.extend_from_slice(&(text as u16).to_le_bytes());
    header.extend_from_slice(format!("{dictionary:<width$}\n", width = text - 1).as_bytes());
    header
}

fn shape_text(shape: [usize; 4]) -> String {
    let numbers = shape.map(|number| number.to_string());
    format!("({})", numbers.join(", "))
}

/// Where the array of uint8 of this shape begins.
fn start(bytes: &[u8], shape: [usize; 4]) -> Result<usize, String> {
    let rest = bytes
        .strip_prefix(MAGIC)
        .ok_or("expected an array of NumPy, version 1.0 (.npy), found something else")?;
    let (length, rest) = rest
        .split_first_chunk()
        .ok_or("expected NumPy's header, found the end of the file")?;
    let length = usize::from(u16::from_le_bytes(*length));
    let text = rest
        .get(..length)
        .ok_or("expected NumPy's header, found the end of the file")?;
    let text = String::from_utf8_lossy(text);
    let shape = shape_text(shape);
    for (key, expected) in [
        ("'descr': ", "'|u1'"),
        ("'fortran_order': ", "False"),
        ("'shape': ", &shape),
    ] {
        let value = text.split_once(key).map_or("", |(_, value)| value);
        if !value.starts_with(expected) {
            return Err(format!(
                "expected {key}{expected}, found {}",
                text.trim_end()
            ));
        }
    }
    Ok(MAGIC.len() + 2 + length)
}

fn io_error(path: &Path, source: io::Error) -> FramesError {
    FramesError::Io {
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Five frames of 2 x 2.
    #[derive(Debug)]
    struct Counted;

    impl FrameSource for Counted {
        fn frames(&self) -> usize {
            5
        }

        fn draw(&self, frame: usize, rgb: &mut [u8]) {
            for (at, value) in rgb.iter_mut().enumerate() {
                *value = (12 * frame + at) as u8;
            }
        }
    }

    #[test]
    fn frames_that_were_written_are_read_as_they_were_drawn() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("frames.npy");
        FrameFile::write(&path, &Counted, 2).unwrap();
        let file = FrameFile::open(&path, 5, 2).unwrap();
        let Observations::Images { pixels, .. } = file.observations() else {
            panic!("images")
        };
        let all: Vec<u8> = (0..60).collect();
        assert_eq!(*pixels, all);
        // NumPy's own header: 64 bytes divide where the array begins
        let bytes = fs::read(&path).unwrap();
        assert_eq!(bytes.len(), 128 + 60);
        assert_eq!(bytes[..10], *b"\x93NUMPY\x01\x00\x76\x00");
        assert!(
            bytes[10..].starts_with(
                b"{'descr': '|u1', 'fortran_order': False, 'shape': (5, 2, 2, 3), }   "
            )
        );
        assert_eq!(bytes[127], b'\n');
        assert!(!path.with_extension("npy.partial").exists());
    }

    #[test]
    fn other_files_are_refused_with_what_was_found() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("frames.npy");
        let refused = |frames, size| {
            let message = FrameFile::open(&path, frames, size)
                .unwrap_err()
                .to_string();
            let named = format!("{}: ", path.display());
            message.strip_prefix(&named).expect("names it").to_owned()
        };
        assert!(refused(5, 2).contains("No such file"));
        FrameFile::write(&path, &Counted, 2).unwrap();
        let whole = fs::read(&path).unwrap();
        for (frames, size, shape) in [(4, 2, "(4, 2, 2, 3)"), (5, 3, "(5, 3, 3, 3)")] {
            let expected = format!(
                "expected 'shape': {shape}, found {{'descr': '|u1', 'fortran_order': False, 'shape': (5, 2, 2, 3), }}"
            );
            assert_eq!(refused(frames, size), expected);
        }
        let with = |bytes: &[u8]| {
            fs::write(&path, bytes).unwrap();
            refused(5, 2)
        };
        assert_eq!(with(b""), "expected 5 frames, found 0 bytes");
        assert_eq!(
            with(b"frames"),
            "expected an array of NumPy, version 1.0 (.npy), found something else"
        );
        assert_eq!(
            with(&whole[..50]),
            "expected NumPy's header, found the end of the file"
        );
        assert_eq!(
            with(&whole[..150]),
            "expected 188 bytes (5 frames of 2 x 2), found 150"
        );
        let mut changed = whole.clone();
        changed[140] ^= 1;
        let message = with(&changed);
        assert!(
            message.starts_with("was changed since it was drawn"),
            "{message}"
        );
        let words = String::from_utf8_lossy(&whole[..128]).replace("|u1", "<f4");
        let message = with(&[&b"\x93"[..], &words.as_bytes()[3..], &whole[128..]].concat());
        assert!(
            message.starts_with("expected 'descr': '|u1', found"),
            "{message}"
        );
    }
}
