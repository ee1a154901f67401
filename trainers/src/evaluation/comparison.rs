//! A comparison of pretraining objectives on one suite: pretrain each, freeze, finetune on a few demonstrations of one goal, roll
//! out; beside them the controls that show what pretraining is worth. Every policy of a seed meets the same worlds.
//!
//! The protocol is section 4 of Brandfonbrener et al. (2023, arXiv:2305.16985), with two differences: every figure has its n
//! and a Wilson interval, and each seed of finetuning has a goal of its own, drawn from the seed.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use dataset::transitions::Crop;
use serde::Serialize;
use sim::hand::sight::Context;
use sim::hand::suites::{Suite, SuiteTask};
use tch::Device;

use super::representation::linear_probe;
use super::statistics::{Estimate, share};
use super::suites::{self, Corpus, SuiteWorlds, View};
use crate::nn::{EncoderConfig, FrozenEncoder, Precision};
use crate::objectives::ObjectiveConfig;
use crate::recipes::RecipeError;
use crate::recipes::representation::{
    Config, Features, Options, PolicyConfig, encode, evaluate, pretrain, train_policy,
};

/// What is compared, and on how much.
#[derive(Clone, Debug, Serialize)]
pub struct Plan {
    /// Name of the suite.
    pub suite: String,
    /// Whether the goal is marked in the pictures.
    pub context: Context,
    /// Objectives, by name.
    pub objectives: Vec<String>,
    /// Episodes of the pretraining corpus.
    pub episodes: u64,
    /// Numbers of demonstrations to finetune on.
    pub demonstrations: Vec<u64>,
    /// Seeds of finetuning: each has a goal, demonstrations and networks of its own.
    pub seeds: u64,
    /// Rollouts of each policy.
    pub rollouts: u64,
    /// The encoder: `small`, `paper_84` or `paper_120`.
    pub encoder: String,
    /// Steps of pretraining, pairs of frames of each.
    pub pretraining: [u64; 2],
    /// Steps of finetuning.
    pub finetuning: u64,
    /// Steps of finetuning from scratch, where every step passes through the encoder.
    pub scratch: u64,
    /// Seeds everything.
    pub seed: u64,
}

/// What an encoder holds.
#[derive(Clone, Debug, Serialize)]
pub struct Held {
    /// Coefficients of determination of a linear map to the ground truth, on episodes that nobody was trained on.
    pub probe: Vec<f64>,
    /// Effective rank of the embeddings; 0 for an encoder that was not trained.
    pub rank_me: f64,
    /// Decay of their spectrum; 0 for an encoder that was not trained.
    pub alpha_req: f64,
    /// Seconds of pretraining.
    pub seconds: f64,
}

/// A method's figures.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// `inverse_dynamics`, …, or a control: `scratch`, `state`, `random`.
    pub method: String,
    /// What its encoder holds; none where there is no frozen one.
    pub held: Option<Held>,
    /// For each number of demonstrations, successes over all seeds and rollouts.
    pub success: Vec<Estimate>,
    /// The same by seed.
    pub by_seed: Vec<Vec<f64>>,
}

/// What a comparison found.
#[derive(Clone, Debug, Serialize)]
pub struct Comparison {
    /// What was asked.
    pub plan: Plan,
    /// Frames of the pretraining corpus, and demonstrations that were thrown away because they failed.
    pub corpus: [u64; 3],
    /// By method, objectives first.
    pub rows: Vec<Row>,
}

/// Episodes that probes are measured on.
const HELD_OUT: u64 = 50;

/// A way to an embedding, or around one.
enum Method {
    Frozen(Box<FrozenEncoder>),
    Scratch,
    State,
}

