//! What the physical house promises: verbs do what they say, in small scenes and in every home of the project.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng as _;
use rapier3d::prelude::{ColliderBuilder, RigidBodyBuilder};

use super::*;
use crate::household::{Fact, HouseAction, HouseGraph, Place};
use crate::scenario::{load, load_text};

/// A kitchen and a bedroom with one of each kind of furniture.
const HOME: &str = r#"
schema = "habitus.scenario/1"
name = "Test home"
[[room]]
name = "kitchen"
corners = [[0.0, 0.0], [4.0, 0.0], [4.0, 4.0], [0.0, 4.0]]
[[room]]
name = "bedroom"
corners = [[4.0, 0.0], [8.0, 0.0], [8.0, 4.0], [4.0, 4.0]]
[[door]]
between = ["kitchen", "bedroom"]
at = [4.0, 2.0]
open = 1.0
[[object]]
class = "kitchen table"
at = [1.6, 2.2]
[[object]]
class = "fridge"
at = [0.5, 3.5]
[[object]]
class = "kitchen drawer"
at = [0.5, 0.5]
[[object]]
class = "chest"
at = [7.6, 2.0]
yaw_deg = 180.0
[[object]]
class = "bed"
at = [6.0, 2.9]
yaw_deg = 270.0
[[object]]
class = "chair"
at = [2.6, 3.5]
yaw_deg = 270.0
[[object]]
class = "floor lamp"
at = [7.7, 0.3]
[[object]]
class = "mug"
on = "kitchen table"
[[object]]
class = "apple"
on = "kitchen table"
[[object]]
class = "milk"
inside = "fridge"
[[object]]
class = "knife"
inside = "kitchen drawer"
[[object]]
class = "water bottle"
inside = "kitchen drawer"
[[object]]
class = "book"
on = "bed"
[[agent]]
body.walker = { room = "kitchen" }
"#;

/// A home in both readings.
struct Scene {
    instance: Instance,
    graph: HouseGraph,
    world: World,
}

impl Scene {
    fn new(seed: u64) -> Self {
        Self::of(HOME, seed)
    }

    fn of(text: &str, seed: u64) -> Self {
        let text = text.replace(
            "class = \"water bottle\"\ninside = \"kitchen drawer\"",
            "class = \"salt shaker\"\ninside = \"kitchen drawer\"",
        );
        let loaded = load_text(&text, "test.toml").unwrap_or_else(|e| panic!("{e}"));
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let instance = loaded
            .instantiate(&mut rng)
            .unwrap_or_else(|e| panic!("{e}"));
        Self {
            graph: instance.start.clone(),
            world: World::new(&instance),
            instance,
        }
    }

    fn id(&self, name: &str) -> EntityId {
        self.instance
            .house
            .find(name)
            .unwrap_or_else(|| panic!("no {name}"))
    }

    fn fact(&self, text: &str) -> bool {
        let fact = Fact::parse(&self.instance.house, text).unwrap_or_else(|e| panic!("{e}"));
        self.world.measure(fact)
    }

    /// Carries out program lines, each without failure and without disagreement.
    fn play(&mut self, program: &str) {
        for line in program.lines().map(str::trim).filter(|l| !l.is_empty()) {
            let reading = self.attempt(line);
            if let Err(failure) = reading.execution {
                panic!("{line}: {}", failure.text(&self.instance.house));
            }
            let wrong: Vec<String> = reading
                .disagreements
                .iter()
                .map(|f| f.text(&self.instance.house))
                .collect();
            assert!(wrong.is_empty(), "{line}: measured otherwise: {wrong:?}");
        }
    }

    fn attempt(&mut self, line: &str) -> Reading {
        let house = &self.instance.house;
        let action = HouseAction::parse(house, line).unwrap_or_else(|e| panic!("{line}: {e}"));
        carry_out(&mut self.graph, &mut self.world, &action)
            .unwrap_or_else(|r| panic!("{line}: {}", r.text(house)))
    }
}

