//! `bench`: microseconds of processor time for one step of one world.

use hand::batch::{Batch, Width};
use hand::scenes;
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Map, Value, json};

/// Steps between new starts, so that every block sees the same mix of states.
const STEPS_PER_BLOCK: usize = 125;
/// Steps of one call, as an environment makes them.
const STEPS_PER_CALL: usize = 10;

/// Measures every scene at a width; the median over blocks.
pub(crate) fn run(width: Width, seconds: f64, seed: u64) -> Result<Value, String> {
    let mut figures = Map::new();
    figures.insert("lanes".to_owned(), json!(width.lanes()));
    for name in scenes::NAMES {
        let n = 64;
        let example = scenes::example(name, n, seed).expect("a name of the list");
        let mut batch = Batch::with_width(&example.scene, n, width).map_err(|e| e.to_string())?;
        let (mut blocks, mut contacts, mut counts) = (Vec::new(), 0, 0);
        let begin = cpu_secs();
        while blocks.len() < 5 || cpu_secs() - begin < seconds {
            for (world, (start, control)) in
                example.starts.iter().zip(&example.controls).enumerate()
            {
                batch.set_state(world, start);
                batch.control_mut(world).copy_from(control);
            }
            let before = cpu_secs();
            for _ in 0..STEPS_PER_BLOCK.div_ceil(STEPS_PER_CALL) {
                batch.step(STEPS_PER_CALL, 1);
            }
            let steps = STEPS_PER_BLOCK.div_ceil(STEPS_PER_CALL) * STEPS_PER_CALL;
            blocks.push((cpu_secs() - before) / (steps * n) as f64 * 1e6);
            contacts += (0..n).map(|w| batch.contacts(w)).sum::<usize>();
            counts += n;
            if let Some(world) = batch.diverged().first() {
                return Err(format!("scene {name}: world {world} diverged"));
            }
        }
        blocks.sort_by(f64::total_cmp);
        let median = blocks[blocks.len() / 2];
        figures.insert(format!("{name}_us"), json!((median * 1e3).round() / 1e3));
        figures.insert(
            format!("{name}_contacts"),
            json!((contacts * 10 / counts) as f64 / 10.0),
        );
    }
    Ok(Value::Object(figures))
}

fn cpu_secs() -> f64 {
    let t = clock_gettime(ClockId::ThreadCPUTime);
    t.tv_sec as f64 + t.tv_nsec as f64 * 1e-9
}
