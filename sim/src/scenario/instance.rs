//! A scenario with every draw made: what one episode starts from.

use std::sync::Arc;

use super::types::{HandModel, HandParameters};
use crate::household::{EntityId, House, HouseGraph};

/// Where an upright thing stands: the origin of its class frame, and its rotation about z.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Pose {
    /// Position in the world frame, metres.
    pub position: [f32; 3],
    /// Rotation about z, radians, counter-clockwise.
    pub yaw: f32,
}

/// A room's outline.
#[derive(Clone, Debug, PartialEq)]
pub struct RoomShape {
    /// The room.
    pub room: EntityId,
    /// Corners, counter-clockwise, metres.
    pub corners: Vec<[f32; 2]>,
    /// Height of its walls, metres.
    pub height: f32,
}

/// A doorway.
#[derive(Clone, Debug, PartialEq)]
pub struct DoorShape {
    /// The door.
    pub door: EntityId,
    /// Middle of the doorway on the floor, metres.
    pub at: [f32; 2],
    /// Width, metres.
    pub width: f32,
    /// Whether the wall runs along x (`true`) or along y.
    pub along_x: bool,
}

/// A hand on an arm.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HandPlace {
    /// Which hand.
    pub model: HandModel,
    /// Which length ranges its muscles have.
    pub parameters: HandParameters,
    /// What carries its arm.
    pub base: HandBase,
}

/// What carries a hand's arm.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum HandBase {
    /// It is fixed in a room.
    Room {
        /// Where the hand's first joint is in the world frame, metres.
        position: [f32; 3],
        /// Rotation about z, radians, counter-clockwise.
        yaw: f32,
    },
    /// The walker.
    Walker,
}

/// The geometry that an episode starts with.
#[derive(Clone, Debug, PartialEq)]
pub struct Layout {
    /// Rooms, in the order of their entities.
    pub rooms: Vec<RoomShape>,
    /// Doors, in the order of their entities.
    pub doors: Vec<DoorShape>,
    /// Pose of every entity by its index; rooms and doors have the default pose, the agent's is where it stands.
    /// Things on or in others already rest there, one millimetre above the surface.
    pub poses: Vec<Pose>,
    /// Which of the file's `[[object]]`s each entity comes from, by its index; `None` for what is not an object.
    pub entries: Vec<Option<usize>>,
    /// The hand on an arm, if there is one.
    pub hand: Option<HandPlace>,
}

/// What one episode starts from.
#[derive(Clone, Debug)]
pub struct Instance {
    /// Who and what is there.
    pub house: Arc<House>,
    /// How things are, in symbols.
    pub start: HouseGraph,
    /// Where things are, in metres.
    pub layout: Layout,
}
