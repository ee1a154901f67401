//! What keeps a finetuned model from forgetting; one file per method.

mod ewc;
mod fisher;

pub use ewc::Ewc;
pub use fisher::{Fisher, FisherError, FisherUnits, LossOf, Sequence, sample_labels};
