//! Proximal policy optimization (Schulman et al. 2017, arXiv:1707.06347), every detail of it with a number, which stands where it is
//! done, here or where this list says.
//!
//!  1. Segments of many worlds have one length; episodes that it cuts are bootstrapped (`rollout`).
//!  2. An episode's end by its task is not its end by a limit of time: what would have come after the limit counts (Pardo et al.
//!     2018, arXiv:1712.00378).
//!  3. Advantages are generalized (Schulman et al. 2016, arXiv:1506.02438, equation 16); what the critic shall say is advantage
//!     plus value.
//!  4. Observations are normalized by what was seen before the iteration, and cut at ten deviations (`Normalizer`).
//!  5. Policy and critic share nothing; the policy's last layer is small at first (`actor_critic`).
//!  6. The actions' deviation is learnt, and does not depend on what is seen unless gSDE or Lattice explore (`actor_critic`); actions
//!     outside the bounds are cut on their way to the environment, after their density was taken (`rollout`).
//!  7. Each epoch has an order of its own; minibatches are parts of it.
//!  8. Advantages are normalized in each minibatch.
//!  9. The surrogate is clipped (equation 7 of the first paper).
//! 10. The critic's step may be clipped in the same way.
//! 11. The entropy's weight is a bonus; less than 0, it lets noise fall faster.
//! 12. Gradients are cut to a length; Adam with epsilon 1e-5.
//! 13. The learning rate falls in a line to 0, unless it is told otherwise (`recipes::motor`).
//! 14. Where actions were drawn by an older policy, what followed counts as far as this one would have done the same: V-trace
//!     (Espeholt et al. 2018, arXiv:1802.01561, equation 1, with remark 2's lambda). It is what is in 3. where policies are the
//!     same.
//! 15. An iteration ends where the policy went too far from what it was: the third estimate of Schulman's "Approximating
//!     KL Divergence", mean of (r - 1) - ln r.
//! 16. With a recurrent layer, minibatches are of whole worlds' segments instead of rows, and gradients go back through all their
//!     steps; what is remembered begins with each item and each episode anew, so that nothing of it is kept between iterations.
//! 17. Where means of actions are far outside the bounds, noise changes nothing and nothing is learnt: how far they are out may
//!     be a loss (as in rl_games, Makoviichuk and Makoviychuk 2021).

use std::sync::Arc;

use rand::RngExt as _;
use serde::{Deserialize, Serialize};
use sim::random::episode_rng;
use tch::{Device, Tensor, no_grad};

use super::{
    ActorCritic, ActorCriticConfig, Collective, End, Memory, Moments, Normalizer, Segment, Snapshot,
};
use crate::nn::{ModelError, Parameters, floats};
use crate::optimizer::{AdamW, AdamWConfig, Decay, clip_scale};
use crate::recipes::RecipeError;

/// Settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PpoConfig {
    /// Discount of a step, in [0, 1].
    pub gamma: f64,
    /// Discount of generalized advantages, in [0, 1].
    pub lambda: f64,
    /// Ratios of densities count up to 1 ± this.
    pub clip: f64,
    /// The critic's answers count up to this far from what they were; left out: any.
    pub clip_value: Option<f64>,
    /// Weight of the critic's squared error.
    pub value: f64,
    /// Weight of the entropy: a bonus of noise, a malus where it is less than 0.
    pub entropy: f64,
    /// Weight of how far the actions' means are outside their bounds: squares in halves of the ranges, summed over an
    /// action's numbers.
    pub outside: f64,
    /// Passes over an iteration's rows.
    pub epochs: u64,
    /// Rows of a minibatch; it divides those of an iteration.
    pub minibatch: usize,
    /// Parts of a minibatch whose gradients are taken each for itself and summed in their order.
    pub parts: usize,
    /// At the start.
    pub learning_rate: f64,
    /// How it falls.
    pub decay: Decay,
    /// Longest gradient.
    pub max_norm: f64,
    /// The iteration ends where the mean divergence of a minibatch is more; left out: never.
    pub target_kl: Option<f64>,
    /// Rewards are multiplied by this.
    pub reward_scale: f64,
}

impl Default for PpoConfig {
    fn default() -> Self {
        Self {
            gamma: 0.95,
            lambda: 0.95,
            clip: 0.2,
            clip_value: None,
            value: 0.5,
            entropy: 0.0,
            outside: 0.0,
            epochs: 5,
            minibatch: 3200,
            parts: 4,
            learning_rate: 3e-4,
            decay: Decay::Linear,
            max_norm: 0.5,
            target_kl: None,
            reward_scale: 1.0,
        }
    }
}

