//! An object in the palm, turned as given.
//!
//! MyoSuite's `myoHandReorient8-v0` wants the long axis of one of eight objects along a direction (a cosine of 0.95, an angle of
//! 0.32 rad), ends an episode when the object is 75 mm from its place, and has 50 actions of 10 ms; `Reorient100`, `ReorientID` and
//! `ReorientOOD` have other objects, `myoHandPenTwirlRandom-v0` a pen; `myoChallengeDieReorientP1-v0` wants a die at a place (25 mm)
//! and turned as given (0.262 rad), with errors as differences of Euler angles. Here errors are the axis and angle of the turn that
//! is missing: differences of Euler angles jump and do not say where to. 100 actions of 20 ms; 75 mm end it, as there. Worlds that
//! are stepped together have one object, so that an object is a task of its own: scenarios name several with `vary`.

use ::hand::batch::WorldState;
use ::hand::model::ShapeKind;
use ::hand::scene::{Object, Primitive, Scene};
use rand_chacha::ChaCha8Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    PALM_UP, Quat, Task, Verdict, after, around, at_rest, direction, effort, empty_scene, norm,
    require, resting, symmetric, turn_between, whether, within,
};
use crate::hand::{Body, HandError, Seen, Setting};
use crate::random::episode_rng;

/// Where a cube of 50 mm comes to rest in the open palm: meters, quaternion w, x, y, z, in the world.
const REST: [f32; 3] = [-0.217_675, -0.494_196, 1.451_738];
const REST_TURN: Quat = [0.995_441, -0.075_025, -0.056_753, 0.015_713];
/// What else lies in the palm lies along it.
const ALONG: Quat = [0.804_9, 0.0, 0.593_4, 0.0];

/// An object in the palm, turned as given. Target: a place in meters, in the world, then a quaternion w, x, y, z (7). Error: target
/// minus the object's place (3), then the shortest turn to the target's orientation, or of the long axis to the target's, as axis
/// times angle, in world axes (3).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Reorient {
    /// What lies in the palm.
    pub object: Held,
    /// Whether only its long axis counts.
    pub axis_only: bool,
    /// How far from where it rests the object starts at most, along x and y, in meters.
    pub start_m: f32,
    /// How far from where it rests the target's place is at most, along each axis, in meters.
    pub place_m: f32,
    /// The angle between start and target in radians: least and most. The axis is drawn evenly from all directions, or, where the
    /// long axis alone counts, from those across it. With less than `near_rad`, some starts are a success already.
    pub turn_rad: [f32; 2],
    /// Success: distance in meters from the target's place, and angle in radians.
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

/// What lies in a palm; all but cube and die at the density of water.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Held {
    /// 50 mm and 100 g.
    #[default]
    Cube,
    /// 40 mm and 60 g.
    Die,
    /// A capsule of 20 mm and 150 mm.
    Pen,
    /// One of two ellipsoids, boxes, capsules, cylinders of MyoSuite's sizes, by its number from 0.
    Eight(u16),
    /// One of a hundred, by its number: a quarter of each kind, sizes drawn from MyoSuite's ranges.
    Hundred(u16),
    /// One of a thousand others from the same ranges.
    Within(u16),
    /// One of a thousand whose sizes are not all within them.
    Beyond(u16),
}

/// Kinds, and the ranges of their sizes in meters: those of the hundred, and wider ones.
const KINDS: [(ShapeKind, [[f64; 2]; 3], [[f64; 2]; 3]); 4] = [
    (
        ShapeKind::Ellipsoid,
        [[0.010, 0.022], [0.020, 0.045], [0.020, 0.045]],
        [[0.010, 0.022], [0.015, 0.050], [0.015, 0.050]],
    ),
    (ShapeKind::Box, [[0.015, 0.025]; 3], [[0.010, 0.030]; 3]),
    (
        ShapeKind::Capsule,
        [[0.010, 0.022], [0.020, 0.045], [0.0; 2]],
        [[0.010, 0.022], [0.015, 0.050], [0.0; 2]],
    ),
    (
        ShapeKind::Cylinder,
        [[0.010, 0.022], [0.020, 0.045], [0.0; 2]],
        [[0.010, 0.022], [0.015, 0.050], [0.0; 2]],
    ),
];

/// Small and large ones of [`KINDS`].
const EIGHT: [[[f64; 3]; 2]; 4] = [
    [[0.011, 0.025, 0.025], [0.019, 0.040, 0.040]],
    [[0.017; 3], [0.023; 3]],
    [[0.013, 0.025, 0.0], [0.019, 0.040, 0.0]],
    [[0.013, 0.025, 0.0], [0.019, 0.040, 0.0]],
];

