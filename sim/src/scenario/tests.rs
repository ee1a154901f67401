//! What a scenario file must be, and that every file of the project is.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::PathBuf;

use proptest::prelude::*;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng as _;

use super::check::{doorway, numbered};
use super::geometry::{Block, contains, walls};
use super::*;
use crate::catalogue::{Class, Property};
use crate::household;
use crate::household::{EntityId, Kind, State};

/// Two rooms, some furniture, one goal: every case below changes one thing in it.
const HOME: &str = r#"schema = "habitus.scenario/1"
name = "Test home"

[[room]]
name = "kitchen"
corners = [[0.0, 0.0], [4.0, 0.0], [4.0, 3.0], [0.0, 3.0]]
[[room]]
name = "hall"
corners = [[4.0, 0.0], [6.0, 0.0], [6.0, 3.0], [4.0, 3.0]]
[[door]]
between = ["kitchen", "hall"]
at = [4.0, 1.5]

[[object]]
class = "fridge"
at = [0.5, 0.5]
[[object]]
class = "kitchen table"
room = "kitchen"
at = [2.0, 2.0]
yaw_deg = 90.0
[[object]]
class = "basket"
at = [3.5, 0.4]
[[object]]
class = "milk"
inside = "fridge"
[[object]]
class = "mug"
count = { min = 1, max = 3 }
one_of = [{ on = "kitchen table" }, { inside = "basket" }]

[[agent]]
body.walker = { room = "hall" }
[[goal]]
say = "Put the milk on the kitchen table."
all = ["milk ON kitchen table", "fridge CLOSED"]
"#;

/// Where the complaint must point in the changed text.
const HERE: char = '▶';

fn load_home(text: &str) -> Result<LoadedScenario, ScenarioError> {
    load_text(text, "home.toml")
}

fn draw(loaded: &LoadedScenario, seed: u64) -> Instance {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    loaded
        .instantiate(&mut rng)
        .unwrap_or_else(|e| panic!("{e}"))
}

fn files() -> Vec<PathBuf> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../scenarios");
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "toml"))
        .collect();
    files.sort();
    files
}

/// In [`HOME`] with `old` replaced by `new`, one of the problems is at the mark in `new` and says `message`.
#[track_caller]
fn refused(old: &str, new: &str, message: &str) {
    assert_eq!(HOME.matches(old).count(), 1, "{old:?} is in the home once");
    let marked = HOME.replace(old, new);
    let before = marked.split(HERE).next().unwrap();
    let line = before.matches('\n').count() + 1;
    let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
    let error = load_home(&marked.replace(HERE, "")).unwrap_err();
    assert!(
        error
            .problems
            .iter()
            .any(|p| (p.line, p.column) == (line, column) && p.message.contains(message)),
        "expected {line}:{column} … {message} …, found\n{error}"
    );
    assert!(
        error
            .to_string()
            .contains(&format!("home.toml:{line}:{column}: "))
    );
}

#[test]
fn the_home_itself_is_accepted() {
    let loaded = load_home(HOME).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(
        loaded.digest,
        blake3::hash(HOME.as_bytes()).to_hex().to_string()
    );
    assert_eq!(loaded.text, HOME);
}

