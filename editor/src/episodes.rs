//! Recorded episodes, looked into: a store's list, one episode (or two) under a cursor, and what can be plotted of them.
//!
//! What is shown of the house comes from [`film`]s, made once in the background; moving the cursor never simulates.

pub mod export;
pub mod film;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crossbeam::channel;
use episode::store::{self, Report, Store, StoreError};
use episode::{Action, Episode, Observation, Value};
use sim::env::Fidelity;
use sim::household::{House, HouseAction};
use sim::random::episode_rng;
use sim::scenario_file::ScenarioFile;

use self::film::{Film, Filming, Source};
use crate::scene::Scene;

/// Films of so many episodes are kept, besides those that are open.
const KEPT: usize = 6;

/// A store that is looked into. Nothing here ever writes to it, but [`Episodes::repair`].
#[derive(Default)]
pub struct Episodes {
    dir: Option<PathBuf>,
    store: Option<Arc<Store>>,
    rows: Vec<Row>,
    listing: Option<Listing>,
    trouble: Option<StoreTrouble>,
    /// Which rows are shown.
    pub filter: Filter,
    opened: Option<Opened>,
    compared: Option<Opened>,
    kept: Vec<((PathBuf, usize), Arc<Film>)>,
    cursor: Cursor,
    playing: Option<Playing>,
    revision: u64,
}

/// What a list of episodes says about one.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Position in the store.
    pub position: usize,
    /// Number within its run.
    pub index: u64,
    /// Name of the scenario.
    pub scenario: String,
    /// Name of the policy.
    pub policy: String,
    /// What carried actions out.
    pub fidelity: String,
    /// What was wanted; empty where nothing was.
    pub task: String,
    /// Whether the goal was reached; none where there was none.
    pub success: Option<bool>,
    /// Number of actions.
    pub steps: u64,
}

/// Which episodes are listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// Words that must all occur in scenario, policy or task.
    pub words: String,
    /// Name of the scenario.
    pub scenario: Option<String>,
    /// Name of the policy.
    pub policy: Option<String>,
    /// Whether the goal was reached.
    pub success: Option<bool>,
    /// Fewest and most actions.
    pub steps: [u64; 2],
}

impl Default for Filter {
    fn default() -> Self {
        Self {
            words: String::new(),
            scenario: None,
            policy: None,
            success: None,
            steps: [0, u64::MAX],
        }
    }
}

impl Filter {
    /// Whether a row is shown.
    pub fn takes(&self, row: &Row) -> bool {
        let text = format!("{} {} {}", row.scenario, row.policy, row.task).to_lowercase();
        let is =
            |wanted: &Option<String>, found: &str| wanted.as_deref().is_none_or(|w| w == found);
        is(&self.scenario, &row.scenario)
            && is(&self.policy, &row.policy)
            && self
                .success
                .is_none_or(|wanted| row.success == Some(wanted))
            && (self.steps[0]..=self.steps[1]).contains(&row.steps)
            && self
                .words
                .to_lowercase()
                .split_whitespace()
                .all(|word| text.contains(word))
    }
}

/// Why a store, or part of it, cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreTrouble {
    /// What is wrong, with the name of the file.
    pub message: String,
    /// The damaged file, where it is one.
    pub file: Option<PathBuf>,
    /// Whether [`Episodes::repair`] can keep what is whole.
    pub repairable: bool,
}

impl StoreTrouble {
    fn of(error: &StoreError) -> Self {
        let (file, repairable) = match error {
            StoreError::Shard { path, .. } | StoreError::Manifest { path, .. } => {
                (Some(path), true)
            }
            StoreError::Io { path, .. } => {
                let shard = path.extension().is_some_and(|e| e == "parquet");
                (Some(path), shard)
            }
            StoreError::Schema { path, .. } | StoreError::Scenario { path, .. } => {
                (Some(path), false)
            }
            _ => (None, false),
        };
        Self {
            message: error.to_string(),
            file: file.cloned(),
            repairable,
        }
    }
}

