//! A comparison of pretraining objectives on one suite: pretrain each, freeze, finetune on a few demonstrations of one goal, roll
//! out; beside them the controls that show what pretraining is worth. Every policy of a seed meets the same worlds.
//!
//! The protocol is section 4 of Brandfonbrener et al. (2023, arXiv:2305.16985), with two differences: every figure has its n
//! and a Wilson interval, and each seed of finetuning has a goal of its own, drawn from the seed.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use dataset::transitions::Crop;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sim::hand::appearance::presets;
use sim::hand::sight::Context;
use sim::hand::suites::{Suite, SuiteTask};
use tch::Device;

use super::representation::{alpha_req, linear_probe, rank_me};
use super::statistics::{Estimate, share};
use super::suites::{self, Corpus, SuiteWorlds, View};
use crate::nn::{EncoderConfig, FrozenEncoder, Precision};
use crate::objectives::{InverseDynamicsConfig, ObjectiveConfig};
use crate::recipes::representation::{
    Config, Features, FrozenHeads, Options, PolicyConfig, Pretrained, encode, evaluate,
    label_quality, pretrain, train_policy,
};
use crate::recipes::{RecipeError, write_whole};

/// What is compared, and on how much.
#[derive(Clone, Debug, Serialize)]
pub struct Plan {
    /// Name of the suite.
    pub suite: String,
    /// Whether the goal is marked in the pictures.
    pub context: Context,
    /// A pixel is the mean of `samples` × `samples` rays.
    pub samples: usize,
    /// Objectives, by name, and [`PREDICTOR`].
    pub objectives: Vec<String>,
    /// Encoders that were pretrained elsewhere: a name of one's own, and a safetensors file as
    /// [`FrozenEncoder::to_bytes`] writes it.
    pub pretrained: Vec<(String, PathBuf)>,
    /// Episodes of the pretraining corpora.
    pub episodes: Vec<u64>,
    /// Numbers of demonstrations to finetune on.
    pub demonstrations: Vec<u64>,
    /// Seeds of finetuning, at most [`MOST_SEEDS`]: each has a goal, demonstrations and networks of its own.
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
    /// Whether policies of the most demonstrations are also rolled out under the appearances of
    /// [`presets`], which nobody was trained on.
    pub looks: bool,
    /// Seeds everything.
    pub seed: u64,
}

impl Plan {
    /// What a seed of finetuning draws from: others with another [`Self::seed`].
    fn own_seed(&self, seed: u64) -> u64 {
        let others = self.seed.wrapping_sub(1).wrapping_mul(MOST_SEEDS);
        others.wrapping_add(seed)
    }

    /// Whether policies of so many demonstrations are rolled out under other appearances too.
    fn looks_at(&self, demonstrations: u64) -> bool {
        self.looks && self.demonstrations.iter().all(|n| *n <= demonstrations)
    }
}

/// What an encoder holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Held {
    /// Coefficients of determination of a linear map to the ground truth, on episodes that nobody was trained on.
    pub probe: Vec<f64>,
    /// Effective rank of the embeddings: of the corpus at the end of pretraining; for an encoder that was not pretrained here, of
    /// episodes that nobody was trained on.
    pub rank_me: f64,
    /// Decay of their spectrum.
    pub alpha_req: f64,
    /// Coefficients of determination of the actions that its heads tell for frames of the same episodes that have none,
    /// one for each number of an action; empty where they tell none.
    pub labels: Vec<f64>,
    /// Seconds of pretraining; 0 for an encoder that was not pretrained here.
    pub seconds: f64,
}

impl Held {
    /// Mean of [`Self::probe`].
    pub fn mean_probe(&self) -> f64 {
        self.probe.iter().sum::<f64>() / self.probe.len().max(1) as f64
    }
}

/// A method's figures.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// `inverse_dynamics`, …, one of [`Plan::pretrained`], or a control: `random`, `scratch`, `state`.
    pub method: String,
    /// Episodes of its pretraining corpus; 0 for what was not pretrained here.
    pub episodes: u64,
    /// What its encoder holds; none where there is no frozen one.
    pub held: Option<Held>,
    /// For each number of demonstrations, successes over all seeds and rollouts.
    pub success: Vec<Estimate>,
    /// The same by seed.
    pub by_seed: Vec<Vec<f64>>,
    /// For each number of demonstrations, the mean share of a task's parts that were done; success itself where a task has none.
    pub progress: Vec<f64>,
    /// Of the most demonstrations, under each appearance that nobody was trained on.
    pub elsewhere: Vec<Estimate>,
}

