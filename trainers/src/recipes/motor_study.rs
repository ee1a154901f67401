//! What a prior over many tasks of a hand is worth: MyoDex (Caggiano et al. 2023, arXiv:2309.03130, sections 4 and 5).
//!
//! 1. Experts: each of the prior's tasks learnt for itself.
//! 2. The prior: all of them learnt by one policy.
//! 3. Students: one policy learns what the experts do, on their rollouts (behavior cloning), or on its own (on-policy).
//! 4. Finetuning: each held-out task is learnt from scratch, from the prior and from the students, with equal samples, by several
//!    seeds.
//! 5. The report: tasks solved against samples, samples to a threshold, activation.
//!
//! Every run is one of the recipe `motor` in a folder of its own, so that a study goes on over days where it was stopped, and several
//! processes may share it; the report is written anew after each.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::motor;
use super::motor_report::{self, Curve};
use super::{RecipeError, RunOptions, write_whole};
use crate::evaluation::statistics::{Estimate, bootstrap};

/// Everything that decides a study.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Names the recipe: `motor_study`.
    pub recipe: String,
    /// Folder of the tasks' scenarios, each NAME.toml.
    pub tasks: PathBuf,
    /// Names of the tasks that experts, prior and students learn.
    pub prior: Vec<String>,
    /// Names of the tasks that are finetuned.
    pub held_out: Vec<String>,
    /// What finetuning starts from.
    pub starts: Vec<Start>,
    /// Seeds of each finetuning.
    pub seeds: u64,
    /// Share of an episode's steps with the object where it shall be, at which a task counts as solved.
    pub solved: f64,
    /// Steps of the environment for each expert.
    pub expert_steps: u64,
    /// Steps of the environment for the prior, all tasks together.
    pub prior_steps: u64,
    /// Steps of the environment for each student, all tasks together.
    pub student_steps: u64,
    /// Steps of the environment for each finetuning.
    pub finetune_steps: u64,
    /// Runs of one task: what is left out here is the study's (scenario, seed, steps, from).
    pub single: motor::Config,
    /// Runs of all the prior's tasks.
    pub multi: motor::Config,
}

/// What finetuning starts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Start {
    /// A new policy.
    Scratch,
    /// The policy that learnt all tasks.
    Prior,
    /// The policy that learnt from the experts' rollouts.
    Student,
    /// The policy that learnt what the experts would have done where it came to.
    OnPolicyStudent,
}

impl Start {
    /// Its folder and its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Scratch => "scratch",
            Self::Prior => "prior",
            Self::Student => "student",
            Self::OnPolicyStudent => "on_policy_student",
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            recipe: "motor_study".to_owned(),
            tasks: PathBuf::from("scenarios/hand/track"),
            prior: Vec::new(),
            held_out: Vec::new(),
            starts: vec![Start::Scratch, Start::Prior, Start::Student],
            seeds: 3,
            solved: 0.8,
            expert_steps: 1_000_000,
            prior_steps: 10_000_000,
            student_steps: 2_000_000,
            finetune_steps: 500_000,
            single: motor::Config::default(),
            multi: motor::Config::default(),
        }
    }
}

/// What a finetuning came to.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finetuned {
    /// The task.
    pub task: String,
    /// What it started from.
    pub start: Start,
    /// Its seed.
    pub seed: u64,
    /// Steps of the environment and the share of an episode's steps with the object where it shall be, of each evaluation.
    pub curve: Vec<[f64; 2]>,
    /// Steps of the environment at the first evaluation that solves the task; none where none did.
    pub solved_after: Option<f64>,
    /// Mean square of the muscles' activations in the last evaluation.
    pub activation: f64,
}

/// What a study came to so far.
#[derive(Clone, Debug, Serialize)]
pub struct Study {
    /// Runs that are done, and of the whole study.
    pub done: usize,
    /// See `done`.
    pub runs: usize,
    /// Of the prior's tasks: the share of an episode's steps, by expert and by policy that learnt all.
    pub learnt: BTreeMap<String, Vec<f64>>,
    /// All finetunings that are done.
    pub finetuned: Vec<Finetuned>,
    /// By start.
    pub figures: Vec<Figures>,
    /// The report: a page.
    pub report: PathBuf,
}

