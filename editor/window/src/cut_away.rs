//! Walls that hide a room from the eye are cut off near the floor, as in a doll's house.

use bevy::math::{Vec2, Vec3};
use editor::scene::{Form, ItemId, Kind, Piece, Scene, Solid};

/// Height of what is left of a wall that is cut off, meters.
const STUB: f32 = 0.12;
/// A floor this far from a wall's face still belongs to that side, meters.
const BESIDE: f32 = 0.25;

/// Which walls are cut off: those between the eye and the inside of a room.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct CutAway {
    /// By part order: the walls that are cut off, as indices into the scene's pieces.
    cut: Vec<(ItemId, usize)>,
}

impl CutAway {
    /// What has to go so that an eye at `eye` (world, meters) looks into every room.
    pub(crate) fn seen_from(eye: Vec3, scene: &Scene) -> Self {
        let floor = |piece: &Piece| -> Vec<(Vec2, Vec2)> {
            piece
                .solids
                .iter()
                .map(|solid| extent(piece, &[*solid]))
                .collect()
        };
        let floors: Vec<_> = scene
            .pieces
            .iter()
            .filter(|piece| piece.kind == Kind::Floor)
            .flat_map(floor)
            .collect();
        let hides =
            |piece: &&Piece| piece.kind == Kind::Wall && hides(piece, eye.truncate(), &floors);
        let mut cut: Vec<_> = scene
            .pieces
            .iter()
            .filter(hides)
            .map(|piece| (piece.item, piece.part))
            .collect();
        cut.sort_unstable();
        Self { cut }
    }

    /// Height in the world above which `piece` is not drawn, meters.
    pub(crate) fn height(&self, piece: &Piece) -> Option<f32> {
        let cut =
            piece.kind == Kind::Wall && self.cut.binary_search(&(piece.item, piece.part)).is_ok();
        cut.then(|| base(piece) + STUB)
    }
}

/// Whether there is a floor on the side of a wall that is turned away from the eye.
fn hides(wall: &Piece, eye: Vec2, floors: &[(Vec2, Vec2)]) -> bool {
    let (bottom, top) = crate::projection::bounds(&wall.solids);
    if top.z - bottom.z < 0.3 {
        // A ceiling.
        return false;
    }
    let (low, high) = extent(wall, &wall.solids);
    let (middle, half) = (0.5 * (low + high), 0.5 * (high - low));
    let across = if half.x < half.y { Vec2::X } else { Vec2::Y };
    let toward_eye = (eye - middle).dot(across);
    // From (nearly) inside the wall nothing is hidden by it.
    if toward_eye.abs() < half.dot(across) {
        return false;
    }
    let away = -across * toward_eye.signum() * (half.dot(across) + BESIDE);
    // A long wall may stand behind several rooms: any of them counts.
    let along = Vec2::new(across.y, across.x) * half;
    let beyond = [-0.8, -0.4, 0.0, 0.4, 0.8].map(|share| middle + away + along * share);
    beyond.iter().any(|point| {
        floors
            .iter()
            .any(|(low, high)| point.cmpge(*low).all() && point.cmple(*high).all())
    })
}

/// Corners of the outline of a piece's solids on the ground, meters.
fn extent(piece: &Piece, solids: &[Solid]) -> (Vec2, Vec2) {
    let (low, high) = crate::projection::bounds(solids);
    let pose = crate::projection::pose(piece);
    let corners = [
        (low.x, low.y),
        (low.x, high.y),
        (high.x, low.y),
        (high.x, high.y),
    ]
    .map(|(x, y)| pose.transform_point(Vec3::new(x, y, 0.0)).truncate());
    (
        corners.into_iter().reduce(Vec2::min).unwrap_or_default(),
        corners.into_iter().reduce(Vec2::max).unwrap_or_default(),
    )
}

/// Height of a wall's foot in the world, meters. A lintel counts from the floor below it, which rooms have at 0.
fn base(piece: &Piece) -> f32 {
    let foot = |solid: &Solid| match solid.form {
        Form::Box(half) => solid.center[2] - half[2],
        _ => solid.center[2],
    };
    let lowest = piece.solids.iter().map(foot).fold(f32::INFINITY, f32::min);
    (lowest + piece.position[2]).min(0.0)
}
