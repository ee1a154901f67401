//! What a document says about a home, as far as it can be understood: every field may be missing or of the wrong kind.
//!
//! Checking is the scenario's own business; this is what is shown and edited while a home is not finished.

use std::collections::BTreeMap;
use std::sync::Arc;

use sim::catalogue::{Catalogue, Class};
use toml_edit::{Item, TableLike, Value};

use crate::document::Document;
use crate::scene::{ItemId, Table};

/// A home as the document has it; each list in the order of the file, with every entry of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Home {
    /// Classes of objects.
    pub catalogue: Arc<Catalogue>,
    /// `[[room]]`
    pub rooms: Vec<Room>,
    /// `[[door]]`
    pub doors: Vec<Door>,
    /// `[[object]]`
    pub objects: Vec<Object>,
    /// `[[agent]]`
    pub agents: Vec<Agent>,
    /// `[[goal]]`
    pub goals: Vec<Goal>,
    by_title: BTreeMap<String, usize>,
}

/// A room.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Room {
    /// Its name.
    pub name: String,
    /// Its corners (x, y) in meters.
    pub corners: Vec<[f32; 2]>,
    /// Height of its walls in meters.
    pub height: f32,
}

/// A door.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Door {
    /// Its own name.
    pub name: Option<String>,
    /// Its name, or the one that it has without one.
    pub title: String,
    /// The rooms that it joins.
    pub between: Vec<String>,
    /// Its middle (x, y) in meters.
    pub at: Option<[f32; 2]>,
    /// Its width in meters.
    pub width: f32,
    /// Whether it is open.
    pub open: bool,
}

/// An object.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Object {
    /// Its own name.
    pub name: Option<String>,
    /// Its name, or the one that it has without one.
    pub title: String,
    /// Its class as it is written.
    pub class: String,
    /// Where it can be; of several, one is drawn.
    pub places: Vec<Place>,
    /// Whether they are written as a list of which one is drawn.
    pub drawn: bool,
    /// Its room as it is written.
    pub room: Option<String>,
    /// Height of its lowest face above the floor in meters.
    pub z: f32,
    /// Rotation about z in degrees.
    pub yaw_deg: f32,
    /// Fewest and most.
    pub count: [u32; 2],
    /// Whether it starts open.
    pub open: bool,
}

/// A place of an object.
#[derive(Clone, Debug, PartialEq)]
pub enum Place {
    /// On the floor or on a wall, (x, y) in meters.
    At([f32; 2]),
    /// On the object of that name.
    On(String),
    /// Inside the object of that name.
    Inside(String),
}

/// Who acts.
#[derive(Clone, Debug, PartialEq)]
pub enum Agent {
    /// A person.
    Walker {
        /// The room that it starts in.
        room: String,
        /// Where it starts (x, y) in meters.
        at: Option<[f32; 2]>,
    },
    /// A hand on an arm.
    Hand {
        /// Its first joint in meters.
        at: Option<[f32; 3]>,
        /// Rotation about z in degrees.
        yaw_deg: f32,
        /// `myohand` or `robot`.
        model: String,
    },
    /// Neither of them.
    Other,
}

/// Something wanted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Goal {
    /// In words.
    pub say: String,
    /// The facts that must hold.
    pub all: Vec<String>,
}

impl Home {
    /// Reads a document.
    pub fn read(document: &Document) -> Self {
        let entries = |table: Table| {
            (0..document.len(table)).map(move |index| document.item(ItemId { table, index }))
        };
        let mut home = Self {
            catalogue: Catalogue::standard(),
            rooms: entries(Table::Room).map(room).collect(),
            doors: entries(Table::Door).map(door).collect(),
            objects: entries(Table::Object).map(object).collect(),
            agents: entries(Table::Agent).map(agent).collect(),
            goals: entries(Table::Goal).map(goal).collect(),
            by_title: BTreeMap::new(),
        };
        home.entitle();
        home
    }

    /// Gives every door and object the title that follows from the names and classes as they are now.
    pub(crate) fn entitle(&mut self) {
        for door in &mut self.doors {
            let name = door.name.clone();
            door.title = name.unwrap_or_else(|| format!("{} door", door.between.join(" ")));
        }
        let mut numbers: BTreeMap<String, u32> = BTreeMap::new();
        self.by_title.clear();
        for (index, object) in self.objects.iter_mut().enumerate() {
            let base = object.name.as_ref().unwrap_or(&object.class);
            let number = numbers.entry(base.clone()).or_default();
            object.title = numbered(base, *number + 1);
            *number += object.count[1].clamp(1, 100);
            self.by_title.entry(object.title.clone()).or_insert(index);
        }
    }

