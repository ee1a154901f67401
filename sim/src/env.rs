//! The interface that every policy steps: a vector of worlds, with Gymnasium's names and meanings.
//!
//! [`HouseholdEnv`] is a vector of one house. What a step compares, records and overrides when physics runs is said at
//! [`Fidelity::Physical`].

use std::collections::BTreeMap;
use std::sync::Arc;

use episode::{Action, Header, Observation, RewardTerm, Space, Value};
use thiserror::Error;

use crate::hand::HandError;
use crate::household::{EntityId, Fact, FactError, HouseAction, HouseGraph, Relation};
use crate::observation;
use crate::random::episode_rng;
use crate::scenario::{LoadedScenario, ScenarioError};
use crate::task::{self, Reward, Task};
use crate::world::{self, Frame, World};

/// What carries verbs out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fidelity {
    /// The symbolic house alone: every verb does what it says.
    Symbolic,
    /// Rapier: every verb is carried out by motion, and what it was to change is measured afterwards. Where measurement
    /// and prediction differ, the step's info says so and the measurement stands.
    ///
    /// Info of a step that the symbolic house did not refuse: `simulated_seconds`, `compared` (number of facts),
    /// `disagreements` (those predicted but measured otherwise, one a line), `path` (x0 y0 x1 y1 … in meters), and
    /// `failure` (why the motion could not be carried out; also the step's refusal) where there was one.
    Physical,
}

impl Fidelity {
    /// As in an episode's header.
    pub fn name(self) -> &'static str {
        match self {
            Self::Symbolic => "symbolic",
            Self::Physical => "physical",
        }
    }
}

/// Which episode to start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start {
    /// Seed of the run.
    pub seed: u64,
    /// Number of the episode within the run; with the seed and the scenario's digest it gives the episode's streams.
    pub index: u64,
    /// What is wanted.
    pub wish: Wish,
}

/// What is wanted in an episode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Nothing: the agent explores.
    Explore,
    /// A task drawn from the episode's stream.
    Draw,
    /// This.
    Goal {
        /// In words.
        say: String,
        /// Facts that must all hold.
        all: Vec<String>,
    },
}

/// What one action led to: a `Step` without its action.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// What was seen afterwards.
    pub observation: Observation,
    /// The summands of the reward, in the task's order.
    pub reward_terms: Vec<RewardTerm>,
    /// The task ended.
    pub terminated: bool,
    /// The limit of steps cut the episode off.
    pub truncated: bool,
    /// Whether the goal holds.
    pub success: bool,
    /// Why the world did not carry the action out, in words.
    pub refusal: Option<String>,
    /// What else is to be known about the step: `activity` (the name of the everyday activity that is wanted) where
    /// there is one, and what [`Fidelity::Physical`] adds.
    pub info: BTreeMap<String, Value>,
}

/// Why an episode cannot start.
#[derive(Clone, Debug, Error)]
pub enum EnvError {
    /// The scenario cannot be drawn.
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
    /// A fact of the goal that was given is not one.
    #[error("goal `{text}`: {error}")]
    Goal {
        /// The fact as it was given.
        text: String,
        /// What is wrong with it.
        error: FactError,
    },
    /// The house holds nothing that anything could be done with.
    #[error(
        "{scenario}: no task can be drawn, because nothing here can be moved, opened or switched"
    )]
    NoTask {
        /// Name of the scenario.
        scenario: String,
    },
    /// A goal was given to a task that draws its own.
    #[error("{scenario} draws its own target: no goal in words can be given")]
    OwnGoal {
        /// Name of the task.
        scenario: String,
    },
    /// A hand cannot do what it is asked to.
    #[error(transparent)]
    Hand(#[from] HandError),
}

/// A vector of worlds of one scenario.
pub trait VectorEnv {
    /// How many worlds there are.
    fn num_envs(&self) -> usize;
    /// What every observation lies in.
    fn observation_space(&self) -> Space;
    /// What every action has to lie in.
    fn action_space(&self) -> Space;
    /// Starts an episode in one world, whether or not the last one ended.
    ///
    /// # Errors
    /// When the episode cannot start; the world is then idle.
    fn reset(&mut self, lane: usize, start: &Start) -> Result<Observation, EnvError>;
    /// One action in each world that gets one; `None` for those that do not. A world whose episode ended must be reset
    /// before its next action.
    ///
    /// # Panics
    /// When there are not `num_envs` actions, or a world without a running episode gets one.
    fn step(&mut self, actions: &[Option<Action>]) -> Vec<Option<Outcome>>;
    /// Where the episode in a world comes from, without the policy's name.
    fn header(&self, lane: usize) -> Header;
    /// Digest of a world's whole state: 32 lower-case hexadecimal digits.
    fn state_digest(&self, lane: usize) -> String;
}

