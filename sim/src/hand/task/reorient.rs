//! A cube in the palm, turned as given.
//!
//! MyoSuite's `myoHandReorient8-v0` wants the long axis of one of eight objects along a direction (a cosine of 0.95), ends an
//! episode when the object is 75 mm from its place, and has 50 actions of 10 ms; `myoChallengeDieReorientP1-v0` wants a die at a
//! place (25 mm) and turned as given (0.262 rad), with errors as differences of Euler angles. Here it is one cube of 50 mm and
//! 100 g, all of its orientation counts, and errors are the axis and angle of the turn that is missing: differences of Euler
//! angles jump and do not say where to. 100 actions of 20 ms; 75 mm end it, as there.

use ::hand::batch::{ObjectState, WorldState};
use ::hand::model::ShapeKind;
use ::hand::scene::{Object, Primitive, Scene};
use rand_chacha::ChaCha8Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    PALM_UP, Task, Verdict, after, around, at_rest, direction, effort, empty_scene, norm, require,
    symmetric, turn_between, whether,
};
use crate::hand::{Body, HandError, Seen, Setting};

/// Meters, kilograms.
const SIDE: f64 = 0.05;
const MASS: f64 = 0.1;
/// Where the cube comes to rest in the open palm: meters, quaternion w, x, y, z, in the world.
const REST: [f32; 3] = [-0.217_675, -0.494_196, 1.451_738];
const REST_TURN: [f32; 4] = [0.995_441, -0.075_025, -0.056_753, 0.015_713];

/// A cube in the palm, turned as given. Target: a place in meters, in the world, then a quaternion w, x, y, z (7). Error: target
/// minus the cube's place (3), then the shortest turn to the target's orientation, as axis times angle, in world axes (3).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Reorient {
    /// How far from where it rests the cube starts at most, along x and y, in meters.
    pub start_m: f32,
    /// The angle between start and target in radians: least and most. The axis is drawn evenly from all directions. With less
    /// than `near_rad`, some starts are a success already.
    pub turn_rad: [f32; 2],
    /// Success: distance in meters from where it rests, and angle in radians.
    pub near_m: f32,
    /// See `near_m`.
    pub near_rad: f32,
    /// The end: distance in meters.
    pub drop_m: f32,
    /// Actions of an episode.
    pub max_steps: u32,
    /// Weights of the reward's terms.
    pub weights: ReorientWeights,
}

/// Weights of the terms of [`Reorient`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReorientWeights {
    /// Minus the distance, per meter.
    pub place: f32,
    /// Minus the angle, per radian.
    pub turn: f32,
    /// 1 when placed and within twice the near angle, 2 when near.
    pub bonus: f32,
    /// -1 when dropped.
    pub drop: f32,
    /// Minus the muscles' effort.
    pub effort: f32,
}

impl Default for Reorient {
    fn default() -> Self {
        Self {
            start_m: 0.003,
            turn_rad: [0.3, 0.8],
            near_m: 0.05,
            near_rad: 0.262,
            drop_m: 0.075,
            max_steps: 100,
            weights: ReorientWeights {
                place: 20.0,
                turn: 5.0,
                bonus: 4.0,
                drop: 50.0,
                effort: 1.0,
            },
        }
    }
}

impl Task for Reorient {
    fn name(&self) -> &'static str {
        "hand/reorient"
    }

    fn say(&self) -> String {
        "Turn the cube in the palm as it is shown.".to_owned()
    }

    fn goal(&self) -> String {
        let Self {
            near_m, near_rad, ..
        } = self;
        format!("cube within {near_m} m and {near_rad} rad of the target")
    }

    fn max_steps(&self) -> u32 {
        self.max_steps
    }

    fn scene(&self, body: &Body) -> Result<Scene, HandError> {
        require(self.name(), body, PALM_UP)?;
        let cube = Object {
            name: "cube".to_owned(),
            mass: MASS,
            inertia: [MASS * SIDE * SIDE / 6.0; 3],
            shapes: vec![Primitive::new(ShapeKind::Box, [SIDE / 2.0; 3])],
        };
        Ok(Scene {
            objects: vec![cube],
            ..empty_scene(body)
        })
    }

    fn n_target(&self, _: &Setting) -> usize {
        7
    }

    fn n_error(&self, _: &Setting) -> usize {
        6
    }

    fn standing(&self, setting: &Setting) -> WorldState {
        let cube = ObjectState {
            pos: REST,
            quat: REST_TURN,
            velocity: [0.0; 3],
            spin: [0.0; 3],
        };
        at_rest(setting, PALM_UP, vec![cube])
    }

    fn draw(&self, _: &Setting, rng: &mut ChaCha8Rng, start: &mut WorldState, target: &mut [f32]) {
        let cube = &mut start.objects[0];
        for x in &mut cube.pos[..2] {
            *x += self.start_m * symmetric(rng) as f32;
        }
        let [low, high] = self.turn_rad;
        let angle = 0.5 * (low + high) + 0.5 * (high - low) * symmetric(rng) as f32;
        let turned = after(around(direction(rng), angle), cube.quat);
        target[..3].copy_from_slice(&REST);
        target[3..].copy_from_slice(&turned);
    }

    fn error(&self, seen: &Seen<'_>, error: &mut [f32]) {
        let quat = |pose: &[f32]| [pose[3], pose[4], pose[5], pose[6]];
        let turn = turn_between(quat(seen.object_pose), quat(seen.target));
        for e in 0..3 {
            error[e] = seen.target[e] - seen.object_pose[e];
            error[3 + e] = turn[e];
        }
    }

    fn terms(&self) -> &'static [&'static str] {
        &["place", "turn", "bonus", "drop", "effort"]
    }

    fn judge(&self, seen: &Seen<'_>, terms: &mut [f32]) -> Verdict {
        let Self {
            near_m,
            near_rad,
            drop_m,
            weights: w,
            ..
        } = self;
        let (place, turn) = seen.error.split_at(3);
        let (distance, angle) = (norm(place), norm(turn));
        let placed = distance < *near_m;
        let bonus =
            whether(placed && angle < *near_rad) + whether(placed && angle < 2.0 * near_rad);
        let dropped = distance > *drop_m;
        terms.copy_from_slice(&[
            -w.place * distance,
            -w.turn * angle,
            w.bonus * bonus,
            -w.drop * whether(dropped),
            -w.effort * effort(seen),
        ]);
        Verdict {
            success: placed && angle < *near_rad,
            terminated: dropped,
        }
    }
}
