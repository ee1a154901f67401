//! What holds joints within their limits and things out of each other: projected Gauss-Seidel in whitened coordinates.
//!
//! With LᵀDL the factored mass matrix, y = D^-½ L^-ᵀ Jᵀ is a constraint's row and w = D^-½ L^-ᵀ (forces) + Σ y λ the state of
//! the solve: the acceleration along a row is y·w, and L⁻¹ D^-½ w is the acceleration of the dofs. A row keeps the sparsity of
//! its chain, and no matrix of constraints against constraints is made. How a constraint yields (R, aref) is MuJoCo's
//! (documentation, "Computation", constraint model). Friction is projected Coulomb: the normal force is found first and bounds
//! the tangential one, where MuJoCo relaxes both to one convex problem.

#![expect(
    clippy::needless_range_loop,
    reason = "a closure is not inlined into functions with wide instructions"
)]

use crate::collide::{Body, Contacts};
use crate::dynamics::{Workspace, solve, solve_transposed, whiten};
use crate::lanes::{Lanes, V3};
use crate::mechanism::{Mechanism, Softness};
use crate::pairs::{Group, Pairs};

/// How easily an object is moved: roots of inverse mass and inertia.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mobility<T> {
    pub(crate) inertia: [T; 3],
    pub(crate) root_inverse_mass: T,
    pub(crate) root_inverse_inertia: [T; 3],
}

/// The contact forces of one contact, kept for the next step.
#[derive(Clone, Copy)]
pub(crate) struct Warm<L: Lanes> {
    pub(crate) group: usize,
    /// -1 where there is none.
    pub(crate) key: L,
    /// Normal, two tangents, torsion.
    pub(crate) force: [L; 4],
}

struct LimitRow<L: Lanes> {
    dof: usize,
    on: L::Mask,
    /// 1 at the lower limit, -1 at the upper.
    sign: L,
    yielding: L,
    target: L,
    inverse: L,
}

struct ContactRow<L: Lanes> {
    group: usize,
    /// Where its entries begin in `y`.
    start: usize,
    /// On how many coordinates of its group's support it acts: the first ones.
    n: usize,
    on: L::Mask,
    key: L,
    /// R of the normal. Friction does not yield (R = 0): what is held does not creep.
    yielding: L,
    target: [L; 4],
    inverse: [L; 4],
    /// y_i · y_j for (0,1), (0,2), (1,2), (0,3), (1,3), (2,3).
    cross: [L; 6],
    force: [L; 4],
}

/// Constraints of the worlds of one register.
pub(crate) struct Rows<L: Lanes> {
    /// Whitened accelerations: of dofs, then six of each object.
    pub(crate) w: Vec<L>,
    limits: Vec<LimitRow<L>>,
    /// Of each dof.
    pub(crate) limit_force: Vec<L>,
    contacts: Vec<ContactRow<L>>,
    y: Vec<L>,
    y_used: usize,
    /// The links of each side that the contact in work is on, and in which worlds.
    chosen: [Vec<(usize, L::Mask)>; 2],
    /// By group.
    pub(crate) warm: Vec<Warm<L>>,
}

impl<L: Lanes> Rows<L> {
    pub(crate) fn new(m: &Mechanism<L::Scalar>, n_objects: usize) -> Self {
        Self {
            w: vec![L::zero(); m.dofs.len() + 6 * n_objects],
            limits: Vec::new(),
            limit_force: vec![L::zero(); m.dofs.len()],
            contacts: Vec::new(),
            y: Vec::new(),
            y_used: 0,
            chosen: [Vec::new(), Vec::new()],
            warm: Vec::new(),
        }
    }
}

/// Whitened accelerations without constraints, from `tau` and gravity on objects.
#[inline(always)]
pub(crate) fn start<L: Lanes>(
    m: &Mechanism<L::Scalar>,
    mobility: &[Mobility<L::Scalar>],
    w: &Workspace<L>,
    rows: &mut Rows<L>,
) {
    let n = m.dofs.len();
    rows.w[..n].copy_from_slice(&w.tau);
    solve_transposed(m, &w.factor, &mut rows.w);
    for k in 0..n {
        // Adding 0 turns -0 into 0: later sums then have one sign of zero, whoever shares the register.
        rows.w[k] = rows.w[k] * w.root_inverse_d[k] + L::zero();
    }
    for (o, mobility) in mobility.iter().enumerate() {
        let at = n + 6 * o;
        let root_mass = L::one() / L::splat(mobility.root_inverse_mass);
        for e in 0..3 {
            rows.w[at + e] = L::splat(m.gravity[e]) * root_mass + L::zero();
            rows.w[at + 3 + e] = L::zero();
        }
    }
}

