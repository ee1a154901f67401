//! A simulation that is watched and steered, without a clock.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use episode::store::{Identity, StoreError, Writer};
use episode::stream::Line;
use episode::{Action, Step};
use sim::household::EntityId;
use sim::scenario_file::ScenarioFile;

use super::follow::{Follow, Told};
use super::hand::HandStage;
use super::house::HouseStage;
use super::stage::{Stage, Wanted};
use super::{Command, Policy, Possible, Recording, Settings, Shown, Status};

/// At most so many frames are shown for one picture: whoever falls behind slows down.
const HASTE: f64 = 600.0;

/// A scenario being played.
pub struct Session {
    scenario: ScenarioFile,
    settings: Settings,
    stage: Box<dyn Stage>,
    actor: Actor,
    drag: Option<(EntityId, [f32; 3])>,
    store: Option<Kept>,
    index: u64,
    playing: bool,
    /// What is simulated is shown to its end even while time does not pass.
    flushing: bool,
    /// What was asked for while time does not pass, and could not be done yet.
    owed: Option<Owed>,
    /// Whether somebody else's next action is awaited.
    waiting: bool,
    speed: f32,
    /// Frames that should have been shown and were not yet.
    due: f64,
    last: String,
    refusal: Option<String>,
    reward: f32,
    /// Set where an episode cannot go on.
    over: Option<String>,
    possible: Arc<Vec<Possible>>,
    note: Option<String>,
    revision: u64,
    /// How many commands were followed.
    followed: u64,
    /// Whether it was idle when it was shown last.
    was_idle: bool,
    dirty: bool,
}

/// Who acts.
enum Actor {
    /// A person, who wants these lines done.
    Person(VecDeque<String>),
    /// A policy, whose episode is told once its first action is needed.
    Policy(Option<Follow>),
}

/// What a person asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owed {
    /// An action, shown to its end.
    Action,
    /// One frame.
    Frame,
}

/// A store that is being recorded into.
struct Kept {
    writer: Writer,
    identity: Identity,
    dir: PathBuf,
}

impl Session {
    /// Ready at the start of the first episode, paused.
    ///
    /// # Errors
    /// In words, when a hand's task does not suit it.
    pub fn new(scenario: ScenarioFile, settings: Settings) -> Result<Self, String> {
        let mut session = Self {
            stage: stage(&scenario, &settings)?,
            scenario,
            actor: Actor::Policy(None),
            drag: None,
            store: None,
            index: 0,
            playing: false,
            flushing: false,
            owed: None,
            waiting: false,
            speed: 1.0,
            due: 0.0,
            last: String::new(),
            refusal: None,
            reward: 0.0,
            over: None,
            possible: Arc::default(),
            note: None,
            revision: 0,
            followed: 0,
            was_idle: false,
            dirty: true,
            settings,
        };
        session.reset();
        Ok(session)
    }

    /// Follows a command.
    pub fn command(&mut self, command: Command) {
        self.dirty = true;
        self.followed += 1;
        self.note = None;
        match command {
            Command::Play => self.playing = true,
            Command::Pause => (self.playing, self.flushing, self.owed) = (false, false, None),
            Command::Step if self.stage.is_behind() => self.catch_up(),
            Command::Step => self.owe(Owed::Action),
            Command::StepFrame => {
                (self.playing, self.flushing) = (false, false);
                self.owe(Owed::Frame);
            }
            Command::Speed(speed) => {
                let speed = if speed.is_finite() { speed } else { 1.0 };
                self.speed = speed.clamp(1.0 / 16.0, 64.0);
            }
            Command::Restart => {
                self.keep();
                self.skip_kept();
                self.reset();
            }
            Command::Reset(seed) => self.reset_to(seed),
            Command::Act(line) => match &mut self.actor {
                Actor::Person(wanted) if self.over.is_none() => {
                    wanted.push_back(line);
                    self.flushing = true;
                }
                Actor::Person(_) => {
                    self.note = Some("the episode has ended: reset starts the next one".to_owned());
                }
                Actor::Policy(_) => {
                    let text = "somebody else acts: choose teleoperation to act yourself";
                    self.note = Some(text.to_owned());
                }
            },
            Command::Policy(policy) => self.choose(policy),
            Command::Drag { thing, to } => self.drag_to(thing, to),
            Command::Release => self.release(),
            Command::StartRecording(dir) => self.start_recording(&dir),
            Command::StopRecording => self.stop_recording(),
            Command::Quit => self.finish(),
        }
    }

