//! Edits that mean something: from what a person wants to changes of the document's fields.
//!
//! Each function looks at a home and answers with edits; none of them changes anything.

use std::collections::{BTreeMap, BTreeSet};

use sim::catalogue::Class;
use toml_edit::{Array, DocumentMut, InlineTable, Value};

use crate::action::Spot;
use crate::document::{Document, Edit};
use crate::home::{Agent, Home, Object, Place, Room, edges, numbered};
use crate::project::Stands;
use crate::scene::{ItemId, Table};

/// Copies are put this far beside what they are copies of (meters).
const BESIDE: f32 = 0.3;

/// Rounds to a tenth of a millimeter, so that a file never shows how numbers are stored.
pub fn meters(value: f64) -> f64 {
    (value * 1e4).round() / 1e4
}

/// A list of numbers.
pub fn numbers(values: impl IntoIterator<Item = f64>) -> Value {
    Value::Array(values.into_iter().map(meters).collect())
}

/// Sets a field.
pub fn set(item: ItemId, field: impl Into<String>, value: impl Into<Value>) -> Edit {
    Edit::Set {
        item,
        field: field.into(),
        value: value.into(),
    }
}

/// Removes a field.
pub fn unset(item: ItemId, field: impl Into<String>) -> Edit {
    Edit::Unset {
        item,
        field: field.into(),
    }
}

fn object(index: usize) -> ItemId {
    ItemId {
        table: Table::Object,
        index,
    }
}

/// What an object at a point lies on: the highest surface there that takes it; `without` are not considered.
pub fn support_at(
    home: &Home,
    stands: &Stands<'_>,
    class: &Class,
    [x, y]: [f32; 2],
    without: &BTreeSet<usize>,
) -> Option<usize> {
    let mut best: Option<(f32, usize)> = None;
    for (index, support) in home.objects.iter().enumerate() {
        let Some(of) = home.class(support).filter(|_| !without.contains(&index)) else {
            continue;
        };
        let base = stands.of(index);
        let point = crate::project::Stand {
            position: [x, y, 0.0],
            yaw: 0.0,
        };
        let [local_x, local_y, _] = point.within(&base).position;
        for surface in of.surfaces() {
            let over = (local_x - surface.center[0]).abs() <= surface.half[0]
                && (local_y - surface.center[1]).abs() <= surface.half[1];
            let z = base.position[2] + surface.z;
            let higher = best.is_none_or(|(highest, _)| z > highest);
            if over && !surface.inside && surface.takes(class) && higher && support.count == [1, 1]
            {
                best = Some((z, index));
            }
        }
    }
    best.map(|(_, index)| index)
}

/// Fields that say where an object is; it has one of them.
const PLACE_FIELDS: [&str; 5] = ["at", "on", "inside", "one_of", "z"];

/// Puts an object somewhere: the fields for its old place go.
pub fn put(document: &Document, item: ItemId, spot: &Spot) -> Vec<Edit> {
    let (field, value) = match spot {
        Spot::On(name) => ("on", Value::from(name)),
        Spot::Inside(name) => ("inside", Value::from(name)),
        Spot::At(at) => ("at", numbers(*at)),
    };
    let keep_height = field == "at" && document.field(item, "at").is_some();
    let mut edits = Vec::new();
    for old in PLACE_FIELDS {
        let stays = old == field || (old == "z" && keep_height);
        if !stays && document.field(item, old).is_some() {
            edits.push(unset(item, old));
        }
    }
    if field != "at" {
        for old in ["room", "yaw_deg"] {
            if document.field(item, old).is_some() {
                edits.push(unset(item, old));
            }
        }
    }
    edits.push(set(item, field, value));
    edits
}

/// Lets an object also be drawn somewhere.
pub fn put_also(home: &Home, document: &Document, item: ItemId, spot: &Spot) -> Vec<Edit> {
    let place = |on: bool, name: &str| {
        let mut place = InlineTable::new();
        place.insert(if on { "on" } else { "inside" }, name.into());
        Value::InlineTable(place)
    };
    let new = match spot {
        Spot::On(name) => place(true, name),
        Spot::Inside(name) => place(false, name),
        Spot::At(_) => return Vec::new(),
    };
    let places = home.objects.get(item.index).map_or(&[][..], |o| &o.places);
    if document.field(item, "one_of").is_some() {
        return vec![set(item, format!("one_of.{}", places.len()), new)];
    }
    let mut list = Array::new();
    for old in places {
        match old {
            Place::On(name) => list.push(place(true, name)),
            Place::Inside(name) => list.push(place(false, name)),
            Place::At(_) => {}
        }
    }
    list.push(new);
    let old = PLACE_FIELDS
        .iter()
        .filter(|f| document.field(item, f).is_some());
    let mut edits: Vec<Edit> = old.map(|field| unset(item, *field)).collect();
    edits.push(set(item, "one_of", Value::Array(list)));
    edits
}

