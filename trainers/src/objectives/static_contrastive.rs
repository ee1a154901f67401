//! Static contrastive learning: which of the batch's crops shows the same frame (Brandfonbrener et al. 2023, section 3,
//! after Chen et al. 2020, "SimCLR", arXiv:2002.05709): InfoNCE between `P₁(φ(o))` and `P₂(φ(o'))`, o' another crop of o.
//!
//! Vectors are not cropped: there both are the same observation, and only the projections differ.

use dataset::transitions::Ahead;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::heads::{check_projection, check_temperature, info_nce, without_dropout};
use super::{Inputs, Objective, Sizes, Term};
use crate::nn::{Dropout, Mlp, MlpConfig, ModelError, Parameters};

/// Settings of static contrastive learning.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StaticContrastiveConfig {
    /// Similarities are divided by this before the softmax.
    pub temperature: f64,
    /// P₁ and P₂.
    pub head: MlpConfig,
    /// Numbers of a projection.
    pub projection: i64,
}

impl Default for StaticContrastiveConfig {
    fn default() -> Self {
        Self {
            temperature: 1.0,
            head: without_dropout(),
            projection: 64,
        }
    }
}

pub(super) struct StaticContrastive {
    temperature: f64,
    now: Mlp,
    next: Mlp,
}

impl StaticContrastiveConfig {
    pub(super) fn build(
        &self,
        parameters: &mut Parameters,
        sizes: Sizes<'_>,
        rng: &mut ChaCha8Rng,
    ) -> Result<StaticContrastive, ModelError> {
        self.head.check("objective.head")?;
        check_temperature(self.temperature)?;
        check_projection(self.projection)?;
        let mut projection = |name: &str| {
            let inputs = sizes.encoder.embedding();
            Mlp::new(parameters, name, inputs, &self.head, self.projection, rng)
        };
        Ok(StaticContrastive {
            temperature: self.temperature,
            now: projection("objective.now")?,
            next: projection("objective.next")?,
        })
    }
}

impl Objective for StaticContrastive {
    fn ahead(&self) -> Ahead {
        Ahead::Fixed(0)
    }

    fn loss(
        &self,
        parameters: &Parameters,
        inputs: &Inputs<'_>,
        dropout: &mut Dropout,
    ) -> Result<Vec<Term>, ModelError> {
        let queries = self.now.forward(parameters, inputs.z, dropout);
        let keys = self.next.forward(parameters, inputs.next_z()?, dropout);
        Ok(vec![(
            "contrastive",
            info_nce(&queries, &keys, self.temperature),
        )])
    }
}
