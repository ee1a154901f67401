//! Where to stand to use something, and the way there.

use libm::{atan2f, hypotf, remainderf};

use super::build::Front;
use super::measure::{Posture, REACH};
use super::verbs::Failure;
use super::{STEP_SECONDS, World};
use crate::household::{EntityId, Hand, HouseGraph, Kind, Place};
use crate::scenario::WALKER_RADIUS;

/// Walking speed (m/s).
const WALK_SPEED: f32 = 1.4;
/// Turning speed (rad/s).
const TURN_SPEED: f32 = 4.0;
/// A stance is kept this much nearer than the reach, so that arriving is enough (meters).
pub(super) const SLACK: f32 = 0.05;

/// What a verb promises about where the agent stands afterwards.
pub(super) struct Promise {
    pub(super) room: EntityId,
    /// What should be within reach, without what is held.
    pub(super) close: Vec<EntityId>,
    /// What lies directly on or in something, for finding what stands around a thing that is shut in.
    pub(super) around: Vec<Option<EntityId>>,
    pub(super) facing: Option<EntityId>,
}

impl Promise {
    pub(super) fn of(after: &HouseGraph) -> Self {
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
    pub(super) fn goal(&self, id: EntityId) -> EntityId {
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
    pub(super) fn go_to(
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
    pub(super) fn come_near(
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
    pub(super) fn stance(
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
    pub(super) fn stance_in_room(&self, room: EntityId, region: u16) -> Result<u32, Failure> {
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
            let swept = |f: &Front| f.sweep.binary_search(&cell).is_ok();
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
    pub(super) fn walk(&mut self, goal: u32, path: &mut Vec<[f32; 2]>) -> Option<()> {
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
    pub(super) fn walk_straight(&mut self, to: [f32; 2]) {
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
    pub(super) fn turn_to(&mut self, id: EntityId) {
        let at = match (self.footprint(id), self.center(id)) {
            (_, Some(c)) if self.plan.things[id.0 as usize].body.is_some() => [c.x, c.y],
            (Some(footprint), _) => footprint.center,
            _ => return,
        };
        self.turn_towards(at, !self.is_held(id));
    }

    /// Looks at a point, turning the body too where it is free to turn.
    pub(super) fn turn_towards(&mut self, at: [f32; 2], body: bool) {
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

    pub(super) fn turn_by(&mut self, yaw: f32) {
        self.wake_held();
        while self.state.agent.yaw != yaw {
            self.state.agent.yaw = turned(self.state.agent.yaw, yaw);
            self.state.agent.gaze = self.state.agent.yaw;
            self.step();
        }
    }

    /// Turns back to what the symbols say is faced.
    pub(super) fn face_again(&mut self, promise: &Promise) {
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
