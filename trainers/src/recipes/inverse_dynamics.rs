//! Pretrains an encoder of pictures on recorded demonstrations: inverse dynamics, or another objective, over stores of a
//! manipulation scenario.
//!
//! 1. The stores' episodes that succeeded are drawn as the encoder sees them: stores hold states, not pictures.
//! 2. [`representation::pretrain`] does the rest. The encoder lies in the run's folder as `encoder.safetensors`.
//!
//! The protocol is "Inverse Dynamics Pretraining Learns Good Representations for Multitask Imitation" (Brandfonbrener, Nachum
//! and Bruna 2023, arXiv:2305.16985, section 3).

use std::path::PathBuf;

use dataset::frames::FrameFile;
use dataset::transitions::{Crop, Observations, Transitions};
use episode::Episode;
use episode::store::Store;
use serde::{Deserialize, Serialize};
use sim::hand::HandScenario;
use sim::hand::scenario::TaskChoice;
use sim::hand::sight::Context;
use sim::hand::suites::{SUITES, Suite, SuiteTask};
use sim::scenario_file::ScenarioFile;
use tch::Device;

use super::representation::{self, Options, Summary};
use super::{RecipeError, RunOptions, prepare_folder};
use crate::evaluation::suites::{self, Corpus, View};
use crate::nn::{EncoderConfig, IMAGE_PRESETS, Precision};
use crate::objectives::{InverseDynamicsConfig, ObjectiveConfig};

/// Everything that decides a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Names the recipe: `inverse_dynamics`.
    pub recipe: String,
    /// Seeds the network, the order of the samples, crops and dropout.
    pub seed: u64,
    /// Stores of the scenario's demonstrations.
    pub data: Vec<PathBuf>,
    /// The scenario that they were recorded in.
    pub scenario: PathBuf,
    /// Whether the goal is marked in the pictures: `latent`, `visible`.
    pub context: Context,
    /// A pixel is the mean of `samples` × `samples` rays, from 1 to 8.
    pub samples: usize,
    /// The encoder: `small`, `paper_84`, `paper_120`.
    pub encoder: String,
    /// Number format of the convolutions: `auto`, `f32`, `bf16`.
    pub precision: Precision,
    /// Where pictures come from: `drawn` from the states whenever they are wanted; or, for learners that are faster than one
    /// core draws, drawn once and kept in `memory`, or in the run's folder (`frames.npy`) and `mapped`. The result is the same.
    pub frames: FramesFrom,
    /// What it is pretrained on.
    pub objective: ObjectiveConfig,
    /// Optimizer steps.
    pub steps: u64,
    /// Pairs of frames of a step.
    pub batch: usize,
    /// Learning rate at the start, cosine to 0.
    pub learning_rate: f64,
    /// Random crops; left out: none.
    pub crop: Option<Crop>,
    /// Steps between measurements of the embedding's rank.
    pub monitor_every: u64,
    /// Steps between checkpoints; one is written at the end always.
    pub checkpoint_every: u64,
}

/// See [`Config::frames`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FramesFrom {
    /// Whenever they are wanted.
    Drawn,
    /// Kept.
    Memory,
    /// Kept in a file, see [`FrameFile`].
    Mapped,
}

impl Default for Config {
    fn default() -> Self {
        let like = representation::Config::default();
        Self {
            recipe: "inverse_dynamics".to_owned(),
            seed: like.seed,
            data: Vec::new(),
            scenario: PathBuf::new(),
            context: Context::Latent,
            samples: suites::SAMPLES,
            encoder: "small".to_owned(),
            precision: like.precision,
            frames: FramesFrom::Drawn,
            objective: ObjectiveConfig::InverseDynamics(InverseDynamicsConfig::default()),
            steps: like.steps,
            batch: like.batch,
            learning_rate: like.learning_rate,
            crop: None,
            monitor_every: like.monitor_every,
            checkpoint_every: like.checkpoint_every,
        }
    }
}

