//! Experience as text: the task kinds of E2WM (Xiang et al. 2023, arXiv 2305.10626) made from episodes.
//!
//! One file per task kind. `plan_generation` and `activity_recognition` read episodes in which a planner reached a goal;
//! `counting`, `object_path` and `object_location` ask about a `story` of what an agent did. [`build`] makes training
//! examples, [`build_questions`] and [`build_plan_tasks`] tests from other homes. Nothing here knows the simulator: it
//! reads the facts that observations state and the actions that were recorded.
//!
//! Plans in training and test never share a wish: a goal belongs to one of the two by the digest of its facts
//! ([`reserved`]), whatever home it occurs in.
//!
//! Adding a kind: (1) a file with `TASK` and `ask`; (2) its row in [`TASKS`]; (3) a call in `from_story` or
//! `from_plan`; (4) a rule for it in the test `labels_follow_from_the_text_alone`.

mod facts;
mod story;
mod words;

mod activity_recognition;
mod counting;
mod object_location;
mod object_path;
mod plan_generation;

pub use words::{estimate_tokens, instruction};

#[cfg(test)]
mod tests;

use std::borrow::Borrow;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use episode::Episode;
use rand::SeedableRng as _;
use rand::seq::{IndexedRandom as _, SliceRandom as _};
use rand_chacha::ChaCha8Rng;

use crate::{Example, Part, PlanTask, Question};

/// The task kinds and how many training examples of each there are for one of the others: a plan has more supervised
/// tokens than any answer, and recognizing plans is the easiest to learn.
pub const TASKS: [(&str, f64); 5] = [
    (plan_generation::TASK, 0.5),
    (activity_recognition::TASK, 0.5),
    (counting::TASK, 1.0),
    (object_path::TASK, 1.0),
    (object_location::TASK, 1.0),
];

/// What [`build`] makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Stop at about that many tokens of text; 0 for all that the episodes give.
    pub tokens: usize,
    /// Most questions about one story, each answer supervised. More make a story go further; 3 did well in a probe.
    pub questions_per_story: usize,
    /// Solved examples put before each, as E2WM does with 2 or 3; 0 learns as well at a third of the tokens.
    pub shots: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            tokens: 0,
            questions_per_story: 3,
            shots: 0,
        }
    }
}

/// Whether a goal is kept for evaluation: one in four, by the digest of its facts with the numbers of things left out
/// ("mug 2 ON kitchen table" is "mug ON kitchen table").
pub fn reserved(goal: &[String]) -> bool {
    let mut facts: Vec<String> = goal.iter().map(|fact| kind_of_goal(fact)).collect();
    facts.sort();
    blake3::hash(facts.join("\n").as_bytes()).as_bytes()[0].is_multiple_of(4)
}

/// Whether a scenario file's text says `evaluation_only = true`: its episodes are not for training. A text that is no
/// TOML says nothing.
pub fn is_evaluation_only(scenario: &str) -> bool {
    let table: Option<toml::Table> = scenario.parse().ok();
    table
        .and_then(|table| table.get("evaluation_only")?.as_bool())
        .unwrap_or(false)
}

fn kind_of_goal(fact: &str) -> String {
    let words = fact.split(' ').filter(|word| word.parse::<u32>().is_err());
    words.collect::<Vec<_>>().join(" ")
}

/// Training examples from episodes, in an order fixed by `seed`. Reserved goals are left out; the same episodes, seed and
/// settings give the same examples.
pub fn build<E: Borrow<Episode>>(
    episodes: impl IntoIterator<Item = E>,
    seed: u64,
    settings: &Settings,
) -> Vec<Example> {
    let mut pools: BTreeMap<&str, Vec<Example>> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for episode in episodes {
        let episode = episode.borrow();
        let mut rng = stream(seed, episode, "examples");
        let Some(moments) = story::moments(episode) else {
            continue;
        };
        let mut add = |task: &'static str, parts: Vec<Part>| {
            let text: String = parts.iter().map(|part| part.text.as_str()).collect();
            if seen.insert(text) {
                pools.entry(task).or_default().push(Example {
                    task: task.to_owned(),
                    parts,
                    source: source(episode),
                });
            }
        };
        if !reserved(&episode.header.goal)
            && let Some(plan) = plan_generation::executed(episode)
            && let Some(prompt) = plan_generation::prompt(episode, &moments[0], &mut rng)
        {
            let plan = format!(" {}\n", plan.join(" "));
            add(
                plan_generation::TASK,
                vec![part(prompt, false), part(plan, true)],
            );
            if let Some((context, asked)) = activity_recognition::ask(episode) {
                add(asked.task, exchange(&context, &[asked]));
            }
        }
        for story in story::stories(episode, &moments, &mut rng) {
            let asked = pick(
                from_story(&story, &mut rng),
                settings.questions_per_story,
                &mut rng,
            );
            if let Some(first) = asked.first() {
                add(first.task, exchange(&story.text, &asked));
            }
        }
    }
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut examples = balance(pools, settings.tokens, &mut rng);
    if settings.shots > 0 {
        let demonstrations = demonstrations(&examples);
        for example in &mut examples {
            let few = few_shot(&example.task, &demonstrations, settings.shots, &mut rng);
            example.parts.insert(0, part(few, false));
        }
    }
    examples
}

