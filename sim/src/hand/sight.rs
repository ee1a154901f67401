//! What a camera sees of a hand at its task: drawn from an observation alone, so that stores keep states and pictures are made
//! again at any time.

use std::sync::Arc;

use ::hand::kernel::{Kernel, LinkShape};
use ::hand::model::ShapeKind;
use ::hand::scene::Primitive;
use ::hand::turns::{apply, matrix, product, quat_of};

use super::appearance::Appearance;
use super::objects::prop;
use super::task::{Task, View};
use super::{HandEnv, Seen};
use crate::camera::{self, Camera, CameraEntry, Light, Material, Solid, Texture};
use crate::catalogue::{Catalogue, Class};

/// Colors of bodies by the beginnings of their names; furniture has its class's, others are [`SKIN`]. sRGB.
const COLORS: [(&str, [f32; 3]); 4] = [
    ("finger", [0.15, 0.15, 0.17]),
    ("palm", [0.35, 0.36, 0.40]),
    ("point", [0.20, 0.35, 0.85]),
    ("key", [0.80, 0.65, 0.20]),
];
const SKIN: [f32; 3] = [0.90, 0.75, 0.60];
const WOOD: [f32; 3] = [0.66, 0.52, 0.36];
const FLOOR: [f32; 3] = [0.62, 0.64, 0.62];
const MARK: [f32; 3] = [0.95, 0.10, 0.25];
/// Radius of the marker of a target, meters.
const MARK_RADIUS: f32 = 0.025;

/// Draws observations of one task.
#[derive(Clone, Debug)]
pub struct Sight {
    kernel: Kernel,
    shapes: Vec<(LinkShape, [f32; 3])>,
    /// What never moves.
    still: Vec<Solid>,
    /// Shapes of each object.
    objects: Vec<Vec<Solid>>,
    task: Arc<dyn Task>,
    max_steps: u32,
}

/// Whether the target is to be seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Context {
    /// Who looks does not know what is wanted.
    #[default]
    Latent,
    /// A marker shows where something shall be.
    Visible,
}

impl Sight {
    /// For the worlds of an environment.
    pub fn of(env: &HandEnv) -> Self {
        let setting = env.setting();
        let scene = env.scene();
        let kernel = setting.kernel.clone();
        // Links are the bodies that move, in the order of the model; the color is that of the joint's body.
        let color_of = |link: usize| {
            let joint = kernel.links()[link].joints.last().copied();
            let body = joint.map(|j| setting.model.joint[j].body.clone());
            let body = body.unwrap_or_default();
            let found = COLORS.iter().find(|(name, _)| body.starts_with(name));
            found.map_or_else(|| furniture(&body), |(_, color)| *color)
        };
        let shapes = kernel.shapes().into_iter();
        let shapes = shapes.map(|s| (s.clone(), color_of(s.link))).collect();
        let mut still = vec![Solid {
            shape: camera::Shape::Plane,
            position: [0.0, 0.0, if scene.fixed.is_empty() { 0.0 } else { -0.06 }],
            material: Material {
                texture: Texture::Checker {
                    size: 0.5,
                    color: FLOOR.map(|x| 0.9 * x),
                },
                ..Material::plain(FLOOR)
            },
            id: 1,
            ..Solid::default()
        }];
        still.extend(scene.fixed.iter().map(|fixed| primitive(fixed, WOOD, 2)));
        let catalogue = Catalogue::standard();
        let color = |name: &str| {
            let class = || catalogue.find(name).map(|id| catalogue.class(id).color);
            let prop = prop(name).map(|prop| prop.color);
            prop.or_else(class).unwrap_or([0.30, 0.55, 0.80])
        };
        let objects = scene.objects.iter().map(|object| {
            let color = color(&object.name);
            let shapes = object.shapes.iter();
            shapes.map(|shape| primitive(shape, color, 3)).collect()
        });
        Self {
            shapes,
            still,
            objects: objects.collect(),
            task: Arc::clone(env.task()),
            max_steps: env.max_steps(),
            kernel,
        }
    }