impl PpoConfig {
    /// Adam's.
    pub const ADAM: AdamWConfig = AdamWConfig {
        beta1: 0.9,
        beta2: 0.999,
        eps: 1e-5,
        weight_decay: 0.0,
    };

    /// Whether the numbers make sense, with so many rows in an iteration, drawn in units of so many.
    ///
    /// # Errors
    /// Names the first that does not.
    pub fn check(&self, rows: usize, span: usize) -> Result<(), RecipeError> {
        let share = |x: f64| (0.0..=1.0).contains(&x);
        let positive = |x: f64| x > 0.0 && x.is_finite();
        let not_negative = |x: f64| x >= 0.0 && x.is_finite();
        let wrong = |name: &str, expected: &str, found: String| {
            Err(RecipeError::Input(format!(
                "ppo.{name}: expected {expected}, found {found}"
            )))
        };
        for (name, value, expected, good) in [
            ("gamma", self.gamma, "a share in 0 to 1", share(self.gamma)),
            (
                "lambda",
                self.lambda,
                "a share in 0 to 1",
                share(self.lambda),
            ),
            ("clip", self.clip, "more than 0", positive(self.clip)),
            (
                "clip_value",
                self.clip_value.unwrap_or(1.0),
                "more than 0",
                positive(self.clip_value.unwrap_or(1.0)),
            ),
            ("value", self.value, "at least 0", not_negative(self.value)),
            (
                "entropy",
                self.entropy,
                "a number",
                self.entropy.is_finite(),
            ),
            (
                "outside",
                self.outside,
                "at least 0",
                not_negative(self.outside),
            ),
            (
                "learning_rate",
                self.learning_rate,
                "more than 0",
                positive(self.learning_rate),
            ),
            (
                "max_norm",
                self.max_norm,
                "more than 0",
                positive(self.max_norm),
            ),
            (
                "target_kl",
                self.target_kl.unwrap_or(1.0),
                "more than 0",
                positive(self.target_kl.unwrap_or(1.0)),
            ),
            (
                "reward_scale",
                self.reward_scale,
                "more than 0",
                positive(self.reward_scale),
            ),
        ] {
            if !good {
                return wrong(name, expected, value.to_string());
            }
        }
        if self.epochs == 0 {
            return wrong("epochs", "at least 1", "0".to_owned());
        }
        if self.minibatch == 0 || !rows.is_multiple_of(self.minibatch) {
            return wrong(
                "minibatch",
                &format!("a divisor of the {rows} rows of an iteration"),
                self.minibatch.to_string(),
            );
        }
        if !self.minibatch.is_multiple_of(span) {
            return wrong(
                "minibatch",
                &format!(
                    "a multiple of the {span} steps that a world has in an item, as the network remembers"
                ),
                self.minibatch.to_string(),
            );
        }
        if self.parts == 0 || !self.minibatch.is_multiple_of(self.parts) {
            return wrong(
                "parts",
                &format!("a divisor of the minibatch, {}", self.minibatch),
                self.parts.to_string(),
            );
        }
        Ok(())
    }
}

/// Advantages, and what the critic shall say, of a segment's rows.
pub fn advantages(segment: &Segment, config: &PpoConfig) -> [Vec<f32>; 2] {
    let worlds = segment.worlds.max(1);
    let rows = segment.rewards.len();
    let (gamma, lambda) = (config.gamma as f32, config.lambda as f32);
    let mut advantages = vec![0.0; rows];
    for row in (0..rows).rev() {
        // 1. and 2.
        let (next, later) = match segment.ends[row] {
            End::Terminated => (0.0, 0.0),
            End::Truncated => (segment.after[row], 0.0),
            End::None => (segment.values[row + worlds], advantages[row + worlds]),
        };
        let reward = config.reward_scale as f32 * segment.rewards[row];
        let error = reward + gamma * next - segment.values[row];
        // 14.
        let counts = segment.log_ratios.get(row);
        let counts = counts.map_or(1.0, |ratio| ratio.exp().min(1.0));
        // 3.
        advantages[row] = counts * (error + gamma * lambda * later);
    }
    let returns = advantages.iter().zip(&segment.values);
    let returns = returns.map(|(a, v)| a + v).collect();
    [advantages, returns]
}

