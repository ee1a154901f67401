//! From what was done to what it was for: a plan, "What is this plan for?" "get a cold drink".
//!
//! The answer is the activity's name where it has one (the last step's info says it), else the wish in words.

use std::collections::BTreeSet;

use episode::{Episode, Value};
use rand::seq::{IndexedRandom as _, IteratorRandom as _};
use rand_chacha::ChaCha8Rng;

use super::plan_generation::executed;
use super::{Asked, choices_from};

pub(crate) const TASK: &str = "activity_recognition";

/// The text before the question, and the question without its decoys: those are other names, known when all episodes
/// have been read.
pub(crate) fn ask(episode: &Episode) -> Option<(String, Asked)> {
    let plan = executed(episode)?;
    let name = name(episode);
    Some((
        format!("Plan: {}", plan.join(" ")),
        Asked {
            task: TASK,
            question: "What is this plan for?".to_owned(),
            answer: name.clone(),
            wrong: Vec::new(),
            class: name,
            about: String::new(),
        },
    ))
}

/// The activity's name, or the wish where it has none.
pub(crate) fn name(episode: &Episode) -> String {
    match episode
        .steps
        .last()
        .and_then(|step| step.info.get("activity"))
    {
        Some(Value::Text(name)) => name.clone(),
        _ => episode.header.task.clone(),
    }
}

/// How many of the closest names decoys are drawn from.
const CLOSEST: usize = 8;

/// Three other names that share words with the right one.
pub(crate) fn wrong(right: &str, names: &BTreeSet<String>, rng: &mut ChaCha8Rng) -> Vec<String> {
    let words = |name: &str| -> BTreeSet<String> {
        name.split(|c: char| !c.is_alphanumeric())
            .map(str::to_lowercase)
            .collect()
    };
    let own = words(right);
    // Names look different from wishes, which end in a full stop.
    let alike = |name: &str| name != right && name.ends_with('.') == right.ends_with('.');
    let mut others: Vec<&String> = names.iter().filter(|name| alike(name)).collect();
    // Shuffled before the stable sort, so that ties are broken by chance.
    let all = others.len();
    others = others.sample(rng, all).copied().collect();
    others.sort_by_cached_key(|name| std::cmp::Reverse(words(name).intersection(&own).count()));
    others.truncate(CLOSEST);
    choices_from(others.into_iter().cloned().sample(rng, 3).into_iter(), 3)
}
