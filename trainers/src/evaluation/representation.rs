//! What an embedding holds: a linear probe for the ground-truth state, and two measures of how many directions it uses.
//!
//! Embeddings are f32 `(frames, size)` in a row. Nothing here trains an encoder.

use tch::{Kind, Tensor};

use crate::nn::ModelError;

/// Coefficients of determination of the best linear map (with a constant) from embeddings to states, fitted on one set of
/// frames and measured on another: one for each number of the state. 1 is perfect, 0 no better than the mean of the
/// measured states; below 0 is possible. Numbers that do not vary are left out.
///
/// # Errors
/// When the arrays do not fit each other.
pub fn linear_probe(
    fit: (&[f32], &[f32]),
    measure: (&[f32], &[f32]),
    embedding: usize,
    state: usize,
) -> Result<Vec<f64>, ModelError> {
    let (x, y) = (
        with_constant(&matrix(fit.0, embedding)?)?,
        matrix(fit.1, state)?,
    );
    // a touch of ridge: an embedding may have dimensions that are constant or the same
    let size = embedding as i64 + 1;
    let ridge = Tensor::f_eye(size, (Kind::Double, x.device()))? * (1e-8 * x.size()[0] as f64);
    let normal = x.f_transpose(0, 1)?.f_matmul(&x)? + ridge;
    let map = Tensor::f_linalg_solve(&normal, &x.f_transpose(0, 1)?.f_matmul(&y)?, true)?;

    let (x, y) = (
        with_constant(&matrix(measure.0, embedding)?)?,
        matrix(measure.1, state)?,
    );
    explained(&(x.f_matmul(&map)? - &y), &y)
}

/// Coefficients of determination of predictions `(rows, size)`, one for each number of a row; numbers that do not vary are
/// left out.
///
/// # Errors
/// When the arrays do not fit each other.
pub fn determination(
    predicted: &[f32],
    wanted: &[f32],
    size: usize,
) -> Result<Vec<f64>, ModelError> {
    let (x, y) = (matrix(predicted, size)?, matrix(wanted, size)?);
    if x.size() != y.size() {
        return Err(ModelError::Input(format!(
            "expected {} numbers, found {}",
            wanted.len(),
            predicted.len()
        )));
    }
    explained(&(x - &y), &y)
}

/// What a residual leaves of the variance, by column.
fn explained(residual: &Tensor, y: &Tensor) -> Result<Vec<f64>, ModelError> {
    let sum = |x: Tensor| x.sum_dim_intlist([0_i64].as_slice(), false, Kind::Double);
    let mean = y.mean_dim([0_i64].as_slice(), true, Kind::Double);
    let (residual, spread) = (sum(residual.square()), sum((y - mean).square()));
    let (residual, spread) = (doubles(&residual)?, doubles(&spread)?);
    Ok(residual
        .iter()
        .zip(&spread)
        .filter(|(_, spread)| **spread > 1e-12)
        .map(|(residual, spread)| 1.0 - residual / spread)
        .collect())
}

/// RankMe (Garrido et al. 2023, arXiv:2210.02885, equation 1): the exponential of the entropy of the singular values, from
/// 1 (collapsed to a line) to the embedding's size.
///
/// # Errors
/// When the array does not fit the size.
pub fn rank_me(embeddings: &[f32], size: usize) -> Result<f64, ModelError> {
    let values = singular_values(&matrix(embeddings, size)?)?;
    let sum: f64 = values.iter().sum();
    let entropy: f64 = values
        .iter()
        .map(|value| value / sum.max(f64::MIN_POSITIVE) + 1e-7)
        .map(|p| -p * p.ln())
        .sum();
    Ok(entropy.exp())
}

