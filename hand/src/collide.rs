//! Where things touch: closest points of convex shapes, in all worlds of a register at once.
//!
//! Round shapes (sphere, capsule, ellipsoid) are tested against the other's distance field; boxes and cylinders by their
//! corners, edges and rims. Every test has a fixed number of steps. A contact lies in the middle of the overlap; its normal
//! points from the first shape to the second.

use crate::dynamics::{Workspace, point};
use crate::lanes::{Lanes, M3, V3};
use crate::model::ShapeKind;
use crate::pairs::{Geom, Owner, Pairs};

/// Halvings of a stretch in search of its closest point: to 1/512 of its length.
const HALVINGS: usize = 9;
/// What is certainly more than the rounding of a distance, in metres.
const ROUNDING: f64 = 1e-5;
/// Steps toward the closest point of an ellipsoid; each at least halves the distance for those of a hand.
const ELLIPSOID_STEPS: usize = 8;

/// Objects of the worlds of one register.
#[derive(Clone)]
pub(crate) struct Body<L: Lanes> {
    /// In the world.
    pub(crate) place: V3<L>,
    /// w, x, y, z.
    pub(crate) quat: [L; 4],
    /// Metres a second, world axes.
    pub(crate) velocity: V3<L>,
    /// Radians a second, own axes.
    pub(crate) spin: V3<L>,
    /// Of `quat`.
    pub(crate) turn: M3<L>,
}

/// A contact, or as many as there are worlds.
#[derive(Clone, Copy)]
pub(crate) struct Slot<L: Lanes> {
    /// From the origin.
    pub(crate) at: V3<L>,
    pub(crate) normal: V3<L>,
    pub(crate) distance: L,
    /// Levels of the two links on their chains.
    pub(crate) first_level: L,
    pub(crate) second_level: L,
    /// How easily the two sides are moved, together: 1 / kg.
    pub(crate) weight: L,
    /// Which features of which shapes touch: the same number in the next step is the same contact.
    pub(crate) key: L,
}

/// All contacts of the worlds of one register.
pub(crate) struct Contacts<L: Lanes> {
    centre: Vec<V3<L>>,
    /// Along the shape's z.
    axis: Vec<V3<L>>,
    turn: Vec<M3<L>>,
    /// Of each group: slots, how many of them each world uses, and the most that any uses.
    pub(crate) slots: Vec<Vec<Slot<L>>>,
    pub(crate) count: Vec<L>,
    pub(crate) used: Vec<usize>,
}

impl<L: Lanes> Contacts<L> {
    pub(crate) fn new(pairs: &Pairs<L::Scalar>) -> Self {
        let z = L::zero();
        let (n, groups) = (pairs.geoms.len(), pairs.groups.len());
        Self {
            centre: vec![V3::zero(); n],
            axis: vec![V3::zero(); n],
            turn: vec![M3([z; 9]); n],
            slots: vec![Vec::new(); groups],
            count: vec![z; groups],
            used: vec![0; groups],
        }
    }
}

/// Finds all contacts.
#[inline(always)]
pub(crate) fn collide<L: Lanes>(
    pairs: &Pairs<L::Scalar>,
    w: &Workspace<L>,
    objects: &[Body<L>],
    c: &mut Contacts<L>,
) {
    for g in 0..pairs.groups.len() {
        c.count[g] = L::zero();
        c.used[g] = 0;
    }
    place_geoms(pairs, w, objects, c);
    let nothing = Found {
        on: L::zero().lt(L::zero()),
        at: V3::zero(),
        normal: V3::zero(),
        distance: L::zero(),
        feature: 0,
    };
    let mut sink = Sink {
        near: nothing.on,
        margin: L::zero(),
        n: 0,
        found: [nothing; MAX_FOUND],
    };
    for bundle in &pairs.bundles {
        if let Some((object, reach2)) = bundle.object {
            let apart = c.centre[bundle.geom] - (objects[object].place - w.origin);
            if !L::any(apart.dot(apart).lt(L::splat(reach2))) {
                continue;
            }
        }
        for p in bundle.pairs.clone() {
            let pair = &pairs.pairs[p];
            let apart = c.centre[pair.a] - c.centre[pair.b];
            let near = apart.dot(apart).lt(L::splat(pair.reach2));
            if L::any(near) {
                touch(pairs, p, near, &mut sink, c);
            }
        }
    }
}

