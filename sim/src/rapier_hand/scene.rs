//! One world of a scene of crate `hand`, stepped by Rapier.

use hand::batch::{ObjectState, Reading, WorldState};
use hand::kernel::{Kernel, Pose, PoseError};
use hand::model::{Contact, Model};
use hand::scene::{Primitive, Scene};
use rapier3d::math::{Pose as Iso, Rotation, Vector};
use rapier3d::prelude::{
    BroadPhaseBvh, CCDSolver, ColliderSet, ImpulseJointSet, IntegrationParameters, IslandManager,
    MassProperties, MultibodyJointSet, NarrowPhase, PhysicsPipeline, RigidBodyBuilder,
    RigidBodyHandle, RigidBodySet, SoftBodySet, SpringCoefficients,
};

use super::build::{Base, Sets, Takes, collider};
use super::groups::{assign, branches, fit, may_touch};
use super::{HandError, RapierHand, parameters, softness, vector};

/// A hand, free objects and what stands still, in Rapier.
///
/// ```
/// use hand::model::{self, ParameterSet};
/// use hand::scene::{Options, Scene};
/// use sim::rapier_hand::HandScene;
///
/// let model = model::load_text(hand::MYOHAND, "myohand.toml")?;
/// let scene = Scene { model, parameters: ParameterSet::Calibrated, objects: vec![], fixed: vec![], options: Options::default() };
/// let mut world = HandScene::new(&scene)?;
/// world.set_controls(&[0.2; 39])?;
/// world.step(10);
/// assert!(!world.has_diverged());
/// println!("{:?}", world.state().qpos);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct HandScene {
    state: State,
    parameters: IntegrationParameters,
    gravity: Vector,
    max_speed: f64,
    /// The branch of each link, as in [`branches`].
    branches: Vec<usize>,
    /// Watched sites: a body of the model, and a place on it.
    sites: Vec<(String, [f64; 3])>,
    /// Working memory; never decides what happens.
    pipeline: PhysicsPipeline,
}

/// Everything that changes.
#[derive(Clone)]
struct State {
    hand: RapierHand,
    objects: Vec<RigidBodyHandle>,
    bodies: RigidBodySet,
    colliders: ColliderSet,
    islands: IslandManager,
    broad_phase: BroadPhaseBvh,
    narrow_phase: NarrowPhase,
    impulse_joints: ImpulseJointSet,
    multibody_joints: MultibodyJointSet,
    soft_bodies: SoftBodySet,
    ccd_solver: CCDSolver,
    diverged: bool,
}

/// A copy of everything that changes in a [`HandScene`].
#[derive(Clone)]
pub struct HandSnapshot(Box<State>);

impl HandScene {
    /// The scene with all joints at 0 and all objects at the origin. `options.iterations` counts for the batch solver only.
    ///
    /// # Errors
    /// When a shape or object cannot be, or there are too many kinds of parts for Rapier's collision groups.
    pub fn new(scene: &Scene) -> Result<Self, HandError> {
        let kernel = Kernel::new(&scene.model, scene.parameters);
        let (mut bodies, mut colliders) = (RigidBodySet::new(), ColliderSet::new());
        let mut multibody_joints = MultibodyJointSet::new();
        let parts = Parts::of(scene, &kernel);
        let (groups, contact) = (parts.groups()?, parts.softness());
        let (own, others) = groups.split_at(kernel.shapes().len());
        let takes = Takes {
            limits: scene.options.limits,
            contacts: scene.options.contacts,
        };
        let mut sets = Sets {
            bodies: &mut bodies,
            colliders: &mut colliders,
            joints: &mut multibody_joints,
        };
        let hand = RapierHand::insert(
            &mut sets,
            &scene.model,
            kernel,
            Base::Fixed(Iso::IDENTITY),
            own,
            takes,
        )?;
        let mut objects = Vec::new();
        let mut others = others.iter();
        let ground = bodies.insert(RigidBodyBuilder::fixed());
        let things = scene.objects.iter().map(|o| (Some(o), &o.shapes));
        for (object, shapes) in things.chain([(None, &scene.fixed)]) {
            let (body, owner) = match object {
                Some(object) => {
                    object.check()?;
                    let body = RigidBodyBuilder::dynamic()
                        .can_sleep(false)
                        .additional_mass_properties(MassProperties::new(
                            Vector::ZERO,
                            object.mass as f32,
                            vector(object.inertia),
                        ));
                    let body = bodies.insert(body);
                    objects.push(body);
                    (body, object.name.as_str())
                }
                None => (ground, "what stands still"),
            };
            for (i, (shape, groups)) in shapes.iter().zip(&mut others).enumerate() {
                let pose = Iso::from_parts(vector(shape.pos), of_quat(&shape.quat));
                let built = collider(shape.kind, shape.size, &pose, &shape.contact, *groups);
                let built = built.ok_or_else(|| HandError::Shape {
                    owner: owner.to_owned(),
                    index: i,
                })?;
                if scene.options.contacts {
                    colliders.insert_with_parent(built, body, &mut bodies);
                }
            }
            bodies[body].recompute_mass_properties_from_colliders(&colliders);
        }
        Ok(Self {
            parameters: at_hand(parameters(scene.options.timestep as f32, contact)),
            gravity: vector(scene.model.gravity),
            max_speed: scene.options.max_speed,
            branches: branches(&hand.kernel().links()),
            sites: Vec::new(),
            pipeline: PhysicsPipeline::new(),
            state: State {
                hand,
                objects,
                bodies,
                colliders,
                islands: IslandManager::new(),
                broad_phase: BroadPhaseBvh::default(),
                narrow_phase: NarrowPhase::new(),
                impulse_joints: ImpulseJointSet::new(),
                multibody_joints,
                soft_bodies: SoftBodySet::new(),
                ccd_solver: CCDSolver::new(),
                diverged: false,
            },
        })
    }

