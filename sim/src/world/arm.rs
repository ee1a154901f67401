//! A hand on an arm in the house: muscles or motors move it, Rapier moves what it touches. The arm is fixed in a room, or the
//! walker carries it.
//!
//! A carried hand goes where the walker goes, sits and lies, a tenth of a second behind it: 0.2 s after the walker stopped it
//! is in front of the right shoulder again. As the walker does, it passes through walls and furniture and touches loose things
//! only.
//!
//! While there is one, each step of 1/60 s is made of eight shorter ones, as fingers need. The hand stays awake for ever, and
//! with it what it touches; walkers pass through it, and verbs know nothing of it.

use rapier3d::math::{Pose as Iso, Rotation, Vector};
use rapier3d::prelude::{IntegrationParameters, RigidBody, RigidBodyHandle};

use hand::kernel::{Kernel, PoseError};
use hand::model;

use super::build::{CARRIED_HAND_TOUCHES, HAND_TOUCHES};
use super::shape::about;
use super::{STEP_SECONDS, State, World, stiff};
use crate::rapier_hand::{
    ARM, Base, HAND, HandError, RapierHand, Sets, Takes, on_arm, own_groups, parameters,
};
use crate::scenario::types::HandModel;
use crate::scenario::{HandBase, HandPlace};

/// Steps of the hand in one of the house's: 2.1 ms each.
const SUBSTEPS: u32 = 8;

/// Where a carried hand's first joint is in the walker's frame (origin between the soles, x forward, z towards the head): in
/// front of the right shoulder, higher than what stands on a table (meters).
const SHOULDER: [f32; 3] = [0.1, -0.2, 1.2];

/// Where a hand is and what it does.
#[derive(Clone, Debug, PartialEq)]
pub struct HandState {
    /// Joint angles in radians, in the order of the model (n_joints).
    pub qpos: Vec<f64>,
    /// Per second (n_joints).
    pub qvel: Vec<f64>,
    /// Activations of muscles in [0, 1] (n_muscles).
    pub act: Vec<f64>,
    /// How far the arm has moved from where the scenario or the walker holds it, metres in the hand's own axes.
    pub arm: [f64; 3],
}

impl World {
    /// The hand, if the scenario has one.
    pub fn hand(&self) -> Option<HandState> {
        let joints = &self.state.multibody_joints;
        let hand = self.state.hand.as_ref()?;
        let (mut qpos, mut qvel) = (hand.qpos(joints), hand.qvel(joints));
        let arm = qpos.split_off(qpos.len() - ARM);
        qvel.truncate(qpos.len());
        Some(HandState {
            qpos,
            qvel,
            act: hand.act().to_vec(),
            arm: [arm[0], arm[1], arm[2]],
        })
    }

    /// How many controls the hand has: muscles, then motors; 0 without a hand.
    pub fn hand_controls(&self) -> usize {
        self.state.hand.as_ref().map_or(0, |h| h.n_controls() - ARM)
    }

    /// Sets excitations of muscles in [0, 1], then controls of motors; they hold until they are set again.
    ///
    /// # Errors
    /// When there is no hand, there are more or fewer numbers than it has controls, or one is not finite.
    pub fn set_hand_controls(&mut self, controls: &[f64]) -> Result<(), HandError> {
        let expected = self.hand_controls();
        let hand = self.state.hand.as_mut().ok_or(HandError::NoHand)?;
        if controls.len() != expected {
            let error = PoseError::Count {
                field: "controls",
                found: controls.len(),
                expected,
            };
            return Err(error.into());
        }
        let arm = &hand.controls()[expected..];
        let all: Vec<f64> = controls.iter().chain(arm).copied().collect();
        hand.set_controls(&all)
    }

    /// Where the arm goes, in metres from where the scenario or the walker holds it, in the hand's own axes: at most 1 m each
    /// way. Those of a hand in a room are turned by its yaw. A walker holds a hand so that the fingers point forward: at yaw 0
    /// they would be along -y (`myohand`) or up (`robot`). It is there after about 0.1 s; what is to stay in the hand wants small steps.
    ///
    /// # Errors
    /// When there is no hand, or a number is not finite.
    pub fn move_arm(&mut self, to: [f64; 3]) -> Result<(), HandError> {
        let own = self.hand_controls();
        let hand = self.state.hand.as_mut().ok_or(HandError::NoHand)?;
        let all: Vec<f64> = hand.controls()[..own].iter().chain(&to).copied().collect();
        hand.set_controls(&all)
    }

