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

mod fields;
mod inertia;
mod xml;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::{
    Body, Contact, Curves, Joint, JointKind, Model, ModelError, Muscle, PathPoint, Position,
    SCHEMA, Shape, ShapeKind, Site, Tendon, Torque, check,
};
use crate::kernel::extremes;
use crate::math::{V3, add, around, cross, dot, from_z, norm, quat_of, scale, sub, turn, unit};
use fields::Fields;
use inertia::{Bounds, MeshInertia, Piece};
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

    /// A body and everything inside it.
    fn body(
        &mut self,
        element: &Element,
        parent: &str,
        class: &str,
        moves: bool,
    ) -> Result<(), ModelError> {
        let mut fields = Fields::new(element, &[]);
        let name = match fields.text("name") {
            Some(name) => name.to_owned(),
            None => format!("unnamed_body_{}", self.model.body.len()),
        };
        let pos = fields.exactly("pos")?.unwrap_or_default();
        let quat = self.orientation(element, &mut fields)?;
        let class = fields.text("childclass").unwrap_or(class);
        fields.only(&[("gravcomp", 0.0)])?;
        fields.word("mocap", (), &[("false", ())])?;
        fields.finish()?;
        let at = self.model.body.len();
        self.model.body.push(Body {
            name: name.clone(),
            parent: parent.to_owned(),
            pos,
            quat,
            inertial: None,
        });
        let moves = moves || element.children.iter().any(|child| child.name == "joint");
        let pieces = self.inside_of(element, &name, class, moves)?;
        if !moves {
            return Ok(());
        }
        let explicit = element
            .children
            .iter()
            .find(|child| child.name == "inertial");
        let piece = match (self.compiler.from_geoms, explicit) {
            (FromGeoms::Always, _) | (FromGeoms::Auto, None) => Piece::together(&pieces),
            (_, Some(explicit)) => Some(self.inertial(explicit)?),
            (FromGeoms::Never, None) => None,
        };
        let bounds = self.compiler.bounds;
        let piece = match piece {
            None if bounds.mass == 0.0 || bounds.inertia == 0.0 => return Ok(()),
            // Where MuJoCo puts the mass of a body that has none and is given the lowest.
            None => Piece {
                mass: 0.0,
                com: pos,
                inertia: [[0.0; 3]; 3],
            },
            Some(piece) => piece,
        };
        let bounded = piece
            .bounded(bounds)
            .map_err(|reason| element.wrong(reason))?;
        self.model.body[at].inertial = Some(bounded);
        Ok(())
    }

    /// What a body holds; answers what its geoms weigh, where that counts.
    fn inside_of(
        &mut self,
        element: &Element,
        body: &str,
        class: &str,
        moves: bool,
    ) -> Result<Vec<Piece>, ModelError> {
        let explicit = element
            .children
            .iter()
            .any(|child| child.name == "inertial");
        let weighs = moves
            && match self.compiler.from_geoms {
                FromGeoms::Always => true,
                FromGeoms::Never => false,
                FromGeoms::Auto => !explicit,
            };
        let mut pieces = Vec::new();
        for child in &element.children {
            match child.name.as_str() {
                "body" => self.body(child, body, class, moves)?,
                "joint" if body != "world" => self.joint(child, body, class)?,
                "inertial" if body != "world" => {}
                "geom" => pieces.extend(self.geom(child, body, class, weighs)?),
                "site" => self.site(child, body, class)?,
                "camera" | "light" => {}
                "freejoint" => return Err(child.wrong("a free joint is outside the subset")),
                _ => return Err(child.wrong(OUTSIDE)),
            }
        }
        Ok(pieces)
    }

    fn inertial(&self, element: &Element) -> Result<Piece, ModelError> {
        let mut fields = Fields::new(element, &[]);
        let com = fields.exactly("pos")?.unwrap_or_default();
        let quat = self.orientation(element, &mut fields)?;
        let mass = fields.number("mass", 0.0)?;
        let diagonal: Option<[f64; 3]> = fields.exactly("diaginertia")?;
        let full: Option<[f64; 6]> = fields.exactly("fullinertia")?;
        fields.finish()?;
        let inertia = match (diagonal, full) {
            (Some([x, y, z]), None) => [[x, 0.0, 0.0], [0.0, y, 0.0], [0.0, 0.0, z]],
            (None, Some([xx, yy, zz, xy, xz, yz])) => [[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]],
            _ => return Err(element.wrong("expected either diaginertia or fullinertia")),
        };
        Ok(Piece {
            mass,
            com: [0.0; 3],
            inertia,
        }
        .placed(com, quat))
    }

    fn joint(&mut self, element: &Element, body: &str, class: &str) -> Result<(), ModelError> {
        let defaults = self.defaults(element, "joint", class)?;
        let mut fields = Fields::new(element, &defaults);
        let kinds = [("hinge", JointKind::Hinge), ("slide", JointKind::Slide)];
        let kind = fields.word("type", JointKind::Hinge, &kinds)?;
        let limit = self.limits(element, &mut fields, "limited", "range")?;
        let in_radians = |range: [f64; 2]| range.map(f64::to_radians);
        let turned = kind == JointKind::Hinge && self.compiler.degrees;
        let name = fields.text("name").map(str::to_owned);
        let joint = Joint {
            name: name.unwrap_or_else(|| format!("unnamed_joint_{}", self.model.joint.len())),
            body: body.to_owned(),
            kind,
            axis: fields.exactly("axis")?.unwrap_or([0.0, 0.0, 1.0]),
            anchor: fields.exactly("pos")?.unwrap_or_default(),
            limit: if turned { limit.map(in_radians) } else { limit },
            limit_solref: fields.at_most("solreflimit", super::usual_solref())?,
            limit_solimp: fields.at_most("solimplimit", super::usual_solimp())?,
            damping: fields.number("damping", 0.0)?,
            armature: fields.number("armature", 0.0)?,
        };
        fields.only(&[
            ("ref", 0.0),
            ("stiffness", 0.0),
            ("frictionloss", 0.0),
            ("margin", 0.0),
            ("springdamper", 0.0),
        ])?;
        // Without stiffness, the spring's rest place means nothing.
        fields.ignore(&["class", "springref"]);
        fields.finish()?;
        self.model.joint.push(joint);
        Ok(())
    }

    /// A shape; answers what it weighs, where that counts.
    fn geom(
        &mut self,
        element: &Element,
        body: &str,
        class: &str,
        weighs: bool,
    ) -> Result<Option<Piece>, ModelError> {
        let defaults = self.defaults(element, "geom", class)?;
        let mut fields = Fields::new(element, &defaults);
        let kinds = [
            ("sphere", Some(ShapeKind::Sphere)),
            ("capsule", Some(ShapeKind::Capsule)),
            ("cylinder", Some(ShapeKind::Cylinder)),
            ("box", Some(ShapeKind::Box)),
            ("ellipsoid", Some(ShapeKind::Ellipsoid)),
            ("plane", Some(ShapeKind::Plane)),
            ("mesh", None),
        ];
        let kind = fields.word("type", Some(ShapeKind::Sphere), &kinds)?;
        let contact = Contact {
            group: fields.whole("contype", 1)?,
            mask: fields.whole("conaffinity", 1)?,
            friction: fields.at_most("friction", [1.0, 0.005, 0.0001])?,
            dimensions: fields.word("condim", 3, &[("1", 1), ("3", 3), ("4", 4), ("6", 6)])?,
            margin: fields.number("margin", 0.0)?,
            solref: fields.at_most("solref", super::usual_solref())?,
            solimp: fields.at_most("solimp", super::usual_solimp())?,
        };
        let contact = Some(contact).filter(|contact| contact.group != 0 || contact.mask != 0);
        let name = fields.text("name").unwrap_or_default().to_owned();
        let mut pos = fields.exactly("pos")?.unwrap_or_default();
        let mut quat = self.orientation(element, &mut fields)?;
        let mut size = fields.at_most("size", [0.0; 3])?;
        let from_to: Option<[f64; 6]> = fields.exactly("fromto")?;
        let mass = fields
            .has("mass")
            .then(|| fields.number("mass", 0.0))
            .transpose()?;
        let density = fields.number("density", 1000.0)?;
        let mesh = fields.text("mesh");
        fields.only(&[("gap", 0.0), ("priority", 0.0), ("solmix", 1.0)])?;
        fields.word("shellinertia", (), &[("false", ())])?;
        fields.word("fluidshape", (), &[("none", ())])?;
        fields.ignore(&["class"]);
        fields.finish()?;
        let Some(kind) = kind else {
            if contact.is_some() {
                return Err(element.wrong("a mesh that touches things is outside the subset; only one with contype and conaffinity 0 can be left out"));
            }
            self.left_out("<geom type=\"mesh\"> that touches nothing".to_owned());
            let Some(mesh) = mesh.filter(|_| weighs) else {
                return Ok(None);
            };
            let mesh = self
                .meshes
                .get(mesh)
                .ok_or_else(|| element.wrong(format!("there is no mesh \"{mesh}\"")))?;
            let mut piece = inertia::mesh(&mesh.file, mesh.scale, mesh.how).map_err(|reason| {
                element.wrong(format!("its body needs an <inertial>: {reason}"))
            })?;
            let heavier = mass.unwrap_or(density * piece.mass) / piece.mass;
            piece.mass *= heavier;
            piece.inertia = piece.inertia.map(|row| scale(row, heavier));
            return Ok(Some(piece.placed(pos, quat)));
        };
        if let Some([ax, ay, az, bx, by, bz]) = from_to {
            let (a, b) = ([ax, ay, az], [bx, by, bz]);
            let half = norm(sub(a, b)) / 2.0;
            (pos, quat) = (scale(add(a, b), 0.5), from_z(unit(sub(a, b))));
            match kind {
                ShapeKind::Capsule | ShapeKind::Cylinder => size[1] = half,
                ShapeKind::Box | ShapeKind::Ellipsoid => size = [size[0], size[0], half],
                ShapeKind::Sphere | ShapeKind::Plane => {
                    return Err(element
                        .wrong("fromto belongs to capsules, cylinders, boxes and ellipsoids"));
                }
            }
        }
        let size = size[..kind.numbers()].to_vec();
        let (mut piece, volume) = inertia::solid(kind, &size);
        piece.mass = mass.unwrap_or(density * volume);
        piece.inertia = piece.inertia.map(|row| scale(row, piece.mass));
        self.model.shape.push(Shape {
            name,
            body: body.to_owned(),
            kind,
            size,
            pos,
            quat,
            contact,
        });
        Ok(Some(piece.placed(pos, quat)).filter(|_| weighs && kind != ShapeKind::Plane))
    }

    fn site(&mut self, element: &Element, body: &str, class: &str) -> Result<(), ModelError> {
        let defaults = self.defaults(element, "site", class)?;
        let mut fields = Fields::new(element, &defaults);
        let name = fields.text("name");
        let pos = fields.exactly("pos")?.unwrap_or_default();
        // A site is a point here: its form and turn are looks.
        fields.ignore(&[
            "class",
            "type",
            "size",
            "quat",
            "axisangle",
            "xyaxes",
            "zaxis",
            "euler",
        ]);
        fields.finish()?;
        match name {
            Some(name) => {
                self.model.site.push(Site {
                    name: name.to_owned(),
                    body: body.to_owned(),
                    pos,
                });
            }
            None => self.left_out("<site> without a name".to_owned()),
        }
        Ok(())
    }

    fn excludes(&mut self, element: &Element) -> Result<(), ModelError> {
        for child in &element.children {
            if child.name != "exclude" {
                return Err(child.wrong(OUTSIDE));
            }
            let mut fields = Fields::new(child, &[]);
            let pair = [
                fields.needed("body1")?.to_owned(),
                fields.needed("body2")?.to_owned(),
            ];
            fields.ignore(&["name"]);
            fields.finish()?;
            let known = |name: &str| {
                name == "world" || self.model.body.iter().any(|body| body.name == name)
            };
            if let Some(unknown) = pair.iter().find(|name| !known(name)) {
                return Err(child.wrong(format!("there is no body \"{unknown}\"")));
            }
            self.model.exclude.push(pair);
        }
        Ok(())
    }

    fn tendons(&mut self, element: &Element) -> Result<(), ModelError> {
        for child in &element.children {
            if child.name != "spatial" {
                return Err(child.wrong(OUTSIDE));
            }
            let defaults = self.defaults(child, "tendon", MAIN)?;
            let mut fields = Fields::new(child, &defaults);
            let name = fields.needed("name")?.to_owned();
            if self
                .limits(child, &mut fields, "limited", "range")?
                .is_some()
            {
                return Err(child.wrong("limits of tendons are outside the subset"));
            }
            fields.only(&[
                ("stiffness", 0.0),
                ("damping", 0.0),
                ("frictionloss", 0.0),
                ("armature", 0.0),
            ])?;
            // They belong to limits, springs and looks.
            fields.ignore(&[
                "class",
                "width",
                "springlength",
                "margin",
                "solreflimit",
                "solimplimit",
            ]);
            fields.finish()?;
            let path = child
                .children
                .iter()
                .map(|point| self.path_point(point))
                .collect::<Result<_, _>>()?;
            let tendon = Tendon { name, path };
            check::check_path(&self.model, &tendon).map_err(|reason| child.wrong(reason))?;
            self.model.tendon.push(tendon);
        }
        Ok(())
    }

    fn path_point(&self, element: &Element) -> Result<PathPoint, ModelError> {
        let mut fields = Fields::new(element, &[]);
        let point = match element.name.as_str() {
            "site" => PathPoint::Site(fields.needed("site")?.to_owned()),
            "geom" => PathPoint::Wrap {
                shape: fields.needed("geom")?.to_owned(),
                side: fields.text("sidesite").map(str::to_owned),
            },
            _ => return Err(element.wrong(OUTSIDE)),
        };
        fields.finish()?;
        Ok(point)
    }

    fn actuators(&mut self, element: &Element) -> Result<(), ModelError> {
        for child in &element.children {
            if !ACTUATORS.contains(&child.name.as_str()) {
                return Err(child.wrong(OUTSIDE));
            }
            let defaults = self.defaults(child, &child.name, MAIN)?;
            let mut fields = Fields::new(child, &defaults);
            let name = fields.needed("name")?.to_owned();
            let control = self.limits(child, &mut fields, "ctrllimited", "ctrlrange")?;
            let force = self.limits(child, &mut fields, "forcelimited", "forcerange")?;
            fields.ignore(&["class"]);
            match child.name.as_str() {
                "muscle" | "general" => self.muscle(child, fields, name, control, force)?,
                "motor" => {
                    let gear = gear(&mut fields)?;
                    let joint = self.driven(child, &mut fields)?;
                    fields.finish()?;
                    self.model.torque.push(Torque {
                        name,
                        joint,
                        gear,
                        control,
                        force,
                    });
                }
                _ => {
                    if gear(&mut fields)? != 1.0 {
                        return Err(child.wrong("a gear other than 1 is outside the subset"));
                    }
                    let joint = self.driven(child, &mut fields)?;
                    let stiffness = fields.number("kp", 1.0)?;
                    let damping = fields.number("kv", 0.0)?;
                    fields.only(&[("timeconst", 0.0), ("inheritrange", 0.0)])?;
                    fields.finish()?;
                    self.model.position.push(Position {
                        name,
                        joint,
                        stiffness,
                        damping,
                        control,
                        force,
                    });
                }
            }
        }
        Ok(())
    }

    fn muscle(
        &mut self,
        element: &Element,
        mut fields: Fields<'_>,
        name: String,
        control: Option<[f64; 2]>,
        force: Option<[f64; 2]>,
    ) -> Result<(), ModelError> {
        if control.is_some_and(|range| range != [0.0, 1.0]) || force.is_some() {
            return Err(element.wrong("a muscle's ctrlrange must be 0 1, and it has no forcerange"));
        }
        if gear(&mut fields)? != 1.0 {
            return Err(element.wrong("a gear other than 1 is outside the subset"));
        }
        let usual = Curves::default();
        let curve = [
            usual.range[0],
            usual.range[1],
            -1.0,
            200.0,
            usual.lmin,
            usual.lmax,
            usual.vmax,
            usual.fpmax,
            usual.fvmax,
        ];
        let times = [usual.activation_secs, usual.deactivation_secs, 0.0];
        let (
            [
                low,
                high,
                peak_force,
                _scale,
                lmin,
                lmax,
                vmax,
                fpmax,
                fvmax,
            ],
            [rise, fall, smooth],
        ) = if element.name == "general" {
            for kind in ["dyntype", "gaintype", "biastype"] {
                if fields.text(kind) != Some("muscle") {
                    return Err(element.wrong(format!(
                        "a {kind} other than \"muscle\" is outside the subset"
                    )));
                }
            }
            let gain = fields.at_most("gainprm", curve)?;
            if fields.at_most("biasprm", curve)? != gain {
                return Err(element.wrong("biasprm must be the same as gainprm"));
            }
            fields.word("actlimited", (), &[("true", ()), ("auto", ())])?;
            fields.word("actearly", (), &[("false", ())])?;
            fields.ignore(&["actrange"]);
            (gain, fields.at_most("dynprm", times)?)
        } else {
            let [rise, fall] = fields.at_most("timeconst", [times[0], times[1]])?;
            let [low, high] = fields.at_most("range", usual.range)?;
            let mut number = |name: &str, at: usize| fields.number(name, curve[at]);
            let read = [
                low,
                high,
                number("force", 2)?,
                number("scale", 3)?,
                number("lmin", 4)?,
                number("lmax", 5)?,
                number("vmax", 6)?,
                number("fpmax", 7)?,
                number("fvmax", 8)?,
            ];
            (read, [rise, fall, fields.number("tausmooth", 0.0)?])
        };
        let range = fields.exactly("lengthrange")?;
        let tendon = fields
            .text("tendon")
            .ok_or_else(|| element.wrong("a muscle without a tendon is outside the subset"))?;
        fields.finish()?;
        if !self.model.tendon.iter().any(|known| known.name == tendon) {
            return Err(element.wrong(format!("there is no tendon \"{tendon}\"")));
        }
        if smooth != 0.0 {
            return Err(element.wrong("a smoothed activation is outside the subset"));
        }
        if peak_force < 0.0 {
            return Err(element.wrong(
                "force is missing; one that MuJoCo computes from `scale` is outside the subset",
            ));
        }
        if range.is_none() {
            self.without_range.insert(name.clone());
        }
        self.model.muscle.push(Muscle {
            name,
            tendon: tendon.to_owned(),
            peak_force,
            compat_range: range.unwrap_or([0.0, 1.0]),
            calibrated_range: [0.0, 1.0],
            curves: Curves {
                range: [low, high],
                lmin,
                lmax,
                vmax,
                fpmax,
                fvmax,
                activation_secs: rise,
                deactivation_secs: fall,
            },
        });
        Ok(())
    }

    /// The joint that an actuator drives.
    fn driven(&self, element: &Element, fields: &mut Fields<'_>) -> Result<String, ModelError> {
        let Some(joint) = fields.text("joint") else {
            return Err(element
                .wrong("it drives no joint; tendons, sites and bodies are outside the subset"));
        };
        if !self.model.joint.iter().any(|known| known.name == joint) {
            return Err(element.wrong(format!("there is no joint \"{joint}\"")));
        }
        Ok(joint.to_owned())
    }

    /// The turn that one of five attributes describes.
    fn orientation(
        &self,
        element: &Element,
        fields: &mut Fields<'_>,
    ) -> Result<[f64; 4], ModelError> {
        let angle = |angle: f64| {
            if self.compiler.degrees {
                angle.to_radians()
            } else {
                angle
            }
        };
        let none = || element.wrong("its orientation has no direction");
        let direction = |v: V3| {
            if norm(v) < 1e-12 {
                Err(none())
            } else {
                Ok(unit(v))
            }
        };
        let mut quat = None;
        if let Some(q) = fields.exactly::<4>("quat")? {
            let length = q.iter().map(|x| x * x).sum::<f64>().sqrt();
            if length < 1e-12 {
                return Err(none());
            }
            quat = Some(q.map(|x| x / length));
        }
        if let Some([x, y, z, turned]) = fields.exactly("axisangle")? {
            quat = Some(around(direction([x, y, z])?, angle(turned)));
        }
        if let Some(angles) = fields.exactly::<3>("euler")? {
            let mut whole = [1.0, 0.0, 0.0, 0.0];
            for (axis, turned) in self.compiler.eulerseq.chars().zip(angles) {
                let unit_axis = match axis.to_ascii_lowercase() {
                    'x' => [1.0, 0.0, 0.0],
                    'y' => [0.0, 1.0, 0.0],
                    _ => [0.0, 0.0, 1.0],
                };
                let step = around(unit_axis, angle(turned));
                // Small letters turn around axes that turn along, large ones around axes that stay.
                whole = if axis.is_ascii_lowercase() {
                    turn(whole, step)
                } else {
                    turn(step, whole)
                };
            }
            quat = Some(whole);
        }
        if let Some([a, b, c, d, e, f]) = fields.exactly("xyaxes")? {
            let x = direction([a, b, c])?;
            let y = [d, e, f];
            let y = direction(sub(y, scale(x, dot(x, y))))?;
            let z = cross(x, y);
            quat = Some(quat_of(&[0, 1, 2].map(|i| [x[i], y[i], z[i]])));
        }
        if let Some(z) = fields.exactly::<3>("zaxis")? {
            quat = Some(from_z(direction(z)?));
        }
        Ok(quat.unwrap_or([1.0, 0.0, 0.0, 0.0]))
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

/// The first number of an actuator's gear, which must be the only one.
fn gear(fields: &mut Fields<'_>) -> Result<f64, ModelError> {
    Ok(fields.at_most("gear", [1.0, 0.0, 0.0, 0.0, 0.0, 0.0])?[0])
}
