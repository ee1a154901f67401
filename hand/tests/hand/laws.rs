//! What holds for any pose, whatever the model: arms are slopes of lengths, muscles only pull, motion of the whole changes
//! nothing, and what the tendons give the joints is what they lose.

use hand::kernel::{Answer, Kernel, Pose};
use hand::model::{Model, ParameterSet};
use proptest::prelude::*;

use crate::{Draws, assert_close, myohand};

/// Turn of a joint for differences, and how much one-sided slopes may differ where no tendon changes its way: a curvature of
/// 1 m/rad², thirty times what the hand has.
const TURN: f64 = 1e-5;
const BEND: f64 = 1e-5;

#[test]
fn moment_arms_are_slopes_of_lengths() {
    let model = myohand();
    // MuJoCo's search stops within 1e-6 of the contact, so that its arms are slopes only as far as that.
    for (parameters, tolerance) in [
        (ParameterSet::Calibrated, 1e-6),
        (ParameterSet::Compat, 1e-5),
    ] {
        let kernel = Kernel::new(&model, parameters);
        let mut draws = Draws(1);
        let (mut compared, mut switching) = (0, 0);
        for _ in 0..60 {
            let pose = draws.pose(&model);
            let here = kernel.evaluate(&pose).unwrap();
            for joint in 0..model.joint.len() {
                let lengths = |by: f64| {
                    let mut turned = pose.clone();
                    turned.qpos[joint] += by;
                    kernel.evaluate(&turned).unwrap().lengths
                };
                let (before, after) = (lengths(-TURN), lengths(TURN));
                for muscle in 0..model.muscle.len() {
                    let length = here.lengths[muscle];
                    let (left, right) = (
                        (length - before[muscle]) / TURN,
                        (after[muscle] - length) / TURN,
                    );
                    if (left - right).abs() > BEND {
                        switching += 1;
                        continue;
                    }
                    compared += 1;
                    let arm = here.moment_arms[muscle][joint];
                    let slope = (left + right) / 2.0;
                    assert!(
                        (arm - slope).abs() <= tolerance,
                        "{parameters:?} {muscle} {joint}: {arm}, slope {slope}"
                    );
                }
            }
        }
        assert!(
            switching * 1_000 < compared,
            "{switching} of {compared} are at a change of way"
        );
    }
}

proptest! {
    #[test]
    fn muscles_only_pull_and_never_harder_than_they_can(seed: u64) {
        let model = myohand();
        for parameters in [ParameterSet::Compat, ParameterSet::Calibrated] {
            let kernel = Kernel::new(&model, parameters);
            let pose = Draws(seed).pose(&model);
            let answer = kernel.evaluate(&pose).unwrap();
            let passive = kernel.evaluate(&Pose { act: vec![0.0; 39], ..pose.clone() }).unwrap();
            for (m, muscle) in model.muscle.iter().enumerate() {
                let most = passive.tensions[m] + muscle.peak_force * muscle.curves.fvmax * pose.act[m];
                prop_assert!(answer.tensions[m] >= 0.0 && answer.tensions[m] <= most + 1e-9);
            }
        }
    }

    #[test]
    fn joints_get_the_power_that_tendons_give(seed: u64) {
        let model = myohand();
        let kernel = Kernel::new(&model, ParameterSet::Calibrated);
        let pose = Draws(seed).pose(&model);
        let answer = kernel.evaluate(&pose).unwrap();
        let sum = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let joints = sum(&answer.joint_torques, &pose.qvel);
        let tendons = -sum(&answer.tensions, &answer.velocities);
        prop_assert!((joints - tendons).abs() <= 1e-9 * tendons.abs().max(1.0), "{joints} {tendons}");
    }

    #[test]
    fn moving_the_whole_hand_changes_nothing(
        seed: u64,
        shift in prop::array::uniform3(-2.0..2.0_f64),
        turn in prop::array::uniform4(-1.0..1.0_f64).prop_filter("a direction", |q| q.iter().map(|x| x * x).sum::<f64>() > 0.01),
    ) {
        let length = turn.iter().map(|x| x * x).sum::<f64>().sqrt();
        let moved = moved(&myohand(), shift, turn.map(|x| x / length));
        let pose = Draws(seed).pose(&moved);
        let answer = |model: &Model| Kernel::new(model, ParameterSet::Calibrated).evaluate(&pose).unwrap();
        let (before, after): (Answer, Answer) = (answer(&myohand()), answer(&moved));
        assert_close("length", &after.lengths, &before.lengths, 1e-12);
        assert_close("velocity", &after.velocities, &before.velocities, 1e-10);
        assert_close("tension", &after.tensions, &before.tensions, 1e-7);
        assert_close("torque", &after.joint_torques, &before.joint_torques, 1e-7);
    }
}

/// The model turned around the world's origin, and then shifted.
fn moved(model: &Model, shift: [f64; 3], turn: [f64; 4]) -> Model {
    let product = |a: [f64; 4], b: [f64; 4]| {
        [
            a[0] * b[0] - a[1] * b[1] - a[2] * b[2] - a[3] * b[3],
            a[0] * b[1] + a[1] * b[0] + a[2] * b[3] - a[3] * b[2],
            a[0] * b[2] - a[1] * b[3] + a[2] * b[0] + a[3] * b[1],
            a[0] * b[3] + a[1] * b[2] - a[2] * b[1] + a[3] * b[0],
        ]
    };
    let back = [turn[0], -turn[1], -turn[2], -turn[3]];
    let mut model = model.clone();
    for body in model.body.iter_mut().filter(|body| body.parent == "world") {
        let [x, y, z] = body.pos;
        let [_, x, y, z] = product(turn, product([0.0, x, y, z], back));
        body.pos = [x + shift[0], y + shift[1], z + shift[2]];
        body.quat = product(turn, body.quat);
    }
    model
}