/// A new object's fields.
pub fn object_body(class: &str, spot: &Spot) -> String {
    let mut tree = DocumentMut::new();
    tree["class"] = toml_edit::value(class);
    let (field, value) = match spot {
        Spot::On(name) => ("on", Value::from(name)),
        Spot::Inside(name) => ("inside", Value::from(name)),
        Spot::At(at) => ("at", numbers(*at)),
    };
    tree[field] = toml_edit::value(value);
    tree.to_string()
}

/// Moves entries by (x, y, z) meters. Rooms take along what stands in them and the doors of their walls; what lies on or in
/// others is not moved here.
pub fn shift(
    home: &Home,
    stands: &Stands<'_>,
    items: &BTreeSet<ItemId>,
    by: [f64; 3],
) -> Vec<Edit> {
    let mut moved: BTreeSet<ItemId> = items.clone();
    for item in items.iter().filter(|i| i.table == Table::Room) {
        if let Some(room) = home.rooms.get(item.index) {
            moved.extend(contents(home, stands, room));
        }
    }
    let mut edits = Vec::new();
    let plus = |[x, y]: [f32; 2]| numbers([f64::from(x) + by[0], f64::from(y) + by[1]]);
    for item in moved {
        match item.table {
            Table::Room => {
                let Some(room) = home.rooms.get(item.index) else {
                    continue;
                };
                for (i, corner) in room.corners.iter().enumerate() {
                    edits.push(set(item, format!("corners.{i}"), plus(*corner)));
                }
            }
            Table::Door => {
                if let Some(at) = home.doors.get(item.index).and_then(|d| d.at) {
                    edits.push(set(item, "at", plus(at)));
                }
            }
            Table::Object => {
                let Some(object) = home.objects.get(item.index) else {
                    continue;
                };
                if let [Place::At(at)] = object.places[..] {
                    edits.push(set(item, "at", plus(at)));
                    if by[2] != 0.0 {
                        let z = meters((f64::from(object.z) + by[2]).max(0.0));
                        edits.push(set(item, "z", z));
                    }
                }
            }
            Table::Agent => match home.agents.get(item.index) {
                Some(Agent::Walker { at: Some(at), .. }) => {
                    edits.push(set(item, "body.walker.at", plus(*at)));
                }
                Some(Agent::Hand { at: Some(at), .. }) => {
                    let at = [0, 1, 2].map(|i| f64::from(at[i]) + by[i]);
                    edits.push(set(item, "body.hand.at", numbers(at)));
                }
                _ => {}
            },
            Table::Goal => {}
        }
    }
    edits
}

/// What stands in a room, and the doors of its walls.
fn contents(home: &Home, stands: &Stands<'_>, room: &Room) -> Vec<ItemId> {
    let within = |[x, y]: [f32; 2]| crate::home::contains(&room.corners, [x, y]);
    let mut found = Vec::new();
    for (index, thing) in home.objects.iter().enumerate() {
        let [x, y, _] = stands.of(index).position;
        if matches!(thing.places[..], [Place::At(_)]) && within([x, y]) {
            found.push(object(index));
        }
    }
    let item = |table, index| ItemId { table, index };
    for (index, door) in home.doors.iter().enumerate() {
        if door.between.contains(&room.name) {
            found.push(item(Table::Door, index));
        }
    }
    for (index, agent) in home.agents.iter().enumerate() {
        let at = match agent {
            Agent::Walker { at, .. } => *at,
            Agent::Hand { at, .. } => at.map(|[x, y, _]| [x, y]),
            Agent::Other => None,
        };
        if at.is_some_and(within) {
            found.push(item(Table::Agent, index));
        }
    }
    found
}