/// An iteration's rows. They are drawn in units: rows, or where networks remember, the rows of a world in a segment.
#[derive(Debug, Default)]
pub struct Batch {
    sizes: [usize; 2],
    network: ActorCriticConfig,
    /// Worlds side by side in a segment.
    worlds: usize,
    /// Rows of a unit.
    span: usize,
    /// 0 where an episode begins after another.
    keeps: Vec<f32>,
    /// Normalized.
    observations: Vec<f32>,
    actions: Vec<f32>,
    /// Of each number of an action.
    bounds: Vec<[f32; 2]>,
    /// What a teacher would have done; empty without one.
    taught: Vec<f32>,
    log_probabilities: Vec<f32>,
    values: Vec<f32>,
    advantages: Vec<f32>,
    returns: Vec<f32>,
}

impl Batch {
    /// Of segments in their order, all of one size, for a network with observations and actions of these sizes. A teacher's values
    /// are what the critic shall say.
    pub fn new(
        segments: &[Segment],
        normalizer: &Normalizer,
        (network, sizes): (&ActorCriticConfig, [usize; 2]),
        config: &PpoConfig,
    ) -> Self {
        let first = segments.first();
        let worlds = first.map_or(1, |segment| segment.worlds.max(1));
        let length = first.map_or(1, |segment| segment.rewards.len() / worlds);
        let mut batch = Self {
            sizes,
            network: network.clone(),
            worlds,
            span: if network.lstm > 0 { length } else { 1 },
            bounds: first.map_or_else(Vec::new, |segment| segment.bounds.clone()),
            ..Self::default()
        };
        for segment in segments {
            let [advantages, returns] = match segment.taught.is_empty() {
                true => advantages(segment, config),
                false => [vec![0.0; segment.values.len()], segment.values.clone()],
            };
            // 4.
            let seen = normalizer.applied(&segment.observations);
            batch.observations.extend(seen);
            batch.keeps.extend(segment.keeps());
            batch.advantages.extend(advantages);
            batch.returns.extend(returns);
            for (to, from) in [
                (&mut batch.actions, &segment.actions),
                (&mut batch.taught, &segment.taught),
                (&mut batch.log_probabilities, &segment.log_probabilities),
                (&mut batch.values, &segment.values),
            ] {
                to.extend_from_slice(from);
            }
        }
        batch
    }

    /// Rows.
    pub fn rows(&self) -> usize {
        self.returns.len()
    }

    /// Units.
    pub fn units(&self) -> usize {
        self.rows() / self.span
    }

    /// Rows of some units: steps in their order, a step's units side by side.
    pub fn rows_of(&self, units: &[usize]) -> Vec<usize> {
        // 16.
        let row = |step: usize, unit: usize| match self.span {
            1 => unit,
            span => (unit / self.worlds * span + step) * self.worlds + unit % self.worlds,
        };
        let steps = 0..self.span;
        steps
            .flat_map(|step| units.iter().map(move |unit| row(step, *unit)))
            .collect()
    }

    /// Share of the returns' variance that the critic's values explain.
    pub fn explained(&self) -> f64 {
        let mean = |list: &dyn Fn(usize) -> f64| {
            (0..self.rows()).map(list).sum::<f64>() / self.rows().max(1) as f64
        };
        let of = |list: &[f32], i: usize| f64::from(list[i]);
        let middle = mean(&|i| of(&self.returns, i));
        let spread = mean(&|i| (of(&self.returns, i) - middle).powi(2));
        let missed = mean(&|i| (of(&self.returns, i) - of(&self.values, i)).powi(2));
        1.0 - missed / spread.max(1e-12)
    }
}

/// A part of a minibatch: which rows, and how their advantages are normalized.
#[derive(Clone, Debug)]
pub struct Rows {
    /// The iteration's rows.
    pub batch: Arc<Batch>,
    /// Which of them, as [`Batch::rows_of`] gives them.
    pub rows: Vec<usize>,
    /// Rows of the whole minibatch.
    pub of: usize,
    /// Mean and deviation of the minibatch's advantages.
    pub advantage: [f32; 2],
}

/// Means over a minibatch, or a part's share of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Losses {
    /// Minus the clipped surrogate; with a teacher, the divergence of the policy from it.
    pub policy: f64,
    /// The critic's squared error.
    pub value: f64,
    /// Entropy of the actions.
    pub entropy: f64,
    /// How far the actions' means are outside their bounds.
    pub outside: f64,
    /// Divergence from the policy that acted.
    pub kl: f64,
    /// Share of rows whose ratio is clipped.
    pub clipped: f64,
}