#[test]
fn bad_input_is_refused_where_it_is_wrong() {
    let fridge = "class = \"fridge\"\nat = [0.5, 0.5]";
    let milk = "inside = \"fridge\"";
    let mug = "one_of = [{ on = \"kitchen table\" }, { inside = \"basket\" }]";
    let kitchen = "corners = [[0.0, 0.0], [4.0, 0.0], [4.0, 3.0], [0.0, 3.0]]";
    let hall = "corners = [[4.0, 0.0], [6.0, 0.0], [6.0, 3.0], [4.0, 3.0]]";
    let door = "between = [\"kitchen\", \"hall\"]\nat = [4.0, 1.5]";
    let table = "room = \"kitchen\"\nat = [2.0, 2.0]";
    let agent = "body.walker = { room = \"hall\" }";
    let goal = "\"fridge CLOSED\"";
    for (old, new, message) in [
        // What TOML and the form of the file refuse.
        (milk, "inside = \"fridge▶\nx = 1", ""),
        (
            milk,
            "▶insid = \"fridge\"",
            "unknown field `insid`, expected one of `name`, `class`",
        ),
        (
            fridge,
            "class = ▶3\nat = [0.5, 0.5]",
            "invalid type: integer `3`, expected a string",
        ),
        (
            fridge,
            "class = \"fridge\"\nat = ▶[0.5]",
            "invalid length 1, expected an array of length 2",
        ),
        (
            mug,
            "one_of = [{ ▶under = \"fridge\" }]",
            "unknown variant `under`, expected `on` or `inside`",
        ),
        (
            agent,
            "body.▶robot = { room = \"hall\" }",
            "unknown variant `robot`, expected `walker`",
        ),
        (
            agent,
            "body.walker = { room = \"hall\", ▶size = 1 }",
            "unexpected keys in table: size, available keys: room, at, hand",
        ),
        (
            "schema = \"habitus.scenario/1\"",
            "schema = ▶\"habitus.scenario/9\"",
            "expected \"habitus.scenario/1\", found \"habitus.scenario/9\"",
        ),
        // Names.
        (
            fridge,
            "class = ▶\"frige\"\nat = [0.5, 0.5]",
            "found \"frige\"), did you mean \"fridge\"?",
        ),
        (
            fridge,
            "name = ▶\"hall\"\nclass = \"fridge\"\nat = [0.5, 0.5]",
            "the name \"hall\" is taken",
        ),
        (
            fridge,
            "name = ▶\"Big Fridge\"\nclass = \"fridge\"\nat = [0.5, 0.5]",
            "expected lower-case words",
        ),
        (
            fridge,
            "name = ▶\"agent\"\nclass = \"fridge\"\nat = [0.5, 0.5]",
            "the name \"agent\" is taken",
        ),
        (
            "class = \"milk\"",
            "name = ▶\"mug\"\nclass = \"milk\"",
            "the name \"mug\" is taken",
        ),
        (
            "class = \"milk\"",
            "name = \"mug 2\"\nclass = \"milk\"",
            "the name \"mug 2\" is taken",
        ),
        (
            "name = \"hall\"",
            "name = ▶\"kitchen\"",
            "the name \"kitchen\" is taken",
        ),
        // Rooms.
        (
            kitchen,
            "corners = ▶[[0.0, 0.0], [4.0, 0.5], [4.0, 3.0], [0.0, 3.0]]",
            "neither parallel to x nor to y",
        ),
        (
            kitchen,
            "corners = ▶[[0.0, 0.0], [0.0, 3.0], [4.0, 3.0], [4.0, 0.0]]",
            "expected counter-clockwise",
        ),
        (
            kitchen,
            "corners = ▶[[0.0, 0.0], [4.0, 0.0], [4.0, 3.0]]",
            "corners (expected 4 to 32, found 3)",
        ),
        (
            kitchen,
            "corners = ▶[[0.0, 0.0], [4.0, 0.0], [4.0, nan], [0.0, 3.0]]",
            "expected numbers up to",
        ),
        (
            kitchen,
            "corners = ▶[[0,0],[4,0],[4,3],[1,3],[1,-1],[0,-1]]",
            "does not cross itself",
        ),
        (
            kitchen,
            "corners = ▶[[0,0],[4,0],[4,0.5],[0,0.5]]",
            "too narrow",
        ),
        (
            hall,
            "corners = ▶[[3.5, 0.0], [6.0, 0.0], [6.0, 3.0], [3.5, 3.0]]",
            "room \"hall\" overlaps room \"kitchen\"",
        ),
        (
            hall,
            "corners = [[4.0, 0.0], [6.0, 0.0], [6.0, 3.0], [4.0, 3.0]]\nheight = 0.5",
            "expected 2 to 10 m, found 0.5",
        ),
        // Doors.
        (
            door,
            "between = [\"kitchen\", ▶\"hal\"]\nat = [4.0, 1.5]",
            "found \"hal\"), did you mean \"hall\"?",
        ),
        (
            door,
            "between = [\"kitchen\", \"hall\"]\nat = ▶[3.0, 1.5]",
            "expected x = 4.00 with y from 0.50 to 2.50, found [3, 1.5]",
        ),
        (
            door,
            "between = [\"kitchen\", \"hall\"]\nat = ▶[4.0, 2.9]",
            "not on a wall that both rooms share",
        ),
        (
            door,
            "between = [\"hall\", ▶\"hall\"]\nat = [4.0, 1.5]",
            "expected another room",
        ),
        (
            door,
            "between = [\"kitchen\", \"hall\"]\nat = ▶[4.0, 1.5]\nopen = 0.5",
            "expected 0 or 1, found 0.5",
        ),
        (
            door,
            "between = [\"kitchen\", \"hall\"]\nat = ▶[4.0, 1.5]\nwidth = 9.0",
            "expected 0.6 to 3 m, found 9",
        ),
        (
            door,
            "between = [\"kitchen\", \"hall\"]\nat = [4.0, 1.5]\n[[door]]\nname = \"second door\"\nbetween = [\"kitchen\", \"hall\"]\nat = ▶[4.0, 2.0]",
            "overlaps the \"kitchen hall door\"",
        ),
        // Things at a point.
        (
            fridge,
            "class = \"fridge\"\nat = ▶[0.2, 0.5]",
            "\"fridge\" is in a wall of the \"kitchen\"",
        ),
        (
            fridge,
            "class = \"fridge\"\nat = ▶[4.0, 0.5]",
            "is in a wall",
        ),
        (
            fridge,
            "class = \"fridge\"\nat = ▶[9.0, 9.0]",
            "outside every room",
        ),
        (
            fridge,
            "class = \"fridge\"\nat = ▶[inf, 0.5]",
            "expected numbers up to",
        ),
        (
            table,
            "room = \"kitchen\"\nat = ▶[0.9, 0.9]",
            "\"kitchen table\" overlaps \"fridge\"",
        ),
        (
            table,
            "room = ▶\"attic\"\nat = [2.0, 2.0]",
            "unknown room (expected one of \"kitchen\", \"hall\", found \"attic\")",
        ),
        (
            table,
            "room = \"kitchen\"\nat = ▶[5.0, 2.0]",
            "expected a point in the \"kitchen\", found [5, 2] in the \"hall\"",
        ),
        (
            table,
            "room = \"kitchen\"\nat = ▶[3.3, 1.5]",
            "blocks the \"kitchen hall door\"",
        ),
        (
            fridge,
            "class = \"fridge\"\nz = 1.0\nat = ▶[0.5, 0.5]",
            "expected 0 to 0.75 m, found 1",
        ),
        (
            fridge,
            "class = \"fridge\"\nat = ▶[0.5, 0.5]\ncount = { min = 1, max = 2 }",
            "only one thing can be at one point",
        ),
        (
            fridge,
            "class = ▶\"fridge\"\nat = [0.5, 0.5]\nswitched_on = true",
            "expected a class with a switch, found \"fridge\"",
        ),
        (
            "class = \"basket\"",
            "class = ▶\"basket\"\nopen = true",
            "expected a class that can be opened, found \"basket\"",
        ),
        // Things on and in others.
        (
            "class = \"milk\"\ninside = \"fridge\"",
            "class = ▶\"milk\"",
            "expected one of `at`, `on`, `inside` and `one_of`, found none of them",
        ),
        (
            milk,
            "on = \"kitchen table\"\ninside = ▶\"fridge\"",
            "found `on` and `inside`",
        ),
        (
            milk,
            "inside = ▶\"frige\"",
            "found \"frige\"), did you mean \"fridge\"?",
        ),
        (
            milk,
            "inside = ▶\"kitchen\"",
            "nothing can be put on or in \"kitchen\"",
        ),
        (milk, "on = ▶\"mug\"", "one of a drawn number"),
        (
            milk,
            "on = ▶\"fridge\"",
            "expected a class with SURFACES, found \"fridge\"",
        ),
        (
            milk,
            "inside = ▶\"kitchen table\"",
            "expected a class with CONTAINERS",
        ),
        (
            milk,
            "inside = ▶\"milk\"",
            "nothing can be put inside \"milk\"",
        ),
        (
            mug,
            "one_of = [{ on = \"kitchen table\" }, { inside = ▶\"baskett\" }]",
            "did you mean \"basket\"?",
        ),
        (
            "class = \"milk\"\ninside = \"fridge\"",
            "class = \"bed\"\non = ▶\"kitchen table\"",
            "\"bed\" does not fit on \"kitchen table\" (expected at most 0.80 × 1.20 m and half of that area, found 2.00 × 1.40 × 0.50)",
        ),
        (
            "class = \"milk\"\ninside = \"fridge\"",
            "name = ▶\"milk\"\nclass = \"shirt\"\ncount = { min = 1, max = 20 }\ninside = \"basket\"",
            "too much inside \"basket\"",
        ),
        (
            "class = \"milk\"\ninside = \"fridge\"",
            "class = ▶\"milk\"\nroom = \"hall\"\ninside = \"fridge\"",
            "`room` only goes with `at`",
        ),
        (
            "count = { min = 1, max = 3 }",
            "count = ▶{ min = 3, max = 1 }",
            "expected min <= max and max from 1 to 20, found min 3 and max 1",
        ),
        (
            "count = { min = 1, max = 3 }",
            "count = ▶{ min = 0, max = 21 }",
            "found min 0 and max 21",
        ),
        // Who acts, and what is wanted.
        (agent, "body.walker = { room = ▶\"attic\" }", "unknown room"),
        (
            agent,
            "body.walker = { room = \"hall\" }\n[[agent]]\nbody.walker = { room = ▶\"hall\" }",
            "number of walkers (expected 1, found 2)",
        ),
        (
            agent,
            "body.hand = { room = \"hall\", at = [5.0, 1.0, 1.0], model = \"robot\" }",
            "number of walkers (expected 1, found 0)",
        ),
        (
            agent,
            "body.walker = { room = \"hall\" }\n[[agent]]\nbody.hand = { room = \"hall\", at = [5.0, 1.0, 1.0], model = \"robot\" }\n[[agent]]\nbody.hand = { room = ▶\"hall\", at = [5.0, 1.0, 1.0], model = \"robot\" }",
            "number of hands (expected 0 or 1, found 2)",
        ),
        (
            agent,
            "body.walker = { room = \"hall\", hand = \"robot\" }\n[[agent]]\nbody.hand = { room = ▶\"hall\", at = [5.0, 1.0, 1.0], model = \"robot\" }",
            "number of hands (expected 0 or 1, found 2)",
        ),
        (
            agent,
            "body.walker = { room = \"hall\", hand = ▶\"claw\" }",
            "unknown variant `claw`, expected `myohand` or `robot`",
        ),
        (
            agent,
            "body.walker = { room = \"hall\" }\n[[agent]]\nbody.hand = { room = ▶\"attic\", at = [5.0, 1.0, 1.0], model = \"robot\" }",
            "unknown room",
        ),
        (
            agent,
            "body.walker = { room = \"hall\" }\n[[agent]]\nbody.hand = { room = \"hall\", at = ▶[1.0, 1.0, 1.0], model = \"robot\" }",
            "the hand is in another room",
        ),
        (
            agent,
            "body.walker = { room = \"hall\" }\n[[agent]]\nbody.hand = { room = \"hall\", at = ▶[5.0, 1.0, 3.0], model = \"robot\" }",
            "height of the hand (expected 0 to 2.5 m, found 3 m)",
        ),
        (
            agent,
            "body.walker = { room = \"hall\" }\n[[agent]]\nbody.hand = { room = \"hall\", at = ▶[5.0, 1.0, nan], model = \"robot\" }",
            "height of the hand",
        ),
        (
            agent,
            "body.walker = { room = \"kitchen\", at = ▶[0.6, 0.6] }",
            "the agent is in the \"fridge\"",
        ),
        (
            agent,
            "body.walker = { room = \"kitchen\", at = ▶[0.1, 1.5] }",
            "the agent is in a wall",
        ),
        (
            agent,
            "body.walker = { room = \"hall\", at = ▶[1.0, 1.5] }",
            "the agent is in another room",
        ),
        (
            goal,
            "▶\"freezer CLOSED\"",
            "there is no \"freezer\" in this house",
        ),
        (goal, "▶\"fridgge CLOSED\"", "did you mean \"fridge\"?"),
        (goal, "▶\"fridge is closed\"", "expected `name STATE`"),
        (
            goal,
            "▶\"milk CLOSED\"",
            "expected something that can be opened",
        ),
        (
            goal,
            "▶\"milk SWITCHED_ON\"",
            "expected something with a switch",
        ),
        (
            goal,
            "▶\"milk ON fridge\"",
            "expected something with a surface",
        ),
        (
            goal,
            "▶\"milk INSIDE kitchen table\"",
            "expected a room or a container",
        ),
        (
            goal,
            "▶\"agent SITTING fridge\"",
            "expected something to sit or lie on",
        ),
        (
            goal,
            "▶\"mug 2 ON kitchen table\"",
            "not there in every episode",
        ),
        (
            "say = \"Put the milk on the kitchen table.\"",
            "say = \"\"",
            "expected words in `say`",
        ),
    ] {
        // Without a mark only the message is checked: the complaint points at something that was not replaced.
        if new.contains(HERE) {
            refused(old, new, message);
        } else {
            let error = load_home(&HOME.replace(old, new)).unwrap_err();
            assert!(
                error.to_string().contains(message),
                "expected {message}, found\n{error}"
            );
        }
    }
}

