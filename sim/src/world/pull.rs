//! A person's hand in the world: a spring from a thing to a point.

use rapier3d::math::Vector;

use super::World;
use crate::household::EntityId;

/// How fast a thing follows the point that it is pulled to, in turns per second: at 2, it is there after a quarter of a second.
const FREQUENCY: f32 = 2.0;
/// The strongest pull, as an acceleration (m/s²): what is caught under a table top does not tear through it.
const STRONGEST: f32 = 60.0;

impl World {
    /// One step in which a spring pulls the middle of a loose thing to a point (meters). Whether it could: what is fixed or in
    /// a hand cannot be pulled, and then no time passes. [`World::come_to_rest`] ends pulling.
    pub fn pull(&mut self, id: EntityId, to: [f32; 3]) -> bool {
        let finite = to.iter().all(|x| x.is_finite());
        if !finite || self.is_held(id) || self.plan.loose.binary_search(&id).is_err() {
            return false;
        }
        let (Some(body), Some(center)) = (self.plan.things[id.0 as usize].body, self.center(id))
        else {
            return false;
        };
        let stiffness = (2.0 * std::f32::consts::PI * FREQUENCY).powi(2);
        let damping = 2.0 * 2.0 * std::f32::consts::PI * FREQUENCY;
        let body = &mut self.state.bodies[body];
        let wanted = (Vector::from(to) - center) * stiffness - body.linvel() * damping;
        let acceleration = wanted.clamp_length_max(STRONGEST) + Vector::new(0.0, 0.0, 9.81);
        // As a change of velocity: forces stay until they are taken off.
        body.set_linvel(body.linvel() + acceleration * super::STEP_SECONDS, true);
        self.step();
        true
    }

    /// Lets everything come to rest; which things were awake since the last time and are in no hand.
    pub fn come_to_rest(&mut self) -> Vec<EntityId> {
        self.settle()
    }
}