/// A part's share of a minibatch's losses; writes its share of the gradient. With a teacher, the policy's loss is the divergence of
/// its distribution from one of the same deviation around what the teacher would have done: half the mean square of their
/// distance in deviations.
///
/// # Errors
/// When libtorch fails.
pub fn gradient(
    network: &ActorCritic,
    parameters: &Parameters,
    rows: &Rows,
    config: &PpoConfig,
    into: &mut [f32],
) -> Result<Losses, ModelError> {
    let batch = &*rows.batch;
    let n = rows.rows.len() as i64;
    let gather = |list: &[f32], size: usize| {
        let mut found = Vec::with_capacity(rows.rows.len() * size);
        for row in &rows.rows {
            found.extend_from_slice(&list[row * size..][..size]);
        }
        let shape: &[i64] = if size == 1 { &[n] } else { &[n, size as i64] };
        floats(&found, shape, parameters.device())
    };
    let [observation, action] = batch.sizes;
    let observations = gather(&batch.observations, observation)?;
    let actions = gather(&batch.actions, action)?.f_reshape([n, action as i64])?;
    let before = gather(&batch.log_probabilities, 1)?;
    let [mean, deviation] = rows.advantage.map(f64::from);
    // 8.
    let advantages = (gather(&batch.advantages, 1)? - mean) / (deviation + 1e-8);
    let returns = gather(&batch.returns, 1)?;
    // A part's sums by the whole's rows: parts add up to the mean of the whole.
    let share = 1.0 / rows.of as f64;

    let keeps: Vec<f32> = rows.rows.iter().map(|row| batch.keeps[*row]).collect();
    let worlds = rows.rows.len() / batch.span;
    let memory = &mut Memory::new(&batch.network, worlds, parameters.device());
    let said = network.forward(parameters, &observations, &keeps, memory)?;
    let [density, entropy] = network.density(parameters, &said, &actions)?;
    let value = &said.value;
    let log_ratio = density - before;
    let ratio = log_ratio.exp();
    // 9.
    let policy = if batch.taught.is_empty() {
        let bounded = ratio.clamp(1.0 - config.clip, 1.0 + config.clip);
        -(&ratio * &advantages).minimum(&(bounded * &advantages))
    } else {
        let taught = gather(&batch.taught, action)?.f_reshape([n, action as i64])?;
        let deviation = network.deviation(parameters, &said)?.detach();
        let off = ((taught - &said.mean) / deviation).square() * 0.5;
        off.sum_dim_intlist([-1i64].as_slice(), false, tch::Kind::Float)
    };
    let policy = policy.sum(tch::Kind::Float) * share;
    let missed = (value - &returns).square();
    // 10.
    let missed = match config.clip_value {
        None => missed,
        Some(clip) => {
            let old = gather(&batch.values, 1)?;
            let near = (value - &old).clamp(-clip, clip) + old;
            missed.maximum(&(near - &returns).square())
        }
    };
    let critic = missed.sum(tch::Kind::Float) * share;
    let entropy = entropy.sum(tch::Kind::Float) * share;
    let outside = outside(&said.mean, &batch.bounds)? * share;
    // 11.
    let mut loss = &policy + &critic * config.value - &entropy * config.entropy;
    // 17.
    if config.outside > 0.0 {
        loss += &outside * config.outside;
    }
    parameters.gradient(&loss, into)?;

    let kl = (&ratio - 1.0 - &log_ratio).sum(tch::Kind::Float) * share;
    let clipped = (&ratio - 1.0)
        .abs()
        .gt(config.clip)
        .to_kind(tch::Kind::Float);
    let clipped = clipped.sum(tch::Kind::Float) * share;
    let number = |tensor: &Tensor| tensor.f_double_value(&[]);
    Ok(Losses {
        policy: number(&policy)?,
        value: number(&critic)?,
        entropy: number(&entropy)?,
        outside: number(&outside)?,
        kl: number(&kl)?,
        clipped: number(&clipped)?,
    })
}

/// How far actions' means (rows × action) are outside their bounds: squares in halves of the ranges, summed.
fn outside(mean: &Tensor, bounds: &[[f32; 2]]) -> Result<Tensor, ModelError> {
    let row = |of: &dyn Fn(&[f32; 2]) -> f32| {
        let list: Vec<f32> = bounds.iter().map(of).collect();
        floats(&list, &[1, list.len() as i64], mean.device())
    };
    let middle = row(&|[low, high]| 0.5 * (low + high))?;
    let half = row(&|[low, high]| 0.5 * (high - low))?;
    let off = (((mean - middle) / half).abs() - 1.0).relu();
    Ok(off.square().sum(tch::Kind::Float))
}

/// What an iteration's learning came to: means over its minibatches, and how many there were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Learnt {
    /// Means.
    pub losses: Losses,
    /// Mean length of the gradients before they were cut.
    pub gradient_norm: f64,
    /// Minibatches.
    pub minibatches: u64,
    /// Share of the returns' variance that the critic's values explained before.
    pub explained: f64,
}

