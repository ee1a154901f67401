//! Checkpoints: an adapter in PEFT's format or a whole network, and beside it what a trainer needs to go on exactly where
//! it stopped.
//!
//! A checkpoint folder holds `adapter_model.safetensors` and `adapter_config.json` (readable by PEFT; rows of q and k
//! in Hugging Face's order) or `model.safetensors`, and `trainer_state.json` and `optimizer.safetensors`. It is written under a temporary name,
//! flushed to disk and renamed: a folder named `step_N` is complete. Knows nothing of recipes.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::nn::{KINDS, Llama, Lora, LoraConfig, ModelError};

/// What can be wrong with a checkpoint.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// A file cannot be read or written.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file is not what it should be.
    #[error("{path}: {message}", path = path.display())]
    Format {
        /// Which file.
        path: PathBuf,
        /// Expected and found.
        message: String,
    },
    /// The checkpoint belongs to something else; each line says what, expected and found.
    #[error("{path}: a checkpoint of another run:\n  {}", differences.join("\n  "), path = path.display())]
    Mismatch {
        /// The checkpoint's folder.
        path: PathBuf,
        /// What differs.
        differences: Vec<String>,
    },
    /// The adapter does not fit the model.
    #[error(transparent)]
    Model(#[from] ModelError),
}

/// Where a trainer stands, beside the adapter and the optimizer's moments.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainerState {
    /// Version of this file's format: [`TrainerState::SCHEMA`].
    pub schema: String,
    /// Optimizer steps done.
    pub step: u64,
    /// Passes over the data begun before the current one, and batches (of pairs of frames: samples) taken from the
    /// current one. Random numbers are drawn from streams numbered by seed and pass, so this is all there is to say about
    /// them.
    pub epoch: u64,
    /// See `epoch`.
    pub batch: u64,
    /// Tokens read so far; 0 where pairs of frames are read.
    pub tokens: u64,
    /// Seconds of training so far, over all sessions.
    pub seconds: f64,
    /// blake3 of the base model's file.
    pub model_digest: String,
    /// blake3 of the training examples.
    pub dataset_digest: String,
    /// The configuration the run was started with.
    pub config: Value,
}

impl TrainerState {
    /// The format written by this version.
    pub const SCHEMA: &str = "habitus.trainer_state/1";

    /// Of a run that has done nothing yet.
    pub fn new(model_digest: String, dataset_digest: String, config: Value) -> Self {
        Self {
            schema: Self::SCHEMA.to_owned(),
            step: 0,
            epoch: 0,
            batch: 0,
            tokens: 0,
            seconds: 0.0,
            model_digest,
            dataset_digest,
            config,
        }
    }

    /// Whether a run with the same model, data and configuration can go on from this state.
    ///
    /// # Errors
    /// One line for each thing that differs.
    pub fn check(
        &self,
        path: &Path,
        model_digest: &str,
        dataset_digest: &str,
        config: &Value,
    ) -> Result<(), CheckpointError> {
        let mut differences = Vec::new();
        let mut compare =
            |what: &str, saved: &dyn std::fmt::Display, now: &dyn std::fmt::Display| {
                differences.push(format!(
                    "{what}: the checkpoint has {saved}, this run {now}"
                ));
            };
        if self.model_digest != model_digest {
            compare("model digest", &self.model_digest, &model_digest);
        }
        if self.dataset_digest != dataset_digest {
            compare("dataset digest", &self.dataset_digest, &dataset_digest);
        }
        let empty = serde_json::Map::new();
        let (saved, now) = (
            self.config.as_object().unwrap_or(&empty),
            config.as_object().unwrap_or(&empty),
        );
        let keys: std::collections::BTreeSet<_> = saved.keys().chain(now.keys()).collect();
        for key in keys {
            let (saved, now) = (
                saved.get(key).unwrap_or(&Value::Null),
                now.get(key).unwrap_or(&Value::Null),
            );
            if saved != now {
                compare(key, saved, now);
            }
        }
        if differences.is_empty() {
            Ok(())
        } else {
            Err(CheckpointError::Mismatch {
                path: path.to_path_buf(),
                differences,
            })
        }
    }
}

