//! MuJoCo's XML, in a subset: bodies and what moves them.
//!
//! | element | what is read |
//! |---|---|
//! | `include` | the file, relative to the folder of the first file |
//! | `compiler` | `angle`, `eulerseq`, `autolimits`, `inertiafromgeom`, `boundmass`, `boundinertia`, `balanceinertia`, `meshdir`, `assetdir` |
//! | `option` | `timestep`, `gravity`; settings of MuJoCo's own solver are left out |
//! | `default` | classes inside classes, for every element below; `childclass` |
//! | `asset/mesh` | binary STL, for the inertia of moving bodies without `inertial` |
//! | `body` | place and turn (`quat`, `axisangle`, `euler`, `xyaxes`, `zaxis`), `inertial`; a body without a name is given one |
//! | `joint` | `hinge` and `slide`: axis, anchor, range, damping, armature, softness of the limits |
//! | `geom` | `sphere`, `capsule`, `cylinder`, `box`, `ellipsoid`, `plane`, with `fromto`, contact and density or mass; `mesh` only where it touches nothing, which is left out |
//! | `site` | its place; a site without a name is left out |
//! | `contact/exclude` | pairs of bodies |
//! | `tendon/spatial` | paths of sites, spheres and cylinders with `sidesite` |
//! | `actuator` | `muscle`, `general` with `dyntype="muscle"` (both on tendons), `motor` and `position` (both on joints) |
//!
//! Looks (`visual`, `statistic`, textures, materials, cameras, lights, colours, groups), memory sizes, sensors and keyframes
//! are left out. Everything else is an error that names file, line and element: free and ball joints, springs and friction of
//! joints and tendons, pulleys, equalities, contact pairs, frames, plugins, whatever is new. What was left out and is more than
//! looks is said in [`Imported::notes`].

mod actuators;
mod bodies;
mod fields;
mod inertia;
mod xml;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::{Model, ModelError, SCHEMA, check};
use crate::kernel::extremes;
use crate::math::V3;
use fields::Fields;
use inertia::{Bounds, MeshInertia};
use xml::{Attribute, Element};

/// A model from a foreign file, and what of the file is not in it.
#[derive(Clone, Debug, PartialEq)]
pub struct Imported {
    /// The model.
    pub model: Model,
    /// What was left out or made up, one sentence each.
    pub notes: Vec<String>,
}

/// Reads a MuJoCo XML file.
///
/// # Errors
/// When a file cannot be read, is not XML, goes beyond the subset, or describes a model that cannot be.
pub fn import(path: impl AsRef<Path>) -> Result<Imported, ModelError> {
    let path = path.as_ref();
    let root = xml::read(path)?;
    if root.name != "mujoco" {
        return Err(root.wrong("expected <mujoco>"));
    }
    let mut importer = Importer::new(&root, path);
    // In MuJoCo's order: settings and classes count for everything, wherever they stand.
    importer.each(&root, "compiler", Importer::compiler)?;
    importer.each(&root, "option", Importer::option)?;
    importer.each(&root, "default", |it, element| it.class(element, None))?;
    importer.each(&root, "asset", Importer::assets)?;
    importer.each(&root, "worldbody", |it, world| {
        it.inside_of(world, "world", MAIN, false).map(|_| ())
    })?;
    importer.each(&root, "contact", Importer::excludes)?;
    importer.each(&root, "tendon", Importer::tendons)?;
    importer.each(&root, "actuator", Importer::actuators)?;
    for element in &root.children {
        match element.name.as_str() {
            "compiler" | "option" | "default" | "asset" | "worldbody" | "contact" | "tendon"
            | "actuator" => {}
            "visual" | "statistic" | "size" => {}
            "sensor" | "keyframe" | "custom" => importer.left_out(format!("<{}>", element.name)),
            _ => return Err(element.wrong(OUTSIDE)),
        }
    }
    importer.finish(&root)
}

