//! Cameras as scenario files say them.
//!
//! ```toml
//! [[camera]]
//! name = "corner"
//! position = [0.3, 0.3, 2.2]
//! look_at = [2.5, 2.0, 0.7]
//! fov_deg = 60.0
//! size = [84, 84]
//! ```
//!
//! With `on`, both places are in the frame of what it names, and the camera goes where that goes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use toml::Spanned;

use super::{Camera, Scene};
use crate::problem::Problem;

/// Largest side of a picture that a scenario may ask for.
const LARGEST: u16 = 4096;

/// A camera of a scenario.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CameraEntry {
    /// Its name.
    #[schemars(with = "String")]
    pub name: Spanned<String>,
    /// Where it is, in meters.
    #[schemars(with = "[f32; 3]")]
    pub position: Spanned<[f32; 3]>,
    /// What it looks at, in meters.
    #[schemars(with = "[f32; 3]")]
    pub look_at: Spanned<[f32; 3]>,
    /// Angle of view from the lowest to the highest edge, in degrees.
    #[serde(default = "usual_fov")]
    #[schemars(with = "f32")]
    pub fov_deg: Spanned<f32>,
    /// Rows and columns of its pictures, 1 to 4096.
    #[serde(default = "usual_size")]
    #[schemars(with = "[u16; 2]")]
    pub size: Spanned<[u16; 2]>,
    /// What it moves with: a body of the hand (`palm`), an object, `walker`; left out, it stands still.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub on: Option<Spanned<String>>,
}

fn usual_fov() -> Spanned<f32> {
    Spanned::new(0..0, 60.0)
}

fn usual_size() -> Spanned<[u16; 2]> {
    Spanned::new(0..0, [84, 84])
}

/// Where something is: its place in meters, and its rotation as a unit quaternion (x, y, z, w).
pub type Frame = ([f32; 3], [f32; 4]);

impl CameraEntry {
    /// The camera, where what it is on is at `frame`.
    pub fn camera(&self, frame: Option<Frame>) -> Camera {
        let [rows, columns] = self.size.get_ref().map(usize::from);
        let placed = |point: [f32; 3]| match frame {
            None => point,
            Some((at, rotation)) => {
                let turned = super::math::rotate(rotation, point);
                [0, 1, 2].map(|i| at[i] + turned[i])
            }
        };
        Camera::look_at(
            placed(*self.position.get_ref()),
            placed(*self.look_at.get_ref()),
            self.fov_deg.get_ref().to_radians(),
            columns,
            rows,
        )
    }

    /// What is wrong with it in itself.
    pub fn check(&self, text: &str) -> Vec<Problem> {
        let mut problems = Vec::new();
        let name = self.name.get_ref();
        let mut wrong = |span, message: String| {
            let message = format!("camera \"{name}\": {message}");
            problems.push(Problem::at(text, span, message));
        };
        let fov = *self.fov_deg.get_ref();
        if !(fov > 0.0 && fov < 179.0) {
            let found = format!("fov_deg: expected more than 0 and less than 179, found {fov}");
            wrong(self.fov_deg.span(), found);
        }
        let [rows, columns] = *self.size.get_ref();
        if ![rows, columns].iter().all(|n| (1..=LARGEST).contains(n)) {
            let found = format!(
                "size: expected 1 to {LARGEST} rows and columns, found [{rows}, {columns}]"
            );
            wrong(self.size.span(), found);
        }
        if self.position.get_ref() == self.look_at.get_ref() {
            let found = "look_at: expected another place than the camera's own".to_owned();
            wrong(self.look_at.span(), found);
        }
        problems
    }

    /// What is wrong with where it is on: `expected` says what there is.
    pub(crate) fn unknown(&self, expected: &str, text: &str) -> Option<Problem> {
        let on = self.on.as_ref()?;
        let (name, found) = (self.name.get_ref(), on.get_ref());
        let message = format!("camera \"{name}\": on: expected {expected}, found \"{found}\"");
        Some(Problem::at(text, on.span(), message))
    }

    /// Whether it sees nothing of a scene, because it is inside something.
    pub fn check_place(&self, camera: &Camera, scene: &Scene, text: &str) -> Option<Problem> {
        let inside = camera.inside_of(scene)?;
        let what = match scene.solids[inside].shape {
            super::Shape::Plane => "below the floor",
            _ => "inside something solid",
        };
        let (name, at) = (self.name.get_ref(), self.position.get_ref());
        let message =
            format!("camera \"{name}\": position: expected a free place, found {at:?} {what}");
        Some(Problem::at(text, self.position.span(), message))
    }
}
