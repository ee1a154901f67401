//! From joint angles, velocities and activations to tendon lengths, moment arms, muscle forces and joint torques.
//!
//! Everything is a closed formula of the pose: no time step and no state. It is the solver's own code in double precision.

pub(crate) mod extremes;

use serde::Serialize;

use crate::dynamics::{Workspace, kinematics, point};
use crate::lanes::V3;
use crate::mechanism::{Inside, Mechanism, Place};
use crate::model::{Model, ParameterSet};
use crate::muscle::{activation_rate, tension};
use crate::tendon::{path, place_wraps, stretches};

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

/// Where a body is, in the world.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BodyPose {
    /// Its origin, in metres.
    pub pos: [f64; 3],
    /// Its axes, as the rows of the matrix that takes vectors of the body to the world.
    pub turn: [[f64; 3]; 3],
}

/// A stretch of a tendon between two bodies: each end is pulled toward the other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stretch {
    /// The muscle that pulls.
    pub muscle: usize,
    /// The joints that carry the body of the first end, by the last of them; none: the world.
    pub from_joint: Option<usize>,
    /// The same of the second end.
    pub to_joint: Option<usize>,
    /// The first end, in metres, in the world.
    pub from: [f64; 3],
    /// The second end.
    pub to: [f64; 3],
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
            turn: [0, 1, 2].map(|row| [0, 1, 2].map(|column| turn[3 * row + column])),
        })
    }

    /// All straight parts of all muscles' tendons that join bodies which move against each other, at joint angles `qpos`
    /// (n_joints): what an engine with point forces needs.
    pub fn stretches(&self, qpos: &[f64]) -> Vec<Stretch> {
        let m = &self.mechanism;
        let w = self.placed(qpos);
        let last_joint = |link: usize| m.links[link].chain.last().map(|k| m.dofs[*k].joint);
        let world = |at: V3<f64>| {
            let V3(x, y, z) = at + w.origin;
            [x, y, z]
        };
        let mut found = Vec::new();
        for muscle in 0..m.muscles.len() {
            stretches(m, &w, muscle, &mut |from_link, from, to_link, to| {
                found.push(Stretch {
                    muscle,
                    from_joint: last_joint(from_link),
                    to_joint: last_joint(to_link),
                    from: world(from),
                    to: world(to),
                });
            });
        }
        found
    }

    /// How fast a muscle's activation follows its excitation, per second.
    pub fn activation_rate(&self, muscle: usize, excitation: f64, activation: f64) -> f64 {
        activation_rate(&self.mechanism.muscles[muscle], excitation, activation)
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
}
