//! From a document to what is drawn.
//!
//! Rooms, doors and what has a point are drawn as the document has them now; what lies on or in others, as it was drawn for
//! the preview, carried along with what it lies on. What cannot be understood gets a placeholder.

use std::collections::BTreeMap;
use std::f32::consts::FRAC_PI_2;
use std::sync::LazyLock;

use sim::catalogue::{Catalogue, Class};
use sim::household;
use sim::scenario::types::HandModel;
use sim::scenario::{Instance, WALL_THICKNESS};
use sim::world::solids;

use crate::editor::ViewSettings;
use crate::figure;
use crate::home::{Agent, Door, Home, Object, Place, edges};
use crate::picture::form_of;
use crate::scene::{Form, ItemId, Kind, Piece, Scene, Solid, Table};

/// Height of a doorway (meters).
const DOOR_HEIGHT: f32 = 2.0;
/// Thickness of a door leaf (meters).
const LEAF: f32 = 0.04;
const FLOOR: f32 = 0.02;
const UPRIGHT: [f32; 4] = [0.0, 0.0, 0.0, 1.0];
pub(crate) const WALL_COLOR: [f32; 3] = [0.90, 0.89, 0.86];
pub(crate) const DOOR_COLOR: [f32; 3] = [0.70, 0.52, 0.35];
const PLACEHOLDER_COLOR: [f32; 3] = [0.90, 0.20, 0.75];
/// Side of the box that stands for an unknown class (meters).
const PLACEHOLDER: f32 = 0.3;
/// Floors take these in turn: wood, tiles, carpet, stone.
pub(crate) const FLOOR_COLORS: [[f32; 3]; 6] = [
    [0.76, 0.66, 0.53],
    [0.64, 0.70, 0.72],
    [0.70, 0.68, 0.60],
    [0.62, 0.66, 0.58],
    [0.74, 0.62, 0.58],
    [0.66, 0.63, 0.70],
];

/// Where an object is: the origin of its class frame in meters, and its rotation about z in radians.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Stand {
    /// Meters.
    pub position: [f32; 3],
    /// Radians.
    pub yaw: f32,
}

/// What was drawn for an episode, kept so that it can follow the document.
#[derive(Clone, Debug, Default)]
pub struct Preview {
    /// The drawn objects of each entry, by its title.
    drawn: BTreeMap<String, Vec<Drawn>>,
    /// Where a person put things, by their titles.
    pinned: BTreeMap<String, Drawn>,
    walker: Option<Stand>,
    /// Of a hand's task: the hand and what is around it.
    hand: Vec<Piece>,
    seed: u64,
}

#[derive(Clone, Debug)]
struct Drawn {
    place: Option<Place>,
    /// Against what it lies on or in.
    local: Stand,
}

impl Preview {
    /// Takes an instance of the scenario that `home` was read from.
    pub fn new(home: &Home, instance: &Instance, seed: u64) -> Self {
        let stand = |id: household::EntityId| {
            let pose = instance.layout.poses[usize::from(id.0)];
            Stand {
                position: pose.position,
                yaw: pose.yaw,
            }
        };
        let mut drawn: BTreeMap<String, Vec<Drawn>> = BTreeMap::new();
        for (id, entry) in instance.house.ids().zip(&instance.layout.entries) {
            let Some(object) = entry.and_then(|e| home.objects.get(e)) else {
                continue;
            };
            let own = stand(id);
            let title = |id: household::EntityId| {
                let entry = instance.layout.entries[usize::from(id.0)];
                entry
                    .and_then(|e| home.objects.get(e))
                    .map(|o| o.title.clone())
            };
            let (place, local) = match instance.start.place(id) {
                household::Place::On(support) => {
                    (title(support).map(Place::On), own.within(&stand(support)))
                }
                household::Place::Inside(support) => (
                    title(support).map(Place::Inside),
                    own.within(&stand(support)),
                ),
                _ => (None, own),
            };
            let list = drawn.entry(object.title.clone()).or_default();
            list.push(Drawn { place, local });
        }
        Self {
            drawn,
            pinned: BTreeMap::new(),
            walker: Some(stand(instance.house.agent())),
            hand: Vec::new(),
            seed,
        }
    }

    /// Takes the start of a hand's task.
    pub fn of_hand(scene: Scene, seed: u64) -> Self {
        Self {
            hand: scene.pieces,
            seed,
            ..Self::default()
        }
    }

