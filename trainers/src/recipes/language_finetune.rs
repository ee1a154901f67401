//! Finetunes a language model on experience without forgetting: LoRA with elastic weight consolidation, as in E2WM
//! (Xiang et al. 2023, "Language Models Meet World Models", arXiv:2305.10626, section 3).
//!
//! 1. Read the examples and tokenize them; only what the examples mark as supervised enters the loss.
//! 2. Estimate the diagonal Fisher information of the base model on general text (kept in the cache).
//! 3. Attach a low-rank adapter that changes nothing yet.
//! 4. For each step: packed batches, `Σ w_task CE / supervised tokens + λ/2 Σ F (s B A)²`, clip, AdamW.
//! 5. Write checkpoints from which the run can go on bit for bit.
//!
//! Deviations from E2WM, with their reasons: F in its own units instead of 8-bit codes (`ewc.units` offers both); seven
//! adapted layers instead of q and v, a higher rate and small batches, because a model of 135M parameters has to learn
//! state tracking, not only a format; decay to zero within the token budget.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::BufRead as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use dataset::Example;
use rand::SeedableRng as _;
use rand::seq::SliceRandom as _;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tch::{Tensor, no_grad};

use super::metrics::Metrics;
use super::{Progress, RecipeError, bar, checkpoint_error, prepare_folder, restored};
use crate::cache;
use crate::checkpoint::{self, TrainerState};
use crate::continual::{Ewc, Fisher, FisherError, FisherUnits, LossOf, Sequence, sample_labels};
use crate::nn::{Llama, Lora, LoraConfig, Packed, Precision, Tokenizer, load_model};
use crate::optimizer::{AdamW, AdamWConfig, Decay, Schedule, clip_scale};

/// Everything that decides a run. Written resolved into its folder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Names the recipe: `language_finetune`.
    pub recipe: String,
    /// A GGUF file or Hugging Face folder; empty: SmolLM2-135M-Instruct from the cache.
    pub model: PathBuf,
    /// Files of training examples, JSON Lines of `dataset::Example`.
    pub data: Vec<PathBuf>,
    /// Number format of the base model: `auto`, `f32`, `bf16`. The adapter's values are f32 always.
    pub precision: Precision,
    /// Seeds the adapter and the order of the examples.
    pub seed: u64,
    /// Tokens to read in training, prompts included; ignored when `steps` is given. Format is learnt within 10,000,
    /// keeping track of state after 80,000 (SmolLM2-135M).
    pub tokens: u64,
    /// Optimizer steps; 0: as many as `tokens` needs.
    pub steps: u64,
    /// Longest example in tokens; longer ones are cut at the end.
    pub max_tokens: usize,
    /// Tokens of a batch, which packs whole examples. Smaller learns more from equal tokens (256: 0.40, 640: 0.32 mean
    /// score), larger is faster.
    pub batch_tokens: usize,
    /// Batches of a step.
    pub accumulation: usize,
    /// Highest learning rate; usual 1e-4 to 1e-3. Forgetting begins at 1e-3 with more than 200 steps.
    pub learning_rate: f64,
    /// Share of the steps in which the learning rate rises.
    pub warmup: f64,
    /// How it falls: `linear`, `cosine`, `none`.
    pub decay: Decay,
    /// Largest Euclidean norm of a gradient.
    pub clip: f64,
    /// Constants of AdamW.
    pub adamw: AdamWConfig,
    /// The adapter.
    pub lora: LoraConfig,
    /// The penalty on forgetting.
    pub ewc: EwcConfig,
    /// Weight of each task's loss; 1 where a task is not named.
    pub task_weights: BTreeMap<String, f64>,
    /// Steps between checkpoints; one is written at the end always.
    pub checkpoint_every: u64,
}

