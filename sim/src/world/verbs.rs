//! Verbs carried out by motion.
//!
//! Every verb leaves a settled world, also when it fails. A verb that needs something within reach first steps closer, and
//! out of the way of what it is about to open, where the agent stands and can.

use libm::{atan2f, hypotf, remainderf, sqrtf};
use rapier3d::math::{Pose as Iso, Rotation, Vector};
use rapier3d::prelude::{Cuboid, FixedJointBuilder, QueryFilter};

use super::build::{FRONT_GROUPS, LOOSE_GROUPS, NO_GROUPS, WALKER_GROUPS, blocked_by};
use super::measure::{Posture, REACH};
use super::shape::about;
use super::{HANDS_AT_REST, Held, PELVIS, STEP_SECONDS, World, bounding, heading};
use crate::household::State as Condition;
use crate::household::{EntityId, Hand, House, HouseAction, HouseGraph, Kind, Place, Verb};
use crate::scenario::WALKER_RADIUS;

/// Walking speed (m/s).
const WALK_SPEED: f32 = 1.4;
/// Turning speed (rad/s).
const TURN_SPEED: f32 = 4.0;
/// Mean speed of a hand (m/s).
const HAND_SPEED: f32 = 1.5;
/// Mean speed of a door's edge (m/s).
const SWING_SPEED: f32 = 1.0;
/// Greatest acceleration of a drawer (m/s²): a bottle four times as tall as wide stays upright at 2.4.
const DRAWER_ACCELERATION: f32 = 1.2;
/// How far a thing is let go above the surface (metres).
const RELEASE: f32 = 0.001;
/// Gap kept between a thing that is put down and what is there already, first choice and last (metres).
const GAPS: [f32; 2] = [0.015, 0.005];
/// A stance is kept this much nearer than the reach, so that arriving is enough (metres).
const SLACK: f32 = 0.05;

/// How a verb was carried out.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Execution {
    /// Simulated time in seconds.
    pub simulated_seconds: f32,
    /// Points (x, y) of the agent's way, metres: where it started, every corner, where it stopped.
    pub path: Vec<[f32; 2]>,
    /// Loose things that were awake meanwhile and are in no hand now, in order.
    pub stirred: Vec<EntityId>,
}

/// Why a motion could not be carried out; the world is valid, and nothing but the agent may have moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// No free place on the floor is within reach of it.
    NoStance(EntityId),
    /// There are such places, but no free way leads to one.
    NoWay(EntityId),
    /// The first does not find a free spot on (`inside` false) or in the second.
    NoSpot {
        /// What was to be put down.
        thing: EntityId,
        /// Where.
        target: EntityId,
        /// In it rather than on it.
        inside: bool,
    },
    /// No place to stand from which it can be opened and left.
    Cramped(EntityId),
    /// Out of reach from where the agent sits or lies.
    TooFar(EntityId),
    /// No place to stand up beside the seat.
    NoRoomToStand,
    /// The hand that should hold it does not.
    NotHeld(EntityId),
    /// Nothing is there that moves.
    NoFront(EntityId),
}

impl Failure {
    /// The reason as a clause without capital and full stop: "there is no free spot on the kitchen table for the mug".
    pub fn text(&self, house: &House) -> String {
        let the = |id: EntityId| format!("the {}", house.name(id));
        match *self {
            Self::NoStance(id) => format!("there is no free place to stand near {}", the(id)),
            Self::NoWay(id) => format!("the way to {} is blocked", the(id)),
            Self::NoSpot {
                thing,
                target,
                inside,
            } => format!(
                "there is no free spot {} {} for {}",
                if inside || house.is_room(target) {
                    "in"
                } else {
                    "on"
                },
                the(target),
                the(thing)
            ),
            Self::TooFar(id) => format!("{} is too far away to reach without getting up", the(id)),
            Self::Cramped(id) => format!("there is no room to stand while {} moves", the(id)),
            Self::NoRoomToStand => "there is no free place to stand up".to_owned(),
            Self::NotHeld(id) => format!("{} is not in a hand", the(id)),
            Self::NoFront(id) => format!("{} has nothing that moves", the(id)),
        }
    }
}

impl World {
    /// Carries out a verb that the graph allows. `before` is the symbolic house before it: what the verb promises to bring
    /// within reach decides where the agent goes to stand.
    ///
    /// # Errors
    /// When the motion cannot be done. The world then is settled and valid; the agent may have taken some steps.
    pub fn execute(
        &mut self,
        action: &HouseAction,
        before: &HouseGraph,
    ) -> Result<Execution, Failure> {
        let start = self.state.steps;
        let mut path = vec![self.state.agent.position()];
        let result = self.perform(action, before, &mut path);
        let stirred = self.settle();
        result?;
        Ok(Execution {
            simulated_seconds: (self.state.steps - start) as f32 * STEP_SECONDS,
            path,
            stirred,
        })
    }

