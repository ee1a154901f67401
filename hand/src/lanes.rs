//! Numbers in lanes: one world, or one ray, per lane; the same arithmetic in every lane.
//!
//! All that moves bodies or draws them is written once over [`Lanes`] and runs on 1, 8 or 16 of them at a time. Only operations
//! that IEEE 754 rounds exactly are used (+ − × ÷ √ round, compare, select), never fused, and arithmetic is never across lanes:
//! the bits of a lane do not depend on the width of the register, on its place in it, or on what its neighbours do.
//!
//! A type of lanes is only met as the `L` of a [`Work`] that [`Width::run`] carries out, so that no instruction is met by a
//! processor that does not have it.

#[cfg(target_arch = "x86_64")]
mod x86;

use std::ops::{Add, AddAssign, Div, Mul, Neg, Sub, SubAssign};

/// How many worlds or rays one instruction computes. All give the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Width {
    /// Any processor.
    One,
    /// AVX2.
    Eight,
    /// AVX-512.
    Sixteen,
}

impl Width {
    /// All that there are, the narrowest first.
    pub const ALL: [Self; 3] = [Self::One, Self::Eight, Self::Sixteen];

    /// The widest that this processor has.
    pub fn best() -> Self {
        [Self::Sixteen, Self::Eight]
            .into_iter()
            .find(|w| w.is_available())
            .unwrap_or(Self::One)
    }

    /// Whether this processor has it.
    pub fn is_available(self) -> bool {
        #[cfg(target_arch = "x86_64")]
        match self {
            Self::Eight => return is_x86_feature_detected!("avx2"),
            Self::Sixteen => return is_x86_feature_detected!("avx512f"),
            Self::One => {}
        }
        self == Self::One
    }

    /// Lanes of a register.
    pub fn lanes(self) -> usize {
        match self {
            Self::One => 1,
            Self::Eight => 8,
            Self::Sixteen => 16,
        }
    }

    /// Carries work out, at this width or, where the processor does not have it, one lane at a time.
    #[inline]
    pub fn run<W: Work>(self, work: W) -> W::Output {
        if !self.is_available() {
            return work.run::<f32>();
        }
        match self {
            Self::One => work.run::<f32>(),
            #[cfg(target_arch = "x86_64")]
            Self::Eight => x86::run_eight(work),
            #[cfg(target_arch = "x86_64")]
            Self::Sixteen => x86::run_sixteen(work),
            #[cfg(not(target_arch = "x86_64"))]
            Self::Eight | Self::Sixteen => work.run::<f32>(),
        }
    }
}

/// What can be done at any [`Width`].
pub trait Work {
    /// What comes of it.
    type Output;

    /// Does it. To be marked `#[inline(always)]`, as everything that it calls: only so does it get the instructions of the
    /// function around it.
    fn run<L: Lanes<Scalar = f32>>(self) -> Self::Output;
}

/// A number of one lane.
pub trait Scalar: Copy + PartialOrd + Send + Sync + 'static {
    /// Below this sine of the angle between them, two stretches of a tendon that nearly coincide do not cross.
    const GRAZING_SINE: f64;
    /// An arc counts as more than half a circle only below this (negative) sine of its angle.
    const GRAZING_ARC: f64;
    /// Newton steps until the contact on the inside of a surface moves no more.
    const INSIDE_STEPS: usize;
    /// The nearest to `x`.
    fn of(x: f64) -> Self;
    /// The same number.
    fn f64(self) -> f64;
}

impl Scalar for f32 {
    // Rounding moves a tangent point by about 1e-4 of the radius where the tendon just grazes the surface.
    const GRAZING_SINE: f64 = 1e-3;
    const GRAZING_ARC: f64 = 2e-3;
    const INSIDE_STEPS: usize = 4;
    #[inline(always)]
    fn of(x: f64) -> Self {
        x as Self
    }
    #[inline(always)]
    fn f64(self) -> f64 {
        f64::from(self)
    }
}

impl Scalar for f64 {
    const GRAZING_SINE: f64 = 1e-6;
    const GRAZING_ARC: f64 = 1e-9;
    const INSIDE_STEPS: usize = 8;
    #[inline(always)]
    fn of(x: f64) -> Self {
        x
    }
    #[inline(always)]
    fn f64(self) -> f64 {
        self
    }
}

