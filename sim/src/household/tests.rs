//! The verbs by their table, and what must hold whatever is done.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::catalogue::{Catalogue, Property};
use crate::observation::{facts_text, read_facts};

/// Three rooms in a row, with a closed door between the hall and the bedroom.
pub(crate) fn flat() -> HouseGraph {
    let catalogue = Catalogue::standard();
    // (name, class, place, states); rooms and doors come first, the agent last.
    let things: &[(&str, &str, &str, &[State])] = &[
        ("kitchen", "room", "", &[]),
        ("hall", "room", "", &[]),
        ("bedroom", "room", "", &[]),
        ("kitchen hall door", "kitchen hall", "", &[State::Open]),
        ("hall bedroom door", "hall bedroom", "", &[State::Closed]),
        ("kitchen table", "kitchen table", "in kitchen", &[]),
        ("fridge", "fridge", "in kitchen", &[State::Closed]),
        (
            "stove",
            "stove",
            "in kitchen",
            &[State::Closed, State::SwitchedOff],
        ),
        ("chair", "chair", "in kitchen", &[]),
        ("trash can", "trash can", "in kitchen", &[]),
        ("milk", "milk", "in fridge", &[]),
        ("mug", "mug", "on kitchen table", &[State::Dirty]),
        ("plate", "plate", "on kitchen table", &[]),
        ("apple", "apple", "on kitchen table", &[]),
        ("backpack", "backpack", "in kitchen", &[]),
        ("shelf", "shelf", "in hall", &[]),
        ("book", "book", "on shelf", &[]),
        ("toilet", "toilet", "in hall", &[]),
        ("soap", "soap", "on toilet", &[]),
        ("bed", "bed", "in bedroom", &[]),
        (
            "table lamp",
            "table lamp",
            "in bedroom",
            &[State::SwitchedOn],
        ),
        ("agent", "agent", "in hall", &[]),
    ];
    let id = |name: &str| {
        let at = things.iter().position(|t| t.0 == name);
        EntityId(at.unwrap_or_else(|| panic!("{name}")) as u16)
    };
    let entity = |(name, class, ..): &(&str, &str, &str, &[State])| {
        let kind = match (*class, name.strip_suffix(" door")) {
            ("room", _) => Kind::Room,
            ("agent", _) => Kind::Agent,
            (_, Some(rooms)) => {
                let (a, b) = rooms.split_once(' ').unwrap();
                Kind::Door {
                    between: [id(a), id(b)],
                }
            }
            (class, _) => Kind::Object(catalogue.find(class).unwrap_or_else(|| panic!("{class}"))),
        };
        let class = match kind {
            Kind::Object(class) => Some(catalogue.class(class)),
            _ => None,
        };
        Entity {
            name: (*name).to_owned(),
            kind,
            footprint: class.map_or(0.0, |c| c.footprint()),
            // The shelf holds the book and nothing more.
            capacity: class.map_or([0.0; 2], |c| match c.name.as_str() {
                "shelf" => [0.21 * 0.14, 0.0],
                _ => c.capacity(),
            }),
        }
    };
    let house = Arc::new(House::new(
        Arc::clone(&catalogue),
        things.iter().map(entity).collect(),
    ));
    let place = |(_, _, place, _): &(&str, &str, &str, &[State])| match place.split_once(' ') {
        Some(("in", p)) if house.is_room(id(p)) => Place::Room(id(p)),
        Some(("in", p)) => Place::Inside(id(p)),
        Some((_, p)) => Place::On(id(p)),
        None => Place::Nowhere,
    };
    HouseGraph::new(
        Arc::clone(&house),
        things.iter().map(place).collect(),
        things
            .iter()
            .map(|t| t.3.iter().copied().collect())
            .collect(),
    )
}

