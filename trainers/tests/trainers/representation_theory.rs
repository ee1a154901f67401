//! What inverse dynamics promises and behavior cloning does not (Brandfonbrener et al. 2023, section 5): in a world where
//! observations hide a low-dimensional state and each trajectory pursues a context that nobody sees, inverse dynamics
//! finds the state, and a policy learns a new goal from two demonstrations.
//!
//! The state s of two numbers moves by `s' = s + step a + noise`; seen are 64 numbers, a fixed nonlinear image of s mixed
//! with nuisance that is correlated in time.

use std::sync::atomic::AtomicBool;

use dataset::transitions::{Buffer, Observations, Transitions};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use tch::Device;
use trainers::evaluation::representation::linear_probe;
use trainers::nn::{EncoderConfig, FrozenEncoder, MlpConfig, Precision, VectorEncoderConfig};
use trainers::objectives::{BehaviorCloningConfig, InverseDynamicsConfig, ObjectiveConfig};
use trainers::recipes::representation::{
    Config, Features, Options, PolicyConfig, Worlds, encode, evaluate, pretrain, train_policy,
};

const SEEN: usize = 64;
const HIDDEN: usize = 64;
const NUISANCE: usize = 16;

fn normal(rng: &mut ChaCha8Rng) -> f64 {
    let (a, b): (f64, f64) = (rng.random(), rng.random());
    (-2.0 * (1.0 - a).ln()).sqrt() * (std::f64::consts::TAU * b).cos()
}

/// How the state moves and is seen.
#[derive(Clone)]
struct Physics {
    /// Distance of an action of 1.
    step: f64,
    /// Deviation of what is added to it.
    noise: f64,
    /// `o = outer tanh(inner s + bias) + mix n`.
    inner: Vec<f64>,
    bias: Vec<f64>,
    outer: Vec<f64>,
    mix: Vec<f64>,
}

impl Physics {
    fn new(seed: u64, step: f64, noise: f64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut normals = |count: usize, deviation: f64| -> Vec<f64> {
            (0..count).map(|_| deviation * normal(&mut rng)).collect()
        };
        Self {
            step,
            noise,
            inner: normals(HIDDEN * 2, 1.0),
            bias: normals(HIDDEN, 1.0),
            outer: normals(SEEN * HIDDEN, 1.0 / (HIDDEN as f64).sqrt()),
            // columns of length 1: nuisance is as large in what is seen as by itself. Twice as large, 400 trajectories are
            // told apart by their nuisance, and inverse dynamics learns them by heart.
            mix: normals(SEEN * NUISANCE, 1.0 / (SEEN as f64).sqrt()),
        }
    }
}

/// One world: a state, its nuisance, its randomness.
struct Point {
    s: [f64; 2],
    nuisance: Vec<f64>,
    rng: ChaCha8Rng,
}

impl Point {
    fn new(seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let s = [(); 2].map(|()| rng.random_range(-1.0..1.0));
        let nuisance = (0..NUISANCE).map(|_| 0.5 * normal(&mut rng)).collect();
        Self { s, nuisance, rng }
    }

    fn see(&mut self, physics: &Physics) -> Vec<f32> {
        let hidden: Vec<f64> = (0..HIDDEN)
            .map(|i| {
                let x = physics.inner[2 * i] * self.s[0] + physics.inner[2 * i + 1] * self.s[1];
                (x + physics.bias[i]).tanh()
            })
            .collect();
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        (0..SEEN)
            .map(|i| {
                let signal = dot(&physics.outer[i * HIDDEN..][..HIDDEN], &hidden);
                let nuisance = dot(&physics.mix[i * NUISANCE..][..NUISANCE], &self.nuisance);
                (signal + nuisance + 0.01 * normal(&mut self.rng)) as f32
            })
            .collect()
    }

    fn go(&mut self, physics: &Physics, action: [f64; 2]) {
        for (s, a) in self.s.iter_mut().zip(action) {
            let moved = *s + physics.step * a + physics.noise * normal(&mut self.rng);
            *s = moved.clamp(-1.5, 1.5);
        }
        let keep = 0.9_f64;
        for n in &mut self.nuisance {
            *n = keep * *n + 0.5 * (1.0 - keep * keep).sqrt() * normal(&mut self.rng);
        }
    }
}

/// What a trajectory pursues.
#[derive(Clone, Copy)]
enum Context {
    Goal([f64; 2]),
    Direction([f64; 2]),
}