/// What one start is worth, over the tasks and seeds that are done for all starts. Intervals are of the tasks (drawn with replacement,
/// all seeds of a task together): they do not hold how much another prior, or other experts, would differ.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Figures {
    /// Which.
    pub start: Start,
    /// Samples that what it starts from was learnt with: the prior's; a student's and its experts'.
    pub before: u64,
    /// Finetunings.
    pub n: usize,
    /// Share of them that solve their task before they learn.
    pub known: Estimate,
    /// Share of them that solve their task in the last evaluation.
    pub solved: Estimate,
    /// Mean over them of the share of an episode's steps with the object where it shall be, in the last evaluation.
    pub held: Estimate,
    /// How many of them solve their task in no evaluation.
    pub never: usize,
    /// Mean over them of the samples to the first evaluation that solves the task; of the whole budget where none did, so that it is
    /// more in truth.
    pub samples: Estimate,
    /// How many times as many those are as from the prior; none without a prior, or where that needs none.
    pub times_prior: Option<Estimate>,
    /// Mean square of the muscles' activations at the end.
    pub activation: f64,
}

/// A run of the study.
struct Run {
    /// Its folder and its name in reports.
    name: String,
    folder: PathBuf,
    config: motor::Config,
    /// Which task it finetunes, from what; none for what finetuning starts from.
    finetunes: Option<(String, Start)>,
}

/// The study's runs in their order: what later ones start from comes before them; then all tasks and starts by one seed, before the
/// next.
fn runs(config: &Config, out: &Path) -> Vec<Run> {
    let scenario = |name: &String| config.tasks.join(format!("{name}.toml"));
    let at = |name: &str| out.join("runs").join(name);
    let policy = |name: &str| at(name).join("policy.safetensors");
    let run = |name: String, config: motor::Config, finetunes: Option<(String, Start)>| Run {
        folder: at(&name),
        name,
        config,
        finetunes,
    };
    let expert = |task: &String| format!("expert_{task}");
    let has = |start: Start| config.starts.contains(&start);
    let mut runs = Vec::new();
    let multi = |name: &str, change: motor::Config| {
        let config = motor::Config {
            scenario: config.prior.iter().map(scenario).collect(),
            ..change
        };
        run(name.to_owned(), config, None)
    };
    if has(Start::Prior) {
        let learns = motor::Config {
            steps: config.prior_steps,
            ..config.multi.clone()
        };
        runs.push(multi("prior", learns));
    }
    let students = [(Start::Student, 1.0), (Start::OnPolicyStudent, 0.0)];
    let students = students.into_iter().filter(|(start, _)| has(*start));
    if students.clone().next().is_some() {
        runs.extend(config.prior.iter().map(|task| {
            let learns = motor::Config {
                scenario: vec![scenario(task)],
                steps: config.expert_steps,
                ..config.single.clone()
            };
            run(expert(task), learns, None)
        }));
    }
    for (start, teachers_act) in students {
        let learns = motor::Config {
            steps: config.student_steps,
            teachers: config
                .prior
                .iter()
                .map(|task| policy(&expert(task)))
                .collect(),
            teachers_act,
            ..config.multi.clone()
        };
        runs.push(multi(start.name(), learns));
    }
    for seed in 1..=config.seeds {
        for task in &config.held_out {
            for start in &config.starts {
                let name = format!("{task}_{}_{seed}", start.name());
                let learns = motor::Config {
                    scenario: vec![scenario(task)],
                    seed,
                    steps: config.finetune_steps,
                    from: (*start != Start::Scratch).then(|| policy(start.name())),
                    ..config.single.clone()
                };
                runs.push(run(name, learns, Some((task.clone(), *start))));
            }
        }
    }
    runs
}