/// MuJoCo's impedance at a distance, and with it R (for A's diagonal estimate `weight`).
#[inline(always)]
fn impedance<L: Lanes>(s: &Softness<L::Scalar>, distance: L) -> L {
    let one = L::one();
    let middle = L::splat(s.middle);
    let x = (distance.abs() * L::splat(s.inverse_width)).min(one);
    // Two parabolas that meet at the midpoint (power 2).
    let below = x * x / middle;
    let above = one - (one - x) * (one - x) / (one - middle);
    let y = L::select(x.le(middle), below, above);
    L::splat(s.begin) + (L::splat(s.end) - L::splat(s.begin)) * y
}

/// Rows of the limits that are passed.
#[inline(always)]
pub(crate) fn limits<L: Lanes>(
    m: &Mechanism<L::Scalar>,
    weights: &[L::Scalar],
    w: &mut Workspace<L>,
    rows: &mut Rows<L>,
) {
    rows.limits.clear();
    for (k, dof) in m.dofs.iter().enumerate() {
        let Some(limit) = &dof.limit else { continue };
        let low = w.q[k] - L::splat(limit.low);
        let high = L::splat(limit.high) - w.q[k];
        let distance = low.min(high);
        let on = distance.lt(L::zero());
        if !L::any(on) {
            rows.limit_force[k] = L::zero();
            continue;
        }
        let sign = L::select(low.lt(high), L::one(), -L::one());
        whiten(m, w, k);
        let y = &w.whitening[dof.row..=dof.row + dof.ancestors.len()];
        let mut own = L::zero();
        for &y in y {
            own += y * y;
        }
        let s = &limit.softness;
        let d = impedance(s, distance);
        let yielding = (L::one() - d) / d * L::splat(weights[k]);
        let target =
            -(L::splat(s.damping) * (sign * w.qd[k])) - L::splat(s.stiffness) * d * distance;
        let force = rows.limit_force[k].only(on);
        rows.limit_force[k] = force;
        push_limit(m, k, y, sign * force, &mut rows.w);
        let inverse = L::one() / (own + yielding);
        rows.limits.push(LimitRow {
            dof: k,
            on,
            sign,
            yielding,
            target,
            inverse,
        });
    }
}

/// What a force on a dof changes.
#[inline(always)]
fn push_limit<L: Lanes>(
    m: &Mechanism<L::Scalar>,
    k: usize,
    column: &[L],
    force: L,
    accelerations: &mut [L],
) {
    let (own, above) = (&m.dofs[k], column.len() - 1);
    accelerations[k] += column[above] * force;
    for (&j, &y) in own.ancestors.iter().zip(column) {
        accelerations[j] += y * force;
    }
}

#[inline(always)]
fn sweep_limits<L: Lanes>(m: &Mechanism<L::Scalar>, w: &Workspace<L>, rows: &mut Rows<L>) {
    for row in &rows.limits {
        let dof = &m.dofs[row.dof];
        let depth = dof.ancestors.len();
        let y = &w.whitening[dof.row..=dof.row + depth];
        let mut along = y[depth] * rows.w[row.dof];
        for (&j, &y) in dof.ancestors.iter().zip(y) {
            along += y * rows.w[j];
        }
        let old = rows.limit_force[row.dof];
        let new = old - row.inverse * (row.yielding * old + row.sign * along - row.target);
        let new = new.max(L::zero()).only(row.on);
        rows.limit_force[row.dof] = new;
        push_limit(m, row.dof, y, row.sign * (new - old), &mut rows.w);
    }
}