impl Context {
    fn act(self, s: [f64; 2]) -> [f64; 2] {
        match self {
            Self::Goal(goal) => [0, 1].map(|i| (10.0 * (goal[i] - s[i])).clamp(-1.0, 1.0)),
            Self::Direction(direction) => direction,
        }
    }

    fn goal(rng: &mut ChaCha8Rng) -> Self {
        Self::Goal([(); 2].map(|()| rng.random_range(-1.0..1.0)))
    }

    fn direction(rng: &mut ChaCha8Rng) -> Self {
        let angle = rng.random_range(0.0..std::f64::consts::TAU);
        Self::Direction([angle.cos(), angle.sin()])
    }
}

fn collect(
    physics: &Physics,
    seed: u64,
    episodes: usize,
    steps: usize,
    mut context: impl FnMut(&mut ChaCha8Rng) -> Context,
) -> Transitions<'static> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let (mut seen, mut actions, mut states, mut offsets) =
        (Vec::new(), Vec::new(), Vec::new(), vec![0]);
    for _ in 0..episodes {
        let context = context(&mut rng);
        let mut point = Point::new(rng.random());
        for step in 0..=steps {
            let action = context.act(point.s);
            seen.extend(point.see(physics));
            states.extend(point.s.map(|x| x as f32));
            actions.extend(action.map(|x| x as f32));
            if step < steps {
                point.go(physics, action);
            }
        }
        offsets.push(states.len() / 2);
    }
    let observations = Observations::Vectors {
        values: seen.into(),
        size: SEEN,
    };
    Transitions::new(observations, actions.into(), 2, states.into(), 2, offsets).unwrap()
}

/// Rollouts towards a goal that nobody sees; a hit is within 0.1 of it.
struct Goals {
    physics: Physics,
    goal: [f64; 2],
    points: Vec<Point>,
    hit: Vec<bool>,
}

impl Worlds for Goals {
    fn reset(&mut self, seeds: &[u64]) -> Result<(), String> {
        self.points = seeds.iter().map(|seed| Point::new(*seed)).collect();
        self.hit = vec![false; seeds.len()];
        Ok(())
    }

    fn horizon(&self) -> usize {
        20
    }

    fn observe(&mut self, observations: &mut Buffer, states: &mut [f32]) -> Result<(), String> {
        let Buffer::Vectors(out) = observations else {
            return Err("expected vectors".to_owned());
        };
        for (i, point) in self.points.iter_mut().enumerate() {
            out[i * SEEN..(i + 1) * SEEN].copy_from_slice(&point.see(&self.physics));
            states[2 * i..2 * i + 2].copy_from_slice(&point.s.map(|x| x as f32));
        }
        Ok(())
    }

    fn step(&mut self, actions: &[f32]) -> Result<(), String> {
        for (i, point) in self.points.iter_mut().enumerate() {
            point.go(&self.physics, [0, 1].map(|j| f64::from(actions[2 * i + j])));
            let away = (point.s[0] - self.goal[0]).hypot(point.s[1] - self.goal[1]);
            self.hit[i] |= away < 0.1;
        }
        Ok(())
    }

    fn successes(&self) -> Vec<bool> {
        self.hit.clone()
    }
}

fn encoder() -> EncoderConfig {
    EncoderConfig::Vector(VectorEncoderConfig {
        inputs: SEEN as i64,
        hidden: vec![128, 128],
        embedding: 8,
    })
}

fn head() -> MlpConfig {
    MlpConfig {
        hidden: vec![128, 128],
        dropout: 0.0,
    }
}

fn inverse_dynamics() -> ObjectiveConfig {
    ObjectiveConfig::InverseDynamics(InverseDynamicsConfig {
        head: head(),
        ..InverseDynamicsConfig::default()
    })
}

fn behavior_cloning() -> ObjectiveConfig {
    ObjectiveConfig::BehaviorCloning(BehaviorCloningConfig { head: head() })
}

fn pretrained(seed: u64, objective: ObjectiveConfig, data: &Transitions<'_>) -> FrozenEncoder {
    let folder = tempfile::tempdir().unwrap();
    let config = Config {
        seed,
        encoder: encoder(),
        precision: Precision::F32,
        objective,
        steps: 1500,
        policy: head(),
        checkpoint_every: 10_000,
        monitor_every: 10_000,
        ..Config::default()
    };
    let options = Options {
        out: folder.path().to_path_buf(),
        resume: false,
        stop: &AtomicBool::new(false),
        stop_after: None,
        device: Device::Cpu,
        progress: false,
    };
    pretrain(&config, data, &options).unwrap().encoder
}

