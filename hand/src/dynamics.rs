//! How links move: places, inertia and forces in reduced coordinates, and the mass matrix factored in place.
//!
//! Spatial vectors are taken at the origin of one link of the trunk ([`Mechanism::origin`]) in world axes. Algorithms after
//! Featherstone, "Rigid Body Dynamics Algorithms" (2008): recursive Newton-Euler (table 5.1), composite rigid bodies
//! (table 6.2), LᵀDL by branches (section 8.4).

#![expect(
    clippy::needless_range_loop,
    reason = "a closure is not inlined into functions with wide instructions"
)]

use crate::lanes::{Lanes, M3, V3};
use crate::mechanism::Mechanism;
use crate::model::JointKind;

/// What a step computes from a state, for the worlds of one register.
pub(crate) struct Workspace<L: Lanes> {
    /// Joint angles, velocities and activations: the state (n_dofs, n_dofs, n_muscles).
    pub(crate) q: Vec<L>,
    pub(crate) qd: Vec<L>,
    pub(crate) act: Vec<L>,
    /// Accelerations of the last step (n_dofs): part of the state.
    pub(crate) qacc: Vec<L>,
    /// Excitations of muscles, then controls of motors.
    pub(crate) control: Vec<L>,
    /// Places and axes of links in the world (n_links).
    pub(crate) place: Vec<V3<L>>,
    pub(crate) turn: Vec<M3<L>>,
    /// Where world vectors are measured from.
    pub(crate) origin: V3<L>,
    /// The motion that each dof stands for: turn and translation of the origin (n_dofs).
    pub(crate) angular: Vec<V3<L>>,
    pub(crate) linear: Vec<V3<L>>,
    moment: Vec<V3<L>>,
    inertia: Vec<[L; 6]>,
    velocity: Vec<[V3<L>; 2]>,
    acceleration: Vec<[V3<L>; 2]>,
    force: Vec<[V3<L>; 2]>,
    /// Forces on dofs (n_dofs).
    pub(crate) tau: Vec<L>,
    /// The mass matrix, then its factor L (n_mass); 1 / D and its square root (n_dofs).
    pub(crate) factor: Vec<L>,
    pub(crate) inverse_d: Vec<L>,
    pub(crate) root_inverse_d: Vec<L>,
    /// D^-½ L^-ᵀ by columns: what a force on a dof is to its ancestors and itself, in the dof's row (n_mass).
    pub(crate) whitening: Vec<L>,
    /// The same of a wrench on a link, moment and force at the origin: its effect on each dof of the link's chain (n_reach).
    pub(crate) reach: Vec<[V3<L>; 2]>,
    /// Velocities of links: turn, and translation at the origin (n_links).
    pub(crate) motion: Vec<[V3<L>; 2]>,
    /// Frames of what tendons wrap around (n_wraps).
    pub(crate) wrap_place: Vec<V3<L>>,
    pub(crate) wrap_turn: Vec<M3<L>>,
    /// Tendons: lengths, velocities, moment arms (n_arms), tensions.
    pub(crate) length: Vec<L>,
    pub(crate) stretch: Vec<L>,
    pub(crate) arms: Vec<L>,
    pub(crate) tension: Vec<L>,
}

impl<L: Lanes> Workspace<L> {
    pub(crate) fn new(m: &Mechanism<L::Scalar>) -> Self {
        let z = L::zero();
        let v = V3::zero();
        let (n_links, n_dofs, n_tendons) = (m.links.len(), m.dofs.len(), m.tendons.len());
        let unit = M3([L::one(), z, z, z, L::one(), z, z, z, L::one()]);
        Self {
            q: vec![z; n_dofs],
            qd: vec![z; n_dofs],
            qacc: vec![z; n_dofs],
            act: vec![z; m.muscles.len()],
            control: vec![z; m.n_controls()],
            place: vec![v; n_links],
            turn: vec![unit; n_links],
            origin: v,
            angular: vec![v; n_dofs],
            linear: vec![v; n_dofs],
            moment: vec![v; n_links],
            inertia: vec![[z; 6]; n_links],
            velocity: vec![[v; 2]; n_links],
            acceleration: vec![[v; 2]; n_links],
            force: vec![[v; 2]; n_links],
            tau: vec![z; n_dofs],
            factor: vec![z; m.n_mass],
            inverse_d: vec![z; n_dofs],
            root_inverse_d: vec![z; n_dofs],
            whitening: vec![z; m.n_mass],
            reach: vec![[v; 2]; m.n_reach],
            motion: vec![[v; 2]; n_links],
            wrap_place: vec![v; m.wraps.len()],
            wrap_turn: vec![unit; m.wraps.len()],
            length: vec![z; n_tendons],
            stretch: vec![z; n_tendons],
            arms: vec![z; m.n_arms],
            tension: vec![z; n_tendons],
        }
    }
}

