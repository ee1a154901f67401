//! Vectors, quaternions (w, x, y, z) and 3 × 3 matrices (rows), as plain arrays.

pub(crate) type V3 = [f64; 3];
pub(crate) type M3 = [[f64; 3]; 3];

pub(crate) fn add(a: V3, b: V3) -> V3 {
    [a[0] + b[0], a[1] + b[1], a[2] + b[2]]
}

pub(crate) fn sub(a: V3, b: V3) -> V3 {
    [a[0] - b[0], a[1] - b[1], a[2] - b[2]]
}

pub(crate) fn scale(a: V3, s: f64) -> V3 {
    a.map(|x| x * s)
}

pub(crate) fn dot(a: V3, b: V3) -> f64 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

pub(crate) fn cross(a: V3, b: V3) -> V3 {
    [
        a[1] * b[2] - a[2] * b[1],
        a[2] * b[0] - a[0] * b[2],
        a[0] * b[1] - a[1] * b[0],
    ]
}

pub(crate) fn norm(a: V3) -> f64 {
    dot(a, a).sqrt()
}

/// Length 1; a vector shorter than 1e-12 is returned as it is, divided by that.
pub(crate) fn unit(a: V3) -> V3 {
    scale(a, 1.0 / norm(a).max(1e-12))
}

/// The matrix of a quaternion of length 1.
pub fn matrix([w, x, y, z]: [f64; 4]) -> M3 {
    [
        [
            1.0 - 2.0 * (y * y + z * z),
            2.0 * (x * y - w * z),
            2.0 * (x * z + w * y),
        ],
        [
            2.0 * (x * y + w * z),
            1.0 - 2.0 * (x * x + z * z),
            2.0 * (y * z - w * x),
        ],
        [
            2.0 * (x * z - w * y),
            2.0 * (y * z + w * x),
            1.0 - 2.0 * (x * x + y * y),
        ],
    ]
}

/// What a turn makes of a vector.
pub fn apply(m: &M3, v: V3) -> V3 {
    m.map(|row| dot(row, v))
}

pub(crate) fn apply_transposed(m: &M3, v: V3) -> V3 {
    [0, 1, 2].map(|j| m[0][j] * v[0] + m[1][j] * v[1] + m[2][j] * v[2])
}

/// The opposite turn.
pub fn transposed(m: &M3) -> M3 {
    [0, 1, 2].map(|i| [0, 1, 2].map(|j| m[j][i]))
}

/// First `b`, then `a`.
pub fn product(a: &M3, b: &M3) -> M3 {
    a.map(|row| apply_transposed(b, row))
}

pub(crate) fn sum(a: &M3, b: &M3) -> M3 {
    [0, 1, 2].map(|i| add(a[i], b[i]))
}

pub(crate) fn outer(a: V3, b: V3) -> M3 {
    a.map(|x| scale(b, x))
}

/// The unit matrix times a number.
pub(crate) fn identity(times: f64) -> M3 {
    [[times, 0.0, 0.0], [0.0, times, 0.0], [0.0, 0.0, times]]
}

/// The product of two turns: first `b`, then `a`.
pub(crate) fn turn(a: [f64; 4], b: [f64; 4]) -> [f64; 4] {
    [
        a[0] * b[0] - a[1] * b[1] - a[2] * b[2] - a[3] * b[3],
        a[0] * b[1] + a[1] * b[0] + a[2] * b[3] - a[3] * b[2],
        a[0] * b[2] - a[1] * b[3] + a[2] * b[0] + a[3] * b[1],
        a[0] * b[3] + a[1] * b[2] - a[2] * b[1] + a[3] * b[0],
    ]
}

/// A turn by `angle` radians around `axis` (length 1).
pub(crate) fn around(axis: V3, angle: f64) -> [f64; 4] {
    let s = libm::sin(angle / 2.0);
    [
        libm::cos(angle / 2.0),
        axis[0] * s,
        axis[1] * s,
        axis[2] * s,
    ]
}

/// The turn that takes the z axis to `to`, on the shortest way.
pub fn from_z(to: V3) -> [f64; 4] {
    let axis = cross([0.0, 0.0, 1.0], to);
    let sine = norm(axis);
    let axis = if sine < 1e-10 {
        [1.0, 0.0, 0.0]
    } else {
        scale(axis, 1.0 / sine)
    };
    around(axis, libm::atan2(sine, to[2]))
}

/// The turn of a matrix with determinant 1.
pub fn quat_of(m: &M3) -> [f64; 4] {
    let trace = m[0][0] + m[1][1] + m[2][2];
    // Four ways to the same turn; the one with the largest number under its root loses no digits.
    let squares = [trace, m[0][0], m[1][1], m[2][2]];
    let largest = (1..4).fold(
        0,
        |best, i| {
            if squares[i] > squares[best] { i } else { best }
        },
    );
    let [x, y, z] = [m[2][1] - m[1][2], m[0][2] - m[2][0], m[1][0] - m[0][1]];
    let quat = match largest {
        0 => [1.0 + trace, x, y, z],
        1 => [
            x,
            1.0 + 2.0 * m[0][0] - trace,
            m[0][1] + m[1][0],
            m[0][2] + m[2][0],
        ],
        2 => [
            y,
            m[0][1] + m[1][0],
            1.0 + 2.0 * m[1][1] - trace,
            m[1][2] + m[2][1],
        ],
        _ => [
            z,
            m[0][2] + m[2][0],
            m[1][2] + m[2][1],
            1.0 + 2.0 * m[2][2] - trace,
        ],
    };
    unit_quat(quat)
}

pub(crate) fn unit_quat(q: [f64; 4]) -> [f64; 4] {
    let n = q.iter().map(|x| x * x).sum::<f64>().sqrt();
    q.map(|x| x / n)
}

/// Eigenvalues and eigenvectors (columns) of a symmetric matrix, by Jacobi's rotations.
pub(crate) fn eigen(mut a: M3) -> (V3, M3) {
    let mut v: M3 = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
    for _ in 0..30 {
        for (p, q) in [(0, 1), (0, 2), (1, 2)] {
            if a[p][q] == 0.0 {
                continue;
            }
            let theta = 0.5 * libm::atan2(2.0 * a[p][q], a[q][q] - a[p][p]);
            let (s, c) = (libm::sin(theta), libm::cos(theta));
            let mut turn: M3 = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
            (turn[p][p], turn[q][q], turn[p][q], turn[q][p]) = (c, c, s, -s);
            a = product(&transposed(&turn), &product(&a, &turn));
            (a[p][q], a[q][p]) = (0.0, 0.0);
            v = product(&v, &turn);
        }
    }
    ([a[0][0], a[1][1], a[2][2]], v)
}
