//! How well a language model answers questions about a household, makes plans that work, and still reads general text.
//!
//! Questions are multiple choice by likelihood: the choice whose text is likeliest after the prompt counts as the
//! answer. Plans are generated greedily and carried out in the simulator. General text is measured in bits per byte.

use std::collections::BTreeMap;
use std::sync::Arc;

use dataset::general_text::Document;
use dataset::verbalize::few_shot;
use dataset::{PlanTask, Question};
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sim::env::Fidelity;
use sim::scenario::LoadedScenario;

use super::plans::{CarriedOut, carry_out};
use super::statistics::{Estimate, bits_per_byte, change, mean_of_shares, share};
use crate::nn::{
    DocumentNll, Llama, ModelError, Tokenizer, generate_greedy, nll_per_document, score_choices_ids,
};

/// What every model is measured on.
pub struct Items {
    /// Multiple-choice questions.
    pub questions: Vec<Question>,
    /// Plans to be made, each with the scenario it starts in.
    pub plans: Vec<(PlanTask, Arc<LoadedScenario>)>,
    /// Solved examples by task kind, for few-shot prompts.
    pub demonstrations: BTreeMap<String, Vec<String>>,
    /// Held-out general text.
    pub general: Vec<Document>,
    /// General text of a second register.
    pub second: Vec<Document>,
    /// What carries plans out.
    pub fidelity: Fidelity,
}

/// Tokens read of a document: E2WM reads 800; half of that halves the time and leaves the comparison paired.
pub const DOCUMENT_TOKENS: usize = 400;
/// Longest generated plan; the longest reference of a home has about 150 tokens.
pub const PLAN_TOKENS: usize = 160;

/// What came out for one model, item by item.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// For each question, in order: the index of the likeliest choice.
    pub chosen: Vec<usize>,
    /// For each plan task, in order: what the model wrote.
    pub plans: Vec<String>,
    /// For each document: nats, predicted tokens, their bytes. Empty where it was not asked for.
    pub general: Vec<(f64, usize, usize)>,
    /// As `general`, for the second register.
    pub second: Vec<(f64, usize, usize)>,
}

/// Puts all items to a model. With `shots` each prompt comes after that many solved examples, and general text is left
/// out. `progress` is told what has been done, in words.
///
/// # Errors
/// When an item cannot be tokenized or does not fit the model's context.
pub fn measure(
    model: &Llama,
    tokenizer: &Tokenizer,
    items: &Items,
    shots: usize,
    progress: &dyn Fn(&str),
) -> Result<Measured, ModelError> {
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let mut prompt =
        |task: &str, prompt: &str| few_shot(task, &items.demonstrations, shots, &mut rng) + prompt;

    let mut encoded = Vec::with_capacity(items.questions.len());
    for question in &items.questions {
        let choices = question
            .choices
            .iter()
            .map(|choice| tokenizer.encode(choice));
        let prompt = tokenizer.encode(&prompt(&question.task, &question.prompt))?;
        encoded.push((prompt, choices.collect::<Result<Vec<_>, _>>()?));
    }
    let mut chosen = Vec::with_capacity(encoded.len());
    for chunk in encoded.chunks(16) {
        chosen.extend(
            score_choices_ids(model, chunk)?
                .iter()
                .map(|scores| likeliest(scores)),
        );
        progress(&format!("{} of {} questions", chosen.len(), encoded.len()));
    }

    let prompts: Vec<String> = items
        .plans
        .iter()
        .map(|(task, _)| prompt("plan_generation", &task.prompt))
        .collect();
    let plans = generate_greedy(model, tokenizer, &prompts, PLAN_TOKENS, true)?;
    progress(&format!("{} plans", plans.len()));

    let read = |documents: &[Document]| -> Result<Vec<_>, ModelError> {
        let documents = documents
            .iter()
            .take(if shots > 0 { 0 } else { documents.len() });
        documents
            .map(|document| {
                let nll = nll_per_document(model, tokenizer, &document.text, DOCUMENT_TOKENS)?;
                Ok((nll.nats, nll.tokens, nll.bytes))
            })
            .collect()
    };
    let (general, second) = (read(&items.general)?, read(&items.second)?);
    progress(&format!("{} documents", general.len() + second.len()));
    Ok(Measured {
        chosen,
        plans,
        general,
        second,
    })
}

