//! A policy and its critic: two perceptrons side by side, behind a layer that remembers where one is wanted; how actions are drawn
//! around what the policy says; and what observations are brought to before both.

use rand::SeedableRng as _;
use rand::distr::Distribution;
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

use crate::nn::{Dropout, Init, Lstm, Mlp, MlpConfig, ModelError, ParameterId, Parameters, floats};

/// Shape of an [`ActorCritic`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ActorCriticConfig {
    /// Widths of the hidden layers of policy and critic, GELU after each.
    pub hidden: Vec<i64>,
    /// Units of a recurrent layer (LSTM) before them, in policy and critic each; 0: none.
    pub lstm: i64,
    /// How actions are drawn.
    pub exploration: Exploration,
    /// Steps for which a draw of gSDE's or Lattice's is kept, at least 1.
    pub resample: usize,
    /// Logarithm of the actions' standard deviation at first; of gSDE and Lattice where the last hidden layer's numbers are of
    /// size 1.
    pub log_std: f64,
}

impl Default for ActorCriticConfig {
    /// The widths are those of TCDM (Dasari et al. 2023, arXiv:2209.11221), the configuration of MyoDex's authors.
    fn default() -> Self {
        Self {
            hidden: vec![256, 128],
            lstm: 0,
            exploration: Exploration::Independent,
            resample: 8,
            log_std: -1.0,
        }
    }
}

/// The tensor of the actions' standard deviations, as logarithms.
pub const NOISE: &str = "log_std";

/// How actions are drawn around the policy's mean, always from normal distributions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Exploration {
    /// Each number for itself, anew in each step, with a deviation that is learnt and does not depend on what is seen.
    #[default]
    Independent,
    /// Generalized state-dependent exploration (Raffin et al. 2021, arXiv:2005.05719, section 3): a matrix is drawn and kept for
    /// some steps; its product with the last hidden layer is what an action is off.
    Gsde,
    /// Lattice (Chiappa et al. 2023, arXiv:2305.20065, section 3): besides that, the last hidden layer is itself disturbed in the
    /// same way, so that what the last layer moves together is explored together.
    Lattice,
}

/// What the networks say of some rows.
pub struct Said {
    /// The policy's last hidden layer (rows × last hidden).
    pub latent: Tensor,
    /// Means of the actions (rows × action).
    pub mean: Tensor,
    /// Values (rows).
    pub value: Tensor,
}

/// What networks with a recurrent layer remember of some worlds; nothing of others.
#[derive(Debug)]
pub struct Memory {
    /// Hidden and cell of the policy, then of the critic (worlds × units each).
    tensors: Vec<Tensor>,
}

impl Memory {
    /// Of worlds in which nothing was seen yet, where the networks are.
    pub fn new(config: &ActorCriticConfig, worlds: usize, device: Device) -> Self {
        let nothing = || Tensor::zeros([worlds as i64, config.lstm], (Kind::Float, device));
        let count = if config.lstm > 0 { 4 } else { 0 };
        Self {
            tensors: (0..count).map(|_| nothing()).collect(),
        }
    }

    /// Of some of the worlds.
    #[must_use]
    pub fn of(&self, worlds: &[usize]) -> Self {
        let worlds: Vec<i64> = worlds.iter().map(|world| *world as i64).collect();
        let rows = Tensor::from_slice(&worlds);
        let of = |x: &Tensor| x.index_select(0, &rows.to_device(x.device()));
        Self {
            tensors: self.tensors.iter().map(of).collect(),
        }
    }
}

/// A perceptron, behind a recurrent layer where there is one.
struct Branch {
    lstm: Option<Lstm>,
    mlp: Mlp,
}

impl Branch {
    /// What enters the last layer, and what leaves it; `keeps` and `memory` as [`Lstm::forward`] has them.
    fn forward(
        &self,
        parameters: &Parameters,
        x: &Tensor,
        keeps: Option<&Tensor>,
        memory: &mut [Tensor],
    ) -> [Tensor; 2] {
        let remembered = self.lstm.as_ref().zip(keeps);
        let remembered = remembered.map(|(lstm, keeps)| lstm.forward(parameters, x, keeps, memory));
        let x = remembered.as_ref().unwrap_or(x);
        self.mlp.forward_last(parameters, x, &mut Dropout::off())
    }
}

/// A policy, its critic, and how actions are drawn.
pub struct ActorCritic {
    policy: Branch,
    critic: Branch,
    exploration: Exploration,
    /// `Independent`: (action). `Gsde`: (last hidden × action). `Lattice`: (last hidden × (action + last hidden)).
    log_std: ParameterId,
}

/// Variances are at least this, so that densities are finite.
const LEAST_VARIANCE: f64 = 1e-6;

