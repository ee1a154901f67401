//! The physical reading of a house: rigid bodies in Rapier, verbs carried out by motion, facts read back by measuring.
//!
//! [`World::new`] builds the walls, furniture, fronts and things of an [`Instance`] and lets them settle.
//! [`World::execute`] carries out one verb: the walker finds a way on free floor and follows it, a hand attaches a thing
//! and puts it down on a spot that shape queries found free, a front swings or slides. [`World::measure`] says whether a
//! fact holds, from poses, joints and contacts alone. [`World::snapshot`] and [`World::restore`] are exact to the bit.
//!
//! Time advances in steps of 1/60 s, and only while something moves. The world draws no random numbers, reads no clock
//! and knows nothing of policies or tasks; the symbolic graph is consulted for what a verb promises (what has to come
//! within reach), never for what is.

mod agreement;
mod arm;
mod build;
mod fronts;
mod hands;
mod measure;
mod motion;
mod navigation;
mod postures;
mod pull;
mod shape;
mod sight;
mod verbs;
mod walking;

#[cfg(test)]
mod tests;

use std::sync::Arc;

pub use agreement::{Agreement, Reading, Tally, agreement, carry_out};
pub use arm::HandState;
pub use measure::REACH;
pub use motion::{Drawn, Frame, Mover, Placed};
pub use shape::{ClassPart, Motion, front_motion, solids};
pub use sight::{camera_of, scene_of};
pub use verbs::{Execution, Failure};

use libm::{cosf, sinf};
use rapier3d::math::{Pose as Iso, Vector};
use rapier3d::prelude::{
    BroadPhaseBvh, CCDSolver, ColliderSet, ImpulseJointHandle, ImpulseJointSet,
    IntegrationParameters, IslandManager, MultibodyJointSet, NarrowPhase, PhysicsPipeline,
    RigidBodyHandle, RigidBodySet, SoftBodySet, SpringCoefficients,
};

use self::arm::is_thing;
use self::build::{Plan, blocked_by, build};
use self::navigation::{Grid, OUTSIDE, Search};
use self::shape::{Solid, about};
use crate::household::{EntityId, House, StateSet};
use crate::rapier_hand::{HAND, RapierHand};
use crate::scenario::{Instance, Pose};

/// Length of a step in seconds.
pub const STEP_SECONDS: f32 = 1.0 / 60.0;
/// Things that still move after this many steps are stopped where they are (3 s).
const SETTLE_STEPS: u32 = 180;
/// Height of the pelvis above the soles of who stands (meters).
const PELVIS: f32 = 0.9;
/// Where the hands are when nothing is reached for, in the body's frame: right and left.
const HANDS_AT_REST: [[f32; 3]; 2] = [[0.25, -0.2, 1.0], [0.25, 0.2, 1.0]];

/// A house in meters and kilograms.
pub struct World {
    plan: Arc<Plan>,
    state: State,
    parameters: IntegrationParameters,
    /// Where in the walker's frame the base of a hand is that it carries.
    mount: Option<Iso>,
    /// Working memory; never decides what happens.
    pipeline: PhysicsPipeline,
    search: Search,
    /// Loose things that were awake since the last [`World::settle`].
    moved: Vec<EntityId>,
    /// While somebody watches.
    motion: Option<motion::Motion>,
}

/// Everything about a world that changes.
#[derive(Clone)]
struct State {
    bodies: RigidBodySet,
    colliders: ColliderSet,
    islands: IslandManager,
    broad_phase: BroadPhaseBvh,
    narrow_phase: NarrowPhase,
    impulse_joints: ImpulseJointSet,
    multibody_joints: MultibodyJointSet,
    soft_bodies: SoftBodySet,
    ccd_solver: CCDSolver,
    hand: Option<RapierHand>,
    /// Of each front, 0 closed to 1 open.
    openness: Vec<f32>,
    /// Switches and cleanliness, which no pose shows.
    switched: Vec<StateSet>,
    held: [Option<Held>; 2],
    agent: Agent,
    grid: Grid,
    /// Where each loose thing last lay still.
    rest: Vec<Option<Iso>>,
    steps: u64,
    /// How often a body had to be put back: not finite, or out of the house.
    incidents: u32,
    /// How often a thing was still moving after [`SETTLE_STEPS`].
    restless: u32,
}

