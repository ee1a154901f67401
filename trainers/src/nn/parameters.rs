//! The values of a network: one flat vector of f32, named tensors that libtorch computes with, a safetensors file.
//!
//! The optimizer updates the flat vector and a checkpoint holds it; networks keep [`ParameterId`]s and ask for the
//! tensors when they compute. Knows nothing of what the networks do.

use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::path::Path;

use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use tch::{Device, Tensor, no_grad};

use super::{ModelError, tensor_of};

/// Names a tensor of [`Parameters`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParameterId(usize);

/// What a tensor starts from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Init {
    /// Every value the same.
    Constant(f32),
    /// Uniform with variance 1 / inputs: LeCun's, as Flax's default, whose normal distribution is cut at two deviations.
    LeCun {
        /// Numbers that enter one output.
        inputs: i64,
    },
}

struct Entry {
    name: String,
    shape: Vec<i64>,
    /// Place of the first value in the flat vector.
    offset: usize,
}

impl Entry {
    fn len(&self) -> usize {
        self.shape.iter().product::<i64>() as usize
    }
}

/// Named tensors over one flat vector of f32.
pub struct Parameters {
    entries: Vec<Entry>,
    values: Vec<f32>,
    /// Copies on the device, one for each entry; what gradients are taken with respect to.
    leaves: Vec<Tensor>,
    device: Device,
}

impl Parameters {
    /// No tensors yet.
    pub fn new(device: Device) -> Self {
        Self {
            entries: Vec::new(),
            values: Vec::new(),
            leaves: Vec::new(),
            device,
        }
    }

    /// Adds a tensor. Names are PyTorch's (`encoder.convolutions.0.weight`), so are layouts: `(out, in)` and
    /// `(out, in, height, width)`.
    pub(crate) fn add(
        &mut self,
        name: String,
        shape: &[i64],
        init: Init,
        rng: &mut ChaCha8Rng,
    ) -> Result<ParameterId, ModelError> {
        let entry = Entry {
            name,
            shape: shape.to_vec(),
            offset: self.values.len(),
        };
        let count = entry.len();
        match init {
            Init::Constant(value) => self.values.resize(entry.offset + count, value),
            Init::LeCun { inputs } => {
                let bound = (3.0 / inputs.max(1) as f64).sqrt() as f32;
                let drawn = (0..count).map(|_| bound * (2.0 * rng.random::<f32>() - 1.0));
                self.values.extend(drawn);
            }
        }
        let leaf = Tensor::f_from_slice(&self.values[entry.offset..])?
            .f_reshape(shape)?
            .f_to_device(self.device)?
            .f_set_requires_grad(true)?;
        self.leaves.push(leaf);
        self.entries.push(entry);
        Ok(ParameterId(self.entries.len() - 1))
    }

    /// The tensor to compute with.
    pub fn get(&self, id: ParameterId) -> &Tensor {
        &self.leaves[id.0]
    }

    /// Where the tensors are.
    pub fn device(&self) -> Device {
        self.device
    }

    /// All values, tensor after tensor in the order they were added.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// Name and shape of each tensor, in order.
    pub fn names(&self) -> impl Iterator<Item = (&str, &[i64])> {
        self.entries
            .iter()
            .map(|entry| (entry.name.as_str(), entry.shape.as_slice()))
    }

    /// Changes the values in place.
    ///
    /// # Errors
    /// When libtorch refuses the copy.
    pub fn update(&mut self, change: impl FnOnce(&mut [f32])) -> Result<(), ModelError> {
        change(&mut self.values);
        no_grad(|| {
            for (entry, leaf) in self.entries.iter().zip(&mut self.leaves) {
                let values = &self.values[entry.offset..entry.offset + entry.len()];
                let values = Tensor::f_from_slice(values)?.f_reshape(&entry.shape)?;
                leaf.f_copy_(&values)?;
            }
            Ok(())
        })
    }

    /// Multiplies the values of one tensor.
    ///
    /// # Errors
    /// When there is no such tensor.
    pub(crate) fn scale(&mut self, name: &str, by: f32) -> Result<(), ModelError> {
        let range = self.range(name)?;
        self.update(|values| values[range].iter_mut().for_each(|x| *x *= by))
    }

    /// Where the values of one tensor are among all.
    ///
    /// # Errors
    /// When there is no such tensor.
    pub(crate) fn range(&self, name: &str) -> Result<Range<usize>, ModelError> {
        match self.entries.iter().find(|entry| entry.name == name) {
            Some(entry) => Ok(entry.offset..entry.offset + entry.len()),
            None => Err(ModelError::Weights(format!("no tensor is named {name}"))),
        }
    }