/// What a comparison found.
#[derive(Clone, Debug, Serialize)]
pub struct Comparison {
    /// What was asked.
    pub plan: Plan,
    /// Of each pretraining corpus: episodes, frames, demonstrations that were thrown away because they failed.
    pub corpora: Vec<[u64; 3]>,
    /// By corpus and method, objectives first; then what was pretrained elsewhere, and the controls.
    pub rows: Vec<Row>,
}

/// Bytes of pictures that are kept in memory: more are drawn again whenever they are wanted.
const KEPT: usize = 4 << 30;

/// Seeds of finetuning at most.
pub const MOST_SEEDS: u64 = 1000;

/// Episodes that probes are measured on, and at least one of each task.
const HELD_OUT: u64 = 50;

/// The policy that predicts the next embedding and takes the action from pretrained inverse dynamics.
pub const PREDICTOR: &str = "predictor_inverse";

/// An encoder that was not trained.
const RANDOM: &str = "random";
/// An encoder trained with the policy.
const SCRATCH: &str = "scratch";
/// The ground truth.
const STATE: &str = "state";

/// A way to an embedding, or around one.
#[derive(Clone, Debug)]
enum Method {
    /// Pretrained on so many episodes.
    Pretrained(ObjectiveConfig, u64),
    /// [`PREDICTOR`], pretrained by inverse dynamics on so many episodes.
    Predictor(ObjectiveConfig, u64),
    /// [`Plan::pretrained`] elsewhere, by its name; or [`RANDOM`].
    Given(String),
    /// An encoder trained with the policy.
    Scratch,
    /// The ground truth.
    State,
}

impl Method {
    fn name(&self) -> &str {
        match self {
            Self::Pretrained(objective, _) => objective.name(),
            Self::Predictor(..) => PREDICTOR,
            Self::Given(name) => name,
            Self::Scratch => SCRATCH,
            Self::State => STATE,
        }
    }

    fn episodes(&self) -> u64 {
        match self {
            Self::Pretrained(_, episodes) | Self::Predictor(_, episodes) => *episodes,
            _ => 0,
        }
    }
}

