//! `hand inspect`: what all muscles do in given poses.

use std::fmt::Write as _;
use std::path::Path;

use hand::kernel::{Answer, Kernel, Pose};
use hand::model::{Model, ParameterSet};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Answers to all poses of a file.
#[derive(Serialize)]
pub(crate) struct Report {
    muscles: Vec<String>,
    joints: Vec<String>,
    poses: Vec<Answer>,
}

/// The file of poses. Poses are read one by one, so that an error can say which one it is in.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Poses {
    parameters: ParameterSet,
    poses: Vec<Value>,
}

/// Reads a file of poses and answers them.
pub(crate) fn inspect(model: &Model, path: &Path) -> Result<Report, String> {
    let file = path.display();
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("{file}: cannot be read: {error}"))?;
    let asked: Poses = serde_json::from_str(&with_nulls(&text)).map_err(|error| {
        let reason = error.to_string();
        // Its own "at line 1 column 2" is said first here.
        let reason = reason
            .rsplit_once(" at line ")
            .map_or(reason.as_str(), |(reason, _)| reason);
        format!("{file}:{}:{}: {reason}", error.line(), error.column())
    })?;
    let kernel = Kernel::new(model, asked.parameters);
    let answers = asked.poses.iter().enumerate().map(|(i, pose)| {
        let answer = read_pose(pose)
            .and_then(|pose| kernel.evaluate(&pose).map_err(|error| error.to_string()));
        answer.map_err(|reason| format!("{file}: poses[{i}]: {reason}"))
    });
    Ok(Report {
        poses: answers.collect::<Result<_, _>>()?,
        muscles: kernel.muscles().to_vec(),
        joints: kernel.joints().to_vec(),
    })
}

fn read_pose(pose: &Value) -> Result<Pose, String> {
    let fields = pose
        .as_object()
        .ok_or("expected an object with qpos, qvel and act")?;
    if let Some(unknown) = fields
        .keys()
        .find(|name| !["qpos", "qvel", "act"].contains(&name.as_str()))
    {
        return Err(format!(
            "unknown field \"{unknown}\", expected qpos, qvel and act"
        ));
    }
    let list = |name: &str| {
        let numbers = fields
            .get(name)
            .ok_or_else(|| format!("{name} is missing"))?;
        let numbers = numbers
            .as_array()
            .ok_or_else(|| format!("{name} is no list of numbers"))?;
        let number = |(k, number): (usize, &Value)| match number {
            // What was not finite; the kernel says so.
            Value::Null => Ok(f64::NAN),
            _ => number
                .as_f64()
                .ok_or_else(|| format!("{name}[{k}] is {number}, expected a number")),
        };
        numbers
            .iter()
            .enumerate()
            .map(number)
            .collect::<Result<Vec<f64>, String>>()
    };
    Ok(Pose {
        qpos: list("qpos")?,
        qvel: list("qvel")?,
        act: list("act")?,
    })
}

/// JSON has no number that is not finite, yet many programs write NaN and Infinity: they become null here.
fn with_nulls(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let (mut rest, mut quoted) = (text, false);
    while let Some(next) = rest.chars().next() {
        let word = ["NaN", "-Infinity", "Infinity"]
            .into_iter()
            .find(|word| !quoted && rest.starts_with(word));
        let taken = match (word, next) {
            (Some(word), _) => word.len(),
            (None, '\\') if quoted => 1 + rest[1..].chars().next().map_or(0, char::len_utf8),
            (None, _) => next.len_utf8(),
        };
        quoted ^= next == '"';
        plain.push_str(if word.is_some() {
            "null"
        } else {
            &rest[..taken]
        });
        rest = &rest[taken..];
    }
    plain
}

impl Report {
    /// One line of JSON.
    pub(crate) fn json(&self) -> String {
        serde_json::to_string(self).expect("finite numbers and names have a form in JSON") + "\n"
    }

    /// Tables for people: muscles, then the joints that are turned.
    pub(crate) fn table(&self) -> String {
        let mut text = String::new();
        for (i, pose) in self.poses.iter().enumerate() {
            let _ = writeln!(text, "pose {i}");
            let _ = writeln!(
                text,
                "  {:<10} {:>10} {:>14} {:>11}  moment arms (mm)",
                "muscle", "length, mm", "velocity, mm/s", "tension, N"
            );
            for (m, muscle) in self.muscles.iter().enumerate() {
                let arms = self.joints.iter().zip(&pose.moment_arms[m]);
                let arms = arms.filter(|(_, arm)| arm.abs() >= 5e-5);
                let arms: Vec<String> = arms
                    .map(|(joint, arm)| format!("{joint} {:.1}", arm * 1e3))
                    .collect();
                let _ = writeln!(
                    text,
                    "  {muscle:<10} {:>10.2} {:>14.2} {:>11.3}  {}",
                    pose.lengths[m] * 1e3,
                    pose.velocities[m] * 1e3,
                    pose.tensions[m],
                    arms.join(", ")
                );
            }
            let _ = writeln!(text, "\n  {:<16} {:>13}", "joint", "torque, N m");
            for (joint, torque) in self.joints.iter().zip(&pose.joint_torques) {
                let _ = writeln!(text, "  {joint:<16} {torque:>13.5}");
            }
            text.push('\n');
        }
        text
    }
}
