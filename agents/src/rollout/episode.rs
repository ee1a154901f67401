//! One episode, from its index alone.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use episode::store::Store;
use episode::stream::Line;
use episode::{Episode, Header};
use sim::env::{EnvError, Fidelity, HouseholdEnv, Start, VectorEnv, Wish};
use sim::hand::{HandEnv, HandScenario};
use sim::random::episode_rng;
use sim::recorder::Recorder;
use sim::scenario::LoadedScenario;
use sim::scenario_file::ScenarioFile;

use super::RolloutError;
use crate::gripper::GripperExpert;
use crate::hand::{HandActor, HandPolicy, RandomHand, ScriptedHand};
use crate::learned::{LearnedHand, Network};
use crate::planner::Search;
use crate::policy::{Briefed, Policy};
use crate::{PlannerPolicy, RandomPolicy};

/// What, besides scenario and index, an episode follows from.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Seed of the run.
    pub seed: u64,
    /// Who acts.
    pub policy: PolicyChoice,
    /// What carries actions out in a house.
    pub fidelity: Fidelity,
    /// An episode is cut off after so many actions.
    pub max_steps: MaxSteps,
}

/// After how many actions an episode is cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaxSteps {
    /// In a house; at least 1.
    pub house: u32,
    /// Of a hand; at least 1. `None`: as the task says.
    pub hand: Option<u32>,
}

impl MaxSteps {
    /// So many everywhere.
    pub fn all(steps: u32) -> Self {
        Self {
            house: steps,
            hand: Some(steps),
        }
    }
}

/// A policy and its settings.
#[derive(Clone, Debug, PartialEq)]
pub enum PolicyChoice {
    /// In a house: explores without a goal, a uniform choice among the actions that are possible. A hand: every number of
    /// every action is drawn anew.
    Random {
        /// Share of actions in a house, in [0, 1], drawn among those that will be refused.
        invalid_share: f64,
    },
    /// In a house: pursues a drawn goal by Monte-Carlo tree search on the symbolic house.
    Planner {
        /// Simulations for one plan; at least 1.
        simulations: u32,
    },
    /// A hand: the scripted baseline of its task.
    Scripted,
    /// A hand: what was learnt.
    Learned(Arc<Network>),
}

impl Settings {
    /// The settings by name, as they distinguish one run from another.
    pub(super) fn identity(&self) -> BTreeMap<String, String> {
        let policy = match &self.policy {
            PolicyChoice::Random { invalid_share } => {
                format!("random, invalid share {invalid_share}")
            }
            PolicyChoice::Planner { simulations } => format!("planner, {simulations} simulations"),
            PolicyChoice::Scripted => "scripted".to_owned(),
            PolicyChoice::Learned(network) => format!("learned, {}", network.digest()),
        };
        [
            ("seed", self.seed.to_string()),
            ("policy", policy),
            ("fidelity", self.fidelity.name().to_owned()),
            ("max_steps", self.max_steps.house.to_string()),
            (
                "software",
                concat!("habitus ", env!("CARGO_PKG_VERSION")).to_owned(),
            ),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    }

    /// Whether the policy acts in such worlds.
    ///
    /// # Errors
    /// When it does not.
    pub fn suits(&self, scenario: &ScenarioFile) -> Result<(), RolloutError> {
        let (policy, acts_in, asked) = match (&self.policy, scenario) {
            (PolicyChoice::Planner { .. }, ScenarioFile::Hand(_)) => {
                ("planner", "houses", "a hand")
            }
            (PolicyChoice::Scripted, ScenarioFile::House(_)) => ("scripted", "hands", "a house"),
            (PolicyChoice::Learned(_), ScenarioFile::House(_)) => ("learned", "hands", "a house"),
            (_, ScenarioFile::Hand(_)) if self.fidelity == Fidelity::Symbolic => {
                return Err(RolloutError::Unsuited(format!(
                    "expected physical fidelity for the hand \"{}\", found symbolic",
                    scenario.name()
                )));
            }
            _ => return Ok(()),
        };
        Err(RolloutError::Unsuited(format!(
            "policy {policy} is for {acts_in}, and \"{}\" is {asked}",
            scenario.name()
        )))
    }

    fn wish(&self) -> Wish {
        match self.policy {
            PolicyChoice::Random { .. } => Wish::Explore,
            PolicyChoice::Planner { .. } | PolicyChoice::Scripted | PolicyChoice::Learned(_) => {
                Wish::Draw
            }
        }
    }
}

/// Makes episodes, one after another; what it keeps between them changes none of them.
pub struct Worker {
    settings: Settings,
    /// Who acts in houses; `None` for a policy of hands.
    policy: Option<Box<dyn Policy>>,
    /// The hands stepped so far, by digest of their scenario.
    hands: BTreeMap<String, (Recorder<HandEnv>, Box<dyn Policy>)>,
}

/// Worlds of a hand that are stepped together: as many as one instruction steps on the widest processors.
pub(super) const HANDS: usize = 16;

impl Worker {
    /// A worker with a policy of its own.
    pub fn new(settings: &Settings) -> Self {
        Self {
            settings: settings.clone(),
            policy: settings.house_policy(),
            hands: BTreeMap::new(),
        }
    }