#[inline(always)]
fn place_geoms<L: Lanes>(
    pairs: &Pairs<L::Scalar>,
    w: &Workspace<L>,
    objects: &[Body<L>],
    c: &mut Contacts<L>,
) {
    for (i, geom) in pairs.geoms.iter().enumerate() {
        let own = &geom.turn;
        let z_axis = V3::splat(&[own[2], own[5], own[8]]);
        let needs_turn = matches!(geom.kind, ShapeKind::Box | ShapeKind::Ellipsoid);
        match geom.owner {
            Owner::World => {
                c.centre[i] = V3::splat(&geom.pos) - w.origin;
                c.axis[i] = z_axis;
                c.turn[i] = M3::splat(own);
            }
            Owner::Link(link) => {
                c.centre[i] = point(w, link, &geom.pos);
                c.axis[i] = w.turn[link].apply(z_axis);
                if needs_turn {
                    c.turn[i] = w.turn[link].product(&M3::splat(own));
                }
            }
            Owner::Object(object) => {
                let body = &objects[object];
                c.centre[i] = body.turn.apply(V3::splat(&geom.pos)) + (body.place - w.origin);
                c.axis[i] = body.turn.apply(z_axis);
                if needs_turn {
                    c.turn[i] = body.turn.product(&M3::splat(own));
                }
            }
        }
    }
}

/// A shape where it is.
#[derive(Clone, Copy)]
struct Placed<'a, L: Lanes> {
    kind: ShapeKind,
    size: &'a [L::Scalar; 3],
    centre: V3<L>,
    axis: &'a V3<L>,
    turn: &'a M3<L>,
}

impl<L: Lanes> Placed<'_, L> {
    #[inline(always)]
    fn size(&self, e: usize) -> L {
        L::splat(self.size[e])
    }
}

/// What one pair gives: at most [`MAX_FOUND`] contacts.
struct Sink<L: Lanes> {
    near: L::Mask,
    margin: L,
    n: usize,
    found: [Found<L>; MAX_FOUND],
}

#[derive(Clone, Copy)]
struct Found<L: Lanes> {
    on: L::Mask,
    at: V3<L>,
    normal: V3<L>,
    distance: L,
    feature: usize,
}

/// Two cylinders: eight points on the rims of each.
const MAX_FOUND: usize = 16;

impl<L: Lanes> Sink<L> {
    /// A contact in all worlds where it is `on` and closer than the margin. `normal` has length 1.
    #[inline(always)]
    fn add(&mut self, on: L::Mask, at: V3<L>, normal: V3<L>, distance: L, feature: usize) {
        let on = L::and(L::and(on, self.near), distance.lt(self.margin));
        if L::any(on) {
            self.found[self.n % MAX_FOUND] = Found {
                on,
                at,
                normal,
                distance,
                feature,
            };
            self.n += 1;
        }
    }
}

#[inline(always)]
fn placed<'a, L: Lanes>(geom: &'a Geom<L::Scalar>, i: usize, c: &'a Contacts<L>) -> Placed<'a, L> {
    let (axis, turn) = (&c.axis[i], &c.turn[i]);
    Placed {
        kind: geom.kind,
        size: &geom.size,
        centre: c.centre[i],
        axis,
        turn,
    }
}

