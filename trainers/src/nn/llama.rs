//! A Llama-shaped decoder (Touvron et al. 2023, arXiv:2302.13971; grouped-query attention as in Llama 2): RMSNorm,
//! rotary position embeddings in Hugging Face's rotate_half order, SwiGLU, tied or untied output head.
//!
//! Texts of different lengths are computed without padding: [`Packed`] lays them one after another, every linear layer
//! sees one long row, and only attention is called text by text. Matrices that read the same input (q, k, v; gate, up)
//! are stacked. Output logits, the largest product of a small model, are computed only at the positions asked for.

use tch::{Device, Kind, Tensor};

use super::lora::GROUPS;
use super::{Lora, ModelError, Weights};

/// Sizes and constants, with Hugging Face's names.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct LlamaConfig {
    /// Number of tokens.
    pub vocab_size: i64,
    /// Width of the residual stream.
    pub hidden_size: i64,
    /// Width inside the feed-forward layers.
    pub intermediate_size: i64,
    /// Number of blocks.
    pub num_hidden_layers: i64,
    /// Query heads.
    pub num_attention_heads: i64,
    /// Key and value heads; divides the query heads.
    pub num_key_value_heads: i64,
    /// Width of a head; even.
    pub head_dim: i64,
    /// Longest text in tokens.
    pub max_position_embeddings: i64,
    /// Added to the mean square before the root.
    pub rms_norm_eps: f64,
    /// Base of the rotary frequencies.
    pub rope_theta: f64,
    /// Whether the output head is the embedding.
    pub tie_word_embeddings: bool,
}

impl LlamaConfig {
    /// From a Hugging Face config.json of model type "llama".
    ///
    /// # Errors
    /// A message naming the key, what was expected and what was found.
    pub fn from_json(json: &serde_json::Value) -> Result<Self, String> {
        if json["model_type"] != "llama" {
            return Err(format!(
                "model_type: expected \"llama\", found {}",
                json["model_type"]
            ));
        }
        for key in ["attention_bias", "mlp_bias"] {
            if json[key] == true {
                return Err(format!("{key}: biases are not supported"));
            }
        }
        if !matches!(json["hidden_act"].as_str(), None | Some("silu")) {
            return Err(format!(
                "hidden_act: expected \"silu\", found {}",
                json["hidden_act"]
            ));
        }
        let rope = &json["rope_parameters"];
        for kind in [
            &rope["rope_type"],
            &json["rope_scaling"]["rope_type"],
            &json["rope_scaling"]["type"],
        ] {
            if !matches!(kind.as_str(), None | Some("default")) {
                return Err(format!("rope_type: expected \"default\", found {kind}"));
            }
        }
        let int = |key: &str| {
            json[key]
                .as_i64()
                .ok_or_else(|| format!("{key}: expected an integer, found {}", json[key]))
        };
        let (hidden_size, heads) = (int("hidden_size")?, int("num_attention_heads")?);
        Ok(Self {
            vocab_size: int("vocab_size")?,
            hidden_size,
            intermediate_size: int("intermediate_size")?,
            num_hidden_layers: int("num_hidden_layers")?,
            num_attention_heads: heads,
            num_key_value_heads: json["num_key_value_heads"].as_i64().unwrap_or(heads),
            head_dim: json["head_dim"]
                .as_i64()
                .unwrap_or(hidden_size.checked_div(heads).unwrap_or(0)),
            max_position_embeddings: int("max_position_embeddings")?,
            rms_norm_eps: json["rms_norm_eps"].as_f64().unwrap_or(1e-6),
            rope_theta: json["rope_theta"]
                .as_f64()
                .or(rope["rope_theta"].as_f64())
                .unwrap_or(10000.0),
            tie_word_embeddings: json["tie_word_embeddings"].as_bool().unwrap_or(false),
        })
    }

