//! The two readings side by side: what the symbols predict of a verb, and what is measured after it.

use std::collections::BTreeMap;

use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;

use super::{Execution, Failure, World};
use crate::household::{
    Change, EntityId, Fact, HouseAction, HouseGraph, Place, Refusal, Relation, VERBS,
};
use crate::scenario::Instance;

/// How one verb went.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// How it was carried out, or why it could not be.
    pub execution: Result<Execution, Failure>,
    /// The predicted changes that were measured, and the places of all things that stirred.
    pub compared: Vec<Fact>,
    /// Those that were measured to be otherwise than predicted.
    pub disagreements: Vec<Fact>,
}

/// Carries out one verb in both readings, compares them, and lets the symbolic house take over what was measured.
///
/// Compared is each change that the verb predicts, except facts CLOSE and FACING that end, and the place of each thing
/// that stirred.
///
/// # Errors
/// When the symbolic house refuses; then nothing has happened.
pub fn carry_out(
    graph: &mut HouseGraph,
    world: &mut World,
    action: &HouseAction,
) -> Result<Reading, Refusal> {
    graph.check(action)?;
    let mut after = graph.clone();
    let mut changes = Vec::new();
    after.apply_with(action, &mut changes)?;
    let mut reading = Reading {
        execution: world.execute(action, graph),
        compared: Vec::new(),
        disagreements: Vec::new(),
    };
    let Ok(execution) = &reading.execution else {
        return Ok(reading);
    };
    let mut misplaced: Vec<EntityId> = Vec::new();
    for Change { fact, now } in &changes {
        if let Fact::Holds(_, Relation::Close | Relation::Facing, _) = fact
            && !now
        {
            continue;
        }
        reading.compared.push(*fact);
        let measured = world.measure(*fact);
        if measured == *now {
            continue;
        }
        reading.disagreements.push(*fact);
        match *fact {
            Fact::Holds(a, Relation::On | Relation::Inside, _) => misplaced.push(a),
            Fact::Holds(_, Relation::HoldsRh | Relation::HoldsLh, b) => misplaced.push(b),
            fact => after.set(fact, measured),
        }
    }
    for id in &execution.stirred {
        let (predicted, measured) = (after.place(*id), world.measure_place(*id));
        let fact = |place| match place {
            Place::On(p) => Some(Fact::Holds(*id, Relation::On, p)),
            Place::Room(p) | Place::Inside(p) => Some(Fact::Holds(*id, Relation::Inside, p)),
            Place::Hand(_) | Place::Nowhere => None,
        };
        let Some(fact) = fact(predicted) else {
            continue;
        };
        if !reading.compared.contains(&fact) {
            reading.compared.push(fact);
            if predicted != measured {
                reading.disagreements.push(fact);
                misplaced.push(*id);
            }
        }
    }
    for id in misplaced {
        after.set_place(id, world.measure_place(id));
    }
    *graph = after;
    Ok(reading)
}

/// How many were counted, and how many of these were bad.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// All.
    pub all: u32,
    /// Disagreements among facts, failures among verbs.
    pub bad: u32,
}

/// What a random exploration of one house showed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Agreement {
    /// Verbs that the symbolic house allowed, by name; bad are those that failed physically.
    pub verbs: BTreeMap<&'static str, Tally>,
    /// Facts compared, by kind ("CLOSE", "ON", "SITTING", …); bad are the disagreements.
    pub facts: BTreeMap<&'static str, Tally>,
    /// Every fact of the symbolic house about open, closed, posture and places, checked now and then: how many, and
    /// how many were measured to be otherwise.
    pub audit: Tally,
    /// The first disagreements and failures in words.
    pub examples: Vec<String>,
    /// Simulated time in seconds.
    pub seconds: f64,
    /// Physics steps.
    pub steps: u64,
    /// Bodies that had to be put back.
    pub incidents: u32,
    /// How often a thing was still moving three seconds after a verb.
    pub restless: u32,
    /// Digest of the world at the end.
    pub digest: [u8; 16],
}

impl Agreement {
    /// All verbs.
    pub fn all_verbs(&self) -> Tally {
        sum(self.verbs.values())
    }

    /// All compared facts.
    pub fn all_facts(&self) -> Tally {
        sum(self.facts.values())
    }

    /// Share of compared facts that agree, in [0, 1].
    pub fn share(&self) -> f64 {
        let Tally { all, bad } = self.all_facts();
        1.0 - f64::from(bad) / f64::from(all.max(1))
    }
}

fn sum<'a>(tallies: impl Iterator<Item = &'a Tally>) -> Tally {
    tallies.fold(Tally::default(), |sum, t| Tally {
        all: sum.all + t.all,
        bad: sum.bad + t.bad,
    })
}

/// Explores an instance with `verbs` valid actions and compares the readings after each. A verb is drawn uniformly from
/// those that have a valid action, then one of its actions: uniformly over all actions, most would be TURNTO.
pub fn agreement(instance: &Instance, rng: &mut ChaCha8Rng, verbs: u32) -> Agreement {
    let house = &instance.house;
    let mut graph = instance.start.clone();
    let mut world = World::new(instance);
    let mut result = Agreement::default();
    let mut actions = Vec::new();
    let mut by_verb: Vec<(usize, usize)> = Vec::new();
    for done in 0..verbs {
        actions.clear();
        by_verb.clear();
        for spec in &VERBS {
            let from = actions.len();
            graph.valid_of(spec.verb, &mut actions);
            if actions.len() > from {
                by_verb.push((from, actions.len()));
            }
        }
        let Some(&(from, to)) = by_verb.get(rng.random_range(0..by_verb.len().max(1))) else {
            break;
        };
        let action = actions[rng.random_range(from..to)];
        let Ok(reading) = carry_out(&mut graph, &mut world, &action) else {
            continue;
        };
        let tally = result.verbs.entry(action.verb.spec().name).or_default();
        tally.all += 1;
        match &reading.execution {
            Ok(_) => {}
            Err(failure) => {
                tally.bad += 1;
                result.example(format!("{}: {}", action.text(house), failure.text(house)));
            }
        }
        for fact in &reading.compared {
            result.facts.entry(kind(fact)).or_default().all += 1;
        }
        for fact in &reading.disagreements {
            result.facts.entry(kind(fact)).or_default().bad += 1;
            let text = format!(
                "{}: {} (measured otherwise)",
                action.text(house),
                fact.text(house)
            );
            result.example(text);
        }
        if done % 50 == 49 {
            for fact in graph.facts() {
                let shown = !matches!(fact, Fact::Holds(_, Relation::Close | Relation::Facing, _));
                if shown {
                    result.audit.all += 1;
                    if !world.measure(fact) {
                        result.audit.bad += 1;
                        result.example(format!("audit after {}: {}", done + 1, fact.text(house)));
                    }
                }
            }
        }
    }
    result.seconds = world.seconds();
    result.steps = world.steps();
    result.incidents = world.incidents();
    result.restless = world.restless();
    result.digest = world.digest();
    result
}

impl Agreement {
    fn example(&mut self, text: String) {
        if self.examples.len() < 100 {
            self.examples.push(text);
        }
    }
}

fn kind(fact: &Fact) -> &'static str {
    match fact {
        Fact::Is(_, state) => state.name(),
        Fact::Holds(_, relation, _) => relation.name(),
    }
}
