//! Playing, by a session without a clock, and once on its thread.

use std::time::Duration;

use std::ops::ControlFlow;
use std::path::Path;

use agents::rollout::{self, MaxSteps, PolicyChoice, verify};
use episode::store::Store;

use super::*;
use crate::scene::Kind;

pub(crate) const KITCHEN: &str = r#"
schema = "habitus.scenario/1"
name = "Kitchen"
[[room]]
name = "kitchen"
corners = [[0.0, 0.0], [4.0, 0.0], [4.0, 4.0], [0.0, 4.0]]
[[object]]
class = "kitchen table"
at = [2.0, 2.0]
[[object]]
class = "kitchen drawer"
at = [0.5, 0.5]
[[object]]
class = "mug"
on = "kitchen table"
[[object]]
class = "plate"
on = "kitchen table"
count = { min = 2, max = 2 }
[[agent]]
body.walker = { room = "kitchen" }
[[goal]]
say = "Bring the mug into the drawer."
all = ["mug INSIDE kitchen drawer"]
"#;

/// The entry of a class in [`KITCHEN`].
pub(crate) fn item(class: &str) -> ItemId {
    let classes = ["kitchen table", "kitchen drawer", "mug", "plate"];
    ItemId {
        table: Table::Object,
        index: classes.iter().position(|c| *c == class).unwrap(),
    }
}

/// Waits until the simulation's status is as it should be.
pub(crate) fn wait(play: &mut Play, is: impl Fn(&Status) -> bool) {
    for _ in 0..6000 {
        play.tick();
        if is(play.status()) {
            return;
        }
        thread::sleep(Duration::from_millis(20));
    }
    panic!("{:?}", play.status());
}

const HOLD: &str = r#"
schema = "habitus.hand_task/1"
name = "Hold"
hand = "myohand"
task.hold = { max_steps = 12 }
"#;

fn session(policy: Policy) -> Session {
    session_of(KITCHEN, policy, Path::new("nowhere"))
}

fn session_of(text: &str, policy: Policy, program: &Path) -> Session {
    let scenario = ScenarioFile::load_text(text, "kitchen.toml").unwrap();
    let settings = Settings {
        policy,
        max_steps: 12,
        program: program.to_owned(),
        ..Settings::default()
    };
    Session::new(scenario, settings).unwrap()
}

/// A program that tells the first two episodes of a scenario as `rollout` would, in a process of its own.
fn program(folder: &Path, text: &str, policy: Policy) -> PathBuf {
    let settings = Settings::default();
    let how = rollout::Settings {
        seed: settings.seed,
        policy: match policy {
            Policy::Planner => PolicyChoice::Planner {
                simulations: settings.simulations,
            },
            Policy::Scripted => PolicyChoice::Scripted,
            _ => PolicyChoice::Random {
                invalid_share: settings.invalid_share,
            },
        },
        fidelity: settings.fidelity,
        max_steps: MaxSteps {
            house: 12,
            hand: None,
        },
    };
    let scenario = ScenarioFile::load_text(text, "kitchen.toml").unwrap();
    for index in [0, 1] {
        let mut lines = String::new();
        rollout::stream(&how, &scenario, index, &mut |line| {
            lines.push_str(&format!("{line}\n"));
            ControlFlow::Continue(())
        })
        .unwrap();
        std::fs::write(folder.join(format!("{index}.jsonl")), lines).unwrap();
    }
    let script = format!(
        "#!/bin/sh\ncat > {0}/asked.toml\nwhile [ \"$1\" != --episode ]; do shift; done\nexec cat {0}/$2.jsonl\n",
        folder.display()
    );
    executable(&folder.join("rollout"), &script)
}

fn executable(path: &Path, script: &str) -> PathBuf {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::write(path, script).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path.to_owned()
}

/// Shows everything that is under way.
fn run_out(session: &mut Session) -> Shown {
    let mut shown = session.show().unwrap_or_default();
    let mut moves = 0;
    while !session.is_idle() {
        session.advance(1.0 / 60.0);
        shown = session.show().unwrap_or(shown);
        moves += 1;
        if shown.status.waiting {
            thread::sleep(Duration::from_millis(2));
        }
        assert!(moves < 20_000, "{:?}", shown.status);
    }
    shown
}

