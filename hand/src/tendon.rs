//! Paths of tendons: lengths, velocities and moment arms, around and along the inside of spheres and cylinders.
//!
//! The rules are MuJoCo's (documentation, "Spatial tendon"). Two of its tests turn on rounding noise where the tendon just
//! grazes the surface and both tangent points are one: they have a tolerance here, so that a grazing tendon has no jump. On
//! the inside, the one point of contact is found by Newton steps that converge for any two ends outside the surface.

#![expect(
    clippy::manual_map,
    reason = "a closure is not inlined into functions with wide instructions"
)]

use crate::dynamics::{Workspace, point};
use crate::lanes::{Lanes, M3, Scalar as _, V3};
use crate::math::{add, cross, dot, norm, scale, sub, unit};
use crate::mechanism::{Around, Inside, Lever, Mechanism, Span, Wrap};

/// Fills `length`, `stretch` and `arms` of a workspace whose links are placed.
#[inline(always)]
pub(crate) fn tendons<L: Lanes>(m: &Mechanism<L::Scalar>, w: &mut Workspace<L>) {
    place_wraps(m, w);
    for i in 0..m.tendons.len() {
        path(m, w, i);
    }
}

/// Frames of what tendons wrap around.
#[inline(always)]
pub(crate) fn place_wraps<L: Lanes>(m: &Mechanism<L::Scalar>, w: &mut Workspace<L>) {
    for (i, wrap) in m.wraps.iter().enumerate() {
        w.wrap_place[i] = point(w, wrap.link, &wrap.pos);
        w.wrap_turn[i] = w.turn[wrap.link].product(&M3::splat(&wrap.turn));
    }
}

/// One tendon's part of that.
#[inline(always)]
pub(crate) fn path<L: Lanes>(m: &Mechanism<L::Scalar>, w: &mut Workspace<L>, i: usize) {
    let tendon = &m.tendons[i];
    let mut length = L::splat(tendon.fixed_length);
    let mut all_arms = std::mem::take(&mut w.arms);
    let arms = &mut all_arms[tendon.arms..tendon.arms + tendon.dofs.len()];
    arms.fill(L::zero());
    for span in &tendon.spans {
        let way = way(m, w, span);
        length += straight(w, &span.before, way.from, way.first, arms);
        if span.around.is_some() {
            length += way.arc;
            length += straight(w, &span.after, way.last, way.to, arms);
        }
    }
    let mut stretch = L::zero();
    for (&arm, &k) in arms.iter().zip(&tendon.dofs) {
        stretch += arm * w.qd[k];
    }
    w.arms = all_arms;
    w.length[i] = length;
    w.stretch[i] = stretch;
}

/// A straight part of a tendon that joins two links. Vectors are in world axes, around the origin.
pub(crate) struct Stretch {
    /// The links that it joins; it pulls the first along `force`, the second against it.
    pub(crate) links: [usize; 2],
    /// Direction from the first to the second, length 1, and its moment: what one newton does.
    pub(crate) force: V3<f64>,
    pub(crate) moment: V3<f64>,
}

/// Length of a tendon, and the straight parts of it that join two links.
pub(crate) fn stretches(
    m: &Mechanism<f64>,
    w: &Workspace<f64>,
    i: usize,
    found: &mut Vec<Stretch>,
) -> f64 {
    found.clear();
    let mut straight = |from_link: usize, from: V3<f64>, to_link: usize, to: V3<f64>| {
        let way = to - from;
        let length = way.norm();
        if from_link != to_link {
            let force = way.scale(1.0 / length.max(1e-12));
            found.push(Stretch {
                links: [from_link, to_link],
                force,
                moment: from.cross(force),
            });
        }
        length
    };
    let mut length = m.tendons[i].fixed_length;
    for span in &m.tendons[i].spans {
        let way = way(m, w, span);
        match &span.around {
            None => length += straight(span.from.0, way.from, span.to.0, way.to),
            Some(around) => {
                let middle = m.wraps[around.wrap].link;
                length += straight(span.from.0, way.from, middle, way.first);
                length += way.arc;
                length += straight(middle, way.last, span.to.0, way.to);
            }
        }
    }
    length
}