    fn perform(
        &mut self,
        action: &HouseAction,
        before: &HouseGraph,
        path: &mut Vec<[f32; 2]>,
    ) -> Result<(), Failure> {
        let agent = self.plan.house.agent();
        let [first, second] = action.objects.map(|o| o.unwrap_or(agent));
        // What the symbols promise, to be made true: which things come within reach, and in which room.
        let mut after = before.clone();
        let after = if after.apply(action).is_ok() {
            &after
        } else {
            before
        };
        let promise = Promise::of(after);
        match action.verb {
            Verb::Walk | Verb::Find => {
                self.go_to(first, &promise, path)?;
                self.turn_to(first);
            }
            Verb::TurnTo | Verb::LookAt | Verb::Watch => self.turn_to(first),
            Verb::Grab => {
                self.come_near(first, &promise, path)?;
                self.grab(first)?;
            }
            Verb::Put | Verb::PutIn => {
                self.come_near(second, &promise, path)?;
                self.put(first, second, action.verb == Verb::PutIn, &promise, path)?;
            }
            Verb::Drop => self.drop_on_floor(first)?,
            Verb::Open | Verb::Close => {
                self.come_near(first, &promise, path)?;
                self.swing(first, action.verb == Verb::Open, &promise, path)?;
            }
            Verb::SwitchOn | Verb::SwitchOff => {
                self.come_near(first, &promise, path)?;
                self.touch(first);
                self.set_condition(first, Condition::SwitchedOn, action.verb == Verb::SwitchOn);
            }
            Verb::Wash | Verb::Wipe => {
                self.come_near(first, &promise, path)?;
                self.touch(first);
                self.set_condition(first, Condition::Clean, true);
            }
            Verb::Touch | Verb::Eat => {
                self.come_near(first, &promise, path)?;
                self.touch(first);
            }
            Verb::Sit => self.sit(first, &promise, path)?,
            Verb::Lie => self.lie(first, &promise, path)?,
            Verb::StandUp => self.stand_up(path)?,
            Verb::Drink | Verb::Read => self.lift(first)?,
        }
        Ok(())
    }

    fn set_condition(&mut self, id: EntityId, condition: Condition, now: bool) {
        let states = &mut self.state.switched[id.0 as usize];
        *states = states.with(condition, now);
        if let Some(opposite) = condition.opposite() {
            *states = states.with(opposite, !now);
        }
    }
}

// Walking.

/// What a verb promises about where the agent stands afterwards.
struct Promise {
    room: EntityId,
    /// What should be within reach, without what is held.
    close: Vec<EntityId>,
    /// What lies directly on or in something, for finding what stands around a thing that is shut in.
    around: Vec<Option<EntityId>>,
    facing: Option<EntityId>,
}

impl Promise {
    fn of(after: &HouseGraph) -> Self {
        let house = after.house();
        let held = [Hand::Right, Hand::Left].map(|h| after.held(h));
        Self {
            room: after.agent_room(),
            close: house
                .ids()
                .filter(|o| after.is_close(*o) && !held.contains(&Some(*o)))
                .collect(),
            around: house
                .ids()
                .map(|o| match after.place(o) {
                    Place::On(p) | Place::Inside(p) => Some(p),
                    _ => None,
                })
                .collect(),
            facing: after.facing(),
        }
    }

    /// `id`, or the nearest thing around it that comes within reach.
    fn goal(&self, id: EntityId) -> EntityId {
        let mut at = id;
        loop {
            if self.close.contains(&at) {
                return at;
            }
            match self.around[at.0 as usize] {
                Some(p) => at = p,
                None => return id,
            }
        }
    }
}

impl World {
    /// Walks to a place from which `target` and all that is promised are within reach.
    fn go_to(
        &mut self,
        target: EntityId,
        promise: &Promise,
        path: &mut Vec<[f32; 2]>,
    ) -> Result<(), Failure> {
        let goal = promise.goal(target);
        let stance = self.stance(goal, promise, |_| true)?;
        self.walk(stance, path).ok_or(Failure::NoWay(goal))
    }

    /// Steps closer if something that is to be used is out of reach.
    fn come_near(
        &mut self,
        target: EntityId,
        promise: &Promise,
        path: &mut Vec<[f32; 2]>,
    ) -> Result<(), Failure> {
        let far = !self.is_close(target);
        let short = promise.close.iter().any(|o| !self.is_close(*o));
        if self.is_held(target) || !(far || short) {
            return Ok(());
        }
        if self.posture() != Posture::Standing {
            return if far {
                Err(Failure::TooFar(target))
            } else {
                Ok(())
            };
        }
        match self.go_to(target, promise, path) {
            // The rest of what was promised may be out of reach for good; the verb itself is not.
            Err(_) if !far => Ok(()),
            result => result,
        }
    }