/// Where the timeline stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    /// The step, from 1, that is being carried out; 0 at the start.
    pub step: usize,
    /// The frame: 1/60 s each.
    pub frame: u32,
}

/// Time passing on the timeline.
#[derive(Clone, Copy, Debug)]
struct Playing {
    /// Frames that have passed, with their fraction.
    at: f64,
    /// The time of the last tick, seconds.
    then: Option<f64>,
}

/// An episode that is looked into.
#[derive(Debug)]
pub struct Opened {
    /// Position in the store.
    pub position: usize,
    /// What was recorded.
    pub episode: Arc<Episode>,
    /// A sentence for each action (n_steps).
    pub captions: Vec<String>,
    /// What can be plotted, by step (1 to n_steps, some with the start at 0).
    pub signals: Vec<Signal>,
    film: Result<Arc<Film>, String>,
    filming: Option<Filming>,
}

/// A curve: a value for each step.
#[derive(Clone, Debug, PartialEq)]
pub struct Signal {
    /// Its name.
    pub name: String,
    /// What it belongs with: curves of one group share an axis.
    pub group: SignalGroup,
    /// Step and value.
    pub points: Vec<[f64; 2]>,
}

/// Curves that share an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SignalGroup {
    /// Reward and its terms.
    Reward,
    /// Numbers of facts and refusals.
    Count,
    /// Meters.
    Position,
}

impl SignalGroup {
    /// All groups, in the order in which they are shown.
    pub const ALL: [Self; 3] = [Self::Reward, Self::Count, Self::Position];

    /// Its title.
    pub fn title(self) -> &'static str {
        match self {
            Self::Reward => "Reward",
            Self::Count => "Goal facts that hold, refusals so far",
            Self::Position => "Agent's position (m)",
        }
    }
}

/// What happened in the step under the cursor.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Details {
    /// The step, from 1; 0 at the start.
    pub step: usize,
    /// The action as a sentence; at the start, what was wanted.
    pub caption: String,
    /// The action as it was recorded.
    pub action: String,
    /// Why it was not carried out.
    pub refusal: Option<String>,
    /// The summands of the reward.
    pub reward_terms: Vec<(String, f32)>,
    /// Facts that hold since this step.
    pub gained: Vec<String>,
    /// Facts that hold no longer.
    pub lost: Vec<String>,
    /// What was seen afterwards, by name.
    pub observation: Vec<(String, String)>,
    /// What else was recorded of the step, by name.
    pub info: Vec<(String, String)>,
    /// Whether the episode ended, and how.
    pub end: Option<&'static str>,
}

impl Episodes {
    /// Opens a store. Its list fills in the background.
    ///
    /// # Errors
    /// When there is no store in the folder, or its manifest cannot be read: [`Episodes::trouble`] then says so too.
    pub fn open_store(&mut self, dir: &Path) -> Result<(), StoreTrouble> {
        self.close_store();
        self.dir = Some(dir.to_owned());
        match Store::open(dir) {
            Ok(store) => {
                let store = Arc::new(store);
                self.listing = Some(Listing::start(Arc::clone(&store)));
                self.store = Some(store);
                Ok(())
            }
            Err(error) => {
                let trouble = StoreTrouble::of(&error);
                self.trouble = Some(trouble.clone());
                Err(trouble)
            }
        }
    }

    /// Forgets the store and what was open of it.
    pub fn close_store(&mut self) {
        let (filter, revision) = (self.filter.clone(), self.revision + 1);
        *self = Self {
            filter,
            revision,
            ..Self::default()
        };
    }

    /// Where the store lies.
    pub fn dir(&self) -> Option<&Path> {
        self.dir.as_deref()
    }

    /// What is wrong with the store.
    pub fn trouble(&self) -> Option<&StoreTrouble> {
        self.trouble.as_ref()
    }