#[test]
fn things_in_a_circle_are_refused() {
    let basket = "class = \"basket\"\nat = [3.5, 0.4]";
    refused(
        basket,
        "class = \"basket\"\ninside = ▶\"box\"\n[[object]]\nclass = \"box\"\ninside = \"basket\"",
        "in a circle: \"basket\" in \"box\" in \"basket\"",
    );
    refused(
        basket,
        "class = \"basket\"\none_of = [{ inside = ▶\"basket\" }]",
        "in a circle: \"basket\" in \"basket\"",
    );
}

#[test]
fn all_problems_are_listed_in_the_order_of_the_file() {
    let text = HOME
        .replace("class = \"fridge\"", "class = \"frige\"")
        .replace("at = [3.5, 0.4]", "at = [9.0, 9.0]")
        .replace("room = \"hall\" }", "room = \"attic\" }");
    let error = load_home(&text).unwrap_err();
    let lines: Vec<usize> = error.problems.iter().map(|p| p.line).collect();
    assert_eq!(
        lines.len(),
        3,
        "what follows from another problem is not listed\n{error}"
    );
    assert!(lines.is_sorted());
}

#[test]
fn an_unreadable_file_is_named() {
    let error = load("no/such/home.toml").unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("no/such/home.toml: cannot be read: "),
        "{error}"
    );
}