/// Carries the recipe out.
///
/// # Errors
/// [`RecipeError::Input`] when the configuration, a store or a checkpoint does not fit; [`RecipeError::Failed`] otherwise.
pub fn run(config: &Config, options: &RunOptions<'_>) -> Result<Summary, RecipeError> {
    if config.recipe != "inverse_dynamics" {
        let text = format!(
            "recipe: expected \"inverse_dynamics\", found \"{}\"",
            config.recipe
        );
        return Err(RecipeError::Input(text));
    }
    if !(1..=8).contains(&config.samples) {
        return Err(RecipeError::Input(format!(
            "samples: expected 1 to 8 rays along each side of a pixel, found {}",
            config.samples
        )));
    }
    let pretraining = pretraining(config)?;
    pretraining.check()?;
    let corpus = read(config, &pretraining.encoder, options.progress)?;
    prepare_folder(config, &options.out)?;
    let options = Options {
        out: options.out.clone(),
        resume: options.resume,
        stop: options.stop,
        stop_after: options.stop_after,
        device: Device::cuda_if_available(),
        progress: options.progress,
    };
    let (file, mapped);
    let transitions = if config.frames == FramesFrom::Mapped {
        file = frames_file(&corpus.transitions, &options)?;
        mapped = corpus.transitions.with_observations(file.observations())?;
        &mapped
    } else {
        &corpus.transitions
    };
    Ok(representation::pretrain(&pretraining, transitions, &options)?.summary)
}

fn pretraining(config: &Config) -> Result<representation::Config, RecipeError> {
    let encoder = EncoderConfig::preset(&config.encoder).ok_or_else(|| {
        let names = IMAGE_PRESETS.map(|preset| preset.0).join(", ");
        let found = &config.encoder;
        RecipeError::Input(format!(
            "encoder: expected one of {names}, found \"{found}\""
        ))
    })?;
    Ok(representation::Config {
        seed: config.seed,
        encoder,
        precision: config.precision,
        objective: config.objective.clone(),
        steps: config.steps,
        batch: config.batch,
        learning_rate: config.learning_rate,
        crop: config.crop,
        monitor_every: config.monitor_every,
        checkpoint_every: config.checkpoint_every,
        ..representation::Config::default()
    })
}

/// Step 1: the stores' demonstrations, drawn.
fn read(config: &Config, encoder: &EncoderConfig, tell: bool) -> Result<Corpus, RecipeError> {
    let input = |text: String| RecipeError::Input(text);
    if config.data.is_empty() {
        return Err(input(format!(
            "data: expected stores of {}, as `habitus rollout run {} --policy scripted` records them, found none",
            config.scenario.display(),
            config.scenario.display()
        )));
    }
    let scenario = ScenarioFile::load(&config.scenario)
        .map_err(|error| input(format!("scenario: {error}")))?;
    let ScenarioFile::Hand(scenario) = scenario else {
        return Err(input(format!(
            "scenario: {} is a house; expected a manipulation task",
            config.scenario.display()
        )));
    };
    let suite = suite_of(&scenario)?;
    let mut episodes: Vec<Episode> = Vec::new();
    for path in &config.data {
        let wrong = |error: String| input(format!("{}: {error}", path.display()));
        let store = Store::open(path).map_err(|error| wrong(error.to_string()))?;
        for episode in store.episodes() {
            let episode = episode.map_err(|error| wrong(error.to_string()))?;
            let header = &episode.header;
            if header.scenario_digest != scenario.digest {
                return Err(wrong(format!(
                    "episode {} was recorded in \"{}\" ({}), expected \"{}\" as {} has it now ({})",
                    header.index,
                    header.scenario,
                    short(&header.scenario_digest),
                    scenario.hand_task.name,
                    config.scenario.display(),
                    short(&scenario.digest)
                )));
            }
            episodes.push(episode);
        }
    }
    let EncoderConfig::Image(image) = encoder else {
        return Err(input("encoder: expected one of images".to_owned()));
    };
    let view = View {
        size: image.size as usize,
        context: config.context,
        samples: config.samples,
    };
    let corpus = suites::draw(
        suite,
        &scenario,
        &episodes,
        view,
        match config.frames {
            FramesFrom::Memory => usize::MAX,
            FramesFrom::Drawn | FramesFrom::Mapped => 0,
        },
    )
    .map_err(input)?;
    if tell {
        eprintln!(
            "{} demonstrations, {} frames; {} that failed are left out",
            corpus.episodes,
            corpus.transitions.frames(),
            corpus.thrown
        );
    }
    Ok(corpus)
}

