//! What acts in the world: policies, and the rollouts that turn them into experience.
//!
//! A [`Policy`] turns observations into actions for every world of a vector of environments. This crate knows nothing
//! of learners; a hand's policy that one wrote is read from its file ([`learned`]).

pub mod gripper;
pub mod hand;
pub mod learned;
pub mod measure;
pub mod planner;
mod policy;
pub mod random;
pub mod rollout;
pub mod scripted;

pub use planner::PlannerPolicy;
pub use policy::{Briefed, Briefing, Policy};
pub use random::RandomPolicy;
pub use scripted::ScriptedPolicy;
