//! A hand's policy that was learnt: a perceptron, behind a layer that remembers where there is one, read from the safetensors file
//! that the recipe `motor` writes.
//!
//! Plain loops: who generates episodes needs no libtorch. Only the mean action is taken, no noise.

use std::path::{Path, PathBuf};

use rand_chacha::ChaCha8Rng;
use safetensors::{Dtype, SafeTensors};
use serde::Deserialize;
use sim::hand::{HandEnv, Seen};

use crate::hand::HandPolicy;

/// Why a policy's file cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {message}", path = path.display())]
pub struct NetworkError {
    path: PathBuf,
    message: String,
}

/// A policy's network, and what observations are brought to before it.
#[derive(Clone, Debug, PartialEq)]
pub struct Network {
    /// Of the file.
    digest: String,
    /// Lowest and highest of each number of the actions that it was learnt for.
    bounds: Vec<[f32; 2]>,
    mean: Vec<f32>,
    /// One by the deviation.
    scale: Vec<f32>,
    lstm: Option<Lstm>,
    layers: Vec<Layer>,
}

/// A recurrent layer; gates are in PyTorch's order: input, forget, cell, output.
#[derive(Clone, Debug, PartialEq)]
struct Lstm {
    /// (4 units × inputs)
    input: Layer,
    /// (4 units × units)
    hidden: Vec<f32>,
}

/// What a [`Network`] remembers of an episode, and room for what is between.
#[derive(Clone, Debug, Default)]
struct Memory {
    hidden: Vec<f32>,
    cell: Vec<f32>,
    gates: Vec<f32>,
}

#[derive(Clone, Debug, PartialEq)]
struct Layer {
    /// (outputs × inputs)
    weight: Vec<f32>,
    /// (outputs)
    bias: Vec<f32>,
}

/// What the file's metadata say under `actor_critic`.
#[derive(Deserialize)]
struct Shape {
    observation: usize,
    action: usize,
    bounds: Vec<[f32; 2]>,
    hidden: Vec<usize>,
    #[serde(default)]
    lstm: usize,
}

impl Network {
    /// Reads a file.
    ///
    /// # Errors
    /// When it cannot be read or is no policy.
    pub fn load(path: &Path) -> Result<Self, NetworkError> {
        let wrong = |message: String| NetworkError {
            path: path.to_owned(),
            message,
        };
        let bytes = std::fs::read(path).map_err(|error| wrong(error.to_string()))?;
        let not =
            |error: safetensors::SafeTensorError| wrong(format!("not a safetensors file: {error}"));
        let (_, metadata) = SafeTensors::read_metadata(&bytes).map_err(not)?;
        let file = SafeTensors::deserialize(&bytes).map_err(not)?;
        let text = metadata.metadata().as_ref();
        let text = text.and_then(|m| m.get("actor_critic")).ok_or_else(|| {
            wrong(
                "expected a policy, with its sizes under \"actor_critic\" in the metadata"
                    .to_owned(),
            )
        })?;
        let shape: Shape = serde_json::from_str(text)
            .map_err(|error| wrong(format!("metadata \"actor_critic\": {error}")))?;
        if shape.bounds.len() != shape.action {
            return Err(wrong(format!(
                "metadata \"actor_critic\": expected the bounds of {} numbers of an action, found {}",
                shape.action,
                shape.bounds.len()
            )));
        }
        let bytes_of = |name: &str, dtype: Dtype, expected: &[usize]| {
            let view = file
                .tensor(name)
                .map_err(|error| wrong(error.to_string()))?;
            if view.dtype() != dtype || view.shape() != expected {
                return Err(wrong(format!(
                    "tensor {name}: expected {expected:?} of {dtype:?}, found {:?} of {:?}",
                    view.shape(),
                    view.dtype()
                )));
            }
            Ok(view.data())
        };
        let floats = |name: &str, expected: &[usize]| {
            let (numbers, _) = bytes_of(name, Dtype::F32, expected)?.as_chunks::<4>();
            Ok(numbers.iter().map(|b| f32::from_le_bytes(*b)).collect())
        };
        let doubles = |name: &str, n: usize| {
            let (numbers, _) = bytes_of(name, Dtype::F64, &[n])?.as_chunks::<8>();
            Ok::<Vec<f64>, NetworkError>(numbers.iter().map(|b| f64::from_le_bytes(*b)).collect())
        };
        let layer = |name: &str, [outputs, inputs]: [usize; 2]| {
            Ok::<_, NetworkError>(Layer {
                weight: floats(&format!("{name}.weight"), &[outputs, inputs])?,
                bias: floats(&format!("{name}.bias"), &[outputs])?,
            })
        };
        let (mut inputs, mut lstm, units) = (shape.observation, None, shape.lstm);
        if units > 0 {
            lstm = Some(Lstm {
                input: layer("policy.lstm.input", [4 * units, inputs])?,
                hidden: floats("policy.lstm.hidden.weight", &[4 * units, units])?,
            });
            inputs = units;
        }
        let mut layers = Vec::new();
        for (number, outputs) in shape.hidden.iter().chain([&shape.action]).enumerate() {
            layers.push(layer(&format!("policy.{number}"), [*outputs, inputs])?);
            inputs = *outputs;
        }
        let count = doubles("observation.count", 1)?[0].max(1.0);
        let squares = doubles("observation.squares", shape.observation)?;
        let scale = |squares: f64| {
            let variance = squares / count;
            // What never changed stays as it is beside its mean.
            (1.0 / if variance > 1e-12 { variance } else { 1.0 }.sqrt()) as f32
        };
        let mean = doubles("observation.mean", shape.observation)?;
        Ok(Self {
            bounds: shape.bounds,
            digest: blake3::hash(&bytes).to_hex().to_string(),
            mean: mean.into_iter().map(|x| x as f32).collect(),
            scale: squares.into_iter().map(scale).collect(),
            lstm,
            layers,
        })
    }

