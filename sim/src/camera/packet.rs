//! Rays of a packet of pixels against one solid, and what they see of it.

use hand::lanes::{Lanes, V3};

use super::math::{Vec3, dot};
use super::prepare::{Linear, Prepared, Test, View};
use super::{Mesh, Shape, Solid, Texture};

/// Rays (x, y, 1) from the camera, one per lane.
#[derive(Clone, Copy)]
pub(super) struct Rays<L> {
    pub(super) x: L,
    pub(super) y: L,
    /// Square of their lengths.
    length2: L,
    /// How much they go to the light.
    to_light: L,
}

impl<L: Lanes<Scalar = f32>> Rays<L> {
    #[inline(always)]
    pub(super) fn new(view: &View, x: L, y: L) -> Self {
        Self {
            x,
            y,
            length2: x * x + (y * y + L::one()),
            to_light: linear(&view.to_light, x, y),
        }
    }

    #[inline(always)]
    fn at(&self, of: &Linear) -> L {
        linear(of, self.x, self.y)
    }
}

#[inline(always)]
pub(super) fn linear<L: Lanes<Scalar = f32>>(of: &Linear, x: L, y: L) -> L {
    L::splat(of[0]) * x + (L::splat(of[1]) * y + L::splat(of[2]))
}

/// The nearest of what the rays have met.
#[derive(Clone, Copy)]
pub(super) struct Hit<L> {
    /// 1 / depth.
    pub(super) w: L,
    /// Place among the solids; -1 for none.
    pub(super) which: L,
    /// The cosine of the light on it is slope · depth + level.
    pub(super) slope: L,
    pub(super) level: L,
    pub(super) color: V3<L>,
    /// Of meshes only.
    normal: V3<L>,
}

impl<L: Lanes<Scalar = f32>> Hit<L> {
    /// Nothing nearer than `far`.
    #[inline(always)]
    pub(super) fn none(far: f32) -> Self {
        Self {
            w: L::splat(1.0 / far),
            which: L::splat(-1.0),
            slope: L::zero(),
            level: L::zero(),
            color: V3::zero(),
            normal: V3::zero(),
        }
    }

    #[inline(always)]
    fn take(&mut self, mask: L::Mask, w: L, which: u32, solid: &Prepared, slope: L, level: L) {
        self.w = L::select(mask, w, self.w);
        self.which = L::select(mask, L::splat(which as f32), self.which);
        self.slope = L::select(mask, slope, self.slope);
        self.level = L::select(mask, level, self.level);
        self.color = V3::select(mask, V3::splat(&solid.color), self.color);
    }

    /// Tests a solid; `limit` is 1 / depth of the nearest that is seen.
    #[inline(always)]
    pub(super) fn meet(&mut self, rays: &Rays<L>, solid: &Prepared, which: u32, limit: L) {
        let seen = |w: L| L::and(w.gt(self.w), w.le(limit));
        match &solid.test {
            Test::Box {
                near,
                far,
                lift,
                lit,
            } => {
                let first = rays.at(&near[0]);
                let (mut enter, mut leave) = (first, first * L::splat(far[0]));
                let mut level = L::splat(lit[0]);
                for k in 1..3 {
                    let near = rays.at(&near[k]);
                    let [entering, leaving] = lift[k - 1];
                    leave = leave.max(near * L::splat(far[k]));
                    leave = leave.max(near + L::splat(leaving));
                    let near = near + L::splat(entering);
                    level = L::select(near.lt(enter), L::splat(lit[k]), level);
                    enter = enter.min(near);
                }
                let mask = L::and(leave.le(enter), seen(enter));
                if L::any(mask) {
                    self.take(mask, enter, which, solid, L::zero(), level);
                }
            }
            Test::Ball {
                along,
                aside,
                length,
                round,
                ellipsoid,
            } => {
                let (b, u, v) = (rays.at(along), rays.at(&aside[0]), rays.at(&aside[1]));
                let (uu, vv) = (u * u, v * v);
                if let Some([inverse, level]) = round {
                    let square = L::splat(*length) * rays.length2 - (uu + vv);
                    let w = b + square.max(L::zero()).sqrt();
                    let mask = L::and(square.ge(L::zero()), seen(w));
                    if L::any(mask) {
                        let slope = rays.to_light * L::splat(*inverse);
                        self.take(mask, w, which, solid, slope, L::splat(*level));
                    }
                } else {
                    // The parts of a ray give its length in the scaled space: length is 1 / |middle|².
                    let square = (b * b + uu + vv) * L::splat(*length) - (uu + vv);
                    let w = b + square.max(L::zero()).sqrt();
                    let mask = L::and(square.ge(L::zero()), seen(w));
                    if L::any(mask) {
                        let normal = ellipsoid_normal(rays, solid, ellipsoid, w);
                        let level = normal.dot(V3::splat(&solid.to_light));
                        self.take(mask, w, which, solid, L::zero(), level);
                    }
                }
            }
            Test::Tube { .. } => self.meet_tube(rays, solid, which, limit),
            Test::Plane { near, lit } => {
                let w = rays.at(near);
                let mask = seen(w);
                if L::any(mask) {
                    self.take(mask, w, which, solid, L::zero(), L::splat(*lit));
                }
            }
            Test::Mesh(mesh) => self.meet_mesh(mesh, rays, solid, which, limit),
            Test::Nothing => {}
        }
    }

