//! The editor's window: Bevy draws scenes, egui draws the panels of crate `editor`, mouse and keys become its actions.
//!
//! The editor's state is the truth and the entities are a projection of it: nothing is ever read back from them. A gesture of
//! the mouse becomes one action when it ends.

pub mod app;
mod cut_away;
pub mod desk;
pub mod orbit;
mod panels;
pub mod picture;
pub mod places;
pub mod pointer;
pub mod projection;
pub mod script;
pub mod sight;
pub mod trouble;
mod waker;
