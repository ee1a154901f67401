//! Text to token ids and back: the `tokenizers` crate, set up from a GGUF file's tables or a tokenizer.json.

use std::path::Path;

use tokenizers::models::bpe::{BPE, Vocab};
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::digits::Digits;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::{AddedToken, Tokenizer as Inner};

use super::{Gguf, Metadata, ModelError};

/// A byte-level BPE tokenizer. Adds no token by itself: the ids of a text are the text's, and ids of parts tokenized
/// one by one may be put together.
pub struct Tokenizer {
    inner: Inner,
    /// Ends a text or a turn; generation stops at it.
    eos: i64,
}

/// `tokenizer.ggml.token_type` of control tokens, which are matched as a whole in a text.
const CONTROL: i64 = 3;

impl Tokenizer {
    /// From the tables in a GGUF file. Model "gpt2" with pre-tokenizer "smollm" (each digit alone, then GPT-2's
    /// pattern) is supported.
    ///
    /// # Errors
    /// When a table is missing or of another kind.
    pub fn from_gguf(file: &Gguf) -> Result<Self, ModelError> {
        for (key, expected) in [
            ("tokenizer.ggml.model", "gpt2"),
            ("tokenizer.ggml.pre", "smollm"),
        ] {
            let found = file.text(key)?;
            if found != expected {
                return Err(file.format(format!("{key}: expected {expected:?}, found {found:?}")));
            }
        }
        let texts = |key: &str| -> Result<Vec<&str>, ModelError> {
            let values = file.array(key)?.iter();
            let text = values.map(|value| match value {
                Metadata::Text(text) => Ok(text.as_str()),
                other => {
                    Err(file.format(format!("metadata {key}: expected texts, found {other:?}")))
                }
            });
            text.collect()
        };
        let tokens = texts("tokenizer.ggml.tokens")?;
        let merges = texts("tokenizer.ggml.merges")?
            .into_iter()
            .map(|merge| {
                merge
                    .split_once(' ')
                    .map(|(left, right)| (left.to_owned(), right.to_owned()))
                    .ok_or_else(|| {
                        file.format(format!("merge {merge:?}: expected two parts and a space"))
                    })
            })
            .collect::<Result<Vec<_>, _>>()?;
        let vocabulary: Vocab = (0_u32..)
            .zip(&tokens)
            .map(|(id, token)| ((*token).to_owned(), id))
            .collect();

        let wrong = |error: tokenizers::Error| file.format(format!("tokenizer tables: {error}"));
        let model = BPE::builder()
            .vocab_and_merges(vocabulary, merges)
            .build()
            .map_err(wrong)?;
        let mut inner = Inner::new(model);
        inner.with_pre_tokenizer(Some(Sequence::new(vec![
            PreTokenizerWrapper::Digits(Digits::new(true)),
            PreTokenizerWrapper::ByteLevel(ByteLevel::new(false, true, true)),
        ])));
        inner.with_decoder(Some(ByteLevel::default()));
        let types = file.array("tokenizer.ggml.token_type")?;
        let control = tokens
            .iter()
            .zip(types)
            .filter(|(_, kind)| **kind == Metadata::Int(CONTROL))
            .map(|(token, _)| AddedToken::from((*token).to_owned(), true))
            .collect::<Vec<_>>();
        inner.add_special_tokens(&control);
        let eos = file.int("tokenizer.ggml.eos_token_id")?;
        Ok(Self { inner, eos })
    }

    /// From a Hugging Face tokenizer.json; `eos` is the id that ends a text, from the model's config.json.
    ///
    /// # Errors
    /// When the file cannot be read or is no tokenizer.
    pub fn from_file(path: &Path, eos: i64) -> Result<Self, ModelError> {
        let inner = Inner::from_file(path).map_err(|error| ModelError::Format {
            path: path.to_path_buf(),
            message: format!("not a tokenizer.json: {error}"),
        })?;
        Ok(Self { inner, eos })
    }

    /// The id that ends a text or a turn.
    pub fn eos(&self) -> i64 {
        self.eos
    }

    /// Number of tokens, added ones included.
    pub fn vocabulary_size(&self) -> usize {
        self.inner.get_vocab_size(true)
    }

    /// Token ids of the text; nothing is added in front or behind. Control tokens written out in the text, such as
    /// `<|im_end|>`, become their one id.
    ///
    /// # Errors
    /// When the tokenizer cannot represent the text.
    pub fn encode(&self, text: &str) -> Result<Vec<i64>, ModelError> {
        let encoding = self
            .inner
            .encode_fast(text, false)
            .map_err(|error| ModelError::Tokenizer(error.to_string()))?;
        Ok(encoding.get_ids().iter().map(|id| i64::from(*id)).collect())
    }

    /// As [`Tokenizer::encode`], with the byte of the text at which each token ends.
    ///
    /// # Errors
    /// As [`Tokenizer::encode`].
    pub fn encode_with_ends(&self, text: &str) -> Result<(Vec<i64>, Vec<usize>), ModelError> {
        let encoding = self
            .inner
            .encode(text, false)
            .map_err(|error| ModelError::Tokenizer(error.to_string()))?;
        let ids = encoding.get_ids().iter().map(|id| i64::from(*id)).collect();
        Ok((
            ids,
            encoding.get_offsets().iter().map(|(_, end)| *end).collect(),
        ))
    }

    /// The ids' text; control tokens are left out, incomplete UTF-8 at the ends becomes U+FFFD.
    ///
    /// # Errors
    /// When an id is negative or unknown to the decoder.
    pub fn decode(&self, ids: &[i64]) -> Result<String, ModelError> {
        let ids = ids
            .iter()
            .map(|id| {
                u32::try_from(*id)
                    .map_err(|_negative| ModelError::Tokenizer(format!("id {id} is no token")))
            })
            .collect::<Result<Vec<_>, _>>()?;
        self.inner
            .decode(&ids, true)
            .map_err(|error| ModelError::Tokenizer(error.to_string()))
    }
}
