//! What is wrong with a file that a person wrote, said so that an editor can jump there.

use std::fmt;
use std::ops::Range;
use std::path::Path;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Line, counted from 1; 0 if the file as a whole is meant.
    pub line: usize,
    /// Column in characters, counted from 1; 0 if the file as a whole is meant.
    pub column: usize,
    /// What is wrong, what was expected and what was found.
    pub message: String,
}

impl Problem {
    /// A problem with the part of `text` that starts at byte `span.start`.
    pub fn at(text: &str, span: Range<usize>, message: impl Into<String>) -> Self {
        let before = text.get(..span.start).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |i| i + 1);
        Self {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            message: message.into(),
        }
    }

    /// A problem with the whole file.
    pub fn whole(message: impl Into<String>) -> Self {
        Self {
            line: 0,
            column: 0,
            message: message.into(),
        }
    }

    /// What the TOML parser had to say about `text`, on one line.
    pub(crate) fn toml(text: &str, error: &toml::de::Error) -> Self {
        let message = error.message().trim().replace('\n', ", ");
        match error.span() {
            Some(span) => Self::at(text, span, message),
            None => Self::whole(message),
        }
    }
}

/// A file that cannot be used, with everything that is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputError {
    /// The file, as it was named by the user.
    pub file: String,
    /// At least one problem, in the order of the file.
    pub problems: Vec<Problem>,
}

impl InputError {
    /// An error about `file`; the problems are put in the order of the file.
    pub(crate) fn new(file: &str, mut problems: Vec<Problem>) -> Self {
        problems.sort_by_key(|p| (p.line, p.column));
        problems.dedup();
        Self {
            file: file.to_owned(),
            problems,
        }
    }
}

/// One line per problem: `file:line:column: message`.
impl fmt::Display for InputError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.problems.iter().enumerate() {
            if i > 0 {
                writeln!(f)?;
            }
            write!(f, "{}", self.file)?;
            if problem.line > 0 {
                write!(f, ":{}:{}", problem.line, problem.column)?;
            }
            write!(f, ": {}", problem.message)?;
        }
        Ok(())
    }
}

impl std::error::Error for InputError {}

/// The text of a file.
pub(crate) fn read_text(path: &Path) -> Result<String, InputError> {
    let text = std::fs::read(path)
        .map_err(|e| format!("cannot be read: {e}"))
        .and_then(|bytes| {
            String::from_utf8(bytes).map_err(|e| format!("is not text in UTF-8: {e}"))
        });
    text.map_err(|message| InputError::new(&path.to_string_lossy(), vec![Problem::whole(message)]))
}

/// The name that is most like `name`, if one is much like it.
pub(crate) fn nearest<'a>(name: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    names
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(name, candidate), candidate))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0).then_with(|| b.1.cmp(a.1)))
        .map(|(_, candidate)| candidate)
}

/// `, did you mean "…"?` if one of the names is much like `name`, else nothing.
pub fn did_you_mean<'a>(name: &str, names: impl IntoIterator<Item = &'a str>) -> String {
    nearest(name, names).map_or_else(String::new, |near| format!(", did you mean \"{near}\"?"))
}
