//! Episodes looked into: the list, the film against what was simulated, and damaged stores.

use std::sync::atomic::AtomicBool;
use std::time::Duration;

use agents::rollout::{MaxSteps, Part, Plan, PolicyChoice, Settings, record};
use sim::scenario_file::ScenarioFile;
use tempfile::TempDir;

use super::*;
use crate::play::tests::KITCHEN;
use crate::scene::Kind;

/// Two random episodes in a kitchen, in the folder's `store`.
pub(crate) fn store_of_two() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    record_into(&folder, Fidelity::Physical, 2);
    folder
}

fn record_into(folder: &TempDir, fidelity: Fidelity, episodes: u64) {
    let plan = Plan {
        scenarios: vec![ScenarioFile::load_text(KITCHEN, "kitchen.toml").unwrap()],
        settings: Settings {
            seed: 3,
            policy: PolicyChoice::Random { invalid_share: 0.2 },
            fidelity,
            max_steps: MaxSteps::all(8),
        },
        episodes,
        part: Part::WHOLE,
        workers: 1,
    };
    let stop = AtomicBool::new(false);
    record(&plan, &folder.path().join("store"), &stop, |_, _| {}).unwrap();
}

/// Waits until the background has done what is waited for.
pub(crate) fn wait(episodes: &mut Episodes, is: impl Fn(&Episodes) -> bool) {
    for _ in 0..6000 {
        episodes.tick(0.0);
        if is(episodes) {
            return;
        }
        thread::sleep(Duration::from_millis(20));
    }
    panic!(
        "{:?} {:?}",
        episodes.trouble(),
        episodes.opened().map(|o| o.no_film())
    );
}

fn filmed(episodes: &Episodes) -> bool {
    episodes.opened().is_some_and(|o| o.film().is_some())
}

#[test]
fn a_film_shows_what_was_simulated_frame_by_frame() {
    let folder = store_of_two();
    let dir = folder.path().join("store");
    let mut episodes = Episodes::default();
    episodes.open_store(&dir).unwrap();
    wait(&mut episodes, |e| !e.is_listing());
    episodes.open(1).unwrap();
    wait(&mut episodes, filmed);

    // The same actions, simulated here, with the poses read directly.
    let store = Store::open(&dir).unwrap();
    let recorded = Arc::new(store.episode(1).unwrap());
    let scenario = Arc::new(sim::scenario::load_text(KITCHEN, "kitchen.toml").unwrap());
    let env = sim::env::HouseholdEnv::new(scenario, Fidelity::Physical, 8);
    let mut recorder = sim::recorder::Recorder::new(env, "random");
    let start = sim::env::Start {
        seed: 3,
        index: 1,
        wish: sim::env::Wish::Explore,
    };
    recorder.reset(0, &start).unwrap();
    let opened = episodes.opened().unwrap();
    let film = opened.film().unwrap();
    assert_eq!(film.mismatch(), None);
    let began = recorder.env().world().unwrap().steps();
    for (i, step) in recorded.steps.iter().enumerate() {
        recorder.step(vec![Some(step.action.clone())]);
        let world = recorder.env().world().unwrap();
        let frame = (world.steps() - began) as u32;
        assert_eq!(film.ends()[i + 1], frame);
        episodes_match(film, frame, world);
    }
    assert!(film.last() > 60);

    // Steps and frames lead to each other; going anywhere is only looking up.
    let (ends, last) = (film.ends().to_vec(), film.last());
    for (step, end) in ends.iter().enumerate() {
        episodes.seek_step(step);
        assert_eq!(
            (episodes.cursor().step, episodes.cursor().frame),
            (step, *end)
        );
        let details = episodes.details().unwrap();
        assert_eq!(details.step, step);
        if let Some(i) = step.checked_sub(1) {
            assert_eq!(details.refusal, recorded.steps[i].refusal);
            assert_eq!(
                details.reward_terms.len(),
                recorded.steps[i].reward_terms.len()
            );
        }
    }
    episodes.seek_frame(last / 2);
    let middle = episodes.scene().unwrap();
    episodes.seek_frame(u32::MAX);
    assert_eq!(episodes.cursor().frame, last);
    episodes.seek_by(-i64::from(last - last / 2));
    assert_eq!(episodes.scene().unwrap(), middle);

    // Another one over it, and time passing.
    episodes.compare(Some(0)).unwrap();
    wait(&mut episodes, |e| {
        e.compared().is_some_and(|o| o.film().is_some())
    });
    let both = episodes.scene().unwrap();
    let ghosts = both.pieces.iter().filter(|p| p.kind == Kind::Ghost).count();
    assert!(ghosts > 3 && both.pieces.len() == middle.pieces.len() + ghosts);
    episodes.seek_frame(0);
    episodes.play(true);
    episodes.tick(10.0);
    episodes.tick(10.5);
    assert_eq!(episodes.cursor().frame, 30);
    // An opened film is kept.
    episodes.open(0).unwrap();
    assert!(filmed(&episodes));
    let signals: Vec<&str> = episodes
        .opened()
        .unwrap()
        .signals
        .iter()
        .map(|s| &*s.name)
        .collect();
    for name in ["reward", "sum of rewards", "refusals", "progress", "x"] {
        assert!(signals.contains(&name), "{signals:?}");
    }
}

