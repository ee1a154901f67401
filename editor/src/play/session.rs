//! A simulation that is watched and steered, without threads and without a clock.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use agents::planner::Search;
use agents::{Briefing, PlannerPolicy, Policy as HousePolicy, RandomPolicy};
use episode::Action;
use episode::store::{Identity, StoreError, Writer};
use sim::env::{EnvError, HouseholdEnv, Start, VectorEnv as _, Wish};
use sim::household::{EntityId, HouseAction};
use sim::random::episode_rng;
use sim::recorder::Recorder;
use sim::scenario::LoadedScenario;
use sim::world::{Frame, Mover, Placed, World};

use super::hand::HandStage;
use super::{Command, Policy, Possible, Recording, Settings, Shown, Status};
use crate::picture::Picture;
use crate::scene::Scene;

/// Seconds that are shown between two actions that move nothing.
const BREATH_SECS: f64 = 0.25;
/// At most so many frames are shown for one picture: whoever falls behind slows down.
const HASTE: f64 = 600.0;

/// A scenario being played.
pub struct Session {
    scenario: Arc<LoadedScenario>,
    settings: Settings,
    recorder: Recorder<HouseholdEnv>,
    actor: Actor,
    picture: Option<Arc<Picture>>,
    /// Where things are in the frame that is shown.
    placed: BTreeMap<Mover, Placed>,
    /// What has been simulated and is still to be shown.
    queue: VecDeque<Frame>,
    /// Lines that a person wants done.
    wanted: VecDeque<String>,
    drag: Option<(EntityId, [f32; 3])>,
    store: Option<Kept>,
    index: u64,
    playing: bool,
    /// What is in the queue is shown even while time does not pass.
    flushing: bool,
    speed: f32,
    /// Frames that should have been shown and were not yet.
    due: f64,
    last: String,
    refusal: Option<String>,
    steps: u32,
    reward: f32,
    /// Simulated seconds when the episode began.
    began: f64,
    /// Set where an episode cannot go on.
    over: Option<String>,
    possible: Arc<Vec<Possible>>,
    note: Option<String>,
    revision: u64,
    dirty: bool,
}

enum Actor {
    Person,
    House(Box<dyn HousePolicy>),
    Hand(Box<HandStage>),
}

/// A store that is being recorded into.
struct Kept {
    writer: Writer,
    identity: Identity,
    dir: PathBuf,
}

impl Session {
    /// Ready at the start of the first episode, paused.
    pub fn new(scenario: Arc<LoadedScenario>, settings: Settings) -> Self {
        let mut session = Self {
            recorder: recorder(&scenario, &settings),
            scenario,
            actor: Actor::Person,
            picture: None,
            placed: BTreeMap::new(),
            queue: VecDeque::new(),
            wanted: VecDeque::new(),
            drag: None,
            store: None,
            index: 0,
            playing: false,
            flushing: false,
            speed: 1.0,
            due: 0.0,
            last: String::new(),
            refusal: None,
            steps: 0,
            reward: 0.0,
            began: 0.0,
            over: None,
            possible: Arc::default(),
            note: None,
            revision: 0,
            dirty: true,
            settings,
        };
        session.cast();
        session
    }