    /// Whether a model can be built of these sizes.
    ///
    /// # Errors
    /// When a size is not positive or does not divide as it must.
    pub fn check(&self) -> Result<(), ModelError> {
        let sizes = [
            ("vocabulary size", self.vocab_size),
            ("hidden size", self.hidden_size),
            ("intermediate size", self.intermediate_size),
            ("number of blocks", self.num_hidden_layers),
            ("number of heads", self.num_attention_heads),
            ("number of key-value heads", self.num_key_value_heads),
            ("head size", self.head_dim),
            ("context length", self.max_position_embeddings),
        ];
        if let Some((name, size)) = sizes.iter().find(|(_, size)| !(1..=1 << 24).contains(size)) {
            return Err(ModelError::Weights(format!(
                "{name}: expected 1 to 2^24, found {size}"
            )));
        }
        if self.num_attention_heads % self.num_key_value_heads != 0 || self.head_dim % 2 != 0 {
            return Err(ModelError::Weights(format!(
                "expected an even head size and key-value heads that divide the heads, found {} and {} of {}",
                self.head_dim, self.num_key_value_heads, self.num_attention_heads
            )));
        }
        Ok(())
    }

    /// Outputs of a linear layer, by index into [`super::KINDS`].
    pub(crate) fn rows(&self, kind: usize) -> i64 {
        match kind {
            0 => self.num_attention_heads * self.head_dim,
            1 | 2 => self.num_key_value_heads * self.head_dim,
            4 | 5 => self.intermediate_size,
            _ => self.hidden_size,
        }
    }

    /// Inputs of a linear layer, by index into [`super::KINDS`].
    pub(crate) fn columns(&self, kind: usize) -> i64 {
        match kind {
            3 => self.num_attention_heads * self.head_dim,
            6 => self.intermediate_size,
            _ => self.hidden_size,
        }
    }
}

/// Token sequences laid one after another; attention does not cross from one to the next.
#[derive(Default)]
pub struct Packed {
    ids: Vec<i64>,
    positions: Vec<i64>,
    rows: Vec<Row>,
}

struct Row {
    tokens: i64,
    /// `(tokens, tokens)`, true where a token (first axis) sees another; causal when absent.
    mask: Option<Tensor>,
}

impl Packed {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Several sequences, each seen causally.
    pub fn of<S: AsRef<[i64]>>(sequences: &[S]) -> Self {
        let mut packed = Self::new();
        for sequence in sequences {
            packed.push(sequence.as_ref());
        }
        packed
    }

    /// Appends a sequence and returns where it starts. An empty one adds nothing.
    pub fn push(&mut self, ids: &[i64]) -> usize {
        let start = self.ids.len();
        if !ids.is_empty() {
            self.ids.extend_from_slice(ids);
            self.positions.extend(0..ids.len() as i64);
            self.rows.push(Row {
                tokens: ids.len() as i64,
                mask: None,
            });
        }
        start
    }

    /// Appends a prompt followed by its continuations, each of which sees the prompt and itself but no other
    /// continuation: the prompt is computed once for all of them. Returns where the prompt starts; the continuations
    /// follow it in order.
    pub fn push_tree<S: AsRef<[i64]>>(&mut self, prompt: &[i64], continuations: &[S]) -> usize {
        let (start, shared) = (self.ids.len(), prompt.len());
        self.ids.extend_from_slice(prompt);
        self.positions.extend(0..shared as i64);
        // which continuation a token belongs to; 0 is the prompt
        let mut branch = vec![0; shared];
        for (number, continuation) in continuations.iter().enumerate() {
            let ids = continuation.as_ref();
            self.ids.extend_from_slice(ids);
            self.positions
                .extend((shared..shared + ids.len()).map(|position| position as i64));
            branch.extend(vec![number + 1; ids.len()]);
        }
        let tokens = branch.len();
        if tokens == 0 {
            return start;
        }
        let mut mask = vec![false; tokens * tokens];
        for seeing in 0..tokens {
            for seen in 0..=seeing {
                mask[seeing * tokens + seen] = branch[seen] == 0 || branch[seen] == branch[seeing];
            }
        }
        let tokens = tokens as i64;
        self.rows.push(Row {
            tokens,
            mask: Some(Tensor::from_slice(&mask).reshape([tokens, tokens])),
        });
        start
    }

