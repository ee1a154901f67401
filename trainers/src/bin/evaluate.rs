//! `evaluate`: measures models and writes the report.

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use anyhow::{Context as _, anyhow, bail};
use clap::{Parser, Subcommand, ValueEnum};
use dataset::general_text::{self, Document};
use dataset::transitions::Observations;
use dataset::verbalize::{self, Settings};
use episode::store::Store;
use episode::{Episode, Value};
use serde_json::json;
use sim::env::Fidelity;
use sim::hand::sight::Context;
use sim::hand::suites;
use sim::scenario::LoadedScenario;
use sim::scenario_file::ScenarioFile;
use trainers::evaluation::comparison::{self, Plan};
use trainers::evaluation::comparison_report;
use trainers::evaluation::imported;
use trainers::evaluation::language::{self, Figures, Items, Measured};
use trainers::evaluation::report::{Model, Report, read_curve};
use trainers::evaluation::statistics::{self, Estimate};
use trainers::evaluation::suites::SAMPLES;
use trainers::nn::{Llama, Precision, Tokenizer, exit_now, init_torch, load_model};
use trainers::recipes::RecipeError;
use trainers::recipes::representation::{PolicyConfig, read_features};
use trainers::{cache, checkpoint};

/// Measures models.
#[derive(Parser)]
#[command(name = "habitus evaluate", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Questions, plans and general text for a base model and adapters of it
    ///
    /// Prints a table, writes report.html, and with --json ends with one JSON object on stdout. Exit code 0: done; 1:
    /// failed; 2: the input is wrong.
    ///
    /// Example:
    ///   habitus evaluate language --run finetuned=runs/first --run without_ewc=runs/second \
    ///       --stores stores/plans stores/exploration stores/evaluation --out runs/report
    #[command(verbatim_doc_comment)]
    Language(Language),
    /// What pretraining an encoder of images is worth: objectives beside each other, and their controls
    ///
    /// Collects scripted demonstrations, pretrains an encoder with each objective, freezes it, finetunes a policy on a few
    /// demonstrations of one goal, rolls it out. Writes report.html, table.md and figures.json. What is finished is kept in
    /// results.jsonl, and the same command goes on where it stopped, also with longer lists; other settings are refused.
    ///
    /// Examples:
    ///   habitus evaluate representation --suite point --out runs/point
    ///   habitus evaluate representation --suite point --episodes 10,100,1000 --demonstrations 1,2,5,10 --out runs/curves
    #[command(verbatim_doc_comment)]
    Representation(Representation),
    /// What features of pictures hold that another program made
    ///
    /// First without --features: writes the suite's pictures, tensor `frames` (count, size, size, 3) of u8, to
    /// OUT/frames.safetensors. Then with --features: a file with one row for each, tensor `features` (count, numbers) of f32.
    /// Prints R² of a linear map to each number of the ground truth, and how well a policy on the features imitates; both on
    /// episodes that nothing was fitted on. There are no rollouts: their pictures would be new to the other program.
    ///
    /// Example:
    ///   habitus evaluate features --suite point --out runs/features
    ///   habitus evaluate features --suite point --out runs/features --features r3m.safetensors --numbers 512
    #[command(verbatim_doc_comment)]
    Features(ImportedFeatures),
}