impl ActorCritic {
    /// For observations and actions of so many numbers, on a device.
    ///
    /// # Errors
    /// When a width is not positive, or libtorch refuses.
    pub fn new(
        config: &ActorCriticConfig,
        [observation, action]: [usize; 2],
        seed: u64,
        device: Device,
    ) -> Result<(Self, Parameters), ModelError> {
        let layers = MlpConfig {
            hidden: config.hidden.clone(),
            dropout: 0.0,
        };
        layers.check("network")?;
        if config.resample == 0 {
            let text = "network.resample: expected at least 1, found 0";
            return Err(ModelError::Input(text.to_owned()));
        }
        let mut parameters = Parameters::new(device);
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let (inputs, action) = (observation as i64, action as i64);
        if config.lstm < 0 {
            let text = format!("network.lstm: expected at least 0, found {}", config.lstm);
            return Err(ModelError::Input(text));
        }
        let mut add = |name: &str, outputs: i64| {
            let (mut inputs, mut lstm) = (inputs, None);
            if config.lstm > 0 {
                let name = format!("{name}.lstm");
                lstm = Some(Lstm::new(
                    &mut parameters,
                    &name,
                    inputs,
                    config.lstm,
                    &mut rng,
                )?);
                inputs = config.lstm;
            }
            let mlp = Mlp::new(&mut parameters, name, inputs, &layers, outputs, &mut rng)?;
            Ok::<_, ModelError>(Branch { lstm, mlp })
        };
        let policy = add("policy", action)?;
        let critic = add("critic", 1)?;
        // Small at first, so that the first actions are near rest whatever is seen: Andrychowicz et al. 2021
        // (arXiv:2006.05990), section 3.2.
        let last = config.hidden.len();
        parameters.scale(&format!("policy.{last}.weight"), 0.01)?;
        let before = if config.lstm > 0 { config.lstm } else { inputs };
        let latent = config.hidden.last().copied().unwrap_or(before);
        let of_latent = config.log_std - 0.5 * (latent as f64).ln();
        let (shape, log_std) = match config.exploration {
            Exploration::Independent => (vec![action], config.log_std),
            Exploration::Gsde => (vec![latent, action], of_latent),
            Exploration::Lattice => (vec![latent, action + latent], of_latent),
        };
        let start = Init::Constant(log_std as f32);
        let log_std = parameters.add(NOISE.to_owned(), &shape, start, &mut rng)?;
        let network = Self {
            policy,
            critic,
            exploration: config.exploration,
            log_std,
        };
        Ok((network, parameters))
    }

    /// What policy and critic say of normalized observations (steps · worlds × observation), a step's worlds side by side. Where
    /// they have a recurrent layer, they go on from what they remember of the worlds, but for where `keeps` (steps · worlds) is 0,
    /// because an episode begins there; otherwise neither matters.
    ///
    /// # Errors
    /// When there are not as many of `keeps` as observations.
    pub fn forward(
        &self,
        parameters: &Parameters,
        observations: &Tensor,
        keeps: &[f32],
        memory: &mut Memory,
    ) -> Result<Said, ModelError> {
        let half = memory.tensors.len() / 2;
        let (of_policy, of_critic) = memory.tensors.split_at_mut(half);
        let keeps = match of_policy.first() {
            None => None,
            Some(hidden) => Some(floats(keeps, &[-1, hidden.size()[0]], hidden.device())?),
        };
        let keeps = keeps.as_ref();
        let [latent, mean] = self
            .policy
            .forward(parameters, observations, keeps, of_policy);
        let [_, value] = self
            .critic
            .forward(parameters, observations, keeps, of_critic);
        Ok(Said {
            // How much is explored shall not shape what the policy sees: as in the published code of both papers.
            latent: latent.detach(),
            mean,
            value: value.squeeze_dim(-1),
        })
    }

    /// Standard deviation of each number of the actions for itself (rows × action).
    ///
    /// # Errors
    /// When libtorch refuses.
    pub fn deviation(&self, parameters: &Parameters, said: &Said) -> Result<Tensor, ModelError> {
        let n_actions = said.mean.size()[1];
        let variance = parameters.get(self.log_std).exp().square();
        let of_latent = |variance: &Tensor| said.latent.square().matmul(variance);
        Ok(match self.exploration {
            Exploration::Independent => variance.sqrt().expand_as(&said.mean),
            Exploration::Gsde => (of_latent(&variance) + LEAST_VARIANCE).sqrt(),
            Exploration::Lattice => {
                let own = of_latent(&variance.narrow(1, 0, n_actions)) + LEAST_VARIANCE;
                let shared = variance.slice(1, n_actions, None, 1);
                let weight = self.policy.mlp.last_weight(parameters).square();
                (own + of_latent(&shared).matmul(&weight.tr())).sqrt()
            }
        })
    }

