//! What is around the view: menus, lists and forms, drawn with egui.
//!
//! A panel shows the editor's state and dispatches actions; it keeps nothing of its own but what is being typed.

mod bars;
mod dialogs;
pub mod episodes;
mod goals;
mod hierarchy;
mod inspector;
mod palette;
pub mod play;
mod problems;
mod schema;
mod shortcuts;
mod text;
mod widgets;

use egui::{Color32, Context, Frame, Id, LayerId, Margin, Panel, Rect, ScrollArea, Ui, UiBuilder};

use crate::action::Action;
use crate::editor::{Editor, Page};

pub use palette::{icon_color, place_of};

/// What the panels remember between frames.
#[derive(Clone, Debug, Default)]
pub struct State {
    hierarchy: hierarchy::State,
    palette: palette::State,
    text: text::State,
    /// The line of the command palette, and the place in its list.
    command: (String, usize),
    /// The path that is being typed.
    path: String,
    styled: Option<bool>,
}

/// Draws all panels, and answers with what is left for the view (points).
pub fn show_all(ctx: &Context, editor: &mut Editor) -> Rect {
    let root = UiBuilder::new()
        .layer_id(LayerId::background())
        .max_rect(ctx.content_rect());
    show_in(&mut Ui::new(ctx.clone(), Id::new("editor"), root), editor)
}

/// Draws all panels within `ui`, and answers with what is left for the view (points).
pub fn show_in(ui: &mut Ui, editor: &mut Editor) -> Rect {
    style(ui.ctx(), editor);
    shortcuts::dispatch(ui.ctx(), editor);
    Panel::top("menu")
        .frame(bar(ui))
        .show_inside(ui, |ui| bars::menu(ui, editor));
    Panel::top("tools")
        .frame(bar(ui))
        .show_inside(ui, |ui| bars::tools(ui, editor));
    if let Some(banner) = editor.banner.clone() {
        let frame = Frame::new()
            .inner_margin(Margin::symmetric(10, 5))
            .fill(Color32::from_rgb(122, 82, 18));
        Panel::top("banner")
            .frame(frame)
            .show_inside(ui, |ui| bars::banner(ui, editor, &banner));
    }
    Panel::bottom("status")
        .frame(bar(ui))
        .show_inside(ui, |ui| bars::status(ui, editor));
    if editor.view.panels {
        let side = Frame::side_top_panel(ui.style()).inner_margin(Margin::symmetric(8, 6));
        Panel::left("hierarchy")
            .default_size(220.0)
            .size_range(160.0..=400.0)
            .frame(side)
            .show_inside(ui, |ui| hierarchy::show(ui, editor));
        Panel::right("inspector")
            .default_size(280.0)
            .size_range(220.0..=480.0)
            .frame(side)
            .show_inside(ui, |ui| inspector::show(ui, editor));
        let pages = Panel::bottom("pages").frame(side);
        if editor.page == Page::Closed {
            pages.show_inside(ui, |ui| tabs(ui, editor));
        } else {
            pages
                .resizable(true)
                .default_size(168.0)
                .size_range(90.0..=420.0)
                .show_inside(ui, |ui| {
                    tabs(ui, editor);
                    ui.add_space(4.0);
                    page(ui, editor);
                    ui.take_available_space();
                });
        }
    }
    let left = ui.available_rect_before_wrap();
    dialogs::show(ui.ctx(), editor);
    left
}

fn tabs(ui: &mut Ui, editor: &mut Editor) {
    ui.horizontal(|ui| {
        for (page, _, label) in Page::ALL {
            let count = editor.problems.len();
            let label = match page {
                Page::Problems if count > 0 => format!("{label} ({count})"),
                _ => label.to_owned(),
            };
            if ui.selectable_label(editor.page == page, label).clicked() {
                editor.page = if editor.page == page {
                    Page::Closed
                } else {
                    page
                };
            }
        }
    });
}

fn page(ui: &mut Ui, editor: &mut Editor) {
    match editor.page {
        Page::Palette => palette::show(ui, editor),
        Page::Problems => problems::show(ui, editor),
        Page::Goals => goals::show(ui, editor),
        Page::Text => text::show(ui, editor),
        Page::Play => scrolled(ui, editor, play::show),
        Page::Episodes => scrolled(ui, editor, episodes::show),
        Page::Closed => {}
    }
}

fn scrolled(ui: &mut Ui, editor: &mut Editor, show: fn(&mut Ui, &mut Editor)) {
    ScrollArea::vertical()
        .auto_shrink([false, false])
        .show(ui, |ui| show(ui, editor));
}

/// Carries actions out; what cannot be done is said.
fn perform(editor: &mut Editor, actions: &[Action]) {
    for action in actions {
        editor.act(action);
    }
}

fn bar(ui: &Ui) -> Frame {
    Frame::side_top_panel(ui.style()).inner_margin(Margin::symmetric(8, 3))
}

fn style(ctx: &Context, editor: &mut Editor) {
    if editor.panels.styled == Some(editor.view.dark) {
        return;
    }
    editor.panels.styled = Some(editor.view.dark);
    let dark = editor.view.dark;
    ctx.set_theme(if dark {
        egui::Theme::Dark
    } else {
        egui::Theme::Light
    });
    ctx.all_styles_mut(|style| {
        style.spacing.item_spacing = egui::vec2(6.0, 4.0);
        style.spacing.button_padding = egui::vec2(6.0, 2.0);
        style.spacing.interact_size.y = 20.0;
        style.spacing.slider_width = 90.0;
        style.interaction.tooltip_delay = 0.4;
        style.visuals.widgets.inactive.corner_radius = 3.into();
        style.visuals.widgets.hovered.corner_radius = 3.into();
        style.visuals.widgets.active.corner_radius = 3.into();
        for text in [egui::TextStyle::Body, egui::TextStyle::Button] {
            style
                .text_styles
                .insert(text, egui::FontId::proportional(12.5));
        }
        let small = egui::FontId::proportional(10.5);
        style.text_styles.insert(egui::TextStyle::Small, small);
        let code = egui::FontId::monospace(11.5);
        style.text_styles.insert(egui::TextStyle::Monospace, code);
    });
}

#[cfg(test)]
mod tests;
