//! Scripts: named actions, one a line, and waits between them.

use std::path::Path;

use bevy::prelude::*;
use bevy::window::RequestRedraw;
use editor::action::Action;

use crate::desk::Desk;
use crate::picture::Pictures;

/// What a script does, line by line.
#[derive(Resource, Debug, Default)]
pub struct Script {
    name: String,
    steps: Vec<(usize, Step)>,
    next: usize,
    /// Time when it goes on, seconds since the start of the app.
    wait_until: Option<f64>,
    /// Pictures that there are once the one that was asked for last is taken.
    pictures: usize,
    waits_for_picture: bool,
    /// Frames until what the last action led to has begun.
    settling: u8,
    /// What went wrong, with the line.
    pub failed: Option<String>,
}

#[derive(Clone, Debug, PartialEq)]
enum Step {
    Act(Action),
    /// Lets so many seconds pass.
    Wait(f64),
}

impl Script {
    /// Reads a script: an action a line as menus name them, or `wait SECONDS`. Empty lines and lines that start with `#` say
    /// nothing.
    ///
    /// # Errors
    /// With the file, the line, and what is wrong with it.
    pub fn read(path: &Path) -> Result<Self, String> {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|error| format!("{name}: {error}"))?;
        Self::parse(&name, &text)
    }

    /// As [`Script::read`], of a text.
    ///
    /// # Errors
    /// With the line, and what is wrong with it.
    pub fn parse(name: &str, text: &str) -> Result<Self, String> {
        let mut steps = Vec::new();
        for (number, line) in (1..).zip(text.lines().map(str::trim)) {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let step = match line.strip_prefix("wait ") {
                Some(secs) => seconds(secs.trim()).map(Step::Wait),
                None => Action::parse(line)
                    .map(Step::Act)
                    .map_err(|error| error.to_string()),
            };
            steps.push((
                number,
                step.map_err(|error| format!("{name}, line {number}: {error}"))?,
            ));
        }
        Ok(Self {
            name: name.to_owned(),
            steps,
            ..Self::default()
        })
    }

    /// Adds an action at the end.
    pub fn push(&mut self, action: Action) {
        let line = self.steps.last().map_or(1, |(line, _)| line + 1);
        self.steps.push((line, Step::Act(action)));
    }

    /// Adds a wait at the end.
    pub fn push_wait(&mut self, secs: f64) {
        let line = self.steps.last().map_or(1, |(line, _)| line + 1);
        self.steps.push((line, Step::Wait(secs)));
    }

    /// Whether there is nothing left to do.
    pub fn is_done(&self) -> bool {
        self.failed.is_some()
            || (self.next >= self.steps.len()
                && self.wait_until.is_none()
                && !self.waits_for_picture
                && self.settling == 0)
    }
}

fn seconds(text: &str) -> Result<f64, String> {
    let secs = text
        .parse()
        .ok()
        .filter(|secs| (0.0..=3600.0).contains(secs));
    secs.ok_or_else(|| format!("`{text}` is no number of seconds from 0 to 3600"))
}

/// Does the next step, one a frame, so that each sees what the one before did. A picture is waited for.
pub(crate) fn run(
    mut script: ResMut<'_, Script>,
    mut desk: ResMut<'_, Desk>,
    pictures: Res<'_, Pictures>,
    time: Res<'_, Time<Real>>,
    mut again: MessageWriter<'_, RequestRedraw>,
) {
    if script.is_done() {
        return;
    }
    again.write(RequestRedraw);
    let now = time.elapsed_secs_f64();
    if script.settling > 0 {
        script.settling -= 1;
        return;
    }
    let waits_for_picture = pictures.done.len() < script.pictures || desk.is_filming();
    if script.waits_for_picture != waits_for_picture {
        script.waits_for_picture = waits_for_picture;
    }
    if waits_for_picture || script.wait_until.is_some_and(|until| now < until) {
        return;
    }
    script.wait_until = None;
    let Some((line, step)) = script.steps.get(script.next).cloned() else {
        return;
    };
    script.next += 1;
    match step {
        Step::Wait(secs) => script.wait_until = Some(now + secs),
        Step::Act(action) => {
            script.settling = 1;
            script.waits_for_picture = true;
            if let Action::Screenshot { .. } = action {
                script.pictures = pictures.done.len() + 1;
            }
            if let Err(error) = desk.editor.dispatch(&action) {
                script.failed = Some(if script.name.is_empty() {
                    error.to_string()
                } else {
                    format!("{}, line {line}: {error}", script.name)
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_read_line_by_line() {
        let script = Script::parse(
            "s",
            "# first\n\nselect.all\nwait 0.5\nobject.place mug at 1 2\n",
        )
        .expect("it is well-formed");
        let lines: Vec<usize> = script.steps.iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [3, 4, 5]);
        assert_eq!(script.steps[1].1, Step::Wait(0.5));
    }

    #[test]
    fn errors_name_the_line() {
        for (text, expected) in [
            (
                "select.all\nselect.al",
                "s, line 2: there is no action \"select.al\"",
            ),
            ("wait long", "s, line 1: `long` is no number of seconds"),
            (
                "\n\nobject.place",
                "s, line 3: object.place lacks its class",
            ),
        ] {
            let error = Script::parse("s", text).expect_err("it is wrong");
            assert!(error.starts_with(expected), "{error}");
        }
    }
}