/// The contacts of one pair of shapes, put into the slots of its group.
#[inline(always)]
fn touch<L: Lanes>(
    pairs: &Pairs<L::Scalar>,
    p: usize,
    near: L::Mask,
    sink: &mut Sink<L>,
    c: &mut Contacts<L>,
) {
    use ShapeKind::{Box, Capsule, Cylinder, Ellipsoid, Plane, Sphere};
    let pair = &pairs.pairs[p];
    let (ga, gb) = (&pairs.geoms[pair.a], &pairs.geoms[pair.b]);
    let a = placed(ga, pair.a, c);
    let b = placed(gb, pair.b, c);
    sink.near = near;
    sink.margin = L::splat(pairs.groups[pair.group].margin);
    sink.n = 0;
    // From here on the normal points away from the shape that was tested against the other's field.
    let mut swapped = usize::MAX;
    match (a.kind, b.kind) {
        (Sphere | Capsule, Sphere | Capsule) => round_round(&a, &b, sink),
        (Sphere | Capsule, Box) => round_box(&a, &b, sink),
        (Sphere | Capsule, Ellipsoid) => {
            swapped = 0;
            ellipsoid_field(&b, &a, sink);
        }
        (Ellipsoid, Capsule | Sphere | Cylinder | Box) => ellipsoid_field(&a, &b, sink),
        (Sphere | Capsule, Cylinder) => round_cylinder(&a, &b, sink),
        (Sphere | Capsule, Plane) => round_plane(&a, &b, sink),
        (Ellipsoid, Ellipsoid) => ellipsoid_ellipsoid(&a, &b, sink),
        (Ellipsoid, Plane) => ellipsoid_plane(&a, &b, sink),
        (Box, Box) => box_box(&a, &b, sink),
        (Cylinder | Box, Plane) => corners_field(&a, &b, 0, sink),
        (Cylinder, Cylinder | Box) => {
            corners_field(&a, &b, 0, sink);
            swapped = sink.n;
            corners_field(&b, &a, 8, sink);
        }
        // Planes do not move, and the rounder shape comes first.
        (Plane, _) | (Cylinder | Box, Sphere | Capsule | Ellipsoid) | (Box, Cylinder) => {}
    }
    let levels = [L::splat(ga.level), L::splat(gb.level)];
    let weight = L::splat(ga.weight) + L::splat(gb.weight);
    let g = pair.group;
    let mut count = c.count[g];
    for (i, found) in sink.found[..sink.n].iter().enumerate() {
        let normal = if i >= swapped {
            -found.normal
        } else {
            found.normal
        };
        let key = L::of((p * 16 + found.feature) as f64);
        let used = c.used[g];
        for s in 0..=used {
            let here = L::and(found.on, (count - L::of(s as f64)).abs().lt(L::of(0.5)));
            if !L::any(here) {
                continue;
            }
            let (at, distance) = (found.at, found.distance);
            let [first_level, second_level] = levels;
            if s == used {
                c.used[g] = used + 1;
                if s == c.slots[g].len() {
                    c.slots[g].push(Slot {
                        at,
                        normal,
                        distance,
                        first_level,
                        second_level,
                        weight,
                        key,
                    });
                }
            }
            let slot = &mut c.slots[g][s];
            slot.at = V3::select(here, at, slot.at);
            slot.normal = V3::select(here, normal, slot.normal);
            slot.distance = L::select(here, distance, slot.distance);
            slot.first_level = L::select(here, first_level, slot.first_level);
            slot.second_level = L::select(here, second_level, slot.second_level);
            slot.weight = L::select(here, weight, slot.weight);
            slot.key = L::select(here, key, slot.key);
        }
        count += L::one().only(found.on);
    }
    c.count[g] = count;
}

/// Half the length of a capsule's axis; none of a sphere.
#[inline(always)]
fn half_length<L: Lanes>(a: &Placed<'_, L>) -> L {
    match a.kind {
        ShapeKind::Capsule => a.size(1),
        _ => L::zero(),
    }
}

#[inline(always)]
fn half_axis<L: Lanes>(a: &Placed<'_, L>) -> V3<L> {
    a.axis.scale(half_length(a))
}

/// Distance of a point from a shape (negative inside), and the direction in which it grows. The point is in world axes from the
/// origin.
#[inline(always)]
fn field<L: Lanes>(b: &Placed<'_, L>, at: V3<L>) -> (L, V3<L>) {
    let p = at - b.centre;
    match b.kind {
        ShapeKind::Box => {
            let (d, g) = box_field(V3::splat(b.size), b.turn.apply_transposed(p));
            (d, b.turn.apply(g))
        }
        ShapeKind::Cylinder => cylinder_field(b, p),
        ShapeKind::Plane => (b.axis.dot(p), *b.axis),
        ShapeKind::Sphere | ShapeKind::Capsule | ShapeKind::Ellipsoid => {
            let half = half_length(b);
            let v = p - b.axis.scale(b.axis.dot(p).clamp(-half, half));
            let length = v.norm().max(L::of(1e-9));
            (length - b.size(0), v.scale(L::one() / length))
        }
    }
}