/// Multiple-choice questions from episodes of other homes: up to `per_task` of each kind, labels spread as evenly as the
/// episodes allow, in an order fixed by `seed`. Plans are asked about only where their goal is reserved.
pub fn build_questions<E: Borrow<Episode>>(
    episodes: impl IntoIterator<Item = E>,
    seed: u64,
    per_task: usize,
) -> Vec<Question> {
    let mut candidates: Vec<(String, Asked, String)> = Vec::new();
    let mut names = BTreeSet::new();
    for episode in episodes {
        let episode = episode.borrow();
        let mut rng = stream(seed, episode, "questions");
        if plan_generation::executed(episode).is_some() {
            names.insert(activity_recognition::name(episode));
        }
        let Some(moments) = story::moments(episode) else {
            continue;
        };
        if reserved(&episode.header.goal)
            && let Some((context, asked)) = activity_recognition::ask(episode)
        {
            candidates.push((context, asked, source(episode)));
        }
        for story in story::stories(episode, &moments, &mut rng) {
            // One question a story and kind: several would not be independent.
            let mut kinds = BTreeSet::new();
            for asked in from_story(&story, &mut rng) {
                if !asked.wrong.is_empty() && kinds.insert(asked.task) {
                    candidates.push((story.text.clone(), asked, source(episode)));
                }
            }
        }
    }

    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut classes: BTreeMap<&str, BTreeMap<String, Vec<Question>>> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for (context, mut asked, source) in candidates {
        if asked.task == activity_recognition::TASK {
            asked.wrong = activity_recognition::wrong(&asked.answer, &names, &mut rng);
        }
        let prompt = format!("{context}\nQuestion: {}\nAnswer:", asked.question);
        if asked.wrong.is_empty() || !seen.insert(prompt.clone()) {
            continue;
        }
        let right = format!(" {}\n", asked.answer);
        let mut choices: Vec<String> = asked
            .wrong
            .iter()
            .map(|wrong| format!(" {wrong}\n"))
            .collect();
        choices.push(right.clone());
        choices.shuffle(&mut rng);
        let answer = choices
            .iter()
            .position(|choice| *choice == right)
            .expect("it was pushed above");
        classes
            .entry(asked.task)
            .or_default()
            .entry(asked.class)
            .or_default()
            .push(Question {
                task: asked.task.to_owned(),
                prompt,
                choices,
                answer,
                source,
            });
    }
    let tasks = classes.into_values();
    tasks
        .flat_map(|classes| spread(classes.into_values().collect(), per_task, &mut rng))
        .collect()
}

/// Plans to be generated, from successful planner episodes of other homes with reserved goals: up to `number`, wishes
/// spread evenly, in an order fixed by `seed`.
pub fn build_plan_tasks<E: Borrow<Episode>>(
    episodes: impl IntoIterator<Item = E>,
    seed: u64,
    number: usize,
) -> Vec<PlanTask> {
    let mut wishes: BTreeMap<String, Vec<PlanTask>> = BTreeMap::new();
    for episode in episodes {
        let episode = episode.borrow();
        let mut rng = stream(seed, episode, "plan tasks");
        if !reserved(&episode.header.goal) {
            continue;
        }
        if let Some(plan) = plan_generation::executed(episode)
            && let Some(moments) = story::moments(episode)
            && let Some(prompt) = plan_generation::prompt(episode, &moments[0], &mut rng)
        {
            wishes
                .entry(episode.header.task.clone())
                .or_default()
                .push(PlanTask {
                    prompt,
                    reference: plan.join(" "),
                    scenario_digest: episode.header.scenario_digest.clone(),
                    seed: episode.header.seed,
                    episode: episode.header.index,
                    goal: episode.header.goal.clone(),
                });
        }
    }
    spread(
        wishes.into_values().collect(),
        number,
        &mut ChaCha8Rng::seed_from_u64(seed),
    )
}

/// Solved examples by task kind, one question each: prompt and answer as one text that ends in an empty line.
pub fn demonstrations(examples: &[Example]) -> BTreeMap<String, Vec<String>> {
    let mut texts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for example in examples {
        let first = example.parts.iter().position(|part| part.supervised);
        let Some(first) = first else { continue };
        let text: String = example.parts[..=first]
            .iter()
            .map(|part| part.text.as_str())
            .collect();
        texts
            .entry(example.task.clone())
            .or_default()
            .push(text + "\n");
    }
    texts
}

