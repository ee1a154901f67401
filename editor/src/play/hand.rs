//! A hand that does a task, to be watched.

use std::iter;

use agents::hand::{HandPolicy, RandomHand, ScriptedHand};
use episode::{Action, Value};
use hand::kernel::BodyPose;
use sim::env::{Start, Wish};
use sim::hand::task::{Task as _, named};
use sim::hand::{Body, Config, HandEnv};
use sim::random::episode_rng;
use sim::recorder::Recorder;

use super::Status;
use crate::figure::{self, form, muscle_color, quaternion, stretch};
use crate::scene::{ItemId, Kind, Piece, Scene, Solid, Table};

/// Radius of a muscle's line (meters).
const CORD: f32 = 0.0012;
const SKIN: [f32; 3] = [0.9, 0.75, 0.6];

/// A hand task and who does it.
pub(super) struct HandStage {
    recorder: Recorder<HandEnv>,
    policy: Box<dyn HandPolicy>,
    scene: hand::scene::Scene,
    reward: f32,
    steps: u32,
}

impl HandStage {
    /// A task by its name. The hand has muscles.
    pub(super) fn new(task: &str, scripted: bool, seed: u64) -> Result<Self, String> {
        let text = |error: sim::hand::HandError| error.to_string();
        let named = || named(task).ok_or_else(|| format!("there is no task \"{task}\""));
        let body = Body::myohand().map_err(text)?;
        let scene = named()?.scene(&body).map_err(text)?;
        let env = HandEnv::new(body, named()?, Config::default(), 1).map_err(text)?;
        let policy: Box<dyn HandPolicy> = if scripted {
            let script = ScriptedHand::new(&env);
            Box::new(script.ok_or_else(|| format!("nothing is scripted for \"{task}\""))?)
        } else {
            Box::new(RandomHand::of(&env))
        };
        let mut stage = Self {
            recorder: Recorder::new(env, policy.name()),
            policy,
            scene,
            reward: 0.0,
            steps: 0,
        };
        stage.reset(seed, 0)?;
        Ok(stage)
    }

    pub(super) fn reset(&mut self, seed: u64, index: u64) -> Result<(), String> {
        let wish = Wish::Draw;
        let start = Start { seed, index, wish };
        self.recorder
            .reset(0, &start)
            .map_err(|error| error.to_string())?;
        self.policy.reset(0, episode_rng(seed, "", index, "policy"));
        (self.reward, self.steps) = (0.0, 0);
        Ok(())
    }

    /// Seconds of simulated time in an action.
    pub(super) fn seconds_per_step(&self) -> f64 {
        Config::default().frame_skip as f64 * self.scene.options.timestep
    }

    /// Makes one action. Why the episode is over, if it is.
    pub(super) fn step(&mut self) -> Option<String> {
        let env = self.recorder.env();
        let mut action = vec![0.0; env.n_actions()];
        let seen = env.layout().seen(env.observations());
        self.policy.act(0, &seen, &mut action);
        self.recorder.step(vec![Some(Action::Array(action))]);
        let step = self.recorder.last_step(0)?;
        self.reward += step.reward;
        self.steps += 1;
        match (step.terminated, step.truncated) {
            (true, _) => Some("The task has ended.".to_owned()),
            (false, true) => Some("The time is up.".to_owned()),
            (false, false) => None,
        }
    }

    pub(super) fn tell(&self, status: &mut Status) {
        let task = self.recorder.env().task();
        status.task = task.say();
        status.goal = vec![(task.goal(), self.recorder.env().succeeded()[0])];
        status.steps = [self.steps, task.max_steps()];
        status.seconds = f64::from(self.steps) * self.seconds_per_step();
        status.reward = self.reward;
    }

    /// Links, muscles colored by activation, and what the task put around them.
    pub(super) fn scene(&self) -> Scene {
        let env = self.recorder.env();
        let list = |name: &str| -> Vec<f64> {
            match self.recorder.observation(0).and_then(|o| o.0.get(name)) {
                Some(Value::Array(numbers)) => numbers.iter().map(|x| f64::from(*x)).collect(),
                _ => Vec::new(),
            }
        };
        let kernel = &env.setting().kernel;
        let mut qpos = list("joint_angles");
        qpos.extend(list("hinge_angles"));
        qpos.resize(kernel.joints().len(), 0.0);
        let mut pieces = Vec::new();
        let poses = kernel.link_poses(&qpos);
        let mut solids: Vec<Vec<Solid>> = vec![Vec::new(); poses.len()];
        for shape in kernel.shapes() {
            solids[shape.link].extend(figure::solid(&shape));
        }
        for (pose, solids) in poses.iter().zip(solids) {
            if !solids.is_empty() {
                pieces.push(piece(pieces.len(), "hand", Kind::Hand, pose, solids, SKIN));
            }
        }
        let activations = list("activations");
        let muscles = kernel.paths(&qpos).into_iter().zip(kernel.muscles());
        for ((path, name), act) in muscles.zip(activations.into_iter().chain(iter::repeat(0.0))) {
            let cords = path
                .iter()
                .filter_map(|part| stretch(*part, CORD))
                .collect();
            let color = muscle_color(act as f32);
            pieces.push(piece(pieces.len(), name, Kind::Muscle, &HERE, cords, color));
        }
        let wood = [0.7, 0.6, 0.45];
        for fixed in &self.scene.fixed {
            let at = primitive(fixed);
            pieces.push(piece(
                pieces.len(),
                "table",
                Kind::Furniture,
                &HERE,
                at,
                wood,
            ));
        }
        let object = list("object_pose");
        for (i, thing) in self.scene.objects.iter().enumerate() {
            let solids = thing.shapes.iter().flat_map(primitive).collect();
            let mut thing = piece(
                pieces.len(),
                &thing.name,
                Kind::Thing,
                &HERE,
                solids,
                [0.3, 0.55, 0.8],
            );
            if let (0, [x, y, z, w, i, j, k]) = (i, object[..].first_chunk().unwrap_or(&[0.0; 7])) {
                thing.position = [x, y, z].map(|x| *x as f32);
                thing.rotation = [i, j, k, w].map(|x| *x as f32);
            }
            pieces.push(thing);
        }
        Scene { pieces }
    }
}

const HERE: BodyPose = BodyPose {
    pos: [0.0; 3],
    turn: [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
};

fn piece(
    part: usize,
    name: &str,
    kind: Kind,
    pose: &BodyPose,
    solids: Vec<Solid>,
    color: [f32; 3],
) -> Piece {
    Piece {
        item: ItemId {
            table: Table::Agent,
            index: 0,
        },
        part,
        name: name.to_owned(),
        kind,
        position: pose.pos.map(|x| x as f32),
        rotation: quaternion(&pose.turn),
        solids,
        color,
    }
}

fn primitive(primitive: &hand::scene::Primitive) -> Vec<Solid> {
    let [w, x, y, z] = primitive.quat.map(|x| x as f32);
    let solid = form(primitive.kind, primitive.size).map(|form| Solid {
        form,
        center: primitive.pos.map(|x| x as f32),
        rotation: [x, y, z, w],
    });
    solid.into_iter().collect()
}
