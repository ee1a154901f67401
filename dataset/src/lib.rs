//! From episodes to what learners read: text examples with a supervised-token mask, and multiple-choice questions.
//!
//! An [`Example`] is a text whose supervised parts are marked; a [`Question`] is a prompt with choices, one of them
//! right. Both are plain data in JSON Lines. This crate knows nothing of tensors, tokenizers, models or the simulator:
//! it reads recorded [`episode::Episode`]s and the facts they state.

mod example;
mod jsonl;

pub mod general_text;
pub mod verbalize;

pub use example::{Example, Part, PlanTask, PromptCompletion, Question, prompt_completion};
pub use jsonl::{JsonlError, digest, read_jsonl, write_jsonl};