    /// The object of that name, by its place in the file.
    pub fn find(&self, title: &str) -> Option<usize> {
        self.by_title.get(title).copied()
    }

    /// The class of an object, if there is one of that name.
    pub fn class(&self, object: &Object) -> Option<&Class> {
        let id = self.catalogue.find(&object.class)?;
        Some(self.catalogue.class(id))
    }

    /// Name to show for an entry.
    pub fn title(&self, item: ItemId) -> String {
        let found = match item.table {
            Table::Room => self.rooms.get(item.index).map(|r| r.name.clone()),
            Table::Door => self.doors.get(item.index).map(|d| d.title.clone()),
            Table::Object => self.objects.get(item.index).map(|o| o.title.clone()),
            Table::Goal => self.goals.get(item.index).map(|g| g.say.clone()),
            Table::Agent => self.agents.get(item.index).map(|agent| {
                let name = match agent {
                    Agent::Walker { .. } => "walker",
                    Agent::Hand { model, .. } if model == "robot" => "robot hand",
                    Agent::Hand { .. } => "hand",
                    Agent::Other => "agent",
                };
                name.to_owned()
            }),
        };
        found
            .filter(|title| !title.is_empty())
            .unwrap_or_else(|| format!("{}:{}", item.table.name(), item.index))
    }

    /// The entry that a name, or a table and a number, stands for.
    pub fn resolve(&self, text: &str) -> Option<ItemId> {
        let item = |table, index| ItemId { table, index };
        if let Some(index) = self.find(text) {
            return Some(item(Table::Object, index));
        }
        if let Some(index) = self.rooms.iter().position(|r| r.name == text) {
            return Some(item(Table::Room, index));
        }
        if let Some(index) = self.doors.iter().position(|d| d.title == text) {
            return Some(item(Table::Door, index));
        }
        let (table, index) = text.split_once(':')?;
        let table = Table::ALL.into_iter().find(|t| t.name() == table)?;
        let index = index.parse().ok()?;
        (index < self.len(table)).then_some(item(table, index))
    }

    /// How many entries a table has.
    pub fn len(&self, table: Table) -> usize {
        match table {
            Table::Room => self.rooms.len(),
            Table::Door => self.doors.len(),
            Table::Object => self.objects.len(),
            Table::Agent => self.agents.len(),
            Table::Goal => self.goals.len(),
        }
    }

    /// Whether it has no entries at all.
    pub fn is_empty(&self) -> bool {
        Table::ALL.iter().all(|table| self.len(*table) == 0)
    }

    /// The room that a point lies in.
    pub fn room_at(&self, point: [f32; 2]) -> Option<usize> {
        self.rooms.iter().position(|r| contains(&r.corners, point))
    }

    /// What an object lies on or in, if it can only be there.
    pub fn parent(&self, index: usize) -> Option<usize> {
        match self.objects.get(index)?.places.first()? {
            Place::On(name) | Place::Inside(name) => self.find(name).filter(|p| *p != index),
            Place::At(_) => None,
        }
    }

    /// Objects that can lie on or in another and, without it, nowhere.
    pub fn depend_on(&self, parents: &[usize]) -> Vec<usize> {
        let mut all = parents.to_vec();
        loop {
            let leads = |place: &Place| match place {
                Place::On(name) | Place::Inside(name) => {
                    self.find(name).is_some_and(|p| all.contains(&p))
                }
                Place::At(_) => false,
            };
            let depends = |(index, object): &(usize, &Object)| {
                !all.contains(index) && !object.places.is_empty() && object.places.iter().all(leads)
            };
            let objects = self.objects.iter().enumerate();
            let more: Vec<usize> = objects.filter(depends).map(|(index, _)| index).collect();
            if more.is_empty() {
                break;
            }
            all.extend(more);
        }
        all.split_off(parents.len())
    }
}

/// "mug", "mug 2", "mug 3", …
pub(crate) fn numbered(name: &str, number: u32) -> String {
    if number == 1 {
        name.to_owned()
    } else {
        format!("{name} {number}")
    }
}

/// Whether a point lies within an outline (even-odd rule).
pub(crate) fn contains(corners: &[[f32; 2]], [x, y]: [f32; 2]) -> bool {
    edges(corners).fold(false, |inside, (a, b)| {
        let crosses = (a[1] > y) != (b[1] > y);
        inside ^ (crosses && x < (b[0] - a[0]) * (y - a[1]) / (b[1] - a[1]) + a[0])
    })
}

/// Edges of an outline: (start, end).
pub(crate) fn edges(corners: &[[f32; 2]]) -> impl Iterator<Item = ([f32; 2], [f32; 2])> {
    let next = corners.iter().cycle().skip(1);
    corners.iter().copied().zip(next.copied())
}

