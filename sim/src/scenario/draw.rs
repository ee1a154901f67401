//! The draws of one episode: how many, where, and which way they lie.

use std::sync::Arc;

use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;

use super::check::{AGENT, Checked, Entry, Place, Span, doorway, numbered};
use super::geometry::{Block, bounds, contains, walls};
use super::{
    DoorShape, Instance, Layout, Pose, RoomShape, WALKER_HEIGHT, WALKER_RADIUS, WALL_THICKNESS,
};
use crate::catalogue::{Class, DRAWER_TRAVEL, Front, Property, Shape, Surface};
use crate::household::{self, Entity, EntityId, House, HouseGraph, Kind, State, StateSet};

/// Things are put this far above the surface they then settle on.
const LIFT: f32 = 1e-3;
/// Things keep this distance from each other and from the edge.
const GAP: f32 = 0.01;
/// Loose things lie up to this much askew (radians).
const ASKEW: f32 = 0.2;
/// So often an episode is drawn before it is said to be too full.
const ATTEMPTS: usize = 20;
/// So many random spots are tried before all spots are looked at.
const TRIES: usize = 30;
/// Distance between the spots that are looked at when random ones are not free.
const SPOT: f32 = 0.02;
/// Distance between the points where an agent may start.
const STEP: f32 = 0.1;
/// An agent starts with so much more than its radius free around it.
const ELBOW_ROOM: f32 = 0.05;

/// One object of an episode.
struct Thing<'a> {
    entry: usize,
    class: &'a Class,
    name: String,
    /// Once it is placed.
    place: Option<(household::Place, Pose)>,
}

/// Makes every draw. An error says where in the file, and what could not be placed.
pub(super) fn instance(
    checked: &Checked,
    rng: &mut ChaCha8Rng,
) -> Result<Instance, (Span, String)> {
    let mut result = attempt(checked, rng);
    for _ in 1..ATTEMPTS {
        if result.is_ok() {
            break;
        }
        // What came first may have taken the only spots of what came later: all is drawn anew.
        result = attempt(checked, rng);
    }
    result
}

fn attempt(checked: &Checked, rng: &mut ChaCha8Rng) -> Result<Instance, (Span, String)> {
    let mut drawing = Drawing::new(checked, rng);
    for &entry in &checked.order {
        for thing in drawing.of_entry(entry) {
            drawing.place(thing, rng)?;
        }
    }
    let agent = drawing.agent(rng)?;
    Ok(drawing.instance(agent))
}

struct Drawing<'a> {
    checked: &'a Checked,
    things: Vec<Thing<'a>>,
    /// What stands at a point, by thing.
    standing: Vec<(usize, Block)>,
    /// What lies on or in others: (support, thing's box).
    lying: Vec<(usize, Block)>,
    /// Square meters that are left on and in each thing.
    left: Vec<[f32; 2]>,
}

impl<'a> Drawing<'a> {
    /// Draws how many things there are; they come in the order of the file.
    fn new(checked: &'a Checked, rng: &mut ChaCha8Rng) -> Self {
        let mut things: Vec<Thing<'a>> = Vec::new();
        for (i, entry) in checked.entries.iter().enumerate() {
            let [min, max] = entry.count;
            let count = if min == max {
                min
            } else {
                rng.random_range(min..=max)
            };
            for _ in 0..count {
                let same = |t: &&Thing<'_>| checked.entries[t.entry].name == entry.name;
                let number = things.iter().filter(same).count() as u32 + 1;
                things.push(Thing {
                    entry: i,
                    class: checked.catalogue.class(entry.class),
                    name: numbered(&entry.name, number),
                    place: None,
                });
            }
        }
        Self {
            checked,
            left: things.iter().map(|t| t.class.capacity()).collect(),
            things,
            standing: Vec::new(),
            lying: Vec::new(),
        }
    }

