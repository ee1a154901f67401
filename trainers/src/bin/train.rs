//! `train`: carries out a recipe.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::Parser;
use serde::de::DeserializeOwned;
use serde_json::json;
use trainers::nn::{exit_now, init_torch};
use trainers::recipes::{
    RecipeError, RunOptions, bench, inverse_dynamics, language_finetune, loader_bench, motor,
    motor_bench, motor_study,
};

/// Trains a model as a recipe says.
#[derive(Parser)]
#[command(
    name = "train",
    version,
    after_help = "Example:\n  habitus train recipes/language_finetune.toml --set 'data=[\"runs/data/train.jsonl\"]' \\\n      \
                  --set ewc.text=general.jsonl --out runs/first\n  habitus train recipes/language_finetune.toml --out runs/first --resume\n  \
                  habitus train recipes/inverse_dynamics.toml --set 'data=[\"stores/point\"]' --out runs/encoder\n\n\
                  Exit code 0: done (or stopped by Ctrl-C with a checkpoint); 1: failed; 2: the input is wrong."
)]
struct Arguments {
    /// The recipe: a TOML file; its key `recipe` names the procedure.
    #[arg(required_unless_present_any = ["bench", "bench_loader", "bench_motor"])]
    recipe: Option<PathBuf>,
    /// Changes a value of the recipe; dots reach into tables (`--set ewc.lambda=0`).
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Folder of the run: config.toml, metrics.jsonl, checkpoints.
    #[arg(long, value_name = "RUN", required_unless_present_any = ["bench", "bench_loader", "bench_motor"])]
    out: Option<PathBuf>,
    /// Go on from RUN's last checkpoint, bit for bit.
    #[arg(long)]
    resume: bool,
    /// Print a JSON object as the last line of stdout.
    #[arg(long)]
    json: bool,
    /// Overrides the recipe's seed.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Threads of one operation; 0: one per core. The last bits of a result depend on it.
    #[arg(long, value_name = "N", default_value_t = 0)]
    threads: usize,
    /// Start from this adapter (PEFT format).
    #[arg(long, value_name = "DIR")]
    init_adapter: Option<PathBuf>,
    /// Measure training speed instead of training: tokens per second of CPU time.
    #[arg(long)]
    bench: bool,
    /// Rows for --bench, JSON Lines of {"input_ids", "labels"}; made up where not given.
    #[arg(long, value_name = "FILE", requires = "bench")]
    bench_data: Option<PathBuf>,
    /// Measure how fast pictures become batches: samples per second of CPU time. The frames lie in --out, or nowhere after.
    #[arg(long, conflicts_with = "bench")]
    bench_loader: bool,
    /// Measure how fast hands are stepped and learn: steps of the environment per second of CPU time; the recipe is one of
    /// `motor`.
    #[arg(long, conflicts_with_all = ["bench", "bench_loader"])]
    bench_motor: bool,
}

