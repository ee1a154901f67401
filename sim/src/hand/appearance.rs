//! What tasks look like, drawn anew for each episode: light, colors, textures, the camera's place, things that lie around, and
//! what goes on in the background.
//!
//! ```toml
//! [appearance]
//! light = { turn_deg = 40.0, brightness = [0.7, 1.2] }
//! colors = 0.2
//! textures = 0.5
//! camera = { shift_m = 0.03, turn_deg = 2.0 }
//! distractors = { min = 0, max = 4 }
//! television = true
//! moving_shadows = true
//! ```
//!
//! Only pictures change: what happens in an episode does not depend on what it looks like. What is drawn follows from the run's
//! seed, the scenario and the episode's number, and what changes within an episode from the step besides: pictures of a
//! recorded episode are made again at any time. Nothing that television or shadows show is caused by what is done
//! (exogenous noise).

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::task::View;
use crate::camera::{Camera, Light, Material, Scene, Shape, Solid, Texture};
use crate::scenario::types::Count;

/// From what an appearance is drawn. What is left out stays as usual.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AppearanceRanges {
    /// The light.
    pub light: Option<LightRange>,
    /// How far each channel of each color changes at most, from 0 to 1.
    pub colors: f32,
    /// Share of surfaces that get a checker or noise, from 0 to 1.
    pub textures: f32,
    /// The camera's place.
    pub camera: Option<CameraRange>,
    /// How many small things lie around that nothing touches.
    pub distractors: Option<Count>,
    /// Whether a screen behind everything changes its colors with every step.
    pub television: bool,
    /// Whether there are shadows, and the light wanders with every step.
    pub moving_shadows: bool,
}

/// From what a light is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LightRange {
    /// How far it is turned at most from where it usually shines, in degrees, to 80.
    #[serde(default)]
    pub turn_deg: f32,
    /// Its strength: least and most, as a share of the usual, from 0 to 3.
    #[serde(default = "usual_brightness")]
    pub brightness: [f32; 2],
}

/// From what a camera's place is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CameraRange {
    /// How far it is shifted at most along each axis, in meters, to 1.
    #[serde(default)]
    pub shift_m: f32,
    /// How far it is turned at most around each axis, in degrees, to 45.
    #[serde(default)]
    pub turn_deg: f32,
}

fn usual_brightness() -> [f32; 2] {
    [1.0, 1.0]
}

