//! Whether a model is one that can be: names known and unique, numbers finite and in their ranges, bodies a tree.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;

use super::{
    Body, Inertial, Joint, Model, Muscle, PathPoint, Position, SCHEMA, Shape, ShapeKind, Site,
    Tendon, Torque,
};
use crate::math::{apply_transposed, eigen, matrix, sub};

/// What is wrong with a model.
pub(super) struct Wrong {
    /// The list in the file, or the setting.
    pub(super) kind: &'static str,
    /// Which entry of the list, counted from 0.
    pub(super) index: usize,
    /// Why.
    pub(super) reason: String,
}

/// Everything that a model must be.
pub(super) fn check(model: &Model) -> Result<(), Wrong> {
    let setting = |kind, reason: String| {
        Err(Wrong {
            kind,
            index: 0,
            reason,
        })
    };
    if model.schema != SCHEMA {
        return setting(
            "schema",
            format!("schema is \"{}\", expected \"{SCHEMA}\"", model.schema),
        );
    }
    if !(model.timestep.is_finite() && model.timestep > 0.0) {
        return setting(
            "timestep",
            format!("timestep is {}, expected more than 0", model.timestep),
        );
    }
    if model.gravity.iter().any(|g| !g.is_finite()) {
        return setting("gravity", "gravity is not a finite number".to_owned());
    }
    let bodies = names(&model.body)?;
    let joints = names(&model.joint)?;
    let tendons = names(&model.tendon)?;
    names(&model.shape)?;
    names(&model.site)?;
    names(&model.muscle)?;
    names(&model.torque)?;
    names(&model.position)?;
    let is_body = |name: &str| name == "world" || bodies.contains_key(name);
    let welded = Welded::of(model, &bodies);
    each(&model.body, |body| {
        check_body(body, &bodies, model, &welded)
    })?;
    for (index, pair) in model.exclude.iter().enumerate() {
        if let Some(name) = pair.iter().find(|name| !is_body(name)) {
            let reason = format!("exclude: there is no body \"{name}\"");
            return Err(Wrong {
                kind: "exclude",
                index,
                reason,
            });
        }
    }
    each(&model.joint, |joint| check_joint(joint, &bodies))?;
    each(&model.shape, |shape| check_shape(shape, is_body))?;
    each(&model.site, |site| {
        known(is_body(&site.body), "body", &site.body)
    })?;
    each(&model.tendon, |tendon| check_path(model, tendon))?;
    each(&model.muscle, |muscle| check_muscle(muscle, &tendons))?;
    each(&model.torque, |torque| {
        known(
            joints.contains_key(torque.joint.as_str()),
            "joint",
            &torque.joint,
        )?;
        ordered("control", torque.control)?;
        ordered("force", torque.force)
    })?;
    each(&model.position, |position| {
        known(
            joints.contains_key(position.joint.as_str()),
            "joint",
            &position.joint,
        )?;
        ordered("control", position.control)?;
        ordered("force", position.force)?;
        not_negative(
            "stiffness and damping",
            &[position.stiffness, position.damping],
        )
    })
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
        let [x, y, z] = apply_transposed(&matrix(shape.quat), sub(side.pos, shape.pos));
        let on_axis =
            shape.kind == ShapeKind::Cylinder && x.hypot(y) < 1e-9 && z.abs() >= shape.size[0];
        if on_axis {
            return Err(format!(
                "the side \"{}\" is on the axis of \"{}\"",
                side.name, shape.name
            ));
        }
    }
    Ok(())
}

fn check_body(
    body: &Body,
    bodies: &BTreeMap<&str, usize>,
    model: &Model,
    welded: &Welded<'_>,
) -> Result<(), String> {
    if body.name == "world" {
        return Err("\"world\" is there without being listed".to_owned());
    }
    if body.parent != "world" && !bodies.contains_key(body.parent.as_str()) {
        return Err(format!(
            "there is no body \"{}\" to be its parent",
            body.parent
        ));
    }
    // From here to the world; a way longer than there are bodies is a circle.
    let mut at = body;
    for _ in 0..=model.body.len() {
        match bodies.get(at.parent.as_str()) {
            Some(parent) => at = &model.body[*parent],
            None => {
                one_long(&body.quat)?;
                return match &body.inertial {
                    Some(inertial) => check_inertial(inertial),
                    None if welded.lacks_mass(&body.name) => {
                        Err("it moves and has no inertial".to_owned())
                    }
                    None => Ok(()),
                };
            }
        }
    }
    Err("it hangs on itself, in a circle of parents".to_owned())
}