    /// The episodes of those indices in a scenario that the policy suits, in their order.
    pub fn record(
        &mut self,
        scenario: &ScenarioFile,
        indices: &[u64],
    ) -> Result<Vec<Episode>, RolloutError> {
        self.settings.suits(scenario)?;
        let starts: Vec<Start> = indices
            .iter()
            .map(|index| Start {
                seed: self.settings.seed,
                index: *index,
                wish: self.settings.wish(),
            })
            .collect();
        match scenario {
            ScenarioFile::House(house) => self.record_house(house, &starts),
            ScenarioFile::Hand(hand) => self.record_hand(hand, &starts),
        }
    }

    fn record_house(
        &mut self,
        scenario: &Arc<LoadedScenario>,
        starts: &[Start],
    ) -> Result<Vec<Episode>, RolloutError> {
        let Settings {
            fidelity,
            max_steps,
            ..
        } = self.settings;
        let policy = self.policy.as_mut().expect("it suits houses");
        let mut episodes = Vec::new();
        for start in starts {
            let env = HouseholdEnv::new(Arc::clone(scenario), fidelity, max_steps.house);
            let mut recorder = Recorder::new(env, policy.name());
            episodes.push(play(&mut recorder, policy.as_mut(), start)?);
        }
        Ok(episodes)
    }

    fn record_hand(
        &mut self,
        scenario: &HandScenario,
        starts: &[Start],
    ) -> Result<Vec<Episode>, RolloutError> {
        if !self.hands.contains_key(&scenario.digest) {
            let env = scenario
                .env(HANDS, self.settings.max_steps.hand)
                .map_err(EnvError::from)?;
            let policy = self.settings.hand_policy(&env)?;
            let recorder = Recorder::new(env, policy.name());
            self.hands
                .insert(scenario.digest.clone(), (recorder, policy));
        }
        let (recorder, policy) = self
            .hands
            .get_mut(&scenario.digest)
            .expect("it was just put there");
        let mut episodes = Vec::new();
        for starts in starts.chunks(HANDS) {
            episodes.extend(play_all(recorder, policy.as_mut(), starts)?);
        }
        Ok(episodes)
    }
}

impl Settings {
    /// Who acts in houses; `None` for a policy of hands.
    fn house_policy(&self) -> Option<Box<dyn Policy>> {
        match self.policy {
            PolicyChoice::Random { invalid_share } => {
                Some(Box::new(RandomPolicy::new(invalid_share)))
            }
            PolicyChoice::Planner { simulations } => Some(Box::new(PlannerPolicy::new(Search {
                simulations,
                ..Search::default()
            }))),
            PolicyChoice::Scripted | PolicyChoice::Learned(_) => None,
        }
    }

