//! What a hand can be asked to do: one file per task.
//!
//! | name | wanted | MyoSuite's counterpart |
//! |---|---|---|
//! | `hand/pose` | all joints at given angles | `myoHandPoseRandom-v0` |
//! | `hand/reach` | all fingertips at given places | `myoHandReachRandom-v0` |
//! | `hand/hold` | an object at a given place above the palm | `myoHandObjHoldRandom-v0` |
//! | `hand/key` | a key turned by a given angle | `myoHandKeyTurnRandom-v0` |
//! | `hand/track` | an object carried along an exemplar, by a hand on an arm | `MyoHandCupDrink-v0` and the like |
//! | `hand/reorient` | a cube, a die, a pen or another object in the palm turned as given | `myoHandReorient8-v0`, `…100`, `…ID`, `…OOD`, `myoHandPenTwirlRandom-v0`, `myoChallengeDieReorientP1-v0` |
//! | `hand/baoding` | two balls that go round each other in the palm | `myoChallengeBaodingP1-v1`, `…P2-v1` |
//! | `point/reach` | a point mass at a given place | |
//! | `gripper/place` | a thing carried to a given place by a gripper | |
//! | `gripper/chores` | doors, drawers, lids, knobs and the like of the household's furniture brought where they shall be | |
//!
//! Those of hands differ from MyoSuite (2.12.2) in this: the target is drawn once, when an episode starts, never again within it; it is
//! part of the observation, as is the share of the episode that has passed; velocities are seen per second, not per action;
//! what is seen is the state that the step led to; success ends nothing, it is told with every step; worlds that are stepped
//! together share one scene, so that sizes and masses do not vary from episode to episode, places and angles do.
//!
//! A new task: a file with its config, scene, start, error, reward terms and end; `mod` and `pub use` here; a row in the table
//! above, in [`names`] and in [`named`], from which the conformance tests take it; a scripted baseline beside the others, with
//! its margin over chance.

mod baoding;
mod chores;
mod hold;
mod key;
mod place;
mod point;
mod pose;
mod reach;
mod reorient;
mod track;

use std::fmt::Debug;
use std::path::Path;

use ::hand::batch::{ObjectState, WorldState};
use ::hand::scene::{Options, Scene};
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;

pub use baoding::{Baoding, BaodingWeights, Way};
pub use chores::{Chore, Chores, Housework, Piece, Thing, controls};
pub use hold::{Hold, HoldWeights};
pub use key::{Key, KeyWeights};
pub use place::Place;
pub use point::Point;
pub use pose::{Pose, PoseWeights};
pub use reach::{Reach, ReachWeights};
pub use reorient::{Held, Reorient, ReorientWeights};
pub use track::{Arm, Track, TrackWeights, Tracking};

use super::{Body, HandError, Seen, Setting};

/// Above a thing or a handle, a gripper has come to it from elsewhere, in meters.
pub const HOVER: f32 = 0.13;

/// What is wanted of a hand. The fields of a task are its configuration; they are public, `Default` has the usual ones.
pub trait Task: Debug + Send + Sync {
    /// Its name: `hand/pose`.
    fn name(&self) -> &'static str;

    /// The wish in words.
    fn say(&self) -> String;

    /// When it is fulfilled, in words.
    fn goal(&self) -> String;

    /// Actions after which an episode is usually cut off.
    fn max_steps(&self) -> u32;

    /// The hand with what the task needs around it.
    ///
    /// # Errors
    /// When the hand has no such joints as the task needs.
    fn scene(&self, body: &Body) -> Result<Scene, HandError>;

    /// Numbers in the target.
    fn n_target(&self, setting: &Setting) -> usize;

    /// Numbers in the error.
    fn n_error(&self, setting: &Setting) -> usize;

    /// The state that a start varies: velocities and activations 0.
    fn standing(&self, setting: &Setting) -> WorldState;

    /// Makes what drawing needs besides, when an environment is made.
    ///
    /// # Errors
    /// When there is not enough memory, or nothing to draw from.
    fn prepare(&self, _: &Body, _: &mut Setting) -> Result<(), HandError> {
        Ok(())
    }

    /// The start of an episode and its target, drawn from the episode's stream; `start` is [`Task::standing`].
    fn draw(
        &self,
        setting: &Setting,
        rng: &mut ChaCha8Rng,
        start: &mut WorldState,
        target: &mut [f32],
    );

    /// Puts an episode that was drawn somewhere along its way, where the task knows states to start from (reference-state
    /// initialization, Peng et al. 2018, arXiv:1804.02717); says how many actions have passed there. `None`: it knows none.
    fn along(&self, _: &Setting, _: &mut ChaCha8Rng, _: &mut WorldState) -> Option<u32> {
        None
    }

