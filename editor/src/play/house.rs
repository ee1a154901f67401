//! A house on the stage: what moves in it is watched frame by frame, and things can be pulled.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use episode::{Action, Episode, Header, Step};
use sim::env::{EnvError, HouseholdEnv, Start, VectorEnv as _, Wish};
use sim::household::{EntityId, HouseAction};
use sim::random::episode_rng;
use sim::recorder::Recorder;
use sim::scenario::LoadedScenario;
use sim::world::{Frame, Mover, Placed, World};

use super::stage::{Stage, Wanted};
use super::{Possible, Settings, Status};
use crate::picture::Picture;
use crate::scene::Scene;

/// Steps of physics in a second.
const FRAMES_PER_SECOND: f64 = 60.0;
/// Seconds that are shown between two actions that move nothing.
const BREATH_SECS: f64 = 0.25;

/// A house and who lives in it.
pub(super) struct HouseStage {
    scenario: Arc<LoadedScenario>,
    recorder: Recorder<HouseholdEnv>,
    picture: Option<Arc<Picture>>,
    /// Where things are in the frame that is shown.
    placed: BTreeMap<Mover, Placed>,
    /// What has been simulated and is still to be shown.
    queue: VecDeque<Frame>,
    steps: u32,
    max_steps: u32,
    /// Simulated seconds when the episode began.
    began: f64,
}

impl HouseStage {
    /// The house, in which whoever acts has that name.
    pub(super) fn new(scenario: Arc<LoadedScenario>, settings: &Settings) -> Self {
        let max_steps = settings.max_steps;
        let env = HouseholdEnv::new(Arc::clone(&scenario), settings.fidelity, max_steps);
        let mut recorder = Recorder::new(env, &settings.policy.to_string());
        recorder.watch_motion(true);
        Self {
            scenario,
            recorder,
            picture: None,
            placed: BTreeMap::new(),
            queue: VecDeque::new(),
            steps: 0,
            max_steps,
            began: 0.0,
        }
    }

    fn begin(&mut self, seed: u64, index: u64, wanted: Wanted) -> Result<(), EnvError> {
        let wish = wanted.wish();
        let start = Start { seed, index, wish };
        match self.recorder.reset(0, &start) {
            Err(EnvError::NoTask { .. }) if wanted == Wanted::GoalIfAny => {
                let wish = Wish::Explore;
                self.recorder.reset(0, &Start { wish, ..start })?;
            }
            result => {
                result?;
            }
        }
        let mut rng = episode_rng(seed, &self.scenario.digest, index, "layout");
        let instance = self.scenario.instantiate(&mut rng)?;
        let own;
        let world = match self.recorder.env().world() {
            Some(world) => world,
            None => {
                own = World::new(&instance);
                &own
            }
        };
        let picture = Picture::new(&self.scenario.scenario, &instance, world);
        self.picture = Some(Arc::new(picture));
        Ok(())
    }

    fn apply(&mut self, frame: Frame) {
        for placed in frame.moved {
            self.placed.insert(placed.mover, placed);
        }
    }
}

impl Stage for HouseStage {
    fn frames_per_second(&self) -> f64 {
        FRAMES_PER_SECOND
    }

    fn reset(&mut self, seed: u64, index: u64, wanted: Wanted) -> Result<(), String> {
        self.queue.clear();
        self.placed.clear();
        self.steps = 0;
        self.begin(seed, index, wanted)
            .map_err(|error| error.to_string())?;
        for frame in self.recorder.take_motion() {
            self.apply(frame);
        }
        self.began = self.recorder.env().world().map_or(0.0, World::seconds);
        Ok(())
    }

    fn step(&mut self, action: Action) {
        self.recorder.step(vec![Some(action)]);
        self.steps += 1;
        self.queue.extend(self.recorder.take_motion());
        if self.queue.is_empty() {
            let breath = (BREATH_SECS * FRAMES_PER_SECOND) as usize;
            self.queue
                .extend(std::iter::repeat_n(Frame::default(), breath));
        }
    }

    fn is_behind(&self) -> bool {
        !self.queue.is_empty()
    }

    fn show_next(&mut self) {
        if let Some(frame) = self.queue.pop_front() {
            self.apply(frame);
        }
    }

    fn sentence(&self, action: &Action) -> String {
        let (Action::Text(line), Some(graph)) = (action, self.recorder.env().graph()) else {
            return String::new();
        };
        match HouseAction::parse(graph.house(), line) {
            Ok(action) => action.sentence(graph.house()),
            Err(_) => line.clone(),
        }
    }

    fn possible(&self) -> Vec<Possible> {
        let Some(graph) = self.recorder.env().graph() else {
            return Vec::new();
        };
        let mut actions = Vec::new();
        graph.valid_actions(&mut actions);
        let house = graph.house();
        let possible = actions.iter().map(|action| Possible {
            line: action.text(house),
            sentence: action.sentence(house),
            objects: action.objects().collect(),
        });
        possible.collect()
    }

    fn scene(&self) -> Scene {
        let picture = self.picture.as_ref();
        picture.map_or_else(Scene::default, |picture| {
            picture.scene(self.placed.values().copied())
        })
    }

    fn picture(&self) -> Option<Arc<Picture>> {
        self.picture.clone()
    }

    fn tell(&self, status: &mut Status) {
        let env = self.recorder.env();
        status.steps = [self.steps, self.max_steps];
        if let Some(world) = env.world() {
            let ahead = self.queue.len() as f64 / FRAMES_PER_SECOND;
            status.seconds = world.seconds() - self.began - ahead;
        }
        if let (Some(graph), Some(task)) = (env.graph(), env.task()) {
            status.task.clone_from(&task.say);
            let facts = task.goal_text(graph).into_iter();
            status.goal = facts
                .zip(task.goal.iter().map(|fact| graph.holds(*fact)))
                .collect();
        }
    }

    fn header(&self) -> Option<&Header> {
        Some(&self.recorder.episode(0)?.header)
    }

    fn state_digest(&self) -> String {
        self.recorder.env().state_digest(0)
    }

    fn last_step(&self) -> Option<&Step> {
        self.recorder.last_step(0)
    }

    fn take(&mut self) -> Option<Episode> {
        self.recorder.take(0)
    }

    fn is_disturbed(&self) -> bool {
        self.recorder.is_disturbed(0)
    }

    fn disturb(&mut self) -> Result<Option<Episode>, String> {
        if self.recorder.env().world().is_none() {
            return Err("only things in a physical house can be pulled".to_owned());
        }
        let (episode, _) = self.recorder.disturb(0);
        Ok(episode.filter(|episode| !episode.steps.is_empty()))
    }

    fn pull(&mut self, thing: EntityId, to: [f32; 3]) -> bool {
        let can = self.recorder.disturb(0).1.pull(thing, to);
        for frame in self.recorder.take_motion() {
            self.apply(frame);
        }
        can
    }

    fn let_go(&mut self) {
        self.recorder.disturb(0).1.let_go();
        self.queue.extend(self.recorder.take_motion());
    }
}
