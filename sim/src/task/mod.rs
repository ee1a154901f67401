//! What an agent is asked to do, and what that is worth.
//!
//! A [`Task`] is a wish in words and facts that must all hold. [`draw`] makes one for a house as it is: a goal that the
//! scenario's author wrote, an everyday [`activity`], or one to three plain wishes (put, open, close, switch).

pub mod activity;
mod reward;

use rand::seq::{IndexedRandom as _, SliceRandom as _};
use rand::{Rng, RngExt as _};

pub use reward::Reward;

use crate::catalogue::Property;
use crate::household::{EntityId, Fact, Hand, HouseGraph, Kind, Place, Relation, State};
use crate::scenario::types::Goal;

/// What is wanted of an agent. The default is to explore: no wish, no goal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Task {
    /// The wish in words; empty when the agent only explores.
    pub say: String,
    /// Facts that must all hold at the end; empty when the agent only explores.
    pub goal: Vec<Fact>,
    /// The name of the everyday activity it is, if it is one.
    pub activity: Option<String>,
}

impl Task {
    /// Whether the goal holds; a task without a goal is never done.
    pub fn done(&self, graph: &HouseGraph) -> bool {
        !self.goal.is_empty() && self.goal.iter().all(|f| graph.holds(*f))
    }

    /// The goal's facts in words.
    pub fn goal_text(&self, graph: &HouseGraph) -> Vec<String> {
        self.goal.iter().map(|f| f.text(graph.house())).collect()
    }
}

/// Of ten tasks, how many come from the scenario's author where there are any, and how many of the rest are everyday
/// activities where the house allows any: enough plain wishes to vary the plans, enough activities to learn their names.
const AUTHORED_OF_TEN: u32 = 2;
const ACTIVITIES_OF_TEN: u32 = 6;

/// Most units of a plain wish: longer ones only repeat what two or three already show.
const MOST_UNITS: usize = 3;

/// Draws a task that is possible and not yet done in `graph`; `authored` are the scenario's goals. `None` when the house
/// allows nothing at all.
pub fn draw<R: Rng>(graph: &HouseGraph, authored: &[Goal], rng: &mut R) -> Option<Task> {
    type Source<R> = fn(&HouseGraph, &[Goal], &mut R) -> Option<Task>;
    let mut sources: [Source<R>; 3] = [authored_goal, activity_or_plain, plain_goal];
    if rng.random_range(0..10) >= AUTHORED_OF_TEN {
        sources.rotate_left(1);
    }
    sources
        .into_iter()
        .find_map(|source| source(graph, authored, rng))
}

/// A task with this goal, named if it is an everyday activity.
pub fn given(graph: &HouseGraph, say: String, goal: Vec<Fact>) -> Task {
    Task {
        say,
        activity: activity::recognize(graph.house(), &goal).map(|a| a.name.clone()),
        goal,
    }
}

/// One of the scenario's own goals.
fn authored_goal<R: Rng>(graph: &HouseGraph, authored: &[Goal], rng: &mut R) -> Option<Task> {
    let task = |goal: &Goal| {
        let facts = goal.all.iter();
        let goal_facts = facts.map(|f| Fact::parse(graph.house(), f.get_ref()).ok());
        let task = given(graph, goal.say.clone(), goal_facts.collect::<Option<_>>()?);
        (!task.goal.is_empty() && !task.done(graph) && possible(graph, &task.goal)).then_some(task)
    };
    // A goal may name a thing that this episode's draw left out, or a place that it filled; another one has to do then.
    let possible: Vec<Task> = authored.iter().filter_map(task).collect();
    possible.choose(rng).cloned()
}

fn activity_or_plain<R: Rng>(graph: &HouseGraph, _: &[Goal], rng: &mut R) -> Option<Task> {
    if rng.random_range(0..10) < ACTIVITIES_OF_TEN {
        activity::draw(graph, rng)
    } else {
        plain_goal(graph, &[], rng)
    }
}

