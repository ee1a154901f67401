//! A software camera: pictures of solids, drawn by casting rays on the processor.
//!
//! A [`Scene`] is plain data: solids with poses and materials, and a light. A [`Camera`] is a pinhole. A [`Renderer`] draws what a
//! camera sees of a scene: colors, depth, segmentation, normals, into buffers of the caller. A picture is a pure function of the
//! two: the same scene gives the same bytes on any processor, so that stores keep states and pictures are made again.
//!
//! Each solid is brought into the frame of the camera (`prepare`), where rays start at the origin and a hit is found as the
//! inverse of its depth, without a division. Packets of 4 × 4 pixels are cast at 1, 8 or 16 rays an instruction (`packet`)
//! against the solids whose bounds on the screen they meet; shadows (`shadow`) do the same in the plane that the light shines
//! on. Surfaces are seen from outside only: a solid that the camera is inside of is not drawn.
//!
//! ```
//! use sim::camera::{Camera, Material, Pictures, Renderer, Scene, Shape, Solid};
//!
//! let mut scene = Scene::default();
//! scene.solids.push(Solid {
//!     shape: Shape::Sphere { radius: 0.5 },
//!     position: [0.0, 0.0, 0.5],
//!     material: Material::plain([0.8, 0.2, 0.1]),
//!     id: 7,
//!     ..Solid::default()
//! });
//! let camera = Camera::look_at([2.0, 0.0, 1.0], [0.0, 0.0, 0.5], 0.8, 64, 48);
//! let mut ids = vec![0; 64 * 48];
//! let into = Pictures { segmentation: Some(&mut ids), ..Pictures::default() };
//! Renderer::new().draw(&scene, &camera, into)?;
//! assert_eq!(ids[24 * 64 + 32], 7);
//! # Ok::<(), sim::camera::PictureError>(())
//! ```

mod entry;
mod math;
mod mesh;
mod packet;
mod prepare;
mod renderer;
mod shadow;
#[cfg(test)]
mod tests;

use std::sync::Arc;

pub use entry::{CameraEntry, Frame};
pub use mesh::{Mesh, MeshError};
pub use renderer::{PictureError, Pictures, Renderer};

use math::{Vec3, cross, dot, norm, rotate, scale, sub, unit};

/// What can be seen.
#[derive(Clone, Debug, PartialEq)]
pub struct Scene {
    /// What there is.
    pub solids: Vec<Solid>,
    /// What shines on it.
    pub light: Light,
    /// Color where nothing is, sRGB in [0, 1].
    pub background: [f32; 3],
}

impl Default for Scene {
    fn default() -> Self {
        Self {
            solids: Vec::new(),
            light: Light::default(),
            background: [0.55, 0.68, 0.82],
        }
    }
}

/// A solid with a pose and a material.
#[derive(Clone, Debug, PartialEq)]
pub struct Solid {
    /// What it is.
    pub shape: Shape,
    /// Position of its middle in the world, meters.
    pub position: [f32; 3],
    /// Its rotation as a unit quaternion (x, y, z, w).
    pub rotation: [f32; 4],
    /// What it looks like.
    pub material: Material,
    /// What stands for it in a segmentation; 0 is for nothing.
    pub id: u16,
    /// Whether it throws a shadow where the light has any. Planes never do.
    pub casts_shadow: bool,
}

impl Default for Solid {
    fn default() -> Self {
        Self {
            shape: Shape::Sphere { radius: 0.5 },
            position: [0.0; 3],
            rotation: [0.0, 0.0, 0.0, 1.0],
            material: Material::plain([0.7; 3]),
            id: 1,
            casts_shadow: true,
        }
    }
}

