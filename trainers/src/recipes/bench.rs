//! How fast [`super::language_finetune`] trains: tokens per second of CPU time, on rows like those of the peer's script
//! (tests/peers/language/train_speed.py), so that the two can be measured side by side.

use std::fs;
use std::path::Path;
use std::time::Instant;

use rand::RngExt as _;
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::RecipeError;
use super::language_finetune::{Config, Text, gradient_of};
use crate::cache;
use crate::continual::{Ewc, Fisher, LossOf, Sequence};
use crate::nn::{Lora, load_model};
use crate::optimizer::{AdamW, clip_scale};

/// A row of the peer's data.
#[derive(Deserialize)]
struct Row {
    input_ids: Vec<i64>,
    /// -100 where the loss does not look.
    labels: Vec<i64>,
}

/// What was measured.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Figures {
    /// Tokens read, after one step of warm-up.
    pub tokens: usize,
    /// Supervised ones among them.
    pub supervised: usize,
    /// CPU seconds (user and system, all threads).
    pub cpu_s: f64,
    /// Wall seconds.
    pub wall_s: f64,
    /// Tokens per CPU second.
    pub tokens_per_cpu_s: f64,
    /// Tokens per wall second.
    pub tokens_per_wall_s: f64,
    /// CPU seconds of one EWC penalty with its gradient, measured apart.
    pub ewc_cpu_s: f64,
    /// Number format.
    pub precision: String,
    /// Threads of one operation.
    pub threads: i32,
    /// Loss at the first and the last step: it must fall.
    pub losses: (f64, f64),
}

/// Measures batches of `config.batch_tokens` without, and then the EWC penalty alone.
///
/// # Errors
/// When the model or the rows cannot be read.
pub fn run(config: &Config, rows: Option<&Path>, print: bool) -> Result<Figures, RecipeError> {
    let default = cache::default_model();
    let path = if config.model.as_os_str().is_empty() {
        &default
    } else {
        &config.model
    };
    let (mut model, _) = load_model(path, config.precision)?;
    let mut rng = ChaCha8Rng::seed_from_u64(config.seed);
    let texts = match rows {
        Some(path) => read_rows(path)?,
        None => made_up(&mut rng),
    };
    let lora = Lora::new(
        model.config(),
        config.lora.clone(),
        model.kind(),
        model.device(),
        &mut rng,
    )?;
    let size = lora.values().len();
    model.attach(lora);
    let mut optimizer = AdamW::new(config.adamw, size);
    let mut gradient = vec![0.0; size];

    // whole rows in file order, as many as fit
    let mut batches = vec![Vec::new()];
    let mut used = 0;
    for (index, text) in texts.iter().enumerate() {
        if used > 0 && used + text.ids.len() > config.batch_tokens {
            batches.push(Vec::new());
            used = 0;
        }
        used += text.ids.len();
        batches.last_mut().expect("starts with one").push(index);
    }
    let (mut tokens, mut supervised, mut losses) = (0, 0, Vec::new());
    let (mut cpu, mut wall) = (0.0, Instant::now());
    for (step, batch) in std::iter::once(&batches[0]).chain(&batches).enumerate() {
        if step == 1 {
            (cpu, wall) = (cpu_seconds(), Instant::now());
        }
        gradient.fill(0.0);
        let loss = gradient_of(&model, &texts, std::slice::from_ref(batch), &mut gradient)?;
        let (scale, _) = clip_scale(&gradient, config.clip);
        if let Some(lora) = model.lora_mut() {
            lora.update(|values| optimizer.step(values, &gradient, scale, config.learning_rate))?;
        }
        losses.push(loss.loss);
        if step > 0 {
            tokens += loss.tokens;
            supervised += loss.supervised;
        }
    }
    let (cpu_s, wall_s) = (cpu_seconds() - cpu, wall.elapsed().as_secs_f64());

    let sequence = Sequence::whole(texts[0].ids.clone());
    let fisher = Fisher::estimate(&mut model, &[sequence], LossOf::Mean, |_| true)
        .map_err(|error| RecipeError::Failed(error.to_string()))?;
    let ewc = Ewc::new(fisher, 1.0);
    let lora = model.lora().expect("attached above");
    ewc.add_gradient(&model, lora, &mut gradient)?;
    let (cpu, repeats) = (cpu_seconds(), 10);
    for _ in 0..repeats {
        ewc.add_gradient(&model, lora, &mut gradient)?;
    }
    let figures = Figures {
        tokens,
        supervised,
        cpu_s,
        wall_s,
        tokens_per_cpu_s: tokens as f64 / cpu_s,
        tokens_per_wall_s: tokens as f64 / wall_s,
        ewc_cpu_s: (cpu_seconds() - cpu) / f64::from(repeats),
        precision: format!("{:?}", model.kind()),
        threads: tch::get_num_threads(),
        losses: (losses[1], losses[losses.len() - 1]),
    };
    if print {
        eprintln!(
            "{:.0} tokens per CPU second, {:.0} per wall second ({} tokens in batches of {}, {}, {} threads); EWC {:.3} CPU s a step",
            figures.tokens_per_cpu_s,
            figures.tokens_per_wall_s,
            figures.tokens,
            config.batch_tokens,
            figures.precision,
            figures.threads,
            figures.ewc_cpu_s
        );
    }
    Ok(figures)
}

