//! An episode as pictures and as a film file.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Which pictures to draw, and what to make of them. The window draws: this says what, and what the files are called.
#[derive(Clone, Debug, PartialEq)]
pub struct Export {
    /// Frames of the episode, one a picture.
    pub frames: Vec<u32>,
    /// Pictures per second of film.
    pub fps: u32,
    /// Where the pictures go.
    pub dir: PathBuf,
    /// The film file, if one is wanted.
    pub mp4: Option<PathBuf>,
}

/// Why there is no film file.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// It is not installed.
    #[error(
        "ffmpeg is not installed: the pictures are in {}, install ffmpeg (Debian: apt install ffmpeg) and export again for a film",
        .0.display()
    )]
    NoFfmpeg(PathBuf),
    /// It could not be run.
    #[error("ffmpeg could not be run: {0}")]
    Io(io::Error),
    /// It did not do it.
    #[error("ffmpeg made no film of the pictures in {}: {message}", dir.display())]
    Failed {
        /// Where the pictures are.
        dir: PathBuf,
        /// The end of what it said.
        message: String,
    },
}

impl Export {
    /// Pictures of an episode from one frame to another (both included), `fps` for each second that was simulated at `speed` 1;
    /// at `speed` 2, half as many.
    pub fn new(first: u32, last: u32, fps: u32, speed: f32, dir: &Path) -> Self {
        let stride = 60.0 * f64::from(speed.max(1e-3)) / f64::from(fps.max(1));
        let at = |i: u32| (f64::from(first) + f64::from(i) * stride).round() as u32;
        let mut frames: Vec<u32> = (0..).map(at).take_while(|frame| *frame < last).collect();
        frames.push(last.max(first));
        Self {
            frames,
            fps: fps.max(1),
            dir: dir.to_owned(),
            mp4: None,
        }
    }

    /// Where the `n`-th picture goes, from 0.
    pub fn picture(&self, n: usize) -> PathBuf {
        self.dir.join(format!("frame-{:05}.png", n + 1))
    }

    /// Makes the film, if one is wanted, once all pictures are drawn.
    ///
    /// # Errors
    /// When ffmpeg is not there, or cannot do it.
    pub fn finish(&self) -> Result<(), ExportError> {
        let Some(mp4) = &self.mp4 else { return Ok(()) };
        let run = Command::new("ffmpeg")
            .args(["-y", "-loglevel", "error", "-framerate"])
            .arg(self.fps.to_string())
            .arg("-i")
            .arg(self.dir.join("frame-%05d.png"))
            // Most players want even sides and this order of colors.
            .args([
                "-vf",
                "pad=ceil(iw/2)*2:ceil(ih/2)*2",
                "-pix_fmt",
                "yuv420p",
            ])
            .arg(mp4)
            .stdin(Stdio::null())
            .output();
        match run {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(ExportError::NoFfmpeg(self.dir.clone()))
            }
            Err(error) => Err(ExportError::Io(error)),
            Ok(output) if output.status.success() => Ok(()),
            Ok(output) => Err(ExportError::Failed {
                dir: self.dir.clone(),
                message: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_cover_the_episode_evenly_and_end_with_its_last_frame() {
        let export = Export::new(0, 121, 30, 1.0, Path::new("out"));
        assert_eq!(export.frames[..3], [0, 2, 4]);
        assert_eq!(export.frames[60..], [120, 121]);
        let fast = Export::new(0, 121, 30, 4.0, Path::new("out"));
        assert_eq!(fast.frames.len(), 17);
        let still = Export::new(7, 7, 30, 1.0, Path::new("out"));
        assert_eq!(still.frames, [7]);
        assert_eq!(still.picture(0), Path::new("out/frame-00001.png"));
        still.finish().unwrap();
    }
}
