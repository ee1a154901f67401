//! Grasps: how a hand stands around an object before it closes, and how it holds it. Found by search, kept in
//! `assets/hand/grasps`.
//!
//! PGDM (Dasari et al. 2023, arXiv:2209.11221) and MyoDex start episodes from one pre-grasp for each task, taken from
//! recordings of people. Here it is searched for: hands come from sampled sides, close with sampled strengths, lift and are
//! shaken. Of those that touch nothing before they close, press with thumb and fingers and lift the object, that which slips and
//! turns least and also holds when it is pushed about is kept, together with how much it slipped.

use std::sync::LazyLock;

use ::hand::batch::{Batch, ObjectState, Reading, WorldState};
use ::hand::model::{Model, ShapeKind};
use ::hand::scene::{DrivenRoot, Options, Primitive, Scene};
use ::hand::turns::{apply, matrix, product, quat_of};
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::exemplar::{Pose, arm_between, carried, distance, relative, rotation, then, unturned};
use super::objects::Prop;
use super::{Body, HandError, Setting};
use crate::random::episode_rng;

/// The arm that carries a hand about: it follows its controls by 60 ms.
pub(super) const ARM: DrivenRoot = DrivenRoot {
    mass: 3.0,
    stiffness: [4000.0, 400.0],
    damping: [240.0, 24.0],
    reach: [1.4, 7.5],
};

/// A hand around an object, in meters and radians.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grasp {
    /// Name of the object.
    pub object: String,
    /// What the search chose it by, the less the better: mean slip in meters, half of how far closing and lifting shifted the object
    /// in the hand, and 5 cm for each radian that closing, lifting and shaking turned it by.
    pub score: f64,
    /// How far it slipped in the hand at most while it was shaken, in meters.
    pub slip: f64,
    /// Where the body of the hand's model that hangs on the world is, while the object stands around the origin.
    pub hand: Pose,
    /// Angles of the hand's joints before it closes (n_joints).
    pub open: Vec<f64>,
    /// The same when it holds the object (n_joints).
    pub closed: Vec<f64>,
    /// What its muscles and motors are told to close and to hold (n_muscles + n_torques).
    pub controls: Vec<f64>,
    /// Where the held object is, if the arm has not moved.
    pub held: Pose,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    grasp: Vec<Grasp>,
}

static MYOHAND: LazyLock<Vec<Grasp>> =
    LazyLock::new(|| shipped(include_str!("../../../assets/hand/grasps/myohand.toml")));
static ROBOT: LazyLock<Vec<Grasp>> =
    LazyLock::new(|| shipped(include_str!("../../../assets/hand/grasps/robot.toml")));

fn shipped(text: &str) -> Vec<Grasp> {
    read(text).expect("the shipped grasps are right")
}

/// Grasps from a file's text.
///
/// # Errors
/// When it is no such file.
pub fn read(text: &str) -> Result<Vec<Grasp>, String> {
    let file: Result<File, _> = toml::from_str(text);
    file.map(|file| file.grasp)
        .map_err(|error| error.to_string())
}

/// Grasps as a file's text.
///
/// # Panics
/// Never: grasps are plain numbers.
pub fn write(grasps: &[Grasp]) -> String {
    let file = File {
        grasp: grasps.to_vec(),
    };
    toml::to_string(&file).expect("numbers and names")
}

/// The grasps of a hand by its model's name.
pub fn grasps(model: &str) -> &'static [Grasp] {
    anatomy(model).map_or(&[], |anatomy| anatomy.shipped)
}

/// How a hand grasps an object; `None` where nobody has searched.
pub fn grasp(model: &str, object: &str) -> Option<&'static Grasp> {
    grasps(model).iter().find(|grasp| grasp.object == object)
}

/// What the search needs to know of a hand.
struct Anatomy {
    model: &'static str,
    /// What was found before.
    shipped: &'static LazyLock<Vec<Grasp>>,
    /// A body behind the palm, and the first bodies of the fingers.
    wrist: &'static str,
    knuckles: [&'static str; 4],
    /// Joints by the beginnings of their names, their angles when all is open and when all is bent, and which of [`BENDS`]
    /// bends them.
    posture: &'static [(&'static str, f64, f64, usize)],
    /// Actuators by the beginnings of their names, what they are told at most, and which of [`PULLS`] says how much of it.
    drives: &'static [(&'static str, f64, usize)],
}

