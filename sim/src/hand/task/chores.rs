//! Chores of a gripper: doors, drawers, lids, knobs, levers and buttons of the household's furniture brought where they shall
//! be, and a thing carried by its handle; one chore or several, one after the other. The roles of Meta-World's single tasks and
//! of the sequences in "Relay Policy Learning"'s kitchen, as Brandfonbrener et al. (arXiv 2305.16985) use them.
//!
//! Pieces stand with their closed front 0.3 m behind the world's middle, looking along +x. What moves gets a handle, a round
//! bar, which the catalogue leaves out; [`CONTROLS`] says which knobs and the like the catalogue's pieces have. What moves stays
//! where it is let go. Success, and the end, when all that is wanted holds at once.

use std::collections::{BTreeMap, BTreeSet};

use ::hand::batch::WorldState;
use ::hand::model::{
    Body as Link, Contact, Inertial, Joint, JointKind, Model, Shape, ShapeKind, usual_solimp,
    usual_solref,
};
use ::hand::scene::{Object, Primitive, Scene};
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::place::{primitive, thing};
use super::{
    HOVER, STRAIGHT, Task, Verdict, View, at_rest, empty_scene, norm, require, resting, whether,
    within,
};
use crate::catalogue::{Catalogue, Class};
use crate::hand::{Body, HandError, Seen, Setting};
use crate::world::{ClassPart, Motion, PartForm, front_motion, solids};

/// Where closed fronts stand along x, in meters.
const FACE: f32 = -0.3;
/// A handle's radius and half its length, and how far the middle of an upright one stands off its front, in meters.
const BAR: [f32; 3] = [0.012, 0.045, 0.075];
/// An upright bar is gripped this far above its middle, in meters: else its top meets the palm before the fingers are down.
const ABOVE: f32 = 0.02;
/// From where one comes to a closed handle, in the class frame.
const OUTWARD: [f32; 3] = [1.0, 0.0, 0.0];
/// Share of a piece's mass that its front has.
const FRONT_MASS: f64 = 0.15;
/// What holds a piece in its place: kilograms, and newtons per meter a second.
const FAST: [f64; 2] = [1e4, 1e6];
/// From a knob's axis to its handle, aside and up, in meters.
const KNOB: f32 = 0.042;
/// Bits of contact: what is to be touched, and what moves of it, which passes through the body that it closes.
const FURNITURE: u32 = 2;
const LEAF: u32 = 4;
/// A thing is lifted this far while it is carried, and goes nowhere else where this much is missing to that, in meters.
const LIFT: [f32; 2] = [0.06, 0.035];
/// A thing's way counts as this long, in meters.
const CARRY: f32 = 0.3;

/// What is turned, pushed or pulled on a piece besides its front.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Control {
    /// Turns by a quarter around the front's normal, half of it to either side of the top.
    Knob,
    /// Goes down by 6 cm.
    Lever,
    /// Goes aside by 12 cm.
    Slider,
    /// Goes in by 4 cm.
    Button,
}

/// Class, name, what it is, and where it is on the front: from its middle along y, and its height, in meters.
const CONTROLS: [(&str, &str, Control, [f32; 2]); 9] = [
    ("stove", "left knob", Control::Knob, [0.2, 0.82]),
    ("stove", "right knob", Control::Knob, [0.02, 0.82]),
    ("kitchen cabinet", "lock", Control::Knob, [0.1, 0.45]),
    ("washing machine", "dial", Control::Knob, [0.1, 0.77]),
    ("toaster", "lever", Control::Lever, [0.0, 0.14]),
    ("coffee maker", "button", Control::Button, [0.0, 0.25]),
    ("printer", "button", Control::Button, [0.1, 0.18]),
    ("table lamp", "switch", Control::Slider, [-0.06, 0.2]),
    ("fan", "switch", Control::Slider, [-0.06, 0.4]),
];

/// Everything that is turned, pushed or pulled on a piece besides its front: the piece's class, and what [`Chore::what`] says.
pub fn controls() -> impl Iterator<Item = (&'static str, String)> {
    CONTROLS
        .iter()
        .map(|(class, name, ..)| (*class, format!("{class}: {name}")))
}