static STOP: AtomicBool = AtomicBool::new(false);

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    init_torch(arguments.threads);
    // The second Ctrl-C does not wait for the checkpoint.
    let stop = ctrlc::set_handler(|| {
        if STOP.swap(true, Ordering::Relaxed) {
            exit_now(130);
        }
        eprintln!("stopping after this step, with a checkpoint; once more stops at once");
    });
    if let Err(error) = stop {
        eprintln!("Ctrl-C will not write a checkpoint: {error}");
    }
    match run(&arguments) {
        Ok(result) => {
            if arguments.json {
                println!("{result}");
            }
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}

fn run(arguments: &Arguments) -> Result<serde_json::Value, RecipeError> {
    if arguments.bench {
        let figures = bench::run(
            &read_recipe(arguments)?,
            arguments.bench_data.as_deref(),
            true,
        )?;
        return Ok(json!(figures));
    }
    if arguments.bench_loader {
        return bench_of_loader(arguments);
    }
    if arguments.bench_motor {
        return Ok(json!(motor_bench::run(&read_recipe(arguments)?, true)?));
    }
    let name = recipe_name(arguments)?;
    let recipe = RECIPES.iter().find(|(known, _)| *known == name);
    let Some((_, carry_out)) = recipe else {
        let names = RECIPES.map(|(known, _)| known).join(", ");
        return Err(RecipeError::Input(format!(
            "recipe: expected one of {names}, found \"{name}\""
        )));
    };
    carry_out(arguments)
}

fn bench_of_loader(arguments: &Arguments) -> Result<serde_json::Value, RecipeError> {
    if let Some(folder) = &arguments.out {
        return Ok(json!(loader_bench::run(folder, true)?));
    }
    let folder = std::env::temp_dir().join(format!("habitus_loader_{}", std::process::id()));
    let figures = loader_bench::run(&folder, true);
    // left behind, it is the system's to clean
    let _removed = fs::remove_dir_all(&folder);
    Ok(json!(figures?))
}

/// Carries a recipe out: what it came to.
type Recipe = fn(&Arguments) -> Result<serde_json::Value, RecipeError>;

/// By the key `recipe` of their files.
const RECIPES: [(&str, Recipe); 4] = [
    ("language_finetune", finetune_language),
    ("inverse_dynamics", pretrain_encoder),
    ("motor", learn_to_move),
    ("motor_study", study_a_prior),
];

/// The file's key `recipe`; where it has none, the first recipe.
fn recipe_name(arguments: &Arguments) -> Result<String, RecipeError> {
    let Some(path) = &arguments.recipe else {
        return Ok(RECIPES[0].0.to_owned());
    };
    let wrong = |error: String| RecipeError::Input(format!("{}: {error}", path.display()));
    let text = fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
    let table: toml::Table = toml::from_str(&text).map_err(|error| wrong(error.to_string()))?;
    let name = table.get("recipe").and_then(toml::Value::as_str);
    Ok(name.unwrap_or(RECIPES[0].0).to_owned())
}

/// How a recipe is carried out from the command line.
fn options(arguments: &Arguments) -> RunOptions<'static> {
    RunOptions {
        out: arguments.out.clone().expect("clap requires --out"),
        resume: arguments.resume,
        stop: &STOP,
        stop_after: None,
        progress: true,
    }
}

fn pretrain_encoder(arguments: &Arguments) -> Result<serde_json::Value, RecipeError> {
    if arguments.init_adapter.is_some() {
        let text = "--init-adapter: an encoder of pictures has no adapter";
        return Err(RecipeError::Input(text.to_owned()));
    }
    let config: inverse_dynamics::Config = read_recipe(arguments)?;
    let summary = inverse_dynamics::run(&config, &options(arguments))?;
    let losses = summary.losses.iter();
    let losses: Vec<String> = losses.map(|(name, x)| format!("{name} {x:.4}")).collect();
    eprintln!(
        "{} of {} steps in {:.0} s; {}; RankMe {:.1}; waited for data {:.1} % of the time; {}",
        summary.step,
        summary.steps,
        summary.seconds,
        losses.join(", "),
        summary.rank_me,
        100.0 * summary.stall,
        summary.encoder.display()
    );
    if summary.step < summary.steps {
        eprintln!("stopped early: go on with --resume");
    }
    Ok(json!(summary))
}

fn learn_to_move(arguments: &Arguments) -> Result<serde_json::Value, RecipeError> {
    if arguments.init_adapter.is_some() {
        let text = "--init-adapter: a hand's policy has no adapter";
        return Err(RecipeError::Input(text.to_owned()));
    }
    let config: motor::Config = read_recipe(arguments)?;
    let summary = motor::run(&config, &options(arguments))?;
    let figures = summary.success.iter().zip(&summary.held);
    for (task, (success, held)) in summary.tasks.iter().zip(figures) {
        eprintln!(
            "{task}: {:.2} [{:.2}, {:.2}] of {} episodes succeed; it holds after {held:.2} of the steps",
            success.value, success.low, success.high, success.n
        );
    }
    eprintln!(
        "{} of {} iterations, {} steps in {:.0} s, {:.0} a second; {}",
        summary.step,
        summary.steps,
        summary.env_steps,
        summary.seconds,
        summary.env_steps_per_second,
        summary.policy.display()
    );
    if summary.step < summary.steps {
        eprintln!("stopped early: go on with --resume");
    }
    Ok(json!(summary))
}