const OUTSIDE: &str = "is outside the subset";
/// The class of everything that names no other.
const MAIN: &str = "main";
/// What `default` may hold and the subset has no use for.
const DEFAULTS_OF_OTHERS: &[&str] = &["camera", "light", "material", "equality", "pair"];
const ACTUATORS: &[&str] = &["muscle", "general", "motor", "position"];
/// What all actuators of a class have in common, whichever of them the default names.
const SHARED_BY_ACTUATORS: &[&str] = &[
    "ctrllimited",
    "ctrlrange",
    "forcelimited",
    "forcerange",
    "gear",
    "lengthrange",
    "group",
    "user",
];
/// Settings of MuJoCo's way of solving.
const SOLVER_SETTINGS: &[&str] = &[
    "integrator",
    "solver",
    "cone",
    "jacobian",
    "iterations",
    "tolerance",
    "ls_iterations",
    "ls_tolerance",
    "noslip_iterations",
    "noslip_tolerance",
    "ccd_iterations",
    "ccd_tolerance",
    "mpr_iterations",
    "mpr_tolerance",
    "impratio",
    "sdf_iterations",
    "sdf_initpoints",
];
const YES_OR_NO: &[(&str, bool)] = &[("true", true), ("false", false)];

struct Importer {
    /// The folder of the first file.
    folder: PathBuf,
    compiler: Compiler,
    classes: BTreeMap<String, Class>,
    meshes: BTreeMap<String, Mesh>,
    model: Model,
    /// Muscles whose length range the file leaves to the compiler.
    without_range: BTreeSet<String>,
    left_out: BTreeMap<String, usize>,
}

/// Element name → attributes.
type Class = BTreeMap<String, Vec<Attribute>>;

struct Compiler {
    degrees: bool,
    eulerseq: String,
    autolimits: bool,
    from_geoms: FromGeoms,
    bounds: Bounds,
    meshdir: String,
}

/// Whether a body's inertia is that of its geoms.
#[derive(Clone, Copy, PartialEq, Eq)]
enum FromGeoms {
    Always,
    Never,
    /// Where the body has no `inertial`.
    Auto,
}

struct Mesh {
    file: PathBuf,
    scale: V3,
    how: MeshInertia,
}

impl Importer {
    fn new(root: &Element, path: &Path) -> Self {
        let name = root
            .attribute("model")
            .map_or("model", |attribute| attribute.value.as_str());
        Self {
            folder: path.parent().unwrap_or(Path::new("")).to_owned(),
            compiler: Compiler {
                degrees: true,
                eulerseq: "xyz".to_owned(),
                autolimits: true,
                from_geoms: FromGeoms::Auto,
                bounds: Bounds::default(),
                meshdir: String::new(),
            },
            classes: BTreeMap::from([(MAIN.to_owned(), Class::new())]),
            meshes: BTreeMap::new(),
            model: Model {
                schema: SCHEMA.to_owned(),
                name: name.to_owned(),
                timestep: 0.002,
                gravity: [0.0, 0.0, -9.81],
                exclude: Vec::new(),
                body: Vec::new(),
                joint: Vec::new(),
                shape: Vec::new(),
                site: Vec::new(),
                tendon: Vec::new(),
                muscle: Vec::new(),
                torque: Vec::new(),
                position: Vec::new(),
            },
            without_range: BTreeSet::new(),
            left_out: BTreeMap::new(),
        }
    }

    /// Every section of a name, in the order of the file.
    fn each(
        &mut self,
        root: &Element,
        section: &str,
        read: impl Fn(&mut Self, &Element) -> Result<(), ModelError>,
    ) -> Result<(), ModelError> {
        root.children
            .iter()
            .filter(|child| child.name == section)
            .try_for_each(|child| read(self, child))
    }

