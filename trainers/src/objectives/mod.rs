//! What an encoder can be pretrained on: one file each, behind one trait, over the same encoder and the same data.
//!
//! | name | loss | paper |
//! |---|---|---|
//! | `inverse_dynamics` | the action between two frames | Brandfonbrener et al. 2023 |
//! | `behavior_cloning` | the action in a frame | its control |
//! | `explicit_forward` | the next frame itself | its control |
//! | `implicit_forward` | which next frame belongs to a frame and an action | its control |
//! | `static_contrastive` | which crop belongs to a crop | its control (SimCLR) |
//! | `inverse_forward` | the actions between two frames, and the next embedding | Levine et al. 2024 |
//! | `action_free` | the next embedding through a latent action, no labels | Cui et al. 2024 |
//!
//! The first five are those of "Inverse Dynamics Pretraining Learns Good Representations for Multitask Imitation"
//! (Brandfonbrener, Nachum and Bruna 2023, arXiv:2305.16985, section 3), as its code computes them. Notation: o and o'
//! the two frames, `k` steps apart; φ the encoder, z = φ(o), z' = φ(o'); a the actions between; means are over batch and
//! dimensions.
//!
//! To add one: a file here with a `Config` and an [`Objective`]; a variant of [`ObjectiveConfig`] and its rows below; a
//! case in `tests/peers/representation/reference_objectives.py` and its numbers in `tests/data`.
//!
//! Nothing here knows how the encoder is trained or what it is used for.

mod heads;

mod behavior_cloning;
mod explicit_forward;
mod implicit_forward;
mod inverse_dynamics;
mod static_contrastive;

mod action_free;
mod inverse_forward;

pub use action_free::ActionFreeConfig;
pub use behavior_cloning::BehaviorCloningConfig;
pub use explicit_forward::ExplicitForwardConfig;
pub use implicit_forward::ImplicitForwardConfig;
pub use inverse_dynamics::{InverseDynamicsConfig, Predict};
pub use inverse_forward::InverseForwardConfig;
pub use static_contrastive::StaticContrastiveConfig;

use dataset::transitions::{Ahead, Batch, Buffer, Observations, Transitions};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use tch::{Device, Tensor};

use crate::nn::{Dropout, EncoderConfig, ModelError, Parameters, floats};

/// A pretraining loss with its heads. Heads are `objective.…` in the [`Parameters`].
pub trait Objective {
    /// How far apart the two frames are.
    fn ahead(&self) -> Ahead {
        Ahead::Fixed(1)
    }

    /// What it wants of the second frame.
    fn next(&self) -> Next {
        Next::Embedded
    }

    /// Whether frames are cropped at random; not where they must be reproduced.
    fn augments(&self) -> bool {
        true
    }

    /// The actions in the first frames that lead from embeddings `z` to the next frames' `(batch, action)`; none where the
    /// heads do not tell them.
    ///
    /// # Errors
    /// When shapes do not fit.
    fn action_between(
        &self,
        _parameters: &Parameters,
        _z: &Tensor,
        _next_z: &Tensor,
    ) -> Result<Option<Tensor>, ModelError> {
        Ok(None)
    }

    /// Named parts of the loss, scalars; training minimizes their sum.
    ///
    /// # Errors
    /// When shapes do not fit.
    fn loss(
        &self,
        parameters: &Parameters,
        inputs: &Inputs<'_>,
        dropout: &mut Dropout,
    ) -> Result<Vec<Term>, ModelError>;
}

/// A named part of a loss and its value, a scalar.
pub type Term = (&'static str, Tensor);

/// What an objective wants of the second frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing.
    Unused,
    /// Its embedding.
    Embedded,
    /// The frame itself, to be predicted.
    Target,
}

/// A batch through the encoder.
pub struct Inputs<'a> {
    /// Embeddings of the first frames `(batch, embedding)`.
    pub z: &'a Tensor,
    /// Embeddings of the second frames, with [`Next::Embedded`].
    pub next_z: Option<&'a Tensor>,
    /// The batch itself.
    pub batch: &'a TensorBatch,
}

impl Inputs<'_> {
    /// Embeddings of the second frames.
    fn next_z(&self) -> Result<&Tensor, ModelError> {
        self.next_z.ok_or_else(|| {
            ModelError::Input("the objective needs the second frames' embeddings".to_owned())
        })
    }

    /// The actions in the first frames `(batch, action)`.
    fn first_action(&self) -> Tensor {
        self.batch.actions.select(1, 0)
    }

    /// All actions of a window in a row `(batch, steps x action)`.
    fn all_actions(&self) -> Tensor {
        self.batch.actions.flatten(1, 2)
    }
}

/// A [`Batch`] as tensors.
pub struct TensorBatch {
    /// First frames, u8 `(batch, height, width, 3)` or f32 `(batch, size)`.
    pub observations: Tensor,
    /// Second frames, where they are wanted.
    pub next: Option<Tensor>,
    /// Actions from the first frame on `(batch, steps, action)`, 0 from the second frame on.
    pub actions: Tensor,
    /// Distance of the two frames as a share of the largest `(batch, 1)`.
    pub ahead: Tensor,
    /// Ground truth of the first frames `(batch, state)`.
    pub states: Tensor,
}