/// Who takes gradients.
pub trait Gradients {
    /// Of parts of a minibatch, in their order, each with its share of the losses; `values` are the network's, `version` counts
    /// their changes.
    ///
    /// # Errors
    /// When libtorch or who works fails.
    fn gradients(
        &mut self,
        version: u64,
        values: &[f32],
        parts: Vec<Rows>,
    ) -> Result<Vec<(Vec<f32>, Losses)>, RecipeError>;
}

/// A network that takes gradients where the learner is.
pub struct Own {
    shape: ActorCriticConfig,
    network: ActorCritic,
    parameters: Parameters,
    config: PpoConfig,
}

impl Own {
    /// For observations and actions of these sizes, on a device.
    ///
    /// # Errors
    /// As [`ActorCritic::new`].
    pub fn new(
        network: &ActorCriticConfig,
        sizes: [usize; 2],
        config: &PpoConfig,
        device: Device,
    ) -> Result<Self, RecipeError> {
        let shape = network.clone();
        let (network, parameters) = ActorCritic::new(&shape, sizes, 0, device)?;
        Ok(Self {
            shape,
            network,
            parameters,
            config: config.clone(),
        })
    }

    /// Makes a segment that an older policy drew one of this policy's: its values are those of this critic, and how much more
    /// or less often this policy would have done the same is kept. What truncated steps led to keeps its value.
    ///
    /// # Errors
    /// When libtorch fails.
    pub fn renew(&mut self, segment: &mut Segment, policy: &Snapshot) -> Result<(), RecipeError> {
        if segment.version == policy.version {
            return Ok(());
        }
        self.parameters.set_values(&policy.values)?;
        let rows = segment.values.len() as i64;
        let device = self.parameters.device();
        let tensor = |list: &[f32]| floats(list, &[rows, list.len() as i64 / rows], device);
        let seen = tensor(&policy.normalizer.applied(&segment.observations))?;
        let actions = tensor(&segment.actions)?;
        let [density, value] = no_grad(|| {
            let memory = &mut Memory::new(&self.shape, segment.worlds, device);
            let keeps = segment.keeps();
            let said = self
                .network
                .forward(&self.parameters, &seen, &keeps, memory)?;
            let [density, _] = self.network.density(&self.parameters, &said, &actions)?;
            Ok::<_, ModelError>([density, said.value])
        })?;
        let before = std::mem::replace(&mut segment.log_probabilities, Vec::try_from(density)?);
        let now = segment.log_probabilities.iter();
        segment.log_ratios = now.zip(before).map(|(now, before)| now - before).collect();
        segment.values = Vec::try_from(value)?;
        segment.version = policy.version;
        Ok(())
    }
}

impl Gradients for Own {
    fn gradients(
        &mut self,
        _: u64,
        values: &[f32],
        parts: Vec<Rows>,
    ) -> Result<Vec<(Vec<f32>, Losses)>, RecipeError> {
        self.parameters.set_values(values)?;
        let mut done = Vec::new();
        for rows in parts {
            let mut into = vec![0.0; values.len()];
            let of = (&self.network, &self.parameters);
            let losses = gradient(of.0, of.1, &rows, &self.config, &mut into)?;
            done.push((into, losses));
        }
        Ok(done)
    }
}

/// Values that get better.
#[derive(Debug)]
pub struct Learner {
    config: PpoConfig,
    network: ActorCriticConfig,
    /// Of the network, as [`Parameters::values`] has them.
    pub values: Vec<f32>,
    /// Counts their changes.
    pub version: u64,
    /// With Adam's moments.
    pub optimizer: AdamW,
    /// Of all observations.
    pub moments: Moments,
    sizes: [usize; 2],
}

impl Learner {
    /// Begins with these values of a network, for observations and actions of these sizes.
    pub fn new(
        config: &PpoConfig,
        network: &ActorCriticConfig,
        values: &[f32],
        sizes: [usize; 2],
    ) -> Self {
        Self {
            config: config.clone(),
            network: network.clone(),
            values: values.to_vec(),
            version: 0,
            optimizer: AdamW::new(PpoConfig::ADAM, values.len()),
            moments: Moments::new(sizes[0]),
            sizes,
        }
    }

