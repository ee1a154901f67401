#![expect(unsafe_code, reason = "vector instructions")]
//! Lanes in AVX2 and AVX-512 registers. Values of these types exist only where the processor has the instructions: they are
//! made inside functions that were entered after asking it (see [`Width::run`](super::Width::run)).

use std::arch::x86_64::{
    __m256, __m512, __mmask16, _CMP_LE_OQ, _CMP_LT_OQ, _MM_FROUND_NO_EXC,
    _MM_FROUND_TO_NEAREST_INT, _mm_cvtss_f32, _mm_min_ps, _mm_min_ss, _mm_movehl_ps,
    _mm_shuffle_ps, _mm256_add_ps, _mm256_and_ps, _mm256_andnot_ps, _mm256_blendv_ps,
    _mm256_castps256_ps128, _mm256_castsi256_ps, _mm256_cmp_ps, _mm256_cvttps_epi32, _mm256_div_ps,
    _mm256_extractf128_ps, _mm256_loadu_ps, _mm256_max_ps, _mm256_min_ps, _mm256_movemask_ps,
    _mm256_mul_ps, _mm256_or_ps, _mm256_round_ps, _mm256_set1_epi32, _mm256_set1_ps,
    _mm256_sqrt_ps, _mm256_storeu_ps, _mm256_storeu_si256, _mm256_sub_ps, _mm256_xor_ps,
    _mm512_abs_ps, _mm512_add_ps, _mm512_castps_si512, _mm512_castsi512_ps, _mm512_cmp_ps_mask,
    _mm512_cvttps_epi32, _mm512_div_ps, _mm512_loadu_ps, _mm512_mask_blend_ps, _mm512_max_ps,
    _mm512_min_ps, _mm512_mul_ps, _mm512_reduce_min_ps, _mm512_roundscale_ps, _mm512_set1_ps,
    _mm512_sqrt_ps, _mm512_storeu_ps, _mm512_storeu_si512, _mm512_sub_ps, _mm512_xor_si512,
};
use std::ops::{Add, AddAssign, Div, Mul, Neg, Sub, SubAssign};

use super::{Lanes, Width, Work};

/// Eight worlds (AVX2).
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
pub(super) struct F32x8(__m256);

/// Sixteen worlds (AVX-512).
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
pub(super) struct F32x16(__m512);

/// Does work on a processor with AVX2.
pub(super) fn run_eight<W: Work>(work: W) -> W::Output {
    #[target_feature(enable = "avx2")]
    fn run<W: Work>(work: W) -> W::Output {
        work.run::<F32x8>()
    }
    assert!(Width::Eight.is_available(), "the caller asked");
    // SAFETY: the processor was just asked.
    unsafe { run(work) }
}

/// Does work on a processor with AVX-512.
pub(super) fn run_sixteen<W: Work>(work: W) -> W::Output {
    #[target_feature(enable = "avx512f")]
    fn run<W: Work>(work: W) -> W::Output {
        work.run::<F32x16>()
    }
    assert!(Width::Sixteen.is_available(), "the caller asked");
    // SAFETY: the processor was just asked.
    unsafe { run(work) }
}

const NEAREST: i32 = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;

macro_rules! operators {
    ($lanes:ident, $add:ident, $sub:ident, $mul:ident, $div:ident) => {
        impl Add for $lanes {
            type Output = Self;
            #[inline(always)]
            fn add(self, o: Self) -> Self {
                // SAFETY: the type exists only where the processor has the instruction.
                Self(unsafe { $add(self.0, o.0) })
            }
        }
        impl Sub for $lanes {
            type Output = Self;
            #[inline(always)]
            fn sub(self, o: Self) -> Self {
                // SAFETY: the type exists only where the processor has the instruction.
                Self(unsafe { $sub(self.0, o.0) })
            }
        }
        impl Mul for $lanes {
            type Output = Self;
            #[inline(always)]
            fn mul(self, o: Self) -> Self {
                // SAFETY: the type exists only where the processor has the instruction.
                Self(unsafe { $mul(self.0, o.0) })
            }
        }
        impl Div for $lanes {
            type Output = Self;
            #[inline(always)]
            fn div(self, o: Self) -> Self {
                // SAFETY: the type exists only where the processor has the instruction.
                Self(unsafe { $div(self.0, o.0) })
            }
        }
        impl AddAssign for $lanes {
            #[inline(always)]
            fn add_assign(&mut self, o: Self) {
                *self = *self + o;
            }
        }
        impl SubAssign for $lanes {
            #[inline(always)]
            fn sub_assign(&mut self, o: Self) {
                *self = *self - o;
            }
        }
    };
}
operators!(
    F32x8,
    _mm256_add_ps,
    _mm256_sub_ps,
    _mm256_mul_ps,
    _mm256_div_ps
);
operators!(
    F32x16,
    _mm512_add_ps,
    _mm512_sub_ps,
    _mm512_mul_ps,
    _mm512_div_ps
);

impl Neg for F32x8 {
    type Output = Self;
    #[inline(always)]
    fn neg(self) -> Self {
        // SAFETY: the type exists only where the processor has the instruction.
        Self(unsafe { _mm256_xor_ps(self.0, _mm256_set1_ps(-0.0)) })
    }
}

