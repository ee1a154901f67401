//! The front of a piece of furniture opened or closed by a gripper: a door, a drawer, a lid of the household's catalogue.
//!
//! The piece stands on the floor with its closed front 0.3 m behind the gripper's middle and gets a handle, an upright bar,
//! which the catalogue leaves out. Where it stands along its own width is drawn, as are how far its front is open at the start
//! and how far it shall be. Success, and the end, when that is reached to within a share of its way.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use ::hand::batch::WorldState;
use ::hand::model::{
    Body as Link, Contact, Inertial, Joint, JointKind, Model, Shape, ShapeKind, usual_solimp,
    usual_solref,
};
use ::hand::scene::Scene;
use rand_chacha::ChaCha8Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::place::primitive;
use super::{Task, Verdict, at_rest, empty_scene, norm, require, symmetric, whether};
use crate::catalogue::{Catalogue, Class};
use crate::hand::{Body, HandError, Seen, Setting};
use crate::world::{ClassPart, Motion, front_motion, solids};

/// Where the closed front stands along x, in meters.
const FACE: f32 = -0.3;
/// A handle's radius, half its length, and how far its middle stands off the front, in meters.
const BAR: [f32; 3] = [0.012, 0.045, 0.075];
/// Share of a piece's mass that its front has.
const FRONT_MASS: f64 = 0.15;
/// What holds the piece in its place: kilograms, and newtons per meter a second.
const FAST: [f64; 2] = [1e4, 1e6];
/// Bits of contact: what is to be touched, and the front, which passes through the body that it closes.
const FURNITURE: u32 = 2;
const LEAF: u32 = 4;

/// A front at a given openness. Target: the front's place, in radians or meters (1). Error: target minus place as a share of
/// its way (1), from between the fingers to the handle's middle in meters (3), and the direction in which the handle goes toward
/// the target (3).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Front {
    /// Class of the piece: one with a front.
    pub class: String,
    /// How far it is open at the start: least and most, from 0 (closed) to 1 (open).
    pub from: [f32; 2],
    /// How far it shall be open: least and most, from 0 (closed) to 1 (open).
    pub to: [f32; 2],
    /// How far from the middle the piece stands at most, along its width, in meters.
    pub aside_m: f32,
    /// How far from its usual place the gripper starts at most, along each axis, in meters.
    pub start_m: f32,
    /// Success: what may be missing, as a share of the whole way.
    pub near: f32,
    /// Actions of an episode.
    pub max_steps: u32,
}

impl Default for Front {
    fn default() -> Self {
        Self {
            class: "kitchen drawer".to_owned(),
            from: [0.0, 0.1],
            to: [0.6, 0.8],
            aside_m: 0.1,
            start_m: 0.05,
            near: 0.05,
            max_steps: 150,
        }
    }
}

/// The front of a class and its handle.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Handle {
    motion: Motion,
    /// Its middle when the front is closed, in the class frame, meters.
    closed: [f32; 3],
    /// Where the class frame stands when the piece is in its usual place.
    stands: [f32; 3],
}

impl Handle {
    /// Of a class; none where it has no front.
    pub fn of(class: &Class) -> Option<Self> {
        let motion = front_motion(class)?;
        let [depth, _, height] = class.size;
        let leaf = leaf_bounds(class)?;
        let middle = |axis: usize| 0.5 * (leaf[0][axis] + leaf[1][axis]);
        let closed = match motion {
            // A lid: upright on it, near its front edge.
            Motion::Hinge { axis, .. } if axis[2].abs() < 0.5 => {
                [0.5 * depth - 0.05, 0.0, height + BAR[2]]
            }
            // A door: near the edge away from its hinge.
            Motion::Hinge { .. } => [0.5 * depth + BAR[2], leaf[0][1] + 0.06, middle(2)],
            Motion::Slide { .. } => [0.5 * depth + BAR[2], 0.0, middle(2)],
        };
        Some(Self {
            motion,
            closed,
            stands: [FACE - 0.5 * depth, 0.0, 0.0],
        })
    }

    /// The front's whole way, in radians or meters.
    pub fn way(&self) -> f32 {
        match self.motion {
            Motion::Hinge { angle, .. } => angle,
            Motion::Slide { by } => norm(&by),
        }
    }

    /// Its middle in the world, in meters, where the piece stands `aside` and the front is at `place`.
    pub fn at(&self, aside: f32, place: f32) -> [f32; 3] {
        let c = self.closed;
        let moved = match self.motion {
            Motion::Slide { by } => {
                let share = place / self.way();
                [0, 1, 2].map(|i| c[i] + share * by[i])
            }
            Motion::Hinge { origin, axis, .. } => {
                let arm = [0, 1, 2].map(|i| c[i] - origin[i]);
                let (sin, cos) = (libm::sinf(place), libm::cosf(place));
                let dot: f32 = (0..3).map(|i| axis[i] * arm[i]).sum();
                let cross = [
                    axis[1] * arm[2] - axis[2] * arm[1],
                    axis[2] * arm[0] - axis[0] * arm[2],
                    axis[0] * arm[1] - axis[1] * arm[0],
                ];
                // Rodrigues' formula.
                [0, 1, 2].map(|i| {
                    origin[i] + arm[i] * cos + cross[i] * sin + axis[i] * dot * (1.0 - cos)
                })
            }
        };
        let [x, y, z] = self.stands;
        [moved[0] + x, moved[1] + y + aside, moved[2] + z]
    }
}

