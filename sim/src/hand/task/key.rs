//! A key turned by a given angle.
//!
//! MyoSuite's `myoHandKeyTurnRandom-v0` wants a full turn of a key on a hinge, from an angle within a quarter turn either way and
//! a place within 10 mm, with 200 actions of 20 ms; an episode ends when the tip of thumb or index finger is 0.13 m from the
//! key's head. Here the angle that is wanted is drawn (up to half a turn), so that a turn is worth something before a full one
//! succeeds, and counted from where the key starts; the key's place is part of the model and does not vary, the hand's pose at
//! the start does instead. The hinge's dry friction (0.02 N m) is left out: the model has none, and the damping, 0.1 N m s/rad
//! as there, is what the fingers feel.

use ::hand::batch::WorldState;
use ::hand::model::{
    Body as Link, Contact, Inertial, Joint, JointKind, Shape, ShapeKind, usual_solimp, usual_solref,
};
use ::hand::scene::Scene;
use rand_chacha::ChaCha8Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Task, Verdict, at_rest, effort, empty_scene, norm, symmetric, whether};
use crate::hand::{Body, HandError, Seen, Setting};

/// Middle of the key's head in meters, in the world of MyoHand, and how the key is turned there: 2.2 rad around z, so that its
/// shaft, which is the hinge's axis, points away from the thumb.
const PLACE: [f64; 3] = [-0.15, -0.55, 1.425];
const YAW: f64 = 2.2;
/// The distance of a tip that touches the head's rim: its radius.
const HEAD: f32 = 0.03;

/// A key turned by a given angle. Target: the angle in radians at which it shall be (1). Error: target minus angle (1), then from
/// the thumb's tip and from the index finger's to the middle of the key's head, in meters, in the world (3 and 3).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Key {
    /// How far from its place the key starts turned at most, in radians either way.
    pub start_rad: f32,
    /// How far each of the hand's joints starts from 0 at most, in radians.
    pub hand_rad: f32,
    /// How far it shall be turned: least and most, in radians.
    pub turn_rad: [f32; 2],
    /// The end: distance in meters of the tip of thumb or index finger from the head's rim.
    pub far_m: f32,
    /// Actions of an episode.
    pub max_steps: u32,
    /// Weights of the reward's terms.
    pub weights: KeyWeights,
}

/// Weights of the terms of [`Key`]; the defaults are MyoSuite's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct KeyWeights {
    /// Minus what is missing to the target, per radian; what is turned beyond it earns nothing.
    pub turn: f32,
    /// Minus the distance of the thumb's tip from the head's rim, per meter.
    pub thumb: f32,
    /// The same of the index finger.
    pub index: f32,
    /// 1 when less than half of the largest turn is missing, 2 when nothing is.
    pub bonus: f32,
    /// -1 for each of the two tips that is half way to the end.
    pub far: f32,
    /// Minus the muscles' effort.
    pub effort: f32,
}

impl Default for Key {
    fn default() -> Self {
        Self {
            start_rad: 0.5,
            hand_rad: 0.05,
            turn_rad: [1.0, std::f32::consts::PI],
            far_m: 0.1,
            max_steps: 200,
            weights: KeyWeights::default(),
        }
    }
}

impl Default for KeyWeights {
    fn default() -> Self {
        Self {
            turn: 1.0,
            thumb: 10.0,
            index: 10.0,
            bonus: 4.0,
            far: 25.0,
            effort: 1.0,
        }
    }
}

