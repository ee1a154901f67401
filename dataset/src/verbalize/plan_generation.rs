//! From a wish to a plan: "Task: Put the milk on the kitchen table.\nPlan:" "Walk to the fridge. Open the fridge. …"
//!
//! The prompt says where the agent is and where the things are that matter, each in one sentence with its furniture and
//! room ("The milk is in the closed fridge in the kitchen."), because small models fail at looking a place up in two
//! steps; a few things that do not matter are among them.

use std::collections::BTreeSet;

use episode::{Action, Episode};
use rand::RngExt as _;
use rand::seq::{IteratorRandom as _, SliceRandom as _};
use rand_chacha::ChaCha8Rng;

use super::facts::{self, AGENT, Facts, Preposition};
use super::words::{self, Line, capital};

pub(crate) const TASK: &str = "plan_generation";

/// The sentences of what a successful planner did, refused steps left out; `None` for other episodes.
pub(crate) fn executed(episode: &Episode) -> Option<Vec<String>> {
    if !episode.success || episode.header.task.is_empty() || episode.header.goal.is_empty() {
        return None;
    }
    let plan: Vec<String> = lines(episode).iter().map(Line::instruction).collect();
    (!plan.is_empty()).then_some(plan)
}

/// The action lines that were carried out.
fn lines(episode: &Episode) -> Vec<Line<'_>> {
    let done = episode.steps.iter().filter(|step| step.refusal.is_none());
    done.filter_map(|step| match &step.action {
        Action::Text(line) => Line::read(line),
        Action::Array(_) => None,
    })
    .collect()
}

/// Most distractors in a prompt.
const DISTRACTORS: usize = 4;

/// The facts that matter, then the wish, up to where the plan starts.
pub(crate) fn prompt(episode: &Episode, start: &Facts<'_>, rng: &mut ChaCha8Rng) -> Option<String> {
    let room = start.agent_room()?;
    let mut text = format!("You are in the {room}");
    if let Some((_, seat)) = start.place(AGENT).filter(|(_, at)| *at != room) {
        let posture = if start.is(AGENT, "LYING") {
            "lying"
        } else {
            "sitting"
        };
        text += &format!(", {posture} on the {seat}");
    }
    if !start.held.is_empty() {
        text += &format!(", holding {}", words::list(&start.held));
    }
    text.push('.');

    let mut things = relevant(episode, start);
    let others = start.things().filter(|name| !things.contains(name));
    let number = rng.random_range(1..=DISTRACTORS);
    let distractors = others.sample(rng, number);
    things.extend(distractors);
    let mut sentences: Vec<String> = things
        .iter()
        .filter_map(|name| whereabouts(name, start))
        .collect();
    // Doors in the way are nowhere; they are told if they are closed.
    let doors = start
        .with_state("CLOSED")
        .filter(|name| start.place(name).is_none() && !start.held.contains(name));
    sentences.extend(doors.map(|door| format!("The {door} is closed.")));
    sentences.shuffle(rng);
    for sentence in sentences {
        text.push(' ');
        text += &sentence;
    }
    Some(format!("{text}\nTask: {}\nPlan:", episode.header.task))
}

/// Things that the goal or the plan names and that lie somewhere, by name.
fn relevant<'a>(episode: &'a Episode, start: &Facts<'a>) -> BTreeSet<&'a str> {
    let goal = episode
        .header
        .goal
        .iter()
        .filter_map(|fact| facts::split(fact));
    goal.flat_map(|(subject, _, object)| [subject, object])
        .chain(lines(episode).into_iter().flat_map(|line| line.objects))
        .filter(|name| *name != AGENT && start.place(name).is_some())
        .collect()
}

/// "The milk is in the closed fridge in the kitchen."; "The fridge is in the kitchen and closed."
fn whereabouts(name: &str, facts: &Facts<'_>) -> Option<String> {
    let mut text = format!("{} is", capital(&format!("the {name}")));
    let mut at = name;
    while let Some((preposition, next)) = facts.place(at) {
        let shut_in = preposition == Preposition::In && facts.is(next, "CLOSED");
        let adjective = if shut_in { "closed " } else { "" };
        text += &format!(" {} the {adjective}{next}", preposition.word());
        at = next;
        if text.len() > 300 {
            return None; // a circle of places, which no house has
        }
    }
    for (state, word) in STATES {
        if facts.is(name, state) {
            text += &format!(" and {word}");
        }
    }
    (at != name).then(|| text + ".")
}

/// States worth telling of the thing itself; clean and off are what one expects.
const STATES: [(&str, &str); 5] = [
    ("CLOSED", "closed"),
    ("OPEN", "open"),
    ("SWITCHED_ON", "switched on"),
    ("SWITCHED_OFF", "switched off"),
    ("DIRTY", "dirty"),
];