    /// Where a body of the hand's model is in the world: metres, and a quaternion x, y, z, w. None without a hand or a body of
    /// that name.
    pub fn hand_body(&self, name: &str) -> Option<([f32; 3], [f32; 4])> {
        let hand = self.state.hand.as_ref()?;
        let pose = hand.body(&self.state.multibody_joints, name)?;
        Some((pose.translation.into(), pose.rotation.into()))
    }

    /// Lets time pass: `steps` of 1/60 s.
    pub fn wait(&mut self, steps: u32) {
        for _ in 0..steps {
            self.step();
        }
    }

    /// One step of the house in shorter ones, what is led moving evenly.
    pub(super) fn step_with_hand(&mut self) {
        let led: Vec<(RigidBodyHandle, Iso, Iso)> = self
            .state
            .bodies
            .iter()
            .filter(|(_, body)| body.is_kinematic() && body.is_enabled())
            .map(|(handle, body)| (handle, *body.position(), *body.next_position()))
            .collect();
        let walker = &self.state.bodies[self.plan.walker];
        let (before, after) = (*walker.position(), *walker.next_position());
        for i in 1..=SUBSTEPS {
            let t = i as f32 / SUBSTEPS as f32;
            for (handle, from, to) in &led {
                self.state.bodies[*handle].set_next_kinematic_position(between(from, to, t));
            }
            let state = &mut self.state;
            if let Some(hand) = &mut state.hand {
                if let Some(mount) = self.mount {
                    let to = between(&before, &after, t) * mount;
                    hand.lead(&mut state.multibody_joints, &to, self.parameters.dt);
                }
                let dt = f64::from(self.parameters.dt);
                let driven = hand.drive(&mut state.bodies, &mut state.multibody_joints, dt);
                if driven.is_err() {
                    self.put_hand_back();
                }
            }
            self.step_physics();
        }
    }

    /// Puts a hand that is no longer anywhere at rest.
    pub(super) fn put_hand_back(&mut self) {
        let state = &mut self.state;
        let Some(hand) = &mut state.hand else { return };
        state.incidents += 1;
        let joints = hand.qpos(&state.multibody_joints).len();
        let still = vec![0.0; joints];
        let relaxed = vec![0.0; hand.act().len()];
        let (bodies, joints) = (&mut state.bodies, &mut state.multibody_joints);
        hand.set_state(bodies, joints, &still, &still, &relaxed)
            .expect("as many numbers as it has");
    }
}

/// How Rapier steps a house with a hand in it.
pub(super) fn hand_parameters() -> IntegrationParameters {
    parameters(STEP_SECONDS / SUBSTEPS as f32, stiff())
}

/// Whether a body is a thing that moves by itself, and no part of a hand.
pub(super) fn is_thing(body: &RigidBody) -> bool {
    body.is_dynamic() && body.user_data != HAND
}

/// Puts a hand into a house that was just built; where in the walker's frame its base is, if the walker carries it.
pub(super) fn insert(state: &mut State, place: &HandPlace) -> Option<Iso> {
    let text = match place.model {
        HandModel::Myohand => hand::MYOHAND,
        HandModel::Robot => hand::ROBOT_HAND,
    };
    let parameters = place.parameters.into();
    let model = model::load_text(text, "hand.toml").expect("crate hand checks its own models");
    let model = on_arm(model);
    let kernel = Kernel::new(&model, parameters);
    // From the hand's origin to its first joint, behind the arm.
    let first = kernel.links().get(2).map_or([0.0; 3], |link| link.pos);
    let first = Iso::from_translation(-Vector::from(first.map(|x| x as f32)));
    let quarter = std::f32::consts::FRAC_PI_2;
    let (base, mount, touches) = match place.base {
        HandBase::Room { position, yaw } => {
            let turn = about([0.0, 0.0, 1.0], yaw);
            let base = Iso::from_parts(Vector::from(position), turn) * first;
            (Base::Fixed(base), None, HAND_TOUCHES)
        }
        HandBase::Walker => {
            let forward = match place.model {
                HandModel::Myohand => about([0.0, 0.0, 1.0], quarter),
                HandModel::Robot => about([0.0, 1.0, 0.0], quarter),
            };
            let mount = Iso::from_parts(Vector::from(SHOULDER), forward) * first;
            let base = state.agent.pose() * mount;
            (Base::Led(base), Some(mount), CARRIED_HAND_TOUCHES)
        }
    };
    let mut groups = own_groups(&kernel, 8..32).expect("a hand has fewer kinds of parts");
    for groups in &mut groups {
        groups.filter |= touches;
    }
    let mut sets = Sets {
        bodies: &mut state.bodies,
        colliders: &mut state.colliders,
        joints: &mut state.multibody_joints,
    };
    let takes = Takes {
        limits: true,
        contacts: true,
    };
    let hand = RapierHand::insert(&mut sets, &model, kernel, base, &groups, takes);
    state.hand = Some(hand.expect("shapes of crate hand's own models are solid"));
    mount
}