/// Form of a [`Solid`] in its own frame, lengths in meters.
#[derive(Clone, Debug, PartialEq)]
pub enum Shape {
    /// A box around the origin.
    Box {
        /// Half extents along x, y, z.
        half: [f32; 3],
    },
    /// A ball around the origin.
    Sphere {
        /// Radius.
        radius: f32,
    },
    /// A cylinder along z with half a ball at each end.
    Capsule {
        /// Radius.
        radius: f32,
        /// Half length of the straight part.
        half_length: f32,
    },
    /// A cylinder along z.
    Cylinder {
        /// Radius.
        radius: f32,
        /// Half length.
        half_length: f32,
    },
    /// An ellipsoid around the origin.
    Ellipsoid {
        /// Half axes along x, y, z.
        half: [f32; 3],
    },
    /// All that is below z = 0, without end.
    Plane,
    /// Triangles, seen from both sides.
    Mesh(Arc<Mesh>),
}

/// What a surface looks like.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Material {
    /// Color, sRGB in [0, 1].
    pub color: [f32; 3],
    /// Where it has another color.
    pub texture: Texture,
    /// Strength of highlights, in [0, 1]; 0 for none.
    pub specular: f32,
}

impl Material {
    /// One color without highlights.
    pub const fn plain(color: [f32; 3]) -> Self {
        Self {
            color,
            texture: Texture::Plain,
            specular: 0.0,
        }
    }
}

/// A second color in the volume of a solid, in its own frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Texture {
    /// None.
    Plain,
    /// Cubes of both colors in turn.
    Checker {
        /// Side of a cube, meters.
        size: f32,
        /// The other color, sRGB in [0, 1].
        color: [f32; 3],
    },
    /// Smooth noise between both colors.
    Noise {
        /// About the distance of one spot to the next, meters.
        size: f32,
        /// The other color, sRGB in [0, 1].
        color: [f32; 3],
    },
}

/// A light from far away, and light from everywhere.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Light {
    /// Where it shines to, in the world; of any length.
    pub direction: [f32; 3],
    /// Light from everywhere, in [0, 1].
    pub ambient: f32,
    /// Light from its direction on a surface that faces it, in [0, 1] (Lambert).
    pub diffuse: f32,
    /// Whether solids throw shadows.
    pub shadows: bool,
}

impl Default for Light {
    fn default() -> Self {
        Self {
            direction: [-0.35, 0.5, -0.8],
            ambient: 0.45,
            diffuse: 0.55,
            shadows: true,
        }
    }
}

/// A pinhole camera. The ray of the pixel in row r (0 on top) and column c goes through the middle of the pixel: in the camera's
/// frame, along x = tan(fovy / 2) · (2 (c + 0.5) / width − 1) · width / height, y = tan(fovy / 2) · (1 − 2 (r + 0.5) / height), z = −1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Camera {
    /// Where it is in the world, meters.
    pub position: [f32; 3],
    /// Rotation from its frame (x to the right, y up, looking along −z) to the world, as a unit quaternion (x, y, z, w).
    pub rotation: [f32; 4],
    /// Angle of view from the lowest to the highest edge, radians.
    pub fovy: f32,
    /// What is nearer is not seen, meters along the axis of view.
    pub near: f32,
    /// What is farther is not seen, meters along the axis of view.
    pub far: f32,
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
}

/// Largest width and height of a picture.
pub const LARGEST_PICTURE: usize = 8192;

impl Camera {
    /// A camera that looks at a point, upright, with `fovy` in radians. It sees from 2 cm to 50 m.
    pub fn look_at(
        position: [f32; 3],
        target: [f32; 3],
        fovy: f32,
        width: usize,
        height: usize,
    ) -> Self {
        let back = unit(sub(position, target));
        // Who looks straight down has north (y) on top.
        let up = if back[0] * back[0] + back[1] * back[1] < 1e-8 {
            [0.0, 1.0, 0.0]
        } else {
            [0.0, 0.0, 1.0]
        };
        let right = unit(cross(up, back));
        Self {
            position,
            rotation: math::rotation_of([right, cross(back, right), back]),
            fovy,
            near: 0.02,
            far: 50.0,
            width,
            height,
        }
    }

