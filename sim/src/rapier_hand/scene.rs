//! One world of a scene of crate `hand`, stepped by Rapier.

use hand::batch::{ObjectState, WorldState};
use hand::kernel::Kernel;
use hand::model::Contact;
use hand::scene::{Primitive, Scene};
use rapier3d::math::{Pose as Iso, Rotation, Vector};
use rapier3d::prelude::{
    BroadPhaseBvh, CCDSolver, ColliderSet, ImpulseJointSet, IntegrationParameters, IslandManager,
    MassProperties, MultibodyJointSet, NarrowPhase, PhysicsPipeline, RigidBodyBuilder,
    RigidBodyHandle, RigidBodySet, SoftBodySet, SpringCoefficients,
};

use super::build::{Sets, Takes, collider};
use super::groups::{assign, fit, may_touch};
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
        let hand = RapierHand::insert(&mut sets, &scene.model, kernel, &Iso::IDENTITY, own, takes)?;
        let mut objects = Vec::new();
        let mut others = others.iter();
        let ground = bodies.insert(RigidBodyBuilder::fixed());
        let things = scene.objects.iter().map(|o| (Some(o), &o.shapes));
        for (object, shapes) in things.chain([(None, &scene.fixed)]) {
            let (body, owner) = match object {
                Some(object) => {
                    check(object)?;
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
        let object = |handle: &RigidBodyHandle| {
            let body = &state.bodies[*handle];
            let turn = *body.rotation();
            ObjectState {
                pos: body.translation().to_array(),
                quat: [turn.w, turn.x, turn.y, turn.z],
                velocity: body.linvel().to_array(),
                spin: (turn.inverse() * body.angvel()).to_array(),
            }
        };
        WorldState {
            qpos: single(state.hand.qpos(&state.multibody_joints)),
            qvel: single(state.hand.qvel(&state.multibody_joints)),
            act: single(state.hand.act().to_vec()),
            objects: state.objects.iter().map(object).collect(),
        }
    }

    /// Puts everything elsewhere; a world that diverged goes on.
    ///
    /// # Errors
    /// When the state has other numbers of joints, muscles or objects than the scene, or a number is not finite.
    pub fn set_state(&mut self, to: &WorldState) -> Result<(), HandError> {
        let state = &mut self.state;
        if to.objects.len() != state.objects.len() {
            return Err(HandError::Count {
                field: "objects",
                found: to.objects.len(),
                expected: state.objects.len(),
            });
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
                return Err(HandError::NotFinite { field, index });
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

    /// Goes back to a snapshot of this scene. What follows is the same to the bit as what followed the snapshot.
    pub fn restore(&mut self, snapshot: &HandSnapshot) {
        self.state = (*snapshot.0).clone();
        self.pipeline = PhysicsPipeline::new();
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

fn check(object: &hand::scene::Object) -> Result<(), HandError> {
    let reason = if object.shapes.is_empty() {
        "it has no shape"
    } else if !(object.mass.is_finite() && object.mass > 0.0) {
        "its mass must be more than 0"
    } else if !object.inertia.iter().all(|i| i.is_finite() && *i > 0.0) {
        "its inertia around each axis must be more than 0"
    } else {
        return Ok(());
    };
    Err(HandError::Object {
        name: object.name.clone(),
        reason,
    })
}

fn of_quat([w, x, y, z]: &[f64; 4]) -> Rotation {
    Rotation::from_xyzw(*x as f32, *y as f32, *z as f32, *w as f32).normalize()
}