/// Writes `folder/step_N` and points the link `folder/last` at it. An existing checkpoint of that step is replaced.
///
/// `moments` are named vectors of the optimizer, f32.
///
/// # Errors
/// When something cannot be written; then no `step_N` is left half done.
pub fn save(
    folder: &Path,
    lora: &Lora,
    base: &str,
    moments: &[(&str, &[f32])],
    state: &TrainerState,
) -> Result<PathBuf, CheckpointError> {
    save_with(folder, moments, state, |folder| {
        save_adapter(folder, lora, base)
    })
}

/// As [`save`], with a whole network: the bytes of `model.safetensors`.
///
/// # Errors
/// As [`save`].
pub fn save_network(
    folder: &Path,
    model: &[u8],
    moments: &[(&str, &[f32])],
    state: &TrainerState,
) -> Result<PathBuf, CheckpointError> {
    save_with(folder, moments, state, |folder| {
        write(&folder.join(NETWORK), model)
    })
}

/// File of a whole network in a checkpoint.
pub const NETWORK: &str = "model.safetensors";

fn save_with(
    folder: &Path,
    moments: &[(&str, &[f32])],
    state: &TrainerState,
    network: impl FnOnce(&Path) -> Result<(), CheckpointError>,
) -> Result<PathBuf, CheckpointError> {
    let name = format!("step_{}", state.step);
    let (temporary, done) = (folder.join(format!(".{name}.tmp")), folder.join(&name));
    let at = |path: &Path| {
        let path = path.to_path_buf();
        move |source| CheckpointError::Io { path, source }
    };
    if temporary.exists() {
        fs::remove_dir_all(&temporary).map_err(at(&temporary))?;
    }
    fs::create_dir_all(&temporary).map_err(at(&temporary))?;
    network(&temporary)?;
    let views = moments
        .iter()
        .map(|(name, values)| (*name, bytes_of(values)))
        .collect::<Vec<_>>();
    let views = views
        .iter()
        .map(|(name, bytes)| (*name, view(bytes, vec![bytes.len() / 4])));
    let bytes = safetensors::serialize(views, None).expect("vectors of f32 serialize");
    write(&temporary.join("optimizer.safetensors"), &bytes)?;
    let text = serde_json::to_vec_pretty(state).expect("the state has only text keys");
    write(&temporary.join("trainer_state.json"), &text)?;
    synchronize(&temporary)?;
    if done.exists() {
        fs::remove_dir_all(&done).map_err(at(&done))?;
    }
    fs::rename(&temporary, &done).map_err(at(&done))?;
    link(folder, "last", &name).map_err(at(&folder.join("last")))?;
    synchronize(folder)?;
    Ok(done)
}

/// The latest complete checkpoint in `folder`: what `last` points at, else the largest step.
pub fn latest(folder: &Path) -> Option<PathBuf> {
    let last = folder.join("last");
    if let Some(name) = fs::read_link(&last)
        .ok()
        .filter(|_| last.join("trainer_state.json").is_file())
    {
        return Some(folder.join(name));
    }
    let steps = fs::read_dir(folder).ok()?.flatten().filter_map(|entry| {
        let step: u64 = entry
            .file_name()
            .to_str()?
            .strip_prefix("step_")?
            .parse()
            .ok()?;
        Some((step, entry.path()))
    });
    steps.max().map(|(_, path)| path)
}

/// The trainer's state in a checkpoint, and the optimizer's vectors by name.
///
/// # Errors
/// When a file is missing or malformed.
pub fn load_state(
    folder: &Path,
) -> Result<(TrainerState, BTreeMap<String, Vec<f32>>), CheckpointError> {
    let path = folder.join("trainer_state.json");
    let state: TrainerState =
        serde_json::from_slice(&read(&path)?).map_err(|error| CheckpointError::Format {
            path: path.clone(),
            message: error.to_string(),
        })?;
    if state.schema != TrainerState::SCHEMA {
        return Err(CheckpointError::Format {
            path,
            message: format!(
                "schema: expected {:?}, found {:?}",
                TrainerState::SCHEMA,
                state.schema
            ),
        });
    }
    let path = folder.join("optimizer.safetensors");
    let bytes = read(&path)?;
    let file = SafeTensors::deserialize(&bytes).map_err(|error| CheckpointError::Format {
        path: path.clone(),
        message: format!("not a safetensors file: {error}"),
    })?;
    let mut moments = BTreeMap::new();
    for (name, view) in file.iter() {
        if view.dtype() != Dtype::F32 {
            return Err(CheckpointError::Format {
                path,
                message: format!("tensor {name}: expected F32, found {:?}", view.dtype()),
            });
        }
        moments.insert(name.to_owned(), floats_of(view.data()));
    }
    Ok((state, moments))
}