/// Chores. Target: how far open each shall be, as a share (n_chores), then which chore is the first, the second and so on
/// (n_wanted). Error, of the first chore that is not done: target minus place as a share of its way (1), from between the
/// fingers to its handle in meters (3), how its handle has to go from here, in meters (3); chores that are left (1); from between
/// the fingers up to where nothing is in the way, in meters (1).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Chores {
    /// The furniture.
    pub piece: Vec<Piece>,
    /// A thing that can be carried by its handle.
    pub thing: Option<Thing>,
    /// What there is to do.
    pub chore: Vec<Chore>,
    /// So many of the chores, drawn in an order drawn; left out, all as they are listed.
    pub draw: Option<usize>,
    /// Chores that are not drawn together, in whatever order: what is kept for another task.
    pub never: Vec<Vec<String>>,
    /// Where the gripper starts, in meters in the world; left out, before the first chore's handle.
    pub home_m: Option<[f32; 3]>,
    /// How far from there it starts at most, along each axis, in meters.
    pub start_m: f32,
    /// How high it goes from one chore to the next, in meters; left out, above the highest handle.
    pub travel_m: Option<f32>,
    /// Done: what may be missing, as a share of the whole way.
    pub near: f32,
    /// Actions of an episode.
    pub max_steps: u32,
}

/// A piece of furniture.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Piece {
    /// Its class in the catalogue.
    pub class: String,
    /// Where it stands: behind the others (x) and beside the middle (y), in meters.
    #[serde(default)]
    pub at_m: [f32; 2],
    /// How high what it stands on is, in meters.
    #[serde(default)]
    pub on_m: f32,
    /// How far from there it stands at most, along its width, in meters; drawn.
    #[serde(default)]
    pub aside_m: f32,
}

/// A thing with an upright handle on its top.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Thing {
    /// Its class in the catalogue.
    pub class: String,
    /// Where its lowest point starts, in meters in the world.
    pub at_m: [f32; 3],
    /// How far from there it starts at most along x and y, in meters; drawn.
    #[serde(default)]
    pub aside_m: f32,
    /// Where its lowest point shall be.
    pub to_m: [f32; 3],
}

/// Something to do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Chore {
    /// A piece's front (`"fridge"`), what is on a piece (`"stove: left knob"`), or the thing (`"kettle"`).
    pub what: String,
    /// How far open, turned or pushed it is at the start: least and most, from 0 to 1.
    #[serde(default)]
    pub from: [f32; 2],
    /// How far it shall be: least and most, from 0 to 1.
    #[serde(default = "whole")]
    pub to: [f32; 2],
}

impl Piece {
    /// Where its class frame is in the world, in meters.
    fn stands(&self, class: &Class) -> [f32; 3] {
        let [x, y] = self.at_m;
        [FACE - 0.5 * class.size[0] - x, y, self.on_m]
    }
}

fn whole() -> [f32; 2] {
    [1.0, 1.0]
}

impl Default for Chores {
    fn default() -> Self {
        let class = "kitchen drawer";
        Self {
            piece: vec![Piece {
                class: class.to_owned(),
                at_m: [0.0; 2],
                on_m: 0.0,
                aside_m: 0.1,
            }],
            thing: None,
            chore: vec![Chore {
                what: class.to_owned(),
                from: [0.0, 0.1],
                to: [0.6, 0.8],
            }],
            draw: None,
            never: Vec::new(),
            home_m: None,
            start_m: 0.05,
            travel_m: None,
            near: 0.05,
            max_steps: 150,
        }
    }
}

/// What moves of a piece, and its handle.
#[derive(Clone, Debug, PartialEq)]
struct Part {
    /// As [`Chore::what`] says it.
    name: String,
    motion: Motion,
    /// Where its handle is gripped where nothing is open, in the class frame, meters.
    handle: [f32; 3],
    /// Whether the handle is upright; else it sticks out along x.
    upright: bool,
    /// The class frame in the world.
    stands: [f32; 3],
    /// Which of an observation's `hinge_angles` are the piece's place aside, and its own.
    hinges: [usize; 2],
    /// Whether it is the front, which has solids of its own.
    front: bool,
}

impl Part {
    /// Its whole way, in radians or meters.
    fn way(&self) -> f32 {
        match self.motion {
            Motion::Hinge { angle, .. } => angle,
            Motion::Slide { by } => norm(&by),
        }
    }

