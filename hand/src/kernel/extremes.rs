//! The shortest and the longest way of a tendon within the joints' limits.
//!
//! A search without chance: evenly spread poses, and from the best of them downhill, joint by joint, with ever smaller steps.

use super::Kernel;
use crate::model::{JointKind, Model, ParameterSet};

/// Poses to begin with. A tendon crosses at most eight joints; more poses find the same extremes in the shipped models.
const POSES: usize = 1_000;
/// From how many of the best poses the search goes downhill.
const STARTS: usize = 8;
/// Steps of a joint, as part of its range: from the first, halved until the last.
const FIRST_STEP: f64 = 0.25;
const LAST_STEP: f64 = 1e-6;
/// Ranges are rounded outward to whole micrometres.
const PER_METRE: f64 = 1e6;

/// Shortest and longest length of each muscle's tendon, in metres (n_muscles). A hinge without limits turns all the way round; a
/// slide without limits stays where it is.
pub(crate) fn of_paths(model: &Model) -> Vec<[f64; 2]> {
    // The set whose ranges are wanted has no part in the paths.
    let kernel = Kernel::new(model, ParameterSet::Calibrated);
    let free = |kind| {
        if kind == JointKind::Hinge {
            std::f64::consts::PI
        } else {
            0.0
        }
    };
    let limits = model
        .joint
        .iter()
        .map(|joint| joint.limit.unwrap_or([-free(joint.kind), free(joint.kind)]));
    let limits: Vec<[f64; 2]> = limits.collect();
    let poses: Vec<Vec<f64>> = (0..POSES).map(|i| spread(i, &limits)).collect();
    (0..model.muscle.len())
        .map(|muscle| {
            let shortest = lowest(&kernel, &limits, &poses, muscle, 1.0);
            let longest = -lowest(&kernel, &limits, &poses, muscle, -1.0);
            [
                (shortest * PER_METRE).floor() / PER_METRE,
                (longest * PER_METRE).ceil() / PER_METRE,
            ]
        })
        .collect()
}

/// The lowest value of `sign` times the length.
fn lowest(
    kernel: &Kernel,
    limits: &[[f64; 2]],
    poses: &[Vec<f64>],
    muscle: usize,
    sign: f64,
) -> f64 {
    let joints = kernel.joints_under(muscle);
    let value = |pose: &[f64]| sign * kernel.length(muscle, pose);
    let mut starts: Vec<(f64, &Vec<f64>)> = poses.iter().map(|pose| (value(pose), pose)).collect();
    starts.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    let ends = starts.into_iter().take(STARTS).map(|(mut best, start)| {
        let mut pose = start.clone();
        let mut step = FIRST_STEP;
        while step >= LAST_STEP {
            let before = best;
            for &joint in &joints {
                let [low, high] = limits[joint];
                for move_by in [-step, step] {
                    let here = pose[joint];
                    pose[joint] = (here + move_by * (high - low)).clamp(low, high);
                    let there = value(&pose);
                    if there < best {
                        best = there;
                    } else {
                        pose[joint] = here;
                    }
                }
            }
            if best >= before {
                step /= 2.0;
            }
        }
        best
    });
    ends.fold(f64::INFINITY, f64::min)
}

/// The pose number `i` of a sequence that fills the limits evenly: each joint goes round by its own power of a generalized
/// golden ratio (the root of x^(n+1) = x + 1, Roberts 2018).
fn spread(i: usize, limits: &[[f64; 2]]) -> Vec<f64> {
    let dimensions = limits.len() as f64;
    let ratio = (0..30).fold(2.0_f64, |x, _| libm::pow(1.0 + x, 1.0 / (dimensions + 1.0)));
    let mut power = 1.0;
    let place = limits.iter().map(|[low, high]| {
        power /= ratio;
        low + (high - low) * (0.5 + power * (i + 1) as f64).fract()
    });
    place.collect()
}