    /// Logarithm of the density with which these actions (rows × action) are drawn, and the distribution's entropy (each: rows).
    ///
    /// # Errors
    /// When a covariance is not positive, as where values are not finite.
    pub fn density(
        &self,
        parameters: &Parameters,
        said: &Said,
        actions: &Tensor,
    ) -> Result<[Tensor; 2], ModelError> {
        let n_actions = actions.size()[1];
        let off = actions - &said.mean;
        let std = parameters.get(self.log_std).exp();
        let of_latent = |std: &Tensor| said.latent.square().matmul(&std.square());
        let sum = |x: Tensor| x.sum_dim_intlist([-1i64].as_slice(), false, Kind::Float);
        // Deviations, each divided by what is its own, and the logarithm of the covariance's determinant's root.
        let (white, log_root) = match self.exploration {
            Exploration::Independent => {
                let log_root = sum(std.log()).expand_as(&said.value);
                (off / std, log_root)
            }
            Exploration::Gsde => {
                let std = (of_latent(&std) + LEAST_VARIANCE).sqrt();
                (off / &std, sum(std.log()))
            }
            Exploration::Lattice => {
                let variance = of_latent(&std);
                let own = variance.narrow(1, 0, n_actions) + LEAST_VARIANCE;
                let shared = variance.slice(1, n_actions, None, 1);
                let weight = self.policy.mlp.last_weight(parameters);
                let spread = weight.unsqueeze(0) * shared.unsqueeze(1);
                let covariance = spread.matmul(&weight.tr()) + own.diag_embed(0, -2, -1);
                let root = covariance.f_linalg_cholesky(false)?;
                let white =
                    root.f_linalg_solve_triangular(&off.unsqueeze(-1), false, true, false)?;
                let diagonal = root.diagonal(0, -2, -1);
                (white.squeeze_dim(-1), sum(diagonal.log()))
            }
        };
        let constant = 0.5 * (2.0 * std::f64::consts::PI).ln() * n_actions as f64;
        let density = sum(white.square()) * -0.5 - &log_root - constant;
        Ok([density, log_root + (constant + 0.5 * n_actions as f64)])
    }
}

/// What actions are off, drawn for some worlds.
pub struct Noise {
    exploration: Exploration,
    resample: usize,
    n_actions: usize,
    /// Deviations, as the network's.
    std: Vec<f32>,
    /// The last layer's (action × last hidden).
    weight: Vec<f32>,
    /// What was drawn for each world; of the size of `std`.
    drawn: Vec<Vec<f32>>,
}

impl Noise {
    /// As a network explores.
    ///
    /// # Errors
    /// When libtorch fails.
    pub fn new(
        config: &ActorCriticConfig,
        network: &ActorCritic,
        parameters: &Parameters,
        worlds: usize,
    ) -> Result<Self, ModelError> {
        let weight = network.policy.mlp.last_weight(parameters);
        let list = |tensor: &Tensor| Vec::try_from(tensor.detach().f_reshape(-1)?);
        Ok(Self {
            exploration: config.exploration,
            resample: config.resample,
            n_actions: weight.size()[0] as usize,
            std: list(&parameters.get(network.log_std).exp())?,
            weight: list(weight)?,
            drawn: vec![Vec::new(); worlds],
        })
    }

    /// Adds to a world's action, given as its mean, what it is off in a step; `latent` is the last hidden layer.
    pub fn add(
        &mut self,
        world: usize,
        step: usize,
        latent: &[f32],
        action: &mut [f32],
        rng: &mut ChaCha8Rng,
    ) {
        let drawn = &mut self.drawn[world];
        if self.exploration == Exploration::Independent || step.is_multiple_of(self.resample) {
            let draw = |std: &f32| std * Distribution::<f32>::sample(&StandardNormal, rng);
            drawn.clear();
            drawn.extend(self.std.iter().map(draw));
        }
        if self.exploration == Exploration::Independent {
            action
                .iter_mut()
                .zip(&*drawn)
                .for_each(|(x, off)| *x += off);
            return;
        }
        let mut off = vec![0.0; drawn.len() / latent.len()];
        for (z, row) in latent.iter().zip(drawn.chunks_exact(off.len())) {
            off.iter_mut().zip(row).for_each(|(off, x)| *off += z * x);
        }
        let (own, shared) = off.split_at(self.n_actions);
        let rows = self.weight.chunks_exact(latent.len());
        for ((x, own), row) in action.iter_mut().zip(own).zip(rows) {
            // `shared` is empty of gSDE.
            *x += own + row.iter().zip(shared).map(|(w, s)| w * s).sum::<f32>();
        }
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

    /// Rows, normalized.
    pub fn applied(&self, rows: &[f32]) -> Vec<f32> {
        let mut rows = rows.to_vec();
        for row in rows.chunks_exact_mut(self.mean.len().max(1)) {
            for ((x, mean), scale) in row.iter_mut().zip(&self.mean).zip(&self.scale) {
                *x = ((*x - mean) * scale).clamp(-10.0, 10.0);
            }
        }
        rows
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
        let normalized = Normalizer::of(&whole).applied(&rows.concat());
        let first = normalized.iter().step_by(2);
        let (sum, squares) = first.fold((0.0, 0.0), |(s, q), x| (s + x, q + x * x));
        assert!(sum.abs() < 1e-4 && (squares / 50.0 - 1.0).abs() < 1e-4);
        // What never changes is not blown up.
        let flat = Normalizer::of(&of(&[[2.0, 3.0]; 4])).applied(&[3.0, 3.0]);
        assert_eq!(flat, [1.0, 0.0]);
    }
}