fn piece<'a>(shown: &'a Shown, name: &str) -> &'a crate::scene::Piece {
    let found = shown.scene.pieces.iter().find(|p| p.name == name);
    found.unwrap_or_else(|| panic!("no {name}"))
}

#[test]
fn policies_are_read_as_they_are_written() {
    for policy in Policy::ALL {
        assert_eq!(Policy::parse(&policy.to_string()), Some(policy));
    }
    assert_eq!(Policy::parse("magic"), None);
}

#[test]
fn a_verb_is_seen_frame_by_frame_and_ends_where_it_led() {
    let mut session = session(Policy::Teleoperation);
    let start = session.show().unwrap();
    assert!(session.is_idle());
    assert!(!start.status.task.is_empty());
    assert!(start.status.goal.iter().any(|(_, holds)| !holds));
    session.command(Command::Act("[WALK] <kitchen drawer>".to_owned()));
    let mut ways = Vec::new();
    while !session.is_idle() {
        session.advance(1.0 / 60.0);
        if let Some(shown) = session.show() {
            ways.push(piece(&shown, "agent").position);
        }
    }
    let strides = ways.windows(2).map(|w| {
        let [dx, dy] = [0, 1].map(|i| w[1][i] - w[0][i]);
        (dx * dx + dy * dy).sqrt()
    });
    let longest = strides.fold(0.0, f32::max);
    assert!(ways.len() > 20 && longest < 1.5 / 60.0, "{longest}");

    // At four times the speed, a quarter of the pictures; the same end.
    let mut fast = self::session(Policy::Teleoperation);
    fast.command(Command::Speed(4.0));
    fast.command(Command::Act("[WALK] <kitchen drawer>".to_owned()));
    let mut pictures = 0;
    let mut shown = fast.show().unwrap();
    while !fast.is_idle() {
        fast.advance(1.0 / 60.0);
        shown = fast.show().unwrap_or(shown);
        pictures += 1;
    }
    assert!(pictures < ways.len() / 3);
    assert_eq!(Some(&piece(&shown, "agent").position), ways.last());
    assert_eq!(shown.status.last, "Walk to the kitchen drawer.");

    // One step of physics at a time.
    fast.command(Command::Act("[WALK] <kitchen table>".to_owned()));
    fast.command(Command::StepFrame);
    let one = fast.show().unwrap();
    assert!(!one.status.playing);
    fast.command(Command::Step);
    let whole = run_out(&mut fast);
    assert_ne!(
        piece(&one, "agent").position,
        piece(&whole, "agent").position
    );
}

#[test]
fn what_cannot_be_done_is_refused_in_words() {
    let mut session = session(Policy::Teleoperation);
    session.command(Command::Act("[GRAB] <moon>".to_owned()));
    let shown = run_out(&mut session);
    assert!(shown.status.refusal.is_some());
    assert_eq!(shown.status.steps[0], 1);
    let lines: Vec<&str> = shown.status.possible.iter().map(|p| &*p.line).collect();
    assert!(
        lines.iter().any(|line| line.starts_with("[WALK] <mug>")),
        "{lines:?}"
    );
    session.command(Command::Policy(Policy::Scripted));
    let note = session.show().unwrap().status.note.clone().unwrap();
    assert!(note.contains("does not act here"), "{note}");
    session.command(Command::Policy(Policy::Random));
    session.command(Command::Act("[WALK] <mug>".to_owned()));
    let shown = session.show().unwrap();
    assert!(
        shown
            .status
            .note
            .as_deref()
            .unwrap()
            .contains("teleoperation")
    );
}