/// Calls back with every part of a tendon from end to end, in the axes of [`stretches`]; around a surface it is straight
/// from where it touches first to where it touches last.
pub(crate) fn course(
    m: &Mechanism<f64>,
    w: &Workspace<f64>,
    i: usize,
    found: &mut impl FnMut(V3<f64>, V3<f64>),
) {
    for span in &m.tendons[i].spans {
        let way = way(m, w, span);
        found(way.from, way.first);
        if span.around.is_some() {
            found(way.first, way.last);
            found(way.last, way.to);
        }
    }
}

/// The way between two sites: straight to where it touches first, around, and straight from where it touches last.
struct Way<L: Lanes> {
    from: V3<L>,
    first: V3<L>,
    arc: L,
    last: V3<L>,
    to: V3<L>,
}

#[inline(always)]
fn way<L: Lanes>(m: &Mechanism<L::Scalar>, w: &Workspace<L>, span: &Span<L::Scalar>) -> Way<L> {
    let from = point(w, span.from.0, &span.from.1);
    let to = point(w, span.to.0, &span.to.1);
    let Some(around) = &span.around else {
        return Way {
            from,
            first: to,
            arc: L::zero(),
            last: to,
            to,
        };
    };
    let (place, turn) = (w.wrap_place[around.wrap], w.wrap_turn[around.wrap]);
    let (p0, p1) = (
        turn.apply_transposed(from - place),
        turn.apply_transposed(to - place),
    );
    let wrap = &m.wraps[around.wrap];
    let touch = match around.inside {
        None => touch_outside(wrap, around, p0, p1),
        Some(inside) => touch_inside(wrap, inside, p0, p1),
    };
    // Where the way is straight, any point of it gives the same length and arms.
    let middle = (from + to).scale(L::of(0.5));
    if !L::any(touch.on) {
        return Way {
            from,
            first: middle,
            arc: L::zero(),
            last: middle,
            to,
        };
    }
    Way {
        from,
        first: V3::select(touch.on, turn.apply(touch.first) + place, middle),
        arc: touch.arc.only(touch.on),
        last: V3::select(touch.on, turn.apply(touch.last) + place, middle),
        to,
    }
}

/// Length of a straight part; adds how each dof changes it.
#[inline(always)]
fn straight<L: Lanes>(
    w: &Workspace<L>,
    levers: &[Lever],
    from: V3<L>,
    to: V3<L>,
    arms: &mut [L],
) -> L {
    let way = to - from;
    let length = way.norm();
    if levers.is_empty() {
        return length;
    }
    let e = way.scale(L::one() / length.max(L::of(1e-12)));
    let moment = from.cross(e);
    for lever in levers {
        let change = w.angular[lever.dof].dot(moment) + w.linear[lever.dof].dot(e);
        let arm = &mut arms[lever.place];
        *arm = if lever.end {
            *arm + change
        } else {
            *arm - change
        };
    }
    length
}

/// Where a tendon touches first and last, and the way between, in the surface's frame.
struct Touch<L: Lanes> {
    /// Where it touches at all.
    on: L::Mask,
    first: V3<L>,
    last: V3<L>,
    arc: L,
}

/// A point of the plane in which a tendon goes around.
type Flat<L> = (L, L);

#[inline(always)]
fn dot2<L: Lanes>(a: Flat<L>, b: Flat<L>) -> L {
    a.0 * b.0 + a.1 * b.1
}

#[inline(always)]
fn sub2<L: Lanes>(a: Flat<L>, b: Flat<L>) -> Flat<L> {
    (a.0 - b.0, a.1 - b.1)
}

#[inline(always)]
fn select2<L: Lanes>(mask: L::Mask, a: Flat<L>, b: Flat<L>) -> Flat<L> {
    (L::select(mask, a.0, b.0), L::select(mask, a.1, b.1))
}

