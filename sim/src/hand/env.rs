//! Many worlds of one hand task: the flat lists that learners use, and [`VectorEnv`] built on them.

use std::collections::BTreeMap;
use std::sync::Arc;

use ::hand::batch::{Reading, Width};
use ::hand::model;
use ::hand::scene::Scene;
use episode::{Action, Header, Observation, RewardTerm, Space, Value};
use rand::RngExt as _;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::observation::{self as part, Layout, Sizes};
use super::task::{TICK_SECONDS, Task};
use super::worlds::{self, Part, Worlds};
use super::{Body, HandError, Setting};
use crate::env::{EnvError, Outcome, Start, VectorEnv, Wish};
use crate::random::episode_rng;

/// How a hand is stepped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// What an action is.
    pub actions: Actions,
    /// Physics steps of an action; with the usual 2 ms, 10 are 20 ms. More give slower, rougher control and more simulated
    /// time a second; MyoSuite has 10, and 5 where objects are turned in the hand.
    pub frame_skip: usize,
    /// Actions after which an episode is cut off; `None`: what the task says.
    pub max_steps: Option<u32>,
    /// Threads that share the worlds of the batch solver. Any number gives the same bits; Rapier's worlds are stepped on one.
    pub threads: usize,
    /// Worlds that one instruction of the batch solver steps; `None`: as many as the processor can. Any number gives the same
    /// bits.
    pub width: Option<Width>,
    /// What steps the worlds.
    pub solver: Solver,
}

/// What steps the worlds. Episodes of both start alike and have the same targets; their courses differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Solver {
    /// The batch solver of crate `hand`: many worlds at once, for learning.
    #[default]
    Batch,
    /// [`HandScene`](crate::rapier_hand::HandScene): one world after the other, by the engine of houses.
    Rapier,
}

/// What the numbers of an action are. Numbers outside the range count as the nearest in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Actions {
    /// Excitations of muscles in [0, 1]. Motors: their control range; where the task says how far they are moved
    /// ([`Task::play`]), [-1, 1] spread over that.
    #[default]
    Excitation,
    /// MyoSuite's: numbers a in [-1, 1]; muscles are excited by 1 / (1 + exp(-5 (a - 0.5))), so that 0 is near rest (0.076)
    /// and full excitation cannot be reached (0.924). Motors: [-1, 1] spread over their control range. Where the task knows what
    /// to begin with ([`Task::begin`]), 0 is that instead: muscles are excited by 1 / (1 + exp(-(5 a + b))), where b gives what
    /// they begin with, kept within 0.02 to 0.98; motors are told as much besides.
    Logistic,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            actions: Actions::Excitation,
            frame_skip: 10,
            max_steps: None,
            threads: 1,
            width: None,
            solver: Solver::Batch,
        }
    }
}

/// Many worlds of one hand task.
///
/// Learners: [`HandEnv::reset_lane`], [`HandEnv::step_flat`], then [`HandEnv::observations`], [`HandEnv::rewards`],
/// [`HandEnv::terminated`] and the like; nothing is allocated by a step. A world whose episode ended stays as it was seen last,
/// with all its flags, until it is reset.
///
/// Info of a step: `diverged` (seed, episode and step in words) where physics came to no sensible result. That episode ends,
/// terminated; no other world notices.
pub struct HandEnv {
    task: Arc<dyn Task>,
    setting: Setting,
    scene: Scene,
    /// Names all that an episode's course depends on besides its seed.
    digest: String,
    /// The same without the solver: what an episode's start and target are drawn by.
    drawn_by: String,
    /// Name and digest of the scenario, as episodes say them.
    source: [String; 2],
    frame_skip: usize,
    max_steps: u32,
    threads: usize,
    drives: Vec<Drive>,
    /// What the task tells each drive besides (n_drives).
    lead: Vec<f32>,
    n_actions: usize,
    layout: Layout,
    worlds: Worlds,
    lanes: Vec<Lane>,
    /// Branch of each finger, and of the palm.
    branches: Vec<usize>,
    /// Numbers of all branches.
    scratch: Vec<f32>,
    /// (n_worlds × observation)
    observations: Vec<f32>,
    /// (n_worlds × n_terms)
    terms: Vec<f32>,
    rewards: Vec<f32>,
    terminated: Vec<bool>,
    truncated: Vec<bool>,
    succeeded: Vec<bool>,
    diverged: Vec<bool>,
}

/// A world's episode.
#[derive(Clone, Debug, Default, PartialEq)]
struct Lane {
    start: Option<Start>,
    steps: u32,
    /// Actions after which what is wanted held.
    held: u32,
    running: bool,
    /// Whether it takes part in the step being made.
    acts: bool,
}