    /// Replaces all values.
    ///
    /// # Errors
    /// When their number differs.
    pub fn set_values(&mut self, values: &[f32]) -> Result<(), ModelError> {
        if values.len() != self.values.len() {
            return Err(ModelError::Weights(format!(
                "expected {} values, found {}",
                self.values.len(),
                values.len()
            )));
        }
        self.update(|own| own.copy_from_slice(values))
    }

    /// Writes the gradient of a scalar with respect to all values; 0 for tensors it does not depend on.
    ///
    /// # Errors
    /// When libtorch refuses.
    ///
    /// # Panics
    /// When `into` is not as long as [`Parameters::values`].
    pub fn gradient(&self, of: &Tensor, into: &mut [f32]) -> Result<(), ModelError> {
        assert_eq!(into.len(), self.values.len(), "one gradient per value");
        let gradients = Tensor::f_run_backward(&[of], &self.leaves, false, false)?;
        for (entry, gradient) in self.entries.iter().zip(gradients) {
            let part = &mut into[entry.offset..entry.offset + entry.len()];
            if gradient.defined() {
                let gradient = gradient
                    .f_to_device(Device::Cpu)?
                    .f_contiguous()?
                    .f_reshape(-1)?;
                gradient.f_copy_data(part, part.len())?;
            } else {
                part.fill(0.0);
            }
        }
        Ok(())
    }

    /// The tensors whose names begin with `prefix` as a safetensors file, `value` under `key` in its metadata; PyTorch
    /// loads it under the same names. One entry only: the format keeps entries in no order, and equal values shall be
    /// equal files.
    pub fn to_bytes(&self, prefix: &str, metadata: (&str, String)) -> Vec<u8> {
        self.to_bytes_with(prefix, metadata, Vec::new())
    }

    /// The same with `more` tensors.
    pub(crate) fn to_bytes_with(
        &self,
        prefix: &str,
        (key, value): (&str, String),
        more: Vec<(String, TensorView<'_>)>,
    ) -> Vec<u8> {
        let bytes: Vec<u8> = self.values.iter().flat_map(|v| v.to_le_bytes()).collect();
        let views = self
            .entries
            .iter()
            .filter(|entry| entry.name.starts_with(prefix))
            .map(|entry| {
                let shape = entry.shape.iter().map(|size| *size as usize).collect();
                let bytes = &bytes[4 * entry.offset..4 * (entry.offset + entry.len())];
                let view = TensorView::new(Dtype::F32, shape, bytes);
                (
                    entry.name.clone(),
                    view.expect("the bytes are those of the shape"),
                )
            })
            .chain(more);
        let metadata = [(key.to_owned(), value)].into();
        safetensors::serialize(views, Some(metadata)).expect("tensors of f32 serialize")
    }

    /// Takes every tensor's values from a safetensors file, which may hold others too.
    ///
    /// # Errors
    /// When the file cannot be read, or a tensor is missing or of another shape; then nothing is changed.
    pub fn load(&mut self, path: &Path) -> Result<(), ModelError> {
        let bytes = read(path)?;
        let file = parse(path, &bytes)?;
        let mut values = vec![0.0; self.values.len()];
        for entry in &self.entries {
            let wrong = |message: String| ModelError::Format {
                path: path.to_path_buf(),
                message: format!("tensor {}: {message}", entry.name),
            };
            let view = file
                .tensor(&entry.name)
                .map_err(|_missing| wrong("missing".to_owned()))?;
            let tensor = tensor_of(&view).map_err(wrong)?;
            if tensor.size() != entry.shape {
                return Err(wrong(format!(
                    "expected shape {:?}, found {:?}",
                    entry.shape,
                    tensor.size()
                )));
            }
            let part = &mut values[entry.offset..entry.offset + entry.len()];
            tensor
                .f_contiguous()?
                .f_reshape(-1)?
                .f_copy_data(part, part.len())?;
        }
        self.set_values(&values)
    }
}

/// The text metadata of a safetensors file.
///
/// # Errors
/// When the file cannot be read.
pub fn safetensors_metadata(path: &Path) -> Result<BTreeMap<String, String>, ModelError> {
    let bytes = read(path)?;
    let (_, metadata) = SafeTensors::read_metadata(&bytes).map_err(|error| ModelError::Format {
        path: path.to_path_buf(),
        message: format!("not a safetensors file: {error}"),
    })?;
    Ok(metadata
        .metadata()
        .clone()
        .unwrap_or_default()
        .into_iter()
        .collect())
}

fn read(path: &Path) -> Result<Vec<u8>, ModelError> {
    fs::read(path).map_err(|source| ModelError::Io {
        path: path.to_path_buf(),
        source,
    })
}

fn parse<'a>(path: &Path, bytes: &'a [u8]) -> Result<SafeTensors<'a>, ModelError> {
    SafeTensors::deserialize(bytes).map_err(|error| ModelError::Format {
        path: path.to_path_buf(),
        message: format!("not a safetensors file: {error}"),
    })
}
