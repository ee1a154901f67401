//! The parts of an image encoder that libtorch computes slowly in bf16 on a processor: GELU, and the expected place under a
//! softmax. Inside they compute in f32. What the gradient needs is worked out in the same pass over memory.
//!
//! libtorch's bindings know no function with a gradient of one's own. Instead a result comes from a product, whose gradient
//! is the wanted one, and its values are then replaced.
//!
//! Every number depends on its own inputs alone and no two operations are fused into one, so the bits are the same with any
//! width of instructions and any number of threads.

use half::bf16;
use tch::{Device, Kind, Tensor};

use super::ModelError;

/// GELU in its tanh approximation (Hendrycks and Gimpel 2016, arXiv:1606.08415): x σ(2 √(2/π) (x + 0.044715 x³)).
///
/// # Errors
/// When libtorch refuses.
pub(super) fn gelu(x: &Tensor) -> Result<Tensor, ModelError> {
    let x = x.f_contiguous()?;
    let train = x.requires_grad();
    let mut slope = x.f_detach()?.f_empty_like()?;
    // the product keeps the slope, which is written below, and not x
    let mut y = if train {
        x.f_mul(&slope)?
    } else {
        x.f_empty_like()?
    };
    {
        let from = memory::<bf16>(&x);
        let (y, slope) = (memory_mut::<bf16>(&mut y), memory_mut::<bf16>(&mut slope));
        let part = part(from.len());
        let parts = from
            .chunks(part)
            .zip(y.chunks_mut(part))
            .zip(slope.chunks_mut(part));
        at_once(parts.map(|((x, y), slope)| {
            let slope = train.then_some(slope);
            move || wide(Gelu { x, y, slope })
        }));
    }
    Ok(y)
}

/// For each channel of `x` `(batch, places, channels)` the mean of `places` `(places, 2)` weighted by its softmax over them:
/// f32 `(batch, channels, 2)`.
///
/// # Errors
/// When libtorch refuses.
pub(super) fn expected_places(x: &Tensor, places: &Tensor) -> Result<Tensor, ModelError> {
    let x = x.f_contiguous()?;
    let (batch, count, channels) = x.size3()?;
    let train = x.requires_grad();
    let float = (Kind::Float, Device::Cpu);
    let shares = if train {
        [batch, count, channels]
    } else {
        [batch, 0, channels]
    };
    let mut shares = Tensor::f_empty(shares, float)?;
    let mut means = Tensor::f_empty([batch, 2, channels], float)?;
    {
        let [image, channels] = [(count * channels) as usize, channels as usize];
        let kept = if train { image } else { 0 };
        let (from, places) = (memory::<bf16>(&x), memory::<f32>(places));
        let (shares, means) = (
            memory_mut::<f32>(&mut shares),
            memory_mut::<f32>(&mut means),
        );
        let images = part(from.len()).div_ceil(image);
        let mut shares = shares.chunks_mut((images * kept).max(1));
        let parts = from
            .chunks(images * image)
            .zip(means.chunks_mut(images * 2 * channels));
        at_once(parts.map(|(x, means)| {
            let shares = shares.next().unwrap_or_default();
            move || {
                let mut exponentials = vec![0.0; image];
                for (number, (x, means)) in x
                    .chunks(image)
                    .zip(means.chunks_mut(2 * channels))
                    .enumerate()
                {
                    let shares = match train {
                        true => &mut shares[number * image..][..image],
                        false => &mut exponentials[..],
                    };
                    wide(SoftmaxMeans {
                        x,
                        places,
                        shares,
                        means,
                    });
                }
            }
        }));
    }
    if train {
        // d mean / d x = share (place - mean), as a difference of sums over the places
        let one = Tensor::f_ones([1, count], float)?;
        let rows = Tensor::f_cat(&[&places.f_transpose(0, 1)?, &one], 0)?;
        let sums = rows.f_matmul(&x.f_to_kind(Kind::Float)?.f_mul(&shares)?)?;
        let sums = sums.f_narrow(1, 0, 2)? - &means * sums.f_narrow(1, 2, 1)?;
        // the sums' gradient, the means' values
        // apart: the sums keep the means for their gradient
        let with_gradient = &means + (&sums - sums.f_detach()?);
        return Ok(with_gradient.f_transpose(1, 2)?);
    }
    Ok(means.f_transpose(1, 2)?)
}