#[test]
fn every_file_loads_and_comes_back_the_same() {
    let (mut training, mut evaluation) = (0, 0);
    for file in files() {
        let loaded = load(&file).unwrap_or_else(|e| panic!("{e}"));
        let saved = save(&loaded.scenario);
        let again = load_text(&saved, "saved.toml").unwrap_or_else(|e| panic!("{e}\n{saved}"));
        assert_eq!(loaded.scenario, again.scenario, "{}", file.display());
        assert_eq!(saved, save(&again.scenario), "saving is canonical");
        if loaded.scenario.evaluation_only {
            evaluation += 1;
        } else {
            training += 1;
        }
    }
    assert!(
        training >= 5 && evaluation >= 2,
        "{training} and {evaluation}"
    );
}

#[test]
fn every_file_draws_episodes_that_differ_and_repeat() {
    let mut complaints = BTreeSet::new();
    for file in files() {
        let loaded = load(&file).unwrap_or_else(|e| panic!("{e}"));
        let mut layouts = Vec::new();
        for seed in 0..20 {
            let instance = draw(&loaded, seed);
            assert_eq!(
                instance.layout,
                draw(&loaded, seed).layout,
                "same seed, same bits"
            );
            sound(&instance);
            let out = out_of_reach(&instance);
            if !out.is_empty() {
                complaints.insert(format!("{}: {}", file.display(), out.join(", ")));
            }
            layouts.push(instance.layout);
        }
        assert!(
            layouts.windows(2).all(|w| w[0] != w[1]),
            "{}",
            file.display()
        );
        let count = draw(&loaded, 0).house;
        let objects = count.ids().filter(|id| count.class(*id).is_some()).count();
        println!("{}: {objects} objects", file.display());
    }
    assert!(complaints.is_empty(), "out of reach: {complaints:#?}");
}

