//! Work items of a learner: worlds started anew, acted in for so many steps by one policy.

use std::ops::Range;

use sim::hand::{HandEnv, HandError, HandScenario};
use sim::random::episode_rng;
use tch::{Device, Tensor, no_grad};

use super::{ActorCritic, ActorCriticConfig, Memory, Moments, Noise, Said, Snapshot};
use crate::nn::{ModelError, Parameters, floats};
use crate::recipes::RecipeError;

/// Names a work item: with the policy, all that its segment depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Item {
    /// Seed of the run.
    pub seed: u64,
    /// Number among all items of the run; it decides which task is done, and the episodes' numbers.
    pub index: u64,
    /// Steps of each world, at most.
    pub steps: usize,
    /// Whether actions are drawn; if not, they are the policy's means, each world has one episode, and nothing is kept of its
    /// steps.
    pub explores: bool,
}

impl Item {
    /// In place of one that cannot be done.
    #[must_use]
    pub fn with_other_seed(self) -> Self {
        Self {
            // not a run's own, nor that of its evaluations
            seed: self.seed.wrapping_add(1 << 33),
            ..self
        }
    }
}

/// How an episode goes on after a step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum End {
    /// It does.
    #[default]
    None,
    /// The task ended it: nothing comes after.
    Terminated,
    /// It was cut off, by the limit of its steps or the segment's end: what would have come counts.
    Truncated,
}

/// What came of an episode.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct EpisodeResult {
    /// Which task, by its number.
    pub task: usize,
    /// Sum of its rewards.
    pub reward: f64,
    /// Its steps.
    pub steps: u32,
    /// The most that it could have had.
    pub most: u32,
    /// Those after which what is wanted held.
    pub succeeded: u32,
    /// Whether it held at the end; of tasks that are solved by a share of the steps, whether it did for as many.
    pub success: bool,
    /// Sum over its steps of the mean square of the muscles' activations; 0 of a hand with motors.
    pub activation: f64,
}

impl EpisodeResult {
    /// Share of the most steps that it could have had, after which what is wanted held.
    pub fn held(&self) -> f64 {
        f64::from(self.succeeded) / f64::from(self.most.max(1))
    }

    /// Whether it held after 80 % of them: TCDM's and MyoDex's measure of a task.
    pub fn solved(&self) -> bool {
        self.held() >= 0.8
    }
}

/// The experience of an item. Rows are steps × worlds, a step's worlds side by side.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Segment {
    /// Whose experience: the policy's version.
    pub version: u64,
    /// Of which task, by its number.
    pub task: usize,
    /// Worlds side by side.
    pub worlds: usize,
    /// What was seen, as it was (rows × observation).
    pub observations: Vec<f32>,
    /// What was drawn, before the environment cut it to its bounds (rows × action).
    pub actions: Vec<f32>,
    /// Those bounds: lowest and highest of each number.
    pub bounds: Vec<[f32; 2]>,
    /// Logarithm of the density with which it was drawn (rows).
    pub log_probabilities: Vec<f32>,
    /// What a teacher would have done (rows × action); empty without one.
    pub taught: Vec<f32>,
    /// Logarithm of what the density with a learner's policy is of that with which actions were drawn (rows); empty where they
    /// are the same.
    pub log_ratios: Vec<f32>,
    /// The critic's values of what was seen (rows).
    pub values: Vec<f32>,
    /// Rewards (rows).
    pub rewards: Vec<f32>,
    /// How episodes went on (rows).
    pub ends: Vec<End>,
    /// The critic's values of what truncated steps led to; 0 elsewhere (rows).
    pub after: Vec<f32>,
    /// Of what was seen.
    pub moments: Moments,
    /// Episodes that ended here, in the order of their ends.
    pub episodes: Vec<EpisodeResult>,
    /// Sums of the reward's terms.
    pub terms: Vec<f64>,
    /// Seed and number of episodes whose physics came to no sensible result; they count as terminated.
    pub diverged: Vec<[u64; 2]>,
}

impl Segment {
    /// 0 where an episode begins after another in a row's world, else 1 (rows).
    pub fn keeps(&self) -> Vec<f32> {
        let first = std::iter::repeat_n(&End::None, self.worlds);
        let before = first.chain(&self.ends).take(self.ends.len());
        before
            .map(|end| f32::from(u8::from(*end == End::None)))
            .collect()
    }

