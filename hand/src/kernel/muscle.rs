//! What a muscle does with its length, its velocity and its activation.
//!
//! MuJoCo's muscle (documentation, "Muscles"; Hill type without elastic tendon), in units of optimal length and peak force:
//!
//! ```text
//! L0 = (length_range[1] - length_range[0]) / (range[1] - range[0])
//! L = range[0] + (length - length_range[0]) / L0        V = velocity / (L0 vmax)
//! tension = peak_force (activation FL(L) FV(V) + FP(L))
//! ```

use crate::model::Curves;

/// Tension in newtons, never negative. `length` in metres, `velocity` in metres a second (lengthening is positive).
pub fn tension(
    curves: &Curves,
    peak_force: f64,
    length_range: [f64; 2],
    length: f64,
    velocity: f64,
    activation: f64,
) -> f64 {
    let optimal = (length_range[1] - length_range[0]) / (curves.range[1] - curves.range[0]);
    let l = curves.range[0] + (length - length_range[0]) / optimal;
    let v = velocity / (optimal * curves.vmax);
    peak_force
        * (activation * force_length(curves, l) * force_velocity(curves, v)
            + passive_force(curves, l))
}

/// Active force over length (FL), both normalized: 1 at length 1, 0 outside `lmin` and `lmax`, four parabolas between.
pub fn force_length(curves: &Curves, l: f64) -> f64 {
    let Curves { lmin, lmax, .. } = *curves;
    let (a, b) = ((lmin + 1.0) / 2.0, (1.0 + lmax) / 2.0);
    let square = |x: f64| x * x;
    if l < lmin || l > lmax {
        0.0
    } else if l <= a {
        0.5 * square((l - lmin) / (a - lmin))
    } else if l <= 1.0 {
        1.0 - 0.5 * square((1.0 - l) / (1.0 - a))
    } else if l <= b {
        1.0 - 0.5 * square((l - 1.0) / (b - 1.0))
    } else {
        0.5 * square((lmax - l) / (lmax - b))
    }
}

/// Active force over velocity (FV), both normalized: 0 at -1 (shortening), 1 at 0, `fvmax` from `fvmax` - 1 on.
pub fn force_velocity(curves: &Curves, v: f64) -> f64 {
    let y = curves.fvmax - 1.0;
    if v <= -1.0 {
        0.0
    } else if v <= 0.0 {
        (v + 1.0) * (v + 1.0)
    } else if v <= y {
        curves.fvmax - (y - v) * (y - v) / y
    } else {
        curves.fvmax
    }
}

/// Passive force over length (FP), both normalized: 0 up to 1, then a parabola, then a line.
pub fn passive_force(curves: &Curves, l: f64) -> f64 {
    let b = (1.0 + curves.lmax) / 2.0;
    if l <= 1.0 {
        0.0
    } else if l <= b {
        let x = (l - 1.0) / (b - 1.0);
        curves.fpmax * 0.5 * x * x
    } else {
        curves.fpmax * (0.5 + (l - b) / (b - 1.0))
    }
}

/// How fast the activation follows the excitation, per second (Millard et al. 2013, equation 1, as in MuJoCo).
pub fn activation_rate(curves: &Curves, excitation: f64, activation: f64) -> f64 {
    let k = 0.5 + 1.5 * activation;
    let tau = if excitation > activation {
        curves.activation_secs * k
    } else {
        curves.deactivation_secs / k
    };
    (excitation - activation) / tau
}
