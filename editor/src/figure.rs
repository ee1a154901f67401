//! What walkers and hands look like.

use std::sync::LazyLock;

use hand::kernel::{Kernel, Link, LinkShape};
use hand::model::{self, JointKind, Model, ParameterSet, ShapeKind};
use sim::scenario::types::HandModel;

use crate::scene::{Form, ItemId, Kind, Piece, Solid};

/// Color of a walker, sRGB.
pub const WALKER_COLOR: [f32; 3] = [0.91, 0.55, 0.24];
const HAND_COLOR: [f32; 3] = [0.87, 0.78, 0.70];
/// Colors of a muscle that rests and of one that pulls as hard as it can.
const MUSCLE_COLORS: [[f32; 3]; 2] = [[0.27, 0.33, 0.62], [0.95, 0.20, 0.15]];
/// Radius of a drawn tendon (meters).
const TENDON: f32 = 0.0015;
const UPRIGHT: [f32; 4] = [0.0, 0.0, 0.0, 1.0];

/// A walker that stands at the origin and looks along +x: 1.7 m tall, its shoulders 0.4 m wide.
pub fn walker() -> Vec<Solid> {
    let solid = |form, center| Solid {
        form,
        center,
        rotation: UPRIGHT,
    };
    let both = |form, [x, y, z]: [f32; 3]| [solid(form, [x, y, z]), solid(form, [x, -y, z])];
    let mut solids = vec![
        solid(Form::Ellipsoid([0.11, 0.15, 0.3]), [0.0, 0.0, 1.12]),
        solid(Form::Ellipsoid([0.1, 0.09, 0.12]), [0.0, 0.0, 1.58]),
        // A nose shows where it looks.
        solid(Form::Ellipsoid([0.04, 0.02, 0.02]), [0.1, 0.0, 1.57]),
    ];
    solids.extend(both(Form::Capsule(0.33, 0.065), [0.0, 0.09, 0.46]));
    solids.extend(both(Form::Box([0.11, 0.045, 0.035]), [0.05, 0.09, 0.035]));
    solids.extend(both(Form::Capsule(0.24, 0.045), [0.02, 0.2, 1.08]));
    solids
}

/// The color of a muscle by its activation in [0, 1].
pub fn muscle_color(activation: f32) -> [f32; 3] {
    let [rest, pull] = MUSCLE_COLORS;
    let share = activation.clamp(0.0, 1.0);
    std::array::from_fn(|i| rest[i] + share * (pull[i] - rest[i]))
}

/// A hand's links and muscles. Its first joint is at `position` (meters), turned by `yaw` about z; `pose` has its joint
/// angles (n_joints) and activations (n_muscles), without it, it rests.
pub fn hand(
    item: ItemId,
    which: HandModel,
    position: [f32; 3],
    yaw: f32,
    pose: Option<(&[f64], &[f64])>,
) -> Vec<Piece> {
    let figure = match which {
        HandModel::Myohand => &*MYOHAND,
        HandModel::Robot => &*ROBOT,
    };
    let rest = vec![0.0; figure.model.joint.len()];
    let (qpos, act) = match pose {
        Some((qpos, act)) if qpos.len() == rest.len() => (qpos, act),
        _ => (rest.as_slice(), [].as_slice()),
    };
    let turn = [0.0, 0.0, (0.5 * yaw).sin(), (0.5 * yaw).cos()];
    let first = figure.links.get(1).map_or([0.0; 3], |l| single(l.pos));
    let first = rotate(turn, first);
    let base = [0, 1, 2].map(|i| position[i] - first[i]);
    let world = |frame: &Frame| {
        let at = rotate(turn, frame.position);
        let at = [0, 1, 2].map(|i| base[i] + at[i]);
        (at, product(turn, frame.rotation))
    };
    let frames = figure.frames(qpos);
    let mut pieces = Vec::new();
    for (i, frame) in frames.iter().enumerate() {
        let solids: Vec<Solid> = figure
            .shapes
            .iter()
            .filter(|s| s.link == i)
            .filter_map(solid)
            .collect();
        if solids.is_empty() {
            continue;
        }
        let (position, rotation) = world(frame);
        pieces.push(Piece {
            item,
            part: pieces.len(),
            name: figure.model.name.clone(),
            kind: Kind::Hand,
            position,
            rotation,
            solids,
            color: HAND_COLOR,
        });
    }
    let muscles = figure.kernel.paths(qpos);
    for (i, (path, name)) in muscles.iter().zip(figure.kernel.muscles()).enumerate() {
        let activation = act.get(i).copied().unwrap_or(0.0) as f32;
        pieces.push(Piece {
            item,
            part: pieces.len(),
            name: name.clone(),
            kind: Kind::Muscle,
            position: base,
            rotation: turn,
            solids: path.iter().filter_map(|p| stretch(*p, TENDON)).collect(),
            color: muscle_color(activation),
        });
    }
    pieces
}

