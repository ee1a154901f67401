//! Solids in the frame of a camera: what a ray test needs, and bounds on the screen and in depth.
//!
//! The camera is at the origin and rays are (x, y, 1), so the parameter of a hit is its depth t along the axis of view. Tests
//! compute w = 1 / t: where a ray crosses a plane, w is linear in x and y, and where it enters a ball, it is a square root of a
//! quadratic in them. Of several hits the largest w is the nearest.

use std::sync::Arc;

use super::math::{Vec3, add, around, cross, dot, matrix_of, norm, scale, sub, unit};
use super::{Camera, Light, Mesh, Scene, Shape, Solid, Texture};

/// a x + b y + c.
pub(super) type Linear = [f32; 3];

/// A solid in the frame of the camera.
#[derive(Clone, Debug)]
pub(super) struct Prepared {
    pub(super) test: Test,
    /// No part of it has a larger 1 / depth.
    pub(super) nearest: f32,
    /// Color in [0, 255].
    pub(super) color: Vec3,
    /// Whether it has a texture or highlights.
    pub(super) fancy: bool,
    /// First and last pixel that a ray may meet it through: columns, rows.
    pub(super) pixels: [[usize; 2]; 2],
    pub(super) frame: Frame,
    /// To the light, in the camera's frame.
    pub(super) to_light: Vec3,
}

/// Where a solid is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    pub(super) center: Vec3,
    pub(super) axes: [Vec3; 3],
}

/// What to compute for a packet of rays. Lengths along the light are those of the way to it.
#[derive(Clone, Debug)]
pub(super) enum Test {
    /// Slabs along the three axes; the camera is outside of the first.
    Box {
        /// w where the ray crosses the near face of a slab.
        near: [Linear; 3],
        /// w at the far face in units of that.
        far: [f32; 3],
        /// For the second and third: what is added to w at the near face where rays enter there, and where they leave: 0 and −∞ if
        /// the camera is outside of the slab, ∞ and 0 if it is between its faces.
        lift: [[f32; 2]; 2],
        /// Cosine of the light on the near face.
        lit: [f32; 3],
    },
    /// Balls, and balls drawn out, in a space where they are of radius 1.
    Ball {
        /// Along the middle, and at right angles to it.
        along: Linear,
        aside: [Linear; 2],
        /// How much of the square of the ray's length counts.
        length: f32,
        /// 1 / radius and cosine of the middle with the light; none for an ellipsoid.
        round: Option<[f32; 2]>,
        ellipsoid: [[f32; 3]; 2],
    },
    /// Capsules and cylinders.
    Tube {
        /// Rays along the perpendicular to the camera, across, and along the axis.
        out: Linear,
        across: Linear,
        axial: Linear,
        /// Distance of the camera from the axis, and its height along it.
        from: [f32; 2],
        radius: f32,
        half: f32,
        /// The light along the axis and from the middle.
        lit: [f32; 2],
        capped: bool,
    },
    Plane {
        near: Linear,
        lit: f32,
    },
    Mesh(Arc<Mesh>),
    /// Nothing that can be seen.
    Nothing,
}

/// What is the same for all solids of a picture.
pub(super) struct View {
    pub(super) axes: [Vec3; 3],
    /// To the light, in the camera's frame; length 1.
    pub(super) to_light: Vec3,
    /// Half extents of the picture at depth 1.
    pub(super) half: [f32; 2],
}

impl View {
    pub(super) fn new(camera: &Camera, light: &Light) -> Self {
        let axes = camera.axes();
        let to_light = unit(scale(light.direction, -1.0));
        let tangent = libm::tan(0.5 * f64::from(camera.fovy));
        let aspect = camera.width as f64 / camera.height as f64;
        Self {
            to_light: axes.map(|a| dot(a, to_light)),
            axes,
            half: [(tangent * aspect) as f32, tangent as f32],
        }
    }

    fn frame(&self, camera: &Camera, solid: &Solid) -> Frame {
        let away = sub(solid.position, camera.position);
        Frame {
            center: self.axes.map(|a| dot(a, away)),
            axes: matrix_of(solid.rotation).map(|axis| self.axes.map(|a| dot(a, axis))),
        }
    }
}

/// Nearer to a surface than this the camera counts as outside, so that nothing is divided by 0 (meters).
const TOUCHING: f32 = 1e-6;

