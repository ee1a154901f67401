//! What an agent can do, as data: one row of [`VERBS`] per verb.
//!
//! Adding a verb: (1) a variant of [`Verb`]; (2) its row here with needs and effects; (3) if it moves anything, an arm
//! in `world::verbs`; (4) a line in the documentation of verbs; (5) a row in the test table.
//!
//! Names, needs and effects are those of VirtualHome's evolving graph (Puig et al. 2018, `execution.py`), made stricter
//! where geometry is: doors block the way, surfaces and containers fill up, what is shut in is out of reach, and
//! sitting down leaves behind what was close.

use thiserror::Error;

use super::fact::{EntityId, State};
use super::house::House;
use crate::catalogue::Property;

/// The name of an action (VirtualHome's names).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
#[expect(
    missing_docs,
    reason = "the names are VirtualHome's; `VERBS` says what each needs and does"
)]
pub enum Verb {
    Walk,
    Find,
    Grab,
    /// VirtualHome's PUTBACK: put the first on the second.
    Put,
    PutIn,
    Drop,
    Open,
    Close,
    SwitchOn,
    SwitchOff,
    Sit,
    Lie,
    StandUp,
    TurnTo,
    LookAt,
    Watch,
    Touch,
    Drink,
    Eat,
    Read,
    Wash,
    Wipe,
}

impl Verb {
    /// What there is to know about it.
    pub fn spec(self) -> &'static VerbSpec {
        &VERBS[self as usize]
    }
}

/// One action: a verb and the entities it is about, as many as the verb takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HouseAction {
    /// What to do.
    pub verb: Verb,
    /// With what; unused places are `None`.
    pub objects: [Option<EntityId>; 2],
}

/// A condition that must hold before a verb; numbers point into [`HouseAction::objects`].
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(missing_docs, reason = "each variant reads as its condition")]
pub enum Need {
    /// The object has at least one of these properties.
    Property(usize, &'static [Property]),
    /// It is an object or a door, not a room.
    Thing(usize),
    Standing,
    SittingOrLying,
    /// A way through open doors leads to the object's room.
    Reachable(usize),
    /// It is in the agent's room, or it is one of its doors.
    SameRoom(usize),
    /// The agent is within reach of it.
    Close(usize),
    /// Everything that the object lies in is open.
    NotShutIn(usize),
    /// If it can be opened, it is open.
    OpenIfCanOpen(usize),
    Holds(usize),
    /// Neither it nor what it lies on or in is in a hand.
    NotHeld(usize),
    FreeHand,
    /// Something is in a hand.
    HoldsSomething,
    Is(usize, State),
    /// The agent faces it.
    Faces(usize),
    /// There is room left on (`false`) or in (`true`) the second object for the first.
    RoomLeft(bool),
    /// Nobody and nothing is on the seat.
    FreeSeat(usize),
    /// The two objects are not the same, and the second does not lie on or in the first.
    NotWithin(usize, usize),
}

/// A change that a verb makes, applied in the row's order.
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(missing_docs, reason = "each variant reads as its effect")]
pub enum Effect {
    /// Leave what was close, go to the object's room and be close to it, to what it rests on or in, to what rests on it,
    /// and (when it is open) to what lies in it; what is shut in stays out of reach. Things in the hands come along.
    GoTo(usize),
    Face(usize),
    /// Into the first free hand, right before left.
    Take(usize),
    /// Out of the hand, onto the second object.
    PlaceOn,
    /// Out of the hand, into the second object.
    PlaceIn,
    /// Out of the hand, onto the floor of the agent's room.
    Release(usize),
    /// `−first +second`. Opening brings what lies inside within reach, closing takes it away.
    Swap(usize, State, State),
    /// Onto the seat, with that posture (`Sitting` or `Lying`); only the seat, its things and what is held stay close.
    Settle(usize, State),
    GetUp,
}

/// What there is to know about a verb.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct VerbSpec {
    /// The verb.
    pub verb: Verb,
    /// Its name in programs, as in `[PUTBACK]`.
    pub name: &'static str,
    /// How many objects it takes: 0, 1 or 2.
    pub arity: usize,
    /// Imperative with `{0}` and `{1}` for the objects: "put the {0} on the {1}".
    pub imperative: &'static str,
    /// Third person past: "put the {0} on the {1}", "walked to the {0}".
    pub past: &'static str,
    /// What must hold, checked in this order; the first that does not is the refusal.
    pub needs: &'static [Need],
    /// What it changes.
    pub effects: &'static [Effect],
}

