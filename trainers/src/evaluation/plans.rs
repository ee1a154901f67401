//! Generated plans, carried out: sentences are read back as actions and done in the simulator, through the same
//! environment and recorder as every other policy's.

use std::sync::Arc;

use dataset::PlanTask;
use episode::{Action, Episode, Value};
use serde::Serialize;
use sim::env::{EnvError, Fidelity, HouseholdEnv, Start, Wish};
use sim::household::{House, HouseAction};
use sim::random::episode_rng;
use sim::recorder::Recorder;
use sim::scenario::{Instance, LoadedScenario};

/// One sentence of a plan and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PlanStep {
    /// As the model wrote it.
    pub sentence: String,
    /// Why it was not done: the simulator's refusal, or that it is no instruction about things in this house.
    pub refusal: Option<String>,
}

/// A plan and what became of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CarriedOut {
    /// Its sentences up to where the goal was reached, or all.
    pub steps: Vec<PlanStep>,
    /// Whether all facts of the goal held.
    pub success: bool,
    /// Where the agent went, from its start: points (x, y) in meters. Measured where physics ran, else straight lines
    /// from thing to thing.
    pub path: Vec<[f32; 2]>,
}

impl CarriedOut {
    /// How many steps were done, and how many were tried.
    pub fn executable(&self) -> (usize, usize) {
        let done = self
            .steps
            .iter()
            .filter(|step| step.refusal.is_none())
            .count();
        (done, self.steps.len())
    }
}

/// Longest plan that is carried out; a model that repeats itself is stopped here.
const MOST_STEPS: usize = 40;

/// Carries a plan out from the first state of the episode that the task was made from, until its goal holds or it ends.
///
/// # Errors
/// When the episode cannot be started again: the scenario cannot be drawn, or its goal is not about this house.
pub fn carry_out(
    scenario: &Arc<LoadedScenario>,
    task: &PlanTask,
    plan: &str,
    fidelity: Fidelity,
) -> Result<CarriedOut, EnvError> {
    let sentences = sentences(plan);
    let env = HouseholdEnv::new(Arc::clone(scenario), fidelity, MOST_STEPS as u32 + 1);
    let mut recorder = Recorder::new(env, "language model");
    recorder.reset(
        0,
        &Start {
            seed: task.seed,
            index: task.episode,
            wish: Wish::Goal {
                say: String::new(),
                all: task.goal.clone(),
            },
        },
    )?;
    let instance = start_of(scenario, task)?;
    let house = Arc::clone(&instance.house);
    let mut steps = Vec::new();
    let mut carried: Vec<Option<HouseAction>> = Vec::new();
    for sentence in sentences.iter().take(MOST_STEPS) {
        if recorder.ended(0) {
            break;
        }
        let action = read_instruction(&house, sentence);
        let refusal = match &action {
            Some(action) => {
                recorder.step(vec![Some(Action::Text(action.text(&house)))]);
                None
            }
            None => Some("not an instruction about things in this house".to_owned()),
        };
        carried.push(action);
        steps.push(PlanStep {
            sentence: sentence.clone(),
            refusal,
        });
    }
    let episode = recorder.take(0).expect("it was reset above");
    let mut recorded = episode.steps.iter();
    for (step, action) in steps.iter_mut().zip(&carried) {
        if action.is_some() {
            step.refusal = recorded.next().and_then(|step| step.refusal.clone());
        }
    }
    Ok(CarriedOut {
        success: episode.success,
        path: walked(&instance, &episode),
        steps,
    })
}

/// The first state of the episode that a task was made from.
///
/// # Errors
/// When the scenario cannot be drawn.
pub fn start_of(scenario: &LoadedScenario, task: &PlanTask) -> Result<Instance, EnvError> {
    let mut rng = episode_rng(task.seed, &scenario.digest, task.episode, "layout");
    Ok(scenario.instantiate(&mut rng)?)
}