fn between(from: &Iso, to: &Iso, t: f32) -> Iso {
    let (a, mut b) = (from.rotation, to.rotation);
    if a.dot(b) < 0.0 {
        b = -b;
    }
    let turn: Rotation = (a * (1.0 - t) + b * t).normalize();
    Iso::from_parts(
        from.translation + (to.translation - from.translation) * t,
        turn,
    )
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::SeedableRng as _;

    use super::*;
    use crate::scenario::load_text;

    const KITCHEN: &str = r#"
schema = "habitus.scenario/1"
name = "Kitchen"
[[room]]
name = "kitchen"
corners = [[0.0, 0.0], [4.0, 0.0], [4.0, 4.0], [0.0, 4.0]]
[[object]]
class = "kitchen table"
at = [2.0, 2.0]
[[object]]
class = "mug"
on = "kitchen table"
[[agent]]
body.walker = { room = "kitchen", at = [0.5, 0.5] }
"#;

    const HAND: &str = r#"
[[agent]]
body.hand = { room = "kitchen", at = [1.6, 2.4, 1.2], model = "MODEL" }
"#;

    fn world(text: &str) -> World {
        let loaded = load_text(text, "kitchen.toml").unwrap();
        let instance = loaded.instantiate(&mut ChaCha8Rng::seed_from_u64(0));
        World::new(&instance.unwrap())
    }

    fn with(model: &str) -> World {
        world(&(KITCHEN.to_owned() + &HAND.replace("MODEL", model)))
    }

    #[test]
    fn the_hand_is_where_the_scenario_puts_it_and_its_arm_goes_where_it_is_sent() {
        for (model, first, controls) in [("myohand", "radius", 39), ("robot", "wrist", 24)] {
            let mut world = with(model);
            assert_eq!(world.hand_controls(), controls);
            let (start, _) = world.hand_body(first).unwrap();
            for (x, expected) in start.into_iter().zip([1.6, 2.4, 1.2]) {
                assert!((x - expected).abs() < 5e-3, "{model}: {start:?}");
            }
            world.move_arm([0.1, -0.2, 0.3]).unwrap();
            world.wait(60);
            let arm = world.hand().unwrap().arm;
            for (x, expected) in arm.into_iter().zip([0.1, -0.2, 0.3]) {
                assert!((x - expected).abs() < 5e-3, "{model}: {arm:?}");
            }
            assert_eq!(world.incidents(), 0, "{model}");
        }
    }

    /// What lies on the table stays there while a hand moves elsewhere; a snapshot goes on to the bit.
    #[test]
    fn a_hand_disturbs_nothing_that_it_does_not_touch() {
        let mut world = with("myohand");
        let mug = world.plan.loose[0];
        let before = world.center(mug).unwrap();
        let snapshot = world.snapshot();
        let run = |world: &mut World| {
            world.set_hand_controls(&[0.3; 39]).unwrap();
            world.wait(60);
            world.digest()
        };
        let first = run(&mut world);
        assert!((world.center(mug).unwrap() - before).length() < 1e-4);
        world.restore(&snapshot);
        assert_eq!(run(&mut world), first);
        assert_eq!((world.incidents(), world.restless()), (0, 0));
    }

    #[test]
    fn wrong_controls_are_refused() {
        let mut world = world(KITCHEN);
        assert_eq!(world.hand(), None);
        let error = world.set_hand_controls(&[]).unwrap_err();
        assert_eq!(error.to_string(), "there is no hand in this house");
        let mut world = with("robot");
        let error = world.set_hand_controls(&[0.0; 3]).unwrap_err();
        assert_eq!(error.to_string(), "controls has 3 numbers, expected 24");
        assert!(world.move_arm([0.0, f64::NAN, 0.0]).is_err());
    }

    /// Angles that the muscles pull toward: of the thumb (abduction, flexion, its two hinges), and of each finger's three.
    struct Posture {
        thumb: [f64; 4],
        finger: [f64; 3],
    }

    const OPEN: Posture = Posture {
        thumb: [-0.468, 0.991, 0.642, -0.461],
        finger: [0.068, 0.2, 0.8],
    };
    const CLOSED: Posture = Posture {
        thumb: [-0.367, 0.78, 0.233, -1.47],
        finger: [0.3, 1.7, 0.4],
    };

    /// Angles between open (0) and closed (1), of the fingers and of the thumb.
    fn angles(fingers: f64, thumb: f64) -> Vec<f64> {
        let mix = |open: f64, closed: f64, t: f64| open * (1.0 - t) + closed * t;
        let mut angles = vec![0.0, 0.084, 0.0];
        angles.extend((0..4).map(|i| mix(OPEN.thumb[i], CLOSED.thumb[i], thumb)));
        let [m, p, d] = [0, 1, 2].map(|i| mix(OPEN.finger[i], CLOSED.finger[i], fingers));
        (0..4).for_each(|_| angles.extend([m, 0.0, p, d]));
        angles
    }

    /// Excites each muscle by how much its moment arms turn the joints toward the angles.
    fn excitations(kernel: &Kernel, hand: &HandState, angles: &[f64], gain: f64) -> Vec<f64> {
        let (qpos, qvel, act) = (hand.qpos.clone(), hand.qvel.clone(), hand.act.clone());
        let answer = kernel
            .evaluate(&hand::kernel::Pose { qpos, qvel, act })
            .unwrap();
        let pull = |arms: &Vec<f64>| {
            let joint = |j: usize| {
                let weight = if j < 3 { 1.5 } else { 1.0 };
                -arms[j] * (angles[j] - hand.qpos[j] - 0.05 * hand.qvel[j]) * weight
            };
            (0.02 + gain * (0..23).map(joint).sum::<f64>()).clamp(0.0, 1.0)
        };
        answer.moment_arms.iter().map(pull).collect()
    }

    /// The arm brings the open hand to a mug on the table, muscles close it, and the arm lifts: contacts alone carry the mug.
    #[test]
    fn muscles_grasp_a_mug_and_lift_it_from_the_table() {
        let mut world = with("myohand");
        let model = model::load_text(hand::MYOHAND, "hand.toml").unwrap();
        let kernel = Kernel::new(&model, model::ParameterSet::Calibrated);
        let mug = world.plan.loose[0];
        let start = world.pose(mug).unwrap().translation;
        let from = start + Vector::new(-0.2, 0.041, 0.061);
        let mut arm = [0.0; 3];
        for step in 0..300 {
            let t = f64::from(step) / 60.0;
            let fingers = ((t - 2.5) / 0.592).clamp(0.0, 1.0);
            let thumb = ((t - 2.706) / 0.592).clamp(0.0, 1.0);
            let gain = if t > 3.2 { 500.0 } else { 185.0 };
            let hand = world.hand().unwrap();
            let controls = excitations(&kernel, &hand, &angles(fingers, thumb), gain);
            world.set_hand_controls(&controls).unwrap();
            if t < 1.3 {
                let (palm, _) = world.hand_body("thirdmc").unwrap();
                for (k, arm) in arm.iter_mut().enumerate() {
                    *arm += 0.3 * f64::from((from[k] - palm[k]).clamp(-0.02, 0.02));
                }
            }
            let [mut x, y, mut z] = arm;
            x += 0.165 * (t - 1.3).clamp(0.0, 1.0);
            z += 0.2 * (t - 3.7).clamp(0.0, 1.0);
            world.move_arm([x, y, z]).unwrap();
            world.wait(1);
        }
        let rise = world.pose(mug).unwrap().translation.z - start.z;
        assert!(rise > 0.1, "the mug rose by {rise} m");
        assert_eq!(world.incidents(), 0);
    }
}
