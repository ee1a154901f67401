//! Suites of manipulation tasks for representation learning: corpora of scripted demonstrations made into pictures, and worlds
//! that a policy acts in by what it sees.
//!
//! The roles are those of Brandfonbrener et al. (2023, arXiv:2305.16985, section 4): a pretraining corpus in which each episode
//! has a goal of its own, a few demonstrations of one goal to finetune on, rollouts toward that goal. With the context latent,
//! nobody sees the goal. Episodes go through the same recorder as all others; pictures are drawn from their observations.

use std::borrow::Cow;
use std::sync::{Arc, Mutex, PoisonError};

use agents::rollout::Demonstrator;
use dataset::transitions::{Buffer, FrameSource, Observations, Transitions, TransitionsError};
use episode::{Action, Episode};
use sim::camera::{Camera, CameraEntry, Pictures, Renderer, Scene};
use sim::hand::appearance::{Appearance, AppearanceRanges};
use sim::hand::sight::{Context, Sight, usual_camera};
use sim::hand::suites::{Suite, SuiteTask};
use sim::hand::{HandEnv, HandScenario};
use sim::random::episode_rng;

use crate::recipes::representation::Worlds;

/// What a corpus is made of.
#[derive(Clone, Debug)]
pub struct Corpus {
    /// Its frames, actions in [-1, 1] and ground truth.
    pub transitions: Transitions<'static>,
    /// Episodes in it.
    pub episodes: u64,
    /// Episodes that were thrown away: they did not succeed, or not when they were repeated.
    pub thrown: u64,
}

/// Rays through a pixel along each side, where nothing else is said: an edge that moves by less than a pixel is seen to move.
pub const SAMPLES: usize = 3;

/// How a suite is seen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct View {
    /// Rows and columns of a picture.
    pub size: usize,
    /// A pixel is the mean of `samples` × `samples` rays, from 1 to 8.
    pub samples: usize,
    /// Whether the goal is marked.
    pub context: Context,
}

/// Demonstrations that succeed and repeat themselves, as pictures: `episodes` of them, shared evenly by the tasks. All pictures are
/// kept in memory if they have at most `keep` bytes; if they have more, each is drawn whenever it is wanted, which changes nothing.
///
/// # Errors
/// In words, when an episode cannot be made or fewer than half of them are good.
pub fn collect(
    suite: &Suite,
    tasks: &[SuiteTask],
    seed: u64,
    episodes: u64,
    view: View,
    keep: usize,
) -> Result<Corpus, String> {
    let mut frames = Frames::new(keep);
    let (mut kept, mut thrown) = (0, 0);
    let n = tasks.len() as u64;
    for (i, task) in tasks.iter().enumerate() {
        let share = episodes / n + u64::from((i as u64) < episodes % n);
        let scenario = task.scenario().map_err(|error| error.to_string())?;
        let demonstrator = Demonstrator::new(scenario.clone(), seed);
        let mut demonstrator = demonstrator.map_err(|error| error.to_string())?;
        let eye = Eye::new(suite, &scenario, demonstrator.env(), view);
        frames.eyes.push(eye);
        let mut good = 0;
        while good < share {
            let tried = demonstrator.tried();
            if tried.episodes > 2 * share + 16 {
                let name = &task.name;
                return Err(format!(
                    "{name}: only {good} of {} demonstrations are good",
                    tried.episodes
                ));
            }
            let made = demonstrator.attempt((share - good).min(64));
            for episode in &made.map_err(|error| error.to_string())? {
                frames.add(episode, Appearance::default())?;
                good += 1;
            }
        }
        let tried = demonstrator.tried();
        kept += good;
        thrown += tried.failed + tried.unrepeated;
    }
    let transitions = frames.finish(view.size).map_err(|e| e.to_string())?;
    Ok(Corpus {
        transitions,
        episodes: kept,
        thrown,
    })
}

/// Draws what is seen.
struct Eye {
    suite: Suite,
    sight: Sight,
    usual: Camera,
    /// The scenario's first camera, its pictures cut to squares of the view's size.
    own: Option<CameraEntry>,
    context: Context,
    renderer: Renderer,
    scene: Scene,
    layout: sim::hand::Layout,
    bounds: Vec<[f32; 2]>,
}

