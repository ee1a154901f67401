//! From an instance to Rapier: walls with doorways, furniture, fronts, loose things, and the walker.
//!
//! Fixed furniture and walls are fixed bodies of convex parts. **Fronts** (room doors, cabinet doors, drawers, lids) are
//! led along their hinge or slide exactly: they cannot jam, overshoot or leave their rails, whatever lies in the way.
//! A drawer collides with things at all times, and what lies in it is carried by friction and walls; the other fronts
//! collide with things only while closed, and pass through what is in their way while they swing. At rest every front is
//! a fixed body, so that what touches it can fall asleep; a moving drawer is stood in for by a kinematic twin, whose
//! velocity friction sees. (Changing the type of one body instead loses contacts of things that sleep on it.)

use std::sync::Arc;

use libm::{atan2f, cosf, hypotf, sinf};
use rapier3d::math::{Pose as Iso, Vector};
use rapier3d::prelude::{
    BroadPhaseBvh, CCDSolver, ColliderBuilder, ColliderHandle, ColliderSet, Group, ImpulseJointSet,
    InteractionGroups, InteractionTestMode, IslandManager, MultibodyJointSet, NarrowPhase,
    RigidBodyBuilder, RigidBodyHandle, RigidBodySet, SoftBodySet,
};

use super::navigation::{Footprint, Grid, HEADROOM, STEP};
use super::shape::{Form, FrontForm, Motion, Solid, about, form};
use super::{Agent, State};
use crate::catalogue::{Class, Shape, Surface};
use crate::household::{EntityId, House, State as Condition};
use crate::scenario::{
    DoorShape, Instance, Layout, Pose, WALKER_HEIGHT, WALKER_RADIUS, WALL_THICKNESS,
};

/// Height of a doorway and of its leaf (meters).
const DOOR_HEIGHT: f32 = 2.0;
/// Gap between the walker's collider and the space that the floor plan keeps free for it (meters): more than the distance
/// from which Rapier predicts contacts, so that a book at the table's edge sleeps on when someone stops beside it.
const GAP: f32 = 0.03;
/// Height of the walker's lowest point above the floor (meters).
const SOLE: f32 = STEP + GAP;
/// Thickness of a door leaf (meters).
const LEAF: f32 = 0.04;

const FIXED: Group = Group::GROUP_1;
const LOOSE: Group = Group::GROUP_2;
const FRONT: Group = Group::GROUP_3;
const WALKER: Group = Group::GROUP_4;

/// The parts of a hand, by what they touch of each other.
const HAND: Group = Group::from_bits_retain(0xffff_ff00);
/// What of a house a hand touches.
pub(super) const HAND_TOUCHES: Group = FIXED.union(LOOSE).union(FRONT);
/// What of a house a hand touches that the walker carries: what the walker touches.
pub(super) const CARRIED_HAND_TOUCHES: Group = LOOSE;

const fn groups(memberships: Group, filter: Group) -> InteractionGroups {
    InteractionGroups::new(memberships, filter, InteractionTestMode::And)
}

/// What a loose thing collides with.
pub(super) const LOOSE_GROUPS: InteractionGroups = groups(
    LOOSE,
    FIXED.union(LOOSE).union(FRONT).union(WALKER).union(HAND),
);
/// A drawer at any time, any front while closed.
pub(super) const FRONT_GROUPS: InteractionGroups = groups(FRONT, LOOSE.union(HAND));
/// The walker while it stands or walks.
pub(super) const WALKER_GROUPS: InteractionGroups = groups(WALKER, LOOSE);
/// What passes through everything: held things, open doors and lids, a seated walker.
pub(super) const NO_GROUPS: InteractionGroups = groups(Group::NONE, Group::NONE);
const FIXED_GROUPS: InteractionGroups = groups(FIXED, LOOSE.union(HAND));

