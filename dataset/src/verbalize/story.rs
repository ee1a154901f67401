//! What an agent did, told as a story, and what a reader of the story then knows.
//!
//! A story is a window of an episode. Actions that change nothing a question asks about are mostly left out, so that
//! it stays short; every move with something in hand, and every move before something is handled, is told. What a
//! reader concludes ([`Reader`]) is compared with the simulator's facts at the window's end, and nothing is asked about
//! things where the two differ (a thing in a carried basket, a thing that fell).

use std::collections::{BTreeMap, BTreeSet};

use episode::{Action, Episode};
use rand::RngExt as _;
use rand::seq::IndexedRandom as _;
use rand_chacha::ChaCha8Rng;

use super::facts::{Facts, Preposition, Spot};
use super::words::{self, Line, estimate_tokens};

/// A window of an episode in words.
pub(crate) struct Story<'a> {
    /// One paragraph.
    pub text: String,
    /// What can be known from the text.
    pub reader: Reader<'a>,
    /// How things really were at the end.
    pub end: &'a Facts<'a>,
    /// By thing that was in hand: the rooms it was in meanwhile, from the simulator's facts.
    pub carried: BTreeMap<&'a str, Vec<&'a str>>,
    /// All rooms of the house, by name.
    pub rooms: BTreeSet<&'a str>,
}

/// What a reader of a story keeps track of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reader<'a> {
    /// Where the agent is.
    pub room: &'a str,
    /// What the agent has in its hands.
    pub held: Vec<&'a str>,
    /// By thing: the rooms it appeared in while in hand, never the same twice in a row.
    pub paths: BTreeMap<&'a str, Vec<&'a str>>,
    /// By spot the story opens with: what lies there, in the order of mention.
    pub contents: BTreeMap<Spot<'a>, Vec<&'a str>>,
    /// Things in the order in which they were first mentioned at a spot or in a hand.
    pub things: Vec<&'a str>,
}

/// One step of an episode, as far as a story needs it.
pub(crate) struct Event<'a> {
    line: Line<'a>,
    refusal: Option<&'a str>,
    /// The agent's room before and afterwards.
    rooms: [&'a str; 2],
    /// Where the first object lay before.
    from: Option<Spot<'a>>,
    /// Something was in hand before.
    holding: bool,
}

/// The facts before the first and after each step; `None` where an observation has none.
pub(crate) fn moments(episode: &Episode) -> Option<Vec<Facts<'_>>> {
    std::iter::once(&episode.first)
        .chain(episode.steps.iter().map(|step| &step.observation))
        .map(|observation| observation.text("facts").map(Facts::read))
        .collect()
}

/// Shortest and longest paragraph, in tokens; with its questions a story then takes 50 to 140.
const TOKENS: std::ops::RangeInclusive<usize> = 25..=70;

/// Share of the actions without consequences that are told.
const COLOR: f64 = 0.1;

/// How many spots a story opens with, and how many things may lie there; more would be a list to learn by heart.
const SPOTS: usize = 1;
const CROWD: usize = 4;

/// Consecutive stories of an episode, told after its `moments`. Empty where an action is no program line.
pub(crate) fn stories<'a>(
    episode: &'a Episode,
    moments: &'a [Facts<'a>],
    rng: &mut ChaCha8Rng,
) -> Vec<Story<'a>> {
    let Some(events) = events(episode, moments) else {
        return Vec::new();
    };
    let kept = condense(&events, rng);
    let mut stories = Vec::new();
    let mut rest = kept.as_slice();
    while let Some(&first) = rest.first() {
        let budget = rng.random_range(TOKENS);
        let told = tell(&events, moments, rest, budget, rng);
        let (used, story) = told;
        // The window ends before the next told action.
        let end = rest.get(used).copied().unwrap_or(events.len());
        stories.extend(story.map(|(text, reader)| Story {
            text,
            reader,
            end: &moments[end],
            carried: carried(&moments[first..=end]),
            rooms: moments[0].rooms(),
        }));
        rest = &rest[used.max(1)..];
    }
    stories
}