/// Appearances that a policy was not trained on, by name.
pub fn presets() -> [(&'static str, AppearanceRanges); 3] {
    let usual = AppearanceRanges::default();
    [
        (
            "light",
            AppearanceRanges {
                light: Some(LightRange {
                    turn_deg: 60.0,
                    brightness: [0.6, 1.3],
                }),
                ..usual.clone()
            },
        ),
        (
            "textures",
            AppearanceRanges {
                colors: 0.15,
                textures: 0.5,
                ..usual.clone()
            },
        ),
        (
            "distractors",
            AppearanceRanges {
                distractors: Some(Count { min: 2, max: 5 }),
                ..usual
            },
        ),
    ]
}

impl AppearanceRanges {
    /// What is wrong: the field, what was found and what was expected.
    pub fn check(&self) -> Option<(&'static str, String)> {
        let mut limits = vec![
            ("colors", self.colors, 1.0),
            ("textures", self.textures, 1.0),
        ];
        if let Some(light) = self.light {
            limits.push(("turn_deg", light.turn_deg, 80.0));
            limits.extend(light.brightness.map(|x| ("brightness", x, 3.0)));
        }
        if let Some(camera) = self.camera {
            limits.push(("shift_m", camera.shift_m, 1.0));
            limits.push(("turn_deg", camera.turn_deg, 45.0));
        }
        for (field, found, most) in limits {
            if !(0.0..=most).contains(&found) {
                return Some((field, format!("expected from 0 to {most}, found {found}")));
            }
        }
        let Count { min, max } = self.distractors?;
        (min > max || max > 20).then(|| {
            let found = format!("expected min to max and at most 20, found {min} and {max}");
            ("distractors", found)
        })
    }

    /// An appearance, from an episode's own stream; `view` is where what matters is.
    pub fn draw(&self, view: &View, rng: &mut ChaCha8Rng) -> Appearance {
        /// More solids than a task has.
        const SURFACES: usize = 64;
        let mut symmetric = || 2.0 * rng.random::<f32>() - 1.0;
        let usual = Light::default();
        let mut light = usual;
        if let Some(range) = self.light {
            let turn = |x: f32| range.turn_deg.to_radians() * x;
            let [yaw, pitch] = [turn(symmetric()), turn(symmetric())];
            light.direction = tilted(usual.direction, yaw, pitch);
            let [low, high] = range.brightness;
            let strength = 0.5 * (low + high) + 0.5 * (high - low) * symmetric();
            light.ambient = (usual.ambient * strength).min(1.0);
            light.diffuse = (usual.diffuse * strength).min(1.0);
        }
        let surfaces = (0..SURFACES).map(|_| {
            let shift = [symmetric(), symmetric(), symmetric()].map(|x| self.colors * x);
            let (kind, size) = (symmetric(), 0.03 + 0.05 * symmetric().abs());
            let other = [symmetric(), symmetric(), symmetric()].map(|x| 0.5 + 0.5 * x);
            let textured = 0.5 + 0.5 * symmetric() < self.textures;
            let texture = match (textured, kind > 0.0) {
                (false, _) => Texture::Plain,
                (true, true) => Texture::Checker { size, color: other },
                (true, false) => Texture::Noise { size, color: other },
            };
            Surface { shift, texture }
        });
        let surfaces: Vec<Surface> = surfaces.collect();
        let range = self.camera.unwrap_or(CameraRange {
            shift_m: 0.0,
            turn_deg: 0.0,
        });
        let shift = [symmetric(), symmetric(), symmetric()].map(|x| range.shift_m * x);
        let turn = [symmetric(), symmetric()].map(|x| range.turn_deg.to_radians() * x);
        let [least, most] = self
            .distractors
            .map_or([0, 0], |count| [count.min, count.max]);
        let n = least + (0.5 * (1.0 + symmetric()) * (most - least + 1) as f32) as u32;
        let distractors = (0..n.min(most)).map(|i| {
            let (angle, r) = (std::f32::consts::PI * symmetric(), 0.3 + 0.1 * symmetric());
            let [x, y, _] = view.to;
            let size = 0.02 + 0.01 * symmetric();
            let color = [symmetric(), symmetric(), symmetric()].map(|x| 0.5 + 0.5 * x);
            let shape = match i % 3 {
                0 => Shape::Box { half: [size; 3] },
                1 => Shape::Sphere { radius: size },
                _ => Shape::Cylinder {
                    radius: size,
                    half_length: size,
                },
            };
            Solid {
                shape,
                position: [
                    x + r * libm::cosf(angle),
                    y + r * libm::sinf(angle),
                    view.ground + size,
                ],
                material: Material::plain(color),
                id: DISTRACTOR + i as u16,
                ..Solid::default()
            }
        });
        let distractors = distractors.collect();
        Appearance {
            light,
            shift,
            turn,
            distractors,
            television: self.television.then(|| television(view)),
            moving_shadows: self.moving_shadows,
            seed: rng.random(),
            surfaces: if self.colors > 0.0 || self.textures > 0.0 {
                surfaces
            } else {
                Vec::new()
            },
        }
    }
}

/// Segmentation ids of things that lie around, and of the screen.
const DISTRACTOR: u16 = 20_000;
const TELEVISION: u16 = 19_999;

/// What an episode looks like.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Appearance {
    light: Light,
    /// By the place of a solid in the scene, over and over.
    surfaces: Vec<Surface>,
    /// Of the camera, meters.
    shift: [f32; 3],
    /// Of the camera, radians: to the side, and up.
    turn: [f32; 2],
    distractors: Vec<Solid>,
    television: Option<Solid>,
    moving_shadows: bool,
    seed: u64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Surface {
    shift: [f32; 3],
    texture: Texture,
}

impl Appearance {
    /// Makes a scene look like this, at a step of its episode.
    pub fn apply(&self, step: u32, scene: &mut Scene) {
        let shadows = scene.light.shadows;
        scene.light = Light {
            shadows,
            ..self.light
        };
        if self.moving_shadows {
            let phase = 0.13 * step as f32 + (self.seed % 64) as f32;
            let (yaw, pitch) = (0.6 * libm::sinf(phase), 0.4 * libm::cosf(0.7 * phase));
            scene.light.direction = tilted(self.light.direction, yaw, pitch);
            scene.light.shadows = true;
        }
        if !self.surfaces.is_empty() {
            for (solid, surface) in scene.solids.iter_mut().zip(self.surfaces.iter().cycle()) {
                let color = solid.material.color;
                let changed = |i: usize| (color[i] + surface.shift[i]).clamp(0.0, 1.0);
                solid.material.color = [0, 1, 2].map(changed);
                if surface.texture != Texture::Plain {
                    solid.material.texture = surface.texture;
                }
            }
        }
        scene.solids.extend_from_slice(&self.distractors);
        if let Some(screen) = &self.television {
            let mut rng = ChaCha8Rng::seed_from_u64(self.seed ^ (u64::from(step) << 32));
            let mut color = || [0; 3].map(|_: i32| rng.random::<f32>());
            let material = Material {
                color: color(),
                texture: Texture::Checker {
                    size: 0.15,
                    color: color(),
                },
                specular: 0.0,
            };
            scene.solids.push(Solid {
                material,
                ..screen.clone()
            });
        }
    }

    /// A camera's place in this episode.
    pub fn moved(&self, camera: &Camera) -> Camera {
        if self.shift == [0.0; 3] && self.turn == [0.0; 2] {
            return *camera;
        }
        let position = [0, 1, 2].map(|i| camera.position[i] + self.shift[i]);
        let ahead = camera.ahead();
        let ahead = tilted(ahead, self.turn[0], self.turn[1]);
        let target = [0, 1, 2].map(|i| position[i] + ahead[i]);
        let moved = Camera::look_at(position, target, camera.fovy, camera.width, camera.height);
        Camera {
            near: camera.near,
            far: camera.far,
            ..moved
        }
    }

    /// What was drawn, in words.
    pub fn say(&self) -> String {
        let round = |x: f32| (100.0 * x).round() / 100.0;
        let Light {
            direction,
            ambient,
            diffuse,
            ..
        } = self.light;
        let textured = |s: &&Surface| s.texture != Texture::Plain;
        format!(
            "light to {:?}, {} ambient and {} diffuse{}; {} of {} surfaces textured; camera shifted by {:?} m and turned by {:?} degrees; {} distractors{}",
            direction.map(round),
            round(ambient),
            round(diffuse),
            if self.moving_shadows {
                ", wandering"
            } else {
                ""
            },
            self.surfaces.iter().filter(textured).count(),
            self.surfaces.len(),
            self.shift.map(round),
            self.turn.map(|x| round(x.to_degrees())),
            self.distractors.len(),
            if self.television.is_some() {
                "; a television"
            } else {
                ""
            },
        )
    }
}

/// A direction turned around the vertical, then up.
fn tilted([x, y, z]: [f32; 3], yaw: f32, pitch: f32) -> [f32; 3] {
    let (sin, cos) = (libm::sinf(yaw), libm::cosf(yaw));
    let [x, y] = [x * cos - y * sin, x * sin + y * cos];
    let flat = libm::hypotf(x, y).max(1e-6);
    let (sin, cos) = (libm::sinf(pitch), libm::cosf(pitch));
    let [along, up] = [flat * cos - z * sin, flat * sin + z * cos];
    [x * along / flat, y * along / flat, up]
}

/// A screen behind what is looked at, or beside it where it is looked at from above; its front faces the camera.
fn television(view: &View) -> Solid {
    let away = [0, 1].map(|i| view.to[i] - view.from[i]);
    let length = libm::hypotf(away[0], away[1]);
    let (ahead, far) = if length < 0.1 {
        ([0.0, 1.0], 0.33)
    } else {
        (away.map(|x| x / length), 0.9)
    };
    let angle = libm::atan2f(ahead[1], ahead[0]);
    Solid {
        shape: Shape::Box {
            half: [0.02, 0.35, 0.22],
        },
        position: [
            view.to[0] + far * ahead[0],
            view.to[1] + far * ahead[1],
            view.to[2] + 0.15,
        ],
        rotation: [0.0, 0.0, libm::sinf(0.5 * angle), libm::cosf(0.5 * angle)],
        id: TELEVISION,
        ..Solid::default()
    }
}
