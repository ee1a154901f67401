//! The command line, command by command.

mod bench;
mod data;
mod exemplar;
mod png;
mod progress;
mod rollout;
mod scenario;

use std::fmt;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use episode::store::StoreError;
use serde::Serialize;
use sim::scenario::ScenarioError;

/// Parses the arguments, does what they say, and reports.
pub(crate) fn main() -> ExitCode {
    let Arguments {
        command,
        seed,
        json,
    } = Arguments::parse();
    let done = match command {
        Command::Scenario(command) => scenario::run(&command),
        Command::Exemplar(command) => exemplar::run(command, seed),
        Command::Rollout(command) => rollout::run(command, seed),
        Command::Data(command) => data::run(&command),
        Command::Bench(command) => bench::run(&command, seed),
    };
    match done {
        Ok(done) => {
            done.print(json);
            ExitCode::from(u8::from(done.failed))
        }
        Err(error) => {
            eprintln!("habitus: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}

/// Simulate a household and record what happens.
#[derive(Parser)]
#[command(
    name = "habitus",
    bin_name = "./habitus",
    version,
    arg_required_else_help = true,
    // The last of several equal options counts, so that scripts can add to a command line.
    args_override_self = true
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// Everything random follows from this number.
    #[arg(long, global = true, default_value_t = 0, value_name = "N")]
    seed: u64,
    /// Print one JSON object as the last line of standard output.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Subcommand)]
enum Command {
    /// Scenario files: which there are, whether they are right, how to begin one.
    #[command(subcommand)]
    Scenario(scenario::Command),
    /// Objects carried by a hand: what is shown of the tasks, how the hand grasps.
    #[command(subcommand)]
    Exemplar(exemplar::Command),
    /// Generate episodes, simulate them again, read one.
    #[command(subcommand)]
    Rollout(rollout::Command),
    /// Episode stores: what is in them, whether they are whole, making one of several.
    #[command(subcommand)]
    Data(data::Command),
    /// Throughput on this machine, per second of one core.
    #[command(subcommand)]
    Bench(bench::Command),
}

/// What a command has to say at its end.
pub(crate) struct Done {
    /// For people.
    text: String,
    /// For programs.
    json: serde_json::Value,
    /// Whether it found what must not be: exit code 1, although the command itself worked.
    failed: bool,
}

impl Done {
    fn new(text: impl Into<String>, json: impl Serialize) -> Self {
        Self {
            text: text.into(),
            json: serde_json::to_value(json).expect("reports have text keys"),
            failed: false,
        }
    }

    /// For commands whose output is all there is to say.
    fn silent() -> Self {
        Self::new("", serde_json::Value::Null)
    }

    fn failed_if(self, failed: bool) -> Self {
        Self { failed, ..self }
    }

    fn print(&self, json: bool) {
        use std::io::Write as _;
        let text = if json && !self.json.is_null() {
            self.json.to_string()
        } else {
            self.text.trim_end().to_owned()
        };
        if !text.is_empty() {
            // A reader that has gone away (`| head`) has seen what it wanted.
            writeln!(std::io::stdout(), "{text}").ok();
        }
    }
}

/// Why a command could not be carried out.
#[derive(Debug)]
pub(crate) enum CommandError {
    /// What the user gave is wrong: exit code 2.
    Input(String),
    /// It did not work: exit code 1.
    Failed(String),
}

impl CommandError {
    fn exit_code(&self) -> u8 {
        match self {
            Self::Input(_) => 2,
            Self::Failed(_) => 1,
        }
    }
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Input(message) | Self::Failed(message) => f.write_str(message),
        }
    }
}

impl From<ScenarioError> for CommandError {
    fn from(error: ScenarioError) -> Self {
        Self::Input(error.to_string())
    }
}

impl From<StoreError> for CommandError {
    fn from(error: StoreError) -> Self {
        let message = error.to_string();
        match error {
            StoreError::NotAStore { .. }
            | StoreError::Manifest { .. }
            | StoreError::Schema { .. }
            | StoreError::Shard { .. }
            | StoreError::Scenario { .. }
            | StoreError::OutOfRange { .. }
            | StoreError::DifferentRun { .. }
            | StoreError::NotEmpty { .. }
            | StoreError::Conflict { .. } => Self::Input(message),
            StoreError::Io { .. } | StoreError::Episode { .. } | StoreError::Busy { .. } => {
                Self::Failed(message)
            }
        }
    }
}