/// The sentences of a plan; numbers and dashes of a list are left out.
pub fn sentences(plan: &str) -> Vec<String> {
    plan.split(['.', ';', '\n', '!'])
        .map(|sentence| {
            let sentence = sentence.trim();
            sentence
                .trim_start_matches(|c: char| c.is_ascii_digit() || "-*)( ".contains(c))
                .trim()
        })
        .filter(|sentence| !sentence.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Other words for verbs, tried when a sentence is not in the simulator's.
const SYNONYMS: [(&str, &str); 9] = [
    ("go to ", "walk to "),
    ("pick up ", "grab "),
    ("take ", "grab "),
    ("get ", "grab "),
    ("place ", "put "),
    ("turn on ", "switch on "),
    ("turn off ", "switch off "),
    ("sit down on ", "sit on "),
    ("lie down on ", "lie on "),
];

/// The action that a sentence asks for, read with some tolerance: other common words for a verb, "into" for "in", no
/// article, capitals. `None` when it is no action about things in this house.
pub fn read_instruction(house: &House, sentence: &str) -> Option<HouseAction> {
    let mut plain = sentence.trim().to_lowercase();
    if let Ok(action) = HouseAction::parse_sentence(house, &plain) {
        return Some(action);
    }
    for lead in ["then ", "and ", "first, ", "next, ", "finally, "] {
        if let Some(rest) = plain.strip_prefix(lead) {
            plain = rest.to_owned();
        }
    }
    for (other, word) in SYNONYMS {
        if let Some(rest) = plain.strip_prefix(other) {
            plain = format!("{word}{rest}");
            break;
        }
    }
    plain = plain
        .replace(" into ", " in ")
        .replace(" inside ", " in ")
        .replace(" onto ", " on ");
    HouseAction::parse_sentence(house, &plain).ok()
}

/// Where the agent went in an episode that started from `instance`; see [`CarriedOut::path`].
pub fn walked(instance: &Instance, episode: &Episode) -> Vec<[f32; 2]> {
    let house = &instance.house;
    let place = |id: sim::household::EntityId| -> [f32; 2] {
        let room = instance.layout.rooms.iter().find(|shape| shape.room == id);
        let door = instance.layout.doors.iter().find(|shape| shape.door == id);
        match (room, door) {
            (Some(shape), _) => center(&shape.corners),
            (_, Some(shape)) => shape.at,
            _ => {
                let [x, y, _] = instance.layout.poses[usize::from(id.0)].position;
                [x, y]
            }
        }
    };
    let mut path = vec![place(house.agent())];
    for step in &episode.steps {
        match step.info.get("path") {
            Some(Value::Array(flat)) => {
                path.extend(flat.chunks_exact(2).map(|point| [point[0], point[1]]))
            }
            _ if step.refusal.is_some() => {}
            _ => {
                let Action::Text(line) = &step.action else {
                    continue;
                };
                if let Ok(action) = HouseAction::parse(house, line)
                    && matches!(action.verb.spec().name, "WALK" | "FIND")
                {
                    path.extend(action.objects().next().map(place));
                }
            }
        }
    }
    path.dedup();
    path
}

fn center(corners: &[[f32; 2]]) -> [f32; 2] {
    let n = corners.len().max(1) as f32;
    [0, 1].map(|axis| corners.iter().map(|corner| corner[axis]).sum::<f32>() / n)
}

#[cfg(test)]
mod tests {
    use sim::household::VERBS;
    use sim::scenario::load_text;

    use super::*;

    const HOME: &str = r#"
schema = "habitus.scenario/1"
name = "Test home"
[[room]]
name = "kitchen"
corners = [[0.0, 0.0], [4.0, 0.0], [4.0, 4.0], [0.0, 4.0]]
[[room]]
name = "hall"
corners = [[4.0, 0.0], [7.0, 0.0], [7.0, 4.0], [4.0, 4.0]]
[[door]]
between = ["kitchen", "hall"]
at = [4.0, 2.0]
[[object]]
class = "fridge"
at = [0.6, 0.385]
yaw_deg = 90.0
[[object]]
class = "kitchen table"
at = [2.0, 2.6]
[[object]]
class = "milk"
inside = "fridge"
[[agent]]
body.walker = { room = "hall" }
"#;

    fn check(plan: &str, fidelity: Fidelity) -> CarriedOut {
        let scenario = Arc::new(load_text(HOME, "home.toml").unwrap());
        let task = PlanTask {
            prompt: String::new(),
            reference: String::new(),
            scenario_digest: scenario.digest.clone(),
            seed: 1,
            episode: 0,
            goal: vec!["milk ON kitchen table".to_owned()],
        };
        carry_out(&scenario, &task, plan, fidelity).unwrap()
    }

    const GOOD: &str = "Walk to the fridge. Open the fridge. Grab the milk. Walk to the kitchen table. Put the milk on the kitchen table.";

    #[test]
    fn a_good_plan_reaches_its_goal_in_symbols_and_in_physics() {
        for fidelity in [Fidelity::Symbolic, Fidelity::Physical] {
            let carried = check(GOOD, fidelity);
            assert!(carried.success, "{carried:?}");
            assert_eq!(carried.executable(), (5, 5));
            // From the hall (x > 4) to the table in the kitchen.
            let (first, last) = (carried.path[0], carried.path[carried.path.len() - 1]);
            assert!(first[0] > 4.0 && last[0] < 4.0, "{carried:?}");
        }
    }

    #[test]
    fn other_words_are_understood_and_what_follows_the_goal_is_not_carried_out() {
        let plan = "1. Go to the fridge. 2. Open fridge. 3. Take the milk. Then walk to the kitchen table. Place the milk onto the \
                    kitchen table. Dance.";
        let carried = check(plan, Fidelity::Symbolic);
        assert!(carried.success && carried.steps.len() == 5, "{carried:?}");
    }

    #[test]
    fn refusals_and_nonsense_are_counted_and_named() {
        let carried = check(
            "Grab the milk. Fly to the moon. Walk to the fridge.",
            Fidelity::Symbolic,
        );
        assert!(!carried.success);
        assert_eq!(carried.executable(), (1, 3));
        assert!(
            carried.steps[0]
                .refusal
                .as_ref()
                .unwrap()
                .contains("fridge is closed"),
            "{carried:?}"
        );
        assert!(
            carried.steps[1]
                .refusal
                .as_ref()
                .unwrap()
                .contains("not an instruction")
        );
        assert_eq!(check("", Fidelity::Symbolic).steps.len(), 0);
    }

    #[test]
    fn endless_plans_are_stopped() {
        let carried = check(&"Walk to the hall. ".repeat(500), Fidelity::Symbolic);
        assert_eq!(carried.steps.len(), MOST_STEPS);
    }

    /// Training text and simulator must say the same: `dataset` has a table of its own, because it does not know `sim`.
    #[test]
    fn training_text_has_the_simulators_words() {
        let scenario = load_text(HOME, "home.toml").unwrap();
        let mut rng = episode_rng(1, &scenario.digest, 0, "layout");
        let house = scenario.instantiate(&mut rng).unwrap().house;
        let (milk, table) = (
            house.find("milk").unwrap(),
            house.find("kitchen table").unwrap(),
        );
        for spec in &VERBS {
            let action = match spec.arity {
                0 => HouseAction::alone(spec.verb),
                1 => HouseAction::one(spec.verb, milk),
                _ => HouseAction::two(spec.verb, milk, table),
            };
            let sentence = action.sentence(&house);
            assert_eq!(
                dataset::verbalize::instruction(&action.text(&house)),
                Some(sentence.clone())
            );
            assert_eq!(read_instruction(&house, &sentence), Some(action));
        }
    }

    #[test]
    fn plans_are_split_into_sentences() {
        assert_eq!(
            sentences("1. Walk to the fridge. 2) Open it.\n- Grab the milk; put it down!  "),
            [
                "Walk to the fridge",
                "Open it",
                "Grab the milk",
                "put it down"
            ]
        );
        assert!(sentences(" \n ").is_empty());
    }
}
