//! Elastic weight consolidation (Kirkpatrick et al. 2017, arXiv:1612.00796, equation 3) on a low-rank update, as E2WM
//! does it (Xiang et al. 2023, arXiv:2305.10626, section 3.3).
//!
//! The adapted weight is W + s B A, so its distance from the base is s B A itself:
//! `penalty = λ/2 Σ F (s B A)²`, `d/dA = λ s² Bᵀ (F ∘ B A)`, `d/dB = λ s² (F ∘ B A) Aᵀ`. Written out by hand: the graph of
//! it would keep two dense matrices per layer. E2WM's own code has no ½; its λ is half of ours.

use tch::{Device, Kind, Tensor, no_grad};

use super::Fisher;
use crate::nn::{Llama, Lora, ModelError};

/// A penalty on leaving the base model where its [`Fisher`] information is large.
pub struct Ewc {
    fisher: Fisher,
    lambda: f64,
}

/// Rows of the dense update formed at once are chosen so that it stays in a core's cache.
const CACHED_VALUES: i64 = 1 << 18;

impl Ewc {
    /// `lambda` is at least 0; see [`super::FisherUnits`] for useful values.
    pub fn new(fisher: Fisher, lambda: f64) -> Self {
        Self { fisher, lambda }
    }

    /// The penalty's value; its gradient is added to `gradient`, laid out as [`Lora::values`]. Both are exactly zero
    /// where B is zero.
    ///
    /// # Errors
    /// When libtorch refuses.
    pub fn add_gradient(
        &self,
        model: &Llama,
        lora: &Lora,
        gradient: &mut [f32],
    ) -> Result<f64, ModelError> {
        let _guard = tch::no_grad_guard();
        let rank = lora.config().rank;
        let kind = model.kind();
        let flat = Tensor::f_from_slice(lora.values())?
            .f_to_device(model.device())?
            .f_to_kind(kind)?;
        let factor = self.lambda * lora.scale() * lora.scale();
        let mut pieces = Vec::with_capacity(2 * lora.targets().len());
        // Σ F (B A)² = Σ B ∘ ((F ∘ B A) Aᵀ): no pass over the dense update is needed for the value
        let mut total = Tensor::f_zeros([1], (Kind::Double, model.device()))?;
        for target in lora.targets() {
            let (a_size, b_size) = (rank * target.columns, target.rows * rank);
            let a = flat
                .f_narrow(0, target.a as i64, a_size)?
                .f_view([rank, target.columns])?;
            let b = flat
                .f_narrow(0, target.b as i64, b_size)?
                .f_view([target.rows, rank])?;
            let fisher = self.fisher.of(model, target.layer, target.kind);
            let at_once = (CACHED_VALUES / target.columns).max(1);
            let mut d_a = Tensor::f_zeros([rank, target.columns], (Kind::Float, model.device()))?;
            let mut d_b = Vec::new();
            for first in (0..target.rows).step_by(at_once as usize) {
                let rows = at_once.min(target.rows - first);
                let b = b.f_narrow(0, first, rows)?;
                let weighted = b.f_mm(&a)?.f_mul_(&fisher.f_narrow(0, first, rows)?)?;
                d_a += b.f_tr()?.f_mm(&weighted)?;
                d_b.push(weighted.f_mm(&a.f_tr()?)?);
            }
            let d_b = Tensor::f_cat(&d_b, 0)?.f_to_kind(Kind::Float)?;
            total += d_b.f_mul(&b.f_to_kind(Kind::Float)?)?.f_sum(Kind::Double)?;
            pieces.push(d_a.f_reshape(-1)?);
            pieces.push(d_b.f_reshape(-1)?);
        }
        let flat = Tensor::f_cat(&pieces, 0)?.f_to_device(Device::Cpu)?;
        let flat = Vec::<f32>::try_from(flat)?;
        let scale = factor as f32;
        for (sum, piece) in gradient.iter_mut().zip(flat) {
            *sum += scale * piece;
        }
        Ok(0.5 * factor * no_grad(|| total.double_value(&[0])))
    }
}
