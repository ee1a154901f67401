//! Random exploration: an agent that wanders through the rooms, carries things about, opens and looks, and sometimes tries
//! what cannot be done.
//!
//! Uniform over kinds of action by weight, then uniform within a kind. Were it uniform over all valid actions, nine in
//! ten would be walks and turns, and a story of them would hold nothing to count and nothing to follow.

use episode::{Action, Observation};
use rand::seq::IndexedRandom as _;
use rand::{Rng, RngExt as _};
use rand_chacha::ChaCha8Rng;
use sim::catalogue::Property;
use sim::household::{EntityId, Hand, HouseAction, HouseGraph, Need, Place, VERBS, Verb};

use crate::policy::{Belief, Briefing, Policy, lane_mut};

/// Random exploration.
#[derive(Debug)]
pub struct RandomPolicy {
    invalid: f64,
    lanes: Vec<Option<Lane>>,
}

#[derive(Debug)]
struct Lane {
    belief: Belief,
    rng: ChaCha8Rng,
    valid: Vec<HouseAction>,
    lately: Lately,
}

/// What was done last with hands: doing and undoing it over and over makes no story.
#[derive(Clone, Copy, Debug, Default)]
struct Lately {
    put_down: Option<EntityId>,
    taken_from: Option<EntityId>,
}

impl Lately {
    fn note(&mut self, graph: &HouseGraph, action: &HouseAction) {
        let [Some(thing), _] = action.objects else {
            return;
        };
        match (action.verb, graph.place(thing)) {
            (Verb::Grab, Place::On(from) | Place::Inside(from)) => self.taken_from = Some(from),
            (Verb::Put | Verb::PutIn | Verb::Drop, _) => self.put_down = Some(thing),
            _ => {}
        }
    }
}

impl RandomPolicy {
    /// Explores at random; `invalid` in [0, 1] is the share of actions that the house will refuse.
    pub fn new(invalid: f64) -> Self {
        Self {
            invalid: invalid.clamp(0.0, 1.0),
            lanes: Vec::new(),
        }
    }
}

impl Policy for RandomPolicy {
    fn name(&self) -> &str {
        "random"
    }

    fn reset(&mut self, lane: usize, briefing: &Briefing<'_>, rng: ChaCha8Rng) {
        let (graph, _) = briefing.house();
        *lane_mut(&mut self.lanes, lane) = Some(Lane {
            belief: Belief::new(graph),
            rng,
            valid: Vec::new(),
            lately: Lately::default(),
        });
    }

    fn act(&mut self, observations: &[Option<&Observation>]) -> Vec<Option<Action>> {
        let invalid = self.invalid;
        let act = |(lane, observation): (usize, &Option<&Observation>)| {
            let observation = (*observation)?;
            let lane = self.lanes[lane].as_mut().expect("the world was reset");
            lane.belief.observe(observation);
            let graph = &mut lane.belief.graph;
            let refused = lane.rng.random_bool(invalid);
            let action = match refused {
                true => refused_action(graph, &mut lane.rng),
                false => None,
            };
            let action =
                action.or_else(|| explore(graph, lane.lately, &mut lane.valid, &mut lane.rng))?;
            lane.lately.note(graph, &action);
            // What is expected; what is observed next overrides it.
            graph.apply(&action).ok();
            Some(Action::Text(action.text(graph.house())))
        };
        observations.iter().enumerate().map(act).collect()
    }
}

/// A kind of action, and how often it is chosen when the house allows one.
///
/// Larger weights for carrying make longer paths of things, larger ones for putting down more to count; the weights of
/// what changes nothing (touch, look at) only vary the story.
fn kind(graph: &HouseGraph, lately: Lately, action: &HouseAction) -> (usize, f64) {
    let house = graph.house();
    let held = [Hand::Right, Hand::Left]
        .into_iter()
        .filter(|h| graph.held(*h).is_some())
        .count();
    let carries = held > 0;
    if let (Verb::Walk | Verb::Find, [Some(to), _]) = (action.verb, action.objects) {
        let elsewhere = graph.room_of(to) != graph.agent_room();
        let properties = house.properties(to);
        let holds_things =
            properties.has(Property::Surfaces) || properties.has(Property::Containers);
        let empty = graph.children(to).next().is_none();
        let (kind, weight) = match () {
            () if action.verb == Verb::Find => (1, 0.3),
            () if graph.is_close(to) => (2, 0.02),
            () if house.is_room(to) && elsewhere => (3, if carries { 1.5 } else { 0.8 }),
            () if house.is_room(to) => (4, 0.02),
            () if holds_things && elsewhere => (5, if carries { 3.0 } else { 0.5 }),
            () if holds_things && empty && !carries => (6, 0.3),
            () if holds_things => (7, 2.0),
            () if properties.has(Property::Grabbable) && elsewhere => (8, 0.3),
            () if properties.has(Property::Grabbable) => (9, if carries { 0.3 } else { 3.0 }),
            () => (0, 0.2),
        };
        return (kind, weight);
    }
    let [first, second] = action.objects;
    match action.verb {
        Verb::Grab if first == lately.put_down => return (10, 0.3),
        Verb::Put | Verb::PutIn if second == lately.taken_from => return (11, 0.5),
        _ => {}
    }
    let weight = match action.verb {
        Verb::Walk | Verb::Find => 0.0,
        Verb::Grab => [16.0, 2.5, 0.0][held],
        Verb::Put | Verb::PutIn => 7.0,
        Verb::Drop => 0.1,
        Verb::Open => 6.0,
        Verb::Close => 1.0,
        Verb::SwitchOn | Verb::SwitchOff => 0.7,
        Verb::Sit => 0.5,
        Verb::Lie => 0.2,
        // Little else is possible then.
        Verb::StandUp => 5.0,
        Verb::TurnTo => 0.4,
        Verb::LookAt | Verb::Watch => 0.7,
        Verb::Touch => 0.3,
        Verb::Drink | Verb::Eat | Verb::Read => 0.4,
        Verb::Wash | Verb::Wipe => 1.0,
    };
    (12 + action.verb as usize, weight)
}

