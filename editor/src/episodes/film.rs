//! A recorded episode made visible: simulated once more from its actions, and from then on only looked up.
//!
//! A store keeps what was seen and done, and a digest of each state, but of a house no poses. A [`Film`] has the pose of
//! everything after each step of physics; a pose that does not change takes no memory. What a hand sees says where everything
//! is: its film needs no simulation.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use std::thread;

use crossbeam::channel;
use episode::Episode;
use sim::env::{Fidelity, HouseholdEnv, Start, VectorEnv as _, Wish};
use sim::hand::HandScenario;
use sim::random::episode_rng;
use sim::recorder::Recorder;
use sim::scenario::{Instance, LoadedScenario};
use sim::scenario_file::ScenarioFile;
use sim::world::{Frame, Mover, Placed, World};

use crate::hand_picture::HandPicture;
use crate::picture::Picture;
use crate::scene::{Kind, Piece, Scene};

/// Frames in a simulated second.
pub const FRAMES_PER_SECOND: u32 = 60;

/// Everything that is needed to make an episode again.
#[derive(Clone, Debug)]
pub struct Source {
    /// Where it took place.
    pub scenario: ScenarioFile,
    /// What was recorded.
    pub episode: Arc<Episode>,
    /// What carried its actions out.
    pub fidelity: Fidelity,
    /// After how many actions it is cut off.
    pub max_steps: u32,
}

/// Poses of an episode, frame by frame: frame 0 is the start, and each step of physics (1/60 s) adds one. An episode
/// in symbols has a frame for each action, and no poses but those of the start.
#[derive(Clone, Debug)]
pub struct Film {
    shots: Shots,
    /// The frame in which each step has ended, after the start's 0 (n_steps + 1).
    ends: Vec<u32>,
    /// Where the agent is at the end of each step (x, y), meters (n_steps + 1).
    ways: Vec<[f32; 2]>,
    /// Where the repetition first differs from the recording.
    mismatch: Option<String>,
}

/// What is seen in each frame.
#[derive(Clone, Debug)]
enum Shots {
    House {
        picture: Box<Picture>,
        tracks: Vec<Track>,
    },
    Hand {
        picture: Box<HandPicture>,
        episode: Arc<Episode>,
    },
}

/// Where one thing is: the frames in which that changes, and what it changes to.
#[derive(Clone, Debug, Default)]
struct Track {
    frames: Vec<u32>,
    places: Vec<Placed>,
}

impl Film {
    /// The last frame.
    pub fn last(&self) -> u32 {
        self.ends.last().copied().unwrap_or(0)
    }

    /// The frame in which each step has ended, after the start's 0 (n_steps + 1).
    pub fn ends(&self) -> &[u32] {
        &self.ends
    }

    /// The step, from 1, that a frame is part of; 0 for the start. Of steps that take no time, the first.
    pub fn step_at(&self, frame: u32) -> usize {
        let step = self.ends.partition_point(|end| *end < frame);
        step.min(self.ends.len().saturating_sub(1))
    }

    /// Where the agent is at the end of each step (x, y), meters, after the start (n_steps + 1); empty for a hand.
    pub fn ways(&self) -> &[[f32; 2]] {
        &self.ways
    }

    /// Where the repetition first differs from the recording; what follows there is not what happened then.
    pub fn mismatch(&self) -> Option<&str> {
        self.mismatch.as_deref()
    }

    /// What is seen in a frame.
    pub fn scene(&self, frame: u32) -> Scene {
        match &self.shots {
            Shots::House { picture, tracks } => picture.scene(placed(tracks, frame)),
            Shots::Hand { picture, episode } => {
                let done = self.ends.partition_point(|end| *end <= frame);
                let step = done.checked_sub(2).and_then(|i| episode.steps.get(i));
                picture.scene(step.map_or(&episode.first, |step| &step.observation))
            }
        }
    }

