//! The fields of what is selected, from the schema of scenario files.

use egui::{Grid, Id, RichText, ScrollArea, Ui};
use toml_edit::{Array, InlineTable, Item, Value};

use super::goals;
use super::schema::{Field, Kind, fields, top};
use super::widgets::{Measure, number, text};
use crate::action::{Action, Literal};
use crate::document::Edit;
use crate::editor::Editor;
use crate::edits::{numbers, set};
use crate::home::Home;
use crate::scene::{ItemId, Table};

/// Shows the fields of what is selected; without a selection, those of the scenario itself.
pub(super) fn show(ui: &mut Ui, editor: &mut Editor) {
    let home = editor.home().clone();
    let selected: Vec<ItemId> = editor.selection.iter().copied().collect();
    let tables: Vec<Table> = selected.iter().map(|i| i.table).collect();
    let same = tables.windows(2).all(|t| t[0] == t[1]);
    ScrollArea::vertical().auto_shrink([false, false]).show(ui, |ui| match selected[..] {
        [] => scenario(ui, editor),
        [first, ..] if same => {
            let heading = match selected.len() {
                1 => home.title(first),
                count => format!("{count} × {}", first.table.name()),
            };
            ui.horizontal(|ui| {
                ui.add(egui::Label::new(RichText::new(heading).strong().size(14.0)).truncate());
            });
            subtitle(ui, &home, first);
            ui.add_space(4.0);
            if first.table == Table::Goal {
                goals::form(ui, editor, &home, first);
                return;
            }
            entry(ui, editor, &home, Some(first), fields(first.table));
            buttons(ui, editor);
        }
        _ => {
            ui.strong(format!("{} entries", selected.len()));
            ui.weak("They are of several kinds: what they have in common is moved and turned in the view.");
            buttons(ui, editor);
        }
    });
}

/// The fields outside all tables.
fn scenario(ui: &mut Ui, editor: &mut Editor) {
    let hand_task = editor.document.is_hand_task();
    let heading = if hand_task { "Hand task" } else { "Scenario" };
    ui.label(RichText::new(heading).strong().size(14.0));
    ui.add_space(4.0);
    let home = editor.home().clone();
    entry(ui, editor, &home, None, top(hand_task));
    ui.add_space(8.0);
    if hand_task {
        return;
    }
    for table in Table::ALL {
        ui.weak(format!("{} {}", home.len(table), plural(table)));
    }
}

fn plural(table: Table) -> String {
    format!("{}s", table.name())
}

fn subtitle(ui: &mut Ui, home: &Home, item: ItemId) {
    let Some(object) = home
        .objects
        .get(item.index)
        .filter(|_| item.table == Table::Object)
    else {
        ui.weak(item.table.name());
        return;
    };
    match home.class(object) {
        Some(class) => {
            let [depth, width, height] = class.size;
            ui.weak(format!(
                "{} · {width:.2} × {depth:.2} × {height:.2} m",
                class.category
            ));
        }
        None => {
            let color = ui.visuals().warn_fg_color;
            ui.colored_label(color, format!("unknown class \"{}\"", object.class));
        }
    }
}

fn buttons(ui: &mut Ui, editor: &mut Editor) {
    ui.add_space(8.0);
    ui.horizontal_wrapped(|ui| {
        for action in [
            Action::Frame,
            Action::Duplicate,
            Action::Delete,
            Action::PutOnFloor,
        ] {
            let spec = action.spec();
            if ui.button(spec.label).on_hover_text(spec.about).clicked() {
                editor.act(&action);
            }
        }
    });
}

