//! Policies of hands: one point mass learns where to go, the same for any number of workers and after any stop.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use agents::hand::play;
use agents::learned::{LearnedHand, Network};
use sim::hand::HandScenario;
use trainers::motor::ppo::PpoConfig;
use trainers::motor::{
    ActorCritic, ActorCriticConfig, Done, End, Item, Job, Moments, Normalizer, Roller, Segment,
    Snapshot, Workers,
};
use trainers::recipes::motor::{Config, Summary, read_moments, run};
use trainers::recipes::{RecipeError, RunOptions, motor_bench};

fn scenario(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../scenarios/hand/{name}.toml"))
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

/// Too little to learn anything.
fn tiny() -> Config {
    Config {
        scenario: vec![scenario("point")],
        steps: 5 * 3 * 4 * 20,
        worlds: 4,
        length: 20,
        items: 3,
        network: ActorCriticConfig {
            hidden: vec![8],
            log_std: -0.5,
        },
        ppo: PpoConfig {
            minibatch: 120,
            parts: 3,
            epochs: 2,
            ..PpoConfig::default()
        },
        evaluate_every: 2,
        evaluate_episodes: 6,
        workers: 1,
        ..Config::default()
    }
}

#[test]
fn a_policy_learns_where_a_point_shall_go() {
    let folder = tempfile::tempdir().unwrap();
    let config = Config {
        steps: 90_000,
        worlds: 64,
        length: 0,
        items: 1,
        network: ActorCriticConfig {
            hidden: vec![64],
            log_std: -0.5,
        },
        ppo: PpoConfig {
            minibatch: 640,
            parts: 1,
            learning_rate: 3e-3,
            ..PpoConfig::default()
        },
        evaluate_episodes: 64,
        ..tiny()
    };
    let before = go(&config, folder.path(), false, Some(0)).unwrap();
    assert!(before.success[0].value < 0.5, "{before:?}");
    let after = go(&config, folder.path(), true, None).unwrap();
    assert_eq!(after.success[0].n, 64);
    assert!(after.success[0].value > 0.9, "{after:?}");
    assert!(after.reward[0] > before.reward[0]);
}

/// The file is read without libtorch, and its actions are libtorch's.
#[test]
fn a_policys_file_acts_as_it_was_learnt() {
    let folder = tempfile::tempdir().unwrap();
    let config = Config {
        scenario: vec![scenario("pose")],
        ..tiny()
    };
    let done = go(&config, folder.path(), false, Some(2)).unwrap();
    let network = Network::load(&done.policy).unwrap();
    let text = std::fs::read_to_string(scenario("pose")).unwrap();
    let task = HandScenario::load_text(&text, "pose.toml").unwrap();
    let mut env = task.env(2, None).unwrap();
    let mut policy = LearnedHand::new(&network, &env).unwrap();
    // As the recipe evaluates: the same episodes come to the same end.
    let played = play(&mut env, &mut policy, config.seed.wrapping_add(1 << 32), 1).unwrap();
    let rolled = {
        let mut one = Roller::new(&[task], 1, &config.network, 1, 0.0).unwrap();
        let (_, mut parameters) =
            ActorCritic::new(&config.network, one.sizes(), config.seed).unwrap();
        parameters.load(&done.policy).unwrap();
        let policy = Snapshot {
            version: 1,
            values: parameters.values().to_vec(),
            normalizer: Normalizer::of(&read_moments(&done.policy, one.sizes()[0]).unwrap()),
        };
        let item = Item {
            seed: config.seed.wrapping_add(1 << 32),
            index: 0,
            steps: usize::MAX,
            explores: false,
        };
        one.roll(&item, &policy).unwrap().episodes[0]
    };
    assert_eq!(played[0].steps, rolled.steps);
    let difference = (f64::from(played[0].total) - rolled.reward).abs();
    assert!(
        difference < 1e-3 * rolled.reward.abs(),
        "{played:?} {rolled:?}"
    );

    let other = point().env(1, None).unwrap();
    let error = LearnedHand::new(&network, &other).err().unwrap();
    assert!(
        error.contains("the policy sees") && error.contains("point/reach"),
        "{error}"
    );
    for (bytes, message) in [
        (b"no".to_vec(), "not a safetensors file"),
        (
            std::fs::read(done.checkpoint.join("optimizer.safetensors")).unwrap(),
            "expected a policy",
        ),
    ] {
        let path = folder.path().join("wrong");
        std::fs::write(&path, bytes).unwrap();
        let error = Network::load(&path).unwrap_err().to_string();
        assert!(
            error.contains(message) && error.contains("wrong"),
            "{error}"
        );
    }
}

#[test]
fn workers_and_stops_change_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let whole = go(&tiny(), &at("whole"), false, None).unwrap();
    assert_eq!((whole.step, whole.steps, whole.env_steps), (5, 5, 1200));
    let many = Config {
        workers: 3,
        ..tiny()
    };
    go(&many, &at("many"), false, None).unwrap();
    go(&tiny(), &at("parts"), false, Some(3)).unwrap();
    let error = go(&tiny(), &at("parts"), false, None).unwrap_err();
    assert!(error.to_string().contains("holds a run already"), "{error}");
    // Who goes on may have another number of workers.
    go(&many, &at("parts"), true, None).unwrap();
    for file in ["policy.safetensors", "metrics.jsonl"] {
        let read = |name: &str| std::fs::read(at(name).join(file)).unwrap();
        assert!(read("whole") == read("many"), "{file}");
        assert!(read("whole") == read("parts"), "{file}");
    }
    let other = Config { seed: 2, ..tiny() };
    go(&other, &at("other"), false, None).unwrap();
    let policy = |name: &str| std::fs::read(at(name).join("policy.safetensors")).unwrap();
    assert!(policy("whole") != policy("other"));
    // a checkpoint of other settings names them
    let wider = Config {
        network: ActorCriticConfig {
            hidden: vec![9],
            ..tiny().network
        },
        ..tiny()
    };
    let error = go(&wider, &at("whole"), true, None).unwrap_err();
    assert_eq!(error.exit_code(), 2);
    assert!(
        error.to_string().contains("[8]") && error.to_string().contains("[9]"),
        "{error}"
    );
    // the configuration of the run can be run
    let text = std::fs::read_to_string(at("whole").join("config.toml")).unwrap();
    assert_eq!(toml::from_str::<Config>(&text).unwrap(), tiny());
}

