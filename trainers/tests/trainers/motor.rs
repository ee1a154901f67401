//! Policies of hands: one point mass learns where to go, the same for any number of workers and after any stop.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize};

use agents::hand::play;
use agents::learned::{LearnedHand, Network};
use sim::hand::HandScenario;
use sim::hand::scenario::BodyChoice;
use tch::Device;
use trainers::evaluation::statistics::Estimate;
use trainers::motor::ppo::{Learner, Own, PpoConfig};
use trainers::motor::{
    ActorCritic, ActorCriticConfig, Alone, Collective as _, Done, End, Exploration, Item, Job,
    Memory, Moments, Noise, Normalizer, Roller, Segment, Snapshot, Threads, Workers,
};
use trainers::recipes::motor::{Config, Mode, Summary, read_moments, run};
use trainers::recipes::motor_study::{self, Start};
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
            ..ActorCriticConfig::default()
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

/// Enough to learn where a point shall go.
fn learns() -> Config {
    Config {
        steps: 90_000,
        worlds: 64,
        length: 0,
        items: 1,
        network: ActorCriticConfig {
            hidden: vec![64],
            ..tiny().network
        },
        ppo: PpoConfig {
            minibatch: 640,
            parts: 1,
            learning_rate: 3e-3,
            ..PpoConfig::default()
        },
        evaluate_episodes: 64,
        ..tiny()
    }
}

/// `tiny` with a network that remembers.
fn remembers() -> Config {
    Config {
        network: ActorCriticConfig {
            lstm: 5,
            ..tiny().network
        },
        ..tiny()
    }
}

#[test]
fn a_policy_learns_where_a_point_shall_go() {
    let folder = tempfile::tempdir().unwrap();
    let config = learns();
    let before = go(&config, folder.path(), false, Some(0)).unwrap();
    assert!(before.success[0].value < 0.5, "{before:?}");
    let after = go(&config, folder.path(), true, None).unwrap();
    assert_eq!(after.success[0].n, 64);
    assert!(after.success[0].value > 0.9, "{after:?}");
    assert!(after.reward[0] > before.reward[0]);
}

/// The first minibatch is of the policy that acted; after its step the policy is another.
#[test]
fn an_iteration_ends_where_the_policy_went_too_far() {
    let folder = tempfile::tempdir().unwrap();
    for (name, target_kl, expected) in [("free", None, 4), ("bound", Some(1e-9), 2)] {
        let config = Config {
            ppo: PpoConfig {
                target_kl,
                ..tiny().ppo
            },
            ..tiny()
        };
        let out = folder.path().join(name);
        go(&config, &out, false, Some(3)).unwrap();
        let text = std::fs::read_to_string(out.join("metrics.jsonl")).unwrap();
        let lines = text
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        let found: Vec<u64> = lines
            .filter_map(|line| line["minibatches"].as_u64())
            .collect();
        assert_eq!(found, [expected; 3], "{name}");
    }
}

/// Where nothing is drawn, all episodes of an evaluation are one.
#[test]
fn equal_episodes_count_once() {
    let folder = tempfile::tempdir().unwrap();
    let config = Config {
        scenario: vec![scenario("track/cup_drink")],
        ..tiny()
    };
    let done = go(&config, folder.path(), false, Some(0)).unwrap();
    assert_eq!((done.success[0].n, done.solved[0].n), (1, 1));
}

/// Tasks are learnt with the hand that is asked for.
#[test]
fn another_hand_learns_the_same_tasks() {
    let folder = tempfile::tempdir().unwrap();
    let robot = |name: &str| Config {
        scenario: vec![scenario(name)],
        hand: Some(BodyChoice::Robot),
        ..tiny()
    };
    let done = go(&robot("track/cup_drink"), folder.path(), false, Some(1)).unwrap();
    assert_eq!(done.tasks, ["cup_drink"]);
    // 24 motors, and six of the arm that carries the hand
    assert_eq!(Network::load(&done.policy).unwrap().sizes()[1], 30);
    let error = go(&robot("place"), &folder.path().join("none"), false, None).unwrap_err();
    assert_eq!(error.exit_code(), 2);
    assert!(error.to_string().contains("place.toml"), "{error}");
}