/// What holds for every drawn episode: symbols and geometry say the same, nothing overlaps.
fn sound(instance: &Instance) {
    let Instance {
        house,
        start,
        layout,
    } = instance;
    let class = |id: EntityId| house.class(id);
    let pose = |id: EntityId| layout.poses[id.0 as usize];
    let block =
        |id: EntityId, class: &Class| Block::new(class.size, pose(id).position, pose(id).yaw);
    assert_eq!(layout.poses.len(), house.len());
    let mut siblings: BTreeMap<EntityId, Vec<(EntityId, Block)>> = BTreeMap::new();
    for id in house.ids() {
        let Some(thing) = class(id) else { continue };
        let has = |p| thing.properties.has(p);
        assert_eq!(
            has(Property::CanOpen),
            start.is(id, State::Open) ^ start.is(id, State::Closed)
        );
        assert_eq!(
            has(Property::HasSwitch),
            start.is(id, State::SwitchedOn) ^ start.is(id, State::SwitchedOff)
        );
        let here = block(id, thing);
        let holder = match start.place(id) {
            household::Place::On(holder) | household::Place::Inside(holder) => holder,
            household::Place::Room(room) => {
                let shape = layout.rooms.iter().find(|r| r.room == room).unwrap();
                assert!(contains(&shape.corners, here.center), "{}", house.name(id));
                continue;
            }
            place => panic!("{} is at {place:?}", house.name(id)),
        };
        let inside = matches!(start.place(id), household::Place::Inside(_));
        let support = class(holder).unwrap();
        assert!(support.takes(thing, inside));
        // It lies just above one of the surfaces.
        let height = pose(id).position[2] - pose(holder).position[2];
        let lies = support.surfaces().iter().any(|s| {
            s.inside == inside
                && (height - s.z - 0.001).abs() < 1e-4
                && height + thing.size[2] < s.z + s.clearance
        });
        assert!(
            lies,
            "{} at {height} on {}",
            house.name(id),
            house.name(holder)
        );
        for (other, block) in siblings.entry(holder).or_default().iter() {
            assert!(
                !block.overlaps(&here),
                "{} and {}",
                house.name(id),
                house.name(*other)
            );
        }
        siblings.entry(holder).or_default().push((id, here));
    }
    // What fits in symbols: no surface is fuller than its capacity.
    for (holder, things) in &siblings {
        for side in [0, 1] {
            let inside = side == 1;
            let area: f32 = things
                .iter()
                .filter(|(id, _)| matches!(start.place(*id), household::Place::Inside(_)) == inside)
                .map(|(id, _)| house.entity(*id).footprint)
                .sum();
            let capacity = house.entity(*holder).capacity[side];
            assert!(
                area <= capacity + 1e-4,
                "{}: {area} > {capacity}",
                house.name(*holder)
            );
        }
    }
}

