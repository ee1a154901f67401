//! The whole path at small size with the real model: homes → episodes → text → finetuned models → table and report.

use std::process::Command;

use serde_json::Value;

#[test]
fn quickstart_ends_with_figures_and_a_report() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let out = folder.path().join("run");
    let output = Command::new("bash")
        .arg(crate::root().join("habitus"))
        .args([
            "quickstart",
            "--size",
            "small",
            "--seed",
            "7",
            "--json",
            "--out",
        ])
        .arg(&out)
        .current_dir(folder.path())
        .output()
        .expect("bash runs");
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{log}");

    let stdout = String::from_utf8(output.stdout).expect("text");
    let last = stdout.lines().last().expect("a last line");
    let result: Value = serde_json::from_str(last).expect("the last line is JSON");
    assert!(result["episodes"].as_u64() >= Some(84), "{result}");
    assert!(result["examples"].as_u64() > Some(0), "{result}");
    for model in ["base", "finetuned", "without_ewc"] {
        for share in ["embodied_accuracy", "plan_success"] {
            let value = result[model][share].as_f64();
            assert!(
                value.is_some_and(|x| (0.0..=1.0).contains(&x)),
                "{model} {share}: {result}"
            );
        }
        // Bits per byte of English prose: a language model that works has about one.
        let bits = result[model]["bits_per_byte"].as_f64();
        assert!(
            bits.is_some_and(|x| (0.5..2.0).contains(&x)),
            "{model}: {result}"
        );
    }
    assert!(
        result["base"]["embodied_accuracy_few_shot"].is_f64(),
        "{result}"
    );
    // Training moved the weights: no figure stays equal to the last digit.
    let bits = |model: &str| result[model]["bits_per_byte"].as_f64();
    assert_ne!(bits("base"), bits("finetuned"));
    assert_ne!(bits("finetuned"), bits("without_ewc"));

    let report =
        std::fs::read_to_string(result["report"].as_str().expect("a path")).expect("it exists");
    for needed in ["<html", "<svg", "bits per byte", "plan"] {
        assert!(report.contains(needed), "the report has no `{needed}`");
    }
    assert!(
        !report.contains("src=\"http"),
        "the report is not self-contained"
    );
}
