//! `scenario list|validate|schema|new`.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Subcommand;
use serde::Serialize;
use sim::hand::scenario::BodyChoice;
use sim::hand::{exemplar, scenario as hand_task};
use sim::problem::did_you_mean;
use sim::scenario::{self, LoadedScenario};
use sim::scenario_file::ScenarioFile;

use super::{CommandError, Done};

#[derive(Subcommand)]
pub(crate) enum Command {
    /// The scenarios that come with habitus, or those in FOLDER.
    #[command(after_help = "Example:\n  ./habitus scenario list")]
    List {
        /// Folder of *.toml files.
        folder: Option<PathBuf>,
    },
    /// Check scenario files: exit code 2, with file, line and column, if one is wrong.
    #[command(after_help = "Example:\n  ./habitus scenario validate my_flat.toml")]
    Validate {
        /// Files, or names of scenarios that come with habitus.
        #[arg(required = true, value_name = "SCENARIO")]
        scenarios: Vec<PathBuf>,
    },
    /// The JSON schema of scenario files, for editors.
    #[command(after_help = "Example:\n  ./habitus scenario schema > scenario.schema.json")]
    Schema {
        /// That of hand tasks.
        #[arg(long)]
        hand: bool,
    },
    /// Begin a scenario: a commented room with a table and a mug.
    #[command(after_help = "Example:\n  ./habitus scenario new my_flat.toml")]
    New {
        /// The file to write; must not exist.
        file: PathBuf,
    },
}

pub(crate) fn run(command: &Command) -> Result<Done, CommandError> {
    match command {
        Command::List { folder } => list(folder.as_deref()),
        Command::Validate { scenarios } => validate(scenarios),
        Command::Schema { hand } => {
            let schema = if *hand {
                hand_task::schema()
            } else {
                scenario::schema()
            };
            let text = serde_json::to_string_pretty(&schema).expect("a schema is JSON");
            Ok(Done::new(text, schema))
        }
        Command::New { file } => new(file),
    }
}

/// Loads a scenario given as a file or as the name of one that comes with habitus.
pub(crate) fn find(name: &Path) -> Result<ScenarioFile, CommandError> {
    let shipped = shipped_folder().join(name).with_extension("toml");
    let is_name = name.extension().is_none() && name.is_relative();
    let path = if is_name && !name.is_file() && shipped.is_file() {
        &shipped
    } else if is_name && !name.is_file() {
        let names: Vec<String> = shipped_files()?.iter().map(|p| stem(p)).collect();
        let objects: Vec<String> = exemplar::names()
            .map(|task| format!("{HANDS}/track/{task}"))
            .collect();
        let all = names.iter().chain(&objects).map(String::as_str);
        return Err(CommandError::Input(format!(
            "expected a scenario file, one of {} or one of {HANDS}/track; found neither a file nor a scenario named \"{}\"{}",
            names.join(", "),
            name.display(),
            did_you_mean(&name.to_string_lossy(), all)
        )));
    } else {
        name
    };
    Ok(ScenarioFile::load(path)?)
}

/// All houses that come with habitus.
pub(crate) fn shipped_houses() -> Result<Vec<Arc<LoadedScenario>>, CommandError> {
    files(&shipped_folder())?
        .iter()
        .map(|path| Ok(Arc::new(scenario::load(path)?)))
        .collect()
}

/// Houses, then hand tasks.
fn shipped_files() -> Result<Vec<PathBuf>, CommandError> {
    let folder = shipped_folder();
    let mut all = files(&folder)?;
    let hands = folder.join(HANDS);
    if hands.is_dir() {
        all.extend(files(&hands)?);
    }
    Ok(all)
}

/// Folder of hand tasks, beside the houses.
const HANDS: &str = "hand";

/// Where the scenarios that come with habitus lie: the launcher says; without it, the folder one stands in.
fn shipped_folder() -> PathBuf {
    std::env::var_os("HABITUS_ROOT")
        .map_or_else(PathBuf::new, PathBuf::from)
        .join("scenarios")
}