/// What a hand holds.
#[derive(Clone, Copy, Debug)]
struct Held {
    thing: EntityId,
    body: RigidBodyHandle,
    joint: ImpulseJointHandle,
}

/// Pose of the walker.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Agent {
    pelvis: [f32; 3],
    yaw: f32,
    /// Where it looks: as `yaw` while it stands; who sits or lies turns the head alone.
    gaze: f32,
    /// 0 upright, a right angle lying on the back.
    tilt: f32,
    /// Hands in the body's frame (origin between the soles, x forward, z towards the head).
    hands: [[f32; 3]; 2],
    /// Where it stood before it sat or lay down.
    stood: [f32; 2],
}

impl Agent {
    fn standing(pose: &Pose) -> Self {
        let [x, y, _] = pose.position;
        Self {
            pelvis: [x, y, PELVIS],
            yaw: pose.yaw,
            gaze: pose.yaw,
            tilt: 0.0,
            hands: HANDS_AT_REST,
            stood: [x, y],
        }
    }

    fn position(&self) -> [f32; 2] {
        [self.pelvis[0], self.pelvis[1]]
    }

    fn pose(&self) -> Iso {
        let rotation = about([0.0, 0.0, 1.0], self.yaw) * about([0.0, -1.0, 0.0], self.tilt);
        Iso::from_parts(
            Vector::from(self.pelvis) - rotation * Vector::new(0.0, 0.0, PELVIS),
            rotation,
        )
    }

    fn hand_poses(&self) -> [Iso; 2] {
        let pose = self.pose();
        self.hands
            .map(|hand| pose * Iso::from_translation(Vector::from(hand)))
    }
}

/// A copy of everything that changes in a [`World`].
#[derive(Clone)]
pub struct Snapshot(Box<State>);

/// What to draw of an entity.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// Whose part it is.
    pub entity: EntityId,
    /// Its form.
    pub form: PartForm,
    /// Position of its middle in the world, meters.
    pub position: [f32; 3],
    /// Its rotation as a unit quaternion (x, y, z, w).
    pub rotation: [f32; 4],
}

/// Form of a [`Part`], upright in its own frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum PartForm {
    /// Half extents.
    Box([f32; 3]),
    /// Half height and radius.
    Cylinder(f32, f32),
    /// Radius.
    Ball(f32),
    /// Half height of the straight part and radius.
    Capsule(f32, f32),
    /// Half axes.
    Ellipsoid([f32; 3]),
}

impl World {
    /// Builds an instance's house and lets everything in it come to rest.
    pub fn new(instance: &Instance) -> Self {
        let (plan, mut state) = build(instance);
        let (parameters, mount) = match &instance.layout.hand {
            None => (parameters(), None),
            Some(place) => {
                let mount = arm::insert(&mut state, place);
                (arm::hand_parameters(), mount)
            }
        };
        let mut world = Self {
            plan: Arc::new(plan),
            state,
            parameters,
            mount,
            pipeline: PhysicsPipeline::new(),
            search: Search::default(),
            moved: Vec::new(),
            motion: None,
        };
        for front in 0..world.plan.fronts.len() {
            world.place_front(front);
        }
        world.step();
        world.settle();
        for index in 0..world.plan.loose.len() {
            let id = world.plan.loose[index];
            world.settled_at(id);
        }
        world
    }

    /// Who and what is there.
    pub fn house(&self) -> &Arc<House> {
        &self.plan.house
    }

    /// Seconds simulated since the start.
    pub fn seconds(&self) -> f64 {
        self.state.steps as f64 / 60.0
    }

    /// Steps taken since the start; each is 1/60 s.
    pub fn steps(&self) -> u64 {
        self.state.steps
    }

