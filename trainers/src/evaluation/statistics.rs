//! How sure a figure is: Wilson intervals for shares, bootstrap intervals over documents.

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use crate::nn::DocumentNll;

/// A value with its 95 % interval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Estimate {
    /// The figure.
    pub value: f64,
    /// Lower end of its 95 % interval.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// What it was counted or measured over.
    pub n: usize,
}

/// Two-sided 95 % point of the normal distribution.
const Z: f64 = 1.959_963_984_540_054;

/// A share with its Wilson score interval (Wilson 1927; Brown, Cai and DasGupta 2001, equation 4). 0 with the interval
/// [0, 1] when `of` is 0.
pub fn share(right: usize, of: usize) -> Estimate {
    if of == 0 {
        return Estimate {
            high: 1.0,
            ..Estimate::default()
        };
    }
    let (n, p) = (of as f64, right as f64 / of as f64);
    let center = (p + Z * Z / (2.0 * n)) / (1.0 + Z * Z / n);
    let half = Z / (1.0 + Z * Z / n) * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
    Estimate {
        value: p,
        low: (center - half).max(0.0),
        high: (center + half).min(1.0),
        n: of,
    }
}

/// The mean of independent shares (one a task kind), each weighing the same, with a normal interval from the variances
/// of the shares. A share's variance is estimated as if one more of each outcome had been seen (Laplace), so that
/// none is 0.
pub fn mean_of_shares(shares: &[Estimate]) -> Estimate {
    let kinds = shares.len();
    if kinds == 0 {
        return share(0, 0);
    }
    let value = shares.iter().map(|share| share.value).sum::<f64>() / kinds as f64;
    let variance: f64 = shares
        .iter()
        .map(|share| {
            let n = share.n as f64;
            let p = (share.value * n + 1.0) / (n + 2.0);
            p * (1.0 - p) / n.max(1.0)
        })
        .sum();
    let half = Z * variance.sqrt() / kinds as f64;
    Estimate {
        value,
        low: (value - half).max(0.0),
        high: (value + half).min(1.0),
        n: shares.iter().map(|share| share.n).sum(),
    }
}

/// How often documents are drawn anew for an interval.
const RESAMPLES: usize = 2_000;

/// Bits per byte over all documents, with a bootstrap interval: documents drawn with replacement.
pub fn bits_per_byte(documents: &[DocumentNll]) -> Estimate {
    bootstrap(documents.len(), |drawn| {
        bits(drawn.iter().map(|i| documents[*i]))
    })
}

/// By how much a model's bits per byte differ from the base's on the same documents, as a share of the base's (0.01 is
/// one percent more: worse). The same documents are drawn for both.
///
/// # Panics
/// When the two were not measured on equally many documents.
pub fn change(base: &[DocumentNll], model: &[DocumentNll]) -> Estimate {
    assert_eq!(base.len(), model.len(), "the same documents for both");
    bootstrap(base.len(), |drawn| {
        bits(drawn.iter().map(|i| model[*i])) / bits(drawn.iter().map(|i| base[*i])) - 1.0
    })
}

fn bits(documents: impl Iterator<Item = DocumentNll>) -> f64 {
    let (mut nats, mut bytes) = (0.0, 0);
    for document in documents {
        nats += document.nats;
        bytes += document.bytes;
    }
    nats / std::f64::consts::LN_2 / bytes.max(1) as f64
}

/// A figure of `n` things, with the interval of what it is for as many drawn with replacement. The same things are drawn for every
/// figure of as many.
pub fn bootstrap(n: usize, figure: impl Fn(&[usize]) -> f64) -> Estimate {
    if n == 0 {
        return Estimate::default();
    }
    let all: Vec<usize> = (0..n).collect();
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let mut figures: Vec<f64> = (0..RESAMPLES)
        .map(|_| {
            let drawn: Vec<usize> = (0..n).map(|_| rng.random_range(0..n)).collect();
            figure(&drawn)
        })
        .collect();
    figures.sort_by(f64::total_cmp);
    Estimate {
        value: figure(&all),
        low: figures[RESAMPLES * 25 / 1000],
        high: figures[RESAMPLES * 975 / 1000],
        n,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(nats: f64, bytes: usize) -> DocumentNll {
        DocumentNll {
            nats,
            tokens: 1,
            bytes,
        }
    }

    /// Newcombe (1998), table I: 81 of 263 and 15 of 148 and 0 of 20 by the score method.
    #[test]
    fn wilson_intervals_equal_published_ones() {
        for (right, of, low, high) in [
            (81, 263, 0.2553, 0.3662),
            (15, 148, 0.0624, 0.1605),
            (0, 20, 0.0, 0.1611),
        ] {
            let share = share(right, of);
            assert!(
                (share.low - low).abs() < 5e-5 && (share.high - high).abs() < 5e-5,
                "{share:?}"
            );
        }
        assert_eq!((share(0, 0).low, share(0, 0).high), (0.0, 1.0));
    }

    #[test]
    fn bits_weigh_documents_by_their_bytes() {
        let ln2 = std::f64::consts::LN_2;
        let documents = [document(100.0 * ln2, 100), document(600.0 * ln2, 300)];
        let bits = bits_per_byte(&documents);
        assert!((bits.value - 700.0 / 400.0).abs() < 1e-12);
        assert!(bits.low >= 1.0 && bits.high <= 2.0 && bits.low < bits.high);
    }

    #[test]
    fn a_paired_change_has_no_noise_where_documents_change_alike() {
        let base: Vec<DocumentNll> = (1..30)
            .map(|i| document(f64::from(i) * 7.0, 50 + 3 * i as usize))
            .collect();
        let model: Vec<DocumentNll> = base
            .iter()
            .map(|d| DocumentNll {
                nats: d.nats * 1.02,
                ..*d
            })
            .collect();
        let change = change(&base, &model);
        assert!(
            (change.value - 0.02).abs() < 1e-12 && change.high - change.low < 1e-12,
            "{change:?}"
        );
    }

    #[test]
    fn a_mean_of_shares_weighs_kinds_alike() {
        let mean = mean_of_shares(&[share(10, 10), share(0, 30)]);
        assert!((mean.value - 0.5).abs() < 1e-12 && mean.n == 40);
        assert!(mean.low > 0.4 && mean.high < 0.6);
    }
}