/// Carries the study out, as far as it is not done yet.
///
/// # Errors
/// As [`motor::run`]; when a run's folder is of other settings. A run that fails on the way keeps only those that learn from it from
/// being done, and is told at the end.
pub fn run(config: &Config, options: &RunOptions<'_>) -> Result<Study, RecipeError> {
    check(config)?;
    let runs = runs(config, &options.out);
    let begun = options.out.join("config.toml").exists();
    if begun && !options.resume {
        return Err(RecipeError::Input(format!(
            "{}: holds a study already; go on with it or name another folder",
            options.out.display()
        )));
    }
    // Nothing is written before it is known that what is done belongs to this study.
    for run in &runs {
        if finished(run)? {
            unchanged(run)?;
        }
    }
    write_config(config, &options.out)?;
    let (mut session, mut failures) = (0, Vec::new());
    for (number, run) in runs.iter().enumerate() {
        let stopped = options.stop.load(Ordering::Relaxed);
        if stopped || options.stop_after.is_some_and(|after| session >= after) {
            break;
        }
        // Others may be at work on the same study.
        if finished(run)? || !ready(run) {
            continue;
        }
        let Some(_claim) = claim(run)? else { continue };
        if finished(run)? {
            continue;
        }
        if options.progress {
            eprintln!("run {} of {}: {}", number + 1, runs.len(), run.name);
        }
        let own = RunOptions {
            out: run.folder.clone(),
            resume: true,
            stop: options.stop,
            stop_after: None,
            progress: options.progress,
        };
        let summary = match motor::run(&run.config, &own) {
            Ok(summary) => summary,
            Err(RecipeError::Failed(error)) => {
                let failure = format!("run {}: {error}", run.name);
                eprintln!("{failure}");
                failures.push(failure);
                continue;
            }
            Err(wrong) => return Err(wrong),
        };
        if summary.step < summary.steps {
            break;
        }
        write_whole(&run.folder.join(SUMMARY), &json_text(&summary)?)?;
        session += 1;
        report(config, &runs, &options.out)?;
    }
    let study = report(config, &runs, &options.out)?;
    if failures.is_empty() {
        return Ok(study);
    }
    Err(RecipeError::Failed(failures.join("\n")))
}

/// In the folder of a run that is done: what it came to.
const SUMMARY: &str = "summary.json";

fn json_text(of: &impl Serialize) -> Result<String, RecipeError> {
    serde_json::to_string_pretty(of).map_err(|error| RecipeError::Failed(error.to_string()))
}

/// Whether what a run learns from is there.
fn ready(run: &Run) -> bool {
    let mut policies = run.config.from.iter().chain(&run.config.teachers);
    policies.all(|policy| policy.with_file_name(SUMMARY).exists())
}

/// Keeps other processes from a run for as long as it is held; none where another holds it. It ends with the process, whatever
/// becomes of that.
fn claim(run: &Run) -> Result<Option<File>, RecipeError> {
    let path = run.folder.join("lock");
    let failed =
        |error: std::io::Error| RecipeError::Failed(format!("{}: {error}", path.display()));
    std::fs::create_dir_all(&run.folder).map_err(failed)?;
    let file = File::create(&path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(failed(error)),
    }
}

fn check(config: &Config) -> Result<(), RecipeError> {
    let wrong = |text: String| Err(RecipeError::Input(text));
    if config.recipe != "motor_study" {
        let found = &config.recipe;
        return wrong(format!(
            "recipe: expected \"motor_study\", found \"{found}\""
        ));
    }
    for (name, list) in [("prior", &config.prior), ("held_out", &config.held_out)] {
        if list.is_empty() {
            return wrong(format!("{name}: expected names of tasks, found none"));
        }
        named_once(name, list.iter().map(String::as_str))?;
    }
    named_once("starts", config.starts.iter().map(|start| start.name()))?;
    let both = config
        .held_out
        .iter()
        .find(|task| config.prior.contains(task));
    if let Some(task) = both {
        return wrong(format!("held_out: \"{task}\" is among the prior's tasks"));
    }
    if config.starts.is_empty() || config.seeds == 0 {
        return wrong("starts, seeds: expected at least one".to_owned());
    }
    if !(0.0..=1.0).contains(&config.solved) {
        return wrong(format!(
            "solved: expected a share in 0 to 1, found {}",
            config.solved
        ));
    }
    // Policies, and critics, go from one to the other.
    let shape = |config: &motor::Config| {
        let network = config.network.clone();
        let scale = (config.ppo.gamma, config.ppo.reward_scale);
        (network.hidden, network.lstm, network.exploration, scale)
    };
    if config.starts != [Start::Scratch] && shape(&config.single) != shape(&config.multi) {
        return wrong(
            "single, multi: expected the same network.hidden, network.lstm, network.exploration, ppo.gamma and ppo.reward_scale"
                .to_owned(),
        );
    }
    // Every run's settings are looked at before the first begins.
    for run in runs(config, Path::new("")) {
        motor::look_over(&run.config).map_err(|error| match error {
            RecipeError::Input(text) => RecipeError::Input(format!("run {}: {text}", run.name)),
            failed => failed,
        })?;
    }
    Ok(())
}

