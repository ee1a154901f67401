//! Rollouts: many episodes, recorded into a store, the same whatever the number of workers.
//!
//! An episode is a pure function of the run's [`Settings`], its scenario and its index. [`record`] makes those that
//! the store lacks, [`verify`] makes those that it has once more and compares.
//!
//! Knows no command line: the binary `rollout` is one user of this module.

mod demonstrate;
mod episode;
mod pictures;
pub mod pool;
mod record;
mod text;
mod verify;

pub use demonstrate::{Demonstrator, Tried};
pub use episode::{MaxSteps, PolicyChoice, Scenarios, Settings, Worker, play, replay, stream};
pub use pictures::{Picture, Shot, pictures};
pub use record::{Part, Plan, Recorded, RolloutError, record};
pub use text::as_text;
pub use verify::{Mismatch, Verified, verify};