    /// Moves damaged files aside, lists what is whole (as `data doctor --repair`), and opens the store again.
    ///
    /// # Errors
    /// When the store cannot be repaired.
    pub fn repair(&mut self) -> Result<Report, StoreTrouble> {
        let Some(dir) = self.dir.clone() else {
            return Err(StoreTrouble {
                message: "no store is open".to_owned(),
                file: None,
                repairable: false,
            });
        };
        let report = store::doctor(&dir, true).map_err(|error| StoreTrouble::of(&error))?;
        self.open_store(&dir)?;
        Ok(report)
    }

    /// Everything in the list so far.
    pub fn all_rows(&self) -> &[Row] {
        &self.rows
    }

    /// What the filter leaves of it.
    pub fn rows(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(|row| self.filter.takes(row))
    }

    /// Whether more rows are to come.
    pub fn is_listing(&self) -> bool {
        self.listing.is_some()
    }

    /// Opens the episode at a position of the store.
    ///
    /// # Errors
    /// When it cannot be read; then what was open stays so.
    pub fn open(&mut self, position: usize) -> Result<(), StoreTrouble> {
        self.opened = Some(self.load(position)?);
        self.cursor = Cursor::default();
        self.playing = None;
        self.revision += 1;
        Ok(())
    }

    /// Lays another episode over the open one, seen through; `None` takes it away.
    ///
    /// # Errors
    /// As [`Episodes::open`].
    pub fn compare(&mut self, position: Option<usize>) -> Result<(), StoreTrouble> {
        self.compared = position.map(|p| self.load(p)).transpose()?;
        self.revision += 1;
        Ok(())
    }

    /// The open episode.
    pub fn opened(&self) -> Option<&Opened> {
        self.opened.as_ref()
    }

    /// The one that is laid over it.
    pub fn compared(&self) -> Option<&Opened> {
        self.compared.as_ref()
    }

    /// Closes what is open of the store.
    pub fn close(&mut self) {
        (self.opened, self.compared, self.playing) = (None, None, None);
        self.cursor = Cursor::default();
        self.revision += 1;
    }

    /// Where the timeline stands.
    pub fn cursor(&self) -> Cursor {
        self.cursor
    }

    /// Goes to the end of a step, from 1; 0 is the start. Beyond the last, there.
    pub fn seek_step(&mut self, step: usize) {
        let Some(opened) = &self.opened else { return };
        let step = step.min(opened.episode.steps.len());
        let frame = opened.film().map_or(0, |film| {
            film.ends().get(step).copied().unwrap_or(film.last())
        });
        self.set_cursor(Cursor { step, frame });
    }

    /// Goes to a frame; beyond the last, there.
    pub fn seek_frame(&mut self, frame: u32) {
        let Some(film) = self.opened.as_ref().and_then(Opened::film) else {
            return;
        };
        let frame = frame.min(film.last());
        let step = film.step_at(frame);
        self.set_cursor(Cursor { step, frame });
    }

    /// Goes on or back by frames.
    pub fn seek_by(&mut self, frames: i64) {
        let at = i64::from(self.cursor.frame) + frames;
        self.seek_frame(u32::try_from(at.max(0)).unwrap_or(u32::MAX));
    }

    /// Lets time pass on the timeline, or no longer. At the end, from the start.
    pub fn play(&mut self, on: bool) {
        if let (true, Some(film)) = (on, self.opened.as_ref().and_then(Opened::film))
            && self.cursor.frame >= film.last()
        {
            self.set_cursor(Cursor::default());
        }
        self.playing = on.then_some(Playing {
            at: f64::from(self.cursor.frame),
            then: None,
        });
    }

    /// Whether time passes on the timeline.
    pub fn is_playing(&self) -> bool {
        self.playing.is_some()
    }

    /// Whether something goes on that [`Episodes::tick`] has to look after soon.
    pub fn is_busy(&self) -> bool {
        let films = |opened: &Option<Opened>| opened.as_ref().is_some_and(|o| o.filming.is_some());
        self.is_listing() || self.is_playing() || films(&self.opened) || films(&self.compared)
    }

