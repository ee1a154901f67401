//! Two balls that go round each other in the palm.
//!
//! MyoSuite's `myoChallengeBaodingP1-v1` moves two targets around an ellipse in the palm, once in 5 s, and wants each ball within
//! 15 mm of its own; the second phase draws the time, the ellipse, the balls' size, mass and friction, and whether the targets go
//! round one way, the other way, or rest; 200 actions of 25 ms. What is drawn there is not told. Here time, ellipse and direction
//! are drawn for each episode and told, where the targets will be too; size and mass are the same for all worlds that are stepped
//! together, friction is as usual; 250 actions of 20 ms.

use ::hand::batch::WorldState;
use ::hand::model::ShapeKind;
use ::hand::scene::{Object, Primitive, Scene};
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    PALM_UP, STRAIGHT, TICK_SECONDS, Task, Verdict, at_rest, effort, empty_scene, norm, require,
    resting, whether, within,
};
use crate::hand::{Body, HandError, Seen, Setting};

/// The ellipse's middle, where the balls rest, in meters, in the world.
const MIDDLE: [f32; 3] = [-0.2415, -0.5315, 1.447];
/// Where on the ellipse the first ball starts, in radians; the second is opposite.
const START: f32 = std::f32::consts::FRAC_PI_4;
/// Seconds of an action.
const SECONDS: f32 = TICK_SECONDS as f32;
/// Actions from now at which the targets are told.
const AHEAD: [u32; 2] = [0, 10];

/// Two balls that go round each other in the palm. Target: where both shall be now and in 0.2 s, in meters, in the world (12), the
/// ellipse's half axes along x and y in meters (2), how fast they go round in radians a second, to the left if more than 0 (1).
/// Error: target minus place of each ball (6).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Baoding {
    /// Seconds in which the balls go round once: least and most.
    pub period_s: [f32; 2],
    /// Half axis of the ellipse along x in meters: least and most.
    pub along_x_m: [f32; 2],
    /// Half axis of the ellipse along y in meters: least and most.
    pub along_y_m: [f32; 2],
    /// Which ways the targets go; one is drawn.
    pub ways: Vec<Way>,
    /// A ball's radius in meters.
    pub radius_m: f64,
    /// A ball's mass in kilograms.
    pub mass_kg: f64,
    /// Success: distance of each ball from its target, in meters.
    pub near_m: f32,
    /// The end: how far below its target a ball may be, in meters.
    pub drop_m: f32,
    /// Actions of an episode.
    pub max_steps: u32,
    /// Weights of the reward's terms.
    pub weights: BaodingWeights,
}

/// A way that targets go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// They rest.
    Hold,
    /// Clockwise, seen from above.
    Right,
    /// Against the clock, seen from above.
    Left,
}

/// Weights of the terms of [`Baoding`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct BaodingWeights {
    /// Minus the distances of both balls from their targets, per meter.
    pub distance: f32,
    /// 1 for each ball near its target.
    pub bonus: f32,
    /// -1 when a ball was dropped.
    pub drop: f32,
    /// Minus the muscles' effort.
    pub effort: f32,
}

impl Default for Baoding {
    /// The second phase's, with the first's balls.
    fn default() -> Self {
        Self {
            period_s: [4.0, 6.0],
            along_x_m: [0.020, 0.030],
            along_y_m: [0.022, 0.032],
            ways: vec![Way::Hold, Way::Right, Way::Left],
            radius_m: 0.022,
            mass_kg: 0.043,
            near_m: 0.015,
            drop_m: 0.1,
            max_steps: 250,
            weights: BaodingWeights::default(),
        }
    }
}

impl Default for BaodingWeights {
    fn default() -> Self {
        Self {
            distance: 5.0,
            bonus: 1.0,
            drop: 50.0,
            effort: 1.0,
        }
    }
}