/// Rows of all contacts, with the forces of the step before where the same features still touch.
#[inline(always)]
pub(crate) fn contact_rows<L: Lanes>(
    m: &Mechanism<L::Scalar>,
    pairs: &Pairs<L::Scalar>,
    mobility: &[Mobility<L::Scalar>],
    w: &Workspace<L>,
    objects: &[Body<L>],
    contacts: &Contacts<L>,
    rows: &mut Rows<L>,
) {
    rows.contacts.clear();
    rows.y_used = 0;
    let mut before = 0;
    for g in 0..pairs.groups.len() {
        while before < rows.warm.len() && rows.warm[before].group < g {
            before += 1;
        }
        for s in 0..contacts.used[g] {
            let at = (g, s, before);
            if pairs.groups[g].torsional {
                contact_row::<L, 4>(m, pairs, at, mobility, w, objects, contacts, rows);
            } else {
                contact_row::<L, 3>(m, pairs, at, mobility, w, objects, contacts, rows);
            }
        }
    }
}

#[inline(always)]
fn contact_row<L: Lanes, const D: usize>(
    m: &Mechanism<L::Scalar>,
    pairs: &Pairs<L::Scalar>,
    (g, s, before): (usize, usize, usize),
    mobility: &[Mobility<L::Scalar>],
    w: &Workspace<L>,
    objects: &[Body<L>],
    contacts: &Contacts<L>,
    rows: &mut Rows<L>,
) {
    let (zero, one) = (L::zero(), L::one());
    let group = &pairs.groups[g];
    let slot = &contacts.slots[g][s];
    let on = contacts.count[g].gt(L::of(s as f64 + 0.5));
    let n = V3::select(on, slot.normal, V3(zero, zero, one));
    let p = V3::select(on, slot.at, V3::zero());
    // Two tangents (Duff et al. 2017, "Building an orthonormal basis, revisited").
    let sign = L::select(n.2.lt(zero), -one, one);
    let a = -one / (sign + n.2);
    let b = n.0 * n.1 * a;
    let t1 = V3(one + sign * n.0 * n.0 * a, sign * b, -(sign * n.0));
    let t2 = V3(b, sign + n.1 * n.1 * a, -n.1);
    let directions = [n, t1, t2];
    let mut speed = [zero; D];
    let (mut own, mut cross) = ([zero; D], [zero; 6]);
    let start = rows.y_used;
    // What no world of the register needs is left out: dofs at the end, beyond the link that is touched.
    let mut n_dofs = 0;
    for (i, level) in [slot.first_level, slot.second_level]
        .into_iter()
        .enumerate()
    {
        let (side, chosen) = (&group.sides[i], &mut rows.chosen[i]);
        chosen.clear();
        for &(of_link, link) in &side.links {
            let here = L::and(on, (level - L::splat(of_link)).abs().lt(L::of(0.5)));
            if L::any(here) {
                chosen.push((link, here));
            }
        }
        let Some(&(last, _)) = chosen.last() else {
            continue;
        };
        let moved = |place: &usize| *place < m.links[last].chain.len();
        let end = side.places.iter().rposition(moved).map_or(0, |e| e + 1);
        n_dofs = n_dofs.max(end);
        let mut turn = V3::zero();
        let mut shift = V3::zero();
        for &(link, here) in &*chosen {
            turn = V3::select(here, w.motion[link][0], turn);
            shift = V3::select(here, w.motion[link][1], shift);
        }
        let forth = if i == 0 { -one } else { one };
        let (turn, shift) = (turn.scale(forth), (shift + turn.cross(p)).scale(forth));
        for d in 0..3 {
            speed[d] += directions[d].dot(shift);
        }
        if D > 3 {
            speed[3] += n.dot(turn);
        }
    }
    let n_coordinates = group.support.len() - group.sides[0].places.len();
    let n_all = n_coordinates + n_dofs;
    rows.y_used += n_all * D;
    if rows.y.len() < rows.y_used {
        rows.y.resize(2 * rows.y_used, zero);
    }
    let (y, _) = rows.y[start..start + n_all * D].as_chunks_mut::<D>();
    let (of_objects, of_dofs) = y.split_at_mut(n_coordinates);
    for e in 0..n_dofs {
        let first = reach(m, w, &rows.chosen[0], group.sides[0].places[e]);
        let second = reach(m, w, &rows.chosen[1], group.sides[1].places[e]);
        let (turn, shift) = (second[0] - first[0], second[1] - first[1]);
        let shift = shift + turn.cross(p);
        let row = &mut of_dofs[e];
        for d in 0..3 {
            row[d] = directions[d].dot(shift);
        }
        if D > 3 {
            row[3] = n.dot(turn);
        }
        add_products(row, &mut own, &mut cross);
    }
    let mut next = 0;
    for (i, side) in [-one, one].into_iter().enumerate() {
        let Some(object) = group.sides[i].object else {
            continue;
        };
        let (body, mobility) = (&objects[object], &mobility[object]);
        let from_centre = p - (body.place - w.origin);
        let mut linear = [V3::zero(); D];
        let mut angular = [V3::zero(); D];
        for d in 0..3 {
            linear[d] = directions[d].scale(side);
            angular[d] = body.turn.apply_transposed(from_centre.cross(linear[d]));
        }
        if D > 3 {
            angular[3] = body.turn.apply_transposed(n.scale(side));
        }
        let root_mass = L::splat(mobility.root_inverse_mass);
        let root_inertia = V3::splat(&mobility.root_inverse_inertia);
        for d in 0..D {
            speed[d] += linear[d].dot(body.velocity) + angular[d].dot(body.spin);
            let (l, a) = (linear[d].scale(root_mass), angular[d].times(root_inertia));
            for (e, x) in [l.0, l.1, l.2, a.0, a.1, a.2].into_iter().enumerate() {
                of_objects[next + e][d] = x;
            }
        }
        for row in &of_objects[next..next + 6] {
            add_products(row, &mut own, &mut cross);
        }
        next += 6;
    }
    let softness = &group.softness;
    let distance = slot.distance - L::splat(group.margin);
    let d = impedance(softness, distance);
    let yielding = (one - d) / d * L::select(on, slot.weight, one);
    let mut target = [zero; 4];
    let mut inverse = [zero; 4];
    for d in 0..D {
        target[d] = -(L::splat(softness.damping) * speed[d]);
        // Where nothing can move, nothing pushes: then the speed is 0 too.
        inverse[d] = one / (own[d] + if d == 0 { yielding } else { zero }).max(L::of(1e-12));
    }
    target[0] -= L::splat(softness.stiffness) * d * distance;
    // One step length for both tangents: where it slides, friction then points against the sliding.
    let both = one / (own[1].max(own[2]) + cross[2].abs()).max(L::of(1e-12));
    (inverse[1], inverse[2]) = (both, both);
    let key = L::select(on, slot.key, -one);
    let mut force = [zero; 4];
    for warm in &rows.warm[before..] {
        if warm.group != g {
            break;
        }
        let same = L::and(on, (warm.key - key).abs().lt(L::of(0.5)));
        if L::any(same) {
            for d in 0..D {
                force[d] = L::select(same, warm.force[d], force[d]);
            }
        }
    }
    for (row, &i) in y.iter().zip(&group.support) {
        let mut value = rows.w[i];
        for d in 0..D {
            value += row[d] * force[d];
        }
        rows.w[i] = value;
    }
    rows.contacts.push(ContactRow {
        group: g,
        start,
        n: n_all,
        on,
        key,
        yielding,
        target,
        inverse,
        cross,
        force,
    });
}