/// Turns entries by degrees, or to an angle.
pub fn turn(home: &Home, items: &BTreeSet<ItemId>, degrees: f64, to: bool) -> Vec<Edit> {
    let mut edits = Vec::new();
    for &item in items {
        let (field, old) = match item.table {
            Table::Object => match home.objects.get(item.index) {
                Some(object) if matches!(object.places[..], [Place::At(_)]) => {
                    ("yaw_deg", object.yaw_deg)
                }
                _ => continue,
            },
            Table::Agent => match home.agents.get(item.index) {
                Some(Agent::Hand { yaw_deg, .. }) => ("body.hand.yaw_deg", *yaw_deg),
                _ => continue,
            },
            _ => continue,
        };
        let from = if to { 0.0 } else { f64::from(old) };
        let yaw = meters((from + degrees).rem_euclid(360.0));
        edits.push(set(item, field, yaw));
    }
    edits
}

/// Gives an entry a name, and everything that mentions it; names that shift because of it are followed too.
pub fn rename(home: &Home, item: ItemId, to: &str) -> Vec<Edit> {
    let mut new = home.clone();
    let name = Some(to.to_owned());
    let mut titles = BTreeMap::new();
    match item.table {
        Table::Object => {
            if let Some(object) = new.objects.get_mut(item.index) {
                object.name = name;
            }
        }
        Table::Door => {
            if let Some(door) = new.doors.get_mut(item.index) {
                door.name = name;
            }
        }
        Table::Room => {
            if let Some(room) = new.rooms.get_mut(item.index) {
                let old = std::mem::replace(&mut room.name, to.to_owned());
                // Doors without a name are called after their rooms.
                let between = new.doors.iter_mut().flat_map(|d| &mut d.between);
                for room in between.filter(|room| **room == old) {
                    to.clone_into(room);
                }
                titles.insert(old, to.to_owned());
            }
        }
        Table::Agent | Table::Goal => {}
    }
    new.entitle();
    let objects = home.objects.iter().map(|o| &o.title);
    let new_objects = new.objects.iter().map(|o| &o.title);
    let doors = home.doors.iter().map(|d| &d.title);
    let new_doors = new.doors.iter().map(|d| &d.title);
    let pairs = objects.zip(new_objects).chain(doors.zip(new_doors));
    titles.extend(pairs.map(|(old, new)| (old.clone(), new.clone())));
    titles.retain(|old, new| old != new);
    let mut edits = vec![set(item, "name", to)];
    edits.extend(mentions(home, &titles));
    edits
}

/// Edits that replace names wherever they are mentioned, all at once: names may change places.
fn mentions(home: &Home, names: &BTreeMap<String, String>) -> Vec<Edit> {
    let mut edits = Vec::new();
    if names.is_empty() {
        return edits;
    }
    let item = |table, index| ItemId { table, index };
    for (index, door) in home.doors.iter().enumerate() {
        for (i, room) in door.between.iter().enumerate() {
            if let Some(to) = names.get(room) {
                edits.push(set(item(Table::Door, index), format!("between.{i}"), to));
            }
        }
    }
    for (index, object) in home.objects.iter().enumerate() {
        let id = item(Table::Object, index);
        if let Some(to) = object.room.as_ref().and_then(|r| names.get(r)) {
            edits.push(set(id, "room", to));
        }
        for (i, place) in object.places.iter().enumerate() {
            let (field, name) = match place {
                Place::On(name) => ("on", name),
                Place::Inside(name) => ("inside", name),
                Place::At(_) => continue,
            };
            if let Some(to) = names.get(name) {
                let field = if object.drawn {
                    format!("one_of.{i}.{field}")
                } else {
                    field.to_owned()
                };
                edits.push(set(id, field, to));
            }
        }
    }
    for (index, agent) in home.agents.iter().enumerate() {
        if let Agent::Walker { room, .. } = agent
            && let Some(to) = names.get(room)
        {
            edits.push(set(item(Table::Agent, index), "body.walker.room", to));
        }
    }
    for (index, goal) in home.goals.iter().enumerate() {
        for (i, fact) in goal.all.iter().enumerate() {
            let renamed = renamed_fact(fact, names);
            if renamed != *fact {
                edits.push(set(item(Table::Goal, index), format!("all.{i}"), renamed));
            }
        }
    }
    edits
}