/// Numbers that say how a hand stands before it closes: knuckles, fingers, the thumb across, the thumb bent, the wrist.
const BENDS: usize = 5;
/// Numbers that say how strong it closes: index, middle, the other two, thumb, small muscles, both sides of the wrist.
const PULLS: usize = 7;
/// Numbers of a candidate: where from (yaw, roll, pitch), where to (3), bends, pulls.
const NUMBERS: usize = 6 + BENDS + PULLS;

static ANATOMIES: [Anatomy; 2] = [
    Anatomy {
        model: "MyoHand",
        shipped: &MYOHAND,
        wrist: "lunate",
        knuckles: ["proxph2", "proxph3", "proxph4", "proxph5"],
        posture: &[
            ("mcp2_flexion", 0.0, 1.3, 0),
            ("mcp3_flexion", 0.0, 1.3, 0),
            ("mcp4_flexion", 0.0, 1.3, 0),
            ("mcp5_flexion", 0.0, 1.3, 0),
            ("pm", 0.05, 1.3, 1),
            ("md", 0.05, 0.9, 1),
            ("cmc_abduction", 0.0, 0.75, 2),
            ("cmc_flexion", 0.4, -0.7, 3),
            ("mp_flexion", 0.3, -0.5, 3),
            ("ip_flexion", 0.2, -0.8, 3),
            ("flexion", 0.5, -0.6, 4),
        ],
        drives: &[
            ("FDS2", 1.0, 0),
            ("FDP2", 1.0, 0),
            ("FDS3", 1.0, 1),
            ("FDP3", 1.0, 1),
            ("FDS4", 1.0, 2),
            ("FDP4", 1.0, 2),
            ("FDS5", 1.0, 2),
            ("FDP5", 1.0, 2),
            ("FPL", 1.0, 3),
            ("OP", 1.0, 3),
            ("RI", 0.6, 4),
            ("LU_RB", 0.6, 4),
            ("UI_UB", 0.6, 4),
            ("ECRL", 1.0, 5),
            ("ECRB", 1.0, 5),
            ("ECU", 1.0, 6),
        ],
    },
    Anatomy {
        model: "robot_hand",
        shipped: &ROBOT,
        wrist: "wrist",
        knuckles: [
            "index_proximal",
            "middle_proximal",
            "ring_proximal",
            "little_proximal",
        ],
        posture: &[
            ("index_proximal", -0.1, 1.2, 0),
            ("middle_proximal", -0.1, 1.2, 0),
            ("ring_proximal", -0.1, 1.2, 0),
            ("little_proximal", -0.1, 1.2, 0),
            ("index_middle", 0.05, 1.3, 1),
            ("middle_middle", 0.05, 1.3, 1),
            ("ring_middle", 0.05, 1.3, 1),
            ("little_middle", 0.05, 1.3, 1),
            ("index_distal", 0.05, 0.9, 1),
            ("middle_distal", 0.05, 0.9, 1),
            ("ring_distal", 0.05, 0.9, 1),
            ("little_distal", 0.05, 0.9, 1),
            ("thumb_rotation", -0.6, 1.0, 2),
            ("thumb_abduction", 0.1, 1.1, 2),
            ("thumb_middle", -0.4, 0.5, 3),
            ("thumb_distal", -0.2, 1.0, 3),
            ("wrist_flexion", 0.4, -0.4, 4),
        ],
        drives: &[
            ("index_proximal", 1.0, 0),
            ("index_middle", 1.0, 0),
            ("index_distal", 1.0, 0),
            ("middle_proximal", 1.0, 1),
            ("middle_middle", 1.0, 1),
            ("middle_distal", 1.0, 1),
            ("ring_proximal", 1.0, 2),
            ("ring_middle", 1.0, 2),
            ("ring_distal", 1.0, 2),
            ("little_proximal", 1.0, 2),
            ("little_middle", 1.0, 2),
            ("little_distal", 1.0, 2),
            ("thumb_middle", 1.0, 3),
            ("thumb_distal", 1.0, 3),
            ("thumb_rotation", 0.5, 4),
            ("thumb_abduction", 0.5, 4),
            ("wrist_flexion", -0.5, 5),
        ],
    },
];

