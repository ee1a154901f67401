//! What an agent can do, as data: one row of [`VERBS`] per verb.
//!
//! Adding a verb: (1) a variant of [`Verb`]; (2) its row here with needs and effects; (3) if it moves anything, an arm
//! in `world::verbs`; (4) a line in the documentation of verbs; (5) a row in the test table.

use super::fact::{EntityId, State};
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
    Open,
    Close,
    SwitchOn,
    SwitchOff,
    Sit,
    StandUp,
    LookAt,
    TurnTo,
    Touch,
    Drink,
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
    Standing,
    SittingOrLying,
    /// A way through open doors leads to the object's room.
    Reachable(usize),
    /// The agent is within reach of it.
    Close(usize),
    /// Everything that the object lies in is open.
    NotShutIn(usize),
    /// If it can be opened, it is open.
    OpenIfCanOpen(usize),
    Holds(usize),
    NotHeld(usize),
    FreeHand,
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
    /// Leave what was close, go to the object's room and be close to it, to what it rests on or in, to what rests on it, and
    /// (when it is open) to what lies in it.
    GoTo(usize),
    Face(usize),
    /// Into the first free hand, right before left.
    Take(usize),
    /// Out of the hand, onto the second object.
    PlaceOn,
    /// Out of the hand, into the second object.
    PlaceIn,
    /// `−first +second`.
    Swap(usize, State, State),
    SitOn(usize),
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