/// One number of each of [`Lanes::N`] worlds.
pub trait Lanes:
    Copy
    + Send
    + Sync
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
    + AddAssign
    + SubAssign
    + 'static
{
    /// A truth of each world.
    type Mask: Copy + Send;
    /// A number of one lane.
    type Scalar: Scalar;
    /// How many worlds.
    const N: usize;

    /// The same number in every lane.
    fn splat(x: Self::Scalar) -> Self;
    /// The first N numbers of a slice.
    fn load(from: &[Self::Scalar]) -> Self;
    /// The first N places of a slice become the numbers.
    fn store(self, to: &mut [Self::Scalar]);
    /// The first N places of a slice become the numbers, which must be whole and in [0, 2^31).
    fn store_whole(self, to: &mut [u32]);
    /// Square root.
    fn sqrt(self) -> Self;
    /// Magnitude.
    fn abs(self) -> Self;
    /// The nearest whole number; of two, the even one.
    fn round(self) -> Self;
    /// `other` where either is not a number.
    fn min(self, other: Self) -> Self;
    /// `other` where either is not a number.
    fn max(self, other: Self) -> Self;
    /// Less than.
    fn lt(self, other: Self) -> Self::Mask;
    /// Less than or equal.
    fn le(self, other: Self) -> Self::Mask;
    /// `yes` where the mask is true, else `no`.
    fn select(mask: Self::Mask, yes: Self, no: Self) -> Self;
    /// Both.
    fn and(a: Self::Mask, b: Self::Mask) -> Self::Mask;
    /// At least one.
    fn or(a: Self::Mask, b: Self::Mask) -> Self::Mask;
    /// The opposite.
    fn not(a: Self::Mask) -> Self::Mask;
    /// Whether it is true in any lane.
    fn any(a: Self::Mask) -> bool;
    /// The least number of all lanes, none of which is NaN.
    fn least(self) -> Self::Scalar;

    /// The same number in every lane.
    #[inline(always)]
    fn of(x: f64) -> Self {
        Self::splat(Self::Scalar::of(x))
    }
    /// 0.
    #[inline(always)]
    fn zero() -> Self {
        Self::of(0.0)
    }
    /// 1.
    #[inline(always)]
    fn one() -> Self {
        Self::of(1.0)
    }
    /// Greater than.
    #[inline(always)]
    fn gt(self, other: Self) -> Self::Mask {
        other.lt(self)
    }
    /// Greater than or equal.
    #[inline(always)]
    fn ge(self, other: Self) -> Self::Mask {
        other.le(self)
    }
    /// Within bounds.
    #[inline(always)]
    fn clamp(self, low: Self, high: Self) -> Self {
        self.max(low).min(high)
    }
    /// 0 where the mask is false.
    #[inline(always)]
    fn only(self, mask: Self::Mask) -> Self {
        Self::select(mask, self, Self::zero())
    }

    /// Sine and cosine, to about 1e-7 for angles up to 100 radians: reduced by multiples of π/2 in two parts (Cody and
    /// Waite), then Taylor polynomials.
    #[inline(always)]
    fn sin_cos(self) -> (Self, Self) {
        let k = (self * Self::of(std::f64::consts::FRAC_2_PI)).round();
        let r = self - k * Self::of(1.570_796_25);
        let r = r - k * Self::of(7.549_789_4e-8);
        let r2 = r * r;
        let s = Self::of(2.755_731_9e-6) * r2 - Self::of(1.984_126_98e-4);
        let s = (s * r2 + Self::of(8.333_333_3e-3)) * r2 - Self::of(1.0 / 6.0);
        let sine = r * r2 * s + r;
        let c = Self::of(2.480_158_73e-5) * r2 - Self::of(1.388_888_89e-3);
        let c = (c * r2 + Self::of(4.166_666_67e-2)) * r2 - Self::of(0.5);
        let cosine = c * r2 + Self::one();
        // k modulo 4, in [-2, 2]: 0 (s, c), 1 (c, -s), 2 (-s, -c), 3 (-c, s).
        let even = (k * Self::of(0.5)).round() * Self::of(2.0);
        let odd = (k - even).abs().gt(Self::of(0.5));
        let quarter = k - (k * Self::of(0.25)).round() * Self::of(4.0);
        let half_turn = quarter.abs().gt(Self::of(1.5));
        let minus_sine = Self::or(half_turn, quarter.lt(Self::of(-0.5)));
        let minus_cosine = Self::or(half_turn, quarter.gt(Self::of(0.5)));
        let (a, b) = (
            Self::select(odd, cosine, sine),
            Self::select(odd, sine, cosine),
        );
        (
            Self::select(minus_sine, -a, a),
            Self::select(minus_cosine, -b, b),
        )
    }

    /// The angle of (x, y) for y ≥ 0, in [0, π], to about 1e-7.
    #[inline(always)]
    fn upper_angle(y: Self, x: Self) -> Self {
        let ax = x.abs();
        let t = ax.min(y) / ax.max(y).max(Self::of(1e-30));
        // Around tan(π/8) the other way: atan t = π/4 + atan((t - 1) / (t + 1)).
        let large = t.gt(Self::of(0.414_213_56));
        let u = Self::select(large, (t - Self::one()) / (t + Self::one()), t);
        let u2 = u * u;
        let p = Self::of(8.053_744_5e-2) * u2 - Self::of(1.387_768_6e-1);
        let p = (p * u2 + Self::of(1.997_771_1e-1)) * u2 - Self::of(3.333_294_9e-1);
        let a = u * u2 * p + u + Self::of(std::f64::consts::FRAC_PI_4).only(large);
        let a = Self::select(y.gt(ax), Self::of(std::f64::consts::FRAC_PI_2) - a, a);
        Self::select(x.lt(Self::zero()), Self::of(std::f64::consts::PI) - a, a)
    }
}

