//! Doors, drawers and lids in motion.

use std::sync::Arc;

use libm::sqrtf;

use super::build::{FRONT_GROUPS, NO_GROUPS, blocked_by};
use super::measure::Posture;
use super::verbs::Failure;
use super::walking::Promise;
use super::{STEP_SECONDS, World};
use crate::household::EntityId;

/// Mean speed of a door's edge (m/s).
const SWING_SPEED: f32 = 1.0;
/// Greatest acceleration of a drawer (m/s²): a bottle four times as tall as wide stays upright at 2.4.
const DRAWER_ACCELERATION: f32 = 1.2;

impl World {
    /// Opens or closes a door, drawer or lid with a free hand's reach. The agent first steps out of the way.
    pub(super) fn swing(
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
    pub(super) fn make_way(
        &mut self,
        id: EntityId,
        index: usize,
        promise: &Promise,
        path: &mut Vec<[f32; 2]>,
    ) -> Result<(), Failure> {
        let plan = Arc::clone(&self.plan);
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
    pub(super) fn drive(&mut self, index: usize, to: f32) {
        let plan = Arc::clone(&self.plan);
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
    pub(super) fn wake_inside(&mut self, id: EntityId) {
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
