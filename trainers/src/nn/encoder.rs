//! Encoders: an observation to an embedding in (-1, 1), as in inverse dynamics pretraining (Brandfonbrener, Nachum and
//! Bruna 2023, "Inverse Dynamics Pretraining Learns Good Representations for Multitask Imitation", arXiv:2305.16985,
//! appendix on architectures).
//!
//! Images: convolutions without padding and GELU, a 1 x 1 convolution to keypoints, the expected place of each under a
//! softmax over the map (Finn et al. 2016, "Deep Spatial Autoencoders", arXiv:1509.06113, section IV-A), linear, layer
//! normalization, tanh. Vectors: a perceptron in place of the convolutions.

use std::path::Path;

use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor, no_grad};

use super::kernels;
use super::mlp::{Dropout, LayerNorm, Linear, Mlp, MlpConfig};
use super::parameters::{Init, safetensors_metadata};
use super::{ModelError, ParameterId, Parameters, Precision};

/// Shape of an encoder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "observations", rename_all = "snake_case")]
pub enum EncoderConfig {
    /// Of square images.
    Image(ImageEncoderConfig),
    /// Of vectors.
    Vector(VectorEncoderConfig),
}

/// Shape of an encoder of images.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageEncoderConfig {
    /// Rows and columns of an image, pixels.
    pub size: i64,
    /// Channels of each 3 x 3 convolution.
    pub channels: Vec<i64>,
    /// Stride of each.
    pub strides: Vec<i64>,
    /// Channels of the 1 x 1 convolution, each read as one place in the image.
    pub keypoints: i64,
    /// Numbers of an embedding.
    pub embedding: i64,
}

/// Shape of an encoder of vectors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VectorEncoderConfig {
    /// Numbers of an observation.
    pub inputs: i64,
    /// Widths of the hidden layers.
    pub hidden: Vec<i64>,
    /// Numbers of an embedding.
    pub embedding: i64,
}

/// The encoders by name: image size, channels, keypoints, embedding. Strides are 2, 2, 1, 1.
///
/// `paper_84` and `paper_120` are the paper's (125 and 298 million products a frame); `small` has 4.3 million and trains
/// within minutes on two cores.
pub const IMAGE_PRESETS: [(&str, i64, [i64; 4], i64, i64); 3] = [
    ("paper_84", 84, [32, 64, 128, 256], 256, 64),
    ("paper_120", 120, [32, 64, 128, 256], 256, 64),
    ("small", 48, [16, 32, 64, 64], 64, 64),
];

impl EncoderConfig {
    /// The encoder of [`IMAGE_PRESETS`] of that name.
    pub fn preset(name: &str) -> Option<Self> {
        let (_, size, channels, keypoints, embedding) =
            IMAGE_PRESETS.iter().find(|preset| preset.0 == name)?;
        Some(Self::Image(ImageEncoderConfig {
            size: *size,
            channels: channels.to_vec(),
            strides: vec![2, 2, 1, 1],
            keypoints: *keypoints,
            embedding: *embedding,
        }))
    }

    /// Numbers of an embedding.
    pub fn embedding(&self) -> i64 {
        match self {
            Self::Image(config) => config.embedding,
            Self::Vector(config) => config.embedding,
        }
    }

    /// Whether the values make sense together.
    ///
    /// # Errors
    /// Names the first that does not.
    pub fn check(&self) -> Result<(), ModelError> {
        let wrong = |message: String| Err(ModelError::Input(format!("encoder.{message}")));
        match self {
            Self::Image(config) => {
                if config.channels.is_empty() || config.channels.len() != config.strides.len() {
                    return wrong(format!(
                        "strides: expected one for each of {} convolutions, found {}",
                        config.channels.len(),
                        config.strides.len()
                    ));
                }
                let numbers = config.channels.iter().chain(&config.strides);
                if numbers.chain([&config.keypoints]).any(|x| *x < 1) {
                    return wrong(
                        "channels, strides, keypoints: expected at least 1 each".to_owned(),
                    );
                }
                if config.map_size() < 1 {
                    return wrong(format!(
                        "size: expected images that leave at least one place after the convolutions, found {}",
                        config.size
                    ));
                }
            }
            Self::Vector(config) => {
                if config.hidden.iter().chain([&config.inputs]).any(|x| *x < 1) {
                    return wrong("inputs, hidden: expected at least 1 each".to_owned());
                }
            }
        }
        if self.embedding() < 2 {
            return wrong(format!(
                "embedding: expected at least 2 (layer normalization makes one number constant), found {}",
                self.embedding()
            ));
        }
        Ok(())
    }
}