    /// Whether its target moves by a clock whose tick is an action of [`TICK_SECONDS`].
    fn keeps_time(&self) -> bool {
        false
    }

    /// What the target is after so many actions, where it moves: a function of what was drawn and of the time alone.
    fn follow(&self, _step: u32, _target: &mut [f32]) {}

    /// What controls of the hand's actuators are told besides what the next action says, after so many actions; given as 0
    /// (n_actuators).
    fn lead(&self, _step: u32, _controls: &mut [f32]) {}

    /// What to tell the hand's actuators at first, where the task knows something that is better than rest: controls besides those
    /// of [`Task::lead`], given as 0 (n_actuators); whether it does.
    fn begin(&self, _controls: &mut [f32]) -> bool {
        false
    }

    /// How far to both sides actions in [-1, 1] move an actuator of that name, where that is not the actuator's own range.
    fn play(&self, _actuator: &str) -> Option<f32> {
        None
    }

    /// What is missing to the target, from all other parts of an observation.
    fn error(&self, seen: &Seen<'_>, error: &mut [f32]);

    /// Names of the reward's terms.
    fn terms(&self) -> &'static [&'static str];

    /// The weighted terms of the reward, in the order of [`Task::terms`], and what became of the episode.
    fn judge(&self, seen: &Seen<'_>, terms: &mut [f32]) -> Verdict;

    /// The share of the longest episode's actions after which what is wanted shall hold, for an episode to be a success; `None`:
    /// what counts is that it holds at the end.
    fn solved(&self) -> Option<f64> {
        None
    }

    /// Of what is wanted one after the other: how many there are, and how many are left now. `None` where one thing is wanted.
    fn parts(&self, _: &Seen<'_>) -> Option<[usize; 2]> {
        None
    }

    /// Where something shall be, to be marked in pictures, in meters in the world; `None` for a task without such a place.
    fn mark(&self, _: &Seen<'_>) -> Option<[f32; 3]> {
        None
    }

    /// From where it is usually looked at.
    fn view(&self) -> View {
        View {
            from: [0.45, -1.0, 1.85],
            to: [-0.2, -0.4, 1.4],
            fovy: 0.5,
            ground: 1.3,
        }
    }
}

/// Seconds of an action of tasks whose targets move by a clock.
pub const TICK_SECONDS: f64 = 0.02;

/// Where a camera stands and looks, in meters in the world, how much it sees from top to bottom, in radians, and how high what
/// lies around would lie, in meters.
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(missing_docs, reason = "described above")]
pub struct View {
    pub from: [f32; 3],
    pub to: [f32; 3],
    pub fovy: f32,
    pub ground: f32,
}

/// What became of an episode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// What is wanted holds now.
    pub success: bool,
    /// The episode is over: it can no longer succeed.
    pub terminated: bool,
}

/// Names of all tasks of hands, as in the table above.
pub fn names() -> [&'static str; 6] {
    [
        "hand/pose",
        "hand/reach",
        "hand/hold",
        "hand/key",
        "hand/reorient",
        "hand/baoding",
    ]
}

/// The task of that name for a body, with its usual configuration; `hand/track/cup_drink` and the like are those of objects.
pub fn named(name: &str, body: &Body) -> Option<Box<dyn Task>> {
    Some(match name {
        "hand/pose" => Box::new(Pose::default()),
        "hand/reach" => Box::new(Reach::default()),
        "hand/hold" => Box::new(Hold::default()),
        "hand/key" => Box::new(Key::default()),
        "hand/reorient" => Box::new(Reorient::default()),
        "hand/baoding" => Box::new(Baoding::default()),
        "point/reach" => Box::new(Point::default()),
        "gripper/place" => Box::new(Place::default()),
        "gripper/chores" => Box::new(Housework::new(Chores::default())),
        _ => {
            let track = Track {
                exemplar: name.strip_prefix("hand/track/")?.to_owned(),
                ..Track::default()
            };
            Box::new(Tracking::new(track, body, Path::new("")).ok()?)
        }
    })
}

