//! `bench`: microseconds of processor time for one step of one world.

use std::time::Instant;

use hand::batch::{Batch, Width};
use hand::scenes::{self, Example};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Map, Value, json};

/// Steps between new starts, so that every block sees the same mix of states.
const STEPS_PER_BLOCK: usize = 130;
/// Steps of one call, as an environment makes them.
const STEPS_PER_CALL: usize = 10;

/// Measures every scene at a width; the median over blocks. With more threads than one, half of the blocks run on all of them:
/// the speed-up is in time on the wall.
pub(crate) fn run(width: Width, threads: usize, seconds: f64, seed: u64) -> Result<Value, String> {
    let mut figures = Map::new();
    figures.insert("lanes".to_owned(), json!(width.lanes()));
    figures.insert("threads".to_owned(), json!(threads));
    for name in scenes::NAMES {
        // Threads are for many worlds: learners step hundreds on each.
        let n = if threads > 1 { 256 * threads } else { 64 };
        let example = scenes::example(name, n, seed).expect("a name of the list");
        let mut batch = Batch::with_width(&example.scene, n, width).map_err(|e| e.to_string())?;
        let (mut cpu, mut alone, mut together) = (Vec::new(), Vec::new(), Vec::new());
        let (mut contacts, mut counts) = (0, 0);
        while cpu.len() < 5 || cpu.iter().sum::<f64>() < seconds {
            restart(&mut batch, &example);
            let (cpu_before, before) = (cpu_secs(), Instant::now());
            block(&mut batch, 1);
            cpu.push(cpu_secs() - cpu_before);
            alone.push(before.elapsed().as_secs_f64());
            contacts += (0..n).map(|w| batch.contacts(w)).sum::<usize>();
            counts += n;
            if let Some(world) = batch.diverged().first() {
                return Err(format!("scene {name}: world {world} diverged"));
            }
            if threads > 1 {
                restart(&mut batch, &example);
                let before = Instant::now();
                block(&mut batch, threads);
                together.push(before.elapsed().as_secs_f64());
            }
        }
        let microseconds = median(cpu) / (STEPS_PER_BLOCK * n) as f64 * 1e6;
        figures.insert(
            format!("{name}_us"),
            json!((microseconds * 1e3).round() / 1e3),
        );
        figures.insert(
            format!("{name}_contacts"),
            json!((contacts * 10 / counts) as f64 / 10.0),
        );
        if threads > 1 {
            let speedup = median(alone) / median(together);
            figures.insert(
                format!("{name}_speedup"),
                json!((speedup * 1e3).round() / 1e3),
            );
        }
    }
    Ok(Value::Object(figures))
}

fn restart(batch: &mut Batch, example: &Example) {
    for (world, (start, control)) in example.starts.iter().zip(&example.controls).enumerate() {
        batch.set_state(world, start);
        batch.control_mut(world).copy_from(control);
    }
}

fn block(batch: &mut Batch, threads: usize) {
    for _ in 0..STEPS_PER_BLOCK / STEPS_PER_CALL {
        batch.step(STEPS_PER_CALL, threads);
    }
}

fn median(mut list: Vec<f64>) -> f64 {
    list.sort_by(f64::total_cmp);
    list[list.len() / 2]
}

/// Random excitation for a long time: muscles off or at random, the root jumping, over a cube and a cup. Counts the worlds that
/// diverged (they start again), and the process's largest memory before and after.
pub(crate) fn soak(world_steps: u64, seed: u64) -> Result<Value, String> {
    const WORLDS: usize = 1024;
    const STEPS_PER_DRAW: usize = 25;
    const DRAWS_PER_START: u64 = 60;
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut figures = Map::new();
    let (mut diverged, mut done) = (Vec::new(), 0);
    let mut memory_after_first = None;
    for name in ["cube", "cup"] {
        let example = scenes::example(name, WORLDS, seed).expect("a name of the list");
        let mut batch = Batch::new(&example.scene, WORLDS).map_err(|e| e.to_string())?;
        let (mut draws, begin) = (0, done);
        while done - begin < world_steps / 2 {
            if draws % DRAWS_PER_START == 0 {
                for (world, start) in example.starts.iter().enumerate() {
                    batch.set_state(world, start);
                }
            }
            for world in 0..WORLDS {
                let mut control = batch.control_mut(world);
                for muscle in 0..39 {
                    let on = rng.random_bool(0.5);
                    let excitation = if on { rng.random_range(0.0..1.0) } else { 0.0 };
                    control.set(muscle, excitation);
                }
                for joint in 39..45 {
                    control.set(joint, rng.random_range(-0.15..0.15));
                }
            }
            batch.step(STEPS_PER_DRAW, 1);
            for world in batch.diverged() {
                diverged.push(format!("{name} seed {seed} draw {draws} world {world}"));
                batch.set_state(world, &example.starts[world]);
            }
            draws += 1;
            done += (WORLDS * STEPS_PER_DRAW) as u64;
            memory_after_first.get_or_insert_with(memory_mib);
            if draws % 100 == 0 {
                eprintln!(
                    "{name}: {done} of {world_steps} world-steps, {} diverged",
                    diverged.len()
                );
            }
        }
    }
    figures.insert("world_steps".to_owned(), json!(done));
    figures.insert("diverged".to_owned(), json!(diverged));
    figures.insert(
        "memory_mib".to_owned(),
        json!([memory_after_first, memory_mib()]),
    );
    Ok(Value::Object(figures))
}

/// The most that this process ever had, where the system says.
fn memory_mib() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|l| l.strip_prefix("VmHWM:"))?;
    Some(
        line.trim()
            .trim_end_matches("kB")
            .trim()
            .parse::<u64>()
            .ok()?
            / 1024,
    )
}

fn cpu_secs() -> f64 {
    let t = clock_gettime(ClockId::ThreadCPUTime);
    t.tv_sec as f64 + t.tv_nsec as f64 * 1e-9
}
