//! Diagonal Fisher information of a base model's adapted weights: how much each of them matters for a text.
//!
//! `F[w] = mean over sequences of (d loss / d w)²`, one backward pass per sequence on the frozen base without adapter
//! (Kirkpatrick et al. 2017, arXiv:1612.00796, section 2; E2WM, arXiv:2305.10626, takes one gradient per document).
//! With the text's own tokens as labels this is the empirical Fisher; with labels drawn from the model, see
//! [`sample_labels`], the true one.

use std::fs;
use std::path::Path;

use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor, no_grad};

use crate::nn::{Llama, ModelError, Packed};

/// A text to estimate on: `labels[p]` is the token to be predicted at position p from `ids[..p]`, or `None` where the
/// loss does not look. Position 0 is never predicted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sequence {
    /// Token ids.
    pub ids: Vec<i64>,
    /// As long as `ids`.
    pub labels: Vec<Option<i64>>,
}

impl Sequence {
    /// A text whose every token but the first is predicted.
    pub fn whole(ids: Vec<i64>) -> Self {
        let labels = ids.iter().copied().map(Some).collect();
        Self { ids, labels }
    }

    /// Positions of the hidden states that predict, and what they predict.
    fn predicted(&self) -> (Vec<i64>, Vec<i64>) {
        let labels = self.labels.iter().enumerate().skip(1);
        labels
            .filter_map(|(at, label)| Some((at as i64 - 1, (*label)?)))
            .unzip()
    }
}

/// What a sequence's loss is, before its gradient is squared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LossOf {
    /// The mean over its predicted tokens, as E2WM has it; F does not grow with the length of the texts.
    #[default]
    Mean,
    /// The sum, the gradient of the whole sequence's likelihood: about tokens² times larger.
    Sum,
}

/// Units of the information that the penalty uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FisherUnits {
    /// As estimated; useful λ with [`LossOf::Mean`]: 1e4 to 1e5.
    #[default]
    Raw,
    /// Each row rescaled so that its largest entry is 127, and rounded: what E2WM's 8-bit loading makes of it. Every
    /// row weighs the same and most entries become 0; useful λ: 0.01 to 1. Not the same penalty in other units.
    Row127,
}

/// What can go wrong beside the model.
#[derive(Debug, thiserror::Error)]
pub enum FisherError {
    /// No sequence has a token to be predicted.
    #[error("Fisher information: no text with at least two tokens")]
    NoText,
    /// Stopped on request.
    #[error("stopped")]
    Stopped,
    /// The model refused.
    #[error(transparent)]
    Model(#[from] ModelError),
}

impl From<tch::TchError> for FisherError {
    fn from(error: tch::TchError) -> Self {
        Self::Model(error.into())
    }
}

/// Diagonal Fisher information of all linear layers.
pub struct Fisher {
    /// Block by block, the model's groups of stacked weights (q, k, v; o; gate, up; down), each `(out, in)`.
    groups: Vec<Tensor>,
}

impl Fisher {
    /// Estimates the information. An attached adapter is taken off for the time. The result is kept in the model's
    /// number format; squares are summed in f32. `progress(done)` is called after each sequence and stops the estimate
    /// by returning false.
    ///
    /// # Errors
    /// When no sequence has a predicted token, a sequence does not fit the model, or `progress` says so.
    pub fn estimate(
        model: &mut Llama,
        sequences: &[Sequence],
        labels: LossOf,
        mut progress: impl FnMut(usize) -> bool,
    ) -> Result<Self, FisherError> {
        let adapter = model.detach();
        let weights = model.groups();
        for weight in &weights {
            let _same = weight.set_requires_grad(true);
        }
        let estimated = estimate(model, &weights, sequences, labels, &mut progress);
        for weight in &weights {
            let _same = weight.set_requires_grad(false);
        }
        if let Some(adapter) = adapter {
            model.attach(adapter);
        }
        estimated
    }

    /// The information in other units; see [`FisherUnits`].
    pub fn in_units(self, units: FisherUnits) -> Self {
        match units {
            FisherUnits::Raw => self,
            FisherUnits::Row127 => {
                let row127 = |group: &Tensor| {
                    let wide = group.to_kind(Kind::Float);
                    let largest = wide.amax(1, true).clamp_min(f64::from(f32::MIN_POSITIVE));
                    (wide / largest * 127.0).round().to_kind(group.kind())
                };
                Self {
                    groups: self.groups.iter().map(row127).collect(),
                }
            }
        }
    }

    /// The information of a linear layer's weight `(out, in)`, a view; `kind` is an index into [`crate::nn::KINDS`].
    pub fn of(&self, model: &Llama, layer: usize, kind: usize) -> Tensor {
        let (group, first, rows) = model.place(kind);
        self.groups[4 * layer + group].narrow(0, first, rows)
    }

    /// Sum over all entries.
    pub fn total(&self) -> f64 {
        let sum = |group: &Tensor| group.sum(Kind::Double).double_value(&[]);
        self.groups.iter().map(sum).sum()
    }

