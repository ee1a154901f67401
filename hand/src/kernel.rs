//! From joint angles, velocities and activations to tendon lengths, moment arms, muscle forces and joint torques.
//!
//! Everything is a closed formula of the pose: no time step and no state. It is the solver's own code in double precision.

pub(crate) mod extremes;

use serde::Serialize;

use crate::dynamics::{Workspace, kinematics, point};
use crate::lanes::V3;
use crate::mechanism::{Inside, Mechanism, Place};
use crate::model::{Contact, Model, ParameterSet, ShapeKind};
use crate::muscle::{activation_rate, tension};
use crate::tendon::{course, path, place_wraps, stretches};

/// A model made ready for computing.
#[derive(Clone, Debug)]
pub struct Kernel {
    mechanism: Mechanism<f64>,
    joint_names: Vec<String>,
    muscle_names: Vec<String>,
    places: Vec<(String, Place)>,
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

impl PoseError {
    /// Whether a list has as many numbers as expected, all of them finite.
    ///
    /// # Errors
    /// When it has more or fewer, or one is not finite.
    pub fn check(field: &'static str, list: &[f64], expected: usize) -> Result<(), Self> {
        let found = list.len();
        if found != expected {
            return Err(Self::Count {
                field,
                found,
                expected,
            });
        }
        match list.iter().position(|x| !x.is_finite()) {
            Some(index) => Err(Self::NotFinite { field, index }),
            None => Ok(()),
        }
    }
}

/// Where a body is, in the world.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BodyPose {
    /// Its origin, in metres.
    pub pos: [f64; 3],
    /// Its axes, as the rows of the matrix that takes vectors of the body to the world.
    pub turn: [[f64; 3]; 3],
}

/// Bodies that move as one, as an engine with rigid bodies needs them: in SI units, with all joints at 0.
#[derive(Clone, Debug, PartialEq)]
pub struct Link {
    /// The link that carries it, by its place among the links; 0 is the world.
    pub parent: usize,
    /// Its origin in the parent.
    pub pos: [f64; 3],
    /// Its axes, as the rows of the matrix that takes vectors of the link to the parent.
    pub turn: [[f64; 3]; 3],
    /// Kilograms.
    pub mass: f64,
    /// Centre of mass in the link.
    pub com: [f64; 3],
    /// Inertia around the centre of mass along the link's axes: xx, yy, zz, xy, xz, yz, in kg m².
    pub inertia: [f64; 6],
    /// The joints that move it against its parent, in the order in which they act.
    pub joints: Vec<usize>,
}

/// A shape that touches others, in its link.
#[derive(Clone, Debug, PartialEq)]
pub struct LinkShape {
    /// The link, by its place among the links.
    pub link: usize,
    /// What it is.
    pub kind: ShapeKind,
    /// As in [`crate::model::Shape`]; what a kind does not need is 0.
    pub size: [f64; 3],
    /// Its centre in the link, in metres.
    pub pos: [f64; 3],
    /// Its axes, as the rows of the matrix that takes vectors of the shape to the link.
    pub turn: [[f64; 3]; 3],
    /// How it touches others.
    pub contact: Contact,
}

/// What all muscles together do to a link, in the world.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Pull {
    /// Newtons.
    pub force: [f64; 3],
    /// Newton metres around the link's centre of mass.
    pub torque: [f64; 3],
}

