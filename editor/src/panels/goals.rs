//! What is wanted: words, and the facts that must hold, picked from lists.

use egui::{ComboBox, Id, ScrollArea, Ui};
use sim::household::{Relation, State};
use toml_edit::{Array, Value};

use super::widgets;
use crate::action::Action;
use crate::document::Edit;
use crate::editor::Editor;
use crate::edits::set;
use crate::home::Home;
use crate::scene::{ItemId, Table};

/// Shows all goals.
pub(super) fn show(ui: &mut Ui, editor: &mut Editor) {
    let home = editor.home().clone();
    ScrollArea::vertical()
        .auto_shrink([false, false])
        .show(ui, |ui| {
            if ui.button("+ Goal").clicked() {
                editor.act(&Action::GoalAdd {
                    say: "Close the fridge.".to_owned(),
                    facts: vec!["fridge CLOSED".to_owned()],
                });
            }
            for index in 0..home.goals.len() {
                let item = ItemId {
                    table: Table::Goal,
                    index,
                };
                ui.push_id(index, |ui| form(ui, editor, &home, item));
                ui.separator();
            }
        });
}

/// The form of one goal; also part of the inspector.
pub(super) fn form(ui: &mut Ui, editor: &mut Editor, home: &Home, item: ItemId) {
    let Some(goal) = home.goals.get(item.index) else {
        return;
    };
    let mut edits: Vec<Edit> = Vec::new();
    ui.horizontal(|ui| {
        if ui
            .small_button("❌")
            .on_hover_text("Remove this goal")
            .clicked()
        {
            edits.push(Edit::Remove(item));
        }
        let id = Id::new(("goal", item.index, "say"));
        if let (_, Some(say)) = widgets::text(ui, id, "What is wanted, in words", &goal.say) {
            edits.push(set(item, "say", say));
        }
    });
    for (i, fact) in goal.all.iter().enumerate() {
        ui.horizontal_wrapped(|ui| {
            ui.add_space(18.0);
            if let Some(new) = fact_form(ui, home, (item.index, i), fact) {
                edits.push(set(item, format!("all.{i}"), new));
            }
            if ui
                .small_button("−")
                .on_hover_text("Remove this fact")
                .clicked()
            {
                edits.push(Edit::Unset {
                    item,
                    field: format!("all.{i}"),
                });
            }
        });
    }
    ui.horizontal(|ui| {
        ui.add_space(18.0);
        if ui.small_button("+ fact").clicked() {
            let first = home.objects.first().map_or("agent", |o| o.title.as_str());
            let fact = Value::from(format!("{first} CLOSED"));
            let field = format!("all.{}", goal.all.len());
            if editor.document.field(item, "all").is_some() {
                edits.push(set(item, field, fact));
            } else {
                edits.push(set(item, "all", Value::Array(Array::from_iter([fact]))));
            }
        }
    });
    if !edits.is_empty()
        && let Err(error) = editor.edit("Change goal", &edits)
    {
        editor.status = error.to_string();
    }
}

/// Subject, word and object of a fact; the fact, once it is another.
fn fact_form(ui: &mut Ui, home: &Home, id: (usize, usize), fact: &str) -> Option<String> {
    let words: Vec<&str> = fact.split_whitespace().collect();
    let capitals = |w: &&str| w.chars().all(|c| c.is_ascii_uppercase() || c == '_');
    let at = words.iter().position(capitals);
    let subject = words[..at.unwrap_or(words.len())].join(" ");
    let word = at.map_or("", |i| words[i]);
    let object = at.map_or_else(String::new, |i| words[i + 1..].join(" "));
    let relations: Vec<&str> = Relation::ALL.iter().map(|r| r.name()).collect();
    let states = State::ALL.iter().map(|s| s.name());
    let all: Vec<&str> = states.chain(relations.iter().copied()).collect();
    let names = names(home);
    let mut new = None;
    if let Some(subject) = pick(
        ui,
        (id, 0),
        100.0,
        &subject,
        names.iter().map(String::as_str),
    ) {
        new = Some((subject, word.to_owned(), object.clone()));
    }
    if let Some(word) = pick(ui, (id, 1), 100.0, word, all.into_iter()) {
        new = Some((subject.clone(), word, object.clone()));
    }
    if relations.contains(&word)
        && let Some(object) = pick(
            ui,
            (id, 2),
            100.0,
            &object,
            names.iter().map(String::as_str),
        )
    {
        new = Some((subject, word.to_owned(), object));
    }
    let (subject, word, object) = new?;
    if !relations.contains(&word.as_str()) {
        return Some(format!("{subject} {word}"));
    }
    let object = if object.is_empty() {
        names.first().cloned()?
    } else {
        object
    };
    Some(format!("{subject} {word} {object}"))
}

fn names(home: &Home) -> Vec<String> {
    let rooms = home.rooms.iter().map(|r| r.name.clone());
    let doors = home.doors.iter().map(|d| d.title.clone());
    let objects = home.objects.iter().map(|o| o.title.clone());
    let mut names: Vec<String> = objects.chain(doors).chain(rooms).collect();
    names.sort();
    names.insert(0, "agent".to_owned());
    names
}

/// One of several words; the one that was picked.
pub(super) fn pick<'a>(
    ui: &mut Ui,
    id: impl std::hash::Hash,
    width: f32,
    now: &str,
    choices: impl Iterator<Item = &'a str>,
) -> Option<String> {
    let mut picked = None;
    let text = if now.is_empty() { "…" } else { now };
    ComboBox::from_id_salt(id)
        .selected_text(text)
        .width(width)
        .truncate()
        .show_ui(ui, |ui| {
            for choice in choices {
                if ui.selectable_label(choice == now, choice).clicked() && choice != now {
                    picked = Some(choice.to_owned());
                }
            }
        });
    picked
}
