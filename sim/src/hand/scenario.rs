//! Hand tasks as scenario files.
//!
//! ```toml
//! schema = "habitus.hand_task/1"
//! name = "Poses within easy reach"
//! hand = "myohand"
//! task.pose = { share = 0.3 }
//! ```

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::appearance::{Appearance, AppearanceRanges};
use super::sight::{Context, Sight};
use super::task::{
    Baoding, Chores, Hold, Housework, Key, Place, Point, Pose, Reach, Reorient, Task, Track,
    Tracking,
};
use super::{Actions, Body, Config, HandEnv, HandError, Solver};
use crate::camera::{self, CameraEntry};
use crate::problem::{InputError, Problem};
use crate::random::episode_rng;
use crate::scenario::types::HandParameters;

/// The only format version so far.
pub const SCHEMA: &str = "habitus.hand_task/1";

/// A hand, what is wanted of it, and how it is stepped.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HandTask {
    /// Format and version: `habitus.hand_task/1`.
    #[schemars(with = "String")]
    pub schema: Spanned<String>,
    /// Name shown to people.
    pub name: String,
    /// One sentence about it.
    #[serde(default)]
    pub about: Option<String>,
    /// Kept apart for evaluation: `rollout` records it, training data leaves it out.
    #[serde(default)]
    pub evaluation_only: bool,
    /// Which hand, or what does a hand's work.
    pub hand: BodyChoice,
    /// Which length ranges its muscles have.
    #[serde(default)]
    pub parameters: HandParameters,
    /// What is wanted; what is left out is as usual.
    pub task: TaskChoice,
    /// From where it is looked at; the first is usual. Without any: as the task says.
    #[serde(default)]
    pub camera: Vec<CameraEntry>,
    /// What episodes look like, where they do not all look as usual.
    #[serde(default)]
    #[schemars(with = "Option<AppearanceRanges>")]
    pub appearance: Option<Spanned<AppearanceRanges>>,
    /// What the numbers of an action are.
    #[serde(default)]
    pub actions: Actions,
    /// Physics steps of an action, 1 to 1000.
    #[serde(default = "usual_frame_skip")]
    #[schemars(with = "u16")]
    pub frame_skip: Spanned<u16>,
    /// What steps it.
    #[serde(default)]
    pub solver: Solver,
    /// Tasks of a kind: a number of the task that tells them apart.
    #[serde(default)]
    #[schemars(with = "Option<Vary>")]
    pub vary: Option<Spanned<Vary>>,
}

/// Tasks that differ in one number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Vary {
    /// Where the number stands: `task.reorient.object.hundred`.
    pub key: String,
    /// How many there are: it is 0, 1, … in turn.
    pub count: u16,
}

fn usual_frame_skip() -> Spanned<u16> {
    Spanned::new(0..0, Config::default().frame_skip as u16)
}

/// What tasks are done with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BodyChoice {
    /// 23 joints, 39 muscles.
    Myohand,
    /// 24 joints, each with a motor.
    Robot,
    /// Two fingers on a palm that floats.
    Gripper,
    /// A point mass on a plane.
    Point,
}

impl BodyChoice {
    /// The body.
    ///
    /// # Errors
    /// Never, as long as the program's own model files are sound.
    pub fn body(self) -> Result<Body, HandError> {
        match self {
            Self::Myohand => Body::myohand(),
            Self::Robot => Body::robot(),
            Self::Gripper => Body::gripper(),
            Self::Point => Body::point(),
        }
    }
}

/// A task and its configuration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum TaskChoice {
    /// All joints at given angles.
    Pose(Pose),
    /// All fingertips at given places.
    Reach(Reach),
    /// An object at a given place above the palm.
    Hold(Hold),
    /// A key turned by a given angle.
    Key(Key),
    /// An object in the palm turned as given.
    Reorient(Reorient),
    /// Two balls that go round each other in the palm.
    Baoding(Baoding),
    /// An object carried along an exemplar.
    Track(Track),
    /// A point mass at a given place.
    Point(Point),
    /// A thing carried to a given place by a gripper.
    Place(Place),
    /// Doors, drawers, lids, knobs and the like brought where they shall be by a gripper.
    Chores(Chores),
}

