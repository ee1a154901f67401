//! Draws a scene: entities follow its pieces, and only those that changed are touched.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bevy::prelude::*;
use editor::scene::{Form, ItemId, Kind, Piece, Scene, Solid};

use crate::cut_away::CutAway;

/// The entity of a piece; its children draw the solids.
#[derive(Component, Clone, Copy, Debug, PartialEq)]
pub struct Drawn {
    /// The entry that it comes from.
    pub item: ItemId,
    /// What it is.
    pub kind: Kind,
    /// Corners of the box around its solids in its own frame, meters.
    pub bounds: (Vec3, Vec3),
}

/// What is drawn now, and what it is drawn with.
#[derive(Resource, Default)]
pub struct Projection {
    shown: BTreeMap<Key, Shown>,
    cut: CutAway,
    selection: BTreeSet<ItemId>,
    stock: Stock,
}

/// An entry, which of its pieces, and its kind: a thing and its ghost share the first two.
type Key = (ItemId, usize, u8);

struct Shown {
    entity: Entity,
    solids: Vec<Entity>,
    piece: Piece,
    paint: Paint,
    /// Height in the world above which a wall is cut off, meters.
    cut_at: Option<f32>,
}

/// What [`Projection::follow`] works on.
pub(crate) struct Stage<'a, 'w, 's> {
    pub(crate) commands: &'a mut Commands<'w, 's>,
    pub(crate) meshes: &'a mut Assets<Mesh>,
    pub(crate) materials: &'a mut Assets<StandardMaterial>,
}

impl Projection {
    /// Makes the entities show `scene` with `selection` emphasized and walls cut off as `cut` says.
    pub(crate) fn follow(
        &mut self,
        scene: &Scene,
        selection: &BTreeSet<ItemId>,
        cut: CutAway,
        stage: &mut Stage<'_, '_, '_>,
    ) {
        let mut gone = std::mem::take(&mut self.shown);
        for piece in &scene.pieces {
            let key = (piece.item, piece.part, piece.kind as u8);
            let paint = Paint::of(piece, selection.contains(&piece.item));
            let cut_at = cut.height(piece);
            let shown = match gone.remove(&key) {
                Some(shown) => shown.update(piece, paint, cut_at, &mut self.stock, stage),
                None => Shown::spawn(piece, paint, cut_at, &mut self.stock, stage),
            };
            if let Some(twin) = self.shown.insert(key, shown) {
                stage.commands.entity(twin.entity).despawn();
            }
        }
        for shown in gone.values() {
            stage.commands.entity(shown.entity).despawn();
        }
        self.selection.clone_from(selection);
        self.cut = cut;
    }

    /// Whether [`Projection::follow`] would have something to do although the scene is the same.
    pub(crate) fn is_behind(&self, selection: &BTreeSet<ItemId>, cut: &CutAway) -> bool {
        self.selection != *selection || self.cut != *cut
    }

    /// The pieces that are drawn, with their entities.
    pub fn pieces(&self) -> impl Iterator<Item = (Entity, &Piece)> {
        self.shown
            .values()
            .map(|shown| (shown.entity, &shown.piece))
    }
}

impl Shown {
    fn spawn(
        piece: &Piece,
        paint: Paint,
        cut_at: Option<f32>,
        stock: &mut Stock,
        stage: &mut Stage<'_, '_, '_>,
    ) -> Self {
        let entity = stage
            .commands
            .spawn((
                pose(piece),
                Visibility::default(),
                Drawn {
                    item: piece.item,
                    kind: piece.kind,
                    bounds: bounds(&piece.solids),
                },
            ))
            .id();
        let solids = spawn_solids(entity, piece, paint, cut_at, stock, stage);
        Self {
            entity,
            solids,
            piece: piece.clone(),
            paint,
            cut_at,
        }
    }