    fn compiler(&mut self, element: &Element) -> Result<(), ModelError> {
        let mut fields = Fields::new(element, &[]);
        let it = &mut self.compiler;
        it.degrees = fields.word("angle", it.degrees, &[("degree", true), ("radian", false)])?;
        it.autolimits = fields.word("autolimits", it.autolimits, YES_OR_NO)?;
        let from_geoms = [
            ("true", FromGeoms::Always),
            ("false", FromGeoms::Never),
            ("auto", FromGeoms::Auto),
        ];
        it.from_geoms = fields.word("inertiafromgeom", it.from_geoms, &from_geoms)?;
        it.bounds.mass = fields.number("boundmass", it.bounds.mass)?;
        it.bounds.inertia = fields.number("boundinertia", it.bounds.inertia)?;
        it.bounds.balance = fields.word("balanceinertia", it.bounds.balance, YES_OR_NO)?;
        if let Some(sequence) = fields.text("eulerseq") {
            if sequence.len() != 3 || sequence.chars().any(|axis| !"xyzXYZ".contains(axis)) {
                return Err(element.wrong(format!(
                    "eulerseq is \"{sequence}\", expected three of xyzXYZ"
                )));
            }
            it.eulerseq = sequence.to_owned();
        }
        for name in ["assetdir", "meshdir"] {
            if let Some(folder) = fields.text(name) {
                it.meshdir = folder.to_owned();
            }
        }
        fields.word("coordinate", (), &[("local", ())])?;
        fields.word("fusestatic", (), &[("false", ())])?;
        fields.word("discardvisual", (), &[("false", ())])?;
        fields.word("strippath", (), &[("false", ())])?;
        fields.ignore(&["texturedir", "usethread", "convexhull"]);
        fields.finish()
    }

    fn option(&mut self, element: &Element) -> Result<(), ModelError> {
        let mut fields = Fields::new(element, &[]);
        self.model.timestep = fields.number("timestep", self.model.timestep)?;
        self.model.gravity = fields.exactly("gravity")?.unwrap_or(self.model.gravity);
        fields.only(&[
            ("wind", 0.0),
            ("density", 0.0),
            ("viscosity", 0.0),
            ("o_margin", 0.0),
        ])?;
        for name in SOLVER_SETTINGS.iter().filter(|name| fields.has(name)) {
            self.left_out(format!("<option {name}>"));
        }
        fields.ignore(SOLVER_SETTINGS);
        fields.finish()?;
        element
            .children
            .first()
            .map_or(Ok(()), |child| Err(child.wrong(OUTSIDE)))
    }

    /// A class: what its parent says, and over that what it says itself.
    fn class(&mut self, element: &Element, parent: Option<&str>) -> Result<(), ModelError> {
        let named = element
            .attribute("class")
            .map(|attribute| attribute.value.as_str());
        let name = match (named, parent) {
            (Some(name), Some(_)) => name,
            (None | Some(MAIN), None) => MAIN,
            (Some(_), None) => return Err(element.wrong("the outermost class is called \"main\"")),
            (None, Some(_)) => return Err(element.wrong("class is missing")),
        };
        let mut class = self
            .classes
            .get(parent.unwrap_or(MAIN))
            .cloned()
            .unwrap_or_default();
        for child in element
            .children
            .iter()
            .filter(|child| child.name != "default")
        {
            let is_actuator = ACTUATORS.contains(&child.name.as_str());
            let known = ["joint", "geom", "site", "tendon", "mesh"].contains(&child.name.as_str());
            if DEFAULTS_OF_OTHERS.contains(&child.name.as_str()) {
                continue;
            }
            if !is_actuator && !known {
                return Err(child.wrong(OUTSIDE));
            }
            for attribute in &child.attributes {
                let shared = is_actuator && SHARED_BY_ACTUATORS.contains(&attribute.name.as_str());
                let of = if shared {
                    "actuator"
                } else {
                    child.name.as_str()
                };
                let attributes = class.entry(of.to_owned()).or_default();
                attributes.retain(|before| before.name != attribute.name);
                attributes.push(attribute.clone());
            }
        }
        self.classes.insert(name.to_owned(), class);
        element
            .children
            .iter()
            .filter(|child| child.name == "default")
            .try_for_each(|child| self.class(child, Some(name)))
    }

    fn assets(&mut self, element: &Element) -> Result<(), ModelError> {
        for child in &element.children {
            match child.name.as_str() {
                "texture" | "material" => {}
                "mesh" => self.mesh(child)?,
                _ => return Err(child.wrong(OUTSIDE)),
            }
        }
        Ok(())
    }

