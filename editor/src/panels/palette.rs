//! Classes of objects: a click places one before the eye, a drag where it is dropped.

use egui::{Color32, DragAndDrop, RichText, ScrollArea, Sense, TextEdit, Ui};
use sim::catalogue::Class;

use crate::action::Action;
use crate::editor::Editor;

/// What the palette remembers.
#[derive(Clone, Debug, Default)]
pub(super) struct State {
    search: String,
    category: Option<String>,
}

/// The color of a class.
pub fn icon_color(class: &Class) -> Color32 {
    let [r, g, b] = class.color.map(|c| (c * 255.0) as u8);
    Color32::from_rgb(r, g, b)
}

/// Shows the classes. What is dragged is the name of a class, as a `String` of egui's drag and drop.
pub(super) fn show(ui: &mut Ui, editor: &mut Editor) {
    let home = editor.home().clone();
    let mut state = std::mem::take(&mut editor.panels.palette);
    ui.horizontal_wrapped(|ui| {
        let search = TextEdit::singleline(&mut state.search).hint_text("🔍 Search objects");
        let search = ui.add(search.desired_width(150.0));
        keep_place(ui, "search", &search);
        let mut categories: Vec<&str> = home
            .catalogue
            .classes()
            .map(|(_, c)| c.category.as_str())
            .collect();
        categories.sort_unstable();
        categories.dedup();
        if ui
            .selectable_label(state.category.is_none(), "All")
            .clicked()
        {
            state.category = None;
        }
        for category in categories {
            let on = state.category.as_deref() == Some(category);
            if ui.selectable_label(on, category).clicked() {
                state.category = (!on).then(|| category.to_owned());
            }
        }
    });
    ui.add_space(2.0);
    let words = state.search.to_lowercase();
    let shown = |class: &&Class| {
        class.name.contains(&words) && state.category.as_ref().is_none_or(|c| *c == class.category)
    };
    let mut chosen = None;
    ScrollArea::vertical()
        .auto_shrink([false, false])
        .show(ui, |ui| {
            ui.horizontal_wrapped(|ui| {
                let mut none = true;
                for class in home.catalogue.classes().map(|(_, c)| c).filter(shown) {
                    none = false;
                    if chip(ui, class) {
                        chosen = Some(class.name.clone());
                    }
                }
                if none {
                    ui.weak("No class of this name.");
                }
            });
        });
    editor.panels.palette = state;
    if let Some(class) = chosen {
        editor.act(&Action::Place { class, spot: None });
    }
}

/// Whether it was clicked.
fn chip(ui: &mut Ui, class: &Class) -> bool {
    let text = egui::Atoms::new((
        RichText::new("■").color(icon_color(class)),
        class.name.as_str(),
    ));
    let button = egui::Button::new(text).sense(Sense::click_and_drag());
    let response = ui.add(button);
    keep_place(ui, &class.name, &response);
    if response.drag_started() {
        DragAndDrop::set_payload(ui.ctx(), class.name.clone());
    }
    if response.dragged() {
        ui.ctx().set_cursor_icon(egui::CursorIcon::Grabbing);
    }
    let [depth, width, height] = class.size;
    let kind = if class.fixed {
        "stays where it is put"
    } else {
        "can be moved"
    };
    let hint = format!(
        "{} · {}\n{width:.2} m wide, {depth:.2} m deep, {height:.2} m high, {:.2} kg\n{kind}; drag it into the view or click",
        class.name, class.category, class.mass
    );
    response.on_hover_text(hint).clicked()
}

/// Where a class, or the field to search them, was drawn last (points), for who moves the mouse to it by program.
pub fn place_of(ctx: &egui::Context, name: &str) -> Option<egui::Rect> {
    let kept: Option<(u64, egui::Rect)> = ctx.data(|data| data.get_temp(place_id(name)));
    kept.filter(|(pass, _)| pass + 1 >= ctx.cumulative_pass_nr())
        .map(|(_, place)| place)
}

fn keep_place(ui: &Ui, name: &str, response: &egui::Response) {
    if ui.is_rect_visible(response.rect) {
        let kept = (ui.ctx().cumulative_pass_nr(), response.rect);
        ui.ctx()
            .data_mut(|data| data.insert_temp(place_id(name), kept));
    }
}

fn place_id(name: &str) -> egui::Id {
    egui::Id::new(("palette", name))
}