/// What a walker does not reach of every room, every piece and the front of everything that opens, through open doors.
fn out_of_reach(instance: &Instance) -> Vec<String> {
    const CELL: f32 = 0.05;
    let Instance {
        house,
        start,
        layout,
    } = instance;
    let blocks: BTreeMap<EntityId, Block> = house
        .ids()
        .filter_map(|id| {
            let class = house.class(id)?;
            let pose = layout.poses[id.0 as usize];
            Some((id, Block::new(class.size, pose.position, pose.yaw)))
        })
        .collect();
    let on_floor = |id: &EntityId| matches!(start.place(*id), household::Place::Room(_));
    let obstacles: Vec<Block> = blocks
        .iter()
        .filter(|(id, b)| on_floor(id) && b.z[0] < WALKER_HEIGHT)
        .map(|(_, b)| *b)
        .collect();
    let mut stone: Vec<Block> = Vec::new();
    for room in &layout.rooms {
        stone.extend(walls(&room.corners, WALL_THICKNESS));
    }
    let gaps: Vec<Block> = layout
        .doors
        .iter()
        .map(|door| {
            let mut half = [
                0.5 * door.width - WALKER_RADIUS,
                0.5 * WALL_THICKNESS + WALKER_RADIUS,
            ];
            if !door.along_x {
                half.reverse();
            }
            Block::wall(
                [door.at[0] - half[0], door.at[1] - half[1]],
                [door.at[0] + half[0], door.at[1] + half[1]],
            )
        })
        .collect();
    let point = |c: (i32, i32)| [(c.0 as f32 + 0.5) * CELL, (c.1 as f32 + 0.5) * CELL];
    let free = |c: (i32, i32)| {
        let p = point(c);
        let clear = |b: &Block| b.distance(p) >= WALKER_RADIUS;
        layout.rooms.iter().any(|r| contains(&r.corners, p))
            && obstacles.iter().all(clear)
            && (gaps.iter().any(|g| g.distance(p) == 0.0) || stone.iter().all(clear))
    };
    let agent = layout.poses[house.agent().0 as usize].position;
    let first = (
        (agent[0] / CELL).floor() as i32,
        (agent[1] / CELL).floor() as i32,
    );
    let mut seen = BTreeSet::from([first]);
    let mut queue = VecDeque::from([first]);
    while let Some((x, y)) = queue.pop_front() {
        for next in [(x + 1, y), (x - 1, y), (x, y + 1), (x, y - 1)] {
            if !seen.contains(&next) && free(next) {
                seen.insert(next);
                queue.push_back(next);
            }
        }
    }
    let reached: Vec<[f32; 2]> = seen.into_iter().map(point).collect();
    let mut unreachable = Vec::new();
    for (id, block) in &blocks {
        let class = house.class(*id).unwrap();
        // Shoulder to the nearest point: a little less than an arm's metre, in the middle of beds, too.
        if !reached.iter().any(|p| block.distance(*p) <= 0.95) {
            unreachable.push(house.name(*id).to_owned());
        }
        if on_floor(id) && class.properties.has(Property::CanOpen) {
            // A free stretch of floor before its front.
            let ahead = block.half[0] + 0.5;
            let front = [
                block.center[0] + ahead * block.axis[0],
                block.center[1] + ahead * block.axis[1],
            ];
            if !reached
                .iter()
                .any(|p| (p[0] - front[0]).hypot(p[1] - front[1]) < 0.3)
            {
                unreachable.push(format!("front of {}", house.name(*id)));
            }
        }
    }
    for room in &layout.rooms {
        if !reached.iter().any(|p| contains(&room.corners, *p)) {
            unreachable.push(house.name(room.room).to_owned());
        }
    }
    unreachable
}