/// α-ReQ (Agrawal et al. 2022, "Assessing representation quality in self-supervised learning by measuring eigenspectrum
/// decay"): -slope of the logarithm of the covariance's eigenvalues over the logarithm of their number. Near 1 is said to be good;
/// larger: few directions carry everything.
///
/// # Errors
/// When the array does not fit the size.
pub fn alpha_req(embeddings: &[f32], size: usize) -> Result<f64, ModelError> {
    let x = matrix(embeddings, size)?;
    let x = &x - x.mean_dim([0_i64].as_slice(), true, Kind::Double);
    let values = singular_values(&x)?;
    let largest = values.first().copied().unwrap_or(0.0);
    let points: Vec<(f64, f64)> = values
        .iter()
        .enumerate()
        // what is nothing but rounding says nothing of the decay
        .filter(|(_, value)| **value > 1e-6 * largest)
        .map(|(number, value)| (((number + 1) as f64).ln(), 2.0 * value.ln()))
        .collect();
    let n = points.len().max(1) as f64;
    let mean = |of: &dyn Fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / n;
    let (x, y) = (mean(&|p| p.0), mean(&|p| p.1));
    let slope = mean(&|p| (p.0 - x) * (p.1 - y)) / mean(&|p| (p.0 - x).powi(2)).max(1e-12);
    Ok(-slope)
}

/// Falling singular values.
fn singular_values(x: &Tensor) -> Result<Vec<f64>, ModelError> {
    let (_, values, _) = x.f_svd(true, false)?;
    doubles(&values)
}

/// `(rows, size)` in f64.
fn matrix(values: &[f32], size: usize) -> Result<Tensor, ModelError> {
    if size == 0 || values.is_empty() || !values.len().is_multiple_of(size) {
        return Err(ModelError::Input(format!(
            "expected rows of {size} numbers, found {} numbers",
            values.len()
        )));
    }
    Ok(Tensor::f_from_slice(values)?
        .f_reshape([-1, size as i64])?
        .f_to_kind(Kind::Double)?)
}

fn with_constant(x: &Tensor) -> Result<Tensor, ModelError> {
    let ones = Tensor::f_ones([x.size()[0], 1], (Kind::Double, x.device()))?;
    Ok(Tensor::f_cat(&[x, &ones], 1)?)
}

fn doubles(x: &Tensor) -> Result<Vec<f64>, ModelError> {
    Ok(Vec::try_from(x.f_contiguous()?)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// n rows of independent numbers in [-1, 1), from a linear congruence.
    fn numbers(count: usize) -> Vec<f32> {
        let mut x = 1_u32;
        let mut next = || {
            x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (x >> 8) as f32 / (1 << 23) as f32 - 1.0
        };
        (0..count).map(|_| next()).collect()
    }

    #[test]
    fn a_probe_finds_a_linear_map_and_nothing_in_noise() {
        let z = numbers(3 * 400);
        let states: Vec<f32> = z
            .chunks(3)
            .zip(numbers(4000).chunks(10))
            .flat_map(|(z, noise)| [2.0 * z[0] - z[2] + 5.0, noise[7], 4.0])
            .collect();
        let (fit, measure) = ((&z[..600], &states[..600]), (&z[600..], &states[600..]));
        let found = linear_probe(fit, measure, 3, 3).unwrap();
        assert_eq!(found.len(), 2, "the constant is left out");
        assert!(found[0] > 1.0 - 1e-9, "{found:?}");
        assert!(found[1].abs() < 0.1, "{found:?}");
    }

    #[test]
    fn rank_counts_directions_and_alpha_their_decay() {
        // four orthogonal columns of the same length; then one of them four times
        let orthogonal: Vec<f32> = (0..64)
            .flat_map(|i| (0..4).map(move |j| if i % 4 == j { 1.0 } else { 0.0 }))
            .collect();
        assert!((rank_me(&orthogonal, 4).unwrap() - 4.0).abs() < 1e-4);
        let same: Vec<f32> = numbers(64).iter().flat_map(|x| [*x; 4]).collect();
        assert!((rank_me(&same, 4).unwrap() - 1.0).abs() < 1e-4);
        // variances 1, 1/2^a, 1/3^a, … by construction: pairs ±e_j / j^(a/2)
        for alpha in [0.5, 1.0, 2.0] {
            let mut z = vec![0.0; 12 * 6];
            for j in 0..6 {
                let value = (j as f64 + 1.0).powf(-alpha / 2.0) as f32;
                z[2 * j * 6 + j] = value;
                z[(2 * j + 1) * 6 + j] = -value;
            }
            assert!((alpha_req(&z, 6).unwrap() - alpha).abs() < 1e-5);
        }
        assert!(rank_me(&[1.0; 5], 4).is_err());
    }
}
