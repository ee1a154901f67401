//! What a document looks like: every piece that is to be drawn, in the world frame.
//!
//! A [`Scene`] is plain data between the document (or a running simulation, or a recorded episode) and the view: the view
//! knows scenes, never documents, houses or physics.

/// What the document's tables hold, in the order of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Table {
    /// `[[room]]`
    Room,
    /// `[[door]]`
    Door,
    /// `[[object]]`
    Object,
    /// `[[agent]]`
    Agent,
    /// `[[goal]]`
    Goal,
}

/// An entry of a table: what can be selected, edited and complained about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ItemId {
    /// Which table.
    pub table: Table,
    /// Which entry, counted from 0 in the order of the file.
    pub index: usize,
}

/// Everything to draw.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scene {
    /// In a fixed order: the same document gives the same list.
    pub pieces: Vec<Piece>,
}

/// Something that is drawn, picked and moved as one.
#[derive(Clone, Debug, PartialEq)]
pub struct Piece {
    /// The entry that it comes from; walls and links of a hand come from the room or the agent.
    pub item: ItemId,
    /// Which of the entry's pieces: an entry with a count has several, a room its floor and walls.
    pub part: usize,
    /// Name shown beside it.
    pub name: String,
    /// What it is to the view.
    pub kind: Kind,
    /// Position of its origin in the world, meters.
    pub position: [f32; 3],
    /// Rotation as a unit quaternion (x, y, z, w).
    pub rotation: [f32; 4],
    /// Its convex solids, in its own frame.
    pub solids: Vec<Solid>,
    /// sRGB in [0, 1].
    pub color: [f32; 3],
}

/// What a piece is to the view.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The floor of a room.
    Floor,
    /// A wall, cut away where it hides the room from the eye.
    Wall,
    /// The leaf of a door.
    Door,
    /// What stays where it was put.
    Furniture,
    /// What can be carried.
    Thing,
    /// Who acts.
    Agent,
    /// A link of a hand.
    Hand,
    /// A muscle of a hand, from point to point, colored by activation.
    Muscle,
    /// Another place where a thing may be drawn, or where it is in the other of two episodes: seen through.
    Ghost,
    /// Stands for what cannot be shown, as an object of an unknown class.
    Placeholder,
}

/// A convex solid, upright in its own frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Solid {
    /// Its form.
    pub form: Form,
    /// Position of its middle in the piece's frame, meters.
    pub center: [f32; 3],
    /// Rotation in the piece's frame as a unit quaternion (x, y, z, w).
    pub rotation: [f32; 4],
}

/// Form of a [`Solid`], meters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Form {
    /// Half extents.
    Box([f32; 3]),
    /// Along z: half height and radius.
    Cylinder(f32, f32),
    /// Along z: half height of the straight part, and radius.
    Capsule(f32, f32),
    /// Half axes.
    Ellipsoid([f32; 3]),
}
