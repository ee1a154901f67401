//! From a plan to a store.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use episode::Episode;
use episode::store::{EPISODES_PER_SHARD, Identity, StoreError, Writer, blocks};
use sim::env::EnvError;
use sim::scenario::ScenarioError;
use sim::scenario_file::ScenarioFile;

use super::episode::HANDS;
use super::{Settings, Worker, pool};

/// What to record.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Episode `i` takes place in scenario `i % scenarios.len()`; at least one.
    pub scenarios: Vec<ScenarioFile>,
    /// How.
    pub settings: Settings,
    /// Number of episodes, over all scenarios and parts.
    pub episodes: u64,
    /// Which of them to record here.
    pub part: Part,
    /// Number of threads.
    pub workers: usize,
}

/// One of several equal parts of a run, for several machines: every `of`-th shard, from the `index`-th on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// From 0.
    pub index: u64,
    /// At least 1, above `index`.
    pub of: u64,
}

impl Part {
    /// The undivided run.
    pub const WHOLE: Self = Self { index: 0, of: 1 };

    fn has(self, episode: u64) -> bool {
        (episode / EPISODES_PER_SHARD) % self.of == self.index
    }
}

/// What [`record`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recorded {
    /// Episodes recorded now.
    pub new: u64,
    /// Steps in them.
    pub new_steps: u64,
    /// Episodes of the plan's part that the store lacks still, because it was stopped.
    pub missing: u64,
    /// Episodes in the store.
    pub in_store: u64,
}

/// Why recording or verifying ended early. What was closed before stays valid.
#[derive(Debug, thiserror::Error)]
pub enum RolloutError {
    /// A scenario cannot be drawn.
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
    /// The store cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An episode cannot start.
    #[error(transparent)]
    Env(EnvError),
    /// The policy does not act in such worlds.
    #[error("{0}")]
    Unsuited(String),
    /// A recorded action or goal does not fit its own scenario.
    #[error("episode {index}: {message}")]
    Episode {
        /// Its index.
        index: u64,
        /// What does not fit.
        message: String,
    },
}

/// Records the plan's episodes that the store at `dir` lacks, calling `progress` for each with their number. Once `stop` is set, the
/// episodes under way are finished and kept. Whatever ends it, the same call goes on where it stopped, and the
/// store's contents do not tell that it did.
pub fn record(
    plan: &Plan,
    dir: &Path,
    stop: &AtomicBool,
    mut progress: impl FnMut(&Episode, u64),
) -> Result<Recorded, RolloutError> {
    for scenario in &plan.scenarios {
        plan.settings.suits(scenario)?;
    }
    plan.of_one_kind()?;
    let kept = plan.scenarios.iter().map(ScenarioFile::to_keep);
    let kept: Vec<_> = kept.collect::<Result<_, _>>()?;
    let (scenarios, files): (Vec<_>, Vec<_>) = kept.into_iter().unzip();
    let plan = &Plan {
        scenarios,
        ..plan.clone()
    };
    let identity = plan.identity();
    let mut writer = Writer::open(dir, &identity)?;
    for scenario in &plan.scenarios {
        writer.add_scenario(scenario.text())?;
    }
    for (name, bytes) in files.into_iter().flatten() {
        writer.add_file(&name, &bytes)?;
    }
    let todo = plan.missing_from(&writer, &identity);
    let mut ends = blocks(todo.iter().copied())
        .into_iter()
        .map(|block| block.end);
    let mut end = ends.next();
    let mut open: Vec<Episode> = Vec::new();
    let mut done = Recorded::default();
    let result = pool::in_order(
        plan.workers,
        todo.chunks(plan.together()),
        || {
            let mut worker = Worker::new(&plan.settings);
            move |indices: &[u64]| plan.record(&mut worker, indices)
        },
        |episodes| {
            for episode in episodes {
                progress(&episode, todo.len() as u64);
                let next = episode.header.index + 1;
                done.new += 1;
                done.new_steps += episode.steps.len() as u64;
                open.push(episode);
                if end == Some(next) {
                    end = ends.next();
                    writer.append(&identity, &std::mem::take(&mut open))?;
                }
            }
            Ok(())
        },
        stop,
    );
    // Stopped or failed in the middle of a shard: what is finished is worth keeping.
    if !matches!(result, Err(RolloutError::Store(_))) {
        writer.append(&identity, &open)?;
    }
    result?;
    done.missing = todo.len() as u64 - done.new;
    debug_assert!(done.missing == 0 || stop.load(Ordering::Relaxed));
    done.in_store = writer.episodes();
    Ok(done)
}

impl Plan {
    /// Number of episodes in this part.
    pub fn episodes_in_part(&self) -> u64 {
        (0..self.episodes).filter(|&i| self.part.has(i)).count() as u64
    }

    /// Every setting that changes what the episodes hold: how many there are, who makes them and how they are divided
    /// does not.
    pub fn identity(&self) -> Identity {
        let scenarios: Vec<String> = self
            .scenarios
            .iter()
            .map(|s| format!("{} {}", s.name(), s.digest()))
            .collect();
        let mut settings: BTreeMap<String, String> = self.settings.identity();
        settings.insert("scenarios".into(), scenarios.join(", "));
        if self.has_hands() {
            let steps = self.settings.max_steps.hand;
            let steps = steps.map_or_else(|| "as the task says".to_owned(), |n| n.to_string());
            settings.insert("hand_max_steps".into(), steps);
        }
        Identity(settings)
    }

    fn has_hands(&self) -> bool {
        self.scenarios.iter().any(is_hand)
    }

    /// Actions in houses are texts, those of hands are numbers, and a store holds one or the other.
    fn of_one_kind(&self) -> Result<(), RolloutError> {
        let hand = self.scenarios.iter().find(|s| is_hand(s));
        let house = self.scenarios.iter().find(|s| !is_hand(s));
        match (hand, house) {
            (Some(hand), Some(house)) => Err(RolloutError::Unsuited(format!(
                "expected houses or hands in one store, found both: \"{}\" and \"{}\"",
                house.name(),
                hand.name()
            ))),
            _ => Ok(()),
        }
    }

    /// How many episodes a worker makes at a time: houses one after the other, hands many together.
    fn together(&self) -> usize {
        if self.has_hands() {
            HANDS * self.scenarios.len()
        } else {
            1
        }
    }

    /// The episodes of those indices, in their order.
    fn record(&self, worker: &mut Worker, indices: &[u64]) -> Result<Vec<Episode>, RolloutError> {
        let n = self.scenarios.len() as u64;
        let mut episodes = Vec::new();
        for (scenario, remainder) in self.scenarios.iter().zip(0..) {
            let own: Vec<u64> = indices
                .iter()
                .copied()
                .filter(|i| i % n == remainder)
                .collect();
            if !own.is_empty() {
                episodes.extend(worker.record(scenario, &own)?);
            }
        }
        episodes.sort_by_key(|episode| episode.header.index);
        Ok(episodes)
    }

    fn missing_from(&self, writer: &Writer, identity: &Identity) -> Vec<u64> {
        (0..self.episodes)
            .filter(|&i| self.part.has(i) && !writer.contains(identity, i))
            .collect()
    }
}

fn is_hand(scenario: &ScenarioFile) -> bool {
    matches!(scenario, ScenarioFile::Hand(_))
}
