//! The recipe `inverse_dynamics`: stores in, an encoder out, exact resumption, and what it refuses.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use agents::rollout::{MaxSteps, Part, Plan, PolicyChoice, Settings, record};
use dataset::frames::digest_path;
use dataset::transitions::Ahead;
use sim::env::Fidelity;
use sim::scenario_file::ScenarioFile;
use trainers::objectives::{InverseDynamicsConfig, ObjectiveConfig};
use trainers::recipes::inverse_dynamics::{Config, FramesFrom, run};
use trainers::recipes::representation::Summary;
use trainers::recipes::{RecipeError, RunOptions};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A store of `scenario`'s scripted demonstrations.
fn store(scenario: &str, folder: &Path) -> PathBuf {
    let plan = Plan {
        scenarios: vec![ScenarioFile::load_text(scenario, "scenario.toml").unwrap()],
        settings: Settings {
            seed: 3,
            policy: PolicyChoice::Scripted,
            fidelity: Fidelity::Physical,
            max_steps: MaxSteps {
                house: 1,
                hand: None,
            },
        },
        episodes: 6,
        part: Part::WHOLE,
        workers: 1,
    };
    record(&plan, folder, &AtomicBool::new(false), |_, _| {}).unwrap();
    folder.to_owned()
}

fn point() -> String {
    std::fs::read_to_string(root().join("scenarios/hand/point.toml")).unwrap()
}

fn config(data: PathBuf) -> Config {
    let text = std::fs::read_to_string(root().join("recipes/inverse_dynamics.toml")).unwrap();
    Config {
        data: vec![data],
        scenario: root().join("scenarios/hand/point.toml"),
        steps: 6,
        batch: 8,
        monitor_every: 3,
        checkpoint_every: 2,
        ..toml::from_str(&text).unwrap()
    }
}

fn go(
    config: &Config,
    out: &Path,
    resume: bool,
    stop_after: Option<u64>,
) -> Result<Summary, RecipeError> {
    let options = RunOptions {
        out: out.to_owned(),
        resume,
        stop: &AtomicBool::new(false),
        stop_after,
        progress: false,
    };
    run(config, &options)
}

#[test]
fn a_store_becomes_an_encoder_and_a_stopped_run_goes_on_bit_for_bit() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let config = config(store(&point(), &at("store")));
    let whole = go(&config, &at("whole"), false, None).unwrap();
    assert_eq!((whole.step, whole.steps), (6, 6));
    let names: Vec<&str> = whole.losses.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["inverse", "probe", "policy"]);
    go(&config, &at("parts"), false, Some(3)).unwrap();
    let error = go(&config, &at("parts"), false, None).unwrap_err();
    assert!(error.to_string().contains("holds a run already"), "{error}");
    let resumed = go(&config, &at("parts"), true, None).unwrap();
    assert_eq!(resumed.step, 6);
    let encoder = |name| std::fs::read(at(name).join("encoder.safetensors")).unwrap();
    assert!(encoder("whole") == encoder("parts"));
    for (frames, name) in [(FramesFrom::Memory, "kept"), (FramesFrom::Mapped, "mapped")] {
        let kept = Config {
            frames,
            ..config.clone()
        };
        go(&kept, &at(name), false, Some(3)).unwrap();
        go(&kept, &at(name), true, None).unwrap();
        assert!(encoder("whole") == encoder(name), "{name}");
    }
    // the configuration of the run can be run
    let text = std::fs::read_to_string(at("whole").join("config.toml")).unwrap();
    assert_eq!(toml::from_str::<Config>(&text).unwrap(), config);
}

/// A refused run leaves no settings behind that another one is then said to have had.
#[test]
fn what_was_refused_is_not_kept() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let right = config(store(&point(), &folder.path().join("store")));
    let far = ObjectiveConfig::InverseDynamics(InverseDynamicsConfig {
        ahead: Ahead::Fixed(500),
        ..InverseDynamicsConfig::default()
    });
    let wrong = Config {
        objective: far,
        ..right.clone()
    };
    assert_eq!(go(&wrong, &out, false, None).unwrap_err().exit_code(), 2);
    go(&right, &out, false, Some(2)).unwrap();
    let text = std::fs::read_to_string(out.join("config.toml")).unwrap();
    assert_eq!(toml::from_str::<Config>(&text).unwrap(), right);
}