/// PEFT's adapter_config.json: the keys that matter here. PEFT writes more, which say how training was set up.
#[derive(Deserialize)]
struct PeftConfig {
    peft_type: String,
    r: i64,
    lora_alpha: f64,
    target_modules: Vec<String>,
    #[serde(default)]
    fan_in_fan_out: bool,
    #[serde(default)]
    use_rslora: bool,
    #[serde(default)]
    use_dora: bool,
    #[serde(default)]
    bias: Option<String>,
    #[serde(default)]
    rank_pattern: Option<serde_json::Map<String, Value>>,
    #[serde(default)]
    alpha_pattern: Option<serde_json::Map<String, Value>>,
}

/// Writes an adapter in PEFT's format into an existing folder; `base` names the model it belongs to.
///
/// # Errors
/// When a file cannot be written.
pub fn save_adapter(folder: &Path, lora: &Lora, base: &str) -> Result<(), CheckpointError> {
    let rank = lora.config().rank as usize;
    let mut tensors = Vec::new();
    for target in lora.targets() {
        let name = |part: &str| format!("base_model.model.{}.lora_{part}.weight", target.module());
        let end = target.b + target.rows as usize * rank;
        let values = lora.values();
        tensors.push((
            name("A"),
            bytes_of(&values[target.a..target.b]),
            vec![rank, target.columns as usize],
        ));
        tensors.push((
            name("B"),
            bytes_of(&values[target.b..end]),
            vec![target.rows as usize, rank],
        ));
    }
    let views = tensors
        .iter()
        .map(|(name, bytes, shape)| (name.clone(), view(bytes, shape.clone())));
    let metadata = [("format".to_owned(), "pt".to_owned())].into();
    let bytes = safetensors::serialize(views, Some(metadata)).expect("tensors of f32 serialize");
    write(&folder.join("adapter_model.safetensors"), &bytes)?;
    let config = json!({
        "peft_type": "LORA", "task_type": "CAUSAL_LM", "base_model_name_or_path": base,
        "r": lora.config().rank, "lora_alpha": lora.config().alpha, "target_modules": lora.config().targets,
        "lora_dropout": 0.0, "bias": "none", "fan_in_fan_out": false, "use_rslora": false, "use_dora": false,
        "init_lora_weights": true, "inference_mode": true,
    });
    let text = serde_json::to_vec_pretty(&config).expect("a literal serializes");
    write(&folder.join("adapter_config.json"), &text)
}

/// Reads an adapter in PEFT's format and attaches it to the model, replacing what was attached. In a checkpoint of
/// this program the base model must be the one it was trained on.
///
/// # Errors
/// When a file is missing or malformed, asks for something other than plain LoRA on [`KINDS`], or is of another model.
pub fn attach_adapter(model: &mut Llama, folder: &Path) -> Result<(), CheckpointError> {
    let lora = load_adapter(model, folder)?;
    model.attach(lora);
    Ok(())
}

