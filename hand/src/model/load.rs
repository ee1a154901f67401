//! From a file to a checked model, and back.

use std::path::Path;

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use toml::Spanned;

use super::Model;
use super::check::{Wrong, check};

/// A model that cannot be used: where, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}:{column}: {reason}")]
pub struct ModelError {
    /// The file, as it was named by the user.
    pub file: String,
    /// Line, counted from 1.
    pub line: usize,
    /// Column in characters, counted from 1.
    pub column: usize,
    /// What is wrong.
    pub reason: String,
}

/// Reads and checks a model file.
///
/// # Errors
/// When the file cannot be read, is not TOML, or describes a model that cannot be.
pub fn load(path: impl AsRef<Path>) -> Result<Model, ModelError> {
    let path = path.as_ref();
    let text = std::fs::read_to_string(path).map_err(|e| {
        ModelError::at(
            "",
            0,
            &path.to_string_lossy(),
            format!("cannot be read: {e}"),
        )
    })?;
    load_text(&text, &path.to_string_lossy())
}

/// Checks a model given as text; `file` is its name in errors.
///
/// # Errors
/// As [`load`].
pub fn load_text(text: &str, file: &str) -> Result<Model, ModelError> {
    let toml_error = |e: toml::de::Error| {
        let at = e.span().map_or(0, |span| span.start);
        ModelError::at(text, at, file, e.message().trim().replace('\n', ", "))
    };
    let model: Model = toml::from_str(text).map_err(toml_error)?;
    let places: Places = toml::from_str(text).map_err(toml_error)?;
    check(&model).map_err(|wrong| ModelError::at(text, places.of(&wrong), file, wrong.reason))?;
    Ok(model)
}

/// The model as TOML, one line for each part; loading it gives an equal model.
pub fn save(model: &Model) -> String {
    let Model {
        schema,
        name,
        timestep,
        gravity,
        exclude,
        ..
    } = model;
    let mut text = format!("schema = {}\nname = {}\n", inline(schema), inline(name));
    text += &format!(
        "timestep = {}\ngravity = {}\n",
        inline(timestep),
        inline(gravity)
    );
    save_list(&mut text, "exclude", exclude);
    save_list(&mut text, "body", &model.body);
    save_list(&mut text, "joint", &model.joint);
    save_list(&mut text, "shape", &model.shape);
    save_list(&mut text, "site", &model.site);
    save_list(&mut text, "tendon", &model.tendon);
    save_list(&mut text, "muscle", &model.muscle);
    save_list(&mut text, "torque", &model.torque);
    save_list(&mut text, "position", &model.position);
    text
}

fn save_list<T: Serialize>(text: &mut String, name: &str, list: &[T]) {
    if list.is_empty() {
        return;
    }
    *text += &format!("\n{name} = [\n");
    for part in list {
        *text += &format!("    {},\n", inline(part));
    }
    *text += "]\n";
}

fn inline<T: Serialize>(value: &T) -> String {
    let mut text = String::new();
    value
        .serialize(toml::ser::ValueSerializer::new(&mut text))
        .expect("every field of a model has a form in TOML");
    text
}

/// Where the settings and the entries of each list stand in the file.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Places {
    schema: Option<Spanned<IgnoredAny>>,
    timestep: Option<Spanned<IgnoredAny>>,
    gravity: Option<Spanned<IgnoredAny>>,
    exclude: Vec<Spanned<IgnoredAny>>,
    body: Vec<Spanned<IgnoredAny>>,
    joint: Vec<Spanned<IgnoredAny>>,
    shape: Vec<Spanned<IgnoredAny>>,
    site: Vec<Spanned<IgnoredAny>>,
    tendon: Vec<Spanned<IgnoredAny>>,
    muscle: Vec<Spanned<IgnoredAny>>,
    torque: Vec<Spanned<IgnoredAny>>,
    position: Vec<Spanned<IgnoredAny>>,
}

impl Places {
    /// The first byte of a setting, or of an entry of a list.
    fn of(&self, wrong: &Wrong) -> usize {
        let list: &[Spanned<IgnoredAny>] = match wrong.kind {
            "schema" => self.schema.as_slice(),
            "timestep" => self.timestep.as_slice(),
            "gravity" => self.gravity.as_slice(),
            "exclude" => &self.exclude,
            "body" => &self.body,
            "joint" => &self.joint,
            "shape" => &self.shape,
            "site" => &self.site,
            "tendon" => &self.tendon,
            "muscle" => &self.muscle,
            "torque" => &self.torque,
            "position" => &self.position,
            _ => &[],
        };
        list.get(wrong.index).map_or(0, |entry| entry.span().start)
    }
}

impl ModelError {
    pub(super) fn at(text: &str, byte: usize, file: &str, reason: impl Into<String>) -> Self {
        let before = text.get(..byte).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |i| i + 1);
        Self {
            file: file.to_owned(),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            reason: reason.into(),
        }
    }
}
