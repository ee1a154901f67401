//! A thing carried to a given place by a gripper: the role of MetaWorld's `pick-place` in Brandfonbrener et al. (arXiv
//! 2305.16985).
//!
//! The thing is a class of the household's catalogue and lies on the household's table; where it lies and where it shall be
//! are drawn, or given, as they are in finetuning. Success, and the end, when its middle is within 3 cm of the
//! target, which hangs above the table: it must be held.

use std::sync::LazyLock;

use ::hand::batch::WorldState;
use ::hand::model::{Contact, ShapeKind};
use ::hand::scene::{Object, Primitive, Scene};
use rand_chacha::ChaCha8Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    STRAIGHT, Task, Verdict, View, at_rest, empty_scene, norm, require, resting, symmetric, whether,
};
use crate::catalogue::{Catalogue, Class, Shape};
use crate::hand::{Body, HandError, Seen, Setting};
use crate::world::{PartForm, solids};

/// The table: its class.
const TABLE: &str = "kitchen table";
/// Half sides of where a thing starts and where it shall be, x and y in meters.
const AREA: [f32; 2] = [0.1, 0.05];

/// A thing carried to a given place. Target: place in meters, in the world (3). Error: from the thing's middle to the target,
/// and from between the fingers to the thing's middle, in meters (3 and 3).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Place {
    /// Class of the thing; no wider than 8 cm, a box, a cylinder or a ball.
    pub thing: String,
    /// The target in every episode: from the middle of the table's top, in meters; left out, it is drawn.
    pub fixed_m: Option<[f32; 3]>,
    /// Where the thing lies when an episode starts: from the middle of the table's top along x and y, in meters; left out, it
    /// is drawn.
    pub thing_m: Option<[f32; 2]>,
    /// How high above the table the target hangs: least and most, in meters.
    pub above_m: [f32; 2],
    /// How far from its usual place the gripper starts at most, along each axis, in meters.
    pub start_m: f32,
    /// Success: distance in meters.
    pub near_m: f32,
    /// Actions of an episode.
    pub max_steps: u32,
}

impl Default for Place {
    fn default() -> Self {
        Self {
            thing: "apple".to_owned(),
            fixed_m: None,
            thing_m: None,
            above_m: [0.08, 0.2],
            start_m: 0.05,
            near_m: 0.03,
            max_steps: 100,
        }
    }
}

/// Height of the table's top in meters.
static TOP: LazyLock<f32> = LazyLock::new(|| {
    let catalogue = Catalogue::standard();
    let table = catalogue.find(TABLE).map(|id| catalogue.class(id).size[2]);
    table.unwrap_or(0.75)
});

impl Place {
    fn class(&self) -> Result<Class, HandError> {
        let catalogue = Catalogue::standard();
        let class = catalogue.find(&self.thing);
        let class = class.map(|id| catalogue.class(id).clone());
        let fits = |class: &Class| {
            let convex = matches!(
                class.shape,
                Shape::Box {} | Shape::Cylinder {} | Shape::Ball {}
            );
            convex && class.size[1] <= 0.08 && !class.fixed
        };
        class.filter(fits).ok_or_else(|| HandError::Config {
            field: "thing",
            value: format!("\"{}\"", self.thing),
            expected: "a class of things no wider than 0.08 m that is a box, a cylinder or a ball",
        })
    }
}

