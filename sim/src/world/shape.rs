//! Solids of a class: what its [`Shape`] is made of, and how its front moves.
//!
//! Everything here is in the class frame (origin in the middle of the footprint on the lowest face, x out of the front,
//! z up, meters). Knows nothing of Rapier's sets, rooms or entities.

use libm::{cosf, sinf};
use rapier3d::math::{Pose as Iso, Rotation, Vector};

use super::PartForm;
use crate::catalogue::{Class, DRAWER_TRAVEL, Front, Shape};

/// What to draw of a class, in the class frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClassPart {
    /// Its form.
    pub form: PartForm,
    /// Position of its middle, meters.
    pub position: [f32; 3],
    /// Its rotation as a unit quaternion (x, y, z, w).
    pub rotation: [f32; 4],
    /// Whether it moves when the object is opened.
    pub moves: bool,
}

/// What a class looks like with its front, if it has one, at `openness` from 0 (closed) to 1 (open).
pub fn solids(class: &Class, openness: f32) -> Vec<ClassPart> {
    let form = form(class);
    let part = |solid: &Solid, pose: &Iso, moves| ClassPart {
        form: match *solid {
            Solid::Box { half, .. } => PartForm::Box(half),
            Solid::Cylinder {
                half_height,
                radius,
                ..
            } => PartForm::Cylinder(half_height, radius),
            Solid::Ball { radius, .. } => PartForm::Ball(radius),
        },
        position: pose.transform_point(Vector::from(solid.center())).into(),
        rotation: pose.rotation.into(),
        moves,
    };
    let body = form.solids.iter().map(|s| part(s, &Iso::IDENTITY, false));
    let front = form.front.iter().flat_map(|front| {
        let pose = front.motion.at(openness);
        front.solids.iter().map(move |s| part(s, &pose, true))
    });
    body.chain(front).collect()
}

/// A convex part, upright.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Solid {
    Box {
        center: [f32; 3],
        half: [f32; 3],
    },
    Cylinder {
        center: [f32; 3],
        half_height: f32,
        radius: f32,
    },
    Ball {
        center: [f32; 3],
        radius: f32,
    },
}

impl Solid {
    /// The box between two opposite corners.
    pub(super) fn between(low: [f32; 3], high: [f32; 3]) -> Self {
        Self::Box {
            center: [0, 1, 2].map(|i| 0.5 * (low[i] + high[i])),
            half: [0, 1, 2].map(|i| 0.5 * (high[i] - low[i])),
        }
    }

    pub(super) fn center(&self) -> [f32; 3] {
        match *self {
            Self::Box { center, .. }
            | Self::Cylinder { center, .. }
            | Self::Ball { center, .. } => center,
        }
    }

    /// Half extents of the box around it.
    pub(super) fn half(&self) -> [f32; 3] {
        match *self {
            Self::Box { half, .. } => half,
            Self::Cylinder {
                half_height,
                radius,
                ..
            } => [radius, radius, half_height],
            Self::Ball { radius, .. } => [radius; 3],
        }
    }

    /// Volume in cubic meters; shares out the mass of a compound.
    pub(super) fn volume(&self) -> f32 {
        use std::f32::consts::PI;
        match *self {
            Self::Box { half, .. } => 8.0 * half[0] * half[1] * half[2],
            Self::Cylinder {
                half_height,
                radius,
                ..
            } => 2.0 * PI * half_height * radius * radius,
            Self::Ball { radius, .. } => 4.0 / 3.0 * PI * radius * radius * radius,
        }
    }
}

/// How a front moves as its openness goes from 0 to 1, in the class frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Motion {
    /// Turns about an axis.
    Hinge {
        /// A point of the axis, meters.
        origin: [f32; 3],
        /// Its direction, of length 1.
        axis: [f32; 3],
        /// Radians when it is open.
        angle: f32,
    },
    /// Slides.
    Slide {
        /// Meters when it is open.
        by: [f32; 3],
    },
}

/// How the front of a class moves, if it has one.
pub fn front_motion(class: &Class) -> Option<Motion> {
    form(class).front.map(|front| front.motion)
}

impl Motion {
    /// Pose of the front relative to its pose when closed.
    pub(super) fn at(&self, openness: f32) -> Iso {
        match *self {
            Self::Hinge {
                origin,
                axis,
                angle,
            } => {
                let rotation = about(axis, angle * openness);
                let origin = Vector::from(origin);
                Iso::from_parts(origin - rotation * origin, rotation)
            }
            Self::Slide { by } => Iso::from_translation(Vector::from(by) * openness),
        }
    }

    /// Farthest that a point of the front travels, given how far it reaches from the hinge (meters).
    pub(super) fn travel(&self, radius: f32) -> f32 {
        match *self {
            Self::Hinge { angle, .. } => angle.abs() * radius,
            Self::Slide { by } => Vector::from(by).length(),
        }
    }
}

/// The moving part of a piece of furniture.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct FrontForm {
    pub(super) solids: Vec<Solid>,
    pub(super) motion: Motion,
    /// Whether things inside are carried by it and collide with it while it moves: true of drawers.
    pub(super) carries: bool,
    /// How far it reaches from its hinge.
    pub(super) radius: f32,
}

/// Everything a class is made of.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Form {
    pub(super) solids: Vec<Solid>,
    pub(super) front: Option<FrontForm>,
}

/// Rotation by `angle` about a unit axis.
pub(super) fn about(axis: [f32; 3], angle: f32) -> Rotation {
    let (s, c) = (sinf(0.5 * angle), cosf(0.5 * angle));
    Rotation::from_xyzw(axis[0] * s, axis[1] * s, axis[2] * s, c)
}