    fn mesh(&mut self, element: &Element) -> Result<(), ModelError> {
        let defaults = self.defaults(element, "mesh", MAIN)?;
        let mut fields = Fields::new(element, &defaults);
        let file = Path::new(fields.needed("file")?);
        let stem = file
            .file_stem()
            .map(|stem| stem.to_string_lossy().into_owned())
            .unwrap_or_default();
        let name = fields.text("name").map_or(stem, str::to_owned);
        let mesh = Mesh {
            file: self.folder.join(&self.compiler.meshdir).join(file),
            scale: fields.exactly("scale")?.unwrap_or([1.0; 3]),
            how: fields.word(
                "inertia",
                MeshInertia::Legacy,
                &[
                    ("legacy", MeshInertia::Legacy),
                    ("exact", MeshInertia::Exact),
                ],
            )?,
        };
        fields.only(&[("refpos", 0.0)])?;
        fields.ignore(&["class", "smoothnormal", "maxhullvert"]);
        fields.finish()?;
        self.meshes.insert(name, mesh);
        Ok(())
    }

    /// A range, where it counts.
    fn limits(
        &self,
        element: &Element,
        fields: &mut Fields<'_>,
        limited: &str,
        range: &str,
    ) -> Result<Option<[f64; 2]>, ModelError> {
        let words = [("true", Some(true)), ("false", Some(false)), ("auto", None)];
        let limited = fields.word(limited, None, &words)?;
        let found: Option<[f64; 2]> = fields.exactly(range)?;
        let limited = match limited {
            Some(limited) => limited,
            None if found.is_some() && !self.compiler.autolimits => {
                return Err(element.wrong(format!(
                    "{range} without being limited, and autolimits is false"
                )));
            }
            None => found.is_some(),
        };
        match found {
            None if limited => Err(element.wrong(format!("it is limited and has no {range}"))),
            Some([low, high]) if limited && low > high => {
                Err(element.wrong(format!("{range} is {low} {high}, expected low before high")))
            }
            found => Ok(found.filter(|_| limited)),
        }
    }

    /// What the class of an element says about it: the class that it names, or the one around it.
    fn defaults(
        &self,
        element: &Element,
        kind: &str,
        around: &str,
    ) -> Result<Vec<Attribute>, ModelError> {
        let name = element
            .attribute("class")
            .map_or(around, |attribute| attribute.value.as_str());
        let Some(class) = self.classes.get(name) else {
            return Err(element.wrong(format!("there is no class \"{name}\"")));
        };
        let of = |kind: &str| class.get(kind).into_iter().flatten().cloned();
        if !ACTUATORS.contains(&kind) {
            return Ok(of(kind).collect());
        }
        // In MuJoCo, all actuators of a class share one default: a muscle would take a servo's parameters for its own.
        let is_muscle = |kind: &str| ["muscle", "general"].contains(&kind);
        let other = ACTUATORS
            .iter()
            .find(|other| **other != kind && class.contains_key(**other));
        if let Some(other) = other.filter(|other| is_muscle(kind) || is_muscle(other)) {
            let reason = format!(
                "its class \"{name}\" has defaults of <{other}> too, which is outside the subset"
            );
            return Err(element.wrong(reason));
        }
        Ok(of("actuator").chain(of(kind)).collect())
    }

    fn left_out(&mut self, what: String) {
        *self.left_out.entry(what).or_default() += 1;
    }

    /// Length ranges, and a last check of the whole.
    fn finish(mut self, root: &Element) -> Result<Imported, ModelError> {
        for (muscle, range) in extremes::of_paths(&self.model).into_iter().enumerate() {
            let muscle = &mut self.model.muscle[muscle];
            muscle.calibrated_range = range;
            if self.without_range.contains(&muscle.name) {
                muscle.compat_range = range;
            }
        }
        check::check(&self.model).map_err(|wrong| root.wrong(wrong.reason))?;
        let left_out = self
            .left_out
            .iter()
            .map(|(what, count)| format!("left out: {count} × {what}"));
        let ranged = self.without_range.iter().map(|muscle| {
            format!("made up: the length range of muscle \"{muscle}\", from its path's extremes")
        });
        Ok(Imported {
            notes: left_out.chain(ranged).collect(),
            model: self.model,
        })
    }
}
