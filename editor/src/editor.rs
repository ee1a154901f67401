//! The whole state of an editor, and what each action does to it.
//!
//! Knows no window and draws nothing: what only a window can do, it wishes for.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use thiserror::Error;

use crate::action::{Action, Item, ParseError, Spot};
use crate::check::{Check, Found, check};
use crate::document::{DiskChange, Document, DocumentError, Edit, EditError};
use crate::edits;
use crate::episodes::Episodes;
use crate::episodes::export::Export;
use crate::home::{Home, Place};
use crate::panels::episodes::EpisodesPanel;
use crate::panels::play::PlayBar;
use crate::play::Play;
use crate::project::{Preview, Stand, Stands, project};
use crate::scene::{ItemId, Scene, Table};
use crate::watch::Watched;

pub use crate::check::LocatedProblem;

/// A document rests this long before it is checked (seconds), so that a drag is not checked at every frame.
const REST: f64 = 0.15;
/// How often the file on the disk is looked at (seconds).
const DISK: f64 = 1.0;
/// Unsaved work is written beside the file at most so often (seconds).
const AUTOSAVE: f64 = 10.0;
/// So many files are remembered.
const RECENT: usize = 10;

/// A document, what is selected of it, and how it is looked at.
pub struct Editor {
    /// What is edited.
    pub document: Document,
    /// What is selected.
    pub selection: BTreeSet<ItemId>,
    /// What is under the pointer.
    pub hovered: Option<ItemId>,
    /// How the document is looked at.
    pub view: ViewSettings,
    /// What is wrong with the document, as of the last time it was checked.
    pub problems: Vec<LocatedProblem>,
    /// The document being played.
    pub play: Play,
    /// Recorded episodes that are looked into.
    pub episodes: Episodes,
    /// What was typed into the play bar.
    pub play_bar: PlayBar,
    /// What was typed into the panel of episodes.
    pub episodes_panel: EpisodesPanel,
    /// What is seen of a document being played, or of an episode.
    pub(crate) watched: Watched,
    /// What the user has to know now.
    pub banner: Option<Banner>,
    /// What happened last, in a few words.
    pub status: String,
    /// Files that were open, the last one first.
    pub recent: Vec<PathBuf>,
    /// What waits for an answer.
    pub dialog: Option<Dialog>,
    /// Which page is shown at the bottom.
    pub page: Page,
    /// What the panels remember: searches, texts that are being typed.
    pub panels: crate::panels::State,
    /// Where the camera looks (x, y) in meters: what is added without a place lands there.
    pub focus: [f64; 2],
    /// Is told of every action before it is done: a log.
    pub observer: Option<fn(&Action)>,
    home: Arc<Home>,
    preview: Preview,
    wishes: Vec<Wish>,
    scene: Arc<Scene>,
    scene_revision: u64,
    /// What the scene was made from: the document and the settings.
    shown: Option<(u64, ViewSettings)>,
    stale: bool,
    check: Option<Check>,
    /// Revision and seed that were checked last.
    checked: Option<(u64, u64)>,
    /// The revision that was seen last, and since when (seconds).
    rest: (u64, f64),
    disk_seen: f64,
    autosaved: (u64, f64),
    copied: Vec<(ItemId, String)>,
    recent_list: Option<PathBuf>,
    /// Whether unsaved work is written beside the file.
    autosaves: bool,
    /// Whether the document was never checked.
    unseen: bool,
}

/// What waits for an answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Dialog {
    /// The document has unsaved changes; the action goes on after the answer.
    Unsaved(Box<Action>),
    /// A path is asked for; it is the argument of the action of that name.
    Path(&'static str),
    /// All commands are listed; one that needs arguments is typed.
    Commands,
}

/// What is shown at the bottom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Page {
    /// Classes of objects to place.
    Palette,
    /// What is wrong.
    Problems,
    /// What is wanted.
    Goals,
    /// The text of the file.
    Text,
    /// Playing.
    Play,
    /// Recorded episodes.
    Episodes,
    /// Nothing: the view is larger.
    Closed,
}

impl Page {
    /// All pages that show something, with their names.
    pub const ALL: [(Self, &'static str, &'static str); 6] = [
        (Self::Palette, "palette", "Palette"),
        (Self::Problems, "problems", "Problems"),
        (Self::Goals, "goals", "Goals"),
        (Self::Text, "text", "Text"),
        (Self::Play, "play", "Play"),
        (Self::Episodes, "episodes", "Episodes"),
    ];
}

/// How a document is looked at.
#[derive(Clone, Debug, PartialEq)]
pub struct ViewSettings {
    /// What the handles of the selection do.
    pub gizmo: Gizmo,
    /// Whether moves are held to the grid.
    pub snap: bool,
    /// Steps of the grid: meters.
    pub snap_meters: f64,
    /// Steps of the grid: degrees.
    pub snap_degrees: f64,
    /// Whether the grid is shown.
    pub grid: bool,
    /// Whether ceilings are shown.
    pub ceiling: bool,
    /// Whether walls that hide rooms are cut away.
    pub cut_away: bool,
    /// Whether other places where things may be drawn are shown.
    pub ghosts: bool,
    /// Whether names are shown.
    pub names: bool,
    /// Whether the panels are shown.
    pub panels: bool,
    /// Whether it is dark.
    pub dark: bool,
    /// What is drawn for each episode is drawn with this seed.
    pub seed: u64,
}

/// What the handles of the selection do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gizmo {
    /// Move it.
    Translate,
    /// Turn it.
    Rotate,
}

impl Default for ViewSettings {
    fn default() -> Self {
        Self {
            gizmo: Gizmo::Translate,
            snap: true,
            snap_meters: 0.05,
            snap_degrees: 15.0,
            grid: true,
            ceiling: false,
            cut_away: true,
            ghosts: true,
            names: false,
            panels: true,
            dark: true,
            seed: 1,
        }
    }
}

/// Something that the user has to know, and what can be done about it.
#[derive(Clone, Debug, PartialEq)]
pub struct Banner {
    /// What it is.
    pub text: String,
    /// Actions to choose from.
    pub choices: Vec<Action>,
}

