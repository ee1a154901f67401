//! Learns to move a hand: one policy for one task or several, by proximal policy optimization.
//!
//! An iteration:
//! 1. Workers act with the policy as it is: items of `worlds` worlds and `length` steps ([`Roller`]), tasks in turn.
//! 2. The learner improves it on what they saw ([`ppo`](crate::motor::ppo)).
//! 3. What was seen goes into the observations' mean and deviation, for the next iteration.
//!
//! The result is the same for any number of workers, and goes on after a stop as if there had been none. In asynchronous mode
//! workers go on while the learner learns; how much older than the learner's their policies were is told, and what they did
//! counts as far as the newest policy would have done the same. That result depends on who was faster.
//!
//! With teachers, one for each task, the policy learns from what they would have done instead of from rewards.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sim::hand::HandScenario;
use sim::hand::scenario::BodyChoice;
use sim::scenario_file::ScenarioFile;
use tch::Device;

use super::bench::memory_mib;
use super::metrics::Metrics;
use super::motor_report;
use super::{
    Progress, RecipeError, RunOptions, checkpoint_error, last_checkpoint, prepare_folder, restored,
};
use crate::checkpoint::{self, TrainerState};
use crate::evaluation::statistics::{Estimate, share};
use crate::motor::ppo::{Learner, Learnt, Own, PpoConfig};
use crate::motor::{
    ActorCritic, ActorCriticConfig, Alone, Done, EpisodeResult, Item, Job, Moments, NOISE,
    Normalizer, Roller, Segment, Snapshot, Workers,
};
use crate::nn::{Parameters, safetensors_metadata};
use crate::optimizer::Schedule;

/// Everything that decides a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Names the recipe: `motor`.
    pub recipe: String,
    /// Seeds the network, the episodes, what is drawn of actions, and the order of the rows.
    pub seed: u64,
    /// The tasks: hands' scenarios, and all their variants, with observations and actions of the same numbers, done in turn.
    pub scenario: Vec<PathBuf>,
    /// Which hand learns them; left out: the one that each scenario names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hand: Option<BodyChoice>,
    /// Steps of the environment, all worlds together, rounded up to whole iterations.
    pub steps: u64,
    /// Worlds of an item.
    pub worlds: usize,
    /// Steps of each world in an item; 0: the longest episode of the tasks. Every item starts episodes anew: of those that are longer,
    /// only so much is seen, but for what starts `along` the way.
    pub length: usize,
    /// Items of an iteration.
    pub items: usize,
    /// Share of the episodes that start along the way, where a task knows states there (reference-state initialization); in
    /// evaluations, all start at the beginning.
    pub along: f64,
    /// A policy to begin from, as a run leaves it: its values and what it saw of observations; how far actions are explored at first
    /// is said by `network.log_std` as ever. Left out: a new one.
    pub from: Option<PathBuf>,
    /// Policies to learn from, one for each task, as runs with networks of this shape leave them; left out: from rewards. The
    /// policy comes near to what they would do, the critic to what theirs say.
    pub teachers: Vec<PathBuf>,
    /// With teachers: share of the items in which they act. 1: behavior cloning on their rollouts; 0: on-policy distillation, on
    /// what the student itself comes to see (Ross et al. 2011, arXiv:1011.0686; An et al. 2025, arXiv:2508.18066).
    pub teachers_act: f64,
    /// Policy and critic.
    pub network: ActorCriticConfig,
    /// How they learn.
    pub ppo: PpoConfig,
    /// Iterations between evaluations without noise; one is made at the end always.
    pub evaluate_every: u64,
    /// Episodes of an evaluation, of each task, rounded up to whole items.
    pub evaluate_episodes: u64,
    /// Iterations between checkpoints; one is written at the end always.
    pub checkpoint_every: u64,
    /// Threads that roll out and take gradients; 0: one for each core. In synchronous mode, any number gives the same result.
    pub workers: usize,
    /// Whether workers wait for the learner.
    pub mode: Mode,
}

/// Whether workers wait for the learner.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// They do, and take its gradients meanwhile.
    #[default]
    Synchronous,
    /// They go on with the newest policy there was when their work was given out.
    Asynchronous,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            recipe: "motor".to_owned(),
            seed: 1,
            scenario: Vec::new(),
            hand: None,
            steps: 2_000_000,
            worlds: 64,
            length: 0,
            items: 4,
            along: 0.5,
            from: None,
            teachers: Vec::new(),
            teachers_act: 1.0,
            network: ActorCriticConfig::default(),
            ppo: PpoConfig::default(),
            evaluate_every: 10,
            evaluate_episodes: 128,
            checkpoint_every: 10,
            workers: 0,
            mode: Mode::Synchronous,
        }
    }
}

