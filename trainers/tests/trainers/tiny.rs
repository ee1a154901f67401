//! The tiny Llama of `data/ewc_expected.json` (made by tests/peers/language/ewc_reference.py): its weights are an
//! integer hash, exact in f32.

use std::path::{Path, PathBuf};

use serde_json::Value;
use tch::{Device, Kind, Tensor};
use trainers::nn::{Llama, LlamaConfig, Weights};

pub(crate) fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(name)
}

pub(crate) fn json(name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(data(name)).unwrap()).unwrap()
}

/// `v(k, i)` of the reference for the first `count` i, in [-1, 1).
pub(crate) fn v(k: u32, count: usize) -> Vec<f32> {
    (0..count as u32)
        .map(|i| {
            let mut x = (k * 65536).wrapping_add(i);
            for (shift, factor) in [(16, 0x7feb_352d_u32), (15, 0x846c_a68b)] {
                x = (x ^ (x >> shift)).wrapping_mul(factor);
            }
            x ^= x >> 16;
            (f64::from(x >> 8) / f64::from(1 << 23) - 1.0) as f32
        })
        .collect()
}

pub(crate) fn tiny() -> Llama {
    tiny_from(&json("ewc_expected.json"), Kind::Float)
}

pub(crate) fn tiny_from(expected: &Value, kind: Kind) -> Llama {
    let config = LlamaConfig::from_json(&tiny_config(expected)).unwrap();
    let tensors = tiny_weights(expected)
        .into_iter()
        .map(|(name, shape, values)| (name, Tensor::from_slice(&values).reshape(&shape[..])));
    let weights = Weights::new("tiny", tensors.collect());
    Llama::new(config, &weights, kind, Device::Cpu, "tiny".to_owned()).unwrap()
}

/// The tiny model's config.json.
pub(crate) fn tiny_config(expected: &Value) -> Value {
    let mut config = expected["config"].clone();
    config["model_type"] = "llama".into();
    config
}

/// Name, shape and values of each of its tensors.
pub(crate) fn tiny_weights(expected: &Value) -> Vec<(String, Vec<i64>, Vec<f32>)> {
    let mut tensors = Vec::new();
    for (k, parameter) in (0..).zip(expected["parameters"].as_array().unwrap()) {
        let name = parameter[0].as_str().unwrap();
        let shape: Vec<i64> = serde_json::from_value(parameter[1].clone()).unwrap();
        let (offset, amplitude) = if name.contains("norm") {
            (1.0, 0.25)
        } else {
            (0.0, 0.5)
        };
        let values = v(k, shape.iter().product::<i64>() as usize);
        let values = values
            .iter()
            .map(|value| offset + amplitude * value)
            .collect();
        tensors.push((name.to_owned(), shape, values));
    }
    tensors
}

pub(crate) fn floats(value: &Value) -> Vec<f64> {
    value
        .as_array()
        .unwrap()
        .iter()
        .map(|x| x.as_f64().unwrap())
        .collect()
}

/// Each value within `tolerance` of the largest expected one.
pub(crate) fn assert_close(what: &str, found: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len(), "{what}: length");
    let largest = expected.iter().fold(0.0_f64, |m, x| m.max(x.abs()));
    for (i, (f, e)) in found.iter().zip(expected).enumerate() {
        assert!(
            (f - e).abs() <= tolerance * largest,
            "{what}[{i}]: {f} instead of {e} (largest {largest})"
        );
    }
}
