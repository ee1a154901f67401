//! What the hand promises: MuJoCo's numbers, mechanics' own laws, and words for everything that is wrong with a file.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

mod bad_model;
mod bits;
mod calibrated;
mod command_line;
mod golden;
mod import;
mod laws;
mod robot;
mod solver;
mod watch;

use hand::kernel::Pose;
use hand::model::{self, Model};

fn myohand() -> Model {
    model::load_text(hand::MYOHAND, "myohand.toml").unwrap()
}

/// Even random numbers from a seed (SplitMix64).
struct Draws(u64);

impl Draws {
    /// A number from `low` to `high`.
    fn between(&mut self, low: f64, high: f64) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        low + (high - low) * ((x ^ (x >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Joint angles within the limits, up to 5 rad/s, any activations.
    fn pose(&mut self, model: &Model) -> Pose {
        let limits = model.joint.iter().map(|joint| joint.limit.unwrap());
        Pose {
            qpos: limits.map(|[low, high]| self.between(low, high)).collect(),
            qvel: model
                .joint
                .iter()
                .map(|_| self.between(-5.0, 5.0))
                .collect(),
            act: model
                .muscle
                .iter()
                .map(|_| self.between(0.0, 1.0))
                .collect(),
        }
    }
}

/// A way to break a file, and the error that must follow.
struct Broken<'a> {
    right: &'a str,
    wrong: &'a str,
    line: usize,
    reason: &'a str,
}

/// Reads pairs of lines: `right  =>  wrong`, and below it, indented, `line: reason`.
fn broken(table: &str) -> Vec<Broken<'_>> {
    fn pair<'a>(pair: &[&'a str]) -> Option<Broken<'a>> {
        let (right, wrong) = pair[0].split_once("  =>")?;
        let (line, reason) = pair.get(1)?.trim().split_once(": ")?;
        Some(Broken {
            right,
            wrong: wrong.trim_start(),
            line: line.parse().ok()?,
            reason,
        })
    }
    let lines: Vec<&str> = table
        .lines()
        .filter(|line| !line.starts_with('#'))
        .collect();
    lines
        .chunks(2)
        .map(|lines| pair(lines).unwrap_or_else(|| panic!("{lines:?}")))
        .collect()
}

#[track_caller]
fn assert_close(what: &str, found: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (i, (a, b)) in found.iter().zip(expected).enumerate() {
        assert!(
            (a - b).abs() <= tolerance,
            "{what}[{i}]: {a} instead of {b}"
        );
    }
}