/// One entity, as built.
#[derive(Clone, Debug, Default)]
pub(super) struct Thing {
    /// Its body; none for rooms and doors.
    pub(super) body: Option<RigidBodyHandle>,
    pub(super) size: [f32; 3],
    pub(super) surfaces: Vec<Surface>,
    /// Height of the face that one sits or lies on.
    pub(super) seat: Option<f32>,
    /// Lowest and highest corner of the hollow in it.
    pub(super) hollow: Option<[[f32; 3]; 2]>,
    /// Index of its front.
    pub(super) front: Option<usize>,
    /// Where it stands, or the doorway; of use for what is not loose.
    pub(super) footprint: Option<Footprint>,
}

/// A door leaf, cabinet door, drawer or lid.
#[derive(Clone, Debug)]
pub(super) struct Front {
    pub(super) entity: EntityId,
    pub(super) body: RigidBodyHandle,
    /// The kinematic twin of what carries things; disabled at rest.
    pub(super) mover: Option<RigidBodyHandle>,
    /// Pose of the entity's frame.
    pub(super) base: Iso,
    pub(super) form: FrontForm,
    /// Cells from which its sweep would touch the walker.
    pub(super) sweep: Vec<u32>,
}

/// Everything about a world that does not change while it runs.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) house: Arc<House>,
    /// One per entity.
    pub(super) things: Vec<Thing>,
    pub(super) fronts: Vec<Front>,
    /// Outline of each room, at its entity's index.
    pub(super) rooms: Vec<Vec<[f32; 2]>>,
    pub(super) walker: RigidBodyHandle,
    pub(super) hands: [RigidBodyHandle; 2],
    /// The loose things in order; the layer of the n-th is `fronts.len() + n`.
    pub(super) loose: Vec<EntityId>,
    /// Boxes of the walls, for drawing.
    pub(super) walls: Vec<([f32; 3], [f32; 3])>,
}

/// Pose of a class frame in the world.
pub(super) fn iso(pose: &Pose) -> Iso {
    Iso::from_parts(
        Vector::from(pose.position),
        about([0.0, 0.0, 1.0], pose.yaw),
    )
}

/// Floor rectangle and heights of a solid at a pose: exact when the pose is upright, else the box around it.
pub(super) fn shadow(solid: &Solid, pose: &Iso) -> (Footprint, [f32; 2]) {
    let q = pose.rotation;
    let center = pose.transform_point(Vector::from(solid.center()));
    let half = solid.half();
    if q.x.abs() < 1e-3 && q.y.abs() < 1e-3 {
        let footprint = Footprint {
            center: [center.x, center.y],
            half: [half[0], half[1]],
            yaw: 2.0 * atan2f(q.z, q.w),
        };
        return (footprint, [center.z - half[2], center.z + half[2]]);
    }
    let axes = [Vector::X, Vector::Y, Vector::Z].map(|axis| q * axis);
    let reach = |pick: fn(Vector) -> f32| -> f32 {
        axes.iter().zip(half).map(|(a, h)| pick(*a).abs() * h).sum()
    };
    let footprint = Footprint {
        center: [center.x, center.y],
        half: [reach(|a| a.x), reach(|a| a.y)],
        yaw: 0.0,
    };
    let up = reach(|a| a.z);
    (footprint, [center.z - up, center.z + up])
}

/// Cells where the walker would touch one of the solids.
pub(super) fn blocked_by(grid: &Grid, solids: &[Solid], pose: &Iso) -> Vec<u32> {
    let mut cells = Vec::new();
    for solid in solids {
        let (footprint, z) = shadow(solid, pose);
        if z[0] < HEADROOM && z[1] > STEP {
            cells.extend(grid.cells_near(&footprint, WALKER_RADIUS));
        }
    }
    cells.sort_unstable();
    cells.dedup();
    cells
}

