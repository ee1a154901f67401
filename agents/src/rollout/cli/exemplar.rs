//! `exemplar list|show|grasp`.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Subcommand;
use episode::{Observation, Value};
use serde_json::json;
use sim::camera::{Pictures, Renderer, Scene};
use sim::hand::HandScenario;
use sim::hand::exemplar::{self, Exemplar, FRAME_SECONDS};
use sim::hand::grasp::{self, Grasp, Search};
use sim::hand::objects::props;
use sim::hand::scenario::BodyChoice;
use sim::hand::sight::{Context, Sight, usual_camera};
use sim::hand::task::{Track, Tracking};

use super::{CommandError, Done, png};

#[derive(Subcommand)]
pub(crate) enum Command {
    /// The tasks of carrying an object: how long, how far, how well a hand holds the object.
    #[command(after_help = "Example:\n  ./habitus exemplar list")]
    List {
        /// Whose grasps.
        #[arg(long, value_enum, default_value = "myohand")]
        hand: Hand,
    },
    /// What is shown of tasks: a strip of pictures for each, from grasp to end.
    #[command(
        after_help = "Example:\n  ./habitus exemplar show cup_drink airplane_fly --out strips"
    )]
    Show {
        /// Tasks by name; all without any.
        tasks: Vec<String>,
        /// Whose grasps.
        #[arg(long, value_enum, default_value = "myohand")]
        hand: Hand,
        /// Pictures in a strip.
        #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=64), value_name = "N")]
        pictures: u16,
        /// Sides of a picture in pixels.
        #[arg(long, default_value_t = 240, value_parser = clap::value_parser!(u16).range(16..=2048), value_name = "N")]
        size: u16,
        /// Folder to write NAME.png into.
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
    },
    /// Search for grasps: hands close around an object from many sides, lift and are shaken; the one that slips least stays.
    #[command(
        after_help = "Example:\n  ./habitus exemplar grasp mug teapot --out grasps.toml\n\nFinds assets/hand/grasps/*.toml again, to a few hundredths of a millimeter and whatever the processor; a file says which of its grasps are of another --seed."
    )]
    Grasp {
        /// Objects by name; all without any.
        objects: Vec<String>,
        /// Whose.
        #[arg(long, value_enum, default_value = "myohand")]
        hand: Hand,
        /// Hands tried in a round.
        #[arg(long, default_value_t = 1024, value_parser = clap::value_parser!(u32).range(1..=65_536), value_name = "N")]
        candidates: u32,
        /// Rounds: the first from everywhere, three times over, the others around the best.
        #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=1000), value_name = "N")]
        rounds: u32,
        /// Grasps of this file stay where their score is better.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
}

/// Hands that can grasp.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(crate) enum Hand {
    /// 23 joints, 39 muscles.
    Myohand,
    /// 24 joints, each with a motor.
    Robot,
}

impl Hand {
    fn choice(self) -> BodyChoice {
        match self {
            Self::Myohand => BodyChoice::Myohand,
            Self::Robot => BodyChoice::Robot,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Myohand => "myohand",
            Self::Robot => "robot",
        }
    }
}

pub(crate) fn run(command: Command, seed: u64) -> Result<Done, CommandError> {
    match command {
        Command::List { hand } => list(hand),
        Command::Show {
            tasks,
            hand,
            pictures,
            size,
            out,
        } => show(&tasks, hand, usize::from(pictures), usize::from(size), &out),
        Command::Grasp {
            objects,
            hand,
            candidates,
            rounds,
            out,
        } => {
            let threads = std::thread::available_parallelism().map_or(1, usize::from);
            let how = Search {
                rounds: rounds as usize,
                candidates: candidates as usize,
                threads,
                seed,
            };
            search(&objects, hand, &how, &out)
        }
    }
}

fn input(error: impl ToString) -> CommandError {
    CommandError::Input(error.to_string())
}

fn failed(error: impl ToString) -> CommandError {
    CommandError::Failed(error.to_string())
}

fn list(hand: Hand) -> Result<Done, CommandError> {
    let body = hand.choice().body().map_err(failed)?;
    let mut text = format!(
        "{:24} {:>7} {:>6} {:>8}\n",
        "task", "seconds", "path m", "slip mm"
    );
    let mut rows = Vec::new();
    for name in exemplar::names() {
        let exemplar = Exemplar::named(name).map_err(failed)?;
        let path = exemplar.path();
        let seconds = FRAME_SECONDS * (exemplar.frames.len() - 1) as f64;
        let object = &exemplar.prop.object.name;
        let slip = grasp::grasp(&body.model.name, object).map(|g| g.slip);
        let slips = slip.map_or_else(|| "-".to_owned(), |s| format!("{:.1}", 1000.0 * s));
        text += &format!("{name:24} {seconds:>7.2} {path:>6.2} {slips:>8}\n");
        rows.push(json!({"task": name, "object": object, "say": exemplar.say, "seconds": seconds, "path": path, "slip": slip}));
    }
    Ok(Done::new(text, rows))
}

/// The scenario of a task for a hand.
fn scenario(task: &str, hand: Hand) -> Result<HandScenario, CommandError> {
    let text = format!(
        "schema = \"habitus.hand_task/1\"\nname = \"{task}\"\nhand = \"{}\"\ntask.track = {{ exemplar = \"{task}\" }}\n",
        hand.name()
    );
    HandScenario::load_text(&text, format!("{task}.toml")).map_err(input)
}

