//! Facts: the words in which a house is described, observed and wanted.
//!
//! A fact is `subject STATE` (`fridge CLOSED`) or `subject RELATION object` (`milk ON kitchen table`). Names are
//! lower-case, the word between them upper-case, so a fact can be read without quotes.

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

/// A relation between two entities (VirtualHome's names).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Relation {
    /// Rests on a surface of the other.
    On,
    /// Lies in the other, or is in that room.
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

/// Something that is true of a house.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fact {
    /// `subject STATE`.
    Is(EntityId, State),
    /// `subject RELATION object`.
    Holds(EntityId, Relation, EntityId),
}