    /// How long the way of its handle is, in meters.
    fn arc(&self) -> f32 {
        match self.motion {
            Motion::Hinge {
                origin,
                axis,
                angle,
            } => {
                let arm = [0, 1, 2].map(|i| self.handle[i] - origin[i]);
                let along: f32 = (0..3).map(|i| axis[i] * arm[i]).sum();
                angle * norm(&[0, 1, 2].map(|i| arm[i] - along * axis[i]))
            }
            Motion::Slide { by } => norm(&by),
        }
    }

    /// A direction in the world, turned with what moves. `share` of the way.
    fn turned(&self, v: [f32; 3], share: f32) -> [f32; 3] {
        let Motion::Hinge { axis, angle, .. } = self.motion else {
            return v;
        };
        // Rodrigues' formula.
        let (sin, cos) = (libm::sinf(share * angle), libm::cosf(share * angle));
        let dot: f32 = (0..3).map(|i| axis[i] * v[i]).sum();
        let cross = [
            axis[1] * v[2] - axis[2] * v[1],
            axis[2] * v[0] - axis[0] * v[2],
            axis[0] * v[1] - axis[1] * v[0],
        ];
        [0, 1, 2].map(|i| v[i] * cos + cross[i] * sin + axis[i] * dot * (1.0 - cos))
    }

    /// Where its handle is gripped in the world, in meters, where the piece stands `aside`. `share` of the way.
    fn handle_at(&self, aside: f32, share: f32) -> [f32; 3] {
        let moved = match self.motion {
            Motion::Slide { by } => [0, 1, 2].map(|i| self.handle[i] + share * by[i]),
            Motion::Hinge { origin, .. } => {
                let arm = [0, 1, 2].map(|i| self.handle[i] - origin[i]);
                let arm = self.turned(arm, share);
                [0, 1, 2].map(|i| origin[i] + arm[i])
            }
        };
        let [x, y, z] = self.stands;
        [moved[0] + x, moved[1] + y + aside, moved[2] + z]
    }

    /// How its handle goes from a share of the way to another, in meters: as long as its arc, in the direction that it
    /// starts in.
    fn path(&self, from: f32, to: f32) -> [f32; 3] {
        let (at, ahead) = (
            self.handle_at(0.0, from),
            self.handle_at(0.0, from + 0.01 * (to - from).signum()),
        );
        let way = [0, 1, 2].map(|i| ahead[i] - at[i]);
        let length = (to - from).abs() * self.arc() / norm(&way).max(1e-9);
        way.map(|x| x * length)
    }
}

/// All that moves of a class that stands somewhere, its front first.
fn parts_of(class: &Class, stands: [f32; 3], aside: usize) -> Vec<Part> {
    let [depth, _, height] = class.size;
    let face = 0.5 * depth;
    let front = front_motion(class).zip(leaf_bounds(class));
    let front = front.map(|(motion, leaf)| {
        let middle = |axis: usize| 0.5 * (leaf[0][axis] + leaf[1][axis]);
        let upright = !matches!(motion, Motion::Hinge { axis, .. } if axis[2].abs() < 0.5);
        let handle = match motion {
            // A lid: it sticks out of the edge away from the hinge.
            Motion::Hinge { .. } if !upright => [face + 0.055, 0.0, height - 0.01],
            // A door: near the edge away from its hinge.
            Motion::Hinge { .. } => [face + BAR[2], leaf[0][1] + 0.06, middle(2)],
            Motion::Slide { .. } => [face + BAR[2], 0.0, middle(2)],
        };
        (class.name.clone(), motion, handle, upright)
    });
    let controls = CONTROLS.iter().filter(|row| row.0 == class.name);
    let controls = controls.map(|(class, name, control, [y, z])| {
        let (motion, handle) = match control {
            Control::Knob => {
                let motion = Motion::Hinge {
                    origin: [face, *y, *z],
                    axis: [1.0, 0.0, 0.0],
                    angle: std::f32::consts::FRAC_PI_2,
                };
                (motion, [face + 0.055, y + KNOB, z + KNOB])
            }
            Control::Lever => (
                Motion::Slide {
                    by: [0.0, 0.0, -0.06],
                },
                [face + 0.055, *y, *z],
            ),
            Control::Slider => (
                Motion::Slide {
                    by: [0.0, 0.12, 0.0],
                },
                [face + 0.055, *y, *z],
            ),
            Control::Button => (
                Motion::Slide {
                    by: [-0.04, 0.0, 0.0],
                },
                [face + BAR[2], *y, *z],
            ),
        };
        let name = format!("{class}: {name}");
        let upright = *control == Control::Button;
        (name, motion, handle, upright)
    });
    let moving = front.into_iter().chain(controls).enumerate();
    let part = |(i, (name, motion, handle, upright))| Part {
        front: name == class.name,
        hinges: [aside, aside + 1 + i],
        name,
        motion,
        handle,
        upright,
        stands,
    };
    moving.map(part).collect()
}

