//! What hands do: reach, take, carry, and put down on free spots found by queries on the real colliders.

use libm::hypotf;
use rapier3d::math::{Pose as Iso, Rotation, Vector};
use rapier3d::prelude::{Cuboid, FixedJointBuilder, QueryFilter};

use super::build::{LOOSE_GROUPS, NO_GROUPS, blocked_by};
use super::measure::{Posture, REACH};
use super::navigation::contains;
use super::shape::about;
use super::verbs::Failure;
use super::walking::{Promise, SLACK};
use super::{HANDS_AT_REST, Held, STEP_SECONDS, World, bounding, heading};
use crate::household::EntityId;
use crate::scenario::WALKER_RADIUS;

/// Mean speed of a hand (m/s).
const HAND_SPEED: f32 = 1.5;
/// How far a thing is let go above the surface (meters).
const RELEASE: f32 = 0.001;
/// Gap kept between a thing that is put down and what is there already, first choice and last (meters).
const GAPS: [f32; 2] = [0.015, 0.005];

impl World {
    pub(super) fn wake_held(&mut self) {
        for held in self.state.held.into_iter().flatten() {
            self.state
                .islands
                .wake_up(&mut self.state.bodies, held.body, true);
        }
    }

    /// The hand that holds a thing.
    pub(super) fn hand_of(&self, thing: EntityId) -> Result<usize, Failure> {
        self.state
            .held
            .iter()
            .position(|h| h.is_some_and(|h| h.thing == thing))
            .ok_or(Failure::NotHeld(thing))
    }

    /// Moves a hand to a point in the body's frame, starting and stopping gently.
    pub(super) fn move_hand(&mut self, hand: usize, to: [f32; 3]) {
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
    pub(super) fn in_body(&self, point: Vector) -> [f32; 3] {
        self.state
            .agent
            .pose()
            .inverse_transform_point(point)
            .into()
    }

    /// Reaches out to a thing and back.
    pub(super) fn touch(&mut self, id: EntityId) {
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
    pub(super) fn nearest_point(&self, id: EntityId) -> Vector {
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
    pub(super) fn grab(&mut self, thing: EntityId) -> Result<(), Failure> {
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
    pub(super) fn lift(&mut self, thing: EntityId) -> Result<(), Failure> {
        let hand = self.hand_of(thing)?;
        self.move_hand(hand, [0.2, 0.0, 1.45]);
        self.move_hand(hand, HANDS_AT_REST[hand]);
        Ok(())
    }

    /// Carries a held thing to a pose and lets go.
    pub(super) fn let_go(&mut self, thing: EntityId, pose: Iso) -> Result<(), Failure> {
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

impl World {
    pub(super) fn put(
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
    pub(super) fn stance_at(&mut self, spot: &Iso, promise: &Promise) -> Option<u32> {
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
    pub(super) fn free_spot(
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
    pub(super) fn is_free(&self, size: [f32; 3], pose: &Iso, gap: f32) -> bool {
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
    pub(super) fn drop_on_floor(&mut self, thing: EntityId) -> Result<(), Failure> {
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
                    contains(room_outline, corner)
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
