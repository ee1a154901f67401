//! What is seen of a hand: named parts of one flat list of numbers.

use std::ops::Range;

use episode::{Observation, Space, Value};

/// A named part of an observation.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// Its name.
    pub name: &'static str,
    /// Its place in a world's list.
    pub range: Range<usize>,
    /// Smallest and largest value: what lies outside is seen as the nearest of both.
    pub bounds: [f32; 2],
}

/// How many numbers there are of each kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sizes {
    pub(super) joints: usize,
    pub(super) muscles: usize,
    pub(super) tips: usize,
    pub(super) touch: usize,
    /// Joints that the task added.
    pub(super) hinges: usize,
    /// Objects that move freely.
    pub(super) objects: usize,
    pub(super) target: usize,
    pub(super) error: usize,
}

/// Where the parts of an observation are, in this order. Parts without numbers are left out of the space.
///
/// | part | numbers | what |
/// |---|---|---|
/// | `joint_angles` | n_joints | radians |
/// | `hinge_angles` | n_hinges | radians, of what the task hung on a hinge (a key) |
/// | `joint_velocities` | n_joints | radians a second |
/// | `hinge_velocities` | n_hinges | radians a second |
/// | `activations` | n_muscles | in [0, 1] |
/// | `tendon_lengths` | n_muscles | meters |
/// | `fingertips` | n_tips × 3 | meters, in the world, thumb first |
/// | `touch` | n_tips + 1 | normal forces on each finger, then the palm, summed over contacts: newtons, in the last physics step |
/// | `object_pose` | n_objects × 7 | meters, then quaternion w, x, y, z, in the world |
/// | `object_velocity` | n_objects × 6 | meters a second in the world, then radians a second around the object's axes |
/// | `phase` | 1 | share of the longest episode that has passed, in [0, 1] |
/// | `target` | as the task says | drawn once, when the episode starts |
/// | `error` | as the task says | from where things are to the target |
#[derive(Clone, Debug, PartialEq)]
pub struct Layout {
    parts: [Part; 13],
}

pub(super) const JOINT_ANGLES: usize = 0;
pub(super) const HINGE_ANGLES: usize = 1;
pub(super) const JOINT_VELOCITIES: usize = 2;
pub(super) const HINGE_VELOCITIES: usize = 3;
pub(super) const ACTIVATIONS: usize = 4;
pub(super) const TENDON_LENGTHS: usize = 5;
pub(super) const FINGERTIPS: usize = 6;
pub(super) const TOUCH: usize = 7;
pub(super) const OBJECT_POSE: usize = 8;
pub(super) const OBJECT_VELOCITY: usize = 9;
pub(super) const PHASE: usize = 10;
pub(super) const TARGET: usize = 11;
pub(super) const ERROR: usize = 12;

/// One world's observation, by part; what the scene does not have is empty.
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(missing_docs, reason = "the parts are described at `Layout`")]
pub struct Seen<'a> {
    pub joint_angles: &'a [f32],
    pub joint_velocities: &'a [f32],
    pub activations: &'a [f32],
    pub tendon_lengths: &'a [f32],
    pub fingertips: &'a [f32],
    pub touch: &'a [f32],
    pub hinge_angles: &'a [f32],
    pub hinge_velocities: &'a [f32],
    pub object_pose: &'a [f32],
    pub object_velocity: &'a [f32],
    pub phase: &'a [f32],
    pub target: &'a [f32],
    pub error: &'a [f32],
}

impl<'a> Seen<'a> {
    /// The parts in their order: one after the other, they are the world's list.
    pub fn parts(&self) -> [&'a [f32]; 13] {
        [
            self.joint_angles,
            self.hinge_angles,
            self.joint_velocities,
            self.hinge_velocities,
            self.activations,
            self.tendon_lengths,
            self.fingertips,
            self.touch,
            self.object_pose,
            self.object_velocity,
            self.phase,
            self.target,
            self.error,
        ]
    }
}

