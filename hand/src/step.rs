//! One step of all worlds in a register, stage by stage.

use crate::collide::{Body, Contacts, collide};
use crate::constraint::{Mobility, Rows, accelerations, contact_rows, limits, start, sweep};
use crate::dynamics::{
    Workspace, bias, factorize, inertia, kinematics, mass_matrix, point, reaches, solve_transposed,
};
use crate::lanes::{Lanes, M3, Scalar, V3};
use crate::mechanism::{Inside, Mechanism, Place};
use crate::muscle::{activation_rate, tension};
use crate::pairs::Pairs;
use crate::scene::{Options, Scene};
use crate::tendon::tendons;

/// A scene made ready for computing.
#[derive(Clone, Debug)]
pub(crate) struct Tables<T> {
    pub(crate) mechanism: Mechanism<T>,
    /// Where each body lies in its link.
    pub(crate) places: Vec<(String, Place)>,
    pub(crate) pairs: Pairs<T>,
    pub(crate) mobility: Vec<Mobility<T>>,
    /// How easily each dof is moved with all joints at 0: 1 / inertia (n_dofs).
    pub(crate) dof_weights: Vec<T>,
    pub(crate) options: Options,
}

impl<T: Scalar> Tables<T> {
    pub(crate) fn new(scene: &Scene) -> Self {
        let (mechanism, places) =
            Mechanism::with_places(&scene.model, scene.parameters, Inside::Exact);
        // In double precision, whatever T is.
        let (dof_weights, link_weights) =
            weights(&Mechanism::<f64>::new(&scene.model, scene.parameters));
        let pairs = Pairs::new(scene, &mechanism, &link_weights);
        let mobility = scene.objects.iter().map(|o| Mobility {
            inertia: o.inertia.map(T::of),
            root_inverse_mass: T::of(1.0 / o.mass.sqrt()),
            root_inverse_inertia: o.inertia.map(|i| T::of(1.0 / i.sqrt())),
        });
        Self {
            mobility: mobility.collect(),
            mechanism,
            places,
            pairs,
            dof_weights: dof_weights.into_iter().map(T::of).collect(),
            options: scene.options,
        }
    }
}

/// MuJoCo's `dof_invweight0` and the translational part of `body_invweight0`: the inverse inertia that dofs and centres of mass
/// of links show with all joints at 0.
fn weights(m: &Mechanism<f64>) -> (Vec<f64>, Vec<f64>) {
    let mut w = Workspace::<f64>::new(m);
    kinematics(m, &mut w);
    inertia(m, &mut w);
    mass_matrix(m, &mut w, 0.0);
    factorize(m, &mut w);
    let inverse = |w: &Workspace<f64>, x: &mut [f64]| {
        solve_transposed(m, &w.factor, x);
        x.iter()
            .zip(&w.inverse_d)
            .map(|(x, d)| x * x * d)
            .sum::<f64>()
    };
    let n = m.dofs.len();
    let of_dof = |k: usize| {
        let mut x = vec![0.0; n];
        x[k] = 1.0;
        inverse(&w, &mut x)
    };
    let of_link = |(i, link): (usize, &crate::mechanism::Link<f64>)| {
        let com = point(&w, i, &link.com);
        let mut sum = 0.0;
        for e in 0..3 {
            let mut x = vec![0.0; n];
            for &k in &link.chain {
                let V3(a, b, c) = w.angular[k].cross(com) + w.linear[k];
                x[k] = [a, b, c][e];
            }
            sum += inverse(&w, &mut x);
        }
        sum / 3.0
    };
    (
        (0..n).map(of_dof).collect(),
        m.links.iter().enumerate().map(of_link).collect(),
    )
}

/// The worlds of one register while they are stepped.
pub(crate) struct Register<L: Lanes> {
    pub(crate) w: Workspace<L>,
    pub(crate) objects: Vec<Body<L>>,
    pub(crate) contacts: Contacts<L>,
    pub(crate) rows: Rows<L>,
    /// 1 in each world that goes on, 0 where it diverged: it stays as it was before that step.
    pub(crate) alive: L,
}

impl<L: Lanes> Register<L> {
    pub(crate) fn new(t: &Tables<L::Scalar>) -> Self {
        let (zero, one) = (L::zero(), L::one());
        let body = Body {
            place: V3::zero(),
            quat: [one, zero, zero, zero],
            velocity: V3::zero(),
            spin: V3::zero(),
            turn: M3::of_quat([one, zero, zero, zero]),
        };
        Self {
            w: Workspace::new(&t.mechanism),
            objects: vec![body; t.mobility.len()],
            contacts: Contacts::new(&t.pairs),
            rows: Rows::new(&t.mechanism, t.mobility.len()),
            alive: one,
        }
    }
}

/// One step.
#[inline(always)]
pub(crate) fn step<L: Lanes>(t: &Tables<L::Scalar>, r: &mut Register<L>) {
    let m = &t.mechanism;
    let h = L::of(t.options.timestep);
    kinematics(m, &mut r.w);
    inertia(m, &mut r.w);
    bias(m, &mut r.w, h);
    mass_matrix(m, &mut r.w, h);
    factorize(m, &mut r.w);
    tendons(m, &mut r.w);
    forces(m, &mut r.w, h);
    start(m, &t.mobility, &r.w, &mut r.rows);
    if t.options.limits {
        limits(m, &t.dof_weights, &mut r.w, &mut r.rows);
    }
    if t.options.contacts {
        for body in &mut r.objects {
            body.turn = M3::of_quat(body.quat);
        }
        collide(&t.pairs, &r.w, &r.objects, &mut r.contacts);
        if r.contacts.used.iter().any(|used| *used > 0) {
            reaches(m, &mut r.w);
        }
        contact_rows(
            m,
            &t.pairs,
            &t.mobility,
            &r.w,
            &r.objects,
            &r.contacts,
            &mut r.rows,
        );
    }
    sweep(m, &t.pairs, t.options.iterations, &r.w, &mut r.rows);
    accelerations(m, &mut r.w, &r.rows);
    integrate(t, r, h);
}

