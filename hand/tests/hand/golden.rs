//! MuJoCo's numbers for given poses. `golden.json` and how it was made: tests/peers/hand/golden.py, seed 7, 18 poses.
//! `golden_rates.json`: six more, at rest and in motion, with the rates of activation. The whole sweep of 7,000 poses is
//! tests/peers/hand/run.sh.

use hand::kernel::{Kernel, Pose};
use hand::model::{Model, ParameterSet};
use serde::Deserialize;

use crate::{assert_close, myohand};

/// Far inside what float32 could hold: 2e-6 m, 5e-6 m, 1e-3 of the peak force.
const METRES: f64 = 1e-9;
const NEWTONS: f64 = 1e-7;

#[derive(Deserialize)]
pub(crate) struct Golden {
    poses: Vec<GoldenPose>,
}

#[derive(Deserialize)]
struct GoldenPose {
    qpos: Vec<f64>,
    qvel: Vec<f64>,
    act: Vec<f64>,
    lengths: Vec<f64>,
    velocities: Vec<f64>,
    /// Muscle, joint, metres a radian; the others are 0.
    moment_arms: Vec<(usize, usize, f64)>,
    tensions: Vec<f64>,
    qfrc_from_muscles: Vec<f64>,
    /// Excitations, and the rates of activation that follow.
    #[serde(default)]
    ctrl: Vec<f64>,
    #[serde(default)]
    act_dot: Vec<f64>,
}

pub(crate) fn read() -> [Golden; 2] {
    [
        include_str!("golden.json"),
        include_str!("golden_rates.json"),
    ]
    .map(|text| serde_json::from_str(text).unwrap())
}

#[test]
fn every_number_is_mujocos() {
    for golden in read() {
        check(&myohand(), &golden);
    }
}

#[test]
fn activation_follows_excitation_as_in_mujoco() {
    let [_, golden] = read();
    let kernel = Kernel::new(&myohand(), ParameterSet::Compat);
    for pose in &golden.poses {
        for (muscle, expected) in pose.act_dot.iter().enumerate() {
            let rate = kernel.activation_rate(muscle, pose.ctrl[muscle], pose.act[muscle]);
            // The file has ten digits.
            assert!(
                (rate - expected).abs() <= 2e-9 * expected.abs().max(1.0),
                "{rate} instead of {expected}"
            );
        }
    }
}

/// All numbers of all poses, with the parameters that MuJoCo had.
pub(crate) fn check(model: &Model, golden: &Golden) {
    let kernel = Kernel::new(model, ParameterSet::Compat);
    for pose in &golden.poses {
        let GoldenPose {
            qpos, qvel, act, ..
        } = pose;
        let answer = kernel
            .evaluate(&Pose {
                qpos: qpos.clone(),
                qvel: qvel.clone(),
                act: act.clone(),
            })
            .unwrap();
        let mut arms = vec![vec![0.0; qpos.len()]; act.len()];
        for (muscle, joint, arm) in &pose.moment_arms {
            arms[*muscle][*joint] = *arm;
        }
        assert_close("length", &answer.lengths, &pose.lengths, METRES);
        assert_close("velocity", &answer.velocities, &pose.velocities, METRES);
        for (found, expected) in answer.moment_arms.iter().zip(&arms) {
            assert_close("moment arm", found, expected, METRES);
        }
        assert_close("tension", &answer.tensions, &pose.tensions, NEWTONS);
        assert_close(
            "torque",
            &answer.joint_torques,
            &pose.qfrc_from_muscles,
            NEWTONS,
        );
    }
}
