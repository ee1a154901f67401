//! Pretrains an encoder on transitions, freezes it, and trains policies on its embeddings: the protocol of "Inverse
//! Dynamics Pretraining Learns Good Representations for Multitask Imitation" (Brandfonbrener, Nachum and Bruna 2023,
//! arXiv:2305.16985, sections 3 and 4).
//!
//! 1. [`pretrain`]: an encoder with one [`ObjectiveConfig`]; AdamW, cosine to 0. Two detached heads learn beside it, a
//!    probe for the ground-truth state and a policy, and the embedding's rank is measured: they show what it holds and
//!    change nothing.
//! 2. [`train_policy`]: the encoder is frozen, the demonstrations are encoded once, a perceptron with tanh imitates. The
//!    controls are the other [`Features`]: from scratch with crops, the state, a random encoder, imported features.
//! 3. [`evaluate`]: rollouts in the caller's [`Worlds`], the same seeds for every policy.
//!
//! Deviation: the learning rate is what the configuration says; the paper scales it by batch / 256. Nothing here knows
//! which worlds there are.

use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use dataset::transitions::{
    Ahead, Batch, Buffer, Crop, Observations, Sampler, SamplerConfig, Transitions, TransitionsError,
};
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use safetensors::SafeTensors;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tch::{Device, Kind, Tensor, no_grad};

use super::loader::Loader;
use super::metrics::Metrics;
use super::{Progress, RecipeError, checkpoint_error, last_checkpoint, restored};
use crate::checkpoint::{self, TrainerState};
use crate::evaluation::representation::{alpha_req, determination, rank_me};
use crate::evaluation::statistics::{Estimate, share};
use crate::nn::{
    Dropout, Encoder, EncoderConfig, FrozenEncoder, Mlp, MlpConfig, ModelError, Parameters,
    Precision, encoder_metadata, tensor_of,
};
use crate::objectives::{
    Inputs, InverseDynamicsConfig, Next, Objective, ObjectiveConfig, Sizes, TensorBatch, Term,
    mean_square, observation_tensor,
};
use crate::optimizer::{AdamW, AdamWConfig, Decay, Schedule, clip_scale};

/// Everything that decides a pretraining run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Names the recipe: `representation`.
    pub recipe: String,
    /// Seeds the network, the order of the samples, crops and dropout.
    pub seed: u64,
    /// The encoder.
    pub encoder: EncoderConfig,
    /// Number format of the convolutions: `auto`, `f32`, `bf16`. Values and the rest are f32 always.
    pub precision: Precision,
    /// What it is pretrained on.
    pub objective: ObjectiveConfig,
    /// Optimizer steps. The paper's are 100,000 to 200,000.
    pub steps: u64,
    /// Pairs of frames of a step; the paper's 256, 128 for explicit forward dynamics.
    pub batch: usize,
    /// Learning rate at the start; 1e-3 with batches of 256.
    pub learning_rate: f64,
    /// How it falls.
    pub decay: Decay,
    /// Constants of AdamW.
    pub adamw: AdamWConfig,
    /// Random crops of images, where the objective allows them.
    pub crop: Option<Crop>,
    /// The detached state probe.
    pub probe: MlpConfig,
    /// The detached policy.
    pub policy: MlpConfig,
    /// Steps between measurements of the embedding's rank.
    pub monitor_every: u64,
    /// Frames it is measured on, evenly spread over the data.
    pub monitor_frames: usize,
    /// Steps between checkpoints; one is written at the end always.
    pub checkpoint_every: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            recipe: "representation".to_owned(),
            seed: 1,
            encoder: EncoderConfig::preset("small").expect("a preset"),
            precision: Precision::Auto,
            objective: ObjectiveConfig::InverseDynamics(InverseDynamicsConfig::default()),
            steps: 2000,
            batch: 256,
            learning_rate: 1e-3,
            decay: Decay::Cosine,
            adamw: ADAMW,
            crop: Some(Crop {
                pad: 4,
                shared: false,
            }),
            probe: MlpConfig {
                hidden: vec![64],
                dropout: 0.0,
            },
            policy: MlpConfig::default(),
            monitor_every: 500,
            monitor_frames: 1024,
            checkpoint_every: 500,
        }
    }
}

/// optax's AdamW, as the paper uses it.
const ADAMW: AdamWConfig = AdamWConfig {
    beta1: 0.9,
    beta2: 0.999,
    eps: 1e-8,
    weight_decay: 1e-4,
};

impl Config {
    /// Whether the values make sense together.
    ///
    /// # Errors
    /// Names the first that does not.
    pub fn check(&self) -> Result<(), RecipeError> {
        let checks = [
            (
                self.recipe == "representation",
                "recipe: expected \"representation\"",
            ),
            (self.steps >= 1, "steps: expected at least 1"),
            (self.batch >= 1, "batch: expected at least 1"),
            (
                self.learning_rate.is_finite() && self.learning_rate > 0.0,
                "learning_rate: expected a positive number",
            ),
            (
                self.monitor_every >= 1 && self.monitor_frames >= 2,
                "monitor_every, monitor_frames: expected at least 1 and 2",
            ),
            (
                self.checkpoint_every >= 1,
                "checkpoint_every: expected at least 1",
            ),
        ];
        if let Some((_, message)) = checks.iter().find(|(holds, _)| !holds) {
            return Err(RecipeError::Input((*message).to_owned()));
        }
        self.encoder.check()?;
        self.probe.check("probe")?;
        self.policy.check("policy")?;
        Ok(())
    }
}

