//! Scenario files: what was asked for.

mod instance;
pub mod types;

pub use instance::{DoorShape, Instance, Layout, Pose, RoomShape};
pub use types::Scenario;