/// The values of GELU and where wanted its slopes.
struct Gelu<'a> {
    x: &'a [bf16],
    y: &'a mut [bf16],
    slope: Option<&'a mut [bf16]>,
}

impl Work for Gelu<'_> {
    #[inline(always)]
    fn run(self) {
        let values = self.x.iter().zip(self.y);
        let Some(slopes) = self.slope else {
            for (x, y) in values {
                *y = rounded(gelu_of(wider(*x)).0);
            }
            return;
        };
        for ((x, y), slope) in values.zip(slopes) {
            let (value, x, share) = gelu_of(wider(*x));
            *y = rounded(value);
            let inner = GELU[0] + 3.0 * GELU[1] * x * x;
            *slope = rounded(share + x * share * (1.0 - share) * inner);
        }
    }
}

/// The value; x, cut to where the slope is neither 0 nor 1 in f32; the sigmoid there.
#[inline(always)]
fn gelu_of(x: f32) -> (f32, f32, f32) {
    // comparisons that a NaN passes through
    let x = if x < -12.0 { -12.0 } else { x };
    let near = if x > 12.0 { 12.0 } else { x };
    let share = sigmoid(GELU[0] * near + GELU[1] * near * near * near);
    (x * share, near, share)
}

/// 2 √(2/π) and 0.044715 of it.
const GELU: [f32; 2] = [1.595_769, 0.071_354_82];

/// One image's channels `(places, channels)` as shares of what each sums to, and their mean places `(2, channels)`.
struct SoftmaxMeans<'a> {
    x: &'a [bf16],
    places: &'a [f32],
    shares: &'a mut [f32],
    means: &'a mut [f32],
}

impl Work for SoftmaxMeans<'_> {
    #[inline(always)]
    fn run(self) {
        softmax_means(self.x, self.places, self.shares, self.means);
    }
}

/// A function of its own: of its arguments, unlike of fields, the compiler knows that they do not overlap.
#[inline(always)]
fn softmax_means(x: &[bf16], places: &[f32], shares: &mut [f32], means: &mut [f32]) {
    let channels = means.len() / 2;
    let mut most = vec![f32::NEG_INFINITY; channels];
    for x in x.chunks_exact(channels) {
        for (most, x) in most.iter_mut().zip(x) {
            let x = wider(*x);
            // a NaN stays
            *most = if x <= *most { *most } else { x };
        }
    }
    let mut total = vec![0.0_f32; channels];
    let (columns, rows) = means.split_at_mut(channels);
    columns.fill(0.0);
    rows.fill(0.0);
    let images = x
        .chunks_exact(channels)
        .zip(shares.chunks_exact_mut(channels));
    for ((x, shares), place) in images.zip(places.chunks_exact(2)) {
        let sums = total
            .iter_mut()
            .zip(columns.iter_mut().zip(rows.iter_mut()));
        for (((x, share), most), (total, (column, row))) in
            x.iter().zip(shares).zip(&most).zip(sums)
        {
            let e = exp(wider(*x) - most);
            *share = e;
            *total += e;
            *column += e * place[0];
            *row += e * place[1];
        }
    }
    for ((total, column), row) in total.iter_mut().zip(columns).zip(rows) {
        *total = 1.0 / *total;
        *column *= *total;
        *row *= *total;
    }
    for shares in shares.chunks_exact_mut(channels) {
        for (share, scale) in shares.iter_mut().zip(&total) {
            *share *= scale;
        }
    }
}

