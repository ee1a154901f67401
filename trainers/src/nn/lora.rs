//! Low-rank adaptation (Hu et al. 2021, "LoRA", arXiv:2106.09685, equation 3): `y = W x + (alpha / r) B A x` with W
//! frozen, A `(rank, in)` and B `(out, rank)`.
//!
//! The values live in one flat vector of f32, which is what the optimizer updates and a checkpoint holds. For computing
//! there is a copy in the model's number format, laid out for few and large matrix products: the A's that read the same
//! input are stacked, their B's are the blocks of one block-diagonal matrix, and the scale is multiplied into B.

use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor, no_grad};

use super::{LlamaConfig, ModelError};

/// The linear layers of a block, by Hugging Face's names.
pub const KINDS: [&str; 7] = [
    "q_proj",
    "k_proj",
    "v_proj",
    "o_proj",
    "gate_proj",
    "up_proj",
    "down_proj",
];

/// Which of [`KINDS`] read the same input, as ranges: their weights are stacked and multiplied at once.
pub(crate) const GROUPS: [std::ops::Range<usize>; 4] = [0..3, 3..4, 4..6, 6..7];

/// Shape and place of an adapter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LoraConfig {
    /// Rank r, at least 1; usual 4 to 64. More learns more and forgets more.
    pub rank: i64,
    /// The update is scaled by alpha / rank; usual 2 x rank.
    pub alpha: f64,
    /// Adapted layers, names of [`KINDS`].
    pub targets: Vec<String>,
}

impl Default for LoraConfig {
    fn default() -> Self {
        Self {
            rank: 16,
            alpha: 32.0,
            targets: KINDS.map(str::to_owned).to_vec(),
        }
    }
}

/// One adapted weight matrix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Block number.
    pub layer: usize,
    /// Index into [`KINDS`].
    pub kind: usize,
    /// Outputs of the layer.
    pub rows: i64,
    /// Inputs of the layer.
    pub columns: i64,
    /// Where A `(rank, columns)` and B `(rows, rank)` start in the flat values.
    pub a: usize,
    /// See `a`.
    pub b: usize,
    /// Place of this target among the adapted ones of its group, and its first row in the group's stacked weight.
    slot: i64,
    first_row: i64,
}

impl Target {
    /// Name of the adapted module, `model.layers.3.self_attn.q_proj`.
    pub fn module(&self) -> String {
        let parent = if self.kind < 4 { "self_attn" } else { "mlp" };
        format!("model.layers.{}.{parent}.{}", self.layer, KINDS[self.kind])
    }

    fn group(&self) -> usize {
        GROUPS
            .iter()
            .position(|kinds| kinds.contains(&self.kind))
            .expect("the groups cover all kinds")
    }
}

/// The computing copy of the adapters of one group.
struct Compute {
    /// Stacked A `(targets x rank, in)`.
    a: Tensor,
    /// Block-diagonal scale x B `(rows of the group, targets x rank)`.
    b: Tensor,
}

/// An adapter of a model; see the module's documentation.
pub struct Lora {
    config: LoraConfig,
    targets: Vec<Target>,
    values: Vec<f32>,
    /// `[layer][group]`.
    compute: Vec<[Option<Compute>; 4]>,
    device: Device,
}