/// An actuator, and what moves it.
#[derive(Clone, Copy, Debug)]
struct Drive {
    /// Which number of an action.
    number: usize,
    range: Range,
    /// The control with which it carries what hangs on it; what the action says is added.
    at_rest: f32,
}

/// What a number of an action is to an actuator.
#[derive(Clone, Copy, Debug)]
enum Range {
    Excitation,
    LogisticExcitation { shift: f32 },
    Control { low: f32, high: f32 },
    SpreadControl { low: f32, high: f32, shift: f32 },
}

/// What actuators are told, as numbers of an action: the way back from [`HandEnv::step_flat`].
#[derive(Clone, Debug)]
pub struct Telling(Vec<Drive>);

impl Telling {
    /// Writes the action (n_actions) that tells actuators `controls` (muscles, then motors, in the order of the model), as near as
    /// its numbers' ranges go.
    pub fn action(&self, controls: &[f32], action: &mut [f32]) {
        for (drive, control) in self.0.iter().zip(controls) {
            action[drive.number] = drive.range.number(*control);
        }
    }
}

/// All that one world's future depends on, to go on from later: in any world of an environment made the same way.
#[derive(Clone, Debug, PartialEq)]
pub struct LaneSnapshot {
    /// Of the environment that it was taken of.
    digest: String,
    physics: worlds::Snapshot,
    lane: Lane,
    observation: Vec<f32>,
    terms: Vec<f32>,
    reward: f32,
    flags: [bool; 4],
}

impl HandEnv {
    /// `n_worlds` worlds of a task; none of them has an episode yet.
    ///
    /// # Errors
    /// When the task does not suit the hand, a number of the configuration is out of range, or there is not enough memory.
    pub fn new(
        body: Body,
        task: impl Task + 'static,
        config: Config,
        n_worlds: usize,
    ) -> Result<Self, HandError> {
        let task: Arc<dyn Task> = Arc::new(task);
        let wrong = |field, value: String, expected| HandError::Config {
            field,
            value,
            expected,
        };
        if !(1..=1000).contains(&config.frame_skip) {
            let found = config.frame_skip.to_string();
            return Err(wrong("frame_skip", found, "1 to 1000"));
        }
        let max_steps = config.max_steps.unwrap_or(task.max_steps());
        if max_steps == 0 {
            return Err(wrong("max_steps", max_steps.to_string(), "at least 1"));
        }
        let scene = task.scene(&body)?;
        let seconds = config.frame_skip as f64 * scene.options.timestep;
        if task.keeps_time() && (seconds - TICK_SECONDS).abs() > 1e-9 {
            let found = config.frame_skip.to_string();
            let expected = "actions of 0.02 s: 10 steps of 2 ms";
            return Err(wrong("frame_skip", found, expected));
        }
        // A model may have been put together by hand: it is checked as if it came from a file.
        let text = model::save(&scene.model);
        if let Err(error) = model::load_text(&text, &scene.model.name) {
            return Err(HandError::Model(error.to_string()));
        }
        let mut setting = Setting::new(task.name(), &body, scene.model.clone())?;
        task.prepare(&body, &mut setting)?;
        let mut worlds = Worlds::new(&scene, &config, n_worlds)?;
        let sites: Vec<&str> = body.tips.iter().map(String::as_str).collect();
        // Worlds without an episode are stepped with the others: they should be where they do no harm.
        let standing = task.standing(&setting);
        for world in 0..n_worlds {
            worlds.set_state(world, &standing)?;
        }
        worlds.watch(&scene.model, &sites)?;
        let model = &setting.model;
        let sizes = Sizes {
            joints: setting.n_joints,
            muscles: model.muscle.len(),
            tips: sites.len(),
            touch: sites.len() + 1,
            hinges: model.joint.len() - setting.n_joints,
            objects: scene.objects.len(),
            target: task.n_target(&setting),
            error: task.n_error(&setting),
        };
        let layout = Layout::new(sizes);
        let branches = branches(&setting, &body, &worlds)?;
        let drives = drives(&setting, &body, config.actions, &*task);
        let (n, n_terms) = (n_worlds, task.terms().len());
        let drawn_by = digest(&body, &*task, &config);
        let digest = with_solver(&drawn_by, config.solver);
        Ok(Self {
            source: [task.name().to_owned(), digest.clone()],
            digest,
            drawn_by,
            frame_skip: config.frame_skip,
            max_steps,
            threads: config.threads.max(1),
            lanes: vec![Lane::default(); n],
            scratch: vec![0.0; branches.iter().max().map_or(0, |b| b + 1)],
            branches,
            observations: vec![0.0; n * layout.size()],
            terms: vec![0.0; n * n_terms],
            rewards: vec![0.0; n],
            terminated: vec![false; n],
            truncated: vec![false; n],
            succeeded: vec![false; n],
            diverged: vec![false; n],
            n_actions: drives
                .iter()
                .map(|drive| drive.number + 1)
                .max()
                .unwrap_or(0),
            lead: vec![0.0; drives.len()],
            drives,
            layout,
            worlds,
            setting,
            scene,
            task,
        })
    }