    /// What can move, in a frame, to be seen through in another film's scene.
    pub fn ghosts(&self, frame: u32) -> Vec<Piece> {
        match &self.shots {
            Shots::House { picture, tracks } => picture.ghosts(placed(tracks, frame)),
            Shots::Hand { .. } => {
                let mut pieces = self.scene(frame).pieces;
                pieces.retain(|piece| piece.kind != Kind::Furniture);
                for piece in &mut pieces {
                    piece.kind = Kind::Ghost;
                }
                pieces
            }
        }
    }

    /// Memory that the poses take, in bytes.
    pub fn bytes(&self) -> usize {
        let Shots::House { tracks, .. } = &self.shots else {
            return 0;
        };
        let per_change = size_of::<u32>() + size_of::<Placed>();
        let changes: usize = tracks.iter().map(|t| t.frames.capacity()).sum();
        changes * per_change
    }
}

fn placed(tracks: &[Track], frame: u32) -> impl Iterator<Item = Placed> {
    tracks.iter().filter_map(move |track| {
        let after = track.frames.partition_point(|f| *f <= frame);
        track.places.get(after.checked_sub(1)?).copied()
    })
}

/// A film in the making, on a thread of its own. Dropping it ends the thread.
#[derive(Debug)]
pub struct Filming {
    done: Arc<AtomicU32>,
    steps: usize,
    stop: Arc<AtomicBool>,
    result: channel::Receiver<Result<Film, String>>,
}

impl Filming {
    /// Starts to make an episode's film.
    pub fn start(source: Source) -> Self {
        let (done, stop) = (
            Arc::new(AtomicU32::new(0)),
            Arc::new(AtomicBool::new(false)),
        );
        let (sender, result) = channel::bounded(1);
        let steps = source.episode.steps.len();
        let (counted, stopped) = (Arc::clone(&done), Arc::clone(&stop));
        thread::spawn(move || {
            let film = film(&source, &mut || {
                counted.fetch_add(1, Ordering::Relaxed);
                !stopped.load(Ordering::Relaxed)
            });
            // Nobody may be waiting any more.
            sender.send(film).ok();
        });
        Self {
            done,
            steps,
            stop,
            result,
        }
    }

    /// Share of the steps that were simulated, in [0, 1].
    pub fn progress(&self) -> f32 {
        self.done.load(Ordering::Relaxed) as f32 / self.steps.max(1) as f32
    }

    /// The film, once: when it is done.
    pub fn poll(&self) -> Option<Result<Film, String>> {
        match self.result.try_recv() {
            Ok(film) => Some(film),
            Err(channel::TryRecvError::Empty) => None,
            Err(channel::TryRecvError::Disconnected) => Some(Err(
                "the simulation ended by an error of the program".to_owned(),
            )),
        }
    }
}

