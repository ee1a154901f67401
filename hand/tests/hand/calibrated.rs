//! The calibrated length ranges: no muscle is ever out of reach. The shipped ones leave some muscles without force.

use hand::kernel::{Kernel, Pose};
use hand::model::{Model, ParameterSet};

use crate::{Draws, myohand};

const POSES: usize = 1_000;

/// Of each muscle over even poses: lowest and highest normalized length, and the mean of what full activation adds to its
/// tension at rest, as part of the peak force.
fn reach(model: &Model, parameters: ParameterSet) -> Vec<([f64; 2], f64)> {
    let kernel = Kernel::new(model, parameters);
    let mut draws = Draws(3);
    let mut found = vec![([f64::INFINITY, f64::NEG_INFINITY], 0.0); model.muscle.len()];
    for _ in 0..POSES {
        let still = Pose {
            qvel: vec![0.0; model.joint.len()],
            ..draws.pose(model)
        };
        let at = |act: f64| {
            kernel
                .evaluate(&Pose {
                    act: vec![act; model.muscle.len()],
                    ..still.clone()
                })
                .unwrap()
        };
        let (passive, active) = (at(0.0), at(1.0));
        for (m, muscle) in model.muscle.iter().enumerate() {
            let ([low, high], [first, last]) =
                (muscle.length_range(parameters), muscle.curves.range);
            let l = first + (active.lengths[m] - low) * (last - first) / (high - low);
            let ([shortest, longest], capacity) = &mut found[m];
            (*shortest, *longest) = (shortest.min(l), longest.max(l));
            *capacity +=
                (active.tensions[m] - passive.tensions[m]) / muscle.peak_force / POSES as f64;
        }
    }
    found
}

#[test]
fn every_muscle_stays_within_its_range_and_pulls() {
    let model = myohand();
    for (muscle, ([shortest, longest], capacity)) in model
        .muscle
        .iter()
        .zip(reach(&model, ParameterSet::Calibrated))
    {
        let [first, last] = muscle.curves.range;
        let name = &muscle.name;
        assert!(
            shortest >= first && longest <= last,
            "{name}: {shortest} to {longest}, expected {first} to {last}"
        );
        // The range is used: the ends are not far from what poses reach.
        assert!(
            longest - shortest > 0.6 * (last - first),
            "{name}: only {shortest} to {longest}"
        );
        assert!(capacity > 0.7, "{name} pulls with {capacity} of its force");
    }
}

#[test]
fn the_shipped_ranges_leave_muscles_without_force() {
    let model = myohand();
    let reach = reach(&model, ParameterSet::Compat);
    // Mean active capacity, measured in MuJoCo too: RI5 1 %, FDS4 and LU_RB4 15 %, FDP5 16 %, APL 26 %.
    for (name, most) in [
        ("RI5", 0.02),
        ("FDS4", 0.17),
        ("LU_RB4", 0.17),
        ("FDP5", 0.18),
        ("APL", 0.28),
    ] {
        let m = model
            .muscle
            .iter()
            .position(|muscle| muscle.name == name)
            .unwrap();
        assert!(
            reach[m].1 < most,
            "{name} pulls with {} of its force",
            reach[m].1
        );
    }
    let outside = reach
        .iter()
        .filter(|([shortest, longest], _)| *shortest < 0.7 || *longest > 1.1);
    assert!(outside.count() > 8);
}
