//! The only place where steps and episodes are made.
//!
//! A [`Recorder`] wraps an environment; whoever steps worlds (rollouts, teleoperation, online learning, evaluation)
//! steps them through it, so that everything that happens can become experience.

use episode::{Action, Episode, Observation, Space, Step};

use crate::env::{EnvError, HouseholdEnv, Start, VectorEnv};
use crate::world::Frame;

/// An environment whose every episode is kept until it is taken.
#[derive(Debug)]
pub struct Recorder<E> {
    env: E,
    policy: String,
    episodes: Vec<Option<Episode>>,
    /// Worlds to whose state something other than actions has led since their reset.
    disturbed: Vec<bool>,
}

impl<E: VectorEnv> Recorder<E> {
    /// Records what happens in `env` under a policy of that name.
    pub fn new(env: E, policy: &str) -> Self {
        Self {
            episodes: vec![None; env.num_envs()],
            disturbed: vec![false; env.num_envs()],
            policy: policy.to_owned(),
            env,
        }
    }

    /// The environment.
    pub fn env(&self) -> &E {
        &self.env
    }

    /// How many worlds there are.
    pub fn num_envs(&self) -> usize {
        self.env.num_envs()
    }

    /// What every observation lies in.
    pub fn observation_space(&self) -> Space {
        self.env.observation_space()
    }

    /// What every action has to lie in.
    pub fn action_space(&self) -> Space {
        self.env.action_space()
    }

    /// Starts an episode in one world; what was recorded there and not taken is dropped.
    ///
    /// # Errors
    /// When the episode cannot start.
    pub fn reset(&mut self, lane: usize, start: &Start) -> Result<&Observation, EnvError> {
        self.episodes[lane] = None;
        self.disturbed[lane] = false;
        let first = self.env.reset(lane, start)?;
        let mut header = self.env.header(lane);
        header.policy.clone_from(&self.policy);
        let episode = self.episodes[lane].insert(Episode {
            header,
            first,
            first_digest: self.env.state_digest(lane),
            steps: Vec::new(),
            success: false,
        });
        Ok(&episode.first)
    }

    /// One action in each world that gets one.
    ///
    /// # Panics
    /// As [`VectorEnv::step`].
    pub fn step(&mut self, actions: Vec<Option<Action>>) {
        let outcomes = self.env.step(&actions);
        for (lane, (action, outcome)) in actions.into_iter().zip(outcomes).enumerate() {
            let (Some(action), Some(outcome)) = (action, outcome) else {
                continue;
            };
            let episode = self.episodes[lane]
                .as_mut()
                .expect("only a world that was reset gives outcomes");
            episode.success = outcome.success;
            episode.steps.push(Step {
                action,
                observation: outcome.observation,
                reward: outcome.reward_terms.iter().map(|t| t.value).sum(),
                reward_terms: outcome.reward_terms,
                terminated: outcome.terminated,
                truncated: outcome.truncated,
                refusal: outcome.refusal,
                info: outcome.info,
                state_digest: self.env.state_digest(lane),
            });
        }
    }

    /// What was seen last in a world; `None` when it has no episode.
    pub fn observation(&self, lane: usize) -> Option<&Observation> {
        let episode = self.episodes[lane].as_ref()?;
        Some(match episode.steps.last() {
            Some(step) => &step.observation,
            None => &episode.first,
        })
    }

    /// What is recorded so far in a world; `None` when it has no episode.
    pub fn episode(&self, lane: usize) -> Option<&Episode> {
        self.episodes[lane].as_ref()
    }

    /// The last step of the episode in a world; `None` before its first action, and where there is no episode.
    pub fn last_step(&self, lane: usize) -> Option<&Step> {
        self.episodes[lane].as_ref()?.steps.last()
    }

    /// Whether the episode in a world has ended; `false` when there is none.
    pub fn ended(&self, lane: usize) -> bool {
        let last = self.episodes[lane].as_ref().and_then(|e| e.steps.last());
        last.is_some_and(|step| step.terminated || step.truncated)
    }

    /// Takes the episode of a world. One that has not ended ends here: its last step counts as truncated. `None` where
    /// there is none, and for what followed a disturbance.
    pub fn take(&mut self, lane: usize) -> Option<Episode> {
        let episode = self.episodes[lane].take()?;
        (!self.disturbed[lane]).then(|| ended_here(episode))
    }

    /// The environment, to be changed by other means than actions: a person pulls at a thing. No actions lead to what follows,
    /// so it is no experience: the episode ends before it, and is returned as by [`Recorder::take`]; until the next
    /// reset the world can be stepped and observed, but nothing of it can be taken.
    pub fn disturb(&mut self, lane: usize) -> (Option<Episode>, &mut E) {
        let before = std::mem::replace(&mut self.disturbed[lane], true);
        let episode = self.episodes[lane].clone().filter(|_| !before);
        (episode.map(ended_here), &mut self.env)
    }

    /// Whether a world was disturbed since its last reset.
    pub fn is_disturbed(&self, lane: usize) -> bool {
        self.disturbed[lane]
    }
}

impl Recorder<HouseholdEnv> {
    /// As [`HouseholdEnv::watch_motion`].
    pub fn watch_motion(&mut self, on: bool) {
        self.env.watch_motion(on);
    }

    /// As [`HouseholdEnv::take_motion`].
    pub fn take_motion(&mut self) -> Vec<Frame> {
        self.env.take_motion()
    }
}

fn ended_here(mut episode: Episode) -> Episode {
    if let Some(last) = episode.steps.last_mut() {
        last.truncated |= !last.terminated;
    }
    episode
}