fn study_a_prior(arguments: &Arguments) -> Result<serde_json::Value, RecipeError> {
    if arguments.init_adapter.is_some() || arguments.seed.is_some() {
        let text = "--init-adapter, --seed: a study has no adapter, and seeds of its own";
        return Err(RecipeError::Input(text.to_owned()));
    }
    let config: motor_study::Config = read_recipe(arguments)?;
    let study = motor_study::run(&config, &options(arguments))?;
    for figures in &study.figures {
        eprintln!(
            "from {}: {:.2} of {} finetunings solve their task ({:.2} at first), after {:.0} steps in the mean; activation {:.4}",
            figures.start.name(),
            figures.solved.value,
            figures.n,
            figures.known.value,
            figures.samples.value,
            figures.activation
        );
    }
    eprintln!(
        "{} of {} runs; {}",
        study.done,
        study.runs,
        study.report.display()
    );
    if study.done < study.runs {
        eprintln!(
            "the others are not done: go on with --resume, unless another process is at them"
        );
    }
    Ok(json!(study))
}

fn finetune_language(arguments: &Arguments) -> Result<serde_json::Value, RecipeError> {
    let config: language_finetune::Config = read_recipe(arguments)?;
    let out = arguments.out.clone().expect("clap requires --out");
    let options = language_finetune::Options {
        out: out.clone(),
        resume: arguments.resume,
        init_adapter: arguments.init_adapter.clone(),
        stop: &STOP,
        progress: true,
        stop_after: None,
    };
    let summary = language_finetune::run(&config, &options)?;
    eprintln!(
        "{} of {} steps, {} tokens in {:.0} s; nll {:.3}; {}",
        summary.step,
        summary.steps,
        summary.tokens,
        summary.seconds,
        summary.nll,
        summary.checkpoint.display()
    );
    if summary.step < summary.steps {
        eprintln!("stopped early: go on with --resume");
    }
    Ok(json!(summary))
}

/// The recipe's configuration, `--set` and `--seed` applied. Errors name file and line, or the argument.
fn read_recipe<C: DeserializeOwned>(arguments: &Arguments) -> Result<C, RecipeError> {
    let mut table = toml::Table::new();
    if let Some(path) = &arguments.recipe {
        let wrong = |error: String| RecipeError::Input(format!("{}: {error}", path.display()));
        let text = fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
        // Read as a configuration first: its errors know their line.
        toml::from_str::<C>(&text).map_err(|error| wrong(error.to_string()))?;
        table = toml::from_str(&text).map_err(|error| wrong(error.to_string()))?;
    }
    for argument in &arguments.set {
        set(&mut table, argument)
            .map_err(|error| RecipeError::Input(format!("--set {argument}: {error}")))?;
    }
    if let Some(seed) = arguments.seed {
        let seed = i64::try_from(seed).map_err(|_large| {
            RecipeError::Input(format!("--seed {seed}: expected less than 2^63"))
        })?;
        table.insert("seed".to_owned(), seed.into());
    }
    C::deserialize(table).map_err(|error| RecipeError::Input(format!("--set: {error}")))
}

fn set(table: &mut toml::Table, argument: &str) -> Result<(), String> {
    let (path, value) = argument.split_once('=').ok_or("expected KEY=VALUE")?;
    // what is not a TOML value is text: paths need no quotes
    let value = toml::from_str::<toml::Table>(&format!("value = {value}"))
        .ok()
        .and_then(|mut parsed| parsed.remove("value"))
        .unwrap_or_else(|| value.into());
    let (parents, key) = path
        .rsplit_once('.')
        .map_or((None, path), |(parents, key)| (Some(parents), key));
    let mut at = table;
    for parent in parents.into_iter().flat_map(|parents| parents.split('.')) {
        at = at
            .entry(parent)
            .or_insert_with(|| toml::Table::new().into())
            .as_table_mut()
            .ok_or_else(|| format!("{parent} is not a table"))?;
    }
    at.insert(key.to_owned(), value);
    Ok(())
}