/// What a run came to.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// Iterations done, and of the whole run.
    pub step: u64,
    /// See `step`.
    pub steps: u64,
    /// Steps of the environment done.
    pub env_steps: u64,
    /// Names of the tasks; what is told by task is in their order.
    pub tasks: Vec<String>,
    /// Of what the tasks and the teachers are: see [`digest`].
    pub digest: String,
    /// Share of episodes that succeed, without noise, by task: what is wanted holds at their end.
    pub success: Vec<Estimate>,
    /// Share of the longest episode's steps after which it holds, by task.
    pub held: Vec<f64>,
    /// Share of episodes in which that is at least 80 %, by task.
    pub solved: Vec<Estimate>,
    /// Mean sum of an episode's rewards, by task.
    pub reward: Vec<f64>,
    /// Mean square of the muscles' activations, by task.
    pub activation: Vec<f64>,
    /// A page with curves.
    pub report: PathBuf,
    /// Seconds of acting and learning, over all sessions.
    pub seconds: f64,
    /// Steps of the environment a second in this session, learning included, evaluations not.
    pub env_steps_per_second: f64,
    /// Where gradients are taken: `cpu`, or `cuda` where there is a graphics card. Workers act on the CPU.
    pub device: &'static str,
    /// The last checkpoint.
    pub checkpoint: PathBuf,
    /// The policy: a safetensors file.
    pub policy: PathBuf,
}

