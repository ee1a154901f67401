//! MuJoCo's XML becomes a model or an error at its place; nothing of it is dropped in silence.

use std::path::PathBuf;
use std::process::Command;

use hand::kernel::{Kernel, Pose};
use hand::model::{self, Imported, JointKind, ModelError, ParameterSet, ShapeKind};

use crate::{Broken, broken, golden, myohand};

/// The MyoHand as its makers ship it gives MuJoCo's numbers and is the model that we ship.
#[test]
fn the_myohand_of_the_package_is_ours() {
    let Imported { model, notes } = model::import(myohand_xml()).unwrap();
    for golden in golden::read() {
        golden::check(&model, &golden);
    }
    assert!(notes.iter().any(|note| note.contains("mesh")), "{notes:?}");
    let mut without_scene = model.clone();
    without_scene.shape.retain(|shape| shape.body != "world");
    assert_eq!(model.shape.len(), without_scene.shape.len() + 2);
    assert_eq!(without_scene, myohand());
    // Bodies that move as one, by MuJoCo.
    let mass = |names: &[&str]| {
        let of = |name: &&str| {
            model
                .body
                .iter()
                .find(|body| body.name == **name)
                .unwrap()
                .inertial
                .as_ref()
                .unwrap()
                .mass
        };
        names.iter().map(of).sum::<f64>()
    };
    assert!((mass(&["radius"]) - 0.23359).abs() < 1e-9);
    let palm = [
        "lunate",
        "scaphoid",
        "pisiform",
        "triquetrum",
        "capitate",
        "trapezium",
        "trapezoid",
        "hamate",
        "secondmc",
        "thirdmc",
        "fourthmc",
        "fifthmc",
    ];
    assert!((mass(&palm) - 0.365_596_22).abs() < 1e-8, "{}", mass(&palm));
}

/// Where `scripts/setup.py` puts the package's files, after asking it to.
fn myohand_xml() -> PathBuf {
    let setup = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../scripts/setup.py");
    let output = Command::new("python3")
        .arg(setup)
        .args(["--only", "myohand"])
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let set = |name: &str| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    let cache = set("HABITUS_CACHE")
        .or_else(|| set("XDG_CACHE_HOME").map(|cache| cache.join("habitus")))
        .unwrap_or_else(|| set("HOME").unwrap().join(".cache/habitus"));
    cache.join("myohand/myosuite/simhive/myo_sim/hand/myohand.xml")
}

fn import(files: &[(&str, &str)]) -> Result<Imported, ModelError> {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    model::import(folder.path().join(files[0].0))
}

/// A gripper that uses most of the subset.
const GRIPPER: &str = include_str!("gripper.xml");
const GRIPPER_BODY: &str = include_str!("gripper_body.xml");