    #[inline(always)]
    fn meet_tube(&mut self, rays: &Rays<L>, solid: &Prepared, which: u32, limit: L) {
        let Test::Tube {
            out,
            across,
            axial,
            from: [distance, height],
            radius,
            half,
            lit: [axis_lit, middle_lit],
            capped,
        } = &solid.test
        else {
            return;
        };
        let (out, across, axial) = (rays.at(out), rays.at(across), rays.at(axial));
        let k = distance * distance - radius * radius;
        let beside = k > 0.0;
        let square = L::splat(radius * radius) * (out * out) - L::splat(k) * (across * across);
        let root = square.max(L::zero()).sqrt();
        let mut met = square.ge(L::zero());
        // From the axis of the tube the light is at a cosine of (t d − c − z a) · l / r.
        let inverse = L::splat(1.0 / radius);
        let side_slope = (rays.to_light - axial * L::splat(*axis_lit)) * inverse;
        let side_level = L::splat((middle_lit - height * axis_lit) / radius);
        // 1 / k may be anything for a camera on the mantle: kept finite.
        let divisor = if k.abs() < 1e-9 {
            1e-9_f32.copysign(k)
        } else {
            k
        };
        let middle = out * L::splat(-distance / divisor);
        let spread = root * L::splat(1.0 / divisor.abs());
        if *capped {
            let side = if *height < 0.0 { -1.0 } else { 1.0 };
            let first = side * half - height;
            let second = -side * half - height;
            let beyond = height.abs() > *half;
            let keep = |d: f32, sign: f32| if d.abs() < 1e-6 { 1e-6 * sign } else { d };
            // Who is beyond a face looks back at it; who is between both has one on each side.
            let first = keep(first, if beyond { -side } else { side });
            let second = keep(second, -side);
            let near = axial * L::splat(1.0 / first);
            let far = axial * L::splat(1.0 / second);
            let mut leave = far;
            let (w, slope, level);
            if beside {
                leave = leave.max(middle - spread);
                let mantle = middle + spread;
                if beyond {
                    let cap = near.lt(mantle);
                    w = mantle.min(near);
                    slope = L::select(cap, L::zero(), side_slope);
                    level = L::select(cap, L::splat(side * axis_lit), side_level);
                } else {
                    leave = leave.max(near);
                    (w, slope, level) = (mantle, side_slope, side_level);
                }
            } else {
                // Within the mantle: only the cap can be seen.
                leave = leave.max(middle + spread);
                (w, slope, level) = (near, L::zero(), L::splat(side * axis_lit));
            }
            let mask = L::and(L::and(met, leave.le(w)), L::and(w.gt(self.w), w.le(limit)));
            if L::any(mask) {
                self.take(mask, w, which, solid, slope, level);
            }
            return;
        }
        let (mut w, mut slope, mut level) = (middle + spread, side_slope, side_level);
        let (upper, beyond);
        if beside {
            // Height on the axis times w, so that nothing is divided.
            let z = L::splat(*height) * w + axial;
            let end = L::splat(*half) * w;
            (upper, beyond) = (z.gt(L::zero()), L::and(met, z.abs().gt(end)));
        } else {
            upper = L::splat(*height).gt(L::zero());
            beyond = L::zero().lt(L::one());
            met = beyond;
        }
        if L::any(beyond) {
            let pick = |of: fn(f32, f32, f32) -> f32| {
                let of = |end: f32| L::splat(of(*distance, height - end, *radius));
                L::select(upper, of(*half), of(-half))
            };
            let z = pick(|_, z, _| z);
            let k = pick(|d, z, r| {
                let k = d * d + z * z - r * r;
                if k.abs() < 1e-9 { 1e9 } else { 1.0 / k }
            });
            let d = L::splat(*distance);
            let cross = V3(z * across, z * out - d * axial, d * across);
            let square = L::splat(radius * radius) * rays.length2 - cross.dot(cross);
            let ball = (square.max(L::zero()).sqrt() - (d * out + z * axial)) * k;
            let end = L::select(upper, L::splat(*half), L::splat(-half));
            w = L::select(beyond, ball, w);
            slope = L::select(beyond, rays.to_light * inverse, slope);
            let ball_level = (L::splat(*middle_lit) - end * L::splat(*axis_lit)) * inverse;
            level = L::select(beyond, ball_level, level);
            met = L::and(met, L::or(L::not(beyond), square.ge(L::zero())));
        }
        let mask = L::and(met, L::and(w.gt(self.w), w.le(limit)));
        if L::any(mask) {
            self.take(mask, w, which, solid, slope, level);
        }
    }

