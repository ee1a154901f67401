//! Everything that can be wrong with a scenario, found in one pass; what is left needs no more checks.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use toml::Spanned;

use super::geometry::{Block, bounds, common_point, contains, edges, signed_area, walls};
use super::types::{self, Body, HandParameters, Scenario};
use super::{HandBase, HandPlace, Pose, WALKER_HEIGHT, WALKER_RADIUS, WALL_THICKNESS};
use crate::catalogue::{Catalogue, ClassId, Property};
use crate::household::{
    Entity, EntityId, Fact, FactError, House, Kind, MAX_ROOMS, Relation, State,
};
use crate::problem::{Problem, did_you_mean, nearest};

/// Part of the file's text, in bytes.
pub(super) type Span = Range<usize>;

/// A scenario without anything that cannot be; names are resolved to indices.
#[derive(Clone, Debug)]
pub(super) struct Checked {
    pub(super) catalogue: Arc<Catalogue>,
    pub(super) rooms: Vec<Room>,
    pub(super) doors: Vec<Door>,
    pub(super) entries: Vec<Entry>,
    /// Indices of the entries such that each comes after everything it may lie on or in; what is fixed and what is large
    /// comes first.
    pub(super) order: Vec<usize>,
    pub(super) agent: Agent,
    pub(super) hand: Option<HandPlace>,
}

#[derive(Clone, Debug)]
pub(super) struct Room {
    pub(super) name: String,
    pub(super) corners: Vec<[f32; 2]>,
    pub(super) height: f32,
}

#[derive(Clone, Debug)]
pub(super) struct Door {
    pub(super) name: String,
    /// Indices of the rooms.
    pub(super) between: [usize; 2],
    pub(super) at: [f32; 2],
    pub(super) width: f32,
    pub(super) along_x: bool,
    pub(super) open: bool,
}

/// One `[[object]]` of the file.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) class: ClassId,
    /// Name of the first one; further ones of this name get a number.
    pub(super) name: String,
    /// One of these is drawn; at least one.
    pub(super) places: Vec<Place>,
    /// Fewest and most.
    pub(super) count: [u32; 2],
    pub(super) open: bool,
    pub(super) switched_on: bool,
    /// Where in the file it is.
    pub(super) span: Span,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Place {
    /// On the floor of that room (or on its wall).
    At(usize, Pose),
    /// On or (`inside`) in the only object of that entry.
    Of { entry: usize, inside: bool },
}

#[derive(Clone, Debug)]
pub(super) struct Agent {
    pub(super) room: usize,
    pub(super) at: Option<[f32; 2]>,
    pub(super) span: Span,
}

/// The most `[[object]]`s and things that a scenario may ask for.
const MAX_OBJECTS: usize = 2000;
const MAX_DOORS: usize = 200;
const MAX_CORNERS: usize = 32;
/// Highest coordinate (meters).
const MAX_COORDINATE: f32 = 1000.0;
/// How far in front of a doorway the floor must be free: the width of a walker.
const DOORSTEP: f32 = 2.0 * WALKER_RADIUS;
/// Name of the agent in facts and programs.
pub(super) const AGENT: &str = "agent";

/// Checks a scenario that was read from `text`, and finds all problems that do not follow from others.
pub(super) fn check(
    scenario: &Scenario,
    text: &str,
    catalogue: &Arc<Catalogue>,
) -> Result<Checked, Vec<Problem>> {
    let mut checker = Checker {
        scenario,
        text,
        catalogue,
        problems: Vec::new(),
    };
    if checker.head() {
        let (rooms, sound) = checker.rooms();
        let doors = checker.doors(&rooms, &sound);
        let entries = checker.entries();
        let names = checker.names(&rooms, &doors, &entries);
        let entries = checker.places(&rooms, &sound, &doors, entries, &names);
        let order = checker.order(&entries);
        let agent = checker.agent(&rooms, &sound, &entries);
        let hand = checker.hand(&rooms, &sound);
        checker.goals(&rooms, &doors, &entries, &names);
        for camera in &scenario.camera {
            checker.problems.extend(camera.check(text));
        }
        if let (true, Some(order), Some(agent)) = (checker.problems.is_empty(), order, agent) {
            return Ok(Checked {
                catalogue: Arc::clone(catalogue),
                rooms,
                doors: doors.into_iter().flatten().collect(),
                entries: entries.into_iter().flatten().collect(),
                order,
                agent,
                hand,
            });
        }
    }
    Err(checker.problems)
}

/// Who has a name: entities that are there in every episode, or only in some.
struct Names {
    /// Whether it is there in every episode.
    certain: BTreeMap<String, bool>,
    /// Entries with exactly one object, by its name: what other things can lie on or in.
    supports: BTreeMap<String, usize>,
}

struct Checker<'a> {
    scenario: &'a Scenario,
    text: &'a str,
    catalogue: &'a Arc<Catalogue>,
    problems: Vec<Problem>,
}