#[inline(always)]
fn touch_outside<L: Lanes>(
    wrap: &Wrap<L::Scalar>,
    around: &Around<L::Scalar>,
    p0: V3<L>,
    p1: V3<L>,
) -> Touch<L> {
    let (zero, one, r) = (L::zero(), L::one(), L::splat(wrap.radius));
    let side = around.side.as_ref().map(V3::<L>::splat);
    // The problem in a plane: through centre, p0 and p1 for a sphere, across the axis for a cylinder.
    let (mut x_axis, mut y_axis) = (V3::zero(), V3::zero());
    let (d0, d1, side) = if wrap.sphere {
        let length = p0.norm().max(L::of(1e-12));
        x_axis = p0.scale(one / length);
        let along = p1.dot(x_axis);
        let across = p1 - x_axis.scale(along);
        let height = across.norm().max(L::of(1e-12));
        y_axis = across.scale(one / height);
        let side = match side {
            Some(side) => {
                let s = (side.dot(x_axis), side.dot(y_axis));
                let scale = one / dot2(s, s).max(L::of(1e-24)).sqrt();
                Some((s.0 * scale, s.1 * scale))
            }
            None => None,
        };
        ((length, zero), (along, height), side)
    } else {
        let side = match side {
            Some(side) => Some((side.0, side.1)),
            None => None,
        };
        ((p0.0, p0.1), (p1.0, p1.1), side)
    };
    let r2 = r * r;
    let (q0, q1) = (dot2(d0, d0), dot2(d1, d1));
    // Straight, where an end is inside or the chord passes outside the circle on the wanted side.
    let chord = sub2(d1, d0);
    let along = (-dot2(chord, d0) / dot2(chord, chord).max(L::of(1e-20))).clamp(zero, one);
    let near = (d0.0 + along * chord.0, d0.1 + along * chord.1);
    let mut clear = dot2(near, near).gt(r2);
    if let Some(side) = side {
        clear = L::and(clear, dot2(side, near).ge(zero));
    }
    let mut on = L::and(L::and(q0.ge(r2), q1.ge(r2)), L::not(clear));
    if !L::any(on) {
        return Touch {
            on,
            first: V3::zero(),
            last: V3::zero(),
            arc: zero,
        };
    }
    // The two ways round; the better one must not cross itself.
    let (s0, s1) = (
        r * (q0 - r2).max(zero).sqrt(),
        r * (q1 - r2).max(zero).sqrt(),
    );
    let (i0, i1) = (one / q0.max(L::of(1e-20)), one / q1.max(L::of(1e-20)));
    let plus = (
        ((d0.0 * r2 + d0.1 * s0) * i0, (d0.1 * r2 - d0.0 * s0) * i0),
        ((d1.0 * r2 - d1.1 * s1) * i1, (d1.1 * r2 + d1.0 * s1) * i1),
    );
    let minus = (
        ((d0.0 * r2 - d0.1 * s0) * i0, (d0.1 * r2 + d0.0 * s0) * i0),
        ((d1.0 * r2 + d1.1 * s1) * i1, (d1.1 * r2 - d1.0 * s1) * i1),
    );
    let plus_crosses = crosses(d0, plus.0, d1, plus.1);
    let minus_crosses = crosses(d0, minus.0, d1, minus.1);
    let never = L::of(-1e4);
    let plus_rate = L::select(plus_crosses, never, rate(side, plus.0, plus.1));
    let minus_rate = L::select(minus_crosses, never, rate(side, minus.0, minus.1));
    let pick = plus_rate.gt(minus_rate);
    let (t0, t1) = (
        select2(pick, plus.0, minus.0),
        select2(pick, plus.1, minus.1),
    );
    let bad = L::or(
        L::and(pick, plus_crosses),
        L::and(L::not(pick), minus_crosses),
    );
    on = L::and(on, L::not(bad));
    let turned = t0.1 * t1.0 - t0.0 * t1.1;
    let angle = L::upper_angle(turned.abs(), dot2(t0, t1));
    let signed = L::select(pick, turned, -turned);
    let long_way = signed.lt(r2 * L::of(-L::Scalar::GRAZING_ARC));
    let angle = L::select(long_way, L::of(2.0 * std::f64::consts::PI) - angle, angle);
    let arc = r * angle;
    if wrap.sphere {
        let first = x_axis.scale(t0.0) + y_axis.scale(t0.1);
        let last = x_axis.scale(t1.0) + y_axis.scale(t1.1);
        return Touch {
            on,
            first,
            last,
            arc,
        };
    }
    // Along a cylinder's axis, height grows evenly with the way.
    let (w0, w1) = (sub2(d0, t0), sub2(d1, t1));
    let (l0, l1) = (dot2(w0, w0).sqrt(), dot2(w1, w1).sqrt());
    let slope = (p1.2 - p0.2) / (l0 + arc + l1);
    let (z0, z1) = (p0.2 + slope * l0, p0.2 + slope * (l0 + arc));
    let rise = z1 - z0;
    Touch {
        on,
        first: V3(t0.0, t0.1, z0),
        last: V3(t1.0, t1.1, z1),
        arc: (arc * arc + rise * rise).sqrt(),
    }
}