#[test]
fn random_and_planner_play_to_the_end() {
    for policy in [Policy::Random, Policy::Planner] {
        let folder = tempfile::tempdir().unwrap();
        let program = program(folder.path(), KITCHEN, policy);
        let mut session = session_of(KITCHEN, policy, &program);
        session.command(Command::Speed(64.0));
        session.command(Command::Play);
        let shown = run_out(&mut session);
        assert!(shown.status.ended.is_some(), "{:?}", shown.status);
        let asked = std::fs::read_to_string(folder.path().join("asked.toml")).unwrap();
        assert_eq!(asked, KITCHEN, "the document as it is now, saved or not");
        if policy == Policy::Planner {
            assert_eq!(shown.status.ended.as_deref(), Some("The goal is reached."));
            assert!(shown.status.goal.iter().all(|(_, holds)| *holds));
        }
        session.command(Command::Reset(None));
        let shown = session.show().unwrap();
        assert_eq!((shown.status.index, shown.status.steps[0]), (1, 0));
        assert_eq!(shown.status.ended, None);
        session.command(Command::Restart);
        assert_eq!(session.show().unwrap().status.index, 1);
        // One action, without time passing.
        session.command(Command::Pause);
        session.command(Command::Step);
        assert_eq!(run_out(&mut session).status.steps[0], 1);
        assert!(session.is_idle());
    }
}

#[test]
fn a_program_that_cannot_act_is_said_to() {
    let folder = tempfile::tempdir().unwrap();
    let silent = executable(&folder.path().join("a"), "#!/bin/sh\n");
    let why = "#!/bin/sh\necho 'habitus: out of ideas' >&2\nexit 2\n";
    let wordy = executable(&folder.path().join("b"), why);
    let strange = executable(&folder.path().join("c"), "#!/bin/sh\necho hello\n");
    let missing = folder.path().join("d");
    for (program, expected) in [
        (silent, "without a word"),
        (wordy, "out of ideas"),
        (strange, "not a line of an episode"),
        (missing, "./habitus build"),
    ] {
        let mut session = session_of(KITCHEN, Policy::Random, &program);
        session.command(Command::Play);
        let shown = run_out(&mut session);
        let ended = shown.status.ended.clone().unwrap();
        assert!(ended.contains(expected), "{ended}");
    }
    // Another house's episode is not this one's.
    let other = KITCHEN.replace("[2.0, 2.0]", "[1.5, 2.5]");
    let program = program(folder.path(), &other, Policy::Random);
    let mut session = session_of(KITCHEN, Policy::Random, &program);
    session.command(Command::Play);
    let ended = run_out(&mut session).status.ended.clone().unwrap();
    assert!(ended.contains("starts elsewhere"), "{ended}");
}

#[test]
fn a_hand_does_its_task_and_is_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let program = program(folder.path(), HOLD, Policy::Scripted);
    let mut session = session_of(HOLD, Policy::Scripted, &program);
    let start = session.show().unwrap();
    let kinds = |shown: &Shown, kind| shown.scene.pieces.iter().filter(|p| p.kind == kind).count();
    assert_eq!(kinds(&start, Kind::Muscle), 39);
    assert!(kinds(&start, Kind::Hand) > 10);
    assert_eq!(kinds(&start, Kind::Thing), 1);
    session.command(Command::Policy(Policy::Planner));
    let note = session.show().unwrap().status.note.clone().unwrap();
    assert!(note.contains("does not act here"), "{note}");
    let dir = folder.path().join("store");
    session.command(Command::StartRecording(dir.clone()));
    session.command(Command::Play);
    let later = run_out(&mut session);
    assert_eq!(later.status.steps, [12, 12]);
    let colors = |shown: &Shown| -> Vec<[f32; 3]> {
        let muscles = shown.scene.pieces.iter();
        muscles
            .filter(|p| p.kind == Kind::Muscle)
            .map(|p| p.color)
            .collect()
    };
    assert_ne!(colors(&start), colors(&later));
    session.command(Command::StopRecording);
    let store = Store::open(&dir).unwrap();
    let verified = verify(&store, 10, 1, &false.into(), |_| {}).unwrap();
    assert_eq!((verified.episodes, verified.steps), (1, 12));
    assert_eq!(verified.mismatches, []);
    assert_eq!(store.header(0).unwrap().0.policy, "scripted");
}