    /// The seed that it was drawn with.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The first object of an entry stays at a place, until everything is drawn anew.
    pub fn pin(&mut self, title: &str, place: Place, local: Stand) {
        let place = Some(place);
        self.pinned.insert(title.to_owned(), Drawn { place, local });
    }

    /// Everything is where it was drawn.
    pub fn unpin(&mut self) {
        self.pinned.clear();
    }

    /// Takes over what a person put somewhere.
    pub fn keep_pins(&mut self, old: Self) {
        self.pinned = old.pinned;
    }

    /// What has a new name is still where it was.
    pub fn rename(&mut self, from: &str, to: &str) {
        if let Some(list) = self.drawn.remove(from) {
            self.drawn.insert(to.to_owned(), list);
        }
        if let Some(pin) = self.pinned.remove(from) {
            self.pinned.insert(to.to_owned(), pin);
        }
        let all = self.drawn.values_mut().flatten();
        for drawn in all.chain(self.pinned.values_mut()) {
            if let Some(Place::On(name) | Place::Inside(name)) = &mut drawn.place
                && name == from
            {
                to.clone_into(name);
            }
        }
    }
}

impl Stand {
    /// A point of its frame in the world.
    pub fn point(&self, [x, y, z]: [f32; 3]) -> [f32; 3] {
        let (sin, cos) = self.yaw.sin_cos();
        [
            self.position[0] + cos * x - sin * y,
            self.position[1] + sin * x + cos * y,
            self.position[2] + z,
        ]
    }

    /// Where something is that is `local` in its frame.
    pub fn carry(&self, local: &Self) -> Self {
        Self {
            position: self.point(local.position),
            yaw: self.yaw + local.yaw,
        }
    }

    /// The same place, seen from another's frame.
    pub fn within(&self, frame: &Self) -> Self {
        let (sin, cos) = (-frame.yaw).sin_cos();
        let [x, y, z] = [0, 1, 2].map(|i| self.position[i] - frame.position[i]);
        Self {
            position: [cos * x - sin * y, sin * x + cos * y, z],
            yaw: self.yaw - frame.yaw,
        }
    }

    fn rotation(&self) -> [f32; 4] {
        let (sin, cos) = (0.5 * self.yaw).sin_cos();
        [0.0, 0.0, sin, cos]
    }
}

/// Everything to draw of a home.
pub fn project(home: &Home, preview: &Preview, view: &ViewSettings) -> Scene {
    let mut scene = Scene::default();
    rooms(home, view, &mut scene.pieces);
    doors(home, &mut scene.pieces);
    let stands = Stands::new(home, preview);
    for index in 0..home.objects.len() {
        objects(home, &stands, view, index, &mut scene.pieces);
    }
    agents(home, preview, &mut scene.pieces);
    scene.pieces.extend(preview.hand.iter().cloned());
    scene
}

/// Where the first object of each entry is, and how many of them.
pub struct Stands<'a> {
    home: &'a Home,
    preview: &'a Preview,
    known: Vec<Option<Stand>>,
}

impl<'a> Stands<'a> {
    /// Finds out where everything is.
    pub fn new(home: &'a Home, preview: &'a Preview) -> Self {
        let mut stands = Self {
            home,
            preview,
            known: vec![None; home.objects.len()],
        };
        for index in 0..home.objects.len() {
            stands.find(index, 0);
        }
        stands
    }

    /// Where the first object of an entry is.
    pub fn of(&self, index: usize) -> Stand {
        self.known.get(index).copied().flatten().unwrap_or_default()
    }

    /// Things that lie on each other in a circle lie on the floor.
    fn find(&mut self, index: usize, depth: usize) -> Stand {
        if let Some(known) = self.known[index] {
            return known;
        }
        let object = &self.home.objects[index];
        let place = self.drawn(object, 0).and_then(|d| d.place.clone());
        let place = place.or_else(|| object.places.first().cloned());
        if let Some(Place::On(name) | Place::Inside(name)) = &place
            && let Some(support) = self.home.find(name)
            && support != index
            && depth < 16
        {
            self.find(support, depth + 1);
        }
        let stand = self.stand(index, 0, place.as_ref());
        self.known[index] = Some(stand);
        stand
    }

