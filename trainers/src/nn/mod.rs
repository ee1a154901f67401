//! Networks: a Llama-shaped language model, its file formats and tokenizer, and low-rank adapters; encoders of images and
//! vectors, and perceptrons.
//!
//! [`load_model`] reads a GGUF file or a Hugging Face folder into a [`Llama`] and a [`Tokenizer`]; [`Lora`] is an
//! adapter attached to it; [`score_choices`], [`generate_greedy`] and [`nll_per_document`] are what evaluation asks of
//! it. [`Encoder`] and [`Mlp`] keep their values in [`Parameters`], which an optimizer sees as one flat vector. Nothing here
//! knows of households, examples or training.

mod runtime;

mod gguf;
mod tokenizer;
mod weights;

mod llama;
mod lora;

mod generate;
mod score;

mod parameters;

mod encoder;
mod kernels;
mod lstm;
mod mlp;

pub(crate) use encoder::encoder_metadata;
pub use encoder::{
    Encoder, EncoderConfig, FrozenEncoder, IMAGE_PRESETS, ImageEncoderConfig, VectorEncoderConfig,
};
pub use generate::generate_greedy;
pub use gguf::{Gguf, Metadata};
pub use llama::{Llama, LlamaConfig, Packed};
pub use lora::{KINDS, Lora, LoraConfig, Target};
pub(crate) use lstm::Lstm;
pub(crate) use mlp::floats;
pub use mlp::{Dropout, Mlp, MlpConfig};
pub(crate) use mlp::{LayerNorm, Linear};
pub(crate) use parameters::Init;
pub use parameters::{ParameterId, Parameters, safetensors_metadata};
pub use runtime::{Precision, exit_now, init_torch, native_bf16};
pub use score::{DocumentNll, nll_per_document, score_choices, score_choices_ids};
pub use tokenizer::Tokenizer;
pub(crate) use weights::tensor_of;
pub use weights::{Weights, load_model};

use std::path::PathBuf;

/// What can be wrong with a model, its file or an adapter.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// The file or folder cannot be read.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// What was to be read.
        path: PathBuf,
        /// Why it could not be.
        source: std::io::Error,
    },
    /// The file is not what its reader expects; `message` says what was expected and what was found.
    #[error("{path}: {message}", path = path.display())]
    Format {
        /// The offending file.
        path: PathBuf,
        /// Expected and found.
        message: String,
    },
    /// The weights do not make the model the configuration describes.
    #[error("{0}")]
    Weights(String),
    /// The adapter does not fit the model.
    #[error("adapter: {0}")]
    Adapter(String),
    /// The text cannot be tokenized.
    #[error("tokenizer: {0}")]
    Tokenizer(String),
    /// The request does not fit the model, such as a token outside its vocabulary.
    #[error("{0}")]
    Input(String),
    /// libtorch refused (most often: out of memory).
    #[error("libtorch: {0}")]
    Torch(#[from] tch::TchError),
}
