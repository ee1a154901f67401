//! Everyday activities: goals over classes of things (`assets/activities.toml`), which have instances in every home that
//! has such things. Adding one is adding an entry there.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use rand::Rng;
use rand::seq::IndexedRandom as _;
use serde::Deserialize;

use super::{Task, possible, shuffled};
use crate::catalogue::Catalogue;
use crate::household::{EntityId, Fact, House, HouseGraph, Relation, State};

/// An activity.
#[derive(Clone, Debug, PartialEq)]
pub struct Activity {
    /// What people call it.
    pub name: String,
    say: String,
    /// The classes that each variable may be of.
    variables: Vec<(String, Vec<String>)>,
    goal: Vec<Pattern>,
}

/// Who or what a pattern is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Term {
    Agent,
    Variable(usize),
}

/// A fact with variables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pattern {
    Is(Term, State),
    Holds(Term, Relation, Term),
}

/// How often different things are tried for an activity's variables before another activity is.
const TRIES: usize = 16;

/// The activities that come with the program.
pub fn all() -> &'static [Activity] {
    static ALL: LazyLock<Vec<Activity>> = LazyLock::new(|| {
        parse(include_str!("../../../assets/activities.toml"))
            .expect("a test reads the activities that are built in")
    });
    &ALL
}

/// Reads activities as in `assets/activities.toml`.
///
/// # Errors
/// Says in words what is wrong: not TOML of that form, a name used twice, a class that the standard catalogue does not
/// have, or a goal that is not a fact.
pub fn parse(text: &str) -> Result<Vec<Activity>, String> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct File {
        activity: Vec<Line>,
    }
    let file: File = toml::from_str(text).map_err(|e| e.to_string())?;
    let mut activities: Vec<Activity> = Vec::new();
    for line in file.activity {
        let name = line.name.clone();
        if activities.iter().any(|a| a.name == name) {
            return Err(format!("activity \"{name}\": the name is used twice"));
        }
        let activity = line.activity();
        activities.push(activity.map_err(|e| format!("activity \"{name}\": {e}"))?);
    }
    Ok(activities)
}

/// An instance of a random activity that is possible in `graph`, and whose first fact does not hold yet.
pub fn draw(graph: &HouseGraph, rng: &mut impl Rng) -> Option<Task> {
    let order = shuffled(all().iter().collect(), rng);
    order.into_iter().find_map(|a| a.instance(graph, rng))
}

/// The activity that a goal is an instance of, if it is one of those built in: the first whose facts, in order, are the
/// goal's. Drawn and given goals are named by the same rule, so that an episode made again from its goal is the same.
pub fn recognize(house: &House, goal: &[Fact]) -> Option<&'static Activity> {
    all().iter().find(|a| a.matches(house, goal))
}

impl Activity {
    fn matches(&self, house: &House, goal: &[Fact]) -> bool {
        let mut chosen: Vec<Option<EntityId>> = vec![None; self.variables.len()];
        let mut binds = |term, id: EntityId| match term {
            Term::Agent => id == house.agent(),
            Term::Variable(i) => {
                let (_, classes) = &self.variables[i];
                let fits = house.class(id).is_some_and(|c| classes.contains(&c.name));
                let taken = chosen.iter().position(|c| *c == Some(id));
                chosen[i] = Some(chosen[i].unwrap_or(id));
                fits && chosen[i] == Some(id) && taken.is_none_or(|t| t == i)
            }
        };
        self.goal.len() == goal.len()
            && self.goal.iter().zip(goal).all(|pair| match pair {
                (Pattern::Is(a, state), Fact::Is(id, s)) => s == state && binds(*a, *id),
                (Pattern::Holds(a, relation, b), Fact::Holds(x, r, y)) => {
                    r == relation && binds(*a, *x) && binds(*b, *y)
                }
                _ => false,
            })
    }

    /// This activity with things of the house for its variables; `None` when there are none, or it cannot be done.
    pub fn instance(&self, graph: &HouseGraph, rng: &mut impl Rng) -> Option<Task> {
        let house = graph.house();
        let of_class = |classes: &[String]| -> Vec<EntityId> {
            let fits = |id: &EntityId| house.class(*id).is_some_and(|c| classes.contains(&c.name));
            house.ids().filter(fits).collect()
        };
        let candidates: Vec<Vec<EntityId>> = self
            .variables
            .iter()
            .map(|(_, classes)| of_class(classes))
            .collect();
        for _ in 0..TRIES {
            let mut chosen: Vec<EntityId> = Vec::with_capacity(candidates.len());
            for candidates in &candidates {
                let id = *candidates.choose(rng)?;
                if !chosen.contains(&id) {
                    chosen.push(id);
                }
            }
            if chosen.len() < candidates.len() {
                continue;
            }
            let goal: Vec<Fact> = self.goal.iter().map(|p| p.bind(graph, &chosen)).collect();
            if graph.holds(goal[0]) || !possible(graph, &goal) {
                continue;
            }
            let mut say = self.say.clone();
            for ((variable, _), id) in self.variables.iter().zip(&chosen) {
                say = say.replace(&format!("{{{variable}}}"), house.name(*id));
            }
            return Some(Task {
                say,
                activity: recognize(house, &goal).map(|a| a.name.clone()),
                goal,
            });
        }
        None
    }
}

