//! The worlds of an environment, whichever engine steps them.

use ::hand::batch::{self, Batch, BatchError, Reading, WorldState, available_mib};
use ::hand::model::Model;
use ::hand::scene::Scene;

use super::HandError;
use super::env::{Config, Solver};
use crate::rapier_hand::{HandScene, HandSnapshot};

/// MiB of memory that a world of Rapier's takes, about.
const SCENE_MIB: f64 = 0.5;

/// Worlds of one scene.
pub(super) enum Worlds {
    Batch(Batch),
    Rapier {
        /// As a world is when it was just made. A start leads away from there: what a world was before leaves no trace.
        fresh: HandSnapshot,
        scenes: Vec<HandScene>,
    },
}

/// All that one world's future depends on.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Snapshot {
    Batch(batch::Snapshot),
    Rapier(HandSnapshot),
}

/// What becomes of a world while others are stepped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// It is stepped.
    Acts,
    /// It stays as it is to the bit.
    Waits,
    /// Nobody looks at it before it is set again.
    Idle,
}

impl Worlds {
    pub(super) fn new(scene: &Scene, config: &Config, n_worlds: usize) -> Result<Self, HandError> {
        match config.solver {
            Solver::Batch => {
                let width = config.width.unwrap_or(batch::Width::best());
                Ok(Self::Batch(Batch::with_width(scene, n_worlds, width)?))
            }
            Solver::Rapier => {
                let needed = (n_worlds as f64 * SCENE_MIB) as usize;
                if let Some(available) = available_mib().filter(|a| needed > *a) {
                    let worlds = n_worlds;
                    Err(BatchError::Memory {
                        worlds,
                        needed,
                        available,
                    })?;
                }
                let scene = HandScene::new(scene)?;
                Ok(Self::Rapier {
                    fresh: scene.snapshot(),
                    scenes: vec![scene; n_worlds],
                })
            }
        }
    }

    /// From now on keeps where these sites of the scene's model are.
    pub(super) fn watch(&mut self, model: &Model, sites: &[&str]) -> Result<(), HandError> {
        match self {
            Self::Batch(batch) => batch.watch(model, sites)?,
            Self::Rapier { scenes, .. } => {
                for scene in scenes {
                    scene.watch(model, sites)?;
                }
            }
        }
        Ok(())
    }

    /// The branch of the body that a joint moves, as counted in [`Reading::Touch`].
    pub(super) fn branch(&self, joint: usize) -> usize {
        match self {
            Self::Batch(batch) => batch.branch(joint),
            Self::Rapier { scenes, .. } => scenes.first().map_or(0, |scene| scene.branch(joint)),
        }
    }

    /// Puts a world elsewhere, without memory of what it was; a diverged one goes on.
    pub(super) fn set_state(&mut self, world: usize, state: &WorldState) -> Result<(), HandError> {
        match self {
            Self::Batch(batch) => batch.set_state(world, state),
            Self::Rapier { fresh, scenes } => {
                scenes[world].restore(fresh);
                scenes[world].set_state(state)?;
            }
        }
        Ok(())
    }

    /// Sets the controls of one world, in the order of the model: muscles, then motors.
    pub(super) fn control(&mut self, world: usize, values: impl Iterator<Item = f32>) {
        match self {
            Self::Batch(batch) => {
                let mut control = batch.control_mut(world);
                for (i, value) in values.enumerate() {
                    control.set(i, value);
                }
            }
            Self::Rapier { scenes, .. } => {
                let values: Vec<f32> = values.collect();
                let taken = scenes[world].set_controls(&values);
                taken.expect("as many finite numbers as there are controls");
            }
        }
    }

    /// Makes what is read fit the state of a world that was set.
    pub(super) fn look(&mut self, world: usize) {
        match self {
            Self::Batch(batch) => batch.look(world),
            Self::Rapier { .. } => {}
        }
    }

    /// Steps the worlds that act `n_steps` times, those of the batch solver on `threads` threads; the bits are the same for any
    /// number of them.
    pub(super) fn step(&mut self, n_steps: usize, threads: usize, part: impl Fn(usize) -> Part) {
        match self {
            Self::Batch(batch) => {
                // All worlds of a register are stepped: one that waits is put back afterwards.
                let waiting = (0..batch.len()).filter(|world| part(*world) == Part::Waits);
                let kept: Vec<_> = waiting.map(|w| (w, batch.snapshot(w))).collect();
                batch.step(n_steps, threads);
                for (world, snapshot) in &kept {
                    batch.restore(*world, snapshot);
                }
            }
            Self::Rapier { scenes, .. } => {
                for (world, scene) in scenes.iter_mut().enumerate() {
                    if part(world) == Part::Acts {
                        scene.step(n_steps);
                    }
                }
            }
        }
    }

    /// Copies a list of numbers of one world, as far as it fits.
    pub(super) fn read(&self, world: usize, what: Reading, to: &mut [f32]) {
        match self {
            Self::Batch(batch) => batch.read(world, what, to),
            Self::Rapier { scenes, .. } => scenes[world].read(what, to),
        }
    }

    /// Whether a world came to no sensible result.
    pub(super) fn has_diverged(&self, world: usize) -> bool {
        match self {
            Self::Batch(batch) => batch.has_diverged(world),
            Self::Rapier { scenes, .. } => scenes[world].has_diverged(),
        }
    }

    /// All that one world's future depends on.
    pub(super) fn snapshot(&self, world: usize) -> Snapshot {
        match self {
            Self::Batch(batch) => Snapshot::Batch(batch.snapshot(world)),
            Self::Rapier { scenes, .. } => Snapshot::Rapier(scenes[world].snapshot()),
        }
    }

    /// Continues a world from a snapshot of any world of the same scene and solver; one of another solver is not taken.
    pub(super) fn restore(&mut self, world: usize, snapshot: &Snapshot) {
        match (self, snapshot) {
            (Self::Batch(batch), Snapshot::Batch(snapshot)) => batch.restore(world, snapshot),
            (Self::Rapier { scenes, .. }, Snapshot::Rapier(snapshot)) => {
                scenes[world].restore(snapshot);
            }
            (Self::Batch(_), Snapshot::Rapier(_)) | (Self::Rapier { .. }, Snapshot::Batch(_)) => {}
        }
    }

    /// Bits of all that one world's future depends on, in a fixed order.
    pub(super) fn bits(&self, world: usize) -> Vec<u32> {
        match self {
            Self::Batch(batch) => batch.snapshot(world).bits().collect(),
            Self::Rapier { scenes, .. } => scenes[world].bits(),
        }
    }

    /// Where everything in a world is.
    #[cfg(test)]
    pub(super) fn state(&self, world: usize) -> WorldState {
        match self {
            Self::Batch(batch) => batch.state(world),
            Self::Rapier { scenes, .. } => scenes[world].state(),
        }
    }
}