/// A fact is `subject WORD` or `subject WORD object`, with the word in capitals.
fn renamed_fact(fact: &str, names: &BTreeMap<String, String>) -> String {
    let words: Vec<&str> = fact.split_whitespace().collect();
    let capitals = |w: &&str| w.chars().all(|c| c.is_ascii_uppercase() || c == '_');
    let Some(at) = words.iter().position(capitals) else {
        return fact.to_owned();
    };
    let name = |words: &[&str]| {
        let old = words.join(" ");
        names.get(&old).cloned().unwrap_or(old)
    };
    let mut text = format!("{} {}", name(&words[..at]), words[at]);
    if at + 1 < words.len() {
        text.push(' ');
        text.push_str(&name(&words[at + 1..]));
    }
    text
}

/// Removes entries. What can only be on or in a removed object goes with it, and what stands in a removed room with its
/// doors; of several places, those that are gone are dropped. Goals stay: what is wanted is for a person to say.
pub fn delete(home: &Home, stands: &Stands<'_>, items: &BTreeSet<ItemId>) -> Vec<Edit> {
    let mut gone = items.clone();
    for item in items.iter().filter(|i| i.table == Table::Room) {
        if let Some(room) = home.rooms.get(item.index) {
            let inside = contents(home, stands, room);
            gone.extend(inside.into_iter().filter(|i| i.table != Table::Agent));
        }
    }
    let objects = |gone: &BTreeSet<ItemId>| {
        let objects = gone.iter().filter(|i| i.table == Table::Object);
        objects.map(|i| i.index).collect::<Vec<usize>>()
    };
    gone.extend(home.depend_on(&objects(&gone)).into_iter().map(object));
    let removed: BTreeSet<usize> = objects(&gone).into_iter().collect();
    // Objects without a name are numbered: those behind a removed one get another number.
    let mut new = home.clone();
    let mut index = 0..;
    new.objects
        .retain(|_| index.next().is_some_and(|i| !removed.contains(&i)));
    new.entitle();
    let left = home.objects.iter().enumerate();
    let left = left.filter(|(i, _)| !removed.contains(i));
    let pairs = left.zip(&new.objects);
    let titles = pairs.map(|((_, old), new)| (old.title.clone(), new.title.clone()));
    let titles = titles.filter(|(old, new)| old != new).collect();
    let mut edits = mentions(home, &titles);
    for (index, thing) in home.objects.iter().enumerate() {
        if removed.contains(&index) || thing.places.len() < 2 {
            continue;
        }
        // From the last one on: those before keep their numbers.
        for (i, place) in thing.places.iter().enumerate().rev() {
            if let Place::On(name) | Place::Inside(name) = place
                && home.find(name).is_some_and(|s| removed.contains(&s))
            {
                edits.push(unset(object(index), format!("one_of.{i}")));
            }
        }
    }
    edits.extend(gone.iter().rev().map(|item| Edit::Remove(*item)));
    edits
}

/// The fields of an entry as text, without a header.
pub fn body(document: &Document, item: ItemId) -> Option<String> {
    let fields = document.item(item)?;
    let mut table = toml_edit::Table::new();
    for (key, value) in fields.iter() {
        let mut value = value.clone();
        if let Some(value) = value.as_value_mut() {
            // Comments stay with the original.
            value.decor_mut().clear();
        }
        table.insert(key, value);
    }
    Some(DocumentMut::from(table).to_string())
}

/// Adds a copy of each entry beside it; where the copies will be.
pub fn duplicate(
    document: &Document,
    home: &Home,
    items: &BTreeSet<ItemId>,
) -> (Vec<Edit>, Vec<ItemId>) {
    let mut edits = Vec::new();
    let mut copies = Vec::new();
    let mut names = all_names(home);
    // From the last one on: those before keep their places.
    for &item in items.iter().rev() {
        let Some(body) = body(document, item) else {
            continue;
        };
        let copy = copied(home, item, &body, &mut names);
        let index = match item.table {
            // Objects without a name are numbered in the order of the file: a copy comes last.
            Table::Object if home.objects[item.index].name.is_none() => {
                let class = &home.objects[item.index].class;
                let same = |o: &Object| o.name.is_none() && o.class == *class;
                home.objects.iter().rposition(same).unwrap_or(item.index) + 1
            }
            _ => item.index + 1,
        };
        edits.push(Edit::Insert {
            table: item.table,
            index,
            body: copy,
        });
        let new = ItemId {
            table: item.table,
            index,
        };
        for earlier in &mut copies {
            let earlier: &mut ItemId = earlier;
            if earlier.table == new.table && earlier.index >= new.index {
                earlier.index += 1;
            }
        }
        copies.push(new);
    }
    // Several copies of one class go to one place: their order is that of insertion.
    (edits, copies)
}