    /// Names of joints and muscles, and what muscles do in a pose.
    pub fn kernel(&self) -> &Kernel {
        self.state.hand.kernel()
    }

    /// How many controls there are: muscles, then torque actuators, then position actuators.
    pub fn n_controls(&self) -> usize {
        self.state.hand.n_controls()
    }

    /// Steps `n` times, of the scene's time step each. A world that diverged stands still until it is set again.
    pub fn step(&mut self, n: usize) {
        let dt = f64::from(self.parameters.dt);
        for _ in 0..n {
            let state = &mut self.state;
            let driven = state
                .hand
                .drive(&mut state.bodies, &mut state.multibody_joints, dt);
            if state.diverged || driven.is_err() {
                state.diverged = true;
                return;
            }
            self.pipeline.step(
                self.gravity,
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
            let strayed = !self.pipeline.quarantine().is_empty() || self.is_too_fast();
            self.state.diverged = strayed;
        }
    }

    /// Sets excitations of muscles in [0, 1], then controls of motors; they hold until they are set again.
    ///
    /// # Errors
    /// When there are more or fewer than the model has, or one is not finite.
    pub fn set_controls(&mut self, controls: &[f32]) -> Result<(), HandError> {
        let controls: Vec<f64> = controls.iter().copied().map(f64::from).collect();
        self.state.hand.set_controls(&controls)
    }

    /// Where everything is.
    pub fn state(&self) -> WorldState {
        let state = &self.state;
        let single = |list: Vec<f64>| list.into_iter().map(|x| x as f32).collect();
        WorldState {
            qpos: single(state.hand.qpos(&state.multibody_joints)),
            qvel: single(state.hand.qvel(&state.multibody_joints)),
            act: single(state.hand.act().to_vec()),
            objects: state.objects.iter().map(|o| state.object(*o)).collect(),
        }
    }

    /// The branch of the body that a joint moves, as counted in [`Reading::Touch`]: links that follow each other without a
    /// fork, such as those of a finger.
    pub fn branch(&self, joint: usize) -> usize {
        let links = self.kernel().links();
        let link = links.iter().position(|link| link.joints.contains(&joint));
        link.map_or(0, |link| self.branches[link].saturating_sub(1))
    }

    /// From now on [`Reading::Sites`] has these sites of the scene's model.
    ///
    /// # Errors
    /// When the model has no such site.
    pub fn watch(&mut self, model: &Model, sites: &[&str]) -> Result<(), HandError> {
        let found = |name: &&str| {
            let site = model.site.iter().find(|s| s.name == *name);
            let place = site.map(|site| (site.body.clone(), site.pos));
            place.ok_or_else(|| HandError::Site((*name).to_owned()))
        };
        self.sites = sites.iter().map(found).collect::<Result<_, _>>()?;
        Ok(())
    }

    /// Copies a list of numbers, as far as it fits: as [`hand::batch::Batch::read`], but lengths and tensions of tendons are
    /// those of the state as it is. What is not finite in a world that diverged is read as 0.
    pub fn read(&self, what: Reading, to: &mut [f32]) {
        let list = match what {
            Reading::Angles => self.qpos(),
            Reading::Velocities => self.state.hand.qvel(&self.state.multibody_joints),
            Reading::Activations => self.state.hand.act().to_vec(),
            Reading::Lengths => self.kernel().lengths(&self.qpos()),
            Reading::Tensions => self.tensions(),
            Reading::Touch => self.touch(),
            Reading::Sites => self.places(),
            Reading::Object(index) => self.numbers_of_object(index),
        };
        for (to, x) in to.iter_mut().zip(list) {
            *to = if x.is_finite() { x as f32 } else { 0.0 };
        }
    }

    /// Bits of everything that decides what follows, in a fixed order, for a digest.
    pub fn bits(&self) -> Vec<u32> {
        self.state.bits()
    }

    /// Puts everything elsewhere; a world that diverged goes on.
    ///
    /// # Errors
    /// When the state has other numbers of joints, muscles or objects than the scene, or a number is not finite.
    pub fn set_state(&mut self, to: &WorldState) -> Result<(), HandError> {
        let state = &mut self.state;
        if to.objects.len() != state.objects.len() {
            let error = PoseError::Count {
                field: "objects",
                found: to.objects.len(),
                expected: state.objects.len(),
            };
            return Err(error.into());
        }
        for (index, o) in to.objects.iter().enumerate() {
            let mut numbers = o
                .pos
                .iter()
                .chain(&o.quat)
                .chain(&o.velocity)
                .chain(&o.spin);
            if !numbers.all(|x| x.is_finite()) {
                let field = "objects";
                return Err(PoseError::NotFinite { field, index }.into());
            }
        }
        let double = |list: &[f32]| list.iter().copied().map(f64::from).collect::<Vec<_>>();
        state.hand.set_state(
            &mut state.bodies,
            &mut state.multibody_joints,
            &double(&to.qpos),
            &double(&to.qvel),
            &double(&to.act),
        )?;
        for (handle, object) in state.objects.iter().zip(&to.objects) {
            let turn = of_quat(&object.quat.map(f64::from));
            let body = &mut state.bodies[*handle];
            // A body that Rapier put aside for not being finite.
            body.set_enabled(true);
            body.set_position(Iso::from_parts(Vector::from(object.pos), turn), true);
            body.set_linvel(Vector::from(object.velocity), true);
            body.set_angvel(turn * Vector::from(object.spin), true);
        }
        state.diverged = false;
        Ok(())
    }

    /// Whether anything was not finite or faster than `options.max_speed`.
    pub fn has_diverged(&self) -> bool {
        self.state.diverged
    }

    /// A copy of everything that changes.
    pub fn snapshot(&self) -> HandSnapshot {
        HandSnapshot(Box::new(self.state.clone()))
    }

    /// Goes back to a snapshot of this scene, or of another made of the same description. What follows is the same to the bit as what followed the snapshot.
    pub fn restore(&mut self, snapshot: &HandSnapshot) {
        self.state = (*snapshot.0).clone();
        self.pipeline = PhysicsPipeline::new();
    }

    /// Joint angles; 0 where they are not finite (n_joints).
    fn qpos(&self) -> Vec<f64> {
        let qpos = self.state.hand.qpos(&self.state.multibody_joints);
        let finite = |q: f64| if q.is_finite() { q } else { 0.0 };
        qpos.into_iter().map(finite).collect()
    }

    /// How strong each muscle pulls, in newtons (n_muscles).
    fn tensions(&self) -> Vec<f64> {
        let pose = Pose {
            qpos: self.qpos(),
            qvel: self.state.hand.qvel(&self.state.multibody_joints),
            act: self.state.hand.act().to_vec(),
        };
        let answer = self.kernel().evaluate(&pose);
        answer.map_or_else(|_| vec![0.0; pose.act.len()], |answer| answer.tensions)
    }

    /// Normal forces on each branch in the last step, in newtons, summed over its contacts (n_branches).
    fn touch(&self) -> Vec<f64> {
        let state = &self.state;
        let mut forces = vec![0.0; self.branches.iter().copied().max().unwrap_or(0)];
        for pair in state.narrow_phase.contact_pairs() {
            let manifolds = pair.solver_manifolds().iter();
            let impulses = manifolds.flat_map(|manifold| {
                // Points that are not among those solved keep the impulse that they had last.
                let solved = manifold.data.solver_contacts.iter();
                let points = solved.flat_map(|contact| contact.contact_indices());
                points.filter_map(|i| Some(manifold.points.get(i as usize)?.data.impulse))
            });
            let force = f64::from(impulses.sum::<f32>() / self.parameters.dt);
            for collider in [pair.collider1, pair.collider2] {
                let body = state.colliders.get(collider).and_then(|c| c.parent());
                let link = body.and_then(|body| state.hand.link(body));
                if let Some(branch) = link.and_then(|l| self.branches[l].checked_sub(1)) {
                    forces[branch] += force;
                }
            }
        }
        forces
    }

    /// Places of watched sites in metres (3 × n_sites).
    fn places(&self) -> Vec<f64> {
        let qpos = self.qpos();
        let place = |(body, at): &(String, [f64; 3])| {
            let Some(pose) = self.kernel().body(body, &qpos) else {
                return [0.0; 3]; // only a site of another model
            };
            [0, 1, 2].map(|i| pose.pos[i] + (0..3).map(|k| pose.turn[i][k] * at[k]).sum::<f64>())
        };
        self.sites.iter().flat_map(place).collect()
    }

    /// An object's place, quaternion, velocity and spin (13); none if there is no such object.
    fn numbers_of_object(&self, index: usize) -> Vec<f64> {
        let Some(handle) = self.state.objects.get(index) else {
            return Vec::new();
        };
        let o = self.state.object(*handle);
        let numbers = o.pos.into_iter().chain(o.quat);
        let numbers = numbers.chain(o.velocity).chain(o.spin);
        numbers.map(f64::from).collect()
    }

    fn is_too_fast(&self) -> bool {
        let state = &self.state;
        let joints = state.hand.qvel(&state.multibody_joints);
        let objects = state.objects.iter().flat_map(|handle| {
            let body = &state.bodies[*handle];
            [body.linvel().length(), body.angvel().length()].map(f64::from)
        });
        let mut speeds = joints.into_iter().chain(objects);
        speeds.any(|speed| speed.is_nan() || speed.abs() > self.max_speed)
    }
}

/// A copy of the scene in the same state: what follows is the same to the bit.
impl Clone for HandScene {
    fn clone(&self) -> Self {
        Self {
            state: self.state.clone(),
            parameters: self.parameters,
            gravity: self.gravity,
            max_speed: self.max_speed,
            branches: self.branches.clone(),
            sites: self.sites.clone(),
            pipeline: PhysicsPipeline::new(),
        }
    }
}

impl State {
    fn object(&self, handle: RigidBodyHandle) -> ObjectState {
        let body = &self.bodies[handle];
        let turn = *body.rotation();
        ObjectState {
            pos: body.translation().to_array(),
            quat: [turn.w, turn.x, turn.y, turn.z],
            velocity: body.linvel().to_array(),
            spin: (turn.inverse() * body.angvel()).to_array(),
        }
    }

