//! What acts: from observations to actions.

use std::sync::Arc;

use episode::{Action, Observation};
use rand_chacha::ChaCha8Rng;
use sim::env::{HouseholdEnv, VectorEnv};
use sim::hand::{HandEnv, Layout};
use sim::household::HouseGraph;
use sim::observation::{facts_text, read_facts};
use sim::task::Task;

/// What a policy is told when an episode starts, besides its first observation.
#[derive(Clone, Copy, Debug)]
pub enum Briefing<'a> {
    /// It acts in a house.
    House {
        /// The house at the start; who is in it never changes during the episode.
        graph: &'a HouseGraph,
        /// What is wanted.
        task: &'a Task,
    },
    /// It moves a hand; what is wanted is part of what is seen.
    Hand(&'a Layout),
}

impl<'a> Briefing<'a> {
    /// Of a policy that acts in houses.
    ///
    /// # Panics
    /// When the world is no house: rollouts ask [`PolicyChoice`](crate::rollout::PolicyChoice) first.
    pub(crate) fn house(&self) -> (&'a HouseGraph, &'a Task) {
        match *self {
            Self::House { graph, task } => (graph, task),
            Self::Hand(_) => panic!("a policy for houses was asked to move a hand"),
        }
    }
}

/// An environment whose worlds policies can be told about.
pub trait Briefed: VectorEnv {
    /// What a policy is told about the episode that was just started in a world.
    fn briefing(&self, lane: usize) -> Briefing<'_>;
}

impl Briefed for HouseholdEnv {
    fn briefing(&self, _: usize) -> Briefing<'_> {
        Briefing::House {
            graph: self.graph().expect("the environment was just reset"),
            task: self.task().expect("the environment was just reset"),
        }
    }
}

impl Briefed for HandEnv {
    fn briefing(&self, _: usize) -> Briefing<'_> {
        Briefing::Hand(self.layout())
    }
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