/// Carries the recipe out.
///
/// # Errors
/// [`RecipeError::Input`] when the configuration, a scenario or a checkpoint does not fit; [`RecipeError::Failed`] when a loss
/// is not finite, workers fail on an item with any seed, or a file cannot be written.
pub fn run(config: &Config, options: &RunOptions<'_>) -> Result<Summary, RecipeError> {
    let tasks = read(config)?;
    let mut trial = Roller::new(&tasks, 1, &config.network, config.seed, config.along)?;
    let (sizes, draws) = (trial.sizes(), trial.draws()?);
    let terms: Vec<&[&str]> = trial.terms().collect();
    let length = length(config, &trial);
    let rows = check(config, tasks.len(), length)?;
    fits(rows, sizes)?;
    let iterations = config.steps.div_ceil(rows as u64);

    let (_, parameters) = ActorCritic::new(&config.network, sizes, config.seed, Device::Cpu)?;
    let bounds = trial.bounds().to_vec();
    let teachers = teachers(config, sizes, &bounds)?;
    // Where there is a graphics card, the learner has it to itself.
    let device = Device::cuda_if_available();
    let mut own = Own::new(&config.network, sizes, &config.ppo, device)?;
    let mut learner = Trainee {
        better: Learner::new(&config.ppo, &config.network, parameters.values(), sizes),
        parameters,
        bounds,
        state: TrainerState::new(
            String::new(),
            digest_of(&tasks, config)?,
            of_record(config)?,
        ),
        config,
        sizes,
    };
    let checkpoints = options.out.join("checkpoints");
    let found = last_checkpoint(&options.out, options.resume)?;
    match (&found, &config.from) {
        (Some(folder), _) => learner.resume(folder)?,
        (None, Some(policy)) => learner.begin_from(policy)?,
        (None, None) => {}
    }
    prepare_folder(config, &options.out)?;

    let count = match config.workers {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        count => count,
    };
    let make = {
        let (tasks, network) = (tasks.clone(), config.network.clone());
        let (worlds, seed, along) = (config.worlds, config.seed, config.along);
        move || Roller::new(&tasks, worlds, &network, seed, along)
    };
    let mut workers = Workers::new(count, &config.ppo, make);
    let mut metrics = Metrics::open(&options.out.join("metrics.jsonl"), learner.state.step)?;
    let mut timing = Metrics::open(&options.out.join("timing.jsonl"), learner.state.step)?;
    let schedule = Schedule {
        peak: config.ppo.learning_rate,
        warmup: 0,
        steps: iterations,
        decay: config.ppo.decay,
    };
    let (begun, seconds_before) = (learner.state.step, learner.state.seconds);
    let last = options
        .stop_after
        .map_or(iterations, |after| iterations.min(begun + after));
    let mut progress = Progress::new(options.progress, "learning", begun, [last, iterations]);

    let (mut acting, mut learning) = (0.0, 0.0);
    let mut judged = None;
    if begun == 0 {
        // what it knows before it learns
        let found = evaluate(config, &mut workers, learner.better.snapshot(), &draws)?;
        let mut line = Map::new();
        line.insert("step".to_owned(), 0.into());
        line.insert("env_steps".to_owned(), 0.into());
        line.extend(found.figures());
        metrics.write(&Value::Object(line))?;
        judged = Some((0, found));
    }
    let mut written = found;
    let mut source = Source {
        config,
        teachers: &teachers,
        length,
        next: begun * config.items as u64,
    };
    while learner.state.step < last && !options.stop.load(Ordering::Relaxed) {
        let started = Instant::now();
        let iteration = learner.state.step;
        let mut segments = source.segments(&learner.better, &mut workers)?;
        acting += started.elapsed().as_secs_f64();

        let started = Instant::now();
        let (of, learning_rate) = ((config.seed, iteration), schedule.at(iteration));
        let (better, alone) = (&mut learner.better, &mut Alone);
        let now = better.snapshot();
        // A teacher's has none.
        let age = |segment: &Segment| now.version.saturating_sub(segment.version);
        let ages: Vec<u64> = segments.iter().map(age).collect();
        if config.mode == Mode::Asynchronous {
            for segment in segments.iter_mut().filter(|s| s.taught.is_empty()) {
                own.renew(segment, &now)?;
            }
        }
        let learnt = match config.mode == Mode::Synchronous && device == Device::Cpu {
            true => better.learn(&segments, of, learning_rate, &mut workers, alone)?,
            false => better.learn(&segments, of, learning_rate, &mut own, alone)?,
        };
        learner.state.step += 1;
        learning += started.elapsed().as_secs_f64();
        let env_steps = learner.state.step * rows as u64;
        let seconds = acting + learning;
        learner.state.seconds = seconds_before + seconds;
        let mut line = line(&learner.state, env_steps, &learnt, learning_rate);
        figures(&mut line, &segments, &terms, config.worlds * length);
        if teachers.is_empty() {
            line.extend(trusted(&learnt));
        }
        if config.mode == Mode::Asynchronous {
            line.extend(staleness(&ages));
        }
        let due = learner.state.step.is_multiple_of(config.evaluate_every);
        if due || learner.state.step == iterations {
            let found = evaluate(config, &mut workers, learner.better.snapshot(), &draws)?;
            line.extend(found.figures());
            judged = Some((learner.state.step, found));
        }
        let reward = line.get("reward").and_then(Value::as_f64);
        let reward = reward.map_or_else(String::new, |reward| format!("reward {reward:.1}, "));
        metrics.write(&Value::Object(line))?;
        let done = (learner.state.step - begun) * rows as u64;
        let rate = done as f64 / seconds.max(1e-9);
        timing.write(&json!({
            "step": learner.state.step, "acting_seconds": acting, "learning_seconds": learning, "env_steps_per_second": rate,
        }))?;
        let held = judged.as_ref().map_or_else(String::new, |(_, found)| {
            let mean =
                |list: &[Estimate]| values(list).iter().sum::<f64>() / list.len().max(1) as f64;
            let [success, solved] = [&found.success, &found.solved].map(|list| mean(list));
            format!("success {success:.2}, solved {solved:.2}, ")
        });
        let left = ((last - learner.state.step) * rows as u64) as f64 / rate.max(1e-9);
        progress.tell(
            learner.state.step,
            format!("{reward}{held}{rate:.0} env steps/s"),
            &format!(", {left:.0} s left"),
        );
        for mishap in workers.mishaps.drain(..) {
            eprintln!("{mishap}");
        }
        if learner.state.step.is_multiple_of(config.checkpoint_every) && learner.state.step < last {
            written = Some(learner.save(&checkpoints)?);
        }
    }
    progress.finish();
    let step = learner.state.step;
    let named = written.filter(|folder| folder.ends_with(format!("step_{step}")));
    let checkpoint = match named {
        Some(folder) => folder,
        None => learner.save(&checkpoints)?,
    };
    let judged = match judged {
        Some((of, found)) if of == step => found,
        _ => evaluate(config, &mut workers, learner.better.snapshot(), &draws)?,
    };
    let policy = options.out.join("policy.safetensors");
    std::fs::write(&policy, learner.bytes()?)
        .map_err(|error| RecipeError::Failed(format!("{}: {error}", policy.display())))?;
    let names = tasks.iter().map(|task| task.hand_task.name.clone());
    let names: Vec<String> = names.collect();
    let report = motor_report::write(&options.out, &names)?;
    Ok(Summary {
        step,
        steps: iterations,
        env_steps: step * rows as u64,
        tasks: names,
        digest: learner.state.dataset_digest.clone(),
        success: judged.success,
        held: judged.held,
        solved: judged.solved,
        reward: judged.reward,
        activation: judged.activation,
        report,
        seconds: learner.state.seconds,
        env_steps_per_second: ((step - begun) * rows as u64) as f64 / (acting + learning).max(1e-9),
        device: if device == Device::Cpu { "cpu" } else { "cuda" },
        checkpoint,
        policy,
    })
}