impl Eye {
    fn new(suite: &Suite, scenario: &HandScenario, env: &HandEnv, view: View) -> Self {
        Self {
            suite: *suite,
            sight: Sight::of(env),
            usual: usual_camera(&**env.task(), view.size),
            own: scenario.hand_task.camera.first().cloned(),
            context: view.context,
            renderer: Renderer::new().supersampled(view.samples),
            scene: Scene::default(),
            layout: env.layout().clone(),
            bounds: env.action_bounds(),
        }
    }

    /// Draws one world's observation into RGB (size × size × 3).
    fn see(
        &mut self,
        observation: &[f32],
        appearance: &Appearance,
        rgb: &mut [u8],
    ) -> Result<(), String> {
        let seen = self.layout.seen(observation);
        self.sight
            .draw(&seen, self.context, appearance, &mut self.scene);
        let into = Pictures {
            rgb: Some(rgb),
            ..Pictures::default()
        };
        let own = self.own.as_ref();
        let own = own.and_then(|entry| self.sight.camera(entry, &seen));
        let camera = own.map_or_else(
            || self.usual,
            |own| Camera {
                width: self.usual.width,
                height: self.usual.height,
                ..own
            },
        );
        let camera = appearance.moved(&camera);
        let drawn = self.renderer.draw(&self.scene, &camera, into);
        drawn.map_err(|error| error.to_string())
    }

    /// The ground truth of one world's observation.
    fn state(&self, observation: &[f32]) -> Vec<f32> {
        (self.suite.state)(&self.layout.seen(observation))
    }
}

/// Arrays of [`Transitions`] that episodes are added to.
struct Frames {
    /// Those who see; the last one sees what is added.
    eyes: Vec<Eye>,
    /// As long as they are kept.
    pixels: Option<Vec<u8>>,
    /// Bytes of pixels that are kept at most.
    keep: usize,
    episodes: Vec<Shown>,
    /// Observations of all frames, one after the other.
    seen: Vec<f32>,
    actions: Vec<f32>,
    states: Vec<f32>,
    /// Where episodes begin, and the last one ends, in frames.
    offsets: Vec<usize>,
    sizes: [usize; 2],
}

/// How an episode is seen.
struct Shown {
    /// Number of the eye.
    eye: usize,
    appearance: Appearance,
    /// Where its observations begin, and how long each is.
    at: usize,
    size: usize,
}

impl Frames {
    fn new(keep: usize) -> Self {
        Self {
            eyes: Vec::new(),
            pixels: Some(Vec::new()),
            keep,
            episodes: Vec::new(),
            seen: Vec::new(),
            actions: Vec::new(),
            states: Vec::new(),
            offsets: vec![0],
            sizes: [0; 2],
        }
    }

    fn add(&mut self, episode: &Episode, appearance: Appearance) -> Result<(), String> {
        let number = self.eyes.len().saturating_sub(1);
        let Some(eye) = self.eyes.last_mut() else {
            return Err("nobody sees the episode".to_owned());
        };
        let mut rgb = vec![0; eye.usual.width * eye.usual.height * 3];
        let after = episode.steps.iter().map(|step| &step.observation);
        let observations = std::iter::once(&episode.first).chain(after);
        let (at, mut list) = (self.seen.len(), Vec::new());
        for (t, observation) in observations.enumerate() {
            eye.layout.list(observation, &mut list);
            // Whoever draws it again meets no error.
            eye.see(&list, &appearance, &mut rgb)?;
            self.seen.extend_from_slice(&list);
            self.pixels = self
                .pixels
                .take()
                .filter(|p| p.len() + rgb.len() <= self.keep);
            if let Some(pixels) = &mut self.pixels {
                pixels.extend_from_slice(&rgb);
            }
            let state = eye.state(&list);
            self.sizes = [eye.bounds.len(), state.len()];
            self.states.extend(state);
            // Nobody reads what was done in the last frame.
            match episode.steps.get(t).map(|step| &step.action) {
                Some(Action::Array(numbers)) => {
                    let numbers = numbers.iter().zip(&eye.bounds);
                    let share = |(x, [low, high]): (&f32, &[f32; 2])| {
                        2.0 * (x.clamp(*low, *high) - low) / (high - low) - 1.0
                    };
                    self.actions.extend(numbers.map(share));
                }
                _ => self.actions.extend(eye.bounds.iter().map(|_| 0.0)),
            }
        }
        self.offsets.push(self.states.len() / self.sizes[1].max(1));
        self.episodes.push(Shown {
            eye: number,
            appearance,
            at,
            size: list.len(),
        });
        Ok(())
    }