    /// The best free cell to use `goal` from: it must lie within reach and can be walked to; what else was promised, the
    /// front of the furniture, an easy distance and a short way make it better. Only cells that `allowed` accepts.
    fn stance(
        &mut self,
        goal: EntityId,
        promise: &Promise,
        allowed: impl Fn(u32) -> bool,
    ) -> Result<u32, Failure> {
        self.state.grid.number_regions();
        let grid = &self.state.grid;
        let here = self.state.agent.position();
        let start = grid.nearest_free(here, 0.8).ok_or(Failure::NoWay(goal))?;
        let region = grid.region(start);
        let Some(footprint) = self.footprint(goal) else {
            return self.stance_in_room(goal, region);
        };
        let reach = REACH + WALKER_RADIUS - SLACK;
        let others: Vec<_> = promise
            .close
            .iter()
            .filter(|o| **o != goal)
            .filter_map(|o| self.footprint(*o))
            .collect();
        // The front of a piece of furniture, or of what the thing lies on or in, is where to stand.
        let mut root = goal;
        while let Some(p) = promise.around[root.0 as usize] {
            root = p;
        }
        let root_thing = &self.plan.things[root.0 as usize];
        let sided = root_thing.footprint.filter(|_| {
            root_thing.front.is_some()
                && !matches!(self.plan.house.entity(root).kind, Kind::Door { .. })
        });
        let span = hypotf(footprint.half[0], footprint.half[1]) + reach;
        let (mut best, mut barred): (Option<(f32, u32)>, bool) = (None, false);
        grid.for_cells_within(footprint.center, [span, span], |cell, at| {
            if !grid.free(cell) || grid.room(cell) != promise.room.0 {
                return;
            }
            let d = footprint.distance(at);
            if d > reach {
                return;
            }
            if grid.region(cell) != region {
                barred = true;
                return;
            }
            if !allowed(cell) {
                return;
            }
            let mut cost = 0.3 * hypotf(at[0] - here[0], at[1] - here[1]) + 0.8 * (d - 0.4).abs();
            for other in &others {
                if other.distance(at) > reach {
                    cost += 6.0;
                }
            }
            if let Some(sided) = sided {
                let [x, y] = sided.local(at);
                if x < sided.half[0] {
                    cost += 1.5;
                } else {
                    cost += 0.3 * y.abs();
                }
            }
            for front in &self.plan.fronts {
                if front.sweep.binary_search(&cell).is_ok() {
                    cost += if front.entity == root { 3.0 } else { 0.5 };
                }
            }
            if best.is_none_or(|b| cost < b.0) {
                best = Some((cost, cell));
            }
        });
        match best {
            Some((_, cell)) => Ok(cell),
            None if barred => Err(Failure::NoWay(goal)),
            None => Err(Failure::NoStance(goal)),
        }
    }

    /// Whether, as doors and fronts are now, there is a free place within reach of an entity to which the agent can walk.
    pub fn can_be_reached(&mut self, id: EntityId) -> bool {
        self.state.grid.number_regions();
        let grid = &self.state.grid;
        let here = grid.nearest_free(self.state.agent.position(), 0.8);
        let Some(region) = here.map(|c| grid.region(c)) else {
            return false;
        };
        let Some(footprint) = self.footprint(id) else {
            return self.stance_in_room(id, region).is_ok();
        };
        let room = match self.plan.house.entity(id).kind {
            Kind::Door { .. } => None,
            _ => self.center(id).and_then(|c| self.room_at([c.x, c.y])),
        };
        let reach = REACH + WALKER_RADIUS - SLACK;
        let span = hypotf(footprint.half[0], footprint.half[1]) + reach;
        let mut found = false;
        grid.for_cells_within(footprint.center, [span; 2], |cell, at| {
            found |= grid.free(cell)
                && grid.region(cell) == region
                && room.is_none_or(|r| r.0 == grid.room(cell))
                && footprint.distance(at) <= reach;
        });
        found
    }

    /// The free cell of a room nearest to the middle of its outline, away from doors' swings.
    fn stance_in_room(&self, room: EntityId, region: u16) -> Result<u32, Failure> {
        let outline = self
            .plan
            .rooms
            .get(room.0 as usize)
            .ok_or(Failure::NoStance(room))?;
        let n = outline.len() as f32;
        let middle = outline
            .iter()
            .fold([0.0; 2], |m, c| [m[0] + c[0] / n, m[1] + c[1] / n]);
        let grid = &self.state.grid;
        let mut best: Option<(f32, u32)> = None;
        for cell in 0..grid.len() as u32 {
            if grid.room(cell) != room.0 || !grid.free(cell) || grid.region(cell) != region {
                continue;
            }
            let at = grid.middle(cell);
            let mut cost = hypotf(at[0] - middle[0], at[1] - middle[1]);
            let swept = |f: &super::build::Front| f.sweep.binary_search(&cell).is_ok();
            if best.is_none_or(|b| cost < b.0) {
                if self.plan.fronts.iter().any(swept) {
                    cost += 1.0;
                }
                if best.is_none_or(|b| cost < b.0) {
                    best = Some((cost, cell));
                }
            }
        }
        best.map(|b| b.1).ok_or(Failure::NoWay(room))
    }

    /// Follows a shortest way to a free cell. `None` when there is none.
    fn walk(&mut self, goal: u32, path: &mut Vec<[f32; 2]>) -> Option<()> {
        let here = self.state.agent.position();
        let start = self.state.grid.nearest_free(here, 0.8)?;
        let cells = self.state.grid.path(start, goal, &mut self.search)?;
        let mut corners = self.state.grid.pull(&cells);
        let outside = self.state.grid.cell(here) != Some(start);
        if outside {
            corners.insert(0, self.state.grid.middle(start));
        } else if corners.is_empty() {
            corners.push(self.state.grid.middle(goal));
        }
        self.wake_held();
        for corner in corners {
            self.walk_straight(corner);
            path.push(corner);
        }
        Some(())
    }

