//! `bench camera`: pictures of a scene in a second of processor time, and what is seen on them.
//!
//! The scene is a JSON file: solids with fixed poses or with a pose in each of several frames, a camera, a light (see
//! `tests/peers/render/`, where other renderers draw the same one).

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Deserialize;
use sim::camera::{Camera, Light, Material, Pictures, Renderer, Scene, Shape, Solid};

use super::super::{CommandError, Done, png};
use super::processor_seconds;

/// A table with ten things and an arm.
const BUILT_IN: &str = include_str!("../../../../../tests/peers/render/scene.json");
/// Things that move while it is measured, one in each picture.
const MOVERS: usize = 10;

#[derive(Args)]
pub(crate) struct Arguments {
    /// The scene; by default a table with ten things and an arm.
    #[arg(long, value_name = "FILE.json")]
    scene: Option<PathBuf>,
    /// Rows and columns of a picture; by default as the scene says.
    #[arg(long, value_name = "PIXELS")]
    size: Option<usize>,
    /// Writes depth.npy, segmentation.npy and a picture of each frame of the scene here.
    #[arg(long, value_name = "DIR")]
    dump: Option<PathBuf>,
    /// Processor time for each figure, in seconds.
    #[arg(long, value_name = "S", default_value_t = 2.0)]
    seconds: f64,
}

#[derive(Deserialize)]
struct SceneFile {
    width: usize,
    height: usize,
    /// How far things move from picture to picture, meters.
    motion_radius: f32,
    camera: Eye,
    light: Sun,
    geoms: Vec<Geom>,
    frames: Vec<Frame>,
}

#[derive(Deserialize)]
struct Eye {
    position: [f32; 3],
    forward: [f32; 3],
    fovy: f32,
    near: f32,
    far: f32,
}

#[derive(Deserialize)]
struct Sun {
    direction: [f32; 3],
    ambient: f32,
    diffuse: f32,
}

#[derive(Deserialize)]
struct Geom {
    name: String,
    id: u16,
    color: [f32; 3],
    #[serde(flatten)]
    shape: GeomShape,
    position: Option<[f32; 3]>,
    quaternion_wxyz: Option<[f32; 4]>,
}

#[derive(Deserialize)]
#[serde(tag = "shape", rename_all = "snake_case")]
enum GeomShape {
    Box { half_extents: [f32; 3] },
    Sphere { radius: f32 },
    Capsule { radius: f32, half_length: f32 },
    Cylinder { radius: f32, half_length: f32 },
    Plane {},
}

#[derive(Deserialize)]
struct Frame {
    /// x, y, z, then a quaternion w, x, y, z.
    poses: BTreeMap<String, [f32; 7]>,
}

/// A scene made ready: as it is in the first frame.
struct Stage {
    scene: Scene,
    camera: Camera,
    /// Solids that move, in the order of the file.
    movers: Vec<usize>,
    file: SceneFile,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Done, CommandError> {
    let name = arguments.scene.as_ref().map_or_else(
        || "the built-in scene".to_owned(),
        |path| path.display().to_string(),
    );
    let text = match &arguments.scene {
        Some(path) => fs::read_to_string(path)
            .map_err(|e| CommandError::Input(format!("{name}: cannot be read: {e}")))?,
        None => BUILT_IN.to_owned(),
    };
    let wrong = |message: String| CommandError::Input(format!("{name}: {message}"));
    let file: SceneFile = serde_json::from_str(&text).map_err(|e| wrong(e.to_string()))?;
    let mut stage = Stage::new(file, arguments.size).map_err(wrong)?;
    stage.camera.check().map_err(|e| wrong(e.to_string()))?;
    if let Some(index) = stage.camera.inside_of(&stage.scene) {
        let inside = &stage.file.geoms[index].name;
        return Err(wrong(format!("the camera is inside of \"{inside}\"")));
    }
    if let Some(directory) = &arguments.dump {
        dump(&mut stage, directory)?;
        stage.place(0).map_err(wrong)?;
    }
    let mut rates = [0.0; 2];
    for (rate, shadows) in rates.iter_mut().zip([false, true]) {
        stage.scene.light.shadows = shadows;
        *rate = stage.rate(arguments.seconds);
    }
    let lanes = Renderer::new().lanes();
    let [plain, shadows] = rates.map(f64::round);
    let size = [stage.camera.width, stage.camera.height];
    let text = format!(
        "pictures of {} × {} pixels per core-second, {lanes} rays an instruction: {plain}, with shadows {shadows}",
        size[0], size[1]
    );
    let json = serde_json::json!({
        "bench": "camera", "size": size, "lanes": lanes,
        "frames_per_core_second": { "plain": plain, "shadows": shadows },
    });
    Ok(Done::new(text, json))
}

impl Stage {
    fn new(file: SceneFile, size: Option<usize>) -> Result<Self, String> {
        let eye = &file.camera;
        let [position, ahead] = [eye.position, eye.forward];
        let target = [0, 1, 2].map(|k| position[k] + ahead[k]);
        let [width, height] = size.map_or([file.width, file.height], |s| [s, s]);
        let camera = Camera {
            near: eye.near,
            far: eye.far,
            ..Camera::look_at(position, target, eye.fovy, width, height)
        };
        let mut scene = Scene {
            light: Light {
                direction: file.light.direction,
                ambient: file.light.ambient,
                diffuse: file.light.diffuse,
                shadows: false,
            },
            ..Scene::default()
        };
        let mut movers = Vec::new();
        for (index, geom) in file.geoms.iter().enumerate() {
            let [w, x, y, z] = geom.quaternion_wxyz.unwrap_or([1.0, 0.0, 0.0, 0.0]);
            if geom.position.is_none() {
                movers.push(index);
            }
            scene.solids.push(Solid {
                shape: geom.shape.shape(),
                position: geom.position.unwrap_or_default(),
                rotation: [x, y, z, w],
                material: Material::plain(geom.color),
                id: geom.id,
                casts_shadow: true,
            });
        }
        if file.frames.is_empty() || movers.is_empty() {
            return Err("expected at least one frame and a solid without position".to_owned());
        }
        let mut stage = Self {
            scene,
            camera,
            movers,
            file,
        };
        stage.place(0)?;
        Ok(stage)
    }

