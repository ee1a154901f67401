//! Proximal policy optimization (Schulman et al. 2017, arXiv:1707.06347), every detail of it with a number.
//!
//!  1. Segments of many worlds have one length; episodes that it cuts are bootstrapped (`rollout`).
//!  2. An episode's end by its task is not its end by a limit of time: what would have come after the limit counts (Pardo et al.
//!     2018, arXiv:1712.00378).
//!  3. Advantages are generalized (Schulman et al. 2016, arXiv:1506.02438, equation 16); what the critic shall say is advantage
//!     plus value.
//!  4. Observations are normalized by what was seen before the iteration, and cut at ten deviations (`Normalizer`).
//!  5. Policy and critic share nothing; the policy's last layer is small at first (`ActorCritic`).
//!  6. The actions' deviation is learnt and does not depend on what is seen; actions outside the bounds are cut by the
//!     environment, after their density was taken.
//!  7. Each epoch has an order of its own; minibatches are parts of it.
//!  8. Advantages are normalized in each minibatch.
//!  9. The surrogate is clipped (equation 7 of the first paper).
//! 10. The critic's step may be clipped in the same way.
//! 11. The entropy's weight is a bonus.
//! 12. Gradients are cut to a length; Adam with epsilon 1e-5.
//! 13. The learning rate falls in a line to 0, unless it is told otherwise.
//! 14. An iteration ends where the policy went too far from what it was: the third estimate of Schulman's "Approximating
//!     KL Divergence", mean of (r - 1) - ln r.

use std::sync::Arc;

use rand::RngExt as _;
use serde::{Deserialize, Serialize};
use sim::random::episode_rng;
use tch::{Device, Tensor};

use super::{ActorCritic, Done, End, Job, Moments, Normalizer, Segment, Snapshot, Workers};
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
    /// Weight of the entropy.
    pub entropy: f64,
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

    /// Whether the numbers make sense, with so many rows in an iteration.
    ///
    /// # Errors
    /// Names the first that does not.
    pub fn check(&self, rows: usize) -> Result<(), RecipeError> {
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
        let (next, later) = match segment.ends[row] {
            End::Terminated => (0.0, 0.0),
            End::Truncated => (segment.after[row], 0.0),
            End::None => (segment.values[row + worlds], advantages[row + worlds]),
        };
        let reward = config.reward_scale as f32 * segment.rewards[row];
        let error = reward + gamma * next - segment.values[row];
        advantages[row] = error + gamma * lambda * later;
    }
    let returns = advantages.iter().zip(&segment.values);
    let returns = returns.map(|(a, v)| a + v).collect();
    [advantages, returns]
}

/// An iteration's rows.
#[derive(Debug, Default)]
pub struct Batch {
    sizes: [usize; 2],
    observations: Vec<f32>,
    actions: Vec<f32>,
    log_probabilities: Vec<f32>,
    values: Vec<f32>,
    advantages: Vec<f32>,
    returns: Vec<f32>,
}

impl Batch {
    /// Of segments in their order, observations and actions of these sizes.
    pub fn new(segments: &[Segment], sizes: [usize; 2], config: &PpoConfig) -> Self {
        let mut batch = Self {
            sizes,
            ..Self::default()
        };
        for segment in segments {
            let [advantages, returns] = advantages(segment, config);
            batch.observations.extend_from_slice(&segment.observations);
            batch.actions.extend_from_slice(&segment.actions);
            batch
                .log_probabilities
                .extend_from_slice(&segment.log_probabilities);
            batch.values.extend_from_slice(&segment.values);
            batch.advantages.extend(advantages);
            batch.returns.extend(returns);
        }
        batch
    }

