//! An episode as one unambiguous string of bytes, to be hashed: independent of file format and shard boundaries.

use std::collections::BTreeMap;

use crate::{Action, Episode, Value};

/// blake3 of the episode's canonical bytes.
pub fn episode_digest(episode: &Episode) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new();
    hash_episode(episode, &mut hasher);
    hasher.finalize()
}

/// Feeds the canonical bytes of an episode: fields in the order of their declaration, texts and lists preceded by
/// their length, numbers little-endian with the bits they have.
pub(super) fn hash_episode(episode: &Episode, hasher: &mut blake3::Hasher) {
    let mut out = Canonical(hasher);
    // Destructured, so that a new field cannot be forgotten.
    let Episode {
        header,
        first,
        first_digest,
        steps,
        success,
    } = episode;
    let crate::Header {
        index,
        seed,
        scenario,
        scenario_digest,
        policy,
        fidelity,
        task,
        goal,
        software,
    } = header;
    out.number(*index);
    out.number(*seed);
    for text in [scenario, scenario_digest, policy, fidelity, task] {
        out.text(text);
    }
    out.number(goal.len() as u64);
    for fact in goal {
        out.text(fact);
    }
    out.text(software);
    out.values(&first.0);
    out.text(first_digest);
    out.number(steps.len() as u64);
    for step in steps {
        let crate::Step {
            action,
            observation,
            reward,
            reward_terms,
            terminated,
            truncated,
            refusal,
            info,
            state_digest,
        } = step;
        match action {
            Action::Text(text) => {
                out.tag(b't');
                out.text(text);
            }
            Action::Array(array) => {
                out.tag(b'a');
                out.array(array);
            }
        }
        out.values(&observation.0);
        out.float(*reward);
        out.number(reward_terms.len() as u64);
        for crate::RewardTerm { name, value } in reward_terms {
            out.text(name);
            out.float(*value);
        }
        out.tag(u8::from(*terminated));
        out.tag(u8::from(*truncated));
        out.tag(u8::from(refusal.is_some()));
        out.text(refusal.as_deref().unwrap_or_default());
        out.values(info);
        out.text(state_digest);
    }
    out.tag(u8::from(*success));
}

struct Canonical<'a>(&'a mut blake3::Hasher);

impl Canonical<'_> {
    fn tag(&mut self, tag: u8) {
        self.0.update(&[tag]);
    }

    fn number(&mut self, number: u64) {
        self.0.update(&number.to_le_bytes());
    }

    fn float(&mut self, float: f32) {
        self.0.update(&float.to_bits().to_le_bytes());
    }

    fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.0.update(text.as_bytes());
    }

    fn array(&mut self, array: &[f32]) {
        self.number(array.len() as u64);
        for &x in array {
            self.float(x);
        }
    }

    fn values(&mut self, values: &BTreeMap<String, Value>) {
        self.number(values.len() as u64);
        for (name, value) in values {
            self.text(name);
            match value {
                Value::Text(text) => {
                    self.tag(b't');
                    self.text(text);
                }
                Value::Array(array) => {
                    self.tag(b'a');
                    self.array(array);
                }
                Value::Dict(parts) => {
                    self.tag(b'd');
                    self.values(parts);
                }
            }
        }
    }
}
