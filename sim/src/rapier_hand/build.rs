//! From a model to a multibody: one link for each degree of freedom, shapes, limits, damping and armature.

use std::sync::Arc;

use hand::kernel::{Kernel, Link};
use hand::model::{self, Contact, JointKind, Model, ShapeKind};
use rapier3d::math::{Mat3, Pose as Iso, Rotation, Vector};
use rapier3d::prelude::{
    CoefficientCombineRule, ColliderBuilder, ColliderSet, GenericJointBuilder, InteractionGroups,
    JointAxesMask, JointAxis, MassProperties, MultibodyJointHandle, MultibodyJointSet,
    RigidBodyBuilder, RigidBodyHandle, RigidBodySet, SharedShape,
};

use super::groups::{assign, may_touch};
use super::{Frame, HandError, Joint, Motor, RapierHand, softness, vector};

/// Mass (kg) and inertia (kg m²) of the link between two joints of one body: small against a fingertip's 2 g, large enough
/// for single precision. The armature keeps the joint before it well-conditioned.
const BETWEEN: (f32, f32) = (1e-6, 1e-9);

/// Armature of the joint that leads a hand (kg, kg m²): nothing that a hand does moves it, only the speed that it is given
/// before each step. (Rapier's kinematic joints would be the same, but fail in a body whose joints have limits.)
const LEADER_ARMATURE: f32 = 1e4;

/// `user_data` of the bodies of a hand.
pub(crate) const HAND: u128 = u128::MAX;

/// Where a hand is put.
pub(crate) struct Sets<'a> {
    pub(crate) bodies: &'a mut RigidBodySet,
    pub(crate) colliders: &'a mut ColliderSet,
    pub(crate) joints: &'a mut MultibodyJointSet,
}

/// What a hand hangs on: where its own world is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Base {
    /// There for ever.
    Fixed(Iso),
    /// There at first; then where [`RapierHand::lead`] takes it.
    Led(Iso),
}

/// What of a model takes part.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Takes {
    pub(crate) limits: bool,
    /// With or without shapes.
    pub(crate) contacts: bool,
}

impl RapierHand {
    /// Puts a hand into a world, its own world (what it hangs on) at `base`, all joints at 0. Gravity is the world's,
    /// not the model's. `groups`: one for each of the kernel's shapes.
    pub(crate) fn insert(
        sets: &mut Sets<'_>,
        model: &Model,
        kernel: Kernel,
        base: Base,
        groups: &[InteractionGroups],
        takes: Takes,
    ) -> Result<Self, HandError> {
        let (Base::Fixed(place) | Base::Led(place)) = base;
        let root = sets.bodies.insert(RigidBodyBuilder::fixed().pose(place));
        let (leader, first) = match base {
            Base::Fixed(_) => (None, root),
            Base::Led(_) => leader(sets, root, &place),
        };
        let mut links = vec![first];
        let mut joints: Vec<Option<Joint>> = vec![None; model.joint.len()];
        for link in kernel.links().iter().skip(1) {
            let mut from = links[link.parent];
            // The link's frame with its joints at 0, in the body before.
            let mut frame = Iso::from_parts(vector(link.pos), rotation(&link.turn));
            for (i, &index) in link.joints.iter().enumerate() {
                let last = i + 1 == link.joints.len();
                let mass = if last { mass(link) } else { between() };
                let pose = *sets.bodies[from].position() * frame;
                let body = RigidBodyBuilder::dynamic()
                    .pose(pose)
                    .can_sleep(false)
                    .user_data(HAND)
                    .additional_mass_properties(mass);
                let to = sets.bodies.insert(body);
                let joint = &model.joint[index];
                let axis = vector(joint.axis).normalize();
                let at = Iso::from_parts(
                    vector(joint.anchor),
                    Rotation::from_rotation_arc(Vector::X, axis),
                );
                let data = joint_data(joint, frame * at, at, takes.limits);
                let Some(handle) = sets.joints.insert(from, to, data, false) else {
                    continue; // a body that was just made has no other parent
                };
                joints[index] = Some(Joint {
                    handle,
                    kind: joint.kind,
                    from,
                    to,
                    axis,
                    limit: joint.limit.filter(|_| takes.limits),
                });
                (from, frame) = (to, Iso::IDENTITY);
            }
            links.push(from);
        }
        if takes.contacts {
            for (i, (shape, groups)) in kernel.shapes().iter().zip(groups).enumerate() {
                let pose = Iso::from_parts(vector(shape.pos), rotation(&shape.turn));
                let collider = collider(shape.kind, shape.size, &pose, &shape.contact, *groups);
                let collider = collider.ok_or_else(|| HandError::Shape {
                    owner: model.name.clone(),
                    index: i,
                })?;
                sets.colliders
                    .insert_with_parent(collider, links[shape.link], sets.bodies);
            }
        }
        let joints: Vec<Joint> = joints.into_iter().flatten().collect();
        for joint in &joints {
            sets.bodies[joint.to].recompute_mass_properties_from_colliders(sets.colliders);
        }
        settle_numbers(sets, model, &joints, leader);
        Ok(Self {
            act: vec![0.0; model.muscle.len()],
            controls: vec![0.0; model.muscle.len() + model.torque.len() + model.position.len()],
            frame: Arc::new(Frame {
                motors: motors(model),
                base: place,
                leader,
                links,
                joints,
                kernel,
            }),
        })
    }
}