/// Carries out a program of lines joined by `;` that must not be refused.
fn after(program: &str) -> HouseGraph {
    let mut graph = flat();
    for line in program.split(';').filter(|l| !l.trim().is_empty()) {
        let action =
            HouseAction::parse(graph.house(), line).unwrap_or_else(|e| panic!("{line}: {e}"));
        if let Err(refusal) = graph.apply(&action) {
            panic!("{line}: {}", refusal.text(graph.house()));
        }
    }
    graph
}

/// After `before`, `action` makes exactly these changes: `+fact` and `-fact`, in the order of their texts.
fn changes(before: &str, action: &str, expected: &[&str]) {
    let mut graph = after(before);
    let action_parsed = HouseAction::parse(graph.house(), action).unwrap();
    let (old, mut reported) = (graph.facts(), Vec::new());
    graph
        .apply_with(&action_parsed, &mut reported)
        .unwrap_or_else(|r| panic!("{action}: {}", r.text(graph.house())));
    let new = graph.facts();
    let house = graph.house();
    let signed =
        |now: bool, fact: &Fact| format!("{}{}", if now { '+' } else { '-' }, fact.text(house));
    let mut found: Vec<String> = reported.iter().map(|c| signed(c.now, &c.fact)).collect();
    found.sort();
    let mut expected: Vec<String> = expected.iter().map(ToString::to_string).collect();
    expected.sort();
    assert_eq!(found, expected, "{before}; {action}");
    // What is reported is what changed.
    let gone = old
        .iter()
        .filter(|f| !new.contains(f))
        .map(|f| signed(false, f));
    let come = new
        .iter()
        .filter(|f| !old.contains(f))
        .map(|f| signed(true, f));
    let mut difference: Vec<String> = gone.chain(come).collect();
    difference.sort();
    assert_eq!(difference, found, "{before}; {action}");
}

/// After `before`, `action` is refused in these words and changes nothing.
fn refused(before: &str, action: &str, expected: &str) {
    let mut graph = after(before);
    let start = graph.clone();
    let action = HouseAction::parse(graph.house(), action).unwrap();
    let refusal = graph.apply(&action).unwrap_err();
    assert_eq!(
        refusal.text(graph.house()),
        expected,
        "{before}; {}",
        action.text(graph.house())
    );
    assert!(graph == start);
}

const AT_TABLE: &str = "[WALK] <kitchen table>";
const AT_FRIDGE: &str = "[WALK] <fridge>";
const MUG: &str = "[WALK] <kitchen table>; [GRAB] <mug>";
const TWO: &str = "[WALK] <kitchen table>; [GRAB] <mug>; [GRAB] <apple>";
const SEATED: &str = "[WALK] <chair>; [SIT] <chair>";