/// The plan and the first, unsettled state of an instance's world.
pub(super) fn build(instance: &Instance) -> (Plan, State) {
    let house = Arc::clone(&instance.house);
    let layout = &instance.layout;
    let mut builder = Builder {
        bodies: RigidBodySet::new(),
        colliders: ColliderSet::new(),
    };
    let outlines: Vec<&[[f32; 2]]> = layout.rooms.iter().map(|r| &r.corners[..]).collect();
    let walls = builder.shell(layout);

    let mut things = vec![Thing::default(); house.len()];
    let mut fronts: Vec<Front> = Vec::new();
    let mut loose = Vec::new();
    let mut standing: Vec<(EntityId, Form)> = Vec::new();
    for id in house.ids() {
        let pose = &layout.poses[id.0 as usize];
        let Some(class) = house.class(id) else {
            continue;
        };
        let form = form(class);
        let body = if class.fixed {
            RigidBodyBuilder::fixed()
        } else {
            loose.push(id);
            // Rolling on a table ends soon: cloth, pile and dents stand behind these.
            let damping = match class.shape {
                Shape::Ball {} => 8.0,
                Shape::Cylinder {} => 2.0,
                _ => 1.0,
            };
            RigidBodyBuilder::dynamic()
                .linear_damping(0.1)
                .angular_damping(damping)
        };
        let body = builder
            .bodies
            .insert(body.pose(iso(pose)).user_data(u128::from(id.0)));
        let member = if class.fixed {
            FIXED_GROUPS
        } else {
            LOOSE_GROUPS
        };
        builder.solids(body, &form.solids, class.mass, member);
        let thing = &mut things[id.0 as usize];
        *thing = thing_of(class, body, pose);
        if let Some(front) = &form.front {
            thing.front = Some(fronts.len());
            fronts.push(builder.front(id, front.clone(), iso(pose)));
        }
        if class.fixed {
            standing.push((id, form));
        }
    }

    let doors = layout.doors.len();
    let mut grid = Grid::new(&outlines, fronts.len() + doors + loose.len());
    for (index, front) in fronts.iter().enumerate() {
        if !front.form.carries {
            grid.soften(index);
        }
    }
    for (low, high) in &walls {
        grid.block(&blocked_by(
            &grid,
            &[Solid::between(*low, *high)],
            &Iso::IDENTITY,
        ));
    }
    for (id, form) in &standing {
        let pose = iso(&layout.poses[id.0 as usize]);
        grid.block(&blocked_by(&grid, &form.solids, &pose));
    }
    for door in &layout.doors {
        let (base, form) = door_leaf(door, &layout.doors, &grid, &standing, layout);
        let thing = &mut things[door.door.0 as usize];
        thing.front = Some(fronts.len());
        thing.footprint = Some(doorway(door));
        let front = builder.front(door.door, form, base);
        // The next door should not open into this one.
        let index = fronts.len();
        grid.set_layer(
            index,
            blocked_by(
                &grid,
                &front.form.solids,
                &(base * front.form.motion.at(1.0)),
            ),
        );
        fronts.push(front);
    }
    for front in &mut fronts {
        let swept = (0..=8).flat_map(|i| {
            let pose = front.base * front.form.motion.at(i as f32 / 8.0);
            blocked_by(&grid, &front.form.solids, &pose)
        });
        front.sweep = swept.collect();
        front.sweep.sort_unstable();
        front.sweep.dedup();
    }

    let agent = Agent::standing(&layout.poses[house.agent().0 as usize]);
    let walker = builder.kinematic(agent.pose(), house.agent());
    builder.colliders.insert_with_parent(
        // It passes over plates and rugs.
        ColliderBuilder::capsule_z(
            0.5 * (WALKER_HEIGHT - SOLE) - (WALKER_RADIUS - GAP),
            WALKER_RADIUS - GAP,
        )
        .translation(Vector::new(0.0, 0.0, 0.5 * (WALKER_HEIGHT + SOLE)))
        .collision_groups(WALKER_GROUPS),
        walker,
        &mut builder.bodies,
    );
    let hands = agent
        .hand_poses()
        .map(|pose| builder.kinematic(pose, house.agent()));

    let openness: Vec<f32> = fronts
        .iter()
        .map(|f| f32::from(u8::from(instance.start.is(f.entity, Condition::Open))))
        .collect();
    let plan = Plan {
        things,
        fronts,
        rooms: layout.rooms.iter().map(|r| r.corners.clone()).collect(),
        walker,
        hands,
        loose,
        walls,
        house,
    };
    let state = State {
        rest: vec![None; plan.house.len()],
        switched: plan
            .house
            .ids()
            .map(|id| instance.start.states(id))
            .collect(),
        bodies: builder.bodies,
        colliders: builder.colliders,
        islands: IslandManager::new(),
        broad_phase: BroadPhaseBvh::default(),
        narrow_phase: NarrowPhase::new(),
        impulse_joints: ImpulseJointSet::new(),
        multibody_joints: MultibodyJointSet::new(),
        soft_bodies: SoftBodySet::new(),
        ccd_solver: CCDSolver::new(),
        hand: None,
        openness,
        held: [None; 2],
        agent,
        grid,
        steps: 0,
        incidents: 0,
        restless: 0,
    };
    (plan, state)
}

