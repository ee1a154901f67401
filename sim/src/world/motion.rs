//! What can be watched of a world: which solids move as one, and where they were after each step.
//!
//! Watching is for people who look on. It changes no bit of what happens, and costs nothing while it is off.

use rapier3d::math::{Pose as Iso, Vector};
use rapier3d::prelude::{Collider, RigidBodyHandle};

use super::shape::about;
use super::{PartForm, World};
use crate::household::EntityId;
use crate::rapier_hand::HAND;

/// What moves as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mover {
    /// The agent's body, a thing, or the body of a piece of furniture.
    Entity(EntityId),
    /// The leaf, lid or drawer of an entity.
    Front(EntityId),
    /// One of the walker's own hands, right (0) or left (1), as points that it reaches with.
    Reach(u8),
    /// A link of a hand of muscles or motors, by its place among all such links in the house.
    Link(u16),
}

/// Where something is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Placed {
    /// What.
    pub mover: Mover,
    /// Position of its origin in the world, meters.
    pub position: [f32; 3],
    /// Rotation as a unit quaternion (x, y, z, w).
    pub rotation: [f32; 4],
}

/// What a step changed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Frame {
    /// Steps taken since the world's start, this one included.
    pub step: u64,
    /// Everything that is not where it was in the frame before; in the first frame, everything that can move.
    pub moved: Vec<Placed>,
}

/// Something to draw: convex solids that keep their places towards each other.
#[derive(Clone, Debug, PartialEq)]
pub struct Drawn {
    /// What it moves with.
    pub mover: Mover,
    /// Whether it ever moves.
    pub moves: bool,
    /// Position of its origin in the world, meters.
    pub position: [f32; 3],
    /// Rotation as a unit quaternion (x, y, z, w).
    pub rotation: [f32; 4],
    /// Its solids: form, position and rotation in its own frame. None for what has no shape of its own (the agent).
    pub solids: Vec<(PartForm, [f32; 3], [f32; 4])>,
}

/// What is kept while a world is watched.
#[derive(Debug)]
pub(super) struct Motion {
    movers: Vec<(Mover, Handle)>,
    /// Where each was in the last frame.
    last: Vec<Option<Iso>>,
    frames: Vec<Frame>,
}

/// How the pose of a mover is found.
#[derive(Clone, Copy, Debug)]
enum Handle {
    Agent,
    Reach(usize),
    Front(usize),
    Body(RigidBodyHandle),
}

impl World {
    /// From now on keeps what each step moves, until it is taken; or no longer.
    pub fn watch_motion(&mut self, on: bool) {
        self.motion = on.then(|| {
            let movers = self.movers();
            Motion {
                last: vec![None; movers.len()],
                frames: Vec::new(),
                movers,
            }
        });
        self.note_motion();
    }

    /// What has moved since the last time, one frame a step. The frames of all calls after [`World::watch_motion`] lead from
    /// one state to the next without a gap; the last frame is where everything is now. None while nothing is watched.
    pub fn take_motion(&mut self) -> Vec<Frame> {
        // What was put somewhere after the last step counts to that step.
        self.note_motion();
        self.motion
            .as_mut()
            .map(|motion| std::mem::take(&mut motion.frames))
            .unwrap_or_default()
    }

    /// Everything that there is to draw, where it is now, but walls and floors.
    pub fn drawn(&self) -> Vec<Drawn> {
        let mut drawn: Vec<Drawn> = Vec::new();
        let mut add = |mover, moves, pose: Iso, body: Option<RigidBodyHandle>| {
            let solids = body.map(|body| self.solids(body)).unwrap_or_default();
            drawn.push(Drawn {
                mover,
                moves,
                position: pose.translation.into(),
                rotation: pose.rotation.into(),
                solids,
            });
        };
        for id in self.plan.house.ids() {
            if let (Some(body), Some(pose)) = (self.plan.things[id.0 as usize].body, self.pose(id))
                && self.plan.loose.binary_search(&id).is_err()
            {
                add(Mover::Entity(id), false, pose, Some(body));
            }
        }
        for (mover, handle) in self.movers() {
            let body = match handle {
                Handle::Agent | Handle::Reach(_) => None,
                Handle::Front(front) => Some(self.plan.fronts[front].body),
                Handle::Body(body) => Some(body),
            };
            add(mover, true, self.pose_of(handle), body);
        }
        drawn
    }

