//! What is simulated together: one model, objects that move freely, and things that stand still.

use crate::math::{
    add, apply_transposed, cross, dot, eigen, identity, matrix, product, quat_of, scale, sub, sum,
    transposed,
};
use crate::model::{
    Contact, Inertial, Joint, JointKind, Model, ParameterSet, Position, ShapeKind, usual_solimp,
    usual_solref,
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

    /// The model on a driven root that slides along the world's axes and turns around a place in the world: around x, then the
    /// turned y, then the twice turned z. Its joints and controls come behind those of the model.
    ///
    /// # Errors
    /// When not exactly one body hangs on the world, or it has joints of its own.
    pub fn carry(&self, model: &Model, pivot: [f64; 3]) -> Result<Model, String> {
        let mut model = model.clone();
        let mut roots = model.body.iter_mut().filter(|b| b.parent == "world");
        let (Some(root), None) = (roots.next(), roots.next()) else {
            return Err("a driven root needs exactly one body that hangs on the world".to_owned());
        };
        let name = root.name.clone();
        // Joints are given in the axes of their body.
        let turn = matrix(root.quat);
        let anchor = apply_transposed(&turn, sub(pivot, root.pos));
        let inertia = self.mass * 0.01;
        root.inertial = Some(Inertial {
            mass: self.mass,
            com: anchor,
            inertia: [inertia, inertia, inertia, 0.0, 0.0, 0.0],
        });
        if model.joint.iter().any(|j| j.body == name) {
            return Err(format!("body \"{name}\" has joints of its own"));
        }
        for (i, joint) in Self::JOINTS.iter().enumerate() {
            let limit = [-self.reach[i / 3], self.reach[i / 3]];
            model.joint.push(Joint {
                name: (*joint).to_owned(),
                body: name.clone(),
                kind: if i < 3 {
                    JointKind::Slide
                } else {
                    JointKind::Hinge
                },
                // What a world's axis is to the body: a row of its turn.
                axis: turn[i % 3],
                anchor,
                limit: Some(limit),
                limit_solref: usual_solref(),
                limit_solimp: usual_solimp(),
                damping: self.damping[i / 3],
                armature: 0.0,
            });
            model.position.push(Position {
                name: (*joint).to_owned(),
                joint: (*joint).to_owned(),
                stiffness: self.stiffness[i / 3],
                damping: 0.0,
                control: Some(limit),
                force: None,
            });
        }
        Ok(model)
    }
}

impl Object {
    /// A body of one density that is one shape, in its middle, with its axes.
    ///
    /// # Panics
    /// When the shape is a plane: it has no volume.
    pub fn solid(name: &str, mass: f64, shape: Primitive) -> Self {
        Self {
            name: name.to_owned(),
            mass,
            inertia: shape.gyration().map(|square| mass * square),
            shapes: vec![shape],
        }
    }

    /// A body of one density made of shapes that are given in any axes, and where in those its centre of mass lies and how its
    /// axes are turned: a place in metres and a quaternion w, x, y, z. Where shapes overlap, they count twice.
    ///
    /// # Panics
    /// When a shape is a plane: it has no volume.
    pub fn compound(name: &str, mass: f64, shapes: &[Primitive]) -> (Self, [f64; 3], [f64; 4]) {
        let volumes: Vec<f64> = shapes.iter().map(Primitive::volume).collect();
        let density = mass / volumes.iter().sum::<f64>();
        let mut com = [0.0; 3];
        for (shape, volume) in shapes.iter().zip(&volumes) {
            com = add(com, scale(shape.pos, volume * density / mass));
        }
        let mut inertia = identity(0.0);
        for (shape, volume) in shapes.iter().zip(&volumes) {
            let (mass, turn) = (volume * density, matrix(shape.quat));
            let [x, y, z] = shape.gyration().map(|square| mass * square);
            let own = [[x, 0.0, 0.0], [0.0, y, 0.0], [0.0, 0.0, z]];
            let off = sub(shape.pos, com);
            let away = [0, 1, 2].map(|i| {
                [0, 1, 2].map(|j| {
                    let square = if i == j { dot(off, off) } else { 0.0 };
                    mass * (square - off[i] * off[j])
                })
            });
            let turned = product(&turn, &product(&own, &transposed(&turn)));
            inertia = sum(&inertia, &sum(&turned, &away));
        }
        let (inertia, mut axes) = eigen(inertia);
        let handed = dot(
            cross(transposed(&axes)[0], transposed(&axes)[1]),
            transposed(&axes)[2],
        );
        if handed < 0.0 {
            axes = axes.map(|[x, y, z]| [x, y, -z]);
        }
        let own = shapes.iter().map(|shape| Primitive {
            pos: apply_transposed(&axes, sub(shape.pos, com)),
            quat: quat_of(&product(&transposed(&axes), &matrix(shape.quat))),
            ..shape.clone()
        });
        let object = Self {
            name: name.to_owned(),
            mass,
            inertia,
            shapes: own.collect(),
        };
        (object, com, quat_of(&axes))
    }

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