fn files(folder: &Path) -> Result<Vec<PathBuf>, CommandError> {
    let cannot =
        |error| CommandError::Input(format!("{}: cannot be listed: {error}", folder.display()));
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(cannot)? {
        let path = entry.map_err(cannot)?.path();
        if path.extension().is_some_and(|e| e == "toml") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Name of a scenario: its file's, with its folder's for hand tasks.
fn stem(path: &Path) -> String {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    match path.parent().and_then(Path::file_name) {
        Some(folder) if folder == HANDS => format!("{HANDS}/{stem}"),
        _ => stem.into_owned(),
    }
}

#[derive(Serialize)]
struct Row {
    name: String,
    title: String,
    file: PathBuf,
    #[serde(flatten)]
    kind: Kind,
    evaluation_only: bool,
    digest: String,
}

/// What there is to say of a house, or of a hand's task.
#[derive(Serialize)]
#[serde(untagged)]
enum Kind {
    House {
        rooms: usize,
        objects: usize,
        goals: usize,
    },
    Hand {
        hand: BodyChoice,
        task: &'static str,
    },
}

impl Row {
    fn of(loaded: &ScenarioFile) -> Self {
        Self {
            name: stem(loaded.path()),
            title: loaded.name().to_owned(),
            file: loaded.path().to_owned(),
            kind: match loaded {
                ScenarioFile::House(house) => Kind::House {
                    rooms: house.scenario.room.len(),
                    objects: house.scenario.object.len(),
                    goals: house.scenario.goal.len(),
                },
                ScenarioFile::Hand(hand) => Kind::Hand {
                    hand: hand.hand_task.hand,
                    task: hand.hand_task.task.name(),
                },
            },
            evaluation_only: loaded.evaluation_only(),
            digest: loaded.digest().to_owned(),
        }
    }
}

fn table(rows: &[Row]) -> String {
    let mut out = String::new();
    for row in rows {
        let kept = if row.evaluation_only {
            ", for evaluation only"
        } else {
            ""
        };
        let (name, title) = (&row.name, &row.title);
        match &row.kind {
            Kind::House {
                rooms,
                objects,
                goals,
            } => writeln!(
                out,
                "{name:<20} {title}: {rooms} rooms, {objects} object entries, {goals} goals{kept}"
            ),
            Kind::Hand { hand, task } => {
                writeln!(out, "{name:<20} {title}: {hand:?}, task {task}{kept}")
            }
        }
        .expect("a string takes everything");
    }
    out
}

fn list(folder: Option<&Path>) -> Result<Done, CommandError> {
    let rows = folder
        .map_or_else(shipped_files, files)?
        .iter()
        .map(|path| Ok(Row::of(&ScenarioFile::load(path)?)))
        .collect::<Result<Vec<_>, CommandError>>()?;
    Ok(Done::new(
        table(&rows),
        serde_json::json!({ "scenarios": rows }),
    ))
}

fn validate(scenarios: &[PathBuf]) -> Result<Done, CommandError> {
    let mut rows = Vec::new();
    let mut problems = Vec::new();
    // Everything that is wrong, not only the first file of it.
    for name in scenarios {
        match find(name) {
            Ok(loaded) => rows.push(Row::of(&loaded)),
            Err(error) => problems.push(error.to_string()),
        }
    }
    if problems.is_empty() {
        let json = serde_json::json!({ "valid": rows.len(), "scenarios": rows });
        Ok(Done::new(table(&rows), json))
    } else {
        Err(CommandError::Input(problems.join("\n")))
    }
}

fn new(file: &Path) -> Result<Done, CommandError> {
    let written = fs::File::create_new(file).and_then(|mut f| f.write_all(TEMPLATE.as_bytes()));
    match written {
        Ok(()) => Ok(Done::new(
            format!(
                "{0} begins a scenario; `./habitus scenario validate {0}` checks it",
                file.display()
            ),
            serde_json::json!({ "file": file }),
        )),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            Err(CommandError::Input(format!(
                "{}: expected a new file, found one that exists",
                file.display()
            )))
        }
        Err(error) => Err(CommandError::Failed(format!("{}: {error}", file.display()))),
    }
}

const TEMPLATE: &str = r#"schema = "habitus.scenario/1"
name = "One room"
about = "A kitchen to begin with."

[[room]]
name = "kitchen"
corners = [[0.0, 0.0], [4.0, 0.0], [4.0, 3.0], [0.0, 3.0]] # meters, counter-clockwise

[[object]]
class = "kitchen table"
at = [2.0, 2.0]

[[object]]
class = "fridge"
at = [0.5, 0.5]
yaw_deg = 90.0 # its front looks along +y

[[object]]
class = "milk"
inside = "fridge"

[[object]]
class = "mug"
on = "kitchen table"
count = { min = 1, max = 2 } # drawn anew for each episode

[[agent]]
body.walker = { room = "kitchen" }

[[goal]]
say = "Put the milk on the kitchen table and close the fridge."
all = ["milk ON kitchen table", "fridge CLOSED"]
"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_template_is_a_valid_scenario() {
        if let Err(error) = scenario::load_text(TEMPLATE, "template.toml") {
            panic!("{error}");
        }
    }
}