/// A house as an environment of one world.
///
/// Actions are lines of a VirtualHome program. A line that is not an action in this house is a refusal like any other.
pub struct HouseholdEnv {
    scenario: Arc<LoadedScenario>,
    fidelity: Fidelity,
    max_steps: u32,
    reward: Reward,
    watched: bool,
    episode: Option<Running>,
}

struct Running {
    start: Start,
    graph: HouseGraph,
    /// `None` when verbs are carried out in symbols only.
    world: Option<World>,
    task: Task,
    steps: u32,
    ended: bool,
}

impl HouseholdEnv {
    /// An environment whose episodes are cut off after `max_steps` actions.
    pub fn new(scenario: Arc<LoadedScenario>, fidelity: Fidelity, max_steps: u32) -> Self {
        Self {
            scenario,
            fidelity,
            max_steps,
            reward: Reward::default(),
            watched: false,
            episode: None,
        }
    }

    /// From now on keeps what moves in the physical house, of this and every further episode; or no longer. No episode
    /// changes by it.
    pub fn watch_motion(&mut self, on: bool) {
        self.watched = on;
        if let Some(world) = self.world_mut() {
            world.watch_motion(on);
        }
    }

    /// What has moved since the last time: see [`World::take_motion`].
    pub fn take_motion(&mut self) -> Vec<Frame> {
        self.world_mut().map(World::take_motion).unwrap_or_default()
    }

    /// Pulls at a thing for one step of physics: see [`World::pull`]. Whether it could.
    pub fn pull(&mut self, thing: EntityId, to: [f32; 3]) -> bool {
        self.world_mut().is_some_and(|world| world.pull(thing, to))
    }

    /// Lets what was pulled at come to rest, and the symbolic house take over where things now are.
    pub fn let_go(&mut self) {
        let Some(Running {
            graph,
            world: Some(world),
            ..
        }) = &mut self.episode
        else {
            return;
        };
        let agent = graph.house().agent();
        for id in world.come_to_rest() {
            graph.set_place(id, world.measure_place(id));
            let close = Fact::Holds(agent, Relation::Close, id);
            graph.set(close, world.measure(close));
        }
    }

    /// The house as it is, in meters; `None` before the first reset, and where verbs are carried out in symbols only.
    pub fn world(&self) -> Option<&World> {
        self.episode.as_ref()?.world.as_ref()
    }

    fn world_mut(&mut self) -> Option<&mut World> {
        self.episode.as_mut()?.world.as_mut()
    }

    /// The house as it is, in symbols; `None` before the first reset.
    pub fn graph(&self) -> Option<&HouseGraph> {
        self.episode.as_ref().map(|e| &e.graph)
    }

    /// What is wanted in the running episode; `None` before the first reset.
    pub fn task(&self) -> Option<&Task> {
        self.episode.as_ref().map(|e| &e.task)
    }

    fn running(&self) -> &Running {
        self.episode.as_ref().expect("the world was reset")
    }
}

impl VectorEnv for HouseholdEnv {
    fn num_envs(&self) -> usize {
        1
    }

    fn observation_space(&self) -> Space {
        observation::space()
    }

    fn action_space(&self) -> Space {
        Space::Text { max_bytes: 1 << 12 }
    }

    fn reset(&mut self, lane: usize, start: &Start) -> Result<Observation, EnvError> {
        assert_eq!(lane, 0, "a household is a vector of one world");
        self.episode = None;
        let stream = |purpose| episode_rng(start.seed, &self.scenario.digest, start.index, purpose);
        let instance = self.scenario.instantiate(&mut stream("layout"))?;
        let mut world = (self.fidelity == Fidelity::Physical).then(|| World::new(&instance));
        if let (Some(world), true) = (&mut world, self.watched) {
            world.watch_motion(true);
        }
        let graph = instance.start;
        let authored = &self.scenario.scenario.goal;
        let task = match &start.wish {
            Wish::Explore => Task::default(),
            Wish::Draw => task::draw(&graph, authored, &mut stream("task")).ok_or_else(|| {
                EnvError::NoTask {
                    scenario: self.scenario.scenario.name.clone(),
                }
            })?,
            Wish::Goal { say, all } => {
                let parse = |text: &String| {
                    Fact::parse(graph.house(), text).map_err(|error| EnvError::Goal {
                        text: text.clone(),
                        error,
                    })
                };
                let goal = all.iter().map(parse).collect::<Result<_, _>>()?;
                task::given(&graph, say.clone(), goal)
            }
        };
        let observation = observation::observe(&graph, &task.say);
        self.episode = Some(Running {
            start: start.clone(),
            graph,
            world,
            task,
            steps: 0,
            ended: false,
        });
        Ok(observation)
    }

