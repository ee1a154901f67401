//! Scripted experts of a gripper and of a point mass: demonstrations for imitation.
//!
//! They see what any policy of a hand sees, and act in velocities of the palm and the grip. A demonstration is as good as its
//! replay: experts that stumble try again, and what fails is not kept by whoever records demonstrations.

use rand_chacha::ChaCha8Rng;
use sim::hand::task::HOVER;
use sim::hand::{HandEnv, Seen};

use crate::hand::HandPolicy;
use crate::policy::lane_mut;

/// Metres a second per metre that is missing.
const GAIN: f32 = 6.0;
/// Fastest that an expert moves, in meters a second.
const SPEED: f32 = 0.5;
/// How steeply the funnel around what is to be gripped rises.
const FUNNEL: f32 = 3.0;

/// The fingers' tips go this far below the middle of a handle, which slips upward between them, in meters.
const DEEP: f32 = 0.012;

/// Fingers that close no faster hold what is between them, in meters a second; so far apart, they have let it go, in meters.
const HELD: f32 = 0.02;
const FREE: f32 = 0.09;

/// The expert of a task.
#[derive(Clone, Debug)]
pub struct GripperExpert {
    script: Script,
    lanes: Vec<Option<Lane>>,
}

type Script = fn(&Seen<'_>, &mut Lane, &mut [f32]);

/// How far an episode has come.
#[derive(Clone, Copy, Debug, Default)]
struct Lane {
    phase: Phase,
    /// Actions since the phase began.
    since: u32,
    /// Chores that were left when the phase began.
    left: f32,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    /// To what is to be gripped, from above, fingers open.
    #[default]
    Reach,
    /// The fingers close.
    Grip,
    /// It is led to where it shall be.
    Lead,
    /// The fingers open.
    Release,
}

impl GripperExpert {
    /// The expert of the environment's task; `None` for a task without one.
    pub fn new(env: &HandEnv) -> Option<Self> {
        let script: Script = match env.task().name() {
            "point/reach" => point,
            "gripper/place" => place,
            "gripper/chores" => chores,
            _ => return None,
        };
        Some(Self {
            script,
            lanes: Vec::new(),
        })
    }
}

impl HandPolicy for GripperExpert {
    fn name(&self) -> &str {
        "scripted"
    }

    fn reset(&mut self, lane: usize, _: ChaCha8Rng) {
        *lane_mut(&mut self.lanes, lane) = Some(Lane::default());
    }

    fn act(&mut self, lane: usize, seen: &Seen<'_>, action: &mut [f32]) {
        let lane = self.lanes[lane].as_mut().expect("the world was reset");
        (self.script)(seen, lane, action);
        lane.since += 1;
    }
}

/// A spring with a damper, as in Brandfonbrener et al.
fn point(seen: &Seen<'_>, _: &mut Lane, action: &mut [f32]) {
    for ((x, error), speed) in action.iter_mut().zip(seen.error).zip(seen.joint_velocities) {
        *x = (10.0 * error - speed).clamp(-1.0, 1.0);
    }
}

fn place(seen: &Seen<'_>, lane: &mut Lane, action: &mut [f32]) {
    let e = seen.error;
    let (missing, to_thing) = ([e[0], e[1], e[2]], [e[3], e[4], e[5]]);
    grip_and_lead(seen, lane, to_thing, to_thing[2] + HOVER, missing, action);
}

fn chores(seen: &Seen<'_>, lane: &mut Lane, action: &mut [f32]) {
    let e = seen.error;
    let (to_handle, way) = ([e[1], e[2], e[3] - DEEP], [e[4], e[5], e[6]]);
    if lane.left != e[7] {
        if lane.phase == Phase::Lead {
            (lane.phase, lane.since) = (Phase::Release, 0);
        }
        lane.left = e[7];
    }
    // Along the handle's way, never creeping; and back to its middle, which the way bends away from.
    let length = way.iter().map(|x| x * x).sum::<f32>().sqrt().max(1e-6);
    let ahead = length.clamp(0.006, 0.05) / length;
    let lead = [0, 1, 2].map(|i| ahead * way[i] + to_handle[i]);
    grip_and_lead(seen, lane, to_handle, e[8], lead, action);
}

/// From wherever the fingers are to a thing, no lower on the way than a funnel around it and no higher than `rise` meters above
/// where they are; around it, and then where `lead` says, which is what is missing.
///
/// Whoever imitates sees one moment at a time. So nothing here waits for a clock, the fingers' state tells when to go on, and
/// the way down begins gently: a policy that is a little off is led back into the funnel.
fn grip_and_lead(
    seen: &Seen<'_>,
    lane: &mut Lane,
    to_thing: [f32; 3],
    rise: f32,
    lead: [f32; 3],
    action: &mut [f32],
) {
    let [x, y, z] = to_thing;
    let (aside, far) = (x.hypot(y), x.hypot(y).hypot(z));
    let fingers = |of: &[f32]| of[3] + of[4];
    let (width, closing) = (fingers(seen.joint_angles), -fingers(seen.joint_velocities));
    let next = match lane.phase {
        Phase::Reach if far < 0.012 => Phase::Grip,
        Phase::Grip if lane.since > 1 && closing < HELD => Phase::Lead,
        Phase::Lead if far > 0.06 => Phase::Reach,
        Phase::Release if width > FREE => Phase::Reach,
        same => same,
    };
    if next != lane.phase {
        (lane.phase, lane.since) = (next, 0);
    }
    let up = rise.min(z + FUNNEL * (aside - 0.01).max(0.0));
    let missing = match lane.phase {
        // What is open beside the way is not run into.
        Phase::Reach if aside > 0.04 && up > 0.03 => [0.0, 0.0, up],
        Phase::Reach => [x, y, up],
        Phase::Grip => [x, y, z],
        Phase::Lead => lead,
        Phase::Release => [0.0; 3],
    };
    for (v, missing) in action.iter_mut().zip(missing) {
        *v = (GAIN * missing).clamp(-SPEED, SPEED);
    }
    action[3] = if matches!(lane.phase, Phase::Grip | Phase::Lead) {
        1.0
    } else {
        -1.0
    };
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use sim::hand::suites::SUITES;

    use super::*;
    use crate::hand::play;

    /// Every expert succeeds in at least 95 % of its episodes: 40 here, 200 by `rollout experts`.
    #[test]
    fn experts_do_every_task_of_every_suite() {
        let mut done = BTreeSet::new();
        for suite in &SUITES {
            for task in suite.pretraining().iter().chain(&suite.finetuning()) {
                if !done.insert(task.text.clone()) {
                    continue;
                }
                let mut env = task.scenario().unwrap().env(40, None).unwrap();
                let mut expert = GripperExpert::new(&env).unwrap();
                let played = play(&mut env, &mut expert, 5, 40).unwrap();
                let right = played.iter().filter(|p| p.success).count();
                assert!(right >= 38, "{}: {right} of 40", task.name);
            }
        }
    }
}
