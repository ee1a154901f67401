//! An object carried along an exemplar.
//!
//! MyoDex's object tasks as MyoSuite 2.12.2 has them (`MyoHandCupDrink-v0` and the like) reward the object's distance to a
//! recorded path; where in the path an episode is, and where the object shall be, is not observed; episodes end after 75
//! actions whatever the path's length; nothing says whether a task is solved. Here episodes are as long as their exemplar; what
//! is observed has the time, where the object shall be now and later, and how long the exemplar is. Success is TCDM's (Dasari et
//! al. 2023, arXiv:2209.11221, appendix): the object within 1 cm of where it shall be, judged after each action; an episode is
//! solved when that holds for at least 80 % of the exemplar.

use std::path::{Path, PathBuf};

use ::hand::batch::WorldState;
use ::hand::scene::Scene;
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Quat, Task, Verdict, View, effort, norm, turn_between, whether};
use crate::hand::exemplar::{
    self, Exemplar, FRAME_SECONDS, Pose, carried, relative, then, unturned,
};
use crate::hand::grasp::{self, Grasp};
use crate::hand::{Body, HandError, Seen, Setting};

/// Share of the actions after which the object shall be where it shall, for an episode to be solved.
const SOLVED: f64 = 0.8;
/// Frames from now at which the target is told.
const AHEAD: [usize; 3] = [0, 5, 15];

/// An object carried along an exemplar by a hand on an arm. Six joints carry the hand: three slides and three hinges through
/// where the object stands at first; they are held at the places that their controls name. Target: where the object shall be
/// now, in 0.1 s and in 0.3 s (each 7: meters, then quaternion w, x, y, z), half the sides of the box around it in meters (3),
/// its mass in kilograms (1), the exemplar's length in seconds (1). Error: from where the object is to where it shall be now, in
/// meters (3), the turn that is missing, as axis times angle in world axes (3), from each fingertip to the object, in meters
/// (n_tips × 3).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Track {
    /// One of the 57 tasks by name, as `cup_drink`. Left out where `reference` is given.
    pub exemplar: String,
    /// A reference file of MyoDM or TCDM (`.npz`) to take the object's way from, beside the scenario.
    pub reference: Option<PathBuf>,
    /// With `reference`: which object it is.
    pub object: Option<String>,
    /// What the arm does by itself.
    pub arm: Arm,
    /// Success: distance in meters.
    pub near_m: f32,
    /// The end: distance in meters.
    pub far_m: f32,
    /// Weights of the reward's terms.
    pub weights: TrackWeights,
}

impl Track {
    /// Its name in the table of tasks.
    pub const NAME: &'static str = "hand/track";
}

/// What an arm does by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Arm {
    /// It carries the hand along the exemplar; actions lead it away from there, by up to 10 cm and half a radian.
    #[default]
    Follows,
    /// Nothing: actions name where it shall be, by as far as the exemplar goes along and around each axis, and 10 cm and half a
    /// radian more, to both sides of where it starts.
    Free,
}

/// Weights of the terms of [`Track`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TrackWeights {
    /// exp(-50 (e + 0.1 a / π)) of the object's distance e in meters and angle a in radians from where it shall be: TCDM's.
    pub object: f32,
    /// 1 while the object shall be lifted and is, by at least 2 cm.
    pub lift: f32,
    /// -1 at the end, where the object is too far off.
    pub penalty: f32,
    /// exp(-5 s) of the mean square s of the hand's joint angles from those of the grasp, in radians.
    pub posture: f32,
    /// Minus the muscles' effort.
    pub energy: f32,
}

impl Default for Track {
    fn default() -> Self {
        Self {
            exemplar: String::new(),
            reference: None,
            object: None,
            arm: Arm::Follows,
            near_m: 0.01,
            far_m: 0.25,
            weights: TrackWeights::default(),
        }
    }
}

impl Default for TrackWeights {
    /// MyoDM's.
    fn default() -> Self {
        Self {
            object: 1.0,
            lift: 1.0,
            penalty: 2.0,
            posture: 0.0,
            energy: 0.0,
        }
    }
}

