//! What kinds of things there are: size, mass, shape and affordances of every object class.
//!
//! The catalogue is data (`assets/objects/*.toml`); adding a class is adding a line there. Frame of a class: the origin
//! lies in the middle of its footprint on its lowest face, x points out of its front, z up. Metres and kilograms.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use serde::{Deserialize, Serialize};
use toml::Spanned;

use crate::problem::{InputError, Problem};

/// Index of a class in its [`Catalogue`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClassId(pub u16);

/// What can be done with an object (VirtualHome's properties, `household.md` names).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[repr(u8)]
#[expect(
    missing_docs,
    reason = "the names are VirtualHome's and say what they mean"
)]
pub enum Property {
    Surfaces,
    Grabbable,
    Sittable,
    Lieable,
    Hangable,
    Drinkable,
    Eatable,
    Recipient,
    Cuttable,
    Pourable,
    CanOpen,
    HasSwitch,
    Readable,
    Lookable,
    Containers,
    Clothes,
    HasPlug,
    HasPaper,
    Movable,
    Cream,
    CoverObject,
}

/// A set of [`Property`], one bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Properties(pub u32);

impl Properties {
    /// Whether `property` is in the set.
    pub fn has(self, property: Property) -> bool {
        self.0 & (1 << property as u32) != 0
    }
}

impl FromIterator<Property> for Properties {
    fn from_iter<I: IntoIterator<Item = Property>>(properties: I) -> Self {
        Self(properties.into_iter().fold(0, |set, p| set | 1 << p as u32))
    }
}

/// Solid form of a class, inside the box `size`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Shape {
    /// A solid box; its top face is a surface if the class has SURFACES.
    Box {},
    /// An upright solid cylinder of diameter `size[0]`.
    Cylinder {},
    /// A solid ball of diameter `size[0]`.
    Ball {},
    /// A slab on four legs; the slab's top face is a surface.
    Table {
        /// Thickness of the slab.
        top: f32,
        /// Side length of a leg's square section.
        leg: f32,
    },
    /// A seat with a back rest on the side of -x; the seat face is a surface.
    Seat {
        /// Height of the seat face.
        seat: f32,
        /// Thickness of the back rest; 0 for none.
        back: f32,
    },
    /// Open shelves: boards between two sides and a back; every board and the top are surfaces.
    Shelves {
        /// Number of boards below the top, at least 1, evenly spaced from the floor board up.
        boards: u8,
        /// Thickness of boards and sides.
        wall: f32,
    },
    /// A hollow body closed by a part that moves; what lies in it is INSIDE.
    Cabinet {
        /// Thickness of the walls.
        wall: f32,
        /// What closes it.
        front: Front,
        /// Height of the inner floor above the lowest face.
        floor: f32,
        /// Height of the opening's upper edge; the body above it is solid.
        ceiling: f32,
    },
    /// A hollow body open at the top (basin, basket, bowl, box); what lies in it is INSIDE.
    Bin {
        /// Thickness of walls and floor.
        wall: f32,
        /// Height of the inner floor above the lowest face.
        floor: f32,
    },
}

/// How far a drawer slides out, as a share of the depth of its piece of furniture.
pub const DRAWER_TRAVEL: f32 = 0.75;

/// Highest surface that people put things on: the top of what is taller cannot be seen or reached (meters).
pub const HIGHEST_SURFACE: f32 = 1.6;

/// Free height that a thing needs beyond its own to be put down between boards (meters).
pub const HEADROOM: f32 = 0.02;

/// The moving part of a [`Shape::Cabinet`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Front {
    /// A door on a vertical hinge at the front's left edge (+y); open at 1.75 rad.
    Door,
    /// A drawer that slides out along +x by 0.75 of the depth; what lies in it moves with it.
    Drawer,
    /// A lid on a horizontal hinge at the rear upper edge; open at 1.4 rad.
    Lid,
}