impl Lora {
    /// A new adapter for a model of that shape: A uniform in ±1/sqrt(in) (PEFT's Kaiming uniform with a = sqrt 5), B
    /// zero, so that the adapted model equals the base.
    ///
    /// # Errors
    /// When the rank is below 1 or a target is not among [`KINDS`].
    pub fn new(
        model: &LlamaConfig,
        config: LoraConfig,
        kind: Kind,
        device: Device,
        rng: &mut ChaCha8Rng,
    ) -> Result<Self, ModelError> {
        let mut lora = Self::zeros(model, config, kind, device)?;
        for target in &lora.targets {
            #[expect(
                clippy::cast_possible_truncation,
                reason = "a bound needs no more digits"
            )]
            let bound = (1.0 / (target.columns as f64).sqrt()) as f32;
            for value in &mut lora.values[target.a..target.b] {
                *value = rng.random_range(-bound..bound);
            }
        }
        lora.synchronize()?;
        Ok(lora)
    }

    /// An adapter whose A and B are zero, to be filled by [`Lora::set_values`].
    ///
    /// # Errors
    /// As [`Lora::new`].
    pub fn zeros(
        model: &LlamaConfig,
        config: LoraConfig,
        kind: Kind,
        device: Device,
    ) -> Result<Self, ModelError> {
        let rank = config.rank;
        if rank < 1 {
            return Err(ModelError::Adapter(format!(
                "rank: expected at least 1, found {rank}"
            )));
        }
        if config.targets.is_empty() {
            return Err(ModelError::Adapter(format!(
                "targets: expected one or more of {KINDS:?}, found none"
            )));
        }
        if let Some(other) = config
            .targets
            .iter()
            .find(|name| !KINDS.contains(&name.as_str()))
        {
            return Err(ModelError::Adapter(format!(
                "targets: expected names of {KINDS:?}, found {other:?}"
            )));
        }
        let (mut targets, mut compute, mut end) = (Vec::new(), Vec::new(), 0);
        for layer in 0..model.num_hidden_layers as usize {
            let mut groups = [const { None }; 4];
            for (group, kinds) in GROUPS.into_iter().enumerate() {
                let (mut slot, mut first_row, columns) = (0, 0, model.columns(kinds.start));
                for kind in kinds {
                    let rows = model.rows(kind);
                    if config.targets.iter().any(|name| name == KINDS[kind]) {
                        let (a, b) = (end, end + (rank * columns) as usize);
                        end = b + (rows * rank) as usize;
                        targets.push(Target {
                            layer,
                            kind,
                            rows,
                            columns,
                            a,
                            b,
                            slot,
                            first_row,
                        });
                        slot += 1;
                    }
                    first_row += rows;
                }
                if slot > 0 {
                    let leaf = |size: [i64; 2]| {
                        Tensor::f_zeros(size, (kind, device))?.f_set_requires_grad(true)
                    };
                    groups[group] = Some(Compute {
                        a: leaf([slot * rank, columns])?,
                        b: leaf([first_row, slot * rank])?,
                    });
                }
            }
            compute.push(groups);
        }
        Ok(Self {
            config,
            targets,
            values: vec![0.0; end],
            compute,
            device,
        })
    }

    /// Rank, alpha and targets.
    pub fn config(&self) -> &LoraConfig {
        &self.config
    }

    /// alpha / rank.
    pub fn scale(&self) -> f64 {
        self.config.alpha / self.config.rank as f64
    }

    /// The adapted matrices, block by block, within a block in the order of [`KINDS`].
    pub fn targets(&self) -> &[Target] {
        &self.targets
    }

    /// All values, for each target A `(rank, in)` and then B `(out, rank)`, row-major.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// Changes the values, then renews the computing copy.
    ///
    /// # Errors
    /// When libtorch refuses.
    pub fn update(&mut self, change: impl FnOnce(&mut [f32])) -> Result<(), ModelError> {
        change(&mut self.values);
        self.synchronize()
    }

    /// Replaces all values.
    ///
    /// # Errors
    /// When their number differs.
    pub fn set_values(&mut self, values: &[f32]) -> Result<(), ModelError> {
        if values.len() != self.values.len() {
            return Err(ModelError::Adapter(format!(
                "expected {} values, found {}",
                self.values.len(),
                values.len()
            )));
        }
        self.update(|own| own.copy_from_slice(values))
    }

    /// A `(rank, in)` and B `(out, rank)` of a target as f32 tensors (copies).
    pub fn matrices(&self, target: &Target) -> (Tensor, Tensor) {
        let rank = self.config.rank;
        let end = target.b + (target.rows * rank) as usize;
        (
            Tensor::from_slice(&self.values[target.a..target.b]).reshape([rank, target.columns]),
            Tensor::from_slice(&self.values[target.b..end]).reshape([target.rows, rank]),
        )
    }

    /// The tensors that gradients are asked for; see [`Lora::add_gradient`].
    pub(crate) fn leaves(&self) -> Vec<Tensor> {
        self.compute
            .iter()
            .flatten()
            .flatten()
            .flat_map(|group| [group.a.shallow_clone(), group.b.shallow_clone()])
            .collect()
    }

    /// Adds the gradients with respect to [`Lora::leaves`], in that order, to a gradient laid out as
    /// [`Lora::values`].
    pub(crate) fn add_gradient(
        &self,
        gradients: &[Tensor],
        into: &mut [f32],
    ) -> Result<(), ModelError> {
        let (rank, scale) = (self.config.rank, self.scale());
        let mut pairs = gradients.chunks_exact(2);
        let mut current = (usize::MAX, 0, &gradients[..0]);
        let mut pieces = Vec::with_capacity(2 * self.targets.len());
        for target in &self.targets {
            if (target.layer, target.group()) != (current.0, current.1) {
                let pair = pairs.next().expect("one pair of gradients per group");
                current = (target.layer, target.group(), pair);
            }
            let [a, b] = current.2 else {
                unreachable!("chunks of two")
            };
            let columns = a.f_narrow(0, target.slot * rank, rank)?;
            pieces.push(columns.f_to_kind(Kind::Float)?.f_reshape(-1)?);
            let block = b.f_narrow(0, target.first_row, target.rows)?.f_narrow(
                1,
                target.slot * rank,
                rank,
            )?;
            // the computing copy holds scale x B
            pieces.push((block.f_to_kind(Kind::Float)? * scale).f_reshape(-1)?);
        }
        let flat = Vec::<f32>::try_from(Tensor::f_cat(&pieces, 0)?.to_device(Device::Cpu))?;
        for (sum, gradient) in into.iter_mut().zip(flat) {
            *sum += gradient;
        }
        Ok(())
    }

    /// `W x` of a group without the adapter in, with the adapter out. `x` is `(tokens, in)`, `y` `(tokens, rows of
    /// the group)`.
    pub(crate) fn apply(&self, layer: usize, group: usize, x: &Tensor, mut y: Tensor) -> Tensor {
        match &self.compute[layer][group] {
            None => y,
            // in place: y is wide, and nobody needs it without the adapter
            Some(Compute { a, b }) => y.addmm_(&x.matmul(&a.tr()), &b.tr()),
        }
    }

    /// The dense update scale x B A of a group `(rows of the group, in)` in f32, or `None` where nothing is adapted.
    pub(crate) fn delta(&self, layer: usize, group: usize) -> Option<Tensor> {
        let Compute { a, b } = self.compute[layer][group].as_ref()?;
        Some(no_grad(|| {
            b.to_kind(Kind::Float).matmul(&a.to_kind(Kind::Float))
        }))
    }

    fn synchronize(&mut self) -> Result<(), ModelError> {
        let (rank, scale) = (self.config.rank, self.scale());
        let plain = Tensor::f_from_slice(&self.values)?.f_to_device(self.device)?;
        let scaled = &plain * scale;
        no_grad(|| {
            for target in &self.targets {
                let Some(group) = &self.compute[target.layer][target.group()] else {
                    unreachable!("a target's group has a computing copy")
                };
                let (first, a_size, b_size) = (
                    target.slot * rank,
                    rank * target.columns,
                    target.rows * rank,
                );
                let a = plain
                    .f_narrow(0, target.a as i64, a_size)?
                    .f_view([rank, target.columns])?;
                group.a.f_narrow(0, first, rank)?.f_copy_(&a)?;
                let b = scaled
                    .f_narrow(0, target.b as i64, b_size)?
                    .f_view([target.rows, rank])?;
                let block = group.b.f_narrow(0, target.first_row, target.rows)?;
                block.f_narrow(1, first, rank)?.f_copy_(&b)?;
            }
            Ok(())
        })
    }
}
