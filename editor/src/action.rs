//! Everything that a person can do, by name: one table behind menus, shortcuts, the command palette, scripts and tests.
//!
//! An action is written as its name and its arguments, separated by spaces: `object.place mug on "kitchen table"`. Words with
//! spaces stand in double quotes, in which `\"`, `\\`, `\n` and `\t` are what they are in TOML. What was parsed is displayed so
//! that it can be parsed again.
//!
//! Knows no editor: what an action does is in [`crate::editor`].

use std::fmt;
use std::path::PathBuf;

use sim::problem::did_you_mean;
use thiserror::Error;

/// What the table says about an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ActionSpec {
    /// Its name in scripts.
    pub name: &'static str,
    /// Its name in menus.
    pub label: &'static str,
    /// The menu that it is in; empty for none.
    pub menu: &'static str,
    /// Keys that do it, as `Ctrl+Shift+Z`; empty for none.
    pub shortcut: &'static str,
    /// A sentence about it.
    pub about: &'static str,
    /// Its arguments: name and kind.
    pub arguments: &'static [(&'static str, Kind)],
    /// How it is written, with arguments that make sense in most homes.
    pub example: &'static str,
}

/// What can be written for an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Any words.
    Text,
    /// A number: meters, degrees or how many.
    Number,
    /// A whole number that is not negative.
    Whole,
    /// `on` or `off`.
    Switch,
    /// Name of a file or folder.
    Path,
    /// An entry: its name, or its table and number, as in `object:3`.
    Item,
    /// Where something is put: `on NAME`, `inside NAME` or `at X Y`.
    Spot,
    /// A value as in TOML; words alone are text.
    Value,
    /// Any number of texts.
    Texts,
}

impl ActionSpec {
    /// Whether it can be done without saying more.
    pub fn needs_nothing(&self) -> bool {
        self.example == self.name
    }

    /// The action without arguments, if it needs none.
    pub fn action(&self) -> Option<Action> {
        Action::parse(self.name).ok()
    }
}

/// A line that is not an action.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ParseError {
    /// There is no action of this name.
    #[error("there is no action \"{name}\"{}", near(name))]
    Unknown {
        /// What was written.
        name: String,
    },
    /// An argument is missing.
    #[error("{action} lacks its {argument} (expected as in: {example})")]
    Missing {
        /// The action.
        action: &'static str,
        /// What is missing.
        argument: &'static str,
        /// How it is written.
        example: &'static str,
    },
    /// An argument is of the wrong kind.
    #[error("\"{found}\" is not {expected}")]
    Argument {
        /// What it should be.
        expected: &'static str,
        /// What was written.
        found: String,
    },
    /// There are more words than arguments.
    #[error("{action} takes no more arguments (found \"{found}\")")]
    TooMany {
        /// The action.
        action: &'static str,
        /// The first word too many.
        found: String,
    },
    /// A quote is not closed, or follows a word without a space.
    #[error("quotes do not match in: {0}")]
    Quotes(String),
}

fn near(name: &str) -> String {
    did_you_mean(name, ACTIONS.iter().map(|spec| spec.name))
}

/// Where something is put.
#[derive(Clone, Debug, PartialEq)]
pub enum Spot {
    /// On the object of that name.
    On(String),
    /// Inside the object of that name.
    Inside(String),
    /// On the floor at (x, y), meters.
    At([f64; 2]),
}

/// Words of a line that are not yet taken.
pub(crate) struct Words {
    left: std::collections::VecDeque<String>,
    action: &'static str,
    example: &'static str,
}

impl Words {
    fn next(&mut self, argument: &'static str) -> Result<String, ParseError> {
        self.left.pop_front().ok_or(ParseError::Missing {
            action: self.action,
            argument,
            example: self.example,
        })
    }
}

/// What an argument can be read from and written as.
pub(crate) trait Argument: Sized {
    const KIND: Kind;
    fn take(words: &mut Words, name: &'static str) -> Result<Self, ParseError>;
    fn give(&self, words: &mut Vec<String>);
}

impl Argument for String {
    const KIND: Kind = Kind::Text;