#[test]
fn a_stack_of_ten_boxes_sinks_by_less_than_three_millimeters() {
    let mut bodies = RigidBodySet::new();
    let mut colliders = ColliderSet::new();
    colliders
        .insert(ColliderBuilder::cuboid(1.0, 1.0, 0.1).translation(Vector::new(0.0, 0.0, -0.1)));
    let boxes: Vec<_> = (0..10)
        .map(|i| {
            let z = 0.025 + 0.05 * i as f32;
            let body =
                bodies.insert(RigidBodyBuilder::dynamic().translation(Vector::new(0.0, 0.0, z)));
            let cube = ColliderBuilder::cuboid(0.025, 0.025, 0.025)
                .mass(0.1)
                .friction(0.7);
            colliders.insert_with_parent(cube, body, &mut bodies);
            body
        })
        .collect();
    let (mut pipeline, parameters) = (PhysicsPipeline::new(), parameters());
    let mut islands = IslandManager::new();
    let (mut broad, mut narrow) = (BroadPhaseBvh::default(), NarrowPhase::new());
    let (mut joints, mut multibodies) = (ImpulseJointSet::new(), MultibodyJointSet::new());
    let (mut soft, mut ccd) = (SoftBodySet::new(), CCDSolver::new());
    for _ in 0..600 {
        pipeline.step(
            Vector::new(0.0, 0.0, -9.81),
            &parameters,
            &mut islands,
            &mut broad,
            &mut narrow,
            &mut bodies,
            &mut colliders,
            &mut joints,
            &mut multibodies,
            &mut soft,
            &mut ccd,
            &(),
            &(),
        );
    }
    let top = bodies[boxes[9]].translation();
    let sunk = 0.475 - top.z;
    assert!(sunk < 0.003, "sank {sunk} m");
    assert!(hypot(top.x, top.y) < 0.005, "crept to {top:?}");
}

fn hypot(x: f32, y: f32) -> f32 {
    libm::hypotf(x, y)
}

#[test]
fn things_start_where_the_symbols_say_and_stay_there() {
    let scene = Scene::new(1);
    for id in scene.instance.house.ids() {
        assert_eq!(
            scene.world.measure_place(id),
            scene.instance.start.place(id),
            "{}",
            scene.instance.house.name(id)
        );
    }
    assert_eq!((scene.world.incidents(), scene.world.restless()), (0, 0));
}

#[test]
fn walking_ends_within_reach_and_grabbing_takes_the_thing_along() {
    let mut scene = Scene::new(1);
    scene.play("[WALK] <mug>\n[GRAB] <mug>");
    assert!(scene.fact("agent HOLDS_RH mug"));
    scene.play("[WALK] <bed>");
    assert!(scene.fact("agent INSIDE bedroom"));
    let (at, hand) = (
        scene.world.poses()[scene.id("mug").0 as usize].0,
        scene.world.agent_position(),
    );
    assert!(
        hypot(at[0] - hand[0], at[1] - hand[1]) < 0.5,
        "the mug stayed behind"
    );
}

#[test]
fn a_walker_carries_its_hand_from_room_to_room() {
    for (model, first, controls) in [("myohand", "radius", 39), ("robot", "wrist", 24)] {
        let hand = format!("room = \"kitchen\", hand = \"{model}\"");
        let mut scene = Scene::of(&HOME.replace("room = \"kitchen\" }", &(hand + " }")), 1);
        let off = |world: &World| {
            let shoulder = world.state.agent.pose() * Vector::new(0.1, -0.2, 1.2);
            (Vector::from(world.hand_body(first).unwrap().0) - shoulder).length()
        };
        assert!(off(&scene.world) < 5e-3, "{model}: {}", off(&scene.world));
        scene.play("[WALK] <mug>\n[GRAB] <mug>\n[WALK] <bed>");
        assert!(scene.fact("agent INSIDE bedroom") && scene.fact("agent HOLDS_RH mug"));
        let left_behind = off(&scene.world);
        let world = &mut scene.world;
        world.wait(30);
        println!("{model}: {left_behind} m, then {} m", off(world));
        assert!(off(world) < 5e-3, "{model}: {}", off(world));
        assert_eq!((world.incidents(), world.restless()), (0, 0), "{model}");
        // The arm moves against the body, in the hand's own axes.
        world.move_arm([0.1, -0.1, 0.05]).unwrap();
        world.wait(60);
        let before = world.hand().unwrap();
        for (x, expected) in before.arm.into_iter().zip([0.1, -0.1, 0.05]) {
            assert!((x - expected).abs() < 5e-3, "{model}: {:?}", before.arm);
        }
        let snapshot = world.snapshot();
        let run = |world: &mut World| {
            world.set_hand_controls(&vec![0.6; controls]).unwrap();
            world.wait(20);
            (world.digest(), world.hand().unwrap())
        };
        let (digest, after) = run(world);
        assert!(after.qpos.iter().chain(&after.qvel).all(|x| x.is_finite()));
        let pairs = after.qpos.iter().zip(&before.qpos);
        assert!(
            pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max) > 0.2,
            "{model}"
        );
        world.restore(&snapshot);
        assert_eq!(run(world), (digest, after), "{model}");
        scene.play("[WALK] <chair>\n[SIT] <chair>");
        scene.world.wait(30);
        let incidents = scene.world.incidents();
        assert_eq!(incidents, 0, "{model}");
        assert!(
            scene
                .world
                .hand()
                .unwrap()
                .qpos
                .iter()
                .all(|q| q.is_finite())
        );
    }
}

