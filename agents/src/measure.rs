//! What reports count: plans that reach their goal. Whoever calls times it.

use rand_chacha::ChaCha8Rng;
use sim::household::HouseGraph;
use sim::random::episode_rng;
use sim::scenario::{LoadedScenario, ScenarioError};
use sim::task::{self, Task};

use crate::planner::{Plan, Search, plan};

/// A drawn task, the house it was drawn for, and the plan found for it.
#[derive(Clone, Debug)]
pub struct Planned {
    /// The house at the start.
    pub start: HouseGraph,
    /// What was wanted.
    pub task: Task,
    /// What the planner found.
    pub plan: Plan,
}

/// Plans for the task of episode `index`, drawn and planned as a rollout would; `None` when the house allows no task.
///
/// # Errors
/// When the scenario cannot be drawn.
pub fn planned(
    scenario: &LoadedScenario,
    seed: u64,
    index: u64,
    search: &Search,
) -> Result<Option<Planned>, ScenarioError> {
    let stream =
        |purpose: &str| -> ChaCha8Rng { episode_rng(seed, &scenario.digest, index, purpose) };
    let start = scenario.instantiate(&mut stream("layout"))?.start;
    let task = task::draw(&start, &scenario.scenario.goal, &mut stream("task"));
    Ok(task.map(|task| {
        let plan = plan(&start, &task.goal, search, &mut stream("policy"));
        Planned { start, task, plan }
    }))
}
