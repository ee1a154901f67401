//! The headless world: a house described by a scenario file, in symbols and in Rapier; and a hand, many worlds at a time.
//!
//! A [`scenario::Scenario`] says what was asked for; drawing it with a seed gives an [`scenario::Instance`]; from that start the
//! symbolic [`household::HouseGraph`] and the physical world, two readings of one house that must agree. A policy steps
//! it as an [`env::VectorEnv`], through a [`recorder::Recorder`], which makes the episodes.
//!
//! This crate starts no threads, reads no clock, and knows nothing of policies, learners or windows.

pub mod camera;
pub mod catalogue;
pub mod env;
pub mod hand;
pub mod household;
pub mod observation;
pub mod problem;
pub mod random;
pub mod rapier_hand;
pub mod recorder;
pub mod scenario;
pub mod scenario_file;
pub mod task;
pub mod world;