/// Index of the largest score; the first of equal ones. NaN never wins.
fn likeliest(scores: &[f64]) -> usize {
    (0..scores.len()).fold(0, |best, i| if scores[i] > scores[best] { i } else { best })
}

/// Accuracy on one kind of questions.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct TaskFigure {
    /// Share of right answers.
    pub accuracy: Estimate,
    /// What guessing at random gives.
    pub chance: f64,
}

/// The figures of one model.
#[derive(Clone, Debug, PartialEq)]
pub struct Figures {
    /// Mean accuracy over the kinds of questions, each weighing the same.
    pub embodied_accuracy: Estimate,
    /// By kind of question.
    pub tasks: BTreeMap<String, TaskFigure>,
    /// Share of plans that reached their goal.
    pub plan_success: Estimate,
    /// Share of generated steps that could be carried out. Steps of one plan are not independent, so the interval,
    /// which treats them as such, is too narrow.
    pub plan_executable: Estimate,
    /// What became of each plan.
    pub carried_out: Vec<CarriedOut>,
    /// Bits per byte of held-out general text; `None` where it was not measured.
    pub general: Option<General>,
    /// As `general`, for the second register.
    pub second: Option<General>,
}

/// Bits per byte on one register.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct General {
    /// Bits per byte of UTF-8, with a bootstrap interval over documents.
    pub bits_per_byte: Estimate,
    /// Change from the base, as a share of the base's; paired, with a bootstrap interval over documents.
    pub change: Estimate,
}

/// Counts right answers, carries plans out, and compares general text with the base's.
///
/// # Errors
/// When a plan's first state cannot be made again.
pub fn figures(
    items: &Items,
    measured: &Measured,
    base: &Measured,
) -> Result<Figures, sim::env::EnvError> {
    let mut counts: BTreeMap<&str, (usize, usize, f64)> = BTreeMap::new();
    for (question, chosen) in items.questions.iter().zip(&measured.chosen) {
        let count = counts.entry(&question.task).or_default();
        count.0 += usize::from(*chosen == question.answer);
        count.1 += 1;
        count.2 += 1.0 / question.choices.len() as f64;
    }
    let tasks: BTreeMap<String, TaskFigure> = counts
        .into_iter()
        .map(|(task, (right, of, chance))| {
            let figure = TaskFigure {
                accuracy: share(right, of),
                chance: chance / of as f64,
            };
            (task.to_owned(), figure)
        })
        .collect();
    let shares: Vec<Estimate> = tasks.values().map(|figure| figure.accuracy).collect();

    let carried_out = items
        .plans
        .iter()
        .zip(&measured.plans)
        .map(|((task, scenario), plan)| carry_out(scenario, task, plan, items.fidelity))
        .collect::<Result<Vec<_>, _>>()?;
    let reached = carried_out.iter().filter(|plan| plan.success).count();
    let steps = carried_out.iter().map(CarriedOut::executable);
    let (done, tried) = steps.fold((0, 0), |sum, (done, tried)| (sum.0 + done, sum.1 + tried));

    Ok(Figures {
        embodied_accuracy: mean_of_shares(&shares),
        tasks,
        plan_success: share(reached, carried_out.len()),
        plan_executable: if tried == 0 {
            Estimate::default()
        } else {
            share(done, tried)
        },
        carried_out,
        general: general(&measured.general, &base.general),
        second: general(&measured.second, &base.second),
    })
}

/// What becomes of the reference plans when they are carried out as a model's are: the ceiling, and a check of the
/// items. A recorded plan fails only where physics goes otherwise from symbols.
///
/// # Errors
/// As [`figures`].
pub fn carry_out_references(items: &Items) -> Result<Vec<CarriedOut>, sim::env::EnvError> {
    let plans = items.plans.iter();
    plans
        .map(|(task, scenario)| carry_out(scenario, task, &task.reference, items.fidelity))
        .collect()
}

