//! One hand, two engines: what the batch solver and Rapier must agree on, and what Rapier must survive.

use std::f64::consts::PI;

use hand::batch::{Batch, Reading, WorldState};
use hand::model::{self, Model, ShapeKind};
use hand::scene::{Object, Options, Primitive, Scene};
use hand::scenes::myohand;

use super::HandScene;
use super::scenes::{BAR, Example, Grip, HOLD, Thing, grasp, scene};

fn robot() -> Model {
    model::load_text(hand::ROBOT_HAND, "robot.toml").unwrap()
}

/// Excitations of three motions, by the muscles' names, at `t` seconds.
fn excitations(motion: &str, t: f64, muscles: &[String]) -> Vec<f32> {
    const FLEXORS: [&str; 10] = [
        "FDS2", "FDS3", "FDS4", "FDS5", "FDP2", "FDP3", "FDP4", "FDP5", "FPL", "OP",
    ];
    const EXTENSORS: [&str; 16] = [
        "ECRL", "ECRB", "ECU", "EDC2", "EDC3", "EDC4", "EDC5", "EDM", "EIP", "EPL", "EPB", "APL",
        "RI2", "RI3", "RI4", "RI5",
    ];
    let ramp = (t / 0.3).clamp(0.0, 1.0);
    let ramp = ramp * ramp * (3.0 - 2.0 * ramp);
    let excitation = |(i, name): (usize, &String)| match motion {
        "wave" => 0.15 + 0.10 * (2.0 * PI * (2.0 * t + i as f64 / 39.0)).sin(),
        "close" if FLEXORS.contains(&name.as_str()) => 0.02 + 0.40 * ramp,
        "extend" if EXTENSORS.contains(&name.as_str()) => {
            0.05 + 0.35 * (PI * t / 0.5).sin().powi(2)
        }
        _ => 0.05,
    };
    muscles
        .iter()
        .enumerate()
        .map(|m| excitation(m) as f32)
        .collect()
}

/// Root mean square difference of joint angles over 0.2 s, in radians.
fn difference(motion: &str, limits: bool) -> f64 {
    let options = Options {
        contacts: false,
        limits,
        ..Options::default()
    };
    let scene = scene(myohand(), options);
    let muscles: Vec<String> = scene.model.muscle.iter().map(|m| m.name.clone()).collect();
    let mut batch = Batch::new(&scene, 1).unwrap();
    let mut rapier = HandScene::new(&scene).unwrap();
    let mut squares = Vec::new();
    for step in 0..100 {
        let excitations = excitations(motion, f64::from(step) * 0.002, &muscles);
        batch.control_mut(0).copy_from(&excitations);
        batch.step(1, 1);
        rapier.set_controls(&excitations).unwrap();
        rapier.step(1);
        let pairs = batch.state(0).qpos.into_iter().zip(rapier.state().qpos);
        squares.extend(pairs.map(|(a, b)| f64::from(a - b).powi(2)));
    }
    (squares.iter().sum::<f64>() / squares.len() as f64).sqrt()
}

#[test]
fn both_solvers_move_a_free_hand_alike() {
    for motion in ["wave", "close", "extend"] {
        for limits in [false, true] {
            let difference = difference(motion, limits);
            println!("{motion}, limits {limits}: {difference:.4} rad");
            assert!(difference < 0.06, "{motion}, limits {limits}: {difference}");
        }
    }
}

const THINGS: [Thing; 5] = [
    BAR,
    Thing {
        kind: ShapeKind::Sphere,
        size: [0.025, 0.0, 0.0],
        across: false,
        depth: 0.042,
    },
    Thing {
        kind: ShapeKind::Capsule,
        size: [0.02, 0.03, 0.0],
        across: true,
        depth: 0.038,
    },
    Thing {
        kind: ShapeKind::Box,
        size: [0.04, 0.018, 0.018],
        across: false,
        depth: 0.038,
    },
    Thing {
        kind: ShapeKind::Cylinder,
        size: [0.018, 0.04, 0.0],
        across: true,
        depth: 0.036,
    },
];