fn events<'a>(episode: &'a Episode, moments: &'a [Facts<'a>]) -> Option<Vec<Event<'a>>> {
    let event = |(step, pair): (&'a episode::Step, &'a [Facts<'a>])| {
        let Action::Text(line) = &step.action else {
            return None;
        };
        let line = Line::read(line)?;
        Some(Event {
            from: line.objects.first().and_then(|thing| pair[0].place(thing)),
            line,
            refusal: step.refusal.as_deref(),
            rooms: [pair[0].agent_room()?, pair[1].agent_room()?],
            holding: !pair[0].held.is_empty(),
        })
    };
    episode
        .steps
        .iter()
        .zip(moments.windows(2))
        .map(event)
        .collect()
}

impl<'a> Event<'a> {
    /// It took something into a hand or out of it.
    fn handles(&self) -> bool {
        self.refusal.is_none() && matches!(self.line.verb, "GRAB" | "PUTBACK" | "PUTIN" | "DROP")
    }

    /// The spots whose contents it changed.
    fn changes(&self) -> Option<Spot<'a>> {
        match (self.handles(), self.line.verb) {
            (true, "GRAB") => self.from,
            (true, _) => self.target(),
            _ => None,
        }
    }

    /// Where a put thing goes.
    fn target(&self) -> Option<Spot<'a>> {
        let preposition = match self.line.verb {
            "PUTBACK" => Preposition::On,
            "PUTIN" => Preposition::In,
            _ => return None,
        };
        Some((preposition, *self.line.objects.get(1)?))
    }
}

/// Indices of the events that are told.
fn condense(events: &[Event<'_>], rng: &mut ChaCha8Rng) -> Vec<usize> {
    let mut kept = Vec::new();
    // Backwards: whether something is handled before the next move.
    let mut room_matters = false;
    for (i, event) in events.iter().enumerate().rev() {
        let moves = event.rooms[0] != event.rooms[1];
        let needed = event.handles() || (moves && (event.holding || room_matters));
        room_matters = event.handles() || (room_matters && !moves);
        if needed || rng.random_bool(COLOR) {
            kept.push(i);
        }
    }
    kept.reverse();
    kept
}

const NAMES: [(&str, &str); 16] = [
    ("Anna", "She"),
    ("Mary", "She"),
    ("Emma", "She"),
    ("Lucy", "She"),
    ("Sarah", "She"),
    ("Julia", "She"),
    ("Alice", "She"),
    ("Maria", "She"),
    ("John", "He"),
    ("Tom", "He"),
    ("David", "He"),
    ("Paul", "He"),
    ("Peter", "He"),
    ("Daniel", "He"),
    ("Mark", "He"),
    ("James", "He"),
];

/// Tells events until the budget is used up: how many of `kept` that was, the text and what its reader knows.
/// No text where nothing was told.
fn tell<'a>(
    events: &[Event<'a>],
    moments: &'a [Facts<'a>],
    kept: &[usize],
    budget: usize,
    rng: &mut ChaCha8Rng,
) -> (usize, Option<(String, Reader<'a>)>) {
    let start = &moments[kept[0]];
    let (name, pronoun) = *NAMES.choose(rng).expect("the table of names is not empty");
    let mut reader = Reader {
        room: events[kept[0]].rooms[0],
        ..Reader::default()
    };
    let mut text = format!("{name} was in the {}", reader.room);
    if !start.held.is_empty() {
        text += &format!(", holding {}", words::list(&start.held));
    }
    text.push('.');
    for thing in &start.held {
        reader.take(thing);
    }

    // Sentences first, so that the opening can speak of the spots that they change.
    let mut sentences = String::new();
    let mut used = 0;
    let mut spots: Vec<Spot<'a>> = Vec::new();
    let mut room = reader.room;
    while used < kept.len() && estimate_tokens(&text) + estimate_tokens(&sentences) < budget {
        let event = &events[kept[used]];
        let subject = if rng.random_bool(0.4) { name } else { pronoun };
        sentences.push(' ');
        sentences += &sentence(event, subject, pronoun, room, rng);
        // A refused action is told without its room.
        if event.refusal.is_none() {
            room = event.rooms[1];
        }
        spots.extend(event.changes().filter(|spot| !spots.contains(spot)));
        used += 1;
    }
    let small = |spot: &Spot<'a>| {
        let rooms_floor = start.place(spot.1).is_none();
        !rooms_floor && start.contents(*spot).len() <= CROWD
    };
    spots.retain(small);
    spots.truncate(SPOTS);
    for spot in spots {
        let contents = start.contents(spot);
        let (preposition, at) = (spot.0.word(), spot.1);
        text += &match contents.as_slice() {
            [] => format!(" There was nothing {preposition} the {at}."),
            [one] => format!(" There was the {one} {preposition} the {at}."),
            more => format!(" There were {} {preposition} the {at}.", words::list(more)),
        };
        for thing in &contents {
            reader.mention(thing);
        }
        reader.contents.insert(spot, contents);
    }
    for &i in &kept[..used] {
        reader.read(&events[i]);
    }
    (used, (used > 0).then(|| (text + &sentences, reader)))
}