fn anatomy(model: &str) -> Option<&'static Anatomy> {
    ANATOMIES.iter().find(|a| model.starts_with(a.model))
}

/// The arm of a search: it goes everywhere.
const SEARCH_ARM: DrivenRoot = DrivenRoot {
    reach: [1.0, 3.3],
    ..ARM
};

/// A hand on an arm that turns around an object, which stands on a table.
pub(super) fn scene(
    body: &Body,
    prop: &Prop,
    hand: &Pose,
    arm: &DrivenRoot,
) -> Result<Scene, HandError> {
    let mut model = body.model.clone();
    for root in model.body.iter_mut().filter(|b| b.parent == "world") {
        (root.pos, root.quat) = *hand;
    }
    let model = arm.carry(&model, prop.stands.0);
    Ok(Scene {
        options: Options {
            timestep: body.model.timestep,
            ..Options::default()
        },
        model: model.map_err(HandError::Model)?,
        parameters: body.parameters,
        objects: vec![prop.object.clone()],
        fixed: vec![Primitive::new(ShapeKind::Plane, [0.0; 3])],
    })
}

/// How high over its control the arm stands with a hand on it, in meters: what it must be told more to carry the hand.
pub(super) fn sag(model: &Model) -> f64 {
    let masses = model.body.iter().filter_map(|b| b.inertial.as_ref());
    let mass: f64 = masses.map(|i| i.mass).sum();
    -mass * model.gravity[2] / ARM.stiffness[0]
}

/// An object at a pose, moving as said: meters a second in the world, radians a second around its own axes.
pub(super) fn at_pose(pose: &Pose, velocity: [f64; 3], spin: [f64; 3]) -> ObjectState {
    ObjectState {
        pos: pose.0.map(|x| x as f32),
        quat: pose.1.map(|x| x as f32),
        velocity: velocity.map(|x| x as f32),
        spin: spin.map(|x| x as f32),
    }
}

/// What needs grasps.
const NAME: &str = super::task::Track::NAME;

/// How a search is done.
#[derive(Clone, Copy, Debug)]
pub struct Search {
    /// Rounds, the first of which samples from everywhere, the others around the best so far.
    pub rounds: usize,
    /// Candidates of a round.
    pub candidates: usize,
    /// Threads.
    pub threads: usize,
    /// Names the stream of random numbers.
    pub seed: u64,
}

impl Default for Search {
    fn default() -> Self {
        Self {
            rounds: 6,
            candidates: 1024,
            threads: 1,
            seed: 0,
        }
    }
}

/// Numbers in [0, 1], and what came of them.
#[derive(Clone, Debug)]
struct Candidate {
    numbers: [f64; NUMBERS],
    /// What is wrong: 0.3 for a hand in the way, and 0.2 for each tenfold of what it presses with; up to 0.5 for an object that is
    /// not lifted as far, 0.5 for one that slips far, 0.3 without thumb or without fingers; 0 for a grasp.
    faults: f64,
    score: f64,
    slip: f64,
    held: Option<(Vec<f64>, Pose)>,
}

/// How many first rounds there are.
const EVERYWHERE: usize = 3;
/// Best candidates that a round samples around.
const ELITES: usize = 24;
/// Physics steps of an action.
const SKIP: usize = 10;
/// Actions: closing, lifting, coming to rest (what is held by its rim swings), being shaken, at rest.
const PHASES: [usize; 5] = [20, 12, 12, 24, 4];
/// Newtons on all of the hand that count as nothing.
const CLEAR: f32 = 0.2;
/// A grasp holds that slips less than this when it is pushed about, in meters.
const HOLDS: f64 = 0.015;
/// How far from an object's middle hands close around it at least, where it is flat or thin, in meters.
const ROOM: f64 = 0.015;
/// How far it is tilted to each side while it is shaken, in radians.
const TILT: f32 = 0.5;
/// How high it is lifted, in meters.
const LIFT: f32 = 0.08;

