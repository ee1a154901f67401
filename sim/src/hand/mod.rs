//! A hand as a vector of worlds: one task, many worlds, stepped together by the batch solver of crate `hand`, or each by Rapier.
//!
//! A [`Body`] is a hand and what tasks need to know of it. A [`task::Task`] says what is wanted of it: the scene, how an episode
//! starts, the named terms of the reward, success, the end. A [`HandEnv`] steps many worlds of one task and is a
//! [`VectorEnv`](crate::env::VectorEnv) like any other; learners use its flat lists, which are never copied.
//!
//! ```
//! use sim::hand::{Body, Config, HandEnv, task::Pose};
//!
//! let mut env = HandEnv::new(Body::myohand()?, Pose::default(), Config::default(), 4)?;
//! for lane in 0..4 {
//!     env.reset_lane(lane, 1, lane as u64)?;
//! }
//! env.step_flat(&vec![0.1; 4 * env.n_actions()])?;
//! assert_eq!(env.rewards().len(), 4);
//! println!("{:?}", &env.observations()[..env.n_observations()]);
//! # Ok::<(), sim::hand::HandError>(())
//! ```
//!
//! Nothing here knows houses, policies or learners.

pub mod appearance;
mod body;
mod env;
pub mod exemplar;
pub mod grasp;
pub mod objects;
mod observation;
pub mod scenario;
pub mod sight;
pub mod suites;
pub mod task;
#[cfg(test)]
mod tests;
mod worlds;

pub use ::hand::batch::Width;
pub use body::{Body, Setting};
pub use env::{Actions, Config, HandEnv, LaneSnapshot, Solver, Telling};
pub use observation::{Layout, Part, Seen};
pub use scenario::HandScenario;

use thiserror::Error;

/// Why there is no such hand, or why it cannot do what it is asked to.
#[derive(Clone, Debug, Error)]
pub enum HandError {
    /// The model file cannot be used.
    #[error("{0}")]
    Model(String),
    /// What an object shall do cannot be done.
    #[error(transparent)]
    Exemplar(#[from] exemplar::ExemplarError),
    /// What an object shall do is not said, or twice.
    #[error(
        "task.track: expected either exemplar, or reference and object, as {{ exemplar = \"cup_drink\" }} or {{ reference = \"my.npz\", object = \"cup\" }}"
    )]
    Way,
    /// The solver cannot compute the scene.
    #[error(transparent)]
    Batch(#[from] ::hand::batch::BatchError),
    /// Rapier cannot compute the scene.
    #[error(transparent)]
    Rapier(#[from] crate::rapier_hand::HandError),
    /// The task needs a part that the model does not have.
    #[error("task \"{task}\" needs {kind} \"{name}\", which model \"{model}\" does not have")]
    Missing {
        /// Name of the task.
        task: &'static str,
        /// Kind of the part: `joint`, `site`.
        kind: &'static str,
        /// Its name.
        name: String,
        /// Name of the model.
        model: String,
    },
    /// Lists of actions have one length.
    #[error("{found} numbers of actions, expected {expected} (worlds × controls)")]
    Actions {
        /// How many numbers were given.
        found: usize,
        /// How many there must be.
        expected: usize,
    },
    /// There are not so many worlds.
    #[error("there is no world {lane}: there are {worlds}, counted from 0")]
    Lane {
        /// The world that was asked for.
        lane: usize,
        /// How many there are.
        worlds: usize,
    },
    /// A number of the configuration is out of range.
    #[error("{field} is {value}, expected {expected}")]
    Config {
        /// Name of the field.
        field: &'static str,
        /// What it is.
        value: String,
        /// What it may be.
        expected: &'static str,
    },
    /// A snapshot was taken of something else.
    #[error(
        "the snapshot was taken of another task, hand or configuration than task \"{task}\" has here"
    )]
    Snapshot {
        /// Name of the task.
        task: &'static str,
    },
    /// The start of an episode, or its target, is not a number.
    #[error("task \"{task}\" started with a number that is not finite")]
    Start {
        /// Name of the task.
        task: &'static str,
    },
}
