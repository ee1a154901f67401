//! AdamW, learning-rate schedules and gradient clipping on flat vectors of f32.
//!
//! Plain loops instead of libtorch's optimizers: their state cannot be saved, and exact resume needs it. Knows nothing
//! of models.

use serde::{Deserialize, Serialize};

/// AdamW (Loshchilov and Hutter 2019, arXiv:1711.05101, algorithm 2), as PyTorch's `torch.optim.AdamW` computes it.
#[derive(Clone, Debug)]
pub struct AdamW {
    config: AdamWConfig,
    /// Running means of the gradient and of its square.
    first: Vec<f32>,
    second: Vec<f32>,
    steps: u64,
}

/// Constants of [`AdamW`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AdamWConfig {
    /// Decay of the gradient's running mean, in [0, 1).
    pub beta1: f64,
    /// Decay of the squared gradient's running mean, in [0, 1).
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub eps: f64,
    /// Shrinks values by learning rate x this each step. 0 for adapters: their B already starts at zero.
    pub weight_decay: f64,
}

impl Default for AdamWConfig {
    fn default() -> Self {
        Self {
            beta1: 0.9,
            beta2: 0.999,
            eps: 1e-8,
            weight_decay: 0.0,
        }
    }
}

impl AdamW {
    /// An optimizer of `size` values that has done no step.
    pub fn new(config: AdamWConfig, size: usize) -> Self {
        Self {
            config,
            first: vec![0.0; size],
            second: vec![0.0; size],
            steps: 0,
        }
    }

    /// Continues from saved moments; `None` when their lengths are not `size`.
    pub fn restore(
        config: AdamWConfig,
        size: usize,
        first: Vec<f32>,
        second: Vec<f32>,
        steps: u64,
    ) -> Option<Self> {
        (first.len() == size && second.len() == size).then_some(Self {
            config,
            first,
            second,
            steps,
        })
    }

    /// The running means of the gradient and of its square, to be saved.
    pub fn moments(&self) -> (&[f32], &[f32]) {
        (&self.first, &self.second)
    }

    /// Steps done.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// One step along `gradient`, which is first multiplied by `gradient_scale` (see [`clip_scale`]). All three are of
    /// the optimizer's size.
    pub fn step(
        &mut self,
        values: &mut [f32],
        gradient: &[f32],
        gradient_scale: f64,
        learning_rate: f64,
    ) {
        assert_eq!(values.len(), self.first.len(), "one value per moment");
        assert_eq!(gradient.len(), self.first.len(), "one gradient per moment");
        self.steps += 1;
        let AdamWConfig {
            beta1,
            beta2,
            eps,
            weight_decay,
        } = self.config;
        let steps = i32::try_from(self.steps).unwrap_or(i32::MAX);
        let keep = (1.0 - learning_rate * weight_decay) as f32;
        // m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + eps), its constants taken together
        let step = (learning_rate / (1.0 - beta1.powi(steps))) as f32;
        let root = (1.0 / (1.0 - beta2.powi(steps))).sqrt() as f32;
        let (scale, eps) = (gradient_scale as f32, eps as f32);
        let (b1, b2) = (beta1 as f32, beta2 as f32);
        let (c1, c2) = ((1.0 - beta1) as f32, (1.0 - beta2) as f32);
        let moments = self.first.iter_mut().zip(&mut self.second);
        for ((value, gradient), (first, second)) in values.iter_mut().zip(gradient).zip(moments) {
            let gradient = gradient * scale;
            *first = b1 * *first + c1 * gradient;
            *second = b2 * *second + c2 * gradient * gradient;
            *value = keep * *value - step * *first / (second.sqrt() * root + eps);
        }
    }
}

/// What the gradient must be multiplied by so that its Euclidean norm is at most `max_norm`, and the norm it has. The
/// sum is taken in f64, in a fixed order.
pub fn clip_scale(gradient: &[f32], max_norm: f64) -> (f64, f64) {
    // eight running sums: a single one would wait for each addition
    let mut sums = [0.0_f64; 8];
    for chunk in gradient.chunks(8) {
        for (sum, value) in sums.iter_mut().zip(chunk) {
            *sum += f64::from(*value) * f64::from(*value);
        }
    }
    let norm = sums.iter().sum::<f64>().sqrt();
    (
        if norm > max_norm {
            max_norm / norm
        } else {
            1.0
        },
        norm,
    )
}