    fn take(words: &mut Words, name: &'static str) -> Result<Self, ParseError> {
        words.next(name)
    }

    fn give(&self, words: &mut Vec<String>) {
        words.push(self.clone());
    }
}

impl Argument for PathBuf {
    const KIND: Kind = Kind::Path;

    fn take(words: &mut Words, name: &'static str) -> Result<Self, ParseError> {
        Ok(words.next(name)?.into())
    }

    fn give(&self, words: &mut Vec<String>) {
        words.push(self.to_string_lossy().into_owned());
    }
}

/// An entry as it is written: its name, or its table and number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item(pub String);

impl Argument for Item {
    const KIND: Kind = Kind::Item;

    fn take(words: &mut Words, name: &'static str) -> Result<Self, ParseError> {
        Ok(Self(words.next(name)?))
    }

    fn give(&self, words: &mut Vec<String>) {
        words.push(self.0.clone());
    }
}

/// A value as it is written in TOML; words that are none are text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Literal(pub String);

impl Literal {
    /// What is written.
    pub fn value(&self) -> toml_edit::Value {
        let parsed = self.0.trim().parse::<toml_edit::Value>();
        let mut value = parsed.unwrap_or_else(|_| self.0.as_str().into());
        value.decor_mut().clear();
        value
    }
}

impl Argument for Literal {
    const KIND: Kind = Kind::Value;

    fn take(words: &mut Words, name: &'static str) -> Result<Self, ParseError> {
        Ok(Self(words.next(name)?))
    }

    fn give(&self, words: &mut Vec<String>) {
        words.push(self.0.clone());
    }
}

impl Argument for f64 {
    const KIND: Kind = Kind::Number;

    fn take(words: &mut Words, name: &'static str) -> Result<Self, ParseError> {
        let word = words.next(name)?;
        let number = word.parse().ok().filter(|n: &Self| n.is_finite());
        number.ok_or(ParseError::Argument {
            expected: "a number",
            found: word,
        })
    }

    fn give(&self, words: &mut Vec<String>) {
        words.push(self.to_string());
    }
}

impl Argument for u64 {
    const KIND: Kind = Kind::Whole;

    fn take(words: &mut Words, name: &'static str) -> Result<Self, ParseError> {
        let word = words.next(name)?;
        word.parse().ok().ok_or(ParseError::Argument {
            expected: "a whole number from 0",
            found: word,
        })
    }

    fn give(&self, words: &mut Vec<String>) {
        words.push(self.to_string());
    }
}

impl Argument for bool {
    const KIND: Kind = Kind::Switch;

    fn take(words: &mut Words, name: &'static str) -> Result<Self, ParseError> {
        let word = words.next(name)?;
        match word.as_str() {
            "on" => Ok(true),
            "off" => Ok(false),
            _ => Err(ParseError::Argument {
                expected: "\"on\" or \"off\"",
                found: word,
            }),
        }
    }

    fn give(&self, words: &mut Vec<String>) {
        words.push(if *self { "on" } else { "off" }.to_owned());
    }
}

impl Argument for Spot {
    const KIND: Kind = Kind::Spot;

    fn take(words: &mut Words, name: &'static str) -> Result<Self, ParseError> {
        let word = words.next(name)?;
        match word.as_str() {
            "on" => Ok(Self::On(words.next("support")?)),
            "inside" => Ok(Self::Inside(words.next("support")?)),
            "at" => Ok(Self::At([f64::take(words, "x")?, f64::take(words, "y")?])),
            _ => Err(ParseError::Argument {
                expected: "a place: on NAME, inside NAME or at X Y",
                found: word,
            }),
        }
    }

    fn give(&self, words: &mut Vec<String>) {
        match self {
            Self::On(name) => words.extend(["on".to_owned(), name.clone()]),
            Self::Inside(name) => words.extend(["inside".to_owned(), name.clone()]),
            Self::At([x, y]) => words.extend(["at".to_owned(), x.to_string(), y.to_string()]),
        }
    }
}

/// Only as the last argument.
impl<T: Argument> Argument for Option<T> {
    const KIND: Kind = T::KIND;