/// What an iteration did to the policy, for `metrics.jsonl`.
fn line(
    state: &TrainerState,
    env_steps: u64,
    learnt: &Learnt,
    learning_rate: f64,
) -> Map<String, Value> {
    [
        ("step", state.step.into()),
        ("env_steps", env_steps.into()),
        ("policy_loss", learnt.losses.policy.into()),
        ("value_loss", learnt.losses.value.into()),
        ("entropy", learnt.losses.entropy.into()),
        ("outside", learnt.losses.outside.into()),
        ("gradient_norm", learnt.gradient_norm.into()),
        ("learning_rate", learning_rate.into()),
        ("minibatches", learnt.minibatches.into()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into_iter()
    .collect()
}

/// How far an iteration went from the policy that acted. Of a student, they would tell how far it is from its teachers.
fn trusted(learnt: &Learnt) -> [(String, Value); 3] {
    [
        ("kl", learnt.losses.kl),
        ("clipped", learnt.losses.clipped),
        ("explained_variance", learnt.explained),
    ]
    .map(|(name, value)| (name.to_owned(), value.into()))
}

/// How old what was learnt from was, in steps of the optimizer.
fn staleness(ages: &[u64]) -> [(String, Value); 2] {
    let mean = ages.iter().sum::<u64>() as f64 / ages.len().max(1) as f64;
    let most = ages.iter().max().copied().unwrap_or(0);
    [
        ("staleness".to_owned(), mean.into()),
        ("staleness_max".to_owned(), most.into()),
    ]
}

/// The tasks' scenarios.
pub(super) fn read(config: &Config) -> Result<Vec<HandScenario>, RecipeError> {
    let input = RecipeError::Input;
    if config.recipe != "motor" {
        let found = &config.recipe;
        return Err(input(format!(
            "recipe: expected \"motor\", found \"{found}\""
        )));
    }
    if config.scenario.is_empty() {
        let text = "scenario: expected hands' scenarios, as scenarios/hand/pose.toml, found none";
        return Err(input(text.to_owned()));
    }
    let read = |path: &PathBuf| {
        let found =
            ScenarioFile::load(path).map_err(|error| input(format!("scenario: {error}")))?;
        match found {
            ScenarioFile::Hand(scenario) => {
                let all = scenario.variants();
                all.map_err(|error| input(format!("scenario: {error}")))
            }
            ScenarioFile::House(_) => Err(input(format!(
                "scenario: {} is a house; expected a hand's task",
                path.display()
            ))),
        }
    };
    let all: Result<Vec<_>, _> = config.scenario.iter().map(read).collect();
    let all = all?.concat();
    let Some(hand) = config.hand else {
        return Ok(all);
    };
    let with = |task: &HandScenario| {
        let found = task.with_hand(hand);
        found.map_err(|error| input(format!("scenario: {error}")))
    };
    all.iter().map(with).collect()
}

/// Steps of each world in an item.
pub(super) fn length(config: &Config, roller: &Roller) -> usize {
    match config.length {
        0 => roller.horizon(),
        length => length,
    }
}

/// Threads beyond which no machine is faster.
const MOST_WORKERS: usize = 1024;

/// Whether the numbers make sense with so many tasks and items of so many steps: rows of an iteration.
pub(super) fn check(config: &Config, tasks: usize, length: usize) -> Result<usize, RecipeError> {
    let rows = config.worlds.saturating_mul(length);
    let rows = rows.saturating_mul(config.items);
    for (name, value) in [
        ("worlds", config.worlds as u64),
        ("items", config.items as u64),
        ("steps", config.steps),
        ("evaluate_every", config.evaluate_every),
        ("evaluate_episodes", config.evaluate_episodes),
        ("checkpoint_every", config.checkpoint_every),
    ] {
        if value == 0 {
            return Err(RecipeError::Input(format!(
                "{name}: expected at least 1, found 0"
            )));
        }
    }
    if !config.items.is_multiple_of(tasks) {
        return Err(RecipeError::Input(format!(
            "items: expected a multiple of the {tasks} tasks, so that all have equal shares, found {}",
            config.items
        )));
    }
    if config.workers > MOST_WORKERS {
        return Err(RecipeError::Input(format!(
            "workers: expected at most {MOST_WORKERS}, found {}",
            config.workers
        )));
    }
    if rows as u64 > u64::from(u32::MAX) {
        return Err(RecipeError::Input(format!(
            "worlds, length, items: expected less than 2^32 rows of an iteration, found {rows}"
        )));
    }
    if !(0.0..=1.0).contains(&config.along) {
        return Err(RecipeError::Input(format!(
            "along: expected a share in 0 to 1, found {}",
            config.along
        )));
    }
    if !(0.0..=1.0).contains(&config.teachers_act) {
        return Err(RecipeError::Input(format!(
            "teachers_act: expected a share in 0 to 1, found {}",
            config.teachers_act
        )));
    }
    if !config.teachers.is_empty() && config.teachers.len() != tasks {
        return Err(RecipeError::Input(format!(
            "teachers: expected one for each of the {tasks} tasks, found {}",
            config.teachers.len()
        )));
    }
    if !config.teachers.is_empty() && config.ppo.target_kl.is_some() {
        return Err(RecipeError::Input(
            "ppo.target_kl: expected none with teachers, whose policies are far at first"
                .to_owned(),
        ));
    }
    let span = if config.network.lstm > 0 { length } else { 1 };
    config.ppo.check(rows, span)?;
    Ok(rows)
}

/// Whether an iteration of so many rows, with observations and actions of these sizes, goes into the machine's memory.
fn fits(rows: usize, [observation, action]: [usize; 2]) -> Result<(), RecipeError> {
    // What is seen and done, and some numbers more; in the segments, and again as the learner has it.
    let numbers = 2 * (observation + action + 6) as u64;
    let needed = rows as u64 * numbers * 4 / (1 << 20);
    match memory_mib() {
        Some(there) if needed > there => Err(RecipeError::Input(format!(
            "worlds, length, items: an iteration of {rows} rows takes {needed} MiB, the machine has {there}"
        ))),
        _ => Ok(()),
    }
}

/// Of what a run with these settings learns from: blake3 of its tasks' files, of the files that these name, of its teachers and of
/// what it begins from, hexadecimal (64 characters).
///
/// # Errors
/// When one cannot be read.
pub fn digest(config: &Config) -> Result<String, RecipeError> {
    digest_of(&read(config)?, config)
}

fn digest_of(tasks: &[HandScenario], config: &Config) -> Result<String, RecipeError> {
    let mut hasher = blake3::Hasher::new();
    let file = |hasher: &mut blake3::Hasher, path: &Path| -> Result<(), RecipeError> {
        let bytes = std::fs::read(path)
            .map_err(|error| RecipeError::Input(format!("{}: {error}", path.display())))?;
        hasher.update(blake3::hash(&bytes).as_bytes());
        Ok(())
    };
    for task in tasks {
        hasher.update(task.digest.as_bytes());
        if let Some(reference) = task.reference() {
            file(&mut hasher, &reference)?;
        }
    }
    for policy in config.teachers.iter().chain(&config.from) {
        file(&mut hasher, policy)?;
    }
    Ok(hasher.finalize().to_hex().to_string())
}

/// Whether a run can be made with these settings, as far as that is known before what it starts from is there.
///
/// # Errors
/// As [`run`].
pub fn look_over(config: &Config) -> Result<(), RecipeError> {
    let tasks = read(config)?;
    let trial = Roller::new(&tasks, 1, &config.network, config.seed, config.along)?;
    let rows = check(config, tasks.len(), length(config, &trial))?;
    fits(rows, trial.sizes())
}

/// Whether runs with these settings come to the same result.
///
/// # Errors
/// When the settings cannot be written down.
pub fn same_result(one: &Config, other: &Config) -> Result<bool, RecipeError> {
    Ok(of_record(one)? == of_record(other)? && one.scenario == other.scenario)
}

/// What of the configuration decides the result; what files decide is in the digest.
fn of_record(config: &Config) -> Result<Value, RecipeError> {
    let mut value =
        serde_json::to_value(config).map_err(|error| RecipeError::Failed(error.to_string()))?;
    if let Some(map) = value.as_object_mut() {
        for name in ["checkpoint_every", "workers", "scenario", "teachers"] {
            map.remove(name);
        }
        map.insert("from".to_owned(), config.from.is_some().into());
    }
    Ok(value)
}

/// What is carried from iteration to iteration.
struct Trainee<'a> {
    config: &'a Config,
    sizes: [usize; 2],
    /// Lowest and highest of each number of an action.
    bounds: Vec<[f32; 2]>,
    better: Learner,
    /// Knows the values' names.
    parameters: Parameters,
    /// Its `batch` counts steps of the optimizer.
    state: TrainerState,
}

/// Names of [`Moments`] in a policy's file.
const MOMENTS: [&str; 3] = [
    "observation.count",
    "observation.mean",
    "observation.squares",
];

impl Trainee<'_> {
    /// The policy as a safetensors file: PyTorch's names and layouts in f32, what was seen of observations in f64, sizes as JSON
    /// in the metadata.
    fn bytes(&mut self) -> Result<Vec<u8>, RecipeError> {
        self.parameters.set_values(&self.better.values)?;
        let Moments {
            count,
            mean,
            squares,
        } = &self.better.moments;
        let bytes = |list: &[f64]| list.iter().flat_map(|x| x.to_le_bytes()).collect();
        let more: [Vec<u8>; 3] = [bytes(&[*count]), bytes(mean), bytes(squares)];
        let lengths = [1, mean.len(), squares.len()];
        let views = MOMENTS.iter().zip(lengths).zip(&more);
        let views = views.map(|((name, length), bytes)| {
            let view = TensorView::new(Dtype::F64, vec![length], bytes);
            (
                (*name).to_owned(),
                view.expect("the bytes are those of the shape"),
            )
        });
        let [observation, action] = self.sizes;
        let shape = json!({"observation": observation, "action": action, "bounds": self.bounds, "hidden": self.config.network.hidden, "lstm": self.config.network.lstm});
        let metadata = ("actor_critic", shape.to_string());
        Ok(self.parameters.to_bytes_with("", metadata, views.collect()))
    }

    fn save(&mut self, checkpoints: &Path) -> Result<PathBuf, RecipeError> {
        let bytes = self.bytes()?;
        self.state.batch = self.better.optimizer.steps();
        let (first, second) = self.better.optimizer.moments();
        let moments = [("first", first), ("second", second)];
        checkpoint::save_network(checkpoints, &bytes, &moments, &self.state)
            .map_err(|error| RecipeError::Failed(error.to_string()))
    }

    /// Takes over a policy's values and what it saw of observations.
    fn load(&mut self, policy: &Path) -> Result<(), RecipeError> {
        check_policy(policy, self.sizes, &self.bounds)?;
        self.parameters.load(policy)?;
        self.better.values = self.parameters.values().to_vec();
        self.better.moments = read_moments(policy, self.sizes[0])?;
        Ok(())
    }

    /// As `load`, but the noise of the actions stays this run's: what came to be sure of other tasks is to try things here.
    fn begin_from(&mut self, policy: &Path) -> Result<(), RecipeError> {
        let noise = self.parameters.range(NOISE)?;
        let own = self.better.values[noise.clone()].to_vec();
        self.load(policy)?;
        self.better.values[noise].copy_from_slice(&own);
        Ok(())
    }

    fn resume(&mut self, folder: &Path) -> Result<(), RecipeError> {
        let (saved, moments) = checkpoint::load_state(folder).map_err(checkpoint_error)?;
        let (digest, config) = (&self.state.dataset_digest, &self.state.config);
        saved
            .check(folder, "", digest, config)
            .map_err(checkpoint_error)?;
        self.load(&folder.join(checkpoint::NETWORK))?;
        let size = self.better.values.len();
        let optimizer = restored(PpoConfig::ADAM, size, moments, saved.batch);
        self.better.optimizer = optimizer.ok_or_else(|| {
            let folder = folder.display();
            RecipeError::Input(format!(
                "{folder}: the optimizer's moments do not fit the network"
            ))
        })?;
        self.state = saved;
        Ok(())
    }
}