/// R² of a linear probe for the state, on trajectories that nothing was fitted on; the mean of both numbers.
fn probe(encoder: &FrozenEncoder, data: &Transitions<'_>, fresh: &Transitions<'_>) -> f64 {
    let (fit, measure) = (
        encode(encoder, data).unwrap(),
        encode(encoder, fresh).unwrap(),
    );
    let found = linear_probe((&fit, data.states()), (&measure, fresh.states()), 8, 2).unwrap();
    found.iter().sum::<f64>() / found.len() as f64
}

fn success(
    features: Features,
    seed: u64,
    demonstrations: &Transitions<'_>,
    worlds: &mut Goals,
) -> f64 {
    let config = PolicyConfig {
        seed,
        head: head(),
        steps: 1000,
        batch: 64,
        ..PolicyConfig::default()
    };
    let policy = train_policy(&config, features, demonstrations, Device::Cpu).unwrap();
    let seeds: Vec<u64> = (0..200).map(|i| 50_000 + i).collect();
    let rollouts = evaluate(&policy, worlds, demonstrations, &seeds).unwrap();
    assert_eq!(rollouts.share.n, 200);
    rollouts.share.value
}

#[test]
fn with_hidden_goals_inverse_dynamics_finds_the_state_and_learns_from_two_demonstrations() {
    tch::set_num_threads(1);
    for seed in 0..3 {
        let physics = Physics::new(100 + seed, 0.1, 0.02);
        let data = collect(&physics, 200 + seed, 200, 20, Context::goal);
        let fresh = collect(&physics, 300 + seed, 50, 20, Context::goal);
        let Context::Goal(goal) = Context::goal(&mut ChaCha8Rng::seed_from_u64(400 + seed)) else {
            unreachable!("a goal")
        };
        let demonstrations = collect(&physics, 500 + seed, 2, 20, |_| Context::Goal(goal));
        let mut worlds = Goals {
            physics,
            goal,
            points: Vec::new(),
            hit: Vec::new(),
        };

        let inverse = pretrained(seed, inverse_dynamics(), &data);
        let cloning = pretrained(seed, behavior_cloning(), &data);
        let random = FrozenEncoder::random(&encoder(), Precision::F32, seed, Device::Cpu).unwrap();
        let [of_inverse, of_cloning, of_random] =
            [&inverse, &cloning, &random].map(|encoder| probe(encoder, &data, &fresh));
        let mut success = |features| success(features, seed, &demonstrations, &mut worlds);
        let with_inverse = success(Features::Frozen(inverse));
        let with_cloning = success(Features::Frozen(cloning));
        let with_random = success(Features::Frozen(random));
        let with_state = success(Features::State);
        println!(
            "seed {seed}: R² inverse {of_inverse:.3} cloning {of_cloning:.3} random {of_random:.3}; success inverse \
             {with_inverse:.3} cloning {with_cloning:.3} random {with_random:.3} state {with_state:.3}"
        );
        assert!(of_inverse > 0.95, "seed {seed}: {of_inverse}");
        assert!(
            of_cloning < of_random,
            "seed {seed}: {of_cloning} and {of_random}"
        );
        assert!(
            with_inverse - with_cloning > 0.5,
            "seed {seed}: {with_inverse} and {with_cloning}"
        );
    }
}

/// The context is a direction: the mean action in a state is 0, whatever the state.
#[test]
fn with_hidden_directions_only_inverse_dynamics_finds_the_state() {
    tch::set_num_threads(1);
    for seed in 0..3 {
        let physics = Physics::new(1100 + seed, 0.06, 0.01);
        let data = collect(&physics, 1200 + seed, 400, 10, Context::direction);
        let fresh = collect(&physics, 1300 + seed, 100, 10, Context::direction);
        let inverse = pretrained(seed, inverse_dynamics(), &data);
        let cloning = pretrained(seed, behavior_cloning(), &data);
        let random = FrozenEncoder::random(&encoder(), Precision::F32, seed, Device::Cpu).unwrap();
        let [of_inverse, of_cloning, of_random] =
            [&inverse, &cloning, &random].map(|encoder| probe(encoder, &data, &fresh));
        println!(
            "seed {seed}: R² inverse {of_inverse:.3} cloning {of_cloning:.3} random {of_random:.3}"
        );
        assert!(of_inverse > 0.8, "seed {seed}: {of_inverse}");
        assert!(
            of_cloning < of_random,
            "seed {seed}: {of_cloning} and {of_random}"
        );
    }
}
