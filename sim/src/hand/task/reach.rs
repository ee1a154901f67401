//! All fingertips at given places.
//!
//! MyoSuite's `myoHandReachRandom-v0` draws each fingertip's target from a box of its own, 80 × 40 × 20 mm wide, so that many
//! targets cannot be reached by five fingers at once, and ends an episode when the tips are 0.22 m off together. Here the target
//! is where the tips are in a pose drawn from a share of each joint's range: it can always be reached. 100 actions of
//! 20 ms, from the open hand, as there.

use ::hand::batch::WorldState;
use ::hand::scene::Scene;
use rand_chacha::ChaCha8Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Task, Verdict, at_rest, draw_angles, effort, empty_scene, root_mean_square, symmetric, whether,
};
use crate::hand::{Body, HandError, Seen, Setting};

/// All fingertips at given places. Target: places in meters, in the world (n_tips × 3). Error: target minus places
/// (n_tips × 3).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Reach {
    /// Share of each joint's range, around its middle, from which the pose of the target is drawn, in [0, 1].
    pub share: f64,
    /// How far each joint starts from the open hand at most, in radians.
    pub start_rad: f64,
    /// Success: root mean square of the tips' distances in meters. MyoSuite's 62.5 mm over five tips are 28 mm.
    pub near_m: f32,
    /// The end; more than the hand is long, so that no target starts there.
    pub far_m: f32,
    /// Actions of an episode.
    pub max_steps: u32,
    /// Weights of the reward's terms.
    pub weights: ReachWeights,
}

/// Weights of the terms of [`Reach`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ReachWeights {
    /// Minus the root mean square of the distances, per meter. MyoSuite's 1 for five tips together is 2.2: so little that
    /// all of the reward is in the bonus.
    pub reach: f32,
    /// 1 when within twice the near distance, 2 when near.
    pub bonus: f32,
    /// -1 when too far.
    pub penalty: f32,
    /// Minus the muscles' effort.
    pub effort: f32,
}

impl Default for Reach {
    fn default() -> Self {
        Self {
            share: 0.5,
            start_rad: 0.1,
            near_m: 0.02,
            far_m: 0.3,
            max_steps: 100,
            weights: ReachWeights::default(),
        }
    }
}

impl Default for ReachWeights {
    fn default() -> Self {
        Self {
            reach: 50.0,
            bonus: 4.0,
            penalty: 50.0,
            effort: 1.0,
        }
    }
}

impl Task for Reach {
    fn name(&self) -> &'static str {
        "hand/reach"
    }

    fn say(&self) -> String {
        "Put every fingertip where it is shown.".to_owned()
    }

    fn goal(&self) -> String {
        format!(
            "fingertips within {} m of the target (root mean square)",
            self.near_m
        )
    }

    fn max_steps(&self) -> u32 {
        self.max_steps
    }

    fn scene(&self, body: &Body) -> Result<Scene, HandError> {
        Ok(empty_scene(body))
    }

    fn n_target(&self, setting: &Setting) -> usize {
        3 * setting.tips.len()
    }

    fn n_error(&self, setting: &Setting) -> usize {
        3 * setting.tips.len()
    }

    fn standing(&self, setting: &Setting) -> WorldState {
        at_rest(setting, &[], Vec::new())
    }

    fn draw(
        &self,
        setting: &Setting,
        rng: &mut ChaCha8Rng,
        start: &mut WorldState,
        target: &mut [f32],
    ) {
        for (joint, angle) in start.qpos.iter_mut().enumerate() {
            let [low, high] = setting.limits(joint).map(|x| x as f32);
            *angle = (*angle + (self.start_rad * symmetric(rng)) as f32).clamp(low, high);
        }
        let tips = setting.tips_at(&draw_angles(setting, self.share, rng));
        for (x, place) in target.iter_mut().zip(tips.iter().flatten()) {
            *x = *place as f32;
        }
    }

    fn error(&self, seen: &Seen<'_>, error: &mut [f32]) {
        for ((e, to), from) in error.iter_mut().zip(seen.target).zip(seen.fingertips) {
            *e = to - from;
        }
    }

    fn terms(&self) -> &'static [&'static str] {
        &["reach", "bonus", "penalty", "effort"]
    }

    fn judge(&self, seen: &Seen<'_>, terms: &mut [f32]) -> Verdict {
        let Self {
            near_m,
            far_m,
            weights: w,
            ..
        } = self;
        // Over tips, not over coordinates.
        let distance = root_mean_square(seen.error) * 3.0_f32.sqrt();
        let bonus = whether(distance < *near_m) + whether(distance < 2.0 * near_m);
        let far = distance > *far_m;
        terms.copy_from_slice(&[
            -w.reach * distance,
            w.bonus * bonus,
            -w.penalty * whether(far),
            -w.effort * effort(seen),
        ]);
        Verdict {
            success: distance < *near_m,
            terminated: far,
        }
    }
}