/// Number of kinds.
const KINDS: usize = 12 + VERBS.len();

/// A valid action; `None` when there is none at all.
fn explore(
    graph: &HouseGraph,
    lately: Lately,
    valid: &mut Vec<HouseAction>,
    rng: &mut impl Rng,
) -> Option<HouseAction> {
    graph.valid_actions(valid);
    let mut weights = [0.0; KINDS];
    let kinds: Vec<usize> = valid
        .iter()
        .map(|action| {
            let (kind, weight) = kind(graph, lately, action);
            weights[kind] = weight;
            kind
        })
        .collect();
    let total: f64 = weights.iter().sum();
    let mut left = rng.random::<f64>() * total;
    let chosen = weights.iter().position(|weight| {
        left -= weight;
        left < 0.0
    })?;
    let of_kind: Vec<&HouseAction> = valid
        .iter()
        .zip(kinds)
        .filter_map(|(action, kind)| (kind == chosen).then_some(action))
        .collect();
    of_kind.choose(rng).map(|action| **action)
}

/// How often other things are tried for an action that is refused.
const TRIES: usize = 64;

/// An action that fits its things but not the moment (opening what is open, taking what is shut in or too far away);
/// `None` when chance finds none.
fn refused_action(graph: &HouseGraph, rng: &mut impl Rng) -> Option<HouseAction> {
    let house = graph.house();
    for _ in 0..TRIES {
        let spec = VERBS.choose(rng)?;
        let mut action = HouseAction::alone(spec.verb);
        for i in 0..spec.arity {
            let suits = |id: &EntityId| {
                spec.needs.iter().all(|need| match need {
                    Need::Property(j, any) if *j == i => {
                        any.iter().any(|p| house.properties(*id).has(*p))
                    }
                    Need::Thing(j) if *j == i => !house.is_room(*id),
                    Need::Holds(j) if *j == i => house.properties(*id).has(Property::Grabbable),
                    _ => *id != house.agent(),
                })
            };
            let candidates: Vec<EntityId> = house.ids().filter(suits).collect();
            action.objects[i] = candidates.choose(rng).copied();
        }
        let complete = action.objects().count() == spec.arity;
        if complete && graph.check(&action).is_err() {
            return Some(action);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use sim::observation::observe;
    use sim::random::episode_rng;
    use sim::scenario::load;
    use sim::task::Task;

    use super::*;

    struct Story {
        lines: Vec<String>,
        refused: usize,
        rooms_carried_to: BTreeSet<EntityId>,
        puts: usize,
        opened: usize,
    }

    fn explore_for(steps: usize, invalid: f64, seed: u64) -> Story {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../scenarios/garden_house.toml"
        );
        let scenario = load(path).unwrap_or_else(|e| panic!("{e}"));
        let stream = |purpose| episode_rng(seed, "", 0, purpose);
        let mut graph = scenario.instantiate(&mut stream("layout")).unwrap().start;
        let mut policy = RandomPolicy::new(invalid);
        let briefing = Briefing::House {
            graph: &graph,
            task: &Task::default(),
        };
        policy.reset(0, &briefing, stream("policy"));
        let mut story = Story {
            lines: Vec::new(),
            refused: 0,
            rooms_carried_to: BTreeSet::new(),
            puts: 0,
            opened: 0,
        };
        for _ in 0..steps {
            let observation = observe(&graph, "");
            let action = policy.act(&[Some(&observation)]).remove(0).unwrap();
            let Action::Text(line) = action else { panic!() };
            let action = HouseAction::parse(graph.house(), &line).unwrap();
            story.lines.push(line);
            if graph.apply(&action).is_err() {
                story.refused += 1;
                continue;
            }
            story.puts += usize::from(matches!(action.verb, Verb::Put | Verb::PutIn));
            story.opened += usize::from(action.verb == Verb::Open);
            if action.verb == Verb::Walk && graph.held(Hand::Right).is_some() {
                story.rooms_carried_to.insert(graph.agent_room());
            }
        }
        story
    }

    #[test]
    fn exploration_carries_things_from_room_to_room() {
        let story = explore_for(300, 0.0, 1);
        assert_eq!(story.refused, 0);
        assert!(
            story.rooms_carried_to.len() >= 3,
            "{:?}",
            story.rooms_carried_to
        );
        assert!(story.puts >= 30, "{}", story.puts);
        assert!(story.opened >= 5, "{}", story.opened);
    }

    #[test]
    fn the_share_of_refused_actions_is_what_was_asked_for() {
        let story = explore_for(1000, 0.2, 2);
        // Four standard deviations of a binomial with n = 1000, p = 0.2.
        assert!((150..=250).contains(&story.refused), "{}", story.refused);
        assert_eq!(explore_for(50, 1.0, 3).refused, 50);
    }

    #[test]
    fn the_same_seed_gives_the_same_story() {
        assert_eq!(
            explore_for(100, 0.1, 4).lines,
            explore_for(100, 0.1, 4).lines
        );
        assert_ne!(
            explore_for(100, 0.1, 4).lines,
            explore_for(100, 0.1, 5).lines
        );
    }
}