/// `shots` demonstrations of a task kind, to be put before a prompt; empty where there are none.
pub fn few_shot(
    task: &str,
    demonstrations: &BTreeMap<String, Vec<String>>,
    shots: usize,
    rng: &mut ChaCha8Rng,
) -> String {
    let of_kind = demonstrations.get(task).map_or(&[][..], Vec::as_slice);
    of_kind.sample(rng, shots).map(String::as_str).collect()
}

/// A question with its answer, before it becomes part of an example or a [`Question`].
#[derive(Clone, Debug, PartialEq, Eq)]
struct Asked {
    task: &'static str,
    question: String,
    answer: String,
    /// Answers that are not right, for multiple choice; empty where there are not enough.
    wrong: Vec<String>,
    /// What tests are balanced over.
    class: String,
    /// The thing it asks about: two questions about one thing would give each other away.
    about: String,
}

/// The choices, if there are as many as wanted and no two are equal.
fn choices_from(choices: impl Iterator<Item = String>, wanted: usize) -> Vec<String> {
    let choices: Vec<String> = choices.collect();
    let distinct: BTreeSet<&String> = choices.iter().collect();
    if choices.len() == wanted && distinct.len() == wanted {
        choices
    } else {
        Vec::new()
    }
}

fn from_story(story: &story::Story<'_>, rng: &mut ChaCha8Rng) -> Vec<Asked> {
    let mut asked = counting::ask(story, rng);
    asked.extend(object_path::ask(story, rng));
    asked.extend(object_location::ask(story, rng));
    asked.shuffle(rng);
    asked
}

/// Up to `most` questions, each about another thing.
fn pick(asked: Vec<Asked>, most: usize, rng: &mut ChaCha8Rng) -> Vec<Asked> {
    let mut about = BTreeSet::new();
    let mut picked: Vec<Asked> = asked
        .into_iter()
        .filter(|asked| about.insert(asked.about.clone()))
        .collect();
    picked.shuffle(rng);
    picked.truncate(most);
    picked
}

/// Context, then questions with supervised answers.
fn exchange(context: &str, asked: &[Asked]) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut before = format!("{context}\n");
    for asked in asked {
        parts.push(part(
            format!("{before}Question: {}\nAnswer:", asked.question),
            false,
        ));
        parts.push(part(format!(" {}\n", asked.answer), true));
        before.clear();
    }
    parts
}

fn part(text: String, supervised: bool) -> Part {
    Part { text, supervised }
}

/// Examples of all kinds in the shares of [`TASKS`] until the budget is used up, shuffled.
fn balance(
    pools: BTreeMap<&str, Vec<Example>>,
    tokens: usize,
    rng: &mut ChaCha8Rng,
) -> Vec<Example> {
    let mut queues: Vec<(f64, usize, VecDeque<Example>)> = Vec::new();
    for (task, mut pool) in pools {
        pool.shuffle(rng);
        let share = TASKS
            .iter()
            .find(|(name, _)| *name == task)
            .map_or(1.0, |(_, share)| *share);
        queues.push((share, 0, pool.into()));
    }
    let mut examples = Vec::new();
    let mut used = 0;
    // The kind that is furthest behind its share comes next.
    let behind = |queue: &(f64, usize, VecDeque<Example>)| queue.1 as f64 / queue.0;
    while tokens == 0 || used < tokens {
        let next = queues.iter_mut().filter(|queue| !queue.2.is_empty());
        let Some(queue) = next.min_by(|a, b| behind(a).total_cmp(&behind(b))) else {
            break;
        };
        queue.1 += 1;
        let example = queue.2.pop_front().expect("empty queues are filtered out");
        used += example
            .parts
            .iter()
            .map(|part| estimate_tokens(&part.text))
            .sum::<usize>();
        examples.push(example);
    }
    examples.shuffle(rng);
    examples
}

/// Up to `number` items, taken from the groups in turn, shuffled.
fn spread<T>(mut groups: Vec<Vec<T>>, number: usize, rng: &mut ChaCha8Rng) -> Vec<T> {
    groups.shuffle(rng);
    for group in &mut groups {
        group.shuffle(rng);
    }
    let mut items = Vec::new();
    while items.len() < number && groups.iter().any(|group| !group.is_empty()) {
        for group in &mut groups {
            items.extend(group.pop().filter(|_| items.len() < number));
        }
    }
    items.shuffle(rng);
    items
}

/// The stream that an episode's texts are drawn from.
fn stream(seed: u64, episode: &Episode, purpose: &str) -> ChaCha8Rng {
    let mut hasher = blake3::Hasher::new_derive_key("habitus text stream 1");
    for number in [seed, episode.header.seed, episode.header.index] {
        hasher.update(&number.to_le_bytes());
    }
    hasher.update(episode.header.scenario_digest.as_bytes());
    hasher.update(purpose.as_bytes());
    ChaCha8Rng::from_seed(*hasher.finalize().as_bytes())
}

fn source(episode: &Episode) -> String {
    let header = &episode.header;
    format!(
        "{} seed {} episode {}",
        header.scenario_digest, header.seed, header.index
    )
}