/// "Anna went to the sofa in the hall." The room is told when it is another than `room`, the last one told.
fn sentence(
    event: &Event<'_>,
    subject: &str,
    pronoun: &str,
    room: &str,
    rng: &mut ChaCha8Rng,
) -> String {
    if let Some(refusal) = event.refusal {
        let reason = past_tense(refusal).replace("the agent", &pronoun.to_lowercase());
        return format!(
            "{subject} tried to {}, but {reason}.",
            event.line.imperative()
        );
    }
    let mut words = event.line.past(rng);
    let to = event.rooms[1];
    if to != room && event.line.objects.first() != Some(&to) {
        words += &format!(" in the {to}");
    }
    format!("{subject} {words}.")
}

/// The clause with its first verb in the past tense.
fn past_tense(clause: &str) -> String {
    const TENSES: [(&str, &str); 6] = [
        (" is ", " was "),
        (" are ", " were "),
        (" has ", " had "),
        (" does ", " did "),
        (" do ", " did "),
        (" cannot ", " could not "),
    ];
    let padded = format!(" {clause} ");
    let first = TENSES
        .iter()
        .filter_map(|(now, then)| Some((padded.find(now)?, now, then)))
        .min_by_key(|(at, ..)| *at);
    match first {
        Some((_, now, then)) => padded.replacen(now, then, 1).trim().to_owned(),
        None => clause.to_owned(),
    }
}

impl<'a> Reader<'a> {
    fn read(&mut self, event: &Event<'a>) {
        if event.refusal.is_some() {
            return;
        }
        let to = event.rooms[1];
        if to != self.room {
            self.room = to;
            for thing in self.held.clone() {
                self.appear(thing);
            }
        }
        let Some(&thing) = event.line.objects.first() else {
            return;
        };
        match event.line.verb {
            "GRAB" => {
                for contents in self.contents.values_mut() {
                    contents.retain(|other| *other != thing);
                }
                self.take(thing);
            }
            "PUTBACK" | "PUTIN" | "DROP" => {
                self.held.retain(|other| *other != thing);
                if let Some(contents) = event.target().and_then(|spot| self.contents.get_mut(&spot))
                {
                    contents.push(thing);
                }
            }
            _ => {}
        }
    }

    fn take(&mut self, thing: &'a str) {
        self.mention(thing);
        self.held.push(thing);
        self.appear(thing);
    }

    fn appear(&mut self, thing: &'a str) {
        let path = self.paths.entry(thing).or_default();
        if path.last() != Some(&self.room) {
            path.push(self.room);
        }
    }

    fn mention(&mut self, thing: &'a str) {
        if !self.things.contains(&thing) {
            self.things.push(thing);
        }
    }
}

/// The rooms of each thing while it was in hand.
fn carried<'a>(moments: &'a [Facts<'a>]) -> BTreeMap<&'a str, Vec<&'a str>> {
    let mut paths: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for facts in moments {
        for thing in &facts.held {
            let path = paths.entry(thing).or_default();
            path.extend(facts.agent_room().filter(|room| path.last() != Some(room)));
        }
    }
    paths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_told_in_the_past() {
        assert_eq!(past_tense("the fridge is closed"), "the fridge was closed");
        assert_eq!(past_tense("both hands are full"), "both hands were full");
        assert_eq!(past_tense("no way through"), "no way through");
    }
}
