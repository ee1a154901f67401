//! Behavior cloning: `mean (π(φ(o)) - a)²` (Brandfonbrener et al. 2023, section 3), π as for inverse dynamics.

use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::{Inputs, Next, Objective, Sizes, Term, mean_square};
use crate::nn::{Dropout, Mlp, MlpConfig, ModelError, Parameters};

/// Settings of behavior cloning.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BehaviorCloningConfig {
    /// π.
    pub head: MlpConfig,
}

pub(super) struct BehaviorCloning {
    head: Mlp,
}

impl BehaviorCloningConfig {
    pub(super) fn build(
        &self,
        parameters: &mut Parameters,
        sizes: Sizes<'_>,
        rng: &mut ChaCha8Rng,
    ) -> Result<BehaviorCloning, ModelError> {
        self.head.check("objective.head")?;
        let head = Mlp::new(
            parameters,
            "objective.head",
            sizes.encoder.embedding(),
            &self.head,
            sizes.action,
            rng,
        )?;
        Ok(BehaviorCloning { head })
    }
}

impl Objective for BehaviorCloning {
    fn next(&self) -> Next {
        Next::Unused
    }

    fn loss(
        &self,
        parameters: &Parameters,
        inputs: &Inputs<'_>,
        dropout: &mut Dropout,
    ) -> Result<Vec<Term>, ModelError> {
        let predicted = self.head.forward(parameters, inputs.z, dropout).tanh();
        Ok(vec![(
            "cloning",
            mean_square(&predicted, &inputs.first_action()),
        )])
    }
}
