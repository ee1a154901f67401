//! Facts read back from poses, joints and contacts. The symbolic graph is never asked.

use libm::{atan2f, hypotf, remainderf};
use rapier3d::math::{Pose as Iso, Vector};

use super::build::shadow;
use super::navigation::{Footprint, contains};
use super::shape::Motion;
use super::{World, bounding, heading};
use crate::household::{EntityId, Fact, Hand, Kind, Place, Relation, State};
use crate::scenario::WALKER_RADIUS;

/// How far the agent reaches, from its body (a column of the walker's radius) to the nearest point of a thing,
/// horizontally, in meters: an arm and a lean.
pub const REACH: f32 = 1.0;
/// A thing rests on a surface when its lowest point is at most this far above or below it (meters).
const GAP: f32 = 0.02;
/// The agent faces what lies at most this far from straight ahead (radians), or what its line of sight meets.
const FACING: f32 = 0.4;
/// A front is open from this openness on, and closed up to the other.
const OPEN: f32 = 0.9;
const CLOSED: f32 = 0.02;

impl World {
    /// Whether a fact holds, as measured. Switches and cleanliness, which have no shape, are as the verbs left them.
    pub fn measure(&self, fact: Fact) -> bool {
        let agent = self.plan.house.agent();
        match fact {
            Fact::Is(id, State::Open) => self.openness(id).is_some_and(|o| o >= OPEN),
            Fact::Is(id, State::Closed) => self.openness(id).is_some_and(|o| o <= CLOSED),
            Fact::Is(id, State::Sitting) => id == agent && self.posture() == Posture::Sitting,
            Fact::Is(id, State::Lying) => id == agent && self.posture() == Posture::Lying,
            Fact::Is(id, state) => self.state.switched[id.0 as usize].has(state),
            Fact::Holds(a, Relation::On, b) => self.measure_place(a) == Place::On(b),
            Fact::Holds(a, Relation::Inside, b) => {
                let place = self.measure_place(a);
                place == Place::Inside(b) || place == Place::Room(b)
            }
            Fact::Holds(_, Relation::HoldsRh, b) => {
                self.measure_place(b) == Place::Hand(Hand::Right)
            }
            Fact::Holds(_, Relation::HoldsLh, b) => {
                self.measure_place(b) == Place::Hand(Hand::Left)
            }
            Fact::Holds(a, Relation::Close, b) => self.is_close(if a == agent { b } else { a }),
            Fact::Holds(_, Relation::Facing, b) => self.faces(b),
        }
    }

    /// Where an entity is, as measured: in the hand whose joint holds it; else on or in what bears it most closely; else on
    /// the floor of the room that its middle is in.
    pub fn measure_place(&self, id: EntityId) -> Place {
        let house = &self.plan.house;
        match house.entity(id).kind {
            Kind::Room | Kind::Door { .. } => return Place::Nowhere,
            Kind::Agent => {
                let seat = (self.posture() != Posture::Standing)
                    .then(|| self.seat_under())
                    .flatten();
                return seat.map_or_else(|| self.on_floor(id), Place::On);
            }
            Kind::Object(_) => {}
        }
        for (hand, held) in [Hand::Right, Hand::Left].into_iter().zip(self.state.held) {
            if let Some(held) = held
                && held.thing == id
                && self.state.impulse_joints.contains(held.joint)
            {
                return Place::Hand(hand);
            }
        }
        let mut best: Option<(f32, Place)> = None;
        for other in house.ids().filter(|o| *o != id) {
            if let Some((height, place)) = self.borne_by(id, other)
                && best.is_none_or(|b| height > b.0)
            {
                best = Some((height, place));
            }
        }
        best.map_or_else(|| self.on_floor(id), |b| b.1)
    }

    /// Whether an entity is within the agent's reach, in the same room.
    pub(super) fn is_close(&self, id: EntityId) -> bool {
        let at = self.state.agent.position();
        self.shares_room(id) && self.distance(id, at) <= REACH + WALKER_RADIUS
    }

    /// Horizontal distance from a point to the nearest point of an entity; 0 in a room for that room.
    pub(super) fn distance(&self, id: EntityId, from: [f32; 2]) -> f32 {
        match self.footprint(id) {
            Some(footprint) => footprint.distance(from),
            None => match self.plan.rooms.get(id.0 as usize) {
                Some(outline) if !contains(outline, from) => f32::INFINITY,
                _ => 0.0,
            },
        }
    }

    /// The rectangle an entity takes up on the floor plan; none for rooms.
    pub(super) fn footprint(&self, id: EntityId) -> Option<Footprint> {
        let thing = &self.plan.things[id.0 as usize];
        thing.footprint.or_else(|| {
            let body = thing.body?;
            let pose = self.state.bodies[body].position();
            Some(shadow(&bounding(thing.size), pose).0)
        })
    }

    /// The room of a point.
    pub(super) fn room_at(&self, point: [f32; 2]) -> Option<EntityId> {
        let index = self.plan.rooms.iter().position(|r| contains(r, point))?;
        Some(EntityId(index as u16))
    }

    /// How far an entity's front is open, 0 to 1, read from the pose of its body; none where there is no front.
    pub(super) fn openness(&self, id: EntityId) -> Option<f32> {
        let front = &self.plan.fronts[self.plan.things[id.0 as usize].front?];
        let moved = front.base.inv_mul(self.state.bodies[front.body].position());
        Some(match front.form.motion {
            Motion::Slide { by } => {
                let by = Vector::from(by);
                moved.translation.dot(by) / by.length_squared()
            }
            Motion::Hinge { axis, angle, .. } => {
                let q = moved.rotation;
                let turned = 2.0 * atan2f(Vector::new(q.x, q.y, q.z).dot(Vector::from(axis)), q.w);
                turned / angle
            }
        })
    }

