//! A scenario file that is being edited: its text, and how it came to be what it is.
//!
//! The text is the truth. An edit changes what it names and leaves every other byte alone, so that comments, order and
//! layout survive; it is kept as one replaced stretch of the text, so undo and redo are exact by construction.
//!
//! Knows files, TOML and the tables of a scenario; not what a scenario means, nor how it looks.

use std::fs::File;
use std::io::Write as _;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use sim::hand::scenario as hand_task;
use thiserror::Error;
use toml_edit::{Array, ArrayOfTables, Decor, DocumentMut, InlineTable, Item, Table as TomlTable};
use toml_edit::{TableLike, Value};

use crate::scene::{ItemId, Table};

/// What a new document says.
const EMPTY: &str = "schema = \"habitus.scenario/1\"\nname = \"New home\"\n";

/// A scenario file that is being edited.
#[derive(Clone, Debug)]
pub struct Document {
    /// With `\n` at the ends of lines and without a mark at the start, whatever the file has.
    text: String,
    /// What the text says; empty while the text is not TOML.
    tree: DocumentMut,
    broken: Option<Broken>,
    path: Option<PathBuf>,
    encoding: Encoding,
    /// The text that is in the file, as far as we know.
    saved: String,
    stamp: Option<Stamp>,
    /// The file changed, and nobody has said yet whose version counts.
    conflict: bool,
    history: Vec<Entry>,
    /// So many entries of the history are in the text; those after it can be done again.
    done: usize,
    gesture: Option<Gesture>,
    revision: u64,
}

/// Where a text stops being TOML.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("line {line}, column {column}: {message}")]
pub struct Broken {
    /// Counted from 1.
    pub line: usize,
    /// In characters, counted from 1.
    pub column: usize,
    /// What the parser said, on one line.
    pub message: String,
}

/// How a file's bytes differ from the text, the same from start to end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Encoding {
    /// Starts with the mark U+FEFF.
    mark: bool,
    /// Lines end in `\r\n`.
    crlf: bool,
}

/// What tells two versions of a file apart without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    modified: Option<SystemTime>,
    length: u64,
}

/// One entry of the history: a stretch of the text that became another.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    label: String,
    at: usize,
    before: String,
    after: String,
}

/// Edits that become one entry.
#[derive(Clone, Debug)]
struct Gesture {
    label: String,
    before: String,
}

/// A change of one thing in a document.
#[derive(Clone, Debug)]
pub enum Edit {
    /// Gives a field a value; `field` is a path of names and places in lists joined by dots: `at`, `count.min`,
    /// `body.walker.at`, `between.0`.
    Set {
        /// Which entry.
        item: ItemId,
        /// Which field of it.
        field: String,
        /// What it becomes.
        value: Value,
    },
    /// Removes a field, or a place of a list; nothing happens if it is not there.
    Unset {
        /// Which entry.
        item: ItemId,
        /// Which field of it.
        field: String,
    },
    /// Adds an entry before the one that has this index.
    Insert {
        /// To which table.
        table: Table,
        /// From 0 to the number of entries.
        index: usize,
        /// Its fields as TOML, a line each, without a header.
        body: String,
    },
    /// Removes an entry; comments above it stay.
    Remove(ItemId),
    /// Gives a field outside all tables a value: `name`, `about`, `task.reach.share`.
    SetTop {
        /// Which field.
        field: String,
        /// What it becomes.
        value: Value,
    },
    /// Removes a field outside all tables.
    UnsetTop {
        /// Which field.
        field: String,
    },
}

/// A file that cannot be read or written.
#[derive(Debug, Error)]
pub enum DocumentError {
    /// The file cannot be read.
    #[error("\"{}\" cannot be read: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is not UTF-8.
    #[error("\"{}\" is not text in UTF-8 (first other byte after {valid} bytes)", path.display())]
    NotText {
        /// The file.
        path: PathBuf,
        /// So many bytes are.
        valid: usize,
    },
    /// The file cannot be written.
    #[error("\"{}\" cannot be written: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The document has no file yet.
    #[error("the document has no file yet (expected a path to save it to)")]
    NoPath,
    /// Somebody else changed the file.
    #[error("\"{}\" was changed by another program since it was read (expected to keep mine or to load theirs first)", path.display())]
    Conflict {
        /// The file.
        path: PathBuf,
    },
}

