//! Learners: a real language model with low-rank adapters, elastic weight consolidation, encoders of images pretrained
//! on experience, an optimizer with exact resume, and the recipes that put them together.
//!
//! [`nn`] holds the networks, [`objectives`] what an encoder can be pretrained on, [`continual`] what keeps a model from
//! forgetting, [`motor`] policies of hands, [`recipes`] one file per training procedure, [`evaluation`] what measures the result. This is the only
//! crate that sees libtorch; it knows nothing of how the data was made.

pub mod cache;
pub mod nn;

pub mod objectives;

pub mod continual;
pub mod optimizer;

pub mod checkpoint;
pub mod motor;
pub mod recipes;

pub mod evaluation;
