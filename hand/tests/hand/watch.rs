//! What a batch says of watched sites, tendons and touch is what the kernel computes, and weighs what lies on a body.

use hand::batch::{Batch, Reading, Width, WorldState};
use hand::kernel::{Kernel, Pose};
use hand::model::{self, ParameterSet, ShapeKind};
use hand::scene::{Options, Primitive, Scene};

const TIPS: [&str; 2] = ["THtip", "LFtip"];

fn scene(text: &str) -> Scene {
    Scene {
        model: model::load_text(text, "model").expect("a sound model"),
        parameters: ParameterSet::Calibrated,
        objects: vec![],
        fixed: vec![],
        options: Options::default(),
    }
}

#[test]
fn sites_and_tendons_are_those_of_the_state_that_a_step_led_to() {
    let scene = scene(hand::MYOHAND);
    let kernel = Kernel::new(&scene.model, scene.parameters);
    let mut all = Vec::new();
    for width in [Width::One, Width::Eight, Width::Sixteen]
        .into_iter()
        .filter(|w| w.is_available())
    {
        let mut batch = Batch::with_width(&scene, 3, width).unwrap();
        batch.watch(&scene.model, &TIPS).unwrap();
        batch.control_mut(2).fill(0.2);
        batch.step(50, 1);
        let (mut tips, mut lengths) = ([0.0; 6], [0.0; 39]);
        batch.read(2, Reading::Sites, &mut tips);
        batch.read(2, Reading::Lengths, &mut lengths);
        let qpos: Vec<f64> = batch.state(2).qpos.into_iter().map(f64::from).collect();
        let answer = kernel.evaluate(&Pose {
            qpos: qpos.clone(),
            qvel: vec![0.0; 23],
            act: vec![0.0; 39],
        });
        for (own, want) in lengths.iter().zip(answer.unwrap().lengths) {
            assert!((f64::from(*own) - want).abs() < 2e-6, "{own} {want}");
        }
        for (own, name) in tips.chunks(3).zip(TIPS) {
            let site = scene.model.site.iter().find(|s| s.name == name).unwrap();
            let body = kernel.body(&site.body, &qpos).unwrap();
            for e in 0..3 {
                let want = body.pos[e] + (0..3).map(|j| body.turn[e][j] * site.pos[j]).sum::<f64>();
                assert!(
                    (f64::from(own[e]) - want).abs() < 1e-6,
                    "{name} {own:?} {want}"
                );
            }
        }
        // A world that is set is seen where it was set.
        let open = WorldState {
            qpos: vec![0.0; 23],
            qvel: vec![0.0; 23],
            act: vec![0.0; 39],
            objects: vec![],
        };
        batch.set_state(2, &open);
        batch.look(2);
        batch.read(2, Reading::Lengths, &mut lengths);
        let rest = Pose {
            qpos: vec![0.0; 23],
            qvel: vec![0.0; 23],
            act: vec![0.0; 39],
        };
        assert!((f64::from(lengths[7]) - kernel.evaluate(&rest).unwrap().lengths[7]).abs() < 2e-6);
        all.push((tips, batch.snapshot(1)));
    }
    assert!(all.windows(2).all(|pair| pair[0] == pair[1]));
    assert!(
        Batch::new(&scene, 1)
            .unwrap()
            .watch(&scene.model, &["nose"])
            .is_err()
    );
}

#[test]
fn touch_is_the_normal_force_on_a_branch() {
    let text = r#"
schema = "habitus.hand/1"
name = "two weights"
timestep = 0.002
gravity = [0.0, 0.0, -9.81]
body = [
  { name = "a", parent = "world", pos = [0.0, 0.0, 0.02], inertial = { mass = 0.1, com = [0.0, 0.0, 0.0], inertia = [1e-4, 1e-4, 1e-4, 0.0, 0.0, 0.0] } },
  { name = "b", parent = "world", pos = [0.2, 0.0, 0.02], inertial = { mass = 0.3, com = [0.0, 0.0, 0.0], inertia = [1e-4, 1e-4, 1e-4, 0.0, 0.0, 0.0] } },
]
joint = [
  { name = "a", body = "a", kind = "slide", axis = [0.0, 0.0, 1.0] },
  { name = "b", body = "b", kind = "slide", axis = [0.0, 0.0, 1.0] },
]
"#;
    let mut scene = scene(text);
    for body in ["a", "b"] {
        scene.model.shape.push(model::Shape {
            name: String::new(),
            body: body.to_owned(),
            kind: ShapeKind::Sphere,
            size: vec![0.02],
            pos: [0.0; 3],
            quat: [1.0, 0.0, 0.0, 0.0],
            contact: Some(model::Contact::default()),
        });
    }
    scene.fixed.push(Primitive::new(ShapeKind::Plane, [1.0; 3]));
    let mut batch = Batch::new(&scene, 2).unwrap();
    let high = WorldState {
        qpos: vec![0.5, 0.0],
        qvel: vec![0.0; 2],
        act: vec![],
        objects: vec![],
    };
    batch.set_state(1, &high);
    batch.step(100, 1);
    let mut touch = [0.0; 2];
    batch.read(0, Reading::Touch, &mut touch);
    assert_eq!([batch.branch(0), batch.branch(1)], [0, 1]);
    assert!(
        (touch[0] - 0.981).abs() < 0.01 && (touch[1] - 2.943).abs() < 0.03,
        "{touch:?}"
    );
    batch.read(1, Reading::Touch, &mut touch);
    assert!(
        touch[0] == 0.0 && (touch[1] - 2.943).abs() < 0.03,
        "{touch:?}"
    );
    // What was set has touched nothing yet.
    batch.set_state(0, &high);
    batch.look(0);
    batch.read(0, Reading::Touch, &mut touch);
    assert_eq!(touch, [0.0; 2]);
}
