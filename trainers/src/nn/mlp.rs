//! Small layers over [`Parameters`]: linear, layer normalization, multilayer perceptron with dropout.

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use super::parameters::Init;
use super::{ModelError, ParameterId, Parameters};

/// `y = W x + b`.
pub(crate) struct Linear {
    pub(super) weight: ParameterId,
    pub(super) bias: ParameterId,
}

impl Linear {
    pub(crate) fn new(
        parameters: &mut Parameters,
        name: &str,
        inputs: i64,
        outputs: i64,
        rng: &mut ChaCha8Rng,
    ) -> Result<Self, ModelError> {
        Ok(Self {
            weight: parameters.add(
                format!("{name}.weight"),
                &[outputs, inputs],
                Init::LeCun { inputs },
                rng,
            )?,
            bias: parameters.add(format!("{name}.bias"), &[outputs], Init::Constant(0.0), rng)?,
        })
    }

    /// `(…, inputs)` to `(…, outputs)`.
    pub(crate) fn forward(&self, parameters: &Parameters, x: &Tensor) -> Tensor {
        x.linear(parameters.get(self.weight), Some(parameters.get(self.bias)))
    }
}

/// Layer normalization over the last dimension (Ba et al. 2016, arXiv:1607.06450), its epsilon Flax's.
pub(crate) struct LayerNorm {
    weight: ParameterId,
    bias: ParameterId,
    size: i64,
}

/// Flax's epsilon of layer normalization.
const LAYER_NORM_EPS: f64 = 1e-6;

impl LayerNorm {
    pub(crate) fn new(
        parameters: &mut Parameters,
        name: &str,
        size: i64,
        rng: &mut ChaCha8Rng,
    ) -> Result<Self, ModelError> {
        Ok(Self {
            weight: parameters.add(format!("{name}.weight"), &[size], Init::Constant(1.0), rng)?,
            bias: parameters.add(format!("{name}.bias"), &[size], Init::Constant(0.0), rng)?,
            size,
        })
    }

    pub(crate) fn forward(&self, parameters: &Parameters, x: &Tensor) -> Tensor {
        x.layer_norm(
            [self.size],
            Some(parameters.get(self.weight)),
            Some(parameters.get(self.bias)),
            LAYER_NORM_EPS,
            false,
        )
    }
}

/// Hidden layers of an [`Mlp`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MlpConfig {
    /// Widths of the hidden layers; each is followed by GELU (tanh approximation, Flax's) and dropout.
    pub hidden: Vec<i64>,
    /// Share of the hidden values that are set to 0 in training, in [0, 1).
    pub dropout: f64,
}

impl Default for MlpConfig {
    /// The paper's heads.
    fn default() -> Self {
        Self {
            hidden: vec![256, 256],
            dropout: 0.1,
        }
    }
}

impl MlpConfig {
    /// Whether the values make sense; `name` says in the message whose they are.
    ///
    /// # Errors
    /// Names the first that does not.
    pub fn check(&self, name: &str) -> Result<(), ModelError> {
        if self.hidden.iter().any(|width| *width < 1) {
            return Err(ModelError::Input(format!(
                "{name}.hidden: expected widths of at least 1, found {:?}",
                self.hidden
            )));
        }
        if !(0.0..1.0).contains(&self.dropout) {
            return Err(ModelError::Input(format!(
                "{name}.dropout: expected a share in 0 to 1, found {}",
                self.dropout
            )));
        }
        Ok(())
    }
}

/// Linear layers with GELU and dropout between them.
pub struct Mlp {
    layers: Vec<Linear>,
    dropout: f64,
}

impl Mlp {
    /// Adds the layers `name.0`, `name.1`, … to the parameters.
    ///
    /// # Errors
    /// When libtorch refuses.
    pub fn new(
        parameters: &mut Parameters,
        name: &str,
        inputs: i64,
        config: &MlpConfig,
        outputs: i64,
        rng: &mut ChaCha8Rng,
    ) -> Result<Self, ModelError> {
        let mut layers = Vec::new();
        let mut width = inputs;
        for (number, next) in config.hidden.iter().chain([&outputs]).enumerate() {
            let name = format!("{name}.{number}");
            layers.push(Linear::new(parameters, &name, width, *next, rng)?);
            width = *next;
        }
        Ok(Self {
            layers,
            dropout: config.dropout,
        })
    }

    /// `(batch, inputs)` to `(batch, outputs)`.
    pub fn forward(&self, parameters: &Parameters, x: &Tensor, dropout: &mut Dropout) -> Tensor {
        let [_, outputs] = self.forward_last(parameters, x, dropout);
        outputs
    }

    /// What enters the last layer, `(batch, last hidden)`, and what leaves it, `(batch, outputs)`.
    pub(crate) fn forward_last(
        &self,
        parameters: &Parameters,
        x: &Tensor,
        dropout: &mut Dropout,
    ) -> [Tensor; 2] {
        let mut x = x.shallow_clone();
        let (last, hidden) = self.layers.split_last().expect("there is a last layer");
        for layer in hidden {
            x = layer.forward(parameters, &x).gelu("tanh");
            x = dropout.apply(x, self.dropout);
        }
        let outputs = last.forward(parameters, &x);
        [x, outputs]
    }

    /// The last layer's weight, `(outputs, last hidden)`.
    pub(crate) fn last_weight<'a>(&self, parameters: &'a Parameters) -> &'a Tensor {
        let last = self.layers.last().expect("there is a last layer");
        parameters.get(last.weight)
    }
}

/// Dropout whose masks come from a random stream of the caller, so that training resumes exactly.
pub struct Dropout {
    rng: Option<ChaCha8Rng>,
}

impl Dropout {
    /// No dropout: evaluation.
    pub fn off() -> Self {
        Self { rng: None }
    }

    /// The masks of training step `step`.
    pub fn of_step(seed: u64, step: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        // stream 0 of a seed is what networks start from
        rng.set_stream(step + 1);
        Self { rng: Some(rng) }
    }

    fn apply(&mut self, x: Tensor, rate: f64) -> Tensor {
        let Some(rng) = self.rng.as_mut().filter(|_| rate > 0.0) else {
            return x;
        };
        let threshold = (rate * f64::from(u32::MAX)) as u32;
        let keep = (1.0 / (1.0 - rate)) as f32;
        let mask: Vec<f32> = (0..x.numel())
            .map(|_| {
                if rng.random::<u32>() < threshold {
                    0.0
                } else {
                    keep
                }
            })
            .collect();
        let mask = Tensor::from_slice(&mask)
            .reshape(x.size())
            .to_device(x.device())
            .to_kind(x.kind());
        x * mask
    }
}

/// A tensor of f32 on `device` from a slice.
pub(crate) fn floats(
    values: &[f32],
    shape: &[i64],
    device: tch::Device,
) -> Result<Tensor, ModelError> {
    Ok(Tensor::f_from_slice(values)?
        .f_reshape(shape)?
        .f_to_device(device)?
        .f_to_kind(Kind::Float)?)
}
