//! Contract: what is asked follows from the text alone, by a rule written here a second time and reading nothing but
//! the text; choices give nothing away; the same input gives the same bytes.

use std::collections::BTreeMap;

use episode::{Action, Header, Observation, Step, Value};
use proptest::prelude::*;

use super::*;

/// A toy house that keeps facts the way the simulator states them.
struct Toy {
    places: BTreeMap<&'static str, (&'static str, &'static str)>,
    held: Vec<&'static str>,
    closed: BTreeSet<&'static str>,
}

const ROOMS: [&str; 4] = ["bathroom", "hall", "kitchen", "living room"];
const FURNITURE: [(&str, &str); 6] = [
    ("bathroom cabinet", "bathroom"),
    ("coat rack", "hall"),
    ("fridge", "kitchen"),
    ("kitchen table", "kitchen"),
    ("shelf", "living room"),
    ("sofa", "living room"),
];
const THINGS: [&str; 8] = [
    "apple", "book", "bowl", "milk", "mug", "mug 2", "pen", "towel",
];

impl Toy {
    fn new(rng: &mut ChaCha8Rng) -> Self {
        let mut places: BTreeMap<_, _> = FURNITURE
            .iter()
            .map(|(name, room)| (*name, ("INSIDE", *room)))
            .collect();
        for thing in THINGS {
            places.insert(thing, ("ON", FURNITURE.choose(rng).unwrap().0));
        }
        places.insert("agent", ("INSIDE", ROOMS.choose(rng).unwrap()));
        Self {
            places,
            held: Vec::new(),
            closed: ["fridge"].into_iter().collect(),
        }
    }

    fn room(&self, name: &str) -> &'static str {
        let mut at = name;
        loop {
            match self.places.get(at) {
                Some((_, next)) => at = next,
                None if self.held.contains(&at) => at = "agent",
                None => break,
            }
        }
        ROOMS.iter().find(|room| **room == at).unwrap()
    }

    fn observation(&self) -> Observation {
        let mut text = String::new();
        for (name, (relation, at)) in &self.places {
            text += &format!("{name} {relation} {at}\n");
        }
        for name in &self.closed {
            text += &format!("{name} CLOSED\n");
        }
        for (i, name) in self.held.iter().enumerate() {
            text += &format!("agent {} {name}\n", ["HOLDS_RH", "HOLDS_LH"][i]);
        }
        Observation::new().with("facts", Value::Text(text))
    }

    /// A random action: the line and why it was refused.
    fn act(&mut self, rng: &mut ChaCha8Rng) -> (String, Option<String>) {
        let room = self.room("agent");
        match rng.random_range(0..10) {
            0..=2 => {
                let to = *ROOMS.choose(rng).unwrap();
                self.places.insert("agent", ("INSIDE", to));
                (format!("[WALK] <{to}> (1)"), None)
            }
            3 => {
                let (name, to) = *FURNITURE.choose(rng).unwrap();
                self.places.insert("agent", ("INSIDE", to));
                (format!("[WALK] <{name}> (1)"), None)
            }
            4..=6 if self.held.len() < 2 => {
                let here: Vec<_> = THINGS
                    .iter()
                    .filter(|t| self.places.contains_key(**t) && self.room(t) == room)
                    .collect();
                let Some(thing) = here.choose(rng) else {
                    return (
                        "[OPEN] <fridge> (7)".to_owned(),
                        Some("the fridge is not within reach".to_owned()),
                    );
                };
                self.places.remove(**thing);
                self.held.push(thing);
                (format!("[GRAB] <{thing}> (1)"), None)
            }
            7..=8 if !self.held.is_empty() => {
                let thing = self.held.remove(rng.random_range(0..self.held.len()));
                let mut here: Vec<&str> = FURNITURE
                    .iter()
                    .filter(|(_, r)| *r == room)
                    .map(|(name, _)| *name)
                    .collect();
                if thing != "bowl" && self.places.contains_key("bowl") && self.room("bowl") == room
                {
                    here.push("bowl"); // which may be carried about later, with what is in it
                }
                let at: &'static str = here.choose(rng).copied().unwrap();
                let (relation, verb) = if at == "bowl" {
                    ("INSIDE", "PUTIN")
                } else {
                    ("ON", "PUTBACK")
                };
                self.places.insert(thing, (relation, at));
                (format!("[{verb}] <{thing}> (1) <{at}> (2)"), None)
            }
            _ => ("[LOOKAT] <sofa> (5)".to_owned(), None),
        }
    }
}