    /// Number of tokens.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there are no tokens.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// Lengths of the sequences, in tokens.
    pub(crate) fn lengths(&self) -> Vec<i64> {
        self.rows.iter().map(|row| row.tokens).collect()
    }
}

/// One block's frozen weights. `linear[g]` is group g of [`GROUPS`]: q, k, v stacked; o; gate, up stacked; down.
struct Block {
    input_norm: Tensor,
    post_norm: Tensor,
    linear: [Tensor; 4],
}

/// The model: frozen weights and, optionally, an adapter.
pub struct Llama {
    config: LlamaConfig,
    /// Identifies the weights: blake3 of the file they were read from.
    digest: String,
    embedding: Tensor,
    blocks: Vec<Block>,
    norm: Tensor,
    head: Tensor,
    /// Rotary cosine and signed sine by position, f32 `(max_position_embeddings, head_dim)`.
    rope: (Tensor, Tensor),
    lora: Option<Lora>,
}

impl Llama {
    /// Builds the model; `digest` identifies the weights in checkpoints.
    ///
    /// # Errors
    /// When a tensor is missing or of the wrong shape.
    pub fn new(
        config: LlamaConfig,
        weights: &Weights,
        kind: Kind,
        device: Device,
        digest: String,
    ) -> Result<Self, ModelError> {
        config.check()?;
        let place = |tensor: &Tensor| tensor.f_to_device(device)?.f_to_kind(kind);
        let width = config.hidden_size;
        let norm = |name: &str| Ok::<_, ModelError>(place(weights.get(name, &[width])?)?);
        let embedding =
            place(weights.get("model.embed_tokens.weight", &[config.vocab_size, width])?)?;
        let head = if config.tie_word_embeddings {
            embedding.shallow_clone()
        } else {
            place(weights.get("lm_head.weight", &[config.vocab_size, width])?)?
        };
        let mut blocks = Vec::new();
        for layer in 0..config.num_hidden_layers as usize {
            let group = |kinds: std::ops::Range<usize>| {
                let parts = kinds
                    .map(|kind| {
                        weights.get(
                            &format!("{}.weight", module(layer, kind)),
                            &[config.rows(kind), config.columns(kind)],
                        )
                    })
                    .collect::<Result<Vec<_>, _>>()?;
                Ok::<_, ModelError>(place(&Tensor::f_cat(&parts, 0)?)?)
            };
            let [qkv, o, gate_up, down] = GROUPS;
            blocks.push(Block {
                input_norm: norm(&format!("model.layers.{layer}.input_layernorm.weight"))?,
                post_norm: norm(&format!(
                    "model.layers.{layer}.post_attention_layernorm.weight"
                ))?,
                linear: [group(qkv)?, group(o)?, group(gate_up)?, group(down)?],
            });
        }
        Ok(Self {
            digest,
            embedding,
            blocks,
            norm: norm("model.norm.weight")?,
            head,
            rope: rope_tables(&config, device),
            lora: None,
            config,
        })
    }

    /// Sizes and constants.
    pub fn config(&self) -> &LlamaConfig {
        &self.config
    }

    /// blake3 of the file the weights were read from, hexadecimal.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// Number format of weights and activations.
    pub fn kind(&self) -> Kind {
        self.embedding.kind()
    }

    /// Where the model computes.
    pub fn device(&self) -> Device {
        self.embedding.device()
    }

    /// The attached adapter.
    pub fn lora(&self) -> Option<&Lora> {
        self.lora.as_ref()
    }

    /// The attached adapter, to be changed.
    pub fn lora_mut(&mut self) -> Option<&mut Lora> {
        self.lora.as_mut()
    }

    /// Attaches an adapter made for this model's shape, kind and device; returns the one it replaces.
    pub fn attach(&mut self, lora: Lora) -> Option<Lora> {
        self.lora.replace(lora)
    }

