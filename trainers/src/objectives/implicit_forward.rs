//! Implicit forward dynamics: which of the batch's next frames follows a frame and an action (Brandfonbrener et al. 2023,
//! section 3): InfoNCE between `P₁([φ(o), e(a)])` and `P₂(φ(o'))`, one direction, negatives from the batch.

use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use tch::Tensor;

use super::heads::{
    ACTION_EMBEDDING, ActionEncoder, check_projection, check_temperature, info_nce, without_dropout,
};
use super::{Inputs, Objective, Sizes, Term};
use crate::nn::{Dropout, Mlp, MlpConfig, ModelError, Parameters};

/// Settings of implicit forward dynamics.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ImplicitForwardConfig {
    /// Similarities are divided by this before the softmax. Smaller looks only at the closest negatives.
    pub temperature: f64,
    /// e, P₁ and P₂.
    pub head: MlpConfig,
    /// Numbers of a projection.
    pub projection: i64,
}

impl Default for ImplicitForwardConfig {
    fn default() -> Self {
        Self {
            temperature: 1.0,
            head: without_dropout(),
            projection: 64,
        }
    }
}

pub(super) struct ImplicitForward {
    temperature: f64,
    action: ActionEncoder,
    now: Mlp,
    next: Mlp,
}

impl ImplicitForwardConfig {
    pub(super) fn build(
        &self,
        parameters: &mut Parameters,
        sizes: Sizes<'_>,
        rng: &mut ChaCha8Rng,
    ) -> Result<ImplicitForward, ModelError> {
        self.head.check("objective.head")?;
        check_temperature(self.temperature)?;
        check_projection(self.projection)?;
        let embedding = sizes.encoder.embedding();
        let action = ActionEncoder::new(
            parameters,
            "objective.action",
            sizes.action,
            &self.head,
            rng,
        )?;
        let now = Mlp::new(
            parameters,
            "objective.now",
            embedding + ACTION_EMBEDDING,
            &self.head,
            self.projection,
            rng,
        )?;
        let next = Mlp::new(
            parameters,
            "objective.next",
            embedding,
            &self.head,
            self.projection,
            rng,
        )?;
        Ok(ImplicitForward {
            temperature: self.temperature,
            action,
            now,
            next,
        })
    }
}

impl Objective for ImplicitForward {
    fn loss(
        &self,
        parameters: &Parameters,
        inputs: &Inputs<'_>,
        dropout: &mut Dropout,
    ) -> Result<Vec<Term>, ModelError> {
        let action = self
            .action
            .forward(parameters, &inputs.first_action(), dropout);
        let pair = Tensor::f_cat(&[inputs.z, &action], 1)?;
        let queries = self.now.forward(parameters, &pair, dropout);
        let keys = self.next.forward(parameters, inputs.next_z()?, dropout);
        Ok(vec![(
            "contrastive",
            info_nce(&queries, &keys, self.temperature),
        )])
    }
}
