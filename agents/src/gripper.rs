//! Scripted experts of a gripper and of a point mass: demonstrations for imitation.
//!
//! They see what any policy of a hand sees, and act in velocities of the palm and the grip. A demonstration is as good as its
//! replay: experts that stumble try again, and what fails is not kept by whoever records demonstrations.

use rand_chacha::ChaCha8Rng;
use sim::hand::{HandEnv, Seen};

use crate::hand::HandPolicy;
use crate::policy::lane_mut;

/// Metres a second per metre that is missing.
const GAIN: f32 = 6.0;
/// Fastest that an expert moves, in meters a second.
const SPEED: f32 = 0.5;
/// Above what is to be gripped, the fingers wait to go down.
const HOVER: f32 = 0.13;

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
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    /// To above what is to be gripped, fingers open.
    #[default]
    Above,
    /// Down to it.
    Down,
    /// The fingers close.
    Grip,
    /// It is led to where it shall be.
    Lead,
}

impl GripperExpert {
    /// The expert of the environment's task; `None` for a task without one.
    pub fn new(env: &HandEnv) -> Option<Self> {
        let script: Script = match env.task().name() {
            "point/reach" => point,
            "gripper/place" => place,
            "gripper/front" => front,
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
    let (missing, to_thing) = seen.error.split_at(3);
    grip_and_lead(
        lane,
        [to_thing[0], to_thing[1], to_thing[2]],
        action,
        || [missing[0], missing[1], missing[2]],
    );
}

fn front(seen: &Seen<'_>, lane: &mut Lane, action: &mut [f32]) {
    let e = seen.error;
    // Along the handle's way, faster where more is missing; and back to its middle, which the way bends away from.
    let ahead = (2.0 * e[0].abs()).clamp(0.03, 0.25) / GAIN * 2.0;
    grip_and_lead(lane, [e[1], e[2], e[3]], action, || {
        [0, 1, 2].map(|i| ahead * e[4 + i] + e[1 + i])
    });
}

/// From wherever the fingers are to above a thing, down to it, around it, and then as `lead` says, which is what is missing.
fn grip_and_lead(
    lane: &mut Lane,
    to_thing: [f32; 3],
    action: &mut [f32],
    lead: impl Fn() -> [f32; 3],
) {
    let [x, y, z] = to_thing;
    let (aside, far) = (x.hypot(y), x.hypot(y).hypot(z));
    let next = match lane.phase {
        Phase::Above if aside < 0.01 && z + HOVER < 0.03 => Phase::Down,
        Phase::Down if far < 0.012 => Phase::Grip,
        Phase::Down if aside > 0.04 => Phase::Above,
        Phase::Grip if lane.since > 6 => Phase::Lead,
        Phase::Lead if far > 0.06 => Phase::Above,
        same => same,
    };
    if next != lane.phase {
        (lane.phase, lane.since) = (next, 0);
    }
    let missing = match lane.phase {
        Phase::Above => [x, y, z + HOVER],
        Phase::Down | Phase::Grip => [x, y, z],
        Phase::Lead => lead(),
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
    use sim::hand::HandScenario;

    use super::*;
    use crate::hand::play;

    /// Every expert succeeds in at least 95 % of 200 episodes.
    #[test]
    fn experts_do_their_tasks() {
        for (body, task) in [
            ("point", "point = {}"),
            ("gripper", "place = {}"),
            ("gripper", "place = { thing = \"mug\" }"),
            ("gripper", "front = {}"),
            ("gripper", "front = { from = [0.6, 0.8], to = [0.0, 0.0] }"),
            ("gripper", "front = { class = \"kitchen cabinet\" }"),
        ] {
            let text = format!(
                "schema = \"habitus.hand_task/1\"\nname = \"Test\"\nhand = \"{body}\"\nframe_skip = {}\ntask.{task}\n",
                if body == "point" { 10 } else { 25 }
            );
            let scenario = HandScenario::load_text(&text, "test.toml").unwrap();
            let mut env = scenario.env(40, None).unwrap();
            let mut expert = GripperExpert::new(&env).unwrap();
            let played = play(&mut env, &mut expert, 5, 200).unwrap();
            let done = played.iter().filter(|p| p.success).count();
            let steps: u32 = played.iter().map(|p| p.steps).sum();
            println!(
                "{task}: {done} of 200, {:.1} actions",
                f64::from(steps) / 200.0
            );
            assert!(done >= 190, "{task}: {done} of 200");
        }
    }
}