impl TaskChoice {
    /// Its name in the table of tasks: `hand/pose`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Pose(task) => task.name(),
            Self::Reach(task) => task.name(),
            Self::Hold(task) => task.name(),
            Self::Key(task) => task.name(),
            Self::Reorient(task) => task.name(),
            Self::Baoding(task) => task.name(),
            Self::Track(_) => Track::NAME,
            Self::Point(task) => task.name(),
            Self::Place(task) => task.name(),
            Self::Chores(_) => Housework::NAME,
        }
    }

    /// The task, for a body; files that it names are looked for beside the scenario's.
    fn task(&self, body: &Body, beside: &Path) -> Result<Box<dyn Task>, HandError> {
        Ok(match self.clone() {
            Self::Pose(task) => Box::new(task),
            Self::Reach(task) => Box::new(task),
            Self::Hold(task) => Box::new(task),
            Self::Key(task) => Box::new(task),
            Self::Reorient(task) => Box::new(task),
            Self::Baoding(task) => Box::new(task),
            Self::Track(track) => Box::new(Tracking::new(track, body, beside)?),
            Self::Point(task) => Box::new(task),
            Self::Place(task) => Box::new(task),
            Self::Chores(chores) => Box::new(Housework::new(chores)),
        })
    }
}

/// A hand task that was read and checked.
#[derive(Clone, Debug)]
pub struct HandScenario {
    /// What the file says.
    pub hand_task: HandTask,
    /// blake3 of the text, hexadecimal (64 characters).
    pub digest: String,
    /// The file's text; [`HandScenario::to_keep`] names files in it anew.
    pub text: String,
    /// Where it came from, as the user named it.
    pub path: PathBuf,
}

impl HandScenario {
    /// Checks a hand task given as text; `path` is its name in errors and need not exist.
    ///
    /// # Errors
    /// When it is not TOML, has wrong fields or numbers, or the task does not suit the hand.
    pub fn load_text(text: &str, path: impl AsRef<Path>) -> Result<Self, InputError> {
        let path = path.as_ref();
        let error = |problems| InputError::new(&path.to_string_lossy(), problems);
        let hand_task: HandTask =
            toml::from_str(text).map_err(|e| error(vec![Problem::toml(text, &e)]))?;
        let problems = check(&hand_task, text);
        if !problems.is_empty() {
            return Err(error(problems));
        }
        let scenario = Self {
            hand_task,
            digest: blake3::hash(text.as_bytes()).to_hex().to_string(),
            text: text.to_owned(),
            path: path.to_owned(),
        };
        // Whether the task suits the hand shows when it is built.
        let env = scenario.env(1, None).and_then(|mut env| {
            env.reset_lane(0, 0, 0)?;
            Ok(env)
        });
        let env = env.map_err(|reason| error(vec![Problem::whole(reason.to_string())]))?;
        let problems = scenario.check_cameras(&env);
        if !problems.is_empty() {
            return Err(error(problems));
        }
        // Those between the first and the last of a set are like them.
        if let Some(vary) = &scenario.hand_task.vary {
            for number in [0, vary.get_ref().count - 1] {
                scenario.variant(vary, number)?;
            }
        }
        Ok(scenario)
    }

    /// The tasks of its kind, in order, as their own scenarios; itself alone where nothing varies.
    ///
    /// # Errors
    /// When there is no such number, or the task does not suit the hand with one.
    pub fn variants(&self) -> Result<Vec<Self>, InputError> {
        let Some(vary) = &self.hand_task.vary else {
            return Ok(vec![self.clone()]);
        };
        let numbers = 0..vary.get_ref().count;
        numbers.map(|number| self.variant(vary, number)).collect()
    }