/// Lowest and highest corner of a class's closed front.
fn leaf_bounds(class: &Class) -> Option<[[f32; 3]; 2]> {
    let mut bounds: Option<[[f32; 3]; 2]> = None;
    for part in solids(class, 0.0).iter().filter(|part| part.moves) {
        let PartForm::Box(half) = part.form else {
            continue;
        };
        let corners = [-1.0, 1.0].map(|s| [0, 1, 2].map(|i| part.position[i] + s * half[i]));
        let [low, high] = bounds.unwrap_or(corners);
        bounds = Some([
            [0, 1, 2].map(|i| low[i].min(corners[0][i])),
            [0, 1, 2].map(|i| high[i].max(corners[1][i])),
        ]);
    }
    bounds
}

fn class_of(name: &str) -> Option<Class> {
    let catalogue = Catalogue::standard();
    catalogue.find(name).map(|id| catalogue.class(id).clone())
}

/// Chores made ready to be done: what moves is looked up once.
#[derive(Clone, Debug, PartialEq)]
pub struct Housework {
    chores: Chores,
    parts: Vec<Part>,
    /// What each chore is about.
    about: Vec<About>,
    /// [`Chores::never`] by their numbers, in order.
    never: BTreeSet<Vec<usize>>,
    travel: f32,
    home: [f32; 3],
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum About {
    /// Something that moves, by its number.
    Part(usize),
    /// The thing: from its middle to the middle of its handle, and to its lowest point, in meters.
    Thing { handle: f32, bottom: f32 },
    /// Nothing that is there.
    Nothing,
}

impl Housework {
    /// Its name in the table of tasks.
    pub const NAME: &'static str = "gripper/chores";

    /// Chores that are about nothing that is there show when the scene is built.
    pub fn new(chores: Chores) -> Self {
        let mut parts = Vec::new();
        let mut hinges = 0;
        for piece in &chores.piece {
            let Some(class) = class_of(&piece.class) else {
                continue;
            };
            let moving = parts_of(&class, piece.stands(&class), hinges);
            hinges += 1 + moving.len();
            parts.extend(moving);
        }
        let about = |chore: &Chore| {
            if let Some(part) = parts.iter().position(|part| part.name == chore.what) {
                return About::Part(part);
            }
            let thing = chores.thing.iter().find(|thing| thing.class == chore.what);
            let class = thing.and_then(|thing| class_of(&thing.class));
            class.map_or(About::Nothing, |class| {
                let half = 0.5 * class.size[2];
                About::Thing {
                    handle: half + BAR[1] + BAR[0] + ABOVE,
                    bottom: half,
                }
            })
        };
        let about: Vec<About> = chores.chore.iter().map(about).collect();
        // Where handles are at the start and in the end, and from where one comes to them.
        let places: Vec<[[f32; 3]; 3]> = about
            .iter()
            .zip(&chores.chore)
            .filter_map(|(about, chore)| match about {
                About::Part(part) => {
                    let part = &parts[*part];
                    let [from, to] = [chore.from, chore.to].map(|[low, high]| 0.5 * (low + high));
                    Some([
                        part.handle_at(0.0, from),
                        part.handle_at(0.0, to),
                        part.turned(OUTWARD, from),
                    ])
                }
                About::Thing { handle, bottom } => {
                    let thing = chores.thing.as_ref()?;
                    let up = |[x, y, z]: [f32; 3]| [x, y, z + handle + bottom];
                    Some([up(thing.at_m), up(thing.to_m), [0.0, 0.0, 1.0]])
                }
                About::Nothing => None,
            })
            .collect();
        let number = |what: &String| chores.chore.iter().position(|chore| chore.what == *what);
        let numbers = |names: &Vec<String>| {
            let numbers: BTreeSet<usize> = names.iter().filter_map(number).collect();
            numbers.into_iter().collect()
        };
        let never = chores.never.iter().map(numbers).collect();
        let heights = places.iter().flat_map(|[from, to, _]| [from[2], to[2]]);
        let highest = heights.fold(0.0, f32::max);
        let before = places.first().map_or([0.0, 0.0, 1.0], |[from, _, normal]| {
            let [x, y, z] = [0, 1, 2].map(|i| from[i] + 0.15 * normal[i]);
            [x, y, z + 0.15]
        });
        Self {
            travel: chores.travel_m.unwrap_or(highest + HOVER),
            home: chores.home_m.unwrap_or(before),
            parts,
            about,
            never,
            chores,
        }
    }

