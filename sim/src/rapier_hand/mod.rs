//! A hand of crate [`hand`] in Rapier, for scenes where it meets what Rapier moves.
//!
//! `RapierHand` is the hand itself: a multibody that is put into any set of bodies, and the muscles and motors that drive
//! it. [`HandScene`] is a scene of crate `hand` (one hand, free objects, things that stand still) in Rapier: the same
//! description as [`hand::batch::Batch`] takes, the same states, another engine.
//!
//! What differs from the batch solver: single precision, contacts and friction are Rapier's (a pyramid-free Coulomb cone at
//! each point, no torsional friction), ellipsoids are polyhedra, and between two joints of one body lies a link of a
//! millionth of a kilogram. Limits give way with the stiffness and damping that the model names.

mod arm;
mod build;
mod groups;
mod scene;
pub mod scenes;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use hand::kernel::{Kernel, Pose, PoseError};
use hand::model::JointKind;
use hand::scene::ObjectError;
use rapier3d::math::{Pose as Iso, Rotation, Vector};
use rapier3d::prelude::{
    IntegrationParameters, JointAxesMask, MultibodyJointHandle, MultibodyJointSet, RigidBodyHandle,
    RigidBodySet, SpringCoefficients,
};

pub(crate) use arm::{ARM, on_arm};
pub(crate) use build::{Base, HAND, Sets, Takes, own_groups};
pub use scene::{HandScene, HandSnapshot};

