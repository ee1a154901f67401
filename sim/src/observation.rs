//! What an agent sees of a house: all facts as text, one a line in a fixed order, and the wish in words.

use std::sync::Arc;

use episode::{Observation, Space, Value};

use crate::household::{Fact, FactError, House, HouseGraph};

/// Longest text of facts; a home of 100 things has about 8 kB.
const FACTS_BYTES: usize = 1 << 22;
/// Longest wish.
const TASK_BYTES: usize = 1 << 16;

/// The space of [`observe`].
pub fn space() -> Space {
    Space::Dict(vec![
        (
            "facts".to_owned(),
            Space::Text {
                max_bytes: FACTS_BYTES,
            },
        ),
        (
            "task".to_owned(),
            Space::Text {
                max_bytes: TASK_BYTES,
            },
        ),
    ])
}

/// `facts` and `task`: how the house is, and what is wanted (empty when the agent explores).
pub fn observe(graph: &HouseGraph, task: &str) -> Observation {
    Observation::new()
        .with("facts", Value::Text(facts_text(graph)))
        .with("task", Value::Text(task.to_owned()))
}

/// Every fact of a house, one a line, each line with its end.
pub fn facts_text(graph: &HouseGraph) -> String {
    use std::fmt::Write as _;
    let house = graph.house();
    let facts = graph.facts();
    let mut text = String::with_capacity(32 * facts.len());
    for fact in facts {
        let written = match fact {
            Fact::Is(id, state) => writeln!(text, "{} {}", house.name(id), state.name()),
            Fact::Holds(a, r, b) => {
                writeln!(text, "{} {} {}", house.name(a), r.name(), house.name(b))
            }
        };
        written.expect("writing into a string does not fail");
    }
    text
}

/// The house that a text of facts describes: the inverse of [`facts_text`].
///
/// # Errors
/// When a line is not a fact about this house, or the facts leave a thing without a place.
pub fn read_facts(house: &Arc<House>, text: &str) -> Result<HouseGraph, FactError> {
    let facts = text
        .lines()
        .map(|line| Fact::parse(house, line))
        .collect::<Result<Vec<_>, _>>()?;
    HouseGraph::from_facts(Arc::clone(house), &facts)
        .map_err(|id| FactError::NoPlace(house.name(id).to_owned()))
}
