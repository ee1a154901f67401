//! Where a model's weights come from: a GGUF file or a Hugging Face folder, under Hugging Face's names and row order.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use safetensors::{Dtype, SafeTensors};
use tch::{Device, Kind, Tensor};

use super::{Gguf, Llama, LlamaConfig, ModelError, Precision, Tokenizer};

/// Named tensors in Hugging Face's naming (`model.layers.0.self_attn.q_proj.weight`), on the CPU.
pub struct Weights {
    tensors: BTreeMap<String, Tensor>,
    /// Named in messages.
    origin: String,
}

impl Weights {
    /// From named tensors; `origin` says in messages where they come from.
    pub fn new(origin: &str, tensors: BTreeMap<String, Tensor>) -> Self {
        Self {
            tensors,
            origin: origin.to_owned(),
        }
    }

    /// Whether there is a tensor of that name.
    pub fn has(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// The tensor `name`, which must have that shape.
    ///
    /// # Errors
    /// When it is missing or of another shape.
    pub fn get(&self, name: &str, shape: &[i64]) -> Result<&Tensor, ModelError> {
        let tensor = self.tensors.get(name).ok_or_else(|| {
            ModelError::Weights(format!("{}: tensor {name} is missing", self.origin))
        })?;
        if tensor.size() == shape {
            Ok(tensor)
        } else {
            Err(ModelError::Weights(format!(
                "{}: tensor {name}: expected shape {shape:?}, found {:?}",
                self.origin,
                tensor.size()
            )))
        }
    }
}

/// Reads a language model and its tokenizer from a GGUF file or a Hugging Face folder (config.json,
/// model.safetensors, tokenizer.json). The model goes to the GPU where there is one.
///
/// # Errors
/// When the file is missing, malformed, truncated, of another architecture than Llama, or in an unsupported
/// quantization; the message names the file and what was expected.
pub fn load_model(path: &Path, precision: Precision) -> Result<(Llama, Tokenizer), ModelError> {
    let device = Device::cuda_if_available();
    if path.is_dir() {
        load_folder(path, precision, device)
    } else {
        load_gguf(path, precision, device)
    }
}

fn load_gguf(
    path: &Path,
    precision: Precision,
    device: Device,
) -> Result<(Llama, Tokenizer), ModelError> {
    let file = Gguf::open(path)?;
    let architecture = file.text("general.architecture")?;
    if architecture != "llama" {
        return Err(file.format(format!(
            "expected architecture \"llama\", found {architecture:?}"
        )));
    }
    let size = |key: &str| file.int(&format!("llama.{key}"));
    let heads = size("attention.head_count")?;
    let hidden_size = size("embedding_length")?;
    let head_dim = if file.has_key("llama.attention.key_length") {
        size("attention.key_length")?
    } else {
        hidden_size.checked_div(heads).unwrap_or(0)
    };
    let (embedding, shape) = file.tensor("token_embd.weight")?;
    let config = LlamaConfig {
        vocab_size: shape[0],
        hidden_size,
        intermediate_size: size("feed_forward_length")?,
        num_hidden_layers: size("block_count")?,
        num_attention_heads: heads,
        num_key_value_heads: size("attention.head_count_kv")?,
        head_dim,
        max_position_embeddings: size("context_length")?,
        rms_norm_eps: file.float("llama.attention.layer_norm_rms_epsilon")?,
        rope_theta: if file.has_key("llama.rope.freq_base") {
            file.float("llama.rope.freq_base")?
        } else {
            10000.0
        },
        tie_word_embeddings: !file.has_tensor("output.weight"),
    };
    config.check()?;
    if file.has_key("llama.rope.scaling.type") && file.text("llama.rope.scaling.type")? != "none" {
        return Err(file.format(
            "scaled rotary embeddings (llama.rope.scaling.type) are not supported".to_owned(),
        ));
    }

    let mut tensors = BTreeMap::new();
    tensors.insert(
        "model.embed_tokens.weight".to_owned(),
        Tensor::f_from_slice(&embedding)?.f_reshape(&shape)?,
    );
    drop(embedding);
    let mut read =
        |from: String, to: String, permuted_heads: Option<i64>| -> Result<(), ModelError> {
            let (values, shape) = file.tensor(&from)?;
            let mut tensor = Tensor::f_from_slice(&values)?.f_reshape(&shape)?;
            if let Some(heads) = permuted_heads {
                tensor = rotate_half_order(&tensor, heads).map_err(|_shape| {
                    file.format(format!(
                        "tensor {from}: shape {shape:?} does not fit {heads} heads"
                    ))
                })?;
            }
            tensors.insert(to, tensor);
            Ok(())
        };
    read(
        "output_norm.weight".to_owned(),
        "model.norm.weight".to_owned(),
        None,
    )?;
    if !config.tie_word_embeddings {
        read(
            "output.weight".to_owned(),
            "lm_head.weight".to_owned(),
            None,
        )?;
    }
    for layer in 0..config.num_hidden_layers {
        for (from, to) in GGUF_NAMES {
            let heads = match from {
                "attn_q" => Some(config.num_attention_heads),
                "attn_k" => Some(config.num_key_value_heads),
                _ => None,
            };
            read(
                format!("blk.{layer}.{from}.weight"),
                format!("model.layers.{layer}.{to}.weight"),
                heads,
            )?;
        }
    }
    let weights = Weights::new(&path.display().to_string(), tensors);
    let model = Llama::new(
        config,
        &weights,
        precision.kind(device),
        device,
        file.digest(),
    )?;
    let tokenizer = Tokenizer::from_gguf(&file)?;
    Ok((model, tokenizer))
}

/// llama.cpp's names of a layer's tensors, and Hugging Face's.
const GGUF_NAMES: [(&str, &str); 9] = [
    ("attn_norm", "input_layernorm"),
    ("attn_q", "self_attn.q_proj"),
    ("attn_k", "self_attn.k_proj"),
    ("attn_v", "self_attn.v_proj"),
    ("attn_output", "self_attn.o_proj"),
    ("ffn_norm", "post_attention_layernorm"),
    ("ffn_gate", "mlp.gate_proj"),
    ("ffn_up", "mlp.up_proj"),
    ("ffn_down", "mlp.down_proj"),
];

/// llama.cpp stores the rows of a head of q and k in pairs (0, d/2, 1, d/2 + 1, …) for interleaved rotary
/// embeddings; Hugging Face's rotate_half wants (0, 1, …). Adapters are exchanged in the latter order.
fn rotate_half_order(weight: &Tensor, heads: i64) -> Result<Tensor, tch::TchError> {
    let (rows, columns) = weight.size2()?;
    weight
        .f_reshape([heads, rows / heads / 2, 2, columns])?
        .f_transpose(1, 2)?
        .f_reshape([rows, columns])
}

fn load_folder(
    path: &Path,
    precision: Precision,
    device: Device,
) -> Result<(Llama, Tokenizer), ModelError> {
    let read = |name: &str| {
        let path = path.join(name);
        fs::read(&path).map_err(|source| ModelError::Io { path, source })
    };
    let format = |name: &str, message: String| ModelError::Format {
        path: path.join(name),
        message,
    };
    let json: serde_json::Value = serde_json::from_slice(&read("config.json")?)
        .map_err(|error| format("config.json", error.to_string()))?;
    let config = LlamaConfig::from_json(&json).map_err(|message| format("config.json", message))?;
    config.check()?;
    let bytes = read("model.safetensors")?;
    let file = SafeTensors::deserialize(&bytes).map_err(|error| {
        format(
            "model.safetensors",
            format!("not a safetensors file: {error}"),
        )
    })?;
    let mut tensors = BTreeMap::new();
    for (name, view) in file.iter() {
        tensors.insert(
            name.to_owned(),
            tensor_of(&view).map_err(|message| {
                format("model.safetensors", format!("tensor {name}: {message}"))
            })?,
        );
    }
    let weights = Weights::new(
        &path.join("model.safetensors").display().to_string(),
        tensors,
    );
    let digest = blake3::hash(&bytes).to_hex().to_string();
    let model = Llama::new(config, &weights, precision.kind(device), device, digest)?;
    let eos = match &json["eos_token_id"] {
        serde_json::Value::Array(ids) => ids.first().and_then(serde_json::Value::as_i64),
        id => id.as_i64(),
    };
    let eos = eos.ok_or_else(|| {
        format(
            "config.json",
            "eos_token_id: expected a token id".to_owned(),
        )
    })?;
    let tokenizer = Tokenizer::from_file(&path.join("tokenizer.json"), eos)?;
    Ok((model, tokenizer))
}

/// A tensor of a safetensors file as f32 on the CPU.
pub(crate) fn tensor_of(view: &safetensors::tensor::TensorView<'_>) -> Result<Tensor, String> {
    let kind = match view.dtype() {
        Dtype::F32 => Kind::Float,
        Dtype::F16 => Kind::Half,
        Dtype::BF16 => Kind::BFloat16,
        other => return Err(format!("expected F32, F16 or BF16, found {other:?}")),
    };
    let shape: Vec<i64> = view.shape().iter().map(|size| *size as i64).collect();
    Tensor::f_from_data_size(view.data(), &shape, kind)
        .and_then(|tensor| tensor.f_to_kind(Kind::Float))
        .map_err(|error| error.to_string())
}
