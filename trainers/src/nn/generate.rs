//! Greedy generation with a key-value cache, several prompts at once.

use tch::{Kind, Tensor, no_grad};

use super::llama::attention;
use super::{Llama, ModelError, Packed, Tokenizer};

/// Prompts computed side by side. One token costs a pass over all weights whatever the number of prompts, so more is
/// faster until the caches no longer fit: 16 prompts of 400 tokens take 150 MB of a 135M model in bf16.
const PROMPTS_AT_ONCE: usize = 16;

/// Continues each prompt with the likeliest token, again and again, until the end-of-text token, `max_new_tokens`, the
/// end of the model's context or, with `stop_at_newline`, a token with a line feed in it. Returns the continuations
/// without prompt; a line feed that ended one, and what follows it in its token, is cut off.
///
/// The same prompt gives the same text whatever its neighbors, up to ties within rounding.
///
/// # Errors
/// When a prompt is empty or longer than the model's context.
pub fn generate_greedy(
    model: &Llama,
    tokenizer: &Tokenizer,
    prompts: &[impl AsRef<str>],
    max_new_tokens: usize,
    stop_at_newline: bool,
) -> Result<Vec<String>, ModelError> {
    let ids = prompts
        .iter()
        .map(|prompt| tokenizer.encode(prompt.as_ref()))
        .collect::<Result<Vec<_>, _>>()?;
    // alike lengths together: a batch is as wide as its longest prompt
    let mut order: Vec<usize> = (0..ids.len()).collect();
    order.sort_by_key(|index| ids[*index].len());
    let mut texts = vec![String::new(); ids.len()];
    for batch in order.chunks(PROMPTS_AT_ONCE) {
        let sequences: Vec<&[i64]> = batch.iter().map(|index| ids[*index].as_slice()).collect();
        let ends = |id: i64| -> Result<bool, ModelError> {
            Ok(id == tokenizer.eos()
                || (stop_at_newline && tokenizer.decode(&[id])?.contains('\n')))
        };
        let generated = generate_batch(model, &sequences, max_new_tokens, ends)?;
        for (index, ids) in batch.iter().zip(generated) {
            let text = tokenizer.decode(&ids)?;
            let line = text.split_once('\n').map(|(line, _)| line.to_owned());
            texts[*index] = line.filter(|_| stop_at_newline).unwrap_or(text);
        }
    }
    Ok(texts)
}

/// Token ids that continue each sequence, the ending one included.
pub(crate) fn generate_batch(
    model: &Llama,
    sequences: &[&[i64]],
    max_new_tokens: usize,
    ends: impl Fn(i64) -> Result<bool, ModelError>,
) -> Result<Vec<Vec<i64>>, ModelError> {
    let mut generated = vec![Vec::new(); sequences.len()];
    if sequences.is_empty() || max_new_tokens == 0 {
        return Ok(generated);
    }
    if sequences.iter().any(|sequence| sequence.is_empty()) {
        return Err(ModelError::Input(
            "an empty prompt cannot be continued".to_owned(),
        ));
    }
    let _guard = tch::no_grad_guard();
    let context = model.config().max_position_embeddings as usize;
    let mut cache = Cache::new(model, sequences, max_new_tokens);
    let mut next = cache.prefill(model, sequences)?;
    // which sequence a row of the cache belongs to
    let mut rows: Vec<usize> = (0..sequences.len()).collect();
    loop {
        let mut open = Vec::new();
        for (row, (&sequence, &id)) in rows.iter().zip(&next).enumerate() {
            let out = &mut generated[sequence];
            let full = |length: usize| {
                length >= max_new_tokens || sequences[sequence].len() + length >= context
            };
            // a finished sequence keeps its row until the batch is thinned out
            if out.last().is_some_and(|last| *last < 0) || full(out.len()) {
                continue;
            }
            out.push(id);
            if ends(id)? {
                out.push(-1);
            } else if !full(out.len()) {
                open.push(row);
            }
        }
        if open.is_empty() {
            break;
        }
        if 4 * open.len() <= 3 * rows.len() {
            cache.keep(&open);
            rows = open.iter().map(|row| rows[*row]).collect();
            next = open.iter().map(|row| next[*row]).collect();
        }
        next = cache.step(model, &next)?;
    }
    for out in &mut generated {
        if out.last() == Some(&-1) {
            out.pop();
        }
    }
    Ok(generated)
}