#[test]
fn verbs_change_what_their_rows_say() {
    changes(
        "",
        "[WALK] <kitchen>",
        &["-agent INSIDE hall", "+agent INSIDE kitchen"],
    );
    changes(
        "",
        AT_TABLE,
        &[
            "-agent INSIDE hall",
            "+agent INSIDE kitchen",
            "+agent CLOSE kitchen table",
            "+agent CLOSE mug",
            "+agent CLOSE plate",
            "+agent CLOSE apple",
        ],
    );
    // To a thing: it and what it lies on, not what lies beside it.
    changes(
        "",
        "[WALK] <book>",
        &["+agent CLOSE book", "+agent CLOSE shelf"],
    );
    // What is shut in stays out of reach.
    changes(
        "[WALK] <kitchen>",
        "[WALK] <milk>",
        &["+agent CLOSE fridge"],
    );
    // To a door from the room the agent comes from.
    changes(
        "[WALK] <kitchen>",
        "[WALK] <kitchen hall door>",
        &["+agent CLOSE kitchen hall door"],
    );
    changes(
        "[WALK] <kitchen>",
        "[WALK] <hall bedroom door>",
        &[
            "-agent INSIDE kitchen",
            "+agent INSIDE hall",
            "+agent CLOSE hall bedroom door",
        ],
    );
    changes(
        "[WALK] <kitchen>",
        "[FIND] <fridge>",
        &["+agent CLOSE fridge", "+agent FACING fridge"],
    );
    changes(
        AT_TABLE,
        "[GRAB] <mug>",
        &["-mug ON kitchen table", "+agent HOLDS_RH mug"],
    );
    changes(
        MUG,
        "[GRAB] <apple>",
        &["-apple ON kitchen table", "+agent HOLDS_LH apple"],
    );
    changes(
        MUG,
        "[PUTBACK] <mug> <kitchen table>",
        &["+mug ON kitchen table", "-agent HOLDS_RH mug"],
    );
    changes(
        &format!("{MUG}; [WALK] <trash can>"),
        "[PUTIN] <mug> <trash can>",
        &["+mug INSIDE trash can", "-agent HOLDS_RH mug"],
    );
    // What is held comes along; the rest is left.
    changes(
        MUG,
        "[WALK] <fridge>",
        &[
            "+agent CLOSE fridge",
            "-agent CLOSE kitchen table",
            "-agent CLOSE plate",
            "-agent CLOSE apple",
        ],
    );
    changes(
        MUG,
        "[DROP] <mug>",
        &["-agent HOLDS_RH mug", "+mug INSIDE kitchen"],
    );
    changes(
        AT_FRIDGE,
        "[OPEN] <fridge>",
        &["-fridge CLOSED", "+fridge OPEN", "+agent CLOSE milk"],
    );
    changes(
        &format!("{AT_FRIDGE}; [OPEN] <fridge>"),
        "[CLOSE] <fridge>",
        &["+fridge CLOSED", "-fridge OPEN", "-agent CLOSE milk"],
    );
    changes(
        "[WALK] <stove>",
        "[SWITCHON] <stove>",
        &["-stove SWITCHED_OFF", "+stove SWITCHED_ON"],
    );
    changes(
        "[WALK] <chair>",
        "[SIT] <chair>",
        &["-agent INSIDE kitchen", "+agent ON chair", "+agent SITTING"],
    );
    changes(
        SEATED,
        "[STANDUP]",
        &["+agent INSIDE kitchen", "-agent ON chair", "-agent SITTING"],
    );
    changes(
        "[WALK] <hall bedroom door>; [OPEN] <hall bedroom door>; [WALK] <bed>",
        "[LIE] <bed>",
        &["-agent INSIDE bedroom", "+agent ON bed", "+agent LYING"],
    );
    changes("", "[TURNTO] <shelf>", &["+agent FACING shelf"]);
    changes(
        "[TURNTO] <shelf>",
        "[TURNTO] <toilet>",
        &["-agent FACING shelf", "+agent FACING toilet"],
    );
    changes("[TURNTO] <shelf>", "[LOOKAT] <shelf>", &[]);
    changes(
        "[TURNTO] <shelf>",
        "[WALK] <shelf>",
        &[
            "-agent FACING shelf",
            "+agent CLOSE shelf",
            "+agent CLOSE book",
        ],
    );
    changes(AT_TABLE, "[TOUCH] <plate>", &[]);
    changes(MUG, "[DRINK] <mug>", &[]);
    changes(AT_TABLE, "[EAT] <apple>", &[]);
    changes("[WALK] <book>; [GRAB] <book>", "[READ] <book>", &[]);
    changes(AT_TABLE, "[WASH] <mug>", &["-mug DIRTY", "+mug CLEAN"]);
    changes(
        &format!("{AT_TABLE}; [GRAB] <plate>"),
        "[WIPE] <mug>",
        &["-mug DIRTY", "+mug CLEAN"],
    );
}