/// Places of links and motions of dofs from joint angles.
#[inline(always)]
pub(crate) fn kinematics<L: Lanes>(m: &Mechanism<L::Scalar>, w: &mut Workspace<L>) {
    for (i, link) in m.links.iter().enumerate() {
        if i == 0 {
            continue;
        }
        let above = w.turn[link.parent];
        let mut place = above.apply(V3::splat(&link.pos)) + w.place[link.parent];
        let mut turn = match &link.turn {
            Some(own) => above.product(&M3::splat(own)),
            None => above,
        };
        for k in link.dofs.clone() {
            let dof = &m.dofs[k];
            let axis = turn.apply(V3::splat(&dof.axis));
            w.angular[k] = axis;
            match dof.kind {
                JointKind::Slide => {
                    w.linear[k] = place;
                    place = place + axis.scale(w.q[k]);
                }
                JointKind::Hinge => {
                    let (s, c) = w.q[k].sin_cos();
                    let turned = turn.product(&M3::around(&dof.axis, s, c));
                    match &dof.anchor {
                        None => w.linear[k] = place,
                        Some(anchor) => {
                            let anchor = V3::splat(anchor);
                            let at = turn.apply(anchor) + place;
                            w.linear[k] = at;
                            place = at - turned.apply(anchor);
                        }
                    }
                    turn = turned;
                }
            }
        }
        w.place[i] = place;
        w.turn[i] = turn;
    }
    w.origin = w.place[m.origin];
    for k in 0..m.dofs.len() {
        match m.dofs[k].kind {
            JointKind::Hinge => w.linear[k] = (w.linear[k] - w.origin).cross(w.angular[k]),
            JointKind::Slide => {
                w.linear[k] = w.angular[k];
                w.angular[k] = V3::zero();
            }
        }
    }
}

/// A point of a link, in world axes from the origin.
#[inline(always)]
pub(crate) fn point<L: Lanes>(w: &Workspace<L>, link: usize, at: &[L::Scalar; 3]) -> V3<L> {
    w.turn[link].apply(V3::splat(at)) + (w.place[link] - w.origin)
}

/// Inertia of links, at the origin.
#[inline(always)]
pub(crate) fn inertia<L: Lanes>(m: &Mechanism<L::Scalar>, w: &mut Workspace<L>) {
    w.moment[0] = V3::zero();
    w.inertia[0] = [L::zero(); 6];
    for (b, link) in m.links.iter().enumerate() {
        if b == 0 {
            continue;
        }
        let p = point(w, b, &link.com);
        let h = p.scale(L::splat(link.mass));
        let [xx, xy, xz, yy, yz, zz] = link.inertia;
        let r = &w.turn[b];
        let t = r.product(&M3::splat(&[xx, xy, xz, xy, yy, yz, xz, yz, zz]));
        let (t, r) = (&t.0, &r.0);
        let mut i = [L::zero(); 6];
        for (e, (a, b)) in [(0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2)]
            .into_iter()
            .enumerate()
        {
            i[e] = t[3 * a] * r[3 * b] + t[3 * a + 1] * r[3 * b + 1] + t[3 * a + 2] * r[3 * b + 2];
        }
        let (sx, sy, sz) = (h.0 * p.0, h.1 * p.1, h.2 * p.2);
        i[0] += sy + sz;
        i[3] += sx + sz;
        i[5] += sx + sy;
        i[1] -= h.0 * p.1;
        i[2] -= h.0 * p.2;
        i[4] -= h.1 * p.2;
        w.moment[b] = h;
        w.inertia[b] = i;
    }
}