/// The fields of a copy: a name of its own, a little beside.
pub fn copied(home: &Home, item: ItemId, body: &str, names: &mut BTreeSet<String>) -> String {
    let Ok(mut tree) = body.parse::<DocumentMut>() else {
        return body.to_owned();
    };
    if let Some(name) = tree.get("name").and_then(|n| n.as_str()) {
        let name = unique(name, names);
        tree["name"] = toml_edit::value(&name);
        names.insert(name);
    }
    let beside = f64::from(BESIDE);
    match item.table {
        Table::Object | Table::Door => {
            let at = tree.get_mut("at").and_then(|at| at.as_array_mut());
            if let Some(at) = at {
                let moved = at.iter().map(|v| number(v).unwrap_or(0.0) + beside);
                let moved: Vec<f64> = moved.map(meters).collect();
                *at = Array::from_iter(moved);
            }
        }
        Table::Room => {
            let widest = home.rooms.iter().flat_map(|r| &r.corners).map(|c| c[0]);
            let right = widest.fold(f32::NEG_INFINITY, f32::max);
            let own = home.rooms.get(item.index);
            let left = own.map_or(0.0, |r| {
                r.corners.iter().map(|c| c[0]).fold(f32::INFINITY, f32::min)
            });
            let by = f64::from(right - left);
            let corners = tree.get_mut("corners").and_then(|c| c.as_array_mut());
            for corner in corners.into_iter().flat_map(|c| c.iter_mut()) {
                if let Some(x) = corner.as_array_mut().and_then(|c| c.get_mut(0))
                    && let Some(old) = number(x)
                {
                    *x = meters(old + by).into();
                }
            }
        }
        Table::Agent | Table::Goal => {}
    }
    tree.to_string()
}

fn number(value: &Value) -> Option<f64> {
    value
        .as_float()
        .or_else(|| value.as_integer().map(|i| i as f64))
}

/// Every name that is taken.
pub fn all_names(home: &Home) -> BTreeSet<String> {
    let rooms = home.rooms.iter().map(|r| r.name.clone());
    let doors = home.doors.iter().map(|d| d.title.clone());
    let objects = home.objects.iter().map(|o| o.title.clone());
    let mut names: BTreeSet<String> = rooms.chain(doors).chain(objects).collect();
    names.insert("agent".to_owned());
    names
}

/// A name like this one that is not taken: with the next free number.
pub fn unique(name: &str, names: &BTreeSet<String>) -> String {
    let base = match name.rsplit_once(' ') {
        Some((base, number)) if number.parse::<u32>().is_ok() => base,
        _ => name,
    };
    let mut number = 1;
    loop {
        let candidate = numbered(base, number);
        if !names.contains(&candidate) {
            return candidate;
        }
        number += 1;
    }
}

/// A new room's fields.
pub fn room_body(name: &str, a: [f64; 2], b: [f64; 2]) -> String {
    let (low, high) = (
        [a[0].min(b[0]), a[1].min(b[1])],
        [a[0].max(b[0]), a[1].max(b[1])],
    );
    let corners = [low, [high[0], low[1]], high, [low[0], high[1]]];
    let mut tree = DocumentMut::new();
    tree["name"] = toml_edit::value(name);
    tree["corners"] = toml_edit::value(Array::from_iter(corners.map(numbers)));
    tree.to_string()
}

/// Moves a corner of a room; the walls on both sides of it stay along the axes.
pub fn move_corner(room: &Room, item: ItemId, corner: usize, to: [f64; 2]) -> Vec<Edit> {
    let moved = corner_moved(room, corner, to).into_iter();
    moved
        .map(|(corner, to)| set(item, format!("corners.{corner}"), numbers(to)))
        .collect()
}