    fn take(words: &mut Words, name: &'static str) -> Result<Self, ParseError> {
        if words.left.is_empty() {
            return Ok(None);
        }
        T::take(words, name).map(Some)
    }

    fn give(&self, words: &mut Vec<String>) {
        if let Some(argument) = self {
            argument.give(words);
        }
    }
}

/// Only as the last argument.
impl Argument for Vec<String> {
    const KIND: Kind = Kind::Texts;

    fn take(words: &mut Words, _: &'static str) -> Result<Self, ParseError> {
        Ok(words.left.drain(..).collect())
    }

    fn give(&self, words: &mut Vec<String>) {
        words.extend(self.iter().cloned());
    }
}

macro_rules! actions {
    ($(
        #[doc = $about:literal]
        $variant:ident $({ $($field:ident: $kind:ty),* })?
            = $name:literal, $label:literal, $menu:literal, $keys:literal, $example:literal;
    )*) => {
        /// Something that a person can do.
        #[derive(Clone, Debug, PartialEq)]
        #[expect(missing_docs, reason = "the fields are named in the words of the sentence above them")]
        pub enum Action {
            $(#[doc = $about] $variant $({ $($field: $kind),* })?,)*
        }

        /// All actions, in the order of the menus.
        pub const ACTIONS: &[ActionSpec] = &[$(ActionSpec {
            name: $name,
            label: $label,
            menu: $menu,
            shortcut: $keys,
            about: $about.trim_ascii(),
            arguments: &[$($((stringify!($field), <$kind as Argument>::KIND)),*)?],
            example: concat!($name, $example),
        }),*];

        impl Action {
            /// Its name in scripts.
            pub fn name(&self) -> &'static str {
                match self {
                    $(Self::$variant $({ $($field: _),* })? => $name,)*
                }
            }

            fn take(name: &str, words: &mut Words) -> Result<Self, ParseError> {
                match name {
                    $($name => Ok(Self::$variant $({
                        $($field: Argument::take(words, stringify!($field))?),*
                    })?),)*
                    _ => Err(ParseError::Unknown { name: name.to_owned() }),
                }
            }

            fn give(&self, words: &mut Vec<String>) {
                match self {
                    $(Self::$variant $({ $($field),* })? => {
                        words.push($name.to_owned());
                        $($($field.give(words);)*)?
                    })*
                }
            }
        }
    };
}

actions! {
    /// Starts a home without rooms.
    New = "file.new", "New", "File", "Ctrl+N", "";
    /// Opens a scenario file; without a path it asks for one.
    Open { path: Option<PathBuf> } = "file.open", "Open…", "File", "Ctrl+O", "";
    /// Opens the file that was open so many files ago, counted from 1.
    Recent { number: u64 } = "file.recent", "Open Recent", "", "", " 1";
    /// Writes the document to its file.
    Save = "file.save", "Save", "File", "Ctrl+S", "";
    /// Writes the document to another file; without a path it asks for one.
    SaveAs { path: Option<PathBuf> } = "file.save_as", "Save As…", "File", "Ctrl+Shift+S", "";
    /// Reads the file again and takes what it says.
    LoadTheirs = "file.load_theirs", "Load From Disk", "File", "", "";
    /// Keeps the document as it is though the file changed: saving writes over it.
    KeepMine = "file.keep_mine", "Keep Mine", "", "", "";
    /// Takes over work that was never saved.
    Recover = "file.recover", "Recover Unsaved Work", "", "", "";
    /// Forgets work that was never saved.
    ForgetUnsaved = "file.forget_unsaved", "Forget Unsaved Work", "", "", "";
    /// Leaves, after asking about unsaved changes.
    Quit = "file.quit", "Quit", "File", "Ctrl+Q", "";
    /// Answers the question about unsaved changes: saves them and goes on.
    SaveAndGo = "file.save_and_go", "Save and Go On", "", "", "";
    /// Answers the question about unsaved changes: drops them and goes on.
    DiscardAndGo = "file.discard_and_go", "Discard and Go On", "", "", "";
    /// Closes the question or list that is open.
    Cancel = "file.cancel", "Cancel", "", "Escape", "";
    /// Takes the last change back.
    Undo = "edit.undo", "Undo", "Edit", "Ctrl+Z", "";
    /// Makes the change again that was taken back last.
    Redo = "edit.redo", "Redo", "Edit", "Ctrl+Shift+Z", "";
    /// Takes the selection out of the document and keeps a copy.
    Cut = "edit.cut", "Cut", "Edit", "Ctrl+X", "";
    /// Keeps a copy of the selection.
    Copy = "edit.copy", "Copy", "Edit", "Ctrl+C", "";
    /// Adds what was copied.
    Paste = "edit.paste", "Paste", "Edit", "Ctrl+V", "";
    /// Adds a copy of each selected entry beside it.
    Duplicate = "object.duplicate", "Duplicate", "Edit", "Ctrl+D", "";
    /// Removes the selection; what lies on or in it goes with it.
    Delete = "object.delete", "Delete", "Edit", "Delete", "";
    /// Gives the selected entry a name, and everything that mentions it.
    Rename { to: String } = "object.rename", "Rename…", "Edit", "F2", " \"old oak\"";
    /// Selects everything that can be moved.
    SelectAll = "select.all", "All", "Select", "Ctrl+A", "";
    /// Selects nothing.
    SelectNone = "select.none", "Nothing", "Select", "Ctrl+Shift+A", "";
    /// Selects what is not selected, and the other way round.
    SelectInvert = "select.invert", "Inverse", "Select", "Ctrl+I", "";
    /// Selects everything of the selected classes.
    SelectClass = "select.same_class", "Same Class", "Select", "Ctrl+Shift+C", "";
    /// Selects what the selection lies on or in.
    SelectParent = "select.parent", "What It Lies On", "Select", "Ctrl+Up", "";
    /// Selects what lies on or in the selection.
    SelectChildren = "select.children", "What Lies On It", "Select", "Ctrl+Down", "";
    /// Selects the next entry of the file.
    SelectNext = "select.next", "Next", "Select", "Ctrl+Right", "";
    /// Selects the entry before.
    SelectPrevious = "select.previous", "Previous", "Select", "Ctrl+Left", "";
    /// Selects one entry and nothing else.
    SelectOnly { item: Item } = "select.only", "Select…", "", "", " object:0";
    /// Selects one entry more.
    SelectAlso { item: Item } = "select.also", "Select Also…", "", "", " object:1";
    /// Selects an entry, or no longer.
    SelectToggle { item: Item } = "select.toggle", "Select or Not…", "", "", " object:1";
    /// Adds an object of a class; without a place it lands before the eye.
    Place { class: String, spot: Option<Spot> } = "object.place", "Place Object…", "Add", "", " mug at 1.5 1.5";
    /// Moves the selection along x and y, and hung objects along z (meters).
    Move { x: f64, y: f64, z: Option<f64> } = "object.move", "Move By…", "Object", "", " 0.5 0";
    /// Moves the selection to a point, keeping its places against each other (meters).
    MoveTo { x: f64, y: f64 } = "object.move_to", "Move To…", "Object", "", " 2 2";
    /// Turns the selection, counter-clockwise, each about its own middle (degrees).
    Rotate { degrees: f64 } = "object.rotate", "Rotate By…", "Object", "", " 90";
    /// Lets the selection look in a direction: 0 along +x, 90 along +y (degrees).
    RotateTo { degrees: f64 } = "object.rotate_to", "Rotate To…", "Object", "", " 180";
    /// Moves the selection one step of the grid along -x.
    NudgeLeft = "object.nudge_left", "Nudge Left", "Object", "Left", "";
    /// Moves the selection one step of the grid along +x.
    NudgeRight = "object.nudge_right", "Nudge Right", "Object", "Right", "";
    /// Moves the selection one step of the grid along +y.
    NudgeUp = "object.nudge_up", "Nudge Up", "Object", "Up", "";
    /// Moves the selection one step of the grid along -y.
    NudgeDown = "object.nudge_down", "Nudge Down", "Object", "Down", "";
    /// Turns the selection counter-clockwise by the step of the angle grid.
    TurnLeft = "object.turn_left", "Turn Left", "Object", "Comma", "";
    /// Turns the selection clockwise by the step of the angle grid.
    TurnRight = "object.turn_right", "Turn Right", "Object", "Period", "";
    /// Puts the selection on an object.
    PutOn { support: Item } = "object.on", "Put On…", "Object", "", " \"kitchen table\"";
    /// Puts the selection inside an object.
    PutInside { support: Item } = "object.inside", "Put Inside…", "Object", "", " fridge";
    /// Lets the selection also be drawn on an object.
    AlsoOn { support: Item } = "object.also_on", "Also On…", "Object", "", " \"kitchen table\"";
    /// Lets the selection also be drawn inside an object.
    AlsoInside { support: Item } = "object.also_inside", "Also Inside…", "Object", "", " fridge";
    /// Puts the selection on the floor where it is seen now.
    PutOnFloor = "object.floor", "Put On Floor", "Object", "", "";
    /// Asks for a number of objects, drawn for each episode.
    CountRange { min: u64, max: u64 } = "object.count", "Number…", "Object", "", " 1 3";
    /// Gives a field of the selection a value.
    Set { field: String, value: Literal } = "object.set", "Set Field…", "Object", "", " yaw_deg 45.0";
    /// Removes a field of the selection, so that its default holds.
    Unset { field: String } = "object.unset", "Unset Field…", "Object", "", " yaw_deg";
    /// Gives a field of the scenario itself a value.
    SetScenario { field: String, value: Literal } = "scenario.set", "Set Scenario Field…", "", "", " about \"A home.\"";
    /// Removes a field of the scenario itself.
    UnsetScenario { field: String } = "scenario.unset", "Unset Scenario Field…", "", "", " about";
    /// Adds a room between two corners (meters).
    RoomAdd { x0: f64, y0: f64, x1: f64, y1: f64, name: Option<String> } = "room.add", "Add Room…", "Add", "", " 20 0 24 3";
    /// Moves a corner of the selected room, counted from 0, and its walls with it (meters).
    RoomResize { corner: u64, x: f64, y: f64 } = "room.resize", "Move Corner…", "", "", " 2 5 4";
    /// Moves a wall of the selected room, counted from 0, outward (meters).
    RoomWall { wall: u64, by: f64 } = "room.wall", "Move Wall…", "", "", " 1 0.5";
    /// Adds a door on the wall between two rooms that is nearest to a point (meters).
    DoorAdd { x: f64, y: f64, width: Option<f64> } = "door.add", "Add Door…", "Add", "", " 4.6 1";
    /// Adds the walker.
    AgentAdd { room: String } = "agent.walker", "Add Walker…", "Add", "", " kitchen";
    /// Adds a hand on an arm: `myohand` or `robot`, with its first joint at a point (meters).
    HandAdd { model: String, x: f64, y: f64, z: f64 } = "agent.hand", "Add Hand…", "Add", "", " myohand 2 2 1";
    /// Adds a goal in words, with the facts that must hold.
    GoalAdd { say: String, facts: Vec<String> } = "goal.add", "Add Goal…", "Add", "", " \"Close the fridge.\" \"fridge CLOSED\"";
    /// Gives the selected goal its words and facts.
    GoalSet { say: String, facts: Vec<String> } = "goal.set", "Set Goal…", "", "", " \"Open the fridge.\" \"fridge OPEN\"";
    /// Brings the selection into view, or everything if nothing is selected.
    Frame = "view.frame", "Frame Selection", "View", "F", "";
    /// Brings everything into view.
    FrameAll = "view.frame_all", "Frame All", "View", "Home", "";
    /// Looks down from above.
    LookTop = "view.top", "Top", "View", "7", "";
    /// Looks along +y.
    LookFront = "view.front", "Front", "View", "1", "";
    /// Looks along -x.
    LookSide = "view.side", "Side", "View", "3", "";
    /// Looks down at an angle.
    LookHome = "view.home", "Angle", "View", "5", "";
    /// Turns the view around what is looked at: to the left and upward (degrees).
    ViewTurn { left: f64, up: Option<f64> } = "view.turn", "Turn View…", "", "", " 15";
    /// Turns the view 15° to the left.
    ViewTurnLeft = "view.turn_left", "Turn View Left", "View", "4", "";
    /// Turns the view 15° to the right.
    ViewTurnRight = "view.turn_right", "Turn View Right", "View", "6", "";
    /// Raises the eye by 15°.
    ViewTurnUp = "view.turn_up", "Raise View", "View", "8", "";
    /// Lowers the eye by 15°.
    ViewTurnDown = "view.turn_down", "Lower View", "View", "2", "";
    /// Shifts what is looked at: to the right and upward (heights of the picture).
    ViewShift { right: f64, up: f64 } = "view.shift", "Shift View…", "", "", " 0.1 0";
    /// Shifts the view a tenth of its height to the left.
    ViewShiftLeft = "view.shift_left", "Shift View Left", "View", "Ctrl+4", "";
    /// Shifts the view a tenth of its height to the right.
    ViewShiftRight = "view.shift_right", "Shift View Right", "View", "Ctrl+6", "";
    /// Shifts the view a tenth of its height upward.
    ViewShiftUp = "view.shift_up", "Shift View Up", "View", "Ctrl+8", "";
    /// Shifts the view a tenth of its height downward.
    ViewShiftDown = "view.shift_down", "Shift View Down", "View", "Ctrl+2", "";
    /// Comes nearer by steps of the wheel; negative ones lead away.
    ViewZoom { steps: f64 } = "view.zoom", "Zoom…", "", "", " 2";
    /// Comes nearer.
    ViewNearer = "view.nearer", "Nearer", "View", "Plus", "";
    /// Goes farther away.
    ViewFarther = "view.farther", "Farther", "View", "Minus", "";
    /// Shows the grid, or not.
    Grid { show: Option<bool> } = "view.grid", "Grid", "View", "Shift+G", "";
    /// Shows ceilings, or not.
    Ceiling { show: Option<bool> } = "view.ceiling", "Ceilings", "View", "Shift+H", "";
    /// Cuts away walls that hide rooms, or not.
    CutAway { cut: Option<bool> } = "view.cut_away", "Cut Away Walls", "View", "Shift+W", "";
    /// Shows other places where things may be drawn, or not.
    Ghosts { show: Option<bool> } = "view.ghosts", "Other Places", "View", "Shift+O", "";
    /// Shows the names of objects, or not.
    Names { show: Option<bool> } = "view.names", "Names", "View", "Shift+N", "";
    /// Holds moves to the grid, or not.
    Snap { on: Option<bool> } = "view.snap", "Snap", "View", "Shift+S", "";
    /// Sets the steps of the grid (meters, degrees).
    SnapStep { meters: f64, degrees: f64 } = "view.snap_step", "Snap Steps…", "", "", " 0.1 15";
    /// Draws everything anew that is drawn for each episode; without a seed with the next one.
    Reseed { seed: Option<u64> } = "view.reseed", "Draw Anew", "View", "Ctrl+R", "";
    /// Shows the text of the file, or not.
    FileText { show: Option<bool> } = "view.text", "File Text", "View", "Ctrl+T", "";
    /// Shows the panels, or only the viewport.
    Panels { show: Option<bool> } = "view.panels", "Panels", "View", "Ctrl+B", "";
    /// Shows a page at the bottom: `palette`, `problems`, `goals`, `text`, `play` or `episodes`.
    Page { name: String } = "view.page", "Show Page…", "", "", " problems";
    /// Switches between dark and light.
    Theme = "view.theme", "Dark or Light", "View", "", "";
    /// Moves with the handles.
    GizmoTranslate = "gizmo.translate", "Move Handles", "Tools", "G", "";
    /// Turns with the handles.
    GizmoRotate = "gizmo.rotate", "Turn Handles", "Tools", "R", "";
    /// Shows all commands.
    Commands = "view.commands", "All Commands…", "Help", "Ctrl+Shift+P", "";
    /// Starts playing the document, or goes on.
    Play = "play.start", "Play", "Play", "Space", "";
    /// Holds time.
    Pause = "play.pause", "Pause", "Play", "Shift+Space", "";
    /// Makes one step of the episode.
    Step = "play.step", "Step", "Play", "F10", "";
    /// Shows the next 1/60 s, or the next action of a hand.
    PlayFrame = "play.frame", "Frame", "Play", "F11", "";
    /// Goes back to the start of the episode.
    Reset = "play.reset", "Reset", "Play", "Shift+F5", "";
    /// Starts the next episode: things lie elsewhere where the scenario leaves it open.
    PlayNext = "play.next", "Next Episode", "Play", "Ctrl+F5", "";
    /// Starts the first episode of a seed.
    PlaySeed { seed: u64 } = "play.seed", "Reset To Seed…", "Play", "", " 1";
    /// Ends playing and goes back to editing.
    Stop = "play.stop", "Stop", "Play", "F5", "";
    /// Plays so many times as fast as real time.
    Speed { times: f64 } = "play.speed", "Speed…", "Play", "", " 2";
    /// Chooses who acts: in a home `teleoperation`, `random` or `planner`, in a hand's task `scripted` or `random`.
    Policy { name: String } = "play.policy", "Policy…", "Play", "", " planner";
    /// Carries out one verb, as in a program: `[GRAB] <mug>`.
    Verb { line: String } = "play.verb", "Act…", "Play", "", " \"[WALK] <kitchen>\"";
    /// Pulls an object toward a point with a spring (meters).
    Pull { item: Item, x: f64, y: f64, z: f64 } = "play.pull", "Pull…", "", "", " object:0 1 1 1";
    /// Lets go of what is pulled.
    Release = "play.release", "Let Go", "", "", "";
    /// Records what is played into an episode store; without a path it ends recording.
    Record { path: Option<PathBuf> } = "play.record", "Record…", "Play", "", "";
    /// Opens an episode store.
    EpisodesOpen { path: Option<PathBuf> } = "episodes.open", "Open Episodes…", "Episodes", "", "";
    /// Closes the episode store.
    EpisodesClose = "episodes.close", "Close Episodes", "Episodes", "", "";
    /// Moves damaged shards of a store aside and lists what is whole.
    EpisodesRepair = "episodes.repair", "Repair Store", "Episodes", "", "";
    /// Lists only episodes with these words.
    EpisodesFilter { text: String } = "episodes.filter", "Filter Episodes…", "Episodes", "", " success";
    /// Shows an episode, by its place in the store from 0.
    EpisodesSelect { number: u64 } = "episodes.select", "Show Episode…", "Episodes", "", " 0";
    /// Leaves the episode and shows the document again.
    EpisodesLeave = "episodes.leave", "Leave Episode", "Episodes", "", "";
    /// Shows another episode beside it, by its place in the store from 0.
    EpisodesCompare { number: u64 } = "episodes.compare", "Compare With…", "Episodes", "", " 0";
    /// Shows no other episode beside it.
    EpisodesAlone = "episodes.alone", "Compare No Longer", "Episodes", "", "";
    /// Lets time pass on the timeline, or not.
    EpisodesRun { on: Option<bool> } = "episodes.run", "Play Episode", "Episodes", "Ctrl+Space", "";
    /// Goes to a step of the episode.
    EpisodesSeek { step: u64 } = "episodes.seek", "Go To Step…", "Episodes", "", " 0";
    /// Goes to a frame of the episode: 60 a second.
    EpisodesFrame { frame: u64 } = "episodes.frame", "Go To Frame…", "Episodes", "", " 0";
    /// Goes one step on.
    EpisodesNext = "episodes.next", "Next Step", "Episodes", "PageDown", "";
    /// Goes one step back.
    EpisodesPrevious = "episodes.previous", "Previous Step", "Episodes", "PageUp", "";
    /// Goes to the first step.
    EpisodesFirst = "episodes.first", "First Step", "Episodes", "", "";
    /// Goes to the last step.
    EpisodesLast = "episodes.last", "Last Step", "Episodes", "", "";
    /// Writes the pictures of an episode to a folder.
    EpisodesPictures { folder: PathBuf } = "episodes.export_png", "Export Pictures…", "Episodes", "", " pictures";
    /// Writes an episode to a film.
    EpisodesFilm { file: PathBuf } = "episodes.export_mp4", "Export Film…", "Episodes", "", " episode.mp4";
    /// Writes what is seen to a picture.
    Screenshot { path: Option<PathBuf> } = "screenshot", "Screenshot", "View", "F12", "";
}

impl Action {
    /// Reads an action from a line of a script.
    ///
    /// # Errors
    /// When there is no such action, or its arguments are not of its kinds.
    pub fn parse(line: &str) -> Result<Self, ParseError> {
        let mut left = split(line)?;
        let name = left.pop_front().unwrap_or_default();
        let spec = ACTIONS.iter().find(|spec| spec.name == name);
        let spec = spec.ok_or(ParseError::Unknown { name })?;
        let mut words = Words {
            left,
            action: spec.name,
            example: spec.example,
        };
        let action = Self::take(spec.name, &mut words)?;
        match words.left.pop_front() {
            Some(found) => Err(ParseError::TooMany {
                action: spec.name,
                found,
            }),
            None => Ok(action),
        }
    }

