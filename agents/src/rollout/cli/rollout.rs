//! `rollout run|stream|verify|show`.

use std::io::Write as _;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::str::FromStr as _;
use std::sync::Arc;

use agents::learned::Network;
use agents::rollout::{
    self, Demonstrator, MaxSteps, Part, Picture, Plan, PolicyChoice, RolloutError, Scenarios,
    Settings, Shot,
};
use clap::{Args, Subcommand, ValueEnum};
use episode::store::{Store, StoreError};
use sim::env::Fidelity;
use sim::hand::suites::{SUITES, Suite, SuiteTask};
use sim::scenario_file::ScenarioFile;

use super::png;
use super::progress::{Progress, stop_on_interrupt};
use super::{CommandError, Done, scenario};

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Record episodes into a store. The same command completes a store that was interrupted.
    #[command(after_help = "Examples:
  ./habitus rollout run flat --policy random --episodes 200 --out runs/explored
  ./habitus rollout run hand/pose --policy scripted --episodes 64 --out runs/poses
  ./habitus rollout run hand/pose --policy learned --network runs/pose/policy.safetensors --episodes 64 --out runs/learned
  ./habitus rollout run flat cottage --policy planner --simulations 500 --episodes 1000 --workers 8 --out runs/planned
  ./habitus rollout run flat --episodes 10000 --shard 3/16 --out runs/part3     # then: ./habitus data merge runs/part* --out runs/all")]
    Run(RunArguments),
    /// Tell one episode as lines of JSON on standard output while it happens, for programs that follow it through a pipe:
    /// `{"start":…}`, a `{"step":…}` for each action, `{"end":…}`. It is the episode that `run` records.
    #[command(after_help = "Examples:
  ./habitus rollout stream flat --policy planner --episode 3
  ./habitus rollout stream - --policy random < flat.toml")]
    Stream {
        /// A file, the name of a scenario that comes with habitus, or `-`: its text is read from standard input.
        scenario: PathBuf,
        /// Which one: the run's seed and this number give the episode.
        #[arg(long, value_name = "INDEX", default_value_t = 0)]
        episode: u64,
        #[command(flatten)]
        how: HowArguments,
    },
    /// How often the scripted experts of a suite of manipulation tasks succeed, and whether their actions do it again; exit
    /// code 1 if one succeeds in less than 95 % of its episodes.
    #[command(
        after_help = "Examples:\n  ./habitus rollout experts\n  ./habitus rollout experts kitchen --episodes 1000 --json"
    )]
    Experts {
        /// Only these suites; by default all.
        #[arg(value_name = "SUITE")]
        suites: Vec<String>,
        /// Episodes of each task.
        #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u64).range(1..))]
        episodes: u64,
        /// Number of threads; by default one for each core.
        #[arg(long, value_name = "N")]
        workers: Option<NonZeroUsize>,
    },
    /// Simulate recorded episodes again from their actions and compare states and observations step by step; exit code
    /// 1 if one differs.
    #[command(
        after_help = "Example:\n  ./habitus rollout verify runs/explored --episodes 200 --json"
    )]
    Verify {
        /// The store's folder.
        dir: PathBuf,
        /// Only the first so many episodes.
        #[arg(long, value_name = "N")]
        episodes: Option<usize>,
        /// Number of threads; by default one for each core.
        #[arg(long, value_name = "N")]
        workers: Option<NonZeroUsize>,
    },
    /// An episode as text: the task, what was done, what was refused and why, what changed; as pictures with --png.
    #[command(
        after_help = "Examples:\n  ./habitus rollout show runs/explored 0\n  ./habitus rollout show runs/explored 0 --png runs/pictures --size 480"
    )]
    Show {
        /// The store's folder.
        dir: PathBuf,
        /// Position of the episode, from 0.
        episode: usize,
        /// Folder for pictures: one before the first action and one after each, and sheet.png with up to 24 of them.
        #[arg(long, value_name = "DIR")]
        png: Option<PathBuf>,
        /// Which of the scenario's cameras; by default the first, or the usual one.
        #[arg(long, value_name = "NAME", requires = "png")]
        camera: Option<String>,
        /// Rows and columns of a picture, 16 to 4096.
        #[arg(long, value_name = "N", requires = "png", value_parser = clap::value_parser!(u16).range(16..=4096))]
        size: Option<u16>,
    },
}