impl Layout {
    pub(super) fn new(sizes: Sizes) -> Self {
        let (turn, speed, place) = (100.0, 1000.0, 1000.0);
        let mut start = 0;
        let parts = [
            ("joint_angles", sizes.joints, [-turn, turn]),
            ("hinge_angles", sizes.hinges, [-turn, turn]),
            ("joint_velocities", sizes.joints, [-speed, speed]),
            ("hinge_velocities", sizes.hinges, [-speed, speed]),
            ("activations", sizes.muscles, [0.0, 1.0]),
            ("tendon_lengths", sizes.muscles, [0.0, place]),
            ("fingertips", 3 * sizes.tips, [-place, place]),
            ("touch", sizes.touch, [0.0, 1e6]),
            ("object_pose", 7 * sizes.objects, [-place, place]),
            ("object_velocity", 6 * sizes.objects, [-speed, speed]),
            ("phase", 1, [0.0, 1.0]),
            ("target", sizes.target, [-place, place]),
            ("error", sizes.error, [-place, place]),
        ];
        let parts = parts.map(|(name, size, bounds)| {
            let range = start..start + size;
            start = range.end;
            Part {
                name,
                range,
                bounds,
            }
        });
        Self { parts }
    }

    /// The parts that have numbers.
    pub fn parts(&self) -> impl Iterator<Item = &Part> {
        self.parts.iter().filter(|part| !part.range.is_empty())
    }

    /// Numbers in one world's observation.
    pub fn size(&self) -> usize {
        self.parts[ERROR].range.end
    }

    /// The space of [`Layout::observation`].
    pub fn space(&self) -> Space {
        let part = |part: &Part| {
            let [low, high] = part.bounds;
            (
                part.name.to_owned(),
                Space::Box {
                    shape: vec![part.range.len()],
                    low,
                    high,
                },
            )
        };
        let mut parts: Vec<_> = self.parts().map(part).collect();
        parts.sort_by(|a, b| a.0.cmp(&b.0));
        Space::Dict(parts)
    }

    /// One world's list (`size()` numbers) as named values.
    pub fn observation(&self, world: &[f32]) -> Observation {
        self.parts().fold(Observation::new(), |seen, part| {
            seen.with(part.name, Value::Array(world[part.range.clone()].to_vec()))
        })
    }

    /// Named values as one world's list; what is missing or has another length stays 0.
    pub fn list(&self, observation: &Observation, world: &mut Vec<f32>) {
        world.clear();
        world.resize(self.size(), 0.0);
        for part in self.parts() {
            if let Some(Value::Array(numbers)) = observation.0.get(part.name)
                && numbers.len() == part.range.len()
            {
                world[part.range.clone()].copy_from_slice(numbers);
            }
        }
    }

    /// One world's list, by part.
    pub fn seen<'a>(&self, world: &'a [f32]) -> Seen<'a> {
        let part = |i: usize| world.get(self.parts[i].range.clone()).unwrap_or_default();
        Seen {
            joint_angles: part(JOINT_ANGLES),
            joint_velocities: part(JOINT_VELOCITIES),
            activations: part(ACTIVATIONS),
            tendon_lengths: part(TENDON_LENGTHS),
            fingertips: part(FINGERTIPS),
            touch: part(TOUCH),
            hinge_angles: part(HINGE_ANGLES),
            hinge_velocities: part(HINGE_VELOCITIES),
            object_pose: part(OBJECT_POSE),
            object_velocity: part(OBJECT_VELOCITY),
            phase: part(PHASE),
            target: part(TARGET),
            error: part(ERROR),
        }
    }

    /// The place of some parts that follow each other.
    pub(super) fn span(&self, first: usize, last: usize) -> Range<usize> {
        self.parts[first].range.start..self.parts[last].range.end
    }

    /// All parts but the error, and the error.
    pub(super) fn split_error<'a>(&self, world: &'a mut [f32]) -> (&'a [f32], &'a mut [f32]) {
        let (before, error) = world.split_at_mut(self.parts[ERROR].range.start);
        (before, error)
    }

    /// Puts every number within its part's bounds.
    pub(super) fn bound(&self, world: &mut [f32]) {
        for part in self.parts() {
            let [low, high] = part.bounds;
            for x in &mut world[part.range.clone()] {
                *x = x.clamp(low, high);
            }
        }
    }
}