fn named_once<'a>(list: &str, mut names: impl Iterator<Item = &'a str>) -> Result<(), RecipeError> {
    let mut seen = BTreeSet::new();
    match names.find(|name| !seen.insert(*name)) {
        None => Ok(()),
        Some(name) => Err(RecipeError::Input(format!(
            "{list}: \"{name}\" is named twice"
        ))),
    }
}

fn write_config(config: &Config, out: &Path) -> Result<(), RecipeError> {
    let failed = |error: std::io::Error| RecipeError::Failed(format!("{}: {error}", out.display()));
    std::fs::create_dir_all(out).map_err(failed)?;
    let text = toml::to_string_pretty(config);
    let text = text.map_err(|error| RecipeError::Failed(error.to_string()))?;
    write_whole(&out.join("config.toml"), &text)
}

/// Whether a run is done, with these settings.
fn finished(run: &Run) -> Result<bool, RecipeError> {
    if !run.folder.join(SUMMARY).exists() {
        return Ok(false);
    }
    let file = run.folder.join("config.toml");
    let wrong = |error: String| RecipeError::Input(format!("{}: {error}", file.display()));
    let text = std::fs::read_to_string(&file).map_err(|error| wrong(error.to_string()))?;
    let found: motor::Config = toml::from_str(&text).map_err(|error| wrong(error.to_string()))?;
    if !motor::same_result(&found, &run.config)? {
        return Err(wrong(
            "this run was made with other settings than the study's; name another folder"
                .to_owned(),
        ));
    }
    Ok(true)
}

/// Whether the files that a finished run learnt from are what they were.
fn unchanged(run: &Run) -> Result<(), RecipeError> {
    let file = run.folder.join(SUMMARY);
    let wrong = |error: String| RecipeError::Input(format!("{}: {error}", file.display()));
    let text = std::fs::read_to_string(&file).map_err(|error| wrong(error.to_string()))?;
    let summary: Value = serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
    if summary["digest"] == motor::digest(&run.config)? {
        return Ok(());
    }
    Err(wrong(
        "the run's scenarios, teachers, or what it began from have changed since; name another folder"
            .to_owned(),
    ))
}

/// Of a run's lines, its evaluations: steps of the environment, and a list by task of the figure of that name.
fn evaluations(lines: &[Value], figure: &str) -> Vec<(f64, Vec<f64>)> {
    let found = lines.iter().filter_map(|line| {
        let list = line.get(figure)?.as_array()?;
        let list = list.iter().filter_map(Value::as_f64).collect();
        Some((line.get("env_steps")?.as_f64()?, list))
    });
    found.collect()
}