/// Where both balls shall be after so many actions.
fn places([x, y]: [f32; 2], speed: f32, step: u32) -> [[f32; 3]; 2] {
    [0.0, std::f32::consts::PI].map(|opposite| {
        let angle = START + opposite + speed * SECONDS * step as f32;
        let (sin, cos) = (libm::sinf(angle), libm::cosf(angle));
        [MIDDLE[0] + x * cos, MIDDLE[1] + y * sin, MIDDLE[2]]
    })
}

impl Task for Baoding {
    fn name(&self) -> &'static str {
        "hand/baoding"
    }

    fn say(&self) -> String {
        "Move both balls round each other in the palm as it is shown.".to_owned()
    }

    fn goal(&self) -> String {
        format!("both balls within {} m of their targets", self.near_m)
    }

    fn max_steps(&self) -> u32 {
        self.max_steps
    }

    fn scene(&self, body: &Body) -> Result<Scene, HandError> {
        require(self.name(), body, PALM_UP)?;
        let ball = |name: &str| {
            let shape = Primitive::new(ShapeKind::Sphere, [self.radius_m, 0.0, 0.0]);
            Object::solid(name, self.mass_kg, shape)
        };
        Ok(Scene {
            objects: vec![ball("first ball"), ball("second ball")],
            ..empty_scene(body)
        })
    }

    fn n_target(&self, _: &Setting) -> usize {
        6 * AHEAD.len() + 3
    }

    fn n_error(&self, _: &Setting) -> usize {
        6
    }

    fn standing(&self, setting: &Setting) -> WorldState {
        let middle = |[low, high]: [f32; 2]| 0.5 * (low + high);
        let axes = [middle(self.along_x_m), middle(self.along_y_m)];
        let balls = places(axes, 0.0, 0).map(|place| resting(place, STRAIGHT));
        at_rest(setting, PALM_UP, balls.to_vec())
    }

    fn draw(&self, _: &Setting, rng: &mut ChaCha8Rng, start: &mut WorldState, target: &mut [f32]) {
        let axes = [self.along_x_m, self.along_y_m].map(|range| within(range, rng));
        let period = within(self.period_s, rng);
        let way = match self.ways.len() {
            0 => Way::Hold,
            n => self.ways[rng.random_range(0..n)],
        };
        let speed = match way {
            Way::Hold => 0.0,
            Way::Right => -std::f32::consts::TAU / period,
            Way::Left => std::f32::consts::TAU / period,
        };
        for (ball, place) in start.objects.iter_mut().zip(places(axes, 0.0, 0)) {
            ball.pos[..2].copy_from_slice(&place[..2]);
        }
        target[6 * AHEAD.len()..].copy_from_slice(&[axes[0], axes[1], speed]);
        self.follow(0, target);
    }

    fn keeps_time(&self) -> bool {
        true
    }

    fn follow(&self, step: u32, target: &mut [f32]) {
        let (told, drawn) = target.split_at_mut(6 * AHEAD.len());
        for (ahead, told) in AHEAD.iter().zip(told.chunks_exact_mut(6)) {
            let both = places([drawn[0], drawn[1]], drawn[2], step + ahead);
            told.copy_from_slice(both.as_flattened());
        }
    }

    fn error(&self, seen: &Seen<'_>, error: &mut [f32]) {
        let places = seen.object_pose.chunks_exact(7).flat_map(|pose| &pose[..3]);
        for ((e, to), from) in error.iter_mut().zip(seen.target).zip(places) {
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
        let balls = || seen.error.chunks_exact(3);
        let distance: f32 = balls().map(norm).sum();
        let near = balls().filter(|error| norm(error) < *near_m).count();
        let dropped = balls().any(|error| error[2] > *drop_m);
        terms.copy_from_slice(&[
            -w.distance * distance,
            w.bonus * near as f32,
            -w.drop * whether(dropped),
            -w.effort * effort(seen),
        ]);
        Verdict {
            success: near == 2,
            terminated: dropped,
        }
    }
}
