//! Playing a scenario: a simulation on a thread of its own, on a copy of the document, that shows what happens.
//!
//! [`Play`] is the side of the editor: it sends [`Command`]s and has the latest [`Shown`]. The thread runs a
//! [`Session`], which knows no clock. Everybody who acts does so through [`sim::recorder::Recorder`]: a person by choosing
//! verbs, a policy in the program `rollout`, whose episode is told line by line and repeated here.

mod follow;
mod hand;
mod house;
mod session;
mod stage;

use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, bounded};
use sim::env::Fidelity;
use sim::household::EntityId;
use sim::problem::InputError;
use sim::random::episode_rng;
use sim::scenario_file::ScenarioFile;

pub use self::session::Session;
use crate::picture::Picture;
use crate::scene::{ItemId, Scene, Table};

/// Commands that may wait; more are not taken until some are done.
const WAITING: usize = 256;
/// Seconds between two pictures.
const PERIOD: Duration = Duration::from_micros(16_667);

/// Who acts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// A person, by choosing verbs.
    #[default]
    Teleoperation,
    /// At random, without a goal.
    Random,
    /// Plans toward a goal.
    Planner,
    /// The scripted baseline of a hand's task.
    Scripted,
}

impl Policy {
    /// Everything that can be chosen.
    pub const ALL: [Self; 4] = [
        Self::Teleoperation,
        Self::Random,
        Self::Planner,
        Self::Scripted,
    ];

    /// Those that act in a scenario, the usual one first.
    pub fn of(scenario: &ScenarioFile) -> &'static [Self] {
        match scenario {
            ScenarioFile::House(_) => &[Self::Teleoperation, Self::Random, Self::Planner],
            ScenarioFile::Hand(_) => &[Self::Scripted, Self::Random],
        }
    }

    /// Whether it acts in a scenario.
    pub fn suits(self, scenario: &ScenarioFile) -> bool {
        Self::of(scenario).contains(&self)
    }

    /// The inverse of its `Display`.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|p| p.to_string() == text)
    }
}

/// As `rollout run --policy` calls them.
impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Teleoperation => "teleoperation",
            Self::Random => "random",
            Self::Planner => "planner",
            Self::Scripted => "scripted",
        })
    }
}

/// How a scenario is played.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Seed of the run.
    pub seed: u64,
    /// Who acts.
    pub policy: Policy,
    /// What carries verbs out.
    pub fidelity: Fidelity,
    /// An episode ends after so many actions.
    pub max_steps: u32,
    /// Simulations for a plan of the planner.
    pub simulations: u32,
    /// Share of actions, in [0, 1], that the random policy draws among those that will be refused.
    pub invalid_share: f64,
    /// The program in which policies act: `rollout`.
    pub program: PathBuf,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            seed: 1,
            policy: Policy::default(),
            fidelity: Fidelity::Physical,
            max_steps: 200,
            simulations: 500,
            invalid_share: 0.05,
            program: rollout_beside(),
        }
    }
}

/// The program `rollout` beside the one that runs, or, for tests, in the folder above.
fn rollout_beside() -> PathBuf {
    let own = std::env::current_exe().unwrap_or_default();
    let folders = own.ancestors().skip(1).take(2);
    let name = format!("rollout{}", std::env::consts::EXE_SUFFIX);
    let mut found = folders.map(|folder| folder.join(&name));
    let first = found.next().unwrap_or_default();
    if first.is_file() {
        first
    } else {
        found.next().filter(|path| path.is_file()).unwrap_or(first)
    }
}

/// What the simulation can be told.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Time passes, and whoever acts acts.
    Play,
    /// Nothing moves.
    Pause,
    /// What is under way is finished at once; if nothing is, the next action is made and shown.
    Step,
    /// One step of physics, or one action of a hand, is shown.
    StepFrame,
    /// Seconds that pass in a second, from 1/16 to 64.
    Speed(f32),
    /// The episode starts again; if it was recorded, the next one does.
    Restart,
    /// A new episode. With a seed, the first one of that seed; else the next one.
    Reset(Option<u64>),
    /// A line of a program, as `[GRAB] <mug>`: done as soon as what is under way is finished.
    Act(String),
    /// Another one acts, in a new episode.
    Policy(Policy),
    /// A thing is pulled to a point (meters). Ends what is recorded.
    Drag {
        /// The thing.
        thing: EntityId,
        /// Where its middle goes.
        to: [f32; 3],
    },
    /// It is let go of.
    Release,
    /// From now on keeps each episode that ends in the store at this folder.
    StartRecording(PathBuf),
    /// Ends the episode, keeps it, and keeps no more.
    StopRecording,
    /// The simulation ends.
    Quit,
}

/// Something that can be done now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Possible {
    /// As a line of a program.
    pub line: String,
    /// For people: "Put the mug on the kitchen table."
    pub sentence: String,
    /// What it is done with.
    pub objects: Vec<EntityId>,
}