#[inline(always)]
fn times<L: Lanes>(i: &[L; 6], v: V3<L>) -> V3<L> {
    V3(
        i[0] * v.0 + i[1] * v.1 + i[2] * v.2,
        i[1] * v.0 + i[3] * v.1 + i[4] * v.2,
        i[2] * v.0 + i[4] * v.1 + i[5] * v.2,
    )
}

/// Sets `tau` to minus the forces that gravity, centrifugal and Coriolis effects need. Velocities are those half a step earlier
/// than places (each step uses its new velocity to move), so half a step of the last acceleration is added for them here: the
/// energy of a free chain then drifts an order of magnitude less.
#[inline(always)]
pub(crate) fn bias<L: Lanes>(m: &Mechanism<L::Scalar>, w: &mut Workspace<L>, step: L) {
    let half_step = step * L::of(0.5);
    w.velocity[0] = [V3::zero(); 2];
    w.acceleration[0] = [V3::zero(), -V3::splat(&m.gravity)];
    for (b, link) in m.links.iter().enumerate() {
        if b == 0 {
            continue;
        }
        let [mut angular, mut linear] = w.velocity[link.parent];
        let [mut angular_rate, mut linear_rate] = w.acceleration[link.parent];
        for k in link.dofs.clone() {
            let rate = w.qd[k] + half_step * w.qacc[k];
            let (turn, shift) = (w.angular[k].scale(rate), w.linear[k].scale(rate));
            if m.dofs[k].kind == JointKind::Hinge {
                angular_rate = angular_rate + angular.cross(turn);
                linear_rate = linear_rate + angular.cross(shift) + linear.cross(turn);
                angular = angular + turn;
            } else {
                linear_rate = linear_rate + angular.cross(shift);
            }
            linear = linear + shift;
        }
        w.velocity[b] = [angular, linear];
        w.acceleration[b] = [angular_rate, linear_rate];
        let (h, i, mass) = (w.moment[b], &w.inertia[b], L::splat(link.mass));
        let torque = times(i, angular_rate) + h.cross(linear_rate);
        let force = linear_rate.scale(mass) - h.cross(angular_rate);
        let spin = times(i, angular) + h.cross(linear);
        let momentum = linear.scale(mass) - h.cross(angular);
        w.force[b] = [
            torque + angular.cross(spin) + linear.cross(momentum),
            force + angular.cross(momentum),
        ];
    }
    for b in (1..m.links.len()).rev() {
        let link = &m.links[b];
        let [torque, force] = w.force[b];
        for k in link.dofs.clone() {
            w.tau[k] = -(w.angular[k].dot(torque) + w.linear[k].dot(force));
        }
        if link.parent > 0 {
            let above = w.force[link.parent];
            w.force[link.parent] = [above[0] + torque, above[1] + force];
        }
    }
}

/// The mass matrix with armature and `step` × damping on its diagonal. Uses up `inertia`.
#[inline(always)]
pub(crate) fn mass_matrix<L: Lanes>(m: &Mechanism<L::Scalar>, w: &mut Workspace<L>, step: L) {
    for b in (1..m.links.len()).rev() {
        let link = &m.links[b];
        let (h, i) = (w.moment[b], w.inertia[b]);
        let mass = L::splat(link.subtree_mass);
        for k in link.dofs.clone() {
            let (angular, linear) = (w.angular[k], w.linear[k]);
            let torque = times(&i, angular) + h.cross(linear);
            let force = linear.scale(mass) - h.cross(angular);
            let dof = &m.dofs[k];
            let row = &mut w.factor[dof.row..=dof.row + dof.ancestors.len()];
            for (d, &j) in dof.ancestors.iter().enumerate() {
                row[d] = w.angular[j].dot(torque) + w.linear[j].dot(force);
            }
            row[dof.ancestors.len()] = angular.dot(torque)
                + linear.dot(force)
                + L::splat(dof.armature)
                + step * L::splat(dof.damping);
        }
        if link.parent > 0 {
            let p = link.parent;
            w.moment[p] = w.moment[p] + h;
            for e in 0..6 {
                w.inertia[p][e] += i[e];
            }
        }
    }
}

