//! Pretraining losses and their gradients against PyTorch (data/objectives_expected.json), and what the mathematics
//! promises.

use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};
use tch::{Device, Kind, Tensor};
use trainers::nn::{Dropout, Encoder, EncoderConfig, Parameters, Precision};
use trainers::objectives::{Inputs, Next, Objective, ObjectiveConfig, Sizes, TensorBatch};

use crate::tiny::{assert_close, v};

/// An encoder with an objective over it.
struct Case {
    parameters: Parameters,
    encoder: Encoder,
    objective: Box<dyn Objective>,
}

impl Case {
    fn new(encoder: &EncoderConfig, objective: &ObjectiveConfig) -> Self {
        let mut parameters = Parameters::new(Device::Cpu);
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let sizes = Sizes { encoder, action: 2 };
        let encoder = Encoder::new(&mut parameters, encoder, Precision::F32, &mut rng).unwrap();
        let objective = objective.build(&mut parameters, sizes, &mut rng).unwrap();
        Self {
            parameters,
            encoder,
            objective,
        }
    }

    /// Terms of the loss, and the gradient of their sum.
    fn loss(&self, batch: &TensorBatch) -> (Vec<(&'static str, f64)>, Vec<f32>) {
        let embed = |observations| {
            self.encoder
                .forward(&self.parameters, observations)
                .unwrap()
        };
        let z = embed(&batch.observations);
        let next_z =
            (self.objective.next() == Next::Embedded).then(|| embed(batch.next.as_ref().unwrap()));
        let inputs = Inputs {
            z: &z,
            next_z: next_z.as_ref(),
            batch,
        };
        let terms = self
            .objective
            .loss(&self.parameters, &inputs, &mut Dropout::off())
            .unwrap();
        let sum = terms.iter().map(|(_, term)| term.shallow_clone());
        let sum = sum.reduce(|a, b| a + b).unwrap();
        let mut gradient = vec![0.0; self.parameters.values().len()];
        self.parameters.gradient(&sum, &mut gradient).unwrap();
        let values = terms
            .iter()
            .map(|(name, term)| (*name, term.double_value(&[])));
        (values.collect(), gradient)
    }
}

/// Starts each tensor from the reference's hashes.
fn set_hashes(parameters: &mut Parameters) {
    let mut values = Vec::new();
    for (k, (name, shape)) in (0..).zip(parameters.names()) {
        let count: i64 = shape.iter().product();
        let (offset, amplitude) = if name.ends_with("norm.weight") {
            (1.0, 0.25)
        } else if name.ends_with("bias") {
            (0.0, 0.25)
        } else {
            // transposed convolutions have their inputs first
            let outputs = if name.contains("decoder.conv") {
                shape[1]
            } else {
                shape[0]
            };
            (0.0, (3.0 / (count / outputs) as f64).sqrt())
        };
        let hashes = v(k, count as usize);
        values.extend(
            hashes
                .iter()
                .map(|x| (offset + amplitude * f64::from(*x)) as f32),
        );
    }
    parameters.set_values(&values).unwrap();
}

/// The reference's batch: five pairs of frames.
fn batch(encoder: &EncoderConfig, steps: i64) -> TensorBatch {
    let observations = |k: u32| match encoder {
        EncoderConfig::Image(image) => {
            // v keeps the upper 24 bits of the hash, the pixels are its lower 8
            let shape = [5, image.size, image.size, 3];
            let pixels: Vec<u8> = (0..shape.iter().product::<i64>() as u32)
                .map(|i| hash(k, i) as u8)
                .collect();
            Tensor::from_slice(&pixels).reshape(shape)
        }
        EncoderConfig::Vector(vector) => {
            Tensor::from_slice(&v(k, 5 * vector.inputs as usize)).reshape([5, vector.inputs])
        }
    };
    let ahead: Vec<f32> = (0..5)
        .map(|i| (1 + i % steps) as f32 / steps as f32)
        .collect();
    TensorBatch {
        observations: observations(900),
        next: Some(observations(901)),
        actions: Tensor::from_slice(&v(902, 10 * steps as usize)).reshape([5, steps, 2]),
        ahead: Tensor::from_slice(&ahead).reshape([5, 1]),
        states: Tensor::zeros([5, 0], (Kind::Float, Device::Cpu)),
    }
}

fn hash(k: u32, i: u32) -> u32 {
    let mut x = (k * 65536).wrapping_add(i);
    for (shift, factor) in [(16, 0x7feb_352d_u32), (15, 0x846c_a68b)] {
        x = (x ^ (x >> shift)).wrapping_mul(factor);
    }
    x ^ (x >> 16)
}

fn parse<T: serde::de::DeserializeOwned>(value: &Value) -> T {
    serde_json::from_value(value.clone()).unwrap()
}

#[test]
fn losses_and_gradients_equal_pytorchs() {
    let expected = crate::tiny::json("objectives_expected.json");
    for expected in expected.as_array().unwrap() {
        let title = expected["title"].as_str().unwrap();
        let encoder: EncoderConfig = parse(&expected["encoder"]);
        let objective: ObjectiveConfig = parse(&expected["objective"]);
        assert_eq!(expected["objective"]["name"], objective.name());
        let mut case = Case::new(&encoder, &objective);
        set_hashes(&mut case.parameters);
        let steps = case.objective.ahead().max().max(1) as i64;
        let (terms, gradient) = case.loss(&batch(&encoder, steps));

        let wanted: Vec<(String, f64)> = parse(&expected["terms"]);
        let names: Vec<&str> = terms.iter().map(|(name, _)| *name).collect();
        assert_eq!(
            names,
            wanted.iter().map(|(name, _)| name).collect::<Vec<_>>()
        );
        let found: Vec<f64> = terms.iter().map(|(_, value)| *value).collect();
        let wanted: Vec<f64> = wanted.iter().map(|(_, value)| *value).collect();
        assert_close(title, &found, &wanted, 2e-6);

        let wanted: Vec<(String, Vec<i64>, f64, f64)> = parse(&expected["gradients"]);
        let shapes: Vec<_> = case.parameters.names().collect();
        assert_eq!(shapes.len(), wanted.len(), "{title}: number of tensors");
        let mut at = 0;
        let (mut found, mut reference) = (Vec::new(), Vec::new());
        for (k, ((name, shape), (wanted_name, wanted_shape, norm, product))) in
            (500..).zip(shapes.into_iter().zip(&wanted))
        {
            assert_eq!(
                (name, shape),
                (wanted_name.as_str(), wanted_shape.as_slice()),
                "{title}"
            );
            let count = shape.iter().product::<i64>() as usize;
            let part = &gradient[at..at + count];
            at += count;
            let square = |x: &f32| f64::from(*x) * f64::from(*x);
            let own = part.iter().map(square).sum::<f64>().sqrt();
            // relative where the gradient is not nothing (that of the keypoints' bias is)
            assert!(
                (own - norm).abs() <= 1e-4 * norm + 1e-7,
                "{title}: {name}: {own} instead of {norm}"
            );
            let of_hash = part
                .iter()
                .zip(v(k, count))
                .map(|(g, x)| f64::from(*g) * f64::from(x));
            found.push(of_hash.sum::<f64>());
            reference.push(*product);
        }
        assert_close(title, &found, &reference, 1e-5);
    }
}

fn vector_encoder() -> EncoderConfig {
    parse(&json!({ "observations": "vector", "inputs": 9, "hidden": [8], "embedding": 6 }))
}

fn image_encoder() -> EncoderConfig {
    parse(&json!({
        "observations": "image", "size": 12, "channels": [3, 4], "strides": [2, 1], "keypoints": 5, "embedding": 6
    }))
}

#[test]
fn every_objective_teaches_the_encoder() {
    for encoder in [vector_encoder(), image_encoder()] {
        for objective in ObjectiveConfig::all() {
            let case = Case::new(&encoder, &objective);
            let (_, gradient) = case.loss(&batch(&encoder, 1));
            let mut at = 0;
            for (name, shape) in case.parameters.names() {
                let count = shape.iter().product::<i64>() as usize;
                let part = &gradient[at..at + count];
                at += count;
                // a bias before a softmax over places changes nothing
                let idle = name == "encoder.keypoints.bias";
                assert!(
                    idle || part.iter().any(|x| *x != 0.0),
                    "{}: no gradient reaches {name}",
                    objective.name()
                );
            }
        }
    }
}

/// A batch of the same frame over and over, and one of a single frame.
#[test]
fn degenerate_batches_give_finite_losses() {
    let encoder = vector_encoder();
    let whole = batch(&encoder, 1);
    let repeated = |rows: i64| {
        let repeat = |x: &Tensor| {
            let mut sizes = vec![1; x.dim()];
            sizes[0] = rows;
            x.narrow(0, 0, 1).repeat(sizes)
        };
        TensorBatch {
            observations: repeat(&whole.observations),
            next: whole.next.as_ref().map(repeat),
            actions: repeat(&whole.actions),
            ahead: repeat(&whole.ahead),
            states: repeat(&whole.states),
        }
    };
    for objective in ObjectiveConfig::all() {
        for rows in [1, 4] {
            let case = Case::new(&encoder, &objective);
            let (terms, gradient) = case.loss(&repeated(rows));
            for (name, value) in terms {
                assert!(value.is_finite(), "{}: {name} = {value}", objective.name());
                if name == "contrastive" {
                    // rows that cannot be told apart: the logarithm of their number
                    assert!((value - (rows as f64).ln()).abs() < 1e-6, "{value}");
                }
            }
            assert!(
                gradient.iter().all(|x| x.is_finite()),
                "{}",
                objective.name()
            );
        }
    }
}

#[test]
fn dropout_is_a_function_of_seed_and_step() {
    let encoder = vector_encoder();
    let case = Case::new(
        &encoder,
        &ObjectiveConfig::BehaviorCloning(Default::default()),
    );
    let batch = batch(&encoder, 1);
    let z = case
        .encoder
        .forward(&case.parameters, &batch.observations)
        .unwrap();
    let inputs = Inputs {
        z: &z,
        next_z: None,
        batch: &batch,
    };
    let loss = |mut dropout: Dropout| {
        let terms = case
            .objective
            .loss(&case.parameters, &inputs, &mut dropout)
            .unwrap();
        terms[0].1.double_value(&[])
    };
    assert_eq!(loss(Dropout::of_step(3, 7)), loss(Dropout::of_step(3, 7)));
    assert_ne!(loss(Dropout::of_step(3, 7)), loss(Dropout::of_step(3, 8)));
    assert_ne!(loss(Dropout::of_step(3, 7)), loss(Dropout::of_step(4, 7)));
    assert_ne!(loss(Dropout::of_step(3, 7)), loss(Dropout::off()));
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    let refuse = |encoder: &EncoderConfig, objective: Value| {
        let mut parameters = Parameters::new(Device::Cpu);
        let sizes = Sizes { encoder, action: 2 };
        let objective: ObjectiveConfig = parse(&objective);
        let built = objective.build(&mut parameters, sizes, &mut ChaCha8Rng::seed_from_u64(1));
        built
            .err()
            .map(|error| error.to_string())
            .unwrap_or_default()
    };
    let vector = vector_encoder();
    for (objective, message) in [
        (
            json!({ "name": "inverse_dynamics", "ahead": { "fixed": 0 } }),
            "objective.ahead: expected frames at least 1 step apart, found 0",
        ),
        (
            json!({ "name": "inverse_dynamics", "ahead": { "up_to": 2 }, "predict": "all" }),
            "objective.predict: expected \"first\" with sampled distances, found \"all\"",
        ),
        (
            json!({ "name": "implicit_forward", "temperature": 0.0 }),
            "objective.temperature: expected a positive number, found 0",
        ),
        (
            json!({ "name": "implicit_forward", "projection": -1 }),
            "objective.projection: expected 1 to 65536 numbers, found -1",
        ),
        (
            json!({ "name": "static_contrastive", "projection": 0 }),
            "objective.projection: expected 1 to 65536 numbers, found 0",
        ),
        (
            json!({ "name": "behavior_cloning", "head": { "dropout": 1.0 } }),
            "objective.head.dropout: expected a share in 0 to 1, found 1",
        ),
    ] {
        assert_eq!(refuse(&vector, objective), message);
    }
    let odd: EncoderConfig = parse(&json!({
        "observations": "image", "size": 13, "channels": [3], "strides": [2], "keypoints": 5, "embedding": 6
    }));
    assert_eq!(
        refuse(&odd, json!({ "name": "explicit_forward" })),
        "explicit_forward: images of 13 pixels cannot be made from the encoder's map of 6; 14 can"
    );
    let unknown = serde_json::from_value::<ObjectiveConfig>(
        json!({ "name": "inverse_dynamics", "stepz": 2 }),
    );
    assert!(
        unknown
            .unwrap_err()
            .to_string()
            .contains("unknown field `stepz`")
    );
}
