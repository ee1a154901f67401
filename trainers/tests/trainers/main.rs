//! What the learners promise, on a tiny model whose weights are a formula and on the real one.
//!
//! One binary: each test binary pays libtorch's start-up of half a second.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

mod continual;
mod finetune;
mod inverse_dynamics;
mod motor;
mod nn;
mod objectives;
mod representation;
mod representation_theory;
mod suites;
mod tiny;