#[derive(clap::Args)]
struct ImportedFeatures {
    /// Which tasks: point, place, door, kitchen, broad or broad2
    #[arg(long)]
    suite: String,
    /// Folder for the pictures and for figures.json; it is created
    #[arg(long)]
    out: PathBuf,
    /// The features' file
    #[arg(long, requires = "numbers")]
    features: Option<PathBuf>,
    /// Numbers of a picture's features
    #[arg(long, requires = "features", value_parser = clap::value_parser!(u64).range(1..))]
    numbers: Option<u64>,
    /// Rows and columns of a picture
    #[arg(long, default_value_t = 84, value_parser = clap::value_parser!(u64).range(1..=1024))]
    size: u64,
    /// Whether pictures show the goal
    #[arg(long, value_enum, default_value_t = Shown::Latent)]
    context: Shown,
    /// Episodes to fit on; a quarter as many are measured on
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..))]
    episodes: u64,
    /// Steps of the policy's training
    #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u64).range(1..))]
    steps: u64,
    /// Seeds everything
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Print one JSON object as the last line
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
struct Representation {
    /// Which tasks: point, place, door, kitchen, broad or broad2
    #[arg(long)]
    suite: String,
    /// Folder for the results; it is created
    #[arg(long)]
    out: PathBuf,
    /// Whether pictures show the goal
    #[arg(long, value_enum, default_value_t = Shown::Latent)]
    context: Shown,
    /// Objectives to pretrain with, separated by commas; also inverse_forward, action_free. predictor_inverse: a policy that
    /// predicts the next embedding and takes the action from pretrained inverse dynamics
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "inverse_dynamics,behavior_cloning,explicit_forward,implicit_forward,static_contrastive,predictor_inverse"
    )]
    objectives: Vec<String>,
    /// An encoder that `train` made, under a name of its own, as in mine=runs/encoder/encoder.safetensors; may be repeated
    #[arg(long, value_name = "NAME=FILE")]
    pretrained: Vec<String>,
    /// Episodes of the pretraining corpora, separated by commas; by default the suite's largest
    #[arg(long, value_delimiter = ',')]
    episodes: Option<Vec<u64>>,
    /// Numbers of demonstrations to finetune on, separated by commas; by default two usual ones of the suite
    #[arg(long, value_delimiter = ',')]
    demonstrations: Option<Vec<u64>>,
    /// Seeds of finetuning, each with a goal of its own
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=comparison::MOST_SEEDS))]
    seeds: u64,
    /// Rollouts of each policy
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..))]
    rollouts: u64,
    /// The encoder: small (48 pixels), paper_84 or paper_120
    #[arg(long, default_value = "small")]
    encoder: String,
    /// A pixel is the mean of so many times so many rays; 1: hard edges
    #[arg(long, default_value_t = SAMPLES as u64, value_parser = clap::value_parser!(u64).range(1..=8))]
    samples: u64,
    /// Steps of pretraining
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..))]
    steps: u64,
    /// Pairs of frames of a step
    #[arg(long, default_value_t = 128, value_parser = clap::value_parser!(u64).range(1..))]
    batch: u64,
    /// Steps of finetuning
    #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u64).range(1..))]
    finetuning: u64,
    /// Steps of finetuning from scratch: each passes through the encoder
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..))]
    scratch: u64,
    /// Roll policies of the most demonstrations out under other light, with other textures and among distractors too
    #[arg(long)]
    looks: bool,
    /// Seeds everything
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Print one JSON object as the last line
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Shown {
    /// Nobody sees what is wanted
    Latent,
    /// A marker shows it
    Visible,
}

impl From<Shown> for Context {
    fn from(shown: Shown) -> Self {
        match shown {
            Shown::Latent => Self::Latent,
            Shown::Visible => Self::Visible,
        }
    }
}