fn step(line: String, refusal: Option<String>, observation: Observation) -> Step {
    Step {
        action: Action::Text(line),
        observation,
        reward: 0.0,
        reward_terms: Vec::new(),
        terminated: false,
        truncated: false,
        refusal,
        info: BTreeMap::new(),
        state_digest: String::new(),
    }
}

fn header(index: u64, task: &str, goal: &[String]) -> Header {
    Header {
        index,
        seed: 1,
        scenario: "toy".to_owned(),
        scenario_digest: "d".repeat(64),
        policy: "random".to_owned(),
        fidelity: "symbolic".to_owned(),
        task: task.to_owned(),
        goal: goal.to_vec(),
        software: "test".to_owned(),
    }
}

/// A random walk of 60 steps, and a plan that carries one thing somewhere.
fn episodes(seed: u64, number: u64) -> Vec<Episode> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut episodes = Vec::new();
    for index in 0..number {
        let mut toy = Toy::new(&mut rng);
        let first = toy.observation();
        let steps = (0..60).map(|_| {
            let (line, refusal) = toy.act(&mut rng);
            step(line, refusal, toy.observation())
        });
        episodes.push(Episode {
            header: header(2 * index, "", &[]),
            first,
            steps: steps.collect(),
            first_digest: String::new(),
            success: false,
        });

        let mut toy = Toy::new(&mut rng);
        let first = toy.observation();
        let (thing, (to, room)) = (
            *THINGS.choose(&mut rng).unwrap(),
            *FURNITURE.choose(&mut rng).unwrap(),
        );
        let mut steps = vec![step(
            "[OPEN] <sofa> (5)".to_owned(),
            Some("the sofa is not within reach".to_owned()),
            toy.observation(),
        )];
        toy.places.insert("agent", ("INSIDE", toy.room(thing)));
        steps.push(step(
            format!("[WALK] <{thing}> (1)"),
            None,
            toy.observation(),
        ));
        toy.places.remove(thing);
        toy.held.push(thing);
        steps.push(step(
            format!("[GRAB] <{thing}> (1)"),
            None,
            toy.observation(),
        ));
        toy.places.insert("agent", ("INSIDE", room));
        steps.push(step(format!("[WALK] <{to}> (1)"), None, toy.observation()));
        toy.held.clear();
        toy.places.insert(thing, ("ON", to));
        steps.push(step(
            format!("[PUTBACK] <{thing}> (1) <{to}> (2)"),
            None,
            toy.observation(),
        ));
        episodes.push(Episode {
            header: header(
                2 * index + 1,
                &format!("Put the {thing} on the {to}."),
                &[format!("{thing} ON {to}")],
            ),
            first,
            steps,
            first_digest: String::new(),
            success: true,
        });
    }
    episodes
}

/// What the text of a story says, read sentence by sentence.
#[derive(Default)]
struct Told {
    room: String,
    held: Vec<String>,
    rooms_in_hand: BTreeMap<String, Vec<String>>,
    lying: BTreeMap<String, Vec<String>>,
}

