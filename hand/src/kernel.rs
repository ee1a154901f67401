//! From joint angles, velocities and activations to tendon lengths, moment arms, muscle forces and joint torques.
//!
//! Everything is a closed formula of the pose: no time step and no state. A model's names are resolved once into flat lists.

pub(crate) mod extremes;
pub mod muscle;
mod wrap;

use std::collections::BTreeSet;

use serde::Serialize;

use crate::math::{
    M3, V3, add, apply, apply_transposed, around, cross, dot, matrix, norm, product, scale, sub,
    turn, unit, unit_quat,
};
use crate::model::{Curves, JointKind, Model, ParameterSet, PathPoint, ShapeKind};
use wrap::{Inside, Surface};

/// A model made ready for computing.
#[derive(Clone, Debug)]
pub struct Kernel {
    joint_names: Vec<String>,
    muscle_names: Vec<String>,
    /// Parents before children; 0 is the world.
    bodies: Vec<FixedBody>,
    joints: Vec<FixedJoint>,
    /// All tendons' spans, one tendon after the other.
    spans: Vec<Span>,
    muscles: Vec<FixedMuscle>,
}

/// What a muscle's answer is computed from. Angles in the order of the model's joints.
#[derive(Clone, Debug, PartialEq)]
pub struct Pose {
    /// Joint angles in radians, or places in metres (n_joints).
    pub qpos: Vec<f64>,
    /// Joint velocities per second (n_joints).
    pub qvel: Vec<f64>,
    /// Activations in [0, 1] (n_muscles).
    pub act: Vec<f64>,
}

/// What the muscles do in a pose, in SI units.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Answer {
    /// Lengths of the muscles' tendons (n_muscles).
    pub lengths: Vec<f64>,
    /// How fast they lengthen (n_muscles).
    pub velocities: Vec<f64>,
    /// Change of length by joint angle: metres a radian (n_muscles × n_joints).
    pub moment_arms: Vec<Vec<f64>>,
    /// How strong each muscle pulls, in newtons; never negative (n_muscles).
    pub tensions: Vec<f64>,
    /// What all muscles together do to each joint, in newton metres (n_joints).
    pub joint_torques: Vec<f64>,
}

/// A pose that does not fit the model.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum PoseError {
    /// A list has the wrong length.
    #[error("{field} has {found} numbers, expected {expected}")]
    Count {
        /// Which list.
        field: &'static str,
        /// How many numbers it has.
        found: usize,
        /// How many it must have.
        expected: usize,
    },
    /// A number is not finite.
    #[error("{field}[{index}] is not a finite number")]
    NotFinite {
        /// Which list.
        field: &'static str,
        /// Which number, counted from 0.
        index: usize,
    },
    /// An activation is outside 0 to 1.
    #[error("act[{index}] is {value}, expected a number from 0 to 1")]
    Activation {
        /// Which number, counted from 0.
        index: usize,
        /// What it is.
        value: f64,
    },
}

#[derive(Clone, Debug)]
struct FixedBody {
    parent: usize,
    pos: V3,
    quat: [f64; 4],
    joints: Vec<usize>,
}

#[derive(Clone, Debug)]
struct FixedJoint {
    kind: JointKind,
    axis: V3,
    anchor: V3,
}

#[derive(Clone, Debug)]
struct FixedMuscle {
    /// Its tendon's part of `spans`.
    spans: std::ops::Range<usize>,
    peak_force: f64,
    length_range: [f64; 2],
    curves: Curves,
}

/// The way between two sites, around at most one shape.
#[derive(Clone, Debug)]
struct Span {
    from: Point,
    to: Point,
    around: Option<Around>,
    /// The joints between the two bodies of each straight part; +1 moves its end, -1 its start.
    direct: Vec<(usize, f64)>,
    before: Vec<(usize, f64)>,
    after: Vec<(usize, f64)>,
}