    /// Walks along a line, turning into its direction on the way.
    fn walk_straight(&mut self, to: [f32; 2]) {
        let stride = WALK_SPEED * STEP_SECONDS;
        loop {
            let [x, y, _] = self.state.agent.pelvis;
            let (dx, dy) = (to[0] - x, to[1] - y);
            let rest = hypotf(dx, dy);
            if rest > 1e-4 {
                self.state.agent.yaw = turned(self.state.agent.yaw, atan2f(dy, dx));
                self.state.agent.gaze = self.state.agent.yaw;
            }
            let share = if rest <= stride { 1.0 } else { stride / rest };
            self.state.agent.pelvis[0] += share * dx;
            self.state.agent.pelvis[1] += share * dy;
            if share == 1.0 {
                // Exactly there: sums of steps are not.
                self.state.agent.pelvis[0] = to[0];
                self.state.agent.pelvis[1] = to[1];
            }
            self.step();
            if share == 1.0 {
                return;
            }
        }
    }

    /// Turns towards an entity; a room is all around, and what is held is looked at by turning the head.
    fn turn_to(&mut self, id: EntityId) {
        let at = match (self.footprint(id), self.center(id)) {
            (_, Some(c)) if self.plan.things[id.0 as usize].body.is_some() => [c.x, c.y],
            (Some(footprint), _) => footprint.center,
            _ => return,
        };
        self.turn_towards(at, !self.is_held(id));
    }

    /// Looks at a point, turning the body too where it is free to turn.
    fn turn_towards(&mut self, at: [f32; 2], body: bool) {
        let [x, y] = self.state.agent.position();
        let (dx, dy) = (at[0] - x, at[1] - y);
        if hypotf(dx, dy) > 0.05 {
            let yaw = atan2f(dy, dx);
            if body && self.posture() == Posture::Standing {
                self.turn_by(yaw);
            }
            while self.state.agent.gaze != yaw {
                self.state.agent.gaze = turned(self.state.agent.gaze, yaw);
                self.step();
            }
        }
    }

    fn turn_by(&mut self, yaw: f32) {
        self.wake_held();
        while self.state.agent.yaw != yaw {
            self.state.agent.yaw = turned(self.state.agent.yaw, yaw);
            self.state.agent.gaze = self.state.agent.yaw;
            self.step();
        }
    }

    /// Turns back to what the symbols say is faced.
    fn face_again(&mut self, promise: &Promise) {
        if let Some(id) = promise.facing {
            self.turn_to(id);
        }
    }
}

/// `yaw` one step closer to `goal`, the short way round.
fn turned(yaw: f32, goal: f32) -> f32 {
    let off = remainderf(goal - yaw, 2.0 * std::f32::consts::PI);
    let most = TURN_SPEED * STEP_SECONDS;
    if off.abs() <= most {
        goal
    } else {
        yaw + most.copysign(off)
    }
}

// Hands.

impl World {
    fn wake_held(&mut self) {
        for held in self.state.held.into_iter().flatten() {
            self.state
                .islands
                .wake_up(&mut self.state.bodies, held.body, true);
        }
    }

    /// The hand that holds a thing.
    fn hand_of(&self, thing: EntityId) -> Result<usize, Failure> {
        self.state
            .held
            .iter()
            .position(|h| h.is_some_and(|h| h.thing == thing))
            .ok_or(Failure::NotHeld(thing))
    }

    /// Moves a hand to a point in the body's frame, starting and stopping gently.
    fn move_hand(&mut self, hand: usize, to: [f32; 3]) {
        let from = self.state.agent.hands[hand];
        let way = Vector::from(to) - Vector::from(from);
        let steps = (way.length() / (HAND_SPEED * STEP_SECONDS)).ceil().max(6.0);
        self.wake_held();
        for i in 1..=steps as u32 {
            let t = i as f32 / steps;
            let at = Vector::from(from) + way * (t * t * (3.0 - 2.0 * t));
            self.state.agent.hands[hand] = at.into();
            self.step();
        }
        self.state.agent.hands[hand] = to;
    }

    /// A point of the world in the body's frame.
    fn in_body(&self, point: Vector) -> [f32; 3] {
        self.state
            .agent
            .pose()
            .inverse_transform_point(point)
            .into()
    }

    /// Reaches out to a thing and back.
    fn touch(&mut self, id: EntityId) {
        if self.is_held(id) {
            for _ in 0..20 {
                self.step();
            }
            return;
        }
        let hand = usize::from(self.state.held[0].is_some());
        let hand = if self.state.held[hand].is_some() {
            0
        } else {
            hand
        };
        let at = self.in_body(self.nearest_point(id));
        self.move_hand(hand, at);
        self.move_hand(hand, HANDS_AT_REST[hand]);
    }