    /// The task with a number where it varies.
    fn variant(&self, vary: &Spanned<Vary>, number: u16) -> Result<Self, InputError> {
        let wrong = |message: String| {
            let problem = Problem::at(&self.text, vary.span(), message);
            InputError::new(&self.path.to_string_lossy(), vec![problem])
        };
        let key = &vary.get_ref().key;
        let place = |table: &mut toml::Table| {
            let mut keys = key.split('.');
            let mut value = table.get_mut(keys.next()?)?;
            for key in keys {
                value = value.get_mut(key)?;
            }
            *value = i64::from(number).into();
            Some(())
        };
        let mut table = self.table();
        table.remove("vary");
        let name = format!("{} {number}", self.hand_task.name);
        table.insert("name".to_owned(), name.into());
        place(&mut table).ok_or_else(|| {
            wrong(format!(
                "vary: expected the place of a number, as task.reorient.object.hundred, found {key}"
            ))
        })?;
        Self::load_text(&table.to_string(), &self.path).map_err(|error| {
            let problems = error.problems.iter().map(|p| p.message.as_str());
            let problems: Vec<&str> = problems.collect();
            wrong(format!("vary: {key} = {number}: {}", problems.join("; ")))
        })
    }

    /// The task for another hand.
    ///
    /// # Errors
    /// When it does not suit that hand.
    pub fn with_hand(&self, hand: BodyChoice) -> Result<Self, InputError> {
        let mut table = self.table();
        let name = toml::Value::try_from(hand).expect("it is a word");
        table.insert("hand".to_owned(), name);
        Self::load_text(&table.to_string(), &self.path)
    }

    /// What the text says, to be changed.
    fn table(&self) -> toml::Table {
        toml::from_str(&self.text).expect("it was read before")
    }

    /// The reference file that the task takes an object's way from.
    pub fn reference(&self) -> Option<PathBuf> {
        match &self.hand_task.task {
            TaskChoice::Track(track) => Some(self.beside().join(track.reference.as_ref()?)),
            _ => None,
        }
    }

    /// As a store of episodes keeps it: with the reference file beside it, under its blake3, so that the scenario's digest tells
    /// what is in that file too. The file's name and bytes come along; a task that names none is kept as it is.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn to_keep(&self) -> Result<(Self, Option<(String, Vec<u8>)>), InputError> {
        let Some(reference) = self.reference() else {
            return Ok((self.clone(), None));
        };
        let bytes = std::fs::read(&reference).map_err(|error| {
            let problem = Problem::whole(error.to_string());
            InputError::new(&reference.to_string_lossy(), vec![problem])
        })?;
        let name = format!("{}.npz", blake3::hash(&bytes).to_hex());
        let mut table = self.table();
        table["task"]["track"]["reference"] = name.clone().into();
        let text = table.to_string();
        let kept = Self {
            digest: blake3::hash(text.as_bytes()).to_hex().to_string(),
            text,
            ..self.clone()
        };
        Ok((kept, Some((name, bytes))))
    }

    /// The folder in which files that the task names are.
    fn beside(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new(""))
    }

    /// Whether every camera is on something that is there, and sees something when an episode starts.
    fn check_cameras(&self, env: &HandEnv) -> Vec<Problem> {
        let cameras = &self.hand_task.camera;
        let mut problems = Vec::new();
        if cameras.is_empty() {
            return problems;
        }
        let sight = Sight::of(env);
        let seen = env.layout().seen(env.observations());
        let mut scene = camera::Scene::default();
        sight.draw(&seen, Context::Latent, &Appearance::default(), &mut scene);
        for entry in cameras {
            match sight.camera(entry, &seen) {
                Some(camera) => problems.extend(entry.check_place(&camera, &scene, &self.text)),
                None => {
                    let expected = "a body of the hand or the task";
                    problems.extend(entry.unknown(expected, &self.text));
                }
            }
        }
        problems
    }

    /// What an episode looks like.
    pub fn appearance(&self, env: &HandEnv, seed: u64, index: u64) -> Appearance {
        match &self.hand_task.appearance {
            None => Appearance::default(),
            Some(ranges) => {
                let mut rng = episode_rng(seed, &self.digest, index, "appearance");
                ranges.get_ref().draw(&env.task().view(), &mut rng)
            }
        }
    }

    /// `n_worlds` worlds of the task, whose episodes are cut off after `max_steps` actions (`None`: as the task says).
    ///
    /// # Errors
    /// As [`HandEnv::new`].
    pub fn env(&self, n_worlds: usize, max_steps: Option<u32>) -> Result<HandEnv, HandError> {
        let HandTask {
            hand,
            parameters,
            task,
            actions,
            frame_skip,
            solver,
            ..
        } = &self.hand_task;
        let body = Body {
            parameters: (*parameters).into(),
            ..hand.body()?
        };
        let config = Config {
            actions: *actions,
            frame_skip: usize::from(*frame_skip.get_ref()),
            max_steps,
            solver: *solver,
            ..Config::default()
        };
        let task = task.task(&body, self.beside())?;
        let env = HandEnv::new(body, task, config, n_worlds)?;
        Ok(env.of_scenario(&self.hand_task.name, &self.digest))
    }
}

