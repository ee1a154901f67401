//! Fields that are typed into: what is being typed counts once it is finished.

use egui::{DragValue, Id, Key, Response, TextEdit, Ui};

use crate::editor::Editor;

/// A line of text; the new text once it was typed.
pub(super) fn text(ui: &mut Ui, id: Id, hint: &str, now: &str) -> (Response, Option<String>) {
    let draft = ui.data(|d| d.get_temp::<String>(id));
    let mut text = draft.unwrap_or_else(|| now.to_owned());
    let edit = TextEdit::singleline(&mut text).id(id).hint_text(hint);
    let response = ui.add(edit.desired_width(f32::INFINITY));
    if response.has_focus() {
        ui.data_mut(|d| d.insert_temp(id, text.clone()));
    }
    if !response.lost_focus() {
        return (response, None);
    }
    ui.data_mut(|d| d.remove::<String>(id));
    let dropped = ui.input(|i| i.key_pressed(Key::Escape));
    let new = (!dropped && text != now).then_some(text);
    (response, new)
}

/// How a number is shown and how far a drag goes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Measure {
    pub(super) unit: &'static str,
    pub(super) step: f64,
    pub(super) least: f64,
    pub(super) most: f64,
    pub(super) decimals: usize,
}

/// A number that can be dragged and typed; the new one, at every step of a drag. All steps are one entry of the history.
pub(super) fn number(
    ui: &mut Ui,
    editor: &mut Editor,
    label: &str,
    now: f64,
    measure: Measure,
) -> Option<f64> {
    let mut value = now;
    let drag = DragValue::new(&mut value)
        .speed(measure.step)
        .range(measure.least..=measure.most)
        .clamp_existing_to_range(false)
        .max_decimals(measure.decimals)
        .suffix(measure.unit)
        .update_while_editing(false);
    let response = ui.add(drag);
    if response.drag_started() {
        editor.begin_gesture(&format!("Change {label}"));
    }
    if response.drag_stopped() {
        editor.end_gesture();
    }
    (response.changed() && value != now).then_some(value)
}