    /// Follows a command.
    pub fn command(&mut self, command: Command) {
        self.dirty = true;
        self.note = None;
        match command {
            Command::Play => self.playing = true,
            Command::Pause => (self.playing, self.flushing) = (false, false),
            Command::Step => {
                if self.queue.is_empty() {
                    self.act();
                    self.flushing = !self.hand_acts();
                } else {
                    self.catch_up();
                }
            }
            Command::StepFrame => {
                (self.playing, self.flushing) = (false, false);
                self.show_frame();
            }
            Command::Speed(speed) => {
                let speed = if speed.is_finite() { speed } else { 1.0 };
                self.speed = speed.clamp(1.0 / 16.0, 64.0);
            }
            Command::Restart => {
                self.keep();
                self.skip_kept();
                self.reset();
            }
            Command::Reset(seed) => self.reset_to(seed),
            Command::Act(line) => match self.settings.policy {
                Policy::Teleoperation if self.over.is_none() => {
                    self.wanted.push_back(line);
                    self.flushing = true;
                }
                Policy::Teleoperation => {
                    self.note = Some("the episode has ended: reset starts the next one".to_owned());
                }
                _ => {
                    let text = "somebody else acts: choose teleoperation to act yourself";
                    self.note = Some(text.to_owned());
                }
            },
            Command::Policy(policy) => {
                if self.store.is_some() {
                    self.stop_recording();
                    self.note =
                        Some("recording has stopped: a store holds what one policy did".to_owned());
                }
                self.settings.policy = policy;
                self.index = 0;
                let note = self.note.take();
                self.cast();
                self.note = note.or(self.note.take());
            }
            Command::Drag { thing, to } => self.drag_to(thing, to),
            Command::Release => self.release(),
            Command::StartRecording(dir) => self.start_recording(&dir),
            Command::StopRecording => self.stop_recording(),
            Command::Quit => self.finish(),
        }
    }

    /// Lets time pass, in seconds of whoever looks on.
    pub fn advance(&mut self, seconds: f64) {
        if self.is_idle() {
            self.due = 0.0;
            return;
        }
        let frames = seconds * f64::from(self.speed) * self.frames_per_second();
        self.due = (self.due + frames).min(HASTE);
        while self.due >= 1.0 {
            self.due -= 1.0;
            if self.drag.is_some() {
                self.pull();
            } else if !self.show_frame() {
                self.due = 0.0;
                self.flushing = false;
                break;
            }
            if self.queue.is_empty() && self.wanted.is_empty() && !self.playing {
                self.flushing = false;
                if self.drag.is_none() {
                    break;
                }
            }
        }
    }

    /// Whether nothing changes before the next command.
    pub fn is_idle(&self) -> bool {
        let waits =
            matches!(self.actor, Actor::Person) && self.queue.is_empty() && self.wanted.is_empty();
        let still = !self.playing || waits || (self.over.is_some() && self.queue.is_empty());
        self.drag.is_none() && !self.flushing && still
    }

    /// What is to be seen, if that has changed since the last time.
    pub fn show(&mut self) -> Option<Shown> {
        if !std::mem::take(&mut self.dirty) {
            return None;
        }
        self.revision += 1;
        Some(Shown {
            revision: self.revision,
            scene: Arc::new(self.scene()),
            status: Arc::new(self.status()),
            picture: self.picture.clone().filter(|_| !self.hand_acts()),
        })
    }

    /// Keeps what is to be kept, and ends.
    pub fn finish(&mut self) {
        self.keep();
        self.store = None;
    }

    fn hand_acts(&self) -> bool {
        matches!(self.actor, Actor::Hand(_))
    }

    fn frames_per_second(&self) -> f64 {
        match &self.actor {
            Actor::Hand(stage) => 1.0 / stage.seconds_per_step(),
            _ => 60.0,
        }
    }

    /// Puts the chosen actor on, in a new episode.
    fn cast(&mut self) {
        let Settings {
            policy,
            simulations,
            invalid_share,
            ..
        } = &self.settings;
        self.actor = match policy {
            Policy::Teleoperation => Actor::Person,
            Policy::Random => Actor::House(Box::new(RandomPolicy::new(*invalid_share))),
            Policy::Planner => Actor::House(Box::new(PlannerPolicy::new(Search {
                simulations: *simulations,
                ..Search::default()
            }))),
            Policy::ScriptedHand(task) | Policy::RandomHand(task) => {
                let scripted = matches!(policy, Policy::ScriptedHand(_));
                match HandStage::new(task, scripted, self.settings.seed) {
                    Ok(stage) => Actor::Hand(Box::new(stage)),
                    Err(message) => {
                        self.note = Some(message);
                        self.settings.policy = Policy::Teleoperation;
                        Actor::Person
                    }
                }
            }
        };
        self.recorder = recorder(&self.scenario, &self.settings);
        self.reset();
    }