    /// Lets time pass, in seconds of whoever looks on.
    pub fn advance(&mut self, seconds: f64) {
        if self.is_idle() {
            self.due = 0.0;
            return;
        }
        self.pay();
        let frames = seconds * f64::from(self.speed) * self.stage.frames_per_second();
        self.due = (self.due + frames).min(HASTE);
        while self.due >= 1.0 {
            self.due -= 1.0;
            if self.drag.is_some() {
                self.pull();
            } else if !self.shows_on() || !self.show_frame() {
                (self.due, self.flushing) = (0.0, false);
                break;
            }
        }
    }

    /// Whether nothing changes before the next command.
    pub fn is_idle(&self) -> bool {
        self.drag.is_none() && self.owed.is_none() && !self.shows_on()
    }

    /// Whether time passes, or what is under way is shown to its end.
    fn shows_on(&self) -> bool {
        let behind = self.stage.is_behind();
        let acts = self.over.is_none()
            && match &self.actor {
                Actor::Person(wanted) => !wanted.is_empty(),
                Actor::Policy(_) => self.playing,
            };
        (self.playing || self.flushing) && (behind || acts)
    }

    /// What is to be seen, if that has changed since the last time.
    pub fn show(&mut self) -> Option<Shown> {
        let idle = self.is_idle();
        if !std::mem::take(&mut self.dirty) && idle == self.was_idle {
            return None;
        }
        self.was_idle = idle;
        self.revision += 1;
        Some(Shown {
            revision: self.revision,
            scene: Arc::new(self.stage.scene()),
            status: Arc::new(self.status()),
            picture: self.stage.picture(),
            followed: self.followed,
        })
    }

    /// Keeps what is to be kept, and ends.
    pub fn finish(&mut self) {
        self.keep();
        self.store = None;
    }

    /// Another policy acts, in a new episode.
    fn choose(&mut self, policy: Policy) {
        if !policy.suits(&self.scenario) {
            self.note = Some(format!("{policy} does not act here"));
            return;
        }
        let mut note = None;
        if self.store.is_some() {
            self.stop_recording();
            note = Some("recording has stopped: a store holds what one policy did".to_owned());
        }
        self.settings.policy = policy;
        self.index = 0;
        match stage(&self.scenario, &self.settings) {
            Ok(stage) => self.stage = stage,
            Err(why) => note = Some(why),
        }
        self.reset();
        self.note = note.or(self.note.take());
    }

    fn reset_to(&mut self, seed: Option<u64>) {
        match seed {
            Some(seed) if seed != self.settings.seed && self.store.is_some() => {
                self.note = Some(format!(
                    "a recording keeps its seed ({}): stop recording to choose another",
                    self.settings.seed
                ));
                return;
            }
            _ => {
                self.keep();
            }
        }
        match seed {
            Some(seed) => (self.settings.seed, self.index) = (seed, 0),
            None => self.index += 1,
        }
        self.skip_kept();
        self.reset();
    }

    /// Goes on to the first episode that the store lacks.
    fn skip_kept(&mut self) {
        if let Some(kept) = &self.store {
            while kept.writer.contains(&kept.identity, self.index) {
                self.index += 1;
            }
        }
    }

    /// Starts the episode that is to be played.
    fn reset(&mut self) {
        self.dirty = true;
        (self.drag, self.over, self.owed) = (None, None, None);
        (self.flushing, self.waiting, self.due) = (false, false, 0.0);
        (self.reward, self.refusal) = (0.0, None);
        self.last.clear();
        let (actor, wanted) = match self.settings.policy {
            Policy::Teleoperation => (Actor::Person(VecDeque::new()), Wanted::GoalIfAny),
            Policy::Random => (Actor::Policy(None), Wanted::Nothing),
            Policy::Planner | Policy::Scripted => (Actor::Policy(None), Wanted::Goal),
        };
        self.actor = actor;
        if let Err(why) = self.stage.reset(self.settings.seed, self.index, wanted) {
            self.over = Some(format!("no episode can start: {why}"));
        }
        self.look();
    }

    fn owe(&mut self, owed: Owed) {
        self.owed = Some(owed);
        self.pay();
    }

    /// Does what is owed, if it can be done by now.
    fn pay(&mut self) {
        let Some(owed) = self.owed else { return };
        if self.stage.is_behind() || self.act() {
            self.owed = None;
            match owed {
                Owed::Frame => self.stage.show_next(),
                Owed::Action => self.flushing = true,
            }
        } else if !self.waiting {
            self.owed = None;
        }
    }

