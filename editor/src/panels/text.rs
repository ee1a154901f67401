//! The text of the file, with the lines of what is selected marked.

use std::collections::BTreeSet;
use std::ops::Range;

use egui::{RichText, ScrollArea, Ui};

use crate::editor::Editor;
use crate::scene::ItemId;

/// What is known of a revision of the text.
#[derive(Clone, Debug, Default)]
pub(super) struct State {
    revision: Option<u64>,
    /// Where each line starts, in bytes.
    lines: Vec<usize>,
    spans: Vec<(ItemId, Range<usize>)>,
    followed: BTreeSet<ItemId>,
    go_to: Option<usize>,
}

impl State {
    /// Brings a line into sight, counted from 1.
    pub(super) fn go_to(&mut self, line: usize) {
        self.go_to = line.checked_sub(1);
    }
}

/// Shows the text.
pub(super) fn show(ui: &mut Ui, editor: &mut Editor) {
    let mut state = std::mem::take(&mut editor.panels.text);
    let text = editor.document.text();
    if state.revision != Some(editor.document.revision()) {
        state.revision = Some(editor.document.revision());
        state.spans = editor.document.spans();
        let starts = text.match_indices('\n').map(|(i, _)| i + 1);
        state.lines = std::iter::once(0).chain(starts).collect();
    }
    let selected = |(item, _): &&(ItemId, Range<usize>)| editor.selection.contains(item);
    let marked: Vec<Range<usize>> = state
        .spans
        .iter()
        .filter(selected)
        .map(|(_, s)| s.clone())
        .collect();
    if state.followed != editor.selection {
        state.followed.clone_from(&editor.selection);
        let start = marked.first().map(|span| span.start);
        let line = start.map(|start| state.lines.partition_point(|l| *l <= start) - 1);
        state.go_to = line.or(state.go_to);
    }
    let height = ui.text_style_height(&egui::TextStyle::Monospace);
    let mut area = ScrollArea::both().auto_shrink([false, false]);
    if let Some(line) = state.go_to.take() {
        let step = height + ui.spacing().item_spacing.y;
        area = area
            .vertical_scroll_offset((line as f32 * step - 0.3 * ui.available_height()).max(0.0));
    }
    let digits = state.lines.len().to_string().len();
    area.show_rows(ui, height, state.lines.len(), |ui, range| {
        for line in range {
            let Some(&start) = state.lines.get(line) else {
                continue;
            };
            let rest = text.get(start..).unwrap_or_default();
            let content = rest.lines().next().unwrap_or_default();
            let inside =
                |span: &Range<usize>| start < span.end && start + content.len() >= span.start;
            ui.horizontal(|ui| {
                ui.label(
                    RichText::new(format!("{:digits$}", line + 1))
                        .monospace()
                        .weak(),
                );
                let mut shown = RichText::new(content).monospace();
                if marked.iter().any(inside) {
                    shown = shown.background_color(ui.visuals().selection.bg_fill);
                }
                ui.add(egui::Label::new(shown).extend());
            });
        }
    });
    editor.panels.text = state;
}