    fn reset_to(&mut self, seed: Option<u64>) {
        match seed {
            Some(seed) if seed != self.settings.seed && self.store.is_some() => {
                self.note = Some(format!(
                    "a recording keeps its seed ({}): stop recording to choose another",
                    self.settings.seed
                ));
                return;
            }
            _ => {
                self.keep();
            }
        }
        match seed {
            Some(seed) => (self.settings.seed, self.index) = (seed, 0),
            None => self.index += 1,
        }
        self.skip_kept();
        self.reset();
    }

    /// Goes on to the first episode that the store lacks.
    fn skip_kept(&mut self) {
        if let Some(kept) = &self.store {
            while kept.writer.contains(&kept.identity, self.index) {
                self.index += 1;
            }
        }
    }

    /// Starts the episode that is to be played.
    fn reset(&mut self) {
        self.dirty = true;
        (self.drag, self.over) = (None, None);
        self.queue.clear();
        self.wanted.clear();
        self.placed.clear();
        (self.flushing, self.due) = (false, 0.0);
        (self.steps, self.reward, self.refusal) = (0, 0.0, None);
        self.last.clear();
        if let Actor::Hand(stage) = &mut self.actor {
            self.possible = Arc::default();
            if let Err(error) = stage.reset(self.settings.seed, self.index) {
                self.over = Some(error);
            }
            return;
        }
        if let Err(error) = self.begin() {
            self.over = Some(format!("no episode can start: {error}"));
            self.possible = Arc::default();
            return;
        }
        for frame in self.recorder.take_motion() {
            self.apply(frame);
        }
        self.began = self.recorder.env().world().map_or(0.0, World::seconds);
        self.look();
    }

    fn begin(&mut self) -> Result<(), EnvError> {
        let digest = self.scenario.digest.clone();
        let (seed, index) = (self.settings.seed, self.index);
        let wish = match self.settings.policy {
            Policy::Random => Wish::Explore,
            _ => Wish::Draw,
        };
        let start = Start { seed, index, wish };
        match self.recorder.reset(0, &start) {
            Err(EnvError::NoTask { .. }) if self.settings.policy == Policy::Teleoperation => {
                let wish = Wish::Explore;
                self.recorder.reset(0, &Start { wish, ..start })?;
            }
            result => {
                result?;
            }
        }
        let mut rng = episode_rng(seed, &digest, index, "layout");
        let instance = self.scenario.instantiate(&mut rng)?;
        let env = self.recorder.env();
        let own;
        let world = match env.world() {
            Some(world) => world,
            None => {
                own = World::new(&instance);
                &own
            }
        };
        let picture = Picture::new(&self.scenario.scenario, &instance, world);
        self.picture = Some(Arc::new(picture));
        if let (Actor::House(policy), Some(graph), Some(task)) =
            (&mut self.actor, env.graph(), env.task())
        {
            let rng = episode_rng(seed, &digest, index, "policy");
            policy.reset(0, &Briefing::House { graph, task }, rng);
        }
        Ok(())
    }

    /// Shows the next frame; what is not simulated yet is. Whether there was one.
    fn show_frame(&mut self) -> bool {
        self.dirty = true;
        if let Actor::Hand(stage) = &mut self.actor {
            if self.over.is_none() {
                self.over = stage.step();
            }
            if self.over.is_some() {
                self.playing = false;
            }
            return self.over.is_none();
        }
        if self.queue.is_empty() && !self.act() {
            return false;
        }
        if let Some(frame) = self.queue.pop_front() {
            self.apply(frame);
        }
        true
    }

    /// Shows the end of what was simulated.
    fn catch_up(&mut self) {
        while let Some(frame) = self.queue.pop_front() {
            self.apply(frame);
        }
    }

    fn apply(&mut self, frame: Frame) {
        for placed in frame.moved {
            self.placed.insert(placed.mover, placed);
        }
    }