    /// Cubic metres.
    ///
    /// # Panics
    /// Of a plane, which has none.
    pub fn volume(&self) -> f64 {
        let [a, b, c] = self.size;
        let pi = std::f64::consts::PI;
        match self.kind {
            ShapeKind::Sphere => 4.0 / 3.0 * pi * a.powi(3),
            ShapeKind::Capsule => pi * a * a * (2.0 * b + 4.0 / 3.0 * a),
            ShapeKind::Cylinder => 2.0 * pi * a * a * b,
            ShapeKind::Box => 8.0 * a * b * c,
            ShapeKind::Ellipsoid => 4.0 / 3.0 * pi * a * b * c,
            ShapeKind::Plane => panic!("a plane has no volume"),
        }
    }

    /// Squares of the radii of gyration around its axes: inertia by mass.
    fn gyration(&self) -> [f64; 3] {
        let [a, b, c] = self.size;
        let square = |x: f64| x * x;
        match self.kind {
            ShapeKind::Sphere => [0.4 * square(a); 3],
            ShapeKind::Capsule => {
                // Two half balls at the ends of a cylinder, by their shares of the volume.
                let ball = 4.0 / 3.0 * a / (2.0 * b + 4.0 / 3.0 * a);
                let along = ball * 0.4 * square(a) + (1.0 - ball) * 0.5 * square(a);
                let half_balls = 0.4 * square(a) + square(b) + 0.75 * a * b;
                let cylinder = square(a) / 4.0 + square(b) / 3.0;
                let across = ball * half_balls + (1.0 - ball) * cylinder;
                [across, across, along]
            }
            ShapeKind::Cylinder => {
                let across = square(a) / 4.0 + square(b) / 3.0;
                [across, across, 0.5 * square(a)]
            }
            ShapeKind::Box => [
                square(b) + square(c),
                square(a) + square(c),
                square(a) + square(b),
            ]
            .map(|x| x / 3.0),
            ShapeKind::Ellipsoid => [
                square(b) + square(c),
                square(a) + square(c),
                square(a) + square(b),
            ]
            .map(|x| x / 5.0),
            ShapeKind::Plane => panic!("a plane has no inertia"),
        }
    }

    /// The same shape elsewhere.
    pub fn at(self, pos: [f64; 3]) -> Self {
        Self { pos, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_compound_has_the_mass_and_inertia_of_its_whole() {
        // A box of halves, turned and moved: what a box of one piece has.
        let half = |x: f64| Primitive::new(ShapeKind::Box, [0.05, 0.02, 0.01]).at([x, 0.3, 0.0]);
        let (object, com, _) = Object::compound("box", 0.6, &[half(0.1), half(0.2)]);
        let close = |a: f64, b: f64| (a - b).abs() < 1e-12;
        assert!(close(com[0], 0.15) && close(com[1], 0.3) && close(com[2], 0.0));
        let square = |x: f64| x * x;
        let mut expected = [
            0.2 * (square(0.02) + square(0.01)),
            0.2 * (square(0.1) + square(0.01)),
            0.2 * (square(0.1) + square(0.02)),
        ];
        let mut found = object.inertia;
        expected.sort_by(f64::total_cmp);
        found.sort_by(f64::total_cmp);
        assert!((0..3).all(|i| close(found[i], expected[i])), "{found:?}");
        // A long capsule is nearly a cylinder, a short one nearly a ball.
        let gyration = |kind, size| Primitive::new(kind, size).gyration();
        let long = gyration(ShapeKind::Capsule, [0.01, 10.0, 0.0]);
        let rod = gyration(ShapeKind::Cylinder, [0.01, 10.0, 0.0]);
        assert!((0..3).all(|i| (long[i] / rod[i] - 1.0).abs() < 3e-3));
        let short = gyration(ShapeKind::Capsule, [0.01, 1e-9, 0.0]);
        let ball = gyration(ShapeKind::Sphere, [0.01, 0.0, 0.0]);
        assert!((0..3).all(|i| (short[i] / ball[i] - 1.0).abs() < 1e-6));
        // An L lies askew in its own axes: seen through them, its shapes are where they were.
        let arm = |size, pos| Primitive::new(ShapeKind::Box, size).at(pos);
        let shapes = [
            arm([0.05, 0.01, 0.01], [0.05, 0.0, 0.0]),
            arm([0.01, 0.05, 0.01], [0.0, 0.05, 0.02]),
        ];
        let (object, com, quat) = Object::compound("l", 0.1, &shapes);
        for (own, given) in object.shapes.iter().zip(&shapes) {
            let back = add(com, crate::math::apply(&matrix(quat), own.pos));
            assert!((0..3).all(|i| close(back[i], given.pos[i])), "{back:?}");
        }
    }
}