#[derive(clap::Args)]
struct Language {
    /// The base model: a GGUF file or a Hugging Face folder; by default the one that setup fetched
    #[arg(long)]
    base: Option<PathBuf>,
    /// An adapter under a name: a run folder (its last checkpoint counts) or a folder with adapter_config.json
    #[arg(long = "run", value_name = "NAME=DIR")]
    runs: Vec<String>,
    /// Episode stores. Questions and plans come from homes marked `evaluation_only`, the solved examples of the few-shot
    /// control from the others; where no home is so marked, questions come from all and the control is left out
    #[arg(long, required = true, num_args = 1..)]
    stores: Vec<PathBuf>,
    /// Folder for report.html, figures.json and the items; it is created
    #[arg(long)]
    out: PathBuf,
    /// Most questions of a kind
    #[arg(long, default_value_t = 60)]
    items: usize,
    /// Most plans
    #[arg(long, default_value_t = 24)]
    plans: usize,
    /// Most documents of each general text
    #[arg(long, default_value_t = 24)]
    documents: usize,
    /// Solved examples before each item for the base model's few-shot control; 0 leaves it out
    #[arg(long, default_value_t = 2)]
    shots: usize,
    /// General text, held-out half: a folder of Factbook files or a text file; by default what setup fetched
    #[arg(long)]
    general_text: Option<PathBuf>,
    /// A second register of general text; by default the Jargon File that setup fetched, where there is one
    #[arg(long)]
    second_text: Option<PathBuf>,
    /// What carries plans out
    #[arg(long, value_enum, default_value_t = FidelityArgument::Physical)]
    fidelity: FidelityArgument,
    /// Fixes which items are drawn
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Models measured side by side, each on one thread with its own copy of the weights; 0: one a core, at most 4
    #[arg(long, default_value_t = 0)]
    workers: usize,
    /// auto, f32 or bf16
    #[arg(long, default_value = "auto")]
    precision: Precision,
    /// Measure the base again even if its answers to these items are in the cache
    #[arg(long)]
    no_cache: bool,
    /// End with one JSON object on stdout
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FidelityArgument {
    Symbolic,
    Physical,
}

fn main() -> ExitCode {
    let command = Arguments::parse().command;
    // Several models at once instead of several threads for one: a small model gains more from it.
    init_torch(1);
    let done = match &command {
        Command::Language(arguments) => evaluate(arguments),
        Command::Representation(arguments) => representation(arguments),
        Command::Features(arguments) => features(arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Input(error)) => {
            eprintln!("habitus evaluate: {error:#}");
            ExitCode::from(2)
        }
        Err(Failure::Other(error)) => {
            eprintln!("habitus evaluate: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Of how many episodes of either kind (with a goal, without) solved examples are made: enough for two before every
/// question.
const SHOWN: usize = 150;

static STOP: AtomicBool = AtomicBool::new(false);

/// What the exit code tells apart.
enum Failure {
    Input(anyhow::Error),
    Other(anyhow::Error),
}

impl From<RecipeError> for Failure {
    fn from(error: RecipeError) -> Self {
        let code = error.exit_code();
        let error = anyhow!("{error}");
        if code == 2 {
            Self::Input(error)
        } else {
            Self::Other(error)
        }
    }
}

fn suite_named(name: &str) -> Result<&'static suites::Suite, Failure> {
    suites::suite(name).ok_or_else(|| {
        let names: Vec<&str> = suites::SUITES.iter().map(|suite| suite.name).collect();
        Failure::Input(anyhow!(
            "--suite: expected one of {}, found \"{name}\"",
            names.join(", ")
        ))
    })
}

fn features(arguments: &ImportedFeatures) -> Result<(), Failure> {
    let suite = suite_named(&arguments.suite)?;
    let pictures = imported::Pictures {
        size: arguments.size as usize,
        context: arguments.context.into(),
        episodes: arguments.episodes,
        seed: arguments.seed,
    };
    let out = &arguments.out;
    fs::create_dir_all(out)
        .with_context(|| out.display().to_string())
        .map_err(Failure::Input)?;
    let frames = imported::frames(suite, &pictures)?;
    let (Some(file), Some(numbers)) = (&arguments.features, arguments.numbers) else {
        let path = out.join("frames.safetensors");
        let tensor = frames.tensor(pictures.size)?;
        tch::Tensor::write_safetensors(&[("frames", tensor)], &path)
            .with_context(|| path.display().to_string())
            .map_err(Failure::Other)?;
        eprintln!("{} pictures: {}", frames.count(), path.display());
        if arguments.json {
            println!("{}", json!({"frames": frames.count(), "file": path}));
        }
        return Ok(());
    };
    let size = numbers as usize;
    let read = read_features(file, frames.count(), size)?;
    let Observations::Vectors { values, .. } = &read else {
        return Err(Failure::Other(anyhow!("features are vectors")));
    };
    let policy = PolicyConfig {
        seed: arguments.seed,
        steps: arguments.steps,
        ..PolicyConfig::default()
    };
    let found = imported::measure(&frames, values, size, &policy)?;
    let line = json!({"suite": suite.name, "pictures": pictures, "features": size, "found": found});
    let path = out.join("figures.json");
    fs::write(&path, format!("{line:#}\n"))
        .with_context(|| path.display().to_string())
        .map_err(Failure::Other)?;
    let list = |of: &[f64]| {
        let texts: Vec<String> = of.iter().map(|x| format!("{x:.3}")).collect();
        texts.join(" ")
    };
    eprintln!(
        "fitted on {} frames, measured on {} of other episodes\nstate, R²    {}\nactions, R²  {}\nactions, mean squared error {:.4}",
        found.frames[0],
        found.frames[1],
        list(&found.probe),
        list(&found.imitation),
        found.imitation_error
    );
    if arguments.json {
        println!("{line}");
    }
    Ok(())
}

fn representation(arguments: &Representation) -> Result<(), Failure> {
    let suite = suite_named(&arguments.suite)?;
    let pretrained = arguments.pretrained.iter().map(|text| {
        let (name, file) = text.split_once('=').ok_or_else(|| {
            Failure::Input(anyhow!(
                "--pretrained: expected NAME=FILE, as in mine=runs/encoder/encoder.safetensors, found `{text}`"
            ))
        })?;
        Ok((name.to_owned(), PathBuf::from(file)))
    });
    let plan = Plan {
        suite: suite.name.to_owned(),
        context: arguments.context.into(),
        objectives: arguments.objectives.clone(),
        pretrained: pretrained.collect::<Result<_, Failure>>()?,
        episodes: arguments
            .episodes
            .clone()
            .unwrap_or_else(|| vec![suite.corpora[2]]),
        demonstrations: arguments
            .demonstrations
            .clone()
            .unwrap_or_else(|| suite.usual.to_vec()),
        seeds: arguments.seeds,
        rollouts: arguments.rollouts,
        encoder: arguments.encoder.clone(),
        samples: arguments.samples as usize,
        pretraining: [arguments.steps, arguments.batch],
        finetuning: arguments.finetuning,
        scratch: arguments.scratch,
        looks: arguments.looks,
        seed: arguments.seed,
    };
    let out = &arguments.out;
    fs::create_dir_all(out)
        .with_context(|| out.display().to_string())
        .map_err(Failure::Input)?;
    let start = std::time::Instant::now();
    let mut tell = |what: String| eprintln!("{:>6.0} s  {what}", start.elapsed().as_secs_f64());
    // Finished policies are kept as they finish, so that the second Ctrl-C loses only what is under way.
    let listening = ctrlc::set_handler(|| {
        if STOP.swap(true, Ordering::Relaxed) {
            exit_now(130);
        }
        eprintln!("stopping after this step or policy; once more stops at once");
    });
    if let Err(error) = listening {
        eprintln!("Ctrl-C will stop at once: {error}");
    }
    let found = comparison::compare(&plan, suite, out, &STOP, &mut tell)?;
    let table = found.table();
    let figures = serde_json::to_string_pretty(&found).map_err(|e| Failure::Other(e.into()))?;
    let html = comparison_report::html(&found);
    for (name, text) in [
        ("table.md", &table),
        ("figures.json", &figures),
        ("report.html", &html),
    ] {
        fs::write(out.join(name), text)
            .with_context(|| out.join(name).display().to_string())
            .map_err(Failure::Other)?;
    }
    if arguments.json {
        println!("{}", json!(found));
    } else {
        println!("{table}");
    }
    Ok(())
}

fn evaluate(arguments: &Language) -> Result<(), Failure> {
    let prepared = prepare(arguments).map_err(Failure::Input)?;
    finish(arguments, prepared).map_err(Failure::Other)
}

/// Everything that can be wrong with the input, read and checked before a model is asked anything.
struct Prepared {
    base: PathBuf,
    runs: Vec<(String, PathBuf)>,
    items: Items,
    agreement: Option<Estimate>,
    episodes: usize,
}

fn prepare(arguments: &Language) -> anyhow::Result<Prepared> {
    let base = arguments.base.clone().unwrap_or_else(cache::default_model);
    if !base.exists() {
        bail!(
            "{}: there is no model here (`habitus setup` fetches the default one)",
            base.display()
        );
    }
    let runs = arguments
        .runs
        .iter()
        .map(|run| {
            let (name, dir) = run.split_once('=').ok_or_else(|| {
                anyhow!("--run: expected NAME=DIR, as in finetuned=runs/first, found `{run}`")
            })?;
            if name == "base" {
                bail!("--run {run}: `base` is the model without an adapter; choose another name");
            }
            Ok((name.to_owned(), PathBuf::from(dir)))
        })
        .collect::<anyhow::Result<Vec<_>>>()?;
    for (name, dir) in &runs {
        adapter_of(dir).with_context(|| format!("--run {name}"))?;
    }

    let mut scenarios: BTreeMap<String, Arc<LoadedScenario>> = BTreeMap::new();
    let stores = arguments
        .stores
        .iter()
        .map(|dir| Store::open(dir).with_context(|| dir.display().to_string()));
    let stores = stores.collect::<anyhow::Result<Vec<_>>>()?;
    for store in &stores {
        for digest in store.scenarios()? {
            let text = store.scenario_text(&digest)?;
            let path = store.dir().join(format!("scenarios/{digest}.toml"));
            // Hands have nothing to say.
            if let ScenarioFile::House(house) = ScenarioFile::load_text(&text, path)? {
                scenarios.insert(digest, house);
            }
        }
    }
    let kept_apart = scenarios
        .values()
        .any(|scenario| scenario.scenario.evaluation_only);
    if !kept_apart {
        eprintln!(
            "no home in the stores is marked evaluation_only: questions come from all of them, few-shot is left out"
        );
    }
    let mut agreement = Agreement::default();
    let mut number_of_episodes = 0;
    let (mut episodes, mut plans, mut stories) = (Vec::new(), Vec::new(), Vec::new());
    for store in &stores {
        for episode in store.episodes() {
            let episode = episode.with_context(|| store.dir().display().to_string())?;
            let Some(scenario) = scenarios.get(&episode.header.scenario_digest) else {
                continue;
            };
            number_of_episodes += 1;
            agreement.add(&episode);
            let shown = if episode.header.goal.is_empty() {
                &mut stories
            } else {
                &mut plans
            };
            if !kept_apart || scenario.scenario.evaluation_only {
                episodes.push(episode);
            } else if shown.len() < SHOWN {
                shown.push(episode);
            }
        }
    }

    let settings = Settings {
        questions_per_story: 1,
        ..Settings::default()
    };
    let demonstrations = verbalize::demonstrations(&verbalize::build(
        plans.iter().chain(&stories),
        arguments.seed,
        &settings,
    ));
    let plans = verbalize::build_plan_tasks(&episodes, arguments.seed, arguments.plans);
    let plans = plans
        .into_iter()
        .map(|task| {
            let scenario = scenarios.get(&task.scenario_digest);
            let scenario = scenario
                .ok_or_else(|| anyhow!("scenario {} is not in the stores", task.scenario_digest))?;
            Ok((task, Arc::clone(scenario)))
        })
        .collect::<anyhow::Result<Vec<_>>>()?;
    let questions = verbalize::build_questions(&episodes, arguments.seed, arguments.items);
    if questions.is_empty() && plans.is_empty() {
        bail!(
            "expected episodes that questions or plans can be made from, found none among {} in the stores",
            episodes.len()
        );
    }
    let cached = |name: &str| {
        cache::folder()
            .map(|folder| folder.join(name))
            .filter(|path| path.exists())
    };
    let general = arguments
        .general_text
        .clone()
        .or_else(|| cached(general_text::FACTBOOK));
    let second = arguments
        .second_text
        .clone()
        .or_else(|| cached(general_text::JARGON));
    Ok(Prepared {
        base,
        runs,
        items: Items {
            questions,
            plans,
            demonstrations,
            general: general
                .map_or(Ok(Vec::new()), |path| read_text(&path, arguments.documents))?,
            second: second.map_or(Ok(Vec::new()), |path| read_text(&path, arguments.documents))?,
            fidelity: match arguments.fidelity {
                FidelityArgument::Symbolic => Fidelity::Symbolic,
                FidelityArgument::Physical => Fidelity::Physical,
            },
        },
        agreement: agreement.share(),
        episodes: number_of_episodes,
    })
}

fn read_text(path: &Path, most: usize) -> anyhow::Result<Vec<Document>> {
    let mut documents = general_text::held_out_documents(path)?;
    documents.truncate(most);
    Ok(documents)
}

/// The adapter's folder: `dir` itself, or the last checkpoint of a run.
fn adapter_of(dir: &Path) -> anyhow::Result<PathBuf> {
    let adapter = |folder: &Path| folder.join("adapter_config.json").is_file();
    if adapter(dir) {
        return Ok(dir.to_owned());
    }
    let latest = checkpoint::latest(&dir.join("checkpoints")).filter(|folder| adapter(folder));
    latest.ok_or_else(|| {
        anyhow!(
            "{}: expected a run with a checkpoint, or adapter_config.json, found neither",
            dir.display()
        )
    })
}

/// Relations measured from physics, and how many were not as predicted.
#[derive(Default)]
struct Agreement {
    compared: usize,
    disagreed: usize,
}

impl Agreement {
    fn add(&mut self, episode: &Episode) {
        for step in &episode.steps {
            if let Some(Value::Array(compared)) = step.info.get("compared") {
                self.compared += compared.first().map_or(0, |n| *n as usize);
            }
            if let Some(Value::Text(lines)) = step.info.get("disagreements") {
                self.disagreed += lines.lines().count();
            }
        }
    }

    fn share(&self) -> Option<Estimate> {
        (self.compared > 0)
            .then(|| statistics::share(self.compared.saturating_sub(self.disagreed), self.compared))
    }
}

/// One model on all items.
struct Job {
    name: String,
    adapter: Option<PathBuf>,
    shots: usize,
}

fn finish(arguments: &Language, prepared: Prepared) -> anyhow::Result<()> {
    let Prepared {
        base,
        runs,
        items,
        agreement,
        episodes,
    } = prepared;
    fs::create_dir_all(&arguments.out).with_context(|| arguments.out.display().to_string())?;
    dataset::write_jsonl(&arguments.out.join("questions.jsonl"), &items.questions)?;
    let plan_tasks: Vec<_> = items.plans.iter().map(|(task, _)| task).collect();
    dataset::write_jsonl(&arguments.out.join("plan_tasks.jsonl"), &plan_tasks)?;
    eprintln!(
        "{} questions, {} plans, {} + {} documents",
        items.questions.len(),
        items.plans.len(),
        items.general.len(),
        items.second.len()
    );

    let mut jobs = vec![Job {
        name: "base".to_owned(),
        adapter: None,
        shots: 0,
    }];
    if arguments.shots > 0 && !items.demonstrations.is_empty() {
        jobs.push(Job {
            name: format!("base, {} shots", arguments.shots),
            adapter: None,
            shots: arguments.shots,
        });
    }
    for (name, dir) in &runs {
        jobs.push(Job {
            name: name.clone(),
            adapter: Some(adapter_of(dir)?),
            shots: 0,
        });
    }
    let measured = measure_all(arguments, &base, jobs, &items)?;
    let base_measured = measured
        .get("base")
        .context("the base is always measured")?;
    let figures = |name: &str| -> anyhow::Result<Figures> {
        Ok(language::figures(&items, &measured[name], base_measured)?)
    };

    let mut models = vec![Model {
        name: "base".to_owned(),
        figures: figures("base")?,
        curve: Vec::new(),
    }];
    for (name, dir) in &runs {
        models.push(Model {
            name: name.clone(),
            figures: figures(name)?,
            curve: read_curve(&dir.join("metrics.jsonl")),
        });
    }
    let few = format!("base, {} shots", arguments.shots);
    let few_shot = measured
        .contains_key(&few)
        .then(|| figures(&few))
        .transpose()?;
    let references = language::carry_out_references(&items)?;
    let reached = references.iter().filter(|plan| plan.success).count();
    let reference_success = statistics::share(reached, references.len());
    for ((task, _), plan) in items
        .plans
        .iter()
        .zip(&references)
        .filter(|(_, plan)| !plan.success)
    {
        let refused = plan.steps.iter().find(|step| step.refusal.is_some());
        eprintln!(
            "episode {}: the planner's own plan for {:?} fails: {:?}",
            task.episode, task.goal, refused
        );
    }
    let examples = runs.first().and_then(|(_, dir)| number_of_examples(dir));
    let report = Report {
        models: &models,
        few_shot: few_shot.as_ref(),
        shots: arguments.shots,
        items: &items,
        agreement,
        reference_success,
        episodes,
        examples,
    };
    let path = arguments.out.join("report.html");
    fs::write(&path, report.html()).with_context(|| path.display().to_string())?;

    print_table(
        &models,
        few_shot.as_ref().map(|figures| (few.as_str(), figures)),
    );
    eprintln!(
        "of the planner's own plans, {:.0} % reach their goal\n{}",
        100.0 * reference_success.value,
        path.display()
    );
    let mut line = json!({
        "episodes": episodes, "examples": examples, "report": path, "plan_reference_success": reference_success.value,
    });
    for model in &models {
        line[&model.name] = model.figures.json();
    }
    if let Some(few) = &few_shot {
        let few = few.json();
        for (to, from) in [
            ("embodied_accuracy_few_shot", "embodied_accuracy"),
            ("plan_success_few_shot", "plan_success"),
            ("plan_executable_few_shot", "plan_executable"),
            ("tasks_few_shot", "tasks"),
        ] {
            line["base"][to] = few[from].clone();
        }
        line["base"]["shots"] = arguments.shots.into();
    }
    if let Some(agreement) = agreement {
        line["physics_agreement"] = json!({"value": agreement.value, "interval": [agreement.low, agreement.high], "n": agreement.n});
    }
    fs::write(arguments.out.join("figures.json"), format!("{line:#}\n"))?;
    if arguments.json {
        println!("{line}");
    }
    Ok(())
}

/// Measures every job, `workers` at a time, each worker with a model of its own. By name.
fn measure_all(
    arguments: &Language,
    base: &Path,
    jobs: Vec<Job>,
    items: &Items,
) -> anyhow::Result<BTreeMap<String, Measured>> {
    let cores = thread::available_parallelism()
        .map_or(1, usize::from)
        .min(4);
    let wanted = if arguments.workers == 0 {
        cores
    } else {
        arguments.workers
    };
    let workers = wanted.clamp(1, jobs.len());
    let queue = Mutex::new(VecDeque::from(jobs));
    let done = Mutex::new(BTreeMap::new());
    // A poisoned lock or a failed join says only that another thread panicked; its message went to stderr already.
    let work = || -> anyhow::Result<()> {
        let mut loaded: Option<(Llama, Tokenizer)> = None;
        loop {
            let job = queue
                .lock()
                .map_err(|_poisoned| anyhow!("another worker failed"))?
                .pop_front();
            let Some(job) = job else { return Ok(()) };
            let (model, tokenizer) = match &mut loaded {
                Some((model, tokenizer)) => (model, &*tokenizer),
                None => {
                    let (model, tokenizer) = loaded.insert(load_model(base, arguments.precision)?);
                    (model, &*tokenizer)
                }
            };
            let measured = measure(arguments, model, tokenizer, &job, items)
                .with_context(|| job.name.clone())?;
            done.lock()
                .map_err(|_poisoned| anyhow!("another worker failed"))?
                .insert(job.name, measured);
        }
    };
    thread::scope(|scope| {
        let handles: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        handles.into_iter().try_for_each(|handle| {
            handle
                .join()
                .map_err(|_panic| anyhow!("a worker panicked"))?
        })
    })?;
    done.into_inner()
        .map_err(|_poisoned| anyhow!("a worker failed"))
}

fn measure(
    arguments: &Language,
    model: &mut Llama,
    tokenizer: &Tokenizer,
    job: &Job,
    items: &Items,
) -> anyhow::Result<Measured> {
    model.detach();
    if let Some(adapter) = &job.adapter {
        checkpoint::attach_adapter(model, adapter)?;
    }
    // The base gives the same answers to the same items every time.
    let cached = match job.adapter {
        None if !arguments.no_cache => cached_answers(model, items, job.shots),
        _ => None,
    };
    if let Some(measured) = cached.as_deref().and_then(read_answers) {
        eprintln!("{}: from the cache", job.name);
        return Ok(measured);
    }
    let measured = language::measure(model, tokenizer, items, job.shots, &|done| {
        eprintln!("{}: {done}", job.name);
    })?;
    if let Some(path) = cached {
        // A cache that cannot be written costs time, nothing else.
        let _written = path
            .parent()
            .map(fs::create_dir_all)
            .and_then(|_| fs::write(&path, serde_json::to_vec(&measured).ok()?).ok());
    }
    Ok(measured)
}

/// Where the base's answers to these items are kept.
fn cached_answers(model: &Llama, items: &Items, shots: usize) -> Option<PathBuf> {
    let mut hasher = blake3::Hasher::new();
    hasher.update(model.digest().as_bytes());
    hasher.update(format!("{:?} {shots}", model.kind()).as_bytes());
    hasher.update(dataset::digest(&items.questions).as_bytes());
    for (task, _) in &items.plans {
        hasher.update(task.prompt.as_bytes());
    }
    for document in items.general.iter().chain(&items.second) {
        hasher.update(document.text.as_bytes());
        hasher.update(b"\0");
    }
    if shots > 0 {
        for texts in items.demonstrations.values() {
            hasher.update(texts.concat().as_bytes());
        }
    }
    let name = format!("{}.json", hasher.finalize().to_hex());
    Some(cache::folder()?.join("evaluation").join(name))
}

fn read_answers(path: &Path) -> Option<Measured> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

/// How many examples a run was trained on: lines of the files that its config.toml names, where they are still there.
fn number_of_examples(run: &Path) -> Option<usize> {
    let config: toml::Table = fs::read_to_string(run.join("config.toml"))
        .ok()?
        .parse()
        .ok()?;
    let files = config.get("data")?.as_array()?;
    let lines = |file: &toml::Value| Some(fs::read_to_string(file.as_str()?).ok()?.lines().count());
    files.iter().map(lines).sum()
}

fn print_table(models: &[Model], few_shot: Option<(&str, &Figures)>) {
    let mut columns: Vec<(&str, &Figures)> = Vec::new();
    for (i, model) in models.iter().enumerate() {
        columns.push((&model.name, &model.figures));
        if i == 0 {
            columns.extend(few_shot);
        }
    }
    let row = |label: &str, cell: &dyn Fn(&Figures) -> Option<String>| {
        let cells: Vec<String> = columns
            .iter()
            .map(|(_, figures)| format!("{:>27}", cell(figures).unwrap_or_else(|| "-".to_owned())))
            .collect();
        eprintln!("{label:<24}{}", cells.concat());
    };
    let share = |e: Estimate| format!("{:.3} [{:.2}, {:.2}] n={}", e.value, e.low, e.high, e.n);
    eprintln!();
    let names: Vec<String> = columns
        .iter()
        .map(|(name, _)| format!("{name:>27}"))
        .collect();
    eprintln!("{:<24}{}", "", names.concat());
    row("embodied accuracy", &|f| Some(share(f.embodied_accuracy)));
    for task in models[0].figures.tasks.keys() {
        row(&format!("  {task}"), &|f| {
            f.tasks.get(task).map(|figure| share(figure.accuracy))
        });
    }
    row("plan success", &|f| Some(share(f.plan_success)));
    row("plan steps executable", &|f| Some(share(f.plan_executable)));
    for (label, second) in [("general text", false), ("second register", true)] {
        let general = |f: &Figures| if second { f.second } else { f.general };
        row(&format!("{label}, bits/byte"), &|f| {
            let e = general(f)?.bits_per_byte;
            Some(format!(
                "{:.4} [{:.2}, {:.2}] n={}",
                e.value, e.low, e.high, e.n
            ))
        });
        row("  change, %", &|f| {
            let e = general(f)?.change;
            Some(format!(
                "{:+.2} [{:+.2}, {:+.2}]",
                100.0 * e.value,
                100.0 * e.low,
                100.0 * e.high
            ))
        });
    }
}