    fn step(&mut self, actions: &[Option<Action>]) -> Vec<Option<Outcome>> {
        assert_eq!(actions.len(), 1, "a household is a vector of one world");
        let (max_steps, reward) = (self.max_steps, self.reward);
        let [Some(action)] = actions else {
            return vec![None];
        };
        let running = self.episode.as_mut().expect("the world was reset");
        assert!(!running.ended, "an episode that ended must be reset");
        vec![Some(running.step(action, max_steps, &reward))]
    }

    fn header(&self, _lane: usize) -> Header {
        let running = self.running();
        Header {
            index: running.start.index,
            seed: running.start.seed,
            scenario: self.scenario.scenario.name.clone(),
            scenario_digest: self.scenario.digest.clone(),
            policy: String::new(),
            fidelity: self.fidelity.name().to_owned(),
            task: running.task.say.clone(),
            goal: running.task.goal_text(&running.graph),
            software: concat!("habitus ", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }

    fn state_digest(&self, _lane: usize) -> String {
        let running = self.running();
        let mut digest = running.graph.digest();
        if let Some(world) = &running.world {
            let both = blake3::Hasher::new()
                .update(&digest)
                .update(&world.digest())
                .finalize();
            digest.copy_from_slice(&both.as_bytes()[..16]);
        }
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl Running {
    fn step(&mut self, action: &Action, max_steps: u32, reward: &Reward) -> Outcome {
        let holding = |graph: &HouseGraph, task: &Task| -> Vec<bool> {
            task.goal.iter().map(|f| graph.holds(*f)).collect()
        };
        let before = holding(&self.graph, &self.task);
        let mut info = BTreeMap::new();
        let refusal = self.carry_out(action, &mut info).err();
        self.steps += 1;
        let after = holding(&self.graph, &self.task);
        let success = self.task.done(&self.graph);
        if let Some(name) = &self.task.activity {
            info.insert("activity".to_owned(), Value::Text(name.clone()));
        }
        let truncated = !success && self.steps >= max_steps;
        self.ended = success || truncated;
        Outcome {
            observation: observation::observe(&self.graph, &self.task.say),
            reward_terms: reward.terms(&before, &after, refusal.is_some()),
            terminated: success,
            truncated,
            success,
            refusal,
            info,
        }
    }

    /// Does what the action says, or says why not.
    fn carry_out(
        &mut self,
        action: &Action,
        info: &mut BTreeMap<String, Value>,
    ) -> Result<(), String> {
        let house = Arc::clone(self.graph.house());
        let Action::Text(line) = action else {
            return Err("an action in a house is a line of text".to_owned());
        };
        let action = HouseAction::parse(&house, line).map_err(|e| e.to_string())?;
        let Some(world) = &mut self.world else {
            return self.graph.apply(&action).map_err(|r| r.text(&house));
        };
        let reading = world::carry_out(&mut self.graph, world, &action);
        let reading = reading.map_err(|r| r.text(&house))?;
        let lines = |facts: &[Fact]| -> String {
            let lines: Vec<String> = facts.iter().map(|f| f.text(&house)).collect();
            lines.join("\n")
        };
        let (seconds, path) = match &reading.execution {
            Ok(execution) => (
                execution.simulated_seconds,
                execution.path.iter().flatten().copied().collect(),
            ),
            Err(_) => (0.0, Vec::new()),
        };
        let mut note = |name: &str, value| info.insert(name.to_owned(), value);
        note("simulated_seconds", Value::Array(vec![seconds]));
        note(
            "compared",
            Value::Array(vec![reading.compared.len() as f32]),
        );
        note("disagreements", Value::Text(lines(&reading.disagreements)));
        note("path", Value::Array(path));
        reading.execution.map(|_| ()).map_err(|failure| {
            let text = failure.text(&house);
            note("failure", Value::Text(text.clone()));
            text
        })
    }
}

#[cfg(test)]
mod tests {
    //! What every environment promises (Gymnasium's `check_env`), over every scenario that comes with the program.

    use rand::RngExt as _;

    use super::*;
    use crate::household::VERBS;
    use crate::recorder::Recorder;
    use crate::scenario::load;

    fn scenarios() -> Vec<Arc<LoadedScenario>> {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../scenarios");
        let mut files: Vec<_> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|e| e == "toml"))
            .collect();
        files.sort();
        assert!(files.len() >= 5);
        let load = |path| Arc::new(load(path).unwrap_or_else(|e| panic!("{e}")));
        files.into_iter().map(load).collect()
    }

    fn start(index: u64, wish: Wish) -> Start {
        Start {
            seed: 1,
            index,
            wish,
        }
    }

    /// A random line that is mostly a valid action.
    fn line(graph: &HouseGraph, rng: &mut rand_chacha::ChaCha8Rng) -> String {
        let mut valid = Vec::new();
        while valid.is_empty() {
            let verb = VERBS[rng.random_range(0..VERBS.len())].verb;
            graph.valid_of(verb, &mut valid);
        }
        match rng.random_range(0..10) {
            0 => "[GRAB] <moon>".to_owned(),
            1 => "[OPEN] <agent>".to_owned(),
            _ => valid[rng.random_range(0..valid.len())].text(graph.house()),
        }
    }

    fn play(
        scenario: &Arc<LoadedScenario>,
        fidelity: Fidelity,
        steps: u32,
        wish: Wish,
    ) -> episode::Episode {
        let env = HouseholdEnv::new(Arc::clone(scenario), fidelity, steps);
        let mut recorder = Recorder::new(env, "test");
        recorder.reset(0, &start(3, wish)).unwrap();
        let mut rng = episode_rng(1, "", 0, "test");
        while !recorder.ended(0) {
            let line = line(recorder.env().graph().unwrap(), &mut rng);
            recorder.step(vec![Some(Action::Text(line))]);
            let seen = recorder.observation(0).unwrap().clone();
            assert!(recorder.observation_space().contains(&seen.into_value()));
        }
        recorder.take(0).unwrap()
    }

    #[test]
    fn every_scenario_is_an_environment() {
        for scenario in scenarios() {
            let episode = play(&scenario, Fidelity::Symbolic, 50, Wish::Draw);
            let (last, before) = episode.steps.split_last().unwrap();
            assert!(before.iter().all(|s| !s.terminated && !s.truncated));
            assert!(last.terminated != last.truncated);
            assert_eq!(last.terminated, episode.success);
            assert!(!episode.header.task.is_empty() && !episode.header.goal.is_empty());
            assert!(episode.steps.iter().any(|s| s.refusal.is_some()));
            for step in &episode.steps {
                let sum: f32 = step.reward_terms.iter().map(|t| t.value).sum();
                assert_eq!(step.reward, sum);
                assert_eq!(step.state_digest.len(), 32);
            }
            // The same seed gives the same bits, another episode others.
            let again = play(&scenario, Fidelity::Symbolic, 50, Wish::Draw);
            assert_eq!(episode, again);
        }
    }

    #[test]
    fn physics_adds_what_was_measured_and_repeats_itself() {
        let scenario = &scenarios()[0];
        let episode = play(scenario, Fidelity::Physical, 25, Wish::Explore);
        assert_eq!(
            episode,
            play(scenario, Fidelity::Physical, 25, Wish::Explore)
        );
        let symbolic = play(scenario, Fidelity::Symbolic, 25, Wish::Explore);
        assert_eq!(symbolic.first, episode.first);
        assert_ne!(symbolic.first_digest, episode.first_digest);
        let moved = |s: &episode::Step| s.info.contains_key("simulated_seconds");
        assert!(episode.steps.iter().any(moved));
        assert!(!symbolic.steps.iter().any(moved));
        assert!(episode.header.task.is_empty() && !episode.success);
    }

    #[test]
    fn a_goal_that_is_reached_ends_the_episode() {
        let scenario = &scenarios()[0];
        let env = HouseholdEnv::new(Arc::clone(scenario), Fidelity::Symbolic, 3);
        let mut recorder = Recorder::new(env, "test");
        recorder.reset(0, &start(0, Wish::Explore)).unwrap();
        let graph = recorder.env().graph().unwrap().clone();
        let thing = graph
            .house()
            .ids()
            .find(|id| graph.house().class(*id).is_some_and(|c| c.fixed))
            .unwrap();
        let name = graph.house().name(thing).to_owned();
        let wish = || Wish::Goal {
            say: String::new(),
            all: vec![
                format!("agent CLOSE {name}"),
                format!("agent FACING {name}"),
            ],
        };
        let lines = |recorder: &mut Recorder<HouseholdEnv>, lines: &[String]| {
            recorder.reset(0, &start(0, wish())).unwrap();
            for line in lines {
                assert!(!recorder.ended(0));
                recorder.step(vec![Some(Action::Text(line.clone()))]);
            }
            recorder.take(0).unwrap()
        };
        let (walk, turn) = (format!("[WALK] <{name}>"), format!("[TURNTO] <{name}>"));
        let terms = |step: &episode::Step| -> Vec<f32> {
            step.reward_terms.iter().map(|t| t.value).collect()
        };
        let reached = lines(&mut recorder, &[walk.clone(), turn.clone()]);
        assert!(reached.success && reached.steps[1].terminated && !reached.steps[1].truncated);
        assert_eq!(terms(&reached.steps[0]), [2.0, 0.0, -0.1, 0.0]);
        assert_eq!(terms(&reached.steps[1]), [2.0, 5.0, -0.1, 0.0]);
        // Walking there again undoes facing it; the limit cuts the episode off.
        let cut = lines(
            &mut recorder,
            &[turn.clone(), "nonsense".to_owned(), "[STANDUP]".to_owned()],
        );
        assert!(!cut.success && cut.steps[2].truncated && !cut.steps[2].terminated);
        assert_eq!(terms(&cut.steps[1]), [0.0, 0.0, -0.1, -0.1]);
        assert!(
            cut.steps[1]
                .refusal
                .as_ref()
                .unwrap()
                .contains("expected `[VERB]")
        );
        // Taken before its end, an episode counts as cut off.
        let taken = lines(&mut recorder, &[walk]);
        assert!(!taken.success && taken.steps[0].truncated);
    }

    #[test]
    fn a_goal_about_nothing_does_not_start() {
        let scenario = &scenarios()[0];
        let mut env = HouseholdEnv::new(Arc::clone(scenario), Fidelity::Symbolic, 3);
        let wish = Wish::Goal {
            say: String::new(),
            all: vec!["moon CLOSED".to_owned()],
        };
        let error = env.reset(0, &start(0, wish)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "goal `moon CLOSED`: there is no `moon` in this house"
        );
        assert!(env.graph().is_none());
    }

    #[test]
    fn a_thing_that_is_pulled_at_lies_elsewhere_and_what_follows_is_not_recorded() {
        let scenario = scenarios().remove(0);
        let env = HouseholdEnv::new(scenario, Fidelity::Physical, 50);
        let mut recorder = Recorder::new(env, "test");
        recorder.reset(0, &start(3, Wish::Explore)).unwrap();
        let mut rng = episode_rng(1, "", 0, "test");
        let act = |recorder: &mut Recorder<HouseholdEnv>, rng: &mut _| {
            let line = line(recorder.env().graph().unwrap(), rng);
            recorder.step(vec![Some(Action::Text(line))]);
        };
        act(&mut recorder, &mut rng);
        let graph = recorder.env().graph().unwrap();
        let house = Arc::clone(graph.house());
        let on_something =
            |id: &EntityId| matches!(graph.place(*id), crate::household::Place::On(_));
        let loose = |id: &EntityId| house.class(*id).is_some_and(|c| !c.fixed);
        let thing = house.ids().filter(loose).find(on_something).unwrap();
        let agent = recorder.env().world().unwrap().agent_position();
        let (before, env) = recorder.disturb(0);
        let before = before.unwrap();
        assert_eq!((before.steps.len(), before.steps[0].truncated), (1, true));
        for _ in 0..60 {
            assert!(env.pull(thing, [agent[0], agent[1], 2.3]));
        }
        env.let_go();
        let env = recorder.env();
        let (graph, world) = (env.graph().unwrap(), env.world().unwrap());
        assert!(matches!(
            graph.place(thing),
            crate::household::Place::Room(_)
        ));
        for fact in graph.facts() {
            if matches!(fact, Fact::Holds(a, _, _) if a == thing) {
                assert!(world.measure(fact), "{}", fact.text(&house));
            }
        }
        assert!(recorder.is_disturbed(0));
        act(&mut recorder, &mut rng);
        assert!(recorder.observation(0).is_some());
        assert_eq!(recorder.disturb(0).0, None);
        assert_eq!(recorder.take(0), None);
        recorder.reset(0, &start(4, Wish::Explore)).unwrap();
        assert!(recorder.take(0).is_some());
    }
}