fn room(entry: Option<&dyn TableLike>) -> Room {
    Room {
        name: text(entry, "name").unwrap_or_default(),
        corners: get(entry, "corners")
            .and_then(Item::as_array)
            .map(|list| list.iter().filter_map(point).collect())
            .unwrap_or_default(),
        height: number(entry, "height").unwrap_or(2.5).clamp(0.1, 20.0),
    }
}

fn door(entry: Option<&dyn TableLike>) -> Door {
    Door {
        name: text(entry, "name"),
        title: String::new(),
        between: texts(entry, "between"),
        at: get(entry, "at").and_then(Item::as_value).and_then(point),
        width: number(entry, "width").unwrap_or(0.9).clamp(0.1, 10.0),
        open: number(entry, "open").unwrap_or(1.0) > 0.5,
    }
}

fn object(entry: Option<&dyn TableLike>) -> Object {
    let mut places = Vec::new();
    let mut add = |on: Option<String>, inside: Option<String>| {
        places.extend(on.map(Place::On));
        places.extend(inside.map(Place::Inside));
    };
    add(text(entry, "on"), text(entry, "inside"));
    for place in get(entry, "one_of")
        .and_then(Item::as_array)
        .into_iter()
        .flatten()
    {
        let of = |key| {
            let value = place.as_inline_table()?.get(key)?;
            value.as_str().map(str::to_owned)
        };
        add(of("on"), of("inside"));
    }
    let at = get(entry, "at").and_then(Item::as_value).and_then(point);
    places.extend(at.map(Place::At));
    let count = get(entry, "count").and_then(Item::as_table_like);
    let bound = |key| {
        let value = count?.get(key)?.as_integer()?;
        u32::try_from(value).ok()
    };
    let max = bound("max").unwrap_or(1).min(20);
    Object {
        name: text(entry, "name"),
        title: String::new(),
        class: text(entry, "class").unwrap_or_default(),
        places,
        drawn: get(entry, "one_of").is_some(),
        room: text(entry, "room"),
        z: number(entry, "z").unwrap_or(0.0),
        yaw_deg: number(entry, "yaw_deg").unwrap_or(0.0),
        count: [bound("min").unwrap_or(max).min(max), max],
        open: get(entry, "open").and_then(Item::as_bool) == Some(true),
    }
}

fn agent(entry: Option<&dyn TableLike>) -> Agent {
    let body = get(entry, "body").and_then(Item::as_table_like);
    let of = |name| body.and_then(|b| b.get(name)?.as_table_like());
    if let Some(walker) = of("walker") {
        return Agent::Walker {
            room: text(Some(walker), "room").unwrap_or_default(),
            at: walker.get("at").and_then(Item::as_value).and_then(point),
        };
    }
    let Some(hand) = of("hand") else {
        return Agent::Other;
    };
    let at = hand.get("at").and_then(Item::as_array).and_then(|list| {
        let mut numbers = list.iter().map(float);
        Some([numbers.next()??, numbers.next()??, numbers.next()??])
    });
    Agent::Hand {
        at,
        yaw_deg: number(Some(hand), "yaw_deg").unwrap_or(0.0),
        model: text(Some(hand), "model").unwrap_or_default(),
    }
}

fn goal(entry: Option<&dyn TableLike>) -> Goal {
    Goal {
        say: text(entry, "say").unwrap_or_default(),
        all: texts(entry, "all"),
    }
}

fn get<'a>(entry: Option<&'a dyn TableLike>, field: &str) -> Option<&'a Item> {
    entry?.get(field)
}

fn text(entry: Option<&dyn TableLike>, field: &str) -> Option<String> {
    get(entry, field)?.as_str().map(str::to_owned)
}

fn texts(entry: Option<&dyn TableLike>, field: &str) -> Vec<String> {
    let list = get(entry, field).and_then(Item::as_array);
    let texts = list.into_iter().flatten().filter_map(Value::as_str);
    texts.map(str::to_owned).collect()
}

/// Numbers that no home has would only break what draws it.
fn float(value: &Value) -> Option<f32> {
    let number = value
        .as_float()
        .or_else(|| value.as_integer().map(|i| i as f64))?;
    (number.abs() < 1e5).then_some(number as f32)
}

fn number(entry: Option<&dyn TableLike>, field: &str) -> Option<f32> {
    float(get(entry, field)?.as_value()?)
}

fn point(value: &Value) -> Option<[f32; 2]> {
    let mut numbers = value.as_array()?.iter().map(float);
    Some([numbers.next()??, numbers.next()??])
}