/// Of a box with half sizes `h`, at `p` in its frame.
#[inline(always)]
fn box_field<L: Lanes>(h: V3<L>, p: V3<L>) -> (L, V3<L>) {
    let (zero, one) = (L::zero(), L::one());
    let a = V3(p.0.abs(), p.1.abs(), p.2.abs()) - h;
    let out = V3(a.0.max(zero), a.1.max(zero), a.2.max(zero));
    let outside = out.norm();
    let inside = a.0.max(a.1).max(a.2);
    let is_inside = inside.lt(zero);
    let x_face = L::and(a.0.ge(a.1), a.0.ge(a.2));
    let y_face = L::and(L::not(x_face), a.1.ge(a.2));
    let face = V3(
        one.only(x_face),
        one.only(y_face),
        L::select(L::or(x_face, y_face), zero, one),
    );
    let g = V3::select(is_inside, face, out.scale(one / outside.max(L::of(1e-9))));
    let g = V3(
        L::select(p.0.lt(zero), -g.0, g.0),
        L::select(p.1.lt(zero), -g.1, g.1),
        L::select(p.2.lt(zero), -g.2, g.2),
    );
    (L::select(is_inside, inside, outside), g)
}

/// The sign of the change of a box's distance field at `p` in direction `u`.
#[inline(always)]
fn box_slope<L: Lanes>(h: V3<L>, p: V3<L>, u: V3<L>) -> L {
    let zero = L::zero();
    let a = V3(p.0.abs(), p.1.abs(), p.2.abs()) - h;
    let out = V3(a.0.max(zero), a.1.max(zero), a.2.max(zero));
    let u = V3(
        L::select(p.0.lt(zero), -u.0, u.0),
        L::select(p.1.lt(zero), -u.1, u.1),
        L::select(p.2.lt(zero), -u.2, u.2),
    );
    let x_face = L::and(a.0.ge(a.1), a.0.ge(a.2));
    let toward_face = L::select(x_face, u.0, L::select(a.1.ge(a.2), u.1, u.2));
    L::select(a.0.max(a.1).max(a.2).lt(zero), toward_face, out.dot(u))
}

/// Of a cylinder, at `p` from its centre in world axes.
#[inline(always)]
fn cylinder_field<L: Lanes>(b: &Placed<'_, L>, p: V3<L>) -> (L, V3<L>) {
    let zero = L::zero();
    let height = b.axis.dot(p);
    let across = p - b.axis.scale(height);
    let radius = across.norm().max(L::of(1e-9));
    let (side, cap) = (radius - b.size(0), height.abs() - b.size(1));
    let (out_side, out_cap) = (side.max(zero), cap.max(zero));
    let outside = (out_side * out_side + out_cap * out_cap).sqrt();
    let inside = side.max(cap);
    let is_inside = inside.lt(zero);
    let by_side = side.ge(cap);
    let scale = L::one() / outside.max(L::of(1e-9));
    let gs = L::select(is_inside, L::one().only(by_side), out_side * scale);
    let gc = L::select(
        is_inside,
        L::select(by_side, zero, L::one()),
        out_cap * scale,
    );
    let gc = L::select(height.lt(zero), -gc, gc);
    (
        L::select(is_inside, inside, outside),
        across.scale(gs / radius) + b.axis.scale(gc),
    )
}

/// Two stretches at their closest points.
#[inline(always)]
fn round_round<L: Lanes>(a: &Placed<'_, L>, b: &Placed<'_, L>, sink: &mut Sink<L>) {
    let halves = (half_length(a), half_length(b));
    let (s, t) = closest(a.centre - b.centre, *a.axis, *b.axis, halves);
    let (pa, pb) = (a.centre + a.axis.scale(s), b.centre + b.axis.scale(t));
    let way = pb - pa;
    let length = way.norm().max(L::of(1e-9));
    let distance = length - (a.size(0) + b.size(0));
    let normal = way.scale(L::one() / length);
    let at = pa + normal.scale(a.size(0) + distance * L::of(0.5));
    sink.add(sink.near, at, normal, distance, 0);
}

/// Where two stretches are closest (Ericson, "Real-Time Collision Detection", 5.1.9): how far along `u` and `v`, of length 1,
/// from their middles, which are `d` apart (first minus second). Half their lengths: `a` and `b`.
#[inline(always)]
fn closest<L: Lanes>(d: V3<L>, u: V3<L>, v: V3<L>, (a, b): (L, L)) -> (L, L) {
    let (uv, ud, vd) = (u.dot(v), u.dot(d), v.dot(d));
    let det = L::one() - uv * uv;
    let crossing = det.gt(L::of(1e-6));
    let s = ((uv * vd - ud) / det.max(L::of(1e-20)))
        .only(crossing)
        .clamp(-a, a);
    let t = (uv * s + vd).clamp(-b, b);
    let s = (uv * t - ud).clamp(-a, a);
    let t = (uv * s + vd).clamp(-b, b);
    (s, t)
}