const fn row(
    verb: Verb,
    name: &'static str,
    arity: usize,
    imperative: &'static str,
    past: &'static str,
    needs: &'static [Need],
    effects: &'static [Effect],
) -> VerbSpec {
    VerbSpec {
        verb,
        name,
        arity,
        imperative,
        past,
        needs,
        effects,
    }
}

use Effect as E;
use Need as N;
use Property as P;

/// Every verb, at the index `verb as usize`.
#[rustfmt::skip] // one verb in three lines: name, needs, effects
pub static VERBS: [VerbSpec; 22] = [
    row(Verb::Walk, "WALK", 1, "walk to the {0}", "walked to the {0}",
        &[N::Standing, N::NotHeld(0), N::Reachable(0)],
        &[E::GoTo(0)]),
    row(Verb::Find, "FIND", 1, "find the {0}", "found the {0}",
        &[N::Thing(0), N::Standing, N::NotHeld(0), N::Reachable(0), N::NotShutIn(0)],
        &[E::GoTo(0), E::Face(0)]),
    row(Verb::Grab, "GRAB", 1, "grab the {0}", "grabbed the {0}",
        &[N::Property(0, &[P::Grabbable]), N::NotHeld(0), N::NotShutIn(0), N::Close(0), N::FreeHand],
        &[E::Take(0)]),
    row(Verb::Put, "PUTBACK", 2, "put the {0} on the {1}", "put the {0} on the {1}",
        &[N::Property(1, &[P::Surfaces]), N::Holds(0), N::NotWithin(1, 0), N::NotHeld(1), N::NotShutIn(1), N::Close(1), N::RoomLeft(false)],
        &[E::PlaceOn]),
    row(Verb::PutIn, "PUTIN", 2, "put the {0} in the {1}", "put the {0} in the {1}",
        &[N::Property(1, &[P::Containers]), N::Holds(0), N::NotWithin(1, 0), N::NotHeld(1), N::NotShutIn(1), N::Close(1), N::OpenIfCanOpen(1), N::RoomLeft(true)],
        &[E::PlaceIn]),
    row(Verb::Drop, "DROP", 1, "drop the {0}", "dropped the {0}",
        &[N::Holds(0)],
        &[E::Release(0)]),
    row(Verb::Open, "OPEN", 1, "open the {0}", "opened the {0}",
        &[N::Property(0, &[P::CanOpen]), N::NotHeld(0), N::NotShutIn(0), N::Close(0), N::Is(0, State::Closed), N::FreeHand],
        &[E::Swap(0, State::Closed, State::Open)]),
    row(Verb::Close, "CLOSE", 1, "close the {0}", "closed the {0}",
        &[N::Property(0, &[P::CanOpen]), N::NotHeld(0), N::NotShutIn(0), N::Close(0), N::Is(0, State::Open)],
        &[E::Swap(0, State::Open, State::Closed)]),
    row(Verb::SwitchOn, "SWITCHON", 1, "switch on the {0}", "switched on the {0}",
        &[N::Property(0, &[P::HasSwitch]), N::NotShutIn(0), N::Close(0), N::Is(0, State::SwitchedOff)],
        &[E::Swap(0, State::SwitchedOff, State::SwitchedOn)]),
    row(Verb::SwitchOff, "SWITCHOFF", 1, "switch off the {0}", "switched off the {0}",
        &[N::Property(0, &[P::HasSwitch]), N::NotShutIn(0), N::Close(0), N::Is(0, State::SwitchedOn)],
        &[E::Swap(0, State::SwitchedOn, State::SwitchedOff)]),
    row(Verb::Sit, "SIT", 1, "sit on the {0}", "sat on the {0}",
        &[N::Property(0, &[P::Sittable]), N::Standing, N::NotHeld(0), N::NotShutIn(0), N::Close(0), N::FreeSeat(0)],
        &[E::Settle(0, State::Sitting)]),
    row(Verb::Lie, "LIE", 1, "lie on the {0}", "lay on the {0}",
        &[N::Property(0, &[P::Lieable]), N::Standing, N::NotHeld(0), N::NotShutIn(0), N::Close(0), N::FreeSeat(0)],
        &[E::Settle(0, State::Lying)]),
    row(Verb::StandUp, "STANDUP", 0, "stand up", "stood up",
        &[N::SittingOrLying],
        &[E::GetUp]),
    row(Verb::TurnTo, "TURNTO", 1, "turn to the {0}", "turned to the {0}",
        &[N::Thing(0), N::SameRoom(0), N::NotShutIn(0)],
        &[E::Face(0)]),
    row(Verb::LookAt, "LOOKAT", 1, "look at the {0}", "looked at the {0}",
        &[N::Thing(0), N::SameRoom(0), N::NotShutIn(0), N::Faces(0)],
        &[]),
    row(Verb::Watch, "WATCH", 1, "watch the {0}", "watched the {0}",
        &[N::Property(0, &[P::Lookable]), N::SameRoom(0), N::NotShutIn(0), N::Faces(0)],
        &[]),
    row(Verb::Touch, "TOUCH", 1, "touch the {0}", "touched the {0}",
        &[N::Thing(0), N::NotShutIn(0), N::Close(0)],
        &[]),
    row(Verb::Drink, "DRINK", 1, "drink from the {0}", "drank from the {0}",
        &[N::Property(0, &[P::Drinkable, P::Recipient]), N::Holds(0)],
        &[]),
    row(Verb::Eat, "EAT", 1, "eat the {0}", "ate the {0}",
        &[N::Property(0, &[P::Eatable]), N::NotShutIn(0), N::Close(0)],
        &[]),
    row(Verb::Read, "READ", 1, "read the {0}", "read the {0}",
        &[N::Property(0, &[P::Readable]), N::Holds(0)],
        &[]),
    row(Verb::Wash, "WASH", 1, "wash the {0}", "washed the {0}",
        &[N::Thing(0), N::NotShutIn(0), N::Close(0), N::Is(0, State::Dirty)],
        &[E::Swap(0, State::Dirty, State::Clean)]),
    row(Verb::Wipe, "WIPE", 1, "wipe the {0}", "wiped the {0}",
        &[N::Thing(0), N::NotShutIn(0), N::Close(0), N::HoldsSomething, N::Is(0, State::Dirty)],
        &[E::Swap(0, State::Dirty, State::Clean)]),
];

