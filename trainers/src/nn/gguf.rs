//! Reader of GGUF version 3, the file format of llama.cpp: metadata, and tensors as f32.
//!
//! Knows the quantizations that the models used here come in (F32, F16, Q4_1, Q8_0) and nothing of model
//! architectures. Source: the GGUF specification in the ggml repository (docs/gguf.md) and its ggml-quants.c.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use half::f16;

use super::ModelError;

/// A metadata value. Integers of every width are widened to i64, floats to f64.
#[derive(Clone, Debug, PartialEq)]
pub enum Metadata {
    /// Any integer type.
    Int(i64),
    /// f32 or f64.
    Float(f64),
    /// A boolean.
    Bool(bool),
    /// UTF-8 text.
    Text(String),
    /// An array of equal types.
    Array(Vec<Metadata>),
}

/// An opened GGUF file.
pub struct Gguf {
    path: PathBuf,
    bytes: Vec<u8>,
    metadata: BTreeMap<String, Metadata>,
    tensors: BTreeMap<String, TensorInfo>,
    /// Start of the tensor data in `bytes`; offsets count from here.
    data: usize,
}

struct TensorInfo {
    /// Outermost first, as libtorch has it (the file has innermost first).
    shape: Vec<i64>,
    quantization: Quantization,
    offset: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Quantization {
    F32,
    F16,
    Q4_1,
    Q8_0,
}

impl Quantization {
    /// (values, bytes) of a block.
    fn block(self) -> (usize, usize) {
        match self {
            Self::F32 => (1, 4),
            Self::F16 => (1, 2),
            Self::Q4_1 => (32, 20),
            Self::Q8_0 => (32, 34),
        }
    }
}

/// Tensor types by their number in the file; what is known by name only helps the error message.
const TYPES: [(u32, &str, Option<Quantization>); 15] = [
    (0, "F32", Some(Quantization::F32)),
    (1, "F16", Some(Quantization::F16)),
    (2, "Q4_0", None),
    (3, "Q4_1", Some(Quantization::Q4_1)),
    (6, "Q5_0", None),
    (7, "Q5_1", None),
    (8, "Q8_0", Some(Quantization::Q8_0)),
    (9, "Q8_1", None),
    (10, "Q2_K", None),
    (11, "Q3_K", None),
    (12, "Q4_K", None),
    (13, "Q5_K", None),
    (14, "Q6_K", None),
    (15, "Q8_K", None),
    (30, "BF16", None),
];

impl Gguf {
    /// Reads and checks the file: header, metadata, and that every tensor lies inside it.
    ///
    /// # Errors
    /// When the file cannot be read, is no GGUF of version 3, ends early, or holds an unsupported tensor type.
    pub fn open(path: &Path) -> Result<Self, ModelError> {
        let bytes = fs::read(path).map_err(|source| ModelError::Io {
            path: path.to_path_buf(),
            source,
        })?;
        Self::parse(path, bytes)
    }

    /// As [`Gguf::open`], from the file's bytes; `path` is only named in messages.
    ///
    /// # Errors
    /// As [`Gguf::open`].
    pub fn parse(path: &Path, bytes: Vec<u8>) -> Result<Self, ModelError> {
        let (metadata, tensors, data) = parse(&bytes).map_err(|message| ModelError::Format {
            path: path.to_path_buf(),
            message,
        })?;
        Ok(Self {
            path: path.to_path_buf(),
            bytes,
            metadata,
            tensors,
            data,
        })
    }

    /// Where it was read from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// blake3 of the whole file, hexadecimal.
    pub fn digest(&self) -> String {
        blake3::hash(&self.bytes).to_hex().to_string()
    }

    /// An integer of the metadata.
    ///
    /// # Errors
    /// When the key is missing or no integer.
    pub fn int(&self, key: &str) -> Result<i64, ModelError> {
        match self.metadata.get(key) {
            Some(Metadata::Int(value)) => Ok(*value),
            other => Err(self.unexpected(key, "an integer", other)),
        }
    }

    /// A number of the metadata.
    ///
    /// # Errors
    /// When the key is missing or no number.
    pub fn float(&self, key: &str) -> Result<f64, ModelError> {
        match self.metadata.get(key) {
            Some(Metadata::Float(value)) => Ok(*value),
            #[expect(clippy::cast_precision_loss, reason = "metadata integers are small")]
            Some(Metadata::Int(value)) => Ok(*value as f64),
            other => Err(self.unexpected(key, "a number", other)),
        }
    }

    /// A text of the metadata.
    ///
    /// # Errors
    /// When the key is missing or no text.
    pub fn text(&self, key: &str) -> Result<&str, ModelError> {
        match self.metadata.get(key) {
            Some(Metadata::Text(value)) => Ok(value),
            other => Err(self.unexpected(key, "a text", other)),
        }
    }

