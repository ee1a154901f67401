//! Where a carried thing has been: "Which rooms was the mug carried through, in order?" "kitchen, hall, bedroom".
//!
//! E2WM's rule: when the thing is taken, the room it is taken in; each time its holder moves, the new room; never the
//! same room twice in a row.

use rand::RngExt as _;
use rand::seq::{IndexedRandom as _, IteratorRandom as _};
use rand_chacha::ChaCha8Rng;

use super::story::Story;
use super::{Asked, choices_from};

pub(crate) const TASK: &str = "object_path";

/// Longest path that is asked for.
const MOST: usize = 5;

pub(crate) fn ask<'a>(story: &Story<'a>, rng: &mut ChaCha8Rng) -> Vec<Asked> {
    let rooms: Vec<&str> = story.rooms.iter().copied().collect();
    let paths = &story.reader.paths;
    let asked = paths.iter().filter(|(thing, path)| {
        path.len() <= MOST && rooms.len() >= 2 && story.carried.get(*thing) == Some(path)
    });
    asked
        .map(|(thing, path)| Asked {
            task: TASK,
            question: format!("Which rooms was the {thing} carried through, in order?"),
            answer: path.join(", "),
            wrong: wrong(path, paths.values(), &rooms, rng),
            class: path.len().to_string(),
            about: (*thing).to_owned(),
        })
        .collect()
}

/// Three other paths: one of the right length and two that are both one longer or both one shorter, so that the
/// lengths of the four say nothing about which is right.
fn wrong<'a, 'b>(
    right: &[&'a str],
    others: impl Iterator<Item = &'b Vec<&'a str>> + Clone,
    rooms: &[&'a str],
    rng: &mut ChaCha8Rng,
) -> Vec<String>
where
    'a: 'b,
{
    let length = right.len();
    let other = if length == 1 || rng.random_bool(0.5) {
        length + 1
    } else {
        length - 1
    };
    let mut wrong: Vec<Vec<&str>> = Vec::new();
    for wanted in [length, other, other] {
        for _ in 0..60 {
            let real = others
                .clone()
                .filter(|path| path.len() == wanted)
                .choose(rng);
            let candidate = match real {
                // What happened to another thing is the best decoy.
                Some(path) if rng.random_bool(0.3) => path.clone(),
                _ => changed(right, wanted, rooms, rng),
            };
            let walk = candidate.windows(2).all(|pair| pair[0] != pair[1]);
            if walk
                && candidate.len() == wanted
                && candidate != right
                && !wrong.contains(&candidate)
            {
                wrong.push(candidate);
                break;
            }
        }
    }
    choices_from(wrong.iter().map(|path| path.join(", ")), 3)
}

/// The path with a room exchanged or two swapped, left out, or added, whichever leads to the wanted length.
fn changed<'a>(
    path: &[&'a str],
    wanted: usize,
    rooms: &[&'a str],
    rng: &mut ChaCha8Rng,
) -> Vec<&'a str> {
    let mut changed = path.to_vec();
    let room = *rooms
        .choose(rng)
        .expect("paths are asked for in houses of two rooms or more");
    match wanted.cmp(&path.len()) {
        std::cmp::Ordering::Less => {
            changed.remove(rng.random_range(0..path.len()));
        }
        std::cmp::Ordering::Greater => changed.insert(rng.random_range(0..=path.len()), room),
        std::cmp::Ordering::Equal if rng.random_bool(0.5) => {
            let (a, b) = (
                rng.random_range(0..path.len()),
                rng.random_range(0..path.len()),
            );
            changed.swap(a, b);
        }
        std::cmp::Ordering::Equal => changed[rng.random_range(0..path.len())] = room,
    }
    changed
}