/// Starting, walking and turning shake the hand's joints no more than its muscles do.
#[test]
fn a_carried_hand_follows_without_jumps() {
    let hand = HOME.replace(
        "room = \"kitchen\" }",
        "room = \"kitchen\", hand = \"myohand\" }",
    );
    let mut world = Scene::of(&hand, 1).world;
    let place = |world: &World| Vector::from(world.hand_body("thirdmc").unwrap().0);
    let (mut before, mut speed, mut fastest, mut hardest) =
        (place(&world), Vector::ZERO, 0.0_f32, 0.0_f32);
    for step in 0..90 {
        if (10..50).contains(&step) {
            world.state.agent.pelvis[0] += 1.4 * STEP_SECONDS;
        }
        if (20..40).contains(&step) {
            world.state.agent.yaw += 4.0 * STEP_SECONDS;
        }
        world.step();
        let at = place(&world);
        let next = (at - before) / STEP_SECONDS;
        fastest = fastest.max(next.length());
        hardest = hardest.max(((next - speed) / STEP_SECONDS).length());
        (before, speed) = (at, next);
    }
    println!("at most {fastest} m/s and {hardest} m/s²");
    assert!(fastest > 1.2 && fastest < 4.0, "{fastest} m/s");
    assert!(hardest < 60.0, "{hardest} m/s²");
    assert_eq!(world.incidents(), 0);
}

#[test]
fn putting_down_leaves_the_thing_at_rest_on_the_surface() {
    let mut scene = Scene::new(2);
    scene.play("[WALK] <mug>\n[GRAB] <mug>\n[WALK] <bed>\n[PUTBACK] <mug> <bed>");
    assert!(scene.fact("mug ON bed") && !scene.fact("agent HOLDS_RH mug"));
    let z = scene.world.poses()[scene.id("mug").0 as usize].0[2];
    assert!(
        (z - 0.5).abs() < 0.003,
        "the mug is at {z} m, the bed is 0.5 m high"
    );
}

#[test]
fn both_hands_carry() {
    let mut scene = Scene::new(3);
    scene.play("[WALK] <kitchen table>\n[GRAB] <mug>\n[GRAB] <apple>");
    assert!(scene.fact("agent HOLDS_RH mug") && scene.fact("agent HOLDS_LH apple"));
    scene.play("[PUTBACK] <mug> <kitchen table>\n[PUTBACK] <apple> <kitchen table>");
    assert!(scene.fact("mug ON kitchen table") && scene.fact("apple ON kitchen table"));
}

#[test]
fn a_closed_door_bars_the_way_and_an_open_one_does_not() {
    let mut scene = Scene::new(1);
    scene.play("[WALK] <kitchen bedroom door>\n[CLOSE] <kitchen bedroom door>");
    assert!(scene.fact("kitchen bedroom door CLOSED"));
    // The symbols refuse the walk; asked anyway, the world finds no way.
    let bed = scene.id("bed");
    let mut open = scene.instance.start.clone();
    open.set_close(bed, false);
    let result = scene
        .world
        .execute(&HouseAction::one(crate::household::Verb::Walk, bed), &open);
    assert_eq!(result, Err(Failure::NoWay(bed)));
    scene.play("[OPEN] <kitchen bedroom door>\n[WALK] <bed>");
    assert!(scene.fact("agent INSIDE bedroom"));
}