/// The closest point of the stretch and its far end, against a box: in the box's frame.
#[inline(always)]
fn round_box<L: Lanes>(a: &Placed<'_, L>, b: &Placed<'_, L>, sink: &mut Sink<L>) {
    let r = a.size(0);
    let centre = b.turn.apply_transposed(a.centre - b.centre);
    let length = if a.kind == ShapeKind::Capsule {
        a.size(1)
    } else {
        L::zero()
    };
    // Distance changes no faster than place.
    let (d, _) = box_field(V3::splat(b.size), centre);
    let near = L::and(sink.near, d.lt(r + length + sink.margin));
    if !L::any(near) {
        return;
    }
    let u = b.turn.apply_transposed(half_axis(a));
    // Nor is it less than the gap along a face's normal.
    let (c, h) = (centre, V3::splat(b.size));
    let gap = (c.0.abs() - u.0.abs() - h.0)
        .max(c.1.abs() - u.1.abs() - h.1)
        .max(c.2.abs() - u.2.abs() - h.2);
    let near = L::and(near, gap.lt(r + sink.margin + L::of(ROUNDING)));
    if !L::any(near) {
        return;
    }
    let (first, last) = if a.kind == ShapeKind::Sphere {
        (L::zero(), None)
    } else {
        let t = closest_on_stretch(V3::splat(b.size), centre, u);
        (t, Some(L::select(t.gt(L::zero()), -L::one(), L::one())))
    };
    for (feature, t) in [Some(first), last].into_iter().flatten().enumerate() {
        let p = centre + u.scale(t);
        let (d, g) = box_field(V3::splat(b.size), p);
        let distance = d - r;
        let at = p - g.scale(r + distance * L::of(0.5));
        sink.add(
            near,
            b.turn.apply(at) + b.centre,
            -b.turn.apply(g),
            distance,
            feature,
        );
    }
}

/// Where on `centre` ± `u` the distance from a box is least: the distance is convex along the stretch.
#[inline(always)]
fn closest_on_stretch<L: Lanes>(h: V3<L>, centre: V3<L>, u: V3<L>) -> L {
    let (mut low, mut high) = (-L::one(), L::one());
    for _ in 0..HALVINGS {
        let t = (low + high) * L::of(0.5);
        let rising = box_slope(h, centre + u.scale(t), u).gt(L::zero());
        high = L::select(rising, t, high);
        low = L::select(rising, low, t);
    }
    let t = (low + high) * L::of(0.5);
    let t = L::select(t.gt(L::of(0.99)), L::one(), t);
    L::select(t.lt(L::of(-0.99)), -L::one(), t)
}

#[inline(always)]
fn round_cylinder<L: Lanes>(a: &Placed<'_, L>, b: &Placed<'_, L>, sink: &mut Sink<L>) {
    let (r, u) = (a.size(0), half_axis(a));
    // Distance changes no faster than place.
    let (d, _) = field(b, a.centre);
    let far = r + half_length(a) + sink.margin + L::of(ROUNDING);
    if !L::any(L::and(sink.near, d.lt(far))) {
        return;
    }
    let (mut low, mut high) = (-L::one(), L::one());
    if a.kind == ShapeKind::Capsule {
        for _ in 0..HALVINGS {
            let t = (low + high) * L::of(0.5);
            let (_, g) = field(b, a.centre + u.scale(t));
            let rising = g.dot(u).gt(L::zero());
            high = L::select(rising, t, high);
            low = L::select(rising, low, t);
        }
    }
    let t = (low + high) * L::of(0.5);
    let far = L::select(t.gt(L::zero()), -L::one(), L::one());
    let ends = if a.kind == ShapeKind::Capsule { 2 } else { 1 };
    for (feature, t) in [t, far].into_iter().take(ends).enumerate() {
        let p = a.centre + u.scale(t);
        let (d, g) = field(b, p);
        let distance = d - r;
        sink.add(
            sink.near,
            p - g.scale(r + distance * L::of(0.5)),
            -g,
            distance,
            feature,
        );
    }
}

#[inline(always)]
fn round_plane<L: Lanes>(a: &Placed<'_, L>, b: &Placed<'_, L>, sink: &mut Sink<L>) {
    let (r, u) = (a.size(0), half_axis(a));
    let ends = if a.kind == ShapeKind::Capsule { 2 } else { 1 };
    for (feature, p) in [a.centre + u, a.centre - u]
        .into_iter()
        .take(ends)
        .enumerate()
    {
        let distance = b.axis.dot(p - b.centre) - r;
        let at = p - b.axis.scale(r + distance * L::of(0.5));
        sink.add(sink.near, at, -*b.axis, distance, feature);
    }
}

