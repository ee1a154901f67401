//! Transitions for representation learning: pairs of frames some steps apart, with the actions between them.
//!
//! [`Transitions`] holds every frame once; the frame `k` steps after frame `t` is frame `t + k`, and no pair crosses the
//! border of an episode. [`Sampler`] draws [`Window`]s in an order that is a function of the seed and a counter alone, so
//! that a run goes on exactly from the counter, and fills a [`Batch`] that the caller keeps, cropping images on the way.
//! Nothing here knows of tensors.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// What was seen in each frame.
#[derive(Clone, Debug)]
pub enum Observations<'a> {
    /// RGB, one byte a channel `(frames, height, width, 3)`.
    Images {
        /// The pixels.
        pixels: Cow<'a, [u8]>,
        /// Rows of an image.
        height: usize,
        /// Columns of an image.
        width: usize,
    },
    /// RGB that is drawn whenever it is wanted, so that no pixels are kept.
    Drawn {
        /// What draws.
        source: Arc<dyn FrameSource>,
        /// Rows of an image.
        height: usize,
        /// Columns of an image.
        width: usize,
    },
    /// Numbers `(frames, size)`.
    Vectors {
        /// The numbers.
        values: Cow<'a, [f32]>,
        /// Numbers of a frame.
        size: usize,
    },
}

/// Draws the frames of [`Observations::Drawn`].
pub trait FrameSource: fmt::Debug + Send + Sync {
    /// Number of frames.
    fn frames(&self) -> usize;

    /// Draws a frame into RGB `(height, width, 3)`, the same bytes each time.
    fn draw(&self, frame: usize, rgb: &mut [u8]);
}

impl Observations<'_> {
    /// Numbers (bytes of an image, floats of a vector) of one frame.
    pub fn frame_len(&self) -> usize {
        match self {
            Self::Images { height, width, .. } | Self::Drawn { height, width, .. } => {
                height * width * 3
            }
            Self::Vectors { size, .. } => *size,
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Images { pixels, .. } => pixels.len(),
            Self::Drawn { source, .. } => source.frames() * self.frame_len(),
            Self::Vectors { values, .. } => values.len(),
        }
    }

    /// An empty buffer for `frames` of these.
    pub fn buffer(&self, frames: usize) -> Buffer {
        let count = frames * self.frame_len();
        match self {
            Self::Images { .. } | Self::Drawn { .. } => Buffer::Images(vec![0; count]),
            Self::Vectors { .. } => Buffer::Vectors(vec![0.0; count]),
        }
    }
}

/// What can be wrong with transitions.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransitionsError {
    /// An array does not have the length that its shape asks for.
    #[error("{array}: expected {expected} numbers ({shape}), found {found}")]
    Length {
        /// Which array.
        array: &'static str,
        /// Its shape, in words.
        shape: String,
        /// Numbers of that shape.
        expected: usize,
        /// Numbers there are.
        found: usize,
    },
    /// The offsets of the episodes are not 0, …, number of frames, each larger than the one before.
    #[error("episode offsets: {0}")]
    Offsets(String),
    /// No episode is long enough for a pair of frames this far apart.
    #[error(
        "no episode has two frames {ahead} steps apart: the longest of {episodes} has {longest} frames"
    )]
    TooShort {
        /// Steps asked for.
        ahead: usize,
        /// Number of episodes.
        episodes: usize,
        /// Frames of the longest.
        longest: usize,
    },
    /// Settings that make no sense.
    #[error("{0}")]
    Settings(String),
}

/// Frames of many episodes, each stored once, with actions and ground-truth state.
///
/// Arrays may be borrowed, from a mapped file for instance.
#[derive(Clone, Debug)]
pub struct Transitions<'a> {
    observations: Observations<'a>,
    actions: Cow<'a, [f32]>,
    action_size: usize,
    states: Cow<'a, [f32]>,
    state_size: usize,
    offsets: Vec<usize>,
}