impl Task for Place {
    fn name(&self) -> &'static str {
        "gripper/place"
    }

    fn say(&self) -> String {
        format!("Carry the {} where it is shown.", self.thing)
    }

    fn goal(&self) -> String {
        format!("{} within {} m of the target", self.thing, self.near_m)
    }

    fn max_steps(&self) -> u32 {
        self.max_steps
    }

    fn scene(&self, body: &Body) -> Result<Scene, HandError> {
        require(self.name(), body, &[("z", 0.0), ("left", 0.0)])?;
        let mut scene = empty_scene(body);
        let catalogue = Catalogue::standard();
        if let Some(table) = catalogue.find(TABLE) {
            scene.fixed.extend(furniture(catalogue.class(table), 0.0));
        }
        scene.objects.push(thing(&self.class()?));
        Ok(scene)
    }

    fn n_target(&self, _: &Setting) -> usize {
        3
    }

    fn n_error(&self, _: &Setting) -> usize {
        6
    }

    fn standing(&self, setting: &Setting) -> WorldState {
        let top = *TOP;
        let half = self.class().map_or(0.03, |class| 0.5 * class.size[2]);
        let object = resting([0.0, 0.0, top + half], STRAIGHT);
        let pose = [("z", top + 0.3), ("left", 0.05), ("right", 0.05)];
        at_rest(setting, &pose, vec![object])
    }

    fn draw(&self, _: &Setting, rng: &mut ChaCha8Rng, start: &mut WorldState, target: &mut [f32]) {
        let mut symmetric = || symmetric(rng) as f32;
        for x in &mut start.qpos[..3] {
            *x += self.start_m * symmetric();
        }
        let drawn = AREA.map(|half| half * symmetric());
        start.objects[0].pos[..2].copy_from_slice(&self.thing_m.unwrap_or(drawn));
        let [low, high] = self.above_m;
        let drawn = [
            AREA[0] * symmetric(),
            AREA[1] * symmetric(),
            0.5 * (low + high) + 0.5 * (high - low) * symmetric(),
        ];
        target.copy_from_slice(&self.fixed_m.unwrap_or(drawn));
        target[2] += *TOP;
    }

    fn error(&self, seen: &Seen<'_>, error: &mut [f32]) {
        for i in 0..3 {
            let middle = 0.5 * (seen.fingertips[i] + seen.fingertips[3 + i]);
            error[i] = seen.target[i] - seen.object_pose[i];
            error[3 + i] = seen.object_pose[i] - middle;
        }
    }

    fn terms(&self) -> &'static [&'static str] {
        &["distance", "reach", "success"]
    }

    fn judge(&self, seen: &Seen<'_>, terms: &mut [f32]) -> Verdict {
        let (missing, reach) = seen.error.split_at(3);
        let distance = norm(missing);
        let success = distance < self.near_m;
        terms.copy_from_slice(&[-distance, -norm(reach), whether(success)]);
        // What has fallen off the table is out of reach.
        let lost = seen.object_pose[2] < *TOP - 0.2;
        Verdict {
            success,
            terminated: success || lost,
        }
    }

    fn mark(&self, seen: &Seen<'_>) -> Option<[f32; 3]> {
        seen.target.first_chunk().copied()
    }

    fn view(&self) -> View {
        View {
            from: [0.6, -0.4, *TOP + 0.55],
            to: [0.0, 0.0, *TOP + 0.13],
            fovy: 0.55,
            ground: *TOP,
        }
    }
}

/// A thing of a class, free to move.
pub(super) fn thing(class: &Class) -> Object {
    let [x, y, z] = class.size.map(|side| 0.5 * f64::from(side));
    let mass = f64::from(class.mass);
    let (kind, size, inertia) = match class.shape {
        Shape::Ball {} => {
            let i = 0.4 * mass * x * x;
            (ShapeKind::Sphere, [x, 0.0, 0.0], [i; 3])
        }
        Shape::Cylinder {} => {
            let across = mass * (x * x / 4.0 + z * z / 3.0);
            let along = 0.5 * mass * x * x;
            (ShapeKind::Cylinder, [x, z, 0.0], [across, across, along])
        }
        _ => {
            let inertia = [y * y + z * z, x * x + z * z, x * x + y * y];
            (ShapeKind::Box, [x, y, z], inertia.map(|i| mass * i / 3.0))
        }
    };
    let contact = Contact {
        // Rolling friction: a ball comes to rest.
        friction: [1.0, 0.01, 0.001],
        dimensions: 6,
        ..Contact::default()
    };
    Object {
        name: class.name.clone(),
        mass,
        inertia,
        shapes: vec![Primitive {
            contact,
            ..Primitive::new(kind, size)
        }],
    }
}

/// The solids of a piece of furniture without a front, standing on the floor at (`x`, 0), looking along +x.
fn furniture(class: &Class, x: f64) -> Vec<Primitive> {
    let still = |part: &crate::world::ClassPart| !part.moves;
    let parts = solids(class, 0.0);
    parts
        .iter()
        .filter(|p| still(p))
        .map(|p| primitive(p, x))
        .collect()
}

/// A solid of a class as a primitive, `x` meters ahead.
pub(super) fn primitive(part: &crate::world::ClassPart, x: f64) -> Primitive {
    let (kind, size) = match part.form {
        PartForm::Box(half) => (ShapeKind::Box, half.map(f64::from)),
        PartForm::Cylinder(half, radius) => (
            ShapeKind::Cylinder,
            [f64::from(radius), f64::from(half), 0.0],
        ),
        PartForm::Ball(radius) => (ShapeKind::Sphere, [f64::from(radius), 0.0, 0.0]),
        PartForm::Capsule(half, radius) => (
            ShapeKind::Capsule,
            [f64::from(radius), f64::from(half), 0.0],
        ),
        PartForm::Ellipsoid(half) => (ShapeKind::Ellipsoid, half.map(f64::from)),
    };
    let [i, j, k, w] = part.rotation.map(f64::from);
    let [px, y, z] = part.position.map(f64::from);
    Primitive {
        quat: [w, i, j, k],
        ..Primitive::new(kind, size).at([px + x, y, z])
    }
}