pub(super) fn prepare(view: &View, camera: &Camera, solid: &Solid) -> Prepared {
    let frame = view.frame(camera, solid);
    let test = test(view, &frame, &solid.shape);
    let bounds = match test {
        Test::Nothing => None,
        _ => bounds(view, camera, &frame, &solid.shape),
    };
    let material = &solid.material;
    let (nearest, pixels, test) = match bounds {
        Some((nearest, pixels)) => (nearest, pixels, test),
        None => (0.0, [[1, 0]; 2], Test::Nothing),
    };
    Prepared {
        test,
        nearest,
        color: scale(material.color, 255.0),
        fancy: material.specular > 0.0 || material.texture != Texture::Plain,
        pixels,
        frame,
        to_light: view.to_light,
    }
}

fn test(view: &View, frame: &Frame, shape: &Shape) -> Test {
    let Frame { center, axes } = *frame;
    let light = view.to_light;
    // The camera in the frame of the solid.
    let from = axes.map(|a| -dot(a, center));
    match *shape {
        Shape::Box { half } => slabs(from, axes, half, light),
        Shape::Sphere { radius } => {
            let distance2 = dot(center, center);
            let k = distance2 - radius * radius;
            if k <= 0.0 || radius <= 0.0 {
                return Test::Nothing;
            }
            let distance = distance2.sqrt();
            let [u, v] = around(scale(center, 1.0 / distance));
            Test::Ball {
                along: scale(center, 1.0 / k),
                aside: [scale(u, distance / k), scale(v, distance / k)],
                length: (radius / k) * (radius / k),
                round: Some([1.0 / radius, -dot(center, light) / radius]),
                ellipsoid: [[0.0; 3]; 2],
            }
        }
        Shape::Ellipsoid { half } => {
            if !half.iter().all(|h| *h > 0.0) {
                return Test::Nothing;
            }
            let inverse = half.map(|h| 1.0 / h);
            let middle = [0, 1, 2].map(|k| -from[k] * inverse[k]);
            let distance2 = dot(middle, middle);
            let k = distance2 - 1.0;
            if k <= 0.0 {
                return Test::Nothing;
            }
            let distance = distance2.sqrt();
            let [u, v] = around(scale(middle, 1.0 / distance));
            // Of a vector of the scaled space, what a ray of the camera has along it.
            let along = |s: Vec3| {
                let parts = [0, 1, 2].map(|i| scale(axes[i], s[i] * inverse[i]));
                add(add(parts[0], parts[1]), parts[2])
            };
            Test::Ball {
                along: scale(along(middle), 1.0 / k),
                aside: [scale(along(u), distance / k), scale(along(v), distance / k)],
                length: 1.0 / distance2,
                round: None,
                ellipsoid: [from, inverse],
            }
        }
        Shape::Capsule {
            radius,
            half_length,
        } => tube(frame, radius, half_length, light, false),
        Shape::Cylinder {
            radius,
            half_length,
        } => tube(frame, radius, half_length, light, true),
        Shape::Plane => {
            if from[2] <= TOUCHING {
                return Test::Nothing;
            }
            Test::Plane {
                near: scale(axes[2], -1.0 / from[2]),
                lit: dot(axes[2], light),
            }
        }
        Shape::Mesh(ref mesh) => Test::Mesh(Arc::clone(mesh)),
    }
}

fn slabs(from: Vec3, axes: [Vec3; 3], half: Vec3, light: Vec3) -> Test {
    let mut order = [0, 1, 2];
    let is_outside = |k: usize| from[k].abs() > half[k];
    order.sort_by_key(|k| !is_outside(*k));
    if !is_outside(order[0]) {
        return Test::Nothing;
    }
    let lift = [order[1], order[2]].map(|k| {
        if is_outside(k) {
            [0.0, f32::NEG_INFINITY]
        } else {
            [f32::INFINITY, 0.0]
        }
    });
    let (mut near, mut far, mut lit) = ([[0.0; 3]; 3], [0.0; 3], [0.0; 3]);
    for (place, k) in order.into_iter().enumerate() {
        let side = if from[k] < 0.0 { -1.0 } else { 1.0 };
        let to_face = |sign: f32| {
            let distance = sign * half[k] - from[k];
            if distance.abs() < TOUCHING {
                // Outside: on the side of the face; inside: within the slab.
                let inward = if is_outside(k) { -side } else { sign };
                inward * TOUCHING
            } else {
                distance
            }
        };
        let (first, second) = (to_face(side), to_face(-side));
        near[place] = scale(axes[k], 1.0 / first);
        far[place] = first / second;
        lit[place] = side * dot(axes[k], light);
    }
    Test::Box {
        near,
        far,
        lift,
        lit,
    }
}