/// One to three independent wishes about different things.
fn plain_goal<R: Rng>(graph: &HouseGraph, _: &[Goal], rng: &mut R) -> Option<Task> {
    let units = rng.random_range(1..=MOST_UNITS);
    let mut goal: Vec<Fact> = Vec::new();
    let mut wishes = Vec::new();
    let mut found = 0;
    // A draw that does not go with what is there already is drawn again, but not for ever.
    for _ in 0..20 * units {
        if found == units {
            break;
        }
        let Some(facts) = plain_unit(graph, rng) else {
            continue;
        };
        let mut both = goal.clone();
        both.extend(&facts);
        let news = facts
            .iter()
            .all(|f| subject(*f).is_none_or(|s| goal.iter().all(|g| subject(*g) != Some(s))));
        if news && possible(graph, &both) {
            wishes.extend(facts.iter().map(|f| wish(graph, *f)));
            goal = both;
            found += 1;
        }
    }
    (!goal.is_empty()).then(|| given(graph, sentence(&wishes), goal))
}

/// The thing that a wish about a fact changes.
fn subject(fact: Fact) -> Option<EntityId> {
    match fact {
        Fact::Is(id, _) | Fact::Holds(id, Relation::On | Relation::Inside, _) => Some(id),
        Fact::Holds(..) => None,
    }
}

/// One wish: a thing put somewhere else, or something opened, closed or switched.
fn plain_unit(graph: &HouseGraph, rng: &mut impl Rng) -> Option<Vec<Fact>> {
    let house = graph.house();
    let with = |property: Property| {
        let has = move |id: &EntityId| house.properties(*id).has(property);
        house.ids().filter(has).collect::<Vec<_>>()
    };
    let kind = rng.random_range(0..10);
    if kind < 6 {
        let thing = *with(Property::Grabbable).choose(rng)?;
        let inside = kind < 2;
        let support = with(match inside {
            true => Property::Containers,
            false => Property::Surfaces,
        });
        let fits = |s: &&EntityId| house.fits(thing, **s, inside);
        let support = **support
            .iter()
            .filter(fits)
            .collect::<Vec<_>>()
            .choose(rng)?;
        let relation = match inside {
            true => Relation::Inside,
            false => Relation::On,
        };
        let mut facts = vec![Fact::Holds(thing, relation, support)];
        if inside && house.properties(support).has(Property::CanOpen) && rng.random_bool(0.5) {
            facts.push(Fact::Is(support, State::Closed));
        }
        return (!graph.holds(facts[0])).then_some(facts);
    }
    let (property, states) = match kind {
        6 | 7 => (Property::CanOpen, [State::Open, State::Closed]),
        _ => (Property::HasSwitch, [State::SwitchedOn, State::SwitchedOff]),
    };
    let id = *with(property).choose(rng)?;
    let state = states.into_iter().find(|s| !graph.is(id, *s))?;
    Some(vec![Fact::Is(id, state)])
}

/// What an agent has to do to make a fact true, in the imperative: "close the fridge".
pub fn wish(graph: &HouseGraph, fact: Fact) -> String {
    let house = graph.house();
    let the = |id: EntityId| format!("the {}", house.name(id));
    match fact {
        Fact::Is(id, State::Closed) => format!("close {}", the(id)),
        Fact::Is(id, State::Open) => format!("open {}", the(id)),
        Fact::Is(id, State::SwitchedOn) => format!("switch on {}", the(id)),
        Fact::Is(id, State::SwitchedOff) => format!("switch off {}", the(id)),
        Fact::Is(id, State::Clean) => format!("wash {}", the(id)),
        Fact::Is(id, State::Dirty) => format!("leave {} dirty", the(id)),
        Fact::Is(_, State::Sitting) => "sit down".to_owned(),
        Fact::Is(_, State::Lying) => "lie down".to_owned(),
        Fact::Holds(a, Relation::On, b) if a == house.agent() => format!("sit on {}", the(b)),
        Fact::Holds(a, Relation::Inside, b) if a == house.agent() => format!("go to {}", the(b)),
        Fact::Holds(a, Relation::On, b) => format!("put {} on {}", the(a), the(b)),
        Fact::Holds(a, Relation::Inside, b) => format!("put {} in {}", the(a), the(b)),
        Fact::Holds(_, Relation::HoldsRh | Relation::HoldsLh, b) => format!("take {}", the(b)),
        Fact::Holds(_, Relation::Close, b) => format!("go to {}", the(b)),
        Fact::Holds(_, Relation::Facing, b) => format!("turn to {}", the(b)),
    }
}