/// The experts' table.
fn experts(
    names: &[String],
    episodes: u64,
    workers: usize,
    seed: u64,
) -> Result<Done, CommandError> {
    let all: Vec<&str> = SUITES.iter().map(|suite| suite.name).collect();
    if let Some(name) = names.iter().find(|name| !all.contains(&name.as_str())) {
        let found = format!("expected suites of {}, found \"{name}\"", all.join(", "));
        return Err(CommandError::Input(found));
    }
    let wanted = |suite: &&Suite| names.is_empty() || names.iter().any(|n| n == suite.name);
    let mut tasks: Vec<(&str, SuiteTask)> = Vec::new();
    for suite in SUITES.iter().filter(wanted) {
        for task in suite.pretraining().into_iter().chain(suite.finetuning()) {
            // The two broad suites have the same tasks.
            if !tasks.iter().any(|(_, other)| *other == task) {
                tasks.push((suite.name, task));
            }
        }
    }
    let stop = stop_on_interrupt()?;
    let mut progress = Progress::new();
    let total = episodes * tasks.len() as u64;
    let mut table = String::from(
        "| suite | task | succeed | failed in repetition | actions |\n|---|---|---|---|---|\n",
    );
    let mut rows = Vec::new();
    let mut weak = Vec::new();
    rollout::pool::in_order(
        workers,
        tasks,
        || {
            |(suite, task): (&'static str, SuiteTask)| {
                let scenario = task
                    .scenario()
                    .map_err(|e| CommandError::Input(e.to_string()))?;
                let mut demonstrator = Demonstrator::new(scenario, seed)?;
                demonstrator.attempt(episodes)?;
                Ok::<_, CommandError>((suite, task, demonstrator.tried()))
            }
        },
        |(suite, task, tried)| {
            progress.episodes(tried.episodes, tried.steps as usize, total);
            let succeed = tried.episodes - tried.failed;
            let share = succeed as f64 / tried.episodes as f64;
            if share < 0.95 {
                weak.push(task.name.clone());
            }
            let actions = tried.steps as f64 / tried.kept().max(1) as f64;
            table += &format!(
                "| {suite} | {} | {succeed} of {} | {} | {actions:.0} |\n",
                task.name, tried.episodes, tried.unrepeated
            );
            rows.push(serde_json::json!({
                "suite": suite, "task": task.name, "family": task.family, "success": share, "tried": tried,
            }));
            Ok(())
        },
        &stop,
    )?;
    progress.finish();
    table += &format!("{} tasks; below 95 %: {}", rows.len(), weak.len());
    let done = Done::new(table, serde_json::json!({ "tasks": rows, "weak": weak }));
    Ok(done.failed_if(!weak.is_empty()))
}

#[derive(Args)]
pub(crate) struct RunArguments {
    /// Files, or names of scenarios that come with habitus; episodes are dealt to them, and to the tasks of those that vary, in turn.
    #[arg(required = true, value_name = "SCENARIO")]
    scenarios: Vec<PathBuf>,
    #[command(flatten)]
    how: HowArguments,
    /// Number of episodes, over all scenarios.
    #[arg(long, value_name = "N", default_value_t = 100)]
    episodes: u64,
    /// Number of threads; by default one for each core.
    #[arg(long, value_name = "N")]
    workers: Option<NonZeroUsize>,
    /// Folder of the store.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Record only part i (from 0) of N equal parts; `data merge` puts the parts together.
    #[arg(long, value_name = "i/N", default_value = "0/1", value_parser = part)]
    shard: Part,
}

/// Who acts, and how: what an episode follows from besides scenario, seed and index.
#[derive(Args)]
pub(crate) struct HowArguments {
    /// Who acts.
    #[arg(long, value_enum, default_value_t = PolicyName::Random)]
    policy: PolicyName,
    /// Whether physics carries actions out, or only symbols.
    #[arg(long, value_enum, default_value_t = FidelityName::Physical)]
    fidelity: FidelityName,
    /// An episode is cut off after so many actions; by default 30 in a house, and of a hand as its task says.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    max_steps: Option<u32>,
    /// Policy random: share of actions, from 0 to 1, that the world will refuse; refusals are experience too.
    #[arg(long, value_name = "SHARE", default_value_t = 0.1, value_parser = share)]
    invalid_share: f64,
    /// Policy learned: the file that learning wrote, RUN/policy.safetensors.
    #[arg(long, value_name = "FILE", required_if_eq("policy", "learned"))]
    network: Option<PathBuf>,
    /// Policy planner: simulations of the tree search for one plan.
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    simulations: u32,
}

impl HowArguments {
    fn settings(&self, seed: u64) -> Result<Settings, CommandError> {
        Ok(Settings {
            seed,
            policy: match self.policy {
                PolicyName::Random => PolicyChoice::Random {
                    invalid_share: self.invalid_share,
                },
                PolicyName::Planner => PolicyChoice::Planner {
                    simulations: self.simulations,
                },
                PolicyName::Scripted => PolicyChoice::Scripted,
                PolicyName::Learned => {
                    let path = self.network.as_deref().unwrap_or(Path::new(""));
                    let network = Network::load(path);
                    let network =
                        network.map_err(|error| CommandError::Input(error.to_string()))?;
                    PolicyChoice::Learned(Arc::new(network))
                }
            },
            fidelity: match self.fidelity {
                FidelityName::Symbolic => Fidelity::Symbolic,
                FidelityName::Physical => Fidelity::Physical,
            },
            max_steps: MaxSteps {
                house: self.max_steps.unwrap_or(30),
                hand: self.max_steps,
            },
        })
    }
}