/// How a run is carried out; nothing here changes its result.
pub struct Options<'a> {
    /// The run's folder: `checkpoints/`, `metrics.jsonl`, `timing.jsonl` (seconds and the share of them that the learner waited
    /// for batches), `encoder.safetensors`.
    pub out: PathBuf,
    /// Go on from the folder's last checkpoint, where there is one.
    pub resume: bool,
    /// Becomes true when the run shall stop at the next step, with a checkpoint.
    pub stop: &'a AtomicBool,
    /// Stop after this many steps, as if interrupted, the schedule unchanged.
    pub stop_after: Option<u64>,
    /// Where to compute.
    pub device: Device,
    /// Whether to show progress on stderr.
    pub progress: bool,
}

/// A pretrained encoder and what its run came to.
pub struct Pretrained {
    /// The encoder.
    pub encoder: FrozenEncoder,
    /// The objective's heads, frozen with it.
    pub heads: FrozenHeads,
    /// What the run came to.
    pub summary: Summary,
}

/// The heads that an encoder was pretrained with.
pub struct FrozenHeads {
    objective: Box<dyn Objective>,
    parameters: Parameters,
}

impl FrozenHeads {
    /// The actions that lead from embeddings to the next frames' `(batch, action)`; none where the heads do not tell them.
    ///
    /// # Errors
    /// When the embeddings do not fit.
    pub fn action_between(
        &self,
        z: &Tensor,
        next_z: &Tensor,
    ) -> Result<Option<Tensor>, ModelError> {
        no_grad(|| self.objective.action_between(&self.parameters, z, next_z))
    }

    /// The same of heads that are known to tell them, with gradients to the embeddings.
    fn told(&self, z: &Tensor, next_z: &Tensor) -> Result<Tensor, ModelError> {
        let action = self.objective.action_between(&self.parameters, z, next_z)?;
        action.ok_or_else(|| ModelError::Input("the heads tell no action".to_owned()))
    }
}

/// What a pretraining run came to.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// Steps done, of how many.
    pub step: u64,
    /// See `step`.
    pub steps: u64,
    /// Mean of each part of the loss over the last tenth of this session's steps; `probe` and `policy` are the detached
    /// heads'. The probe's is the share of the state's variance that it does not explain.
    pub losses: Vec<(String, f64)>,
    /// [`rank_me`] at the last measurement.
    pub rank_me: f64,
    /// [`alpha_req`] at the last measurement.
    pub alpha_req: f64,
    /// Seconds of training, over all sessions.
    pub seconds: f64,
    /// Frames encoded per second of this session, forward and backward.
    pub frames_per_second: f64,
    /// Share of this session's time that the learner waited for batches.
    pub stall: f64,
    /// The last checkpoint.
    pub checkpoint: PathBuf,
    /// The encoder's file.
    pub encoder: PathBuf,
}

/// The networks of a run; their values are in one [`Parameters`], the encoder's first.
struct Networks {
    encoder: Encoder,
    objective: Box<dyn Objective>,
    probe: Option<Mlp>,
    policy: Mlp,
}

/// Mean and deviation of each number of the state, `(1, state)`: networks learn numbers of the same size.
struct Standard {
    mean: Tensor,
    deviation: Tensor,
}