    /// Rows.
    pub fn rows(&self) -> usize {
        self.returns.len()
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
    /// Which of them.
    pub rows: Vec<usize>,
    /// Rows of the whole minibatch.
    pub of: usize,
    /// Mean and deviation of the minibatch's advantages.
    pub advantage: [f32; 2],
}

/// Means over a minibatch, or a part's share of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Losses {
    /// Minus the clipped surrogate.
    pub policy: f64,
    /// The critic's squared error.
    pub value: f64,
    /// Entropy of the actions.
    pub entropy: f64,
    /// Divergence from the policy that acted.
    pub kl: f64,
    /// Share of rows whose ratio is clipped.
    pub clipped: f64,
}

/// A part's share of a minibatch's losses; writes its share of the gradient.
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
        floats(&found, shape, Device::Cpu)
    };
    let [observation, action] = batch.sizes;
    let observations = gather(&batch.observations, observation)?;
    let actions = gather(&batch.actions, action)?.f_reshape([n, action as i64])?;
    let before = gather(&batch.log_probabilities, 1)?;
    let [mean, deviation] = rows.advantage.map(f64::from);
    let advantages = (gather(&batch.advantages, 1)? - mean) / (deviation + 1e-8);
    let returns = gather(&batch.returns, 1)?;
    // A part's sums by the whole's rows: parts add up to the mean of the whole.
    let share = 1.0 / rows.of as f64;

    let [mean, value] = network.forward(parameters, &observations);
    let log_std = network.log_std(parameters);
    let off = (&actions - mean) / log_std.exp();
    let constant = 0.5 * (2.0 * std::f64::consts::PI).ln();
    let density: Tensor = off.square() * -0.5 - log_std - constant;
    let log_ratio = density.sum_dim_intlist([-1i64].as_slice(), false, tch::Kind::Float) - before;
    let ratio = log_ratio.exp();
    let bounded = ratio.clamp(1.0 - config.clip, 1.0 + config.clip);
    let surrogate = (&ratio * &advantages).minimum(&(bounded * &advantages));
    let policy = -surrogate.sum(tch::Kind::Float) * share;
    let missed = (&value - &returns).square();
    let missed = match config.clip_value {
        None => missed,
        Some(clip) => {
            let old = gather(&batch.values, 1)?;
            let near = (&value - &old).clamp(-clip, clip) + old;
            missed.maximum(&(near - &returns).square())
        }
    };
    let critic = missed.sum(tch::Kind::Float) * share;
    let entropy = (log_std + (constant + 0.5)).sum(tch::Kind::Float) * (n as f64 * share);
    let loss = &policy + &critic * config.value - &entropy * config.entropy;
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
        kl: number(&kl)?,
        clipped: number(&clipped)?,
    })
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