/// Whether a policy's file is for observations and actions of these sizes, and actions of these ranges.
fn check_policy(
    policy: &Path,
    [observation, action]: [usize; 2],
    bounds: &[[f32; 2]],
) -> Result<(), RecipeError> {
    let wrong = |text: String| RecipeError::Input(format!("{}: {text}", policy.display()));
    let metadata = safetensors_metadata(policy)?;
    let shape: Value = metadata
        .get("actor_critic")
        .and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_default();
    let found: Option<Vec<[f32; 2]>> = serde_json::from_value(shape["bounds"].clone()).ok();
    let found = found
        .ok_or_else(|| wrong("expected a policy, with the ranges of its actions".to_owned()))?;
    let size = |name: &str| shape[name].as_u64().unwrap_or_default();
    let sizes = [size("observation"), size("action")];
    if sizes != [observation as u64, action as u64] {
        let [seen, told] = sizes;
        return Err(wrong(format!(
            "the policy is for {seen} numbers of an observation and {told} of an action, the task has {observation} and {action}"
        )));
    }
    match found.iter().zip(bounds).find(|(found, own)| found != own) {
        None => Ok(()),
        Some((found, own)) => Err(wrong(format!(
            "the policy's actions are in {found:?}, those of the task in {own:?} (`actions` in its scenario)"
        ))),
    }
}

