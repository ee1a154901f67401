//! Recorded episodes made once more from their actions, and compared.

use std::fmt;
use std::sync::atomic::AtomicBool;

use episode::store::{Identity, Store};
use episode::{Episode, Header, Observation, Step};
use serde::Serialize;
use sim::env::Fidelity;

use super::{MaxSteps, RolloutError, Scenarios, pool, replay};

/// One place where a repeated episode differs from the recorded one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Mismatch {
    /// Position of the episode in the store.
    pub position: usize,
    /// Step, from 0; `None` for what holds before the first step or for the episode as a whole.
    pub step: Option<usize>,
    /// Which field differs, and how.
    pub what: String,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "episode {}", self.position)?;
        if let Some(step) = self.step {
            write!(f, ", step {step}")?;
        }
        write!(f, ": {}", self.what)
    }
}

/// What [`verify`] found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// Episodes that were simulated again.
    pub episodes: u64,
    /// Steps in them.
    pub steps: u64,
    /// Where they differ: at most one per episode, the first, because everything after it differs too.
    pub mismatches: Vec<Mismatch>,
}

/// Simulates the first `count` episodes again and compares every observation, state digest, reward, refusal and info
/// entry with the recording. Calls `progress` with the number of steps of each.
pub fn verify(
    store: &Store,
    count: usize,
    workers: usize,
    stop: &AtomicBool,
    mut progress: impl FnMut(usize),
) -> Result<Verified, RolloutError> {
    let scenarios = Scenarios::load(store)?;
    let mut verified = Verified::default();
    pool::in_order(
        workers,
        0..count.min(store.len()),
        || {
            |position| {
                let recorded = store.episode(position)?;
                let max_steps = max_steps(store.run(position)?, &recorded.header)?;
                let scenario = scenarios.of(&recorded.header)?;
                let fidelity = fidelity(&recorded.header)?;
                let again = replay(scenario, &recorded, fidelity, max_steps)?;
                let mismatch = first_difference(&recorded, &again).map(|(step, what)| Mismatch {
                    position,
                    step,
                    what,
                });
                Ok::<_, RolloutError>((recorded.steps.len(), mismatch))
            }
        },
        |(steps, mismatch)| {
            progress(steps);
            verified.episodes += 1;
            verified.steps += steps as u64;
            verified.mismatches.extend(mismatch);
            Ok(())
        },
        stop,
    )?;
    Ok(verified)
}

/// The time limits of the run, from its identity.
fn max_steps(run: &Identity, header: &Header) -> Result<MaxSteps, RolloutError> {
    let number = |name: &str| {
        let found = run.0.get(name);
        let number = found.and_then(|text| text.parse().ok());
        number.ok_or_else(|| RolloutError::Episode {
            index: header.index,
            message: format!("its run's {name} is not a number: {found:?}"),
        })
    };
    let hand = match run.0.get("hand_max_steps").map(String::as_str) {
        None | Some("as the task says") => None,
        Some(_) => Some(number("hand_max_steps")?),
    };
    let house = number("max_steps")?;
    Ok(MaxSteps { house, hand })
}

fn fidelity(header: &Header) -> Result<Fidelity, RolloutError> {
    [Fidelity::Symbolic, Fidelity::Physical]
        .into_iter()
        .find(|fidelity| fidelity.name() == header.fidelity)
        .ok_or_else(|| RolloutError::Episode {
            index: header.index,
            message: format!(
                "expected fidelity symbolic or physical, found \"{}\"",
                header.fidelity
            ),
        })
}

fn first_difference(recorded: &Episode, again: &Episode) -> Option<(Option<usize>, String)> {
    let start = differing(&[
        ("the header", recorded.header != again.header),
        ("the first observation", recorded.first != again.first),
        (
            "the first state",
            recorded.first_digest != again.first_digest,
        ),
    ]);
    if let Some(what) = start {
        return Some((None, format!("{what} differs")));
    }
    for (i, (a, b)) in recorded.steps.iter().zip(&again.steps).enumerate() {
        if let Some(what) = step_difference(a, b) {
            return Some((Some(i), what));
        }
    }
    if recorded.steps.len() != again.steps.len() {
        let what = format!(
            "{} steps were recorded, {} repeated",
            recorded.steps.len(),
            again.steps.len()
        );
        return Some((None, what));
    }
    (recorded.success != again.success).then(|| (None, "success differs".to_owned()))
}

fn step_difference(a: &Step, b: &Step) -> Option<String> {
    if a.observation != b.observation {
        return Some(observation_difference(&a.observation, &b.observation));
    }
    differing(&[
        ("the action", a.action != b.action),
        ("the refusal", a.refusal != b.refusal),
        ("the state", a.state_digest != b.state_digest),
        (
            "the reward",
            (a.reward, &a.reward_terms) != (b.reward, &b.reward_terms),
        ),
        (
            "the end",
            (a.terminated, a.truncated) != (b.terminated, b.truncated),
        ),
        ("the info", a.info != b.info),
    ])
    .map(|what| format!("{what} differs"))
}

fn observation_difference(a: &Observation, b: &Observation) -> String {
    let names: Vec<&str> =
        a.0.iter()
            .filter(|(name, value)| b.0.get(*name) != Some(value))
            .map(|(name, _)| name.as_str())
            .collect();
    format!("the observation differs in {}", names.join(", "))
}

fn differing(checks: &[(&'static str, bool)]) -> Option<&'static str> {
    checks
        .iter()
        .find(|(_, differs)| *differs)
        .map(|(what, _)| *what)
}