    /// The policy as it is.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            version: self.version,
            values: self.values.clone(),
            normalizer: Normalizer::of(&self.moments),
        }
    }

    /// Improves the values on an iteration's segments, and takes in what was seen. The order of rows is drawn from the run's seed
    /// and the iteration. Learners of a collective each bring as many segments of the same size, of the iteration's items in
    /// turn; all come to the same values.
    ///
    /// # Errors
    /// When a loss or a gradient is not finite, or who takes gradients fails.
    pub fn learn(
        &mut self,
        segments: &[Segment],
        (seed, iteration): (u64, u64),
        learning_rate: f64,
        by: &mut impl Gradients,
        with: &mut impl Collective,
    ) -> Result<Learnt, RecipeError> {
        let normalizer = Normalizer::of(&self.moments);
        let of = (&self.network, self.sizes);
        let batch = Arc::new(Batch::new(segments, &normalizer, of, &self.config));
        let mut learnt = Learnt {
            explained: batch.explained(),
            ..Learnt::default()
        };
        let item = batch.units() / segments.len().max(1);
        let (rank, size) = (with.rank(), with.size());
        let own = |unit: &usize| {
            let (of, unit) = (unit / item, unit % item);
            (of % size == rank).then_some(of / size * item + unit)
        };
        let mut order: Vec<usize> = (0..batch.units() * size).collect();
        'epochs: for epoch in 0..self.config.epochs {
            // 7.
            let number = iteration * self.config.epochs + epoch;
            let mut rng = episode_rng(seed, "motor", number, "order");
            for i in (1..order.len()).rev() {
                order.swap(i, rng.random_range(0..=i));
            }
            for units in order.chunks_exact(self.config.minibatch / batch.span) {
                let own: Vec<usize> = units.iter().filter_map(own).collect();
                let (losses, gradient) = self.gradient(&batch, &own, by, with)?;
                // 12.
                let (scale, norm) = clip_scale(&gradient, self.config.max_norm);
                if !(losses.policy + losses.value).is_finite() || !norm.is_finite() {
                    return Err(RecipeError::Failed(format!(
                        "iteration {iteration}, epoch {epoch}: the loss is {losses:?}, the gradient's length {norm}"
                    )));
                }
                learnt.losses.add(losses, 1.0);
                learnt.gradient_norm += norm;
                learnt.minibatches += 1;
                // 15.
                let target = self.config.target_kl;
                if target.is_some_and(|target| losses.kl > target) {
                    break 'epochs;
                }
                self.optimizer
                    .step(&mut self.values, &gradient, scale, learning_rate);
                self.version += 1;
            }
        }
        let n = learnt.minibatches.max(1) as f64;
        let sums = std::mem::take(&mut learnt.losses);
        learnt.losses.add(sums, 1.0 / n);
        learnt.gradient_norm /= n;
        self.take_in(segments, with)?;
        Ok(learnt)
    }

    /// What all learners saw, in the order of their ranks.
    fn take_in(
        &mut self,
        segments: &[Segment],
        with: &mut impl Collective,
    ) -> Result<(), RecipeError> {
        let n = self.sizes[0];
        let mut seen = Moments::new(n);
        for segment in segments {
            seen.merge(&segment.moments);
        }
        let width = 1 + 2 * n;
        let mut all = vec![0.0; with.size() * width];
        let place = &mut all[with.rank() * width..][..width];
        place[0] = seen.count;
        place[1..=n].copy_from_slice(&seen.mean);
        place[1 + n..].copy_from_slice(&seen.squares);
        with.allreduce(&mut all)?;
        for place in all.chunks_exact(width) {
            self.moments.merge(&Moments {
                count: place[0],
                mean: place[1..=n].to_vec(),
                squares: place[1 + n..].to_vec(),
            });
        }
        Ok(())
    }

    /// Of a minibatch, of which these are the own units: its parts' gradients, summed in their order, and those of all learners.
    fn gradient(
        &self,
        batch: &Arc<Batch>,
        units: &[usize],
        by: &mut impl Gradients,
        with: &mut impl Collective,
    ) -> Result<(Losses, Vec<f32>), RecipeError> {
        let of = self.config.minibatch;
        let rows = batch.rows_of(units);
        let own = || rows.iter().map(|row| f64::from(batch.advantages[*row]));
        let mut sum = [own().sum()];
        with.allreduce(&mut sum)?;
        let mean = sum[0] / of as f64;
        let mut squares = [own().map(|x| (x - mean).powi(2)).sum()];
        with.allreduce(&mut squares)?;
        let deviation = (squares[0] / of as f64).sqrt();

        let parts = units.chunks(units.len().div_ceil(self.config.parts).max(1));
        let parts = parts.map(|part| Rows {
            batch: Arc::clone(batch),
            rows: batch.rows_of(part),
            of,
            advantage: [mean as f32, deviation as f32],
        });
        let parts = by.gradients(self.version, &self.values, parts.collect())?;
        let mut losses = Losses::default();
        let mut gradient = vec![0.0_f32; self.values.len()];
        for (part, found) in parts {
            gradient.iter_mut().zip(part).for_each(|(sum, x)| *sum += x);
            losses.add(found, 1.0);
        }
        if with.size() > 1 {
            let mut all: Vec<f64> = gradient.iter().map(|x| f64::from(*x)).collect();
            all.extend(losses.numbers().map(|own| *own));
            with.allreduce(&mut all)?;
            let sums = all.split_off(gradient.len());
            gradient = all.into_iter().map(|x| x as f32).collect();
            for (own, sum) in losses.numbers().into_iter().zip(sums) {
                *own = sum;
            }
        }
        Ok((losses, gradient))
    }
}

