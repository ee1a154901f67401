//! A point mass brought to a given place: dm_control's `point_mass`, as Brandfonbrener et al. (arXiv 2305.16985) use it.
//!
//! The target is drawn evenly from ±0.29 m along each axis (or given: the one of finetuning), the start from the whole
//! arena; 100 actions of 50 ms; success, and the end, when the point is within 3 cm of the target.

use ::hand::batch::WorldState;
use ::hand::model::ShapeKind;
use ::hand::scene::{Primitive, Scene};
use rand_chacha::ChaCha8Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Task, Verdict, View, at_rest, empty_scene, norm, require, symmetric, whether};
use crate::hand::{Body, HandError, Seen, Setting};

/// A point mass at a given place. Target: place in meters (2). Error: target minus place (2).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Point {
    /// How far from the middle it starts at most, along each axis, in meters.
    pub start_m: f32,
    /// How far from the middle the target lies at most, along each axis, in meters.
    pub target_m: f32,
    /// The target in every episode, in meters; left out, it is drawn.
    pub fixed_m: Option<[f32; 2]>,
    /// Success: distance in meters.
    pub near_m: f32,
    /// Actions of an episode.
    pub max_steps: u32,
}

impl Default for Point {
    fn default() -> Self {
        Self {
            start_m: 0.29,
            target_m: 0.29,
            fixed_m: None,
            near_m: 0.03,
            max_steps: 100,
        }
    }
}

impl Task for Point {
    fn name(&self) -> &'static str {
        "point/reach"
    }

    fn say(&self) -> String {
        "Bring the point where it is shown.".to_owned()
    }

    fn goal(&self) -> String {
        format!("point within {} m of the target", self.near_m)
    }

    fn max_steps(&self) -> u32 {
        self.max_steps
    }

    /// Nothing touches the point; the board below is to be seen.
    fn scene(&self, body: &Body) -> Result<Scene, HandError> {
        require(self.name(), body, &[("x", 0.0), ("y", 0.0)])?;
        let mut scene = empty_scene(body);
        scene.options.contacts = false;
        let board = Primitive::new(ShapeKind::Box, [0.4, 0.4, 0.01]).at([0.0, 0.0, -0.05]);
        scene.fixed.push(board);
        Ok(scene)
    }

    fn n_target(&self, _: &Setting) -> usize {
        2
    }

    fn n_error(&self, _: &Setting) -> usize {
        2
    }

    fn standing(&self, setting: &Setting) -> WorldState {
        at_rest(setting, &[], Vec::new())
    }

    fn draw(&self, _: &Setting, rng: &mut ChaCha8Rng, start: &mut WorldState, target: &mut [f32]) {
        let mut symmetric = || symmetric(rng) as f32;
        for x in &mut start.qpos {
            *x = self.start_m * symmetric();
        }
        let drawn = [symmetric(), symmetric()].map(|x| self.target_m * x);
        target.copy_from_slice(&self.fixed_m.unwrap_or(drawn));
    }

    fn error(&self, seen: &Seen<'_>, error: &mut [f32]) {
        for ((e, to), from) in error.iter_mut().zip(seen.target).zip(seen.joint_angles) {
            *e = to - from;
        }
    }

    fn terms(&self) -> &'static [&'static str] {
        &["distance", "success"]
    }

    fn judge(&self, seen: &Seen<'_>, terms: &mut [f32]) -> Verdict {
        let distance = norm(seen.error);
        let success = distance < self.near_m;
        terms.copy_from_slice(&[-distance, whether(success)]);
        Verdict {
            success,
            terminated: success,
        }
    }

    fn mark(&self, seen: &Seen<'_>) -> Option<[f32; 3]> {
        let [x, y] = *seen.target.first_chunk()?;
        Some([x, y, 0.0])
    }

    fn view(&self) -> View {
        View {
            from: [0.0, 0.0, 1.2],
            to: [0.0; 3],
            fovy: 0.65,
            ground: -0.04,
        }
    }
}