    fn drawn(&self, object: &Object, number: usize) -> Option<&'a Drawn> {
        let fits = |drawn: &&Drawn| match &drawn.place {
            Some(place) => object.places.contains(place),
            None => false,
        };
        let pinned = self.preview.pinned.get(&object.title);
        if let Some(pinned) = pinned.filter(|_| number == 0).filter(fits) {
            return Some(pinned);
        }
        let drawn = self.preview.drawn.get(&object.title)?.get(number)?;
        Some(drawn).filter(fits)
    }

    /// Where one of an entry's objects is, at a place; its supports are known.
    fn stand(&self, index: usize, number: usize, place: Option<&Place>) -> Stand {
        let object = &self.home.objects[index];
        let yaw = object.yaw_deg.to_radians();
        match place {
            Some(Place::At([x, y])) => Stand {
                // Several objects of one point would hide each other.
                position: [*x + 0.3 * number as f32, *y, object.z],
                yaw,
            },
            Some(place @ (Place::On(name) | Place::Inside(name))) => {
                let Some(support) = self.home.find(name) else {
                    return self.nowhere(object, index);
                };
                let base = self.of(support);
                if let Some(drawn) = self.drawn(object, number)
                    && drawn.place.as_ref() == Some(place)
                {
                    return base.carry(&drawn.local);
                }
                let inside = matches!(place, Place::Inside(_));
                let class = self.home.class(&self.home.objects[support]);
                base.carry(&on_surface(class, inside, index + 7 * number))
            }
            None => self.nowhere(object, index),
        }
    }

    /// In the middle of its room, or beside the home.
    fn nowhere(&self, object: &Object, index: usize) -> Stand {
        let named = object.room.as_ref();
        let room = named.and_then(|name| self.home.rooms.iter().find(|r| r.name == *name));
        let corners = room.map_or(&[][..], |r| &r.corners);
        let middle = |axis: usize| {
            let sum: f32 = corners.iter().map(|c| c[axis]).sum();
            sum / corners.len() as f32
        };
        let position = if corners.is_empty() {
            [
                -1.0 - 0.6 * (index / 12) as f32,
                0.6 * (index % 12) as f32,
                0.0,
            ]
        } else {
            [middle(0), middle(1), 0.0]
        };
        Stand {
            position,
            yaw: object.yaw_deg.to_radians(),
        }
    }
}

/// Somewhere on the first surface, so that neighbors in the file do not lie in one another.
fn on_surface(class: Option<&Class>, inside: bool, number: usize) -> Stand {
    let surface = class.and_then(|c| c.surfaces().into_iter().find(|s| s.inside == inside));
    let Some(surface) = surface else {
        let top = class.map_or(PLACEHOLDER, |c| c.size[2]);
        return Stand {
            position: [0.0, 0.0, if inside { 0.0 } else { top }],
            yaw: 0.0,
        };
    };
    // Turned by the golden angle from one to the next, points fill an ellipse evenly.
    let turn = 2.399_963 * number as f32;
    let out = 0.6 * ((number % 8) as f32 / 8.0).sqrt();
    let (sin, cos) = turn.sin_cos();
    Stand {
        position: [
            surface.center[0] + out * cos * surface.half[0],
            surface.center[1] + out * sin * surface.half[1],
            surface.z,
        ],
        yaw: 0.0,
    }
}

