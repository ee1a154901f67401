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