fn entry(ui: &mut Ui, editor: &mut Editor, home: &Home, item: Owner, fields: &[Field]) {
    let mut nested: Vec<&Field> = Vec::new();
    Grid::new(("fields", table_name(item), fields.first().map(|f| &f.name)))
        .num_columns(2)
        .min_col_width(64.0)
        .spacing([8.0, 5.0])
        .show(ui, |ui| {
            for field in fields {
                if matches!(field.kind, Kind::Variants(_)) {
                    nested.push(field);
                    continue;
                }
                let label = field.name.rsplit('.').next().unwrap_or(&field.name);
                let (label, _) = unit(label);
                ui.label(label.replace('_', " "))
                    .on_hover_text(&field.about);
                ui.vertical(|ui| line(ui, editor, home, item, field));
                ui.end_row();
            }
        });
    for field in nested {
        let Kind::Variants(variants) = &field.kind else {
            continue;
        };
        let there = |name: &str| {
            let path = format!("{}.{name}", field.name);
            found(editor, item, &path).is_some()
        };
        let Some((name, inner)) = variants.iter().find(|(name, _)| there(name)) else {
            continue;
        };
        ui.horizontal(|ui| {
            ui.strong(field.name.replace('_', " "))
                .on_hover_text(&field.about);
            let id = Id::new(("variant", table_name(item), &field.name));
            let names = variants.iter().map(|(name, _)| name.as_str());
            // What an entry is made of has no defaults; a task has.
            if item.is_some() {
                ui.label(name);
            } else if let Some(new) = goals::pick(ui, id, 120.0, name, names) {
                let mut table = InlineTable::new();
                table.insert(&new, InlineTable::new().into());
                commit(editor, item, field, Value::InlineTable(table));
            }
        });
        entry(ui, editor, home, item, inner);
    }
}

/// Whose fields they are; none: the document's own.
type Owner = Option<ItemId>;

fn found<'a>(editor: &'a Editor, item: Owner, path: &str) -> Option<&'a Item> {
    match item {
        Some(item) => editor.document.field(item, path),
        None => editor.document.top(path),
    }
}

fn table_name(item: Owner) -> &'static str {
    item.map_or("", |item| item.table.name())
}

fn is_in(item: Owner, table: Table) -> bool {
    item.is_some_and(|item| item.table == table)
}

/// The end of a field's name says its unit; of a home's lengths the name alone.
fn unit(name: &str) -> (&str, &'static str) {
    for (end, unit) in [("_deg", "°"), ("_rad", " rad"), ("_m", " m")] {
        if let Some(name) = name.strip_suffix(end) {
            return (name, unit);
        }
    }
    let lengths = ["x", "y", "z", "at", "corner", "width", "height"];
    let unit = if lengths.contains(&name) { " m" } else { "" };
    (name, unit)
}

fn measure(name: &str, least: Option<f64>, whole: bool) -> Measure {
    let (_, unit) = unit(name);
    Measure {
        unit,
        step: if unit == "°" {
            1.0
        } else if whole {
            0.1
        } else {
            0.01
        },
        least: least.unwrap_or(-1000.0),
        most: 1000.0,
        decimals: if whole { 0 } else { 3 },
    }
}

/// A field that may be there or not.
fn line(ui: &mut Ui, editor: &mut Editor, home: &Home, item: Owner, field: &Field) {
    let there = found(editor, item, &field.name).is_some();
    let named = is_in(item, Table::Object) && field.name == "name";
    if !there && !field.required && !named {
        let hint = format!("{}\n\nNot in the file: its default holds.", field.about);
        if ui
            .button(RichText::new("—").weak())
            .on_hover_text(hint)
            .clicked()
        {
            add(editor, home, item, field);
        }
        return;
    }
    ui.horizontal(|ui| {
        // An object has exactly one place: another one takes its place.
        if there && !field.required && !is_place(item, field) {
            let remove = ui
                .small_button("❌")
                .on_hover_text("Leave it out: its default holds");
            if remove.clicked() {
                let field = field.name.clone();
                editor.act(&match item {
                    Some(_) => Action::Unset { field },
                    None => Action::UnsetScenario { field },
                });
                return;
            }
        }
        value(ui, editor, home, item, field);
    });
}

fn is_place(item: Owner, field: &Field) -> bool {
    let places = ["at", "on", "inside", "one_of"];
    is_in(item, Table::Object) && places.contains(&field.name.as_str())
}

