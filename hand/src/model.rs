//! What a model file says: bodies and what moves them. Lengths in metres, angles in radians, masses in kilograms, seconds.
//!
//! A file is TOML, one list per kind of part (`[[body]]`, `[[joint]]`, `[[shape]]`, `[[site]]`, `[[tendon]]`, `[[muscle]]`,
//! `[[torque]]`, `[[position]]`); the fields are those of the types below. The body `world` is there without being listed.
//! The angles of a pose are in the order of the joints in the file, the activations in the order of the muscles.

mod check;
mod import;
mod load;

use serde::{Deserialize, Serialize};

pub use import::{Imported, import};
pub use load::{ModelError, load, load_text, save};

/// The first line of every model file of this version.
pub const SCHEMA: &str = "habitus.hand/1";

/// A body of bodies, as a file describes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// [`SCHEMA`].
    pub schema: String,
    /// What it is called.
    pub name: String,
    /// Seconds of one step. 0.002 is usual; larger is faster and less stable.
    pub timestep: f64,
    /// Metres per second squared, in the world.
    pub gravity: [f64; 3],
    /// Pairs of bodies that never touch each other. Bodies without a joint between them, and those with only the joints of one
    /// body between them, never touch anyway, unless one of them cannot move.
    #[serde(default)]
    pub exclude: Vec<[String; 2]>,
    /// Rigid parts, in any order.
    #[serde(default)]
    pub body: Vec<Body>,
    /// What moves; several joints of one body act in the order of the file.
    #[serde(default)]
    pub joint: Vec<Joint>,
    /// What touches other things, and what tendons wrap around.
    #[serde(default)]
    pub shape: Vec<Shape>,
    /// Points on bodies.
    #[serde(default)]
    pub site: Vec<Site>,
    /// Paths along which muscles pull.
    #[serde(default)]
    pub tendon: Vec<Tendon>,
    /// What pulls along tendons.
    #[serde(default)]
    pub muscle: Vec<Muscle>,
    /// Actuators that turn a joint by force.
    #[serde(default)]
    pub torque: Vec<Torque>,
    /// Actuators that hold a joint at a place.
    #[serde(default)]
    pub position: Vec<Position>,
}

/// A rigid part.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Body {
    /// Its name, unique among bodies.
    pub name: String,
    /// The body that it hangs on, or `world`.
    pub parent: String,
    /// Where its origin lies in the parent.
    pub pos: [f64; 3],
    /// How it is turned in the parent: a quaternion w, x, y, z.
    #[serde(default = "no_turn", skip_serializing_if = "is_no_turn")]
    pub quat: [f64; 4],
    /// Its mass; may be left out where the body hangs on the world without a joint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inertial: Option<Inertial>,
}

/// How a body resists motion.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Inertial {
    /// Kilograms, more than 0.
    pub mass: f64,
    /// Centre of mass in the body.
    pub com: [f64; 3],
    /// Inertia around the centre of mass along the body's axes: xx, yy, zz, xy, xz, yz, in kg m².
    pub inertia: [f64; 6],
}

/// One degree of freedom of a body against its parent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Joint {
    /// Its name, unique among joints.
    pub name: String,
    /// The body that it moves.
    pub body: String,
    /// Whether it turns or slides.
    pub kind: JointKind,
    /// The axis in the body; need not have length 1.
    pub axis: [f64; 3],
    /// A point of the axis in the body.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub anchor: [f64; 3],
    /// Lowest and highest value (radians or metres); without it, the joint has no limits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<[f64; 2]>,
    /// How the limits give way, as MuJoCo's `solreflimit`: time constant in seconds (usually 0.02; smaller is harder) and
    /// damping ratio.
    #[serde(default = "usual_solref")]
    pub limit_solref: [f64; 2],
    /// MuJoCo's `solimplimit`: impedance at the limit, full impedance, distance between the two, midpoint and power of the
    /// curve between them.
    #[serde(default = "usual_solimp")]
    pub limit_solimp: [f64; 5],
    /// N m s/rad or N s/m.
    #[serde(default)]
    pub damping: f64,
    /// Inertia of the drive, added to the joint's own: kg m² or kg.
    #[serde(default)]
    pub armature: f64,
}

/// How a joint moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JointKind {
    /// Turns around the axis.
    Hinge,
    /// Slides along the axis.
    Slide,
}

/// A geometric shape on a body.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shape {
    /// Its name; may be empty where no tendon wraps around it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// The body that it belongs to, or `world`.
    pub body: String,
    /// What it is.
    pub kind: ShapeKind,
    /// Sizes as in MuJoCo: radius (sphere), radius and half length along z (capsule, cylinder), half sizes (box, ellipsoid,
    /// plane).
    pub size: Vec<f64>,
    /// Its centre in the body.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub pos: [f64; 3],
    /// How it is turned in the body.
    #[serde(default = "no_turn", skip_serializing_if = "is_no_turn")]
    pub quat: [f64; 4],
    /// How it touches others; without it, it touches nothing and only guides tendons.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contact: Option<Contact>,
}

/// The kinds of shapes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ShapeKind {
    /// All points within a distance of a point.
    Sphere,
    /// All points within a distance of a stretch.
    Capsule,
    /// A cylinder with flat ends; endless where a tendon wraps around it.
    Cylinder,
    /// A box.
    Box,
    /// An ellipsoid.
    Ellipsoid,
    /// All points with negative z.
    Plane,
}

