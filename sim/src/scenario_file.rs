//! Scenario files of both kinds: a house to live in, or a hand and its task. The file's `schema` says which.

use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;

use crate::hand::scenario::{self as hand_task, HandScenario};
use crate::problem::{InputError, read_text};
use crate::scenario::{self, LoadedScenario};

/// A scenario file that was read and checked.
#[derive(Clone, Debug)]
pub enum ScenarioFile {
    /// A house.
    House(Arc<LoadedScenario>),
    /// A hand and its task.
    Hand(Arc<HandScenario>),
}

impl ScenarioFile {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// When the file cannot be read, is not TOML, or describes something that cannot be.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, InputError> {
        let path = path.as_ref();
        let text = read_text(path)?;
        Self::load_text(&text, path)
    }

    /// Checks a scenario given as text; `path` is its name in errors and need not exist.
    ///
    /// # Errors
    /// As [`ScenarioFile::load`].
    pub fn load_text(text: &str, path: impl AsRef<Path>) -> Result<Self, InputError> {
        /// All that tells the kinds apart.
        #[derive(Deserialize)]
        struct Head {
            schema: String,
        }
        let head: Result<Head, _> = toml::from_str(text);
        let kind = hand_task::SCHEMA
            .split_once('/')
            .map_or("", |(kind, _)| kind);
        match head {
            Ok(head) if head.schema.split('/').next() == Some(kind) => {
                Ok(Self::Hand(Arc::new(HandScenario::load_text(text, path)?)))
            }
            // What is wrong with any other file, the house's checks say.
            _ => Ok(Self::House(Arc::new(scenario::load_text(text, path)?))),
        }
    }

    /// The tasks of its kind, in order, where a hand's task varies; itself alone where nothing does.
    ///
    /// # Errors
    /// As [`HandScenario::variants`].
    pub fn variants(self) -> Result<Vec<Self>, InputError> {
        match &self {
            Self::Hand(hand) if hand.hand_task.vary.is_some() => {
                let all = hand.variants()?.into_iter();
                Ok(all.map(|one| Self::Hand(Arc::new(one))).collect())
            }
            _ => Ok(vec![self]),
        }
    }

    /// As a store of episodes keeps it: see [`HandScenario::to_keep`].
    ///
    /// # Errors
    /// When a file that it names cannot be read.
    pub fn to_keep(&self) -> Result<(Self, Option<(String, Vec<u8>)>), InputError> {
        match self {
            Self::House(_) => Ok((self.clone(), None)),
            Self::Hand(hand) => {
                let (hand, file) = hand.to_keep()?;
                Ok((Self::Hand(Arc::new(hand)), file))
            }
        }
    }

    /// Name shown to people.
    pub fn name(&self) -> &str {
        match self {
            Self::House(house) => &house.scenario.name,
            Self::Hand(hand) => &hand.hand_task.name,
        }
    }

    /// blake3 of the file's bytes, hexadecimal (64 characters).
    pub fn digest(&self) -> &str {
        match self {
            Self::House(house) => &house.digest,
            Self::Hand(hand) => &hand.digest,
        }
    }

    /// The file's text.
    pub fn text(&self) -> &str {
        match self {
            Self::House(house) => &house.text,
            Self::Hand(hand) => &hand.text,
        }
    }

    /// Where it came from, as the user named it.
    pub fn path(&self) -> &Path {
        match self {
            Self::House(house) => &house.path,
            Self::Hand(hand) => &hand.path,
        }
    }

    /// Whether training data leaves it out.
    pub fn evaluation_only(&self) -> bool {
        match self {
            Self::House(house) => house.scenario.evaluation_only,
            Self::Hand(hand) => hand.hand_task.evaluation_only,
        }
    }
}
