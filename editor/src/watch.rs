//! What each action about playing and about recorded episodes does to an editor.

use std::path::Path;
use std::sync::Arc;

use crate::action::Action;
use crate::editor::{ActionError, Editor, Page, Wish};
use crate::episodes::export::Export;
use crate::episodes::{Episodes, StoreTrouble};
use crate::play::{Command, PlayError, Policy};
use crate::scene::Scene;

/// Pictures for each second of an episode.
const FPS: u32 = 30;

/// What is seen instead of the document, while it is played or an episode is open.
#[derive(Default)]
pub(crate) struct Watched {
    pub(crate) scene: Option<Arc<Scene>>,
    /// Grows when the scene changes.
    pub(crate) revision: u64,
    /// What it was made from.
    of: (u64, u64),
}

impl From<PlayError> for ActionError {
    fn from(error: PlayError) -> Self {
        Self::Impossible(error.to_string())
    }
}

impl From<StoreTrouble> for ActionError {
    fn from(trouble: StoreTrouble) -> Self {
        Self::Impossible(trouble.message)
    }
}

impl Editor {
    /// Brings what is seen instead of the document up to date: the played document goes before an open episode.
    pub(crate) fn look_again(&mut self) {
        let of = (self.play.revision(), self.episodes.revision());
        if self.watched.of == of {
            return;
        }
        self.watched = Watched {
            scene: self
                .play
                .scene()
                .or_else(|| self.episodes.scene().map(Arc::new)),
            revision: self.watched.revision + 1,
            of,
        };
    }

    /// Does what an action about playing or about recorded episodes says.
    ///
    /// # Errors
    /// When it cannot be done.
    pub(crate) fn watch(&mut self, action: &Action) -> Result<(), ActionError> {
        let _done = self.dispatch_play(action)? || self.dispatch_episodes(action)?;
        // What was begun is looked after on its own page.
        match action {
            Action::Play => self.page = Page::Play,
            Action::EpisodesOpen { .. } => self.page = Page::Episodes,
            _ => {}
        }
        self.look_again();
        Ok(())
    }

    /// Does what an action about playing says. Whether it is one.
    fn dispatch_play(&mut self, action: &Action) -> Result<bool, ActionError> {
        let command = match action {
            Action::Play => {
                if !self.play.is_on() {
                    let name = self.document.path().map(|path| path.display().to_string());
                    let name = name.as_deref().unwrap_or("untitled.toml");
                    self.play.start(self.document.text(), name)?;
                }
                Command::Play
            }
            Action::Stop => {
                self.play.stop();
                return Ok(true);
            }
            Action::Pause => Command::Pause,
            Action::Step => Command::Step,
            Action::PlayFrame => Command::StepFrame,
            Action::Reset => Command::Restart,
            Action::PlayNext => Command::Reset(None),
            Action::PlaySeed { seed } => Command::Reset(Some(*seed)),
            Action::Speed { times } => Command::Speed(*times as f32),
            Action::Policy { name } => match Policy::parse(name) {
                Some(policy) => Command::Policy(policy),
                None => {
                    let all = Policy::ALL.map(|policy| policy.to_string());
                    return Err(ActionError::Impossible(format!(
                        "expected one of {}, found \"{name}\"",
                        all.join(", ")
                    )));
                }
            },
            Action::Verb { line } => Command::Act(line.clone()),
            Action::Pull { item, x, y, z } => {
                let thing = self.play.thing(&item.0).ok_or_else(|| {
                    ActionError::Impossible(format!(
                        "nothing that is played is called \"{}\"",
                        item.0
                    ))
                })?;
                let to = [*x, *y, *z].map(|x| x as f32);
                Command::Drag { thing, to }
            }
            Action::Release => Command::Release,
            Action::Record { path: Some(path) } => {
                self.play_bar.store = path.display().to_string();
                Command::StartRecording(path.clone())
            }
            Action::Record { path: None } => Command::StopRecording,
            _ => return Ok(false),
        };
        self.play.send(command)?;
        Ok(true)
    }

    /// Does what an action about recorded episodes says. Whether it is one.
    fn dispatch_episodes(&mut self, action: &Action) -> Result<bool, ActionError> {
        let episodes = &mut self.episodes;
        let steps = |episodes: &Episodes| {
            let opened = episodes.opened();
            opened
                .map(|o| o.episode.steps.len())
                .ok_or_else(|| ActionError::Impossible("no episode is open".to_owned()))
        };
        match action {
            Action::EpisodesOpen { path: Some(path) } => {
                self.episodes_panel.store = path.display().to_string();
                episodes.open_store(path)?;
            }
            Action::EpisodesOpen { path: None } => {
                let text = "name the folder of the store on the page of episodes";
                return Err(ActionError::Impossible(text.to_owned()));
            }
            Action::EpisodesClose => episodes.close_store(),
            Action::EpisodesRepair => {
                let report = episodes.repair()?;
                self.status = format!(
                    "{} episodes in {} shards are whole",
                    report.episodes, report.shards
                );
            }
            Action::EpisodesFilter { text } => episodes.filter.words.clone_from(text),
            Action::EpisodesSelect { number } => episodes.open(whole(*number))?,
            Action::EpisodesLeave => episodes.close(),
            Action::EpisodesCompare { number } => {
                steps(episodes)?;
                episodes.compare(Some(whole(*number)))?;
            }
            Action::EpisodesAlone => episodes.compare(None)?,
            Action::EpisodesRun { on } => {
                steps(episodes)?;
                let on = on.unwrap_or(!episodes.is_playing());
                episodes.play(on);
            }
            Action::EpisodesSeek { step } => {
                steps(episodes)?;
                episodes.seek_step(whole(*step));
            }
            Action::EpisodesFrame { frame } => {
                steps(episodes)?;
                episodes.seek_frame(u32::try_from(*frame).unwrap_or(u32::MAX));
            }
            Action::EpisodesNext => {
                steps(episodes)?;
                episodes.seek_step(episodes.cursor().step + 1);
            }
            Action::EpisodesPrevious => {
                steps(episodes)?;
                episodes.seek_step(episodes.cursor().step.saturating_sub(1));
            }
            Action::EpisodesFirst => {
                steps(episodes)?;
                episodes.seek_step(0);
            }
            Action::EpisodesLast => {
                let last = steps(episodes)?;
                episodes.seek_step(last);
            }
            Action::EpisodesPictures { folder } => self.export(folder, None)?,
            Action::EpisodesFilm { file } => {
                let folder = file.with_extension("pictures");
                self.export(&folder, Some(file))?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn export(&mut self, folder: &Path, film: Option<&Path>) -> Result<(), ActionError> {
        let opened = self.episodes.opened();
        let opened =
            opened.ok_or_else(|| ActionError::Impossible("no episode is open".to_owned()))?;
        let Some(frames) = opened.film() else {
            let why = opened.no_film().unwrap_or_default().to_owned();
            return Err(ActionError::Impossible(why));
        };
        let mut export = Export::new(0, frames.last(), FPS, 1.0, folder);
        export.mp4 = film.map(Path::to_owned);
        self.wish(Wish::Export(export));
        Ok(())
    }
}

fn whole(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