    /// Takes the adapter off: the model is the base again.
    pub fn detach(&mut self) -> Option<Lora> {
        self.lora.take()
    }

    /// Adds the adapter's update to the weights and takes the adapter off. In bf16 the sum is rounded: small updates
    /// are lost in part.
    pub fn merge(&mut self) {
        let Some(lora) = self.lora.take() else { return };
        for (layer, block) in self.blocks.iter_mut().enumerate() {
            for (group, weight) in block.linear.iter_mut().enumerate() {
                if let Some(delta) = lora.delta(layer, group) {
                    *weight = (weight.to_kind(Kind::Float) + delta).to_kind(weight.kind());
                }
            }
        }
    }

    /// The frozen weight of a linear layer `(out, in)`, a view; `kind` is an index into [`super::KINDS`].
    pub fn weight(&self, layer: usize, kind: usize) -> Tensor {
        let (group, first, rows) = self.place(kind);
        self.blocks[layer].linear[group].narrow(0, first, rows)
    }

    /// Group, first row and number of rows of a kind's weight in the stacked weight of its group.
    pub(crate) fn place(&self, kind: usize) -> (usize, i64, i64) {
        let group = GROUPS
            .iter()
            .position(|kinds| kinds.contains(&kind))
            .expect("the groups cover all kinds");
        let before = GROUPS[group].start..kind;
        (
            group,
            before.map(|kind| self.config.rows(kind)).sum(),
            self.config.rows(kind),
        )
    }

    /// The frozen weights of all groups, block by block, sharing memory with the model: for gradients with respect to
    /// the base.
    pub(crate) fn groups(&self) -> Vec<Tensor> {
        self.blocks
            .iter()
            .flat_map(|block| block.linear.iter().map(Tensor::shallow_clone))
            .collect()
    }

    /// Last hidden states `(tokens, hidden_size)` before the final norm; feed them to [`Llama::logits`]. With an
    /// adapter and outside `tch::no_grad`, the result carries the graph for gradients.
    ///
    /// # Errors
    /// When a token lies outside the vocabulary or a sequence is longer than the model's context.
    pub fn hidden(&self, packed: &Packed) -> Result<Tensor, ModelError> {
        self.hidden_with(packed, |_, _, _, _| ())
    }

    /// As [`Llama::hidden`]; `store(layer, sequence, k, v)` sees each sequence's rotated keys and its values
    /// `(1, kv_heads, tokens, head_dim)`.
    pub(super) fn hidden_with(
        &self,
        packed: &Packed,
        mut store: impl FnMut(usize, usize, &Tensor, &Tensor),
    ) -> Result<Tensor, ModelError> {
        let lengths = packed.lengths();
        let to_device = |mask: &Tensor| mask.to_device(self.device());
        let masks: Vec<_> = packed
            .rows
            .iter()
            .map(|row| row.mask.as_ref().map(to_device))
            .collect();
        // made when the first block turns out to need them, used by all blocks
        let mut added: Vec<Tensor> = Vec::new();
        self.run(&packed.ids, &packed.positions, |layer, q, k, v| {
            let with_gradient = q.requires_grad() || k.requires_grad() || v.requires_grad();
            if with_gradient && added.is_empty() {
                added = masks
                    .iter()
                    .zip(&lengths)
                    .map(|(mask, tokens)| self.added_mask(mask.as_ref(), *tokens))
                    .collect();
            }
            let [q, k, v] = [q, k, v].map(|x| x.split_with_sizes(&lengths[..], 0));
            let attended: Vec<_> = (0..lengths.len())
                .map(|row| {
                    // (tokens, heads, head_dim) -> (1, heads, tokens, head_dim) and back
                    let [q, k, v] =
                        [&q[row], &k[row], &v[row]].map(|x| x.transpose(0, 1).unsqueeze(0));
                    store(layer, row, &k, &v);
                    let out = if with_gradient {
                        attention_with_gradient(&q, &k, &v, &added[row])
                    } else {
                        attention(&q, &k, &v, masks[row].as_ref())
                    };
                    out.squeeze_dim(0)
                        .transpose(0, 1)
                        .reshape([lengths[row], -1])
                })
                .collect();
            if attended.len() == 1 {
                attended[0].shallow_clone()
            } else {
                Tensor::cat(&attended, 0)
            }
        })
    }