/// How well a way round fits: toward the wanted side, or short.
#[inline(always)]
fn rate<L: Lanes>(side: Option<Flat<L>>, t0: Flat<L>, t1: Flat<L>) -> L {
    match side {
        Some(side) => {
            let middle = (t0.0 + t1.0, t0.1 + t1.1);
            dot2(side, middle) / dot2(middle, middle).max(L::of(1e-24)).sqrt()
        }
        None => {
            let across = sub2(t0, t1);
            -dot2(across, across)
        }
    }
}

/// Whether the stretches from `a0` to `a1` and from `b0` to `b1` cross.
#[inline(always)]
fn crosses<L: Lanes>(a0: Flat<L>, a1: Flat<L>, b0: Flat<L>, b1: Flat<L>) -> L::Mask {
    let (a, b, c) = (sub2(a1, a0), sub2(b1, b0), sub2(a0, b0));
    let det = b.1 * a.0 - b.0 * a.1;
    let along_a = b.0 * c.1 - b.1 * c.0;
    let along_b = a.0 * c.1 - a.1 * c.0;
    // Both in [0, det], whatever its sign.
    let negative = det.lt(L::zero());
    let det = det.abs();
    let along_a = L::select(negative, -along_a, along_a);
    let along_b = L::select(negative, -along_b, along_b);
    let within_a = L::and(along_a.ge(L::zero()), along_a.le(det));
    let within_b = L::and(along_b.ge(L::zero()), along_b.le(det));
    let sine = L::Scalar::GRAZING_SINE;
    let open = (det * det).gt(L::of(sine * sine) * (dot2(a, a) * dot2(b, b)));
    L::and(L::and(within_a, within_b), open)
}