/// Settings of elastic weight consolidation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EwcConfig {
    /// Strength; 0 turns it off. With `raw` units and `mean` losses 1e4 to 1e5, with `row127` 0.01 to 1. Look at
    /// `penalty_share` in metrics.jsonl: 0.03 to 0.2 is the useful zone.
    pub lambda: f64,
    /// Units of the information: `raw`, `row127`.
    pub units: FisherUnits,
    /// What is squared: the gradient of a document's `mean` or `sum`.
    pub loss: LossOf,
    /// Draw the labels from the model (true Fisher) instead of taking the text's tokens (empirical Fisher).
    pub sampled: bool,
    /// General text: a folder of .txt files, one document each, or a .jsonl file of objects with "text", or a .txt file
    /// that is cut into documents. Its order counts: the first `documents` are used.
    pub text: PathBuf,
    /// Documents to estimate on.
    pub documents: usize,
    /// Tokens read of each.
    pub document_tokens: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            recipe: "language_finetune".to_owned(),
            model: PathBuf::new(),
            data: Vec::new(),
            precision: Precision::Auto,
            seed: 1,
            tokens: 60_000,
            steps: 0,
            max_tokens: 512,
            batch_tokens: 256,
            accumulation: 1,
            learning_rate: 1e-3,
            warmup: 0.05,
            decay: Decay::Linear,
            clip: 1.0,
            adamw: AdamWConfig::default(),
            lora: LoraConfig::default(),
            ewc: EwcConfig::default(),
            task_weights: BTreeMap::new(),
            checkpoint_every: 100,
        }
    }
}

impl Default for EwcConfig {
    fn default() -> Self {
        Self {
            lambda: 2.5e4,
            units: FisherUnits::Raw,
            loss: LossOf::Mean,
            sampled: false,
            text: PathBuf::new(),
            documents: 64,
            document_tokens: 300,
        }
    }
}

impl Config {
    /// Whether the values make sense together.
    ///
    /// # Errors
    /// Names the first that does not.
    pub fn check(&self) -> Result<(), RecipeError> {
        let positive = |x: f64| x.is_finite() && x > 0.0;
        let share = |x: f64| (0.0..1.0).contains(&x);
        let checks = [
            (
                self.recipe == "language_finetune",
                "recipe: expected \"language_finetune\"",
            ),
            (
                self.tokens > 0 || self.steps > 0,
                "tokens: expected at least 1",
            ),
            (self.max_tokens >= 2, "max_tokens: expected at least 2"),
            (self.batch_tokens >= 2, "batch_tokens: expected at least 2"),
            (self.accumulation >= 1, "accumulation: expected at least 1"),
            (
                positive(self.learning_rate),
                "learning_rate: expected a positive number",
            ),
            (
                (0.0..=1.0).contains(&self.warmup),
                "warmup: expected a share in 0 to 1",
            ),
            (positive(self.clip), "clip: expected a positive number"),
            (
                share(self.adamw.beta1) && share(self.adamw.beta2),
                "adamw: expected betas in 0 to 1",
            ),
            (
                positive(self.adamw.eps),
                "adamw.eps: expected a positive number",
            ),
            (
                self.adamw.weight_decay >= 0.0,
                "adamw.weight_decay: expected at least 0",
            ),
            (
                self.ewc.lambda.is_finite() && self.ewc.lambda >= 0.0,
                "ewc.lambda: expected at least 0",
            ),
            (
                self.ewc.documents >= 1,
                "ewc.documents: expected at least 1",
            ),
            (
                self.ewc.document_tokens >= 2,
                "ewc.document_tokens: expected at least 2",
            ),
            (
                self.checkpoint_every >= 1,
                "checkpoint_every: expected at least 1",
            ),
            (
                self.task_weights
                    .values()
                    .all(|weight| weight.is_finite() && *weight >= 0.0),
                "task_weights: expected numbers of at least 0",
            ),
        ];
        match checks.iter().find(|(holds, _)| !holds) {
            None => Ok(()),
            Some((_, message)) => Err(RecipeError::Input((*message).to_owned())),
        }
    }
}

/// How a run is carried out; nothing here changes its result.
pub struct Options<'a> {
    /// The run's folder.
    pub out: PathBuf,
    /// Go on from the folder's last checkpoint, where there is one.
    pub resume: bool,
    /// Start from this adapter (PEFT) instead of a fresh one. Part of the result, and recorded in the checkpoints.
    pub init_adapter: Option<PathBuf>,
    /// Becomes true when the run shall stop at the next step, with a checkpoint.
    pub stop: &'a AtomicBool,
    /// Whether to show progress on stderr.
    pub progress: bool,
    /// Stop after this many steps, as if interrupted, the schedule unchanged.
    pub stop_after: Option<u64>,
}

