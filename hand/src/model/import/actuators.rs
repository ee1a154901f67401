//! What pulls and turns: pairs that never touch, tendons, muscles, motors.

use super::fields::Fields;
use super::xml::Element;
use super::{ACTUATORS, Importer, MAIN, OUTSIDE};
use crate::model::{
    Curves, ModelError, Muscle, PathPoint, Position, Tendon, Torque, check::check_path,
};

impl Importer {
    pub(super) fn excludes(&mut self, element: &Element) -> Result<(), ModelError> {
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

    pub(super) fn tendons(&mut self, element: &Element) -> Result<(), ModelError> {
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
            check_path(&self.model, &tendon).map_err(|reason| child.wrong(reason))?;
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

    pub(super) fn actuators(&mut self, element: &Element) -> Result<(), ModelError> {
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
        let (peak_force, curves) = match element.name.as_str() {
            "general" => general_curves(element, &mut fields)?,
            _ => muscle_curves(&mut fields)?,
        };
        let range = fields.exactly("lengthrange")?;
        let tendon = fields.text("tendon").unwrap_or_default().to_owned();
        fields.finish()?;
        if tendon.is_empty() {
            return Err(element.wrong("a muscle without a tendon is outside the subset"));
        }
        if !self.model.tendon.iter().any(|known| known.name == tendon) {
            return Err(element.wrong(format!("there is no tendon \"{tendon}\"")));
        }
        if peak_force < 0.0 {
            return Err(
                element.wrong("force is missing; MuJoCo's from `scale` is outside the subset")
            );
        }
        if range.is_none() {
            self.without_range.insert(name.clone());
        }
        // The calibrated range, and what is missing, is known when the whole model is.
        let calibrated_range = [0.0, 1.0];
        let compat_range = range.unwrap_or(calibrated_range);
        self.model.muscle.push(Muscle {
            name,
            tendon,
            peak_force,
            compat_range,
            calibrated_range,
            curves,
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
}

/// The first number of an actuator's gear, which must be the only one.
fn gear(fields: &mut Fields<'_>) -> Result<f64, ModelError> {
    Ok(fields.at_most("gear", [1.0, 0.0, 0.0, 0.0, 0.0, 0.0])?[0])
}

/// Peak force and curves of `<muscle>`.
fn muscle_curves(fields: &mut Fields<'_>) -> Result<(f64, Curves), ModelError> {
    let usual = Curves::default();
    let times = [usual.activation_secs, usual.deactivation_secs];
    let [activation_secs, deactivation_secs] = fields.at_most("timeconst", times)?;
    let curves = Curves {
        range: fields.at_most("range", usual.range)?,
        lmin: fields.number("lmin", usual.lmin)?,
        lmax: fields.number("lmax", usual.lmax)?,
        vmax: fields.number("vmax", usual.vmax)?,
        fpmax: fields.number("fpmax", usual.fpmax)?,
        fvmax: fields.number("fvmax", usual.fvmax)?,
        activation_secs,
        deactivation_secs,
    };
    fields.only(&[("tausmooth", 0.0)])?;
    // It sets the force only where `force` does not.
    fields.ignore(&["scale"]);
    Ok((fields.number("force", -1.0)?, curves))
}

/// The same of `<general>`, which has them as lists and no usual values.
fn general_curves(element: &Element, fields: &mut Fields<'_>) -> Result<(f64, Curves), ModelError> {
    for kind in ["dyntype", "gaintype", "biastype"] {
        if fields.text(kind) != Some("muscle") {
            let reason = format!("a {kind} other than \"muscle\" is outside the subset");
            return Err(element.wrong(reason));
        }
    }
    let gain: [f64; 10] = fields.at_most("gainprm", [0.0; 10])?;
    if fields.at_most("biasprm", [0.0; 10])? != gain {
        return Err(element.wrong("biasprm must be the same as gainprm"));
    }
    let [
        low,
        high,
        force,
        _scale,
        lmin,
        lmax,
        vmax,
        fpmax,
        fvmax,
        _unused,
    ] = gain;
    let times: [f64; 10] = fields.at_most("dynprm", [0.0; 10])?;
    let [activation_secs, deactivation_secs, smoothing, ..] = times;
    if smoothing != 0.0 {
        return Err(element.wrong("a smoothed activation is outside the subset"));
    }
    fields.word("actlimited", (), &[("true", ()), ("auto", ())])?;
    fields.word("actearly", (), &[("false", ())])?;
    fields.ignore(&["actrange"]);
    let range = [low, high];
    let curves = Curves {
        range,
        lmin,
        lmax,
        vmax,
        fpmax,
        fvmax,
        activation_secs,
        deactivation_secs,
    };
    Ok((force, curves))
}
