//! How heavy shapes are and how they resist turning, as MuJoCo computes it.

use std::path::Path;

use crate::math::{
    M3, V3, add, apply, cross, dot, eigen, identity, matrix, norm, outer, product, scale, sub, sum,
    transposed,
};
use crate::model::{Inertial, ShapeKind};

/// A rigid piece: mass in kg, centre of mass, and inertia around it along the axes of the frame that it is given in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece {
    pub(super) mass: f64,
    pub(super) com: V3,
    pub(super) inertia: M3,
}

/// What the compiler element does to inertias.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Bounds {
    /// Lowest mass of a body, kg.
    pub(super) mass: f64,
    /// Lowest inertia around each principal axis, kg m².
    pub(super) inertia: f64,
    /// Whether principal inertias that no matter can have (A + B < C) are replaced by their mean.
    pub(super) balance: bool,
}

impl Piece {
    /// The same in the frame in which its own frame lies at `pos`, turned by `quat`.
    pub(super) fn placed(&self, pos: V3, quat: [f64; 4]) -> Self {
        let turn = matrix(quat);
        Self {
            mass: self.mass,
            com: add(pos, apply(&turn, self.com)),
            inertia: product(&turn, &product(&self.inertia, &transposed(&turn))),
        }
    }

    /// Several pieces as one; `None` when they have no mass.
    pub(super) fn together(pieces: &[Self]) -> Option<Self> {
        let mass: f64 = pieces.iter().map(|piece| piece.mass).sum();
        if mass <= 0.0 {
            return None;
        }
        let weighted = pieces.iter().map(|piece| scale(piece.com, piece.mass));
        let com = scale(weighted.fold([0.0; 3], add), 1.0 / mass);
        let moved = pieces
            .iter()
            .map(|p| sum(&p.inertia, &away(p.mass, sub(p.com, com))));
        let inertia = moved.fold([[0.0; 3]; 3], |a, b| sum(&a, &b));
        Some(Self { mass, com, inertia })
    }

    /// The piece as a model file has it, after MuJoCo's bounds; what is wrong with it otherwise.
    pub(super) fn bounded(&self, bounds: Bounds) -> Result<Inertial, String> {
        let (mut principal, axes) = eigen(self.inertia);
        let before = principal;
        if let Some(negative) = principal.iter().find(|x| **x < 0.0) {
            return Err(format!("its inertia around a principal axis is {negative}"));
        }
        principal = principal.map(|x| x.max(bounds.inertia));
        let total: f64 = principal.iter().sum();
        if principal.iter().any(|x| total - x < *x) {
            if !bounds.balance {
                return Err(format!(
                    "no matter has principal inertias {principal:?}: A + B < C"
                ));
            }
            principal = [total / 3.0; 3];
        }
        // Untouched inertias keep their digits; equal ones have no axes.
        let [a, b, c] = principal;
        let m = if principal == before {
            self.inertia
        } else if a == b && b == c {
            identity(a)
        } else {
            let diagonal = [[a, 0.0, 0.0], [0.0, b, 0.0], [0.0, 0.0, c]];
            product(&axes, &product(&diagonal, &transposed(&axes)))
        };
        Ok(Inertial {
            mass: self.mass.max(bounds.mass),
            com: self.com,
            inertia: [m[0][0], m[1][1], m[2][2], m[0][1], m[0][2], m[1][2]],
        })
    }
}

/// A solid shape of mass 1 around the origin of its own frame, and its volume in m³; a plane has none.
pub(super) fn solid(kind: ShapeKind, size: &[f64]) -> (Piece, f64) {
    use std::f64::consts::PI;
    let (volume, [x, y, z]) = match (kind, size) {
        (ShapeKind::Sphere, &[r]) => (4.0 / 3.0 * PI * r * r * r, [0.4 * r * r; 3]),
        (ShapeKind::Ellipsoid, &[a, b, c]) => {
            let [aa, bb, cc] = [a * a, b * b, c * c];
            (
                4.0 / 3.0 * PI * a * b * c,
                [(bb + cc) / 5.0, (aa + cc) / 5.0, (aa + bb) / 5.0],
            )
        }
        (ShapeKind::Box, &[a, b, c]) => {
            let [aa, bb, cc] = [a * a, b * b, c * c];
            (
                8.0 * a * b * c,
                [(bb + cc) / 3.0, (aa + cc) / 3.0, (aa + bb) / 3.0],
            )
        }
        (ShapeKind::Cylinder, &[r, half]) => {
            let across = (3.0 * r * r + 4.0 * half * half) / 12.0;
            (2.0 * PI * r * r * half, [across, across, r * r / 2.0])
        }
        (ShapeKind::Capsule, &[r, half]) => {
            let h = 2.0 * half;
            let ends = 4.0 * r / (4.0 * r + 3.0 * h);
            let middle = 1.0 - ends;
            let across = middle * (3.0 * r * r + h * h) / 12.0
                + ends * (0.4 * r * r + h * (3.0 * r + 2.0 * h) / 8.0);
            let along = middle * r * r / 2.0 + ends * 0.4 * r * r;
            (PI * r * r * (h + 4.0 / 3.0 * r), [across, across, along])
        }
        _ => (0.0, [0.0; 3]),
    };
    let inertia = [[x, 0.0, 0.0], [0.0, y, 0.0], [0.0, 0.0, z]];
    (
        Piece {
            mass: 1.0,
            com: [0.0; 3],
            inertia,
        },
        volume,
    )
}

