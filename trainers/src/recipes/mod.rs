//! Training procedures: one flat file each, its configuration on top, its steps in the paper's order.
//!
//! To add one: a file here with a `Config` (serde, `deny_unknown_fields`, a sentence per field) and a `run`; a row in
//! `src/bin/train.rs`; a TOML in `recipes/`; a test that resumes it bit for bit.

pub mod bench;
pub mod inverse_dynamics;
pub mod language_finetune;
pub mod loader_bench;
pub mod motor;
pub mod motor_bench;
pub mod motor_report;
pub mod motor_study;
pub mod representation;

mod loader;
mod metrics;

use std::collections::BTreeMap;
use std::fs;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use crate::checkpoint::{self, CheckpointError};
use crate::optimizer::{AdamW, AdamWConfig};

/// Why a recipe did not finish.
#[derive(Debug, thiserror::Error)]
pub enum RecipeError {
    /// What was asked for is wrong: a file, a value, data that do not fit. Exit code 2.
    #[error("{0}")]
    Input(String),
    /// It failed on the way. Exit code 1.
    #[error("{0}")]
    Failed(String),
}

impl RecipeError {
    /// The process's exit code.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Failed(_) => 1,
            Self::Input(_) => 2,
        }
    }
}

impl From<crate::nn::ModelError> for RecipeError {
    fn from(error: crate::nn::ModelError) -> Self {
        match error {
            crate::nn::ModelError::Torch(_) => Self::Failed(error.to_string()),
            _ => Self::Input(error.to_string()),
        }
    }
}

impl From<tch::TchError> for RecipeError {
    fn from(error: tch::TchError) -> Self {
        Self::Failed(format!("libtorch: {error}"))
    }
}

/// How a run is carried out; nothing here changes its result.
pub struct RunOptions<'a> {
    /// The run's folder.
    pub out: PathBuf,
    /// Go on from its last checkpoint.
    pub resume: bool,
    /// Becomes true when the run shall stop at the next step, or iteration, with a checkpoint.
    pub stop: &'a AtomicBool,
    /// Stop after this many steps, as if interrupted, the schedule unchanged.
    pub stop_after: Option<u64>,
    /// Whether to show progress on stderr.
    pub progress: bool,
}

/// The last checkpoint in a run's folder: refused where the run is not to go on.
fn last_checkpoint(out: &Path, resume: bool) -> Result<Option<PathBuf>, RecipeError> {
    let found = checkpoint::latest(&out.join("checkpoints"));
    if found.is_some() && !resume {
        return Err(RecipeError::Input(format!(
            "{}: holds a run already; go on with it or name another folder",
            out.display()
        )));
    }
    Ok(found)
}

/// What is wrong with a checkpoint that a run shall go on from.
fn checkpoint_error(error: CheckpointError) -> RecipeError {
    match error {
        CheckpointError::Model(error) => error.into(),
        other => RecipeError::Input(other.to_string()),
    }
}

/// A bar on stderr with the time left; hidden where nobody asked for it or nobody would see it.
fn bar(progress: bool, length: u64, what: &'static str) -> ProgressBar {
    if !progress || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{prefix} {wide_bar} {pos}/{len}, {eta} left  {msg}")
        .expect("the template is well formed");
    ProgressBar::new(length).with_style(style).with_prefix(what)
}

/// How far training is: a bar where one is seen, elsewhere a line now and then.
struct Progress {
    bar: ProgressBar,
    wanted: bool,
    /// The last step of this session, and of the run.
    ends: [u64; 2],
    said: Instant,
}

impl Progress {
    fn new(wanted: bool, what: &'static str, step: u64, ends: [u64; 2]) -> Self {
        let bar = bar(wanted, ends[1], what);
        bar.set_position(step);
        Self {
            bar,
            wanted,
            ends,
            said: Instant::now(),
        }
    }

    /// A step is done; `more` is for lines only.
    fn tell(&mut self, step: u64, message: String, more: &str) {
        let [last, steps] = self.ends;
        self.bar.set_position(step);
        let due = self.said.elapsed() > Duration::from_secs(10) || step == last;
        if self.wanted && self.bar.is_hidden() && due {
            self.said = Instant::now();
            eprintln!("step {step} of {steps}: {message}{more}");
        }
        self.bar.set_message(message);
    }

    fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

/// Creates a run's folder and writes the resolved configuration into it; that of a run that has come to a checkpoint stays as
/// it is.
fn prepare_folder(config: &impl Serialize, out: &Path) -> Result<(), RecipeError> {
    let file = out.join("config.toml");
    let failed =
        |error: std::io::Error| RecipeError::Failed(format!("{}: {error}", file.display()));
    let checkpoints = out.join("checkpoints");
    fs::create_dir_all(&checkpoints).map_err(failed)?;
    let begun = fs::read_dir(&checkpoints).map_err(failed)?.next().is_some();
    if !begun || !file.exists() {
        let text = toml::to_string_pretty(config)
            .map_err(|error| RecipeError::Failed(error.to_string()))?;
        let header = format!("# Resolved by habitus {}.\n", env!("CARGO_PKG_VERSION"));
        fs::write(&file, header + &text).map_err(failed)?;
    }
    Ok(())
}

/// Writes a file whole: whatever happens, and whoever else writes it, what is there is one's or another's.
///
/// # Errors
/// When it cannot be written.
pub(crate) fn write_whole(path: &Path, text: &str) -> Result<(), RecipeError> {
    let part = path.with_extension(format!("{}.part", std::process::id()));
    fs::write(&part, text)
        .and_then(|()| fs::rename(&part, path))
        .map_err(|error| RecipeError::Failed(format!("{}: {error}", path.display())))
}

/// An optimizer of `size` values with the moments of a checkpoint; `None` where they do not fit.
fn restored(
    config: AdamWConfig,
    size: usize,
    mut moments: BTreeMap<String, Vec<f32>>,
    steps: u64,
) -> Option<AdamW> {
    let mut moment = |name: &str| moments.remove(name).unwrap_or_default();
    AdamW::restore(config, size, moment("first"), moment("second"), steps)
}