impl Checker<'_> {
    fn complain(&mut self, span: Span, message: impl Into<String>) {
        self.problems.push(Problem::at(self.text, span, message));
    }

    /// The format's version and the size of the whole; `false` if it makes no sense to go on.
    fn head(&mut self) -> bool {
        let Scenario {
            schema,
            room,
            door,
            object,
            agent,
            ..
        } = self.scenario;
        if schema.get_ref() != types::SCHEMA {
            self.complain(
                schema.span(),
                format!(
                    "unknown format (expected \"{}\", found \"{}\")",
                    types::SCHEMA,
                    schema.get_ref()
                ),
            );
            return false;
        }
        let things: u64 = object
            .iter()
            .map(|o| o.count.as_ref().map_or(1, |c| u64::from(c.get_ref().max)))
            .sum();
        let amounts = [
            ("rooms", room.len() as u64, 1, MAX_ROOMS as u64),
            ("doors", door.len() as u64, 0, MAX_DOORS as u64),
            ("objects", things, 0, MAX_OBJECTS as u64),
            ("objects", object.len() as u64, 0, MAX_OBJECTS as u64),
        ];
        for (what, found, min, max) in amounts {
            if found < min || found > max {
                let message = format!("number of {what} (expected {min} to {max}, found {found})");
                self.complain(schema.span(), message);
                return false;
            }
        }
        let room = |a: &types::Agent| match &a.body {
            Body::Walker { room, .. } | Body::Hand { room, .. } => room.span(),
        };
        let walks = |a: &&types::Agent| matches!(a.body, Body::Walker { .. });
        let walkers: Vec<_> = agent.iter().filter(walks).collect();
        let has_hand = |a: &&types::Agent| match &a.body {
            Body::Walker { hand, .. } => hand.is_some(),
            Body::Hand { .. } => true,
        };
        let hands: Vec<_> = agent.iter().filter(has_hand).collect();
        if walkers.len() != 1 {
            let span = walkers.get(1).map_or(schema.span(), |a| room(a));
            let message = format!("number of walkers (expected 1, found {})", walkers.len());
            self.complain(span, message);
        }
        if let Some(second) = hands.get(1) {
            let message = format!("number of hands (expected 0 or 1, found {})", hands.len());
            self.complain(room(second), message);
        }
        true
    }

    /// Rooms in the order of the file, and whether each one's outline can be used.
    fn rooms(&mut self) -> (Vec<Room>, Vec<bool>) {
        let scenario = self.scenario;
        let mut sound = Vec::new();
        for room in &scenario.room {
            let outline = outline_problem(room.corners.get_ref());
            if let Some(message) = &outline {
                self.complain(room.corners.span(), message);
            }
            if !(2.0..=10.0).contains(&room.height) {
                let found = room.height;
                let message = format!("height of the room (expected 2 to 10 m, found {found})");
                self.complain(room.name.span(), message);
            }
            sound.push(outline.is_none());
        }
        for (i, a) in scenario.room.iter().enumerate() {
            for (j, b) in scenario.room[..i].iter().enumerate() {
                if !(sound[i] && sound[j]) {
                    continue;
                }
                if let Some(p) = common_point(a.corners.get_ref(), b.corners.get_ref()) {
                    let message = format!(
                        "room \"{}\" overlaps room \"{}\" (both hold the point {})",
                        a.name.get_ref(),
                        b.name.get_ref(),
                        point(p)
                    );
                    self.complain(a.corners.span(), message);
                }
            }
        }
        let rooms = scenario.room.iter().map(|room| Room {
            name: room.name.get_ref().clone(),
            corners: room.corners.get_ref().clone(),
            height: room.height,
        });
        (rooms.collect(), sound)
    }

    /// The index of a room by its name.
    fn find_room(&mut self, rooms: &[Room], name: &Spanned<String>) -> Option<usize> {
        let found = rooms.iter().position(|r| r.name == *name.get_ref());
        if found.is_none() {
            let names: Vec<&str> = rooms.iter().map(|r| r.name.as_str()).collect();
            let message = format!(
                "unknown room (expected one of {}, found \"{}\"){}",
                list(&names),
                name.get_ref(),
                did_you_mean(name.get_ref(), names.iter().copied())
            );
            self.complain(name.span(), message);
        }
        found
    }

    /// Doors in the order of the file; `None` for those that cannot be.
    fn doors(&mut self, rooms: &[Room], sound: &[bool]) -> Vec<Option<Door>> {
        let scenario = self.scenario;
        let mut doors: Vec<Option<Door>> = Vec::new();
        for door in &scenario.door {
            let checked = self.door(door, rooms, sound);
            if let Some(new) = &checked {
                let axis = usize::from(!new.along_x);
                for old in doors.iter().flatten() {
                    let same_wall = old.along_x == new.along_x
                        && (old.at[1 - axis] - new.at[1 - axis]).abs() < WALL_THICKNESS;
                    let gap = (old.at[axis] - new.at[axis]).abs();
                    if same_wall && gap < 0.5 * (old.width + new.width) + WALL_THICKNESS {
                        let message = format!("overlaps the \"{}\"", old.name);
                        self.complain(door.at.span(), message);
                    }
                }
            }
            doors.push(checked);
        }
        doors
    }

    fn door(&mut self, door: &types::Door, rooms: &[Room], sound: &[bool]) -> Option<Door> {
        let [first, second] = &door.between;
        let between = [
            self.find_room(rooms, first)?,
            self.find_room(rooms, second)?,
        ];
        let name = door_name(door);
        let span = door.at.span();
        let before = self.problems.len();
        if between[0] == between[1] {
            let message = "a door joins two rooms (expected another room, found the same twice)";
            self.complain(second.span(), message);
        }
        if !(0.6..=3.0).contains(&door.width) {
            let message = format!(
                "width of the \"{name}\" (expected 0.6 to 3 m, found {})",
                door.width
            );
            self.complain(span.clone(), message);
        }
        if door.open != 0.0 && door.open != 1.0 {
            let found = door.open;
            let message = format!("`open` of the \"{name}\" (expected 0 or 1, found {found})");
            self.complain(span.clone(), message);
        }
        if self.problems.len() > before || !between.iter().all(|&r| sound[r]) {
            return None;
        }
        let at = *door.at.get_ref();
        let shared = shared_walls(&rooms[between[0]].corners, &rooms[between[1]].corners);
        let need = 0.5 * (door.width + WALL_THICKNESS);
        let wall = shared.iter().find(|w| {
            let (line, along) = if w.along_x {
                (at[1], at[0])
            } else {
                (at[0], at[1])
            };
            (line - w.line).abs() <= 0.01
                && along - need >= w.from - 1e-4
                && along + need <= w.to + 1e-4
        });
        let Some(wall) = wall else {
            let walls: Vec<String> = shared
                .iter()
                .filter(|w| w.to - w.from >= 2.0 * need)
                .map(|w| {
                    let (line, along) = if w.along_x { ("y", "x") } else { ("x", "y") };
                    let (from, to) = (w.from + need, w.to - need);
                    format!(
                        "{line} = {:.2} with {along} from {from:.2} to {to:.2}",
                        w.line
                    )
                })
                .collect();
            let expected = if walls.is_empty() {
                format!("rooms that share at least {:.2} m of wall", 2.0 * need)
            } else {
                walls.join(" or ")
            };
            let message = format!(
                "the \"{name}\" is not on a wall that both rooms share (expected {expected}, found {})",
                point(at)
            );
            self.complain(span, message);
            return None;
        };
        let at = if wall.along_x {
            [at[0], wall.line]
        } else {
            [wall.line, at[1]]
        };
        Some(Door {
            name,
            between,
            at,
            width: door.width,
            along_x: wall.along_x,
            open: door.open == 1.0,
        })
    }

    /// Objects in the order of the file, without places yet; `None` for those of an unknown class.
    fn entries(&mut self) -> Vec<Option<Entry>> {
        let scenario = self.scenario;
        scenario.object.iter().map(|o| self.entry(o)).collect()
    }

    fn entry(&mut self, object: &types::Object) -> Option<Entry> {
        let word = object.class.get_ref();
        let catalogue = self.catalogue;
        let Some(class_id) = catalogue.find(word) else {
            let names = catalogue.classes().map(|(_, c)| c.name.as_str());
            let message = format!(
                "unknown class (expected one of the {} classes of the catalogue, found \"{word}\"){}",
                catalogue.classes().count(),
                did_you_mean(word, names)
            );
            self.complain(object.class.span(), message);
            return None;
        };
        let class = catalogue.class(class_id);
        let count = object.count.as_ref().map_or([1, 1], |count| {
            let types::Count { min, max } = *count.get_ref();
            if min > max || max == 0 || max > 20 {
                let message = format!(
                    "count (expected min <= max and max from 1 to 20, found min {min} and max {max})"
                );
                self.complain(count.span(), message);
                return [1, 1];
            }
            [min, max]
        });
        for (asked, property, what) in [
            (
                object.open,
                Property::CanOpen,
                "`open` (expected a class that can be opened",
            ),
            (
                object.switched_on,
                Property::HasSwitch,
                "`switched_on` (expected a class with a switch",
            ),
        ] {
            if asked && !class.properties.has(property) {
                let message = format!("{what}, found \"{word}\")");
                self.complain(object.class.span(), message);
            }
        }
        Some(Entry {
            class: class_id,
            name: object.name.as_ref().map_or(word, |n| n.get_ref()).clone(),
            places: Vec::new(),
            count,
            open: object.open,
            switched_on: object.switched_on,
            span: object
                .name
                .as_ref()
                .map_or(object.class.span(), Spanned::span),
        })
    }

    /// All names that can occur; each must belong to one entity only.
    fn names(
        &mut self,
        rooms: &[Room],
        doors: &[Option<Door>],
        entries: &[Option<Entry>],
    ) -> Names {
        let scenario = self.scenario;
        let mut names = Names {
            certain: BTreeMap::from([(AGENT.to_owned(), true)]),
            supports: BTreeMap::new(),
        };
        for (name, room) in rooms.iter().map(|r| &r.name).zip(&scenario.room) {
            self.name(&mut names, name, true, room.name.span());
        }
        for (checked, door) in doors.iter().zip(&scenario.door) {
            let span = door.name.as_ref().map_or(door.at.span(), Spanned::span);
            if let Some(checked) = checked {
                self.name(&mut names, &checked.name, true, span);
            }
        }
        // Objects of one name are numbered in the order of the file. An explicit name belongs to one entry alone.
        let mut groups: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (i, entry) in entries.iter().enumerate() {
            if let Some(entry) = entry {
                groups.entry(&entry.name).or_default().push(i);
            }
        }
        for (base, members) in groups {
            let explicit = |i: &usize| scenario.object[*i].name.is_some();
            if members.len() > 1 && members.iter().any(explicit) {
                let last = members
                    .iter()
                    .rev()
                    .find(|i| explicit(i))
                    .or(members.last());
                let span = last
                    .and_then(|&i| entries[i].as_ref())
                    .map_or(0..0, |e| e.span.clone());
                let message = format!(
                    "the name \"{base}\" is taken (expected a name of its own, found {} objects of that name)",
                    members.len()
                );
                self.complain(span, message);
                continue;
            }
            let certain: u32 = members
                .iter()
                .flat_map(|&i| &entries[i])
                .map(|e| e.count[0])
                .sum();
            // How many there are before the next entry, if every episode has the same number.
            let (mut before, mut number) = (Some(0), 0);
            for (i, entry) in members
                .iter()
                .filter_map(|&i| Some((i, entries[i].as_ref()?)))
            {
                if let (Some(n), [1, 1]) = (before, entry.count) {
                    names.supports.insert(numbered(base, n + 1), i);
                }
                before = before
                    .filter(|_| entry.count[0] == entry.count[1])
                    .map(|n| n + entry.count[0]);
                for _ in 0..entry.count[1] {
                    number += 1;
                    let name = numbered(base, number);
                    self.name(&mut names, &name, number <= certain, entry.span.clone());
                }
            }
        }
        names
    }

    /// Takes a name into the list.
    fn name(&mut self, names: &mut Names, name: &str, certain: bool, span: Span) {
        let letter = |c: char| c.is_lowercase() || c.is_ascii_digit() || " -'".contains(c);
        let words = name.split(' ').all(|word| !word.is_empty());
        if name.len() > 60 || !words || !name.chars().all(letter) {
            let message = format!(
                "name (expected lower-case words separated by single spaces, found {name:?})"
            );
            self.complain(span, message);
        } else if names.certain.insert(name.to_owned(), certain).is_some() {
            let message = format!("the name \"{name}\" is taken (expected a name of its own)");
            self.complain(span, message);
        }
    }

    /// Fills in where things are.
    fn places(
        &mut self,
        rooms: &[Room],
        sound: &[bool],
        doors: &[Option<Door>],
        mut entries: Vec<Option<Entry>>,
        names: &Names,
    ) -> Vec<Option<Entry>> {
        let scenario = self.scenario;
        let mut standing: Vec<(usize, Block)> = Vec::new();
        // Square meters taken on and in each entry by what is certainly put there.
        let mut taken = vec![[0.0_f32; 2]; entries.len()];
        for (i, object) in scenario.object.iter().enumerate() {
            let Some(entry) = entries[i].clone() else {
                continue;
            };
            self.one_place(object);
            let mut places = Vec::new();
            if let Some(at) = &object.at {
                if let Some((place, block)) = self.at(object, at, &entry, rooms, sound, doors) {
                    for (j, other) in &standing {
                        if block.overlaps(other) {
                            let other = entries[*j].as_ref().map_or("", |e| &e.name);
                            let message = format!("\"{}\" overlaps \"{other}\"", entry.name);
                            self.complain(at.span(), message);
                        }
                    }
                    standing.push((i, block));
                    places.push(place);
                }
            } else {
                for (name, inside) in supports(object) {
                    let Some(support) = self.support(&entries, names, name) else {
                        continue;
                    };
                    // What does not fit still takes part in the search for circles.
                    self.fits(&entry, name, support.1, inside);
                    places.push(Place::Of {
                        entry: support.0,
                        inside,
                    });
                }
                let extra = [
                    (object.room.is_some(), "room"),
                    (object.z != 0.0, "z"),
                    (object.yaw_deg != 0.0, "yaw_deg"),
                ];
                for (_, field) in extra.iter().filter(|(given, _)| *given) {
                    let message = format!("`{field}` only goes with `at`");
                    self.complain(entry.span.clone(), message);
                }
                if let [
                    Place::Of {
                        entry: support,
                        inside,
                    },
                ] = places[..]
                {
                    let side = usize::from(inside);
                    let capacity = entries[support]
                        .as_ref()
                        .map_or(0.0, |e| self.catalogue.class(e.class).capacity()[side]);
                    let footprint = self.catalogue.class(entry.class).footprint();
                    let before = taken[support][side];
                    taken[support][side] += footprint * entry.count[1] as f32;
                    if before <= capacity && taken[support][side] > capacity {
                        let message = format!(
                            "too much {} \"{}\" (expected footprints of at most {capacity:.3} m² together, found {:.3})",
                            if inside { "inside" } else { "on" },
                            entries[support].as_ref().map_or("", |e| &e.name),
                            taken[support][side]
                        );
                        self.complain(entry.span.clone(), message);
                    }
                }
            }
            if let Some(entry) = &mut entries[i] {
                entry.places = places;
            }
        }
        entries
    }

    /// A place is given in exactly one way.
    fn one_place(&mut self, object: &types::Object) {
        let mut given: Vec<(&str, Span)> = Vec::new();
        given.extend(object.at.as_ref().map(|at| ("at", at.span())));
        given.extend(object.on.as_ref().map(|on| ("on", on.span())));
        given.extend(
            object
                .inside
                .as_ref()
                .map(|inside| ("inside", inside.span())),
        );
        given.extend(object.one_of.first().map(|place| match place {
            types::Place::On(name) | types::Place::Inside(name) => ("one_of", name.span()),
        }));
        if given.len() == 1 {
            return;
        }
        let found: Vec<&str> = given.iter().map(|g| g.0).collect();
        let message = format!(
            "where is the \"{}\"? (expected one of `at`, `on`, `inside` and `one_of`, found {})",
            object.class.get_ref(),
            if found.is_empty() {
                "none of them".to_owned()
            } else {
                format!("`{}`", found.join("` and `"))
            }
        );
        let span = given.get(1).map_or(object.class.span(), |g| g.1.clone());
        self.complain(span, message);
    }

    /// A thing that stands at a point: in one room, clear of walls and doorways.
    fn at(
        &mut self,
        object: &types::Object,
        at: &Spanned<[f32; 2]>,
        entry: &Entry,
        rooms: &[Room],
        sound: &[bool],
        doors: &[Option<Door>],
    ) -> Option<(Place, Block)> {
        let class = self.catalogue.class(entry.class);
        let name = &entry.name;
        let p = *at.get_ref();
        let before = self.problems.len();
        let named = match &object.room {
            Some(room) => Some(self.find_room(rooms, room)?),
            None => None,
        };
        if p.iter().any(|v| !v.is_finite() || v.abs() > MAX_COORDINATE)
            || !object.yaw_deg.is_finite()
        {
            let message =
                format!("position (expected numbers up to {MAX_COORDINATE}, found {p:?})");
            self.complain(at.span(), message);
            return None;
        }
        if entry.count != [1, 1] {
            let message = format!(
                "only one thing can be at one point (expected no `count`, found {} to {})",
                entry.count[0], entry.count[1]
            );
            self.complain(at.span(), message);
        }
        let within = |r: &usize| sound[*r] && contains(&rooms[*r].corners, p);
        let found = (0..rooms.len()).find(within);
        let room = match (named, found) {
            (Some(named), _) if !sound[named] => return None,
            (Some(named), Some(found)) if named != found => {
                let message = format!(
                    "\"{name}\" is in another room (expected a point in the \"{}\", found {} in the \"{}\")",
                    rooms[named].name,
                    point(p),
                    rooms[found].name
                );
                self.complain(at.span(), message);
                return None;
            }
            (_, Some(found)) => found,
            (_, None) if !sound.iter().all(|s| *s) => return None,
            (_, None) => {
                let message = format!(
                    "\"{name}\" is outside every room (expected a point in a room, found {})",
                    point(p)
                );
                self.complain(at.span(), message);
                return None;
            }
        };
        let top = rooms[room].height - class.size[2];
        if !(0.0..=top).contains(&object.z) {
            let message = format!(
                "z of \"{name}\" (expected 0 to {top:.2} m, found {})",
                object.z
            );
            self.complain(at.span(), message);
        }
        let pose = Pose {
            position: [p[0], p[1], object.z],
            yaw: object.yaw_deg.to_radians(),
        };
        let block = Block::new(class.size, pose.position, pose.yaw);
        let all_walls = rooms
            .iter()
            .zip(sound)
            .filter(|(_, s)| **s)
            .flat_map(|(r, _)| walls(&r.corners, WALL_THICKNESS));
        if all_walls.into_iter().any(|wall| wall.overlaps(&block)) {
            let message = format!(
                "\"{name}\" is in a wall of the \"{}\" (expected at least {:.2} m from its outline to every side of the thing, found {} for a thing of {:.2} × {:.2} m)",
                rooms[room].name,
                0.5 * WALL_THICKNESS,
                point(p),
                class.size[0],
                class.size[1]
            );
            self.complain(at.span(), message);
        }
        for door in doors.iter().flatten() {
            if doorway(door).overlaps(&block) {
                let message = format!(
                    "\"{name}\" blocks the \"{}\" (expected {DOORSTEP:.1} m of free floor before it)",
                    door.name
                );
                self.complain(at.span(), message);
            }
        }
        (self.problems.len() == before).then_some((Place::At(room, pose), block))
    }

    /// The object of that name, if others can be put on or in it: its index and class.
    fn support(
        &mut self,
        entries: &[Option<Entry>],
        names: &Names,
        name: &Spanned<String>,
    ) -> Option<(usize, ClassId)> {
        let word = name.get_ref();
        if let Some(&i) = names.supports.get(word) {
            return Some((i, entries[i].as_ref()?.class));
        }
        if self.unresolved(&[], entries).contains(word) {
            return None;
        }
        let message = if names.certain.contains_key(word) {
            format!(
                "nothing can be put on or in \"{word}\" (expected an object that is there exactly once, found a room, a door, the agent or one of a drawn number)"
            )
        } else {
            format!(
                "unknown object (expected the name of an object to put it on or in, found \"{word}\"){}",
                did_you_mean(word, names.supports.keys().map(String::as_str))
            )
        };
        self.complain(name.span(), message);
        None
    }

    /// A thing must fit on or in its support when nothing else is there.
    fn fits(&mut self, entry: &Entry, support: &Spanned<String>, class: ClassId, inside: bool) {
        let (thing, holder) = (
            self.catalogue.class(entry.class),
            self.catalogue.class(class),
        );
        if holder.takes(thing, inside) {
            return;
        }
        let name = support.get_ref();
        let largest = holder
            .surfaces()
            .into_iter()
            .filter(|s| s.inside == inside)
            .max_by(|a, b| {
                let area = |s: &crate::catalogue::Surface| s.half[0] * s.half[1];
                area(a).total_cmp(&area(b))
            });
        let message = match largest {
            None if inside => format!(
                "nothing can be put inside \"{name}\" (expected a class with CONTAINERS, found \"{}\")",
                holder.name
            ),
            None => format!(
                "nothing can be put on \"{name}\" (expected a class with SURFACES, found \"{}\")",
                holder.name
            ),
            Some(s) => {
                let high = if s.clearance.is_finite() {
                    format!(" × {:.2}", s.clearance)
                } else {
                    String::new()
                };
                let [x, y, z] = thing.size;
                format!(
                    "\"{}\" does not fit {} \"{name}\" (expected at most {:.2} × {:.2}{high} m and half of that area, found {x:.2} × {y:.2} × {z:.2})",
                    entry.name,
                    if inside { "inside" } else { "on" },
                    2.0 * s.half[0],
                    2.0 * s.half[1]
                )
            }
        };
        self.complain(support.span(), message);
    }

    /// An order in which everything comes after what it may lie on or in; `None` if there is a circle.
    fn order(&mut self, entries: &[Option<Entry>]) -> Option<Vec<usize>> {
        let mut order: Vec<usize> = Vec::new();
        let mut done: BTreeSet<usize> = BTreeSet::new();
        let holders = |i: usize| {
            entries[i]
                .iter()
                .flat_map(|e| &e.places)
                .filter_map(|place| match place {
                    Place::Of { entry, .. } => Some(*entry),
                    Place::At(..) => None,
                })
        };
        let mut left: Vec<usize> = (0..entries.len())
            .filter(|&i| entries[i].is_some())
            .collect();
        // Fixed before loose, large before small, then as in the file.
        left.sort_by(|&a, &b| {
            let key = |i: usize| {
                let class = entries[i].as_ref().map(|e| self.catalogue.class(e.class));
                class.map_or((false, 0.0), |c| (c.fixed, c.footprint()))
            };
            let ((fixed_a, area_a), (fixed_b, area_b)) = (key(a), key(b));
            fixed_b
                .cmp(&fixed_a)
                .then(area_b.total_cmp(&area_a))
                .then(a.cmp(&b))
        });
        while !left.is_empty() {
            let (ready, rest): (Vec<usize>, Vec<usize>) = left
                .iter()
                .partition(|&&i| holders(i).all(|h| done.contains(&h) || entries[h].is_none()));
            if ready.is_empty() {
                self.circle(entries, &rest, holders);
                return None;
            }
            done.extend(&ready);
            order.extend(&ready);
            left = rest;
        }
        Some(order)
    }

    /// Complains about one circle among things each of which lies on or in another one of them.
    fn circle<I: Iterator<Item = usize>>(
        &mut self,
        entries: &[Option<Entry>],
        stuck: &[usize],
        holders: impl Fn(usize) -> I,
    ) {
        let Some(mut at) = stuck.iter().min().copied() else {
            return;
        };
        let mut path = Vec::new();
        while !path.contains(&at) {
            path.push(at);
            let Some(next) = holders(at).find(|h| stuck.contains(h)) else {
                return;
            };
            at = next;
        }
        let start = path.iter().position(|&i| i == at).unwrap_or(0);
        let name = |i: usize| entries[i].as_ref().map_or("", |e| &e.name);
        let mut circle: Vec<String> = path[start..]
            .iter()
            .map(|&i| format!("\"{}\"", name(i)))
            .collect();
        circle.push(format!("\"{}\"", name(at)));
        let object = &self.scenario.object[at];
        let span = supports(object)
            .next()
            .map_or(object.class.span(), |(s, _)| s.span());
        self.complain(
            span,
            format!(
                "things lie on or in each other in a circle: {}",
                circle.join(" in ")
            ),
        );
    }

    /// Where the agent starts.
    fn agent(
        &mut self,
        rooms: &[Room],
        sound: &[bool],
        entries: &[Option<Entry>],
    ) -> Option<Agent> {
        let scenario = self.scenario;
        let (name, at) = scenario.agent.iter().find_map(|a| match &a.body {
            Body::Walker { room, at, .. } => Some((room, at)),
            Body::Hand { .. } => None,
        })?;
        let room = self.find_room(rooms, name)?;
        if let (Some(at), true) = (at, sound[room]) {
            let p = *at.get_ref();
            let blocks = standing_blocks(entries, self.catalogue);
            if !contains(&rooms[room].corners, p) {
                let message = format!(
                    "the agent is in another room (expected a point in the \"{}\", found {})",
                    name.get_ref(),
                    point(p)
                );
                self.complain(at.span(), message);
            } else if walls(&rooms[room].corners, WALL_THICKNESS)
                .iter()
                .any(|w| w.distance(p) < WALKER_RADIUS)
            {
                let message = format!(
                    "the agent is in a wall (expected {WALKER_RADIUS} m of free floor around it, found {})",
                    point(p)
                );
                self.complain(at.span(), message);
            } else if let Some((i, _)) = blocks.iter().find(|(_, b)| b.distance(p) < WALKER_RADIUS)
            {
                let obstacle = entries[*i].as_ref().map_or("", |e| &e.name);
                let message = format!(
                    "the agent is in the \"{obstacle}\" (expected {WALKER_RADIUS} m of free floor around it, found {})",
                    point(p)
                );
                self.complain(at.span(), message);
            }
        }
        Some(Agent {
            room,
            at: at.as_ref().map(|at| *at.get_ref()),
            span: name.span(),
        })
    }

    /// Where the hand is, if there is one.
    fn hand(&mut self, rooms: &[Room], sound: &[bool]) -> Option<HandPlace> {
        let scenario = self.scenario;
        let carried = scenario.agent.iter().find_map(|a| match &a.body {
            Body::Walker { hand, .. } => *hand,
            Body::Hand { .. } => None,
        });
        if let Some(model) = carried {
            return Some(HandPlace {
                model,
                parameters: HandParameters::default(),
                base: HandBase::Walker,
            });
        }
        let (name, at, yaw_deg, model, parameters) =
            scenario.agent.iter().find_map(|a| match &a.body {
                Body::Hand {
                    room,
                    at,
                    yaw_deg,
                    model,
                    parameters,
                } => Some((room, at, *yaw_deg, *model, *parameters)),
                Body::Walker { .. } => None,
            })?;
        let room = self.find_room(rooms, name)?;
        let [x, y, z] = *at.get_ref();
        let height = rooms[room].height;
        if !yaw_deg.is_finite() {
            let message = format!("yaw_deg of the hand (expected a number, found {yaw_deg})");
            self.complain(at.span(), message);
        }
        if sound[room] && !contains(&rooms[room].corners, [x, y]) {
            let message = format!(
                "the hand is in another room (expected a point in the \"{}\", found {})",
                name.get_ref(),
                point([x, y])
            );
            self.complain(at.span(), message);
        } else if !(0.0..=height).contains(&z) {
            let message = format!("height of the hand (expected 0 to {height} m, found {z} m)");
            self.complain(at.span(), message);
        }
        Some(HandPlace {
            model,
            parameters,
            base: HandBase::Room {
                position: [x, y, z],
                yaw: yaw_deg.to_radians(),
            },
        })
    }

    /// Names of doors and objects that were described but could not be understood; of a misspelt class that which was
    /// meant, too.
    fn unresolved(&self, doors: &[Option<Door>], entries: &[Option<Entry>]) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        for (object, entry) in self.scenario.object.iter().zip(entries) {
            if entry.is_none() {
                let classes = self.catalogue.classes().map(|(_, c)| c.name.as_str());
                let word = object.name.as_ref().unwrap_or(&object.class).get_ref();
                names.insert(word.clone());
                names.extend(nearest(word, classes).map(str::to_owned));
            }
        }
        let doors = self.scenario.door.iter().zip(doors);
        names.extend(
            doors
                .filter(|(_, door)| door.is_none())
                .map(|(d, _)| door_name(d)),
        );
        names
    }

    /// Goals are facts about entities that are there in every episode, and that can come true.
    fn goals(
        &mut self,
        rooms: &[Room],
        doors: &[Option<Door>],
        entries: &[Option<Entry>],
        names: &Names,
    ) {
        let scenario = self.scenario;
        if scenario.goal.is_empty() || rooms.len() > MAX_ROOMS {
            return;
        }
        let house = all_names(self.catalogue, rooms, doors, entries);
        let unresolved = self.unresolved(doors, entries);
        for goal in &scenario.goal {
            if goal.all.is_empty() || goal.say.trim().is_empty() {
                let span = goal
                    .all
                    .first()
                    .map_or(scenario.schema.span(), Spanned::span);
                let message = format!(
                    "goal \"{}\" (expected words in `say` and at least one fact in `all`)",
                    goal.say
                );
                self.complain(span, message);
            }
            for wish in &goal.all {
                let complaint = match Fact::parse(&house, wish.get_ref()) {
                    // What has an unknown class or rooms is complained about where it is described.
                    Err(FactError::Unknown(name)) if unresolved.contains(&name) => None,
                    Ok(fact) => impossible(fact, &house, names),
                    Err(FactError::Unknown(name)) => {
                        let near = did_you_mean(&name, names.certain.keys().map(String::as_str));
                        Some(format!(
                            "there is no \"{name}\" in this house (expected the name of a room, door or object, found \"{name}\"){near}"
                        ))
                    }
                    Err(error) => Some(error.to_string()),
                };
                if let Some(message) = complaint {
                    self.complain(wish.span(), format!("goal: {message}"));
                }
            }
        }
    }
}

