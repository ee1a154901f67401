//! Ways that objects are carried: what a hand is shown of a task.
//!
//! An exemplar says where an object is every 20 ms, from standing on the table to the end of what is done with it. Those of
//! the 57 tasks are made by a generator from `assets/hand/motions.toml`; users who have reference files of MyoDM or TCDM can
//! load theirs.

use std::path::Path;
use std::sync::LazyLock;

use ::hand::turns::{apply, matrix, product, quat_of, transposed};
use npyz::npz::NpzArchive;
use rand::RngExt as _;
use serde::Deserialize;

use super::objects::{Prop, prop};
use crate::problem::did_you_mean;
use crate::random::episode_rng;

const FILE: &str = include_str!("../../../assets/hand/motions.toml");

/// Seconds from one frame to the next.
pub const FRAME_SECONDS: f64 = super::task::TICK_SECONDS;

/// Frames of a reference at most: ten minutes.
const LONGEST: f64 = 30_000.0;

/// Seconds of a step of TCDM's simulation.
const TCDM_STEP: f64 = 0.004;

/// How far an arm carries a hand from where it starts: meters to each side, radians around each axis. MyoDM's recordings go 1.24 m
/// and, turn by turn, 6.8 radians.
pub const REACH: [f64; 2] = [1.3, 7.0];

/// A place in meters and a turn, a quaternion w, x, y, z.
pub type Pose = ([f64; 3], [f64; 4]);

/// Where an object is, frame by frame.
#[derive(Clone, Debug)]
pub struct Exemplar {
    /// Its name.
    pub name: String,
    /// What is wanted, in words.
    pub say: String,
    /// The object.
    pub prop: &'static Prop,
    /// The object's center of mass and axes in the world, whose plane z = 0 is the table. The first is where it stands.
    pub frames: Vec<Pose>,
}