#[test]
fn refusals_say_what_is_in_the_way() {
    refused("", "[WALK] <bed>", "the hall bedroom door is closed");
    refused(
        "[WALK] <kitchen>",
        "[WALK] <bedroom>",
        "the hall bedroom door is closed",
    );
    refused(SEATED, "[WALK] <fridge>", "the agent is not standing");
    refused(MUG, "[WALK] <mug>", "the mug is in a hand");
    refused(AT_FRIDGE, "[FIND] <milk>", "the fridge is closed");
    refused(
        "",
        "[FIND] <kitchen>",
        "it is not possible to find the kitchen",
    );
    refused("", "[GRAB] <mug>", "the mug is not within reach");
    refused(
        AT_TABLE,
        "[GRAB] <kitchen table>",
        "it is not possible to grab the kitchen table",
    );
    refused(AT_FRIDGE, "[GRAB] <milk>", "the fridge is closed");
    refused(TWO, "[GRAB] <plate>", "both hands are full");
    refused(MUG, "[GRAB] <mug>", "the mug is in a hand");
    refused(
        AT_TABLE,
        "[PUTBACK] <mug> <kitchen table>",
        "the mug is not in a hand",
    );
    refused(
        MUG,
        "[PUTBACK] <mug> <shelf>",
        "the shelf is not within reach",
    );
    refused(
        MUG,
        "[PUTBACK] <mug> <fridge>",
        "it is not possible to put the mug on the fridge",
    );
    refused(
        &format!("{MUG}; {AT_FRIDGE}"),
        "[PUTIN] <mug> <fridge>",
        "the fridge is closed",
    );
    refused(
        MUG,
        "[PUTIN] <mug> <kitchen table>",
        "it is not possible to put the mug in the kitchen table",
    );
    refused(
        "[WALK] <backpack>; [GRAB] <backpack>; [WALK] <trash can>",
        "[PUTIN] <backpack> <trash can>",
        "the backpack does not fit the trash can",
    );
    refused("", "[DROP] <mug>", "the mug is not in a hand");
    refused("", "[OPEN] <fridge>", "the fridge is not within reach");
    refused("", "[OPEN] <shelf>", "it is not possible to open the shelf");
    refused(
        &format!("{AT_FRIDGE}; [OPEN] <fridge>"),
        "[OPEN] <fridge>",
        "the fridge is already open",
    );
    refused(
        AT_FRIDGE,
        "[CLOSE] <fridge>",
        "the fridge is already closed",
    );
    refused(
        &format!("{TWO}; {AT_FRIDGE}"),
        "[OPEN] <fridge>",
        "both hands are full",
    );
    refused(
        "[WALK] <stove>",
        "[SWITCHOFF] <stove>",
        "the stove is already switched off",
    );
    refused(
        "[WALK] <stove>; [SWITCHON] <stove>",
        "[SWITCHON] <stove>",
        "the stove is already switched on",
    );
    refused(
        "[WALK] <toilet>",
        "[SIT] <toilet>",
        "the soap is on the toilet",
    );
    refused(SEATED, "[SIT] <chair>", "the agent is not standing");
    refused(
        "[WALK] <shelf>",
        "[SIT] <shelf>",
        "it is not possible to sit on the shelf",
    );
    refused(
        "[WALK] <chair>",
        "[LIE] <chair>",
        "it is not possible to lie on the chair",
    );
    refused("", "[STANDUP]", "the agent is not sitting or lying");
    refused("", "[TURNTO] <fridge>", "the fridge is not in this room");
    refused(
        "[WALK] <kitchen>",
        "[TURNTO] <milk>",
        "the fridge is closed",
    );
    refused("", "[LOOKAT] <shelf>", "the agent is not facing the shelf");
    refused(
        "[TURNTO] <shelf>",
        "[WATCH] <shelf>",
        "it is not possible to watch the shelf",
    );
    refused(AT_FRIDGE, "[TOUCH] <milk>", "the fridge is closed");
    refused(AT_TABLE, "[DRINK] <mug>", "the mug is not in a hand");
    refused(AT_TABLE, "[DRINK] <plate>", "the plate is not in a hand");
    refused("", "[EAT] <apple>", "the apple is not within reach");
    refused(
        "[WALK] <book>",
        "[READ] <book>",
        "the book is not in a hand",
    );
    refused(AT_TABLE, "[WASH] <plate>", "the plate is not dirty");
    refused(AT_TABLE, "[WIPE] <mug>", "both hands are empty");
    refused(
        "",
        "[WALK] <agent>",
        "it is not possible to walk to the agent",
    );
}

