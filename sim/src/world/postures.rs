//! Sitting, lying and getting up.

use libm::atan2f;
use rapier3d::math::Vector;

use super::build::{NO_GROUPS, WALKER_GROUPS};
use super::measure::Posture;
use super::verbs::Failure;
use super::walking::Promise;
use super::{PELVIS, World, heading};
use crate::household::EntityId;

impl World {
    pub(super) fn sit(
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

    pub(super) fn lie(
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

    pub(super) fn stand_up(&mut self, path: &mut Vec<[f32; 2]>) -> Result<(), Failure> {
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
    pub(super) fn settle_body(&mut self, pelvis: [f32; 3], yaw: f32, tilt: f32) {
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
            let (a, b) = (Vector::from(from.pelvis), Vector::from(pelvis));
            self.state.agent.pelvis = (a + (b - a) * s).into();
            self.state.agent.tilt = from.tilt + s * (tilt - from.tilt);
            self.step();
        }
        self.state.agent.pelvis = pelvis;
        self.state.agent.tilt = tilt;
    }
}
