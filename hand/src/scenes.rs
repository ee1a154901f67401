//! Scenes to measure and to test with: the MyoHand alone, over a cube on a table, in a power grasp, and around a cup.

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use crate::batch::{ObjectState, WorldState};
use crate::kernel::Kernel;
use crate::model::{self, Model, ParameterSet, ShapeKind};
use crate::scene::{DrivenRoot, Object, Options, Primitive, Scene};

/// A scene with worlds to start from.
pub struct Example {
    /// What is simulated.
    pub scene: Scene,
    /// Where worlds begin, each a little different.
    pub starts: Vec<WorldState>,
    /// The controls of each.
    pub controls: Vec<Vec<f32>>,
}

/// The examples by name.
pub const NAMES: [&str; 4] = ["free", "cube", "grasp", "cup"];

/// The example of a name in [`NAMES`] with `n` worlds; none if there is no such example.
///
/// - `free`: joints, muscles and limits, nothing touches; poses spread over the joints' ranges.
/// - `cube`: a driven root, a 4 cm cube on a table under half-closed fingers, self-contacts.
/// - `grasp`: a driven root, fingers closing around a capsule: about thirty contacts.
/// - `cup`: as `cube`, with a cup of eight boxes between the fingers.
pub fn example(name: &str, n: usize, seed: u64) -> Option<Example> {
    let rng = ChaCha8Rng::seed_from_u64(seed);
    Some(match name {
        "free" => free(n, rng),
        "cube" => around_object(n, rng, cube(), true),
        "grasp" => around_object(n, rng, capsule(), false),
        "cup" => around_object(n, rng, cup(), true),
        _ => return None,
    })
}

/// The MyoHand.
pub fn myohand() -> Model {
    model::load_text(crate::MYOHAND, "myohand.toml").expect("the shipped model is right")
}

fn free(n: usize, mut rng: ChaCha8Rng) -> Example {
    let model = myohand();
    let limits: Vec<[f64; 2]> = model
        .joint
        .iter()
        .map(|j| j.limit.unwrap_or([0.0; 2]))
        .collect();
    let starts = (0..n).map(|_| {
        let inside =
            |[low, high]: &[f64; 2]| (low + (high - low) * rng.random_range(0.3..0.7)) as f32;
        let qpos = limits.iter().map(inside).collect();
        WorldState {
            qpos,
            qvel: vec![0.0; 23],
            act: vec![0.0; 39],
            objects: Vec::new(),
        }
    });
    let starts = starts.collect();
    let controls = (0..n).map(|_| random_excitations(&mut rng)).collect();
    let options = Options {
        contacts: false,
        iterations: 8,
        ..Options::default()
    };
    let scene = Scene {
        model,
        parameters: ParameterSet::Compat,
        objects: Vec::new(),
        fixed: Vec::new(),
        options,
    };
    Example {
        scene,
        starts,
        controls,
    }
}

/// MyoSuite's excitations of uniform actions in [-1, 1].
pub fn random_excitations(rng: &mut ChaCha8Rng) -> Vec<f32> {
    let excitation = |action: f64| 1.0 / (1.0 + libm::exp(-5.0 * (action - 0.5)));
    (0..39)
        .map(|_| excitation(rng.random_range(-1.0..1.0)) as f32)
        .collect()
}

fn cube() -> Object {
    Object {
        name: "cube".to_owned(),
        mass: 0.148,
        inertia: [1e-4; 3],
        shapes: vec![Primitive::new(ShapeKind::Box, [0.02; 3])],
    }
}

fn capsule() -> Object {
    Object {
        name: "capsule".to_owned(),
        mass: 0.148,
        inertia: [1e-4; 3],
        shapes: vec![Primitive::new(ShapeKind::Capsule, [0.018, 0.03, 0.0])],
    }
}

fn cup() -> Object {
    let floor = Primitive::new(ShapeKind::Box, [0.03, 0.03, 0.004]).at([0.0, 0.0, -0.03]);
    let walls = (0..7).map(|i| {
        let angle = 2.0 * std::f64::consts::PI * f64::from(i) / 7.0;
        let (s, c) = libm::sincos(angle);
        let (half_s, half_c) = libm::sincos(angle / 2.0);
        let wall = Primitive::new(ShapeKind::Box, [0.004, 0.0155, 0.034]);
        Primitive {
            quat: [half_c, 0.0, 0.0, half_s],
            ..wall.at([0.03 * c, 0.03 * s, 0.0])
        }
    });
    Object {
        name: "cup".to_owned(),
        mass: 0.148,
        inertia: [1e-4; 3],
        shapes: std::iter::once(floor).chain(walls).collect(),
    }
}

const CUP_BELOW: f64 = 0.03;

