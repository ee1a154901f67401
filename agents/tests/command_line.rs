//! Contract of the command line `rollout`: the same command gives the same store, whoever does the work and whatever
//! interrupts it; wrong input is refused in words, with exit code 2.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use episode::store::{Store, Writer};
use episode::stream::Line;
use serde_json::Value;
use tempfile::TempDir;

/// A folder with a scenario of its own.
struct Place {
    dir: TempDir,
}

impl Place {
    fn new() -> Self {
        let place = Self {
            dir: TempDir::new().unwrap(),
        };
        assert_eq!(
            place.run(&["scenario", "new", "room.toml"]).status.code(),
            Some(0)
        );
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rollout"));
        command
            .args(arguments)
            .current_dir(self.dir.path())
            .env_remove("HABITUS_ROOT");
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// The object that a command prints with `--json`; it must succeed.
    fn json(&self, arguments: &[&str]) -> Value {
        let output = self.command(arguments).arg("--json").output().unwrap();
        assert_eq!(
            output.status.code(),
            Some(0),
            "{arguments:?}: {}",
            stderr(&output)
        );
        let stdout = String::from_utf8(output.stdout).unwrap();
        serde_json::from_str(stdout.lines().last().unwrap()).unwrap()
    }

    fn record(&self, out: &str, more: &[&str]) -> Value {
        self.json(&[&run_arguments(out)[..], more].concat())
    }

    fn start(&self, out: &str, more: &[&str]) -> Child {
        self.command(&[&run_arguments(out)[..], more].concat())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    fn digest(&self, out: &str) -> String {
        self.json(&["data", "info", out])["content_digest"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    /// Every file of a store that holds experience, with its contents.
    fn files(&self, out: &str) -> Vec<(String, Vec<u8>)> {
        let mut files = vec![(
            "manifest.jsonl".to_owned(),
            fs::read(self.path(out).join("manifest.jsonl")).unwrap(),
        )];
        for folder in ["shards", "scenarios"] {
            for entry in fs::read_dir(self.path(out).join(folder)).unwrap() {
                let path = entry.unwrap().path();
                let name = path.file_name().unwrap().to_string_lossy().into_owned();
                files.push((format!("{folder}/{name}"), fs::read(path).unwrap()));
            }
        }
        files.sort();
        files
    }
}

fn run_arguments(out: &str) -> Vec<&str> {
    [
        "rollout",
        "run",
        "room.toml",
        "--fidelity",
        "symbolic",
        "--seed",
        "5",
        "--out",
        out,
    ]
    .to_vec()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn one_two_and_four_workers_write_the_same_files() {
    let place = Place::new();
    for workers in ["1", "2", "4"] {
        let done = place.record(workers, &["--episodes", "70", "--workers", workers]);
        assert_eq!(done["episodes"], 70);
    }
    assert_eq!(
        place.files("1").len(),
        5,
        "manifest, three shards, one scenario"
    );
    for workers in ["2", "4"] {
        assert!(
            place.files(workers) == place.files("1"),
            "{workers} workers"
        );
        assert_eq!(place.digest(workers), place.digest("1"));
    }
    place.record("other", &["--episodes", "70", "--seed", "6"]);
    assert_ne!(place.digest("other"), place.digest("1"));
}

#[test]
fn parts_are_merged_into_the_undivided_run() {
    let place = Place::new();
    place.record("whole", &["--episodes", "100"]);
    for part in ["0", "1", "2"] {
        place.record(
            part,
            &["--episodes", "100", "--shard", &format!("{part}/3")],
        );
    }
    assert_eq!(
        place.json(&["data", "merge", "2", "0", "1", "--out", "merged"])["episodes"],
        100
    );
    assert!(place.files("merged") == place.files("whole"));
    let again = place.run(&["data", "merge", "0", "--out", "merged"]);
    assert_eq!(again.status.code(), Some(2), "{}", stderr(&again));
}

#[test]
fn killed_at_any_moment_a_store_opens_and_the_same_command_completes_it() {
    let episodes = ["--episodes", "320", "--workers", "2"];
    let place = Place::new();
    let started = Instant::now();
    place.record("undisturbed", &episodes);
    let duration = started.elapsed();
    let mut unfinished = 0;
    for moment in 1..=10 {
        let out = format!("killed{moment}");
        let mut child = place.start(&out, &episodes);
        sleep(duration * moment / 11);
        child.kill().unwrap();
        child.wait().unwrap();
        if place.path(&out).join("manifest.jsonl").exists() {
            let store = Store::open(&place.path(&out)).unwrap();
            unfinished += usize::from(store.len() < 320);
            let report = place.json(&["data", "doctor", &out]);
            assert_eq!(report["healthy"], true, "{report}");
            assert_eq!(report["episodes"], store.len());
        }
        assert_eq!(place.record(&out, &episodes)["episodes"], 320);
        assert!(
            place.files(&out) == place.files("undisturbed"),
            "killed at moment {moment}"
        );
        let report = place.json(&["data", "doctor", &out]);
        assert_eq!(report["problems"], serde_json::json!([]));
    }
    assert!(
        unfinished > 0,
        "no run was killed in the middle of its work"
    );
}

#[test]
fn interrupted_a_run_keeps_what_is_finished_and_says_so() {
    let place = Place::new();
    let episodes = ["--episodes", "100000", "--workers", "2"];
    let child = place.start("out", &episodes);
    while !place.path("out").join("manifest.jsonl").exists()
        || Store::open(&place.path("out")).unwrap().is_empty()
    {
        sleep(Duration::from_millis(5));
    }
    let kill = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(kill.success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).contains("the same command completes them"),
        "{}",
        stderr(&output)
    );
    let kept = Store::open(&place.path("out")).unwrap().len();
    assert!(
        stderr(&output).contains(&format!("stopped: {kept} of 100000")),
        "{}",
        stderr(&output)
    );

    // As far as it went, it is what an undisturbed run records.
    let count = kept.to_string();
    assert_eq!(
        place.record("out", &["--episodes", &count])["new_episodes"],
        0
    );
    place.record("undisturbed", &["--episodes", &count]);
    assert_eq!(place.digest("out"), place.digest("undisturbed"));
}

#[test]
fn a_full_disk_is_one_sentence_and_loses_nothing_that_was_closed() {
    let place = Place::new();
    let program = env!("CARGO_BIN_EXE_rollout");
    // A limit on the size of files stands in for the disk: the first, short shard fits, the second does not.
    place.record("out", &["--episodes", "1"]);
    let limited = format!(
        "trap '' XFSZ; ulimit -f 8; exec '{program}' {} --episodes 64",
        run_arguments("out").join(" ")
    );
    let output = Command::new("sh")
        .args(["-c", &limited])
        .current_dir(place.dir.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    let message = stderr(&output);
    assert!(
        message.contains("the same command completes it"),
        "{message}"
    );
    assert_eq!(
        place.json(&["data", "doctor", "out"])["problems"],
        serde_json::json!([])
    );
    assert_eq!(Store::open(&place.path("out")).unwrap().len(), 1);
    place.record("out", &["--episodes", "64"]);
    place.record("undisturbed", &["--episodes", "64"]);
    assert_eq!(place.digest("out"), place.digest("undisturbed"));
}

#[test]
fn a_different_command_on_the_same_folder_is_refused_with_what_differs() {
    let place = Place::new();
    place.record("out", &["--episodes", "3"]);
    let before = place.files("out");
    let check = |more: &[&str], expected: &str| {
        let output = place.run(&[&run_arguments("out")[..], more].concat());
        assert_eq!(output.status.code(), Some(2), "{more:?}");
        assert!(stderr(&output).contains(expected), "{}", stderr(&output));
    };
    check(
        &["--max-steps", "9"],
        "max_steps is \"30\" there, asked for \"9\"",
    );
    check(
        &["--invalid-share", "0.5"],
        "policy is \"random, invalid share 0.1\" there",
    );
    check(&["--policy", "planner"], "asked for \"planner");
    check(
        &["--fidelity", "physical"],
        "fidelity is \"symbolic\" there",
    );
    fs::write(
        place.path("room.toml"),
        fs::read_to_string(place.path("room.toml")).unwrap() + "\n# smaller\n",
    )
    .unwrap();
    check(&[], "scenarios is");
    assert!(place.files("out") == before);
}

#[test]
fn what_was_recorded_can_be_simulated_again() {
    let place = Place::new();
    for (out, policy) in [
        ("random", &["--policy", "random"][..]),
        ("planner", &["--policy", "planner", "--simulations", "50"]),
    ] {
        place.record(out, &[policy, &["--episodes", "8"]].concat());
        let verified = place.json(&["rollout", "verify", out]);
        assert_eq!(verified["episodes"], 8);
        assert_eq!(verified["mismatches"], 0, "{out}");
        assert!(verified["steps"].as_u64().unwrap() > 0);
    }
}

#[test]
fn physics_does_not_depend_on_workers_and_can_be_repeated() {
    let place = Place::new();
    let physical = ["--fidelity", "physical", "--episodes", "6"];
    for workers in ["1", "2"] {
        place.record(workers, &[&physical[..], &["--workers", workers]].concat());
    }
    assert!(place.files("1") == place.files("2"));
    assert_eq!(place.json(&["rollout", "verify", "1"])["mismatches"], 0);
    let info = place.json(&["data", "info", "1"]);
    assert!(info["compared"].as_u64().unwrap() > 0, "{info}");
    assert!(info["agreement"].as_f64().unwrap() > 0.5, "{info}");
}

const HAND: &str = "schema = \"habitus.hand_task/1\"\nname = \"Pose\"\nhand = \"myohand\"\n";

/// Hands are recorded many at a time; that changes no byte.
#[test]
fn hands_are_recorded_and_repeated_like_houses() {
    let place = Place::new();
    fs::write(place.path("pose.toml"), format!("{HAND}task.pose = {{}}")).unwrap();
    fs::write(
        place.path("rapier.toml"),
        format!("{HAND}solver = \"rapier\"\ntask.pose = {{ max_steps = 4 }}"),
    )
    .unwrap();
    let run = |out: &str, scenarios: &[&str], more: &[&str]| {
        let start = ["rollout", "run", "--seed", "5", "--out", out];
        place.json(&[&start[..], scenarios, more].concat())
    };
    let many = ["--episodes", "40", "--policy", "scripted"];
    for workers in ["1", "2"] {
        run(
            workers,
            &["pose.toml"],
            &[&many[..], &["--workers", workers]].concat(),
        );
    }
    assert!(place.files("1") == place.files("2"));
    assert_eq!(place.json(&["rollout", "verify", "1"])["mismatches"], 0);
    let store = Store::open(&place.path("1")).unwrap();
    let succeeded = store.episodes().filter(|e| e.as_ref().unwrap().success);
    assert!(succeeded.count() > 0);
    let shown = place.run(&["rollout", "show", "1", "39"]);
    let text = String::from_utf8(shown.stdout).unwrap();
    assert!(
        text.contains("Task: Take the pose that is shown."),
        "{text}"
    );
    assert!(text.contains("   1 to   10. reward"), "{text}");

    let both = ["pose.toml", "rapier.toml"];
    run("both", &both, &["--episodes", "7", "--max-steps", "5"]);
    let verified = place.json(&["rollout", "verify", "both"]);
    assert_eq!(
        (&verified["episodes"], &verified["mismatches"]),
        (&7.into(), &0.into())
    );
    assert_eq!(place.json(&["data", "info", "both"])["episodes"], 7);

    // Episodes are dealt to the tasks of a scenario that varies, too.
    let varies = format!(
        "{HAND}task.reorient.object.eight = 0\nvary = {{ key = \"task.reorient.object.eight\", count = 3 }}"
    );
    fs::write(place.path("varies.toml"), varies).unwrap();
    run(
        "dealt",
        &["varies.toml"],
        &["--episodes", "4", "--max-steps", "2"],
    );
    let store = Store::open(&place.path("dealt")).unwrap();
    let names: Vec<String> = store
        .episodes()
        .map(|episode| episode.unwrap().header.scenario)
        .collect();
    assert_eq!(names, ["Pose 0", "Pose 1", "Pose 2", "Pose 0"]);
    assert_eq!(place.json(&["rollout", "verify", "dealt"])["mismatches"], 0);
}

/// A file that a scenario names goes into the store, and with it from store to store: the user's own may go.
#[test]
fn a_reference_is_kept_with_what_was_recorded() {
    use npyz::WriterBuilder as _;
    let place = Place::new();
    let write = |lift: f64| {
        let mut file = npyz::npz::NpzWriter::create(place.path("mine.npz")).unwrap();
        let mut put = |name: &str, shape: &[u64], numbers: Vec<f64>| {
            let writer = file.array(name, Default::default()).unwrap();
            let mut writer = writer.default_dtype().shape(shape).begin_nd().unwrap();
            writer.extend(numbers).unwrap();
            writer.finish().unwrap();
        };
        let pose = |i: u64| [0.0, 0.0, lift * i as f64, 1.0, 0.0, 0.0, 0.0];
        put("object", &[40, 7], (0..40).flat_map(pose).collect());
        put("time", &[40], (0..40).map(|i| 0.02 * i as f64).collect());
    };
    write(0.002);
    let task = "task.track = { reference = \"mine.npz\", object = \"cup\" }";
    fs::write(place.path("mine.toml"), format!("{HAND}{task}")).unwrap();
    let run = |out: &str| {
        let command = [
            "rollout",
            "run",
            "--out",
            out,
            "mine.toml",
            "--episodes",
            "2",
        ];
        place.run(&[&command[..], &["--max-steps", "3", "--json"]].concat())
    };
    assert!(run("one").status.success());
    // What was recorded with another file is another run's.
    write(0.001);
    let output = run("one");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("scenarios"));
    assert!(run("two").status.success());
    fs::remove_file(place.path("mine.npz")).unwrap();
    place.run(&["data", "merge", "one", "two", "--out", "all"]);
    for (store, episodes) in [("one", 2), ("all", 4)] {
        let verified = place.json(&["rollout", "verify", store]);
        let found = (&verified["episodes"], &verified["mismatches"]);
        assert_eq!(found, (&episodes.into(), &0.into()), "{store}");
    }
    assert_eq!(
        place.json(&["data", "doctor", "all"])["problems"],
        serde_json::json!([])
    );
    let store = Store::open(&place.path("all")).unwrap();
    let [first, _] = &store.files().unwrap()[..] else {
        panic!("{:?}", store.files())
    };
    fs::write(first, b"other").unwrap();
    let output = place.run(&["data", "doctor", "all"]);
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(told.contains(".npz") && told.contains("digest"), "{told}");
}

#[test]
fn a_told_episode_is_the_recorded_one() {
    let place = Place::new();
    place.record("out", &[]);
    let store = Store::open(&place.path("out")).unwrap();
    let recorded = store.episode(3).unwrap();
    let mut arguments = vec!["rollout", "stream", "room.toml", "--episode", "3"];
    // What distinguishes this run from others, but its number of episodes, workers and where it goes.
    let how = run_arguments("out");
    for option in ["--seed", "--policy", "--fidelity", "--max-steps"] {
        if let Some(at) = how.iter().position(|word| *word == option) {
            arguments.extend(&how[at..at + 2]);
        }
    }
    let output = place.run(&arguments);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<Line> = text.lines().map(|l| Line::parse(l).unwrap()).collect();
    let mut expected = vec![Line::Start {
        header: Box::new(recorded.header),
        first: recorded.first,
        first_digest: recorded.first_digest,
    }];
    let steps = recorded.steps.into_iter();
    expected.extend(steps.map(|step| Line::Step(Box::new(step))));
    expected.push(Line::End {
        success: recorded.success,
    });
    assert_eq!(lines, expected);
}

#[test]
fn verify_finds_a_history_that_did_not_happen() {
    let place = Place::new();
    place.record("true", &["--episodes", "4"]);
    let store = Store::open(&place.path("true")).unwrap();
    let mut episodes: Vec<_> = store.episodes().map(Result::unwrap).collect();
    episodes[2].steps[3].state_digest = "0".repeat(32);
    let identity = store.runs()[0].clone();
    let mut forged = Writer::open(&place.path("forged"), &identity).unwrap();
    for digest in store.scenarios().unwrap() {
        forged
            .add_scenario(&store.scenario_text(&digest).unwrap())
            .unwrap();
    }
    forged.append(&identity, &episodes).unwrap();
    let output = place.run(&["rollout", "verify", "forged", "--json"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).contains("episode 2, step 3: the state differs"),
        "{}",
        stderr(&output)
    );
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["mismatches"], 1);
}

#[test]
fn a_damaged_shard_is_named_and_set_aside_and_the_same_command_replaces_it() {
    let place = Place::new();
    place.record("out", &["--episodes", "70"]);
    let whole = place.files("out");
    let (name, bytes) = whole
        .iter()
        .find(|(name, _)| name.contains("00000032"))
        .unwrap();
    let mut damaged = bytes.clone();
    damaged[bytes.len() / 2] ^= 16;
    fs::write(place.path("out").join(name), damaged).unwrap();

    let output = place.run(&["data", "doctor", "out"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stdout).contains(name.as_str()));
    assert_eq!(place.run(&["data", "info", "out"]).status.code(), Some(2));
    let repaired = place.json(&["data", "doctor", "out", "--repair"]);
    assert_eq!(repaired["episodes"], 38);
    assert!(place.path("out").join("rejected").exists());
    assert_eq!(
        place.record("out", &["--episodes", "70"])["new_episodes"],
        32
    );
    assert_eq!(place.json(&["data", "info", "out"])["episodes"], 70);
    place.record("undisturbed", &["--episodes", "70"]);
    assert_eq!(place.digest("out"), place.digest("undisturbed"));
}

#[test]
fn an_episode_can_be_read() {
    let place = Place::new();
    place.record(
        "out",
        &[
            "--policy",
            "planner",
            "--simulations",
            "200",
            "--episodes",
            "2",
        ],
    );
    let output = place.run(&["rollout", "show", "out", "1"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains("Episode 1 of One room, seed 5, policy planner"),
        "{text}"
    );
    assert!(text.contains("Task: ") && text.contains("  1. "), "{text}");
    let output = place.run(&["rollout", "show", "out", "2"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("there is no episode 2: the store holds 2"));
}

#[test]
fn wrong_input_is_exit_code_2_with_expected_and_found() {
    let place = Place::new();
    fs::create_dir(place.path("scenarios")).unwrap();
    fs::write(place.path("thesis.tex"), "").unwrap();
    fs::create_dir(place.path("full")).unwrap();
    fs::write(place.path("full/thesis.tex"), "").unwrap();
    fs::write(
        place.path("bad.toml"),
        "schema = \"habitus.scenario/1\"\nnaem = \"x\"\n",
    )
    .unwrap();
    let check = |arguments: &[&str], expected: &[&str]| {
        let output = place.run(arguments);
        assert_eq!(
            output.status.code(),
            Some(2),
            "{arguments:?}: {}",
            stderr(&output)
        );
        for expected in expected {
            assert!(
                stderr(&output).contains(expected),
                "{arguments:?}: {}",
                stderr(&output)
            );
        }
    };
    check(
        &["scenario", "validate", "bad.toml"],
        &["bad.toml:2:1", "naem"],
    );
    check(&["scenario", "validate", "gone.toml"], &["gone.toml"]);
    check(
        &["rollout", "run", "gone", "--out", "out"],
        &["found neither a file nor a scenario named \"gone\""],
    );
    check(
        &["rollout", "run", "room.toml", "--out", "full"],
        &["full: expected an empty or missing folder"],
    );
    check(
        &[
            "rollout",
            "run",
            "room.toml",
            "--out",
            "out",
            "--shard",
            "4/4",
        ],
        &["i/N with i from 0 to N - 1"],
    );
    check(
        &[
            "rollout",
            "run",
            "room.toml",
            "--out",
            "out",
            "--invalid-share",
            "2",
        ],
        &["a number from 0 to 1"],
    );
    check(&["rollout", "run", "room.toml"], &["--out"]);
    fs::write(place.path("pose.toml"), format!("{HAND}task.pose = {{}}")).unwrap();
    fs::write(place.path("wrong.toml"), format!("{HAND}task.dance = {{}}")).unwrap();
    let run = |more: &[&'static str]| [&["rollout", "run", "--out", "out"], more].concat();
    check(
        &run(&["pose.toml", "--policy", "planner"]),
        &["policy planner is for houses, and \"Pose\" is a hand"],
    );
    check(
        &run(&["room.toml", "--policy", "scripted"]),
        &["policy scripted is for hands, and \"One room\" is a house"],
    );
    check(
        &run(&["room.toml", "pose.toml"]),
        &["found both: \"One room\" and \"Pose\""],
    );
    check(
        &run(&["pose.toml", "--fidelity", "symbolic"]),
        &["expected physical fidelity for the hand \"Pose\""],
    );
    check(
        &["scenario", "validate", "wrong.toml"],
        &["wrong.toml:4:6", "dance"],
    );
    check(
        &["bench", "symbolic", "pose.toml"],
        &["expected a house to measure"],
    );
    check(&["data", "info", "full"], &["not an episode store"]);
    check(&["data", "doctor", "full"], &["not an episode store"]);
    check(&["rollout", "verify", "nowhere"], &["not an episode store"]);
    check(&["scenario", "new", "room.toml"], &["expected a new file"]);
    check(&["bench", "symbolic", "gone"], &["named \"gone\""]);
    assert!(!Path::new(&place.path("out")).exists());
}

#[test]
fn every_command_explains_itself_with_an_example() {
    let place = Place::new();
    for command in [
        "scenario list",
        "scenario validate",
        "scenario schema",
        "scenario new",
        "rollout run",
        "rollout verify",
        "rollout show",
        "data info",
        "data doctor",
        "data merge",
        "bench symbolic",
        "bench physical",
        "bench rapier-hand",
    ] {
        let mut arguments: Vec<&str> = command.split(' ').collect();
        arguments.push("--help");
        let output = place.run(&arguments);
        let help = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(0), "{command}");
        for expected in [
            "Example",
            &format!("./habitus {command}"),
            "--seed",
            "--json",
        ] {
            assert!(
                help.contains(expected),
                "{command} lacks {expected}: {help}"
            );
        }
    }
}

#[test]
fn benches_print_rates() {
    let place = Place::new();
    for (bench, rate) in [
        ("symbolic", "actions_applied"),
        ("physical", "verbs_carried_out"),
    ] {
        let json = place.json(&["bench", bench, "room.toml", "--seconds", "0.02"]);
        let rate = &json["scenarios"][0]["per_core_second"][rate];
        assert!(rate.as_f64().unwrap() > 0.0, "{json}");
    }
    let json = place.json(&["bench", "rapier-hand", "--seconds", "0.02"]);
    for scene in ["free", "cube", "grasp"] {
        let rate = &json["steps_per_core_second"][scene]["median"];
        assert!(rate.as_f64().unwrap() > 0.0, "{json}");
    }
}

#[test]
fn the_schema_is_json() {
    let place = Place::new();
    let schema = place.json(&["scenario", "schema"]);
    assert_eq!(schema["title"], "Scenario");
    assert!(schema["properties"]["room"].is_object());
}
