//! `hand`: look into models of hands.

mod bench;
mod inspect;
mod plot;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};
use hand::batch::Width;
use hand::model::{self, Model, ParameterSet};

/// Bodies that muscles move: tendon lengths, moment arms and forces; models from MuJoCo's XML.
#[derive(Parser)]
#[command(name = "hand", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// What all muscles do in given poses.
    #[command(
        after_help = "The file of poses: {\"parameters\":\"compat\",\"poses\":[{\"qpos\":[23 numbers],\"qvel\":[23],\"act\":[39]}]},\n\
        in radians, radians a second and activations from 0 to 1; \"parameters\" is compat or calibrated.\n\n\
        Example:\n  hand inspect --pose poses.json --json"
    )]
    Inspect {
        /// The poses, in JSON.
        #[arg(long, value_name = "FILE")]
        pose: PathBuf,
        /// A model file instead of the MyoHand.
        #[arg(long, value_name = "FILE")]
        model: Option<PathBuf>,
        /// One JSON object instead of tables.
        #[arg(long)]
        json: bool,
    },
    /// Turns MuJoCo's XML into a model file. What is outside the subset is an error that names file, line and element.
    #[command(after_help = "Example:\n  hand import myohand.xml --out myohand.toml")]
    Import {
        /// The XML file.
        xml: PathBuf,
        /// Where the model file goes; standard output without it.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Microseconds of processor time for one step of one world, in four scenes.
    #[command(after_help = "Example:\n  hand bench --json")]
    Bench {
        /// Worlds at a time: 1, 8 or 16; by default as many as the processor can.
        #[arg(long)]
        lanes: Option<usize>,
        /// Times with this many threads as well, 256 worlds for each, and as many on one: the speed-up on the wall.
        #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1024))]
        threads: u16,
        /// Processor time for each scene, in seconds.
        #[arg(long, value_name = "S", default_value_t = 3.0)]
        seconds: f64,
        /// Seed of the starts.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Instead of timing: this many world-steps of random excitation, counting worlds that diverge.
        #[arg(long, value_name = "WORLD_STEPS")]
        soak: Option<u64>,
        /// The last line of standard output is one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Draws length, moment arm and force of a muscle over a joint, the other joints at rest (SVG).
    #[command(
        after_help = "Example:\n  hand plot --muscle FDP2 --joint mcp2_flexion --out fdp2.svg"
    )]
    Plot {
        /// The muscle's name.
        #[arg(long)]
        muscle: String,
        /// The joint's name.
        #[arg(long)]
        joint: String,
        /// Which length ranges count.
        #[arg(long, value_enum, default_value = "calibrated")]
        parameters: Parameters,
        /// A model file instead of the MyoHand.
        #[arg(long, value_name = "FILE")]
        model: Option<PathBuf>,
        /// Where the picture goes; standard output without it.
        #[arg(long, value_name = "FILE.svg")]
        out: Option<PathBuf>,
    },
}

#[derive(Clone, Copy, ValueEnum)]
enum Parameters {
    /// As the imported model has them, for comparing with MuJoCo.
    Compat,
    /// From the paths' own extremes.
    Calibrated,
}

/// What ends a command early.
enum Failure {
    /// Something that was passed is wrong: exit code 2.
    Input(String),
    /// The result could not be written: exit code 1.
    Output(String),
}

fn bench(
    lanes: Option<usize>,
    threads: u16,
    seconds: f64,
    seed: u64,
    soak: Option<u64>,
    json: bool,
) -> Result<(), Failure> {
    let widths = [Width::One, Width::Eight, Width::Sixteen];
    let width = match lanes {
        None => Width::best(),
        Some(lanes) => *widths
            .iter()
            .find(|w| w.lanes() == lanes)
            .ok_or_else(|| Failure::Input(format!("--lanes is {lanes}, expected 1, 8 or 16")))?,
    };
    let figures = match soak {
        Some(world_steps) => bench::soak(world_steps, seed),
        None => bench::run(width, usize::from(threads), seconds, seed),
    }
    .map_err(Failure::Input)?;
    if json {
        println!("{figures}");
    } else {
        for (name, value) in figures.as_object().into_iter().flatten() {
            println!("{name:16} {value}");
        }
    }
    Ok(())
}

fn main() -> ExitCode {
    let (name, done) = match Arguments::parse().command {
        Command::Inspect { pose, model, json } => {
            ("inspect", inspect(&pose, model.as_deref(), json))
        }
        Command::Bench {
            lanes,
            threads,
            seconds,
            seed,
            soak,
            json,
        } => ("bench", bench(lanes, threads, seconds, seed, soak, json)),
        Command::Import { xml, out } => ("import", import(&xml, out.as_deref())),
        Command::Plot {
            muscle,
            joint,
            parameters,
            model,
            out,
        } => (
            "plot",
            plot(
                &muscle,
                &joint,
                parameters,
                model.as_deref(),
                out.as_deref(),
            ),
        ),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Input(reason)) => {
            eprintln!("hand {name}: {reason}");
            ExitCode::from(2)
        }
        Err(Failure::Output(reason)) => {
            eprintln!("hand {name}: {reason}");
            ExitCode::FAILURE
        }
    }
}

fn inspect(pose: &Path, model: Option<&Path>, json: bool) -> Result<(), Failure> {
    let model = load(model)?;
    let report = inspect::inspect(&model, pose).map_err(Failure::Input)?;
    write(None, &if json { report.json() } else { report.table() })
}

fn import(xml: &Path, out: Option<&Path>) -> Result<(), Failure> {
    let imported = model::import(xml).map_err(|error| Failure::Input(error.to_string()))?;
    let mut text = format!(
        "# {}, imported from MuJoCo's XML.\n",
        imported.model.name.replace(char::is_control, " ")
    );
    for note in &imported.notes {
        eprintln!("hand import: {note}");
        text += &format!("# {note}\n");
    }
    write(out, &format!("{text}\n{}", model::save(&imported.model)))
}

fn plot(
    muscle: &str,
    joint: &str,
    parameters: Parameters,
    model: Option<&Path>,
    out: Option<&Path>,
) -> Result<(), Failure> {
    let parameters = match parameters {
        Parameters::Compat => ParameterSet::Compat,
        Parameters::Calibrated => ParameterSet::Calibrated,
    };
    let model = load(model)?;
    write(
        out,
        &plot::svg(&model, parameters, muscle, joint).map_err(Failure::Input)?,
    )
}

fn load(path: Option<&Path>) -> Result<Model, Failure> {
    let loaded = match path {
        Some(path) => model::load(path),
        None => model::load_text(hand::MYOHAND, "myohand.toml"),
    };
    loaded.map_err(|error| Failure::Input(error.to_string()))
}

fn write(out: Option<&Path>, text: &str) -> Result<(), Failure> {
    match out {
        Some(path) => {
            std::fs::write(path, text).map_err(|error| {
                Failure::Output(format!("{} cannot be written: {error}", path.display()))
            })?;
            eprintln!("written: {}", path.display());
            Ok(())
        }
        None => match std::io::stdout().write_all(text.as_bytes()) {
            // The reader has seen enough, as `head` does.
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
            written => {
                written.map_err(|error| Failure::Output(format!("standard output: {error}")))
            }
        },
    }
}
