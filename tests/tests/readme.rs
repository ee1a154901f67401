//! Every command that the README shows does what the README says.

use std::process::Command;

/// The blocks marked `sh` are run line by line, as written, but for the folder they write to.
#[test]
fn the_tour_works() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let root = crate::root();
    let commands = commands_in_blocks(&readme());
    assert!(commands.len() >= 5, "the tour is gone: {commands:?}");
    for command in commands {
        let here = command.replace("runs/tour", &folder.path().join("tour").to_string_lossy());
        let output = Command::new("bash")
            .args(["-c", &here])
            .current_dir(&root)
            .output()
            .expect("bash runs");
        assert!(
            output.status.success(),
            "`{command}` ended with {}:\n{}{}",
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        assert!(
            !output.stdout.is_empty() || !output.stderr.is_empty(),
            "`{command}` says nothing"
        );
    }
}

/// The two commands at the top: the quickstart has a test of its own, and CI runs the other.
#[test]
fn the_first_two_commands_are_the_ones_that_are_tested() {
    let readme = readme();
    let first: Vec<&str> = readme
        .lines()
        .filter_map(|line| line.strip_prefix("    ./habitus "))
        .map(|line| line.split('#').next().unwrap_or(line).trim())
        .collect();
    assert_eq!(first, ["quickstart", "test"]);
    let ci = std::fs::read_to_string(crate::root().join(".ci/run")).expect("CI has a script");
    assert!(ci.contains("./habitus test"));
}

fn readme() -> String {
    std::fs::read_to_string(crate::root().join("README.md")).expect("there is a README")
}

fn commands_in_blocks(text: &str) -> Vec<String> {
    let (mut inside, mut commands) = (false, Vec::new());
    for line in text.lines() {
        if line.starts_with("```") {
            inside = line == "```sh";
        } else if inside && !line.trim().is_empty() {
            commands.push(line.to_owned());
        }
    }
    commands
}
