//! An object held at a given place above the palm.
//!
//! MyoSuite's `myoHandObjHoldRandom-v0` drops an ellipsoid over the open palm and wants its middle within 10 mm of a place up to
//! 30 mm from where it was dropped, along each axis; half axes of 20 to 30 mm are drawn anew in every episode; 75 actions of
//! 20 ms; an episode ends when the object is 0.3 m away. Here the object is one for all episodes (MyoSuite's of the fixed task:
//! half axes 25, 36, 30 mm at the density of water), it starts a few millimeters above the palm, as there, with small
//! differences, and the target lies around and above the place where it comes to rest: it must be carried, not just left
//! alone. An episode ends when the object is 0.15 m below the target: it has left the hand then, and its fall teaches nothing.

use ::hand::batch::WorldState;
use ::hand::model::ShapeKind;
use ::hand::scene::{Object, Primitive, Scene};
use rand_chacha::ChaCha8Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    PALM_UP, STRAIGHT, Task, Verdict, at_rest, effort, empty_scene, norm, require, resting,
    symmetric, whether, within,
};
use crate::hand::{Body, HandError, Seen, Setting};

/// Half axes of the object in meters.
const HALF_AXES: [f64; 3] = [0.025, 0.036, 0.030];
/// Kilograms per cubic meter.
const DENSITY: f64 = 1000.0;
/// Where its middle comes to rest in the palm when the hand keeps its pose, and where it starts, a little above: meters, in
/// the world.
const REST: [f32; 3] = [-0.2355, -0.509, 1.442];
const START: [f32; 3] = [-0.2355, -0.509, 1.45];

/// An object held at a given place. Target: place in meters, in the world (3). Error: target minus the object's place (3).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Hold {
    /// How far from its usual place the object starts at most, along x and y, in meters.
    pub start_m: f32,
    /// How far from where it rests the target lies at most, along x and y, in meters.
    pub aside_m: f32,
    /// How far above where it rests the target lies: least and most, in meters. MyoSuite's lies 20 mm above its start in the
    /// fixed task.
    pub above_m: [f32; 2],
    /// Success: distance in meters.
    pub near_m: f32,
    /// The end: how far below the target the object may be, in meters.
    pub drop_m: f32,
    /// Actions of an episode.
    pub max_steps: u32,
    /// Weights of the reward's terms.
    pub weights: HoldWeights,
}

/// Weights of the terms of [`Hold`]; the defaults are MyoSuite's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct HoldWeights {
    /// Minus the distance, per meter.
    pub distance: f32,
    /// 1 when within twice the near distance, 2 when near.
    pub bonus: f32,
    /// -1 when dropped.
    pub drop: f32,
    /// Minus the muscles' effort.
    pub effort: f32,
}

impl Default for Hold {
    fn default() -> Self {
        Self {
            start_m: 0.004,
            aside_m: 0.008,
            above_m: [0.005, 0.02],
            near_m: 0.01,
            drop_m: 0.15,
            max_steps: 75,
            weights: HoldWeights::default(),
        }
    }
}

impl Default for HoldWeights {
    fn default() -> Self {
        Self {
            distance: 100.0,
            bonus: 4.0,
            drop: 10.0,
            effort: 0.0,
        }
    }
}

impl Task for Hold {
    fn name(&self) -> &'static str {
        "hand/hold"
    }

    fn say(&self) -> String {
        "Hold the object where it is shown.".to_owned()
    }

    fn goal(&self) -> String {
        format!("object within {} m of the target", self.near_m)
    }

    fn max_steps(&self) -> u32 {
        self.max_steps
    }

    fn scene(&self, body: &Body) -> Result<Scene, HandError> {
        require(self.name(), body, PALM_UP)?;
        let shape = Primitive::new(ShapeKind::Ellipsoid, HALF_AXES);
        let object = Object::solid("ellipsoid", DENSITY * shape.volume(), shape);
        Ok(Scene {
            objects: vec![object],
            ..empty_scene(body)
        })
    }

    fn n_target(&self, _: &Setting) -> usize {
        3
    }

    fn n_error(&self, _: &Setting) -> usize {
        3
    }

    fn standing(&self, setting: &Setting) -> WorldState {
        at_rest(setting, PALM_UP, vec![resting(START, STRAIGHT)])
    }

    fn draw(&self, _: &Setting, rng: &mut ChaCha8Rng, start: &mut WorldState, target: &mut [f32]) {
        for x in &mut start.objects[0].pos[..2] {
            *x += self.start_m * symmetric(rng) as f32;
        }
        let up = within(self.above_m, rng);
        let [aside, along] = [symmetric(rng), symmetric(rng)].map(|x| self.aside_m * x as f32);
        target.copy_from_slice(&[REST[0] + aside, REST[1] + along, REST[2] + up]);
    }

    fn error(&self, seen: &Seen<'_>, error: &mut [f32]) {
        for ((e, to), from) in error.iter_mut().zip(seen.target).zip(seen.object_pose) {
            *e = to - from;
        }
    }

    fn terms(&self) -> &'static [&'static str] {
        &["distance", "bonus", "drop", "effort"]
    }

    fn judge(&self, seen: &Seen<'_>, terms: &mut [f32]) -> Verdict {
        let Self {
            near_m,
            drop_m,
            weights: w,
            ..
        } = self;
        let distance = norm(seen.error);
        let bonus = whether(distance < *near_m) + whether(distance < 2.0 * near_m);
        let dropped = seen.error[2] > *drop_m;
        terms.copy_from_slice(&[
            -w.distance * distance,
            w.bonus * bonus,
            -w.drop * whether(dropped),
            -w.effort * effort(seen),
        ]);
        Verdict {
            success: distance < *near_m,
            terminated: dropped,
        }
    }
}
