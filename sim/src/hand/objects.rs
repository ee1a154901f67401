//! The objects that hands carry about: compounds of convex shapes from `assets/hand/objects.toml`.

use std::sync::LazyLock;

use ::hand::model::{Contact, ShapeKind};
use ::hand::scene::{Object, Primitive};
use ::hand::turns::{from_z, matrix, product, quat_of};
use serde::Deserialize;

const FILE: &str = include_str!("../../../assets/hand/objects.toml");

/// An object as it stands on a table.
#[derive(Clone, Debug)]
pub struct Prop {
    /// Its body.
    pub object: Object,
    /// Where its center of mass is, in meters, when it stands on the plane z = 0 around the origin, and how its axes are
    /// turned then: a quaternion w, x, y, z.
    pub stands: ([f64; 3], [f64; 4]),
    /// Half the sides of the box around it as it stands, in meters.
    pub half: [f64; 3],
    /// sRGB, in 0 to 1.
    pub color: [f32; 3],
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    object: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    mass: f64,
    color: [f32; 3],
    shape: Vec<Part>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Part {
    kind: ShapeKind,
    size: Vec<f64>,
    #[serde(default)]
    at: [f64; 3],
    along: Option<[f64; 3]>,
    ring: Option<Ring>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Ring {
    count: usize,
    radius: f64,
}

static PROPS: LazyLock<Vec<Prop>> = LazyLock::new(|| {
    let file: File = toml::from_str(FILE).expect("the shipped objects are right");
    file.object.iter().map(Prop::new).collect()
});

/// All objects, in the order of the file.
pub fn props() -> &'static [Prop] {
    &PROPS
}

/// The object of a name.
pub fn prop(name: &str) -> Option<&'static Prop> {
    PROPS.iter().find(|prop| prop.object.name == name)
}

impl Prop {
    fn new(entry: &Entry) -> Self {
        let shapes: Vec<Primitive> = entry.shape.iter().flat_map(Part::shapes).collect();
        let reach = |axis: usize, sign: f64| {
            let farthest = shapes.iter().map(|shape| sign * extreme(shape, axis, sign));
            farthest.fold(f64::NEG_INFINITY, f64::max) * sign
        };
        let low = [0, 1, 2].map(|axis| reach(axis, -1.0));
        let high = [0, 1, 2].map(|axis| reach(axis, 1.0));
        let (object, com, quat) = Object::compound(&entry.name, entry.mass, &shapes);
        Self {
            object,
            stands: ([com[0], com[1], com[2] - low[2]], quat),
            half: [0, 1, 2].map(|axis| 0.5 * (high[axis] - low[axis])),
            color: entry.color,
        }
    }
}

impl Part {
    fn shapes(&self) -> Vec<Primitive> {
        let mut size = [0.0; 3];
        size[..self.size.len()].copy_from_slice(&self.size);
        let turn = self.along.map_or([1.0, 0.0, 0.0, 0.0], |along| {
            let length = along.iter().map(|x| x * x).sum::<f64>().sqrt();
            from_z(along.map(|x| x / length))
        });
        let shape = |pos, quat| Primitive {
            quat,
            contact: Contact {
                // Sliding, and against turning on the spot, as a pad of about a centimeter gives.
                dimensions: 4,
                friction: [1.0, 0.005, 0.0001],
                margin: 0.001,
                ..Contact::default()
            },
            ..Primitive::new(self.kind, size).at(pos)
        };
        let Some(ring) = &self.ring else {
            return vec![shape(self.at, turn)];
        };
        let copy = |i: usize| {
            let angle = 2.0 * std::f64::consts::PI * i as f64 / ring.count as f64;
            let (s, c) = libm::sincos(angle);
            let (half_s, half_c) = libm::sincos(0.5 * angle);
            let around = matrix([half_c, 0.0, 0.0, half_s]);
            let [x, y, z] = self.at;
            let pos = [x + ring.radius * c, y + ring.radius * s, z];
            shape(pos, quat_of(&product(&around, &matrix(turn))))
        };
        (0..ring.count).map(copy).collect()
    }
}

/// The coordinate of a shape's outermost point along an axis, on the side of `sign`.
fn extreme(shape: &Primitive, axis: usize, sign: f64) -> f64 {
    let turn = matrix(shape.quat);
    let [a, b, c] = shape.size;
    let row = turn[axis];
    let across = (row[0] * row[0] + row[1] * row[1]).sqrt();
    let out = match shape.kind {
        ShapeKind::Sphere => a,
        ShapeKind::Capsule => a + b * row[2].abs(),
        ShapeKind::Cylinder => a * across + b * row[2].abs(),
        ShapeKind::Box => a * row[0].abs() + b * row[1].abs() + c * row[2].abs(),
        ShapeKind::Ellipsoid => {
            let square = |x: f64| x * x;
            (square(a * row[0]) + square(b * row[1]) + square(c * row[2])).sqrt()
        }
        ShapeKind::Plane => f64::INFINITY,
    };
    shape.pos[axis] + sign * out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_as_large_as_those_of_the_paper() {
        // Sides in millimeters of MyoSuite 2.12.2's collision models, in the order of the file.
        let sides = [
            [180, 139, 51],
            [126, 45, 108],
            [87, 82, 99],
            [206, 98, 46],
            [86, 86, 102],
            [93, 69, 98],
            [137, 77, 101],
            [35, 35, 140],
            [206, 118, 24],
            [117, 63, 39],
            [118, 85, 107],
            [75, 131, 15],
            [81, 81, 74],
            [101, 66, 75],
            [132, 103, 128],
            [124, 31, 42],
            [38, 54, 203],
            [122, 122, 40],
            [97, 60, 84],
            [76, 49, 84],
            [60, 60, 137],
            [72, 72, 173],
            [237, 148, 114],
            [166, 25, 13],
            [151, 151, 78],
            [81, 81, 27],
            [41, 41, 41],
            [41, 41, 14],
            [149, 25, 50],
            [81, 81, 81],
            [41, 41, 41],
            [41, 41, 41],
            [41, 41, 37],
        ];
        assert_eq!(props().len(), sides.len());
        for (prop, sides) in props().iter().zip(sides) {
            let name = &prop.object.name;
            prop.object.check().unwrap();
            for (half, side) in prop.half.iter().zip(sides) {
                let off = (2000.0 * half - f64::from(side)).abs();
                // A strap, a crease, a spout are not copied to the millimeter.
                assert!(
                    off < 4.0f64.max(0.13 * f64::from(side)) || name == "watch",
                    "{name}: {:?} mm, not {sides:?}",
                    prop.half.map(|x| 2000.0 * x)
                );
            }
            // It stands on the table: nothing of it is below.
            let low = prop.object.shapes.iter().map(|shape| {
                let (_, quat) = prop.stands;
                let turn = product(&matrix(quat), &matrix(shape.quat));
                let pos = crate::hand::exemplar::then(&prop.stands, &(shape.pos, shape.quat)).0;
                let shape = Primitive {
                    pos,
                    quat: quat_of(&turn),
                    ..shape.clone()
                };
                extreme(&shape, 2, -1.0)
            });
            assert!(low.fold(f64::INFINITY, f64::min).abs() < 1e-9, "{name}");
        }
    }
}