/// What is known about an object once its body is there.
fn thing_of(class: &Class, body: RigidBodyHandle, pose: &Pose) -> Thing {
    let [depth, width, height] = class.size;
    let seat = match class.shape {
        Shape::Seat { seat, .. } => seat,
        Shape::Bin { floor, .. } => floor,
        _ => height,
    };
    let hollow = |wall: f32, floor: f32, top: f32| {
        let (x, y) = (0.5 * depth - wall, 0.5 * width - wall);
        Some([[-x, -y, floor - 0.02], [x, y, top]])
    };
    Thing {
        body: Some(body),
        size: class.size,
        surfaces: class.surfaces(),
        seat: Some(seat),
        hollow: match class.shape {
            Shape::Bin { wall, floor } => hollow(wall, floor, height + 0.1),
            Shape::Cabinet {
                wall,
                floor,
                ceiling,
                ..
            } => hollow(wall, floor, ceiling),
            _ => None,
        },
        front: None,
        footprint: class.fixed.then(|| Footprint {
            center: [pose.position[0], pose.position[1]],
            half: [0.5 * depth, 0.5 * width],
            yaw: pose.yaw,
        }),
    }
}

/// The doorway's rectangle in the wall.
fn doorway(door: &DoorShape) -> Footprint {
    let (along, across) = (0.5 * door.width, 0.5 * WALL_THICKNESS);
    Footprint {
        center: door.at,
        half: if door.along_x {
            [along, across]
        } else {
            [across, along]
        },
        yaw: 0.0,
    }
}

/// Frame and leaf of a room door. Of the two hinges, two sides and two opening angles the one is taken that leaves most
/// floor free, above all before doorways, and does not open into furniture.
fn door_leaf(
    door: &DoorShape,
    doors: &[DoorShape],
    grid: &Grid,
    standing: &[(EntityId, Form)],
    layout: &Layout,
) -> (Iso, FrontForm) {
    // In the door's frame the wall runs along y.
    let yaw = if door.along_x {
        -std::f32::consts::FRAC_PI_2
    } else {
        0.0
    };
    let base = Iso::from_parts(
        Vector::new(door.at[0], door.at[1], 0.0),
        about([0.0, 0.0, 1.0], yaw),
    );
    let half = 0.5 * door.width - 0.01;
    let leaf = Solid::between(
        [-0.5 * LEAF, -half, 0.01],
        [0.5 * LEAF, half, DOOR_HEIGHT - 0.01],
    );
    let option = |hinge: f32, side: f32, angle: f32| FrontForm {
        solids: vec![leaf],
        motion: Motion::Hinge {
            origin: [
                side * (0.5 * WALL_THICKNESS + 0.5 * LEAF),
                hinge * half,
                0.0,
            ],
            axis: [0.0, 0.0, 1.0],
            angle: hinge * side * angle,
        },
        carries: false,
        radius: door.width,
    };
    let cost = |form: &FrontForm| {
        let pose = base * form.motion.at(1.0);
        let (open, z) = shadow(&leaf, &pose);
        let hits = standing.iter().filter(|(id, form)| {
            let at = iso(&layout.poses[id.0 as usize]);
            form.solids.iter().any(|s| {
                let (other, other_z) = shadow(s, &at);
                other_z[0] < z[1] && other_z[1] > z[0] && overlap(&open, &other)
            })
        });
        let floor: f32 = grid
            .cells_near(&open, WALKER_RADIUS)
            .into_iter()
            .filter(|c| grid.free(*c))
            .map(|c| {
                let p = grid.middle(c);
                let near = doors
                    .iter()
                    .any(|d| hypotf(p[0] - d.at[0], p[1] - d.at[1]) < 0.5);
                if near { 6.0 } else { 1.0 }
            })
            .sum();
        let into_wall = if grid.room_at(open.center) == super::navigation::OUTSIDE {
            1.0e6
        } else {
            0.0
        };
        1.0e4 * hits.count() as f32 + floor + into_wall
    };
    let mut best: Option<(f32, FrontForm)> = None;
    for angle in [1.57, 3.0] {
        for hinge in [1.0, -1.0] {
            for side in [1.0, -1.0] {
                let form = option(hinge, side, angle);
                let cost = cost(&form);
                if best.as_ref().is_none_or(|b| cost < b.0) {
                    best = Some((cost, form));
                }
            }
        }
    }
    let (_, form) = best.expect("eight options were weighed");
    (base, form)
}

