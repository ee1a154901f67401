//! `bench symbolic|physical|rapier-hand|camera`: what one core does in a second of its time.
//!
//! Measured in processor time of the measuring thread, so that what else the machine does changes little.

mod camera;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use agents::rollout::{MaxSteps, PolicyChoice, Settings, Worker};
use agents::{Briefing, Policy as _, RandomPolicy};
use clap::{Args, Subcommand};
use rand::seq::IndexedRandom as _;
use rustix::time::{ClockId, clock_gettime};
use serde::Serialize;
use sim::env::{Fidelity, HouseholdEnv, Start, VectorEnv as _, Wish};
use sim::household::{HouseAction, HouseGraph};
use sim::random::episode_rng;
use sim::rapier_hand::{HandError, HandScene, scenes};
use sim::scenario::LoadedScenario;
use sim::scenario_file::ScenarioFile;

use super::{CommandError, Done, scenario};

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Actions on the symbolic house: applied, found and applied, recorded as episodes.
    #[command(after_help = "Example:\n  ./habitus bench symbolic flat --json")]
    Symbolic(Arguments),
    /// Verbs carried out by physics, and worlds built.
    #[command(after_help = "Example:\n  ./habitus bench physical flat --json")]
    Physical(Arguments),
    /// Steps of a hand with muscles among bodies that Rapier moves: alone, with a cube on its palm, holding a bar.
    #[command(after_help = "Example:\n  ./habitus bench rapier-hand --json")]
    RapierHand(HandArguments),
    /// Pictures that the software camera draws of a scene, without and with shadows.
    #[command(after_help = "Example:\n  ./habitus bench camera --json")]
    Camera(camera::Arguments),
}

#[derive(Args)]
pub(crate) struct Arguments {
    /// Files, or names of scenarios that come with habitus; by default all of these.
    #[arg(value_name = "SCENARIO")]
    scenarios: Vec<PathBuf>,
    /// Processor time for each figure of each scenario, in seconds.
    #[arg(long, value_name = "S", default_value_t = 2.0)]
    seconds: f64,
}

#[derive(Args)]
pub(crate) struct HandArguments {
    /// Processor time for each figure, in seconds.
    #[arg(long, value_name = "S", default_value_t = 2.0)]
    seconds: f64,
}

/// Figures of one scenario.
#[derive(Serialize)]
struct Figures {
    scenario: String,
    /// Rooms, doors, objects and the agent, in the first episode.
    entities: usize,
    per_core_second: BTreeMap<&'static str, f64>,
}

pub(crate) fn run(command: &Command, seed: u64) -> Result<Done, CommandError> {
    let (name, arguments, measure): (_, _, fn(&Arc<LoadedScenario>, u64, f64) -> _) = match command
    {
        Command::Symbolic(arguments) => ("symbolic", arguments, symbolic),
        Command::Physical(arguments) => ("physical", arguments, physical),
        Command::RapierHand(arguments) => return rapier_hand(arguments.seconds),
        Command::Camera(arguments) => return camera::run(arguments),
    };
    let scenarios = if arguments.scenarios.is_empty() {
        scenario::shipped_houses()?
    } else {
        arguments
            .scenarios
            .iter()
            .map(|name| match scenario::find(name)? {
                ScenarioFile::House(house) => Ok(house),
                ScenarioFile::Hand(_) => Err(CommandError::Input(format!(
                    "expected a house to measure, found the hand task {}; `./habitus bench hand` measures hands",
                    name.display()
                ))),
            })
            .collect::<Result<_, CommandError>>()?
    };
    let mut text = String::new();
    let mut all = Vec::new();
    for scenario in &scenarios {
        eprintln!("measuring {}", scenario.scenario.name);
        let entities = first_graph(scenario, seed)?.house().len();
        let figures = Figures {
            scenario: scenario.scenario.name.clone(),
            entities,
            per_core_second: measure(scenario, seed, arguments.seconds)?,
        };
        writeln!(text, "{} ({entities} entities)", figures.scenario)
            .expect("a string takes everything");
        for (what, rate) in &figures.per_core_second {
            let what = what.replace('_', " ");
            writeln!(text, "  {what:<28} {rate:>12.0} per core-second")
                .expect("a string takes everything");
        }
        all.push(figures);
    }
    Ok(Done::new(
        text,
        serde_json::json!({ "bench": name, "scenarios": all }),
    ))
}

type Rates = Result<BTreeMap<&'static str, f64>, CommandError>;

fn symbolic(scenario: &Arc<LoadedScenario>, seed: u64, seconds: f64) -> Rates {
    /// Actions of one walk through the house; long enough that cloning the start does not count.
    const WALK: usize = 1000;
    let start = first_graph(scenario, seed)?;
    let mut rng = episode_rng(seed, &scenario.digest, 0, "policy");
    let mut graph = start.clone();
    let mut valid = Vec::new();
    let mut walk: Vec<HouseAction> = Vec::with_capacity(WALK);
    for _ in 0..WALK {
        graph.valid_actions(&mut valid);
        let Some(action) = valid.choose(&mut rng) else {
            break;
        };
        graph.apply(action).expect("a valid action is not refused");
        walk.push(*action);
    }
    let applied = rate(seconds, || {
        let mut graph = start.clone();
        for action in &walk {
            graph
                .apply(action)
                .expect("the same walk from the same start");
        }
        Ok(walk.len())
    })?;
    let found = rate(seconds, || {
        graph.clone_from(&start);
        for _ in 0..WALK {
            graph.valid_actions(&mut valid);
            let action = valid
                .choose(&mut rng)
                .expect("this house allowed an action before");
            graph.apply(action).expect("a valid action is not refused");
        }
        Ok(WALK)
    })?;
    let settings = Settings {
        seed,
        policy: PolicyChoice::Random { invalid_share: 0.1 },
        fidelity: Fidelity::Symbolic,
        max_steps: MaxSteps::all(30),
    };
    let mut worker = Worker::new(&settings);
    let file = ScenarioFile::House(Arc::clone(scenario));
    let mut index = 0;
    let recorded = rate(seconds, || {
        index += 1;
        Ok(worker.record(&file, &[index])?[0].steps.len())
    })?;
    Ok(BTreeMap::from([
        ("actions_applied", applied),
        ("actions_found_and_applied", found),
        ("steps_explored_and_recorded", recorded),
    ]))
}