    fn bits(&self) -> Vec<u32> {
        let bodies = self.bodies.iter().flat_map(|(_, body)| {
            let place = body.translation().to_array().into_iter();
            let place = place.chain(body.rotation().to_array());
            let speed = body.linvel().to_array().into_iter();
            place.chain(speed).chain(body.angvel().to_array())
        });
        let warm = self.narrow_phase.contact_pairs().flat_map(|pair| {
            let points = pair.solver_manifolds().iter().flat_map(|m| &m.points);
            points.map(|point| point.data.warmstart_impulse)
        });
        let single = bodies.chain(warm).map(f32::to_bits);
        let hand = self.hand.qpos(&self.multibody_joints).into_iter();
        let hand = hand.chain(self.hand.qvel(&self.multibody_joints));
        let hand = hand.chain(self.hand.act().to_vec());
        let hand = hand.chain(self.hand.controls().to_vec());
        let double = hand.map(f64::to_bits);
        let halves = double.flat_map(|bits| [bits as u32, (bits >> 32) as u32]);
        let flag = std::iter::once(u32::from(self.diverged));
        single.chain(halves).chain(flag).collect()
    }
}

/// The same bits of everything that decides what follows.
impl PartialEq for HandSnapshot {
    fn eq(&self, other: &Self) -> bool {
        self.0.bits() == other.0.bits()
    }
}

impl std::fmt::Debug for HandSnapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HandSnapshot").finish_non_exhaustive()
    }
}

