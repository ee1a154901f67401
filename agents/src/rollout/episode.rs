//! One episode, from its index alone.

use std::collections::BTreeMap;
use std::sync::Arc;

use episode::store::Store;
use episode::{Episode, Header};
use sim::env::{EnvError, Fidelity, HouseholdEnv, Start, VectorEnv as _, Wish};
use sim::random::episode_rng;
use sim::recorder::Recorder;
use sim::scenario::{LoadedScenario, load_text};

use super::RolloutError;
use crate::planner::Search;
use crate::policy::{Briefing, Policy};
use crate::{PlannerPolicy, RandomPolicy};

/// What, besides scenario and index, an episode follows from.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Seed of the run.
    pub seed: u64,
    /// Who acts.
    pub policy: PolicyChoice,
    /// What carries actions out.
    pub fidelity: Fidelity,
    /// An episode is cut off after so many actions; at least 1.
    pub max_steps: u32,
}

/// A policy and its settings.
#[derive(Clone, Debug, PartialEq)]
pub enum PolicyChoice {
    /// Explores without a goal: a uniform choice among the actions that are possible.
    Random {
        /// Share of actions, in [0, 1], drawn among those that will be refused.
        invalid_share: f64,
    },
    /// Pursues a drawn goal by Monte-Carlo tree search on the symbolic house.
    Planner {
        /// Simulations for one plan; at least 1.
        simulations: u32,
    },
}

impl Settings {
    /// The settings by name, as they distinguish one run from another.
    pub(super) fn identity(&self) -> BTreeMap<String, String> {
        let policy = match &self.policy {
            PolicyChoice::Random { invalid_share } => {
                format!("random, invalid share {invalid_share}")
            }
            PolicyChoice::Planner { simulations } => format!("planner, {simulations} simulations"),
        };
        [
            ("seed", self.seed.to_string()),
            ("policy", policy),
            ("fidelity", self.fidelity.name().to_owned()),
            ("max_steps", self.max_steps.to_string()),
            (
                "software",
                concat!("habitus ", env!("CARGO_PKG_VERSION")).to_owned(),
            ),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    }

    fn wish(&self) -> Wish {
        match self.policy {
            PolicyChoice::Random { .. } => Wish::Explore,
            PolicyChoice::Planner { .. } => Wish::Draw,
        }
    }
}

/// Makes episodes, one after another; what it keeps between them changes none of them.
pub struct Worker<'a> {
    settings: &'a Settings,
    policy: Box<dyn Policy>,
}

impl<'a> Worker<'a> {
    /// A worker with a policy of its own.
    pub fn new(settings: &'a Settings) -> Self {
        let policy: Box<dyn Policy> = match settings.policy {
            PolicyChoice::Random { invalid_share } => Box::new(RandomPolicy::new(invalid_share)),
            PolicyChoice::Planner { simulations } => Box::new(PlannerPolicy::new(Search {
                simulations,
                ..Search::default()
            })),
        };
        Self { settings, policy }
    }

    /// The episode of that index.
    pub fn record(
        &mut self,
        scenario: &Arc<LoadedScenario>,
        index: u64,
    ) -> Result<Episode, RolloutError> {
        let Settings {
            seed,
            fidelity,
            max_steps,
            ..
        } = *self.settings;
        let env = HouseholdEnv::new(Arc::clone(scenario), fidelity, max_steps);
        let mut recorder = Recorder::new(env, self.policy.name());
        let wish = self.settings.wish();
        play(
            &mut recorder,
            self.policy.as_mut(),
            &Start { seed, index, wish },
        )
    }
}

/// One episode of a house: until it ends, or the policy has nothing more to do.
pub fn play(
    recorder: &mut Recorder<HouseholdEnv>,
    policy: &mut dyn Policy,
    start: &Start,
) -> Result<Episode, RolloutError> {
    recorder.reset(0, start)?;
    let env = recorder.env();
    let briefing = Briefing {
        graph: env.graph().expect("the environment was just reset"),
        task: env.task().expect("the environment was just reset"),
    };
    let digest = env.header(0).scenario_digest;
    policy.reset(
        0,
        &briefing,
        episode_rng(start.seed, &digest, start.index, "policy"),
    );
    while !recorder.ended(0) {
        let action = policy.act(&[recorder.observation(0)]).swap_remove(0);
        if action.is_none() {
            break;
        }
        recorder.step(vec![action]);
    }
    Ok(recorder.take(0).expect("an episode was just recorded"))
}

impl From<EnvError> for RolloutError {
    fn from(error: EnvError) -> Self {
        match error {
            EnvError::Scenario(error) => Self::Scenario(error),
            other => Self::Env(other),
        }
    }
}

/// The scenarios of a store, ready to be drawn from, by digest.
pub struct Scenarios(BTreeMap<String, Arc<LoadedScenario>>);

impl Scenarios {
    /// Loads the copies that the store keeps.
    pub fn load(store: &Store) -> Result<Self, RolloutError> {
        let mut scenarios = BTreeMap::new();
        for digest in store.scenarios()? {
            let path = store.dir().join("scenarios").join(format!("{digest}.toml"));
            let loaded = load_text(&store.scenario_text(&digest)?, path)?;
            scenarios.insert(digest, Arc::new(loaded));
        }
        Ok(Self(scenarios))
    }

    /// The one that an episode took place in.
    pub fn of(&self, header: &Header) -> Result<&Arc<LoadedScenario>, RolloutError> {
        self.0
            .get(&header.scenario_digest)
            .ok_or_else(|| RolloutError::Episode {
                index: header.index,
                message: format!(
                    "the store has no copy of its scenario {}",
                    header.scenario_digest
                ),
            })
    }
}

/// Makes an episode again from its seed, index, goal and actions.
pub fn replay(
    scenario: &Arc<LoadedScenario>,
    recorded: &Episode,
    fidelity: Fidelity,
    max_steps: u32,
) -> Result<Episode, RolloutError> {
    let header = &recorded.header;
    let env = HouseholdEnv::new(Arc::clone(scenario), fidelity, max_steps);
    let mut recorder = Recorder::new(env, &header.policy);
    let wish = if header.goal.is_empty() {
        Wish::Explore
    } else {
        Wish::Goal {
            say: header.task.clone(),
            all: header.goal.clone(),
        }
    };
    recorder.reset(
        0,
        &Start {
            seed: header.seed,
            index: header.index,
            wish,
        },
    )?;
    for step in &recorded.steps {
        // A repetition that ends sooner differs from the recording, and is found to.
        if recorder.ended(0) {
            break;
        }
        recorder.step(vec![Some(step.action.clone())]);
    }
    Ok(recorder.take(0).expect("an episode was just recorded"))
}