macro_rules! one_lane {
    { $float:ident, $sqrt:path; $($own:item)* } => {
        impl Lanes for $float {
            type Mask = bool;
            type Scalar = $float;
            const N: usize = 1;
            #[inline(always)]
            fn splat(x: $float) -> Self {
                x
            }
            #[inline(always)]
            fn load(from: &[$float]) -> Self {
                from[0]
            }
            #[inline(always)]
            fn store(self, to: &mut [$float]) {
                to[0] = self;
            }
            #[inline(always)]
            fn store_whole(self, to: &mut [u32]) {
                to[0] = self as u32;
            }
            #[inline(always)]
            fn sqrt(self) -> Self {
                $sqrt(self)
            }
            #[inline(always)]
            fn abs(self) -> Self {
                $float::abs(self)
            }
            #[inline(always)]
            fn round(self) -> Self {
                self.round_ties_even()
            }
            #[inline(always)]
            fn min(self, other: Self) -> Self {
                if self < other { self } else { other }
            }
            #[inline(always)]
            fn max(self, other: Self) -> Self {
                if self > other { self } else { other }
            }
            #[inline(always)]
            fn lt(self, other: Self) -> bool {
                self < other
            }
            #[inline(always)]
            fn le(self, other: Self) -> bool {
                self <= other
            }
            #[inline(always)]
            fn select(mask: bool, yes: Self, no: Self) -> Self {
                if mask { yes } else { no }
            }
            #[inline(always)]
            fn and(a: bool, b: bool) -> bool {
                a & b
            }
            #[inline(always)]
            fn or(a: bool, b: bool) -> bool {
                a | b
            }
            #[inline(always)]
            fn not(a: bool) -> bool {
                !a
            }
            #[inline(always)]
            fn any(a: bool) -> bool {
                a
            }
            #[inline(always)]
            fn least(self) -> $float {
                self
            }
            $($own)*
        }
    };
}
one_lane! { f32, f32::sqrt; }
one_lane! { f64, f64::sqrt;
    #[inline(always)]
    fn sin_cos(self) -> (Self, Self) {
        libm::sincos(self)
    }
    #[inline(always)]
    fn upper_angle(y: Self, x: Self) -> Self {
        libm::atan2(y, x)
    }
}

/// A vector.
#[derive(Clone, Copy, Debug)]
pub struct V3<L>(pub L, pub L, pub L);

impl<L: Lanes> V3<L> {
    /// The same vector in every lane.
    #[inline(always)]
    pub fn splat(v: &[L::Scalar; 3]) -> Self {
        Self(L::splat(v[0]), L::splat(v[1]), L::splat(v[2]))
    }
    /// 0.
    #[inline(always)]
    pub fn zero() -> Self {
        Self(L::zero(), L::zero(), L::zero())
    }
    /// Dot product.
    #[inline(always)]
    pub fn dot(self, o: Self) -> L {
        self.0 * o.0 + self.1 * o.1 + self.2 * o.2
    }
    /// Cross product.
    #[inline(always)]
    pub fn cross(self, o: Self) -> Self {
        Self(
            self.1 * o.2 - self.2 * o.1,
            self.2 * o.0 - self.0 * o.2,
            self.0 * o.1 - self.1 * o.0,
        )
    }
    /// Times a number.
    #[inline(always)]
    pub fn scale(self, k: L) -> Self {
        Self(self.0 * k, self.1 * k, self.2 * k)
    }
    /// `yes` where the mask is true, else `no`.
    #[inline(always)]
    pub fn select(mask: L::Mask, yes: Self, no: Self) -> Self {
        Self(
            L::select(mask, yes.0, no.0),
            L::select(mask, yes.1, no.1),
            L::select(mask, yes.2, no.2),
        )
    }
    /// Length.
    #[inline(always)]
    pub fn norm(self) -> L {
        self.dot(self).sqrt()
    }
    /// Each component times that of another.
    #[inline(always)]
    pub fn times(self, o: Self) -> Self {
        Self(self.0 * o.0, self.1 * o.1, self.2 * o.2)
    }
    /// Length 1; shorter than `tiny`: divided by that.
    #[inline(always)]
    pub fn unit(self, tiny: f64) -> Self {
        self.scale(L::one() / self.norm().max(L::of(tiny)))
    }
}

