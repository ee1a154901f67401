//! The fields of a scenario's tables, from the JSON schema of scenario files: what a form shows is what a file may say.

use std::sync::LazyLock;

use serde_json::Value;

use crate::scene::Table;

/// A field of a table.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Field {
    /// Its name in the file; that of an inner field with dots.
    pub(super) name: String,
    /// What the schema says about it.
    pub(super) about: String,
    pub(super) required: bool,
    /// What holds where it is left out, if the schema says so.
    pub(super) default: Option<Value>,
    pub(super) kind: Kind,
}

/// What a field holds.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    Text,
    Number {
        least: Option<f64>,
        whole: bool,
    },
    Switch,
    /// So many numbers.
    Point(usize),
    /// Corners.
    Points,
    /// So many names, or any number of them.
    Texts(Option<usize>),
    /// One of these words.
    Choice(Vec<String>),
    /// Several fields.
    Fields(Vec<Field>),
    /// One of several tables.
    Variants(Vec<(String, Vec<Field>)>),
    /// A list of tables with one field each.
    Places,
    /// What no form is made for; it is shown as it is written.
    Other,
}

/// The order in which files usually have them; what is not here comes last.
const ORDER: [&str; 20] = [
    "name",
    "class",
    "room",
    "between",
    "corners",
    "at",
    "on",
    "inside",
    "one_of",
    "z",
    "yaw_deg",
    "count",
    "min",
    "max",
    "width",
    "height",
    "open",
    "switched_on",
    "model",
    "parameters",
];

/// The fields of a table, in the order of files.
pub(super) fn fields(table: Table) -> &'static [Field] {
    let index = Table::ALL.iter().position(|t| *t == table).unwrap_or(0);
    &FIELDS[index]
}

static FIELDS: LazyLock<Vec<Vec<Field>>> = LazyLock::new(|| {
    let schema = sim::scenario::schema();
    let root = schema.as_value();
    let of = |table: Table| {
        let items = &root["properties"][table.name()]["items"];
        let entry = resolve(root, items);
        fields_of(root, entry, "")
    };
    Table::ALL.into_iter().map(of).collect()
});

/// The fields outside all tables: of a home, or of a hand's task.
pub(super) fn top(hand_task: bool) -> &'static [Field] {
    if hand_task { &HAND_TASK } else { &HOME }
}

static HOME: LazyLock<Vec<Field>> = LazyLock::new(|| top_of(sim::scenario::schema().as_value()));
static HAND_TASK: LazyLock<Vec<Field>> =
    LazyLock::new(|| top_of(sim::hand::scenario::schema().as_value()));

/// The format is no choice, and tables have forms of their own.
fn top_of(root: &Value) -> Vec<Field> {
    let mut fields = fields_of(root, root, "");
    fields.retain(|field| field.name != "schema" && !matches!(field.kind, Kind::Other));
    fields
}

/// Follows a reference, and leaves out that a value may be missing.
fn resolve<'a>(root: &'a Value, mut schema: &'a Value) -> &'a Value {
    for _ in 0..8 {
        if let Some(path) = schema["$ref"].as_str() {
            schema = root
                .pointer(path.trim_start_matches('#'))
                .unwrap_or(&Value::Null);
        } else if let Some(choices) = schema["anyOf"].as_array() {
            let real = choices.iter().find(|c| c["type"] != "null");
            schema = real.unwrap_or(&Value::Null);
        } else {
            break;
        }
    }
    schema
}

fn fields_of(root: &Value, schema: &Value, prefix: &str) -> Vec<Field> {
    let required = schema["required"].as_array();
    let is_required = |name: &str| required.is_some_and(|r| r.iter().any(|x| x == name));
    let properties = schema["properties"].as_object();
    let mut fields: Vec<Field> = properties
        .into_iter()
        .flatten()
        .map(|(key, property)| {
            let name = format!("{prefix}{key}");
            Field {
                about: about(property, resolve(root, property)),
                required: is_required(key),
                default: property.get("default").filter(|d| !d.is_null()).cloned(),
                kind: kind(root, property, &name),
                name,
            }
        })
        .collect();
    let place = |f: &Field| {
        let name = f.name.rsplit('.').next();
        ORDER
            .iter()
            .position(|o| Some(*o) == name)
            .unwrap_or(ORDER.len())
    };
    fields.sort_by_key(place);
    fields
}

fn about(property: &Value, resolved: &Value) -> String {
    let text = property["description"]
        .as_str()
        .or(resolved["description"].as_str());
    text.unwrap_or_default().replace('\n', " ")
}