fn read_story(text: &str) -> Told {
    let mut told = Told::default();
    let names = |list: &str| -> Vec<String> {
        list.replace(" and the ", ", the ")
            .split(", ")
            .map(|name| name.trim_start_matches("the ").to_owned())
            .collect()
    };
    for sentence in text.trim_end_matches('.').split(". ") {
        let (subject, words) = sentence.split_once(' ').unwrap();
        let words = words.trim_start_matches("down ");
        if subject == "There" {
            let spot = |words: &str| {
                let at = words
                    .rfind(" on the ")
                    .into_iter()
                    .chain(words.rfind(" in the "))
                    .max()
                    .unwrap();
                (words[..at].to_owned(), words[at + 1..].to_owned())
            };
            let (list, spot) = spot(words.trim_start_matches("was ").trim_start_matches("were "));
            told.lying.insert(
                spot,
                if list == "nothing" {
                    Vec::new()
                } else {
                    names(&list)
                },
            );
            continue;
        }
        if let Some(start) = words.strip_prefix("was in the ") {
            let (room, held) = start.split_once(", holding ").unwrap_or((start, ""));
            told.room = room.to_owned();
            told.held = if held.is_empty() {
                Vec::new()
            } else {
                names(held)
            };
            for thing in &told.held {
                told.rooms_in_hand
                    .insert(thing.clone(), vec![room.to_owned()]);
            }
            continue;
        }
        if words.starts_with("tried") {
            continue;
        }
        // "… the hall" at the end is where the agent now is.
        let tail = words.rsplit(" the ").next().unwrap();
        let mut words = words.to_owned();
        if ROOMS.contains(&tail) && tail != told.room {
            told.room = tail.to_owned();
            for thing in &told.held {
                let path = told.rooms_in_hand.get_mut(thing).unwrap();
                path.push(tail.to_owned());
            }
            words = words
                .trim_end_matches(&format!(" in the {tail}"))
                .to_owned();
        }
        for taking in ["grabbed the ", "took the ", "picked up the "] {
            if let Some(thing) = words.strip_prefix(taking) {
                for lying in told.lying.values_mut() {
                    lying.retain(|other| other != thing);
                }
                told.held.push(thing.to_owned());
                let path = told.rooms_in_hand.entry(thing.to_owned()).or_default();
                if path.last() != Some(&told.room) {
                    path.push(told.room.clone());
                }
            }
        }
        for putting in ["put the ", "placed the ", "left the "] {
            if let Some(rest) = words.strip_prefix(putting) {
                let at = rest
                    .rfind(" on the ")
                    .into_iter()
                    .chain(rest.rfind(" in the "))
                    .max()
                    .unwrap();
                let (thing, spot) = (&rest[..at], &rest[at + 1..]);
                told.held.retain(|other| other != thing);
                if let Some(lying) = told.lying.get_mut(spot) {
                    lying.push(thing.to_owned());
                }
            }
        }
    }
    told
}

/// The answer that the rule gives; `None` for a question that is not about a story.
fn by_rule(story: &str, question: &str) -> Option<String> {
    let told = read_story(story);
    if let Some(thing) = question.strip_prefix("Where is the ") {
        return told.rooms_in_hand[thing.strip_suffix(" now?")?]
            .last()
            .cloned();
    }
    if let Some(thing) = question.strip_prefix("Which rooms was the ") {
        return Some(
            told.rooms_in_hand[thing.strip_suffix(" carried through, in order?")?].join(", "),
        );
    }
    let spot = question
        .strip_prefix("How many things are ")?
        .strip_suffix('?')?;
    let things = &told.lying[spot];
    let count = ["zero", "one", "two", "three", "four", "five"][things.len()];
    Some(if things.is_empty() {
        "nothing: zero".to_owned()
    } else {
        format!("{}: {count}", things.join(", "))
    })
}