/// An edit that cannot be made; the document is as before.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum EditError {
    /// The document is not TOML.
    #[error("the file is not TOML and cannot be edited here ({0})")]
    Broken(Broken),
    /// There is no such entry.
    #[error("there is no [[{}]] number {index} (the file has {count}, counted from 0)", table.name())]
    NoItem {
        /// Of which table.
        table: Table,
        /// What was asked for.
        index: usize,
        /// How many there are.
        count: usize,
    },
    /// The path of a field leads through something that has no fields.
    #[error(
        "\"{field}\" cannot be set: there is no place for \"{part}\" (expected fields, or a list that is long enough)"
    )]
    NoField {
        /// The whole path.
        field: String,
        /// The part where it ends.
        part: String,
    },
    /// The fields of a new entry are not TOML.
    #[error("the new entry is not TOML ({0})")]
    Body(Broken),
}

/// What happened to the file on the disk.
#[derive(Debug)]
pub enum DiskChange {
    /// It was read again: nothing of ours was lost.
    Reloaded,
    /// It changed, and so did the document: one of the two has to give way.
    Conflict,
    /// It changed to something that is not TOML: the last good version stays.
    Broken(Broken),
    /// It is gone; the document stays as it is, unsaved.
    Gone,
}

impl Document {
    /// A document without a file: a home without rooms.
    pub fn new_empty() -> Self {
        Self::from_text(EMPTY)
    }

    /// A document without a file that says `text`.
    pub fn from_text(text: &str) -> Self {
        let (encoding, text) = Encoding::split(text);
        let mut document = Self {
            saved: text.clone(),
            text,
            tree: DocumentMut::new(),
            broken: None,
            path: None,
            encoding,
            stamp: None,
            conflict: false,
            history: Vec::new(),
            done: 0,
            gesture: None,
            revision: 0,
        };
        document.parse();
        document
    }

    /// Reads a file. One that is not TOML opens too, and says so in [`Document::broken`].
    ///
    /// # Errors
    /// When it cannot be read or is not UTF-8.
    pub fn open(path: &Path) -> Result<Self, DocumentError> {
        let (text, stamp) = read(path)?;
        let mut document = Self::from_text(&text);
        document.path = Some(path.to_owned());
        document.stamp = stamp;
        Ok(document)
    }

    /// The text, with `\n` at the ends of lines.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What the text says; of a text that is not TOML, nothing.
    pub fn tree(&self) -> &DocumentMut {
        &self.tree
    }

    /// Where the text stops being TOML, if it does.
    pub fn broken(&self) -> Option<&Broken> {
        self.broken.as_ref()
    }

    /// The file, if it has one.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Name to show: that of the file.
    pub fn title(&self) -> String {
        let name = self.path.as_deref().and_then(Path::file_name);
        name.map_or_else(
            || "untitled".to_owned(),
            |n| n.to_string_lossy().into_owned(),
        )
    }

    /// Whether the text is not what is in the file.
    pub fn is_dirty(&self) -> bool {
        self.text != self.saved
    }

    /// Grows with every change of the text.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// How many entries a table has.
    pub fn len(&self, table: Table) -> usize {
        match self.tree.get(table.name()) {
            Some(Item::ArrayOfTables(tables)) => tables.len(),
            Some(Item::Value(Value::Array(array))) => array.len(),
            _ => 0,
        }
    }

    /// Whether no table has an entry.
    pub fn is_empty(&self) -> bool {
        Table::ALL.iter().all(|table| self.len(*table) == 0)
    }

    /// The fields of an entry.
    pub fn item(&self, item: ItemId) -> Option<&dyn TableLike> {
        match self.tree.get(item.table.name())? {
            Item::ArrayOfTables(tables) => tables.get(item.index).map(|t| t as &dyn TableLike),
            Item::Value(Value::Array(array)) => {
                let table = array.get(item.index)?.as_inline_table()?;
                Some(table as &dyn TableLike)
            }
            _ => None,
        }
    }

    /// A field of an entry by its path, as in [`Edit::Set`].
    pub fn field(&self, item: ItemId, field: &str) -> Option<&Item> {
        let mut parts = field.split('.');
        let mut at = self.item(item)?.get(parts.next()?)?;
        for part in parts {
            at = at.as_table_like()?.get(part)?;
        }
        Some(at)
    }