#[test]
fn what_cannot_be_trained_is_said_before() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let house = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios/studio.toml");
    for (config, message) in [
        (
            Config {
                scenario: Vec::new(),
                ..tiny()
            },
            "scenario: expected hands' scenarios",
        ),
        (
            Config {
                scenario: vec![folder.path().join("none.toml")],
                ..tiny()
            },
            "none.toml",
        ),
        (
            Config {
                scenario: vec![house],
                ..tiny()
            },
            "is a house; expected a hand's task",
        ),
        (
            Config {
                scenario: vec![scenario("point"), scenario("pose")],
                ..tiny()
            },
            "expected tasks of one size, found \"Point\"",
        ),
        (
            Config {
                scenario: vec![scenario("point"), scenario("point")],
                ..tiny()
            },
            "items: expected a multiple of the 2 scenarios",
        ),
        (
            Config {
                worlds: 0,
                ..tiny()
            },
            "worlds: expected at least 1",
        ),
        (
            Config {
                length: 21,
                ..tiny()
            },
            "ppo.minibatch: expected a divisor of the 252 rows",
        ),
        (
            Config {
                network: ActorCriticConfig {
                    hidden: vec![0],
                    log_std: 0.0,
                },
                ..tiny()
            },
            "network.hidden: expected widths of at least 1",
        ),
    ] {
        let error = go(&config, &out, false, None).unwrap_err();
        assert_eq!(error.exit_code(), 2, "{error}");
        assert!(error.to_string().contains(message), "{error}");
        assert!(!out.exists(), "{message}");
    }
}

#[test]
fn speed_is_measured_of_what_would_be_trained() {
    let figures = motor_bench::run(&tiny(), false).unwrap();
    assert_eq!((figures.scenario.as_str(), figures.worlds), ("Point", 4));
    assert!(figures.env_steps_per_core_second > figures.loop_env_steps_per_core_second);
    let wrong = Config {
        ppo: PpoConfig {
            minibatch: 7,
            ..tiny().ppo
        },
        ..tiny()
    };
    assert_eq!(motor_bench::run(&wrong, false).unwrap_err().exit_code(), 2);
    let none = Config {
        worlds: 0,
        ..tiny()
    };
    let error = motor_bench::run(&none, false).unwrap_err();
    assert_eq!(error.exit_code(), 2);
    assert!(
        error.to_string().contains("worlds: expected at least 1"),
        "{error}"
    );
}

