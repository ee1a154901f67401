//! Policies that move a hand: what they are, how they gather experience, how they learn from it.
//!
//! A work item is a pure function of a policy and its own number: a [`Roller`] starts some worlds anew, acts in them for so many
//! steps, and comes back with a [`Segment`]. Whoever does it, and when, changes nothing, so [`Workers`] may be any number,
//! and may fail. [`ppo`] makes a better policy of segments; its gradients are summed from a fixed number of parts in a fixed
//! order, which any number of workers may share as well. Several learners may share one policy, each with experience of its own
//! ([`Collective`]).
//!
//! Nothing here reads scenarios or writes files: the recipe `motor` does.

mod actor_critic;
mod collective;
pub mod ppo;
mod rollout;
mod workers;

pub use actor_critic::{
    ActorCritic, ActorCriticConfig, Exploration, Memory, Moments, NOISE, Noise, Normalizer, Said,
    Snapshot,
};
pub use collective::{Alone, Collective, Threads};
pub use rollout::{End, EpisodeResult, Item, Roller, Segment};
pub use workers::{Done, Job, Workers};