    /// What is added to the scores of the query heads that share a key head, `(heads / kv_heads x tokens, tokens)`: 0
    /// where a token sees another, -inf elsewhere.
    fn added_mask(&self, sees: Option<&Tensor>, tokens: i64) -> Tensor {
        let sees = match sees {
            Some(sees) => sees.shallow_clone(),
            None => Tensor::ones([tokens, tokens], (Kind::Bool, self.device())).tril(0),
        };
        let zero = Tensor::zeros([tokens, tokens], (self.kind(), self.device()));
        let group = self.config.num_attention_heads / self.config.num_key_value_heads;
        zero.masked_fill(&sees.logical_not(), f64::NEG_INFINITY)
            .repeat([group, 1])
    }

    /// Logits in f32 `(positions, vocab_size)` at some positions of [`Llama::hidden`]'s result.
    pub fn logits(&self, hidden: &Tensor, positions: &[i64]) -> Tensor {
        let at = Tensor::from_slice(positions).to_device(self.device());
        let x = self.rms_norm(&hidden.index_select(0, &at), &self.norm);
        x.linear(&self.head, None::<&Tensor>).to_kind(Kind::Float)
    }

    /// All blocks over `ids` at `positions`. `attend(layer, q, k, v)` gets q `(tokens, heads, head_dim)` and k, v
    /// `(tokens, kv_heads, head_dim)`, rotated, and returns `(tokens, heads x head_dim)`.
    pub(super) fn run(
        &self,
        ids: &[i64],
        positions: &[i64],
        mut attend: impl FnMut(usize, Tensor, Tensor, Tensor) -> Tensor,
    ) -> Result<Tensor, ModelError> {
        let config = &self.config;
        if ids.is_empty() {
            return Err(ModelError::Input("no tokens".to_owned()));
        }
        if let Some(id) = ids.iter().find(|id| !(0..config.vocab_size).contains(id)) {
            return Err(ModelError::Input(format!(
                "token {id}: the vocabulary has {}",
                config.vocab_size
            )));
        }
        if let Some(position) = positions
            .iter()
            .find(|at| **at >= config.max_position_embeddings)
        {
            return Err(ModelError::Input(format!(
                "a text of at least {} tokens: the model's context is {}",
                position + 1,
                config.max_position_embeddings
            )));
        }
        let at = Tensor::from_slice(positions).to_device(self.device());
        // (tokens, 1, head_dim)
        let table = |table: &Tensor| table.index_select(0, &at).to_kind(self.kind()).unsqueeze(1);
        let (cos, sin) = (table(&self.rope.0), table(&self.rope.1));
        let heads = [config.num_attention_heads, config.num_key_value_heads];
        let tokens = ids.len() as i64;

        let ids = Tensor::from_slice(ids).to_device(self.device());
        let mut x = self.embedding.index_select(0, &ids);
        for (layer, block) in self.blocks.iter().enumerate() {
            let y = self.rms_norm(&x, &block.input_norm);
            let qkv =
                self.linear(layer, 0, &y)
                    .view([tokens, heads[0] + 2 * heads[1], config.head_dim]);
            let qk_v = qkv.split_with_sizes([heads[0] + heads[1], heads[1]], 1);
            let qk = rotate(&qk_v[0], &cos, &sin).split_with_sizes(heads, 1);
            let attended = attend(
                layer,
                qk[0].shallow_clone(),
                qk[1].shallow_clone(),
                qk_v[1].shallow_clone(),
            );
            // not in place: the norm above keeps x for its gradient
            x = self.linear(layer, 1, &attended) + &x;

            let y = self.rms_norm(&x, &block.post_norm);
            let gate_up = self
                .linear(layer, 2, &y)
                .split_with_sizes([config.intermediate_size; 2], 1);
            x = self.linear(layer, 3, &(gate_up[0].silu() * &gate_up[1])) + &x;
        }
        Ok(x)
    }