/// What a wrench on one side is to the dof at a place of its chain: moment and force at the origin.
#[inline(always)]
fn reach<L: Lanes>(
    m: &Mechanism<L::Scalar>,
    w: &Workspace<L>,
    chosen: &[(usize, L::Mask)],
    place: usize,
) -> [V3<L>; 2] {
    let mut found = [V3::zero(); 2];
    for (i, &(link, here)) in chosen.iter().enumerate() {
        let link = &m.links[link];
        // A link nearer to the root has no such dof, and there it stays 0.
        if place < link.chain.len() {
            let own = w.reach[link.reach + place];
            found = if i == 0 {
                own
            } else {
                [
                    V3::select(here, own[0], found[0]),
                    V3::select(here, own[1], found[1]),
                ]
            };
        }
    }
    found
}

/// Adds a column's part of y_i · y_i and y_i · y_j.
#[inline(always)]
fn add_products<L: Lanes, const D: usize>(row: &[L; D], own: &mut [L; D], cross: &mut [L; 6]) {
    for d in 0..D {
        own[d] += row[d] * row[d];
    }
    cross[0] += row[0] * row[1];
    cross[1] += row[0] * row[2];
    cross[2] += row[1] * row[2];
    if D > 3 {
        cross[3] += row[0] * row[3];
        cross[4] += row[1] * row[3];
        cross[5] += row[2] * row[3];
    }
}

