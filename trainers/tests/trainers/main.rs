//! What the learners promise, on a tiny model whose weights are a formula and on the real one.
//!
//! One binary: each test binary pays libtorch's start-up of half a second.

mod continual;
mod finetune;
mod nn;
mod tiny;
