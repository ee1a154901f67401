//! Stepping hands through their flat lists allocates nothing, once the lists of contacts have grown to what they need.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use sim::hand::task::named;
use sim::hand::{Body, Config, HandEnv};

struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

#[expect(unsafe_code, reason = "an allocator that counts")]
// SAFETY: everything is passed on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: as of the caller.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: as of the caller.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn a_step_allocates_nothing() {
    for name in ["hand/pose", "hand/hold", "hand/key", "hand/track/cup_drink"] {
        let body = Body::myohand().expect("a hand");
        let task = named(name, &body).expect("a task");
        let mut env = HandEnv::new(body, task, Config::default(), 8).expect("an environment");
        let begin = |env: &mut HandEnv| {
            for lane in 0..8 {
                env.reset_lane(lane, 0, lane as u64).expect("a world");
            }
        };
        let actions: Vec<f32> = (0..8 * env.n_actions())
            .map(|i| (i % 7) as f32 * 0.02)
            .collect();
        let step = |env: &mut HandEnv| env.step_flat(&actions).expect("actions for all worlds");
        // The same steps twice: the first time, lists grow.
        for _ in 0..2 {
            begin(&mut env);
            (0..40).for_each(|_| step(&mut env));
        }
        begin(&mut env);
        (0..20).for_each(|_| step(&mut env));
        let before = ALLOCATIONS.load(Ordering::Relaxed);
        (0..20).for_each(|_| step(&mut env));
        let made = ALLOCATIONS.load(Ordering::Relaxed) - before;
        println!("{name}: {made} allocations in 20 steps");
        assert!(made < 5, "{name}: {made} allocations in 20 steps");
    }
}