/// Lowest and highest corner of a class's closed front.
fn leaf_bounds(class: &Class) -> Option<[[f32; 3]; 2]> {
    let mut bounds: Option<[[f32; 3]; 2]> = None;
    for part in solids(class, 0.0).iter().filter(|part| part.moves) {
        let crate::world::PartForm::Box(half) = part.form else {
            continue;
        };
        let corners = [-1.0, 1.0].map(|s| [0, 1, 2].map(|i| part.position[i] + s * half[i]));
        let [low, high] = bounds.unwrap_or(corners);
        bounds = Some([
            [0, 1, 2].map(|i| low[i].min(corners[0][i])),
            [0, 1, 2].map(|i| high[i].max(corners[1][i])),
        ]);
    }
    bounds
}

/// The handles of all classes with a front, by name: found in every step of every world.
static HANDLES: LazyLock<BTreeMap<String, Handle>> = LazyLock::new(|| {
    let catalogue = Catalogue::standard();
    let handle = |(_, class): (_, &Class)| Some((class.name.clone(), Handle::of(class)?));
    catalogue.classes().filter_map(handle).collect()
});

impl Front {
    fn class(&self) -> Option<Class> {
        let catalogue = Catalogue::standard();
        let class = catalogue.find(&self.class);
        class.map(|id| catalogue.class(id).clone())
    }

    fn handle(&self) -> Option<Handle> {
        HANDLES.get(&self.class).copied()
    }

    fn is_opened(&self) -> bool {
        self.to[0] + self.to[1] > self.from[0] + self.from[1]
    }
}

impl Task for Front {
    fn name(&self) -> &'static str {
        "gripper/front"
    }

    fn say(&self) -> String {
        let verb = if self.is_opened() { "Open" } else { "Close" };
        format!("{verb} the {}.", self.class)
    }

    fn goal(&self) -> String {
        format!(
            "{} as far open as is shown, to {} of its way",
            self.class, self.near
        )
    }

    fn max_steps(&self) -> u32 {
        self.max_steps
    }

    fn scene(&self, body: &Body) -> Result<Scene, HandError> {
        require(self.name(), body, &[("z", 0.0), ("left", 0.0)])?;
        let handle = self.handle().ok_or_else(|| HandError::Config {
            field: "class",
            value: format!("\"{}\"", self.class),
            expected: "a class of furniture with a door, a drawer or a lid",
        })?;
        let shares = self.from.iter().chain(&self.to);
        if let Some(share) = shares.copied().find(|x| !(0.0..=1.0).contains(x)) {
            return Err(HandError::Config {
                field: "from and to",
                value: share.to_string(),
                expected: "shares from 0 to 1",
            });
        }
        let mut scene = empty_scene(body);
        if let Some(class) = self.class() {
            add_piece(&mut scene.model, &class, &handle);
        }
        Ok(scene)
    }

    fn n_target(&self, _: &Setting) -> usize {
        1
    }

    fn n_error(&self, _: &Setting) -> usize {
        7
    }

    fn standing(&self, setting: &Setting) -> WorldState {
        let handle = self.handle();
        let [x, y, z] = handle.map_or([0.0, 0.0, 1.0], |handle| handle.at(0.0, 0.0));
        let pose = [
            ("x", x + 0.2),
            ("y", y),
            ("z", z + 0.3),
            ("left", 0.05),
            ("right", 0.05),
        ];
        at_rest(setting, &pose, Vec::new())
    }

    fn draw(
        &self,
        setting: &Setting,
        rng: &mut ChaCha8Rng,
        start: &mut WorldState,
        target: &mut [f32],
    ) {
        let way = self.handle().map_or(1.0, |handle| handle.way());
        let mut symmetric = || symmetric(rng) as f32;
        let mut within =
            |[low, high]: [f32; 2]| 0.5 * (low + high) + 0.5 * (high - low) * symmetric();
        let (gripper, piece) = start.qpos.split_at_mut(setting.n_joints);
        for x in &mut gripper[..3] {
            *x += within([-self.start_m, self.start_m]);
        }
        piece[0] = within([-self.aside_m, self.aside_m]);
        piece[1] = way * within(self.from);
        target[0] = way * within(self.to);
    }

    fn error(&self, seen: &Seen<'_>, error: &mut [f32]) {
        let (Some(handle), [aside, place]) = (self.handle(), seen.hinge_angles) else {
            return;
        };
        let (aside, place) = (*aside, *place);
        let missing = (seen.target[0] - place) / handle.way();
        let at = handle.at(aside, place);
        let ahead = handle.at(aside, place + 0.01 * handle.way() * missing.signum());
        let way = [0, 1, 2].map(|i| ahead[i] - at[i]);
        let length = norm(&way).max(1e-9);
        error[0] = missing;
        for i in 0..3 {
            let middle = 0.5 * (seen.fingertips[i] + seen.fingertips[3 + i]);
            error[1 + i] = at[i] - middle;
            error[4 + i] = way[i] / length;
        }
    }

    fn terms(&self) -> &'static [&'static str] {
        &["front", "reach", "success"]
    }

    fn judge(&self, seen: &Seen<'_>, terms: &mut [f32]) -> Verdict {
        let missing = seen.error[0].abs();
        let success = missing < self.near;
        terms.copy_from_slice(&[-missing, -norm(&seen.error[1..4]), whether(success)]);
        Verdict {
            success,
            terminated: success,
        }
    }
}

