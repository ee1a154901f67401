//! XML as a tree of elements that know where they stand, with included files in their places.
//!
//! Nothing here knows what an element means.

use std::path::{Path, PathBuf};
use std::rc::Rc;

use crate::model::ModelError;

/// Elements inside elements, at most; a deeper file is refused before it can exhaust the stack.
const DEEPEST: usize = 200;

/// An element with its attributes and the elements inside it.
#[derive(Clone, Debug)]
pub(super) struct Element {
    pub(super) name: String,
    pub(super) attributes: Vec<Attribute>,
    pub(super) children: Vec<Element>,
    place: Place,
}

/// An attribute as it stands in the file.
#[derive(Clone, Debug)]
pub(super) struct Attribute {
    pub(super) name: String,
    pub(super) value: String,
    place: Place,
}

/// Where something stands: file, line and column, counted from 1.
#[derive(Clone, Debug)]
struct Place {
    file: Rc<str>,
    line: usize,
    column: usize,
}

/// Reads a file; each `<include file="…"/>` gives way to what is inside the root of that file. As in MuJoCo, files are named
/// relative to the folder of the first file, and none is included twice.
pub(super) fn read(path: &Path) -> Result<Element, ModelError> {
    let mut seen = Vec::new();
    let unread = |reason: String| ModelError::at("", 0, &path.to_string_lossy(), reason);
    read_file(path, path, &mut seen, unread)
}

fn read_file(
    path: &Path,
    main: &Path,
    seen: &mut Vec<PathBuf>,
    unread: impl FnOnce(String) -> ModelError,
) -> Result<Element, ModelError> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => {
            return Err(unread(format!(
                "{} cannot be read: {error}",
                path.display()
            )));
        }
    };
    seen.push(path.to_owned());
    let file: Rc<str> = path.to_string_lossy().into();
    let document = roxmltree::Document::parse(&text).map_err(|error| ModelError {
        file: file.to_string(),
        line: error.pos().row as usize,
        column: error.pos().col as usize,
        reason: format!("not XML: {error}"),
    })?;
    element(document.root_element(), &file, main, seen, 0)
}

fn element(
    node: roxmltree::Node<'_, '_>,
    file: &Rc<str>,
    main: &Path,
    seen: &mut Vec<PathBuf>,
    depth: usize,
) -> Result<Element, ModelError> {
    let place = |byte: usize| {
        let at = node.document().text_pos_at(byte);
        Place {
            file: Rc::clone(file),
            line: at.row as usize,
            column: at.col as usize,
        }
    };
    let attributes = node.attributes().map(|attribute| Attribute {
        name: attribute.name().to_owned(),
        value: attribute.value().to_owned(),
        place: place(attribute.range().start),
    });
    let mut found = Element {
        name: node.tag_name().name().to_owned(),
        attributes: attributes.collect(),
        children: Vec::new(),
        place: place(node.range().start),
    };
    if depth > DEEPEST {
        return Err(found.wrong(format!("elements are nested more than {DEEPEST} deep")));
    }
    for child in node.children().filter(roxmltree::Node::is_element) {
        let child = element(child, file, main, seen, depth + 1)?;
        if child.name == "include" {
            let named = child
                .attributes
                .iter()
                .find(|attribute| attribute.name == "file");
            let Some(named) = named else {
                return Err(child.wrong("it names no file"));
            };
            let path = main.parent().unwrap_or(Path::new("")).join(&named.value);
            if seen.contains(&path) {
                return Err(child.wrong(format!("{} is included twice", path.display())));
            }
            found
                .children
                .extend(read_file(&path, main, seen, |reason| child.wrong(reason))?.children);
        } else {
            found.children.push(child);
        }
    }
    Ok(found)
}

impl Element {
    /// The first attribute of this name.
    pub(super) fn attribute(&self, name: &str) -> Option<&Attribute> {
        self.attributes
            .iter()
            .find(|attribute| attribute.name == name)
    }

    /// An error at the element, which it names.
    pub(super) fn wrong(&self, reason: impl std::fmt::Display) -> ModelError {
        self.place.wrong(format!("{}: {reason}", self.title()))
    }

    /// The element for people: `<geom name="palm">`.
    pub(super) fn title(&self) -> String {
        match self.attribute("name") {
            Some(name) => format!("<{} name=\"{}\">", self.name, name.value),
            None => format!("<{}>", self.name),
        }
    }
}

impl Attribute {
    /// An error at the attribute, which it and its element name.
    pub(super) fn wrong(&self, of: &Element, reason: impl std::fmt::Display) -> ModelError {
        self.place
            .wrong(format!("{}: {} {reason}", of.title(), self.name))
    }
}

impl Place {
    fn wrong(&self, reason: String) -> ModelError {
        ModelError {
            file: self.file.to_string(),
            line: self.line,
            column: self.column,
            reason,
        }
    }
}