/// Why a text is not an action in a house.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ActionError {
    /// Not the form of a program line.
    #[error("expected `[VERB] <name> (id)`, as in `[GRAB] <mug> (12)`, found `{0}`")]
    Form(String),
    /// No such verb.
    #[error("there is no verb `{0}`")]
    UnknownVerb(String),
    /// A known verb with too few or too many objects.
    #[error("[{verb}] takes {expected} objects, found {found}")]
    Arity {
        /// The verb's name.
        verb: &'static str,
        /// How many it takes.
        expected: usize,
        /// How many there were.
        found: usize,
    },
    /// The house has nothing of that name.
    #[error("there is no `{0}` in this house")]
    Unknown(String),
    /// The number after the name belongs to another entity.
    #[error("`{name}` has the id {expected}, found ({found})")]
    Id {
        /// The name.
        name: String,
        /// Its id.
        expected: u16,
        /// What the line says.
        found: String,
    },
    /// No verb's sentence fits.
    #[error("`{0}` is not an instruction about things in this house")]
    Sentence(String),
}

impl HouseAction {
    /// A verb that takes no object.
    pub fn alone(verb: Verb) -> Self {
        Self {
            verb,
            objects: [None, None],
        }
    }

    /// A verb with one object.
    pub fn one(verb: Verb, object: EntityId) -> Self {
        Self {
            verb,
            objects: [Some(object), None],
        }
    }

    /// A verb with two objects.
    pub fn two(verb: Verb, first: EntityId, second: EntityId) -> Self {
        Self {
            verb,
            objects: [Some(first), Some(second)],
        }
    }

    /// The objects that are given, in order.
    pub fn objects(&self) -> impl Iterator<Item = EntityId> + use<> {
        self.objects.into_iter().flatten()
    }

    /// The action as a line of a VirtualHome program: `[PUTBACK] <mug> (12) <kitchen table> (4)`; an id is the
    /// entity's index.
    pub fn text(&self, house: &House) -> String {
        let mut line = format!("[{}]", self.verb.spec().name);
        for id in self.objects() {
            line += &format!(" <{}> ({})", house.name(id), id.0);
        }
        line
    }