/// A [`Track`] with its exemplar and grasp.
#[derive(Clone, Debug)]
pub struct Tracking {
    track: Track,
    exemplar: Exemplar,
    grasp: &'static Grasp,
    /// What is told of the exemplar in each frame (frames × 7).
    poses: Vec<[f32; 7]>,
    /// Where the arm is in each frame while it follows.
    arms: Vec<[f64; 6]>,
    /// What it is told from each frame to the next, to be there.
    leads: Vec<[f32; 6]>,
    sag: f32,
}

impl Tracking {
    /// A task for a body; `beside` is the folder of the scenario.
    ///
    /// # Errors
    /// When there is no such exemplar, its file cannot be read, or the hand has no grasp of the object.
    pub fn new(track: Track, body: &Body, beside: &Path) -> Result<Self, HandError> {
        let exemplar = match (track.exemplar.as_str(), &track.reference, &track.object) {
            ("", Some(path), Some(object)) => {
                Exemplar::from_file(&beside.join(path), exemplar::object(object)?)?
            }
            ("", None, None) | (_, Some(_), _) | (_, _, Some(_)) => return Err(HandError::Way),
            (name, None, None) => Exemplar::named(name)?,
        };
        let object = exemplar.prop.object.name.as_str();
        let grasp = grasp::grasp(&body.model.name, object).ok_or_else(|| no_grasp(object, body))?;
        let pose = |(pos, quat): &Pose| {
            let sign = if quat[0] < 0.0 { -1.0 } else { 1.0 };
            let [x, y, z] = *pos;
            let [a, b, c, d] = quat.map(|q| sign * q);
            [x, y, z, a, b, c, d].map(|x| x as f32)
        };
        let scene = grasp::scene(body, exemplar.prop, &grasp.hand, &grasp::ARM)?;
        let (arms, sag) = (exemplar.arms(), grasp::sag(&scene.model));
        Ok(Self {
            poses: exemplar.frames.iter().map(pose).collect(),
            leads: leads(&arms, sag / -scene.model.gravity[2]),
            arms,
            sag: sag as f32,
            track,
            exemplar,
            grasp,
        })
    }

    /// What the object is shown to do.
    pub fn exemplar(&self) -> &Exemplar {
        &self.exemplar
    }

    /// How the hand holds the object.
    pub fn grasp(&self) -> &Grasp {
        self.grasp
    }

    fn frame(&self, step: usize) -> usize {
        step.min(self.poses.len() - 1)
    }

    /// Where the arm is in a frame when the object, held, is where it shall be; and the object, turned as the hand holds it.
    pub fn held(&self, frame: usize) -> ([f64; 6], Pose) {
        let wanted = self.exemplar.frames[frame].0;
        // The arm turns around where the object stood; held, the object is a little off. Slides make up for that.
        let pivot = unturned(self.exemplar.frames[0].0);
        let mut arm = self.arms[frame];
        let (off, quat) = then(&carried(arm, &pivot), &relative(&pivot, &self.grasp.held));
        for i in 0..3 {
            arm[i] += wanted[i] - off[i];
        }
        (arm, (wanted, quat))
    }
}

fn no_grasp(object: &str, body: &Body) -> HandError {
    HandError::Missing {
        task: Track::NAME,
        kind: "grasp of",
        name: object.to_owned(),
        model: body.model.name.clone(),
    }
}

/// What an arm is told from each frame to the next so that it goes along: its springs and dampers (`grasp::ARM`) the other way
/// round. They pull its slides with stiffness × (told - place) - damping × velocity = mass × acceleration; `mass_to_stiffness` in
/// s². What its hinges turn is too light to count.
fn leads(arms: &[[f64; 6]], mass_to_stiffness: f64) -> Vec<[f32; 6]> {
    let at = |frame: usize| &arms[frame.min(arms.len() - 1)];
    let lead = |frame: usize| {
        let [before, from, to, after] =
            [frame.saturating_sub(1), frame, frame + 1, frame + 2].map(at);
        let told = |i: usize| {
            let lag = grasp::ARM.damping[i / 3] / grasp::ARM.stiffness[i / 3];
            let velocity = (to[i] - from[i]) / FRAME_SECONDS;
            let acceleration =
                (after[i] - to[i] - from[i] + before[i]) / (2.0 * FRAME_SECONDS.powi(2));
            let inertia = if i < 3 { mass_to_stiffness } else { 0.0 };
            0.5 * (from[i] + to[i]) + lag * velocity + inertia * acceleration
        };
        [0, 1, 2, 3, 4, 5].map(|i| told(i) as f32)
    };
    (0..arms.len()).map(lead).collect()
}