impl Neg for F32x16 {
    type Output = Self;
    #[inline(always)]
    fn neg(self) -> Self {
        // SAFETY: the type exists only where the processor has the instruction.
        Self(unsafe {
            let sign = _mm512_castps_si512(_mm512_set1_ps(-0.0));
            _mm512_castsi512_ps(_mm512_xor_si512(_mm512_castps_si512(self.0), sign))
        })
    }
}

/// Methods of the trait, each an instruction or two.
macro_rules! instructions {
    ($(fn $name:ident($($arg:ident $(: $ty:ty)?),*) $(-> $out:ty)? { $body:expr })*) => {
        $(
            #[inline(always)]
            fn $name($($arg $(: $ty)?),*) $(-> $out)? {
                // SAFETY: the type exists only where the processor has the instructions; slices are cut to the width first.
                unsafe { $body }
            }
        )*
    };
}

impl Lanes for F32x8 {
    type Mask = __m256;
    type Scalar = f32;
    const N: usize = 8;
    instructions! {
        fn splat(x: f32) -> Self { Self(_mm256_set1_ps(x)) }
        fn load(from: &[f32]) -> Self { Self(_mm256_loadu_ps(from[..8].as_ptr())) }
        fn store(self, to: &mut [f32]) { _mm256_storeu_ps(to[..8].as_mut_ptr(), self.0) }
        fn store_whole(self, to: &mut [u32]) { _mm256_storeu_si256(to[..8].as_mut_ptr().cast(), _mm256_cvttps_epi32(self.0)) }
        fn sqrt(self) -> Self { Self(_mm256_sqrt_ps(self.0)) }
        fn abs(self) -> Self { Self(_mm256_andnot_ps(_mm256_set1_ps(-0.0), self.0)) }
        fn round(self) -> Self { Self(_mm256_round_ps::<NEAREST>(self.0)) }
        fn min(self, o: Self) -> Self { Self(_mm256_min_ps(self.0, o.0)) }
        fn max(self, o: Self) -> Self { Self(_mm256_max_ps(self.0, o.0)) }
        fn lt(self, o: Self) -> __m256 { _mm256_cmp_ps::<_CMP_LT_OQ>(self.0, o.0) }
        fn le(self, o: Self) -> __m256 { _mm256_cmp_ps::<_CMP_LE_OQ>(self.0, o.0) }
        fn select(mask: __m256, yes: Self, no: Self) -> Self { Self(_mm256_blendv_ps(no.0, yes.0, mask)) }
        fn and(a: __m256, b: __m256) -> __m256 { _mm256_and_ps(a, b) }
        fn or(a: __m256, b: __m256) -> __m256 { _mm256_or_ps(a, b) }
        fn not(a: __m256) -> __m256 { _mm256_xor_ps(a, _mm256_castsi256_ps(_mm256_set1_epi32(-1))) }
        fn any(a: __m256) -> bool { _mm256_movemask_ps(a) != 0 }
    }
    #[inline(always)]
    fn least(self) -> f32 {
        // SAFETY: the type exists only where the processor has the instructions.
        unsafe {
            let four = _mm_min_ps(
                _mm256_castps256_ps128(self.0),
                _mm256_extractf128_ps::<1>(self.0),
            );
            let two = _mm_min_ps(four, _mm_movehl_ps(four, four));
            _mm_cvtss_f32(_mm_min_ss(two, _mm_shuffle_ps::<1>(two, two)))
        }
    }
}

impl Lanes for F32x16 {
    type Mask = __mmask16;
    type Scalar = f32;
    const N: usize = 16;
    instructions! {
        fn splat(x: f32) -> Self { Self(_mm512_set1_ps(x)) }
        fn load(from: &[f32]) -> Self { Self(_mm512_loadu_ps(from[..16].as_ptr())) }
        fn store(self, to: &mut [f32]) { _mm512_storeu_ps(to[..16].as_mut_ptr(), self.0) }
        fn store_whole(self, to: &mut [u32]) { _mm512_storeu_si512(to[..16].as_mut_ptr().cast(), _mm512_cvttps_epi32(self.0)) }
        fn sqrt(self) -> Self { Self(_mm512_sqrt_ps(self.0)) }
        fn abs(self) -> Self { Self(_mm512_abs_ps(self.0)) }
        fn round(self) -> Self { Self(_mm512_roundscale_ps::<NEAREST>(self.0)) }
        fn min(self, o: Self) -> Self { Self(_mm512_min_ps(self.0, o.0)) }
        fn max(self, o: Self) -> Self { Self(_mm512_max_ps(self.0, o.0)) }
        fn lt(self, o: Self) -> __mmask16 { _mm512_cmp_ps_mask::<_CMP_LT_OQ>(self.0, o.0) }
        fn le(self, o: Self) -> __mmask16 { _mm512_cmp_ps_mask::<_CMP_LE_OQ>(self.0, o.0) }
        fn least(self) -> f32 { _mm512_reduce_min_ps(self.0) }
        fn select(mask: __mmask16, yes: Self, no: Self) -> Self { Self(_mm512_mask_blend_ps(mask, no.0, yes.0)) }
    }
    #[inline(always)]
    fn and(a: __mmask16, b: __mmask16) -> __mmask16 {
        a & b
    }
    #[inline(always)]
    fn or(a: __mmask16, b: __mmask16) -> __mmask16 {
        a | b
    }
    #[inline(always)]
    fn not(a: __mmask16) -> __mmask16 {
        !a
    }
    #[inline(always)]
    fn any(a: __mmask16) -> bool {
        a != 0
    }
}