#[inline(always)]
fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// To about 2 units in the last place; below -87 and above 88 that of these; NaN of NaN. Cephes' polynomial (Moshier 1992,
/// expf.c).
#[inline(always)]
fn exp(x: f32) -> f32 {
    // adding it rounds to a whole number, which is then in the lowest bits
    const ROUND: f32 = 12_582_912.0;
    const LN_2: [f32; 2] = [0.693_359_4, -2.121_944_4e-4];
    let x = x.clamp(-87.0, 88.0);
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let whole = shifted - ROUND;
    let r = x - whole * LN_2[0] - whole * LN_2[1];
    let mut p = 1.987_569_1e-4;
    for coefficient in [
        1.398_2e-3,
        8.333_452e-3,
        4.166_579_6e-2,
        1.666_666_5e-1,
        5e-1,
    ] {
        p = p * r + coefficient;
    }
    let power = f32::from_bits((shifted.to_bits() << 23).wrapping_add(127 << 23));
    (p * r * r + r + 1.0) * power
}

#[inline(always)]
fn wider(x: bf16) -> f32 {
    f32::from_bits(u32::from(x.to_bits()) << 16)
}

/// To the nearest, ties to even.
#[inline(always)]
fn rounded(x: f32) -> bf16 {
    let bits = x.to_bits();
    bf16::from_bits((bits.wrapping_add(0x7fff + ((bits >> 16) & 1)) >> 16) as u16)
}

/// Numbers that each of libtorch's threads shall work on, of so many.
fn part(count: usize) -> usize {
    // below, starting a thread takes longer than the work
    const LEAST: usize = 1 << 18;
    let threads = usize::try_from(tch::get_num_threads()).unwrap_or(1);
    count.div_ceil(threads.max(1)).max(LEAST)
}

/// Does the first work here, each other on a thread of its own.
fn at_once<W: FnOnce() + Send>(mut works: impl Iterator<Item = W>) {
    let Some(first) = works.next() else { return };
    std::thread::scope(|scope| {
        for work in works {
            scope.spawn(work);
        }
        first();
    });
}

/// Loops that are compiled once for each width of instructions: `run` must be inlined always, with all it calls.
trait Work {
    fn run(self);
}

/// Does work with the widest instructions there are.
fn wide<W: Work>(work: W) {
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
        fn sixteen<W: Work>(work: W) {
            work.run();
        }
        #[target_feature(enable = "avx2")]
        fn eight<W: Work>(work: W) {
            work.run();
        }
        let sixteen_fit = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl");
        #[expect(unsafe_code, reason = "wider instructions than every processor's")]
        if sixteen_fit {
            // SAFETY: the processor was just asked.
            return unsafe { sixteen(work) };
        } else if is_x86_feature_detected!("avx2") {
            // SAFETY: the processor was just asked.
            return unsafe { eight(work) };
        }
    }
    work.run();
}

/// A number as it lies in libtorch's memory. (The bindings' own trait takes bf16 for f16.)
trait Number {
    const KIND: Kind;
}

impl Number for bf16 {
    const KIND: Kind = Kind::BFloat16;
}

impl Number for f32 {
    const KIND: Kind = Kind::Float;
}

/// The numbers of a contiguous tensor on the processor.
#[expect(unsafe_code, reason = "libtorch's memory without a copy")]
fn memory<T: Number>(tensor: &Tensor) -> &[T] {
    check::<T>(tensor);
    if tensor.numel() == 0 {
        return &[];
    }
    // SAFETY: `numel` numbers of this kind lie there in a row and live as long as the tensor; nothing in this file writes to
    // a tensor that was given to it.
    unsafe { std::slice::from_raw_parts(tensor.data_ptr().cast(), tensor.numel()) }
}