impl ImageEncoderConfig {
    /// Rows and columns of the map that the convolutions leave; 0 or less when none is left.
    pub fn map_size(&self) -> i64 {
        self.strides.iter().fold(self.size, |size, stride| {
            if size < 3 {
                0
            } else {
                (size - 3) / stride.max(&1) + 1
            }
        })
    }
}

/// A network from observations to embeddings; its values are in the [`Parameters`] it was added to.
pub struct Encoder {
    config: EncoderConfig,
    body: Body,
    norm: LayerNorm,
    kind: Kind,
}

enum Body {
    Image {
        convolutions: Vec<Convolution>,
        keypoints: Convolution,
        linear: Linear,
        /// Column and row of each place of the map in [-1, 1] `(places, 2)`.
        places: Tensor,
    },
    Vector(Mlp),
}

struct Convolution {
    weight: ParameterId,
    bias: ParameterId,
    stride: i64,
}

impl Encoder {
    /// Adds `encoder.…` to the parameters. `precision` is that of the convolutions alone.
    ///
    /// # Errors
    /// When the configuration makes no sense.
    pub fn new(
        parameters: &mut Parameters,
        config: &EncoderConfig,
        precision: Precision,
        rng: &mut ChaCha8Rng,
    ) -> Result<Self, ModelError> {
        config.check()?;
        let body = match config {
            EncoderConfig::Image(image) => Body::image(parameters, image, rng)?,
            EncoderConfig::Vector(vector) => {
                let mlp = MlpConfig {
                    hidden: vector.hidden.clone(),
                    dropout: 0.0,
                };
                Body::Vector(Mlp::new(
                    parameters,
                    "encoder.mlp",
                    vector.inputs,
                    &mlp,
                    vector.embedding,
                    rng,
                )?)
            }
        };
        let norm = LayerNorm::new(parameters, "encoder.norm", config.embedding(), rng)?;
        Ok(Self {
            config: config.clone(),
            body,
            norm,
            kind: precision.kind(parameters.device()),
        })
    }

    /// Its shape.
    pub fn config(&self) -> &EncoderConfig {
        &self.config
    }

    /// Images u8 `(batch, size, size, 3)` or vectors f32 `(batch, inputs)` to embeddings f32 `(batch, embedding)`.
    ///
    /// # Errors
    /// When the observations are of another shape.
    pub fn forward(
        &self,
        parameters: &Parameters,
        observations: &Tensor,
    ) -> Result<Tensor, ModelError> {
        let found = observations.size();
        let expected = match &self.config {
            EncoderConfig::Image(image) => vec![image.size, image.size, 3],
            EncoderConfig::Vector(vector) => vec![vector.inputs],
        };
        if found.get(1..) != Some(&expected[..]) {
            return Err(ModelError::Input(format!(
                "the encoder reads observations of shape {expected:?}, found {:?}",
                found.get(1..).unwrap_or_default()
            )));
        }
        let z = match &self.body {
            Body::Image {
                convolutions,
                keypoints,
                linear,
                places,
            } => {
                // (batch, 3, size, size), its channels still side by side in memory
                let x = observations.permute([0, 3, 1, 2]);
                let expected = if self.kind == Kind::BFloat16 && x.device() == Device::Cpu {
                    let pixels = x.numel() as i64 / 3;
                    let parts = x.f_chunk(1 + pixels / PART, 0)?;
                    let of = |x| bf16_places(parameters, convolutions, keypoints, x, places);
                    let parts: Vec<Tensor> = parts.iter().map(of).collect::<Result<_, _>>()?;
                    Tensor::f_cat(&parts, 0)?
                } else {
                    let mut x = (x.to_kind(Kind::Float) / 255.0).to_kind(self.kind);
                    for convolution in convolutions {
                        x = convolution.forward(parameters, &x, self.kind).gelu("tanh");
                    }
                    x = keypoints.forward(parameters, &x, self.kind);
                    // (batch, keypoints, places), then each keypoint's expected (column, row)
                    let attention = x.flatten(2, 3).softmax(-1, Kind::Float);
                    attention.matmul(places).flatten(1, 2)
                };
                linear.forward(parameters, &expected)
            }
            Body::Vector(mlp) => mlp.forward(parameters, observations, &mut Dropout::off()),
        };
        Ok(self.norm.forward(parameters, &z).tanh())
    }
}