    /// The same worlds, whose episodes say that they come from a scenario of that name and digest.
    pub(super) fn of_scenario(mut self, name: &str, digest: &str) -> Self {
        self.source = [name, digest].map(str::to_owned);
        self
    }

    /// How many worlds.
    pub fn n_worlds(&self) -> usize {
        self.lanes.len()
    }

    /// Numbers in one world's action: muscles, then motors, in the order of the model.
    pub fn n_actions(&self) -> usize {
        self.n_actions
    }

    /// Lowest and highest value of each number in an action (n_actions).
    pub fn action_bounds(&self) -> Vec<[f32; 2]> {
        let mut bounds = vec![[0.0; 2]; self.n_actions];
        for drive in &self.drives {
            bounds[drive.number] = drive.range.bounds();
        }
        bounds
    }

    /// The action that the task begins with ([`Task::begin`]); `None` where it knows none.
    pub fn first_action(&self) -> Option<Vec<f32>> {
        let mut controls = vec![0.0; self.drives.len()];
        self.task.begin(&mut controls).then(|| {
            let mut action = vec![0.0; self.n_actions];
            for (drive, control) in self.drives.iter().zip(controls) {
                action[drive.number] = drive.range.first(control);
            }
            action
        })
    }

    /// How actuators are told what they shall do.
    pub fn telling(&self) -> Telling {
        Telling(self.drives.clone())
    }

    /// Numbers in one world's observation.
    pub fn n_observations(&self) -> usize {
        self.layout.size()
    }

    /// What the numbers of an observation are.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// What is wanted.
    pub fn task(&self) -> &Arc<dyn Task> {
        &self.task
    }

    /// Actions after which an episode is cut off.
    pub fn max_steps(&self) -> u32 {
        self.max_steps
    }

    /// Actions that have passed in a world's episode, those before a start along its way among them.
    pub fn passed(&self, lane: usize) -> u32 {
        self.lanes[lane].steps
    }

    /// Everything that is in each world.
    pub fn scene(&self) -> &Scene {
        &self.scene
    }

    /// Seconds of simulated time in an action.
    pub fn seconds_per_step(&self) -> f64 {
        self.frame_skip as f64 * self.scene.options.timestep
    }

    /// The hand in the task's scene.
    pub fn setting(&self) -> &Setting {
        &self.setting
    }

    /// Starts episode `index` of a run with that seed in one world, whether or not the last one ended. What it draws does not
    /// depend on the world that it is in.
    ///
    /// # Errors
    /// When there is no such world, or the task starts with what is not a number.
    pub fn reset_lane(&mut self, lane: usize, seed: u64, index: u64) -> Result<(), HandError> {
        self.reset_along(lane, seed, index, 0.0)
    }

    /// The same, where a share of all episodes starts somewhere along its way ([`Task::along`]): which ones and where is drawn
    /// from the episode's stream.
    ///
    /// # Errors
    /// As [`HandEnv::reset_lane`].
    pub fn reset_along(
        &mut self,
        lane: usize,
        seed: u64,
        index: u64,
        share: f64,
    ) -> Result<(), HandError> {
        let worlds = self.lanes.len();
        if lane >= worlds {
            return Err(HandError::Lane { lane, worlds });
        }
        let start = Start {
            seed,
            index,
            wish: Wish::Draw,
        };
        let mut rng = episode_rng(seed, &self.drawn_by, index, "task");
        let mut state = self.task.standing(&self.setting);
        let mut target = vec![0.0; self.layout.span(part::TARGET, part::TARGET).len()];
        self.task
            .draw(&self.setting, &mut rng, &mut state, &mut target);
        let mut rng = episode_rng(seed, &self.drawn_by, index, "along");
        let passed = if rng.random::<f64>() < share {
            self.task.along(&self.setting, &mut rng, &mut state)
        } else {
            None
        };
        let angles = state.qpos.iter().chain(&state.qvel).chain(&state.act);
        let objects = state
            .objects
            .iter()
            .flat_map(|o| o.pos.iter().chain(&o.quat));
        if !angles.chain(objects).chain(&target).all(|x| x.is_finite()) {
            return Err(HandError::Start {
                task: self.task.name(),
            });
        }
        let passed = passed.unwrap_or(0).min(self.max_steps - 1);
        self.worlds.set_state(lane, &state)?;
        let still = self.drives.iter().map(|drive| drive.at_rest);
        self.worlds.control(lane, still);
        self.worlds.look(lane);
        self.lanes[lane] = Lane {
            start: Some(start),
            steps: passed,
            held: 0,
            running: true,
            acts: false,
        };
        let n = self.layout.size();
        let at = self.layout.span(part::TARGET, part::TARGET);
        self.observations[lane * n..][..n][at].copy_from_slice(&target);
        self.observe(lane);
        self.set_outcome(lane, [false; 4]);
        let n_terms = self.task.terms().len();
        self.terms[lane * n_terms..][..n_terms].fill(0.0);
        self.rewards[lane] = 0.0;
        Ok(())
    }