    /// Drops all rows.
    fn forget(&mut self) {
        for list in [
            &mut self.observations,
            &mut self.actions,
            &mut self.log_probabilities,
            &mut self.values,
            &mut self.rewards,
            &mut self.after,
        ] {
            list.clear();
        }
        self.ends.clear();
    }
}

/// The episode of a world.
struct Running {
    /// Its number among the run's.
    number: u64,
    result: EpisodeResult,
    /// Whether it ended and no other follows.
    over: bool,
}

impl Running {
    fn new(number: u64, task: usize, most: u32) -> Self {
        Self {
            number,
            result: EpisodeResult {
                task,
                most,
                ..EpisodeResult::default()
            },
            over: false,
        }
    }

    /// Counts a world's newest step, and adds its reward's terms to their sums.
    fn count(&mut self, env: &HandEnv, world: usize, sums: &mut [f64]) -> End {
        let terms = &env.reward_terms()[world * sums.len()..][..sums.len()];
        for (sum, term) in sums.iter_mut().zip(terms) {
            *sum += f64::from(*term);
        }
        let result = &mut self.result;
        result.reward += f64::from(env.rewards()[world]);
        result.steps += 1;
        result.succeeded += u32::from(env.succeeded()[world]);
        let size = env.n_observations();
        let seen = &env.observations()[world * size..][..size];
        result.activation += mean_square(env.layout().seen(seen).activations);
        let end = match (env.terminated()[world], env.truncated()[world]) {
            (true, _) => End::Terminated,
            (false, true) => End::Truncated,
            (false, false) => End::None,
        };
        result.success = match env.task().solved() {
            Some(share) if end != End::None => result.held() >= share,
            _ => env.succeeded()[world],
        };
        end
    }
}

/// Episodes that a world can have in one item.
const EPISODES: u64 = 1 << 16;

/// Worlds of some tasks, and a policy to act in them.
pub struct Roller {
    envs: Vec<HandEnv>,
    bounds: Vec<[f32; 2]>,
    config: ActorCriticConfig,
    network: ActorCritic,
    parameters: Parameters,
    version: Option<u64>,
    along: f64,
}

impl Roller {
    /// So many worlds of each task, all with observations and actions of the same numbers. Of the episodes that explore, a share
    /// starts along the way where the task knows states there.
    ///
    /// # Errors
    /// When the tasks differ in that, or worlds cannot be made.
    pub fn new(
        tasks: &[HandScenario],
        worlds: usize,
        config: &ActorCriticConfig,
        seed: u64,
        along: f64,
    ) -> Result<Self, RecipeError> {
        let made: Result<Vec<HandEnv>, HandError> =
            tasks.iter().map(|task| task.env(worlds, None)).collect();
        let envs = made.map_err(|error| RecipeError::Input(error.to_string()))?;
        let Some(first) = envs.first() else {
            return Err(RecipeError::Input(
                "scenario: expected at least one".to_owned(),
            ));
        };
        let sizes = |env: &HandEnv| [env.n_observations(), env.n_actions()];
        for (env, task) in envs.iter().zip(tasks) {
            if sizes(env) != sizes(first) {
                return Err(RecipeError::Input(format!(
                    "scenario: expected tasks of one size, found \"{}\" with {:?} numbers of observation and action and \"{}\" with {:?}",
                    tasks[0].hand_task.name,
                    sizes(first),
                    task.hand_task.name,
                    sizes(env)
                )));
            }
            if env.action_bounds() != first.action_bounds() {
                return Err(RecipeError::Input(format!(
                    "scenario: expected tasks whose actions have the same ranges, found \"{}\" and \"{}\" (`actions` in a scenario)",
                    tasks[0].hand_task.name, task.hand_task.name,
                )));
            }
        }
        let (network, parameters) = ActorCritic::new(config, sizes(first), seed, Device::Cpu)?;
        Ok(Self {
            bounds: first.action_bounds(),
            envs,
            config: config.clone(),
            network,
            parameters,
            version: None,
            along,
        })
    }

    /// Numbers of an observation and of an action.
    pub fn sizes(&self) -> [usize; 2] {
        [self.envs[0].n_observations(), self.envs[0].n_actions()]
    }

