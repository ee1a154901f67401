//! Suites of manipulation tasks for multitask imitation: what is pretrained on, and what is finetuned on.
//!
//! The six roles are those of Brandfonbrener et al. (2023, arXiv:2305.16985, section 4), played by the household's own
//! furniture and things:
//!
//! | suite | pretrained on | finetuned on | who tells what is wanted |
//! |---|---|---|---|
//! | `point` | a point mass, a goal drawn for each episode | one goal | nobody (latent) |
//! | `place` | a salt shaker, its place and a goal drawn for each episode | one goal and one place | nobody (latent) |
//! | `door` | a cabinet: open, close, unlock | lock | the scene |
//! | `kitchen` | four of eight chores in any order, but not those four | three sequences of four | nobody (latent) |
//! | `broad` | 64 tasks of 29 families | 5 others | the scene |
//! | `broad2` | 64 tasks of 29 families | 5 others | the scene |
//!
//! Every task is a scenario, as text; whoever wants one as a file writes it out.

use rand::RngExt as _;

use super::scenario::HandScenario;
use super::{Seen, task};
use crate::problem::InputError;
use crate::random::episode_rng;

/// A suite.
#[derive(Clone, Copy, Debug)]
pub struct Suite {
    /// Its name.
    pub name: &'static str,
    /// What it is about.
    pub about: &'static str,
    /// Episodes of the pretraining corpora S, M, L.
    pub corpora: [u64; 3],
    /// Demonstrations to finetune on: S, M, L, XL.
    pub demonstrations: [u64; 4],
    /// Which of these are usual.
    pub usual: [u64; 2],
    tasks: fn() -> [Vec<SuiteTask>; 2],
    /// What a finetuned task has of its own, by its key in the scenario: lowest and highest place along each axis, meters;
    /// none where tasks say what is wanted. As in Meta-World, whose tasks keep all that was drawn for them.
    own: &'static [(&'static str, &'static [[f32; 2]])],
    /// The ground truth: what of an observation, brought to about [-1, 1]; says nothing of what is wanted.
    pub state: fn(&Seen<'_>) -> Vec<f32>,
}

/// A task of a suite.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SuiteTask {
    /// What is done, in words.
    pub name: String,
    /// Tasks of one family are alike.
    pub family: String,
    /// Its scenario, as a file's text.
    pub text: String,
}

impl SuiteTask {
    fn new(name: &str, family: &str, body: &str, frame_skip: u16, task: &str) -> Self {
        Self {
            name: name.to_owned(),
            family: family.to_owned(),
            text: format!(
                "schema = \"habitus.hand_task/1\"\nname = \"{name}\"\nhand = \"{body}\"\nframe_skip = {frame_skip}\n\n{task}\n"
            ),
        }
    }

    /// Its scenario.
    ///
    /// # Errors
    /// Never, as long as the tables of this module are sound.
    pub fn scenario(&self) -> Result<HandScenario, InputError> {
        HandScenario::load_text(&self.text, format!("{}.toml", self.name.replace(' ', "_")))
    }
}