/// What an exemplar cannot be.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ExemplarError {
    /// There is no such task.
    #[error("there is no task \"{name}\"{similar}; `./habitus exemplar list` names the {count}")]
    Task {
        /// The name that was given.
        name: String,
        /// A question for one that is nearly the same, if there is one; see [`did_you_mean`].
        similar: String,
        /// How many there are.
        count: usize,
    },
    /// There is no such object.
    #[error("there is no object \"{name}\"{similar}")]
    Object {
        /// The name that was given.
        name: String,
        /// A question for one that is nearly the same, if there is one; see [`did_you_mean`].
        similar: String,
    },
    /// An arm does not get there.
    #[error(
        "exemplar \"{name}\": frame {frame}: {what} is {found:.3}, out of an arm's reach of {reach}"
    )]
    Reach {
        /// Of the exemplar.
        name: String,
        /// Counted from 0.
        frame: usize,
        /// What of the arm.
        what: &'static str,
        /// Meters or radians.
        found: f64,
        /// The same.
        reach: f64,
    },
    /// A reference file cannot be used.
    #[error("{path}: {what}")]
    File {
        /// As it was named.
        path: String,
        /// What is wrong.
        what: String,
    },
    /// A frame is not a pose, or there are too few.
    #[error("exemplar \"{name}\": {what}")]
    Frame {
        /// Of the exemplar.
        name: String,
        /// What is wrong.
        what: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    frames: [usize; 2],
    onset: [usize; 2],
    scale: [f64; 2],
    speed: f64,
    task: Vec<TaskEntry>,
    motion: Vec<Motion>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TaskEntry {
    name: String,
    object: String,
    motion: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Motion {
    name: String,
    say: String,
    key: Vec<Key>,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Key {
    at: f64,
    r#move: [f64; 3],
    #[serde(default)]
    turn: [f64; 3],
}

static MOTIONS: LazyLock<File> =
    LazyLock::new(|| toml::from_str(FILE).expect("the shipped motions are right"));

/// Names of the tasks, in the order of the paper's.
pub fn names() -> impl Iterator<Item = &'static str> {
    MOTIONS.task.iter().map(|task| task.name.as_str())
}

/// The object of a name.
///
/// # Errors
/// When there is none.
pub fn object(name: &str) -> Result<&'static Prop, ExemplarError> {
    let names = || super::objects::props().iter();
    prop(name).ok_or_else(|| ExemplarError::Object {
        name: name.to_owned(),
        similar: did_you_mean(name, names().map(|prop| prop.object.name.as_str())),
    })
}

impl Exemplar {
    /// That of one of the 57 tasks.
    ///
    /// # Errors
    /// When there is no such task.
    pub fn named(name: &str) -> Result<Self, ExemplarError> {
        let file = &*MOTIONS;
        let Some(task) = file.task.iter().find(|task| task.name == name) else {
            return Err(ExemplarError::Task {
                name: name.to_owned(),
                similar: did_you_mean(name, names()),
                count: file.task.len(),
            });
        };
        let motion = file.motion.iter().find(|m| m.name == task.motion);
        let motion = motion.expect("the shipped tasks have motions");
        let prop = object(&task.object)?;
        let mut rng = episode_rng(0, name, 0, "exemplar");
        let frames = rng.random_range(file.frames[0]..=file.frames[1]);
        let onset = rng.random_range(file.onset[0]..=file.onset[1]);
        let scale = rng.random_range(file.scale[0]..=file.scale[1]);
        let (start, quat) = prop.stands;
        let pose = |frame: usize, moving: usize| {
            let at = frame.saturating_sub(onset) as f64 / moving as f64;
            let (moved, turned) = motion.at(at);
            let pos = [0, 1, 2].map(|i| start[i] + scale * moved[i]);
            let turn = matrix(rotation(turned.map(|x| scale * x)));
            (pos, quat_of(&product(&turn, &matrix(quat))))
        };
        let way = |moving: usize| (0..=onset + moving).map(move |frame| pose(frame, moving));
        // A draw too short for the motion is made as long as its speed asks.
        let drawn = frames - 1 - onset;
        let excess = speed(&way(drawn).collect::<Vec<_>>()) / file.speed;
        let moving = (drawn as f64 * excess.max(1.0)).ceil() as usize;
        let exemplar = Self {
            name: name.to_owned(),
            say: motion.say.replace("{object}", &task.object),
            prop,
            frames: way(moving).collect(),
        };
        exemplar.check()?;
        Ok(exemplar)
    }

    /// An object's way from a reference file of MyoDM (`object`: frames × 7, `time`) or TCDM (`object_translation`,
    /// `object_orientation`, `DATA_SUBSTEPS`), from where the object stands here. Frames of other rates are brought to 20 ms.
    ///
    /// # Errors
    /// When the file cannot be read, lacks a list or has one of another shape, or what it says is no exemplar.
    pub fn from_file(path: &Path, prop: &'static Prop) -> Result<Self, ExemplarError> {
        let (poses, seconds) = reference(path)?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        let mut exemplar = Self {
            name: name.into_owned(),
            say: format!("Carry the {} as it is shown.", prop.object.name),
            prop,
            frames: poses,
        };
        exemplar.check_frames()?;
        // From its own start to where the object stands here.
        let first = exemplar.frames[0];
        let (start, quat) = prop.stands;
        let count = (exemplar.frames.len() - 1) as f64 * seconds / FRAME_SECONDS;
        if count > LONGEST {
            return Err(ExemplarError::File {
                path: path.display().to_string(),
                what: format!(
                    "expected at most {LONGEST} frames of {FRAME_SECONDS} s, found {} frames of {seconds} s",
                    exemplar.frames.len()
                ),
            });
        }
        let count = count.round() as usize;
        let pose = |frame: usize| {
            let at = frame as f64 * FRAME_SECONDS / seconds;
            let (pos, turned) = between(&exemplar.frames, at);
            let turn = product(&matrix(turned), &transposed(&matrix(first.1)));
            let pos = [0, 1, 2].map(|i| start[i] + pos[i] - first.0[i]);
            (pos, quat_of(&product(&turn, &matrix(quat))))
        };
        exemplar.frames = (0..=count).map(pose).collect();
        exemplar.check()?;
        Ok(exemplar)
    }

    /// Whether every frame is a pose over the table that an arm reaches.
    ///
    /// # Errors
    /// Names the first that is not.
    pub fn check(&self) -> Result<(), ExemplarError> {
        self.check_frames()?;
        let heights = self.frames.iter().map(|(pos, _)| pos[2]);
        if let Some((frame, z)) = heights.enumerate().find(|(_, z)| *z < 0.0) {
            let (name, below) = (self.name.clone(), -z);
            let what = format!("frame {frame} has the object {below:.3} m under the table");
            return Err(ExemplarError::Frame { name, what });
        }
        for (frame, arm) in self.arms().into_iter().enumerate() {
            let limits = [0, 0, 0, 1, 1, 1].map(|kind| REACH[kind]);
            let parts = ["x", "y", "z", "roll", "pitch", "yaw"];
            for ((found, reach), what) in arm.into_iter().zip(limits).zip(parts) {
                if found.abs() > reach {
                    return Err(ExemplarError::Reach {
                        name: self.name.clone(),
                        frame,
                        what,
                        found,
                        reach,
                    });
                }
            }
        }
        Ok(())
    }

    /// Whether there are frames, and each is a pose.
    fn check_frames(&self) -> Result<(), ExemplarError> {
        let wrong = |what: String| {
            let name = self.name.clone();
            Err(ExemplarError::Frame { name, what })
        };
        if self.frames.len() < 2 {
            let found = self.frames.len();
            return wrong(format!("{found} frames, expected at least 2"));
        }
        for (frame, (pos, quat)) in self.frames.iter().enumerate() {
            if let Some(x) = pos.iter().chain(quat).find(|x| !x.is_finite()) {
                return wrong(format!("frame {frame} has the number {x}"));
            }
            let length = quat.iter().map(|x| x * x).sum::<f64>().sqrt();
            if (length - 1.0).abs() > 1e-3 {
                return wrong(format!(
                    "frame {frame}: expected a quaternion of length 1, found {length:.3}"
                ));
            }
        }
        Ok(())
    }

    /// How long the object's way is, in meters.
    pub fn path(&self) -> f64 {
        steps(&self.frames).sum()
    }

    /// Where an arm that carries the object along, and turns around where it stood, is in each frame: three slides in meters,
    /// three hinges in radians, which go on where the frame before left them (frames × 6).
    pub fn arms(&self) -> Vec<[f64; 6]> {
        let next = |before: &mut [f64; 6], pose: &Pose| {
            *before = nearest(arm_between(&self.frames[0], pose), before);
            Some(*before)
        };
        self.frames.iter().scan([0.0; 6], next).collect()
    }
}

/// How far an object goes from frame to frame, in meters.
fn steps(frames: &[Pose]) -> impl Iterator<Item = f64> {
    frames.windows(2).map(|w| distance(w[0].0, w[1].0))
}

/// The fastest that an object goes along frames, in m/s.
fn speed(frames: &[Pose]) -> f64 {
    steps(frames).fold(0.0, f64::max) / FRAME_SECONDS
}

/// Between two frames: places in a line, turns normalized between the nearer signs.
fn between(frames: &[Pose], at: f64) -> Pose {
    let last = frames.len() - 1;
    let before = (at.floor() as usize).min(last);
    let after = (before + 1).min(last);
    let share = (at - before as f64).clamp(0.0, 1.0);
    let (a, b) = (&frames[before], &frames[after]);
    let same: f64 = (0..4).map(|i| a.1[i] * b.1[i]).sum();
    let sign = if same < 0.0 { -1.0 } else { 1.0 };
    let pos = [0, 1, 2].map(|i| a.0[i] + share * (b.0[i] - a.0[i]));
    let quat = [0, 1, 2, 3].map(|i| a.1[i] + share * (sign * b.1[i] - a.1[i]));
    let length = quat.iter().map(|x| x * x).sum::<f64>().sqrt();
    (pos, quat.map(|x| x / length))
}

/// The object's poses in a reference file, and the seconds from one to the next.
fn reference(path: &Path) -> Result<(Vec<Pose>, f64), ExemplarError> {
    let wrong = |what: String| ExemplarError::File {
        path: path.display().to_string(),
        what,
    };
    let mut file = NpzArchive::open(path).map_err(|error| wrong(error.to_string()))?;
    let mut list = |name: &str| -> Result<Option<(Vec<usize>, Vec<f64>)>, ExemplarError> {
        let named = |error: std::io::Error| wrong(format!("{name}: {error}"));
        let Some(array) = file.by_name(name).map_err(named)? else {
            return Ok(None);
        };
        let shape = array.shape().iter().map(|n| *n as usize).collect();
        if array.order() != npyz::Order::C {
            return Err(wrong(format!("{name}: expected an array in C order")));
        }
        let kind = array.dtype().descr();
        let numbers = if kind.contains("f4") {
            let numbers = array.into_vec::<f32>().map_err(named)?;
            numbers.into_iter().map(f64::from).collect()
        } else if kind.contains("i4") {
            let numbers = array.into_vec::<i32>().map_err(named)?;
            numbers.into_iter().map(f64::from).collect()
        } else if kind.contains("i8") {
            let numbers = array.into_vec::<i64>().map_err(named)?;
            numbers.into_iter().map(|x| x as f64).collect()
        } else {
            array.into_vec::<f64>().map_err(named)?
        };
        Ok(Some((shape, numbers)))
    };
    let rows = |name: &str, found: (Vec<usize>, Vec<f64>), width: usize| match found.0[..] {
        [_, n] if n == width => Ok(found.1),
        _ => Err(wrong(format!(
            "{name}: expected frames x {width} numbers, found {:?}",
            found.0
        ))),
    };
    let pose = |p: &[f64], q: &[f64]| ([p[0], p[1], p[2]], [q[0], q[1], q[2], q[3]]);
    if let Some(object) = list("object")? {
        let object = rows("object", object, 7)?;
        let (_, time) =
            list("time")?.ok_or_else(|| wrong("expected a list \"time\"".to_owned()))?;
        let wrong_time = || wrong("time: expected at least two that rise evenly".to_owned());
        let (Some(first), Some(last)) = (time.first(), time.last()) else {
            return Err(wrong_time());
        };
        let seconds = (last - first) / (time.len() as f64 - 1.0);
        let even = |pair: &[f64]| (pair[1] - pair[0] - seconds).abs() <= 0.1 * seconds;
        if !(seconds > 0.0 && seconds.is_finite() && time.windows(2).all(even)) {
            return Err(wrong_time());
        }
        if 7 * time.len() != object.len() {
            return Err(wrong(format!(
                "time: expected one for each of {} frames, found {}",
                object.len() / 7,
                time.len()
            )));
        }
        let poses = object.chunks_exact(7).map(|x| pose(&x[..3], &x[3..]));
        return Ok((poses.collect(), seconds));
    }
    let [places, turns] =
        ["object_translation", "object_orientation"].map(|name| (name, list(name)));
    let (places, turns) = match ((places.0, places.1?), (turns.0, turns.1?)) {
        ((_, Some(places)), (_, Some(turns))) => (places, turns),
        ((_, None), (_, None)) => {
            let expected = "expected \"object\" (MyoDM), or \"object_translation\" and \"object_orientation\" (TCDM), found neither";
            return Err(wrong(expected.to_owned()));
        }
        ((name, None), _) | (_, (name, None)) => {
            return Err(wrong(format!("expected a list \"{name}\", found none")));
        }
    };
    let places = rows("object_translation", places, 3)?;
    let turns = rows("object_orientation", turns, 4)?;
    if places.len() / 3 != turns.len() / 4 {
        return Err(wrong(format!(
            "object_orientation: expected one for each of {} frames, found {}",
            places.len() / 3,
            turns.len() / 4
        )));
    }
    // A frame is so many steps of its simulation.
    let found = list("DATA_SUBSTEPS")?.and_then(|(_, numbers)| numbers.first().copied());
    let Some(steps) = found else {
        return Err(wrong(
            "expected a number \"DATA_SUBSTEPS\", found none".to_owned(),
        ));
    };
    if !(steps >= 1.0 && steps.is_finite()) {
        return Err(wrong(format!(
            "DATA_SUBSTEPS: expected at least 1, found {steps}"
        )));
    }
    let poses = places.chunks_exact(3).zip(turns.chunks_exact(4));
    Ok((poses.map(|(p, q)| pose(p, q)).collect(), steps * TCDM_STEP))
}

impl Motion {
    /// Moved and turned at a share of the moving time.
    fn at(&self, share: f64) -> ([f64; 3], [f64; 3]) {
        let rest = Key {
            at: 0.0,
            r#move: [0.0; 3],
            turn: [0.0; 3],
        };
        let mut before = &rest;
        for key in &self.key {
            if share <= key.at {
                let t = ((share - before.at) / (key.at - before.at)).clamp(0.0, 1.0);
                // Flash and Hogan 1985: the way of least jerk between two places at rest.
                let s = t * t * t * (10.0 - 15.0 * t + 6.0 * t * t);
                let between =
                    |a: [f64; 3], b: [f64; 3]| [0, 1, 2].map(|i| a[i] + s * (b[i] - a[i]));
                return (
                    between(before.r#move, key.r#move),
                    between(before.turn, key.turn),
                );
            }
            before = key;
        }
        (before.r#move, before.turn)
    }
}

/// A place, unturned.
pub fn unturned(pos: [f64; 3]) -> Pose {
    (pos, [1.0, 0.0, 0.0, 0.0])
}

/// From one place to another.
pub fn distance(a: [f64; 3], b: [f64; 3]) -> f64 {
    (0..3).map(|i| (a[i] - b[i]).powi(2)).sum::<f64>().sqrt()
}

/// What takes an object from one pose to another, as an arm does it that turns around the first: around x, the turned y, the
/// twice turned z.
pub fn arm_between(from: &Pose, to: &Pose) -> [f64; 6] {
    let r = product(&matrix(to.1), &transposed(&matrix(from.1)));
    let pitch = libm::asin(r[0][2].clamp(-1.0, 1.0));
    [
        to.0[0] - from.0[0],
        to.0[1] - from.0[1],
        to.0[2] - from.0[2],
        libm::atan2(-r[1][2], r[2][2]),
        pitch,
        libm::atan2(-r[0][1], r[0][0]),
    ]
}

/// Of the ways in which an arm's hinges make the same turn (the second goes over the pole, where roll and yaw are one; whole turns
/// more are the same), the one with the least to go from another arm.
pub(super) fn nearest(arm: [f64; 6], from: &[f64; 6]) -> [f64; 6] {
    use std::f64::consts::{PI, TAU};
    let [x, y, z, roll, pitch, yaw] = arm;
    let over = [x, y, z, roll + PI, PI - pitch, yaw + PI];
    let near = |arm: [f64; 6]| {
        let turns = |i: usize| TAU * ((arm[i] - from[i]) / TAU).round();
        [0, 1, 2, 3, 4, 5].map(|i| if i < 3 { arm[i] } else { arm[i] - turns(i) })
    };
    let way = |arm: &[f64; 6]| (3..6).map(|i| (arm[i] - from[i]).powi(2)).sum::<f64>();
    let [straight, over] = [near(arm), near(over)];
    if way(&over) < way(&straight) {
        over
    } else {
        straight
    }
}

/// Where an arm takes an object that it turns around.
pub fn carried(by: [f64; 6], from: &Pose) -> Pose {
    let axis = |i: usize| {
        let mut half = [0.0; 4];
        (half[1 + i], half[0]) = libm::sincos(0.5 * by[3 + i]);
        matrix(half)
    };
    let turn = product(&axis(0), &product(&axis(1), &axis(2)));
    let pos = [0, 1, 2].map(|i| from.0[i] + by[i]);
    (pos, quat_of(&product(&turn, &matrix(from.1))))
}

/// What of a pose remains when it is seen from another: `then(a, relative(a, b)) = b`.
pub fn relative(a: &Pose, b: &Pose) -> Pose {
    let back = transposed(&matrix(a.1));
    let pos = apply(&back, [0, 1, 2].map(|i| b.0[i] - a.0[i]));
    (pos, quat_of(&product(&back, &matrix(b.1))))
}

/// A pose that is given in the axes of another.
pub fn then(a: &Pose, b: &Pose) -> Pose {
    let turn = matrix(a.1);
    let pos = apply(&turn, b.0);
    (
        [0, 1, 2].map(|i| a.0[i] + pos[i]),
        quat_of(&product(&turn, &matrix(b.1))),
    )
}

/// The quaternion of a rotation vector in radians.
pub fn rotation(vector: [f64; 3]) -> [f64; 4] {
    let angle = vector.iter().map(|x| x * x).sum::<f64>().sqrt();
    let (s, c) = libm::sincos(0.5 * angle);
    let scale = if angle > 1e-12 { s / angle } else { 0.5 };
    [c, vector[0] * scale, vector[1] * scale, vector[2] * scale]
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn exemplars_are_like_those_of_people() {
        let all: Vec<Exemplar> = names().map(|name| Exemplar::named(name).unwrap()).collect();
        assert_eq!(all.len(), 57);
        let median = |mut list: Vec<f64>| {
            list.sort_by(f64::total_cmp);
            list[list.len() / 2]
        };
        let paths: Vec<f64> = all.iter().map(Exemplar::path).collect();
        // Of the 95 references of MyoSuite 2.12.2: 42 to 100 frames, paths of 0.09 to 2.9 m with a median of 1.26, motion
        // after 0.36 s in the median, all lifted by more than 4 cm.
        assert!(paths.iter().all(|p| (0.09..2.9).contains(p)), "{paths:?}");
        let middle = median(paths);
        // Ours are shorter: they go nowhere and back less often.
        assert!((0.6..1.5).contains(&middle), "{middle}");
        let onset = |e: &Exemplar| {
            let moves = |p: &Pose| distance(p.0, e.frames[0].0) > 1e-4;
            e.frames.iter().position(moves).unwrap() as f64 * FRAME_SECONDS
        };
        let middle = median(all.iter().map(onset).collect());
        assert!((0.32..0.44).contains(&middle), "{middle}");
        for e in &all {
            assert!((42..=100).contains(&e.frames.len()));
            let start = e.frames[0].0[2];
            assert!(e.frames.iter().any(|f| f.0[2] > start + 0.04), "{}", e.name);
            let fastest = speed(&e.frames);
            assert!(fastest < 2.6, "{}: {fastest} m/s", e.name);
        }
    }

    #[test]
    fn an_arm_takes_an_object_through_its_exemplar() {
        let shown = Exemplar::named("airplane_fly").unwrap();
        let start = shown.frames[0];
        // Over the pole, and around by more than half a turn.
        let turned = |turn: [f64; 3]| {
            let pose = |i: usize| {
                let turn = matrix(rotation(turn.map(|x| x * i as f64 / 50.0)));
                (start.0, quat_of(&product(&turn, &matrix(start.1))))
            };
            Exemplar {
                frames: (0..=50).map(pose).collect(),
                ..shown.clone()
            }
        };
        let [over, around] = [[0.1, 2.5, 0.1], [0.1, 0.1, 4.5]].map(turned);
        assert!(over.arms()[50][4] > 2.3, "{:?}", over.arms()[50]);
        assert!(around.arms()[50][5] > 4.3, "{:?}", around.arms()[50]);
        for exemplar in [&shown, &over, &around] {
            let arms = exemplar.arms();
            for (frame, (arm, pose)) in arms.iter().zip(&exemplar.frames).enumerate() {
                let before = &arms[frame.saturating_sub(1)];
                let goes = (0..6).map(|i| (arm[i] - before[i]).abs());
                assert!(goes.fold(0.0, f64::max) < 0.5, "frame {frame}: {arm:?}");
                let reached = carried(*arm, &start);
                let same: f64 = (0..4).map(|i| reached.1[i] * pose.1[i]).sum();
                assert!((same.abs() - 1.0).abs() < 1e-9, "frame {frame}");
                assert!((0..3).all(|i| (reached.0[i] - pose.0[i]).abs() < 1e-12));
                let again = then(&start, &relative(&start, pose));
                assert!((0..3).all(|i| (again.0[i] - pose.0[i]).abs() < 1e-12));
            }
        }
    }

    #[test]
    fn what_is_no_exemplar_is_refused() {
        let error = Exemplar::named("cup_drnk").unwrap_err().to_string();
        assert!(error.contains("did you mean \"cup_drink\"?"), "{error}");
        let mut exemplar = Exemplar::named("cup_drink").unwrap();
        exemplar.frames[9].0[0] = 1.4;
        let error = exemplar.check().unwrap_err().to_string();
        assert!(error.contains("frame 9: x is 1.4"), "{error}");
        exemplar.frames[5].1[2] = f64::NAN;
        let error = exemplar.check().unwrap_err().to_string();
        assert!(error.contains("frame 5 has the number NaN"), "{error}");
    }

    /// Writes arrays of f64 as NumPy does.
    fn npz(name: &str, arrays: &[(&str, &[u64], Vec<f64>)]) -> PathBuf {
        use npyz::WriterBuilder as _;
        let path = std::env::temp_dir().join(format!("{}_{name}.npz", std::process::id()));
        let mut file = npyz::npz::NpzWriter::create(&path).unwrap();
        for (name, shape, numbers) in arrays {
            let array = file.array(name, Default::default()).unwrap();
            let mut array = array.default_dtype().shape(shape).begin_nd().unwrap();
            array.extend(numbers.iter().copied()).unwrap();
            array.finish().unwrap();
        }
        drop(file);
        path
    }

    #[test]
    fn reference_files_of_myodm_and_tcdm_are_read() {
        let cup = prop("cup").unwrap();
        // Up by 20 cm within a second, turned by half a right angle, from anywhere: the table is where the first frame is.
        let at = |t: f64| {
            (
                vec![0.3, -0.2, 1.1 + 0.2 * t],
                rotation([0.0, 0.0, 0.8 * t]),
            )
        };
        let frames = |n: usize| (0..n).map(move |i| at(i as f64 / (n - 1) as f64));
        let object = frames(51)
            .flat_map(|(p, q)| p.into_iter().chain(q))
            .collect();
        let time = (0..51).map(|i| 0.02 * f64::from(i)).collect();
        let myodm = npz(
            "myodm",
            &[("object", &[51, 7], object), ("time", &[51], time)],
        );
        let places = frames(26).flat_map(|(p, _)| p).collect();
        let turns = frames(26).flat_map(|(_, q)| q).collect();
        let tcdm = npz(
            "tcdm",
            &[
                ("object_translation", &[26, 3], places),
                ("object_orientation", &[26, 4], turns),
                ("DATA_SUBSTEPS", &[], vec![10.0]),
            ],
        );
        for path in [&myodm, &tcdm] {
            let exemplar = Exemplar::from_file(path, cup).unwrap();
            assert_eq!(exemplar.frames.len(), 51);
            let (pos, quat) = exemplar.frames[50];
            let (start, stands) = cup.stands;
            assert!((pos[2] - start[2] - 0.2).abs() < 1e-9);
            let turned = product(&matrix(rotation([0.0, 0.0, 0.8])), &matrix(stands));
            let same: f64 = quat_of(&turned).iter().zip(quat).map(|(a, b)| a * b).sum();
            assert!((same.abs() - 1.0).abs() < 1e-9);
            assert!((exemplar.frames[25].0[2] - start[2] - 0.1).abs() < 1e-3);
        }
        let error = |name: &str, arrays: &[(&str, &[u64], Vec<f64>)]| {
            let path = npz(name, arrays);
            let error = Exemplar::from_file(&path, cup).unwrap_err().to_string();
            std::fs::remove_file(path).unwrap();
            error
        };
        let pose = |x: f64| [x, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0];
        let two = |a: f64, b: f64| [pose(a), pose(b)].concat();
        let time = || ("time", &[2u64] as &[u64], vec![0.0, 0.02]);
        let found = error("nan", &[("object", &[2, 7], two(0.0, f64::NAN)), time()]);
        assert!(found.contains("frame 1 has the number NaN"), "{found}");
        let found = error("far", &[("object", &[2, 7], two(0.0, 2.0)), time()]);
        assert!(found.contains("frame 1: x is 2.000"), "{found}");
        let found = error("flat", &[("object", &[14], two(0.0, 0.1)), time()]);
        assert!(found.contains("object: expected frames x 7"), "{found}");
        let long = ("time", &[3u64] as &[u64], vec![0.0, 0.02, 0.04]);
        let found = error("long", &[("object", &[2, 7], two(0.0, 0.1)), long]);
        assert!(found.contains("for each of 2 frames, found 3"), "{found}");
        let slow = ("time", &[2u64] as &[u64], vec![0.0, 1e12]);
        let found = error("slow", &[("object", &[2, 7], two(0.0, 0.1)), slow]);
        assert!(found.contains("at most 30000 frames"), "{found}");
        let uneven = ("time", &[3u64] as &[u64], vec![0.0, 0.02, 5.0]);
        let three = [two(0.0, 0.1), pose(0.1).to_vec()].concat();
        let found = error("uneven", &[("object", &[3, 7], three), uneven]);
        assert!(found.contains("at least two that rise evenly"), "{found}");
        let mut low = two(0.0, 0.0);
        low[9] = -0.8;
        let found = error("low", &[("object", &[2, 7], low), time()]);
        assert!(found.contains("m under the table"), "{found}");
        let turns = (
            "object_orientation",
            &[1u64, 4] as &[u64],
            vec![1.0, 0.0, 0.0, 0.0],
        );
        let found = error("half", &[turns]);
        assert!(
            found.contains("a list \"object_translation\", found none"),
            "{found}"
        );
        let found = error("late", &[("object", &[2, 7], two(0.0, 0.1))]);
        assert!(found.contains("expected a list \"time\""), "{found}");
        let found = error("none", &[("robot", &[1], vec![0.0])]);
        assert!(found.contains("expected \"object\" (MyoDM), or"), "{found}");
        std::fs::write(&myodm, "no archive").unwrap();
        assert!(Exemplar::from_file(&myodm, cup).is_err());
        for path in [&myodm, &tcdm] {
            std::fs::remove_file(path).unwrap();
        }
        assert!(Exemplar::from_file(&myodm, cup).is_err());
    }

    /// `MYODM=folder cargo test -p sim -- --ignored --nocapture real_reference_files`
    #[test]
    #[ignore = "reads files that MyoSuite brings, which are not ours to give"]
    fn real_reference_files_are_read() {
        let folder = std::env::var("MYODM").unwrap();
        let (mut read, mut refused) = (0, Vec::new());
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|e| e == "npz") {
                match Exemplar::from_file(&path, prop("cup").unwrap()) {
                    Ok(exemplar) => {
                        assert!((41..=101).contains(&exemplar.frames.len()));
                        read += 1;
                    }
                    Err(error) => refused.push(error.to_string()),
                }
            }
        }
        println!("{read} read, refused: {refused:#?}");
        assert!(read > 90);
    }
}
