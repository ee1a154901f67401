//! How fast hands are stepped and learn: steps of the environment a second of one core's time, beside which a peer's can be
//! measured (tests/peers/motor/loop_speed.py), what a second worker adds, and how much memory the worlds take.

use std::sync::Arc;
use std::time::Instant;

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;
use sim::hand::{HandScenario, Width};
use tch::Device;

use super::RecipeError;
use super::bench::{cpu_seconds, peak_mib};
use super::motor::{Config, Mode, Source, check, length, read};
use crate::motor::ppo::Learner;
use crate::motor::{ActorCritic, Alone, Item, Job, Roller, Workers};

/// What was measured, with one thread if nothing else is said.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Figures {
    /// The task.
    pub scenario: String,
    /// Worlds side by side.
    pub worlds: usize,
    /// Worlds that one instruction steps.
    pub lanes: usize,
    /// Steps of the environment per CPU second with random actions: physics, observations, rewards, resets.
    pub env_steps_per_core_second: f64,
    /// The same of the whole loop: the policy acts, and learns.
    pub loop_env_steps_per_core_second: f64,
    /// How many times as many steps two workers make as one, in the same time, with the policy that acts; none where there is one core.
    pub two_workers_times_one: Option<f64>,
    /// Most memory that the process had until its worlds were stepped, MiB; none where the system does not tell.
    pub peak_mib: Option<u64>,
}

/// Steps of each world in a measurement.
const STEPS: usize = 300;
/// Iterations of learning that are measured, after one that is not.
const ITERATIONS: u64 = 3;
/// Rounds in turn of one worker and two, after one that is not measured.
const ROUNDS: u64 = 10;

/// Measures the first task of a configuration.
///
/// # Errors
/// As [`super::motor::run`].
pub fn run(config: &Config, print: bool) -> Result<Figures, RecipeError> {
    let config = &Config {
        scenario: config.scenario.iter().take(1).cloned().collect(),
        mode: Mode::Synchronous,
        ..config.clone()
    };
    let task = read(config)?.swap_remove(0);
    let env_steps_per_core_second = stepping(&task, config)?;
    let peak_mib = peak_mib();
    let figures = Figures {
        scenario: task.hand_task.name.clone(),
        worlds: config.worlds,
        lanes: Width::best().lanes(),
        env_steps_per_core_second,
        loop_env_steps_per_core_second: learning(&task, config)?,
        two_workers_times_one: scaling(&task, config)?,
        peak_mib,
    };
    if print {
        eprintln!(
            "{}, {} worlds, {} to an instruction: {:.0} environment steps a core-second, {:.0} with learning",
            figures.scenario,
            figures.worlds,
            figures.lanes,
            figures.env_steps_per_core_second,
            figures.loop_env_steps_per_core_second
        );
        if let Some(times) = figures.two_workers_times_one {
            eprintln!("two workers make {times:.2} times the steps of one");
        }
        if let Some(mib) = figures.peak_mib {
            eprintln!("{mib} MiB at most until the worlds were stepped");
        }
    }
    Ok(figures)
}

/// Random actions; an episode that ended is followed by the next.
fn stepping(task: &HandScenario, config: &Config) -> Result<f64, RecipeError> {
    let failed = |error: sim::hand::HandError| RecipeError::Failed(error.to_string());
    let mut env = task.env(config.worlds, None).map_err(failed)?;
    let bounds = env.action_bounds();
    let mut rng = ChaCha8Rng::seed_from_u64(config.seed);
    let n = config.worlds * env.n_actions();
    // drawn beforehand: what is measured is the environment
    let actions: Vec<Vec<f32>> = (0..16)
        .map(|_| {
            let draw = |i: usize| {
                let [low, high] = bounds[i % bounds.len()];
                low + (high - low) * rng.random::<f32>()
            };
            (0..n).map(draw).collect()
        })
        .collect();
    let mut begun = 0;
    for lane in 0..config.worlds {
        env.reset_lane(lane, config.seed, begun).map_err(failed)?;
        begun += 1;
    }
    let start = cpu_seconds();
    for step in 0..STEPS {
        env.step_flat(&actions[step % actions.len()])
            .map_err(failed)?;
        for lane in 0..config.worlds {
            if env.terminated()[lane] || env.truncated()[lane] {
                env.reset_lane(lane, config.seed, begun).map_err(failed)?;
                begun += 1;
            }
        }
    }
    let seconds = (cpu_seconds() - start).max(1e-9);
    Ok((STEPS * config.worlds) as f64 / seconds)
}

/// Makes what acts in the worlds of a worker.
fn maker(
    task: &HandScenario,
    config: &Config,
) -> impl Fn() -> Result<Roller, RecipeError> + Clone + Send + Sync + 'static {
    let (task, network) = (task.clone(), config.network.clone());
    let (worlds, seed) = (config.worlds, config.seed);
    move || Roller::new(std::slice::from_ref(&task), worlds, &network, seed, 0.0)
}

/// Steps in a time of two workers, by those of one.
fn scaling(task: &HandScenario, config: &Config) -> Result<Option<f64>, RecipeError> {
    if std::thread::available_parallelism().map_or(1, usize::from) < 2 {
        return Ok(None);
    }
    let make = maker(task, config);
    let trial = make()?;
    let (sizes, steps) = (trial.sizes(), length(config, &trial));
    let (_, parameters) = ActorCritic::new(&config.network, sizes, config.seed, Device::Cpu)?;
    let learner = Learner::new(&config.ppo, &config.network, parameters.values(), sizes);
    let policy = Arc::new(learner.snapshot());
    let mut workers = [1, 2].map(|n| (n, Workers::new(n, &config.ppo, make.clone())));
    let mut seconds = [0.0; 2];
    for round in 0..=ROUNDS {
        for ((n, workers), seconds) in workers.iter_mut().zip(&mut seconds) {
            // two items for each, so that none waits long for the other's last
            let job = |index| Job::Roll {
                item: Item {
                    seed: config.seed,
                    index,
                    steps,
                    explores: true,
                },
                policy: Arc::clone(&policy),
                teacher: None,
            };
            let start = Instant::now();
            workers.run((0..2 * *n as u64).map(job).collect())?;
            if round > 0 {
                *seconds += start.elapsed().as_secs_f64();
            }
        }
    }
    Ok(Some(2.0 * seconds[0] / seconds[1]))
}

fn learning(task: &HandScenario, config: &Config) -> Result<f64, RecipeError> {
    let seed = config.seed;
    let make = maker(task, config);
    let trial = make()?;
    let (sizes, length) = (trial.sizes(), length(config, &trial));
    let rows = check(config, 1, length)?;
    let (_, parameters) = ActorCritic::new(&config.network, sizes, seed, Device::Cpu)?;
    let mut learner = Learner::new(&config.ppo, &config.network, parameters.values(), sizes);
    let mut workers = Workers::new(1, &config.ppo, make);
    let mut source = Source {
        config,
        teachers: &[],
        length,
        next: 0,
    };
    let mut start = 0.0;
    for iteration in 0..=ITERATIONS {
        if iteration == 1 {
            start = cpu_seconds();
        }
        let segments = source.segments(&learner, &mut workers)?;
        let (of, rate) = ((seed, iteration), config.ppo.learning_rate);
        learner.learn(&segments, of, rate, &mut workers, &mut Alone)?;
    }
    let seconds = (cpu_seconds() - start).max(1e-9);
    Ok((ITERATIONS * rows as u64) as f64 / seconds)
}