    /// An array of the metadata.
    ///
    /// # Errors
    /// When the key is missing or no array.
    pub fn array(&self, key: &str) -> Result<&[Metadata], ModelError> {
        match self.metadata.get(key) {
            Some(Metadata::Array(values)) => Ok(values),
            other => Err(self.unexpected(key, "an array", other)),
        }
    }

    /// Whether the metadata has the key.
    pub fn has_key(&self, key: &str) -> bool {
        self.metadata.contains_key(key)
    }

    /// Whether there is a tensor of that name.
    pub fn has_tensor(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// A tensor's values as f32 in row-major order, and its shape, outermost dimension first.
    ///
    /// # Errors
    /// When there is no such tensor.
    pub fn tensor(&self, name: &str) -> Result<(Vec<f32>, Vec<i64>), ModelError> {
        let info = self
            .tensors
            .get(name)
            .ok_or_else(|| self.format(format!("tensor {name} is missing")))?;
        let (values, bytes) = info.quantization.block();
        let count = info.shape.iter().product::<i64>() as usize;
        let start = self.data + info.offset;
        let data = &self.bytes[start..start + count / values * bytes];
        Ok((dequantize(info.quantization, data), info.shape.clone()))
    }

    /// An error about this file.
    pub(crate) fn format(&self, message: String) -> ModelError {
        ModelError::Format {
            path: self.path.clone(),
            message,
        }
    }

    fn unexpected(&self, key: &str, expected: &str, found: Option<&Metadata>) -> ModelError {
        let found = match found {
            None => "nothing".to_owned(),
            Some(Metadata::Array(values)) => format!("an array of {}", values.len()),
            Some(other) => format!("{other:?}"),
        };
        self.format(format!(
            "metadata {key}: expected {expected}, found {found}"
        ))
    }
}

fn dequantize(quantization: Quantization, data: &[u8]) -> Vec<f32> {
    let scale = |at: &[u8]| f16::from_le_bytes([at[0], at[1]]).to_f32();
    let (values, size) = quantization.block();
    let mut out = Vec::with_capacity(data.len() / size * values);
    match quantization {
        Quantization::F32 => {
            out.extend(
                data.chunks_exact(4)
                    .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])),
            );
        }
        Quantization::F16 => out.extend(data.chunks_exact(2).map(scale)),
        // f16 scale d, f16 minimum m, 32 nibbles: low ones are values 0-15, high ones 16-31; w = d q + m
        Quantization::Q4_1 => {
            for block in data.chunks_exact(20) {
                let (d, m) = (scale(block), scale(&block[2..]));
                out.extend(block[4..].iter().map(|q| d * f32::from(q & 15) + m));
                out.extend(block[4..].iter().map(|q| d * f32::from(q >> 4) + m));
            }
        }
        // f16 scale d, 32 signed bytes; w = d q
        Quantization::Q8_0 => {
            for block in data.chunks_exact(34) {
                let d = scale(block);
                out.extend(block[2..].iter().map(|q| d * f32::from(*q as i8)));
            }
        }
    }
    out
}

/// A position in the file, with bounds-checked reads.
struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], String> {
        let left = self.bytes.len() - self.at;
        if count > left {
            return Err(format!(
                "truncated: {count} bytes expected at byte {}, {left} left",
                self.at
            ));
        }
        let taken = &self.bytes[self.at..self.at + count];
        self.at += count;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let taken = self.take(N)?;
        Ok(taken
            .try_into()
            .expect("take returns exactly what was asked for"))
    }

    fn u32(&mut self) -> Result<u32, String> {
        self.array().map(u32::from_le_bytes)
    }

    /// A count of things of at least `size` bytes each: more than fit into the file is a lie, found before memory is
    /// set aside.
    fn count(&mut self, what: &str, size: usize) -> Result<usize, String> {
        let at = self.at;
        let count = u64::from_le_bytes(self.array()?);
        let left = (self.bytes.len() - self.at) / size;
        if count > left as u64 {
            return Err(format!(
                "truncated or corrupt: {what} count {count} at byte {at}, at most {left} fit into the file"
            ));
        }
        Ok(count as usize)
    }

    fn text(&mut self) -> Result<String, String> {
        let at = self.at;
        let length = self.count("character", 1)?;
        String::from_utf8(self.take(length)?.to_vec())
            .map_err(|error| format!("text at byte {at} is not UTF-8: {error}"))
    }

    fn value(&mut self, kind: u32, depth: usize) -> Result<Metadata, String> {
        Ok(match kind {
            0 => Metadata::Int(i64::from(self.array::<1>()?[0])),
            1 => Metadata::Int(i64::from(i8::from_le_bytes(self.array()?))),
            2 => Metadata::Int(i64::from(u16::from_le_bytes(self.array()?))),
            3 => Metadata::Int(i64::from(i16::from_le_bytes(self.array()?))),
            4 => Metadata::Int(i64::from(self.u32()?)),
            5 => Metadata::Int(i64::from(i32::from_le_bytes(self.array()?))),
            6 => Metadata::Float(f64::from(f32::from_le_bytes(self.array()?))),
            7 => Metadata::Bool(self.array::<1>()?[0] != 0),
            8 => Metadata::Text(self.text()?),
            9 => {
                if depth > 2 {
                    return Err(format!("array nested deeper than 2 at byte {}", self.at));
                }
                let element = self.u32()?;
                let count = self.count("array element", 1)?;
                let mut values = Vec::new();
                for _ in 0..count {
                    values.push(self.value(element, depth + 1)?);
                }
                Metadata::Array(values)
            }
            10 => Metadata::Int(u64::from_le_bytes(self.array()?).cast_signed()),
            11 => Metadata::Int(i64::from_le_bytes(self.array()?)),
            12 => Metadata::Float(f64::from_le_bytes(self.array()?)),
            other => {
                return Err(format!(
                    "metadata type {other} at byte {}: expected 0 to 12",
                    self.at
                ));
            }
        })
    }
}