/// Story, questions and answers of a text.
fn take_apart(text: &str) -> (&str, Vec<(&str, &str)>) {
    let (story, rest) = text.split_once("\nQuestion: ").unwrap();
    let pairs = rest
        .split("\nQuestion: ")
        .map(|pair| pair.split_once("\nAnswer:").unwrap());
    (story, pairs.collect())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(12) })]
    #[test]
    fn labels_follow_from_the_text_alone(seed in 0u64..10_000) {
        let episodes = episodes(seed, 12);
        let mut checked = 0;
        for example in build(&episodes, seed, &Settings::default()) {
            let text: String = example.parts.iter().map(|part| part.text.as_str()).collect();
            if example.task == plan_generation::TASK || example.task == activity_recognition::TASK {
                continue;
            }
            let (story, pairs) = take_apart(&text);
            for (question, answer) in pairs {
                prop_assert_eq!(by_rule(story, question).unwrap(), answer.trim(), "{}", text);
                checked += 1;
            }
        }
        for question in build_questions(&episodes, seed, 30) {
            if question.task == activity_recognition::TASK {
                continue;
            }
            let (story, pairs) = take_apart(&question.prompt);
            prop_assert_eq!(by_rule(story, pairs[0].0).unwrap(), question.choices[question.answer].trim());
            checked += 1;
        }
        prop_assert!(checked > 50, "only {checked} answers");
    }
}

#[test]
fn every_kind_is_made_in_its_share_and_supervised() {
    let episodes = episodes(3, 60);
    let all = build(&episodes, 3, &Settings::default());
    for (task, _) in TASKS {
        assert!(all.iter().any(|example| example.task == task), "no {task}");
    }
    let small = build(
        &episodes,
        3,
        &Settings {
            tokens: 6_000,
            ..Settings::default()
        },
    );
    let count = |task: &str| small.iter().filter(|example| example.task == task).count();
    // Both come from the same episodes, so neither runs dry: counts follow the shares to within one example.
    let share = |task: &str| {
        TASKS
            .iter()
            .find(|row| row.0 == task)
            .map_or(1.0, |row| row.1)
    };
    let drawn = |task: &str| count(task) as f64 / share(task);
    let apart = (drawn("plan_generation") - drawn("activity_recognition")).abs();
    assert!(count("activity_recognition") > 3 && apart <= 2.0, "{apart}");
    let tokens: usize = small
        .iter()
        .flat_map(|e| &e.parts)
        .map(|part| estimate_tokens(&part.text))
        .sum();
    assert!((6_000..6_400).contains(&tokens), "{tokens}");
    for example in &all {
        assert!(
            example.parts.iter().any(|part| part.supervised),
            "{example:?}"
        );
        for part in example.parts.iter().filter(|part| part.supervised) {
            assert!(
                part.text.starts_with(' ') && part.text.ends_with('\n'),
                "{part:?}"
            );
        }
    }
}

#[test]
fn choices_give_nothing_away() {
    let questions = build_questions(episodes(5, 400), 5, 200);
    for task in [
        "activity_recognition",
        "counting",
        "object_path",
        "object_location",
    ] {
        let asked: Vec<&Question> = questions
            .iter()
            .filter(|question| question.task == task)
            .collect();
        assert!(
            asked.len()
                >= if task == "activity_recognition" {
                    10
                } else {
                    60
                },
            "{task}: {}",
            asked.len()
        );
        for question in &asked {
            let distinct: BTreeSet<&String> = question.choices.iter().collect();
            assert_eq!(
                (distinct.len(), question.choices.len()),
                (4, 4),
                "{question:?}"
            );
        }
        // Guesses that look at the form only. 0.25 by chance; the bound is 3.5 standard errors above.
        let bound = 0.25 + 3.5 * (0.25f64 * 0.75 / asked.len() as f64).sqrt();
        let rooms = |choice: &str| choice.matches(',').count();
        let share = |guess: &dyn Fn(&Question) -> usize| {
            asked
                .iter()
                .filter(|question| guess(question) == question.answer)
                .count() as f64
                / asked.len() as f64
        };
        let index_by = |question: &Question, key: &dyn Fn(&str) -> i64| {
            (0..4).max_by_key(|i| key(&question.choices[*i])).unwrap()
        };
        for position in 0..4 {
            assert!(share(&|_| position) < bound, "{task}: position {position}");
        }
        if task != "activity_recognition" {
            assert!(
                share(&|q| index_by(q, &|c| rooms(c) as i64)) < bound + 0.05,
                "{task}: longest"
            );
            assert!(
                share(&|q| index_by(q, &|c| -(rooms(c) as i64))) < bound + 0.05,
                "{task}: shortest"
            );
        }
    }
    let nothing = questions.iter().filter(|q| q.task == "counting");
    let (mut zero, mut all) = (0, 0);
    for question in nothing {
        assert!(
            question
                .choices
                .iter()
                .any(|choice| choice == " nothing: zero\n")
        );
        zero += usize::from(question.choices[question.answer] == " nothing: zero\n");
        all += 1;
    }
    assert!(zero * 100 <= all * 40, "{zero} of {all} are zero");
}