/// All suites.
pub const SUITES: [Suite; 6] = [
    Suite {
        name: "point",
        about: "a point mass goes to a hidden goal",
        corpora: [10, 100, 1000],
        demonstrations: [1, 2, 5, 10],
        usual: [1, 2],
        tasks: || {
            let task = SuiteTask::new("go", "point", "point", 10, "[task.point]");
            [vec![task.clone()], vec![task]]
        },
        own: &[("fixed_m", &[[-0.29, 0.29], [-0.29, 0.29]])],
        state: |seen| seen.joint_angles.iter().map(|x| x / 0.3).collect(),
    },
    Suite {
        name: "place",
        about: "a gripper carries a salt shaker to a hidden goal",
        corpora: [10, 100, 1000],
        demonstrations: [2, 5, 10, 20],
        usual: [2, 5],
        tasks: || {
            let task = "[task.place]\nthing = \"salt shaker\"\nmax_steps = 200";
            let task = SuiteTask::new("place", "place", "gripper", 10, task);
            [vec![task.clone()], vec![task]]
        },
        own: &[
            ("fixed_m", &[[-0.1, 0.1], [-0.05, 0.05], [0.08, 0.2]]),
            ("thing_m", &[[-0.1, 0.1], [-0.05, 0.05]]),
        ],
        state: gripper_state,
    },
    Suite {
        name: "door",
        about: "a cabinet's door is opened, closed, unlocked; then it is to be locked",
        corpora: [10, 100, 1000],
        demonstrations: [2, 5, 10, 20],
        usual: [5, 10],
        tasks: || {
            let class = "kitchen cabinet";
            let lock = "kitchen cabinet: lock";
            let pretraining = vec![
                chore(class, class, true),
                chore(class, class, false),
                chore(class, lock, true),
            ];
            [pretraining, vec![chore(class, lock, false)]]
        },
        own: &[],
        state: gripper_state,
    },
    Suite {
        name: "kitchen",
        about: "four chores of eight, one after the other",
        corpora: [50, 150, 450],
        demonstrations: [2, 5, 10, 15],
        usual: [5, 10],
        tasks: || {
            let all: Vec<usize> = (0..KITCHEN.len()).collect();
            let one = |list: &[usize], draw| kitchen(list, draw);
            let finetuned = SEQUENCES.iter().map(|list| one(list, None));
            [vec![one(&all, Some(4))], finetuned.collect()]
        },
        own: &[],
        state: |seen| {
            let mut state = palm(seen).to_vec();
            state.extend(seen.hinge_angles);
            let thing = seen.object_pose.iter().take(3);
            state.extend(thing.zip([0.5, 0.3, 1.0]).map(|(x, by)| x / by));
            state
        },
    },
    Suite {
        name: "broad",
        about: "many tasks with furniture and things; then five others",
        corpora: [100, 1000, 10_000],
        demonstrations: [2, 5, 10, 20],
        usual: [5, 10],
        tasks: || {
            broad(&[
                "open fridge",
                "close toy box",
                "turn on toaster: lever",
                "place mug",
                "turn off kitchen cabinet: lock",
            ])
        },
        own: &[],
        state: gripper_state,
    },
    Suite {
        name: "broad2",
        about: "the same tasks, split another way",
        corpora: [100, 1000, 10_000],
        demonstrations: [2, 5, 10, 20],
        usual: [5, 10],
        tasks: || {
            broad(&[
                "open wardrobe",
                "close filing cabinet",
                "turn on fan: switch",
                "place lemon",
                "turn on washing machine: dial",
            ])
        },
        own: &[],
        state: gripper_state,
    },
];

/// The suite of that name.
pub fn suite(name: &str) -> Option<&'static Suite> {
    SUITES.iter().find(|suite| suite.name == name)
}

impl Suite {
    /// What is pretrained on: episodes are shared evenly by these.
    pub fn pretraining(&self) -> Vec<SuiteTask> {
        let [tasks, _] = (self.tasks)();
        tasks
    }

    /// What is finetuned on: a seed takes one of these, the next seed the next.
    pub fn finetuning(&self) -> Vec<SuiteTask> {
        let [_, tasks] = (self.tasks)();
        tasks
    }

    /// What is finetuned on with a seed: one of the tasks, or the task with a goal and the like drawn from
    /// the seed.
    pub fn finetuned(&self, seed: u64) -> SuiteTask {
        let mut tasks = self.finetuning();
        let mut task = tasks.swap_remove((seed.max(1) - 1) as usize % tasks.len());
        let mut rng = episode_rng(seed, self.name, 0, "goal");
        let mut at = |[low, high]: &[f32; 2]| low + (high - low) * rng.random::<f32>();
        for (key, axes) in self.own {
            let place: Vec<f32> = axes.iter().map(&mut at).collect();
            task.text += &format!("{key} = {place:?}\n");
        }
        task
    }
}

/// Where the gripper is and how far it is open, brought to about [-1, 1].
fn palm(seen: &Seen<'_>) -> [f32; 4] {
    let at = seen.joint_angles;
    [
        at[0] / 0.3,
        at[1] / 0.3,
        at[2] - 1.0,
        (at[3] + at[4]) / 0.05 - 1.0,
    ]
}