#[derive(Clone, Copy, Debug)]
struct Point {
    body: usize,
    pos: V3,
}

#[derive(Clone, Debug)]
struct Around {
    body: usize,
    pos: V3,
    turn: M3,
    surface: Surface,
}

/// Where bodies and joints are in the world.
struct Frames {
    pos: Vec<V3>,
    turn: Vec<M3>,
    axis: Vec<V3>,
    anchor: Vec<V3>,
}

impl Kernel {
    /// Prepares a model that was loaded, with one of its parameter sets.
    ///
    /// # Panics
    /// When the model was made by hand and names what is not there.
    pub fn new(model: &Model, parameters: ParameterSet) -> Self {
        // Parents first.
        let mut order: Vec<&str> = vec!["world"];
        let mut next = 0;
        while next < order.len() {
            let parent = order[next];
            order.extend(
                model
                    .body
                    .iter()
                    .filter(|b| b.parent == parent)
                    .map(|b| b.name.as_str()),
            );
            next += 1;
        }
        let body_index = |name: &str| {
            order
                .iter()
                .position(|b| *b == name)
                .expect("a checked model names its bodies")
        };
        let bodies: Vec<FixedBody> = order
            .iter()
            .map(|name| {
                let body = model.body.iter().find(|b| b.name == *name);
                let joints = model
                    .joint
                    .iter()
                    .enumerate()
                    .filter(|(_, j)| j.body == *name);
                FixedBody {
                    parent: body.map_or(0, |b| body_index(&b.parent)),
                    pos: body.map_or([0.0; 3], |b| b.pos),
                    quat: body.map_or([1.0, 0.0, 0.0, 0.0], |b| unit_quat(b.quat)),
                    joints: joints.map(|(i, _)| i).collect(),
                }
            })
            .collect();
        let joints = model.joint.iter().map(|j| FixedJoint {
            kind: j.kind,
            axis: unit(j.axis),
            anchor: j.anchor,
        });
        let ancestors = |mut body: usize| {
            let mut found = Vec::new();
            while body != 0 {
                found.extend_from_slice(&bodies[body].joints);
                body = bodies[body].parent;
            }
            found
        };
        let between = |from: usize, to: usize| {
            let (from, to) = (ancestors(from), ancestors(to));
            let starts = from.iter().filter(|j| !to.contains(j)).map(|j| (*j, -1.0));
            let ends = to.iter().filter(|j| !from.contains(j)).map(|j| (*j, 1.0));
            starts.chain(ends).collect::<Vec<_>>()
        };
        let point = |name: &str| {
            let site = model
                .site
                .iter()
                .find(|s| s.name == name)
                .expect("a checked model names its sites");
            Point {
                body: body_index(&site.body),
                pos: site.pos,
            }
        };
        let around = |shape: &str, side: Option<&str>| {
            let shape = model
                .shape
                .iter()
                .find(|s| s.name == shape)
                .expect("a checked model names its shapes");
            let turn = matrix(unit_quat(shape.quat));
            let side = side.map(|side| apply_transposed(&turn, sub(point(side).pos, shape.pos)));
            Around {
                body: body_index(&shape.body),
                pos: shape.pos,
                turn,
                surface: Surface {
                    sphere: shape.kind == ShapeKind::Sphere,
                    radius: shape.size[0],
                    side,
                    inside: match parameters {
                        ParameterSet::Compat => Inside::AsMuJoCo,
                        ParameterSet::Calibrated => Inside::Exact,
                    },
                },
            }
        };
        let mut spans = Vec::new();
        let mut muscles = Vec::new();
        for muscle in &model.muscle {
            let tendon = model.tendon.iter().find(|t| t.name == muscle.tendon);
            let first = spans.len();
            let (mut from, mut wrap) = (None, None);
            for part in &tendon.expect("a checked model names its tendons").path {
                match part {
                    PathPoint::Wrap { shape, side } => wrap = Some(around(shape, side.as_deref())),
                    PathPoint::Site(name) => {
                        let to = point(name);
                        if let Some(from) = from.replace(to) {
                            let around: Option<Around> = wrap.take();
                            let middle = around.as_ref().map_or(from.body, |a| a.body);
                            spans.push(Span {
                                direct: between(from.body, to.body),
                                before: between(from.body, middle),
                                after: between(middle, to.body),
                                from,
                                to,
                                around,
                            });
                        }
                    }
                }
            }
            muscles.push(FixedMuscle {
                spans: first..spans.len(),
                peak_force: muscle.peak_force,
                length_range: muscle.length_range(parameters),
                curves: muscle.curves,
            });
        }
        Self {
            joint_names: model.joint.iter().map(|j| j.name.clone()).collect(),
            muscle_names: model.muscle.iter().map(|m| m.name.clone()).collect(),
            joints: joints.collect(),
            bodies,
            spans,
            muscles,
        }
    }

