use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use super::tendons;
use crate::dynamics::{Workspace, kinematics};
use crate::kernel::{Kernel, Pose};
use crate::mechanism::Mechanism;
use crate::model::{self, ParameterSet};

/// Single precision has every moment arm of double precision, one by one, over poses within the joints' limits. An arm jumps
/// where a tendon changes its way: a pose so near that rounding decides is not among these.
#[test]
fn moment_arms_are_those_of_the_kernel() {
    const POSES: usize = 7_000;
    let model = model::load_text(crate::MYOHAND, "myohand.toml").unwrap();
    let (n_joints, n_muscles) = (model.joint.len(), model.muscle.len());
    let parameters = ParameterSet::Calibrated;
    let kernel = Kernel::new(&model, parameters);
    let mechanism = Mechanism::<f32>::new(&model, parameters);
    let mut w = Workspace::<f32>::new(&mechanism);
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let mut worst = 0.0_f64;
    for _ in 0..POSES {
        let limits = model.joint.iter().map(|joint| joint.limit.unwrap());
        let angle = |[low, high]: [f64; 2]| f64::from(rng.random_range(low..high) as f32);
        let pose = Pose {
            qpos: limits.map(angle).collect(),
            qvel: vec![0.0; n_joints],
            act: vec![0.0; n_muscles],
        };
        for (k, dof) in mechanism.dofs.iter().enumerate() {
            w.q[k] = pose.qpos[dof.joint] as f32;
        }
        kinematics(&mechanism, &mut w);
        tendons(&mechanism, &mut w);
        let expected = kernel.evaluate(&pose).unwrap().moment_arms;
        for (tendon, expected) in mechanism.tendons.iter().zip(expected) {
            let mut own = vec![0.0; n_joints];
            for (place, &k) in tendon.dofs.iter().enumerate() {
                own[mechanism.dofs[k].joint] = f64::from(w.arms[tendon.arms + place]);
            }
            for (own, expected) in own.into_iter().zip(expected) {
                worst = worst.max((own - expected).abs());
            }
        }
    }
    assert!(worst < 5e-6, "a moment arm is off by {worst} m");
}
