//! An episode to be read by people.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use episode::{Action, Episode, Observation};
use sim::household::{House, HouseAction};
use sim::random::episode_rng;
use sim::scenario::LoadedScenario;

use super::RolloutError;

/// The episode's task, actions as sentences, refusals, and the facts that changed.
pub fn as_text(episode: &Episode, scenario: &LoadedScenario) -> Result<String, RolloutError> {
    let header = &episode.header;
    let mut rng = episode_rng(header.seed, &header.scenario_digest, header.index, "layout");
    let instance = scenario.instantiate(&mut rng)?;
    let mut out = String::new();
    write_episode(&mut out, episode, &instance.house).expect("a string takes everything");
    Ok(out)
}

fn write_episode(out: &mut String, episode: &Episode, house: &House) -> std::fmt::Result {
    let header = &episode.header;
    writeln!(
        out,
        "Episode {} of {}, seed {}, policy {}, {} fidelity",
        header.index, header.scenario, header.seed, header.policy, header.fidelity
    )?;
    if !header.goal.is_empty() {
        writeln!(out, "Task: {} ({})", header.task, header.goal.join(", "))?;
    }
    writeln!(out)?;
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
