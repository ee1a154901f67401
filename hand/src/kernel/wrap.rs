//! The shortest way of a tendon around, or along the inside of, a sphere or a cylinder.
//!
//! The rules are MuJoCo's (documentation, "Spatial tendon"). Two of its tests turn on rounding noise where the tendon just
//! grazes the surface and both tangent points are one: they have a tolerance here, so that a grazing tendon has no jump.
//!
//! Along an inside, MuJoCo's search for the point of contact gives up in narrow windows of poses and takes the middle of both
//! ends instead: of 7,000 random poses of the MyoHand, 48 have one muscle whose length is wrong by 0.1 to 1.3 mm there.
//! [`Inside`] chooses between the same search, for comparing, and the point itself.

use crate::math::{V3, add, cross, dot, norm, scale, sub, unit};

/// A crossing of two tangents counts only above this sine of the angle between them.
const GRAZING_SINE: f64 = 1e-6;
/// An arc counts as more than half a circle only below this (negative) sine of its angle.
const GRAZING_ARC: f64 = 1e-9;

/// The surface, in its own frame: a sphere around the origin or an endless cylinder around z.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Surface {
    pub(crate) sphere: bool,
    /// Metres.
    pub(crate) radius: f64,
    /// The side on which the tendon passes; inside the surface: the tendon runs along the inside.
    pub(crate) side: Option<V3>,
    /// How a contact along the inside is found.
    pub(crate) inside: Inside,
}

/// How the point of contact along an inside is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Inside {
    /// Where the way is shortest.
    Exact,
    /// Where MuJoCo 3.6 finds it: within about 1e-6 of its radius of that, or in the middle where it gives up.
    AsMuJoCo,
}

/// Where the tendon touches first and last, and the length between, in the surface's frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Touch {
    pub(crate) first: V3,
    pub(crate) last: V3,
    pub(crate) arc: f64,
}

impl Surface {
    /// Whether the tendon runs along the inside.
    pub(crate) fn is_inside(&self) -> bool {
        self.side.is_some_and(|side| norm(side) < self.radius)
    }

    /// How a tendon from `p0` to `p1` touches; `None` when it passes straight.
    pub(crate) fn touch(&self, p0: V3, p1: V3) -> Option<Touch> {
        if self.is_inside() {
            self.touch_inside(p0, p1)
        } else {
            self.touch_outside(p0, p1)
        }
    }