fn objects(
    home: &Home,
    stands: &Stands<'_>,
    view: &ViewSettings,
    index: usize,
    pieces: &mut Vec<Piece>,
) {
    let object = &home.objects[index];
    let item = ItemId {
        table: Table::Object,
        index,
    };
    let (kind, color, form) = match home.catalogue.find(&object.class) {
        Some(id) => {
            let class = home.catalogue.class(id);
            let kind = if class.fixed {
                Kind::Furniture
            } else {
                Kind::Thing
            };
            let form = &FORMS[usize::from(id.0)][usize::from(object.open)];
            (kind, class.color, form.as_slice())
        }
        None => (Kind::Placeholder, PLACEHOLDER_COLOR, PLACEHOLDER_FORM),
    };
    let mut part = 0;
    let mut push = |kind, stand: Stand| {
        pieces.push(Piece {
            item,
            part,
            name: object.title.clone(),
            kind,
            position: stand.position,
            rotation: stand.rotation(),
            solids: form.to_vec(),
            color,
        });
        part += 1;
    };
    let list = stands.preview.drawn.get(&object.title);
    let drawn = list.map_or(1, Vec::len);
    let sure = drawn.min(object.count[1] as usize).max(1);
    push(kind, stands.of(index));
    let mut taken = vec![
        stands
            .drawn(object, 0)
            .and_then(|d| d.place.as_ref())
            .or(object.places.first()),
    ];
    for number in 1..sure {
        let place = stands.drawn(object, number).and_then(|d| d.place.as_ref());
        let place = place.or(object.places.first());
        push(kind, stands.stand(index, number, place));
        taken.push(place);
    }
    if !view.ghosts {
        return;
    }
    // Objects that other episodes have, and places where they have them.
    for number in sure..object.count[1] as usize {
        push(
            Kind::Ghost,
            stands.stand(index, number, object.places.first()),
        );
    }
    for (i, place) in object.places.iter().enumerate() {
        if !taken.contains(&Some(place)) {
            let alternative = match place {
                Place::On(name) | Place::Inside(name) => home.find(name).map(|support| {
                    let inside = matches!(place, Place::Inside(_));
                    let class = home.class(&home.objects[support]);
                    stands
                        .of(support)
                        .carry(&on_surface(class, inside, index + i))
                }),
                Place::At(_) => None,
            };
            if let Some(stand) = alternative {
                push(Kind::Ghost, stand);
            }
        }
    }
}

const PLACEHOLDER_FORM: &[Solid] = &[Solid {
    form: Form::Box([0.5 * PLACEHOLDER; 3]),
    center: [0.0, 0.0, 0.5 * PLACEHOLDER],
    rotation: UPRIGHT,
}];

/// Solids of every class of the catalogue, closed and open.
static FORMS: LazyLock<Vec<[Vec<Solid>; 2]>> = LazyLock::new(|| {
    let catalogue = Catalogue::standard();
    let form = |class: &Class, openness| class_solids(class, openness);
    let both = |class| [form(class, 0.0), form(class, 1.0)];
    catalogue.classes().map(|(_, class)| both(class)).collect()
});

/// What a class looks like, in its own frame, with its front from 0 (closed) to 1 (open).
pub fn class_solids(class: &Class, openness: f32) -> Vec<Solid> {
    let solid = |part: sim::world::ClassPart| Solid {
        form: form_of(part.form),
        center: part.position,
        rotation: part.rotation,
    };
    solids(class, openness).into_iter().map(solid).collect()
}

fn agents(home: &Home, preview: &Preview, pieces: &mut Vec<Piece>) {
    for (index, agent) in home.agents.iter().enumerate() {
        let item = ItemId {
            table: Table::Agent,
            index,
        };
        match agent {
            Agent::Walker { room, at } => {
                let room = home.rooms.iter().find(|r| r.name == *room);
                let drawn = preview.walker.filter(|stand| {
                    let [x, y, _] = stand.position;
                    room.is_none_or(|r| crate::home::contains(&r.corners, [x, y]))
                });
                let middle = room.map_or([0.0; 2], |r| middle(&r.corners));
                let stand = match (at, drawn) {
                    (Some([x, y]), drawn) => Stand {
                        position: [*x, *y, 0.0],
                        yaw: drawn.map_or(0.0, |d| d.yaw),
                    },
                    (None, Some(drawn)) => drawn,
                    (None, None) => Stand {
                        position: [middle[0], middle[1], 0.0],
                        yaw: 0.0,
                    },
                };
                pieces.push(Piece {
                    item,
                    part: 0,
                    name: "walker".to_owned(),
                    kind: Kind::Agent,
                    position: stand.position,
                    rotation: stand.rotation(),
                    solids: figure::walker(),
                    color: figure::WALKER_COLOR,
                });
            }
            Agent::Hand { at, yaw_deg, model } => {
                let model = if model == "robot" {
                    HandModel::Robot
                } else {
                    HandModel::Myohand
                };
                let at = at.unwrap_or([0.0, 0.0, 1.0]);
                pieces.extend(figure::hand(item, model, at, yaw_deg.to_radians(), None));
            }
            Agent::Other => {}
        }
    }
}

fn middle(corners: &[[f32; 2]]) -> [f32; 2] {
    let [low, high] = bounds(corners);
    [0, 1].map(|i| 0.5 * (low[i] + high[i]))
}