#[test]
fn a_closed_door_shuts_the_way_behind_who_closes_it() {
    refused(
        "[WALK] <kitchen hall door>; [CLOSE] <kitchen hall door>",
        "[WALK] <fridge>",
        "the kitchen hall door is closed",
    );
}

#[test]
fn full_places_take_no_more() {
    refused(
        &format!("{MUG}; [WALK] <shelf>"),
        "[PUTBACK] <mug> <shelf>",
        "there is no room left on the shelf",
    );
    after("[WALK] <book>; [GRAB] <book>; [WALK] <shelf>; [PUTBACK] <book> <shelf>");
    let graph = flat();
    let house = graph.house();
    let (plate, can) = (
        house.find("plate").unwrap(),
        house.find("trash can").unwrap(),
    );
    let most = (house.entity(can).capacity[1] / house.entity(plate).footprint) as usize;
    assert!(graph.room_left(&vec![plate; most], can, true));
    assert!(!graph.room_left(&vec![plate; most + 1], can, true));
}

#[test]
fn the_table_of_verbs_is_in_order() {
    for (i, spec) in VERBS.iter().enumerate() {
        assert_eq!(spec.verb as usize, i, "{}", spec.name);
        for template in [spec.imperative, spec.past] {
            assert_eq!(template.matches('{').count(), spec.arity, "{template}");
        }
        for other in &VERBS[..i] {
            assert!(other.name != spec.name && other.imperative != spec.imperative);
        }
    }
}

#[test]
fn programs_are_read_as_they_are_written() {
    let graph = flat();
    let house = graph.house();
    let read = |line: &str| HouseAction::parse(house, line).map(|a| a.text(house));
    let put = "[PUTBACK] <mug> (11) <kitchen table> (5)";
    assert_eq!(read(put).as_deref(), Ok(put));
    assert_eq!(
        read(" [putback] <Mug> <kitchen_table>(5) ").as_deref(),
        Ok(put)
    );
    let error = |line: &str, expected: &str| {
        assert_eq!(read(line).unwrap_err().to_string(), expected, "{line}");
    };
    error(
        "grab mug",
        "expected `[VERB] <name> (id)`, as in `[GRAB] <mug> (12)`, found `grab mug`",
    );
    error(
        "[GRAB] mug",
        "expected `[VERB] <name> (id)`, as in `[GRAB] <mug> (12)`, found `[GRAB] mug`",
    );
    error("[FLY] <mug>", "there is no verb `FLY`");
    error("[GRAB] <unicorn>", "there is no `unicorn` in this house");
    error("[GRAB] <mug> (3)", "`mug` has the id 11, found (3)");
    error("[GRAB] <mug> (x)", "`mug` has the id 11, found (x)");
    error("[GRAB]", "[GRAB] takes 1 objects, found 0");
    error(
        "[GRAB] <mug> <plate> <apple>",
        "[GRAB] takes 1 objects, found 3",
    );
    error("[STANDUP] <chair>", "[STANDUP] takes 0 objects, found 1");
}