impl<'a> Transitions<'a> {
    /// From contiguous arrays.
    ///
    /// * `actions` `(frames, action_size)`: what was done in each frame. The action of an episode's last frame is never
    ///   read.
    /// * `states` `(frames, state_size)`: ground truth, for probes and the state-input control; `state_size` may be 0.
    /// * `offsets` (episodes + 1): episode `e` is frames `offsets[e]..offsets[e + 1]`.
    ///
    /// # Errors
    /// When a length or the offsets do not fit.
    pub fn new(
        observations: Observations<'a>,
        actions: Cow<'a, [f32]>,
        action_size: usize,
        states: Cow<'a, [f32]>,
        state_size: usize,
        offsets: Vec<usize>,
    ) -> Result<Self, TransitionsError> {
        let wrong = |message: String| Err(TransitionsError::Offsets(message));
        let Some((&first, &frames)) = offsets.first().zip(offsets.last()) else {
            return wrong("expected at least [0], found none".to_owned());
        };
        if first != 0 {
            return wrong(format!("expected the first to be 0, found {first}"));
        }
        if let Some(at) = offsets.windows(2).position(|pair| pair[0] >= pair[1]) {
            return wrong(format!(
                "expected each to be larger than the one before, found {} after {} at episode {at}",
                offsets[at + 1],
                offsets[at]
            ));
        }
        if observations.frame_len() == 0 || action_size == 0 {
            return Err(TransitionsError::Settings(
                "expected observations and actions of at least one number".to_owned(),
            ));
        }
        let check = |array, size: usize, found: usize| {
            let expected = frames * size;
            if found == expected {
                return Ok(());
            }
            let shape = format!("{frames} frames of {size}");
            Err(TransitionsError::Length {
                array,
                shape,
                expected,
                found,
            })
        };
        check("observations", observations.frame_len(), observations.len())?;
        check("actions", action_size, actions.len())?;
        check("states", state_size, states.len())?;
        Ok(Self {
            observations,
            actions,
            action_size,
            states,
            state_size,
            offsets,
        })
    }

    /// The same frames seen another way, such as through a frozen encoder.
    ///
    /// # Errors
    /// When there are not as many frames as before.
    pub fn with_observations<'b>(
        &self,
        observations: Observations<'b>,
    ) -> Result<Transitions<'b>, TransitionsError> {
        Transitions::new(
            observations,
            Cow::Owned(self.actions.to_vec()),
            self.action_size,
            Cow::Owned(self.states.to_vec()),
            self.state_size,
            self.offsets.clone(),
        )
    }

    /// What was seen.
    pub fn observations(&self) -> &Observations<'a> {
        &self.observations
    }

    /// All actions `(frames, action_size)`.
    pub fn actions(&self) -> &[f32] {
        &self.actions
    }

    /// Numbers of an action.
    pub fn action_size(&self) -> usize {
        self.action_size
    }

    /// All states `(frames, state_size)`.
    pub fn states(&self) -> &[f32] {
        &self.states
    }

    /// Numbers of a state.
    pub fn state_size(&self) -> usize {
        self.state_size
    }

    /// Number of frames.
    pub fn frames(&self) -> usize {
        self.offsets.last().copied().unwrap_or(0)
    }

    /// Number of episodes.
    pub fn episodes(&self) -> usize {
        self.offsets.len() - 1
    }

    /// The frames of an episode.
    pub fn episode(&self, episode: usize) -> Range<usize> {
        self.offsets[episode]..self.offsets[episode + 1]
    }

    /// The episode of a frame.
    pub fn episode_of(&self, frame: usize) -> usize {
        self.offsets.partition_point(|offset| *offset <= frame) - 1
    }

    /// Copies one frame as it is to place `at` of a buffer of the same kind.
    ///
    /// # Panics
    /// When the buffer is of the other kind or too short.
    pub fn copy_frame(&self, frame: usize, buffer: &mut Buffer, at: usize) {
        self.copy_cropped(frame, buffer, at, None);
    }

    fn copy_cropped(
        &self,
        frame: usize,
        buffer: &mut Buffer,
        at: usize,
        shift: Option<(isize, isize)>,
    ) {
        let len = self.observations.frame_len();
        let (from, to) = (frame * len..(frame + 1) * len, at * len..(at + 1) * len);
        match (&self.observations, buffer) {
            (
                Observations::Images {
                    pixels,
                    height,
                    width,
                },
                Buffer::Images(out),
            ) => match shift {
                None => out[to].copy_from_slice(&pixels[from]),
                Some((rows, columns)) => crop(
                    &pixels[from],
                    &mut out[to],
                    *height,
                    *width,
                    (rows, columns),
                ),
            },
            (
                Observations::Drawn {
                    source,
                    height,
                    width,
                },
                Buffer::Images(out),
            ) => match shift {
                None => source.draw(frame, &mut out[to]),
                Some((rows, columns)) => {
                    let mut image = vec![0; len];
                    source.draw(frame, &mut image);
                    crop(&image, &mut out[to], *height, *width, (rows, columns));
                }
            },
            (Observations::Vectors { values, .. }, Buffer::Vectors(out)) => {
                out[to].copy_from_slice(&values[from]);
            }
            _ => panic!("the buffer was made for other observations"),
        }
    }
}

