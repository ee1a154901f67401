//! Likelihoods: of the choices of a question, and of a document.

use tch::{Kind, Tensor, no_grad};

use super::{Llama, ModelError, Packed, Tokenizer};

/// Tokens of several questions computed in one pass; more is hardly faster and takes more memory.
const TOKENS_AT_ONCE: usize = 1024;

/// Log-likelihood in nats of each choice after the prompt: the sum over its tokens, without normalizing by length. The
/// prompt is computed once; prompt and choices are tokenized apart, as the parts of training examples are.
///
/// # Errors
/// When prompt or choice has no tokens, or does not fit the model's context.
pub fn score_choices(
    model: &Llama,
    tokenizer: &Tokenizer,
    prompt: &str,
    choices: &[impl AsRef<str>],
) -> Result<Vec<f64>, ModelError> {
    let choices = choices
        .iter()
        .map(|choice| tokenizer.encode(choice.as_ref()))
        .collect::<Result<Vec<_>, _>>()?;
    let mut scores = score_choices_ids(model, &[(tokenizer.encode(prompt)?, choices)])?;
    Ok(scores.remove(0))
}

/// As [`score_choices`], for many questions given as token ids (prompt, choices), several computed at once: faster
/// where prompts are short.
///
/// # Errors
/// As [`score_choices`].
pub fn score_choices_ids(
    model: &Llama,
    questions: &[(Vec<i64>, Vec<Vec<i64>>)],
) -> Result<Vec<Vec<f64>>, ModelError> {
    let mut scores = Vec::with_capacity(questions.len());
    let mut from = 0;
    while from < questions.len() {
        let (mut to, mut tokens) = (from, 0);
        while to < questions.len() && (to == from || tokens < TOKENS_AT_ONCE) {
            let (prompt, choices) = &questions[to];
            tokens += prompt.len() + choices.iter().map(Vec::len).sum::<usize>();
            to += 1;
        }
        scores.extend(score_batch(model, &questions[from..to])?);
        from = to;
    }
    Ok(scores)
}

fn score_batch(
    model: &Llama,
    questions: &[(Vec<i64>, Vec<Vec<i64>>)],
) -> Result<Vec<Vec<f64>>, ModelError> {
    let mut packed = Packed::new();
    // the positions whose next token is predicted, and that token
    let (mut positions, mut targets) = (Vec::new(), Vec::new());
    for (prompt, choices) in questions {
        if prompt.is_empty() || choices.iter().any(Vec::is_empty) {
            return Err(ModelError::Input(
                "a prompt or choice without tokens cannot be scored".to_owned(),
            ));
        }
        // the last token of a choice predicts nothing that is asked for
        let read: Vec<&[i64]> = choices
            .iter()
            .map(|choice| &choice[..choice.len() - 1])
            .collect();
        let start = packed.push_tree(prompt, &read) as i64;
        let prompt_end = start + prompt.len() as i64;
        let mut at = prompt_end;
        for choice in choices {
            positions.push(prompt_end - 1);
            positions.extend(at..at + choice.len() as i64 - 1);
            at += choice.len() as i64 - 1;
            targets.extend_from_slice(choice);
        }
    }
    let nats = no_grad(|| -> Result<Vec<f64>, ModelError> {
        let hidden = model.hidden(&packed)?;
        token_nll(model, &hidden, &positions, &targets)
    })?;
    let mut nats = nats.into_iter();
    Ok(questions
        .iter()
        .map(|(_, choices)| {
            choices
                .iter()
                .map(|choice| -nats.by_ref().take(choice.len()).sum::<f64>())
                .collect()
        })
        .collect())
}

/// How well a document is predicted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DocumentNll {
    /// Sum of -ln p over the predicted tokens.
    pub nats: f64,
    /// Number of predicted tokens: all read ones but the first.
    pub tokens: usize,
    /// UTF-8 bytes of the predicted tokens.
    pub bytes: usize,
}

impl DocumentNll {
    /// Bits per byte of UTF-8 text.
    pub fn bits_per_byte(&self) -> f64 {
        self.nats / std::f64::consts::LN_2 / self.bytes as f64
    }
}

/// Negative log-likelihood of a document's first `max_tokens` tokens (no more than the model's context). Its first
/// token is read but not predicted; a document of fewer than two tokens gives zeros.
///
/// # Errors
/// When the text cannot be tokenized.
pub fn nll_per_document(
    model: &Llama,
    tokenizer: &Tokenizer,
    text: &str,
    max_tokens: usize,
) -> Result<DocumentNll, ModelError> {
    let (mut ids, mut ends) = tokenizer.encode_with_ends(text)?;
    let tokens = max_tokens.min(model.config().max_position_embeddings as usize);
    ids.truncate(tokens);
    ends.truncate(tokens);
    if ids.len() < 2 {
        return Ok(DocumentNll {
            nats: 0.0,
            tokens: 0,
            bytes: 0,
        });
    }
    let positions: Vec<i64> = (0..ids.len() as i64 - 1).collect();
    let nats = no_grad(|| {
        let hidden = model.hidden(&Packed::of(&[&ids]))?;
        token_nll(model, &hidden, &positions, &ids[1..])
    })?;
    Ok(DocumentNll {
        nats: nats.iter().sum(),
        tokens: nats.len(),
        bytes: ends[ends.len() - 1] - ends[0],
    })
}

/// -ln p of `targets` after `positions`, one by one; logits a few hundred at a time, 49,152 x 4 bytes each.
pub(crate) fn token_nll(
    model: &Llama,
    hidden: &Tensor,
    positions: &[i64],
    targets: &[i64],
) -> Result<Vec<f64>, ModelError> {
    let mut nats = Vec::with_capacity(targets.len());
    for (positions, targets) in positions.chunks(256).zip(targets.chunks(256)) {
        let logits = model.logits(hidden, positions);
        let targets = Tensor::from_slice(targets)
            .to_device(logits.device())
            .unsqueeze(1);
        let chosen = logits.f_gather(1, &targets, false)?.squeeze_dim(1);
        let nll = (logits.logsumexp(-1, false) - chosen).to_kind(Kind::Double);
        nats.extend(Vec::<f64>::try_from(nll.to_device(tch::Device::Cpu))?);
    }
    Ok(nats)
}