fn bounds(corners: &[[f32; 2]]) -> [[f32; 2]; 2] {
    let mut bounds = [[f32::INFINITY; 2], [f32::NEG_INFINITY; 2]];
    for corner in corners {
        for axis in 0..2 {
            bounds[0][axis] = bounds[0][axis].min(corner[axis]);
            bounds[1][axis] = bounds[1][axis].max(corner[axis]);
        }
    }
    bounds
}

fn block(low: [f32; 3], high: [f32; 3]) -> Solid {
    Solid {
        form: Form::Box([0, 1, 2].map(|i| 0.5 * (high[i] - low[i]).abs())),
        center: [0, 1, 2].map(|i| 0.5 * (low[i] + high[i])),
        rotation: UPRIGHT,
    }
}

/// Floors and walls, and ceilings if they are shown. A stretch of wall that two rooms share is drawn once.
fn rooms(home: &Home, view: &ViewSettings, pieces: &mut Vec<Piece>) {
    let mut walls: Vec<Wall> = Vec::new();
    for (index, room) in home.rooms.iter().enumerate() {
        if room.corners.len() < 3 {
            continue;
        }
        let item = ItemId {
            table: Table::Room,
            index,
        };
        let [x, y] = middle(&room.corners);
        let piece = |part, kind, position, solids, color| Piece {
            item,
            part,
            name: room.name.clone(),
            kind,
            position,
            rotation: UPRIGHT,
            solids,
            color,
        };
        let rectangles = rectangles(&room.corners);
        let slab = |[low, high]: &[[f32; 2]; 2]| {
            block(
                [low[0] - x, low[1] - y, -FLOOR],
                [high[0] - x, high[1] - y, 0.0],
            )
        };
        let color = FLOOR_COLORS[index % FLOOR_COLORS.len()];
        let floor: Vec<Solid> = rectangles.iter().map(slab).collect();
        pieces.push(piece(0, Kind::Floor, [x, y, 0.0], floor.clone(), color));
        for (edge, (from, to)) in edges(&room.corners).enumerate() {
            let Some(wall) = Wall::new(from, to) else {
                continue;
            };
            let solids = wall_solids(home, &wall, &walls, room.height);
            let middle = [0.5 * (from[0] + to[0]), 0.5 * (from[1] + to[1]), 0.0];
            walls.push(wall);
            if !solids.is_empty() {
                let mut wall = piece(1 + edge, Kind::Wall, middle, solids, WALL_COLOR);
                for solid in &mut wall.solids {
                    solid.center[0] -= middle[0];
                    solid.center[1] -= middle[1];
                }
                pieces.push(wall);
            }
        }
        if view.ceiling {
            let part = 1 + room.corners.len();
            let at = [x, y, room.height + FLOOR];
            pieces.push(piece(part, Kind::Wall, at, floor, WALL_COLOR));
        }
    }
}

/// A stretch of wall along an axis.
struct Wall {
    along_x: bool,
    /// Its y if it runs along x, else its x.
    line: f32,
    from: f32,
    to: f32,
}

impl Wall {
    fn new(a: [f32; 2], b: [f32; 2]) -> Option<Self> {
        let along_x = (a[0] - b[0]).abs() > (a[1] - b[1]).abs();
        let axis = usize::from(!along_x);
        let (from, to) = (a[axis].min(b[axis]), a[axis].max(b[axis]));
        let line = 0.5 * (a[1 - axis] + b[1 - axis]);
        (to - from > 1e-3).then_some(Self {
            along_x,
            line,
            from,
            to,
        })
    }

    fn same_line(&self, other: &Self) -> bool {
        self.along_x == other.along_x && (self.line - other.line).abs() < 0.01
    }
}