#[test]
fn a_model_comes_in_with_classes_includes_degrees_and_actuators() {
    let Imported { model, notes } = import(&[
        ("gripper.xml", GRIPPER),
        ("parts/gripper_body.xml", GRIPPER_BODY),
    ])
    .unwrap();
    let joint = |name: &str| model.joint.iter().find(|joint| joint.name == name).unwrap();
    let shape = |name: &str| model.shape.iter().find(|shape| shape.name == name).unwrap();
    assert_eq!((model.timestep, model.gravity), (0.001, [0.0, 0.0, -9.8]));
    assert_eq!(
        model
            .joint
            .iter()
            .map(|j| j.name.as_str())
            .collect::<Vec<_>>(),
        ["lift", "left", "right"]
    );

    // From the outermost class, from the class inside it, and from the joint itself.
    assert_eq!(
        (joint("lift").kind, joint("lift").limit),
        (JointKind::Slide, Some([0.0, 0.3]))
    );
    assert_eq!(
        (joint("lift").damping, joint("lift").armature),
        (10.0, 1e-3)
    );
    assert_eq!((joint("left").damping, joint("right").damping), (0.1, 0.2));
    assert_eq!(joint("left").limit, Some([-0.5, 30.0].map(f64::to_radians)));

    // fromto, and the finger's mass by density: cylinder and two half spheres.
    let pad = shape("left_pad");
    assert_eq!(
        (pad.kind, pad.size[0], pad.pos),
        (ShapeKind::Capsule, 0.01, [0.0, 0.0, 0.05])
    );
    assert!((pad.size[1] - 0.03).abs() < 1e-15);
    assert_eq!(pad.contact.as_ref().unwrap().friction, [2.0, 0.005, 0.0001]);
    let finger = model
        .body
        .iter()
        .find(|body| body.name == "left_finger")
        .unwrap();
    let volume = std::f64::consts::PI * (0.01_f64.powi(2) * 0.06 + 4.0 / 3.0 * 0.01_f64.powi(3));
    assert!((finger.inertial.as_ref().unwrap().mass - 500.0 * volume).abs() < 1e-12);
    // euler="0 0 90": x becomes y.
    assert!(
        (finger.quat[0] - 0.5_f64.sqrt()).abs() < 1e-15
            && (finger.quat[3] - 0.5_f64.sqrt()).abs() < 1e-15
    );

    assert_eq!(
        (model.torque[0].joint.as_str(), model.torque[0].gear),
        ("right", 3.0)
    );
    assert_eq!(
        (model.position[0].stiffness, model.position[0].force),
        (200.0, Some([-50.0, 50.0]))
    );
    let muscle = &model.muscle[0];
    assert_eq!(
        (
            muscle.peak_force,
            muscle.curves.lmin,
            muscle.curves.activation_secs
        ),
        (80.0, 0.4, 0.02)
    );
    assert_eq!(model.muscle[1].curves, muscle.curves);
    // One length range is the file's, the other is computed, and said to be.
    assert_eq!(muscle.compat_range, [0.05, 0.09]);
    assert_eq!(
        model.muscle[1].compat_range,
        model.muscle[1].calibrated_range
    );
    assert!(
        notes.iter().any(|note| note.contains("\"by_general\"")),
        "{notes:?}"
    );
    assert!(
        notes.iter().any(|note| note.contains("<sensor>")),
        "{notes:?}"
    );
    assert!(
        notes
            .iter()
            .any(|note| note.contains("<option iterations>")),
        "{notes:?}"
    );

    let pose = Pose {
        qpos: vec![0.1, 0.2, 0.3],
        qvel: vec![0.0; 3],
        act: vec![0.5; 2],
    };
    let answer = Kernel::new(&model, ParameterSet::Calibrated)
        .evaluate(&pose)
        .unwrap();
    assert!(answer.tensions.iter().all(|tension| *tension > 0.0));
}

#[test]
fn what_is_outside_the_subset_is_named_with_its_line() {
    // One file here, so that there is one count of lines.
    let body = GRIPPER_BODY.lines().collect::<Vec<_>>();
    let body = body[1..body.len() - 1].join("\n");
    let whole = GRIPPER.replace("    <include file=\"parts/gripper_body.xml\"/>", &body);
    import(&[("gripper.xml", &whole)]).unwrap();
    for Broken {
        right,
        wrong,
        line,
        reason,
    } in broken(include_str!("outside_subset.txt"))
    {
        assert!(whole.contains(right), "{right}");
        let error = import(&[("gripper.xml", &whole.replacen(right, wrong, 1))]).expect_err(wrong);
        assert!(
            error.to_string().contains(&format!("gripper.xml:{line}:")),
            "{wrong}: {error}"
        );
        assert!(error.reason.contains(reason), "{wrong}: {error}");
    }
}

#[test]
fn errors_in_included_files_name_that_file() {
    let broken = GRIPPER_BODY.replace("range=\"-0.5 30\"", "range=\"0 x\"");
    let error = import(&[
        ("gripper.xml", GRIPPER),
        ("parts/gripper_body.xml", &broken),
    ])
    .expect_err("x");
    assert!(error.file.ends_with("gripper_body.xml"), "{error}");
    assert_eq!(error.line, 5, "{error}");

    let error = import(&[("gripper.xml", GRIPPER)]).expect_err("it is not there");
    assert!(
        error.file.ends_with("gripper.xml") && error.reason.contains("cannot be read"),
        "{error}"
    );

    let circle = "<mujoco>\n  <include file=\"a.xml\"/>\n</mujoco>";
    let error = import(&[("a.xml", circle)]).expect_err("it includes itself");
    assert!(
        error.line == 2 && error.reason.contains("included twice"),
        "{error}"
    );
}

#[test]
fn no_xml_makes_it_panic() {
    for cut in (0..GRIPPER.len()).step_by(5) {
        let _ = import(&[
            ("gripper.xml", &GRIPPER[..cut]),
            ("parts/gripper_body.xml", GRIPPER_BODY),
        ]);
    }
    let deep = format!(
        "<mujoco><worldbody>{}{}</worldbody></mujoco>",
        "<body>".repeat(900),
        "</body>".repeat(900)
    );
    assert!(
        import(&[("deep.xml", &deep)])
            .expect_err("deep")
            .reason
            .contains("nested")
    );
}
