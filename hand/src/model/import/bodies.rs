//! Bodies and what they hold: joints, shapes, sites, inertia.

use super::fields::Fields;
use super::inertia::{self, Piece};
use super::xml::Element;
use super::{FromGeoms, Importer, OUTSIDE};
use crate::math::{V3, add, around, cross, dot, from_z, norm, quat_of, scale, sub, turn, unit};
use crate::model::{
    Body, Contact, Joint, JointKind, ModelError, Shape, ShapeKind, Site, usual_solimp, usual_solref,
};

impl Importer {
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
    pub(super) fn inside_of(
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
        // As in MuJoCo, what a body holds itself comes before the bodies inside it.
        let (inner, own): (Vec<&Element>, Vec<&Element>) = element
            .children
            .iter()
            .partition(|child| child.name == "body");
        for child in own.into_iter().chain(inner) {
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
            limit_solref: fields.at_most("solreflimit", usual_solref())?,
            limit_solimp: fields.at_most("solimplimit", usual_solimp())?,
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
            solref: fields.at_most("solref", usual_solref())?,
            solimp: fields.at_most("solimp", usual_solimp())?,
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
}