fn kind(root: &Value, property: &Value, name: &str) -> Kind {
    let schema = resolve(root, property);
    if let Some(words) = words(root, schema) {
        return Kind::Choice(words);
    }
    if let Some(variants) = schema["oneOf"].as_array() {
        let variant = |v: &Value| {
            let v = resolve(root, v);
            let (key, inner) = v["properties"].as_object()?.iter().next()?;
            let fields = fields_of(root, resolve(root, inner), &format!("{name}.{key}."));
            Some((key.clone(), fields))
        };
        return Kind::Variants(variants.iter().filter_map(variant).collect());
    }
    let is = |what: &str| match &schema["type"] {
        Value::String(kind) => kind == what,
        Value::Array(kinds) => kinds.iter().any(|k| k == what),
        _ => false,
    };
    if is("string") {
        return Kind::Text;
    }
    if is("boolean") {
        return Kind::Switch;
    }
    if is("number") || is("integer") {
        return Kind::Number {
            least: schema["minimum"].as_f64(),
            whole: is("integer"),
        };
    }
    if is("array") {
        let items = resolve(root, &schema["items"]);
        let count = schema["maxItems"]
            .as_u64()
            .and_then(|n| usize::try_from(n).ok());
        return match (items["type"].as_str(), count) {
            (Some("number"), Some(count)) => Kind::Point(count),
            (Some("string"), count) => Kind::Texts(count),
            (Some("array"), _) => Kind::Points,
            _ if items["oneOf"].is_array() => Kind::Places,
            _ => Kind::Other,
        };
    }
    if is("object") {
        return Kind::Fields(fields_of(root, schema, &format!("{name}.")));
    }
    Kind::Other
}

/// The words of an enumeration, with or without texts about each.
fn words(root: &Value, schema: &Value) -> Option<Vec<String>> {
    if let Some(words) = schema["enum"].as_array() {
        return words
            .iter()
            .map(|w| w.as_str().map(str::to_owned))
            .collect();
    }
    let choices = schema["oneOf"].as_array()?;
    let word = |choice: &Value| {
        let choice = resolve(root, choice);
        choice["const"].as_str().map(str::to_owned)
    };
    choices.iter().map(word).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(fields: &[Field], name: &str) -> Kind {
        let field = fields.iter().find(|f| f.name == name);
        field
            .unwrap_or_else(|| panic!("{name}: {fields:?}"))
            .kind
            .clone()
    }

    #[test]
    fn every_field_of_every_table_has_a_form_and_a_text() {
        /// Lists of tables with several fields: shown as they are written.
        const WRITTEN: [&str; 2] = ["task.chores.piece", "task.chores.chore"];
        fn check(fields: &[Field]) {
            for field in fields {
                assert!(
                    !field.about.is_empty(),
                    "{} says nothing about itself",
                    field.name
                );
                match &field.kind {
                    Kind::Other => {
                        assert!(
                            WRITTEN.contains(&&*field.name),
                            "{} has no form",
                            field.name
                        );
                    }
                    Kind::Fields(fields) => check(fields),
                    Kind::Variants(variants) => {
                        assert!(!variants.is_empty());
                        variants.iter().for_each(|(_, fields)| check(fields));
                    }
                    _ => {}
                }
            }
        }
        for table in Table::ALL {
            assert!(!fields(table).is_empty());
            check(fields(table));
        }
        let names = |fields: &[Field]| -> Vec<String> {
            fields.iter().map(|field| field.name.clone()).collect()
        };
        let (home, hand) = (top(false), top(true));
        check(home);
        check(hand);
        assert_eq!(names(home), ["name", "about", "evaluation_only"]);
        let Kind::Variants(tasks) = named(hand, "task") else {
            panic!("a task is one of several");
        };
        let reach = &tasks.iter().find(|(name, _)| name == "reach").unwrap().1;
        assert!(matches!(
            named(reach, "task.reach.share"),
            Kind::Number { .. }
        ));
        assert!(matches!(named(hand, "solver"), Kind::Choice(_)));
        let object = fields(Table::Object);
        assert_eq!(named(object, "at"), Kind::Point(2));
        assert_eq!(named(object, "one_of"), Kind::Places);
        assert_eq!(named(object, "open"), Kind::Switch);
        assert!(matches!(named(object, "count"), Kind::Fields(_)));
        assert_eq!(named(fields(Table::Room), "corners"), Kind::Points);
        assert_eq!(named(fields(Table::Door), "between"), Kind::Texts(Some(2)));
        let Kind::Variants(bodies) = named(fields(Table::Agent), "body") else {
            panic!("a body is one of several");
        };
        let hand = &bodies.iter().find(|(name, _)| name == "hand").unwrap().1;
        let models = ["myohand", "robot"].map(str::to_owned).to_vec();
        assert_eq!(named(hand, "body.hand.model"), Kind::Choice(models));
        assert_eq!(named(hand, "body.hand.at"), Kind::Point(3));
    }
}