static MYOHAND: LazyLock<Figure> = LazyLock::new(|| Figure::new(hand::MYOHAND));
static ROBOT: LazyLock<Figure> = LazyLock::new(|| Figure::new(hand::ROBOT_HAND));

struct Figure {
    model: Model,
    kernel: Kernel,
    links: Vec<Link>,
    shapes: Vec<LinkShape>,
}

/// Where a link is in the hand's own world.
#[derive(Clone, Copy)]
struct Frame {
    position: [f32; 3],
    rotation: [f32; 4],
}

impl Figure {
    fn new(text: &str) -> Self {
        let model = model::load_text(text, "hand.toml").expect("crate hand checks its own models");
        let kernel = Kernel::new(&model, ParameterSet::Calibrated);
        Self {
            links: kernel.links(),
            shapes: kernel.shapes(),
            model,
            kernel,
        }
    }

    /// Of every link, from the joint angles.
    fn frames(&self, qpos: &[f64]) -> Vec<Frame> {
        let mut frames: Vec<Frame> = Vec::new();
        for (i, link) in self.links.iter().enumerate() {
            let above = match frames.get(link.parent) {
                Some(above) if i > 0 => *above,
                _ => Frame {
                    position: [0.0; 3],
                    rotation: UPRIGHT,
                },
            };
            let mut frame = above.then(single(link.pos), quaternion(&link.turn));
            for &index in &link.joints {
                let joint = &self.model.joint[index];
                let axis = unit(single(joint.axis));
                let angle = qpos[index] as f32;
                frame = match joint.kind {
                    JointKind::Slide => frame.then(axis.map(|a| a * angle), UPRIGHT),
                    JointKind::Hinge => {
                        let (s, c) = (0.5 * angle).sin_cos();
                        let anchor = single(joint.anchor);
                        let turned = [axis[0] * s, axis[1] * s, axis[2] * s, c];
                        frame.then(anchor, turned).then(anchor.map(|a| -a), UPRIGHT)
                    }
                };
            }
            frames.push(frame);
        }
        frames
    }
}

impl Frame {
    fn then(&self, by: [f32; 3], turn: [f32; 4]) -> Self {
        let by = rotate(self.rotation, by);
        Self {
            position: [0, 1, 2].map(|i| self.position[i] + by[i]),
            rotation: product(self.rotation, turn),
        }
    }
}

pub(crate) fn solid(shape: &LinkShape) -> Option<Solid> {
    Some(Solid {
        form: form(shape.kind, shape.size)?,
        center: single(shape.pos),
        rotation: quaternion(&shape.turn),
    })
}

/// Form of a hand's shape; none for planes, which have no end.
pub(crate) fn form(kind: ShapeKind, size: [f64; 3]) -> Option<Form> {
    let [a, b, c] = single(size);
    Some(match kind {
        ShapeKind::Sphere => Form::Ellipsoid([a; 3]),
        ShapeKind::Capsule => Form::Capsule(b, a),
        ShapeKind::Cylinder => Form::Cylinder(b, a),
        ShapeKind::Box => Form::Box([a, b, c]),
        ShapeKind::Ellipsoid => Form::Ellipsoid([a, b, c]),
        ShapeKind::Plane => return None,
    })
}

