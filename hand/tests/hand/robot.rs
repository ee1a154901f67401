//! The robot hand: a model with motors and without muscles.

use hand::kernel::{Kernel, Pose};
use hand::model::{self, ParameterSet};

#[test]
fn the_robot_hand_has_24_joints_each_with_limits_and_a_motor() {
    let model = model::load_text(hand::ROBOT_HAND, "robot.toml").unwrap();
    assert_eq!(
        (model.joint.len(), model.torque.len(), model.muscle.len()),
        (24, 24, 0)
    );
    for (joint, torque) in model.joint.iter().zip(&model.torque) {
        assert_eq!(joint.name, torque.joint);
        assert!(
            joint.limit.is_some() && joint.damping > 0.0 && joint.armature >= 1e-4,
            "{}",
            joint.name
        );
        assert_eq!(torque.control, Some([-1.0, 1.0]));
        assert!((0.3..10.0).contains(&torque.gear), "{}", torque.name);
    }
    let mass: f64 = model
        .body
        .iter()
        .filter_map(|body| body.inertial.as_ref())
        .map(|inertial| inertial.mass)
        .sum();
    assert!((0.5..1.5).contains(&mass), "{mass} kg");
}

#[test]
fn without_muscles_there_is_nothing_to_compute() {
    let model = model::load_text(hand::ROBOT_HAND, "robot.toml").unwrap();
    let pose = Pose {
        qpos: vec![0.1; 24],
        qvel: vec![0.0; 24],
        act: vec![],
    };
    let answer = Kernel::new(&model, ParameterSet::Calibrated)
        .evaluate(&pose)
        .unwrap();
    assert_eq!(
        (answer.lengths.len(), answer.joint_torques),
        (0, vec![0.0; 24])
    );
}
