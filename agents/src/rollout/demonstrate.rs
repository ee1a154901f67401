//! Scripted demonstrations: those that succeed, and whose actions alone do it again.

use episode::{Action, Episode};
use serde::Serialize;
use sim::env::{EnvError, Fidelity};
use sim::hand::{HandEnv, HandScenario};
use sim::scenario_file::ScenarioFile;

use super::episode::HANDS;
use super::{MaxSteps, PolicyChoice, RolloutError, Settings, Worker};

/// What became of the demonstrations that were tried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tried {
    /// How many.
    pub episodes: u64,
    /// Those that did not succeed.
    pub failed: u64,
    /// Those that succeeded, but came to something else when their actions were repeated.
    pub unrepeated: u64,
    /// Actions of those that succeeded.
    pub steps: u64,
}

impl Tried {
    /// Those that are good to learn from.
    pub fn kept(&self) -> u64 {
        self.episodes - self.failed - self.unrepeated
    }
}

/// Demonstrations of one hand task, one after the other.
pub struct Demonstrator {
    file: ScenarioFile,
    env: HandEnv,
    worker: Worker,
    tried: Tried,
}

impl Demonstrator {
    /// For a task that has a script.
    ///
    /// # Errors
    /// When the worlds cannot be made.
    pub fn new(scenario: HandScenario, seed: u64) -> Result<Self, RolloutError> {
        let settings = Settings {
            seed,
            policy: PolicyChoice::Scripted,
            fidelity: Fidelity::Physical,
            max_steps: MaxSteps {
                house: 1,
                hand: None,
            },
        };
        Ok(Self {
            env: scenario.env(HANDS, None).map_err(EnvError::from)?,
            file: ScenarioFile::Hand(scenario.into()),
            worker: Worker::new(&settings),
            tried: Tried::default(),
        })
    }

    /// Worlds of the task.
    pub fn env(&self) -> &HandEnv {
        &self.env
    }

    /// What became of all so far.
    pub fn tried(&self) -> Tried {
        self.tried
    }

    /// Tries `n` more and gives those that are good to learn from.
    ///
    /// # Errors
    /// When the task has no script, or the simulation fails.
    pub fn attempt(&mut self, n: u64) -> Result<Vec<Episode>, RolloutError> {
        let first = self.tried.episodes;
        let indices: Vec<u64> = (first..first + n).collect();
        let made = self.worker.record(&self.file, &indices)?;
        self.tried.episodes += n;
        let (mut good, bad): (Vec<_>, Vec<_>) = made.into_iter().partition(|e| e.success);
        self.tried.failed += bad.len() as u64;
        let again = self.repeat(&good)?;
        let mut again = again.into_iter();
        good.retain(|_| again.next().unwrap_or(false));
        self.tried.unrepeated += n - bad.len() as u64 - good.len() as u64;
        self.tried.steps += good.iter().map(|e| e.steps.len() as u64).sum::<u64>();
        Ok(good)
    }

    /// Whether the actions of each episode lead to the same observation in the end, and to success.
    fn repeat(&mut self, episodes: &[Episode]) -> Result<Vec<bool>, RolloutError> {
        let (n, size) = (self.env.n_actions(), self.env.n_observations());
        let mut same = Vec::new();
        let mut list = Vec::new();
        for episodes in episodes.chunks(HANDS) {
            for (lane, episode) in episodes.iter().enumerate() {
                let header = &episode.header;
                let started = self.env.reset_lane(lane, header.seed, header.index);
                started.map_err(EnvError::from)?;
            }
            let longest = episodes.iter().map(|e| e.steps.len()).max().unwrap_or(0);
            let mut actions = vec![0.0; HANDS * n];
            // A world whose episode has ended stays as it was seen last.
            for t in 0..longest {
                for (lane, episode) in episodes.iter().enumerate() {
                    if let Some(Action::Array(numbers)) = episode.steps.get(t).map(|s| &s.action) {
                        actions[lane * n..][..n].copy_from_slice(numbers);
                    }
                }
                self.env.step_flat(&actions).map_err(EnvError::from)?;
            }
            for (lane, episode) in episodes.iter().enumerate() {
                let last = episode
                    .steps
                    .last()
                    .map_or(&episode.first, |s| &s.observation);
                self.env.layout().list(last, &mut list);
                let seen = &self.env.observations()[lane * size..][..size];
                same.push(seen == list && self.env.succeeded()[lane]);
            }
        }
        Ok(same)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_succeeds_is_kept_and_repeats_itself() {
        let task = sim::hand::suites::suite("door").unwrap().finetuned(1);
        let mut demonstrator = Demonstrator::new(task.scenario().unwrap(), 3).unwrap();
        let mut episodes = demonstrator.attempt(20).unwrap();
        let tried = demonstrator.tried();
        assert_eq!(tried.kept(), episodes.len() as u64);
        assert_eq!(tried.unrepeated, 0);
        // Another action on the way, another end.
        let Action::Array(numbers) = &mut episodes[4].steps[2].action else {
            panic!("a hand acts in numbers");
        };
        numbers[0] = if numbers[0] > 0.0 { -0.5 } else { 0.5 };
        let again = demonstrator.repeat(&episodes).unwrap();
        let failed: Vec<usize> = (0..again.len()).filter(|i| !again[*i]).collect();
        assert_eq!(failed, [4]);
    }
}