fn tube(frame: &Frame, radius: f32, half: f32, light: Vec3, capped: bool) -> Test {
    let axis = frame.axes[2];
    let from = scale(frame.center, -1.0);
    let height = dot(from, axis);
    let aside = sub(from, scale(axis, height));
    let distance = norm(aside);
    let out = if distance > 1e-7 {
        scale(aside, 1.0 / distance)
    } else {
        frame.axes[0]
    };
    let beyond = (height.abs() - half).max(0.0);
    let is_inside = if capped {
        distance <= radius && beyond == 0.0
    } else {
        distance * distance + beyond * beyond <= radius * radius
    };
    if is_inside || radius <= 0.0 || half < 0.0 {
        return Test::Nothing;
    }
    Test::Tube {
        out,
        across: cross(axis, out),
        axial: axis,
        from: [distance, height],
        radius,
        half,
        lit: [dot(axis, light), -dot(frame.center, light)],
        capped,
    }
}

/// Largest 1 / depth of what can be seen of it, and the pixels; none where none of it can be seen.
fn bounds(
    view: &View,
    camera: &Camera,
    frame: &Frame,
    shape: &Shape,
) -> Option<(f32, [[usize; 2]; 2])> {
    let everything = Some((
        1.0 / camera.near,
        [[0, camera.width - 1], [0, camera.height - 1]],
    ));
    let Frame { center, axes } = *frame;
    let round = |center: Vec3, rows: [Vec3; 3]| Quadric::new(center, rows);
    let scaled = |half: Vec3| [0, 1, 2].map(|k| scale(axes[k], half[k]));
    let disc = |radius: f32| [scale(axes[0], radius), scale(axes[1], radius), [0.0; 3]];
    let ends = |half: f32, rows: [Vec3; 3]| {
        let along = scale(axes[2], half);
        [
            round(add(center, along), rows),
            round(sub(center, along), rows),
        ]
    };
    let (depths, tangents) = match *shape {
        Shape::Plane => return everything,
        Shape::Box { half } => hull(center, scaled(half), camera.near)?,
        Shape::Mesh(ref mesh) => {
            let (middle, half) = mesh.bounds();
            let parts = scaled(middle);
            let center = add(center, add(add(parts[0], parts[1]), parts[2]));
            let pad = 1e-5 + 1e-4 * norm(half);
            hull(center, scaled(half.map(|h| h + pad)), camera.near)?
        }
        Shape::Sphere { radius } => Quadric::all(&[round(center, ball(radius))], camera.near)?,
        Shape::Ellipsoid { half } => Quadric::all(&[round(center, scaled(half))], camera.near)?,
        Shape::Capsule {
            radius,
            half_length,
        } => Quadric::all(&ends(half_length, ball(radius)), camera.near)?,
        Shape::Cylinder {
            radius,
            half_length,
        } => Quadric::all(&ends(half_length, disc(radius)), camera.near)?,
    };
    if f64::from(camera.far) < depths[0] {
        return None;
    }
    let nearest = depths[0].max(f64::from(camera.near)) * (1.0 - 1e-5);
    let nearest = (1.0 / nearest) as f32;
    let Some(tangents) = tangents else {
        return everything.map(|(_, pixels)| (nearest, pixels));
    };
    // Rays go through the middle of pixels, and with supersampling through all of them.
    let sizes = [camera.width, camera.height];
    let mut pixels = [[0; 2]; 2];
    for k in 0..2 {
        let at = |tangent: f64| {
            let share = tangent / f64::from(view.half[k]);
            let share = if k == 0 { share } else { -share };
            0.5 * (share + 1.0) * sizes[k] as f64
        };
        let [a, b] = tangents[k].map(at);
        let last = sizes[k] as f64 - 1.0;
        // Wider by the rounding of the tests.
        let pad = 0.05;
        let (low, high) = ((a.min(b) - pad).floor(), (a.max(b) + pad).floor());
        if high < 0.0 || low > last || low.is_nan() || high.is_nan() {
            return None;
        }
        pixels[k] = [
            low.clamp(0.0, last) as usize,
            high.clamp(0.0, last) as usize,
        ];
    }
    Some((nearest, pixels))
}

fn ball(radius: f32) -> [Vec3; 3] {
    [[radius, 0.0, 0.0], [0.0, radius, 0.0], [0.0, 0.0, radius]]
}

/// Nearest and farthest depth, and the least and greatest tangent along x and y where all is in front.
type Extent = ([f64; 2], Option<[[f64; 2]; 2]>);

/// The image of the unit ball under a matrix.
struct Quadric {
    center: [f64; 3],
    /// Squares of its half extents, and products of those along x and y with that along z.
    square: [f64; 3],
    product: [f64; 2],
}

