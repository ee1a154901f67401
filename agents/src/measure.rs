//! What benches and reports count: actions carried out in symbols, plans that reach their goal. Whoever calls times it.

use rand::{Rng, RngExt as _};
use rand_chacha::ChaCha8Rng;
use sim::household::{HouseAction, HouseGraph, VERBS};
use sim::random::episode_rng;
use sim::scenario::{LoadedScenario, ScenarioError};
use sim::task::{self, Task};

use crate::planner::{Plan, Search, plan};

/// A program of `length` actions, each valid after those before it: a random verb among those possible, then a random one of
/// its actions.
pub fn random_program(start: &HouseGraph, length: usize, rng: &mut impl Rng) -> Vec<HouseAction> {
    let mut graph = start.clone();
    let mut program = Vec::with_capacity(length);
    let mut valid = Vec::new();
    while program.len() < length {
        valid.clear();
        graph.valid_of(VERBS[rng.random_range(0..VERBS.len())].verb, &mut valid);
        if valid.is_empty() {
            continue;
        }
        let action = valid[rng.random_range(0..valid.len())];
        graph.apply(&action).expect("it is among the valid actions");
        program.push(action);
    }
    program
}

/// Carries a program out `times` times, each time from `start`; returns how many actions that were, with checks and
/// effects.
pub fn carry_out(start: &HouseGraph, program: &[HouseAction], times: usize) -> u64 {
    let mut graph = start.clone();
    let mut done = 0;
    for _ in 0..times {
        graph.clone_from(start);
        for action in program {
            done += u64::from(graph.apply(action).is_ok());
        }
    }
    done
}

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