/// Muscles, damping and motors: added to `tau`; activations go on.
#[inline(always)]
fn forces<L: Lanes>(m: &Mechanism<L::Scalar>, w: &mut Workspace<L>, h: L) {
    for (i, muscle) in m.muscles.iter().enumerate() {
        let activation = w.act[i];
        let force = tension(muscle, w.length[i], w.stretch[i], activation);
        w.tension[i] = force;
        let tendon = &m.tendons[i];
        let arms = &w.arms[tendon.arms..tendon.arms + tendon.dofs.len()];
        for (&k, &arm) in tendon.dofs.iter().zip(arms) {
            w.tau[k] -= arm * force;
        }
        w.act[i] = activation + h * activation_rate(muscle, w.control[i], activation);
    }
    for (k, dof) in m.dofs.iter().enumerate() {
        w.tau[k] -= L::splat(dof.damping) * w.qd[k];
    }
    for (i, motor) in m.motors.iter().enumerate() {
        let control = w.control[m.muscles.len() + i];
        let [low, high] = motor.control;
        let control = control.clamp(L::splat(low), L::splat(high));
        let force = L::splat(motor.gain) * control
            - L::splat(motor.stiffness) * w.q[motor.dof]
            - L::splat(motor.damping) * w.qd[motor.dof];
        let [low, high] = motor.force;
        w.tau[motor.dof] += L::splat(motor.gear) * force.clamp(L::splat(low), L::splat(high));
    }
}

/// Semi-implicit Euler: velocities first, then places with the new velocities. Worlds where anything is too fast, or not a
/// number, stop where they are.
#[inline(always)]
fn integrate<L: Lanes>(t: &Tables<L::Scalar>, r: &mut Register<L>, h: L) {
    let n = t.mechanism.dofs.len();
    let fastest = L::of(t.options.max_speed);
    let mut fine = r.alive.gt(L::of(0.5));
    for k in 0..n {
        r.w.qd[k] += r.w.tau[k] * h;
        fine = L::and(fine, r.w.qd[k].abs().le(fastest));
    }
    for (o, body) in r.objects.iter_mut().enumerate() {
        let mobility = &t.mobility[o];
        let at = n + 6 * o;
        let a = &r.rows.w[at..at + 6];
        let linear = V3(a[0], a[1], a[2]).scale(L::splat(mobility.root_inverse_mass));
        let angular = V3(a[3], a[4], a[5]).times(V3::splat(&mobility.root_inverse_inertia));
        body.velocity = body.velocity + linear.scale(h);
        body.spin = body.spin + angular.scale(h);
        fine = L::and(fine, body.velocity.norm().le(fastest));
        fine = L::and(fine, body.spin.norm().le(fastest));
    }
    r.alive = L::one().only(fine);
    for k in 0..n {
        r.w.qacc[k] = r.w.tau[k].only(fine);
        r.w.qd[k] = r.w.qd[k].only(fine);
        r.w.q[k] += (r.w.qd[k] * h).only(fine);
        r.rows.limit_force[k] = r.rows.limit_force[k].only(fine);
    }
    for warm in &mut r.rows.warm {
        for force in &mut warm.force {
            *force = force.only(fine);
        }
    }
    for (o, body) in r.objects.iter_mut().enumerate() {
        body.velocity = V3::select(fine, body.velocity, V3::zero());
        body.spin = V3::select(fine, body.spin, V3::zero());
        body.place = body.place + body.velocity.scale(h);
        turn(body, &t.mobility[o], h);
    }
}

/// Turns an object by its spin at the middle of the step, and its spin so that angular momentum stays as it is in the world.
#[inline(always)]
fn turn<L: Lanes>(body: &mut Body<L>, mobility: &Mobility<L::Scalar>, h: L) {
    let inertia = V3::splat(&mobility.inertia);
    let momentum = inertia.times(body.spin);
    let half_way = M3::of_quat(small_turn(body.spin.scale(h * L::of(0.25))));
    let middle = divided(half_way.apply_transposed(momentum), inertia);
    let change = small_turn(middle.scale(h * L::of(0.5)));
    let [w, x, y, z] = body.quat;
    let [dw, dx, dy, dz] = change;
    body.quat = unit_quat([
        w * dw - x * dx - y * dy - z * dz,
        w * dx + x * dw + y * dz - z * dy,
        w * dy - x * dz + y * dw + z * dx,
        w * dz + x * dy - y * dx + z * dw,
    ]);
    body.spin = divided(M3::of_quat(change).apply_transposed(momentum), inertia);
}

/// Not times the inverse: its rounding would add up in one direction.
#[inline(always)]
fn divided<L: Lanes>(a: V3<L>, b: V3<L>) -> V3<L> {
    V3(a.0 / b.0, a.1 / b.1, a.2 / b.2)
}

/// The quaternion of a turn by twice a small vector.
#[inline(always)]
fn small_turn<L: Lanes>(half: V3<L>) -> [L; 4] {
    unit_quat([L::one(), half.0, half.1, half.2])
}

#[inline(always)]
fn unit_quat<L: Lanes>([w, x, y, z]: [L; 4]) -> [L; 4] {
    let scale = L::one() / (w * w + x * x + y * y + z * z).sqrt();
    [w * scale, x * scale, y * scale, z * scale]
}