/// How MuJoCo takes a mesh's inertia.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MeshInertia {
    /// Each triangle spans a volume above 0 with the middle of the surface: what MuJoCo does unless told otherwise.
    Legacy,
    /// Volumes have the sign of their triangle's side; right for closed meshes.
    Exact,
}

/// The inside of a binary STL file, at 1 kg m⁻³; `scale_by` stretches it.
pub(super) fn mesh(path: &Path, scale_by: V3, how: MeshInertia) -> Result<Piece, String> {
    let bytes =
        std::fs::read(path).map_err(|e| format!("{} cannot be read: {e}", path.display()))?;
    let Some(triangles) = read_stl(&bytes, scale_by) else {
        return Err(format!("{} is no binary STL file", path.display()));
    };
    let signed = |volume: f64| {
        if how == MeshInertia::Legacy {
            volume.abs()
        } else {
            volume
        }
    };
    let middle_of = |t: &[V3; 3]| scale(add(add(t[0], t[1]), t[2]), 1.0 / 3.0);
    let area_of = |t: &[V3; 3]| norm(cross(sub(t[1], t[0]), sub(t[2], t[0]))) / 2.0;
    let area: f64 = triangles.iter().map(area_of).sum();
    let apex = triangles
        .iter()
        .map(|t| scale(middle_of(t), area_of(t) / area));
    let apex = apex.fold([0.0; 3], add);
    // Volume of the tetrahedron over a triangle seen from `from`.
    let volume = |t: &[V3; 3], from: V3| {
        let [a, b, c] = t.map(|corner| sub(corner, from));
        signed(dot(a, cross(b, c)) / 6.0)
    };
    let total: f64 = triangles.iter().map(|t| volume(t, apex)).sum();
    if total.is_nan() || total <= 0.0 {
        return Err(format!("{} encloses no volume", path.display()));
    }
    let com = triangles.iter().fold([0.0; 3], |sum, t| {
        let middle = add(scale(middle_of(t), 0.75), scale(apex, 0.25));
        add(sum, scale(middle, volume(t, apex) / total))
    });
    // Seen from there once more: the two differ where volumes have no sign.
    let mass = triangles.iter().map(|t| volume(t, com)).sum();
    let mut products = [[0.0; 3]; 3];
    for t in &triangles {
        let corners = t.map(|corner| sub(corner, com));
        let total = corners.into_iter().fold([0.0; 3], add);
        let squares = corners.iter().map(|corner| outer(*corner, *corner));
        let squares = squares.fold(outer(total, total), |a, b| sum(&a, &b));
        products = sum(
            &products,
            &squares.map(|row| scale(row, volume(t, com) / 20.0)),
        );
    }
    let trace = products[0][0] + products[1][1] + products[2][2];
    let inertia = sum(&identity(trace), &products.map(|row| scale(row, -1.0)));
    Ok(Piece { mass, com, inertia })
}

/// Triangles of a binary STL file: 80 bytes, their number, and 50 bytes for each (normal, three corners, two bytes more).
fn read_stl(bytes: &[u8], scale_by: V3) -> Option<Vec<[V3; 3]>> {
    let count = u32::from_le_bytes(bytes.get(80..84)?.try_into().ok()?) as usize;
    let body = bytes.get(84..)?;
    if count == 0 || body.len() != count.checked_mul(50)? {
        return None;
    }
    let number = |four: &[u8]| {
        four.try_into()
            .map_or(f64::NAN, |four| f64::from(f32::from_le_bytes(four)))
    };
    let corner = |twelve: &[u8]| [0, 1, 2].map(|i| number(&twelve[4 * i..4 * i + 4]) * scale_by[i]);
    let triangles = body
        .chunks_exact(50)
        .map(|t| [12, 24, 36].map(|at| corner(&t[at..at + 12])));
    Some(triangles.collect())
}

/// What a mass adds to an inertia when it lies `at` from the centre.
fn away(mass: f64, at: V3) -> M3 {
    sum(
        &identity(mass * dot(at, at)),
        &outer(at, at).map(|row| scale(row, -mass)),
    )
}