/// Adds a field that is not there yet.
fn add(editor: &mut Editor, home: &Home, item: Owner, field: &Field) {
    let support = |inside| {
        let names = supports(home, item?, inside);
        names
            .first()
            .map(|name| crate::action::Item((*name).to_owned()))
    };
    let action = match (is_place(item, field), field.name.as_str()) {
        (true, "at") => Some(Action::PutOnFloor),
        (true, "on") => support(false).map(|support| Action::PutOn { support }),
        (true, "inside") => support(true).map(|support| Action::PutInside { support }),
        (true, _) => support(false).map(|support| Action::AlsoOn { support }),
        (false, _) => {
            commit(editor, item, field, first_value(home, field));
            return;
        }
    };
    match action {
        Some(action) => editor.act(&action),
        None => "Nothing here can hold it.".clone_into(&mut editor.status),
    }
}

fn commit(editor: &mut Editor, item: Owner, field: &Field, value: Value) {
    let value = Literal(value.to_string().trim().to_owned());
    let field = field.name.clone();
    editor.act(&match item {
        Some(_) => Action::Set { field, value },
        None => Action::SetScenario { field, value },
    });
}

/// What a field starts with when it is added: its default, if it has one.
fn first_value(home: &Home, field: &Field) -> Value {
    if let Some(default) = field.default.as_ref().and_then(as_toml) {
        return default;
    }
    match &field.kind {
        Kind::Text if field.name.ends_with("room") => {
            Value::from(home.rooms.first().map_or("room", |r| r.name.as_str()))
        }
        Kind::Text => Value::from("new"),
        Kind::Number { whole: true, .. } => Value::from(1),
        Kind::Number { .. } if field.name == "height" => Value::from(2.5),
        Kind::Number { .. } if field.name == "width" => Value::from(0.9),
        Kind::Number { .. } => Value::from(0.0),
        Kind::Switch => Value::from(true),
        Kind::Point(count) => numbers(std::iter::repeat_n(1.0, *count)),
        Kind::Choice(words) => Value::from(words.first().map_or("", String::as_str)),
        Kind::Fields(fields) => {
            let mut table = InlineTable::new();
            for inner in fields {
                let name = inner.name.rsplit('.').next().unwrap_or(&inner.name);
                table.insert(name, first_value(home, inner));
            }
            Value::InlineTable(table)
        }
        Kind::Places | Kind::Points | Kind::Texts(_) | Kind::Variants(_) | Kind::Other => {
            Value::Array(Array::new())
        }
    }
}