const GRIPS: [Grip; 4] = [
    HOLD,
    Grip {
        pronation: 1.5,
        excitation: 0.3,
        mass: 6.0,
        friction: 0.5,
    },
    Grip {
        pronation: 0.0,
        excitation: 0.3,
        mass: 1.0,
        friction: 0.05,
    },
    Grip {
        pronation: -0.8,
        excitation: 0.1,
        mass: 0.3,
        friction: 0.5,
    },
];

/// Whether a thing that the fingers closed around for 0.2 s without weight is still in the hand after 1 s with it.
fn holds<W>(
    scene: &Scene,
    start: &WorldState,
    world: impl Fn(&Scene, &WorldState) -> W,
    run: impl Fn(&mut W, usize) -> WorldState,
) -> bool {
    let mut weightless = scene.clone();
    weightless.model.gravity = [0.0; 3];
    let closed = run(&mut world(&weightless, start), 100);
    let end = run(&mut world(scene, &closed), 500);
    start.objects[0].pos[2] - end.objects[0].pos[2] < 0.15
}

#[test]
fn both_solvers_hold_and_drop_the_same() {
    let (mut same, mut held) = (0, 0);
    for (i, thing) in THINGS.iter().enumerate() {
        for (j, grip) in GRIPS.iter().enumerate() {
            let Example {
                scene,
                start,
                controls,
            } = grasp(thing, grip);
            let batch = holds(
                &scene,
                &start,
                |scene, state| {
                    let mut batch = Batch::new(scene, 1).unwrap();
                    batch.set_state(0, state);
                    batch.control_mut(0).copy_from(&controls);
                    batch
                },
                |batch, n| {
                    batch.step(n, 1);
                    batch.state(0)
                },
            );
            let rapier = holds(
                &scene,
                &start,
                |scene, state| {
                    let mut world = HandScene::new(scene).unwrap();
                    world.set_state(state).unwrap();
                    world.set_controls(&controls).unwrap();
                    world
                },
                |world, n| {
                    world.step(n);
                    world.state()
                },
            );
            println!("thing {i}, grip {j}: batch {batch}, rapier {rapier}");
            same += u32::from(batch == rapier);
            held += u32::from(batch);
        }
    }
    println!("{same} of 20 alike, {held} held");
    assert!(same >= 18, "{same} of 20 alike");
    assert!(
        (5..=15).contains(&held),
        "{held} of 20 held: they tell nothing"
    );
}

/// Excitations that jump between 0 and 1: nothing may become infinite, and nothing may panic.
#[test]
fn jumping_excitations_do_no_harm() {
    for model in [myohand(), robot()] {
        let name = model.name.clone();
        let scene = scene(model, Options::default());
        let mut world = HandScene::new(&scene).unwrap();
        let n = world.n_controls();
        let mut random = 12345_u64;
        for _ in 0..100 {
            let jumps: Vec<f32> = (0..n)
                .map(|_| {
                    random = random
                        .wrapping_mul(6_364_136_223_846_793_005)
                        .wrapping_add(1);
                    if random >> 63 == 0 { 0.0 } else { 1.0 }
                })
                .collect();
            world.set_controls(&jumps).unwrap();
            world.step(15);
            assert!(!world.has_diverged(), "{name}");
            assert!(world.state().qpos.iter().all(|q| q.is_finite()), "{name}");
        }
    }
}

/// A snapshot goes on to the bit as the world it was taken of.
#[test]
fn a_snapshot_continues_to_the_bit() {
    let scene = scene(myohand(), Options::default());
    let mut world = HandScene::new(&scene).unwrap();
    world.set_controls(&[0.4; 39]).unwrap();
    world.step(50);
    let snapshot = world.snapshot();
    world.step(100);
    let end = world.state();
    world.restore(&snapshot);
    world.step(100);
    assert_eq!(world.state(), end);
}

#[test]
fn a_state_that_was_set_is_read_back() {
    let scene = scene(myohand(), Options::default());
    let mut world = HandScene::new(&scene).unwrap();
    world.step(10);
    let state = WorldState {
        qpos: (0..23).map(|i| 0.01 * i as f32).collect(),
        qvel: (0..23).map(|i| -0.02 * i as f32).collect(),
        act: (0..39).map(|i| 0.02 * i as f32).collect(),
        objects: vec![],
    };
    world.set_state(&state).unwrap();
    assert_eq!(world.state(), state);
}

