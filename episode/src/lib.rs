//! The vocabulary of experience and the format it is kept in.
//!
//! An [`Episode`] is what happened in one world between a reset and its end: the first [`Observation`], then one
//! [`Step`] for each [`Action`]. A [`store`] keeps episodes in closed Parquet shards listed by a manifest, so that
//! nothing recorded is ever lost to a crash. A [`stream`] is an episode told line by line while it happens.
//!
//! This crate knows nothing of houses, hands, policies or learners: values are named texts and arrays.
//!
//! ```
//! use episode::{Observation, Space, Value};
//! let space = Space::Dict(vec![("facts".into(), Space::Text { max_bytes: 64 })]);
//! let observation = Observation::new().with("facts", Value::Text("fridge CLOSED".into()));
//! assert!(space.contains(&observation.into_value()));
//! ```

pub mod store;
pub mod stream;
mod vocabulary;

pub use vocabulary::{Action, Episode, Header, Observation, RewardTerm, Space, Step, Value};