/// Carries a plan out in a folder. What was done there before under the same settings is taken over; lists of the plan may
/// have grown. `tell` hears what is being done.
///
/// # Errors
/// When the plan makes no sense or is not the folder's, a demonstration cannot be made, or training fails.
pub fn compare(
    plan: &Plan,
    suite: &Suite,
    out: &Path,
    stop: &AtomicBool,
    tell: &mut dyn FnMut(String),
) -> Result<Comparison, RecipeError> {
    let study = Study::new(plan, suite)?;
    let methods = study.methods()?;
    let mut results = Results::open(&out.join("results.jsonl"), settings(plan, suite)?)?;
    let mut pace = Pace::new(study.left(&methods, &results));
    let held_out = OnceCell::new();
    let given = study.given(&mut results)?;
    // What is left to do decides which encoders are needed; those of finished policies are not read again.
    let mut encoders: Vec<Option<Frozen>> = Vec::new();
    let mut corpus: Option<(u64, Corpus)> = None;
    for method in &methods {
        let size = match method {
            Method::Pretrained(_, episodes) | Method::Predictor(_, episodes) => *episodes,
            Method::Given(_) => plan.episodes.iter().copied().max().unwrap_or(1),
            Method::Scratch | Method::State => {
                encoders.push(None);
                continue;
            }
        };
        let known = results.held(method).is_some() && results.corpus(size).is_some();
        if known && !study.policies_left(method, &results) {
            encoders.push(None);
            continue;
        }
        if corpus.as_ref().is_none_or(|(made, _)| *made != size) {
            // the old one goes first: two need not fit into memory
            drop(corpus.take());
            tell(format!("{size} demonstrations to pretrain on"));
            let made = study.collect(&suite.pretraining(), plan.seed, size)?;
            results.add(Line::Corpus {
                episodes: size,
                frames: made.transitions.frames() as u64,
                thrown: made.thrown,
            })?;
            corpus = Some((size, made));
        }
        let Some((_, corpus)) = &corpus else { continue };
        if held_out.get().is_none() {
            let tasks = suite.pretraining();
            let episodes = HELD_OUT.max(tasks.len() as u64);
            let _set =
                held_out.set(study.collect(&tasks, plan.seed.wrapping_add(1_000_003), episodes)?);
        }
        let Some(held_out) = held_out.get() else {
            continue;
        };
        let (encoder, held) = match method {
            Method::Pretrained(objective, episodes) | Method::Predictor(objective, episodes) => {
                let name = method.name();
                let unit = Unit::Pretraining;
                tell(pace.line(&format!("pretraining: {name}, {episodes} episodes")));
                let done = study.pretrain(objective, *episodes, corpus, out, stop)?;
                if results.held(method).is_none() && matches!(method, Method::Pretrained(..)) {
                    pace.done(unit);
                }
                // The predictor's encoder is that of inverse dynamics: what it holds was measured then.
                let twin = Method::Pretrained(objective.clone(), *episodes);
                let held = match results.held(method).or(results.held(&twin)) {
                    Some(held) => held.clone(),
                    None => study.held(&done, corpus, held_out)?,
                };
                let frozen = Frozen {
                    encoder: done.encoder,
                    heads: Some(Rc::new(done.heads)),
                };
                (frozen, held)
            }
            _ => {
                let Some((_, encoder)) = given.iter().find(|(name, _)| name == method.name())
                else {
                    continue;
                };
                let (z, size) = (
                    encode(encoder, &held_out.transitions)?,
                    encoder.config().embedding() as usize,
                );
                let held = Held {
                    probe: probe(encoder, corpus, held_out)?,
                    rank_me: six_digits(rank_me(&z, size)?),
                    alpha_req: six_digits(alpha_req(&z, size)?),
                    labels: Vec::new(),
                    seconds: 0.0,
                };
                let frozen = Frozen {
                    encoder: encoder.copy()?,
                    heads: None,
                };
                (frozen, held)
            }
        };
        if results.held(method).is_none() {
            results.add(Line::Held {
                method: method.name().to_owned(),
                episodes: method.episodes(),
                held,
            })?;
        }
        encoders.push(Some(encoder));
    }
    drop(corpus);

    let n = plan.rollouts;
    for seed in 1..=plan.seeds {
        let left: Vec<(u64, usize)> = plan
            .demonstrations
            .iter()
            .flat_map(|size| (0..methods.len()).map(move |m| (*size, m)))
            .filter(|(size, m)| study.lacks(&methods[*m], seed, *size, &results))
            .collect();
        if left.is_empty() {
            continue;
        }
        let own = plan.own_seed(seed);
        let task = suite.finetuned(own);
        let scenario = task.scenario();
        let scenario = scenario.map_err(|error| RecipeError::Failed(error.to_string()))?;
        let worlds = n.clamp(1, 256) as usize;
        let mut worlds =
            SuiteWorlds::new(suite, &scenario, study.view, worlds).map_err(RecipeError::Failed)?;
        let rollouts: Vec<u64> = (0..n)
            .map(|i| own.wrapping_mul(1_000_000).wrapping_add(i))
            .collect();
        let mut few: Option<(u64, Corpus)> = None;
        for (demonstrations, m) in left {
            if stop.load(Ordering::Relaxed) {
                return Err(stopped());
            }
            if few.as_ref().is_none_or(|(made, _)| *made != demonstrations) {
                let task = std::slice::from_ref(&task);
                let made = study.collect(task, own.wrapping_add(1), demonstrations)?;
                few = Some((demonstrations, made));
            }
            let Some((_, few)) = &few else { continue };
            let method = &methods[m];
            let features = study.features(method, encoders[m].as_ref())?;
            let policy = study.policy(method, seed);
            let policy = train_policy(&policy, features, &few.transitions, study.device)?;
            let done = evaluate(&policy, &mut worlds, &few.transitions, &rollouts)?;
            let mut elsewhere = Vec::new();
            if plan.looks_at(demonstrations) {
                for (_, ranges) in presets() {
                    worlds.look(Some(ranges));
                    let done = evaluate(&policy, &mut worlds, &few.transitions, &rollouts)?;
                    elsewhere.push(done.right());
                }
                worlds.look(None);
            }
            results.add(Line::Policy {
                method: method.name().to_owned(),
                episodes: method.episodes(),
                seed,
                demonstrations,
                outcome: Outcome {
                    successes: done.right(),
                    progress: six_digits(done.progress),
                    elsewhere,
                },
            })?;
            pace.done(Unit::policy(method));
            let pretrained = match method {
                Method::Pretrained(_, episodes) | Method::Predictor(_, episodes) => {
                    format!(" of {episodes} episodes")
                }
                _ => String::new(),
            };
            tell(pace.line(&format!(
                "seed {seed}, {demonstrations} demonstrations, {}{pretrained}: {:.2}",
                method.name(),
                done.share.value
            )));
        }
    }
    results.comparison(plan, &methods)
}