impl Pattern {
    fn bind(self, graph: &HouseGraph, chosen: &[EntityId]) -> Fact {
        let id = |term| match term {
            Term::Agent => graph.house().agent(),
            Term::Variable(i) => chosen[i],
        };
        match self {
            Self::Is(a, state) => Fact::Is(id(a), state),
            Self::Holds(a, relation, b) => Fact::Holds(id(a), relation, id(b)),
        }
    }
}

/// An activity as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    name: String,
    say: String,
    #[serde(default)]
    with: BTreeMap<String, Vec<String>>,
    goal: Vec<String>,
}

impl Line {
    fn activity(self) -> Result<Activity, String> {
        let mut variables: Vec<(String, Vec<String>)> = Vec::new();
        let mut term = |text: &str| -> Result<Term, String> {
            if text == "agent" {
                return Ok(Term::Agent);
            }
            let name = text
                .strip_prefix('{')
                .and_then(|t| t.strip_suffix('}'))
                .ok_or_else(|| format!("expected `agent` or a {{variable}}, found `{text}`"))?;
            if let Some(i) = variables.iter().position(|(v, _)| v == name) {
                return Ok(Term::Variable(i));
            }
            let classes = match self.with.get(name) {
                Some(classes) => classes.clone(),
                None => vec![name.to_owned()],
            };
            let catalogue = Catalogue::standard();
            if let Some(class) = classes.iter().find(|c| catalogue.find(c).is_none()) {
                return Err(format!("there is no class `{class}`"));
            }
            variables.push((name.to_owned(), classes));
            Ok(Term::Variable(variables.len() - 1))
        };
        let mut goal = Vec::new();
        for text in &self.goal {
            // A variable's name may have spaces, the word between two names is in capitals.
            let words: Vec<&str> = text.split(' ').collect();
            let capital = |w: &&str| w.bytes().all(|b| b.is_ascii_uppercase() || b == b'_');
            let middle = words
                .iter()
                .position(capital)
                .ok_or_else(|| format!("`{text}` has no state or relation"))?;
            let (word, after) = (words[middle], words[middle + 1..].join(" "));
            let subject = term(&words[..middle].join(" "))?;
            let state = State::ALL.into_iter().find(|s| s.name() == word);
            let relation = Relation::ALL.into_iter().find(|r| r.name() == word);
            goal.push(match (state, relation) {
                (Some(state), _) if after.is_empty() => Pattern::Is(subject, state),
                (_, Some(relation)) => Pattern::Holds(subject, relation, term(&after)?),
                _ => return Err(format!("`{text}` is not a fact")),
            });
        }
        if goal.is_empty() {
            return Err("it has no goal".to_owned());
        }
        let unused = |v: &&String| !variables.iter().any(|(name, _)| name == *v);
        if let Some(variable) = self.with.keys().find(unused) {
            return Err(format!("the goal does not mention {{{variable}}}"));
        }
        let filled = variables.iter().fold(self.say.clone(), |say, (v, _)| {
            say.replace(&format!("{{{v}}}"), "")
        });
        if filled.contains('{') {
            return Err(format!(
                "`{}` has a variable that the goal does not",
                self.say
            ));
        }
        Ok(Activity {
            name: self.name,
            say: self.say,
            variables,
            goal,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_activities_that_are_built_in_can_be_read() {
        let text = include_str!("../../../assets/activities.toml");
        let activities = parse(text).unwrap_or_else(|e| panic!("{e}"));
        assert!(activities.len() >= 40, "only {}", activities.len());
    }

    #[test]
    fn what_is_wrong_with_an_activity_is_said() {
        let check = |body: &str, expected: &str| {
            let text = format!("[[activity]]\nname = \"a\"\n{body}");
            let error = parse(&text).unwrap_err();
            assert!(error.contains(expected), "{error}");
        };
        check(
            "say = \"\"\ngoal = [\"{unicorn} CLOSED\"]",
            "no class `unicorn`",
        );
        check(
            "say = \"\"\ngoal = [\"{mug} shut\"]",
            "no state or relation",
        );
        check("say = \"\"\ngoal = [\"{mug} ON\"]", "expected `agent`");
        check(
            "say = \"\"\ngoal = [\"{mug} CLOSED {mug}\"]",
            "is not a fact",
        );
        check("say = \"\"\ngoal = []", "no goal");
        check(
            "say = \"the {cup}\"\ngoal = [\"{mug} DIRTY\"]",
            "variable that the goal",
        );
        check(
            "say = \"\"\nwith = { x = [\"mug\"] }\ngoal = [\"{mug} DIRTY\"]",
            "does not mention {x}",
        );
        check("say = \"\"\nwish = 1\ngoal = []", "unknown field");
    }
}