impl Drop for Filming {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// Makes an episode's film. `go_on` is asked after each action that is simulated again.
pub fn film(source: &Source, go_on: &mut dyn FnMut() -> bool) -> Result<Film, String> {
    match &source.scenario {
        ScenarioFile::House(house) => film_house(house, source, go_on),
        ScenarioFile::Hand(hand) => film_hand(hand, &source.episode),
    }
}

fn film_hand(scenario: &HandScenario, episode: &Arc<Episode>) -> Result<Film, String> {
    let env = scenario.env(1, None).map_err(|error| error.to_string())?;
    let frames = env.seconds_per_step() * f64::from(FRAMES_PER_SECOND);
    let end = |step: usize| (step as f64 * frames).round() as u32;
    Ok(Film {
        shots: Shots::Hand {
            picture: Box::new(HandPicture::of(&env)),
            episode: Arc::clone(episode),
        },
        ends: (0..=episode.steps.len()).map(end).collect(),
        ways: Vec::new(),
        mismatch: None,
    })
}

fn film_house(
    scenario: &Arc<LoadedScenario>,
    source: &Source,
    go_on: &mut dyn FnMut() -> bool,
) -> Result<Film, String> {
    let Source {
        episode,
        fidelity,
        max_steps,
        ..
    } = source;
    let header = &episode.header;
    let env = HouseholdEnv::new(Arc::clone(scenario), *fidelity, *max_steps);
    let mut recorder = Recorder::new(env, &header.policy);
    recorder.watch_motion(true);
    let wish = if header.goal.is_empty() {
        Wish::Explore
    } else {
        Wish::Goal {
            say: header.task.clone(),
            all: header.goal.clone(),
        }
    };
    let start = Start {
        seed: header.seed,
        index: header.index,
        wish,
    };
    recorder
        .reset(0, &start)
        .map_err(|error| error.to_string())?;
    let mut rng = episode_rng(header.seed, &header.scenario_digest, header.index, "layout");
    let instance = scenario
        .instantiate(&mut rng)
        .map_err(|error| error.to_string())?;
    let mut making = Making::new(scenario, &instance, &recorder);
    making.add(&mut recorder, *fidelity);
    making.compare(&recorder, &episode.first_digest, "at the start");
    for (i, step) in episode.steps.iter().enumerate() {
        if recorder.ended(0) {
            making.differs(format!("the repetition ends before step {}", i + 1));
            break;
        }
        recorder.step(vec![Some(step.action.clone())]);
        making.add(&mut recorder, *fidelity);
        making.compare(
            &recorder,
            &step.state_digest,
            &format!("after step {}", i + 1),
        );
        if !go_on() {
            return Err("stopped".to_owned());
        }
    }
    Ok(making.film())
}

/// A house's film that steps are added to.
struct Making {
    picture: Picture,
    tracks: BTreeMap<Mover, Track>,
    ends: Vec<u32>,
    ways: Vec<[f32; 2]>,
    mismatch: Option<String>,
    first_step: u64,
}

impl Making {
    fn new(
        scenario: &LoadedScenario,
        instance: &Instance,
        recorder: &Recorder<HouseholdEnv>,
    ) -> Self {
        // An episode in symbols is shown as it starts.
        let own;
        let world = match recorder.env().world() {
            Some(world) => world,
            None => {
                own = World::new(instance);
                &own
            }
        };
        Self {
            picture: Picture::new(&scenario.scenario, instance, world),
            tracks: BTreeMap::new(),
            ends: Vec::new(),
            ways: Vec::new(),
            mismatch: None,
            first_step: world.steps(),
        }
    }

    /// What has happened since the last time.
    fn add(&mut self, recorder: &mut Recorder<HouseholdEnv>, fidelity: Fidelity) {
        let mut end = self.ends.last().copied().unwrap_or(0);
        if fidelity == Fidelity::Symbolic {
            end = self.ends.len() as u32;
        }
        for Frame { step, moved } in recorder.take_motion() {
            end = (step - self.first_step) as u32;
            for placed in moved {
                let track = self.tracks.entry(placed.mover).or_default();
                track.frames.push(end);
                track.places.push(placed);
            }
        }
        self.ends.push(end);
        let world = recorder.env().world();
        self.ways
            .push(world.map_or([0.0; 2], World::agent_position));
    }

    fn compare(&mut self, recorder: &Recorder<HouseholdEnv>, recorded: &str, when: &str) {
        if recorder.env().state_digest(0) != recorded {
            self.differs(format!("the state {when} is not the recorded one"));
        }
    }

    fn differs(&mut self, what: String) {
        self.mismatch.get_or_insert(what);
    }

    fn film(self) -> Film {
        let mut tracks: Vec<Track> = self.tracks.into_values().collect();
        for track in &mut tracks {
            track.frames.shrink_to_fit();
            track.places.shrink_to_fit();
        }
        Film {
            shots: Shots::House {
                picture: Box::new(self.picture),
                tracks,
            },
            ends: self.ends,
            ways: self.ways,
            mismatch: self.mismatch,
        }
    }
}
