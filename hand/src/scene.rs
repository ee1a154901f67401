//! What is simulated together: one model, objects that move freely, and things that stand still.

use crate::model::{
    Body, Contact, Inertial, Joint, JointKind, Model, ParameterSet, Position, ShapeKind,
    usual_solimp, usual_solref,
};

/// A model and its surroundings, in SI units.
#[derive(Clone, Debug)]
pub struct Scene {
    /// The articulated body.
    pub model: Model,
    /// Which length ranges its muscles have.
    pub parameters: ParameterSet,
    /// What moves freely.
    pub objects: Vec<Object>,
    /// What stands still: a floor, a table.
    pub fixed: Vec<Primitive>,
    /// How it is computed.
    pub options: Options,
}

/// A rigid body that moves freely. Its origin is its centre of mass, its axes are those of its inertia.
#[derive(Clone, Debug, PartialEq)]
pub struct Object {
    /// Its name.
    pub name: String,
    /// Kilograms.
    pub mass: f64,
    /// Around its axes, kg m².
    pub inertia: [f64; 3],
    /// What it is made of: 1 to 16 convex shapes.
    pub shapes: Vec<Primitive>,
}

/// An object that cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("object \"{name}\": {reason}")]
pub struct ObjectError {
    /// Its name.
    pub name: String,
    /// What is wrong with it.
    pub reason: String,
}

/// A convex shape.
#[derive(Clone, Debug, PartialEq)]
pub struct Primitive {
    /// What it is. Planes only among what stands still.
    pub kind: ShapeKind,
    /// As in [`crate::model::Shape`]; what a kind does not need is 0.
    pub size: [f64; 3],
    /// Its centre in the object (or world).
    pub pos: [f64; 3],
    /// How it is turned: a quaternion w, x, y, z.
    pub quat: [f64; 4],
    /// How it touches others.
    pub contact: Contact,
}

/// How a scene is computed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Options {
    /// Seconds a step; 0.002 is usual.
    pub timestep: f64,
    /// Sweeps over the constraints in each step. With 6, grasps and stacks of ten hold; more sink less under load.
    pub iterations: usize,
    /// Whether joint limits hold.
    pub limits: bool,
    /// Whether anything touches.
    pub contacts: bool,
    /// Whether parts of the model touch each other.
    pub self_contacts: bool,
    /// A world in which anything moves faster than this (radians or metres a second) has diverged.
    pub max_speed: f64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            timestep: 0.002,
            iterations: 6,
            limits: true,
            contacts: true,
            self_contacts: true,
            max_speed: 1000.0,
        }
    }
}

/// The six joints that carry a hand, as MyoDM's: three slides and three hinges at the body that hangs on the world, each held at
/// the place that its control names. They stand in for a shoulder and an elbow.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DrivenRoot {
    /// Kilograms of what moves with the root.
    pub mass: f64,
    /// N/m and N m/rad.
    pub stiffness: [f64; 2],
    /// N s/m and N m s/rad.
    pub damping: [f64; 2],
    /// How far each joint goes to both sides: metres and radians.
    pub reach: [f64; 2],
}

/// Stiff enough that the hand's weight lowers it by 2 cm.
impl Default for DrivenRoot {
    fn default() -> Self {
        Self {
            mass: 3.0,
            stiffness: [2000.0, 300.0],
            damping: [200.0, 30.0],
            reach: [0.4, 1.75],
        }
    }
}

impl DrivenRoot {
    /// Names of its joints and of their actuators.
    pub const JOINTS: [&'static str; 6] = [
        "root_x",
        "root_y",
        "root_z",
        "root_roll",
        "root_pitch",
        "root_yaw",
    ];

    /// The model on a driven root: its joints and controls come before those of the model's own joints, and after its muscles.
    ///
    /// # Errors
    /// When not exactly one body hangs on the world, or it has joints of its own.
    pub fn carry(&self, model: &Model) -> Result<Model, String> {
        let mut roots = model.body.iter().filter(|b| b.parent == "world");
        let (Some(root), None) = (roots.next(), roots.next()) else {
            return Err("a driven root needs exactly one body that hangs on the world".to_owned());
        };
        if model.joint.iter().any(|j| j.body == root.name) {
            return Err(format!("body \"{}\" has joints of its own", root.name));
        }
        let name = root.name.clone();
        let mut model = model.clone();
        let inertia = self.mass * 0.01;
        let carriage = Inertial {
            mass: self.mass,
            com: [0.0; 3],
            inertia: [inertia, inertia, inertia, 0.0, 0.0, 0.0],
        };
        for body in &mut model.body {
            if body.name == name {
                *body = Body {
                    inertial: Some(carriage.clone()),
                    ..body.clone()
                };
            }
        }
        let axes = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
        let joints = Self::JOINTS.iter().enumerate().map(|(i, joint)| Joint {
            name: (*joint).to_owned(),
            body: name.clone(),
            kind: if i < 3 {
                JointKind::Slide
            } else {
                JointKind::Hinge
            },
            axis: axes[i % 3],
            anchor: [0.0; 3],
            limit: Some([-self.reach[i / 3], self.reach[i / 3]]),
            limit_solref: usual_solref(),
            limit_solimp: usual_solimp(),
            damping: self.damping[i / 3],
            armature: 0.0,
        });
        let held = Self::JOINTS.iter().enumerate().map(|(i, joint)| Position {
            name: (*joint).to_owned(),
            joint: (*joint).to_owned(),
            stiffness: self.stiffness[i / 3],
            damping: 0.0,
            control: Some([-self.reach[i / 3], self.reach[i / 3]]),
            force: None,
        });
        model.joint.splice(0..0, joints);
        model.position.splice(0..0, held);
        Ok(model)
    }
}

impl Object {
    /// Whether it can be.
    ///
    /// # Errors
    /// When it has no shape or too many, or its mass or inertia is not more than 0.
    pub fn check(&self) -> Result<(), ObjectError> {
        let positive = |x: f64| x.is_finite() && x > 0.0;
        let shapes = self.shapes.len();
        let reason = if !(1..=16).contains(&shapes) {
            format!("{shapes} shapes, expected 1 to 16")
        } else if !positive(self.mass) {
            format!("mass is {}, expected more than 0", self.mass)
        } else if let Some(i) = self.inertia.iter().find(|i| !positive(**i)) {
            format!("inertia around an axis is {i}, expected more than 0")
        } else {
            return Ok(());
        };
        let name = self.name.clone();
        Err(ObjectError { name, reason })
    }
}

impl Primitive {
    /// A shape in the middle of its object, with the usual contact.
    pub fn new(kind: ShapeKind, size: [f64; 3]) -> Self {
        Self {
            kind,
            size,
            pos: [0.0; 3],
            quat: [1.0, 0.0, 0.0, 0.0],
            contact: Contact::default(),
        }
    }

    /// The same shape elsewhere.
    pub fn at(self, pos: [f64; 3]) -> Self {
        Self { pos, ..self }
    }
}