/// How the learning rate falls after its warm-up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Decay {
    /// In a straight line to 0.
    #[default]
    Linear,
    /// Along half a cosine to 0.
    Cosine,
    /// Not at all.
    None,
}

/// A learning rate that rises linearly, then decays to 0 at the last step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Schedule {
    /// The highest learning rate.
    pub peak: f64,
    /// Steps of the rise.
    pub warmup: u64,
    /// All steps.
    pub steps: u64,
    /// The shape of the fall.
    pub decay: Decay,
}

impl Schedule {
    /// The learning rate of a step, counted from 0.
    pub fn at(&self, step: u64) -> f64 {
        if step < self.warmup {
            return self.peak * (step + 1) as f64 / self.warmup as f64;
        }
        let left = self.steps.saturating_sub(step) as f64
            / (self.steps - self.warmup.min(self.steps)).max(1) as f64;
        self.peak
            * match self.decay {
                Decay::Linear => left,
                Decay::Cosine => 0.5 - 0.5 * (std::f64::consts::PI * left).cos(),
                Decay::None => 1.0,
            }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made by tests/peers/language/reference_adamw.py.
    #[test]
    fn steps_equal_pytorchs() {
        let expected = [
            [0.890000333, -1.8800001, 0.3950001, 0.0],
            [0.783466725, -1.7612002, 0.402161199, 0.0],
            [0.677648384, -1.6435883, 0.363713392, 0.0],
            [0.571646319, -1.52715251, 0.371187358, 0.0],
            [0.46509843, -1.41188109, 0.345533574, 0.0],
        ];
        let config = AdamWConfig {
            beta1: 0.8,
            beta2: 0.95,
            eps: 1e-6,
            weight_decay: 0.1,
        };
        let mut optimizer = AdamW::new(config, 4);
        let mut values = [1.0, -2.0, 0.5, 0.0];
        for (step, expected) in expected.iter().enumerate() {
            // halved and scaled by two: the scale is part of the gradient
            let sign = if step % 2 == 0 { 1.0 } else { -1.0 };
            let gradient = [0.15 * (step + 1) as f32, -0.5, 0.5 * sign, 0.0];
            optimizer.step(&mut values, &gradient, 2.0, 0.1);
            for (found, expected) in values.iter().zip(expected) {
                assert!(
                    (f64::from(*found) - expected).abs() < 2e-6,
                    "step {step}: {found} instead of {expected}"
                );
            }
        }
        assert_eq!(optimizer.steps(), 5);
    }

    #[test]
    fn the_rate_rises_then_falls_to_zero() {
        for decay in [Decay::Linear, Decay::Cosine] {
            let schedule = Schedule {
                peak: 2.0,
                warmup: 4,
                steps: 20,
                decay,
            };
            assert_eq!(schedule.at(0), 0.5);
            assert_eq!(schedule.at(3), 2.0);
            assert_eq!(schedule.at(4), 2.0);
            assert!((schedule.at(12) - 1.0).abs() < 1e-12);
            assert!(schedule.at(19) > 0.0 && schedule.at(19) < 0.2);
            assert_eq!(schedule.at(20), 0.0);
        }
        let flat = Schedule {
            peak: 1.0,
            warmup: 0,
            steps: 5,
            decay: Decay::None,
        };
        assert_eq!(flat.at(4), 1.0);
    }

    #[test]
    fn long_gradients_are_clipped_and_short_ones_left_alone() {
        let gradient = vec![3.0; 100];
        assert_eq!(clip_scale(&gradient, 3.0), (0.1, 30.0));
        assert_eq!(clip_scale(&gradient, 100.0), (1.0, 30.0));
        assert_eq!(clip_scale(&[], 1.0), (1.0, 0.0));
    }
}
