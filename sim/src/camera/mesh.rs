//! Triangles and the tree of boxes around them.

use hand::lanes::{Lanes, V3};

use super::math::{Vec3, cross, sub, unit};

/// Triangles in their own frame, made ready for casting rays. Made once, shared by all that show it.
#[derive(Clone, Debug, PartialEq)]
pub struct Mesh {
    /// Boxes, each before what is in it; the first is around all.
    nodes: Vec<Node>,
    /// In the order of the leaves.
    triangles: Vec<Triangle>,
    half: Vec3,
    middle: Vec3,
}

/// A box with either two boxes or triangles in it.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Node {
    low: Vec3,
    high: Vec3,
    /// First triangle of a leaf, else the second box; the first one follows this.
    next: u32,
    /// Triangles of a leaf, else 0.
    count: u32,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Triangle {
    corner: Vec3,
    edges: [Vec3; 2],
    normal: Vec3,
}

/// What is wrong with a mesh.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MeshError {
    /// There is nothing to see.
    #[error("a mesh without triangles")]
    NoTriangles,
    /// A coordinate is not finite.
    #[error("vertex {vertex} of the mesh has a coordinate that is not finite")]
    NotFinite {
        /// Which, counted from 0.
        vertex: usize,
    },
    /// A triangle names a vertex that is not there.
    #[error("triangle {triangle} of the mesh has vertex {vertex}, and there are {count}")]
    NoVertex {
        /// Which triangle, counted from 0.
        triangle: usize,
        /// What it names.
        vertex: u32,
        /// How many there are.
        count: usize,
    },
}

/// Triangles of a leaf: testing two costs about what a box costs.
const LEAF: usize = 2;
/// Boxes that wait to be looked into; a tree split by halves is never deeper.
const DEPTH: usize = 64;

impl Mesh {
    /// From vertices in meters and the triangles between them.
    ///
    /// # Errors
    /// There is no triangle, a coordinate is not finite, or a vertex is not there.
    pub fn new(vertices: &[[f32; 3]], triangles: &[[u32; 3]]) -> Result<Self, MeshError> {
        let finite = |v: &Vec3| v.iter().all(|x| x.is_finite());
        if let Some(vertex) = vertices.iter().position(|v| !finite(v)) {
            return Err(MeshError::NotFinite { vertex });
        }
        if triangles.is_empty() {
            return Err(MeshError::NoTriangles);
        }
        let mut corners: Vec<[Vec3; 3]> = Vec::with_capacity(triangles.len());
        for (triangle, named) in triangles.iter().enumerate() {
            let mut found = [[0.0; 3]; 3];
            for (corner, &vertex) in found.iter_mut().zip(named) {
                *corner = *vertices.get(vertex as usize).ok_or(MeshError::NoVertex {
                    triangle,
                    vertex,
                    count: vertices.len(),
                })?;
            }
            corners.push(found);
        }
        let mut nodes = Vec::with_capacity(2 * corners.len() / LEAF);
        build(&mut corners, 0, &mut nodes);
        let [low, high] = [nodes[0].low, nodes[0].high];
        Ok(Self {
            nodes,
            triangles: corners.iter().map(|c| Triangle::new(*c)).collect(),
            half: [0, 1, 2].map(|k| 0.5 * (high[k] - low[k])),
            middle: [0, 1, 2].map(|k| 0.5 * (high[k] + low[k])),
        })
    }

    /// How many triangles it has.
    pub fn len(&self) -> usize {
        self.triangles.len()
    }

    /// Whether it has none, which no mesh does.
    pub fn is_empty(&self) -> bool {
        self.triangles.is_empty()
    }

    /// Middle and half extents of the box around it.
    pub(super) fn bounds(&self) -> (Vec3, Vec3) {
        (self.middle, self.half)
    }