    fn update(
        mut self,
        piece: &Piece,
        paint: Paint,
        cut_at: Option<f32>,
        stock: &mut Stock,
        stage: &mut Stage<'_, '_, '_>,
    ) -> Self {
        let moved = self.piece.position != piece.position || self.piece.rotation != piece.rotation;
        let reshaped = self.piece.solids != piece.solids;
        if moved {
            stage.commands.entity(self.entity).insert(pose(piece));
        }
        if reshaped {
            for solid in self.solids.drain(..) {
                stage.commands.entity(solid).despawn();
            }
            let drawn = Drawn {
                item: piece.item,
                kind: piece.kind,
                bounds: bounds(&piece.solids),
            };
            stage.commands.entity(self.entity).insert(drawn);
            self.solids = spawn_solids(self.entity, piece, paint, cut_at, stock, stage);
        } else {
            if self.paint != paint {
                for solid in &self.solids {
                    let material = stock.material(paint, stage.materials);
                    stage
                        .commands
                        .entity(*solid)
                        .insert(MeshMaterial3d(material));
                }
            }
            if self.cut_at != cut_at || (moved && cut_at.is_some()) {
                for (entity, solid) in self.solids.iter().zip(&piece.solids) {
                    stage
                        .commands
                        .entity(*entity)
                        .insert(placed(piece, solid, cut_at));
                }
            }
        }
        if moved || reshaped || self.piece.color != piece.color || self.piece.name != piece.name {
            self.piece.clone_from(piece);
        }
        self.paint = paint;
        self.cut_at = cut_at;
        self
    }
}

fn spawn_solids(
    parent: Entity,
    piece: &Piece,
    paint: Paint,
    cut_at: Option<f32>,
    stock: &mut Stock,
    stage: &mut Stage<'_, '_, '_>,
) -> Vec<Entity> {
    let material = stock.material(paint, stage.materials);
    let spawn = |solid: &Solid| {
        let mesh = stock.mesh(solid.form, stage.meshes);
        let look = (
            Mesh3d(mesh),
            MeshMaterial3d(material.clone()),
            ChildOf(parent),
        );
        stage
            .commands
            .spawn((look, placed(piece, solid, cut_at)))
            .id()
    };
    piece.solids.iter().map(spawn).collect()
}

/// Where a piece stands.
pub(crate) fn pose(piece: &Piece) -> Transform {
    Transform::from_translation(Vec3::from(piece.position))
        .with_rotation(Quat::from_array(piece.rotation))
}

/// Where a solid's mesh stands in its piece, with what lies above `cut_at` (world, meters) taken away.
fn placed(piece: &Piece, solid: &Solid, cut_at: Option<f32>) -> (Transform, Visibility) {
    let scale = match solid.form {
        Form::Box(half) | Form::Ellipsoid(half) => Vec3::from(half),
        Form::Cylinder(half, radius) => Vec3::new(radius, radius, half),
        Form::Capsule(..) => Vec3::ONE,
    };
    let mut transform = Transform::from_translation(Vec3::from(solid.center))
        .with_rotation(Quat::from_array(solid.rotation))
        .with_scale(scale);
    let Some(cut_at) = cut_at else {
        return (transform, Visibility::Inherited);
    };
    let top = cut_at - piece.position[2];
    let bottom = transform.translation.z - scale.z;
    if top <= bottom {
        return (transform, Visibility::Hidden);
    }
    let half = (0.5 * (top - bottom)).min(scale.z);
    transform.translation.z = bottom + half;
    transform.scale.z = half;
    (transform, Visibility::Inherited)
}

/// Corners of the box around solids in their piece's frame, meters.
pub(crate) fn bounds(solids: &[Solid]) -> (Vec3, Vec3) {
    let mut around = (Vec3::INFINITY, Vec3::NEG_INFINITY);
    for solid in solids {
        let half = match solid.form {
            Form::Box(half) | Form::Ellipsoid(half) => Vec3::from(half),
            Form::Cylinder(half, radius) => Vec3::new(radius, radius, half),
            Form::Capsule(half, radius) => Vec3::new(radius, radius, half + radius),
        };
        let turn = Mat3::from_quat(Quat::from_array(solid.rotation));
        let reach =
            turn.x_axis.abs() * half.x + turn.y_axis.abs() * half.y + turn.z_axis.abs() * half.z;
        let center = Vec3::from(solid.center);
        around = (around.0.min(center - reach), around.1.max(center + reach));
    }
    if solids.is_empty() {
        (Vec3::ZERO, Vec3::ZERO)
    } else {
        around
    }
}

/// Meshes by form and materials by paint, made once and shared.
#[derive(Default)]
struct Stock {
    meshes: HashMap<MeshKey, Handle<Mesh>>,
    materials: HashMap<Paint, Handle<StandardMaterial>>,
}