/// The force in direction d that makes its row hold, all others as they are.
#[inline(always)]
fn wanted<L: Lanes>(row: &ContactRow<L>, d: usize, along: L) -> L {
    let old = row.force[d];
    let yielding = if d == 0 {
        row.yielding * old
    } else {
        L::zero()
    };
    old - row.inverse[d] * (yielding + along - row.target[d])
}

#[inline(always)]
fn sweep_contact<L: Lanes, const D: usize>(
    group: &Group<L::Scalar>,
    y: &[L],
    row: &mut ContactRow<L>,
    w: &mut [L],
) {
    // One pass to read what all directions feel, one to write what they change.
    let (y, _) = y.as_chunks::<D>();
    let mut along = [L::zero(); D];
    for (y, &i) in y.iter().zip(&group.support) {
        let value = w[i];
        for d in 0..D {
            along[d] += y[d] * value;
        }
    }
    let old = row.force;
    let normal = wanted(row, 0, along[0]).max(L::zero()).only(row.on);
    let change0 = normal - old[0];
    let first = wanted(row, 1, along[1] + row.cross[0] * change0);
    let change1 = first - old[1];
    let second = wanted(
        row,
        2,
        along[2] + row.cross[1] * change0 + row.cross[2] * change1,
    );
    let bound = L::splat(group.friction[0]) * normal;
    let length = (first * first + second * second).sqrt();
    let scale = L::select(length.gt(bound), bound / length.max(L::of(1e-20)), L::one());
    let (first, second) = ((first * scale).only(row.on), (second * scale).only(row.on));
    let mut change = [L::zero(); D];
    (change[0], change[1], change[2]) = (change0, first - old[1], second - old[2]);
    (row.force[0], row.force[1], row.force[2]) = (normal, first, second);
    if D > 3 {
        let felt = along[3]
            + row.cross[3] * change[0]
            + row.cross[4] * change[1]
            + row.cross[5] * change[2];
        let bound = L::splat(group.friction[1]) * normal;
        let torsion = wanted(row, 3, felt).clamp(-bound, bound).only(row.on);
        change[3] = torsion - old[3];
        row.force[3] = torsion;
    }
    for (y, &i) in y.iter().zip(&group.support) {
        let mut value = w[i];
        for d in 0..D {
            value += y[d] * change[d];
        }
        w[i] = value;
    }
}

/// Sweeps over all constraints, contacts first.
#[inline(always)]
pub(crate) fn sweep<L: Lanes>(
    m: &Mechanism<L::Scalar>,
    pairs: &Pairs<L::Scalar>,
    iterations: usize,
    w: &Workspace<L>,
    rows: &mut Rows<L>,
) {
    for _ in 0..iterations {
        for row in &mut rows.contacts {
            let group = &pairs.groups[row.group];
            if group.torsional {
                let y = &rows.y[row.start..row.start + 4 * row.n];
                sweep_contact::<L, 4>(group, y, row, &mut rows.w);
            } else {
                let y = &rows.y[row.start..row.start + 3 * row.n];
                sweep_contact::<L, 3>(group, y, row, &mut rows.w);
            }
        }
        sweep_limits(m, w, rows);
    }
    rows.warm.clear();
    for row in &rows.contacts {
        rows.warm.push(Warm {
            group: row.group,
            key: row.key,
            force: row.force,
        });
    }
}

/// Accelerations of dofs into `tau`.
#[inline(always)]
pub(crate) fn accelerations<L: Lanes>(
    m: &Mechanism<L::Scalar>,
    w: &mut Workspace<L>,
    rows: &Rows<L>,
) {
    for k in 0..m.dofs.len() {
        w.tau[k] = rows.w[k] * w.root_inverse_d[k];
    }
    solve(m, &w.factor, &mut w.tau);
}
