//! What a scenario file says, word for word.
//!
//! World frame: x and y on the floor, z up, metres, angles in degrees where the field's name ends in `_deg`.
//! Every name that a later check may complain about carries its position in the file ([`Spanned`]).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use toml::Spanned;

use crate::camera::CameraEntry;

/// The only format version so far.
pub const SCHEMA: &str = "habitus.scenario/1";

/// A house, what stands in it, who lives in it, and what is wanted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// Format and version: `habitus.scenario/1`.
    #[schemars(with = "String")]
    pub schema: Spanned<String>,
    /// Name shown to people.
    pub name: String,
    /// One sentence about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<String>,
    /// Kept apart for evaluation: `rollout` records it, training data leaves it out.
    #[serde(default, skip_serializing_if = "is_default")]
    pub evaluation_only: bool,
    /// Rooms, with walls around them.
    pub room: Vec<Room>,
    /// Doorways between rooms.
    #[serde(default)]
    pub door: Vec<Door>,
    /// Furniture and things.
    #[serde(default)]
    pub object: Vec<Object>,
    /// Who acts: exactly one walker, and at most one hand, which the walker carries or which is on an arm in a room.
    pub agent: Vec<Agent>,
    /// Tasks with their own words; an episode draws one of these or of the activities that the house allows.
    #[serde(default)]
    pub goal: Vec<Goal>,
    /// From where pictures are taken; on `walker` or an object, a camera goes where that goes. The first is usual.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub camera: Vec<CameraEntry>,
}

/// A room: a simple polygon with a wall along each edge.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Room {
    /// Unique name.
    #[schemars(with = "String")]
    pub name: Spanned<String>,
    /// Corners (x, y) in metres, counter-clockwise; edges parallel to x or y.
    #[schemars(with = "Vec<[f32; 2]>")]
    pub corners: Spanned<Vec<[f32; 2]>>,
    /// Height of the walls in metres.
    #[serde(default = "default_room_height")]
    pub height: f32,
}

fn default_room_height() -> f32 {
    2.5
}

/// A doorway with a hinged door leaf.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Door {
    /// Unique name; by default "`<first> <second> door`", as in "kitchen hall door".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub name: Option<Spanned<String>>,
    /// The two rooms it joins.
    #[schemars(with = "[String; 2]")]
    pub between: [Spanned<String>; 2],
    /// Middle of the doorway (x, y), on a wall that both rooms share.
    #[schemars(with = "[f32; 2]")]
    pub at: Spanned<[f32; 2]>,
    /// Width of the doorway in metres.
    #[serde(default = "default_door_width")]
    pub width: f32,
    /// 0 closed, 1 open; nothing in between is a state that a plan can name, so only these two are accepted.
    #[serde(default = "default_door_open")]
    pub open: f32,
}

fn default_door_width() -> f32 {
    0.9
}

fn default_door_open() -> f32 {
    1.0
}

/// A piece of furniture or a thing. Its place is given in exactly one way: `at`, `on`, `inside` or `one_of`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Object {
    /// Unique name; by default the class name, then "mug 2", "mug 3" for further ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub name: Option<Spanned<String>>,
    /// Class from the catalogue.
    #[schemars(with = "String")]
    pub class: Spanned<String>,
    /// Room it stands in; may be left out where `at` lies in exactly one room.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub room: Option<Spanned<String>>,
    /// Middle of its footprint (x, y) on the floor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<[f32; 2]>")]
    pub at: Option<Spanned<[f32; 2]>>,
    /// Height of its lowest face above the floor (wall cupboards, wall lamps); only with `at`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub z: f32,
    /// Rotation about z, counter-clockwise; 0 lets its front look along +x.
    #[serde(default, skip_serializing_if = "is_default")]
    pub yaw_deg: f32,
    /// Name of the object it lies on; where on it is drawn per episode.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub on: Option<Spanned<String>>,
    /// Name of the object it lies in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub inside: Option<Spanned<String>>,
    /// Several places, one of which is drawn per episode.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub one_of: Vec<Place>,
    /// How many there are; a range is drawn per episode.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Count>")]
    pub count: Option<Spanned<Count>>,
    /// Starts open (doors, drawers, lids).
    #[serde(default, skip_serializing_if = "is_default")]
    pub open: bool,
    /// Starts switched on.
    #[serde(default, skip_serializing_if = "is_default")]
    pub switched_on: bool,
}

/// One of several places.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Place {
    /// On that object.
    On(#[schemars(with = "String")] Spanned<String>),
    /// Inside that object.
    Inside(#[schemars(with = "String")] Spanned<String>),
}

/// A number of objects, drawn uniformly from `min..=max`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Count {
    /// Fewest.
    pub min: u32,
    /// Most; at least `min`, at most 20.
    pub max: u32,
}

/// Who acts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Agent {
    /// Its body.
    pub body: Body,
}

/// A body that an agent can have.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Body {
    /// A kinematic person: radius 0.2 m, height 1.7 m, two hands.
    Walker {
        /// Room it starts in.
        #[schemars(with = "String")]
        room: Spanned<String>,
        /// Where it starts (x, y); by default a free place drawn per episode.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(with = "Option<[f32; 2]>")]
        at: Option<Spanned<[f32; 2]>>,
        /// A third hand, of muscles or motors, that it carries in front of its right shoulder; by default none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        hand: Option<HandModel>,
    },
    /// A hand of muscles or motors on an arm that is fixed in a room.
    Hand {
        /// Room it is in.
        #[schemars(with = "String")]
        room: Spanned<String>,
        /// Where its first joint is (x, y, z): the elbow of `myohand`, the wrist of `robot`.
        #[schemars(with = "[f32; 3]")]
        at: Spanned<[f32; 3]>,
        /// Rotation about z, counter-clockwise; at 0 the fingers of `myohand` point along -y, those of `robot` up.
        #[serde(default, skip_serializing_if = "is_default")]
        yaw_deg: f32,
        /// Which hand.
        model: HandModel,
        /// Which length ranges its muscles have.
        #[serde(default, skip_serializing_if = "is_default")]
        parameters: HandParameters,
    },
}

/// The hands that there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HandModel {
    /// 23 joints, 39 muscles.
    Myohand,
    /// 24 joints, each with a motor.
    Robot,
}

/// Length ranges of a hand's muscles.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HandParameters {
    /// From the paths' own extremes: no muscle is ever out of reach.
    #[default]
    Calibrated,
    /// As in the model that the hand was made from.
    Compat,
}

/// Something wanted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Goal {
    /// The wish in words.
    pub say: String,
    /// Facts that must all hold: `milk ON kitchen table`, `fridge CLOSED`, `agent SITTING sofa`.
    #[schemars(with = "Vec<String>")]
    pub all: Vec<Spanned<String>>,
}

impl From<HandParameters> for hand::model::ParameterSet {
    fn from(parameters: HandParameters) -> Self {
        match parameters {
            HandParameters::Calibrated => Self::Calibrated,
            HandParameters::Compat => Self::Compat,
        }
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
