//! `data info|doctor|merge`: episode stores.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use episode::Value;
use episode::store::{self, Report, Store};
use serde::Serialize;

use super::{CommandError, Done};

#[derive(Subcommand)]
pub(crate) enum Command {
    /// What a store holds: episodes, scenarios, policies, shares of refused and successful, a digest of the contents.
    #[command(after_help = "Example:\n  ./habitus data info runs/episodes --json")]
    Info {
        /// The store's folder.
        dir: PathBuf,
    },
    /// Read every byte and compare it with the manifest; exit code 1 if recorded episodes are damaged or missing.
    #[command(after_help = "Example:\n  ./habitus data doctor runs/episodes --repair")]
    Doctor {
        /// The store's folder.
        dir: PathBuf,
        /// Move what is damaged to DIR/rejected, list what is whole, remove leftovers of crashes.
        #[arg(long)]
        repair: bool,
    },
    /// Make one store of several. Parts of one run (--shard) become what the undivided run would have written.
    #[command(
        after_help = "Example:\n  ./habitus data merge runs/part0 runs/part1 --out runs/episodes"
    )]
    Merge {
        /// The stores.
        #[arg(required = true)]
        dirs: Vec<PathBuf>,
        /// A new folder.
        #[arg(long)]
        out: PathBuf,
    },
}

pub(crate) fn run(command: &Command) -> Result<Done, CommandError> {
    match command {
        Command::Info { dir } => info(dir),
        Command::Doctor { dir, repair } => doctor(dir, *repair),
        Command::Merge { dirs, out } => {
            let dirs: Vec<&Path> = dirs.iter().map(PathBuf::as_path).collect();
            let episodes = store::merge(&dirs, out)?;
            Ok(Done::new(
                format!("{episodes} episodes in {}", out.display()),
                serde_json::json!({ "episodes": episodes }),
            ))
        }
    }
}

/// What there is to know about a store.
#[derive(Default, Serialize)]
struct Info {
    episodes: usize,
    steps: u64,
    content_digest: String,
    shards: usize,
    bytes: u64,
    /// Steps that the world refused, as a share of all.
    refused: f64,
    /// Steps that the symbolic house allowed and physics could not carry out, as a share of all; refused steps too.
    failed: f64,
    /// Episodes with a goal.
    with_goal: u64,
    /// Of those, the share that reached it.
    success: Option<f64>,
    /// Relations that were measured from physics and compared with the prediction.
    compared: u64,
    /// Of those, the share that agreed.
    agreement: Option<f64>,
    scenarios: BTreeMap<String, ScenarioInfo>,
    policies: BTreeMap<String, u64>,
    fidelities: BTreeMap<String, u64>,
    runs: Vec<store::Identity>,
    notes: Vec<String>,
}

#[derive(Default, Serialize)]
struct ScenarioInfo {
    digest: String,
    episodes: u64,
    steps: u64,
    refused: f64,
    compared: u64,
    agreement: Option<f64>,
}

/// Sums over steps.
#[derive(Clone, Copy, Default)]
struct Tally {
    episodes: u64,
    steps: u64,
    refused: u64,
    failed: u64,
    compared: u64,
    disagreements: u64,
}

impl Tally {
    fn add(&mut self, episode: &episode::Episode) {
        self.episodes += 1;
        self.steps += episode.steps.len() as u64;
        for step in &episode.steps {
            self.refused += u64::from(step.refusal.is_some());
            self.failed += u64::from(step.info.contains_key("failure"));
            if let Some(Value::Array(compared)) = step.info.get("compared") {
                self.compared += compared.first().map_or(0, |&n| n as u64);
            }
            if let Some(Value::Text(lines)) = step.info.get("disagreements") {
                self.disagreements += lines.lines().count() as u64;
            }
        }
    }

    fn refused_share(&self) -> f64 {
        self.refused as f64 / self.steps.max(1) as f64
    }

    fn agreement(&self) -> Option<f64> {
        (self.compared > 0).then(|| 1.0 - self.disagreements as f64 / self.compared as f64)
    }
}