impl Quadric {
    fn new(center: Vec3, columns: [Vec3; 3]) -> Self {
        let product = |i: usize, j: usize| -> f64 {
            let of = |c: &Vec3| f64::from(c[i]) * f64::from(c[j]);
            of(&columns[0]) + of(&columns[1]) + of(&columns[2])
        };
        Self {
            center: center.map(f64::from),
            square: [product(0, 0), product(1, 1), product(2, 2)],
            product: [product(0, 2), product(1, 2)],
        }
    }

    /// Of the hull of several: none if it is nowhere farther than `near`.
    fn all(parts: &[Self], near: f32) -> Option<Extent> {
        let near = f64::from(near) * 0.999;
        let (mut depths, mut tangents) = (
            [f64::INFINITY, f64::NEG_INFINITY],
            [[f64::INFINITY, f64::NEG_INFINITY]; 2],
        );
        for part in parts {
            let half = part.square[2].sqrt();
            depths[0] = depths[0].min(part.center[2] - half);
            depths[1] = depths[1].max(part.center[2] + half);
        }
        if depths[1] < near {
            return None;
        }
        if depths[0] < near {
            return Some((depths, None));
        }
        for part in parts {
            let [.., z] = part.center;
            let a = z * z - part.square[2];
            for (k, range) in tangents.iter_mut().enumerate() {
                // Lines of sight x = s z that touch it: a s² − 2 b s + c = 0.
                let b = part.center[k] * z - part.product[k];
                let c = part.center[k] * part.center[k] - part.square[k];
                let root = (b * b - a * c).max(0.0).sqrt();
                range[0] = range[0].min((b - root) / a);
                range[1] = range[1].max((b + root) / a);
            }
        }
        Some((depths, Some(tangents)))
    }
}

/// Of a box with these half axes, as far as it is farther than `near`.
fn hull(center: Vec3, half: [Vec3; 3], near: f32) -> Option<Extent> {
    let near = near * 0.999;
    let corner = |i: usize| {
        let sign = |k: usize| if i >> k & 1 == 0 { -1.0 } else { 1.0 };
        let part = |k: usize| scale(half[k], sign(k));
        add(center, add(add(part(0), part(1)), part(2)))
    };
    let corners: [Vec3; 8] = std::array::from_fn(corner);
    let reach = half[0][2].abs() + half[1][2].abs() + half[2][2].abs();
    let depths = [f64::from(center[2] - reach), f64::from(center[2] + reach)];
    if depths[1] < f64::from(near) {
        return None;
    }
    let mut tangents = [[f64::INFINITY, f64::NEG_INFINITY]; 2];
    let mut meet = |x: f64, y: f64| {
        for (range, v) in tangents.iter_mut().zip([x, y]) {
            *range = [range[0].min(v), range[1].max(v)];
        }
    };
    let mut cut = false;
    for c in &corners {
        if c[2] >= near {
            let inverse = 1.0 / f64::from(c[2]);
            meet(f64::from(c[0]) * inverse, f64::from(c[1]) * inverse);
        } else {
            cut = true;
        }
    }
    if cut {
        for (i, a) in corners.iter().enumerate() {
            for b in [1, 2, 4].map(|k| corners[i ^ k]) {
                if (a[2] < near) == (b[2] < near) {
                    continue;
                }
                let share = f64::from(near - a[2]) / f64::from(b[2] - a[2]);
                let at = |k: usize| {
                    let (a, b) = (f64::from(a[k]), f64::from(b[k]));
                    (a + (b - a) * share) / f64::from(near)
                };
                meet(at(0), at(1));
            }
        }
    }
    Some((depths, Some(tangents)))
}

/// Fills `into` with the solids of a scene; without culling, each may be met through any pixel.
pub(super) fn prepare_all(
    view: &View,
    camera: &Camera,
    scene: &Scene,
    culling: bool,
    into: &mut Vec<Prepared>,
) {
    into.clear();
    for solid in &scene.solids {
        let mut prepared = prepare(view, camera, solid);
        if !culling {
            prepared.test = test(view, &prepared.frame, &solid.shape);
            prepared.pixels = [[0, camera.width - 1], [0, camera.height - 1]];
        }
        into.push(prepared);
    }
}

/// Fills `order` with the places of solids, the nearest first and those that cannot be seen last.
pub(super) fn nearest_first(solids: &[Prepared], order: &mut Vec<u32>) {
    // From one picture to the next, little changes: what is in order already is put in order fast.
    if order.len() != solids.len() {
        order.clear();
        order.extend(0..solids.len() as u32);
    }
    order.sort_unstable_by(|a, b| {
        let [nearest, other] = [*a, *b].map(|i| solids[i as usize].nearest);
        other.total_cmp(&nearest).then(a.cmp(b))
    });
}