/// A body that moves freely against `root`; see [`LEADER_ARMATURE`].
fn leader(
    sets: &mut Sets<'_>,
    root: RigidBodyHandle,
    place: &Iso,
) -> (Option<MultibodyJointHandle>, RigidBodyHandle) {
    let mass = MassProperties::new(Vector::ZERO, 1.0, Vector::splat(0.01));
    let body = RigidBodyBuilder::dynamic()
        .pose(*place)
        .can_sleep(false)
        .user_data(HAND)
        .additional_mass_properties(mass);
    let body = sets.bodies.insert(body);
    sets.bodies[body].recompute_mass_properties_from_colliders(sets.colliders);
    let free = GenericJointBuilder::new(JointAxesMask::empty());
    (sets.joints.insert(root, body, free, false), body)
}

/// Groups of a hand's shapes among themselves.
pub(crate) fn own_groups(
    kernel: &Kernel,
    bits: std::ops::Range<u32>,
) -> Result<Vec<InteractionGroups>, HandError> {
    let (links, shapes) = (kernel.links(), kernel.shapes());
    assign(shapes.len(), bits, |a, b| {
        may_touch(&links, kernel.excluded(), &shapes[a], &shapes[b])
    })
}

/// Damping and armature. Only after the first kinematics does a multibody with a fixed root know how many degrees of freedom
/// it has; and each new one has a damping of 0.1 until told otherwise.
fn settle_numbers(
    sets: &mut Sets<'_>,
    model: &Model,
    joints: &[Joint],
    leader: Option<MultibodyJointHandle>,
) {
    let Some((body, _)) = joints.first().and_then(|j| sets.joints.get_mut(j.handle)) else {
        return;
    };
    body.forward_kinematics(sets.bodies, true);
    body.update_rigid_bodies(sets.bodies, true);
    for (joint, built) in model.joint.iter().zip(joints) {
        let Some((body, link)) = sets.joints.get_mut(built.handle) else {
            continue;
        };
        let Some(at) = body.link(link).map(|link| link.assembly_id()) else {
            continue;
        };
        body.damping_mut()[at] = joint.damping as f32;
        body.armature_mut()[at] = joint.armature as f32;
    }
    if let Some((body, link)) = leader.and_then(|leader| sets.joints.get_mut(leader))
        && let Some(at) = body.link(link).map(|link| link.assembly_id())
    {
        body.damping_mut().rows_mut(at, 6).fill(0.0);
        body.armature_mut().rows_mut(at, 6).fill(LEADER_ARMATURE);
    }
}