/// An encoder that is not trained any more, with the heads that it was pretrained with.
struct Frozen {
    encoder: FrozenEncoder,
    heads: Option<Rc<FrozenHeads>>,
}

fn stopped() -> RecipeError {
    RecipeError::Failed("stopped; the same command goes on".to_owned())
}

/// A plan that makes sense, and how its parts are done.
struct Study<'a> {
    plan: &'a Plan,
    suite: &'a Suite,
    config: EncoderConfig,
    view: View,
    /// Shifts of pictures in training.
    crop: Crop,
    device: Device,
}

impl<'a> Study<'a> {
    fn new(plan: &'a Plan, suite: &'a Suite) -> Result<Self, RecipeError> {
        let config = EncoderConfig::preset(&plan.encoder).ok_or_else(|| {
            RecipeError::Input(format!(
                "encoder: expected small, paper_84 or paper_120, found \"{}\"",
                plan.encoder
            ))
        })?;
        if plan.seeds > MOST_SEEDS {
            let text = format!("seeds: expected at most {MOST_SEEDS}, found {}", plan.seeds);
            return Err(RecipeError::Input(text));
        }
        let some = |list: &[u64]| !list.is_empty() && !list.contains(&0);
        if !some(&plan.episodes) || !some(&plan.demonstrations) {
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
            samples: plan.samples,
        };
        Ok(Self {
            plan,
            suite,
            crop: Crop {
                // In pixels of 84 and more, the paper's; fewer where pictures are smaller.
                pad: if image.size < 84 { 4 } else { 8 },
                shared: false,
            },
            device: Device::cuda_if_available(),
            config,
            view,
        })
    }

    fn methods(&self) -> Result<Vec<Method>, RecipeError> {
        let all = ObjectiveConfig::all();
        let find = |name: &String| {
            let found = all.iter().find(|o| o.name() == name).cloned();
            let mut names: Vec<&str> = all.iter().map(ObjectiveConfig::name).collect();
            names.push(PREDICTOR);
            found.ok_or_else(|| {
                RecipeError::Input(format!(
                    "objectives: expected some of {}, found \"{name}\"",
                    names.join(", ")
                ))
            })
        };
        let mut methods = Vec::new();
        for episodes in &self.plan.episodes {
            for name in &self.plan.objectives {
                methods.push(if name == PREDICTOR {
                    let inverse =
                        ObjectiveConfig::InverseDynamics(InverseDynamicsConfig::default());
                    Method::Predictor(inverse, *episodes)
                } else {
                    Method::Pretrained(find(name)?, *episodes)
                });
            }
        }
        for (name, _) in &self.plan.pretrained {
            let kept = [PREDICTOR, RANDOM, SCRATCH, STATE];
            let taken = kept.contains(&&**name) || all.iter().any(|o| o.name() == name);
            if taken || methods.iter().any(|method| method.name() == name) {
                let text =
                    format!("pretrained: expected a name of its own, found \"{name}\" again");
                return Err(RecipeError::Input(text));
            }
            methods.push(Method::Given(name.clone()));
        }
        methods.extend([
            Method::Given(RANDOM.to_owned()),
            Method::Scratch,
            Method::State,
        ]);
        Ok(methods)
    }

    /// Encoders that are not pretrained here, by name. Results that there are under a name must be of the same file.
    fn given(&self, results: &mut Results) -> Result<Vec<(String, FrozenEncoder)>, RecipeError> {
        let read = |path: &Path| {
            let wrong = |text: String| RecipeError::Input(format!("{}: {text}", path.display()));
            let bytes = std::fs::read(path).map_err(|error| wrong(error.to_string()))?;
            let encoder = FrozenEncoder::load(path, Precision::Auto, self.device)?;
            match encoder.config() {
                EncoderConfig::Image(image) if image.size as usize == self.view.size => {}
                EncoderConfig::Image(image) => {
                    return Err(wrong(format!(
                        "expected an encoder of pictures of {} pixels, as \"{}\" is, found {}",
                        self.view.size, self.plan.encoder, image.size
                    )));
                }
                EncoderConfig::Vector(_) => {
                    return Err(wrong(
                        "expected an encoder of pictures, found one of vectors".to_owned(),
                    ));
                }
            }
            Ok((encoder, blake3::hash(&bytes).to_hex().to_string()))
        };
        let mut given = Vec::new();
        for (name, path) in &self.plan.pretrained {
            let (encoder, digest) = read(path)?;
            match results.given(name) {
                Some(known) if known == digest => {}
                Some(_) => {
                    return Err(RecipeError::Input(format!(
                        "{}: not the file whose results are there as \"{name}\"; choose another name",
                        path.display()
                    )));
                }
                None => results.add(Line::Given {
                    method: name.clone(),
                    digest,
                })?,
            }
            given.push((name.clone(), encoder));
        }
        let (seed, device) = (self.plan.seed, self.device);
        let random = FrozenEncoder::random(&self.config, Precision::Auto, seed, device)?;
        given.push((RANDOM.to_owned(), random));
        Ok(given)
    }