/// What is known so far, and the page that shows it.
fn report(config: &Config, runs: &[Run], out: &Path) -> Result<Study, RecipeError> {
    let mut study = Study {
        done: 0,
        runs: runs.len(),
        learnt: BTreeMap::new(),
        finetuned: Vec::new(),
        figures: Vec::new(),
        report: out.join("report.html"),
    };
    for run in runs {
        if !finished(run)? {
            continue;
        }
        study.done += 1;
        let lines = motor_report::read(&run.folder.join("metrics.jsonl"))?;
        let held = evaluations(&lines, "evaluated_held");
        let last = |list: &[(f64, Vec<f64>)]| list.last().map(|(_, list)| list.clone());
        let Some((task, start)) = &run.finetunes else {
            let last = last(&held).unwrap_or_default();
            study.learnt.insert(run.name.clone(), last);
            continue;
        };
        let curve: Vec<[f64; 2]> = held.iter().map(|(at, list)| [*at, list[0]]).collect();
        let solves = curve.iter().find(|[_, held]| *held >= config.solved);
        let activation = last(&evaluations(&lines, "evaluated_activation"));
        study.finetuned.push(Finetuned {
            task: task.clone(),
            start: *start,
            seed: run.config.seed,
            solved_after: solves.map(|[at, _]| *at),
            activation: activation.map_or(0.0, |list| list[0]),
            curve,
        });
    }
    study.figures = figures(config, &study.finetuned);
    write_whole(&out.join("study.json"), &json_text(&study)?)?;
    write_whole(&study.report, &page(config, &study)?)?;
    Ok(study)
}

/// Those of a task and seed that are done for all starts.
fn complete<'a>(config: &Config, all: &'a [Finetuned]) -> Vec<&'a Finetuned> {
    let of = |one: &Finetuned| (one.task.clone(), one.seed);
    let mut count: BTreeMap<(String, u64), usize> = BTreeMap::new();
    all.iter()
        .for_each(|one| *count.entry(of(one)).or_default() += 1);
    let whole = |one: &&Finetuned| count[&of(one)] == config.starts.len();
    all.iter().filter(whole).collect()
}

/// By start, of those that have finetunings to compare.
fn figures(config: &Config, all: &[Finetuned]) -> Vec<Figures> {
    let complete = complete(config, all);
    if complete.is_empty() {
        return Vec::new();
    }
    let tasks: BTreeSet<&str> = complete.iter().map(|one| one.task.as_str()).collect();
    // Those of a start, task by task.
    let of = |start: Start| -> Vec<Vec<&Finetuned>> {
        let own = |task: &&str| {
            let all = complete.iter().copied();
            all.filter(|one| one.start == start && one.task == **task)
                .collect()
        };
        tasks.iter().map(own).collect()
    };
    let solves = |at: Option<&[f64; 2]>| {
        f64::from(u8::from(at.is_some_and(|[_, held]| *held >= config.solved)))
    };
    let samples = |one: &Finetuned| {
        let budget = one.curve.last().map_or(0.0, |[at, _]| *at);
        one.solved_after.unwrap_or(budget)
    };
    let mean = |own: &[Vec<&Finetuned>], drawn: &[usize], of: &dyn Fn(&Finetuned) -> f64| {
        let all = || drawn.iter().flat_map(|task| &own[*task]);
        all().map(|one| of(one)).sum::<f64>() / all().count() as f64
    };
    let prior = config
        .starts
        .contains(&Start::Prior)
        .then(|| of(Start::Prior));
    let figures = |start: &Start| {
        let own = of(*start);
        let estimate =
            |of: &dyn Fn(&Finetuned) -> f64| bootstrap(own.len(), |drawn| mean(&own, drawn, of));
        let times = |prior: &Vec<Vec<&Finetuned>>| {
            bootstrap(own.len(), |drawn| {
                mean(&own, drawn, &samples) / mean(prior, drawn, &samples)
            })
        };
        let times_prior = prior.as_ref().map(times);
        Figures {
            start: *start,
            before: before(config, *start),
            n: own.iter().map(Vec::len).sum(),
            known: estimate(&|one| solves(one.curve.first())),
            solved: estimate(&|one| solves(one.curve.last())),
            held: estimate(&|one| one.curve.last().map_or(0.0, |[_, held]| *held)),
            never: own
                .iter()
                .flatten()
                .filter(|one| one.solved_after.is_none())
                .count(),
            samples: estimate(&samples),
            times_prior: times_prior.filter(|times| times.value.is_finite()),
            activation: estimate(&|one| one.activation).value,
        }
    };
    config.starts.iter().map(figures).collect()
}