fn door_name(door: &types::Door) -> String {
    let [first, second] = door.between.each_ref().map(Spanned::get_ref);
    let name = door.name.as_ref().map(Spanned::get_ref);
    name.cloned()
        .unwrap_or_else(|| format!("{first} {second} door"))
}

/// "mug", "mug 2", "mug 3", …
pub(super) fn numbered(name: &str, number: u32) -> String {
    if number == 1 {
        name.to_owned()
    } else {
        format!("{name} {number}")
    }
}

/// The floor that must be free so that a walker gets through a door.
pub(super) fn doorway(door: &Door) -> Block {
    let (along, across) = (0.5 * door.width, 0.5 * WALL_THICKNESS + DOORSTEP);
    let half = if door.along_x {
        [along, across]
    } else {
        [across, along]
    };
    let mut block = Block::wall(
        [door.at[0] - half[0], door.at[1] - half[1]],
        [door.at[0] + half[0], door.at[1] + half[1]],
    );
    block.z = [0.0, 2.0];
    block
}

/// Everything that stands on a floor, in the way of a walker, with the index of its entry.
fn standing_blocks(entries: &[Option<Entry>], catalogue: &Catalogue) -> Vec<(usize, Block)> {
    let mut blocks = Vec::new();
    for (i, entry) in entries.iter().enumerate() {
        let Some(entry) = entry else { continue };
        if let Some(Place::At(_, pose)) = entry.places.first() {
            let block = Block::new(catalogue.class(entry.class).size, pose.position, pose.yaw);
            if block.z[0] < WALKER_HEIGHT {
                blocks.push((i, block));
            }
        }
    }
    blocks
}