fn physical(scenario: &Arc<LoadedScenario>, seed: u64, seconds: f64) -> Rates {
    const STEPS: u32 = 50;
    let mut env = HouseholdEnv::new(Arc::clone(scenario), Fidelity::Physical, STEPS);
    let mut policy = RandomPolicy::new(0.0);
    let (mut building, mut acting) = (0.0, 0.0);
    let (mut worlds, mut verbs) = (0_u64, 0_u64);
    while acting < seconds {
        let start = Start {
            seed,
            index: worlds,
            wish: Wish::Explore,
        };
        let before = processor_seconds();
        let first = env
            .reset(0, &start)
            .map_err(agents::rollout::RolloutError::from)?;
        building += processor_seconds() - before;
        worlds += 1;
        let briefing = Briefing::House {
            graph: env.graph().expect("the environment was just reset"),
            task: env.task().expect("the environment was just reset"),
        };
        policy.reset(
            0,
            &briefing,
            episode_rng(seed, &scenario.digest, start.index, "policy"),
        );
        let mut observation = first;
        for _ in 0..STEPS {
            let action = policy.act(&[Some(&observation)]);
            let before = processor_seconds();
            let outcome = env.step(&action).swap_remove(0);
            acting += processor_seconds() - before;
            let Some(outcome) = outcome else { break };
            verbs += u64::from(outcome.refusal.is_none());
            observation = outcome.observation;
        }
        if verbs == 0 && worlds > 100 {
            return Err(CommandError::Input(format!(
                "{}: nothing can be done here",
                scenario.path.display()
            )));
        }
    }
    Ok(BTreeMap::from([
        ("worlds_built", worlds as f64 / building),
        ("verbs_carried_out", verbs as f64 / acting),
    ]))
}

/// Steps of one hand in a second of processor time, scene by scene.
fn rapier_hand(seconds: f64) -> Result<Done, CommandError> {
    /// Steps until things lie where they come to lie.
    const SETTLING: usize = 200;
    /// Steps of one repeat.
    const STEPS: usize = 50;
    /// Whatever `seconds` says: a median of fewer tells nothing.
    const LEAST: usize = 5;
    let mut text = String::new();
    let mut figures = serde_json::Map::new();
    for name in scenes::NAMES {
        eprintln!("measuring {name}");
        let example = scenes::example(name).expect("a name of the list");
        let broken = |error: HandError| CommandError::Input(format!("scene {name}: {error}"));
        let mut world = HandScene::new(&example.scene).map_err(broken)?;
        world.set_state(&example.start).map_err(broken)?;
        world.set_controls(&example.controls).map_err(broken)?;
        world.step(SETTLING);
        // Every repeat makes the same steps, so that they differ by what else the machine does only.
        let settled = world.snapshot();
        let (mut rates, mut spent) = (Vec::new(), 0.0);
        while rates.len() < LEAST || spent < seconds {
            world.restore(&settled);
            // The first step after that makes working memory.
            world.step(1);
            let before = processor_seconds();
            world.step(STEPS);
            let elapsed = (processor_seconds() - before).max(1e-9);
            rates.push(STEPS as f64 / elapsed);
            spent += elapsed;
        }
        if world.has_diverged() {
            return Err(CommandError::Input(format!("scene {name} diverged")));
        }
        rates.sort_by(f64::total_cmp);
        let [slowest, median, fastest] =
            [0, rates.len() / 2, rates.len() - 1].map(|i| rates[i].round());
        writeln!(
            text,
            "{name:<8} {median:>8} steps per core-second ({slowest} to {fastest} in {} repeats)",
            rates.len()
        )
        .expect("a string takes everything");
        figures.insert(
            name.to_owned(),
            serde_json::json!({
                "median": median, "slowest": slowest, "fastest": fastest, "repeats": rates.len()
            }),
        );
    }
    Ok(Done::new(
        text,
        serde_json::json!({ "bench": "rapier-hand", "steps_per_core_second": figures }),
    ))
}

/// How many things `work` does in a second of processor time, when it is called again and again for `seconds`.
fn rate(
    seconds: f64,
    mut work: impl FnMut() -> Result<usize, CommandError>,
) -> Result<f64, CommandError> {
    // Once before the clock starts, for caches.
    work()?;
    let start = processor_seconds();
    let mut done = 0;
    loop {
        done += work()?;
        let elapsed = processor_seconds() - start;
        if elapsed >= seconds {
            return Ok(done as f64 / elapsed.max(1e-9));
        }
    }
}

fn processor_seconds() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}

fn first_graph(scenario: &LoadedScenario, seed: u64) -> Result<HouseGraph, CommandError> {
    let mut rng = episode_rng(seed, &scenario.digest, 0, "layout");
    Ok(scenario.instantiate(&mut rng)?.start)
}
