//! How many things lie somewhere: "How many things are on the kitchen table?" "mug, book: two".
//!
//! The rule is E2WM's counting task made truthful: what lay there when the story began, which it says, and what the
//! agent put there and did not take back. The answer names the things before their number, so that a model can count
//! what it has just written.

use rand::RngExt as _;
use rand::seq::{IndexedRandom as _, SliceRandom as _};
use rand_chacha::ChaCha8Rng;

use super::story::Story;
use super::words::number;
use super::{Asked, choices_from};

pub(crate) const TASK: &str = "counting";

/// More things than this make a list that is hard for the wrong reason.
const MOST: usize = 4;

pub(crate) fn ask<'a>(story: &Story<'a>, rng: &mut ChaCha8Rng) -> Vec<Asked> {
    let mut asked = Vec::new();
    for (spot, things) in &story.reader.contents {
        let mut real = story.end.contents(*spot);
        let mut told = things.clone();
        real.sort_unstable();
        told.sort_unstable();
        if real != told || things.len() > MOST {
            continue;
        }
        let right = answer(things);
        asked.push(Asked {
            task: TASK,
            question: format!("How many things are {} the {}?", spot.0.word(), spot.1),
            wrong: wrong(things, &story.reader.things, rng),
            answer: right,
            class: number(things.len()),
            about: spot.1.to_owned(),
        });
    }
    asked
}

/// "mug, book: two"; "nothing: zero".
fn answer(things: &[&str]) -> String {
    let names = if things.is_empty() {
        "nothing".to_owned()
    } else {
        things.join(", ")
    };
    format!("{names}: {}", number(things.len()))
}

/// Three other answers. "nothing: zero" is always among the four, so its presence says nothing; the others differ from
/// the right one by one thing left out, added or exchanged.
fn wrong(right: &[&str], pool: &[&str], rng: &mut ChaCha8Rng) -> Vec<String> {
    let mut wrong: Vec<Vec<&str>> = Vec::new();
    // Where nothing is right, the others gather around a set of one or two.
    let mut center = right.to_vec();
    if right.is_empty() {
        let size = rng.random_range(1..=2);
        center = pool.sample(rng, size).copied().collect();
    } else {
        wrong.push(Vec::new());
    }
    let wanted = 3;
    for _ in 0..60 {
        if wrong.len() == wanted {
            break;
        }
        let candidate = changed(&center, pool, rng);
        let same = |other: &[&str]| {
            let (mut a, mut b) = (other.to_vec(), candidate.clone());
            a.sort_unstable();
            b.sort_unstable();
            a == b
        };
        if !candidate.is_empty()
            && candidate.len() <= MOST
            && !same(right)
            && !wrong.iter().any(|other| same(other))
        {
            wrong.push(candidate);
        }
    }
    choices_from(wrong.iter().map(|things| answer(things)), wanted)
}

/// The set with one thing left out, added or exchanged, in the order of the pool.
fn changed<'a>(things: &[&'a str], pool: &[&'a str], rng: &mut ChaCha8Rng) -> Vec<&'a str> {
    let mut changed = things.to_vec();
    changed.shuffle(rng);
    let edit = rng.random_range(0..3);
    if edit != 0 {
        let others: Vec<&str> = pool
            .iter()
            .copied()
            .filter(|thing| !things.contains(thing))
            .collect();
        let added = others.choose(rng).copied();
        if edit == 2 && added.is_some() {
            changed.pop();
        }
        changed.extend(added);
    } else {
        changed.pop();
    }
    changed.sort_by_key(|thing| pool.iter().position(|other| other == thing));
    changed
}