    /// Pose of what bears the things inside an entity: its drawer, or itself.
    pub(super) fn inner_pose(&self, id: EntityId) -> Option<Iso> {
        let pose = self.pose(id)?;
        let Some(front) = self.plan.things[id.0 as usize].front else {
            return Some(pose);
        };
        let form = &self.plan.fronts[front].form;
        Some(match form.motion {
            Motion::Slide { .. } => pose * form.motion.at(self.state.openness[front]),
            Motion::Hinge { .. } => pose,
        })
    }

    /// Middle of the box around an entity.
    pub(super) fn center(&self, id: EntityId) -> Option<Vector> {
        let middle = Vector::new(0.0, 0.0, 0.5 * self.plan.things[id.0 as usize].size[2]);
        Some(self.pose(id)?.transform_point(middle))
    }

    fn shares_room(&self, id: EntityId) -> bool {
        let here = self.room_at(self.state.agent.position());
        match self.plan.house.entity(id).kind {
            Kind::Room => here == Some(id),
            Kind::Door { between } => here.is_some_and(|h| between.contains(&h)),
            Kind::Agent => true,
            Kind::Object(_) => {
                let room = self.center(id).and_then(|c| self.room_at([c.x, c.y]));
                self.is_held(id) || room == here
            }
        }
    }

    fn on_floor(&self, id: EntityId) -> Place {
        let at = if id == self.plan.house.agent() {
            Some(self.state.agent.position())
        } else {
            self.center(id).map(|c| [c.x, c.y])
        };
        at.and_then(|p| self.room_at(p))
            .map_or(Place::Nowhere, Place::Room)
    }

    /// Whether `id` rests on or lies in `other`, and how high the surface is that would bear it.
    fn borne_by(&self, id: EntityId, other: EntityId) -> Option<(f32, Place)> {
        let support = &self.plan.things[other.0 as usize];
        if support.surfaces.is_empty() && support.hollow.is_none() {
            return None;
        }
        let thing = &self.plan.things[id.0 as usize];
        let pose = self.pose(id)?;
        let center = self.center(id)?;
        let base = self.pose(other)?;
        let low = shadow(&bounding(thing.size), &pose).1[0];
        let inside = support.hollow.and_then(|[least, most]| {
            let inner = self.inner_pose(other)?;
            let at = inner.inverse_transform_point(center);
            let within = (0..3).all(|i| at[i] >= least[i] && at[i] <= most[i]);
            within.then(|| (inner.translation.z + least[2] + GAP, Place::Inside(other)))
        });
        let at = base.inverse_transform_point(center);
        let on = support.surfaces.iter().filter(|s| !s.inside).find_map(|s| {
            let z = base.translation.z + s.z;
            let over =
                (at.x - s.center[0]).abs() <= s.half[0] && (at.y - s.center[1]).abs() <= s.half[1];
            (over && (low - z).abs() <= GAP).then_some((z, Place::On(other)))
        });
        match (inside, on) {
            (Some(i), Some(o)) => Some(if o.0 >= i.0 { o } else { i }),
            (i, o) => i.or(o),
        }
    }

    fn faces(&self, id: EntityId) -> bool {
        let agent = &self.state.agent;
        let from = agent.position();
        let Some(footprint) = self.footprint(id) else {
            return self.distance(id, from) == 0.0;
        };
        let (dx, dy) = (footprint.center[0] - from[0], footprint.center[1] - from[1]);
        let away = hypotf(dx, dy);
        let off = remainderf(atan2f(dy, dx) - agent.gaze, 2.0 * std::f32::consts::PI).abs();
        if away < WALKER_RADIUS || off <= FACING {
            return self.shares_room(id);
        }
        // The line of sight meets what is wide.
        let [x, y] = heading(agent.gaze);
        let meets = |i: u8| {
            let t = f32::from(i) * 0.1;
            footprint.distance([from[0] + t * x, from[1] + t * y]) == 0.0
        };
        (1..=50).any(meets) && self.shares_room(id)
    }

    pub(super) fn posture(&self) -> Posture {
        let agent = &self.state.agent;
        let up = agent.pose().transform_vector(Vector::Z).z;
        if up < 0.5 {
            Posture::Lying
        } else if agent.pelvis[2] < super::PELVIS - 0.05 {
            Posture::Sitting
        } else {
            Posture::Standing
        }
    }

    /// What the agent sits or lies on: the seat face right below its pelvis.
    fn seat_under(&self) -> Option<EntityId> {
        let [x, y, z] = self.state.agent.pelvis;
        let mut best: Option<(f32, EntityId)> = None;
        for id in self.plan.house.ids() {
            let thing = &self.plan.things[id.0 as usize];
            let (Some(seat), Some(footprint), Some(pose)) =
                (thing.seat, thing.footprint, self.pose(id))
            else {
                continue;
            };
            let gap = z - (pose.translation.z + seat);
            if footprint.distance([x, y]) == 0.0
                && (0.0..=0.3).contains(&gap)
                && best.is_none_or(|b| gap < b.0)
            {
                best = Some((gap, id));
            }
        }
        best.map(|b| b.1)
    }
}

/// How the walker holds its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Posture {
    Standing,
    Sitting,
    Lying,
}