impl<L: Lanes> Add for V3<L> {
    type Output = Self;
    #[inline(always)]
    fn add(self, o: Self) -> Self {
        Self(self.0 + o.0, self.1 + o.1, self.2 + o.2)
    }
}

impl<L: Lanes> Sub for V3<L> {
    type Output = Self;
    #[inline(always)]
    fn sub(self, o: Self) -> Self {
        Self(self.0 - o.0, self.1 - o.1, self.2 - o.2)
    }
}

impl<L: Lanes> Neg for V3<L> {
    type Output = Self;
    #[inline(always)]
    fn neg(self) -> Self {
        Self(-self.0, -self.1, -self.2)
    }
}

/// A matrix, by rows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct M3<L>(pub(crate) [L; 9]);

impl<L: Lanes> M3<L> {
    #[inline(always)]
    pub(crate) fn splat(m: &[L::Scalar; 9]) -> Self {
        Self([
            L::splat(m[0]),
            L::splat(m[1]),
            L::splat(m[2]),
            L::splat(m[3]),
            L::splat(m[4]),
            L::splat(m[5]),
            L::splat(m[6]),
            L::splat(m[7]),
            L::splat(m[8]),
        ])
    }
    /// The matrix of a quaternion w, x, y, z of length 1.
    #[inline(always)]
    pub(crate) fn of_quat([w, x, y, z]: [L; 4]) -> Self {
        let (one, two) = (L::one(), L::of(2.0));
        Self([
            one - two * (y * y + z * z),
            two * (x * y - w * z),
            two * (x * z + w * y),
            two * (x * y + w * z),
            one - two * (x * x + z * z),
            two * (y * z - w * x),
            two * (x * z - w * y),
            two * (y * z + w * x),
            one - two * (x * x + y * y),
        ])
    }
    #[inline(always)]
    pub(crate) fn apply(&self, v: V3<L>) -> V3<L> {
        let m = &self.0;
        V3(
            m[0] * v.0 + m[1] * v.1 + m[2] * v.2,
            m[3] * v.0 + m[4] * v.1 + m[5] * v.2,
            m[6] * v.0 + m[7] * v.1 + m[8] * v.2,
        )
    }
    #[inline(always)]
    pub(crate) fn apply_transposed(&self, v: V3<L>) -> V3<L> {
        let m = &self.0;
        V3(
            m[0] * v.0 + m[3] * v.1 + m[6] * v.2,
            m[1] * v.0 + m[4] * v.1 + m[7] * v.2,
            m[2] * v.0 + m[5] * v.1 + m[8] * v.2,
        )
    }
    #[inline(always)]
    pub(crate) fn product(&self, o: &Self) -> Self {
        let (a, b) = (&self.0, &o.0);
        let mut r = [L::zero(); 9];
        for i in 0..3 {
            for j in 0..3 {
                r[3 * i + j] = a[3 * i] * b[j] + a[3 * i + 1] * b[3 + j] + a[3 * i + 2] * b[6 + j];
            }
        }
        Self(r)
    }
    /// A turn by an angle, given by its sine and cosine, around an axis of length 1.
    #[inline(always)]
    pub(crate) fn around(axis: &[L::Scalar; 3], s: L, c: L) -> Self {
        let V3(x, y, z) = V3::<L>::splat(axis);
        let t = L::one() - c;
        let (tx, ty, tz, sx, sy, sz) = (t * x, t * y, t * z, s * x, s * y, s * z);
        Self([
            tx * x + c,
            tx * y - sz,
            tx * z + sy,
            tx * y + sz,
            ty * y + c,
            ty * z - sx,
            tx * z - sy,
            ty * z + sx,
            tz * z + c,
        ])
    }
}