/// Carries a plan out in a folder; what was pretrained there is taken over. `tell` hears what is being done.
///
/// # Errors
/// When the plan makes no sense, a demonstration cannot be made, or training fails.
pub fn compare(
    plan: &Plan,
    suite: &Suite,
    out: &Path,
    stop: &AtomicBool,
    tell: &mut dyn FnMut(String),
) -> Result<Comparison, RecipeError> {
    let config = EncoderConfig::preset(&plan.encoder).ok_or_else(|| {
        RecipeError::Input(format!(
            "encoder: expected small, paper_84 or paper_120, found \"{}\"",
            plan.encoder
        ))
    })?;
    if plan.episodes == 0 || plan.demonstrations.contains(&0) {
        let text = "episodes, demonstrations: expected at least 1 each";
        return Err(RecipeError::Input(text.to_owned()));
    }
    let EncoderConfig::Image(image) = &config else {
        return Err(RecipeError::Input(
            "encoder: expected one of images".to_owned(),
        ));
    };
    let view = View {
        size: image.size as usize,
        context: plan.context,
    };
    let all = ObjectiveConfig::all();
    let objectives: Vec<ObjectiveConfig> = plan
        .objectives
        .iter()
        .map(|name| {
            let found = all.iter().find(|o| o.name() == name).cloned();
            let names: Vec<&str> = all.iter().map(ObjectiveConfig::name).collect();
            found.ok_or_else(|| {
                RecipeError::Input(format!(
                    "objectives: expected some of {}, found \"{name}\"",
                    names.join(", ")
                ))
            })
        })
        .collect::<Result<_, _>>()?;
    let collect = |tasks: &[SuiteTask], seed, episodes| {
        let corpus = suites::collect(suite, tasks, seed, episodes, view);
        corpus.map_err(RecipeError::Failed)
    };
    tell(format!("{} demonstrations to pretrain on", plan.episodes));
    let corpus = collect(&suite.pretraining(), plan.seed, plan.episodes)?;
    let held_out = collect(&suite.pretraining(), plan.seed + 1_000_003, HELD_OUT)?;

    let mut methods: Vec<(String, Method, Option<Held>)> = Vec::new();
    for objective in objectives {
        let name = objective.name().to_owned();
        tell(format!("pretraining: {name}"));
        let pretraining = Config {
            seed: plan.seed,
            encoder: config.clone(),
            objective,
            steps: plan.pretraining[0],
            batch: plan.pretraining[1] as usize,
            ..Config::default()
        };
        let options = Options {
            out: out.join("pretraining").join(&name),
            resume: true,
            stop,
            stop_after: None,
            device: Device::Cpu,
        };
        let done = pretrain(&pretraining, &corpus.transitions, &options)?;
        if done.summary.step < done.summary.steps {
            return Err(RecipeError::Failed(
                "stopped; the same command goes on".to_owned(),
            ));
        }
        let held = Held {
            probe: probe(&done.encoder, &corpus, &held_out)?,
            rank_me: done.summary.rank_me,
            alpha_req: done.summary.alpha_req,
            seconds: done.summary.seconds,
        };
        methods.push((name, Method::Frozen(Box::new(done.encoder)), Some(held)));
    }
    let random = FrozenEncoder::random(&config, Precision::Auto, plan.seed, Device::Cpu)?;
    let held = Held {
        probe: probe(&random, &corpus, &held_out)?,
        rank_me: 0.0,
        alpha_req: 0.0,
        seconds: 0.0,
    };
    methods.push((
        "random".to_owned(),
        Method::Frozen(Box::new(random)),
        Some(held),
    ));
    methods.push(("scratch".to_owned(), Method::Scratch, None));
    methods.push(("state".to_owned(), Method::State, None));

    let sizes = plan.demonstrations.len();
    let mut right = vec![vec![Vec::new(); sizes]; methods.len()];
    for seed in 1..=plan.seeds {
        let task = suite.finetuned(plan.seed + seed - 1);
        let scenario = task.scenario();
        let scenario = scenario.map_err(|error| RecipeError::Failed(error.to_string()))?;
        let worlds = plan.rollouts.clamp(1, 256) as usize;
        let mut worlds =
            SuiteWorlds::new(suite, &scenario, view, worlds).map_err(RecipeError::Failed)?;
        let rollouts: Vec<u64> = (0..plan.rollouts).map(|i| 1_000_000 * seed + i).collect();
        for (size, demonstrations) in plan.demonstrations.iter().enumerate() {
            let few = collect(
                std::slice::from_ref(&task),
                plan.seed + seed,
                *demonstrations,
            )?;
            for (m, (name, method, _)) in methods.iter().enumerate() {
                if stop.load(std::sync::atomic::Ordering::Relaxed) {
                    return Err(RecipeError::Failed(
                        "stopped; the same command goes on".to_owned(),
                    ));
                }
                let policy = PolicyConfig {
                    seed: plan.seed + seed,
                    steps: match method {
                        Method::Scratch => plan.scratch,
                        _ => plan.finetuning,
                    },
                    batch: match method {
                        Method::Scratch => 64,
                        _ => 256,
                    },
                    ..PolicyConfig::default()
                };
                let features = match method {
                    Method::Frozen(encoder) => Features::Frozen(encoder.copy()?),
                    Method::State => Features::State,
                    Method::Scratch => Features::Scratch {
                        encoder: config.clone(),
                        precision: Precision::Auto,
                        crop: Some(Crop {
                            pad: 4,
                            shared: false,
                        }),
                    },
                };
                let policy = train_policy(&policy, features, &few.transitions, Device::Cpu)?;
                let done = evaluate(&policy, &mut worlds, &few.transitions, &rollouts)?;
                tell(format!(
                    "seed {seed}, {demonstrations} demonstrations, {name}: {:.2}",
                    done.share.value
                ));
                right[m][size].push(done.successes.iter().filter(|s| **s).count());
            }
        }
    }
    let n = plan.rollouts as usize;
    let rows = methods
        .into_iter()
        .zip(right)
        .map(|((method, _, held), right)| Row {
            method,
            held,
            success: right
                .iter()
                .map(|r| share(r.iter().sum(), n * r.len()))
                .collect(),
            by_seed: right
                .iter()
                .map(|r| r.iter().map(|x| *x as f64 / n as f64).collect())
                .collect(),
        });
    Ok(Comparison {
        plan: plan.clone(),
        corpus: [
            corpus.episodes,
            corpus.transitions.frames() as u64,
            corpus.thrown,
        ],
        rows: rows.collect(),
    })
}