#[test]
fn what_lies_in_a_drawer_moves_with_it() {
    let mut scene = Scene::new(4);
    let knife = scene.id("knife").0 as usize;
    let before = scene.world.poses()[knife].0;
    scene.play("[WALK] <kitchen drawer>\n[OPEN] <kitchen drawer>");
    let open = scene.world.poses()[knife].0;
    // The drawer is 0.6 m deep and slides out by 0.75 of it, along +x here.
    assert!(
        (open[0] - before[0] - 0.45).abs() < 0.03,
        "moved by {}",
        open[0] - before[0]
    );
    assert!(scene.fact("knife INSIDE kitchen drawer") && scene.fact("kitchen drawer OPEN"));
    scene.play("[CLOSE] <kitchen drawer>\n[OPEN] <kitchen drawer>\n[GRAB] <knife>\n[CLOSE] <kitchen drawer>");
    assert!(
        scene.fact("salt shaker INSIDE kitchen drawer")
            && !scene.fact("knife INSIDE kitchen drawer")
    );
}

#[test]
fn cupboards_and_chests_take_things_in() {
    let mut scene = Scene::new(5);
    scene.play(
        "[WALK] <mug>
        [GRAB] <mug>
        [WALK] <fridge>
        [OPEN] <fridge>
        [PUTIN] <mug> <fridge>
        [GRAB] <milk>
        [CLOSE] <fridge>
        [WALK] <chest>
        [OPEN] <chest>
        [PUTIN] <milk> <chest>
        [CLOSE] <chest>",
    );
    assert!(scene.fact("mug INSIDE fridge") && scene.fact("milk INSIDE chest"));
    assert!(scene.fact("fridge CLOSED") && scene.fact("chest CLOSED"));
}

#[test]
fn postures_are_seen_in_the_pose() {
    let mut scene = Scene::new(6);
    scene.play("[WALK] <chair>\n[SIT] <chair>");
    assert!(scene.fact("agent SITTING") && scene.fact("agent ON chair"));
    scene.play("[STANDUP]\n[WALK] <book>\n[GRAB] <book>\n[LIE] <bed>");
    assert!(scene.fact("agent LYING") && scene.fact("agent ON bed"));
    scene.play("[READ] <book>\n[STANDUP]");
    assert!(!scene.fact("agent LYING") && scene.fact("agent INSIDE bedroom"));
}

#[test]
fn the_other_verbs_do_what_they_say() {
    let mut scene = Scene::new(7);
    scene.play(
        "[FIND] <apple>
        [EAT] <apple>
        [TOUCH] <apple>
        [TURNTO] <fridge>
        [LOOKAT] <fridge>
        [WALK] <floor lamp>
        [SWITCHON] <floor lamp>",
    );
    assert!(scene.fact("floor lamp SWITCHED_ON"));
    scene.play("[SWITCHOFF] <floor lamp>\n[FIND] <mug>\n[GRAB] <mug>\n[DRINK] <mug>\n[DROP] <mug>");
    assert!(scene.fact("floor lamp SWITCHED_OFF") && scene.fact("mug INSIDE kitchen"));
}

#[test]
fn a_full_table_takes_no_more_and_nothing_breaks() {
    let mut scene = Scene::new(8);
    scene.play("[WALK] <mug>\n[GRAB] <mug>");
    let mug = scene.id("mug");
    let chair = scene.id("chair");
    // A chair has no surface to put things on: asked anyway, the world says so and keeps the mug in the hand.
    let action = HouseAction::two(crate::household::Verb::Put, mug, chair);
    let graph = scene.graph.clone();
    let result = scene.world.execute(&action, &graph);
    assert!(
        matches!(result, Err(Failure::NoSpot { .. } | Failure::NoStance(_))),
        "{result:?}"
    );
    assert_eq!(
        scene.world.measure_place(mug),
        Place::Hand(crate::household::Hand::Right)
    );
    scene.play("[WALK] <bed>\n[PUTBACK] <mug> <bed>");
}