    fn finish(self, size: usize) -> Result<Transitions<'static>, TransitionsError> {
        let [action_size, state_size] = self.sizes;
        let (height, width) = (size, size);
        let observations = match self.pixels {
            Some(pixels) => Observations::Images {
                pixels: Cow::Owned(pixels),
                height,
                width,
            },
            None => Observations::Drawn {
                source: Arc::new(Drawn {
                    eyes: self.eyes.into_iter().map(Mutex::new).collect(),
                    episodes: self.episodes,
                    seen: self.seen,
                    offsets: self.offsets.clone(),
                }),
                height,
                width,
            },
        };
        Transitions::new(
            observations,
            Cow::Owned(self.actions),
            action_size,
            Cow::Owned(self.states),
            state_size,
            self.offsets,
        )
    }
}

/// Worlds of a suite with one goal.
pub struct SuiteWorlds {
    env: HandEnv,
    eye: Eye,
    started: usize,
    done: Vec<bool>,
    /// Share of the task's parts that were done at some step.
    progress: Vec<f64>,
    actions: Vec<f32>,
    horizon: usize,
    /// What the worlds look like, drawn anew for each rollout; `None`: as usual.
    ranges: Option<AppearanceRanges>,
    appearances: Vec<Appearance>,
}

impl SuiteWorlds {
    /// `worlds` of them, side by side.
    ///
    /// # Errors
    /// In words, when there is not enough memory.
    pub fn new(
        suite: &Suite,
        scenario: &HandScenario,
        view: View,
        worlds: usize,
    ) -> Result<Self, String> {
        let env = scenario.env(worlds, None);
        let env = env.map_err(|error| error.to_string())?;
        Ok(Self {
            eye: Eye::new(suite, scenario, &env, view),
            horizon: env.task().max_steps() as usize,
            actions: vec![0.0; worlds * env.n_actions()],
            env,
            started: 0,
            done: Vec::new(),
            progress: Vec::new(),
            ranges: None,
            appearances: Vec::new(),
        })
    }

    /// The same worlds with appearances of their own, from the next reset on: light, textures, things around that nobody
    /// was trained on.
    pub fn look(&mut self, ranges: Option<AppearanceRanges>) {
        self.ranges = ranges;
    }
}

impl Worlds for SuiteWorlds {
    fn reset(&mut self, seeds: &[u64]) -> Result<(), String> {
        for (lane, seed) in seeds.iter().enumerate() {
            let started = self.env.reset_lane(lane, *seed, 0);
            started.map_err(|error| error.to_string())?;
        }
        let view = self.env.task().view();
        let drawn = seeds.iter().map(|seed| match &self.ranges {
            None => Appearance::default(),
            Some(ranges) => {
                let mut rng = episode_rng(*seed, self.eye.suite.name, 0, "appearance");
                ranges.draw(&view, &mut rng)
            }
        });
        self.appearances = drawn.collect();
        self.started = seeds.len();
        self.done = vec![false; seeds.len()];
        self.progress = vec![0.0; seeds.len()];
        Ok(())
    }

    fn horizon(&self) -> usize {
        self.horizon
    }