/// A class of objects.
#[derive(Clone, Debug, PartialEq)]
pub struct Class {
    /// Lower-case English name, words separated by spaces ("coffee table").
    pub name: String,
    /// VirtualHome category ("Furniture", "Appliances", "Lamps", "Electronics", "Props", "Decor", …).
    pub category: String,
    /// Extent along x (depth), y (width) and z (height).
    pub size: [f32; 3],
    /// Mass of the whole object.
    pub mass: f32,
    /// Furniture that stays where the scenario puts it; everything else is a rigid body that moves.
    pub fixed: bool,
    /// What can be done with it.
    pub properties: Properties,
    /// Its solid form.
    pub shape: Shape,
    /// Color of the whole object, sRGB in [0, 1].
    pub color: [f32; 3],
}

/// A flat place on or in an object where others can be put, in the object's frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Surface {
    /// Height above the object's lowest face.
    pub z: f32,
    /// Center of the rectangle (x, y).
    pub center: [f32; 2],
    /// Half extents of the usable rectangle (x, y), walls already subtracted.
    pub half: [f32; 2],
    /// Free height above it.
    pub clearance: f32,
    /// `true` if what lies here is INSIDE the object, `false` if it is ON it.
    pub inside: bool,
}

/// All classes, sorted by name.
#[derive(Clone, Debug, PartialEq)]
pub struct Catalogue {
    classes: Vec<Class>,
    by_name: BTreeMap<String, ClassId>,
}

impl Class {
    /// How many square meters it takes up where it lies: the rectangle around it.
    pub fn footprint(&self) -> f32 {
        self.size[0] * self.size[1]
    }

    /// Where things can be put: first those ON it, then those INSIDE it, each from the highest down.
    ///
    /// SURFACES is needed for the first kind. Of a bin or cabinet the second kind is the inner floor; that of a drawer is
    /// given for the closed drawer and moves with it.
    pub fn surfaces(&self) -> Vec<Surface> {
        let [depth, width, height] = self.size;
        let mut surfaces = Vec::new();
        if self.properties.has(Property::Surfaces) {
            let mut on = |z: f32, x: [f32; 2], half_width: f32, clearance: f32| {
                if z <= HIGHEST_SURFACE {
                    surfaces.push(Surface {
                        z,
                        center: [0.5 * (x[0] + x[1]), 0.0],
                        half: [0.5 * (x[1] - x[0]), half_width],
                        clearance,
                        inside: false,
                    });
                }
            };
            let (back, front) = (-0.5 * depth, 0.5 * depth);
            match self.shape {
                Shape::Box {} | Shape::Table { .. } | Shape::Cabinet { .. } => {
                    on(height, [back, front], 0.5 * width, f32::INFINITY);
                }
                Shape::Cylinder {} => {
                    // The largest square within the circle.
                    let half = 0.5 * depth * std::f32::consts::FRAC_1_SQRT_2;
                    on(height, [-half, half], half, f32::INFINITY);
                }
                Shape::Seat { seat, back: rest } => {
                    on(seat, [back + rest, front], 0.5 * width, f32::INFINITY);
                }
                Shape::Shelves { boards, wall } => {
                    on(height, [back, front], 0.5 * width, f32::INFINITY);
                    let pitch = (height - wall) / f32::from(boards);
                    for board in (0..boards).rev() {
                        let z = f32::from(board) * pitch + wall;
                        on(z, [back + wall, front], 0.5 * width - wall, pitch - wall);
                    }
                }
                Shape::Ball {} | Shape::Bin { .. } => {}
            }
        }
        let inside = match self.shape {
            Shape::Bin { wall, floor } => Some((wall, floor, f32::INFINITY)),
            Shape::Cabinet {
                wall,
                front,
                floor,
                ceiling,
            } => {
                // A drawer has walls of its own within those of the body.
                let walls = if front == Front::Drawer { 2.0 } else { 1.0 } * wall;
                Some((walls, floor, ceiling - floor))
            }
            _ => None,
        };
        if let Some((wall, z, clearance)) = inside {
            surfaces.push(Surface {
                z,
                center: [0.0, 0.0],
                half: [0.5 * depth - wall, 0.5 * width - wall],
                clearance,
                inside: true,
            });
        }
        surfaces
    }