    /// Fills a scene with what is there; nothing of what it was stays.
    pub fn draw(
        &self,
        seen: &Seen<'_>,
        context: Context,
        appearance: &Appearance,
        scene: &mut camera::Scene,
    ) {
        scene.solids.clear();
        scene.light = Light {
            shadows: false,
            ..Light::default()
        };
        scene.solids.extend_from_slice(&self.still);
        let qpos = self.qpos(seen);
        let poses = self.kernel.link_poses(&qpos);
        for (shape, color) in &self.shapes {
            let pose = &poses[shape.link];
            let pos = apply(&pose.turn, shape.pos);
            let [w, x, y, z] = quat_of(&product(&pose.turn, &shape.turn));
            scene.solids.push(Solid {
                shape: form(shape.kind, shape.size),
                position: [0, 1, 2].map(|i| (pose.pos[i] + pos[i]) as f32),
                rotation: [x, y, z, w].map(|x| x as f32),
                material: Material::plain(*color),
                id: 4 + shape.link as u16,
                ..Solid::default()
            });
        }
        let (poses, _) = seen.object_pose.as_chunks();
        for ([x, y, z, w, i, j, k], shapes) in poses.iter().zip(&self.objects) {
            let turn = matrix([*w, *i, *j, *k].map(f64::from));
            for solid in shapes {
                let offset = apply(&turn, solid.position.map(f64::from));
                let own = matrix([3, 0, 1, 2].map(|i| f64::from(solid.rotation[i])));
                let [w, i, j, k] = quat_of(&product(&turn, &own)).map(|x| x as f32);
                scene.solids.push(Solid {
                    position: [
                        x + offset[0] as f32,
                        y + offset[1] as f32,
                        z + offset[2] as f32,
                    ],
                    rotation: [i, j, k, w],
                    ..solid.clone()
                });
            }
        }
        // Steps from the episode's start.
        let passed = seen.phase.first().unwrap_or(&0.0) * self.max_steps as f32;
        appearance.apply(libm::roundf(passed) as u32, scene);
        if let (Context::Visible, Some(position)) = (context, self.task.mark(seen)) {
            scene.solids.push(Solid {
                shape: camera::Shape::Sphere {
                    radius: MARK_RADIUS,
                },
                position,
                material: Material::plain(MARK),
                id: 3 + u16::MAX / 2,
                casts_shadow: false,
                ..Solid::default()
            });
        }
    }
    /// A camera of the scenario as it stands now; `None` if nothing has the name of what it is on.
    pub fn camera(&self, entry: &CameraEntry, seen: &Seen<'_>) -> Option<Camera> {
        let Some(on) = &entry.on else {
            return Some(entry.camera(None));
        };
        let pose = self.kernel.body(on.get_ref(), &self.qpos(seen))?;
        let [w, x, y, z] = quat_of(&pose.turn);
        let frame = (pose.pos.map(|x| x as f32), [x, y, z, w].map(|x| x as f32));
        Some(entry.camera(Some(frame)))
    }

    fn qpos(&self, seen: &Seen<'_>) -> Vec<f64> {
        let angles = seen.joint_angles.iter().chain(seen.hinge_angles);
        let mut qpos: Vec<f64> = angles.map(|x| f64::from(*x)).collect();
        qpos.resize(self.kernel.joints().len(), 0.0);
        qpos
    }
}

/// The color of a body by the catalogue's class that its name begins with; what moves of it is darker.
fn furniture(body: &str) -> [f32; 3] {
    let named = |(_, class): &(_, &Class)| body.starts_with(&class.name);
    let catalogue = Catalogue::standard();
    let classes = catalogue.classes().filter(named);
    let class = classes.max_by_key(|(_, class)| class.name.len());
    class.map_or(SKIN, |(_, class)| {
        let shade = if body.ends_with("part") { 0.7 } else { 1.0 };
        class.color.map(|x| shade * x)
    })
}

/// The camera from which a task is usually seen, square, with sides of `size` pixels.
pub fn usual_camera(task: &dyn Task, size: usize) -> Camera {
    let View { from, to, fovy, .. } = task.view();
    Camera::look_at(from, to, fovy, size, size)
}

fn form(kind: ShapeKind, size: [f64; 3]) -> camera::Shape {
    let [a, b, c] = size.map(|x| x as f32);
    match kind {
        ShapeKind::Sphere => camera::Shape::Sphere { radius: a },
        ShapeKind::Capsule => camera::Shape::Capsule {
            radius: a,
            half_length: b,
        },
        ShapeKind::Cylinder => camera::Shape::Cylinder {
            radius: a,
            half_length: b,
        },
        ShapeKind::Box => camera::Shape::Box { half: [a, b, c] },
        ShapeKind::Ellipsoid => camera::Shape::Ellipsoid { half: [a, b, c] },
        ShapeKind::Plane => camera::Shape::Plane,
    }
}

fn primitive(primitive: &Primitive, color: [f32; 3], id: u16) -> Solid {
    let [w, x, y, z] = primitive.quat.map(|x| x as f32);
    Solid {
        shape: form(primitive.kind, primitive.size),
        position: primitive.pos.map(|x| x as f32),
        rotation: [x, y, z, w],
        material: Material::plain(color),
        id,
        ..Solid::default()
    }
}