    /// One action in each world that has a running episode (n_worlds × n_actions; the rows of other worlds are not read). What
    /// is not a number counts as 0.
    ///
    /// # Errors
    /// When there are not as many numbers; then nothing is done.
    pub fn step_flat(&mut self, actions: &[f32]) -> Result<(), HandError> {
        let expected = self.lanes.len() * self.n_actions;
        if actions.len() != expected {
            let found = actions.len();
            return Err(HandError::Actions { found, expected });
        }
        let n = self.n_actions;
        for lane in 0..self.lanes.len() {
            let running = self.lanes[lane].running;
            self.lanes[lane].acts = running;
            if running {
                self.control(lane, &actions[lane * n..][..n]);
            }
        }
        self.advance();
        Ok(())
    }

    /// What is seen in all worlds now (n_worlds × n_observations).
    pub fn observations(&self) -> &[f32] {
        &self.observations
    }

    /// Copies what is seen in all worlds, as far as it fits.
    pub fn observe_into(&self, to: &mut [f32]) {
        let n = to.len().min(self.observations.len());
        to[..n].copy_from_slice(&self.observations[..n]);
    }

    /// Rewards of the last step (n_worlds).
    pub fn rewards(&self) -> &[f32] {
        &self.rewards
    }

    /// Their summands, in the order of [`Task::terms`] (n_worlds × n_terms).
    pub fn reward_terms(&self) -> &[f32] {
        &self.terms
    }

    /// Worlds whose episode the task ended (n_worlds).
    pub fn terminated(&self) -> &[bool] {
        &self.terminated
    }

    /// Worlds whose episode the limit of steps cut off (n_worlds).
    pub fn truncated(&self) -> &[bool] {
        &self.truncated
    }

    /// Worlds where what is wanted holds now (n_worlds).
    pub fn succeeded(&self) -> &[bool] {
        &self.succeeded
    }

    /// Worlds whose physics came to no sensible result (n_worlds); they are terminated too.
    pub fn diverged(&self) -> &[bool] {
        &self.diverged
    }

    /// All that one world's future depends on; `None` if there is no such world.
    pub fn snapshot(&self, lane: usize) -> Option<LaneSnapshot> {
        let (n, n_terms) = (self.layout.size(), self.task.terms().len());
        Some(LaneSnapshot {
            digest: self.digest.clone(),
            lane: self.lanes.get(lane)?.clone(),
            physics: self.worlds.snapshot(lane),
            observation: self.observations[lane * n..][..n].to_vec(),
            terms: self.terms[lane * n_terms..][..n_terms].to_vec(),
            reward: self.rewards[lane],
            flags: [
                self.terminated[lane],
                self.truncated[lane],
                self.succeeded[lane],
                self.diverged[lane],
            ],
        })
    }

    /// Continues from a snapshot: the bits are those of the world that it was taken of.
    ///
    /// # Errors
    /// When there is no such world, or the snapshot was taken of another task, hand or configuration.
    pub fn restore(&mut self, lane: usize, snapshot: &LaneSnapshot) -> Result<(), HandError> {
        let worlds = self.lanes.len();
        if lane >= worlds {
            return Err(HandError::Lane { lane, worlds });
        }
        if snapshot.digest != self.digest {
            return Err(HandError::Snapshot {
                task: self.task.name(),
            });
        }
        let (n, n_terms) = (self.layout.size(), self.task.terms().len());
        self.worlds.restore(lane, &snapshot.physics);
        self.lanes[lane] = snapshot.lane.clone();
        self.observations[lane * n..][..n].copy_from_slice(&snapshot.observation);
        self.terms[lane * n_terms..][..n_terms].copy_from_slice(&snapshot.terms);
        self.rewards[lane] = snapshot.reward;
        self.set_outcome(lane, snapshot.flags);
        Ok(())
    }