    /// A field outside all tables by its path, as in [`Edit::SetTop`].
    pub fn top(&self, field: &str) -> Option<&Item> {
        let mut parts = field.split('.');
        let mut at = self.tree.get(parts.next()?)?;
        for part in parts {
            at = at.as_table_like()?.get(part)?;
        }
        Some(at)
    }

    /// Whether it says that it is a hand's task, not a home.
    pub fn is_hand_task(&self) -> bool {
        let kind = |schema: &str| schema.split('/').next().map(str::to_owned);
        let schema = self.top("schema").and_then(Item::as_str);
        schema.is_some_and(|schema| kind(schema) == kind(hand_task::SCHEMA))
    }

    /// All entries, table by table.
    pub fn items(&self) -> impl Iterator<Item = ItemId> + '_ {
        Table::ALL
            .into_iter()
            .flat_map(|table| (0..self.len(table)).map(move |index| ItemId { table, index }))
    }

    /// Makes edits, one after the other, as one entry of the history; or none of them.
    ///
    /// # Errors
    /// When one of them cannot be made.
    pub fn apply(&mut self, label: &str, edits: &[Edit]) -> Result<(), EditError> {
        if let Some(broken) = &self.broken {
            return Err(EditError::Broken(broken.clone()));
        }
        let mut structure = false;
        for edit in edits {
            if let Edit::Insert { table, index, .. } = edit {
                structure |= *index < self.len(*table);
            }
            if let Err(error) = edit_tree(&mut self.tree, edit) {
                self.parse();
                return Err(error);
            }
        }
        let after = self.tree.to_string();
        let Some((range, replacement)) = difference(&self.text, &after) else {
            return Ok(());
        };
        if self.gesture.is_none() {
            let entry = Entry {
                label: label.to_owned(),
                at: range.start,
                before: self.text[range].to_owned(),
                after: after[replacement].to_owned(),
            };
            self.remember(entry);
        }
        self.text = after;
        self.revision += 1;
        if structure {
            // Tables know their places in the file only once it is read; one at the end of its list needs none.
            self.parse();
        }
        Ok(())
    }

    /// From here on edits are one entry of the history, until [`Document::end_gesture`]. A gesture within a gesture is
    /// part of it.
    pub fn begin_gesture(&mut self, label: &str) {
        if self.gesture.is_none() {
            self.gesture = Some(Gesture {
                label: label.to_owned(),
                before: self.text.clone(),
            });
        }
    }

    /// Ends what [`Document::begin_gesture`] began; without a change there is no entry.
    pub fn end_gesture(&mut self) {
        let Some(Gesture { label, before }) = self.gesture.take() else {
            return;
        };
        if let Some((range, replacement)) = difference(&before, &self.text) {
            let entry = Entry {
                label,
                at: range.start,
                before: before[range].to_owned(),
                after: self.text[replacement].to_owned(),
            };
            self.remember(entry);
        }
    }

    /// Whether a gesture has begun and not ended.
    pub fn in_gesture(&self) -> bool {
        self.gesture.is_some()
    }

    /// Takes back everything since [`Document::begin_gesture`].
    pub fn cancel_gesture(&mut self) {
        if let Some(gesture) = self.gesture.take() {
            self.replace(gesture.before);
        }
    }

    /// Takes the last entry of the history back; its label.
    pub fn undo(&mut self) -> Option<&str> {
        self.end_gesture();
        let entry = self.history.get(self.done.checked_sub(1)?)?;
        let range = entry.at..entry.at + entry.after.len();
        self.text.replace_range(range, &entry.before);
        self.done -= 1;
        self.revision += 1;
        self.parse();
        Some(&self.history[self.done].label)
    }

    /// Makes the entry again that was taken back last; its label.
    pub fn redo(&mut self) -> Option<&str> {
        self.end_gesture();
        let entry = self.history.get(self.done)?;
        let range = entry.at..entry.at + entry.before.len();
        self.text.replace_range(range, &entry.after);
        self.done += 1;
        self.revision += 1;
        self.parse();
        Some(&self.history[self.done - 1].label)
    }

    /// What [`Document::undo`] would take back.
    pub fn undo_label(&self) -> Option<&str> {
        let entry = self.history.get(self.done.checked_sub(1)?)?;
        Some(&entry.label)
    }

    /// What [`Document::redo`] would make again.
    pub fn redo_label(&self) -> Option<&str> {
        self.history.get(self.done).map(|e| e.label.as_str())
    }

    /// How many entries of the history are in the text.
    pub fn history_len(&self) -> usize {
        self.done
    }

    /// Writes the text to its file, or to `path` from now on: first beside it, then in its place, so that a fault leaves
    /// the old file whole.
    ///
    /// # Errors
    /// When there is no path, the file cannot be written, or another program changed it since it was read.
    pub fn save(&mut self, path: Option<&Path>) -> Result<(), DocumentError> {
        self.end_gesture();
        let Some(to) = path.or(self.path.as_deref()).map(Path::to_owned) else {
            return Err(DocumentError::NoPath);
        };
        let own = self.path.as_deref() == Some(&to);
        if own && self.conflict {
            return Err(DocumentError::Conflict { path: to });
        }
        if own && self.stamp.is_some() && stamp(&to) != self.stamp {
            let theirs = read(&to).ok().map(|(text, _)| Encoding::split(&text).1);
            if theirs.is_some_and(|t| t != self.saved && t != self.text) {
                self.conflict = true;
                return Err(DocumentError::Conflict { path: to });
            }
        }
        write(&to, &self.encoding.join(&self.text))?;
        if let Some(side) = self.autosave_path() {
            remove(&side);
        }
        self.stamp = stamp(&to);
        self.conflict = false;
        self.path = Some(to);
        self.saved.clone_from(&self.text);
        Ok(())
    }

    /// Looks whether the file changed on the disk, and reads it again if that loses nothing.
    ///
    /// # Errors
    /// When it changed and cannot be read.
    pub fn check_disk(&mut self) -> Result<Option<DiskChange>, DocumentError> {
        let Some(path) = self.path.clone() else {
            return Ok(None);
        };
        let now = stamp(&path);
        if now == self.stamp {
            return Ok(None);
        }
        if now.is_none() {
            self.stamp = None;
            self.saved.clear();
            return Ok(Some(DiskChange::Gone));
        }
        let (text, stamp) = read(&path)?;
        let (encoding, text) = Encoding::split(&text);
        self.stamp = stamp;
        self.conflict = false;
        if text == self.saved {
            return Ok(None);
        }
        if text == self.text {
            self.saved = text;
            return Ok(None);
        }
        if self.is_dirty() {
            self.conflict = true;
            return Ok(Some(DiskChange::Conflict));
        }
        if let (Err(error), None) = (text.parse::<DocumentMut>(), &self.broken) {
            self.conflict = true;
            return Ok(Some(DiskChange::Broken(Broken::new(&text, &error))));
        }
        self.load(encoding, text);
        Ok(Some(DiskChange::Reloaded))
    }

    /// Reads the file again in place of what the document says, as an entry of the history.
    ///
    /// # Errors
    /// When there is no file or it cannot be read.
    pub fn load_theirs(&mut self) -> Result<(), DocumentError> {
        let path = self.path.clone().ok_or(DocumentError::NoPath)?;
        let (text, stamp) = read(&path)?;
        let (encoding, text) = Encoding::split(&text);
        self.stamp = stamp;
        self.load(encoding, text);
        Ok(())
    }

    /// From here on the file on the disk counts as seen: saving writes over it.
    pub fn keep_mine(&mut self) {
        self.conflict = false;
        if let Some(path) = &self.path {
            self.stamp = stamp(path);
            if let Ok((text, _)) = read(path) {
                self.saved = Encoding::split(&text).1;
            }
        }
    }

    /// Where unsaved work is kept: beside the file.
    pub fn autosave_path(&self) -> Option<PathBuf> {
        let path = self.path.as_deref()?;
        let mut name = std::ffi::OsString::from(".");
        name.push(path.file_name()?);
        name.push(".autosave");
        Some(path.with_file_name(name))
    }

    /// Keeps unsaved work beside the file; nothing for a document without a file or without changes.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn autosave(&self) -> Result<(), DocumentError> {
        match self.autosave_path() {
            Some(side) if self.is_dirty() => write(&side, &self.encoding.join(&self.text)),
            _ => Ok(()),
        }
    }

    /// Work that was kept beside the file and never saved, if it differs from what the file says.
    pub fn unsaved_work(&self) -> Option<String> {
        let (text, _) = read(&self.autosave_path()?).ok()?;
        let (_, text) = Encoding::split(&text);
        (text != self.text).then_some(text)
    }

    /// Takes the unsaved work over, as an entry of the history.
    pub fn recover(&mut self) {
        if let Some(text) = self.unsaved_work() {
            self.change_whole("Recover unsaved work", text);
        }
        self.forget_unsaved_work();
    }

    /// Removes the unsaved work.
    pub fn forget_unsaved_work(&self) {
        if let Some(side) = self.autosave_path() {
            remove(&side);
        }
    }

    /// The whole text becomes another, as one entry of the history.
    pub fn change_whole(&mut self, label: &str, text: String) {
        self.end_gesture();
        if let Some((range, replacement)) = difference(&self.text, &text) {
            let entry = Entry {
                label: label.to_owned(),
                at: range.start,
                before: self.text[range].to_owned(),
                after: text[replacement].to_owned(),
            };
            self.remember(entry);
            self.replace(text);
        }
    }

    /// Where each entry is in the text, in the order of [`Document::items`]: found by reading the text once more.
    pub fn spans(&self) -> Vec<(ItemId, Range<usize>)> {
        let Ok(document) = toml_edit::Document::parse(self.text.as_str()) else {
            return Vec::new();
        };
        let mut spans = Vec::new();
        let mut add = |table, index, span: Option<Range<usize>>| {
            spans.extend(span.map(|span| (ItemId { table, index }, span)));
        };
        for table in Table::ALL {
            match document.as_table().get(table.name()) {
                Some(Item::ArrayOfTables(tables)) => {
                    for (index, entry) in tables.iter().enumerate() {
                        add(table, index, table_span(entry));
                    }
                }
                Some(Item::Value(Value::Array(array))) => {
                    for (index, entry) in array.iter().enumerate() {
                        add(table, index, entry.span());
                    }
                }
                _ => {}
            }
        }
        spans
    }

    fn load(&mut self, encoding: Encoding, text: String) {
        self.conflict = false;
        self.encoding = encoding;
        self.saved.clone_from(&text);
        self.change_whole("Load from disk", text);
    }

    fn replace(&mut self, text: String) {
        if self.text != text {
            self.text = text;
            self.revision += 1;
            self.parse();
        }
    }

    fn remember(&mut self, entry: Entry) {
        self.history.truncate(self.done);
        self.history.push(entry);
        self.done = self.history.len();
    }

    fn parse(&mut self) {
        match self.text.parse::<DocumentMut>() {
            Ok(tree) => {
                self.tree = tree;
                self.broken = None;
            }
            Err(error) => {
                self.broken = Some(Broken::new(&self.text, &error));
                self.tree = DocumentMut::new();
            }
        }
    }
}