/// The file is read without libtorch, and its actions are libtorch's.
#[test]
fn a_policys_file_acts_as_it_was_learnt() {
    for config in [tiny(), remembers()] {
        its_file_acts_as_it_was_learnt(&Config {
            scenario: vec![scenario("pose")],
            ..config
        });
    }
}

fn its_file_acts_as_it_was_learnt(config: &Config) {
    let folder = tempfile::tempdir().unwrap();
    let done = go(config, folder.path(), false, Some(2)).unwrap();
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
            ActorCritic::new(&config.network, one.sizes(), config.seed, Device::Cpu).unwrap();
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

    let excited = text.replace("logistic", "excitation");
    let excited = HandScenario::load_text(&excited, "pose.toml").unwrap();
    let error = LearnedHand::new(&network, &excited.env(1, None).unwrap());
    let error = error.err().unwrap();
    assert!(error.contains("actions are in [-1.0, 1.0]"), "{error}");
    let path = folder.path().join("excited.toml");
    std::fs::write(&path, text.replace("logistic", "excitation")).unwrap();
    let other = Config {
        scenario: vec![path],
        from: Some(done.policy.clone()),
        ..config.clone()
    };
    let error = go(&other, &folder.path().join("other"), false, None).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("those of the task in [0.0, 1.0]"),
        "{error}"
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
    let muscles = Config {
        scenario: vec![scenario("track/cup_drink")],
        ..tiny()
    };
    for config in [tiny(), remembers(), muscles] {
        workers_and_stops_do_not_change(&config);
    }
}

fn workers_and_stops_do_not_change(config: &Config) {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let whole = go(config, &at("whole"), false, None).unwrap();
    assert_eq!((whole.step, whole.steps, whole.env_steps), (5, 5, 1200));
    let many = Config {
        workers: 3,
        ..config.clone()
    };
    go(&many, &at("many"), false, None).unwrap();
    go(config, &at("parts"), false, Some(0)).unwrap();
    go(config, &at("parts"), true, Some(3)).unwrap();
    let error = go(config, &at("parts"), false, None).unwrap_err();
    assert!(error.to_string().contains("holds a run already"), "{error}");
    // Who goes on may have another number of workers.
    go(&many, &at("parts"), true, None).unwrap();
    // One that is done stays as it is.
    go(config, &at("parts"), true, None).unwrap();
    for file in ["policy.safetensors", "metrics.jsonl", "report.html"] {
        let read = |name: &str| std::fs::read(at(name).join(file)).unwrap();
        assert!(read("whole") == read("many"), "{file}");
        assert!(read("whole") == read("parts"), "{file}");
    }
    let other = Config {
        seed: 2,
        ..config.clone()
    };
    go(&other, &at("other"), false, None).unwrap();
    let policy = |name: &str| std::fs::read(at(name).join("policy.safetensors")).unwrap();
    assert!(policy("whole") != policy("other"));
    // a checkpoint of other settings names them
    let wider = Config {
        network: ActorCriticConfig {
            hidden: vec![9],
            ..config.network.clone()
        },
        ..config.clone()
    };
    let error = go(&wider, &at("whole"), true, None).unwrap_err();
    assert_eq!(error.exit_code(), 2);
    assert!(
        error.to_string().contains("[8]") && error.to_string().contains("[9]"),
        "{error}"
    );
    // the configuration of the run can be run
    let text = std::fs::read_to_string(at("whole").join("config.toml")).unwrap();
    assert_eq!(toml::from_str::<Config>(&text).unwrap(), *config);
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
                scenario: vec![scenario("reorient_8")],
                ..tiny()
            },
            "items: expected a multiple of the 8 tasks",
        ),
        (
            Config {
                ppo: PpoConfig {
                    minibatch: 30,
                    ..tiny().ppo
                },
                ..remembers()
            },
            "ppo.minibatch: expected a multiple of the 20 steps",
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
                worlds: 1 << 26,
                ..tiny()
            },
            "an iteration of 4026531840 rows takes ",
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
            "items: expected a multiple of the 2 tasks",
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
                workers: 1_000_000,
                ..tiny()
            },
            "workers: expected at most 1024, found 1000000",
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
                    ..ActorCriticConfig::default()
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
    assert!(figures.peak_mib.is_none_or(|mib| mib > 1));
    assert!(
        figures
            .two_workers_times_one
            .is_none_or(|times| times > 0.0)
    );
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
    let (_, parameters) = ActorCritic::new(&tiny().network, sizes, 1, Device::Cpu).unwrap();
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