/// LᵀDL in place: rows of `factor` become L, without its ones.
#[inline(always)]
pub(crate) fn factorize<L: Lanes>(m: &Mechanism<L::Scalar>, w: &mut Workspace<L>) {
    for k in (0..m.dofs.len()).rev() {
        let dof = &m.dofs[k];
        let depth = dof.ancestors.len();
        let (above, own) = w.factor.split_at_mut(dof.row);
        let own = &mut own[..=depth];
        let inverse = L::one() / own[depth];
        w.inverse_d[k] = inverse;
        w.root_inverse_d[k] = inverse.sqrt();
        for d in (0..depth).rev() {
            let ratio = own[d] * inverse;
            let row = m.dofs[dof.ancestors[d]].row;
            let other = &mut above[row..=row + d];
            for j in 0..=d {
                other[j] -= ratio * own[j];
            }
            own[d] = ratio;
        }
    }
}

/// Dof k's column of D^-½ L^-ᵀ, into `whitening`.
#[inline(always)]
pub(crate) fn whiten<L: Lanes>(m: &Mechanism<L::Scalar>, w: &mut Workspace<L>, k: usize) {
    let dof = &m.dofs[k];
    let depth = dof.ancestors.len();
    let column = &mut w.whitening[dof.row..=dof.row + depth];
    column[..depth].fill(L::zero());
    column[depth] = L::one();
    for e in (0..=depth).rev() {
        let j = if e == depth { k } else { dof.ancestors[e] };
        let value = column[e];
        let row = &w.factor[m.dofs[j].row..m.dofs[j].row + e];
        for (f, &l) in row.iter().enumerate() {
            column[f] -= l * value;
        }
        column[e] = value * w.root_inverse_d[j];
    }
}

/// What wrenches on links are to the dofs, and how fast links move.
#[inline(always)]
pub(crate) fn reaches<L: Lanes>(m: &Mechanism<L::Scalar>, w: &mut Workspace<L>) {
    for k in 0..m.dofs.len() {
        whiten(m, w, k);
    }
    w.motion[0] = [V3::zero(); 2];
    for (b, link) in m.links.iter().enumerate() {
        if b == 0 {
            continue;
        }
        let parent = &m.links[link.parent];
        let (above, own) = w.reach.split_at_mut(link.reach);
        let own = &mut own[..link.chain.len()];
        let above = &above[parent.reach..parent.reach + parent.chain.len()];
        for (e, own) in own.iter_mut().enumerate() {
            let mut sum = if e < above.len() {
                above[e]
            } else {
                [V3::zero(); 2]
            };
            for k in link.dofs.clone() {
                let dof = &m.dofs[k];
                if e <= dof.ancestors.len() {
                    let x = w.whitening[dof.row + e];
                    sum[0] = sum[0] + w.angular[k].scale(x);
                    sum[1] = sum[1] + w.linear[k].scale(x);
                }
            }
            *own = sum;
        }
        let [mut turn, mut shift] = w.motion[link.parent];
        for k in link.dofs.clone() {
            turn = turn + w.angular[k].scale(w.qd[k]);
            shift = shift + w.linear[k].scale(w.qd[k]);
        }
        w.motion[b] = [turn, shift];
    }
}

/// x ← L⁻ᵀ x.
#[inline(always)]
pub(crate) fn solve_transposed<L: Lanes>(m: &Mechanism<L::Scalar>, factor: &[L], x: &mut [L]) {
    for k in (0..m.dofs.len()).rev() {
        let dof = &m.dofs[k];
        let value = x[k];
        let row = &factor[dof.row..dof.row + dof.ancestors.len()];
        for (&j, &l) in dof.ancestors.iter().zip(row) {
            x[j] -= l * value;
        }
    }
}

/// x ← L⁻¹ x.
#[inline(always)]
pub(crate) fn solve<L: Lanes>(m: &Mechanism<L::Scalar>, factor: &[L], x: &mut [L]) {
    for k in 0..m.dofs.len() {
        let dof = &m.dofs[k];
        let row = &factor[dof.row..dof.row + dof.ancestors.len()];
        let mut value = x[k];
        for (&j, &l) in dof.ancestors.iter().zip(row) {
            value -= l * x[j];
        }
        x[k] = value;
    }
}