/// The point of an ellipsoid that lies farthest in a direction of length 1, and the largest radius of curvature there.
#[inline(always)]
fn farthest<L: Lanes>(a: &Placed<'_, L>, direction: V3<L>) -> (V3<L>, L) {
    let scaled = V3::splat(a.size).times(a.turn.apply_transposed(direction));
    let inverse = L::one() / scaled.norm().max(L::of(1e-9));
    let p = a.centre + a.turn.apply(V3::splat(a.size).times(scaled).scale(inverse));
    let longest = a.size(0).max(a.size(1)).max(a.size(2));
    (p, longest * longest * inverse)
}

#[inline(always)]
fn ellipsoid_plane<L: Lanes>(a: &Placed<'_, L>, b: &Placed<'_, L>, sink: &mut Sink<L>) {
    let (p, _) = farthest(a, -*b.axis);
    let distance = b.axis.dot(p - b.centre);
    let at = p - b.axis.scale(distance * L::of(0.5));
    sink.add(sink.near, at, -*b.axis, distance, 0);
}

/// The deepest point of an ellipsoid in a distance field. In each step the ellipsoid is replaced by the smallest ball that holds
/// it and touches it from outside at the point found last: for a ball the answer is the field's direction at its centre.
#[inline(always)]
fn ellipsoid_field<L: Lanes>(a: &Placed<'_, L>, b: &Placed<'_, L>, sink: &mut Sink<L>) {
    let (d, g) = field(b, a.centre);
    // Distance changes no faster than place.
    let longest = a.size(0).max(a.size(1)).max(a.size(2));
    if !L::any(L::and(sink.near, d.lt(longest + sink.margin))) {
        return;
    }
    let mut direction = -g;
    for _ in 0..ELLIPSOID_STEPS {
        let (p, radius) = farthest(a, direction);
        let (_, g) = field(b, p - direction.scale(radius));
        direction = -g;
    }
    let (p, _) = farthest(a, direction);
    let (distance, g) = field(b, p);
    sink.add(
        sink.near,
        p - g.scale(distance * L::of(0.5)),
        -g,
        distance,
        0,
    );
}

/// As [`ellipsoid_field`], with balls for both.
#[inline(always)]
fn ellipsoid_ellipsoid<L: Lanes>(a: &Placed<'_, L>, b: &Placed<'_, L>, sink: &mut Sink<L>) {
    let mut direction = (b.centre - a.centre).unit(1e-9);
    for _ in 0..ELLIPSOID_STEPS {
        let (pa, ra) = farthest(a, direction);
        let (pb, rb) = farthest(b, -direction);
        direction = ((pb + direction.scale(rb)) - (pa - direction.scale(ra))).unit(1e-9);
    }
    let (pa, _) = farthest(a, direction);
    let (pb, _) = farthest(b, -direction);
    let distance = (pb - pa).dot(direction);
    sink.add(
        sink.near,
        (pa + pb).scale(L::of(0.5)),
        direction,
        distance,
        0,
    );
}

/// The corners of a box, or eight points on the rims of a cylinder, in a distance field.
#[inline(always)]
fn corners_field<L: Lanes>(
    a: &Placed<'_, L>,
    b: &Placed<'_, L>,
    feature: usize,
    sink: &mut Sink<L>,
) {
    let half = L::of(0.5);
    let (x, y, z) = if a.kind == ShapeKind::Box {
        let [x, y, z] = columns(a.turn);
        (x.scale(a.size(0)), y.scale(a.size(1)), z.scale(a.size(2)))
    } else {
        // Toward the other, along the rim, and the axis.
        let (_, g) = field(b, a.centre);
        let toward = a.axis.scale(a.axis.dot(g)) - g;
        let steep = toward.dot(toward).gt(L::of(1e-6));
        let fallback = a.axis.cross(V3::select(
            a.axis.0.abs().lt(L::of(0.7)),
            V3(L::one(), L::zero(), L::zero()),
            V3(L::zero(), L::one(), L::zero()),
        ));
        let toward = V3::select(steep, toward, fallback).unit(1e-9);
        // Turned by 45°, so that the four points of a rim are sums and differences.
        let r = a.size(0) * half;
        let (e1, e2) = (toward.scale(r), a.axis.cross(toward).scale(r));
        (e1 + e2, e1 - e2, a.axis.scale(a.size(1)))
    };
    for k in 0..8 {
        let mut p = a.centre;
        p = if k & 1 == 0 { p + x } else { p - x };
        p = if k & 2 == 0 { p + y } else { p - y };
        p = if k & 4 == 0 { p + z } else { p - z };
        let (distance, g) = field(b, p);
        sink.add(
            sink.near,
            p - g.scale(distance * half),
            -g,
            distance,
            feature + k,
        );
    }
}