    fn n_wanted(&self) -> usize {
        self.chores
            .draw
            .map_or(self.about.len(), |n| n.min(self.about.len()))
    }

    /// What is wrong with the configuration.
    fn check(&self) -> Result<(), HandError> {
        let wrong = |field, value: String, expected| {
            Err(HandError::Config {
                field,
                value,
                expected,
            })
        };
        let chores = &self.chores;
        for piece in &chores.piece {
            if class_of(&piece.class).is_none_or(|class| !class.fixed) {
                let expected = "a class of furniture in the catalogue";
                return wrong("piece.class", format!("\"{}\"", piece.class), expected);
            }
        }
        if let Some(thing) = &chores.thing
            && class_of(&thing.class).is_none_or(|class| class.fixed)
        {
            let expected = "a class of things in the catalogue";
            return wrong("thing.class", format!("\"{}\"", thing.class), expected);
        }
        if chores.chore.is_empty() {
            return wrong("chore", "empty".to_owned(), "at least one");
        }
        for (chore, about) in chores.chore.iter().zip(&self.about) {
            if *about == About::Nothing {
                let expected = "a piece with a door, a drawer or a lid, what is on a piece (\"stove: left knob\"), or the thing";
                return wrong("chore.what", format!("\"{}\"", chore.what), expected);
            }
            let shares = chore.from.iter().chain(&chore.to);
            if let Some(share) = shares.copied().find(|x| !(0.0..=1.0).contains(x)) {
                let expected = "shares from 0 to 1";
                return wrong("chore.from and chore.to", share.to_string(), expected);
            }
        }
        if let Some(n) = chores.draw.filter(|n| !(1..=self.about.len()).contains(n)) {
            let expected = "from 1 to the number of chores";
            return wrong("draw", n.to_string(), expected);
        }
        let known = |what: &&String| chores.chore.iter().any(|chore| chore.what == **what);
        let mut names = chores.never.iter().flatten();
        if let Some(name) = names.find(|name| !known(name)) {
            return wrong(
                "never",
                format!("\"{name}\""),
                "lists of what chores are about",
            );
        }
        let wanted = self.n_wanted();
        let barred = self
            .never
            .iter()
            .filter(|list| list.len() == wanted)
            .count();
        if chores.draw.is_some() && barred >= binomial(self.about.len(), wanted) {
            let expected = "some chores to be left that can be drawn together";
            return wrong("never", format!("all choices of {wanted}"), expected);
        }
        Ok(())
    }

    /// How far a chore is from being done, as a share of its way, signed.
    fn missing(&self, seen: &Seen<'_>, chore: usize) -> f32 {
        match self.about[chore] {
            About::Part(part) => {
                let part = &self.parts[part];
                let place = seen.hinge_angles.get(part.hinges[1]).unwrap_or(&0.0);
                seen.target[chore] - place / part.way()
            }
            About::Thing { bottom, .. } => norm(&self.carry(seen, bottom)) / CARRY,
            About::Nothing => 0.0,
        }
    }

    /// From where the thing's lowest point is to where it shall be, in meters.
    fn carry(&self, seen: &Seen<'_>, bottom: f32) -> [f32; 3] {
        let to = self.chores.thing.as_ref().map_or([0.0; 3], |t| t.to_m);
        let at = seen.object_pose;
        let low = [0.0, 0.0, bottom];
        [0, 1, 2].map(|i| to[i] - at.get(i).unwrap_or(&0.0) + low[i])
    }

