//! Bodies that muscles move: a hand of joints, tendons and muscles, described in a file and computed to the last digit.
//!
//! A [`model::Model`] is what a file says: bodies, joints, shapes, sites, tendons, muscles. A [`kernel::Kernel`] is the same
//! made ready for computing: from joint angles, joint velocities and activations it gives tendon lengths, moment arms,
//! muscle forces and joint torques. The crate knows nothing of houses, policies or learners.
//!
//! ```
//! use hand::{kernel::{Kernel, Pose}, model::{self, ParameterSet}};
//!
//! let model = model::load_text(hand::MYOHAND, "myohand.toml")?;
//! let kernel = Kernel::new(&model, ParameterSet::Calibrated);
//! let at_rest = Pose { qpos: vec![0.0; 23], qvel: vec![0.0; 23], act: vec![0.0; 39] };
//! let answer = kernel.evaluate(&at_rest)?;
//! assert_eq!(answer.lengths.len(), 39);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod batch;
pub mod kernel;
pub mod lanes;
pub mod model;
pub mod scene;
pub mod scenes;

/// Rotations as the rows of their matrices, as bodies and shapes have them.
pub mod turns {
    pub use crate::math::{apply, from_z, matrix, product, quat_of, transposed};
}

mod collide;
mod constraint;
mod dynamics;
mod math;
mod mechanism;
mod muscle;
mod pairs;
mod step;
mod tendon;

/// The model file of MyoHand: 23 joints, 39 muscles.
pub const MYOHAND: &str = include_str!("../../assets/hand/myohand.toml");

/// The model file of a robot hand of our own design: 24 joints, each turned by a motor.
pub const ROBOT_HAND: &str = include_str!("../../assets/hand/robot.toml");

/// The model file of a floating gripper: three slides that carry it, two fingers.
pub const GRIPPER: &str = include_str!("../../assets/hand/gripper.toml");

/// The model file of a point mass: two slides.
pub const POINT: &str = include_str!("../../assets/hand/point.toml");