/// Whether two rectangles overlap, by the separating axis theorem.
fn overlap(a: &Footprint, b: &Footprint) -> bool {
    let axes = |f: &Footprint| {
        let (s, c) = (sinf(f.yaw), cosf(f.yaw));
        [[c, s], [-s, c]]
    };
    let dot = |u: [f32; 2], v: [f32; 2]| u[0] * v[0] + u[1] * v[1];
    let between = [b.center[0] - a.center[0], b.center[1] - a.center[1]];
    let (of_a, of_b) = (axes(a), axes(b));
    let reach = |f: &Footprint, own: &[[f32; 2]; 2], axis| {
        f.half[0] * dot(own[0], axis).abs() + f.half[1] * dot(own[1], axis).abs()
    };
    of_a.iter()
        .chain(&of_b)
        .all(|axis| dot(between, *axis).abs() < reach(a, &of_a, *axis) + reach(b, &of_b, *axis))
}

struct Builder {
    bodies: RigidBodySet,
    colliders: ColliderSet,
}

impl Builder {
    fn kinematic(&mut self, pose: Iso, id: EntityId) -> RigidBodyHandle {
        self.bodies.insert(
            RigidBodyBuilder::kinematic_position_based()
                .pose(pose)
                .user_data(u128::from(id.0)),
        )
    }

    fn solids(
        &mut self,
        body: RigidBodyHandle,
        solids: &[Solid],
        mass: f32,
        groups: InteractionGroups,
    ) {
        let volume: f32 = solids.iter().map(Solid::volume).sum();
        for solid in solids {
            self.solid(Some(body), solid, mass * solid.volume() / volume, groups);
        }
    }

    fn solid(
        &mut self,
        body: Option<RigidBodyHandle>,
        solid: &Solid,
        mass: f32,
        groups: InteractionGroups,
    ) -> ColliderHandle {
        let center = Vector::from(solid.center());
        let (shape, rotation) = match *solid {
            Solid::Box { half, .. } => (
                ColliderBuilder::cuboid(half[0], half[1], half[2]),
                rapier3d::math::Rotation::IDENTITY,
            ),
            // Rapier's cylinders stand along y.
            Solid::Cylinder {
                half_height,
                radius,
                ..
            } => (
                ColliderBuilder::cylinder(half_height, radius),
                about([1.0, 0.0, 0.0], std::f32::consts::FRAC_PI_2),
            ),
            Solid::Ball { radius, .. } => (
                ColliderBuilder::ball(radius),
                rapier3d::math::Rotation::IDENTITY,
            ),
        };
        let collider = shape
            .position(Iso::from_parts(center, rotation))
            .mass(mass)
            .friction(0.7)
            .restitution(0.0)
            .collision_groups(groups);
        match body {
            Some(body) => self
                .colliders
                .insert_with_parent(collider, body, &mut self.bodies),
            None => self.colliders.insert(collider),
        }
    }

    /// A front in its closed pose.
    fn front(&mut self, entity: EntityId, form: FrontForm, base: Iso) -> Front {
        let body = self.bodies.insert(
            RigidBodyBuilder::fixed()
                .pose(base)
                .user_data(u128::from(entity.0)),
        );
        self.solids(body, &form.solids, 1.0, FRONT_GROUPS);
        let mover = form.carries.then(|| {
            let mover = self.kinematic(base, entity);
            self.solids(mover, &form.solids, 1.0, FRONT_GROUPS);
            self.bodies[mover].set_enabled(false);
            mover
        });
        Front {
            entity,
            body,
            mover,
            base,
            form,
            sweep: Vec::new(),
        }
    }