fn joint_data(joint: &model::Joint, before: Iso, behind: Iso, limits: bool) -> GenericJointBuilder {
    let (mask, axis) = match joint.kind {
        JointKind::Hinge => (JointAxesMask::LOCKED_REVOLUTE_AXES, JointAxis::AngX),
        JointKind::Slide => (JointAxesMask::LOCKED_PRISMATIC_AXES, JointAxis::LinX),
    };
    let data = GenericJointBuilder::new(mask)
        .local_frame1(before)
        .local_frame2(behind)
        .contacts_enabled(true)
        .softness(softness(joint.limit_solref, joint.limit_solimp[1]));
    match joint.limit {
        Some(limit) if limits => data.limits(axis, limit.map(|x| x as f32)),
        _ => data,
    }
}

fn mass(link: &Link) -> MassProperties {
    let [xx, yy, zz, xy, xz, yz] = link.inertia;
    let inertia = Mat3::from_cols(
        vector([xx, xy, xz]),
        vector([xy, yy, yz]),
        vector([xz, yz, zz]),
    );
    MassProperties::with_inertia_matrix(vector(link.com), link.mass as f32, inertia)
}

fn between() -> MassProperties {
    let (mass, inertia) = BETWEEN;
    MassProperties::new(Vector::ZERO, mass, Vector::splat(inertia))
}

fn motors(model: &Model) -> Vec<Motor> {
    let joint = |name: &str| model.joint.iter().position(|j| j.name == name).unwrap_or(0);
    let range = |range: Option<[f64; 2]>| range.unwrap_or([f64::MIN, f64::MAX]);
    let torques = model.torque.iter().map(|t| Motor {
        joint: joint(&t.joint),
        control: range(t.control),
        force: range(t.force),
        gain: 1.0,
        stiffness: 0.0,
        damping: 0.0,
        gear: t.gear,
    });
    let positions = model.position.iter().map(|p| Motor {
        joint: joint(&p.joint),
        control: range(p.control),
        force: range(p.force),
        gain: p.stiffness,
        stiffness: p.stiffness,
        damping: p.damping,
        gear: 1.0,
    });
    torques.chain(positions).collect()
}

/// A shape for Rapier, without mass; none where it is flat.
pub(super) fn collider(
    kind: ShapeKind,
    size: [f64; 3],
    pose: &Iso,
    contact: &Contact,
    groups: InteractionGroups,
) -> Option<ColliderBuilder> {
    let [a, b, c] = size.map(|x| x as f32);
    let mut pose = *pose;
    let shape = match kind {
        ShapeKind::Sphere => ColliderBuilder::ball(a),
        ShapeKind::Capsule => ColliderBuilder::capsule_z(b, a),
        ShapeKind::Box => ColliderBuilder::cuboid(a, b, c),
        ShapeKind::Cylinder => {
            // Rapier's stands along y.
            pose.rotation *= Rotation::from_rotation_arc(Vector::Y, Vector::Z);
            ColliderBuilder::cylinder(b, a)
        }
        ShapeKind::Ellipsoid => ColliderBuilder::convex_hull(&ellipsoid(Vector::new(a, b, c)))?,
        ShapeKind::Plane => ColliderBuilder::new(SharedShape::halfspace(Vector::Z)),
    };
    let friction = if contact.dimensions == 1 {
        0.0
    } else {
        contact.friction[0]
    };
    Some(
        shape
            .position(pose)
            .density(0.0)
            .friction(friction as f32)
            .friction_combine_rule(CoefficientCombineRule::Max)
            .restitution(0.0)
            .contact_skin(contact.margin as f32)
            .collision_groups(groups),
    )
}

/// Points of an ellipsoid: the middles of faces, edges and corners of a cube, drawn out a little so that the hull has the
/// ellipsoid's volume.
fn ellipsoid(half: Vector) -> Vec<Vector> {
    let steps = [-1.0, 0.0, 1.0];
    let mut points = Vec::new();
    for x in steps {
        for y in steps {
            for z in steps {
                let outward = Vector::new(x, y, z);
                if outward != Vector::ZERO {
                    points.push(1.08 * half * outward.normalize());
                }
            }
        }
    }
    points
}

pub(super) fn rotation(rows: &[[f64; 3]; 3]) -> Rotation {
    let column = |i: usize| vector([rows[0][i], rows[1][i], rows[2][i]]);
    Rotation::from_mat3(&Mat3::from_cols(column(0), column(1), column(2))).normalize()
}