    /// The point of an entity nearest to the agent, at a height that can be reached.
    fn nearest_point(&self, id: EntityId) -> Vector {
        let from = self.state.agent.position();
        let Some(footprint) = self.footprint(id) else {
            return Vector::new(from[0], from[1], 1.0);
        };
        let z = self.center(id).map_or(1.0, |c| c.z.clamp(0.0, 1.8));
        let [x, y] = footprint.local(from);
        let [x, y] = [
            x.clamp(-footprint.half[0], footprint.half[0]),
            y.clamp(-footprint.half[1], footprint.half[1]),
        ];
        let [c, s] = heading(footprint.yaw);
        Vector::new(
            footprint.center[0] + c * x - s * y,
            footprint.center[1] + s * x + c * y,
            z,
        )
    }

    /// The free hand goes to the thing, holds it by a fixed joint, and comes back with it. What is held collides with
    /// nothing.
    fn grab(&mut self, thing: EntityId) -> Result<(), Failure> {
        let (Some(body), Some(center)) =
            (self.plan.things[thing.0 as usize].body, self.center(thing))
        else {
            return Err(Failure::NotHeld(thing));
        };
        let hand = usize::from(self.state.held[0].is_some());
        self.move_hand(hand, self.in_body(center));
        let hand_pose = self.state.agent.hand_poses()[hand];
        // Out of the island of what it touched, which else would stay awake as long as the hand moves.
        self.state.bodies[body].set_enabled(false);
        self.set_groups(body, NO_GROUPS);
        self.step();
        self.state.bodies[body].set_enabled(true);
        let grip = hand_pose.inv_mul(self.state.bodies[body].position());
        let joint = FixedJointBuilder::new()
            .local_frame1(grip)
            .local_frame2(Iso::IDENTITY)
            .contacts_enabled(false);
        let joint = self
            .state
            .impulse_joints
            .insert(self.plan.hands[hand], body, joint, true);
        self.state.held[hand] = Some(Held { thing, body, joint });
        self.block_floor(thing);
        self.move_hand(hand, HANDS_AT_REST[hand]);
        Ok(())
    }

    /// Brings a held thing to the mouth or before the eyes, and back.
    fn lift(&mut self, thing: EntityId) -> Result<(), Failure> {
        let hand = self.hand_of(thing)?;
        self.move_hand(hand, [0.2, 0.0, 1.45]);
        self.move_hand(hand, HANDS_AT_REST[hand]);
        Ok(())
    }

    /// Carries a held thing to a pose and lets go.
    fn let_go(&mut self, thing: EntityId, pose: Iso) -> Result<(), Failure> {
        let hand = self.hand_of(thing)?;
        let Some(held) = self.state.held[hand] else {
            return Err(Failure::NotHeld(thing));
        };
        let middle = Vector::new(0.0, 0.0, 0.5 * self.plan.things[thing.0 as usize].size[2]);
        self.move_hand(hand, self.in_body(pose.transform_point(middle)));
        self.state.impulse_joints.remove(held.joint, true);
        self.state.held[hand] = None;
        // The fingers set it down upright: what the wrist turns is not simulated.
        let body = &mut self.state.bodies[held.body];
        body.set_position(pose, true);
        body.set_linvel(Vector::ZERO, true);
        body.set_angvel(Vector::ZERO, true);
        self.set_groups(held.body, LOOSE_GROUPS);
        self.moved.push(thing);
        self.move_hand(hand, HANDS_AT_REST[hand]);
        Ok(())
    }
}

// Putting down.

impl World {
    fn put(
        &mut self,
        thing: EntityId,
        target: EntityId,
        inside: bool,
        promise: &Promise,
        path: &mut Vec<[f32; 2]>,
    ) -> Result<(), Failure> {
        let none = Failure::NoSpot {
            thing,
            target,
            inside,
        };
        let reach = REACH + WALKER_RADIUS - SLACK;
        let pose = match self.free_spot(thing, target, inside, reach) {
            Some(pose) => pose,
            None if self.posture() != Posture::Standing => return Err(none),
            None => {
                // Free spots farther away: step to where one is within reach.
                let pose = self
                    .free_spot(thing, target, inside, f32::INFINITY)
                    .ok_or(none)?;
                let cell = self.stance_at(&pose, promise).ok_or(none)?;
                self.walk(cell, path).ok_or(none)?;
                pose
            }
        };
        self.turn_towards([pose.translation.x, pose.translation.y], true);
        self.let_go(thing, pose)?;
        self.face_again(promise);
        Ok(())
    }

    /// A free, reachable cell within reach of a spot, the nearest to the agent.
    fn stance_at(&mut self, spot: &Iso, promise: &Promise) -> Option<u32> {
        self.state.grid.number_regions();
        let grid = &self.state.grid;
        let here = self.state.agent.position();
        let region = grid.region(grid.nearest_free(here, 0.8)?);
        let reach = REACH + WALKER_RADIUS - SLACK;
        let center = [spot.translation.x, spot.translation.y];
        let others: Vec<_> = promise
            .close
            .iter()
            .filter_map(|o| self.footprint(*o))
            .collect();
        let mut best: Option<(f32, u32)> = None;
        grid.for_cells_within(center, [reach; 2], |cell, at| {
            let d = hypotf(at[0] - center[0], at[1] - center[1]);
            if d > reach
                || !grid.free(cell)
                || grid.region(cell) != region
                || grid.room(cell) != promise.room.0
            {
                return;
            }
            let away = others.iter().filter(|o| o.distance(at) > reach).count();
            let cost = hypotf(at[0] - here[0], at[1] - here[1]) + 6.0 * away as f32;
            if best.is_none_or(|b| cost < b.0) {
                best = Some((cost, cell));
            }
        });
        best.map(|b| b.1)
    }