impl Table {
    /// All tables, as a scenario usually orders them.
    pub const ALL: [Self; 5] = [
        Self::Room,
        Self::Door,
        Self::Object,
        Self::Agent,
        Self::Goal,
    ];

    /// Its name in the file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Room => "room",
            Self::Door => "door",
            Self::Object => "object",
            Self::Agent => "agent",
            Self::Goal => "goal",
        }
    }
}

impl Broken {
    fn new(text: &str, error: &toml_edit::TomlError) -> Self {
        let start = error.span().map_or(0, |s| s.start);
        let before = text.get(..start).unwrap_or(text);
        let line = before.rfind('\n').map_or(0, |i| i + 1);
        Self {
            line: before.matches('\n').count() + 1,
            column: before[line..].chars().count() + 1,
            message: error.message().trim().replace('\n', ", "),
        }
    }
}

impl Encoding {
    /// How the bytes are written, and the text in them. Mixed ends of lines stay in the text.
    fn split(raw: &str) -> (Self, String) {
        let text = raw.strip_prefix('\u{feff}');
        let mark = text.is_some();
        let text = text.unwrap_or(raw);
        let ends = text.matches('\n').count();
        let crlf = ends > 0 && text.matches("\r\n").count() == ends;
        let text = if crlf {
            text.replace("\r\n", "\n")
        } else {
            text.to_owned()
        };
        (Self { mark, crlf }, text)
    }