    #[inline(always)]
    fn meet_mesh(&mut self, mesh: &Mesh, rays: &Rays<L>, solid: &Prepared, which: u32, limit: L) {
        let frame = &solid.frame;
        let from = frame.axes.map(|a| -dot(a, frame.center));
        let along = V3(
            rays.at(&frame.axes[0]),
            rays.at(&frame.axes[1]),
            rays.at(&frame.axes[2]),
        );
        let most = L::one() / self.w;
        let mut least = [0.0; 16];
        limit.store(&mut least);
        let (t, normal) = mesh.first(V3::splat(&from), along, 1.0 / least[0], most);
        let mask = t.lt(most);
        if L::any(mask) {
            let [a, b, c] = frame.axes.map(|a| V3::<L>::splat(&a));
            let normal = a.scale(normal.0) + b.scale(normal.1) + c.scale(normal.2);
            let level = normal.dot(V3::splat(&solid.to_light));
            // Not nearer than what it was compared with, whatever rounding says.
            self.take(
                mask,
                (L::one() / t).max(self.w),
                which,
                solid,
                L::zero(),
                level,
            );
            self.normal = V3::select(mask, normal, self.normal);
        }
    }

    /// Where the rays met a solid, in its own frame, and the normal there in the camera's.
    #[inline(always)]
    pub(super) fn surface(
        &self,
        rays: &Rays<L>,
        solid: &Prepared,
        shape: &Shape,
        depth: L,
    ) -> (V3<L>, V3<L>) {
        let frame = &solid.frame;
        let point = V3(rays.x * depth, rays.y * depth, depth) - V3::splat(&frame.center);
        let [a, b, c] = frame.axes.map(|a| V3::<L>::splat(&a));
        let p = V3(a.dot(point), b.dot(point), c.dot(point));
        let one = L::one();
        let sign = |x: L| L::select(x.lt(L::zero()), -one, one);
        let own = match shape {
            Shape::Box { half } => {
                let out = |x: L, half: f32| x.abs() - L::splat(half);
                let (x, y, z) = (out(p.0, half[0]), out(p.1, half[1]), out(p.2, half[2]));
                let first = L::and(x.ge(y), x.ge(z));
                let second = L::and(L::not(first), y.ge(z));
                let third = L::not(L::or(first, second));
                V3(
                    sign(p.0).only(first),
                    sign(p.1).only(second),
                    sign(p.2).only(third),
                )
            }
            Shape::Sphere { radius } => p.scale(L::splat(1.0 / radius)),
            Shape::Capsule {
                radius,
                half_length,
            } => {
                let z = p.2.clamp(L::splat(-half_length), L::splat(*half_length));
                V3(p.0, p.1, p.2 - z).scale(L::splat(1.0 / radius))
            }
            Shape::Cylinder {
                radius,
                half_length,
            } => {
                let aside = (p.0 * p.0 + p.1 * p.1).sqrt();
                let cap = (p.2.abs() - L::splat(*half_length)).ge(aside - L::splat(*radius));
                let inverse = one / aside.max(L::splat(1e-9));
                let mantle = V3(p.0 * inverse, p.1 * inverse, L::zero());
                V3::select(cap, V3(L::zero(), L::zero(), sign(p.2)), mantle)
            }
            Shape::Ellipsoid { half } => {
                let over = |x: L, half: f32| x * L::splat(1.0 / (half * half));
                V3(over(p.0, half[0]), over(p.1, half[1]), over(p.2, half[2])).unit(1e-20)
            }
            Shape::Plane => V3(L::zero(), L::zero(), one),
            Shape::Mesh(_) => return (p, self.normal),
        };
        let normal = a.scale(own.0) + b.scale(own.1) + c.scale(own.2);
        (p, normal)
    }
}

