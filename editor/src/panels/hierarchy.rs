//! What is where: rooms with what stands in them, and what lies on and in that.

use std::collections::{BTreeMap, BTreeSet};

use egui::{Color32, RichText, ScrollArea, Sense, TextEdit, Ui};

use crate::action::{Action, Item};
use crate::editor::{Editor, Wish};
use crate::home::{Agent, Home, Place};
use crate::scene::{ItemId, Table};

/// What the tree remembers.
#[derive(Clone, Debug, Default)]
pub(super) struct State {
    search: String,
    closed: BTreeSet<Node>,
    /// Made from a revision of the document.
    tree: Option<(u64, Tree)>,
    /// What was selected when the tree last moved to it.
    followed: BTreeSet<ItemId>,
}

/// A line of the tree: an entry, or a heading.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Node {
    Item(ItemId),
    Heading(&'static str),
}

#[derive(Clone, Debug, Default)]
struct Tree {
    roots: Vec<Node>,
    children: BTreeMap<Node, Vec<Node>>,
}

impl Tree {
    fn new(home: &Home) -> Self {
        let mut tree = Self::default();
        let item = |table, index| Node::Item(ItemId { table, index });
        let list = |table| (0..home.len(table)).map(move |index| item(table, index));
        tree.roots.extend(list(Table::Room));
        let mut elsewhere = Vec::new();
        for (index, object) in home.objects.iter().enumerate() {
            let node = item(Table::Object, index);
            let parent = home.parent(index).map(|p| item(Table::Object, p));
            let named = object.room.as_ref();
            let room = match object.places.first() {
                Some(Place::At(at)) => home.room_at(*at),
                _ => None,
            };
            let room = room.or_else(|| home.rooms.iter().position(|r| Some(&r.name) == named));
            match parent.or(room.map(|r| item(Table::Room, r))) {
                Some(parent) => tree.children.entry(parent).or_default().push(node),
                None => elsewhere.push(node),
            }
        }
        for (heading, nodes) in [
            ("Elsewhere", elsewhere),
            ("Doors", list(Table::Door).collect()),
            ("Agents", list(Table::Agent).collect()),
            ("Goals", list(Table::Goal).collect()),
        ] {
            if !nodes.is_empty() {
                tree.roots.push(Node::Heading(heading));
                tree.children.insert(Node::Heading(heading), nodes);
            }
        }
        tree
    }

    /// What is seen, from top to bottom, with its depth.
    fn rows(&self, closed: &BTreeSet<Node>) -> Vec<(Node, usize)> {
        let mut rows = Vec::new();
        let mut open: Vec<(Node, usize)> = self.roots.iter().rev().map(|n| (*n, 0)).collect();
        while let Some((node, depth)) = open.pop() {
            // Things that lie on each other in a circle are in no room; a depth is a safeguard.
            rows.push((node, depth));
            if depth < 16 && !closed.contains(&node) {
                let children = self.children.get(&node).into_iter().flatten();
                open.extend(children.rev().map(|n| (*n, depth + 1)));
            }
        }
        rows
    }
}

/// Shows the tree.
pub(super) fn show(ui: &mut Ui, editor: &mut Editor) {
    let revision = editor.document.revision();
    let home = editor.home().clone();
    let mut state = std::mem::take(&mut editor.panels.hierarchy);
    if state.tree.as_ref().map(|(r, _)| *r) != Some(revision) {
        state.tree = Some((revision, Tree::new(&home)));
    }
    ui.horizontal(|ui| {
        ui.strong("Home");
        let search = TextEdit::singleline(&mut state.search).hint_text("🔍 Search the home");
        ui.add(search.desired_width(f32::INFINITY));
    });
    ui.add_space(2.0);
    let words = state.search.to_lowercase();
    let tree = state.tree.as_ref().map(|(_, tree)| tree);
    let rows: Vec<(Node, usize)> = if words.is_empty() {
        tree.map(|t| t.rows(&state.closed)).unwrap_or_default()
    } else {
        let found = |item: &ItemId| {
            let class = match item.table {
                Table::Object => home.objects[item.index].class.as_str(),
                table => table.name(),
            };
            home.title(*item).to_lowercase().contains(&words) || class.contains(&words)
        };
        let items = Table::ALL
            .into_iter()
            .flat_map(|table| (0..home.len(table)).map(move |index| ItemId { table, index }));
        items
            .filter(found)
            .map(|item| (Node::Item(item), 0))
            .collect()
    };
    if rows.is_empty() {
        ui.weak(if editor.document.is_hand_task() {
            "A hand's task: its fields are on the right."
        } else if words.is_empty() {
            "An empty home: add a room first."
        } else {
            "Nothing of this name."
        });
    }
    let height = ui.spacing().interact_size.y;
    let mut area = ScrollArea::vertical().auto_shrink([false, false]);
    // What was selected elsewhere comes into sight.
    if state.followed != editor.selection {
        state.followed.clone_from(&editor.selection);
        let first = rows.iter().position(
            |(node, _)| matches!(node, Node::Item(item) if editor.selection.contains(item)),
        );
        if let Some(row) = first {
            let step = height + ui.spacing().item_spacing.y;
            area = area
                .vertical_scroll_offset((row as f32 * step - 0.4 * ui.available_height()).max(0.0));
        }
    }
    let mut hovered = None;
    area.show_rows(ui, height, rows.len(), |ui, range| {
        for (node, depth) in rows.get(range).unwrap_or_default() {
            let inner = tree.is_some_and(|t| t.children.contains_key(node)) && words.is_empty();
            row(
                ui,
                editor,
                &home,
                &mut state.closed,
                (*node, *depth, inner),
                &mut hovered,
            );
        }
    });
    if ui.ui_contains_pointer() {
        editor.hovered = hovered;
    }
    // Selecting a line is no reason to move it.
    state.followed.clone_from(&editor.selection);
    editor.panels.hierarchy = state;
}

