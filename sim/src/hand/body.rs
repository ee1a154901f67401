//! Hands, and what tasks need to know of them.

use std::sync::Arc;

use ::hand::kernel::Kernel;
use ::hand::model::{self, Model, ParameterSet};

use super::HandError;

/// A hand that tasks can be done with.
#[derive(Clone, Debug)]
pub struct Body {
    /// What it is made of.
    pub model: Model,
    /// Which length ranges its muscles have. [`ParameterSet::Calibrated`] is usual: with `Compat` some muscles of MyoHand
    /// are too short to ever pull.
    pub parameters: ParameterSet,
    /// A site at the tip of each finger, thumb first (n_tips).
    pub tips: Vec<String>,
    /// A joint that moves the palm: what touches the links that it moves, up to where the fingers begin, touches the palm.
    pub palm: String,
    /// Actuators that one number of an action moves, by the beginning of their names: the two fingers of a gripper.
    pub together: Option<String>,
    /// Whether its drives carry its weight: a control of 0 holds it where it is.
    pub floats: bool,
}

impl Body {
    /// 23 joints, 39 muscles.
    ///
    /// # Errors
    /// Never, as long as the program's own model file is sound.
    pub fn myohand() -> Result<Self, HandError> {
        let tips = ["THtip", "IFtip", "MFtip", "RFtip", "LFtip"];
        Self::own(::hand::MYOHAND, "myohand.toml", tips, "flexion")
    }

    /// 24 joints, each with a motor.
    ///
    /// # Errors
    /// Never, as long as the program's own model file is sound.
    pub fn robot() -> Result<Self, HandError> {
        let tips = [
            "thumb_tip",
            "index_tip",
            "middle_tip",
            "ring_tip",
            "little_tip",
        ];
        Self::own(::hand::ROBOT_HAND, "robot.toml", tips, "wrist_flexion")
    }

    /// A floating gripper: velocities of the palm along x, y, z in m/s, and the grip from -1 (open) to 1 (close).
    ///
    /// # Errors
    /// Never, as long as the program's own model file is sound.
    pub fn gripper() -> Result<Self, HandError> {
        let tips = ["left_tip", "right_tip"];
        Ok(Self {
            together: Some("grip".to_owned()),
            floats: true,
            ..Self::own(::hand::GRIPPER, "gripper.toml", tips, "z")?
        })
    }

    /// A point mass on a plane: forces along x and y in newtons.
    ///
    /// # Errors
    /// Never, as long as the program's own model file is sound.
    pub fn point() -> Result<Self, HandError> {
        Self::own(::hand::POINT, "point.toml", ["point"], "y")
    }

    fn own<const N: usize>(
        text: &str,
        file: &str,
        tips: [&str; N],
        palm: &str,
    ) -> Result<Self, HandError> {
        let model = model::load_text(text, file);
        Ok(Self {
            model: model.map_err(|error| HandError::Model(error.to_string()))?,
            parameters: ParameterSet::Calibrated,
            tips: tips.map(str::to_owned).to_vec(),
            palm: palm.to_owned(),
            together: None,
            floats: false,
        })
    }
}

/// A hand in the scene of a task, made ready for drawing starts and targets.
#[derive(Clone, Debug)]
pub struct Setting {
    /// Name of the task.
    pub task: &'static str,
    /// The hand's model with what the task added to it behind.
    pub model: Model,
    /// The same, for computing where bodies are.
    pub kernel: Kernel,
    /// How many joints are the hand's own: the first ones.
    pub n_joints: usize,
    /// The tips' bodies and places on them (n_tips).
    pub tips: Vec<(String, [f64; 3])>,
    /// Poses that targets are drawn from, where the task made some: see [`Task::prepare`](super::task::Task::prepare)
    /// (any number × n_joints).
    pub poses: Arc<Vec<Vec<f32>>>,
    /// The last joint of each finger and the one before it: tendons bend them together (at most n_tips).
    pub followers: Vec<[usize; 2]>,
}

impl Setting {
    pub(super) fn new(task: &'static str, body: &Body, model: Model) -> Result<Self, HandError> {
        let missing = |name: &String| HandError::Missing {
            task,
            kind: "site",
            name: name.clone(),
            model: body.model.name.clone(),
        };
        let tip = |name: &String| {
            let site = model.site.iter().find(|s| s.name == *name);
            let place = site.map(|site| (site.body.clone(), site.pos));
            place.ok_or_else(|| missing(name))
        };
        let tips: Vec<_> = body.tips.iter().map(tip).collect::<Result<_, _>>()?;
        let last_joint = |body: &str| model.joint.iter().rposition(|j| j.body == body);
        let followers = tips.iter().filter_map(|(body, _)| {
            let parent = &model.body.iter().find(|b| b.name == *body)?.parent;
            Some([last_joint(body)?, last_joint(parent)?])
        });
        Ok(Self {
            task,
            followers: followers.collect(),
            tips,
            kernel: Kernel::new(&model, body.parameters),
            n_joints: body.model.joint.len(),
            poses: Arc::default(),
            model,
        })
    }

    /// Lowest and highest value of a joint; half a turn either way where it has no limits.
    pub fn limits(&self, joint: usize) -> [f64; 2] {
        let half_turn = std::f64::consts::PI;
        self.model.joint[joint]
            .limit
            .unwrap_or([-half_turn, half_turn])
    }

    /// Where the tips are in meters, in the world, at joint angles `qpos`; joints without an angle are at 0 (n_tips × 3).
    pub fn tips_at(&self, qpos: &[f64]) -> Vec<[f64; 3]> {
        let mut angles = qpos.to_vec();
        angles.resize(self.model.joint.len(), 0.0);
        let at = |(body, pos): &(String, [f64; 3])| {
            let pose = self.kernel.body(body, &angles);
            let pose = pose.expect("the model that the kernel was made of has the tips' bodies");
            [0, 1, 2].map(|i| pose.pos[i] + (0..3).map(|j| pose.turn[i][j] * pos[j]).sum::<f64>())
        };
        self.tips.iter().map(at).collect()
    }
}
