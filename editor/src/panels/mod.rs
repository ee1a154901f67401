//! What is around the view: menus, lists and forms, drawn with egui.

/// What the panels remember between frames.
#[derive(Clone, Debug, Default)]
pub struct State {}