/// The hand's frame that approaches are given in: from the wrist to the knuckles, across, away from the palm's face; and the
/// place between thumb and fingers.
fn frame(anatomy: &Anatomy, setting: &Setting, posture: &[f64]) -> ([[f64; 3]; 3], [f64; 3]) {
    let at = |name: &str| setting.kernel.body(name, posture).expect("a body").pos;
    let mean = |list: &[[f64; 3]]| {
        [0, 1, 2].map(|i| list.iter().map(|p| p[i]).sum::<f64>() / list.len() as f64)
    };
    let knuckles = mean(&anatomy.knuckles.map(at));
    let tips = setting.tips_at(posture);
    let grip = mean(&[tips[0], mean(&tips[1..4])]);
    let unit = |v: [f64; 3]| {
        let length = v.iter().map(|x| x * x).sum::<f64>().sqrt();
        v.map(|x| x / length)
    };
    let from = at(anatomy.wrist);
    let along = unit([0, 1, 2].map(|i| knuckles[i] - from[i]));
    let to = [0, 1, 2].map(|i| grip[i] - knuckles[i]);
    let off: f64 = (0..3).map(|i| to[i] * along[i]).sum();
    let away = unit([0, 1, 2].map(|i| off * along[i] - to[i]));
    let across = [
        away[1] * along[2] - away[2] * along[1],
        away[2] * along[0] - away[0] * along[2],
        away[0] * along[1] - away[1] * along[0],
    ];
    ([along, across, away], grip)
}

/// Searches for a grasp of an object; none where nothing was found that holds it.
///
/// # Errors
/// When the hand is none that the search knows, or cannot be simulated.
pub fn search(body: &Body, prop: &'static Prop, how: &Search) -> Result<Option<Grasp>, HandError> {
    let missing = || HandError::Missing {
        task: NAME,
        kind: "anatomy",
        name: "fingers to grasp with".to_owned(),
        model: body.model.name.clone(),
    };
    let anatomy = anatomy(&body.model.name).ok_or_else(missing)?;
    let roots = body.model.body.iter().find(|b| b.parent == "world");
    let root = roots.map(|b| (b.pos, b.quat)).ok_or_else(missing)?;
    // First the hand is brought from where its model has it to right over the object; candidates are near, by their arm.
    let middle = [0.5; NUMBERS];
    let far = Setting::new(NAME, body, scene(body, prop, &root, &SEARCH_ARM)?.model)?;
    let root = root_at(
        &root,
        prop.stands.0,
        &approach(anatomy, &far, prop, &middle),
    );
    let scene = scene(body, prop, &root, &SEARCH_ARM)?;
    let setting = Setting::new(NAME, body, scene.model.clone())?;
    let mut batch = Batch::new(&scene, how.candidates)?;
    let mut rng = episode_rng(how.seed, &prop.object.name, 0, "grasp");
    let mut best: Vec<Candidate> = Vec::new();
    // Most sides to come from are wrong: three rounds of them.
    for round in (0..EVERYWHERE).map(|_| 0).chain(1..how.rounds) {
        let spread = 0.25 * 0.65f64.powi(round as i32);
        let drawn = |_| {
            let numbers = match round {
                0 => [0.0; NUMBERS].map(|_| rng.random::<f64>()),
                _ => vary(
                    &best[rng.random_range(0..best.len())].numbers,
                    spread,
                    &mut rng,
                ),
            };
            Candidate {
                numbers,
                faults: f64::INFINITY,
                score: f64::INFINITY,
                slip: f64::INFINITY,
                held: None,
            }
        };
        let mut candidates: Vec<Candidate> = (0..how.candidates).map(drawn).collect();
        attempt(
            &mut batch,
            &setting,
            anatomy,
            prop,
            &mut candidates,
            how.threads,
        );
        best.extend(candidates);
        best.sort_by(|a, b| (a.faults + a.score).total_cmp(&(b.faults + b.score)));
        best.truncate(ELITES);
    }
    // The first of the best that also holds when it is pushed about, or the one that slips least.
    let mut chosen: Option<(f64, Grasp)> = None;
    for candidate in best.iter().filter(|candidate| candidate.faults == 0.0) {
        let grasp = finished(candidate, anatomy, &setting, prop, &root);
        let slips = hold(body, prop, &grasp, 16, how.seed)?;
        let worst = slips.into_iter().fold(0.0, f64::max);
        if chosen.as_ref().is_none_or(|(least, _)| worst < *least) {
            chosen = Some((worst, grasp));
        }
        if worst < HOLDS {
            break;
        }
    }
    Ok(chosen.map(|(_, grasp)| grasp))
}