/// Two learners, each with half of the items, come to what one comes to: to the order of the sums.
#[test]
fn learners_of_a_collective_learn_as_one() {
    let config = PpoConfig {
        minibatch: 60,
        parts: 2,
        epochs: 2,
        learning_rate: 1e-3,
        ..PpoConfig::default()
    };
    let sizes = roller(1).unwrap().sizes();
    let network = tiny().network;
    let roll = |index: u64| {
        let item = Item {
            index,
            steps: 15,
            ..ITEM
        };
        roller(4).unwrap().roll(&item, &policy()).unwrap()
    };
    let learn = |segments: &[Segment], with: &mut dyn FnMut(&mut Learner, &mut Own, &[Segment])| {
        let mut learner = Learner::new(&config, &network, &policy().values, sizes);
        let mut own = Own::new(&network, sizes, &config, Device::Cpu).unwrap();
        with(&mut learner, &mut own, segments);
        learner
    };
    let all: Vec<Segment> = (0..4).map(roll).collect();
    let one = learn(&all, &mut |learner, own, segments| {
        learner
            .learn(segments, (1, 0), 1e-3, own, &mut Alone)
            .unwrap();
    });
    let mut two = Vec::new();
    std::thread::scope(|scope| {
        let threads: Vec<_> = Threads::group(2)
            .into_iter()
            .map(|mut member| {
                let all = &all;
                scope.spawn(move || {
                    let items = all.iter().skip(member.rank()).step_by(2);
                    let items: Vec<Segment> = items.cloned().collect();
                    learn(&items, &mut |learner, own, segments| {
                        learner
                            .learn(segments, (1, 0), 1e-3, own, &mut member)
                            .unwrap();
                    })
                })
            })
            .collect();
        two.extend(threads.into_iter().map(|thread| thread.join().unwrap()));
    });
    assert_eq!(two[0].values, two[1].values);
    assert_eq!(two[0].moments, two[1].moments);
    assert_eq!(one.moments.count, two[0].moments.count);
    let before = policy();
    let mut moved = 0.0_f32;
    for ((a, b), start) in one.values.iter().zip(&two[0].values).zip(&before.values) {
        assert!((a - b).abs() < 1e-5, "{a} {b}");
        moved = moved.max((a - start).abs());
    }
    assert!(moved > 1e-3, "{moved}");
}

/// Noise that is drawn has the density that is said of it.
#[test]
fn noise_is_drawn_as_its_density_says() {
    use rand::SeedableRng as _;
    let sizes = [3, 2];
    for exploration in [
        Exploration::Independent,
        Exploration::Gsde,
        Exploration::Lattice,
    ] {
        let config = ActorCriticConfig {
            hidden: vec![4],
            exploration,
            resample: 1,
            log_std: -0.3,
            lstm: 0,
        };
        let (network, mut parameters) = ActorCritic::new(&config, sizes, 5, Device::Cpu).unwrap();
        // The last layer is small at first: larger, so that its noise counts.
        let larger: Vec<f32> = parameters.values().iter().map(|x| x + 0.3).collect();
        parameters.set_values(&larger).unwrap();
        let seen = tch::Tensor::from_slice(&[0.5_f32, -1.0, 2.0]).reshape([1, 3]);
        let nothing = &mut Memory::new(&config, 1, Device::Cpu);
        let said = tch::no_grad(|| network.forward(&parameters, &seen, &[], nothing)).unwrap();
        let latent = Vec::<f32>::try_from(said.latent.reshape(-1)).unwrap();
        let mut noise = Noise::new(&config, &network, &parameters, 1).unwrap();
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(9);
        let n = 40_000;
        let (mut square, mut product, mut density) = ([0.0; 2], 0.0, Vec::new());
        for step in 0..n {
            let mut off = [0.0_f32; 2];
            noise.add(0, step, &latent, &mut off, &mut rng);
            for (sum, x) in square.iter_mut().zip(off) {
                *sum += f64::from(x * x) / n as f64;
            }
            product += f64::from(off[0] * off[1]) / n as f64;
            density.extend(off);
        }
        let deviation = network.deviation(&parameters, &said).unwrap();
        let deviation = Vec::<f32>::try_from(deviation.reshape(-1)).unwrap();
        for (square, deviation) in square.iter().zip(&deviation) {
            let expected = f64::from(deviation * deviation);
            assert!(
                (square / expected - 1.0).abs() < 0.03,
                "{square} {expected}"
            );
        }
        let correlation = product / (square[0] * square[1]).sqrt();
        let correlated = exploration == Exploration::Lattice;
        assert_eq!(
            correlation.abs() > 0.05,
            correlated,
            "{exploration:?} {correlation}"
        );
        // The mean of minus the logarithm is the entropy.
        let mean = said.mean.expand([n as i64, 2], false);
        let many = trainers::motor::Said {
            latent: said.latent.expand([n as i64, 4], false),
            value: said.value.expand([n as i64], false),
            mean: mean.shallow_clone(),
        };
        let drawn = mean + tch::Tensor::from_slice(&density).reshape([n as i64, 2]);
        let [density, entropy] = network.density(&parameters, &many, &drawn).unwrap();
        let number = |x: tch::Tensor| x.mean(tch::Kind::Float).double_value(&[]);
        let (density, entropy) = (number(density), number(entropy));
        assert!((density + entropy).abs() < 0.03, "{density} {entropy}");
    }
    let none = ActorCriticConfig {
        resample: 0,
        ..ActorCriticConfig::default()
    };
    let error = ActorCritic::new(&none, sizes, 1, Device::Cpu)
        .err()
        .unwrap();
    assert!(error.to_string().contains("network.resample"), "{error}");
}