    fn touch_outside(&self, p0: V3, p1: V3) -> Option<Touch> {
        let r = self.radius;
        // The problem in a plane: through centre, p0 and p1 for a sphere, across the axis for a cylinder.
        let (x_axis, y_axis) = if self.sphere {
            let x = unit(p0);
            (x, unit(sub(p1, scale(x, dot(p1, x)))))
        } else {
            ([1.0, 0.0, 0.0], [0.0, 1.0, 0.0])
        };
        let flat = |p: V3| [dot(p, x_axis), dot(p, y_axis)];
        let (d0, d1) = (flat(p0), flat(p1));
        let side = self.side.map(|side| {
            let s = flat(side);
            let n = dot2(s, s).max(1e-24).sqrt();
            [s[0] / n, s[1] / n]
        });
        let (q0, q1) = (dot2(d0, d0), dot2(d1, d1));
        if q0 < r * r || q1 < r * r {
            return None;
        }
        // Straight, where the chord passes outside the circle on the wanted side.
        let e = [d1[0] - d0[0], d1[1] - d0[1]];
        let a = (-dot2(e, d0) / dot2(e, e).max(1e-20)).clamp(0.0, 1.0);
        let near = [d0[0] + a * e[0], d0[1] + a * e[1]];
        if dot2(near, near) > r * r && side.is_none_or(|side| dot2(side, near) >= 0.0) {
            return None;
        }
        // The two ways round; the better one must not cross itself.
        let tangents = |sign: f64| {
            let (s0, s1) = (
                sign * r * (q0 - r * r).sqrt(),
                sign * r * (q1 - r * r).sqrt(),
            );
            (
                [
                    (d0[0] * r * r + s0 * d0[1]) / q0,
                    (d0[1] * r * r - s0 * d0[0]) / q0,
                ],
                [
                    (d1[0] * r * r - s1 * d1[1]) / q1,
                    (d1[1] * r * r + s1 * d1[0]) / q1,
                ],
            )
        };
        let rate = |(t0, t1): ([f64; 2], [f64; 2])| {
            if crosses(d0, t0, d1, t1) {
                return f64::NEG_INFINITY;
            }
            match side {
                Some(side) => {
                    let middle = [t0[0] + t1[0], t0[1] + t1[1]];
                    dot2(side, middle) / dot2(middle, middle).max(1e-24).sqrt()
                }
                None => {
                    let across = [t0[0] - t1[0], t0[1] - t1[1]];
                    -dot2(across, across)
                }
            }
        };
        let (plus, minus) = (tangents(1.0), tangents(-1.0));
        let (rate_plus, rate_minus) = (rate(plus), rate(minus));
        let ((t0, t1), best, sign) = if rate_plus > rate_minus {
            (plus, rate_plus, 1.0)
        } else {
            (minus, rate_minus, -1.0)
        };
        if best == f64::NEG_INFINITY {
            return None;
        }
        let turned = t0[1] * t1[0] - t0[0] * t1[1];
        let mut angle = libm::atan2(turned.abs(), dot2(t0, t1));
        if turned * sign < -GRAZING_ARC * r * r {
            angle = 2.0 * std::f64::consts::PI - angle;
        }
        let arc = r * angle;
        if self.sphere {
            let lift = |t: [f64; 2]| add(scale(x_axis, t[0]), scale(y_axis, t[1]));
            return Some(Touch {
                first: lift(t0),
                last: lift(t1),
                arc,
            });
        }
        // Along a cylinder's axis, height grows evenly with the way.
        let (l0, l1) = (distance2(d0, t0), distance2(d1, t1));
        let slope = (p1[2] - p0[2]) / (l0 + arc + l1);
        let (z0, z1) = (p0[2] + slope * l0, p0[2] + slope * (l0 + arc));
        Some(Touch {
            first: [t0[0], t0[1], z0],
            last: [t1[0], t1[1], z1],
            arc: (arc * arc + (z1 - z0) * (z1 - z0)).sqrt(),
        })
    }

    /// One point of contact, unless the straight way passes through the circle or an end is in it.
    fn touch_inside(&self, p0: V3, p1: V3) -> Option<Touch> {
        let r = self.radius;
        let flat = |p: V3| if self.sphere { p } else { [p[0], p[1], 0.0] };
        let (q0, q1) = (flat(p0), flat(p1));
        let (l0, l1) = (norm(q0), norm(q1));
        if l0 <= r || l1 <= r {
            return None;
        }
        let e = sub(q1, q0);
        let a = -dot(e, q0) / dot(e, e).max(1e-20);
        let near = add(q0, scale(e, a));
        if a > 0.0 && a < 1.0 && norm(near) <= r {
            return None;
        }
        let mut point = match self.inside {
            Inside::Exact => exact_contact(q0, q1, r),
            Inside::AsMuJoCo => self.mujoco_contact(q0, q1)?,
        };
        if !self.sphere {
            let (l0, l1) = (norm(sub(q0, point)), norm(sub(q1, point)));
            point[2] = p0[2] + (p1[2] - p0[2]) * l0 / (l0 + l1);
        }
        Some(Touch {
            first: point,
            last: point,
            arc: 0.0,
        })
    }

