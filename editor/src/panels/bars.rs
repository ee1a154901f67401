//! Menus, tools, banner and status.

use egui::{Button, Color32, MenuBar, RichText, Separator, Ui};

use crate::action::{ACTIONS, Action, ActionSpec};
use crate::editor::{Banner, Dialog, Editor, Gizmo};

const MENUS: [&str; 9] = [
    "File", "Edit", "Select", "Add", "Object", "View", "Tools", "Play", "Episodes",
];

/// All menus, from the table of actions.
pub(super) fn menu(ui: &mut Ui, editor: &mut Editor) {
    MenuBar::new().ui(ui, |ui| {
        for menu in MENUS.into_iter().chain(["Help"]) {
            ui.menu_button(menu, |ui| {
                ui.set_min_width(190.0);
                for spec in ACTIONS.iter().filter(|s| s.menu == menu) {
                    entry(ui, editor, spec);
                }
                if menu == "File" && !editor.recent.is_empty() {
                    ui.separator();
                    for (path, number) in editor.recent.clone().iter().zip(1..) {
                        let name = path.file_name().unwrap_or_default().to_string_lossy();
                        let button = ui.button(format!("{number}  {name}"));
                        if button.on_hover_text(path.to_string_lossy()).clicked() {
                            editor.act(&Action::Recent { number });
                        }
                    }
                }
            });
        }
        ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
            let mark = if editor.document.is_dirty() {
                " •"
            } else {
                ""
            };
            let title = format!("{}{mark}", editor.document.title());
            let path = editor
                .document
                .path()
                .map(|p| p.to_string_lossy().into_owned());
            let hint = path.unwrap_or_else(|| "not saved yet".to_owned());
            ui.label(RichText::new(title).strong()).on_hover_text(hint);
        });
    });
}

fn entry(ui: &mut Ui, editor: &mut Editor, spec: &'static ActionSpec) {
    let mut label = spec.label.to_owned();
    let mut enabled = true;
    if spec.name == "edit.undo" {
        enabled = editor.document.undo_label().is_some();
        label.extend(editor.document.undo_label().map(|l| format!(" {l}")));
    }
    if spec.name == "edit.redo" {
        enabled = editor.document.redo_label().is_some();
        label.extend(editor.document.redo_label().map(|l| format!(" {l}")));
    }
    let shown = match spec.name {
        "view.grid" => Some(editor.view.grid),
        "view.ceiling" => Some(editor.view.ceiling),
        "view.cut_away" => Some(editor.view.cut_away),
        "view.ghosts" => Some(editor.view.ghosts),
        "view.names" => Some(editor.view.names),
        "view.snap" => Some(editor.view.snap),
        "view.panels" => Some(editor.view.panels),
        _ => None,
    };
    let button = Button::new(label).shortcut_text(spec.shortcut);
    let button = button.selected(shown == Some(true));
    if ui
        .add_enabled(enabled, button)
        .on_hover_text(spec.about)
        .clicked()
    {
        run(editor, spec);
        ui.close();
    }
}

/// Does an action, or asks for its arguments.
pub(super) fn run(editor: &mut Editor, spec: &'static ActionSpec) {
    match spec.action() {
        Some(action) => editor.act(&action),
        None => {
            editor.panels.command = (format!("{} ", spec.name), 0);
            editor.dialog = Some(Dialog::Commands);
        }
    }
}