    /// Gives a world's object a speed that no physics survives.
    #[cfg(test)]
    pub(super) fn throw(&mut self, lane: usize) {
        let mut state = self.worlds.state(lane);
        state.objects[0].velocity = [1e5, 0.0, 0.0];
        self.worlds.set_state(lane, &state).unwrap();
    }

    fn set_outcome(&mut self, lane: usize, [terminated, truncated, success, diverged]: [bool; 4]) {
        self.terminated[lane] = terminated;
        self.truncated[lane] = truncated;
        self.succeeded[lane] = success;
        self.diverged[lane] = diverged;
    }

    /// What the actuators of a world are told until they are told something else.
    fn control(&mut self, lane: usize, action: &[f32]) {
        self.lead.fill(0.0);
        self.task.lead(self.lanes[lane].steps, &mut self.lead);
        let told = |(drive, lead): (&Drive, &f32)| {
            lead + drive.at_rest + drive.range.control(action[drive.number])
        };
        self.worlds
            .control(lane, self.drives.iter().zip(&self.lead).map(told));
    }

    /// Steps the worlds that act, and judges what came of it.
    fn advance(&mut self) {
        let lanes = &self.lanes;
        self.worlds.step(self.frame_skip, self.threads, |lane| {
            match (lanes[lane].acts, lanes[lane].running) {
                (true, _) => Part::Acts,
                (false, true) => Part::Waits,
                (false, false) => Part::Idle,
            }
        });
        for lane in 0..self.lanes.len() {
            if self.lanes[lane].acts {
                self.lanes[lane].steps += 1;
                self.observe(lane);
                self.judge(lane);
            }
        }
    }

    /// Writes what is seen of a world.
    pub(super) fn observe(&mut self, lane: usize) {
        let n = self.layout.size();
        let world = &mut self.observations[lane * n..][..n];
        for (first, last, what) in [
            (part::JOINT_ANGLES, part::HINGE_ANGLES, Reading::Angles),
            (
                part::JOINT_VELOCITIES,
                part::HINGE_VELOCITIES,
                Reading::Velocities,
            ),
            (part::ACTIVATIONS, part::ACTIVATIONS, Reading::Activations),
            (part::TENDON_LENGTHS, part::TENDON_LENGTHS, Reading::Lengths),
            (part::FINGERTIPS, part::FINGERTIPS, Reading::Sites),
        ] {
            self.worlds
                .read(lane, what, &mut world[self.layout.span(first, last)]);
        }
        let of_objects = self.layout.span(part::OBJECT_POSE, part::OBJECT_VELOCITY);
        let (poses, velocities) = world[of_objects].split_at_mut(7 * self.scene.objects.len());
        let of_each = poses
            .chunks_exact_mut(7)
            .zip(velocities.chunks_exact_mut(6));
        for (object, (pose, velocity)) in of_each.enumerate() {
            let mut both = [0.0; 13];
            self.worlds.read(lane, Reading::Object(object), &mut both);
            pose.copy_from_slice(&both[..7]);
            velocity.copy_from_slice(&both[7..]);
        }
        self.worlds.read(lane, Reading::Touch, &mut self.scratch);
        let touch = &mut world[self.layout.span(part::TOUCH, part::TOUCH)];
        for (x, branch) in touch.iter_mut().zip(&self.branches) {
            *x = self.scratch[*branch];
        }
        let phase = self.lanes[lane].steps as f32 / self.max_steps as f32;
        world[self.layout.span(part::PHASE, part::PHASE)].fill(phase);
        let target = self.layout.span(part::TARGET, part::TARGET);
        self.task.follow(self.lanes[lane].steps, &mut world[target]);
        self.layout.bound(world);
        let (before, error) = self.layout.split_error(world);
        self.task.error(&self.layout.seen(before), error);
        self.layout.bound(world);
    }

    /// Rewards, success and end of what was observed.
    fn judge(&mut self, lane: usize) {
        let (n, n_terms) = (self.layout.size(), self.task.terms().len());
        let seen = self.layout.seen(&self.observations[lane * n..][..n]);
        let terms = &mut self.terms[lane * n_terms..][..n_terms];
        let verdict = self.task.judge(&seen, terms);
        self.rewards[lane] = terms.iter().sum();
        let diverged = self.worlds.has_diverged(lane);
        let l = &mut self.lanes[lane];
        let terminated = verdict.terminated || diverged;
        let truncated = !terminated && l.steps >= self.max_steps;
        l.held += u32::from(verdict.success && !diverged);
        l.running = !terminated && !truncated;
        self.set_outcome(
            lane,
            [
                terminated,
                truncated,
                verdict.success && !diverged,
                diverged,
            ],
        );
    }

