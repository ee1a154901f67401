//! What a person does in the editor is experience like any other: it can be made again, and learners can read it.

use std::thread;
use std::time::Duration;

use agents::rollout::{self, MaxSteps, PolicyChoice, Settings, Worker};
use editor::play::{Command, Play, Status};
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