    /// Takes over what the background has done, and lets time pass: `now` in seconds from any start. Whether anything changed.
    pub fn tick(&mut self, now_secs: f64) -> bool {
        let mut changed = self.take_listing();
        for which in [0, 1] {
            changed |= self.take_film(which);
        }
        if let Some(mut playing) = self.playing.take() {
            playing.at += 60.0 * (now_secs - playing.then.unwrap_or(now_secs));
            playing.then = Some(now_secs);
            let film = self.opened.as_ref().and_then(Opened::film);
            let last = film.map_or(0, |film| film.last());
            self.seek_frame(playing.at as u32);
            self.playing = (self.cursor.frame < last).then_some(playing);
            changed = true;
        }
        changed
    }

    /// Changes whenever [`Episodes::scene`] does.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// The house under the cursor, with what moves in the compared episode seen through. None before the film is made.
    pub fn scene(&self) -> Option<Scene> {
        self.scene_at(self.cursor.frame)
    }

    /// The house in a frame.
    pub fn scene_at(&self, frame: u32) -> Option<Scene> {
        let mut scene = self.opened.as_ref()?.film()?.scene(frame);
        if let Some(film) = self.compared.as_ref().and_then(Opened::film) {
            scene.pieces.extend(film.ghosts(frame.min(film.last())));
        }
        Some(scene)
    }

    /// What happened in the step under the cursor.
    pub fn details(&self) -> Option<Details> {
        Some(self.opened.as_ref()?.details(self.cursor.step))
    }

    fn set_cursor(&mut self, cursor: Cursor) {
        if self.cursor != cursor {
            self.cursor = cursor;
            self.revision += 1;
        }
    }

    fn load(&self, position: usize) -> Result<Opened, StoreTrouble> {
        let store = self.store.as_ref().ok_or_else(|| StoreTrouble {
            message: "no store is open".to_owned(),
            file: None,
            repairable: false,
        })?;
        let mut opened = Opened::read(store, position).map_err(|error| StoreTrouble::of(&error))?;
        let key = (store.dir().to_owned(), position);
        if let Some((_, film)) = self.kept.iter().find(|(k, _)| *k == key) {
            opened.take(Ok(Arc::clone(film)));
        }
        Ok(opened)
    }

    fn take_listing(&mut self) -> bool {
        let Some(listing) = &self.listing else {
            return false;
        };
        let mut changed = false;
        loop {
            match listing.rows.try_recv() {
                Ok(Ok(row)) => self.rows.push(row),
                Ok(Err(error)) => {
                    // The first is named; a damaged shard gives the same for each of its episodes.
                    self.trouble.get_or_insert(StoreTrouble::of(&error));
                }
                Err(channel::TryRecvError::Empty) => return changed,
                Err(channel::TryRecvError::Disconnected) => {
                    self.listing = None;
                    return true;
                }
            }
            changed = true;
        }
    }

    fn take_film(&mut self, which: usize) -> bool {
        let slot = if which == 0 {
            &mut self.opened
        } else {
            &mut self.compared
        };
        let Some(opened) = slot else { return false };
        let Some(film) = opened.filming.as_ref().and_then(Filming::poll) else {
            // How far it is may be shown.
            return opened.filming.is_some();
        };
        opened.take(film.map(Arc::new));
        let step = self.cursor.step;
        if let (Ok(film), Some(dir)) = (&opened.film, &self.dir) {
            let key = (dir.clone(), opened.position);
            self.kept.push((key, Arc::clone(film)));
            if self.kept.len() > KEPT {
                self.kept.remove(0);
            }
        }
        self.revision += 1;
        if which == 0 {
            self.seek_step(step);
        }
        true
    }
}

impl Opened {
    fn read(store: &Store, position: usize) -> Result<Self, StoreError> {
        let episode = Arc::new(store.episode(position)?);
        let header = &episode.header;
        let source = source(store, position, &episode);
        let house = source.as_ref().ok().and_then(|source| {
            let ScenarioFile::House(scenario) = &source.scenario else {
                return None;
            };
            let digest = &header.scenario_digest;
            let mut rng = episode_rng(header.seed, digest, header.index, "layout");
            Some(scenario.instantiate(&mut rng).ok()?.house)
        });
        let captions = episode
            .steps
            .iter()
            .map(|step| sentence(&step.action, house.as_deref()))
            .collect();
        let (film, filming) = match source {
            Ok(source) => {
                let waiting = "the episode is being simulated".to_owned();
                (Err(waiting), Some(Filming::start(source)))
            }
            Err(message) => (Err(message), None),
        };
        Ok(Self {
            position,
            signals: signals(&episode),
            captions,
            episode,
            film,
            filming,
        })
    }