/// The gripper, and where what it shall hold is: the thing, or the handle.
fn gripper_state(seen: &Seen<'_>) -> Vec<f32> {
    let middle = |i: usize| 0.5 * (seen.fingertips[i] + seen.fingertips[3 + i]);
    // Both tasks say first what is missing there, in other places of the error.
    let from = if seen.object_pose.is_empty() { 1 } else { 3 };
    let held = [0, 1, 2].map(|i| middle(i) + seen.error[from + i]);
    let mut state = palm(seen).to_vec();
    state.extend([held[0] / 0.3, held[1] / 0.3, held[2] - 1.0]);
    state
}

/// One thing to carry to where all of them are carried: what is wanted is told by the scene.
fn place(thing: &str) -> SuiteTask {
    let task = format!("[task.place]\nthing = \"{thing}\"\nfixed_m = [0.0, 0.0, 0.15]");
    SuiteTask::new(&format!("place {thing}"), "place", "gripper", 25, &task)
}

/// One thing to do with a piece.
fn chore(class: &str, what: &str, open: bool) -> SuiteTask {
    let control = what.contains(':');
    let verb = match (control, open) {
        (true, true) => "turn on",
        (true, false) => "turn off",
        (false, true) => "open",
        (false, false) => "close",
    };
    let range = if open {
        "from = [0.0, 0.1], to = [0.75, 0.75]"
    } else {
        "from = [0.4, 0.6], to = [0.0, 0.0]"
    };
    let task = format!(
        "[task.chores]\npiece = [{{ class = \"{class}\", aside_m = 0.1 }}]\nchore = [{{ what = \"{what}\", {range} }}]\nnear = 0.1"
    );
    SuiteTask::new(&format!("{verb} {what}"), what, "gripper", 25, &task)
}

/// Chores of the kitchen.
const KITCHEN: [&str; 8] = [
    "kitchen drawer",
    "stove",
    "stove: left knob",
    "stove: right knob",
    "kettle",
    "kitchen cabinet",
    "toaster: lever",
    "microwave",
];

/// What is finetuned on, as numbers in [`KITCHEN`].
const SEQUENCES: [[usize; 4]; 3] = [[7, 4, 2, 5], [0, 3, 6, 4], [1, 6, 7, 2]];

/// A kitchen in which chores are done as they are listed, or some of them drawn.
fn kitchen(list: &[usize], draw: Option<usize>) -> SuiteTask {
    let names: Vec<&str> = list.iter().map(|i| KITCHEN[*i]).collect();
    let chore = |what: &&str| {
        let to = if what.contains(':') { 0.9 } else { 0.65 };
        format!("    {{ what = \"{what}\", to = [{to:?}, {to:?}] }},")
    };
    let chores: Vec<String> = names.iter().map(chore).collect();
    // Nobody is trained on what others are finetuned on, in whatever order.
    let kept = SEQUENCES.map(|list| list.map(|i| KITCHEN[i]));
    let draw = draw.map_or_else(String::new, |n| format!("draw = {n}\nnever = {kept:?}\n"));
    // A camera that stands still sees all of it with 6 cm to a pixel of `small`; what goes along sees where the gripper is.
    let task = format!(
        r#"[[camera]]
name = "along"
on = "palm"
position = [0.85, -0.4, 0.5]
look_at = [-0.25, 0.05, -0.12]
fov_deg = 68.0

[task.chores]
piece = [
    {{ class = "kitchen drawer", at_m = [0.0, -0.85] }},
    {{ class = "stove", at_m = [0.0, -0.27] }},
    {{ class = "kitchen cabinet", at_m = [0.0, 0.4] }},
    {{ class = "toaster", at_m = [0.0, 0.5], on_m = 0.9 }},
    {{ class = "side table", at_m = [0.0, 0.98] }},
    {{ class = "microwave", at_m = [0.0, 0.98], on_m = 0.55 }},
]
thing = {{ class = "kettle", at_m = [-0.45, -0.4, 0.9], to_m = [-0.7, -0.2, 0.9] }}
chore = [
{}
]
{draw}home_m = [0.0, 0.0, 1.3]
travel_m = 1.35
near = 0.1
max_steps = 320"#,
        chores.join("\n")
    );
    let name = if draw.is_empty() {
        names.join(", ")
    } else {
        "four chores".to_owned()
    };
    SuiteTask::new(&name, "kitchen", "gripper", 50, &task)
}

