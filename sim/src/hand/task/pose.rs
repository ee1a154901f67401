//! All joints at given angles.
//!
//! MyoSuite's `myoHandPoseRandom-v0` starts anywhere within the joints' limits and draws the target from the box around ten
//! signs of the American sign language, with the wrist always at 0; 100 actions of 20 ms. Here start and target are drawn alike,
//! from a share of each joint's range, so that any hand will do and the wrist takes part. Errors are root mean squares over
//! the joints instead of lengths of the list, so that thresholds mean the same for any number of joints; the defaults are
//! MyoSuite's for 23.

use ::hand::batch::WorldState;
use ::hand::scene::Scene;
use rand_chacha::ChaCha8Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Task, Verdict, at_rest, draw_angles, effort, empty_scene, root_mean_square, whether};
use crate::hand::{Body, HandError, Seen, Setting};

/// All joints at given angles. Target: angles in radians (n_joints). Error: target minus angles (n_joints).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Pose {
    /// Share of each joint's range, around its middle, from which start and target are drawn, in [0, 1]. With more, fingers
    /// lie in each other's way more often.
    pub share: f64,
    /// Success: root mean square of the errors in radians. MyoSuite's 0.7 rad over 23 joints are 0.146.
    pub near_rad: f32,
    /// The end: MyoSuite's 2 π over 23 joints are 1.31.
    pub far_rad: f32,
    /// Actions of an episode.
    pub max_steps: u32,
    /// Weights of the reward's terms.
    pub weights: PoseWeights,
}

/// Weights of the terms of [`Pose`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PoseWeights {
    /// Minus the root mean square of the errors, per radian. MyoSuite's 1 for the length of a list of 23 is 4.8.
    pub pose: f32,
    /// 1 when within 1.5 times the near distance, 2 when near.
    pub bonus: f32,
    /// -1 when too far.
    pub penalty: f32,
    /// Minus the muscles' effort: length of the list of activations by their number.
    pub effort: f32,
}

impl Default for Pose {
    fn default() -> Self {
        Self {
            share: 0.5,
            near_rad: 0.146,
            far_rad: 1.31,
            max_steps: 100,
            weights: PoseWeights::default(),
        }
    }
}

impl Default for PoseWeights {
    fn default() -> Self {
        Self {
            pose: 4.8,
            bonus: 4.0,
            penalty: 50.0,
            effort: 1.0,
        }
    }
}

impl Task for Pose {
    fn name(&self) -> &'static str {
        "hand/pose"
    }

    fn say(&self) -> String {
        "Take the pose that is shown.".to_owned()
    }

    fn goal(&self) -> String {
        format!(
            "joints within {} rad of the target (root mean square)",
            self.near_rad
        )
    }

    fn max_steps(&self) -> u32 {
        self.max_steps
    }

    fn scene(&self, body: &Body) -> Result<Scene, HandError> {
        Ok(empty_scene(body))
    }

    fn n_target(&self, setting: &Setting) -> usize {
        setting.n_joints
    }

    fn n_error(&self, setting: &Setting) -> usize {
        setting.n_joints
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
        for list in [&mut start.qpos[..], target] {
            let angles = draw_angles(setting, self.share, rng);
            for (x, angle) in list.iter_mut().zip(angles) {
                *x = angle as f32;
            }
        }
    }

    fn error(&self, seen: &Seen<'_>, error: &mut [f32]) {
        for ((e, to), from) in error.iter_mut().zip(seen.target).zip(seen.joint_angles) {
            *e = to - from;
        }
    }

    fn terms(&self) -> &'static [&'static str] {
        &["pose", "bonus", "penalty", "effort"]
    }

    fn judge(&self, seen: &Seen<'_>, terms: &mut [f32]) -> Verdict {
        let Self {
            near_rad,
            far_rad,
            weights: w,
            ..
        } = self;
        let distance = root_mean_square(seen.error);
        let bonus = whether(distance < *near_rad) + whether(distance < 1.5 * near_rad);
        let far = distance > *far_rad;
        terms.copy_from_slice(&[
            -w.pose * distance,
            w.bonus * bonus,
            -w.penalty * whether(far),
            -w.effort * effort(seen),
        ]);
        Verdict {
            success: distance < *near_rad,
            terminated: far,
        }
    }
}