type Parsed = (
    BTreeMap<String, Metadata>,
    BTreeMap<String, TensorInfo>,
    usize,
);

fn parse(bytes: &[u8]) -> Result<Parsed, String> {
    let mut cursor = Cursor { bytes, at: 0 };
    let magic = cursor
        .take(4)
        .map_err(|_short| format!("not a GGUF file: {} bytes long", bytes.len()))?;
    if magic != b"GGUF" {
        return Err(format!(
            "not a GGUF file: expected it to start with \"GGUF\", found {}",
            magic.escape_ascii()
        ));
    }
    let version = cursor.u32()?;
    if version != 3 {
        return Err(format!(
            "GGUF version {version}: only version 3 is supported"
        ));
    }
    // The least that a tensor's entry and a metadata entry take up.
    let tensor_count = cursor.count("tensor", 24)?;
    let metadata_count = cursor.count("metadata", 13)?;
    let mut metadata = BTreeMap::new();
    for _ in 0..metadata_count {
        let key = cursor.text()?;
        let kind = cursor.u32()?;
        let value = cursor
            .value(kind, 0)
            .map_err(|error| format!("metadata {key}: {error}"))?;
        metadata.insert(key, value);
    }
    let mut tensors = BTreeMap::new();
    for _ in 0..tensor_count {
        let name = cursor.text()?;
        let info = tensor_info(&mut cursor).map_err(|error| format!("tensor {name}: {error}"))?;
        tensors.insert(name, info);
    }
    let alignment = match metadata.get("general.alignment") {
        None => 32,
        Some(Metadata::Int(value @ 1..=65536)) => *value as usize,
        Some(other) => {
            return Err(format!(
                "general.alignment: expected 1 to 65536, found {other:?}"
            ));
        }
    };
    let data = cursor.at.next_multiple_of(alignment);
    for (name, info) in &tensors {
        let (values, size) = info.quantization.block();
        let count = info.shape.iter().product::<i64>() as usize;
        let end = (data + count / values * size).checked_add(info.offset);
        if end.is_none_or(|end| end > bytes.len()) {
            return Err(format!(
                "truncated: tensor {name} ends at byte {}, the file has {}",
                end.map_or_else(|| "2^64".to_owned(), |end| end.to_string()),
                bytes.len()
            ));
        }
    }
    Ok((metadata, tensors, data))
}

fn tensor_info(cursor: &mut Cursor<'_>) -> Result<TensorInfo, String> {
    let dimensions = cursor.u32()?;
    if !(1..=4).contains(&dimensions) {
        return Err(format!("{dimensions} dimensions: expected 1 to 4"));
    }
    let mut shape = Vec::new();
    let mut count = 1_u64;
    for _ in 0..dimensions {
        let size = u64::from_le_bytes(cursor.array()?);
        // More values than half the file has bits cannot be stored in it.
        count = count
            .checked_mul(size)
            .filter(|count| *count <= 16 * cursor.bytes.len() as u64)
            .ok_or_else(|| format!("dimension {size}: larger than the file"))?;
        shape.insert(0, size.cast_signed());
    }
    let kind = cursor.u32()?;
    let known = TYPES.iter().find(|(number, ..)| *number == kind);
    let quantization = known
        .and_then(|(.., quantization)| *quantization)
        .ok_or_else(|| {
            format!(
                "unsupported type {}: F32, F16, Q4_1 and Q8_0 are supported",
                known.map_or_else(|| kind.to_string(), |(_, name, _)| (*name).to_owned())
            )
        })?;
    let innermost = shape[shape.len() - 1];
    if !(innermost as usize).is_multiple_of(quantization.block().0) {
        return Err(format!(
            "row of {innermost} values: expected a multiple of {}",
            quantization.block().0
        ));
    }
    let offset = u64::from_le_bytes(cursor.array()?) as usize;
    Ok(TensorInfo {
        shape,
        quantization,
        offset,
    })
}