    fn collect(
        &self,
        tasks: &[SuiteTask],
        seed: u64,
        episodes: u64,
    ) -> Result<Corpus, RecipeError> {
        let corpus = suites::collect(self.suite, tasks, seed, episodes, self.view, KEPT);
        corpus.map_err(RecipeError::Failed)
    }

    fn pretrain(
        &self,
        objective: &ObjectiveConfig,
        episodes: u64,
        corpus: &Corpus,
        out: &Path,
        stop: &AtomicBool,
    ) -> Result<Pretrained, RecipeError> {
        let plan = self.plan;
        let config = Config {
            seed: plan.seed,
            encoder: self.config.clone(),
            objective: objective.clone(),
            crop: Some(self.crop),
            steps: plan.pretraining[0],
            batch: plan.pretraining[1] as usize,
            ..Config::default()
        };
        let folder = out.join("pretraining").join(episodes.to_string());
        let options = Options {
            out: folder.join(objective.name()),
            resume: true,
            stop,
            stop_after: None,
            device: self.device,
            progress: std::io::stderr().is_terminal(),
        };
        let done = pretrain(&config, &corpus.transitions, &options)?;
        if done.summary.step < done.summary.steps {
            return Err(stopped());
        }
        Ok(done)
    }

    /// What a pretrained encoder holds.
    fn held(
        &self,
        done: &Pretrained,
        corpus: &Corpus,
        held_out: &Corpus,
    ) -> Result<Held, RecipeError> {
        let labels = label_quality(&done.encoder, &done.heads, &held_out.transitions)?;
        Ok(Held {
            probe: probe(&done.encoder, corpus, held_out)?,
            rank_me: six_digits(done.summary.rank_me),
            alpha_req: six_digits(done.summary.alpha_req),
            labels: labels.into_iter().map(six_digits).collect(),
            seconds: six_digits(done.summary.seconds),
        })
    }

    fn features(&self, method: &Method, frozen: Option<&Frozen>) -> Result<Features, RecipeError> {
        Ok(match (method, frozen) {
            (Method::State, _) => Features::State,
            (Method::Scratch, _) => Features::Scratch {
                encoder: self.config.clone(),
                precision: Precision::Auto,
                crop: Some(self.crop),
            },
            (
                Method::Predictor(..),
                Some(Frozen {
                    encoder,
                    heads: Some(heads),
                }),
            ) => Features::Predicted(encoder.copy()?, Rc::clone(heads)),
            (_, Some(frozen)) => Features::Frozen(frozen.encoder.copy()?),
            (_, None) => {
                let name = method.name();
                return Err(RecipeError::Failed(format!("{name}: has no encoder")));
            }
        })
    }

    fn policy(&self, method: &Method, seed: u64) -> PolicyConfig {
        let (steps, batch) = match method {
            Method::Scratch => (self.plan.scratch, 64),
            _ => (self.plan.finetuning, 256),
        };
        PolicyConfig {
            seed: self.plan.own_seed(seed).wrapping_add(1),
            steps,
            batch,
            ..PolicyConfig::default()
        }
    }

    /// Whether a policy is still to be trained and rolled out.
    fn lacks(&self, method: &Method, seed: u64, demonstrations: u64, results: &Results) -> bool {
        let found = results.outcome(method, seed, demonstrations);
        found.is_none_or(|o| self.plan.looks_at(demonstrations) && o.elsewhere.is_empty())
    }

    fn policies_left(&self, method: &Method, results: &Results) -> bool {
        (1..=self.plan.seeds).any(|seed| {
            let sizes = &mut self.plan.demonstrations.iter();
            sizes.any(|size| self.lacks(method, seed, *size, results))
        })
    }

    /// Units of work that are left, by kind.
    fn left(&self, methods: &[Method], results: &Results) -> BTreeMap<Unit, u64> {
        let mut left = BTreeMap::new();
        for method in methods {
            if matches!(method, Method::Pretrained(..)) && results.held(method).is_none() {
                *left.entry(Unit::Pretraining).or_default() += 1;
            }
            for seed in 1..=self.plan.seeds {
                for size in &self.plan.demonstrations {
                    if self.lacks(method, seed, *size, results) {
                        *left.entry(Unit::policy(method)).or_default() += 1;
                    }
                }
            }
        }
        left
    }
}