    /// How often a body had to be put back where it last lay, because it left the house or its pose was not finite.
    pub fn incidents(&self) -> u32 {
        self.state.incidents
    }

    /// How often a thing was still moving three seconds after a verb, and was stopped.
    pub fn restless(&self) -> u32 {
        self.state.restless
    }

    /// Where the agent is on the floor (x, y), meters.
    pub fn agent_position(&self) -> [f32; 2] {
        self.state.agent.position()
    }

    /// Where the agent looks: radians from the x axis, counter-clockwise.
    pub fn agent_yaw(&self) -> f32 {
        self.state.agent.gaze
    }

    /// Position and rotation (x, y, z, w) of every entity's frame, by index. Rooms and doors have the identity.
    pub fn poses(&self) -> Vec<([f32; 3], [f32; 4])> {
        self.plan
            .house
            .ids()
            .map(|id| {
                let pose = self.pose(id).unwrap_or(Iso::IDENTITY);
                (pose.translation.into(), pose.rotation.into())
            })
            .collect()
    }

    /// Boxes of the walls as (lowest, highest corner), meters.
    pub fn walls(&self) -> &[([f32; 3], [f32; 3])] {
        &self.plan.walls
    }

    /// The floor as the walker sees it: position of the lowest corner and side of a cell in meters, cells along x, and for
    /// each cell, row by row from the lowest y, whether it can stand in its middle.
    pub fn floor(&self) -> ([f32; 2], f32, usize, Vec<bool>) {
        let grid = &self.state.grid;
        let free = (0..grid.len() as u32).map(|c| grid.free(c)).collect();
        (grid.origin(), navigation::CELL, grid.columns(), free)
    }

    /// Every convex part of furniture, fronts and things where it is now.
    pub fn parts(&self) -> Vec<Part> {
        let mut parts = Vec::new();
        let bodies = self.plan.house.ids().filter_map(|id| {
            let body = self.plan.things[id.0 as usize].body?;
            Some((id, body))
        });
        let fronts = self.plan.fronts.iter().map(|f| (f.entity, f.body));
        for (entity, body) in bodies.chain(fronts) {
            for handle in self.state.bodies[body].colliders() {
                let collider = &self.state.colliders[*handle];
                let Some((form, own)) = motion::form_of(collider) else {
                    continue;
                };
                let pose = *collider.position() * own;
                parts.push(Part {
                    entity,
                    form,
                    position: pose.translation.into(),
                    rotation: pose.rotation.into(),
                });
            }
        }
        parts
    }