/// The numbers of a tensor that was made in this file and that nothing else reads meanwhile, to be written.
#[expect(unsafe_code, reason = "libtorch's memory without a copy")]
fn memory_mut<T: Number>(tensor: &mut Tensor) -> &mut [T] {
    check::<T>(tensor);
    if tensor.numel() == 0 {
        return &mut [];
    }
    // SAFETY: as in `memory`; the tensor was just made, and what the gradient keeps of it is read later.
    unsafe { std::slice::from_raw_parts_mut(tensor.data_ptr().cast(), tensor.numel()) }
}

fn check<T: Number>(tensor: &Tensor) {
    assert!(
        tensor.device() == Device::Cpu && tensor.kind() == T::KIND && tensor.is_contiguous(),
        "contiguous numbers of {:?} on the processor",
        T::KIND
    );
}

#[cfg(test)]
mod tests {
    use tch::no_grad;

    use super::*;

    /// Every finite bf16 number, near and far from 0.
    fn all() -> Tensor {
        let values: Vec<bf16> = (0..=u16::MAX)
            .map(bf16::from_bits)
            .filter(|x| x.is_finite())
            .collect();
        let values: Vec<f32> = values.into_iter().map(wider).collect();
        Tensor::from_slice(&values).to_kind(Kind::BFloat16)
    }

    fn largest(x: &Tensor) -> f64 {
        x.abs().max().double_value(&[])
    }

    #[test]
    fn gelu_and_its_gradient_are_libtorchs_to_a_rounding() {
        let x = all().set_requires_grad(true);
        let weight = Tensor::linspace(-1.0, 1.0, x.numel() as i64, (Kind::Float, Device::Cpu));
        let of = |y: &Tensor| {
            let sum = (y.to_kind(Kind::Float) * &weight).sum(Kind::Float);
            Tensor::run_backward(&[sum], &[&x], false, false).remove(0)
        };
        let exact = x.to_kind(Kind::Double).gelu("tanh");
        let found = gelu(&x).unwrap();
        let alone = no_grad(|| gelu(&x)).unwrap();
        assert_eq!(memory::<bf16>(&found), memory::<bf16>(&alone));
        // half a unit in the last place, 2^-8, and what f32 adds
        let close = |found: &Tensor, exact: &Tensor, unit: f64, least: f64| {
            let found = found.to_kind(Kind::Double);
            let allowed = exact.abs() * unit + least;
            let ratio = largest(&((&found - exact).abs() / allowed));
            assert!(ratio <= 1.0, "{ratio} of what is allowed");
        };
        close(&found.detach(), &exact.detach(), 1.01 / 256.0, 1e-7);
        let (found, exact) = (of(&found), of(&exact.to_kind(Kind::Float)));
        close(&found, &exact.to_kind(Kind::Double), 3.03 / 256.0, 1e-6);
    }

    #[test]
    fn expected_places_and_their_gradient_are_the_softmaxs() {
        // in (-1, 1), without an order
        let noise = |size: &[i64]| {
            let number = Tensor::arange(size.iter().product::<i64>(), (Kind::Float, Device::Cpu));
            ((number + 1.0) * 78.233).sin().reshape(size)
        };
        let x = (noise(&[5, 9, 7]) * 8.0).to_kind(Kind::BFloat16);
        let x = x.set_requires_grad(true);
        let (places, weight) = (noise(&[9, 2]), noise(&[5, 7, 2]));
        let of = |y: &Tensor| {
            let sum = (y * &weight).sum(Kind::Float);
            Tensor::run_backward(&[sum], &[&x], false, false).remove(0)
        };
        let exact = x.transpose(1, 2).softmax(-1, Kind::Float).matmul(&places);
        let found = expected_places(&x, &places).unwrap();
        let alone = no_grad(|| expected_places(&x, &places)).unwrap();
        assert!(found.equal(&alone));
        assert!(largest(&(&found - &exact)) < 1e-6);
        let (found, exact) = (of(&found), of(&exact));
        let allowed = exact.abs() / 256.0 + 1e-6;
        assert!(largest(&((found - exact).abs() / allowed)) <= 1.0);
    }
}