/// What a run came to.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// Steps done, of how many.
    pub step: u64,
    /// See `step`.
    pub steps: u64,
    /// Tokens read.
    pub tokens: u64,
    /// Mean negative log-likelihood of a supervised token in nats, over the last tenth of the steps of this session.
    pub nll: f64,
    /// The penalty at the last step, in nats.
    pub penalty: f64,
    /// Seconds of training, over all sessions.
    pub seconds: f64,
    /// Tokens per second of this session.
    pub tokens_per_second: f64,
    /// Share of the examples that were cut.
    pub truncated: f64,
    /// Share of the tokens that are supervised.
    pub supervised: f64,
    /// The last checkpoint.
    pub checkpoint: PathBuf,
}

/// A tokenized example.
#[derive(Clone, Debug, PartialEq)]
pub struct Text {
    /// Token ids.
    pub ids: Vec<i64>,
    /// Whether each token enters the loss; the first never does.
    pub supervised: Vec<bool>,
    /// Weight of its loss.
    pub weight: f64,
    /// Whether it was cut.
    pub truncated: bool,
}

/// Carries the recipe out.
///
/// # Errors
/// [`RecipeError::Input`] before any training when a file or value is wrong; [`RecipeError::Failed`] later.
pub fn run(config: &Config, options: &Options<'_>) -> Result<Summary, RecipeError> {
    config.check()?;
    for path in &config.data {
        File::open(path)
            .map_err(|error| RecipeError::Input(format!("{}: {error}", path.display())))?;
    }
    if config.data.is_empty() {
        return Err(RecipeError::Input(
            "data: expected one or more files of training examples, found none".to_owned(),
        ));
    }
    if config.ewc.lambda > 0.0 && !config.ewc.text.exists() {
        return Err(RecipeError::Input(format!(
            "ewc.text: expected general text to estimate the Fisher information on (or ewc.lambda = 0), found {:?}",
            config.ewc.text
        )));
    }
    check_folder(options)?;

    let default = cache::default_model();
    let path = if config.model.as_os_str().is_empty() {
        &default
    } else {
        &config.model
    };
    if !path.exists() {
        return Err(RecipeError::Input(format!(
            "{}: no such model; ./habitus setup fetches the default one",
            path.display()
        )));
    }
    let (mut model, tokenizer) = load_model(path, config.precision)?;

    let (texts, dataset_digest) = read_examples(config, &tokenizer)?;
    let (truncated, supervised) = report_texts(&texts, options)?;

    let (ewc, fisher_digest) = if config.ewc.lambda > 0.0 {
        let (fisher, digest) = fisher(config, &mut model, &tokenizer, options)?;
        (
            Some(Ewc::new(
                fisher.in_units(config.ewc.units),
                config.ewc.lambda,
            )),
            digest,
        )
    } else {
        (None, String::new())
    };

    let base = path
        .file_name()
        .map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let identity = Identity {
        dataset_digest,
        fisher_digest,
        base,
    };
    // only now: what was refused so far leaves no folder behind
    prepare_folder(config, &options.out)?;
    let mut summary = train(config, options, &mut model, &texts, ewc.as_ref(), &identity)?;
    (summary.truncated, summary.supervised) = (truncated, supervised);
    Ok(summary)
}

/// Refuses a folder that holds a run already, unless that run is to go on.
fn check_folder(options: &Options<'_>) -> Result<(), RecipeError> {
    let out = &options.out;
    if out.join("config.toml").exists() && !options.resume {
        return Err(RecipeError::Input(format!(
            "{}: holds a run already; go on with --resume or name another folder with --out",
            out.display()
        )));
    }
    Ok(())
}