fn read_rows(path: &Path) -> Result<Vec<Text>, RecipeError> {
    let wrong = |message: String| RecipeError::Input(format!("{}: {message}", path.display()));
    let text = fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
    text.lines()
        .enumerate()
        .map(|(number, line)| {
            let row: Row = serde_json::from_str(line)
                .map_err(|error| wrong(format!("line {}: {error}", number + 1)))?;
            if row.input_ids.len() != row.labels.len() {
                return Err(wrong(format!(
                    "line {}: ids and labels differ in length",
                    number + 1
                )));
            }
            let supervised = row
                .labels
                .iter()
                .enumerate()
                .map(|(at, label)| at > 0 && *label != -100)
                .collect();
            Ok(Text {
                ids: row.input_ids,
                supervised,
                weight: 1.0,
                truncated: false,
            })
        })
        .collect()
}

/// Rows of 60 to 250 tokens whose last third at most is supervised and repeats a stretch of the prompt.
fn made_up(rng: &mut ChaCha8Rng) -> Vec<Text> {
    let row = |_| {
        let length = rng.random_range(60..=250_usize);
        let answer = rng.random_range(15..=(length / 3).max(16));
        let mut ids: Vec<i64> = (answer..length)
            .map(|_| rng.random_range(300..=20_000))
            .collect();
        let start = rng.random_range(0..ids.len());
        for at in 0..answer {
            ids.push(ids[(start + at) % (length - answer)]);
        }
        Text {
            supervised: (0..length).map(|at| at >= length - answer).collect(),
            ids,
            weight: 1.0,
            truncated: false,
        }
    };
    (0..64).map(row).collect()
}

/// Most memory that the process had so far, MiB; none where the system does not tell.
pub(super) fn peak_mib() -> Option<u64> {
    mib("/proc/self/status", "VmHWM:")
}

/// Memory of the machine, MiB; none where the system does not tell.
pub(super) fn memory_mib() -> Option<u64> {
    mib("/proc/meminfo", "MemTotal:")
}

fn mib(file: &str, name: &str) -> Option<u64> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib / 1024)
}

/// User and system time of this process in seconds, in steps of 10 ms; wall time where the system does not say.
pub(super) fn cpu_seconds() -> f64 {
    let ticks = fs::read_to_string("/proc/self/stat").ok().and_then(|stat| {
        let fields: Vec<_> = stat
            .rsplit_once(')')?
            .1
            .split_whitespace()
            .map(str::to_owned)
            .collect();
        Some(fields.get(11)?.parse::<f64>().ok()? + fields.get(12)?.parse::<f64>().ok()?)
    });
    ticks.map_or_else(
        || {
            std::time::SystemTime::UNIX_EPOCH
                .elapsed()
                .map_or(0.0, |time| time.as_secs_f64())
        },
        |ticks| ticks / 100.0,
    )
}