impl Held {
    /// Its number in a set, and how many that has, in words too.
    fn number(self) -> Option<(u16, u16, &'static str)> {
        match self {
            Self::Cube | Self::Die | Self::Pen => None,
            Self::Eight(number) => Some((number, 8, "0 to 7")),
            Self::Hundred(number) => Some((number, 100, "0 to 99")),
            Self::Within(number) | Self::Beyond(number) => Some((number, 1000, "0 to 999")),
        }
    }

    /// Its kind and size as a shape's, and its mass in kilograms.
    fn shape(self) -> (ShapeKind, [f64; 3], f64) {
        let watery = |(kind, size)| (kind, size, 1000.0 * Primitive::new(kind, size).volume());
        match self {
            Self::Cube => (ShapeKind::Box, [0.025; 3], 0.1),
            Self::Die => (ShapeKind::Box, [0.02; 3], 0.06),
            Self::Pen => watery((ShapeKind::Capsule, [0.01, 0.065, 0.0])),
            Self::Eight(number) => {
                let number = usize::from(number) % 8;
                watery((KINDS[number / 2].0, EIGHT[number / 2][number % 2]))
            }
            Self::Hundred(number) => watery(drawn("hundred", number, false)),
            Self::Within(number) => watery(drawn("within", number, false)),
            Self::Beyond(number) => watery(drawn("beyond", number, true)),
        }
    }
}

/// A shape of a set by its number: of the sizes of the hundred, or beyond them, drawn until one is.
fn drawn(set: &str, number: u16, is_beyond: bool) -> (ShapeKind, [f64; 3]) {
    let (kind, common, beyond) = KINDS[usize::from(number) % 4];
    let ranges = if is_beyond { beyond } else { common };
    let mut rng = episode_rng(0, set, u64::from(number), "shape");
    loop {
        let size =
            ranges.map(|[low, high]| 0.5 * (low + high + (high - low) * symmetric(&mut rng)));
        if !(is_beyond && inside(size, common)) {
            return (kind, size);
        }
    }
}

/// Whether all sizes are in their ranges.
fn inside(size: [f64; 3], ranges: [[f64; 2]; 3]) -> bool {
    let inside = |(x, [low, high]): (f64, [f64; 2])| (low..=high).contains(&x);
    size.into_iter().zip(ranges).all(inside)
}

/// Weights of the terms of [`Reorient`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
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
            object: Held::Cube,
            axis_only: false,
            start_m: 0.003,
            place_m: 0.0,
            turn_rad: [0.3, 0.8],
            near_m: 0.05,
            near_rad: 0.262,
            drop_m: 0.075,
            max_steps: 100,
            weights: ReorientWeights::default(),
        }
    }
}

impl Default for ReorientWeights {
    fn default() -> Self {
        Self {
            place: 20.0,
            turn: 5.0,
            bonus: 4.0,
            drop: 50.0,
            effort: 1.0,
        }
    }
}

impl Reorient {
    /// Where the object comes to rest, or nearly: cubes as measured, others as much lower as they are lower, along the palm.
    fn rest(&self) -> ([f32; 3], Quat) {
        let (_, [half, ..], _) = self.object.shape();
        let [x, y, z] = REST;
        let rest = [x, y, z - 0.025 + half as f32];
        match self.object {
            Held::Cube | Held::Die => (rest, REST_TURN),
            _ => (rest, ALONG),
        }
    }
}