    /// Whether a world's episode is a success so far: what is wanted holds now, or has held after as many actions as solve the task.
    pub fn episode_succeeded(&self, lane: usize) -> bool {
        let held = f64::from(self.lanes[lane].held) / f64::from(self.max_steps);
        let solves = self.task.solved().map(|share| held >= share);
        solves.unwrap_or(self.succeeded[lane])
    }

    /// What a step led to, as named values.
    fn outcome(&self, lane: usize, refusal: Option<String>) -> Outcome {
        let (n, n_terms) = (self.layout.size(), self.task.terms().len());
        let terms = self.task.terms().iter().zip(&self.terms[lane * n_terms..]);
        let term = |(name, value): (&&str, &f32)| RewardTerm {
            name: (*name).to_owned(),
            value: *value,
        };
        let mut info = BTreeMap::new();
        if let (true, Some(start)) = (self.diverged[lane], &self.lanes[lane].start) {
            let Start { seed, index, .. } = start;
            let step = self.lanes[lane].steps;
            let text = format!("seed {seed}, episode {index}, step {step}");
            info.insert("diverged".to_owned(), Value::Text(text));
        }
        Outcome {
            observation: self.layout.observation(&self.observations[lane * n..][..n]),
            reward_terms: terms.map(term).collect(),
            terminated: self.terminated[lane],
            truncated: self.truncated[lane],
            success: self.episode_succeeded(lane),
            refusal,
            info,
        }
    }

    /// Tells the actuators of a world what an action says, or says what is wrong with it; then they stay as they are.
    fn take(&mut self, lane: usize, action: &Action) -> Result<(), String> {
        let Action::Array(numbers) = action else {
            return Err("an action of a hand is a list of numbers".to_owned());
        };
        let (found, expected) = (numbers.len(), self.n_actions);
        if found != expected {
            return Err(format!(
                "the action has {found} numbers, expected {expected}"
            ));
        }
        if let Some(i) = numbers.iter().position(|x| !x.is_finite()) {
            return Err(format!("number {i} of the action is {}", numbers[i]));
        }
        self.control(lane, numbers);
        Ok(())
    }
}

impl VectorEnv for HandEnv {
    fn num_envs(&self) -> usize {
        self.lanes.len()
    }

    fn observation_space(&self) -> Space {
        self.layout.space()
    }

    fn action_space(&self) -> Space {
        let bounds = self.drives.iter().map(|drive| drive.range.bounds());
        let [low, high] = bounds.fold([f32::MAX, f32::MIN], |[low, high], [l, h]| {
            [low.min(l), high.max(h)]
        });
        Space::Box {
            shape: vec![self.n_actions],
            low,
            high,
        }
    }

    /// The target is drawn from the episode's stream, also where nothing is wished for; a goal in words cannot be given.
    fn reset(&mut self, lane: usize, start: &Start) -> Result<Observation, EnvError> {
        assert!(
            lane < self.lanes.len(),
            "world {lane} of {}",
            self.lanes.len()
        );
        self.lanes[lane] = Lane::default();
        if let Wish::Goal { .. } = start.wish {
            return Err(EnvError::OwnGoal {
                scenario: self.task.name().to_owned(),
            });
        }
        self.reset_lane(lane, start.seed, start.index)?;
        self.lanes[lane].start = Some(start.clone());
        let n = self.layout.size();
        Ok(self.layout.observation(&self.observations[lane * n..][..n]))
    }

    fn step(&mut self, actions: &[Option<Action>]) -> Vec<Option<Outcome>> {
        assert_eq!(
            actions.len(),
            self.lanes.len(),
            "one action or none for each world"
        );
        let mut refusals = Vec::with_capacity(actions.len());
        for (lane, action) in actions.iter().enumerate() {
            self.lanes[lane].acts = action.is_some();
            let Some(action) = action else {
                refusals.push(None);
                continue;
            };
            assert!(
                self.lanes[lane].running,
                "world {lane} must be reset before its next action"
            );
            refusals.push(self.take(lane, action).err());
        }
        self.advance();
        let outcomes = refusals.into_iter().enumerate();
        let outcome = |(lane, refusal): (usize, Option<String>)| {
            self.lanes[lane].acts.then(|| self.outcome(lane, refusal))
        };
        outcomes.map(outcome).collect()
    }