    /// A copy of everything that changes.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot(Box::new(self.state.clone()))
    }

    /// Goes back to a snapshot of this world, or of another world of the same instance. What follows is the same to the
    /// bit as what followed the snapshot.
    pub fn restore(&mut self, snapshot: &Snapshot) {
        self.state = (*snapshot.0).clone();
        // Its caches belong to the state that was left.
        self.pipeline = PhysicsPipeline::new();
        self.moved.clear();
    }

    /// A digest of the bits of every pose, velocity, front, hand and switch.
    pub fn digest(&self) -> [u8; 16] {
        let mut hasher = blake3::Hasher::new();
        let mut floats = |values: &[f32]| {
            for value in values {
                hasher.update(&value.to_bits().to_le_bytes());
            }
        };
        let state = &self.state;
        for (_, body) in state.bodies.iter() {
            floats(&body.translation().to_array());
            floats(&body.rotation().to_array());
            floats(&body.linvel().to_array());
            floats(&body.angvel().to_array());
        }
        if let Some(hand) = &state.hand {
            floats(&hand.act().iter().map(|a| *a as f32).collect::<Vec<_>>());
        }
        floats(&state.openness);
        floats(&state.agent.pelvis);
        floats(&[state.agent.yaw, state.agent.gaze, state.agent.tilt]);
        floats(&state.agent.hands.concat());
        for held in state.held {
            hasher.update(&held.map_or(u16::MAX, |h| h.thing.0).to_le_bytes());
        }
        for states in &state.switched {
            hasher.update(&[states.0]);
        }
        hasher.update(&state.steps.to_le_bytes());
        let mut digest = [0; 16];
        digest.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
        digest
    }

    /// Pose of an entity's frame; none for rooms and doors.
    fn pose(&self, id: EntityId) -> Option<Iso> {
        if id == self.plan.house.agent() {
            return Some(self.state.agent.pose());
        }
        let body = self.plan.things[id.0 as usize].body?;
        Some(*self.state.bodies[body].position())
    }

    /// One step of 1/60 s, with the walker and its hands moving to where `state.agent` says.
    fn step(&mut self) {
        let state = &mut self.state;
        let hands = state.agent.hand_poses();
        state.bodies[self.plan.walker].set_next_kinematic_position(state.agent.pose());
        for (hand, pose) in self.plan.hands.into_iter().zip(hands) {
            state.bodies[hand].set_next_kinematic_position(pose);
        }
        if state.hand.is_some() {
            self.step_with_hand();
        } else {
            self.step_physics();
        }
        let state = &mut self.state;
        state.steps += 1;
        for handle in state.islands.active_bodies() {
            let body = &state.bodies[handle];
            let id = EntityId(body.user_data as u16);
            if is_thing(body) && !self.moved.contains(&id) {
                self.moved.push(id);
            }
        }
        self.note_motion();
    }

    /// One step of Rapier. What is not finite afterwards is put back.
    fn step_physics(&mut self) {
        let state = &mut self.state;
        self.pipeline.step(
            Vector::new(0.0, 0.0, -9.81),
            &self.parameters,
            &mut state.islands,
            &mut state.broad_phase,
            &mut state.narrow_phase,
            &mut state.bodies,
            &mut state.colliders,
            &mut state.impulse_joints,
            &mut state.multibody_joints,
            &mut state.soft_bodies,
            &mut state.ccd_solver,
            &(),
            &(),
        );
        if !self.pipeline.quarantine().is_empty() {
            for handle in self.pipeline.quarantine().bodies().to_vec() {
                let body = &mut self.state.bodies[handle];
                body.set_enabled(true);
                if body.user_data == HAND {
                    self.put_hand_back();
                    continue;
                }
                let id = EntityId(body.user_data as u16);
                self.put_back(id);
            }
        }
    }

    /// Whether a loose thing that no hand holds is awake.
    fn stirring(&self) -> bool {
        let state = &self.state;
        state.islands.active_bodies().any(|handle| {
            is_thing(&state.bodies[handle])
                && !state.held.iter().flatten().any(|h| h.body == handle)
        })
    }

    /// Steps until all loose things sleep, then brings the floor plan up to date with what moved. What leaves the house is
    /// put back where it last lay. Returns the things that were awake since the last time and are in no hand.
    fn settle(&mut self) -> Vec<EntityId> {
        let mut stirred = Vec::new();
        for _ in 0..3 {
            for _ in 0..SETTLE_STEPS {
                if !self.stirring() {
                    break;
                }
                self.step();
            }
            if self.stirring() {
                let awake: Vec<_> = self.state.islands.active_bodies().collect();
                for handle in awake {
                    // Not put to sleep: a body that Rapier did not find still may hang in the air.
                    let body = &mut self.state.bodies[handle];
                    if is_thing(body) {
                        body.set_linvel(Vector::ZERO, false);
                        body.set_angvel(Vector::ZERO, false);
                        self.state.restless += 1;
                    }
                }
            }
            let mut strays = false;
            for id in std::mem::take(&mut self.moved) {
                if self.is_held(id) {
                    continue;
                }
                stirred.push(id);
                if self.strayed(id) {
                    self.put_back(id);
                    strays = true;
                } else {
                    self.settled_at(id);
                }
            }
            if !strays {
                break;
            }
        }
        stirred.sort();
        stirred.dedup();
        stirred
    }

    /// Remembers where a thing lies, and blocks the floor under it.
    fn settled_at(&mut self, id: EntityId) {
        self.state.rest[id.0 as usize] = self.pose(id);
        self.block_floor(id);
    }

    /// Brings the floor layer of a loose thing up to date.
    fn block_floor(&mut self, id: EntityId) {
        let (Ok(index), Some(pose)) = (self.plan.loose.binary_search(&id), self.pose(id)) else {
            return;
        };
        let size = self.plan.things[id.0 as usize].size;
        let solid = bounding(size);
        let low = build::shadow(&solid, &pose).1[0];
        // What lies higher lies on furniture, whose own floor is blocked already.
        let cells = if self.is_held(id) || low > 0.1 {
            Vec::new()
        } else {
            blocked_by(&self.state.grid, &[solid], &pose)
        };
        self.state
            .grid
            .set_layer(self.plan.fronts.len() + index, cells);
    }

    /// Whether a thing is out of the house.
    fn strayed(&self, id: EntityId) -> bool {
        let Some(pose) = self.pose(id) else {
            return false;
        };
        let at = pose.translation;
        !pose.is_finite() || at.z < -0.1 || self.state.grid.room_at([at.x, at.y]) == OUTSIDE
    }

    fn put_back(&mut self, id: EntityId) {
        self.state.incidents += 1;
        let (Some(body), Some(rest)) = (
            self.plan.things[id.0 as usize].body,
            self.state.rest[id.0 as usize],
        ) else {
            return;
        };
        let body = &mut self.state.bodies[body];
        body.set_position(rest, true);
        body.set_linvel(Vector::ZERO, true);
        body.set_angvel(Vector::ZERO, true);
    }

    fn is_held(&self, id: EntityId) -> bool {
        self.state.held.iter().flatten().any(|h| h.thing == id)
    }

    /// Puts a front where its openness says, at once, with its floor layer.
    fn place_front(&mut self, index: usize) {
        let front = &self.plan.fronts[index];
        let openness = self.state.openness[index];
        let pose = front.base * front.form.motion.at(openness);
        self.state.bodies[front.body].set_position(pose, false);
        let passes = !front.form.carries && openness > 0.0;
        self.set_groups(
            front.body,
            if passes {
                build::NO_GROUPS
            } else {
                build::FRONT_GROUPS
            },
        );
        self.block_front(index);
    }

    fn block_front(&mut self, index: usize) {
        let front = &self.plan.fronts[index];
        let pose = front.base * front.form.motion.at(self.state.openness[index]);
        let cells = blocked_by(&self.state.grid, &front.form.solids, &pose);
        self.state.grid.set_layer(index, cells);
    }

    fn set_groups(&mut self, body: RigidBodyHandle, groups: rapier3d::prelude::InteractionGroups) {
        for collider in self.state.bodies[body].colliders().to_vec() {
            self.state.colliders[collider].set_collision_groups(groups);
        }
    }
}