/// A straight part of a tendon, drawn that thick (meters); none where it has no length.
pub(crate) fn stretch([from, to]: [[f64; 3]; 2], radius: f32) -> Option<Solid> {
    let (from, to) = (single(from), single(to));
    let way = [0, 1, 2].map(|i| to[i] - from[i]);
    let length = way.iter().map(|x| x * x).sum::<f32>().sqrt();
    if length < 1e-5 {
        return None;
    }
    // From z to the way: about their cross product.
    let [x, y, z] = way.map(|v| v / length);
    let rotation = if z < -0.9999 {
        [1.0, 0.0, 0.0, 0.0]
    } else {
        let w = (0.5 * (1.0 + z)).sqrt();
        [-0.5 * y / w, 0.5 * x / w, 0.0, w]
    };
    Some(Solid {
        form: Form::Capsule(0.5 * length, radius),
        center: [0, 1, 2].map(|i| 0.5 * (from[i] + to[i])),
        rotation,
    })
}

fn single(v: [f64; 3]) -> [f32; 3] {
    v.map(|x| x as f32)
}

fn unit(v: [f32; 3]) -> [f32; 3] {
    let length = v.iter().map(|x| x * x).sum::<f32>().sqrt().max(1e-9);
    v.map(|x| x / length)
}

/// Turns a vector by a unit quaternion (x, y, z, w).
pub fn rotate([x, y, z, w]: [f32; 4], v: [f32; 3]) -> [f32; 3] {
    let cross = |a: [f32; 3], b: [f32; 3]| {
        [
            a[1] * b[2] - a[2] * b[1],
            a[2] * b[0] - a[0] * b[2],
            a[0] * b[1] - a[1] * b[0],
        ]
    };
    let u = [x, y, z];
    let t = cross(u, v).map(|c| 2.0 * c);
    let s = cross(u, t);
    [0, 1, 2].map(|i| v[i] + w * t[i] + s[i])
}

/// First `b`, then `a`.
pub fn product([ax, ay, az, aw]: [f32; 4], [bx, by, bz, bw]: [f32; 4]) -> [f32; 4] {
    [
        aw * bx + ax * bw + ay * bz - az * by,
        aw * by - ax * bz + ay * bw + az * bx,
        aw * bz + ax * by - ay * bx + az * bw,
        aw * bw - ax * bx - ay * by - az * bz,
    ]
}

/// From a rotation's rows, after Shepperd: the largest of the four parts is taken first.
pub(crate) fn quaternion(rows: &[[f64; 3]; 3]) -> [f32; 4] {
    let [w, x, y, z] = hand::turns::quat_of(rows);
    [x, y, z, w].map(|part| part as f32)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The kernel says where bodies are; what is drawn must be there.
    #[test]
    fn links_are_where_the_kernel_has_them() {
        for figure in [&*MYOHAND, &*ROBOT] {
            let bent: Vec<f64> = (0..figure.model.joint.len())
                .map(|i| 0.3 * ((i * 7 % 5) as f64 - 2.0))
                .collect();
            for qpos in [vec![0.0; bent.len()], bent] {
                let frames = figure.frames(&qpos);
                let mut found = 0;
                for body in &figure.model.body {
                    let pose = figure.kernel.body(&body.name, &qpos).unwrap();
                    let at = single(pose.pos);
                    found += usize::from(
                        frames
                            .iter()
                            .any(|f| (0..3).all(|i| (f.position[i] - at[i]).abs() < 1e-4)),
                    );
                }
                assert!(
                    found + 6 > figure.links.len(),
                    "{found} of {}",
                    figure.links.len()
                );
            }
        }
    }

    #[test]
    fn every_muscle_has_a_way() {
        let item = ItemId {
            table: crate::scene::Table::Agent,
            index: 0,
        };
        let pieces = hand(item, HandModel::Myohand, [1.0, 2.0, 1.0], 1.0, None);
        let muscles = pieces.iter().filter(|p| p.kind == Kind::Muscle);
        assert_eq!(muscles.clone().count(), 39);
        for muscle in muscles {
            assert!(!muscle.solids.is_empty(), "{}", muscle.name);
        }
        assert!(pieces.iter().filter(|p| p.kind == Kind::Hand).count() >= 15);
    }
}
