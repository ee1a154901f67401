//! All joints at given angles.
//!
//! MyoSuite's `myoHandPoseRandom-v0` starts anywhere within the joints' limits and draws the target from the box around ten
//! signs of the American sign language, with the wrist always at 0; 100 actions of 20 ms. Motors hold any angle: a hand with motors
//! starts, and is asked for poses, within a share of each joint's range. Most poses of a box are none that muscles hold, because
//! tendons pull at several joints at once: a hand with muscles starts at rest, and is asked for poses that actions which stay,
//! drawn evenly, bring it to from there. Errors are root mean squares over the joints instead of lengths of the list, so that
//! thresholds mean the same for any number of joints; the defaults are MyoSuite's for 23.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use ::hand::batch::{Batch, WorldState};
use ::hand::model;
use ::hand::scene::Scene;
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Task, Verdict, at_rest, draw_angles, effort, empty_scene, root_mean_square, symmetric, whether,
};
use crate::hand::env::logistic_excitation;
use crate::hand::{Body, HandError, Seen, Setting};
use crate::random::episode_rng;

/// Poses of a set.
const N_POSES: usize = 1024;

/// Steps of its model, from rest, after which it has come to one: half of all hands move by less than 0.2 rad/s then (root mean
/// square over the joints).
const POSE_STEPS: usize = 500;

/// Sets that were made so far, by blake3 of the hand and by number: one takes as long as hundreds of episodes' steps.
static SETS: Mutex<BTreeMap<([u8; 32], u32), Arc<Vec<Vec<f32>>>>> = Mutex::new(BTreeMap::new());

/// All joints at given angles. Target: angles in radians (n_joints). Error: target minus angles (n_joints).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Pose {
    /// Share of each joint's range, around its middle, from which the start is drawn, and the target of a hand with motors, in
    /// [0, 1]. With more, fingers lie in each other's way more often. Left out: half with motors; with muscles the start is rest.
    pub share: Option<f64>,
    /// Number of the set that the poses of a hand with muscles are of. Sets have 1,024 poses each: in another set are others than
    /// those that were learnt.
    pub set: u32,
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
            share: None,
            set: 0,
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

    fn prepare(&self, body: &Body, setting: &mut Setting) -> Result<(), HandError> {
        if !body.model.muscle.is_empty() {
            let hand = model::save(&body.model) + &format!("{:?}", body.parameters);
            let key = (*blake3::hash(hand.as_bytes()).as_bytes(), self.set);
            let mut sets = SETS.lock().unwrap_or_else(PoisonError::into_inner);
            setting.poses = match sets.get(&key) {
                Some(poses) => Arc::clone(poses),
                None => {
                    let poses = poses_of_muscles(body, &self.standing(setting), self.set)?;
                    Arc::clone(sets.entry(key).or_insert(Arc::new(poses)))
                }
            };
        }
        Ok(())
    }

    fn draw(
        &self,
        setting: &Setting,
        rng: &mut ChaCha8Rng,
        start: &mut WorldState,
        target: &mut [f32],
    ) {
        let muscles = !setting.poses.is_empty();
        let mut fill = |list: &mut [f32]| {
            let share = self.share.unwrap_or(0.5);
            for (x, angle) in list.iter_mut().zip(draw_angles(setting, share, rng)) {
                *x = angle as f32;
            }
        };
        if self.share.is_some() || !muscles {
            fill(&mut start.qpos);
        }
        if muscles {
            target.copy_from_slice(&setting.poses[rng.random_range(0..setting.poses.len())]);
        } else {
            fill(target);
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

/// Where a hand comes to, from a state, under actions that stay: each muscle told a number in [-1, 1] drawn evenly (at most N_POSES ×
/// n_joints). A set is the same whenever it is asked for.
fn poses_of_muscles(body: &Body, from: &WorldState, set: u32) -> Result<Vec<Vec<f32>>, HandError> {
    let mut batch = Batch::new(&empty_scene(body), N_POSES)?;
    let mut rng = episode_rng(0, "hand", u64::from(set), "poses");
    for world in 0..N_POSES {
        batch.set_state(world, from);
        let mut control = batch.control_mut(world);
        for muscle in 0..body.model.muscle.len() {
            control.set(muscle, logistic_excitation(symmetric(&mut rng) as f32, 0.0));
        }
    }
    batch.step(POSE_STEPS, 1);
    let whole = (0..N_POSES).filter(|world| !batch.has_diverged(*world));
    let poses: Vec<_> = whole.map(|world| batch.state(world).qpos).collect();
    if poses.is_empty() {
        let text =
            "expected muscles that bring it to rest somewhere, found that its motion diverges";
        return Err(HandError::Model(text.to_owned()));
    }
    Ok(poses)
}