/// Furniture with a front.
const FRONTS: [&str; 19] = [
    "bathroom cabinet",
    "chest",
    "cupboard",
    "dishwasher",
    "dresser",
    "dryer",
    "filing cabinet",
    "freezer",
    "fridge",
    "kitchen cabinet",
    "kitchen drawer",
    "microwave",
    "nightstand",
    "sideboard",
    "stove",
    "toy box",
    "tv stand",
    "wardrobe",
    "washing machine",
];

/// Things that fit between the fingers.
const THINGS: [&str; 13] = [
    "apple",
    "candle",
    "cup",
    "glass",
    "lemon",
    "mug",
    "orange",
    "pill bottle",
    "salt shaker",
    "soda can",
    "soup can",
    "tomato",
    "yogurt",
];

/// All single tasks but the held-out ones, and these.
fn broad(held_out: &[&str]) -> [Vec<SuiteTask>; 2] {
    let both = |class: &str, what: &str| [true, false].map(|open| chore(class, what, open));
    let fronts = FRONTS.iter().flat_map(|class| both(class, class));
    let controls = task::controls().flat_map(|(class, what)| both(class, &what));
    let things = THINGS.iter().map(|thing| place(thing));
    let all = fronts.chain(controls).chain(things);
    let (out, rest): (Vec<_>, Vec<_>) = all.partition(|task| held_out.contains(&&*task.name));
    [rest, out]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn suites_are_as_large_as_they_say_and_every_task_loads() {
        for suite in &SUITES {
            let (pretraining, finetuning) = (suite.pretraining(), suite.finetuning());
            let names: BTreeSet<&str> = pretraining.iter().map(|task| &*task.name).collect();
            assert_eq!(names.len(), pretraining.len(), "{}", suite.name);
            for task in pretraining.iter().chain(&finetuning) {
                task.scenario()
                    .unwrap_or_else(|error| panic!("{}: {error}", task.name));
            }
            if suite.name.starts_with("broad") {
                let families: BTreeSet<&str> =
                    pretraining.iter().map(|task| &*task.family).collect();
                assert!(pretraining.len() >= 45, "{} tasks", pretraining.len());
                assert!(families.len() >= 15, "{} families", families.len());
                assert_eq!(finetuning.len(), 5);
                assert!(finetuning.iter().all(|task| !names.contains(&*task.name)));
                println!(
                    "{}: {} tasks, {} families",
                    suite.name,
                    pretraining.len(),
                    families.len()
                );
            }
        }
    }

    /// Nobody is trained on the chores that others are finetuned on.
    #[test]
    fn sequences_of_the_kitchen_are_kept_for_finetuning() {
        let [task] = <[SuiteTask; 1]>::try_from(suite("kitchen").unwrap().pretraining()).unwrap();
        let mut env = task.scenario().unwrap().env(1, None).unwrap();
        let kept: BTreeSet<BTreeSet<usize>> = SEQUENCES.map(BTreeSet::from).into();
        let mut met = BTreeSet::new();
        for index in 0..1500 {
            env.reset_lane(0, 1, index).unwrap();
            let target = env.layout().seen(env.observations()).target;
            let drawn: BTreeSet<usize> = target[KITCHEN.len()..]
                .iter()
                .map(|x| *x as usize)
                .collect();
            assert_eq!(drawn.len(), 4);
            met.insert(drawn);
        }
        assert!(met.is_disjoint(&kept));
        // All other fours of the eight.
        assert_eq!(met.len(), 70 - 3);
    }

    #[test]
    fn a_seed_has_one_goal() {
        let place = suite("place").unwrap();
        assert_eq!(place.finetuned(3), place.finetuned(3));
        assert_ne!(place.finetuned(3).text, place.finetuned(4).text);
        place.finetuned(3).scenario().unwrap();
        let kitchen = suite("kitchen").unwrap();
        assert_ne!(kitchen.finetuned(1).name, kitchen.finetuned(2).name);
        assert_eq!(kitchen.finetuned(1).name, kitchen.finetuned(4).name);
    }
}