    /// Shows the next frame; what is not simulated yet is. Whether there was one.
    fn show_frame(&mut self) -> bool {
        if !self.stage.is_behind() && !self.act() {
            return false;
        }
        self.dirty = true;
        self.stage.show_next();
        true
    }

    /// Shows the end of what was simulated.
    fn catch_up(&mut self) {
        while self.stage.is_behind() {
            self.stage.show_next();
        }
    }

    /// Makes the next action, if there is one; its motion is then to be shown.
    fn act(&mut self) -> bool {
        if self.over.is_some() {
            return false;
        }
        let (action, leads_to) = match self.next_action() {
            Some(next) => next,
            None => return false,
        };
        self.dirty = true;
        self.last = self.stage.sentence(&action);
        self.stage.step(action);
        if leads_to.is_some_and(|digest| digest != self.stage.state_digest())
            && !self.stage.is_disturbed()
        {
            self.end("What the policy's program simulates is not what is simulated here: build both anew.");
            return true;
        }
        self.look();
        if let Some(step) = self.stage.last_step() {
            self.reward += step.reward;
            self.refusal.clone_from(&step.refusal);
            if let Some(how) = ended(step) {
                self.end(how);
            }
        }
        true
    }

    /// The next action and, of somebody else's, the digest of the state that it led to there.
    fn next_action(&mut self) -> Option<(Action, Option<String>)> {
        let is_hand = matches!(self.scenario, ScenarioFile::Hand(_));
        let follow = match &mut self.actor {
            Actor::Person(wanted) => return Some((Action::Text(wanted.pop_front()?), None)),
            Actor::Policy(Some(follow)) => follow,
            Actor::Policy(not_yet) => {
                let (settings, text) = (&self.settings, self.scenario.text());
                let program = &settings.program;
                match Follow::start(program, text, settings, self.index, is_hand) {
                    Ok(follow) => not_yet.insert(follow),
                    Err(why) => {
                        self.end(&why);
                        return None;
                    }
                }
            }
        };
        let told = follow.next();
        let waiting = matches!(told, Told::NotYet);
        self.dirty |= waiting != self.waiting;
        self.waiting = waiting;
        match told {
            Told::Line(Line::Step(step)) => Some((step.action, Some(step.state_digest))),
            Told::Line(Line::Start { first_digest, .. }) => {
                if first_digest != self.stage.state_digest() && !self.stage.is_disturbed() {
                    self.end(
                        "The policy's program starts elsewhere: build it and the editor anew.",
                    );
                    return None;
                }
                self.next_action()
            }
            Told::Line(Line::End { .. }) => {
                self.end("There is nothing more to do.");
                None
            }
            Told::Over(why) => {
                self.end(&format!("The policy has stopped: {why}"));
                None
            }
            Told::NotYet => None,
        }
    }

    fn end(&mut self, how: &str) {
        self.keep();
        self.over = Some(how.to_owned());
        self.possible = Arc::default();
        self.waiting = false;
        self.dirty = true;
    }

    /// What can be done now.
    fn look(&mut self) {
        self.possible = match self.actor {
            Actor::Person(_) if self.over.is_none() => Arc::new(self.stage.possible()),
            _ => Arc::default(),
        };
    }

    fn drag_to(&mut self, thing: EntityId, to: [f32; 3]) {
        let recorded = self.store.is_some() && self.stage.last_step().is_some();
        let before = match self.stage.disturb() {
            Ok(before) => before,
            Err(why) => {
                self.note = Some(why);
                return;
            }
        };
        self.catch_up();
        if let Actor::Person(wanted) = &mut self.actor {
            wanted.clear();
        }
        if let Some(episode) = before {
            self.append(episode);
        }
        self.note = match (&self.actor, recorded) {
            (_, true) => Some(
                "the recorded episode has ended here: no actions lead to what is pulled; reset starts the next one",
            ),
            (Actor::Policy(_), false) => Some("the policy does not know of what is pulled"),
            (Actor::Person(_), false) => None,
        }
        .map(str::to_owned);
        self.drag = Some((thing, to));
    }

    /// One frame in which the thing is pulled.
    fn pull(&mut self) {
        let Some((thing, to)) = self.drag else { return };
        self.dirty = true;
        if !self.stage.pull(thing, to) {
            self.drag = None;
            self.note = Some("only things that lie somewhere can be pulled".to_owned());
        }
    }

    fn release(&mut self) {
        if self.drag.take().is_none() {
            return;
        }
        self.stage.let_go();
        self.flushing = true;
        self.look();
    }

