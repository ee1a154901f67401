//! An arm that carries a hand: three slides, each held at a place by a stiff spring.

use hand::model::{Body, Inertial, Joint, JointKind, Model, Position, usual_solimp, usual_solref};

/// How many joints and controls an arm has; they come after the hand's own.
pub(crate) const ARM: usize = 3;
/// How far it reaches to each side (meters).
const REACH: f64 = 1.0;
/// Heavier than a hand and what it lifts (kg), so that it does not shake.
const MASS: f64 = 2.0;
/// N/m: two kilograms bend it by a millimetre.
const STIFFNESS: f64 = 20_000.0;
/// N s/m: it comes to rest without swinging.
const DAMPING: f64 = 500.0;

/// The model with everything that hung on the world on an arm instead.
pub(crate) fn on_arm(mut model: Model) -> Model {
    let mut name = "arm".to_owned();
    while model.body.iter().any(|b| b.name == name)
        || model.joint.iter().any(|j| j.name.starts_with(&name))
    {
        name.push('_');
    }
    let on = |parent: &mut String| {
        if parent == "world" {
            name.clone_into(parent);
        }
    };
    model.body.iter_mut().for_each(|body| on(&mut body.parent));
    model.shape.iter_mut().for_each(|shape| on(&mut shape.body));
    model.site.iter_mut().for_each(|site| on(&mut site.body));
    model.exclude.iter_mut().flatten().for_each(on);
    model.body.push(Body {
        name: name.clone(),
        parent: "world".to_owned(),
        pos: [0.0; 3],
        quat: [1.0, 0.0, 0.0, 0.0],
        inertial: Some(Inertial {
            mass: MASS,
            com: [0.0; 3],
            inertia: [0.01, 0.01, 0.01, 0.0, 0.0, 0.0],
        }),
    });
    for (i, axis) in ["x", "y", "z"].into_iter().enumerate() {
        let joint = format!("{name} {axis}");
        model.joint.push(Joint {
            name: joint.clone(),
            body: name.clone(),
            kind: JointKind::Slide,
            axis: [0, 1, 2].map(|k| f64::from(u8::from(k == i))),
            anchor: [0.0; 3],
            limit: None,
            limit_solref: usual_solref(),
            limit_solimp: usual_solimp(),
            damping: DAMPING,
            armature: 0.0,
        });
        model.position.push(Position {
            name: joint.clone(),
            joint,
            stiffness: STIFFNESS,
            damping: 0.0,
            control: Some([-REACH, REACH]),
            force: None,
        });
    }
    model
}
