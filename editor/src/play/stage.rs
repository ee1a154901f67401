//! What is played: a scenario with its recorder, and what is seen of it.

use std::sync::Arc;

use episode::{Action, Episode, Header, Step};
use sim::env::Wish;
use sim::household::EntityId;

use super::{Possible, Status};
use crate::picture::Picture;
use crate::scene::Scene;

/// A world in which somebody acts, and what it shows.
///
/// An action is simulated as a whole; what moved meanwhile is then shown frame by frame.
pub(super) trait Stage: Send {
    /// Frames in a simulated second.
    fn frames_per_second(&self) -> f64;

    /// Starts an episode of a run with that seed, to explore in or with something to do.
    ///
    /// # Errors
    /// In words, when it cannot start.
    fn reset(&mut self, seed: u64, index: u64, wish: Wanted) -> Result<(), String>;

    /// Makes an action. Does nothing where no episode goes on.
    fn step(&mut self, action: Action);

    /// Whether something that was simulated is still to be shown.
    fn is_behind(&self) -> bool;

    /// Shows the next frame of it.
    fn show_next(&mut self);

    /// What an action does, in words.
    fn sentence(&self, action: &Action) -> String;

    /// What a person can do now.
    fn possible(&self) -> Vec<Possible>;

    /// What is seen.
    fn scene(&self) -> Scene;

    /// Which piece is which entity; none where there are no entities.
    fn picture(&self) -> Option<Arc<Picture>>;

    /// Tells of task, goal and simulated time.
    fn tell(&self, status: &mut Status);

    /// Where the episode comes from; none where none could start.
    fn header(&self) -> Option<&Header>;

    /// Digest of the state.
    fn state_digest(&self) -> String;

    /// The last step of the episode.
    fn last_step(&self) -> Option<&Step>;

    /// The episode as far as it was recorded, if all of it can be made again from its actions.
    fn take(&mut self) -> Option<Episode>;

    /// Whether something other than actions has led here since the reset.
    fn is_disturbed(&self) -> bool;

    /// Prepares to pull at things: what was recorded until now, if anything.
    ///
    /// # Errors
    /// In words, where nothing can be pulled.
    fn disturb(&mut self) -> Result<Option<Episode>, String> {
        Err("only things in a physical house can be pulled".to_owned())
    }

    /// One frame in which a thing is pulled to a point (meters). Whether it can be.
    fn pull(&mut self, _thing: EntityId, _to: [f32; 3]) -> bool {
        false
    }

    /// What was pulled is let go of.
    fn let_go(&mut self) {}
}

/// What an episode starts with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Nothing is wanted.
    Nothing,
    /// A goal, drawn from the scenario's.
    Goal,
    /// The same, if the scenario has one.
    GoalIfAny,
}

impl Wanted {
    /// What the environment is asked for.
    pub(super) fn wish(self) -> Wish {
        match self {
            Self::Nothing => Wish::Explore,
            Self::Goal | Self::GoalIfAny => Wish::Draw,
        }
    }
}