fn point() -> HandScenario {
    let text = std::fs::read_to_string(scenario("point")).unwrap();
    HandScenario::load_text(&text, "point.toml").unwrap()
}

fn roller(worlds: usize) -> Result<Roller, RecipeError> {
    Roller::new(&[point()], worlds, &tiny().network, 1, 0.0)
}

fn policy() -> Arc<Snapshot> {
    let sizes = roller(1).unwrap().sizes();
    let (_, parameters) = ActorCritic::new(&tiny().network, sizes, 1).unwrap();
    Arc::new(Snapshot {
        version: 1,
        values: parameters.values().to_vec(),
        normalizer: Normalizer::of(&Moments::new(sizes[0])),
    })
}

const ITEM: Item = Item {
    seed: 3,
    index: 5,
    steps: 150,
    explores: true,
};

#[test]
fn an_item_is_a_function_of_its_number_and_its_policy() {
    let policy = policy();
    let mut first = roller(4).unwrap();
    let segment = first.roll(&ITEM, &policy).unwrap();
    let other = first.roll(&Item { index: 6, ..ITEM }, &policy).unwrap();
    assert!(segment.observations != other.observations);
    assert_eq!(first.roll(&ITEM, &policy).unwrap(), segment);
    assert_eq!(roller(4).unwrap().roll(&ITEM, &policy).unwrap(), segment);
    // 150 steps of at most 100: every world is cut at the end, and ended once before.
    let rows = 4 * 150;
    assert_eq!(segment.rewards.len(), rows);
    assert_eq!(segment.ends.len(), rows);
    assert!(segment.ends[rows - 4..].iter().all(|end| *end != End::None));
    assert!(segment.episodes.len() >= 4);
    let ended = segment.ends.iter().filter(|end| **end != End::None).count();
    assert!(ended >= segment.episodes.len());
    // What truncated steps led to has a value; nothing else has.
    for (end, after) in segment.ends.iter().zip(&segment.after) {
        assert_eq!(*end == End::Truncated, *after != 0.0);
    }
    let steps: f64 = segment.moments.count;
    assert_eq!(steps, rows as f64);
}

/// A worker that fails loses nothing: its item is done by another.
#[test]
fn a_failed_workers_item_is_done_again() {
    use std::sync::atomic::Ordering::SeqCst;
    let policy = policy();
    let jobs = || {
        let item = |index| Job::Roll {
            item: Item { index, ..ITEM },
            policy: Arc::clone(&policy),
        };
        (0..5).map(item).collect::<Vec<Job>>()
    };
    let segments = |done: Vec<Done>| -> Vec<Segment> {
        let segment = |done| match done {
            Done::Segment(segment) => *segment,
            Done::Gradient(..) => panic!("a gradient"),
        };
        done.into_iter().map(segment).collect()
    };
    let mut sound = Workers::new(1, &PpoConfig::default(), || roller(4));
    let expected = segments(sound.run(jobs()).unwrap());
    static FAILS: AtomicBool = AtomicBool::new(true);
    let mut workers = Workers::new(2, &PpoConfig::default(), || {
        assert!(!FAILS.swap(false, SeqCst), "the machine is on fire");
        roller(4)
    });
    assert_eq!(segments(workers.run(jobs()).unwrap()), expected);
    assert_eq!(workers.mishaps.len(), 1);
    assert!(
        workers.mishaps[0].contains("seed 3, item") && workers.mishaps[0].contains("on fire"),
        "{:?}",
        workers.mishaps
    );
    // One more joins in the middle of a run: nothing changes.
    workers.join();
    assert_eq!(workers.count(), 3);
    assert_eq!(segments(workers.run(jobs()).unwrap()), expected);
    let mut broken = Workers::new(2, &PpoConfig::default(), || panic!("no worlds"));
    let error = broken.run(jobs()).unwrap_err();
    assert!(
        error.to_string().contains("two workers failed: no worlds"),
        "{error}"
    );
}