    fn join(self, text: &str) -> String {
        let mark = if self.mark { "\u{feff}" } else { "" };
        if self.crlf {
            format!("{mark}{}", text.replace('\n', "\r\n"))
        } else {
            format!("{mark}{text}")
        }
    }
}

/// The stretch of `before` that has to be replaced by that stretch of `after`; none if they are equal.
fn difference(before: &str, after: &str) -> Option<(Range<usize>, Range<usize>)> {
    if before == after {
        return None;
    }
    let (a, b) = (before.as_bytes(), after.as_bytes());
    let mut start = a.iter().zip(b).take_while(|(x, y)| x == y).count();
    while !(before.is_char_boundary(start) && after.is_char_boundary(start)) {
        start -= 1;
    }
    let (rest_a, rest_b) = (&a[start..], &b[start..]);
    let ends = rest_a.iter().rev().zip(rest_b.iter().rev());
    let mut end = ends.take_while(|(x, y)| x == y).count();
    while !(before.is_char_boundary(a.len() - end) && after.is_char_boundary(b.len() - end)) {
        end -= 1;
    }
    Some((start..a.len() - end, start..b.len() - end))
}

/// From the header to the end of the last field, those of tables below it included.
fn table_span(table: &TomlTable) -> Option<Range<usize>> {
    let mut span = table.span()?;
    for (_, item) in table.iter() {
        let inner = match item {
            Item::Table(inner) => table_span(inner),
            Item::ArrayOfTables(inner) => inner.iter().filter_map(table_span).last(),
            item => item.span(),
        };
        if let Some(inner) = inner {
            span.end = span.end.max(inner.end);
        }
    }
    Some(span)
}

