//! What is to be seen, and the systems that draw it.

use std::collections::BTreeSet;
use std::sync::Arc;

use bevy::prelude::*;
use editor::scene::{ItemId, Kind, Piece, Scene};

use crate::cut_away::CutAway;
use crate::orbit::Orbit;
use crate::projection::{self, Drawn, HOVERED, Projection, SELECTED, Stage};

/// What is to be seen: the editor's state as far as the view needs it.
#[derive(Resource, Clone, Default)]
pub struct Sight {
    /// Everything to draw.
    pub scene: Arc<Scene>,
    /// Counts changes of the scene.
    pub revision: u64,
    /// What is selected.
    pub selection: BTreeSet<ItemId>,
    /// What the pointer is over.
    pub hovered: Option<ItemId>,
    /// Whether walls between the eye and a room's inside are cut off.
    pub cut_away: bool,
    /// Whether the ground is ruled in meters.
    pub grid: bool,
}

/// Draws [`Sight`].
pub(crate) struct SightPlugin;

/// The systems that draw [`Sight`], in `Update`.
#[derive(SystemSet, Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Draw;

impl Plugin for SightPlugin {
    fn build(&self, app: &mut App) {
        app.init_resource::<Sight>()
            .init_resource::<Projection>()
            .add_systems(Startup, lay_ground)
            .add_systems(
                Update,
                (follow, rule_ground, frame_pieces).chain().in_set(Draw),
            );
    }
}

/// Brings the entities in step with the scene, the selection and the eye.
fn follow(
    mut commands: Commands<'_, '_>,
    sight: Res<'_, Sight>,
    mut projection: ResMut<'_, Projection>,
    mut meshes: ResMut<'_, Assets<Mesh>>,
    mut materials: ResMut<'_, Assets<StandardMaterial>>,
    eye: Single<'_, '_, &Orbit>,
    mut seen: Local<'_, Option<u64>>,
) {
    let cut = if sight.cut_away {
        CutAway::seen_from(eye.now.eye(), &sight.scene)
    } else {
        CutAway::default()
    };
    if *seen == Some(sight.revision) && !projection.is_behind(&sight.selection, &cut) {
        return;
    }
    *seen = Some(sight.revision);
    let mut stage = Stage {
        commands: &mut commands,
        meshes: &mut meshes,
        materials: &mut materials,
    };
    projection.follow(&sight.scene, &sight.selection, cut, &mut stage);
}

/// Radius of the ground that the home stands on, meters.
const GROUND: f32 = 120.0;

fn lay_ground(
    mut commands: Commands<'_, '_>,
    mut meshes: ResMut<'_, Assets<Mesh>>,
    mut materials: ResMut<'_, Assets<StandardMaterial>>,
) {
    let look = StandardMaterial {
        base_color: Color::srgb(0.78, 0.81, 0.83),
        perceptual_roughness: 1.0,
        reflectance: 0.0,
        ..default()
    };
    commands.spawn((
        Mesh3d(meshes.add(Circle::new(GROUND))),
        MeshMaterial3d(materials.add(look)),
        Transform::from_xyz(0.0, 0.0, -0.12),
        Pickable::IGNORE,
    ));
}

/// A line every meter, a stronger one every five, around what is looked at.
fn rule_ground(mut gizmos: Gizmos<'_, '_>, sight: Res<'_, Sight>, eye: Single<'_, '_, &Orbit>) {
    if !sight.grid {
        return;
    }
    let half = 10 * (eye.now.distance / 8.0).clamp(1.0, 4.0) as i32;
    let height = -0.1;
    let (middle_x, middle_y) = (
        eye.now.focus.x.round() as i32,
        eye.now.focus.y.round() as i32,
    );
    for step in -half..=half {
        let reach = half as f32;
        let shade = |at: i32| {
            if at.rem_euclid(5) == 0 {
                Color::srgba(0.38, 0.42, 0.46, 0.55)
            } else {
                Color::srgba(0.45, 0.5, 0.55, 0.25)
            }
        };
        let (x, y) = ((middle_x + step) as f32, (middle_y + step) as f32);
        let (low_x, low_y) = (middle_x as f32 - reach, middle_y as f32 - reach);
        gizmos.line(
            Vec3::new(x, low_y, height),
            Vec3::new(x, low_y + 2.0 * reach, height),
            shade(middle_x + step),
        );
        gizmos.line(
            Vec3::new(low_x, y, height),
            Vec3::new(low_x + 2.0 * reach, y, height),
            shade(middle_y + step),
        );
    }
}

/// Boxes around what is selected and what is under the pointer.
fn frame_pieces(
    mut gizmos: Gizmos<'_, '_>,
    sight: Res<'_, Sight>,
    drawn: Query<'_, '_, (&Drawn, &Transform)>,
) {
    for (piece, pose) in &drawn {
        let selected = sight.selection.contains(&piece.item);
        let hovered = sight.hovered == Some(piece.item);
        // A room is framed by its floor alone, a hand is tinted: boxes around their many pieces would only hide them.
        let framed = !matches!(piece.kind, Kind::Wall | Kind::Hand | Kind::Muscle);
        if !(selected || hovered) || !framed {
            continue;
        }
        let (low, high) = piece.bounds;
        let margin = Vec3::splat(0.006);
        let around =
            Transform::from_translation(0.5 * (low + high)).with_scale(high - low + 2.0 * margin);
        gizmos.cube(*pose * around, if selected { SELECTED } else { HOVERED });
    }
}

/// Corners of the boxes around pieces in the world, meters: what a camera has to see.
pub fn corners<'a>(pieces: impl Iterator<Item = &'a Piece>) -> Vec<Vec3> {
    let mut points = Vec::new();
    for piece in pieces {
        let (low, high) = projection::bounds(&piece.solids);
        let pose = projection::pose(piece);
        for corner in 0..8 {
            let pick = |axis: usize| {
                if corner >> axis & 1 == 0 {
                    low[axis]
                } else {
                    high[axis]
                }
            };
            points.push(pose.transform_point(Vec3::new(pick(0), pick(1), pick(2))));
        }
    }
    points
}
