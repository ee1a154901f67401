//! From what was done to what it was for: a plan, "What is this plan for?" "Put the milk on the kitchen table."

use std::collections::BTreeSet;

use episode::Episode;
use rand::seq::{IndexedRandom as _, IteratorRandom as _};
use rand_chacha::ChaCha8Rng;

use super::plan_generation::executed;
use super::{Asked, choices_from};

pub(crate) const TASK: &str = "activity_recognition";

/// The text before the question, and the question without its decoys: those are other wishes, known when all episodes
/// have been read.
pub(crate) fn ask(episode: &Episode) -> Option<(String, Asked)> {
    let plan = executed(episode)?;
    Some((
        format!("Plan: {}", plan.join(" ")),
        Asked {
            task: TASK,
            question: "What is this plan for?".to_owned(),
            answer: episode.header.task.clone(),
            wrong: Vec::new(),
            class: episode.header.task.clone(),
            about: String::new(),
        },
    ))
}

/// How many of the closest wishes decoys are drawn from.
const CLOSEST: usize = 8;

/// Three other wishes that share words with the right one.
pub(crate) fn wrong(right: &str, wishes: &BTreeSet<String>, rng: &mut ChaCha8Rng) -> Vec<String> {
    let words = |wish: &str| -> BTreeSet<String> {
        wish.split(|c: char| !c.is_alphanumeric())
            .map(str::to_lowercase)
            .collect()
    };
    let own = words(right);
    let mut others: Vec<&String> = wishes.iter().filter(|wish| *wish != right).collect();
    // Shuffled before the stable sort, so that ties are broken by chance.
    let all = others.len();
    others = others.sample(rng, all).copied().collect();
    others.sort_by_cached_key(|wish| std::cmp::Reverse(words(wish).intersection(&own).count()));
    others.truncate(CLOSEST);
    choices_from(others.into_iter().cloned().sample(rng, 3).into_iter(), 3)
}