fn edit_tree(tree: &mut DocumentMut, edit: &Edit) -> Result<(), EditError> {
    match edit {
        Edit::Set { item, field, value } => {
            let (path, last) = split_path(field);
            let at = walk(item_mut(tree, *item)?, &path, field)?;
            set(at, last, value.clone(), field)
        }
        Edit::Unset { item, field } => {
            unset_path(item_mut(tree, *item)?, field);
            Ok(())
        }
        Edit::Insert { table, index, body } => insert(tree, *table, *index, body),
        Edit::Remove(item) => remove_item(tree, *item),
        Edit::SetTop { field, value } => {
            let (path, last) = split_path(field);
            let at = walk(Holder::Table(tree.as_table_mut()), &path, field)?;
            set(at, last, value.clone(), field)
        }
        Edit::UnsetTop { field } => {
            unset_path(Holder::Table(tree.as_table_mut()), field);
            Ok(())
        }
    }
}

/// What has places for values.
enum Holder<'a> {
    Table(&'a mut dyn TableLike),
    Inline(&'a mut InlineTable),
    List(&'a mut Array),
}

fn no_field(field: &str, part: &str) -> EditError {
    EditError::NoField {
        field: field.to_owned(),
        part: part.to_owned(),
    }
}

fn split_path(field: &str) -> (Vec<&str>, &str) {
    let mut path: Vec<&str> = field.split('.').collect();
    let last = path.pop().unwrap_or(field);
    (path, last)
}

/// Removes what a path leads to, if it leads anywhere.
fn unset_path(mut at: Holder<'_>, field: &str) {
    let (path, last) = split_path(field);
    for part in path {
        match step(at, part) {
            Some(next) => at = next,
            None => return,
        }
    }
    unset(at, last);
}

/// Follows a path and makes the tables that are not there yet.
fn walk<'a>(mut at: Holder<'a>, path: &[&str], field: &str) -> Result<Holder<'a>, EditError> {
    for part in path {
        match &mut at {
            Holder::Table(table) if table.get(part).is_none() => {
                table.insert(part, Item::Value(InlineTable::new().into()));
            }
            Holder::Inline(table) if table.get(part).is_none() => {
                append(table, part, InlineTable::new().into());
            }
            _ => {}
        }
        at = step(at, part).ok_or_else(|| no_field(field, part))?;
    }
    Ok(at)
}

fn step<'a>(at: Holder<'a>, part: &str) -> Option<Holder<'a>> {
    let value = match at {
        Holder::Table(table) => match table.get_mut(part)? {
            Item::Table(table) => return Some(Holder::Table(table)),
            Item::Value(value) => value,
            _ => return None,
        },
        Holder::Inline(table) => table.get_mut(part)?,
        Holder::List(list) => list.get_mut(part.parse::<usize>().ok()?)?,
    };
    match value {
        Value::InlineTable(table) => Some(Holder::Inline(table)),
        Value::Array(list) => Some(Holder::List(list)),
        _ => None,
    }
}