/// What an object says it lies on or (`true`) in.
fn supports(object: &types::Object) -> impl Iterator<Item = (&Spanned<String>, bool)> {
    let on = object.on.iter().map(|name| (name, false));
    let inside = object.inside.iter().map(|name| (name, true));
    let one_of = object.one_of.iter().map(|place| match place {
        types::Place::On(name) => (name, false),
        types::Place::Inside(name) => (name, true),
    });
    on.chain(inside).chain(one_of)
}

/// What is wrong with an outline, if anything.
fn outline_problem(corners: &[[f32; 2]]) -> Option<String> {
    if !(4..=MAX_CORNERS).contains(&corners.len()) {
        return Some(format!(
            "corners (expected 4 to {MAX_CORNERS}, found {})",
            corners.len()
        ));
    }
    if let Some(c) = corners
        .iter()
        .find(|c| c.iter().any(|v| !v.is_finite() || v.abs() > MAX_COORDINATE))
    {
        return Some(format!(
            "corner (expected numbers up to {MAX_COORDINATE}, found {c:?})"
        ));
    }
    for (a, b) in edges(corners) {
        let (dx, dy) = ((a[0] - b[0]).abs(), (a[1] - b[1]).abs());
        if dx > 0.0 && dy > 0.0 {
            return Some(format!(
                "a wall is neither parallel to x nor to y (expected equal x or equal y, found {} to {})",
                point(a),
                point(b)
            ));
        }
        if dx.max(dy) < 0.1 {
            return Some(format!(
                "a wall is too short (expected at least 0.1 m, found {} to {})",
                point(a),
                point(b)
            ));
        }
    }
    let list: Vec<_> = edges(corners).collect();
    for (i, e) in list.iter().enumerate() {
        for (j, f) in list.iter().enumerate().skip(i + 1) {
            let range = |e: &([f32; 2], [f32; 2]), axis: usize| {
                (e.0[axis].min(e.1[axis]), e.0[axis].max(e.1[axis]))
            };
            let meet = |axis: usize| {
                let ((a, b), (c, d)) = (range(e, axis), range(f, axis));
                (a.max(c), b.min(d))
            };
            let ((x0, x1), (y0, y1)) = (meet(0), meet(1));
            let neighbors = j == i + 1 || (i == 0 && j + 1 == list.len());
            // Neighbors share their corner and no more.
            let crossing = if neighbors {
                x1 - x0 > 0.0 || y1 - y0 > 0.0
            } else {
                true
            };
            if x0 <= x1 && y0 <= y1 && crossing {
                return Some(format!(
                    "two walls of the room meet (expected an outline that does not cross itself, found a crossing at {})",
                    point([x0, y0])
                ));
            }
        }
    }
    if signed_area(corners) <= 0.0 {
        return Some("corners go clockwise (expected counter-clockwise order)".to_owned());
    }
    let (min, max) = bounds(corners);
    if (max[0] - min[0]).min(max[1] - min[1]) < 0.8 {
        return Some(format!(
            "the room is too narrow (expected at least 0.8 m, found {:.2} × {:.2})",
            max[0] - min[0],
            max[1] - min[1]
        ));
    }
    None
}