const ERRAND: &str = "[WALK] <mug>
    [GRAB] <mug>
    [WALK] <kitchen drawer>
    [OPEN] <kitchen drawer>
    [PUTIN] <mug> <kitchen drawer>
    [CLOSE] <kitchen drawer>
    [WALK] <bed>
    [SIT] <bed>";

#[test]
fn a_snapshot_goes_on_as_if_nothing_had_happened() {
    // Over verbs: restored before each, the world goes the same way twice.
    let mut scene = Scene::new(9);
    scene.play("[WALK] <book>\n[GRAB] <book>\n[WALK] <mug>\n[PUTBACK] <book> <kitchen table>");
    for line in ERRAND.lines() {
        let snapshot = scene.world.snapshot();
        let graph = scene.graph.clone();
        scene.play(line);
        let uninterrupted = scene.world.digest();
        scene.world.restore(&snapshot);
        scene.graph = graph;
        scene.play(line);
        assert_eq!(scene.world.digest(), uninterrupted, "{line}");
    }
    // Step by step, while a mug that was let go in mid-air falls, bounces and comes to rest.
    let mug = scene.world.plan.things[scene.id("mug").0 as usize]
        .body
        .unwrap();
    let mut world = scene.world;
    world.state.bodies[mug].set_position(
        Iso::from_parts(Vector::new(3.0, 1.0, 1.0), about([1.0, 0.0, 0.0], 0.7)),
        true,
    );
    world.step();
    let snapshot = world.snapshot();
    let digests: Vec<_> = (0..200)
        .map(|_| {
            world.step();
            world.digest()
        })
        .collect();
    world.restore(&snapshot);
    for (step, digest) in digests.into_iter().enumerate() {
        world.step();
        assert_eq!(world.digest(), digest, "step {step}");
    }
}

#[test]
fn two_threads_see_the_same_bits() {
    let run = || {
        let scene = Scene::new(10);
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        agreement(&scene.instance, &mut rng, 60).digest
    };
    let other = std::thread::spawn(run);
    assert_eq!(run(), other.join().unwrap());
}

#[test]
fn symbols_and_measures_agree_in_a_small_home() {
    let scene = Scene::new(11);
    let mut rng = ChaCha8Rng::seed_from_u64(11);
    let result = agreement(&scene.instance, &mut rng, 300);
    assert_eq!(result.all_verbs().all, 300);
    assert!(result.share() >= 0.99, "{result:#?}");
    assert!(result.all_verbs().bad <= 3, "{result:#?}");
    assert_eq!(result.audit.bad, 0, "{result:#?}");
}

/// The project's scenario files, loaded.
fn homes() -> Vec<(String, Instance)> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../scenarios");
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "toml"))
        .collect();
    paths.sort();
    let draw = |path: &std::path::PathBuf| {
        let loaded = load(path).unwrap_or_else(|e| panic!("{e}"));
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let instance = loaded
            .instantiate(&mut rng)
            .unwrap_or_else(|e| panic!("{e}"));
        (path.display().to_string(), instance)
    };
    paths.iter().map(draw).collect()
}

#[test]
fn in_every_home_things_rest_where_they_should_and_can_be_walked_to() {
    for (path, instance) in homes() {
        let house = &instance.house;
        let mut world = World::new(&instance);
        for (index, front) in world.plan.fronts.clone().iter().enumerate() {
            if world.plan.house.class(front.entity).is_none() {
                world.state.openness[index] = 1.0;
                world.place_front(index);
            }
        }
        for id in house.ids().filter(|id| *id != house.agent()) {
            assert_eq!(
                world.measure_place(id),
                instance.start.place(id),
                "{path}: {}",
                house.name(id)
            );
            assert!(
                world.can_be_reached(id),
                "{path}: no way to the {}",
                house.name(id)
            );
        }
    }
}

#[test]
fn symbols_and_measures_agree_in_every_home() {
    for (path, instance) in homes() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let result = agreement(&instance, &mut rng, 200);
        assert!(result.share() >= 0.99, "{path}: {result:#?}");
    }
}