/// The box around a class of that size, in its frame.
fn bounding(size: [f32; 3]) -> Solid {
    Solid::Box {
        center: [0.0, 0.0, 0.5 * size[2]],
        half: size.map(|s| 0.5 * s),
    }
}

/// Direction of an angle.
fn heading(yaw: f32) -> [f32; 2] {
    [cosf(yaw), sinf(yaw)]
}

/// Settings for things of hand size: contacts stiffer than Rapier's, and a slop that a fork does not drown in.
///
/// A stack of ten boxes of 5 cm sinks by 2.5 mm (25 with Rapier's 30 Hz, 6.9 at 60 Hz) and sleeps after half a second. At
/// 120 Hz, or with one pass where there are two here, stacks sway and never sleep at this step length.
fn parameters() -> IntegrationParameters {
    IntegrationParameters {
        dt: STEP_SECONDS,
        contact_softness: stiff(),
        static_contact_softness: stiff(),
        num_solver_iterations: 4,
        num_internal_pgs_iterations: 2,
        num_internal_stabilization_iterations: 2,
        normalized_allowed_linear_error: 0.001,
        ..IntegrationParameters::default()
    }
}

/// How contacts of things give way.
fn stiff() -> SpringCoefficients<f32> {
    SpringCoefficients::new(100.0, 5.0)
}