fn check_inertial(inertial: &Inertial) -> Result<(), String> {
    if inertial.mass <= 0.0 {
        return Err(format!("mass is {}, expected more than 0", inertial.mass));
    }
    let [xx, yy, zz, xy, xz, yz] = inertial.inertia;
    let (principal, _) = eigen([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]]);
    if principal.iter().any(|x| *x <= 0.0) {
        return Err("inertia around every axis must be more than 0".to_owned());
    }
    Ok(())
}

fn check_joint(joint: &Joint, bodies: &BTreeMap<&str, usize>) -> Result<(), String> {
    known(
        bodies.contains_key(joint.body.as_str()),
        "body",
        &joint.body,
    )?;
    if joint.axis.iter().all(|x| x.abs() < 1e-9) {
        return Err("the axis has no direction".to_owned());
    }
    ordered("limit", joint.limit)?;
    not_negative("damping and armature", &[joint.damping, joint.armature])
}

fn check_shape(shape: &Shape, is_body: impl Fn(&str) -> bool) -> Result<(), String> {
    known(is_body(&shape.body), "body", &shape.body)?;
    one_long(&shape.quat)?;
    let (count, bounded) = (shape.kind.numbers(), shape.kind != ShapeKind::Plane);
    if shape.size.len() != count || (bounded && shape.size.iter().any(|x| *x <= 0.0)) {
        return Err(format!(
            "size is {:?}, expected {count} numbers above 0",
            shape.size
        ));
    }
    let Some(contact) = &shape.contact else {
        return Ok(());
    };
    if ![1, 3, 4, 6].contains(&contact.dimensions) {
        return Err(format!(
            "dimensions is {}, expected 1, 3, 4 or 6",
            contact.dimensions
        ));
    }
    let [sliding, torsional, rolling] = contact.friction;
    not_negative(
        "friction and margin",
        &[sliding, torsional, rolling, contact.margin],
    )
}

fn check_muscle(muscle: &Muscle, tendons: &BTreeMap<&str, usize>) -> Result<(), String> {
    known(
        tendons.contains_key(muscle.tendon.as_str()),
        "tendon",
        &muscle.tendon,
    )?;
    if muscle.peak_force <= 0.0 {
        return Err(format!(
            "peak_force is {}, expected more than 0",
            muscle.peak_force
        ));
    }
    let c = &muscle.curves;
    for (name, [low, high]) in [
        ("compat_range", muscle.compat_range),
        ("calibrated_range", muscle.calibrated_range),
        ("range", c.range),
    ] {
        if low >= high {
            return Err(format!(
                "{name} is [{low}, {high}], expected low before high"
            ));
        }
    }
    let curves = 0.0 < c.lmin
        && c.lmin < 1.0
        && 1.0 < c.lmax
        && c.vmax > 0.0
        && c.fvmax > 1.0
        && c.fpmax >= 0.0;
    if !curves {
        return Err(
            "curves need 0 < lmin < 1 < lmax, vmax > 0, fvmax > 1 and fpmax >= 0".to_owned(),
        );
    }
    if c.activation_secs <= 0.0 || c.deactivation_secs <= 0.0 {
        return Err("activation_secs and deactivation_secs must be more than 0".to_owned());
    }
    Ok(())
}

fn known(is_known: bool, kind: &str, name: &str) -> Result<(), String> {
    if is_known {
        Ok(())
    } else {
        Err(format!("there is no {kind} \"{name}\""))
    }
}

fn ordered(field: &str, range: Option<[f64; 2]>) -> Result<(), String> {
    match range {
        Some([low, high]) if low > high => Err(format!(
            "{field} is [{low}, {high}], expected low before high"
        )),
        _ => Ok(()),
    }
}

fn not_negative(fields: &str, numbers: &[f64]) -> Result<(), String> {
    match numbers.iter().find(|number| **number < 0.0) {
        Some(number) => Err(format!(
            "{fields} must not be negative, and one is {number}"
        )),
        None => Ok(()),
    }
}