/// What is left of a wall where others are already, with doorways cut out up to their lintels.
fn wall_solids(home: &Home, wall: &Wall, before: &[Wall], height: f32) -> Vec<Solid> {
    let mut left = vec![[wall.from, wall.to]];
    for other in before.iter().filter(|w| w.same_line(wall)) {
        left = without(&left, [other.from, other.to]);
    }
    let openings: Vec<[f32; 2]> = home.doors.iter().filter_map(|d| opening(d, wall)).collect();
    let half = 0.5 * WALL_THICKNESS;
    let solid = |[from, to]: [f32; 2], low: f32, high: f32| {
        let (a, b) = (wall.line - half, wall.line + half);
        if wall.along_x {
            block([from, a, low], [to, b, high])
        } else {
            block([a, from, low], [b, to, high])
        }
    };
    let mut solids = Vec::new();
    for stretch in left {
        let mut closed = vec![stretch];
        for open in &openings {
            closed = without(&closed, *open);
            let lintel = [open[0].max(stretch[0]), open[1].min(stretch[1])];
            if lintel[1] - lintel[0] > 1e-3 && height > DOOR_HEIGHT {
                solids.push(solid(lintel, DOOR_HEIGHT, height));
            }
        }
        for [from, to] in closed {
            // Corners are closed by both walls.
            let from = if from == wall.from { from - half } else { from };
            let to = if to == wall.to { to + half } else { to };
            solids.push(solid([from, to], 0.0, height));
        }
    }
    solids
}

fn without(stretches: &[[f32; 2]], hole: [f32; 2]) -> Vec<[f32; 2]> {
    let sides = |[from, to]: &[f32; 2]| [[*from, to.min(hole[0])], [from.max(hole[1]), *to]];
    let left = stretches.iter().flat_map(sides);
    left.filter(|[from, to]| to - from > 1e-3).collect()
}

fn opening(door: &Door, wall: &Wall) -> Option<[f32; 2]> {
    let [x, y] = door.at?;
    let (line, along) = if wall.along_x { (y, x) } else { (x, y) };
    let inside = along > wall.from && along < wall.to;
    let here = (line - wall.line).abs() <= 0.5 * WALL_THICKNESS && inside;
    here.then_some([along - 0.5 * door.width, along + 0.5 * door.width])
}

fn doors(home: &Home, pieces: &mut Vec<Piece>) {
    for (index, door) in home.doors.iter().enumerate() {
        let Some(at) = door.at else {
            continue;
        };
        let along_x = home.rooms.iter().any(|room| {
            edges(&room.corners).any(|(a, b)| {
                Wall::new(a, b).is_some_and(|w| w.along_x && opening(door, &w).is_some())
            })
        });
        let half = 0.5 * door.width - 0.01;
        let leaf = Solid {
            form: Form::Box([half, 0.5 * LEAF, 0.5 * DOOR_HEIGHT - 0.01]),
            center: [half, 0.0, 0.5 * DOOR_HEIGHT],
            rotation: UPRIGHT,
        };
        let wall = if along_x { 0.0 } else { FRAC_PI_2 };
        let swing = if door.open { FRAC_PI_2 } else { 0.0 };
        let frame = Stand {
            position: [at[0], at[1], 0.0],
            yaw: wall,
        };
        let hinge = Stand {
            position: frame.point([-half, 0.0, 0.0]),
            yaw: wall + swing,
        };
        pieces.push(Piece {
            item: ItemId {
                table: Table::Door,
                index,
            },
            part: 0,
            name: door.title.clone(),
            kind: Kind::Door,
            position: hinge.position,
            rotation: hinge.rotation(),
            solids: vec![leaf],
            color: DOOR_COLOR,
        });
    }
}

/// Rectangles that cover an outline with edges along the axes: between neighboring coordinates nothing changes.
fn rectangles(corners: &[[f32; 2]]) -> Vec<[[f32; 2]; 2]> {
    let [low, high] = bounds(corners);
    if corners.len() == 4 {
        return vec![[low, high]];
    }
    let values = |axis: usize| {
        let mut values: Vec<f32> = corners.iter().map(|c| c[axis]).collect();
        values.sort_by(f32::total_cmp);
        values.dedup();
        values
    };
    let (xs, ys) = (values(0), values(1));
    let mut found = Vec::new();
    for x in xs.windows(2) {
        let mut start = None;
        for y in ys.windows(2) {
            let middle = [0.5 * (x[0] + x[1]), 0.5 * (y[0] + y[1])];
            match (crate::home::contains(corners, middle), start) {
                (true, None) => start = Some(y[0]),
                (false, Some(from)) => {
                    found.push([[x[0], from], [x[1], y[0]]]);
                    start = None;
                }
                _ => {}
            }
        }
        if let (Some(from), Some(last)) = (start, ys.last()) {
            found.push([[x[0], from], [x[1], *last]]);
        }
    }
    found
}