    /// Puts what moves where it is in a frame.
    fn place(&mut self, frame: usize) -> Result<(), String> {
        for mover in &self.movers {
            let name = &self.file.geoms[*mover].name;
            let pose = self.file.frames[frame].poses.get(name);
            let Some([px, py, pz, w, x, y, z]) = pose.copied() else {
                return Err(format!("frame {frame} has no pose of \"{name}\""));
            };
            let solid = &mut self.scene.solids[*mover];
            solid.position = [px, py, pz];
            solid.rotation = [x, y, z, w];
        }
        Ok(())
    }

    /// Pictures in a second of processor time; from one to the next, one thing moves.
    fn rate(&mut self, seconds: f64) -> f64 {
        let mut renderer = Renderer::new();
        let mut rgb = vec![0; 3 * self.camera.width * self.camera.height];
        let homes: Vec<[f32; 3]> = self.scene.solids.iter().map(|s| s.position).collect();
        let movers = self.movers.len().min(MOVERS);
        let (mut best, mut spent) = (0.0_f64, 0.0);
        let mut number = 0_u32;
        // The best of some: what else the machine does only makes it slower.
        while spent < seconds {
            let (start, first) = (processor_seconds(), number);
            let mut elapsed = 0.0;
            while elapsed < 0.1 * seconds {
                for _ in 0..MOVERS {
                    let mover = self.movers[number as usize % movers];
                    let angle = number as f32;
                    let [x, y, z] = homes[mover];
                    let r = self.file.motion_radius;
                    self.scene.solids[mover].position =
                        [x + r * angle.cos(), y + r * angle.sin(), z];
                    let into = Pictures {
                        rgb: Some(&mut rgb),
                        ..Pictures::default()
                    };
                    renderer
                        .draw(&self.scene, &self.camera, into)
                        .expect("the camera was checked");
                    number += 1;
                }
                elapsed = processor_seconds() - start;
            }
            best = best.max(f64::from(number - first) / elapsed);
            spent += elapsed;
        }
        for (solid, home) in self.scene.solids.iter_mut().zip(homes) {
            solid.position = home;
        }
        best
    }
}

impl GeomShape {
    fn shape(&self) -> Shape {
        match *self {
            Self::Box { half_extents } => Shape::Box { half: half_extents },
            Self::Sphere { radius } => Shape::Sphere { radius },
            Self::Capsule {
                radius,
                half_length,
            } => Shape::Capsule {
                radius,
                half_length,
            },
            Self::Cylinder {
                radius,
                half_length,
            } => Shape::Cylinder {
                radius,
                half_length,
            },
            Self::Plane {} => Shape::Plane,
        }
    }
}

/// Draws every frame: depth and ids in one file each, colors, with shadows and 3 × 3 rays a pixel, in one PNG each.
fn dump(stage: &mut Stage, directory: &Path) -> Result<(), CommandError> {
    let failed = |path: &Path, e: &dyn std::fmt::Display| {
        CommandError::Failed(format!("{}: cannot be written: {e}", path.display()))
    };
    fs::create_dir_all(directory).map_err(|e| failed(directory, &e))?;
    let (width, height) = (stage.camera.width, stage.camera.height);
    let mut renderer = Renderer::new().supersampled(3);
    let (mut depths, mut ids) = (Vec::new(), Vec::new());
    let frames = stage.file.frames.len();
    for frame in 0..frames {
        stage.place(frame).map_err(CommandError::Input)?;
        stage.scene.light.shadows = true;
        let (mut rgb, mut depth) = (vec![0; 3 * width * height], vec![0.0; width * height]);
        let mut seen = vec![0; width * height];
        let into = Pictures {
            rgb: Some(&mut rgb),
            depth: Some(&mut depth),
            segmentation: Some(&mut seen),
            normals: None,
        };
        renderer
            .draw(&stage.scene, &stage.camera, into)
            .map_err(|e| CommandError::Input(e.to_string()))?;
        let path = directory.join(format!("frame{frame}.png"));
        png::write(&path, &rgb, [width, height]).map_err(|e| failed(&path, &e))?;
        depths.extend(depth.iter().flat_map(|d| d.to_le_bytes()));
        if let Some(id) = seen.iter().find(|id| **id > 255) {
            return Err(CommandError::Input(format!(
                "id {id} does not fit into segmentation.npy, expected at most 255"
            )));
        }
        ids.extend(seen.iter().map(|id| *id as u8));
    }
    let shape = [frames, height, width];
    for (name, kind, data) in [("depth", "<f4", depths), ("segmentation", "|u1", ids)] {
        let path = directory.join(name).with_extension("npy");
        fs::write(&path, npy(kind, shape, &data)).map_err(|e| failed(&path, &e))?;
    }
    Ok(())
}

/// An array in NumPy's format, version 1.0.
fn npy(kind: &str, shape: [usize; 3], data: &[u8]) -> Vec<u8> {
    let [a, b, c] = shape;
    let mut header =
        format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': ({a}, {b}, {c}), }}");
    // Magic, version and length are 10 bytes; the data begin at a multiple of 64.
    while (10 + header.len() + 1) % 64 != 0 {
        header.push(' ');
    }
    header.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(data);
    bytes
}