fn general(measured: &[(f64, usize, usize)], base: &[(f64, usize, usize)]) -> Option<General> {
    let documents = |all: &[(f64, usize, usize)]| -> Vec<DocumentNll> {
        all.iter()
            .map(|(nats, tokens, bytes)| DocumentNll {
                nats: *nats,
                tokens: *tokens,
                bytes: *bytes,
            })
            .collect()
    };
    (!measured.is_empty() && measured.len() == base.len()).then(|| General {
        bits_per_byte: bits_per_byte(&documents(measured)),
        change: change(&documents(base), &documents(measured)),
    })
}

impl Figures {
    /// The figures as JSON: plain numbers under their names, the intervals under `intervals`. What was not measured is
    /// null.
    pub fn json(&self) -> Value {
        let interval = |estimate: Estimate| json!([estimate.low, estimate.high]);
        let bits = |general: Option<General>| general.map(|general| general.bits_per_byte);
        let change = |general: Option<General>| general.map(|general| general.change);
        let tasks: serde_json::Map<String, Value> = self
            .tasks
            .iter()
            .map(|(task, figure)| {
                let accuracy = figure.accuracy;
                let value = json!({
                    "accuracy": accuracy.value, "interval": interval(accuracy), "n": accuracy.n, "chance": figure.chance,
                });
                (task.clone(), value)
            })
            .collect();
        json!({
            "embodied_accuracy": self.embodied_accuracy.value,
            "plan_success": self.plan_success.value,
            "plan_executable": self.plan_executable.value,
            "bits_per_byte": bits(self.general).map(|bits| bits.value),
            "bits_per_byte_second": bits(self.second).map(|bits| bits.value),
            "bits_per_byte_change": change(self.general).map(|change| change.value),
            "bits_per_byte_second_change": change(self.second).map(|change| change.value),
            "tasks": tasks,
            "n": {
                "questions": self.embodied_accuracy.n, "plans": self.plan_success.n, "plan_steps": self.plan_executable.n,
                "documents": bits(self.general).map(|bits| bits.n), "documents_second": bits(self.second).map(|bits| bits.n),
            },
            "intervals": {
                "embodied_accuracy": interval(self.embodied_accuracy),
                "plan_success": interval(self.plan_success),
                "plan_executable": interval(self.plan_executable),
                "bits_per_byte": bits(self.general).map(interval),
                "bits_per_byte_second": bits(self.second).map(interval),
                "bits_per_byte_change": change(self.general).map(interval),
                "bits_per_byte_second_change": change(self.second).map(interval),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_likeliest_choice_wins_and_nan_does_not() {
        assert_eq!(likeliest(&[-3.0, -1.0, -1.0, f64::NAN]), 1);
        assert_eq!(likeliest(&[f64::NEG_INFINITY, -9.0]), 1);
    }

    #[test]
    fn figures_count_by_kind_and_compare_with_the_base() {
        let question = |task: &str, answer| Question {
            task: task.to_owned(),
            prompt: String::new(),
            choices: vec!["a".to_owned(), "b".to_owned()],
            answer,
            source: String::new(),
        };
        let items = Items {
            questions: vec![question("x", 0), question("x", 1), question("y", 1)],
            plans: Vec::new(),
            demonstrations: BTreeMap::new(),
            general: Vec::new(),
            second: Vec::new(),
            fidelity: Fidelity::Symbolic,
        };
        let base = Measured {
            chosen: vec![0, 0, 0],
            general: vec![(10.0, 3, 9), (20.0, 4, 11)],
            ..Measured::default()
        };
        let model = Measured {
            chosen: vec![0, 1, 0],
            general: vec![(11.0, 3, 9), (22.0, 4, 11)],
            ..Measured::default()
        };
        let figures = figures(&items, &model, &base).unwrap();
        assert!((figures.embodied_accuracy.value - 0.5).abs() < 1e-12);
        assert!(
            (figures.tasks["x"].accuracy.value - 1.0).abs() < 1e-12
                && figures.tasks["x"].chance == 0.5
        );
        assert!((figures.general.unwrap().change.value - 0.1).abs() < 1e-12);
        let json = figures.json();
        assert_eq!(json["embodied_accuracy"], 0.5);
        assert!(json["bits_per_byte_second"].is_null());
    }
}
