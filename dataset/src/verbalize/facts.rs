//! A house at one moment, as its observation tells it.

use std::collections::{BTreeMap, BTreeSet};

/// The facts of one observation that texts are made of. What the agent is near to or looks at is left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Facts<'a> {
    /// What each thing lies on (`ON`) or in (`INSIDE`), in the observation's order.
    places: BTreeMap<&'a str, Spot<'a>>,
    states: BTreeSet<(&'a str, &'a str)>,
    /// What is in the agent's hands.
    pub held: Vec<&'a str>,
    order: Vec<&'a str>,
}

/// How a thing lies at its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Preposition {
    On,
    In,
}

/// On or in a thing or room.
pub(crate) type Spot<'a> = (Preposition, &'a str);

impl Preposition {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::On => "on",
            Self::In => "in",
        }
    }
}

/// Who acts, in facts.
pub(crate) const AGENT: &str = "agent";

impl<'a> Facts<'a> {
    /// Reads the `facts` entry of an observation: one fact a line. Lines of another form are skipped.
    pub(crate) fn read(text: &'a str) -> Self {
        let mut facts = Self::default();
        for line in text.lines() {
            let Some((subject, word, object)) = split(line) else {
                continue;
            };
            match word {
                "ON" | "INSIDE" => {
                    let preposition = if word == "ON" {
                        Preposition::On
                    } else {
                        Preposition::In
                    };
                    if facts
                        .places
                        .insert(subject, (preposition, object))
                        .is_none()
                    {
                        facts.order.push(subject);
                    }
                }
                "HOLDS_RH" | "HOLDS_LH" => facts.held.push(object),
                _ if object.is_empty() => {
                    facts.states.insert((subject, word));
                }
                _ => {}
            }
        }
        facts
    }

    pub(crate) fn is(&self, name: &str, state: &str) -> bool {
        self.states.contains(&(name, state))
    }

    /// What the thing lies on or in; `None` for rooms, doors and what is held.
    pub(crate) fn place(&self, name: &str) -> Option<Spot<'a>> {
        self.places.get(name).copied()
    }

    /// The room the thing is in; a held thing is where the agent is. `None` for rooms and doors.
    pub(crate) fn room_of(&self, name: &str) -> Option<&'a str> {
        let mut at = if self.held.contains(&name) {
            AGENT
        } else {
            name
        };
        let mut room = None;
        // No chain is longer than the number of places; a longer one is a circle.
        for _ in 0..=self.places.len() {
            match self.place(at) {
                Some((_, next)) => {
                    room = Some(next);
                    at = next;
                }
                None if self.held.contains(&at) => at = AGENT,
                None => return room,
            }
        }
        None
    }

    /// The agent's room.
    pub(crate) fn agent_room(&self) -> Option<&'a str> {
        self.room_of(AGENT)
    }

    /// Rooms with something in them, by name.
    pub(crate) fn rooms(&self) -> BTreeSet<&'a str> {
        self.places
            .values()
            .filter(|(preposition, at)| {
                *preposition == Preposition::In
                    && !self.places.contains_key(at)
                    && !self.held.contains(at)
            })
            .map(|(_, at)| *at)
            .collect()
    }

    /// What lies at that spot, in the observation's order.
    pub(crate) fn contents(&self, spot: Spot) -> Vec<&'a str> {
        self.things()
            .filter(|thing| self.place(thing) == Some(spot))
            .collect()
    }

    /// Everything that lies somewhere but the agent, in the observation's order.
    pub(crate) fn things(&self) -> impl Iterator<Item = &'a str> {
        self.order.iter().copied().filter(|name| *name != AGENT)
    }

    /// What is in that state, by name.
    pub(crate) fn with_state(&self, state: &str) -> impl Iterator<Item = &'a str> {
        self.states
            .iter()
            .filter(move |(_, s)| *s == state)
            .map(|(name, _)| *name)
    }
}

/// `mug ON kitchen table` → ("mug", "ON", "kitchen table"); `fridge CLOSED` → ("fridge", "CLOSED", "").
pub(crate) fn split(fact: &str) -> Option<(&str, &str, &str)> {
    let word = fact.split(' ').find(|word| {
        !word.is_empty() && word.bytes().all(|b| b.is_ascii_uppercase() || b == b'_')
    })?;
    let start = word.as_ptr() as usize - fact.as_ptr() as usize;
    Some((
        fact[..start].trim(),
        word,
        fact[start + word.len()..].trim(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_places_states_and_hands() {
        let facts = Facts::read(
            "kitchen table INSIDE kitchen\nfridge INSIDE kitchen\nfridge CLOSED\nmilk INSIDE fridge\nmug 2 ON kitchen table\n\
             agent HOLDS_RH bowl\napple INSIDE bowl\nagent CLOSE mug 2\nsofa INSIDE living room\nagent ON sofa\nagent SITTING\n\
             living room kitchen door OPEN\nnot a fact\n",
        );
        assert_eq!(facts.room_of("milk"), Some("kitchen"));
        assert_eq!(facts.room_of("bowl"), Some("living room"));
        assert_eq!(facts.room_of("apple"), Some("living room"));
        assert_eq!(facts.agent_room(), Some("living room"));
        assert_eq!(facts.room_of("kitchen"), None);
        assert_eq!(
            facts.place("mug 2"),
            Some((Preposition::On, "kitchen table"))
        );
        assert!(facts.is("fridge", "CLOSED") && !facts.is("fridge", "OPEN"));
        assert_eq!(
            facts.contents((Preposition::On, "kitchen table")),
            ["mug 2"]
        );
        assert_eq!(
            facts.rooms().into_iter().collect::<Vec<_>>(),
            ["kitchen", "living room"]
        );
        assert_eq!(facts.held, ["bowl"]);
        assert_eq!(
            facts.with_state("OPEN").collect::<Vec<_>>(),
            ["living room kitchen door"]
        );
    }

    #[test]
    fn a_circle_of_places_has_no_room() {
        assert_eq!(Facts::read("a INSIDE b\nb INSIDE a").room_of("a"), None);
    }
}