/// Where the corners of a room go that move when one is moved: each with its place (x, y) in meters.
pub fn corner_moved(room: &Room, corner: usize, to: [f64; 2]) -> Vec<(usize, [f64; 2])> {
    let corners = &room.corners;
    let count = corners.len();
    let Some(&at) = corners.get(corner).filter(|_| count >= 3) else {
        return Vec::new();
    };
    let mut moved = vec![(corner, to)];
    for beside in [(corner + count - 1) % count, (corner + 1) % count] {
        let old = corners[beside];
        let along_x = (old[0] - at[0]).abs() > (old[1] - at[1]).abs();
        let mut new = old.map(f64::from);
        if along_x {
            new[1] = to[1];
        } else {
            new[0] = to[0];
        }
        moved.push((beside, new));
    }
    moved
}

/// Moves a wall of a room outward.
pub fn move_wall(room: &Room, item: ItemId, wall: usize, by: f64) -> Vec<Edit> {
    let count = room.corners.len();
    let Some(&a) = room.corners.get(wall).filter(|_| count >= 3) else {
        return Vec::new();
    };
    let next = (wall + 1) % count;
    let b = room.corners[next];
    let area: f32 = edges(&room.corners)
        .map(|(a, b)| a[0] * b[1] - b[0] * a[1])
        .sum();
    let way = [b[0] - a[0], b[1] - a[1]].map(f64::from);
    let length = way[0].hypot(way[1]).max(1e-6) * f64::from(area.signum());
    let out = [way[1] / length * by, -way[0] / length * by];
    let moved = |c: [f32; 2]| numbers([f64::from(c[0]) + out[0], f64::from(c[1]) + out[1]]);
    vec![
        set(item, format!("corners.{wall}"), moved(a)),
        set(item, format!("corners.{next}"), moved(b)),
    ]
}

/// A new door's fields, on the wall between two rooms that is nearest to a point and long enough.
pub fn door_body(home: &Home, at: [f64; 2], width: f64) -> Option<String> {
    let need = 0.5 * (width + f64::from(sim::scenario::WALL_THICKNESS));
    let mut best: Option<(f64, [f64; 2], [usize; 2])> = None;
    for (i, first) in home.rooms.iter().enumerate() {
        for (j, second) in home.rooms.iter().enumerate().skip(i + 1) {
            for (a, b) in edges(&first.corners) {
                for (c, d) in edges(&second.corners) {
                    let Some((line, along_x, from, to)) = shared(a, b, c, d) else {
                        continue;
                    };
                    let (from, to) = (from + need, to - need);
                    if from > to {
                        continue;
                    }
                    let point = if along_x {
                        [at[0].clamp(from, to), line]
                    } else {
                        [line, at[1].clamp(from, to)]
                    };
                    let distance = (point[0] - at[0]).hypot(point[1] - at[1]);
                    if best.is_none_or(|(nearest, ..)| distance < nearest) {
                        best = Some((distance, point, [i, j]));
                    }
                }
            }
        }
    }
    let (_, point, between) = best?;
    let mut tree = DocumentMut::new();
    let names = between.map(|i| home.rooms[i].name.as_str());
    tree["between"] = toml_edit::value(Array::from_iter(names));
    tree["at"] = toml_edit::value(numbers(point));
    if (width - 0.9).abs() > 1e-6 {
        tree["width"] = toml_edit::value(meters(width));
    }
    Some(tree.to_string())
}

/// The stretch that two edges share: its line, whether it runs along x, and its ends.
fn shared(a: [f32; 2], b: [f32; 2], c: [f32; 2], d: [f32; 2]) -> Option<(f64, bool, f64, f64)> {
    let along_x = |a: [f32; 2], b: [f32; 2]| (a[1] - b[1]).abs() < 1e-3;
    let axis = usize::from(!along_x(a, b));
    let straight =
        (a[1 - axis] - b[1 - axis]).abs() < 1e-3 && (c[1 - axis] - d[1 - axis]).abs() < 1e-3;
    if !straight || (a[1 - axis] - c[1 - axis]).abs() > 0.01 {
        return None;
    }
    let from = a[axis].min(b[axis]).max(c[axis].min(d[axis]));
    let to = a[axis].max(b[axis]).min(c[axis].max(d[axis]));
    let found = (
        f64::from(a[1 - axis]),
        axis == 0,
        f64::from(from),
        f64::from(to),
    );
    (to > from).then_some(found)
}
