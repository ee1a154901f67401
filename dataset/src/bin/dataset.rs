//! `dataset export`: episodes of stores as text for a learner, this one's or another's.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::{Parser, Subcommand, ValueEnum};
use dataset::verbalize::{self, Settings};
use dataset::{Example, general_text};
use episode::Episode;
use episode::store::Store;
use serde_json::json;

#[derive(Parser)]
#[command(name = "habitus data", about = "Episodes as text for learners")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Write the episodes of stores as training text
    ///
    /// Plans with goals that are kept for evaluation, and homes marked `evaluation_only`, are left out.
    ///
    /// Example: habitus data export stores/train --format sft --out sft
    Export(Export),
}

#[derive(clap::Args)]
struct Export {
    /// Folders of episode stores
    #[arg(required = true)]
    stores: Vec<PathBuf>,
    /// sft: train.jsonl of {"prompt", "completion"}, as TRL and others read it; examples: examples.jsonl with several
    /// supervised parts an example, as `train` reads it
    #[arg(long, value_enum)]
    format: Format,
    /// Folder to write into; it is created
    #[arg(long)]
    out: PathBuf,
    /// Fixes which things are asked about, the wording and the order
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Stop at about that many tokens of text; 0 for all there is
    #[arg(long, default_value_t = 0)]
    tokens: usize,
    /// Most questions about one story
    #[arg(long, default_value_t = Settings::default().questions_per_story)]
    questions: usize,
    /// Solved examples before each, as E2WM has 2 or 3
    #[arg(long, default_value_t = 0)]
    shots: usize,
    /// General text (a folder of Factbook files, or a text file): its Fisher half is written to fisher.jsonl
    #[arg(long)]
    general_text: Option<PathBuf>,
    /// Also take homes that are kept for evaluation
    #[arg(long)]
    evaluation_homes: bool,
    /// End with one JSON object on stdout
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Sft,
    Examples,
}

fn main() -> ExitCode {
    let Command::Export(arguments) = Arguments::parse().command;
    match export(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("habitus data export: {error:#}");
            // Everything that can be wrong here is in what was passed, but for a full disk.
            let disk = error
                .chain()
                .filter_map(|cause| cause.downcast_ref::<std::io::Error>())
                .any(|cause| cause.kind() == std::io::ErrorKind::StorageFull);
            ExitCode::from(if disk { 1 } else { 2 })
        }
    }
}

fn export(arguments: &Export) -> anyhow::Result<()> {
    let settings = Settings {
        tokens: arguments.tokens,
        questions_per_story: arguments.questions,
        shots: arguments.shots,
    };
    let mut trouble = None;
    let mut episodes = 0;
    let mut left_out = 0;
    let stores = arguments
        .stores
        .iter()
        .map(|dir| OpenStore::open(dir))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let every = stores
        .iter()
        .flat_map(|store| store.store.episodes().map(move |episode| (store, episode)));
    let wanted = every.filter_map(|(store, episode)| match episode {
        Ok(episode) if arguments.evaluation_homes || !store.is_for_evaluation(&episode) => {
            episodes += 1;
            Some(episode)
        }
        Ok(_) => {
            left_out += 1;
            None
        }
        Err(error) => {
            trouble.get_or_insert(
                anyhow::Error::new(error).context(store.store.dir().display().to_string()),
            );
            None
        }
    });
    let examples = verbalize::build(wanted, arguments.seed, &settings);
    if let Some(error) = trouble {
        return Err(error.context("an episode cannot be read (`habitus data doctor` tells more)"));
    }
    if examples.is_empty() {
        bail!(
            "expected episodes with stories or reached goals, found none in {episodes} episodes ({left_out} of homes kept for evaluation)"
        );
    }

    let out = &arguments.out;
    fs::create_dir_all(out).with_context(|| out.display().to_string())?;
    let file = match arguments.format {
        Format::Examples => {
            let file = out.join("examples.jsonl");
            dataset::write_jsonl(&file, &examples)?;
            file
        }
        Format::Sft => {
            let file = out.join("train.jsonl");
            let rows: Vec<_> = examples
                .iter()
                .flat_map(dataset::prompt_completion)
                .collect();
            dataset::write_jsonl(&file, &rows)?;
            file
        }
    };
    if let Some(path) = &arguments.general_text {
        let rows: Vec<_> = general_text::fisher_documents(path)?
            .into_iter()
            .map(|document| json!({"name": document.name, "text": document.text}))
            .collect();
        dataset::write_jsonl(&out.join("fisher.jsonl"), &rows)?;
    }
    report(arguments, &file, episodes, left_out, &examples);
    Ok(())
}

fn report(arguments: &Export, file: &Path, episodes: usize, left_out: usize, examples: &[Example]) {
    let mut tasks: BTreeMap<&str, usize> = BTreeMap::new();
    let mut tokens = 0;
    for example in examples {
        *tasks.entry(&example.task).or_default() += 1;
        tokens += example
            .parts
            .iter()
            .map(|part| verbalize::estimate_tokens(&part.text))
            .sum::<usize>();
    }
    eprintln!(
        "{}: {} examples, about {tokens} tokens, from {episodes} episodes ({left_out} of homes kept for evaluation left out)",
        file.display(),
        examples.len()
    );
    for (task, number) in &tasks {
        eprintln!("  {number:6} {task}");
    }
    if arguments.json {
        let line = json!({
            "file": file, "episodes": episodes, "left_out": left_out, "examples": examples.len(), "tokens": tokens,
            "tasks": tasks, "digest": dataset::digest(examples),
        });
        println!("{line}");
    }
}

/// A store and which of its scenarios are kept for evaluation.
struct OpenStore {
    store: Store,
    evaluation_only: BTreeMap<String, bool>,
}

impl OpenStore {
    fn open(dir: &Path) -> anyhow::Result<Self> {
        let store = Store::open(dir).with_context(|| dir.display().to_string())?;
        let mut evaluation_only = BTreeMap::new();
        for digest in store.scenarios()? {
            let text = store.scenario_text(&digest)?;
            evaluation_only.insert(digest, verbalize::is_evaluation_only(&text));
        }
        Ok(Self {
            store,
            evaluation_only,
        })
    }

    fn is_for_evaluation(&self, episode: &Episode) -> bool {
        self.evaluation_only
            .get(&episode.header.scenario_digest)
            .copied()
            .unwrap_or(false)
    }
}