    /// An upright pose on (in) the target where the thing rests whole and with a gap around it, found by queries on the
    /// real colliders. The spot nearest to the agent of those at most `reach` away.
    fn free_spot(
        &self,
        thing: EntityId,
        target: EntityId,
        inside: bool,
        reach: f32,
    ) -> Option<Iso> {
        let size = self.plan.things[thing.0 as usize].size;
        let support = &self.plan.things[target.0 as usize];
        let base = if inside {
            self.inner_pose(target)?
        } else {
            self.pose(target)?
        };
        if base.transform_vector(Vector::Z).z < 0.99 {
            return None; // turned over: what was its surface is not level
        }
        let from = self.state.agent.position();
        let mut spots: Vec<(f32, Iso)> = Vec::new();
        for gap in GAPS {
            for surface in support.surfaces.iter().filter(|s| s.inside == inside) {
                if size[2] + 0.01 > surface.clearance {
                    continue;
                }
                let turns = if size[0] == size[1] { 1 } else { 2 };
                for turn in 0..turns {
                    let (hx, hy) = if turn == 0 {
                        (0.5 * size[0], 0.5 * size[1])
                    } else {
                        (0.5 * size[1], 0.5 * size[0])
                    };
                    let play = [surface.half[0] - hx - gap, surface.half[1] - hy - gap];
                    if play[0] < 0.0 || play[1] < 0.0 {
                        continue;
                    }
                    let turn = about([0.0, 0.0, 1.0], turn as f32 * std::f32::consts::FRAC_PI_2);
                    let steps = play.map(|p| (2.0 * p / 0.04).floor().max(0.0) as u32);
                    for i in 0..=steps[0] {
                        for j in 0..=steps[1] {
                            let along = |k: usize, n: u32| {
                                let t = if steps[k] == 0 {
                                    0.0
                                } else {
                                    2.0 * n as f32 / steps[k] as f32 - 1.0
                                };
                                surface.center[k] + play[k] * t
                            };
                            let local = Vector::new(along(0, i), along(1, j), surface.z + RELEASE);
                            let pose = base * Iso::from_parts(local, turn);
                            let at = pose.translation;
                            let away = hypotf(at.x - from[0], at.y - from[1]);
                            if away <= reach {
                                spots.push((away + 0.2 * (1.6 - at.z).abs(), pose));
                            }
                        }
                    }
                }
            }
            spots.sort_by(|a, b| a.0.total_cmp(&b.0));
            if let Some((_, pose)) = spots.iter().find(|s| self.is_free(size, &s.1, gap)) {
                return Some(*pose);
            }
            spots.clear();
        }
        None
    }

    /// Whether the box around a thing of that size, grown sideways by `gap`, meets nothing that it would collide with.
    fn is_free(&self, size: [f32; 3], pose: &Iso, gap: f32) -> bool {
        let state = &self.state;
        let query = state.broad_phase.as_query_pipeline(
            state.narrow_phase.query_dispatcher(),
            &state.bodies,
            &state.colliders,
            QueryFilter::default().groups(LOOSE_GROUPS),
        );
        // Lifted off the surface it is to rest on.
        let half = Vector::new(0.5 * size[0] + gap, 0.5 * size[1] + gap, 0.5 * size[2]);
        let cuboid = Cuboid::new(half);
        let lifted = *pose * Iso::translation(0.0, 0.0, 0.5 * size[2] + 0.003);
        query.intersect_shape(lifted, &cuboid).next().is_none()
    }