/// Every way of exploring learns, and workers that do not wait do.
#[test]
fn other_ways_of_exploring_memory_and_no_waiting_learn_as_well() {
    let folder = tempfile::tempdir().unwrap();
    for (name, exploration, mode, lstm) in [
        ("gsde", Exploration::Gsde, Mode::Synchronous, 0),
        ("lattice", Exploration::Lattice, Mode::Synchronous, 0),
        ("free", Exploration::Independent, Mode::Asynchronous, 0),
        ("remembers", Exploration::Independent, Mode::Synchronous, 16),
    ] {
        let config = Config {
            worlds: 16,
            length: 40,
            items: 4,
            workers: 2,
            network: ActorCriticConfig {
                exploration,
                lstm,
                ..learns().network
            },
            mode,
            ..learns()
        };
        let out = folder.path().join(name);
        let done = go(&config, &out, false, None).unwrap();
        assert!(done.success[0].value > 0.9, "{name} {done:?}");
        let metrics = std::fs::read_to_string(out.join("metrics.jsonl")).unwrap();
        let stale = metrics.contains("\"staleness\"");
        assert_eq!(stale, mode == Mode::Asynchronous);
    }
}

/// A student of a policy does what the policy does, on the teacher's rollouts or on its own.
#[test]
fn a_student_does_what_its_teacher_does() {
    let folder = tempfile::tempdir().unwrap();
    let teacher = learns();
    let taught = go(&teacher, &folder.path().join("teacher"), false, None).unwrap();
    for (name, share) in [("cloned", 1.0), ("on_policy", 0.0)] {
        let student = Config {
            steps: 45_000,
            seed: 2,
            teachers: vec![taught.policy.clone()],
            teachers_act: share,
            ..teacher.clone()
        };
        let out = folder.path().join(name);
        let before = go(&student, &out, false, Some(0)).unwrap();
        let after = go(&student, &out, true, None).unwrap();
        assert!(before.success[0].value < 0.5, "{name} {before:?}");
        assert!(after.success[0].value > 0.8, "{name} {after:?}");
    }
    let two = Config {
        teachers: vec![taught.policy.clone(); 2],
        ..teacher.clone()
    };
    let unlike = Config {
        scenario: vec![scenario("reach")],
        teachers: vec![taught.policy.clone()],
        ..tiny()
    };
    let other = Config {
        teachers: vec![taught.policy],
        ..tiny()
    };
    for (config, message) in [
        (
            two,
            "teachers: expected one for each of the 1 tasks, found 2",
        ),
        (other, "policy.0.weight"),
        (
            unlike,
            "numbers of an observation and 2 of an action, the task has",
        ),
    ] {
        let out = folder.path().join("none");
        let error = go(&config, &out, false, None).unwrap_err();
        assert_eq!(error.exit_code(), 2, "{error}");
        assert!(error.to_string().contains(message), "{error}");
    }
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
            teacher: None,
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
    // Two leave, one of them while there is work; the last one stays.
    workers.leave();
    let asked = workers.ask(jobs().swap_remove(0));
    assert_eq!(segments(workers.run(jobs()).unwrap()), expected);
    workers.leave();
    workers.leave();
    assert_eq!(workers.count(), 1);
    assert_eq!(segments(workers.run(jobs()).unwrap()), expected);
    // What was asked for alone is still there.
    assert_eq!(workers.pending(), 1);
    let (number, done) = workers.take().unwrap();
    assert_eq!(number, asked);
    assert_eq!(segments(vec![done]), expected[..1]);
    assert!(workers.take().is_err());
    // An item that fails whoever does it is done with another seed.
    static LEFT: AtomicUsize = AtomicUsize::new(2);
    let mut again = Workers::new(1, &PpoConfig::default(), || {
        let left = LEFT.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1));
        assert!(left.is_err(), "a joint came off");
        roller(4)
    });
    let found = segments(again.run(jobs().split_off(4)).unwrap());
    let item = Item { index: 4, ..ITEM }.with_other_seed();
    let other = roller(4).unwrap().roll(&item, &policy).unwrap();
    assert!(found == [other] && found[0] != expected[4]);
    let [first, second] = &again.mishaps[..] else {
        panic!("{:?}", again.mishaps)
    };
    assert!(first.ends_with("seed 3, item 4: a worker failed, done again: a joint came off"));
    assert!(second.ends_with("two workers failed, done with another seed: a joint came off"));
    let mut broken = Workers::new(2, &PpoConfig::default(), || panic!("no worlds"));
    let error = broken.run(jobs()).unwrap_err().to_string();
    assert!(
        error.contains("workers failed each time: no worlds"),
        "{error}"
    );
}