    /// Whether `thing` fits, in one of its four upright quarter turns, on (or in) this when nothing else is there, and
    /// takes up no more than the capacity.
    pub fn takes(&self, thing: &Self, inside: bool) -> bool {
        let fits = |s: &Surface| s.inside == inside && s.takes(thing);
        self.surfaces().iter().any(fits)
            && thing.footprint() <= self.capacity()[usize::from(inside)]
    }

    /// How many square meters of things fit ON it and INSIDE it: half of its surfaces, because things do not tile.
    pub fn capacity(&self) -> [f32; 2] {
        let mut capacity = [0.0; 2];
        for surface in self.surfaces() {
            // Half of (2 hx)(2 hy).
            capacity[usize::from(surface.inside)] += 2.0 * surface.half[0] * surface.half[1];
        }
        capacity
    }
}

impl Surface {
    /// Whether `thing` fits here, in one of its four upright quarter turns, when nothing else is here.
    pub fn takes(&self, thing: &Class) -> bool {
        let [x, y, z] = thing.size;
        let [free_x, free_y] = [2.0 * self.half[0], 2.0 * self.half[1]];
        z + HEADROOM <= self.clearance
            && ((x <= free_x && y <= free_y) || (y <= free_x && x <= free_y))
    }
}

/// (name, text) of a file of the standard catalogue.
macro_rules! asset {
    ($name:literal) => {
        (
            concat!("assets/objects/", $name, ".toml"),
            include_str!(concat!("../../assets/objects/", $name, ".toml")),
        )
    };
}

/// The files of the standard catalogue.
const FILES: &[(&str, &str)] = &[
    asset!("bathroom"),
    asset!("bedroom"),
    asset!("food"),
    asset!("kitchen"),
    asset!("kitchenware"),
    asset!("living_room"),
    asset!("office"),
    asset!("things"),
];

impl Catalogue {
    /// The catalogue that comes with the program: `assets/objects/*.toml`.
    pub fn standard() -> Arc<Self> {
        static STANDARD: LazyLock<Arc<Catalogue>> = LazyLock::new(|| {
            let catalogue = Catalogue::from_files(FILES);
            Arc::new(catalogue.expect("a test parses the catalogue that is built in"))
        });
        Arc::clone(&STANDARD)
    }

    /// A catalogue of the classes in `text`; `file` is its name in errors.
    pub fn parse(text: &str, file: &str) -> Result<Self, InputError> {
        Self::from_files(&[(file, text)])
    }

    /// A catalogue of the classes in several files, given as (name, text).
    pub fn from_files(files: &[(&str, &str)]) -> Result<Self, InputError> {
        let mut named: BTreeMap<String, Class> = BTreeMap::new();
        for (file, text) in files {
            let one = |problem| InputError::new(file, vec![problem]);
            let lines: ClassFile =
                toml::from_str(text).map_err(|e| one(Problem::toml(text, &e)))?;
            let mut problems = Vec::new();
            for line in lines.class {
                let span = line.name.span();
                let class = line.class();
                if let Err(message) = check(&class) {
                    let message = format!("class \"{}\": {message}", class.name);
                    problems.push(Problem::at(text, span, message));
                } else if named.contains_key(&class.name) {
                    let message = format!("class \"{}\" is there twice", class.name);
                    problems.push(Problem::at(text, span, message));
                } else {
                    named.insert(class.name.clone(), class);
                }
            }
            if !problems.is_empty() {
                return Err(InputError::new(file, problems));
            }
        }
        if named.len() > usize::from(u16::MAX) {
            let file = files.first().map_or("", |f| f.0);
            let message = format!("{} classes (expected at most 65535)", named.len());
            return Err(InputError::new(file, vec![Problem::whole(message)]));
        }
        let by_name = named.keys().cloned().zip((0..).map(ClassId)).collect();
        Ok(Self {
            classes: named.into_values().collect(),
            by_name,
        })
    }

    /// The class of that index.
    pub fn class(&self, id: ClassId) -> &Class {
        &self.classes[id.0 as usize]
    }

    /// The class of that name.
    pub fn find(&self, name: &str) -> Option<ClassId> {
        self.by_name.get(name).copied()
    }