    /// Writes the information to a file, at once: a reader sees it whole or not at all.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save(&self, path: &Path) -> std::io::Result<()> {
        let tensors: Vec<_> = self
            .groups
            .iter()
            .enumerate()
            .map(|(number, group)| {
                let dtype = if group.kind() == Kind::BFloat16 {
                    Dtype::BF16
                } else {
                    Dtype::F32
                };
                let mut bytes = vec![0; group.numel() * group.kind().elt_size_in_bytes()];
                group
                    .to_device(Device::Cpu)
                    .contiguous()
                    .copy_data_u8(&mut bytes, group.numel());
                let shape: Vec<usize> = group.size().iter().map(|size| *size as usize).collect();
                (format!("group.{number:04}"), dtype, shape, bytes)
            })
            .collect();
        let views = tensors.iter().map(|(name, dtype, shape, bytes)| {
            let view = TensorView::new(*dtype, shape.clone(), bytes)
                .expect("the bytes are those of the shape");
            (name.clone(), view)
        });
        let bytes = safetensors::serialize(views, None).expect("views of whole tensors serialize");
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let temporary = path.with_extension(format!("{}.tmp", std::process::id()));
        fs::write(&temporary, bytes)?;
        fs::rename(&temporary, path)
    }

    /// Reads what [`Fisher::save`] wrote for a model of this shape; `None` when there is no such file or it does not
    /// fit, so that it is estimated again.
    pub fn load(path: &Path, model: &Llama) -> Option<Self> {
        let bytes = fs::read(path).ok()?;
        let file = SafeTensors::deserialize(&bytes).ok()?;
        let weights = model.groups();
        let mut groups = Vec::with_capacity(weights.len());
        for (number, weight) in weights.iter().enumerate() {
            let view = file.tensor(&format!("group.{number:04}")).ok()?;
            let tensor = crate::nn::tensor_of(&view).ok()?;
            if tensor.size() != weight.size() {
                return None;
            }
            groups.push(tensor.to_kind(weight.kind()).to_device(weight.device()));
        }
        Some(Self { groups })
    }
}

fn estimate(
    model: &Llama,
    weights: &[Tensor],
    sequences: &[Sequence],
    labels: LossOf,
    progress: &mut impl FnMut(usize) -> bool,
) -> Result<Fisher, FisherError> {
    let mut sums: Vec<Tensor> = weights
        .iter()
        .map(|weight| Tensor::f_zeros(weight.size(), (Kind::Float, weight.device())))
        .collect::<Result<_, _>>()?;
    let mut counted = 0;
    for (number, sequence) in sequences.iter().enumerate() {
        let (positions, targets) = sequence.predicted();
        if positions.is_empty() {
            continue;
        }
        let hidden = model.hidden(&Packed::of(&[&sequence.ids]))?;
        let logits = model.logits(&hidden, &positions);
        let targets = Tensor::from_slice(&targets).to_device(logits.device());
        let reduction = match labels {
            LossOf::Mean => tch::Reduction::Mean,
            LossOf::Sum => tch::Reduction::Sum,
        };
        let loss = logits.f_cross_entropy_loss::<Tensor>(&targets, None, reduction, -100, 0.0)?;
        let gradients = Tensor::f_run_backward(&[loss], weights, false, false)?;
        no_grad(|| {
            for (sum, gradient) in sums.iter_mut().zip(gradients) {
                let gradient = gradient.to_kind(Kind::Float);
                let _sum = sum.addcmul_(&gradient, &gradient);
            }
        });
        counted += 1;
        if !progress(number + 1) {
            return Err(FisherError::Stopped);
        }
    }
    if counted == 0 {
        return Err(FisherError::NoText);
    }
    let kind = model.kind();
    let groups = no_grad(|| {
        sums.into_iter()
            .map(|mut sum| sum.divide_scalar_(f64::from(counted)).to_kind(kind))
            .collect()
    });
    Ok(Fisher { groups })
}

/// The sequence with labels drawn from the model's own predictions at the predicted positions, the inputs as given:
/// with these the estimate is the true Fisher information.
///
/// # Errors
/// When the sequence does not fit the model.
pub fn sample_labels(
    model: &Llama,
    sequence: &Sequence,
    rng: &mut ChaCha8Rng,
) -> Result<Sequence, ModelError> {
    let (positions, _) = sequence.predicted();
    let mut sampled = sequence.clone();
    if positions.is_empty() {
        return Ok(sampled);
    }
    let cumulative = no_grad(|| -> Result<Tensor, ModelError> {
        let hidden = model.hidden(&Packed::of(&[&sequence.ids]))?;
        let probabilities = model.logits(&hidden, &positions).softmax(-1, Kind::Double);
        Ok(probabilities.cumsum(-1, Kind::Double))
    })?;
    let last = model.config().vocab_size - 1;
    for (row, position) in positions.iter().enumerate() {
        let row = Vec::<f64>::try_from(cumulative.get(row as i64))?;
        let drawn = rng.random_range(0.0..1.0);
        let label = row.partition_point(|below| *below <= drawn) as i64;
        sampled.labels[*position as usize + 1] = Some(label.min(last));
    }
    Ok(sampled)
}