impl Losses {
    /// All of them.
    fn numbers(&mut self) -> [&mut f64; 6] {
        let Self {
            policy,
            value,
            entropy,
            outside,
            kl,
            clipped,
        } = self;
        [policy, value, entropy, outside, kl, clipped]
    }

    fn add(&mut self, mut other: Self, weight: f64) {
        for (own, more) in self.numbers().into_iter().zip(other.numbers()) {
            *own += weight * *more;
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::motor::{ActorCriticConfig, Exploration};

    fn list(of: &Value) -> Vec<f32> {
        serde_json::from_value(of.clone()).unwrap()
    }

    fn near(found: &[f32], expected: &[f32]) {
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() < 2e-5, "{found}, not {expected}");
        }
    }

    /// Made by tests/peers/motor/reference_ppo.py: PyTorch's distribution and gradient, the paper's sum of errors.
    #[test]
    fn advantages_losses_and_gradients_are_pytorchs() {
        let file = include_str!("../../tests/data/ppo_expected.json");
        let file: Value = serde_json::from_str(file).unwrap();
        let sizes: [usize; 2] = serde_json::from_value(file["sizes"].clone()).unwrap();
        let mut config: PpoConfig = serde_json::from_value(file["settings"].clone()).unwrap();
        let ends: Vec<u8> = serde_json::from_value(file["ends"].clone()).unwrap();
        let mut segment = Segment {
            worlds: 2,
            observations: list(&file["observations"]),
            actions: list(&file["actions"]),
            bounds: serde_json::from_value(file["bounds"].clone()).unwrap(),
            log_probabilities: list(&file["log_probabilities"]),
            values: list(&file["values"]),
            rewards: list(&file["rewards"]),
            ends: ends
                .iter()
                .map(|end| [End::None, End::Terminated, End::Truncated][usize::from(*end)])
                .collect(),
            after: list(&file["after"]),
            ..Segment::default()
        };
        let expected = &file["expected"];
        let [found, returns] = advantages(&segment, &config);
        near(&found, &list(&expected["advantages"]));
        near(&returns, &list(&expected["returns"]));

        let shape = ActorCriticConfig {
            hidden: serde_json::from_value(file["hidden"].clone()).unwrap(),
            ..ActorCriticConfig::default()
        };
        let (network, mut parameters) = ActorCritic::new(&shape, sizes, 1, Device::Cpu).unwrap();
        parameters
            .set_values(&list(&file["values_of_parameters"]))
            .unwrap();
        let as_it_is = Normalizer::of(&Moments::new(sizes[0]));
        let of = (&shape, sizes);
        let batch = Batch::new(std::slice::from_ref(&segment), &as_it_is, of, &config);
        let batch = Arc::new(batch);
        let advantage = {
            let list = || batch.advantages.iter().map(|x| f64::from(*x));
            let mean = list().sum::<f64>() / 6.0;
            let variance = list().map(|x| (x - mean).powi(2)).sum::<f64>() / 6.0;
            [mean as f32, variance.sqrt() as f32]
        };
        // Parts of any kind add up to the whole.
        for parts in [
            vec![vec![0, 1, 2, 3, 4, 5]],
            vec![vec![4, 0], vec![5, 1, 3, 2]],
        ] {
            let mut losses = Losses::default();
            let mut sum = vec![0.0; parameters.values().len()];
            for part in parts {
                let rows = Rows {
                    batch: Arc::clone(&batch),
                    rows: part,
                    of: 6,
                    advantage,
                };
                let mut into = sum.clone();
                let found = gradient(&network, &parameters, &rows, &config, &mut into).unwrap();
                losses.add(found, 1.0);
                sum.iter_mut().zip(into).for_each(|(sum, x)| *sum += x);
            }
            near(&sum, &list(&expected["gradient"]));
            for (found, name) in [
                (losses.policy, "policy"),
                (losses.value, "value"),
                (losses.entropy, "entropy"),
                (losses.outside, "outside"),
                (losses.kl, "kl"),
                (losses.clipped, "clipped"),
            ] {
                let expected = expected["losses"][name].as_f64().unwrap();
                assert!(
                    (found - expected).abs() < 1e-5,
                    "{name}: {found}, not {expected}"
                );
            }
        }
        // The critic's clipping is a choice.
        config.clip_value = None;
        let rows = Rows {
            batch,
            rows: (0..6).collect(),
            of: 6,
            advantage,
        };
        let mut into = vec![0.0; parameters.values().len()];
        let found = gradient(&network, &parameters, &rows, &config, &mut into).unwrap();
        assert!(found.value < expected["losses"]["value"].as_f64().unwrap() - 1e-3);

        // What an older policy did counts less where this one does it less often.
        let v_trace = &file["v_trace"];
        segment.log_ratios = list(&v_trace["log_ratios"]);
        let [found, targets] = advantages(&segment, &config);
        near(&found, &list(&v_trace["advantages"]));
        near(&targets, &list(&v_trace["targets"]));
    }