/// A stretch of wall between two rooms.
struct SharedWall {
    along_x: bool,
    /// The coordinate that stays the same along it, and the range of the other.
    line: f32,
    from: f32,
    to: f32,
}

fn shared_walls(a: &[[f32; 2]], b: &[[f32; 2]]) -> Vec<SharedWall> {
    let mut shared = Vec::new();
    for (p, q) in edges(a) {
        for (r, s) in edges(b) {
            for (along_x, along, across) in [(true, 0, 1), (false, 1, 0)] {
                let flat = |u: [f32; 2], v: [f32; 2]| u[across] == v[across];
                if flat(p, q) && flat(r, s) && (p[across] - r[across]).abs() < 1e-3 {
                    let from = p[along].min(q[along]).max(r[along].min(s[along]));
                    let to = p[along].max(q[along]).min(r[along].max(s[along]));
                    if from < to {
                        shared.push(SharedWall {
                            along_x,
                            line: p[across],
                            from,
                            to,
                        });
                    }
                }
            }
        }
    }
    shared
}

/// A house of everything that an episode can have, to read facts with.
fn all_names(
    catalogue: &Arc<Catalogue>,
    rooms: &[Room],
    doors: &[Option<Door>],
    entries: &[Option<Entry>],
) -> House {
    let entity = |name: String, kind: Kind| Entity {
        name,
        kind,
        footprint: 0.0,
        capacity: [0.0; 2],
    };
    let mut entities: Vec<Entity> = rooms
        .iter()
        .map(|r| entity(r.name.clone(), Kind::Room))
        .collect();
    for door in doors.iter().flatten() {
        let between = door.between.map(|r| EntityId(r as u16));
        entities.push(entity(door.name.clone(), Kind::Door { between }));
    }
    let mut numbers: BTreeMap<&str, u32> = BTreeMap::new();
    for entry in entries.iter().flatten() {
        for _ in 0..entry.count[1] {
            let number = numbers.entry(&entry.name).or_default();
            *number += 1;
            entities.push(entity(
                numbered(&entry.name, *number),
                Kind::Object(entry.class),
            ));
        }
    }
    entities.push(entity(AGENT.to_owned(), Kind::Agent));
    House::new(Arc::clone(catalogue), entities)
}