#[test]
fn training_and_test_share_no_wish() {
    let episodes = episodes(7, 100);
    let trained: BTreeSet<String> = build(&episodes, 7, &Settings::default())
        .into_iter()
        .filter(|example| example.task == "plan_generation")
        .map(|example| {
            example.parts[0]
                .text
                .split("\nTask: ")
                .nth(1)
                .unwrap()
                .to_owned()
        })
        .collect();
    let tests = build_plan_tasks(&episodes, 7, 50);
    assert!(!tests.is_empty() && !trained.is_empty());
    for task in &tests {
        assert!(
            !trained.contains(task.prompt.split("\nTask: ").nth(1).unwrap()),
            "{task:?}"
        );
    }
    assert!(reserved(&["mug ON shelf".to_owned()]) == reserved(&["mug 2 ON shelf".to_owned()]));
}

#[test]
fn a_plan_is_told_with_the_facts_that_it_needs() {
    let episode = &episodes(11, 1)[1];
    let moments = story::moments(episode).unwrap();
    let prompt =
        plan_generation::prompt(episode, &moments[0], &mut ChaCha8Rng::seed_from_u64(1)).unwrap();
    let thing = &episode.header.goal[0].split(" ON ").next().unwrap();
    let Some((_, at)) = moments[0].place(thing) else {
        panic!("{prompt}")
    };
    let room = moments[0].room_of(thing).unwrap();
    assert!(
        prompt.contains(&format!("The {thing} is on the {at} in the {room}.")),
        "{prompt}"
    );
    assert!(
        prompt.starts_with("You are in the ") && prompt.ends_with("\nPlan:"),
        "{prompt}"
    );
    let plan = plan_generation::executed(episode).unwrap();
    assert_eq!(plan.len(), 4, "the refused step is left out: {plan:?}");
}

#[test]
fn demonstrations_come_before_the_question() {
    let episodes = episodes(13, 30);
    let settings = Settings {
        shots: 2,
        questions_per_story: 1,
        ..Settings::default()
    };
    for example in build(&episodes, 13, &settings) {
        let supervised: Vec<bool> = example.parts.iter().map(|part| part.supervised).collect();
        assert_eq!(supervised, [false, false, true]);
        let end = if example.task == plan_generation::TASK {
            "\nPlan:"
        } else {
            "\nAnswer:"
        };
        let shots = example.parts[0].text.matches(end).count();
        assert_eq!(shots, 2);
    }
}

#[test]
fn the_same_episodes_give_the_same_bytes_in_any_company() {
    let episodes = episodes(17, 20);
    let examples = build(&episodes, 17, &Settings::default());
    assert_eq!(
        crate::digest(&examples),
        crate::digest(&build(&episodes, 17, &Settings::default()))
    );
    assert_ne!(
        crate::digest(&examples),
        crate::digest(&build(&episodes, 18, &Settings::default()))
    );
    // An episode's texts do not depend on the episodes before it.
    let alone = build(episodes[..2].to_vec(), 17, &Settings::default());
    assert!(alone.iter().all(|example| examples.contains(example)));
}

#[test]
fn homes_for_evaluation_say_so() {
    assert!(is_evaluation_only(
        "name = \"a\"\nevaluation_only = true\n[[room]]\n"
    ));
    assert!(!is_evaluation_only(
        "name = \"a\"\nevaluation_only = false\n"
    ));
    assert!(!is_evaluation_only("[[room]]\nevaluation_only = true"));
    assert!(!is_evaluation_only("= true"));
}