/// What a candidate came to, as a grasp; what the arm of the search did is part of where the hand is.
fn finished(
    candidate: &Candidate,
    anatomy: &Anatomy,
    setting: &Setting,
    prop: &Prop,
    root: &Pose,
) -> Grasp {
    let (model, n_joints) = (&setting.model, setting.n_joints);
    let Candidate {
        numbers,
        faults: _,
        score,
        slip,
        held,
    } = candidate;
    let open = posture(anatomy, model, n_joints, numbers);
    let start = approach(anatomy, setting, prop, numbers);
    let (closed, held) = match held {
        Some((qpos, object)) => {
            let arm = [0, 1, 2, 3, 4, 5].map(|i| qpos[n_joints + i]);
            let now = arm_pose(arm, prop.stands.0);
            (&qpos[..n_joints], then(&start, &relative(&now, object)))
        }
        None => (&open[..], prop.stands),
    };
    let round = |x: f64| (x * 1e6).round() / 1e6;
    let rounded = |list: &[f64]| list.iter().copied().map(round).collect();
    let pose = |(pos, quat): Pose| (pos.map(round), quat.map(|x| (x * 1e9).round() / 1e9));
    Grasp {
        object: prop.object.name.clone(),
        score: round(*score),
        slip: round(*slip),
        hand: pose(root_at(root, prop.stands.0, &start)),
        closed: rounded(closed),
        controls: rounded(&controls(anatomy, model, numbers)),
        held: pose(held),
        open: rounded(&open),
    }
}

/// Newtons on a hand that stands around its object and has not begun to close: more than a few where it stands in it.
///
/// # Errors
/// When the hand cannot be simulated.
pub fn touch(body: &Body, prop: &Prop, grasp: &Grasp) -> Result<f32, HandError> {
    let scene = scene(body, prop, &grasp.hand, &ARM)?;
    let mut batch = Batch::new(&scene, 1)?;
    let qpos = grasp.open.iter().copied().chain([0.0; 6]);
    batch.set_state(0, &around(&scene.model, prop, qpos));
    let arm = [0.0, 0.0, sag(&scene.model) as f32, 0.0, 0.0, 0.0];
    tell(&mut batch, 0, grasp.controls.iter().map(|_| 0.0), arm);
    batch.step(1, 1);
    Ok(pressed(&batch, &scene.model, 0))
}

/// Newtons on all of a world's body.
fn pressed(batch: &Batch, model: &Model, world: usize) -> f32 {
    let joints = 0..model.joint.len();
    let all: Vec<usize> = joints.map(|joint| batch.branch(joint)).collect();
    newtons(batch, world, &all).iter().sum()
}

/// A hand at rest around an object that stands on the table.
fn around(model: &Model, prop: &Prop, qpos: impl Iterator<Item = f64>) -> WorldState {
    let qpos: Vec<f32> = qpos.map(|x| x as f32).collect();
    WorldState {
        qvel: vec![0.0; qpos.len()],
        qpos,
        act: vec![0.0; model.muscle.len()],
        objects: vec![at_pose(&prop.stands, [0.0; 3], [0.0; 3])],
    }
}

/// What presses on some branches of a world's body.
fn newtons(batch: &Batch, world: usize, branches: &[usize]) -> Vec<f32> {
    let mut all = vec![0.0; branches.iter().max().map_or(0, |b| b + 1)];
    batch.read(world, Reading::Touch, &mut all);
    branches.iter().map(|b| all[*b]).collect()
}