/// The solids of a class.
pub(super) fn form(class: &Class) -> Form {
    let [depth, width, height] = class.size;
    let (x, y) = (0.5 * depth, 0.5 * width);
    let block = Solid::between;
    let mut front = None;
    let solids = match class.shape {
        Shape::Box {} => vec![block([-x, -y, 0.0], [x, y, height])],
        Shape::Cylinder {} => vec![Solid::Cylinder {
            center: [0.0, 0.0, 0.5 * height],
            half_height: 0.5 * height,
            radius: x,
        }],
        Shape::Ball {} => vec![Solid::Ball {
            center: [0.0, 0.0, x],
            radius: x,
        }],
        Shape::Table { top, leg } => {
            let under = height - top;
            let mut solids = vec![block([-x, -y, under], [x, y, height])];
            for (sx, sy) in [(-1.0, -1.0), (-1.0, 1.0), (1.0, -1.0), (1.0, 1.0)] {
                solids.push(Solid::Box {
                    center: [sx * (x - 0.5 * leg), sy * (y - 0.5 * leg), 0.5 * under],
                    half: [0.5 * leg, 0.5 * leg, 0.5 * under],
                });
            }
            solids
        }
        Shape::Seat { seat, back } => {
            let mut solids = vec![block([-x, -y, 0.0], [x, y, seat])];
            if back > 0.0 && height > seat {
                solids.push(block([-x, -y, seat], [back - x, y, height]));
            }
            solids
        }
        Shape::Shelves { boards, wall } => {
            let pitch = (height - wall) / f32::from(boards);
            let mut solids = vec![
                block([-x, -y, 0.0], [wall - x, y, height]),
                block([wall - x, -y, 0.0], [x, wall - y, height]),
                block([wall - x, y - wall, 0.0], [x, y, height]),
            ];
            for board in 0..=boards {
                let z = f32::from(board) * pitch;
                solids.push(block([wall - x, wall - y, z], [x, y - wall, z + wall]));
            }
            solids
        }
        Shape::Cabinet {
            wall,
            front: kind,
            floor,
            ceiling,
        } => {
            let (form, open_top) = front_of(class, wall, kind, floor, ceiling);
            front = Some(form);
            // A drawer brings its own floor: that of the body ends below it.
            let floor = if kind == Front::Drawer {
                (floor - wall).max(0.5 * floor)
            } else {
                floor
            };
            let rim = if open_top { height - wall } else { ceiling };
            let mut solids = vec![
                block([-x, -y, 0.0], [x, y, floor]),
                block([-x, -y, floor], [wall - x, y, rim]),
                block([wall - x, -y, floor], [x, wall - y, rim]),
                block([wall - x, y - wall, floor], [x, y, rim]),
            ];
            if open_top {
                solids.push(block([x - wall, wall - y, floor], [x, y - wall, rim]));
            } else if height > ceiling {
                solids.push(block([-x, -y, ceiling], [x, y, height]));
            }
            solids
        }
        Shape::Bin { wall, floor } => vec![
            block([-x, -y, 0.0], [x, y, floor]),
            block([-x, -y, floor], [wall - x, y, height]),
            block([x - wall, -y, floor], [x, y, height]),
            block([wall - x, -y, floor], [x - wall, wall - y, height]),
            block([wall - x, y - wall, floor], [x - wall, y, height]),
        ],
    };
    Form { solids, front }
}

/// The front of a cabinet, and whether the body is open at the top.
fn front_of(class: &Class, wall: f32, kind: Front, floor: f32, ceiling: f32) -> (FrontForm, bool) {
    let [depth, width, height] = class.size;
    let (x, y) = (0.5 * depth, 0.5 * width);
    let block = Solid::between;
    match kind {
        Front::Door => {
            let leaf = block([x - wall, wall - y, floor], [x, y - wall, ceiling]);
            let motion = Motion::Hinge {
                origin: [x, y - wall, 0.0],
                axis: [0.0, 0.0, 1.0],
                angle: 1.75,
            };
            let form = FrontForm {
                solids: vec![leaf],
                motion,
                carries: false,
                radius: width - 2.0 * wall,
            };
            (form, false)
        }
        Front::Lid => {
            let leaf = block([-x, -y, height - wall], [x, y, height]);
            let motion = Motion::Hinge {
                origin: [-x, 0.0, height],
                axis: [0.0, -1.0, 0.0],
                angle: 1.4,
            };
            let form = FrontForm {
                solids: vec![leaf],
                motion,
                carries: false,
                radius: depth,
            };
            (form, true)
        }
        Front::Drawer => {
            // A box open at the top that fills the body, its front wall being the panel.
            let (low, high) = ((floor - wall).max(0.5 * floor), ceiling - 0.01);
            let (bx, by) = (x - wall, y - wall);
            let solids = vec![
                block([-bx, -by, low], [x, by, floor]),
                block([-bx, -by, floor], [wall - bx, by, high]),
                block([bx - wall, -by, floor], [x, by, high]),
                block([wall - bx, -by, floor], [bx - wall, wall - by, high]),
                block([wall - bx, by - wall, floor], [bx - wall, by, high]),
            ];
            let form = FrontForm {
                solids,
                motion: Motion::Slide {
                    by: [DRAWER_TRAVEL * depth, 0.0, 0.0],
                },
                carries: true,
                radius: 0.0,
            };
            (form, false)
        }
    }
}