    fn start_recording(&mut self, dir: &Path) {
        let Some(software) = self.stage.header().map(|header| header.software.clone()) else {
            self.note = Some("nothing can be recorded before an episode can start".to_owned());
            return;
        };
        self.stop_recording();
        let identity = identity(&self.scenario, &self.settings, software);
        let opened = Writer::open(dir, &identity).and_then(|mut writer| {
            writer.add_scenario(self.scenario.text())?;
            Ok(writer)
        });
        match opened {
            Ok(writer) => {
                self.store = Some(Kept {
                    writer,
                    identity,
                    dir: dir.to_owned(),
                });
                let index = self.index;
                self.skip_kept();
                if self.index != index || self.over.is_some() || self.stage.is_disturbed() {
                    self.reset();
                }
                self.note = None;
            }
            Err(error) => self.note = Some(refused(&error)),
        }
    }

    fn stop_recording(&mut self) {
        if self.store.is_some() && self.keep() {
            self.over = Some("The episode was recorded up to here.".to_owned());
            self.possible = Arc::default();
        }
        self.store = None;
    }

    /// Puts the episode into the store that is recorded into. Whether it went there; then it cannot go on.
    fn keep(&mut self) -> bool {
        let recorded = self.store.is_some()
            && self.over.is_none()
            && self.stage.last_step().is_some()
            && !self.stage.is_disturbed();
        match recorded.then(|| self.stage.take()).flatten() {
            Some(episode) => {
                self.append(episode);
                true
            }
            None => false,
        }
    }

    /// Each episode is a closed shard as soon as it ends: people play slowly.
    fn append(&mut self, episode: episode::Episode) {
        if let Some(kept) = &mut self.store
            && let Err(error) = kept.writer.append(&kept.identity, &[episode])
        {
            self.note = Some(refused(&error));
        }
    }

    fn status(&self) -> Status {
        let mut status = Status {
            playing: self.playing,
            idle: self.was_idle,
            waiting: self.waiting,
            speed: self.speed,
            policy: self.settings.policy,
            policies: Policy::of(&self.scenario),
            seed: self.settings.seed,
            index: self.index,
            ended: self.over.clone(),
            note: self.note.clone(),
            reward: self.reward,
            last: self.last.clone(),
            refusal: self.refusal.clone(),
            possible: Arc::clone(&self.possible),
            recording: self.store.as_ref().map(|kept| Recording {
                dir: kept.dir.clone(),
                episodes: kept.writer.episodes(),
                takes_this: self.over.is_none() && !self.stage.is_disturbed(),
            }),
            ..Status::default()
        };
        self.stage.tell(&mut status);
        status
    }
}

fn stage(scenario: &ScenarioFile, settings: &Settings) -> Result<Box<dyn Stage>, String> {
    Ok(match scenario {
        ScenarioFile::House(house) => Box::new(HouseStage::new(Arc::clone(house), settings)),
        ScenarioFile::Hand(hand) => Box::new(HandStage::new(hand, &settings.policy.to_string())?),
    })
}

fn ended(step: &Step) -> Option<&'static str> {
    match (step.terminated, step.truncated) {
        (true, _) => Some("The goal is reached."),
        (false, true) => Some("The time is up."),
        (false, false) => None,
    }
}

/// What distinguishes what is recorded here from other runs, by the names that `rollout run` uses and one more.
fn identity(scenario: &ScenarioFile, settings: &Settings, software: String) -> Identity {
    let policy = match settings.policy {
        Policy::Random => format!("random, invalid share {}", settings.invalid_share),
        Policy::Planner => format!("planner, {} simulations", settings.simulations),
        other => other.to_string(),
    };
    let mut identity: std::collections::BTreeMap<String, String> = [
        ("seed", settings.seed.to_string()),
        ("policy", policy),
        ("fidelity", settings.fidelity.name().to_owned()),
        ("max_steps", settings.max_steps.to_string()),
        ("software", software),
        (
            "scenarios",
            format!("{} {}", scenario.name(), scenario.digest()),
        ),
        // A person may end an episode early: the same settings do not give the same episodes as `rollout run`.
        ("recorded_in", "editor".to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into();
    if matches!(scenario, ScenarioFile::Hand(_)) {
        identity.insert("hand_max_steps".to_owned(), "as the task says".to_owned());
    }
    Identity(identity)
}

fn refused(error: &StoreError) -> String {
    format!("nothing is recorded: {error}")
}