/// As [`attach_adapter`], without attaching.
///
/// # Errors
/// As [`attach_adapter`].
pub fn load_adapter(model: &Llama, folder: &Path) -> Result<Lora, CheckpointError> {
    let state = folder.join("trainer_state.json");
    if state.is_file() {
        let (state, _) = load_state(folder)?;
        if state.model_digest != model.digest() {
            return Err(CheckpointError::Mismatch {
                path: folder.to_path_buf(),
                differences: vec![format!(
                    "model digest: the checkpoint has {}, the model {}",
                    state.model_digest,
                    model.digest()
                )],
            });
        }
    }
    let path = folder.join("adapter_config.json");
    let wrong = |path: &Path, message: String| CheckpointError::Format {
        path: path.to_path_buf(),
        message,
    };
    let config: PeftConfig =
        serde_json::from_slice(&read(&path)?).map_err(|error| wrong(&path, error.to_string()))?;
    let given = |pattern: &Option<serde_json::Map<_, _>>| {
        pattern.as_ref().is_some_and(|map| !map.is_empty())
    };
    if config.peft_type != "LORA"
        || config.fan_in_fan_out
        || config.use_rslora
        || config.use_dora
        || given(&config.rank_pattern)
        || given(&config.alpha_pattern)
        || !matches!(config.bias.as_deref(), None | Some("none"))
    {
        let message = "expected plain LoRA (no bias, rank pattern, rsLoRA or DoRA)".to_owned();
        return Err(wrong(&path, message));
    }
    // in the order of KINDS, whatever order PEFT wrote its set in
    let targets: Vec<String> = KINDS
        .map(str::to_owned)
        .into_iter()
        .filter(|kind| config.target_modules.contains(kind))
        .collect();
    if targets.len() != config.target_modules.len() {
        return Err(wrong(
            &path,
            format!(
                "target_modules: expected names of {KINDS:?}, found {:?}",
                config.target_modules
            ),
        ));
    }
    let config = LoraConfig {
        rank: config.r,
        alpha: config.lora_alpha,
        targets,
    };
    let mut lora = Lora::zeros(model.config(), config, model.kind(), model.device())?;

    let path = folder.join("adapter_model.safetensors");
    let bytes = read(&path)?;
    let file = SafeTensors::deserialize(&bytes)
        .map_err(|error| wrong(&path, format!("not a safetensors file: {error}")))?;
    let mut values = vec![0.0; lora.values().len()];
    let rank = lora.config().rank;
    for target in lora.targets() {
        let parts = [
            ("A", target.a, [rank, target.columns]),
            ("B", target.b, [target.rows, rank]),
        ];
        for (part, at, shape) in parts {
            let name = format!("base_model.model.{}.lora_{part}.weight", target.module());
            let tensor =
                read_tensor(&file, &name, &shape).map_err(|message| wrong(&path, message))?;
            values[at..at + tensor.len()].copy_from_slice(&tensor);
        }
    }
    if file.len() != 2 * lora.targets().len() {
        let message = format!(
            "expected {} tensors, found {}",
            2 * lora.targets().len(),
            file.len()
        );
        return Err(wrong(&path, message));
    }
    lora.set_values(&values)?;
    Ok(lora)
}

fn read_tensor(file: &SafeTensors<'_>, name: &str, shape: &[i64]) -> Result<Vec<f32>, String> {
    let view = file
        .tensor(name)
        .map_err(|_missing| format!("tensor {name} is missing"))?;
    let tensor =
        crate::nn::tensor_of(&view).map_err(|message| format!("tensor {name}: {message}"))?;
    if tensor.size() != shape {
        return Err(format!(
            "tensor {name}: expected shape {shape:?}, found {:?}",
            tensor.size()
        ));
    }
    Vec::<f32>::try_from(tensor.flatten(0, -1)).map_err(|error| format!("tensor {name}: {error}"))
}

fn bytes_of(values: &[f32]) -> Vec<u8> {
    values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect()
}

fn floats_of(bytes: &[u8]) -> Vec<f32> {
    bytes
        .chunks_exact(4)
        .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
        .collect()
}

fn view(bytes: &[u8], shape: Vec<usize>) -> TensorView<'_> {
    TensorView::new(Dtype::F32, shape, bytes).expect("the bytes are those of the shape")
}

fn read(path: &Path) -> Result<Vec<u8>, CheckpointError> {
    fs::read(path).map_err(|source| CheckpointError::Io {
        path: path.to_path_buf(),
        source,
    })
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), CheckpointError> {
    let written = File::create(path).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    written.map_err(|source| CheckpointError::Io {
        path: path.to_path_buf(),
        source,
    })
}

fn synchronize(folder: &Path) -> Result<(), CheckpointError> {
    File::open(folder)
        .and_then(|file| file.sync_all())
        .map_err(|source| CheckpointError::Io {
            path: folder.to_path_buf(),
            source,
        })
}

/// Points a link at `target`, at once: whoever looks sees the old one or the new one.
fn link(folder: &Path, name: &str, target: &str) -> std::io::Result<()> {
    let temporary = folder.join(format!(".{name}.tmp"));
    if temporary.symlink_metadata().is_ok() {
        fs::remove_file(&temporary)?;
    }
    #[cfg(unix)]
    std::os::unix::fs::symlink(target, &temporary)?;
    #[cfg(not(unix))]
    fs::write(&temporary, target)?;
    fs::rename(&temporary, folder.join(name))
}