/// Step 1: the examples, tokenized part by part, and the digest of their files.
fn read_examples(
    config: &Config,
    tokenizer: &Tokenizer,
) -> Result<(Vec<Text>, String), RecipeError> {
    let mut hasher = blake3::Hasher::new();
    let mut texts = Vec::new();
    for path in &config.data {
        let wrong = |message: String| RecipeError::Input(format!("{}: {message}", path.display()));
        let bytes = fs::read(path).map_err(|error| wrong(error.to_string()))?;
        hasher.update(&bytes);
        for (number, line) in bytes.lines().enumerate() {
            let line = line.map_err(|error| wrong(format!("line {}: {error}", number + 1)))?;
            if line.trim().is_empty() {
                continue;
            }
            let example: Example = serde_json::from_str(&line)
                .map_err(|error| wrong(format!("line {}: {error}", number + 1)))?;
            let weight = config
                .task_weights
                .get(&example.task)
                .copied()
                .unwrap_or(1.0);
            texts.push(tokenize(&example, tokenizer, weight, config.max_tokens)?);
        }
    }
    Ok((texts, hasher.finalize().to_hex().to_string()))
}

/// One example's tokens; parts are tokenized one by one, so that each begins at a token.
pub fn tokenize(
    example: &Example,
    tokenizer: &Tokenizer,
    weight: f64,
    max_tokens: usize,
) -> Result<Text, RecipeError> {
    let (mut ids, mut supervised) = (Vec::new(), Vec::new());
    for part in &example.parts {
        let part_ids = tokenizer.encode(&part.text)?;
        supervised.extend(vec![part.supervised; part_ids.len()]);
        ids.extend(part_ids);
    }
    let truncated = ids.len() > max_tokens;
    ids.truncate(max_tokens);
    supervised.truncate(max_tokens);
    if let Some(first) = supervised.first_mut() {
        *first = false;
    }
    Ok(Text {
        ids,
        supervised,
        weight,
        truncated,
    })
}

/// Prints what there is to learn from; shares of cut examples and of supervised tokens.
fn report_texts(texts: &[Text], options: &Options<'_>) -> Result<(f64, f64), RecipeError> {
    let tokens: usize = texts.iter().map(|text| text.ids.len()).sum();
    let supervised: usize = texts.iter().map(Text::count_supervised).sum();
    let truncated = texts.iter().filter(|text| text.truncated).count();
    let share = |part: usize, whole: usize| part as f64 / whole.max(1) as f64;
    if options.progress {
        eprintln!(
            "{} examples, {tokens} tokens, {supervised} supervised ({:.1} %); {truncated} examples cut ({:.1} %)",
            texts.len(),
            100.0 * share(supervised, tokens),
            100.0 * share(truncated, texts.len()),
        );
    }
    if supervised == 0 {
        return Err(RecipeError::Input(format!(
            "data: {} examples without one supervised token: there is nothing to learn",
            texts.len()
        )));
    }
    Ok((share(truncated, texts.len()), share(supervised, tokens)))
}

impl Text {
    /// Number of tokens that enter the loss.
    pub fn count_supervised(&self) -> usize {
        self.supervised
            .iter()
            .filter(|supervised| **supervised)
            .count()
    }
}

/// Step 2: the base model's Fisher information on general text, from the cache where it was estimated before; and what
/// identifies it.
fn fisher(
    config: &Config,
    model: &mut Llama,
    tokenizer: &Tokenizer,
    options: &Options<'_>,
) -> Result<(Fisher, String), RecipeError> {
    let ewc = &config.ewc;
    let mut sequences = general_text(ewc, tokenizer)?;
    if ewc.sampled {
        let mut rng = stream(config.seed, u64::MAX);
        for sequence in &mut sequences {
            *sequence = sample_labels(model, sequence, &mut rng)?;
        }
    }
    let digest = {
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"fisher/1");
        hasher.update(model.digest().as_bytes());
        hasher.update(format!("{:?} {:?}", model.kind(), ewc.loss).as_bytes());
        for sequence in &sequences {
            hasher.update(format!("{sequence:?}").as_bytes());
        }
        hasher.finalize().to_hex()[..32].to_owned()
    };
    let path =
        cache::folder().map(|folder| folder.join("fisher").join(format!("{digest}.safetensors")));
    if let Some(fisher) = path.as_deref().and_then(|path| Fisher::load(path, model)) {
        if options.progress {
            eprintln!(
                "Fisher information of {} documents: from the cache",
                sequences.len()
            );
        }
        return Ok((fisher, digest));
    }
    let bar = bar(
        options.progress,
        sequences.len() as u64,
        "Fisher information",
    );
    let estimated = Fisher::estimate(model, &sequences, ewc.loss, |done| {
        bar.set_position(done as u64);
        !options.stop.load(Ordering::Relaxed)
    });
    bar.finish_and_clear();
    let fisher = estimated.map_err(|error| match error {
        FisherError::Stopped => {
            RecipeError::Failed("stopped while estimating the Fisher information".to_owned())
        }
        FisherError::NoText => RecipeError::Input(format!(
            "ewc.text: {}: no document with two tokens",
            ewc.text.display()
        )),
        FisherError::Model(error) => error.into(),
    })?;
    if let Some(path) = path {
        // The estimate is there whether or not it can be kept.
        if let Err(error) = fisher.save(&path) {
            eprintln!(
                "{}: {error}: the Fisher information is not kept for the next run",
                path.display()
            );
        }
    }
    Ok((fisher, digest))
}