/// Adds a piece of furniture to a model: a body that stays where it is put along its width, and one for its front.
fn add_piece(model: &mut Model, class: &Class, handle: &Handle) {
    let mass = f64::from(class.mass);
    let [depth, width, height] = class.size.map(f64::from);
    let filled = |mass: f64, [x, y, z]: [f64; 3]| Inertial {
        mass,
        com: [0.0; 3],
        inertia: [
            mass * (y * y + z * z) / 12.0,
            mass * (x * x + z * z) / 12.0,
            mass * (x * x + y * y) / 12.0,
            0.0,
            0.0,
            0.0,
        ],
    };
    model.body.push(Link {
        name: "piece".to_owned(),
        parent: "world".to_owned(),
        pos: handle.stands.map(f64::from),
        quat: [1.0, 0.0, 0.0, 0.0],
        inertial: Some(filled(mass, [depth, width, height])),
    });
    let joint = |name: &str, kind, axis: [f64; 3], limit| Joint {
        name: name.to_owned(),
        body: name.to_owned(),
        kind,
        axis,
        anchor: [0.0; 3],
        limit,
        limit_solref: usual_solref(),
        limit_solimp: usual_solimp(),
        damping: 0.0,
        armature: 0.0,
    };
    model.joint.push(Joint {
        damping: FAST[1],
        armature: FAST[0],
        ..joint("piece", JointKind::Slide, [0.0, 1.0, 0.0], None)
    });
    let way = f64::from(handle.way());
    // The front's body has its origin on the hinge.
    let (kind, axis, origin, damping) = match handle.motion {
        Motion::Hinge { origin, axis, .. } => (JointKind::Hinge, axis, origin, 2.0),
        Motion::Slide { by } => {
            let length = norm(&by);
            (JointKind::Slide, by.map(|x| x / length), [0.0; 3], 20.0)
        }
    };
    let leaf = leaf_bounds(class).unwrap_or_default();
    let size = [0, 1, 2].map(|i| f64::from(leaf[1][i] - leaf[0][i]));
    let middle = [0, 1, 2].map(|i| f64::from(0.5 * (leaf[0][i] + leaf[1][i]) - origin[i]));
    model.body.push(Link {
        name: "front".to_owned(),
        parent: "piece".to_owned(),
        pos: origin.map(f64::from),
        quat: [1.0, 0.0, 0.0, 0.0],
        inertial: Some(Inertial {
            com: middle,
            ..filled(FRONT_MASS * mass, size)
        }),
    });
    model.joint.push(Joint {
        damping,
        ..joint("front", kind, axis.map(f64::from), Some([0.0, way]))
    });
    let contact = |group| Contact {
        group,
        mask: 1,
        ..Contact::default()
    };
    let shape = |body: &str, kind: ShapeKind, size: Vec<f64>, pos, quat, group| Shape {
        name: String::new(),
        body: body.to_owned(),
        kind,
        size,
        pos,
        quat,
        contact: Some(contact(group)),
    };
    let from_origin = |at: [f64; 3]| [0, 1, 2].map(|i| at[i] - f64::from(origin[i]));
    for part in &solids(class, 0.0) {
        let ClassPart { moves, .. } = *part;
        let solid = primitive(part, 0.0);
        let size = solid.size[..solid.kind.numbers()].to_vec();
        model.shape.push(if moves {
            let pos = from_origin(solid.pos);
            shape("front", solid.kind, size, pos, solid.quat, LEAF)
        } else {
            shape("piece", solid.kind, size, solid.pos, solid.quat, FURNITURE)
        });
    }
    let [radius, half, _] = BAR.map(f64::from);
    let bar = from_origin(handle.closed.map(f64::from));
    let upright = [1.0, 0.0, 0.0, 0.0];
    let mut bar = shape(
        "front",
        ShapeKind::Capsule,
        vec![radius, half],
        bar,
        upright,
        LEAF,
    );
    if let Some(contact) = &mut bar.contact {
        contact.friction = [1.5, 0.01, 0.0001];
    }
    model.shape.push(bar);
}