/// What was seen of observations, from a policy's file; of so many numbers.
///
/// # Errors
/// When the file is no policy, or one of others.
pub fn read_moments(path: &Path, size: usize) -> Result<Moments, RecipeError> {
    let wrong = |text: String| RecipeError::Input(format!("{}: {text}", path.display()));
    let bytes = std::fs::read(path).map_err(|error| wrong(error.to_string()))?;
    let file = SafeTensors::deserialize(&bytes).map_err(|error| wrong(error.to_string()))?;
    let tensor = |name: &str, length: usize| {
        let view = file
            .tensor(name)
            .map_err(|error| wrong(error.to_string()))?;
        if view.dtype() != Dtype::F64 || view.shape() != [length] {
            return Err(wrong(format!(
                "tensor {name}: expected {length} numbers of F64, found {:?} of {:?}",
                view.shape(),
                view.dtype()
            )));
        }
        let numbers = view.data().as_chunks::<8>().0.iter();
        Ok(numbers
            .map(|bytes| f64::from_le_bytes(*bytes))
            .collect::<Vec<f64>>())
    };
    let [count, mean, squares] = MOMENTS;
    Ok(Moments {
        count: tensor(count, 1)?[0],
        mean: tensor(mean, size)?,
        squares: tensor(squares, size)?,
    })
}