/// How far a held object slips within half a second while the arm is pushed about at random, by up to a centimeter and a tenth
/// of a radian, in meters; one number for each of `n` tries.
///
/// # Errors
/// When the hand cannot be simulated.
pub fn hold(
    body: &Body,
    prop: &Prop,
    grasp: &Grasp,
    n: usize,
    seed: u64,
) -> Result<Vec<f64>, HandError> {
    let scene = scene(body, prop, &grasp.hand, &ARM)?;
    let mut batch = Batch::new(&scene, n)?;
    let joints = grasp.closed.len();
    let sag = sag(&scene.model);
    let lifted = [0.0, 0.0, 0.1, 0.0, 0.0, 0.0];
    let pivot = prop.stands.0;
    let object = then(
        &arm_pose(lifted, pivot),
        &relative(&unturned(pivot), &grasp.held),
    );
    let qpos = grasp.closed.iter().chain(&lifted).map(|x| *x as f32);
    let state = WorldState {
        qpos: qpos.collect(),
        qvel: vec![0.0; joints + 6],
        act: grasp.controls[..scene.model.muscle.len()]
            .iter()
            .map(|x| *x as f32)
            .collect(),
        objects: vec![at_pose(&object, [0.0; 3], [0.0; 3])],
    };
    let mut rng = episode_rng(seed, &prop.object.name, 0, "hold");
    for world in 0..n {
        batch.set_state(world, &state);
    }
    let first = relative(&arm_pose(lifted, pivot), &object);
    let mut slips = vec![0.0f64; n];
    for step in 0..25 {
        for world in 0..n {
            if step % 5 == 0 {
                let mut arm = lifted;
                for (i, x) in arm.iter_mut().enumerate() {
                    let push = if i < 3 { 0.01 } else { 0.1 } * (2.0 * rng.random::<f64>() - 1.0);
                    let more = if i == 2 { sag } else { 0.0 };
                    *x = *x + push + more;
                }
                let hand = grasp.controls.iter().map(|x| *x as f32);
                tell(&mut batch, world, hand, arm.map(|x| x as f32));
            }
        }
        batch.step(SKIP, 1);
        for (world, slip) in slips.iter_mut().enumerate() {
            let (arm, object, _) = look(&batch, world, joints, pivot);
            let off = distance(relative(&arm, &object).0, first.0);
            *slip = if batch.has_diverged(world) {
                f64::INFINITY
            } else {
                slip.max(off)
            };
        }
    }
    Ok(slips)
}

/// Tells the actuators of a world's hand, and those of its arm.
fn tell(batch: &mut Batch, world: usize, hand: impl Iterator<Item = f32>, arm: [f32; 6]) {
    let mut control = batch.control_mut(world);
    for (i, x) in hand.chain(arm).enumerate() {
        control.set(i, x);
    }
}

/// Where the arm and the object of a world are, and the hand's joints and arm.
fn look(batch: &Batch, world: usize, n_joints: usize, pivot: [f64; 3]) -> (Pose, Pose, Vec<f64>) {
    let state = batch.state(world);
    let qpos: Vec<f64> = state.qpos.iter().map(|x| f64::from(*x)).collect();
    let arm = [0, 1, 2, 3, 4, 5].map(|i| qpos[n_joints + i]);
    let object = &state.objects[0];
    let object = (object.pos.map(f64::from), object.quat.map(f64::from));
    (arm_pose(arm, pivot), object, qpos)
}

/// The arm's motion as a pose: what was at `pivot`, unturned, is there.
fn arm_pose(arm: [f64; 6], pivot: [f64; 3]) -> Pose {
    carried(arm, &unturned(pivot))
}

/// Where the body that hangs on the world is after what was at `pivot` was brought elsewhere with it.
fn root_at(root: &Pose, pivot: [f64; 3], moved: &Pose) -> Pose {
    then(moved, &relative(&unturned(pivot), root))
}

/// A candidate near another.
fn vary(numbers: &[f64; NUMBERS], spread: f64, rng: &mut ChaCha8Rng) -> [f64; NUMBERS] {
    numbers.map(|x| {
        // The sum of four even numbers is near enough to normal.
        let noise: f64 = (0..4).map(|_| rng.random::<f64>() - 0.5).sum();
        (x + 1.7 * spread * noise).clamp(0.0, 1.0)
    })
}

/// Angles before the hand closes.
fn posture(
    anatomy: &Anatomy,
    model: &Model,
    n_joints: usize,
    numbers: &[f64; NUMBERS],
) -> Vec<f64> {
    let angle = |joint: &::hand::model::Joint| {
        let found = anatomy
            .posture
            .iter()
            .find(|(name, ..)| joint.name.starts_with(name));
        let angle = found.map_or(0.0, |(_, open, bent, group)| {
            open + numbers[6 + group] * (bent - open)
        });
        let [low, high] = joint.limit.unwrap_or([f64::MIN, f64::MAX]);
        angle.clamp(low, high)
    };
    model.joint[..n_joints].iter().map(angle).collect()
}

