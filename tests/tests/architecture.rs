//! The arrows between crates, and what must not reach where. A new crate fails here until it has a row.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

/// Each crate of the project and the crates of the project it may use.
const ARROWS: &[(&str, &[&str])] = &[
    ("episode", &[]),
    ("hand", &[]),
    ("sim", &["episode", "hand"]),
    ("agents", &["episode", "hand", "sim"]),
    ("dataset", &["episode"]),
    ("editor", &["episode", "hand", "sim"]),
    ("editor_window", &["editor"]),
    ("trainers", &["agents", "dataset", "episode", "sim"]),
    (
        "integration_tests",
        &["agents", "dataset", "editor", "episode", "sim"],
    ),
];

/// What the tests of a crate use besides, and nothing else of it.
const TESTS_USE: &[(&str, &str)] = &[("editor", "agents")];

/// A library, and the only crates of the project that may reach it at any depth.
const CONFINED: &[(&str, &[&str])] = &[
    ("tch", &["trainers"]),
    ("torch-sys", &["trainers"]),
    ("bevy", &["editor_window"]),
    ("bevy_ecs", &["editor_window"]),
    ("egui", &["editor", "editor_window", "integration_tests"]),
    (
        "crossbeam",
        &[
            "agents",
            "editor",
            "editor_window",
            "trainers",
            "integration_tests",
        ],
    ),
];

/// Libraries of which two versions would not understand each other's types.
const ONE_VERSION: &[&str] = &["rapier3d", "bevy_ecs", "egui", "arrow-array", "tch"];

#[test]
fn crates_depend_along_the_allowed_arrows_only() {
    let graph = Graph::read();
    let allowed: BTreeMap<&str, BTreeSet<&str>> = ARROWS
        .iter()
        .map(|(name, to)| (*name, to.iter().copied().collect()))
        .collect();
    let members: BTreeSet<&str> = graph.members.iter().map(|id| graph.name(id)).collect();
    assert_eq!(
        members,
        allowed.keys().copied().collect(),
        "every crate has a row in ARROWS, and no other"
    );
    for id in &graph.members {
        for to in graph.edges[id]
            .iter()
            .filter(|to| graph.members.contains(*to))
        {
            let for_tests = graph.for_tests.contains(&(id.clone(), to.clone()));
            let (from, to) = (graph.name(id), graph.name(to));
            assert!(
                allowed[from].contains(to) || (for_tests && TESTS_USE.contains(&(from, to))),
                "`{from}` must not depend on `{to}`"
            );
        }
    }
}

#[test]
fn heavy_libraries_stay_where_they_belong() {
    let graph = Graph::read();
    for id in &graph.members {
        let reached = graph.reached_from(id);
        for (library, may) in CONFINED {
            let found = reached.iter().any(|id| graph.name(id) == *library);
            assert!(
                !found || may.contains(&graph.name(id)),
                "`{}` reaches `{library}`",
                graph.name(id)
            );
        }
    }
}

#[test]
fn shared_types_come_in_one_version() {
    let graph = Graph::read();
    for library in ONE_VERSION {
        let versions: Vec<&String> = graph
            .edges
            .keys()
            .filter(|id| graph.name(id) == *library)
            .collect();
        assert!(
            versions.len() <= 1,
            "several versions of {library}: {versions:?}"
        );
    }
}

#[test]
fn the_tree_names_no_machine_paths_and_no_large_files() {
    let root = crate::root();
    let listed = Command::new("git")
        .args(["ls-files", "-z"])
        .current_dir(&root)
        .output()
        .expect("git runs");
    assert!(
        listed.status.success(),
        "{}",
        String::from_utf8_lossy(&listed.stderr)
    );
    for file in listed
        .stdout
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty())
    {
        let path = root.join(String::from_utf8_lossy(file).as_ref());
        let Ok(bytes) = std::fs::read(&path) else {
            continue;
        };
        assert!(
            bytes.len() <= 1_000_000,
            "{} has {} bytes",
            path.display(),
            bytes.len()
        );
        let text = String::from_utf8_lossy(&bytes);
        for forbidden in [
            concat!("/ro", "ot/"),
            concat!("/wo", "rk/"),
            concat!("/ho", "me/"),
        ] {
            assert!(
                !text.contains(forbidden),
                "{} names a path of some machine: {forbidden}",
                path.display()
            );
        }
    }
}

/// The resolved dependency graph: package id → name, and package id → ids it depends on.
struct Graph {
    names: BTreeMap<String, String>,
    edges: BTreeMap<String, Vec<String>>,
    /// The edges that only tests need.
    for_tests: BTreeSet<(String, String)>,
    members: BTreeSet<String>,
}

impl Graph {
    fn read() -> Self {
        // Other platforms' crates may never have been fetched: only those of the platform we build for are asked for.
        let output = Command::new(env!("CARGO"))
            .args(["metadata", "--format-version", "1", "--locked", "--offline"])
            .args(["--filter-platform", "x86_64-unknown-linux-gnu"])
            .current_dir(crate::root())
            .output()
            .expect("cargo runs");
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo writes JSON");
        let text = |value: &Value| value.as_str().expect("an id or a name").to_owned();
        let list = |value: &Value| value.as_array().expect("a list").clone();
        let nodes = list(&metadata["resolve"]["nodes"]);
        let dependencies = nodes.iter().flat_map(|node| {
            let id = text(&node["id"]);
            list(&node["deps"])
                .into_iter()
                .map(move |d| (id.clone(), d))
        });
        let for_tests = dependencies.filter(|(_, dependency)| {
            let kinds = list(&dependency["dep_kinds"]);
            kinds.iter().all(|kind| kind["kind"] == "dev")
        });
        Self {
            for_tests: for_tests.map(|(id, d)| (id, text(&d["pkg"]))).collect(),
            names: list(&metadata["packages"])
                .iter()
                .map(|p| (text(&p["id"]), text(&p["name"])))
                .collect(),
            edges: nodes
                .iter()
                .map(|node| {
                    (
                        text(&node["id"]),
                        list(&node["dependencies"]).iter().map(text).collect(),
                    )
                })
                .collect(),
            members: list(&metadata["workspace_members"])
                .iter()
                .map(text)
                .collect(),
        }
    }

    fn name(&self, id: &str) -> &str {
        &self.names[id]
    }

    fn reached_from(&self, id: &str) -> BTreeSet<String> {
        let (mut reached, mut open) = (BTreeSet::new(), vec![id.to_owned()]);
        while let Some(id) = open.pop() {
            for next in &self.edges[&id] {
                if reached.insert(next.clone()) {
                    open.push(next.clone());
                }
            }
        }
        reached
    }
}