/// A task in a box is a task.
impl Task for Box<dyn Task> {
    fn name(&self) -> &'static str {
        (**self).name()
    }
    fn say(&self) -> String {
        (**self).say()
    }
    fn goal(&self) -> String {
        (**self).goal()
    }
    fn max_steps(&self) -> u32 {
        (**self).max_steps()
    }
    fn scene(&self, body: &Body) -> Result<Scene, HandError> {
        (**self).scene(body)
    }
    fn n_target(&self, setting: &Setting) -> usize {
        (**self).n_target(setting)
    }
    fn n_error(&self, setting: &Setting) -> usize {
        (**self).n_error(setting)
    }
    fn standing(&self, setting: &Setting) -> WorldState {
        (**self).standing(setting)
    }
    fn prepare(&self, body: &Body, setting: &mut Setting) -> Result<(), HandError> {
        (**self).prepare(body, setting)
    }
    fn draw(
        &self,
        setting: &Setting,
        rng: &mut ChaCha8Rng,
        start: &mut WorldState,
        target: &mut [f32],
    ) {
        (**self).draw(setting, rng, start, target);
    }
    fn along(
        &self,
        setting: &Setting,
        rng: &mut ChaCha8Rng,
        start: &mut WorldState,
    ) -> Option<u32> {
        (**self).along(setting, rng, start)
    }
    fn keeps_time(&self) -> bool {
        (**self).keeps_time()
    }
    fn follow(&self, step: u32, target: &mut [f32]) {
        (**self).follow(step, target);
    }
    fn lead(&self, step: u32, controls: &mut [f32]) {
        (**self).lead(step, controls);
    }
    fn begin(&self, controls: &mut [f32]) -> bool {
        (**self).begin(controls)
    }
    fn play(&self, actuator: &str) -> Option<f32> {
        (**self).play(actuator)
    }
    fn error(&self, seen: &Seen<'_>, error: &mut [f32]) {
        (**self).error(seen, error);
    }
    fn terms(&self) -> &'static [&'static str] {
        (**self).terms()
    }
    fn judge(&self, seen: &Seen<'_>, terms: &mut [f32]) -> Verdict {
        (**self).judge(seen, terms)
    }
    fn solved(&self) -> Option<f64> {
        (**self).solved()
    }
    fn parts(&self, seen: &Seen<'_>) -> Option<[usize; 2]> {
        (**self).parts(seen)
    }
    fn mark(&self, seen: &Seen<'_>) -> Option<[f32; 3]> {
        (**self).mark(seen)
    }
    fn view(&self) -> View {
        (**self).view()
    }
}

/// A hand with nothing around it, in the step of its model.
fn empty_scene(body: &Body) -> Scene {
    Scene {
        options: Options {
            timestep: body.model.timestep,
            ..Options::default()
        },
        model: body.model.clone(),
        parameters: body.parameters,
        objects: Vec::new(),
        fixed: Vec::new(),
    }
}

/// The palm of MyoHand up, its fingers a little bent, so that what lies in it stays there for a while.
const PALM_UP: &[(&str, f32)] = &[
    ("pro_sup", -1.5),
    ("mcp2_flexion", 0.15),
    ("pm2_flexion", 0.15),
    ("md2_flexion", 0.15),
    ("mcp3_flexion", 0.15),
    ("pm3_flexion", 0.15),
    ("md3_flexion", 0.15),
    ("mcp4_flexion", 0.15),
    ("pm4_flexion", 0.15),
    ("md4_flexion", 0.15),
    ("mcp5_flexion", 0.15),
    ("pm5_flexion", 0.15),
    ("md5_flexion", 0.15),
];

/// Whether a hand has the joints of a pose.
fn require(task: &'static str, body: &Body, pose: &[(&str, f32)]) -> Result<(), HandError> {
    let has = |name: &str| body.model.joint.iter().any(|j| j.name == name);
    match pose.iter().find(|(name, _)| !has(name)) {
        None => Ok(()),
        Some((name, _)) => Err(HandError::Missing {
            task,
            kind: "joint",
            name: (*name).to_owned(),
            model: body.model.name.clone(),
        }),
    }
}

/// Every joint at its angle in `pose`, the others at 0 or at the limit next to it; objects at rest.
fn at_rest(setting: &Setting, pose: &[(&str, f32)], objects: Vec<ObjectState>) -> WorldState {
    let joints = &setting.model.joint;
    let angle = |(i, joint): (usize, &::hand::model::Joint)| {
        let [low, high] = setting.limits(i).map(|x| x as f32);
        let given = pose.iter().find(|(name, _)| *name == joint.name);
        given.map_or(0.0, |(_, angle)| *angle).clamp(low, high)
    };
    WorldState {
        qpos: joints.iter().enumerate().map(angle).collect(),
        qvel: vec![0.0; joints.len()],
        act: vec![0.0; setting.model.muscle.len()],
        objects,
    }
}

/// An object at a place, turned so, that does not move.
fn resting(pos: [f32; 3], quat: Quat) -> ObjectState {
    ObjectState {
        pos,
        quat,
        velocity: [0.0; 3],
        spin: [0.0; 3],
    }
}