/// What muscles and motors are told.
fn controls(anatomy: &Anatomy, model: &Model, numbers: &[f64; NUMBERS]) -> Vec<f64> {
    let names = model.muscle.iter().map(|m| &m.name);
    let names = names.chain(model.torque.iter().map(|t| &t.name));
    let told = |name: &String| {
        let found = anatomy
            .drives
            .iter()
            .find(|(start, ..)| name.starts_with(start));
        // Most objects are light: half of all samples pull with less than a quarter.
        let share = |group: &usize| numbers[6 + BENDS + group].powi(2);
        found.map_or(0.0, |(_, most, group)| most * share(group))
    };
    names.map(told).collect()
}

/// Where the hand is brought to: what was at the object's place, unturned, is there.
fn approach(anatomy: &Anatomy, setting: &Setting, prop: &Prop, numbers: &[f64; NUMBERS]) -> Pose {
    let mut angles = posture(anatomy, &setting.model, setting.n_joints, numbers);
    angles.resize(setting.model.joint.len(), 0.0);
    let (hand, grip) = frame(anatomy, setting, &angles);
    // From above, fingers along x; then tilted, then turned around the vertical.
    let [yaw, roll, pitch] = [
        2.0 * std::f64::consts::PI * (numbers[0] - 0.5),
        3.6 * (numbers[1] - 0.5),
        2.0 * (numbers[2] - 0.5),
    ];
    let axis = |vector| matrix(rotation(vector));
    let turn = product(
        &axis([0.0, 0.0, yaw]),
        &product(&axis([roll, 0.0, 0.0]), &axis([0.0, pitch, 0.0])),
    );
    // The hand's axes become the world's, then turned.
    let turn = product(&turn, &hand);
    let pivot = prop.stands.0;
    // Most hands close around the middle, some around a rim; over flat things there is room.
    let to = [0, 1, 2].map(|i| {
        let side = 2.0 * numbers[3 + i] - 1.0;
        pivot[i] + prop.half[i].max(ROOM) * (0.6 * side + 0.4 * side.powi(3))
    });
    let moved = apply(&turn, [0, 1, 2].map(|i| grip[i] - pivot[i]));
    ([0, 1, 2].map(|i| to[i] - moved[i]), quat_of(&turn))
}

/// Candidates side by side, each in a world of its own.
struct Trial<'a> {
    batch: &'a mut Batch,
    prop: &'a Prop,
    n_joints: usize,
    threads: usize,
    /// What carries the hand's weight.
    sag: f32,
    /// Where each arm starts.
    arms: Vec<[f32; 6]>,
    /// What each hand's actuators are told to close.
    told: Vec<Vec<f32>>,
}

impl Trial<'_> {
    /// An action: hands close or not, arms are moved away from where they started.
    fn step(&mut self, closes: bool, by: [f32; 6], n_steps: usize) {
        for (world, (arm, told)) in self.arms.iter().zip(&self.told).enumerate() {
            let hand = told.iter().map(|x| if closes { *x } else { 0.0 });
            let mut to = *arm;
            for (i, (x, by)) in to.iter_mut().zip(by).enumerate() {
                let more = if i == 2 { self.sag } else { 0.0 };
                *x = *x + by + more;
            }
            tell(self.batch, world, hand, to);
        }
        self.batch.step(n_steps, self.threads);
    }

    /// Where the arm and the object of a world are, and the hand's joints and arm.
    fn look(&self, world: usize) -> (Pose, Pose, Vec<f64>) {
        look(self.batch, world, self.n_joints, self.prop.stands.0)
    }

    /// The object as the arm sees it.
    fn seen(&self, world: usize) -> Pose {
        let (arm, object, _) = self.look(world);
        relative(&arm, &object)
    }
}

