//! The camera: it orbits a point, pans over the ground and zooms toward what is under the pointer. The world's up is z.

use std::f32::consts::{FRAC_PI_2, TAU};

use bevy::prelude::*;

/// Vertical field of view, radians.
pub(crate) const FIELD_OF_VIEW: f32 = 0.7;
/// How fast the eye follows where it is sent: seconds to halve what is left.
const HALF_LIFE_SECS: f32 = 0.05;
/// Nearest and farthest that the eye may be from its focus, meters.
const DISTANCES: (f32, f32) = (0.02, 400.0);

/// A camera that looks at a point from around it.
#[derive(Component, Clone, Copy, Debug)]
pub struct Orbit {
    /// Where it is sent.
    pub goal: View,
    /// Where it is.
    pub now: View,
}

/// From where to look at what.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct View {
    /// What is looked at, meters.
    pub focus: Vec3,
    /// Direction from the focus to the eye around z, radians from x.
    pub yaw: f32,
    /// Its height above the horizon, radians.
    pub pitch: f32,
    /// Distance of the eye from the focus, meters.
    pub distance: f32,
}

/// A side from which to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// From above, x to the right.
    Top,
    /// Along y.
    Front,
    /// Against x.
    Side,
    /// From above a corner.
    Corner,
}

impl Default for View {
    fn default() -> Self {
        Self {
            focus: Vec3::ZERO,
            yaw: -1.15,
            pitch: 0.85,
            distance: 8.0,
        }
    }
}

impl View {
    /// Where the eye is and how it is turned.
    pub fn transform(&self) -> Transform {
        let turn = Quat::from_rotation_z(self.yaw + FRAC_PI_2)
            * Quat::from_rotation_x(FRAC_PI_2 - self.pitch);
        Transform::from_translation(self.eye()).with_rotation(turn)
    }

    /// Where the eye is, meters.
    pub fn eye(&self) -> Vec3 {
        let (sin_yaw, cos_yaw) = self.yaw.sin_cos();
        let (sin_pitch, cos_pitch) = self.pitch.sin_cos();
        self.focus + self.distance * Vec3::new(cos_pitch * cos_yaw, cos_pitch * sin_yaw, sin_pitch)
    }

    /// Turns around the focus by a movement of the pointer, in heights of the viewport.
    pub fn orbit(&mut self, by: Vec2) {
        self.turn(-by.x * 0.6 * TAU, by.y * 0.5 * TAU);
    }

    /// Turns around the focus: to the left, and upward (radians).
    pub fn turn(&mut self, left: f32, up: f32) {
        self.yaw += left;
        self.pitch = (self.pitch + up).clamp(-FRAC_PI_2, FRAC_PI_2);
    }

    /// Moves the focus with a movement of the pointer, in heights of the viewport.
    pub fn pan(&mut self, by: Vec2) {
        let turn = self.transform().rotation;
        let height = 2.0 * self.distance * (0.5 * FIELD_OF_VIEW).tan();
        self.focus += turn * Vec3::new(-by.x, by.y, 0.0) * height;
    }

    /// Comes nearer by `steps` of the wheel, toward `toward` (world, meters).
    pub fn zoom(&mut self, steps: f32, toward: Option<Vec3>) {
        let distance = (self.distance * 0.85_f32.powf(steps)).clamp(DISTANCES.0, DISTANCES.1);
        if let Some(toward) = toward {
            self.focus += (toward - self.focus) * (1.0 - distance / self.distance);
        }
        self.distance = distance;
    }

    /// Looks from a side.
    pub fn look_from(&mut self, side: Side) {
        (self.yaw, self.pitch) = match side {
            Side::Top => (-FRAC_PI_2, FRAC_PI_2),
            Side::Front => (-FRAC_PI_2, 0.0),
            Side::Side => (0.0, 0.0),
            Side::Corner => (Self::default().yaw, Self::default().pitch),
        };
    }

    /// Moves so that every one of `points` is seen with a margin in a viewport of `aspect` (width / height).
    pub fn frame(&mut self, points: &[Vec3], aspect: f32) {
        if points.is_empty() {
            return;
        }
        let turn = self.transform().rotation.inverse();
        let half = (0.5 * FIELD_OF_VIEW).tan() * Vec2::new(aspect, 1.0);
        let seen: Vec<Vec3> = points.iter().map(|point| turn * *point).collect();
        let low = seen.iter().copied().reduce(Vec3::min).unwrap_or_default();
        let high = seen.iter().copied().reduce(Vec3::max).unwrap_or_default();
        // Near things look larger, so the middle of what is seen lies nearer to the eye: two corrections settle it.
        let mut middle = 0.5 * (low + high);
        let mut distance = 0.0;
        for _ in 0..3 {
            let need = |point: &Vec3| {
                let side = (point.truncate() - middle.truncate()).abs() / half;
                side.max_element() + point.z - middle.z
            };
            distance = seen.iter().map(need).fold(0.0, f32::max);
            let (mut least, mut most) = (Vec2::INFINITY, Vec2::NEG_INFINITY);
            for point in &seen {
                let on_screen = (point.truncate() - middle.truncate())
                    / (distance - point.z + middle.z).max(1e-3);
                (least, most) = (least.min(on_screen), most.max(on_screen));
            }
            middle += (0.5 * (least + most) * distance).extend(0.0);
        }
        self.focus = turn.inverse() * middle;
        self.distance = (1.06 * distance).clamp(0.3, DISTANCES.1);
    }
}

impl Orbit {
    /// A camera that is where it was sent.
    pub fn at(view: View) -> Self {
        Self {
            goal: view,
            now: view,
        }
    }

    /// Goes on toward the goal for `secs`; whether it is still on its way.
    pub fn step(&mut self, secs: f32) -> bool {
        let share = 1.0 - 0.5_f32.powf(secs / HALF_LIFE_SECS);
        let Self { goal, now } = self;
        now.focus = now.focus.lerp(goal.focus, share);
        now.yaw += (goal.yaw - now.yaw) * share;
        now.pitch += (goal.pitch - now.pitch) * share;
        now.distance += (goal.distance - now.distance) * share;
        let left = (now.focus - goal.focus).length() / goal.distance
            + (now.yaw - goal.yaw).abs()
            + (now.pitch - goal.pitch).abs()
            + (now.distance / goal.distance - 1.0).abs();
        let moving = left > 1e-3;
        if !moving {
            *now = *goal;
        }
        moving
    }
}