fn row(
    ui: &mut Ui,
    editor: &mut Editor,
    home: &Home,
    closed: &mut BTreeSet<Node>,
    (node, depth, inner): (Node, usize, bool),
    hovered: &mut Option<ItemId>,
) {
    ui.horizontal(|ui| {
        ui.add_space(12.0 * depth as f32);
        let arrow = match (inner, closed.contains(&node)) {
            (false, _) => " ",
            (true, true) => "⏵",
            (true, false) => "⏷",
        };
        let arrow = egui::Label::new(RichText::new(arrow).weak().monospace()).sense(Sense::click());
        if ui.add_sized([12.0, 16.0], arrow).clicked() && !closed.remove(&node) {
            closed.insert(node);
        }
        let item = match node {
            Node::Heading(text) => {
                ui.weak(text);
                return;
            }
            Node::Item(item) => item,
        };
        ui.label(RichText::new("■").size(9.0).color(color(home, item)));
        let title = home.title(item);
        let wrong = editor.problems.iter().any(|p| p.item == Some(item));
        let mut text = RichText::new(title);
        if wrong {
            text = text.color(ui.visuals().warn_fg_color);
        }
        let button = egui::Button::selectable(editor.selection.contains(&item), text).truncate();
        let response = ui.add(button);
        if response.hovered() {
            *hovered = Some(item);
        }
        if response.clicked() {
            let more = ui.input(|i| i.modifiers.command || i.modifiers.shift);
            choose(editor, item, more);
        }
        if response.double_clicked() {
            editor.wish(Wish::FrameSelection);
        }
        response.context_menu(|ui| {
            if !editor.selection.contains(&item) {
                choose(editor, item, false);
            }
            for name in [
                "view.frame",
                "object.rename",
                "object.duplicate",
                "object.delete",
                "select.children",
                "select.same_class",
            ] {
                let spec = crate::action::ACTIONS.iter().find(|s| s.name == name);
                if let Some(spec) = spec
                    && ui.button(spec.label).on_hover_text(spec.about).clicked()
                {
                    super::bars::run(editor, spec);
                    ui.close();
                }
            }
        });
    });
}

/// Selects an entry, or one more.
pub(super) fn choose(editor: &mut Editor, item: ItemId, more: bool) {
    let name = Item(format!("{}:{}", item.table.name(), item.index));
    // An object may have such a name: then the set is changed as the action would.
    if editor.home().resolve(&name.0) == Some(item) {
        editor.act(&if more {
            Action::SelectToggle { item: name }
        } else {
            Action::SelectOnly { item: name }
        });
    }
}

fn color(home: &Home, item: ItemId) -> Color32 {
    match item.table {
        Table::Room => Color32::from_rgb(150, 150, 160),
        Table::Door => Color32::from_rgb(178, 133, 89),
        Table::Goal => Color32::from_rgb(110, 180, 120),
        Table::Agent => match home.agents.get(item.index) {
            Some(Agent::Hand { .. }) => Color32::from_rgb(222, 198, 178),
            _ => Color32::from_rgb(232, 140, 61),
        },
        Table::Object => home
            .objects
            .get(item.index)
            .and_then(|o| home.class(o))
            .map_or(Color32::from_rgb(230, 51, 191), super::icon_color),
    }
}