    /// The contact by MuJoCo's own steps (`wrap_inside`): Newton's from z = 1 - 1e-7 on
    /// `asin(A z) + asin(B z) - 2 asin(z) + G = 0`, A and B being radius over distance of the two ends and G the angle between
    /// them, until the equation holds within 1e-6; the middle when a step goes the wrong way. `None` for no contact.
    fn mujoco_contact(&self, q0: V3, q1: V3) -> Option<V3> {
        const TOLERANCE: f64 = 1e-6;
        const TINY: f64 = 1e-15;
        let r = self.radius;
        let (l0, l1, e) = (norm(q0), norm(q1), sub(q1, q0));
        let (a, b) = (r / l0, r / l1);
        let cos = (l0 * l0 + l1 * l1 - dot(e, e)) / (2.0 * l0 * l1);
        if cos < -1.0 + TINY {
            return None;
        }
        let middle = Some(scale(unit(add(q0, q1)), r));
        if cos > 1.0 - TINY {
            return middle;
        }
        let angle = libm::acos(cos);
        let value = |z: f64| libm::asin(a * z) + libm::asin(b * z) - 2.0 * libm::asin(z) + angle;
        let root = |x: f64| (1.0 - x * x).sqrt().max(TINY);
        let mut z = 1.0 - 1e-7;
        let mut f = value(z);
        if f > 0.0 {
            return middle;
        }
        let mut steps = 0;
        while f.abs() > TOLERANCE {
            let slope = a / root(z * a) + b / root(z * b) - 2.0 / root(z);
            if slope > -TINY || f / slope < 0.0 {
                return middle;
            }
            z -= f / slope;
            f = value(z);
            steps += 1;
            if f > TOLERANCE || steps == 20 {
                return middle;
            }
        }
        // From the end that comes first counterclockwise; around a sphere, that is p0.
        let first = self.sphere || cross(q0, q1)[2] > 0.0;
        let (from, to, ratio) = if first { (q0, q1, a) } else { (q1, q0, b) };
        let turned = libm::asin(z) - libm::asin(ratio * z);
        let x = unit(from);
        let y = unit(sub(to, scale(x, dot(to, x))));
        Some(add(
            scale(x, r * libm::cos(turned)),
            scale(y, r * libm::sin(turned)),
        ))
    }
}

/// The contact on the circle of radius `r` around the origin. With y toward the bisector of the two ends and x across, it is
/// r (x, y) with `2xy = P y + Q x`: the tangent there makes equal angles with both straight parts. Newton's steps converge
/// before the eighth for any two ends outside the circle.
fn exact_contact(q0: V3, q1: V3, r: f64) -> V3 {
    let (l0, l1) = (norm(q0), norm(q1));
    let (u0, u1) = (scale(q0, 1.0 / l0), scale(q1, 1.0 / l1));
    let (sum, difference) = (add(u0, u1), sub(u0, u1));
    let (cos, sin) = (norm(sum) / 2.0, norm(difference) / 2.0);
    let (p, q) = ((r / l0 - r / l1) * sin, (r / l0 + r / l1) * cos);
    let mut x = (p / (2.0 - q).max(1e-3)).clamp(-0.9, 0.9);
    let mut y = (1.0 - x * x).sqrt();
    for _ in 0..8 {
        let value = (2.0 * x - p) * y - q * x;
        let slope = 2.0 * (y * y - x * x) + p * x - q * y;
        let slope = if slope.abs() > 1e-9 { slope } else { 1e-9 };
        x = (x - value * y / slope).clamp(-0.999, 0.999);
        y = (1.0 - x * x).sqrt();
    }
    add(scale(unit(sum), r * y), scale(unit(difference), r * x))
}

/// Whether the stretches from `a0` to `a1` and from `b0` to `b1` cross.
fn crosses(a0: [f64; 2], a1: [f64; 2], b0: [f64; 2], b1: [f64; 2]) -> bool {
    let (a, b) = (
        [a1[0] - a0[0], a1[1] - a0[1]],
        [b1[0] - b0[0], b1[1] - b0[1]],
    );
    let c = [a0[0] - b0[0], a0[1] - b0[1]];
    let det = b[1] * a[0] - b[0] * a[1];
    if det.abs() <= GRAZING_SINE * (dot2(a, a) * dot2(b, b)).sqrt() {
        return false;
    }
    let along_a = (b[0] * c[1] - b[1] * c[0]) / det;
    let along_b = (a[0] * c[1] - a[1] * c[0]) / det;
    (0.0..=1.0).contains(&along_a) && (0.0..=1.0).contains(&along_b)
}

fn dot2(a: [f64; 2], b: [f64; 2]) -> f64 {
    a[0] * b[0] + a[1] * b[1]
}

fn distance2(a: [f64; 2], b: [f64; 2]) -> f64 {
    let d = [a[0] - b[0], a[1] - b[1]];
    dot2(d, d).sqrt()
}