    fn header(&self, lane: usize) -> Header {
        let start = self.lanes[lane]
            .start
            .as_ref()
            .expect("the world was reset");
        let wanted = start.wish != Wish::Explore;
        let [scenario, scenario_digest] = self.source.clone();
        Header {
            index: start.index,
            seed: start.seed,
            scenario,
            scenario_digest,
            policy: String::new(),
            fidelity: "physical".to_owned(),
            task: if wanted {
                self.task.say()
            } else {
                String::new()
            },
            goal: if wanted {
                vec![self.task.goal()]
            } else {
                Vec::new()
            },
            software: concat!("habitus ", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }

    fn state_digest(&self, lane: usize) -> String {
        let mut hasher = blake3::Hasher::new();
        for bits in self.worlds.bits(lane) {
            hasher.update(&bits.to_le_bytes());
        }
        let n = self.layout.size();
        let target = self.layout.span(part::TARGET, part::TARGET);
        for x in &self.observations[lane * n..][..n][target] {
            hasher.update(&x.to_bits().to_le_bytes());
        }
        hasher.update(&self.lanes[lane].steps.to_le_bytes());
        let digest = hasher.finalize();
        digest.as_bytes()[..16]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }
}

/// What a muscle is told by a number in [-1, 1]: MyoSuite's map where `shift` is 0.
pub(super) fn logistic_excitation(x: f32, shift: f32) -> f32 {
    1.0 / (1.0 + libm::expf(-5.0 * (x - 0.5) - shift))
}

impl Range {
    /// What the actuator is told.
    fn control(self, x: f32) -> f32 {
        let x = if x.is_finite() { x } else { 0.0 };
        let [low, high] = self.bounds();
        let x = x.clamp(low, high);
        match self {
            Self::Excitation | Self::Control { .. } => x,
            Self::LogisticExcitation { shift } => logistic_excitation(x, shift),
            Self::SpreadControl { low, high, shift } => {
                let x = (x + shift).clamp(-1.0, 1.0);
                low + 0.5 * (x + 1.0) * (high - low)
            }
        }
    }

    /// The range around what a task begins with, where numbers are told from there.
    fn around(self, control: f32) -> Self {
        match self {
            Self::Excitation | Self::Control { .. } => self,
            Self::LogisticExcitation { .. } => {
                let control = control.clamp(0.02, 0.98);
                let shift = 2.5 - libm::logf(1.0 / control - 1.0);
                Self::LogisticExcitation { shift }
            }
            Self::SpreadControl { low, high, .. } => Self::SpreadControl {
                low,
                high,
                shift: 2.0 * (control - low) / (high - low) - 1.0,
            },
        }
    }

    /// The number with which the actuator is told what a task begins with.
    fn first(self, control: f32) -> f32 {
        let [low, high] = self.bounds();
        match self {
            Self::Excitation | Self::Control { .. } => control.clamp(low, high),
            Self::LogisticExcitation { .. } | Self::SpreadControl { .. } => 0.0,
        }
    }

    /// The number with which the actuator is told something, or the nearest in its range: `control` the other way round.
    fn number(self, control: f32) -> f32 {
        let [low, high] = self.bounds();
        let x = match self {
            Self::Excitation | Self::Control { .. } => control,
            Self::LogisticExcitation { shift } => {
                let control = control.clamp(1e-6, 1.0 - 1e-6);
                0.5 - (libm::logf(1.0 / control - 1.0) + shift) / 5.0
            }
            Self::SpreadControl { low, high, shift } => {
                2.0 * (control - low) / (high - low) - 1.0 - shift
            }
        };
        x.clamp(low, high)
    }

    /// What the number may be.
    fn bounds(self) -> [f32; 2] {
        match self {
            Self::Excitation => [0.0, 1.0],
            Self::Control { low, high } => [low, high],
            Self::LogisticExcitation { .. } | Self::SpreadControl { .. } => [-1.0, 1.0],
        }
    }
}

/// What the numbers of an action are: muscles, motors that apply a force, motors that hold a place.
fn drives(setting: &Setting, body: &Body, actions: Actions, task: &dyn Task) -> Vec<Drive> {
    let model = &setting.model;
    let muscle = match actions {
        Actions::Excitation => Range::Excitation,
        Actions::Logistic => Range::LogisticExcitation { shift: 0.0 },
    };
    let spread = |low: f32, high: f32| Range::SpreadControl {
        low,
        high,
        shift: 0.0,
    };
    let motor = |control: Option<[f64; 2]>| {
        let [low, high] = control.unwrap_or([-1.0, 1.0]).map(|x| x as f32);
        match actions {
            Actions::Excitation => Range::Control { low, high },
            Actions::Logistic => spread(low, high),
        }
    };
    let muscles = model.muscle.iter().map(|m| (&m.name, muscle, 0.0));
    let torques = model.torque.iter().map(|t| {
        let carries = if body.floats { weight(model, t) } else { 0.0 };
        (&t.name, motor(t.control), carries)
    });
    let positions = model.position.iter();
    let positions = positions.map(|p| {
        let range = task.play(&p.name).map(|play| spread(-play, play));
        (&p.name, range.unwrap_or_else(|| motor(p.control)), 0.0)
    });
    let mut drives: Vec<Drive> = Vec::new();
    let mut shared = None;
    let mut next = 0;
    for (name, range, at_rest) in muscles.chain(torques).chain(positions) {
        let together = body.together.as_ref();
        let shares = together.is_some_and(|start| name.starts_with(start.as_str()));
        let number = match shared {
            Some(number) if shares => number,
            _ => {
                next += 1;
                next - 1
            }
        };
        if shares {
            shared = Some(number);
        }
        drives.push(Drive {
            number,
            range,
            at_rest,
        });
    }
    let mut controls = vec![0.0; drives.len()];
    if actions == Actions::Logistic && task.begin(&mut controls) {
        for (drive, control) in drives.iter_mut().zip(controls) {
            drive.range = drive.range.around(control);
        }
    }
    drives
}

/// The control with which a motor of a slide carries all that the slide moves; 0 for one that turns. The slide's axis is taken
/// to be turned as the world is.
fn weight(model: &model::Model, motor: &model::Torque) -> f32 {
    let joint = model.joint.iter().find(|j| j.name == motor.joint);
    let Some(joint) = joint.filter(|j| j.kind == model::JointKind::Slide) else {
        return 0.0;
    };
    let mut hangs = vec![joint.body.as_str()];
    // Bodies may stand in any order: each round finds the next ones down.
    for _ in &model.body {
        let below = |b: &&model::Body| {
            hangs.contains(&b.parent.as_str()) && !hangs.contains(&b.name.as_str())
        };
        let found: Vec<&str> = model
            .body
            .iter()
            .filter(below)
            .map(|b| b.name.as_str())
            .collect();
        hangs.extend(found);
    }
    let moved = model
        .body
        .iter()
        .filter(|b| hangs.contains(&b.name.as_str()));
    let mass: f64 = moved.filter_map(|b| Some(b.inertial.as_ref()?.mass)).sum();
    let along: f64 = (0..3).map(|i| joint.axis[i] * model.gravity[i]).sum();
    (-mass * along / motor.gear) as f32
}

/// The branches that fingers and palm are, for touch.
fn branches(setting: &Setting, body: &Body, worlds: &Worlds) -> Result<Vec<usize>, HandError> {
    let missing = |name: &str| HandError::Missing {
        task: setting.task,
        kind: "joint",
        name: name.to_owned(),
        model: body.model.name.clone(),
    };
    let joints = &setting.model.joint;
    let of_body = |name: &String| {
        let joint = joints.iter().position(|j| j.body == *name);
        joint.map(|j| worlds.branch(j)).ok_or_else(|| missing(name))
    };
    let mut branches: Vec<usize> = setting
        .tips
        .iter()
        .map(|(body, _)| of_body(body))
        .collect::<Result<_, _>>()?;
    let palm = joints.iter().position(|j| j.name == body.palm);
    branches.push(worlds.branch(palm.ok_or_else(|| missing(&body.palm))?));
    Ok(branches)
}

/// Digest of everything that an episode's course depends on besides its seed and what steps it: 64 hexadecimal digits.
fn digest(body: &Body, task: &dyn Task, config: &Config) -> String {
    let Config {
        actions,
        frame_skip,
        max_steps,
        threads: _,
        width: _,
        solver: _,
    } = config;
    let text = format!("{body:?} {task:?} {actions:?} {frame_skip} {max_steps:?}");
    blake3::hash(text.as_bytes()).to_hex().to_string()
}

/// The digest of an episode's course from that without the solver, which is the batch solver's.
fn with_solver(digest: &str, solver: Solver) -> String {
    match solver {
        Solver::Batch => digest.to_owned(),
        Solver::Rapier => {
            let text = format!("{digest} {solver:?}");
            blake3::hash(text.as_bytes()).to_hex().to_string()
        }
    }
}
