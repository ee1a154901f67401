//! An episode as lines of JSON, one a step, while it happens: for programs that follow another program's episodes through a
//! pipe.
//!
//! `{"start":…}`, then a `{"step":…}` for each action, then `{"end":…}`.

use serde::{Deserialize, Serialize};

use crate::{Header, Observation, Step};

/// A line of the stream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Line {
    /// An episode has started.
    Start {
        /// Where it comes from.
        header: Box<Header>,
        /// Observation after the reset.
        first: Observation,
        /// Digest of the world state after the reset.
        first_digest: String,
    },
    /// An action was made.
    Step(Box<Step>),
    /// The episode has ended.
    End {
        /// Whether the goal held at the end.
        success: bool,
    },
}

impl Line {
    /// Reads a line.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(text: &str) -> Result<Self, String> {
        serde_json::from_str(text).map_err(|error| format!("not a line of an episode: {error}"))
    }
}

/// As JSON, without the line's end.
impl std::fmt::Display for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let json = serde_json::to_string(self).map_err(|_unlikely| std::fmt::Error)?;
        f.write_str(&json)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Action, RewardTerm, Value};

    #[test]
    fn lines_are_read_as_they_are_written() {
        let observation = Observation::new().with("angles", Value::Array(vec![0.1, -3.5e-8]));
        let step = Step {
            action: Action::Array(vec![0.25, 1.0 / 3.0]),
            observation: observation.clone(),
            reward: 0.1,
            reward_terms: vec![RewardTerm {
                name: "reach".into(),
                value: 0.1,
            }],
            terminated: false,
            truncated: true,
            refusal: Some("too \"far\"\n".into()),
            info: [("seconds".to_owned(), Value::Array(vec![0.02]))].into(),
            state_digest: "ab".into(),
        };
        let header = Header {
            index: 3,
            seed: u64::MAX,
            scenario: "Flat".into(),
            scenario_digest: "cd".into(),
            policy: "random".into(),
            fidelity: "physical".into(),
            task: String::new(),
            goal: Vec::new(),
            software: "habitus".into(),
        };
        for line in [
            Line::Start {
                header: Box::new(header),
                first: observation,
                first_digest: "ef".into(),
            },
            Line::Step(Box::new(step)),
            Line::End { success: true },
        ] {
            let text = line.to_string();
            assert!(!text.contains('\n'));
            assert_eq!(Line::parse(&text), Ok(line));
        }
        let error = Line::parse("{\"middle\":1}").unwrap_err();
        assert!(error.contains("not a line of an episode"), "{error}");
    }
}
