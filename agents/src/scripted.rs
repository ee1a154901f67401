//! Plays a given program, line by line.

use episode::{Action, Observation};
use rand_chacha::ChaCha8Rng;

use crate::policy::{Briefing, Policy, lane_mut};

/// Plays the same program in every world, then has nothing more to do.
#[derive(Clone, Debug)]
pub struct ScriptedPolicy {
    program: Vec<String>,
    next: Vec<Option<usize>>,
}

impl ScriptedPolicy {
    /// Plays these lines of a VirtualHome program; what is wrong with one is for the environment to refuse.
    pub fn new(program: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self {
            program: program.into_iter().map(Into::into).collect(),
            next: Vec::new(),
        }
    }
}

impl Policy for ScriptedPolicy {
    fn name(&self) -> &str {
        "scripted"
    }

    fn reset(&mut self, lane: usize, _: &Briefing<'_>, _: ChaCha8Rng) {
        *lane_mut(&mut self.next, lane) = Some(0);
    }

    fn act(&mut self, observations: &[Option<&Observation>]) -> Vec<Option<Action>> {
        let act = |(lane, observation): (usize, &Option<&Observation>)| {
            (*observation)?;
            let next = self.next[lane].as_mut().expect("the world was reset");
            let line = self.program.get(*next)?;
            *next += 1;
            Some(Action::Text(line.clone()))
        };
        observations.iter().enumerate().map(act).collect()
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::rand_core::SeedableRng as _;
    use sim::scenario::load;
    use sim::task::Task;

    use super::*;

    #[test]
    fn a_program_is_played_once_per_episode() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../scenarios/studio.toml");
        let scenario = load(path).unwrap_or_else(|e| panic!("{e}"));
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        let start = scenario.instantiate(&mut rng).unwrap().start;
        let briefing = Briefing::House {
            graph: &start,
            task: &Task::default(),
        };
        let mut policy = ScriptedPolicy::new(["[STANDUP]", "nonsense"]);
        let seen = Observation::new();
        for _ in 0..2 {
            policy.reset(1, &briefing, rng.clone());
            let mut act = || policy.act(&[None, Some(&seen)]);
            assert_eq!(act(), [None, Some(Action::Text("[STANDUP]".to_owned()))]);
            assert_eq!(act(), [None, Some(Action::Text("nonsense".to_owned()))]);
            assert_eq!(act(), [None, None]);
        }
    }
}