/// Where the store is that is being recorded into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recording {
    /// Its folder.
    pub dir: PathBuf,
    /// Episodes kept there.
    pub episodes: u64,
    /// Whether the episode that is played now will be kept, when it ends.
    pub takes_this: bool,
}

/// How the simulation stands.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Status {
    /// Whether time passes.
    pub playing: bool,
    /// Whether nothing changes before the next command.
    pub idle: bool,
    /// Seconds that pass in a second.
    pub speed: f32,
    /// Whether the policy's next action is awaited.
    pub waiting: bool,
    /// Who acts.
    pub policy: Policy,
    /// Who can act here.
    pub policies: &'static [Policy],
    /// Seed of the run.
    pub seed: u64,
    /// Number of the episode within it.
    pub index: u64,
    /// Actions made in this episode, and after how many it ends.
    pub steps: [u32; 2],
    /// Simulated time in the episode, in seconds.
    pub seconds: f64,
    /// What is wanted, in words; empty where nothing is.
    pub task: String,
    /// The facts of the goal, and whether they hold.
    pub goal: Vec<(String, bool)>,
    /// The last action as a sentence.
    pub last: String,
    /// Why it was not carried out.
    pub refusal: Option<String>,
    /// Sum of the rewards so far.
    pub reward: f32,
    /// Whether the episode has ended, and how.
    pub ended: Option<String>,
    /// What can be done now, where a person acts.
    pub possible: Arc<Vec<Possible>>,
    /// What is recorded.
    pub recording: Option<Recording>,
    /// What the person should know: why nothing is recorded, why a command was not followed.
    pub note: Option<String>,
}

/// What is to be seen of the simulation.
#[derive(Clone, Debug, Default)]
pub struct Shown {
    /// Grows with each picture.
    pub revision: u64,
    /// What is drawn.
    pub scene: Arc<Scene>,
    /// How it stands.
    pub status: Arc<Status>,
    /// Which piece is which entity; none where only a hand is shown.
    pub picture: Option<Arc<Picture>>,
    /// How many commands have been followed.
    pub followed: u64,
}

/// Why a scenario cannot be played.
#[derive(Debug, thiserror::Error)]
pub enum PlayError {
    /// It has problems.
    #[error("the scenario cannot be played before its problems are solved: {0}")]
    Scenario(#[from] InputError),
    /// No episode can be drawn from it.
    #[error("the scenario cannot be played: {0}")]
    Start(String),
    /// Nothing is played.
    #[error("nothing is being played: start playing first")]
    Off,
    /// The simulation does not keep up.
    #[error("the simulation is busy: the command was not taken")]
    Busy,
    /// No such piece can be acted on.
    #[error("\"{0}\" cannot be pulled: only things that lie somewhere can")]
    Fixed(String),
}

/// The editor's side of a simulation; off until started.
#[derive(Default)]
pub struct Play {
    running: Option<Running>,
    /// What was seen last, taken over by [`Play::tick`].
    shown: Shown,
    /// How it is played when it is started.
    pub settings: Settings,
}

struct Running {
    /// How many commands were sent.
    sent: AtomicU64,
    commands: Sender<Command>,
    latest: Arc<Mutex<Shown>>,
    thread: Option<JoinHandle<()>>,
}

impl Play {
    /// Starts to play a scenario's text (`name` stands for it in messages), paused at the start of an episode. What was
    /// played before ends.
    ///
    /// # Errors
    /// When the scenario has problems, or an episode cannot be drawn from it.
    pub fn start(&mut self, text: &str, name: &str) -> Result<(), PlayError> {
        self.stop();
        let scenario = ScenarioFile::load_text(text, name)?;
        let mut settings = self.settings.clone();
        if !settings.policy.suits(&scenario) {
            settings.policy = Policy::of(&scenario)[0];
        }
        if let ScenarioFile::House(house) = &scenario {
            // Drawn here once, so that what cannot be drawn is an error of this call.
            let mut rng = episode_rng(settings.seed, &house.digest, 0, "layout");
            let drawn = house.instantiate(&mut rng);
            drawn.map_err(|error| PlayError::Start(error.to_string()))?;
        }
        let (commands, inbox) = bounded(WAITING);
        let latest = Arc::new(Mutex::new(Shown::default()));
        let shelf = Arc::clone(&latest);
        let thread = thread::spawn(move || match Session::new(scenario, settings) {
            Ok(session) => run(session, &inbox, &shelf),
            Err(why) => {
                let status = Status {
                    ended: Some(why),
                    ..Status::default()
                };
                put(
                    &shelf,
                    Shown {
                        status: Arc::new(status),
                        ..Shown::default()
                    },
                );
            }
        });
        self.running = Some(Running {
            sent: AtomicU64::new(0),
            commands,
            latest,
            thread: Some(thread),
        });
        Ok(())
    }

    /// Ends the simulation; what is recorded is kept.
    pub fn stop(&mut self) {
        self.running = None;
        self.shown = Shown {
            revision: self.shown.revision + 1,
            ..Shown::default()
        };
    }