/// Two boxes: the axis along which they overlap least (of their 6 faces and 9 pairs of edges), then either the corners of the
/// one's face, moved into the outline of the other's, or the point where two edges cross.
#[inline(always)]
fn box_box<L: Lanes>(a: &Placed<'_, L>, b: &Placed<'_, L>, sink: &mut Sink<L>) {
    let (zero, one, half) = (L::zero(), L::one(), L::of(0.5));
    let (ea, eb) = (columns(a.turn), columns(b.turn));
    let (ha, hb) = (
        [a.size(0), a.size(1), a.size(2)],
        [b.size(0), b.size(1), b.size(2)],
    );
    let way = b.centre - a.centre;
    // Gap along each face's normal; the largest gap is the answer.
    let mut gap = L::of(f64::from(f32::MIN));
    let mut normal = V3::zero();
    let mut of_a = one;
    let mut face = [zero; 3];
    for (side, (own, other)) in [(&ea, &eb), (&eb, &ea)].into_iter().enumerate() {
        let (h_own, h_other) = if side == 0 { (&ha, &hb) } else { (&hb, &ha) };
        for i in 0..3 {
            let axis = own[i];
            let along = way.dot(axis);
            let mut reach = h_own[i];
            for j in 0..3 {
                reach += h_other[j] * axis.dot(other[j]).abs();
            }
            let found = along.abs() - reach;
            // The one found first wins unless the other is clearly better: no flutter between equal faces.
            let better = found.gt(gap + L::of(1e-5));
            gap = L::select(better, found, gap);
            let outward = V3::select(along.lt(zero), -axis, axis);
            normal = V3::select(better, outward, normal);
            of_a = L::select(better, L::of(if side == 0 { 1.0 } else { 0.0 }), of_a);
            for (k, place) in face.iter_mut().enumerate() {
                *place = L::select(better, L::of(if k == i { 1.0 } else { 0.0 }), *place);
            }
        }
    }
    let mut edge_gap = gap;
    let mut edge_normal = V3::zero();
    let (mut edge_a, mut edge_b, mut edge_halves) = (V3::zero(), V3::zero(), (zero, zero));
    for i in 0..3 {
        for j in 0..3 {
            let axis = ea[i].cross(eb[j]);
            let length = axis.norm();
            let axis = axis.scale(one / length.max(L::of(1e-6)));
            let along = way.dot(axis);
            let mut reach = zero;
            for k in 0..3 {
                reach += ha[k] * axis.dot(ea[k]).abs() + hb[k] * axis.dot(eb[k]).abs();
            }
            let found = along.abs() - reach;
            let better = L::and(found.gt(edge_gap + L::of(1e-4)), length.gt(L::of(1e-3)));
            edge_gap = L::select(better, found, edge_gap);
            edge_normal = V3::select(better, V3::select(along.lt(zero), -axis, axis), edge_normal);
            edge_a = V3::select(better, ea[i], edge_a);
            edge_b = V3::select(better, eb[j], edge_b);
            edge_halves.0 = L::select(better, ha[i], edge_halves.0);
            edge_halves.1 = L::select(better, hb[j], edge_halves.1);
        }
    }
    let by_edge = edge_gap.gt(gap);
    if L::any(by_edge) {
        // The edge of each that lies farthest toward the other, and the closest points of the two.
        let direction = V3::select(by_edge, edge_normal, normal);
        let pa = a.centre + edge_middle(&ea, &ha, direction, edge_a);
        let pb = b.centre + edge_middle(&eb, &hb, -direction, edge_b);
        let (s, t) = closest(pa - pb, edge_a, edge_b, edge_halves);
        let (pa, pb) = (pa + edge_a.scale(s), pb + edge_b.scale(t));
        let distance = (pb - pa).dot(direction);
        let on = L::and(by_edge, sink.near);
        sink.add(on, (pa + pb).scale(half), direction, distance, 4);
    }
    // The face that the normal belongs to, and the face of the other that looks at it.
    let first = of_a.gt(half);
    let centre = V3::select(first, a.centre, b.centre);
    let other_centre = V3::select(first, b.centre, a.centre);
    let outward = V3::select(first, normal, -normal);
    let mut own = [V3::zero(); 3];
    let mut other = [V3::zero(); 3];
    let (mut h_own, mut h_other) = ([zero; 3], [zero; 3]);
    for i in 0..3 {
        own[i] = V3::select(first, ea[i], eb[i]);
        other[i] = V3::select(first, eb[i], ea[i]);
        h_own[i] = L::select(first, ha[i], hb[i]);
        h_other[i] = L::select(first, hb[i], ha[i]);
    }
    let ([x, y, _], [hx, hy, hz]) = with_last(&own, &h_own, face);
    let looks = [
        outward.dot(other[0]).abs(),
        outward.dot(other[1]).abs(),
        outward.dot(other[2]).abs(),
    ];
    let is_x = L::and(looks[0].ge(looks[1]), looks[0].ge(looks[2]));
    let is_y = L::and(L::not(is_x), looks[1].ge(looks[2]));
    let facing = [
        one.only(is_x),
        one.only(is_y),
        L::select(L::or(is_x, is_y), zero, one),
    ];
    let ([u, v, n], [hu, hv, hn]) = with_last(&other, &h_other, facing);
    let n = V3::select(n.dot(outward).gt(zero), -n, n);
    let middle = other_centre + n.scale(hn) - centre;
    let slope = n.dot(outward);
    let slack = one + L::of(1e-3);
    for k in 0..4 {
        let (su, sv) = (
            if k & 1 == 0 { hu } else { -hu },
            if k & 2 == 0 { hv } else { -hv },
        );
        let corner = middle + u.scale(su) + v.scale(sv);
        let px = corner.dot(x).clamp(-hx, hx);
        let py = corner.dot(y).clamp(-hy, hy);
        // On the plane of the other's face, over the place in the outline.
        let flat = x.scale(px) + y.scale(py);
        let height = (middle - flat).dot(n) / slope;
        let at = flat + outward.scale(height);
        let from_middle = at - middle;
        let inside = L::and(
            from_middle.dot(u).abs().le(hu * slack),
            from_middle.dot(v).abs().le(hv * slack),
        );
        let distance = height - hz;
        let on = L::and(L::and(inside, L::not(by_edge)), sink.near);
        let at = centre + at - outward.scale(distance * half);
        sink.add(on, at, normal, distance, k);
    }
}