    /// What the table says about it.
    pub fn spec(&self) -> &'static ActionSpec {
        let name = self.name();
        ACTIONS
            .iter()
            .find(|spec| spec.name == name)
            .expect("the table and the actions are made from one list")
    }
}

/// As it is written in a script.
impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut words = Vec::new();
        self.give(&mut words);
        let words: Vec<String> = words.into_iter().map(quoted).collect();
        f.write_str(&words.join(" "))
    }
}

/// Reads a script: an action a line; empty lines and lines that start with `#` say nothing. Each with its line, from 1.
///
/// # Errors
/// With the line that is not an action.
pub fn parse_script(text: &str) -> Result<Vec<(usize, Action)>, (usize, ParseError)> {
    let lines = text.lines().zip(1..).map(|(line, n)| (n, line.trim()));
    let lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|(n, line)| Action::parse(line).map(|a| (n, a)).map_err(|e| (n, e)))
        .collect()
}

fn quoted(word: String) -> String {
    let plain = |c: char| !c.is_whitespace() && !c.is_control() && c != '"' && c != '\\';
    if !word.is_empty() && word.chars().all(plain) {
        return word;
    }
    let mut text = String::from("\"");
    for c in word.chars() {
        match c {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '\t' => text.push_str("\\t"),
            '\r' => text.push_str("\\r"),
            c => text.push(c),
        }
    }
    text.push('"');
    text
}

fn split(line: &str) -> Result<std::collections::VecDeque<String>, ParseError> {
    let wrong = || ParseError::Quotes(line.to_owned());
    let mut words = std::collections::VecDeque::new();
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        if c.is_whitespace() {
            continue;
        }
        let mut word = String::new();
        if c == '"' {
            loop {
                match chars.next().ok_or_else(wrong)? {
                    '"' => break,
                    '\\' => word.push(match chars.next().ok_or_else(wrong)? {
                        'n' => '\n',
                        't' => '\t',
                        'r' => '\r',
                        c @ ('"' | '\\') => c,
                        _ => return Err(wrong()),
                    }),
                    c => word.push(c),
                }
            }
            if chars.peek().is_some_and(|c| !c.is_whitespace()) {
                return Err(wrong());
            }
        } else {
            word.push(c);
            while let Some(c) = chars.next_if(|c| !c.is_whitespace()) {
                if c == '"' || c == '\\' {
                    return Err(wrong());
                }
                word.push(c);
            }
        }
        words.push_back(word);
    }
    Ok(words)
}

#[cfg(test)]
mod tests;