    /// Whether a scenario is being played.
    pub fn is_on(&self) -> bool {
        self.running.is_some()
    }

    /// Tells the simulation something.
    ///
    /// # Errors
    /// When there is none, or too many commands wait.
    pub fn send(&self, command: Command) -> Result<(), PlayError> {
        let running = self.running.as_ref().ok_or(PlayError::Off)?;
        running
            .commands
            .try_send(command)
            .map_err(|error| match error {
                crossbeam::channel::TrySendError::Full(_) => PlayError::Busy,
                crossbeam::channel::TrySendError::Disconnected(_) => PlayError::Off,
            })?;
        running.sent.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// Whether another picture is to come soon.
    pub fn is_busy(&self) -> bool {
        let running = self.running.as_ref();
        running.is_some_and(|running| {
            let sent = running.sent.load(Ordering::Relaxed);
            !self.shown.status.idle || self.shown.followed < sent
        })
    }

    /// Pulls a piece to a point (meters).
    ///
    /// # Errors
    /// As [`Play::send`], and when the piece is no thing.
    pub fn drag(&self, item: ItemId, part: usize, to: [f32; 3]) -> Result<(), PlayError> {
        let entity = self.shown.picture.as_ref();
        match entity.and_then(|picture| picture.entity(item, part)) {
            Some(thing) => self.send(Command::Drag { thing, to }),
            None if self.is_on() => Err(PlayError::Fixed(format!("{item:?}"))),
            None => Err(PlayError::Off),
        }
    }

    /// The entity of a name, or the first of an entry as in `object:3`.
    pub fn thing(&self, name: &str) -> Option<EntityId> {
        let picture = self.shown.picture.as_ref()?;
        let entry = name
            .strip_prefix("object:")
            .and_then(|index| index.parse().ok());
        match entry {
            Some(index) => {
                let table = Table::Object;
                picture.entities(ItemId { table, index }).first().copied()
            }
            None => picture.named(name),
        }
    }

    /// Takes over the latest picture. Whether it is another one.
    pub fn tick(&mut self) -> bool {
        let Some(running) = &self.running else {
            return false;
        };
        let latest = running
            .latest
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        // A session counts from 1; what was shown before it counts on.
        let changed = !Arc::ptr_eq(&latest.scene, &self.shown.scene)
            || !Arc::ptr_eq(&latest.status, &self.shown.status);
        if changed {
            let revision = self.shown.revision + 1;
            self.shown = Shown { revision, ..latest };
        }
        changed
    }

    /// Changes whenever what is shown does.
    pub fn revision(&self) -> u64 {
        self.shown.revision
    }

    /// What is to be drawn; none while nothing is played.
    pub fn scene(&self) -> Option<Arc<Scene>> {
        let seen = self.is_on() && !self.shown.scene.pieces.is_empty();
        seen.then(|| Arc::clone(&self.shown.scene))
    }

    /// How the simulation stands.
    pub fn status(&self) -> &Status {
        &self.shown.status
    }

    /// What can be done now with things of these entries; with none, everything that needs no thing.
    pub fn verbs<'a>(&'a self, items: impl IntoIterator<Item = &'a ItemId>) -> Vec<&'a Possible> {
        let Some(picture) = &self.shown.picture else {
            return Vec::new();
        };
        let entities: Vec<EntityId> = items
            .into_iter()
            .flat_map(|item| picture.entities(*item))
            .collect();
        let possible = self.shown.status.possible.iter();
        possible
            .filter(|p| p.objects.is_empty() || p.objects.iter().any(|o| entities.contains(o)))
            .collect()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // The thread also ends when the channel does, but commands that wait come first.
        self.commands.try_send(Command::Quit).ok();
        let (closed, _) = bounded(0);
        self.commands = closed;
        if let Some(thread) = self.thread.take() {
            // It finishes the verb under way and closes its store.
            thread.join().ok();
        }
    }
}

fn put(shelf: &Mutex<Shown>, shown: Shown) {
    *shelf.lock().unwrap_or_else(PoisonError::into_inner) = shown;
}

/// The thread: takes commands, lets time pass, shows what is.
fn run(mut session: Session, inbox: &Receiver<Command>, shelf: &Mutex<Shown>) {
    let mut then = Instant::now();
    loop {
        if let Some(shown) = session.show() {
            put(shelf, shown);
        }
        let command = if session.is_idle() {
            match inbox.recv() {
                Ok(command) => {
                    then = Instant::now();
                    Some(command)
                }
                Err(_) => break,
            }
        } else {
            match inbox.recv_timeout(PERIOD.saturating_sub(then.elapsed())) {
                Ok(command) => Some(command),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => break,
            }
        };
        match command {
            Some(Command::Quit) => break,
            Some(command) => session.command(command),
            None => {
                let now = Instant::now();
                session.advance(now.duration_since(then).as_secs_f64());
                then = now;
            }
        }
    }
    session.finish();
}

#[cfg(test)]
pub(crate) mod tests;