    /// Floor and walls; returns the boxes of the walls as (lowest, highest corner).
    fn shell(&mut self, layout: &Layout) -> Vec<([f32; 3], [f32; 3])> {
        let corners = || layout.rooms.iter().flat_map(|r| r.corners.iter());
        let low = corners().fold([f32::MAX; 2], |m, c| [m[0].min(c[0]), m[1].min(c[1])]);
        let high = corners().fold([f32::MIN; 2], |m, c| [m[0].max(c[0]), m[1].max(c[1])]);
        let floor = Solid::between(
            [low[0] - 1.0, low[1] - 1.0, -0.5],
            [high[0] + 1.0, high[1] + 1.0, 0.0],
        );
        self.solid(None, &floor, 1.0, FIXED_GROUPS);
        let walls = walls(layout);
        for (low, high) in &walls {
            self.solid(None, &Solid::between(*low, *high), 1.0, FIXED_GROUPS);
        }
        walls
    }
}

/// Boxes of all walls: each stretch that one or two rooms share once, doorways cut out up to their lintel.
fn walls(layout: &Layout) -> Vec<([f32; 3], [f32; 3])> {
    // Edges by the line they lie on: (runs along x, coordinate of the line in millimeters).
    let mut lines: std::collections::BTreeMap<(bool, i32), Vec<([f32; 2], f32)>> =
        std::collections::BTreeMap::new();
    for room in &layout.rooms {
        let next = room.corners.iter().cycle().skip(1);
        for (a, b) in room.corners.iter().zip(next) {
            let along_x = (a[1] - b[1]).abs() < (a[0] - b[0]).abs();
            let (at, across) = if along_x { (0, 1) } else { (1, 0) };
            let line = libm::roundf(a[across] * 1000.0) as i32;
            let span = [a[at].min(b[at]), a[at].max(b[at])];
            lines
                .entry((along_x, line))
                .or_default()
                .push((span, room.height));
        }
    }
    let half = 0.5 * WALL_THICKNESS;
    let mut boxes = Vec::new();
    for ((along_x, line), mut spans) in lines {
        let across = line as f32 / 1000.0;
        let mut push = |from: f32, to: f32, z: [f32; 2]| {
            if to - from > 1e-4 && z[1] - z[0] > 1e-4 {
                boxes.push(if along_x {
                    ([from, across - half, z[0]], [to, across + half, z[1]])
                } else {
                    ([across - half, from, z[0]], [across + half, to, z[1]])
                });
            }
        };
        // Spans that touch or overlap become one wall.
        spans.sort_by(|a, b| a.0[0].total_cmp(&b.0[0]));
        let mut merged: Vec<([f32; 2], f32)> = Vec::new();
        for (span, height) in spans {
            match merged.last_mut() {
                Some((last, top)) if span[0] <= last[1] + 1e-3 => {
                    last[1] = last[1].max(span[1]);
                    *top = top.max(height);
                }
                _ => merged.push((span, height)),
            }
        }
        let mut holes: Vec<[f32; 2]> = layout
            .doors
            .iter()
            .filter(|d| {
                let d_across = if along_x { d.at[1] } else { d.at[0] };
                d.along_x == along_x && (d_across - across).abs() < half
            })
            .map(|d| {
                let at = if along_x { d.at[0] } else { d.at[1] };
                [at - 0.5 * d.width, at + 0.5 * d.width]
            })
            .collect();
        holes.sort_by(|a, b| a[0].total_cmp(&b[0]));
        for (span, height) in merged {
            // Walls meet at corners: each reaches half a thickness beyond its end.
            let mut from = span[0] - half;
            for hole in holes.iter().filter(|h| h[0] > span[0] && h[1] < span[1]) {
                push(from, hole[0], [0.0, height]);
                push(hole[0], hole[1], [DOOR_HEIGHT.min(height), height]);
                from = hole[1];
            }
            push(from, span[1] + half, [0.0, height]);
        }
    }
    boxes
}