/// The JSON schema of hand tasks' files.
pub fn schema() -> schemars::Schema {
    schemars::schema_for!(HandTask)
}

fn check(hand_task: &HandTask, text: &str) -> Vec<Problem> {
    let mut problems = Vec::new();
    let found = hand_task.schema.get_ref();
    if found != SCHEMA {
        let message = format!("expected schema \"{SCHEMA}\", found \"{found}\"");
        problems.push(Problem::at(text, hand_task.schema.span(), message));
    }
    let frame_skip = &hand_task.frame_skip;
    if !(1..=1000).contains(frame_skip.get_ref()) {
        let message = format!(
            "frame_skip: expected 1 to 1000, found {}",
            frame_skip.get_ref()
        );
        problems.push(Problem::at(text, frame_skip.span(), message));
    }
    if let Some(vary) = hand_task
        .vary
        .as_ref()
        .filter(|vary| vary.get_ref().count == 0)
    {
        let message = "vary: expected a count of at least 1, found 0".to_owned();
        problems.push(Problem::at(text, vary.span(), message));
    }
    problems.extend(hand_task.camera.iter().flat_map(|c| c.check(text)));
    if let Some(ranges) = &hand_task.appearance
        && let Some((field, message)) = ranges.get_ref().check()
    {
        let start = ranges.span().start;
        let at = text.get(start..).and_then(|rest| rest.find(field));
        let at = start + at.unwrap_or(0);
        let message = format!("appearance: {field}: {message}");
        problems.push(Problem::at(text, at..at, message));
    }
    if let Ok(table) = DeTable::parse(text) {
        for (name, value) in table.get_ref() {
            let rules = if name.get_ref() == "task" { RULES } else { &[] };
            check_numbers(name.get_ref(), value, rules, text, &mut problems);
        }
    }
    problems
}

