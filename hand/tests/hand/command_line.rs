//! The program `hand`: answers on standard output, notes and errors on standard error, exit code 2 for wrong input.

use assert_cmd::Command;
use serde_json::{Value, json};

fn hand(arguments: &[&str]) -> std::process::Output {
    Command::cargo_bin("hand")
        .unwrap()
        .args(arguments)
        .output()
        .unwrap()
}

/// Runs `inspect` on poses that are written to a file.
fn inspect(poses: &str, arguments: &[&str]) -> (Option<i32>, String, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("poses.json");
    std::fs::write(&path, poses).unwrap();
    let output = hand(&[&["inspect", "--pose", path.to_str().unwrap()], arguments].concat());
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

fn pose() -> Value {
    json!({"qpos": vec![0.1; 23], "qvel": vec![0.2; 23], "act": vec![0.5; 39]})
}

#[test]
fn inspect_answers_in_json_and_in_tables() {
    let poses = json!({"parameters": "compat", "poses": [pose(), pose()]}).to_string();
    let (code, out, _) = inspect(&poses, &["--json"]);
    assert_eq!(code, Some(0));
    let answer: Value = serde_json::from_str(&out).unwrap();
    let count = |value: &Value| value.as_array().map(Vec::len);
    assert_eq!(
        (
            count(&answer["muscles"]),
            count(&answer["joints"]),
            count(&answer["poses"])
        ),
        (Some(39), Some(23), Some(2))
    );
    let first = &answer["poses"][0];
    for (field, expected) in [
        ("lengths", 39),
        ("velocities", 39),
        ("moment_arms", 39),
        ("tensions", 39),
        ("joint_torques", 23),
    ] {
        assert_eq!(count(&first[field]), Some(expected), "{field}");
    }
    assert_eq!(count(&first["moment_arms"][0]), Some(23));
    assert_eq!(first.as_object().unwrap().len(), 5);

    let (code, out, _) = inspect(&poses, &[]);
    assert_eq!(code, Some(0));
    assert!(
        out.contains("pose 1") && out.contains("FDP2") && out.contains("mcp2_flexion"),
        "{out}"
    );
}

/// What is wrong with the second pose, and what is said about it.
#[test]
fn inspect_says_which_pose_is_wrong_and_how() {
    let good = pose().to_string();
    let cases = [
        (
            r#""qpos":[0.1,"#,
            r#""qpos":["#,
            "poses[1]: qpos has 22 numbers, expected 23",
        ),
        (
            r#""qpos":[0.1,"#,
            r#""qpos":[NaN,"#,
            "poses[1]: qpos[0] is not a finite number",
        ),
        (
            r#""qvel":[0.2,"#,
            r#""qvel":[0.2,-Infinity,"#,
            "poses[1]: qvel has 24 numbers, expected 23",
        ),
        (
            r#""qvel":[0.2,0.2,"#,
            r#""qvel":[0.2,-Infinity,"#,
            "poses[1]: qvel[1] is not a finite number",
        ),
        (
            r#""act":[0.5,"#,
            r#""act":[null,"#,
            "poses[1]: act[0] is not a finite number",
        ),
        (
            r#""act":[0.5,"#,
            r#""act":[1.5,"#,
            "poses[1]: act[0] is 1.5, expected a number from 0 to 1",
        ),
        (
            r#""act":[0.5,"#,
            r#""act":["x","#,
            "poses[1]: act[0] is \"x\", expected a number",
        ),
        (r#""qvel""#, r#""qval""#, "poses[1]: unknown field \"qval\""),
    ];
    for (right, wrong, expected) in cases {
        assert!(good.contains(right), "{right}");
        let bad = good.replacen(right, wrong, 1);
        let (code, out, error) = inspect(
            &format!(r#"{{"parameters":"compat","poses":[{good},{bad}]}}"#),
            &["--json"],
        );
        assert_eq!((code, out.as_str()), (Some(2), ""), "{wrong}");
        assert!(
            error.contains("poses.json: ") && error.contains(expected),
            "{error}"
        );
    }
    for (file, expected) in [
        (
            r#"{"parameters":"best","poses":[]}"#,
            "poses.json:1:20: unknown variant `best`, expected `compat` or `calibrated`",
        ),
        (r#"{"poses":[]}"#, "missing field `parameters`"),
        (
            "{\"parameters\":\"compat\",\n\"poses\":[}",
            "poses.json:2:10: expected value",
        ),
        ("[]", "poses.json:1:"),
    ] {
        let (code, _, error) = inspect(file, &["--json"]);
        assert!(code == Some(2) && error.contains(expected), "{error}");
    }
}

#[test]
fn import_writes_a_model_that_loads_and_says_what_it_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let (xml, toml) = (
        folder.path().join("gripper.xml"),
        folder.path().join("gripper.toml"),
    );
    std::fs::create_dir(folder.path().join("parts")).unwrap();
    std::fs::write(&xml, include_str!("gripper.xml")).unwrap();
    std::fs::write(
        folder.path().join("parts/gripper_body.xml"),
        include_str!("gripper_body.xml"),
    )
    .unwrap();
    let output = hand(&[
        "import",
        xml.to_str().unwrap(),
        "--out",
        toml.to_str().unwrap(),
    ]);
    assert!(output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("left out: 1 × <sensor>"));
    let text = std::fs::read_to_string(&toml).unwrap();
    assert!(text.contains("# left out: 1 × <sensor>"), "{text}");
    assert_eq!(
        hand::model::load(&toml).unwrap(),
        hand::model::import(&xml).unwrap().model
    );

    std::fs::write(&xml, "<mujoco>\n<equality/>\n</mujoco>").unwrap();
    let output = hand(&["import", xml.to_str().unwrap()]);
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        error.contains("gripper.xml:2:1: <equality>: is outside the subset"),
        "{error}"
    );
}

#[test]
fn plot_draws_and_knows_its_names() {
    let output = hand(&["plot", "--muscle", "FDP2", "--joint", "mcp2_flexion"]);
    let svg = String::from_utf8(output.stdout).unwrap();
    roxmltree::Document::parse(&svg).unwrap();
    for needed in [
        "length, mm",
        "moment arm, mm",
        "tension, N",
        "mcp2_flexion, degrees",
    ] {
        assert!(svg.contains(needed), "{needed}");
    }
    assert!(!svg.contains("NaN"));
    let output = hand(&["plot", "--muscle", "FDP9", "--joint", "mcp2_flexion"]);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.code() == Some(2)
            && error.contains("there is no muscle \"FDP9\"; these exist: ECRL"),
        "{error}"
    );
}

#[test]
fn every_command_has_help_with_an_example() {
    for command in ["inspect", "import", "plot"] {
        let output = hand(&[command, "--help"]);
        assert!(
            String::from_utf8_lossy(&output.stdout).contains("Example:\n  hand "),
            "{command}"
        );
    }
    assert_eq!(hand(&["inspect"]).status.code(), Some(2));
}