/// "Put the mug on the table, close the fridge and switch off the lamp."
fn sentence(wishes: &[String]) -> String {
    let mut words = match wishes {
        [] => return String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    };
    if let Some(first) = words.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    words + "."
}

/// Whether an agent with empty hands could make all of `goal` true: everything fits where it is wanted, can be carried,
/// opened or switched, and seats are free.
pub fn possible(graph: &HouseGraph, goal: &[Fact]) -> bool {
    let house = graph.house();
    let agent = house.agent();
    let has = |id: EntityId, p: Property| house.properties(id).has(p);
    let seat = goal.iter().find_map(|f| match *f {
        Fact::Holds(a, Relation::On, seat) if a == agent => Some(seat),
        _ => None,
    });
    let moved = |id: EntityId| {
        goal.iter().any(|f| {
            matches!(*f, Fact::Holds(a, Relation::On | Relation::Inside, _) if a == id)
                || matches!(*f, Fact::Holds(_, Relation::HoldsRh | Relation::HoldsLh, a) if a == id)
        })
    };
    goal.iter().all(|fact| match *fact {
        Fact::Is(_, State::Lying) => seat.is_some_and(|s| has(s, Property::Lieable)),
        Fact::Is(_, State::Sitting) => seat.is_some_and(|s| has(s, Property::Sittable)),
        Fact::Is(id, State::Open | State::Closed) => has(id, Property::CanOpen),
        Fact::Is(id, State::SwitchedOn | State::SwitchedOff) => has(id, Property::HasSwitch),
        Fact::Is(id, State::Clean) => graph.is(id, State::Clean) || graph.is(id, State::Dirty),
        Fact::Is(id, State::Dirty) => graph.is(id, State::Dirty),
        Fact::Holds(a, Relation::On, b) if a == agent => {
            (has(b, Property::Sittable) || has(b, Property::Lieable))
                && graph
                    .children(b)
                    .all(|c| c == agent || graph.place(c) != Place::On(b))
        }
        Fact::Holds(a, Relation::Inside, b) if a == agent => house.is_room(b) && seat.is_none(),
        Fact::Holds(a, Relation::On | Relation::Inside, b) => {
            let inside = matches!(fact, Fact::Holds(_, Relation::Inside, _));
            has(a, Property::Grabbable)
                && (house.is_room(b) && inside
                    || Some(b) != seat
                        && house.fits(a, b, inside)
                        && has_room(graph, goal, b, inside))
        }
        Fact::Holds(_, Relation::HoldsRh | Relation::HoldsLh, b) => has(b, Property::Grabbable),
        Fact::Holds(_, Relation::Close, b) => seat.is_none_or(|s| s == b),
        Fact::Holds(_, Relation::Facing, b) => {
            let there = |s: EntityId| graph.room_of(s) == graph.room_of(b);
            !house.is_room(b)
                && (!moved(b) || matches!(graph.place(b), Place::Hand(Hand::Right | Hand::Left)))
                && seat.is_none_or(there)
                && !matches!(house.entity(b).kind, Kind::Door { .. })
        }
    })
}

/// Whether everything that `goal` wants on or in `support`, and is not there yet, finds room.
fn has_room(graph: &HouseGraph, goal: &[Fact], support: EntityId, inside: bool) -> bool {
    let wanted = |f: &Fact| match *f {
        Fact::Holds(a, relation, b) if b == support && !graph.holds(*f) => match relation {
            Relation::Inside if inside => Some(a),
            Relation::On if !inside => Some(a),
            _ => None,
        },
        _ => None,
    };
    let things: Vec<EntityId> = goal.iter().filter_map(wanted).collect();
    graph.room_left(&things, support, inside)
}

/// A random order of `items`.
fn shuffled<T>(mut items: Vec<T>, rng: &mut impl Rng) -> Vec<T> {
    items.shuffle(rng);
    items
}