/// The first `documents` documents of the general text.
fn general_text(config: &EwcConfig, tokenizer: &Tokenizer) -> Result<Vec<Sequence>, RecipeError> {
    let path = &config.text;
    let wrong =
        |message: String| RecipeError::Input(format!("ewc.text: {}: {message}", path.display()));
    let read = |path: &Path| {
        fs::read_to_string(path).map_err(|error| wrong(format!("{}: {error}", path.display())))
    };
    let mut documents = Vec::new();
    if path.is_dir() {
        let entries = fs::read_dir(path).map_err(|error| wrong(error.to_string()))?;
        let mut files: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
        files.retain(|file| file.extension().is_some_and(|extension| extension == "txt"));
        files.sort();
        for file in files.iter().take(config.documents) {
            documents.push(tokenizer.encode(&read(file)?)?);
        }
    } else if path
        .extension()
        .is_some_and(|extension| extension == "jsonl")
    {
        let text = read(path)?;
        let lines = text
            .lines()
            .enumerate()
            .filter(|(_, line)| !line.trim().is_empty());
        for (number, line) in lines.take(config.documents) {
            let value: Value = serde_json::from_str(line)
                .map_err(|error| wrong(format!("line {}: {error}", number + 1)))?;
            let text = value["text"].as_str().ok_or_else(|| {
                wrong(format!(
                    "line {}: expected an object with \"text\"",
                    number + 1
                ))
            })?;
            documents.push(tokenizer.encode(text)?);
        }
    } else {
        let ids = tokenizer.encode(&read(path)?)?;
        documents.extend(
            ids.chunks(config.document_tokens)
                .take(config.documents)
                .map(<[i64]>::to_vec),
        );
    }
    let cut = |mut ids: Vec<i64>| {
        ids.truncate(config.document_tokens);
        Sequence::whole(ids)
    };
    let sequences: Vec<_> = documents
        .into_iter()
        .map(cut)
        .filter(|sequence| sequence.ids.len() > 1)
        .collect();
    if sequences.is_empty() {
        return Err(wrong("no document with two tokens".to_owned()));
    }
    Ok(sequences)
}

/// What a checkpoint remembers of where its run came from, beside the configuration.
#[derive(Clone, Debug, Default)]
pub struct Identity {
    /// blake3 of the examples' files.
    pub dataset_digest: String,
    /// Identifies the Fisher information; empty without EWC.
    pub fisher_digest: String,
    /// Name of the base model, for PEFT.
    pub base: String,
}