#[test]
fn what_the_file_says_is_what_starts() {
    let text = HOME
        .replace("class = \"fridge\"", "class = \"fridge\"\nopen = true")
        .replace("at = [4.0, 1.5]", "at = [4.0, 1.5]\nopen = 0")
        .replace("class = \"milk\"", "class = \"kettle\"\non = \"kitchen table\"\nswitched_on = true\n[[object]]\nclass = \"milk\"");
    let loaded = load_home(&text).unwrap_or_else(|e| panic!("{e}"));
    let mut counts = BTreeSet::new();
    for seed in 0..50 {
        let Instance {
            house,
            start,
            layout,
        } = draw(&loaded, seed);
        let id = |name: &str| house.find(name).unwrap_or_else(|| panic!("no {name}"));
        assert!(start.is(id("fridge"), State::Open));
        assert!(start.is(id("kitchen hall door"), State::Closed));
        assert!(start.is(id("kettle"), State::SwitchedOn));
        assert_eq!(
            start.place(id("milk")),
            household::Place::Inside(id("fridge"))
        );
        assert_eq!(start.place(id("agent")), household::Place::Room(id("hall")));
        assert_eq!(house.entity(house.agent()).kind, Kind::Agent);
        let mugs = (1..=4)
            .take_while(|&n| house.find(&numbered("mug", n)).is_some())
            .count();
        counts.insert(mugs);
        assert_eq!(layout.doors[0].at, [4.0, 1.5]);
        let agent = layout.poses[house.agent().0 as usize].position;
        assert!(contains(&layout.rooms[1].corners, [agent[0], agent[1]]));
    }
    assert_eq!(counts, BTreeSet::from([1, 2, 3]));
}

#[test]
fn a_full_surface_is_an_error_that_names_the_line() {
    // Four plates fit on the table in symbols; twenty on the stool-sized rest of it do not.
    let text = HOME.replace(
        "class = \"milk\"\ninside = \"fridge\"",
        "class = \"cake\"\ncount = { min = 20, max = 20 }\none_of = [{ on = \"kitchen table\" }, { inside = \"basket\" }]",
    ).replace("milk ON", "cake ON");
    let loaded = load_home(&text).unwrap_or_else(|e| panic!("{e}"));
    let error = loaded
        .instantiate(&mut ChaCha8Rng::seed_from_u64(1))
        .unwrap_err();
    let line = text.lines().position(|l| l.contains("cake")).unwrap() + 1;
    assert_eq!(error.problems[0].line, line);
    assert!(
        error.to_string().contains("no room left for \"cake"),
        "{error}"
    );
}