/// One point of contact, unless the straight way passes through the circle or an end is in it. With y toward the bisector of the two ends and x across, the contact is r (x, y) with
/// `2xy = P y + Q x`: the tangent there makes equal angles with both straight parts.
#[inline(always)]
fn touch_inside<L: Lanes>(
    wrap: &Wrap<L::Scalar>,
    inside: Inside,
    p0: V3<L>,
    p1: V3<L>,
) -> Touch<L> {
    let (zero, one, half, r) = (L::zero(), L::one(), L::of(0.5), L::splat(wrap.radius));
    let (q0, q1) = if wrap.sphere {
        (p0, p1)
    } else {
        (V3(p0.0, p0.1, zero), V3(p1.0, p1.1, zero))
    };
    let (l0, l1) = (q0.norm().max(L::of(1e-12)), q1.norm().max(L::of(1e-12)));
    let chord = q1 - q0;
    let along = -chord.dot(q0) / chord.dot(chord).max(L::of(1e-20));
    let near = q0 + chord.scale(along);
    let through = L::and(
        L::and(along.gt(zero), along.lt(one)),
        near.dot(near).le(r * r),
    );
    let mut on = L::and(L::and(l0.gt(r), l1.gt(r)), L::not(through));
    let (u0, u1) = (q0.scale(one / l0), q1.scale(one / l1));
    let (sum, difference) = (u0 + u1, u0 - u1);
    let (length_sum, length_difference) = (
        sum.norm().max(L::of(1e-9)),
        difference.norm().max(L::of(1e-9)),
    );
    let (k0, k1) = (r / l0, r / l1);
    let (p, q) = (
        (k0 - k1) * (length_difference * half),
        (k0 + k1) * (length_sum * half),
    );
    let mut x = (p / (L::of(2.0) - q).max(L::of(1e-3))).clamp(L::of(-0.9), L::of(0.9));
    let mut y = (one - x * x).sqrt();
    for _ in 0..L::Scalar::INSIDE_STEPS {
        let value = (x + x - p) * y - q * x;
        let slope = L::of(2.0) * (y * y - x * x) + p * x - q * y;
        let slope = L::select(slope.abs().gt(L::of(1e-6)), slope, L::of(1e-6));
        x = (x - value * y / slope).clamp(L::of(-0.999), L::of(0.999));
        y = (one - x * x).sqrt();
    }
    let mut at = sum.scale(r * y / length_sum) + difference.scale(r * x / length_difference);
    if inside == Inside::AsMuJoCo {
        (on, at) = mujoco_contacts(wrap, on, q0, q1);
    }
    if !wrap.sphere {
        let (l0, l1) = ((q0 - at).norm(), (q1 - at).norm());
        at.2 = p0.2 + (p1.2 - p0.2) * l0 / (l0 + l1);
    }
    Touch {
        on,
        first: at,
        last: at,
        arc: zero,
    }
}

/// Lane by lane: this is for comparing, not for speed.
fn mujoco_contacts<L: Lanes>(
    wrap: &Wrap<L::Scalar>,
    on: L::Mask,
    q0: V3<L>,
    q1: V3<L>,
) -> (L::Mask, V3<L>) {
    let rows = [q0.0, q0.1, q0.2, q1.0, q1.1, q1.2].map(lanes_of);
    let mut found = [[L::Scalar::of(0.0); MAX_LANES]; 4];
    for lane in 0..L::N {
        let at = |row: usize| rows[row][lane].f64();
        let (q0, q1) = ([at(0), at(1), at(2)], [at(3), at(4), at(5)]);
        if let Some(point) = mujoco_contact(wrap.sphere, wrap.radius.f64(), q0, q1) {
            for (e, x) in point.into_iter().chain([1.0]).enumerate() {
                found[e][lane] = L::Scalar::of(x);
            }
        }
    }
    let [x, y, z, touches] = found.map(|row| L::load(&row));
    (L::and(on, touches.gt(L::of(0.5))), V3(x, y, z))
}

const MAX_LANES: usize = 16;

fn lanes_of<L: Lanes>(x: L) -> [L::Scalar; MAX_LANES] {
    let mut row = [L::Scalar::of(0.0); MAX_LANES];
    x.store(&mut row);
    row
}

/// The contact by MuJoCo's own steps (`wrap_inside`): Newton's from z = 1 - 1e-7 on
/// `asin(A z) + asin(B z) - 2 asin(z) + G = 0`, A and B being radius over distance of the two ends and G the angle between
/// them, until the equation holds within 1e-6; the middle when a step goes the wrong way. `None` for no contact.
fn mujoco_contact(sphere: bool, r: f64, q0: [f64; 3], q1: [f64; 3]) -> Option<[f64; 3]> {
    const TOLERANCE: f64 = 1e-6;
    const TINY: f64 = 1e-15;
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
    let first = sphere || cross(q0, q1)[2] > 0.0;
    let (from, to, ratio) = if first { (q0, q1, a) } else { (q1, q0, b) };
    let turned = libm::asin(z) - libm::asin(ratio * z);
    let x = unit(from);
    let y = unit(sub(to, scale(x, dot(to, x))));
    Some(add(
        scale(x, r * libm::cos(turned)),
        scale(y, r * libm::sin(turned)),
    ))
}

#[cfg(test)]
mod tests;