/// Grasps, lifts and shakes all candidates, and says what came of each.
fn attempt(
    batch: &mut Batch,
    setting: &Setting,
    anatomy: &Anatomy,
    prop: &Prop,
    candidates: &mut [Candidate],
    threads: usize,
) {
    let model = &setting.model;
    let joints = || 0..model.joint.len();
    let of_tip = |(body, _): &(String, [f64; 3])| {
        let joint = joints().find(|joint| model.joint[*joint].body == *body)?;
        Some(batch.branch(joint))
    };
    let tips: Vec<usize> = setting.tips.iter().filter_map(of_tip).collect();
    let mut trial = Trial {
        sag: sag(model) as f32,
        n_joints: setting.n_joints,
        arms: Vec::new(),
        told: Vec::new(),
        batch,
        prop,
        threads,
    };
    for (world, candidate) in candidates.iter().enumerate() {
        let arm = arm_between(
            &unturned(prop.stands.0),
            &approach(anatomy, setting, prop, &candidate.numbers),
        );
        let mut qpos = posture(anatomy, model, setting.n_joints, &candidate.numbers);
        qpos.extend(arm);
        trial
            .batch
            .set_state(world, &around(model, prop, qpos.into_iter()));
        trial.arms.push(arm.map(|x| x as f32));
        let controls = controls(anatomy, model, &candidate.numbers);
        trial
            .told
            .push(controls.into_iter().map(|x| x as f32).collect());
    }
    let worlds = || 0..candidates.len();
    trial.step(false, [0.0; 6], 1);
    // A hand that touches anything before it closes is in the way; the less it does, the nearer it is to one that is not.
    let in_the_way: Vec<f64> = worlds()
        .map(|world| {
            let touch = pressed(trial.batch, model, world);
            if touch < CLEAR {
                0.0
            } else {
                0.3 + 0.2 * f64::from(libm::log10f(touch / CLEAR))
            }
        })
        .collect();
    let [closing, lifting, settling, shaking, resting] = PHASES;
    let stood: Vec<Pose> = worlds().map(|world| trial.seen(world)).collect();
    for _ in 0..closing {
        trial.step(true, [0.0; 6], SKIP);
    }
    for i in 1..=lifting + settling {
        let lift = LIFT * i.min(lifting) as f32 / lifting as f32;
        trial.step(true, [0.0, 0.0, lift, 0.0, 0.0, 0.0], SKIP);
    }
    let first: Vec<Pose> = worlds().map(|world| trial.seen(world)).collect();
    let mut slips: Vec<Vec<f64>> = vec![Vec::new(); candidates.len()];
    for i in 1..=shaking + resting {
        // To and fro twice, aside once; tilted to both sides, and to one.
        let share = (i.min(shaking) as f32) / shaking as f32;
        let [twice, once, half] =
            [2.0, 1.0, 0.5].map(|n| libm::sinf(n * 2.0 * std::f32::consts::PI * share));
        let by = [
            0.02 * twice,
            0.02 * once,
            LIFT,
            TILT * once,
            TILT * half,
            0.0,
        ];
        trial.step(true, by, SKIP);
        for (world, slips) in slips.iter_mut().enumerate() {
            slips.push(distance(trial.seen(world).0, first[world].0));
        }
    }
    for (world, candidate) in candidates.iter_mut().enumerate() {
        let (_, object, qpos) = trial.look(world);
        let touch = newtons(trial.batch, world, &tips);
        let opposed = touch[0] > 0.05 && touch[1..].iter().any(|t| *t > 0.05);
        let turned = angle_between(trial.seen(world).1, first[world].1);
        let lifted = (object.0[2] - prop.stands.0[2]) / (0.75 * f64::from(LIFT));
        let most = slips[world].iter().copied().fold(0.0, f64::max);
        let mean = slips[world].iter().sum::<f64>() / slips[world].len() as f64;
        let shifted = distance(first[world].0, stood[world].0);
        let shifted_by = angle_between(first[world].1, stood[world].1);
        let unless = |holds: bool, by: f64| if holds { 0.0 } else { by };
        candidate.faults = in_the_way[world]
            + unless(opposed, 0.3)
            + unless(most < 0.05, 0.5)
            + 0.5 * (1.0 - lifted).clamp(0.0, 1.0);
        candidate.slip = most;
        candidate.score = mean + 0.5 * shifted + 0.05 * (turned + shifted_by);
        candidate.held = Some((qpos, object));
        if trial.batch.has_diverged(world) || !candidate.score.is_finite() {
            candidate.faults = f64::INFINITY;
            (candidate.score, candidate.slip, candidate.held) = (10.0, 10.0, None);
        }
    }
}

/// In radians.
fn angle_between(a: [f64; 4], b: [f64; 4]) -> f64 {
    let same: f64 = (0..4).map(|i| a[i] * b[i]).sum();
    2.0 * libm::acos(same.abs().min(1.0))
}