    /// Keeps what is not where it was in the last frame.
    pub(super) fn note_motion(&mut self) {
        let Some(mut motion) = self.motion.take() else {
            return;
        };
        let mut moved = Vec::new();
        for ((mover, handle), last) in motion.movers.iter().zip(&mut motion.last) {
            let pose = self.pose_of(*handle);
            if *last != Some(pose) {
                *last = Some(pose);
                moved.push(Placed {
                    mover: *mover,
                    position: pose.translation.into(),
                    rotation: pose.rotation.into(),
                });
            }
        }
        let step = self.state.steps;
        let first = motion.frames.is_empty();
        match motion.frames.last_mut() {
            Some(frame) if frame.step == step => {
                frame
                    .moved
                    .retain(|old| moved.iter().all(|new| new.mover != old.mover));
                frame.moved.append(&mut moved);
            }
            _ if moved.is_empty() && first => {}
            _ => motion.frames.push(Frame { step, moved }),
        }
        self.motion = Some(motion);
    }

    /// Everything that can move, in a fixed order.
    fn movers(&self) -> Vec<(Mover, Handle)> {
        let plan = &self.plan;
        let mut movers = vec![(Mover::Entity(plan.house.agent()), Handle::Agent)];
        movers.extend([0, 1].map(|i| (Mover::Reach(i), Handle::Reach(usize::from(i)))));
        for id in &plan.loose {
            if let Some(body) = plan.things[id.0 as usize].body {
                movers.push((Mover::Entity(*id), Handle::Body(body)));
            }
        }
        for (i, front) in plan.fronts.iter().enumerate() {
            movers.push((Mover::Front(front.entity), Handle::Front(i)));
        }
        let links = self
            .state
            .bodies
            .iter()
            .filter(|(_, b)| b.user_data == HAND);
        for ((handle, _), i) in links.zip(0..) {
            movers.push((Mover::Link(i), Handle::Body(handle)));
        }
        movers
    }

    fn pose_of(&self, handle: Handle) -> Iso {
        match handle {
            Handle::Agent => self.state.agent.pose(),
            Handle::Reach(hand) => self.state.agent.hand_poses()[hand],
            Handle::Front(i) => {
                let front = &self.plan.fronts[i];
                front.base * front.form.motion.at(self.state.openness[i])
            }
            Handle::Body(body) => *self.state.bodies[body].position(),
        }
    }

    fn solids(&self, body: RigidBodyHandle) -> Vec<(PartForm, [f32; 3], [f32; 4])> {
        let colliders = self.state.bodies[body].colliders().iter();
        colliders
            .filter_map(|handle| {
                let collider = &self.state.colliders[*handle];
                let (form, own) = form_of(collider)?;
                let pose = *collider.position_wrt_parent()? * own;
                Some((form, pose.translation.into(), pose.rotation.into()))
            })
            .collect()
    }
}