fn probe(encoder: &FrozenEncoder, fit: &Corpus, measure: &Corpus) -> Result<Vec<f64>, RecipeError> {
    let (fit, measure) = (&fit.transitions, &measure.transitions);
    let size = encoder.config().embedding() as usize;
    let (a, b) = (encode(encoder, fit)?, encode(encoder, measure)?);
    Ok(linear_probe(
        (&a, fit.states()),
        (&b, measure.states()),
        size,
        fit.state_size(),
    )?)
}

impl Comparison {
    /// The table as text: a row for each method.
    pub fn table(&self) -> String {
        let plan = &self.plan;
        let [episodes, frames, thrown] = self.corpus;
        let mut text = format!(
            "{}, context {:?}: {episodes} episodes ({frames} frames, {thrown} failed and were left out), {} seeds of {} rollouts\n\n| method | state R² | RankMe |",
            plan.suite, plan.context, plan.seeds, plan.rollouts
        );
        for size in &plan.demonstrations {
            write!(text, " {size} demonstrations |").ok();
        }
        text.push_str("\n|---|---|---|");
        text.push_str(&"---|".repeat(plan.demonstrations.len()));
        for row in &self.rows {
            let held = row.held.as_ref().map_or_else(
                || "| |".to_owned(),
                |held| {
                    let mean = held.probe.iter().sum::<f64>() / held.probe.len().max(1) as f64;
                    format!("{mean:.2} | {:.1} |", held.rank_me)
                },
            );
            write!(text, "\n| {} | {held}", row.method.replace('_', " ")).ok();
            for Estimate {
                value, low, high, ..
            } in &row.success
            {
                write!(text, " {value:.2} [{low:.2}, {high:.2}] |").ok();
            }
        }
        text.push('\n');
        text
    }
}