    /// Puts a held thing on the floor beside the agent, where it blocks as little as possible and cuts off nothing.
    fn drop_on_floor(&mut self, thing: EntityId) -> Result<(), Failure> {
        let size = self.plan.things[thing.0 as usize].size;
        let from = self.state.agent.position();
        let room = self.room_at(from).unwrap_or(EntityId(0));
        let none = Failure::NoSpot {
            thing,
            target: room,
            inside: true,
        };
        let solid = bounding(size);
        let room_outline = &self.plan.rooms[room.0 as usize];
        let grid = &self.state.grid;
        let least = WALKER_RADIUS + 0.5 * hypotf(size[0], size[1]) + 0.08;
        let mut spots: Vec<(f32, Iso)> = Vec::new();
        for ring in 0..8 {
            let away = least + 0.08 * ring as f32;
            if away > REACH + WALKER_RADIUS - SLACK {
                break;
            }
            for ray in 0..24 {
                let angle = self.state.agent.yaw + ray as f32 * std::f32::consts::PI / 12.0;
                let [x, y] = heading(angle);
                let at = [from[0] + away * x, from[1] + away * y];
                let pose = Iso::from_parts(Vector::new(at[0], at[1], RELEASE), Rotation::IDENTITY);
                let corners = [(-0.5, -0.5), (-0.5, 0.5), (0.5, -0.5), (0.5, 0.5)];
                let in_room = corners.iter().all(|(u, v)| {
                    let corner = [at[0] + u * size[0], at[1] + v * size[1]];
                    super::navigation::contains(room_outline, corner)
                });
                if !in_room || !self.is_free(size, &pose, GAPS[0]) {
                    continue;
                }
                let covers = blocked_by(grid, &[solid], &pose);
                let taken = covers.iter().filter(|c| grid.free(**c)).count();
                let swept = self.plan.fronts.iter().filter(|f| {
                    grid.cell(at)
                        .is_some_and(|c| f.sweep.binary_search(&c).is_ok())
                });
                let cost = taken as f32 + 0.2 * away + 200.0 * swept.count() as f32;
                spots.push((cost, pose));
            }
        }
        spots.sort_by(|a, b| a.0.total_cmp(&b.0));
        let cuts = |world: &Self, pose: &Iso| {
            let mut grid = world.state.grid.clone();
            let covers = blocked_by(&grid, &[solid], pose);
            grid.number_regions();
            let before = grid.regions_without(&covers);
            let layer = world.plan.fronts.len()
                + world.plan.loose.binary_search(&thing).unwrap_or_default();
            grid.set_layer(layer, covers);
            grid.number_regions();
            grid.regions_without(&[]) > before
        };
        let pose = spots
            .iter()
            .take(12)
            .find(|s| !cuts(self, &s.1))
            .map(|s| s.1)
            .ok_or(none)?;
        self.let_go(thing, pose)
    }
}

// Fronts.

impl World {
    /// Opens or closes a door, drawer or lid with a free hand's reach. The agent first steps out of the way.
    fn swing(
        &mut self,
        id: EntityId,
        open: bool,
        promise: &Promise,
        path: &mut Vec<[f32; 2]>,
    ) -> Result<(), Failure> {
        let index = self.plan.things[id.0 as usize]
            .front
            .ok_or(Failure::NoFront(id))?;
        if open && self.posture() == Posture::Standing {
            self.make_way(id, index, promise, path)?;
        }
        self.turn_to(id);
        self.touch(id);
        self.drive(index, f32::from(u8::from(open)));
        self.face_again(promise);
        Ok(())
    }

    /// Steps out of the sweep of a front that is to open, and, if it can, out of a corner that an open drawer would shut.
    fn make_way(
        &mut self,
        id: EntityId,
        index: usize,
        promise: &Promise,
        path: &mut Vec<[f32; 2]>,
    ) -> Result<(), Failure> {
        let plan = std::sync::Arc::clone(&self.plan);
        let front = &plan.fronts[index];
        let mut then = self.state.grid.clone();
        if front.mover.is_some() {
            let pose = front.base * front.form.motion.at(1.0);
            let cells = blocked_by(&then, &front.form.solids, &pose);
            then.set_layer(index, cells);
        }
        then.number_regions();
        let main = then.largest_region();
        let clear = |cell: u32| front.sweep.binary_search(&cell).is_err();
        let good = |cell: u32| clear(cell) && then.region(cell) == main;
        let cell = self.state.grid.cell(self.state.agent.position());
        if cell.is_some_and(good) {
            return Ok(());
        }
        let stance = match self.stance(id, promise, good) {
            Err(_) if cell.is_some_and(clear) => return Ok(()),
            Err(_) => self.stance(id, promise, clear),
            found => found,
        };
        match stance {
            Ok(stance) => self.walk(stance, path).ok_or(Failure::NoWay(id)),
            // Past a hinged leaf the agent squeezes; a drawer would push it into what is behind.
            Err(_) if front.mover.is_none() => Ok(()),
            Err(_) => Err(Failure::Cramped(id)),
        }
    }

    /// Moves a front along its way, starting and stopping gently, and lets what lies in it settle.
    fn drive(&mut self, index: usize, to: f32) {
        let plan = std::sync::Arc::clone(&self.plan);
        let front = &plan.fronts[index];
        let from = self.state.openness[index];
        let way = front.form.motion.travel(front.form.radius) * (to - from).abs();
        let seconds = if front.form.carries {
            // The curve below has its greatest acceleration, 6 d / T², at both ends.
            sqrtf(6.0 * way / DRAWER_ACCELERATION)
        } else {
            way / SWING_SPEED
        };
        let steps = (seconds / STEP_SECONDS).ceil().max(1.0);
        self.set_groups(
            front.body,
            if front.mover.is_some() {
                FRONT_GROUPS
            } else {
                NO_GROUPS
            },
        );
        if let Some(mover) = front.mover {
            self.wake_inside(front.entity);
            let pose = *self.state.bodies[front.body].position();
            self.state.bodies[mover].set_position(pose, false);
            self.state.bodies[mover].set_enabled(true);
            self.state.bodies[front.body].set_enabled(false);
        }
        for i in 1..=steps as u32 {
            let t = i as f32 / steps;
            let openness = from + (to - from) * (t * t * (3.0 - 2.0 * t));
            self.state.openness[index] = openness;
            let pose = front.base * front.form.motion.at(openness);
            match front.mover {
                Some(mover) => self.state.bodies[mover].set_next_kinematic_position(pose),
                None => self.state.bodies[front.body].set_position(pose, false),
            }
            self.step();
        }
        self.state.openness[index] = to;
        let pose = front.base * front.form.motion.at(to);
        self.state.bodies[front.body].set_position(pose, false);
        if let Some(mover) = front.mover {
            self.state.bodies[front.body].set_enabled(true);
            self.state.bodies[mover].set_enabled(false);
        }
        if to == 0.0 {
            self.set_groups(front.body, FRONT_GROUPS);
        }
        self.block_front(index);
    }