#[test]
fn sentences_are_read_as_they_are_written() {
    let graph = flat();
    let house = graph.house();
    let sentence = |line: &str| HouseAction::parse(house, line).unwrap().sentence(house);
    assert_eq!(
        sentence("[PUTBACK] <mug> <kitchen table>"),
        "Put the mug on the kitchen table."
    );
    assert_eq!(sentence("[STANDUP]"), "Stand up.");
    let mut lines: Vec<HouseAction> = Vec::new();
    for spec in &VERBS {
        let mut action = HouseAction::alone(spec.verb);
        action.objects[0] = (spec.arity > 0).then(|| house.find("mug").unwrap());
        action.objects[1] = (spec.arity > 1).then(|| house.find("kitchen table").unwrap());
        lines.push(action);
    }
    for action in lines {
        let text = action.sentence(house);
        assert_eq!(
            HouseAction::parse_sentence(house, &text),
            Ok(action),
            "{text}"
        );
    }
    let read = |text: &str| HouseAction::parse_sentence(house, text);
    assert_eq!(read("  walk to KITCHEN"), read("Walk to the kitchen."));
    assert!(read("Walk to the kitchen.").is_ok());
    for text in [
        "",
        ".",
        "Walk",
        "Walk to",
        "Walk to the moon.",
        "Put the mug on",
        "Put the mug the table.",
    ] {
        assert!(read(text).is_err(), "{text}");
    }
}

#[test]
fn facts_are_read_as_they_are_written() {
    let graph = flat();
    let house = graph.house();
    for fact in graph.facts() {
        assert_eq!(Fact::parse(house, &fact.text(house)), Ok(fact));
    }
    let error = |text: &str, expected: &str| {
        let found = Fact::parse(house, text).unwrap_err().to_string();
        assert!(found.contains(expected), "{text}: {found}");
    };
    error("", "expected `name STATE`");
    error("mug", "expected `name STATE`");
    error("CLOSED", "expected `name STATE`");
    error("mug UNDER plate", "expected `name STATE`");
    error("mug ON", "expected `name STATE`");
    error("unicorn CLOSED", "no `unicorn`");
    error("mug ON moon", "no `moon`");
    error("fridge CLOSED mug", "`CLOSED` is a state");
    error("mug FACING plate", "only the agent");
    error("mug SITTING chair", "`SITTING` is a state");
    let sitting = Fact::parse(house, "agent SITTING chair");
    assert_eq!(sitting, Fact::parse(house, "agent ON chair"));
    // A description that leaves something out, or puts it into itself.
    let text = facts_text(&graph);
    let without = text.replace("mug ON kitchen table\n", "");
    assert_eq!(
        read_facts(house, &without).unwrap_err().to_string(),
        "the facts do not say where the `mug` is"
    );
    let circle = text
        .replace("mug ON kitchen table", "mug ON plate")
        .replace("plate ON kitchen table", "plate ON mug");
    assert!(read_facts(house, &circle).is_err());
}

