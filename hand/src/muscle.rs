//! What a muscle does with its length, its velocity and its activation.
//!
//! MuJoCo's muscle (documentation, "Muscles"; Hill type without elastic tendon), in units of optimal length and peak force:
//!
//! ```text
//! L0 = (length_range[1] - length_range[0]) / (range[1] - range[0])
//! L = range[0] + (length - length_range[0]) / L0        V = velocity / (L0 vmax)
//! tension = peak_force (activation FL(L) FV(V) + FP(L))
//! ```

use crate::lanes::Lanes;
use crate::mechanism::Muscle;

/// Newtons, never negative. `length` in metres, `velocity` in metres a second (lengthening is positive).
#[inline(always)]
pub(crate) fn tension<L: Lanes>(m: &Muscle<L::Scalar>, length: L, velocity: L, activation: L) -> L {
    let l = length * L::splat(m.length_scale) + L::splat(m.length_offset);
    let v = velocity * L::splat(m.velocity_scale);
    let active = activation * force_length(m, l) * force_velocity(m, v);
    L::splat(m.peak_force) * (active + passive_force(m, l))
}

/// Active force over length (FL): 1 at length 1, 0 outside `lmin` and `lmax`, four parabolas between.
#[inline(always)]
pub(crate) fn force_length<L: Lanes>(m: &Muscle<L::Scalar>, l: L) -> L {
    let (one, half) = (L::one(), L::of(0.5));
    let [i1, i2, i3, i4] = m.inverse;
    let (lmin, lmax) = (L::splat(m.lmin), L::splat(m.lmax));
    let x1 = (l - lmin) * L::splat(i1);
    let x2 = (one - l) * L::splat(i2);
    let x3 = (l - one) * L::splat(i3);
    let x4 = (lmax - l) * L::splat(i4);
    let falling = L::select(l.le(L::splat(m.b)), one - half * x3 * x3, half * x4 * x4);
    let upper = L::select(l.le(one), one - half * x2 * x2, falling);
    let inside = L::select(l.le(L::splat(m.a)), half * x1 * x1, upper);
    L::select(L::or(l.lt(lmin), l.gt(lmax)), L::zero(), inside)
}

/// Active force over velocity (FV): 0 at -1 (shortening), 1 at 0, `fvmax` from `fvmax` - 1 on.
#[inline(always)]
pub(crate) fn force_velocity<L: Lanes>(m: &Muscle<L::Scalar>, v: L) -> L {
    let (zero, one, fvmax) = (L::zero(), L::one(), L::splat(m.fvmax));
    let y = fvmax - one;
    let left = y - v;
    let lengthening = L::select(v.le(y), fvmax - left * left * L::splat(m.inverse_y), fvmax);
    let shortening = (v + one) * (v + one);
    L::select(
        v.le(-one),
        zero,
        L::select(v.le(zero), shortening, lengthening),
    )
}

/// Passive force over length (FP): 0 up to 1, then a parabola, then a line.
#[inline(always)]
pub(crate) fn passive_force<L: Lanes>(m: &Muscle<L::Scalar>, l: L) -> L {
    let (one, half, fpmax) = (L::one(), L::of(0.5), L::splat(m.fpmax));
    let inverse = L::splat(m.inverse[2]);
    let x = (l - one) * inverse;
    let line = fpmax * (half + (l - L::splat(m.b)) * inverse);
    let stretched = L::select(l.le(L::splat(m.b)), fpmax * half * x * x, line);
    L::select(l.le(one), L::zero(), stretched)
}

/// How fast the activation follows the excitation, per second (Millard et al. 2013, equation 1, as in MuJoCo).
#[inline(always)]
pub(crate) fn activation_rate<L: Lanes>(m: &Muscle<L::Scalar>, excitation: L, activation: L) -> L {
    let (zero, one) = (L::zero(), L::one());
    let k = activation.clamp(zero, one) * L::of(1.5) + L::of(0.5);
    let missing = excitation.clamp(zero, one) - activation;
    let rate = L::select(missing.gt(zero), L::splat(m.rise) / k, L::splat(m.fall) * k);
    missing * rate
}
