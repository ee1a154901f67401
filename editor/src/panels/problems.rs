//! What is wrong: a click selects what it is about.

use egui::{RichText, ScrollArea, Ui};

use super::hierarchy::choose;
use crate::editor::{Editor, LocatedProblem, Wish};

/// Shows all problems.
pub(super) fn show(ui: &mut Ui, editor: &mut Editor) {
    if editor.problems.is_empty() {
        ui.weak(if editor.is_busy() {
            "Checking…"
        } else {
            "Nothing is wrong."
        });
        return;
    }
    let file = editor.document.title();
    let mut chosen = None;
    let height = ui.spacing().interact_size.y;
    let count = editor.problems.len();
    ScrollArea::vertical()
        .auto_shrink([false, false])
        .show_rows(ui, height, count, |ui, range| {
            for problem in editor.problems.get(range).unwrap_or_default() {
                if row(ui, &file, problem) {
                    chosen = Some(problem.clone());
                }
            }
        });
    if let Some(problem) = chosen {
        if let Some(item) = problem.item {
            choose(editor, item, false);
            editor.wish(Wish::FrameSelection);
        }
        editor.status = place(&file, &problem);
        editor.panels.text.go_to(problem.problem.line);
    }
}

fn row(ui: &mut Ui, file: &str, problem: &LocatedProblem) -> bool {
    ui.horizontal(|ui| {
        ui.label(RichText::new("⚠").color(ui.visuals().warn_fg_color));
        let at = ui.link(RichText::new(place(file, problem)).monospace());
        let message = egui::Label::new(&problem.problem.message).truncate();
        let message = ui.add(message.sense(egui::Sense::click()));
        at.clicked() | message.clicked()
    })
    .inner
}

/// As compilers write it: `file:line:column`.
fn place(file: &str, problem: &LocatedProblem) -> String {
    let problem = &problem.problem;
    if problem.line == 0 {
        file.to_owned()
    } else {
        format!("{file}:{}:{}", problem.line, problem.column)
    }
}
