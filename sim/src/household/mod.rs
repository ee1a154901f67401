//! The symbolic house: what a planner imagines on. No geometry, no physics, no clock.

mod action;
mod fact;
mod graph;
mod house;
#[cfg(test)]
pub(crate) mod tests;

pub use action::{ActionError, Effect, HouseAction, Need, VERBS, Verb, VerbSpec};
pub use fact::{EntityId, Fact, FactError, Relation, State, StateSet};
pub use graph::{Change, Hand, HouseGraph, Place, Reason, Refusal};
pub use house::{Entity, House, Kind, MAX_ROOMS};