/// Kinds of work that take about as long each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Unit {
    Pretraining,
    Policy,
    ScratchPolicy,
}

impl Unit {
    fn policy(method: &Method) -> Self {
        match method {
            Method::Scratch => Self::ScratchPolicy,
            _ => Self::Policy,
        }
    }
}

/// How fast work goes, and how long it will take still.
struct Pace {
    left: BTreeMap<Unit, u64>,
    /// Seconds and number of what was done now.
    spent: BTreeMap<Unit, (f64, u64)>,
    total: u64,
    last: Instant,
}

impl Pace {
    fn new(left: BTreeMap<Unit, u64>) -> Self {
        Self {
            total: left.values().sum(),
            left,
            spent: BTreeMap::new(),
            last: Instant::now(),
        }
    }

    fn done(&mut self, unit: Unit) {
        let (seconds, number) = self.spent.entry(unit).or_default();
        *seconds += self.last.elapsed().as_secs_f64();
        *number += 1;
        self.last = Instant::now();
        if let Some(left) = self.left.get_mut(&unit) {
            *left = left.saturating_sub(1);
        }
    }

    /// `what`, after how many of how many are done, the rate and the time left. A kind of work that was not met yet is taken
    /// to last as long as the mean of the others.
    fn line(&self, what: &str) -> String {
        let left: u64 = self.left.values().sum();
        let (seconds, number) = self
            .spent
            .values()
            .fold((0.0, 0), |sum, spent| (sum.0 + spent.0, sum.1 + spent.1));
        let counted = format!("{}/{}", self.total.saturating_sub(left), self.total);
        if number == 0 {
            return format!("{counted}  {what}");
        }
        let mean = seconds / number as f64;
        let remaining: f64 = self
            .left
            .iter()
            .map(|(unit, left)| {
                let each = self.spent.get(unit).map_or(mean, |(s, n)| s / *n as f64);
                each * *left as f64
            })
            .sum();
        let remaining = remaining as u64;
        let remaining = match remaining {
            0..120 => format!("{remaining} s"),
            120..7200 => format!("{} min", remaining / 60),
            _ => format!("{:.1} h", remaining as f64 / 3600.0),
        };
        let rate = 60.0 * number as f64 / seconds.max(1e-9);
        format!("{counted}, {rate:.1} a minute, {remaining} left  {what}")
    }
}

/// A line of the results' file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    /// What all others were made with; always the first.
    Settings(BTreeMap<String, Value>),
    /// A pretraining corpus.
    Corpus {
        episodes: u64,
        frames: u64,
        thrown: u64,
    },
    /// The file of an encoder that was pretrained elsewhere.
    Given { method: String, digest: String },
    /// An encoder.
    Held {
        method: String,
        episodes: u64,
        held: Held,
    },
    /// A policy, of the plan's rollouts.
    Policy {
        method: String,
        episodes: u64,
        seed: u64,
        demonstrations: u64,
        #[serde(flatten)]
        outcome: Outcome,
    },
}

/// What a policy's rollouts came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Outcome {
    successes: u64,
    /// Mean share of the task's parts that were done.
    progress: f64,
    /// Successes under each appearance that nobody was trained on, where that was asked for.
    #[serde(default)]
    elsewhere: Vec<u64>,
}

/// What is finished, kept in a file of JSON Lines.
struct Results {
    path: PathBuf,
    lines: Vec<Line>,
}