impl Task for Key {
    fn name(&self) -> &'static str {
        "hand/key"
    }

    fn say(&self) -> String {
        "Turn the key as far as it is shown.".to_owned()
    }

    fn goal(&self) -> String {
        "key turned to the target angle or beyond".to_owned()
    }

    fn max_steps(&self) -> u32 {
        self.max_steps
    }

    fn scene(&self, body: &Body) -> Result<Scene, HandError> {
        let mut scene = empty_scene(body);
        let model = &mut scene.model;
        let (half_sin, half_cos) = (libm::sin(0.5 * YAW), libm::cos(0.5 * YAW));
        model.body.push(Link {
            name: "key".to_owned(),
            parent: "world".to_owned(),
            pos: PLACE,
            quat: [half_cos, 0.0, 0.0, half_sin],
            // MuJoCo's: the mass of the shapes at the density of water, and the least inertia that MyoSuite's models have.
            inertial: Some(Inertial {
                mass: 0.031,
                com: [-0.032, 0.0, 0.0],
                inertia: [1e-4, 1e-4, 1e-4, 0.0, 0.0, 0.0],
            }),
        });
        model.joint.push(Joint {
            name: "key".to_owned(),
            body: "key".to_owned(),
            kind: JointKind::Hinge,
            axis: [1.0, 0.0, 0.0],
            anchor: [0.0; 3],
            limit: None,
            limit_solref: usual_solref(),
            limit_solimp: usual_solimp(),
            damping: 0.1,
            armature: 0.0,
        });
        let along_x = [
            std::f64::consts::FRAC_1_SQRT_2,
            0.0,
            std::f64::consts::FRAC_1_SQRT_2,
            0.0,
        ];
        let straight = [1.0, 0.0, 0.0, 0.0];
        for (kind, size, pos, quat) in [
            (
                ShapeKind::Ellipsoid,
                vec![0.03, 0.03, 0.004],
                [0.0; 3],
                straight,
            ),
            (
                ShapeKind::Capsule,
                vec![0.005, 0.07],
                [-0.045, 0.0, 0.0],
                along_x,
            ),
            (
                ShapeKind::Box,
                vec![0.015, 0.01, 0.004],
                [-0.1, 0.008, 0.0],
                straight,
            ),
        ] {
            model.shape.push(Shape {
                name: String::new(),
                body: "key".to_owned(),
                kind,
                size,
                pos,
                quat,
                contact: Some(Contact::default()),
            });
        }
        Ok(scene)
    }

    fn n_target(&self, _: &Setting) -> usize {
        1
    }

    fn n_error(&self, _: &Setting) -> usize {
        7
    }

    fn standing(&self, setting: &Setting) -> WorldState {
        at_rest(setting, &[], Vec::new())
    }

    fn draw(
        &self,
        setting: &Setting,
        rng: &mut ChaCha8Rng,
        start: &mut WorldState,
        target: &mut [f32],
    ) {
        let (hand, key) = start.qpos.split_at_mut(setting.n_joints);
        for (joint, angle) in hand.iter_mut().enumerate() {
            let [low, high] = setting.limits(joint).map(|x| x as f32);
            *angle = (*angle + self.hand_rad * symmetric(rng) as f32).clamp(low, high);
        }
        key[0] = self.start_rad * symmetric(rng) as f32;
        let [low, high] = self.turn_rad;
        target[0] = key[0] + 0.5 * (low + high) + 0.5 * (high - low) * symmetric(rng) as f32;
    }

    fn error(&self, seen: &Seen<'_>, error: &mut [f32]) {
        error[0] = seen.target[0] - seen.hinge_angles[0];
        for (e, place) in error[1..].iter_mut().enumerate() {
            *place = PLACE[e % 3] as f32 - seen.fingertips[e];
        }
    }

    fn terms(&self) -> &'static [&'static str] {
        &["turn", "thumb", "index", "bonus", "far", "effort"]
    }

    fn judge(&self, seen: &Seen<'_>, terms: &mut [f32]) -> Verdict {
        let Self {
            far_m, weights: w, ..
        } = self;
        let missing = seen.error[0];
        let from_rim = |tip: &[f32]| (norm(tip) - HEAD).abs();
        let (thumb, index) = (from_rim(&seen.error[1..4]), from_rim(&seen.error[4..7]));
        let success = missing <= 0.0;
        let far = |part: f32| [thumb, index].map(|d| whether(d > part * far_m));
        let [halfway, end] = [far(0.5), far(1.0)].map(|tips| tips[0] + tips[1]);
        terms.copy_from_slice(&[
            -w.turn * missing.max(0.0),
            -w.thumb * thumb,
            -w.index * index,
            w.bonus * (whether(success) + whether(missing < 0.5 * self.turn_rad[1])),
            -w.far * halfway,
            -w.effort * effort(seen),
        ]);
        Verdict {
            success,
            terminated: end > 0.0,
        }
    }
}
