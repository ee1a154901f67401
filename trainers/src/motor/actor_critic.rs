//! A policy and its critic: two perceptrons side by side, and what observations are brought to before both.

use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use tch::{Device, Tensor};

use crate::nn::{Dropout, Init, Mlp, MlpConfig, ModelError, ParameterId, Parameters};

/// Shape of an [`ActorCritic`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ActorCriticConfig {
    /// Widths of the hidden layers of policy and critic, GELU after each.
    pub hidden: Vec<i64>,
    /// Logarithm of the actions' standard deviation at first.
    pub log_std: f64,
}

impl Default for ActorCriticConfig {
    /// The widths are those of TCDM (Dasari et al. 2023, arXiv:2209.11221), the configuration of MyoDex's authors.
    fn default() -> Self {
        Self {
            hidden: vec![256, 128],
            log_std: -1.0,
        }
    }
}

/// Actions are drawn from a normal distribution around the policy's output, each number for itself, all with a deviation
/// that is learnt and does not depend on what is seen.
pub struct ActorCritic {
    policy: Mlp,
    critic: Mlp,
    log_std: ParameterId,
}

impl ActorCritic {
    /// For observations and actions of so many numbers.
    ///
    /// # Errors
    /// When a width is not positive, or libtorch refuses.
    pub fn new(
        config: &ActorCriticConfig,
        [observation, action]: [usize; 2],
        seed: u64,
    ) -> Result<(Self, Parameters), ModelError> {
        let layers = MlpConfig {
            hidden: config.hidden.clone(),
            dropout: 0.0,
        };
        layers.check("network")?;
        let mut parameters = Parameters::new(Device::Cpu);
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let inputs = observation as i64;
        let mut add = |name: &str, outputs: i64| {
            Mlp::new(&mut parameters, name, inputs, &layers, outputs, &mut rng)
        };
        let policy = add("policy", action as i64)?;
        let critic = add("critic", 1)?;
        // Small at first, so that the first actions are near rest whatever is seen: Andrychowicz et al. 2021
        // (arXiv:2006.05990), section 3.2.
        let last = format!("policy.{}.weight", config.hidden.len());
        parameters.scale(&last, 0.01)?;
        let log_std = parameters.add(
            "log_std".to_owned(),
            &[action as i64],
            Init::Constant(config.log_std as f32),
            &mut rng,
        )?;
        Ok((
            Self {
                policy,
                critic,
                log_std,
            },
            parameters,
        ))
    }

    /// Means of the actions (rows × action) and values (rows) of normalized observations (rows × observation).
    pub fn forward(&self, parameters: &Parameters, observations: &Tensor) -> [Tensor; 2] {
        let off = &mut Dropout::off();
        let mean = self.policy.forward(parameters, observations, off);
        let value = self.critic.forward(parameters, observations, off);
        [mean, value.squeeze_dim(-1)]
    }

    /// Logarithm of the actions' standard deviation (action).
    pub fn log_std<'a>(&self, parameters: &'a Parameters) -> &'a Tensor {
        parameters.get(self.log_std)
    }
}

/// Running mean and spread of each number of an observation (Chan et al. 1983, equation 2.1): sums of batches, merged in a
/// fixed order.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Moments {
    /// Rows that were seen.
    pub count: f64,
    /// Their mean.
    pub mean: Vec<f64>,
    /// Sum of squared distances from it.
    pub squares: Vec<f64>,
}

impl Moments {
    /// Of no rows of so many numbers.
    pub fn new(size: usize) -> Self {
        Self {
            count: 0.0,
            mean: vec![0.0; size],
            squares: vec![0.0; size],
        }
    }

    /// Takes in one row.
    pub fn add(&mut self, row: &[f32]) {
        self.count += 1.0;
        for ((mean, squares), x) in self.mean.iter_mut().zip(&mut self.squares).zip(row) {
            let off = f64::from(*x) - *mean;
            *mean += off / self.count;
            *squares += off * (f64::from(*x) - *mean);
        }
    }

    /// Takes in what another saw.
    pub fn merge(&mut self, other: &Self) {
        let count = self.count + other.count;
        if other.count == 0.0 {
            return;
        }
        let own = self.mean.iter_mut().zip(&mut self.squares);
        for ((mean, squares), (m, s)) in own.zip(other.mean.iter().zip(&other.squares)) {
            let off = m - *mean;
            *mean += off * other.count / count;
            *squares += s + off * off * self.count * other.count / count;
        }
        self.count = count;
    }
}

/// Brings each number of an observation to mean 0 and deviation 1, cut at ten deviations.
#[derive(Clone, Debug, PartialEq)]
pub struct Normalizer {
    mean: Vec<f32>,
    /// One by the deviation.
    scale: Vec<f32>,
}

impl Normalizer {
    /// By what was seen; nothing is changed where nothing was.
    pub fn of(moments: &Moments) -> Self {
        let scale = |squares: &f64| {
            let variance = squares / moments.count.max(1.0);
            // What never changed stays as it is beside its mean.
            let spread = if variance > 1e-12 { variance } else { 1.0 };
            (1.0 / spread.sqrt()) as f32
        };
        Self {
            mean: moments.mean.iter().map(|x| *x as f32).collect(),
            scale: moments.squares.iter().map(scale).collect(),
        }
    }

    /// Normalizes rows in place.
    pub fn apply(&self, rows: &mut [f32]) {
        for row in rows.chunks_exact_mut(self.mean.len().max(1)) {
            for ((x, mean), scale) in row.iter_mut().zip(&self.mean).zip(&self.scale) {
                *x = ((*x - mean) * scale).clamp(-10.0, 10.0);
            }
        }
    }
}

/// All that a policy's acts depend on.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Counts changes of the values: equal numbers, equal values.
    pub version: u64,
    /// Of the network, as [`Parameters::values`] has them.
    pub values: Vec<f32>,
    /// Before it.
    pub normalizer: Normalizer,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_of_parts_are_those_of_the_whole() {
        let rows: Vec<[f32; 2]> = (0..50).map(|i| [i as f32, (i * i % 7) as f32]).collect();
        let of = |rows: &[[f32; 2]]| {
            let mut moments = Moments::new(2);
            rows.iter().for_each(|row| moments.add(row));
            moments
        };
        let whole = of(&rows);
        let mut merged = of(&rows[..13]);
        merged.merge(&Moments::new(2));
        merged.merge(&of(&rows[13..]));
        assert_eq!(merged.count, 50.0);
        for i in 0..2 {
            assert!((merged.mean[i] - whole.mean[i]).abs() < 1e-12);
            assert!((merged.squares[i] - whole.squares[i]).abs() < 1e-9);
        }
        // 0, 1, …, 49: mean 24.5, variance (50² - 1) / 12
        assert!((whole.mean[0] - 24.5).abs() < 1e-12);
        assert!((whole.squares[0] / 50.0 - 2499.0 / 12.0).abs() < 1e-9);
        let mut normalized: Vec<f32> = rows.concat();
        Normalizer::of(&whole).apply(&mut normalized);
        let first = normalized.iter().step_by(2);
        let (sum, squares) = first.fold((0.0, 0.0), |(s, q), x| (s + x, q + x * x));
        assert!(sum.abs() < 1e-4 && (squares / 50.0 - 1.0).abs() < 1e-4);
        // What never changes is not blown up.
        let mut flat = [3.0, 3.0];
        Normalizer::of(&of(&[[2.0, 3.0]; 4])).apply(&mut flat);
        assert_eq!(flat, [1.0, 0.0]);
    }
}