/// Steps 3 to 5: trains an adapter of `model` on `texts`.
///
/// # Errors
/// [`RecipeError::Input`] when a checkpoint to resume from is of another run, or nothing is supervised.
pub fn train(
    config: &Config,
    options: &Options<'_>,
    model: &mut Llama,
    texts: &[Text],
    ewc: Option<&Ewc>,
    identity: &Identity,
) -> Result<Summary, RecipeError> {
    let checkpoints = options.out.join("checkpoints");
    let saved_config = config_of_record(config, options, identity)?;
    let size = {
        let mut rng = stream(config.seed, 0);
        let lora = Lora::new(
            model.config(),
            config.lora.clone(),
            model.kind(),
            model.device(),
            &mut rng,
        )?;
        let size = lora.values().len();
        model.attach(lora);
        size
    };
    let mut optimizer = AdamW::new(config.adamw, size);
    let mut state = TrainerState::new(
        model.digest().to_owned(),
        identity.dataset_digest.clone(),
        saved_config,
    );
    let found = checkpoint::latest(&checkpoints).filter(|_| options.resume);
    if let Some(folder) = &found {
        let (saved, moments) = checkpoint::load_state(folder).map_err(checkpoint_error)?;
        saved
            .check(
                folder,
                &state.model_digest,
                &state.dataset_digest,
                &state.config,
            )
            .map_err(checkpoint_error)?;
        checkpoint::attach_adapter(model, folder).map_err(checkpoint_error)?;
        optimizer = restored(config.adamw, size, moments, saved.step).ok_or_else(|| {
            RecipeError::Input(format!(
                "{}: the optimizer's moments do not fit the adapter",
                folder.display()
            ))
        })?;
        state = saved;
    } else if let Some(folder) = &options.init_adapter {
        checkpoint::attach_adapter(model, folder).map_err(checkpoint_error)?;
    }
    if model.lora().map(Lora::config) != Some(&config.lora) {
        return Err(RecipeError::Input(
            "the adapter's rank, alpha or targets differ from the recipe's".to_owned(),
        ));
    }

    let mut sampler = Sampler::new(config, texts, state.epoch, state.batch)?;
    let steps = config.number_of_steps(texts)?;
    let schedule = Schedule {
        peak: config.learning_rate,
        warmup: (config.warmup * steps as f64).round() as u64,
        steps,
        decay: config.decay,
    };
    let mut metrics = Metrics::open(&options.out.join("metrics.jsonl"), state.step)?;
    let (started, seconds_before, tokens_before) = (Instant::now(), state.seconds, state.tokens);
    let mut losses = Vec::new();
    let mut penalty = 0.0;
    let mut gradient = vec![0.0; size];
    let last = options
        .stop_after
        .map_or(steps, |after| steps.min(state.step + after));
    let mut progress = Progress::new(options.progress, "training", state.step, [last, steps]);
    let mut written = found.filter(|_| state.step > 0);
    let rate = |state: &TrainerState| {
        (state.tokens - tokens_before) as f64 / started.elapsed().as_secs_f64().max(1e-9)
    };

    while state.step < last && !options.stop.load(Ordering::Relaxed) {
        let batches: Vec<Vec<usize>> = (0..config.accumulation)
            .map(|_| sampler.next(texts))
            .collect();
        gradient.fill(0.0);
        let step = gradient_of(model, texts, &batches, &mut gradient)?;
        if let (Some(ewc), Some(lora)) = (ewc, model.lora()) {
            penalty = ewc.add_gradient(model, lora, &mut gradient)?;
        }
        let (scale, norm) = clip_scale(&gradient, config.clip);
        if !norm.is_finite() {
            return Err(RecipeError::Failed(format!(
                "step {}: the gradient is not finite",
                state.step
            )));
        }
        let learning_rate = schedule.at(state.step);
        if let Some(lora) = model.lora_mut() {
            lora.update(|values| optimizer.step(values, &gradient, scale, learning_rate))?;
        }

        state.step += 1;
        state.tokens += step.tokens as u64;
        (state.epoch, state.batch) = sampler.cursor();
        state.seconds = seconds_before + started.elapsed().as_secs_f64();
        losses.push(step.nll);
        metrics.write(&json!({
            "step": state.step, "loss": step.loss + penalty, "nll": step.nll, "penalty": penalty,
            "penalty_share": penalty / step.loss.max(f64::MIN_POSITIVE), "learning_rate": learning_rate,
            "gradient_norm": norm, "tokens": state.tokens, "supervised": step.supervised,
            "tokens_per_second": rate(&state), "seconds": state.seconds,
        }))?;
        let message = format!(
            "nll {:.3}, penalty {penalty:.3}, {:.0} tokens/s",
            step.nll,
            rate(&state)
        );
        progress.tell(state.step, message, "");
        if state.step.is_multiple_of(config.checkpoint_every) && state.step < last {
            written = Some(write_checkpoint(
                &checkpoints,
                model,
                identity,
                &optimizer,
                &state,
            )?);
        }
    }
    progress.finish();
    let named = written.filter(|folder| folder.ends_with(format!("step_{}", state.step)));
    let checkpoint = match named {
        Some(folder) => folder,
        None => write_checkpoint(&checkpoints, model, identity, &optimizer, &state)?,
    };
    let tail = &losses[losses.len() - losses.len().div_ceil(10)..];
    Ok(Summary {
        step: state.step,
        steps,
        tokens: state.tokens,
        nll: tail.iter().sum::<f64>() / tail.len().max(1) as f64,
        penalty,
        seconds: state.seconds,
        tokens_per_second: rate(&state),
        truncated: 0.0,
        supervised: 0.0,
        checkpoint,
    })
}