    /// What is wrong with it.
    ///
    /// # Errors
    /// A field is out of its range.
    pub fn check(&self) -> Result<(), CameraError> {
        let finite = self.position.iter().chain(&self.rotation);
        if !finite.clone().all(|v| v.is_finite()) {
            return Err(CameraError::NotFinite);
        }
        let length: f32 = self.rotation.iter().map(|v| v * v).sum();
        if (length - 1.0).abs() > 1e-3 {
            return Err(CameraError::Rotation);
        }
        if !(self.fovy > 0.0 && self.fovy < std::f32::consts::PI - 1e-3) {
            return Err(CameraError::FieldOfView(self.fovy));
        }
        if !(self.near > 0.0 && self.far > self.near && self.far.is_finite()) {
            return Err(CameraError::Depths {
                near: self.near,
                far: self.far,
            });
        }
        let sizes = 1..=LARGEST_PICTURE;
        if !sizes.contains(&self.width) || !sizes.contains(&self.height) {
            return Err(CameraError::Size {
                width: self.width,
                height: self.height,
            });
        }
        Ok(())
    }

    /// The first solid that it is inside of, by its place among the scene's, if it is inside any.
    pub fn inside_of(&self, scene: &Scene) -> Option<usize> {
        scene.solids.iter().position(|s| s.contains(self.position))
    }

    /// Where it looks, a direction of length 1 in the world.
    pub fn ahead(&self) -> [f32; 3] {
        self.axes()[2]
    }

    /// Its axes in the world: right, up, forward.
    fn axes(&self) -> [Vec3; 3] {
        let [right, up, back] = math::matrix_of(self.rotation);
        [right, up, scale(back, -1.0)]
    }
}

impl Solid {
    /// Whether a point of the world is inside. Meshes have no inside.
    pub fn contains(&self, point: [f32; 3]) -> bool {
        let [x, y, z, w] = self.rotation;
        let p = rotate([-x, -y, -z, w], sub(point, self.position));
        match &self.shape {
            Shape::Box { half } => (0..3).all(|k| p[k].abs() < half[k]),
            Shape::Sphere { radius } => dot(p, p) < radius * radius,
            Shape::Capsule {
                radius,
                half_length,
            } => {
                let on_axis = [0.0, 0.0, p[2].clamp(-half_length, *half_length)];
                norm(sub(p, on_axis)) < *radius
            }
            Shape::Cylinder {
                radius,
                half_length,
            } => p[0] * p[0] + p[1] * p[1] < radius * radius && p[2].abs() < *half_length,
            Shape::Ellipsoid { half } => {
                let q = [0, 1, 2].map(|k| p[k] / half[k]);
                dot(q, q) < 1.0
            }
            Shape::Plane => p[2] < 0.0,
            Shape::Mesh(_) => false,
        }
    }
}

/// What is wrong with a camera.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum CameraError {
    /// A number of its pose is not finite.
    #[error("the pose of the camera has a number that is not finite")]
    NotFinite,
    /// The quaternion is not of length 1.
    #[error("the rotation of the camera is not a quaternion of length 1")]
    Rotation,
    /// No pinhole has it.
    #[error("the field of view is {0} radians, expected more than 0 and less than π")]
    FieldOfView(f32),
    /// Nothing lies between them.
    #[error("the camera sees from {near} m to {far} m, expected 0 < near < far")]
    Depths {
        /// Meters.
        near: f32,
        /// Meters.
        far: f32,
    },
    /// Pictures have at least one pixel and at most [`LARGEST_PICTURE`] a side.
    #[error("a picture of {width} × {height} pixels, expected 1 to {LARGEST_PICTURE} on each side")]
    Size {
        /// Columns.
        width: usize,
        /// Rows.
        height: usize,
    },
}