impl Task for Reorient {
    fn name(&self) -> &'static str {
        "hand/reorient"
    }

    fn say(&self) -> String {
        "Turn the object in the palm as it is shown.".to_owned()
    }

    fn goal(&self) -> String {
        let Self {
            near_m, near_rad, ..
        } = self;
        format!("object within {near_m} m and {near_rad} rad of the target")
    }

    fn max_steps(&self) -> u32 {
        self.max_steps
    }

    fn scene(&self, body: &Body) -> Result<Scene, HandError> {
        require(self.name(), body, PALM_UP)?;
        if let Some((number, count, expected)) = self.object.number()
            && number >= count
        {
            return Err(HandError::Config {
                field: "task.reorient.object",
                value: number.to_string(),
                expected,
            });
        }
        let (kind, size, mass) = self.object.shape();
        let object = Object::solid("object", mass, Primitive::new(kind, size));
        Ok(Scene {
            objects: vec![object],
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
        let (pos, quat) = self.rest();
        at_rest(setting, PALM_UP, vec![resting(pos, quat)])
    }

    fn draw(&self, _: &Setting, rng: &mut ChaCha8Rng, start: &mut WorldState, target: &mut [f32]) {
        let object = &mut start.objects[0];
        target[..3].copy_from_slice(&object.pos);
        for x in &mut object.pos[..2] {
            *x += self.start_m * symmetric(rng) as f32;
        }
        let angle = within(self.turn_rad, rng);
        let turned = if self.axis_only {
            let (y, x) = libm::sincos(std::f64::consts::PI * symmetric(rng));
            after(object.quat, around([x as f32, y as f32, 0.0], angle))
        } else {
            after(around(direction(rng), angle), object.quat)
        };
        target[3..].copy_from_slice(&turned);
        for x in &mut target[..3] {
            *x += self.place_m * symmetric(rng) as f32;
        }
    }

    fn error(&self, seen: &Seen<'_>, error: &mut [f32]) {
        let quat = |pose: &[f32]| [pose[3], pose[4], pose[5], pose[6]];
        let [from, to] = [seen.object_pose, seen.target].map(quat);
        let turn = match self.axis_only {
            false => turn_between(from, to),
            true => turn_between_axes(long_axis(from), long_axis(to)),
        };
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

/// Where the z axis of what is turned so points.
fn long_axis([w, x, y, z]: Quat) -> [f32; 3] {
    [
        2.0 * (x * z + w * y),
        2.0 * (y * z - w * x),
        1.0 - 2.0 * (x * x + y * y),
    ]
}

/// The shortest turn that takes one direction to another: its axis times its angle in radians, in [0, π].
fn turn_between_axes(from: [f32; 3], to: [f32; 3]) -> [f32; 3] {
    let across = [
        from[1] * to[2] - from[2] * to[1],
        from[2] * to[0] - from[0] * to[2],
        from[0] * to[1] - from[1] * to[0],
    ];
    let along: f32 = from.iter().zip(to).map(|(a, b)| a * b).sum();
    let sine = norm(&across);
    // Where both point along one line, any turn across it will do.
    let scale = if sine < 1e-6 {
        1.0
    } else {
        libm::atan2f(sine, along) / sine
    };
    across.map(|x| scale * x)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_long_axis_counts_where_it_shall() {
        let turn = around([0.0, 1.0, 0.0], 1.2);
        let axis = long_axis(turn);
        assert!(
            (axis[0] - libm::sinf(1.2)).abs() < 1e-6 && (axis[2] - libm::cosf(1.2)).abs() < 1e-6
        );
        // A turn around the axis itself moves nothing.
        let rolled = after(turn, around([0.0, 0.0, 1.0], 2.0));
        assert!(norm(&turn_between_axes(axis, long_axis(rolled))) < 1e-3);
        let further = long_axis(after(around([0.0, 1.0, 0.0], 0.5), turn));
        let found = turn_between_axes(axis, further);
        assert!(
            (found[1] - 0.5).abs() < 1e-5 && found[0].abs() + found[2].abs() < 1e-6,
            "{found:?}"
        );
    }

    #[test]
    fn sets_have_objects_of_their_kinds_and_sizes() {
        let shapes = |of: fn(u16) -> Held, n: u16| (0..n).map(move |i| of(i).shape());
        for (of, n) in [
            (Held::Eight as fn(u16) -> Held, 8),
            (Held::Hundred, 100),
            (Held::Within, 1000),
            (Held::Beyond, 1000),
        ] {
            let mut all: Vec<String> = shapes(of, n).map(|shape| format!("{shape:?}")).collect();
            for (kind, ..) in KINDS {
                let count = shapes(of, n).filter(|(k, ..)| *k == kind).count();
                assert_eq!(count, usize::from(n) / 4);
            }
            assert!(shapes(of, n).all(|(_, _, mass)| (0.002..0.5).contains(&mass)));
            all.sort();
            all.dedup();
            assert_eq!(all.len(), usize::from(n));
        }
        let inside = |(kind, size, _): (ShapeKind, [f64; 3], f64)| {
            let (_, ranges, _) = KINDS.iter().find(|(k, ..)| *k == kind).unwrap();
            inside(size, *ranges)
        };
        assert!(shapes(Held::Within, 1000).all(inside));
        assert!(!shapes(Held::Beyond, 1000).any(inside));
    }
}