/// What only a window can do.
#[derive(Clone, Debug, PartialEq)]
pub enum Wish {
    /// Bring the selection into view; everything, if nothing is selected.
    FrameSelection,
    /// Bring everything into view.
    FrameAll,
    /// Look in a direction.
    Look(Look),
    /// Turn around what is looked at, to the left and upward (degrees).
    Turn([f64; 2]),
    /// Shift what is looked at, to the right and upward (heights of the picture).
    Shift([f64; 2]),
    /// Come nearer by so many steps of the wheel.
    Zoom(f64),
    /// Write what is seen to a file.
    Screenshot(PathBuf),
    /// Write pictures of the open episode's frames, then finish the export.
    Export(Export),
    /// Close the window.
    Quit,
}

/// A direction to look in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// Down from above, +y up.
    Top,
    /// Along +y.
    Front,
    /// Along -x.
    Side,
    /// Down at an angle.
    Home,
}

/// An action that cannot be done; nothing changed.
#[derive(Debug, Error)]
pub enum ActionError {
    /// The document cannot be changed so.
    #[error(transparent)]
    Edit(#[from] EditError),
    /// A file cannot be read or written.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// A line is not an action.
    #[error(transparent)]
    Parse(#[from] ParseError),
    /// What the action needs is not there.
    #[error("{0}")]
    Impossible(String),
}

impl Editor {
    /// An editor of a new document.
    pub fn new() -> Self {
        Self::with(Document::new_empty())
    }

    /// Opens a file.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn open(path: &Path) -> Result<Self, DocumentError> {
        let mut editor = Self::new();
        editor.load(path)?;
        Ok(editor)
    }

    /// An editor of a document.
    pub fn with(document: Document) -> Self {
        let home = Arc::new(Home::read(&document));
        let mut editor = Self {
            rest: (document.revision(), f64::NEG_INFINITY),
            document,
            selection: BTreeSet::new(),
            hovered: None,
            view: ViewSettings::default(),
            problems: Vec::new(),
            play: Play::default(),
            episodes: Episodes::default(),
            play_bar: PlayBar::default(),
            episodes_panel: EpisodesPanel::default(),
            watched: Watched::default(),
            banner: None,
            status: String::new(),
            recent: Vec::new(),
            dialog: None,
            page: Page::Palette,
            panels: crate::panels::State::default(),
            focus: [0.0; 2],
            observer: None,
            home,
            preview: Preview::default(),
            wishes: Vec::new(),
            scene: Arc::new(Scene::default()),
            scene_revision: 0,
            shown: None,
            stale: true,
            check: None,
            checked: None,
            disk_seen: 0.0,
            autosaved: (0, f64::NEG_INFINITY),
            copied: Vec::new(),
            recent_list: None,
            autosaves: true,
            unseen: true,
        };
        editor.say_broken();
        editor.refresh();
        editor
    }

    /// Remembers files that were open in this list from now on: a path a line.
    pub fn keep_recent(&mut self, list: PathBuf) {
        let text = std::fs::read_to_string(&list).unwrap_or_default();
        for path in text.lines().filter(|l| !l.is_empty()).map(PathBuf::from) {
            if !self.recent.contains(&path) && self.recent.len() < RECENT {
                self.recent.push(path);
            }
        }
        self.recent_list = Some(list);
        self.write_recent();
    }

    /// Nobody works here, pictures are taken: nothing is written but what is asked for, and work that was never saved by
    /// whoever does work here is left alone.
    pub fn attend_pictures_only(&mut self) {
        self.autosaves = false;
        let offered = |banner: &mut Banner| banner.choices.contains(&Action::Recover);
        self.banner.take_if(offered);
    }

    /// What the document says about the home, as far as it can be understood.
    pub fn home(&self) -> &Arc<Home> {
        &self.home
    }

    /// What to draw.
    pub fn scene(&self) -> Arc<Scene> {
        let watched = self.watched.scene.as_ref();
        Arc::clone(watched.unwrap_or(&self.scene))
    }

    /// Grows when [`Editor::scene`] changes.
    pub fn scene_revision(&self) -> u64 {
        self.scene_revision + self.watched.revision
    }

    /// What the window has to do; each is told once.
    pub fn wishes(&mut self) -> Vec<Wish> {
        std::mem::take(&mut self.wishes)
    }

    /// Wishes for what only the window can do.
    pub fn wish(&mut self, wish: Wish) {
        self.wishes.push(wish);
    }

    /// Whether something goes on that [`Editor::tick`] has to look after soon.
    pub fn is_busy(&self) -> bool {
        self.check.is_some() || self.needs_check() || self.play.is_busy() || self.episodes.is_busy()
    }

    /// Looks after everything that takes time: the file on the disk, unsaved work, checks. `now` in seconds, growing.
    pub fn tick(&mut self, now: f64) {
        self.play.tick();
        self.episodes.tick(now);
        self.look_again();
        if self.rest.0 != self.document.revision() || now < self.rest.1 {
            self.rest = (self.document.revision(), now);
        }
        if let Some(check) = &self.check
            && let Some(answer) = check.poll()
        {
            self.check = None;
            if let Ok(found) = answer {
                self.take(found);
            }
        }
        let rests = now - self.rest.1 >= REST && !self.document.in_gesture();
        if self.check.is_none() && rests && self.needs_check() {
            self.checked = Some((self.document.revision(), self.view.seed));
            self.check = Some(Check::start(&self.document, &self.home, self.view.seed));
        }
        if (now - self.disk_seen).abs() >= DISK {
            self.disk_seen = now;
            self.look_at_disk();
        }
        let (revision, at) = self.autosaved;
        if self.autosaves
            && self.document.is_dirty()
            && revision != self.document.revision()
            && now - at >= AUTOSAVE
            && !self.document.in_gesture()
        {
            self.autosaved = (self.document.revision(), now);
            if let Err(error) = self.document.autosave() {
                self.status = error.to_string();
            }
        }
        self.refresh();
    }

    /// Checks the document now and waits for it: what a script does next sees what is wrong.
    pub fn settle(&mut self) {
        self.check = None;
        self.checked = Some((self.document.revision(), self.view.seed));
        let found = check(&self.document, &self.home, self.view.seed);
        self.take(found);
        self.refresh();
    }

    /// From here on changes are one entry of the history, until [`Editor::end_gesture`]: a drag of the mouse.
    pub fn begin_gesture(&mut self, label: &str) {
        self.document.begin_gesture(label);
    }

    /// Ends what [`Editor::begin_gesture`] began.
    pub fn end_gesture(&mut self) {
        self.document.end_gesture();
    }

    /// Does what an action says, and keeps the message in [`Editor::status`] if it cannot be done.
    pub fn act(&mut self, action: &Action) {
        match self.dispatch(action) {
            Ok(()) => {}
            Err(error) => self.status = error.to_string(),
        }
    }

    /// Does what an action says.
    ///
    /// # Errors
    /// When it cannot be done; nothing changed.
    pub fn dispatch(&mut self, action: &Action) -> Result<(), ActionError> {
        if let Some(observer) = self.observer {
            observer(action);
        }
        let result = self.carry_out(action);
        self.refresh();
        result
    }

    /// Makes edits as one entry of the history.
    ///
    /// # Errors
    /// When they cannot be made; nothing changed.
    pub fn edit(&mut self, label: &str, edits: &[Edit]) -> Result<(), ActionError> {
        self.document.apply(label, edits)?;
        label.clone_into(&mut self.status);
        self.refresh();
        Ok(())
    }

    /// Where an entry is seen, meters: the middle of what is selected is moved from there.
    pub fn position(&self, item: ItemId) -> Option<[f32; 3]> {
        let piece = self.scene.pieces.iter().find(|p| p.item == item)?;
        Some(piece.position)
    }

    fn carry_out(&mut self, action: &Action) -> Result<(), ActionError> {
        match action {
            Action::New
            | Action::Open { .. }
            | Action::Recent { .. }
            | Action::Save
            | Action::SaveAs { .. }
            | Action::LoadTheirs
            | Action::KeepMine
            | Action::Recover
            | Action::ForgetUnsaved
            | Action::Quit
            | Action::SaveAndGo
            | Action::DiscardAndGo
            | Action::Cancel => self.file(action),
            Action::Undo | Action::Redo => self.history(action),
            Action::Copy | Action::Cut | Action::Paste => self.clipboard(action),
            Action::Duplicate
            | Action::Delete
            | Action::Rename { .. }
            | Action::Place { .. }
            | Action::Move { .. }
            | Action::MoveTo { .. }
            | Action::Rotate { .. }
            | Action::RotateTo { .. }
            | Action::NudgeLeft
            | Action::NudgeRight
            | Action::NudgeUp
            | Action::NudgeDown
            | Action::TurnLeft
            | Action::TurnRight
            | Action::PutOn { .. }
            | Action::PutInside { .. }
            | Action::AlsoOn { .. }
            | Action::AlsoInside { .. }
            | Action::PutOnFloor
            | Action::CountRange { .. }
            | Action::Set { .. }
            | Action::Unset { .. } => self.objects(action),
            Action::SetScenario { .. }
            | Action::UnsetScenario { .. }
            | Action::RoomAdd { .. }
            | Action::RoomResize { .. }
            | Action::RoomWall { .. }
            | Action::DoorAdd { .. }
            | Action::AgentAdd { .. }
            | Action::HandAdd { .. }
            | Action::GoalAdd { .. }
            | Action::GoalSet { .. } => self.building(action),
            Action::SelectAll
            | Action::SelectNone
            | Action::SelectInvert
            | Action::SelectClass
            | Action::SelectParent
            | Action::SelectChildren
            | Action::SelectNext
            | Action::SelectPrevious
            | Action::SelectOnly { .. }
            | Action::SelectAlso { .. }
            | Action::SelectToggle { .. } => self.select(action),
            Action::Frame
            | Action::FrameAll
            | Action::LookTop
            | Action::LookFront
            | Action::LookSide
            | Action::LookHome
            | Action::Screenshot { .. } => {
                self.wishes.push(match action {
                    Action::FrameAll => Wish::FrameAll,
                    Action::LookTop => Wish::Look(Look::Top),
                    Action::LookFront => Wish::Look(Look::Front),
                    Action::LookSide => Wish::Look(Look::Side),
                    Action::LookHome => Wish::Look(Look::Home),
                    Action::Screenshot { path } => {
                        Wish::Screenshot(path.clone().unwrap_or_else(|| "screenshot.png".into()))
                    }
                    _ => Wish::FrameSelection,
                });
                Ok(())
            }
            Action::ViewTurn { .. }
            | Action::ViewTurnLeft
            | Action::ViewTurnRight
            | Action::ViewTurnUp
            | Action::ViewTurnDown
            | Action::ViewShift { .. }
            | Action::ViewShiftLeft
            | Action::ViewShiftRight
            | Action::ViewShiftUp
            | Action::ViewShiftDown
            | Action::ViewZoom { .. }
            | Action::ViewNearer
            | Action::ViewFarther => {
                self.wishes.push(move_view(action));
                Ok(())
            }
            Action::Grid { .. }
            | Action::Ceiling { .. }
            | Action::CutAway { .. }
            | Action::Ghosts { .. }
            | Action::Names { .. }
            | Action::Snap { .. }
            | Action::SnapStep { .. }
            | Action::Reseed { .. }
            | Action::FileText { .. }
            | Action::Panels { .. }
            | Action::Page { .. }
            | Action::Theme
            | Action::GizmoTranslate
            | Action::GizmoRotate
            | Action::Commands => self.look(action),
            Action::Play
            | Action::Pause
            | Action::Step
            | Action::PlayFrame
            | Action::Reset
            | Action::PlayNext
            | Action::PlaySeed { .. }
            | Action::Stop
            | Action::Speed { .. }
            | Action::Policy { .. }
            | Action::Verb { .. }
            | Action::Pull { .. }
            | Action::Release
            | Action::Record { .. }
            | Action::EpisodesOpen { .. }
            | Action::EpisodesClose
            | Action::EpisodesRepair
            | Action::EpisodesFilter { .. }
            | Action::EpisodesSelect { .. }
            | Action::EpisodesLeave
            | Action::EpisodesCompare { .. }
            | Action::EpisodesAlone
            | Action::EpisodesRun { .. }
            | Action::EpisodesSeek { .. }
            | Action::EpisodesFrame { .. }
            | Action::EpisodesNext
            | Action::EpisodesPrevious
            | Action::EpisodesFirst
            | Action::EpisodesLast
            | Action::EpisodesPictures { .. }
            | Action::EpisodesFilm { .. } => self.watch(action),
        }
    }

    fn file(&mut self, action: &Action) -> Result<(), ActionError> {
        match action {
            Action::New if self.may_leave(action) => {
                self.replace(Document::new_empty());
            }
            Action::Open { path: None } => self.dialog = Some(Dialog::Path("file.open")),
            Action::Open { path: Some(path) } if self.may_leave(action) => self.load(path)?,
            Action::Recent { number } => {
                let index = usize::try_from(*number)
                    .unwrap_or(usize::MAX)
                    .wrapping_sub(1);
                let path = self.recent.get(index).cloned().ok_or_else(|| {
                    let count = self.recent.len();
                    impossible(format!(
                        "there is no file number {number} (expected 1 to {count})"
                    ))
                })?;
                return self.file(&Action::Open { path: Some(path) });
            }
            Action::Save if self.document.path().is_none() => {
                self.dialog = Some(Dialog::Path("file.save_as"));
            }
            Action::Save => self.save(None)?,
            Action::SaveAs { path: None } => self.dialog = Some(Dialog::Path("file.save_as")),
            Action::SaveAs { path: Some(path) } => self.save(Some(path))?,
            Action::LoadTheirs => {
                self.document.load_theirs()?;
                self.banner = None;
                self.say_broken();
            }
            Action::KeepMine => {
                self.document.keep_mine();
                self.banner = None;
            }
            Action::Recover => {
                self.document.recover();
                self.banner = None;
            }
            Action::ForgetUnsaved => {
                self.document.forget_unsaved_work();
                self.banner = None;
            }
            Action::Quit if self.may_leave(action) => self.wishes.push(Wish::Quit),
            Action::SaveAndGo | Action::DiscardAndGo => {
                let Some(Dialog::Unsaved(next)) = self.dialog.take() else {
                    return Err(impossible("nothing waits for an answer".to_owned()));
                };
                if *action == Action::SaveAndGo {
                    if self.document.path().is_none() {
                        self.dialog = Some(Dialog::Path("file.save_as"));
                        return Ok(());
                    }
                    self.save(None)?;
                } else {
                    self.document.forget_unsaved_work();
                }
                return self.leave(&next);
            }
            Action::Cancel if self.dialog.take().is_none() => self.selection.clear(),
            _ => {}
        }
        Ok(())
    }

    /// Whether the document may go; if not, asks.
    fn may_leave(&mut self, action: &Action) -> bool {
        if self.document.is_dirty() {
            self.dialog = Some(Dialog::Unsaved(Box::new(action.clone())));
        }
        !self.document.is_dirty()
    }

    fn leave(&mut self, action: &Action) -> Result<(), ActionError> {
        match action {
            Action::Open { path: Some(path) } => self.load(path)?,
            Action::Quit => self.wishes.push(Wish::Quit),
            _ => self.replace(Document::new_empty()),
        }
        Ok(())
    }

    fn load(&mut self, path: &Path) -> Result<(), DocumentError> {
        let document = Document::open(path)?;
        self.replace(document);
        self.remember(path);
        if self.autosaves && self.document.unsaved_work().is_some() && self.banner.is_none() {
            self.banner = Some(Banner {
                text: "There is work on this file that was never saved.".to_owned(),
                choices: vec![Action::Recover, Action::ForgetUnsaved],
            });
        }
        Ok(())
    }

    fn replace(&mut self, document: Document) {
        let new = Self::with(document);
        let old = std::mem::replace(self, new);
        self.view = old.view;
        self.recent = old.recent;
        self.recent_list = old.recent_list;
        self.autosaves = old.autosaves;
        self.page = old.page;
        self.copied = old.copied;
        self.wishes = old.wishes;
        self.scene_revision = old.scene_revision + 1;
        self.wishes.push(Wish::FrameAll);
        self.stale = true;
    }

    fn save(&mut self, path: Option<&Path>) -> Result<(), ActionError> {
        if let Err(error) = self.document.save(path) {
            if matches!(error, DocumentError::Conflict { .. }) {
                self.say_conflict();
            }
            return Err(error.into());
        }
        self.status = format!("Saved {}", self.document.title());
        if let Some(path) = self.document.path().map(Path::to_owned) {
            self.remember(&path);
        }
        Ok(())
    }

    fn remember(&mut self, path: &Path) {
        let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        self.recent.retain(|p| *p != path);
        self.recent.insert(0, path);
        self.recent.truncate(RECENT);
        self.write_recent();
    }

    /// That a list of files cannot be written is no reason to stop anybody.
    fn write_recent(&self) {
        if let Some(list) = &self.recent_list {
            let lines = self.recent.iter().map(|p| format!("{}\n", p.display()));
            let text: String = lines.collect();
            if let Some(folder) = list.parent() {
                drop(std::fs::create_dir_all(folder));
            }
            drop(std::fs::write(list, text));
        }
    }

    fn look_at_disk(&mut self) {
        match self.document.check_disk() {
            Ok(None) => {}
            Ok(Some(DiskChange::Reloaded)) => {
                self.banner = None;
                self.status = format!(
                    "{} changed on the disk and was read again",
                    self.document.title()
                );
                self.say_broken();
                self.prune();
            }
            Ok(Some(DiskChange::Conflict)) => self.say_conflict(),
            Ok(Some(DiskChange::Broken(broken))) => {
                self.banner = Some(Banner {
                    text: format!(
                        "{} on the disk is not TOML ({broken}); this is the last good version.",
                        self.document.title()
                    ),
                    choices: vec![Action::KeepMine],
                });
            }
            Ok(Some(DiskChange::Gone)) => {
                self.banner = Some(Banner {
                    text: format!(
                        "{} is gone from the disk; saving writes it again.",
                        self.document.title()
                    ),
                    choices: vec![Action::Save],
                });
            }
            Err(error) => self.status = error.to_string(),
        }
    }

    fn say_conflict(&mut self) {
        self.banner = Some(Banner {
            text: format!(
                "{} changed on the disk, and here too.",
                self.document.title()
            ),
            choices: vec![Action::KeepMine, Action::LoadTheirs],
        });
    }

    fn say_broken(&mut self) {
        if let Some(broken) = self.document.broken() {
            self.banner = Some(Banner {
                text: format!(
                    "{} is not TOML ({broken}). Mend it in a text editor: it is read again when it changes.",
                    self.document.title()
                ),
                choices: Vec::new(),
            });
        }
    }

    fn history(&mut self, action: &Action) -> Result<(), ActionError> {
        let (label, what) = if *action == Action::Undo {
            (self.document.undo(), "Undo")
        } else {
            (self.document.redo(), "Redo")
        };
        let label =
            label.ok_or_else(|| impossible(format!("nothing to {}", what.to_lowercase())))?;
        self.status = format!("{what}: {label}");
        self.prune();
        Ok(())
    }

    /// Entries that are gone are not selected.
    fn prune(&mut self) {
        let document = &self.document;
        let there = |item: &ItemId| item.index < document.len(item.table);
        self.selection.retain(there);
        self.hovered = self.hovered.filter(there);
    }

    fn clipboard(&mut self, action: &Action) -> Result<(), ActionError> {
        if *action == Action::Paste {
            let mut names = edits::all_names(&self.home);
            let mut edits = Vec::new();
            let mut new = BTreeSet::new();
            for (item, body) in &self.copied {
                let table = item.table;
                let more = new.iter().filter(|i: &&ItemId| i.table == table).count();
                let index = self.document.len(table) + more;
                let body = edits::copied(&self.home, *item, body, &mut names);
                edits.push(Edit::Insert { table, index, body });
                new.insert(ItemId { table, index });
            }
            if edits.is_empty() {
                return Err(impossible("nothing was copied".to_owned()));
            }
            self.edit("Paste", &edits)?;
            self.selection = new;
            return Ok(());
        }
        let selected = self.selected()?;
        let body = |item: &ItemId| Some((*item, edits::body(&self.document, *item)?));
        self.copied = selected.iter().filter_map(body).collect();
        self.status = format!("Copied {}", self.named(&selected));
        if *action == Action::Cut {
            self.objects(&Action::Delete)?;
        }
        Ok(())
    }

    fn objects(&mut self, action: &Action) -> Result<(), ActionError> {
        if let Action::Place { class, spot } = action {
            return self.place(class, spot.as_ref());
        }
        let selected = self.selected()?;
        let what = self.named(&selected);
        let home = Arc::clone(&self.home);
        let step = self.view.snap_meters;
        match action {
            Action::Move { x, y, z } => return self.shift(&selected, [*x, *y, z.unwrap_or(0.0)]),
            Action::NudgeLeft => return self.shift(&selected, [-step, 0.0, 0.0]),
            Action::NudgeRight => return self.shift(&selected, [step, 0.0, 0.0]),
            Action::NudgeUp => return self.shift(&selected, [0.0, step, 0.0]),
            Action::NudgeDown => return self.shift(&selected, [0.0, -step, 0.0]),
            Action::MoveTo { x, y } => {
                let places: Vec<[f32; 3]> = selected
                    .iter()
                    .filter_map(|item| self.position(*item))
                    .collect();
                let count = places.len().max(1) as f64;
                let middle =
                    [0, 1].map(|i| places.iter().map(|p| f64::from(p[i])).sum::<f64>() / count);
                return self.shift(&selected, [x - middle[0], y - middle[1], 0.0]);
            }
            Action::Duplicate => {
                let (edits, copies) = edits::duplicate(&self.document, &home, &selected);
                self.edit(&format!("Duplicate {what}"), &edits)?;
                self.selection = copies.into_iter().collect();
                return Ok(());
            }
            Action::Delete => {
                let stands = Stands::new(&home, &self.preview);
                let edits = edits::delete(&home, &stands, &selected);
                self.edit(&format!("Delete {what}"), &edits)?;
                self.selection.clear();
                self.hovered = None;
                return Ok(());
            }
            Action::Rename { to } => return self.rename(&selected, to),
            _ => {}
        }
        let document = &self.document;
        let things = selected.iter().filter(|i| i.table == Table::Object);
        let for_each = |edits: &dyn Fn(ItemId) -> Vec<Edit>| -> Vec<Edit> {
            things.clone().flat_map(|item| edits(*item)).collect()
        };
        let support = |item: &Item| {
            let found = home.resolve(&item.0).filter(|i| i.table == Table::Object);
            let found =
                found.ok_or_else(|| impossible(format!("there is no object \"{}\"", item.0)))?;
            if selected.contains(&found) {
                return Err(impossible(format!(
                    "\"{}\" cannot be put on itself",
                    item.0
                )));
            }
            Ok(home.objects[found.index].title.clone())
        };
        let (label, edits) = match action {
            Action::Rotate { degrees } => ("Turn", edits::turn(&home, &selected, *degrees, false)),
            Action::RotateTo { degrees } => ("Turn", edits::turn(&home, &selected, *degrees, true)),
            Action::TurnLeft => (
                "Turn",
                edits::turn(&home, &selected, self.view.snap_degrees, false),
            ),
            Action::TurnRight => (
                "Turn",
                edits::turn(&home, &selected, -self.view.snap_degrees, false),
            ),
            Action::PutOn { support: on } => {
                let spot = Spot::On(support(on)?);
                ("Put", for_each(&|item| edits::put(document, item, &spot)))
            }
            Action::PutInside { support: inside } => {
                let spot = Spot::Inside(support(inside)?);
                ("Put", for_each(&|item| edits::put(document, item, &spot)))
            }
            Action::AlsoOn { support: on } => {
                let spot = Spot::On(support(on)?);
                (
                    "Put also",
                    for_each(&|item| edits::put_also(&home, document, item, &spot)),
                )
            }
            Action::AlsoInside { support: inside } => {
                let spot = Spot::Inside(support(inside)?);
                (
                    "Put also",
                    for_each(&|item| edits::put_also(&home, document, item, &spot)),
                )
            }
            Action::PutOnFloor => {
                let stands = Stands::new(&home, &self.preview);
                let floor = |item: ItemId| {
                    let [x, y, _] = stands.of(item.index).position.map(f64::from);
                    let at = [x, y].map(|v| (v * 100.0).round() / 100.0);
                    edits::put(document, item, &Spot::At(at))
                };
                ("Put on the floor:", for_each(&floor))
            }
            Action::CountRange { min, max } => {
                let fields = |item: ItemId| {
                    let number = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
                    vec![
                        edits::set(item, "count.min", number(*min)),
                        edits::set(item, "count.max", number(*max)),
                    ]
                };
                ("Number of", for_each(&fields))
            }
            Action::Set { field, value } => {
                let value = value.value();
                let set = |item: &ItemId| edits::set(*item, field.clone(), value.clone());
                ("Change", selected.iter().map(set).collect())
            }
            Action::Unset { field } => {
                let unset = |item: &ItemId| edits::unset(*item, field.clone());
                ("Change", selected.iter().map(unset).collect())
            }
            _ => ("", Vec::new()),
        };
        self.edit(&format!("{label} {what}"), &edits)
    }

    fn place(&mut self, class: &str, spot: Option<&Spot>) -> Result<(), ActionError> {
        let home = Arc::clone(&self.home);
        let id = home.catalogue.find(class);
        let id = id
            .ok_or_else(|| impossible(format!("there is no class \"{class}\" in the catalogue")))?;
        let class = home.catalogue.class(id);
        let stands = Stands::new(&home, &self.preview);
        let mut pin = None;
        let spot = match spot.cloned().unwrap_or(Spot::At(self.focus)) {
            Spot::At(at) => {
                let point = at.map(|v| v as f32);
                let none = BTreeSet::new();
                match edits::support_at(&home, &stands, class, point, &none) {
                    Some(support) => {
                        pin = Some((support, point));
                        Spot::On(home.objects[support].title.clone())
                    }
                    None => Spot::At(at),
                }
            }
            Spot::On(name) | Spot::Inside(name) if home.find(&name).is_none() => {
                return Err(impossible(format!("there is no object \"{name}\"")));
            }
            spot => spot,
        };
        let index = self.document.len(Table::Object);
        let body = edits::object_body(&class.name, &spot);
        let insert = Edit::Insert {
            table: Table::Object,
            index,
            body,
        };
        let name = class.name.clone();
        self.edit(&format!("Place {name}"), &[insert])?;
        if let Some((support, point)) = pin {
            self.pin(index, support, point);
        }
        self.selection = BTreeSet::from([ItemId {
            table: Table::Object,
            index,
        }]);
        Ok(())
    }

    /// An object stays where a person put it, though where on its support it lies is drawn for each episode.
    fn pin(&mut self, index: usize, support: usize, [x, y]: [f32; 2]) {
        let home = Arc::clone(&self.home);
        let (Some(object), Some(on)) = (home.objects.get(index), home.objects.get(support)) else {
            return;
        };
        let stands = Stands::new(&home, &self.preview);
        let base = stands.of(support);
        let mut local = Stand {
            position: [x, y, 0.0],
            yaw: 0.0,
        }
        .within(&base);
        let surfaces = home.class(on).map(|c| c.surfaces()).unwrap_or_default();
        let over = surfaces.iter().find(|s| !s.inside);
        local.position[2] = over.map_or(0.0, |s| s.z);
        self.preview
            .pin(&object.title, Place::On(on.title.clone()), local);
        self.stale = true;
    }

    /// Moves entries. What lies on something moves along it, or to what is below it now.
    fn shift(&mut self, selected: &BTreeSet<ItemId>, by: [f64; 3]) -> Result<(), ActionError> {
        let home = Arc::clone(&self.home);
        let what = self.named(selected);
        let stands = Stands::new(&home, &self.preview);
        let mut edits = edits::shift(&home, &stands, selected, by);
        let objects: BTreeSet<usize> = selected
            .iter()
            .filter(|i| i.table == Table::Object)
            .map(|i| i.index)
            .collect();
        let mut pins = Vec::new();
        for &index in &objects {
            let object = &home.objects[index];
            let lies = matches!(object.places[..], [Place::On(_) | Place::Inside(_)]);
            // What lies on something that moves too goes with it.
            let carried = home.parent(index).is_some_and(|p| objects.contains(&p));
            let Some(class) = home.class(object).filter(|_| lies && !carried) else {
                continue;
            };
            let [x, y, _] = stands.of(index).position.map(f64::from);
            let to = [x + by[0], y + by[1]];
            let point = to.map(|v| v as f32);
            let item = ItemId {
                table: Table::Object,
                index,
            };
            let below = edits::support_at(&home, &stands, class, point, &BTreeSet::from([index]));
            let Some(support) = below else {
                let at = to.map(|v| (v * 1000.0).round() / 1000.0);
                edits.extend(edits::put(&self.document, item, &Spot::At(at)));
                continue;
            };
            let title = &home.objects[support].title;
            if !matches!(&object.places[..], [Place::On(old)] if old == title) {
                let spot = Spot::On(title.clone());
                edits.extend(edits::put(&self.document, item, &spot));
            }
            pins.push((index, support, point));
        }
        self.edit(&format!("Move {what}"), &edits)?;
        if edits.is_empty() && !pins.is_empty() {
            self.status = format!("{what}: where on it a thing lies is drawn for each episode");
        }
        for (index, support, point) in pins {
            self.pin(index, support, point);
        }
        Ok(())
    }

    fn rename(&mut self, selected: &BTreeSet<ItemId>, to: &str) -> Result<(), ActionError> {
        let &[item] = &selected.iter().copied().collect::<Vec<_>>()[..] else {
            return Err(impossible(format!(
                "one entry can have a name (expected 1 selected, found {})",
                selected.len()
            )));
        };
        let old = self.home.title(item);
        let to = to.trim();
        match item.table {
            Table::Goal => return self.edit("Rename goal", &[edits::set(item, "say", to)]),
            Table::Agent => return Err(impossible("agents have no names".to_owned())),
            _ => {}
        }
        if to.is_empty() || (to != old && edits::all_names(&self.home).contains(to)) {
            let why = if to.is_empty() { "empty" } else { "taken" };
            return Err(impossible(format!("the name \"{to}\" is {why}")));
        }
        let edits = edits::rename(&self.home, item, to);
        self.preview.rename(&old, to);
        self.edit(&format!("Rename {old} to {to}"), &edits)
    }

    fn building(&mut self, action: &Action) -> Result<(), ActionError> {
        let home = Arc::clone(&self.home);
        let insert = |table, body| Edit::Insert {
            table,
            index: home.len(table),
            body,
        };
        let added = |table| {
            Some(ItemId {
                table,
                index: home.len(table),
            })
        };
        let (label, edits, new) = match action {
            Action::SetScenario { field, value } => {
                let (field, value) = (field.clone(), value.value());
                (
                    "Change scenario".to_owned(),
                    vec![Edit::SetTop { field, value }],
                    None,
                )
            }
            Action::UnsetScenario { field } => {
                let field = field.clone();
                (
                    "Change scenario".to_owned(),
                    vec![Edit::UnsetTop { field }],
                    None,
                )
            }
            Action::RoomAdd {
                x0,
                y0,
                x1,
                y1,
                name,
            } => {
                if (x0 - x1).abs() < 0.1 || (y0 - y1).abs() < 0.1 {
                    return Err(impossible(
                        "a room is at least 0.1 m wide and deep".to_owned(),
                    ));
                }
                let base = name.as_deref().unwrap_or("room");
                let name = edits::unique(base, &edits::all_names(&home));
                let body = edits::room_body(&name, [*x0, *y0], [*x1, *y1]);
                (
                    format!("Add {name}"),
                    vec![insert(Table::Room, body)],
                    added(Table::Room),
                )
            }
            Action::RoomResize { corner, x, y } => {
                let (item, room) = self.one_room()?;
                let corner = usize::try_from(*corner).unwrap_or(usize::MAX);
                let edits = edits::move_corner(&home.rooms[room], item, corner, [*x, *y]);
                (format!("Resize {}", home.rooms[room].name), edits, None)
            }
            Action::RoomWall { wall, by } => {
                let (item, room) = self.one_room()?;
                let wall = usize::try_from(*wall).unwrap_or(usize::MAX);
                let edits = edits::move_wall(&home.rooms[room], item, wall, *by);
                (format!("Resize {}", home.rooms[room].name), edits, None)
            }
            Action::DoorAdd { x, y, width } => {
                let body = edits::door_body(&home, [*x, *y], width.unwrap_or(0.9));
                let body = body.ok_or_else(|| {
                    impossible(
                        "no two rooms share a wall that is long enough for the door".to_owned(),
                    )
                })?;
                (
                    "Add door".to_owned(),
                    vec![insert(Table::Door, body)],
                    added(Table::Door),
                )
            }
            Action::AgentAdd { room } => {
                let body = format!(
                    "body.walker = {{ room = {} }}\n",
                    toml_edit::Value::from(room)
                );
                (
                    "Add walker".to_owned(),
                    vec![insert(Table::Agent, body)],
                    added(Table::Agent),
                )
            }
            Action::HandAdd { model, x, y, z } => {
                let room = home.room_at([*x as f32, *y as f32]);
                let room =
                    room.ok_or_else(|| impossible(format!("there is no room at ({x}, {y})")))?;
                let body = format!(
                    "body.hand = {{ room = {}, at = {}, model = {} }}\n",
                    toml_edit::Value::from(&home.rooms[room].name),
                    edits::numbers([*x, *y, *z]),
                    toml_edit::Value::from(model),
                );
                (
                    "Add hand".to_owned(),
                    vec![insert(Table::Agent, body)],
                    added(Table::Agent),
                )
            }
            Action::GoalAdd { say, facts } => {
                let facts: toml_edit::Array = facts.iter().map(String::as_str).collect();
                let say = toml_edit::Value::from(say);
                let body = format!("say = {say}\nall = {facts}\n");
                (
                    "Add goal".to_owned(),
                    vec![insert(Table::Goal, body)],
                    added(Table::Goal),
                )
            }
            Action::GoalSet { say, facts } => {
                let goals = self.selection.iter().filter(|i| i.table == Table::Goal);
                let facts: toml_edit::Array = facts.iter().map(String::as_str).collect();
                let both = |item: &ItemId| {
                    [
                        edits::set(*item, "say", say),
                        edits::set(*item, "all", toml_edit::Value::Array(facts.clone())),
                    ]
                };
                let edits: Vec<Edit> = goals.flat_map(both).collect();
                if edits.is_empty() {
                    return Err(impossible("no goal is selected".to_owned()));
                }
                ("Change goal".to_owned(), edits, None)
            }
            _ => return Ok(()),
        };
        self.edit(&label, &edits)?;
        self.selection = new.map_or_else(|| self.selection.clone(), |item| BTreeSet::from([item]));
        Ok(())
    }

    fn one_room(&self) -> Result<(ItemId, usize), ActionError> {
        let mut rooms = self.selection.iter().filter(|i| i.table == Table::Room);
        match (rooms.next(), rooms.next()) {
            (Some(item), None) if item.index < self.home.rooms.len() => Ok((*item, item.index)),
            _ => Err(impossible("expected one room to be selected".to_owned())),
        }
    }

    fn select(&mut self, action: &Action) -> Result<(), ActionError> {
        let home = Arc::clone(&self.home);
        let find = |item: &Item| {
            let found = home.resolve(&item.0);
            found.ok_or_else(|| impossible(format!("there is no \"{}\"", item.0)))
        };
        let objects = || {
            (0..home.objects.len()).map(|index| ItemId {
                table: Table::Object,
                index,
            })
        };
        let selected: BTreeSet<usize> = self
            .selection
            .iter()
            .filter(|i| i.table == Table::Object)
            .map(|i| i.index)
            .collect();
        match action {
            Action::SelectAll => self.selection = objects().collect(),
            Action::SelectNone => self.selection.clear(),
            Action::SelectInvert => {
                let old = std::mem::take(&mut self.selection);
                self.selection = objects().filter(|item| !old.contains(item)).collect();
            }
            Action::SelectClass => {
                let classes: BTreeSet<&str> = selected
                    .iter()
                    .map(|i| home.objects[*i].class.as_str())
                    .collect();
                let same = |i: &ItemId| classes.contains(home.objects[i.index].class.as_str());
                self.selection.extend(objects().filter(same));
            }
            Action::SelectParent => {
                let parents: Vec<usize> = selected.iter().filter_map(|i| home.parent(*i)).collect();
                if parents.is_empty() {
                    return Err(impossible("the selection lies on nothing".to_owned()));
                }
                self.selection = objects().filter(|i| parents.contains(&i.index)).collect();
            }
            Action::SelectChildren => {
                let lies = |i: &ItemId| home.parent(i.index).is_some_and(|p| selected.contains(&p));
                let children: BTreeSet<ItemId> = objects().filter(lies).collect();
                if children.is_empty() {
                    return Err(impossible("nothing lies on the selection".to_owned()));
                }
                self.selection = children;
            }
            Action::SelectNext | Action::SelectPrevious => {
                let all: Vec<ItemId> = self.document.items().collect();
                let count = all.len();
                if count == 0 {
                    return Err(impossible("there is nothing to select".to_owned()));
                }
                let at = self
                    .selection
                    .first()
                    .and_then(|s| all.iter().position(|i| i == s));
                let next = match (at, action) {
                    (None, _) => 0,
                    (Some(i), Action::SelectNext) => (i + 1) % count,
                    (Some(i), _) => (i + count - 1) % count,
                };
                self.selection = BTreeSet::from([all[next]]);
            }
            Action::SelectOnly { item } => self.selection = BTreeSet::from([find(item)?]),
            Action::SelectAlso { item } => {
                self.selection.insert(find(item)?);
            }
            Action::SelectToggle { item } => {
                let item = find(item)?;
                if !self.selection.remove(&item) {
                    self.selection.insert(item);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn look(&mut self, action: &Action) -> Result<(), ActionError> {
        let view = &mut self.view;
        let switch = |now: &mut bool, to: &Option<bool>| *now = to.unwrap_or(!*now);
        match action {
            Action::Grid { show } => switch(&mut view.grid, show),
            Action::Ceiling { show } => switch(&mut view.ceiling, show),
            Action::CutAway { cut } => switch(&mut view.cut_away, cut),
            Action::Ghosts { show } => switch(&mut view.ghosts, show),
            Action::Names { show } => switch(&mut view.names, show),
            Action::Snap { on } => switch(&mut view.snap, on),
            Action::Panels { show } => switch(&mut view.panels, show),
            Action::SnapStep { meters, degrees } => {
                if !(0.001..=10.0).contains(meters) || !(0.1..=180.0).contains(degrees) {
                    return Err(impossible(format!(
                        "steps of the grid (expected 0.001 to 10 m and 0.1 to 180 degrees, found {meters} and {degrees})"
                    )));
                }
                (view.snap_meters, view.snap_degrees) = (*meters, *degrees);
            }
            Action::Reseed { seed } => {
                view.seed = seed.unwrap_or(view.seed.wrapping_add(1));
                self.preview.unpin();
                self.stale = true;
                self.status = format!("Drawn with seed {}", self.view.seed);
            }
            Action::FileText { show } => {
                let shown = self.page == Page::Text;
                self.page = if show.unwrap_or(!shown) {
                    Page::Text
                } else {
                    Page::Palette
                };
            }
            Action::Page { name } => {
                let page = Page::ALL.iter().find(|(_, n, _)| n == name);
                let (page, ..) =
                    page.ok_or_else(|| impossible(format!("there is no page \"{name}\"")))?;
                self.page = *page;
            }
            Action::Theme => view.dark = !view.dark,
            Action::GizmoTranslate => view.gizmo = Gizmo::Translate,
            Action::GizmoRotate => view.gizmo = Gizmo::Rotate,
            Action::Commands => self.dialog = Some(Dialog::Commands),
            _ => {}
        }
        Ok(())
    }

    fn selected(&self) -> Result<BTreeSet<ItemId>, ActionError> {
        if self.selection.is_empty() {
            return Err(impossible("nothing is selected".to_owned()));
        }
        Ok(self.selection.clone())
    }

    fn named(&self, items: &BTreeSet<ItemId>) -> String {
        match (items.first(), items.len()) {
            (Some(item), 1) => self.home.title(*item),
            (_, count) => format!("{count} entries"),
        }
    }

    fn needs_check(&self) -> bool {
        self.checked != Some((self.document.revision(), self.view.seed))
    }

    fn take(&mut self, found: Found) {
        if found.revision != self.document.revision() {
            return;
        }
        self.problems = found.problems;
        // A file that is opened with errors shows them.
        if std::mem::take(&mut self.unseen) && !self.problems.is_empty() {
            self.page = Page::Problems;
        }
        if let Some(preview) = found.preview {
            let old = std::mem::replace(&mut self.preview, preview);
            self.preview.keep_pins(old);
            self.stale = true;
        }
    }

    /// Brings what is shown up to date with the document and the settings.
    fn refresh(&mut self) {
        let now = (self.document.revision(), &self.view);
        let shown = self
            .shown
            .as_ref()
            .map(|(revision, view)| (*revision, view));
        if shown == Some(now) && !self.stale {
            return;
        }
        if shown.map(|s| s.0) != Some(now.0) || self.stale {
            self.home = Arc::new(Home::read(&self.document));
        }
        self.stale = false;
        self.shown = Some((self.document.revision(), self.view.clone()));
        let scene = project(&self.home, &self.preview, &self.view);
        if scene != *self.scene {
            self.scene = Arc::new(scene);
            self.scene_revision += 1;
        }
        self.prune();
    }
}

impl Default for Editor {
    fn default() -> Self {
        Self::new()
    }
}

fn impossible(message: String) -> ActionError {
    ActionError::Impossible(message)
}

#[cfg(test)]
mod tests;

/// What an action that moves the eye wishes for.
fn move_view(action: &Action) -> Wish {
    const DEGREES: f64 = 15.0;
    const SHARE: f64 = 0.1;
    match *action {
        Action::ViewTurn { left, up } => Wish::Turn([left, up.unwrap_or(0.0)]),
        Action::ViewTurnLeft => Wish::Turn([DEGREES, 0.0]),
        Action::ViewTurnRight => Wish::Turn([-DEGREES, 0.0]),
        Action::ViewTurnUp => Wish::Turn([0.0, DEGREES]),
        Action::ViewTurnDown => Wish::Turn([0.0, -DEGREES]),
        Action::ViewShift { right, up } => Wish::Shift([right, up]),
        Action::ViewShiftLeft => Wish::Shift([-SHARE, 0.0]),
        Action::ViewShiftRight => Wish::Shift([SHARE, 0.0]),
        Action::ViewShiftUp => Wish::Shift([0.0, SHARE]),
        Action::ViewShiftDown => Wish::Shift([0.0, -SHARE]),
        Action::ViewZoom { steps } => Wish::Zoom(steps),
        Action::ViewFarther => Wish::Zoom(-1.0),
        _ => Wish::Zoom(1.0),
    }
}