    fn observe(&mut self, observations: &mut Buffer, states: &mut [f32]) -> Result<(), String> {
        let Buffer::Images(pixels) = observations else {
            return Err("a suite is seen in pictures".to_owned());
        };
        let n = self.env.n_observations();
        let picture = pixels.len() / self.started.max(1);
        let size = states.len() / self.started.max(1);
        for lane in 0..self.started {
            let list = &self.env.observations()[lane * n..][..n];
            // What is done is not looked at any more.
            if !self.done[lane] {
                let rgb = &mut pixels[lane * picture..][..picture];
                self.eye.see(list, &self.appearances[lane], rgb)?;
            }
            states[lane * size..][..size].copy_from_slice(&self.eye.state(list));
        }
        Ok(())
    }

    fn step(&mut self, actions: &[f32]) -> Result<(), String> {
        let bounds = &self.eye.bounds;
        for (i, (to, x)) in self.actions.iter_mut().zip(actions).enumerate() {
            let [low, high] = bounds[i % bounds.len()];
            *to = low + 0.5 * (x.clamp(-1.0, 1.0) + 1.0) * (high - low);
        }
        let stepped = self.env.step_flat(&self.actions);
        stepped.map_err(|error| error.to_string())?;
        let n = self.env.n_observations();
        let lanes = self.done.iter_mut().zip(&mut self.progress);
        for (lane, (done, progress)) in lanes.enumerate() {
            *done |= self.env.succeeded()[lane];
            let list = &self.env.observations()[lane * n..][..n];
            let parts = self.env.task().parts(&self.eye.layout.seen(list));
            let now = match parts {
                Some([all, left]) if !*done => (all - left) as f64 / all as f64,
                _ => f64::from(u8::from(*done)),
            };
            *progress = progress.max(now);
        }
        Ok(())
    }

    fn successes(&self) -> Vec<bool> {
        self.done.clone()
    }

    fn progress(&self) -> Vec<f64> {
        self.progress.clone()
    }
}

/// Recorded demonstrations of a scenario of the suite as pictures, from its first camera and in the appearance of each episode,
/// where it has some; those that failed are left out and counted. `keep` as in [`collect`].
///
/// # Errors
/// In words, when the scenario cannot be made, an episode has other observations or cannot be drawn, or none succeeded.
pub fn draw(
    suite: &Suite,
    scenario: &HandScenario,
    demonstrations: &[Episode],
    view: View,
    keep: usize,
) -> Result<Corpus, String> {
    let env = scenario.env(1, None).map_err(|error| error.to_string())?;
    let mut frames = Frames::new(keep);
    frames.eyes.push(Eye::new(suite, scenario, &env, view));
    for episode in demonstrations.iter().filter(|episode| episode.success) {
        let header = &episode.header;
        frames.add(
            episode,
            scenario.appearance(&env, header.seed, header.index),
        )?;
    }
    let episodes = frames.episodes.len() as u64;
    let thrown = demonstrations.len() as u64 - episodes;
    if episodes == 0 {
        return Err(format!("none of {thrown} demonstrations succeeds"));
    }
    Ok(Corpus {
        transitions: frames.finish(view.size).map_err(|e| e.to_string())?,
        episodes,
        thrown,
    })
}

/// Frames of recorded observations, each of which was drawn once without an error.
struct Drawn {
    eyes: Vec<Mutex<Eye>>,
    episodes: Vec<Shown>,
    seen: Vec<f32>,
    offsets: Vec<usize>,
}

impl FrameSource for Drawn {
    fn frames(&self) -> usize {
        self.offsets.last().copied().unwrap_or(0)
    }

    fn draw(&self, frame: usize, rgb: &mut [u8]) {
        let number = self.offsets.partition_point(|start| *start <= frame) - 1;
        let shown = &self.episodes[number];
        let at = shown.at + (frame - self.offsets[number]) * shown.size;
        let observation = &self.seen[at..][..shown.size];
        // What a thread that panicked left in the eye is overwritten by the next scene.
        let mut eye = self.eyes[shown.eye]
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if eye.see(observation, &shown.appearance, rgb).is_err() {
            rgb.fill(0);
        }
    }
}

impl std::fmt::Debug for Drawn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} frames to be drawn", self.frames())
    }
}
