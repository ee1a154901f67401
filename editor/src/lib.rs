//! The editor without its window: shape a scenario by hand, play it, look into any episode.
//!
//! The document is the truth: a scenario file's text, edited in place so that comments and order survive. What is seen is a
//! projection of it, a [`scene::Scene`]; nothing is ever saved from a picture. Everything that a person can do is a named action
//! that an editor carries out, whether it comes from a menu, a shortcut, the command palette, the mouse or a script.
//!
//! Knows no Bevy, no window, no policies and no learners; panels are drawn with egui.

pub mod action;
mod check;
pub mod document;
pub mod editor;
pub mod edits;
pub mod episodes;
pub mod figure;
pub mod hand_picture;
pub mod home;
pub mod panels;
pub mod picture;
pub mod play;
pub mod project;
pub mod scene;
mod watch;