    fn entry(&self, thing: usize) -> &'a Entry {
        &self.checked.entries[self.things[thing].entry]
    }

    /// The things of an entry.
    fn of_entry(&self, entry: usize) -> std::ops::Range<usize> {
        let first = self.things.partition_point(|t| t.entry < entry);
        first..self.things.partition_point(|t| t.entry <= entry)
    }

    fn room_id(&self, room: usize) -> EntityId {
        EntityId(room as u16)
    }

    fn thing_id(&self, thing: usize) -> EntityId {
        EntityId((self.checked.rooms.len() + self.checked.doors.len() + thing) as u16)
    }

    /// Gives a thing its place; what holds it has one already.
    fn place(&mut self, thing: usize, rng: &mut ChaCha8Rng) -> Result<(), (Span, String)> {
        let entry = self.entry(thing);
        let mut places = entry.places.clone();
        let mut full = Vec::new();
        while !places.is_empty() {
            let drawn = if places.len() == 1 {
                0
            } else {
                rng.random_range(0..places.len())
            };
            match places.swap_remove(drawn) {
                Place::At(room, pose) => {
                    let block = Block::new(self.things[thing].class.size, pose.position, pose.yaw);
                    self.standing.push((thing, block));
                    self.things[thing].place =
                        Some((household::Place::Room(self.room_id(room)), pose));
                    return Ok(());
                }
                Place::Of { entry, inside } => {
                    let support = self.of_entry(entry).start;
                    let left = self.left[support][usize::from(inside)];
                    let footprint = self.things[thing].class.footprint();
                    // Symbols and geometry must both have room.
                    let roomy = left >= footprint;
                    let spot = roomy
                        .then(|| self.spot(thing, support, inside, rng))
                        .flatten();
                    if let Some((pose, block)) = spot {
                        self.left[support][usize::from(inside)] -= footprint;
                        self.lying.push((support, block));
                        let id = self.thing_id(support);
                        let place = if inside {
                            household::Place::Inside(id)
                        } else {
                            household::Place::On(id)
                        };
                        self.things[thing].place = Some((place, pose));
                        return Ok(());
                    }
                    let side = if inside { "inside" } else { "on" };
                    full.push(format!("{side} \"{}\"", self.things[support].name));
                }
            }
        }
        let Thing { class, name, .. } = &self.things[thing];
        let [x, y, _] = class.size;
        let message = format!(
            "no room left for \"{name}\" (expected a free spot of {x:.2} × {y:.2} m {}, found none in this episode)",
            full.join(" or ")
        );
        Err((entry.span.clone(), message))
    }

    /// A free spot on or in a support.
    fn spot(
        &self,
        thing: usize,
        support: usize,
        inside: bool,
        rng: &mut ChaCha8Rng,
    ) -> Option<(Pose, Block)> {
        let class = self.things[thing].class;
        let mut surfaces = self.things[support].class.surfaces();
        surfaces.retain(|s| s.inside == inside && s.takes(class));
        let obstacles = self.obstacles(support);
        let free = |surface: &Surface, local: [f32; 2], turn: f32| {
            let pose = self.on_surface(support, surface, local, turn);
            let block = Block::new(class.size, pose.position, pose.yaw);
            let grown = block.grown(GAP);
            (!obstacles.iter().any(|o| o.overlaps(&grown))).then_some((pose, block))
        };
        for _ in 0..TRIES {
            let surface = surfaces.get(rng.random_range(0..surfaces.len().max(1)))?;
            let turn = if class.fixed {
                0.0
            } else {
                quarter(rng.random_range(0..4_u8)) + rng.random_range(-ASKEW..ASKEW)
            };
            let Some([x, y]) = ranges(class, surface, turn) else {
                continue;
            };
            let local = [rng.random_range(x[0]..=x[1]), rng.random_range(y[0]..=y[1])];
            if let Some(found) = free(surface, local, turn) {
                return Some(found);
            }
        }
        // Straight spots on a grid, one of which is drawn.
        let mut spots = Vec::new();
        for surface in &surfaces {
            for turn in (0..if class.fixed { 1 } else { 2 }).map(quarter) {
                let Some([x, y]) = ranges(class, surface, turn) else {
                    continue;
                };
                for local_x in steps(x) {
                    spots.extend(
                        steps(y).filter_map(|local_y| free(surface, [local_x, local_y], turn)),
                    );
                }
            }
        }
        (!spots.is_empty()).then(|| spots[rng.random_range(0..spots.len())])
    }

    /// What a thing on or in `support` may bump into: what lies there too, and what stands or hangs nearby, except for
    /// that which carries it all.
    fn obstacles(&self, support: usize) -> Vec<Block> {
        let mut root = support;
        while let Some((household::Place::On(id) | household::Place::Inside(id), _)) =
            self.things[root].place
        {
            root = id.0 as usize - self.checked.rooms.len() - self.checked.doors.len();
        }
        let beside = self.lying.iter().filter(|(s, _)| *s == support);
        let around = self.standing.iter().filter(|(t, _)| *t != root);
        beside.chain(around).map(|(_, block)| *block).collect()
    }

    /// The pose in the world of what lies at a point of a surface, turned by `turn` against its support.
    fn on_surface(&self, support: usize, surface: &Surface, local: [f32; 2], turn: f32) -> Pose {
        let Thing { class, place, .. } = &self.things[support];
        let pose = place.map_or_else(Pose::default, |(_, pose)| pose);
        let drawer = matches!(
            class.shape,
            Shape::Cabinet {
                front: Front::Drawer,
                ..
            }
        );
        let out = if surface.inside && drawer && self.entry(support).open {
            DRAWER_TRAVEL * class.size[0]
        } else {
            0.0
        };
        let [x, y] = [local[0] + out, local[1]];
        let (cos, sin) = (libm::cosf(pose.yaw), libm::sinf(pose.yaw));
        Pose {
            position: [
                pose.position[0] + cos * x - sin * y,
                pose.position[1] + sin * x + cos * y,
                pose.position[2] + surface.z + LIFT,
            ],
            yaw: pose.yaw + turn,
        }
    }

    /// Where the agent stands and looks: at the point that the scenario names, or at one in the largest stretch of free
    /// floor of the room, away from doors where possible.
    fn agent(&self, rng: &mut ChaCha8Rng) -> Result<Pose, (Span, String)> {
        let agent = &self.checked.agent;
        let yaw = quarter(rng.random_range(0..4_u8));
        let at = |[x, y]: [f32; 2]| Pose {
            position: [x, y, 0.0],
            yaw,
        };
        if let Some(p) = agent.at {
            return Ok(at(p));
        }
        let room = &self.checked.rooms[agent.room];
        let mut obstacles = walls(&room.corners, WALL_THICKNESS);
        obstacles.extend(
            self.standing
                .iter()
                .map(|(_, b)| *b)
                .filter(|b| b.z[0] < WALKER_HEIGHT),
        );
        let (min, max) = bounds(&room.corners);
        let cells = [0, 1].map(|i| ((max[i] - min[i]) / STEP) as usize + 1);
        let cell = |i: usize| {
            let (x, y) = (i % cells[0], i / cells[0]);
            [
                min[0] + (x as f32 + 0.5) * STEP,
                min[1] + (y as f32 + 0.5) * STEP,
            ]
        };
        let free: Vec<bool> = (0..cells[0] * cells[1])
            .map(|i| {
                let p = cell(i);
                contains(&room.corners, p)
                    && obstacles
                        .iter()
                        .all(|b| b.distance(p) >= WALKER_RADIUS + ELBOW_ROOM)
            })
            .collect();
        let floor = largest_stretch(&free, cells[0]);
        let away = |i: &usize| {
            let leaf = |d: &super::check::Door| doorway(d).distance(cell(*i)) > d.width;
            self.checked.doors.iter().all(leaf)
        };
        let mut starts: Vec<usize> = floor.iter().copied().filter(away).collect();
        if starts.is_empty() {
            starts = floor;
        }
        if starts.is_empty() {
            let message = format!(
                "no free floor for the agent in the \"{}\" (expected a circle of {:.2} m radius, found none)",
                room.name,
                WALKER_RADIUS + ELBOW_ROOM
            );
            return Err((agent.span.clone(), message));
        }
        Ok(at(cell(starts[rng.random_range(0..starts.len())])))
    }

    /// Puts it all together.
    fn instance(self, agent: Pose) -> Instance {
        let Checked { rooms, doors, .. } = self.checked;
        let entity = |name: &str, kind: Kind| Entity {
            name: name.to_owned(),
            kind,
            footprint: 0.0,
            capacity: [0.0; 2],
        };
        let mut entities = Vec::new();
        let mut poses = vec![Pose::default(); rooms.len() + doors.len()];
        let mut entries = vec![None; rooms.len() + doors.len()];
        let mut places = vec![household::Place::Nowhere; rooms.len() + doors.len()];
        let mut states = vec![StateSet::default(); rooms.len()];
        entities.extend(rooms.iter().map(|r| entity(&r.name, Kind::Room)));
        for door in doors {
            let between = door.between.map(|r| self.room_id(r));
            entities.push(entity(&door.name, Kind::Door { between }));
            states.push(StateSet::default().with(opened(door.open), true));
        }
        for (i, thing) in self.things.iter().enumerate() {
            let entry = self.entry(i);
            let kind = Kind::Object(entry.class);
            entities.push(Entity {
                footprint: thing.class.footprint(),
                capacity: thing.class.capacity(),
                ..entity(&thing.name, kind)
            });
            let has = |property| thing.class.properties.has(property);
            let mut state = StateSet::default();
            if has(Property::CanOpen) {
                state = state.with(opened(entry.open), true);
            }
            if has(Property::HasSwitch) {
                let switched = if entry.switched_on {
                    State::SwitchedOn
                } else {
                    State::SwitchedOff
                };
                state = state.with(switched, true);
            }
            states.push(state);
            let (place, pose) = thing.place.expect("every entry is in the order of placing");
            places.push(place);
            poses.push(pose);
            entries.push(Some(thing.entry));
        }
        entities.push(entity(AGENT, Kind::Agent));
        places.push(household::Place::Room(
            self.room_id(self.checked.agent.room),
        ));
        states.push(StateSet::default());
        poses.push(agent);
        entries.push(None);
        let layout = Layout {
            rooms: rooms
                .iter()
                .zip(0..)
                .map(|(room, i)| RoomShape {
                    room: EntityId(i),
                    corners: room.corners.clone(),
                    height: room.height,
                })
                .collect(),
            doors: doors
                .iter()
                .zip(rooms.len() as u16..)
                .map(|(door, i)| DoorShape {
                    door: EntityId(i),
                    at: door.at,
                    width: door.width,
                    along_x: door.along_x,
                })
                .collect(),
            poses,
            entries,
            hand: self.checked.hand,
        };
        let house = Arc::new(House::new(Arc::clone(&self.checked.catalogue), entities));
        Instance {
            start: HouseGraph::new(Arc::clone(&house), places, states),
            house,
            layout,
        }
    }
}