/// Shifts an image by whole pixels, repeating its edge: what is left of padding by the edge and cutting to size.
fn crop(from: &[u8], to: &mut [u8], height: usize, width: usize, shift: (isize, isize)) {
    let inside = |at: usize, by: isize, size: usize| {
        at.saturating_add_signed(by).min(size.saturating_sub(1))
    };
    // columns [first, last) of the result are copied, the others repeat the edge
    let first = shift.1.min(0).unsigned_abs().min(width);
    let last = width - shift.1.max(0).unsigned_abs().min(width);
    for row in 0..height {
        let source = &from[inside(row, shift.0, height) * width * 3..][..width * 3];
        let target = &mut to[row * width * 3..][..width * 3];
        if first < last {
            let start = first.saturating_add_signed(shift.1);
            target[first * 3..last * 3]
                .copy_from_slice(&source[start * 3..(start + last - first) * 3]);
        }
        for column in (0..first.min(width)).chain(last.max(first)..width) {
            let start = inside(column, shift.1, width) * 3;
            target[column * 3..column * 3 + 3].copy_from_slice(&source[start..start + 3]);
        }
    }
}

/// How far apart the two frames of a pair are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Ahead {
    /// Always this many steps; 0 pairs a frame with itself.
    Fixed(usize),
    /// Each number of steps from 1 to this is as likely, as far as the episode goes.
    UpTo(usize),
}

impl Ahead {
    /// The largest number of steps.
    pub fn max(self) -> usize {
        match self {
            Self::Fixed(steps) | Self::UpTo(steps) => steps,
        }
    }

    /// Steps that must be left in the episode after a first frame, whose action is wanted even without a second frame.
    fn needed(self) -> usize {
        match self {
            Self::Fixed(steps) => steps.max(1),
            Self::UpTo(_) => 1,
        }
    }
}

/// Random crops: a shift of up to `pad` pixels each way, what comes in repeats the edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Crop {
    /// Pixels; usual a tenth to a twelfth of the image (8 at 84).
    pub pad: usize,
    /// The same shift for both frames of a pair.
    #[serde(default)]
    pub shared: bool,
}

/// How a [`Sampler`] draws.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SamplerConfig {
    /// Seeds order, distances and crops.
    pub seed: u64,
    /// Distance of the two frames.
    pub ahead: Ahead,
    /// Crops of images; has no effect on vectors.
    pub crop: Option<Crop>,
}

/// A pair of frames of one episode.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Window {
    /// The first frame.
    pub frame: usize,
    /// Steps to the second.
    pub ahead: usize,
}

/// Observations of a batch.
#[derive(Clone, Debug, PartialEq)]
pub enum Buffer {
    /// `(batch, height, width, 3)`.
    Images(Vec<u8>),
    /// `(batch, size)`.
    Vectors(Vec<f32>),
}

/// Buffers that a [`Sampler`] fills again and again.
#[derive(Clone, Debug)]
pub struct Batch {
    /// Where each sample comes from (batch).
    pub windows: Vec<Window>,
    /// The first frames.
    pub observations: Buffer,
    /// The second frames, where they are wanted.
    pub next: Option<Buffer>,
    /// Actions from the first frame on `(batch, steps, action_size)`, 0 from the second frame on; at least one step.
    pub actions: Vec<f32>,
    /// See `actions`.
    pub steps: usize,
    /// Ground truth of the first frames `(batch, state_size)`.
    pub states: Vec<f32>,
}

