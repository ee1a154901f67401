//! An episode to be read by people.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use episode::{Action, Episode, Observation, Step};
use sim::household::{House, HouseAction};
use sim::random::episode_rng;
use sim::scenario_file::ScenarioFile;

use super::RolloutError;

/// The episode's task, actions as sentences, refusals, and the facts that changed; of a hand, what was rewarded.
pub fn as_text(episode: &Episode, scenario: &ScenarioFile) -> Result<String, RolloutError> {
    let header = &episode.header;
    let mut out = String::new();
    let written = match scenario {
        ScenarioFile::House(house) => {
            let mut rng = episode_rng(header.seed, &header.scenario_digest, header.index, "layout");
            let instance = house.instantiate(&mut rng)?;
            write_house(&mut out, episode, &instance.house)
        }
        ScenarioFile::Hand(_) => write_hand(&mut out, episode),
    };
    written.expect("a string takes everything");
    Ok(out)
}

fn write_house(out: &mut String, episode: &Episode, house: &House) -> std::fmt::Result {
    write_head(out, episode)?;
    let mut before = facts(&episode.first);
    for (i, step) in episode.steps.iter().enumerate() {
        writeln!(out, "{:>3}. {}", i + 1, sentence(&step.action, house))?;
        if let Some(refusal) = &step.refusal {
            writeln!(out, "     refused: {refusal}")?;
        }
        let after = facts(&step.observation);
        for (sign, facts) in [
            ("-", before.difference(&after)),
            ("+", after.difference(&before)),
        ] {
            for fact in facts {
                writeln!(out, "     {sign} {fact}")?;
            }
        }
        before = after;
    }
    write_end(out, episode)
}

/// Every so many steps of a hand are a line.
const HAND_STEPS: usize = 10;

fn write_hand(out: &mut String, episode: &Episode) -> std::fmt::Result {
    write_head(out, episode)?;
    for (i, steps) in episode.steps.chunks(HAND_STEPS).enumerate() {
        let (first, last) = (i * HAND_STEPS + 1, i * HAND_STEPS + steps.len());
        write!(out, "{first:>4} to {last:>4}. reward ")?;
        let sum = |value: &dyn Fn(&Step) -> f32| steps.iter().map(value).sum::<f32>();
        write!(out, "{:>8.2}", sum(&|step| step.reward))?;
        for (k, term) in steps[0].reward_terms.iter().enumerate() {
            let own = sum(&|step| step.reward_terms.get(k).map_or(0.0, |t| t.value));
            write!(out, "  {} {own:.2}", term.name)?;
        }
        writeln!(out)?;
        for step in steps {
            if let Some(refusal) = &step.refusal {
                writeln!(out, "     refused: {refusal}")?;
            }
            for (name, value) in &step.info {
                writeln!(out, "     {name}: {value:?}")?;
            }
        }
    }
    write_end(out, episode)
}

fn write_head(out: &mut String, episode: &Episode) -> std::fmt::Result {
    let header = &episode.header;
    writeln!(
        out,
        "Episode {} of {}, seed {}, policy {}, {} fidelity",
        header.index, header.scenario, header.seed, header.policy, header.fidelity
    )?;
    if !header.goal.is_empty() {
        writeln!(out, "Task: {} ({})", header.task, header.goal.join(", "))?;
    }
    writeln!(out)
}

fn write_end(out: &mut String, episode: &Episode) -> std::fmt::Result {
    let ends = episode.steps.last().map(|s| (s.terminated, s.truncated));
    let end = match (episode.success, ends) {
        (true, _) => "The goal is reached.",
        (false, Some((_, true))) => "The time is up.",
        (false, _) => "It ends.",
    };
    writeln!(out, "\n{end}")
}

fn sentence(action: &Action, house: &House) -> String {
    match action {
        Action::Text(line) => match HouseAction::parse(house, line) {
            Ok(action) => action.sentence(house),
            Err(_) => line.clone(),
        },
        Action::Array(array) => format!("{array:?}"),
    }
}

fn facts(observation: &Observation) -> BTreeSet<&str> {
    observation
        .text("facts")
        .unwrap_or_default()
        .lines()
        .collect()
}
