//! What acts: from observations to actions.

use std::sync::Arc;

use episode::{Action, Observation};
use rand_chacha::ChaCha8Rng;
use sim::household::HouseGraph;
use sim::observation::{facts_text, read_facts};
use sim::task::Task;

/// What a policy is told when an episode starts, besides its first observation.
#[derive(Clone, Copy, Debug)]
pub struct Briefing<'a> {
    /// The house at the start; who is in it never changes during the episode.
    pub graph: &'a HouseGraph,
    /// What is wanted.
    pub task: &'a Task,
}

/// Acts in every world of a vector of environments.
pub trait Policy {
    /// Its name, as it stands in an episode's header.
    fn name(&self) -> &str;

    /// An episode starts in world `lane`; everything random in it comes from `rng`.
    fn reset(&mut self, lane: usize, briefing: &Briefing<'_>, rng: ChaCha8Rng);

    /// The next action in each world that is observed. `None` where nothing is observed, and where the policy has nothing
    /// more to do: the episode then ends.
    ///
    /// # Panics
    /// When a world is observed that was not reset.
    fn act(&mut self, observations: &[Option<&Observation>]) -> Vec<Option<Action>>;
}

/// The state that a policy keeps per world, made when the world is first reset.
pub(crate) fn lane_mut<T>(lanes: &mut Vec<Option<T>>, lane: usize) -> &mut Option<T> {
    if lanes.len() <= lane {
        lanes.resize_with(lane + 1, || None);
    }
    &mut lanes[lane]
}

/// The house as a policy believes it to be.
#[derive(Clone, Debug)]
pub(crate) struct Belief {
    /// What was observed last, and since then predicted.
    pub(crate) graph: HouseGraph,
}

impl Belief {
    pub(crate) fn new(graph: &HouseGraph) -> Self {
        Self {
            graph: graph.clone(),
        }
    }

    /// Takes over what is observed. Whether it was as predicted.
    pub(crate) fn observe(&mut self, observation: &Observation) -> bool {
        let seen = observation.text("facts").unwrap_or_default();
        if seen == facts_text(&self.graph) {
            return true;
        }
        // What cannot be read is no reason to stop: the prediction is the best there is.
        let house = Arc::clone(self.graph.house());
        if let Ok(graph) = read_facts(&house, seen) {
            self.graph = graph;
        }
        false
    }
}