    /// The action as an instruction: "Put the mug on the kitchen table."
    pub fn sentence(&self, house: &House) -> String {
        let words = self.imperative(house);
        let (first, rest) = words.split_at(1); // every row starts with an ASCII letter
        format!("{}{rest}.", first.to_ascii_uppercase())
    }

    /// The instruction without capital and full stop: "put the mug on the kitchen table".
    pub fn imperative(&self, house: &House) -> String {
        self.fill(self.verb.spec().imperative, house)
    }

    /// What was done, to follow a subject: "put the mug on the kitchen table", "walked to the kitchen".
    pub fn past(&self, house: &House) -> String {
        self.fill(self.verb.spec().past, house)
    }

    fn fill(&self, template: &str, house: &House) -> String {
        let name = |i: usize| self.objects[i].map_or("thing", |id| house.name(id));
        template.replace("{0}", name(0)).replace("{1}", name(1))
    }

    /// Reads a program line. The name says which entity is meant (case and underscores do not matter); an id, when
    /// there is one, must be that entity's.
    ///
    /// # Errors
    /// When the line does not have the form, the verb or a name is unknown, the number of objects is wrong, or an id
    /// disagrees with its name.
    pub fn parse(house: &House, line: &str) -> Result<Self, ActionError> {
        let line = line.trim();
        let form = || ActionError::Form(line.to_owned());
        let (verb, mut rest) = line
            .strip_prefix('[')
            .and_then(|l| l.split_once(']'))
            .ok_or_else(form)?;
        let verb = verb.trim().to_ascii_uppercase();
        let spec = VERBS
            .iter()
            .find(|s| s.name == verb)
            .ok_or(ActionError::UnknownVerb(verb))?;
        let mut objects = [None, None];
        let mut found = 0;
        loop {
            rest = rest.trim_start();
            if rest.is_empty() {
                break;
            }
            let (name, after) = rest
                .strip_prefix('<')
                .and_then(|r| r.split_once('>'))
                .ok_or_else(form)?;
            let name = name.trim().to_lowercase().replace('_', " ");
            rest = after.trim_start();
            let id = house
                .find(&name)
                .ok_or_else(|| ActionError::Unknown(name.clone()))?;
            if let Some(r) = rest.strip_prefix('(') {
                let (number, after) = r.split_once(')').ok_or_else(form)?;
                rest = after;
                if number.trim().parse() != Ok(id.0) {
                    return Err(ActionError::Id {
                        name,
                        expected: id.0,
                        found: number.trim().to_owned(),
                    });
                }
            }
            if let Some(place) = objects.get_mut(found) {
                *place = Some(id);
            }
            found += 1;
        }
        if found != spec.arity {
            return Err(ActionError::Arity {
                verb: spec.name,
                expected: spec.arity,
                found,
            });
        }
        Ok(Self {
            verb: spec.verb,
            objects,
        })
    }

    /// Reads an instruction as [`Self::sentence`] writes it; capitals, a final stop and the article do not matter.
    ///
    /// # Errors
    /// When no verb's sentence fits with names of this house.
    pub fn parse_sentence(house: &House, sentence: &str) -> Result<Self, ActionError> {
        let plain = sentence.trim().trim_end_matches('.').trim().to_lowercase();
        let object = |words: &str| {
            let words = words.trim();
            house.find(words.strip_prefix("the ").unwrap_or(words))
        };
        let fits = |spec: &VerbSpec| -> Option<Self> {
            let (verb, between) = match spec.imperative.split_once("the {0}") {
                None => return (plain == spec.imperative).then(|| Self::alone(spec.verb)),
                Some((verb, rest)) => (verb, rest.strip_suffix("the {1}")),
            };
            let rest = plain.strip_prefix(verb)?;
            let Some(between) = between else {
                return object(rest).map(|id| Self::one(spec.verb, id));
            };
            // A name may itself hold " in " or " on ", so every place to split is tried.
            rest.match_indices(between).find_map(|(i, _)| {
                let first = object(&rest[..i])?;
                let second = object(&rest[i + between.len()..])?;
                Some(Self::two(spec.verb, first, second))
            })
        };
        VERBS
            .iter()
            .find_map(fits)
            .ok_or_else(|| ActionError::Sentence(sentence.trim().to_owned()))
    }
}
