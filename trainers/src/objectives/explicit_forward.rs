//! Explicit forward dynamics: `mean (Dec([φ(o), e(a)]) - (o' - 1/2))²` (Brandfonbrener et al. 2023, section 3), pixels in
//! [0, 1], no crops. The paper trains it with batches of 128.
//!
//! Images: a linear layer to two channels of the size the encoder's convolutions leave, transposed convolutions that
//! undo them (stride 1, 1, 2, 2), and one of 2 x 2 to the three colors. Vectors: a perceptron to o' itself, unshifted.

use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use super::heads::{ACTION_EMBEDDING, ActionEncoder, without_dropout};
use super::{Inputs, Next, Objective, Sizes, Term, mean_square};
use crate::nn::{
    Dropout, EncoderConfig, ImageEncoderConfig, Init, Linear, Mlp, MlpConfig, ModelError,
    ParameterId, Parameters,
};

/// Settings of explicit forward dynamics.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ExplicitForwardConfig {
    /// e, and the decoder of vectors.
    pub head: MlpConfig,
}

impl Default for ExplicitForwardConfig {
    fn default() -> Self {
        Self {
            head: without_dropout(),
        }
    }
}

pub(super) struct ExplicitForward {
    action: ActionEncoder,
    decoder: Decoder,
}

enum Decoder {
    Image {
        linear: Linear,
        /// Rows of the map that the linear layer makes.
        size: i64,
        convolutions: Vec<TransposedConvolution>,
    },
    Vector(Mlp),
}

struct TransposedConvolution {
    weight: ParameterId,
    bias: ParameterId,
    stride: i64,
}

/// Channels of the decoder's first map.
const DENSE_CHANNELS: i64 = 2;

impl ExplicitForwardConfig {
    pub(super) fn build(
        &self,
        parameters: &mut Parameters,
        sizes: Sizes<'_>,
        rng: &mut ChaCha8Rng,
    ) -> Result<ExplicitForward, ModelError> {
        self.head.check("objective.head")?;
        let action = ActionEncoder::new(
            parameters,
            "objective.action",
            sizes.action,
            &self.head,
            rng,
        )?;
        let inputs = sizes.encoder.embedding() + ACTION_EMBEDDING;
        let decoder = match sizes.encoder {
            EncoderConfig::Image(image) => Decoder::image(parameters, inputs, image, rng)?,
            EncoderConfig::Vector(vector) => Decoder::Vector(Mlp::new(
                parameters,
                "objective.decoder",
                inputs,
                &self.head,
                vector.inputs,
                rng,
            )?),
        };
        Ok(ExplicitForward { action, decoder })
    }
}

impl Objective for ExplicitForward {
    fn next(&self) -> Next {
        Next::Target
    }

    fn augments(&self) -> bool {
        false
    }

    fn loss(
        &self,
        parameters: &Parameters,
        inputs: &Inputs<'_>,
        dropout: &mut Dropout,
    ) -> Result<Vec<Term>, ModelError> {
        let next = inputs.batch.next.as_ref().ok_or_else(|| {
            ModelError::Input("explicit_forward: the batch has no second frames".to_owned())
        })?;
        let action = self
            .action
            .forward(parameters, &inputs.first_action(), dropout);
        let pair = Tensor::f_cat(&[inputs.z, &action], 1)?;
        let predicted = self.decoder.forward(parameters, &pair, dropout);
        let target = match self.decoder {
            // (batch, size, size, 3) to (batch, 3, size, size)
            Decoder::Image { .. } => next.permute([0, 3, 1, 2]).to_kind(Kind::Float) / 255.0 - 0.5,
            Decoder::Vector(_) => next.shallow_clone(),
        };
        if predicted.size() != target.size() {
            return Err(ModelError::Input(format!(
                "explicit_forward: the decoder makes {:?}, the frames are {:?}",
                predicted.size(),
                target.size()
            )));
        }
        Ok(vec![("reconstruction", mean_square(&predicted, &target))])
    }
}

impl Decoder {
    fn image(
        parameters: &mut Parameters,
        inputs: i64,
        encoder: &ImageEncoderConfig,
        rng: &mut ChaCha8Rng,
    ) -> Result<Self, ModelError> {
        let size = encoder.map_size();
        let strides: Vec<i64> = encoder.strides.iter().rev().copied().collect();
        let made = strides
            .iter()
            .fold(size, |size, stride| (size - 1) * stride + 3)
            + 1;
        if made != encoder.size {
            return Err(ModelError::Input(format!(
                "explicit_forward: images of {} pixels cannot be made from the encoder's map of {size}; {made} can",
                encoder.size
            )));
        }
        let linear = Linear::new(
            parameters,
            "objective.decoder.linear",
            inputs,
            DENSE_CHANNELS * size * size,
            rng,
        )?;
        let mut convolutions = Vec::new();
        let mut channels = DENSE_CHANNELS;
        let layers = encoder
            .channels
            .iter()
            .rev()
            .zip(strides)
            .map(|(outputs, stride)| (*outputs, stride, 3))
            .chain([(3, 1, 2)]);
        for (number, (outputs, stride, kernel)) in layers.enumerate() {
            let name = format!("objective.decoder.convolutions.{number}");
            convolutions.push(TransposedConvolution {
                weight: parameters.add(
                    format!("{name}.weight"),
                    &[channels, outputs, kernel, kernel],
                    Init::LeCun {
                        inputs: channels * kernel * kernel,
                    },
                    rng,
                )?,
                bias: parameters.add(
                    format!("{name}.bias"),
                    &[outputs],
                    Init::Constant(0.0),
                    rng,
                )?,
                stride,
            });
            channels = outputs;
        }
        Ok(Self::Image {
            linear,
            size,
            convolutions,
        })
    }

    /// `(batch, inputs)` to `(batch, 3, size, size)` or `(batch, size)`.
    fn forward(&self, parameters: &Parameters, x: &Tensor, dropout: &mut Dropout) -> Tensor {
        match self {
            Self::Image {
                linear,
                size,
                convolutions,
            } => {
                let mut x = linear.forward(parameters, x).gelu("tanh").reshape([
                    -1,
                    DENSE_CHANNELS,
                    *size,
                    *size,
                ]);
                for (number, convolution) in convolutions.iter().enumerate() {
                    x = convolution.forward(parameters, &x);
                    if number + 1 < convolutions.len() {
                        x = x.gelu("tanh");
                    }
                }
                x
            }
            Self::Vector(mlp) => mlp.forward(parameters, x, dropout),
        }
    }
}

impl TransposedConvolution {
    fn forward(&self, parameters: &Parameters, x: &Tensor) -> Tensor {
        x.conv_transpose2d(
            parameters.get(self.weight),
            Some(parameters.get(self.bias)),
            [self.stride, self.stride],
            [0, 0],
            [0, 0],
            1,
            [1, 1],
        )
    }
}