#[test]
fn wrong_lists_are_refused() {
    let mut world = HandScene::new(&scene(myohand(), Options::default())).unwrap();
    let error = world.set_controls(&[0.0; 38]).unwrap_err();
    assert_eq!(error.to_string(), "controls has 38 numbers, expected 39");
    let mut controls = [0.0; 39];
    controls[7] = f32::NAN;
    let error = world.set_controls(&controls).unwrap_err();
    assert_eq!(error.to_string(), "controls[7] is not a finite number");
    let mut state = world.state();
    state.qvel.pop();
    let error = world.set_state(&state).unwrap_err();
    assert_eq!(error.to_string(), "qvel has 22 numbers, expected 23");
}

#[test]
fn an_object_that_cannot_be_is_refused_in_the_same_words() {
    let object = Object {
        name: "thing".to_owned(),
        mass: 0.1,
        inertia: [1e-4; 3],
        shapes: vec![Primitive::new(ShapeKind::Sphere, [0.02, 0.0, 0.0])],
    };
    let (mut empty, mut light, mut thin) = (object.clone(), object.clone(), object);
    empty.shapes.clear();
    light.mass = f64::NAN;
    thin.inertia[1] = 0.0;
    for (object, reason) in [
        (empty, "0 shapes, expected 1 to 16"),
        (light, "mass is NaN, expected more than 0"),
        (thin, "inertia around an axis is 0, expected more than 0"),
    ] {
        let mut scene = scene(myohand(), Options::default());
        scene.objects = vec![object];
        let batch = Batch::new(&scene, 1).err().map(|e| e.to_string());
        let rapier = HandScene::new(&scene).err().map(|e| e.to_string());
        let expected = format!("object \"thing\": {reason}");
        assert_eq!(
            (batch.as_deref(), rapier),
            (Some(&*expected), Some(expected.clone()))
        );
    }
}

/// Numbers of a scene are counted and named as the batch solver does.
#[test]
fn readings_are_those_of_the_batch_solver() {
    let Example {
        scene,
        start,
        controls,
    } = grasp(&BAR, &HOLD);
    let mut batch = Batch::new(&scene, 1).unwrap();
    let mut rapier = HandScene::new(&scene).unwrap();
    let sites = ["THtip", "IFtip"];
    batch.watch(&scene.model, &sites).unwrap();
    rapier.watch(&scene.model, &sites).unwrap();
    batch.set_state(0, &start);
    batch.look(0);
    rapier.set_state(&start).unwrap();
    for joint in 0..start.qpos.len() {
        assert_eq!(batch.branch(joint), rapier.branch(joint), "joint {joint}");
    }
    let both = |batch: &Batch, rapier: &HandScene, what: Reading| {
        let mut lists = [[0.0_f32; 39]; 2];
        batch.read(0, what, &mut lists[0]);
        rapier.read(what, &mut lists[1]);
        lists
    };
    for what in [
        Reading::Angles,
        Reading::Velocities,
        Reading::Activations,
        Reading::Lengths,
        Reading::Sites,
        Reading::Object(0),
        Reading::Touch,
    ] {
        let [a, b] = both(&batch, &rapier, what);
        assert!(
            a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-5),
            "{what:?}: {a:?} {b:?}"
        );
    }
    batch.control_mut(0).copy_from(&controls);
    rapier.set_controls(&controls).unwrap();
    for _ in 0..4 {
        batch.step(100, 1);
        rapier.step(100);
        // Where fingers are pressed against a thing and each other is for each solver to find: forces differ.
        let sums = both(&batch, &rapier, Reading::Touch).map(|list| list.iter().sum::<f32>());
        println!("touch: batch and Rapier {sums:?} N");
        assert!(sums.iter().all(|sum| *sum > 5.0 && *sum < 5000.0));
    }
    let error = rapier.watch(&scene.model, &["nose"]).unwrap_err();
    assert_eq!(error.to_string(), "there is no site \"nose\"");
}