/// Why a goal can never come true, or not in every episode.
fn impossible(fact: Fact, house: &House, names: &Names) -> Option<String> {
    let has = |id: EntityId, property| house.properties(id).has(property);
    let (about, complaint) = match fact {
        Fact::Is(id, State::Open | State::Closed) => (
            vec![id],
            (!has(id, Property::CanOpen)).then_some("something that can be opened"),
        ),
        Fact::Is(id, State::SwitchedOn | State::SwitchedOff) => (
            vec![id],
            (!has(id, Property::HasSwitch)).then_some("something with a switch"),
        ),
        Fact::Is(id, State::Sitting | State::Lying) => {
            (vec![id], (id != house.agent()).then_some("the agent"))
        }
        Fact::Is(id, State::Clean | State::Dirty) => (vec![id], None),
        Fact::Holds(a, Relation::On, b) if a == house.agent() => {
            let seat = has(b, Property::Sittable) || has(b, Property::Lieable);
            (vec![a, b], (!seat).then_some("something to sit or lie on"))
        }
        Fact::Holds(a, Relation::On, b) => (
            vec![a, b],
            (!has(b, Property::Surfaces)).then_some("something with a surface"),
        ),
        Fact::Holds(a, Relation::Inside, b) => {
            let ok = house.is_room(b) || has(b, Property::Containers);
            (vec![a, b], (!ok).then_some("a room or a container"))
        }
        Fact::Holds(a, Relation::HoldsRh | Relation::HoldsLh, b) => (
            vec![a, b],
            (!has(b, Property::Grabbable)).then_some("something that can be grabbed"),
        ),
        Fact::Holds(a, Relation::Close | Relation::Facing, b) => (vec![a, b], None),
    };
    if let Some(expected) = complaint {
        return Some(format!(
            "`{}` can never be true (expected {expected})",
            fact.text(house)
        ));
    }
    let absent = about
        .into_iter()
        .map(|id| house.name(id))
        .find(|name| names.certain.get(*name) == Some(&false))?;
    Some(format!(
        "\"{absent}\" is not there in every episode (expected something whose count has a high enough `min`)"
    ))
}

fn point(p: [f32; 2]) -> String {
    format!("[{}, {}]", p[0], p[1])
}

fn list(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|n| format!("\"{n}\"")).collect();
    quoted.join(", ")
}
