//! How fast hands are stepped and learn: steps of the environment a second of one core's time, beside which a peer's can be
//! measured (tests/peers/motor/loop_speed.py).

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;
use sim::hand::{HandScenario, Width};

use super::RecipeError;
use super::bench::cpu_seconds;
use super::motor::{Config, Mode, Source, check, length, read};
use crate::motor::ppo::Learner;
use crate::motor::{ActorCritic, Alone, Roller, Workers};

/// What was measured, with one thread.
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
}

/// Steps of each world in a measurement.
const STEPS: usize = 300;
/// Iterations of learning that are measured, after one that is not.
const ITERATIONS: u64 = 3;

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
    let figures = Figures {
        scenario: task.hand_task.name.clone(),
        worlds: config.worlds,
        lanes: Width::best().lanes(),
        env_steps_per_core_second: stepping(&task, config)?,
        loop_env_steps_per_core_second: learning(task, config)?,
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

fn learning(task: HandScenario, config: &Config) -> Result<f64, RecipeError> {
    let (worlds, network, seed) = (config.worlds, config.network.clone(), config.seed);
    let make = move || Roller::new(std::slice::from_ref(&task), worlds, &network, seed, 0.0);
    let trial = make()?;
    let (sizes, length) = (trial.sizes(), length(config, &trial));
    let rows = check(config, 1, length)?;
    let (_, parameters) = ActorCritic::new(&config.network, sizes, seed)?;
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