    fn linear(&self, layer: usize, group: usize, x: &Tensor) -> Tensor {
        let y = x.linear(&self.blocks[layer].linear[group], None::<&Tensor>);
        match &self.lora {
            None => y,
            Some(lora) => lora.apply(layer, group, x, y),
        }
    }

    /// x / sqrt(mean(x²) + eps) x weight, the mean in f32.
    fn rms_norm(&self, x: &Tensor, weight: &Tensor) -> Tensor {
        let wide = x.to_kind(Kind::Float);
        let mean = wide.square().mean_dim(-1, true, Kind::Float);
        let normed = wide * (mean + self.config.rms_norm_eps).rsqrt();
        normed.to_kind(x.kind()) * weight
    }
}

/// `model.layers.3.self_attn.q_proj`.
fn module(layer: usize, kind: usize) -> String {
    let parent = if kind < 4 { "self_attn" } else { "mlp" };
    format!("model.layers.{layer}.{parent}.{}", super::KINDS[kind])
}

/// Attention of q `(n, heads, tokens, head_dim)` over k, v `(n, kv_heads, seen, head_dim)`; causal without a mask.
pub(super) fn attention(q: &Tensor, k: &Tensor, v: &Tensor, mask: Option<&Tensor>) -> Tensor {
    let grouped = q.size()[1] != k.size()[1];
    Tensor::scaled_dot_product_attention(q, k, v, mask, 0.0, mask.is_none(), None, grouped)
}

/// As [`attention`], of one sequence, in matrix products: libtorch's fused kernel for processors takes eight times as
/// long backward as forward, this three times. `added` as from `Llama::added_mask`.
fn attention_with_gradient(q: &Tensor, k: &Tensor, v: &Tensor, added: &Tensor) -> Tensor {
    let (_, heads, tokens, head_dim) = q.size4().expect("a batch of one");
    let kv_heads = k.size()[1];
    // the query heads that share a key head stand one below the other: (kv_heads, group x tokens, head_dim)
    let q = q.reshape([kv_heads, heads / kv_heads * tokens, head_dim]);
    let (k, v) = (k.squeeze_dim(0), v.squeeze_dim(0));
    let scores = added.baddbmm(&q, &k.transpose(1, 2), 1.0, (head_dim as f64).powf(-0.5));
    let weights = scores.softmax(-1, Kind::Float).to_kind(v.kind());
    weights.bmm(&v).reshape([1, heads, tokens, head_dim])
}

/// Rotary embedding of x `(tokens, heads, head_dim)`: x cos + rotate_half(x) sin, where rotate_half is (-x2, x1) for
/// the halves x1, x2. The sign is in the table, which leaves a rotation by half the width.
fn rotate(x: &Tensor, cos: &Tensor, sin: &Tensor) -> Tensor {
    let half = x.size()[2] / 2;
    (x * cos).addcmul(&x.roll([half], [-1]), sin)
}

/// Cosine, and sine with the first half negated, f32 `(max_position_embeddings, head_dim)`.
fn rope_tables(config: &LlamaConfig, device: Device) -> (Tensor, Tensor) {
    let options = (Kind::Float, device);
    let exponent =
        Tensor::arange_start_step(0, config.head_dim, 2, options) / config.head_dim as f64;
    let frequency = Tensor::pow_scalar(config.rope_theta, &exponent).reciprocal();
    let angle = Tensor::arange(config.max_position_embeddings, options).outer(&frequency);
    let (cos, sin) = (angle.cos(), angle.sin());
    (
        Tensor::cat(&[&cos, &cos], 1),
        Tensor::cat(&[&sin.neg(), &sin], 1),
    )
}