impl Batch {
    /// Buffers for `size` samples of these transitions; `next` is whether the second frames are wanted.
    pub fn new(transitions: &Transitions<'_>, size: usize, ahead: Ahead, next: bool) -> Self {
        let steps = ahead.max().max(1);
        Self {
            windows: vec![Window::default(); size],
            observations: transitions.observations.buffer(size),
            next: next.then(|| transitions.observations.buffer(size)),
            actions: vec![0.0; size * steps * transitions.action_size],
            steps,
            states: vec![0.0; size * transitions.state_size],
        }
    }
}

/// Draws pairs of frames: each pass takes every first frame once, in an order of its own.
///
/// Sample number `i` is a function of the seed and `i` alone; [`Sampler::cursor`] is all there is to save.
#[derive(Clone, Debug)]
pub struct Sampler {
    config: SamplerConfig,
    /// First frames in the episodes before each.
    before: Vec<u64>,
    total: u64,
    cursor: u64,
}

/// Streams of random numbers.
const AHEAD: u64 = 1;
const CROP: u64 = 2;
const CROP_NEXT: u64 = 3;

impl Sampler {
    /// A sampler that goes on at sample number `cursor`.
    ///
    /// # Errors
    /// When no episode has two frames this far apart.
    pub fn new(
        transitions: &Transitions<'_>,
        config: SamplerConfig,
        cursor: u64,
    ) -> Result<Self, TransitionsError> {
        if config.ahead == Ahead::UpTo(0) {
            return Err(TransitionsError::Settings(
                "steps between two frames: expected up to at least 1, found up to 0".to_owned(),
            ));
        }
        let needed = config.ahead.needed();
        let (mut before, mut total, mut longest) = (Vec::new(), 0, 0);
        for episode in 0..transitions.episodes() {
            let frames = transitions.episode(episode).len();
            before.push(total);
            total += frames.saturating_sub(needed) as u64;
            longest = longest.max(frames);
        }
        if total == 0 {
            return Err(TransitionsError::TooShort {
                ahead: needed,
                episodes: transitions.episodes(),
                longest,
            });
        }
        Ok(Self {
            config,
            before,
            total,
            cursor,
        })
    }

    /// Number of samples drawn.
    pub fn cursor(&self) -> u64 {
        self.cursor
    }

    /// Samples of one pass.
    pub fn pass(&self) -> u64 {
        self.total
    }

    /// Sample number `number`.
    pub fn window(&self, transitions: &Transitions<'_>, number: u64) -> Window {
        let (pass, place) = (number / self.total, number % self.total);
        let key = hash(self.config.seed, 0, pass);
        let index = permute(place, self.total, key);
        let episode = self.before.partition_point(|before| *before <= index) - 1;
        let frames = transitions.episode(episode);
        let frame = frames.start + (index - self.before[episode]) as usize;
        let ahead = match self.config.ahead {
            Ahead::Fixed(steps) => steps,
            Ahead::UpTo(steps) => {
                let most = steps.min(frames.end - 1 - frame);
                1 + below(hash(self.config.seed, AHEAD, number), most as u64) as usize
            }
        };
        Window { frame, ahead }
    }

    /// Fills the batch with the next samples.
    ///
    /// # Panics
    /// When the batch was made for other transitions or distances.
    pub fn fill(&mut self, transitions: &Transitions<'_>, batch: &mut Batch) {
        let (actions, states) = (transitions.action_size, transitions.state_size);
        for at in 0..batch.windows.len() {
            let window = self.window(transitions, self.cursor);
            let shift = |stream| {
                self.config.crop.map(|crop| {
                    let both = hash(self.config.seed, stream, self.cursor);
                    let by = |bits: u64| {
                        let shift = below(bits << 32, 2 * crop.pad as u64 + 1) as isize;
                        shift - crop.pad as isize
                    };
                    (by(both >> 32), by(both))
                })
            };
            let shared = self.config.crop.is_some_and(|crop| crop.shared);
            transitions.copy_cropped(window.frame, &mut batch.observations, at, shift(CROP));
            if let Some(next) = &mut batch.next {
                let stream = if shared { CROP } else { CROP_NEXT };
                transitions.copy_cropped(window.frame + window.ahead, next, at, shift(stream));
            }
            let steps = window.ahead.max(1);
            let known = steps * actions;
            let out =
                &mut batch.actions[at * batch.steps * actions..(at + 1) * batch.steps * actions];
            out[..known].copy_from_slice(&transitions.actions[window.frame * actions..][..known]);
            out[known..].fill(0.0);
            batch.states[at * states..(at + 1) * states]
                .copy_from_slice(&transitions.states[window.frame * states..][..states]);
            batch.windows[at] = window;
            self.cursor += 1;
        }
    }
}