    /// Where rays from `from` (n rays along `along`, in the mesh's frame) first meet it farther than `least` and nearer than
    /// `most` times their directions: that, `most` where they do not; and the normal there, against the ray.
    #[inline(always)]
    pub(super) fn first<L: Lanes<Scalar = f32>>(
        &self,
        from: V3<L>,
        along: V3<L>,
        least: f32,
        most: L,
    ) -> (L, V3<L>) {
        let mut nearest = most;
        let mut normal = V3::zero();
        let one = L::one();
        let inverse = V3(one / along.0, one / along.1, one / along.2);
        let mut stack = [0_u32; DEPTH];
        let mut waiting = 1;
        while waiting > 0 {
            waiting -= 1;
            let index = stack[waiting] as usize;
            let node = &self.nodes[index];
            if !node.is_met(from, inverse, least, nearest) {
                continue;
            }
            if node.count == 0 {
                stack[waiting] = node.next;
                stack[waiting + 1] = index as u32 + 1;
                waiting += 2;
                continue;
            }
            let first = node.next as usize;
            for triangle in &self.triangles[first..first + node.count as usize] {
                let t = triangle.meet(from, along);
                let nearer = L::and(t.gt(L::splat(least)), t.lt(nearest));
                if L::any(nearer) {
                    nearest = L::select(nearer, t, nearest);
                    normal = V3::select(nearer, V3::splat(&triangle.normal), normal);
                }
            }
        }
        let away = normal.dot(along).gt(L::zero());
        (nearest, V3::select(away, -normal, normal))
    }
}

impl Node {
    #[inline(always)]
    fn is_met<L: Lanes<Scalar = f32>>(
        &self,
        from: V3<L>,
        inverse: V3<L>,
        least: f32,
        most: L,
    ) -> bool {
        let (mut enter, mut leave) = (L::splat(least), most);
        let axes = [
            (from.0, inverse.0),
            (from.1, inverse.1),
            (from.2, inverse.2),
        ];
        for (k, (from, inverse)) in axes.into_iter().enumerate() {
            let a = (L::splat(self.low[k]) - from) * inverse;
            let b = (L::splat(self.high[k]) - from) * inverse;
            enter = a.min(b).max(enter);
            leave = a.max(b).min(leave);
        }
        L::any(enter.le(leave))
    }
}

impl Triangle {
    fn new([a, b, c]: [Vec3; 3]) -> Self {
        let edges = [sub(b, a), sub(c, a)];
        Self {
            corner: a,
            edges,
            normal: unit(cross(edges[0], edges[1])),
        }
    }

    /// Where rays meet it, in units of their directions; not a positive number where they do not (Möller and Trumbore, "Fast,
    /// minimum storage ray/triangle intersection", 1997).
    #[inline(always)]
    fn meet<L: Lanes<Scalar = f32>>(&self, from: V3<L>, along: V3<L>) -> L {
        let [e1, e2] = [V3::splat(&self.edges[0]), V3::splat(&self.edges[1])];
        let p = along.cross(e2);
        let determinant = e1.dot(p);
        let inverse = L::one() / determinant;
        let s = from - V3::splat(&self.corner);
        let u = s.dot(p) * inverse;
        let q = s.cross(e1);
        let v = along.dot(q) * inverse;
        // A ray through an edge must not pass between its two triangles.
        let edge = L::splat(-2e-6);
        let inside = L::and(
            L::and(edge.le(u), edge.le(v)),
            (u + v).le(L::splat(1.0 + 2e-6)),
        );
        (e2.dot(q) * inverse).only(inside)
    }
}

/// Puts triangles in the order of the leaves and makes the boxes around them, split in the middle of the longest side.
fn build(corners: &mut [[Vec3; 3]], first: usize, nodes: &mut Vec<Node>) {
    let (mut low, mut high) = ([f32::INFINITY; 3], [f32::NEG_INFINITY; 3]);
    for corner in corners.iter().flatten() {
        for k in 0..3 {
            low[k] = low[k].min(corner[k]);
            high[k] = high[k].max(corner[k]);
        }
    }
    let size = [0, 1, 2].map(|k| high[k] - low[k]);
    // Rounding must not let a ray pass beside what is flat.
    let pad = 1e-6 + 1e-5 * size.iter().copied().fold(0.0, f32::max);
    let index = nodes.len();
    nodes.push(Node {
        low: low.map(|v| v - pad),
        high: high.map(|v| v + pad),
        next: first as u32,
        count: corners.len() as u32,
    });
    if corners.len() <= LEAF {
        return;
    }
    let axis = (0..3)
        .max_by(|a, b| size[*a].total_cmp(&size[*b]))
        .unwrap_or(0);
    let middle = corners.len() / 2;
    let along = |c: &[Vec3; 3]| c[0][axis] + c[1][axis] + c[2][axis];
    corners.sort_by(|a, b| along(a).total_cmp(&along(b)));
    let (before, after) = corners.split_at_mut(middle);
    build(before, first, nodes);
    nodes[index].next = nodes.len() as u32;
    nodes[index].count = 0;
    build(after, first + middle, nodes);
}