/// What is used most.
pub(super) fn tools(ui: &mut Ui, editor: &mut Editor) {
    ui.horizontal(|ui| {
        let tool = |ui: &mut Ui, editor: &mut Editor, text: &str, on: bool, action: Action| {
            let spec = action.spec();
            let hint = if spec.shortcut.is_empty() {
                spec.about.to_owned()
            } else {
                format!("{} ({})", spec.about, spec.shortcut)
            };
            let button = Button::selectable(on, text);
            if ui.add(button).on_hover_text(hint).clicked() {
                editor.act(&action);
            }
        };
        let gap = |ui: &mut Ui| {
            ui.add(Separator::default().vertical().spacing(8.0));
        };
        tool(ui, editor, "⟲ Undo", false, Action::Undo);
        tool(ui, editor, "⟳ Redo", false, Action::Redo);
        gap(ui);
        let gizmo = editor.view.gizmo;
        tool(
            ui,
            editor,
            "⬌ Move",
            gizmo == Gizmo::Translate,
            Action::GizmoTranslate,
        );
        tool(
            ui,
            editor,
            "↻ Turn",
            gizmo == Gizmo::Rotate,
            Action::GizmoRotate,
        );
        tool(
            ui,
            editor,
            "Snap",
            editor.view.snap,
            Action::Snap { on: None },
        );
        let (mut meters, mut degrees) = (editor.view.snap_meters, editor.view.snap_degrees);
        let step = egui::DragValue::new(&mut meters)
            .speed(0.01)
            .range(0.01..=1.0)
            .suffix(" m");
        let angle = egui::DragValue::new(&mut degrees)
            .speed(1.0)
            .range(1.0..=90.0)
            .suffix("°");
        let changed = ui.add(step).on_hover_text("Step of the grid").changed()
            | ui.add(angle).on_hover_text("Step of angles").changed();
        if changed {
            editor.act(&Action::SnapStep { meters, degrees });
        }
        gap(ui);
        tool(
            ui,
            editor,
            "Grid",
            editor.view.grid,
            Action::Grid { show: None },
        );
        tool(
            ui,
            editor,
            "Cut away",
            editor.view.cut_away,
            Action::CutAway { cut: None },
        );
        tool(
            ui,
            editor,
            "Ghosts",
            editor.view.ghosts,
            Action::Ghosts { show: None },
        );
        tool(
            ui,
            editor,
            "Names",
            editor.view.names,
            Action::Names { show: None },
        );
        gap(ui);
        tool(ui, editor, "Frame", false, Action::Frame);
        tool(ui, editor, "Top", false, Action::LookTop);
        tool(ui, editor, "Front", false, Action::LookFront);
        tool(ui, editor, "Side", false, Action::LookSide);
        tool(ui, editor, "Angle", false, Action::LookHome);
        gap(ui);
        tool(
            ui,
            editor,
            "🎲 Draw anew",
            false,
            Action::Reseed { seed: None },
        );
    });
}

/// What the user has to know.
pub(super) fn banner(ui: &mut Ui, editor: &mut Editor, banner: &Banner) {
    ui.horizontal(|ui| {
        ui.label(RichText::new("⚠").color(Color32::WHITE));
        ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
            if ui
                .button("❌")
                .on_hover_text("Close this message")
                .clicked()
            {
                editor.banner = None;
            }
            for action in banner.choices.iter().rev() {
                if ui
                    .button(action.spec().label)
                    .on_hover_text(action.spec().about)
                    .clicked()
                {
                    editor.act(action);
                }
            }
            ui.with_layout(egui::Layout::left_to_right(egui::Align::Center), |ui| {
                let text = RichText::new(&banner.text).color(Color32::WHITE);
                ui.add(egui::Label::new(text).truncate());
            });
        });
    });
}

/// What happened last, and how things are.
pub(super) fn status(ui: &mut Ui, editor: &mut Editor) {
    ui.horizontal(|ui| {
        ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
            let problems = editor.problems.len();
            let text = match problems {
                0 if editor.is_busy() => "checking…".to_owned(),
                0 => "no problems".to_owned(),
                1 => "1 problem".to_owned(),
                n => format!("{n} problems"),
            };
            let color = if problems == 0 {
                ui.visuals().weak_text_color()
            } else {
                ui.visuals().warn_fg_color
            };
            let label =
                egui::Label::new(RichText::new(text).color(color)).sense(egui::Sense::click());
            if ui.add(label).clicked() {
                let name = "problems".to_owned();
                editor.act(&Action::Page { name });
            }
            ui.separator();
            ui.weak(format!("seed {}", editor.view.seed));
            ui.separator();
            ui.weak(format!("{} selected", editor.selection.len()));
            ui.separator();
            ui.with_layout(egui::Layout::left_to_right(egui::Align::Center), |ui| {
                ui.add(egui::Label::new(&editor.status).truncate());
            });
        });
    });
}