/// The frames in the run's folder, drawn if they are not there yet.
fn frames_file(drawn: &Transitions<'_>, options: &Options<'_>) -> Result<FrameFile, RecipeError> {
    let Observations::Drawn { source, height, .. } = drawn.observations() else {
        return Err(RecipeError::Failed("expected frames to draw".to_owned()));
    };
    let (frames, size) = (source.frames(), *height);
    let path = options.out.join("frames.npy");
    if !path.exists() {
        FrameFile::write(&path, &**source, size)
            .map_err(|error| RecipeError::Failed(error.to_string()))?;
    }
    let file = FrameFile::open(&path, frames, size)
        .map_err(|error| RecipeError::Input(error.to_string()))?;
    // The digest tells that the file is as it was written, a few frames that it was written of these states.
    let kept = drawn.with_observations(file.observations())?;
    let (mut expected, mut found) = (
        drawn.observations().buffer(1),
        drawn.observations().buffer(1),
    );
    let compared = frames.min(64);
    for frame in (0..compared).map(|number| number * frames / compared) {
        drawn.copy_frame(frame, &mut expected, 0);
        kept.copy_frame(frame, &mut found, 0);
        if expected != found {
            return Err(RecipeError::Input(format!(
                "{}: frame {frame} shows something else than the stores' states; without the file, frames are drawn anew",
                path.display()
            )));
        }
    }
    if options.progress {
        let bytes = frames * size * size * 3;
        eprintln!("{}: {:.0} MB", path.display(), bytes as f64 / 1e6);
    }
    Ok(file)
}

/// The suite with the scenario's task and body: it knows what of an observation is the ground truth.
fn suite_of(scenario: &HandScenario) -> Result<&'static Suite, RecipeError> {
    // Several chores in one episode are the kitchen's.
    let several = |s: &HandScenario| match &s.hand_task.task {
        TaskChoice::Chores(chores) => chores.draw.unwrap_or(chores.chore.len()) > 1,
        _ => false,
    };
    let about = |s: &HandScenario| (s.hand_task.task.name(), s.hand_task.hand, several(s));
    for suite in &SUITES {
        let tasks = suite.pretraining();
        let own = tasks.first().map(SuiteTask::scenario).transpose();
        let own = own.map_err(|error| RecipeError::Failed(error.to_string()))?;
        if own.is_some_and(|own| about(&own) == about(scenario)) {
            return Ok(suite);
        }
    }
    let names: Vec<&str> = SUITES.iter().map(|suite| suite.name).collect();
    Err(RecipeError::Input(format!(
        "scenario: expected a task of the suites {}, found {} with {:?}",
        names.join(", "),
        scenario.hand_task.task.name(),
        scenario.hand_task.hand
    )))
}

/// Enough of a digest to tell two apart.
fn short(digest: &str) -> &str {
    digest.get(..12).unwrap_or(digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scenario_is_read_as_its_suite_reads_it() {
        for suite in &SUITES {
            let task = &suite.pretraining()[0];
            let found = suite_of(&task.scenario().unwrap()).unwrap();
            // The broad suites' tasks are seen as those of `door` are.
            let expected = match suite.name {
                "broad" | "broad2" => "door",
                name => name,
            };
            assert_eq!(found.name, expected);
        }
    }
}