fn info(dir: &Path) -> Result<Done, CommandError> {
    let store = Store::open(dir)?;
    let mut info = Info {
        episodes: store.len(),
        content_digest: store.content_digest()?,
        shards: store.shards().len(),
        bytes: store.shards().iter().map(|s| s.bytes).sum(),
        runs: store.runs().to_vec(),
        notes: store.notes().to_vec(),
        ..Info::default()
    };
    let mut all = Tally::default();
    let mut by_scenario: BTreeMap<(String, String), Tally> = BTreeMap::new();
    let mut successes = 0_u64;
    for episode in store.episodes() {
        let episode = episode?;
        all.add(&episode);
        if !episode.header.goal.is_empty() {
            info.with_goal += 1;
            successes += u64::from(episode.success);
        }
        let header = &episode.header;
        by_scenario
            .entry((header.scenario.clone(), header.scenario_digest.clone()))
            .or_default()
            .add(&episode);
        *info.policies.entry(header.policy.clone()).or_default() += 1;
        *info.fidelities.entry(header.fidelity.clone()).or_default() += 1;
    }
    info.steps = all.steps;
    info.refused = all.refused_share();
    info.failed = all.failed as f64 / all.steps.max(1) as f64;
    info.success = (info.with_goal > 0).then(|| successes as f64 / info.with_goal as f64);
    info.compared = all.compared;
    info.agreement = all.agreement();
    info.scenarios = by_scenario
        .into_iter()
        .map(|((name, digest), tally)| {
            let scenario = ScenarioInfo {
                digest,
                episodes: tally.episodes,
                steps: tally.steps,
                refused: tally.refused_share(),
                compared: tally.compared,
                agreement: tally.agreement(),
            };
            (name, scenario)
        })
        .collect();
    Ok(Done::new(describe(&info), &info))
}

fn describe(info: &Info) -> String {
    let percent = |share: f64| format!("{:.1} %", 100.0 * share);
    let mut out = String::new();
    let mut line = |name: &str, value: String| {
        writeln!(out, "{name:<16}{value}").expect("a string takes everything");
    };
    line(
        "episodes",
        format!(
            "{} in {} shards, {} bytes",
            info.episodes, info.shards, info.bytes
        ),
    );
    line("steps", info.steps.to_string());
    line(
        "refused",
        format!(
            "{}, {} by physics",
            percent(info.refused),
            percent(info.failed)
        ),
    );
    if let Some(success) = info.success {
        line(
            "goals reached",
            format!("{} of {}", percent(success), info.with_goal),
        );
    }
    if let Some(agreement) = info.agreement {
        line(
            "agreement",
            format!("{:.2} % of {} relations", 100.0 * agreement, info.compared),
        );
    }
    for (name, scenario) in &info.scenarios {
        line(
            "scenario",
            format!("{name}: {} episodes", scenario.episodes),
        );
    }
    for (name, n) in info.policies.iter().chain(&info.fidelities) {
        line("", format!("{name}: {n} episodes"));
    }
    line("content digest", info.content_digest.clone());
    for note in &info.notes {
        line("note", note.clone());
    }
    out
}

fn doctor(dir: &Path, repair: bool) -> Result<Done, CommandError> {
    let report = store::doctor(dir, repair)?;
    let Report {
        episodes,
        shards,
        problems,
    } = &report;
    let mut text = String::new();
    for problem in problems {
        let repair = problem
            .repair
            .as_ref()
            .map_or(String::new(), |r| format!(": {r}"));
        writeln!(text, "{}: {}{repair}", problem.file, problem.message)
            .expect("a string takes everything");
    }
    let verdict = if problems.is_empty() {
        "nothing is wrong"
    } else if report.is_healthy() {
        "nothing is lost"
    } else if repair {
        "the rest is kept"
    } else {
        "`--repair` keeps the rest"
    };
    write!(
        text,
        "{episodes} episodes in {shards} shards are whole; {verdict}"
    )
    .expect("a string takes everything");
    let json = serde_json::json!({
        "episodes": episodes,
        "shards": shards,
        "healthy": report.is_healthy(),
        "problems": problems,
    });
    // A repair that worked is a success, save for what cannot be repaired.
    let failed = problems
        .iter()
        .any(|p| p.trouble.is_loss() && p.repair.is_none());
    Ok(Done::new(text, json).failed_if(failed))
}