    /// What is to be done first of what is left, and how much that is.
    fn current(&self, seen: &Seen<'_>) -> (Option<usize>, usize) {
        let order = &seen.target[self.about.len()..];
        let open = |chore: &usize| self.missing(seen, *chore).abs() >= self.chores.near;
        let mut left = order.iter().map(|x| *x as usize).filter(open);
        let first = left.next();
        (first, left.count() + usize::from(first.is_some()))
    }
}

impl Task for Housework {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn say(&self) -> String {
        let say = |chore: &Chore| {
            let what = &chore.what;
            if self.chores.thing.iter().any(|t| t.class == *what) {
                format!("carry the {what}")
            } else if chore.to[0] + chore.to[1] > chore.from[0] + chore.from[1] {
                format!("open or turn on the {what}")
            } else {
                format!("close or turn off the {what}")
            }
        };
        let list: Vec<String> = self.chores.chore.iter().map(say).collect();
        let text = match self.chores.draw {
            Some(n) => format!("{n} of: {}.", list.join(", ")),
            None => format!("{}.", list.join(", then ")),
        };
        let (first, rest) = text.split_at(1);
        first.to_uppercase() + rest
    }

    fn goal(&self) -> String {
        format!(
            "all as far as is wanted, to {} of their ways",
            self.chores.near
        )
    }

    fn max_steps(&self) -> u32 {
        self.chores.max_steps
    }

    fn scene(&self, body: &Body) -> Result<Scene, HandError> {
        require(self.name(), body, &[("z", 0.0), ("left", 0.0)])?;
        self.check()?;
        let mut scene = empty_scene(body);
        let mut names = BTreeMap::new();
        for piece in &self.chores.piece {
            let Some(class) = class_of(&piece.class) else {
                continue;
            };
            // Two pieces of one class: what moves belongs to the first.
            let number = names.entry(class.name.clone()).or_insert(0_usize);
            *number += 1;
            add_piece(&mut scene.model, &class, piece.stands(&class), *number);
        }
        let thing_class = self.chores.thing.as_ref();
        if let Some(class) = thing_class.and_then(|thing| class_of(&thing.class)) {
            scene.objects.push(with_handle(&class));
        }
        Ok(scene)
    }

    fn n_target(&self, _: &Setting) -> usize {
        self.about.len() + self.n_wanted()
    }

    fn n_error(&self, _: &Setting) -> usize {
        9
    }

    fn standing(&self, setting: &Setting) -> WorldState {
        let [x, y, z] = self.home;
        // The fingers' tips are 8 cm below the palm.
        let pose = [
            ("x", x),
            ("y", y),
            ("z", z + 0.08),
            ("left", 0.05),
            ("right", 0.05),
        ];
        let thing = self.chores.thing.as_ref();
        let object = thing.map(|thing| {
            let half = class_of(&thing.class).map_or(0.05, |class| 0.5 * class.size[2]);
            let [x, y, z] = thing.at_m;
            resting([x, y, z + half], STRAIGHT)
        });
        at_rest(setting, &pose, object.into_iter().collect())
    }

    fn draw(
        &self,
        setting: &Setting,
        rng: &mut ChaCha8Rng,
        start: &mut WorldState,
        target: &mut [f32],
    ) {
        let mut within = |range| within(range, rng);
        let chores = &self.chores;
        let (gripper, hinges) = start.qpos.split_at_mut(setting.n_joints);
        for x in &mut gripper[..3] {
            *x += within([-chores.start_m, chores.start_m]);
        }
        let mut at = 0;
        for piece in &chores.piece {
            hinges[at] = within([-piece.aside_m, piece.aside_m]);
            at += 1 + self
                .parts
                .iter()
                .filter(|part| part.hinges[0] == at)
                .count();
        }
        for ((chore, about), to) in chores.chore.iter().zip(&self.about).zip(&mut *target) {
            let (from, wanted) = (within(chore.from), within(chore.to));
            *to = wanted;
            if let About::Part(part) = about {
                let part = &self.parts[*part];
                hinges[part.hinges[1]] = from * part.way();
            }
        }
        if let (Some(thing), Some(object)) = (&chores.thing, start.objects.first_mut()) {
            for x in &mut object.pos[..2] {
                *x += within([-thing.aside_m, thing.aside_m]);
            }
        }
        let mut order: Vec<usize> = (0..self.about.len()).collect();
        let wanted = self.n_wanted();
        if chores.draw.is_some() {
            loop {
                for i in 0..wanted {
                    let j = i + (rng.random::<u32>() as usize) % (order.len() - i);
                    order.swap(i, j);
                }
                let mut drawn = order[..wanted].to_vec();
                drawn.sort_unstable();
                if !self.never.contains(&drawn) {
                    break;
                }
            }
        }
        for (to, chore) in target[self.about.len()..].iter_mut().zip(order) {
            *to = chore as f32;
        }
    }