/// Of all lengths that Rapier measures in its unit, only two may shrink: how far around a shape it remembers its neighbours
/// (0.04 units: 4 cm, by which every finger is a neighbour of every other; now 2 mm), and below what speed a body falls asleep,
/// which nothing here does. Contacts are made from 0.5 mm on beyond the shapes' margins, which the batch solver does without:
/// each that does not push yet costs as much as one that does.
fn at_hand(of: IntegrationParameters) -> IntegrationParameters {
    const UNIT: f32 = 0.05;
    IntegrationParameters {
        length_unit: UNIT,
        normalized_allowed_linear_error: of.allowed_linear_error() / UNIT,
        normalized_max_corrective_velocity: of.max_corrective_velocity() / UNIT,
        normalized_prediction_distance: 0.0005 / UNIT,
        normalized_max_linear_velocity: of.max_linear_velocity() / UNIT,
        normalized_contact_recycle_distance: of.contact_recycle_distance() / UNIT,
        ..of
    }
}

/// All shapes of a scene, the hand's first.
struct Parts<'a> {
    scene: &'a Scene,
    kernel: &'a Kernel,
    /// What is not the hand's: whose it is (none: what stands still), and how it touches.
    others: Vec<(Option<usize>, &'a Contact)>,
}

impl<'a> Parts<'a> {
    fn of(scene: &'a Scene, kernel: &'a Kernel) -> Self {
        let objects = scene.objects.iter().enumerate();
        let objects = objects.flat_map(|(i, o)| o.shapes.iter().map(move |s| (Some(i), s)));
        let fixed = scene.fixed.iter().map(|s| (None, s));
        let contact = |(owner, shape): (Option<usize>, &'a Primitive)| (owner, &shape.contact);
        Self {
            scene,
            kernel,
            others: objects.chain(fixed).map(contact).collect(),
        }
    }

    /// How the hand's contacts with other things give way: half way between the means of both, as Rapier knows one softness
    /// only.
    fn softness(&self) -> SpringCoefficients<f32> {
        let shapes = self.kernel.shapes();
        let own = mean(shapes.iter().map(|s| &s.contact));
        let other = mean(self.others.iter().map(|(_, contact)| *contact));
        let usual = Contact::default();
        let own = own
            .or(other)
            .unwrap_or([usual.solref[0], usual.solref[1], usual.solimp[1]]);
        let other = other.unwrap_or(own);
        let [time, ratio, impedance] = [0, 1, 2].map(|i| 0.5 * (own[i] + other[i]));
        softness([time, ratio], impedance)
    }

    fn groups(&self) -> Result<Vec<rapier3d::prelude::InteractionGroups>, HandError> {
        let (links, shapes) = (self.kernel.links(), self.kernel.shapes());
        let n = shapes.len();
        let still = |shape: usize| match shape < n {
            true => shapes[shape].link == 0,
            false => self.others[shape - n].0.is_none(),
        };
        let contact = |shape: usize| match shape < n {
            true => &shapes[shape].contact,
            false => self.others[shape - n].1,
        };
        let touch = |a: usize, b: usize| {
            if a < n && b < n {
                let (a, b) = (&shapes[a], &shapes[b]);
                let excluded = self.kernel.excluded();
                return self.scene.options.self_contacts && may_touch(&links, excluded, a, b);
            }
            let same = a >= n && b >= n && self.others[a - n].0 == self.others[b - n].0;
            let never = same || still(a) && still(b);
            !never && fit(contact(a), contact(b))
        };
        assign(n + self.others.len(), 0..32, touch)
    }
}

/// Mean time constant, damping ratio and full impedance; none of none.
fn mean<'a>(contacts: impl Iterator<Item = &'a Contact>) -> Option<[f64; 3]> {
    let (mut sum, mut n) = ([0.0; 3], 0.0);
    for contact in contacts {
        let numbers = [contact.solref[0], contact.solref[1], contact.solimp[1]];
        for (sum, x) in sum.iter_mut().zip(numbers) {
            *sum += x;
        }
        n += 1.0;
    }
    (n > 0.0).then(|| sum.map(|x| x / n))
}

fn of_quat([w, x, y, z]: &[f64; 4]) -> Rotation {
    Rotation::from_xyzw(*x as f32, *y as f32, *z as f32, *w as f32).normalize()
}