    /// Makes the next action, if there is one; its motion is then to be shown.
    fn act(&mut self) -> bool {
        if self.over.is_some() {
            return false;
        }
        let action = match &mut self.actor {
            Actor::Person => self.wanted.pop_front().map(Action::Text),
            Actor::House(policy) => {
                let action = policy.act(&[self.recorder.observation(0)]).swap_remove(0);
                if action.is_none() {
                    self.end("There is nothing more to do.");
                }
                action
            }
            Actor::Hand(_) => return self.show_frame(),
        };
        let Some(action) = action else { return false };
        self.dirty = true;
        if let (Action::Text(line), Some(graph)) = (&action, self.recorder.env().graph()) {
            let house = graph.house();
            self.last = match HouseAction::parse(house, line) {
                Ok(action) => action.sentence(house),
                Err(_) => line.clone(),
            };
        }
        self.recorder.step(vec![Some(action)]);
        self.queue.extend(self.recorder.take_motion());
        if self.queue.is_empty() {
            let breath = (BREATH_SECS * 60.0) as usize;
            self.queue
                .extend(std::iter::repeat_n(Frame::default(), breath));
        }
        self.look();
        if let Some(step) = self.recorder.last_step(0) {
            self.steps += 1;
            self.reward += step.reward;
            self.refusal.clone_from(&step.refusal);
            match (step.terminated, step.truncated) {
                (true, _) => self.end("The goal is reached."),
                (false, true) => self.end("The time is up."),
                (false, false) => {}
            }
        }
        true
    }

    fn end(&mut self, how: &str) {
        self.keep();
        self.over = Some(how.to_owned());
        self.possible = Arc::default();
        self.dirty = true;
    }

    /// What can be done now.
    fn look(&mut self) {
        let graph = self.recorder.env().graph();
        let (Actor::Person, Some(graph)) = (&self.actor, graph) else {
            self.possible = Arc::default();
            return;
        };
        let mut actions = Vec::new();
        graph.valid_actions(&mut actions);
        let house = graph.house();
        let possible = actions.iter().map(|action| Possible {
            line: action.text(house),
            sentence: action.sentence(house),
            objects: action.objects().collect(),
        });
        self.possible = Arc::new(possible.collect());
    }

    fn drag_to(&mut self, thing: EntityId, to: [f32; 3]) {
        if self.hand_acts() || self.recorder.env().world().is_none() {
            self.note = Some("only things in a physical house can be pulled".to_owned());
            return;
        }
        self.catch_up();
        self.wanted.clear();
        let recorded = self.recorder.last_step(0).is_some();
        let (episode, _) = self.recorder.disturb(0);
        if let Some(episode) = episode.filter(|e| !e.steps.is_empty()) {
            self.append(episode);
        }
        if recorded && self.store.is_some() {
            self.note = Some(
                "the recorded episode has ended here: no actions lead to what is pulled; reset starts the next one"
                    .to_owned(),
            );
        }
        self.drag = Some((thing, to));
    }

    /// One step of physics in which the thing is pulled.
    fn pull(&mut self) {
        let Some((thing, to)) = self.drag else { return };
        self.dirty = true;
        if !self.recorder.disturb(0).1.pull(thing, to) {
            self.drag = None;
            self.note = Some("only things that lie somewhere can be pulled".to_owned());
        }
        for frame in self.recorder.take_motion() {
            self.apply(frame);
        }
    }

    fn release(&mut self) {
        if self.drag.take().is_none() {
            return;
        }
        self.recorder.disturb(0).1.let_go();
        self.queue.extend(self.recorder.take_motion());
        self.flushing = true;
        self.look();
    }

    fn start_recording(&mut self, dir: &Path) {
        if self.hand_acts() {
            self.note =
                Some("hand tasks are not recorded: a store keeps episodes of houses".to_owned());
            return;
        }
        if self.recorder.env().graph().is_none() {
            self.note = Some("nothing can be recorded before an episode can start".to_owned());
            return;
        }
        self.stop_recording();
        let identity = identity(&self.scenario, &self.settings, &self.recorder);
        let opened = Writer::open(dir, &identity).and_then(|mut writer| {
            writer.add_scenario(&self.scenario.text)?;
            Ok(writer)
        });
        match opened {
            Ok(writer) => {
                self.store = Some(Kept {
                    writer,
                    identity,
                    dir: dir.to_owned(),
                });
                let index = self.index;
                self.skip_kept();
                if self.index != index || self.over.is_some() || self.recorder.is_disturbed(0) {
                    self.reset();
                }
                self.note = None;
            }
            Err(error) => self.note = Some(refused(&error)),
        }
    }