impl Kernel {
    /// Prepares a model that was loaded, with one of its parameter sets. `Compat` also takes over where MuJoCo's search for the
    /// contact along the inside of a surface gives up.
    ///
    /// # Panics
    /// When the model was made by hand and names what is not there.
    pub fn new(model: &Model, parameters: ParameterSet) -> Self {
        let inside = match parameters {
            ParameterSet::Compat => Inside::AsMuJoCo,
            ParameterSet::Calibrated => Inside::Exact,
        };
        let (mechanism, places) = Mechanism::with_places(model, parameters, inside);
        Self {
            mechanism,
            joint_names: model.joint.iter().map(|j| j.name.clone()).collect(),
            muscle_names: model.muscle.iter().map(|m| m.name.clone()).collect(),
            places,
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
        let m = &self.mechanism;
        let mut w = self.placed(&pose.qpos);
        for (joint, &k) in m.dof_of_joint.iter().enumerate() {
            w.qd[k] = pose.qvel[joint];
        }
        let mut answer = Answer {
            lengths: Vec::new(),
            velocities: Vec::new(),
            moment_arms: Vec::new(),
            tensions: Vec::new(),
            joint_torques: vec![0.0; self.joint_names.len()],
        };
        for (i, muscle) in m.muscles.iter().enumerate() {
            path(m, &mut w, i);
            let tension = tension(muscle, w.length[i], w.stretch[i], pose.act[i]);
            let tendon = &m.tendons[i];
            let mut arms = vec![0.0; self.joint_names.len()];
            for (place, &k) in tendon.dofs.iter().enumerate() {
                arms[m.dofs[k].joint] = w.arms[tendon.arms + place];
            }
            for (torque, arm) in answer.joint_torques.iter_mut().zip(&arms) {
                *torque -= arm * tension;
            }
            answer.lengths.push(w.length[i]);
            answer.velocities.push(w.stretch[i]);
            answer.moment_arms.push(arms);
            answer.tensions.push(tension);
        }
        Ok(answer)
    }

    /// Where a body is at joint angles `qpos` (n_joints); none if there is no body of that name.
    pub fn body(&self, name: &str, qpos: &[f64]) -> Option<BodyPose> {
        let place = self.places.iter().find(|(body, _)| body == name)?.1;
        let w = self.placed(qpos);
        let at = point(&w, place.link, &place.pos) + w.origin;
        let turn = w.turn[place.link].product(&place.turn).0;
        Some(BodyPose {
            pos: [at.0, at.1, at.2],
            turn: rows(&turn),
        })
    }

    /// Where each link is at joint angles `qpos` (n_joints), in the order of [`Kernel::links`] (n_links).
    pub fn link_poses(&self, qpos: &[f64]) -> Vec<BodyPose> {
        let w = self.placed(qpos);
        let pose = |(V3(x, y, z), turn): (&V3<f64>, &crate::lanes::M3<f64>)| BodyPose {
            pos: [*x, *y, *z],
            turn: rows(&turn.0),
        };
        w.place.iter().zip(&w.turn).map(pose).collect()
    }

    /// What the muscles do to each link in a pose (n_links): each straight part of a tendon pulls its two ends toward each
    /// other. The joint torques of [`Kernel::evaluate`], for an engine with forces on rigid bodies.
    ///
    /// # Errors
    /// As [`Kernel::evaluate`].
    pub fn pulls(&self, pose: &Pose) -> Result<Vec<Pull>, PoseError> {
        self.check(pose)?;
        let m = &self.mechanism;
        let w = self.placed(&pose.qpos);
        // How each link turns, and how the point of it that is at the origin moves.
        let mut motions = vec![[V3::<f64>::zero(); 2]; m.links.len()];
        for (i, link) in m.links.iter().enumerate().skip(1) {
            let [mut turn, mut way] = motions[link.parent];
            for k in link.dofs.clone() {
                let rate = pose.qvel[m.dofs[k].joint];
                turn = turn + w.angular[k].scale(rate);
                way = way + w.linear[k].scale(rate);
            }
            motions[i] = [turn, way];
        }
        let mut sums = vec![[V3::<f64>::zero(); 2]; m.links.len()];
        let mut found = Vec::new();
        for (i, muscle) in m.muscles.iter().enumerate() {
            let length = stretches(m, &w, i, &mut found);
            let rates = found.iter().map(|part| {
                let [[turn, way], [to_turn, to_way]] = part.links.map(|link| motions[link]);
                part.force.dot(to_way - way) + part.moment.dot(to_turn - turn)
            });
            let tension = tension(muscle, length, rates.sum(), pose.act[i]);
            if tension == 0.0 {
                continue;
            }
            for part in &found {
                let (force, moment) = (part.force.scale(tension), part.moment.scale(tension));
                let [[from, from_moment], [to, to_moment]] = part.links.map(|link| sums[link]);
                sums[part.links[0]] = [from + force, from_moment + moment];
                sums[part.links[1]] = [to - force, to_moment - moment];
            }
        }
        let plain = |V3(x, y, z): V3<f64>| [x, y, z];
        let pulls = m.links.iter().zip(sums).enumerate();
        Ok(pulls
            .map(|(i, (link, [force, moment]))| Pull {
                force: plain(force),
                torque: plain(moment - point(&w, i, &link.com).cross(force)),
            })
            .collect())
    }

    /// The course of each muscle's tendon at joint angles `qpos` (n_joints) in straight parts, from end to end in the world,
    /// in metres (n_muscles × parts). Around a surface it is straight from where it touches first to where it touches last.
    pub fn paths(&self, qpos: &[f64]) -> Vec<Vec<[[f64; 3]; 2]>> {
        let m = &self.mechanism;
        let mut w = self.placed(qpos);
        let origin = w.origin;
        let plain = |at: V3<f64>| {
            let V3(x, y, z) = at + origin;
            [x, y, z]
        };
        (0..m.muscles.len())
            .map(|i| {
                let mut parts = Vec::new();
                path(m, &mut w, i);
                course(m, &w, i, &mut |from, to| {
                    parts.push([plain(from), plain(to)]);
                });
                parts
            })
            .collect()
    }

    /// Bodies that move as one: the world with all that is fixed to it, then each link behind its parent.
    pub fn links(&self) -> Vec<Link> {
        let m = &self.mechanism;
        let link = |link: &crate::mechanism::Link<f64>| {
            let [xx, xy, xz, yy, yz, zz] = link.inertia;
            Link {
                parent: link.parent,
                pos: link.pos,
                turn: rows(
                    &link
                        .turn
                        .unwrap_or([1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]),
                ),
                mass: link.mass,
                com: link.com,
                inertia: [xx, yy, zz, xy, xz, yz],
                joints: link.dofs.clone().map(|k| m.dofs[k].joint).collect(),
            }
        };
        m.links.iter().map(link).collect()
    }

    /// All shapes that touch others, in the order of the model.
    pub fn shapes(&self) -> Vec<LinkShape> {
        let shape = |shape: &crate::mechanism::Shape<f64>| LinkShape {
            link: shape.link,
            kind: shape.kind,
            size: shape.size,
            pos: shape.pos,
            turn: rows(&shape.turn),
            contact: shape.contact.clone(),
        };
        self.mechanism.shapes.iter().map(shape).collect()
    }

    /// Pairs of links that never touch, beside neighbours.
    pub fn excluded(&self) -> &[(usize, usize)] {
        &self.mechanism.excluded
    }

    /// How fast a muscle's activation follows its excitation, per second.
    pub fn activation_rate(&self, muscle: usize, excitation: f64, activation: f64) -> f64 {
        activation_rate(&self.mechanism.muscles[muscle], excitation, activation)
    }

    /// Lengths of the muscles' tendons in metres at joint angles `qpos` (n_joints).
    pub fn lengths(&self, qpos: &[f64]) -> Vec<f64> {
        let mut w = self.placed(qpos);
        for muscle in 0..self.mechanism.muscles.len() {
            path(&self.mechanism, &mut w, muscle);
        }
        w.length
    }

    /// The length of one muscle's tendon in metres at joint angles `qpos` (n_joints).
    fn length(&self, muscle: usize, qpos: &[f64]) -> f64 {
        let mut w = self.placed(qpos);
        path(&self.mechanism, &mut w, muscle);
        w.length[muscle]
    }

    /// The joints that can change the length of a muscle's tendon, sorted.
    fn joints_under(&self, muscle: usize) -> Vec<usize> {
        let dofs = &self.mechanism.tendons[muscle].dofs;
        let mut joints: Vec<usize> = dofs.iter().map(|k| self.mechanism.dofs[*k].joint).collect();
        joints.sort_unstable();
        joints
    }

    fn placed(&self, qpos: &[f64]) -> Workspace<f64> {
        let m = &self.mechanism;
        let mut w = Workspace::new(m);
        for (joint, &k) in m.dof_of_joint.iter().enumerate() {
            w.q[k] = qpos[joint];
        }
        kinematics(m, &mut w);
        place_wraps(m, &mut w);
        w
    }

    fn check(&self, pose: &Pose) -> Result<(), PoseError> {
        let (joints, muscles) = (self.joint_names.len(), self.muscle_names.len());
        for (field, list, expected) in [
            ("qpos", &pose.qpos, joints),
            ("qvel", &pose.qvel, joints),
            ("act", &pose.act, muscles),
        ] {
            PoseError::check(field, list, expected)?;
        }
        match pose.act.iter().position(|a| !(0.0..=1.0).contains(a)) {
            Some(index) => Err(PoseError::Activation {
                index,
                value: pose.act[index],
            }),
            None => Ok(()),
        }
    }
}

fn rows(matrix: &[f64; 9]) -> [[f64; 3]; 3] {
    [0, 1, 2].map(|row| [0, 1, 2].map(|column| matrix[3 * row + column]))
}
