//! Questions that wait for an answer, and the list of all commands.

use egui::{Context, Id, Key, Modal, RichText, ScrollArea, TextEdit, Ui};

use crate::action::{ACTIONS, Action, ActionSpec};
use crate::editor::{Dialog, Editor};

/// Shows the question that waits, if one does.
pub(super) fn show(ctx: &Context, editor: &mut Editor) {
    let Some(dialog) = editor.dialog.clone() else {
        editor.panels.command.1 = 0;
        return;
    };
    let response = Modal::new(Id::new("dialog")).show(ctx, |ui| match &dialog {
        Dialog::Unsaved(_) => unsaved(ui, editor),
        Dialog::Path(name) => path(ui, editor, name),
        Dialog::Commands => commands(ui, editor),
    });
    if response.should_close() && editor.dialog.as_ref() == Some(&dialog) {
        editor.act(&Action::Cancel);
    }
}

fn unsaved(ui: &mut Ui, editor: &mut Editor) {
    ui.set_width(340.0);
    ui.heading("Unsaved changes");
    ui.label(format!(
        "{} has changes that are not saved.",
        editor.document.title()
    ));
    ui.add_space(8.0);
    ui.horizontal(|ui| {
        for (label, action) in [
            ("Save", Action::SaveAndGo),
            ("Discard", Action::DiscardAndGo),
            ("Cancel", Action::Cancel),
        ] {
            if ui.button(label).clicked() {
                editor.act(&action);
            }
        }
    });
}

fn path(ui: &mut Ui, editor: &mut Editor, name: &'static str) {
    ui.set_width(460.0);
    let opens = name == "file.open";
    ui.heading(if opens { "Open a scenario" } else { "Save as" });
    let edit = TextEdit::singleline(&mut editor.panels.path)
        .hint_text("folder/home.toml")
        .desired_width(f32::INFINITY);
    let response = ui.add(edit);
    if !response.has_focus() && !response.lost_focus() {
        response.request_focus();
    }
    let mut chosen = response.lost_focus() && ui.input(|i| i.key_pressed(Key::Enter));
    if opens {
        let recent = editor.recent.clone();
        ScrollArea::vertical().max_height(160.0).show(ui, |ui| {
            for path in recent.iter().chain(&files_beside(editor)) {
                let text = path.to_string_lossy().into_owned();
                if ui
                    .selectable_label(editor.panels.path == text, &text)
                    .clicked()
                {
                    editor.panels.path = text;
                    chosen = true;
                }
            }
        });
    }
    ui.add_space(6.0);
    ui.horizontal(|ui| {
        chosen |= ui.button(if opens { "Open" } else { "Save" }).clicked();
        if ui.button("Cancel").clicked() {
            editor.act(&Action::Cancel);
        }
    });
    if chosen && !editor.panels.path.is_empty() {
        let path = Some(std::mem::take(&mut editor.panels.path).into());
        editor.dialog = None;
        editor.act(&if opens {
            Action::Open { path }
        } else {
            Action::SaveAs { path }
        });
    }
}

/// Scenarios in the document's folder.
fn files_beside(editor: &Editor) -> Vec<std::path::PathBuf> {
    let folder = editor.document.path().and_then(|p| p.parent());
    let Some(entries) = folder.and_then(|f| std::fs::read_dir(f).ok()) else {
        return Vec::new();
    };
    let paths = entries.flatten().map(|e| e.path());
    let mut paths: Vec<_> = paths
        .filter(|p| p.extension().is_some_and(|e| e == "toml"))
        .collect();
    paths.sort();
    paths.truncate(40);
    paths
}

/// Every action by its name; a whole line of a script can be typed too.
fn commands(ui: &mut Ui, editor: &mut Editor) {
    ui.set_width(460.0);
    let (line, _) = &mut editor.panels.command;
    let before = line.clone();
    let edit = TextEdit::singleline(line)
        .hint_text("Type a command")
        .desired_width(f32::INFINITY);
    let response = ui.add(edit);
    if !response.has_focus() && !response.lost_focus() {
        response.request_focus();
    }
    let line = line.clone();
    if line != before {
        editor.panels.command.1 = 0;
    }
    let found = matching(&line);
    let (up, down, enter) = ui.input(|i| {
        (
            i.key_pressed(Key::ArrowUp),
            i.key_pressed(Key::ArrowDown),
            i.key_pressed(Key::Enter),
        )
    });
    let place = &mut editor.panels.command.1;
    if down {
        *place = (*place + 1).min(found.len().saturating_sub(1));
    }
    if up {
        *place = place.saturating_sub(1);
    }
    let place = *place;
    let mut chosen = None;
    ScrollArea::vertical()
        .max_height(260.0)
        .auto_shrink([false, true])
        .show(ui, |ui| {
            for (i, spec) in found.iter().enumerate() {
                let text = if spec.menu.is_empty() {
                    spec.label.to_owned()
                } else {
                    format!("{} › {}", spec.menu, spec.label)
                };
                let button = egui::Button::selectable(i == place, text);
                let button = button.shortcut_text(spec.shortcut);
                let response = ui.add(button.min_size(egui::vec2(440.0, 0.0)));
                if i == place && (up || down) {
                    response.scroll_to_me(None);
                }
                if response
                    .on_hover_text(format!("{}\n{}", spec.about, spec.example))
                    .clicked()
                {
                    chosen = Some(*spec);
                }
            }
            if found.is_empty() {
                ui.weak("No command of this name.");
            }
        });
    if let Some(spec) = ACTIONS
        .iter()
        .find(|s| line.split_whitespace().next() == Some(s.name))
    {
        ui.separator();
        ui.label(RichText::new(spec.about).small());
        ui.label(RichText::new(spec.example).small().monospace());
    }
    // A line that is an action is done as it stands.
    if enter && let Ok(action) = Action::parse(&line) {
        editor.dialog = None;
        editor.panels.command = (String::new(), 0);
        editor.act(&action);
        return;
    }
    if enter {
        chosen = found.get(place).copied();
        if let (Err(error), true) = (Action::parse(&line), line.contains(' ')) {
            editor.status = error.to_string();
        }
    }
    if let Some(spec) = chosen {
        editor.panels.command = (String::new(), 0);
        if spec.action().is_some() {
            editor.dialog = None;
        }
        super::bars::run(editor, spec);
    }
}

/// Actions whose name or label has these letters in this order; the closest first.
fn matching(line: &str) -> Vec<&'static ActionSpec> {
    let word = line.split_whitespace().next().unwrap_or_default();
    let whole = line.trim().to_lowercase();
    let exact = ACTIONS.iter().any(|s| s.name == word);
    let pattern = if exact { word } else { whole.as_str() };
    if pattern.is_empty() {
        return ACTIONS.iter().collect();
    }
    let mut found: Vec<(usize, &ActionSpec)> = ACTIONS
        .iter()
        .filter_map(|spec| {
            let label = spread(pattern, &spec.label.to_lowercase());
            let name = spread(pattern, spec.name);
            Some((label.into_iter().chain(name).min()?, spec))
        })
        .collect();
    found.sort_by_key(|(spread, _)| *spread);
    found.into_iter().map(|(_, spec)| spec).collect()
}

/// How far the letters of a pattern lie apart in a text, plus where they start; none if they are not all there.
fn spread(pattern: &str, text: &str) -> Option<usize> {
    let mut sum = 0;
    let mut from = 0;
    for letter in pattern.chars().filter(|c| !c.is_whitespace()) {
        let at = text.get(from..)?.find(letter)?;
        sum += at;
        from += at + letter.len_utf8();
    }
    Some(sum * 100 + text.len())
}
