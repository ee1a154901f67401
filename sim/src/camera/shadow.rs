//! Hard shadows: which points have a solid between them and the light.
//!
//! In the frame of the light, (u, v) across its rays and h towards it, the way from a point to the light is a line of constant
//! (u, v): what a solid covers of it is found without dividing. Which solids come into question for a packet is looked up in
//! bands along u and v. A convex solid never shadows the side of itself that faces the light, so it is not asked about itself.

use std::sync::Arc;

use hand::lanes::{Lanes, V3};

use super::math::{Vec3, add, around, cross, dot, norm, scale};
use super::packet::linear;
use super::prepare::{Linear, Prepared};
use super::{Mesh, Scene, Shape};

/// Bands along each of u and v.
const BANDS: usize = 64;
/// A surface that lies in another one is not in its shadow (meters).
const SKIN: f32 = 2e-4;

/// What throws shadows, in the frame of the light.
#[derive(Debug, Default)]
pub(super) struct Shadows {
    casters: Vec<Caster>,
    /// u, v and h in the camera's frame.
    pub(super) axes: [Vec3; 3],
    words: usize,
    low: [f32; 2],
    /// Bands a meter.
    density: [f32; 2],
    /// For u and v, by band: who begins there or before, and who ends there or after.
    begun: [Vec<u64>; 2],
    lasting: [Vec<u64>; 2],
}

#[derive(Debug)]
struct Caster {
    test: Test,
    /// Place among the prepared solids; none for what may shadow itself.
    own: f32,
    /// Nothing of it is higher.
    top: f32,
    /// Least and greatest u and v.
    bounds: [[f32; 2]; 2],
}

#[derive(Debug)]
enum Test {
    /// Middle of each slab along the line as a function of (u, v), and half its length there.
    Box { middle: [Linear; 3], half: [f32; 3] },
    /// A ball in some space: the middle of the chord, and the distance from it in radii.
    Ball { middle: Linear, aside: [Linear; 2] },
    Capsule {
        center: Vec3,
        axis: Vec3,
        /// Over the square of the axis' length across the light.
        inverse: f32,
        half: f32,
        radius2: f32,
    },
    Cylinder {
        /// Middle of the chord of the mantle, and distance from it in radii.
        middle: Linear,
        aside: Linear,
        /// Half of the longest chord.
        chord: f32,
        slab: Linear,
        half: f32,
    },
    Mesh {
        mesh: Arc<Mesh>,
        from: [Linear; 3],
        along: Vec3,
    },
}

impl Shadows {
    /// Takes what throws shadows of the scene.
    pub(super) fn prepare(&mut self, scene: &Scene, solids: &[Prepared], to_light: Vec3) {
        let [u, v] = around(to_light);
        self.axes = [u, v, to_light];
        self.casters.clear();
        for (place, solid) in solids.iter().enumerate() {
            let original = &scene.solids[place];
            if original.casts_shadow {
                let caster = self.caster(place, solid, &original.shape);
                self.casters.extend(caster);
            }
        }
        self.words = self.casters.len().div_ceil(64);
        for axis in 0..2 {
            let bounds = || self.casters.iter().map(|c| c.bounds[axis]);
            let low = bounds().map(|b| b[0]).fold(f32::INFINITY, f32::min);
            let high = bounds().map(|b| b[1]).fold(f32::NEG_INFINITY, f32::max);
            self.low[axis] = low;
            self.density[axis] = BANDS as f32 / (high - low).max(1e-6);
            let (mut begun, mut lasting) = (
                std::mem::take(&mut self.begun[axis]),
                std::mem::take(&mut self.lasting[axis]),
            );
            for list in [&mut begun, &mut lasting] {
                list.clear();
                list.resize(BANDS * self.words, 0);
            }
            for (i, caster) in self.casters.iter().enumerate() {
                let [first, last] = caster.bounds[axis].map(|x| self.band(axis, x));
                begun[first * self.words + i / 64] |= 1 << (i % 64);
                lasting[last * self.words + i / 64] |= 1 << (i % 64);
            }
            for i in self.words..BANDS * self.words {
                begun[i] |= begun[i - self.words];
            }
            for i in (0..(BANDS - 1) * self.words).rev() {
                lasting[i] |= lasting[i + self.words];
            }
            (self.begun[axis], self.lasting[axis]) = (begun, lasting);
        }
    }

    #[inline(always)]
    fn band(&self, axis: usize, x: f32) -> usize {
        let at = (x - self.low[axis]) * self.density[axis];
        (at.max(0.0) as usize).min(BANDS - 1)
    }

