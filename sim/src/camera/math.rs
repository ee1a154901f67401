//! Vectors of three numbers.

pub(super) type Vec3 = [f32; 3];

#[inline(always)]
pub(super) fn add(a: Vec3, b: Vec3) -> Vec3 {
    [a[0] + b[0], a[1] + b[1], a[2] + b[2]]
}

#[inline(always)]
pub(super) fn sub(a: Vec3, b: Vec3) -> Vec3 {
    [a[0] - b[0], a[1] - b[1], a[2] - b[2]]
}

#[inline(always)]
pub(super) fn scale(a: Vec3, k: f32) -> Vec3 {
    [a[0] * k, a[1] * k, a[2] * k]
}

#[inline(always)]
pub(super) fn dot(a: Vec3, b: Vec3) -> f32 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

#[inline(always)]
pub(super) fn cross(a: Vec3, b: Vec3) -> Vec3 {
    [
        a[1] * b[2] - a[2] * b[1],
        a[2] * b[0] - a[0] * b[2],
        a[0] * b[1] - a[1] * b[0],
    ]
}

#[inline(always)]
pub(super) fn norm(a: Vec3) -> f32 {
    dot(a, a).sqrt()
}

/// Of length 1; along z if it has none.
#[inline(always)]
pub(super) fn unit(a: Vec3) -> Vec3 {
    let length = norm(a);
    if length > 1e-30 {
        scale(a, 1.0 / length)
    } else {
        [0.0, 0.0, 1.0]
    }
}

/// Two directions of length 1 that are at right angles to one and to each other.
#[inline(always)]
pub(super) fn around(a: Vec3) -> [Vec3; 2] {
    let other = if a[0].abs() < 0.6 {
        [1.0, 0.0, 0.0]
    } else {
        [0.0, 1.0, 0.0]
    };
    let u = unit(cross(a, other));
    [u, cross(a, u)]
}

/// Where the rotation of a quaternion (x, y, z, w) takes the three axes.
#[inline(always)]
pub(super) fn matrix_of([x, y, z, w]: [f32; 4]) -> [Vec3; 3] {
    [
        [
            1.0 - 2.0 * (y * y + z * z),
            2.0 * (x * y + w * z),
            2.0 * (x * z - w * y),
        ],
        [
            2.0 * (x * y - w * z),
            1.0 - 2.0 * (x * x + z * z),
            2.0 * (y * z + w * x),
        ],
        [
            2.0 * (x * z + w * y),
            2.0 * (y * z - w * x),
            1.0 - 2.0 * (x * x + y * y),
        ],
    ]
}

/// The quaternion (x, y, z, w) of a rotation that takes the axes there.
pub(super) fn rotation_of([a, b, c]: [Vec3; 3]) -> [f32; 4] {
    let trace = a[0] + b[1] + c[2];
    let q = if trace > 0.0 {
        [b[2] - c[1], c[0] - a[2], a[1] - b[0], 1.0 + trace]
    } else if a[0] > b[1] && a[0] > c[2] {
        [
            1.0 + a[0] - b[1] - c[2],
            a[1] + b[0],
            c[0] + a[2],
            b[2] - c[1],
        ]
    } else if b[1] > c[2] {
        [
            a[1] + b[0],
            1.0 + b[1] - a[0] - c[2],
            b[2] + c[1],
            c[0] - a[2],
        ]
    } else {
        [
            c[0] + a[2],
            b[2] + c[1],
            1.0 + c[2] - a[0] - b[1],
            a[1] - b[0],
        ]
    };
    let length = q.iter().map(|v| v * v).sum::<f32>().sqrt();
    q.map(|v| v / length)
}

pub(super) fn rotate(q: [f32; 4], v: Vec3) -> Vec3 {
    let [a, b, c] = matrix_of(q);
    add(add(scale(a, v[0]), scale(b, v[1])), scale(c, v[2]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rotation_survives_being_a_matrix() {
        for q in [
            [0.0, 0.0, 0.0, 1.0],
            [0.8, 0.0, 0.6, 0.0],
            [0.0, 0.8, -0.6, 0.0],
            [0.5, -0.5, 0.5, 0.5],
            [0.1, 0.1, -0.7, 0.7],
        ] {
            let again = rotation_of(matrix_of(q));
            let same: f32 = (0..4).map(|i| q[i] * again[i]).sum();
            assert!(same.abs() > 1.0 - 1e-5, "{q:?} {again:?}");
        }
    }
}