/// Forms that differ by scale only share a mesh; a capsule's caps do not scale, so its numbers' bits are its key.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum MeshKey {
    Box,
    Cylinder,
    Ellipsoid,
    Capsule(u32, u32),
}

impl Stock {
    fn mesh(&mut self, form: Form, meshes: &mut Assets<Mesh>) -> Handle<Mesh> {
        let key = match form {
            Form::Box(_) => MeshKey::Box,
            Form::Cylinder(..) => MeshKey::Cylinder,
            Form::Ellipsoid(_) => MeshKey::Ellipsoid,
            Form::Capsule(half, radius) => MeshKey::Capsule(half.to_bits(), radius.to_bits()),
        };
        self.meshes
            .entry(key)
            .or_insert_with(|| meshes.add(mesh(form)))
            .clone()
    }

    fn material(
        &mut self,
        paint: Paint,
        materials: &mut Assets<StandardMaterial>,
    ) -> Handle<StandardMaterial> {
        self.materials
            .entry(paint)
            .or_insert_with(|| materials.add(paint.material()))
            .clone()
    }
}

/// The mesh of a form: of half extents 1, except for capsules. Bevy's round meshes stand along y, forms along z.
fn mesh(form: Form) -> Mesh {
    let upright = Quat::from_rotation_x(std::f32::consts::FRAC_PI_2);
    match form {
        Form::Box(_) => Cuboid::from_length(2.0).mesh().build(),
        Form::Cylinder(..) => Cylinder::new(1.0, 2.0)
            .mesh()
            .resolution(32)
            .build()
            .rotated_by(upright),
        Form::Ellipsoid(_) => Sphere::new(1.0).mesh().uv(32, 18),
        Form::Capsule(half, radius) => Capsule3d::new(radius, 2.0 * half)
            .mesh()
            .longitudes(20)
            .latitudes(10)
            .build()
            .rotated_by(upright),
    }
}

/// What decides a material. Colors are kept in 8 bits so that equal ones share it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Paint {
    color: [u8; 3],
    kind: Kind,
    selected: bool,
}

impl Paint {
    fn of(piece: &Piece, selected: bool) -> Self {
        // The floor of a selected room says enough; its walls keep their color.
        let selected = selected && piece.kind != Kind::Wall;
        Self {
            color: piece
                .color
                .map(|part| (part.clamp(0.0, 1.0) * 255.0).round() as u8),
            kind: piece.kind,
            selected,
        }
    }

    fn material(self) -> StandardMaterial {
        let [red, green, blue] = self.color;
        let color = Color::srgb_u8(red, green, blue);
        let (mix_with_white, roughness, reflectance, alpha) = match self.kind {
            Kind::Wall => (0.35, 1.0, 0.1, 1.0),
            Kind::Floor => (0.0, 0.9, 0.2, 1.0),
            Kind::Door => (0.0, 0.7, 0.3, 1.0),
            Kind::Furniture => (0.0, 0.85, 0.25, 1.0),
            Kind::Thing => (0.0, 0.45, 0.5, 1.0),
            Kind::Agent | Kind::Hand => (0.0, 0.55, 0.4, 1.0),
            Kind::Muscle => (0.0, 0.5, 0.4, 1.0),
            Kind::Ghost => (0.2, 0.9, 0.1, 0.28),
            Kind::Placeholder => (0.0, 1.0, 0.0, 0.7),
        };
        let mut base = color.mix(&Color::WHITE, mix_with_white);
        let mut emissive = if self.kind == Kind::Muscle {
            color.to_linear() * 0.25
        } else {
            LinearRgba::BLACK
        };
        if self.selected {
            base = base.mix(&SELECTED, 0.35);
            emissive = SELECTED.to_linear() * 0.12;
        }
        StandardMaterial {
            base_color: base.with_alpha(alpha),
            emissive,
            perceptual_roughness: roughness,
            reflectance,
            alpha_mode: if alpha < 1.0 {
                AlphaMode::Blend
            } else {
                AlphaMode::Opaque
            },
            ..default()
        }
    }
}

/// What is selected is tinted and framed with this.
pub(crate) const SELECTED: Color = Color::srgb(1.0, 0.58, 0.1);
/// What is under the pointer is framed with this.
pub(crate) const HOVERED: Color = Color::srgb(0.25, 0.75, 1.0);