/// Keys and values of what was read so far. Prompts end at the same column, so that a new token goes into one column
/// for all rows; shorter ones leave columns on the left unused.
struct Cache {
    /// By layer `(rows, kv_heads, columns, head_dim)`.
    keys: Vec<Tensor>,
    values: Vec<Tensor>,
    /// Added to attention scores: 0, or -inf in unused columns. `(rows, 1, 1, columns)`.
    mask: Tensor,
    /// Position of the next token of each row.
    positions: Vec<i64>,
    /// Columns in use.
    columns: i64,
}

impl Cache {
    fn new(model: &Llama, sequences: &[&[i64]], max_new_tokens: usize) -> Self {
        let config = model.config();
        let longest = sequences
            .iter()
            .map(|sequence| sequence.len())
            .max()
            .unwrap_or(0);
        let (rows, columns) = (sequences.len() as i64, (longest + max_new_tokens) as i64);
        let size = [rows, config.num_key_value_heads, columns, config.head_dim];
        let options = (model.kind(), model.device());
        let buffers = || {
            (0..config.num_hidden_layers)
                .map(|_| Tensor::zeros(size, options))
                .collect()
        };
        let mask = Tensor::zeros([rows, 1, 1, columns], options);
        for (row, sequence) in sequences.iter().enumerate() {
            let unused = (longest - sequence.len()) as i64;
            let _filled = mask
                .get(row as i64)
                .narrow(2, 0, unused)
                .fill_(f64::NEG_INFINITY);
        }
        Self {
            keys: buffers(),
            values: buffers(),
            mask,
            positions: sequences
                .iter()
                .map(|sequence| sequence.len() as i64)
                .collect(),
            columns: longest as i64,
        }
    }

    /// Reads the prompts; returns each one's likeliest next token.
    fn prefill(&mut self, model: &Llama, sequences: &[&[i64]]) -> Result<Vec<i64>, ModelError> {
        let packed = Packed::of(sequences);
        let lengths = packed.lengths();
        let hidden = model.hidden_with(&packed, |layer, row, k, v| {
            // k, v: (1, kv_heads, tokens, head_dim)
            let first = self.columns - lengths[row];
            for (buffer, new) in [(&self.keys[layer], k), (&self.values[layer], v)] {
                buffer
                    .get(row as i64)
                    .narrow(1, first, lengths[row])
                    .copy_(&new.squeeze_dim(0));
            }
        })?;
        let mut last = -1;
        let last: Vec<i64> = lengths
            .iter()
            .map(|length| {
                last += length;
                last
            })
            .collect();
        likeliest(&model.logits(&hidden, &last))
    }

    /// Reads one token for each row; returns the likeliest next ones.
    fn step(&mut self, model: &Llama, ids: &[i64]) -> Result<Vec<i64>, ModelError> {
        let config = model.config();
        let rows = ids.len() as i64;
        let (kv_heads, group) = (
            config.num_key_value_heads,
            config.num_attention_heads / config.num_key_value_heads,
        );
        let columns = self.columns + 1;
        let mask = self
            .mask
            .narrow(3, 0, columns)
            .expand([rows, 1, group, columns], false);
        let hidden = model.run(ids, &self.positions, |layer, q, k, v| {
            for (buffer, new) in [(&self.keys[layer], k), (&self.values[layer], v)] {
                buffer.narrow(2, self.columns, 1).copy_(&new.unsqueeze(2));
            }
            // the query heads that share a key head stand where tokens usually do
            let q = q.view([rows, kv_heads, group, config.head_dim]);
            let [k, v] =
                [&self.keys[layer], &self.values[layer]].map(|buffer| buffer.narrow(2, 0, columns));
            attention(&q, &k, &v, Some(&mask)).reshape([rows, -1])
        })?;
        self.columns = columns;
        for position in &mut self.positions {
            *position += 1;
        }
        let all: Vec<i64> = (0..rows).collect();
        likeliest(&model.logits(&hidden, &all))
    }

    /// Keeps only these rows.
    fn keep(&mut self, rows: &[usize]) {
        let index: Vec<i64> = rows.iter().map(|row| *row as i64).collect();
        let index = Tensor::from_slice(&index).to_device(self.mask.device());
        for buffer in self
            .keys
            .iter_mut()
            .chain(&mut self.values)
            .chain([&mut self.mask])
        {
            *buffer = buffer.index_select(0, &index);
        }
        self.positions = rows.iter().map(|row| self.positions[*row]).collect();
    }
}

fn likeliest(logits: &Tensor) -> Result<Vec<i64>, ModelError> {
    let ids = no_grad(|| logits.argmax(-1, false).to_kind(Kind::Int64));
    Ok(Vec::<i64>::try_from(ids.to_device(tch::Device::Cpu))?)
}