/// What is wrong with a hand that was asked for, or with what it was asked to do.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum HandError {
    /// More kinds of parts, by what they may touch, than Rapier's collision groups can tell apart.
    #[error("the parts differ in more than {0} ways by what they may touch")]
    Groups(u32),
    /// A list of numbers that does not fit the hand.
    #[error(transparent)]
    Pose(#[from] PoseError),
    /// A shape that Rapier cannot make.
    #[error("shape {index} of \"{owner}\" is flat or has no size")]
    Shape {
        /// The hand's model, or the object.
        owner: String,
        /// Which shape, counted from 0.
        index: usize,
    },
    /// The model has no such site.
    #[error("there is no site \"{0}\"")]
    Site(String),
    /// A house without a hand was asked to move it.
    #[error("there is no hand in this house")]
    NoHand,
    /// An object that cannot be.
    #[error(transparent)]
    Object(#[from] ObjectError),
}

/// How fast a hand that is led goes after what leads it, per second, without swinging: it is left behind by 2 / LEAD of a
/// second, 0.1 m at a walk, and starts and stops with at most about 1.3 g.
const LEAD: f32 = 25.0;

/// A hand in a set of bodies: joints and motors in the order of the model, SI units.
#[derive(Clone, Debug)]
pub(crate) struct RapierHand {
    frame: Arc<Frame>,
    /// Activations in [0, 1] (n_muscles).
    act: Vec<f64>,
    /// Excitations of muscles in [0, 1], then controls of torque and position actuators (n_controls).
    controls: Vec<f64>,
}

/// What does not change while a hand moves.
#[derive(Debug)]
struct Frame {
    kernel: Kernel,
    /// Where the hand's world is in the world; of one that is led, where it was first.
    base: Iso,
    /// The joint that leads the hand's world, if it is led.
    leader: Option<MultibodyJointHandle>,
    /// The body of each link; the first is what all hangs on.
    links: Vec<RigidBodyHandle>,
    joints: Vec<Joint>,
    motors: Vec<Motor>,
}

/// A joint of the model, as built.
#[derive(Clone, Copy, Debug)]
struct Joint {
    handle: MultibodyJointHandle,
    kind: JointKind,
    /// The bodies before and behind it.
    from: RigidBodyHandle,
    to: RigidBodyHandle,
    /// Length 1, in the body behind it.
    axis: Vector,
    limit: Option<[f64; 2]>,
}

/// A torque or position actuator: force = gain × control - stiffness × q - damping × velocity, within `force`, × gear.
#[derive(Clone, Copy, Debug)]
struct Motor {
    joint: usize,
    control: [f64; 2],
    force: [f64; 2],
    gain: f64,
    stiffness: f64,
    damping: f64,
    gear: f64,
}

impl RapierHand {
    /// The model, made ready.
    pub(crate) fn kernel(&self) -> &Kernel {
        &self.frame.kernel
    }

    /// How many controls there are: muscles, then torque actuators, then position actuators.
    pub(crate) fn n_controls(&self) -> usize {
        self.controls.len()
    }

    /// Sets excitations of muscles in [0, 1], then controls of motors; they hold until they are set again.
    pub(crate) fn set_controls(&mut self, controls: &[f64]) -> Result<(), HandError> {
        PoseError::check("controls", controls, self.controls.len())?;
        self.controls.copy_from_slice(controls);
        Ok(())
    }

    /// Joint angles in radians, or places in metres (n_joints).
    pub(crate) fn qpos(&self, joints: &MultibodyJointSet) -> Vec<f64> {
        self.of_joints(joints, |joint, body, link| {
            let coords = body.link(link)?.joint().coords();
            Some(match joint.kind {
                JointKind::Hinge => coords[3],
                JointKind::Slide => coords[0],
            })
        })
    }

    /// Joint velocities, per second (n_joints).
    pub(crate) fn qvel(&self, joints: &MultibodyJointSet) -> Vec<f64> {
        self.of_joints(joints, |_, body, link| {
            Some(body.generalized_velocity()[body.link(link)?.assembly_id()])
        })
    }

    /// The link that a body is, by its place among the kernel's links; none of what is not the hand's.
    pub(crate) fn link(&self, body: RigidBodyHandle) -> Option<usize> {
        self.frame.links.iter().position(|link| *link == body)
    }

    /// Where a body of the model is in the world; none if there is no body of that name.
    pub(crate) fn body(&self, joints: &MultibodyJointSet, name: &str) -> Option<Iso> {
        let pose = self.frame.kernel.body(name, &self.qpos(joints))?;
        Some(self.base(joints) * Iso::from_parts(vector(pose.pos), build::rotation(&pose.turn)))
    }

    /// Where the hand's world is in the world.
    pub(crate) fn base(&self, joints: &MultibodyJointSet) -> Iso {
        let led = self.frame.leader.and_then(|leader| {
            let (body, link) = joints.get(leader)?;
            Some(*body.link(link)?.local_to_world())
        });
        led.unwrap_or(self.frame.base)
    }

    /// Before each step of `dt` seconds: lets a hand that is led go on toward `to`, where its world is to be. What touches the
    /// hand feels its speed.
    pub(crate) fn lead(&self, joints: &mut MultibodyJointSet, to: &Iso, dt: f32) {
        let from = self.base(joints);
        let Some((body, link)) = self.frame.leader.and_then(|leader| joints.get_mut(leader)) else {
            return;
        };
        let Some(at) = body.link(link).map(|link| link.assembly_id()) else {
            return;
        };
        // Speeds are along the axes of the body that the leader hangs on.
        let axes = self.frame.base.rotation.inverse();
        let way = axes * (to.translation - from.translation);
        let turn = axes * scaled_axis(to.rotation * from.rotation.inverse());
        let mut speeds = body.generalized_velocity_mut();
        let off = [way, turn].map(|v| v.to_array()).concat();
        for (speed, off) in speeds.iter_mut().skip(at).zip(off) {
            let next = (*speed + LEAD * LEAD * dt * off) / (1.0 + LEAD * dt).powi(2);
            let arrived = off.abs() < 1e-5 && next.abs() < 1e-4;
            *speed = if arrived { 0.0 } else { next };
        }
    }

    /// Controls as they were set last (n_controls).
    pub(crate) fn controls(&self) -> &[f64] {
        &self.controls
    }

    /// Activations of the muscles, in [0, 1] (n_muscles).
    pub(crate) fn act(&self) -> &[f64] {
        &self.act
    }

    /// Puts the hand elsewhere: angles, velocities and activations.
    pub(crate) fn set_state(
        &mut self,
        bodies: &mut RigidBodySet,
        joints: &mut MultibodyJointSet,
        qpos: &[f64],
        qvel: &[f64],
        act: &[f64],
    ) -> Result<(), HandError> {
        let n = self.frame.joints.len();
        PoseError::check("qpos", qpos, n)?;
        PoseError::check("qvel", qvel, n)?;
        PoseError::check("act", act, self.act.len())?;
        for (own, value) in self.act.iter_mut().zip(act) {
            *own = value.clamp(0.0, 1.0);
        }
        // Rapier only lets joints be displaced; twice, as the first sum is rounded.
        for _ in 0..2 {
            let now = self.qpos(joints);
            for (i, joint) in self.frame.joints.iter().enumerate() {
                let Some((body, link)) = joints.get_mut(joint.handle) else {
                    continue;
                };
                if let Some(link) = body.link_mut(link) {
                    link.joint.apply_displacement(&[(qpos[i] - now[i]) as f32]);
                }
            }
        }
        for (joint, velocity) in self.frame.joints.iter().zip(qvel) {
            let Some((body, link)) = joints.get_mut(joint.handle) else {
                continue;
            };
            let Some(at) = body.link(link).map(|link| link.assembly_id()) else {
                continue;
            };
            body.generalized_velocity_mut()[at] = *velocity as f32;
        }
        if let Some(first) = self.frame.joints.first()
            && let Some((body, _)) = joints.get_mut(first.handle)
        {
            body.forward_kinematics(bodies, true);
            body.update_rigid_bodies(bodies, true);
        }
        Ok(())
    }

    /// Before each step of `dt` seconds: puts the forces of muscles and motors on the links, and lets the activations follow
    /// the excitations. What was added to the links' forces by others is lost.
    pub(crate) fn drive(
        &mut self,
        bodies: &mut RigidBodySet,
        joints: &mut MultibodyJointSet,
        dt: f64,
    ) -> Result<(), HandError> {
        let pose = Pose {
            qpos: self.qpos(joints),
            qvel: self.qvel(joints),
            act: std::mem::take(&mut self.act),
        };
        let frame = Arc::clone(&self.frame);
        let pulls = frame.kernel.pulls(&pose);
        self.act = pose.act;
        for joint in &frame.joints {
            bodies[joint.to].reset_forces(false);
            bodies[joint.to].reset_torques(false);
        }
        if frame.leader.is_some() {
            // Motors push against it, and nothing moves it.
            bodies[frame.links[0]].reset_forces(false);
            bodies[frame.links[0]].reset_torques(false);
        }
        frame.set_limits(joints, &pose.qpos);
        let turn = self.base(joints).rotation;
        for (handle, pull) in frame.links.iter().zip(pulls?).skip(1) {
            let body = &mut bodies[*handle];
            body.add_force(turn * vector(pull.force), false);
            body.add_torque(turn * vector(pull.torque), false);
        }
        let n_muscles = self.act.len();
        for (motor, control) in frame.motors.iter().zip(&self.controls[n_muscles..]) {
            let control = control.clamp(motor.control[0], motor.control[1]);
            let force = motor.gain * control
                - motor.stiffness * pose.qpos[motor.joint]
                - motor.damping * pose.qvel[motor.joint];
            let force = motor.gear * force.clamp(motor.force[0], motor.force[1]);
            push(bodies, &frame.joints[motor.joint], force as f32);
        }
        for (i, act) in self.act.iter_mut().enumerate() {
            let rate = frame.kernel.activation_rate(i, self.controls[i], *act);
            *act = (*act + dt * rate).clamp(0.0, 1.0);
        }
        Ok(())
    }

    fn of_joints(
        &self,
        joints: &MultibodyJointSet,
        get: impl Fn(&Joint, &rapier3d::prelude::Multibody, usize) -> Option<f32>,
    ) -> Vec<f64> {
        let value = |joint: &Joint| {
            let (body, link) = joints.get(joint.handle)?;
            get(joint, body, link)
        };
        self.frame
            .joints
            .iter()
            .map(|joint| f64::from(value(joint).unwrap_or(f32::NAN)))
            .collect()
    }
}

impl Frame {
    /// A limit takes part in a step only where its joint is beyond it. Rapier asks the same, but after it has solved the
    /// whole hand's inertia for each limit there is.
    fn set_limits(&self, joints: &mut MultibodyJointSet, qpos: &[f64]) {
        for (joint, q) in self.joints.iter().zip(qpos) {
            let Some([low, high]) = joint.limit else {
                continue;
            };
            let beyond = *q < low || *q > high;
            let Some((body, link)) = joints.get_mut(joint.handle) else {
                continue;
            };
            if let Some(link) = body.link_mut(link) {
                let data = &mut link.joint.data;
                data.limit_axes = match (beyond, joint.kind) {
                    (false, _) => JointAxesMask::empty(),
                    (true, JointKind::Hinge) => JointAxesMask::ANG_X,
                    (true, JointKind::Slide) => JointAxesMask::LIN_X,
                };
            }
        }
    }
}

/// Turns (or shifts) the two bodies of a joint against each other.
fn push(bodies: &mut RigidBodySet, joint: &Joint, force: f32) {
    let along = *bodies[joint.to].rotation() * joint.axis * force;
    match joint.kind {
        JointKind::Hinge => {
            bodies[joint.to].add_torque(along, false);
            bodies[joint.from].add_torque(-along, false);
        }
        JointKind::Slide => {
            let at = bodies[joint.to].center_of_mass();
            bodies[joint.to].add_force(along, false);
            bodies[joint.from].add_force_at_point(-along, at, false);
        }
    }
}

/// How Rapier steps a hand: one substep, friction in both passes.
///
/// Each substep costs a factor of the mass matrix; smaller steps are as accurate as more substeps. With friction in one
/// pass only, a pinch at 2 ms creeps open; with fewer than four sweeps, a grasp by many fingers lets go too early. Contacts
/// are looked for within 2 mm, not Rapier's 20, which all fingers are near each other: half the time of a step.
pub(crate) fn parameters(dt: f32, contact: SpringCoefficients<f32>) -> IntegrationParameters {
    IntegrationParameters {
        dt,
        contact_softness: contact,
        static_contact_softness: contact,
        num_solver_iterations: 1,
        num_internal_pgs_iterations: 4,
        num_internal_stabilization_iterations: 2,
        normalized_allowed_linear_error: 0.001,
        normalized_prediction_distance: 0.002,
        friction_in_bias_pass: true,
        ..IntegrationParameters::default()
    }
}

/// MuJoCo's constraint as a spring and damper: with impedance d it pushes with d / (1 - d) × inertia × (k × depth + b ×
/// velocity), k = 1 / (d × time constant × damping ratio)² and b = 2 / (d × time constant) (documentation, "Solver
/// parameters"). Skin (0.02 s, 1, impedance 0.8 to 0.95) comes out at 24 Hz with a damping ratio of 2.7.
fn softness([time, ratio]: [f64; 2], impedance: f64) -> SpringCoefficients<f32> {
    let d = impedance.clamp(1e-4, 0.9999);
    let held = d / (1.0 - d);
    let frequency = (held / (d * time * ratio).powi(2)).sqrt();
    let damping = held / (d * time * frequency);
    SpringCoefficients::new((frequency / std::f64::consts::TAU) as f32, damping as f32)
}

/// A rotation as its axis times its angle, the short way (radians).
fn scaled_axis(turn: Rotation) -> Vector {
    let sign = if turn.w < 0.0 { -1.0 } else { 1.0 };
    let axis = Vector::new(turn.x, turn.y, turn.z) * sign;
    let sine = axis.length();
    if sine < 1e-9 {
        return 2.0 * axis;
    }
    axis * (2.0 * libm::atan2f(sine, turn.w * sign) / sine)
}

fn vector(v: [f64; 3]) -> Vector {
    Vector::new(v[0] as f32, v[1] as f32, v[2] as f32)
}
