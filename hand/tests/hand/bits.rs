//! A world's bits depend on nothing but itself: not on the width, the place in the register, its neighbours or the threads.

use hand::batch::{Batch, BatchError, Width, WorldState};
use hand::scenes::{self, Example};

use crate::Draws;

const WIDTHS: [Width; 3] = [Width::One, Width::Eight, Width::Sixteen];
const STEPS_PER_CALL: usize = 20;

/// Steps worlds under excitations that change at random, each in its own way, and returns where they end.
fn ends(
    example: &Example,
    width: Width,
    order: &[usize],
    calls: usize,
    threads: usize,
) -> Vec<WorldState> {
    let mut batch = Batch::with_width(&example.scene, order.len(), width).unwrap();
    let mut draws: Vec<Draws> = order.iter().map(|world| Draws(*world as u64)).collect();
    for (place, world) in order.iter().enumerate() {
        batch.set_state(place, &example.starts[*world]);
        batch
            .control_mut(place)
            .copy_from(&example.controls[*world]);
    }
    for _ in 0..calls {
        for (place, draws) in draws.iter_mut().enumerate() {
            for muscle in 0..39 {
                batch
                    .control_mut(place)
                    .set(muscle, draws.between(0.0, 1.0).powi(2) as f32);
            }
        }
        batch.step(STEPS_PER_CALL, threads);
    }
    let mut ends = vec![WorldState::default(); order.len()];
    for (place, world) in order.iter().enumerate() {
        ends[*world] = batch.state(place);
    }
    ends
}

fn available() -> impl Iterator<Item = Width> {
    WIDTHS.into_iter().filter(|w| w.is_available())
}

#[test]
fn every_width_and_every_place_gives_the_same_bits() {
    let example = scenes::example("cube", 16, 5).unwrap();
    let in_order: Vec<usize> = (0..16).collect();
    let shuffled: Vec<usize> = (0..16).map(|i| (i * 5 + 3) % 16).collect();
    // 10,000 steps.
    let expected = ends(&example, Width::best(), &in_order, 500, 1);
    assert!(
        expected
            .iter()
            .all(|s| s.qpos.iter().all(|q| q.is_finite()))
    );
    for width in available() {
        assert!(
            ends(&example, width, &shuffled, 500, 2) == expected,
            "{width:?}"
        );
    }
}

/// Any build for any x86-64 processor must end here.
#[test]
fn bits_are_those_of_every_other_build() {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for name in scenes::NAMES {
        let example = scenes::example(name, 3, 1).unwrap();
        for state in ends(&example, Width::best(), &[0, 1, 2], 25, 1) {
            for x in state.qpos.iter().chain(&state.qvel).chain(&state.act) {
                hash = (hash ^ u64::from(x.to_bits())).wrapping_mul(0x0100_0000_01b3);
            }
        }
    }
    assert_eq!(hash, 0x4fda_e973_5241_bdc6, "{hash:#x}");
}

#[test]
fn a_snapshot_continues_bit_for_bit_at_any_width_and_place() {
    let example = scenes::example("grasp", 3, 7).unwrap();
    let mut batch = Batch::new(&example.scene, 3).unwrap();
    for world in 0..3 {
        batch.set_state(world, &example.starts[world]);
        batch.control_mut(world).copy_from(&example.controls[world]);
    }
    batch.step(100, 1);
    let snapshot = batch.snapshot(2);
    assert!(batch.contacts(2) > 10);
    batch.step(200, 1);
    let expected = batch.snapshot(2);
    for width in available() {
        let mut other = Batch::with_width(&example.scene, 20, width).unwrap();
        // Among worlds that already have contacts of their own.
        for world in 0..20 {
            other.set_state(world, &example.starts[world % 3]);
            other
                .control_mut(world)
                .copy_from(&example.controls[world % 3]);
        }
        other.step(50, 1);
        other.restore(13, &snapshot);
        other.step(200, 1);
        assert!(other.snapshot(13) == expected, "{width:?}");
    }
}

#[test]
fn a_world_that_diverges_stops_alone() {
    let example = scenes::example("cube", 16, 9).unwrap();
    let mut calm = Batch::new(&example.scene, 16).unwrap();
    for world in 0..16 {
        calm.set_state(world, &example.starts[world]);
    }
    let mut disturbed = Batch::new(&example.scene, 16).unwrap();
    for world in 0..16 {
        let mut start = example.starts[world].clone();
        if world == 6 {
            start.qvel[10] = 5_000.0;
        }
        disturbed.set_state(world, &start);
    }
    calm.step(100, 1);
    disturbed.step(100, 1);
    assert_eq!(disturbed.diverged(), [6]);
    assert!(disturbed.state(6).qpos.iter().all(|q| q.is_finite()));
    for world in (0..16).filter(|w| *w != 6) {
        assert!(
            calm.snapshot(world) == disturbed.snapshot(world),
            "world {world}"
        );
    }
    disturbed.set_state(6, &example.starts[6]);
    disturbed.step(100, 1);
    assert!(disturbed.diverged().is_empty());
    assert_eq!(disturbed.state(6), calm.state(6));
}

#[test]
fn more_worlds_than_memory_are_refused() {
    let example = scenes::example("free", 1, 1).unwrap();
    let error = Batch::new(&example.scene, 1 << 40).err().unwrap();
    assert!(matches!(error, BatchError::Memory { .. }), "{error}");
}