    /// Its frames, once they are made.
    pub fn film(&self) -> Option<&Film> {
        self.film.as_deref().ok()
    }

    /// Why there are no frames (yet).
    pub fn no_film(&self) -> Option<&str> {
        self.film.as_ref().err().map(String::as_str)
    }

    /// Share of the frames that are made, in [0, 1].
    pub fn progress(&self) -> f32 {
        self.filming.as_ref().map_or(1.0, Filming::progress)
    }

    /// What happened in a step, from 1; 0 is the start.
    pub fn details(&self, step: usize) -> Details {
        let Episode { header, first, .. } = &*self.episode;
        let Some(recorded) = step.checked_sub(1).and_then(|i| self.episode.steps.get(i)) else {
            return Details {
                caption: header.task.clone(),
                observation: texts(&first.0),
                ..Details::default()
            };
        };
        let before = match step.checked_sub(2) {
            Some(i) => &self.episode.steps[i].observation,
            None => first,
        };
        let (old, new) = (facts(before), facts(&recorded.observation));
        let list = |facts: Vec<&&str>| facts.into_iter().map(|f| (*f).to_owned()).collect();
        Details {
            step,
            caption: self.captions[step - 1].clone(),
            action: match &recorded.action {
                Action::Text(line) => line.clone(),
                Action::Array(numbers) => format!("{numbers:?}"),
            },
            refusal: recorded.refusal.clone(),
            reward_terms: recorded
                .reward_terms
                .iter()
                .map(|term| (term.name.clone(), term.value))
                .collect(),
            gained: list(new.difference(&old).collect()),
            lost: list(old.difference(&new).collect()),
            observation: texts(&recorded.observation.0),
            info: texts(&recorded.info),
            end: match (recorded.terminated, recorded.truncated) {
                (true, _) => Some("The goal is reached."),
                (false, true) if step == self.episode.steps.len() => Some("It ends here."),
                _ => None,
            },
        }
    }

    fn take(&mut self, film: Result<Arc<Film>, String>) {
        self.filming = None;
        if let Ok(film) = &film
            && !film.ways().is_empty()
        {
            for (axis, name) in ["x", "y"].into_iter().enumerate() {
                let points = film.ways().iter().enumerate();
                self.signals.push(Signal {
                    name: name.to_owned(),
                    group: SignalGroup::Position,
                    points: points
                        .map(|(i, at)| [i as f64, f64::from(at[axis])])
                        .collect(),
                });
            }
        }
        self.film = film;
    }
}

/// What an episode can be made from again, or why it cannot.
fn source(store: &Store, position: usize, episode: &Arc<Episode>) -> Result<Source, String> {
    let header = &episode.header;
    let fidelity = [Fidelity::Symbolic, Fidelity::Physical]
        .into_iter()
        .find(|fidelity| fidelity.name() == header.fidelity)
        .ok_or_else(|| {
            format!(
                "expected fidelity symbolic or physical, found \"{}\"",
                header.fidelity
            )
        })?;
    let run = store.run(position).map_err(|error| error.to_string())?;
    let max_steps = run.0.get("max_steps");
    let max_steps = max_steps
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| format!("its run's max_steps is not a number: {max_steps:?}"))?;
    let text = store
        .scenario_text(&header.scenario_digest)
        .map_err(|error| error.to_string())?;
    let name = format!("{}.toml", header.scenario_digest);
    let scenario = ScenarioFile::load_text(&text, store.dir().join("scenarios").join(name))
        .map_err(|error| error.to_string())?;
    Ok(Source {
        scenario,
        episode: Arc::clone(episode),
        fidelity,
        max_steps,
    })
}

