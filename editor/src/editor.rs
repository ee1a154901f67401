//! The whole state of an editor, and what each action does to it.
//!
//! Knows no window and draws nothing: what only a window can do, it wishes for.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use thiserror::Error;

use crate::action::{Action, ParseError};
use crate::document::{Document, DocumentError, EditError};
use crate::scene::{ItemId, Scene};

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
    /// What the user has to know now.
    pub banner: Option<Banner>,
    /// What happened last, in a few words.
    pub status: String,
    /// Files that were open, the last one first.
    pub recent: Vec<PathBuf>,
    wishes: Vec<Wish>,
    scene: Arc<Scene>,
    scene_revision: u64,
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

/// Something that is wrong, and with what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocatedProblem {
    /// The entry that it is about, if it is about one.
    pub item: Option<ItemId>,
    /// Where and what.
    pub problem: sim::problem::Problem,
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
    /// Write what is seen to a file.
    Screenshot(PathBuf),
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
        Ok(Self::with(Document::open(path)?))
    }

    /// An editor of a document.
    pub fn with(document: Document) -> Self {
        Self {
            document,
            selection: BTreeSet::new(),
            hovered: None,
            view: ViewSettings::default(),
            problems: Vec::new(),
            banner: None,
            status: String::new(),
            recent: Vec::new(),
            wishes: Vec::new(),
            scene: Arc::new(Scene::default()),
            scene_revision: 0,
        }
    }

    /// Does what an action says.
    ///
    /// # Errors
    /// When it cannot be done; nothing changed.
    pub fn dispatch(&mut self, action: &Action) -> Result<(), ActionError> {
        let wish = match action {
            Action::Frame => Wish::FrameSelection,
            Action::FrameAll => Wish::FrameAll,
            Action::LookTop => Wish::Look(Look::Top),
            Action::LookFront => Wish::Look(Look::Front),
            Action::LookSide => Wish::Look(Look::Side),
            Action::LookHome => Wish::Look(Look::Home),
            Action::Quit => Wish::Quit,
            _ => {
                return Err(ActionError::Impossible(format!(
                    "{} cannot be done yet",
                    action.name()
                )));
            }
        };
        self.wishes.push(wish);
        Ok(())
    }

    /// What to draw.
    pub fn scene(&self) -> Arc<Scene> {
        Arc::clone(&self.scene)
    }

    /// Grows when [`Editor::scene`] changes.
    pub fn scene_revision(&self) -> u64 {
        self.scene_revision
    }

    /// Looks after everything that takes time: the file on the disk, unsaved work, checks. `now` in seconds, growing.
    pub fn tick(&mut self, now: f64) {
        let _ = now;
    }

    /// What the window has to do; each is told once.
    pub fn wishes(&mut self) -> Vec<Wish> {
        std::mem::take(&mut self.wishes)
    }
}

impl Default for Editor {
    fn default() -> Self {
        Self::new()
    }
}
