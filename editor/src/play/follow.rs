//! Policies act in processes of their own: the program `rollout` tells an episode line by line, and the stage repeats its
//! actions. Editor and policies share the episode's seed and no code but the simulation's.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;

use crossbeam::channel::{Receiver, TryRecvError, bounded};
use episode::stream::Line;
use sim::env::Fidelity;

use super::{Policy, Settings};

/// A policy is at most so many steps ahead of what is shown, besides what a pipe holds.
const AHEAD: usize = 16;

/// An episode that another process tells.
pub(super) struct Follow {
    child: Child,
    lines: Receiver<Result<Line, String>>,
}

/// What comes next of it.
pub(super) enum Told {
    Line(Line),
    /// It is not there yet.
    NotYet,
    /// Nothing more comes, and why.
    Over(String),
}

impl Follow {
    /// Starts to tell an episode of a scenario's text.
    ///
    /// # Errors
    /// In words, when the process cannot start.
    pub(super) fn start(
        program: &Path,
        scenario: &str,
        settings: &Settings,
        index: u64,
        is_hand: bool,
    ) -> Result<Self, String> {
        let mut child = Command::new(program)
            .args(arguments(settings, index, is_hand))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| {
                let name = program.display();
                format!("{name}: {error}; policies act in that program: `./habitus build` makes it")
            })?;
        let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(mut input), Some(output), Some(mut errors)) = pipes else {
            return Err("a process without pipes".to_owned());
        };
        let (sender, lines) = bounded(AHEAD);
        let text = scenario.to_owned();
        thread::spawn(move || {
            // A program that ends before it has read everything says why.
            input.write_all(text.as_bytes()).ok();
            drop(input);
            for line in BufReader::new(output).lines() {
                let line = line.map_err(|error| error.to_string());
                let line = line.and_then(|line| Line::parse(&line));
                let last = matches!(line, Ok(Line::End { .. }) | Err(_));
                // Without a receiver nobody listens any more.
                if sender.send(line).is_err() || last {
                    return;
                }
            }
            let mut text = String::new();
            errors.read_to_string(&mut text).ok();
            let why = text.lines().last().unwrap_or("it ended without a word");
            sender.send(Err(why.to_owned())).ok();
        });
        Ok(Self { child, lines })
    }

    pub(super) fn next(&self) -> Told {
        match self.lines.try_recv() {
            Ok(Ok(line)) => Told::Line(line),
            Ok(Err(why)) => Told::Over(why),
            Err(TryRecvError::Empty) => Told::NotYet,
            Err(TryRecvError::Disconnected) => Told::Over("it has ended".to_owned()),
        }
    }
}

impl Drop for Follow {
    fn drop(&mut self) {
        // It may have ended already.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn arguments(settings: &Settings, index: u64, is_hand: bool) -> Vec<String> {
    let mut words: Vec<String> = ["rollout", "stream", "-"].map(str::to_owned).into();
    let mut say = |name: &str, value: String| words.extend([format!("--{name}"), value]);
    say("seed", settings.seed.to_string());
    say("episode", index.to_string());
    say("policy", settings.policy.to_string());
    if settings.policy == Policy::Planner {
        say("simulations", settings.simulations.to_string());
    }
    if !is_hand {
        let fidelity: Fidelity = settings.fidelity;
        say("fidelity", fidelity.name().to_owned());
        say("max-steps", settings.max_steps.to_string());
        say("invalid-share", settings.invalid_share.to_string());
    }
    words
}
