//! A hand at its task on the stage.

use std::sync::Arc;

use episode::{Action, Episode, Header, Step};
use sim::env::{Start, VectorEnv as _};
use sim::hand::{HandEnv, HandScenario};
use sim::recorder::Recorder;

use super::stage::{Stage, Wanted};
use super::{Possible, Status};
use crate::hand_picture::HandPicture;
use crate::picture::Picture;
use crate::scene::Scene;

/// A hand and its task.
pub(super) struct HandStage {
    recorder: Recorder<HandEnv>,
    picture: HandPicture,
    steps: u32,
}

impl HandStage {
    /// The scenario's hand, as `policy` moves it.
    ///
    /// # Errors
    /// In words, when the task does not suit the hand.
    pub(super) fn new(scenario: &HandScenario, policy: &str) -> Result<Self, String> {
        let env = scenario.env(1, None).map_err(|error| error.to_string())?;
        Ok(Self {
            picture: HandPicture::of(&env),
            recorder: Recorder::new(env, policy),
            steps: 0,
        })
    }
}

impl Stage for HandStage {
    /// An action is a frame.
    fn frames_per_second(&self) -> f64 {
        1.0 / self.recorder.env().seconds_per_step()
    }

    fn reset(&mut self, seed: u64, index: u64, wanted: Wanted) -> Result<(), String> {
        let wish = wanted.wish();
        self.steps = 0;
        let started = self.recorder.reset(0, &Start { seed, index, wish });
        started.map(|_| ()).map_err(|error| error.to_string())
    }

    fn step(&mut self, action: Action) {
        self.recorder.step(vec![Some(action)]);
        self.steps += 1;
    }

    fn is_behind(&self) -> bool {
        false
    }

    fn show_next(&mut self) {}

    fn sentence(&self, _: &Action) -> String {
        String::new()
    }

    fn possible(&self) -> Vec<Possible> {
        Vec::new()
    }

    fn scene(&self) -> Scene {
        let seen = self.recorder.observation(0);
        seen.map_or_else(Scene::default, |seen| self.picture.scene(seen))
    }

    fn picture(&self) -> Option<Arc<Picture>> {
        None
    }

    fn tell(&self, status: &mut Status) {
        let env = self.recorder.env();
        let task = env.task();
        status.task = task.say();
        status.goal = vec![(task.goal(), env.succeeded()[0])];
        status.steps = [self.steps, task.max_steps()];
        status.seconds = f64::from(self.steps) * env.seconds_per_step();
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
        false
    }
}
