//! From episodes to what learners read: text examples with a supervised-token mask, and multiple-choice questions.
//!
//! An [`Example`] is a text whose supervised parts are marked; a [`Question`] is a prompt with choices, one of them
//! right. Both are plain data in JSON Lines. This crate knows nothing of tensors, tokenizers or models.

mod example;

pub mod general_text;

pub use example::{Example, Part, PlanTask, Question};