#[test]
fn what_is_pulled_moves_and_is_not_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("store");
    let mut session = session(Policy::Teleoperation);
    session.command(Command::StartRecording(dir.clone()));
    session.command(Command::Act("[WALK] <mug>".to_owned()));
    let before = run_out(&mut session);
    assert!(before.status.recording.as_ref().unwrap().takes_this);
    let mug = before.picture.as_ref().unwrap().entities(item("mug"))[0];
    let at = piece(&before, "mug").position;
    let to = [at[0], at[1], at[2] + 0.4];
    session.command(Command::Drag { thing: mug, to });
    for _ in 0..60 {
        session.advance(1.0 / 60.0);
    }
    let pulled = session.show().unwrap();
    let lifted = piece(&pulled, "mug").position;
    assert!(lifted[2] > at[2] + 0.3, "{lifted:?}");
    assert!(!pulled.status.recording.as_ref().unwrap().takes_this);
    session.command(Command::Release);
    let rest = run_out(&mut session);
    assert!(piece(&rest, "mug").position[2] < at[2] + 0.2);
    session.command(Command::Act("[GRAB] <mug>".to_owned()));
    let after = run_out(&mut session);
    assert_eq!((after.status.steps[0], &after.status.refusal), (2, &None));
    session.command(Command::Reset(None));
    let next = session.show().unwrap();
    assert!(next.status.recording.as_ref().unwrap().takes_this);
    session.finish();
    let store = Store::open(&dir).unwrap();
    assert_eq!(store.len(), 1, "only what was before the pull");
    assert_eq!(store.episode(0).unwrap().steps.len(), 1);
}

#[test]
fn what_is_recorded_can_be_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("store");
    let mut session = session(Policy::Teleoperation);
    session.command(Command::StartRecording(dir.clone()));
    for lines in [
        &["[WALK] <mug>", "[GRAB] <mug>", "[GRAB] <moon>"][..],
        &["[WALK] <kitchen drawer>", "[OPEN] <kitchen drawer>"],
    ] {
        for line in lines {
            session.command(Command::Act((*line).to_owned()));
        }
        run_out(&mut session);
        session.command(Command::Reset(None));
    }
    session.command(Command::Reset(Some(5)));
    let shown = session.show().unwrap();
    assert!(
        shown
            .status
            .note
            .as_deref()
            .unwrap()
            .contains("keeps its seed")
    );
    session.command(Command::StopRecording);
    drop(session);
    // Another session goes on behind what is there.
    let mut session = self::session(Policy::Teleoperation);
    session.command(Command::StartRecording(dir.clone()));
    assert_eq!(session.show().unwrap().status.index, 2);
    session.command(Command::Act("[WALK] <plate 2>".to_owned()));
    run_out(&mut session);
    session.command(Command::StopRecording);
    let shown = session.show().unwrap();
    assert!(shown.status.ended.is_some() && shown.status.recording.is_none());
    let store = Store::open(&dir).unwrap();
    assert_eq!(store.len(), 3);
    let header = store.header(0).unwrap().0;
    assert_eq!(
        (&*header.policy, &*header.fidelity),
        ("teleoperation", "physical")
    );
    let verified = verify(&store, 10, 1, &false.into(), |_| {}).unwrap();
    assert_eq!((verified.episodes, verified.steps), (3, 6));
    assert_eq!(verified.mismatches, []);
    // A store of another run is left alone.
    let mut other = self::session(Policy::Teleoperation);
    other.command(Command::Reset(Some(9)));
    other.command(Command::StartRecording(dir));
    let note = other.show().unwrap().status.note.clone().unwrap();
    assert!(note.contains("different run"), "{note}");
}

#[test]
fn the_thread_follows_commands_and_ends() {
    let mut play = Play::default();
    assert!(matches!(play.send(Command::Play), Err(PlayError::Off)));
    let broken = KITCHEN.replace("class = \"mug\"", "class = \"mugg\"");
    let error = play.start(&broken, "kitchen.toml").unwrap_err();
    assert!(error.to_string().contains("mugg"), "{error}");
    play.start(KITCHEN, "kitchen.toml").unwrap();
    wait(&mut play, |status| !status.possible.is_empty());
    assert!(play.scene().is_some());
    let mug = [item("mug")];
    let verbs = play.verbs(&mug);
    assert!(
        verbs
            .iter()
            .all(|p| p.objects.is_empty() || p.sentence.contains("mug"))
    );
    let walk = verbs.iter().find(|p| p.line.starts_with("[WALK]")).unwrap();
    play.send(Command::Speed(64.0)).unwrap();
    play.send(Command::Act(walk.line.clone())).unwrap();
    wait(&mut play, |status| status.steps[0] == 1);
    play.stop();
    assert!(!play.is_on() && play.scene().is_none());
}