    fn caster(&self, place: usize, solid: &Prepared, shape: &Shape) -> Option<Caster> {
        let turn = |a: Vec3| self.axes.map(|axis| dot(axis, a));
        let center = turn(solid.frame.center);
        let axes = solid.frame.axes.map(turn);
        // Of a vector that a line is measured along: the line's place as a function of (u, v), at h = 0.
        let place_of = |a: Vec3| -> Linear { [a[0], a[1], -dot(a, center)] };
        let steep = |x: f32| {
            if x.abs() < 1e-6 {
                1e-6_f32.copysign(x)
            } else {
                x
            }
        };
        let box_reach =
            |half: Vec3| [0, 1, 2].map(|k| (0..3).map(|i| axes[i][k].abs() * half[i]).sum::<f32>());
        let along =
            |radius: Vec3, half: f32| [0, 1, 2].map(|k| axes[2][k].abs() * half + radius[k]);
        let (test, reach) = match *shape {
            Shape::Plane => return None,
            Shape::Box { half } => {
                let rise = [0, 1, 2].map(|k| steep(axes[k][2]));
                let test = Test::Box {
                    middle: [0, 1, 2].map(|k| scale(place_of(axes[k]), -1.0 / rise[k])),
                    half: [0, 1, 2].map(|k| half[k] / rise[k].abs()),
                };
                (test, box_reach(half))
            }
            Shape::Sphere { radius } => {
                let test = Test::Ball {
                    middle: [0.0, 0.0, center[2]],
                    aside: [
                        [1.0 / radius, 0.0, -center[0] / radius],
                        [0.0, 1.0 / radius, -center[1] / radius],
                    ],
                };
                (test, [radius; 3])
            }
            Shape::Ellipsoid { half } => {
                let rise = [0, 1, 2].map(|k| axes[k][2] / half[k]);
                let length = norm(rise).max(1e-9);
                let along = scale(rise, 1.0 / length);
                let [a, b] = around(along);
                let of = |s: Vec3| {
                    let parts = [0, 1, 2].map(|i| scale(place_of(axes[i]), s[i] / half[i]));
                    add(add(parts[0], parts[1]), parts[2])
                };
                let test = Test::Ball {
                    middle: scale(of(along), -1.0 / length),
                    aside: [of(a), of(b)],
                };
                let reach = [0, 1, 2].map(|k| norm([0, 1, 2].map(|i| axes[i][k] * half[i])));
                (test, reach)
            }
            Shape::Capsule {
                radius,
                half_length,
            } => {
                let axis = axes[2];
                let across = axis[0] * axis[0] + axis[1] * axis[1];
                let test = Test::Capsule {
                    center,
                    axis,
                    inverse: 1.0 / across.max(1e-9),
                    half: half_length,
                    radius2: radius * radius,
                };
                (test, along([radius; 3], half_length))
            }
            Shape::Cylinder {
                radius,
                half_length,
            } => {
                let axis = axes[2];
                let across = axis[0] * axis[0] + axis[1] * axis[1];
                let rise = across.sqrt().max(1e-6);
                // Across the axis, the line goes along the light's part there.
                let out = if across > 1e-10 {
                    let part = add([0.0, 0.0, 1.0], scale(axis, -axis[2]));
                    scale(part, 1.0 / norm(part))
                } else {
                    axes[0]
                };
                let side = cross(axis, out);
                let height = steep(axis[2]);
                let test = Test::Cylinder {
                    middle: scale(place_of(out), -1.0 / rise),
                    aside: scale(place_of(side), 1.0 / radius),
                    chord: radius / rise,
                    slab: scale(place_of(axis), -1.0 / height),
                    half: half_length / height.abs(),
                };
                let disc = axis.map(|a| radius * (1.0 - a * a).max(0.0).sqrt());
                (test, along(disc, half_length))
            }
            Shape::Mesh(ref mesh) => {
                let test = Test::Mesh {
                    mesh: Arc::clone(mesh),
                    from: axes.map(place_of),
                    along: axes.map(|a| a[2]),
                };
                let (middle, half) = mesh.bounds();
                let parts = [0, 1, 2].map(|i| scale(axes[i], middle[i]));
                let middle = add(add(parts[0], parts[1]), parts[2]);
                let reach = box_reach(half);
                // Symmetric about the origin of its frame, for simplicity.
                (test, [0, 1, 2].map(|k| reach[k] + middle[k].abs()))
            }
        };
        let pad = |k: usize| reach[k] * 1.0001 + 1e-5 + 1e-6 * center[k].abs();
        Some(Caster {
            own: if matches!(test, Test::Mesh { .. }) {
                -2.0
            } else {
                place as f32
            },
            test,
            top: center[2] + pad(2),
            bounds: [0, 1].map(|k| [center[k] - pad(k), center[k] + pad(k)]),
        })
    }