#[inline(always)]
fn columns<L: Lanes>(m: &M3<L>) -> [V3<L>; 3] {
    let t = &m.0;
    [
        V3(t[0], t[3], t[6]),
        V3(t[1], t[4], t[7]),
        V3(t[2], t[5], t[8]),
    ]
}

/// Axes and half sizes turned so that the chosen one comes last.
#[inline(always)]
fn with_last<L: Lanes>(axes: &[V3<L>; 3], half: &[L; 3], chosen: [L; 3]) -> ([V3<L>; 3], [L; 3]) {
    let (x, y) = (chosen[0].gt(L::of(0.5)), chosen[1].gt(L::of(0.5)));
    let pick = |a: usize, b: usize, c: usize| {
        (
            V3::select(x, axes[a], V3::select(y, axes[b], axes[c])),
            L::select(x, half[a], L::select(y, half[b], half[c])),
        )
    };
    let ((first, h0), (second, h1), (last, h2)) = (pick(1, 2, 0), pick(2, 0, 1), pick(0, 1, 2));
    ([first, second, last], [h0, h1, h2])
}

/// From a box's centre to the middle of the edge along `edge` (length 1) that lies farthest in a direction.
#[inline(always)]
fn edge_middle<L: Lanes>(axes: &[V3<L>; 3], half: &[L; 3], direction: V3<L>, edge: V3<L>) -> V3<L> {
    let mut at = V3::zero();
    for i in 0..3 {
        let along = axes[i].dot(direction);
        let h = L::select(along.lt(L::zero()), -half[i], half[i]);
        at = at + axes[i].scale(h);
    }
    // Without the part along the edge itself.
    at - edge.scale(at.dot(edge))
}
