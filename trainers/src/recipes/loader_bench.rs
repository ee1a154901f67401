//! How fast batches of pictures are made: samples per second of CPU time, on frames that the peer's script
//! (tests/peers/representation/loader_speed.py) reads too, so that the two can be measured side by side.

use std::path::Path;

use agents::rollout::Demonstrator;
use dataset::frames::FrameFile;
use dataset::transitions::{Ahead, Batch, Observations, Sampler, SamplerConfig, Transitions};
use serde::Serialize;
use sim::hand::sight::Context;
use sim::hand::suites::SUITES;
use tch::Device;

use super::RecipeError;
use super::bench::cpu_seconds;
use crate::evaluation::suites::{View, draw};
use crate::objectives::TensorBatch;

/// What was measured. A sample is two frames, one step apart and not cropped, with the action, in batches of tensors.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Figures {
    /// Rows and columns of a frame.
    pub size: usize,
    /// Frames there are.
    pub frames: usize,
    /// Samples of a batch.
    pub batch: usize,
    /// Samples of each measurement, a tenth of it where they are drawn.
    pub samples: usize,
    /// Samples per CPU second (user and system) of frames kept in memory.
    pub samples_per_core_second: f64,
    /// The same of frames drawn from states.
    pub drawn: f64,
    /// The same of frames in a mapped file.
    pub mapped: f64,
}

const SIZE: usize = 84;
const EPISODES: u64 = 20;
const BATCH: usize = 256;

/// Measures the frames of scripted demonstrations of the first suite, with one thread. They lie in `folder` as `frames.npy`.
///
/// # Errors
/// [`RecipeError::Input`] when `folder` holds another file of that name; [`RecipeError::Failed`] when a demonstration cannot be
/// made or a file cannot be written.
pub fn run(folder: &Path, print: bool) -> Result<Figures, RecipeError> {
    let failed = RecipeError::Failed;
    let suite = &SUITES[0];
    let tasks = suite.pretraining();
    let scenario = || tasks[0].scenario().map_err(|e| failed(e.to_string()));
    let episodes = Demonstrator::new(scenario()?, 1)
        .and_then(|mut demonstrator| demonstrator.attempt(EPISODES))
        .map_err(|error| failed(error.to_string()))?;
    let view = View {
        size: SIZE,
        context: Context::Latent,
        samples: 1,
    };
    let drawn = draw(suite, &scenario()?, &episodes, view, 0).map_err(failed)?;
    let drawn = drawn.transitions;
    let Observations::Drawn { source, .. } = drawn.observations() else {
        return Err(failed("expected frames to draw".to_owned()));
    };
    std::fs::create_dir_all(folder)
        .map_err(|error| failed(format!("{}: {error}", folder.display())))?;
    let path = folder.join("frames.npy");
    if !path.exists() {
        FrameFile::write(&path, &**source, SIZE).map_err(|error| failed(error.to_string()))?;
    }
    let file = FrameFile::open(&path, drawn.frames(), SIZE)
        .map_err(|error| RecipeError::Input(error.to_string()))?;
    let mapped = drawn.with_observations(file.observations())?;
    let Observations::Images { pixels, .. } = file.observations() else {
        return Err(failed("expected frames in the file".to_owned()));
    };
    let kept = drawn.with_observations(Observations::Images {
        pixels: pixels.into_owned().into(),
        height: SIZE,
        width: SIZE,
    })?;
    let batches = 400;
    let figures = Figures {
        size: SIZE,
        frames: drawn.frames(),
        batch: BATCH,
        samples: batches * BATCH,
        samples_per_core_second: rate(&kept, batches)?,
        drawn: rate(&drawn, batches / 10)?,
        mapped: rate(&mapped, batches)?,
    };
    if print {
        eprintln!(
            "{:.0} samples per CPU second from memory, {:.0} from a mapped file, {:.0} drawn (of {} samples, a tenth where drawn: two frames of {SIZE} x {SIZE}, the action; batches of {BATCH}, {} frames, one thread)",
            figures.samples_per_core_second,
            figures.mapped,
            figures.drawn,
            figures.samples,
            figures.frames
        );
    }
    Ok(figures)
}

/// Samples per CPU second, after a tenth to warm up.
fn rate(transitions: &Transitions<'_>, batches: usize) -> Result<f64, RecipeError> {
    let config = SamplerConfig {
        seed: 1,
        ahead: Ahead::Fixed(1),
        crop: None,
    };
    let mut sampler = Sampler::new(transitions, config, 0)?;
    let mut batch = Batch::new(transitions, BATCH, config.ahead, true);
    let mut make = |batches: usize| -> Result<(), RecipeError> {
        for _ in 0..batches {
            sampler.fill(transitions, &mut batch);
            std::hint::black_box(TensorBatch::new(&batch, transitions, Device::Cpu)?);
        }
        Ok(())
    };
    make(batches / 10)?;
    let before = cpu_seconds();
    make(batches)?;
    // the system counts hundredths
    let seconds = (cpu_seconds() - before).max(0.01);
    Ok((batches * BATCH) as f64 / seconds)
}