/// Fingers half closed around an object at the middle of the fingers, its z along the knuckles.
fn around_object(n: usize, mut rng: ChaCha8Rng, object: Object, on_table: bool) -> Example {
    // Over a table the fingers only begin to close. What stands there: half its height, and how far under the fingers.
    let open = if on_table { 0.7 } else { 0.0 };
    let (half_height, below) = if object.shapes.len() > 1 {
        (0.034, CUP_BELOW)
    } else {
        (0.02, 0.035)
    };
    let bends = [
        (0.8 - open, 1.1 - open),
        (0.8 - open, 1.1 - open),
        (0.4, 0.7),
    ];
    let model = DrivenRoot::default()
        .carry(&myohand(), [0.0; 3])
        .expect("one body of the MyoHand hangs on the world");
    let kernel = Kernel::new(&model, ParameterSet::Compat);
    let joints: Vec<String> = model.joint.iter().map(|j| j.name.clone()).collect();
    let (mut starts, mut controls, mut heights) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..n {
        let bend = bends.map(|(low, high)| rng.random_range(low..high));
        let mut qpos: Vec<f64> = Vec::new();
        for name in &joints {
            let angle = match name.as_str() {
                n if n.starts_with("mcp") && n.ends_with("flexion") => bend[0],
                n if n.starts_with("pm") => bend[1],
                n if n.starts_with("md") => bend[2],
                "cmc_flexion" => -0.2,
                "cmc_abduction" => 0.3,
                _ => 0.0,
            };
            let scatter = if on_table && !name.starts_with("root") {
                0.04
            } else {
                0.0
            };
            qpos.push(angle + scatter * rng.random_range(-1.0..1.0));
        }
        let (middle, along) = middle_of_fingers(&kernel, &qpos);
        let jitter = |rng: &mut ChaCha8Rng| rng.random_range(-0.006..0.006);
        let mut pos = middle.map(|x| x + jitter(&mut rng));
        let quat = if on_table {
            heights.push(middle[2]);
            pos[2] = middle[2] - below;
            [1.0, 0.0, 0.0, 0.0]
        } else {
            turn_z_to(along)
        };
        let strength = rng.random_range(0.05..0.5);
        let pulls = ["FDS", "FDP", "FPL", "OP", "ECR", "ECU"];
        let grip = |name: &str| {
            if pulls.iter().any(|p| name.starts_with(p)) {
                strength
            } else {
                0.02
            }
        };
        let excitations: Vec<f32> = if on_table {
            random_excitations(&mut rng)
        } else {
            model.muscle.iter().map(|m| grip(&m.name) as f32).collect()
        };
        // The root stays where it is.
        controls.push(excitations.into_iter().chain([0.0; 6]).collect());
        let object = ObjectState {
            pos: pos.map(|x| x as f32),
            quat: quat.map(|x| x as f32),
            velocity: [0.0; 3],
            spin: [0.0; 3],
        };
        let n_joints = qpos.len();
        starts.push(WorldState {
            qpos: qpos.into_iter().map(|x| x as f32).collect(),
            qvel: vec![0.0; n_joints],
            act: vec![0.1; 39],
            objects: vec![object],
        });
    }
    let mut fixed = Vec::new();
    if on_table {
        let height = heights.iter().sum::<f64>() / n.max(1) as f64;
        let table = Primitive::new(ShapeKind::Box, [0.6, 0.6, 0.025]);
        let mut at = starts
            .first()
            .map_or([0.0; 3], |s| s.objects[0].pos.map(f64::from));
        at[2] = height - below - half_height - 0.025;
        fixed.push(table.at(at));
    }
    let scene = Scene {
        model,
        parameters: ParameterSet::Compat,
        objects: vec![object],
        fixed,
        options: Options::default(),
    };
    Example {
        scene,
        starts,
        controls,
    }
}

/// The mean of the four fingers' joints and tips, and the direction from the little finger's knuckle to the index's.
fn middle_of_fingers(kernel: &Kernel, qpos: &[f64]) -> ([f64; 3], [f64; 3]) {
    let body = |name: &str| kernel.body(name, qpos).expect("a finger of the MyoHand");
    let mut points = Vec::new();
    for finger in 2..=5 {
        for bone in ["proxph", "midph", "distph"] {
            points.push(body(&format!("{bone}{finger}")).pos);
        }
        let last = body(&format!("distph{finger}"));
        points.push([0, 1, 2].map(|e| last.pos[e] - 0.02 * last.turn[e][1]));
    }
    let middle = [0, 1, 2].map(|e| points.iter().map(|p| p[e]).sum::<f64>() / points.len() as f64);
    let (little, index) = (body("proxph5").pos, body("proxph2").pos);
    (middle, [0, 1, 2].map(|e| index[e] - little[e]))
}

/// The shortest turn that takes z to a direction.
fn turn_z_to(direction: [f64; 3]) -> [f64; 4] {
    crate::math::from_z(crate::math::unit(direction))
}