/// Puts a value in its place and leaves what is around it.
fn set(at: Holder<'_>, part: &str, mut value: Value, field: &str) -> Result<(), EditError> {
    let old = match at {
        Holder::Table(table) => match table.get_mut(part) {
            Some(Item::Value(old)) => old,
            Some(old) => {
                *old = Item::Value(value);
                return Ok(());
            }
            None => {
                table.insert(part, Item::Value(value));
                return Ok(());
            }
        },
        Holder::Inline(table) => {
            if !table.contains_key(part) {
                append(table, part, value);
                return Ok(());
            }
            table.get_mut(part).ok_or_else(|| no_field(field, part))?
        }
        Holder::List(list) => {
            let index = part.parse::<usize>().ok();
            match index {
                Some(i) if i == list.len() => {
                    list.push(value);
                    return Ok(());
                }
                Some(i) if i < list.len() => list.get_mut(i),
                _ => None,
            }
            .ok_or_else(|| no_field(field, part))?
        }
    };
    *value.decor_mut() = old.decor().clone();
    *old = value;
    Ok(())
}

/// Adds a field behind the last one of `{ … }`; the space before the bracket stays before the bracket.
fn append(table: &mut InlineTable, field: &str, mut value: Value) {
    let last = table.iter_mut().last();
    let space = last.and_then(|(_, last)| {
        let decor = last.decor_mut();
        let space = decor.suffix()?.as_str()?.to_owned();
        decor.set_suffix("");
        Some(space)
    });
    *value.decor_mut() = Decor::new(" ", space.unwrap_or_else(|| " ".to_owned()));
    table.insert(field, value);
}

fn unset(at: Holder<'_>, part: &str) {
    match at {
        Holder::Table(table) => {
            table.remove(part);
        }
        Holder::Inline(table) => {
            let last = table.iter().last();
            let space = last.and_then(|(_, last)| last.decor().suffix().cloned());
            table.remove(part);
            if let (Some((_, last)), Some(space)) = (table.iter_mut().last(), space) {
                last.decor_mut().set_suffix(space);
            }
        }
        Holder::List(list) => {
            let Some(i) = part.parse().ok().filter(|i| *i < list.len()) else {
                return;
            };
            let gone = list.remove(i);
            if let (0, Some(first), Some(prefix)) = (i, list.get_mut(0), gone.decor().prefix()) {
                first.decor_mut().set_prefix(prefix.clone());
            }
        }
    }
}

fn item_mut(tree: &mut DocumentMut, item: ItemId) -> Result<Holder<'_>, EditError> {
    let ItemId { table, index } = item;
    let (found, count) = match tree.get_mut(table.name()) {
        Some(Item::ArrayOfTables(tables)) => {
            let count = tables.len();
            let found = tables.get_mut(index);
            (found.map(|t| Holder::Table(t as &mut dyn TableLike)), count)
        }
        Some(Item::Value(Value::Array(array))) => {
            let count = array.len();
            let found = array.get_mut(index).and_then(Value::as_inline_table_mut);
            (found.map(Holder::Inline), count)
        }
        _ => (None, 0),
    };
    found.ok_or(EditError::NoItem {
        table,
        index,
        count,
    })
}

fn insert(tree: &mut DocumentMut, table: Table, index: usize, body: &str) -> Result<(), EditError> {
    let parsed = body.parse::<DocumentMut>();
    let parsed = parsed.map_err(|e| EditError::Body(Broken::new(body, &e)))?;
    let mut entry = parsed.into_table();
    forget_positions(&mut entry);
    let root = tree.as_table_mut();
    let before = !root.is_empty();
    let known = matches!(
        root.get(table.name()),
        Some(Item::ArrayOfTables(_) | Item::Value(Value::Array(_)))
    );
    if !known {
        root.insert(table.name(), Item::ArrayOfTables(ArrayOfTables::new()));
    }
    let count = match root.get(table.name()) {
        Some(Item::ArrayOfTables(tables)) => tables.len(),
        Some(Item::Value(Value::Array(array))) => array.len(),
        _ => 0,
    };
    if index > count {
        return Err(EditError::NoItem {
            table,
            index,
            count,
        });
    }
    match root.get_mut(table.name()) {
        Some(Item::ArrayOfTables(tables)) => {
            entry.decor_mut().set_prefix(if before { "\n" } else { "" });
            // Of two tables with one position, that which comes first in the list is printed first; without a position,
            // it is printed behind the one before it in the list.
            entry.set_position(tables.get(index).and_then(TomlTable::position));
            tables.insert(index, entry);
        }
        Some(Item::Value(Value::Array(array))) => {
            array.insert(index, Value::InlineTable(entry.into_inline_table()));
        }
        _ => {}
    }
    Ok(())
}