    /// Who moves the hands of an environment.
    fn hand_policy(&self, env: &HandEnv) -> Result<Box<dyn Policy>, RolloutError> {
        let policy: Box<dyn HandPolicy + Send> = match &self.policy {
            PolicyChoice::Scripted => match (ScriptedHand::new(env), GripperExpert::new(env)) {
                (Some(hand), _) => Box::new(hand),
                (None, Some(gripper)) => Box::new(gripper),
                (None, None) => {
                    let name = env.task().name();
                    return Err(RolloutError::Unsuited(format!("{name} has no script")));
                }
            },
            PolicyChoice::Learned(network) => {
                Box::new(LearnedHand::new(network, env).map_err(RolloutError::Unsuited)?)
            }
            PolicyChoice::Random { .. } | PolicyChoice::Planner { .. } => {
                Box::new(RandomHand::of(env))
            }
        };
        Ok(Box::new(HandActor::new(policy, env.n_actions())))
    }
}

/// One episode in the first world: until it ends, or the policy has nothing more to do.
pub fn play<E: Briefed>(
    recorder: &mut Recorder<E>,
    policy: &mut dyn Policy,
    start: &Start,
) -> Result<Episode, RolloutError> {
    let mut episodes = play_all(recorder, policy, std::slice::from_ref(start))?;
    Ok(episodes.swap_remove(0))
}

/// Tells the episode of an index line by line, while it happens; ends early when told to. The same episode as
/// [`Worker::record`] makes.
pub fn stream(
    settings: &Settings,
    scenario: &ScenarioFile,
    index: u64,
    tell: &mut dyn FnMut(Line) -> ControlFlow<()>,
) -> Result<(), RolloutError> {
    settings.suits(scenario)?;
    let start = Start {
        seed: settings.seed,
        index,
        wish: settings.wish(),
    };
    match scenario {
        ScenarioFile::House(house) => {
            let mut policy = settings.house_policy().expect("it suits houses");
            let max_steps = settings.max_steps.house;
            let env = HouseholdEnv::new(Arc::clone(house), settings.fidelity, max_steps);
            let mut recorder = Recorder::new(env, policy.name());
            tell_all(&mut recorder, policy.as_mut(), &start, tell)
        }
        ScenarioFile::Hand(hand) => {
            let env = hand
                .env(1, settings.max_steps.hand)
                .map_err(EnvError::from)?;
            let mut policy = settings.hand_policy(&env)?;
            let mut recorder = Recorder::new(env, policy.name());
            tell_all(&mut recorder, policy.as_mut(), &start, tell)
        }
    }
}

fn tell_all<E: Briefed>(
    recorder: &mut Recorder<E>,
    policy: &mut dyn Policy,
    start: &Start,
    tell: &mut dyn FnMut(Line) -> ControlFlow<()>,
) -> Result<(), RolloutError> {
    begin(recorder, policy, 0, start)?;
    let episode = recorder.episode(0).expect("it was just begun");
    let line = Line::Start {
        header: Box::new(episode.header.clone()),
        first: episode.first.clone(),
        first_digest: episode.first_digest.clone(),
    };
    if tell(line).is_break() {
        return Ok(());
    }
    while !recorder.ended(0) {
        let action = policy.act(&[recorder.observation(0)]).swap_remove(0);
        if action.is_none() {
            break;
        }
        recorder.step(vec![action]);
        let step = recorder.last_step(0).expect("a step was just made");
        if tell(Line::Step(Box::new(step.clone()))).is_break() {
            return Ok(());
        }
    }
    let success = recorder.episode(0).is_some_and(|episode| episode.success);
    // Whoever listens has heard everything.
    let _ = tell(Line::End { success });
    Ok(())
}

/// Starts an episode in a world, and briefs the policy.
fn begin<E: Briefed>(
    recorder: &mut Recorder<E>,
    policy: &mut dyn Policy,
    lane: usize,
    start: &Start,
) -> Result<(), RolloutError> {
    recorder.reset(lane, start)?;
    let env = recorder.env();
    let digest = env.header(lane).scenario_digest;
    let rng = episode_rng(start.seed, &digest, start.index, "policy");
    policy.reset(lane, &env.briefing(lane), rng);
    Ok(())
}

/// One episode in each of the first worlds, side by side.
///
/// # Panics
/// When there are more starts than worlds.
fn play_all<E: Briefed>(
    recorder: &mut Recorder<E>,
    policy: &mut dyn Policy,
    starts: &[Start],
) -> Result<Vec<Episode>, RolloutError> {
    for (lane, start) in starts.iter().enumerate() {
        begin(recorder, policy, lane, start)?;
    }
    let mut playing: Vec<bool> = (0..recorder.num_envs()).map(|i| i < starts.len()).collect();
    while playing.contains(&true) {
        let seen = playing.iter().enumerate();
        let seen: Vec<_> = seen
            .map(|(lane, playing)| recorder.observation(lane).filter(|_| *playing))
            .collect();
        let actions = policy.act(&seen);
        for (playing, action) in playing.iter_mut().zip(&actions) {
            *playing = action.is_some();
        }
        if !playing.contains(&true) {
            break;
        }
        recorder.step(actions);
        for (lane, playing) in playing.iter_mut().enumerate() {
            *playing &= !recorder.ended(lane);
        }
    }
    let episode = |lane| recorder.take(lane).expect("an episode was just recorded");
    Ok((0..starts.len()).map(episode).collect())
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
pub struct Scenarios(BTreeMap<String, ScenarioFile>);

impl Scenarios {
    /// Loads the copies that the store keeps.
    pub fn load(store: &Store) -> Result<Self, RolloutError> {
        let mut scenarios = BTreeMap::new();
        for digest in store.scenarios()? {
            let path = store.dir().join("scenarios").join(format!("{digest}.toml"));
            let loaded = ScenarioFile::load_text(&store.scenario_text(&digest)?, path)?;
            scenarios.insert(digest, loaded);
        }
        Ok(Self(scenarios))
    }

    /// The one that an episode took place in.
    pub fn of(&self, header: &Header) -> Result<&ScenarioFile, RolloutError> {
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
    scenario: &ScenarioFile,
    recorded: &Episode,
    fidelity: Fidelity,
    max_steps: MaxSteps,
) -> Result<Episode, RolloutError> {
    let start = start_of(recorded);
    match scenario {
        ScenarioFile::House(house) => {
            let env = HouseholdEnv::new(Arc::clone(house), fidelity, max_steps.house);
            repeat(env, recorded, &start)
        }
        ScenarioFile::Hand(hand) => {
            let env = hand.env(1, max_steps.hand).map_err(EnvError::from)?;
            let wish = match start.wish {
                Wish::Goal { .. } => Wish::Draw,
                other => other,
            };
            repeat(env, recorded, &Start { wish, ..start })
        }
    }
}

/// How a recorded episode began, with its goal as it was recorded.
pub(super) fn start_of(recorded: &Episode) -> Start {
    let Header {
        seed,
        index,
        task,
        goal,
        ..
    } = &recorded.header;
    let wish = if goal.is_empty() {
        Wish::Explore
    } else {
        Wish::Goal {
            say: task.clone(),
            all: goal.clone(),
        }
    };
    Start {
        seed: *seed,
        index: *index,
        wish,
    }
}

fn repeat(env: impl VectorEnv, recorded: &Episode, start: &Start) -> Result<Episode, RolloutError> {
    let mut recorder = Recorder::new(env, &recorded.header.policy);
    recorder.reset(0, start)?;
    for step in &recorded.steps {
        // A repetition that ends sooner differs from the recording, and is found to.
        if recorder.ended(0) {
            break;
        }
        recorder.step(vec![Some(step.action.clone())]);
    }
    Ok(recorder.take(0).expect("an episode was just recorded"))
}
