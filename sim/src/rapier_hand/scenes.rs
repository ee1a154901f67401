//! Scenes to measure and to test with: the MyoHand alone, with a cube on its palm, and with its fingers around a bar.

use hand::batch::{ObjectState, WorldState};
use hand::kernel::Kernel;
use hand::model::{Model, ParameterSet, ShapeKind};
use hand::scene::{Object, Options, Primitive, Scene};
use hand::scenes::myohand;

use super::build::rotation;

/// A scene, where it starts, and what its muscles are told.
pub struct Example {
    /// What is simulated.
    pub scene: Scene,
    /// Where everything is at the start.
    pub start: WorldState,
    /// Excitations of the muscles (n_muscles).
    pub controls: Vec<f32>,
}

/// The examples by name.
pub const NAMES: [&str; 3] = ["free", "cube", "grasp"];

/// The example of a name in [`NAMES`]; none if there is no such example.
///
/// - `free`: nothing but the hand, its muscles a little tense.
/// - `cube`: a cube of 5 cm and 100 g, which comes to lie on the palm.
/// - `grasp`: a bar of 5 cm and 200 g under the palm, which all fingers hold.
pub fn example(name: &str) -> Option<Example> {
    Some(match name {
        "free" => {
            let model = myohand();
            let (joints, muscles) = (model.joint.len(), model.muscle.len());
            let start = WorldState {
                qpos: vec![0.0; joints],
                qvel: vec![0.0; joints],
                act: vec![0.1; muscles],
                objects: vec![],
            };
            Example {
                scene: scene(model, Options::default()),
                start,
                controls: vec![0.1; muscles],
            }
        }
        "cube" => grasp(&CUBE, &OPEN),
        "grasp" => grasp(&BAR, &HOLD),
        _ => return None,
    })
}

/// What lies in the hand, and how: its middle in the frame of the palm, in metres.
#[derive(Clone, Copy)]
pub(super) struct Thing {
    pub(super) kind: ShapeKind,
    pub(super) size: [f64; 3],
    /// Its axis runs across the palm.
    pub(super) across: bool,
    pub(super) depth: f64,
}

/// How the hand holds it: the forearm's turn (1.5 palm down, 0 palm to the side, radians), the fingers' excitation, the
/// thing's mass (kg) and the friction between skin and thing.
#[derive(Clone, Copy)]
pub(super) struct Grip {
    pub(super) pronation: f64,
    pub(super) excitation: f32,
    pub(super) mass: f64,
    pub(super) friction: f64,
}

const CUBE: Thing = Thing {
    kind: ShapeKind::Box,
    size: [0.025; 3],
    across: false,
    depth: 0.046,
};

const OPEN: Grip = Grip {
    pronation: -1.5,
    excitation: 0.02,
    mass: 0.1,
    friction: 1.0,
};

pub(super) const BAR: Thing = Thing {
    kind: ShapeKind::Cylinder,
    size: [0.025, 0.05, 0.0],
    across: true,
    depth: 0.042,
};

pub(super) const HOLD: Grip = Grip {
    pronation: 1.5,
    excitation: 0.3,
    mass: 0.2,
    friction: 1.0,
};

fn inertia(thing: &Thing, mass: f64) -> [f64; 3] {
    let [a, b, c] = thing.size.map(|x| x * x);
    match thing.kind {
        ShapeKind::Box => [b + c, a + c, a + b].map(|s| mass * s / 3.0),
        ShapeKind::Sphere => [0.4 * mass * a; 3],
        _ => {
            let across = mass * (3.0 * a + 4.0 * b) / 12.0;
            [across, across, 0.5 * mass * a]
        }
    }
}

/// A grasp: fingers bent around the thing, muscles at their excitation.
pub(super) fn grasp(thing: &Thing, grip: &Grip) -> Example {
    let mut model = myohand();
    for contact in model.shape.iter_mut().filter_map(|s| s.contact.as_mut()) {
        contact.friction[0] = grip.friction;
    }
    let bend = |name: &str| match name {
        "pro_sup" => grip.pronation,
        _ if name.starts_with("mcp") && name.ends_with("flexion") => 0.9,
        _ if name.starts_with("pm") => 1.0,
        _ if name.starts_with("md") => 0.6,
        _ => 0.0,
    };
    let qpos: Vec<f64> = model.joint.iter().map(|j| bend(&j.name)).collect();
    let excitation = |name: &str| match name {
        "FPL" | "OP" => grip.excitation,
        _ if name.starts_with("FD") => grip.excitation,
        _ if name.starts_with("EC") => 0.5 * grip.excitation,
        _ => 0.0,
    };
    let excitations: Vec<f32> = model.muscle.iter().map(|m| excitation(&m.name)).collect();
    let palm = Kernel::new(&model, ParameterSet::Calibrated)
        .body("thirdmc", &qpos)
        .expect("the MyoHand has a palm");
    let at = [0.0, -0.045, -thing.depth];
    let pos = [0, 1, 2].map(|row| {
        let turned: f64 = (0..3).map(|e| palm.turn[row][e] * at[e]).sum();
        (palm.pos[row] + turned) as f32
    });
    let mut axes = palm.turn;
    if thing.across {
        axes = axes.map(|[x, y, z]| [-z, y, x]);
    }
    let turn = rotation(&axes);
    let mut shape = Primitive::new(thing.kind, thing.size);
    shape.contact.friction[0] = grip.friction;
    let start = WorldState {
        qvel: vec![0.0; qpos.len()],
        qpos: qpos.into_iter().map(|q| q as f32).collect(),
        act: excitations.clone(),
        objects: vec![ObjectState {
            pos,
            quat: [turn.w, turn.x, turn.y, turn.z],
            velocity: [0.0; 3],
            spin: [0.0; 3],
        }],
    };
    let object = Object {
        name: "thing".to_owned(),
        mass: grip.mass,
        inertia: inertia(thing, grip.mass),
        shapes: vec![shape],
    };
    let scene = Scene {
        parameters: ParameterSet::Calibrated,
        objects: vec![object],
        ..scene(model, Options::default())
    };
    Example {
        scene,
        start,
        controls: excitations,
    }
}

/// A model alone.
pub(super) fn scene(model: Model, options: Options) -> Scene {
    Scene {
        model,
        parameters: ParameterSet::Compat,
        objects: vec![],
        fixed: vec![],
        options,
    }
}