/// How a shape touches others. Two shapes touch where a group of one is a mask of the other (bits).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contact {
    /// What it is, as bits.
    pub group: u32,
    /// What it touches, as bits.
    pub mask: u32,
    /// Sliding, torsional (m) and rolling (m) friction.
    pub friction: [f64; 3],
    /// Dimensions of the contact's force: 1 without friction, 3 with sliding, 4 with torsional, 6 with rolling friction.
    pub dimensions: u8,
    /// The distance in metres at which contact begins.
    pub margin: f64,
    /// MuJoCo's `solref`: time constant in seconds and damping ratio.
    pub solref: [f64; 2],
    /// MuJoCo's `solimp`.
    pub solimp: [f64; 5],
}

/// A point on a body.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Site {
    /// Its name, unique among sites.
    pub name: String,
    /// The body that it belongs to, or `world`.
    pub body: String,
    /// Where it lies in the body.
    pub pos: [f64; 3],
}

/// A path over bodies.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tendon {
    /// Its name, unique among tendons.
    pub name: String,
    /// From origin to insertion: at least two sites, at most one wrap between two of them.
    pub path: Vec<PathPoint>,
}

/// A part of a tendon's path.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum PathPoint {
    /// Passes through the site of this name.
    Site(String),
    /// Passes around a sphere or cylinder where it is in the way.
    Wrap {
        /// The shape's name.
        shape: String,
        /// A site of the same body, on the side where the tendon passes. A site closer to the shape's centre than its radius
        /// means that the tendon runs along the inside.
        #[serde(skip_serializing_if = "Option::is_none")]
        side: Option<String>,
    },
}

/// A muscle.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Muscle {
    /// Its name, unique among muscles.
    pub name: String,
    /// The tendon that it pulls.
    pub tendon: String,
    /// Newtons at optimal length, at rest, fully active.
    pub peak_force: f64,
    /// Tendon lengths that stand for `curves.range`, as the imported model has them (parameter set `compat`).
    pub compat_range: [f64; 2],
    /// The same as shortest and longest path within the joints' limits (parameter set `calibrated`).
    pub calibrated_range: [f64; 2],
    /// The forms of its curves.
    #[serde(default, skip_serializing_if = "Curves::are_usual")]
    pub curves: Curves,
}

/// The forms of a muscle's curves, in units of optimal length and peak force, with MuJoCo's names and values.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Curves {
    /// Normalized lengths at the two ends of the length range.
    pub range: [f64; 2],
    /// Shortest length at which the muscle pulls actively.
    pub lmin: f64,
    /// Longest length at which the muscle pulls actively.
    pub lmax: f64,
    /// Optimal lengths per second at which it can no longer pull while shortening.
    pub vmax: f64,
    /// Passive force at `lmax`.
    pub fpmax: f64,
    /// Active force when lengthening fast.
    pub fvmax: f64,
    /// Time constant of rising activation.
    pub activation_secs: f64,
    /// Time constant of falling activation.
    pub deactivation_secs: f64,
}

/// An actuator that applies a torque (or force) to a joint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Torque {
    /// Its name.
    pub name: String,
    /// The joint.
    pub joint: String,
    /// Newton metres (or newtons) per unit of control.
    pub gear: f64,
    /// Lowest and highest control.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub control: Option<[f64; 2]>,
    /// Lowest and highest force, before the gear.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub force: Option<[f64; 2]>,
}

/// An actuator that pulls a joint to the place that its control names.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Position {
    /// Its name.
    pub name: String,
    /// The joint.
    pub joint: String,
    /// N m/rad or N/m.
    pub stiffness: f64,
    /// N m s/rad or N s/m.
    #[serde(default)]
    pub damping: f64,
    /// Lowest and highest control.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub control: Option<[f64; 2]>,
    /// Lowest and highest force.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub force: Option<[f64; 2]>,
}

/// Which of the two length ranges of a muscle counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ParameterSet {
    /// As the imported model: for comparing with MuJoCo.
    Compat,
    /// From the paths' own extremes: no muscle is ever out of reach.
    Calibrated,
}

impl Default for Curves {
    fn default() -> Self {
        Self {
            range: [0.75, 1.05],
            lmin: 0.5,
            lmax: 1.6,
            vmax: 1.5,
            fpmax: 1.3,
            fvmax: 1.2,
            activation_secs: 0.01,
            deactivation_secs: 0.04,
        }
    }
}

impl Curves {
    fn are_usual(&self) -> bool {
        *self == Self::default()
    }
}

impl ShapeKind {
    /// How many numbers its size has.
    pub fn numbers(self) -> usize {
        match self {
            Self::Sphere => 1,
            Self::Capsule | Self::Cylinder => 2,
            Self::Box | Self::Ellipsoid | Self::Plane => 3,
        }
    }
}

impl Muscle {
    /// The length range that counts.
    pub fn length_range(&self, parameters: ParameterSet) -> [f64; 2] {
        match parameters {
            ParameterSet::Compat => self.compat_range,
            ParameterSet::Calibrated => self.calibrated_range,
        }
    }
}

/// MuJoCo's: everything touches everything, sliding friction 1.
impl Default for Contact {
    fn default() -> Self {
        Self {
            group: 1,
            mask: 1,
            friction: [1.0, 0.005, 0.0001],
            dimensions: 3,
            margin: 0.0,
            solref: usual_solref(),
            solimp: usual_solimp(),
        }
    }
}

/// MuJoCo's `solref` where a file gives none: time constant in seconds and damping ratio.
pub fn usual_solref() -> [f64; 2] {
    [0.02, 1.0]
}

/// MuJoCo's `solimp` where a file gives none.
pub fn usual_solimp() -> [f64; 5] {
    [0.9, 0.95, 0.001, 0.5, 2.0]
}

fn no_turn() -> [f64; 4] {
    [1.0, 0.0, 0.0, 0.0]
}

fn is_no_turn(quat: &[f64; 4]) -> bool {
    *quat == no_turn()
}

fn is_zero(vector: &[f64; 3]) -> bool {
    *vector == [0.0; 3]
}
