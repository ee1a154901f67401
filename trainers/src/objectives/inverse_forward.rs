//! Inverse and latent forward dynamics: `mean (π([z, z']) - a)² + w mean (F([z, e(a)]) - sg(z'))²`.
//!
//! Multi-step inverse models miss part of the state in known cases; a forward model in the latent space adds it (Levine,
//! Stone and Zhang 2024, "Multistep inverse is not all you need", arXiv:2403.11940, section 4). Deviations: continuous
//! actions and embeddings, hence squares instead of cross-entropies; sg stops the gradient at the target, so that the
//! embedding cannot shrink to please F.

use dataset::transitions::Ahead;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use tch::Tensor;

use super::heads::{ACTION_EMBEDDING, ActionEncoder, without_dropout};
use super::{Inputs, Objective, Sizes, Term, mean_square};
use crate::nn::{Dropout, Mlp, MlpConfig, ModelError, Parameters};

/// Settings of inverse and latent forward dynamics.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct InverseForwardConfig {
    /// Steps between the two frames; every action between them is predicted, and given to F.
    pub steps: usize,
    /// Weight of the forward loss.
    pub weight: f64,
    /// π.
    pub head: MlpConfig,
    /// e and F.
    pub forward: MlpConfig,
}

impl Default for InverseForwardConfig {
    fn default() -> Self {
        Self {
            steps: 1,
            weight: 1.0,
            head: MlpConfig::default(),
            forward: without_dropout(),
        }
    }
}

pub(super) struct InverseForward {
    config: InverseForwardConfig,
    inverse: Mlp,
    action: ActionEncoder,
    forward: Mlp,
}

impl InverseForwardConfig {
    pub(super) fn build(
        &self,
        parameters: &mut Parameters,
        sizes: Sizes<'_>,
        rng: &mut ChaCha8Rng,
    ) -> Result<InverseForward, ModelError> {
        self.head.check("objective.head")?;
        self.forward.check("objective.forward")?;
        if self.steps == 0 || !(self.weight.is_finite() && self.weight >= 0.0) {
            return Err(ModelError::Input(format!(
                "objective: expected steps of at least 1 and a weight of at least 0, found {} and {}",
                self.steps, self.weight
            )));
        }
        let (embedding, actions) = (sizes.encoder.embedding(), sizes.action * self.steps as i64);
        let inverse = Mlp::new(
            parameters,
            "objective.inverse",
            2 * embedding,
            &self.head,
            actions,
            rng,
        )?;
        let action =
            ActionEncoder::new(parameters, "objective.action", actions, &self.forward, rng)?;
        let forward = Mlp::new(
            parameters,
            "objective.forward",
            embedding + ACTION_EMBEDDING,
            &self.forward,
            embedding,
            rng,
        )?;
        Ok(InverseForward {
            config: self.clone(),
            inverse,
            action,
            forward,
        })
    }
}

impl Objective for InverseForward {
    fn ahead(&self) -> Ahead {
        Ahead::Fixed(self.config.steps)
    }

    fn action_between(
        &self,
        parameters: &Parameters,
        z: &Tensor,
        next_z: &Tensor,
    ) -> Result<Option<Tensor>, ModelError> {
        if self.config.steps != 1 {
            return Ok(None);
        }
        let pair = Tensor::f_cat(&[z, next_z], 1)?;
        let raw = self.inverse.forward(parameters, &pair, &mut Dropout::off());
        Ok(Some(raw.tanh()))
    }

    fn loss(
        &self,
        parameters: &Parameters,
        inputs: &Inputs<'_>,
        dropout: &mut Dropout,
    ) -> Result<Vec<Term>, ModelError> {
        let (z, next) = (inputs.z, inputs.next_z()?);
        let actions = inputs.all_actions();
        let pair = Tensor::f_cat(&[z, next], 1)?;
        let inferred = self.inverse.forward(parameters, &pair, dropout).tanh();
        let embedded = self.action.forward(parameters, &actions, dropout);
        let pair = Tensor::f_cat(&[z, &embedded], 1)?;
        let predicted = self.forward.forward(parameters, &pair, dropout);
        let forward = mean_square(&predicted, &next.detach());
        Ok(vec![
            ("inverse", mean_square(&inferred, &actions)),
            ("forward", forward * self.config.weight),
        ])
    }
}