/// Tables take the place of those that are printed before them.
fn forget_positions(table: &mut TomlTable) {
    table.set_position(None);
    for (_, item) in table.iter_mut() {
        match item {
            Item::Table(inner) => forget_positions(inner),
            Item::ArrayOfTables(inner) => inner.iter_mut().for_each(forget_positions),
            _ => {}
        }
    }
}

fn remove_item(tree: &mut DocumentMut, item: ItemId) -> Result<(), EditError> {
    item_mut(tree, item)?;
    let name = item.table.name();
    let gone = match tree.get_mut(name) {
        Some(Item::ArrayOfTables(tables)) => tables.remove(item.index),
        Some(Item::Value(Value::Array(array))) => {
            array.remove(item.index);
            return Ok(());
        }
        _ => return Ok(()),
    };
    let left = tree.get(name).and_then(Item::as_array_of_tables);
    if left.is_some_and(ArrayOfTables::is_empty) {
        tree.remove(name);
    }
    let comments = gone.decor().prefix().and_then(|p| p.as_str());
    if let Some(comments) = comments.filter(|p| p.contains('#')) {
        keep_comments(tree, comments, gone.position());
    }
    Ok(())
}

/// Comments that stood above a table go above the next one of the file, or to its end.
fn keep_comments(tree: &mut DocumentMut, comments: &str, position: Option<isize>) {
    let tables = tree.as_table_mut().iter_mut().flat_map(|(_, item)| {
        let tables: Vec<&mut TomlTable> = match item {
            Item::Table(table) => vec![table],
            Item::ArrayOfTables(tables) => tables.iter_mut().collect(),
            _ => Vec::new(),
        };
        tables
    });
    let behind = tables.filter(|table| table.position() > position);
    let next = behind.min_by_key(|table| table.position());
    match next {
        Some(table) => {
            let own = table.decor().prefix().and_then(|p| p.as_str());
            let own = own.unwrap_or_default().trim_start_matches('\n');
            let prefix = format!("{comments}{own}");
            table.decor_mut().set_prefix(prefix);
        }
        None => {
            let trailing = tree.trailing().as_str().unwrap_or_default();
            let trailing = format!("{comments}{trailing}");
            tree.set_trailing(trailing);
        }
    }
}

fn read(path: &Path) -> Result<(String, Option<Stamp>), DocumentError> {
    let stamp = stamp(path);
    let bytes = std::fs::read(path).map_err(|source| DocumentError::Read {
        path: path.to_owned(),
        source,
    })?;
    let text = String::from_utf8(bytes).map_err(|error| DocumentError::NotText {
        path: path.to_owned(),
        valid: error.utf8_error().valid_up_to(),
    })?;
    Ok((text, stamp))
}

fn stamp(path: &Path) -> Option<Stamp> {
    let data = std::fs::metadata(path).ok()?;
    Some(Stamp {
        modified: data.modified().ok(),
        length: data.len(),
    })
}

/// Writes beside the file, then puts that in its place; a link stays one.
fn write(path: &Path, text: &str) -> Result<(), DocumentError> {
    let target = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let error = |source| DocumentError::Write {
        path: path.to_owned(),
        source,
    };
    let mut name = std::ffi::OsString::from(".");
    name.push(target.file_name().unwrap_or_default());
    name.push(".new");
    let beside = target.with_file_name(name);
    let result = File::create(&beside)
        .and_then(|mut file| {
            file.write_all(text.as_bytes())
                .and_then(|()| file.sync_all())
        })
        .and_then(|()| match std::fs::metadata(&target) {
            Ok(data) => std::fs::set_permissions(&beside, data.permissions()),
            Err(_) => Ok(()),
        })
        .and_then(|()| std::fs::rename(&beside, &target));
    if result.is_err() {
        remove(&beside);
    }
    result.map_err(error)
}

/// Removes a file of ours; that it is not there is as good.
fn remove(path: &Path) {
    drop(std::fs::remove_file(path));
}

#[cfg(test)]
mod tests;