/// What to draw of a collider: a form, upright, and where that is in the collider's frame. None for what has no end.
pub(super) fn form_of(collider: &Collider) -> Option<(PartForm, Iso)> {
    let shape = collider.shape();
    // Rapier's cylinders stand along y.
    let upright = Iso::from_parts(
        Vector::ZERO,
        about([1.0, 0.0, 0.0], -std::f32::consts::FRAC_PI_2),
    );
    if let Some(cuboid) = shape.as_cuboid() {
        Some((PartForm::Box(cuboid.half_extents.into()), Iso::IDENTITY))
    } else if let Some(cylinder) = shape.as_cylinder() {
        let form = PartForm::Cylinder(cylinder.half_height, cylinder.radius);
        Some((form, upright))
    } else if let Some(ball) = shape.as_ball() {
        Some((PartForm::Ball(ball.radius), Iso::IDENTITY))
    } else if let Some(capsule) = shape.as_capsule() {
        let (a, b) = (capsule.segment.a, capsule.segment.b);
        let along = rapier3d::math::Rotation::from_rotation_arc(
            Vector::Z,
            (b - a).try_normalize().unwrap_or(Vector::Z),
        );
        let form = PartForm::Capsule(0.5 * (b - a).length(), capsule.radius);
        Some((form, Iso::from_parts(0.5 * (a + b), along)))
    } else if shape.as_convex_polyhedron().is_some() {
        // Only ellipsoids are made into hulls, drawn out by 8 %.
        let around = shape.compute_local_aabb();
        let half = around.half_extents() / 1.08;
        let center = Iso::from_translation(around.center());
        Some((PartForm::Ellipsoid(half.into()), center))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::SeedableRng as _;

    use super::*;
    use crate::household::HouseAction;
    use crate::scenario::{Instance, load_text};
    use crate::world::carry_out;

    const KITCHEN: &str = r#"
schema = "habitus.scenario/1"
name = "Kitchen"
[[room]]
name = "kitchen"
corners = [[0.0, 0.0], [4.0, 0.0], [4.0, 4.0], [0.0, 4.0]]
[[object]]
class = "kitchen table"
at = [2.0, 2.0]
[[object]]
class = "kitchen drawer"
at = [0.5, 0.5]
[[object]]
class = "mug"
on = "kitchen table"
[[object]]
class = "knife"
inside = "kitchen drawer"
[[agent]]
body.walker = { room = "kitchen" }
"#;

    fn instance(text: &str) -> Instance {
        let loaded = load_text(text, "kitchen.toml").unwrap_or_else(|e| panic!("{e}"));
        loaded
            .instantiate(&mut ChaCha8Rng::seed_from_u64(0))
            .unwrap_or_else(|e| panic!("{e}"))
    }

    const VERBS: [&str; 6] = [
        "[WALK] <kitchen drawer>",
        "[OPEN] <kitchen drawer>",
        "[GRAB] <knife>",
        "[CLOSE] <kitchen drawer>",
        "[WALK] <kitchen table>",
        "[PUTBACK] <knife> <kitchen table>",
    ];

    #[test]
    fn watching_changes_no_bit_and_leads_from_each_state_to_the_next() {
        let instance = instance(KITCHEN);
        let run = |watched: bool| {
            let (mut graph, mut world) = (instance.start.clone(), World::new(&instance));
            assert!(world.take_motion().is_empty(), "off by default");
            world.watch_motion(watched);
            let mut at: BTreeMap<Mover, Placed> = BTreeMap::new();
            let (mut digests, mut frames) = (Vec::new(), 0);
            for line in VERBS {
                let before = world.steps();
                let action = HouseAction::parse(&instance.house, line).unwrap();
                carry_out(&mut graph, &mut world, &action).unwrap();
                digests.push(world.digest());
                let motion = world.take_motion();
                frames += motion.len();
                if watched {
                    let steps: Vec<u64> = motion.iter().map(|f| f.step).collect();
                    let first = if at.is_empty() { before } else { before + 1 };
                    let expected: Vec<u64> = (first..=world.steps()).collect();
                    assert_eq!(steps, expected, "{line}: one frame a step");
                }
                for placed in motion.into_iter().flat_map(|f| f.moved) {
                    at.insert(placed.mover, placed);
                }
                for drawn in world.drawn().iter().filter(|d| watched && d.moves) {
                    let placed = at[&drawn.mover];
                    assert_eq!(
                        (placed.position, placed.rotation),
                        (drawn.position, drawn.rotation),
                        "{line}: {:?}",
                        drawn.mover
                    );
                }
            }
            (digests, frames)
        };
        let ((watched, frames), (unwatched, none)) = (run(true), run(false));
        assert_eq!(watched, unwatched);
        assert!(frames > 60, "{frames}");
        assert_eq!(none, 0);
    }

    #[test]
    fn a_hand_is_drawn_link_by_link() {
        let hand = "[[agent]]\nbody.hand = { room = \"kitchen\", at = [1.6, 2.4, 1.2], model = \"myohand\" }\n";
        let mut world = World::new(&instance(&(KITCHEN.to_owned() + hand)));
        let links = |world: &World| -> Vec<Drawn> {
            let drawn = world.drawn().into_iter();
            drawn
                .filter(|d| matches!(d.mover, Mover::Link(_)))
                .collect()
        };
        let before = links(&world);
        let solids: usize = before.iter().map(|d| d.solids.len()).sum();
        assert!(solids >= 15, "{solids} solids");
        world.watch_motion(true);
        world.move_arm([0.0, 0.0, 0.2]).unwrap();
        world.wait(30);
        assert_eq!(world.take_motion().len(), 31);
        assert_ne!(links(&world), before);
    }
}