/// Samples behind what finetuning starts from.
fn before(config: &Config, start: Start) -> u64 {
    let experts = config.expert_steps * config.prior.len() as u64;
    match start {
        Start::Scratch => 0,
        Start::Prior => config.prior_steps,
        Start::Student | Start::OnPolicyStudent => experts + config.student_steps,
    }
}

/// Mean share by start over all complete finetunings, at each evaluation that all have.
fn curves(config: &Config, all: &[Finetuned], of: impl Fn(f64) -> f64) -> Vec<Curve> {
    let complete = complete(config, all);
    let curve = |start: &Start| {
        let own: Vec<&&Finetuned> = complete.iter().filter(|one| one.start == *start).collect();
        let length = own.iter().map(|one| one.curve.len()).min().unwrap_or(0);
        let mean = |i: usize| {
            let sum: f64 = own.iter().map(|one| of(one.curve[i][1])).sum();
            [own[0].curve[i][0], sum / own.len() as f64]
        };
        Curve {
            name: start.name().replace('_', " "),
            points: (0..length).map(mean).collect(),
        }
    };
    config.starts.iter().map(curve).collect()
}

fn page(config: &Config, study: &Study) -> Result<String, RecipeError> {
    let share = |x: f64| f64::from(u8::from(x >= config.solved));
    let charts = [
        (
            "Share of the steps with the object where it shall be",
            curves(config, &study.finetuned, |x| x),
        ),
        (
            "Share of the tasks solved",
            curves(config, &study.finetuned, share),
        ),
    ];
    let mut body = String::new();
    for (title, curves) in charts {
        body += &motor_report::section(title, "environment steps", Some([0.0, 1.0]), &curves)?;
    }
    let rows = study.figures.iter().map(|f| {
        let shown = |estimate: &Estimate, digits: usize| {
            let Estimate {
                value, low, high, ..
            } = estimate;
            format!("{value:.digits$} [{low:.digits$}, {high:.digits$}]")
        };
        vec![
            f.start.name().replace('_', " "),
            f.before.to_string(),
            f.n.to_string(),
            shown(&f.known, 2),
            shown(&f.solved, 2),
            shown(&f.held, 2),
            f.never.to_string(),
            shown(&f.samples, 0),
            f.times_prior
                .map_or(String::new(), |times| shown(&times, 1)),
            format!("{:.4}", f.activation),
        ]
    });
    let head = [
        "start",
        "samples before",
        "runs",
        "solved at first",
        "solved",
        "share",
        "never solved",
        "samples to solve",
        "times the prior's",
        "activation",
    ];
    body += &motor_report::table("By start", &head, rows);
    let rows = study.finetuned.iter().map(|one| {
        let samples = one.solved_after;
        vec![
            one.task.clone(),
            one.start.name().replace('_', " "),
            one.seed.to_string(),
            one.curve
                .last()
                .map_or(String::new(), |[_, held]| format!("{held:.2}")),
            samples.map_or_else(|| "not solved".to_owned(), |at| format!("{at:.0}")),
            format!("{:.4}", one.activation),
        ]
    });
    let head = [
        "task",
        "start",
        "seed",
        "share",
        "samples to solve",
        "activation",
    ];
    body += &motor_report::table("By run", &head, rows);
    let rows = study.learnt.iter().map(|(name, held)| {
        let solved = held.iter().filter(|held| **held >= config.solved).count();
        let mean = held.iter().sum::<f64>() / held.len().max(1) as f64;
        vec![
            name.clone(),
            format!("{mean:.2}"),
            format!("{solved} of {}", held.len()),
        ]
    });
    body += &motor_report::table(
        "What finetuning starts from",
        &["policy", "share", "solved"],
        rows,
    );
    let title = format!(
        "{} of {} runs are done; in brackets 95 % intervals over tasks, of one prior and one set of experts; samples of what is never \
         solved count as far as they go",
        study.done, study.runs
    );
    Ok(motor_report::page(
        "A prior over tasks of a hand",
        &title,
        &body,
    ))
}