/// What a number has to be.
type Rule = (fn(f64) -> bool, &'static str);
const SHARE: Rule = (|x| (0.0..=1.0).contains(&x), "0 to 1");
const POSITIVE: Rule = (|x| x > 0.0, "more than 0");
const NOT_NEGATIVE: Rule = (|x| x >= 0.0, "at least 0");
/// What the numbers of a task have to be, by name; of two, the first is not the larger one.
const RULES: &[(&str, Rule)] = &[
    ("share", SHARE),
    ("near_m", POSITIVE),
    ("near_rad", POSITIVE),
    ("far_m", POSITIVE),
    ("far_rad", POSITIVE),
    ("drop_m", POSITIVE),
    ("radius_m", POSITIVE),
    ("mass_kg", POSITIVE),
    ("period_s", POSITIVE),
    ("along_x_m", NOT_NEGATIVE),
    ("along_y_m", NOT_NEGATIVE),
    ("turn_rad", NOT_NEGATIVE),
    ("above_m", NOT_NEGATIVE),
    ("start_m", NOT_NEGATIVE),
    ("start_rad", NOT_NEGATIVE),
    ("hand_rad", NOT_NEGATIVE),
    ("aside_m", NOT_NEGATIVE),
    ("place_m", NOT_NEGATIVE),
    ("target_m", NOT_NEGATIVE),
];

/// TOML has `nan` and `inf`, for which no field of a task has a meaning; and numbers have rules.
fn check_numbers(
    name: &str,
    value: &Spanned<DeValue<'_>>,
    rules: &[(&str, Rule)],
    text: &str,
    problems: &mut Vec<Problem>,
) {
    let number = |value: &Spanned<DeValue<'_>>| -> Option<f64> {
        match value.get_ref() {
            DeValue::Float(number) => number.as_str().replace('_', "").parse().ok(),
            DeValue::Integer(number) => number.as_str().replace('_', "").parse().ok(),
            _ => None,
        }
    };
    let mut wrong = |at: &Spanned<DeValue<'_>>, expected: &str| {
        let found = text.get(at.span()).unwrap_or_default();
        let message = format!("{name}: expected {expected}, found {found}");
        problems.push(Problem::at(text, at.span(), message));
    };
    match value.get_ref() {
        DeValue::Array(list) => {
            let of: Vec<Option<f64>> = list.iter().map(number).collect();
            let ruled = rules.iter().any(|(of, _)| *of == name);
            if let ([Some(least), Some(most)], true) = (&of[..], ruled)
                && least > most
            {
                wrong(value, "least and most");
            }
            for value in list {
                check_numbers(name, value, rules, text, problems);
            }
        }
        DeValue::Table(table) => {
            for (name, value) in table {
                check_numbers(name.get_ref(), value, rules, text, problems);
            }
        }
        _ => {
            let Some(x) = number(value) else { return };
            let rule = rules.iter().find(|(of, _)| *of == name);
            if !x.is_finite() {
                wrong(value, "a finite number");
            } else if let Some((_, (holds, expected))) = rule
                && !holds(x)
            {
                wrong(value, expected);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::{Start, VectorEnv as _, Wish};

    const POSE: &str = "schema = \"habitus.hand_task/1\"\nname = \"Pose\"\nhand = \"myohand\"\n";

    #[test]
    fn tasks_of_a_kind_are_variants_of_one_file() {
        let text = include_str!("../../../scenarios/hand/reorient_8.toml");
        let load = |text: &str| HandScenario::load_text(text, "eight.toml").unwrap();
        let all = load(text).variants().unwrap();
        assert_eq!(all.len(), 8);
        assert_eq!(all[3].hand_task.name, "Reorient 8 3");
        let shapes = all.iter().map(|one| {
            assert_eq!(one.variants().unwrap().len(), 1);
            let env = one.env(1, None).unwrap();
            format!("{:?}", env.scene().objects[0].shapes)
        });
        let mut shapes: Vec<String> = shapes.collect();
        shapes.sort();
        shapes.dedup();
        assert_eq!(shapes.len(), 8);
        for (key, message) in [
            ("task.pose.object", "expected the place of a number"),
            ("task.reorient.axis_only", "expected a boolean"),
        ] {
            let text = text.replace("task.reorient.object.eight", key);
            let error = HandScenario::load_text(&text, "a.toml").unwrap_err();
            let error = error.to_string();
            assert!(error.starts_with("a.toml:"), "{error}");
            assert!(
                error.contains("vary: ") && error.contains(message),
                "{error}"
            );
        }
        let many = text.replace("count = 8", "count = 9");
        let error = HandScenario::load_text(&many, "a.toml").unwrap_err();
        let expected = "eight = 8: task.reorient.object is 8, expected 0 to 7";
        assert!(error.to_string().contains(expected), "{error}");
        let none = text.replace("count = 8", "count = 0");
        let error = HandScenario::load_text(&none, "a.toml").unwrap_err();
        assert!(error.to_string().contains("count of at least 1"), "{error}");
    }

    #[test]
    fn wrong_files_are_refused_at_their_place() {
        for (lines, expected) in [
            (
                "task.pose = { shared = 1.0 }",
                "a.toml:4:15: unknown field `shared`",
            ),
            ("task.dance = {}", "a.toml:4:6: unknown variant `dance`"),
            (
                "task.pose = { share = nan }",
                "a.toml:4:23: share: expected a finite number, found nan",
            ),
            (
                "frame_skip = 0\ntask.pose = {}",
                "a.toml:4:14: frame_skip: expected 1 to 1000, found 0",
            ),
            (
                "frame_skip = 5\ntask.baoding = {}",
                "a.toml: frame_skip is 5, expected actions of 0.02 s",
            ),
            (
                "task.track = { reference = \"my.npz\" }",
                "a.toml: task.track: expected either exemplar, or reference and object",
            ),
            (
                "task.track = { exemplar = \"cup_drink\", object = \"mug\" }",
                "a.toml: task.track: expected either exemplar, or reference and object",
            ),
            (
                "task.track = {}",
                "a.toml: task.track: expected either exemplar, or reference and object",
            ),
            (
                "task.pose = { share = 50 }",
                "a.toml:4:23: share: expected 0 to 1, found 50",
            ),
            (
                "task.baoding = { radius_m = -0.02 }",
                "a.toml:4:29: radius_m: expected more than 0, found -0.02",
            ),
            (
                "task.key = { turn_rad = [3.0, 1.0] }",
                "a.toml:4:25: turn_rad: expected least and most, found [3.0, 1.0]",
            ),
            (
                "task.pose = { max_steps = 0 }",
                "a.toml: max_steps is 0, expected at least 1",
            ),
            ("", "missing field `task`"),
        ] {
            let error =
                HandScenario::load_text(&format!("{POSE}{lines}"), "a.toml").expect_err(lines);
            assert!(error.to_string().contains(expected), "{error}");
        }
        let robot = POSE.replace("myohand", "robot") + "task.hold = {}";
        let error = HandScenario::load_text(&robot, "a.toml")
            .unwrap_err()
            .to_string();
        assert!(error.contains("needs joint"), "{error}");
        let old = POSE.replace("/1", "/0") + "task.pose = {}";
        let error = HandScenario::load_text(&old, "a.toml")
            .unwrap_err()
            .to_string();
        assert!(error.contains("a.toml:1:10: expected schema"), "{error}");
    }

    #[test]
    fn wrong_cameras_and_appearances_are_refused_at_their_place() {
        let point = POSE.replace("myohand", "point") + "task.point = {}\n";
        for (lines, expected) in [
            (
                "[[camera]]\nname = \"a\"\nposition = [0.0, 0.0, 1.0]\nlook_at = [0.0, 0.0, 0.0]\nfov_deg = 0.0",
                "a.toml:9:11: camera \"a\": fov_deg: expected more than 0 and less than 179, found 0",
            ),
            (
                "[[camera]]\nname = \"a\"\nposition = [0.0, 0.0, 1.0]\nlook_at = [0.0, 0.0, 0.0]\nsize = [0, 84]",
                "a.toml:9:8: camera \"a\": size: expected 1 to 4096 rows and columns, found [0, 84]",
            ),
            (
                "[[camera]]\nname = \"a\"\nposition = [0.1, 0.1, -0.05]\nlook_at = [0.0, 0.0, 0.0]",
                "a.toml:7:12: camera \"a\": position: expected a free place, found [0.1, 0.1, -0.05] inside something solid",
            ),
            (
                "[[camera]]\nname = \"a\"\nposition = [0.1, 0.1, 0.05]\nlook_at = [0.0, 0.0, 0.0]\non = \"elbow\"",
                "a.toml:9:6: camera \"a\": on: expected a body of the hand or the task, found \"elbow\"",
            ),
            (
                "[appearance]\ntextures = 1.5",
                "a.toml:6:1: appearance: textures: expected from 0 to 1, found 1.5",
            ),
            (
                "[appearance]\ndistractors = { min = 3, max = 2 }",
                "a.toml:6:1: appearance: distractors: expected min to max and at most 20, found 3 and 2",
            ),
        ] {
            let error =
                HandScenario::load_text(&format!("{point}{lines}"), "a.toml").expect_err(lines);
            assert!(error.to_string().contains(expected), "{error}");
        }
    }

    /// What is seen of a world, 48 pixels wide.
    fn picture(env: &HandEnv, appearance: &Appearance) -> Vec<u8> {
        let mut scene = camera::Scene::default();
        let seen = env.layout().seen(env.observations());
        Sight::of(env).draw(&seen, Context::Latent, appearance, &mut scene);
        let camera = appearance.moved(&crate::hand::sight::usual_camera(&**env.task(), 48));
        let mut rgb = vec![0; 48 * 48 * 3];
        let into = camera::Pictures {
            rgb: Some(&mut rgb),
            ..camera::Pictures::default()
        };
        camera::Renderer::new().draw(&scene, &camera, into).unwrap();
        rgb
    }

    /// Pictures differ from episode to episode and come out the same again; what happens does not change.
    #[test]
    fn appearance_changes_pictures_alone() {
        let plain = POSE.replace("myohand", "gripper") + "task.place = {}\n";
        let all = "[appearance]\nlight = { turn_deg = 40.0, brightness = [0.7, 1.2] }\ncolors = 0.2\ntextures = 0.5\ncamera = { shift_m = 0.03, turn_deg = 2.0 }\ndistractors = { min = 1, max = 4 }\ntelevision = true\nmoving_shadows = true\n";
        let [plain, all] = [plain.clone(), plain + all]
            .map(|text| HandScenario::load_text(&text, "a.toml").unwrap());
        let mut envs = [&plain, &all].map(|scenario| scenario.env(1, None).unwrap());
        for env in &mut envs {
            env.reset_lane(0, 3, 1).unwrap();
        }
        let [first, other] = [1, 2].map(|index| all.appearance(&envs[1], 3, index));
        assert_eq!(first, all.appearance(&envs[1], 3, 1));
        assert!(first.say().contains("a television"), "{}", first.say());
        let usual = picture(&envs[0], &plain.appearance(&envs[0], 3, 1));
        let start = picture(&envs[1], &first);
        assert!(usual != start && start != picture(&envs[1], &other));
        assert!(start == picture(&envs[1], &first));
        for env in &mut envs {
            env.step_flat(&[0.0; 4]).unwrap();
        }
        assert_eq!(envs[0].observations(), envs[1].observations());
        let differ = |a: &[u8], b: &[u8]| a.iter().zip(b).filter(|(a, b)| a != b).count();
        // The television and the light go on, whatever the gripper does.
        assert!(differ(&start, &picture(&envs[1], &first)) > start.len() / 20);
    }

    /// Light, textures and what lies around are to be seen in every suite.
    #[test]
    fn suites_look_otherwise() {
        for suite in &crate::hand::suites::SUITES {
            let scenario = suite.pretraining()[0].scenario().unwrap();
            let mut env = scenario.env(1, None).unwrap();
            env.reset_lane(0, 1, 0).unwrap();
            let view = env.task().view();
            let usual = picture(&env, &Appearance::default());
            for (look, ranges) in crate::hand::appearance::presets() {
                let changed = |index: u64| {
                    let mut rng = episode_rng(1, suite.name, index, "appearance");
                    let other = picture(&env, &ranges.draw(&view, &mut rng));
                    let pixels = usual.chunks(3).zip(other.chunks(3));
                    pixels.filter(|(a, b)| a != b).count()
                };
                let mean = (0..20).map(changed).sum::<usize>() / 20;
                println!("{}: other {look}: {mean} of 2304 pixels", suite.name);
                // A pixel of the kitchen is 6 cm wide.
                assert!(mean >= 2, "{}: other {look}: {mean}", suite.name);
            }
        }
    }

    #[test]
    fn an_episode_names_its_file() {
        let text = format!("{POSE}frame_skip = 5\ntask.pose = {{ share = 0.3, max_steps = 7 }}");
        let scenario = HandScenario::load_text(&text, "a.toml").unwrap();
        let mut env = scenario.env(2, None).unwrap();
        let start = Start {
            seed: 1,
            index: 2,
            wish: Wish::Draw,
        };
        env.reset(1, &start).unwrap();
        let header = env.header(1);
        assert_eq!(
            (header.scenario.as_str(), &header.scenario_digest),
            ("Pose", &scenario.digest)
        );
        let steps = (1..).find(|_| {
            let action = episode::Action::Array(vec![0.0; env.n_actions()]);
            env.step(&[None, Some(action)])[1]
                .as_ref()
                .unwrap()
                .truncated
        });
        assert_eq!(steps, Some(7));
    }
}