fn value(ui: &mut Ui, editor: &mut Editor, home: &Home, item: Owner, field: &Field) {
    let now = found(editor, item, &field.name).cloned();
    let id = Id::new((table_name(item), item.map(|item| item.index), &field.name));
    match &field.kind {
        Kind::Text => words(ui, editor, home, (item, id), field, now.as_ref()),
        Kind::Number { .. } if is_in(item, Table::Door) && field.name == "open" => {
            // Only 0 and 1 are states of a door.
            let mut open = now.as_ref().and_then(float).unwrap_or(1.0) > 0.5;
            if ui.checkbox(&mut open, "").changed() {
                commit(editor, item, field, Value::from(f64::from(u8::from(open))));
            }
        }
        Kind::Number { least, whole } => {
            let old = now.as_ref().and_then(float).unwrap_or(0.0);
            let name = field.name.rsplit('.').next().unwrap_or(&field.name);
            let measure = measure(name, *least, *whole);
            if let Some(new) = number(ui, editor, name, old, measure) {
                let new = if *whole {
                    Value::from(new.round() as i64)
                } else {
                    Value::from(crate::edits::meters(new))
                };
                commit(editor, item, field, new);
            }
        }
        Kind::Switch => {
            let mut on = now.as_ref().and_then(Item::as_bool) == Some(true);
            if ui.checkbox(&mut on, "").changed() {
                commit(editor, item, field, Value::from(on));
            }
        }
        Kind::Point(count) => {
            let list = now.as_ref().and_then(Item::as_array);
            let mut point: Vec<f64> = list.into_iter().flatten().filter_map(plain).collect();
            point.resize(*count, 0.0);
            if axes(ui, editor, &field.name, &mut point) {
                commit(editor, item, field, numbers(point));
            }
        }
        Kind::Points => {
            let Some(room) = item.and_then(|item| home.rooms.get(item.index)) else {
                return;
            };
            ui.vertical(|ui| {
                for (i, corner) in room.corners.iter().enumerate() {
                    let mut point: Vec<f64> = corner
                        .iter()
                        .map(|v| f64::from(*v))
                        .map(crate::edits::meters)
                        .collect();
                    ui.horizontal(|ui| {
                        if axes(ui, editor, "corner", &mut point) {
                            editor.act(&Action::RoomResize {
                                corner: i as u64,
                                x: point[0],
                                y: point[1],
                            });
                        }
                    });
                }
            });
        }
        Kind::Texts(_) if item.is_none() => {
            let shown = now.as_ref().map(ToString::to_string).unwrap_or_default();
            ui.monospace(shown.trim());
        }
        Kind::Texts(_) => {
            let list = now.as_ref().and_then(Item::as_array);
            let texts: Vec<String> = list
                .into_iter()
                .flatten()
                .map(|v| v.as_str().unwrap_or_default().to_owned())
                .collect();
            ui.vertical(|ui| {
                for (i, old) in texts.iter().enumerate() {
                    let rooms = home.rooms.iter().map(|r| r.name.as_str());
                    if let Some(new) = goals::pick(ui, (id, i), 120.0, old, rooms) {
                        editor.act(&Action::Set {
                            field: format!("{}.{i}", field.name),
                            value: Literal(Value::from(new).to_string()),
                        });
                    }
                }
            });
        }
        Kind::Choice(choices) => {
            let old = now.as_ref().and_then(Item::as_str).unwrap_or_default();
            if let Some(new) = goals::pick(ui, id, 120.0, old, choices.iter().map(String::as_str)) {
                commit(editor, item, field, Value::from(new));
            }
        }
        Kind::Fields(fields) => {
            ui.vertical(|ui| {
                for inner in fields {
                    ui.horizontal(|ui| {
                        let name = inner.name.rsplit('.').next().unwrap_or(&inner.name);
                        ui.weak(name).on_hover_text(&inner.about);
                        value(ui, editor, home, item, inner);
                    });
                }
            });
        }
        Kind::Places => {
            if let Some(item) = item {
                places(ui, editor, home, (item, id));
            }
        }
        Kind::Variants(_) | Kind::Other => {
            let shown = now.as_ref().map(ToString::to_string).unwrap_or_default();
            ui.monospace(shown.trim());
        }
    }
}

/// A text, or the name of something that there is.
fn words(
    ui: &mut Ui,
    editor: &mut Editor,
    home: &Home,
    (item, id): (Owner, Id),
    field: &Field,
    now: Option<&Item>,
) {
    let old = now.and_then(Item::as_str).unwrap_or_default();
    let name = field.name.rsplit('.').next().unwrap_or(&field.name);
    let picked = match name {
        _ if item.is_none() => text(ui, id, &field.about, old).1,
        "class" => goals::pick(
            ui,
            id,
            120.0,
            old,
            home.catalogue.classes().map(|(_, c)| c.name.as_str()),
        ),
        "room" => goals::pick(
            ui,
            id,
            120.0,
            old,
            home.rooms.iter().map(|r| r.name.as_str()),
        ),
        "on" | "inside" => {
            let inside = name == "inside";
            let names = item.map(|item| supports(home, item, inside));
            goals::pick(ui, id, 120.0, old, names.unwrap_or_default().into_iter())
        }
        "name" => {
            let hint = item.map(|item| home.title(item)).unwrap_or_default();
            if let (_, Some(to)) = text(ui, id, &hint, old) {
                editor.act(&Action::Rename { to });
            }
            None
        }
        _ => text(ui, id, "", old).1,
    };
    if let Some(new) = picked {
        commit(editor, item, field, Value::from(new));
    }
}