fn show(
    tasks: &[String],
    hand: Hand,
    pictures: usize,
    size: usize,
    out: &Path,
) -> Result<Done, CommandError> {
    let all: Vec<String> = match tasks {
        [] => exemplar::names().map(str::to_owned).collect(),
        some => some.to_vec(),
    };
    for name in &all {
        Exemplar::named(name).map_err(input)?;
    }
    let wrote = |error: &dyn std::fmt::Display| failed(format!("{}: {error}", out.display()));
    fs::create_dir_all(out).map_err(|error| wrote(&error))?;
    let body = hand.choice().body().map_err(failed)?;
    for name in &all {
        let env = scenario(name, hand)?.env(1, None).map_err(failed)?;
        let sight = Sight::of(&env);
        let track = Track {
            exemplar: name.clone(),
            ..Track::default()
        };
        let tracking = Tracking::new(track, &body, Path::new("")).map_err(input)?;
        let camera = usual_camera(&**env.task(), size);
        let mut strip = vec![0; size * size * pictures * 3];
        let (mut renderer, mut scene, mut world) = (Renderer::new(), Scene::default(), Vec::new());
        for i in 0..pictures {
            let last = tracking.exemplar().frames.len() - 1;
            let frame = if pictures == 1 {
                0
            } else {
                i * last / (pictures - 1)
            };
            env.layout().list(&seen(&tracking, frame), &mut world);
            sight.draw(
                &env.layout().seen(&world),
                Context::Latent,
                &Default::default(),
                &mut scene,
            );
            let mut rgb = vec![0; size * size * 3];
            let into = Pictures {
                rgb: Some(&mut rgb),
                ..Pictures::default()
            };
            renderer.draw(&scene, &camera, into).map_err(failed)?;
            for (row, line) in rgb.chunks_exact(size * 3).enumerate() {
                let at = (row * pictures + i) * size * 3;
                strip[at..at + line.len()].copy_from_slice(line);
            }
        }
        let path = out.join(format!("{name}.png"));
        png::write(&path, &strip, [size * pictures, size]).map_err(|error| wrote(&error))?;
    }
    let text = format!("{} strips in {}", all.len(), out.display());
    Ok(Done::new(text, json!({"strips": all, "out": out})))
}

/// What is seen of a hand on an arm that carries the object along, closed as soon as it moves.
fn seen(tracking: &Tracking, frame: usize) -> Observation {
    let list = |numbers: &[f64]| Value::Array(numbers.iter().map(|x| *x as f32).collect());
    let (exemplar, grasp) = (tracking.exemplar(), tracking.grasp());
    let rests = exemplar.frames[frame] == exemplar.frames[0];
    let (arm, (pos, quat)) = match rests {
        true => ([0.0; 6], exemplar.frames[0]),
        false => tracking.held(frame),
    };
    let pose: Vec<f64> = pos.iter().chain(&quat).copied().collect();
    Observation::new()
        .with(
            "joint_angles",
            list(if rests { &grasp.open } else { &grasp.closed }),
        )
        .with("hinge_angles", list(&arm))
        .with("object_pose", list(&pose))
}

fn search(objects: &[String], hand: Hand, how: &Search, out: &Path) -> Result<Done, CommandError> {
    let all: Vec<String> = match objects {
        [] => props()
            .iter()
            .map(|prop| prop.object.name.clone())
            .collect(),
        some => some.to_vec(),
    };
    let found = all.iter().map(|name| exemplar::object(name));
    let found: Vec<_> = found.collect::<Result<_, _>>().map_err(input)?;
    let mut kept: Vec<Grasp> = match fs::read_to_string(out) {
        Ok(text) => {
            grasp::read(&text).map_err(|error| input(format!("{}: {error}", out.display())))?
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(input(format!("{}: {error}", out.display()))),
    };
    let body = hand.choice().body().map_err(failed)?;
    let joints = body.model.joint.len();
    if let Some(other) = kept.iter().find(|grasp| grasp.closed.len() != joints) {
        return Err(input(format!(
            "{}: expected grasps of {}, which has {joints} joints, found one of {} joints for {}",
            out.display(),
            body.model.name,
            other.closed.len(),
            other.object
        )));
    }
    let (started, total) = (Instant::now(), found.len());
    let mut lost = Vec::new();
    for (done, prop) in (1..).zip(found) {
        let new = grasp::search(&body, prop, how).map_err(failed)?;
        let left = started.elapsed().as_secs_f64() * (total - done) as f64 / done as f64;
        let Some(new) = new else {
            let object = prop.object.name.as_str();
            eprintln!("{done}/{total} {object}: no hand held it, {left:.0} s left");
            lost.push(object);
            continue;
        };
        let slip = 1000.0 * new.slip;
        let (object, score) = (&new.object, new.score);
        eprintln!("{done}/{total} {object}: {slip:.1} mm, score {score:.3}, {left:.0} s left");
        match kept.iter_mut().find(|old| old.object == new.object) {
            Some(old) if old.score <= new.score => {}
            Some(old) => *old = new,
            None => kept.push(new),
        }
        let order = |g: &Grasp| props().iter().position(|p| p.object.name == g.object);
        kept.sort_by_key(order);
        let whole = out.with_extension("part");
        fs::write(&whole, grasp::write(&kept))
            .and_then(|()| fs::rename(&whole, out))
            .map_err(|error| failed(format!("{}: {error}", out.display())))?;
    }
    if !lost.is_empty() {
        return Err(failed(format!(
            "no grasp of {}: try more --candidates, more --rounds or another --seed; {} has the others",
            lost.join(", "),
            out.display()
        )));
    }
    let slips: Vec<_> = kept
        .iter()
        .map(|g| json!({"object": g.object, "slip": g.slip}))
        .collect();
    let text: String = kept
        .iter()
        .map(|g| format!("{:20} {:.1} mm\n", g.object, 1000.0 * g.slip))
        .collect();
    Ok(Done::new(text, slips))
}
