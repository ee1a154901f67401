//! Where a thing is at the end of a story: "Where is the mug now?" "hall".

use rand::seq::{IteratorRandom as _, SliceRandom as _};
use rand_chacha::ChaCha8Rng;

use super::story::Story;
use super::{Asked, choices_from};

pub(crate) const TASK: &str = "object_location";

pub(crate) fn ask<'a>(story: &Story<'a>, rng: &mut ChaCha8Rng) -> Vec<Asked> {
    let mut asked = Vec::new();
    for (thing, path) in &story.reader.paths {
        let Some(room) = path.last() else { continue };
        if story.end.room_of(thing) != Some(room) || story.rooms.len() < 2 {
            continue;
        }
        // Rooms of the story first: a room that it does not speak of is easily ruled out.
        let mut wrong: Vec<&str> = story
            .rooms
            .iter()
            .copied()
            .filter(|other| other != room)
            .collect();
        wrong.shuffle(rng);
        wrong.sort_by_key(|other| !story.text.contains(*other));
        wrong.truncate(3);
        // Half of the questions are about things that were left behind: there the agent's room is no help.
        let left_behind = *room != story.reader.room;
        asked.push(Asked {
            task: TASK,
            question: format!("Where is the {thing} now?"),
            answer: (*room).to_owned(),
            wrong: choices_from(
                wrong.iter().map(|room| (*room).to_owned()),
                wrong.len().clamp(1, 3),
            ),
            class: if left_behind {
                "left behind"
            } else {
                "with the agent"
            }
            .to_owned(),
            about: (*thing).to_owned(),
        });
    }
    // The order of things is by name; which of them are asked about is not.
    let all = asked.len();
    asked.into_iter().sample(rng, all)
}
