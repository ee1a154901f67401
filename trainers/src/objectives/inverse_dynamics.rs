//! Inverse dynamics: `mean (π([φ(o), φ(o')]) - a)²` (Brandfonbrener et al. 2023, section 3).
//!
//! π is a perceptron with tanh at the end; gradients go through both frames. Further apart, π predicts the first action
//! (the paper's ablation, section 5) or all of them; with sampled distances it is told the distance, as in multi-step
//! inverse models (Lamb et al. 2022, arXiv:2207.08229, equation 1).

use dataset::transitions::Ahead;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use tch::Tensor;

use super::{Inputs, Objective, Sizes, Term, mean_square};
use crate::nn::{Dropout, Mlp, MlpConfig, ModelError, Parameters};

/// Settings of inverse dynamics.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct InverseDynamicsConfig {
    /// Distance of the two frames, `{ fixed = 1 }` or `{ up_to = 5 }`.
    pub ahead: Ahead,
    /// Which actions are predicted.
    pub predict: Predict,
    /// π.
    pub head: MlpConfig,
}

/// Which of the actions between two frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Predict {
    /// The one in the first frame.
    #[default]
    First,
    /// Every one; only with a fixed distance.
    All,
}

impl Default for InverseDynamicsConfig {
    fn default() -> Self {
        Self {
            ahead: Ahead::Fixed(1),
            predict: Predict::First,
            head: MlpConfig::default(),
        }
    }
}

pub(super) struct InverseDynamics {
    config: InverseDynamicsConfig,
    head: Mlp,
}

impl InverseDynamicsConfig {
    pub(super) fn build(
        &self,
        parameters: &mut Parameters,
        sizes: Sizes<'_>,
        rng: &mut ChaCha8Rng,
    ) -> Result<InverseDynamics, ModelError> {
        self.head.check("objective.head")?;
        let wrong = |message: &str| Err(ModelError::Input(format!("objective.{message}")));
        if self.ahead.max() == 0 {
            return wrong("ahead: expected frames at least 1 step apart, found 0");
        }
        let sampled = matches!(self.ahead, Ahead::UpTo(_));
        let outputs = match self.predict {
            Predict::First => sizes.action,
            Predict::All if sampled => {
                return wrong("predict: expected \"first\" with sampled distances, found \"all\"");
            }
            Predict::All => sizes.action * self.ahead.max() as i64,
        };
        let inputs = 2 * sizes.encoder.embedding() + i64::from(sampled);
        let head = Mlp::new(
            parameters,
            "objective.head",
            inputs,
            &self.head,
            outputs,
            rng,
        )?;
        Ok(InverseDynamics {
            config: self.clone(),
            head,
        })
    }
}

impl Objective for InverseDynamics {
    fn ahead(&self) -> Ahead {
        self.config.ahead
    }

    fn action_between(
        &self,
        parameters: &Parameters,
        z: &Tensor,
        next_z: &Tensor,
    ) -> Result<Option<Tensor>, ModelError> {
        if self.config.ahead != Ahead::Fixed(1) {
            return Ok(None);
        }
        let pair = Tensor::f_cat(&[z, next_z], 1)?;
        let raw = self.head.forward(parameters, &pair, &mut Dropout::off());
        Ok(Some(raw.tanh()))
    }

    fn loss(
        &self,
        parameters: &Parameters,
        inputs: &Inputs<'_>,
        dropout: &mut Dropout,
    ) -> Result<Vec<Term>, ModelError> {
        let mut pair = vec![inputs.z.shallow_clone(), inputs.next_z()?.shallow_clone()];
        if matches!(self.config.ahead, Ahead::UpTo(_)) {
            pair.push(inputs.batch.ahead.shallow_clone());
        }
        let predicted = self
            .head
            .forward(parameters, &Tensor::f_cat(&pair, 1)?, dropout)
            .tanh();
        let actions = match self.config.predict {
            Predict::First => inputs.first_action(),
            Predict::All => inputs.all_actions(),
        };
        Ok(vec![("inverse", mean_square(&predicted, &actions))])
    }
}
