//! What a person does in the editor is experience like any other: it can be made again, and learners can read it.

use std::thread;
use std::time::Duration;

use agents::rollout::{self, MaxSteps, PolicyChoice, Settings, Worker};
use editor::play::{Command, Play, Policy, Status};
use episode::store::Store;
use sim::env::Fidelity;
use sim::scenario_file::ScenarioFile;

#[test]
fn an_episode_of_teleoperation_can_be_made_again_and_learned_from() {
    let home = crate::root().join("scenarios/studio.toml");
    let text = std::fs::read_to_string(&home).expect("it comes with the program");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let dir = folder.path().join("store");

    // A person who knows what to do: the lines are a planner's for the same goal.
    let scenario = ScenarioFile::load(&home).expect("it is sound");
    let settings = Settings {
        seed: 1,
        policy: PolicyChoice::Planner { simulations: 500 },
        fidelity: Fidelity::Physical,
        max_steps: MaxSteps::all(200),
    };
    let mut worker = Worker::new(&settings);
    let plans = worker
        .record(&scenario, &[0, 1, 2])
        .expect("they can start");
    let mut play = Play::default();
    play.start(&text, "studio.toml").expect("it is sound");
    let send = |play: &Play, command| play.send(command).expect("it takes commands");
    send(&play, Command::Speed(64.0));
    send(&play, Command::StartRecording(dir.clone()));
    for plan in &plans {
        let index = plan.header.index;
        wait(&mut play, |s| s.index == index && s.recording.is_some());
        assert_eq!(play.status().task, plan.header.task);
        for step in &plan.steps {
            let episode::Action::Text(line) = &step.action else {
                panic!("actions in a house are text");
            };
            send(&play, Command::Act(line.clone()));
        }
        let steps = plan.steps.len() as u32;
        wait(&mut play, |s| s.steps[0] == steps);
        send(&play, Command::Reset(None));
    }
    send(&play, Command::StopRecording);
    wait(&mut play, |s| s.recording.is_none());
    play.stop();

    let store = Store::open(&dir).expect("a store");
    assert_eq!(store.len(), 3);
    let verified = rollout::verify(&store, 10, 1, &false.into(), |_| {}).expect("it can be read");
    assert_eq!((verified.episodes, verified.mismatches), (3, Vec::new()));
    let episodes: Vec<_> = store.episodes().map(|e| e.expect("whole")).collect();
    assert!(episodes.iter().all(|e| e.header.policy == "teleoperation"));
    assert!(episodes.iter().any(|e| e.success));
    let settings = dataset::verbalize::Settings::default();
    let examples = dataset::verbalize::build(&episodes, 1, &settings);
    let rows: Vec<_> = examples
        .iter()
        .flat_map(dataset::prompt_completion)
        .collect();
    assert!(!rows.is_empty());
}

/// Policies act in the program `rollout`; what they do is recorded here, in homes and of hands.
#[test]
fn episodes_of_policies_are_repeated_and_recorded_in_the_editor() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (file, policy, steps) in [
        ("studio.toml", Policy::Planner, None),
        ("studio.toml", Policy::Random, Some(6)),
        ("hand/pose.toml", Policy::Scripted, None),
    ] {
        let path = crate::root().join("scenarios").join(file);
        let text = std::fs::read_to_string(path).expect("it comes with the program");
        let dir = folder.path().join(policy.to_string());
        let mut play = Play::default();
        play.settings.policy = policy;
        play.settings.max_steps = steps.unwrap_or(200);
        play.start(&text, file).expect("it is sound");
        for command in [
            Command::Speed(64.0),
            Command::StartRecording(dir.clone()),
            Command::Play,
        ] {
            play.send(command).expect("it takes commands");
        }
        wait(&mut play, |s| s.ended.is_some());
        let status = play.status().clone();
        play.stop();
        let store = Store::open(&dir).expect("a store");
        let recorded = store.episode(0).expect("whole");
        assert_eq!(recorded.steps.len(), status.steps[0] as usize, "{status:?}");
        assert_eq!(steps.unwrap_or(status.steps[0]), status.steps[0]);
        assert!(policy != Policy::Planner || recorded.success);
        let verified = rollout::verify(&store, 10, 1, &false.into(), |_| {}).expect("it is read");
        assert_eq!((verified.episodes, verified.mismatches), (1, Vec::new()));
    }
}

fn wait(play: &mut Play, is: impl Fn(&Status) -> bool) {
    for _ in 0..6000 {
        play.tick();
        if is(play.status()) {
            return;
        }
        thread::sleep(Duration::from_millis(20));
    }
    panic!("{:?}", play.status());
}