/// A study over three point masses: it stops and goes on, and tells of all starts with equal samples.
#[test]
fn a_study_compares_what_learning_starts_from() {
    let folder = tempfile::tempdir().unwrap();
    let tasks = folder.path().join("tasks");
    std::fs::create_dir(&tasks).unwrap();
    for name in ["left", "right", "far"] {
        std::fs::copy(scenario("point"), tasks.join(format!("{name}.toml"))).unwrap();
    }
    let starts = [
        Start::Scratch,
        Start::Prior,
        Start::Student,
        Start::OnPolicyStudent,
    ];
    let multi = Config {
        scenario: Vec::new(),
        items: 4,
        worlds: 8,
        ppo: PpoConfig {
            minibatch: 160,
            parts: 1,
            learning_rate: 3e-3,
            ..PpoConfig::default()
        },
        ..tiny()
    };
    let config = motor_study::Config {
        tasks,
        prior: vec!["left".to_owned(), "right".to_owned()],
        held_out: vec!["far".to_owned()],
        starts: starts.to_vec(),
        seeds: 1,
        // An episode ends when the point is there: one step of a hundred is all that can be held.
        solved: 0.005,
        expert_steps: 25_600,
        prior_steps: 51_200,
        student_steps: 25_600,
        finetune_steps: 12_800,
        single: multi.clone(),
        multi,
        ..motor_study::Config::default()
    };
    let study = |config: &motor_study::Config, name: &str, resume, stop_after| {
        let options = RunOptions {
            out: folder.path().join(name),
            resume,
            stop: &AtomicBool::new(false),
            stop_after,
            progress: false,
        };
        motor_study::run(config, &options)
    };
    let part = study(&config, "study", false, Some(4)).unwrap();
    // the prior, two experts, a student; then another student, and four finetunings
    assert_eq!((part.done, part.runs), (4, 9));
    assert!(part.finetuned.is_empty());
    let error = study(&config, "study", false, None).unwrap_err();
    assert!(
        error.to_string().contains("holds a study already"),
        "{error}"
    );
    // A run that another process is at is passed over.
    let taken = folder.path().join("study/runs/far_prior_1");
    std::fs::create_dir_all(&taken).unwrap();
    let lock = File::create(taken.join("lock")).unwrap();
    lock.lock().unwrap();
    let others = study(&config, "study", true, None).unwrap();
    assert_eq!((others.done, others.runs), (8, 9));
    assert!(!taken.join("metrics.jsonl").exists());
    drop(lock);
    // One that fails is told, the next time it is tried again.
    let in_the_way = taken.join("metrics.jsonl");
    std::fs::create_dir(&in_the_way).unwrap();
    let error = study(&config, "study", true, None).unwrap_err();
    assert_eq!(error.exit_code(), 1);
    assert!(error.to_string().contains("run far_prior_1: "), "{error}");
    std::fs::remove_dir(&in_the_way).unwrap();
    let whole = study(&config, "study", true, None).unwrap();
    assert_eq!((whole.done, whole.runs), (9, 9));
    assert_eq!(whole.learnt.len(), 5);
    let curve = |start: Start| {
        let one = whole.finetuned.iter().find(|one| one.start == start);
        &one.unwrap().curve
    };
    for start in starts {
        // as many samples for all
        let (first, last) = (curve(start)[0], curve(start).last().unwrap());
        assert_eq!((first[0], last[0]), (0.0, 12_800.0), "{start:?}");
    }
    // What was learnt is there from the first step on.
    let known = |start| curve(start)[0][1];
    for start in &starts[1..] {
        assert!(
            known(*start) > known(Start::Scratch) + 0.005,
            "{:?}",
            whole.finetuned
        );
    }
    let figures = |start| whole.figures.iter().find(|f| f.start == start).unwrap();
    let (scratch, prior) = (figures(Start::Scratch), figures(Start::Prior));
    let more = |one: Estimate, other: Estimate| one.value > other.value;
    assert!(more(scratch.samples, prior.samples), "{:?}", whole.figures);
    assert!(more(prior.known, scratch.known), "{:?}", whole.figures);
    let times = scratch
        .times_prior
        .map_or(f64::INFINITY, |times| times.value);
    assert!(times > 1.0, "{:?}", whole.figures);
    // The samples of what it was learnt with are told.
    let before = [Start::Scratch, Start::Prior, Start::Student].map(|start| figures(start).before);
    assert_eq!(before, [0, 51_200, 2 * 25_600 + 25_600]);
    let page = std::fs::read_to_string(&whole.report).unwrap();
    assert!(page.matches("<svg").count() == 2 && page.contains("on policy student"));

    // Runs of other settings are not taken for these.
    let longer = motor_study::Config {
        finetune_steps: 25_600,
        ..config.clone()
    };
    let settings = folder.path().join("study/config.toml");
    let before = std::fs::read_to_string(&settings).unwrap();
    let error = study(&longer, "study", true, None).unwrap_err();
    assert!(error.to_string().contains("with other settings"), "{error}");
    assert_eq!(std::fs::read_to_string(&settings).unwrap(), before);
    // However its folder is called, it is this study; with other tasks it is not.
    let again = study(&config, "./study/../study", true, None).unwrap();
    assert_eq!(again.finetuned, whole.finetuned);
    let task = folder.path().join("tasks/far.toml");
    let text = std::fs::read_to_string(&task).unwrap();
    std::fs::write(&task, format!("{text}\n# another\n")).unwrap();
    let error = study(&config, "study", true, None).unwrap_err();
    assert!(error.to_string().contains("have changed since"), "{error}");
    let both = motor_study::Config {
        held_out: vec!["left".to_owned()],
        ..config.clone()
    };
    let unknown = motor_study::Config {
        held_out: vec!["near".to_owned()],
        ..config
    };
    let mut apart = both.clone();
    apart.held_out = vec!["far".to_owned()];
    apart.single.network.hidden = vec![5];
    let mut unequal = both.clone();
    unequal.held_out = vec!["far".to_owned()];
    unequal.multi.items = 3;
    for (config, message) in [
        (both, "held_out: \"left\" is among the prior's tasks"),
        (apart, "single, multi: expected the same network.hidden"),
        (
            unequal,
            "run prior: items: expected a multiple of the 2 tasks",
        ),
        (unknown, "near.toml"),
    ] {
        let error = study(&config, "other", false, None).unwrap_err();
        assert_eq!(error.exit_code(), 2, "{error}");
        assert!(error.to_string().contains(message), "{error}");
        assert!(!folder.path().join("other").exists());
    }
}