/// What must be true of a house whatever was done in it.
fn consistent(graph: &HouseGraph) {
    let house = graph.house();
    let agent = house.agent();
    for hand in [Hand::Right, Hand::Left] {
        if let Some(thing) = graph.held(hand) {
            assert_eq!(graph.place(thing), Place::Hand(hand));
            assert!(graph.is_close(thing), "what is held is within reach");
        }
    }
    for id in house.ids() {
        let place = graph.place(id);
        match place {
            Place::Hand(hand) => assert_eq!(graph.held(hand), Some(id), "one thing per hand"),
            Place::Nowhere => assert!(house.class(id).is_none() && id != agent),
            Place::Room(p) | Place::On(p) | Place::Inside(p) => {
                let times = graph.children(p).filter(|c| *c == id).count();
                assert_eq!(
                    times,
                    1,
                    "{} is once among the children of its place",
                    house.name(id)
                );
            }
        }
        for child in graph.children(id) {
            let parent = match graph.place(child) {
                Place::Room(p) | Place::On(p) | Place::Inside(p) => Some(p),
                Place::Hand(_) | Place::Nowhere => None,
            };
            assert_eq!(parent, Some(id), "a child's place is its parent");
        }
        for (a, b) in [
            (State::Open, State::Closed),
            (State::SwitchedOn, State::SwitchedOff),
        ] {
            assert!(!(graph.is(id, a) && graph.is(id, b)));
        }
        if house.properties(id).has(Property::CanOpen) {
            assert!(graph.is(id, State::Open) || graph.is(id, State::Closed));
        }
        if graph.is_close(id) {
            assert_eq!(graph.shut_in(id), None, "{} is shut in", house.name(id));
        }
    }
    let seated = graph.is(agent, State::Sitting) || graph.is(agent, State::Lying);
    assert_eq!(seated, matches!(graph.place(agent), Place::On(_)));
    let listed = graph.facts();
    let read = read_facts(house, &facts_text(graph)).unwrap();
    assert!(
        read == *graph && read.digest() == graph.digest(),
        "facts say everything"
    );
    assert!(listed.iter().all(|f| graph.holds(*f)));
    let mut sorted = listed.clone();
    sorted.sort();
    sorted.dedup();
    assert_eq!(sorted.len(), listed.len(), "no fact twice");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_of_actions_leaves_a_consistent_house(choices in prop::collection::vec((0..22usize, any::<u16>(), any::<u16>()), 1..120)) {
        let mut graph = flat();
        let house = Arc::clone(graph.house());
        for (verb, a, b) in choices {
            // Mostly something valid of that verb, else anything at all.
            let mut valid = Vec::new();
            graph.valid_of(VERBS[verb].verb, &mut valid);
            let any = HouseAction {
                verb: VERBS[verb].verb,
                objects: [Some(EntityId(a % house.len() as u16)), (b % 2 == 0).then_some(EntityId(b % house.len() as u16))],
            };
            let action = valid.get(a as usize % valid.len().max(1)).copied().filter(|_| b % 8 > 0).unwrap_or(any);
            let closed: Vec<(EntityId, usize)> = house.ids()
                .filter(|id| graph.is(*id, State::Closed))
                .map(|id| (id, graph.children(id).filter(|c| graph.place(*c) == Place::Inside(id)).count()))
                .collect();
            let before = graph.clone();
            let checked = graph.check(&action);
            let done = graph.apply(&action);
            prop_assert_eq!(checked, done, "apply does what check says");
            if done.is_err() {
                prop_assert!(graph == before, "a refusal changes nothing");
            }
            for (id, contents) in closed {
                if graph.is(id, State::Closed) {
                    let now = graph.children(id).filter(|c| graph.place(*c) == Place::Inside(id)).count();
                    prop_assert_eq!(now, contents, "closed things neither gain nor lose");
                }
            }
            consistent(&graph);
        }
    }

    #[test]
    fn valid_actions_are_all_that_check_accepts(choices in prop::collection::vec(any::<u16>(), 0..20)) {
        let mut graph = flat();
        let house = Arc::clone(graph.house());
        let mut valid = Vec::new();
        for choice in choices {
            graph.valid_actions(&mut valid);
            graph.apply(&valid[choice as usize % valid.len()]).unwrap();
        }
        graph.valid_actions(&mut valid);
        let mut all = Vec::new();
        for spec in &VERBS {
            let ids = || house.ids().map(Some);
            let none = || std::iter::once(None);
            match spec.arity {
                0 => all.push(HouseAction::alone(spec.verb)),
                1 => all.extend(ids().flat_map(|a| none().map(move |b| HouseAction { verb: spec.verb, objects: [a, b] }))),
                _ => all.extend(ids().flat_map(|a| ids().map(move |b| HouseAction { verb: spec.verb, objects: [a, b] }))),
            }
        }
        all.retain(|action| graph.check(action).is_ok());
        valid.sort();
        all.sort();
        prop_assert_eq!(valid, all);
    }

    #[test]
    fn texts_of_any_kind_are_read_or_refused(text in ".{0,60}") {
        let graph = flat();
        let house = graph.house();
        if let Ok(action) = HouseAction::parse(house, &text) {
            prop_assert_eq!(HouseAction::parse(house, &action.text(house)), Ok(action));
        }
        if let Ok(fact) = Fact::parse(house, &text) {
            prop_assert_eq!(Fact::parse(house, &fact.text(house)), Ok(fact));
        }
        HouseAction::parse_sentence(house, &text).ok();
        read_facts(house, &text).ok();
    }
}