    /// By PyTorch's multivariate normal distribution, in the same file.
    #[test]
    fn densities_of_correlated_noise_are_pytorchs() {
        let file = include_str!("../../tests/data/ppo_expected.json");
        let file: Value = serde_json::from_str(file).unwrap();
        let sizes: [usize; 2] = serde_json::from_value(file["sizes"].clone()).unwrap();
        let tensor = |key: &str, width: usize| {
            floats(&list(&file[key]), &[6, width as i64], Device::Cpu).unwrap()
        };
        let seen = tensor("observations", sizes[0]);
        let actions = tensor("actions", sizes[1]);
        for (exploration, name) in [
            (Exploration::Gsde, "gsde"),
            (Exploration::Lattice, "lattice"),
        ] {
            let expected = &file["explorations"][name];
            let shape = ActorCriticConfig {
                hidden: serde_json::from_value(file["hidden"].clone()).unwrap(),
                exploration,
                ..ActorCriticConfig::default()
            };
            let (network, mut parameters) =
                ActorCritic::new(&shape, sizes, 1, Device::Cpu).unwrap();
            let mut values = list(&file["values_of_parameters"]);
            values.truncate(values.len() - sizes[1]);
            values.extend(list(&expected["log_std"]));
            parameters.set_values(&values).unwrap();
            let nothing = &mut Memory::new(&shape, 6, Device::Cpu);
            let said = network.forward(&parameters, &seen, &[], nothing).unwrap();
            let [density, entropy] = network.density(&parameters, &said, &actions).unwrap();
            near(
                &Vec::try_from(&density).unwrap(),
                &list(&expected["density"]),
            );
            near(
                &Vec::try_from(&entropy).unwrap(),
                &list(&expected["entropy"]),
            );
            let weights = list(&expected["weights"]);
            let [a, b] = [&weights[..6], &weights[6..]].map(Tensor::from_slice);
            let loss = (density * a + entropy * b).sum(tch::Kind::Float);
            let mut gradient = vec![0.0; values.len()];
            parameters.gradient(&loss, &mut gradient).unwrap();
            let largest = gradient.iter().fold(1.0_f32, |max, x| max.max(x.abs()));
            let scaled = |list: Vec<f32>| list.into_iter().map(|x| x / largest).collect::<Vec<_>>();
            near(&scaled(gradient), &scaled(list(&expected["gradient"])));
        }
    }

    #[test]
    fn settings_that_make_no_sense_are_named() {
        let good = PpoConfig::default();
        good.check(6400, 1).unwrap();
        for (config, message) in [
            (
                PpoConfig {
                    minibatch: 3000,
                    ..good.clone()
                },
                "ppo.minibatch: expected a divisor of the 6400 rows of an iteration, found 3000",
            ),
            (
                PpoConfig {
                    parts: 3,
                    ..good.clone()
                },
                "ppo.parts: expected a divisor of the minibatch, 3200, found 3",
            ),
            (
                PpoConfig {
                    gamma: 1.5,
                    ..good.clone()
                },
                "ppo.gamma: expected a share in 0 to 1, found 1.5",
            ),
            (
                PpoConfig {
                    clip: f64::NAN,
                    ..good
                },
                "ppo.clip: expected more than 0, found NaN",
            ),
        ] {
            let error = config.check(6400, 100).unwrap_err();
            assert_eq!(error.exit_code(), 2);
            assert_eq!(error.to_string(), message);
        }
    }
}