    /// Tells it from others: of the file's bytes.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// Numbers of an observation and of an action.
    pub fn sizes(&self) -> [usize; 2] {
        let last = self.layers.last();
        [self.mean.len(), last.map_or(0, |layer| layer.bias.len())]
    }

    /// The mean action of an observation, after what is remembered; `hidden` is room for what is between.
    fn act(
        &self,
        seen: &[f32],
        memory: &mut Memory,
        hidden: &mut [Vec<f32>; 2],
        action: &mut [f32],
    ) {
        let [from, to] = hidden;
        from.clear();
        let scaled = seen.iter().zip(&self.mean).zip(&self.scale);
        from.extend(scaled.map(|((x, mean), scale)| ((x - mean) * scale).clamp(-10.0, 10.0)));
        if let Some(lstm) = &self.lstm {
            lstm.step(from, memory);
            from.clone_from(&memory.hidden);
        }
        for (number, layer) in self.layers.iter().enumerate() {
            layer.apply(from, to);
            if number + 1 < self.layers.len() {
                to.iter_mut().for_each(|x| *x = gelu(*x));
            }
            std::mem::swap(from, to);
        }
        action.copy_from_slice(from);
    }
}

impl Layer {
    fn apply(&self, from: &[f32], to: &mut Vec<f32>) {
        to.clear();
        let rows = self.weight.chunks_exact(from.len().max(1));
        to.extend(
            rows.zip(&self.bias)
                .map(|(row, bias)| bias + dot(row, from)),
        );
    }
}

impl Lstm {
    fn step(&self, x: &[f32], memory: &mut Memory) {
        let Memory {
            hidden,
            cell,
            gates,
        } = memory;
        self.input.apply(x, gates);
        let units = gates.len() / 4;
        hidden.resize(units, 0.0);
        cell.resize(units, 0.0);
        let rows = self.hidden.chunks_exact(units);
        gates
            .iter_mut()
            .zip(rows)
            .for_each(|(gate, row)| *gate += dot(row, hidden));
        let sigmoid = |x: f32| 1.0 / (1.0 + libm::expf(-x));
        for (i, (hidden, cell)) in hidden.iter_mut().zip(cell).enumerate() {
            let [input, forget, new, output] = [0, 1, 2, 3].map(|gate| gates[gate * units + i]);
            *cell = sigmoid(forget) * *cell + sigmoid(input) * libm::tanhf(new);
            *hidden = sigmoid(output) * libm::tanhf(*cell);
        }
    }
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// GELU, its tanh approximation (Hendrycks and Gimpel 2016, arXiv:1606.08415, section 2).
fn gelu(x: f32) -> f32 {
    let inner = (2.0 / std::f32::consts::PI).sqrt() * (x + 0.044_715 * x * x * x);
    0.5 * x * (1.0 + libm::tanhf(inner))
}

/// Moves a hand as a [`Network`] says.
pub struct LearnedHand {
    network: Network,
    bounds: Vec<[f32; 2]>,
    seen: Vec<f32>,
    /// Of each world.
    memories: Vec<Memory>,
    hidden: [Vec<f32>; 2],
}

impl LearnedHand {
    /// In the worlds of an environment.
    ///
    /// # Errors
    /// In words, when the network is for observations or actions of other sizes, or for actions of other ranges.
    pub fn new(network: &Network, env: &HandEnv) -> Result<Self, String> {
        let [observation, action] = network.sizes();
        let (seen, done) = (env.n_observations(), env.n_actions());
        if (observation, action) != (seen, done) {
            return Err(format!(
                "the policy sees {observation} numbers and gives {action}, and {} has {seen} and wants {done}",
                env.task().name()
            ));
        }
        let bounds = env.action_bounds();
        let differ = network.bounds.iter().zip(&bounds).find(|(a, b)| a != b);
        if let Some((given, wanted)) = differ {
            return Err(format!(
                "the policy's actions are in {given:?}, and {} wants {wanted:?} (`actions` in its scenario)",
                env.task().name()
            ));
        }
        Ok(Self {
            network: network.clone(),
            bounds,
            seen: Vec::new(),
            memories: vec![Memory::default(); env.n_worlds()],
            hidden: [Vec::new(), Vec::new()],
        })
    }
}

impl HandPolicy for LearnedHand {
    fn name(&self) -> &str {
        "learned"
    }

    fn reset(&mut self, lane: usize, _: ChaCha8Rng) {
        self.memories[lane] = Memory::default();
    }

    fn act(&mut self, lane: usize, seen: &Seen<'_>, action: &mut [f32]) {
        self.seen.clear();
        for part in seen.parts() {
            self.seen.extend_from_slice(part);
        }
        let memory = &mut self.memories[lane];
        self.network
            .act(&self.seen, memory, &mut self.hidden, action);
        for (x, [low, high]) in action.iter_mut().zip(&self.bounds) {
            *x = x.clamp(*low, *high);
        }
    }
}
