//! Space, Observation, Action, Step, Episode: Gymnasium's names with Gymnasium's meanings.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What a value may be (Gymnasium `spaces`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Space {
    /// UTF-8 text of at most `max_bytes` bytes.
    Text {
        /// Longest allowed text, in bytes.
        max_bytes: usize,
    },
    /// An array of `shape` with every element in `[low, high]`.
    Box {
        /// Length along each axis; the product is the number of elements.
        shape: Vec<usize>,
        /// Smallest allowed element.
        low: f32,
        /// Largest allowed element.
        high: f32,
    },
    /// Named parts, each with a space of its own, sorted by name.
    Dict(Vec<(String, Space)>),
}

/// A value of some [`Space`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Value {
    /// See [`Space::Text`].
    Text(String),
    /// See [`Space::Box`]; row-major, the shape is the space's.
    Array(Vec<f32>),
    /// See [`Space::Dict`].
    Dict(BTreeMap<String, Value>),
}

impl Space {
    /// Whether `value` lies in this space. NaN lies in no space.
    pub fn contains(&self, value: &Value) -> bool {
        match (self, value) {
            (Self::Text { max_bytes }, Value::Text(text)) => text.len() <= *max_bytes,
            (Self::Box { shape, low, high }, Value::Array(array)) => {
                array.len() == shape.iter().product::<usize>()
                    && array.iter().all(|x| (*low..=*high).contains(x))
            }
            (Self::Dict(parts), Value::Dict(values)) => {
                parts.len() == values.len()
                    && parts
                        .iter()
                        .all(|(name, space)| values.get(name).is_some_and(|v| space.contains(v)))
            }
            _ => false,
        }
    }
}

/// What a policy sees: named values.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Observation(pub BTreeMap<String, Value>);

impl Observation {
    /// An observation with no entries.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same observation with one more entry.
    #[must_use]
    pub fn with(mut self, name: &str, value: Value) -> Self {
        self.0.insert(name.to_owned(), value);
        self
    }

    /// The text entry of that name, if there is one.
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.0.get(name) {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// The observation as one value, to be checked against a [`Space::Dict`].
    pub fn into_value(self) -> Value {
        Value::Dict(self.0)
    }
}

/// What a policy does in one step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// One line of a VirtualHome program: `[PUTBACK] <mug> (12) <kitchen table> (4)`.
    Text(String),
    /// A vector in the environment's action space.
    Array(Vec<f32>),
}

/// One named summand of a reward.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RewardTerm {
    /// The term's name, as in the task's configuration.
    pub name: String,
    /// Its weighted value.
    pub value: f32,
}

/// What one action led to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// What was done, from the observation before.
    pub action: Action,
    /// What was seen afterwards.
    pub observation: Observation,
    /// Sum of `reward_terms`.
    pub reward: f32,
    /// The summands of the reward, in the task's order.
    pub reward_terms: Vec<RewardTerm>,
    /// The task ended (the value of what follows is zero).
    pub terminated: bool,
    /// The time limit cut the episode off (what follows still has value).
    pub truncated: bool,
    /// Why the world did not carry the action out, in words; `None` when it did.
    pub refusal: Option<String>,
    /// Facts about the step that are neither seen nor rewarded, by name (simulated seconds, disagreements, path walked).
    pub info: BTreeMap<String, Value>,
    /// Digest of the whole world state after the step: 32 lower-case hexadecimal digits.
    pub state_digest: String,
}

/// Where an episode comes from: enough to make it again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// Number of the episode within its run, over all scenarios.
    pub index: u64,
    /// Seed of the run; with the scenario's digest and `index` it gives the episode's own stream.
    pub seed: u64,
    /// Name of the scenario.
    pub scenario: String,
    /// blake3 of the scenario file's bytes, in hexadecimal.
    pub scenario_digest: String,
    /// Name of the policy.
    pub policy: String,
    /// `symbolic` or `physical`.
    pub fidelity: String,
    /// What the agent was asked to do, in words; empty when it only explored.
    pub task: String,
    /// The goal as facts that must all hold (`milk ON kitchen table`); empty when it only explored.
    pub goal: Vec<String>,
    /// Version of the software that recorded it.
    pub software: String,
}

/// One world's history from a reset to its end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Episode {
    /// Where it comes from.
    pub header: Header,
    /// Observation after the reset.
    pub first: Observation,
    /// Digest of the world state after the reset.
    pub first_digest: String,
    /// Actions and what they led to, in order.
    pub steps: Vec<Step>,
    /// Whether the goal held at the end; `false` when there was none.
    pub success: bool,
}