    /// Lowest and highest of each number of an action.
    pub fn bounds(&self) -> &[[f32; 2]] {
        &self.bounds
    }

    /// Names of the reward's terms of each task.
    pub fn terms(&self) -> impl Iterator<Item = &'static [&'static str]> {
        self.envs.iter().map(|env| env.task().terms())
    }

    /// Of each task, whether its episodes differ in how they begin.
    ///
    /// # Errors
    /// When an episode cannot begin.
    pub fn draws(&mut self) -> Result<Vec<bool>, RecipeError> {
        let begins = |env: &mut HandEnv, index| {
            env.reset_lane(0, 0, index).map_err(failed)?;
            Ok::<_, RecipeError>(env.observations()[..env.n_observations()].to_vec())
        };
        let draws = |env: &mut HandEnv| Ok(begins(env, 0)? != begins(env, 1)?);
        self.envs.iter_mut().map(draws).collect()
    }

    /// Steps of the longest episode.
    pub fn horizon(&self) -> usize {
        let steps = self.envs.iter().map(|env| env.max_steps() as usize);
        steps.max().unwrap_or(1)
    }

    /// The network and its values, set to these.
    ///
    /// # Errors
    /// When their number is another.
    pub fn network(
        &mut self,
        version: u64,
        values: &[f32],
    ) -> Result<(&ActorCritic, &Parameters), ModelError> {
        if self.version != Some(version) {
            self.parameters.set_values(values)?;
            self.version = Some(version);
        }
        Ok((&self.network, &self.parameters))
    }

    /// Does an item.
    ///
    /// # Errors
    /// When an episode cannot be started or libtorch fails.
    pub fn roll(&mut self, item: &Item, policy: &Snapshot) -> Result<Segment, RecipeError> {
        self.network(policy.version, &policy.values)?;
        let [size, n_actions] = self.sizes();
        let task = (item.index % self.envs.len() as u64) as usize;
        let env = &mut self.envs[task];
        let worlds = env.n_worlds();
        let mut rng = episode_rng(item.seed, "motor", item.index, "policy");
        let mut noise = Noise::new(&self.config, &self.network, &self.parameters, worlds)?;
        let along = if item.explores { self.along } else { 0.0 };
        let start = |env: &mut HandEnv, world: usize, number: u64| {
            env.reset_along(world, item.seed, number, along)
                .map_err(failed)?;
            let most = env.max_steps() - env.passed(world);
            Ok::<_, RecipeError>(Running::new(number, task, most))
        };
        let first = |world: usize| (item.index * worlds as u64 + world as u64) * EPISODES;
        let running = (0..worlds).map(|world| start(env, world, first(world)));
        let mut running: Vec<Running> = running.collect::<Result<_, _>>()?;
        let rows = if item.explores {
            item.steps * worlds
        } else {
            worlds
        };
        let mut segment = Segment {
            version: policy.version,
            task,
            worlds,
            observations: Vec::with_capacity(rows * size),
            actions: Vec::with_capacity(rows * n_actions),
            bounds: self.bounds.clone(),
            moments: Moments::new(size),
            terms: vec![0.0; env.task().terms().len()],
            ..Segment::default()
        };
        let look = |rows: &[f32], keeps: &[f32], memory: &mut Memory| {
            let seen = policy.normalizer.applied(rows);
            say(&self.network, &self.parameters, &seen, keeps, memory)
        };
        let mut memory = Memory::new(&self.config, worlds, Device::Cpu);
        let mut keeps = vec![1.0; worlds];
        let mut bounded = vec![0.0; worlds * n_actions];
        for step in 0..item.steps {
            if !item.explores {
                segment.forget();
            }
            let now = segment.rewards.len();
            for row in env.observations().chunks_exact(size) {
                segment.moments.add(row);
            }
            segment.observations.extend_from_slice(env.observations());
            let said = look(env.observations(), &keeps, &mut memory)?;
            segment.values.extend(list(&said.value)?);
            let mut actions = list(&said.mean)?;
            if item.explores {
                let latent = list(&said.latent)?;
                let latents = latent.chunks_exact(latent.len() / worlds);
                for ((world, action), latent) in
                    actions.chunks_exact_mut(n_actions).enumerate().zip(latents)
                {
                    noise.add(world, step, latent, action, &mut rng);
                }
                let drawn = floats(&actions, &said.mean.size(), Device::Cpu)?;
                let density = no_grad(|| self.network.density(&self.parameters, &said, &drawn))?;
                segment.log_probabilities.extend(list(&density[0])?);
            }
            let bounds = self.bounds.iter().cycle();
            for ((to, x), [low, high]) in bounded.iter_mut().zip(&actions).zip(bounds) {
                *to = x.clamp(*low, *high);
            }
            segment.actions.extend(actions);
            env.step_flat(&bounded).map_err(failed)?;

            segment.rewards.extend_from_slice(env.rewards());
            for (world, running) in running.iter_mut().enumerate() {
                if running.over {
                    segment.ends.push(End::None);
                    continue;
                }
                if env.diverged()[world] {
                    segment.diverged.push([item.seed, running.number]);
                }
                let mut end = running.count(env, world, &mut segment.terms);
                if end != End::None {
                    segment.episodes.push(running.result);
                } else if step + 1 == item.steps {
                    end = End::Truncated;
                }
                segment.ends.push(end);
            }
            bootstrap(
                &mut segment,
                env.observations(),
                now..now + worlds,
                |worlds, seen| {
                    let keeps = vec![1.0; worlds.len()];
                    list(&look(seen, &keeps, &mut memory.of(worlds))?.value)
                },
            )?;
            keeps.fill(1.0);
            for (world, running) in running.iter_mut().enumerate() {
                let ended = env.terminated()[world] || env.truncated()[world];
                if ended && item.explores {
                    *running = start(env, world, running.number + 1)?;
                    keeps[world] = 0.0;
                } else {
                    running.over |= ended;
                }
            }
            if running.iter().all(|running| running.over) {
                break;
            }
        }
        Ok(segment)
    }

    /// Puts beside a segment's rows what a teacher would have done and how much it would have expected.
    ///
    /// # Errors
    /// When the teacher is for other sizes or libtorch fails.
    pub fn label(&mut self, segment: &mut Segment, teacher: &Snapshot) -> Result<(), RecipeError> {
        self.network(teacher.version, &teacher.values)?;
        let seen = teacher.normalizer.applied(&segment.observations);
        let mut memory = Memory::new(&self.config, segment.worlds, Device::Cpu);
        let keeps = segment.keeps();
        let said = say(&self.network, &self.parameters, &seen, &keeps, &mut memory)?;
        segment.taught = list(&said.mean)?;
        segment.values = list(&said.value)?;
        Ok(())
    }
}

