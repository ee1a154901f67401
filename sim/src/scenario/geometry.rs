//! Rectangles and room outlines on the floor plan.

/// An upright box seen from above: a rectangle that may be turned, and the heights between which it lies.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Block {
    /// Center (x, y).
    pub(super) center: [f32; 2],
    /// Half extents along its own axes.
    pub(super) half: [f32; 2],
    /// Its own x axis in the world: (cos yaw, sin yaw).
    pub(super) axis: [f32; 2],
    /// Lowest and highest z.
    pub(super) z: [f32; 2],
}

/// Boxes that share less than this touch, and do not overlap (meters).
const TOUCH: f32 = 1e-3;

impl Block {
    /// A box of `size` (depth, width, height) whose lowest face's middle is at `position`, turned by `yaw` radians.
    pub(super) fn new(size: [f32; 3], position: [f32; 3], yaw: f32) -> Self {
        Self {
            center: [position[0], position[1]],
            half: [0.5 * size[0], 0.5 * size[1]],
            axis: [libm::cosf(yaw), libm::sinf(yaw)],
            z: [position[2], position[2] + size[2]],
        }
    }

    /// A box along the axes, without top and bottom.
    pub(super) fn wall(min: [f32; 2], max: [f32; 2]) -> Self {
        Self {
            center: [0.5 * (min[0] + max[0]), 0.5 * (min[1] + max[1])],
            half: [0.5 * (max[0] - min[0]), 0.5 * (max[1] - min[1])],
            axis: [1.0, 0.0],
            z: [f32::NEG_INFINITY, f32::INFINITY],
        }
    }

    /// The same box, `margin` larger on its four sides.
    pub(super) fn grown(mut self, margin: f32) -> Self {
        self.half = self.half.map(|h| h + margin);
        self
    }

    /// Whether the two overlap by more than a touch: by the separating axis theorem, over the axes of both.
    pub(super) fn overlaps(&self, other: &Self) -> bool {
        let z_apart = self.z[0].max(other.z[0]) > self.z[1].min(other.z[1]) - TOUCH;
        let d = [
            other.center[0] - self.center[0],
            other.center[1] - self.center[1],
        ];
        let apart = |axis: [f32; 2]| {
            let dot = |v: [f32; 2]| v[0] * axis[0] + v[1] * axis[1];
            let reach = |b: &Self| {
                let side = [-b.axis[1], b.axis[0]];
                b.half[0] * dot(b.axis).abs() + b.half[1] * dot(side).abs()
            };
            dot(d).abs() > reach(self) + reach(other) - TOUCH
        };
        let side = |b: &Self| [-b.axis[1], b.axis[0]];
        !(z_apart
            || apart(self.axis)
            || apart(side(self))
            || apart(other.axis)
            || apart(side(other)))
    }

    /// Distance on the floor plan from `point` to the rectangle; 0 inside it.
    pub(super) fn distance(&self, point: [f32; 2]) -> f32 {
        let d = [point[0] - self.center[0], point[1] - self.center[1]];
        let along = (d[0] * self.axis[0] + d[1] * self.axis[1]).abs() - self.half[0];
        let across = (d[1] * self.axis[0] - d[0] * self.axis[1]).abs() - self.half[1];
        libm::hypotf(along.max(0.0), across.max(0.0))
    }
}

/// Edges of an outline: (start, end).
pub(super) fn edges(corners: &[[f32; 2]]) -> impl Iterator<Item = ([f32; 2], [f32; 2])> {
    let next = corners.iter().cycle().skip(1);
    corners.iter().copied().zip(next.copied())
}

/// The walls of a room, one along each edge, `thickness` wide with the edge in the middle.
pub(super) fn walls(corners: &[[f32; 2]], thickness: f32) -> Vec<Block> {
    let half = 0.5 * thickness;
    edges(corners)
        .map(|(a, b)| {
            let min = [a[0].min(b[0]) - half, a[1].min(b[1]) - half];
            let max = [a[0].max(b[0]) + half, a[1].max(b[1]) + half];
            Block::wall(min, max)
        })
        .collect()
}

/// Whether `point` lies within the outline (even-odd rule).
pub(super) fn contains(corners: &[[f32; 2]], point: [f32; 2]) -> bool {
    edges(corners).fold(false, |inside, (a, b)| {
        let crosses = (a[1] > point[1]) != (b[1] > point[1]);
        let right = || point[0] < (b[0] - a[0]) * (point[1] - a[1]) / (b[1] - a[1]) + a[0];
        inside ^ (crosses && right())
    })
}

/// Twice the enclosed area, positive if the corners go counter-clockwise.
pub(super) fn signed_area(corners: &[[f32; 2]]) -> f32 {
    edges(corners).map(|(a, b)| a[0] * b[1] - b[0] * a[1]).sum()
}

/// Least corner and greatest corner of the rectangle around an outline.
pub(super) fn bounds(corners: &[[f32; 2]]) -> ([f32; 2], [f32; 2]) {
    let start = ([f32::INFINITY; 2], [f32::NEG_INFINITY; 2]);
    corners.iter().fold(start, |(min, max), c| {
        (
            [min[0].min(c[0]), min[1].min(c[1])],
            [max[0].max(c[0]), max[1].max(c[1])],
        )
    })
}

/// A point that lies within both outlines, if there is one. Both must have edges along the axes: between neighboring
/// coordinates of either nothing changes, so the middles of these cells are enough.
pub(super) fn common_point(a: &[[f32; 2]], b: &[[f32; 2]]) -> Option<[f32; 2]> {
    let middles = |axis: usize| {
        let mut values: Vec<f32> = a.iter().chain(b).map(|c| c[axis]).collect();
        values.sort_by(f32::total_cmp);
        let cells = values.windows(2).filter(|w| w[1] - w[0] > TOUCH);
        cells.map(|w| 0.5 * (w[0] + w[1])).collect::<Vec<_>>()
    };
    let (xs, ys) = (middles(0), middles(1));
    let points = xs.iter().flat_map(|&x| ys.iter().map(move |&y| [x, y]));
    points
        .into_iter()
        .find(|&p| contains(a, p) && contains(b, p))
}