#[derive(Clone, Copy, ValueEnum)]
enum PolicyName {
    /// In a house any action that is possible, now and then one that is not; a hand is moved at random.
    Random,
    /// Monte-Carlo tree search for the task's goal on the symbolic house.
    Planner,
    /// The scripted baseline of a hand's task.
    Scripted,
    /// What was learnt of a hand's task: see --network.
    Learned,
}

#[derive(Clone, Copy, ValueEnum)]
enum FidelityName {
    Symbolic,
    Physical,
}

pub(crate) fn run(command: Command, seed: u64) -> Result<Done, CommandError> {
    match command {
        Command::Run(arguments) => record(&arguments, seed),
        Command::Stream {
            scenario,
            episode,
            how,
        } => stream(&scenario, episode, &how.settings(seed)?),
        Command::Verify {
            dir,
            episodes,
            workers,
        } => verify(&dir, episodes, workers),
        Command::Show {
            dir,
            episode,
            png: None,
            ..
        } => show(&dir, episode),
        Command::Show {
            dir,
            episode,
            png: Some(to),
            camera,
            size,
        } => {
            let size = size.map(usize::from);
            show_pictures(&dir, episode, &to, &Shot { camera, size })
        }
        Command::Experts {
            suites,
            episodes,
            workers: asked,
        } => experts(&suites, episodes, workers(asked), seed),
    }
}

fn record(arguments: &RunArguments, seed: u64) -> Result<Done, CommandError> {
    let mut scenarios = Vec::new();
    for name in &arguments.scenarios {
        scenarios.extend(scenario::find(name)?.variants()?);
    }
    let plan = Plan {
        scenarios,
        settings: arguments.how.settings(seed)?,
        episodes: arguments.episodes,
        part: arguments.shard,
        workers: workers(arguments.workers),
    };
    let out = &arguments.out;
    let stop = stop_on_interrupt()?;
    let total = plan.episodes_in_part();
    let mut progress = Progress::new();
    let result = rollout::record(&plan, out, &stop, |episode, total| {
        progress.episode(episode.steps.len(), total);
    });
    let seconds = progress.seconds();
    progress.finish();
    let recorded = result.map_err(|error| not_recorded(error, out))?;
    if recorded.missing > 0 {
        return Err(CommandError::Failed(format!(
            "stopped: {} of {total} episodes are kept in {}; the same command completes them",
            total - recorded.missing,
            out.display()
        )));
    }
    let json = serde_json::json!({
        "episodes": recorded.in_store,
        "new_episodes": recorded.new,
        "new_steps": recorded.new_steps,
        "seconds": seconds,
        "out": out,
    });
    let text = format!(
        "{} episodes in {} ({} of them new, with {} steps)",
        recorded.in_store,
        out.display(),
        recorded.new,
        recorded.new_steps
    );
    Ok(Done::new(text, json))
}