/// The configuration as checkpoints keep it: paths are replaced by digests of what they name.
fn config_of_record(
    config: &Config,
    options: &Options<'_>,
    identity: &Identity,
) -> Result<Value, RecipeError> {
    let failed = |error: serde_json::Error| RecipeError::Failed(error.to_string());
    let mut value = serde_json::to_value(config).map_err(failed)?;
    let Some(map) = value.as_object_mut() else {
        return Ok(value);
    };
    for key in ["model", "data", "checkpoint_every"] {
        map.remove(key);
    }
    if let Some(ewc) = map.get_mut("ewc").and_then(Value::as_object_mut) {
        ewc.remove("text");
        ewc.insert(
            "fisher_digest".to_owned(),
            identity.fisher_digest.clone().into(),
        );
    }
    let init = match &options.init_adapter {
        None => Value::Null,
        Some(folder) => {
            let path = folder.join("adapter_model.safetensors");
            let bytes = fs::read(&path)
                .map_err(|error| RecipeError::Input(format!("{}: {error}", path.display())))?;
            blake3::hash(&bytes).to_hex().to_string().into()
        }
    };
    map.insert("init_adapter".to_owned(), init);
    Ok(value)
}

fn write_checkpoint(
    folder: &Path,
    model: &Llama,
    identity: &Identity,
    optimizer: &AdamW,
    state: &TrainerState,
) -> Result<PathBuf, RecipeError> {
    let lora = model.lora().expect("training attached an adapter");
    let (first, second) = optimizer.moments();
    checkpoint::save(
        folder,
        lora,
        &identity.base,
        &[("first", first), ("second", second)],
        state,
    )
    .map_err(|error| RecipeError::Failed(error.to_string()))
}

/// What a step's batches came to.
pub struct StepLoss {
    /// Weighted mean negative log-likelihood of the supervised tokens, in nats: what the gradient is of.
    pub loss: f64,
    /// The same without weights.
    pub nll: f64,
    /// Tokens read.
    pub tokens: usize,
    /// Supervised ones among them.
    pub supervised: usize,
}

/// Adds the gradient of `Σ w CE / supervised tokens` over the batches with respect to the adapter's values.
///
/// # Errors
/// When a text does not fit the model.
pub fn gradient_of(
    model: &Llama,
    texts: &[Text],
    batches: &[Vec<usize>],
    gradient: &mut [f32],
) -> Result<StepLoss, RecipeError> {
    let lora = model
        .lora()
        .ok_or_else(|| RecipeError::Failed("no adapter is attached".to_owned()))?;
    let leaves = lora.leaves();
    let total: usize = batches
        .iter()
        .flatten()
        .map(|index| texts[*index].count_supervised())
        .sum();
    let mut step = StepLoss {
        loss: 0.0,
        nll: 0.0,
        tokens: 0,
        supervised: total,
    };
    for batch in batches {
        let mut packed = Packed::new();
        let (mut positions, mut targets, mut weights) = (Vec::new(), Vec::new(), Vec::new());
        for index in batch {
            let text = &texts[*index];
            let start = packed.push(&text.ids) as i64;
            for (at, (id, supervised)) in text.ids.iter().zip(&text.supervised).enumerate() {
                if *supervised {
                    positions.push(start + at as i64 - 1);
                    targets.push(*id);
                    weights.push((text.weight / total as f64) as f32);
                }
            }
        }
        step.tokens += packed.len();
        if positions.is_empty() {
            continue;
        }
        let hidden = model.hidden(&packed)?;
        let logits = model.logits(&hidden, &positions);
        let device = logits.device();
        let targets = Tensor::from_slice(&targets).to_device(device);
        let weights = Tensor::from_slice(&weights).to_device(device);
        let each = logits.f_cross_entropy_loss::<Tensor>(
            &targets,
            None,
            tch::Reduction::None,
            -100,
            0.0,
        )?;
        let loss = (&each * weights).sum(tch::Kind::Float);
        let gradients = Tensor::f_run_backward(&[&loss], &leaves, false, false)?;
        lora.add_gradient(&gradients, gradient)?;
        step.loss += loss.double_value(&[]);
        step.nll += no_grad(|| each.sum(tch::Kind::Double)).double_value(&[]) / total as f64;
    }
    Ok(step)
}