impl Results {
    /// Reads the file or begins it. A line that a crash tore is dropped.
    fn open(path: &Path, settings: BTreeMap<String, Value>) -> Result<Self, RecipeError> {
        let failed =
            |error: std::io::Error| RecipeError::Failed(format!("{}: {error}", path.display()));
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(failed(error)),
        };
        let mut lines: Vec<Line> = Vec::new();
        for (number, line) in text.lines().enumerate() {
            match serde_json::from_str(line) {
                Ok(line) => lines.push(line),
                Err(_) if number + 1 == text.lines().count() && !text.ends_with('\n') => {}
                Err(error) => {
                    return Err(RecipeError::Input(format!(
                        "{}:{}: expected a result of this version, found {error}",
                        path.display(),
                        number + 1
                    )));
                }
            }
        }
        match lines.first() {
            Some(Line::Settings(found)) => {
                let differing = settings
                    .iter()
                    .find(|(name, value)| found.get(*name) != Some(value));
                if let Some((name, value)) = differing {
                    let there = found.get(name).unwrap_or(&Value::Null);
                    return Err(RecipeError::Input(format!(
                        "{}: its results were made with {name} {there}, asked for {value}; name another folder",
                        path.display()
                    )));
                }
            }
            Some(_) => {
                return Err(RecipeError::Input(format!(
                    "{}: expected the settings in the first line",
                    path.display()
                )));
            }
            None => lines.push(Line::Settings(settings)),
        }
        let results = Self {
            path: path.to_owned(),
            lines,
        };
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(failed)?;
        }
        let mut text = String::new();
        for line in &results.lines {
            text += &results.json(line)?;
        }
        write_whole(path, &text)?;
        Ok(results)
    }

    fn json(&self, line: &Line) -> Result<String, RecipeError> {
        let line = serde_json::to_string(line);
        let line =
            line.map_err(|error| RecipeError::Failed(format!("{}: {error}", self.path.display())))?;
        Ok(line + "\n")
    }

    fn add(&mut self, line: Line) -> Result<(), RecipeError> {
        let text = self.json(&line)?;
        let file = std::fs::OpenOptions::new().append(true).open(&self.path);
        file.and_then(|mut file| file.write_all(text.as_bytes()))
            .map_err(|error| RecipeError::Failed(format!("{}: {error}", self.path.display())))?;
        self.lines.push(line);
        Ok(())
    }

    fn corpus(&self, size: u64) -> Option<[u64; 3]> {
        self.lines.iter().find_map(|line| match line {
            Line::Corpus {
                episodes,
                frames,
                thrown,
            } if *episodes == size => Some([*episodes, *frames, *thrown]),
            _ => None,
        })
    }

    fn given(&self, name: &str) -> Option<&str> {
        self.lines.iter().find_map(|line| match line {
            Line::Given { method, digest } if method == name => Some(digest.as_str()),
            _ => None,
        })
    }

    fn held(&self, of: &Method) -> Option<&Held> {
        self.lines.iter().find_map(|line| match line {
            Line::Held {
                method,
                episodes,
                held,
            } if method == of.name() && *episodes == of.episodes() => Some(held),
            _ => None,
        })
    }

    /// Of a policy: the last line counts.
    fn outcome(&self, of: &Method, with: u64, on: u64) -> Option<&Outcome> {
        self.lines.iter().rev().find_map(|line| match line {
            Line::Policy {
                method,
                episodes,
                seed,
                demonstrations,
                outcome,
            } if method == of.name()
                && (*episodes, *seed, *demonstrations) == (of.episodes(), with, on) =>
            {
                Some(outcome)
            }
            _ => None,
        })
    }

    fn comparison(&self, plan: &Plan, methods: &[Method]) -> Result<Comparison, RecipeError> {
        let n = plan.rollouts as usize;
        let row = |method: &Method| {
            let outcomes = |size| -> Vec<&Outcome> {
                let seeds = 1..=plan.seeds;
                seeds
                    .filter_map(|seed| self.outcome(method, seed, size))
                    .collect()
            };
            let by_size: Vec<Vec<&Outcome>> = plan
                .demonstrations
                .iter()
                .map(|size| outcomes(*size))
                .collect();
            let success = |found: &Vec<&Outcome>| {
                let right: u64 = found.iter().map(|o| o.successes).sum();
                share(right as usize, n * found.len())
            };
            let progress = |found: &Vec<&Outcome>| {
                found.iter().map(|o| o.progress).sum::<f64>() / found.len().max(1) as f64
            };
            let most = plan.demonstrations.iter().copied().max().unwrap_or(0);
            let looks: Vec<&[u64]> = outcomes(most)
                .into_iter()
                .map(|o| o.elsewhere.as_slice())
                .filter(|_| plan.looks)
                .collect();
            let elsewhere = (0..presets().len()).filter_map(|look| {
                let right: Option<Vec<u64>> = looks.iter().map(|l| l.get(look).copied()).collect();
                let right = right.filter(|right| !right.is_empty())?;
                Some(share(right.iter().sum::<u64>() as usize, n * right.len()))
            });
            Row {
                elsewhere: elsewhere.collect(),
                method: method.name().to_owned(),
                episodes: method.episodes(),
                held: self.held(method).cloned(),
                success: by_size.iter().map(success).collect(),
                by_seed: by_size
                    .iter()
                    .map(|found| {
                        found
                            .iter()
                            .map(|o| o.successes as f64 / n as f64)
                            .collect()
                    })
                    .collect(),
                progress: by_size.iter().map(progress).collect(),
            }
        };
        Ok(Comparison {
            plan: plan.clone(),
            corpora: plan
                .episodes
                .iter()
                .map(|size| self.corpus(*size).unwrap_or([*size, 0, 0]))
                .collect(),
            rows: methods.iter().map(row).collect(),
        })
    }
}