fn stream(scenario: &Path, index: u64, settings: &Settings) -> Result<Done, CommandError> {
    let scenario = if scenario == Path::new("-") {
        let text = std::io::read_to_string(std::io::stdin())
            .map_err(|error| CommandError::Input(format!("standard input: {error}")))?;
        ScenarioFile::load_text(&text, "standard input")?
    } else {
        scenario::find(scenario)?
    };
    let mut out = std::io::stdout().lock();
    rollout::stream(settings, &scenario, index, &mut |line| {
        // A reader that has gone away has seen what it wanted.
        match writeln!(out, "{line}").and_then(|()| out.flush()) {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    })?;
    Ok(Done::silent())
}

/// What went wrong while recording, and that nothing is lost.
fn not_recorded(error: RolloutError, out: &Path) -> CommandError {
    match error {
        RolloutError::Store(error @ StoreError::Io { .. }) => CommandError::Failed(format!(
            "{error}; what was closed is kept in {}, and the same command completes it",
            out.display()
        )),
        other => other.into(),
    }
}

impl From<RolloutError> for CommandError {
    fn from(error: RolloutError) -> Self {
        match error {
            RolloutError::Scenario(error) => error.into(),
            RolloutError::Store(error) => error.into(),
            error @ (RolloutError::Env(_)
            | RolloutError::Unsuited(_)
            | RolloutError::Episode { .. }) => Self::Input(error.to_string()),
        }
    }
}

fn verify(
    dir: &Path,
    episodes: Option<usize>,
    threads: Option<NonZeroUsize>,
) -> Result<Done, CommandError> {
    /// Mismatches named one by one; more of them say no more.
    const NAMED: usize = 10;
    let store = Store::open(dir)?;
    let count = episodes.unwrap_or(usize::MAX).min(store.len());
    let stop = stop_on_interrupt()?;
    let mut progress = Progress::new();
    let verified = rollout::verify(&store, count, workers(threads), &stop, |steps| {
        progress.episode(steps, count as u64);
    });
    progress.finish();
    let verified = verified?;
    for mismatch in verified.mismatches.iter().take(NAMED) {
        eprintln!("{mismatch}");
    }
    if verified.episodes < count as u64 {
        return Err(CommandError::Failed(format!(
            "stopped after {} of {count} episodes; {} mismatches so far",
            verified.episodes,
            verified.mismatches.len()
        )));
    }
    let json = serde_json::json!({
        "episodes": verified.episodes,
        "steps": verified.steps,
        "mismatches": verified.mismatches.len(),
    });
    let text = format!(
        "{} episodes, {} steps, {} mismatches",
        verified.episodes,
        verified.steps,
        verified.mismatches.len()
    );
    Ok(Done::new(text, json).failed_if(!verified.mismatches.is_empty()))
}

fn show(dir: &Path, position: usize) -> Result<Done, CommandError> {
    let store = Store::open(dir)?;
    let episode = store.episode(position)?;
    let scenarios = Scenarios::load(&store)?;
    let text = rollout::as_text(&episode, scenarios.of(&episode.header)?)?;
    Ok(Done::new(text, &episode))
}

/// Pictures in a sheet, and in a row of it.
const SHEET: [usize; 2] = [24, 6];

fn show_pictures(
    dir: &Path,
    position: usize,
    to: &Path,
    shot: &Shot,
) -> Result<Done, CommandError> {
    let store = Store::open(dir)?;
    let episode = store.episode(position)?;
    let scenarios = Scenarios::load(&store)?;
    let (made, about) = rollout::pictures(&episode, scenarios.of(&episode.header)?, shot)?;
    let failed = |error: String| CommandError::Failed(format!("{}: {error}", to.display()));
    std::fs::create_dir_all(to).map_err(|error| failed(error.to_string()))?;
    for (i, picture) in made.iter().enumerate() {
        let Picture { rgb, width, height } = picture;
        let path = to.join(format!("{i:04}.png"));
        png::write(&path, rgb, [*width, *height]).map_err(|error| failed(error.to_string()))?;
    }
    let (sheet, size) = sheet(&made);
    png::write(&to.join("sheet.png"), &sheet, size).map_err(|error| failed(error.to_string()))?;
    let json = serde_json::json!({
        "pictures": made.len(), "folder": to, "sheet": to.join("sheet.png"), "appearance": about,
    });
    let mut text = format!("{} pictures and sheet.png in {}", made.len(), to.display());
    if !about.is_empty() {
        text += &format!("\n{about}");
    }
    Ok(Done::new(text, json))
}

/// Pictures evenly spread over an episode, side by side.
fn sheet(pictures: &[Picture]) -> (Vec<u8>, [usize; 2]) {
    let [most, columns] = SHEET;
    let n = pictures.len().min(most);
    let columns = columns.min(n).max(1);
    let (width, height) = pictures.first().map_or((1, 1), |p| (p.width, p.height));
    let size = [columns * width, n.div_ceil(columns) * height];
    let mut rgb = vec![255; size[0] * size[1] * 3];
    for i in 0..n {
        let picture = &pictures[i * (pictures.len() - 1) / (n - 1).max(1)];
        let [x, y] = [i % columns * width, i / columns * height];
        for (row, from) in picture.rgb.chunks(3 * width).enumerate() {
            let at = 3 * ((y + row) * size[0] + x);
            rgb[at..at + 3 * width].copy_from_slice(from);
        }
    }
    (rgb, size)
}

fn workers(asked: Option<NonZeroUsize>) -> usize {
    asked
        .or_else(|| std::thread::available_parallelism().ok())
        .map_or(1, NonZeroUsize::get)
}

fn share(text: &str) -> Result<f64, String> {
    let share = f64::from_str(text).map_err(|error| error.to_string())?;
    if (0.0..=1.0).contains(&share) {
        Ok(share)
    } else {
        Err("expected a number from 0 to 1".into())
    }
}

fn part(text: &str) -> Result<Part, String> {
    text.split_once('/')
        .and_then(|(index, of)| {
            Some(Part {
                index: index.parse().ok()?,
                of: of.parse().ok()?,
            })
        })
        .filter(|part| part.index < part.of)
        .ok_or_else(|| "expected i/N with i from 0 to N - 1, such as 0/4".into())
}