fn episodes_match(film: &Film, frame: u32, world: &sim::world::World) {
    let scene = film.scene(frame);
    let moving: Vec<_> = world.drawn().into_iter().filter(|d| d.moves).collect();
    for drawn in moving {
        assert!(
            scene
                .pieces
                .iter()
                .any(|p| p.position == drawn.position && p.rotation == drawn.rotation),
            "frame {frame}: {:?}",
            drawn.mover
        );
    }
}

#[test]
fn the_list_is_filtered() {
    let row = |policy: &str, success, steps| Row {
        position: 0,
        index: 0,
        scenario: "Flat".to_owned(),
        policy: policy.to_owned(),
        fidelity: "physical".to_owned(),
        task: "Bring the mug".to_owned(),
        success,
        steps,
    };
    let rows = [row("random", None, 50), row("planner", Some(true), 7)];
    let left = |filter: Filter| -> Vec<u64> {
        let rows = rows.iter().filter(|r| filter.takes(r));
        rows.map(|r| r.steps).collect()
    };
    let all = Filter::default;
    assert_eq!(left(all()), [50, 7]);
    let words = "flat MUG plan".to_owned();
    assert_eq!(left(Filter { words, ..all() }), [7]);
    let success = Some(false);
    assert_eq!(left(Filter { success, ..all() }), [0; 0]);
    let policy = Some("random".to_owned());
    assert_eq!(left(Filter { policy, ..all() }), [50]);
    assert_eq!(
        left(Filter {
            steps: [8, 60],
            ..all()
        }),
        [50]
    );
}

#[test]
fn episodes_in_symbols_have_a_frame_for_each_action() {
    let folder = tempfile::tempdir().unwrap();
    record_into(&folder, Fidelity::Symbolic, 1);
    let mut episodes = Episodes::default();
    episodes.open_store(&folder.path().join("store")).unwrap();
    episodes.open(0).unwrap();
    wait(&mut episodes, filmed);
    let film = episodes.opened().unwrap().film().unwrap();
    assert_eq!((film.mismatch(), film.last()), (None, 8));
    assert!(!film.scene(3).pieces.is_empty());
}