fn opened(open: bool) -> State {
    if open { State::Open } else { State::Closed }
}

fn quarter(turns: u8) -> f32 {
    f32::from(turns) * std::f32::consts::FRAC_PI_2
}

/// Where on a surface the middle of a thing may be, from least to greatest x and y, in the support's frame. What is
/// fixed stands at the back, so that there is room in front of it; if it can be opened, it stands at the front, so that
/// its door swings clear of the surface.
fn ranges(class: &Class, surface: &Surface, turn: f32) -> Option<[[f32; 2]; 2]> {
    let (cos, sin) = (libm::cosf(turn).abs(), libm::sinf(turn).abs());
    let [x, y] = [0.5 * class.size[0], 0.5 * class.size[1]];
    let extent = [cos * x + sin * y, sin * x + cos * y];
    let mut ranges = [[0.0; 2]; 2];
    for axis in [0, 1] {
        let mut play = surface.half[axis] - extent[axis];
        if play < -1e-4 {
            return None;
        }
        play = (play - GAP).max(0.0);
        ranges[axis] = [surface.center[axis] - play, surface.center[axis] + play];
    }
    if class.fixed {
        let end = usize::from(class.properties.has(Property::CanOpen));
        ranges[0] = [ranges[0][end]; 2];
    }
    Some(ranges)
}

/// Evenly spaced values from one end of a range to the other, about `SPOT` apart.
fn steps(range: [f32; 2]) -> impl Iterator<Item = f32> {
    let count = ((range[1] - range[0]) / SPOT) as u16;
    (0..=count).map(move |i| {
        let share = f32::from(i) / f32::from(count.max(1));
        range[0] + share * (range[1] - range[0])
    })
}

/// Indices of the largest set of free cells of a grid that hang together by their sides, in ascending order.
fn largest_stretch(free: &[bool], width: usize) -> Vec<usize> {
    let mut left = free.to_vec();
    let mut largest = Vec::new();
    for start in 0..left.len() {
        let mut stretch = Vec::new();
        let mut open = vec![start];
        while let Some(i) = open.pop() {
            if i >= left.len() || !left[i] {
                continue;
            }
            left[i] = false;
            stretch.push(i);
            // The outermost cells lie in walls, so that a row's end never touches the next one's start.
            open.extend([i + 1, i + width, i.wrapping_sub(1), i.wrapping_sub(width)]);
        }
        if stretch.len() > largest.len() {
            largest = stretch;
        }
    }
    largest.sort_unstable();
    largest
}