    fn error(&self, seen: &Seen<'_>, error: &mut [f32]) {
        error.fill(0.0);
        let middle = [0, 1, 2].map(|i| 0.5 * (seen.fingertips[i] + seen.fingertips[3 + i]));
        let (current, left) = self.current(seen);
        error[7] = left as f32;
        error[8] = self.travel - middle[2];
        let Some(chore) = current else {
            return;
        };
        error[0] = self.missing(seen, chore);
        let (at, way) = match self.about[chore] {
            About::Part(part) => {
                let part = &self.parts[part];
                let [aside, place] = part.hinges.map(|i| seen.hinge_angles[i]);
                let share = place / part.way();
                let way = part.path(share, share + error[0]);
                (part.handle_at(aside, share), way)
            }
            About::Thing { handle, bottom } => {
                let [x, y, z, w, i, j, k] = *seen.object_pose else {
                    return;
                };
                let mut way = self.carry(seen, bottom);
                if way[0].hypot(way[1]) > 0.02 {
                    way[2] += LIFT[0];
                    if way[2] > LIFT[1] {
                        way = [0.0, 0.0, way[2]];
                    }
                }
                // It may lean.
                let up = [
                    2.0 * (i * k + w * j),
                    2.0 * (j * k - w * i),
                    1.0 - 2.0 * (i * i + j * j),
                ];
                let [u, v, t] = up.map(|e| handle * e);
                ([x + u, y + v, z + t], way)
            }
            About::Nothing => return,
        };
        for i in 0..3 {
            error[1 + i] = at[i] - middle[i];
            error[4 + i] = way[i];
        }
    }

    fn terms(&self) -> &'static [&'static str] {
        &["left", "front", "reach", "success"]
    }

    fn judge(&self, seen: &Seen<'_>, terms: &mut [f32]) -> Verdict {
        let left = seen.error[7];
        let success = left == 0.0;
        let reach = norm(&seen.error[1..4]);
        terms.copy_from_slice(&[-left, -seen.error[0].abs(), -reach, whether(success)]);
        Verdict {
            success,
            terminated: success,
        }
    }

    fn parts(&self, seen: &Seen<'_>) -> Option<[usize; 2]> {
        let wanted = self.n_wanted();
        (wanted > 1).then(|| [wanted, self.current(seen).1])
    }

    /// Where the handle of what is to be done now shall be.
    fn mark(&self, seen: &Seen<'_>) -> Option<[f32; 3]> {
        let chore = self.current(seen).0?;
        match self.about[chore] {
            About::Part(part) => {
                let part = &self.parts[part];
                let aside = seen.hinge_angles.get(part.hinges[0])?;
                Some(part.handle_at(*aside, seen.target[chore]))
            }
            About::Thing { .. } => self.chores.thing.as_ref().map(|thing| thing.to_m),
            About::Nothing => None,
        }
    }

    fn view(&self) -> View {
        if self.chores.piece.len() > 1 {
            return View {
                from: [1.9, -0.3, 1.9],
                to: [-0.35, 0.05, 0.8],
                fovy: 0.95,
                // On the stove and the cabinet.
                ground: 0.92,
            };
        }
        let [x, y, z] = self.home;
        View {
            from: [x + 0.85, y - 0.55, z + 0.45],
            to: [x - 0.1, y + 0.05, z - 0.12],
            fovy: 0.8,
            ground: z - 0.22,
        }
    }
}

/// How many choices of `k` of `n` there are.
fn binomial(n: usize, k: usize) -> usize {
    (0..k).fold(1, |product, i| product.saturating_mul(n - i) / (i + 1))
}

/// A thing of a class with an upright bar on its top.
fn with_handle(class: &Class) -> Object {
    let mut object = thing(class);
    let [radius, half, _] = BAR.map(f64::from);
    let height = 0.5 * f64::from(class.size[2]) + half + radius;
    let friction = [1.5, 0.01, 0.0001];
    object.shapes.push(Primitive {
        contact: Contact {
            friction,
            dimensions: 6,
            ..Contact::default()
        },
        ..Primitive::new(ShapeKind::Capsule, [radius, half, 0.0]).at([0.0, 0.0, height])
    });
    object
}