#[inline(always)]
fn ellipsoid_normal<L: Lanes<Scalar = f32>>(
    rays: &Rays<L>,
    solid: &Prepared,
    [from, inverse]: &[Vec3; 2],
    w: L,
) -> V3<L> {
    let t = L::one() / w;
    let axes = &solid.frame.axes;
    let part = |k: usize| {
        let p = L::splat(from[k]) + rays.at(&axes[k]) * t;
        p * L::splat(inverse[k] * inverse[k])
    };
    let [a, b, c] = axes.map(|a| V3::<L>::splat(&a));
    (a.scale(part(0)) + b.scale(part(1)) + c.scale(part(2))).unit(1e-20)
}

/// The largest whole number that is not larger.
#[inline(always)]
fn floor<L: Lanes<Scalar = f32>>(x: L) -> L {
    let near = x.round();
    near - L::one().only(near.gt(x))
}

/// Color of a solid with a texture at points of its frame, in [0, 255].
#[inline(always)]
pub(super) fn texture<L: Lanes<Scalar = f32>>(solid: &Solid, p: V3<L>, outward: V3<L>) -> V3<L> {
    let own = solid.material.color.map(|c| c * 255.0);
    let (size, other) = match solid.material.texture {
        Texture::Plain => return V3::splat(&own),
        Texture::Checker { size, color } | Texture::Noise { size, color } => {
            (size, color.map(|c| c * 255.0))
        }
    };
    // A little inside, so that a face between two cubes has one of both.
    let p = (p - outward.scale(L::splat(1e-3 * size))).scale(L::splat(1.0 / size));
    let (x, y, z) = (floor(p.0), floor(p.1), floor(p.2));
    let share = if matches!(solid.material.texture, Texture::Checker { .. }) {
        let half = (x + y + z) * L::splat(0.5);
        (half - floor(half)) * L::splat(2.0)
    } else {
        let smooth = |t: L| t * t * (L::splat(3.0) - L::splat(2.0) * t);
        let (u, v, w) = (smooth(p.0 - x), smooth(p.1 - y), smooth(p.2 - z));
        let one = L::one();
        let mix = |a: L, b: L, t: L| a + (b - a) * t;
        let line = |y: L, z: L| mix(speckle(V3(x, y, z)), speckle(V3(x + one, y, z)), u);
        let face = |z: L| mix(line(y, z), line(y + one, z), v);
        mix(face(z), face(z + one), w)
    };
    let own = V3::<L>::splat(&own);
    own + (V3::splat(&other) - own).scale(share)
}

/// A number in [0, 1) for each point with whole coordinates (Hoskins, "Hash without Sine", 2014).
#[inline(always)]
fn speckle<L: Lanes<Scalar = f32>>(p: V3<L>) -> L {
    let fraction = |x: L| x - floor(x);
    let k = L::splat(0.1031);
    let q = V3(fraction(p.0 * k), fraction(p.1 * k), fraction(p.2 * k));
    let c = L::splat(33.33);
    let d = q.0 * (q.2 + c) + q.1 * (q.1 + c) + q.2 * (q.0 + c);
    fraction((q.0 + d + (q.1 + d)) * (q.2 + d))
}