    /// Names of the joints, in the order of `qpos`.
    pub fn joints(&self) -> &[String] {
        &self.joint_names
    }

    /// Names of the muscles, in the order of `act`.
    pub fn muscles(&self) -> &[String] {
        &self.muscle_names
    }

    /// What the muscles do in a pose.
    ///
    /// # Errors
    /// When the pose has the wrong number of numbers, one that is not finite, or an activation outside 0 to 1.
    pub fn evaluate(&self, pose: &Pose) -> Result<Answer, PoseError> {
        self.check(pose)?;
        let frames = self.frames(&pose.qpos);
        let mut answer = Answer {
            lengths: Vec::new(),
            velocities: Vec::new(),
            moment_arms: Vec::new(),
            tensions: Vec::new(),
            joint_torques: vec![0.0; self.joints.len()],
        };
        for (muscle, activation) in self.muscles.iter().zip(&pose.act) {
            let mut arms = vec![0.0; self.joints.len()];
            let length = self.path(&frames, muscle, Some(&mut arms));
            let velocity = arms
                .iter()
                .zip(&pose.qvel)
                .map(|(arm, rate)| arm * rate)
                .sum();
            let FixedMuscle {
                curves,
                peak_force,
                length_range,
                ..
            } = muscle;
            let tension = muscle::tension(
                curves,
                *peak_force,
                *length_range,
                length,
                velocity,
                *activation,
            );
            for (torque, arm) in answer.joint_torques.iter_mut().zip(&arms) {
                *torque -= arm * tension;
            }
            answer.lengths.push(length);
            answer.velocities.push(velocity);
            answer.moment_arms.push(arms);
            answer.tensions.push(tension);
        }
        Ok(answer)
    }

    /// How fast a muscle's activation follows its excitation, per second.
    pub fn activation_rate(&self, muscle: usize, excitation: f64, activation: f64) -> f64 {
        muscle::activation_rate(&self.muscles[muscle].curves, excitation, activation)
    }

    /// The length of one muscle's tendon in metres at joint angles `qpos` (n_joints).
    fn length(&self, muscle: usize, qpos: &[f64]) -> f64 {
        self.path(&self.frames(qpos), &self.muscles[muscle], None)
    }

    /// The joints that can change the length of a muscle's tendon, sorted.
    fn joints_under(&self, muscle: usize) -> Vec<usize> {
        let spans = &self.spans[self.muscles[muscle].spans.clone()];
        let parts = spans
            .iter()
            .flat_map(|span| [&span.direct, &span.before, &span.after]);
        let joints: BTreeSet<usize> = parts.flatten().map(|(joint, _)| *joint).collect();
        joints.into_iter().collect()
    }

