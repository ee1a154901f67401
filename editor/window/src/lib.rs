//! The editor's window: Bevy draws scenes, egui draws the panels of crate `editor`, mouse and keys become its actions.