#[test]
fn an_open_drawer_holds_its_things_further_out() {
    let text = |open: bool| {
        HOME.replace(
            "class = \"fridge\"",
            &format!("name = \"fridge\"\nclass = \"nightstand\"\nopen = {open}"),
        )
        .replace("class = \"milk\"", "name = \"milk\"\nclass = \"book\"")
    };
    let x = |open: bool| {
        let loaded = load_home(&text(open)).unwrap_or_else(|e| panic!("{e}"));
        let Instance { house, layout, .. } = draw(&loaded, 3);
        layout.poses[house.find("milk").unwrap().0 as usize].position[0]
    };
    assert!((x(true) - x(false) - 0.75 * 0.42).abs() < 1e-5);
}

#[test]
fn the_schema_names_every_field() {
    let schema = serde_json_text();
    for field in [
        "one_of",
        "evaluation_only",
        "yaw_deg",
        "between",
        "walker",
        "hand",
        "say",
    ] {
        assert!(schema.contains(&format!("\"{field}\"")), "{field}");
    }
}

fn serde_json_text() -> String {
    schema().as_value().to_string()
}

#[test]
fn doorways_are_clear() {
    for file in files() {
        let loaded = load(&file).unwrap_or_else(|e| panic!("{e}"));
        for door in &loaded.checked.doors {
            let mut wide = doorway(door);
            wide.half = wide.half.map(|h| h + 0.05);
            let Instance { house, layout, .. } = draw(&loaded, 0);
            for id in house.ids() {
                let Some(class) = house.class(id) else {
                    continue;
                };
                let pose = layout.poses[id.0 as usize];
                let block = Block::new(class.size, pose.position, pose.yaw);
                assert!(
                    !wide.overlaps(&block),
                    "{} before {} in {}",
                    house.name(id),
                    door.name,
                    file.display()
                );
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    /// A file with characters or lines lost, doubled or replaced is accepted or refused, and never more than that.
    #[test]
    fn a_damaged_file_never_panics(cuts in prop::collection::vec((0..HOME.len(), 0..60_usize, ".{0,6}"), 1..4), seed in 0..4_u64) {
        let mut bytes = HOME.as_bytes().to_vec();
        for (at, len, new) in cuts {
            let at = at.min(bytes.len());
            let end = (at + len).min(bytes.len());
            bytes.splice(at..end, new.bytes());
        }
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Ok(loaded) = load_home(&text) {
            let _ = loaded.instantiate(&mut ChaCha8Rng::seed_from_u64(seed)).map(|i| i.house.len());
            prop_assert_eq!(load_home(&save(&loaded.scenario)).unwrap().scenario, loaded.scenario);
        }
    }

    /// Any number in any place is accepted or refused.
    #[test]
    fn hostile_numbers_never_panic(which in 0..40_usize, number in prop_oneof![
        Just("nan".to_owned()), Just("-inf".to_owned()), Just("1e38".to_owned()), Just("-1e-38".to_owned()),
        Just("99999999999999999999".to_owned()), any::<f32>().prop_map(|v| format!("{v:?}")), (-6.0..6.0_f32).prop_map(|v| format!("{v:?}")),
    ]) {
        let mut count = 0;
        let mut text = String::new();
        for word in HOME.split_inclusive([' ', '[', ']', ',', '\n']) {
            let digits = word.trim_end_matches([' ', '[', ']', ',', '\n']);
            if digits.parse::<f32>().is_ok() {
                count += 1;
                if count == which {
                    text.push_str(&number);
                    text.push_str(&word[digits.len()..]);
                    continue;
                }
            }
            text.push_str(word);
        }
        if let Ok(loaded) = load_home(&text) {
            let _ = loaded.instantiate(&mut ChaCha8Rng::seed_from_u64(0)).map(|i| i.house.len());
        }
    }
}
