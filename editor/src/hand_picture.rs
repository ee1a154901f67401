//! A hand at its task made visible: what was observed says where everything is.

use std::iter;

use episode::{Observation, Value};
use hand::kernel::{BodyPose, Kernel};
use sim::env::{Start, VectorEnv as _, Wish};
use sim::hand::{HandEnv, HandScenario};

use crate::figure::{self, form, muscle_color, quaternion, stretch};
use crate::scene::{ItemId, Kind, Piece, Scene, Solid, Table};

/// Radius of a muscle's line (meters).
const CORD: f32 = 0.0012;
const SKIN: [f32; 3] = [0.9, 0.75, 0.6];
const WOOD: [f32; 3] = [0.7, 0.6, 0.45];
const THING: [f32; 3] = [0.3, 0.55, 0.8];
const HERE: BodyPose = BodyPose {
    pos: [0.0; 3],
    turn: [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
};

/// Draws observations of one hand task.
#[derive(Clone, Debug)]
pub struct HandPicture {
    kernel: Kernel,
    scene: hand::scene::Scene,
}

impl HandPicture {
    /// For the worlds of an environment.
    pub fn of(env: &HandEnv) -> Self {
        Self {
            kernel: env.setting().kernel.clone(),
            scene: env.scene().clone(),
        }
    }

    /// The start of a task's first episode of a seed.
    ///
    /// # Errors
    /// When none can start.
    pub fn start(scenario: &HandScenario, seed: u64) -> Result<Scene, String> {
        let mut env = scenario.env(1, None).map_err(|error| error.to_string())?;
        let (index, wish) = (0, Wish::Draw);
        let first = env.reset(0, &Start { seed, index, wish });
        let first = first.map_err(|error| error.to_string())?;
        Ok(Self::of(&env).scene(&first))
    }

    /// Links, muscles colored by activation, and what the task put around them.
    pub fn scene(&self, seen: &Observation) -> Scene {
        let list = |name: &str| -> Vec<f64> {
            match seen.0.get(name) {
                Some(Value::Array(numbers)) => numbers.iter().map(|x| f64::from(*x)).collect(),
                _ => Vec::new(),
            }
        };
        let mut qpos = list("joint_angles");
        qpos.extend(list("hinge_angles"));
        qpos.resize(self.kernel.joints().len(), 0.0);
        let mut pieces = Vec::new();
        let poses = self.kernel.link_poses(&qpos);
        let mut solids: Vec<Vec<Solid>> = vec![Vec::new(); poses.len()];
        for shape in self.kernel.shapes() {
            solids[shape.link].extend(figure::solid(&shape));
        }
        for (pose, solids) in poses.iter().zip(solids) {
            if !solids.is_empty() {
                pieces.push(piece(pieces.len(), "hand", Kind::Hand, pose, solids, SKIN));
            }
        }
        let activations = list("activations");
        let muscles = self.kernel.paths(&qpos).into_iter();
        let muscles = muscles.zip(self.kernel.muscles());
        for ((path, name), act) in muscles.zip(activations.into_iter().chain(iter::repeat(0.0))) {
            let cords = path.iter().filter_map(|part| stretch(*part, CORD));
            let color = muscle_color(act as f32);
            let cords = cords.collect();
            pieces.push(piece(pieces.len(), name, Kind::Muscle, &HERE, cords, color));
        }
        for fixed in &self.scene.fixed {
            let solids = primitive(fixed);
            let part = pieces.len();
            pieces.push(piece(part, "table", Kind::Furniture, &HERE, solids, WOOD));
        }
        let poses = list("object_pose");
        let mut poses = poses.as_chunks().0.iter();
        for thing in &self.scene.objects {
            let solids = thing.shapes.iter().flat_map(primitive).collect();
            let part = pieces.len();
            let mut thing = piece(part, &thing.name, Kind::Thing, &HERE, solids, THING);
            if let Some([x, y, z, w, i, j, k]) = poses.next() {
                thing.position = [x, y, z].map(|x| *x as f32);
                thing.rotation = [i, j, k, w].map(|x| *x as f32);
            }
            pieces.push(thing);
        }
        Scene { pieces }
    }
}

fn piece(
    part: usize,
    name: &str,
    kind: Kind,
    pose: &BodyPose,
    solids: Vec<Solid>,
    color: [f32; 3],
) -> Piece {
    Piece {
        item: ItemId {
            table: Table::Agent,
            index: 0,
        },
        part,
        name: name.to_owned(),
        kind,
        position: pose.pos.map(|x| x as f32),
        rotation: quaternion(&pose.turn),
        solids,
        color,
    }
}

fn primitive(primitive: &hand::scene::Primitive) -> Vec<Solid> {
    let [w, x, y, z] = primitive.quat.map(|x| x as f32);
    let solid = form(primitive.kind, primitive.size).map(|form| Solid {
        form,
        center: primitive.pos.map(|x| x as f32),
        rotation: [x, y, z, w],
    });
    solid.into_iter().collect()
}