    /// All classes with their indices, sorted by name.
    pub fn classes(&self) -> impl Iterator<Item = (ClassId, &Class)> {
        (0..).map(ClassId).zip(&self.classes)
    }
}

/// A catalogue file as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ClassFile {
    class: Vec<ClassLine>,
}

/// One class as it is written; the fields are those of [`Class`].
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ClassLine {
    name: Spanned<String>,
    category: String,
    size: [f32; 3],
    mass: f32,
    #[serde(default)]
    fixed: bool,
    #[serde(default)]
    properties: Vec<Property>,
    shape: Shape,
    color: [f32; 3],
}

impl ClassLine {
    fn class(self) -> Class {
        Class {
            name: self.name.into_inner(),
            category: self.category,
            size: self.size,
            mass: self.mass,
            fixed: self.fixed,
            properties: self.properties.into_iter().collect(),
            shape: self.shape,
            color: self.color,
        }
    }
}

/// What every class must fulfill, so that nobody who uses it has to ask again.
fn check(class: &Class) -> Result<(), String> {
    let Class { name, size, .. } = class;
    let within = |what: &str, value: f32, min: f32, max: f32| {
        if value >= min && value <= max {
            Ok(())
        } else {
            Err(format!("{what} (expected {min} to {max}, found {value})"))
        }
    };
    let words = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || " -".contains(c);
    if name.trim() != name || name.is_empty() || !name.chars().all(words) {
        return Err("the name is not in lower-case words".to_owned());
    }
    for (axis, &extent) in ["depth", "width", "height"].iter().zip(size) {
        within(axis, extent, 0.005, 5.0)?;
    }
    within("mass", class.mass, 0.001, 1000.0)?;
    for channel in class.color {
        within("color channel", channel, 0.0, 1.0)?;
    }
    let [depth, width, height] = *size;
    let narrow = 0.5 * depth.min(width);
    match class.shape {
        Shape::Box {} => {}
        Shape::Cylinder {} => within("width of a cylinder is its depth", width, depth, depth)?,
        Shape::Ball {} => {
            within("width of a ball is its depth", width, depth, depth)?;
            within("height of a ball is its depth", height, depth, depth)?;
        }
        Shape::Table { top, leg } => {
            within("top", top, 0.005, height)?;
            within("leg", leg, 0.005, narrow)?;
        }
        Shape::Seat { seat, back } => {
            within("seat", seat, 0.05, height)?;
            within("back", back, 0.0, 0.9 * depth)?;
        }
        Shape::Shelves { boards, wall } => {
            within("boards", f32::from(boards), 1.0, 50.0)?;
            within(
                "wall",
                wall,
                0.002,
                narrow.min(height / f32::from(boards)) * 0.4,
            )?;
        }
        Shape::Cabinet {
            wall,
            floor,
            ceiling,
            ..
        } => {
            within("wall", wall, 0.002, 0.4 * narrow)?;
            within("ceiling", ceiling, 0.01, height - 0.002)?;
            within("floor", floor, 0.002, ceiling - 0.005)?;
        }
        Shape::Bin { wall, floor } => {
            within("wall", wall, 0.002, 0.8 * narrow)?;
            within("floor", floor, 0.002, height - 0.005)?;
        }
    }
    let has = |property| class.properties.has(property);
    let opens = matches!(class.shape, Shape::Cabinet { .. });
    let hollow = opens || matches!(class.shape, Shape::Bin { .. });
    if opens != has(Property::CanOpen) {
        return Err("CAN_OPEN goes with the shape cabinet, and only with it".to_owned());
    }
    if hollow != has(Property::Containers) {
        return Err(
            "CONTAINERS goes with the shapes cabinet and bin, and only with them".to_owned(),
        );
    }
    if class.fixed == has(Property::Grabbable) {
        return Err("a class is either fixed or GRABBABLE".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_standard_catalogue_is_plausible() {
        let catalogue = Catalogue::standard();
        let classes: Vec<&Class> = catalogue.classes().map(|(_, c)| c).collect();
        assert!(classes.len() >= 70, "{}", classes.len());
        for class in &classes {
            let volume: f32 = class.size.iter().product();
            let density = class.mass / volume;
            assert!(
                (20.0..=8000.0).contains(&density),
                "{}: {density} kg/m³",
                class.name
            );
            for surface in class.surfaces() {
                assert!(surface.half.iter().all(|h| *h > 0.0), "{}", class.name);
                assert!(surface.clearance > 0.03, "{}", class.name);
            }
            let holds = class.properties.has(Property::Surfaces)
                || class.properties.has(Property::Containers);
            assert_eq!(holds, !class.surfaces().is_empty(), "{}", class.name);
            // What a hand takes is smaller than an arm; what holds something takes a mug.
            if class.properties.has(Property::Grabbable) {
                assert!(class.size.iter().all(|s| *s <= 0.6), "{}", class.name);
            }
            let mug = catalogue.class(catalogue.find("mug").unwrap());
            if class.properties.has(Property::Surfaces) {
                assert!(class.takes(mug, false), "{}", class.name);
            }
            if class.properties.has(Property::Containers) {
                assert!(class.takes(mug, true), "{}", class.name);
            }
        }
        assert_eq!(catalogue.find("no such thing"), None);
    }

    #[test]
    fn a_class_that_cannot_be_is_refused_where_it_stands() {
        let good = r#"{ name = "stool", category = "Furniture", size = [0.4, 0.4, 0.5], mass = 3.0, fixed = true, properties = ["SURFACES"], shape.table = { top = 0.04, leg = 0.05 }, color = [0.5, 0.5, 0.5] },"#;
        let file = |line: &str| format!("class = [\n  {good}\n  {line}\n]\n");
        let second = good.replace("stool", "bench");
        assert!(Catalogue::parse(&file(&second), "classes.toml").is_ok());
        for (old, new, message) in [
            ("bench", "stool", "is there twice"),
            ("bench", "Bench", "not in lower-case words"),
            (
                "0.4, 0.5]",
                "-0.4, 0.5]",
                "width (expected 0.005 to 5, found -0.4)",
            ),
            (
                "mass = 3.0",
                "mass = nan",
                "mass (expected 0.001 to 1000, found NaN)",
            ),
            ("mass = 3.0", "mas = 3.0", "unknown field `mas`"),
            ("SURFACES", "SURFACE", "unknown variant `SURFACE`"),
            (
                "SURFACES",
                "CAN_OPEN",
                "CAN_OPEN goes with the shape cabinet",
            ),
            (
                "SURFACES",
                "CONTAINERS",
                "CONTAINERS goes with the shapes cabinet and bin",
            ),
            ("SURFACES", "GRABBABLE", "either fixed or GRABBABLE"),
            ("shape.table", "shape.tabel", "unknown variant `tabel`"),
            (
                "top = 0.04",
                "top = 0.9",
                "top (expected 0.005 to 0.5, found 0.9)",
            ),
            (
                "[0.5, 0.5, 0.5]",
                "[0.5, 0.5, 1.5]",
                "color channel (expected 0 to 1, found 1.5)",
            ),
        ] {
            let text = file(&second.replace(old, new));
            let error = Catalogue::parse(&text, "classes.toml")
                .unwrap_err()
                .to_string();
            assert!(error.contains(message), "expected {message}, found {error}");
            assert!(error.starts_with("classes.toml:3:"), "{error}");
        }
    }

    #[test]
    fn surfaces_come_from_the_highest_down() {
        let catalogue = Catalogue::standard();
        let surfaces = |name: &str| catalogue.class(catalogue.find(name).unwrap()).surfaces();
        let shelf = surfaces("shelf");
        assert_eq!(shelf.len(), 4, "three boards and the top");
        assert!(shelf.windows(2).all(|w| w[0].z > w[1].z));
        assert_eq!(surfaces("bookshelf").len(), 5, "nobody reaches its top");
        let nightstand = surfaces("nightstand");
        assert_eq!([nightstand[0].inside, nightstand[1].inside], [false, true]);
        assert!(nightstand[1].half[1] < nightstand[0].half[1]);
        assert!(surfaces("mug").is_empty());
    }
}