/// What a scenario says of cameras and appearances is what is trained on.
#[test]
fn pictures_are_those_of_the_scenario() {
    let folder = tempfile::tempdir().unwrap();
    let camera =
        "\n[[camera]]\nname = \"side\"\nposition = [0.9, 0.0, 0.9]\nlook_at = [0.0, 0.0, 0.0]\n";
    let trained = |name: &str, more: &str| {
        let text = point() + more;
        let scenario = folder.path().join(format!("{name}.toml"));
        std::fs::write(&scenario, &text).unwrap();
        for frames in [FramesFrom::Drawn, FramesFrom::Memory] {
            let store = store(&text, &folder.path().join(format!("{name}{frames:?}")));
            let config = Config {
                scenario: scenario.clone(),
                frames,
                ..config(store)
            };
            let out = folder.path().join(format!("{name}{frames:?}.run"));
            go(&config, &out, false, None).unwrap();
        }
        let encoder = |frames: &str| {
            let run = folder.path().join(format!("{name}{frames}.run"));
            std::fs::read(run.join("encoder.safetensors")).unwrap()
        };
        assert!(encoder("Drawn") == encoder("Memory"), "{name}");
        encoder("Drawn")
    };
    let plain = trained("plain", "");
    assert!(plain != trained("television", "\n[appearance]\ntelevision = true\n"));
    assert!(plain != trained("camera", camera));
}

#[test]
fn a_file_of_frames_that_does_not_fit_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let config = Config {
        frames: FramesFrom::Mapped,
        ..config(store(&point(), &folder.path().join("store")))
    };
    go(&config, &out, false, Some(3)).unwrap();
    let path = out.join("frames.npy");
    let whole = std::fs::read(&path).unwrap();
    let refused = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        let error = go(&config, &out, true, None).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        error.to_string()
    };
    let mut changed = whole.clone();
    *changed.last_mut().unwrap() ^= 1;
    let message = refused(&changed);
    assert!(message.contains("frames.npy: was changed"), "{message}");
    let message = refused(&whole[..whole.len() - 1]);
    let expected = format!("expected {} bytes", whole.len());
    assert!(message.contains(&expected), "{message}");
    // frames of other states, written as these are
    changed[128..].fill(0);
    let digest = blake3::hash(&changed).to_hex();
    std::fs::write(digest_path(&path), digest.as_str()).unwrap();
    let message = refused(&changed);
    assert!(
        message.contains("frame 0 shows something else"),
        "{message}"
    );
    // without it, it is drawn again
    std::fs::remove_file(&path).unwrap();
    assert_eq!(go(&config, &out, true, None).unwrap().step, 6);
    assert!(std::fs::read(&path).unwrap() == whole);
}

#[test]
fn stores_of_something_else_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |config: &Config| {
        let error = go(config, &folder.path().join("out"), false, None).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        error.to_string()
    };
    let other = store(
        &point().replace("\"Point\"", "\"Older point\""),
        &folder.path().join("other"),
    );
    let usual = config(other);
    let message = refused(&usual);
    assert!(
        message.contains("\"Older point\"") && message.contains("expected \"Point\""),
        "{message}"
    );
    let nothing = Config {
        data: Vec::new(),
        ..usual.clone()
    };
    assert!(refused(&nothing).contains("data: expected stores"));
    let large = Config {
        encoder: "large".to_owned(),
        ..usual.clone()
    };
    assert!(refused(&large).contains("expected one of paper_84, paper_120, small"));
    let reorient = Config {
        scenario: root().join("scenarios/hand/reorient.toml"),
        ..usual
    };
    assert!(refused(&reorient).contains("expected a task of the suites"));
}

/// The recipes that ship are whole, and only what they say they change differs.
#[test]
fn the_papers_recipe_has_the_papers_settings() {
    let read = |name: &str| -> Config {
        let text = std::fs::read_to_string(root().join("recipes").join(name)).unwrap();
        toml::from_str(&text).unwrap()
    };
    let paper = read("inverse_dynamics_paper.toml");
    assert_eq!((paper.steps, paper.batch), (100_000, 256));
    assert_eq!(paper.encoder, "paper_84");
    assert_eq!(paper.crop.map(|crop| crop.pad), Some(8));
    assert_eq!(read("inverse_dynamics.toml").objective, paper.objective);
}