/// Names of what an object can lie on or in.
fn supports(home: &Home, item: ItemId, inside: bool) -> Vec<&str> {
    let own = (item.table == Table::Object).then_some(item.index);
    let thing = own
        .and_then(|i| home.objects.get(i))
        .and_then(|o| home.class(o));
    let mut names: Vec<&str> = home
        .objects
        .iter()
        .enumerate()
        .filter(|(i, support)| {
            let takes = |class: &sim::catalogue::Class| match thing {
                Some(thing) => class.takes(thing, inside),
                None => class.surfaces().iter().any(|s| s.inside == inside),
            };
            Some(*i) != own && home.class(support).is_some_and(takes)
        })
        .map(|(_, support)| support.title.as_str())
        .collect();
    names.sort_unstable();
    names
}

/// The places that one is drawn from.
fn places(ui: &mut Ui, editor: &mut Editor, home: &Home, (item, id): (ItemId, Id)) {
    use crate::home::Place;
    let Some(object) = home.objects.get(item.index) else {
        return;
    };
    let mut edits: Vec<Edit> = Vec::new();
    ui.vertical(|ui| {
        for (i, place) in object.places.iter().enumerate() {
            let (now, name) = match place {
                Place::On(name) => ("on", name),
                Place::Inside(name) => ("inside", name),
                Place::At(_) => continue,
            };
            ui.horizontal(|ui| {
                if ui
                    .small_button("❌")
                    .on_hover_text("Not here any more")
                    .clicked()
                {
                    edits.push(crate::edits::unset(item, format!("one_of.{i}")));
                }
                let put = |relation: &str, name: &str| {
                    let mut table = InlineTable::new();
                    table.insert(relation, name.into());
                    set(item, format!("one_of.{i}"), Value::InlineTable(table))
                };
                if let Some(new) =
                    goals::pick(ui, (id, i, 0), 56.0, now, ["on", "inside"].into_iter())
                {
                    edits.push(put(&new, name));
                }
                let names = supports(home, item, now == "inside");
                if let Some(new) = goals::pick(ui, (id, i, 1), 92.0, name, names.into_iter()) {
                    edits.push(put(now, &new));
                }
            });
        }
        if ui.small_button("+ place").clicked()
            && let Some(name) = supports(home, item, false).first()
        {
            let spot = crate::action::Spot::On((*name).to_owned());
            edits.extend(crate::edits::put_also(home, &editor.document, item, &spot));
        }
    });
    if !edits.is_empty()
        && let Err(error) = editor.edit("Change places", &edits)
    {
        editor.status = error.to_string();
    }
}

fn axes(ui: &mut Ui, editor: &mut Editor, label: &str, point: &mut [f64]) -> bool {
    let mut changed = false;
    let name = label.rsplit('.').next().unwrap_or(label);
    for value in point {
        let measure = measure(name, None, false);
        if let Some(new) = number(ui, editor, label, *value, measure) {
            *value = new;
            changed = true;
        }
    }
    changed
}

/// A number of f32 is written as short as it reads.
fn as_toml(value: &serde_json::Value) -> Option<Value> {
    use serde_json::Value as Json;
    Some(match value {
        Json::Bool(on) => Value::from(*on),
        Json::String(text) => Value::from(text),
        Json::Number(number) => match number.as_i64() {
            Some(whole) => Value::from(whole),
            None => {
                let number = number.as_f64()?;
                let short = (number as f32).to_string().parse().ok()?;
                let is_single = f64::from(number as f32) == number;
                Value::from(if is_single { short } else { number })
            }
        },
        Json::Array(list) => Value::Array(list.iter().map(as_toml).collect::<Option<Array>>()?),
        Json::Object(fields) => {
            let mut table = InlineTable::new();
            for (name, value) in fields {
                table.insert(name, as_toml(value)?);
            }
            Value::InlineTable(table)
        }
        Json::Null => return None,
    })
}

fn float(item: &Item) -> Option<f64> {
    item.as_value().and_then(plain)
}

fn plain(value: &Value) -> Option<f64> {
    value
        .as_float()
        .or_else(|| value.as_integer().map(|i| i as f64))
}