    /// Where points in the frame of the light, of those in `asked`, are in shadow; `which` is the solid they are on.
    #[inline(always)]
    pub(super) fn cover<L: Lanes<Scalar = f32>>(
        &self,
        p: V3<L>,
        which: L,
        asked: L::Mask,
        culling: bool,
    ) -> L::Mask {
        let mut covered = L::zero().lt(L::zero());
        if self.words == 0 {
            return covered;
        }
        let infinite = L::splat(f32::INFINITY);
        let least = |x: L| L::select(asked, x, infinite).least();
        let lowest = least(p.2);
        let ranges = [p.0, p.1].map(|x| [least(x), -least(-x)]);
        for (axis, range) in ranges.iter().enumerate() {
            let end = self.low[axis] + BANDS as f32 / self.density[axis];
            if culling && (range[1] < self.low[axis] || range[0] > end + 1e-4) {
                return covered;
            }
        }
        let bands = [0, 1].map(|k| ranges[k].map(|x| self.band(k, x)));
        for word in 0..self.words {
            let mut left = u64::MAX;
            if culling {
                for (axis, [first, last]) in bands.into_iter().enumerate() {
                    left &= self.begun[axis][last * self.words + word];
                    left &= self.lasting[axis][first * self.words + word];
                }
            } else if word + 1 == self.words {
                left >>= 64 * self.words - self.casters.len();
            }
            while left != 0 {
                let caster = &self.casters[64 * word + left.trailing_zeros() as usize];
                left &= left - 1;
                if culling && caster.top < lowest {
                    continue;
                }
                let other = L::not(which.le(L::splat(caster.own)));
                let other = L::or(other, which.lt(L::splat(caster.own)));
                covered = L::or(covered, L::and(other, caster.test.cover(p)));
                if !L::any(L::and(asked, L::not(covered))) {
                    return covered;
                }
            }
        }
        covered
    }
}

impl Test {
    #[inline(always)]
    fn cover<L: Lanes<Scalar = f32>>(&self, p: V3<L>) -> L::Mask {
        let at = |of: &Linear| linear(of, p.0, p.1);
        let above = p.2 + L::splat(SKIN);
        let one = L::one();
        match self {
            Self::Box { middle, half } => {
                let m = at(&middle[0]);
                let (mut low, mut high) = (m - L::splat(half[0]), m + L::splat(half[0]));
                for k in 1..3 {
                    let m = at(&middle[k]);
                    low = low.max(m - L::splat(half[k]));
                    high = high.min(m + L::splat(half[k]));
                }
                L::and(low.lt(high), high.gt(above))
            }
            Self::Ball { middle, aside } => {
                let (a, b) = (at(&aside[0]), at(&aside[1]));
                L::and((a * a + b * b).lt(one), at(middle).gt(above))
            }
            Self::Capsule {
                center,
                axis,
                inverse,
                half,
                radius2,
            } => {
                let (u, v) = (p.0 - L::splat(center[0]), p.1 - L::splat(center[1]));
                let (a, b) = (L::splat(axis[0]), L::splat(axis[1]));
                let half = L::splat(*half);
                let s = ((u * a + v * b) * L::splat(*inverse)).clamp(-half, half);
                let (u, v) = (u - s * a, v - s * b);
                let height = L::splat(center[2]) + s * L::splat(axis[2]);
                L::and((u * u + v * v).lt(L::splat(*radius2)), height.gt(above))
            }
            Self::Cylinder {
                middle,
                aside,
                chord,
                slab,
                half,
            } => {
                let a = at(aside);
                let rest = one - a * a;
                let chord = rest.max(L::zero()).sqrt() * L::splat(*chord);
                let (m, s, half) = (at(middle), at(slab), L::splat(*half));
                let low = (m - chord).max(s - half);
                let high = (m + chord).min(s + half);
                L::and(L::and(rest.gt(L::zero()), low.lt(high)), high.gt(above))
            }
            Self::Mesh { mesh, from, along } => {
                let along = V3::<L>::splat(along);
                let [a, b, c] = from.each_ref().map(at);
                let from = V3(a, b, c) + along.scale(p.2);
                let most = L::splat(1e9);
                mesh.first(from, along, 5.0 * SKIN, most).0.lt(most)
            }
        }
    }
}