fn sentence(action: &Action, house: Option<&House>) -> String {
    match (action, house) {
        (Action::Text(line), Some(house)) => match HouseAction::parse(house, line) {
            Ok(action) => action.sentence(house),
            Err(_) => line.clone(),
        },
        (Action::Text(line), None) => line.clone(),
        (Action::Array(numbers), _) => format!("{} numbers", numbers.len()),
    }
}

fn facts(observation: &Observation) -> BTreeSet<&str> {
    observation
        .text("facts")
        .unwrap_or_default()
        .lines()
        .collect()
}

fn texts(values: &BTreeMap<String, Value>) -> Vec<(String, String)> {
    let text = |value: &Value| match value {
        Value::Text(text) => text.clone(),
        Value::Array(numbers) => numbers
            .iter()
            .map(|x| format!("{x:.3}"))
            .collect::<Vec<_>>()
            .join(" "),
        Value::Dict(_) => format!("{value:?}"),
    };
    values.iter().map(|(n, v)| (n.clone(), text(v))).collect()
}

/// What can be plotted without frames.
fn signals(episode: &Episode) -> Vec<Signal> {
    let mut terms: BTreeMap<&str, Vec<[f64; 2]>> = BTreeMap::new();
    let (mut reward, mut total) = (Vec::new(), Vec::new());
    let (mut refused, mut holding) = (Vec::new(), Vec::new());
    let goal: Vec<&str> = episode.header.goal.iter().map(String::as_str).collect();
    let hold = |observation| {
        let facts = facts(observation);
        goal.iter().filter(|fact| facts.contains(*fact)).count() as f64
    };
    if !goal.is_empty() {
        holding.push([0.0, hold(&episode.first)]);
    }
    let (mut sum, mut refusals) = (0.0, 0.0);
    for (i, step) in episode.steps.iter().enumerate() {
        let at = (i + 1) as f64;
        for term in &step.reward_terms {
            let points = terms.entry(&term.name).or_default();
            points.push([at, f64::from(term.value)]);
        }
        sum += f64::from(step.reward);
        refusals += f64::from(u8::from(step.refusal.is_some()));
        reward.push([at, f64::from(step.reward)]);
        total.push([at, sum]);
        refused.push([at, refusals]);
        if !goal.is_empty() {
            holding.push([at, hold(&step.observation)]);
        }
    }
    let signal = |name: &str, group, points| Signal {
        name: name.to_owned(),
        group,
        points,
    };
    let mut signals = vec![
        signal("reward", SignalGroup::Reward, reward),
        signal("sum of rewards", SignalGroup::Reward, total),
    ];
    let terms = terms.into_iter();
    signals.extend(terms.map(|(name, points)| signal(name, SignalGroup::Reward, points)));
    signals.push(signal("refusals", SignalGroup::Count, refused));
    if !goal.is_empty() {
        signals.push(signal("goal facts", SignalGroup::Count, holding));
    }
    signals
}

/// A list being read from a store, on a thread of its own. Dropping it ends the thread.
struct Listing {
    rows: channel::Receiver<Result<Row, StoreError>>,
    stop: Arc<AtomicBool>,
}

impl Listing {
    fn start(store: Arc<Store>) -> Self {
        let (sender, rows) = channel::bounded(1024);
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        thread::spawn(move || {
            for position in 0..store.len() {
                // Without a receiver nobody wants the rest.
                if stopped.load(Ordering::Relaxed) || sender.send(row(&store, position)).is_err() {
                    return;
                }
            }
        });
        Self { rows, stop }
    }
}

impl Drop for Listing {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn row(store: &Store, position: usize) -> Result<Row, StoreError> {
    let (header, success) = store.header(position)?;
    Ok(Row {
        position,
        index: header.index,
        steps: store.steps(position)?,
        success: (!header.goal.is_empty()).then_some(success),
        scenario: header.scenario,
        policy: header.policy,
        fidelity: header.fidelity,
        task: header.task,
    })
}

#[cfg(test)]
pub(crate) mod tests;