/// Policies to learn from.
fn teachers(
    config: &Config,
    sizes: [usize; 2],
    bounds: &[[f32; 2]],
) -> Result<Vec<Arc<Snapshot>>, RecipeError> {
    let read = |(number, path): (usize, &PathBuf)| {
        let (_, mut parameters) = ActorCritic::new(&config.network, sizes, 0, Device::Cpu)?;
        check_policy(path, sizes, bounds)?;
        parameters.load(path)?;
        Ok(Arc::new(Snapshot {
            // No learner's: those count up from 0.
            version: u64::MAX - number as u64,
            values: parameters.values().to_vec(),
            normalizer: Normalizer::of(&read_moments(path, sizes[0])?),
        }))
    };
    config.teachers.iter().enumerate().map(read).collect()
}

/// Where experience comes from: items in the order of their numbers.
pub(super) struct Source<'a> {
    pub(super) config: &'a Config,
    pub(super) teachers: &'a [Arc<Snapshot>],
    /// Steps of each world in an item.
    pub(super) length: usize,
    /// Number of the next item.
    pub(super) next: u64,
}

impl Source<'_> {
    /// Experience of an iteration: in synchronous mode of this learner's policy, in the items' order; in asynchronous mode what is
    /// there first, and more is asked for.
    pub(super) fn segments(
        &mut self,
        learner: &Learner,
        workers: &mut Workers,
    ) -> Result<Vec<Segment>, RecipeError> {
        let policy = Arc::new(learner.snapshot());
        let items = self.config.items;
        if self.config.mode == Mode::Synchronous {
            let jobs = (0..items).map(|_| self.job(&policy)).collect();
            return workers.run(jobs)?.into_iter().map(segment).collect();
        }
        let mut segments = Vec::with_capacity(items);
        while segments.len() < items {
            // As many as the next iteration takes, and one for each worker to be busy with.
            while workers.pending() < items + workers.count() {
                let job = self.job(&policy);
                workers.ask(job);
            }
            let (_, done) = workers.take()?;
            segments.push(segment(done)?);
        }
        Ok(segments)
    }

    fn job(&mut self, policy: &Arc<Snapshot>) -> Job {
        let item = Item {
            seed: self.config.seed,
            index: self.next,
            steps: self.length,
            explores: true,
        };
        self.next += 1;
        let tasks = self.teachers.len().max(1) as u64;
        let teacher = self.teachers.get((item.index % tasks) as usize);
        // The share is kept at every number of items of a task.
        let among = |n: u64| (n as f64 * self.config.teachers_act).floor();
        let number = item.index / tasks;
        let acts = teacher.filter(|_| among(number + 1) > among(number));
        Job::Roll {
            item,
            policy: Arc::clone(acts.unwrap_or(policy)),
            teacher: teacher.cloned(),
        }
    }
}

fn segment(done: Done) -> Result<Segment, RecipeError> {
    match done {
        Done::Segment(segment) => Ok(*segment),
        Done::Gradient(..) => Err(RecipeError::Failed("expected a segment".to_owned())),
    }
}

fn roll(
    workers: &mut Workers,
    items: impl Iterator<Item = Item>,
    policy: Snapshot,
) -> Result<Vec<Segment>, RecipeError> {
    let policy = Arc::new(policy);
    let job = |item| Job::Roll {
        item,
        policy: Arc::clone(&policy),
        teacher: None,
    };
    let done = workers.run(items.map(job).collect())?;
    done.into_iter().map(segment).collect()
}