#[test]
fn a_damaged_shard_is_named_and_the_rest_is_kept() {
    let folder = store_of_two();
    let dir = folder.path().join("store");
    let mut episodes = Episodes::default();
    let error = episodes.open_store(folder.path()).unwrap_err();
    assert!(
        !error.repairable && error.message.contains("not an episode store"),
        "{error:?}"
    );
    let shard = std::fs::read_dir(dir.join("shards"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let mut bytes = std::fs::read(&shard).unwrap();
    bytes[100] ^= 1;
    std::fs::write(&shard, bytes).unwrap();
    episodes.open_store(&dir).unwrap();
    wait(&mut episodes, |e| !e.is_listing());
    let trouble = episodes.trouble().unwrap().clone();
    assert_eq!(
        (trouble.file, trouble.repairable),
        (Some(shard.clone()), true)
    );
    assert!(trouble.message.contains("damaged"), "{}", trouble.message);
    assert!(episodes.open(0).is_err());
    let report = episodes.repair().unwrap();
    assert_eq!(report.episodes, 0);
    assert!(episodes.trouble().is_none() && !shard.exists());
}

/// What a hand saw is what is shown, without simulating.
#[test]
fn a_hands_episode_is_shown_as_it_was_seen() {
    const POSE: &str = "schema = \"habitus.hand_task/1\"\nname = \"Pose\"\nhand = \"myohand\"\ntask.pose = { max_steps = 10 }\n";
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("store");
    let scenario = ScenarioFile::load_text(POSE, "pose.toml").unwrap();
    let plan = Plan {
        scenarios: vec![scenario.clone()],
        settings: Settings {
            seed: 3,
            policy: PolicyChoice::Scripted,
            fidelity: Fidelity::Physical,
            max_steps: MaxSteps {
                house: 30,
                hand: None,
            },
        },
        episodes: 2,
        part: Part::WHOLE,
        workers: 1,
    };
    record(&plan, &dir, &false.into(), |_, _| {}).unwrap();
    let mut episodes = Episodes::default();
    episodes.open_store(&dir).unwrap();
    wait(&mut episodes, |e| !e.is_listing());
    episodes.open(1).unwrap();
    wait(&mut episodes, filmed);
    let opened = episodes.opened().unwrap();
    let film = opened.film().unwrap();
    // 50 actions a second, 60 frames a second.
    assert_eq!(film.ends(), [0, 1, 2, 4, 5, 6, 7, 8, 10, 11, 12]);
    let ScenarioFile::Hand(hand) = &scenario else {
        panic!("it is a hand's")
    };
    let picture = crate::hand_picture::HandPicture::of(&hand.env(1, None).unwrap());
    let steps = opened.episode.steps.clone();
    for (frame, step) in [(1, 0), (3, 1), (4, 2), (12, 9)] {
        let expected = picture.scene(&steps[step].observation);
        assert_eq!(episodes.scene_at(frame), Some(expected), "frame {frame}");
    }
    let start = picture.scene(&opened.episode.first);
    assert_eq!(episodes.scene_at(0), Some(start));
    let pieces = episodes.scene().unwrap().pieces.len();
    episodes.compare(Some(0)).unwrap();
    wait(&mut episodes, |e| e.compared().unwrap().film().is_some());
    assert!(episodes.scene().unwrap().pieces.len() > pieces + 50);
}

/// How much memory ten minutes take, and how long it takes to go anywhere in them: run by hand.
#[test]
#[ignore = "a measurement, not a check"]
fn ten_minutes() {
    let folder = tempfile::tempdir().unwrap();
    let home = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../scenarios/five_room_house.toml"
    );
    let scenario = ScenarioFile::load(home).unwrap();
    let settings = Settings {
        seed: 3,
        policy: PolicyChoice::Random { invalid_share: 0.0 },
        fidelity: Fidelity::Physical,
        max_steps: MaxSteps::all(300),
    };
    let mut recorded = agents::rollout::Worker::new(&settings)
        .record(&scenario, &[0])
        .unwrap();
    let episode = Arc::new(recorded.swap_remove(0));
    drop(folder);
    let source = Source {
        scenario,
        episode,
        fidelity: Fidelity::Physical,
        max_steps: 300,
    };
    let then = std::time::Instant::now();
    let film = film::film(&source, &mut || true).unwrap();
    let made = then.elapsed();
    assert_eq!(film.mismatch(), None);
    let frames = film.last() + 1;
    let then = std::time::Instant::now();
    let seeks = 1000_u32;
    let mut pieces = 0;
    for i in 0..seeks {
        pieces = film
            .scene(i.wrapping_mul(2_654_435_761) % frames)
            .pieces
            .len();
    }
    println!(
        "{} steps, {:.0} s simulated, {frames} frames, made in {made:?}; {} bytes, {:.0} per frame; a seek {:?}, {pieces} pieces",
        source.episode.steps.len(),
        f64::from(frames) / 60.0,
        film.bytes(),
        film.bytes() as f64 / f64::from(frames),
        then.elapsed() / seeks,
    );
}