/// Values that get better.
#[derive(Debug)]
pub struct Learner {
    config: PpoConfig,
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
    /// Begins with these values, for observations and actions of these sizes.
    pub fn new(config: &PpoConfig, values: &[f32], sizes: [usize; 2]) -> Self {
        Self {
            config: config.clone(),
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
    /// and the iteration.
    ///
    /// # Errors
    /// When a loss or a gradient is not finite, or a worker fails.
    pub fn learn(
        &mut self,
        segments: &[Segment],
        (seed, iteration): (u64, u64),
        learning_rate: f64,
        workers: &mut Workers,
    ) -> Result<Learnt, RecipeError> {
        let config = self.config.clone();
        let batch = Arc::new(Batch::new(segments, self.sizes, &config));
        let mut learnt = Learnt {
            explained: batch.explained(),
            ..Learnt::default()
        };
        let mut order: Vec<usize> = (0..batch.rows()).collect();
        'epochs: for epoch in 0..config.epochs {
            let number = iteration * config.epochs + epoch;
            let mut rng = episode_rng(seed, "motor", number, "order");
            for i in (1..order.len()).rev() {
                order.swap(i, rng.random_range(0..=i));
            }
            for rows in order.chunks_exact(config.minibatch) {
                let (losses, gradient) = self.gradient(&batch, rows, workers)?;
                let (scale, norm) = clip_scale(&gradient, config.max_norm);
                if !(losses.policy + losses.value).is_finite() || !norm.is_finite() {
                    return Err(RecipeError::Failed(format!(
                        "iteration {iteration}, epoch {epoch}: the loss is {losses:?}, the gradient's length {norm}"
                    )));
                }
                self.optimizer
                    .step(&mut self.values, &gradient, scale, learning_rate);
                self.version += 1;
                learnt.losses.add(&losses, 1.0);
                learnt.gradient_norm += norm;
                learnt.minibatches += 1;
                if config.target_kl.is_some_and(|target| losses.kl > target) {
                    break 'epochs;
                }
            }
        }
        let n = learnt.minibatches.max(1) as f64;
        let sums = std::mem::take(&mut learnt.losses);
        learnt.losses.add(&sums, 1.0 / n);
        learnt.gradient_norm /= n;
        for segment in segments {
            self.moments.merge(&segment.moments);
        }
        Ok(learnt)
    }

    /// Of a minibatch: its parts' gradients, summed in their order.
    fn gradient(
        &self,
        batch: &Arc<Batch>,
        rows: &[usize],
        workers: &mut Workers,
    ) -> Result<(Losses, Vec<f32>), RecipeError> {
        let advantage = spread(rows.iter().map(|row| batch.advantages[*row]));
        let values = Arc::new(self.values.clone());
        let parts = rows.chunks_exact(self.config.minibatch / self.config.parts);
        let jobs = parts.map(|part| Job::Gradient {
            version: self.version,
            values: Arc::clone(&values),
            rows: Rows {
                batch: Arc::clone(batch),
                rows: part.to_vec(),
                of: rows.len(),
                advantage,
            },
        });
        let mut losses = Losses::default();
        let mut gradient = vec![0.0; self.values.len()];
        for done in workers.run(jobs.collect())? {
            let Done::Gradient(part, found) = done else {
                return Err(RecipeError::Failed("expected a gradient".to_owned()));
            };
            for (sum, x) in gradient.iter_mut().zip(part) {
                *sum += x;
            }
            losses.add(&found, 1.0);
        }
        Ok((losses, gradient))
    }
}

impl Losses {
    fn add(&mut self, other: &Self, weight: f64) {
        self.policy += weight * other.policy;
        self.value += weight * other.value;
        self.entropy += weight * other.entropy;
        self.kl += weight * other.kl;
        self.clipped += weight * other.clipped;
    }
}

/// Mean and deviation.
fn spread(list: impl Iterator<Item = f32> + Clone) -> [f32; 2] {
    let n = list.clone().count().max(1) as f64;
    let mean = list.clone().map(f64::from).sum::<f64>() / n;
    let variance = list.map(|x| (f64::from(x) - mean).powi(2)).sum::<f64>() / n;
    [mean as f32, variance.sqrt() as f32]
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::motor::ActorCriticConfig;

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
        let segment = Segment {
            worlds: 2,
            observations: list(&file["observations"]),
            actions: list(&file["actions"]),
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
        let (network, mut parameters) = ActorCritic::new(&shape, sizes, 1).unwrap();
        parameters
            .set_values(&list(&file["values_of_parameters"]))
            .unwrap();
        let batch = Arc::new(Batch::new(&[segment], sizes, &config));
        let advantage = spread(batch.advantages.iter().copied());
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
                losses.add(&found, 1.0);
                sum.iter_mut().zip(into).for_each(|(sum, x)| *sum += x);
            }
            near(&sum, &list(&expected["gradient"]));
            for (found, name) in [
                (losses.policy, "policy"),
                (losses.value, "value"),
                (losses.entropy, "entropy"),
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
    }

    #[test]
    fn settings_that_make_no_sense_are_named() {
        let good = PpoConfig::default();
        good.check(6400).unwrap();
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
            let error = config.check(6400).unwrap_err();
            assert_eq!(error.exit_code(), 2);
            assert_eq!(error.to_string(), message);
        }
    }
}