/// What came of an iteration's episodes: means over those that ended, terms of the reward by step. Items of `rows` rows.
fn figures(line: &mut Map<String, Value>, segments: &[Segment], terms: &[&[&str]], rows: usize) {
    let episodes: Vec<&EpisodeResult> = segments.iter().flat_map(|s| &s.episodes).collect();
    line.insert("episodes".to_owned(), episodes.len().into());
    let figures: [(&str, fn(&EpisodeResult) -> f64); 4] = [
        ("reward", |e| e.reward),
        ("episode_steps", |e| f64::from(e.steps)),
        ("success", |e| f64::from(u8::from(e.success))),
        ("held", EpisodeResult::held),
    ];
    if !episodes.is_empty() {
        for (name, of) in figures {
            let mean = episodes.iter().map(|e| of(e)).sum::<f64>() / episodes.len() as f64;
            line.insert(name.to_owned(), mean.into());
        }
    }
    for (task, names) in terms.iter().enumerate() {
        let own = segments.iter().filter(|segment| segment.task == task);
        let items = own.clone().count().max(1) as f64;
        for (i, name) in names.iter().enumerate() {
            let sum: f64 = own.clone().map(|segment| segment.terms[i]).sum();
            let key = match terms.len() {
                1 => format!("term/{name}"),
                _ => format!("term/{task}/{name}"),
            };
            line.insert(key, (sum / (items * rows as f64)).into());
        }
    }
    let diverged: Vec<&[u64; 2]> = segments.iter().flat_map(|s| &s.diverged).collect();
    if !diverged.is_empty() {
        // seed and episode of each: how it began
        line.insert("diverged".to_owned(), json!(diverged));
    }
}

/// What a policy does without noise, by task.
struct Judged {
    success: Vec<Estimate>,
    held: Vec<f64>,
    solved: Vec<Estimate>,
    reward: Vec<f64>,
    activation: Vec<f64>,
}

impl Judged {
    /// For the line of an iteration: lists by task.
    fn figures(&self) -> impl Iterator<Item = (String, Value)> {
        let lists = [
            ("evaluated_success", values(&self.success)),
            ("evaluated_held", self.held.clone()),
            ("evaluated_solved", values(&self.solved)),
            ("evaluated_reward", self.reward.clone()),
            ("evaluated_activation", self.activation.clone()),
        ];
        lists
            .into_iter()
            .map(|(name, list)| (name.to_owned(), list.into()))
    }
}

fn values(list: &[Estimate]) -> Vec<f64> {
    list.iter().map(|estimate| estimate.value).collect()
}

/// Episodes of another seed than those that the run learns from. Those of a task that draws nothing are one and the same, and count as
/// one.
fn evaluate(
    config: &Config,
    workers: &mut Workers,
    policy: Snapshot,
    draws: &[bool],
) -> Result<Judged, RecipeError> {
    let items = config.evaluate_episodes.div_ceil(config.worlds as u64) * draws.len() as u64;
    let items = (0..items).map(|index| Item {
        seed: config.seed.wrapping_add(1 << 32),
        index,
        steps: usize::MAX,
        explores: false,
    });
    let segments = roll(workers, items, policy)?;
    let mut judged = Judged {
        success: Vec::new(),
        held: Vec::new(),
        solved: Vec::new(),
        reward: Vec::new(),
        activation: Vec::new(),
    };
    for (task, draws) in draws.iter().enumerate() {
        let all = segments.iter().flat_map(|segment| &segment.episodes);
        let mut own: Vec<&EpisodeResult> = all.filter(|episode| episode.task == task).collect();
        if !draws {
            own.truncate(1);
        }
        let n = own.len().max(1) as f64;
        let right = own.iter().filter(|episode| episode.success).count();
        judged.success.push(share(right, own.len()));
        let solved = own.iter().filter(|episode| episode.solved()).count();
        judged.solved.push(share(solved, own.len()));
        let mean = |of: &dyn Fn(&EpisodeResult) -> f64| own.iter().map(|e| of(e)).sum::<f64>() / n;
        // Counts are exact: thresholds are held against shares of them.
        let count = |of: &dyn Fn(&EpisodeResult) -> u32| -> u64 {
            own.iter().map(|e| u64::from(of(e))).sum()
        };
        let [held, most] = [count(&|e| e.succeeded), count(&|e| e.most)];
        judged.held.push(held as f64 / most.max(1) as f64);
        judged.reward.push(mean(&|e| e.reward));
        let of_step = |e: &EpisodeResult| e.activation / f64::from(e.steps.max(1));
        judged.activation.push(mean(&of_step));
    }
    Ok(judged)
}