impl TensorBatch {
    /// Copies a batch of `transitions` to the device.
    ///
    /// # Errors
    /// When libtorch refuses.
    pub fn new(
        batch: &Batch,
        transitions: &Transitions<'_>,
        device: Device,
    ) -> Result<Self, ModelError> {
        let size = batch.windows.len() as i64;
        let ahead: Vec<f32> = batch
            .windows
            .iter()
            .map(|window| window.ahead as f32 / batch.steps as f32)
            .collect();
        let actions = [size, batch.steps as i64, transitions.action_size() as i64];
        let of = |buffer| observation_tensor(buffer, transitions.observations(), device);
        Ok(Self {
            observations: of(&batch.observations)?,
            next: batch.next.as_ref().map(of).transpose()?,
            actions: floats(&batch.actions, &actions, device)?,
            ahead: floats(&ahead, &[size, 1], device)?,
            states: floats(
                &batch.states,
                &[size, transitions.state_size() as i64],
                device,
            )?,
        })
    }
}

/// A buffer of frames shaped as `like` says, as a tensor.
///
/// # Errors
/// When libtorch refuses.
pub fn observation_tensor(
    buffer: &Buffer,
    like: &Observations<'_>,
    device: Device,
) -> Result<Tensor, ModelError> {
    match (buffer, like) {
        (
            Buffer::Images(pixels),
            Observations::Images { height, width, .. } | Observations::Drawn { height, width, .. },
        ) => Ok(Tensor::f_from_slice(pixels)?
            .f_reshape([-1, *height as i64, *width as i64, 3])?
            .f_to_device(device)?),
        (Buffer::Vectors(values), Observations::Vectors { size, .. }) => {
            floats(values, &[-1, *size as i64], device)
        }
        _ => Err(ModelError::Input(
            "expected a buffer made for these observations".to_owned(),
        )),
    }
}

/// Which objective, with its settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case")]
pub enum ObjectiveConfig {
    /// See [`InverseDynamicsConfig`].
    InverseDynamics(InverseDynamicsConfig),
    /// See [`BehaviorCloningConfig`].
    BehaviorCloning(BehaviorCloningConfig),
    /// See [`ExplicitForwardConfig`].
    ExplicitForward(ExplicitForwardConfig),
    /// See [`ImplicitForwardConfig`].
    ImplicitForward(ImplicitForwardConfig),
    /// See [`StaticContrastiveConfig`].
    StaticContrastive(StaticContrastiveConfig),
    /// See [`InverseForwardConfig`].
    InverseForward(InverseForwardConfig),
    /// See [`ActionFreeConfig`].
    ActionFree(ActionFreeConfig),
}

/// What an objective's heads must fit.
#[derive(Clone, Copy, Debug)]
pub struct Sizes<'a> {
    /// The encoder.
    pub encoder: &'a EncoderConfig,
    /// Numbers of an action.
    pub action: i64,
}

impl ObjectiveConfig {
    /// Every objective with the paper's settings, in the order of the module's table.
    pub fn all() -> Vec<Self> {
        vec![
            Self::InverseDynamics(InverseDynamicsConfig::default()),
            Self::BehaviorCloning(BehaviorCloningConfig::default()),
            Self::ExplicitForward(ExplicitForwardConfig::default()),
            Self::ImplicitForward(ImplicitForwardConfig::default()),
            Self::StaticContrastive(StaticContrastiveConfig::default()),
            Self::InverseForward(InverseForwardConfig::default()),
            Self::ActionFree(ActionFreeConfig::default()),
        ]
    }

    /// Its name, as in files.
    pub fn name(&self) -> &'static str {
        match self {
            Self::InverseDynamics(_) => "inverse_dynamics",
            Self::BehaviorCloning(_) => "behavior_cloning",
            Self::ExplicitForward(_) => "explicit_forward",
            Self::ImplicitForward(_) => "implicit_forward",
            Self::StaticContrastive(_) => "static_contrastive",
            Self::InverseForward(_) => "inverse_forward",
            Self::ActionFree(_) => "action_free",
        }
    }

    /// Adds the heads to the parameters.
    ///
    /// # Errors
    /// When a setting makes no sense.
    pub fn build(
        &self,
        parameters: &mut Parameters,
        sizes: Sizes<'_>,
        rng: &mut ChaCha8Rng,
    ) -> Result<Box<dyn Objective>, ModelError> {
        Ok(match self {
            Self::InverseDynamics(config) => Box::new(config.build(parameters, sizes, rng)?),
            Self::BehaviorCloning(config) => Box::new(config.build(parameters, sizes, rng)?),
            Self::ExplicitForward(config) => Box::new(config.build(parameters, sizes, rng)?),
            Self::ImplicitForward(config) => Box::new(config.build(parameters, sizes, rng)?),
            Self::StaticContrastive(config) => Box::new(config.build(parameters, sizes, rng)?),
            Self::InverseForward(config) => Box::new(config.build(parameters, sizes, rng)?),
            Self::ActionFree(config) => Box::new(config.build(parameters, sizes, rng)?),
        })
    }
}

/// Mean of squared differences over all numbers.
pub(crate) fn mean_square(a: &Tensor, b: &Tensor) -> Tensor {
    (a - b).square().mean(tch::Kind::Float)
}