/// What the networks say of normalized observations; see [`ActorCritic::forward`].
fn say(
    network: &ActorCritic,
    parameters: &Parameters,
    seen: &[f32],
    keeps: &[f32],
    memory: &mut Memory,
) -> Result<Said, RecipeError> {
    let seen = floats(seen, &[keeps.len() as i64, -1], Device::Cpu)?;
    Ok(no_grad(|| {
        network.forward(parameters, &seen, keeps, memory)
    })?)
}

fn mean_square(list: &[f32]) -> f64 {
    let squares = list.iter().map(|x| f64::from(x * x)).sum::<f64>();
    squares / list.len().max(1) as f64
}

fn list(tensor: &Tensor) -> Result<Vec<f32>, RecipeError> {
    Ok(Vec::try_from(tensor.f_reshape(-1)?)?)
}

/// Values of what the truncated ones of the newest rows led to.
fn bootstrap(
    segment: &mut Segment,
    observations: &[f32],
    rows: Range<usize>,
    value: impl FnOnce(&[usize], &[f32]) -> Result<Vec<f32>, RecipeError>,
) -> Result<(), RecipeError> {
    let size = observations.len() / rows.len();
    let truncated: Vec<usize> = (0..rows.len())
        .filter(|world| segment.ends[rows.start + world] == End::Truncated)
        .collect();
    segment.after.resize(rows.end, 0.0);
    if truncated.is_empty() {
        return Ok(());
    }
    let mut seen: Vec<f32> = Vec::with_capacity(truncated.len() * size);
    for world in &truncated {
        seen.extend_from_slice(&observations[world * size..][..size]);
    }
    for (world, value) in truncated.iter().zip(value(&truncated, &seen)?) {
        segment.after[rows.start + world] = value;
    }
    Ok(())
}

fn failed(error: HandError) -> RecipeError {
    RecipeError::Failed(error.to_string())
}
