//! The symbolic house: what a planner imagines on. No geometry, no physics, no clock.

mod action;
mod fact;
mod graph;
mod house;

pub use action::{Effect, HouseAction, Need, Verb, VerbSpec};
pub use fact::{EntityId, Fact, Relation, State};
pub use graph::HouseGraph;
pub use house::{Entity, House, Kind};