impl Body {
    fn image(
        parameters: &mut Parameters,
        config: &ImageEncoderConfig,
        rng: &mut ChaCha8Rng,
    ) -> Result<Self, ModelError> {
        let mut convolutions = Vec::new();
        let mut inputs = 3;
        for (number, (channels, stride)) in config.channels.iter().zip(&config.strides).enumerate()
        {
            let name = format!("encoder.convolutions.{number}");
            convolutions.push(Convolution::new(
                parameters,
                &name,
                [*channels, inputs, 3, 3],
                *stride,
                rng,
            )?);
            inputs = *channels;
        }
        let keypoints = Convolution::new(
            parameters,
            "encoder.keypoints",
            [config.keypoints, inputs, 1, 1],
            1,
            rng,
        )?;
        let linear = Linear::new(
            parameters,
            "encoder.linear",
            2 * config.keypoints,
            config.embedding,
            rng,
        )?;
        let size = config.map_size();
        // PyTorch's own rounding of the places: an untrained encoder makes any other 100 times larger
        let line = Tensor::f_linspace(-1.0, 1.0, size, (Kind::Float, Device::Cpu))?;
        let line: Vec<f32> = Vec::try_from(line)?;
        let at = |place: i64| line[place as usize];
        let places: Vec<f32> = (0..size * size)
            .flat_map(|place| [at(place % size), at(place / size)])
            .collect();
        Ok(Self::Image {
            convolutions,
            keypoints,
            linear,
            places: super::mlp::floats(&places, &[size * size, 2], parameters.device())?,
        })
    }
}

impl Convolution {
    fn new(
        parameters: &mut Parameters,
        name: &str,
        shape: [i64; 4],
        stride: i64,
        rng: &mut ChaCha8Rng,
    ) -> Result<Self, ModelError> {
        let inputs = shape[1..].iter().product();
        Ok(Self {
            weight: parameters.add(
                format!("{name}.weight"),
                &shape,
                Init::LeCun { inputs },
                rng,
            )?,
            bias: parameters.add(
                format!("{name}.bias"),
                &shape[..1],
                Init::Constant(0.0),
                rng,
            )?,
            stride,
        })
    }

    fn forward(&self, parameters: &Parameters, x: &Tensor, kind: Kind) -> Tensor {
        x.conv2d(
            &parameters.get(self.weight).to_kind(kind),
            Some(parameters.get(self.bias).to_kind(kind)),
            [self.stride, self.stride],
            [0, 0],
            [1, 1],
            1,
        )
    }
}

/// Pixels of the images that are encoded together on a processor: enough to work on, few enough that memory of one part
/// serves the next, instead of being given back to the system and cleared again.
const PART: i64 = 1 << 18;

/// From images u8 `(batch, 3, size, size)` to the keypoints' expected places f32 `(batch, 2 x keypoints)` in bf16 on a
/// processor: as elsewhere in [`Encoder::forward`], by [`kernels`].
fn bf16_places(
    parameters: &Parameters,
    convolutions: &[Convolution],
    keypoints: &Convolution,
    images: &Tensor,
    places: &Tensor,
) -> Result<Tensor, ModelError> {
    let kind = Kind::BFloat16;
    // Bytes are exact in bf16. What they are divided by goes into the weights.
    let mut x = images.f_to_kind(kind)?;
    for (number, convolution) in convolutions.iter().enumerate() {
        let weight = parameters.get(convolution.weight);
        let weight = match number {
            0 => weight.f_div_scalar(255.0)?.f_to_kind(kind)?,
            _ => weight.f_to_kind(kind)?,
        };
        let bias = parameters.get(convolution.bias).f_to_kind(kind)?;
        let stride = [convolution.stride, convolution.stride];
        x = x.f_conv2d(&weight, Some(bias), stride, [0, 0], [1, 1], 1)?;
        x = kernels::gelu(&x.f_permute([0, 2, 3, 1])?)?.f_permute([0, 3, 1, 2])?;
    }
    // a 1 x 1 convolution is a product: (batch, places, channels) to (batch, places, keypoints)
    let x = x.f_permute([0, 2, 3, 1])?.f_flatten(1, 2)?;
    let weight = parameters
        .get(keypoints.weight)
        .f_flatten(1, 3)?
        .f_to_kind(kind)?;
    let bias = parameters.get(keypoints.bias).f_to_kind(kind)?;
    let x = x.f_linear(&weight, Some(bias))?;
    Ok(kernels::expected_places(&x, places)?.f_flatten(1, 2)?)
}

