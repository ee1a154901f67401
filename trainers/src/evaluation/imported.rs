//! Features of pictures made elsewhere: what they hold of the ground truth, and how well a policy on them imitates.
//!
//! Whoever makes features needs the pictures first, so there are two steps: [`frames`] makes a suite's pictures, [`measure`]
//! takes one row of numbers for each. There are no rollouts: in those every picture is new.

use dataset::transitions::{Buffer, Observations};
use serde::Serialize;
use sim::hand::sight::Context;
use sim::hand::suites::Suite;
use tch::{Device, Tensor};

use super::representation::{determination, linear_probe};
use super::suites::{self, Corpus, View};
use crate::nn::floats;
use crate::recipes::RecipeError;
use crate::recipes::representation::{Features, PolicyConfig, train_policy};

/// Which pictures.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Pictures {
    /// Rows and columns of each.
    pub size: usize,
    /// Whether the goal is marked.
    pub context: Context,
    /// Episodes to fit on; a quarter as many, at least one, are measured on.
    pub episodes: u64,
    /// Seeds them.
    pub seed: u64,
}

/// Demonstrations of many goals: to fit on, and others to measure on.
pub struct Frames {
    fit: Corpus,
    held_out: Corpus,
}

/// What features hold.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Found {
    /// Frames that were fitted on, and measured on.
    pub frames: [usize; 2],
    /// R² of the best linear map to each number of the ground truth.
    pub probe: Vec<f64>,
    /// R² of a policy's actions, trained on the first frames, against the demonstrated ones of the others, by number of an
    /// action. It is 1 for nobody where the goal is hidden.
    pub imitation: Vec<f64>,
    /// Mean squared error of the same, actions being in [-1, 1].
    pub imitation_error: f64,
}

/// Makes a suite's demonstrations.
///
/// # Errors
/// When they cannot be made.
pub fn frames(suite: &Suite, pictures: &Pictures) -> Result<Frames, RecipeError> {
    let view = View {
        size: pictures.size,
        context: pictures.context,
        samples: suites::SAMPLES,
    };
    let collect = |seed, episodes| {
        let corpus = suites::collect(
            suite,
            &suite.pretraining(),
            seed,
            episodes,
            view,
            usize::MAX,
        );
        corpus.map_err(RecipeError::Failed)
    };
    Ok(Frames {
        fit: collect(pictures.seed, pictures.episodes)?,
        held_out: collect(
            pictures.seed.wrapping_add(1_000_003),
            pictures
                .episodes
                .div_ceil(4)
                .max(suite.pretraining().len() as u64),
        )?,
    })
}

impl Frames {
    /// Number of pictures.
    pub fn count(&self) -> usize {
        self.fit.transitions.frames() + self.held_out.transitions.frames()
    }

    /// All pictures `(count, size, size, 3)`, u8: those to fit on first.
    ///
    /// # Errors
    /// When libtorch refuses.
    pub fn tensor(&self, size: usize) -> Result<Tensor, RecipeError> {
        let mut pixels = Vec::new();
        for corpus in [&self.fit, &self.held_out] {
            let transitions = &corpus.transitions;
            let mut buffer = transitions.observations().buffer(transitions.frames());
            for frame in 0..transitions.frames() {
                transitions.copy_frame(frame, &mut buffer, frame);
            }
            if let Buffer::Images(images) = buffer {
                pixels.extend(images);
            }
        }
        let size = size as i64;
        Ok(Tensor::f_from_slice(&pixels)?.f_reshape([-1, size, size, 3])?)
    }
}

/// Measures features, one row of `size` numbers for each picture in their order.
///
/// # Errors
/// [`RecipeError::Input`] when there are not as many rows as pictures.
pub fn measure(
    frames: &Frames,
    features: &[f32],
    size: usize,
    policy: &PolicyConfig,
) -> Result<Found, RecipeError> {
    let (fit, held_out) = (&frames.fit.transitions, &frames.held_out.transitions);
    if features.len() != frames.count() * size {
        return Err(RecipeError::Input(format!(
            "features: expected {} rows of {size} numbers, found {} numbers",
            frames.count(),
            features.len()
        )));
    }
    let (first, second) = features.split_at(fit.frames() * size);
    let probe = linear_probe(
        (first, fit.states()),
        (second, held_out.states()),
        size,
        fit.state_size(),
    )?;
    let seen = fit.with_observations(Observations::Vectors {
        values: first.into(),
        size,
    })?;
    let trained = train_policy(policy, Features::Observations, &seen, Device::Cpu)?;
    let rows = held_out.frames() as i64;
    let observations = floats(second, &[rows, size as i64], Device::Cpu)?;
    let states = [rows, held_out.state_size() as i64];
    let states = floats(held_out.states(), &states, Device::Cpu)?;
    let acted = trained.act(&observations, &states)?.f_contiguous()?;
    let acted: Vec<f32> = Vec::try_from(acted.f_reshape(-1)?)?;
    let actions = held_out.action_size();
    let (mut told, mut wanted) = (Vec::new(), Vec::new());
    for episode in 0..held_out.episodes() {
        let frames = held_out.episode(episode);
        // nothing is done in an episode's last frame
        let these = frames.start * actions..(frames.end - 1) * actions;
        told.extend_from_slice(&acted[these.clone()]);
        wanted.extend_from_slice(&held_out.actions()[these]);
    }
    let errors = told.iter().zip(&wanted);
    let error: f64 = errors.map(|(a, b)| f64::from(a - b).powi(2)).sum();
    Ok(Found {
        frames: [fit.frames(), held_out.frames()],
        probe,
        imitation: determination(&told, &wanted, actions)?,
        imitation_error: error / wanted.len().max(1) as f64,
    })
}