impl Task for Tracking {
    fn name(&self) -> &'static str {
        Track::NAME
    }

    fn say(&self) -> String {
        self.exemplar.say.clone()
    }

    fn goal(&self) -> String {
        let Exemplar { name, prop, .. } = &self.exemplar;
        let object = &prop.object.name;
        let (near, share) = (self.track.near_m, 100.0 * SOLVED);
        format!("{object} within {near} m of {name}, after {share:.0} % of the actions")
    }

    fn max_steps(&self) -> u32 {
        self.poses.len() as u32 - 1
    }

    fn scene(&self, body: &Body) -> Result<Scene, HandError> {
        let object = &self.grasp.object;
        if grasp::grasp(&body.model.name, object) != Some(self.grasp) {
            return Err(no_grasp(object, body));
        }
        grasp::scene(body, self.exemplar.prop, &self.grasp.hand, &grasp::ARM)
    }

    fn n_target(&self, _: &Setting) -> usize {
        7 * AHEAD.len() + 5
    }

    fn n_error(&self, setting: &Setting) -> usize {
        6 + 3 * setting.tips.len()
    }

    fn standing(&self, setting: &Setting) -> WorldState {
        let open = self.grasp.open.iter().map(|x| *x as f32);
        let n = setting.model.joint.len();
        WorldState {
            qpos: open.chain([0.0; 6]).collect(),
            qvel: vec![0.0; n],
            act: vec![0.0; setting.model.muscle.len()],
            objects: vec![grasp::at_pose(&self.exemplar.frames[0], [0.0; 3], [0.0; 3])],
        }
    }

    fn draw(&self, _: &Setting, _: &mut ChaCha8Rng, _: &mut WorldState, target: &mut [f32]) {
        let prop = self.exemplar.prop;
        let rest = &mut target[7 * AHEAD.len()..];
        for (x, half) in rest.iter_mut().zip(prop.half) {
            *x = half as f32;
        }
        rest[3] = prop.object.mass as f32;
        rest[4] = (FRAME_SECONDS * (self.poses.len() - 1) as f64) as f32;
        self.follow(0, target);
    }

    fn along(
        &self,
        setting: &Setting,
        rng: &mut ChaCha8Rng,
        start: &mut WorldState,
    ) -> Option<u32> {
        let frame = rng.random_range(0..self.poses.len() - 1);
        let n = setting.n_joints;
        let ((arm, object), (next, moved)) = (self.held(frame), self.held(frame + 1));
        // While the object rests, the hand is on the way from open to closed.
        let rests = self.poses[frame + 1] == self.poses[0];
        let closed = if rests { rng.random::<f64>() } else { 1.0 };
        let between = |from: f64, to: f64| from + closed * (to - from);
        let [arm, next] = [arm, next].map(|arm| arm.map(|x| between(0.0, x)));
        for (x, to) in start.qpos.iter_mut().zip(&self.grasp.closed) {
            *x = between(f64::from(*x), *to) as f32;
        }
        for (x, to) in start.act.iter_mut().zip(&self.grasp.controls) {
            *x = between(0.0, *to) as f32;
        }
        let rate = |from: f64, to: f64| (to - from) / FRAME_SECONDS;
        for i in 0..6 {
            start.qpos[n + i] = arm[i] as f32;
            start.qvel[n + i] = rate(arm[i], next[i]) as f32;
        }
        let velocity = [0, 1, 2].map(|i| rate(object.0[i], moved.0[i]));
        let quat = |pose: &Pose| pose.1.map(|x| x as f32);
        let turn = turn_between(quat(&object), quat(&moved)).map(|x| f64::from(x) / FRAME_SECONDS);
        let back = ::hand::turns::transposed(&::hand::turns::matrix(object.1));
        let spin = ::hand::turns::apply(&back, turn);
        start.objects[0] = grasp::at_pose(&object, velocity, spin);
        Some(frame as u32)
    }

    fn keeps_time(&self) -> bool {
        true
    }

    fn follow(&self, step: u32, target: &mut [f32]) {
        for (ahead, pose) in AHEAD.iter().zip(target.chunks_exact_mut(7)) {
            pose.copy_from_slice(&self.poses[self.frame(step as usize + ahead)]);
        }
    }

    fn lead(&self, step: u32, controls: &mut [f32]) {
        let first = controls.len() - 6;
        if self.track.arm == Arm::Follows {
            controls[first..].copy_from_slice(&self.leads[self.frame(step as usize)]);
        }
        controls[first + 2] += self.sag;
    }

    fn begin(&self, controls: &mut [f32]) -> bool {
        for (x, control) in controls.iter_mut().zip(&self.grasp.controls) {
            *x = *control as f32;
        }
        true
    }

    fn play(&self, actuator: &str) -> Option<f32> {
        let joint = ::hand::scene::DrivenRoot::JOINTS
            .iter()
            .position(|j| *j == actuator)?;
        let beside = if joint < 3 { 0.1 } else { 0.5 };
        Some(match self.track.arm {
            Arm::Follows => beside,
            Arm::Free => {
                let goes = self.arms.iter().map(|arm| arm[joint].abs());
                goes.fold(0.0, f64::max) as f32 + beside
            }
        })
    }

    fn error(&self, seen: &Seen<'_>, error: &mut [f32]) {
        let quat = |pose: &[f32]| -> Quat { [pose[3], pose[4], pose[5], pose[6]] };
        let turn = turn_between(quat(seen.object_pose), quat(seen.target));
        for e in 0..3 {
            error[e] = seen.target[e] - seen.object_pose[e];
            error[3 + e] = turn[e];
        }
        for (i, (x, tip)) in error[6..].iter_mut().zip(seen.fingertips).enumerate() {
            *x = seen.object_pose[i % 3] - tip;
        }
    }

    fn terms(&self) -> &'static [&'static str] {
        &["object", "lift", "penalty", "posture", "energy"]
    }

    fn judge(&self, seen: &Seen<'_>, terms: &mut [f32]) -> Verdict {
        let Track {
            near_m,
            far_m,
            weights: w,
            ..
        } = &self.track;
        let (distance, angle) = (norm(&seen.error[..3]), norm(&seen.error[3..6]));
        let close = distance + 0.1 * angle / std::f32::consts::PI;
        let rest = self.poses[0][2] + 0.02;
        let lifted = seen.target[2] >= rest && seen.object_pose[2] >= rest;
        let far = distance > *far_m;
        let closed = seen.joint_angles.iter().zip(&self.grasp.closed);
        let square: f32 = closed.map(|(a, b)| (a - *b as f32).powi(2)).sum();
        let square = square / self.grasp.closed.len() as f32;
        terms.copy_from_slice(&[
            w.object * libm::expf(-50.0 * close),
            w.lift * whether(lifted),
            -w.penalty * whether(far),
            w.posture * libm::expf(-5.0 * square),
            -w.energy * effort(seen),
        ]);
        Verdict {
            success: distance < *near_m,
            terminated: far,
        }
    }

    fn solved(&self) -> Option<f64> {
        Some(SOLVED)
    }

    fn mark(&self, seen: &Seen<'_>) -> Option<[f32; 3]> {
        seen.target.first_chunk::<3>().copied()
    }

    /// All of the object's way, with room for a hand.
    fn view(&self) -> View {
        let places = self.poses.iter().map(|pose| [pose[0], pose[1], pose[2]]);
        let [low, high] = places.fold([[f32::MAX; 3], [f32::MIN; 3]], |[low, high], place| {
            let of = |pick: fn(f32, f32) -> f32, bound: [f32; 3]| {
                [0, 1, 2].map(|i| pick(bound[i], place[i]))
            };
            [of(f32::min, low), of(f32::max, high)]
        });
        let radius = 0.5 * norm(&[0, 1, 2].map(|i| high[i] - low[i])) + 0.16;
        let fovy: f32 = 0.5;
        let away = radius / libm::tanf(0.5 * fovy);
        let to = [0, 1, 2].map(|i| 0.5 * (low[i] + high[i]));
        let aside = [0.57, -0.73, 0.38];
        View {
            from: [0, 1, 2].map(|i| to[i] + away * aside[i]),
            to,
            fovy,
            ground: 0.0,
        }
    }
}
