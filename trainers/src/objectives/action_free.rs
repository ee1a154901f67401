//! Action-free dynamics: a latent action u = I([z, z']) of few numbers, and `mean (1 - cos(F([z, u]), sg(z')))`. No label
//! is read. After Cui et al. 2024, "DynaMo", arXiv:2409.12192, section 3.
//!
//! Deviations: two frames and perceptrons instead of windows and transformers; the target is the encoder itself with its
//! gradient stopped, not a moving average. Against collapse, two terms of VICReg (Bardes et al. 2022, arXiv:2105.04906,
//! equations 1 to 4; DynaMo has the second): a hinge on each dimension's deviation over the batch, and the squared
//! covariances off the diagonal.

use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use super::heads::{unit, without_dropout};
use super::{Inputs, Objective, Sizes, Term};
use crate::nn::{Dropout, Mlp, MlpConfig, ModelError, Parameters};

/// Settings of action-free dynamics.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ActionFreeConfig {
    /// Numbers of a latent action, in (-1, 1). Many let u carry the whole next frame, and nothing is learnt.
    pub latent_action: i64,
    /// I and F.
    pub head: MlpConfig,
    /// Weight of the hinge on deviations.
    pub variance: f64,
    /// Deviation below which the hinge pulls; embeddings are in (-1, 1).
    pub deviation: f64,
    /// Weight of the covariances.
    pub covariance: f64,
}

impl Default for ActionFreeConfig {
    fn default() -> Self {
        Self {
            latent_action: 4,
            head: without_dropout(),
            variance: 1.0,
            deviation: 0.5,
            covariance: 0.04,
        }
    }
}

pub(super) struct ActionFree {
    config: ActionFreeConfig,
    inverse: Mlp,
    forward: Mlp,
}

impl ActionFreeConfig {
    pub(super) fn build(
        &self,
        parameters: &mut Parameters,
        sizes: Sizes<'_>,
        rng: &mut ChaCha8Rng,
    ) -> Result<ActionFree, ModelError> {
        self.head.check("objective.head")?;
        let weights = [self.variance, self.deviation, self.covariance];
        if self.latent_action < 1 || weights.iter().any(|x| !(x.is_finite() && *x >= 0.0)) {
            return Err(ModelError::Input(format!(
                "objective: expected latent_action of at least 1 and weights of at least 0, found {} and {weights:?}",
                self.latent_action
            )));
        }
        let embedding = sizes.encoder.embedding();
        let inverse = Mlp::new(
            parameters,
            "objective.inverse",
            2 * embedding,
            &self.head,
            self.latent_action,
            rng,
        )?;
        let forward = Mlp::new(
            parameters,
            "objective.forward",
            embedding + self.latent_action,
            &self.head,
            embedding,
            rng,
        )?;
        Ok(ActionFree {
            config: self.clone(),
            inverse,
            forward,
        })
    }
}

impl Objective for ActionFree {
    fn loss(
        &self,
        parameters: &Parameters,
        inputs: &Inputs<'_>,
        dropout: &mut Dropout,
    ) -> Result<Vec<Term>, ModelError> {
        let (z, next) = (inputs.z, inputs.next_z()?);
        let pair = Tensor::f_cat(&[z, next], 1)?;
        let latent = self.inverse.forward(parameters, &pair, dropout).tanh();
        let pair = Tensor::f_cat(&[z, &latent], 1)?;
        let predicted = self.forward.forward(parameters, &pair, dropout);
        let cosine = (unit(&predicted) * unit(&next.detach())).sum_dim_intlist(
            [1_i64].as_slice(),
            false,
            Kind::Float,
        );

        let (batch, size) = z.size2()?;
        let centered = z - z.mean_dim([0_i64].as_slice(), true, Kind::Float);
        let covariance = centered.transpose(0, 1).matmul(&centered) / (batch - 1).max(1) as f64;
        let variance = covariance.diagonal(0, 0, 1);
        // the root has no gradient at 0: batches of one frame
        let deviation = (&variance + 1e-6).sqrt();
        let hinge = (-deviation + self.config.deviation)
            .clamp_min(0.0)
            .mean(Kind::Float);
        let off_diagonal = (covariance.square().sum(Kind::Float)
            - variance.square().sum(Kind::Float))
            / size as f64;
        Ok(vec![
            ("forward", (-cosine + 1.0).mean(Kind::Float)),
            ("variance", hinge * self.config.variance),
            ("covariance", off_diagonal * self.config.covariance),
        ])
    }
}