impl Config {
    /// Steps of a run: as asked for, or as many as the token budget needs with the first pass's batches.
    fn number_of_steps(&self, texts: &[Text]) -> Result<u64, RecipeError> {
        if self.steps > 0 {
            return Ok(self.steps);
        }
        let batches = Sampler::new(self, texts, 0, 0)?.batches;
        let tokens: usize = batches
            .iter()
            .flatten()
            .map(|index| texts[*index].ids.len())
            .sum();
        let per_step = tokens as f64 / batches.len() as f64 * self.accumulation as f64;
        Ok((self.tokens as f64 / per_step).ceil() as u64)
    }
}

/// The order of the examples: each pass is shuffled by its own stream of random numbers and packed into batches.
struct Sampler {
    seed: u64,
    batch_tokens: usize,
    epoch: u64,
    batches: Vec<Vec<usize>>,
    next: usize,
}

/// Batches filled at a time. More wastes less room at their ends and mixes the order less evenly.
const OPEN_BATCHES: usize = 8;

impl Sampler {
    /// A sampler about to give batch `batch` of pass `epoch`.
    fn new(config: &Config, texts: &[Text], epoch: u64, batch: u64) -> Result<Self, RecipeError> {
        let mut sampler = Self {
            seed: config.seed,
            batch_tokens: config.batch_tokens,
            epoch,
            batches: Vec::new(),
            next: batch as usize,
        };
        sampler.batches = sampler.pack(texts);
        if sampler.batches.is_empty() {
            return Err(RecipeError::Input(
                "data: no example has a supervised token".to_owned(),
            ));
        }
        Ok(sampler)
    }

    /// Pass and batch that come next.
    fn cursor(&self) -> (u64, u64) {
        (self.epoch, self.next as u64)
    }

    fn next(&mut self, texts: &[Text]) -> Vec<usize> {
        if self.next >= self.batches.len() {
            self.epoch += 1;
            self.next = 0;
            self.batches = self.pack(texts);
        }
        self.next += 1;
        self.batches[self.next - 1].clone()
    }

    /// One pass: examples in shuffled order, each into the first open batch it fits into.
    fn pack(&self, texts: &[Text]) -> Vec<Vec<usize>> {
        let mut order: Vec<usize> = (0..texts.len())
            .filter(|index| texts[*index].count_supervised() > 0)
            .collect();
        order.shuffle(&mut stream(self.seed, 1 + self.epoch));
        let (mut done, mut open) = (Vec::new(), Vec::<(usize, Vec<usize>)>::new());
        for index in order {
            let tokens = texts[index].ids.len();
            let fits = open
                .iter_mut()
                .find(|(used, _)| used + tokens <= self.batch_tokens);
            if let Some((used, batch)) = fits {
                *used += tokens;
                batch.push(index);
                continue;
            }
            open.push((tokens, vec![index]));
            if open.len() > OPEN_BATCHES {
                let fullest = (0..open.len())
                    .max_by_key(|at| (open[*at].0, open.len() - at))
                    .unwrap_or(0);
                done.push(open.remove(fullest).1);
            }
        }
        done.extend(open.into_iter().map(|(_, batch)| batch));
        done
    }
}

/// Random numbers for one purpose: 0 the adapter, 1.. the passes over the data.
fn stream(seed: u64, purpose: u64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(purpose);
    rng
}