/// Step 1: pretrains an encoder.
///
/// # Errors
/// [`RecipeError::Input`] when the configuration, the data or a checkpoint to resume from do not fit;
/// [`RecipeError::Failed`] when a loss is not finite (the message names the batch's episodes, the last checkpoint stays) or
/// a file cannot be written.
pub fn pretrain(
    config: &Config,
    transitions: &Transitions<'_>,
    options: &Options<'_>,
) -> Result<Pretrained, RecipeError> {
    config.check()?;
    check_observations(&config.encoder, transitions)?;
    let mut parameters = Parameters::new(options.device);
    let networks = Networks::new(config, transitions, &mut parameters)?;
    let size = parameters.values().len();
    let mut optimizer = AdamW::new(config.adamw, size);
    let mut state = TrainerState::new(
        String::new(),
        digest(transitions),
        config_of_record(config)?,
    );
    let checkpoints = options.out.join("checkpoints");
    let found = last_checkpoint(&options.out, options.resume)?;
    std::fs::create_dir_all(&checkpoints)
        .map_err(|error| RecipeError::Failed(format!("{}: {error}", checkpoints.display())))?;
    if let Some(folder) = &found {
        let (saved, moments) = checkpoint::load_state(folder).map_err(checkpoint_error)?;
        saved
            .check(folder, "", &state.dataset_digest, &state.config)
            .map_err(checkpoint_error)?;
        parameters.load(&folder.join(checkpoint::NETWORK))?;
        optimizer = restored(config.adamw, size, moments, saved.step).ok_or_else(|| {
            RecipeError::Input(format!(
                "{}: the optimizer's moments do not fit the network",
                folder.display()
            ))
        })?;
        state = saved;
    }

    let ahead = networks.objective.ahead();
    let next = networks.objective.next();
    let sampler = SamplerConfig {
        seed: config.seed,
        ahead,
        crop: config.crop.filter(|_| networks.objective.augments()),
    };
    let sampler = Sampler::new(transitions, sampler, state.batch)?;
    let batches = || Batch::new(transitions, config.batch, ahead, next != Next::Unused);
    let batches = [batches(), batches()];
    let standard = Standard::of(transitions, options.device)?;
    let schedule = Schedule {
        peak: config.learning_rate,
        warmup: 0,
        steps: config.steps,
        decay: config.decay,
    };
    let mut metrics = Metrics::open(&options.out.join("metrics.jsonl"), state.step)?;
    // apart from the metrics, which are the same whenever they are made
    let mut timing = Metrics::open(&options.out.join("timing.jsonl"), state.step)?;
    let mut gradient = vec![0.0; size];
    let mut history: Vec<Vec<(&'static str, f64)>> = Vec::new();
    let (mut rank, mut alpha) = (0.0, 0.0);
    let (started, seconds_before, steps_before) = (Instant::now(), state.seconds, state.step);
    let mut written = found;
    let last = options
        .stop_after
        .map_or(config.steps, |after| config.steps.min(state.step + after));
    let ends = [last, config.steps];
    let mut progress = Progress::new(options.progress, "pretraining", state.step, ends);

    let mut stall = 0.0;
    std::thread::scope(|scope| -> Result<(), RecipeError> {
        let mut loader = Loader::start(scope, transitions, sampler, batches);
        while state.step < last && !options.stop.load(Ordering::Relaxed) {
            let batch = loader.next()?;
            let tensors = TensorBatch::new(&batch, transitions, options.device)?;
            let mut dropout = Dropout::of_step(config.seed, state.step);
            let terms = networks.loss(&parameters, &tensors, &standard, &mut dropout)?;
            let losses: Vec<(&'static str, f64)> = terms
                .iter()
                .map(|(name, term)| Ok((*name, term.f_double_value(&[])?)))
                .collect::<Result<_, tch::TchError>>()?;
            let not_finite = losses.iter().find(|(_, value)| !value.is_finite());
            let refuse = |what: String| {
                Err(RecipeError::Failed(format!(
                    "step {}: {what}; the batch holds frames of episodes {}; {}",
                    state.step,
                    episodes_of(&batch, transitions),
                    written.as_ref().map_or_else(
                        || "no checkpoint was written yet".to_owned(),
                        |folder| format!("the last checkpoint is {}", folder.display())
                    )
                )))
            };
            if let Some((name, value)) = not_finite {
                return refuse(format!("the loss {name:?} is {value}"));
            }
            parameters.gradient(&total(&terms)?, &mut gradient)?;
            let (_, norm) = clip_scale(&gradient, f64::INFINITY);
            if !norm.is_finite() {
                return refuse("the gradient is not finite".to_owned());
            }
            let learning_rate = schedule.at(state.step);
            parameters.update(|values| optimizer.step(values, &gradient, 1.0, learning_rate))?;

            state.step += 1;
            state.batch += config.batch as u64;
            let seconds = started.elapsed().as_secs_f64().max(1e-9);
            stall = loader.waited().as_secs_f64() / seconds;
            state.seconds = seconds_before + started.elapsed().as_secs_f64();
            let mut line = Map::new();
            line.insert("step".to_owned(), state.step.into());
            for (name, value) in &losses {
                line.insert((*name).to_owned(), (*value).into());
            }
            line.insert("gradient_norm".to_owned(), norm.into());
            line.insert("learning_rate".to_owned(), learning_rate.into());
            if state.step.is_multiple_of(config.monitor_every) || state.step == last {
                (rank, alpha) = monitor(config, &networks.encoder, &parameters, transitions)?;
                line.insert("rank_me".to_owned(), rank.into());
                line.insert("alpha_req".to_owned(), alpha.into());
            }
            if line.contains_key("rank_me") {
                let line = json!({"step": state.step, "seconds": state.seconds, "stall": stall});
                timing.write(&line)?;
            }
            metrics.write(&Value::Object(line))?;
            let rate = (state.step - steps_before) as f64 / seconds;
            let (name, value) = losses[0];
            let left = (last - state.step) as f64 / rate;
            progress.tell(
                state.step,
                format!("{name} {value:.4}, {rate:.1} steps/s"),
                &format!(", {left:.0} s left"),
            );
            history.push(losses);
            loader.give_back(batch);
            if state.step.is_multiple_of(config.checkpoint_every) && state.step < last {
                written = Some(write_checkpoint(
                    &checkpoints,
                    config,
                    &parameters,
                    &optimizer,
                    &state,
                )?);
            }
        }
        Ok(())
    })?;

    progress.finish();
    if rank == 0.0 {
        // Nothing was left to do, or the run was stopped between two measurements.
        (rank, alpha) = monitor(config, &networks.encoder, &parameters, transitions)?;
    }
    let named = written.filter(|folder| folder.ends_with(format!("step_{}", state.step)));
    let checkpoint = match named {
        Some(folder) => folder,
        None => write_checkpoint(&checkpoints, config, &parameters, &optimizer, &state)?,
    };
    let frozen = FrozenEncoder::of(&networks.encoder, &parameters, config.precision)?;
    let encoder = options.out.join("encoder.safetensors");
    std::fs::write(&encoder, frozen.to_bytes())
        .map_err(|error| RecipeError::Failed(format!("{}: {error}", encoder.display())))?;
    let frames = config.batch as u64 * if next == Next::Embedded { 2 } else { 1 };
    let done = (state.step - steps_before) * frames;
    Ok(Pretrained {
        encoder: frozen,
        heads: FrozenHeads {
            objective: networks.objective,
            parameters,
        },
        summary: Summary {
            step: state.step,
            steps: config.steps,
            losses: mean_of_last(&history),
            rank_me: rank,
            alpha_req: alpha,
            seconds: state.seconds,
            stall,
            frames_per_second: done as f64 / started.elapsed().as_secs_f64().max(1e-9),
            checkpoint,
            encoder,
        },
    })
}

impl Networks {
    fn new(
        config: &Config,
        transitions: &Transitions<'_>,
        parameters: &mut Parameters,
    ) -> Result<Self, RecipeError> {
        let mut rng = ChaCha8Rng::seed_from_u64(config.seed);
        let embedding = config.encoder.embedding();
        let (action, states) = (
            transitions.action_size() as i64,
            transitions.state_size() as i64,
        );
        let encoder = Encoder::new(parameters, &config.encoder, config.precision, &mut rng)?;
        let sizes = Sizes {
            encoder: &config.encoder,
            action,
        };
        let objective = config.objective.build(parameters, sizes, &mut rng)?;
        let probe = (states > 0)
            .then(|| {
                Mlp::new(
                    parameters,
                    "probe",
                    embedding,
                    &config.probe,
                    states,
                    &mut rng,
                )
            })
            .transpose()?;
        let policy = Mlp::new(
            parameters,
            "policy",
            embedding,
            &config.policy,
            action,
            &mut rng,
        )?;
        Ok(Self {
            encoder,
            objective,
            probe,
            policy,
        })
    }

    /// The objective's terms and those of the detached heads, whose gradients stop at the embedding.
    fn loss(
        &self,
        parameters: &Parameters,
        batch: &TensorBatch,
        standard: &Standard,
        dropout: &mut Dropout,
    ) -> Result<Vec<Term>, ModelError> {
        let (z, next_z) = match (&batch.next, self.objective.next()) {
            (Some(next), Next::Embedded) => {
                let both = Tensor::f_cat(&[&batch.observations, next], 0)?;
                let both = self.encoder.forward(parameters, &both)?;
                let rows = batch.observations.size()[0];
                (both.narrow(0, 0, rows), Some(both.narrow(0, rows, rows)))
            }
            _ => (self.encoder.forward(parameters, &batch.observations)?, None),
        };
        let inputs = Inputs {
            z: &z,
            next_z: next_z.as_ref(),
            batch,
        };
        let mut terms = self.objective.loss(parameters, &inputs, dropout)?;
        let detached = z.detach();
        if let Some(probe) = &self.probe {
            let predicted = probe.forward(parameters, &detached, dropout);
            let wanted = standard.apply(&batch.states);
            terms.push(("probe", mean_square(&predicted, &wanted)));
        }
        let predicted = self.policy.forward(parameters, &detached, dropout).tanh();
        let first = batch.actions.select(1, 0);
        terms.push(("policy", mean_square(&predicted, &first)));
        Ok(terms)
    }
}

impl Standard {
    /// States `(batch, state)` with mean 0 and deviation 1 over the frames this was made of.
    fn apply(&self, states: &Tensor) -> Tensor {
        (states - &self.mean) / &self.deviation
    }

    fn of(transitions: &Transitions<'_>, device: Device) -> Result<Self, ModelError> {
        let size = transitions.state_size();
        let (mut sums, mut squares) = (vec![0.0_f64; size], vec![0.0_f64; size]);
        for state in transitions.states().chunks_exact(size.max(1)) {
            for ((sum, square), value) in sums.iter_mut().zip(&mut squares).zip(state) {
                *sum += f64::from(*value);
                *square += f64::from(*value).powi(2);
            }
        }
        let frames = transitions.frames().max(1) as f64;
        let mean: Vec<f32> = sums.iter().map(|sum| (sum / frames) as f32).collect();
        let deviation: Vec<f32> = sums
            .iter()
            .zip(&squares)
            .map(|(sum, square)| (square / frames - (sum / frames).powi(2)).max(0.0).sqrt() as f32)
            // what does not vary is left as it is
            .map(|deviation| if deviation > 1e-6 { deviation } else { 1.0 })
            .collect();
        let row = |values: &[f32]| crate::nn::floats(values, &[1, size as i64], device);
        Ok(Self {
            mean: row(&mean)?,
            deviation: row(&deviation)?,
        })
    }
}

fn total(terms: &[Term]) -> Result<Tensor, ModelError> {
    let mut sum = Tensor::f_zeros([0], (Kind::Float, Device::Cpu))?;
    for (number, (_, term)) in terms.iter().enumerate() {
        sum = if number == 0 {
            term.shallow_clone()
        } else {
            sum + term
        };
    }
    Ok(sum)
}

/// The batch's episodes in words, the first twenty.
fn episodes_of(batch: &Batch, transitions: &Transitions<'_>) -> String {
    const NAMED: usize = 20;
    let mut episodes: Vec<usize> = batch
        .windows
        .iter()
        .map(|window| transitions.episode_of(window.frame))
        .collect();
    episodes.sort_unstable();
    episodes.dedup();
    let named: Vec<String> = episodes.iter().take(NAMED).map(usize::to_string).collect();
    let more = episodes.len().saturating_sub(NAMED);
    let named = named.join(", ");
    if more > 0 {
        format!("{named} and {more} more")
    } else {
        named
    }
}

/// [`rank_me`] and [`alpha_req`] of the embeddings of frames evenly spread over the data.
fn monitor(
    config: &Config,
    encoder: &Encoder,
    parameters: &Parameters,
    transitions: &Transitions<'_>,
) -> Result<(f64, f64), ModelError> {
    let count = config.monitor_frames.min(transitions.frames());
    let frames: Vec<usize> = (0..count)
        .map(|number| number * transitions.frames() / count)
        .collect();
    let z = encode_frames(transitions, &frames, parameters.device(), |observations| {
        no_grad(|| encoder.forward(parameters, observations))
    })?;
    let size = config.encoder.embedding() as usize;
    Ok((rank_me(&z, size)?, alpha_req(&z, size)?))
}

fn mean_of_last(history: &[Vec<(&'static str, f64)>]) -> Vec<(String, f64)> {
    let tail = &history[history.len() - history.len().div_ceil(10)..];
    let Some(first) = tail.first() else {
        return Vec::new();
    };
    let mean = |at: usize| tail.iter().map(|losses| losses[at].1).sum::<f64>() / tail.len() as f64;
    first
        .iter()
        .enumerate()
        .map(|(at, (name, _))| ((*name).to_owned(), mean(at)))
        .collect()
}

/// Identifies the data: sizes, episodes, actions, states, and up to 64 frames evenly spread.
fn digest(transitions: &Transitions<'_>) -> String {
    let mut hasher = blake3::Hasher::new();
    let mut floats = |values: &[f32]| {
        for value in values {
            hasher.update(&value.to_le_bytes());
        }
    };
    floats(transitions.actions());
    floats(transitions.states());
    for episode in 0..transitions.episodes() {
        hasher.update(&(transitions.episode(episode).end as u64).to_le_bytes());
    }
    let count = transitions.frames().min(64);
    let mut buffer = transitions.observations().buffer(1);
    for number in 0..count {
        let frame = number * transitions.frames() / count;
        transitions.copy_frame(frame, &mut buffer, 0);
        match &buffer {
            Buffer::Images(pixels) => {
                hasher.update(pixels);
            }
            Buffer::Vectors(values) => {
                for value in values {
                    hasher.update(&value.to_le_bytes());
                }
            }
        }
    }
    hasher.finalize().to_hex().to_string()
}

fn config_of_record(config: &Config) -> Result<Value, RecipeError> {
    let mut value =
        serde_json::to_value(config).map_err(|error| RecipeError::Failed(error.to_string()))?;
    if let Some(map) = value.as_object_mut() {
        map.remove("checkpoint_every");
    }
    Ok(value)
}

fn write_checkpoint(
    folder: &Path,
    config: &Config,
    parameters: &Parameters,
    optimizer: &AdamW,
    state: &TrainerState,
) -> Result<PathBuf, RecipeError> {
    let (first, second) = optimizer.moments();
    checkpoint::save_network(
        folder,
        &parameters.to_bytes("", encoder_metadata(&config.encoder)),
        &[("first", first), ("second", second)],
        state,
    )
    .map_err(|error| RecipeError::Failed(error.to_string()))
}

impl From<TransitionsError> for RecipeError {
    fn from(error: TransitionsError) -> Self {
        Self::Input(error.to_string())
    }
}

/// Refuses data that the encoder cannot read.
fn check_observations(
    encoder: &EncoderConfig,
    transitions: &Transitions<'_>,
) -> Result<(), RecipeError> {
    let expected = match encoder {
        EncoderConfig::Image(image) => format!("images of {0} x {0}", image.size),
        EncoderConfig::Vector(vector) => format!("vectors of {}", vector.inputs),
    };
    let found = match transitions.observations() {
        Observations::Images { height, width, .. } | Observations::Drawn { height, width, .. } => {
            format!("images of {height} x {width}")
        }
        Observations::Vectors { size, .. } => format!("vectors of {size}"),
    };
    if expected == found {
        return Ok(());
    }
    Err(RecipeError::Input(format!(
        "the encoder reads {expected}, the data are {found}"
    )))
}

/// What a policy sees.
pub enum Features {
    /// Embeddings of a frozen encoder: pretrained, random, or read from a file.
    Frozen(FrozenEncoder),
    /// Embeddings of a frozen encoder, of which the next one is predicted; the pretrained inverse dynamics tell the action
    /// between (arXiv:2601.21718).
    Predicted(FrozenEncoder, Rc<FrozenHeads>),
    /// Its own encoder, trained with the policy; the control "from scratch with augmentation".
    Scratch {
        /// The encoder.
        encoder: EncoderConfig,
        /// Number format of its convolutions.
        precision: Precision,
        /// Random crops of images.
        crop: Option<Crop>,
    },
    /// The ground-truth state.
    State,
    /// Vectors as they are, such as imported features ([`read_features`]).
    Observations,
}

/// Everything else that decides a policy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PolicyConfig {
    /// Seeds the network, the order of the samples, crops and dropout.
    pub seed: u64,
    /// The perceptron; its output passes tanh.
    pub head: MlpConfig,
    /// Optimizer steps. The paper's are 10,000.
    pub steps: u64,
    /// Samples of a step.
    pub batch: usize,
    /// Learning rate at the start, cosine to 0.
    pub learning_rate: f64,
    /// Constants of AdamW.
    pub adamw: AdamWConfig,
}

impl Default for PolicyConfig {
    fn default() -> Self {
        Self {
            seed: 1,
            head: MlpConfig::default(),
            steps: 10_000,
            batch: 256,
            learning_rate: 1e-3,
            adamw: ADAMW,
        }
    }
}

/// A trained policy.
pub struct Policy {
    eyes: Eyes,
    parameters: Parameters,
    head: Mlp,
}

enum Eyes {
    Frozen(FrozenEncoder),
    Predicting(FrozenEncoder, Rc<FrozenHeads>),
    Own(Encoder),
    State,
    Observations,
}

/// Step 2: trains a policy on demonstrations: `mean (tanh(MLP(features)) - a)²`; with [`Features::Predicted`]
/// `mean (z + MLP(z) - z')² + mean (inverse dynamics(z, z + MLP(z)) - a)²`: one step's way is short beside what a prediction
/// may be off by, and only the action tells which errors matter.
///
/// # Errors
/// [`RecipeError::Input`] when features and data do not fit; [`RecipeError::Failed`] when a loss is not finite.
pub fn train_policy(
    config: &PolicyConfig,
    features: Features,
    demonstrations: &Transitions<'_>,
    device: Device,
) -> Result<Policy, RecipeError> {
    config.head.check("head")?;
    let mut parameters = Parameters::new(device);
    let mut rng = ChaCha8Rng::seed_from_u64(config.seed);
    let mut crop = None;
    // what is trained on: the demonstrations, or what a frozen network makes of them
    let vectors = |values: Vec<f32>, size: usize| {
        demonstrations.with_observations(Observations::Vectors {
            values: values.into(),
            size,
        })
    };
    let (eyes, data, inputs) = match features {
        Features::Frozen(encoder) => {
            check_observations(encoder.config(), demonstrations)?;
            let size = encoder.config().embedding() as usize;
            let z = encode(&encoder, demonstrations)?;
            (Eyes::Frozen(encoder), Some(vectors(z, size)?), size)
        }
        Features::Predicted(encoder, heads) => {
            check_observations(encoder.config(), demonstrations)?;
            let size = encoder.config().embedding() as usize;
            let z = encode(&encoder, demonstrations)?;
            let like = crate::nn::floats(&z[..size], &[1, size as i64], device)?;
            if heads.action_between(&like, &like)?.is_none() {
                return Err(RecipeError::Input(
                    "expected an encoder pretrained by inverse dynamics one step apart".to_owned(),
                ));
            }
            let eyes = Eyes::Predicting(encoder, heads);
            (eyes, Some(vectors(z, size)?), size)
        }
        Features::Scratch {
            encoder,
            precision,
            crop: wanted,
        } => {
            check_observations(&encoder, demonstrations)?;
            crop = wanted;
            let size = encoder.embedding() as usize;
            let encoder = Encoder::new(&mut parameters, &encoder, precision, &mut rng)?;
            (Eyes::Own(encoder), None, size)
        }
        Features::State => {
            let size = demonstrations.state_size();
            let states = demonstrations.states().to_vec();
            (Eyes::State, Some(vectors(states, size)?), size)
        }
        Features::Observations => {
            let Observations::Vectors { size, .. } = demonstrations.observations() else {
                return Err(RecipeError::Input(
                    "expected vectors as observations, found images".to_owned(),
                ));
            };
            (Eyes::Observations, None, *size)
        }
    };
    let data = data.as_ref().unwrap_or(demonstrations);
    let predicts = matches!(eyes, Eyes::Predicting(..));
    let outputs = if predicts { inputs } else { data.action_size() };
    let head = Mlp::new(
        &mut parameters,
        "policy",
        inputs as i64,
        &config.head,
        outputs as i64,
        &mut rng,
    )?;

    let ahead = Ahead::Fixed(1);
    let sampler = SamplerConfig {
        seed: config.seed,
        ahead,
        crop,
    };
    let mut sampler = Sampler::new(data, sampler, 0)?;
    let mut batch = Batch::new(data, config.batch.max(1), ahead, predicts);
    let mut optimizer = AdamW::new(config.adamw, parameters.values().len());
    let mut gradient = vec![0.0; parameters.values().len()];
    let schedule = Schedule {
        peak: config.learning_rate,
        warmup: 0,
        steps: config.steps,
        decay: Decay::Cosine,
    };
    for step in 0..config.steps {
        sampler.fill(data, &mut batch);
        let tensors = TensorBatch::new(&batch, data, device)?;
        let mut dropout = Dropout::of_step(config.seed, step);
        let seen = match &eyes {
            Eyes::Own(encoder) => encoder.forward(&parameters, &tensors.observations)?,
            _ => tensors.observations.shallow_clone(),
        };
        let raw = head.forward(&parameters, &seen, &mut dropout);
        let wanted = tensors.actions.select(1, 0);
        let loss = match (&eyes, &tensors.next) {
            (Eyes::Predicting(_, heads), Some(next)) => {
                let predicted = &seen + raw;
                let action = heads.told(&seen, &predicted)?;
                mean_square(&predicted, next) + mean_square(&action, &wanted)
            }
            _ => mean_square(&raw.tanh(), &wanted),
        };
        parameters.gradient(&loss, &mut gradient)?;
        let (_, norm) = clip_scale(&gradient, f64::INFINITY);
        if !norm.is_finite() {
            return Err(RecipeError::Failed(format!(
                "policy, step {step}: the loss is {}; the batch holds frames of episodes {}",
                loss.f_double_value(&[])?,
                episodes_of(&batch, data)
            )));
        }
        parameters.update(|values| optimizer.step(values, &gradient, 1.0, schedule.at(step)))?;
    }
    Ok(Policy {
        eyes,
        parameters,
        head,
    })
}

impl Policy {
    /// Actions in [-1, 1] `(batch, action)` for observations `(batch, …)` and states `(batch, state)`.
    ///
    /// # Errors
    /// When the observations do not fit.
    pub fn act(&self, observations: &Tensor, states: &Tensor) -> Result<Tensor, ModelError> {
        no_grad(|| {
            let seen = match &self.eyes {
                Eyes::Frozen(encoder) | Eyes::Predicting(encoder, _) => {
                    encoder.encode(observations)?
                }
                Eyes::Own(encoder) => encoder.forward(&self.parameters, observations)?,
                Eyes::State => states.shallow_clone(),
                Eyes::Observations => observations.shallow_clone(),
            };
            let raw = self
                .head
                .forward(&self.parameters, &seen, &mut Dropout::off());
            if let Eyes::Predicting(_, heads) = &self.eyes {
                let next = &seen + raw;
                return heads.told(&seen, &next);
            }
            Ok(raw.tanh())
        })
    }
}

/// Embeddings of all frames, `(frames, embedding)`, uncropped.
///
/// # Errors
/// When the encoder reads other observations.
pub fn encode(
    encoder: &FrozenEncoder,
    transitions: &Transitions<'_>,
) -> Result<Vec<f32>, RecipeError> {
    check_observations(encoder.config(), transitions)?;
    let frames: Vec<usize> = (0..transitions.frames()).collect();
    let device = encoder.parameters().device();
    Ok(encode_frames(
        transitions,
        &frames,
        device,
        |observations| encoder.encode(observations),
    )?)
}

/// How well a pretrained network labels frames that have no actions: coefficients of determination of the actions that
/// it tells, one for each number of an action (those that do not vary are left out). Empty where its heads tell none.
///
/// # Errors
/// When the encoder reads other observations.
pub fn label_quality(
    encoder: &FrozenEncoder,
    heads: &FrozenHeads,
    transitions: &Transitions<'_>,
) -> Result<Vec<f64>, RecipeError> {
    let z = encode(encoder, transitions)?;
    let (embedding, size) = (
        encoder.config().embedding() as usize,
        transitions.action_size(),
    );
    let (mut before, mut after, mut wanted) = (Vec::new(), Vec::new(), Vec::new());
    for episode in 0..transitions.episodes() {
        let frames = transitions.episode(episode);
        // nothing is done in an episode's last frame
        let last = frames.end - 1;
        before.extend_from_slice(&z[frames.start * embedding..last * embedding]);
        after.extend_from_slice(&z[(frames.start + 1) * embedding..frames.end * embedding]);
        wanted.extend_from_slice(&transitions.actions()[frames.start * size..last * size]);
    }
    let device = encoder.parameters().device();
    let rows = |values: &[f32]| crate::nn::floats(values, &[-1, embedding as i64], device);
    match heads.action_between(&rows(&before)?, &rows(&after)?)? {
        Some(told) => Ok(determination(&numbers(&told)?, &wanted, size)?),
        None => Ok(Vec::new()),
    }
}

fn encode_frames(
    transitions: &Transitions<'_>,
    frames: &[usize],
    device: Device,
    encode: impl Fn(&Tensor) -> Result<Tensor, ModelError>,
) -> Result<Vec<f32>, ModelError> {
    const AT_ONCE: usize = 256;
    let mut embeddings = Vec::new();
    for frames in frames.chunks(AT_ONCE) {
        let mut buffer = transitions.observations().buffer(frames.len());
        for (at, frame) in frames.iter().enumerate() {
            transitions.copy_frame(*frame, &mut buffer, at);
        }
        let z = encode(&observation_tensor(
            &buffer,
            transitions.observations(),
            device,
        )?)?;
        embeddings.extend(numbers(&z)?);
    }
    Ok(embeddings)
}

fn numbers(x: &Tensor) -> Result<Vec<f32>, ModelError> {
    let x = x.f_to_device(Device::Cpu)?.f_contiguous()?;
    Ok(Vec::try_from(x.f_reshape(-1)?)?)
}

/// Reads features made elsewhere, one row for each frame: tensor `features` `(frames, size)` of a safetensors file. With
/// [`Transitions::with_observations`] they take the frames' place.
///
/// # Errors
/// [`RecipeError::Input`] when the file cannot be read, or the tensor is missing or of another shape.
pub fn read_features(
    path: &Path,
    frames: usize,
    size: usize,
) -> Result<Observations<'static>, RecipeError> {
    let wrong = |message: String| RecipeError::Input(format!("{}: {message}", path.display()));
    let bytes = std::fs::read(path).map_err(|error| wrong(error.to_string()))?;
    let file = SafeTensors::deserialize(&bytes)
        .map_err(|error| wrong(format!("not a safetensors file: {error}")))?;
    let view = file
        .tensor("features")
        .map_err(|_missing| wrong(format!("no tensor \"features\", found {:?}", file.names())))?;
    if view.shape() != [frames, size] {
        return Err(wrong(format!(
            "tensor features: expected {frames} frames of {size} numbers, found shape {:?}",
            view.shape()
        )));
    }
    let tensor =
        tensor_of(&view).map_err(|message| wrong(format!("tensor features: {message}")))?;
    Ok(Observations::Vectors {
        values: numbers(&tensor)?.into(),
        size,
    })
}

/// Worlds that a policy acts in, several side by side.
pub trait Worlds {
    /// Starts one world for each seed.
    ///
    /// # Errors
    /// When a world cannot be made.
    fn reset(&mut self, seeds: &[u64]) -> Result<(), String>;

    /// Steps after which a rollout ends.
    fn horizon(&self) -> usize;

    /// What is seen now: fills the observations `(worlds, …)` and states `(worlds, state)`.
    ///
    /// # Errors
    /// When the worlds cannot be drawn.
    fn observe(&mut self, observations: &mut Buffer, states: &mut [f32]) -> Result<(), String>;

    /// Goes on with an action for each world `(worlds, action)`.
    ///
    /// # Errors
    /// When the simulation fails.
    fn step(&mut self, actions: &[f32]) -> Result<(), String>;

    /// Whether each world's task was done at some step so far.
    fn successes(&self) -> Vec<bool>;

    /// The largest share of each world's task that was done at some step so far, from 0 to 1: that of its parts, for tasks
    /// that have some.
    fn progress(&self) -> Vec<f64> {
        let successes = self.successes().into_iter();
        successes.map(|done| f64::from(u8::from(done))).collect()
    }
}

/// What rollouts came to.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Rollouts {
    /// Whether each seed's rollout did its task, in the order of the seeds.
    pub successes: Vec<bool>,
    /// Their share with its Wilson interval.
    pub share: Estimate,
    /// Mean of [`Worlds::progress`].
    pub progress: f64,
}

impl Rollouts {
    /// How many did their task.
    pub fn right(&self) -> u64 {
        self.successes.iter().filter(|success| **success).count() as u64
    }
}

/// Step 3: one rollout for each seed. `like` are transitions of the same worlds, for shapes.
///
/// # Errors
/// [`RecipeError::Failed`] when the worlds fail or the policy cannot read them.
pub fn evaluate(
    policy: &Policy,
    worlds: &mut dyn Worlds,
    like: &Transitions<'_>,
    seeds: &[u64],
) -> Result<Rollouts, RecipeError> {
    /// Worlds side by side; more use more memory and gain little.
    const SIDE_BY_SIDE: usize = 256;
    let device = policy.parameters.device();
    let (mut successes, mut progress) = (Vec::new(), Vec::new());
    for seeds in seeds.chunks(SIDE_BY_SIDE) {
        worlds.reset(seeds).map_err(RecipeError::Failed)?;
        let mut observations = like.observations().buffer(seeds.len());
        let mut states = vec![0.0; seeds.len() * like.state_size()];
        for _ in 0..worlds.horizon() {
            worlds
                .observe(&mut observations, &mut states)
                .map_err(RecipeError::Failed)?;
            let seen = observation_tensor(&observations, like.observations(), device)?;
            let shape = [seeds.len() as i64, like.state_size() as i64];
            let states = crate::nn::floats(&states, &shape, device)?;
            let actions = numbers(&policy.act(&seen, &states)?)?;
            worlds.step(&actions).map_err(RecipeError::Failed)?;
        }
        successes.extend(worlds.successes());
        progress.extend(worlds.progress());
    }
    let right = successes.iter().filter(|success| **success).count();
    Ok(Rollouts {
        share: share(right, successes.len()),
        progress: progress.iter().sum::<f64>() / progress.len().max(1) as f64,
        successes,
    })
}