/// Angles drawn for the hand's joints, each from a share of its range around the middle; the last joint of a finger is where
/// the one before it is in its own range. Drawn apart, most poses could not be taken: no muscle moves the last joint alone.
fn draw_angles(setting: &Setting, share: f64, rng: &mut ChaCha8Rng) -> Vec<f64> {
    let mut places: Vec<f64> = (0..setting.n_joints).map(|_| symmetric(rng)).collect();
    for [last, before] in &setting.followers {
        places[*last] = places[*before];
    }
    let angle = |(joint, place): (usize, f64)| {
        let [low, high] = setting.limits(joint);
        0.5 * (low + high) + 0.5 * share.clamp(0.0, 1.0) * (high - low) * place
    };
    places.into_iter().enumerate().map(angle).collect()
}

/// In a range, drawn evenly.
fn within([low, high]: [f32; 2], rng: &mut ChaCha8Rng) -> f32 {
    0.5 * (low + high) + 0.5 * (high - low) * symmetric(rng) as f32
}

/// In [-1, 1).
fn symmetric(rng: &mut ChaCha8Rng) -> f64 {
    2.0 * rng.random::<f64>() - 1.0
}

/// How active the muscles are: length of the list of activations by their number, as in MyoSuite; 0 for motors.
fn effort(seen: &Seen<'_>) -> f32 {
    norm(seen.activations) / seen.activations.len().max(1) as f32
}

fn norm(list: &[f32]) -> f32 {
    list.iter().map(|x| x * x).sum::<f32>().sqrt()
}

/// Root of the mean square; 0 of nothing.
fn root_mean_square(list: &[f32]) -> f32 {
    norm(list) / (list.len().max(1) as f32).sqrt()
}

/// 1 if something holds, else 0.
fn whether(holds: bool) -> f32 {
    f32::from(u8::from(holds))
}

/// A quaternion w, x, y, z.
type Quat = [f32; 4];

/// Not turned.
const STRAIGHT: Quat = [1.0, 0.0, 0.0, 0.0];

/// First `b`, then `a`.
fn after(a: Quat, b: Quat) -> Quat {
    [
        a[0] * b[0] - a[1] * b[1] - a[2] * b[2] - a[3] * b[3],
        a[0] * b[1] + a[1] * b[0] + a[2] * b[3] - a[3] * b[2],
        a[0] * b[2] - a[1] * b[3] + a[2] * b[0] + a[3] * b[1],
        a[0] * b[3] + a[1] * b[2] - a[2] * b[1] + a[3] * b[0],
    ]
}

/// A turn by `angle` radians around an axis of length 1.
fn around(axis: [f32; 3], angle: f32) -> Quat {
    let s = libm::sinf(0.5 * angle);
    [
        libm::cosf(0.5 * angle),
        axis[0] * s,
        axis[1] * s,
        axis[2] * s,
    ]
}

/// The shortest turn that takes `from` to `to`, in world axes: its axis times its angle in radians, in [0, π].
fn turn_between(from: Quat, to: Quat) -> [f32; 3] {
    let [w, x, y, z] = after(to, [from[0], -from[1], -from[2], -from[3]]);
    let sign = if w < 0.0 { -1.0 } else { 1.0 };
    let sine = norm(&[x, y, z]);
    let angle = 2.0 * libm::atan2f(sine, sign * w);
    // Near 0 the angle is twice the sine.
    let scale = if sine < 1e-6 { 2.0 } else { angle / sine };
    [x, y, z].map(|e| sign * scale * e)
}

/// A direction drawn evenly from all.
fn direction(rng: &mut ChaCha8Rng) -> [f32; 3] {
    let z = symmetric(rng);
    let longitude = std::f64::consts::PI * symmetric(rng);
    let r = (1.0 - z * z).max(0.0).sqrt();
    [r * libm::cos(longitude), r * libm::sin(longitude), z].map(|x| x as f32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_are_measured_the_short_way() {
        let close = |a: [f32; 3], b: [f32; 3]| (0..3).all(|e| (a[e] - b[e]).abs() < 1e-5);
        let start = around([0.6, 0.0, 0.8], 1.1);
        for (axis, angle) in [
            ([0.0, 0.0, 1.0], 0.7),
            ([0.0, 1.0, 0.0], 3.0),
            ([0.8, 0.6, 0.0], 1e-7),
        ] {
            let end = after(around(axis, angle), start);
            assert!(close(turn_between(start, end), axis.map(|x| x * angle)));
            assert!(close(
                turn_between(start, end.map(|x| -x)),
                axis.map(|x| x * angle)
            ));
        }
    }
}