/// The finalizer of SplitMix64 (Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators").
fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// Random bits number `counter` of a stream.
fn hash(seed: u64, stream: u64, counter: u64) -> u64 {
    const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
    let keyed = mix(seed.wrapping_add(GOLDEN)) ^ mix(stream.wrapping_mul(GOLDEN).wrapping_add(1));
    mix(mix(counter.wrapping_add(GOLDEN)) ^ keyed)
}

/// A number below `limit` from random bits.
fn below(bits: u64, limit: u64) -> u64 {
    ((u128::from(bits) * u128::from(limit)) >> 64) as u64
}

/// Where `place` goes in a permutation of `0..size` chosen by `key`: a Feistel network on the next even power of two,
/// applied until the result is inside (Black and Rogaway 2002, "Ciphers with arbitrary finite domains", section 3).
fn permute(place: u64, size: u64, key: u64) -> u64 {
    let half = (64 - (size - 1).leading_zeros()).div_ceil(2).max(1);
    let mask = (1_u64 << half) - 1;
    let mut place = place;
    loop {
        let (mut left, mut right) = (place >> half, place & mask);
        for round in 0..4 {
            (left, right) = (right, left ^ (hash(key, round, right) & mask));
        }
        place = (left << half) | right;
        if place < size {
            return place;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Episodes of 3, 1, 6 and 4 frames; frame i is seen as [i], done as [i, -i], and is in state [10 i].
    fn counted() -> Transitions<'static> {
        let number = |i: usize| i as f32;
        Transitions::new(
            Observations::Vectors {
                values: (0..14).map(number).collect(),
                size: 1,
            },
            (0..14).flat_map(|i| [number(i), -number(i)]).collect(),
            2,
            (0..14).map(|i| 10.0 * number(i)).collect(),
            1,
            vec![0, 3, 4, 10, 14],
        )
        .unwrap()
    }

    fn sampler(transitions: &Transitions<'_>, ahead: Ahead, cursor: u64) -> Sampler {
        let config = SamplerConfig {
            seed: 7,
            ahead,
            crop: None,
        };
        Sampler::new(transitions, config, cursor).unwrap()
    }

    #[test]
    fn a_pass_takes_every_first_frame_once_and_no_pair_crosses_an_episode() {
        let transitions = counted();
        for (ahead, firsts) in [
            (Ahead::Fixed(0), 10),
            (Ahead::Fixed(1), 10),
            (Ahead::Fixed(2), 7),
            (Ahead::Fixed(5), 1),
            (Ahead::UpTo(3), 10),
        ] {
            let sampler = sampler(&transitions, ahead, 0);
            assert_eq!(sampler.pass(), firsts);
            let mut orders = Vec::new();
            for pass in 0..4 {
                let windows: Vec<Window> = (0..firsts)
                    .map(|place| sampler.window(&transitions, pass * firsts + place))
                    .collect();
                for window in &windows {
                    let last = window.frame + window.ahead;
                    assert_eq!(
                        transitions.episode_of(window.frame),
                        transitions.episode_of(last)
                    );
                    assert!(window.ahead <= ahead.max());
                }
                let order: Vec<usize> = windows.iter().map(|window| window.frame).collect();
                let mut sorted = order.clone();
                sorted.sort_unstable();
                sorted.dedup();
                assert_eq!(sorted.len() as u64, firsts, "{ahead:?} {order:?}");
                orders.push(order);
            }
            assert!(firsts < 5 || orders[0] != orders[1], "passes differ");
        }
    }

    #[test]
    fn sampled_distances_take_every_value_that_fits() {
        let transitions = counted();
        let sampler = sampler(&transitions, Ahead::UpTo(3), 0);
        let mut seen = std::collections::BTreeMap::<usize, Vec<usize>>::new();
        for number in 0..2000 {
            let window = sampler.window(&transitions, number);
            seen.entry(window.frame).or_default().push(window.ahead);
        }
        for (frame, mut distances) in seen {
            let left = transitions.episode(transitions.episode_of(frame)).end - 1 - frame;
            distances.sort_unstable();
            distances.dedup();
            assert_eq!(distances, (1..=left.min(3)).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_batch_holds_what_its_windows_say() {
        let transitions = counted();
        let mut sampler = sampler(&transitions, Ahead::UpTo(3), 0);
        let mut batch = Batch::new(&transitions, 8, Ahead::UpTo(3), true);
        for _ in 0..20 {
            sampler.fill(&transitions, &mut batch);
            let (Buffer::Vectors(now), Some(Buffer::Vectors(next))) =
                (&batch.observations, &batch.next)
            else {
                panic!("vectors")
            };
            for (at, window) in batch.windows.iter().enumerate() {
                assert_eq!(now[at], window.frame as f32);
                assert_eq!(next[at], (window.frame + window.ahead) as f32);
                assert_eq!(batch.states[at], 10.0 * now[at]);
                for step in 0..3 {
                    let expected = if step < window.ahead {
                        (window.frame + step) as f32
                    } else {
                        0.0
                    };
                    assert_eq!(
                        batch.actions[(at * 3 + step) * 2..][..2],
                        [expected, -expected]
                    );
                }
            }
        }
    }

    #[test]
    fn a_sampler_goes_on_from_its_cursor() {
        let transitions = counted();
        let ahead = Ahead::UpTo(2);
        let mut whole = sampler(&transitions, ahead, 0);
        let mut batch = Batch::new(&transitions, 5, ahead, false);
        let mut windows = Vec::new();
        for _ in 0..8 {
            whole.fill(&transitions, &mut batch);
            windows.extend_from_slice(&batch.windows);
        }
        let mut resumed = sampler(&transitions, ahead, 15);
        let mut later = Vec::new();
        for _ in 0..5 {
            resumed.fill(&transitions, &mut batch);
            later.extend_from_slice(&batch.windows);
        }
        assert_eq!(windows[15..], later);
        assert_eq!(whole.cursor(), resumed.cursor());
    }

    /// One image of 5 x 4 pixels whose red is its row, green its column.
    fn image() -> Transitions<'static> {
        let pixels: Vec<u8> = (0..2_u8)
            .flat_map(|frame| {
                (0..5_u8)
                    .flat_map(move |row| (0..4_u8).flat_map(move |column| [row, column, frame]))
            })
            .collect();
        Transitions::new(
            Observations::Images {
                pixels: pixels.into(),
                height: 5,
                width: 4,
            },
            vec![0.0; 2].into(),
            1,
            Vec::new().into(),
            0,
            vec![0, 2],
        )
        .unwrap()
    }

    #[test]
    fn crops_shift_the_image_and_repeat_its_edge() {
        let transitions = image();
        for pad in [0, 1, 2, 3, 9] {
            for shared in [false, true] {
                let config = SamplerConfig {
                    seed: 3,
                    ahead: Ahead::Fixed(1),
                    crop: Some(Crop { pad, shared }),
                };
                let mut sampler = Sampler::new(&transitions, config, 0).unwrap();
                let mut batch = Batch::new(&transitions, 400, config.ahead, true);
                sampler.fill(&transitions, &mut batch);
                let (Buffer::Images(now), Some(Buffer::Images(next))) =
                    (&batch.observations, &batch.next)
                else {
                    panic!("images")
                };
                let shifts = |pixels: &[u8], frame: u8| -> Vec<Vec<(isize, isize)>> {
                    let of = |image: &[u8]| {
                        let pad = pad as isize;
                        let all = (-pad..=pad).flat_map(|r| (-pad..=pad).map(move |c| (r, c)));
                        all.filter(|(r, c)| {
                            (0..20_isize).all(|at| {
                                let row = (at / 4 + r).clamp(0, 4) as u8;
                                let column = (at % 4 + c).clamp(0, 3) as u8;
                                image[at as usize * 3..][..3] == [row, column, frame]
                            })
                        })
                        .collect()
                    };
                    pixels.chunks(60).map(of).collect()
                };
                let (now, next) = (shifts(now, 0), shifts(next, 1));
                assert!(now.iter().chain(&next).all(|found| !found.is_empty()));
                let same = now.iter().zip(&next).filter(|(a, b)| a == b).count();
                assert_eq!(
                    same == 400,
                    shared || pad == 0,
                    "pad {pad}: {same} the same"
                );
                let mut kinds: Vec<_> = now.iter().flatten().collect();
                kinds.sort_unstable();
                kinds.dedup();
                // 800 draws meet each of 49 shifts, not each of 361
                let all = (2 * pad + 1) * (2 * pad + 1);
                assert!(kinds.len() == all || pad == 9, "pad {pad}: {kinds:?}");
            }
        }
    }

    #[derive(Debug)]
    struct Copied(Vec<u8>);

    impl FrameSource for Copied {
        fn frames(&self) -> usize {
            self.0.len() / 60
        }

        fn draw(&self, frame: usize, rgb: &mut [u8]) {
            rgb.copy_from_slice(&self.0[60 * frame..][..60]);
        }
    }

    #[test]
    fn frames_that_are_drawn_are_batched_like_frames_that_are_kept() {
        let kept = image();
        let Observations::Images { pixels, .. } = kept.observations() else {
            panic!("images")
        };
        let with = |pixels: &[u8]| {
            kept.with_observations(Observations::Drawn {
                source: Arc::new(Copied(pixels.to_vec())),
                height: 5,
                width: 4,
            })
        };
        let drawn = with(pixels).unwrap();
        let batch = |transitions: &Transitions<'_>, crop| {
            let config = SamplerConfig {
                seed: 3,
                ahead: Ahead::Fixed(1),
                crop,
            };
            let mut sampler = Sampler::new(transitions, config, 0).unwrap();
            let mut batch = Batch::new(transitions, 30, config.ahead, true);
            sampler.fill(transitions, &mut batch);
            (batch.observations, batch.next)
        };
        let crop = Crop {
            pad: 2,
            shared: false,
        };
        for crop in [None, Some(crop)] {
            assert_eq!(batch(&drawn, crop), batch(&kept, crop));
        }
        assert_eq!(
            with(&pixels[60..]).unwrap_err().to_string(),
            "observations: expected 120 numbers (2 frames of 60), found 60"
        );
    }

    #[test]
    fn arrays_that_do_not_fit_are_refused() {
        let make = |values: usize, actions: usize, offsets: Vec<usize>| {
            Transitions::new(
                Observations::Vectors {
                    values: vec![0.0; values].into(),
                    size: 2,
                },
                vec![0.0; actions].into(),
                3,
                Vec::new().into(),
                0,
                offsets,
            )
            .map(|_| ())
            .map_err(|error| error.to_string())
        };
        assert_eq!(make(10, 15, vec![0, 5]), Ok(()));
        for (result, message) in [
            (
                make(9, 15, vec![0, 5]),
                "observations: expected 10 numbers (5 frames of 2), found 9",
            ),
            (
                make(10, 14, vec![0, 5]),
                "actions: expected 15 numbers (5 frames of 3), found 14",
            ),
            (
                make(10, 15, vec![]),
                "episode offsets: expected at least [0], found none",
            ),
            (
                make(10, 15, vec![1, 5]),
                "episode offsets: expected the first to be 0, found 1",
            ),
            (
                make(10, 15, vec![0, 3, 3, 5]),
                "episode offsets: expected each to be larger than the one before, found 3 after 3 at episode 1",
            ),
        ] {
            assert_eq!(result, Err(message.to_owned()));
        }
        let config = SamplerConfig {
            seed: 0,
            ahead: Ahead::Fixed(6),
            crop: None,
        };
        assert_eq!(
            Sampler::new(&counted(), config, 0).unwrap_err().to_string(),
            "no episode has two frames 6 steps apart: the longest of 4 has 6 frames"
        );
    }
}