    fn stop_recording(&mut self) {
        if self.store.is_some() && self.keep() {
            self.over = Some("The episode was recorded up to here.".to_owned());
            self.possible = Arc::default();
        }
        self.store = None;
    }

    /// Puts the episode into the store that is recorded into. Whether it went there; then it cannot go on.
    fn keep(&mut self) -> bool {
        let recorded = self.store.is_some()
            && !self.hand_acts()
            && self.over.is_none()
            && self.recorder.last_step(0).is_some()
            && !self.recorder.is_disturbed(0);
        match recorded.then(|| self.recorder.take(0)).flatten() {
            Some(episode) => {
                self.append(episode);
                true
            }
            None => false,
        }
    }

    /// Each episode is a closed shard as soon as it ends: people play slowly.
    fn append(&mut self, episode: episode::Episode) {
        if let Some(kept) = &mut self.store
            && let Err(error) = kept.writer.append(&kept.identity, &[episode])
        {
            self.note = Some(refused(&error));
        }
    }

    fn scene(&self) -> Scene {
        match (&self.actor, &self.picture) {
            (Actor::Hand(stage), _) => stage.scene(),
            (_, Some(picture)) => picture.scene(self.placed.values().copied()),
            (_, None) => Scene::default(),
        }
    }

    fn status(&self) -> Status {
        let mut status = Status {
            playing: self.playing,
            speed: self.speed,
            policy: self.settings.policy.clone(),
            seed: self.settings.seed,
            index: self.index,
            ended: self.over.clone(),
            note: self.note.clone(),
            reward: self.reward,
            last: self.last.clone(),
            possible: Arc::clone(&self.possible),
            recording: self.store.as_ref().map(|kept| Recording {
                dir: kept.dir.clone(),
                episodes: kept.writer.episodes(),
                takes_this: self.over.is_none() && !self.recorder.is_disturbed(0),
            }),
            ..Status::default()
        };
        if let Actor::Hand(stage) = &self.actor {
            stage.tell(&mut status);
            return status;
        }
        let env = self.recorder.env();
        status.steps = [self.steps, self.settings.max_steps];
        status.refusal.clone_from(&self.refusal);
        if let Some(world) = env.world() {
            status.seconds = world.seconds() - self.began - self.queue.len() as f64 / 60.0;
        }
        if let (Some(graph), Some(task)) = (env.graph(), env.task()) {
            status.task.clone_from(&task.say);
            let facts = task.goal_text(graph).into_iter();
            status.goal = facts
                .zip(task.goal.iter().map(|fact| graph.holds(*fact)))
                .collect();
        }
        status
    }
}

fn recorder(scenario: &Arc<LoadedScenario>, settings: &Settings) -> Recorder<HouseholdEnv> {
    let env = HouseholdEnv::new(Arc::clone(scenario), settings.fidelity, settings.max_steps);
    let mut recorder = Recorder::new(env, &settings.policy.to_string());
    recorder.watch_motion(true);
    recorder
}

/// What distinguishes what is recorded here from other runs, by the names that `rollout run` uses and one more.
fn identity(
    scenario: &LoadedScenario,
    settings: &Settings,
    recorder: &Recorder<HouseholdEnv>,
) -> Identity {
    let policy = match &settings.policy {
        Policy::Random => format!("random, invalid share {}", settings.invalid_share),
        Policy::Planner => format!("planner, {} simulations", settings.simulations),
        other => other.to_string(),
    };
    let name = &scenario.scenario.name;
    Identity(
        [
            ("seed", settings.seed.to_string()),
            ("policy", policy),
            ("fidelity", settings.fidelity.name().to_owned()),
            ("max_steps", settings.max_steps.to_string()),
            ("software", recorder.env().header(0).software),
            ("scenarios", format!("{name} {}", scenario.digest)),
            // A person may end an episode early: the same settings do not give the same episodes as `rollout run`.
            ("recorded_in", "editor".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into(),
    )
}

fn refused(error: &StoreError) -> String {
    format!("nothing is recorded: {error}")
}
