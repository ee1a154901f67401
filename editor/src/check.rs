//! What is wrong with a document, and what an episode of it looks like.
//!
//! Checking a large home takes longer than a frame, so it is done beside the editor, on a copy of the text.

use std::path::PathBuf;
use std::sync::Arc;

use crossbeam::channel::{Receiver, bounded};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng as _;
use sim::problem::Problem;
use sim::scenario_file::ScenarioFile;

use crate::document::Document;
use crate::hand_picture::HandPicture;
use crate::home::Home;
use crate::project::Preview;
use crate::scene::ItemId;

/// Something that is wrong, and with what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocatedProblem {
    /// The entry that it is about, if it is about one.
    pub item: Option<ItemId>,
    /// Where and what.
    pub problem: Problem,
}

/// What a check found.
#[derive(Debug)]
pub(crate) struct Found {
    /// Of the document that was checked.
    pub(crate) revision: u64,
    pub(crate) problems: Vec<LocatedProblem>,
    /// If nothing is wrong.
    pub(crate) preview: Option<Preview>,
}

/// A check that goes on.
#[derive(Debug)]
pub(crate) struct Check {
    answer: Receiver<Found>,
}

impl Check {
    /// Starts to check.
    pub(crate) fn start(document: &Document, home: &Arc<Home>, seed: u64) -> Self {
        // One check has one answer.
        let (sender, answer) = bounded(1);
        let (document, home) = (document.clone(), Arc::clone(home));
        std::thread::spawn(move || {
            // Nobody waits any more if the editor is gone.
            drop(sender.send(check(&document, &home, seed)));
        });
        Self { answer }
    }

    /// The answer, once it is there.
    pub(crate) fn poll(&self) -> Option<Result<Found, ()>> {
        use crossbeam::channel::TryRecvError;
        match self.answer.try_recv() {
            Ok(found) => Some(Ok(found)),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => Some(Err(())),
        }
    }
}

/// Checks a document that `home` was read from, and draws an episode.
pub(crate) fn check(document: &Document, home: &Home, seed: u64) -> Found {
    let found = |problems: Vec<Problem>, preview| Found {
        revision: document.revision(),
        problems: located(document, problems),
        preview,
    };
    if let Some(broken) = document.broken() {
        let problem = Problem {
            line: broken.line,
            column: broken.column,
            message: broken.message.clone(),
        };
        return found(vec![problem], None);
    }
    let path = document
        .path()
        .map_or_else(|| PathBuf::from("untitled.toml"), PathBuf::from);
    let loaded = match ScenarioFile::load_text(document.text(), path) {
        Ok(loaded) => loaded,
        Err(error) => return found(error.problems, None),
    };
    let preview = match loaded {
        ScenarioFile::House(house) => match house.instantiate(&mut ChaCha8Rng::seed_from_u64(seed))
        {
            Ok(instance) => Preview::new(home, &instance, seed),
            Err(error) => return found(error.problems, None),
        },
        ScenarioFile::Hand(hand) => match HandPicture::start(&hand, seed) {
            Ok(scene) => Preview::of_hand(scene, seed),
            Err(why) => return found(vec![Problem::whole(why)], None),
        },
    };
    found(Vec::new(), Some(preview))
}

fn located(document: &Document, problems: Vec<Problem>) -> Vec<LocatedProblem> {
    if problems.is_empty() {
        return Vec::new();
    }
    let spans = document.spans();
    let lines: Vec<usize> = std::iter::once(0)
        .chain(document.text().match_indices('\n').map(|(i, _)| i + 1))
        .collect();
    let locate = |problem: Problem| {
        let line = problem.line.checked_sub(1).and_then(|l| lines.get(l));
        let item = line.and_then(|start| {
            // A line belongs to one entry, unless entries stand in one list.
            let rest = document.text().get(*start..).unwrap_or_default();
            let column = rest.char_indices().nth(problem.column.saturating_sub(1));
            let at = start + column.map_or(0, |(i, _)| i);
            spans
                .iter()
                .find(|(_, span)| span.contains(&at))
                .map(|(item, _)| *item)
        });
        LocatedProblem { item, problem }
    };
    problems.into_iter().map(locate).collect()
}
