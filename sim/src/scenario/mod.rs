//! Scenario files: what was asked for, checked, and drawn into what one episode starts from.
//!
//! [`load`] reads a file and complains about everything in it that cannot be; [`LoadedScenario::instantiate`] makes the
//! draws of one episode; [`save`] writes a scenario so that loading it gives the same. Knows no physics and no tasks.

mod check;
mod draw;
mod geometry;
mod instance;
mod load;
pub mod types;

pub use instance::{DoorShape, HandBase, HandPlace, Instance, Layout, Pose, RoomShape};
pub use load::{LoadedScenario, load, load_text, save, schema};
pub use types::Scenario;

/// What [`load`] and [`LoadedScenario::instantiate`] complain with.
pub use crate::problem::InputError as ScenarioError;

/// Walls are this thick, with the edge of the room in the middle (meters).
pub const WALL_THICKNESS: f32 = 0.1;
/// Radius of a walker (meters).
pub const WALKER_RADIUS: f32 = 0.2;
/// Height of a walker (meters); what hangs higher is not in its way.
pub const WALKER_HEIGHT: f32 = 1.7;

#[cfg(test)]
mod tests;
