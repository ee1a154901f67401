//! Facts: the words in which a house is described, observed and wanted.
//!
//! A fact is `subject STATE` (`fridge CLOSED`) or `subject RELATION object` (`milk ON kitchen table`). Names are
//! lower-case, the word between them upper-case, so a fact can be read without quotes.

use thiserror::Error;

use super::house::House;

/// Index of an entity (room, door, object or agent) in its house.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntityId(pub u16);

/// A state of one entity (VirtualHome's names).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
#[expect(
    missing_docs,
    reason = "the names are VirtualHome's and say what they mean"
)]
pub enum State {
    Closed,
    Open,
    /// Switched on; written `SWITCHED_ON`, so that it is not mistaken for the relation ON.
    SwitchedOn,
    SwitchedOff,
    Sitting,
    Lying,
    Clean,
    Dirty,
}

impl State {
    /// Every state, in the order in which facts list them.
    pub const ALL: [Self; 8] = [
        Self::Closed,
        Self::Open,
        Self::SwitchedOn,
        Self::SwitchedOff,
        Self::Sitting,
        Self::Lying,
        Self::Clean,
        Self::Dirty,
    ];

    /// Its name in a fact.
    pub fn name(self) -> &'static str {
        match self {
            Self::Closed => "CLOSED",
            Self::Open => "OPEN",
            Self::SwitchedOn => "SWITCHED_ON",
            Self::SwitchedOff => "SWITCHED_OFF",
            Self::Sitting => "SITTING",
            Self::Lying => "LYING",
            Self::Clean => "CLEAN",
            Self::Dirty => "DIRTY",
        }
    }

    /// The state that takes its place when it ends: open and closed, on and off, clean and dirty.
    pub fn opposite(self) -> Option<Self> {
        match self {
            Self::Closed => Some(Self::Open),
            Self::Open => Some(Self::Closed),
            Self::SwitchedOn => Some(Self::SwitchedOff),
            Self::SwitchedOff => Some(Self::SwitchedOn),
            Self::Clean => Some(Self::Dirty),
            Self::Dirty => Some(Self::Clean),
            Self::Sitting | Self::Lying => None,
        }
    }
}

/// A set of [`State`], one bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StateSet(pub u8);

impl StateSet {
    /// Whether `state` is in the set.
    pub fn has(self, state: State) -> bool {
        self.0 & (1 << state as u8) != 0
    }

    /// The same set with `state` in it (`now`) or not in it.
    #[must_use]
    pub fn with(self, state: State, now: bool) -> Self {
        let bit = 1 << state as u8;
        Self(if now { self.0 | bit } else { self.0 & !bit })
    }

    /// The states in the set, in the order of [`State::ALL`].
    pub fn iter(self) -> impl Iterator<Item = State> {
        State::ALL.into_iter().filter(move |s| self.has(*s))
    }
}

impl FromIterator<State> for StateSet {
    fn from_iter<I: IntoIterator<Item = State>>(states: I) -> Self {
        states
            .into_iter()
            .fold(Self::default(), |set, s| set.with(s, true))
    }
}

/// A relation between two entities (VirtualHome's names).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Relation {
    /// Rests on a surface of the other.
    On,
    /// Lies in the other, or is on the floor of that room.
    Inside,
    /// The agent holds it in its right hand.
    HoldsRh,
    /// The agent holds it in its left hand.
    HoldsLh,
    /// The agent has come within reach of it.
    Close,
    /// The agent looks at it.
    Facing,
}

impl Relation {
    /// Every relation.
    pub const ALL: [Self; 6] = [
        Self::On,
        Self::Inside,
        Self::HoldsRh,
        Self::HoldsLh,
        Self::Close,
        Self::Facing,
    ];

    /// Its name in a fact.
    pub fn name(self) -> &'static str {
        match self {
            Self::On => "ON",
            Self::Inside => "INSIDE",
            Self::HoldsRh => "HOLDS_RH",
            Self::HoldsLh => "HOLDS_LH",
            Self::Close => "CLOSE",
            Self::Facing => "FACING",
        }
    }
}

/// Something that is true of a house.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fact {
    /// `subject STATE`.
    Is(EntityId, State),
    /// `subject RELATION object`.
    Holds(EntityId, Relation, EntityId),
}

/// Why a text is not a fact about a house.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum FactError {
    /// No word in capitals that names a state or a relation.
    #[error(
        "expected `name STATE` or `name RELATION name`, as in `fridge CLOSED` or `mug ON kitchen table`, found `{0}`"
    )]
    Form(String),
    /// The house has nothing of that name.
    #[error("there is no `{0}` in this house")]
    Unknown(String),
    /// A state was followed by a name.
    #[error("`{state}` is a state and takes no object, found `{found}` after it")]
    StateWithObject {
        /// The state.
        state: &'static str,
        /// What followed it.
        found: String,
    },
    /// A description of a whole house leaves this thing out, or puts it on or in itself.
    #[error("the facts do not say where the `{0}` is")]
    NoPlace(String),
    /// Holding, being close and facing are the agent's.
    #[error("only the agent can have the relation `{relation}`, found `{found}` before it")]
    NotTheAgent {
        /// The relation.
        relation: &'static str,
        /// The subject that was found.
        found: String,
    },
}

impl Fact {
    /// The fact in words: `milk ON kitchen table`.
    pub fn text(&self, house: &House) -> String {
        match *self {
            Self::Is(id, state) => format!("{} {}", house.name(id), state.name()),
            Self::Holds(a, relation, b) => {
                format!("{} {} {}", house.name(a), relation.name(), house.name(b))
            }
        }
    }

    /// Reads a fact about `house`. `agent SITTING sofa` and `agent LYING bed` are accepted for `agent ON …`.
    ///
    /// # Errors
    /// When the text has no state or relation, names something the house does not have, or gives another than the
    /// agent a relation that only the agent can have.
    pub fn parse(house: &House, text: &str) -> Result<Self, FactError> {
        let form = || FactError::Form(text.trim().to_owned());
        let words: Vec<&str> = text.split_whitespace().collect();
        let middle = words
            .iter()
            .position(|w| w.bytes().all(|b| b.is_ascii_uppercase() || b == b'_'))
            .ok_or_else(form)?;
        let (before, after) = (words[..middle].join(" "), words[middle + 1..].join(" "));
        if before.is_empty() {
            return Err(form());
        }
        let find = |name: &str| {
            house
                .find(name)
                .ok_or_else(|| FactError::Unknown(name.to_owned()))
        };
        let word = words[middle];
        if let Some(state) = State::ALL.into_iter().find(|s| s.name() == word) {
            let subject = find(&before)?;
            return match state {
                _ if after.is_empty() => Ok(Self::Is(subject, state)),
                State::Sitting | State::Lying if subject == house.agent() => {
                    Ok(Self::Holds(subject, Relation::On, find(&after)?))
                }
                _ => Err(FactError::StateWithObject {
                    state: state.name(),
                    found: after,
                }),
            };
        }
        let relation = Relation::ALL
            .into_iter()
            .find(|r| r.name() == word)
            .ok_or_else(form)?;
        if after.is_empty() {
            return Err(form());
        }
        let (subject, object) = (find(&before)?, find(&after)?);
        let anyone = matches!(relation, Relation::On | Relation::Inside);
        if !anyone && subject != house.agent() {
            return Err(FactError::NotTheAgent {
                relation: relation.name(),
                found: before,
            });
        }
        Ok(Self::Holds(subject, relation, object))
    }
}