    /// Wakes what lies in an entity.
    fn wake_inside(&mut self, id: EntityId) {
        let (Some(inner), Some([least, most])) =
            (self.inner_pose(id), self.plan.things[id.0 as usize].hollow)
        else {
            return;
        };
        for index in 0..self.plan.loose.len() {
            let thing = self.plan.loose[index];
            let (Some(body), Some(center)) =
                (self.plan.things[thing.0 as usize].body, self.center(thing))
            else {
                continue;
            };
            let at = inner.inverse_transform_point(center);
            if (0..3).all(|i| at[i] >= least[i] - 0.05 && at[i] <= most[i] + 0.05) {
                self.state
                    .islands
                    .wake_up(&mut self.state.bodies, body, true);
            }
        }
    }
}

// Sitting and lying.

impl World {
    fn sit(
        &mut self,
        seat: EntityId,
        promise: &Promise,
        path: &mut Vec<[f32; 2]>,
    ) -> Result<(), Failure> {
        self.come_near(seat, promise, path)?;
        let thing = &self.plan.things[seat.0 as usize];
        let (Some(footprint), Some(height), Some(pose)) =
            (thing.footprint, thing.seat, self.pose(seat))
        else {
            return Err(Failure::NoStance(seat));
        };
        let here = self.state.agent.position();
        let local = footprint.local(here);
        let within = |i: usize| {
            let most = (footprint.half[i] - 0.2).max(0.0);
            local[i].clamp(-most, most)
        };
        // Seats with a back rest look forward; from a bed one looks where one came from.
        let backed = footprint.half[0] < 0.6;
        let [c, s] = heading(footprint.yaw);
        let (x, y) = (within(0), within(1));
        let at = [
            footprint.center[0] + c * x - s * y,
            footprint.center[1] + s * x + c * y,
        ];
        let yaw = if backed {
            footprint.yaw
        } else {
            atan2f(here[1] - at[1], here[0] - at[0])
        };
        let z = pose.translation.z + height + 0.1;
        self.settle_body([at[0], at[1], z], yaw, 0.0);
        path.push(at);
        Ok(())
    }

    fn lie(
        &mut self,
        bed: EntityId,
        promise: &Promise,
        path: &mut Vec<[f32; 2]>,
    ) -> Result<(), Failure> {
        self.come_near(bed, promise, path)?;
        let thing = &self.plan.things[bed.0 as usize];
        let (Some(footprint), Some(height), Some(pose)) =
            (thing.footprint, thing.seat, self.pose(bed))
        else {
            return Err(Failure::NoStance(bed));
        };
        // Along the longer side.
        let along = if footprint.half[0] >= footprint.half[1] {
            0.0
        } else {
            std::f32::consts::FRAC_PI_2
        };
        let at = footprint.center;
        let z = pose.translation.z + height + 0.2;
        self.settle_body(
            [at[0], at[1], z],
            footprint.yaw + along,
            std::f32::consts::FRAC_PI_2,
        );
        path.push(at);
        Ok(())
    }

    fn stand_up(&mut self, path: &mut Vec<[f32; 2]>) -> Result<(), Failure> {
        let stood = self.state.agent.stood;
        let cell = self
            .state
            .grid
            .nearest_free(stood, 0.6)
            .filter(|c| self.state.grid.room(*c) == self.state.grid.room_at(stood))
            .ok_or(Failure::NoRoomToStand)?;
        let at = self.state.grid.middle(cell);
        self.settle_body([at[0], at[1], PELVIS], self.state.agent.yaw, 0.0);
        self.set_groups(self.plan.walker, WALKER_GROUPS);
        path.push(at);
        Ok(())
    }

    /// Moves the body from one posture to another; meanwhile it collides with nothing.
    fn settle_body(&mut self, pelvis: [f32; 3], yaw: f32, tilt: f32) {
        if self.posture() == Posture::Standing {
            self.state.agent.stood = self.state.agent.position();
        }
        self.set_groups(self.plan.walker, NO_GROUPS);
        self.turn_by(yaw);
        let from = self.state.agent;
        let steps = 45;
        self.wake_held();
        for i in 1..=steps {
            let t = i as f32 / steps as f32;
            let s = t * t * (3.0 - 2.0 * t);
            for k in 0..3 {
                self.state.agent.pelvis[k] = from.pelvis[k] + s * (pelvis[k] - from.pelvis[k]);
            }
            self.state.agent.tilt = from.tilt + s * (tilt - from.tilt);
            self.step();
        }
        self.state.agent.pelvis = pelvis;
        self.state.agent.tilt = tilt;
    }
}
