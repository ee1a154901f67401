//! Pieces that several objectives share: the action's embedding, projections, the contrastive loss.

use rand_chacha::ChaCha8Rng;
use tch::{Kind, Tensor};

use crate::nn::{Dropout, LayerNorm, Mlp, MlpConfig, ModelError, Parameters};

/// e(a): a perceptron with layer normalization and tanh, the shape of the frames' embedding.
pub(super) struct ActionEncoder {
    mlp: Mlp,
    norm: LayerNorm,
}

/// Numbers of an embedded action.
pub(super) const ACTION_EMBEDDING: i64 = 64;

impl ActionEncoder {
    pub(super) fn new(
        parameters: &mut Parameters,
        name: &str,
        actions: i64,
        config: &MlpConfig,
        rng: &mut ChaCha8Rng,
    ) -> Result<Self, ModelError> {
        let mlp = Mlp::new(
            parameters,
            &format!("{name}.mlp"),
            actions,
            config,
            ACTION_EMBEDDING,
            rng,
        )?;
        let norm = LayerNorm::new(parameters, &format!("{name}.norm"), ACTION_EMBEDDING, rng)?;
        Ok(Self { mlp, norm })
    }

    /// `(batch, actions)` to `(batch, ACTION_EMBEDDING)`.
    pub(super) fn forward(
        &self,
        parameters: &Parameters,
        actions: &Tensor,
        dropout: &mut Dropout,
    ) -> Tensor {
        let x = self.mlp.forward(parameters, actions, dropout);
        self.norm.forward(parameters, &x).tanh()
    }
}

/// Rows of length 1; a row of zeros stays, its gradient is finite.
pub(super) fn unit(x: &Tensor) -> Tensor {
    x / x.norm_scalaropt_dim(2.0, [-1_i64], true).clamp_min(1e-12)
}

/// InfoNCE (van den Oord et al. 2018, arXiv:1807.03748, equation 4) with the batch's other rows as negatives, in one
/// direction: `mean_i (logsumexp_j q_i k_j / T - q_i k_i / T)` over rows of length 1.
pub(super) fn info_nce(queries: &Tensor, keys: &Tensor, temperature: f64) -> Tensor {
    let logits = unit(queries).matmul(&unit(keys).transpose(0, 1)) / temperature;
    let right = logits.diagonal(0, 0, 1);
    (logits.logsumexp([1_i64].as_slice(), false) - right).mean(Kind::Float)
}

/// Perceptrons without dropout, as the paper's projections and action encoders are.
pub(super) fn without_dropout() -> MlpConfig {
    MlpConfig {
        dropout: 0.0,
        ..MlpConfig::default()
    }
}

/// Refuses a projection to nothing.
pub(super) fn check_projection(projection: i64) -> Result<(), ModelError> {
    if (1..=65_536).contains(&projection) {
        return Ok(());
    }
    Err(ModelError::Input(format!(
        "objective.projection: expected 1 to 65536 numbers, found {projection}"
    )))
}

/// Refuses a temperature that is not positive.
pub(super) fn check_temperature(temperature: f64) -> Result<(), ModelError> {
    if temperature.is_finite() && temperature > 0.0 {
        return Ok(());
    }
    Err(ModelError::Input(format!(
        "objective.temperature: expected a positive number, found {temperature}"
    )))
}