/// What decides each result, of a plan and of the suite's tasks; the rest only says which results there shall be.
fn settings(plan: &Plan, suite: &Suite) -> Result<BTreeMap<String, Value>, RecipeError> {
    let value = serde_json::to_value(plan);
    let value = value.map_err(|error| RecipeError::Failed(error.to_string()))?;
    let mut map: BTreeMap<String, Value> = value
        .as_object()
        .cloned()
        .unwrap_or_default()
        .into_iter()
        .collect();
    for list in [
        "objectives",
        "pretrained",
        "episodes",
        "demonstrations",
        "seeds",
        "looks",
    ] {
        map.remove(list);
    }
    let mut tasks = blake3::Hasher::new();
    for task in suite.pretraining().iter().chain(&suite.finetuning()) {
        tasks.update(task.text.as_bytes());
    }
    let digest = tasks.finalize().to_hex();
    map.insert("tasks".to_owned(), digest.as_str().into());
    Ok(map)
}

fn probe(encoder: &FrozenEncoder, fit: &Corpus, measure: &Corpus) -> Result<Vec<f64>, RecipeError> {
    let (fit, measure) = (&fit.transitions, &measure.transitions);
    let size = encoder.config().embedding() as usize;
    let (a, b) = (encode(encoder, fit)?, encode(encoder, measure)?);
    let found = linear_probe(
        (&a, fit.states()),
        (&b, measure.states()),
        size,
        fit.state_size(),
    )?;
    Ok(found.into_iter().map(six_digits).collect())
}

/// Six digits after the point: what a file of results gives back as it was.
fn six_digits(x: f64) -> f64 {
    (x * 1e6).round() / 1e6
}

impl Comparison {
    /// For which numbers of demonstrations it is told how many parts of a task were done: none where tasks have no parts that
    /// are done one after the other.
    pub fn parts(&self) -> &[u64] {
        let differ = |row: &Row| {
            let success = row.success.iter().map(|estimate| estimate.value);
            // six digits are kept
            success
                .zip(&row.progress)
                .any(|(a, b)| (a - b).abs() > 1e-5)
        };
        if self.rows.iter().any(differ) {
            &self.plan.demonstrations
        } else {
            &[]
        }
    }

    /// The table as text: a row for each method.
    pub fn table(&self) -> String {
        let plan = &self.plan;
        let mut text = format!(
            "{}, context {:?}, {} seeds of {} rollouts; pretrained on",
            plan.suite, plan.context, plan.seeds, plan.rollouts
        );
        for (number, [episodes, frames, thrown]) in self.corpora.iter().enumerate() {
            let comma = if number == 0 { "" } else { "," };
            write!(
                text,
                "{comma} {episodes} episodes ({frames} frames, {thrown} failed and were left out)"
            )
            .ok();
        }
        text.push_str("\n\n| method | episodes | state R² | RankMe |");
        let parts = self.parts();
        for size in &plan.demonstrations {
            write!(text, " {size} demonstrations |").ok();
        }
        for size in parts {
            write!(text, " parts done, {size} |").ok();
        }
        let looks = if plan.looks {
            presets().to_vec()
        } else {
            Vec::new()
        };
        for (look, _) in &looks {
            write!(text, " other {look} |").ok();
        }
        text.push_str("\n|---|---|---|---|");
        text.push_str(&"---|".repeat(plan.demonstrations.len() + parts.len() + looks.len()));
        for row in &self.rows {
            let held = row.held.as_ref().map_or_else(
                || "| |".to_owned(),
                |held| format!("{:.2} | {:.1} |", held.mean_probe(), held.rank_me),
            );
            let episodes = match row.episodes {
                0 => String::new(),
                episodes => episodes.to_string(),
            };
            write!(
                text,
                "\n| {} | {episodes} | {held}",
                row.method.replace('_', " ")
            )
            .ok();
            for e in &row.success {
                write!(text, " {:.2} [{:.2}, {:.2}] |", e.value, e.low, e.high).ok();
            }
            for (progress, _) in row.progress.iter().zip(parts) {
                write!(text, " {progress:.2} |").ok();
            }
            for e in &row.elsewhere {
                write!(text, " {:.2} [{:.2}, {:.2}] |", e.value, e.low, e.high).ok();
            }
        }
        text.push('\n');
        text
    }
}