fn one_long(quat: &[f64; 4]) -> Result<(), String> {
    let square: f64 = quat.iter().map(|x| x * x).sum();
    if (square - 1.0).abs() > 1e-6 {
        Err("quat must have length 1".to_owned())
    } else {
        Ok(())
    }
}

/// Which bodies move as one, and which of these have mass.
struct Welded<'a> {
    /// Bodies with joints of their own.
    moved: BTreeSet<&'a str>,
    /// Those of them that have mass, alone or with what is welded to them.
    heavy: BTreeSet<&'a str>,
}

impl<'a> Welded<'a> {
    fn of(model: &'a Model, bodies: &BTreeMap<&str, usize>) -> Self {
        let moved: BTreeSet<&str> = model
            .joint
            .iter()
            .map(|joint| joint.body.as_str())
            .collect();
        let mut heavy = BTreeSet::new();
        for body in model.body.iter().filter(|body| body.inertial.is_some()) {
            // Up to the body whose joints move this one; circles are found elsewhere.
            let mut at = Some(body);
            for _ in 0..model.body.len() {
                let Some(here) = at.filter(|here| !moved.contains(here.name.as_str())) else {
                    break;
                };
                at = bodies
                    .get(here.parent.as_str())
                    .map(|parent| &model.body[*parent]);
            }
            heavy.extend(at.map(|root| root.name.as_str()));
        }
        Self { moved, heavy }
    }

    fn lacks_mass(&self, body: &str) -> bool {
        self.moved.contains(body) && !self.heavy.contains(body)
    }
}

/// An entry of a list of the model.
trait Part: Serialize {
    /// The list's name.
    const KIND: &'static str;
    /// Whether the entry may be without a name.
    const NAMELESS: bool = false;
    fn name(&self) -> &str;
}

macro_rules! parts {
    ($($part:ty, $kind:literal, $nameless:literal;)*) => {$(
        impl Part for $part {
            const KIND: &'static str = $kind;
            const NAMELESS: bool = $nameless;
            fn name(&self) -> &str {
                &self.name
            }
        }
    )*};
}

parts! {
    Body, "body", false;
    Joint, "joint", false;
    Shape, "shape", true;
    Site, "site", false;
    Tendon, "tendon", false;
    Muscle, "muscle", false;
    Torque, "torque", false;
    Position, "position", false;
}

/// Checks one part after the other; what is wrong is said of the part by name.
fn each<T: Part>(parts: &[T], check: impl Fn(&T) -> Result<(), String>) -> Result<(), Wrong> {
    let wrong = |index: usize, reason: String| {
        let reason = format!("{} \"{}\": {reason}", T::KIND, parts[index].name());
        Wrong {
            kind: T::KIND,
            index,
            reason,
        }
    };
    parts
        .iter()
        .enumerate()
        .try_for_each(|(index, part)| check(part).map_err(|reason| wrong(index, reason)))
}

/// Name → index, after making sure that all names are there and different and all numbers finite.
fn names<T: Part>(parts: &[T]) -> Result<BTreeMap<&str, usize>, Wrong> {
    each(parts, finite)?;
    let mut seen = BTreeMap::new();
    for (index, part) in parts.iter().enumerate() {
        let reason = match part.name() {
            "" if T::NAMELESS => continue,
            "" => format!("a {} needs a name", T::KIND),
            name if seen.insert(name, index).is_some() => {
                format!("there are two {} entries named \"{name}\"", T::KIND)
            }
            _ => continue,
        };
        return Err(Wrong {
            kind: T::KIND,
            index,
            reason,
        });
    }
    Ok(seen)
}

/// JSON has no number that is not finite: one turns into null, and is found with the name of its field.
fn finite<T: Part>(part: &T) -> Result<(), String> {
    fn missing(value: &Value) -> bool {
        match value {
            Value::Null => true,
            Value::Array(items) => items.iter().any(missing),
            Value::Object(fields) => fields.values().any(missing),
            _ => false,
        }
    }
    let value = serde_json::to_value(part).expect("every field of a model has a form in JSON");
    match value
        .as_object()
        .into_iter()
        .flatten()
        .find(|(_, value)| missing(value))
    {
        Some((field, _)) => Err(format!("{field} is not a finite number")),
        None => Ok(()),
    }
}