    fn check(&self, pose: &Pose) -> Result<(), PoseError> {
        let (joints, muscles) = (self.joints.len(), self.muscles.len());
        for (field, list, expected) in [
            ("qpos", &pose.qpos, joints),
            ("qvel", &pose.qvel, joints),
            ("act", &pose.act, muscles),
        ] {
            if list.len() != expected {
                return Err(PoseError::Count {
                    field,
                    found: list.len(),
                    expected,
                });
            }
            if let Some(index) = list.iter().position(|x| !x.is_finite()) {
                return Err(PoseError::NotFinite { field, index });
            }
        }
        match pose.act.iter().position(|a| !(0.0..=1.0).contains(a)) {
            Some(index) => Err(PoseError::Activation {
                index,
                value: pose.act[index],
            }),
            None => Ok(()),
        }
    }

    /// Forward kinematics: the joints of a body turn it one after the other, each around its own anchor.
    fn frames(&self, qpos: &[f64]) -> Frames {
        let identity = matrix([1.0, 0.0, 0.0, 0.0]);
        let mut quats = vec![[1.0, 0.0, 0.0, 0.0]; self.bodies.len()];
        let mut frames = Frames {
            pos: vec![[0.0; 3]; self.bodies.len()],
            turn: vec![identity; self.bodies.len()],
            axis: vec![[0.0; 3]; self.joints.len()],
            anchor: vec![[0.0; 3]; self.joints.len()],
        };
        for (i, body) in self.bodies.iter().enumerate().skip(1) {
            let mut pos = add(
                frames.pos[body.parent],
                apply(&frames.turn[body.parent], body.pos),
            );
            let mut quat = turn(quats[body.parent], body.quat);
            for &j in &body.joints {
                let joint = &self.joints[j];
                let rotation = matrix(quat);
                frames.axis[j] = apply(&rotation, joint.axis);
                frames.anchor[j] = add(pos, apply(&rotation, joint.anchor));
                match joint.kind {
                    JointKind::Slide => pos = add(pos, scale(frames.axis[j], qpos[j])),
                    JointKind::Hinge => {
                        quat = turn(quat, around(joint.axis, qpos[j]));
                        pos = sub(frames.anchor[j], apply(&matrix(quat), joint.anchor));
                    }
                }
            }
            quats[i] = unit_quat(quat);
            (frames.pos[i], frames.turn[i]) = (pos, matrix(quats[i]));
        }
        frames
    }

    /// A tendon's length in metres; adds its change by joint to `arms` (n_joints).
    fn path(&self, frames: &Frames, muscle: &FixedMuscle, mut arms: Option<&mut [f64]>) -> f64 {
        let mut length = 0.0;
        let mut straight = |a: V3, b: V3, joints: &[(usize, f64)]| {
            let way = sub(b, a);
            if let Some(arms) = arms.as_deref_mut() {
                let e = unit(way);
                for &(j, sign) in joints {
                    let end = if sign > 0.0 { b } else { a };
                    let moved = match self.joints[j].kind {
                        JointKind::Hinge => cross(frames.axis[j], sub(end, frames.anchor[j])),
                        JointKind::Slide => frames.axis[j],
                    };
                    arms[j] += sign * dot(moved, e);
                }
            }
            norm(way)
        };
        for span in &self.spans[muscle.spans.clone()] {
            let place = |p: Point| add(frames.pos[p.body], apply(&frames.turn[p.body], p.pos));
            let (a, b) = (place(span.from), place(span.to));
            let touch = span.around.as_ref().and_then(|around| {
                let turn = product(&frames.turn[around.body], &around.turn);
                let centre = place(Point {
                    body: around.body,
                    pos: around.pos,
                });
                let local = |p: V3| apply_transposed(&turn, sub(p, centre));
                let touch = around.surface.touch(local(a), local(b))?;
                let lift = |p: V3| add(centre, apply(&turn, p));
                Some((lift(touch.first), lift(touch.last), touch.arc))
            });
            length += match touch {
                None => straight(a, b, &span.direct),
                Some((first, last, arc)) => {
                    straight(a, first, &span.before) + arc + straight(last, b, &span.after)
                }
            };
        }
        length
    }
}
