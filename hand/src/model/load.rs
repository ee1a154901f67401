//! From a file to a checked model, and back.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use toml::Spanned;

use crate::math::eigen;

use super::{Model, PathPoint, SCHEMA, ShapeKind, Tendon};

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
    check(&model).map_err(|(kind, index, reason)| {
        let list = match kind {
            "body" => &places.body,
            "joint" => &places.joint,
            "shape" => &places.shape,
            "site" => &places.site,
            "tendon" => &places.tendon,
            "muscle" => &places.muscle,
            "torque" => &places.torque,
            "position" => &places.position,
            _ => return ModelError::at(text, 0, file, reason),
        };
        let at = list.get(index).map_or(0, |entry| entry.span().start);
        ModelError::at(text, at, file, reason)
    })?;
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

/// Where each entry of each list stands in the file.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Places {
    body: Vec<Spanned<IgnoredAny>>,
    joint: Vec<Spanned<IgnoredAny>>,
    shape: Vec<Spanned<IgnoredAny>>,
    site: Vec<Spanned<IgnoredAny>>,
    tendon: Vec<Spanned<IgnoredAny>>,
    muscle: Vec<Spanned<IgnoredAny>>,
    torque: Vec<Spanned<IgnoredAny>>,
    position: Vec<Spanned<IgnoredAny>>,
}
/// The list and the entry that is wrong, and why.
type Wrong = (&'static str, usize, String);

/// Whether a model is one that can be: names known and unique, numbers finite and in their ranges, bodies a tree.
pub(super) fn check(model: &Model) -> Result<(), Wrong> {
    let whole = |reason: &str| ("", 0, reason.to_owned());
    if model.schema != SCHEMA {
        return Err((
            "",
            0,
            format!("schema is \"{}\", expected \"{SCHEMA}\"", model.schema),
        ));
    }
    if !(model.timestep.is_finite() && model.timestep > 0.0) {
        return Err(whole("timestep must be more than 0"));
    }
    if model.gravity.iter().any(|g| !g.is_finite()) {
        return Err(whole("gravity must be finite"));
    }
    finite("body", &model.body)?;
    finite("joint", &model.joint)?;
    finite("shape", &model.shape)?;
    finite("site", &model.site)?;
    finite("muscle", &model.muscle)?;
    finite("torque", &model.torque)?;
    finite("position", &model.position)?;
    let mut bodies = unique("body", model.body.iter().map(|x| x.name.as_str()))?;
    if let Some(index) = bodies.get("world") {
        return Err((
            "body",
            *index,
            "\"world\" is there without being listed".to_owned(),
        ));
    }
    bodies.insert("world", usize::MAX);
    let joints = unique("joint", model.joint.iter().map(|x| x.name.as_str()))?;
    unique("site", model.site.iter().map(|x| x.name.as_str()))?;
    let tendons = unique("tendon", model.tendon.iter().map(|x| x.name.as_str()))?;
    named_once("shape", model.shape.iter().map(|x| x.name.as_str()))?;
    unique("muscle", model.muscle.iter().map(|x| x.name.as_str()))?;
    unique("torque", model.torque.iter().map(|x| x.name.as_str()))?;
    unique("position", model.position.iter().map(|x| x.name.as_str()))?;
    for pair in &model.exclude {
        for name in pair
            .iter()
            .filter(|name| !bodies.contains_key(name.as_str()))
        {
            return Err(("", 0, format!("exclude: there is no body \"{name}\"")));
        }
    }
    let moving: BTreeSet<&str> = model.joint.iter().map(|j| j.body.as_str()).collect();
    for (i, body) in model.body.iter().enumerate() {
        let wrong = |reason: String| Err(("body", i, format!("body \"{}\": {reason}", body.name)));
        if !bodies.contains_key(body.parent.as_str()) {
            return wrong(format!(
                "there is no body \"{}\" to be its parent",
                body.parent
            ));
        }
        // From here to the world; a way longer than there are bodies is a circle.
        let (mut at, mut moves) = (i, false);
        for step in 0.. {
            moves |= moving.contains(model.body[at].name.as_str());
            match bodies.get(model.body[at].parent.as_str()) {
                Some(parent) if *parent != usize::MAX && step <= model.body.len() => at = *parent,
                Some(&usize::MAX) => break,
                None => break,
                Some(_) => return wrong("it hangs on itself, in a circle of parents".to_owned()),
            }
        }
        if (body.quat.iter().map(|x| x * x).sum::<f64>() - 1.0).abs() > 1e-6 {
            return wrong("quat must have length 1".to_owned());
        }
        match &body.inertial {
            None if moves => return wrong("it moves and has no inertial".to_owned()),
            Some(inertial) if inertial.mass <= 0.0 => {
                return wrong(format!("mass is {}, expected more than 0", inertial.mass));
            }
            Some(inertial) if !is_positive(inertial.inertia) => {
                return wrong("inertia around every axis must be more than 0".to_owned());
            }
            _ => {}
        }
    }
    for (i, joint) in model.joint.iter().enumerate() {
        let wrong =
            |reason: String| Err(("joint", i, format!("joint \"{}\": {reason}", joint.name)));
        if !bodies.contains_key(joint.body.as_str()) || joint.body == "world" {
            return wrong(format!("there is no body \"{}\" to move", joint.body));
        }
        if joint.axis.iter().all(|x| x.abs() < 1e-9) {
            return wrong("the axis has no direction".to_owned());
        }
        if let Some([low, high]) = joint.limit.filter(|[low, high]| low > high) {
            return wrong(format!(
                "limit is [{low}, {high}], expected low before high"
            ));
        }
        if joint.damping < 0.0 || joint.armature < 0.0 {
            return wrong("damping and armature must not be negative".to_owned());
        }
    }
    for (i, shape) in model.shape.iter().enumerate() {
        let wrong =
            |reason: String| Err(("shape", i, format!("shape \"{}\": {reason}", shape.name)));
        if !bodies.contains_key(shape.body.as_str()) {
            return wrong(format!("there is no body \"{}\"", shape.body));
        }
        if (shape.quat.iter().map(|x| x * x).sum::<f64>() - 1.0).abs() > 1e-6 {
            return wrong("quat must have length 1".to_owned());
        }
        let (count, bounded) = (shape.kind.numbers(), shape.kind != ShapeKind::Plane);
        if shape.size.len() != count || (bounded && shape.size.iter().any(|x| *x <= 0.0)) {
            return wrong(format!(
                "size is {:?}, expected {count} numbers above 0",
                shape.size
            ));
        }
    }
    for (i, site) in model.site.iter().enumerate() {
        if !bodies.contains_key(site.body.as_str()) {
            let reason = format!("site \"{}\": there is no body \"{}\"", site.name, site.body);
            return Err(("site", i, reason));
        }
    }
    for (i, tendon) in model.tendon.iter().enumerate() {
        let wrong = |reason| ("tendon", i, format!("tendon \"{}\": {reason}", tendon.name));
        check_path(model, tendon).map_err(wrong)?;
    }
    for (i, muscle) in model.muscle.iter().enumerate() {
        let wrong =
            |reason: String| Err(("muscle", i, format!("muscle \"{}\": {reason}", muscle.name)));
        if !tendons.contains_key(muscle.tendon.as_str()) {
            return wrong(format!("there is no tendon \"{}\"", muscle.tendon));
        }
        if muscle.peak_force <= 0.0 {
            return wrong(format!(
                "peak_force is {}, expected more than 0",
                muscle.peak_force
            ));
        }
        for [low, high] in [
            muscle.compat_range,
            muscle.calibrated_range,
            muscle.curves.range,
        ] {
            if low >= high {
                return wrong(format!(
                    "range is [{low}, {high}], expected low before high"
                ));
            }
        }
        let c = &muscle.curves;
        if !(0.0 < c.lmin && c.lmin < 1.0 && 1.0 < c.lmax && c.vmax > 0.0 && c.fvmax > 1.0)
            || c.fpmax < 0.0
            || c.activation_secs <= 0.0
            || c.deactivation_secs <= 0.0
        {
            return wrong("curves need 0 < lmin < 1 < lmax, vmax > 0, fvmax > 1, fpmax >= 0 and times above 0".to_owned());
        }
    }
    let driven = model
        .torque
        .iter()
        .enumerate()
        .map(|(i, t)| ("torque", i, &t.joint, t.control, t.force));
    let held = model
        .position
        .iter()
        .enumerate()
        .map(|(i, p)| ("position", i, &p.joint, p.control, p.force));
    for (kind, i, joint, control, force) in driven.chain(held) {
        if !joints.contains_key(joint.as_str()) {
            return Err((kind, i, format!("there is no joint \"{joint}\"")));
        }
        if let Some([low, high]) = [control, force]
            .into_iter()
            .flatten()
            .find(|[low, high]| low > high)
        {
            return Err((
                kind,
                i,
                format!("range is [{low}, {high}], expected low before high"),
            ));
        }
    }
    Ok(())
}

/// Whether every axis has an inertia above 0.
fn is_positive([xx, yy, zz, xy, xz, yz]: [f64; 6]) -> bool {
    eigen([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])
        .0
        .iter()
        .all(|x| *x > 0.0)
}

/// Whether a tendon's path leads over what is there.
pub(super) fn check_path(model: &Model, tendon: &Tendon) -> Result<(), String> {
    let site = |name: &str| model.site.iter().find(|site| site.name == name);
    let is_site = |point: Option<&PathPoint>| matches!(point, Some(PathPoint::Site(_)));
    if tendon
        .path
        .iter()
        .filter(|point| is_site(Some(point)))
        .count()
        < 2
    {
        return Err("the path needs at least two sites".to_owned());
    }
    for (k, point) in tendon.path.iter().enumerate() {
        let (shape, side) = match point {
            PathPoint::Site(name) if site(name).is_some() => continue,
            PathPoint::Site(name) => return Err(format!("there is no site \"{name}\"")),
            PathPoint::Wrap { shape, side } => (shape, side),
        };
        let Some(shape) = model.shape.iter().find(|known| known.name == *shape) else {
            return Err(format!("there is no shape \"{shape}\" to wrap around"));
        };
        if !matches!(shape.kind, ShapeKind::Sphere | ShapeKind::Cylinder) {
            return Err(format!("shape \"{}\" is no sphere or cylinder", shape.name));
        }
        if k == 0 || !is_site(tendon.path.get(k - 1)) || !is_site(tendon.path.get(k + 1)) {
            return Err(format!(
                "the wrap \"{}\" must lie between two sites",
                shape.name
            ));
        }
        let Some(side) = side else { continue };
        let Some(side) = site(side) else {
            return Err(format!("there is no site \"{side}\" to be the side"));
        };
        if side.body != shape.body {
            return Err(format!(
                "the side \"{}\" must lie on body \"{}\"",
                side.name, shape.body
            ));
        }
    }
    Ok(())
}

/// JSON has no number that is not finite: one turns into null, and is found with the name of its field.
fn finite<T: Serialize>(kind: &'static str, list: &[T]) -> Result<(), Wrong> {
    fn missing(value: &Value) -> bool {
        match value {
            Value::Null => true,
            Value::Array(items) => items.iter().any(missing),
            Value::Object(fields) => fields.values().any(missing),
            _ => false,
        }
    }
    for (i, entry) in list.iter().enumerate() {
        let value = serde_json::to_value(entry).expect("every field of a model has a form in JSON");
        let fields = value.as_object().into_iter().flatten();
        if let Some((field, _)) = fields.into_iter().find(|(_, value)| missing(value)) {
            let name = value["name"].as_str().unwrap_or_default();
            return Err((
                kind,
                i,
                format!("{kind} \"{name}\": {field} is not a finite number"),
            ));
        }
    }
    Ok(())
}

/// Name → index, where every name must be there and be different.
fn unique<'a>(
    kind: &'static str,
    names: impl Iterator<Item = &'a str> + Clone,
) -> Result<BTreeMap<&'a str, usize>, Wrong> {
    if let Some(index) = names.clone().position(str::is_empty) {
        return Err((kind, index, format!("a {kind} needs a name")));
    }
    named_once(kind, names)
}

/// Name → index, where every name that is there must be different.
fn named_once<'a>(
    kind: &'static str,
    names: impl Iterator<Item = &'a str>,
) -> Result<BTreeMap<&'a str, usize>, Wrong> {
    let mut seen = BTreeMap::new();
    for (i, name) in names.enumerate().filter(|(_, name)| !name.is_empty()) {
        if seen.insert(name, i).is_some() {
            return Err((
                kind,
                i,
                format!("there are two {kind} entries named \"{name}\""),
            ));
        }
    }
    Ok(seen)
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
