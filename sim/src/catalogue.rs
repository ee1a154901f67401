//! What kinds of things there are: size, mass, shape and affordances of every object class.
//!
//! The catalogue is data (`assets/objects/*.toml`); adding a class is adding a line there. Frame of a class: the origin
//! lies in the middle of its footprint on its lowest face, x points out of its front, z up. Metres and kilograms.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

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

impl Catalogue {
    /// The class of that index.
    pub fn class(&self, id: ClassId) -> &Class {
        &self.classes[id.0 as usize]
    }

    /// The class of that name.
    pub fn find(&self, name: &str) -> Option<ClassId> {
        self.by_name.get(name).copied()
    }
}