/// Adds a piece of furniture to a model: a body that stays where it is put along its width, and one for each part that moves.
fn add_piece(model: &mut Model, class: &Class, stands: [f32; 3], number: usize) {
    let piece = match number {
        1 => class.name.clone(),
        _ => format!("{} {number}", class.name),
    };
    let light = |mass: f64| Inertial {
        mass,
        com: [0.0; 3],
        inertia: [1e-4 * mass, 1e-4 * mass, 1e-4 * mass, 0.0, 0.0, 0.0],
    };
    let joint = |body: &str, kind, axis: [f64; 3], limit| Joint {
        name: body.to_owned(),
        body: body.to_owned(),
        kind,
        axis,
        anchor: [0.0; 3],
        limit,
        limit_solref: usual_solref(),
        limit_solimp: usual_solimp(),
        damping: 0.0,
        armature: 0.0,
    };
    model.body.push(Link {
        name: piece.clone(),
        parent: "world".to_owned(),
        pos: stands.map(f64::from),
        quat: [1.0, 0.0, 0.0, 0.0],
        inertial: Some(light(f64::from(class.mass))),
    });
    model.joint.push(Joint {
        damping: FAST[1],
        armature: FAST[0],
        ..joint(&piece, JointKind::Slide, [0.0, 1.0, 0.0], None)
    });
    let shape = |body: &str, kind: ShapeKind, size: &[f64], pos, quat, group| Shape {
        name: String::new(),
        body: body.to_owned(),
        kind,
        size: size[..kind.numbers()].to_vec(),
        pos,
        quat,
        contact: Some(Contact {
            group,
            mask: 1,
            ..Contact::default()
        }),
    };
    // A solid of the class, on a body with its origin elsewhere in the class frame.
    let placed = |solid: &ClassPart, body: &str, origin: [f32; 3], group| {
        let solid = primitive(solid, 0.0);
        let pos = [0, 1, 2].map(|i| solid.pos[i] - f64::from(origin[i]));
        shape(body, solid.kind, &solid.size, pos, solid.quat, group)
    };
    let solids = solids(class, 0.0);
    let still = solids.iter().filter(|solid| !solid.moves);
    model
        .shape
        .extend(still.map(|solid| placed(solid, &piece, [0.0; 3], FURNITURE)));
    for part in parts_of(class, stands, 0) {
        let body = match number {
            1 => format!("{} part", part.name),
            _ => format!("{} {number} part", part.name),
        };
        // Its body has its origin on the hinge; what it weighs is armature: it stays where it is let go.
        let arc = f64::from(part.arc() / part.way());
        let mass = if part.front {
            FRONT_MASS * f64::from(class.mass)
        } else {
            0.2
        };
        let (kind, axis, origin) = match part.motion {
            Motion::Hinge { origin, axis, .. } => (JointKind::Hinge, axis, origin),
            Motion::Slide { by } => {
                let length = norm(&by);
                (JointKind::Slide, by.map(|x| x / length), [0.0; 3])
            }
        };
        let arm = match kind {
            JointKind::Hinge => arc * arc,
            JointKind::Slide => 1.0,
        };
        model.body.push(Link {
            name: body.clone(),
            parent: piece.clone(),
            pos: origin.map(f64::from),
            quat: [1.0, 0.0, 0.0, 0.0],
            inertial: Some(light(1e-4)),
        });
        let limit = Some([0.0, f64::from(part.way())]);
        model.joint.push(Joint {
            damping: 20.0 * arm,
            armature: mass * arm / 3.0,
            ..joint(&body, kind, axis.map(f64::from), limit)
        });
        let moving = solids.iter().filter(|solid| part.front && solid.moves);
        model
            .shape
            .extend(moving.map(|solid| placed(solid, &body, origin, LEAF)));
        let [radius, half, _] = BAR.map(f64::from);
        let quat = if part.upright {
            [1.0, 0.0, 0.0, 0.0]
        } else {
            // z to x.
            let s = std::f64::consts::FRAC_1_SQRT_2;
            [s, 0.0, s, 0.0]
        };
        let mut at = [0, 1, 2].map(|i| f64::from(part.handle[i]) - f64::from(origin[i]));
        if part.upright {
            at[2] -= f64::from(ABOVE);
        }
        let mut bar = shape(&body, ShapeKind::Capsule, &[radius, half], at, quat, LEAF);
        if let Some(contact) = &mut bar.contact {
            contact.friction = [1.5, 0.01, 0.0001];
        }
        model.shape.push(bar);
    }
}
