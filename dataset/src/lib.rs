//! From episodes to what learners read: text examples with a supervised-token mask, multiple-choice questions, and pairs
//! of frames.
//!
//! An [`Example`] is a text whose supervised parts are marked; a [`Question`] is a prompt with choices, one of them
//! right; both are plain data in JSON Lines. [`transitions`] samples pairs of frames of one episode, [`frames`] keeps them in a
//! file. This crate knows
//! nothing of tensors, tokenizers, models or the simulator: it reads recorded [`episode::Episode`]s and the facts they
//! state, and arrays of frames.

mod example;
mod jsonl;

pub mod frames;
pub mod general_text;
pub mod transitions;
pub mod verbalize;

pub use example::{Example, Part, PlanTask, PromptCompletion, Question, prompt_completion};
pub use jsonl::{JsonlError, digest, read_jsonl, write_jsonl};
