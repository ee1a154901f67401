//! What a language learner trains on and is tested with.

use serde::{Deserialize, Serialize};

/// A stretch of an example's text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// The text; parts are joined without anything in between.
    pub text: String,
    /// Whether its tokens enter the loss.
    pub supervised: bool,
}

/// One training text. Each supervised part starts at a token boundary: parts are tokenized one by one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Example {
    /// Task kind: `plan_generation`, `activity_recognition`, `counting`, `object_path`, ….
    pub task: String,
    /// The text, in order.
    pub parts: Vec<Part>,
    /// Scenario digest and episode indices it was made from, so that it can be walked back to a seed.
    pub source: String,
}

/// A multiple-choice question, scored by the likelihood of each choice after the prompt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// Task kind, as in [`Example::task`].
    pub task: String,
    /// Text up to where the answer starts.
    pub prompt: String,
    /// Candidate answers, each with its leading space and final newline; at least two, no two equal.
    pub choices: Vec<String>,
    /// Index of the right one.
    pub answer: usize,
    /// As [`Example::source`].
    pub source: String,
}

/// A plan to be generated after `prompt` and carried out in the simulator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanTask {
    /// Text up to where the plan starts.
    pub prompt: String,
    /// A plan known to work, as the training targets are written.
    pub reference: String,
    /// blake3 of the scenario file.
    pub scenario_digest: String,
    /// Seed of the run and index of the episode whose first state the plan starts from.
    pub seed: u64,
    /// See `seed`.
    pub episode: u64,
    /// Facts that must all hold at the end.
    pub goal: Vec<String>,
}

/// A prompt and what should follow it, as libraries for supervised finetuning read them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PromptCompletion {
    /// Everything before.
    pub prompt: String,
    /// What is to be learnt.
    pub completion: String,
    /// As [`Example::task`].
    pub task: String,
    /// As [`Example::source`].
    pub source: String,
}

/// One row for each supervised part of an example: everything before it is its prompt.
pub fn prompt_completion(example: &Example) -> Vec<PromptCompletion> {
    let mut prompt = String::new();
    let mut rows = Vec::new();
    for part in &example.parts {
        if part.supervised {
            rows.push(PromptCompletion {
                prompt: prompt.clone(),
                completion: part.text.clone(),
                task: example.task.clone(),
                source: example.source.clone(),
            });
        }
        prompt.push_str(&part.text);
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_supervised_part_becomes_a_row() {
        let part = |text: &str, supervised| Part {
            text: text.to_owned(),
            supervised,
        };
        let example = Example {
            task: "counting".to_owned(),
            parts: vec![
                part("Q", false),
                part(" a", true),
                part("R", false),
                part(" b", true),
            ],
            source: String::new(),
        };
        let rows = prompt_completion(&example);
        let pairs: Vec<_> = rows
            .iter()
            .map(|row| (row.prompt.as_str(), row.completion.as_str()))
            .collect();
        assert_eq!(pairs, [("Q", " a"), ("Q aR", " b")]);
    }
}