/// An encoder with values of its own, which nothing trains.
pub struct FrozenEncoder {
    encoder: Encoder,
    parameters: Parameters,
}

/// Key of the encoder's shape in a safetensors file's metadata.
const ENCODER_KEY: &str = "encoder";

impl FrozenEncoder {
    /// A random encoder: a control.
    ///
    /// # Errors
    /// When the configuration makes no sense.
    pub fn random(
        config: &EncoderConfig,
        precision: Precision,
        seed: u64,
        device: Device,
    ) -> Result<Self, ModelError> {
        let mut parameters = Parameters::new(device);
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let encoder = Encoder::new(&mut parameters, config, precision, &mut rng)?;
        Ok(Self {
            encoder,
            parameters,
        })
    }

    /// Reads an encoder that was written by [`FrozenEncoder::to_bytes`] or made elsewhere under the same names; its shape
    /// is in the file's metadata.
    ///
    /// # Errors
    /// When the file cannot be read, has no such metadata, or its tensors are of other shapes.
    pub fn load(path: &Path, precision: Precision, device: Device) -> Result<Self, ModelError> {
        let wrong = |message: String| ModelError::Format {
            path: path.to_path_buf(),
            message,
        };
        let metadata = safetensors_metadata(path)?;
        let text = metadata.get(ENCODER_KEY).ok_or_else(|| {
            wrong(format!(
                "expected the encoder's shape under {ENCODER_KEY:?} in the metadata, found keys {:?}",
                metadata.keys().collect::<Vec<_>>()
            ))
        })?;
        let config: EncoderConfig = serde_json::from_str(text)
            .map_err(|error| wrong(format!("metadata {ENCODER_KEY:?}: {error}")))?;
        let mut frozen = Self::random(&config, precision, 0, device)?;
        frozen.parameters.load(path)?;
        Ok(frozen)
    }

    /// A copy of an encoder that is being trained.
    ///
    /// # Errors
    /// When libtorch refuses.
    pub fn of(
        encoder: &Encoder,
        parameters: &Parameters,
        precision: Precision,
    ) -> Result<Self, ModelError> {
        let mut frozen = Self::random(encoder.config(), precision, 0, parameters.device())?;
        let size = frozen.parameters.values().len();
        // an encoder is added first: its values are the first
        frozen.parameters.set_values(&parameters.values()[..size])?;
        Ok(frozen)
    }

    /// The same encoder once more.
    ///
    /// # Errors
    /// When libtorch refuses.
    pub fn copy(&self) -> Result<Self, ModelError> {
        let device = self.parameters.device();
        let mut copy = Self::random(self.config(), Precision::Auto, 0, device)?;
        copy.encoder.kind = self.encoder.kind;
        copy.parameters.set_values(self.parameters.values())?;
        Ok(copy)
    }

    /// A safetensors file: PyTorch's names and layouts, the encoder's shape as JSON in the metadata.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.parameters
            .to_bytes("encoder.", encoder_metadata(self.encoder.config()))
    }

    /// Its shape.
    pub fn config(&self) -> &EncoderConfig {
        self.encoder.config()
    }

    /// Its values.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// As [`Encoder::forward`], without gradients.
    ///
    /// # Errors
    /// When the observations are of another shape.
    pub fn encode(&self, observations: &Tensor) -> Result<Tensor, ModelError> {
        no_grad(|| self.encoder.forward(&self.parameters, observations))
    }
}

/// What [`FrozenEncoder::load`] reads an encoder's shape from: an entry of the metadata.
pub(crate) fn encoder_metadata(config: &EncoderConfig) -> (&'static str, String) {
    let text = serde_json::to_string(config).expect("plain numbers serialize");
    (ENCODER_KEY, text)
}
